//! Sink tables that are made whole again after binlog was lost (`pipeline/anew.rs`), and how.

use std::collections::HashMap;

use rusqlite::Transaction;
use serde::{Deserialize, Serialize};

use super::records::json;
use super::{StateError, Store};

/// How a sink table gets rid of rows that vanished at the source while nobody looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Remake {
    /// It has a key: rows are written over those that are there, and at the end the keys are deleted that did not come.
    Sweep,
    /// It has none: its first commit holds all its rows and replaces what is there.
    Replace,
}

impl Store {
    /// Targets that are not whole again.
    pub fn remakes(&self) -> Result<HashMap<String, Remake>, StateError> {
        self.call_blocking(|tx| {
            let mut rows = tx.prepare("SELECT target, how_json FROM remakes")?;
            let rows = rows.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
            rows.map(|row| {
                let (target, how) = row?;
                Ok((target, serde_json::from_str(&how)?))
            })
            .collect()
        })
    }

    /// Forgets targets that no table goes to any more.
    pub fn forget_remakes(&self, targets: Vec<String>) -> Result<(), StateError> {
        self.call_blocking(move |tx| targets.iter().try_for_each(|target| end(tx, target)))
    }
}

pub(super) fn put(tx: &Transaction<'_>, target: &str, how: Remake) -> Result<(), StateError> {
    tx.execute("INSERT OR REPLACE INTO remakes (target, how_json) VALUES (?1, ?2)", (target, json(&how)?))?;
    Ok(())
}

/// A target is whole again.
pub(super) fn end(tx: &Transaction<'_>, target: &str) -> Result<(), StateError> {
    tx.execute("DELETE FROM remakes WHERE target = ?1", [target])?;
    Ok(())
}
