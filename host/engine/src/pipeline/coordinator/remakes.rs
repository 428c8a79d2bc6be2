//! Sink tables that are made whole again after binlog was lost (`anew`).
//!
//! A table with a key is swept when the checkpoint holds its sources whole: then every row that is there was sent to it since the beginning anew,
//! by the snapshot or by the stream, and what else it holds has vanished at the source. It is whole when the deletes have been committed.
//! A table without a key is whole with its first commit, which replaces what it holds.

use super::Coordinator;
use super::targets::{Remade, Target};
use crate::error::EngineError;
use crate::pipeline::messages::TargetMessage;
use crate::state::Remake;

impl Coordinator {
    /// Plans the tables whose targets are to be made whole, also those that have no rows.
    pub(super) fn enter_remakes(&mut self) -> Result<(), EngineError> {
        if self.shared.remakes.is_empty() {
            return Ok(());
        }
        let mut tables: Vec<_> = self.schemas.keys().cloned().collect();
        tables.sort();
        for table in &tables {
            self.run_of(table)?;
        }
        let goes_nowhere = |label: &&String| !self.targets.iter().any(|target| target.label == **label);
        let forgotten: Vec<String> = self.shared.remakes.keys().filter(goes_nowhere).cloned().collect();
        for target in &forgotten {
            tracing::warn!(
                target,
                "no table goes there any more: rows that vanished while binlog was lost stay in it"
            );
        }
        Ok(self.store.forget_remakes(forgotten)?)
    }

    /// Whether a target is not whole again.
    pub(super) fn any_remade(&self) -> bool {
        self.targets.iter().any(|target| target.remade != Remade::No)
    }

    /// Has targets swept whose sources the checkpoint holds whole.
    pub(super) fn sweep_what_was_read(&mut self) -> Result<(), EngineError> {
        if self.shared.remakes.is_empty() {
            return Ok(());
        }
        for number in 0..self.targets.len() {
            let target = &self.targets[number];
            if target.remade != Remade::Reading(Remake::Sweep) || target.held || self.snapshots.feeds(target)
            {
                continue;
            }
            self.targets[number].remade = Remade::Sweeping;
            let Some(source) = self.targets[number].sources.iter().next().cloned() else { continue };
            self.introduce(&source, &[number])?;
            self.tell(number, TargetMessage::Sweep)?;
        }
        Ok(())
    }

    /// A target without a key is whole with the commit that comes when its sources were read, also where they have no rows.
    pub(super) fn commit_replaced(&mut self, sources_of: &sluicebox_model::TableId) {
        let replaced = |target: &&mut Target| {
            target.remade == Remade::Reading(Remake::Replace) && target.sources.contains(sources_of)
        };
        for target in self.targets.iter_mut().filter(replaced) {
            target.dirty = true;
        }
    }

    /// A target has been looked through: its next commit says that it is whole.
    pub(super) fn was_swept(&mut self, number: usize) {
        self.targets[number].remade = Remade::Swept;
        self.targets[number].dirty = true;
    }
}

impl Target {
    /// Whether the commit that is sent for now makes it whole.
    pub(super) fn take_remade(&mut self) -> bool {
        match self.remade {
            Remade::Swept | Remade::Reading(Remake::Replace) => {
                let swept = self.remade == Remade::Swept;
                self.remade = Remade::No;
                swept
            }
            Remade::No | Remade::Reading(Remake::Sweep) | Remade::Sweeping => false,
        }
    }
}
