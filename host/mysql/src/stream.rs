//! The binlog as a pipeline wants it: transactions of captured tables, in order, each row event with the schema that is true
//! at its place.
//!
//! Promise: what [`BinlogStream::next`] delivers is what the server committed, each event once, also across `reopen`; what
//! cannot be followed is an error with its place, never left out. Order inside a transaction: its row and schema events, then
//! `End`. Only what stands before an `End` may be saved as seen; [`BinlogStream::position`] moves there with it.
//!
//! A start by file and offset on a server with GTIDs reads that file from its beginning and passes over what comes before
//! the offset. That costs one file at most, and gives what a bare offset lacks: the GTIDs seen before it (so every later start
//! is by GTID), proof that the offset is the start of a transaction, and files above 4 GiB, whose offsets no command can name.
//!
//! A crash loses nothing: the stream keeps no state outside its memory, and starts again from a position.

mod back;
mod follower;
mod instant;
mod maps;
mod offset;
mod place;
mod repair;
mod schemas;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sluicebox_model::{Gtids, Position, SchemaChange, TableId, TableSchema, TransactionId};

use crate::event::RowsKind;
use crate::row::{Present, RowLayout};
use crate::wire::{Connection, Dump, DumpStart, FIRST_OFFSET, Stop};
use crate::{ConnectOptions, MysqlError, ServerInfo, TypeOptions};
use back::Walk;
use follower::{Follower, Step};
pub use instant::{Instant, find_instant};
pub use place::find_offset;
pub use repair::{Gap, Repair, check_repair};

/// What a stream needs to know.
#[derive(Clone)]
pub struct StreamOptions {
    /// How to reach the server.
    pub connect: ConnectOptions,
    /// What the server said of itself.
    pub server: ServerInfo,
    /// Our id as a reader; no other reader and no server may have it.
    pub server_id: u32,
    /// The server breaks its silence after this time. Three of them without a byte, and the connection counts as dead.
    pub heartbeat: Duration,
    /// Where to start: behind everything that this position has seen.
    pub from: Position,
    /// What to leave out of the first transaction.
    pub skip: Skip,
    /// The captured tables as they are at `from`, and those that were captured once and then renamed.
    pub schemas: Vec<Arc<TableSchema>>,
    /// Tables that became known behind `from`: what comes of them before such a place is passed over, since their schema is
    /// not true there.
    pub known_behind: Vec<(TableId, Position)>,
    /// Columns that are taken from the server at a place where statements leave them wrong.
    pub repairs: Vec<Repair>,
    /// Whether a table that comes to a captured name by a rename is to be read with the rows that it has; the stream ends at such
    /// a statement with [`MysqlError::NewTable`].
    pub new_are_read: bool,
    /// Which tables are captured, also those that do not exist yet.
    pub captures: Arc<dyn Fn(&TableId) -> bool + Send + Sync>,
    /// Names under which a captured table stays captured when it is renamed to one of them.
    pub matches: Arc<dyn Fn(&TableId) -> bool + Send + Sync>,
    /// What declared types mean in statements.
    pub types: TypeOptions,
    /// Character sets of the databases that are there, by name: new tables that name none have it. Statements of the stream about a
    /// database count from there on; of one that is neither here nor there, the server's own is taken.
    pub database_charsets: Vec<(String, String)>,
}

impl std::fmt::Debug for StreamOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamOptions")
            .field("connect", &self.connect)
            .field("server", &self.server)
            .field("server_id", &self.server_id)
            .field("from", &self.from)
            .field("tables", &self.schemas.len())
            .finish_non_exhaustive()
    }
}

/// The beginning of a stream's first transaction, which is left out: where another reader stopped in its middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Skip {
    /// So many events, counted as the server sends them from the one that begins the transaction.
    pub events: u64,
    /// So many rows of the first row event behind those.
    pub rows: u64,
}

/// What a stream delivers.
#[derive(Debug, Clone)]
pub enum StreamItem {
    /// Rows of a captured table.
    Rows(RowsEvent),
    /// A captured table changed.
    Schema(SchemaEvent),
    /// A transaction is over, also one without anything of ours.
    End {
        /// The transaction.
        transaction: Arc<TransactionId>,
        /// Offset behind it in its file, in bytes; counted beyond the 32 bits that events carry.
        end: u64,
        /// As that of a [`RowsEvent`].
        commit_micros: i64,
    },
    /// There is nothing to read at the moment.
    Idle,
}

/// Undecoded rows of one table: cheap to clone and to send to whoever decodes them.
#[derive(Debug, Clone)]
pub struct RowsEvent {
    /// The table at this place.
    pub schema: Arc<TableSchema>,
    /// The transaction that changed the rows.
    pub transaction: Arc<TransactionId>,
    /// When the server committed it, in microseconds since 1970-01-01T00:00:00Z; whole seconds where it does not say more.
    pub commit_micros: i64,
    /// Rises with each event of this stream, schema events included; starts at 1.
    pub ordinal: u64,
    pub(crate) layout: Arc<RowLayout>,
    pub(crate) kind: RowsKind,
    pub(crate) is_compressed: bool,
    /// Which columns the images hold; none: all of them.
    pub(crate) present: Option<Arc<Present>>,
    pub(crate) body: Bytes,
}

