//! Which failed request is sent again, how often, and after what wait: the only place that decides it.
//!
//! The rule that comes first: a request that could take effect twice is repeated only when it certainly has not taken
//! effect. Of all requests that is the submission of a statement; all others are reads, or writes that replace what
//! the first one left (a bucket's rows carry whole keyed operations, a block has a number, a commit is idempotent).
//!
//! The second: the rhythm follows what failed. No answer: the caller's `times` and `wait`. A fault of the service:
//! 1, 2, 4 .. 64 s, as the official clients do. Throttling (429, 503, a code that says so): as the service asks, within a
//! patience, and new requests to the same table wait with it. A moved slot: at
//! once, since the new place is known. A refused account that was renewed meanwhile: at once, one time.
//!
//! [`decide`] has no clock and no dice: the same arguments give the same answer.

use std::time::Duration;

/// How often, and how soon, a request that got no answer is sent again.
///
/// What else is sent again does not depend on it: a throttled request (429, 503, a code that says so) as the service asks
/// and for ten minutes at most, a fault of the service seven times with doubling waits, a slot that moved at once. A
/// statement is sent again only when it certainly has not been taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryLimits {
    /// Repetitions after the first attempt. With 0 a fault of the service is not retried either.
    pub times: u32,
    /// Pause before each.
    pub wait: Duration,
}

impl Default for RetryLimits {
    /// Three times, five seconds apart: what users of the official connector are used to.
    fn default() -> Self {
        Self { times: 3, wait: Duration::from_secs(5) }
    }
}

/// Repetitions after a fault of the service (5xx), as in the Java client: two minutes with the waits in between.
const FAULT_TIMES: u32 = 7;
/// Times that a slot may move under one request. The service moves slots for minutes at most; beyond this the
/// session is in trouble that repeating does not cure.
const MOVE_TIMES: u32 = 10;
/// Times that one request is signed again with a renewed account: a second refusal has another reason.
const RENEWAL_TIMES: u32 = 1;
/// Waiting for a throttling service, per request. Long enough for its quota windows (5 minutes) to pass.
const PATIENCE: Duration = Duration::from_secs(600);
/// Waiting until a statement is accepted, as in the Java client.
const STATEMENT_PATIENCE: Duration = Duration::from_secs(180);
/// Longest time that the requests to a table are held back because one of them was throttled.
pub(crate) const LONGEST_PAUSE: Duration = PATIENCE;
/// Longest step of the doubling waits.
const LONGEST_STEP: Duration = Duration::from_secs(64);
/// Part of a wait that chance adds, so that many writers do not come back at the same moment.
const JITTER: f64 = 0.25;

/// What a request does when it arrives twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// The second arrival changes nothing.
    Harmless,
    /// The second arrival runs the statement again.
    RunsAgain,
}

/// How an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The connection was not made: the request certainly did not arrive.
    NotSent,
    /// It was sent, and no whole answer came back.
    NoAnswer,
    /// The service answered.
    Answered {
        /// The HTTP status.
        status: u16,
        /// Whether the error code asks for less traffic.
        throttled: bool,
        /// How long the service wants to be left alone.
        retry_after: Option<Duration>,
        /// Whether the account that it did not accept has been replaced since.
        renewed: bool,
    },
}

impl Outcome {
    /// Whether the service asks for less traffic.
    pub(crate) const fn is_throttled(self) -> bool {
        match self {
            Self::NotSent | Self::NoAnswer => false,
            Self::Answered { status, throttled, .. } => throttled || matches!(status, 429 | 503),
        }
    }

    /// Whether the request may still reach the one who carries it out, or has reached him unnoticed: he has not
    /// answered, or only a gateway before him has, or he has given up waiting for the rest of it.
    pub(crate) const fn leaves_echo(self) -> bool {
        match self {
            Self::NotSent => false,
            Self::NoAnswer => true,
            Self::Answered { status, .. } => matches!(status, 408 | 502 | 504),
        }
    }
}

/// What one request has been through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Attempts without an answer.
    pub(crate) unanswered: u32,
    /// Answers with 5xx other than 503.
    pub(crate) faults: u32,
    /// Answers with 308.
    pub(crate) moves: u32,
    /// Answers with 401 after which the account was another one.
    pub(crate) renewals: u32,
    /// Answers that asked for less traffic.
    pub(crate) throttles: u32,
    /// Time waited for throttling.
    pub(crate) throttled_for: Duration,
}

/// What to do after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Give the failure to the caller.
    Stop,
    /// Send the same request again after this wait.
    Again(Duration),
}

