//! What plugins remember of each sink table, and the snapshot chunks that such a table holds.
//!
//! Promise: a target's memory is always that of the rows it holds. What the rows of a session changed is written in the transaction that
//! records the session as *flushed*, and becomes the memory in the one that records it as *committed*; when the session is dropped, so is
//! that. A target whose rows were all dropped, and that has no session therefore, moves with its memory in one transaction.
//!
//! Rows of a chunk change the memory as well, and a chunk is read again after a crash until a checkpoint holds it. So the chunks that
//! a target with memory holds already are recorded with its commits, until the checkpoint does.

use std::collections::{BTreeMap, HashMap, HashSet};

use rusqlite::{Connection, Transaction};
use serde::Serialize;

use super::records::{json, number, unsigned};
use super::{Flushed, Reader, StateError, Store};

/// What plugins remember anew of one target, by plugin: values by key, none for a key that went.
pub type Remembered = BTreeMap<String, BTreeMap<String, Option<Vec<u8>>>>;

/// How much a plugin remembers of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemorySize {
    /// The sink table.
    pub target: String,
    /// The plugin.
    pub plugin: String,
    /// Its keys.
    pub keys: u64,
    /// Bytes of keys and values together.
    pub bytes: u64,
}

impl Store {
    /// What a plugin remembers of a target.
    pub fn memory(&self, target: &str, plugin: &str) -> Result<Vec<(String, Vec<u8>)>, StateError> {
        let (target, plugin) = (target.to_owned(), plugin.to_owned());
        self.call_blocking(move |tx| {
            let mut rows = tx.prepare("SELECT key, value FROM memory WHERE target = ?1 AND plugin = ?2")?;
            let rows = rows.query_map((target, plugin), |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Chunks that targets hold and that no checkpoint does: table and number, by target.
    pub fn target_chunks(&self) -> Result<HashMap<String, HashSet<(String, u64)>>, StateError> {
        self.call_blocking(|tx| {
            let mut rows = tx.prepare("SELECT target, table_name, number FROM target_chunks")?;
            let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, unsigned(row.get(2)?))))?;
            let mut chunks: HashMap<String, HashSet<(String, u64)>> = HashMap::new();
            for row in rows {
                let (target, table, chunk): (String, String, u64) = row?;
                chunks.entry(target).or_default().insert((table, chunk));
            }
            Ok(chunks)
        })
    }

    /// Records that a target holds everything up to a place although it has no session: its plugins dropped every row, and
    /// remember them.
    pub async fn target_moved(
        &self,
        target: &str,
        epoch: u64,
        holds: &Flushed,
        remembered: Remembered,
    ) -> Result<(), StateError> {
        let (target, holds) = (target.to_owned(), holds.clone());
        self.call(move |tx| {
            put_pending(tx, &target, &remembered)?;
            super::records::put_holds(tx, &target, epoch, &holds)
        })
        .await
    }
}

impl Reader {
    /// How much plugins remember, by target and plugin.
    pub fn memory_sizes(&self) -> Result<Vec<MemorySize>, StateError> {
        read_sizes(&self.connection)
    }
}

fn read_sizes(connection: &Connection) -> Result<Vec<MemorySize>, StateError> {
    // A database of an earlier version has no such table before its pipeline runs again.
    let there = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'memory')";
    if !connection.query_row(there, [], |row| row.get(0))? {
        return Ok(Vec::new());
    }
    let mut rows = connection.prepare(
        "SELECT target, plugin, COUNT(*), SUM(OCTET_LENGTH(key) + LENGTH(value)) FROM memory GROUP BY target, plugin ORDER BY target, plugin",
    )?;
    let rows = rows.query_map([], |row| {
        Ok(MemorySize {
            target: row.get(0)?,
            plugin: row.get(1)?,
            keys: unsigned(row.get(2)?),
            bytes: unsigned(row.get(3)?),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Writes down what becomes a target's memory when its sessions have committed.
pub(super) fn put_pending(
    tx: &Transaction<'_>,
    target: &str,
    remembered: &Remembered,
) -> Result<(), StateError> {
    drop_pending(tx, target)?;
    let mut put =
        tx.prepare_cached("INSERT INTO memory_pending (target, plugin, key, value) VALUES (?1, ?2, ?3, ?4)")?;
    for (plugin, changes) in remembered {
        for (key, value) in changes {
            put.execute((target, plugin, key, value))?;
        }
    }
    Ok(())
}

/// Makes what is pending a target's memory, and the chunks of its commit its own.
pub(super) fn settle(tx: &Transaction<'_>, target: &str, chunks: &[(String, u64)]) -> Result<(), StateError> {
    tx.execute(
        "DELETE FROM memory WHERE (target, plugin, key) IN \
         (SELECT target, plugin, key FROM memory_pending WHERE target = ?1 AND value IS NULL)",
        [target],
    )?;
    tx.execute(
        "INSERT OR REPLACE INTO memory (target, plugin, key, value) \
         SELECT target, plugin, key, value FROM memory_pending WHERE target = ?1 AND value IS NOT NULL",
        [target],
    )?;
    drop_pending(tx, target)?;
    for (table, chunk) in chunks {
        tx.execute(
            "INSERT OR REPLACE INTO target_chunks (target, table_name, number) VALUES (?1, ?2, ?3)",
            (target, table, number(*chunk)),
        )?;
    }
    Ok(())
}

/// Forgets what is pending of a target none of whose sessions is flushed any more: its rows are read again.
pub(super) fn drop_unless_flushed(tx: &Transaction<'_>, target: &str) -> Result<(), StateError> {
    let flushed = "SELECT EXISTS (SELECT 1 FROM sessions WHERE target = ?1 AND flushed_json IS NOT NULL)";
    let flushed: bool = tx.query_row(flushed, [target], |row| row.get(0))?;
    if flushed { Ok(()) } else { drop_pending(tx, target) }
}

fn drop_pending(tx: &Transaction<'_>, target: &str) -> Result<(), StateError> {
    tx.execute("DELETE FROM memory_pending WHERE target = ?1", [target])?;
    Ok(())
}

/// The checkpoint holds these chunks and these tables whole: targets need not.
pub(super) fn forget_chunks(
    tx: &Transaction<'_>,
    chunks: &[(String, u64)],
    tables: &[String],
) -> Result<(), StateError> {
    for (table, chunk) in chunks {
        tx.execute(
            "DELETE FROM target_chunks WHERE table_name = ?1 AND number = ?2",
            (table, number(*chunk)),
        )?;
    }
    tx.execute(
        "DELETE FROM target_chunks WHERE table_name IN (SELECT value FROM json_each(?1))",
        [json(&tables)?],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use sluicebox_model::{Gtids, Position};

    use super::*;
    use crate::state::{SessionKind, SessionRecord};

    fn at(offset: u64) -> Flushed {
        let position = Position { file: "b.000001".into(), offset, gtids: Gtids::None };
        let chunks = vec![("d.t".to_owned(), offset)];
        Flushed { position, letters: Vec::new(), chunks, remade: false }
    }

    fn session(id: &str, flushed: Option<Flushed>) -> SessionRecord {
        SessionRecord {
            target: "t".into(),
            id: id.into(),
            kind: SessionKind::Upsert,
            epoch: 1,
            flushed,
            partition: None,
            committed: false,
        }
    }

    fn remembered(value: Option<&str>) -> Remembered {
        let changes = BTreeMap::from([("key".to_owned(), value.map(|value| value.as_bytes().to_vec()))]);
        BTreeMap::from([("plugin".to_owned(), changes)])
    }

    fn value(store: &Store) -> Option<String> {
        let found = store.memory("t", "plugin").expect("a memory");
        found.into_iter().next().map(|(_, value)| String::from_utf8(value).expect("a text"))
    }

    /// Opens these sessions and flushes them together.
    async fn flush(store: &Store, ids: &[&str], holds: &Flushed, remembered: Remembered) {
        for id in ids {
            store.session_open(&session(id, None)).await.expect("a record");
        }
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        store.sessions_flushed("t", ids, 1, holds, remembered).await.expect("a record");
    }

    #[test]
    fn what_is_remembered_goes_with_the_sessions_that_hold_its_rows() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path()).expect("a store");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            flush(&store, &["a", "b"], &at(1), remembered(Some("1"))).await;
            assert_eq!(value(&store), None, "nothing has committed");
            store.session_committed(&session("a", Some(at(1)))).await.expect("a record");
            assert_eq!(value(&store), None, "one partition has not committed");
            store.session_committed(&session("b", Some(at(1)))).await.expect("a record");
            assert_eq!(value(&store).as_deref(), Some("1"));
            assert_eq!(store.target_chunks().expect("chunks")["t"].len(), 1);

            flush(&store, &["c", "d"], &at(2), remembered(Some("2"))).await;
            store.sessions_dropped("t", vec!["c".into(), "d".into()]).await.expect("a record");
            assert_eq!(value(&store).as_deref(), Some("1"), "its rows are read again");
            flush(&store, &["e"], &at(2), remembered(None)).await;
            store.session_committed(&session("e", Some(at(2)))).await.expect("a record");
            assert_eq!(value(&store), None, "the key has gone");

            store.target_moved("t", 2, &at(3), remembered(Some("3"))).await.expect("a record");
            assert_eq!(value(&store).as_deref(), Some("3"));
            assert_eq!(store.targets_ahead().expect("positions")["t"], at(3).position);
        });
        let (delivered, done) = (vec![("d.t".to_owned(), 1)], Vec::new());
        store.epoch_committed(2, &at(3).position, 0, delivered, done, Vec::new()).expect("a checkpoint");
        assert_eq!(store.target_chunks().expect("chunks")["t"].len(), 2, "the checkpoint holds one of three");
    }
}
