//! Upload sessions: rows appended to an ordinary table in numbered blocks, visible all at once at the commit.
//!
//! Order: create, any number of blocks, commit. Nothing is visible before the commit, and a session lives for 24 hours.
//! What the caller keeps in mind is in the documentation of [`UploadSession`].

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::Method;
use serde::Deserialize;
use tracing::debug;

use crate::client::Client;
use crate::columnar::ArrowBody;
use crate::limits::TableLimits;
use crate::record::Body;
use crate::request::Request;
use crate::retry::Poll;
use crate::session::{RawSchema, SessionColumn, SessionState};
use crate::table::TableName;
use crate::{Error, Result};

/// Blocks of a session: numbers from 0 up to, not including, this.
pub const MAX_BLOCKS: u32 = 20_000;
/// First wait between two questions whether a commit has finished; they double.
const COMMIT_FIRST_WAIT: Duration = Duration::from_secs(1);
/// Longest wait between two questions.
const COMMIT_LONGEST_WAIT: Duration = Duration::from_secs(16);
/// All waits of a commit together, the same as for upsert sessions.
const COMMIT_PATIENCE: Duration = Duration::from_secs(120);
/// The service's answer to a commit of a session that is not open any more.
const STATUS_CONFLICT: &str = "StatusConflict";
/// Bytes of one value that the service takes when the session document does not say: 8 MiB.
const MAX_FIELD_SIZE: u64 = 8 << 20;

/// How long the service keeps an upload session.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// How an upload session is created.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UploadOptions {
    /// The commit replaces what the table, or the partition, holds, instead of adding to it.
    pub overwrite: bool,
    /// The partition is created when it does not exist.
    pub create_partition: bool,
}

/// An open upload session: rows appended to an ordinary table in numbered blocks, visible all at once at the commit.
///
/// It is a handle: clones share what is known of it. Blocks may be put at the same time and in any order; one that is put
/// again replaces the one with its number, so a [`put_block`](Self::put_block) that failed is simply repeated.
///
/// A crash around the commit must not append twice: keep the [`id`](Self::id) before committing, [`attach`](Self::attach) and
/// ask for the [`status`](Self::status) afterwards. [`SessionState::Committed`] is done, [`SessionState::Normal`] was not
/// committed, and of [`SessionState::Gone`] nobody knows.
///
/// ```no_run
/// use sluicebox_maxcompute::record::{RecordBody, RecordWriter};
/// use sluicebox_maxcompute::{Client, Compression, Result, TableName, UploadSession};
///
/// # async fn example(client: Client) -> Result<()> {
/// // One row for the ordinary table `visits (at BIGINT, page STRING)`.
/// let session = UploadSession::create(&client, &TableName::new(None, "visits"), None).await?;
/// let mut writer = RecordWriter::new();
/// let mut record = writer.record();
/// record.bigint(0, 1_709_985_600);
/// record.text(1, b"/index.html");
/// let mut body = RecordBody::new();
/// body.push(record.end());
/// let block = session.claim_block().expect("a new session has blocks left");
/// session.put_block(block, &body.seal(Compression::Zlib)).await?;
/// session.commit().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct UploadSession {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    client: Client,
    target: Target,
    id: String,
    columns: Vec<SessionColumn>,
    max_field_size: u64,
    state: RwLock<SessionState>,
    /// The next block that nobody has claimed.
    next_block: AtomicU32,
    /// When this handle's client created it, or found it.
    opened: SystemTime,
}

#[derive(Debug, Clone)]
struct Target {
    table: TableName,
    partition: Option<String>,
    path: String,
    limits: Arc<TableLimits>,
}

impl UploadSession {
    /// Opens a session on a table, or on one partition of it (`ds=20240309,hh=01`), which must exist.
    pub async fn create(client: &Client, table: &TableName, partition: Option<&str>) -> Result<Self> {
        Self::create_with(client, table, partition, UploadOptions::default()).await
    }

    /// Opens a session that overwrites, or that creates its partition.
    pub async fn create_with(
        client: &Client,
        table: &TableName,
        partition: Option<&str>,
        options: UploadOptions,
    ) -> Result<Self> {
        let target = Target::new(client, table, partition);
        target.limits.upload(client.timing()).await;
        let request = target
            .request(Method::POST, "create upload session of")
            .query("uploads", "")
            .query_if("overwrite", options.overwrite.then_some("true"))
            .query_if("create_partition", options.create_partition.then_some("true"));
        let document: Document = client.send(&request).await?.json(&request.operation)?;
        Self::open(client, target, document, &request.operation)
    }

