//! A running plugin: plans, batches, and what happens when it fails.
//!
//! Promise: either a whole batch's results go on or none, and after a fault that can have left the guest's memory in
//! any state nothing of it is used again. The next call makes a new instance, and plans a table there before its first
//! batch. A plugin's answers follow from its input alone, so a batch can be run again; a plan that turns out otherwise the
//! second time is an error, since other workers and the sink go by the first.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use sluicebox_model::{ChangeBatch, TableId, TableSchema, fold};

use crate::abi;
use crate::batch::{assemble, misfit, next_call, nothing};
use crate::collected::{Collected, finish};
use crate::engine::Plugin;
use crate::input::Lane;
use crate::live::Live;
use crate::plan::{Action, Read, TablePlan};
use crate::state::State;
use crate::{Fault, WasmError};

/// What a plugin calls itself.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct About {
    /// Its name.
    pub name: String,
    /// Its own version.
    pub version: String,
}

/// A row image that did not go on because of an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedRow {
    /// Its place in the batch that went in.
    pub row: usize,
    /// The plugin's words about it, at most [`Limits::MESSAGE_BYTES`](crate::Limits::MESSAGE_BYTES), or how it failed. They
    /// can quote the row: they belong where the row itself may go, and in no log.
    pub message: String,
}

/// What became of a batch. Each row image that went in is in exactly one of the three, or, where the plan makes several rows of
/// one, what was made of it.
#[derive(Debug, Clone)]
pub struct Processed {
    /// Row images that go on, under the plan's output schema; an update whose row before or after was dropped has
    /// become an insert or a delete.
    pub batch: ChangeBatch,
    /// Row images that failed, ascending; of an update always both.
    pub failed: Vec<FailedRow>,
    /// Row images that the plugin dropped.
    pub dropped: u64,
}

/// What an instance has done so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Calls of `process`.
    pub calls: u64,
    /// Row images given to the plugin.
    pub rows_in: u64,
    /// Row images that went on.
    pub kept: u64,
    /// Row images that it dropped.
    pub dropped: u64,
    /// Row images that failed.
    pub failed: u64,
    /// Time spent in `process`, in nanoseconds.
    pub process_nanos: u64,
    /// Linear memory now, in bytes.
    pub memory: u64,
    /// The highest that `memory` has been after a call, in bytes.
    pub memory_peak: u64,
    /// Times that the plugin was started, the first included.
    pub started: u64,
    /// Instances replaced because their memory had grown.
    pub recycled: u64,
    /// Instances thrown away because they failed.
    pub lost: u64,
    /// Log lines left out because there were too many.
    pub log_lines_dropped: u64,
}

/// A running plugin: one for each worker thread, used for all of that worker's tables.
pub struct Instance {
    plugin: Plugin,
    about: About,
    /// None after it failed, until the next call.
    live: Option<Live>,
    plans: HashMap<u32, Arc<TablePlan>>,
    /// Batches in a row that it failed on whole.
    pub(crate) barren: u32,
    stats: Stats,
}

impl Instance {
    pub(crate) fn start(plugin: Plugin) -> Result<Self, WasmError> {
        let (live, about) = Live::start(plugin.loaded())?;
        let stats = Stats { started: 1, ..Stats::default() };
        Ok(Self { plugin, about, live: Some(live), plans: HashMap::new(), barren: 0, stats })
    }

    /// What the plugin calls itself.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// The plugin that runs here.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// What it has done so far.
    pub fn stats(&self) -> Stats {
        let mut stats = self.stats.clone();
        if let Some(live) = &self.live {
            stats.memory = u64::try_from(live.memory()).unwrap_or(u64::MAX);
            stats.memory_peak = stats.memory_peak.max(stats.memory);
            stats.log_lines_dropped += live.log_lines_dropped();
        }
        stats
    }

    /// Asks the plugin what it wants with a table. `id` is the caller's number for this table and schema version; it
    /// must not be used for another one before [`Instance::forget`].
    ///
    /// # Errors
    /// [`WasmError::Plan`] when the plugin refuses the table, fails, or its plan cannot be carried out.
    pub fn plan(&mut self, id: u32, schema: &Arc<TableSchema>) -> Result<Arc<TablePlan>, WasmError> {
        let plan = Arc::new(self.ask_plan(id, schema)?);
        self.plans.insert(id, Arc::clone(&plan));
        Ok(plan)
    }

