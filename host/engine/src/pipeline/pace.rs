//! How fast the snapshot reads where the pipeline file limits it.
//!
//! What was read takes up the time that it would have taken at the limit, all readers together; whoever has read waits until
//! that time is over. So a limit holds over any stretch longer than one chunk, and a chunk itself comes as fast as it can.

use std::time::{Duration, Instant};

use crate::config::ScanLimits;

/// The time taken up so far. Decides; waits for nothing.
#[derive(Debug)]
pub(super) struct Pace {
    limits: ScanLimits,
    /// Up to here the time is taken up.
    taken: Instant,
}

impl Pace {
    pub fn new(limits: ScanLimits, now: Instant) -> Self {
        Self { limits, taken: now }
    }

    /// Counts what was read, and gives how long to wait before more is.
    pub fn count(&mut self, now: Instant, rows: u64, bytes: u64) -> Duration {
        // Both fit in what a double holds exactly, or nearly.
        let at = |amount: u64, limit: u64| Duration::from_secs_f64(amount as f64 / limit.max(1) as f64);
        let rows = self.limits.rows_per_second.map_or(Duration::ZERO, |limit| at(rows, limit.get().into()));
        let bytes = self.limits.bytes_per_second.map_or(Duration::ZERO, |limit| at(bytes, limit.get()));
        self.taken = self.taken.max(now) + rows.max(bytes);
        self.taken - now
    }
}

/// How long the rest of a snapshot takes when it goes on as it did; none when nothing was read yet.
pub(super) fn rest(elapsed: Duration, read: u64, all: u64) -> Option<Duration> {
    (read > 0).then(|| {
        let left = all.saturating_sub(read) as f64 / read as f64;
        Duration::try_from_secs_f64(elapsed.as_secs_f64() * left).unwrap_or(Duration::MAX)
    })
}

#[cfg(test)]
mod tests {
    use sluicebox_model::ByteSize;

    use super::*;

    #[test]
    fn readers_share_the_limit_and_idle_time_is_not_saved_up() {
        let limits = ScanLimits { rows_per_second: std::num::NonZeroU32::new(100), ..ScanLimits::default() };
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut pace = Pace::new(limits, start);
        assert_eq!(pace.count(start, 100, 1 << 40), second);
        // A second reader at the same moment waits behind the first.
        assert_eq!(pace.count(start, 200, 0), second * 3);
        assert_eq!(pace.count(start + second * 60, 50, 0), second / 2);
    }

    #[test]
    fn the_tighter_limit_counts_and_none_means_no_wait() {
        let start = Instant::now();
        let bytes = Some(ByteSize::mib(1));
        let limits = ScanLimits {
            rows_per_second: std::num::NonZeroU32::new(1_000),
            bytes_per_second: bytes,
            ..ScanLimits::default()
        };
        assert_eq!(Pace::new(limits, start).count(start, 10, 4 << 20), Duration::from_secs(4));
        assert_eq!(Pace::new(limits, start).count(start, 9_000, 4 << 20), Duration::from_secs(9));
        assert_eq!(Pace::new(ScanLimits::default(), start).count(start, 9_000, 4 << 20), Duration::ZERO);
    }

    #[test]
    fn the_rest_is_foretold_from_what_was_read() {
        let minute = Duration::from_secs(60);
        assert_eq!(rest(minute, 0, 100), None);
        assert_eq!(rest(minute, 25, 100), Some(minute * 3));
        assert_eq!(rest(minute, 200, 100), Some(Duration::ZERO));
    }
}
