//! What becomes of each event: the stream's state between a socket and its reader.
//!
//! Transactions are delimited as the servers do it. MySQL: a GTID event (or none at all on old servers), then `BEGIN` or
//! `XA START`, ended by XID, `COMMIT` or XA_PREPARE; or a GTID event and one statement. MariaDB: a GTID event that says whether
//! one event follows or a transaction, which has no `BEGIN`. A statement inside a transaction is never its end.
//!
//! The state outlives connections. A transaction that was cut is remembered with the number of its events already used;
//! when the server sends it again, as many are passed over.

mod files;
mod lacking;
mod rows;
mod word;
mod xa;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use mysql_cdc::events::heartbeat_event::HeartbeatEvent;
use mysql_cdc::events::xid_event::XidEvent;
use sluicebox_model::{Gtid, Gtids, Position, TransactionId};

use super::maps::Maps;
use super::offset;
use super::schemas::{Cause, REPAIRED, Schemas, Statement, TableChange, Unfollowed, decode_text};
use super::{Gap, SchemaEvent, Skip, StreamItem, StreamOptions};
use crate::event::{self, AlterPhase, Event, Fault, Payload, kind};
use crate::row::charset_of_collation;
use crate::{Flavour, MysqlError};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use lacking::check as what_is_there;
use word::TransactionWord;
use xa::Xa;
pub(super) use xa::{GroupPlace, Wanted, XaName};

/// A statement in an error is cut to so many characters.
const STATEMENT_SHOWN: usize = 200;

/// What an event led to.
#[derive(Debug)]
pub(super) enum Step {
    /// Nothing for the reader.
    Nothing,
    /// This.
    Item(StreamItem),
}

/// A transaction whose end was not seen yet.
#[derive(Debug)]
struct Open {
    id: Arc<TransactionId>,
    commit_micros: i64,
    /// More than one event: it ends with XID, COMMIT or XA_PREPARE.
    is_group: bool,
    /// Lies before the place to start from.
    passed_over: bool,
    /// Row events and statements seen in it.
    events: u64,
    /// Events of any kind seen in it.
    all_events: u64,
    /// So many of them were delivered over a connection that broke.
    used: u64,
    /// Rows of captured tables were delivered.
    touched: bool,
    alter: AlterPhase,
}

/// A transaction that a lost connection cut.
#[derive(Debug)]
struct Cut {
    id: Arc<TransactionId>,
    events: u64,
    /// Who sent it: another server may cut it into events in another way.
    server_id: u32,
}

/// A start by offset in a file that is read from its beginning.
#[derive(Debug)]
struct Seek {
    target: u64,
    /// What was passed over so far; its GTIDs are none until the file has said what came before it.
    reached: Position,
}

/// The stream's state.
#[derive(Debug)]
pub(super) struct Follower {
    flavour: Flavour,
    has_gtids: bool,
    position: Position,
    schemas: Schemas,
    maps: Maps,
    file: Arc<str>,
    /// Where the next event begins.
    offset: u64,
    checksum: bool,
    /// Who sends the stream.
    server_id: u32,
    open: Option<Open>,
    cut: Option<Cut>,
    seek: Option<Seek>,
    /// Where a seek ended.
    sought: Option<Position>,
    /// What is left out of the first transaction; none once that has ended.
    skip: Option<Skip>,
    payload: Option<Payload>,
    xa: Xa,
    /// What comes is read again, for the commit of an XA transaction that is open.
    reads_back: bool,
    pending: VecDeque<StreamItem>,
    ordinal: u64,
    block: BytesMut,
    no_tag: Arc<str>,
}

/// An event's place and what it is part of.
#[derive(Debug, Clone, Copy)]
struct At {
    /// Offset where it begins; of an event inside a compressed one, where that ends.
    start: u64,
    /// When its statement ran, in seconds since 1970.
    seconds: u32,
    event_type: u8,
    flags: u16,
}

impl Follower {
    pub(super) fn new(options: StreamOptions) -> Self {
        let schemas = Schemas::new(&options);
        Self {
            flavour: options.server.flavour,
            has_gtids: options.server.has_gtids,
            file: options.from.file.as_str().into(),
            offset: options.from.offset,
            skip: Some(options.skip).filter(|skip| *skip != Skip::default()),
            position: options.from,
            schemas,
            maps: Maps::default(),
            checksum: true,
            server_id: 0,
            open: None,
            cut: None,
            seek: None,
            sought: None,
            payload: None,
            xa: Xa::default(),
            reads_back: false,
            pending: VecDeque::new(),
            ordinal: 0,
            block: BytesMut::new(),
            no_tag: "".into(),
        }
    }

