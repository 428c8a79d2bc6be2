//! Runs the stages of a chain that must see rows in order, because a plugin among them remembers.
//!
//! Promise: an event that goes in is in the output, was dropped, or is in `failed`, whole, and only the first two have changed what
//! plugins remember. How: a batch runs as a whole. When any stage fails on any of it, everything that was remembered is taken back and
//! the batch is run again event by event, each of them kept or taken back alone: what a plugin says of a row can follow from
//! what it remembers of the rows before it, so no cheaper way finds the same culprits.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use sluicebox_model::ChangeBatch;
use sluicebox_wasm::{Fault, State, WasmError};

use super::{Culprit, FailedEvent, Guests, How, Transformed, culprit, event_rows, express};
use crate::config::OnError;
use crate::error::EngineError;
use crate::pipeline::tables::{PluginEntry, Stage, memory_name};
use crate::state::{Remembered, Store};

/// Events of one batch that may make a plugin fail before it counts as broken, as for plugins that remember nothing.
const MAX_CULPRITS: usize = 16;
/// Batches in a row of which no event went on before a plugin counts as broken.
const MAX_BARREN: u32 = 3;

/// What the plugins of one target remember, by their places in the list.
#[derive(Debug, Default)]
pub(in crate::pipeline) struct Memories {
    states: HashMap<usize, State>,
    /// Batches in a row on which a plugin failed whole.
    barren: u32,
}

/// What goes in, and the way it went before.
pub(in crate::pipeline) struct Ordered<'a> {
    /// All stages of the table.
    pub stages: &'a [Stage],
    /// The first that runs here.
    pub first: usize,
    /// The batch as the source sent it.
    pub input: &'a ChangeBatch,
    /// What the stages before made of it.
    pub given: ChangeBatch,
    /// Takes rows out that are not to be seen here.
    pub admit: &'a dyn Fn(ChangeBatch) -> Result<ChangeBatch, EngineError>,
}

/// What became of rows that went through several stages.
pub(super) struct Passed {
    batch: ChangeBatch,
    dropped: u64,
}

/// Why they did not.
pub(super) struct Failure {
    /// Which of the stages that were to be gone through it was.
    pub(super) stage: usize,
    pub(super) culprit: Culprit,
    pub(super) reason: String,
    /// How the plugin at this place failed, where it did not say so itself.
    fault: Option<(usize, Fault)>,
}

pub(super) type Attempt = Result<Result<Passed, Failure>, EngineError>;

impl Memories {
    /// Reads what the stages' plugins remember of a target, where that is not here yet.
    pub fn recall(
        &mut self,
        stages: &[Stage],
        plugins: &[Arc<PluginEntry>],
        store: &Store,
        target: &str,
    ) -> Result<(), EngineError> {
        for stage in stages {
            let Stage::Guest { plugin, plan } = stage else { continue };
            if !plan.stateful || self.states.contains_key(plugin) {
                continue;
            }
            let saved = store.memory(target, &memory_name(plugins, *plugin))?;
            self.states.insert(*plugin, State::new(saved, plugins[*plugin].spec.limits.state));
        }
        Ok(())
    }

    /// Hands out what was changed since the last time.
    pub fn take_changes(&mut self, plugins: &[Arc<PluginEntry>]) -> Remembered {
        let changed = self.states.iter_mut().filter(|(_, state)| state.has_changes());
        changed.map(|(plugin, state)| (memory_name(plugins, *plugin), state.take_changes())).collect()
    }

    fn begin(&mut self) {
        self.states.values_mut().for_each(State::begin);
    }

    fn end(&mut self, keep: bool) {
        self.states.values_mut().for_each(|state| state.end(keep));
    }
}

impl Guests {
    /// Runs a batch. Where a plugin's `on-error` is `fail`, its first failure is the error.
    pub fn run_ordered(
        &mut self,
        ordered: &Ordered<'_>,
        memories: &mut Memories,
    ) -> Result<Transformed, EngineError> {
        memories.begin();
        let given = (ordered.admit)(ordered.given.clone());
        let whole =
            given.and_then(|given| self.pass(&ordered.stages[ordered.first..], given, Some(&mut *memories)));
        memories.end(matches!(whole, Ok(Ok(_))));
        if let Ok(Passed { batch, dropped }) = whole? {
            memories.barren = 0;
            return Ok(Transformed { batch, dropped, failed: Vec::new() });
        }
        memories.begin();
        let done = self.event_by_event(ordered, memories);
        memories.end(done.is_ok());
        done
    }

