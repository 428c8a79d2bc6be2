//! How many events a plugin may fail on before it counts as broken.
//!
//! `skip` and `dead-letter` are for the odd row. A plugin that fails on everything, after a careless new version of it or of
//! the source's application, must not empty a table into the dead letters. So failures of the last minute are counted, and
//! one too many stops the pipeline; the batch that it was in is not delivered, so nothing is lost.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Long enough that a burst of bad rows is seen whole, short enough that an old one is forgotten.
const WINDOW: Duration = Duration::from_secs(60);
/// Failures are kept in sums of so long, so that a window is at most 62 numbers; each counts for a minute and at most this much longer.
const GRAIN: Duration = Duration::from_secs(1);

/// One plugin's, shared by all workers.
#[derive(Debug)]
pub(crate) struct ErrorBudget {
    /// Events in a window.
    limit: u64,
    window: Mutex<Window>,
}

#[derive(Debug, Default)]
struct Window {
    /// When each sum began, and how many failures are in it; the oldest first.
    sums: VecDeque<(Instant, u64)>,
    failed: u64,
}

impl Window {
    fn add(&mut self, failed: u64, now: Instant) {
        let age = |since: &Instant| now.saturating_duration_since(*since);
        while let Some((_, old)) = self.sums.pop_front_if(|(since, _)| age(since) >= WINDOW + GRAIN) {
            self.failed -= old;
        }
        match self.sums.back_mut().filter(|(since, _)| age(since) < GRAIN) {
            Some((_, sum)) => *sum += failed,
            None => self.sums.push_back((now, failed)),
        }
        self.failed += failed;
    }
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
        window.add(failed, now);
        window.failed <= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whichever_minute_is_looked_at_has_the_budget_and_no_more() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let budget = ErrorBudget::new(3);
        assert!(budget.spend(1, start));
        assert!(budget.spend(2, at(59_000)));
        assert!(!budget.spend(1, at(59_999)), "the fourth within a minute");
        // The first is forgotten, the others are not: a minute that began with it would be over and the next one begin anew.
        assert!(budget.spend(0, at(61_000)), "three are left");
        assert!(!budget.spend(1, at(61_000)), "the fourth within two seconds");
        assert!(budget.spend(2, at(121_000)), "a minute later one of them is left");
        assert!(!ErrorBudget::new(0).spend(1, start), "no failure at all is allowed");
    }

    #[test]
    fn a_window_is_few_numbers_however_many_failures_come() {
        let start = Instant::now();
        let budget = ErrorBudget::new(1_000_000);
        for ms in (0..300_000).step_by(10) {
            assert!(budget.spend(1, start + Duration::from_millis(ms)));
        }
        let window = budget.window.lock().expect("no test panics here");
        assert!(window.sums.len() <= 62, "{}", window.sums.len());
        assert!((6_000..=6_200).contains(&window.failed), "{}", window.failed);
        assert_eq!(window.failed, window.sums.iter().map(|(_, sum)| sum).sum::<u64>());
    }
}