impl RowsEvent {
    /// Bytes that the event holds on to.
    pub fn byte_len(&self) -> usize {
        self.body.len()
    }
}

/// A captured table changed.
#[derive(Debug, Clone)]
pub struct SchemaEvent {
    /// The table, by the name it had before.
    pub table: TableId,
    /// In the statement's order.
    pub changes: Vec<SchemaChange>,
    /// The table afterwards; none when it is gone.
    pub schema: Option<Arc<TableSchema>>,
    /// The table is not captured: its columns have to be kept all the same, since it may be renamed to a captured name.
    pub is_foreign: bool,
    /// The statement's transaction.
    pub transaction: Arc<TransactionId>,
    /// The statement.
    pub ddl: Arc<str>,
}

/// Stops a stream from another thread.
#[derive(Debug, Clone)]
pub struct StreamStopper(Stop);

impl StreamStopper {
    /// Makes `next`, `open` and `reopen` return [`MysqlError::Stopped`] within moments, now and from here on.
    pub fn stop(&self) {
        self.0.stop();
    }
}

/// A running stream. Blocks; belongs on a thread of its own.
#[derive(Debug)]
pub struct BinlogStream {
    connect: ConnectOptions,
    server: ServerInfo,
    server_id: u32,
    heartbeat: Duration,
    stop: Stop,
    /// None while the stream goes back for something.
    dump: Option<Dump>,
    /// What it went back for, and where in the file that begins.
    back: Option<(Walk, u64)>,
    follower: Follower,
}

impl BinlogStream {
    /// Connects and asks for the binlog behind `from`. Whether the server has it shows with the first `next`.
    ///
    /// # Errors
    /// [`MysqlError::Unreachable`], [`MysqlError::Refused`].
    pub fn open(options: StreamOptions) -> Result<Self, MysqlError> {
        let stop = Stop::default();
        let StreamOptions { connect, server, server_id, heartbeat, .. } = options.clone();
        let mut follower = Follower::new(options);
        let dump = dial(&connect, &server, server_id, heartbeat, &stop, &mut follower)?;
        Ok(Self { connect, server, server_id, heartbeat, stop, dump: Some(dump), back: None, follower })
    }

    /// The next item; waits for it. A silent server still makes an [`StreamItem::Idle`] with each heartbeat.
    ///
    /// # Errors
    /// After [`MysqlError::Unreachable`] and [`MysqlError::Silent`] the stream goes on behind [`BinlogStream::reopen`]. Any
    /// other error ends it.
    // Not an iterator: the stream goes on after some errors, and has no end.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<StreamItem, MysqlError> {
        loop {
            if self.stop.is_stopped() {
                return Err(MysqlError::Stopped);
            }
            if let Some(item) = self.next_arrived()? {
                return Ok(item);
            }
            if let Step::Item(item) = self.step()? {
                return Ok(item);
            }
        }
    }

    /// The next item where all that it takes has arrived; none where it would have to be waited for.
    ///
    /// # Errors
    /// As [`BinlogStream::next`].
    pub fn next_arrived(&mut self) -> Result<Option<StreamItem>, MysqlError> {
        loop {
            if let Some(item) = self.follower.take_pending() {
                return Ok(Some(item));
            }
            let step = if self.follower.is_in_payload() {
                self.follower.step_payload()?
            } else if self.has_arrived() {
                self.step()?
            } else {
                return Ok(None);
            };
            if let Step::Item(item) = step {
                return Ok(Some(item));
            }
        }
    }

    /// Whether the next event is here. What the stream has to go back for is not.
    fn has_arrived(&self) -> bool {
        let goes_on = !self.follower.reads_back() && self.follower.wanted().is_none();
        goes_on && self.dump.as_ref().is_some_and(Dump::has_event)
    }

    /// Takes the next event, wherever the stream has to look for it.
    fn step(&mut self) -> Result<Step, MysqlError> {
        if self.follower.reads_back() && self.back.is_some() {
            return self.step_back();
        }
        self.back = None;
        if let Some(wanted) = self.follower.wanted().cloned() {
            self.go_back(wanted)?;
            return Ok(Step::Nothing);
        }
        let Some(dump) = &mut self.dump else {
            self.reopen()?;
            return Ok(Step::Nothing);
        };
        let event = dump.next()?;
        let large = event.len() > LARGE_EVENT;
        let step = self.follower.step(event)?;
        if large {
            dump.shrink();
        }
        Ok(step)
    }

    /// Connects again after a connection was lost, and goes on exactly where `next` stopped: a transaction that was cut is
    /// sent again by the server, and passed over as far as it was delivered.
    ///
    /// # Errors
    /// As [`BinlogStream::open`]; may be called again after those.
    pub fn reopen(&mut self) -> Result<(), MysqlError> {
        let Self { connect, server, server_id, heartbeat, stop, follower, .. } = self;
        let dump = dial(connect, server, *server_id, *heartbeat, stop, follower)?;
        (self.dump, self.back) = (Some(dump), None);
        Ok(())
    }

    /// What a start by offset found to be its place, with the GTIDs before it; none before it is reached, and after a start by
    /// GTID.
    fn sought(&self) -> Option<&Position> {
        self.follower.sought()
    }

    /// Stops this stream from another thread.
    pub fn stopper(&self) -> StreamStopper {
        StreamStopper(self.stop.clone())
    }

    /// Behind the last [`StreamItem::End`] that `next` delivered. Where a file ended since and nothing of a transaction came,
    /// the next file's start, so that the old one may be deleted.
    pub fn position(&self) -> &Position {
        self.follower.position()
    }
}

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use follower::what_is_there;

