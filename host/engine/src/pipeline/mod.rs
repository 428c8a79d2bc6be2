//! The running pipeline.
//!
//! ```text
//! receiver ──> coordinator ──> workers ──> appliers ──> flush tasks ──> MaxCompute
//!                  ^
//! snapshot ────────┘
//! ```
//!
//! `run` makes one attempt after another: each builds everything from the state and tears it down again, so a failure that may
//! pass is answered by beginning again from the checkpoint. What a failure means is decided in [`crate::error`] alone.

mod anew;
mod applier;
mod calm;
mod canary;
mod condemned;
mod coordinator;
mod error_budget;
mod guests;
mod mend;
mod messages;
mod modules;
mod ordered;
mod owners;
mod pace;
mod prepare;
mod receiver;
mod recovery;
mod reload;
mod replay;
mod scan;
mod snapshot;
mod startup;
mod supervisor;
mod sweep;
mod tables;
mod versions;
mod worker;

pub use canary::Tally;
pub use coordinator::Outcome;
pub(crate) use messages::SourceChange;
pub(crate) use owners::Owners;
use prepare::rules;
pub(crate) use prepare::{Source, judge, planner, project, source, table_settings};
pub use prepare::{query, sink_client};
pub use recovery::give_up;
pub use reload::{Comparison, PluginAnswer, SwitchedPlugin, TableDifference};
pub use replay::{Replayed, replay};
pub(crate) use scan::chunk_column;
pub(crate) use tables::{Landing, Planned, Planner, Stage};

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, unbounded};
use sluicebox_maxcompute::Hints;
use sluicebox_model::{Position, TableId, TableSchema};
use sluicebox_mysql::{BinlogStream, MysqlError, StreamOptions, Watermark};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use crate::budget::Budget;
use crate::config::{NewTables, OnPurged, PipelineConfig, Startup};
use crate::error::EngineError;
use crate::sink::policy::FlushPolicy;
use crate::state::{Checkpoint, SnapshotTable, Store};
use crate::telemetry::{Telemetry, now_ms};
use anew::Sinks;
use applier::Shared;
use coordinator::{Coordinator, Parts};
use mend::Mends;
use prepare::{compression, heartbeat};
use snapshot::{SnapshotPlan, Unfinished};
use supervisor::{Supervisor, until_stopped};
use versions::Plugins;
use worker::InForce;

/// A row that waits longer than this in a buffer is sent although its bucket is not full, so that a commit finds little left
/// to send and an idle stream's rows do not hold memory.
const LINGER: Duration = Duration::from_secs(2);

/// What is told to who asked a process that has ended since.
const ASKED_BEFORE: &str =
    "the pipeline was started anew meanwhile; a start takes the plugins' files as they are";

/// Runs a pipeline until it is told to stop, has nothing more to do, or fails for good.
pub fn run(
    config: &PipelineConfig,
    telemetry: &Arc<Telemetry>,
    stop: &Receiver<()>,
) -> Result<Outcome, EngineError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("sink")
        .build()
        .map_err(|source| EngineError::Start { what: "the runtime", source })?;
    let store = Arc::new(Store::open(&config.pipeline.state_dir)?);
    store.answer_all(&PluginAnswer::Refused { reason: ASKED_BEFORE.to_owned(), by_sink: false })?;
    let _metrics = config
        .pipeline
        .metrics_address
        .map(|address| crate::metrics::serve(address, telemetry, &runtime))
        .transpose()?;
    // An id that was drawn is drawn again.
    let ids = config.source.server_ids.map_or(3, |ids| ids.last - ids.first + 1);
    let mut supervisor = Supervisor::new(config.source.on_purged == OnPurged::Resnapshot, ids);
    let mut plugins = None;
    loop {
        let checkpoints = telemetry.progress().checkpoints_total;
        let result = attempt(config, &runtime, &store, telemetry, stop, &mut supervisor, &mut plugins);
        let error = match result {
            Ok(Some(outcome)) => return Ok(outcome),
            Ok(None) => {
                tracing::info!("a schema change was approved: reading again from where its table stands");
                continue;
            }
            Err(EngineError::Source(MysqlError::Stopped)) if !stop.is_empty() => {
                // Whatever a thread of it still waits for.
                runtime.shutdown_background();
                return Ok(Outcome::Stopped);
            }
            Err(error) => error,
        };
        // A store that cannot be written says so by the error itself.
        let _ = store.add_error(now_ms(), &error.to_string());
        let progressed = telemetry.progress().checkpoints_total > checkpoints;
        let Some(pause) = supervisor.next(&error, progressed, config.source.connect_retries) else {
            return Err(error);
        };
        telemetry.restarted();
        tracing::warn!(
            pause_ms = pause.as_millis(),
            error = describe(&error),
            "pipeline interrupted, beginning again from its checkpoint"
        );
        match stop.recv_timeout(pause) {
            Ok(()) => return Ok(Outcome::Stopped),
            Err(RecvTimeoutError::Timeout) => {}
            // Nobody can tell us any more: what is left is the pause.
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(pause),
        }
    }
}

