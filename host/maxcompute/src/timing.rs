//! The clock, the dice and the waits, so that tests and embedders can supply their own.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

/// What a client needs of the world besides the network.
pub trait Timing: std::fmt::Debug + Send + Sync + 'static {
    /// The time of day, which signatures carry.
    fn now(&self) -> SystemTime;
    /// A random number from 0 to 1, which spreads waits.
    fn dice(&self) -> f64;
    /// Waits.
    fn sleep(&self, wait: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// The real ones.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemTiming;

impl Timing for SystemTiming {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn dice(&self) -> f64 {
        rand::random()
    }

    fn sleep(&self, wait: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(wait))
    }
}
