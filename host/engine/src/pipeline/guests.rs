//! Runs rows through a table's chain of guests and its expressions, and finds the events that one of them fails on.
//!
//! Promise: each event that goes in is in the output, was dropped, or is in `failed`, whole. A failed event is
//! told as the source sent it, not as the failing guest saw it, so that it can be sent through the whole chain again. For the
//! first stage the two are the same. Behind it rows may have been taken out, so the batch is run once more, one event at a time,
//! to see which one fails; guests answer by their input alone, so it is the same ones.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::sync::Arc;

use sluicebox_expression::RulePlan;
use sluicebox_model::{ChangeBatch, RowKind};
use sluicebox_wasm::{FailedRow, Instance, Processed, Stats, TablePlan, WasmError};

use super::tables::{PluginEntry, Stage};
use crate::config::OnError;
use crate::error::EngineError;
use crate::plugin_meter::PluginMeter;
use crate::sink::render::key_as_text;
use crate::telemetry::{Telemetry, now_ms};

/// The instances of one thread.
pub(super) struct Guests {
    plugins: Arc<Vec<PluginEntry>>,
    running: HashMap<usize, Running>,
    telemetry: Arc<Telemetry>,
}

/// An instance, and what of its work has been counted.
struct Running {
    instance: Instance,
    meter: Arc<PluginMeter>,
    counted: Stats,
}

/// What became of a batch.
pub(super) struct Transformed {
    pub batch: ChangeBatch,
    /// Row images that were dropped.
    pub dropped: u64,
    /// Events that a stage failed on, ascending.
    pub failed: Vec<FailedEvent>,
}

/// What an event failed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Culprit {
    /// The plugin at this place of the list.
    Plugin(usize),
    /// The expressions of this entry.
    Expressions { entry: Arc<str>, on_error: OnError },
}

/// An event that a stage failed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FailedEvent {
    /// Its rows in the batch that went in.
    pub rows: Range<usize>,
    pub culprit: Culprit,
    /// What is wrong; a guest's words can quote the row.
    pub reason: String,
}

impl Guests {
    pub fn new(plugins: Arc<Vec<PluginEntry>>, telemetry: Arc<Telemetry>) -> Self {
        Self { plugins, running: HashMap::new(), telemetry }
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
                let events = events(&whole.batch.kinds, &culprit(stage), &failed);
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
        match stage {
            Stage::Guest { plugin, plan } => self.call(*plugin, plan, batch),
            Stage::Expressions { plan, on_error, entry } => express(plan, *on_error, entry, batch),
        }
    }

    fn call(
        &mut self,
        plugin: usize,
        plan: &TablePlan,
        batch: &ChangeBatch,
    ) -> Result<Processed, EngineError> {
        let entry = &self.plugins[plugin];
        let (on_error, name) = (entry.on_error, entry.plugin.name().to_owned());
        let Running { instance, meter, counted } = self.running(plugin)?;
        let processed = match on_error {
            OnError::Fail => instance.process(plan, batch, None),
            OnError::Skip | OnError::DeadLetter => instance.process_isolating(plan, batch, None),
        };
        let now = instance.stats();
        meter.add(counted, &now);
        *counted = now;
        let processed = processed?;
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

    fn running(&mut self, plugin: usize) -> Result<&mut Running, EngineError> {
        match self.running.entry(plugin) {
            Entry::Occupied(there) => Ok(there.into_mut()),
            Entry::Vacant(slot) => {
                let plugin = &self.plugins[plugin].plugin;
                let meter = self.telemetry.plugins.of(plugin);
                let instance = plugin.instantiate()?;
                Ok(slot.insert(Running { instance, meter, counted: Stats::default() }))
            }
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
                        let culprit = culprit(stage);
                        failed.push(FailedEvent { rows: rows.clone(), culprit, reason: message });
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
        let name = stages.last().map(|stage| match stage {
            Stage::Guest { plugin, .. } => self.plugins[*plugin].plugin.name().to_owned(),
            Stage::Expressions { entry, .. } => entry.to_string(),
        });
        Err(EngineError::Guest(WasmError::Plan {
            plugin: name.unwrap_or_default(),
            table: input.schema.id.clone(),
            reason: "it answers otherwise when the same rows come again".into(),
        }))
    }
}

/// Runs an entry's expressions.
fn express(
    plan: &RulePlan,
    on_error: OnError,
    entry: &str,
    batch: &ChangeBatch,
) -> Result<Processed, EngineError> {
    let defect = |reason| EngineError::Plan(format!("`{entry}`: {reason}; this is a defect of this program"));
    let done = plan.process(batch, now_ms().saturating_mul(1000)).map_err(defect)?;
    if let (OnError::Fail, Some(first)) = (on_error, done.failed.first()) {
        let key = key_as_text(batch, first.row);
        return Err(EngineError::Expression {
            entry: entry.to_owned(),
            table: batch.schema.id.to_string(),
            row: key.map(|key| format!(", the first of them {key}")).unwrap_or_default(),
            rows: done.failed.len(),
            reason: first.message.clone(),
        });
    }
    let failed = done.failed.into_iter().map(|f| FailedRow { row: f.row, message: f.message }).collect();
    Ok(Processed { batch: done.batch, failed, dropped: done.dropped })
}

fn culprit(stage: &Stage) -> Culprit {
    match stage {
        Stage::Guest { plugin, .. } => Culprit::Plugin(*plugin),
        Stage::Expressions { entry, on_error, .. } => {
            Culprit::Expressions { entry: Arc::clone(entry), on_error: *on_error }
        }
    }
}

/// The rows of the event that begins at a row.
fn event_rows(kinds: &[RowKind], row: usize) -> Range<usize> {
    let width = if kinds.get(row) == Some(&RowKind::Before) { 2 } else { 1 };
    row..row + width
}

/// The events of failed row images; of an update both rows have failed.
fn events(kinds: &[RowKind], culprit: &Culprit, failed: &[FailedRow]) -> Vec<FailedEvent> {
    let mut events: Vec<FailedEvent> = Vec::with_capacity(failed.len());
    for row in failed {
        if events.last().is_some_and(|event| event.rows.contains(&row.row)) {
            continue;
        }
        let rows = event_rows(kinds, row.row);
        events.push(FailedEvent { rows, culprit: culprit.clone(), reason: row.message.clone() });
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
        let found: Vec<_> =
            events(&kinds, &Culprit::Plugin(7), &failed).into_iter().map(|e| (e.rows, e.reason)).collect();
        assert_eq!(found, [(1..3, "no 1".to_owned()), (3..4, "no 3".to_owned())]);
    }
}
