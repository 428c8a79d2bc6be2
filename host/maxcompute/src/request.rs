//! One request as this crate thinks of it, before it is signed and sent; and the answers' error documents.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde::Deserialize;

use crate::limits::TableLimits;
use crate::retry::{Outcome, Repeat};
use crate::xml::Element;
use crate::{Answer, Error};

/// Which of the two services a request goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    /// Projects, tables, schemas, SQL instances.
    Rest,
    /// All row data.
    Tunnel,
}

/// Bytes of an answer that is held in memory whole: a table of 1200 columns with long comments is a few MiB, a query
/// result as text is cut at 10000 rows by the service.
const ANSWER_LIMIT: usize = 64 << 20;

/// A request without what all requests have: date, agent, signature.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// For errors and logs, such as ``describe `p.t` ``.
    pub(crate) operation: String,
    pub(crate) service: Service,
    pub(crate) method: Method,
    /// Behind the endpoint's own path, not percent-encoded.
    pub(crate) path: String,
    /// Not percent-encoded; an empty value is sent as the bare name.
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
    pub(crate) repeat: Repeat,
    /// Answers with more bytes are refused.
    pub(crate) answer_limit: usize,
    /// The limits of the table that it is about, where it moves rows.
    pub(crate) limits: Option<Arc<TableLimits>>,
}

impl Request {
    pub(crate) fn rest(method: Method, path: &[&str], operation: String) -> Self {
        Self::new(Service::Rest, method, path_of(path), operation)
    }

    /// A call of the tunnel. `records` tells the calls that carry records from those that manage a session, whose
    /// headers differ.
    pub(crate) fn tunnel(method: Method, path: String, operation: String, records: bool) -> Self {
        let request = Self::new(Service::Tunnel, method, path, operation)
            .header("x-odps-tunnel-version", TUNNEL_VERSION)
            .header("odps-tunnel-sdk-support-schema-evolution", "true");
        if records { request } else { request.header("odps-tunnel-date-transform", "v1") }
    }

    fn new(service: Service, method: Method, path: String, operation: String) -> Self {
        Self {
            operation,
            service,
            method,
            path,
            query: Vec::new(),
            headers: Vec::new(),
            body: Bytes::new(),
            repeat: Repeat::Harmless,
            answer_limit: ANSWER_LIMIT,
            limits: None,
        }
    }

    /// Says which table's limits count.
    pub(crate) fn of_table(mut self, limits: &Arc<TableLimits>) -> Self {
        self.limits = Some(Arc::clone(limits));
        self
    }

    pub(crate) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// Adds the parameter when there is a value.
    pub(crate) fn query_if(self, name: &'static str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The path and query as they go into the request line.
    pub(crate) fn target(&self) -> String {
        let mut target = String::with_capacity(self.path.len() + 64);
        encode(&self.path, true, &mut target);
        for (index, (name, value)) in self.query.iter().enumerate() {
            target.push(if index == 0 { '?' } else { '&' });
            encode(name, false, &mut target);
            if !value.is_empty() {
                target.push('=');
                encode(value, false, &mut target);
            }
        }
        target
    }
}

/// Protocol version of the tunnel, that of the newest client whose bytes this crate is checked with.
const TUNNEL_VERSION: &str = "6";

/// Joins names into a path.
pub(crate) fn path_of(parts: &[&str]) -> String {
    parts.iter().fold(String::new(), |path, part| path + "/" + part)
}

/// Percent-encodes all but unreserved characters; a space becomes `%20`.
fn encode(text: &str, keep_slash: bool, into: &mut String) {
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || (keep_slash && byte == b'/');
        if plain {
            into.push(char::from(byte));
        } else {
            into.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// A whole successful answer.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answered {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Reads the body as JSON.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self, operation: &str) -> crate::Result<T> {
        serde_json::from_slice(&self.body).map_err(|fault| Error::malformed(operation, fault))
    }

    /// Reads the body as XML.
    pub(crate) fn xml(&self, operation: &str) -> crate::Result<Element> {
        let text = std::str::from_utf8(&self.body).map_err(|fault| Error::malformed(operation, fault))?;
        Element::parse(text).map_err(|fault| Error::malformed(operation, fault))
    }
}

/// How one attempt failed, with all that is known of it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No connection, or none that held.
    Broken { arrived: bool, source: Box<dyn std::error::Error + Send + Sync> },
    /// An answer that is not a success.
    Answered(Refusal),
    /// Something that repeating this request cannot cure.
    Final(Error),
}

/// An answer that is not a success.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) answer: Box<Answer>,
    pub(crate) retry_after: Option<Duration>,
    /// The new place of a slot.
    pub(crate) routed_server: Option<String>,
    /// Whether there is another account to sign with than the one that was refused.
    pub(crate) renewed: bool,
}

/// Longest pause that a `Retry-After` may ask for. It is beyond any patience, and still a time that can be counted with.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 3600);
/// Longest pause that a tunnel's answer may ask for with `HoldClientMillis`, as in the Java client.
const LONGEST_HOLD: Duration = Duration::from_secs(10);
/// Codes that ask for less traffic, whatever the status.
const THROTTLED: [&str; 2] = ["FlowExceeded", "SlotExceeded"];
/// Codes that say that a session does not exist.
const SESSION_GONE: [&str; 4] =
    ["UpsertSessionNotFound", "NoSuchUpload", "NoSuchDownload", "StreamSessionNotFound"];
