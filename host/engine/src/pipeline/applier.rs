//! An applier: the task that owns one sink table.
//!
//! Goal: the table gets every row of its sources once, in stream order per key, and schema changes exactly between the rows before
//! and after them. Its queue is that order; it takes one message at a time.
//!
//!   rows     wait for the worker's slot, run the stages that need this order (`ordered`), encode into buckets, send what the flush policy says;
//!   barrier  send everything, wait for the answers, record *flushed*, commit in the background, record *committed*, acknowledge;
//!   schema   send and commit everything at the position before the change, then change the table.
//!
//! It is a task and not a thread since it mostly waits for the service; encoding runs between two waits and is bounded by
//! the size of a batch. One request a bucket is in flight, so the service sees each key's rows in order. The next session
//! opens only after the last one has committed, since the result of overlapping sessions with one key is undefined; rows that come
//! meanwhile are buffered within the memory budget.
//!
//! A change that waits for an operator holds the target: it has committed everything before the change and takes nothing more. Its
//! rows are read again from there when the change was approved (see the coordinator).
//!
//! After binlog was lost the table is made whole (`anew`): one with a key keeps on disk which keys it was sent, and when all its sources
//! were read, deletes what else it holds; the first commit of one without replaces it. Keys are kept until the commit that says it is whole.
//!
//! A crash at any point leaves either an open session, which the next start aborts, or a flushed one, which it commits.

mod remake;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use remake::next_page;
use sluicebox_maxcompute::{Client, Compression, Stored, TableName};
use sluicebox_model::{ChangeBatch, Position, TableId, TableSchema};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{JoinError, JoinHandle, JoinSet};

use super::messages::{Behind, Report, Rows, SourceChange, TargetMessage};
use super::ordered::OwnStages;
use super::sweep::Sweep;
use super::tables::PluginList;
use crate::budget::{Budget, Share};
use crate::error::EngineError;
use crate::sink::buffers::{Buffers, Slot};
use crate::sink::encode::{Encoder, Fit, From, Spread};
use crate::sink::policy::{Fill, Flush, FlushPolicy};
use crate::sink::session::SinkSession;
use crate::sink::shape::SourceColumn;
use crate::sink::table::{Applied, SinkTable, TableSettings};
use crate::state::{Flushed, Remake, Seen, SessionRecord, Store};
use crate::telemetry::Telemetry;

/// Partitions of one table that get rows between two commits. Each has a session, and the service commits 32 of them at once: with
/// more a commit takes minutes.
const MOST_PARTITIONS: usize = 4_096;
/// Keys of a table that is being made whole which wait to be written down: some MiB.
const KEYS_IN_MEMORY: usize = 64 * 1024;

/// Of thousands of tables, as many ask the service at once to describe, make or change a table or to open a session: it answers no sooner when
/// all do, and those that have been answered can go on.
pub(super) const OPENINGS: usize = 32;

/// What all appliers share.
pub(super) struct Shared {
    pub client: Client,
    pub plugins: PluginList,
    pub store: Arc<Store>,
    pub budget: Budget,
    pub telemetry: Arc<Telemetry>,
    pub policy: FlushPolicy,
    pub compression: Compression,
    /// Requests in flight for one target.
    pub flushes: usize,
    /// Sessions committing at once.
    pub commits: Semaphore,
    /// Tables described, made or changed, and sessions opened, at once.
    pub openings: Semaphore,
    pub table: TableSettings,
    pub reports: crossbeam::channel::Sender<Report>,
    /// Targets that are not whole since binlog was lost.
    pub remakes: HashMap<String, Remake>,
    /// What those of them were sent that have a key; none where there are none.
    pub seen: Option<Seen>,
}

/// One target's applier.
pub(super) struct Applier {
    shared: Arc<Shared>,
    /// Stages that run here; none before rows come that have some.
    own: OwnStages,
    /// The target's place in the coordinator's list.
    number: usize,
    table: SinkTable,
    queue: mpsc::Receiver<TargetMessage>,
    /// How each source's rows fit.
    fits: HashMap<TableId, Fit>,
    /// The column that rows of a source get, for the sources that have one.
    added: HashMap<TableId, SourceColumn>,
    spread: Option<Spread>,
    encoder: Encoder,
    buffers: Buffers,
    /// The buffers' part of the memory budget.
    share: Share,
    session: Session,
    flushes: JoinSet<Sent>,
    busy: HashSet<Slot>,
    /// Buckets of open sessions whose last request may arrive once more: nothing newer may follow it.
    echoes: HashSet<Slot>,
    /// Partitions that are known to exist.
    partitions: HashSet<Box<str>>,
    epoch: u64,
    /// Whether a change of the table waits for an operator: what comes is read again when he has said yes.
    held: bool,
    /// Whether the table is still to be made whole.
    remake: Option<Remake>,
    /// Keys that it holds, while they are looked through.
    sweep: Option<Sweep>,
    /// Whether somebody waits for memory.
    pressure: watch::Receiver<bool>,
}