/// An error with its causes on one line.
pub fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let words = next.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = next.source();
    }
    text
}

/// Where an attempt begins.
struct Start {
    position: Position,
    epoch: u64,
    schemas: Vec<TableSchema>,
    /// Tables that were captured once and have another name now.
    foreign: Vec<TableSchema>,
    snapshot: Vec<(String, SnapshotTable)>,
    watermark: Option<Watermark>,
    /// No checkpoint was ever taken: the sink's tables may not be there.
    first: bool,
}

/// Runs until the pipeline ends, or something fails; none when it is to be begun again from the checkpoint at once.
fn attempt(
    config: &PipelineConfig,
    runtime: &Runtime,
    store: &Arc<Store>,
    telemetry: &Arc<Telemetry>,
    stop: &Receiver<()>,
    supervisor: &mut Supervisor,
    plugins: &mut Option<Plugins>,
) -> Result<Option<Outcome>, EngineError> {
    let client = sink_client(config)?;
    let project = until_stopped(runtime, stop, project(&client))?;
    let plugins = match plugins {
        Some(plugins) => plugins,
        None => plugins.insert(Plugins::find(config, store)?),
    };
    until_stopped(runtime, stop, recovery::settle(&client, store, store.sessions()?))?;
    let checkpoint = store.checkpoint()?;
    let place = checkpoint.as_ref().map(|c| c.position.clone());
    let mut lineup = plugins.lineup(config, store, place.as_ref())?;
    let rules = rules(config, &project)?;
    let mut planner = Planner::new(Arc::clone(&lineup.plugins), Arc::clone(&rules));
    let mut source = until_stopped(runtime, stop, source(config, checkpoint.as_ref().map(|c| &c.position)))?;
    source.server_id += supervisor.ids_taken;
    until_stopped(runtime, stop, supervisor.mends.look(config, &mut source))?;
    let start = match checkpoint {
        None => until_stopped(runtime, stop, begin(config, store, &mut source, &mut planner))?,
        Some(checkpoint) => {
            recovery::forget_letters(store, &checkpoint.position)?;
            let hints = Hints::modern(project.has_schemas());
            let sinks = Sinks { client: &client, planner: &mut planner, hints };
            until_stopped(runtime, stop, resume(config, store, &mut source, sinks, checkpoint, supervisor))?
        }
    };
    if place.is_some_and(|place| place != start.position) {
        // It has begun anew, at a place where other versions are in force.
        lineup = plugins.lineup(config, store, Some(&start.position))?;
        planner = Planner::new(Arc::clone(&lineup.plugins), rules);
    }
    let ahead = store.targets_ahead()?;
    plugins.begin(store, &mut lineup, &start.position, &ahead)?;
    for entry in lineup.plugins.iter() {
        telemetry.plugins.in_force(&entry.key, &entry.plugin, &start.position);
    }
    let retention = until_stopped(runtime, stop, async { Ok(source.control.retention().await?) })?;
    let database_charsets =
        until_stopped(runtime, stop, async { Ok(source.control.database_charsets().await?) })?;
    let Source { control, server, connect, server_id } = source;
    runtime.block_on(control.close());
    let known_behind = known_behind(&start);
    let schemas: Vec<Arc<TableSchema>> = start.schemas.into_iter().map(Arc::new).collect();

    let remakes = store.remakes()?;
    let seen = anew::seen(store, &remakes)?;
    let (reports_in, reports) = unbounded();
    let shared = Arc::new(Shared {
        client,
        plugins: Arc::clone(&planner.plugins),
        store: Arc::clone(store),
        budget: Budget::new(config.pipeline.memory),
        telemetry: Arc::clone(telemetry),
        policy: FlushPolicy {
            bucket_limit: config.sink.bucket_buffer,
            total_limit: config.sink.total_buffer,
            linger: LINGER,
        },
        compression: compression(config.sink.compression),
        flushes: config.sink.flush_concurrency.get(),
        commits: Semaphore::new(config.sink.commit_threads.get()),
        openings: Semaphore::new(applier::OPENINGS),
        table: table_settings(config, &project),
        reports: reports_in,
        remakes,
        seen,
    });
    let stream = BinlogStream::open(StreamOptions {
        connect: connect.clone(),
        server: server.clone(),
        server_id,
        heartbeat: heartbeat(config),
        from: start.position.clone(),
        skip: startup::left_out(store, &start.position)?,
        schemas: schemas.iter().cloned().chain(start.foreign.into_iter().map(Arc::new)).collect(),
        known_behind,
        repairs: supervisor.mends.ahead_of(&start.position),
        new_are_read: config.source.new_tables == NewTables::Snapshot,
        captures: captures(config, store.known_names()?),
        matches: matches(config),
        types: config.source.types,
        database_charsets,
    })?;
    let patience = receiver::Patience {
        attempts: config.source.connect_retries,
        has_others: config.source.servers.len() > 1,
    };
    let (receiver, items) = receiver::spawn(stream, patience, Arc::clone(telemetry))?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let count = config.pipeline.parallelism.map_or(cores, usize::from);
    let in_force = Arc::new(InForce::default());
    in_force.set(&lineup.plugins, None);
    let (workers, work) = worker::spawn(count, &in_force, store, telemetry)?;
    let (keeper, asks) = reload::spawn(config, &plugins.host, lineup.last, &shared, runtime.handle())?;

    let (unread, tables) = unfinished(&mut planner, &schemas, &start.snapshot)?;
    let reading = tables.iter().map(|table| table.schema.id.clone()).collect();
    telemetry.snapshot_begins(start.snapshot.len() as u64, (start.snapshot.len() - tables.len()) as u64);
    let target_chunks = store.target_chunks()?;
    let (reading_thread, snapshot) = snapshot::spawn(
        SnapshotPlan {
            replicas: calm::replicas(&config.source, &connect),
            connect,
            server,
            watermark: start.watermark,
            tables,
            chunk_rows: config.source.chunk_rows.into(),
            even: config.source.even,
            held: target_chunks.values().flatten().cloned().collect(),
            chunk_bytes: snapshot::chunk_bytes(config.pipeline.memory.get(), count),
            limits: config.source.limits,
            retention,
            readers: count,
            store: Arc::clone(store),
            telemetry: Arc::clone(telemetry),
        },
        runtime.handle(),
    )?;
    supervisor.began = true;
    tracing::info!(position = %start.position, tables = schemas.len(), workers = count, first = start.first, "pipeline running");
    let coordinator = Coordinator::new(
        Parts {
            runtime: runtime.handle().clone(),
            store: Arc::clone(store),
            telemetry: Arc::clone(telemetry),
            shared,
            planner,
            in_force,
            to_come: lineup.to_come,
            asks,
            items,
            reports,
            workers: work,
            snapshot,
            stop: stop.clone(),
            position: start.position,
            epoch: start.epoch,
            schemas,
            ahead,
            target_chunks,
            unread,
            reading,
            checkpoint_interval: config.pipeline.checkpoint_interval,
            finish_after_snapshot: config.source.startup == Startup::Snapshot,
        },
        Instant::now(),
    );
    let result = coordinator.run(start.first);
    drop(keeper);
    drop(receiver);
    workers.join();
    reading_thread.end();
    result
}