/// Decides what follows a failed attempt, and counts it. `dice` is a random number from 0 to 1.
pub(crate) fn decide(
    limits: RetryLimits,
    repeat: Repeat,
    outcome: Outcome,
    tally: &mut Tally,
    dice: f64,
) -> Next {
    let unsafe_to_repeat = repeat == Repeat::RunsAgain;
    match outcome {
        Outcome::NoAnswer if unsafe_to_repeat => Next::Stop,
        Outcome::NotSent | Outcome::NoAnswer => {
            again(&mut tally.unanswered, limits.times, jittered(limits.wait, dice))
        }
        Outcome::Answered { status: 429, retry_after, .. }
        | Outcome::Answered { throttled: true, retry_after, .. } => {
            throttle(repeat, retry_after, tally, dice)
        }
        // Refused before anything was carried out, statements included.
        Outcome::Answered { status: 401, renewed: true, .. } => {
            again(&mut tally.renewals, RENEWAL_TIMES, Duration::ZERO)
        }
        Outcome::Answered { status: 409, retry_after: Some(wait), .. } if unsafe_to_repeat => {
            throttle(repeat, Some(wait), tally, dice)
        }
        Outcome::Answered { status: 308, .. } if !unsafe_to_repeat => {
            let wait = if tally.moves == 0 { Duration::ZERO } else { doubling(tally.moves - 1) };
            again(&mut tally.moves, MOVE_TIMES, jittered(wait, dice))
        }
        Outcome::Answered { status: 408 | 500..=599, .. } if unsafe_to_repeat => Next::Stop,
        Outcome::Answered { status: 503, retry_after, .. } if limits.times > 0 => {
            throttle(repeat, retry_after, tally, dice)
        }
        Outcome::Answered { status: 408 | 500..=599, retry_after, .. } => {
            let times = if limits.times == 0 { 0 } else { FAULT_TIMES };
            let wait = doubling(tally.faults).max(retry_after.unwrap_or_default().min(LONGEST_STEP));
            again(&mut tally.faults, times, jittered(wait, dice))
        }
        Outcome::Answered { .. } => Next::Stop,
    }
}

fn again(count: &mut u32, times: u32, wait: Duration) -> Next {
    if *count >= times {
        return Next::Stop;
    }
    *count += 1;
    Next::Again(wait)
}

fn throttle(repeat: Repeat, retry_after: Option<Duration>, tally: &mut Tally, dice: f64) -> Next {
    let patience = match repeat {
        Repeat::Harmless => PATIENCE,
        Repeat::RunsAgain => STATEMENT_PATIENCE,
    };
    let wait = jittered(retry_after.unwrap_or_else(|| doubling(tally.throttles)), dice);
    // A service that wants more time than there is patience is left alone from now on.
    if tally.throttled_for + wait > patience {
        return Next::Stop;
    }
    tally.throttles += 1;
    tally.throttled_for += wait;
    Next::Again(wait)
}

/// 1, 2, 4 .. 64 s.
fn doubling(step: u32) -> Duration {
    Duration::from_secs(1 << step.min(6)).min(LONGEST_STEP)
}

/// Never shorter than `wait`, so that a `Retry-After` is kept.
pub(crate) fn jittered(wait: Duration, dice: f64) -> Duration {
    wait.mul_f64(1.0 + JITTER * dice.clamp(0.0, 1.0))
}

/// The waits between the questions whether something asynchronous has finished: doubling from `first` up to
/// `longest`, until `total` has been waited in all.
#[derive(Debug, Clone)]
pub(crate) struct Poll {
    next: Duration,
    longest: Duration,
    waited: Duration,
    total: Duration,
}

impl Poll {
    pub(crate) const fn new(first: Duration, longest: Duration, total: Duration) -> Self {
        Self { next: first, longest, waited: Duration::ZERO, total }
    }

    /// How long was waited so far.
    pub(crate) const fn waited(&self) -> Duration {
        self.waited
    }
}

impl Iterator for Poll {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let left = self.total.saturating_sub(self.waited);
        if left.is_zero() {
            return None;
        }
        let wait = self.next.min(left);
        self.waited += wait;
        self.next = (self.next * 2).min(self.longest);
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: RetryLimits = RetryLimits { times: 2, wait: Duration::from_secs(5) };

    fn answered(status: u16) -> Outcome {
        Outcome::Answered { status, throttled: false, retry_after: None, renewed: false }
    }

    /// Waits in seconds until the request is given up; the outcome is always the same.
    fn waits(limits: RetryLimits, repeat: Repeat, outcome: Outcome) -> Vec<u64> {
        let mut tally = Tally::default();
        let mut waits = Vec::new();
        while let Next::Again(wait) = decide(limits, repeat, outcome, &mut tally, 0.0) {
            waits.push(wait.as_secs());
            assert!(waits.len() < 1000, "an end");
        }
        waits
    }

