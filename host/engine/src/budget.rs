//! One memory budget for everything that is on its way through the process.
//!
//! Rows take a share when they leave the receiver and give it back when the service has answered the request that carried
//! them. When no share is left the coordinator waits, the receiver's queue fills, and the source keeps the rest in its binlog.
//! So that this can never stand still with every row in a half-full bucket, a coordinator that waits raises *pressure*: appliers
//! then send whatever they hold.

use std::sync::Arc;

use sluicebox_model::ByteSize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Shares are counted in KiB, so that a budget of 4 TiB still fits a semaphore's counter.
const UNIT: usize = 1024;

/// The budget. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Budget {
    shares: Arc<Semaphore>,
    whole: u32,
    pressure: Arc<watch::Sender<bool>>,
}

/// A part of the budget, given back when dropped.
#[derive(Debug, Default)]
pub struct Share(Option<OwnedSemaphorePermit>);

impl Budget {
    /// A budget of so many bytes; at least one unit.
    pub fn new(size: ByteSize) -> Self {
        let whole = u32::try_from(size.as_usize().div_ceil(UNIT).max(1)).unwrap_or(u32::MAX);
        Self {
            shares: Arc::new(Semaphore::new(whole as usize)),
            whole,
            pressure: Arc::new(watch::Sender::new(false)),
        }
    }

    /// Takes a share, waiting until there is one. What is larger than the whole budget takes all of it: one such
    /// item is then alone in the process.
    pub async fn take(&self, bytes: usize) -> Share {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.whole);
        if let Ok(permit) = Arc::clone(&self.shares).try_acquire_many_owned(units) {
            return Share(Some(permit));
        }
        self.pressure.send_replace(true);
        let permit = Arc::clone(&self.shares).acquire_many_owned(units).await;
        self.pressure.send_replace(false);
        // The semaphore is never closed; were it, rows would go on without a share rather than be lost.
        Share(permit.ok())
    }

    /// Tells when somebody waits for a share.
    pub fn pressure(&self) -> watch::Receiver<bool> {
        self.pressure.subscribe()
    }

    /// Bytes taken now.
    #[cfg(test)]
    pub fn used(&self) -> u64 {
        (u64::from(self.whole) - self.shares.available_permits() as u64) * UNIT as u64
    }
}

impl Share {
    /// Adds another share to this one.
    pub fn merge(&mut self, other: Self) {
        match (&mut self.0, other.0) {
            (Some(ours), Some(theirs)) => ours.merge(theirs),
            (ours @ None, theirs) => *ours = theirs,
            (Some(_), None) => {}
        }
    }

    /// Splits off the part that `bytes` of `of` bytes stand for.
    pub fn split(&mut self, bytes: u64, of: u64) -> Self {
        let Some(ours) = &mut self.0 else { return Self(None) };
        if bytes >= of {
            return Self(self.0.take());
        }
        let part = ours.num_permits() as u128 * u128::from(bytes) / u128::from(of.max(1));
        Self(usize::try_from(part).ok().and_then(|n| ours.split(n)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_share_comes_back_in_parts() {
        let budget = Budget::new(ByteSize::kib(100));
        let mut share = budget.take(80 * 1024).await;
        share.merge(budget.take(10 * 1024).await);
        assert_eq!(budget.used(), 90 * 1024);
        drop(share.split(50, 100));
        assert_eq!(budget.used(), 45 * 1024);
        drop(share.split(7, 7));
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn who_waits_raises_pressure_and_gets_what_is_given_back() {
        let budget = Budget::new(ByteSize::kib(10));
        let held = budget.take(8 * 1024).await;
        let mut pressure = budget.pressure();
        assert!(!*pressure.borrow_and_update());
        let waiting = tokio::spawn({
            let budget = budget.clone();
            async move { budget.take(4 * 1024).await }
        });
        pressure.changed().await.expect("the budget is there");
        assert!(*pressure.borrow_and_update());
        drop(held);
        waiting.await.expect("the waiter ends");
        assert!(!*budget.pressure().borrow());
    }

    #[tokio::test]
    async fn what_is_larger_than_the_budget_takes_all_of_it() {
        let budget = Budget::new(ByteSize::kib(4));
        let share = budget.take(1 << 30).await;
        assert_eq!(budget.used(), 4096);
        drop(share);
        assert_eq!(budget.used(), 0);
    }
}