    /// Runs a batch through the plugin. A plan made by another instance of the plugin is made here as well before its
    /// first batch, and must turn out the same. `state` is what the plugin remembers of the batch's target, where its plan is
    /// `stateful`; when the plugin fails it is as it was.
    ///
    /// # Errors
    /// [`WasmError::Guest`] when the plugin failed: no row went on, and the next call starts with a new instance where that
    /// is needed. [`WasmError::Plan`] or [`WasmError::Start`] when it cannot be brought to where it was.
    pub fn process(
        &mut self,
        plan: &TablePlan,
        batch: &ChangeBatch,
        state: Option<&mut State>,
    ) -> Result<Processed, WasmError> {
        let processed = self.attempt(plan, batch, state)?;
        self.count(batch.rows(), &processed);
        Ok(processed)
    }

    /// No more rows of this table and version will come.
    pub fn forget(&mut self, id: u32) {
        self.plans.remove(&id);
        let Some(live) = self.live.as_mut().filter(|live| live.planned.contains_key(&id)) else { return };
        if let Err(fault) = live.forget_table(self.plugin.loaded(), id) {
            tracing::warn!(plugin = self.plugin.name(), %fault, "guest failed to forget a table");
            self.lose();
        }
    }

    pub(crate) fn count(&mut self, rows_in: usize, processed: &Processed) {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let (kept, failed) = (count(processed.batch.rows()), count(processed.failed.len()));
        self.stats.kept += kept;
        self.stats.failed += failed;
        self.stats.dropped += processed.dropped;
        self.stats.rows_in += count(rows_in);
    }

    /// Throws the instance away; the next call makes a new one.
    fn lose(&mut self) {
        self.retire();
        self.stats.lost += 1;
    }

    fn retire(&mut self) {
        let Stats { memory_peak, log_lines_dropped, .. } = self.stats();
        self.stats.memory_peak = memory_peak;
        self.stats.log_lines_dropped = log_lines_dropped;
        self.live = None;
    }

    fn live(&mut self) -> Result<&mut Live, WasmError> {
        let live = match self.live.take() {
            Some(live) => live,
            None => {
                self.stats.started += 1;
                Live::start(self.plugin.loaded())?.0
            }
        };
        Ok(self.live.insert(live))
    }

    fn ask_plan(&mut self, id: u32, schema: &Arc<TableSchema>) -> Result<TablePlan, WasmError> {
        let plugin = self.plugin.clone();
        let refuse =
            |reason| WasmError::Plan { plugin: plugin.name().to_owned(), table: schema.id.clone(), reason };
        match self.live()?.plan_table(plugin.loaded(), id, schema) {
            Ok(answer) => TablePlan::resolve(id, schema, answer).map_err(|reason| {
                self.forget(id);
                refuse(reason)
            }),
            Err(fault) => {
                if fault.poisons() {
                    self.lose();
                }
                Err(refuse(fault.words()))
            }
        }
    }

    /// Makes sure that the guest knows the table under this plan.
    fn settle(&mut self, plan: &TablePlan) -> Result<(), WasmError> {
        let same = |known: &Arc<TablePlan>| {
            let shared = Arc::ptr_eq(&known.input, &plan.input) && Arc::ptr_eq(&known.output, &plan.output);
            shared || **known == *plan
        };
        let known = self.plans.get(&plan.id).is_some_and(same);
        if known && self.live()?.planned.contains_key(&plan.id) {
            return Ok(());
        }
        let again = self.ask_plan(plan.id, &plan.input)?;
        if again != *plan {
            self.forget(plan.id);
            return Err(WasmError::Plan {
                plugin: self.plugin.name().to_owned(),
                table: plan.input.id.clone(),
                reason: "it plans the same table differently each time".into(),
            });
        }
        // The caller's own, so that its schemas are recognised by address from here on.
        self.plans.insert(plan.id, Arc::new(plan.clone()));
        Ok(())
    }

    /// Runs a batch; when that fails, the state is as it was.
    pub(crate) fn attempt(
        &mut self,
        plan: &TablePlan,
        batch: &ChangeBatch,
        mut state: Option<&mut State>,
    ) -> Result<Processed, WasmError> {
        if let Some(state) = &mut state {
            state.begin();
        }
        let processed = self.attempt_once(plan, batch, state.as_deref_mut());
        if let Some(state) = state {
            state.end(processed.is_ok());
        }
        processed
    }

