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

    /// Accepts a call signed with one of the keys. A temporary token beside it is not looked at.
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
        let Some((_, key)) = self.0.iter().find(|(id, _)| id == scope.id) else {
            return refuse("the access id is not known");
        };
        let key = scope.signing_key(key);
        let matches =
            |text: String| mac::<Hmac<Sha1>>(&key, text.as_bytes()).verify_slice(&signature).is_ok();
        if strings_to_sign(call).into_iter().any(matches) {
            Ok(())
        } else {
            refuse("the request signature does not match; check the access key")
        }
    }
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

    #[test]
    fn recorded_signatures_of_both_versions_are_accepted() {
        let upsert = "/projects/mc_proj/schemas/sc1/tables/orders/upserts?slotnum=1&quotaName=q1";
        let agent = ("x-odps-user-agent", "example-writer/1.0");
        let v2 = call(
            Method::POST,
            upsert,
            &[
                ("date", DATE),
                agent,
                ("x-odps-tunnel-version", "6"),
                ("authorization", "ODPS LTAIexampleKeyId:HCbTp7reSjWYhDsi9VbQIXj8+RY="),
            ],
        );
        credentials().verify(&v2).unwrap();
        let scope = "ODPS LTAIexampleKeyId/20240309/cn-hangzhou/odps/aliyun_v4_request";
        let v4 = call(
            Method::GET,
            "/api/projects/mc_proj?curr_project=mc_proj",
            &[("date", DATE), agent, ("authorization", &format!("{scope}:zEfUjjC3Xqd/GHnVI6HszmpWyLM="))],
        );
        credentials().verify(&v4).unwrap();
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
