//! Beginning anew where the binlog that is needed next is gone (`scan.on-purged: resnapshot`).
//!
//! Which tables are affected: those with a target whose own position lies in what is gone. A target that is ahead of the checkpoint (others
//! wait for an operator, or a crash came between two commits) goes on from its own position where the binlog behind that is still
//! there: nothing of its tables is lost. A target stands for all its tables and a table for all its targets, so what hangs together is
//! affected together. A table whose snapshot is not whole is read again in any case. That a table did not change meanwhile is never assumed:
//! what the servers say of it (`UPDATE_TIME`) is forgotten with each restart and comes late.
//!
//! What becomes of the affected: their tables are read anew, by the ordinary snapshot, and rows may have vanished, which no
//! reading shows. No target with a key is emptied: its rows are written over, it keeps on disk which keys came, and when all its tables
//! were read, the keys that it holds and that did not come are deleted (`sweep`, `coordinator/remakes`). So whoever reads it finds each row in
//! its old version or a newer one, and never none. This is told by what was written, not by the source's keys, since plugins and routes
//! may make other keys of them. A target without a key is replaced by the one commit that holds all its rows. Emptied beforehand are those for
//! which that cannot be: partitioned ones without a key (a partition without rows would stay), and those with CHAR and VARCHAR in their key
//! (which need not come back as they were written).
//!
//! Order: sessions of the last run are settled (by the caller), what is to be emptied is emptied, the state begins anew. A crash before the
//! last step finds the binlog gone again and repeats everything; behind it the snapshot goes on like any other.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use sluicebox_maxcompute::{Client, Hints, TableName};
use sluicebox_model::{Position, TableId, TableSchema};

use super::prepare::Source;
use super::{Start, judge, scan};
use crate::config::PipelineConfig;
use crate::error::EngineError;
use crate::pipeline::Planner;
use crate::sink::encode::swept::can_be_swept;
use crate::sink::table::layout_of;
use crate::state::{Anew, Checkpoint, Remake, Seen, Store};
use crate::telemetry::now_ms;

/// The sink, and which of its tables each table goes to.
pub(super) struct Sinks<'a> {
    pub client: &'a Client,
    pub planner: &'a mut Planner,
    pub hints: Hints,
}

/// Which sink tables each table goes to.
type Ways = BTreeMap<TableId, BTreeSet<TableName>>;

/// Finds out what is affected, makes the targets ready and writes the new beginning. `by_targets`: whether targets may go on from
/// their own positions; not where the server has refused what it says it has.
pub(super) async fn begin_anew(
    config: &PipelineConfig,
    store: &Store,
    source: &mut Source,
    sinks: &mut Sinks<'_>,
    checkpoint: &Checkpoint,
    by_targets: bool,
) -> Result<Start, EngineError> {
    let mut alive = BTreeMap::new();
    for (target, position) in if by_targets { store.targets_ahead()? } else { Default::default() } {
        if source.control.gone_behind(&position).await?.is_none() {
            alive.insert(target, position);
        }
    }
    let from = earliest(alive.values());
    let known = store.known_at(from.as_ref().unwrap_or(&checkpoint.position))?;
    let tables = source.tables(config).await?;
    let (now, schemas) = source.schemas_now(config, &tables).await?;
    let (findings, watermark) = source.findings(config, &schemas, Some(&mut *sinks.planner)).await?;
    judge(&findings)?;
    let captured = known.iter().filter(|schema| config.source.captures(&schema.id));
    let ways = ways(sinks.planner, captured.clone().chain(&schemas))?;
    let unfinished: HashSet<String> =
        store.snapshot_tables()?.into_iter().filter(|(_, t)| !t.done).map(|(name, _)| name).collect();
    let may_stay = |id: &TableId| known.iter().any(|s| s.id == *id) && !unfinished.contains(&id.to_string());
    let kept = kept(&ways, |id| may_stay(id), |target| alive.contains_key(&target.to_string()));
    let from = from.filter(|_| kept.iter().any(|id| !ways[id].is_empty()));
    let kept = if from.is_some() { kept } else { BTreeSet::new() };

    let gone =
        captured.map(|s| s.id.clone()).filter(|id| !kept.contains(id) && !tables.contains(id)).collect();
    let again: Vec<TableSchema> = schemas.into_iter().filter(|s| !kept.contains(&s.id)).collect();
    let mut snapshot = scan::begin(config, source, &again).await?;
    let position = from.clone().unwrap_or_else(|| now.clone());
    if !position.includes(&now) {
        // The stream comes to that place later, and takes no notice of these tables before it.
        snapshot.iter_mut().for_each(|(_, record)| record.known_behind = Some(now.clone()));
    }
    let targets: BTreeSet<TableName> = again.iter().flat_map(|s| ways[&s.id].iter().cloned()).collect();
    let remakes = make_ready(store, sinks, &targets).await?;
    tell(&again, &kept, &gone, &position);
    // Numbers of epochs go on where targets keep what they have of them.
    let epoch = if from.is_some() { checkpoint.epoch.max(1) } else { 0 };
    let targets = targets.iter().map(ToString::to_string).collect();
    let begun = again.clone();
    store.begin_anew(Anew {
        position: position.clone(),
        epoch,
        now_ms: now_ms(),
        schemas: begun,
        gone,
        snapshot: snapshot.clone(),
        targets,
        remakes,
    })?;
    let (schemas, foreign) = match from {
        None => (again, Vec::new()),
        Some(_) => store.schemas_at(&position)?.into_iter().partition(|s| config.source.captures(&s.id)),
    };
    let snapshot = if kept.is_empty() { snapshot } else { store.snapshot_tables()? };
    Ok(Start { position, epoch, schemas, foreign, snapshot, watermark, first: true })
}

