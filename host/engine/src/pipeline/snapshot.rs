//! The snapshot: cuts tables into chunks, reads them, and hands them to the coordinator.
//!
//! One thread with a single-threaded executor: readers wait for the server nearly all the time. One connection cuts, the others read,
//! each chunk inside a window that the coordinator opened. Cut chunks are recorded before they are read, delivered ones by the
//! checkpoint that holds their rows; so after a crash cutting goes on where it stopped, and at most the chunks that no
//! checkpoint holds are read again. A chunk whose rows turn out to be too wide is cut into pieces (`snapshot/chunk.rs`).
//!
//! A table whose rows are appended is read whole, inside one snapshot that all readers of it share: their connections open theirs while the table
//! is locked for a moment. Cut by a column or by its key, ranges are read in parallel; a crash begins it anew.
//!
//! A table that changes while a chunk is read makes the chunk void: it is read again under the new columns. A lost
//! connection is opened again; the chunk starts over.

mod chunk;
mod even;
mod whole;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, unbounded};
use sluicebox_model::{TableId, TableSchema};
use sluicebox_mysql::{
    Chunk, ConnectOptions, Flavour, KeyBound, MysqlError, ServerInfo, SnapshotReader, Watermark,
};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::LocalSet;

use super::calm::Replicas;
use super::messages::SnapshotMessage;
use super::pace::{self, Pace};
use super::scan;
use crate::config::ScanLimits;
use crate::error::{Disposition, EngineError};
use crate::state::{FIRST_PIECE, SnapshotTable, StateError, Store, crash};
use crate::telemetry::Telemetry;
use even::Even;

/// Chunks cut ahead of the readers, for each reader: enough that none waits for the cut, which is one index read.
const CHUNKS_AHEAD: usize = 4;
/// Tables are cut on one connection; of many small ones, on several: a table takes an index read and a record of the state, which waits for a
/// disk, whatever its size.
const TABLES_PER_CUTTER: usize = 100;
const MOST_CUTTERS: usize = 8;
/// Bytes of a chunk: enough that none of ordinary rows is cut, and all readers together keep to a quarter of the pipeline's memory. It is held
/// until the stream has passed its mark, outside of the budget, which counts what is on its way to the sink.
const CHUNK_BYTES: std::ops::RangeInclusive<u64> = (1 << 20)..=(32 << 20);
/// Pause before something that failed is tried again; a schema change or a restart of the server takes about that long.
const PAUSE: Duration = Duration::from_millis(500);
/// Attempts at one chunk before the snapshot fails: with the pause above about five minutes.
const ATTEMPTS: u32 = 600;
/// How often a busy server is asked again, and the longest piece of any wait.
const BUSY_PAUSE: Duration = Duration::from_secs(1);
/// After so long the speed of a snapshot is known.
const FORECAST_AFTER: Duration = Duration::from_secs(60);
/// Server errors that say that the table is not what the chunk was planned for: no such table, no such column, definition changed.
const TABLE_CHANGED: [u16; 3] = [1146, 1054, 1412];

/// What there is to read.
pub(super) struct SnapshotPlan {
    pub connect: ConnectOptions,
    pub server: ServerInfo,
    pub watermark: Option<Watermark>,
    /// Tables that are not whole.
    pub tables: Vec<Unfinished>,
    pub chunk_rows: u64,
    /// Which keys count as evenly spread.
    pub even: (f64, f64),
    pub readers: usize,
    /// Bytes of a chunk; one of more is cut.
    pub chunk_bytes: usize,
    /// Chunks that targets have from before a crash, by table and number.
    pub held: HashSet<(String, u64)>,
    pub limits: ScanLimits,
    /// The servers whose lag holds the reading up.
    pub replicas: Vec<ConnectOptions>,
    /// How long the server keeps its binlog; none: for ever.
    pub retention: Option<Duration>,
    pub store: Arc<Store>,
    pub telemetry: Arc<Telemetry>,
}

