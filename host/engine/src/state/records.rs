//! What is written and read, in the pipeline's own words.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Transaction};
use serde::{Deserialize, Serialize};
use sluicebox_model::Position;

use super::letters;
use super::memory::{self, Remembered};
use super::tables::{meta, set_meta};
use super::{Reader, StateError, Store};

/// Numbers of pieces that are cut off chunks begin here; below it are the chunks of a table, counted from 0.
pub(crate) const FIRST_PIECE: u64 = 1 << 40;

/// Errors kept for `status`; older ones go, since the log has them too.
const ERRORS_KEPT: i64 = 20;

/// Where every target stands at least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Counts up with each one.
    pub epoch: u64,
    /// Everything up to here is in the sink.
    pub position: Position,
    /// When, in milliseconds since 1970-01-01T00:00:00Z.
    pub taken_at_ms: i64,
}

/// What kind of tunnel session it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionKind {
    /// Keyed rows into a Delta table.
    Upsert,
    /// Appended rows into an ordinary table.
    Upload,
}

/// What a session holds once all its bytes were answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flushed {
    /// Its target holds everything up to here once the session has committed.
    pub position: Position,
    /// Dead letters whose events the session holds.
    #[serde(default)]
    pub letters: Vec<u64>,
    /// Snapshot chunks whose rows the session holds, where plugins remember something of its target, and tables without a key that it
    /// holds whole: table and number.
    #[serde(default)]
    pub chunks: Vec<(String, u64)>,
    /// Whether the target is whole again, after binlog was lost, once the session has committed.
    #[serde(default)]
    pub remade: bool,
}

/// A session that a crash may have left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// Its target, as `schema.table` or `table`.
    pub target: String,
    /// The service's name for it.
    pub id: String,
    /// What kind it is.
    pub kind: SessionKind,
    /// The epoch it belongs to.
    pub epoch: u64,
    /// None while it is only open.
    pub flushed: Option<Flushed>,
    /// The partition it writes to, as `ds=20240309,hh=01`; none where the target is not partitioned.
    pub partition: Option<String>,
    /// Whether it has committed, while others of its target and epoch have not.
    pub committed: bool,
}

/// How far the snapshot of a table is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct SnapshotTable {
    /// Every chunk has been cut (keyed tables).
    pub planned: bool,
    /// Every row is in the sink.
    pub done: bool,
    /// The server's guess of the number of rows when the snapshot began.
    pub estimated_rows: u64,
    /// The place at which its schema was read, where that lies behind the pipeline's own.
    #[serde(default)]
    pub known_behind: Option<Position>,
    /// The column by which its chunks are cut; none for the key. It stays the same until the table is whole.
    #[serde(default)]
    pub cut_by: Option<String>,
}

/// One chunk of a table's snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotChunk {
    /// Counts up along the key.
    pub number: u64,
    /// The chunk itself, as the source's crate writes it.
    pub chunk_json: String,
    /// Its rows are in the sink.
    pub delivered: bool,
}

/// A statement at the sink that a schema change of the source asks for.
#[derive(Debug, Clone)]
pub struct Statement {
    /// The change's name.
    pub change: String,
    /// Its place among the statements of the change.
    pub number: usize,
    /// Its text.
    pub sql: String,
}

fn put_statement(
    tx: &rusqlite::Transaction<'_>,
    target: &str,
    statement: &Statement,
    done: bool,
) -> Result<(), StateError> {
    let Statement { change, number: place, sql } = statement;
    tx.execute(
        "INSERT OR REPLACE INTO sink_statements (target, change, number, statement, done) VALUES (?1, ?2, ?3, ?4, ?5)",
        (target, change, number(*place as u64), sql, done),
    )?;
    Ok(())
}

pub(super) fn json<T: Serialize>(value: &T) -> Result<String, StateError> {
    Ok(serde_json::to_string(value)?)
}

pub(super) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

impl Store {
    /// The checkpoint; none before the pipeline has ever begun.
    pub fn checkpoint(&self) -> Result<Option<Checkpoint>, StateError> {
        self.call_blocking(|tx| read_checkpoint(tx))
    }

