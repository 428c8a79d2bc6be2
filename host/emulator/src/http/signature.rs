//! Checking who sent a request.
//!
//! The string to sign is the method, the signed headers and the resource. Clients differ in how they write
//! the resource: the Java and Go clients sign raw parameter values and the path as sent, the Python client
//! decodes the whole URL and then reads the query as a form. For ordinary names all are the same; where they
//! are not, each reading is accepted.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::Sha256;

use super::call::{Call, percent_decode, split_query};
use crate::fault::Fault;

/// Accepted pairs of access id and key.
#[derive(Clone)]
pub(crate) struct Credentials(Vec<(String, String)>);

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(id, _)| (id, "***"))).finish()
    }
}

/// The pair that works unless others are given.
const DEFAULT_PAIR: (&str, &str) = ("sluicebox", "sluicebox");

impl Credentials {
    pub(crate) fn new(pairs: Vec<(String, String)>) -> Self {
        if pairs.is_empty() {
            return Self(vec![(DEFAULT_PAIR.0.to_owned(), DEFAULT_PAIR.1.to_owned())]);
        }
        Self(pairs)
    }

    /// An id to connect with, and its key where that is no secret.
    pub(crate) fn shown(&self) -> (&str, Option<&str>) {
        let (id, key) = self.0.first().map_or(DEFAULT_PAIR, |(id, key)| (id, key));
        (id, ((id, key) == DEFAULT_PAIR).then_some(key))
    }

    /// The key of an account.
    pub(super) fn key_of(&self, id: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == id).map(|(_, key)| key.as_str())
    }

    /// The account that a call says it is signed by.
    pub(super) fn signer<'c>(&self, call: &'c Call) -> Option<(&'c str, &str)> {
        let (credential, _) = call.header("authorization")?.strip_prefix("ODPS ")?.rsplit_once(':')?;
        let id = Scope::parse(credential.trim())?.id;
        Some((id, self.key_of(id)?))
    }

    /// Accepts a call signed with one of the keys, and, where an application signed beside the user, with the
    /// application's key, which is another of the accounts. A temporary token beside it is not looked at.
    pub(super) fn verify(&self, call: &Call) -> Result<(), Fault> {
        let refuse = |text: &str| Err(Fault::Unauthorized(text.to_owned()));
        let Some(header) = call.header("authorization") else {
            return refuse("the request carries no Authorization header");
        };
        let Some((credential, signature)) =
            header.strip_prefix("ODPS ").and_then(|rest| rest.trim().rsplit_once(':'))
        else {
            return refuse("the Authorization header is not `ODPS id:signature`");
        };
        let Ok(signature) = STANDARD.decode(signature) else {
            return refuse("the signature is not base64");
        };
        let Some(scope) = Scope::parse(credential) else {
            return refuse("the credential is neither `id` nor `id/date/region/odps/aliyun_v4_request`");
        };
        let Some(key) = self.key_of(scope.id) else {
            return refuse("the access id is not known");
        };
        let key = scope.signing_key(key);
        let matches =
            |text: String| mac::<Hmac<Sha1>>(&key, text.as_bytes()).verify_slice(&signature).is_ok();
        if !strings_to_sign(call).into_iter().any(matches) {
            return refuse("the request signature does not match; check the access key");
        }
        match call.header("application-authentication") {
            Some(application) => self.verify_application(application, header),
            None => Ok(()),
        }
    }

    /// `account_provider:aliyun,signature_method:hmac-sha1,access_id:..,signature:..`; what is signed is the
    /// user's whole Authorization.
    fn verify_application(&self, application: &str, authorization: &str) -> Result<(), Fault> {
        let part = |name: &str| {
            let mut parts = application.split(',').filter_map(|part| part.split_once(':'));
            parts.find(|(found, _)| found.trim() == name).map(|(_, value)| value.trim())
        };
        let key = part("access_id").and_then(|id| self.key_of(id));
        let signature = part("signature").and_then(|text| STANDARD.decode(text).ok());
        match (key, signature) {
            (Some(key), Some(signature)) if keyed(key, authorization).verify_slice(&signature).is_ok() => {
                Ok(())
            }
            _ => Err(Fault::Unauthorized("the application's signature does not match".to_owned())),
        }
    }
}