/// Where the target's sessions are: one, or one for each partition that has rows.
enum Session {
    None,
    /// By the partition's place in the buffers.
    Open(BTreeMap<usize, SinkSession>),
    Committing(JoinHandle<Result<(), EngineError>>),
}

/// A request that was answered, or was given up.
struct Sent {
    slot: Slot,
    result: Result<Stored, EngineError>,
}

impl Applier {
    pub fn new(
        shared: Arc<Shared>,
        number: usize,
        name: TableName,
        epoch: u64,
        queue: mpsc::Receiver<TargetMessage>,
    ) -> Self {
        let pressure = shared.budget.pressure();
        let remake = shared.remakes.get(&name.to_string()).copied();
        let mut encoder = Encoder::default();
        encoder.seen = (remake == Some(Remake::Sweep)).then(HashSet::new);
        Self {
            pressure,
            remake,
            sweep: None,
            own: OwnStages::new(&name.to_string(), &shared.plugins, &shared.store, &shared.telemetry),
            table: SinkTable::new(name),
            shared,
            number,
            queue,
            fits: HashMap::new(),
            added: HashMap::new(),
            spread: None,
            encoder,
            buffers: Buffers::default(),
            share: Share::default(),
            session: Session::None,
            flushes: JoinSet::new(),
            busy: HashSet::new(),
            echoes: HashSet::new(),
            partitions: HashSet::new(),
            held: false,
            epoch,
        }
    }

    /// Serves the queue until the coordinator closes it.
    pub async fn run(mut self) -> Result<(), EngineError> {
        loop {
            let linger = self.linger();
            tokio::select! {
                biased;
                Some(sent) = self.flushes.join_next() => self.answered(sent)?,
                committed = commit_end(&mut self.session) => committed?,
                page = next_page(&mut self.sweep) => self.swept(page).await?,
                message = self.queue.recv() => match message {
                    Some(message) => self.handle(message).await?,
                    None => return self.finish().await,
                },
                // An error means that the budget has gone, and with it every reason to go on; the queue closes next.
                Ok(()) = self.pressure.changed() => self.flush(Fill::default()).await?,
                () = wait(linger) => self.flush(Fill::default()).await?,
            }
        }
    }

    /// How long until the oldest buffered row has waited long enough.
    fn linger(&self) -> Option<Duration> {
        let waited = self.buffers.oldest()?.elapsed();
        Some(self.shared.policy.linger.saturating_sub(waited))
    }

    async fn handle(&mut self, message: TargetMessage) -> Result<(), EngineError> {
        if self.held {
            return Ok(());
        }
        match message {
            TargetMessage::Rows { source, from, slot } => {
                // A slot vanishes only with its worker, which reports by itself or panicked.
                let rows = slot.await.map_err(|_| EngineError::Lost("worker"))??;
                self.rows(&source, from, rows).await
            }
            TargetMessage::Remember(remembered) => {
                self.own.remember(remembered);
                Ok(())
            }
            TargetMessage::OpenWindow(window) => {
                self.own.open_window(window);
                self.encoder.windows.open(window);
                Ok(())
            }
            TargetMessage::CloseWindow(window) => {
                self.own.close_window(window);
                self.encoder.windows.close(window);
                Ok(())
            }
            TargetMessage::Sweep => {
                self.start_sweep();
                Ok(())
            }
            TargetMessage::Schema(change) => self.schema(*change).await,
            TargetMessage::Barrier { epoch, holds } => self.barrier(epoch, *holds).await,
        }
    }