    /// Targets that are ahead of the checkpoint, and where they are.
    pub fn targets_ahead(&self) -> Result<HashMap<String, Position>, StateError> {
        self.call_blocking(|tx| {
            let mut rows = tx.prepare("SELECT target, position_json FROM targets")?;
            let rows = rows.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
            rows.map(|row| {
                let (target, position) = row?;
                Ok((target, serde_json::from_str(&position)?))
            })
            .collect()
        })
    }

    /// Sessions that were open or flushed when the pipeline last stopped.
    pub fn sessions(&self) -> Result<Vec<SessionRecord>, StateError> {
        self.call_blocking(|tx| read_sessions(tx))
    }

    /// Records a session before its first byte is sent.
    pub async fn session_open(&self, session: &SessionRecord) -> Result<(), StateError> {
        let SessionRecord { target, id, kind, epoch, partition, .. } = session.clone();
        self.call(move |tx| {
            tx.execute(
                "INSERT OR REPLACE INTO sessions (target, id, kind, epoch, partition_spec) VALUES (?1, ?2, ?3, ?4, ?5)",
                (target, id, json(&kind)?, number(epoch), partition),
            )?;
            Ok(())
        })
        .await
    }

    /// Records that all bytes of a target's sessions were answered, before the commit of any is asked for. They belong to this epoch.
    /// `remembered` is what plugins remember of their rows.
    pub async fn sessions_flushed(
        &self,
        target: &str,
        ids: Vec<String>,
        epoch: u64,
        flushed: &Flushed,
        remembered: Remembered,
    ) -> Result<(), StateError> {
        let (target, flushed) = (target.to_owned(), json(flushed)?);
        self.call(move |tx| {
            memory::put_pending(tx, &target, &remembered)?;
            for id in ids {
                tx.execute(
                    "UPDATE sessions SET flushed_json = ?3, epoch = ?4 WHERE target = ?1 AND id = ?2",
                    (&target, id, &flushed, number(epoch)),
                )?;
            }
            Ok(())
        })
        .await
    }

    /// Records that a session has committed. When it is the last of its target and epoch, the target stands at their position.
    pub async fn session_committed(&self, session: &SessionRecord) -> Result<(), StateError> {
        let session = session.clone();
        self.call(move |tx| {
            let (target, epoch) = (&session.target, number(session.epoch));
            tx.execute("UPDATE sessions SET committed = 1 WHERE target = ?1 AND id = ?2", (target, &session.id))?;
            let missing: i64 = tx.query_row(
                "SELECT COUNT(*) FROM sessions WHERE target = ?1 AND epoch = ?2 AND flushed_json IS NOT NULL AND committed = 0",
                (target, epoch),
                |row| row.get(0),
            )?;
            if missing > 0 {
                return Ok(());
            }
            if let Some(flushed) = &session.flushed {
                put_holds(tx, target, session.epoch, flushed)?;
            }
            tx.execute(
                "DELETE FROM sessions WHERE target = ?1 AND epoch = ?2 AND committed = 1",
                (target, epoch),
            )?;
            Ok(())
        })
        .await
    }

    /// Forgets sessions of a target that were aborted or whose rows are read again.
    pub async fn sessions_dropped(&self, target: &str, ids: Vec<String>) -> Result<(), StateError> {
        let target = target.to_owned();
        self.call(move |tx| {
            ids.iter().try_for_each(|id| delete_session(tx, &target, id))?;
            memory::drop_unless_flushed(tx, &target)
        })
        .await
    }

    /// Records that targets hold everything up to a position, which the checkpoint cannot reach for now.
    pub fn targets_hold(
        &self,
        epoch: u64,
        position: &Position,
        targets: Vec<String>,
    ) -> Result<(), StateError> {
        let position = json(position)?;
        self.call_blocking(move |tx| {
            let mut put = tx.prepare(
                "INSERT OR REPLACE INTO targets (target, epoch, position_json) VALUES (?1, ?2, ?3)",
            )?;
            for target in targets {
                put.execute((target, number(epoch), &position))?;
            }
            Ok(())
        })
    }

