//! The HTTP server.
//!
//! A request is read whole, checked against the fault rules, and carried out on a blocking thread, since all
//! work is decoding and database. The rules and counters have their own paths, open to this machine only.

mod answer;
mod app;
mod call;
mod control;
mod date;
mod documents;
mod downloads;
mod faults;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod instances;
mod limits;
mod listener;
mod route;
mod service;
mod sessions;
mod signature;
mod state;
mod token;
mod xml;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{Method, Request, Response};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

pub(crate) use app::{App, Rules};
pub(crate) use signature::Credentials;

use answer::Answer;
use call::Call;
use faults::{Strike, Struck, throttled};
use listener::{CuttableListener, Peer};
use route::Route;

use crate::fault::Fault;

/// Largest body of a data request: four times the block that the official writers buffer.
const MAX_DATA_BYTES: usize = 256 << 20;

/// Largest body of any other request: a statement of that size would be absurd.
const MAX_DOCUMENT_BYTES: usize = 16 << 20;

/// Data bodies held at once; more senders wait. With blocks of 4 MB this is a quarter of a gigabyte.
const MAX_DATA_REQUESTS: usize = 64;

/// How long a stop waits for requests that are running; afterwards their connections are dropped.
const STOP_WAIT: Duration = Duration::from_secs(10);

struct Shared {
    app: Arc<App>,
    data_requests: Semaphore,
    /// Decoders at once: as many as there are cores, or they would only take turns with more memory.
    decoders: Semaphore,
}

