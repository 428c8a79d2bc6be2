//! The host against real plugins, built by `scripts/build-guests`.

mod cache;
mod conformance;
mod kinds;
mod limits;
mod plans;
mod refusals;
mod support;
mod verdicts;
