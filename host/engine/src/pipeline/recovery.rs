//! What a crash left behind: sessions that were open, and sessions that were flushed.
//!
//! An open session is aborted: its rows are read again. A flushed one is committed: all its bytes were answered before it was
//! recorded, so whatever the service says of it tells whether its rows are in the table. For a Delta table even a session
//! that has vanished is no loss: the rows are read again and land on the same keys. For an ordinary table they would come
//! twice if it had committed, so the pipeline halts and says so; it never guesses.

use sluicebox_maxcompute::{Client, Error, SessionState, TableName};
use sluicebox_model::Position;

use crate::error::EngineError;
use crate::sink::session::SinkSession;
use crate::state::{SessionKind, SessionRecord, Store};

/// What is done with a session that was left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Ask for its commit, then count its rows as delivered.
    Commit,
    /// It has committed already: count its rows as delivered.
    Delivered,
    /// Its rows are not in the table, and will be read again.
    Drop,
    /// Nobody can tell.
    Unknown,
}

/// Decides by what was recorded and what the service says.
fn decide(kind: SessionKind, flushed: bool, state: SessionState) -> Fate {
    use SessionState as S;
    match (flushed, state) {
        // Only a flushed session is ever asked to commit, so an unflushed one cannot have.
        (false, _) => Fate::Drop,
        (true, S::Normal | S::Committing) => Fate::Commit,
        (true, S::Committed) => Fate::Delivered,
        (true, S::Aborted | S::Expired) => Fate::Drop,
        (true, S::Gone | S::Critical | S::Unknown) => match kind {
            SessionKind::Upsert => Fate::Drop,
            SessionKind::Upload => Fate::Unknown,
        },
    }
}

/// Settles every session that was left behind.
pub(super) async fn settle(
    client: &Client,
    store: &Store,
    sessions: Vec<SessionRecord>,
) -> Result<(), EngineError> {
    for group in sessions.chunk_by(|a, b| a.target == b.target) {
        settle_target(client, store, group).await?;
    }
    Ok(())
}

/// Settles one target's sessions: of a partitioned one there are several, and its rows are delivered when all of them are.
async fn settle_target(client: &Client, store: &Store, records: &[SessionRecord]) -> Result<(), EngineError> {
    let mut found = Vec::with_capacity(records.len());
    for record in records {
        found.push(look(client, record).await?);
    }
    let flushed = |f: &&Found<'_>| f.record.flushed.is_some();
    let lost = found.iter().filter(flushed).find(|f| f.fate == Fate::Drop);
    if let Some(unknown) = found.iter().find(|f| f.fate == Fate::Unknown) {
        return Err(unknown.unknown(format!("the service calls it {}", unknown.state)));
    }
    if let Some(lost) = lost
        && lost.record.kind == SessionKind::Upload
        && found.iter().any(|f| f.fate == Fate::Delivered)
    {
        let reason = "its rows are not in the table, those of other partitions with the same commit are";
        return Err(lost.unknown(reason.to_owned()));
    }
    let again = lost.is_some();
    let (drop, commit): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|f| f.fate == Fate::Drop || (again && f.record.flushed.is_some()));
    for found in commit {
        if let (Fate::Commit, Some(session)) = (found.fate, &found.session) {
            session.commit().await.map_err(EngineError::sink(doing(found.record)))?;
        }
        store.session_committed(found.record).await?;
    }
    for found in &drop {
        if let Some(session) = found.session.as_ref().filter(|_| found.state == SessionState::Normal) {
            session.abort().await.map_err(EngineError::sink(doing(found.record)))?;
        }
    }
    if let Some(first) = drop.first() {
        let ids = drop.iter().map(|f| f.record.id.clone()).collect();
        store.sessions_dropped(&first.record.target, ids).await?;
    }
    Ok(())
}

/// Gives up sessions that an operator has found lost, and with them all others of the same commit: a target has one position, so what
/// they hold is read again together. Gives the ids that were given up.
///
/// Refused where rows would come twice: another partition's session has appended its rows already, or may have. Sessions that lie
/// flushed at the service are never asked to commit any more. A crash in between is answered by giving them up once more.
pub async fn give_up(client: &Client, store: &Store, lost: &[String]) -> Result<Vec<String>, EngineError> {
    let sessions = store.sessions()?;
    let of = |id: &String| sessions.iter().find(|session| session.id == *id);
    let mut targets: Vec<&str> = lost.iter().filter_map(of).map(|session| session.target.as_str()).collect();
    targets.sort_unstable();
    targets.dedup();
    let mut given_up = Vec::new();
    for target in targets {
        let known = |id: &str| lost.iter().any(|lost| lost == id);
        let of_target = sessions.iter().filter(|session| session.target == target);
        // One that is only open is no part of the commit: the next start drops it, unless it is named.
        let records: Vec<_> = of_target.filter(|s| s.flushed.is_some() || known(&s.id)).collect();
        let mut found = Vec::with_capacity(records.len());
        for record in records {
            if !known(&record.id) {
                found.push(look(client, record).await?);
                continue;
            }
            found.push(Found { record, session: None, state: SessionState::Gone, fate: Fate::Drop });
        }
        if let Some(found) = found.iter().find(|found| !found.may_be_given_up()) {
            return Err(EngineError::Plan(format!(
                "session `{}` of `{target}` belongs to the same commit, and {}",
                found.record.id,
                found.why_it_stays()
            )));
        }
        for found in &found {
            if let Some(session) = found.session.as_ref().filter(|_| found.state == SessionState::Normal) {
                session.abort().await.map_err(EngineError::sink(doing(found.record)))?;
            }
        }
        let ids: Vec<String> = found.iter().map(|found| found.record.id.clone()).collect();
        store.sessions_dropped(target, ids.clone()).await?;
        given_up.extend(ids);
    }
    Ok(given_up)
}

