//! XA transactions of two phases: what was prepared counts with its `XA COMMIT`, at that place, and never with an `XA ROLLBACK`.
//!
//! The rows stand in the binlog where they were *prepared*; the commit, which may come days later, only names them. What a group
//! changes is therefore held back until its end says what becomes of it:
//!
//! 1. `XA PREPARE` with the mark of one phase is the commit: the rows follow at once.
//! 2. Without it the group is *remembered*: by its name, with its place in the binlog and, while there is room, with its rows.
//! 3. `XA COMMIT` delivers the rows as part of its own transaction: those held, or else those of the place, where the stream goes back
//!    to read them ([`super::super::back`]). `XA ROLLBACK` forgets them.
//!
//! The stream's position goes on behind a group that is only prepared, and nothing of it is kept beyond the process: the binlog has
//! it. A commit whose name is not remembered (the process is another one since, or another server answers) has its group *searched*
//! for backwards through the files. So a crash between the two loses nothing, and as a commit's rows belong to the commit's
//! transaction, recovery delivers them as often as it delivers that. Where no file has the group any more, what was
//! changed cannot be known, and the stream ends with an error.
//!
//! A prepared transaction keeps its locks, so its tables are at its commit what they were when it was prepared; where a schema is
//! another one all the same, rows that are held are not used but read again, and then checked like any others.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::RowsEvent;
use super::super::StreamItem;
use super::{At, Follower, Step};
use crate::MysqlError;
use crate::event::{Cursor, Event, kind};

/// Rows of all groups that are held together. Applications with two phases have about one small transaction per connection
/// between them; what does not fit is read again from the binlog.
const HELD_BYTES_MAX: usize = 4 << 20;
/// What a row event takes beside its rows.
const EVENT_BYTES: usize = 256;
/// Groups that are remembered: far more than a server has at once. Those that are forgotten are found in the binlog.
const REMEMBERED_MAX: usize = 10_000;

/// The name of an XA transaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in super::super) struct XaName {
    format: u32,
    global: Vec<u8>,
    branch: Vec<u8>,
}

impl XaName {
    /// Of an XA_PREPARE event: whether the transaction is committed by it, and its name.
    pub(in super::super) fn of_prepare(body: &[u8]) -> Option<(bool, Self)> {
        let mut cursor = Cursor::new(body);
        let one_phase = cursor.u8()? == 1;
        let format = cursor.u32()?;
        let mut length = || cursor.u32().and_then(|n| usize::try_from(n).ok());
        let (global, branch) = (length()?, length()?);
        let (global, branch) = (cursor.take(global)?.to_vec(), cursor.take(branch)?.to_vec());
        Some((one_phase, Self { format, global, branch }))
    }

    /// Of a statement `XA COMMIT X'61',X'',1`, which is how servers write it.
    pub(in super::super) fn of_statement(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let name = text.trim_end().rsplit(' ').next()?;
        let mut parts = name.split(',');
        let mut bytes = || unhex(parts.next()?.strip_prefix("X'")?.strip_suffix('\'')?);
        let (global, branch) = (bytes()?, bytes()?);
        let format = parts.next()?.parse().ok()?;
        parts.next().is_none().then_some(Self { format, global, branch })
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    text.as_bytes().chunks(2).map(pair).collect()
}

impl std::fmt::Display for XaName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hex = |f: &mut std::fmt::Formatter<'_>, bytes: &[u8]| {
            f.write_str("X'")?;
            bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
            f.write_str("',")
        };
        hex(f, &self.global)?;
        hex(f, &self.branch)?;
        write!(f, "{}", self.format)
    }
}

/// Where a group begins in the binlog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct GroupPlace {
    pub(in super::super) file: Arc<str>,
    pub(in super::super) offset: u64,
}

/// What is known of a group that was prepared.
#[derive(Debug)]
enum Group {
    /// It changed nothing of ours.
    Foreign,
    /// Its rows, and where they can be read again.
    Held { rows: Vec<RowsEvent>, place: GroupPlace },
    /// Where its rows can be read.
    At(GroupPlace),
}

/// What to read before the stream goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Wanted {
    /// The group that begins here.
    Group(GroupPlace),
    /// The place of the group of this name, which was prepared before this place.
    Search(XaName, GroupPlace),
}

/// XA transactions of the moment.
#[derive(Debug, Default)]
pub(super) struct Xa {
    /// The group that is open now is one.
    pub(super) is_open: bool,
    /// Its rows; none once they are too many.
    rows: Option<Vec<RowsEvent>>,
    touched: bool,
    remembered: HashMap<XaName, Group>,
    held_bytes: usize,
    /// What the transaction of the moment needs of the binlog.
    wanted: Option<Wanted>,
    /// The name that it commits.
    committing: Option<XaName>,
}