    async fn rows(&mut self, source: &TableId, from: From, rows: Rows) -> Result<(), EngineError> {
        let Rows { batch, share, behind } = rows;
        let batch = match behind {
            Some(behind) if batch.rows() > 0 => self.run_own(behind, from, batch).await?,
            Some(_) | None => batch,
        };
        if batch.rows() == 0 {
            return Ok(());
        }
        self.fit(source, &batch.schema)?;
        let Some(fit) = self.fits.get(source) else { return Err(EngineError::Lost("fit of a source")) };
        if self.table.is_keyed() && self.spread.is_none() {
            let part = self.encoder.first_part(&batch, fit, &mut self.buffers)?;
            self.open_session(part).await?;
        }
        let Some(fit) = self.fits.get(source) else { return Err(EngineError::Lost("fit of a source")) };
        let encoded =
            self.encoder.encode(&batch, fit, self.spread, from, Instant::now(), &mut self.buffers)?;
        self.shared.telemetry.encoded(&encoded);
        drop(batch);
        self.share.merge(share);
        if self.buffers.total() == 0 {
            self.share = Share::default();
        }
        self.keep_seen(KEYS_IN_MEMORY).await?;
        self.flush(Fill::default()).await
    }

    /// Runs the stages that see rows in this target's order.
    async fn run_own(
        &mut self,
        behind: Behind,
        from: From,
        batch: ChangeBatch,
    ) -> Result<ChangeBatch, EngineError> {
        let (batch, letters) = self.own.run(behind, from, batch).await?;
        if !letters.is_empty() {
            self.shared.store.put_dead_letters(letters).await?;
        }
        Ok(batch)
    }

    fn fit(&mut self, source: &TableId, schema: &Arc<TableSchema>) -> Result<(), EngineError> {
        if self.fits.get(source).is_some_and(|fit| fit.is_for(schema)) {
            return Ok(());
        }
        let fit = self.table.fit(schema, self.added.get(source), &self.shared.table)?;
        self.fits.insert(source.clone(), fit);
        Ok(())
    }

    /// Sends what the policy says; `fill` carries what the caller knows beyond the buffers.
    async fn flush(&mut self, fill: Fill) -> Result<(), EngineError> {
        let fill = Fill {
            largest_bucket: if self.table.is_keyed() { self.buffers.largest() } else { 0 },
            total: self.buffers.total(),
            oldest: self.buffers.oldest().map(|t| t.elapsed()).unwrap_or_default(),
            pressure: *self.pressure.borrow(),
            ..fill
        };
        let least = match self.shared.policy.decide(fill) {
            Flush::Nothing => return Ok(()),
            Flush::FullBuckets => self.shared.policy.bucket_limit.get(),
            Flush::Everything => 0,
        };
        for slot in self.buffers.at_least(least) {
            let session = self.open_session(slot.part).await?;
            // Blocks of an upload have no order among each other.
            let ordered = self.table.is_keyed();
            while self.flushes.len() >= self.shared.flushes || (ordered && self.busy.contains(&slot)) {
                let Some(sent) = self.flushes.join_next().await else { break };
                self.answered(sent)?;
            }
            self.send(&session, slot)?;
        }
        Ok(())
    }

    fn send(&mut self, session: &SinkSession, slot: Slot) -> Result<(), EngineError> {
        if self.echoes.contains(&slot) {
            return Err(EngineError::Unanswered { target: self.table.label().to_owned() });
        }
        let of = self.buffers.total();
        let body = self.buffers.take(slot);
        let share = self.share.split(body.len() as u64, of);
        let number = u32::try_from(slot.bucket).map_err(|_| EngineError::Lost("bucket number"))?;
        let doing = format!("writing to `{}`", self.table.label());
        let place = session.place(number).map_err(EngineError::sink(doing.clone()))?;
        let (session, shared) = (session.clone(), Arc::clone(&self.shared));
        self.busy.insert(slot);
        self.flushes.spawn(async move {
            let (rows, bytes) = (body.records(), body.len() as u64);
            let compression = shared.compression;
            // Compressing 4 MiB takes longer than a task may keep its thread.
            let sealed = tokio::task::spawn_blocking(move || body.seal(compression)).await;
            let result = match sealed {
                Err(_) => Err(EngineError::Lost("compression")),
                Ok(body) => {
                    let began = Instant::now();
                    let result = session.put(place, &body).await.map_err(EngineError::sink(doing));
                    if result.is_ok() {
                        shared.telemetry.flushed(rows, bytes, body.bytes.len() as u64, began.elapsed());
                    }
                    result
                }
            };
            drop(share);
            Sent { slot, result }
        });
        Ok(())
    }

