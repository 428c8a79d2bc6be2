//! Columns that no statement told of, taken from the server.
//!
//! Rows that do not fit the columns which history and statements gave their table say that something changed it unseen: a session
//! with `sql_log_bin=0`, a filter of the server's, a tool that works on files. The server's present columns may stand in for what is
//! missing, and only *may*: they are those of now, and the rows are of then. They are taken where this holds:
//!
//! 1. They fit the rows' table map exactly: the number of columns, each one's type, length, digits, sign and character set as far as the
//!    map says it, and where it has names and labels (`binlog_row_metadata=FULL`) every name, and every label of `ENUM` and `SET`.
//! 2. They were read together with a place of the binlog at which they were true, and between the rows and that place the binlog has no
//!    statement about the table, neither by its name nor by one that it got there, and none about it that is not understood.
//! 3. Every table map of the table on that way fits them as the first one does.
//!
//! So whatever the table was at the rows' place, it got to what it is now by changes that the binlog does not have at all, and each of them
//! left it as it is in everything that rows show. What remains is that two such unseen changes exchanged columns of one form, the one
//! before the rows and the other behind them, or labels of one column; names and labels in the maps rule that out too.
//!
//! A table that came to a captured name by a rename, and was not followed before, is looked at in the same way from behind the rename on: tools
//! for online schema changes fill a table beside the captured one and exchange the names, and what made the other may lie before the place
//! at which this stream began. Until rows come of it, the first condition asks for nothing, and the others hold as they do.
//!
//! What does not hold is told in words, and the mismatch stays the error that it is. The check reads the binlog up to the place and keeps
//! nothing; who begins again checks again.

use std::sync::Arc;

use sluicebox_model::{Gtids, Position, TableSchema};

use super::{BinlogStream, Skip, StreamItem, StreamOptions};
use crate::MysqlError;

/// Heartbeats with nothing between them after which what is waited for will not come.
const SILENT_MAX: u32 = 60;

/// A place of the binlog from which on a table's columns are not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The first transaction that this does not cover is the first of those columns.
    pub behind: Position,
    /// Where what follows is looked at: `behind` as well, or behind the statement that put another table under the name.
    pub follows: Position,
}

impl Gap {
    /// Rows in the transaction behind a place do not fit.
    pub(super) fn before(place: Position) -> Self {
        Self { behind: place.clone(), follows: place }
    }
}

/// Columns that a table has from a place on, though no statement says so.
#[derive(Debug, Clone)]
pub struct Repair {
    /// The table.
    pub schema: Arc<TableSchema>,
    /// From where on.
    pub gap: Gap,
}

/// Whether a repair is safe, in words where it is not. `until`: where the repair's columns were true, and read. Of `options` the
/// tables count for nothing, nor does the place to start from.
///
/// Blocks, for as long as it takes to read the binlog from the one place to the other.
///
/// # Errors
/// As [`BinlogStream::open`], and those of [`BinlogStream::next`] that say nothing of the table.
pub fn check_repair(
    options: &StreamOptions,
    repair: &Repair,
    until: &Position,
) -> Result<Result<(), String>, MysqlError> {
    if repair.gap.follows.includes(until) {
        return Ok(Ok(()));
    }
    let table = repair.schema.id.clone();
    let mut stream = BinlogStream::open(StreamOptions {
        from: repair.gap.follows.clone(),
        skip: Skip::default(),
        schemas: vec![Arc::clone(&repair.schema)],
        known_behind: Vec::new(),
        repairs: Vec::new(),
        new_are_read: false,
        captures: Arc::new(move |other| *other == table),
        matches: Arc::new(|_| false),
        ..options.clone()
    })?;
    let has_gtids = until.gtids != Gtids::None;
    let (mut ended, mut silent) = (false, 0);
    loop {
        let item = stream.next();
        silent = if matches!(item, Ok(StreamItem::Idle)) { silent + 1 } else { 0 };
        match item {
            Ok(StreamItem::Schema(event)) => {
                return Ok(Err(format!("a statement changed it since: {}", event.ddl)));
            }
            Ok(StreamItem::End { .. }) if stream.position().includes(until) => return Ok(Ok(())),
            // Without GTIDs the place may be the beginning of a file that has nothing yet. With them silence says nothing: a server
            // breaks it while it passes over what was seen.
            Ok(StreamItem::Idle) if ended && !has_gtids => return Ok(Ok(())),
            Ok(StreamItem::Idle) if silent > SILENT_MAX => {
                return Ok(Err("the binlog could not be read up to now".to_owned()));
            }
            Ok(StreamItem::End { .. }) => ended = true,
            Ok(StreamItem::Rows(_) | StreamItem::Idle) => {}
            Err(
                error @ (MysqlError::SchemaMismatch { .. }
                | MysqlError::UnknownStatement { .. }
                | MysqlError::NewTable { .. }
                | MysqlError::UnsupportedType { .. }
                | MysqlError::Incomplete { .. }),
            ) => return Ok(Err(format!("as it is now, {error}"))),
            Err(error) => return Err(error),
        }
    }
}
