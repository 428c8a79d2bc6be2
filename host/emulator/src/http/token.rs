//! Bearer tokens: whoever holds one may do for a while what its issuer may.
//!
//! A token is the base64 text of `bearer,id,expires,signature`, the time in seconds since the epoch. The Python
//! client reads the time from the third place. The signature is made with the issuer's key, so tokens outlive
//! the process and end with the account.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::Mac;
use serde::Deserialize;

use super::call::Call;
use super::signature::{Credentials, keyed};
use crate::fault::Fault;

/// Lifetime unless the client asks for another.
const DEFAULT_HOURS: i64 = 24;

/// Longest lifetime: the month that the Python client asks for its links.
const MAX_HOURS: i64 = 720;

/// What a client wants of its token. The policy is read and not enforced: there are no users here.
#[derive(Debug, Deserialize)]
struct Request {
    expires_in_hours: Option<i64>,
}

/// Issues a token to whoever signed the call.
pub(super) fn issue(call: &Call, credentials: &Credentials, now_ms: i64) -> Result<String, Fault> {
    let request: Request = serde_json::from_slice(&call.body)
        .map_err(|error| Fault::Invalid(format!("the body is not readable: {error}")))?;
    let hours = request.expires_in_hours.unwrap_or(DEFAULT_HOURS);
    if !(1..=MAX_HOURS).contains(&hours) {
        return Err(Fault::Invalid(format!("`expires_in_hours` must be 1 to {MAX_HOURS}")));
    }
    let (id, key) = credentials
        .signer(call)
        .ok_or_else(|| Fault::Unauthorized("a token is issued to a signed request only".to_owned()))?;
    let claim = format!("bearer,{id},{}", now_ms / 1000 + hours * 3600);
    let signature = STANDARD.encode(keyed(key, &claim).finalize().into_bytes());
    Ok(STANDARD.encode(format!("{claim},{signature}")))
}

/// Accepts a token that one of the accounts issued and whose time is not over.
pub(super) fn verify(token: &str, credentials: &Credentials, now_ms: i64) -> Result<(), Fault> {
    let refuse = |text: &str| Err(Fault::Unauthorized(text.to_owned()));
    let text = STANDARD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let Some((claim, signature)) = text.as_deref().and_then(|text| text.rsplit_once(',')) else {
        return refuse("the bearer token is not one of ours");
    };
    let ["bearer", id, expires_s] = claim.split(',').collect::<Vec<_>>()[..] else {
        return refuse("the bearer token is not one of ours");
    };
    let (Some(key), Ok(signature)) = (credentials.key_of(id), STANDARD.decode(signature)) else {
        return refuse("the bearer token's issuer is not known");
    };
    if keyed(key, claim).verify_slice(&signature).is_err() {
        return refuse("the bearer token was not issued here");
    }
    match expires_s.parse::<i64>() {
        Ok(expires_s) if now_ms / 1000 < expires_s => Ok(()),
        _ => refuse("the bearer token has expired"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Bytes;
    use axum::http::{HeaderMap, Method, Uri};

    const NOW_MS: i64 = 1_709_985_600_000;

    fn credentials(key: &str) -> Credentials {
        Credentials::new(vec![("me".into(), key.into())])
    }

    fn issued(body: &'static str) -> Result<String, Fault> {
        let headers = HeaderMap::from_iter([(
            axum::http::header::AUTHORIZATION,
            axum::http::HeaderValue::from_static("ODPS me:c2ln"),
        )]);
        let uri = Uri::from_static("/projects/p/authorization?sign_bearer_token");
        let call = Call::new(Method::POST, &uri, headers, Bytes::from_static(body.as_bytes()), "h:1");
        issue(&call, &credentials("key"), NOW_MS)
    }

    #[test]
    fn a_token_is_good_until_its_hour_and_only_with_its_key() {
        let token = issued(r#"{"expires_in_hours": 1, "policy": {}}"#).unwrap();
        let hour_ms = 3_600_000;
        verify(&token, &credentials("key"), NOW_MS + hour_ms - 1).unwrap();
        for (token, key, now_ms) in [
            (token.as_str(), "key", NOW_MS + hour_ms),
            (&token, "other", NOW_MS),
            ("AAAA", "key", NOW_MS),
            ("", "key", NOW_MS),
        ] {
            let refused = verify(token, &credentials(key), now_ms);
            assert!(matches!(refused, Err(Fault::Unauthorized(_))), "{token} {key} {now_ms}");
        }
        let mut changed = STANDARD.decode(&token).unwrap();
        changed[10] ^= 1;
        verify(&STANDARD.encode(changed), &credentials("key"), NOW_MS).expect_err("the claim was changed");
    }

    #[test]
    fn a_token_lives_a_month_at_most() {
        for body in [r#"{"expires_in_hours": 721}"#, r#"{"expires_in_hours": 0}"#, "text"] {
            assert!(matches!(issued(body), Err(Fault::Invalid(_))), "{body}");
        }
        issued("{}").unwrap();
    }
}
