//! Going back in the binlog for one group, and forward again.
//!
//! The rows of an XA transaction stand where it was prepared and count where it is committed (`follower/xa.rs` says when that has to be
//! read again). Order: the stream's connection is given up, since a server has one reader of an id; the group is read from its own
//! file, by file and offset, over a connection of its own; then the stream connects again behind the commit. A connection that breaks in between is
//! what it always is: the commit comes again, and as much of it is passed over as was delivered.
//!
//! A group whose place is not known is searched for: the file of the commit up to the commit, then the file before it, and so on
//! down to the first that the server has. The last group of the name is the one; an older one was ended before the name was used again.

use sluicebox_model::{Gtids, Position};

use super::follower::{GroupPlace, Wanted, XaName};
use super::{BinlogStream, offset};
use crate::MysqlError;
use crate::event::{self, Event, Payload, kind};
use crate::wire::{Connection, Dump, DumpStart, FIRST_OFFSET};

/// Events of one binlog file, with their places.
#[derive(Debug)]
pub(super) struct Walk {
    dump: Dump,
    file: String,
    /// Where the next event begins.
    offset: u64,
    checksum: bool,
}

/// An event and where it begins.
struct Walked<'a> {
    start: u64,
    event: Event<'a>,
}

fn malformed(file: &str, start: u64, reason: impl Into<String>) -> MysqlError {
    MysqlError::Malformed { place: format!("{file}:{start}"), reason: reason.into() }
}

impl Walk {
    /// The next event of the file; none where the file ends.
    fn next(&mut self) -> Result<Option<Walked<'_>>, MysqlError> {
        let Self { dump, file, offset: next, checksum } = self;
        let event = event::frame(dump.next()?, *checksum)
            .map_err(|fault| malformed(file, *next, fault.to_string()))?;
        let header = &event.header;
        let is_head = header.next_event_position == 0
            && matches!(
                header.event_type,
                kind::FORMAT_DESCRIPTION | kind::MARIADB_GTID_LIST | kind::PREVIOUS_GTIDS
            );
        let is_beside = event.has_flag(kind::FLAG_ARTIFICIAL)
            || matches!(header.event_type, kind::HEARTBEAT | kind::HEARTBEAT_V2)
            || is_head;
        match header.event_type {
            kind::FORMAT_DESCRIPTION => {
                let format = event::format_description(header, event.body)
                    .map_err(|fault| malformed(file, *next, fault.to_string()))?;
                *checksum = format.checksum;
            }
            // Position u64, then the name.
            kind::ROTATE if event.body.get(8..) != Some(file.as_bytes()) => return Ok(None),
            _ => {}
        }
        let mut start = *next;
        if !is_beside {
            let length = u64::from(header.event_length);
            *next = offset::behind(*next, length, header.next_event_position);
            start = next.saturating_sub(length);
        }
        Ok(Some(Walked { start, event }))
    }
}

impl BinlogStream {
    /// Opens a file. An offset that no command can name is walked to.
    fn walk(&self, file: &str, from: u64) -> Result<Walk, MysqlError> {
        let named = u32::try_from(from.max(FIRST_OFFSET.into())).unwrap_or(FIRST_OFFSET);
        let position = Position { file: file.to_owned(), offset: named.into(), gtids: Gtids::None };
        let start = DumpStart::File { name: file, offset: named };
        let dump = Connection::open(&self.connect, &self.stop)?.dump(
            &self.server,
            self.server_id,
            self.heartbeat,
            start,
            &position,
        )?;
        Ok(Walk { dump, file: file.to_owned(), offset: named.into(), checksum: true })
    }

    /// Leaves the stream for what a commit needs.
    pub(super) fn go_back(&mut self, wanted: Wanted) -> Result<(), MysqlError> {
        self.dump = None;
        let place = match wanted {
            Wanted::Group(place) => place,
            Wanted::Search(name, before) => self.search(&name, &before)?,
        };
        tracing::debug!(file = %place.file, offset = place.offset, "reading a prepared XA transaction again");
        self.back = Some((self.walk(&place.file, place.offset)?, place.offset));
        self.follower.begin_back(place);
        Ok(())
    }

