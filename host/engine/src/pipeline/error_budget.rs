//! How many events a plugin may fail on before it counts as broken.
//!
//! `skip` and `dead-letter` are for the odd row. A plugin that fails on everything, after a careless new version of it or of
//! the source's application, must not empty a table into the dead letters. So failures are counted in windows of a minute, and
//! one too many stops the pipeline; the batch that it was in is not delivered, so nothing is lost.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Long enough that a burst of bad rows is seen whole, short enough that an old one is forgotten.
const WINDOW: Duration = Duration::from_secs(60);

/// One plugin's, shared by all workers.
#[derive(Debug)]
pub(crate) struct ErrorBudget {
    /// Events in a window.
    limit: u64,
    window: Mutex<Window>,
}

#[derive(Debug, Default)]
struct Window {
    since: Option<Instant>,
    failed: u64,
}

impl ErrorBudget {
    pub fn new(limit: u64) -> Self {
        Self { limit, window: Mutex::default() }
    }

    /// Events that the plugin may fail on within a minute.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Counts failures; false when there were more than the budget allows.
    pub fn spend(&self, failed: u64, now: Instant) -> bool {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.since.is_none_or(|since| now.saturating_duration_since(since) >= WINDOW) {
            *window = Window { since: Some(now), failed: 0 };
        }
        window.failed += failed;
        window.failed <= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_a_budget_of_its_own() {
        let start = Instant::now();
        let budget = ErrorBudget::new(3);
        assert!(budget.spend(2, start));
        assert!(budget.spend(1, start + Duration::from_secs(59)));
        assert!(!budget.spend(1, start + Duration::from_secs(59)));
        assert!(budget.spend(3, start + WINDOW));
        assert!(!budget.spend(1, start + WINDOW));
        assert!(!ErrorBudget::new(0).spend(1, start), "no failure at all is allowed");
    }
}
