//! WASI (0.2) for plugins whose entry in the pipeline file grants it, capability by capability, and for no others.
//!
//! A component that imports what is not granted is refused before it is linked (`load.rs`). What is granted is that of the crate
//! `wasmtime-wasi`, with two differences. Nobody waits: whatever a guest polls for counts as ready, since a limit on time cannot end a
//! sleep of the host's. And what it writes to its standard output and error becomes log lines, with the limits of those.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceTable};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{DynPollable, OutputStream, Pollable, StreamResult};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView};

use crate::guest::Guest;

/// Output of one call that is kept; a log line has less.
const OUTPUT_BYTES: usize = 64 << 10;
/// Open streams, files and the like of one instance: each costs memory of the host.
const RESOURCES: usize = 10_000;
/// The interface that is linked anew, so that nobody waits. Its version is that of the crate's definitions.
const POLL: &str = "wasi:io/poll@0.2.12";
/// Interfaces without anything of the outside in them, which the others need.
const PLUMBING: [&str; 2] = ["wasi:io/", "wasi:cli/exit@"];

/// What of WASI a plugin is granted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WasiGrants {
    /// The time of day and a clock that only rises.
    pub clocks: bool,
    /// Random numbers.
    pub random: bool,
    /// Standard output and error, as log lines; there is never any input.
    pub stdio: bool,
    /// Environment variables: these, and none of the host's.
    pub environment: Option<Vec<(String, String)>>,
    /// Folders that it may read, by their names for the guest.
    pub filesystem: Vec<(String, PathBuf)>,
}

/// A capability by its name in the pipeline file, and the interfaces that it stands for.
const CAPABILITIES: [(&str, &[&str]); 5] = [
    ("clocks", &["wasi:clocks/"]),
    ("random", &["wasi:random/"]),
    ("stdio", &["wasi:cli/stdin@", "wasi:cli/stdout@", "wasi:cli/stderr@", "wasi:cli/terminal-"]),
    ("environment", &["wasi:cli/environment@"]),
    ("filesystem", &["wasi:filesystem/"]),
];

impl WasiGrants {
    /// All there is, for looking at a file whose entry is not known.
    pub(crate) fn all() -> Self {
        let everywhere = vec![(".".to_owned(), PathBuf::from("."))];
        Self {
            clocks: true,
            random: true,
            stdio: true,
            environment: Some(Vec::new()),
            filesystem: everywhere,
        }
    }

    /// Whether there is any.
    pub(crate) fn any(&self) -> bool {
        *self != Self::default()
    }

    fn has(&self, capability: &str) -> bool {
        match capability {
            "clocks" => self.clocks,
            "random" => self.random,
            "stdio" => self.stdio,
            "environment" => self.environment.is_some(),
            "filesystem" => !self.filesystem.is_empty(),
            _ => false,
        }
    }

    /// Whether an import is granted.
    pub(crate) fn offers(&self, import: &str) -> bool {
        match capability(import) {
            Some(capability) => self.has(capability),
            None => self.any() && PLUMBING.iter().any(|plumbing| import.starts_with(plumbing)),
        }
    }

    /// What an instance is given.
    ///
    /// # Errors
    /// When a folder cannot be opened.
    pub(crate) fn open(&self) -> Result<Wasi, String> {
        let mut context = WasiCtx::builder();
        let output = LogOutput::default();
        context.stdout(output.clone()).stderr(output.clone());
        for (name, value) in self.environment.iter().flatten() {
            context.env(name, value);
        }
        for (name, folder) in &self.filesystem {
            let opened = context.preopened_dir(folder, name, FsPerms::ReadOnly);
            opened.map_err(|error| format!("cannot open the folder `{}`: {error:#}", folder.display()))?;
        }
        Ok(Wasi { context: context.build(), output, ..Wasi::nothing() })
    }
}

/// The capability that an import belongs to.
pub(crate) fn capability(import: &str) -> Option<&'static str> {
    let belongs = |interfaces: &[&str]| interfaces.iter().any(|interface| import.starts_with(interface));
    CAPABILITIES.iter().find(|(_, interfaces)| belongs(interfaces)).map(|(name, _)| *name)
}

