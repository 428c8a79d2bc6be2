//! Changes of sink tables that wait for an operator's word.
//!
//! A target asks once for each change; the same question after a restart finds the answer. `sluicebox schema approve` writes it from
//! another process, while the pipeline runs or not.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use super::{BUSY, Reader, StateError, Store, tables};

/// A change that waits, or was approved and is not carried out yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// The sink table.
    pub target: String,
    /// The transaction and the source table.
    pub change: String,
    /// The source table, as `database.table`.
    pub source: String,
    /// What would be run on the sink.
    pub statements: Vec<String>,
    /// When it was asked for, in milliseconds since 1970-01-01T00:00:00Z.
    pub asked_at_ms: i64,
    /// Whether an operator has said yes.
    pub approved: bool,
}

impl Store {
    /// Whether a change was approved; asks for it where it was not. Other statements are another question.
    pub async fn ask_approval(&self, asked: Approval) -> Result<bool, StateError> {
        self.call(move |tx| {
            let statements = serde_json::to_string(&asked.statements)?;
            let known: Option<(String, bool)> = tx
                .query_row(
                    "SELECT statements_json, approved FROM approvals WHERE target = ?1 AND change = ?2",
                    (&asked.target, &asked.change),
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .optional()?;
            match known {
                Some((known, approved)) if known == statements => Ok(approved),
                _ => {
                    // A target waits for one change at a time: what else was asked for is over.
                    tx.execute("DELETE FROM approvals WHERE target = ?1", [&asked.target])?;
                    tx.execute(
                        "INSERT INTO approvals (target, change, source, statements_json, asked_at_ms, approved) VALUES (?1, ?2, ?3, ?4, ?5, 0)",
                        (&asked.target, &asked.change, &asked.source, statements, asked.asked_at_ms),
                    )?;
                    Ok(false)
                }
            }
        })
        .await
    }

    /// An approved change was carried out.
    pub async fn approval_done(&self, target: &str, change: &str) -> Result<(), StateError> {
        let (target, change) = (target.to_owned(), change.to_owned());
        self.call(move |tx| {
            tx.execute("DELETE FROM approvals WHERE target = ?1 AND change = ?2", (target, change))?;
            Ok(())
        })
        .await
    }

    /// Whether a change of one of these targets has been approved.
    pub fn any_approved(&self, targets: &[&str]) -> Result<bool, StateError> {
        let targets = serde_json::to_string(targets)?;
        self.call_blocking(move |tx| {
            let sql = "SELECT EXISTS (SELECT 1 FROM approvals WHERE approved = 1 AND target IN (SELECT value FROM json_each(?1)))";
            Ok(tx.query_row(sql, [targets], |row| row.get(0))?)
        })
    }
}

impl Reader {
    /// Changes that wait for approval, or were approved and are not carried out yet.
    pub fn approvals(&self) -> Result<Vec<Approval>, StateError> {
        read(&self.connection)
    }
}

/// Says yes to every change that waits, or to those of one source table; gives what was approved. The pipeline may run.
pub fn approve(directory: &Path, table: Option<&str>) -> Result<Vec<Approval>, StateError> {
    let file = directory.join(super::FILE_NAME);
    let mut connection = Connection::open_with_flags(&file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(BUSY)?;
    if !tables::exist(&connection)? {
        return Ok(Vec::new());
    }
    let tx = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let mut waiting = read(&tx)?;
    waiting.retain(|a| !a.approved && table.is_none_or(|table| a.source == table));
    for approval in &mut waiting {
        tx.execute(
            "UPDATE approvals SET approved = 1 WHERE target = ?1 AND change = ?2",
            (&approval.target, &approval.change),
        )?;
        approval.approved = true;
    }
    tx.commit()?;
    Ok(waiting)
}

fn read(connection: &Connection) -> Result<Vec<Approval>, StateError> {
    let mut rows = connection.prepare(
        "SELECT target, change, source, statements_json, asked_at_ms, approved FROM approvals ORDER BY asked_at_ms, target, change",
    )?;
    let rows = rows.query_map([], |r| {
        Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get::<_, String>(3)?, r.get(4)?, r.get(5)?))
    })?;
    rows.map(|row| {
        let (target, change, source, statements, asked_at_ms, approved) = row?;
        let statements = serde_json::from_str(&statements)?;
        Ok(Approval { target, change, source, statements, asked_at_ms, approved })
    })
    .collect()
}
