//! Where the binlog stood at an instant: the place of the first transaction that was committed then or later.
//!
//! A file's first event says in which second the file began, so a binary search over the files finds the last one that surely
//! began by the instant. That file is read from its beginning, without anybody's rows, up to the first transaction of the instant or
//! later. What is found is a place with the GTIDs of everything before it.
//!
//! Commit times are the servers' own: microseconds where GTID events have them (MySQL since 8.0.1), else whole seconds, and then a
//! transaction of the instant's second counts as later. They need not rise with the position; the first one decides.

use std::sync::Arc;

use sluicebox_model::{Gtids, Position};

use super::{BinlogStream, Skip, StreamItem, StreamOptions, start_of};
use crate::MysqlError;
use crate::event::{self, kind};
use crate::wire::{Connection, FIRST_OFFSET, Stop};

/// In microseconds. Files say their beginning in whole seconds: one that began in the instant's second may have begun after it.
const SECOND: i64 = 1_000_000;

/// What the binlog holds of an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instant {
    /// The first transaction of the instant or later begins here.
    At(Position),
    /// Every file began later: what was committed in between may be gone from the server.
    BeforeAllFiles,
    /// No transaction was committed at the instant or later.
    AfterAllTransactions,
}

/// Finds an instant, in microseconds since 1970-01-01T00:00:00Z. `files`: the server's binlog files, oldest first. Of `options` the
/// tables count for nothing, nor does `from` but for its end: `from` is a place behind which nobody needs to look.
///
/// Blocks, for as long as reading one binlog file takes.
///
/// # Errors
/// As [`BinlogStream::open`] and [`BinlogStream::next`].
pub fn find_instant(
    options: &StreamOptions,
    files: &[String],
    instant_micros: i64,
) -> Result<Instant, MysqlError> {
    let surely_began = |at: usize| began(options, &files[at]).map(|micros| micros + SECOND);
    let file = match last_at_or_before(files.len(), instant_micros, surely_began)? {
        Some(at) => files.get(at),
        // The oldest file may have begun in the instant's second.
        None => match files.first() {
            Some(oldest) if began(options, oldest)? <= instant_micros => Some(oldest),
            _ => None,
        },
    };
    match file {
        Some(file) => first_transaction(options, file, instant_micros),
        None => Ok(Instant::BeforeAllFiles),
    }
}

/// The last of `count` times, which rise, that is not above `instant`; as few of them as can be are asked for.
fn last_at_or_before<E>(
    count: usize,
    instant: i64,
    mut time: impl FnMut(usize) -> Result<i64, E>,
) -> Result<Option<usize>, E> {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        match time(middle)? <= instant {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    Ok(low.checked_sub(1))
}

/// The beginning of a file as a place.
fn beginning(file: &str) -> Position {
    Position { file: file.to_owned(), offset: FIRST_OFFSET.into(), gtids: Gtids::None }
}

/// The beginning of the second in which a file began, in microseconds.
fn began(options: &StreamOptions, file: &str) -> Result<i64, MysqlError> {
    let StreamOptions { connect, server, server_id, heartbeat, .. } = options;
    let position = beginning(file);
    let connection = Connection::open(connect, &Stop::default())?;
    // Offsets on a server with GTIDs are sought from the file's beginning, which is where this one lies.
    let start = start_of(&position, server);
    let mut dump = connection.dump(server, *server_id, *heartbeat, start.dump, &position)?;
    loop {
        let event = event::frame(dump.next()?, true).map_err(|fault| MysqlError::Malformed {
            place: position.to_string(),
            reason: fault.to_string(),
        })?;
        // The first event names the file; it is made for the reader and has no time.
        if event.header.event_type == kind::FORMAT_DESCRIPTION {
            return Ok(i64::from(event.header.timestamp) * SECOND);
        }
    }
}

/// Reads on from a file's beginning to the first transaction of the instant or later.
fn first_transaction(
    options: &StreamOptions,
    file: &str,
    instant_micros: i64,
) -> Result<Instant, MysqlError> {
    let end = &options.from;
    let mut stream = BinlogStream::open(StreamOptions {
        from: beginning(file),
        skip: Skip::default(),
        schemas: Vec::new(),
        known_behind: Vec::new(),
        repairs: Vec::new(),
        new_are_read: false,
        captures: Arc::new(|_| false),
        matches: Arc::new(|_| false),
        ..options.clone()
    })?;
    // With the GTIDs of all that is left out: a later start would be sent those that it does not name.
    let mut passed: Option<Position> = None;
    loop {
        match stream.next()? {
            StreamItem::End { transaction, commit_micros, .. } if commit_micros >= instant_micros => {
                let gtids = passed.as_ref().or(stream.sought()).map_or(Gtids::None, |p| p.gtids.clone());
                let (file, offset) = (transaction.file.to_string(), transaction.offset);
                return Ok(Instant::At(Position { file, offset, gtids }));
            }
            StreamItem::End { transaction, end: behind, .. }
                if *transaction.file == *end.file && behind >= end.offset =>
            {
                return Ok(Instant::AfterAllTransactions);
            }
            // The server has nothing more.
            StreamItem::Idle => return Ok(Instant::AfterAllTransactions),
            StreamItem::End { transaction, end, .. } => {
                let first = || stream.sought().cloned().unwrap_or_default();
                passed.get_or_insert_with(first).advance(&transaction, end);
            }
            StreamItem::Rows(_) | StreamItem::Schema(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn the_last_file_that_began_by_then_is_found_with_few_questions() {
        let times = [10, 20, 20, 30, 40];
        for (instant, want) in [
            (9, None),
            (10, Some(0)),
            (19, Some(0)),
            (20, Some(2)),
            (29, Some(2)),
            (40, Some(4)),
            (i64::MAX, Some(4)),
        ] {
            let mut asked = 0;
            let found = last_at_or_before(times.len(), instant, |at| {
                asked += 1;
                Ok::<_, Infallible>(times[at])
            });
            assert_eq!(found, Ok(want), "{instant}");
            assert!(asked <= 3, "{instant}: {asked}");
        }
        assert_eq!(last_at_or_before(0, 5, |_| Ok::<_, Infallible>(0)), Ok(None));
    }
}
