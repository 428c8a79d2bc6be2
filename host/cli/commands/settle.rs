//! `settle`.

use anyhow::anyhow;
use sluicebox_engine::EngineError;
use sluicebox_engine::state::Store;

use super::{load, small_runtime};
use crate::arguments::{SessionFate, SettleOptions};
use crate::failure::Failure;
use crate::output::line;

/// Records what an operator found out about a session.
pub fn run(options: &SettleOptions) -> Result<(), Failure> {
    let loaded = load(&options.file)?;
    let store = Store::open(&loaded.pipeline.pipeline.state_dir).map_err(EngineError::from)?;
    let sessions = store.sessions().map_err(EngineError::from)?;
    let Some(session) = sessions.iter().find(|session| session.id == options.session) else {
        let known: Vec<&str> = sessions.iter().map(|session| session.id.as_str()).collect();
        let known = if known.is_empty() { "none is left".to_owned() } else { known.join(", ") };
        return Err(anyhow!("session `{}` is not one that was left behind: {known}", options.session).into());
    };
    let fate = options.fate;
    if fate == SessionFate::Committed && session.flushed.is_none() {
        let reason = "its commit was never asked for, so it cannot have committed";
        return Err(anyhow!("session `{}`: {reason}", session.id).into());
    }
    if fate == SessionFate::Lost
        && sessions.iter().any(|other| other.target == session.target && other.committed)
    {
        let reason = "other partitions of the same commit are in the table, so its rows cannot be read again alone; write them by hand, then settle it as committed";
        return Err(anyhow!("session `{}`: {reason}", session.id).into());
    }
    small_runtime()?.block_on(async {
        match fate {
            SessionFate::Committed => store.session_committed(session).await,
            SessionFate::Lost => store.sessions_dropped(&session.target, vec![session.id.clone()]).await,
        }
        .map_err(EngineError::from)
    })?;
    let then = match fate {
        SessionFate::Committed => "its rows count as delivered",
        SessionFate::Lost => "its rows are read again",
    };
    line!("session {} of {}: {then}", session.id, session.target);
    Ok(())
}
