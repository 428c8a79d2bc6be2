//! The part of a request's way that looks at its line and its documents, without a server around it.

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Uri};

use super::call::{Call, percent_decode};
use super::control;
use super::instances;
use super::route::Route;
use super::xml;
use crate::store::parse_partition;

/// Takes a request apart; its target is `method space target`.
pub(crate) fn request(line: &str, body: &[u8]) {
    let (method, target) = line.split_once(' ').unwrap_or(("GET", line));
    assert!(percent_decode(target).len() <= target.len() * 3, "decoding makes no text longer than its bytes");
    let _ = xml::texts(body);
    instances::read_only(body);
    control::read_only(body);
    let (Ok(method), Ok(uri)) = (method.parse::<Method>(), target.parse::<Uri>()) else { return };
    let call = Call::new(method, &uri, HeaderMap::new(), Bytes::copy_from_slice(body), "localhost:1");
    if let Some(route) = Route::of(&call) {
        assert!(!route.kind().is_empty());
    }
    let _ = call.number::<u64>("blockid");
    let _ = call.parameter("partition").map(parse_partition);
}
