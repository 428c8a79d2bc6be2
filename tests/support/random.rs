//! Random choices that a printed seed brings back.

use std::time::Duration;

/// SplitMix64: every seed gives a sequence of its own, and a sequence of choices is all that is needed.
pub struct Random(u64);

impl Random {
    /// Takes the seed from `SLUICEBOX_TEST_SEED`, or a new one, and prints it for whoever has to find a failure again.
    #[expect(clippy::print_stderr, reason = "the test harness shows it with the failure")]
    pub fn of_this_run(what: &str) -> Self {
        let clock = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("a clock after 1970");
        let new = u64::from(clock.subsec_nanos()) ^ clock.as_secs();
        let seed = match std::env::var("SLUICEBOX_TEST_SEED") {
            Ok(text) => text.parse().expect("SLUICEBOX_TEST_SEED is a number"),
            Err(_) => new,
        };
        eprintln!("{what}: SLUICEBOX_TEST_SEED={seed}");
        Self(seed)
    }

    /// Another sequence that follows from this one.
    pub fn branch(&mut self) -> Self {
        Self(self.number())
    }

    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.number() % end
    }

    /// From `start` to below `end`.
    pub fn between(&mut self, start: u64, end: u64) -> u64 {
        start + self.below(end - start)
    }

    /// A span in whole milliseconds.
    pub fn millis(&mut self, start: u64, end: u64) -> Duration {
        Duration::from_millis(self.between(start, end))
    }

    /// One of them.
    pub fn one_of<'t, T>(&mut self, choices: &'t [T]) -> &'t T {
        let place = self.below(choices.len() as u64);
        &choices[usize::try_from(place).expect("below a length")]
    }
}
