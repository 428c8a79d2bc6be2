//! All recorded signatures.

use chrono::{DateTime, Utc};
use sluicebox_maxcompute::{Account, Secret, sign};

use crate::fixture::{json, list, split_target, text};

#[test]
fn every_recorded_signature_is_ours() {
    let file = json("auth.json");
    let vectors = list(&file, "vectors");
    for vector in vectors {
        let name = text(vector, "name");
        let (path, query) = split_target(text(vector, "request_target_after_endpoint"));
        let query: Vec<_> = query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let headers = vector["headers"].as_object().unwrap();
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
        let signed = sign::string_to_sign(text(vector, "method"), &path, &query, &headers);
        assert_eq!(signed, text(vector, "string_to_sign"), "{name}");

        let secret = |name: &str| vector[name].as_str().map(Secret::new);
        let mut account = Account::new(text(vector, "access_id"), secret("access_key").unwrap());
        if let Some(token) = secret("sts_token") {
            account = account.with_sts_token(token);
        }
        if let Some(key) = secret("app_access_key") {
            account = account.with_application(text(vector, "app_access_id"), key);
        }
        let date = headers.iter().find(|(name, _)| *name == "Date").unwrap().1;
        let now: DateTime<Utc> = DateTime::parse_from_rfc2822(date).unwrap().into();
        let proof = account.headers(&signed, vector["region"].as_str(), now);
        let sent = |name: &str| proof.iter().find(|(sent, _)| *sent == name).map(|(_, value)| value.as_str());
        assert_eq!(sent("authorization"), Some(text(vector, "authorization")), "{name}");
        let extra = vector["extra_headers"].as_object();
        assert_eq!(
            proof.len(),
            1 + extra.map_or(0, serde_json::Map::len),
            "{name}: headers beside the signature"
        );
        for (header, value) in extra.into_iter().flatten() {
            assert_eq!(sent(header), value.as_str(), "{name}: {header}");
        }
    }
    assert_eq!(vectors.len(), 17, "all recorded vectors");
}

#[test]
fn secrets_do_not_show() {
    let account = Account::new("id", Secret::new("hidden-key"))
        .with_sts_token(Secret::new("hidden-token"))
        .with_application("app", Secret::new("hidden-app"));
    let shown = format!("{account:?}");
    assert!(!shown.contains("hidden"), "{shown}");
    assert!(shown.contains("***"), "{shown}");
}
