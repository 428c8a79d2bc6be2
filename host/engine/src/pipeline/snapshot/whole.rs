//! Tables whose rows are appended: read whole, inside one snapshot.
//!
//! An ordinary sink table cannot take a row twice and make one of it, so each row has to come from the snapshot or from the stream, and
//! what tells them apart is one place of the binlog. All connections that read the table open their snapshots at that place, while the
//! table is locked against writing for a moment; from then on they read ranges of it in any order and at any time, and the rows are the same as
//! in one statement. Nothing is committed before the last range has come: after a failure or a crash the table begins anew.

use std::rc::Rc;
use std::sync::Arc;

use crossbeam::channel::Sender;
use sluicebox_model::{ChangeBatch, TableId, TableSchema};
use sluicebox_mysql::{Chunk, MysqlError, SnapshotReader};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinSet;

use super::{CHUNKS_AHEAD, Snapshot, Stop};
use crate::error::EngineError;
use crate::pipeline::messages::{Opened, SnapshotMessage};
use crate::state::crash;

/// Ranges of a table on their way to whoever reads them next.
type Ranges = Rc<Mutex<mpsc::Receiver<Chunk>>>;

impl Snapshot {
    /// Reads a table from one snapshot: cut by a column or by its key, on several connections; else in one statement. Gives the
    /// connection back.
    pub(super) async fn read_whole(
        self: &Rc<Self>,
        first: SnapshotReader,
        schema: &Arc<TableSchema>,
        by: Option<&str>,
    ) -> Result<SnapshotReader, Stop> {
        let table = &schema.id;
        let mut readers = vec![first];
        if by.is_some() || !schema.key.is_empty() {
            // One cuts, the others read. They are connected before the stream stands still.
            for _ in 0..self.plan.readers {
                readers.push(self.connect().await?);
            }
        }
        let (reply, opened) = oneshot::channel();
        let (mark, marked) = crossbeam::channel::bounded(1);
        self.send(SnapshotMessage::Pause { table: table.clone(), reply, mark: marked })?;
        let Some(Opened { seen, schema, .. }) = opened.await.map_err(|_| Stop::Gone)? else {
            return Ok(readers.swap_remove(0));
        };
        crash::in_phase("stream-paused");
        let exact = SnapshotReader::open_exact_together(&mut readers, &schema, &seen).await?;
        if !exact.exact {
            tracing::warn!(%table, "table whose rows are appended: changes of the moment at which its snapshot opened may come twice; grant LOCK TABLES to avoid it");
        }
        mark.send(exact.position).map_err(|_| Stop::Gone)?;
        crash::in_phase("whole-opened");
        let first = readers.swap_remove(0);
        // The column may have gone since it was chosen.
        let by = by.filter(|by| schema.index_of(by).is_some());
        let (first, replaced) = match by.is_some() || !schema.key.is_empty() {
            true => self.read_ranges(first, readers, &schema, by).await?,
            false => self.read_at_once(first, &schema).await?,
        };
        crash::in_phase("whole-read");
        self.plan.telemetry.replaced(replaced);
        let (reply, passed) = oneshot::channel();
        self.send(SnapshotMessage::WholeRead { table: table.clone(), passed: reply })?;
        passed.await.map_err(|_| Stop::Gone)?;
        Ok(first)
    }

    async fn read_at_once(
        &self,
        mut reader: SnapshotReader,
        schema: &Arc<TableSchema>,
    ) -> Result<(SnapshotReader, u64), Stop> {
        let mut gone = false;
        let sink = async |batch| {
            gone = self.hand_over(&schema.id, batch).await.is_err();
            if gone { Err(MysqlError::Stopped) } else { Ok(()) }
        };
        let read = reader.read_exact(schema, None, sink).await;
        // Half of the table is in an open session: the pipeline begins again from its checkpoint without it.
        let replaced = read.map_err(|error| if gone { Stop::Gone } else { error.into() })?;
        Ok((reader, replaced))
    }

    /// Cuts on one connection and reads on the others.
    async fn read_ranges(
        self: &Rc<Self>,
        mut cutter: SnapshotReader,
        readers: Vec<SnapshotReader>,
        schema: &Arc<TableSchema>,
        by: Option<&str>,
    ) -> Result<(SnapshotReader, u64), Stop> {
        tracing::info!(table = %schema.id, connections = readers.len(), "reading a table whole, in ranges");
        let (ranges, queue) = mpsc::channel(readers.len() * CHUNKS_AHEAD);
        let queue: Ranges = Rc::new(Mutex::new(queue));
        let mut tasks = JoinSet::new();
        for reader in readers {
            let this = Rc::clone(self);
            tasks.spawn_local(this.read_some_ranges(reader, Arc::clone(schema), Rc::clone(&queue)));
        }
        drop(queue);
        let mut after = None;
        for number in 0.. {
            let up_to = cutter.next_bound(schema, by, (after.as_ref(), None), self.plan.chunk_rows).await?;
            let range = Chunk { number, after, up_to: up_to.clone(), by: by.map(str::to_owned) };
            // Readers that have ended say why below.
            if ranges.send(range).await.is_err() || up_to.is_none() {
                break;
            }
            after = up_to;
        }
        drop(ranges);
        let mut replaced = 0;
        while let Some(ended) = tasks.join_next().await {
            replaced += ended.map_err(|_| Stop::Failed(EngineError::Lost("snapshot task")))??;
        }
        cutter.end_exact().await?;
        Ok((cutter, replaced))
    }

    async fn read_some_ranges(
        self: Rc<Self>,
        mut reader: SnapshotReader,
        schema: Arc<TableSchema>,
        ranges: Ranges,
    ) -> Result<u64, Stop> {
        let mut replaced = 0;
        loop {
            let range = ranges.lock().await.recv().await;
            let Some(range) = range else { break };
            let mut held = Some(reader);
            self.wait_until_calm(&mut held).await?;
            self.wait_for_replicas().await?;
            reader = held.ok_or(Stop::Failed(EngineError::Lost("connection of a snapshot")))?;
            let mut gone = false;
            let sink = async |batch| {
                gone = self.hand_over(&schema.id, batch).await.is_err();
                if gone { Err(MysqlError::Stopped) } else { Ok(()) }
            };
            let read = reader.read_exact_range(&schema, &range, sink).await;
            replaced += read.map_err(|error| if gone { Stop::Gone } else { error.into() })?;
        }
        reader.end_exact().await?;
        reader.close().await;
        Ok(replaced)
    }

    /// Hands rows to the coordinator, and waits as long as it and the limits want it.
    async fn hand_over(&self, table: &TableId, batch: ChangeBatch) -> Result<(), Stop> {
        let (rows, bytes) = (batch.rows() as u64, batch.byte_size() as u64);
        let (placed, done) = oneshot::channel();
        let messages: &Sender<SnapshotMessage> = &self.messages;
        messages
            .send(SnapshotMessage::Whole { table: table.clone(), batch, placed })
            .map_err(|_| Stop::Gone)?;
        done.await.map_err(|_| Stop::Gone)?;
        crash::in_phase("whole-sent");
        self.slow_down(rows, bytes).await
    }
}
