//! The server's state, and the way from a call to its answer.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::Method;

use super::answer::Answer;
use super::call::Call;
use super::faults::Faults;
use super::limits::{Busy, Concurrency, Limits, Turn, Use};
use super::route::{Route, TablePath};
use super::signature::Credentials;
use crate::clock::Clock;
use crate::fault::Fault;
use crate::stats::Counters;
use crate::store::{DEFAULT_SCHEMA, Store, Table, TableName};

/// What this server's projects are like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Projects have schemas.
    pub(crate) three_tier: bool,
    /// Some checks are left out; see the options.
    pub(crate) lenient: bool,
}

/// Everything that requests share.
pub(crate) struct App {
    pub(crate) store: Store,
    pub(crate) credentials: Credentials,
    pub(crate) counters: Counters,
    pub(super) faults: Faults,
    pub(super) limits: Limits,
    pub(super) concurrency: Concurrency,
    pub(super) clock: Clock,
    pub(crate) rules: Rules,
    pub(crate) address: SocketAddr,
    next_id: AtomicU64,
}

impl App {
    pub(crate) fn new(store: Store, credentials: Credentials, rules: Rules, address: SocketAddr) -> Self {
        Self {
            store,
            credentials,
            counters: Counters::default(),
            faults: Faults::default(),
            limits: Limits::default(),
            concurrency: Concurrency::default(),
            clock: Clock::default(),
            rules,
            address,
            next_id: AtomicU64::new(0),
        }
    }

    /// A new id, unique across restarts: the moment, the process, a counter.
    pub(super) fn new_id(&self, letter: char, now_ms: i64) -> String {
        let moment = chrono::DateTime::from_timestamp_millis(now_ms).unwrap_or_default();
        let count = self.next_id.fetch_add(1, Ordering::Relaxed);
        format!("{}{letter}{:06x}{count:06x}", moment.format("%Y%m%d%H%M%S%3f"), std::process::id())
    }

    /// Carries a call out. Blocks: it reads and writes the database.
    pub(super) fn answer(&self, call: &Call, request_id: &str, now_ms: i64) -> Answer {
        let route = Route::of(call);
        let tunnel = super::is_tunnel(call);
        let verified = match call.header("x-odps-bearer-token") {
            Some(token) => super::token::verify(token, &self.credentials, now_ms),
            None => self.credentials.verify(call),
        };
        let result = verified.and_then(|()| {
            if !self.rules.lenient {
                super::date::check(call, now_ms)?;
            }
            super::service::check_digest(call)?;
            let route = route.clone().ok_or_else(|| Fault::NoSuchPath(call.path.clone()))?;
            self.dispatch(call, route, now_ms)
        });
        let answer = match result {
            Ok(answer) => answer,
            Err(fault) => {
                if fault.status() >= 500 {
                    tracing::error!(method = %call.method, path = %call.path, error = %fault, "request failed");
                }
                Answer::refusal(&fault, tunnel, request_id)
            }
        };
        let kind = route.as_ref().map_or("unknown", Route::kind);
        self.counters.request(kind, answer.status >= 400);
        tracing::debug!(method = %call.method, path = %call.path, kind, status = answer.status, "request answered");
        answer
    }

    fn dispatch(&self, call: &Call, route: Route, now_ms: i64) -> Result<Answer, Fault> {
        match route {
            Route::Upsert(step, path) => self.upsert(call, step, &path, now_ms),
            Route::Upload(step, path) => self.upload(call, step, &path, now_ms),
            Route::Stream(step, path) => self.stream(call, step, &path, now_ms),
            Route::Download(step, path) => self.download(call, step, &path, now_ms),
            Route::ResultDownload(step, instance) => self.result_download(call, step, &instance),
            Route::Preview(path) => self.preview(call, &path),
            Route::InstanceCreate(project) => self.create_instance(call, project, now_ms),
            Route::Instance { project, instance } => self.instance(call, &project, &instance),
            Route::InstanceStop { instance } => self.store.instance(&instance).map(|_| Answer::empty(200)),
            route => self.service(call, route, now_ms),
        }
    }

    /// Counts a use of a table, unless nobody counts here.
    pub(super) fn admit(&self, table: &Table, what: Use, now_ms: i64) -> Result<(), Fault> {
        if self.rules.lenient { Ok(()) } else { self.limits.admit(table, what, now_ms) }
    }

    /// Counts a request in for as long as it is answered, unless nobody counts here or it is of no kind that is counted.
    pub(super) fn enter(&self, method: &Method, path: &str, query: &str) -> Result<Option<Turn<'_>>, Fault> {
        match Busy::of(method, path, query) {
            Some(busy) if !self.rules.lenient => self.concurrency.enter(path, busy).map(Some),
            _ => Ok(None),
        }
    }

    /// The full name of a table in a path. Projects without schemas have one, `default`.
    pub(super) fn table_name(&self, call: &Call, path: &TablePath) -> Result<TableName, Fault> {
        let asked = path.schema.as_deref().or_else(|| call.parameter("curr_schema"));
        let schema = match (asked, self.rules.three_tier) {
            (None | Some(""), _) => DEFAULT_SCHEMA,
            (Some(schema), true) => schema,
            // Metadata calls may name any schema of a project without them; only a path insists on it.
            (Some(schema), false)
                if path.schema.is_some() && !schema.eq_ignore_ascii_case(DEFAULT_SCHEMA) =>
            {
                return Err(Fault::NoSuchSchema(schema.to_owned()));
            }
            (Some(_), false) => DEFAULT_SCHEMA,
        };
        Ok(TableName::new(&path.project, schema, &path.table))
    }
}