/// A server that runs until it is stopped.
#[derive(Debug)]
pub(crate) struct Server {
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// Serves on `listener`.
    pub(crate) fn start(listener: TcpListener, app: Arc<App>) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let shared =
            Shared { app, data_requests: Semaphore::new(MAX_DATA_REQUESTS), decoders: Semaphore::new(cores) };
        let router = Router::new().fallback(handle).with_state(Arc::new(shared));
        let (stop, stopped) = oneshot::channel();
        let service = router.into_make_service_with_connect_info::<Peer>();
        let serve = axum::serve(CuttableListener(listener), service).with_graceful_shutdown(async {
            // A dropped sender also means that nobody wants the server any more.
            let _ = stopped.await;
        });
        Self { stop, task: tokio::spawn(async move { serve.await }) }
    }

    /// Stops accepting, lets running requests end, and returns when the server is gone.
    pub(crate) async fn stop(mut self) {
        if self.stop.send(()).is_err() {
            tracing::warn!("the server had already ended");
        }
        if tokio::time::timeout(STOP_WAIT, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

async fn handle(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request<Body>,
) -> Response<Body> {
    let app = &shared.app;
    let request_id = app.new_id('r', app.clock.now_ms());
    let (head, body) = request.into_parts();
    let _turn = match app.enter(&head.method, head.uri.path(), head.uri.query().unwrap_or_default()) {
        Ok(turn) => turn,
        Err(fault) => return Answer::refusal(&fault, true, &request_id).into_response(&request_id),
    };
    let is_data = head.method == Method::PUT;
    let permit = if is_data { shared.data_requests.acquire().await.ok() } else { None };
    let limit = if is_data { MAX_DATA_BYTES } else { MAX_DOCUMENT_BYTES };
    let body = match to_bytes(body, limit).await {
        Ok(body) => body,
        Err(error) => {
            tracing::debug!(%error, "a body was not read to its end");
            let fault = Fault::Invalid(format!("the body is cut off or larger than {limit} bytes"));
            return Answer::refusal(&fault, true, &request_id).into_response(&request_id);
        }
    };
    let call = Call::new(head.method, &head.uri, head.headers, body, &app.address.to_string());
    if let Some(answer) = controlled(app, &call, &peer, &request_id).await {
        return answer.into_response(&request_id);
    }
    let answer = struck_or_worked(&shared, call, is_data, &peer, &request_id).await;
    drop(permit);
    answer.into_response(&request_id)
}

/// The emulator's own paths; they too may have to wait for the database.
async fn controlled(app: &Arc<App>, call: &Call, peer: &Peer, request_id: &str) -> Option<Answer> {
    if !control::is_own(call) {
        return None;
    }
    let (app, call, address, id) = (Arc::clone(app), call.clone(), peer.address, request_id.to_owned());
    Some(blocking(request_id, move || app.control(&call, address, &id, app.clock.now_ms())).await)
}

/// Does the work of a call, unless a fault rule says otherwise.
async fn struck_or_worked(
    shared: &Shared,
    call: Call,
    is_data: bool,
    peer: &Peer,
    request_id: &str,
) -> Answer {
    let Some(struck) = shared.app.faults.decide(&call) else {
        return work(shared, call, is_data, request_id).await;
    };
    if !struck.effect_after {
        take_effect(&shared.app, &call, &struck, request_id).await;
    }
    match &struck.strike {
        Strike::DropBefore => {
            peer.cut();
            return Answer::empty(500);
        }
        Strike::Status(refusal) => return refusal.answer(is_tunnel(&call), request_id),
        Strike::Committing => return committing(&shared.app, &call, request_id).await,
        Strike::Delay(delay) => tokio::time::sleep(*delay).await,
        Strike::Throttle(bytes_per_second) => {
            tokio::time::sleep(throttled(call.body.len(), *bytes_per_second)).await;
        }
        Strike::DropAfter | Strike::StatusAfter(_) | Strike::CommittingAfter | Strike::Nothing => {}
    }
    let answer = work(shared, call.clone(), is_data, request_id).await;
    if struck.effect_after {
        take_effect(&shared.app, &call, &struck, request_id).await;
    }
    match &struck.strike {
        Strike::DropAfter => {
            peer.cut();
            answer
        }
        Strike::StatusAfter(refusal) => refusal.answer(is_tunnel(&call), request_id),
        Strike::CommittingAfter => committing(&shared.app, &call, request_id).await,
        Strike::Committing
        | Strike::DropBefore
        | Strike::Status(_)
        | Strike::Delay(_)
        | Strike::Throttle(_)
        | Strike::Nothing => answer,
    }
}

/// Whether the answer to a call speaks the tunnel's language.
fn is_tunnel(call: &Call) -> bool {
    Route::of(call).map_or(!call.prefixed, |route| route.is_tunnel())
}

/// The document of a session whose commit takes longer than its request.
async fn committing(app: &Arc<App>, call: &Call, request_id: &str) -> Answer {
    let (app, call, id) = (Arc::clone(app), call.clone(), request_id.to_owned());
    let document = move || {
        let answer = app.committing_document(&call, app.clock.now_ms());
        answer.unwrap_or_else(|fault| Answer::refusal(&fault, true, &id))
    };
    blocking(request_id, document).await
}

/// What a rule does to the session of a call.
async fn take_effect(app: &Arc<App>, call: &Call, struck: &Struck, request_id: &str) {
    let Some(effect) = struck.effect else { return };
    let (app, call) = (Arc::clone(app), call.clone());
    let taken = move || {
        app.affect_session_of(&call, effect, app.clock.now_ms());
        Answer::empty(200)
    };
    blocking(request_id, taken).await;
}

/// Carries a call out on a blocking thread.
async fn work(shared: &Shared, call: Call, is_data: bool, request_id: &str) -> Answer {
    let _decoder = if is_data { shared.decoders.acquire().await.ok() } else { None };
    let app = Arc::clone(&shared.app);
    let id = request_id.to_owned();
    blocking(request_id, move || app.answer(&call, &id, app.clock.now_ms())).await
}

async fn blocking(request_id: &str, work: impl FnOnce() -> Answer + Send + 'static) -> Answer {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        tracing::error!(%error, "a request ended in a panic");
        Answer::refusal(&Fault::Internal("the request ended in a panic".to_owned()), true, request_id)
    })
}
