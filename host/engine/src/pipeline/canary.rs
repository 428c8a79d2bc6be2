//! A new version of a plugin beside the one in force: both are given the same rows, and what they do otherwise is counted.
//!
//! Nothing that the new version makes goes anywhere, and no value is told: only how many rows differ, by table and column. It runs in the
//! workers, on their time, until enough rows were compared. What it fails in, however badly, is counted and harms nothing; a batch that the
//! version in force fails on is not compared. What it may cost is bounded: a worker spends at most [`PATIENCE`] on the events of one batch, and
//! a version that fails as a whole on [`MAX_FAULTS`] of them is known well enough.
//!
//! Where neither drops or fails anything, a batch is compared as it is. Else which row became what cannot be told from what comes
//! out, so its events go through both versions one at a time, through instances that exist for this alone.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arrow::array::{Array as _, ArrayRef};
use arrow::compute::kernels::cmp::not_distinct;
use serde::{Deserialize, Serialize};
use sluicebox_model::{ChangeBatch, TableId};
use sluicebox_wasm::{Instance, Processed, TablePlan};

use super::guests::event_rows;
use super::tables::PluginEntry;

/// Time of one batch for which a worker compares event by event; the rest of the batch is then not compared. A thousand events take the
/// slowest supported language a tenth of it.
const PATIENCE: Duration = Duration::from_secs(1);
/// Events that the new version may trap on, or run out of a limit, before the comparison ends: each costs a new instance, and up to twice
/// the time limit.
const MAX_FAULTS: u64 = 16;

/// A new version beside the one in force.
pub(crate) struct Canary {
    /// The place in the list that both are versions of.
    place: usize,
    old: Arc<PluginEntry>,
    new: Arc<PluginEntry>,
    /// Plans of both, by the table as they are given it.
    plans: HashMap<TableId, (Arc<TablePlan>, Arc<TablePlan>)>,
    /// Rows to compare at most.
    limit: u64,
    compared: AtomicU64,
    /// Events that the new version failed on as a whole.
    faults: AtomicU64,
    over: AtomicBool,
    tallies: Mutex<BTreeMap<String, Tally>>,
}

/// What was counted of one table. Rows are events here: an update is one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Rows that went through both versions.
    pub rows: u64,
    /// Those of which both made the same.
    pub same: u64,
    /// Rows that only the version in force let go on.
    pub kept_by_old: u64,
    /// Rows that only the new version let go on.
    pub kept_by_new: u64,
    /// Rows that only the version in force failed on.
    pub failed_by_old: u64,
    /// Rows that only the new version failed on.
    pub failed_by_new: u64,
    /// Rows that go on as another kind of change, or as another number of rows.
    pub otherwise: u64,
    /// Rows by column that both versions make and whose values differ.
    pub columns: BTreeMap<String, u64>,
}

impl Canary {
    pub fn new(
        place: usize,
        (old, new): (Arc<PluginEntry>, Arc<PluginEntry>),
        plans: HashMap<TableId, (Arc<TablePlan>, Arc<TablePlan>)>,
        limit: u64,
    ) -> Self {
        let (compared, faults, over) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
        Self { place, old, new, plans, limit, compared, faults, over, tallies: Mutex::default() }
    }

    /// Rows compared so far.
    pub fn compared(&self) -> u64 {
        self.compared.load(Ordering::Relaxed)
    }

    /// Whether enough rows were compared, the new version has failed often enough, or nobody asks any more.
    pub fn is_over(&self) -> bool {
        let enough = self.compared() >= self.limit || self.faults.load(Ordering::Relaxed) >= MAX_FAULTS;
        enough || self.over.load(Ordering::Relaxed)
    }

    /// Nothing is compared from here on; what was counted, by table.
    pub fn end(&self) -> BTreeMap<String, Tally> {
        self.over.store(true, Ordering::Relaxed);
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&self, table: &TableId, tally: &Tally) {
        self.compared.fetch_add(tally.rows, Ordering::Relaxed);
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        tallies.entry(table.to_string()).or_default().merge(tally);
    }
}

impl Tally {
    fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.same += other.same;
        self.kept_by_old += other.kept_by_old;
        self.kept_by_new += other.kept_by_new;
        self.failed_by_old += other.failed_by_old;
        self.failed_by_new += other.failed_by_new;
        self.otherwise += other.otherwise;
        for (column, rows) in &other.columns {
            *self.columns.entry(column.clone()).or_default() += rows;
        }
    }

    /// Counts one event by what both versions made of it.
    fn count(&mut self, old: &Processed, new: &Processed) {
        self.rows += 1;
        let fates = |p: &Processed| (!p.failed.is_empty(), p.batch.rows() > 0);
        match (fates(old), fates(new)) {
            ((true, _), (true, _)) => self.same += 1,
            ((true, _), (false, _)) => self.failed_by_old += 1,
            ((false, _), (true, _)) => self.failed_by_new += 1,
            ((false, true), (false, false)) => self.kept_by_old += 1,
            ((false, false), (false, true)) => self.kept_by_new += 1,
            ((false, _), (false, _)) if old.batch.kinds != new.batch.kinds => self.otherwise += 1,
            ((false, _), (false, _)) => self.count_values(&old.batch, &new.batch, &[0]),
        }
    }

    /// Counts the events that begin at these rows of two batches with the same rows in them.
    fn count_values(&mut self, old: &ChangeBatch, new: &ChangeBatch, begins: &[usize]) {
        let mut differs = vec![false; begins.len()];
        for (column, array) in old.schema.columns.iter().zip(&old.columns) {
            let Some(place) = new.schema.index_of(&column.name) else { continue };
            let found = unequal(array, &new.columns[place], begins);
            let rows = found.iter().filter(|unequal| **unequal).count();
            if rows > 0 {
                *self.columns.entry(column.name.to_string()).or_default() += rows as u64;
            }
            differs.iter_mut().zip(found).for_each(|(all, this)| *all |= this);
        }
        self.same += differs.iter().filter(|differs| !**differs).count() as u64;
    }
}

