//! The JSON in which files and commands give credentials: the one that the service's own tools write, in either of the
//! two spellings that they use.

use std::time::SystemTime;

use chrono::DateTime;
use serde::Deserialize;

use super::Credentials;
use crate::{Account, Secret};

#[derive(Deserialize)]
struct Document {
    #[serde(alias = "AccessKeyId")]
    access_key_id: String,
    #[serde(alias = "AccessKeySecret")]
    access_key_secret: String,
    #[serde(alias = "SecurityToken", alias = "sts_token")]
    security_token: Option<String>,
    #[serde(alias = "Expiration")]
    expiration: Option<String>,
}

/// Reads a document; the error names what is wrong, never what is in it.
pub(super) fn read(bytes: &[u8]) -> Result<Credentials, String> {
    // The parser's own message may quote a value.
    let raw: Document = serde_json::from_slice(bytes).map_err(|fault| {
        format!(
            "not JSON with `access_key_id` and `access_key_secret` (line {}, column {})",
            fault.line(),
            fault.column()
        )
    })?;
    if raw.access_key_id.is_empty() || raw.access_key_secret.is_empty() {
        return Err("`access_key_id` or `access_key_secret` is empty".to_owned());
    }
    let mut account = Account::new(raw.access_key_id, Secret::new(raw.access_key_secret));
    if let Some(token) = raw.security_token.filter(|token| !token.is_empty()) {
        account = account.with_sts_token(Secret::new(token));
    }
    let expires = match raw.expiration.filter(|text| !text.is_empty()) {
        Some(text) => Some(instant(&text)?),
        None => None,
    };
    Ok(Credentials { expires, ..Credentials::lasting(account) })
}

fn instant(text: &str) -> Result<SystemTime, String> {
    let parsed = DateTime::parse_from_rfc3339(text);
    parsed
        .map(SystemTime::from)
        .map_err(|_| format!("`expiration` is `{text}`, not like 2024-03-09T12:00:00Z"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn both_spellings_are_read() {
        let token = Account::new("id", Secret::new("key")).with_sts_token(Secret::new("token"));
        let lasting = Account::new("id", Secret::new("key"));
        let cases = [
            (r#"{"access_key_id":"id","access_key_secret":"key"}"#, &lasting, None),
            (
                r#"{"mode":"AK","access_key_id":"id","access_key_secret":"key","sts_token":""}"#,
                &lasting,
                None,
            ),
            (
                r#"{"mode":"StsToken","access_key_id":"id","access_key_secret":"key","sts_token":"token"}"#,
                &token,
                None,
            ),
            (
                r#"{"AccessKeyId":"id","AccessKeySecret":"key","SecurityToken":"token",
                    "Expiration":"2024-03-09T12:00:00Z","Code":"Success"}"#,
                &token,
                Some(1_709_985_600),
            ),
        ];
        for (text, account, expires) in cases {
            let read = read(text.as_bytes()).unwrap();
            assert_eq!(read.account, *account, "{text}");
            assert_eq!(
                read.expires,
                expires.map(|at| SystemTime::UNIX_EPOCH + Duration::from_secs(at)),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_secret() {
        let cases = [
            ("", "not JSON"),
            (r#"{"access_key_id":"id","access_key_secret":"S3CRET""#, "not JSON"),
            (r#"{"access_key_id":"id"}"#, "not JSON"),
            (r#"{"access_key_id":5,"access_key_secret":"S3CRET"}"#, "not JSON"),
            (r#"{"access_key_id":"id","access_key_secret":["S3CRET"]}"#, "not JSON"),
            (r#"{"access_key_id":"","access_key_secret":"S3CRET"}"#, "is empty"),
            (r#"{"access_key_id":"i","access_key_secret":"S3CRET","expiration":"soon"}"#, "`soon`"),
        ];
        for (text, says) in cases {
            let fault = read(text.as_bytes()).unwrap_err();
            assert!(fault.contains(says), "{text}: {fault}");
            assert!(!fault.contains("S3CRET"), "{text}: {fault}");
        }
    }
}