fn size(rows: &[RowsEvent]) -> usize {
    rows.iter().map(|event| event.byte_len() + EVENT_BYTES).sum()
}

impl Xa {
    /// Whether rows of ours came in the group that is open.
    pub(super) fn has_rows(&self) -> bool {
        self.is_open && self.touched
    }

    /// A group begins.
    pub(super) fn open(&mut self) {
        self.close();
        self.is_open = true;
        self.rows = Some(Vec::new());
    }

    /// The group of the moment is over, or the connection.
    pub(super) fn close(&mut self) {
        if let Some(rows) = self.rows.take() {
            self.held_bytes = self.held_bytes.saturating_sub(size(&rows));
        }
        (self.is_open, self.touched) = (false, false);
        (self.wanted, self.committing) = (None, None);
    }

    /// Keeps rows of the group that is open.
    fn hold(&mut self, event: RowsEvent) {
        self.touched = true;
        let bytes = event.byte_len() + EVENT_BYTES;
        let Some(rows) = &mut self.rows else { return };
        if self.held_bytes + bytes > HELD_BYTES_MAX {
            let freed = size(rows);
            self.rows = None;
            self.held_bytes -= freed;
            return;
        }
        rows.push(event);
        self.held_bytes += bytes;
    }

    fn remember(&mut self, name: XaName, group: Group) {
        self.forget(&name);
        if self.remembered.len() >= REMEMBERED_MAX {
            self.remembered.clear();
            self.held_bytes = 0;
        }
        if let Group::Held { rows, .. } = &group {
            self.held_bytes += size(rows);
        }
        self.remembered.insert(name, group);
    }

    fn forget(&mut self, name: &XaName) -> Option<Group> {
        let group = self.remembered.remove(name)?;
        if let Group::Held { rows, .. } = &group {
            self.held_bytes = self.held_bytes.saturating_sub(size(rows));
        }
        Some(group)
    }

    /// Another server has its own files.
    pub(super) fn forget_places(&mut self) {
        self.remembered.clear();
        self.held_bytes = 0;
    }

    /// What has to be read before the stream goes on.
    pub(super) fn wanted(&self) -> Option<&Wanted> {
        self.wanted.as_ref()
    }
}

impl Follower {
    /// Takes rows of an open XA group out of the stream.
    pub(super) fn hold(&mut self, event: RowsEvent) -> Step {
        self.xa.hold(event);
        Step::Nothing
    }

    pub(super) fn xa_prepare(&mut self, body: &[u8], at: &At) -> Result<Step, MysqlError> {
        let Some((one_phase, name)) = XaName::of_prepare(body) else {
            return Err(self.malformed(at, "an XA_PREPARE event ends too early"));
        };
        let Some(open) = &self.open else {
            return Err(self.malformed(at, "an XA transaction is prepared that did not begin"));
        };
        let place = GroupPlace { file: Arc::clone(&open.id.file), offset: open.id.offset };
        let passed_over = open.passed_over;
        let (touched, rows) = (self.xa.touched, self.xa.rows.take());
        let held = rows.as_deref().map_or(0, size);
        self.xa.held_bytes = self.xa.held_bytes.saturating_sub(held);
        self.xa.close();
        let group = match rows {
            // What is passed over is not looked at.
            _ if passed_over => Group::At(place),
            _ if !touched => Group::Foreign,
            Some(rows) => Group::Held { rows, place },
            None => Group::At(place),
        };
        if one_phase && !passed_over {
            return self.deliver(group, at);
        }
        if !one_phase {
            self.xa.remember(name, group);
        }
        self.end(at)
    }

    /// The second phase.
    pub(super) fn xa_finish(&mut self, text: &[u8], commits: bool, at: &At) -> Result<Step, MysqlError> {
        let passed_over = self.open.as_ref().is_some_and(|open| open.passed_over);
        let Some(name) = XaName::of_statement(text) else {
            return Err(self.malformed(at, "the name of an XA transaction cannot be read"));
        };
        if !commits || passed_over {
            self.xa.forget(&name);
            return self.end(at);
        }
        match self.xa.forget(&name) {
            Some(group) => {
                // Until it has been read it must be found again after a broken connection.
                if let Group::Held { place, .. } | Group::At(place) = &group {
                    self.xa.remember(name.clone(), Group::At(place.clone()));
                }
                self.xa.committing = Some(name);
                self.deliver(group, at)
            }
            None => {
                let before = GroupPlace { file: Arc::clone(&self.file), offset: at.start };
                self.xa.committing = Some(name.clone());
                self.xa.wanted = Some(Wanted::Search(name, before));
                Ok(Step::Nothing)
            }
        }
    }

