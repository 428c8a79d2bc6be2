//! `emulator`.

use std::io::Write as _;

use anyhow::Context as _;
use sluicebox_emulator::Emulator;
use tokio::signal::unix::{SignalKind, signal};

use crate::arguments::EmulatorOptions;
use crate::failure::Failure;
use crate::logging;
use crate::output::line;

/// Serves until SIGINT or SIGTERM.
pub fn run(options: &EmulatorOptions) -> Result<(), Failure> {
    logging::start("info")?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    runtime.block_on(async {
        let emulator = Emulator::start(sluicebox_emulator::EmulatorOptions {
            listen: options.listen,
            data: options.data.clone(),
            credentials: options.credentials.clone(),
            discard: options.discard,
            schemas: options.schemas,
        })
        .await
        .context("starting the emulator")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
        let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
        line!("listening on http://{}", emulator.address());
        // Whoever started us reads this line through a pipe.
        std::io::stdout().flush().context("writing the address")?;
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        emulator.stop().await;
        Ok(())
    })
}
