//! The `sluicebox` program: arguments in, one command run, an exit code out.
//!
//! Exit codes: 0 stopped or finished, 2 bad usage or configuration, 3 source or sink refused, 1 anything else.

mod arguments;
mod commands;
mod failure;
mod live;
mod logging;
mod output;
mod table;

use std::process::ExitCode;

use clap::Parser as _;

use arguments::{Arguments, Command};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Command::Init(options) => commands::init::run(&options),
        Command::Run(options) => commands::run::run(&options),
        Command::Validate(options) => commands::validate::run(&options),
        Command::Status(options) => commands::status::run(&options),
        Command::Query(options) => commands::query::run(&options),
        Command::Settle(options) => commands::settle::run(&options),
        Command::Schema { command } => commands::schema::run(&command),
        Command::DeadLetters { command } => commands::dead_letters::run(&command),
        Command::Plugin { command } => commands::plugin::run(&command),
        Command::Import { command } => commands::import::run(&command),
        Command::Emulator(options) => commands::emulator::run(&options),
        Command::Options(options) => commands::options::run(&options),
        Command::Completions { shell } => commands::completions(shell),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
