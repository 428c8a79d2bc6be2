//! Dead letters: events that a guest failed on, kept until they have been sent again.
//!
//! Promise: a letter tells which targets lack its event, and an event is missing in exactly those. It is written before the
//! rest of its batch moves on. What a crash takes back is read again and fails again, so letters that the next start would
//! make a second time are deleted there (`forget_unsettled`). A letter that is sent again loses its targets in the same
//! transaction that records their sessions as committed, and goes with the last.

use std::collections::HashMap;

use rusqlite::{Connection, Transaction};
use sluicebox_model::{Position, TransactionId};

use super::records::{number, unsigned};
use super::{Reader, StateError, Store};

/// An event that a guest failed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its name in the state; counts up. 0 before it is stored.
    pub number: u64,
    /// When it was put aside, in milliseconds since 1970-01-01T00:00:00Z.
    pub at_ms: i64,
    /// The table at the source, as `database.table`.
    pub table: String,
    /// The transaction it came with; none for a row read by the snapshot.
    pub transaction: Option<TransactionId>,
    /// When that was committed, in microseconds since 1970-01-01T00:00:00Z; 0 for a row read by the snapshot.
    pub commit_micros: i64,
    /// The key of a row read by the snapshot, as JSON: its table may be read again, and then it takes the letter's place.
    pub snapshot_key: Option<String>,
    /// The plugin's name.
    pub plugin: String,
    /// The plugin's content hash.
    pub plugin_hash: String,
    /// The guest's words, or how it failed.
    pub reason: String,
    /// The event as the source sent it, in the form of [`Event`](crate::events::Event).
    pub event_json: String,
    /// Targets that lack it.
    pub targets: Vec<String>,
}

impl DeadLetter {
    /// The transaction it came with, or `snapshot`.
    pub fn place(&self) -> String {
        self.transaction.as_ref().map_or_else(|| "snapshot".to_owned(), ToString::to_string)
    }
}

impl Store {
    /// Keeps events that a guest failed on.
    pub fn add_dead_letters(&self, letters: Vec<DeadLetter>) -> Result<(), StateError> {
        self.call_blocking(move |tx| letters.iter().try_for_each(|letter| insert(tx, letter)))
    }

    /// The same, for tasks.
    pub async fn put_dead_letters(&self, letters: Vec<DeadLetter>) -> Result<(), StateError> {
        self.call(move |tx| letters.iter().try_for_each(|letter| insert(tx, letter))).await
    }

    /// All dead letters, oldest first.
    pub fn dead_letters(&self) -> Result<Vec<DeadLetter>, StateError> {
        self.call_blocking(|tx| read(tx))
    }

    /// Deletes letters, for good.
    pub fn delete_dead_letters(&self, numbers: Vec<u64>) -> Result<(), StateError> {
        self.call_blocking(move |tx| numbers.iter().try_for_each(|n| delete(tx, *n)))
    }

    /// Writes down why a letter failed once more, and with which plugin.
    pub fn dead_letter_failed_again(&self, letter: &DeadLetter) -> Result<(), StateError> {
        let letter = letter.clone();
        self.call_blocking(move |tx| {
            tx.execute(
                "UPDATE dead_letters SET at_ms = ?2, plugin = ?3, plugin_hash = ?4, reason = ?5 WHERE number = ?1",
                (number(letter.number), letter.at_ms, &letter.plugin, &letter.plugin_hash, &letter.reason),
            )?;
            Ok(())
        })
    }

    /// Deletes letters of events that will be read again from `checkpoint`: those behind it, as far as their targets are
    /// not ahead of it, and those of tables without a key (`tables`) whose snapshot begins anew.
    pub fn forget_unsettled(
        &self,
        checkpoint: &Position,
        ahead: HashMap<String, Position>,
        tables: Vec<String>,
    ) -> Result<(), StateError> {
        let checkpoint = checkpoint.clone();
        self.call_blocking(move |tx| {
            for letter in read(tx)? {
                let lacking = match &letter.transaction {
                    Some(transaction) if !checkpoint.covers(transaction) => {
                        let has = |t: &&String| ahead.get(*t).is_some_and(|a| a.covers(transaction));
                        letter.targets.iter().filter(has).cloned().collect()
                    }
                    None if tables.contains(&letter.table) => Vec::new(),
                    _ => continue,
                };
                keep_for(tx, letter.number, &lacking)?;
            }
            Ok(())
        })
    }
}