/// HMAC-SHA1 of a text, with which requests, applications and tokens are signed.
pub(super) fn keyed(key: &str, text: &str) -> Hmac<Sha1> {
    mac(key.as_bytes(), text.as_bytes())
}

/// What stands before the signature.
struct Scope<'a> {
    id: &'a str,
    /// Date and region of a version 4 signature.
    v4: Option<(&'a str, &'a str)>,
}

impl<'a> Scope<'a> {
    fn parse(credential: &'a str) -> Option<Self> {
        let parts: Vec<&str> = credential.split('/').collect();
        match parts.as_slice() {
            [id] => Some(Self { id, v4: None }),
            [id, date, region, "odps", "aliyun_v4_request"] => Some(Self { id, v4: Some((date, region)) }),
            _ => None,
        }
    }

    fn signing_key(&self, access_key: &str) -> Vec<u8> {
        let Some((date, region)) = self.v4 else { return access_key.as_bytes().to_vec() };
        let first = format!("aliyun_v4{access_key}").into_bytes();
        [date, region, "odps", "aliyun_v4_request"].iter().fold(first, |key, part| {
            mac::<Hmac<Sha256>>(&key, part.as_bytes()).finalize().into_bytes().to_vec()
        })
    }
}

fn mac<M: Mac + hmac::digest::KeyInit>(key: &[u8], text: &[u8]) -> M {
    let mut mac = <M as Mac>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    mac
}

/// Every accepted reading of the call.
fn strings_to_sign(call: &Call) -> Vec<String> {
    let raw = call.parameters.clone();
    let decoded_path = percent_decode(&call.path);
    let as_form = form_parameters(&percent_decode(&call.query));
    [(call.path.as_str(), &raw), (&decoded_path, &raw), (&decoded_path, &as_form)]
        .into_iter()
        .map(|(path, parameters)| string_to_sign(call, path, parameters))
        .collect()
}

/// Parameters of a query read as a form: `+` is a blank, and of two with one name the last counts.
fn form_parameters(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| percent_decode(&text.replace('+', " "));
    let mut parameters: Vec<(String, String)> = Vec::new();
    for (name, value) in split_query(query) {
        let (name, value) = (decode(name), decode(value));
        match parameters.iter_mut().find(|(found, _)| *found == name) {
            Some(found) => found.1 = value,
            None => parameters.push((name, value)),
        }
    }
    parameters
}

fn string_to_sign(call: &Call, path: &str, parameters: &[(String, String)]) -> String {
    let mut lines = vec![call.method.as_str().to_owned()];
    for name in ["content-md5", "content-type", "date"] {
        lines.push(call.header(name).unwrap_or_default().to_owned());
    }
    let headers = call
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())));
    let mut own: Vec<(String, String)> =
        headers.chain(parameters.iter().cloned()).filter(|(name, _)| name.starts_with("x-odps-")).collect();
    own.sort();
    lines.extend(own.into_iter().map(|(name, value)| format!("{name}:{value}")));
    lines.push(resource(path, parameters));
    lines.join("\n")
}

