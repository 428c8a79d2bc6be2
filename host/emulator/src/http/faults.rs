//! Failures on request: tests say which requests fail, and how.
//!
//! A rule matches by method, and by what path and query contain. Of its matching requests the `nth` and the
//! `times - 1` after it are struck. The first rule that strikes decides.
//!
//! A rule may also do something to the session that the struck request is about: before the work, or, when
//! the rule lets the work be done (`after`, `drop-after`), between the work and the answer.

use std::num::NonZeroU64;
use std::sync::Mutex;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::call::Call;
use super::route::Route;
use crate::fault::Fault;
use crate::store::lock;

/// More rules than any test needs; a forgotten clean-up is noticed.
const MAX_RULES: usize = 1000;

/// Longest delay: above the clients' own time-outs it has no meaning.
const MAX_DELAY_MS: u64 = 600_000;

/// What happens to a struck request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Strike {
    /// The connection closes, nothing is done.
    DropBefore,
    /// The work is done, then the connection closes without an answer.
    DropAfter,
    /// This status instead of the work.
    Status(Refusal),
    /// The work is done, the answer says otherwise.
    StatusAfter(Refusal),
    /// The work begins late.
    Delay(Duration),
    /// The work begins when the body would have arrived at so many bytes a second.
    Throttle(NonZeroU64),
    /// The session's document, still being committed, instead of the work.
    Committing,
    /// The work is done, the answer says that it still is.
    CommittingAfter,
    /// Only the rule's effect on the session.
    Nothing,
}

/// The answer that a rule gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    status: u16,
    code: String,
    headers: Vec<(String, String)>,
}

impl Refusal {
    /// The answer in the tunnel's JSON or the service's XML.
    pub(super) fn answer(&self, tunnel: bool, request_id: &str) -> Answer {
        let answer = match self.status {
            ..300 => Answer::empty(self.status),
            status => {
                Answer::error(&self.code, "answered by a fault rule", tunnel, request_id).with_status(status)
            }
        };
        self.headers.iter().fold(answer, |answer, (name, value)| answer.with(name, value.clone()))
    }
}

/// The service's code for a status, unless a rule names another.
fn code_of(status: u16) -> &'static str {
    match status {
        429 => "FlowExceeded",
        503 => "ServiceUnavailable",
        500.. => "InternalServerError",
        _ => "InvalidArgument",
    }
}

/// How long a body takes at a rate, at most as long as the longest delay.
pub(super) fn throttled(body_bytes: usize, bytes_per_second: NonZeroU64) -> Duration {
    let bytes = u64::try_from(body_bytes).unwrap_or(u64::MAX);
    Duration::from_millis((bytes.saturating_mul(1000) / bytes_per_second).min(MAX_DELAY_MS))
}

/// What a rule does to the session of the struck request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Effect {
    /// Its lifetime is over.
    Expire,
    /// It is not known any more.
    Forget,
    /// The slot of the request goes to another server, which the refused request is told.
    MoveSlot,
    /// The same, and the client has to find out where by reading the session.
    MoveSlotSilently,
}

/// What is decided about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Struck {
    pub(super) strike: Strike,
    pub(super) effect: Option<Effect>,
    /// The effect comes after the work.
    pub(super) effect_after: bool,
}

/// A rule as it is written. One of `status`, `committing`, `drop-before`, `drop-after`, `delay-ms` and
/// `bytes-per-second` is given, or none of them beside `session`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawRule {
    method: Option<String>,
    /// Kind of request as the counters name it, for example `upsert-put`.
    kind: Option<String>,
    /// Text that the path contains.
    path: Option<String>,
    /// Text that the percent-decoded query contains.
    query: Option<String>,
    /// First matching request that is struck, from 1.
    nth: Option<u64>,
    /// Number of requests struck from there on; 0 for all.
    times: Option<u64>,
    status: Option<u16>,
    /// With `status`, `committing` or `session`: do the work first.
    #[serde(default)]
    after: bool,
    /// With `status`: headers of the answer.
    #[serde(default)]
    headers: std::collections::BTreeMap<String, String>,
    /// The commit takes longer than its request.
    #[serde(default)]
    committing: bool,
    #[serde(default)]
    drop_before: bool,
    #[serde(default)]
    drop_after: bool,
    delay_ms: Option<u64>,
    bytes_per_second: Option<NonZeroU64>,
    /// With `status`: the code of the error document.
    code: Option<String>,
    session: Option<Effect>,
}

