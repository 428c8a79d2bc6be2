//! A running plugin: plans, batches, and what happens when it fails.
//!
//! Promise: either a whole batch's results go on or none, and after a fault that can have left the guest's memory in
//! any state nothing of it is used again. The next call makes a new instance, and plans a table there before its first
//! batch. A plugin's answers follow from its input alone, so a batch can be run again; a plan that turns out otherwise the
//! second time is an error, since other workers and the sink go by the first.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, BooleanBufferBuilder};
use sluicebox_model::{ChangeBatch, TableId, TableSchema, fold, is_pair};

use crate::abi;
use crate::batch::{assemble, join, join_batches, misfit, next_call, nothing};
use crate::engine::Plugin;
use crate::guest::shorten;
use crate::input::Lane;
use crate::live::Live;
use crate::output;
use crate::plan::{Action, TablePlan};
use crate::{Fault, WasmError};

/// Row images of one batch that may make the plugin fail before it counts as broken: each costs a new instance, and up to
/// twice the time limit.
const MAX_CULPRITS: usize = 16;
/// Batches in a row of which no row went on before the plugin counts as broken: one bad row alone in its batch is the row's
/// fault, the third batch is not.
const MAX_BARREN: u32 = 3;

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

/// What became of a batch. Each row image that went in is in exactly one of the three.
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
    barren: u32,
    stats: Stats,
}

/// What the calls for one batch gave back, checked.
struct Collected {
    /// None: all rows stay.
    keep: Option<BooleanBufferBuilder>,
    /// For each computed column one array a call.
    computed: Vec<Vec<ArrayRef>>,
    /// Messages by row.
    errors: BTreeMap<usize, String>,
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
    /// first batch, and must turn out the same.
    ///
    /// # Errors
    /// [`WasmError::Guest`] when the plugin failed: no row went on, and the next call starts with a new instance where that
    /// is needed. [`WasmError::Plan`] or [`WasmError::Start`] when it cannot be brought to where it was.
    pub fn process(&mut self, plan: &TablePlan, batch: &ChangeBatch) -> Result<Processed, WasmError> {
        let processed = self.attempt(plan, batch)?;
        self.count(&processed);
        Ok(processed)
    }

    /// The same, but when the plugin fails on the batch, its rows are tried one by one (an update's two together), and only
    /// those that make it fail are reported in [`Processed::failed`].
    ///
    /// # Errors
    /// As [`Instance::process`], and [`WasmError::Broken`] instead of [`WasmError::Guest`], when too many rows of the batch
    /// make the plugin fail, or all rows of several batches in a row.
    pub fn process_isolating(
        &mut self,
        plan: &TablePlan,
        batch: &ChangeBatch,
    ) -> Result<Processed, WasmError> {
        let processed = match self.attempt(plan, batch) {
            Err(WasmError::Guest { fault, .. }) => {
                let processed = self.row_by_row(plan, batch, fault.clone())?;
                let barren = processed.failed.len() == batch.rows();
                self.barren = if barren { self.barren + 1 } else { 0 };
                if self.barren >= MAX_BARREN {
                    return Err(self.broken(&plan.input.id, batch.rows(), fault));
                }
                processed
            }
            other => {
                self.barren = 0;
                other?
            }
        };
        self.count(&processed);
        Ok(processed)
    }

    fn broken(&self, table: &TableId, rows: usize, fault: Fault) -> WasmError {
        WasmError::Broken { plugin: self.plugin.name().to_owned(), table: table.clone(), rows, fault }
    }

    /// No more rows of this table and version will come.
    pub fn forget(&mut self, id: u32) {
        self.plans.remove(&id);
        let Some(live) = self.live.as_mut().filter(|live| live.planned.contains(&id)) else { return };
        if let Err(fault) = live.forget_table(self.plugin.loaded(), id) {
            tracing::warn!(plugin = self.plugin.name(), %fault, "guest failed to forget a table");
            self.lose();
        }
    }

