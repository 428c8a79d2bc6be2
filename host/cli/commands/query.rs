//! `query`.

use serde_json::json;
use sluicebox_engine::{query, sink_client};

use super::{load, print_json, small_runtime};
use crate::arguments::QueryOptions;
use crate::failure::Failure;
use crate::output::line;
use crate::table;

/// Runs a statement in the sink's project.
pub fn run(options: &QueryOptions) -> Result<(), Failure> {
    let loaded = load(&options.file)?;
    let client = sink_client(&loaded.pipeline)?;
    let answer = small_runtime()?.block_on(query(&client, &options.sql))?;
    if options.json {
        return print_json(&json!({ "columns": answer.columns, "rows": answer.rows }));
    }
    if answer.columns.is_empty() {
        line!("{}", answer.text.trim_end());
    } else {
        crate::output::print(format_args!("{}", table::draw(&answer.columns, &answer.rows)));
    }
    Ok(())
}
