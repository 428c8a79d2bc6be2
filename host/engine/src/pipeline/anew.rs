//! Beginning anew where the binlog that is needed next is gone (`scan.on-purged: resnapshot`).
//!
//! What was lost may have changed every captured table, so all of them are read anew; and rows may have vanished, which no
//! reading shows, so their targets are emptied first. Order: sessions of the last run are settled (by the caller), targets are
//! emptied, the state begins anew at the binlog's end. A crash before the last step finds the binlog gone again and repeats
//! everything; behind it the snapshot goes on like any other.

use std::collections::BTreeSet;
use std::sync::Arc;

use sluicebox_maxcompute::{Client, Hints, TableName};
use sluicebox_model::TableSchema;

use super::prepare::Source;
use super::{Start, judge, scan};
use crate::config::PipelineConfig;
use crate::error::EngineError;
use crate::pipeline::Planner;
use crate::state::Store;
use crate::telemetry::now_ms;

/// The sink, and which of its tables each table goes to.
pub(super) struct Sinks<'a> {
    pub client: &'a Client,
    pub planner: &'a mut Planner,
    pub hints: Hints,
}

/// Empties the targets and writes the new beginning. `known`: the tables as they were.
pub(super) async fn begin_anew(
    config: &PipelineConfig,
    store: &Store,
    source: &mut Source,
    sinks: &mut Sinks<'_>,
    known: Vec<TableSchema>,
) -> Result<Start, EngineError> {
    let tables = source.tables(config).await?;
    let (position, schemas) = source.schemas_now(config, &tables).await?;
    let (findings, watermark) = source.findings(config, &schemas).await?;
    judge(&findings)?;
    let snapshot = scan::begin(config, source, &schemas).await?;
    let gone: Vec<_> = known.into_iter().map(|s| s.id).filter(|id| !tables.contains(id)).collect();
    for table in &gone {
        tracing::warn!(%table, "the table went while the binlog was not read; what the sink has of it stays");
    }
    for target in targets(sinks.planner, &schemas)? {
        empty(sinks, &target).await?;
    }
    store.begin_anew(&position, now_ms(), schemas.clone(), gone, snapshot.clone())?;
    tracing::warn!(%position, tables = schemas.len(), "binlog was lost: all tables are read anew into emptied targets");
    let foreign = Vec::new();
    Ok(Start { position, epoch: 0, schemas, foreign, snapshot, watermark, first: true })
}

/// Every target that some table goes to.
fn targets(planner: &mut Planner, schemas: &[TableSchema]) -> Result<BTreeSet<TableName>, EngineError> {
    let mut targets = BTreeSet::new();
    for schema in schemas {
        let planned = planner.plan(&Arc::new(schema.clone()))?;
        targets.extend(planned.sinks.into_iter().map(|landing| landing.name));
    }
    Ok(targets)
}

async fn empty(sinks: &Sinks<'_>, target: &TableName) -> Result<(), EngineError> {
    let doing = || format!("emptying `{target}`, whose source lost binlog");
    if sinks.client.table_exists(target).await.map_err(EngineError::sink(doing()))? {
        sinks.client.truncate_table(target, &sinks.hints).await.map_err(EngineError::sink(doing()))?;
    }
    Ok(())
}
