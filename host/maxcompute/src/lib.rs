//! A client of Alibaba Cloud MaxCompute: accounts, tables, SQL instances, and the tunnel's sessions that move rows.
//!
//! There are two services. The *service* endpoint answers questions about tables and runs SQL; the *tunnel* endpoint
//! carries all row data. [`Client`] speaks to both. Rows go in by [`UpsertSession`] (Delta tables, by key) or
//! [`UploadSession`] (ordinary tables, appended), and come back by [`DownloadSession`] or as the text result of
//! [`Client::execute`].
//!
//! ```no_run
//! use sluicebox_maxcompute::record::{Operation, RecordBody, RecordWriter};
//! use sluicebox_maxcompute::{Account, Client, ClientOptions, Compression, Secret, TableName, bucket};
//! use sluicebox_maxcompute::{Stored, UpsertSession};
//!
//! # async fn example() -> sluicebox_maxcompute::Result<()> {
//! let account = Account::new("my-access-id", Secret::new("my-access-key"));
//! let endpoint = "https://service.cn-hangzhou.maxcompute.aliyun.com/api";
//! let client = Client::new(ClientOptions::new(endpoint, "my_project", account))?;
//!
//! // One row for the Delta table `orders (id BIGINT, name STRING, PRIMARY KEY(id))`.
//! let session = UpsertSession::create(&client, &TableName::new(None, "orders"), None).await?;
//! let bucket = bucket::bucket_of(session.hasher().bigint(7), session.bucket_count());
//! let mut writer = RecordWriter::new();
//! let mut record = writer.record();
//! record.bigint(0, 7);
//! record.text(1, b"seven");
//! let mut body = RecordBody::new();
//! body.push(record.end_keyed(2, Operation::Upsert));
//! let stored = session.put(bucket, &body.seal(Compression::Zlib)).await?;
//! assert_eq!(stored, Stored::Once, "else no newer rows of this bucket may go into this session");
//! session.commit().await?;
//! # Ok(())
//! # }
//! ```
//!
//! What stands behind every call:
//!
//! - **Accounts** are fixed, or come from the environment, a file or a command and are renewed before they expire:
//!   [`CredentialsProvider`]. With a region in the options requests are signed by version 4, else by version 2.
//! - **Endpoints**: the tunnel is asked for once unless it is configured. TLS is rustls with the system's certificates
//!   or those in [`ClientOptions::ca_certificates`]; proxies are taken from the environment (`HTTPS_PROXY`, `HTTP_PROXY`,
//!   `NO_PROXY`).
//! - **Retries** follow one policy, in the module `retry`; what it cannot cure comes out as [`Error`], whose variants say
//!   what can. A request that would take effect twice is sent again only when it certainly has not taken effect.
//! - **Limits** of the service (sessions, commits and blocks of a table) are waited for before a request is sent, in
//!   the module `limits`, and a table that is throttled is left alone by all requests.
//! - **Schema changes** can be asked for again: [`Client::alter_table`] issues what the table lacks.
//!
//! The encodings are pinned by tests to bytes recorded from the official clients.

mod account;
mod alter;
pub mod bucket;
mod client;
mod columnar;
mod compression;
mod credentials;
mod csv;
mod download;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod limits;
mod project;
pub mod record;
mod request;
mod retry;
mod session;
pub mod sign;
mod sql;
pub mod statement;
mod table;
mod timing;
mod types;
mod upload;
mod upsert;
mod xml;

pub use account::{Account, Secret};
pub use alter::TableChange;
pub use client::{Client, ClientOptions};
pub use columnar::{ArrowBody, arrow_schema};
pub use compression::Compression;
pub use credentials::{
    CommandCredentials, Credentials, CredentialsProvider, EnvironmentCredentials, FileCredentials,
    FixedCredentials, Loading,
};
pub use download::DownloadSession;
pub use error::{Answer, Error, Result};
pub use project::Project;
pub use record::Body;
pub use retry::RetryLimits;
pub use session::{SessionColumn, SessionState};
pub use sql::{Hints, Instance, QueryResult};
pub use table::{Column, Table, TableName, TableSummary};
pub use timing::{SystemTiming, Timing};
pub use types::{DataType, StructField, UnknownType};
pub use upload::{MAX_BLOCKS, UploadOptions, UploadSession};
pub use upsert::{Stored, UpsertOptions, UpsertSession};
