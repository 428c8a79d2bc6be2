//! Chunks of a whole-number key that is evenly spread: computed, so that the server is not asked for the end of each.
//!
//! How many rows there are is the server's estimate, and how they are spread between the first number and the last nobody knows: a chunk may have
//! fewer rows than it should, or more, up to one for each of its numbers. The bound on its bytes holds all the same
//! (`snapshot/chunk.rs`). No row is in two chunks or in none, whatever the estimate: the ends are places in the key's order, and the last
//! chunk has none.

/// How a table is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Even {
    /// Numbers of a chunk.
    step: i128,
    /// The last number that a row had.
    last: i128,
}

impl Even {
    /// `span`: the first number and the last. None where the table has more or fewer numbers for each row than `bounds` say.
    pub(super) fn of(span: (i128, i128), rows: u64, chunk_rows: u64, bounds: (f64, f64)) -> Option<Self> {
        let (first, last) = span;
        let numbers = last.checked_sub(first)?.checked_add(1)?;
        if rows == 0 || numbers <= 0 {
            return None;
        }
        let density = numbers as f64 / rows as f64;
        let is_even = density >= bounds.0 && density <= bounds.1;
        let step = (density * chunk_rows as f64).ceil() as i128;
        is_even.then_some(Self { step: step.max(1), last })
    }

    /// The end of the chunk that begins behind `after`; none when it is the last.
    pub(super) fn end(&self, after: i128) -> Option<i128> {
        after.checked_add(self.step).filter(|end| *end < self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: (f64, f64) = (0.05, 1000.0);

    #[test]
    fn chunks_have_the_numbers_that_their_rows_are_spread_over() {
        let even = Even::of((1, 1000), 500, 100, BOUNDS).expect("evenly spread");
        let ends: Vec<_> = std::iter::successors(even.end(0), |end| even.end(*end)).collect();
        assert_eq!(ends, [200, 400, 600, 800]);
        let even = Even::of((1, 1000), 4000, 100, BOUNDS).expect("an estimate may be too high");
        assert_eq!(even.end(0), Some(25));
        let all = (i128::from(i64::MIN), i128::from(u64::MAX));
        assert_eq!(Even::of(all, 10, 100, (0.0, f64::MAX)).and_then(|even| even.end(all.0)), None);
    }

    #[test]
    fn what_is_too_thin_or_too_thick_is_not_even() {
        assert_eq!(Even::of((1, 1_000_000), 999, 100, BOUNDS), None);
        assert_eq!(Even::of((1, 10), 1_000, 100, BOUNDS), None);
        assert_eq!(Even::of((1, 10), 0, 100, BOUNDS), None);
    }
}
