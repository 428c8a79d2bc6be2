//! `run`.

use std::io::IsTerminal as _;
use std::sync::Arc;

use anyhow::Context as _;
use crossbeam::channel::{Receiver, bounded};
use sluicebox_engine::{Outcome, Telemetry};
use tokio::signal::unix::{SignalKind, signal};

use super::load;
use crate::arguments::RunOptions;
use crate::failure::Failure;
use crate::live::Live;
use crate::logging;

/// The exit code of a process that a second signal stopped at once: what shells show for SIGINT.
const STOPPED_AT_ONCE: i32 = 130;

/// A block of a batch's size: 8,000 rows have columns of up to this.
const KEPT_BLOCK_BYTES: usize = 2 << 20;

/// Has the C library keep freed memory of a batch for the next batch, instead of giving it back to the kernel at once. Fresh
/// pages cost as much as decoding rows into them. glibc learns from the first block of such a size that is freed and then
/// keeps up to twice as much in each of its arenas; other libraries have rules of their own, and this does nothing there.
fn keep_freed_memory() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(KEPT_BLOCK_BYTES)));
}

/// Runs a pipeline.
pub fn run(options: &RunOptions) -> Result<(), Failure> {
    keep_freed_memory();
    let loaded = load(&options.file)?;
    logging::start(&options.log)?;
    for note in &loaded.notes {
        tracing::info!(option = note.path, line = note.line, "{}", note.message);
    }
    let stop = signals()?;
    let telemetry = Arc::new(Telemetry::default());
    let live = if std::io::stderr().is_terminal() {
        Some(Live::start(Arc::clone(&telemetry)).context("starting the live line")?)
    } else {
        None
    };
    let result = sluicebox_engine::run(&loaded.pipeline, &telemetry, &stop);
    drop(live);
    match result? {
        Outcome::Stopped => tracing::info!("stopped; the next run goes on from here"),
        Outcome::Finished => tracing::info!("finished"),
    }
    Ok(())
}

/// The first SIGINT or SIGTERM arrives at the receiver; the second ends the process at once.
fn signals() -> Result<Receiver<()>, Failure> {
    let (stop, stopped) = bounded(1);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
    let (mut interrupt, mut terminate) = {
        let _context = runtime.enter();
        let interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
        (interrupt, signal(SignalKind::terminate()).context("listening for SIGTERM")?)
    };
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            runtime.block_on(async {
                let mut told = false;
                loop {
                    tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
                    if told {
                        std::process::exit(STOPPED_AT_ONCE);
                    }
                    told = true;
                    // The receiver lives as long as the pipeline; later there is nothing to stop.
                    let _ = stop.send(());
                }
            });
        })
        .context("starting the signal thread")?;
    Ok(stopped)
}
