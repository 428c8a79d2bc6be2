//! A request, taken apart.

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Uri};

use crate::fault::Fault;

/// Prefix of the service API's paths; it belongs to the endpoint and is not signed.
const SERVICE_PREFIX: &str = "/api";

/// One request with its whole body.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Path without the service prefix, still percent-encoded.
    pub(crate) path: String,
    /// The query as sent.
    pub(crate) query: String,
    /// Whether the path had the service prefix.
    pub(crate) prefixed: bool,
    pub(crate) segments: Vec<String>,
    /// Parameters in the order sent, percent-decoded; a parameter without value has an empty one.
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The `host:port` by which the client reached this server.
    pub(crate) host: String,
}

impl Call {
    pub(crate) fn new(
        method: Method,
        uri: &Uri,
        headers: HeaderMap,
        body: Bytes,
        fallback_host: &str,
    ) -> Self {
        let whole = uri.path();
        let rest = whole.strip_prefix(SERVICE_PREFIX).filter(|rest| rest.starts_with('/') || rest.is_empty());
        let path = rest.unwrap_or(whole).to_owned();
        let query = uri.query().unwrap_or_default().to_owned();
        let segments = path.split('/').filter(|part| !part.is_empty()).map(percent_decode).collect();
        let parameters = split_query(&query).map(|(n, v)| (percent_decode(n), percent_decode(v))).collect();
        let host = headers.get("host").and_then(|host| host.to_str().ok());
        // The Java upsert writer sends its host without the port; such a text leads nowhere.
        let host = host.filter(|host| host.contains(':')).unwrap_or(fallback_host).to_owned();
        Self { method, path, query, prefixed: rest.is_some(), segments, parameters, headers, body, host }
    }

    /// A parameter's value; empty when it was sent without one.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.parameter(name).is_some()
    }

    pub(crate) fn required(&self, name: &str) -> Result<&str, Fault> {
        self.parameter(name).ok_or_else(|| Fault::Invalid(format!("parameter `{name}` is missing")))
    }

    /// A parameter that is a number; `None` when it is absent.
    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Fault> {
        let Some(text) = self.parameter(name) else { return Ok(None) };
        let number =
            text.parse().map_err(|_| Fault::Invalid(format!("parameter `{name}` is not a number")))?;
        Ok(Some(number))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// The parts of a query, not decoded.
pub(crate) fn split_query(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter(|part| !part.is_empty()).map(|part| part.split_once('=').unwrap_or((part, "")))
}

/// Decodes `%XX`; anything else stays, also `+`.
pub(crate) fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let pair = (byte == b'%').then(|| bytes.get(at + 1..at + 3)).flatten();
        let decoded = pair.and_then(|pair| std::str::from_utf8(pair).ok());
        if let Some(value) = decoded.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            out.push(value);
            at += 3;
        } else {
            out.push(byte);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_encoding_is_resolved_once_and_plus_stays() {
        assert_eq!(percent_decode("ds%3D%271%27+%2541%"), "ds='1'+%41%");
        assert_eq!(percent_decode("%E4%B8%AD"), "中");
    }
}
