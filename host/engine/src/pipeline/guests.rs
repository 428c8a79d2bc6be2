//! Runs rows through a table's chain of guests and its expressions, and finds the events that one of them fails on.
//!
//! Promise: each event that goes in is in the output, was dropped, or is in `failed`, whole. A failed event is
//! told as the source sent it, not as the failing guest saw it, so that it can be sent through the whole chain again. For the
//! first stage the two are the same. Behind it rows may have been taken out, so the batch is run once more, one event at a time,
//! to see which one fails; guests answer by their input alone, so it is the same ones. Where a stage before it made several rows of one,
//! some of which failed, the others go on: the letter holds the event, and to send it again makes all of them again.
//!
//! Each batch comes with the versions of the plugins that were in force when it was sent on, and batches come in that order: when a
//! newer version is met, instances of the older one are let go.

mod ordered;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::sync::{Arc, Weak};

use sluicebox_expression::RulePlan;
use sluicebox_model::{ChangeBatch, RowKind};
use sluicebox_wasm::{FailedRow, Instance, Processed, State, Stats, TablePlan, WasmError};

use ordered::Failure;
pub(super) use ordered::{Memories, Ordered};

use super::canary::{Beside, Canary};
use super::tables::{PluginList, Stage};
use crate::config::OnError;
use crate::error::EngineError;
use crate::plugin_meter::PluginMeter;
use crate::sink::render::key_as_text;
use crate::telemetry::{Telemetry, now_ms};

/// The instances of one thread.
pub(super) struct Guests {
    plugins: PluginList,
    running: HashMap<usize, Running>,
    /// A version that runs beside one of the plugins, with what it runs in here.
    canary: Option<Beside>,
    telemetry: Arc<Telemetry>,
}

/// An instance, and what of its work has been counted.
struct Running {
    instance: Instance,
    meter: Arc<PluginMeter>,
    counted: Stats,
    /// Plans that it knows, while somebody may still send rows under them.
    plans: HashMap<u32, Weak<TablePlan>>,
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

/// How a guest is called.
enum How<'a> {
    /// As its `on-error` says: where rows may be left out, those that make it fail are found.
    Isolating,
    /// Once, with what it remembers, whatever its `on-error`.
    Whole(Option<&'a mut State>),
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
    pub fn new(plugins: PluginList, telemetry: Arc<Telemetry>) -> Self {
        Self { plugins, running: HashMap::new(), canary: None, telemetry }
    }

    /// The plugins in the versions that are in force here.
    pub fn plugins(&self) -> &PluginList {
        &self.plugins
    }

    /// From here on these versions are in force, with this one beside them. Instances of others are let go.
    pub fn adopt(&mut self, plugins: &PluginList, canary: Option<&Arc<Canary>>) {
        let same = |beside: &Beside| canary.is_some_and(|canary| Arc::ptr_eq(canary, beside.canary()));
        if !self.canary.as_ref().is_some_and(same) {
            self.canary =
                canary.filter(|canary| !canary.is_over()).map(|canary| Beside::new(Arc::clone(canary)));
        }
        if Arc::ptr_eq(&self.plugins, plugins) {
            return;
        }
        self.plugins = Arc::clone(plugins);
        self.running.retain(|&place, running| {
            plugins.get(place).is_some_and(|entry| entry.plugin.is(running.instance.plugin()))
        });
    }

    /// Runs a batch. Where a guest's `on-error` is `fail`, its first failure is the error.
    pub fn run(&mut self, stages: &[Stage], input: ChangeBatch) -> Result<Transformed, EngineError> {
        let mut whole = Transformed { batch: input.clone(), dropped: 0, failed: Vec::new() };
        for (number, stage) in stages.iter().enumerate() {
            if whole.batch.rows() == 0 {
                break;
            }
            let processed = self.process(stage, &whole.batch)?;
            if let (Some(beside), Stage::Guest { plugin, .. }) = (&mut self.canary, stage) {
                beside.look(*plugin, &whole.batch, &processed);
            }
            let Processed { batch, failed, dropped } = processed;
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
            Stage::Guest { plugin, plan } => self.call(*plugin, plan, batch, How::Isolating),
            Stage::Expressions { plan, on_error, entry } => express(plan, *on_error, entry, batch),
        }
    }

    fn call(
        &mut self,
        plugin: usize,
        plan: &Arc<TablePlan>,
        batch: &ChangeBatch,
        how: How<'_>,
    ) -> Result<Processed, EngineError> {
        let entry = &self.plugins[plugin];
        let (on_error, name) = (entry.on_error, entry.plugin.name().to_owned());
        let running = self.running(plugin)?;
        running.know(plan);
        let Running { instance, meter, counted, .. } = running;
        let processed = match (how, on_error) {
            (How::Whole(state), _) => instance.process(plan, batch, state),
            (How::Isolating, OnError::Fail) => instance.process(plan, batch, None),
            (How::Isolating, OnError::Skip | OnError::DeadLetter) => {
                instance.process_isolating(plan, batch, None)
            }
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
                row: the_first(batch, first.row),
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
                Ok(slot.insert(Running { instance, meter, counted: Stats::default(), plans: HashMap::new() }))
            }
        }
    }

    /// Finds the events that fail in the last of these stages, and not before it; there must be `wanted` of them, or one at least where a
    /// stage before it makes several of one.
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
            // Not as the plugin's batches are run: one event says nothing about how many of a batch it fails on.
            match self.pass(stages, input.slice(rows.clone()), None)? {
                Err(Failure { stage, culprit, reason, .. }) if stage + 1 == stages.len() => {
                    failed.push(FailedEvent { rows, culprit, reason });
                }
                Ok(_) | Err(_) => {}
            }
        }
        let found = failed.len() - known;
        let before_it = stages.split_last().map_or(&[][..], |(_, before)| before);
        let expands = before_it.iter().any(Stage::expands);
        if found == wanted || expands && (1..wanted).contains(&found) {
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

impl Running {
    /// Notes a plan that rows come under. When a new one is met, those are forgotten under which none can come any more: of a table's older
    /// columns, or of an older version of another plugin in the chain.
    fn know(&mut self, plan: &Arc<TablePlan>) {
        if self.plans.contains_key(&plan.id) {
            return;
        }
        let gone = |(id, plan): (&u32, &Weak<TablePlan>)| (plan.strong_count() == 0).then_some(*id);
        let gone: Vec<u32> = self.plans.iter().filter_map(gone).collect();
        for id in gone {
            self.plans.remove(&id);
            self.instance.forget(id);
        }
        self.plans.insert(plan.id, Arc::downgrade(plan));
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
        return Err(EngineError::Expression {
            entry: entry.to_owned(),
            table: batch.schema.id.to_string(),
            row: the_first(batch, first.row),
            rows: done.failed.len(),
            reason: first.message.clone(),
        });
    }
    let failed = done.failed.into_iter().map(|f| FailedRow { row: f.row, message: f.message }).collect();
    Ok(Processed { batch: done.batch, failed, dropped: done.dropped })
}

/// Which of failed rows is the first, for a message; empty where the table has no key.
fn the_first(batch: &ChangeBatch, row: usize) -> String {
    key_as_text(batch, row).map(|key| format!(", the first of them {key}")).unwrap_or_default()
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
pub(super) fn event_rows(kinds: &[RowKind], row: usize) -> Range<usize> {
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