    /// Opens a handle of a session that exists. Fails with [`Error::SessionGone`] when it does not.
    pub async fn attach(
        client: &Client,
        table: &TableName,
        partition: Option<&str>,
        id: &str,
    ) -> Result<Self> {
        let target = Target::new(client, table, partition);
        let request = target.request(Method::GET, "read upload session of").query("uploadid", id);
        let document: Document = client.send(&request).await?.json(&request.operation)?;
        Self::open(client, target, document, &request.operation)
    }

    fn open(client: &Client, target: Target, document: Document, operation: &str) -> Result<Self> {
        let state = SessionState::parse(&document.status, operation)?;
        let inner = Inner {
            client: client.clone(),
            target,
            id: document.upload_id,
            columns: document.schema.columns(operation)?,
            max_field_size: document.max_field_size.unwrap_or(MAX_FIELD_SIZE),
            state: RwLock::new(state),
            next_block: AtomicU32::new(first_free_block(&document.uploaded_block_list)),
            opened: client.timing().now(),
        };
        debug!(session = %inner.id, table = %inner.target.table, "upload session open");
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The id by which [`Self::attach`] finds it again.
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// The table that it appends to.
    pub fn table(&self) -> &TableName {
        &self.inner.target.table
    }

    /// The columns that its records follow, without partition columns.
    pub fn columns(&self) -> &[SessionColumn] {
        &self.inner.columns
    }

    /// Bytes of one value at most.
    pub fn max_field_size(&self) -> u64 {
        self.inner.max_field_size
    }

    /// Until when it can be committed, as far as this handle knows: 24 hours after it was created, or, for one that was
    /// attached, at the latest.
    pub fn expires(&self) -> SystemTime {
        self.inner.opened + LIFETIME
    }

    /// A block number that no other clone of this handle gets, and that was not stored when it was opened; `None` when
    /// the session has no more, which is the time to commit it and to open another one.
    pub fn claim_block(&self) -> Option<u32> {
        let next = |block: u32| (block < MAX_BLOCKS).then(|| block + 1);
        self.inner.next_block.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).ok()
    }

