//! Sink tables, as the coordinator knows them.

use std::collections::HashSet;
use std::sync::Arc;

use sluicebox_maxcompute::TableName;
use sluicebox_model::{Position, TableId, TransactionId};
use tokio::sync::mpsc;

use super::Coordinator;
use super::snapshots::WHOLE;
use crate::error::EngineError;
use crate::pipeline::applier::Applier;
use crate::pipeline::messages::TargetMessage;
use crate::pipeline::tables::Landing;
use crate::state::Remake;

/// Messages waiting for one target. Their rows are in the memory budget already; this bounds the number of tiny batches.
const TARGET_QUEUE: usize = 64;

/// One sink table.
pub(super) struct Target {
    pub name: TableName,
    pub label: String,
    pub queue: mpsc::Sender<TargetMessage>,
    /// What it holds beyond the checkpoint, until the stream has passed it.
    pub ahead: Option<Position>,
    /// Whether it was sent rows since its last barrier.
    pub dirty: bool,
    /// Sources that have been planned for it.
    pub sources: HashSet<TableId>,
    /// Whether its applier knows what its rows look like.
    pub introduced: bool,
    /// Whether a change of it waits for an operator: it gets no rows.
    pub held: bool,
    /// Snapshot chunks that it was sent since its last commit, of tables with a plugin that remembers and of tables without a key.
    pub chunks: Vec<(String, u64)>,
    /// How far it is where it is made whole again, after binlog was lost.
    pub remade: Remade,
    /// Such chunks that it holds from an earlier run, and no checkpoint does.
    pub held_chunks: HashSet<(String, u64)>,
}

/// How far a target is that is made whole again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remade {
    /// Nothing is to be done, or its applier does it by itself with its next commit.
    No,
    /// Its sources are being read.
    Reading(Remake),
    /// Its applier looks for rows that vanished.
    Sweeping,
    /// It is whole once it has committed.
    Swept,
}

impl Target {
    /// Whether it has committed a table without a key as a whole, which the checkpoint does not say.
    pub fn holds_whole(&self, table: &TableId) -> bool {
        !self.held_chunks.is_empty() && self.held_chunks.contains(&(table.to_string(), WHOLE))
    }
}

impl Coordinator {
    pub(super) fn target_of(&mut self, landing: &Landing, source: &TableId) -> Result<usize, EngineError> {
        let number = match self.by_name.get(&landing.name) {
            Some(&number) => number,
            None => self.new_target(&landing.name)?,
        };
        self.targets[number].sources.insert(source.clone());
        Ok(number)
    }

    fn new_target(&mut self, name: &TableName) -> Result<usize, EngineError> {
        let number = self.targets.len();
        let (queue, messages) = mpsc::channel(TARGET_QUEUE);
        let applier =
            Applier::new(Arc::clone(&self.shared), number, name.clone(), self.epochs.next(), messages);
        self.appliers.spawn_on(applier.run(), &self.runtime);
        let label = name.to_string();
        let ahead = self.ahead.remove(&label);
        let remade = self.shared.remakes.get(&label).map_or(Remade::No, |how| Remade::Reading(*how));
        let held_chunks = self.target_chunks.remove(&label).unwrap_or_default();
        self.targets.push(Target {
            name: name.clone(),
            label,
            queue,
            ahead,
            dirty: false,
            sources: HashSet::new(),
            introduced: false,
            held: false,
            chunks: Vec::new(),
            remade,
            held_chunks,
        });
        self.by_name.insert(name.clone(), number);
        Ok(number)
    }

    pub(super) fn tell(&mut self, target: usize, message: TargetMessage) -> Result<(), EngineError> {
        self.targets[target].queue.blocking_send(message).map_err(|_| EngineError::Lost("applier"))
    }

    /// Whether a target has a transaction already.
    pub(super) fn covers(&self, target: usize, transaction: &TransactionId) -> bool {
        self.targets[target].ahead.as_ref().is_some_and(|ahead| ahead.covers(transaction))
    }
}
