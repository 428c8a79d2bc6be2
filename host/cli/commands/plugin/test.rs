//! `plugin test`.

use std::path::Path;

use anyhow::{Context as _, anyhow};
use serde_json::json;
use sluicebox_engine::EngineError;
use sluicebox_engine::cases::{CaseFile, CaseResult, Subject, run as run_cases, to_yaml};

use super::limits;
use crate::arguments::TestOptions;
use crate::commands::print_json;
use crate::failure::Failure;
use crate::output::line;

/// Runs the cases of all files.
pub fn run(options: &TestOptions) -> Result<(), Failure> {
    let subject = Subject { path: options.plugin.clone(), limits: limits(&options.limits) };
    let mut all = Vec::new();
    for path in &options.cases {
        let file = CaseFile::read(path, &|name| std::env::var(name).ok())
            .map_err(|error| Failure::Configuration(error.to_string()))?;
        let results = run_cases(&subject, &file, &options.filter)
            .map_err(|error| Failure::Configuration(format!("{}: {error}", path.display())))?
            .map_err(EngineError::from)?;
        if options.update {
            update(path, file, &results)?;
        }
        all.extend(results.into_iter().map(|result| (path.as_path(), result)));
    }
    if options.update {
        return Ok(());
    }
    report(&all, options.json)?;
    if all.is_empty() {
        return Err(anyhow!("no case has `{}` in its name", options.filter).into());
    }
    match all.iter().filter(|(_, result)| !result.differences.is_empty()).count() {
        0 => Ok(()),
        failed => Err(anyhow!("{failed} of {} cases differ", all.len()).into()),
    }
}

fn report(results: &[(&Path, CaseResult)], as_json: bool) -> Result<(), Failure> {
    if as_json {
        let case = |(file, result): &(&Path, CaseResult)| {
            json!({ "file": file, "name": result.name, "passed": result.differences.is_empty(),
                    "differences": result.differences, "found": result.found })
        };
        return print_json(&results.iter().map(case).collect::<Vec<_>>());
    }
    for (_, result) in results {
        line!("{}  {}", if result.differences.is_empty() { "ok    " } else { "DIFFER" }, result.name);
        for difference in &result.differences {
            for text in difference.lines() {
                line!("        {text}");
            }
        }
    }
    Ok(())
}

/// Writes what came as what is expected. A case in which more went wrong than that is left as it is, and told.
fn update(path: &Path, mut file: CaseFile, results: &[CaseResult]) -> Result<(), Failure> {
    let mut left = Vec::new();
    for (case, result) in file.cases.iter_mut().zip(results) {
        let other = result.differences.iter().find(|difference| !difference.starts_with("output "));
        match other {
            Some(difference) => left.push(format!("{}: {difference}", case.name)),
            None if case.refuses.is_none() => case.expect = Some(result.found.clone()),
            None => {}
        }
    }
    let text = match path.extension().is_some_and(|ending| ending == "json") {
        true => serde_json::to_string_pretty(&file).context("writing JSON")? + "\n",
        false => to_yaml(&file),
    };
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
    line!("{}: {} cases written", path.display(), file.cases.len() - left.len());
    if left.is_empty() { Ok(()) } else { Err(anyhow!("left as they are: {}", left.join("; ")).into()) }
}
