//! The service's limits on one table, kept by waiting before a request rather than by being refused after it; and the
//! brake that all requests to a table share once the service has asked for less traffic.
//!
//! Counted is what goes through one client and its clones: other programs that write to the same table count at the
//! service too, and what it says to that is waited for by [`crate::retry`].
//!
//! [`Window`] and [`Brake`] decide with the clock passed in; [`TableLimits`] carries out.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::debug;

use crate::timing::Timing;

/// Upload sessions that may be created of one table in [`SESSION_WINDOW`]. Of upsert sessions no such limit is known.
const UPLOADS: usize = 500;
/// Download sessions that may be created of one table in [`SESSION_WINDOW`].
const DOWNLOADS: usize = 200;
/// The service counts sessions over five minutes. One second more, since requests do not all travel equally long.
const SESSION_WINDOW: Duration = Duration::from_secs(301);
/// Commits of one table in [`COMMIT_WINDOW`].
const COMMITS: usize = 75;
/// The service counts commits over fifteen seconds; a second more for the same reason.
const COMMIT_WINDOW: Duration = Duration::from_secs(16);
/// Commits of one table at the same time.
const COMMITS_AT_ONCE: usize = 32;
/// Blocks of one table that are being written at the same time.
const BLOCKS_AT_ONCE: usize = 500;
/// Tables whose counts are kept. Beyond it those that nobody uses and that have nothing to remember are forgotten.
const TABLES: usize = 1024;

/// At most so many starts in any stretch of time of a given length.
#[derive(Debug)]
pub(crate) struct Window {
    limit: usize,
    length: Duration,
    /// The last `limit` starts in order, those that are still to come included.
    starts: VecDeque<SystemTime>,
}

impl Window {
    const fn new(limit: usize, length: Duration) -> Self {
        Self { limit, length, starts: VecDeque::new() }
    }

    /// Books the next start that the limit allows, and says how long it is until then.
    fn book(&mut self, now: SystemTime) -> Duration {
        // Starts that lie further ahead than any booking can are left from a clock that was set back.
        let furthest = self.starts.back().copied().filter(|last| !self.is_plausible(*last, now));
        if furthest.is_some() {
            self.starts.clear();
        }
        let free_at = match self.starts.len().checked_sub(self.limit) {
            Some(first) => self.starts[first] + self.length,
            None => now,
        };
        let start = free_at.max(now);
        self.starts.push_back(start);
        while self.starts.len() > self.limit {
            self.starts.pop_front();
        }
        start.duration_since(now).unwrap_or(Duration::ZERO)
    }

    /// Bookings are made by requests that wait, so that they reach as far ahead as requests are many; an hour of them
    /// is a clock that was wrong.
    fn is_plausible(&self, last: SystemTime, now: SystemTime) -> bool {
        last.duration_since(now).unwrap_or(Duration::ZERO) < LONGEST_BOOKING.max(self.length)
    }

    /// Whether it has nothing to remember at `now`.
    fn is_idle(&self, now: SystemTime) -> bool {
        self.starts.back().is_none_or(|last| *last + self.length <= now)
    }
}

/// See [`Window::is_plausible`].
const LONGEST_BOOKING: Duration = Duration::from_secs(3600);

/// Holds all requests back until a moment that the service has asked for.
#[derive(Debug, Default)]
pub(crate) struct Brake {
    until: Option<SystemTime>,
}

impl Brake {
    /// Notes that the service wants to be left alone for `pause` from `now` on.
    fn pull(&mut self, now: SystemTime, pause: Duration) {
        self.until = self.until.max(Some(now + pause));
    }

    /// How long a request at `now` is held back; never longer than `longest`, should the clock have been set back.
    fn hold(&self, now: SystemTime, longest: Duration) -> Duration {
        let left = self.until.and_then(|until| until.duration_since(now).ok());
        left.unwrap_or(Duration::ZERO).min(longest)
    }
}

/// What is counted of one table.
#[derive(Debug)]
pub(crate) struct TableLimits {
    uploads: Mutex<Window>,
    downloads: Mutex<Window>,
    commits: Mutex<Window>,
    brake: Mutex<Brake>,
    committing: Semaphore,
    writing: Semaphore,
}

impl TableLimits {
    fn new() -> Self {
        Self {
            uploads: Mutex::new(Window::new(UPLOADS, SESSION_WINDOW)),
            downloads: Mutex::new(Window::new(DOWNLOADS, SESSION_WINDOW)),
            commits: Mutex::new(Window::new(COMMITS, COMMIT_WINDOW)),
            brake: Mutex::new(Brake::default()),
            committing: Semaphore::new(COMMITS_AT_ONCE),
            writing: Semaphore::new(BLOCKS_AT_ONCE),
        }
    }

    /// Waits until an upload session may be created.
    pub(crate) async fn upload(&self, timing: &dyn Timing) {
        start(&self.uploads, timing, "upload sessions").await;
    }

    /// Waits until a download session may be created.
    pub(crate) async fn download(&self, timing: &dyn Timing) {
        start(&self.downloads, timing, "download sessions").await;
    }

