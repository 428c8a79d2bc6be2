//! What a plugin may use, and what names one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sluicebox_model::ByteSize;

use crate::lookup::LookupTables;
use crate::wasi::WasiGrants;

/// What one instance of a plugin may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory of the instance, all its memories together.
    pub memory: ByteSize,
    /// Processor time of one call; [`Limits::TIME_A_ROW`] is added for each row of the batch, and starting and planning
    /// may take [`Limits::START_FACTOR`] times as long. A guest is stopped after once to twice its limit.
    pub time: Duration,
    /// Core modules inside the component.
    pub instances: u32,
    /// Elements of all its tables together.
    pub table_elements: u32,
    /// What a call may give back beyond [`Limits::OUTPUT_FACTOR`] times what it was given.
    pub output: ByteSize,
    /// Lines that it may log in a second; more are counted and left out.
    pub log_lines: u32,
    /// Keys and values together of what it remembers of one target.
    pub state: ByteSize,
}

impl Limits {
    /// A compiled plugin works in a fraction of a MiB; this leaves room for tables of its own. Interpreted languages
    /// want four times as much.
    pub const DEFAULT_MEMORY: ByteSize = ByteSize::mib(64);
    /// A thousand times what a call of a compiled plugin takes, and short enough that a stuck plugin is noticed
    /// before the source's connection is.
    pub const DEFAULT_TIME: Duration = Duration::from_millis(100);
    /// Five times what the slowest supported language takes for a row.
    pub const TIME_A_ROW: Duration = Duration::from_micros(50);
    /// Interpreters set themselves up at their start, for some milliseconds on an idle machine.
    pub const START_FACTOR: u32 = 10;
    /// Python's components are the largest known: an interpreter, its libraries and what binds them make 33 to 40.
    pub const DEFAULT_INSTANCES: u32 = 64;
    /// Each element is a function that can be called through a pointer; Go's runtime has some thousands.
    pub const DEFAULT_TABLE_ELEMENTS: u32 = 10_000;
    /// A plugin that computes longer texts than it was given (an encryption in base64, say) stays below.
    pub const OUTPUT_FACTOR: usize = 4;
    /// Small batches may grow by more than the factor.
    pub const DEFAULT_OUTPUT: ByteSize = ByteSize::mib(1);
    /// Enough to follow a plugin at work, too few to fill a disk.
    pub const DEFAULT_LOG_LINES: u32 = 100;
    /// A hundred thousand counts by key. All of it is in memory, and what a batch changes is written with its rows.
    pub const DEFAULT_STATE: ByteSize = ByteSize::mib(16);
    /// Longest key of a state, in bytes: longer than any key of a table that is worth counting by.
    pub const STATE_KEY_BYTES: usize = 1024;
    /// Longest message of a plugin that is kept, in bytes: log lines and row errors.
    pub const MESSAGE_BYTES: usize = 1024;
}

impl Limits {
    /// Time for `init`, and for planning a table.
    pub(crate) fn start_time(&self) -> Duration {
        self.time.saturating_mul(Self::START_FACTOR)
    }

    /// Time for a batch of so many rows.
    pub(crate) fn batch_time(&self, rows: u32) -> Duration {
        self.time.saturating_add(Self::TIME_A_ROW.saturating_mul(rows))
    }

    /// What a call may give back that was given so many bytes.
    pub(crate) fn output_bytes(&self, bytes_in: usize) -> usize {
        bytes_in.saturating_mul(Self::OUTPUT_FACTOR).saturating_add(self.output.as_usize())
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: Self::DEFAULT_MEMORY,
            time: Self::DEFAULT_TIME,
            instances: Self::DEFAULT_INSTANCES,
            table_elements: Self::DEFAULT_TABLE_ELEMENTS,
            output: Self::DEFAULT_OUTPUT,
            log_lines: Self::DEFAULT_LOG_LINES,
            state: Self::DEFAULT_STATE,
        }
    }
}

/// What a plugin may ask the host for beyond its rows.
#[derive(Debug, Clone, Default)]
pub struct Grants {
    /// The time of day.
    pub clock: bool,
    /// What of WASI.
    pub wasi: WasiGrants,
    /// Reference tables.
    pub lookups: Option<Arc<dyn LookupTables>>,
}

/// A plugin as the pipeline file names it.
#[derive(Debug, Clone)]
pub struct PluginSpec {
    /// The file: a component, or a core module with the interface inside.
    pub path: PathBuf,
    /// What its `init` is given, as JSON text.
    pub config: serde_json::Value,
    /// What each of its instances may use.
    pub limits: Limits,
    /// What they may ask for.
    pub grants: Grants,
    /// The file's SHA-256 in hexadecimal; a file with another one is refused.
    pub sha256: Option<String>,
    /// The file was made by [`Engine::precompile`](crate::Engine::precompile): native code, which nothing checks.
    pub precompiled: bool,
}