    /// Moves the checkpoint: every target has committed this epoch. `delivered` are chunks whose rows it holds, `tables_done`
    /// tables whose snapshot is whole, `ahead` targets that hold more than this position and keep their own.
    pub fn epoch_committed(
        &self,
        epoch: u64,
        position: &Position,
        now_ms: i64,
        delivered: Vec<(String, u64)>,
        tables_done: Vec<String>,
        ahead: Vec<String>,
    ) -> Result<(), StateError> {
        let position = json(position)?;
        self.call_blocking(move |tx| {
            write_checkpoint(tx, epoch, &position, now_ms)?;
            tx.execute(
                "DELETE FROM targets WHERE epoch <= ?1 AND target NOT IN (SELECT value FROM json_each(?2))",
                (number(epoch), json(&ahead)?),
            )?;
            memory::forget_chunks(tx, &delivered, &tables_done)?;
            for (table, chunk) in delivered {
                tx.execute(
                    "UPDATE snapshot_chunks SET delivered = 1 WHERE table_name = ?1 AND number = ?2",
                    (table, number(chunk)),
                )?;
            }
            for table in tables_done {
                let record = SnapshotTable {
                    planned: true,
                    done: true,
                    ..read_snapshot_table(tx, &table)?.unwrap_or_default()
                };
                put_snapshot_table(tx, &table, &record)?;
                // What is whole needs no chunks any more: a table of a million chunks leaves nothing behind.
                tx.execute("DELETE FROM snapshot_chunks WHERE table_name = ?1", [table])?;
            }
            Ok(())
        })
    }

    /// Snapshot progress by table.
    pub fn snapshot_tables(&self) -> Result<Vec<(String, SnapshotTable)>, StateError> {
        self.call_blocking(|tx| read_snapshot_tables(tx))
    }

    /// Adds tables to the snapshot, or updates them.
    pub async fn put_snapshot_table(&self, table: &str, record: &SnapshotTable) -> Result<(), StateError> {
        let (table, record) = (table.to_owned(), record.clone());
        self.call(move |tx| put_snapshot_table(tx, &table, &record)).await
    }

