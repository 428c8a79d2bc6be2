//! Write sessions: upsert, upload and stream.
//!
//! States: normal -> committing -> committed, or normal -> aborted, or normal -> expired by the clock. A
//! session keeps the table's definition of the moment it was opened; when the columns have changed since,
//! neither its blocks nor its commit are taken (`SchemaModified`, 412), because its bodies follow the old
//! columns.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::{OpenError, Partition, Store, Table};
use crate::fault::Fault;

/// Lifetime unless the client asks for less, and the longest it may ask for; the service's own.
pub(crate) const MAX_LIFETIME_HOURS: i64 = 24;

/// A finished session stays readable this long, so that a client that crashed around its commit can learn
/// what became of it: two lifetimes.
const REMEMBERED_MS: i64 = 48 * 3_600_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SessionKind {
    Upsert { slots: u32 },
    Upload { overwrite: bool },
    Stream { slots: u32 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Normal,
    Committing,
    Committed,
    Aborted,
    Expired,
}

impl Status {
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Normal => 0,
            Self::Committing => 1,
            Self::Committed => 2,
            Self::Aborted => 3,
            Self::Expired => 4,
        }
    }

    fn of_number(number: u8) -> Self {
        match number {
            0 => Self::Normal,
            1 => Self::Committing,
            2 => Self::Committed,
            3 => Self::Aborted,
            _ => Self::Expired,
        }
    }
}

/// What a session is opened with.
#[derive(Debug, Clone)]
pub(crate) struct NewSession {
    pub(crate) kind: SessionKind,
    pub(crate) table: Arc<Table>,
    /// Partition number and values; absent for tables without partitions.
    pub(crate) partition: Option<Partition>,
    pub(crate) lifetime_hours: i64,
}

/// The durable part of a session.
#[derive(Debug, Serialize, Deserialize)]
struct Document {
    kind: SessionKind,
    table: Table,
    partition: Option<(i64, Vec<String>)>,
    lifetime_ms: i64,
}

/// Where a moved slot is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placement {
    pub(crate) server: String,
    /// A request to the old place is not told the new one and must read the session again.
    pub(crate) silent: bool,
}

/// An open or finished session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) kind: SessionKind,
    /// The table as it was when the session was opened.
    pub(crate) table: Arc<Table>,
    pub(crate) partition: Option<(i64, Vec<String>)>,
    pub(crate) created_ms: i64,
    lifetime_ms: i64,
    status: AtomicU8,
    /// Held for reading while a block is stored and for writing while the session is finished, so that a
    /// block is either part of the commit or refused.
    pub(super) gate: RwLock<()>,
    /// Slots that were moved away from this server's own address. Forgotten by a restart, as all servers are
    /// then new.
    moved: Mutex<BTreeMap<u32, Placement>>,
    /// Blocks that discard mode took and threw away, so that an upload can still list them.
    discarded: Mutex<BTreeMap<i64, i64>>,
}

impl Session {
    pub(crate) fn status(&self) -> Status {
        Status::of_number(self.status.load(Ordering::Acquire))
    }

    /// The status at `now_ms`: an open session past its lifetime is expired.
    pub(crate) fn status_at(&self, now_ms: i64) -> Status {
        match self.status() {
            Status::Normal if now_ms - self.created_ms > self.lifetime_ms => Status::Expired,
            status => status,
        }
    }

    pub(super) fn set_status(&self, status: Status) {
        self.status.store(status.number(), Ordering::Release);
    }

    pub(super) fn place_slot(&self, slot: u32, server: String, silent: bool) {
        super::lock(&self.moved).insert(slot, Placement { server, silent });
    }

    /// The server of a slot; `own` is this one, where slots are until they are moved.
    pub(crate) fn slot_server(&self, slot: u32, own: &str) -> String {
        super::lock(&self.moved).get(&slot).map_or_else(|| own.to_owned(), |placed| placed.server.clone())
    }

    /// Refuses a request that was sent to a place which the slot has left. A request that names no place is
    /// taken anywhere.
    pub(crate) fn require_route(&self, slot: u32, routed: Option<&str>) -> Result<(), Fault> {
        match (super::lock(&self.moved).get(&slot), routed) {
            (Some(placed), Some(routed)) if placed.server != routed => {
                Err(Fault::SlotMoved { to: (!placed.silent).then(|| placed.server.clone()) })
            }
            _ => Ok(()),
        }
    }

