//! What the emulator keeps.
//!
//! Promise: what a commit answered for is there after the process is killed at any moment, whole; a session
//! that was not committed is there with the blocks whose requests were answered.
//!
//! Two SQLite files in the data folder, both with a write-ahead log. `tables.db` holds the catalog, the
//! sessions' states, statements, and one row table per MaxCompute table; a commit is one transaction there,
//! which moves the rows and the session's state together. `blocks.db` holds the blocks of open sessions,
//! apart, so that writing blocks never waits for a commit of another table. A crash between a commit and the
//! removal of its blocks leaves blocks of a committed session, which the next start removes.
//!
//! A write is in the log when its request is answered; the log is not forced to the disk each time, so a
//! power failure (not a crash of the process) may lose the last moments. For a test server that is the right
//! trade.
//!
//! The catalog is also kept in memory, changed under the writer's lock after the transaction that changed it.
//! Lock order: session gate, writer, catalog.

mod block;
mod catalog;
mod change;
mod commit;
mod control;
mod instance;
mod rows;
mod session;
mod table;

use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use rusqlite::Connection;

pub(crate) use block::{BlockInfo, Entry, put_entry};
pub(crate) use catalog::Catalog;
pub(crate) use control::Chosen;
pub(crate) use instance::Instance;
pub(crate) use rows::{Download, RowRange};
pub(crate) use session::{MAX_LIFETIME_HOURS, NewSession, Session, SessionKind, Status};
pub(crate) use table::{Column, DEFAULT_SCHEMA, Partition, Table, TableName, parse_partition};

use crate::clock::system_ms;
use crate::fault::Fault;
use instance::Instances;

/// Version of the files' layout.
const FORMAT: i64 = 1;

/// Why the data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("another process uses it")]
    InUse,
    #[error("the folder cannot be used: {0}")]
    Folder(#[from] std::io::Error),
    #[error("the database cannot be used: {0}")]
    Database(#[from] rusqlite::Error),
    #[error("its format is {found}, this program knows {FORMAT}")]
    Format { found: i64 },
    #[error("a stored document is not readable: {0}")]
    Document(#[from] serde_json::Error),
}

/// Where the two databases are.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Folder(PathBuf),
    /// Memory of this process under a name of its own; at most a gigabyte each, SQLite's limit.
    Memory(String),
}

impl Place {
    pub(crate) fn memory() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        Self::Memory(format!("emulator-{}", COUNT.fetch_add(1, Ordering::Relaxed)))
    }

    fn connect(&self, file: &str) -> Result<Connection, rusqlite::Error> {
        let connection = match self {
            Self::Folder(folder) => Connection::open(folder.join(file))?,
            Self::Memory(name) => Connection::open(format!("file:/{name}/{file}?vfs=memdb"))?,
        };
        prepare(&connection)?;
        Ok(connection)
    }

    /// Makes the folder and keeps other processes out of it.
    fn claim(&self) -> Result<Option<File>, OpenError> {
        let Self::Folder(folder) = self else { return Ok(None) };
        std::fs::create_dir_all(folder)?;
        let lock = File::create(folder.join("lock"))?;
        lock.try_lock().map_err(|error| match error {
            std::fs::TryLockError::WouldBlock => OpenError::InUse,
            std::fs::TryLockError::Error(error) => error.into(),
        })?;
        Ok(Some(lock))
    }
}

/// All durable state, and the sessions and catalog in memory.
pub(crate) struct Store {
    place: Place,
    /// Held as long as the store lives, so that two processes never share the folder.
    _lock: Option<File>,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
    blocks: Mutex<Connection>,
    block_readers: Mutex<Vec<Connection>>,
    catalog: RwLock<Catalog>,
    sessions: RwLock<HashMap<String, Arc<Session>>>,
    downloads: Mutex<HashMap<String, Arc<Download>>>,
    instances: Mutex<Instances>,
    counts: Mutex<HashMap<i64, rows::Count>>,
    /// Slots moved since the start.
    moves: AtomicU32,
    /// Written bodies are checked and not kept.
    pub(crate) discard: bool,
}

impl Store {
    /// Opens or creates the databases.
    pub(crate) fn open(place: Place, discard: bool) -> Result<Self, OpenError> {
        let lock = place.claim()?;
        let writer = place.connect("tables.db")?;
        let blocks = place.connect("blocks.db")?;
        create_layout(&writer, &blocks)?;
        let catalog = Catalog::load(&writer)?;
        let sessions = session::load(&writer)?;
        let instances = Instances::load(&writer, system_ms())?;
        let store = Self {
            place,
            _lock: lock,
            writer: Mutex::new(writer),
            readers: Mutex::default(),
            blocks: Mutex::new(blocks),
            block_readers: Mutex::default(),
            catalog: RwLock::new(catalog),
            sessions: RwLock::new(sessions),
            downloads: Mutex::default(),
            instances: Mutex::new(instances),
            counts: Mutex::default(),
            moves: AtomicU32::new(0),
            discard,
        };
        store.remove_leftovers()?;
        Ok(store)
    }