    /// A table's chunks in key order.
    pub async fn snapshot_chunks(&self, table: &str) -> Result<Vec<SnapshotChunk>, StateError> {
        let table = table.to_owned();
        self.call(move |tx| {
            let mut rows =
                tx.prepare("SELECT number, chunk_json, delivered FROM snapshot_chunks WHERE table_name = ?1 ORDER BY number")?;
            let rows = rows.query_map([table], |row| {
                Ok(SnapshotChunk { number: unsigned(row.get(0)?), chunk_json: row.get(1)?, delivered: row.get(2)? })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Records that a piece was cut off a chunk's beginning: what is left of the chunk, and the piece, which gets a number and is written by
    /// `piece`. Gives its number.
    pub async fn chunk_cut(
        &self,
        table: &str,
        (chunk, rest): (u64, String),
        piece: impl FnOnce(u64) -> Result<String, serde_json::Error> + Send + 'static,
    ) -> Result<u64, StateError> {
        let table = table.to_owned();
        self.call(move |tx| {
            let last: Option<i64> = tx.query_row(
                "SELECT MAX(number) FROM snapshot_chunks WHERE table_name = ?1 AND number >= ?2",
                (&table, number(FIRST_PIECE)),
                |row| row.get(0),
            )?;
            let next = last.map_or(FIRST_PIECE, |last| last.unsigned_abs() + 1);
            let mut put = tx.prepare_cached(
                "INSERT OR REPLACE INTO snapshot_chunks (table_name, number, chunk_json) VALUES (?1, ?2, ?3)",
            )?;
            put.execute((&table, number(chunk), rest))?;
            put.execute((&table, number(next), piece(next)?))?;
            Ok(next)
        })
        .await
    }

    /// Records a chunk that was cut; with the last one also how far the table is then.
    pub async fn chunk_planned(
        &self,
        table: &str,
        chunk: u64,
        chunk_json: String,
        planned: Option<SnapshotTable>,
    ) -> Result<(), StateError> {
        let table = table.to_owned();
        self.call(move |tx| {
            tx.execute(
                "INSERT OR REPLACE INTO snapshot_chunks (table_name, number, chunk_json) VALUES (?1, ?2, ?3)",
                (&table, number(chunk), chunk_json),
            )?;
            planned.map_or(Ok(()), |record| put_snapshot_table(tx, &table, &record))
        })
        .await
    }

    /// Whether a statement that belongs to a schema change was finished; none when it was never begun.
    pub async fn statement_done(
        &self,
        target: &str,
        change: &str,
        statement: usize,
    ) -> Result<Option<bool>, StateError> {
        let (target, change, n) = (target.to_owned(), change.to_owned(), number(statement as u64));
        self.call(move |tx| {
            let found = tx
                .query_row(
                    "SELECT done FROM sink_statements WHERE target = ?1 AND change = ?2 AND number = ?3",
                    (target, change, n),
                    |row| row.get(0),
                )
                .optional()?;
            Ok(found)
        })
        .await
    }

    /// Records a statement before it is sent, and that its target holds everything before the change it belongs to, also where
    /// no rows came: a restart must not ask for the columns of rows from before it.
    pub async fn statement_begins(
        &self,
        target: &str,
        statement: &Statement,
        holds: &Position,
        epoch: u64,
    ) -> Result<(), StateError> {
        let (target, statement, holds) = (target.to_owned(), statement.clone(), json(holds)?);
        self.call(move |tx| {
            tx.execute(
                "INSERT OR REPLACE INTO targets (target, epoch, position_json) VALUES (?1, ?2, ?3)",
                (&target, number(epoch), holds),
            )?;
            put_statement(tx, &target, &statement, false)
        })
        .await
    }

    /// Records that a statement was answered.
    pub async fn statement_ends(&self, target: &str, statement: &Statement) -> Result<(), StateError> {
        let (target, statement) = (target.to_owned(), statement.clone());
        self.call(move |tx| put_statement(tx, &target, &statement, true)).await
    }

    /// Keeps an error for `status`.
    pub fn add_error(&self, at_ms: i64, message: &str) -> Result<(), StateError> {
        let message = message.to_owned();
        self.call_blocking(move |tx| {
            tx.execute("INSERT INTO errors (at_ms, message) VALUES (?1, ?2)", (at_ms, message))?;
            tx.execute(
                "DELETE FROM errors WHERE number <= (SELECT MAX(number) FROM errors) - ?1",
                [ERRORS_KEPT],
            )?;
            Ok(())
        })
    }

    /// Reads a value of the pipeline's own.
    pub fn meta<T: serde::de::DeserializeOwned + Send + 'static>(
        &self,
        key: &'static str,
    ) -> Result<Option<T>, StateError> {
        self.call_blocking(move |tx| meta(tx, key))
    }

    /// Writes a value of the pipeline's own.
    pub fn set_meta<T: Serialize>(&self, key: &'static str, value: &T) -> Result<(), StateError> {
        let value = serde_json::to_value(value)?;
        self.call_blocking(move |tx| set_meta(tx, key, &value))
    }
}

impl Reader {
    /// The checkpoint; none before the pipeline has ever begun.
    pub fn checkpoint(&self) -> Result<Option<Checkpoint>, StateError> {
        read_checkpoint(&self.connection)
    }

    /// Sessions that are open or flushed.
    pub fn sessions(&self) -> Result<Vec<SessionRecord>, StateError> {
        read_sessions(&self.connection)
    }

    /// Snapshot progress by table.
    pub fn snapshot_tables(&self) -> Result<Vec<(String, SnapshotTable)>, StateError> {
        read_snapshot_tables(&self.connection)
    }

    /// Chunks cut and chunks delivered of a table that is not whole yet.
    pub fn chunk_counts(&self, table: &str) -> Result<(u64, u64), StateError> {
        let counts = self.connection.query_row(
            "SELECT COUNT(*), COALESCE(SUM(delivered), 0) FROM snapshot_chunks WHERE table_name = ?1",
            [table],
            |row| Ok((unsigned(row.get(0)?), unsigned(row.get(1)?))),
        )?;
        Ok(counts)
    }

    /// The last errors, newest first: milliseconds since 1970-01-01T00:00:00Z and text.
    pub fn errors(&self) -> Result<Vec<(i64, String)>, StateError> {
        let mut rows = self.connection.prepare("SELECT at_ms, message FROM errors ORDER BY number DESC")?;
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Reads a value of the pipeline's own.
    pub fn meta<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<Option<T>, StateError> {
        meta(&self.connection, key)
    }
}

/// A target holds what its sessions held: its position, tables and letters, and what plugins remember of it.
pub(super) fn put_holds(
    tx: &Transaction<'_>,
    target: &str,
    epoch: u64,
    holds: &Flushed,
) -> Result<(), StateError> {
    tx.execute(
        "INSERT OR REPLACE INTO targets (target, epoch, position_json) VALUES (?1, ?2, ?3)",
        (target, number(epoch), json(&holds.position)?),
    )?;
    if holds.remade {
        super::remakes::end(tx, target)?;
    }
    letters::delivered(tx, &holds.letters, target)?;
    memory::settle(tx, target, &holds.chunks)
}

pub(super) fn write_checkpoint(
    tx: &Transaction<'_>,
    epoch: u64,
    position_json: &str,
    now_ms: i64,
) -> Result<(), StateError> {
    tx.execute(
        "INSERT OR REPLACE INTO checkpoint (id, epoch, position_json, taken_at_ms) VALUES (1, ?1, ?2, ?3)",
        (number(epoch), position_json, now_ms),
    )?;
    Ok(())
}

fn read_checkpoint(connection: &Connection) -> Result<Option<Checkpoint>, StateError> {
    let row: Option<(i64, String, i64)> = connection
        .query_row("SELECT epoch, position_json, taken_at_ms FROM checkpoint", [], |r| {
            Ok((r.get(0)?, r.get(1)?, r.get(2)?))
        })
        .optional()?;
    row.map(|(epoch, position, taken_at_ms)| {
        Ok(Checkpoint { epoch: unsigned(epoch), position: serde_json::from_str(&position)?, taken_at_ms })
    })
    .transpose()
}

fn read_sessions(connection: &Connection) -> Result<Vec<SessionRecord>, StateError> {
    let mut rows = connection
        .prepare("SELECT target, id, kind, epoch, flushed_json, partition_spec, committed FROM sessions ORDER BY target, id")?;
    let rows = rows.query_map([], |r| {
        let kind: String = r.get(2)?;
        let flushed: Option<String> = r.get(4)?;
        Ok((r.get(0)?, r.get(1)?, kind, r.get::<_, i64>(3)?, flushed, r.get(5)?, r.get(6)?))
    })?;
    rows.map(|row| {
        let (target, id, kind, epoch, flushed, partition, committed) = row?;
        let flushed = flushed.map(|text| serde_json::from_str(&text)).transpose()?;
        let (kind, epoch) = (serde_json::from_str(&kind)?, unsigned(epoch));
        Ok(SessionRecord { target, id, kind, epoch, flushed, partition, committed })
    })
    .collect()
}

fn delete_session(tx: &Transaction<'_>, target: &str, id: &str) -> Result<(), StateError> {
    tx.execute("DELETE FROM sessions WHERE target = ?1 AND id = ?2", (target, id))?;
    Ok(())
}

pub(super) fn put_snapshot_table(
    tx: &Transaction<'_>,
    table: &str,
    record: &SnapshotTable,
) -> Result<(), StateError> {
    tx.execute(
        "INSERT OR REPLACE INTO snapshot_tables (table_name, record_json) VALUES (?1, ?2)",
        (table, json(record)?),
    )?;
    Ok(())
}

fn read_snapshot_table(connection: &Connection, table: &str) -> Result<Option<SnapshotTable>, StateError> {
    let text: Option<String> = connection
        .query_row("SELECT record_json FROM snapshot_tables WHERE table_name = ?1", [table], |row| row.get(0))
        .optional()?;
    Ok(text.map(|t| serde_json::from_str(&t)).transpose()?)
}

fn read_snapshot_tables(connection: &Connection) -> Result<Vec<(String, SnapshotTable)>, StateError> {
    let mut rows =
        connection.prepare("SELECT table_name, record_json FROM snapshot_tables ORDER BY table_name")?;
    let rows = rows.query_map([], |r| Ok((r.get::<_, String>(0)?, r.get::<_, String>(1)?)))?;
    rows.map(|row| {
        let (table, record) = row?;
        Ok((table, serde_json::from_str(&record)?))
    })
    .collect()
}
