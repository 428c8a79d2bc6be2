//! Where the snapshot meets the stream.
//!
//! A keyed table comes in chunks. Each is read inside a *window*: it opens between two transactions, the targets begin to keep
//! the keys that the stream touches, the reader takes its watermarks and rows, and the chunk waits here until the stream
//! has passed the high one. Then its rows follow in the targets' queues, without those that the stream has touched.
//!
//! A table without a key comes whole. The stream stands still for the moment in which the reader opens its snapshot, and
//! from then on only transactions that the snapshot does not hold are sent on. Its rows and those transactions are
//! committed together, when the last row has come, so a crash in between leaves nothing behind.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use sluicebox_model::{Position, TableId, TransactionId};
use sluicebox_mysql::{Chunk, ChunkRows};
use tokio::sync::oneshot;

use super::{Coordinator, Outcome, Target};
use crate::error::EngineError;
use crate::pipeline::messages::{Opened, Placed, SnapshotMessage, TargetMessage, Work};
use crate::sink::encode::From;
use crate::state::crash;

/// How long the stream stands still for a reader that opens its snapshot; it may have to wait for a lock.
const PAUSE: Duration = Duration::from_secs(60);

/// A window that is open.
struct Window {
    table: TableId,
    targets: Vec<usize>,
    /// False once the table has changed.
    valid: bool,
}

/// A chunk that waits for the stream.
struct Waiting {
    table: TableId,
    window: u64,
    chunk: Chunk,
    rows: ChunkRows,
    reply: oneshot::Sender<Placed>,
}

/// How far a table without a key is.
enum Unread {
    /// Nobody has begun to read it.
    Untouched,
    /// A snapshot is open that holds everything up to here.
    Since(Position),
    /// All its rows were sent on.
    Read(Position),
}

/// A table without a key counts as one chunk, of this number, where targets say what they hold. No chunk of a table with a key has it.
pub(super) const WHOLE: u64 = i64::MAX as u64;

/// Snapshots on their way.
pub(super) struct Snapshots {
    windows: HashMap<u64, Window>,
    next_window: u64,
    waiting: Vec<Waiting>,
    /// Tables without a key that are not whole at the sink.
    unread: HashMap<TableId, Unread>,
    /// Tables without a key whose rows are all on their way, before the stream has passed their marks.
    ending: Vec<(TableId, oneshot::Sender<()>)>,
    /// All tables that are not whole at the sink.
    reading: HashSet<TableId>,
    /// Those of them that wait with a target for an operator: chunks go on once it was approved.
    put_off: HashSet<TableId>,
}

impl Snapshots {
    pub fn new(unread: HashSet<TableId>, reading: HashSet<TableId>) -> Self {
        let unread = unread.into_iter().map(|table| (table, Unread::Untouched)).collect();
        let (windows, waiting, ending) = (HashMap::new(), Vec::new(), Vec::new());
        Self { windows, next_window: 1, waiting, unread, ending, reading, put_off: HashSet::new() }
    }

    /// Tables that feed this target and are not whole at the sink.
    fn reading_into(&self, target: &Target) -> Vec<TableId> {
        target.sources.iter().filter(|source| self.reading.contains(*source)).cloned().collect()
    }

    /// Whether a table that is not whole at the sink feeds this target.
    pub fn feeds(&self, target: &Target) -> bool {
        target.sources.iter().any(|source| self.reading.contains(source))
    }

    /// Whether a table without a key is not whole at the sink.
    pub fn any_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    /// Whether a snapshot holds, or will hold, a transaction's rows of a table without a key.
    pub fn holds_already(&self, table: &TableId, transaction: &TransactionId) -> bool {
        match self.unread.get(table) {
            None => false,
            Some(Unread::Untouched) => true,
            Some(Unread::Since(mark) | Unread::Read(mark)) => mark.covers(transaction),
        }
    }