/// A session that was left behind, and what the service knows of it.
struct Found<'a> {
    record: &'a SessionRecord,
    session: Option<SinkSession>,
    state: SessionState,
    fate: Fate,
}

impl Found<'_> {
    fn unknown(&self, reason: String) -> EngineError {
        let SessionRecord { target, id, .. } = self.record;
        EngineError::UnknownFate { target: target.clone(), session: id.clone(), reason }
    }

    /// Whether its rows can be read again without coming twice.
    fn may_be_given_up(&self) -> bool {
        match (self.record.kind, self.fate) {
            (SessionKind::Upsert, _) | (SessionKind::Upload, Fate::Drop) => true,
            (SessionKind::Upload, Fate::Commit) => self.state == SessionState::Normal,
            (SessionKind::Upload, Fate::Delivered | Fate::Unknown) => false,
        }
    }

    fn why_it_stays(&self) -> &'static str {
        match self.fate {
            Fate::Delivered => {
                "its rows are in the table: they would come twice; write the lost rows by hand, then settle theirs as committed"
            }
            Fate::Commit | Fate::Drop => "it is being committed: try again in some minutes",
            Fate::Unknown => "nobody can tell what became of it either: name both, if both are lost",
        }
    }
}

fn doing(record: &SessionRecord) -> String {
    format!("settling session `{}` of `{}`", record.id, record.target)
}

async fn look<'a>(client: &Client, record: &'a SessionRecord) -> Result<Found<'a>, EngineError> {
    if record.committed {
        return Ok(Found { record, session: None, state: SessionState::Committed, fate: Fate::Delivered });
    }
    let name = table_name(&record.target);
    let attached =
        SinkSession::attach(client, &name, record.partition.as_deref(), record.kind, &record.id).await;
    let (session, state) = match attached {
        Ok(session) => {
            let state = session.status().await.map_err(EngineError::sink(doing(record)))?;
            (Some(session), state)
        }
        Err(Error::SessionGone(_) | Error::NotFound(_)) => (None, SessionState::Gone),
        Err(error) => return Err(EngineError::sink(doing(record))(error)),
    };
    let fate = match (decide(record.kind, record.flushed.is_some(), state), &session) {
        // Nothing to ask: nobody can tell.
        (Fate::Commit, None) => Fate::Unknown,
        (fate, _) => fate,
    };
    tracing::info!(target_table = record.target, session = record.id, %state, ?fate, "settling a session of the last run");
    Ok(Found { record, session, state, fate })
}

/// Deletes the letters of events that are read again from the checkpoint: a guest that fails on them again makes them anew.
pub(super) fn forget_letters(store: &Store, checkpoint: &Position) -> Result<(), EngineError> {
    let schemas = store.known_at(checkpoint)?;
    let keyless = |table: &String| schemas.iter().any(|s| s.key.is_empty() && s.id.to_string() == *table);
    let snapshots = store.snapshot_tables()?.into_iter().filter(|(_, snapshot)| !snapshot.done);
    let unread = snapshots.map(|(table, _)| table).filter(keyless).collect();
    Ok(store.forget_unsettled(checkpoint, store.targets_ahead()?, unread)?)
}

/// A target's name as its label says it.
fn table_name(label: &str) -> TableName {
    match label.split_once('.') {
        Some((schema, name)) => TableName::new(Some(schema), name),
        None => TableName::new(None, label),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_only_open_is_dropped_whatever_the_service_says() {
        for state in [SessionState::Normal, SessionState::Gone, SessionState::Expired, SessionState::Critical]
        {
            assert_eq!(decide(SessionKind::Upload, false, state), Fate::Drop, "{state}");
        }
    }

    #[test]
    fn what_was_flushed_is_finished_or_read_again_and_never_guessed() {
        let cases = [
            (SessionKind::Upsert, SessionState::Normal, Fate::Commit),
            (SessionKind::Upload, SessionState::Committing, Fate::Commit),
            (SessionKind::Upload, SessionState::Committed, Fate::Delivered),
            (SessionKind::Upsert, SessionState::Gone, Fate::Drop),
            (SessionKind::Upload, SessionState::Gone, Fate::Unknown),
            (SessionKind::Upload, SessionState::Aborted, Fate::Drop),
            (SessionKind::Upload, SessionState::Unknown, Fate::Unknown),
        ];
        for (kind, state, want) in cases {
            assert_eq!(decide(kind, true, state), want, "{kind:?} {state}");
        }
    }
}