#[derive(Debug)]
struct Rule {
    raw: RawRule,
    struck_with: Struck,
    matched: u64,
    struck: u64,
}

impl RawRule {
    fn refusal(&self) -> Option<Refusal> {
        let status = self.status?;
        let code = self.code.clone().unwrap_or_else(|| code_of(status).to_owned());
        Some(Refusal { status, code, headers: self.headers.clone().into_iter().collect() })
    }

    fn check(self) -> Result<Rule, Fault> {
        let refuse = |text: &str| Err(Fault::Invalid(text.to_owned()));
        let strikes: Vec<Strike> = [
            self.refusal().map(|refusal| {
                if self.after { Strike::StatusAfter(refusal) } else { Strike::Status(refusal) }
            }),
            self.committing.then_some(if self.after { Strike::CommittingAfter } else { Strike::Committing }),
            self.drop_before.then_some(Strike::DropBefore),
            self.drop_after.then_some(Strike::DropAfter),
            self.delay_ms.map(|delay| Strike::Delay(Duration::from_millis(delay))),
            self.bytes_per_second.map(Strike::Throttle),
        ]
        .into_iter()
        .flatten()
        .collect();
        let strike = match strikes.as_slice() {
            [strike] => strike.clone(),
            [] if self.session.is_some() => Strike::Nothing,
            _ => {
                return refuse(
                    "a rule has `session`, or one of `status`, `committing`, `drop-before`, `drop-after`, \
                     `delay-ms`, `bytes-per-second`, or both",
                );
            }
        };
        if self.status.is_some_and(|status| !(200..=599).contains(&status)) {
            return refuse("`status` must be 200 to 599");
        }
        if self.delay_ms.is_some_and(|delay| delay > MAX_DELAY_MS) {
            return refuse("`delay-ms` must be at most 600000");
        }
        if self.nth == Some(0) {
            return refuse("`nth` counts from 1");
        }
        let effect_after = self.after || strike == Strike::DropAfter;
        let struck_with = Struck { strike, effect: self.session, effect_after };
        Ok(Rule { raw: self, struck_with, matched: 0, struck: 0 })
    }
}

impl Rule {
    fn matches(&self, method: &str, kind: &str, path: &str, query: &str) -> bool {
        let contains =
            |part: &Option<String>, text: &str| part.as_ref().is_none_or(|part| text.contains(part));
        self.raw.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && self.raw.kind.as_ref().is_none_or(|wanted| wanted == kind)
            && contains(&self.raw.path, path)
            && contains(&self.raw.query, query)
    }

    /// Counts a matching request and says whether it is struck.
    fn count(&mut self) -> bool {
        self.matched += 1;
        let first = self.raw.nth.unwrap_or(1);
        let struck = match self.raw.times.unwrap_or(1) {
            0 => self.matched >= first,
            times => (first..first.saturating_add(times)).contains(&self.matched),
        };
        self.struck += u64::from(struck);
        struck
    }
}

/// The rules in force.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<Vec<Rule>>);

