//! Events about files: where one ends and the next begins, and what a file says of what came before it.

use std::io;

use mysql_cdc::events::rotate_event::RotateEvent;
use sluicebox_model::{Gtids, Position};

use super::super::{StreamItem, offset};
use super::{At, Follower, Seek, Step};
use crate::MysqlError;
use crate::event::{self, Event, kind};

impl Follower {
    pub(super) fn file_event(&mut self, event: &Event<'_>, at: &At) -> Result<Step, MysqlError> {
        match at.event_type {
            kind::ROTATE => self.rotate(event, at)?,
            kind::FORMAT_DESCRIPTION => {
                let format = event::format_description(&event.header, event.body);
                let format = format.map_err(|fault| self.malformed(at, fault.to_string()))?;
                self.checksum = format.checksum;
                if format.server_started {
                    self.server_started(at)?;
                }
            }
            kind::PREVIOUS_GTIDS if self.has_gtids => {
                let set =
                    event::decode_set(event.body).map_err(|fault| self.malformed(at, fault.to_string()))?;
                self.file_says(Gtids::MySql(set));
            }
            kind::MARIADB_GTID_LIST if at.flags & kind::FLAG_ARTIFICIAL == 0 => {
                let list =
                    event::gtid_list(event.body).map_err(|fault| self.malformed(at, fault.to_string()))?;
                self.file_says(Gtids::MariaDb(list));
            }
            _ => {}
        }
        Ok(Step::Nothing)
    }

    /// What came before the file that is being read from its beginning.
    fn file_says(&mut self, before: Gtids) {
        if let Some(seek) = &mut self.seek
            && seek.reached.gtids == Gtids::None
        {
            seek.reached.gtids = before;
        }
    }

    fn rotate(&mut self, event: &Event<'_>, at: &At) -> Result<(), MysqlError> {
        let rotate = RotateEvent::parse(&mut io::Cursor::new(event.body))
            .map_err(|_| self.malformed(at, "a rotate event names no file"))?;
        let is_artificial = event.has_flag(kind::FLAG_ARTIFICIAL);
        if is_artificial {
            if self.server_id != event.header.server_id {
                self.xa.forget_places();
            }
            self.server_id = event.header.server_id;
            self.check_resender(at)?;
        } else {
            self.end_seek_at_file_end(at)?;
        }
        if *self.file != *rotate.binlog_filename {
            self.file = rotate.binlog_filename.as_str().into();
        }
        self.offset = rotate.binlog_position;
        // Between transactions the end of a file and the start of the next are the same place.
        let moves_on =
            !is_artificial && self.open.is_none() && self.seek.is_none() && self.pending.is_empty();
        if moves_on && self.cut.is_none() {
            self.position.file = rotate.binlog_filename;
            self.position.offset = rotate.binlog_position;
        }
        Ok(())
    }

    /// A transaction that was cut is only told from its beginning by events of the same file.
    fn check_resender(&mut self, at: &At) -> Result<(), MysqlError> {
        match &self.cut {
            Some(cut) if cut.server_id != self.server_id => {
                let reason = format!(
                    "transaction {} was cut by a lost connection, and another server (id {}, before {}) answers now: \
                     start again from the last checkpoint",
                    cut.id, self.server_id, cut.server_id
                );
                Err(self.malformed(at, reason))
            }
            _ => Ok(()),
        }
    }

    /// Table maps are void; a transaction that the old run did not finish never happened.
    fn server_started(&mut self, at: &At) -> Result<(), MysqlError> {
        self.maps.clear();
        match self.open.take() {
            Some(open) if open.touched => {
                let reason = format!(
                    "the server ended inside transaction {} and did not commit it: start again from the last checkpoint",
                    open.id
                );
                Err(self.malformed(at, reason))
            }
            _ => Ok(()),
        }
    }

    fn end_seek_at_file_end(&mut self, at: &At) -> Result<(), MysqlError> {
        let Some(seek) = self.seek.take() else { return Ok(()) };
        if self.offset < seek.target {
            return Err(MysqlError::PositionAhead {
                position: Box::new(self.position.clone()),
                reason: format!("the file ends at {}", self.offset),
            });
        }
        self.finish_seek(seek, at)
    }

    /// The server has nothing more up to the place that the heartbeat names: a place to start from that was reached has nothing
    /// behind it.
    pub(super) fn idle(&mut self, event: &Event<'_>, at: &At) -> Result<Step, MysqlError> {
        let sent = offset::behind(self.offset, 0, event.header.next_event_position);
        let reached = |seek: &mut Seek| sent >= seek.target;
        if self.open.is_none()
            && let Some(seek) = self.seek.take_if(reached)
        {
            self.finish_seek(seek, at)?;
        }
        Ok(Step::Item(StreamItem::Idle))
    }

    /// The place to start from is reached: all that was passed over counts as seen.
    pub(super) fn finish_seek(&mut self, seek: Seek, at: &At) -> Result<(), MysqlError> {
        if self.has_gtids && seek.reached.gtids == Gtids::None {
            return Err(self.malformed(at, "the file does not say which transactions came before it"));
        }
        self.position =
            Position { file: self.file.to_string(), offset: seek.target.max(4), gtids: seek.reached.gtids };
        self.sought = Some(self.position.clone());
        Ok(())
    }
}