/// The pipeline's first start: where to begin, and what to snapshot.
async fn begin(
    config: &PipelineConfig,
    store: &Store,
    source: &mut Source,
    planner: &mut Planner,
) -> Result<Start, EngineError> {
    let tables = source.tables(config).await?;
    // The checks come before the position, which a server that is not set up for capture does not give: they say what to do.
    let checked = source.read_schemas(config, &tables).await?;
    let (findings, watermark) = source.findings(config, &checked, Some(planner)).await?;
    judge(&findings)?;
    let (now, schemas) = source.schemas_now(config, &tables).await?;
    let position = match &config.source.startup {
        Startup::Initial | Startup::Snapshot | Startup::LatestOffset => now,
        Startup::EarliestOffset => source.control.earliest().await?,
        Startup::SpecificOffset(place, _) => startup::at_offset(config, source, place.clone()).await?,
        Startup::Timestamp(millis) => startup::at_timestamp(config, source, *millis, now, now_ms()).await?,
    };
    let mut snapshot = Vec::new();
    if matches!(config.source.startup, Startup::Initial | Startup::Snapshot) {
        snapshot = scan::begin(config, source, &schemas).await?;
    }
    store.set_meta("server", &identity(source))?;
    if let Startup::SpecificOffset(_, skip) = config.source.startup {
        startup::leave_out(store, &position, skip)?;
    }
    store.begin(&position, now_ms(), schemas.clone(), snapshot.clone())?;
    tracing::info!(%position, tables = schemas.len(), "pipeline begins");
    let foreign = Vec::new();
    Ok(Start { position, epoch: 0, schemas, foreign, snapshot, watermark, first: true })
}

