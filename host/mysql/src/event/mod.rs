//! Events of the binlog: from the bytes of a packet to what an event says. Pure functions over slices; nothing here
//! touches a socket or knows what a pipeline captures.
//!
//! `mysql_cdc` reads headers and the plain events (rotate, xid, heartbeat, GTIDs of both servers, the GTID list, the format
//! description). Table maps, statements, tagged GTIDs, compressed bodies and row events are read here, because that crate
//! loses or refuses some of what servers send in them.

mod compressed;
mod cursor;
mod format;
mod frame;
mod gtid;
pub(crate) mod kind;
mod payload;
mod query;
mod rows;
mod table_map;

pub(crate) use compressed::{inflate_body, inflate_column};
pub(crate) use cursor::Cursor;
pub(crate) use format::format_description;
pub(crate) use frame::{Event, frame};
pub(crate) use gtid::{
    AlterPhase, Begin, decode_set, encode_set, gtid_list, mariadb_gtid, mysql_anonymous, mysql_gtid,
    mysql_tagged_gtid,
};
pub(crate) use payload::Payload;
pub(crate) use query::{Query, query};
pub(crate) use rows::{RowsHead, RowsKind, rows_head};
pub(crate) use table_map::{MapColumn, TableMap, table_id, wire};

/// Largest event, and largest plain form of a compressed one: `max_allowed_packet` ends at 1 GiB on every server, and a row
/// is never split; the rest is for what stands around a row of that size.
pub(crate) const EVENT_MAX: usize = (1 << 30) + (16 << 20);

/// What is wrong with an event; whoever knows its place makes a `MysqlError` of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Fault(std::borrow::Cow<'static, str>);

impl Fault {
    /// Says that an event of this kind ends before all of it was read.
    pub(crate) fn short(what: &str) -> Self {
        Self(format!("{what} ends too early").into())
    }
}

impl From<&'static str> for Fault {
    fn from(reason: &'static str) -> Self {
        Self(reason.into())
    }
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Self(reason.into())
    }
}
