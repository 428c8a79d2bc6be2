//! Gathers row events into work items and sends them on.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sluicebox_model::TableId;
use sluicebox_mysql::RowsEvent;
use tokio::sync::oneshot;

use super::Coordinator;
use crate::error::EngineError;
use crate::pipeline::messages::{TargetMessage, Work, WorkItem};
use crate::sink::encode::From;

/// A work item is sent when its events hold so much: a worker then has some milliseconds of work, and its columns still fit
/// the processor's cache level that is shared.
const ITEM_BYTES: usize = 512 * 1024;
/// Arrow's offsets are 32-bit and decoded columns are larger than row images; one event can still be larger alone.
const ITEM_EVENTS: usize = 16 * 1024;
/// Row images take about so many times their size when decoded, encoded and buffered, at the moment when most of that is alive.
const DECODED_FACTOR: usize = 3;

/// Rows wait no longer than this for more of their kind: far below what a commit takes, long enough for a busy stream to fill
/// an item.
pub(super) const LONGEST_WAIT: Duration = Duration::from_millis(4);

/// Row events of one table that wait for more of their kind.
#[derive(Default)]
struct Pile {
    events: Vec<RowsEvent>,
    bytes: usize,
    /// Targets that want them: those that do not have their transactions already.
    targets: Vec<usize>,
}

/// One pile for each table that has events.
#[derive(Default)]
pub(super) struct Gatherer {
    piles: HashMap<TableId, Pile>,
    /// When the first event came since everything was last sent on.
    since: Option<Instant>,
}

impl Gatherer {
    pub fn is_empty(&self) -> bool {
        self.piles.is_empty()
    }

    /// Whether the oldest event has waited long enough.
    pub fn is_ripe(&self, now: Instant) -> bool {
        self.since.is_some_and(|since| now.duration_since(since) >= LONGEST_WAIT)
    }
}

impl Coordinator {
    pub(super) fn gather(&mut self, rows: RowsEvent) -> Result<(), EngineError> {
        let table = rows.schema.id.clone();
        let run = self.run_of(&table)?;
        // Rows that a snapshot brings; but not to a target that has committed an earlier one.
        let by_snapshot = self.snapshots.holds_already(&table, &rows.transaction);
        let wants = |t: &usize| {
            let target = &self.targets[*t];
            let sent = !by_snapshot || target.holds_whole(&table);
            sent && !target.held && !self.covers(*t, &rows.transaction)
        };
        let wanted = run.targets.iter().copied().filter(wants);
        let wanted: Vec<usize> = wanted.collect();
        if wanted.is_empty() {
            return Ok(());
        }
        self.introduce(&table, &wanted)?;
        if self
            .gatherer
            .piles
            .get(&table)
            .is_some_and(|pile| !pile.events.is_empty() && pile.targets != wanted)
        {
            self.dispatch_table(&table)?;
        }
        if self.gatherer.since.is_none() {
            self.gatherer.since = Some(Instant::now());
        }
        let pile = self.gatherer.piles.entry(table.clone()).or_default();
        pile.bytes += rows.byte_len();
        pile.events.push(rows);
        pile.targets = wanted;
        if pile.bytes >= ITEM_BYTES || pile.events.len() >= ITEM_EVENTS {
            self.dispatch_table(&table)?;
        }
        Ok(())
    }

    /// Sends on what has been gathered of one table.
    pub(super) fn dispatch_table(&mut self, table: &TableId) -> Result<(), EngineError> {
        let Some(pile) = self.gatherer.piles.remove(table) else { return Ok(()) };
        if pile.events.is_empty() {
            return Ok(());
        }
        let bytes = pile.bytes * DECODED_FACTOR;
        self.dispatch(table, Work::Events(pile.events), bytes, &pile.targets, From::Stream)
    }

    /// Sends on everything that has been gathered.
    pub(super) fn dispatch_all(&mut self) -> Result<(), EngineError> {
        while let Some(table) = self.gatherer.piles.keys().next().cloned() {
            self.dispatch_table(&table)?;
        }
        self.gatherer.since = None;
        Ok(())
    }

    /// Hands rows to the workers and their slots to the targets.
    pub(super) fn dispatch(
        &mut self,
        table: &TableId,
        work: Work,
        bytes: usize,
        targets: &[usize],
        from: From,
    ) -> Result<(), EngineError> {
        if targets.is_empty() {
            return Ok(());
        }
        let run = self.run_of(table)?;
        let share = self.take_share(bytes)?;
        let mut outputs = Vec::with_capacity(targets.len());
        let labels = targets.iter().map(|&target| self.targets[target].label.clone()).collect();
        for &target in targets {
            let (output, slot) = oneshot::channel();
            outputs.push(output);
            self.targets[target].dirty = true;
            self.tell(target, TargetMessage::Rows { source: table.clone(), from, slot })?;
        }
        let (plugins, canary) = (self.planner.plugins.clone(), self.switches.canary.clone());
        let item = WorkItem { run, plugins, canary, work, outputs, targets: labels, share };
        self.workers.send(item).map_err(|_| EngineError::Lost("workers"))
    }

    /// Waits for memory, but not longer than the appliers live: one that has failed gives nothing back.
    fn take_share(&mut self, bytes: usize) -> Result<crate::budget::Share, EngineError> {
        let budget = self.shared.budget.clone();
        let runtime = self.runtime.clone();
        let appliers = &mut self.appliers;
        runtime.block_on(async {
            let mut take = std::pin::pin!(budget.take(bytes));
            loop {
                tokio::select! {
                    share = &mut take => return Ok(share),
                    Some(ended) = appliers.join_next() => match ended {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => return Err(error),
                        Err(_) => return Err(EngineError::Lost("applier")),
                    },
                }
            }
        })
    }
}
