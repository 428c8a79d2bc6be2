//! Why a call failed, split by what the caller does next.

use std::time::Duration;

use crate::session::SessionState;

/// Result of all calls of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// An answer of the service that was not a success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What was asked for, such as ``write bucket of `p.t` ``.
    pub operation: String,
    /// The HTTP status.
    pub status: u16,
    /// The service's error code, such as `NoSuchTable`; empty when the answer carried none.
    pub code: String,
    /// The service's own text.
    pub message: String,
    /// The id under which the service's support finds the request.
    pub request_id: Option<String>,
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: status {}", self.operation, self.status)?;
        if !self.code.is_empty() {
            write!(f, ", code `{}`", self.code)?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        if let Some(id) = &self.request_id {
            write!(f, " (request {id})")?;
        }
        Ok(())
    }
}

/// Why a call of this crate failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What the caller asked for makes no sense, such as an endpoint without a host or a bucket that the session does
    /// not have; nothing was sent.
    #[error("{0}")]
    Options(String),
    /// The service cannot be reached, or did not answer, and the retries are used up; or the account could not be loaded,
    /// see [`CredentialsProvider`](crate::CredentialsProvider). Asking again later may help.
    #[error("{operation}: failed without an answer")]
    Unreachable {
        /// What was asked for.
        operation: String,
        /// Whether the request may have arrived and taken effect.
        maybe_arrived: bool,
        /// What the connection, or who was to load the account, reported.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The service asks for less traffic, and the patience for it is used up. Asking again later helps.
    #[error("throttled: {answer}")]
    Throttled {
        /// The last answer.
        answer: Box<Answer>,
        /// How long the service wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// The service failed (5xx), and the retries are used up. Asking again later may help.
    #[error("service fault: {0}")]
    ServerFault(Box<Answer>),
    /// The account may not do this, or its signature is not accepted. Only an operator can help.
    #[error("refused: {0}")]
    Refused(Box<Answer>),
    /// The project, schema, table, partition or instance does not exist; the code says which.
    #[error("not found: {0}")]
    NotFound(Box<Answer>),
    /// The tunnel session does not exist any more. What became of its rows is for the caller to know.
    #[error("tunnel session is gone: {0}")]
    SessionGone(Box<Answer>),
    /// The table changed under the session; a new session sees the new schema.
    #[error("table changed under the session: {0}")]
    SchemaChanged(Box<Answer>),
    /// The service understood the request and does not accept it. Sending it again cannot help.
    #[error("rejected: {0}")]
    Rejected(Box<Answer>),
    /// The session ended in a state from which its rows cannot become visible.
    #[error("tunnel session `{id}` is {state}")]
    SessionLost {
        /// The session.
        id: String,
        /// Its state.
        state: SessionState,
    },
    /// The commit was accepted but has not finished in time. Ask for the session's status later.
    #[error("tunnel session `{id}` still commits after {waited:?}")]
    StillCommitting {
        /// The session.
        id: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The statement was run and failed.
    #[error("statement failed in instance `{instance}`: {message}")]
    StatementFailed {
        /// The instance that ran it.
        instance: String,
        /// The code in front of the service's text, such as `ODPS-0130071`; empty when there is none.
        code: String,
        /// The service's own text.
        message: String,
    },
    /// The statement has not finished in time; it goes on at the service.
    #[error("statement still runs in instance `{instance}` after {waited:?}")]
    StillRunning {
        /// The instance that runs it.
        instance: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The service, or what stands before it, answered something that cannot be read.
    #[error("{operation}: unreadable answer: {detail}")]
    Malformed {
        /// What was asked for.
        operation: String,
        /// What is wrong with it.
        detail: String,
    },
}

impl Error {
    /// The service's error code, where there is one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Throttled { answer, .. }
            | Self::ServerFault(answer)
            | Self::Refused(answer)
            | Self::NotFound(answer)
            | Self::SessionGone(answer)
            | Self::SchemaChanged(answer)
            | Self::Rejected(answer) => Some(&answer.code),
            Self::StatementFailed { code, .. } => Some(code),
            Self::Options(_)
            | Self::Unreachable { .. }
            | Self::SessionLost { .. }
            | Self::StillCommitting { .. }
            | Self::StillRunning { .. }
            | Self::Malformed { .. } => None,
        }
    }

    pub(crate) fn malformed(operation: &str, detail: impl std::fmt::Display) -> Self {
        Self::Malformed { operation: operation.to_owned(), detail: detail.to_string() }
    }
}
