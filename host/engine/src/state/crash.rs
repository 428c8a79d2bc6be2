//! Crashes on request, for the test that crashes the program at every record it writes.
//!
//! `SLUICEBOX_CRASH_AT=before:N` or `after:N` aborts the process at the N-th transaction that changes the state, before or after its
//! commit: without clean-up, as a kill does. `phase:NAME` does so at the first place of that name that it comes to, for what leaves no
//! record: the phases of a snapshot. Builds without debug assertions, and so every release, do not contain this.

#[cfg(debug_assertions)]
pub(crate) use armed::in_phase;
#[cfg(debug_assertions)]
pub(super) use armed::{after_commit, before_commit, is_counting};
#[cfg(not(debug_assertions))]
pub(crate) use unarmed::in_phase;
#[cfg(not(debug_assertions))]
pub(super) use unarmed::{after_commit, before_commit, is_counting};

#[cfg(not(debug_assertions))]
mod unarmed {
    pub(in super::super) const fn is_counting() -> bool {
        false
    }
    pub(in super::super) const fn before_commit() {}
    pub(in super::super) const fn after_commit() {}
    pub(crate) const fn in_phase(_: &str) {}
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Transactions that have changed the state, the one at hand included.
    static WRITES: AtomicU64 = AtomicU64::new(0);

    /// Before or after the commit, and of which transaction.
    static POINT: LazyLock<Option<(bool, u64)>> = LazyLock::new(|| {
        let wanted = std::env::var("SLUICEBOX_CRASH_AT").ok()?;
        let (side, number) = wanted.split_once(':')?;
        Some((side == "before", number.parse().ok()?))
    });

    /// The phase in which to crash.
    static PHASE: LazyLock<Option<String>> = LazyLock::new(|| {
        let wanted = std::env::var("SLUICEBOX_CRASH_AT").ok()?;
        wanted.strip_prefix("phase:").map(str::to_owned)
    });

    /// Whether a transaction is to be crashed at: then each record has one of its own, so that none is passed by.
    pub(in super::super) fn is_counting() -> bool {
        POINT.is_some()
    }

    pub(crate) fn in_phase(name: &str) {
        if PHASE.as_deref() == Some(name) {
            std::process::abort();
        }
    }

    pub(in super::super) fn before_commit() {
        let number = WRITES.fetch_add(1, Ordering::Relaxed) + 1;
        if *POINT == Some((true, number)) {
            std::process::abort();
        }
    }

    pub(in super::super) fn after_commit() {
        if *POINT == Some((false, WRITES.load(Ordering::Relaxed))) {
            std::process::abort();
        }
    }
}