fn resource(path: &str, parameters: &[(String, String)]) -> String {
    if parameters.is_empty() {
        return path.to_owned();
    }
    let mut sorted: Vec<&(String, String)> = parameters.iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    let texts: Vec<String> = sorted
        .into_iter()
        .map(|(name, value)| if value.is_empty() { name.clone() } else { format!("{name}={value}") })
        .collect();
    format!("{path}?{}", texts.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Bytes;
    use axum::http::{HeaderMap, HeaderName, Method, Uri};

    const DATE: &str = "Sat, 09 Mar 2024 12:00:00 GMT";

    fn credentials() -> Credentials {
        Credentials::new(vec![("LTAIexampleKeyId".into(), "exampleSecretKeyForDocs01".into())])
    }

    fn call(method: Method, uri: &str, headers: &[(&str, &str)]) -> Call {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        Call::new(method, &uri.parse::<Uri>().unwrap(), map, Bytes::new(), "localhost:1")
    }

    fn recorded() -> Vec<serde_json::Value> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/maxcompute/auth.json");
        let document: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        document["vectors"].as_array().unwrap().clone()
    }

    /// The call of a recorded vector, with one of its signatures, and the accounts it needs.
    fn recorded_call(vector: &serde_json::Value, authorization: &str) -> (Call, Credentials) {
        let text = |name: &str| vector[name].as_str().unwrap_or_default();
        let path = text("endpoint").splitn(4, '/').nth(3).map_or(String::new(), |path| format!("/{path}"));
        let mut headers: Vec<(&str, &str)> = vec![("authorization", authorization)];
        for name in ["headers", "extra_headers"] {
            let listed = vector[name].as_object().into_iter().flatten();
            headers.extend(listed.map(|(name, value)| (name.as_str(), value.as_str().unwrap())));
        }
        let target = format!("{path}{}", text("request_target_after_endpoint"));
        let call = call(text("method").parse().unwrap(), &target, &headers);
        let pair = |id: &str, key: &str| (text(id).to_owned(), text(key).to_owned());
        let pairs = vec![pair("access_id", "access_key"), pair("app_access_id", "app_access_key")];
        (call, Credentials::new(pairs))
    }

    #[test]
    fn every_recorded_signature_is_accepted_and_no_changed_one() {
        let vectors = recorded();
        assert_eq!(vectors.len(), 17);
        for vector in &vectors {
            for name in ["authorization", "pyodps_authorization"] {
                let Some(authorization) = vector[name].as_str() else { continue };
                let (good, credentials) = recorded_call(vector, authorization);
                credentials.verify(&good).unwrap_or_else(|error| panic!("{vector}: {error}"));
                let mut longer = good.clone();
                longer.query.push_str("&x=1");
                longer.parameters.push(("x".to_owned(), "1".to_owned()));
                assert!(credentials.verify(&longer).is_err(), "{vector}");
            }
        }
    }

    #[test]
    fn an_application_must_sign_what_the_user_signed() {
        let vectors = recorded();
        let with_application = vectors.iter().filter(|vector| vector["app_access_id"].is_string());
        let mut checked = 0;
        for vector in with_application {
            let (good, credentials) = recorded_call(vector, vector["authorization"].as_str().unwrap());
            credentials.verify(&good).unwrap();
            let user_alone = Credentials::new(vec![credentials.0[0].clone()]);
            assert!(user_alone.verify(&good).is_err(), "{vector}");
            let mut other = credentials.clone();
            other.0[1].1.push('x');
            assert!(other.verify(&good).is_err(), "{vector}");
            checked += 1;
        }
        assert_eq!(checked, 2);
    }

    #[test]
    fn anything_changed_in_the_request_is_refused() {
        let authorization = ("authorization", "ODPS LTAIexampleKeyId:jeuD/Ux4jdiHHPWRNM2BzvC+SR8=");
        let good = call(Method::GET, "/projects/mc_proj", &[("date", DATE), authorization]);
        credentials().verify(&good).unwrap();
        for bad in [
            call(Method::PUT, "/projects/mc_proj", &[("date", DATE), authorization]),
            call(Method::GET, "/projects/mc_prok", &[("date", DATE), authorization]),
            call(Method::GET, "/projects/mc_proj?x", &[("date", DATE), authorization]),
            call(Method::GET, "/projects/mc_proj", &[authorization]),
            call(Method::GET, "/projects/mc_proj", &[("date", DATE), authorization, ("x-odps-a", "b")]),
            call(Method::GET, "/projects/mc_proj", &[("date", DATE)]),
        ] {
            assert!(matches!(credentials().verify(&bad), Err(Fault::Unauthorized(_))));
        }
    }

    #[test]
    fn keys_do_not_show_in_logs() {
        assert!(!format!("{:?}", credentials()).contains("exampleSecret"));
    }
}
