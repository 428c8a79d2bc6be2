//! Runs rows through a table's chain of guests, and finds the events that a guest fails on.
//!
//! Promise: each event that goes in is in the output, was dropped by a guest, or is in `failed`, whole. A failed event is
//! told as the source sent it, not as the failing guest saw it, so that it can be sent through the whole chain again. For the
//! first guest the two are the same. Behind it rows may have been taken out, so the batch is run once more, one event at a time,
//! to see which one fails; guests answer by their input alone, so it is the same ones.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::sync::Arc;

use sluicebox_model::{ChangeBatch, RowKind};
use sluicebox_wasm::{FailedRow, Instance, Processed, WasmError};

use super::tables::{PluginEntry, Stage};
use crate::config::OnError;
use crate::error::EngineError;

/// The instances of one thread.
pub(super) struct Guests {
    plugins: Arc<Vec<PluginEntry>>,
    instances: HashMap<usize, Instance>,
}

/// What became of a batch.
pub(super) struct Transformed {
    pub batch: ChangeBatch,
    /// Row images that guests dropped.
    pub dropped: u64,
    /// Events that a guest failed on, ascending.
    pub failed: Vec<FailedEvent>,
}

/// An event that a guest failed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FailedEvent {
    /// Its rows in the batch that went in.
    pub rows: Range<usize>,
    /// The guest's place in the list of plugins.
    pub plugin: usize,
    /// The guest's words; they can quote the row.
    pub reason: String,
}

impl Guests {
    pub fn new(plugins: Arc<Vec<PluginEntry>>) -> Self {
        Self { plugins, instances: HashMap::new() }
    }

    /// Runs a batch. Where a guest's `on-error` is `fail`, its first failure is the error.
    pub fn run(&mut self, stages: &[Stage], input: ChangeBatch) -> Result<Transformed, EngineError> {
        let mut whole = Transformed { batch: input.clone(), dropped: 0, failed: Vec::new() };
        for (number, stage) in stages.iter().enumerate() {
            if whole.batch.rows() == 0 {
                break;
            }
            let Processed { batch, failed, dropped } = self.process(stage, &whole.batch)?;
            if !failed.is_empty() {
                let events = events(&whole.batch.kinds, stage.plugin, &failed);
                match number {
                    0 => whole.failed.extend(events),
                    _ => self.trace(&stages[..=number], &input, events.len(), &mut whole.failed)?,
                }
            }
            whole.batch = batch;
            whole.dropped += dropped;
        }
        whole.failed.sort_by_key(|event| event.rows.start);
        Ok(whole)
    }

    fn process(&mut self, stage: &Stage, batch: &ChangeBatch) -> Result<Processed, EngineError> {
        let entry = &self.plugins[stage.plugin];
        let (on_error, name) = (entry.on_error, entry.plugin.name().to_owned());
        let instance = self.instance(stage.plugin)?;
        let processed = match on_error {
            OnError::Fail => instance.process(&stage.plan, batch)?,
            OnError::Skip | OnError::DeadLetter => instance.process_isolating(&stage.plan, batch)?,
        };
        match processed.failed.first() {
            Some(first) if on_error == OnError::Fail => Err(EngineError::Condemned {
                plugin: name,
                table: batch.schema.id.to_string(),
                rows: processed.failed.len(),
                reason: first.message.clone(),
            }),
            _ => Ok(processed),
        }
    }

    fn instance(&mut self, plugin: usize) -> Result<&mut Instance, EngineError> {
        match self.instances.entry(plugin) {
            Entry::Occupied(there) => Ok(there.into_mut()),
            Entry::Vacant(slot) => Ok(slot.insert(self.plugins[plugin].plugin.instantiate()?)),
        }
    }

    /// Finds the events that fail in the last of these stages, and not before it; there must be `wanted` of them.
    fn trace(
        &mut self,
        stages: &[Stage],
        input: &ChangeBatch,
        wanted: usize,
        failed: &mut Vec<FailedEvent>,
    ) -> Result<(), EngineError> {
        let known = failed.len();
        let mut row = 0;
        while row < input.rows() {
            let rows = event_rows(&input.kinds, row);
            row = rows.end;
            let mut part = input.slice(rows.clone());
            for (number, stage) in stages.iter().enumerate() {
                let processed = self.process(stage, &part)?;
                if let Some(FailedRow { message, .. }) = processed.failed.into_iter().next() {
                    if number + 1 == stages.len() {
                        let plugin = stage.plugin;
                        failed.push(FailedEvent { rows: rows.clone(), plugin, reason: message });
                    }
                    break;
                }
                part = processed.batch;
                if part.rows() == 0 {
                    break;
                }
            }
        }
        if failed.len() - known == wanted {
            return Ok(());
        }
        let plugin = stages.last().map(|stage| self.plugins[stage.plugin].plugin.name().to_owned());
        Err(EngineError::Guest(WasmError::Plan {
            plugin: plugin.unwrap_or_default(),
            table: input.schema.id.clone(),
            reason: "it answers otherwise when the same rows come again".into(),
        }))
    }
}

/// The rows of the event that begins at a row.
fn event_rows(kinds: &[RowKind], row: usize) -> Range<usize> {
    let width = if kinds.get(row) == Some(&RowKind::Before) { 2 } else { 1 };
    row..row + width
}

/// The events of failed row images; of an update both rows have failed.
fn events(kinds: &[RowKind], plugin: usize, failed: &[FailedRow]) -> Vec<FailedEvent> {
    let mut events: Vec<FailedEvent> = Vec::with_capacity(failed.len());
    for row in failed {
        if events.last().is_some_and(|event| event.rows.contains(&row.row)) {
            continue;
        }
        let rows = event_rows(kinds, row.row);
        events.push(FailedEvent { rows, plugin, reason: row.message.clone() });
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_images_of_one_update_are_one_event() {
        use RowKind::{After, Before, Insert};
        let kinds = [Insert, Before, After, After, Insert];
        let failed = [1, 2, 3].map(|row| FailedRow { row, message: format!("no {row}") });
        let found: Vec<_> = events(&kinds, 7, &failed).into_iter().map(|e| (e.rows, e.reason)).collect();
        assert_eq!(found, [(1..3, "no 1".to_owned()), (3..4, "no 3".to_owned())]);
    }
}
