//! Upsert sessions: rows for a Delta table, bucket by bucket, visible all at once at the commit.
//!
//! Order: create, any number of puts, commit. Nothing is visible before the commit; what was written is dropped by an
//! abort or at the end of the session's life. A crash leaves the session as it is; who kept its id can attach and
//! commit, or ask for its state. What the caller keeps in mind is in the documentation of [`UpsertSession`].

use std::num::NonZeroU32;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use reqwest::Method;
use serde::Deserialize;
use tracing::debug;

use crate::bucket::Hasher;
use crate::client::{Again, Attempts, Client};
use crate::limits::TableLimits;
use crate::record::Body;
use crate::request::{Answered, Request, path_of};
use crate::retry::Poll;
use crate::session::{RawSchema, SessionColumn, SessionState, is_true};
use crate::table::TableName;
use crate::{Error, Result};

/// First wait between two questions whether a commit has finished; they double.
const COMMIT_FIRST_WAIT: Duration = Duration::from_secs(1);
/// Longest wait between two questions.
const COMMIT_LONGEST_WAIT: Duration = Duration::from_secs(16);
/// All waits of a commit together, as in the Java client.
const COMMIT_PATIENCE: Duration = Duration::from_secs(120);

/// How long the service keeps a session when nothing else is asked for.
const DEFAULT_LIFETIME_HOURS: u32 = 24;
/// Pause between two readings of a session that is kept alive, as in the official clients: slots move rarely, and a
/// moved one that is written to says so itself.
const RELOAD_PAUSE: Duration = Duration::from_secs(30);

/// How an upsert session is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpsertOptions {
    /// Slots, that is workers, to spread the buckets over. It is a wish; one is what the official clients ask for.
    pub slots: u32,
    /// Hours after which the service drops the session, 1 to 24; 24 when not given.
    pub lifetime_hours: Option<u32>,
}

impl Default for UpsertOptions {
    fn default() -> Self {
        Self { slots: 1, lifetime_hours: None }
    }
}

/// What became of the rows of a bucket that were stored.
#[must_use = "after `EchoPossible` no newer rows of the bucket may go into the session"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// They arrived once.
    Once,
    /// They arrived, and may arrive again: an earlier attempt got no answer, or one of a gateway only.
    EchoPossible,
}

/// An open upsert session: rows for a Delta table, bucket by bucket, visible all at once at the commit.
///
/// It is a handle: clones share what is known of it. Rules that the caller keeps:
///
/// - one [`put`](Self::put) per bucket at a time: the order of requests is the only order that rows of one key have;
/// - after a `put` that failed, or that returned [`Stored::EchoPossible`], no newer rows of that bucket go into the
///   same session: an attempt without an answer may still arrive, and would set them back;
/// - no two sessions with rows of the same key at the same time: the result is undefined;
/// - no schema change while a session is open.
///
/// ```no_run
/// use sluicebox_maxcompute::record::Body;
/// use sluicebox_maxcompute::{Client, Result, Stored, TableName, UpsertOptions, UpsertSession};
///
/// # async fn example(client: Client, buckets: Vec<(u32, Body)>) -> Result<()> {
/// let options = UpsertOptions { lifetime_hours: Some(1), ..UpsertOptions::default() };
/// let session = UpsertSession::create_with(&client, &TableName::new(None, "orders"), None, options).await?;
/// for (bucket, body) in &buckets {
///     if session.put(*bucket, body).await? == Stored::EchoPossible {
///         // Older rows may arrive behind newer ones: begin again with a new session.
///         return session.abort().await;
///     }
/// }
/// session.commit().await
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct UpsertSession {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    client: Client,
    target: Target,
    id: String,
    columns: Vec<SessionColumn>,
    hash_key: Vec<String>,
    hasher: Hasher,
    partial_update: bool,
    buckets: NonZeroU32,
    /// When it ends, as far as is known.
    expires: SystemTime,
    /// Where the buckets are, and the state, as of the last answer.
    live: RwLock<Live>,
}

#[derive(Debug, Clone)]
struct Target {
    table: TableName,
    partition: Option<String>,
    path: String,
    limits: Arc<TableLimits>,
}

#[derive(Debug, Clone)]
struct Live {
    /// By bucket.
    slots: Vec<Slot>,
    state: SessionState,
}

#[derive(Debug, Clone)]
struct Slot {
    id: String,
    server: String,
}

