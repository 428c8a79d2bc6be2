//! All that knows wasmtime: loading, limits and calls of guest components.
//!
//! An [`Engine`] (one for the process) loads a [`Plugin`]; each worker thread has an [`Instance`] of it. An instance *plans* a
//! table once for each version of its schema and then *processes* batches under that plan. Plans are plain data: the one
//! that the coordinator's instance made is given to the workers', which make it again for themselves and compare.
//!
//! Plugins of each released version of the interface run; a later one becomes the newest when its answers are read (`abi`).
//!
//! Promises. A guest has no files, network, randomness or environment, and the clock only where it is granted: nothing is linked
//! but a rate-limited log, reference tables, its own state and that clock.
//! Whatever it does, the host neither panics nor waits for longer than its limits say, nor gives it more memory; what it
//! gives back is checked before anything believes it. A failure is the error of one batch, of which no row has gone on.
//! Calls block; they belong on a worker's own thread, not on an async runtime's.

mod abi;
mod batch;
mod cache;
mod collected;
mod config_schema;
mod engine;
mod error;
mod expand;
mod functions;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod guest;
mod host;
mod input;
mod inspect;
mod instance;
pub mod interface;
mod isolate;
mod limits;
mod live;
mod load;
mod lookup;
mod output;
mod plan;
mod precompiled;
mod preview1;
mod seed;
mod state;
mod ticker;
mod version;
mod wasi;

pub use engine::{Engine, Plugin};
pub use error::{Fault, WasmError};
pub use guest::instances;
pub use inspect::{Inspection, inspect};
pub use instance::{About, FailedRow, Instance, Processed, Stats};
pub use limits::{Grants, Limits, PluginSpec};
pub use load::PluginFile;
pub use lookup::LookupTables;
pub use plan::{Action, Meta, Read, Source, TablePlan};
pub use state::{State, StateChanges};
pub use wasi::WasiGrants;
