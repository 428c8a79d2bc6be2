//! What upsert, upload and download sessions of the tunnel have in common.

use std::fmt;

use serde::Deserialize;

use crate::types::DataType;
use crate::{Error, Result};

/// Where a tunnel session is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SessionState {
    /// Takes rows; nothing of them is visible yet.
    Normal,
    /// The commit was accepted and has not finished.
    Committing,
    /// Its rows are visible.
    Committed,
    /// It was given up; its rows are dropped.
    Aborted,
    /// Its lifetime (24 hours) is over; its rows are dropped.
    Expired,
    /// The service has lost it.
    Critical,
    /// The service does not know what became of it.
    Unknown,
    /// The service does not know it: it never existed, or has ended and was cleaned up.
    Gone,
}

impl SessionState {
    /// Reads a status of the service, of upsert (`committed`) or upload sessions (`CLOSED`).
    pub(crate) fn parse(text: &str, operation: &str) -> Result<Self> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "normal" => Self::Normal,
            "committing" | "closing" => Self::Committing,
            "committed" | "closed" => Self::Committed,
            "aborted" | "canceled" => Self::Aborted,
            "expired" => Self::Expired,
            "critical" => Self::Critical,
            "unknown" => Self::Unknown,
            _ => return Err(Error::malformed(operation, format_args!("`{text}` is not a session status"))),
        })
    }
}

impl fmt::Display for SessionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Normal => "normal",
            Self::Committing => "committing",
            Self::Committed => "committed",
            Self::Aborted => "aborted",
            Self::Expired => "expired",
            Self::Critical => "critical",
            Self::Unknown => "unknown",
            Self::Gone => "gone",
        })
    }
}

/// A column as a session sees it: what the session's records must follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// Whether it takes nulls.
    pub nullable: bool,
    /// Its id, which partial updates name.
    pub column_id: Option<i64>,
}

/// The schema in a session document.
#[derive(Debug, Deserialize)]
pub(crate) struct RawSchema {
    #[serde(default)]
    columns: Vec<RawColumn>,
}

#[derive(Debug, Deserialize)]
struct RawColumn {
    name: String,
    #[serde(rename = "type")]
    data_type: String,
    #[serde(default)]
    nullable: Option<serde_json::Value>,
    #[serde(default)]
    column_id: Option<serde_json::Value>,
}

impl RawSchema {
    /// Gives the texts their meaning. Partition columns are left out, as in the records.
    pub(crate) fn columns(self, operation: &str) -> Result<Vec<SessionColumn>> {
        let column = |raw: RawColumn| {
            let data_type = raw.data_type.parse().map_err(|fault| Error::malformed(operation, fault))?;
            let nullable = raw.nullable.as_ref().is_none_or(is_true);
            let column_id = raw.column_id.as_ref().and_then(number);
            Ok(SessionColumn { name: raw.name, data_type, nullable, column_id })
        };
        self.columns.into_iter().map(column).collect()
    }
}

/// A boolean, as such or as text: the service writes both.
pub(crate) fn is_true(value: &serde_json::Value) -> bool {
    value.as_bool().unwrap_or_else(|| value.as_str().is_some_and(|text| text.eq_ignore_ascii_case("true")))
}

/// A number, as such or as text: the service writes both.
pub(crate) fn number(value: &serde_json::Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}
