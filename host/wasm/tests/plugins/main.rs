//! The host against real plugins, built by `scripts/build-guests`.

#![allow(clippy::print_stdout, reason = "tests print their seeds")]

mod cache;
mod config_schema;
mod conformance;
mod expand;
mod host;
mod kinds;
mod limits;
mod plans;
mod preview1;
mod refusals;
mod support;
mod verdicts;
mod wasi;