    /// Delivers a group as part of the transaction of the moment, and ends that; or asks for the group to be read.
    fn deliver(&mut self, group: Group, at: &At) -> Result<Step, MysqlError> {
        match group {
            Group::Foreign => {}
            Group::At(place) => {
                self.xa.wanted = Some(Wanted::Group(place));
                return Ok(Step::Nothing);
            }
            Group::Held { rows, place } => {
                let is_true = |event: &RowsEvent| {
                    self.schemas.get(&event.schema.id).is_some_and(|now| Arc::ptr_eq(now, &event.schema))
                };
                if !rows.iter().all(is_true) {
                    self.xa.wanted = Some(Wanted::Group(place));
                    return Ok(Step::Nothing);
                }
                rows.into_iter().for_each(|event| self.deliver_one(event));
            }
        }
        self.end_delivery(at)
    }

    fn deliver_one(&mut self, event: RowsEvent) {
        if self.count() {
            return;
        }
        let Some(open) = &mut self.open else { return };
        open.touched = true;
        self.ordinal += 1;
        self.pending.push_back(StreamItem::Rows(RowsEvent {
            transaction: Arc::clone(&open.id),
            commit_micros: open.commit_micros,
            ordinal: self.ordinal,
            ..event
        }));
    }

    /// What has to be read before the stream goes on.
    pub(in super::super) fn wanted(&self) -> Option<&Wanted> {
        self.xa.wanted()
    }

    /// From here on comes the group that the transaction of the moment commits.
    pub(in super::super) fn begin_back(&mut self, place: GroupPlace) {
        self.reads_back = true;
        // A connection that breaks goes back here without a search.
        if let Some(name) = self.xa.committing.clone() {
            self.xa.remember(name, Group::At(place));
        }
    }

    pub(in super::super) fn reads_back(&self) -> bool {
        self.reads_back
    }

    /// Takes an event of the group.
    pub(in super::super) fn step_back(&mut self, event: &Event<'_>) -> Result<Step, MysqlError> {
        let at = At {
            start: self.offset,
            seconds: event.header.timestamp,
            event_type: event.header.event_type,
            flags: event.header.event_flags,
        };
        self.dispatch_back(event, &at)
    }

    pub(super) fn dispatch_back(&mut self, event: &Event<'_>, at: &At) -> Result<Step, MysqlError> {
        match at.event_type {
            kind::TABLE_MAP => self.table_map(event.body, at),
            kind::WRITE_ROWS_V1..=kind::DELETE_ROWS_V1
            | kind::WRITE_ROWS..=kind::DELETE_ROWS
            | kind::PARTIAL_UPDATE_ROWS
            | kind::WRITE_ROWS_COMPRESSED_V1..=kind::DELETE_ROWS_COMPRESSED => self.rows(event.body, at),
            kind::TRANSACTION_PAYLOAD => self.start_payload(event.body, at),
            kind::XA_PREPARE => {
                let name = XaName::of_prepare(event.body).map(|(_, name)| name);
                if self.xa.committing.is_some() && self.xa.committing != name {
                    return Err(
                        self.malformed(at, "another XA transaction stands where this one was prepared")
                    );
                }
                self.reads_back = false;
                self.end_delivery(at)
            }
            _ => Ok(Step::Nothing),
        }
    }

    /// All rows of the transaction of the moment are delivered.
    pub(super) fn end_delivery(&mut self, at: &At) -> Result<Step, MysqlError> {
        if let Some(name) = self.xa.committing.take() {
            self.xa.forget(&name);
        }
        self.xa.close();
        self.end(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_and_a_statement_say_the_same_name() {
        let body = [0, 7, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, b'a', b'b', b'c'];
        let (one_phase, name) = XaName::of_prepare(&body).expect("a name");
        assert!(!one_phase);
        for statement in ["XA COMMIT X'61',X'6263',7", "XA ROLLBACK X'61',X'6263',7"] {
            assert_eq!(XaName::of_statement(statement.as_bytes()), Some(name.clone()), "{statement}");
        }
        assert_eq!(name.to_string(), "X'61',X'6263',7");
        assert_eq!(XaName::of_statement(b"XA COMMIT X'6',X'',1"), None);
        assert_eq!(XaName::of_statement(b"XA COMMIT 'a'"), None);
        for length in 0..body.len() {
            assert!(XaName::of_prepare(&body[..length]).is_none(), "{length}");
        }
    }
}