    /// The next step of the group that is being read.
    pub(super) fn step_back(&mut self) -> Result<super::Step, MysqlError> {
        let Some((walk, target)) = &mut self.back else { return Ok(super::Step::Nothing) };
        let (file, from) = (walk.file.clone(), *target);
        match walk.next()? {
            Some(walked) if walked.start < from => Ok(super::Step::Nothing),
            Some(walked) => self.follower.step_back(&walked.event),
            None => {
                Err(malformed(&file, from, "an XA transaction that was prepared here has no end in its file"))
            }
        }
    }

    fn search(&self, name: &XaName, before: &GroupPlace) -> Result<GroupPlace, MysqlError> {
        let place = format!("{}:{}", before.file, before.offset);
        tracing::info!(xa = %name, %place, "looking for what an XA transaction prepared");
        let mut file = before.file.to_string();
        let mut limit = before.offset;
        loop {
            match self.search_file(&file, limit, name) {
                Ok(Some(offset)) => return Ok(GroupPlace { file: file.into(), offset }),
                Err(error) if !matches!(error, MysqlError::PositionPurged { .. }) => return Err(error),
                Ok(None) | Err(_) => {}
            }
            let is_gone = limit == u64::MAX && file_before(&file).is_none();
            match file_before(&file) {
                Some(older) if !is_gone => (file, limit) = (older, u64::MAX),
                _ => break,
            }
        }
        let reason = format!(
            "XA transaction {name} is committed, and was prepared in a file that the server no longer has: what it changed cannot \
             be known. Take a new snapshot"
        );
        Err(MysqlError::Malformed { place, reason })
    }

    /// Where the last group of this name begins in a file, before `limit`.
    fn search_file(&self, file: &str, limit: u64, name: &XaName) -> Result<Option<u64>, MysqlError> {
        let mut walk = self.walk(file, 0)?;
        let (mut found, mut group) = (None, 0);
        while let Some(Walked { start, event }) = walk.next()? {
            if start >= limit {
                break;
            }
            match event.header.event_type {
                kind::GTID | kind::ANONYMOUS_GTID | kind::GTID_TAGGED | kind::MARIADB_GTID => group = start,
                kind::XA_PREPARE if is_prepare_of(event.body, name) => found = Some(group),
                kind::TRANSACTION_PAYLOAD => {
                    let broken = |fault: event::Fault| malformed(file, start, fault.to_string());
                    if holds_prepare_of(event.body, name).map_err(broken)? {
                        found = Some(group);
                    }
                }
                _ => {}
            }
        }
        Ok(found)
    }
}

fn is_prepare_of(body: &[u8], name: &XaName) -> bool {
    XaName::of_prepare(body).is_some_and(|(one_phase, found)| !one_phase && found == *name)
}

fn holds_prepare_of(body: &[u8], name: &XaName) -> Result<bool, event::Fault> {
    let mut payload = Payload::new(body)?;
    while let Some(bytes) = payload.next()? {
        let event = event::frame(bytes, false)?;
        if event.header.event_type == kind::XA_PREPARE {
            return Ok(is_prepare_of(event.body, name));
        }
    }
    Ok(false)
}

/// The file that a server wrote before this one; none for the first.
fn file_before(file: &str) -> Option<String> {
    let (base, number) = file.rsplit_once('.')?;
    let before = number.parse::<u64>().ok()?.checked_sub(1).filter(|before| *before > 0)?;
    Some(format!("{base}.{before:0width$}", width = number.len().min(6)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_numbered_one_behind_the_other() {
        for (file, before) in [
            ("binlog.000010", Some("binlog.000009")),
            ("my.log.000100", Some("my.log.000099")),
            ("b.1000000", Some("b.999999")),
            ("b.000001", None),
            ("binlog", None),
        ] {
            assert_eq!(file_before(file).as_deref(), before, "{file}");
        }
    }
}