    fn answered(&mut self, sent: Result<Sent, JoinError>) -> Result<(), EngineError> {
        let sent = sent.map_err(|_| EngineError::Lost("flush task"))?;
        self.busy.remove(&sent.slot);
        if sent.result? == Stored::EchoPossible {
            self.echoes.insert(sent.slot);
        }
        Ok(())
    }

    /// The open session of a partition (0 where there are none); opens one, after the last ones have committed.
    async fn open_session(&mut self, part: usize) -> Result<SinkSession, EngineError> {
        if let Session::Committing(_) = self.session {
            commit_end(&mut self.session).await?;
        }
        if let Session::Open(sessions) = &self.session
            && let Some(session) = sessions.get(&part)
        {
            return Ok(session.clone());
        }
        if self.buffers.parts() > MOST_PARTITIONS {
            return Err(EngineError::Partitions {
                target: self.table.label().to_owned(),
                most: MOST_PARTITIONS,
            });
        }
        let partition = self.buffers.spec(part).map(str::to_owned);
        if let Some(spec) = &partition
            && !self.partitions.contains(spec.as_str())
        {
            self.table.add_partition(&self.shared.client, &self.shared.table, spec).await?;
            self.partitions.insert(spec.as_str().into());
        }
        let session = self.create_session(partition).await?;
        if self.spread.is_some() && self.spread != session.spread() && self.buffers.total() > 0 {
            // Rows are in buckets of another number: only reading them again puts them right.
            return Err(EngineError::Respread { target: self.table.label().to_owned() });
        }
        self.spread = session.spread();
        self.encoder.partial = session.partial();
        match &mut self.session {
            Session::Open(sessions) => {
                sessions.insert(part, session.clone());
            }
            other => *other = Session::Open(BTreeMap::from([(part, session.clone())])),
        }
        Ok(session)
    }

    async fn create_session(&mut self, partition: Option<String>) -> Result<SinkSession, EngineError> {
        let doing = format!("opening a session on `{}`", self.table.label());
        let (name, keyed) = (self.table.name(), self.table.is_keyed());
        let replaces = self.remake == Some(Remake::Replace);
        let permit = self.shared.openings.acquire().await;
        let session = SinkSession::create(&self.shared.client, name, partition.as_deref(), keyed, replaces)
            .await
            .map_err(EngineError::sink(doing))?;
        drop(permit);
        let record = SessionRecord {
            target: self.table.label().to_owned(),
            id: session.id().to_owned(),
            kind: session.kind(),
            epoch: self.epoch,
            flushed: None,
            partition,
            committed: false,
        };
        self.shared.store.session_open(&record).await?;
        self.table.check_session(session.columns())?;
        Ok(session)
    }

    /// Everything buffered is sent and answered.
    async fn drain(&mut self) -> Result<(), EngineError> {
        self.flush(Fill { barrier: true, ..Fill::default() }).await?;
        while let Some(sent) = self.flushes.join_next().await {
            self.answered(sent)?;
        }
        Ok(())
    }

    async fn barrier(&mut self, epoch: u64, holds: Flushed) -> Result<(), EngineError> {
        if self.remake == Some(Remake::Replace) && matches!(self.session, Session::None) {
            // Its sources have no rows: nothing replaces what is there.
            self.open_session(0).await?;
        }
        self.drain().await?;
        self.commit(epoch, holds, true).await?;
        self.epoch = epoch + 1;
        Ok(())
    }