/// What an instance has of WASI.
pub(crate) struct Wasi {
    context: WasiCtx,
    table: ResourceTable,
    output: LogOutput,
}

impl Wasi {
    /// Nothing of the outside.
    pub(crate) fn nothing() -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES);
        Self { context: WasiCtx::builder().build(), table, output: LogOutput::default() }
    }

    pub(crate) fn view(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.context, table: &mut self.table }
    }

    /// Lines that were written since the last time.
    pub(crate) fn lines(&self) -> Vec<String> {
        let written = std::mem::take(&mut *self.output.0.lock().unwrap_or_else(PoisonError::into_inner));
        String::from_utf8_lossy(&written).lines().map(str::to_owned).collect()
    }
}

/// The host's functions, with WASI beside them.
pub(crate) fn link(linker: &Linker<Guest>) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = linker.clone();
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
    linker.allow_shadowing(true);
    let mut poll = linker.instance(POLL)?;
    poll.func_wrap(
        "[method]pollable.block",
        |_: StoreContextMut<'_, Guest>, (_,): (Resource<DynPollable>,)| Ok(()),
    )?;
    poll.func_wrap(
        "[method]pollable.ready",
        |_: StoreContextMut<'_, Guest>, (_,): (Resource<DynPollable>,)| Ok((true,)),
    )?;
    poll.func_wrap("poll", |_: StoreContextMut<'_, Guest>, (all,): (Vec<Resource<DynPollable>>,)| {
        // A list of the guest's own, whose memory has 32-bit addresses.
        let ready: Vec<u32> = (0..).zip(&all).map(|(place, _)| place).collect();
        Ok((ready,))
    })?;
    linker.allow_shadowing(false);
    Ok(linker)
}

/// Standard output and error of a guest, until its call has ended.
#[derive(Debug, Clone, Default)]
struct LogOutput(Arc<Mutex<Vec<u8>>>);

impl IsTerminal for LogOutput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogOutput {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for LogOutput {
    /// What is too much is thrown away.
    fn write(&mut self, bytes: bytes::Bytes) -> StreamResult<()> {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = OUTPUT_BYTES.saturating_sub(written.len()).min(bytes.len());
        written.extend_from_slice(&bytes[..room]);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(OUTPUT_BYTES)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for LogOutput {
    async fn ready(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_granted_is_offered_and_sockets_never() {
        let clocks = WasiGrants { clocks: true, ..WasiGrants::default() };
        for (import, none, granted, all) in [
            ("wasi:clocks/wall-clock@0.2.0", false, true, true),
            ("wasi:io/streams@0.2.6", false, true, true),
            ("wasi:cli/exit@0.2.0", false, true, true),
            ("wasi:random/random@0.2.0", false, false, true),
            ("wasi:cli/environment@0.2.3", false, false, true),
            ("wasi:cli/terminal-stdout@0.2.3", false, false, true),
            ("wasi:filesystem/preopens@0.2.0", false, false, true),
            ("wasi:sockets/tcp@0.2.0", false, false, false),
            ("wasi:http/outgoing-handler@0.2.0", false, false, false),
            ("fetch", false, false, false),
        ] {
            assert_eq!(WasiGrants::default().offers(import), none, "{import}");
            assert_eq!(clocks.offers(import), granted, "{import}");
            assert_eq!(WasiGrants::all().offers(import), all, "{import}");
        }
    }

    #[test]
    fn output_is_kept_up_to_a_limit() {
        let mut output = LogOutput::default();
        let wasi = Wasi { output: output.clone(), ..Wasi::nothing() };
        assert!(output.write("one\ntwo".into()).is_ok());
        assert_eq!(wasi.lines(), ["one", "two"]);
        assert!(output.write(vec![b'x'; 2 * OUTPUT_BYTES].into()).is_ok());
        assert_eq!(wasi.lines()[0].len(), OUTPUT_BYTES);
        assert!(wasi.lines().is_empty());
    }
}