    fn count(&mut self, processed: &Processed) {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let (kept, failed) = (count(processed.batch.rows()), count(processed.failed.len()));
        self.stats.kept += kept;
        self.stats.failed += failed;
        self.stats.dropped += processed.dropped;
        self.stats.rows_in += kept + failed + processed.dropped;
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
                Err(refuse(fault.to_string()))
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
        if known && self.live()?.planned.contains(&plan.id) {
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

    fn attempt(&mut self, plan: &TablePlan, batch: &ChangeBatch) -> Result<Processed, WasmError> {
        let defect = |reason: String| WasmError::Batch { table: batch.schema.id.clone(), reason };
        if let Some(reason) = misfit(plan, batch) {
            return Err(defect(reason.into()));
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
        let collected = self.run(plan, batch).map_err(|error| match error {
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

    fn run(&mut self, plan: &TablePlan, batch: &ChangeBatch) -> Result<Collected, RunError> {
        let mut collected = Collected {
            keep: None,
            computed: vec![Vec::new(); plan.computed().count()],
            errors: BTreeMap::new(),
        };
        let kinds: Vec<u8> = batch.kinds.iter().map(|kind| kind.code()).collect();
        let mut start = 0;
        while start < batch.rows() {
            let rows = next_call(plan, batch, start);
            start = rows.end;
            let lanes: Option<Vec<Lane<'_>>> =
                plan.reads.iter().map(|read| Lane::new(*read, batch, &rows)).collect();
            let lanes =
                lanes.ok_or_else(|| RunError::Batch("an array is not of its column's kind".into()))?;
            let columns: Vec<abi::VectorIn<'_>> = lanes.iter().map(Lane::as_vector).collect();
            let bytes_in = rows.len() + lanes.iter().map(Lane::byte_size).sum::<usize>();
            // A call has at most some thousand rows.
            let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
            let input = abi::BatchIn { rows: count, kinds: &kinds[rows.clone()], columns: &columns };
            let live = self.live.as_mut().ok_or_else(|| RunError::Batch("there is no instance".into()))?;
            let started = Instant::now();
            let outcome = live.process(self.plugin.loaded(), plan.id, &plan.input, input, bytes_in);
            self.stats.calls += 1;
            self.stats.process_nanos += u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
            collected.take(plan, batch, rows, outcome?).map_err(Fault::Output)?;
        }
        Ok(collected)
    }

    /// Finds the rows that make the plugin fail, and runs the others.
    fn row_by_row(
        &mut self,
        plan: &TablePlan,
        batch: &ChangeBatch,
        first: Fault,
    ) -> Result<Processed, WasmError> {
        let mut parts = Vec::new();
        let mut failed = Vec::new();
        let mut dropped = 0;
        let mut culprits = 0;
        let mut last = first;
        let mut row = 0;
        while row < batch.rows() {
            let rows = row..row + if is_pair(&batch.kinds, row) { 2 } else { 1 };
            row = rows.end;
            match self.attempt(plan, &batch.slice(rows.clone())) {
                Ok(part) => {
                    dropped += part.dropped;
                    failed
                        .extend(part.failed.into_iter().map(|f| FailedRow { row: rows.start + f.row, ..f }));
                    parts.push(part.batch);
                }
                Err(WasmError::Guest { fault, .. }) => {
                    culprits += rows.len();
                    let message = fault.to_string();
                    failed.extend(rows.map(|row| FailedRow { row, message: message.clone() }));
                    last = fault;
                }
                Err(other) => return Err(other),
            }
            if culprits > MAX_CULPRITS {
                return Err(self.broken(&plan.input.id, culprits, last));
            }
        }
        let defect = |reason: String| WasmError::Batch { table: batch.schema.id.clone(), reason };
        Ok(Processed { batch: join_batches(plan, &parts).map_err(defect)?, failed, dropped })
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

impl Collected {
    /// Adds what one call gave back, or says what is wrong with it.
    fn take(
        &mut self,
        plan: &TablePlan,
        batch: &ChangeBatch,
        rows: std::ops::Range<usize>,
        outcome: abi::Outcome,
    ) -> Result<(), String> {
        let count = rows.len();
        match (outcome.keep, &mut self.keep) {
            (None, None) => {}
            (None, Some(keep)) => keep.append_n(count, true),
            (Some(bits), keep) => {
                let bits = output::bitmap(bits, count, "verdicts")?;
                let keep = keep.get_or_insert_with(|| {
                    let mut all = BooleanBufferBuilder::new(batch.rows());
                    all.append_n(rows.start, true);
                    all
                });
                keep.append_buffer(&bits);
            }
        }
        let (given, wanted) = (outcome.columns.len(), self.computed.len());
        if given != wanted {
            return Err(format!("it has {given} columns, the plan computes {wanted}"));
        }
        for ((column, vector), parts) in plan.computed().zip(outcome.columns).zip(&mut self.computed) {
            parts.push(output::array(column, vector, count)?);
        }
        for error in outcome.errors {
            let row = usize::try_from(error.row).ok().filter(|row| *row < count);
            let row = rows.start + row.ok_or_else(|| format!("it condemns row {} of {count}", error.row))?;
            let message = shorten(&error.message);
            // The other half of an update must not go on alone.
            if is_pair(&batch.kinds, row) {
                self.errors.entry(row + 1).or_insert_with(|| message.clone());
            } else if row > 0 && is_pair(&batch.kinds, row - 1) {
                self.errors.entry(row - 1).or_insert_with(|| message.clone());
            }
            self.errors.insert(row, message);
        }
        Ok(())
    }
}

fn finish(plan: &TablePlan, batch: &ChangeBatch, mut collected: Collected) -> Result<Processed, String> {
    let keep = collected.keep.as_mut().map(BooleanBufferBuilder::finish);
    let failed_rows: Vec<usize> = collected.errors.keys().copied().collect();
    let keyed = !plan.output.key.is_empty();
    let folded = fold(&batch.kinds, keep.as_ref(), &failed_rows, keyed);
    let dropped = folded.dropped;
    let computed = collected.computed.iter().map(|parts| join(parts)).collect::<Result<_, _>>()?;
    let batch = assemble(plan, batch, computed, folded)?;
    let failed = collected.errors.into_iter().map(|(row, message)| FailedRow { row, message }).collect();
    Ok(Processed { batch, failed, dropped })
}

/// An instance is made by one thread and handed to a worker; a plugin is shared by all of them.
const _: () = {
    const fn is_send<T: Send>() {}
    const fn is_shared<T: Send + Sync + Clone>() {}
    is_send::<Instance>();
    is_shared::<Plugin>();
    is_shared::<crate::Engine>();
};
