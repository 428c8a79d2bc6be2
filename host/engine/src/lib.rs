//! The pipeline as a library: configuration, routes, schema evolution, sink, checkpoints.
//!
//! [`config::load`] reads a pipeline file, [`run`] runs it, [`plan::examine`] tells what it would do, [`state::Reader`] looks at
//! it from outside while it runs.

mod budget;
pub mod cases;
pub mod config;
mod error;
pub mod events;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod lookup;
mod metrics;
pub mod pattern;
mod pipeline;
pub mod plan;
mod plugin_meter;
pub mod route;
mod sink;
pub mod state;
pub mod survey;
mod telemetry;

pub use error::{Disposition, EngineError};
pub use pipeline::{
    Comparison, Outcome, PluginAnswer, Replayed, SwitchedPlugin, TableDifference, Tally, describe, give_up,
    query, replay, run, sink_client,
};
pub use sluicebox_wasm::{
    Engine as PluginEngine, Inspection, Limits as PluginLimits, WasmError, inspect as inspect_plugin,
    interface as plugin_interface,
};
pub use telemetry::{Progress, Telemetry, now_ms};
