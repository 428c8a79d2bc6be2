//! `status`.

use serde_json::json;
use sluicebox_engine::state::Reader;
use sluicebox_engine::{EngineError, Progress, now_ms};

use super::{load, print_json};
use crate::arguments::FileOptions;
use crate::failure::Failure;
use crate::output::line;

/// Shows how far a pipeline is.
pub fn run(options: &FileOptions) -> Result<(), Failure> {
    let loaded = load(&options.file)?;
    let directory = &loaded.pipeline.pipeline.state_dir;
    let reader = Reader::open(directory).map_err(EngineError::from)?;
    let Some(reader) = reader else {
        if options.json {
            print_json(&json!({ "state": "never run", "state_dir": directory }))?;
        } else {
            line!("never run: there is no state in {}", directory.display());
        }
        return Ok(());
    };
    let running = Reader::is_running(directory);
    let read = |error| Failure::Engine(EngineError::State(error));
    let checkpoint = reader.checkpoint().map_err(read)?;
    let progress: Progress = reader.meta("progress").map_err(read)?.unwrap_or_default();
    let sessions = reader.sessions().map_err(read)?;
    let mut tables = Vec::new();
    for (name, record) in reader.snapshot_tables().map_err(read)? {
        let (planned, delivered) = reader.chunk_counts(&name).map_err(read)?;
        tables.push(json!({ "table": name, "snapshot": if record.done { "done" } else { "reading" }, "chunks_planned": planned, "chunks_delivered": delivered }));
    }
    let errors = reader.errors().map_err(read)?;
    let approvals = reader.approvals().map_err(read)?;
    let plugins = reader.plugins().map_err(read)?;
    let dead_letters = reader.dead_letter_count().map_err(read)?;
    let memories = reader.memory_sizes().map_err(read)?;
    if options.json {
        let position = checkpoint.as_ref().map(|c| c.position.to_string());
        return print_json(&json!({
            "state": if running { "running" } else { "stopped" },
            "phase": progress.phase,
            "position": position,
            "epoch": checkpoint.as_ref().map(|c| c.epoch),
            "checkpoint_at_ms": checkpoint.as_ref().map(|c| c.taken_at_ms),
            "tables": tables,
            "sessions": sessions.iter().map(|s| json!({ "target": s.target, "id": s.id, "state": if s.flushed.is_some() { "flushed" } else { "open" }, "epoch": s.epoch })).collect::<Vec<_>>(),
            "waiting_changes": approvals.iter().map(|a| json!({ "table": a.source, "target": a.target, "statements": a.statements, "asked_at_ms": a.asked_at_ms, "approved": a.approved })).collect::<Vec<_>>(),
            "plugins": plugins.iter().map(|p| json!({ "entry": p.entry, "plugin": p.plugin, "sha256": p.sha256, "position": p.position.to_string(), "at_ms": p.at_ms, "way": p.way.word() })).collect::<Vec<_>>(),
            "dead_letters": dead_letters,
            "plugin_state": memories,
            "errors": errors.iter().map(|(at, text)| json!({ "at_ms": at, "message": text })).collect::<Vec<_>>(),
            "counters": progress,
        }));
    }
    line!(
        "{}, phase {}",
        if running { "running" } else { "stopped" },
        if progress.phase.is_empty() { "unknown" } else { &progress.phase }
    );
    match &checkpoint {
        Some(checkpoint) => {
            line!("position    {}", checkpoint.position);
            line!(
                "checkpoint  {} s ago, epoch {}",
                (now_ms() - checkpoint.taken_at_ms).max(0) / 1000,
                checkpoint.epoch
            );
        }
        None => line!("no checkpoint yet"),
    }
    line!(
        "rows        {} read by snapshot, {} from the binlog",
        progress.snapshot_rows_total,
        progress.source_rows_total
    );
    line!(
        "sink        {} written, {} deleted",
        progress.sink_rows_written_total,
        progress.sink_rows_deleted_total
    );
    for table in &tables {
        if table["snapshot"] == "reading" {
            line!(
                "snapshot    {}: {} of {} chunks",
                text(&table["table"]),
                table["chunks_delivered"],
                table["chunks_planned"]
            );
        }
    }
    for session in &sessions {
        line!(
            "session     {} of {}: {}",
            session.id,
            session.target,
            if session.flushed.is_some() { "flushed" } else { "open" }
        );
    }
    for approval in &approvals {
        let state = if approval.approved {
            "approved, not carried out yet"
        } else {
            "waits for `sluicebox schema approve`"
        };
        line!("change      of {}: {state}: {}", approval.source, approval.statements.join(" "));
    }
    for plugin in &plugins {
        let (name, version) = (&plugin.plugin, plugin.sha256.get(..12).unwrap_or(&plugin.sha256));
        line!("plugin      {name} {version} since {} ({})", plugin.position, plugin.way.word());
    }
    for memory in &memories {
        let (keys, bytes) = (memory.keys, memory.bytes);
        line!("state       of {} for {}: {keys} keys, {bytes} bytes", memory.plugin, memory.target);
    }
    if dead_letters > 0 {
        line!("dead letters {dead_letters}");
    }
    for (at, message) in errors.iter().take(5) {
        line!("error       {} s ago: {message}", (now_ms() - at).max(0) / 1000);
    }
    Ok(())
}

fn text(value: &serde_json::Value) -> &str {
    value.as_str().unwrap_or_default()
}
