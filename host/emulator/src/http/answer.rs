//! Answers, and the forms of refusals.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};

use super::xml::element;
use crate::fault::Fault;

/// An answer before it becomes a response.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn empty(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub(crate) fn xml(text: String) -> Self {
        let declared = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{text}");
        Self::bytes("application/xml", declared.into_bytes())
    }

    pub(crate) fn json(value: &serde_json::Value) -> Self {
        Self::bytes("application/json", value.to_string().into_bytes())
    }

    pub(crate) fn bytes(content_type: &str, body: Vec<u8>) -> Self {
        Self { status: 200, headers: vec![("Content-Type".to_owned(), content_type.to_owned())], body }
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// An error document in the tunnel's JSON or the service's XML; its status is still to be set.
    pub(super) fn error(code: &str, message: &str, tunnel: bool, request_id: &str) -> Self {
        if tunnel {
            return Self::json(&serde_json::json!({
                "Code": code, "Message": message, "RequestId": request_id, "HoldClientMillis": 0,
            }));
        }
        let parts = [
            element("Code", code),
            element("Message", message),
            element("RequestId", request_id),
            element("HostId", "localhost"),
        ];
        Self::xml(format!("<Error>{}</Error>", parts.concat()))
    }

    /// A refusal in the tunnel's JSON or the service's XML.
    pub(crate) fn refusal(fault: &Fault, tunnel: bool, request_id: &str) -> Self {
        let (code, message) = if tunnel {
            (fault.tunnel_code(), fault.to_string())
        } else {
            (fault.service_code(), fault.service_message())
        };
        let answer = Self::error(code, &message, tunnel, request_id).with_status(fault.status());
        match fault {
            Fault::SchemaModified { latest } => {
                answer.with("odps-tunnel-latest-schema-version", latest.to_string())
            }
            Fault::SlotMoved { to: Some(server) } => answer.with("odps-tunnel-routed-server", server.clone()),
            _ => answer,
        }
    }

    pub(crate) fn into_response(self, request_id: &str) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body));
        // Statuses come from our own tables and from fault rules, which are checked when they are set.
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let id = [("x-odps-request-id".to_owned(), request_id.to_owned())];
        for (name, value) in self.headers.into_iter().chain(id) {
            let name = HeaderName::try_from(name);
            if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value)) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}
