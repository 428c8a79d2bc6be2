//! The clock that all decisions are given their moment from. A test can move or stop it.

use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::store::lock;

/// How the clock stands to the system's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Setting {
    /// Ahead of the system's by so many milliseconds; usually none.
    Shifted(i64),
    /// Stands still at this moment.
    Stopped(i64),
}

impl Setting {
    fn moment(self, system_ms: i64) -> i64 {
        match self {
            Self::Shifted(by) => system_ms.saturating_add(by),
            Self::Stopped(at) => at,
        }
    }

    fn advanced(self, by_ms: i64) -> Self {
        match self {
            Self::Shifted(by) => Self::Shifted(by.saturating_add(by_ms)),
            Self::Stopped(at) => Self::Stopped(at.saturating_add(by_ms)),
        }
    }
}

/// A clock. Its setting ends with the process.
#[derive(Debug)]
pub(crate) struct Clock(Mutex<Setting>);

impl Default for Clock {
    fn default() -> Self {
        Self(Mutex::new(Setting::Shifted(0)))
    }
}

impl Clock {
    /// Milliseconds since the epoch.
    pub(crate) fn now_ms(&self) -> i64 {
        lock(&self.0).moment(system_ms())
    }

    /// Stops the clock at a moment.
    pub(crate) fn stop_at(&self, moment_ms: i64) {
        *lock(&self.0) = Setting::Stopped(moment_ms);
    }

    /// Moves it on, or back; a running clock runs on from there.
    pub(crate) fn advance(&self, by_ms: i64) {
        let mut setting = lock(&self.0);
        *setting = setting.advanced(by_ms);
    }

    /// Goes with the system's again.
    pub(crate) fn reset(&self) {
        *lock(&self.0) = Setting::Shifted(0);
    }
}

/// The system's clock.
pub(crate) fn system_ms() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_clock_only_moves_when_told_and_a_shifted_one_runs() {
        let stopped = Setting::Stopped(5);
        assert_eq!((stopped.moment(100), stopped.advanced(2).moment(200)), (5, 7));
        let shifted = Setting::Shifted(0).advanced(10).advanced(-3);
        assert_eq!((shifted.moment(100), shifted.moment(101)), (107, 108));
    }
}
