//! A look at tables before they are snapshotted: by what each is cut, about how many rows it has, and whether the server keeps
//! its binlog for as long as the reading takes.

use std::time::Duration;

use sluicebox_model::{ColumnType, TableSchema};

use super::prepare::Source;
use crate::config::PipelineConfig;
use crate::error::EngineError;
use crate::state::SnapshotTable;

/// Where the snapshot of each table begins.
pub(super) async fn begin(
    config: &PipelineConfig,
    source: &mut Source,
    schemas: &[TableSchema],
) -> Result<Vec<(String, SnapshotTable)>, EngineError> {
    let estimates = source.control.row_estimates().await?;
    let mut tables = Vec::with_capacity(schemas.len());
    let mut all = 0_u64;
    for schema in schemas {
        let cut_by = chunk_column(config, schema).map_err(EngineError::Plan)?;
        if let Some(column) = &cut_by
            && !source.control.leads_an_index(&schema.id, column).await?
        {
            tracing::warn!(table = %schema.id, column, "no index begins with the column by which the table is cut: each chunk reads all of it");
        }
        let estimated_rows = estimates.get(&schema.id).copied().unwrap_or(0);
        all = all.saturating_add(estimated_rows);
        tables.push((
            schema.id.to_string(),
            SnapshotTable { estimated_rows, cut_by, ..SnapshotTable::default() },
        ));
    }
    if let Some(limit) = config.source.limits.rows_per_second {
        let takes = Duration::from_secs(all / u64::from(limit.get()));
        compare(takes, source.control.retention().await?);
    }
    Ok(tables)
}

/// Tells the user when the binlog will not last for the snapshot: what was written at its beginning has to be there at its end.
pub(super) fn compare(takes: Duration, kept: Option<Duration>) {
    if let Some(kept) = kept.filter(|kept| takes >= *kept) {
        tracing::warn!(
            snapshot_seconds = takes.as_secs(),
            binlog_kept_seconds = kept.as_secs(),
            "the snapshot takes about longer than the server keeps its binlog: should the pipeline be interrupted, it may have to \
             begin anew. Raise binlog_expire_logs_seconds, or the snapshot's limits"
        );
    }
}

/// The column that the file names for a table, when that is another than its key. The error is why it cannot be.
pub(crate) fn chunk_column(config: &PipelineConfig, schema: &TableSchema) -> Result<Option<String>, String> {
    const OPTION: &str = "scan.incremental.snapshot.chunk.key-column";
    let Some(name) = config.source.chunk_columns.of(&schema.id) else { return Ok(None) };
    let table = &schema.id;
    let Some(place) = schema.columns.iter().position(|c| *c.name == *name) else {
        let there: Vec<_> = schema.columns.iter().map(|c| format!("`{}`", c.name)).collect();
        return Err(format!(
            "`{OPTION}` names `{name}`, and `{table}` has only the columns {}",
            there.join(", ")
        ));
    };
    let column = &schema.columns[place];
    if column.nullable {
        return Err(format!(
            "`{OPTION}` names `{name}` of `{table}`, which may be NULL: rows without a value would be in no chunk. Name a column \
             that is NOT NULL, or leave the table out of the option"
        ));
    }
    if column.column_type == ColumnType::Json {
        return Err(format!(
            "`{OPTION}` names `{name}` of `{table}`, and JSON has no order that an index could have. Name another column, or \
             leave the table out of the option"
        ));
    }
    Ok((schema.key != [place]).then(|| name.to_owned()))
}
