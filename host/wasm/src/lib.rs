//! All that knows wasmtime: loading, limits and calls of guest components.
//!
//! An [`Engine`] (one for the process) loads a [`Plugin`]; each worker thread has an [`Instance`] of it. An instance *plans* a
//! table once for each version of its schema and then *processes* batches under that plan. Plans are plain data: the one
//! that the coordinator's instance made is given to the workers', which make it again for themselves and compare.
//!
//! Promises. A guest has no files, network, clock, randomness or environment: nothing but a rate-limited log is linked.
//! Whatever it does, the host neither panics nor waits for longer than its limits say, nor gives it more memory; what it
//! gives back is checked before anything believes it. A failure is the error of one batch, of which no row has gone on.
//! Calls block; they belong on a worker's own thread, not on an async runtime's.

mod abi;
mod batch;
mod cache;
mod engine;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod guest;
mod input;
mod inspect;
mod instance;
pub mod interface;
mod limits;
mod live;
mod load;
mod output;
mod plan;
mod precompiled;
mod preview1;
mod ticker;

pub use engine::{Engine, Plugin};
pub use error::{Fault, WasmError};
pub use inspect::{Inspection, inspect};
pub use instance::{About, FailedRow, Instance, Processed, Stats};
pub use limits::{Limits, PluginSpec};
pub use plan::{Action, Meta, Read, Source, TablePlan};
