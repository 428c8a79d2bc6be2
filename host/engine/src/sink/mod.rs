//! From row images to tunnel sessions: mapping, schema evolution, encoding, buffers, sessions.

pub mod buffers;
pub mod cell;

pub mod encode;
pub mod evolve;
pub mod least_type;
pub mod mapping;
pub mod policy;
pub mod render;
pub mod session;
pub mod shape;
pub mod table;
#[cfg(test)]
mod widening_tests;