/// A table that is not whole.
pub(super) struct Unfinished {
    pub schema: Arc<TableSchema>,
    /// How far it is.
    pub record: SnapshotTable,
    /// Whether it is read whole, since its rows are appended.
    pub whole: bool,
}

/// Bytes of a chunk, of `memory` bytes for everything.
pub(super) fn chunk_bytes(memory: u64, readers: usize) -> usize {
    let share = memory / 4 / readers.max(1) as u64;
    usize::try_from(share.clamp(*CHUNK_BYTES.start(), *CHUNK_BYTES.end())).unwrap_or(usize::MAX)
}

/// The thread that reads. It ends by itself when everything has been read.
pub(super) struct Reading {
    thread: JoinHandle<()>,
    /// Dropped to end it.
    wanted: oneshot::Sender<()>,
}

impl Reading {
    /// Ends the reading, whatever the server is being asked at the moment, and waits for it.
    pub fn end(self) {
        drop(self.wanted);
        // What made it panic has been told by then.
        let _ = self.thread.join();
    }
}

/// Starts the snapshot's thread.
pub(super) fn spawn(
    plan: SnapshotPlan,
    runtime: &Handle,
) -> Result<(Reading, Receiver<SnapshotMessage>), EngineError> {
    // Every reader waits for the answer to its message, so there are never more messages than readers, but for one at each
    // table's end.
    let (messages, queue) = unbounded();
    let (wanted, unwanted) = oneshot::channel::<()>();
    let runtime = runtime.clone();
    let thread = std::thread::Builder::new()
        .name("snapshot".into())
        .spawn(move || {
            let pace = RefCell::new(Pace::new(plan.limits, Instant::now()));
            let forecast = RefCell::new(Forecast::new(&plan));
            let replicas =
                plan.limits.replica_lag.map(|most| Mutex::new(Replicas::new(&plan.replicas, most)));
            let snapshot = Rc::new(Snapshot {
                plan,
                messages,
                pending: RefCell::default(),
                next_table: Cell::default(),
                whole_turn: Mutex::default(),
                room: RefCell::default(),
                pace,
                replicas,
                forecast,
            });
            let local = LocalSet::new();
            let result = runtime.block_on(local.run_until(async {
                tokio::select! {
                    result = Rc::clone(&snapshot).run() => result,
                    _ = unwanted => Err(Stop::Gone),
                }
            }));
            let last = match result {
                Ok(()) => SnapshotMessage::Done,
                Err(Stop::Gone) => return,
                Err(Stop::Failed(error)) => SnapshotMessage::Failed(error),
            };
            // The coordinator has gone: nobody wants to know.
            let _ = snapshot.messages.send(last);
        })
        .map_err(|source| EngineError::Start { what: "the snapshot thread", source })?;
    Ok((Reading { thread, wanted }, queue))
}

/// Why the snapshot ends early.
enum Stop {
    /// The coordinator has gone.
    Gone,
    Failed(EngineError),
}

