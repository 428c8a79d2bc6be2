//! `import`.

use serde_json::json;
use sluicebox_engine::config::{Explanation, Status, explain};

use super::print_json;
use crate::arguments::{FileOptions, ImportCommand};
use crate::failure::Failure;
use crate::output::line;

/// Takes over a pipeline of another program.
pub fn run(command: &ImportCommand) -> Result<(), Failure> {
    match command {
        ImportCommand::FlinkCdc(options) => flink_cdc(options),
    }
}

fn flink_cdc(options: &FileOptions) -> Result<(), Failure> {
    let explanation = explain(&options.file, &|name| std::env::var(name).ok())?;
    if options.json {
        print_json(&as_json(&explanation))?;
    } else {
        show(&explanation);
    }
    if explanation.faults.is_empty() { Ok(()) } else { Err(Failure::Found) }
}

fn as_json(explanation: &Explanation) -> serde_json::Value {
    let keys: Vec<_> = explanation
        .keys
        .iter()
        .map(|k| json!({ "line": k.line, "option": k.path, "value": k.value, "meaning": k.meaning, "difference": k.difference }))
        .collect();
    let unwritten: Vec<_> = explanation
        .unwritten
        .iter()
        .map(|d| json!({ "option": format!("{}.{}", d.block, d.key), "difference": d.unwritten }))
        .collect();
    let notes: Vec<_> = explanation
        .notes
        .iter()
        .map(|n| json!({ "option": n.path, "line": n.line, "message": n.message }))
        .collect();
    let faults: Vec<_> = explanation
        .faults
        .iter()
        .map(
            |f| json!({ "option": f.path, "line": f.line, "message": f.message, "suggestion": f.suggestion }),
        )
        .collect();
    json!({ "ok": explanation.faults.is_empty(), "keys": keys, "not_written": unwritten, "notes": notes, "faults": faults })
}

fn show(explanation: &Explanation) {
    for key in &explanation.keys {
        let value = key.value.as_deref().map(|value| format!(": {}", first_line(value))).unwrap_or_default();
        line!("{:>4}  {}{value}", key.line, key.path);
        line!("      {}", key.meaning.unwrap_or("not a key of a pipeline file; see below"));
        match key.status {
            Some(Status::NoEffect(why)) => line!("      no effect here: {why}"),
            Some(Status::NotCarriedOut(instead)) => line!("      not carried out by this version: {instead}"),
            Some(Status::Works) | None => {}
        }
        if let Some(difference) = key.difference {
            line!("      not as in Flink CDC: {difference}");
        }
    }
    line!("\nNot written, and not as in Flink CDC:");
    for difference in &explanation.unwritten {
        line!("  {}.{}: {}", difference.block, difference.key, difference.unwritten.unwrap_or_default());
    }
    line!(
        "\nWhatever the file says: rows come exactly once into Delta and ordinary tables, where Flink CDC's come at least once;"
    );
    line!("partitioned tables, DECIMAL and DATETIME keys, and columns added in the middle work.");
    if explanation.faults.is_empty() {
        line!(
            "\nThe file runs as it is: sluicebox validate --connect FILE asks both ends, sluicebox run FILE runs it."
        );
        return;
    }
    line!("\nBefore it runs:");
    for fault in &explanation.faults {
        line!("  {fault}");
    }
}

fn first_line(value: &str) -> &str {
    value.lines().next().unwrap_or_default()
}
