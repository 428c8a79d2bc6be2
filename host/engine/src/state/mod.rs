//! What the pipeline remembers: one SQLite database in the state directory, one lock.
//!
//! Promise: after a crash at any instant the database tells, for each target, which transactions of the source it
//! holds for certain, and which sessions may have to be finished or dropped.
//! How: every change below is made whole or not at all, in a SQLite transaction that is synced before it is answered (WAL, `synchronous=FULL`);
//! changes that wait at the same moment share one. The order of
//! records around a session is its protocol:
//!
//!   1. *open* is written before the session's first byte is sent: a crash later finds it and aborts it;
//!   2. *flushed* with its position is written when all its bytes were answered, before its commit is asked for: a crash
//!      later finishes the commit;
//!   3. *committed* moves the target's own position to that place and forgets the session.
//!
//! A partitioned target has a session for each partition. They are flushed together, and the position moves when the last of
//! them has committed: until then none is forgotten.
//!
//! What plugins remember of a target goes with its sessions (`memory`): written with *flushed*, in force with *committed*.
//!
//! When every target has committed an epoch, the *checkpoint* moves to the epoch's position and the targets' own positions
//! up to that epoch are forgotten. A restart reads the source again from the checkpoint; a target that is ahead skips what its
//! own position covers.
//!
//! SQLite, since `status` reads it while the pipeline runs and anyone has a tool to look inside. One thread owns the
//! connection; everybody else sends it closures, so no async task ever waits on a disk.

mod approvals;
mod begin;
pub(crate) mod crash;
mod letters;
mod memory;
mod plans;
mod plugins;
mod records;
mod remakes;
mod schemas;
mod seen;
mod tables;

pub use approvals::{Approval, approve};
pub(crate) use begin::Anew;
pub use letters::DeadLetter;
pub use memory::{MemorySize, Remembered};
pub use plugins::{Desk, PluginVersion, Request, Way};
pub(crate) use plugins::{behind, files};
pub(crate) use records::FIRST_PIECE;
pub use records::{Checkpoint, Flushed, SessionKind, SessionRecord, SnapshotChunk, SnapshotTable, Statement};
pub use remakes::Remake;
pub use schemas::SchemaRecord;
pub use seen::{Digest, Seen};

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, bounded};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use tokio::sync::oneshot;

/// Written to `meta.format`; raised when old code could not read what new code writes.
const FORMAT: i64 = 2;
/// The database's name in the state directory.
pub const FILE_NAME: &str = "state.sqlite";
/// Jobs waiting for the store's thread. Each waits for its answer, so this only has to exceed the number of targets that
/// record something at the same moment; more of them wait their turn.
const QUEUE: usize = 256;

/// Why the state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The directory or the file cannot be used.
    #[error("cannot use the state directory `{}`: {reason}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// Another process holds it.
    #[error("the state directory `{}` is in use by another pipeline", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// Written by a later version.
    #[error("the state in `{}` has format {found}; this version reads up to {FORMAT}", path.display())]
    Format {
        /// The directory.
        path: PathBuf,
        /// What it says.
        found: i64,
    },
    /// A read or a write failed: a full disk, a damaged file.
    #[error("cannot read or write the state: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The transaction that a write shared with others failed.
    #[error("{0}")]
    Together(String),
    /// Something stored cannot be read back.
    #[error("the state holds what cannot be read: {0}")]
    Damaged(#[from] serde_json::Error),
    /// The store's thread has ended.
    #[error("the state store has been closed")]
    Closed,
}