    fn attempt_once(
        &mut self,
        plan: &TablePlan,
        batch: &ChangeBatch,
        state: Option<&mut State>,
    ) -> Result<Processed, WasmError> {
        let defect = |reason: String| WasmError::Batch { table: batch.schema.id.clone(), reason };
        if let Some(reason) = misfit(plan, batch) {
            return Err(defect(reason.into()));
        }
        if plan.stateful && state.is_none() {
            return Err(defect("it comes without the state that the plan asks for".into()));
        }
        let rows = batch.rows();
        match plan.action {
            Action::Discard => {
                let dropped = u64::try_from(rows).unwrap_or(u64::MAX);
                return Ok(Processed { batch: nothing(plan), failed: Vec::new(), dropped });
            }
            Action::Process if rows == 0 => {
                return Ok(Processed { batch: nothing(plan), failed: Vec::new(), dropped: 0 });
            }
            Action::Pass => {
                let folded = fold(&batch.kinds, None, &[], true);
                let batch = assemble(plan, batch, Vec::new(), folded).map_err(defect)?;
                return Ok(Processed { batch, failed: Vec::new(), dropped: 0 });
            }
            Action::Process => {}
        }
        if self.live.as_ref().is_some_and(|live| live.has_grown(&self.plugin.loaded().limits)) {
            self.retire();
            self.stats.recycled += 1;
        }
        self.settle(plan)?;
        let state = state.filter(|_| plan.stateful);
        let collected = self.run(plan, batch, state).map_err(|error| match error {
            RunError::Guest(fault) => {
                if fault.poisons() {
                    self.lose();
                }
                self.guest_error(&plan.input.id, fault)
            }
            RunError::Batch(reason) => defect(reason),
        })?;
        finish(plan, batch, collected).map_err(defect)
    }

    fn guest_error(&self, table: &TableId, fault: Fault) -> WasmError {
        WasmError::Guest { plugin: self.plugin.name().to_owned(), table: table.clone(), fault }
    }

    fn run(
        &mut self,
        plan: &TablePlan,
        batch: &ChangeBatch,
        mut state: Option<&mut State>,
    ) -> Result<Collected, RunError> {
        let mut collected = Collected::new(plan);
        let kinds: Vec<u8> = batch.kinds.iter().map(|kind| kind.code()).collect();
        let mut start = 0;
        while start < batch.rows() {
            let rows = next_call(plan, batch, start);
            let first = start;
            start = rows.end;
            let lane = |read: &Read| {
                let lane = Lane::new(*read, batch, &rows)?;
                Some(if plan.packed { lane.packed() } else { lane })
            };
            let lanes: Option<Vec<Lane<'_>>> = plan.reads.iter().map(lane).collect();
            let lanes =
                lanes.ok_or_else(|| RunError::Batch("an array is not of its column's kind".into()))?;
            let columns: Vec<abi::VectorIn<'_>> = lanes.iter().map(Lane::as_vector).collect();
            let bytes_in = rows.len() + lanes.iter().map(Lane::byte_size).sum::<usize>();
            // A call has at most some thousand rows.
            let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
            let input = abi::BatchIn { rows: count, kinds: &kinds[rows.clone()], columns: &columns };
            let live = self.live.as_mut().ok_or_else(|| RunError::Batch("there is no instance".into()))?;
            let started = Instant::now();
            let plugin = self.plugin.loaded();
            let state = state.as_deref_mut();
            live.enter_at(batch, first);
            let outcome = live.process(plugin, plan.id, &plan.input, input, bytes_in, state);
            self.stats.calls += 1;
            self.stats.process_nanos += u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
            collected.take(plan, batch, rows, outcome?).map_err(Fault::Output)?;
        }
        Ok(collected)
    }
}

enum RunError {
    Guest(Fault),
    Batch(String),
}

impl From<Fault> for RunError {
    fn from(fault: Fault) -> Self {
        Self::Guest(fault)
    }
}

/// An instance is made by one thread and handed to a worker; a plugin is shared by all of them.
const _: () = {
    const fn is_send<T: Send>() {}
    const fn is_shared<T: Send + Sync + Clone>() {}
    is_send::<Instance>();
    is_shared::<Plugin>();
    is_shared::<crate::Engine>();
};