/// A later start: where the checkpoint stands.
async fn resume(
    config: &PipelineConfig,
    store: &Store,
    source: &mut Source,
    mut sinks: Sinks<'_>,
    checkpoint: Checkpoint,
    supervisor: &Supervisor,
) -> Result<Start, EngineError> {
    let before: Option<String> = store.meta("server")?;
    if before.is_some_and(|b| b != identity(source)) {
        if !source.server.has_gtids {
            return Err(EngineError::Plan(
                "another server answers than the one that was read before, and without GTIDs its positions mean nothing here; \
                 connect to the old one, or delete the state directory to take a new snapshot"
                    .into(),
            ));
        }
        // Who is behind a name or an address may change. A replica may have the rest soon; what is not a copy never has it.
        if !source.control.position().await?.includes(&checkpoint.position) {
            let reason = "another server answers than the one that was read before, and it does not have everything yet \
                          that was read";
            let server = source.connect.address();
            return Err(MysqlError::Unreachable { server, reason: reason.into() }.into());
        }
        tracing::warn!("another server answers than the one that was read before; going on by GTID");
        store.set_meta("server", &identity(source))?;
    }
    let gone = source.control.gone_behind(&checkpoint.position).await?;
    match (gone, config.source.on_purged) {
        (Some(reason), OnPurged::Fail) => {
            let position = Box::new(checkpoint.position);
            return Err(MysqlError::PositionPurged { position, reason }.into());
        }
        (Some(_), OnPurged::Resnapshot) => {
            return anew::begin_anew(config, store, source, &mut sinks, &checkpoint, true).await;
        }
        (None, _) if supervisor.lost => {
            return anew::begin_anew(config, store, source, &mut sinks, &checkpoint, false).await;
        }
        (None, _) => {}
    }
    let position = checkpoint.position;
    let known = store.schemas_at(&position)?;
    let (mut schemas, foreign): (Vec<_>, _) = known.into_iter().partition(|s| config.source.captures(&s.id));
    if config.source.new_tables != NewTables::Unasked {
        add_new_tables(config, store, source, &mut schemas, &supervisor.mends).await?;
    }
    // A table that went meanwhile is still to be followed up to its end, and cannot be asked about.
    let there: HashSet<TableId> = source.control.tables().await?.into_iter().collect();
    let checked: Vec<_> = schemas.iter().filter(|s| there.contains(&s.id)).cloned().collect();
    let snapshot = store.snapshot_tables()?;
    let reads = snapshot.iter().any(|(_, record)| !record.done);
    let (findings, watermark) = source.findings(config, &checked, reads.then_some(sinks.planner)).await?;
    judge(&findings)?;
    Ok(Start {
        position,
        epoch: checkpoint.epoch,
        schemas,
        foreign,
        snapshot,
        watermark,
        first: checkpoint.epoch == 0,
    })
}