    /// Behind the last end that was delivered.
    pub(super) fn position(&self) -> &Position {
        &self.position
    }

    /// Where a start by offset began, once it has.
    pub(super) fn sought(&self) -> Option<&Position> {
        self.sought.as_ref()
    }

    /// Behind the last end that was read, delivered or not: where a new connection has to start.
    pub(super) fn reached(&self) -> Position {
        let mut position = self.position.clone();
        for item in &self.pending {
            if let StreamItem::End { transaction, end, .. } = item {
                position.advance(transaction, *end);
            }
        }
        position
    }

    /// A new connection is about to send from `reached`; `seek`: from that file's beginning, to be passed over up to here.
    pub(super) fn connected(&mut self, seek: Option<u64>) {
        if let Some(open) = self.open.take()
            && !open.passed_over
        {
            // Cut a second time before it had caught up: what was used stays used.
            let events = open.events.max(open.used);
            if events > 0 {
                self.cut = Some(Cut { id: open.id, events, server_id: self.server_id });
            }
        }
        self.payload = None;
        self.xa.close();
        self.reads_back = false;
        self.maps.clear();
        // The first event's checksum was asked for; from then on files say it themselves.
        self.checksum = true;
        self.seek = seek.map(|target| Seek { target, reached: Position::default() });
    }

