//! A place named by file and offset, with the GTIDs of everything before it.
//!
//! A bare offset is no place to keep where there are GTIDs: whoever starts behind it by GTID later would be sent everything
//! that its set does not name. So the file is read from its beginning up to the offset, without anybody's rows.

use std::sync::Arc;

use sluicebox_model::Position;

use super::{BinlogStream, Skip, StreamItem, StreamOptions};
use crate::MysqlError;

/// Finds what came before the place `options.from`, which is named by file and offset; of `options` the tables count for nothing.
///
/// Blocks, for as long as reading one binlog file takes, and one heartbeat where nothing was written behind the place.
///
/// # Errors
/// [`MysqlError::PositionAhead`] when the file ends before the offset, [`MysqlError::Malformed`] when the offset is not the start
/// of a transaction; else as [`BinlogStream::open`] and [`BinlogStream::next`].
pub fn find_offset(options: &StreamOptions) -> Result<Position, MysqlError> {
    let mut stream = BinlogStream::open(StreamOptions {
        skip: Skip::default(),
        schemas: Vec::new(),
        known_behind: Vec::new(),
        repairs: Vec::new(),
        new_are_read: false,
        captures: Arc::new(|_| false),
        matches: Arc::new(|_| false),
        ..options.clone()
    })?;
    loop {
        let item = stream.next()?;
        match (stream.sought(), item) {
            (Some(found), _) => return Ok(found.clone()),
            (None, StreamItem::Idle) => {
                return Err(MysqlError::PositionAhead {
                    position: Box::new(options.from.clone()),
                    reason: "the server has written nothing there yet".to_owned(),
                });
            }
            (None, StreamItem::End { .. } | StreamItem::Rows(_) | StreamItem::Schema(_)) => {}
        }
    }
}