/// Work in a transaction that it may share with others; an error where there is none.
type Job = Box<dyn FnOnce(Result<&rusqlite::Transaction<'_>, StateError>) -> Done + Send>;

/// Work that was done, and not yet committed.
struct Done {
    /// Why what it wrote is not to be kept.
    refused: Option<String>,
    /// Tells who waits what came of it; why the transaction failed, if it did.
    tell: Box<dyn FnOnce(Option<StateError>)>,
}

/// Work that is committed together at most: with it everybody waits for one sync of the disk instead of one after the other.
const TOGETHER: usize = 64;

fn job<T: Send + 'static>(
    work: impl FnOnce(&rusqlite::Transaction<'_>) -> Result<T, StateError> + Send + 'static,
    answer: impl FnOnce(Result<T, StateError>) + Send + 'static,
) -> Job {
    Box::new(move |transaction| {
        let result = transaction.and_then(work);
        Done {
            refused: result.as_ref().err().map(ToString::to_string),
            tell: Box::new(move |failed| {
                answer(match (result, failed) {
                    (Ok(_), Some(error)) => Err(error),
                    (result, _) => result,
                });
            }),
        }
    })
}

/// The open state of a running pipeline. Cheap to share by reference; dropping it closes the database.
#[derive(Debug)]
pub struct Store {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    directory: PathBuf,
    /// Held for the life of the store: the operating system lets go of it when the process dies, however it dies.
    _lock: std::fs::File,
}

impl Store {
    /// Opens the state directory for a pipeline, making it where it is missing.
    pub fn open(directory: &Path) -> Result<Self, StateError> {
        let failed = |error: std::io::Error| StateError::Directory {
            path: directory.into(),
            reason: error.to_string(),
        };
        std::fs::create_dir_all(directory).map_err(failed)?;
        let lock = std::fs::File::create(directory.join("lock")).map_err(failed)?;
        match take(&lock) {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(StateError::Locked { path: directory.into() });
            }
            Err(std::fs::TryLockError::Error(error)) => return Err(failed(error)),
        }
        let mut connection = Connection::open(directory.join(FILE_NAME))?;
        prepare(&mut connection, directory)?;
        let (jobs, queue) = bounded::<Job>(QUEUE);
        let thread = std::thread::Builder::new()
            .name("state".into())
            .spawn(move || serve(connection, &queue))
            .map_err(failed)?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), directory: directory.into(), _lock: lock })
    }

    /// The directory this state lives in.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Runs `work` in one transaction and waits for it without blocking the caller's thread.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Transaction<'_>) -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, StateError> {
        let (answer, answered) = oneshot::channel();
        let job = job(work, move |result| {
            // The caller may have gone: then nobody needs the answer, the work is done all the same.
            let _ = answer.send(result);
        });
        let jobs = self.jobs.clone().ok_or(StateError::Closed)?;
        // The queue is a crossbeam channel; a full one is rare and short, but must not block the runtime's thread.
        match jobs.try_send(job) {
            Ok(()) => {}
            Err(crossbeam::channel::TrySendError::Full(job)) => {
                let sent = tokio::task::spawn_blocking(move || jobs.send(job)).await;
                sent.map_err(|_| StateError::Closed)?.map_err(|_| StateError::Closed)?;
            }
            Err(crossbeam::channel::TrySendError::Disconnected(_)) => return Err(StateError::Closed),
        }
        answered.await.map_err(|_| StateError::Closed)?
    }

    /// As `call`, for threads that may block.
    pub(crate) fn call_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Transaction<'_>) -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, StateError> {
        let (answer, answered) = bounded(1);
        let job = job(work, move |result| {
            let _ = answer.send(result);
        });
        self.jobs.as_ref().ok_or(StateError::Closed)?.send(job).map_err(|_| StateError::Closed)?;
        answered.recv().map_err(|_| StateError::Closed)?
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was already printed by the panic hook.
            let _ = thread.join();
        }
    }
}

/// Takes the lock. Somebody who only asks whether it is held, as `status` does, holds it for some microseconds himself.
fn take(lock: &std::fs::File) -> Result<(), std::fs::TryLockError> {
    const ATTEMPTS: u32 = 20;
    const PAUSE: Duration = Duration::from_millis(10);
    for _ in 1..ATTEMPTS {
        match lock.try_lock() {
            Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            taken => return taken,
        }
    }
    lock.try_lock()
}

