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
    for session in sessions {
        settle_one(client, store, &session).await?;
    }
    Ok(())
}

async fn settle_one(client: &Client, store: &Store, record: &SessionRecord) -> Result<(), EngineError> {
    let doing = || format!("settling session `{}` of `{}`", record.id, record.target);
    let name = table_name(&record.target);
    let (session, state) = match SinkSession::attach(client, &name, record.kind, &record.id).await {
        Ok(session) => {
            let state = session.status().await.map_err(EngineError::sink(doing()))?;
            (Some(session), state)
        }
        Err(Error::SessionGone(_) | Error::NotFound(_)) => (None, SessionState::Gone),
        Err(error) => return Err(EngineError::sink(doing())(error)),
    };
    let fate = decide(record.kind, record.flushed.is_some(), state);
    tracing::info!(target_table = record.target, session = record.id, %state, ?fate, "settling a session of the last run");
    match (fate, session) {
        (Fate::Commit, Some(session)) => {
            session.commit().await.map_err(EngineError::sink(doing()))?;
            store.session_committed(record).await?;
        }
        (Fate::Delivered, _) => store.session_committed(record).await?,
        (Fate::Drop, session) => {
            if let Some(session) = session
                && state == SessionState::Normal
            {
                session.abort().await.map_err(EngineError::sink(doing()))?;
            }
            store.session_dropped(&record.target, &record.id).await?;
        }
        (Fate::Unknown | Fate::Commit, _) => {
            return Err(EngineError::UnknownFate {
                target: record.target.clone(),
                session: record.id.clone(),
                reason: format!("the service calls it {state}"),
            });
        }
    }
    Ok(())
}

/// Deletes the letters of events that are read again from the checkpoint: a guest that fails on them again makes them anew.
pub(super) fn forget_letters(store: &Store, checkpoint: &Position) -> Result<(), EngineError> {
    let schemas = store.schemas_at(checkpoint)?;
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
