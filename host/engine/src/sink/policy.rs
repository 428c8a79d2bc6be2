//! When buffered rows are sent: a pure function of what is buffered.

use std::time::Duration;

use sluicebox_model::ByteSize;

/// The limits that the pipeline file sets for one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlushPolicy {
    /// A bucket that holds this much is sent (`bucket.buffer-size`).
    pub bucket_limit: ByteSize,
    /// A target that holds this much sends all its buckets (`total.buffer-size`).
    pub total_limit: ByteSize,
    /// A row that has waited so long is sent with all others, so that a commit finds little left to send.
    pub linger: Duration,
}

/// What a target's buffers hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fill {
    /// Bytes in the fullest bucket.
    pub largest_bucket: u64,
    /// Bytes in all buckets.
    pub total: u64,
    /// How long the oldest row has waited.
    pub oldest: Duration,
    /// The process-wide memory budget is used up: somebody has to let go.
    pub pressure: bool,
    /// The epoch ends here.
    pub barrier: bool,
}

/// What is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// Nothing yet.
    Nothing,
    /// The buckets at or above the bucket limit.
    FullBuckets,
    /// Every bucket that holds rows.
    Everything,
}

impl FlushPolicy {
    /// Decides what to send. No clock, no I/O: the same fill gives the same answer.
    pub fn decide(&self, fill: Fill) -> Flush {
        if fill.total == 0 {
            Flush::Nothing
        } else if fill.barrier
            || fill.pressure
            || fill.total >= self.total_limit.get()
            || fill.oldest >= self.linger
        {
            Flush::Everything
        } else if fill.largest_bucket >= self.bucket_limit.get() {
            Flush::FullBuckets
        } else {
            Flush::Nothing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: FlushPolicy = FlushPolicy {
        bucket_limit: ByteSize::mib(4),
        total_limit: ByteSize::mib(64),
        linger: Duration::from_secs(5),
    };
    const CALM: Fill = Fill {
        largest_bucket: 1024,
        total: 4096,
        oldest: Duration::from_millis(10),
        pressure: false,
        barrier: false,
    };

    /// Each case changes one field of `CALM`, so a failure names its own cause.
    #[test]
    fn the_first_limit_reached_decides() {
        let cases = [
            ("calm", CALM, Flush::Nothing),
            ("bucket full", Fill { largest_bucket: 4 << 20, ..CALM }, Flush::FullBuckets),
            ("total full", Fill { total: 64 << 20, ..CALM }, Flush::Everything),
            ("row waited", Fill { oldest: Duration::from_secs(5), ..CALM }, Flush::Everything),
            ("memory short", Fill { pressure: true, ..CALM }, Flush::Everything),
            ("epoch ends", Fill { barrier: true, ..CALM }, Flush::Everything),
            (
                "nothing there",
                Fill { total: 0, largest_bucket: 0, barrier: true, pressure: true, ..CALM },
                Flush::Nothing,
            ),
        ];
        for (name, fill, want) in cases {
            assert_eq!(POLICY.decide(fill), want, "{name}");
        }
    }
}
