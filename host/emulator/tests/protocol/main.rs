//! The emulator over real HTTP, spoken to by a client that shares no code with it.

#![allow(clippy::unwrap_used, reason = "a test ends at the first thing that is not as it should be")]

#[path = "../support/records.rs"]
mod records;
#[path = "../support/mod.rs"]
mod support;

mod control;
mod crash;
mod documents;
mod exchanges;
mod fixtures;
mod limits;
mod sessions;
mod statements;
