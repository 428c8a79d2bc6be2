//! The database's tables, and its smallest reads and writes.

use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StateError;

/// Values named `..._json` hold the serde form of our types; positions also print as text for people.
pub(super) const CREATE: &str = "
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value_json TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS checkpoint (
    id INTEGER PRIMARY KEY CHECK (id = 1), epoch INTEGER NOT NULL, position_json TEXT NOT NULL, taken_at_ms INTEGER NOT NULL);
-- where a target is ahead of the checkpoint
CREATE TABLE IF NOT EXISTS targets (target TEXT PRIMARY KEY, epoch INTEGER NOT NULL, position_json TEXT NOT NULL) WITHOUT ROWID;
-- flushed_json: none while the session is only open; committed: while others of its target and epoch are not
CREATE TABLE IF NOT EXISTS sessions (
    target TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, epoch INTEGER NOT NULL, flushed_json TEXT,
    partition_spec TEXT, committed INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (target, id)) WITHOUT ROWID;
-- schema_json: none when the table was dropped; transaction_json: none for the schema a table was first seen with
CREATE TABLE IF NOT EXISTS schema_history (
    number INTEGER PRIMARY KEY, table_name TEXT NOT NULL, transaction_json TEXT, schema_json TEXT, ddl TEXT);
CREATE INDEX IF NOT EXISTS schema_history_by_table ON schema_history (table_name, number);
CREATE TABLE IF NOT EXISTS snapshot_tables (table_name TEXT PRIMARY KEY, record_json TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS snapshot_chunks (
    table_name TEXT NOT NULL, number INTEGER NOT NULL, chunk_json TEXT NOT NULL, delivered INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (table_name, number)) WITHOUT ROWID;
-- one row for each statement at the sink that belongs to a schema change of the source
CREATE TABLE IF NOT EXISTS sink_statements (
    target TEXT NOT NULL, change TEXT NOT NULL, number INTEGER NOT NULL, statement TEXT NOT NULL, done INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (target, change, number)) WITHOUT ROWID;
-- all statements of a change that takes names of columns away and gives them again, from before the first of them is sent
CREATE TABLE IF NOT EXISTS sink_plans (
    target TEXT NOT NULL, change TEXT NOT NULL, steps_json TEXT NOT NULL, PRIMARY KEY (target, change)) WITHOUT ROWID;
-- transaction_json: none for rows read by the snapshot; targets_json: those that lack the event
CREATE TABLE IF NOT EXISTS dead_letters (
    number INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, table_name TEXT NOT NULL, transaction_json TEXT,
    commit_micros INTEGER NOT NULL, snapshot_key TEXT, plugin TEXT NOT NULL, plugin_hash TEXT NOT NULL,
    reason TEXT NOT NULL, event_json TEXT NOT NULL, targets_json TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS dead_letters_by_key ON dead_letters (table_name, snapshot_key);
-- changes of sink tables that wait for an operator's word
CREATE TABLE IF NOT EXISTS approvals (
    target TEXT NOT NULL, change TEXT NOT NULL, source TEXT NOT NULL, statements_json TEXT NOT NULL, asked_at_ms INTEGER NOT NULL,
    approved INTEGER NOT NULL, PRIMARY KEY (target, change)) WITHOUT ROWID;
-- from its place on, rows go through this module; ahead_json: sink tables for which it counts from another place on
CREATE TABLE IF NOT EXISTS plugin_versions (
    number INTEGER PRIMARY KEY AUTOINCREMENT, entry TEXT NOT NULL, plugin TEXT NOT NULL, sha256 TEXT NOT NULL,
    file_sha256 TEXT NOT NULL, position_json TEXT NOT NULL, ahead_json TEXT NOT NULL, at_ms INTEGER NOT NULL, way TEXT NOT NULL);
-- what `sluicebox plugin` asks of a running pipeline; answer_json: none while it waits
CREATE TABLE IF NOT EXISTS plugin_requests (
    number INTEGER PRIMARY KEY AUTOINCREMENT, request_json TEXT NOT NULL, asked_at_ms INTEGER NOT NULL, answer_json TEXT);
-- what plugins remember of sink tables
CREATE TABLE IF NOT EXISTS memory (
    target TEXT NOT NULL, plugin TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (target, plugin, key)) WITHOUT ROWID;
-- what changes in it when the flushed sessions of a target have committed; value: none for a key that goes
CREATE TABLE IF NOT EXISTS memory_pending (
    target TEXT NOT NULL, plugin TEXT NOT NULL, key TEXT NOT NULL, value BLOB, PRIMARY KEY (target, plugin, key)) WITHOUT ROWID;
-- snapshot chunks that a sink table holds of which plugins remember something, and that no checkpoint holds
CREATE TABLE IF NOT EXISTS target_chunks (
    target TEXT NOT NULL, table_name TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (target, table_name, number)) WITHOUT ROWID;
-- sink tables that are made whole again after binlog was lost
CREATE TABLE IF NOT EXISTS remakes (target TEXT PRIMARY KEY, how_json TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS errors (number INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, message TEXT NOT NULL);
";

/// What changed since format 1. It kept rows of dead letters in a form that cannot be read back: they stay, under another name, for
/// people to look at. Its sessions knew no partitions.
pub(super) const FROM_1: &str = "
ALTER TABLE dead_letters RENAME TO dead_letters_of_format_1;
ALTER TABLE sessions ADD COLUMN partition_spec TEXT;
ALTER TABLE sessions ADD COLUMN committed INTEGER NOT NULL DEFAULT 0;
";

/// Whether the tables have been made: all in one transaction, so the first tells for all.
pub(super) fn exist(connection: &Connection) -> Result<bool, StateError> {
    let found = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'meta')";
    Ok(connection.query_row(found, [], |row| row.get(0))?)
}

pub(super) fn meta<T: DeserializeOwned>(connection: &Connection, key: &str) -> Result<Option<T>, StateError> {
    let text: Option<String> = connection
        .query_row("SELECT value_json FROM meta WHERE key = ?1", [key], |row| row.get(0))
        .optional()?;
    Ok(text.map(|t| serde_json::from_str(&t)).transpose()?)
}

pub(super) fn set_meta<T: Serialize + ?Sized>(
    connection: &Connection,
    key: &str,
    value: &T,
) -> Result<(), StateError> {
    let text = serde_json::to_string(value)?;
    connection.execute(
        "INSERT INTO meta (key, value_json) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value_json = ?2",
        (key, text),
    )?;
    Ok(())
}