impl From<MysqlError> for Stop {
    fn from(error: MysqlError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<StateError> for Stop {
    fn from(error: StateError) -> Self {
        Self::Failed(error.into())
    }
}

struct Job {
    schema: Arc<TableSchema>,
    chunk: Chunk,
}

/// Chunks of a table that are cut and not placed.
#[derive(Default)]
struct Pending {
    chunks: u64,
    planned: bool,
}

struct Snapshot {
    plan: SnapshotPlan,
    messages: Sender<SnapshotMessage>,
    pending: RefCell<HashMap<TableId, Pending>>,
    /// The next table that is to be cut.
    next_table: Cell<usize>,
    whole_turn: Mutex<()>,
    pace: RefCell<Pace>,
    /// Of tables with wide rows, how many there is room for in a chunk.
    room: RefCell<HashMap<TableId, u64>>,
    /// None: their lag does not matter.
    replicas: Option<Mutex<Replicas>>,
    forecast: RefCell<Forecast>,
}

/// Whether the binlog lasts for the snapshot, told once, after some time of reading.
struct Forecast {
    began: Instant,
    read: u64,
    all: u64,
    told: bool,
}

impl Forecast {
    fn new(plan: &SnapshotPlan) -> Self {
        let all = plan.tables.iter().map(|table| table.record.estimated_rows).sum();
        Self { began: Instant::now(), read: 0, all, told: false }
    }

    fn count(&mut self, rows: u64, retention: Option<Duration>) {
        self.read += rows;
        let elapsed = self.began.elapsed();
        if self.told || elapsed < FORECAST_AFTER {
            return;
        }
        self.told = true;
        if let Some(rest) = pace::rest(elapsed, self.read, self.all) {
            scan::compare(elapsed + rest, retention);
        }
    }
}

impl Snapshot {
    async fn run(self: Rc<Self>) -> Result<(), Stop> {
        let (jobs, queue) = mpsc::channel(self.plan.readers * CHUNKS_AHEAD);
        let queue = Rc::new(Mutex::new(queue));
        let mut tasks = tokio::task::JoinSet::new();
        let cutters = self.plan.tables.len().div_ceil(TABLES_PER_CUTTER).clamp(1, MOST_CUTTERS);
        for number in 0..cutters {
            tasks.spawn_local(Rc::clone(&self).cut(jobs.clone(), number == 0));
        }
        drop(jobs);
        for _ in 0..self.plan.readers {
            tasks.spawn_local(Rc::clone(&self).read(Rc::clone(&queue)));
        }
        while let Some(ended) = tasks.join_next().await {
            ended.map_err(|_| Stop::Failed(EngineError::Lost("snapshot task")))??;
        }
        Ok(())
    }

    async fn connect(&self) -> Result<SnapshotReader, MysqlError> {
        // Tables with a key are only planned where a watermark exists; a whole table's mark is of the server's own kind.
        let own = match self.plan.server.flavour {
            Flavour::MariaDb => Watermark::MariaDb,
            Flavour::MySql if self.plan.server.has_gtids => Watermark::MySqlGtid,
            Flavour::MySql => Watermark::MySqlLogStatus,
        };
        let watermark = self.plan.watermark.unwrap_or(own);
        SnapshotReader::connect(&self.plan.connect, &self.plan.server, watermark).await
    }

    /// Cuts tables into chunks, and reads those whose rows are appended. The account may have too few connections for others than the first.
    async fn cut(self: Rc<Self>, jobs: mpsc::Sender<Job>, is_first: bool) -> Result<(), Stop> {
        let mut reader = match self.connect().await {
            Ok(reader) => reader,
            Err(error) if is_first => return Err(error.into()),
            Err(error) => {
                tracing::debug!(%error, "no connection for another cutter");
                return Ok(());
            }
        };
        loop {
            let next = self.next_table.get();
            let Some(Unfinished { schema, record, whole }) = self.plan.tables.get(next) else { break };
            self.next_table.set(next + 1);
            if *whole {
                // One at a time: each takes as many connections as there are readers.
                let _turn = self.whole_turn.lock().await;
                reader = self.read_whole(reader, schema, record.cut_by.as_deref()).await?;
            } else {
                self.cut_table(&mut reader, schema, record, &jobs).await?;
            }
        }
        Ok(())
    }

    async fn cut_table(
        &self,
        reader: &mut SnapshotReader,
        schema: &Arc<TableSchema>,
        record: &SnapshotTable,
        jobs: &mpsc::Sender<Job>,
    ) -> Result<(), Stop> {
        let table = schema.id.to_string();
        let known = self.plan.store.snapshot_chunks(&table).await?;
        let mut last: Option<Chunk> = None;
        self.pending.borrow_mut().insert(schema.id.clone(), Pending::default());
        self.plan.telemetry.chunks_planned(known.len() as u64);
        for chunk in known {
            let parsed: Chunk = serde_json::from_str(&chunk.chunk_json).map_err(StateError::from)?;
            if chunk.delivered {
                self.plan.telemetry.chunk_done();
            } else {
                self.give(schema, parsed.clone(), jobs).await?;
            }
            // Pieces lie within the others.
            if parsed.number < FIRST_PIECE {
                last = Some(parsed);
            }
        }
        let mut planned = record.planned || last.as_ref().is_some_and(|c| c.up_to.is_none());
        let mut recorded = record.planned;
        let even = if planned { None } else { self.even(reader, schema, record).await? };
        while !planned {
            let after = last.as_ref().and_then(|c| c.up_to.clone());
            let up_to = match even {
                Some((even, before)) => {
                    let after = after.as_ref().map_or(Some(before), KeyBound::number);
                    after.and_then(|after| even.end(after)).and_then(KeyBound::of_number)
                }
                None => {
                    let range = (after.as_ref(), None);
                    self.next_bound(reader, schema, record.cut_by.as_deref(), range).await?
                }
            };
            let number = last.as_ref().map_or(0, |c| c.number + 1);
            let chunk = Chunk { number, after, up_to, by: record.cut_by.clone() };
            planned = chunk.up_to.is_none();
            let chunk_json = serde_json::to_string(&chunk).map_err(StateError::from)?;
            let whole = planned.then(|| SnapshotTable { planned: true, ..record.clone() });
            self.plan.store.chunk_planned(&table, chunk.number, chunk_json, whole).await?;
            recorded = planned;
            crash::in_phase("chunk-cut");
            self.plan.telemetry.chunks_planned(1);
            self.give(schema, chunk.clone(), jobs).await?;
            last = Some(chunk);
        }
        if !recorded {
            let record = SnapshotTable { planned: true, ..record.clone() };
            self.plan.store.put_snapshot_table(&table, &record).await?;
        }
        if let Some(pending) = self.pending.borrow_mut().get_mut(&schema.id) {
            pending.planned = true;
        }
        self.finish_if_read(&schema.id)
    }

    /// How the table is cut if its key is evenly spread, and the number before its first.
    async fn even(
        &self,
        reader: &mut SnapshotReader,
        schema: &TableSchema,
        record: &SnapshotTable,
    ) -> Result<Option<(Even, i128)>, Stop> {
        let rows = self.rows_of(&schema.id);
        if record.estimated_rows <= rows {
            return Ok(None);
        }
        let mut attempts = 0;
        let span = loop {
            match reader.span(schema, record.cut_by.as_deref()).await {
                Ok(span) => break span,
                Err(MysqlError::Statement { code, .. }) if TABLE_CHANGED.contains(&code) => break None,
                Err(error) => {
                    self.again(&mut attempts, error).await?;
                    if let Ok(fresh) = self.connect().await {
                        *reader = fresh;
                    }
                }
            }
        };
        let Some(span) = span else { return Ok(None) };
        let even = Even::of(span, record.estimated_rows, rows, self.plan.even);
        Ok(even.map(|even| (even, span.0 - 1)))
    }

    async fn next_bound(
        &self,
        reader: &mut SnapshotReader,
        schema: &TableSchema,
        by: Option<&str>,
        range: (Option<&KeyBound>, Option<&KeyBound>),
    ) -> Result<Option<KeyBound>, Stop> {
        let mut attempts = 0;
        loop {
            match reader.next_bound(schema, by, range, self.rows_of(&schema.id)).await {
                Ok(bound) => return Ok(bound),
                // A table that has gone or has no such key any more: one open chunk, which the reader finds void.
                Err(MysqlError::Statement { code, .. }) if TABLE_CHANGED.contains(&code) => return Ok(None),
                Err(error) => {
                    self.again(&mut attempts, error).await?;
                    if let Ok(fresh) = self.connect().await {
                        *reader = fresh;
                    }
                }
            }
        }
    }

    async fn give(
        &self,
        schema: &Arc<TableSchema>,
        chunk: Chunk,
        jobs: &mpsc::Sender<Job>,
    ) -> Result<(), Stop> {
        if let Some(pending) = self.pending.borrow_mut().get_mut(&schema.id) {
            pending.chunks += 1;
        }
        jobs.send(Job { schema: Arc::clone(schema), chunk }).await.map_err(|_| Stop::Gone)
    }

    fn finish_if_read(&self, table: &TableId) -> Result<(), Stop> {
        let read = self.pending.borrow().get(table).is_some_and(|p| p.planned && p.chunks == 0);
        if read {
            self.pending.borrow_mut().remove(table);
            self.send(SnapshotMessage::TableRead(table.clone()))?;
        }
        Ok(())
    }

    fn send(&self, message: SnapshotMessage) -> Result<(), Stop> {
        self.messages.send(message).map_err(|_| Stop::Gone)
    }

    /// One reader: chunk after chunk until there are no more.
    async fn read(self: Rc<Self>, queue: Rc<Mutex<mpsc::Receiver<Job>>>) -> Result<(), Stop> {
        let mut reader = None;
        loop {
            let job = queue.lock().await.recv().await;
            let Some(job) = job else { return Ok(()) };
            let table = job.schema.id.clone();
            self.read_chunk(&mut reader, job).await?;
            if let Some(pending) = self.pending.borrow_mut().get_mut(&table) {
                pending.chunks -= 1;
            }
            self.finish_if_read(&table)?;
        }
    }

    /// Counts what was read, and waits as long as the limits want it.
    async fn slow_down(&self, rows: u64, bytes: u64) -> Result<(), Stop> {
        self.forecast.borrow_mut().count(rows, self.plan.retention);
        let wait = self.pace.borrow_mut().count(Instant::now(), rows, bytes);
        self.sleep(wait).await
    }

    /// Waits while the server is busier than the limits allow.
    async fn wait_until_calm(&self, reader: &mut Option<SnapshotReader>) -> Result<(), Stop> {
        let Some(limit) = self.plan.limits.threads_running else { return Ok(()) };
        let mut waiting = false;
        loop {
            // A server that cannot be asked shows with the reading itself.
            let connected = match reader.take() {
                Some(reader) => Ok(reader),
                None => self.connect().await,
            };
            let Ok(mut connected) = connected else { return Ok(()) };
            let threads = connected.threads_running().await;
            *reader = Some(connected);
            let Ok(threads) = threads else { return Ok(()) };
            if threads < limit.get().into() {
                return Ok(());
            }
            if !waiting {
                tracing::info!(threads, limit, "the server is busy: the snapshot waits");
                waiting = true;
            }
            self.sleep(BUSY_PAUSE).await?;
        }
    }

    /// Waits while a replica is farther behind than the limits allow.
    async fn wait_for_replicas(&self) -> Result<(), Stop> {
        let Some(replicas) = &self.replicas else { return Ok(()) };
        let mut waiting = false;
        loop {
            // The lock is not held while this reader sleeps.
            let behind = replicas.lock().await.behind(Instant::now()).await;
            let Some(behind) = behind.map_err(Stop::Failed)? else { return Ok(()) };
            if !waiting {
                tracing::info!(
                    replica = behind.server,
                    state = behind.state,
                    "a replica lags: the snapshot waits"
                );
                waiting = true;
            }
            self.sleep(BUSY_PAUSE).await?;
        }
    }

    /// Sleeps in pieces, so that the end of the coordinator is noticed.
    async fn sleep(&self, wait: Duration) -> Result<(), Stop> {
        let until = tokio::time::Instant::now() + wait;
        while tokio::time::Instant::now() < until {
            self.send(SnapshotMessage::Waits)?;
            let piece = tokio::time::Instant::now() + BUSY_PAUSE;
            tokio::time::sleep_until(piece.min(until)).await;
        }
        Ok(())
    }

    /// Waits before another attempt, or gives up.
    async fn again(&self, attempts: &mut u32, error: MysqlError) -> Result<(), Stop> {
        let error = EngineError::Source(error);
        *attempts += 1;
        if error.disposition() != Disposition::Retry || *attempts >= ATTEMPTS {
            return Err(Stop::Failed(error));
        }
        tracing::warn!(attempts, %error, "snapshot interrupted, trying again");
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }
}