/// For each event whether a column's values differ in any of its rows; columns of two types differ throughout.
fn unequal(old: &ArrayRef, new: &ArrayRef, begins: &[usize]) -> Vec<bool> {
    let Ok(equal) = not_distinct(old, new) else { return vec![true; begins.len()] };
    let ends = begins.iter().skip(1).copied().chain([old.len()]);
    begins.iter().zip(ends).map(|(&begin, end)| (begin..end).any(|row| !equal.value(row))).collect()
}

/// What a worker runs a canary in.
pub(super) struct Beside {
    canary: Arc<Canary>,
    /// Made when they are first needed. One that cannot be started is the end of the comparison here.
    old: Option<Instance>,
    new: Option<Instance>,
}

impl Beside {
    pub fn new(canary: Arc<Canary>) -> Self {
        Self { canary, old: None, new: None }
    }

    pub fn canary(&self) -> &Arc<Canary> {
        &self.canary
    }

    /// Runs the new version on what the plugin at `place` was given, and compares with what that has made of it.
    pub fn look(&mut self, place: usize, input: &ChangeBatch, old: &Processed) {
        let canary = Arc::clone(&self.canary);
        let plans = canary.plans.get(&input.schema.id).filter(|(plan, _)| *plan.input == *input.schema);
        let Some((old_plan, new_plan)) = plans.filter(|_| place == canary.place) else { return };
        if canary.is_over() {
            (self.old, self.new) = (None, None);
            return;
        }
        let begins = begins(input);
        if old.dropped == 0
            && old.failed.is_empty()
            && let Some(new) = run(&mut self.new, &canary.new, new_plan, input)
            && new.dropped == 0
            && new.failed.is_empty()
            && new.batch.kinds == old.batch.kinds
            && old.batch.kinds == input.kinds
        {
            let mut tally = Tally { rows: begins.len() as u64, ..Tally::default() };
            tally.count_values(&old.batch, &new.batch, &begins);
            canary.add(&input.schema.id, &tally);
        } else {
            self.one_by_one(input, &begins, (old_plan, new_plan));
        }
    }

    /// Each event is counted at once: whoever ends the comparison is told what there was until then.
    fn one_by_one(
        &mut self,
        input: &ChangeBatch,
        begins: &[usize],
        (old_plan, new_plan): (&TablePlan, &TablePlan),
    ) {
        let (canary, began) = (Arc::clone(&self.canary), Instant::now());
        for &begin in begins {
            if canary.is_over() || began.elapsed() >= PATIENCE {
                return;
            }
            let event = input.slice(event_rows(&input.kinds, begin));
            let Some(old) = run(&mut self.old, &canary.old, old_plan, &event) else { continue };
            let mut tally = Tally::default();
            match run(&mut self.new, &canary.new, new_plan, &event) {
                Some(new) => tally.count(&old, &new),
                None => {
                    (tally.rows, tally.failed_by_new) = (1, 1);
                    canary.faults.fetch_add(1, Ordering::Relaxed);
                }
            }
            canary.add(&input.schema.id, &tally);
        }
    }
}

/// The rows at which events begin.
fn begins(batch: &ChangeBatch) -> Vec<usize> {
    let mut begins = Vec::with_capacity(batch.rows());
    let mut row = 0;
    while row < batch.rows() {
        begins.push(row);
        row = event_rows(&batch.kinds, row).end;
    }
    begins
}

/// Runs rows through one version, once; none when it fails as a whole.
fn run(
    slot: &mut Option<Instance>,
    entry: &PluginEntry,
    plan: &TablePlan,
    batch: &ChangeBatch,
) -> Option<Processed> {
    let instance = match slot.take() {
        Some(instance) => instance,
        None => match entry.plugin.instantiate() {
            Ok(instance) => instance,
            Err(error) => {
                tracing::debug!(plugin = entry.plugin.name(), %error, "no instance to compare with");
                return None;
            }
        },
    };
    let instance = slot.insert(instance);
    match instance.process(plan, batch, None) {
        Ok(processed) => Some(processed),
        Err(error) => {
            tracing::debug!(plugin = entry.plugin.name(), %error, "failed in a comparison");
            None
        }
    }
}
