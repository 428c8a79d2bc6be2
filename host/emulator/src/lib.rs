//! A MaxCompute-compatible server for local runs and tests.
//!
//! It answers the HTTP API that writers and readers of MaxCompute use - metadata, SQL instances, and the
//! tunnel's upsert, upload, stream and download sessions - well enough that the official Python and Java
//! clients do not know the difference. It shares no code with our own client, so that a mistake in an
//! encoding cannot cancel itself out, and it checks what it is sent more strictly than it must: signatures,
//! checksums, counts, ranges, buckets, nulls.
//!
//! One port serves both APIs, the service under `/api` (and at the root), the tunnel at the root. A project
//! exists as soon as it is named. Rows live in a folder and survive the death of the process; see the
//! `store` module for what exactly.
//!
//! Where the service's behaviour is not known, the emulator takes the choice that shows a client's mistake
//! early: rows in the wrong bucket are refused (400); a session whose table changed its columns takes neither
//! blocks nor a commit (412 `SchemaModified`); a finished session takes no blocks (409 `StatusConflict`) and
//! stays readable for two days; decimals that would lose a digit are refused. Where a project could have been
//! set up either way, it is set up the permissive way: schema evolution, the second type and decimal editions
//! and TIMESTAMP_NTZ need no hints.

mod clock;
mod connect;
mod fault;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod http;
mod ingest;
mod run;
mod sql;
mod stats;
mod store;
mod wire;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

pub use stats::Stats;

use http::{App, Credentials, Rules, Server};
use store::{Place, Store};

/// How an emulator is started.
#[derive(Clone)]
pub struct EmulatorOptions {
    /// Address to listen on; port 0 takes a free one, see [`Emulator::address`].
    pub listen: SocketAddr,
    /// Folder of the database; created when absent. One emulator at a time may use it.
    pub data: PathBuf,
    /// Accepted pairs of access id and access key; empty means `sluicebox` and `sluicebox`.
    pub credentials: Vec<(String, String)>,
    /// Check written rows and throw them away: for benchmarks. Sessions then live in memory only.
    pub discard: bool,
    /// Projects have schemas (`project.schema.table`) instead of two-part names.
    pub schemas: bool,
    /// Nothing is written to `data`; everything ends with the process.
    pub in_memory: bool,
    /// Take what the service might take and what shows a mistake early when it is refused: dates far from the
    /// clock, rows in any bucket, more sessions and commits than the service allows.
    pub lenient: bool,
}

impl std::fmt::Debug for EmulatorOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmulatorOptions")
            .field("listen", &self.listen)
            .field("data", &self.data)
            .field("credentials", &Credentials::new(self.credentials.clone()))
            .field("discard", &self.discard)
            .field("schemas", &self.schemas)
            .field("in_memory", &self.in_memory)
            .field("lenient", &self.lenient)
            .finish()
    }
}

/// Why an emulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum EmulatorError {
    /// The address is taken, not ours, or not allowed; another one may work.
    #[error("cannot listen on `{address}`")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The folder is in use, not writable, or holds something else.
    #[error("cannot use the data folder `{}`", folder.display())]
    Data {
        /// The folder asked for.
        folder: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// A running server. Dropping it stops it without waiting for requests that are running.
pub struct Emulator {
    app: Arc<App>,
    server: Server,
}

impl std::fmt::Debug for Emulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Emulator").field("address", &self.app.address).finish_non_exhaustive()
    }
}

impl Emulator {
    /// Opens the data folder, binds the address and serves until [`Emulator::stop`]. Needs a tokio runtime.
    pub async fn start(options: EmulatorOptions) -> Result<Self, EmulatorError> {
        let listen_error = |source| EmulatorError::Listen { address: options.listen, source };
        let listener = tokio::net::TcpListener::bind(options.listen).await.map_err(listen_error)?;
        let address = listener.local_addr().map_err(listen_error)?;
        let place = if options.in_memory { Place::memory() } else { Place::Folder(options.data.clone()) };
        let opening = tokio::task::spawn_blocking(move || Store::open(place, options.discard));
        let data_error = |source| EmulatorError::Data { folder: options.data.clone(), source };
        let store = match opening.await {
            Ok(opened) => opened.map_err(|error| data_error(Box::new(error)))?,
            Err(error) => return Err(data_error(Box::new(error))),
        };
        let credentials = Credentials::new(options.credentials);
        let rules = Rules { three_tier: options.schemas, lenient: options.lenient };
        let app = Arc::new(App::new(store, credentials, rules, address));
        let server = Server::start(listener, Arc::clone(&app));
        tracing::info!(%address, folder = %options.data.display(), "emulator started");
        Ok(Self { app, server })
    }

    /// The address being listened on.
    pub fn address(&self) -> SocketAddr {
        self.app.address
    }

    /// How to connect to it, several lines for a person.
    pub fn instructions(&self) -> String {
        let (id, key) = self.app.credentials.shown();
        connect::instructions(self.app.address, id, key)
    }

    /// Counters since the start.
    pub fn stats(&self) -> Stats {
        self.app.counters.read()
    }

    /// Stops accepting, lets running requests end (ten seconds at most), and closes the database.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}
