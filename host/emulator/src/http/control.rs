//! Paths of the emulator itself: unsigned, and for this machine only. Tests make sessions end, slots move and
//! requests fail with them, and read what the server holds.

use std::net::SocketAddr;

use serde::Deserialize;
use serde_json::json;

use super::answer::Answer;
use super::app::App;
use super::call::Call;
use super::faults::Effect;
use super::state::session_json;
use crate::fault::Fault;
use crate::store::{Chosen, DEFAULT_SCHEMA, Session, TableName};

/// What tests written for the other emulator call first.
const INIT: &str = "/init";

/// Where the paths begin.
const PREFIX: &str = "/emulator/";

/// Whether a call is to one of the emulator's own paths.
pub(super) fn is_own(call: &Call) -> bool {
    matches!(call.path.as_str(), "/" | INIT) || call.path.starts_with(PREFIX)
}

/// Names a session: `{"id":".."}`, or the newest of a table as `{"table":"project.table"}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Choice {
    id: Option<String>,
    /// `project.table` or `project.schema.table`.
    table: Option<String>,
    /// Slot to be moved.
    slot: Option<u32>,
    /// With a slot: do not tell the new place to requests that come to the old one.
    #[serde(default)]
    silent: bool,
}

impl Choice {
    fn parse(body: &[u8]) -> Result<Self, Fault> {
        serde_json::from_slice(body)
            .map_err(|error| Fault::Invalid(format!("the body is not readable: {error}")))
    }

    fn chosen(&self) -> Result<Chosen, Fault> {
        match (&self.id, &self.table) {
            (Some(id), None) => Ok(Chosen::Id(id.clone())),
            (None, Some(table)) => table_name(table).map(Chosen::NewestOf),
            _ => Err(Fault::Invalid("name the session by one of `id` and `table`".to_owned())),
        }
    }
}

/// What the clock is set to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Moment {
    /// It stops here.
    now_ms: Option<i64>,
    /// It goes on from here.
    advance_ms: Option<i64>,
}

impl Moment {
    fn parse(body: &[u8]) -> Result<Self, Fault> {
        serde_json::from_slice(body)
            .map_err(|error| Fault::Invalid(format!("the body is not readable: {error}")))
    }
}

/// Reads a body as each of the documents there are and does nothing with it.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn read_only(body: &[u8]) {
    if let Ok(choice) = Choice::parse(body) {
        let _ = choice.chosen();
    }
    let _ = Moment::parse(body);
}

fn table_name(text: &str) -> Result<TableName, Fault> {
    match text.split('.').collect::<Vec<_>>().as_slice() {
        [project, table] => Ok(TableName::new(project, DEFAULT_SCHEMA, table)),
        [project, schema, table] => Ok(TableName::new(project, schema, table)),
        _ => Err(Fault::Invalid(format!("`{text}` is neither `project.table` nor `project.schema.table`"))),
    }
}

impl App {
    /// Answers a call to one of the emulator's own paths.
    pub(super) fn control(&self, call: &Call, peer: SocketAddr, request_id: &str, now_ms: i64) -> Answer {
        let result = if call.path == INIT {
            Ok(Answer::empty(200))
        } else if !peer.ip().to_canonical().is_loopback() {
            Err(Fault::Unauthorized("control paths are open to this machine only".to_owned()))
        } else if let Some(own) = call.path.strip_prefix(PREFIX) {
            self.controlled(call, own, now_ms)
        } else {
            self.page(now_ms)
        };
        result.unwrap_or_else(|fault| Answer::refusal(&fault, true, request_id))
    }

    fn controlled(&self, call: &Call, own: &str, now_ms: i64) -> Result<Answer, Fault> {
        match (call.method.as_str(), own) {
            ("GET", "stats") => {
                Ok(Answer::json(&serde_json::to_value(self.counters.read()).unwrap_or_default()))
            }
            ("GET", "faults") => Ok(Answer::json(&self.faults.list())),
            ("DELETE", "faults") => {
                self.faults.clear();
                Ok(Answer::empty(204))
            }
            ("POST", "faults") => Ok(Answer::json(&json!({ "added": self.faults.add(&call.body)? }))),
            ("GET", "sessions") => {
                let all = self.store.all_sessions();
                Ok(Answer::json(&all.iter().map(|session| session_json(session, now_ms)).collect()))
            }
            ("POST", "sessions/expire") => self.on_session(call, Effect::Expire, now_ms),
            ("POST", "sessions/forget") => self.on_session(call, Effect::Forget, now_ms),
            ("POST", "slots/move") => {
                let silent = Choice::parse(&call.body)?.silent;
                self.on_session(
                    call,
                    if silent { Effect::MoveSlotSilently } else { Effect::MoveSlot },
                    now_ms,
                )
            }
            ("GET", "state") => self.state(now_ms).map(|state| Answer::json(&state)),
            (method, "clock") => self.set_clock(method, call),
            _ => Err(Fault::NoSuchPath(call.path.clone())),
        }
    }

    /// Reads, sets (POST) or resets (DELETE) the clock; answers with its moment.
    fn set_clock(&self, method: &str, call: &Call) -> Result<Answer, Fault> {
        match method {
            "POST" => match Moment::parse(&call.body)? {
                Moment { now_ms: Some(moment), advance_ms: None } => self.clock.stop_at(moment),
                Moment { now_ms: None, advance_ms: Some(by) } => self.clock.advance(by),
                _ => {
                    return Err(Fault::Invalid(
                        "set the clock by one of `now-ms` and `advance-ms`".to_owned(),
                    ));
                }
            },
            "DELETE" => self.clock.reset(),
            _ => {}
        }
        Ok(Answer::json(&json!({ "now-ms": self.clock.now_ms() })))
    }

    fn on_session(&self, call: &Call, effect: Effect, now_ms: i64) -> Result<Answer, Fault> {
        let choice = Choice::parse(&call.body)?;
        // Only what can still be written to can end or move; anything can be forgotten.
        let open_only = effect != Effect::Forget;
        let session = self.store.chosen(&choice.chosen()?, open_only, now_ms);
        let session = session.ok_or(Fault::NoSuchUpsertSession)?;
        self.affect(&session, choice.slot.unwrap_or(0), effect, now_ms)?;
        Ok(Answer::json(&session_json(&session, now_ms)))
    }

    /// Carries out what a test or a fault rule wants of a session.
    pub(super) fn affect(
        &self,
        session: &Session,
        slot: u32,
        effect: Effect,
        now_ms: i64,
    ) -> Result<(), Fault> {
        match effect {
            Effect::Expire => self.store.expire(session, now_ms),
            Effect::Forget => self.store.forget(session),
            Effect::MoveSlot => self.store.move_slot(session, slot, false).map(drop),
            Effect::MoveSlotSilently => self.store.move_slot(session, slot, true).map(drop),
        }
    }

    /// Carries out the effect of a fault rule on the session that a call is about.
    pub(super) fn affect_session_of(&self, call: &Call, effect: Effect, now_ms: i64) {
        let id = call.parameter("upsertid").or_else(|| call.parameter("uploadid"));
        let slot = call.number("slotid").ok().flatten().unwrap_or(0);
        let session = id.and_then(|id| self.store.session(id)).ok_or(Fault::NoSuchUpsertSession);
        if let Err(error) = session.and_then(|session| self.affect(&session, slot, effect, now_ms)) {
            tracing::warn!(path = %call.path, %error, "a fault rule could not change the session");
        }
    }
}
