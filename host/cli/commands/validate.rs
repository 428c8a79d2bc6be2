//! `validate`.

use serde_json::json;
use sluicebox_engine::config::ConfigError;
use sluicebox_engine::plan::{Examination, examine};

use super::{load, print_json, small_runtime};
use crate::arguments::ValidateOptions;
use crate::failure::Failure;
use crate::output::line;

/// Checks a pipeline file, and both ends where asked.
pub fn run(options: &ValidateOptions) -> Result<(), Failure> {
    let loaded = match sluicebox_engine::config::load(&options.file, &|name| std::env::var(name).ok()) {
        Ok(loaded) => loaded,
        Err(ConfigError::Faults(faults)) if options.json => {
            let faults: Vec<_> = faults
                .iter()
                .map(|f| json!({ "file": f.file, "line": f.line, "column": f.column, "option": f.path, "message": f.message, "suggestion": f.suggestion }))
                .collect();
            print_json(&json!({ "ok": false, "faults": faults }))?;
            return Err(Failure::Found);
        }
        Err(_) => return Err(load(&options.file).err().unwrap_or(Failure::Found)),
    };
    let notes: Vec<_> = loaded
        .notes
        .iter()
        .map(|n| json!({ "option": n.path, "line": n.line, "message": n.message }))
        .collect();
    if !options.connect {
        if options.json {
            print_json(&json!({ "ok": true, "notes": notes }))?;
        } else {
            for note in &loaded.notes {
                line!("note: {note}");
            }
            line!("{}: the file is right; `--connect` asks both ends as well", options.file.display());
        }
        return Ok(());
    }
    let examination = small_runtime()?.block_on(examine(&loaded.pipeline))?;
    if options.json {
        print_json(&json!({ "ok": examination.problems.is_empty(), "notes": notes, "plan": examination }))?;
    } else {
        for note in &loaded.notes {
            line!("note: {note}");
        }
        show(&examination);
    }
    if examination.problems.is_empty() { Ok(()) } else { Err(Failure::Refused) }
}

fn show(plan: &Examination) {
    let schemas = if plan.project_has_schemas { "with schemas" } else { "without schemas" };
    line!("source: {}", plan.server);
    line!("sink: project `{}`, {schemas}", plan.project);
    for finding in plan.findings.iter().filter(|f| !f.refuses) {
        line!("warning: {} ({}): {}", finding.check, finding.found, finding.fix);
    }
    for table in &plan.tables {
        line!("\n{}", table.table);
        for guest in &table.guests {
            line!("  {guest}");
        }
        for [name, from, to] in &table.columns {
            line!("  {name}: {from} -> {to}");
        }
        if table.key.is_empty() {
            line!("  no key: rows are appended; deletes have no effect there");
        } else {
            line!("  key: {}", table.key.join(", "));
        }
        for sink in &table.sinks {
            line!("  -> {} ({})", sink.table, sink.action);
            for column in sink.columns.iter().filter(|c| c.action != "keep" || c.reason.is_some()) {
                let none = || "(none)".to_owned();
                let (there, wanted) = (&column.there, &column.wanted);
                let lost = column.reason.as_ref().filter(|_| column.action == "keep");
                line!(
                    "     {} {}: {} -> {}{}",
                    column.action,
                    column.column,
                    there.clone().unwrap_or_else(none),
                    wanted.clone().unwrap_or_else(none),
                    lost.map(|lost| format!("; {lost}")).unwrap_or_default()
                );
            }
            for statement in &sink.statements {
                line!("     {statement}");
            }
        }
    }
    line!("");
    for remark in &plan.remarks {
        line!("note: {remark}");
    }
    for problem in &plan.problems {
        line!("problem: {problem}");
    }
    if plan.problems.is_empty() {
        line!("the pipeline would start");
    }
}
