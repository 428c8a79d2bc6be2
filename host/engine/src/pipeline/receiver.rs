//! The receiver: one thread that reads the binlog and hands it on, undecoded.
//!
//! It blocks in socket reads, which would stall an async worker, so it has its own thread. A connection that breaks is
//! opened again here, at the place where it broke; the stream itself skips what it has delivered already, so nobody behind
//! notices more than a pause.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, bounded};
use sluicebox_mysql::{BinlogStream, MysqlError, StreamItem, StreamStopper};

use crate::error::{Disposition, EngineError};
use crate::telemetry::Telemetry;

/// Items handed over at once: a channel costs as much as decoding a small row.
const BATCH_ITEMS: usize = 256;
/// Bytes handed over at once.
const BATCH_BYTES: usize = 256 * 1024;
/// Batches held between receiver and coordinator: 4 MiB at most, or one event each. When full the receiver blocks, and the
/// server keeps the rest in its binlog.
const QUEUE: usize = 16;
/// Pause before the first attempt to reconnect; doubles up to `LONGEST_PAUSE`.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// A server that restarts takes some seconds; one that is down for hours is asked twice a minute.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A server that is alone is waited for so long before the pipeline begins again from its checkpoint.
const ALONE: Duration = Duration::from_secs(120);

/// How long a server that has gone is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Attempts that are made in any case.
    pub attempts: u32,
    /// Another server can be read in its place.
    pub has_others: bool,
}

impl Patience {
    fn is_over(self, attempt: u32, waited: Duration) -> bool {
        attempt > self.attempts && (self.has_others || waited > ALONE)
    }
}

/// Items in stream order, or why there are no more.
pub(super) type Items = Result<Vec<StreamItem>, EngineError>;

/// A running receiver.
pub(super) struct ReceiverThread {
    stopper: StreamStopper,
    stop: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

/// Starts reading.
pub(super) fn spawn(
    stream: BinlogStream,
    patience: Patience,
    telemetry: Arc<Telemetry>,
) -> Result<(ReceiverThread, Receiver<Items>), EngineError> {
    let (items, queue) = bounded(QUEUE);
    let (stop, stopped) = bounded(1);
    let stopper = stream.stopper();
    let mut receiver = Loop { stream, items, stopped, patience, telemetry };
    let thread = std::thread::Builder::new()
        .name("receiver".into())
        .spawn(move || receiver.run())
        .map_err(|source| EngineError::Start { what: "the receiver thread", source })?;
    Ok((ReceiverThread { stopper, stop, thread: Some(thread) }, queue))
}

impl Drop for ReceiverThread {
    fn drop(&mut self) {
        // Full means that it was told already.
        let _ = self.stop.try_send(());
        self.stopper.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Loop {
    stream: BinlogStream,
    items: Sender<Items>,
    stopped: Receiver<()>,
    patience: Patience,
    telemetry: Arc<Telemetry>,
}

impl Loop {
    fn run(&mut self) {
        loop {
            let (batch, error) = self.gather();
            if !batch.is_empty() && self.items.send(Ok(batch)).is_err() {
                return; // The coordinator left first: a normal stop.
            }
            let Some(error) = error else { continue };
            if matches!(error, MysqlError::Stopped) {
                return;
            }
            if let Err(error) = self.reconnect(error) {
                // Nobody left to tell is a normal stop as well.
                let _ = self.items.send(Err(error));
                return;
            }
        }
    }

    /// Items until the batch is full or the next one would have to be waited for.
    fn gather(&mut self) -> (Vec<StreamItem>, Option<MysqlError>) {
        let mut batch = Vec::with_capacity(BATCH_ITEMS);
        let mut bytes = 0;
        let mut commit_micros = None;
        let mut next = self.stream.next().map(Some);
        loop {
            let item = match next {
                Ok(item) => item,
                Err(error) => return (batch, Some(error)),
            };
            let waits = item.is_none();
            if let Some(StreamItem::Rows(rows)) = &item {
                bytes += rows.byte_len();
                commit_micros = Some(rows.commit_micros);
            }
            batch.extend(item);
            if batch.len() >= BATCH_ITEMS || bytes >= BATCH_BYTES || waits {
                self.telemetry.received(bytes, commit_micros);
                return (batch, None);
            }
            next = self.stream.next_arrived();
        }
    }

    /// Opens the stream again, as long as that may help.
    fn reconnect(&mut self, first: MysqlError) -> Result<(), EngineError> {
        let mut error = EngineError::Source(first);
        let mut pause = FIRST_PAUSE;
        let began = Instant::now();
        for attempt in 1.. {
            // A table that is not known is met again, whichever connection brings it: the whole pipeline begins again.
            let is_new = matches!(error, EngineError::Source(MysqlError::NewTable { .. }));
            if is_new || error.disposition() != Disposition::Retry {
                return Err(error);
            }
            if self.patience.is_over(attempt, began.elapsed()) {
                return Err(error);
            }
            tracing::warn!(attempt, pause_ms = pause.as_millis(), %error, "binlog connection lost, reconnecting");
            self.telemetry.reconnected();
            if self.stopped.recv_timeout(pause).is_ok() {
                return Err(EngineError::Source(MysqlError::Stopped));
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            match self.stream.reopen() {
                Ok(()) => return Ok(()),
                Err(again) => error = EngineError::Source(again),
            }
        }
        Err(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_alone_is_waited_for_and_one_of_several_is_not() {
        let second = Duration::from_secs(1);
        for (has_others, attempt, waited, over) in [
            (false, 3, ALONE * 2, false),
            (false, 4, second, false),
            (false, 4, ALONE + second, true),
            (true, 3, second, false),
            (true, 4, second, true),
        ] {
            let patience = Patience { attempts: 3, has_others };
            assert_eq!(patience.is_over(attempt, waited), over, "{has_others} {attempt} {waited:?}");
        }
    }
}
