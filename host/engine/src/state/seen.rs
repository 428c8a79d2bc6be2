//! Keys that sink tables have been sent since their sources began anew.
//!
//! Promise: a key whose row is in a committed session of such a table is in here. It is written before the session is recorded as
//! *flushed*; one that comes too early does no harm: its row is in the table, or the stream deletes it.
//!
//! A database of its own beside the state's, since it can be large (some 40 bytes a row) and goes whole when it is not needed any more. It holds
//! digests of 128 bits: two keys with one digest are not to be expected in any table, and would leave a row that should go.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension};

use super::StateError;

const FILE_NAME: &str = "seen.sqlite";
/// Pages kept in memory, in KiB: keys come in no order, and every one that is written reads a page.
const CACHE_KIB: i64 = 16 * 1024;

/// What stands for a key.
pub type Digest = [u8; 16];

/// The open database. Clones share it.
#[derive(Debug, Clone)]
pub struct Seen(Arc<Mutex<Connection>>);

impl Seen {
    /// Opens the database of a state directory, making it where it is missing.
    pub fn open(directory: &Path) -> Result<Self, StateError> {
        let connection = Connection::open(directory.join(FILE_NAME))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS targets (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
             CREATE TABLE IF NOT EXISTS seen (
                 target INTEGER NOT NULL, key BLOB NOT NULL, PRIMARY KEY (target, key)) WITHOUT ROWID;",
        )?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// Removes the database of a state directory: nothing is to be swept.
    pub fn remove(directory: &Path) -> Result<(), StateError> {
        for ending in ["", "-wal", "-shm"] {
            let path: PathBuf = directory.join(format!("{FILE_NAME}{ending}"));
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(StateError::Directory { path, reason: error.to_string() });
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Adds keys of a target.
    pub async fn add(&self, target: &str, mut keys: Vec<Digest>) -> Result<(), StateError> {
        // In order they meet fewer pages.
        keys.sort_unstable();
        self.call(target, move |connection, target| {
            let transaction = connection.transaction()?;
            let mut add = transaction.prepare("INSERT OR IGNORE INTO seen (target, key) VALUES (?1, ?2)")?;
            for key in keys {
                add.execute((target, key))?;
            }
            drop(add);
            Ok(transaction.commit()?)
        })
        .await
    }

    /// Places of those keys that a target was not sent.
    pub async fn missing(&self, target: &str, keys: Vec<Digest>) -> Result<Vec<usize>, StateError> {
        self.call(target, move |connection, target| {
            let mut find = connection.prepare_cached("SELECT 1 FROM seen WHERE target = ?1 AND key = ?2")?;
            let mut missing = Vec::new();
            for (place, key) in keys.iter().enumerate() {
                if !find.exists((target, key))? {
                    missing.push(place);
                }
            }
            Ok(missing)
        })
        .await
    }

    /// Forgets the keys of a target: its sources begin anew.
    pub async fn forget(&self, target: &str) -> Result<(), StateError> {
        self.call(target, |connection, target| {
            connection.execute("DELETE FROM seen WHERE target = ?1", [target])?;
            Ok(())
        })
        .await
    }

    /// Runs `work` with a target's number on a thread that may block.
    async fn call<T: Send + 'static>(
        &self,
        target: &str,
        work: impl FnOnce(&mut Connection, i64) -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, StateError> {
        let (connection, target) = (Arc::clone(&self.0), target.to_owned());
        let task = tokio::task::spawn_blocking(move || {
            // A thread that panicked has left a transaction that SQLite took back.
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            let number = number_of(&connection, &target)?;
            work(&mut connection, number)
        });
        task.await.map_err(|_| StateError::Closed)?
    }
}

fn number_of(connection: &Connection, target: &str) -> Result<i64, StateError> {
    let find = "SELECT number FROM targets WHERE name = ?1";
    if let Some(number) = connection.query_row(find, [target], |row| row.get(0)).optional()? {
        return Ok(number);
    }
    connection.execute("INSERT INTO targets (name) VALUES (?1)", [target])?;
    Ok(connection.last_insert_rowid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keys_belong_to_their_target_and_outlive_the_process() {
        let folder = tempfile::tempdir().expect("a folder");
        let seen = Seen::open(folder.path()).expect("a database");
        seen.add("a", vec![[2; 16], [1; 16], [2; 16]]).await.expect("a record");
        seen.add("b", vec![[3; 16]]).await.expect("a record");
        drop(seen);
        let seen = Seen::open(folder.path()).expect("a database");
        let asked = || vec![[1; 16], [3; 16], [2; 16]];
        assert_eq!(seen.missing("a", asked()).await.expect("an answer"), [1]);
        assert_eq!(seen.missing("b", asked()).await.expect("an answer"), [0, 2]);
        seen.forget("a").await.expect("a record");
        assert_eq!(seen.missing("a", asked()).await.expect("an answer"), [0, 1, 2]);
        assert_eq!(seen.missing("b", asked()).await.expect("an answer"), [0, 2]);
        drop(seen);
        Seen::remove(folder.path()).expect("a folder");
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }
}
