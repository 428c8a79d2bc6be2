//! The commands, one a file. They print facts to standard output and nothing else there.

pub mod dead_letters;
mod editor_schema;
pub mod emulator;
pub mod import;
pub mod init;
pub mod options;
pub mod plugin;
pub mod query;
pub mod run;
pub mod schema;
pub mod settle;
pub mod status;
pub mod validate;

use std::path::Path;

use anyhow::Context as _;
use clap::CommandFactory as _;
use serde::Serialize;
use sluicebox_engine::config::{self, Loaded};

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::output::{self, line};

/// Reads a pipeline file with this process's environment.
fn load(file: &Path) -> Result<Loaded, Failure> {
    Ok(config::load(file, &|name| std::env::var(name).ok())?)
}

fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    line!("{}", serde_json::to_string_pretty(value).context("printing JSON")?);
    Ok(())
}

/// A runtime for a command that asks the network a few questions.
fn small_runtime() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")?)
}

/// `completions`.
pub fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "sluicebox", &mut script);
    output::print(format_args!("{}", String::from_utf8_lossy(&script)));
    Ok(())
}