    /// A connection whose events carry no checksums from the first on.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn connected_plain(&mut self) {
        self.connected(None);
        self.checksum = false;
    }

    /// An item that was made together with one before it.
    pub(super) fn take_pending(&mut self) -> Option<StreamItem> {
        let item = self.pending.pop_front()?;
        if let StreamItem::End { transaction, end, .. } = &item {
            self.position.advance(transaction, *end);
        }
        Some(item)
    }

    /// Whether events wait that came with an event before.
    pub(super) fn is_in_payload(&self) -> bool {
        self.payload.is_some()
    }

    fn place(&self, start: u64) -> String {
        format!("{}:{start}", self.file)
    }

    fn malformed(&self, at: &At, reason: impl Into<String>) -> MysqlError {
        MysqlError::Malformed { place: self.place(at.start), reason: reason.into() }
    }

    /// Takes the next event of the connection.
    pub(super) fn step(&mut self, bytes: &[u8]) -> Result<Step, MysqlError> {
        let broken = |fault: Fault| MysqlError::Malformed {
            place: self.place(self.offset),
            reason: fault.to_string(),
        };
        let event = event::frame(bytes, self.checksum).map_err(broken)?;
        let at = self.locate(&event);
        self.dispatch(&event, at)
    }

    /// Takes the next event of the compressed transaction.
    pub(super) fn step_payload(&mut self) -> Result<Step, MysqlError> {
        let Some(mut payload) = self.payload.take() else { return Ok(Step::Nothing) };
        let place = self.place(self.offset);
        let broken = |fault: Fault| MysqlError::Malformed { place: place.clone(), reason: fault.to_string() };
        let Some(bytes) = payload.next().map_err(broken)? else { return Ok(Step::Nothing) };
        let event = event::frame(bytes, false).map_err(broken)?;
        let header = &event.header;
        let at = At {
            start: self.offset,
            seconds: header.timestamp,
            event_type: header.event_type,
            flags: header.event_flags,
        };
        if let Some(open) = &mut self.open {
            open.all_events += 1;
        }
        let step = self.dispatch(&event, at)?;
        self.payload = Some(payload);
        Ok(step)
    }

    /// Counts the event's place.
    fn locate(&mut self, event: &Event<'_>) -> At {
        let header = &event.header;
        let length = u64::from(header.event_length);
        let unsaid = header.next_event_position == 0;
        let is_head = matches!(
            header.event_type,
            kind::FORMAT_DESCRIPTION
                | kind::MARIADB_GTID_LIST
                | kind::START_ENCRYPTION
                | kind::PREVIOUS_GTIDS
        );
        // Made for this reader, or sent again: not at this place in the file.
        let is_beside = event.has_flag(kind::FLAG_ARTIFICIAL)
            || matches!(header.event_type, kind::HEARTBEAT | kind::HEARTBEAT_V2)
            || (unsaid && is_head);
        if let Some(open) = self.open.as_mut().filter(|_| !is_beside) {
            open.all_events += 1;
        }
        let mut start = self.offset;
        if !is_beside {
            self.offset = offset::behind(self.offset, length, header.next_event_position);
            start = self.offset.saturating_sub(length);
        }
        At { start, seconds: header.timestamp, event_type: header.event_type, flags: header.event_flags }
    }

    fn dispatch(&mut self, event: &Event<'_>, at: At) -> Result<Step, MysqlError> {
        if self.reads_back {
            return self.dispatch_back(event, &at);
        }
        match at.event_type {
            kind::TABLE_MAP => self.table_map(event.body, &at),
            kind::WRITE_ROWS_V1..=kind::DELETE_ROWS_V1
            | kind::WRITE_ROWS..=kind::DELETE_ROWS
            | kind::PARTIAL_UPDATE_ROWS
            | kind::WRITE_ROWS_COMPRESSED_V1..=kind::DELETE_ROWS_COMPRESSED => self.rows(event.body, &at),
            kind::XID => {
                XidEvent::parse(&mut io::Cursor::new(event.body))
                    .map_err(|_| self.malformed(&at, "an XID event ends too early"))?;
                self.end(&at)
            }
            kind::QUERY | kind::QUERY_COMPRESSED | kind::EXECUTE_LOAD_QUERY => self.query(event.body, &at),
            kind::GTID | kind::ANONYMOUS_GTID | kind::GTID_TAGGED | kind::MARIADB_GTID => {
                self.begin(event, &at)
            }
            kind::HEARTBEAT => {
                HeartbeatEvent::parse(&mut io::Cursor::new(event.body))
                    .map_err(|_| self.malformed(&at, "a heartbeat is none"))?;
                self.idle(event, &at)
            }
            kind::HEARTBEAT_V2 => self.idle(event, &at),
            kind::TRANSACTION_PAYLOAD => self.start_payload(event.body, &at),
            kind::XA_PREPARE => self.xa_prepare(event.body, &at),
            kind::ROTATE | kind::FORMAT_DESCRIPTION | kind::PREVIOUS_GTIDS | kind::MARIADB_GTID_LIST => {
                self.file_event(event, &at)
            }
            kind::INCIDENT => {
                let reason = "the server lost events here (an incident event): only a new snapshot helps";
                Err(self.malformed(&at, reason))
            }
            // Of statement format, which is looked at where the statement itself comes; about the server itself; texts.
            kind::INTVAR
            | kind::RAND
            | kind::USER_VAR
            | kind::APPEND_BLOCK
            | kind::DELETE_FILE
            | kind::BEGIN_LOAD_QUERY
            | kind::STOP
            | kind::IGNORABLE
            | kind::ROWS_QUERY
            | kind::ANNOTATE_ROWS
            | kind::TRANSACTION_CONTEXT
            | kind::VIEW_CHANGE
            | kind::BINLOG_CHECKPOINT
            | kind::START_ENCRYPTION => Ok(Step::Nothing),
            _ if event.has_flag(kind::FLAG_IGNORABLE) => Ok(Step::Nothing),
            unknown => Err(self
                .malformed(&at, format!("an event of type {unknown} is not known and must not be skipped"))),
        }
    }

    fn begin(&mut self, event: &Event<'_>, at: &At) -> Result<Step, MysqlError> {
        let broken =
            |fault: Fault| MysqlError::Malformed { place: self.place(at.start), reason: fault.to_string() };
        let (begin, maria) = match at.event_type {
            kind::GTID => (event::mysql_gtid(event.body, &self.no_tag).map_err(broken)?, None),
            kind::GTID_TAGGED => (event::mysql_tagged_gtid(event.body).map_err(broken)?, None),
            kind::ANONYMOUS_GTID => (event::mysql_anonymous(event.body), None),
            _ => {
                let maria = event::mariadb_gtid(&event.header, event.body).map_err(broken)?;
                (event::Begin { gtid: Some(maria.gtid.clone()), commit_micros: None }, Some(maria))
            }
        };
        self.open_transaction(begin.gtid, begin.commit_micros, at)?;
        if let (Some(open), Some(maria)) = (&mut self.open, maria) {
            open.is_group = !maria.standalone;
            open.alter = maria.alter;
            if maria.xa_prepare {
                self.xa.open();
            }
        }
        Ok(Step::Nothing)
    }

    fn open_transaction(
        &mut self,
        gtid: Option<Gtid>,
        commit_micros: Option<i64>,
        at: &At,
    ) -> Result<(), MysqlError> {
        if let Some(open) = &self.open {
            return Err(self.malformed(at, format!("a transaction begins before {} has ended", open.id)));
        }
        let passed_over = self.passes_over(at)?;
        self.maps.trim();
        self.xa.close();
        let id = Arc::new(TransactionId { gtid, file: Arc::clone(&self.file), offset: at.start });
        let used = if passed_over { 0 } else { self.used_before(&id, at)? };
        let repaired = if passed_over { Vec::new() } else { self.schemas.begin(&id) };
        self.report(repaired, &id, &REPAIRED.into());
        self.open = Some(Open {
            id,
            commit_micros: commit_micros.unwrap_or_else(|| i64::from(at.seconds) * 1_000_000),
            is_group: false,
            passed_over,
            events: 0,
            all_events: 1,
            used,
            touched: used > 0,
            alter: AlterPhase::Applies,
        });
        Ok(())
    }

    /// Whether a transaction that begins here lies before the place to start from.
    fn passes_over(&mut self, at: &At) -> Result<bool, MysqlError> {
        match self.seek.take() {
            None => Ok(false),
            Some(seek) if at.start < seek.target => {
                if self.has_gtids && seek.reached.gtids == Gtids::None {
                    return Err(self.malformed(at, "the file does not say which transactions came before it"));
                }
                self.seek = Some(seek);
                Ok(true)
            }
            Some(seek) => self.finish_seek(seek, at).map(|()| false),
        }
    }

    /// How much of a transaction that begins now was used before the connection broke.
    fn used_before(&mut self, id: &TransactionId, at: &At) -> Result<u64, MysqlError> {
        match self.cut.take() {
            None => Ok(0),
            Some(cut) if is_same(&cut.id, id) => Ok(cut.events),
            Some(cut) => {
                let reason = format!(
                    "transaction {} was cut by a lost connection, and {id} comes now instead of it: start again from the \
                     last checkpoint",
                    cut.id
                );
                Err(self.malformed(at, reason))
            }
        }
    }

    /// The transaction of the moment is over.
    fn end(&mut self, at: &At) -> Result<Step, MysqlError> {
        let Some(open) = self.open.take() else {
            return Err(self.malformed(at, "a transaction ends that did not begin"));
        };
        let end = self.offset;
        if open.passed_over {
            if let Some(seek) = &mut self.seek {
                if end > seek.target {
                    let reason = format!("offset {} lies inside transaction {}", seek.target, open.id);
                    return Err(self.malformed(at, reason));
                }
                seek.reached.advance(&open.id, end);
            }
            return Ok(Step::Nothing);
        }
        if open.events < open.used {
            let reason = format!("transaction {} was sent again with fewer events than before", open.id);
            return Err(self.malformed(at, reason));
        }
        if let Some(skip) = self.skip.take()
            && open.all_events <= skip.events
        {
            let reason = format!(
                "transaction {} has {} events, of which {} were to be left out (`skip-events`)",
                open.id, open.all_events, skip.events
            );
            return Err(self.malformed(at, reason));
        }
        let item = StreamItem::End { transaction: open.id, end, commit_micros: open.commit_micros };
        self.pending.push_back(item);
        Ok(self.take_pending().map_or(Step::Nothing, Step::Item))
    }

    fn start_payload(&mut self, body: &[u8], at: &At) -> Result<Step, MysqlError> {
        let payload = Payload::new(body).map_err(|fault| self.malformed(at, fault.to_string()))?;
        self.payload = Some(payload);
        Ok(Step::Nothing)
    }

    /// Counts an event of the transaction; true when it was used before, or is to be left out.
    fn count(&mut self) -> bool {
        let left_out = self.is_left_out();
        let Some(open) = &mut self.open else { return false };
        open.events += 1;
        left_out || open.events <= open.used
    }

    /// Whether the event of the moment lies before the place to start from.
    fn is_left_out(&self) -> bool {
        let Some(open) = &self.open else { return false };
        open.passed_over || self.skip.is_some_and(|skip| open.all_events <= skip.events)
    }

    /// Rows of the row event of the moment that are to be left out.
    fn rows_left_out(&mut self) -> u64 {
        self.skip.as_mut().map_or(0, |skip| std::mem::take(&mut skip.rows))
    }

    fn query(&mut self, body: &[u8], at: &At) -> Result<Step, MysqlError> {
        let query = event::query(at.event_type, at.flags, body)
            .map_err(|fault| self.malformed(at, fault.to_string()))?;
        if self.open.is_none() {
            // A server without GTID events.
            self.open_transaction(None, None, at)?;
        }
        let word = TransactionWord::of(&query.text);
        let is_group = self.open.as_ref().is_some_and(|open| open.is_group);
        match word {
            TransactionWord::Begin | TransactionWord::XaBegin => {
                if let Some(open) = &mut self.open {
                    open.is_group = true;
                }
                if word == TransactionWord::XaBegin {
                    self.xa.open();
                }
                Ok(Step::Nothing)
            }
            TransactionWord::XaCommit | TransactionWord::XaRollback if !is_group => {
                self.xa_finish(&query.text, word == TransactionWord::XaCommit, at)
            }
            TransactionWord::Commit => self.end(at),
            TransactionWord::Rollback => self.rollback(at),
            TransactionWord::Inside if is_group => Ok(Step::Nothing),
            TransactionWord::RollbackTo if is_group => self.rollback_to(at),
            // Before servers wrote what is prepared, a group ended so that held all there was.
            TransactionWord::XaCommit | TransactionWord::XaRollback => self.end(at),
            TransactionWord::Inside | TransactionWord::RollbackTo => self.end(at),
            TransactionWord::None => {
                self.statement(&query, at)?;
                if is_group {
                    Ok(self.take_pending().map_or(Step::Nothing, Step::Item))
                } else {
                    self.end(at)
                }
            }
        }
    }

    /// A group that mixes tables with and without transactions is written even when it is rolled back.
    fn rollback(&mut self, at: &At) -> Result<Step, MysqlError> {
        self.rollback_to(at)?;
        self.end(at)
    }

    fn rollback_to(&mut self, at: &At) -> Result<Step, MysqlError> {
        if self.xa.has_rows() || self.open.as_ref().is_some_and(|open| open.touched) {
            let reason = "a transaction of captured tables with and without transactions was rolled back: what stays of it \
                          is not known. Take a new snapshot";
            return Err(self.malformed(at, reason));
        }
        Ok(Step::Nothing)
    }

    fn statement(&mut self, query: &event::Query<'_>, at: &At) -> Result<(), MysqlError> {
        let used = self.count();
        let Some(open) = &self.open else { return Ok(()) };
        if used || open.alter == AlterPhase::Void {
            return Ok(());
        }
        let transaction = Arc::clone(&open.id);
        let text = decode_text(&query.text, query.client_collation);
        let statement = Statement {
            text: &text,
            database: &String::from_utf8_lossy(query.database),
            ansi_quotes: query.ansi_quotes(),
            no_backslash_escapes: query.no_backslash_escapes(),
            server_charset: query.server_collation.and_then(charset_of_collation),
        };
        let changed = self.schemas.follow(&statement).map_err(|Unfollowed { table, reason, cause }| {
            let (place, statement) = (self.place(at.start), text.chars().take(STATEMENT_SHOWN).collect());
            let gap = match cause {
                Cause::Statement => return MysqlError::UnknownStatement { table, place, reason, statement },
                Cause::New => None,
                Cause::Replaced => {
                    let behind = self.reached();
                    let mut follows = behind.clone();
                    follows.advance(&transaction, self.offset);
                    Some(Box::new(Gap { behind, follows }))
                }
            };
            MysqlError::NewTable { table, place, reason, statement, gap }
        })?;
        self.report(changed, &transaction, &text.as_str().into());
        Ok(())
    }

    fn report(&mut self, changed: Vec<TableChange>, transaction: &Arc<TransactionId>, ddl: &Arc<str>) {
        for change in changed {
            // The ordinal is one for each event; nobody sees that of a schema event, rows behind it have a higher one.
            self.ordinal += 1;
            self.pending.push_back(StreamItem::Schema(SchemaEvent {
                table: change.table,
                changes: change.changes,
                schema: change.schema,
                is_foreign: change.is_foreign,
                transaction: Arc::clone(transaction),
                ddl: Arc::clone(ddl),
            }));
        }
    }
}

fn is_same(a: &TransactionId, b: &TransactionId) -> bool {
    match (&a.gtid, &b.gtid) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

#[cfg(test)]
mod tests;