/// Tables that match and were not there at the last start are followed from here on, and snapshotted where that is asked for. Those that a repair
/// makes known come with all their rows in the stream.
async fn add_new_tables(
    config: &PipelineConfig,
    store: &Store,
    source: &mut Source,
    schemas: &mut Vec<TableSchema>,
    mends: &Mends,
) -> Result<(), EngineError> {
    let known: HashSet<TableId> = schemas.iter().map(|s| s.id.clone()).collect();
    let new: Vec<TableId> =
        source.tables(config).await?.into_iter().filter(|t| !known.contains(t) && !mends.has(t)).collect();
    if new.is_empty() {
        return Ok(());
    }
    let (place, found) = source.schemas_now(config, &new).await?;
    let snapshot = scan::begin(config, source, &found).await?;
    let snapshotted = config.source.new_tables == NewTables::Snapshot;
    for (schema, (_, record)) in found.into_iter().zip(snapshot) {
        tracing::info!(table = %schema.id, snapshot = snapshotted, "new table");
        let table = schema.id.to_string();
        store.schema_changed(crate::state::SchemaRecord {
            table: table.clone(),
            transaction: None,
            schema: Some(schema.clone()),
            ddl: None,
        })?;
        let known_behind = Some(place.clone());
        let whole = !snapshotted;
        let record = SnapshotTable { known_behind, planned: whole, done: whole, ..record };
        store.put_snapshot_table(&table, &record).await?;
        schemas.push(schema);
    }
    Ok(())
}

/// Which server it is.
fn identity(source: &Source) -> String {
    source.server.uuid.clone().unwrap_or_else(|| format!("server-id {}", source.server.server_id))
}

/// Tables whose schema was read at a place that the checkpoint has not reached.
fn known_behind(start: &Start) -> Vec<(TableId, Position)> {
    let place = |schema: &TableSchema| {
        let name = schema.id.to_string();
        let record = start.snapshot.iter().find(|(table, _)| *table == name);
        let place = record.and_then(|(_, record)| record.known_behind.as_ref())?;
        (!start.position.includes(place)).then(|| (schema.id.clone(), place.clone()))
    };
    start.schemas.iter().filter_map(place).collect()
}

/// Which tables the stream delivers: of those that match the names ever captured, and with either option for new tables all.
fn captures(config: &PipelineConfig, known: HashSet<TableId>) -> Arc<dyn Fn(&TableId) -> bool + Send + Sync> {
    let matches = matches(config);
    let new_too = config.source.new_tables != NewTables::Unasked;
    Arc::new(move |table| (new_too || known.contains(table)) && matches(table))
}

/// Which tables the pipeline file means.
fn matches(config: &PipelineConfig) -> Arc<dyn Fn(&TableId) -> bool + Send + Sync> {
    let source = config.source.clone();
    Arc::new(move |table| source.captures(table))
}

/// Tables whose snapshot is not whole, and those of them that are read whole: their rows are appended, because they have no key or a
/// plugin takes it away. Such rows come once from the snapshot or once from the stream, which a chunk of keys cannot promise: the stream
/// has had changes of keys that a later chunk reads.
fn unfinished(
    planner: &mut Planner,
    schemas: &[Arc<TableSchema>],
    snapshot: &[(String, SnapshotTable)],
) -> Result<(HashSet<TableId>, Vec<Unfinished>), EngineError> {
    let by_name: HashMap<String, &Arc<TableSchema>> = schemas.iter().map(|s| (s.id.to_string(), s)).collect();
    let mut whole = HashSet::new();
    let mut tables = Vec::new();
    for (name, record) in snapshot.iter().filter(|(_, record)| !record.done) {
        let Some(&schema) = by_name.get(name) else { continue };
        let is_appended = schema.key.is_empty() || planner.plan(schema)?.output.key.is_empty();
        if is_appended {
            whole.insert(schema.id.clone());
        }
        tables.push(Unfinished { schema: Arc::clone(schema), record: record.clone(), whole: is_appended });
    }
    Ok((whole, tables))
}