    /// The state as of the last answer about the session as a whole.
    pub fn last_state(&self) -> SessionState {
        *self.inner.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the service for the state; [`SessionState::Gone`] when it does not know the session.
    pub async fn status(&self) -> Result<SessionState> {
        match self.ask(&self.request(Method::GET, "read upload session of")).await {
            Ok(document) => self.take(&document),
            Err(Error::SessionGone(_)) => Ok(SessionState::Gone),
            Err(error) => Err(error),
        }
    }

    /// Numbers of the blocks that the service has stored, rising.
    pub async fn blocks(&self) -> Result<Vec<u32>> {
        let request = self.request(Method::GET, "list blocks of").query("getblockid", "true");
        let document = self.ask(&request).await?;
        self.take(&document)?;
        let mut blocks: Vec<u32> = document.uploaded_block_list.iter().map(|block| block.block_id).collect();
        blocks.sort_unstable();
        Ok(blocks)
    }

    /// Stores a block. When it returns the block is stored, not visible; a block with this number is replaced.
    /// `block` must be below [`MAX_BLOCKS`].
    ///
    /// After a failure the same rows go in again under the same number only: a request without an answer may still
    /// arrive, and under another number the rows would be there twice.
    pub async fn put_block(&self, block: u32, body: &Body) -> Result<()> {
        let request = self.block_request(block, &body.bytes, body.compression.content_encoding())?;
        self.write(&request).await
    }

    /// Stores a block of Arrow record batches; else as [`Self::put_block`]. A session may have blocks of both kinds.
    pub async fn put_arrow_block(&self, block: u32, body: &ArrowBody) -> Result<()> {
        let encoding = body.compression().arrow_content_encoding();
        let request = self.block_request(block, body.bytes(), encoding)?.query("arrow", "");
        self.write(&request).await
    }

    async fn write(&self, request: &Request) -> Result<()> {
        let _writing = self.inner.target.limits.block().await;
        self.inner.client.send(request).await.map(|_| ())
    }

    fn block_request(&self, block: u32, bytes: &Bytes, encoding: Option<&'static str>) -> Result<Request> {
        if block >= MAX_BLOCKS {
            return Err(Error::Options(format!("block {block} of {MAX_BLOCKS}")));
        }
        let target = &self.inner.target;
        let operation = format!("write a block of `{}`", target.table);
        let mut request = Request::tunnel(Method::PUT, target.path.clone(), operation, true)
            .of_table(&target.limits)
            .query("uploadid", self.inner.id.as_str())
            .query("blockid", block.to_string())
            .query_if("partition", target.partition.as_deref())
            .header("content-type", "application/octet-stream");
        if let Some(encoding) = encoding {
            request = request.header("content-encoding", encoding);
        }
        request.body = bytes.clone();
        Ok(request)
    }

    /// Makes all stored blocks visible at once, and waits for it. A session that is committed already stays so.
    /// [`Error::StillCommitting`] after two minutes; [`Error::SessionGone`] when the service does not know the session,
    /// which says nothing about its rows.
    pub async fn commit(&self) -> Result<()> {
        let mut waits = Poll::new(COMMIT_FIRST_WAIT, COMMIT_LONGEST_WAIT, COMMIT_PATIENCE);
        let _committing = self.inner.target.limits.commit(self.inner.client.timing()).await;
        loop {
            match self.commit_once().await? {
                SessionState::Committed => return Ok(()),
                SessionState::Committing | SessionState::Normal => {}
                state @ (SessionState::Aborted
                | SessionState::Expired
                | SessionState::Critical
                | SessionState::Unknown
                | SessionState::Gone) => {
                    return Err(Error::SessionLost { id: self.inner.id.clone(), state });
                }
            }
            let Some(wait) = waits.next() else {
                return Err(Error::StillCommitting { id: self.inner.id.clone(), waited: waits.waited() });
            };
            self.inner.client.timing().sleep(wait).await;
        }
    }

    /// Commits as [`Self::commit`], provided that the service has stored exactly these blocks, in any order; else
    /// [`Error::Options`] names both, and nothing is committed. A session that is committed already stays so.
    pub async fn commit_blocks(&self, expected: &[u32]) -> Result<()> {
        let stored = self.blocks().await?;
        if self.last_state() == SessionState::Committed {
            return Ok(());
        }
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        expected.dedup();
        if stored != expected {
            let id = &self.inner.id;
            return Err(Error::Options(format!(
                "upload session `{id}` has blocks {stored:?} and not {expected:?}"
            )));
        }
        self.commit().await
    }

    /// Posts the commit, or, where it has been accepted, asks how far it is.
    async fn commit_once(&self) -> Result<SessionState> {
        let committing = self.last_state() == SessionState::Committing;
        let method = if committing { Method::GET } else { Method::POST };
        match self.ask(&self.request(method, "commit upload session of")).await {
            Ok(document) => self.take(&document),
            // A commit whose answer was lost and that was sent again meets its own success.
            Err(Error::Rejected(answer)) if answer.code == STATUS_CONFLICT => match self.status().await? {
                state @ (SessionState::Committed | SessionState::Committing) => Ok(state),
                _ => Err(Error::Rejected(answer)),
            },
            Err(error) => Err(error),
        }
    }

    fn request(&self, method: Method, what: &str) -> Request {
        self.inner.target.request(method, what).query("uploadid", self.inner.id.as_str())
    }

    async fn ask(&self, request: &Request) -> Result<Document> {
        self.inner.client.send(request).await?.json(&request.operation)
    }

    fn take(&self, document: &Document) -> Result<SessionState> {
        let state = SessionState::parse(&document.status, "read an upload session")?;
        *self.inner.state.write().unwrap_or_else(PoisonError::into_inner) = state;
        Ok(state)
    }
}

impl Target {
    fn new(client: &Client, table: &TableName, partition: Option<&str>) -> Self {
        let path = table.tunnel_path(client.project_name());
        let limits = client.limits_of(&path);
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
    SessionState::parse(&document.status, "read")?;
    let _ = first_free_block(&document.uploaded_block_list);
    document.schema.columns("read").map(|_| ())
}

/// The session document.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    #[serde(rename = "UploadID")]
    upload_id: String,
    status: String,
    schema: RawSchema,
    max_field_size: Option<u64>,
    #[serde(default)]
    uploaded_block_list: Vec<RawBlock>,
}

/// Behind all blocks that are stored.
fn first_free_block(stored: &[RawBlock]) -> u32 {
    stored.iter().map(|block| block.block_id.saturating_add(1)).max().unwrap_or(0)
}

#[derive(Debug, Deserialize)]
struct RawBlock {
    #[serde(rename = "BlockID")]
    block_id: u32,
}
