//! The HTTP server.
//!
//! A request is read whole, checked against the fault rules, and carried out on a blocking thread, since all
//! work is decoding and database. The rules and counters have their own paths, open to this machine only.

mod answer;
mod app;
mod call;
mod documents;
mod downloads;
mod faults;
mod instances;
mod listener;
mod route;
mod service;
mod sessions;
mod signature;
mod xml;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{Method, Request, Response};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

pub(crate) use app::App;
pub(crate) use signature::Credentials;

use answer::Answer;
use call::Call;
use faults::Strike;
use listener::{CuttableListener, Peer};

use crate::fault::Fault;
use crate::store::now_ms;

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
    let request_id = app.new_id('r', now_ms());
    let (head, body) = request.into_parts();
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
    if let Some(answer) = control(app, &call, peer.address, &request_id) {
        return answer.into_response(&request_id);
    }
    let strike = app.faults.decide(&call);
    let answer = match &strike {
        Some(Strike::DropBefore) => {
            peer.cut();
            return Answer::empty(500).into_response(&request_id);
        }
        Some(Strike::Status(status, headers)) => struck(*status, headers, &request_id),
        _ => {
            if let Some(Strike::Delay(delay)) = &strike {
                tokio::time::sleep(*delay).await;
            }
            work(&shared, call, is_data, request_id.clone()).await
        }
    };
    drop(permit);
    match &strike {
        Some(Strike::DropAfter) => {
            peer.cut();
            answer.into_response(&request_id)
        }
        Some(Strike::StatusAfter(status, headers)) => {
            struck(*status, headers, &request_id).into_response(&request_id)
        }
        _ => answer.into_response(&request_id),
    }
}

/// Carries a call out on a blocking thread.
async fn work(shared: &Shared, call: Call, is_data: bool, request_id: String) -> Answer {
    let _decoder = if is_data { shared.decoders.acquire().await.ok() } else { None };
    let app = Arc::clone(&shared.app);
    let id = request_id.clone();
    let task = tokio::task::spawn_blocking(move || app.answer(&call, &id, now_ms()));
    task.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a request ended in a panic");
        Answer::refusal(&Fault::Internal("the request ended in a panic".to_owned()), true, &request_id)
    })
}

/// The answer that a fault rule gives.
fn struck(status: u16, headers: &[(String, String)], request_id: &str) -> Answer {
    let code = match status {
        429 => "FlowExceeded",
        503 => "ServiceUnavailable",
        500.. => "InternalServerError",
        _ => "InvalidArgument",
    };
    let document = serde_json::json!({
        "Code": code, "Message": "answered by a fault rule", "RequestId": request_id, "HoldClientMillis": 0,
    });
    let answer =
        if status < 300 { Answer::empty(status) } else { Answer::json(&document).with_status(status) };
    headers.iter().fold(answer, |answer, (name, value)| answer.with(name, value.clone()))
}

/// Paths of the emulator itself, unsigned, for this machine only. `/init` is what tests written for the
/// other emulator call first.
fn control(app: &App, call: &Call, peer: SocketAddr, request_id: &str) -> Option<Answer> {
    let own = match call.path.as_str() {
        "/init" => return Some(Answer::empty(200)),
        "/emulator/faults" | "/emulator/stats" => call.path.as_str(),
        _ => return None,
    };
    let refuse = |fault: Fault| Some(Answer::refusal(&fault, true, request_id));
    if !peer.ip().to_canonical().is_loopback() {
        return refuse(Fault::Unauthorized("control paths are open to this machine only".to_owned()));
    }
    match (call.method.as_str(), own) {
        ("GET", "/emulator/stats") => {
            Some(Answer::json(&serde_json::to_value(app.counters.read()).unwrap_or_default()))
        }
        ("GET", "/emulator/faults") => Some(Answer::json(&app.faults.list())),
        ("DELETE", "/emulator/faults") => {
            app.faults.clear();
            Some(Answer::empty(204))
        }
        ("POST", "/emulator/faults") => match app.faults.add(&call.body) {
            Ok(added) => Some(Answer::json(&serde_json::json!({ "added": added }))),
            Err(fault) => refuse(fault),
        },
        _ => refuse(Fault::NoSuchPath(call.path.clone())),
    }
}