    /// A table has changed: chunks read before that are void.
    pub fn disturb(&mut self, table: &TableId) -> Result<(), EngineError> {
        for window in self.windows.values_mut().filter(|w| w.table == *table) {
            window.valid = false;
        }
        match self.unread.get(table) {
            Some(Unread::Since(_)) => Err(EngineError::SnapshotDisturbed { table: table.clone() }),
            Some(Unread::Untouched | Unread::Read(_)) | None => Ok(()),
        }
    }

    /// Chunks of a table that are being read come under other plans than they were begun for.
    pub fn read_again(&mut self, table: &TableId) {
        for window in self.windows.values_mut().filter(|window| window.table == *table) {
            window.valid = false;
        }
    }

    /// Whether a table without a key is being read whole, or will be.
    pub fn is_being_read(&self, table: &TableId) -> bool {
        matches!(self.unread.get(table), Some(Unread::Since(_) | Unread::Untouched))
    }

    /// Whether a target may not commit yet, since a table without a key is only half read into it.
    pub fn holds_back(&self, target: &Target) -> bool {
        target.sources.iter().any(|s| self.is_being_read(s) && !target.holds_whole(s))
    }

    /// A table without a key of which this target has been sent a part, and no more.
    pub fn half_read_into(&self, target: &Target) -> Option<TableId> {
        let half =
            |s: &&TableId| matches!(self.unread.get(*s), Some(Unread::Since(_))) && !target.holds_whole(s);
        target.sources.iter().find(half).cloned()
    }

    /// Whether no checkpoint can be taken now: a target holds rows of finished sources that it may not commit yet.
    pub fn must_wait(&self, targets: &[Target]) -> bool {
        let mixed = |t: &Target| t.sources.iter().any(|s| !self.is_being_read(s));
        targets.iter().any(|t| t.dirty && !t.held && self.holds_back(t) && mixed(t))
    }

    /// Tables that are whole at the sink.
    pub fn forget(&mut self, read: &[TableId]) {
        for table in read {
            self.unread.remove(table);
            self.reading.remove(table);
        }
    }
}

impl Coordinator {
    /// A target takes no rows for now: what the snapshot read of its tables since the last checkpoint counts as not read, and nothing else
    /// of them is read, until the run that follows the approval. Chunks that are read again are harmless where rows have a key; of a table
    /// without one the target has nothing, since a change of any of its sources voids the reading before the target hears of it.
    pub(super) fn put_off_snapshots(&mut self, target: usize) -> Result<(), EngineError> {
        for table in self.snapshots.reading_into(&self.targets[target]) {
            let is_alone = self.run_of(&table)?.targets.len() == 1;
            match self.snapshots.unread.get(&table) {
                // It was whole before the change, and was committed with what came before it.
                Some(Unread::Read(_)) => continue,
                // Another target has half of it.
                Some(Unread::Since(_)) if !is_alone => {
                    return Err(EngineError::SnapshotDisturbed { table });
                }
                Some(Unread::Since(_)) => {
                    self.snapshots.unread.insert(table.clone(), Unread::Untouched);
                }
                Some(Unread::Untouched) | None => {}
            }
            for window in self.snapshots.windows.values_mut().filter(|window| window.table == table) {
                window.valid = false;
            }
            self.epochs.forget_chunks(&table);
            self.snapshots.put_off.insert(table);
        }
        Ok(())
    }