    /// Commits the open session in the background; acknowledges the epoch when it is done, or at once where there is nothing to
    /// commit.
    async fn commit(&mut self, epoch: u64, mut flushed: Flushed, ack: bool) -> Result<(), EngineError> {
        if let Session::Committing(_) = self.session {
            commit_end(&mut self.session).await?;
        }
        self.keep_seen(0).await?;
        if self.remake == Some(Remake::Replace) && matches!(self.session, Session::Open(_)) {
            flushed.remade = true;
        }
        if flushed.remade {
            self.remake = None;
            self.encoder.seen = None;
        }
        let remembered = self.own.take_changes();
        let Session::Open(sessions) = std::mem::replace(&mut self.session, Session::None) else {
            // No row is to be written, and yet rows have come: what is remembered of them must not be so twice.
            if !remembered.is_empty() || !flushed.chunks.is_empty() || flushed.remade {
                let label = self.table.label();
                self.shared.store.target_moved(label, epoch, &flushed, remembered).await?;
            }
            if ack {
                self.shared.report(Report::Committed { target: self.number, epoch });
            }
            return Ok(());
        };
        self.echoes.clear();
        let label = self.table.label().to_owned();
        let ids = sessions.values().map(|s| s.id().to_owned()).collect();
        self.shared.store.sessions_flushed(&label, ids, epoch, &flushed, remembered).await?;
        let record = |part: usize, session: &SinkSession| SessionRecord {
            target: label.clone(),
            id: session.id().to_owned(),
            kind: session.kind(),
            epoch,
            flushed: Some(flushed.clone()),
            partition: self.buffers.spec(part).map(str::to_owned),
            committed: false,
        };
        let commits: Vec<_> =
            sessions.into_iter().map(|(part, session)| (record(part, &session), session)).collect();
        self.buffers.forget_parts();
        let (shared, number) = (Arc::clone(&self.shared), self.number);
        self.session = Session::Committing(tokio::spawn(async move {
            commit_all(&shared, commits).await?;
            if ack {
                shared.report(Report::Committed { target: number, epoch });
            }
            Ok(())
        }));
        Ok(())
    }

    async fn schema(&mut self, mut change: SourceChange) -> Result<(), EngineError> {
        self.drain().await?;
        self.epoch = change.epoch;
        let before = Position::clone(&change.before);
        let chunks = std::mem::take(&mut change.chunks);
        let holds = Flushed { position: before, letters: Vec::new(), chunks, remade: false };
        self.commit(change.epoch, holds, false).await?;
        if let Session::Committing(_) = self.session {
            commit_end(&mut self.session).await?;
        }
        let shared = Arc::clone(&self.shared);
        // It is never closed; without a permit nothing is wrong, only less polite.
        let permit = shared.openings.acquire().await;
        let applied = self.table.apply(&shared.client, &shared.store, &shared.table, &change).await?;
        drop(permit);
        let sweeping = self.sweep.take().is_some();
        if applied == Applied::Waits {
            self.held = true;
            let at = Position::clone(&change.before);
            shared.report(Report::Held { target: self.number, at });
            return Ok(());
        }
        // Rows of every source are written for the columns that the table has now.
        self.fits.clear();
        self.added = change.added;
        // Partitions can have gone with the table.
        self.partitions.clear();
        // The next session tells the buckets anew: a table that was made again may have another number of them.
        self.spread = None;
        if sweeping {
            // Keys that are on their way are those of the columns before.
            self.start_sweep();
        }
        Ok(())
    }

    /// The queue has closed: what was committed stays, the rest is read again.
    async fn finish(mut self) -> Result<(), EngineError> {
        if let Session::Committing(_) = self.session {
            commit_end(&mut self.session).await?;
        }
        self.flushes.shutdown().await;
        Ok(())
    }
}

/// Waits for the commit in the background; never ends when there is none.
async fn commit_end(session: &mut Session) -> Result<(), EngineError> {
    let Session::Committing(task) = session else { return std::future::pending().await };
    let result = task.await.map_err(|_| EngineError::Lost("commit task"))?;
    *session = Session::None;
    result
}

async fn wait(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

/// Commits flushed sessions at the same time, and records each.
async fn commit_all(
    shared: &Arc<Shared>,
    commits: Vec<(SessionRecord, SinkSession)>,
) -> Result<(), EngineError> {
    let mut tasks = JoinSet::new();
    for (record, session) in commits {
        let shared = Arc::clone(shared);
        tasks.spawn(async move { commit(&shared, &session, &record).await });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(|_| EngineError::Lost("commit task"))??;
    }
    Ok(())
}

/// Commits a flushed session and records it.
async fn commit(shared: &Shared, session: &SinkSession, record: &SessionRecord) -> Result<(), EngineError> {
    // The semaphore is never closed; without a permit the commit is still right, only less polite.
    let _permit = shared.commits.acquire().await;
    let began = Instant::now();
    session.commit().await.map_err(EngineError::sink(format!("committing `{}`", record.target)))?;
    shared.store.session_committed(record).await?;
    shared.telemetry.committed(began.elapsed());
    tracing::debug!(
        target_table = record.target,
        session = record.id,
        took_ms = began.elapsed().as_millis(),
        "session committed"
    );
    Ok(())
}

impl Shared {
    fn report(&self, report: Report) {
        // The coordinator has gone only when the pipeline stops with an error.
        let _ = self.reports.send(report);
    }
}
