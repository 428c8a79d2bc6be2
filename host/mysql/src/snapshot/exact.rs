//! Tables without a key: one snapshot of the whole table, at a place of the binlog that is known exactly.
//!
//! Without a key nothing can be merged, so rows must be those of the mark and no others. Neither server names the place of a
//! snapshot so that it can be relied on. So a read lock on the table holds writers back for the moment in which the mark is
//! taken and the snapshot opens: the lock waits until every transaction that wrote to the table is done, and then what the
//! mark names of this table is exactly what the snapshot shows. Where the account may not lock the table, the mark is taken
//! before the snapshot opens all the same: nothing is lost, what is committed between the two may come twice, and the caller
//! is told.

use std::sync::Arc;

use sluicebox_model::{ChangeBatch, Position, TableSchema};

use super::bound::Condition;
use super::rows::BatchAssembler;
use super::{CHUNK_DEADLINE_S, Chunk, ExactMark, SnapshotReader, column_list, full_name, where_of};
use crate::client::Client;
use crate::control::locks_wait_for_commits;
use crate::error::MysqlError;

/// How a table is cut that is read from one snapshot: one statement after another, none of which takes long.
#[derive(Debug, Clone, Copy)]
pub struct Pieces<'a> {
    /// A column that is never null.
    pub by: &'a str,
    /// Rows of a piece; rows alike in the column stay in one.
    pub rows: u64,
}

impl SnapshotReader {
    /// Opens a snapshot for [`SnapshotReader::read_exact`] that includes `seen`.
    ///
    /// # Errors
    ///
    /// As [`SnapshotReader::read_chunk`]; also [`MysqlError::Statement`] with 1205 when the table is in use by a long
    /// transaction or statement, so that it could not be locked within moments: try again later.
    pub async fn open_exact(
        &mut self,
        schema: &TableSchema,
        seen: &Position,
    ) -> Result<ExactMark, MysqlError> {
        Self::open_exact_together(std::slice::from_mut(self), schema, seen).await
    }

    /// The same for several readers: what they see of the table is the same, and that of one mark. There must be one.
    ///
    /// # Errors
    ///
    /// As [`SnapshotReader::open_exact`].
    pub async fn open_exact_together(
        readers: &mut [Self],
        schema: &TableSchema,
        seen: &Position,
    ) -> Result<ExactMark, MysqlError> {
        for reader in &mut *readers {
            reader.close_exact().await?;
        }
        let mark = Self::open_locked(readers, schema, seen).await?;
        readers.iter_mut().for_each(|reader| reader.exact_open = true);
        Ok(mark)
    }

    async fn open_locked(
        readers: &mut [Self],
        schema: &TableSchema,
        seen: &Position,
    ) -> Result<ExactMark, MysqlError> {
        let Some((first, others)) = readers.split_first_mut() else { return Err(MysqlError::Stopped) };
        let mut locker = Client::connect(&first.options).await?;
        let name = full_name(&schema.id);
        let locked = locker.run(&format!("LOCK TABLES {name} READ"), "locking a table").await;
        let exact = match locked {
            Ok(()) => locks_wait_for_commits(&first.server),
            Err(MysqlError::Refused { .. }) => false,
            Err(error) => {
                locker.close().await;
                return Err(error);
            }
        };
        let opened = first.open_after_mark(others, Some(name.as_str()).filter(|_| !exact), seen).await;
        // The goodbye unlocks too; this one says whether the lock was held until now.
        let unlocked = locker.run("UNLOCK TABLES", "unlocking a table").await;
        locker.close().await;
        let position = opened?;
        unlocked?;
        Ok(ExactMark { position, exact })
    }

    /// The mark comes first: without the lock, what is committed between the two is in the snapshot and behind the mark, so it
    /// comes twice; the other way round it would be lost.
    async fn open_after_mark(
        &mut self,
        others: &mut [Self],
        table: Option<&str>,
        seen: &Position,
    ) -> Result<Position, MysqlError> {
        const OPEN: &str = "START TRANSACTION WITH CONSISTENT SNAPSHOT";
        let position = self.mark.take_low(&mut self.client, table, seen).await?;
        self.client.run(OPEN, "opening a snapshot").await?;
        for other in others {
            other.client.run(OPEN, "opening a snapshot").await?;
        }
        Ok(position)
    }

