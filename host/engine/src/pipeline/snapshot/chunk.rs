//! Reading of a chunk, and its cut where its rows are too wide.
//!
//! Goal: whatever the width of the rows, a reader holds a bounded number of bytes. How wide they are shows when they come: what exceeds the
//! bound is thrown away, and the rows for which there was room are the measure for a cut, which the server makes as it makes all others.
//! Later chunks of the table are cut by the same measure, so that this happens a few times in a table.
//!
//! Order: a cut makes a *piece* of the chunk's beginning, a chunk of its own with a number of its own, and leaves the chunk the rest; both
//! are recorded at once, before the piece is read. A crash therefore finds every row in exactly one chunk, delivered or not.
//!
//! What cannot be cut is read as it is: one row, and rows alike in a column that the table is cut by.

use sluicebox_model::{Position, TableId, TableSchema};
use sluicebox_mysql::{Chunk, ChunkRead, ChunkRows, MysqlError, SnapshotReader};
use tokio::sync::oneshot;

use super::{ATTEMPTS, Job, PAUSE, Snapshot, Stop, TABLE_CHANGED};
use crate::pipeline::messages::{Opened, Placed, SnapshotMessage};
use crate::state::{FIRST_PIECE, StateError, crash};

/// Whether a chunk is cut before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    No,
    /// Where it has more rows than the table's measure.
    May,
    /// It has more than there is room for.
    Must,
}

/// What became of one attempt.
enum Attempt {
    Done,
    Again,
    /// Its rows are too wide; of its first there is room for so many.
    TooWide(u64),
}

impl Snapshot {
    /// Rows of a chunk of the table.
    pub(super) fn rows_of(&self, table: &TableId) -> u64 {
        let measured = self.room.borrow().get(table).copied();
        measured.map_or(self.plan.chunk_rows, |room| room.min(self.plan.chunk_rows))
    }

    /// Half of what there was room for, since the next rows may be wider than these.
    fn measure(&self, table: &TableId, room: u64) {
        let rows = (room / 2).max(1).min(self.rows_of(table));
        tracing::debug!(%table, rows, "rows are wide: chunks are made smaller");
        self.room.borrow_mut().insert(table.clone(), rows);
    }

    pub(super) async fn read_chunk(
        &self,
        reader: &mut Option<SnapshotReader>,
        mut job: Job,
    ) -> Result<(), Stop> {
        let table = job.schema.id.clone();
        let is_measured = self.rows_of(&table) < self.plan.chunk_rows && job.chunk.number < FIRST_PIECE;
        // A target that has it from before a crash knows it by its number, and would not know a piece of it.
        let is_held = self.plan.held.contains(&(table.to_string(), job.chunk.number));
        let mut cut = if is_measured && !is_held { Cut::May } else { Cut::No };
        let mut most_bytes = if is_held { usize::MAX } else { self.plan.chunk_bytes };
        let mut attempts = 0;
        loop {
            if cut != Cut::No {
                if let Some(piece) = self.cut_off(reader, &mut job, &mut attempts).await? {
                    Box::pin(self.read_chunk(reader, piece)).await?;
                    cut = Cut::May;
                    continue;
                }
                if cut == Cut::Must {
                    most_bytes = usize::MAX;
                }
            }
            cut = Cut::No;
            match self.attempt(reader, &table, &job.chunk, most_bytes, &mut attempts).await? {
                Attempt::Done => return Ok(()),
                Attempt::Again => {}
                Attempt::TooWide(room) => {
                    self.measure(&table, room);
                    cut = Cut::Must;
                }
            }
        }
    }

