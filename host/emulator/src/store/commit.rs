//! Applying a session's blocks: one transaction for all rows and the session's own state.

use rusqlite::{Connection, OptionalExtension, params};

use super::block::{Entry, entries};
use super::session::committed_number;
use super::{Session, SessionKind, Store, Table};
use crate::fault::Fault;
use crate::wire::row::{ColumnId, merge};

impl Store {
    /// The transaction of a commit.
    pub(super) fn apply(&self, session: &Session, now_ms: i64) -> Result<(), Fault> {
        let mut writer = self.writer();
        // Under the writer's lock no DDL can come between this check and the commit.
        self.require_current(session)?;
        let tx = writer.transaction()?;
        if let SessionKind::Upload { overwrite: true } = session.kind {
            self.remove_rows(&tx, &session.table, Some(session.part()), now_ms)?;
        }
        let applier = Applier::new(session);
        self.for_each_block(session, |block| applier.apply(&tx, block))?;
        tx.execute("UPDATE sessions SET status = ?2 WHERE id = ?1", params![session.id, committed_number()])?;
        self.touch(&tx, &session.table, now_ms)?;
        tx.commit()?;
        self.forget_count(&session.table);
        Ok(())
    }

    /// Makes one pack of a stream session visible.
    pub(crate) fn append(&self, session: &Session, block: &[u8], now_ms: i64) -> Result<(), Fault> {
        if self.discard {
            return self.require_current(session);
        }
        let mut writer = self.writer();
        self.require_current(session)?;
        let tx = writer.transaction()?;
        Applier::new(session).apply(&tx, block)?;
        self.touch(&tx, &session.table, now_ms)?;
        tx.commit()?;
        self.forget_count(&session.table);
        Ok(())
    }

    /// Notes that the rows of a table changed.
    pub(super) fn touch(&self, connection: &Connection, table: &Table, now_ms: i64) -> Result<(), Fault> {
        let now_s = now_ms / 1000;
        connection
            .prepare_cached("UPDATE tables SET modified_s = ?2 WHERE id = ?1")?
            .execute(params![table.id, now_s])?;
        self.catalog.write().unwrap_or_else(std::sync::PoisonError::into_inner).touch(table.id, now_s);
        Ok(())
    }

    /// Removes rows of a table or of one partition. Rows that an open download still reads only die.
    pub(super) fn remove_rows(
        &self,
        connection: &Connection,
        table: &Table,
        part: Option<i64>,
        now_ms: i64,
    ) -> Result<(), Fault> {
        let rows = table.rows();
        let of_part = "(?1 IS NULL OR part = ?1)";
        if table.is_delta() || !self.has_readers(table.id, now_ms) {
            connection.execute(&format!("DELETE FROM {rows} WHERE {of_part}"), params![part])?;
        } else {
            let died = format!("UPDATE {rows} SET died = ?2 WHERE {of_part} AND died IS NULL");
            connection.execute(&died, params![part, self.next_moment(connection, table)?])?;
        }
        Ok(())
    }

    /// A number above that of every row so far; `died` and the snapshots of downloads are such numbers.
    pub(super) fn next_moment(&self, connection: &Connection, table: &Table) -> Result<i64, Fault> {
        let last: Option<i64> = connection
            .query_row("SELECT seq FROM sqlite_sequence WHERE name = ?1", [table.rows()], |row| row.get(0))
            .optional()?;
        Ok(last.unwrap_or(0) + 1)
    }
}

/// The statements of one table.
struct Applier {
    insert: String,
    upsert: String,
    delete: String,
    select: String,
    part: i64,
    order: Vec<ColumnId>,
}

impl Applier {
    fn new(session: &Session) -> Self {
        let rows = session.table.rows();
        Self {
            insert: format!("INSERT INTO {rows} (part, row) VALUES (?1, ?2)"),
            upsert: format!("INSERT OR REPLACE INTO {rows} (part, key, row) VALUES (?1, ?2, ?3)"),
            delete: format!("DELETE FROM {rows} WHERE part = ?1 AND key = ?2"),
            select: format!("SELECT row FROM {rows} WHERE part = ?1 AND key = ?2"),
            part: session.part(),
            order: session.table.column_ids(),
        }
    }

    fn apply(&self, connection: &Connection, block: &[u8]) -> Result<(), Fault> {
        let mut insert = None;
        let mut upsert = None;
        let mut delete = None;
        for entry in entries(block) {
            match entry? {
                Entry::Insert { row } => {
                    prepared(connection, &mut insert, &self.insert)?.execute(params![self.part, row])?;
                }
                Entry::Upsert { key, row } => {
                    prepared(connection, &mut upsert, &self.upsert)?.execute(params![self.part, key, row])?;
                }
                Entry::Delete { key } => {
                    prepared(connection, &mut delete, &self.delete)?.execute(params![self.part, key])?;
                }
                Entry::Partial { key, set, row } => {
                    let merged = self.merged(connection, key, &set, row)?;
                    prepared(connection, &mut upsert, &self.upsert)?
                        .execute(params![self.part, key, merged])?;
                }
            }
        }
        Ok(())
    }

    /// The stored row with the listed columns replaced; without a stored row the others are null.
    fn merged(
        &self,
        connection: &Connection,
        key: &[u8],
        set: &[ColumnId],
        row: &[u8],
    ) -> Result<Vec<u8>, Fault> {
        let old: Option<Vec<u8>> = connection
            .prepare_cached(&self.select)?
            .query_row(params![self.part, key], |row| row.get(0))
            .optional()?;
        Ok(match old {
            Some(old) => merge(&old, row, set, &self.order)?,
            None => row.to_vec(),
        })
    }
}

/// Prepares a statement on its first use in a block.
fn prepared<'s, 'c>(
    connection: &'c Connection,
    slot: &'s mut Option<rusqlite::CachedStatement<'c>>,
    sql: &str,
) -> Result<&'s mut rusqlite::CachedStatement<'c>, Fault> {
    if slot.is_none() {
        *slot = Some(connection.prepare_cached(sql)?);
    }
    slot.as_mut().ok_or_else(|| Fault::Internal("a statement was not prepared".to_owned()))
}