    #[test]
    fn each_failure_has_its_own_rhythm_and_its_own_end() {
        let throttled = Outcome::Answered { status: 400, throttled: true, retry_after: None, renewed: false };
        let renewed = Outcome::Answered { status: 401, throttled: false, retry_after: None, renewed: true };
        let cases = [
            ("not sent", Outcome::NotSent, vec![5, 5]),
            ("no answer", Outcome::NoAnswer, vec![5, 5]),
            ("fault", answered(500), vec![1, 2, 4, 8, 16, 32, 64]),
            ("unavailable", answered(503), vec![1, 2, 4, 8, 16, 32, 64, 64, 64, 64, 64, 64, 64, 64]),
            ("gateway", answered(504), vec![1, 2, 4, 8, 16, 32, 64]),
            ("timeout", answered(408), vec![1, 2, 4, 8, 16, 32, 64]),
            ("moved", answered(308), vec![0, 1, 2, 4, 8, 16, 32, 64, 64, 64]),
            ("throttled", answered(429), vec![1, 2, 4, 8, 16, 32, 64, 64, 64, 64, 64, 64, 64, 64]),
            ("by code", throttled, vec![1, 2, 4, 8, 16, 32, 64, 64, 64, 64, 64, 64, 64, 64]),
            ("rejected", answered(400), vec![]),
            ("refused", answered(401), vec![]),
            ("refused, and the account renewed", renewed, vec![0]),
            ("not found", answered(404), vec![]),
            ("conflict", answered(409), vec![]),
            ("redirect", answered(302), vec![]),
        ];
        for (name, outcome, want) in cases {
            assert_eq!(waits(LIMITS, Repeat::Harmless, outcome), want, "{name}");
        }
    }

    #[test]
    fn what_runs_again_is_repeated_only_when_it_certainly_did_not_run() {
        let cases = [
            ("not sent", Outcome::NotSent, 2),
            ("no answer", Outcome::NoAnswer, 0),
            ("fault", answered(500), 0),
            ("unavailable", answered(503), 0),
            ("moved", answered(308), 0),
            ("throttled", answered(429), 7),
            ("conflict", answered(409), 0),
        ];
        for (name, outcome, want) in cases {
            assert_eq!(waits(LIMITS, Repeat::RunsAgain, outcome).len(), want, "{name}");
        }
        let busy = Outcome::Answered {
            status: 409,
            throttled: false,
            retry_after: Some(Duration::from_secs(60)),
            renewed: false,
        };
        assert_eq!(waits(LIMITS, Repeat::RunsAgain, busy), [60, 60, 60]);
        assert!(waits(LIMITS, Repeat::Harmless, busy).is_empty());
    }

    #[test]
    fn without_retries_only_throttling_and_moves_are_waited_for() {
        let none = RetryLimits { times: 0, ..LIMITS };
        assert!(waits(none, Repeat::Harmless, Outcome::NoAnswer).is_empty());
        assert!(waits(none, Repeat::Harmless, answered(503)).is_empty());
        assert_eq!(waits(none, Repeat::Harmless, answered(429)).len(), 14);
    }

    #[test]
    fn a_longer_pause_than_the_patience_ends_it_at_once() {
        let hour = Duration::from_secs(3600);
        let outcome =
            Outcome::Answered { status: 429, throttled: false, retry_after: Some(hour), renewed: false };
        assert!(waits(LIMITS, Repeat::Harmless, outcome).is_empty());
    }

    #[test]
    fn failures_of_different_kinds_are_counted_apart() {
        let mut tally = Tally::default();
        for outcome in [Outcome::NoAnswer, answered(500), Outcome::NotSent, answered(502)] {
            assert_ne!(decide(LIMITS, Repeat::Harmless, outcome, &mut tally, 0.0), Next::Stop);
        }
        assert_eq!(decide(LIMITS, Repeat::Harmless, Outcome::NotSent, &mut tally, 0.0), Next::Stop);
        assert_eq!((tally.unanswered, tally.faults), (2, 2));
    }

    #[test]
    fn chance_makes_waits_longer_never_shorter() {
        for (dice, want) in [(0.0, 8.0), (0.5, 9.0), (1.0, 10.0), (-3.0, 8.0), (7.0, 10.0)] {
            let wait = jittered(Duration::from_secs(8), dice).as_secs_f64();
            assert!((wait - want).abs() < 1e-9, "{dice}: {wait}");
        }
    }

    #[test]
    fn polling_waits_double_and_end_on_their_total() {
        let seconds = |poll: Poll| poll.map(|wait| wait.as_secs()).collect::<Vec<_>>();
        let second = Duration::from_secs;
        assert_eq!(
            seconds(Poll::new(second(1), second(16), second(120))),
            [1, 2, 4, 8, 16, 16, 16, 16, 16, 16, 9]
        );
        assert!(seconds(Poll::new(second(1), second(16), Duration::ZERO)).is_empty());
    }
}
