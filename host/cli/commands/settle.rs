//! `settle`.

use anyhow::anyhow;
use sluicebox_engine::state::{SessionRecord, Store};
use sluicebox_engine::{EngineError, give_up, sink_client};

use super::{load, small_runtime};
use crate::arguments::{SessionFate, SettleOptions};
use crate::failure::Failure;
use crate::output::line;

/// Records what an operator found out about sessions.
pub fn run(options: &SettleOptions) -> Result<(), Failure> {
    let loaded = load(&options.file)?;
    let store = Store::open(&loaded.pipeline.pipeline.state_dir).map_err(EngineError::from)?;
    let known = store.sessions().map_err(EngineError::from)?;
    let sessions = options.sessions.iter().map(|id| find(&known, id)).collect::<Result<Vec<_>, _>>()?;
    match options.fate {
        SessionFate::Committed => committed(&store, &sessions),
        SessionFate::Lost => {
            let client = sink_client(&loaded.pipeline)?;
            let given_up = small_runtime()?.block_on(give_up(&client, &store, &options.sessions))?;
            for session in known.iter().filter(|session| given_up.contains(&session.id)) {
                line!("session {} of {}: its rows are read again", session.id, session.target);
            }
            Ok(())
        }
    }
}

fn find<'a>(known: &'a [SessionRecord], id: &str) -> Result<&'a SessionRecord, Failure> {
    if let Some(session) = known.iter().find(|session| session.id == id) {
        return Ok(session);
    }
    let ids: Vec<&str> = known.iter().map(|session| session.id.as_str()).collect();
    let ids = if ids.is_empty() { "none is left".to_owned() } else { ids.join(", ") };
    Err(anyhow!("session `{id}` is not one that was left behind: {ids}").into())
}

fn committed(store: &Store, sessions: &[&SessionRecord]) -> Result<(), Failure> {
    if let Some(session) = sessions.iter().find(|session| session.flushed.is_none()) {
        let reason = "its commit was never asked for, so it cannot have committed";
        return Err(anyhow!("session `{}`: {reason}", session.id).into());
    }
    for session in sessions {
        small_runtime()?.block_on(store.session_committed(session)).map_err(EngineError::from)?;
        line!("session {} of {}: its rows count as delivered", session.id, session.target);
    }
    Ok(())
}
