//! `emulator`.

use std::io::Write as _;

use anyhow::Context as _;
use sluicebox_emulator::Emulator;
use tokio::signal::unix::{SignalKind, signal};

use crate::arguments::EmulatorOptions;
use crate::failure::Failure;
use crate::logging;
use crate::output::print;

/// Serves until SIGINT or SIGTERM.
pub fn run(options: &EmulatorOptions) -> Result<(), Failure> {
    logging::start("info")?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    runtime.block_on(async {
        let emulator = Emulator::start(sluicebox_emulator::EmulatorOptions {
            listen: options.listen,
            data: options.data.clone().unwrap_or_default(),
            credentials: options.credentials.clone(),
            discard: options.discard,
            schemas: options.schemas,
            in_memory: options.in_memory,
            lenient: options.lenient,
        })
        .await
        .context("starting the emulator")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
        let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
        // Whoever started us reads the first line through a pipe, and may then close it: one write for all, since a later
        // one would fail.
        let text = format!("listening on http://{}\n{}", emulator.address(), emulator.instructions());
        print(format_args!("{text}"));
        std::io::stdout().flush().context("writing the address")?;
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        emulator.stop().await;
        Ok(())
    })
}