impl UpsertSession {
    /// Opens a session on a Delta table, or on one partition of it (`ds=20240309,hh=01`), which must exist.
    pub async fn create(client: &Client, table: &TableName, partition: Option<&str>) -> Result<Self> {
        Self::create_with(client, table, partition, UpsertOptions::default()).await
    }

    /// Opens a session with a lifetime, or over more slots. [`Error::Options`] for a lifetime out of range.
    pub async fn create_with(
        client: &Client,
        table: &TableName,
        partition: Option<&str>,
        options: UpsertOptions,
    ) -> Result<Self> {
        let hours = options.lifetime_hours.unwrap_or(DEFAULT_LIFETIME_HOURS);
        if !(1..=DEFAULT_LIFETIME_HOURS).contains(&hours) {
            return Err(Error::Options(format!("an upsert session lives 1 to 24 hours, not {hours}")));
        }
        let target = Target::new(client, table, partition);
        let lifetime = options.lifetime_hours.map(|hours| hours.to_string());
        let request = target
            .request(Method::POST, "create upsert session of")
            .query("slotnum", options.slots.max(1).to_string())
            .query_if("lifecycle", lifetime.as_deref());
        let document: Document = client.send(&request).await?.json(&request.operation)?;
        Self::open(client, target, document, hours, &request.operation)
    }

    /// Opens a handle of a session that exists. Fails with [`Error::SessionGone`] when it does not.
    pub async fn attach(
        client: &Client,
        table: &TableName,
        partition: Option<&str>,
        id: &str,
    ) -> Result<Self> {
        let target = Target::new(client, table, partition);
        let request = target.request(Method::GET, "read upsert session of").query("upsertid", id);
        let document: Document = client.send(&request).await?.json(&request.operation)?;
        Self::open(client, target, document, DEFAULT_LIFETIME_HOURS, &request.operation)
    }