    pub(super) fn snapshot_message(&mut self, message: SnapshotMessage) -> Result<(), EngineError> {
        match message {
            SnapshotMessage::Open { table, reply } => self.open_window(&table, reply),
            SnapshotMessage::Chunk { table, window, chunk, rows, reply } => {
                self.snapshots.waiting.push(Waiting { table, window, chunk, rows, reply });
                Ok(())
            }
            SnapshotMessage::Abandon { window } => self.close_window(window),
            SnapshotMessage::Waits => Ok(()),
            SnapshotMessage::Pause { table, reply, mark } => {
                if !self.schemas.contains_key(&table) || self.snapshots.put_off.contains(&table) {
                    let _ = reply.send(None);
                    return Ok(());
                }
                let run = self.run_of(&table)?;
                if run.targets.iter().all(|&target| self.targets[target].holds_whole(&table)) {
                    // Each has committed it, and no checkpoint says so.
                    self.snapshots.unread.remove(&table);
                    self.table_read(table);
                    let _ = reply.send(None);
                    return Ok(());
                }
                let schema = self.schemas[&table].clone();
                let opened = Opened { window: 0, seen: self.position.clone(), schema };
                if reply.send(Some(opened)).is_ok()
                    && let Ok(mark) = mark.recv_timeout(PAUSE)
                {
                    self.snapshots.unread.insert(table, Unread::Since(mark));
                }
                Ok(())
            }
            SnapshotMessage::Whole { table, placed, .. } if self.snapshots.put_off.contains(&table) => {
                let _ = placed.send(());
                Ok(())
            }
            SnapshotMessage::Whole { table, batch, placed } => {
                let run = self.run_of(&table)?;
                let bytes = batch.byte_size();
                self.telemetry.snapshot_rows(batch.rows() as u64);
                let targets = self.lacking_whole(&table, &run.targets);
                self.introduce(&table, &targets)?;
                self.dispatch(&table, Work::Read(batch), bytes, &targets, From::Whole)?;
                let _ = placed.send(());
                Ok(())
            }
            SnapshotMessage::WholeRead { table, passed } if self.snapshots.put_off.contains(&table) => {
                let _ = passed.send(());
                Ok(())
            }
            SnapshotMessage::WholeRead { table, passed } => {
                self.snapshots.ending.push((table, passed));
                self.end_whole_tables()
            }
            SnapshotMessage::TableRead(table) if self.snapshots.put_off.contains(&table) => Ok(()),
            SnapshotMessage::TableRead(table) => {
                self.table_read(table);
                Ok(())
            }
            SnapshotMessage::Done if !self.snapshots.put_off.is_empty() => {
                tracing::info!("snapshot read but for tables that wait for an operator");
                Ok(())
            }
            SnapshotMessage::Done => {
                tracing::info!("snapshot read, streaming");
                self.telemetry.snapshot_done();
                crash::in_phase("snapshot-read");
                if self.finish_after_snapshot {
                    self.ending = Some(Outcome::Finished);
                }
                Ok(())
            }
            SnapshotMessage::Failed(error) => Err(error),
        }
    }

    fn table_read(&mut self, table: TableId) {
        tracing::info!(%table, "snapshot of table read");
        self.telemetry.table_read();
        self.commit_replaced(&table);
        self.epochs.read.push(table);
        crash::in_phase("table-read");
    }

    /// Tables that were read whole may be committed once the stream has passed the marks of their snapshots.
    pub(super) fn end_whole_tables(&mut self) -> Result<(), EngineError> {
        let ending = std::mem::take(&mut self.snapshots.ending);
        for (table, passed) in ending {
            match self.snapshots.unread.get(&table) {
                Some(Unread::Since(mark)) if !self.position.includes(mark) => {
                    self.snapshots.ending.push((table, passed));
                    continue;
                }
                Some(Unread::Since(mark)) => {
                    let mark = mark.clone();
                    self.snapshots.unread.insert(table.clone(), Unread::Read(mark));
                    let targets = self.run_of(&table)?.targets.clone();
                    for target in self.lacking_whole(&table, &targets) {
                        self.targets[target].chunks.push((table.to_string(), WHOLE));
                    }
                }
                Some(Unread::Untouched | Unread::Read(_)) | None => {}
            }
            self.table_read(table);
            // A reader that has gone needs no answer.
            let _ = passed.send(());
        }
        Ok(())
    }

