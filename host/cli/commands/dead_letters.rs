//! `dead-letters`.

use std::path::Path;

use anyhow::{Context as _, anyhow};
use serde_json::{Value, json};
use sluicebox_engine::state::{DeadLetter, Reader};
use sluicebox_engine::{EngineError, now_ms, replay};

use super::{load, print_json};
use crate::arguments::DeadLettersCommand;
use crate::failure::Failure;
use crate::logging;
use crate::output::line;

/// Looks at dead letters, or sends them again.
pub fn run(command: &DeadLettersCommand) -> Result<(), Failure> {
    match command {
        DeadLettersCommand::List { file, table, json } => list(file, table.as_deref(), *json),
        DeadLettersCommand::Show { file, number, json } => show(file, *number, *json),
        DeadLettersCommand::Replay { file, numbers, json } => send_again(file, numbers, *json),
    }
}

fn letters(file: &Path) -> Result<Vec<DeadLetter>, Failure> {
    let loaded = load(file)?;
    let reader = Reader::open(&loaded.pipeline.pipeline.state_dir).map_err(EngineError::from)?;
    let letters = reader.map(|reader| reader.dead_letters()).transpose().map_err(EngineError::from)?;
    Ok(letters.unwrap_or_default())
}

fn list(file: &Path, table: Option<&str>, as_json: bool) -> Result<(), Failure> {
    let mut letters = letters(file)?;
    letters.retain(|letter| table.is_none_or(|table| letter.table == table));
    if as_json {
        let letters: Result<Vec<Value>, Failure> = letters.iter().map(to_json).collect();
        return print_json(&letters?);
    }
    for letter in &letters {
        let age = (now_ms() - letter.at_ms).max(0) / 1000;
        line!(
            "{:>6}  {}  {}  {}  {age} s ago  {}",
            letter.number,
            letter.table,
            letter.place(),
            letter.plugin,
            letter.reason
        );
    }
    if letters.is_empty() {
        line!("no dead letters");
    }
    Ok(())
}

fn show(file: &Path, number: u64, as_json: bool) -> Result<(), Failure> {
    let letters = letters(file)?;
    let Some(letter) = letters.iter().find(|letter| letter.number == number) else {
        let known: Vec<String> = letters.iter().take(20).map(|letter| letter.number.to_string()).collect();
        let known = if known.is_empty() { "there are none".to_owned() } else { known.join(", ") };
        return Err(anyhow!("no dead letter has the number {number}: {known}").into());
    };
    let shown = to_json(letter)?;
    if as_json {
        return print_json(&shown);
    }
    line!("number   {}", letter.number);
    line!("table    {}", letter.table);
    line!("position {}", letter.place());
    match letter.plugin_hash.as_str() {
        // Expressions are part of the pipeline file and have no digest.
        "" => line!("failed   in {}", letter.plugin),
        hash => line!("plugin   {} (sha256 {hash})", letter.plugin),
    }
    line!("reason   {}", letter.reason);
    line!("lacking  {}", letter.targets.join(", "));
    line!("event    {}", serde_json::to_string_pretty(&shown["event"]).context("printing JSON")?);
    Ok(())
}

fn to_json(letter: &DeadLetter) -> Result<Value, Failure> {
    let event: Value = serde_json::from_str(&letter.event_json).context("reading a letter's event")?;
    Ok(json!({
        "number": letter.number, "at_ms": letter.at_ms, "table": letter.table, "position": letter.place(),
        "plugin": letter.plugin, "plugin_sha256": letter.plugin_hash, "reason": letter.reason,
        "targets": letter.targets, "event": event,
    }))
}

fn send_again(file: &Path, numbers: &[u64], as_json: bool) -> Result<(), Failure> {
    let loaded = load(file)?;
    logging::start("warn")?;
    let wanted = if numbers.is_empty() { None } else { Some(numbers) };
    if let Some(missing) = wanted.and_then(|wanted| missing(wanted, &letters(file).ok()?)) {
        return Err(anyhow!("no dead letter has the number {missing}; `dead-letters list` shows them").into());
    }
    let done = replay(&loaded.pipeline, wanted)?;
    if as_json {
        print_json(&json!({
            "delivered": done.delivered,
            "failed": done.failed.iter().map(|(n, reason)| json!({ "number": n, "reason": reason })).collect::<Vec<_>>(),
            "refused": done.refused.iter().map(|(n, reason)| json!({ "number": n, "reason": reason })).collect::<Vec<_>>(),
        }))?;
    } else {
        line!("{} delivered", done.delivered.len());
        for (number, reason) in &done.failed {
            line!("{number:>6}  failed again: {reason}");
        }
        for (number, reason) in &done.refused {
            line!("{number:>6}  not sent: {reason}");
        }
    }
    let left = done.failed.len() + done.refused.len();
    if left == 0 { Ok(()) } else { Err(anyhow!("{left} dead letters stay").into()) }
}

fn missing(wanted: &[u64], letters: &[DeadLetter]) -> Option<u64> {
    wanted.iter().copied().find(|number| !letters.iter().any(|letter| letter.number == *number))
}
