//! `validate`.

use serde_json::json;
use sluicebox_engine::config::ConfigError;
use sluicebox_engine::plan::{Examination, examine};

use super::{load, print_json, small_runtime};
use crate::arguments::ValidateOptions;
use crate::failure::Failure;

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
                println!("note: {note}");
            }
            println!("{}: the file is right; `--connect` asks both ends as well", options.file.display());
        }
        return Ok(());
    }
    let examination = small_runtime()?.block_on(examine(&loaded.pipeline))?;
    if options.json {
        print_json(&json!({ "ok": examination.problems.is_empty(), "notes": notes, "plan": examination }))?;
    } else {
        for note in &loaded.notes {
            println!("note: {note}");
        }
        show(&examination);
    }
    if examination.problems.is_empty() { Ok(()) } else { Err(Failure::Refused) }
}

fn show(plan: &Examination) {
    let schemas = if plan.project_has_schemas { "with schemas" } else { "without schemas" };
    println!("source: {}", plan.server);
    println!("sink: project `{}`, {schemas}", plan.project);
    for finding in plan.findings.iter().filter(|f| !f.refuses) {
        println!("warning: {} ({}): {}", finding.check, finding.found, finding.fix);
    }
    for table in &plan.tables {
        println!("\n{}", table.table);
        for guest in &table.guests {
            println!("  plugin {guest}");
        }
        for [name, from, to] in &table.columns {
            println!("  {name}: {from} -> {to}");
        }
        if table.key.is_empty() {
            println!("  no key: rows are appended; deletes have no effect there");
        } else {
            println!("  key: {}", table.key.join(", "));
        }
        for sink in &table.sinks {
            println!("  -> {} ({})", sink.table, sink.action);
            for statement in &sink.statements {
                println!("     {statement}");
            }
        }
    }
    println!();
    for problem in &plan.problems {
        println!("problem: {problem}");
    }
    if plan.problems.is_empty() {
        println!("the pipeline would start");
    }
}