impl Reader {
    /// Number of dead letters.
    pub fn dead_letter_count(&self) -> Result<u64, StateError> {
        Ok(self
            .connection
            .query_row("SELECT COUNT(*) FROM dead_letters", [], |row| Ok(unsigned(row.get(0)?)))?)
    }

    /// All dead letters, oldest first.
    pub fn dead_letters(&self) -> Result<Vec<DeadLetter>, StateError> {
        read(&self.connection)
    }
}

/// Takes a target from a letter: it has the event now.
pub(super) fn delivered(tx: &Transaction<'_>, letters: &[u64], target: &str) -> Result<(), StateError> {
    for letter in read(tx)?.into_iter().filter(|letter| letters.contains(&letter.number)) {
        let rest: Vec<String> = letter.targets.into_iter().filter(|t| t != target).collect();
        keep_for(tx, letter.number, &rest)?;
    }
    Ok(())
}

/// The targets that lack a letter's event from here on; without any the letter goes.
fn keep_for(tx: &Transaction<'_>, letter: u64, targets: &[String]) -> Result<(), StateError> {
    if targets.is_empty() {
        return delete(tx, letter);
    }
    let targets = serde_json::to_string(targets)?;
    tx.execute("UPDATE dead_letters SET targets_json = ?2 WHERE number = ?1", (number(letter), targets))?;
    Ok(())
}

fn delete(tx: &Transaction<'_>, letter: u64) -> Result<(), StateError> {
    tx.execute("DELETE FROM dead_letters WHERE number = ?1", [number(letter)])?;
    Ok(())
}

/// Takes the targets of a letter about a row of a snapshot from earlier letters about the same row: it was read again.
fn replace_snapshot_letters(tx: &Transaction<'_>, letter: &DeadLetter) -> Result<(), StateError> {
    let mut rows = tx.prepare_cached(
        "SELECT number, targets_json FROM dead_letters WHERE table_name = ?1 AND snapshot_key = ?2",
    )?;
    let rows = rows.query_map((&letter.table, &letter.snapshot_key), |row| {
        Ok((unsigned(row.get(0)?), row.get::<_, String>(1)?))
    })?;
    for (number, targets) in rows.collect::<Result<Vec<_>, _>>()? {
        let targets: Vec<String> = serde_json::from_str(&targets)?;
        let rest: Vec<String> = targets.into_iter().filter(|t| !letter.targets.contains(t)).collect();
        keep_for(tx, number, &rest)?;
    }
    Ok(())
}

fn insert(tx: &Transaction<'_>, letter: &DeadLetter) -> Result<(), StateError> {
    if letter.snapshot_key.is_some() {
        replace_snapshot_letters(tx, letter)?;
    }
    tx.execute(
        "INSERT INTO dead_letters (at_ms, table_name, transaction_json, commit_micros, snapshot_key, plugin, plugin_hash, \
         reason, event_json, targets_json) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        (
            letter.at_ms,
            &letter.table,
            letter.transaction.as_ref().map(serde_json::to_string).transpose()?,
            letter.commit_micros,
            &letter.snapshot_key,
            &letter.plugin,
            &letter.plugin_hash,
            &letter.reason,
            &letter.event_json,
            serde_json::to_string(&letter.targets)?,
        ),
    )?;
    Ok(())
}

fn read(connection: &Connection) -> Result<Vec<DeadLetter>, StateError> {
    let mut rows = connection.prepare(
        "SELECT number, at_ms, table_name, transaction_json, commit_micros, snapshot_key, plugin, plugin_hash, reason, \
         event_json, targets_json FROM dead_letters ORDER BY number",
    )?;
    let mut rows = rows.query([])?;
    let mut letters = Vec::new();
    while let Some(row) = rows.next()? {
        let transaction: Option<String> = row.get(3)?;
        let targets: String = row.get(10)?;
        letters.push(DeadLetter {
            number: unsigned(row.get(0)?),
            at_ms: row.get(1)?,
            table: row.get(2)?,
            transaction: transaction.map(|text| serde_json::from_str(&text)).transpose()?,
            commit_micros: row.get(4)?,
            snapshot_key: row.get(5)?,
            plugin: row.get(6)?,
            plugin_hash: row.get(7)?,
            reason: row.get(8)?,
            event_json: row.get(9)?,
            targets: serde_json::from_str(&targets)?,
        });
    }
    Ok(letters)
}