/// Where the keys are kept that targets are sent; removed where none of them is to be swept.
pub(super) fn seen(store: &Store, remakes: &HashMap<String, Remake>) -> Result<Option<Seen>, EngineError> {
    if remakes.values().any(|how| *how == Remake::Sweep) {
        return Ok(Some(Seen::open(store.directory())?));
    }
    Seen::remove(store.directory())?;
    Ok(None)
}

/// The first of some places of one stream.
fn earliest<'p>(places: impl Iterator<Item = &'p Position>) -> Option<Position> {
    places
        .fold(None, |first: Option<&Position>, place| match first {
            Some(first) if place.includes(first) => Some(first),
            Some(_) | None => Some(place),
        })
        .cloned()
}

/// Where rows of tables go; of a table with several schemas, where they go under any of them.
fn ways<'s>(
    planner: &mut Planner,
    schemas: impl Iterator<Item = &'s TableSchema>,
) -> Result<Ways, EngineError> {
    let mut ways = Ways::new();
    for schema in schemas {
        let planned = planner.plan(&Arc::new(schema.clone()))?;
        let targets = planned.sinks.into_iter().map(|landing| landing.name);
        ways.entry(schema.id.clone()).or_default().extend(targets);
    }
    Ok(ways)
}

/// Tables of which nothing is lost: each of their targets is `alive`, and none of them is fed by one that is affected.
fn kept(
    ways: &Ways,
    may_stay: impl Fn(&TableId) -> bool,
    alive: impl Fn(&TableName) -> bool,
) -> BTreeSet<TableId> {
    let mut kept: BTreeSet<TableId> = ways
        .iter()
        .filter(|(id, to)| may_stay(id) && to.iter().all(&alive))
        .map(|(id, _)| id.clone())
        .collect();
    loop {
        let affected: BTreeSet<&TableName> =
            ways.iter().filter(|(id, _)| !kept.contains(*id)).flat_map(|(_, to)| to).collect();
        let before = kept.len();
        kept.retain(|id| ways[id].iter().all(|target| !affected.contains(target)));
        if kept.len() == before {
            return kept;
        }
    }
}

fn tell(again: &[TableSchema], kept: &BTreeSet<TableId>, gone: &Vec<TableId>, position: &Position) {
    for table in gone {
        tracing::warn!(%table, "the table went while the binlog was not read; what the sink has of it stays");
    }
    tracing::warn!(
        %position,
        tables = again.len(),
        unaffected = kept.len(),
        "binlog was lost: tables are read anew, and rows that vanished meanwhile are removed"
    );
    for schema in again {
        tracing::info!(table = %schema.id, "the table is read anew");
    }
}

/// Decides for each target how it is made whole, and empties those for which there is no better way.
async fn make_ready(
    store: &Store,
    sinks: &mut Sinks<'_>,
    targets: &BTreeSet<TableName>,
) -> Result<Vec<(String, Remake)>, EngineError> {
    let seen = Seen::open(store.directory())?;
    let mut remakes = Vec::new();
    for target in targets {
        let doing = || format!("making `{target}` ready, whose source lost binlog");
        let Some(table) = sinks.client.describe(target).await.map_err(EngineError::sink(doing()))? else {
            continue;
        };
        let layout = layout_of(&table);
        seen.forget(&target.to_string()).await?;
        if table.is_delta() && can_be_swept(&layout) {
            remakes.push((target.to_string(), Remake::Sweep));
        } else if layout.key.is_empty() && layout.partitions.is_empty() {
            remakes.push((target.to_string(), Remake::Replace));
        } else {
            tracing::warn!(%target, "the sink table is emptied: rows that vanished cannot be told in it");
            sinks.client.truncate_table(target, &sinks.hints).await.map_err(EngineError::sink(doing()))?;
        }
    }
    Ok(remakes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hangs_together_is_affected_together() {
        let table = |name: &str| TableId::new("d", name);
        let to = |names: &[&str]| names.iter().map(|name| TableName::new(None, *name)).collect();
        // `c` shares a target with `b`, which is new; `e` goes nowhere; `f` has a target that is behind.
        let ways: Ways = [
            (table("a"), to(&["a"])),
            (table("b"), to(&["both"])),
            (table("c"), to(&["both", "c"])),
            (table("d"), to(&["c"])),
            (table("e"), to(&[])),
            (table("f"), to(&["f", "behind"])),
        ]
        .into();
        let stays = kept(&ways, |id| *id != table("b"), |target| target.name != "behind");
        assert_eq!(stays, [table("a"), table("e")].into());
    }
}
