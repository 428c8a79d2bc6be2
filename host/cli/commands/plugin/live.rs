//! `plugin reload` and `plugin canary`, asked of a running pipeline by the state that both use, and `plugin history`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use serde_json::json;
use sluicebox_engine::state::{Desk, PluginVersion, Reader, Request};
use sluicebox_engine::{
    Comparison, EngineError, PluginAnswer, SwitchedPlugin, TableDifference, Tally, now_ms,
};

use crate::arguments::{CanaryOptions, PluginHistoryOptions, ReloadOptions};
use crate::commands::{load, print_json};
use crate::failure::Failure;
use crate::output::line;

/// Between two looks for the answer: short beside what a reload takes.
const LOOK: Duration = Duration::from_millis(50);
/// What a comparison may take beside the time that it was given: the version is loaded and planned first.
const CANARY_START: Duration = Duration::from_secs(120);
/// Digits of a digest that tell two versions apart for people.
const SHORT: usize = 12;

/// Lets the pipeline take its plugins' files in.
pub fn reload(options: &ReloadOptions) -> Result<(), Failure> {
    let request = Request::Reload { plugin: options.plugin.clone() };
    let answer = ask(&options.file, &request, options.wait)?;
    report(&answer, options.json)
}

/// Runs a version beside the one in force.
pub fn canary(options: &CanaryOptions) -> Result<(), Failure> {
    let module = std::path::absolute(&options.module)
        .with_context(|| format!("finding {}", options.module.display()))?;
    let for_ms = u64::try_from(options.longest.as_millis()).unwrap_or(u64::MAX);
    let request = Request::Canary { plugin: options.plugin.clone(), module, rows: options.rows, for_ms };
    report(&ask(&options.file, &request, options.longest.saturating_add(CANARY_START))?, options.json)
}

/// Shows which versions were in force where.
pub fn history(options: &PluginHistoryOptions) -> Result<(), Failure> {
    let loaded = load(&options.file)?;
    let reader = Reader::open(&loaded.pipeline.pipeline.state_dir).map_err(EngineError::from)?;
    let versions = match &reader {
        Some(reader) => reader.plugin_versions().map_err(EngineError::from)?,
        None => Vec::new(),
    };
    if options.json {
        let as_json = |version: &PluginVersion| {
            let ahead: BTreeMap<_, _> =
                version.ahead.iter().map(|(target, place)| (target, place.to_string())).collect();
            json!({ "number": version.number, "entry": version.entry, "plugin": version.plugin, "sha256": version.sha256,
                    "position": version.position.to_string(), "ahead": ahead, "at_ms": version.at_ms, "way": version.way.word() })
        };
        return print_json(&versions.iter().map(as_json).collect::<Vec<_>>());
    }
    for version in versions {
        let PluginVersion { plugin, entry, sha256, position, way, .. } = &version;
        line!("{plugin} ({entry}) {} from {position} ({})", short(sha256), way.word());
        for (target, place) in &version.ahead {
            line!("    of `{target}` from {place}");
        }
    }
    Ok(())
}

/// Asks the pipeline of a file, and waits for its answer, no longer than this.
fn ask(file: &Path, request: &Request, longest: Duration) -> Result<PluginAnswer, Failure> {
    let loaded = load(file)?;
    let directory = &loaded.pipeline.pipeline.state_dir;
    let not_running = || {
        let directory = directory.display();
        Failure::from(anyhow!(
            "no pipeline runs with the state in {directory}; a start takes the plugins' files as they are"
        ))
    };
    if !Reader::is_running(directory) {
        return Err(not_running());
    }
    let mut desk = Desk::open(directory).map_err(EngineError::from)?.ok_or_else(not_running)?;
    let number = desk.ask(request, now_ms()).map_err(EngineError::from)?;
    let asked = Instant::now();
    loop {
        // Before the answer is looked for: one that was given last counts although the pipeline has ended since.
        let running = Reader::is_running(directory);
        if let Some(answer) = desk.answer(number).map_err(EngineError::from)? {
            desk.withdraw(number).map_err(EngineError::from)?;
            return Ok(answer);
        }
        if !running {
            desk.withdraw(number).map_err(EngineError::from)?;
            let told =
                "the pipeline has ended before it answered; a start takes the plugins' files as they are";
            return Err(anyhow!(told).into());
        }
        if asked.elapsed() >= longest {
            desk.withdraw(number).map_err(EngineError::from)?;
            let told = format!(
                "the pipeline has not answered within {} s and is no longer asked; what it had begun by then it may still do, which \
                 `plugin history` shows",
                longest.as_secs()
            );
            return Err(anyhow!(told).into());
        }
        std::thread::sleep(LOOK);
    }
}

fn report(answer: &PluginAnswer, as_json: bool) -> Result<(), Failure> {
    if as_json {
        print_json(answer)?;
    }
    match answer {
        PluginAnswer::Switched { plugins, position, tables } => {
            if !as_json {
                plugins.iter().for_each(|plugin| line!("switched  {}", words(plugin)));
                line!("from      {position}");
                print_differences(tables);
            }
            Ok(())
        }
        PluginAnswer::Unchanged { plugins } => {
            if !as_json {
                plugins.iter().for_each(|plugin| line!("unchanged {} {}", plugin.plugin, short(&plugin.to)));
            }
            Ok(())
        }
        PluginAnswer::Refused { reason, by_sink } => {
            if !as_json {
                line!("refused   the old version stays: {reason}");
            }
            Err(if *by_sink { Failure::Refused } else { Failure::Found })
        }
        PluginAnswer::Compared(comparison) => {
            if !as_json {
                print_comparison(comparison);
            }
            let differs = |tally: &Tally| tally.same != tally.rows;
            let rows = comparison.rows.values().filter(|tally| differs(tally)).count();
            let plans = comparison.tables.iter().filter(|table| !table.differences.is_empty()).count();
            match (rows, plans) {
                (0, 0) => Ok(()),
                _ => Err(anyhow!("the versions differ: {rows} tables in their rows, {plans} in their plans")
                    .into()),
            }
        }
    }
}

fn print_comparison(comparison: &Comparison) {
    let Comparison { plugin, took_ms, tables, rows } = comparison;
    line!("compared  {}", words(plugin));
    line!("rows      {} in {took_ms} ms", rows.values().map(|tally| tally.rows).sum::<u64>());
    print_differences(tables);
    for (table, tally) in rows {
        line!("{table}  {} of {} rows the same", tally.same, tally.rows);
        let counts = [
            ("kept by the version in force alone", tally.kept_by_old),
            ("kept by the new version alone", tally.kept_by_new),
            ("failed in the version in force alone", tally.failed_by_old),
            ("failed in the new version alone", tally.failed_by_new),
            ("another kind of change", tally.otherwise),
        ];
        for (what, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            line!("    {count} {what}");
        }
        for (column, count) in &tally.columns {
            line!("    {count} with another value of `{column}`");
        }
    }
}

fn print_differences(tables: &[TableDifference]) {
    for TableDifference { table, differences } in tables.iter().filter(|table| !table.differences.is_empty())
    {
        line!("plan      {table}: {}", differences.join(", "));
    }
}

fn words(plugin: &SwitchedPlugin) -> String {
    format!("{} ({}) {} -> {}", plugin.plugin, plugin.entry, short(&plugin.from), short(&plugin.to))
}

fn short(digest: &str) -> &str {
    digest.get(..SHORT).unwrap_or(digest)
}
