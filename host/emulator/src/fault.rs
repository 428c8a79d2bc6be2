//! Why a request or statement is not carried out, and how that is said in each of the three languages of
//! the service: XML errors, tunnel JSON errors, and `ODPS-` texts of failed SQL tasks.

use crate::wire::cursor::Malformed;

/// One variant per thing a client does next.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("table {0} cannot be resolved")]
    NoSuchTable(String),
    #[error("partition not found: {0}")]
    NoSuchPartition(String),
    #[error("schema {0} cannot be resolved")]
    NoSuchSchema(String),
    #[error("the specified upsert session does not exist")]
    NoSuchUpsertSession,
    #[error("the specified upload id does not exist")]
    NoSuchUpload,
    #[error("the specified stream session does not exist")]
    NoSuchStream,
    #[error("the specified download id does not exist")]
    NoSuchDownload,
    #[error("instance {0} is not found")]
    NoSuchInstance(String),
    #[error("nothing is served at this path: {0}")]
    NoSuchPath(String),
    #[error("{0}")]
    Unauthorized(String),
    /// Too much at once; later it will be taken.
    #[error("{0}")]
    FlowExceeded(String),
    /// The request makes no sense as it stands; sending it again changes nothing.
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    InvalidBlock(String),
    #[error("{0}")]
    InvalidRowRange(String),
    /// The body breaks the record or Arrow format.
    #[error("{0}")]
    Corrupted(String),
    #[error("{0}")]
    StatusConflict(String),
    /// The table changed after the session was opened: open a new one.
    #[error("the table's schema is at version {latest}, the session's is older; open a new session")]
    SchemaModified { latest: u64 },
    /// The slot has another server now: the same request goes there, or, when `to` is not told, the session is
    /// to be read again first.
    #[error("the slot has another server now")]
    SlotMoved { to: Option<String> },
    #[error("the statement has no result to download")]
    NoResult,
    /// A statement's error, code and all.
    #[error("{0}")]
    Sql(String),
    #[error("the database failed: {0}")]
    Database(#[from] rusqlite::Error),
    #[error("{0}")]
    Internal(String),
}

impl From<Malformed> for Fault {
    fn from(malformed: Malformed) -> Self {
        Self::Corrupted(malformed.0)
    }
}

impl Fault {
    /// The text of a semantic error.
    pub(crate) fn semantic(text: impl std::fmt::Display) -> Self {
        Self::Sql(format!("ODPS-0130071:[1,1] Semantic analysis exception - {text}"))
    }

    /// HTTP status. 404 is what makes "does not exist" for clients, whatever the code says.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::NoSuchTable(_)
            | Self::NoSuchPartition(_)
            | Self::NoSuchSchema(_)
            | Self::NoSuchUpsertSession
            | Self::NoSuchUpload
            | Self::NoSuchStream
            | Self::NoSuchDownload
            | Self::NoSuchInstance(_)
            | Self::NoSuchPath(_) => 404,
            Self::Unauthorized(_) => 401,
            Self::FlowExceeded(_) => 429,
            Self::Invalid(_)
            | Self::InvalidBlock(_)
            | Self::InvalidRowRange(_)
            | Self::Corrupted(_)
            | Self::NoResult
            | Self::Sql(_) => 400,
            Self::StatusConflict(_) => 409,
            Self::SlotMoved { .. } => 308,
            Self::SchemaModified { .. } => 412,
            Self::Database(_) | Self::Internal(_) => 500,
        }
    }

    /// The code in a tunnel error.
    pub(crate) fn tunnel_code(&self) -> &'static str {
        match self {
            Self::NoSuchTable(_) => "NoSuchTable",
            Self::NoSuchPartition(_) => "NoSuchPartition",
            Self::NoSuchSchema(_) => "NoSuchSchema",
            Self::NoSuchUpsertSession => "UpsertSessionNotFound",
            Self::NoSuchUpload => "NoSuchUpload",
            Self::NoSuchStream => "StreamSessionNotFound",
            Self::NoSuchDownload => "NoSuchDownload",
            Self::NoSuchInstance(_) => "NoSuchInstance",
            Self::NoSuchPath(_) => "NoSuchObject",
            Self::Unauthorized(_) => "Unauthorized",
            Self::FlowExceeded(_) => "FlowExceeded",
            Self::Invalid(_) | Self::Sql(_) => "InvalidArgument",
            Self::InvalidBlock(_) => "InvalidBlockID",
            Self::InvalidRowRange(_) => "InvalidRowRange",
            Self::Corrupted(_) => "CorruptedDataStream",
            Self::StatusConflict(_) => "StatusConflict",
            Self::SlotMoved { .. } => "SlotMoved",
            Self::SchemaModified { .. } => "SchemaModified",
            Self::NoResult => "InstanceTypeNotSupported",
            Self::Database(_) | Self::Internal(_) => "InternalServerError",
        }
    }

    /// The code in an XML error.
    pub(crate) fn service_code(&self) -> &'static str {
        match self {
            Self::NoSuchTable(_)
            | Self::NoSuchPartition(_)
            | Self::NoSuchSchema(_)
            | Self::NoSuchInstance(_)
            | Self::NoSuchPath(_) => "NoSuchObject",
            _ => self.tunnel_code(),
        }
    }

    /// The message in an XML error, with the service's code where it has one.
    pub(crate) fn service_message(&self) -> String {
        match self {
            Self::NoSuchTable(_) | Self::NoSuchPartition(_) | Self::NoSuchSchema(_) => self.sql_text(),
            _ => self.to_string(),
        }
    }

    /// The result text of a failed task.
    pub(crate) fn sql_text(&self) -> String {
        match self {
            Self::NoSuchTable(name) => {
                format!("ODPS-0130131:[1,1] Table not found - table {name} cannot be resolved")
            }
            Self::NoSuchPartition(spec) => {
                format!("ODPS-0110061: Failed to run ddltask - partition not found: {spec}")
            }
            Self::NoSuchSchema(name) => {
                format!("ODPS-0130071:[1,1] Semantic analysis exception - schema {name} cannot be resolved")
            }
            Self::Sql(text) => text.clone(),
            Self::Database(_) | Self::Internal(_) => format!("ODPS-0010000: System internal error - {self}"),
            other => format!("ODPS-0130071:[1,1] Semantic analysis exception - {other}"),
        }
    }
}