    /// Removes blocks of sessions that take no more, and rows kept only for readers of the last run.
    fn remove_leftovers(&self) -> Result<(), rusqlite::Error> {
        self.forget_old_sessions(system_ms())?;
        let open: Vec<String> = {
            let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
            sessions.values().filter(|s| s.status() == Status::Normal).map(|s| s.id.clone()).collect()
        };
        let blocks = lock(&self.blocks);
        let known: Vec<String> = blocks
            .prepare("SELECT DISTINCT session FROM blocks")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for session in known.iter().filter(|session| !open.contains(session)) {
            blocks.execute("DELETE FROM blocks WHERE session = ?1", [session])?;
        }
        let writer = lock(&self.writer);
        for table in self.catalog().tables().filter(|table| !table.is_delta()) {
            writer.execute(&format!("DELETE FROM {} WHERE died IS NOT NULL", table.rows()), [])?;
        }
        Ok(())
    }

    /// The catalog, to be read briefly.
    pub(crate) fn catalog(&self) -> RwLockReadGuard<'_, Catalog> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> MutexGuard<'_, Connection> {
        lock(&self.writer)
    }

    /// Runs `work` on a connection that only reads.
    fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, Fault> {
        self.read_from(&self.readers, "tables.db", work)
    }

    fn read_from<T>(
        &self,
        pool: &Mutex<Vec<Connection>>,
        file: &str,
        work: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let idle = lock(pool).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.place.connect(file)?,
        };
        let result = steady(&connection).map_err(Fault::from).and_then(|view| work(&view));
        lock(pool).push(connection);
        result
    }
}

/// A panic while a lock was held left no half-changed memory: every change is one assignment after its
/// transaction.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A transaction that has its view of the database already; it ends when it is dropped. Without one, statements are compiled for tables
/// that change meanwhile as others are made, and after some attempts that fails.
fn steady(connection: &Connection) -> Result<rusqlite::Transaction<'_>, rusqlite::Error> {
    let view = connection.unchecked_transaction()?;
    view.query_row("PRAGMA schema_version", [], |row| row.get::<_, i64>(0))?;
    Ok(view)
}

fn prepare(connection: &Connection) -> Result<(), rusqlite::Error> {
    // The page size counts only before the first table. Rows are blobs of about a hundred bytes, blocks of
    // megabytes; 16 KiB serves both.
    connection.execute_batch(
        "PRAGMA page_size = 16384;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = NORMAL;
         PRAGMA cache_size = -65536;
         PRAGMA wal_autocheckpoint = 4000;
         PRAGMA temp_store = MEMORY;",
    )?;
    // Another connection of this process may hold the log for a moment while it is being checkpointed.
    connection.busy_timeout(std::time::Duration::from_secs(30))?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

fn create_layout(writer: &Connection, blocks: &Connection) -> Result<(), OpenError> {
    let found: i64 = writer.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found != 0 && found != FORMAT {
        return Err(OpenError::Format { found });
    }
    writer.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS schemas (project TEXT, name TEXT, created_s INTEGER, PRIMARY KEY (project, name));
         CREATE TABLE IF NOT EXISTS tables (id INTEGER PRIMARY KEY AUTOINCREMENT, project TEXT NOT NULL,
            schema TEXT NOT NULL, name TEXT NOT NULL, modified_s INTEGER NOT NULL, doc TEXT NOT NULL,
            UNIQUE (project, schema, name));
         CREATE TABLE IF NOT EXISTS partitions (id INTEGER PRIMARY KEY AUTOINCREMENT, table_id INTEGER NOT NULL,
            spec TEXT NOT NULL, created_s INTEGER NOT NULL, UNIQUE (table_id, spec));
         CREATE TABLE IF NOT EXISTS sessions (id TEXT PRIMARY KEY, status INTEGER NOT NULL,
            created_ms INTEGER NOT NULL, doc TEXT NOT NULL);
         CREATE TABLE IF NOT EXISTS instances (id TEXT PRIMARY KEY, project TEXT NOT NULL,
            created_ms INTEGER NOT NULL, doc TEXT NOT NULL);
         PRAGMA user_version = {FORMAT};"
    ))?;
    blocks.execute_batch(
        "CREATE TABLE IF NOT EXISTS blocks (seq INTEGER PRIMARY KEY AUTOINCREMENT, session TEXT NOT NULL,
            slot INTEGER NOT NULL, rows INTEGER NOT NULL, stored_ms INTEGER NOT NULL, body BLOB NOT NULL);
         CREATE INDEX IF NOT EXISTS blocks_of_session ON blocks (session, slot);",
    )?;
    Ok(())
}