/// Everything that a stream would deliver of these events, up to the first that it cannot follow.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn replay<'e>(
    options: StreamOptions,
    events: impl Iterator<Item = &'e [u8]>,
) -> (Vec<StreamItem>, Option<MysqlError>) {
    let mut follower = Follower::new(options);
    follower.connected_plain();
    let mut items = Vec::new();
    for event in events {
        let mut step = follower.step(event);
        loop {
            match step {
                Ok(Step::Item(item)) => items.push(item),
                Ok(Step::Nothing) => {}
                Err(error) => return (items, Some(error)),
            }
            step = match follower.take_pending() {
                Some(item) => Ok(Step::Item(item)),
                None if follower.is_in_payload() => follower.step_payload(),
                None => break,
            };
        }
    }
    (items, None)
}

/// Events above this are rare, and their room is given back at once.
const LARGE_EVENT: usize = 8 << 20;

fn dial(
    connect: &ConnectOptions,
    server: &ServerInfo,
    server_id: u32,
    heartbeat: Duration,
    stop: &Stop,
    follower: &mut Follower,
) -> Result<Dump, MysqlError> {
    if stop.is_stopped() {
        return Err(MysqlError::Stopped);
    }
    let position = follower.reached();
    let connection = Connection::open(connect, stop)?;
    tracing::debug!(thread_id = connection.thread_id(), %position, "binlog connection opened");
    let start = start_of(&position, server);
    follower.connected(start.seek.then_some(position.offset));
    connection.dump(server, server_id, heartbeat, start.dump, &position)
}

/// How to ask for a position.
struct Start<'a> {
    dump: DumpStart<'a>,
    /// What comes before the position's offset is sent too, and is to be passed over.
    seek: bool,
}

fn start_of<'a>(position: &'a Position, server: &ServerInfo) -> Start<'a> {
    let by_gtid = |dump| Start { dump, seek: false };
    let from_first = || {
        let dump = DumpStart::File { name: &position.file, offset: FIRST_OFFSET };
        Start { dump, seek: true }
    };
    match &position.gtids {
        Gtids::MySql(set) if server.has_gtids || position.file.is_empty() => {
            by_gtid(DumpStart::MySqlGtids(set))
        }
        Gtids::MariaDb(list) => by_gtid(DumpStart::MariaDbGtids(list)),
        Gtids::None if server.has_gtids => from_first(),
        Gtids::MySql(_) | Gtids::None => match u32::try_from(position.offset.max(FIRST_OFFSET.into())) {
            Ok(offset) => Start { dump: DumpStart::File { name: &position.file, offset }, seek: false },
            Err(_) => from_first(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Flavour;

    #[test]
    fn an_offset_is_named_only_where_nothing_better_is_known() {
        let set: sluicebox_model::GtidSet =
            "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5".parse().expect("a set");
        let set = Gtids::MySql(set);
        for (name, gtids, has_gtids, offset, by_file, seek) in [
            ("gtids", set.clone(), true, 900, None, false),
            ("gtids of a server that has none now", set, false, 900, Some(900), false),
            ("an offset on a server with gtids", Gtids::None, true, 900, Some(4), true),
            ("an offset on a server without", Gtids::None, false, 900, Some(900), false),
            ("an offset that cannot be named", Gtids::None, false, 1 << 33, Some(4), true),
            ("a start", Gtids::None, false, 0, Some(4), false),
        ] {
            let position = Position { file: "b.000001".to_owned(), offset, gtids };
            let server = ServerInfo {
                flavour: Flavour::MySql,
                version: (9, 0, 0),
                version_text: String::new(),
                uuid: None,
                server_id: 1,
                lower_case_table_names: 0,
                has_gtids,
            };
            let start = start_of(&position, &server);
            let file = match start.dump {
                DumpStart::File { offset, .. } => Some(offset),
                DumpStart::MySqlGtids(_) | DumpStart::MariaDbGtids(_) => None,
            };
            assert_eq!((file, start.seek), (by_file, seek), "{name}");
        }
    }
}
