//! Barriers and checkpoints.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sluicebox_model::{Position, TableId};

use super::Coordinator;
use crate::error::EngineError;
use crate::pipeline::messages::{Report, TargetMessage};
use crate::state::Flushed;
use crate::telemetry::now_ms;

/// Which epoch is on its way, and where the last one ended.
pub(super) struct Epochs {
    /// The last epoch that was begun.
    current: u64,
    interval: Duration,
    last_begun: Instant,
    /// Where the checkpoint stands.
    committed: Position,
    outstanding: Option<Outstanding>,
    /// Chunks whose rows were sent on since the last barrier.
    pub delivered: Vec<(String, u64)>,
    /// Tables whose last rows were sent on since the last barrier.
    pub read: Vec<TableId>,
}

/// An epoch that not every target has committed.
struct Outstanding {
    epoch: u64,
    position: Arc<Position>,
    waiting: HashSet<usize>,
    delivered: Vec<(String, u64)>,
    read: Vec<TableId>,
    begun: Instant,
}

impl Epochs {
    pub fn new(current: u64, committed: Position, interval: Duration, now: Instant) -> Self {
        Self {
            current,
            interval,
            last_begun: now,
            committed,
            outstanding: None,
            delivered: Vec::new(),
            read: Vec::new(),
        }
    }

    /// The epoch that rows sent on now belong to.
    pub fn next(&self) -> u64 {
        self.current + 1
    }

    /// Chunks of a table that no checkpoint holds yet count as not read.
    pub fn forget_chunks(&mut self, table: &TableId) {
        let name = table.to_string();
        self.delivered.retain(|(of, _)| *of != name);
        self.read.retain(|of| of != table);
        if let Some(outstanding) = &mut self.outstanding {
            outstanding.delivered.retain(|(of, _)| *of != name);
            outstanding.read.retain(|of| of != table);
        }
    }

    /// Whether a barrier is due.
    pub fn is_due(&self, now: Instant) -> bool {
        self.is_free() && now.duration_since(self.last_begun) >= self.interval
    }

    /// Whether no epoch is on its way.
    pub fn is_free(&self) -> bool {
        self.outstanding.is_none()
    }

    /// Whether the checkpoint stands at this position and nothing is on its way.
    pub fn is_settled(&self, position: &Position) -> bool {
        self.is_free() && self.committed == *position && self.delivered.is_empty() && self.read.is_empty()
    }
}

impl Coordinator {
    /// Ends the epoch here, at a transaction's end.
    pub(super) fn begin_epoch(&mut self, now: Instant) -> Result<(), EngineError> {
        if self.is_settled() {
            self.epochs.last_begun = now;
            return Ok(());
        }
        self.dispatch_all()?;
        let epoch = self.epochs.next();
        self.epochs.current = epoch;
        self.epochs.last_begun = now;
        let position = Arc::new(self.position.clone());
        let mut waiting = HashSet::new();
        for target in 0..self.targets.len() {
            let idle = !self.targets[target].dirty || self.targets[target].held;
            if idle || self.snapshots.holds_back(&self.targets[target]) {
                continue;
            }
            self.targets[target].dirty = false;
            waiting.insert(target);
            let chunks = std::mem::take(&mut self.targets[target].chunks);
            let position = Position::clone(&position);
            let remade = self.targets[target].take_remade();
            let holds = Flushed { position, letters: Vec::new(), chunks, remade };
            self.tell(target, TargetMessage::Barrier { epoch, holds: Box::new(holds) })?;
        }
        let delivered = std::mem::take(&mut self.epochs.delivered);
        let read = std::mem::take(&mut self.epochs.read);
        self.epochs.outstanding = Some(Outstanding { epoch, position, waiting, delivered, read, begun: now });
        self.finish_epoch_if_whole()
    }

    pub(super) fn reported(&mut self, report: Report) -> Result<(), EngineError> {
        match report {
            Report::Committed { target, epoch } => {
                if let Some(outstanding) = self.epochs.outstanding.as_mut().filter(|o| o.epoch == epoch) {
                    outstanding.waiting.remove(&target);
                }
            }
            Report::Swept { target } => self.was_swept(target),
            Report::Held { target, at } => {
                self.hold(target, at)?;
                if let Some(outstanding) = &mut self.epochs.outstanding {
                    outstanding.waiting.remove(&target);
                }
            }
        }
        self.finish_epoch_if_whole()
    }

    /// Targets that hold everything up to a position at which an epoch has ended, and have no later one of their own.
    fn targets_at(&self, position: &Position) -> Vec<String> {
        let holds = |t: &&super::Target| {
            let is_further = t.ahead.as_ref().is_some_and(|ahead| !position.includes(ahead));
            !t.held && !is_further && !self.snapshots.holds_back(t)
        };
        self.targets.iter().filter(holds).map(|t| t.label.clone()).collect()
    }

    fn finish_epoch_if_whole(&mut self) -> Result<(), EngineError> {
        let Some(outstanding) = self.epochs.outstanding.take_if(|o| o.waiting.is_empty()) else {
            return Ok(());
        };
        let Outstanding { epoch, position, delivered, read, begun, .. } = outstanding;
        // A restart reads again from where the target stands that is held; the others keep their own positions, also those that had
        // nothing to commit: should binlog go meanwhile, they have lost nothing.
        if self.pinned.is_some() {
            self.store.targets_hold(epoch, &position, self.targets_at(&position))?;
        }
        let position = self.pinned.as_ref().map_or(position, |pinned| Arc::new(pinned.clone()));
        let tables: Vec<String> = read.iter().map(ToString::to_string).collect();
        for target in &mut self.targets {
            target.ahead.take_if(|ahead| position.includes(ahead));
            // The checkpoint says it from here on.
            target.chunks.retain(|(table, _)| !tables.contains(table));
            target.held_chunks.retain(|(table, _)| !tables.contains(table));
        }
        self.ahead.retain(|_, ahead| !position.includes(ahead));
        // A target that is further than this checkpoint keeps its own position.
        let is_pinned = self.pinned.is_some();
        let is_ahead = |t: &&super::Target| t.ahead.is_some() || (is_pinned && !t.held);
        let still_ahead = self.targets.iter().filter(is_ahead).map(|t| t.label.clone());
        let still_ahead = still_ahead.chain(self.ahead.keys().cloned()).collect();
        self.store.epoch_committed(epoch, &position, now_ms(), delivered, tables, still_ahead)?;
        self.snapshots.forget(&read);
        self.telemetry.checkpoint(&position, now_ms());
        self.store.set_meta("progress", &self.telemetry.progress())?;
        tracing::debug!(epoch, took_ms = begun.elapsed().as_millis(), "checkpoint");
        self.epochs.committed = Arc::unwrap_or_clone(position);
        Ok(())
    }
}