fn serve(mut connection: Connection, queue: &Receiver<Job>) {
    let together = if crash::is_counting() { 1 } else { TOGETHER };
    while let Ok(first) = queue.recv() {
        let others = queue.try_iter().take(together - 1);
        let jobs: Vec<Job> = std::iter::once(first).chain(others).collect();
        commit_together(&mut connection, jobs);
    }
}

/// Does the work of several in one transaction. What one of them refuses is taken back alone; where the transaction fails, all have failed.
fn commit_together(connection: &mut Connection, jobs: Vec<Job>) {
    let mut told = Vec::with_capacity(jobs.len());
    let mut jobs = jobs.into_iter();
    let result = in_transaction(connection, |transaction| {
        for job in jobs.by_ref() {
            transaction.execute_batch("SAVEPOINT job")?;
            let Done { refused, tell } = job(Ok(transaction));
            told.push(tell);
            match refused {
                None => transaction.execute_batch("RELEASE job")?,
                // A full disk may have taken the whole transaction back, and the savepoint with it.
                Some(why) => transaction
                    .execute_batch("ROLLBACK TO job; RELEASE job")
                    .map_err(|_| StateError::Together(why))?,
            }
        }
        Ok(())
    });
    let failed = result.err().map(|error| error.to_string());
    for tell in told {
        tell(failed.clone().map(StateError::Together));
    }
    // What was not reached.
    for job in jobs {
        let why = failed.clone().unwrap_or_else(|| StateError::Closed.to_string());
        (job(Err(StateError::Together(why))).tell)(None);
    }
}

fn in_transaction<T>(
    connection: &mut Connection,
    work: impl FnOnce(&rusqlite::Transaction<'_>) -> Result<T, StateError>,
) -> Result<T, StateError> {
    let changes = connection.total_changes();
    // Immediate: one that begins by reading could not write any more once a command of another process has written meanwhile.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let result = work(&transaction)?;
    let writes = transaction.total_changes() > changes;
    if writes {
        crash::before_commit();
    }
    transaction.commit()?;
    if writes {
        crash::after_commit();
    }
    Ok(result)
}

fn prepare(connection: &mut Connection, directory: &Path) -> Result<(), StateError> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.busy_timeout(BUSY)?;
    in_transaction(connection, |tx| {
        let found: Option<i64> = if tables::exist(tx)? { tables::meta(tx, "format")? } else { None };
        match found {
            Some(format) if format > FORMAT => {
                return Err(StateError::Format { path: directory.into(), found: format });
            }
            Some(1) => tx.execute_batch(tables::FROM_1)?,
            _ => {}
        }
        tx.execute_batch(tables::CREATE)?;
        if found == Some(FORMAT) { Ok(()) } else { tables::set_meta(tx, "format", &FORMAT) }
    })
}

/// How long a reader waits for a writer and the other way round; in WAL mode they meet only at a database's first opening.
const BUSY: Duration = Duration::from_secs(5);

/// The state as another process reads it, while the pipeline runs or not.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
}

impl Reader {
    /// Opens the state for reading. None where no pipeline has ever run with this directory.
    pub fn open(directory: &Path) -> Result<Option<Self>, StateError> {
        let file = directory.join(FILE_NAME);
        if !file.exists() {
            return Ok(None);
        }
        let connection = Connection::open_with_flags(&file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(BUSY)?;
        // A pipeline that is just being started for the first time has made the file and nothing in it.
        if !tables::exist(&connection)? {
            return Ok(None);
        }
        let found: Option<i64> = tables::meta(&connection, "format")?;
        match found {
            Some(found) if found > FORMAT => Err(StateError::Format { path: directory.into(), found }),
            _ => Ok(Some(Self { connection })),
        }
    }

    /// Whether a pipeline holds the directory now.
    pub fn is_running(directory: &Path) -> bool {
        let Ok(lock) = std::fs::File::open(directory.join("lock")) else { return false };
        matches!(lock.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock))
    }
}