    /// Targets that a table without a key is read into: those that have not committed it before a crash, when others had not yet.
    fn lacking_whole(&self, table: &TableId, targets: &[usize]) -> Vec<usize> {
        targets.iter().copied().filter(|&target| !self.targets[target].holds_whole(table)).collect()
    }

    fn open_window(
        &mut self,
        table: &TableId,
        reply: oneshot::Sender<Option<Opened>>,
    ) -> Result<(), EngineError> {
        let wanted = self.schemas.get(table).filter(|_| !self.snapshots.put_off.contains(table));
        let Some(schema) = wanted.cloned() else {
            let _ = reply.send(None);
            return Ok(());
        };
        self.dispatch_table(table)?;
        let run = self.run_of(table)?;
        let window = self.snapshots.next_window;
        self.snapshots.next_window += 1;
        for &target in &run.targets {
            self.tell(target, TargetMessage::OpenWindow(window))?;
        }
        let targets = run.targets.clone();
        self.snapshots.windows.insert(window, Window { table: table.clone(), targets, valid: true });
        let opened = Opened { window, seen: self.position.clone(), schema };
        if reply.send(Some(opened)).is_err() {
            self.close_window(window)?;
        }
        Ok(())
    }

    fn close_window(&mut self, window: u64) -> Result<(), EngineError> {
        let Some(Window { targets, .. }) = self.snapshots.windows.remove(&window) else { return Ok(()) };
        for target in targets {
            self.tell(target, TargetMessage::CloseWindow(window))?;
        }
        Ok(())
    }

    /// Sends on the chunks whose high watermark the stream has passed.
    pub(super) fn place_chunks(&mut self) -> Result<(), EngineError> {
        let mut at = 0;
        while at < self.snapshots.waiting.len() {
            if self.position.includes(&self.snapshots.waiting[at].rows.high) {
                let ready = self.snapshots.waiting.swap_remove(at);
                self.place_chunk(ready)?;
            } else {
                at += 1;
            }
        }
        Ok(())
    }

    /// Targets that a chunk is sent to. Where a plugin remembers its rows, those that hold it from before a crash are left out: the plugin
    /// must not see them twice.
    fn lacking(&mut self, table: &TableId, chunk: u64, window: u64) -> Result<Vec<usize>, EngineError> {
        let targets = self.snapshots.windows.get(&window).map(|w| w.targets.clone()).unwrap_or_default();
        if !self.run_of(table)?.is_ordered() {
            return Ok(targets);
        }
        let chunk = (table.to_string(), chunk);
        let lacks = |target: &usize| !self.targets[*target].held_chunks.contains(&chunk);
        Ok(targets.into_iter().filter(lacks).collect())
    }

    /// A chunk is on its way to targets: their next commits hold it.
    fn sent(&mut self, table: &TableId, chunk: u64, targets: &[usize]) -> Result<(), EngineError> {
        if self.run_of(table)?.is_ordered() {
            for &target in targets {
                self.targets[target].chunks.push((table.to_string(), chunk));
            }
        }
        Ok(())
    }

    fn place_chunk(&mut self, ready: Waiting) -> Result<(), EngineError> {
        let Waiting { table, window, chunk, rows, reply } = ready;
        let valid =
            self.snapshots.windows.get(&window).is_some_and(|w| w.valid) && self.schemas.contains_key(&table);
        if valid {
            self.dispatch_table(&table)?;
            let targets = self.lacking(&table, chunk.number, window)?;
            self.introduce(&table, &targets)?;
            for batch in rows.batches {
                let bytes = batch.byte_size();
                self.telemetry.snapshot_rows(batch.rows() as u64);
                self.dispatch(&table, Work::Read(batch), bytes, &targets, From::Window(window))?;
            }
            self.sent(&table, chunk.number, &targets)?;
            self.epochs.delivered.push((table.to_string(), chunk.number));
            self.telemetry.chunk_done();
        }
        self.close_window(window)?;
        let _ = reply.send(if valid { Placed::Yes } else { Placed::ReadAgain });
        Ok(())
    }
}