    /// Waits until a session may be committed; the commit counts until the permit is dropped.
    pub(crate) async fn commit(&self, timing: &dyn Timing) -> Option<SemaphorePermit<'_>> {
        // Only a closed semaphore fails, and nobody closes it.
        let permit = self.committing.acquire().await.ok();
        start(&self.commits, timing, "commits").await;
        permit
    }

    /// Waits until a block may be written; it counts until the permit is dropped.
    pub(crate) async fn block(&self) -> Option<SemaphorePermit<'_>> {
        self.writing.acquire().await.ok()
    }

    /// The service wants less traffic of this table for so long.
    pub(crate) fn throttled(&self, now: SystemTime, pause: Duration) {
        self.brake.lock().unwrap_or_else(PoisonError::into_inner).pull(now, pause);
    }

    /// How long a new request is held back at `now`.
    pub(crate) fn hold(&self, now: SystemTime, longest: Duration) -> Duration {
        self.brake.lock().unwrap_or_else(PoisonError::into_inner).hold(now, longest)
    }

    fn is_idle(&self, now: SystemTime) -> bool {
        [&self.uploads, &self.downloads, &self.commits]
            .into_iter()
            .all(|window| window.lock().unwrap_or_else(PoisonError::into_inner).is_idle(now))
    }
}

async fn start(window: &Mutex<Window>, timing: &dyn Timing, what: &str) {
    let wait = window.lock().unwrap_or_else(PoisonError::into_inner).book(timing.now());
    if !wait.is_zero() {
        debug!(what, wait_ms = wait.as_millis(), "a limit of the service is waited for");
        timing.sleep(wait).await;
    }
}

/// The counts of all tables of a client.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    /// By path of the table.
    tables: Mutex<HashMap<String, Arc<TableLimits>>>,
}

impl Limits {
    /// The counts of a table, shared by all that use it.
    pub(crate) fn of(&self, path: &str, now: SystemTime) -> Arc<TableLimits> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if tables.len() >= TABLES && !tables.contains_key(path) {
            tables.retain(|_, limits| Arc::strong_count(limits) > 1 || !limits.is_idle(now));
        }
        let limits = tables.entry(path.to_owned()).or_insert_with(|| Arc::new(TableLimits::new()));
        Arc::clone(limits)
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    fn at(millis: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
    }

    #[test]
    fn starts_beyond_the_limit_wait_for_their_place() {
        let mut window = Window::new(2, Duration::from_secs(10));
        let waits: Vec<u64> =
            [0, 1_000, 2_000, 2_000, 2_000, 40_000].map(|now| window.book(at(now)).as_secs()).into();
        assert_eq!(waits, [0, 0, 8, 9, 18, 0]);
    }

    /// Whatever the moments of asking, no stretch of the window's length has more starts than the limit, and nobody
    /// waits without need.
    #[test]
    fn no_stretch_of_time_has_more_starts_than_allowed() {
        for seed in 0..200 {
            let mut random = StdRng::seed_from_u64(seed);
            let limit = random.random_range(1..6);
            let length = Duration::from_millis(random.random_range(1..500));
            let mut window = Window::new(limit, length);
            let mut now = 1_000_000;
            let mut starts: Vec<SystemTime> = Vec::new();
            for _ in 0..200 {
                now += random.random_range(0..200);
                let wait = window.book(at(now));
                let start = at(now) + wait;
                if let Some(earlier) = starts.len().checked_sub(limit).map(|index| starts[index]) {
                    assert!(earlier + length <= start, "seed {seed}: too many starts");
                    assert!(wait.is_zero() || earlier + length == start, "seed {seed}: waited too long");
                } else {
                    assert_eq!(wait, Duration::ZERO, "seed {seed}: waited without need");
                }
                starts.push(start);
            }
            assert!(window.starts.len() <= limit, "seed {seed}: remembers too much");
        }
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_hold_anybody_for_long() {
        let mut window = Window::new(1, Duration::from_secs(10));
        window.book(at(1_000_000_000));
        assert_eq!(window.book(at(5_000)), Duration::ZERO);
        assert_eq!(window.book(at(5_000)), Duration::from_secs(10));
        let mut brake = Brake::default();
        brake.pull(at(1_000_000_000), Duration::from_secs(1));
        assert_eq!(brake.hold(at(0), Duration::from_secs(64)), Duration::from_secs(64));
    }

    #[test]
    fn the_brake_holds_until_the_latest_moment_asked_for() {
        let longest = Duration::from_secs(100);
        let mut brake = Brake::default();
        assert_eq!(brake.hold(at(0), longest), Duration::ZERO);
        brake.pull(at(0), Duration::from_secs(8));
        brake.pull(at(1_000), Duration::from_secs(2));
        assert_eq!(brake.hold(at(2_000), longest), Duration::from_secs(6));
        assert_eq!(brake.hold(at(8_000), longest), Duration::ZERO);
    }

    #[test]
    fn tables_with_nothing_to_remember_are_forgotten() {
        let limits = Limits::default();
        let used = limits.of("used", at(0));
        limits.of("busy", at(0)).uploads.lock().unwrap().book(at(400_000));
        for table in 0..TABLES {
            limits.of(&format!("t{table}"), at(0));
        }
        limits.of("one more", at(400_000));
        let tables = limits.tables.lock().unwrap();
        assert!(tables.contains_key("used") && tables.contains_key("busy"));
        assert!(tables.len() < 10, "{}", tables.len());
        drop(used);
    }
}