impl Faults {
    /// Adds one rule or a list of them; none when one is wrong.
    pub(super) fn add(&self, body: &[u8]) -> Result<usize, Fault> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum OneOrMany {
            Many(Vec<RawRule>),
            One(Box<RawRule>),
        }
        let read: OneOrMany = serde_json::from_slice(body)
            .map_err(|error| Fault::Invalid(format!("the rules are not readable: {error}")))?;
        let raw = match read {
            OneOrMany::Many(rules) => rules,
            OneOrMany::One(rule) => vec![*rule],
        };
        let added = raw.into_iter().map(RawRule::check).collect::<Result<Vec<_>, _>>()?;
        let mut rules = lock(&self.0);
        if rules.len() + added.len() > MAX_RULES {
            return Err(Fault::Invalid(format!("more than {MAX_RULES} rules; delete old ones")));
        }
        let count = added.len();
        rules.extend(added);
        Ok(count)
    }

    pub(super) fn clear(&self) {
        lock(&self.0).clear();
    }

    /// The rules with how often each matched and struck.
    pub(super) fn list(&self) -> serde_json::Value {
        let rules = lock(&self.0);
        let each = rules.iter().map(
            |rule| serde_json::json!({"rule": rule.raw, "matched": rule.matched, "struck": rule.struck}),
        );
        each.collect()
    }

    /// What happens to this call. Every rule counts it.
    pub(super) fn decide(&self, call: &Call) -> Option<Struck> {
        let mut rules = lock(&self.0);
        if rules.is_empty() {
            return None;
        }
        let query = super::call::percent_decode(&call.query);
        let method = call.method.as_str();
        let kind = Route::of(call).map_or("unknown", |route| route.kind());
        let mut decided = None;
        for rule in rules.iter_mut().filter(|rule| rule.matches(method, kind, &call.path, &query)) {
            if rule.count() && decided.is_none() {
                decided = Some(rule.struck_with.clone());
            }
        }
        decided
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Bytes;
    use axum::http::{HeaderMap, Method, Uri};

    fn put(uri: &str) -> Call {
        Call::new(Method::PUT, &uri.parse::<Uri>().unwrap(), HeaderMap::new(), Bytes::new(), "h:1")
    }

    #[test]
    fn the_nth_matching_request_and_the_next_are_struck() {
        let faults = Faults::default();
        let rule =
            br#"{"method":"put","path":"upserts","query":"bucketid=1","nth":2,"times":2,"status":503}"#;
        faults.add(rule).unwrap();
        let hits: Vec<bool> =
            (0..5).map(|_| faults.decide(&put("/t/upserts?a&bucketid=1")).is_some()).collect();
        assert_eq!(hits, [false, true, true, false, false]);
        assert_eq!(faults.decide(&put("/t/upserts?bucketid=2")), None);
        assert_eq!(faults.list()[0]["struck"], 2);
    }

    #[test]
    fn a_rule_may_match_by_kind_and_have_an_effect_alone() {
        let faults = Faults::default();
        faults.add(br#"{"kind":"upsert-put","session":"expire","after":true}"#).unwrap();
        assert_eq!(faults.decide(&put("/projects/p/tables/t?uploadid=1")), None);
        let struck = faults.decide(&put("/projects/p/tables/t/upserts?upsertid=1")).unwrap();
        assert_eq!(
            struck,
            Struck { strike: Strike::Nothing, effect: Some(Effect::Expire), effect_after: true }
        );
    }

    #[test]
    fn a_throttled_body_takes_as_long_as_its_bytes() {
        let rate = NonZeroU64::new(1000).unwrap();
        assert_eq!(throttled(250, rate), Duration::from_millis(250));
        assert_eq!(throttled(usize::MAX, rate), Duration::from_millis(MAX_DELAY_MS));
    }

    #[test]
    fn a_rule_must_say_one_thing() {
        let faults = Faults::default();
        for bad in [
            r#"{"status":503,"drop-after":true}"#,
            r#"{"path":"x"}"#,
            r#"{"status":99}"#,
            r#"{"nth":0,"drop-before":true}"#,
            r#"{"unknown":1,"status":500}"#,
            r#"[{"status":500},{"status":1}]"#,
        ] {
            assert!(faults.add(bad.as_bytes()).is_err(), "{bad}");
        }
        assert_eq!(faults.list(), serde_json::json!([]));
    }
}