/// Codes that say that the account or its signature is not accepted.
const REFUSED: [&str; 3] = ["Unauthorized", "NoPermission", "ODPS-0410042"];
/// Codes that say that the table changed.
const SCHEMA_CHANGED: [&str; 2] = ["TableModified", "SchemaModified"];

impl Failure {
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Broken { arrived: false, .. } => Some(Outcome::NotSent),
            Self::Broken { arrived: true, .. } => Some(Outcome::NoAnswer),
            Self::Answered(refusal) => Some(Outcome::Answered {
                status: refusal.answer.status,
                throttled: THROTTLED.contains(&refusal.answer.code.as_str()),
                retry_after: refusal.retry_after,
                renewed: refusal.renewed,
            }),
            Self::Final(_) => None,
        }
    }

    pub(crate) fn into_error(self, operation: &str) -> Error {
        match self {
            Self::Broken { arrived, source } => {
                Error::Unreachable { operation: operation.to_owned(), maybe_arrived: arrived, source }
            }
            Self::Answered(refusal) => refusal.into_error(),
            Self::Final(error) => error,
        }
    }
}

impl Refusal {
    /// Reads an error document: XML from the service, JSON from the tunnel, anything from what stands before them.
    pub(crate) fn read(operation: &str, status: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let text = String::from_utf8_lossy(body);
        let document = ErrorDocument::read(&text);
        let request_id = document.request_id.or_else(|| header("x-odps-request-id"));
        let answer = Answer {
            operation: operation.to_owned(),
            status,
            code: document.code,
            message: document.message,
            request_id,
        };
        let asked = header("retry-after").and_then(|value| value.trim().parse().ok());
        let asked = asked.map(|seconds| Duration::from_secs(seconds).min(LONGEST_PAUSE));
        let hold = Some(document.hold).filter(|hold| !hold.is_zero());
        Self {
            answer: Box::new(answer),
            retry_after: asked.max(hold),
            routed_server: header("odps-tunnel-routed-server").filter(|server| !server.is_empty()),
            renewed: false,
        }
    }

    fn into_error(self) -> Error {
        let answer = self.answer;
        let is = |codes: &[&str]| codes.contains(&answer.code.as_str());
        if is(&SESSION_GONE) {
            Error::SessionGone(answer)
        } else if is(&SCHEMA_CHANGED) {
            Error::SchemaChanged(answer)
        } else if is(&THROTTLED) || answer.status == 429 {
            Error::Throttled { answer, retry_after: self.retry_after }
        } else if is(&REFUSED) || answer.status == 401 || answer.status == 403 {
            Error::Refused(answer)
        } else if answer.status == 404 {
            Error::NotFound(answer)
        } else if answer.status >= 500 || answer.status == 408 || answer.status == 308 {
            Error::ServerFault(answer)
        } else {
            Error::Rejected(answer)
        }
    }
}

#[derive(Debug, Default)]
struct ErrorDocument {
    code: String,
    message: String,
    request_id: Option<String>,
    hold: Duration,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawErrorDocument {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    request_id: Option<String>,
    #[serde(default)]
    hold_client_millis: i64,
}

/// Characters of an unknown error text that are kept.
const MESSAGE_LIMIT: usize = 2000;

impl ErrorDocument {
    fn read(text: &str) -> Self {
        Self::xml(text).or_else(|| Self::json(text)).unwrap_or_else(|| Self {
            message: text.trim().chars().take(MESSAGE_LIMIT).collect(),
            ..Self::default()
        })
    }

    fn xml(text: &str) -> Option<Self> {
        let document = Element::parse(text).ok().filter(|document| document.name == "Error")?;
        let part = |name| document.child(name).map(|child| child.text.trim().to_owned());
        Some(Self {
            code: part("Code").unwrap_or_default(),
            message: part("Message").unwrap_or_default(),
            request_id: part("RequestId").filter(|id| !id.is_empty()),
            hold: Duration::ZERO,
        })
    }

    fn json(text: &str) -> Option<Self> {
        let raw: RawErrorDocument = serde_json::from_str(text).ok()?;
        let hold = Duration::from_millis(u64::try_from(raw.hold_client_millis).unwrap_or(0));
        Some(Self {
            code: raw.code,
            message: raw.message,
            request_id: raw.request_id.filter(|id| !id.is_empty()),
            hold: hold.min(LONGEST_HOLD),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits are multiplied and added up, which must not overflow.
    #[test]
    fn a_pause_without_end_is_a_long_pause() {
        for (said, pause) in
            [("7", Some(7)), ("18446744073709551615", Some(86_400)), ("-1", None), ("soon", None)]
        {
            let headers = HeaderMap::from_iter([(
                reqwest::header::RETRY_AFTER,
                said.parse().expect("a header's value"),
            )]);
            let refusal = Refusal::read("read", 429, &headers, b"");
            assert_eq!(refusal.retry_after, pause.map(Duration::from_secs), "{said}");
        }
    }
}
