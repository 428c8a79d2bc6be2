//! How often the service lets a table be used; more is answered with 429 `FlowExceeded`, and clients wait.
//!
//! The numbers are the service's documented ones. The counts end with the process.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_is_refused_until_an_old_one_leaves_the_window() {
        let mut window = Window::default();
        let admitted: Vec<bool> =
            [0, 1, 2, 9, 10, 11, 11].into_iter().map(|now| window.admit(2, 10, now)).collect();
        assert_eq!(admitted, [true, true, false, false, true, true, false]);
    }
}
