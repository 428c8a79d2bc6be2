//! `schema history` and `schema approve`.

use anyhow::anyhow;
use serde_json::json;
use sluicebox_engine::EngineError;
use sluicebox_engine::state::{self, Reader, SchemaRecord};

use super::{load, print_json};
use crate::arguments::{ApproveOptions, HistoryOptions, SchemaCommand};
use crate::failure::Failure;
use crate::output::line;

/// Looks at what is known of the source's schemas.
pub fn run(command: &SchemaCommand) -> Result<(), Failure> {
    match command {
        SchemaCommand::History(options) => history(options),
        SchemaCommand::Approve(options) => approve(options),
    }
}

fn approve(options: &ApproveOptions) -> Result<(), Failure> {
    let loaded = load(&options.file)?;
    let directory = &loaded.pipeline.pipeline.state_dir;
    let waiting = match Reader::open(directory).map_err(EngineError::from)? {
        Some(reader) => reader.approvals().map_err(EngineError::from)?,
        None => Vec::new(),
    };
    let waiting: Vec<_> = waiting.iter().filter(|a| !a.approved).map(|a| a.source.as_str()).collect();
    let wanted = |table: &str| options.table.as_deref().is_none_or(|wanted| wanted == table);
    if !waiting.iter().any(|table| wanted(table)) {
        let known = if waiting.is_empty() { "nothing waits".to_owned() } else { waiting.join(", ") };
        let what = options
            .table
            .as_deref()
            .map_or_else(|| "no change".to_owned(), |t| format!("no change of `{t}`"));
        return Err(anyhow!("{what} waits for approval: {known}").into());
    }
    let approved = state::approve(directory, options.table.as_deref()).map_err(EngineError::from)?;
    if options.json {
        let rows = approved.iter().map(|a| json!({ "table": a.source, "target": a.target, "change": a.change, "statements": a.statements }));
        return print_json(&rows.collect::<Vec<_>>());
    }
    for approval in approved {
        line!("approved: {} -> {}", approval.source, approval.target);
        for statement in &approval.statements {
            line!("    {statement}");
        }
    }
    Ok(())
}

fn history(options: &HistoryOptions) -> Result<(), Failure> {
    let loaded = load(&options.file)?;
    let reader = Reader::open(&loaded.pipeline.pipeline.state_dir).map_err(EngineError::from)?;
    let records = match &reader {
        Some(reader) => reader.schema_history().map_err(EngineError::from)?,
        None => Vec::new(),
    };
    let wanted = |record: &&SchemaRecord| options.table.as_ref().is_none_or(|table| record.table == *table);
    let found: Vec<&SchemaRecord> = records.iter().filter(wanted).collect();
    if let (true, Some(table)) = (found.is_empty(), &options.table) {
        let mut known: Vec<&str> = records.iter().map(|record| record.table.as_str()).collect();
        known.sort_unstable();
        known.dedup();
        let known = if known.is_empty() { "there are none yet".to_owned() } else { known.join(", ") };
        return Err(anyhow!("`{table}` is none of the tables with a history: {known}").into());
    }
    if options.json {
        return print_json(&found.into_iter().map(as_json).collect::<Vec<_>>());
    }
    found.into_iter().for_each(print);
    Ok(())
}

fn as_json(record: &SchemaRecord) -> serde_json::Value {
    json!({
        "table": record.table,
        "transaction": record.transaction.as_ref().map(ToString::to_string),
        "statement": record.ddl,
        "schema": record.schema,
    })
}

fn print(record: &SchemaRecord) {
    let since = match &record.transaction {
        Some(transaction) => format!("since {transaction}"),
        None => "when the pipeline began".to_owned(),
    };
    line!("{}  {since}", record.table);
    if let Some(statement) = &record.ddl {
        line!("    {statement}");
    }
    let Some(schema) = &record.schema else {
        line!("    gone");
        return;
    };
    for (place, column) in schema.columns.iter().enumerate() {
        let key = if schema.key.contains(&place) { ", key" } else { "" };
        let null = if column.nullable { "" } else { " not null" };
        line!("    {} {}{null}{key}", column.name, column.source_type);
    }
}
