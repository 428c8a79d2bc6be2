//! `plugin`: what authors of plugins need.

mod bench;
mod build;
mod compile;
mod inspect;
mod interface;
mod live;
mod new;
mod record;
mod test;

use std::time::Duration;

use sluicebox_engine::PluginLimits;
use sluicebox_model::ByteSize;

use crate::arguments::{LimitOptions, PluginCommand};
use crate::failure::Failure;

/// Runs one of the commands.
pub fn run(command: &PluginCommand) -> Result<(), Failure> {
    match command {
        PluginCommand::New(options) => new::run(options),
        PluginCommand::Build(options) => build::run(options),
        PluginCommand::Test(options) => test::run(options),
        PluginCommand::Bench(options) => bench::run(options),
        PluginCommand::Compile(options) => compile::run(options),
        PluginCommand::Record(options) => record::run(options),
        PluginCommand::Interface { markdown } => interface::run(*markdown),
        PluginCommand::Reload(options) => live::reload(options),
        PluginCommand::History(options) => live::history(options),
        PluginCommand::Canary(options) => live::canary(options),
        PluginCommand::Inspect { file, json } => inspect::run(file, *json),
    }
}

fn limits(options: &LimitOptions) -> PluginLimits {
    let default = PluginLimits::default();
    PluginLimits {
        memory: options.memory.map_or(default.memory, ByteSize::mib),
        time: options.time.map_or(default.time, Duration::from_millis),
        ..default
    }
}