    fn event_by_event(
        &mut self,
        ordered: &Ordered<'_>,
        memories: &mut Memories,
    ) -> Result<Transformed, EngineError> {
        let (mut parts, mut failed, mut dropped) = (Vec::new(), Vec::new(), 0);
        let (mut faults, mut passed) = (Vec::new(), 0_usize);
        let mut row = 0;
        while row < ordered.input.rows() {
            let rows = event_rows(&ordered.input.kinds, row);
            row = rows.end;
            memories.begin();
            let attempt = self.one_event(ordered, rows.clone(), memories);
            memories.end(matches!(attempt, Ok(Ok(_))));
            match attempt? {
                Ok(part) => {
                    passed += 1;
                    dropped += part.dropped;
                    if part.batch.rows() > 0 {
                        parts.push(part.batch);
                    }
                }
                Err(Failure { culprit, reason, fault, .. }) => {
                    failed.push(FailedEvent { rows, culprit, reason });
                    faults.extend(fault);
                }
            }
            if let Some((plugin, fault)) = faults.get(MAX_CULPRITS) {
                return Err(self.broken(*plugin, ordered.input, faults.len(), fault));
            }
        }
        memories.barren = if passed == 0 && !faults.is_empty() { memories.barren + 1 } else { 0 };
        if let (true, Some((plugin, fault))) = (memories.barren >= MAX_BARREN, faults.last()) {
            return Err(self.broken(*plugin, ordered.input, faults.len(), fault));
        }
        let batch = ChangeBatch::concat(&parts).map_err(|error| EngineError::Plan(error.to_string()))?;
        let batch = batch.unwrap_or_else(|| ordered.input.slice(0..0));
        Ok(Transformed { batch, dropped, failed })
    }

    /// Runs one event through the whole chain. One that fails in the stages before was told by who ran them.
    fn one_event(&mut self, ordered: &Ordered<'_>, rows: Range<usize>, memories: &mut Memories) -> Attempt {
        let (before, here) = ordered.stages.split_at(ordered.first);
        let event = ordered.input.slice(rows);
        let given = match self.pass(before, event, None)? {
            Ok(passed) => (ordered.admit)(passed.batch)?,
            Err(_) => return Ok(Ok(Passed { batch: ordered.input.slice(0..0), dropped: 0 })),
        };
        self.pass(here, given, Some(memories))
    }

    /// Runs rows through stages until one of them fails.
    pub(super) fn pass(
        &mut self,
        stages: &[Stage],
        batch: ChangeBatch,
        mut memories: Option<&mut Memories>,
    ) -> Attempt {
        let mut passed = Passed { batch, dropped: 0 };
        for (number, stage) in stages.iter().enumerate() {
            if passed.batch.rows() == 0 {
                break;
            }
            let processed = match stage {
                Stage::Guest { plugin, plan } => {
                    let state = memories.as_mut().and_then(|memories| memories.states.get_mut(plugin));
                    self.call(*plugin, plan, &passed.batch, How::Whole(state))
                }
                Stage::Expressions { plan, on_error, entry } => {
                    express(plan, *on_error, entry, &passed.batch)
                }
            };
            let processed = match processed {
                Err(EngineError::Guest(WasmError::Guest { fault, .. })) if !self.stops(stage) => {
                    let (culprit, reason) = (culprit(stage), fault.words());
                    let fault = match stage {
                        Stage::Guest { plugin, .. } => Some((*plugin, fault)),
                        Stage::Expressions { .. } => None,
                    };
                    return Ok(Err(Failure { stage: number, culprit, reason, fault }));
                }
                other => other?,
            };
            if let Some(first) = processed.failed.into_iter().next() {
                let (culprit, reason) = (culprit(stage), first.message);
                return Ok(Err(Failure { stage: number, culprit, reason, fault: None }));
            }
            passed = Passed { batch: processed.batch, dropped: passed.dropped + processed.dropped };
        }
        Ok(Ok(passed))
    }

    /// Whether a failure of this stage stops the pipeline.
    fn stops(&self, stage: &Stage) -> bool {
        let on_error = match stage {
            Stage::Guest { plugin, .. } => self.plugins[*plugin].on_error,
            Stage::Expressions { on_error, .. } => *on_error,
        };
        on_error == OnError::Fail
    }

    fn broken(&self, plugin: usize, input: &ChangeBatch, rows: usize, fault: &Fault) -> EngineError {
        EngineError::Guest(WasmError::Broken {
            plugin: self.plugins[plugin].plugin.name().to_owned(),
            table: input.schema.id.clone(),
            rows,
            fault: fault.clone(),
        })
    }
}
