//! The pipeline as a library: configuration, routes, schema evolution, sink, checkpoints.
//!
//! [`config::load`] reads a pipeline file, [`run`] runs it, [`plan::examine`] tells what it would do, [`state::Reader`] looks at
//! it from outside while it runs.

mod budget;
pub mod config;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod metrics;
pub mod pattern;
mod pipeline;
pub mod plan;
pub mod route;
mod sink;
pub mod state;
mod telemetry;

pub use error::{Disposition, EngineError};
pub use pipeline::{Outcome, describe, query, run, sink_client};
pub use sluicebox_wasm::{Inspection, WasmError, inspect as inspect_plugin};
pub use telemetry::{Progress, Telemetry, now_ms};
