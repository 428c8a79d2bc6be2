//! What tests do to sessions from outside: end them, make them unknown, move their slots.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use rusqlite::params;

use super::{Session, SessionKind, Status, Store, TableName};
use crate::fault::Fault;

/// Which session is meant: one by its id, or the newest of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Chosen {
    Id(String),
    NewestOf(TableName),
}

impl Store {
    /// The session that is meant. `open_only` leaves out those that are finished.
    pub(crate) fn chosen(&self, chosen: &Chosen, open_only: bool, now_ms: i64) -> Option<Arc<Session>> {
        let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
        match chosen {
            Chosen::Id(id) => sessions.get(id).cloned(),
            Chosen::NewestOf(name) => sessions
                .values()
                .filter(|session| session.table.name == *name)
                .filter(|session| !open_only || session.status_at(now_ms) == Status::Normal)
                // Ids of one process grow, so they order sessions of the same millisecond.
                .max_by_key(|session| (session.created_ms, session.id.clone()))
                .cloned(),
        }
    }

    /// All sessions, oldest first.
    pub(crate) fn all_sessions(&self) -> Vec<Arc<Session>> {
        let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = sessions.values().cloned().collect();
        all.sort_by(|a, b| (a.created_ms, &a.id).cmp(&(b.created_ms, &b.id)));
        all
    }

    /// Ends an open session as if its lifetime were over; what it wrote is dropped.
    pub(crate) fn expire(&self, session: &Session, now_ms: i64) -> Result<(), Fault> {
        let _gate = session.gate.write().unwrap_or_else(PoisonError::into_inner);
        session.require_open(now_ms)?;
        if !self.discard {
            self.writer().execute(
                "UPDATE sessions SET status = ?2 WHERE id = ?1",
                params![session.id, Status::Expired.number()],
            )?;
        }
        session.set_status(Status::Expired);
        self.delete_blocks(&session.id)
    }

    /// Makes a session of any state unknown. Rows that it committed stay.
    pub(crate) fn forget(&self, session: &Session) -> Result<(), Fault> {
        let _gate = session.gate.write().unwrap_or_else(PoisonError::into_inner);
        self.sessions_mut(|sessions| sessions.remove(&session.id));
        // A request that had already found the session must not write a block to it.
        if session.status() == Status::Normal {
            session.set_status(Status::Aborted);
        }
        self.writer().execute("DELETE FROM sessions WHERE id = ?1", [&session.id])?;
        self.delete_blocks(&session.id)
    }

    /// Gives a slot of a session another server. Returns the new server's address.
    pub(crate) fn move_slot(&self, session: &Session, slot: u32, silent: bool) -> Result<String, Fault> {
        let (SessionKind::Upsert { slots } | SessionKind::Stream { slots }) = session.kind else {
            return Err(Fault::Invalid(format!("session {} has no slots", session.id)));
        };
        if slot >= slots {
            return Err(Fault::Invalid(format!("slot {slot} is not below {slots}")));
        }
        let server = moved_address(self.moves.fetch_add(1, Ordering::Relaxed));
        session.place_slot(slot, server.clone(), silent);
        Ok(server)
    }
}

/// Address of the `count`-th move: this machine, and nobody listens there, so that a client which connects
/// to a slot's address instead of the tunnel endpoint fails at once.
fn moved_address(count: u32) -> String {
    format!("127.1.{}.{}:1", count / 256 % 256, count % 256)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_move_gives_another_address() {
        let addresses: std::collections::BTreeSet<_> = (0..1000).map(moved_address).collect();
        assert_eq!(addresses.len(), 1000);
    }
}
