//! The clock by which guests are stopped.
//!
//! Compiled code compares the engine's epoch with the store's deadline at each loop and call, so someone must raise the
//! epoch. Promise: while any call runs, the epoch rises each millisecond. A thread that stopped would mean no limit
//! at all; so it lives as long as anything that can call a guest holds the [`Ticker`], and is joined when the last one is
//! dropped. When no call has run for a while the thread sleeps until the next one wakes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// One step of the epoch: a hundredth of the default limit.
pub(crate) const TICK: Duration = Duration::from_millis(1);

/// Ticks without a call before the thread sleeps: long enough that a busy pipeline never pays for waking it.
const IDLE_TICKS: u32 = 100;

/// Owns the thread.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// Calls that run now.
    calls: AtomicUsize,
    asleep: AtomicBool,
    stop: AtomicBool,
}

/// While it lives, the epoch rises.
pub(crate) struct Running<'a>(&'a Shared);

impl Ticker {
    /// Starts the thread.
    pub(crate) fn start(engine: wasmtime::Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let thread =
            std::thread::Builder::new().name("guest-clock".into()).spawn(move || run(&engine, &of_thread))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// To be held for the time of a call.
    pub(crate) fn running(&self) -> Running<'_> {
        self.shared.calls.fetch_add(1, Ordering::SeqCst);
        // Either the thread sees the call before it sleeps, or this sees that it sleeps.
        if self.shared.asleep.load(Ordering::SeqCst) {
            self.wake();
        }
        Running(&self.shared)
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // The loop has nothing that panics, so there is no error to report.
            let _ = thread.join();
        }
    }
}

fn run(engine: &wasmtime::Engine, shared: &Shared) {
    let mut idle = 0;
    while !shared.stop.load(Ordering::SeqCst) {
        std::thread::park_timeout(TICK);
        engine.increment_epoch();
        idle = if shared.calls.load(Ordering::SeqCst) == 0 { idle + 1 } else { 0 };
        if idle < IDLE_TICKS {
            continue;
        }
        shared.asleep.store(true, Ordering::SeqCst);
        if shared.calls.load(Ordering::SeqCst) == 0 && !shared.stop.load(Ordering::SeqCst) {
            std::thread::park();
        }
        shared.asleep.store(false, Ordering::SeqCst);
        idle = 0;
    }
}
