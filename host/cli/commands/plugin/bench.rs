//! `plugin bench`.

use anyhow::{Context as _, anyhow};
use serde_json::Value;
use sluicebox_engine::EngineError;
use sluicebox_engine::cases::{
    Bench, BenchRows, CaseError, CaseFile, InlineTables, Subject, bench, declared,
};

use super::limits;
use crate::arguments::BenchOptions;
use crate::commands::print_json;
use crate::failure::Failure;
use crate::output::line;

/// Measures a plugin.
pub fn run(options: &BenchOptions) -> Result<(), Failure> {
    let subject = Subject { path: options.plugin.clone(), limits: limits(&options.limits) };
    let wrong = |error: CaseError| Failure::Configuration(error.to_string());
    let what = match (&options.cases, &options.table) {
        (Some(path), _) => {
            let file = CaseFile::read(path, &|name| std::env::var(name).ok()).map_err(wrong)?;
            let case = file.cases.iter().find(|case| !case.events.is_empty());
            let case = case.ok_or_else(|| anyhow!("{}: no case has events", path.display()))?;
            Bench {
                schema: file.table_of(case).map_err(wrong)?,
                config: case.config.clone().unwrap_or_else(|| file.config.clone()),
                lookups: case.lookups.clone().unwrap_or_else(|| file.lookups.clone()),
                wasi: file.granted.clone(),
                rows: BenchRows::Events(case.events.clone()),
            }
        }
        (None, table) => {
            let config = options.config.as_deref().map(serde_json::from_str).transpose();
            Bench {
                schema: declared(table.as_deref().unwrap_or_default()).map_err(wrong)?,
                config: config.context("--config is not JSON")?.unwrap_or(Value::Null),
                lookups: InlineTables::new(),
                wasi: Default::default(),
                rows: BenchRows::Generated(options.seed),
            }
        }
    };
    let measured = bench(&subject, &what).map_err(EngineError::from)?;
    let measured = measured.map_err(|reason| Failure::Configuration(format!("events: {reason}")))?;
    if options.json {
        return print_json(&measured);
    }
    line!(
        "nanoseconds for each row image, least and median of all rounds; `pass` is the same batch without the plugin"
    );
    line!(
        "{:>8} {:>10} {:>10} {:>10} {:>10} {:>8} {:>8} {:>8}",
        "rows",
        "plugin",
        "median",
        "pass",
        "median",
        "rounds",
        "kept",
        "failed"
    );
    for m in measured {
        line!(
            "{:>8} {:>10.1} {:>10.1} {:>10.1} {:>10.1} {:>8} {:>8} {:>8}",
            m.rows,
            m.plugin_least_ns,
            m.plugin_median_ns,
            m.pass_least_ns,
            m.pass_median_ns,
            m.rounds,
            m.kept,
            m.failed
        );
    }
    Ok(())
}