    /// Reads a range of the table as the open snapshot shows it, which stays open, and hands over batches as [`SnapshotReader::read_exact`] does.
    /// Gives the number of values that became null because the pipeline cannot hold them.
    ///
    /// # Errors
    ///
    /// As [`SnapshotReader::read_exact`].
    pub async fn read_exact_range(
        &mut self,
        schema: &Arc<TableSchema>,
        range: &Chunk,
        mut sink: impl AsyncFnMut(ChangeBatch) -> Result<(), MysqlError>,
    ) -> Result<u64, MysqlError> {
        let doing = format!("reading `{}`", schema.id);
        let peer = self.client.peer().clone();
        let failed = |reason: String| peer.statement(&doing, 0, reason);
        if !self.exact_open {
            return Err(failed("no snapshot is open".to_owned()));
        }
        let keys = self.keys(schema, range.by.as_deref(), &doing)?;
        let condition = keys.range(range.after.as_ref(), range.up_to.as_ref()).map_err(&failed)?;
        let (columns, name) = (column_list(schema), full_name(&schema.id));
        let statement = format!("SELECT {columns} FROM {name}{}", where_of(&condition));
        // It waits for whoever takes the rows.
        self.limit_statements(0).await?;
        let mut assembler = BatchAssembler::new(Arc::clone(schema));
        let mut rows = self.client.read(&statement, condition.params(), &doing).await?;
        while let Some(row) = rows.next().await? {
            if let Some(full) = assembler.push(row).map_err(&failed)? {
                sink(full).await?;
            }
        }
        drop(rows);
        if let Some(rest) = assembler.take().map_err(&failed)? {
            sink(rest).await?;
        }
        Ok(assembler.replaced())
    }

    /// Closes the snapshot.
    ///
    /// # Errors
    ///
    /// When the connection is lost.
    pub async fn end_exact(&mut self) -> Result<(), MysqlError> {
        self.close_exact().await
    }

    /// Reads the whole table as the open snapshot shows it, in one statement or piece by piece, and hands over batches of at most 16 MiB (or one row) as they
    /// fill; the snapshot is closed afterwards. Gives the number of values that became null because the pipeline cannot hold
    /// them. Reads no further while `sink` works, so the server feels a slow sink.
    ///
    /// # Errors
    ///
    /// [`MysqlError::Statement`] with code 0 when no snapshot is open, with 1412 when the table changed since it opened; and
    /// whatever `sink` answers. After an error the reader is of no use: connect anew.
    pub async fn read_exact(
        &mut self,
        schema: &Arc<TableSchema>,
        pieces: Option<Pieces<'_>>,
        sink: impl AsyncFnMut(ChangeBatch) -> Result<(), MysqlError>,
    ) -> Result<u64, MysqlError> {
        if !self.exact_open {
            return Err(self.client.peer().statement("reading a table", 0, "no snapshot is open"));
        }
        self.limit_statements(0).await?;
        // After an error the rest of the table may still be on its way, so the connection is left alone.
        let replaced = self.stream_table(schema, pieces, sink).await?;
        self.close_exact().await?;
        self.limit_statements(CHUNK_DEADLINE_S).await?;
        Ok(replaced)
    }

    async fn stream_table(
        &mut self,
        schema: &Arc<TableSchema>,
        pieces: Option<Pieces<'_>>,
        mut sink: impl AsyncFnMut(ChangeBatch) -> Result<(), MysqlError>,
    ) -> Result<u64, MysqlError> {
        let doing = format!("reading `{}`", schema.id);
        let mut assembler = BatchAssembler::new(Arc::clone(schema));
        let peer = self.client.peer().clone();
        let mut after = None;
        loop {
            // The bounds are read in the same snapshot as the rows, so that no row lies in two pieces or in none.
            let up_to = match pieces {
                Some(Pieces { by, rows }) => {
                    self.next_bound(schema, Some(by), (after.as_ref(), None), rows).await?
                }
                None => None,
            };
            let condition = match pieces {
                Some(Pieces { by, .. }) => {
                    let range = self.keys(schema, Some(by), &doing)?.range(after.as_ref(), up_to.as_ref());
                    range.map_err(|reason| peer.statement(&doing, 0, reason))?
                }
                None => Condition::default(),
            };
            let (columns, name) = (column_list(schema), full_name(&schema.id));
            let statement = format!("SELECT {columns} FROM {name}{}", where_of(&condition));
            let mut rows = self.client.read(&statement, condition.params(), &doing).await?;
            while let Some(row) = rows.next().await? {
                if let Some(full) = assembler.push(row).map_err(|reason| peer.statement(&doing, 0, reason))? {
                    sink(full).await?;
                }
            }
            drop(rows);
            if up_to.is_none() {
                break;
            }
            after = up_to;
        }
        if let Some(rest) = assembler.take().map_err(|reason| peer.statement(&doing, 0, reason))? {
            sink(rest).await?;
        }
        Ok(assembler.replaced())
    }

    /// Ends the open snapshot, if there is one.
    pub(super) async fn close_exact(&mut self) -> Result<(), MysqlError> {
        if self.exact_open {
            self.exact_open = false;
            self.client.run("ROLLBACK", "ending a snapshot").await?;
        }
        Ok(())
    }
}