    /// Number in the `part` column of the rows.
    pub(crate) fn part(&self) -> i64 {
        self.partition.as_ref().map_or(0, |(id, _)| *id)
    }

    /// Blocks that were thrown away, with the moment of their arrival.
    pub(super) fn discarded<T>(&self, work: impl FnOnce(&mut BTreeMap<i64, i64>) -> T) -> T {
        work(&mut super::lock(&self.discarded))
    }

    /// Refuses anything but an open session.
    pub(crate) fn require_open(&self, now_ms: i64) -> Result<(), Fault> {
        let state = match self.status_at(now_ms) {
            Status::Normal => return Ok(()),
            Status::Committing => "being committed",
            Status::Committed => "committed",
            Status::Aborted => "aborted",
            Status::Expired => "expired",
        };
        Err(Fault::StatusConflict(format!("session {} is {state}", self.id)))
    }
}

/// The sessions on disk. One that was being committed when the process died was not: the commit's
/// transaction also holds the status.
pub(super) fn load(connection: &Connection) -> Result<HashMap<String, Arc<Session>>, OpenError> {
    let mut statement = connection.prepare("SELECT id, status, created_ms, doc FROM sessions")?;
    let mut rows = statement.query([])?;
    let mut sessions = HashMap::new();
    while let Some(row) = rows.next()? {
        let document: Document = serde_json::from_str(&row.get::<_, String>(3)?)?;
        let session = Session {
            id: row.get(0)?,
            kind: document.kind,
            table: Arc::new(document.table),
            partition: document.partition,
            created_ms: row.get(2)?,
            lifetime_ms: document.lifetime_ms,
            status: AtomicU8::new(row.get(1)?),
            gate: RwLock::default(),
            moved: Mutex::default(),
            discarded: Mutex::default(),
        };
        sessions.insert(session.id.clone(), Arc::new(session));
    }
    Ok(sessions)
}

impl Store {
    /// Opens a session under `id`.
    pub(crate) fn open_session(
        &self,
        id: String,
        new: NewSession,
        now_ms: i64,
    ) -> Result<Arc<Session>, Fault> {
        let partition = new.partition.map(|partition| (partition.id, partition.values));
        let lifetime_ms = new.lifetime_hours.saturating_mul(3_600_000);
        let document = Document { kind: new.kind, table: Table::clone(&new.table), partition, lifetime_ms };
        if !self.discard {
            let doc = serde_json::to_string(&document).map_err(|error| Fault::Internal(error.to_string()))?;
            self.writer()
                .prepare_cached("INSERT INTO sessions (id, status, created_ms, doc) VALUES (?1, 0, ?2, ?3)")?
                .execute(params![id, now_ms, doc])?;
        }
        let session = Arc::new(Session {
            id: id.clone(),
            kind: document.kind,
            table: new.table,
            partition: document.partition,
            created_ms: now_ms,
            lifetime_ms,
            status: AtomicU8::new(Status::Normal.number()),
            gate: RwLock::default(),
            moved: Mutex::default(),
            discarded: Mutex::default(),
        });
        self.sessions_mut(|sessions| sessions.insert(id, Arc::clone(&session)));
        self.forget_old_sessions(now_ms)?;
        Ok(session)
    }