    fn open(
        client: &Client,
        target: Target,
        document: Document,
        hours: u32,
        operation: &str,
    ) -> Result<Self> {
        let live = document.live(operation)?;
        let hasher = Hasher::from_name(&document.hasher).ok_or_else(|| {
            Error::malformed(operation, format_args!("unknown hasher `{}`", document.hasher))
        })?;
        let buckets = u32::try_from(live.slots.len()).ok().and_then(NonZeroU32::new);
        let inner = Inner {
            client: client.clone(),
            target,
            id: document.id,
            columns: document.schema.columns(operation)?,
            hash_key: document.hash_key,
            hasher,
            partial_update: document.enable_partial_update.as_ref().is_some_and(is_true),
            buckets: buckets.ok_or_else(|| Error::malformed(operation, "a session without buckets"))?,
            expires: client.timing().now() + Duration::from_secs(u64::from(hours) * 3600),
            live: RwLock::new(live),
        };
        debug!(session = %inner.id, table = %inner.target.table, buckets = inner.buckets, "upsert session open");
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The id by which [`Self::attach`] finds it again.
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// The table that it writes to.
    pub fn table(&self) -> &TableName {
        &self.inner.target.table
    }

    /// The columns that its records follow, without partition columns and hidden ones.
    pub fn columns(&self) -> &[SessionColumn] {
        &self.inner.columns
    }

    /// Names of the columns whose hashes choose the bucket.
    pub fn hash_key(&self) -> &[String] {
        &self.inner.hash_key
    }

    /// The hash functions of its table.
    pub fn hasher(&self) -> Hasher {
        self.inner.hasher
    }

    /// Number of buckets; the same over the session's life.
    pub fn bucket_count(&self) -> NonZeroU32 {
        self.inner.buckets
    }

    /// Whether records may set some of the columns only.
    pub fn partial_update(&self) -> bool {
        self.inner.partial_update
    }

    /// Until when it can be committed, as far as this handle knows: its lifetime after it was created, or, for one that
    /// was attached, at the latest.
    pub fn expires(&self) -> SystemTime {
        self.inner.expires
    }

    /// The state as of the last answer about the session as a whole.
    pub fn last_state(&self) -> SessionState {
        self.inner.live.read().unwrap_or_else(PoisonError::into_inner).state
    }

    /// Asks the service for the state; [`SessionState::Gone`] when it does not know the session.
    pub async fn status(&self) -> Result<SessionState> {
        match self.reload().await {
            Ok(()) => Ok(self.last_state()),
            Err(Error::SessionGone(_)) => Ok(SessionState::Gone),
            Err(error) => Err(error),
        }
    }

    /// Reads the session again, mainly to learn of moved slots. Fails when the number of buckets has changed.
    pub async fn reload(&self) -> Result<()> {
        let request = self.request(Method::GET, "read upsert session of");
        let document: Document = self.inner.client.send(&request).await?.json(&request.operation)?;
        self.take(&document, &request.operation)
    }

    /// Reads the session every 30 seconds, so that a session with long pauses between its writes knows of moved slots
    /// and of its own end. Returns the state as soon as it takes no more rows; run it beside the writing and drop it
    /// when that is done. Readings that fail and may succeed later are made again.
    pub async fn keep_alive(&self) -> Result<SessionState> {
        loop {
            self.inner.client.timing().sleep(RELOAD_PAUSE).await;
            let state = match self.status().await {
                Ok(state) => state,
                Err(Error::Unreachable { .. } | Error::Throttled { .. } | Error::ServerFault(_)) => continue,
                Err(error) => return Err(error),
            };
            if state != SessionState::Normal {
                return Ok(state);
            }
        }
    }

    /// Stores the rows of one bucket. When it returns they are stored, not visible. `bucket` must be below
    /// [`Self::bucket_count`]. See the type for what the caller must not do meanwhile, and after a failure.
    pub async fn put(&self, bucket: u32, body: &Body) -> Result<Stored> {
        let mut slot = self.slot(bucket)?;
        let mut request = self.put_request(bucket, &slot, body);
        let _writing = self.inner.target.limits.block().await;
        let mut attempts = Attempts::begin(&self.inner.client, &request).await;
        loop {
            let failure = match self.inner.client.attempt(&request).await {
                Ok(_) if attempts.echo_possible() => return Ok(Stored::EchoPossible),
                Ok(_) => return Ok(Stored::Once),
                Err(failure) => failure,
            };
            let again = attempts.again(&self.inner.client, &request, failure).await?;
            self.follow(&slot, &again).await?;
            slot = self.slot(bucket)?;
            request = self.put_request(bucket, &slot, body);
        }
    }

    /// Makes all rows visible at once, and waits for it. Fails with [`Error::SessionGone`] when the service does not
    /// know the session *before* it has accepted the commit; one that is gone after that has been committed.
    /// [`Error::StillCommitting`] after two minutes.
    pub async fn commit(&self) -> Result<()> {
        let mut waits = Poll::new(COMMIT_FIRST_WAIT, COMMIT_LONGEST_WAIT, COMMIT_PATIENCE);
        let mut accepted = false;
        let _committing = self.inner.target.limits.commit(self.inner.client.timing()).await;
        loop {
            match self.commit_once().await {
                Ok(SessionState::Committed) => return Ok(()),
                Ok(SessionState::Committing | SessionState::Normal) => accepted = true,
                Ok(state) => return Err(Error::SessionLost { id: self.inner.id.clone(), state }),
                Err(Error::SessionGone(_)) if accepted => return Ok(()),
                Err(error) => return Err(error),
            }
            let Some(wait) = waits.next() else {
                return Err(Error::StillCommitting { id: self.inner.id.clone(), waited: waits.waited() });
            };
            self.inner.client.timing().sleep(wait).await;
        }
    }

    async fn commit_once(&self) -> Result<SessionState> {
        let what = "commit upsert session of";
        let operation = self.request(Method::POST, what).operation;
        let document: Document = self.send_routed(&Method::POST, what).await?.json(&operation)?;
        self.take(&document, &operation)?;
        Ok(self.last_state())
    }

    /// Drops all rows. A session that is gone counts as aborted.
    pub async fn abort(&self) -> Result<()> {
        match self.send_routed(&Method::DELETE, "abort upsert session of").await {
            Ok(_) | Err(Error::SessionGone(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn request(&self, method: Method, what: &str) -> Request {
        self.inner.target.request(method, what).query("upsertid", self.inner.id.as_str())
    }

    /// Sends a call that goes to the worker of bucket 0, wherever that is by now.
    async fn send_routed(&self, method: &Method, what: &str) -> Result<Answered> {
        let routed = |slot: &Slot| {
            self.request(method.clone(), what).header("odps-tunnel-routed-server", slot.server.as_str())
        };
        let mut slot = self.slot(0)?;
        let mut request = routed(&slot);
        let mut attempts = Attempts::begin(&self.inner.client, &request).await;
        loop {
            let failure = match self.inner.client.attempt(&request).await {
                Ok(answered) => return Ok(answered),
                Err(failure) => failure,
            };
            let again = attempts.again(&self.inner.client, &request, failure).await?;
            self.follow(&slot, &again).await?;
            slot = self.slot(0)?;
            request = routed(&slot);
        }
    }

    /// Takes over where a slot is now, as far as a failed request said so.
    async fn follow(&self, slot: &Slot, again: &Again) -> Result<()> {
        match (again.status, &again.routed_server) {
            (Some(308), Some(server)) => self.moved(&slot.id, server),
            // The new place was not named, or the gateway lost the worker: the session knows where it is.
            (Some(308 | 502 | 504), _) => self.reload().await?,
            _ => {}
        }
        Ok(())
    }

    fn put_request(&self, bucket: u32, slot: &Slot, body: &Body) -> Request {
        let mut request = self
            .request(Method::PUT, "write a bucket of")
            .query("bucketid", bucket.to_string())
            .query("slotid", slot.id.as_str())
            .query("record_count", body.records.to_string())
            .header("odps-tunnel-routed-server", slot.server.as_str());
        if let Some(encoding) = body.compression.content_encoding() {
            request = request.header("content-encoding", encoding);
        }
        request.body = body.bytes.clone();
        request
    }

    fn slot(&self, bucket: u32) -> Result<Slot> {
        let live = self.inner.live.read().unwrap_or_else(PoisonError::into_inner);
        let slot = usize::try_from(bucket).ok().and_then(|bucket| live.slots.get(bucket)).cloned();
        slot.ok_or_else(|| Error::Options(format!("bucket {bucket} of {}", self.inner.buckets)))
    }

    fn moved(&self, slot: &str, server: &str) {
        let mut live = self.inner.live.write().unwrap_or_else(PoisonError::into_inner);
        for known in live.slots.iter_mut().filter(|known| known.id == slot) {
            known.server = server.to_owned();
        }
        debug!(session = %self.inner.id, slot, server, "slot moved");
    }

    /// Takes over what can change: slots and state.
    fn take(&self, document: &Document, operation: &str) -> Result<()> {
        let fresh = document.live(operation)?;
        let mut live = self.inner.live.write().unwrap_or_else(PoisonError::into_inner);
        if fresh.slots.len() != live.slots.len() {
            return Err(Error::malformed(operation, "the number of buckets has changed"));
        }
        *live = fresh;
        Ok(())
    }
}

impl Target {
    fn new(client: &Client, table: &TableName, partition: Option<&str>) -> Self {
        let table_path = table.tunnel_path(client.project_name());
        let limits = client.limits_of(&table_path);
        let path = table_path + &path_of(&["upserts"]);
        Self { table: table.clone(), partition: partition.map(str::to_owned), path, limits }
    }

    fn request(&self, method: Method, what: &str) -> Request {
        let operation = format!("{what} `{}`", self.table);
        Request::tunnel(method, self.path.clone(), operation, false)
            .of_table(&self.limits)
            .query_if("partition", self.partition.as_deref())
    }
}

/// Reads a session document and does nothing with it.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn read_only(body: &[u8]) -> Result<()> {
    let document: Document = serde_json::from_slice(body).map_err(|fault| Error::malformed("read", fault))?;
    document.live("read")?;
    document.schema.columns("read").map(|_| ())
}

/// The session document.
#[derive(Debug, Deserialize)]
struct Document {
    id: String,
    schema: RawSchema,
    hash_key: Vec<String>,
    hasher: String,
    slots: Vec<RawSlot>,
    status: String,
    enable_partial_update: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
struct RawSlot {
    slot_id: String,
    buckets: Vec<u32>,
    worker_addr: String,
}

impl Document {
    /// The slots by bucket: each bucket from 0 on must have exactly one.
    fn live(&self, operation: &str) -> Result<Live> {
        let count = self.slots.iter().map(|slot| slot.buckets.len()).sum();
        let mut by_bucket: Vec<Option<Slot>> = vec![None; count];
        for raw in &self.slots {
            for bucket in &raw.buckets {
                let place = usize::try_from(*bucket).ok().and_then(|bucket| by_bucket.get_mut(bucket));
                let place = place.filter(|place| place.is_none());
                let place = place.ok_or_else(|| Error::malformed(operation, "buckets with gaps or twice"))?;
                *place = Some(Slot { id: raw.slot_id.clone(), server: raw.worker_addr.clone() });
            }
        }
        let slots = by_bucket.into_iter().flatten().collect();
        Ok(Live { slots, state: SessionState::parse(&self.status, operation)? })
    }
}
