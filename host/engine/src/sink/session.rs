//! One tunnel session of a target: an upsert session for a Delta table, an upload session for an ordinary one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sluicebox_maxcompute::record::Body;
use sluicebox_maxcompute::{
    Client, Error, SessionColumn, SessionState, Stored, TableName, UploadOptions, UploadSession,
    UpsertSession,
};

use super::encode::Spread;
use crate::state::SessionKind;

/// Blocks of one upload session; the service numbers them from 0 to 19,999.
const MAX_BLOCKS: u32 = 20_000;

/// An open session. Clones share it.
#[derive(Debug, Clone)]
pub enum SinkSession {
    /// Into a Delta table.
    Upsert(UpsertSession),
    /// Into an ordinary table.
    Upload {
        /// The session.
        session: UploadSession,
        /// Number of the next block.
        next_block: Arc<AtomicU32>,
    },
}

impl SinkSession {
    /// Opens a session, on one partition of a partitioned table; the partition must exist. `overwrite`: what is appended replaces what
    /// is there.
    pub async fn create(
        client: &Client,
        table: &TableName,
        partition: Option<&str>,
        keyed: bool,
        overwrite: bool,
    ) -> Result<Self, Error> {
        if keyed {
            return Ok(Self::Upsert(UpsertSession::create(client, table, partition).await?));
        }
        let options = UploadOptions { overwrite, ..UploadOptions::default() };
        let session = UploadSession::create_with(client, table, partition, options).await?;
        Ok(Self::Upload { session, next_block: Arc::new(AtomicU32::new(0)) })
    }

    /// Finds a session again that an earlier run left behind.
    pub async fn attach(
        client: &Client,
        table: &TableName,
        partition: Option<&str>,
        kind: SessionKind,
        id: &str,
    ) -> Result<Self, Error> {
        match kind {
            SessionKind::Upsert => {
                Ok(Self::Upsert(UpsertSession::attach(client, table, partition, id).await?))
            }
            SessionKind::Upload => {
                let session = UploadSession::attach(client, table, partition, id).await?;
                Ok(Self::Upload { session, next_block: Arc::new(AtomicU32::new(0)) })
            }
        }
    }

    /// The service's name for it.
    pub fn id(&self) -> &str {
        match self {
            Self::Upsert(session) => session.id(),
            Self::Upload { session, .. } => session.id(),
        }
    }

    /// What kind it is.
    pub fn kind(&self) -> SessionKind {
        match self {
            Self::Upsert(_) => SessionKind::Upsert,
            Self::Upload { .. } => SessionKind::Upload,
        }
    }

    /// The columns that its records follow.
    pub fn columns(&self) -> &[SessionColumn] {
        match self {
            Self::Upsert(session) => session.columns(),
            Self::Upload { session, .. } => session.columns(),
        }
    }

    /// Ids of its columns, by place, where rows may set some of them only.
    pub fn partial(&self) -> Option<Arc<[i64]>> {
        match self {
            Self::Upsert(session) if session.partial_update() => {
                session.columns().iter().map(|column| column.column_id).collect()
            }
            Self::Upsert(_) | Self::Upload { .. } => None,
        }
    }

    /// How its rows are spread over buckets; none for an ordinary table.
    pub fn spread(&self) -> Option<Spread> {
        match self {
            Self::Upsert(session) => {
                Some(Spread { buckets: session.bucket_count(), hasher: session.hasher() })
            }
            Self::Upload { .. } => None,
        }
    }

    /// Numbers a request: the bucket of an upsert, the next block of an upload.
    pub fn place(&self, bucket: u32) -> Result<u32, Error> {
        match self {
            Self::Upsert(_) => Ok(bucket),
            Self::Upload { next_block, .. } => {
                let block = next_block.fetch_add(1, Ordering::Relaxed);
                if block < MAX_BLOCKS {
                    Ok(block)
                } else {
                    Err(Error::Options(format!("an upload session takes {MAX_BLOCKS} blocks")))
                }
            }
        }
    }

    /// Sends a request's rows and waits until they are stored.
    pub async fn put(&self, place: u32, body: &Body) -> Result<Stored, Error> {
        let stored = match self {
            Self::Upsert(session) => session.put(place, body).await,
            // A block that arrives again replaces itself.
            Self::Upload { session, .. } => session.put_block(place, body).await.map(|()| Stored::Once),
        };
        self.explained(stored).await
    }

    /// Makes the rows visible.
    pub async fn commit(&self) -> Result<(), Error> {
        let committed = match self {
            Self::Upsert(session) => session.commit().await,
            Self::Upload { session, .. } => session.commit().await,
        };
        self.explained(committed).await
    }

    /// A refusal whose reason is that the session has ended is told as that: its rows can be read again into a new one,
    /// while any other refusal would come again.
    async fn explained<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(Error::Rejected(_)) = &result
            && let Ok(
                state @ (SessionState::Expired
                | SessionState::Aborted
                | SessionState::Critical
                | SessionState::Gone),
            ) = self.status().await
        {
            return Err(Error::SessionLost { id: self.id().to_owned(), state });
        }
        result
    }

    /// What became of it.
    pub async fn status(&self) -> Result<SessionState, Error> {
        match self {
            Self::Upsert(session) => session.status().await,
            Self::Upload { session, .. } => session.status().await,
        }
    }

    /// Drops its rows. The service has no way to abort an upload session: it expires.
    pub async fn abort(&self) -> Result<(), Error> {
        match self {
            Self::Upsert(session) => session.abort().await,
            Self::Upload { .. } => Ok(()),
        }
    }
}