    pub(super) fn sessions_mut<T>(&self, change: impl FnOnce(&mut HashMap<String, Arc<Session>>) -> T) -> T {
        change(&mut self.sessions.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// A session of any state.
    pub(crate) fn session(&self, id: &str) -> Option<Arc<Session>> {
        self.sessions.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Drops sessions that nobody may ask for any more.
    pub(super) fn forget_old_sessions(&self, now_ms: i64) -> Result<(), rusqlite::Error> {
        let before = now_ms - REMEMBERED_MS;
        let old = self.sessions_mut(|sessions| {
            let old: Vec<String> =
                sessions.values().filter(|s| s.created_ms < before).map(|s| s.id.clone()).collect();
            for id in &old {
                sessions.remove(id);
            }
            old
        });
        for id in old {
            self.writer().execute("DELETE FROM sessions WHERE id = ?1", [&id])?;
            super::lock(&self.blocks).execute("DELETE FROM blocks WHERE session = ?1", [&id])?;
        }
        Ok(())
    }

    /// Refuses a session whose table is gone or has other columns now.
    pub(crate) fn require_current(&self, session: &Session) -> Result<(), Fault> {
        let catalog = self.catalog();
        let Some(table) = catalog.current(session.table.id) else {
            return Err(Fault::NoSuchTable(session.table.name.to_string()));
        };
        if table.schema_version != session.table.schema_version {
            return Err(Fault::SchemaModified { latest: table.schema_version });
        }
        if let Some((id, values)) = &session.partition
            && catalog.find_partition(table.id, values).is_none_or(|found| found.id != *id)
        {
            return Err(Fault::NoSuchPartition(table.partition_text(values)));
        }
        Ok(())
    }

    /// Takes a checked block into an open session.
    pub(crate) fn write_block(
        &self,
        session: &Session,
        slot: i64,
        rows: u64,
        body: &[u8],
        now_ms: i64,
    ) -> Result<(), Fault> {
        let _gate = session.gate.read().unwrap_or_else(PoisonError::into_inner);
        session.require_open(now_ms)?;
        self.require_current(session)?;
        if self.discard {
            session.discarded(|blocks| blocks.insert(slot, now_ms));
            return Ok(());
        }
        self.put_block(session, slot, rows, body, now_ms)
    }

    /// Drops what an open session wrote. Doing it again changes nothing; after a commit it is a conflict.
    pub(crate) fn abort(&self, session: &Session, now_ms: i64) -> Result<(), Fault> {
        let _gate = session.gate.write().unwrap_or_else(PoisonError::into_inner);
        if matches!(session.status_at(now_ms), Status::Aborted | Status::Expired) {
            return Ok(());
        }
        session.require_open(now_ms)?;
        if !self.discard {
            self.writer().execute(
                "UPDATE sessions SET status = ?2 WHERE id = ?1",
                params![session.id, Status::Aborted.number()],
            )?;
        }
        session.set_status(Status::Aborted);
        self.delete_blocks(&session.id)
    }

    /// Makes all blocks visible at once. Committing again changes nothing.
    pub(crate) fn commit(&self, session: &Session, now_ms: i64) -> Result<(), Fault> {
        if session.status() == Status::Committing {
            return Ok(()); // Another request is at it; the caller answers with the status.
        }
        let _gate = session.gate.write().unwrap_or_else(PoisonError::into_inner);
        if session.status() == Status::Committed {
            return Ok(());
        }
        session.require_open(now_ms)?;
        session.set_status(Status::Committing);
        let result = if self.discard { self.require_current(session) } else { self.apply(session, now_ms) };
        session.set_status(if result.is_ok() { Status::Committed } else { Status::Normal });
        result?;
        // The commit is done and answered for whatever happens here; the next start removes leftovers.
        if let Err(error) = self.delete_blocks(&session.id) {
            tracing::warn!(session = %session.id, %error, "blocks of a committed session stay until the next start");
        }
        Ok(())
    }
}

/// Number under which [`Store::apply`] records a commit.
pub(super) fn committed_number() -> u8 {
    Status::Committed.number()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::TableName;

    fn session(created_ms: i64, lifetime_ms: i64) -> Session {
        let table = Table {
            id: 1,
            name: TableName::new("p", "default", "t"),
            columns: Vec::new(),
            partition_columns: Vec::new(),
            primary_key: Vec::new(),
            properties: Default::default(),
            comment: String::new(),
            lifecycle: None,
            created_s: 0,
            last_ddl_s: 0,
            schema_version: 0,
            evolved: false,
            next_column_id: 1,
        };
        Session {
            id: "s".into(),
            kind: SessionKind::Upload { overwrite: false },
            table: Arc::new(table),
            partition: None,
            created_ms,
            lifetime_ms,
            status: AtomicU8::new(0),
            gate: RwLock::default(),
            moved: Mutex::default(),
            discarded: Mutex::default(),
        }
    }

    #[test]
    fn an_open_session_expires_and_a_finished_one_does_not() {
        let session = session(1_000, 500);
        assert_eq!(session.status_at(1_500), Status::Normal);
        assert_eq!(session.status_at(1_501), Status::Expired);
        assert!(matches!(session.require_open(1_501), Err(Fault::StatusConflict(_))));
        session.set_status(Status::Committed);
        assert_eq!(session.status_at(i64::MAX - 1), Status::Committed);
    }
}
