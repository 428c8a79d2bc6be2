//! How often the service lets a table be used; more is answered with 429 `FlowExceeded`, and clients wait.
//!
//! The numbers are the service's documented ones. The counts end with the process.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use axum::http::Method;

use crate::fault::Fault;
use crate::store::{Table, lock};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Use {
    Upload,
    Download,
    Commit,
}

impl Use {
    /// So many in so many milliseconds.
    fn limit(self) -> (usize, i64) {
        match self {
            Self::Upload => (500, 300_000),
            Self::Download => (200, 300_000),
            Self::Commit => (75, 15_000),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Upload => "upload sessions",
            Self::Download => "download sessions",
            Self::Commit => "commits",
        }
    }
}

/// Moments of the uses that still count, oldest first. Never longer than the limit.
#[derive(Debug, Default)]
struct Window(VecDeque<i64>);

impl Window {
    /// Counts a use, unless there were too many.
    fn admit(&mut self, limit: usize, span_ms: i64, now_ms: i64) -> bool {
        while self.0.front().is_some_and(|first| now_ms - first >= span_ms) {
            self.0.pop_front();
        }
        let admitted = self.0.len() < limit;
        if admitted {
            self.0.push_back(now_ms);
        }
        admitted
    }
}

/// The counts of all tables.
#[derive(Debug, Default)]
pub(super) struct Limits(Mutex<HashMap<(i64, Use), Window>>);

impl Limits {
    /// Counts a use of a table, or refuses it.
    pub(super) fn admit(&self, table: &Table, what: Use, now_ms: i64) -> Result<(), Fault> {
        let (limit, span_ms) = what.limit();
        if lock(&self.0).entry((table.id, what)).or_default().admit(limit, span_ms, now_ms) {
            return Ok(());
        }
        let (name, seconds) = (what.name(), span_ms / 1000);
        Err(Fault::FlowExceeded(format!("more than {limit} {name} of {} in {seconds} s", table.name)))
    }
}

/// What a table takes only so many of at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Busy {
    Commit,
    Block,
}

impl Busy {
    /// What a request is, by its head alone: its body may still be on the way.
    pub(super) fn of(method: &Method, path: &str, query: &str) -> Option<Self> {
        let has = |name: &str| query.split('&').any(|part| part.starts_with(name));
        match *method {
            _ if !path.contains("/tables/") || path.ends_with("/streams") => None,
            Method::PUT => Some(Self::Block),
            Method::POST if has("upsertid=") || has("uploadid=") => Some(Self::Commit),
            _ => None,
        }
    }

    fn limit(self) -> (usize, &'static str) {
        match self {
            Self::Commit => (32, "commits"),
            Self::Block => (500, "blocks"),
        }
    }
}

/// The requests that are being answered, by table and kind.
#[derive(Debug, Default)]
pub(super) struct Concurrency(Mutex<HashMap<(String, Busy), usize>>);

/// One of them; it ends with the value.
#[derive(Debug)]
pub(super) struct Turn<'c> {
    concurrency: &'c Concurrency,
    key: (String, Busy),
}

impl Concurrency {
    /// Counts a request of the table in `path` in, or refuses it.
    pub(super) fn enter(&self, path: &str, busy: Busy) -> Result<Turn<'_>, Fault> {
        let table = path.strip_suffix("/upserts").unwrap_or(path);
        let key = (table.to_owned(), busy);
        let (limit, name) = busy.limit();
        let mut counts = lock(&self.0);
        let count = counts.entry(key.clone()).or_default();
        if *count >= limit {
            return Err(Fault::FlowExceeded(format!("more than {limit} {name} of {table} at once")));
        }
        *count += 1;
        Ok(Turn { concurrency: self, key })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut counts = lock(&self.concurrency.0);
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_commits_and_blocks_of_a_table_run_at_once() {
        let concurrency = Concurrency::default();
        let mut turns: Vec<_> =
            (0..32).map(|_| concurrency.enter("/t/a/upserts", Busy::Commit).unwrap()).collect();
        assert!(concurrency.enter("/t/a/upserts", Busy::Commit).is_err());
        let _other_table = concurrency.enter("/t/b/upserts", Busy::Commit).unwrap();
        let _block = concurrency.enter("/t/a/upserts", Busy::Block).unwrap();
        turns.pop();
        let _again = concurrency.enter("/t/a/upserts", Busy::Commit).unwrap();
    }

    #[test]
    fn a_request_is_known_by_its_head() {
        for (method, path, query, busy) in [
            (Method::PUT, "/projects/p/tables/t/upserts", "bucketid=0&upsertid=u", Some(Busy::Block)),
            (Method::PUT, "/projects/p/tables/t", "uploadid=u&blockid=0", Some(Busy::Block)),
            (Method::POST, "/projects/p/tables/t/upserts", "upsertid=u", Some(Busy::Commit)),
            (Method::POST, "/projects/p/tables/t", "uploadid=u", Some(Busy::Commit)),
            (Method::POST, "/projects/p/tables/t/upserts", "slotnum=1", None),
            (Method::PUT, "/projects/p/tables/t/streams", "uploadid=u", None),
            (Method::GET, "/projects/p/tables/t", "uploadid=u", None),
            (Method::PUT, "/api/projects/p/instances/i", "", None),
        ] {
            assert_eq!(Busy::of(&method, path, query), busy, "{method} {path}?{query}");
        }
    }

    #[test]
    fn a_use_is_refused_until_an_old_one_leaves_the_window() {
        let mut window = Window::default();
        let admitted: Vec<bool> =
            [0, 1, 2, 9, 10, 11, 11].into_iter().map(|now| window.admit(2, 10, now)).collect();
        assert_eq!(admitted, [true, true, false, false, true, true, false]);
    }
}
