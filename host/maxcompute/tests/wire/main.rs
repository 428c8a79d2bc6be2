//! What this crate sends and reads, against bytes recorded from the official clients, and against a server that fails
//! in scripted ways.

#![allow(clippy::unwrap_used, reason = "what a test takes for granted is a test too")]

mod alterations;
mod arrow_blocks;
mod auth;
mod bodies;
mod bucket_hash;
mod conversation;
mod credentials;
mod encryption;
mod failures;
mod fixture;
mod limits;
mod properties;
mod proxies;
mod python_answers;
mod record_encode;
mod server;
mod statements;
mod upserts;
