//! Reading rows back: of a table, or of a query (the "instance tunnel"), with their types.
//!
//! A session sees the rows as they are when it is created. Delta tables are read by a query: run `SELECT` and open the
//! session [`of_instance`](DownloadSession::of_instance).

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;

use crate::client::Client;
use crate::compression::Compression;
use crate::limits::TableLimits;
use crate::record::{Value, read_records};
use crate::request::{Request, path_of};
use crate::retry::Poll;
use crate::session::{RawSchema, SessionColumn};
use crate::table::TableName;
use crate::types::DataType;
use crate::{Error, Result};

/// Bytes of rows that one call may answer: they are held in memory, so ask for fewer rows at once.
const RECORDS_LIMIT: usize = 1 << 30;
/// First wait until a session is ready; they double.
const READY_FIRST_WAIT: Duration = Duration::from_millis(200);
/// Longest wait between two questions.
const READY_LONGEST_WAIT: Duration = Duration::from_secs(5);
/// All waits together: the service scans the table's files for its row counts.
const READY_PATIENCE: Duration = Duration::from_secs(600);

/// An open download session: the rows of a table or of a query, as they were when it was created.
///
/// ```no_run
/// use sluicebox_maxcompute::{Client, DownloadSession, Hints, Result};
///
/// # async fn example(client: Client) -> Result<()> {
/// let instance = client.run("SELECT * FROM orders", &Hints::modern(false), None).await?;
/// let session = DownloadSession::of_instance(&client, instance.id(), false).await?;
/// let mut start = 0;
/// while start < session.record_count() {
///     for row in session.records(start, 10_000).await? {
///         println!("{row:?}");
///     }
///     start += 10_000;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct DownloadSession {
    client: Client,
    source: Source,
    what: String,
    id: String,
    columns: Vec<SessionColumn>,
    record_count: u64,
}

/// What is read.
#[derive(Debug, Clone)]
struct Source {
    path: String,
    partition: Option<String>,
    /// Those of the table; the results of a query have none.
    limits: Option<Arc<TableLimits>>,
}

impl Source {
    fn request(&self, method: Method, operation: String, records: bool) -> Request {
        let request = Request::tunnel(method, self.path.clone(), operation, records)
            .query_if("partition", self.partition.as_deref());
        match &self.limits {
            Some(limits) => request.of_table(limits),
            None => request,
        }
    }
}

impl DownloadSession {
    /// Opens a session on an ordinary table, or on one partition of it.
    pub async fn of_table(client: &Client, table: &TableName, partition: Option<&str>) -> Result<Self> {
        let path = table.tunnel_path(client.project_name());
        let limits = client.limits_of(&path);
        limits.download(client.timing()).await;
        let source = Source { path, partition: partition.map(str::to_owned), limits: Some(limits) };
        Self::open(client, source, format!("table `{table}`"), false).await
    }

    /// Opens a session on the rows of a query that has ended. With `limited` the service gives at most 10000 rows and
    /// asks for fewer permissions. Fails with [`Error::Rejected`] for statements that have no rows.
    pub async fn of_instance(client: &Client, instance: &str, limited: bool) -> Result<Self> {
        let path = path_of(&["projects", client.project_name(), "instances", instance]);
        let source = Source { path, partition: None, limits: None };
        Self::open(client, source, format!("instance `{instance}`"), limited).await
    }

    async fn open(client: &Client, source: Source, what: String, limited: bool) -> Result<Self> {
        let operation = format!("create download session of {what}");
        let create = source
            .request(Method::POST, operation.clone(), false)
            .query("downloads", "")
            .query_if("instance_tunnel_limit_enabled", limited.then_some(""));
        let mut document: Document = client.send(&create).await?.json(&operation)?;
        let mut waits = Poll::new(READY_FIRST_WAIT, READY_LONGEST_WAIT, READY_PATIENCE);
        while document.status.eq_ignore_ascii_case("initiating") {
            let wait =
                waits.next().ok_or_else(|| Error::malformed(&operation, "it does not become ready"))?;
            client.timing().sleep(wait).await;
            let reload = source
                .request(Method::GET, operation.clone(), false)
                .query("downloadid", document.download_id.as_str());
            document = client.send(&reload).await?.json(&operation)?;
        }
        Ok(Self {
            client: client.clone(),
            source,
            what,
            id: document.download_id,
            columns: document.schema.columns(&operation)?,
            record_count: document.record_count,
        })
    }

    /// The id of the session.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The columns of its rows, without partition columns.
    pub fn columns(&self) -> &[SessionColumn] {
        &self.columns
    }

    /// Number of rows.
    pub fn record_count(&self) -> u64 {
        self.record_count
    }

    /// Reads rows from `start`, at most `count` of them.
    pub async fn records(&self, start: u64, count: u64) -> Result<Vec<Vec<Option<Value>>>> {
        let count = count.min(self.record_count.saturating_sub(start));
        if count == 0 {
            return Ok(Vec::new());
        }
        let operation = format!("read rows of {}", self.what);
        let mut request = self
            .source
            .request(Method::GET, operation, true)
            .query("data", "")
            .query("downloadid", self.id.as_str())
            .query("rowrange", format!("({start},{count})"))
            .header("accept-encoding", "identity");
        request.answer_limit = RECORDS_LIMIT;
        let answered = self.client.send(&request).await?;
        let encoding = answered.header("content-encoding");
        let compression = Compression::from_content_encoding(encoding).ok_or_else(|| {
            Error::malformed(
                &request.operation,
                format_args!("unknown encoding `{}`", encoding.unwrap_or("")),
            )
        })?;
        let limit = u64::try_from(RECORDS_LIMIT).unwrap_or(u64::MAX);
        let bytes = match compression {
            Compression::Raw => answered.body,
            other => other.decompress(&answered.body, limit)?.into(),
        };
        let types: Vec<DataType> = self.columns.iter().map(|column| column.data_type.clone()).collect();
        let rows = read_records(&bytes, &types)?;
        if u64::try_from(rows.len()) != Ok(count) {
            return Err(Error::malformed(&request.operation, "more rows than asked for, or fewer"));
        }
        Ok(rows)
    }
}

/// Reads a session document and does nothing with it.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn read_only(body: &[u8]) -> Result<()> {
    let document: Document = serde_json::from_slice(body).map_err(|fault| Error::malformed("read", fault))?;
    document.schema.columns("read").map(|_| ())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    #[serde(rename = "DownloadID")]
    download_id: String,
    status: String,
    record_count: u64,
    schema: RawSchema,
}