    async fn attempt(
        &self,
        reader: &mut Option<SnapshotReader>,
        table: &TableId,
        chunk: &Chunk,
        most_bytes: usize,
        attempts: &mut u32,
    ) -> Result<Attempt, Stop> {
        self.wait_until_calm(reader).await?;
        self.wait_for_replicas().await?;
        let (reply, opened) = oneshot::channel();
        self.send(SnapshotMessage::Open { table: table.clone(), reply })?;
        // None: the table has gone, and with it the chunk.
        let Some(Opened { window, seen, schema }) = opened.await.map_err(|_| Stop::Gone)? else {
            return Ok(Attempt::Done);
        };
        crash::in_phase("window-open");
        let error = match self.read_rows(reader, &schema, chunk, &seen, most_bytes).await {
            Ok(ChunkRead::Rows(rows)) => return self.place(table, window, chunk, rows).await,
            Ok(ChunkRead::TooWide { room }) => {
                self.send(SnapshotMessage::Abandon { window })?;
                return Ok(Attempt::TooWide(room));
            }
            Err(error) => error,
        };
        self.send(SnapshotMessage::Abandon { window })?;
        let changed = matches!(&error, MysqlError::Statement { code, .. } if TABLE_CHANGED.contains(code));
        if changed && *attempts < ATTEMPTS {
            *attempts += 1;
            tokio::time::sleep(PAUSE).await;
        } else {
            *reader = None;
            self.again(attempts, error).await?;
        }
        Ok(Attempt::Again)
    }

    /// Hands a chunk's rows over and waits until the stream has passed their mark.
    async fn place(
        &self,
        table: &TableId,
        window: u64,
        chunk: &Chunk,
        rows: ChunkRows,
    ) -> Result<Attempt, Stop> {
        crash::in_phase("chunk-read");
        let count = rows.batches.iter().map(|b| b.rows() as u64).sum();
        let bytes = rows.batches.iter().map(|b| b.byte_size() as u64).sum();
        let (reply, placed) = oneshot::channel();
        let chunk = chunk.clone();
        self.send(SnapshotMessage::Chunk { table: table.clone(), window, chunk, rows, reply })?;
        let placed = placed.await.map_err(|_| Stop::Gone)?;
        crash::in_phase("chunk-placed");
        self.slow_down(count, bytes).await?;
        Ok(match placed {
            Placed::Yes => Attempt::Done,
            Placed::ReadAgain => Attempt::Again,
        })
    }

    async fn read_rows(
        &self,
        reader: &mut Option<SnapshotReader>,
        schema: &std::sync::Arc<TableSchema>,
        chunk: &Chunk,
        seen: &Position,
        most_bytes: usize,
    ) -> Result<ChunkRead, MysqlError> {
        let reader = match reader {
            Some(reader) => reader,
            None => reader.insert(self.connect().await?),
        };
        reader.read_chunk(schema, chunk, seen, most_bytes).await
    }

    /// Cuts a piece of the table's measure off the chunk's beginning; none where the chunk is no larger, or cannot be cut.
    async fn cut_off(
        &self,
        reader: &mut Option<SnapshotReader>,
        job: &mut Job,
        attempts: &mut u32,
    ) -> Result<Option<Job>, Stop> {
        let (schema, chunk) = (&job.schema, &mut job.chunk);
        while reader.is_none() {
            match self.connect().await {
                Ok(connected) => *reader = Some(connected),
                Err(error) => self.again(attempts, error).await?,
            }
        }
        let Some(connected) = reader else { return Ok(None) };
        let range = (chunk.after.as_ref(), chunk.up_to.as_ref());
        let Some(bound) = self.next_bound(connected, schema, chunk.by.as_deref(), range).await? else {
            return Ok(None);
        };
        let mut piece = Chunk { up_to: Some(bound.clone()), ..chunk.clone() };
        chunk.after = Some(bound);
        let rest = serde_json::to_string(chunk).map_err(StateError::from)?;
        let made = piece.clone();
        let store = &self.plan.store;
        piece.number = store
            .chunk_cut(&schema.id.to_string(), (chunk.number, rest), move |number| {
                serde_json::to_string(&Chunk { number, ..made })
            })
            .await?;
        crash::in_phase("chunk-cut-off");
        self.plan.telemetry.chunks_planned(1);
        Ok(Some(Job { schema: std::sync::Arc::clone(schema), chunk: piece }))
    }
}
