//! Tests of the built program: real servers, the real emulator over HTTP, real plugins.
//!
//! One binary, a file per scenario. What they need is started by `scripts/test`, which says so in environment
//! variables; a test that misses one fails and names it. `scripts/test -- -p sluicebox --test scenarios NAME`
//! runs one of them.

mod support;

mod approval;
mod architecture;
mod bad_input;
mod capture;
mod chains;
mod configs;
mod connection;
mod crash_points;
mod dead_letters;
mod documents;
mod endurance;
mod evolution;
mod exchange;
mod expressions;
mod faults;
mod generated;
mod harness;
mod hidden_changes;
mod kill;
mod live_swap;
mod main_path;
mod merging;
mod partial_json;
mod partial_rows;
mod partitions;
mod plugin_grants;
mod plugin_languages;
mod plugin_state;
mod plugin_tools;
mod race;
mod random_changes;
mod resnapshot;
mod snapshot;
mod takeover;
mod values;
mod worked_examples;
mod xa;
