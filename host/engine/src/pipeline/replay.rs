//! Sends dead letters through the plugins as they are now, and into the sink.
//!
//! Promise: an event reaches each target that lacks it once. A letter never takes the sink back to an older state.
//!
//! How. The pipeline must not run: its state directory is locked. Events go the pipeline's own way: the table's plan, the guests,
//! an applier, a session that is recorded as *open* and *flushed* before it commits; its record names the letters in it, and
//! *committed* takes the target from them in one transaction. A crash in between is settled by the next start of either.
//!
//! Newer changes of the same key may have passed while a letter lay there. So for a table with a key a letter only says which
//! keys to look at: the source is asked for the rows of those keys as they are now, and these go on; a key that is gone is
//! deleted. Changes between the checkpoint and now come again by the stream and end in the same rows. Rows of a table without a
//! key have no newer version: they are appended as they were.
//!
//! A plugin that remembers sees a letter's event as one more, now, and with what it remembers of each target that lacks it. What it
//! remembers then is saved with the session that holds the event.
//!
//! Letters behind the checkpoint are left alone: their events are read again by the next run of the pipeline.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crossbeam::channel::unbounded;
use sluicebox_maxcompute::TableName;
use sluicebox_model::{ChangeBatch, Position, SchemaChange, TableId, TableSchema};
use sluicebox_mysql::Images;
use sluicebox_wasm::WasmError;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use super::applier::{Applier, Shared};
use super::guests::{Culprit, Guests, Memories, Ordered, Transformed};
use super::messages::{Rows, SourceChange, TargetMessage};
use super::owners::Owners;
use super::prepare::{Source, planner, project, sink_client, source, table_settings};
use super::recovery;
use super::tables::{Landing, Planned, PluginList, first_ordered};
use crate::budget::{Budget, Share};
use crate::config::{OnError, PipelineConfig};
use crate::error::EngineError;
use crate::events::{Event, Provenance, Row, batch_of, event_at, key_of, to_key_text};
use crate::sink::encode::From;
use crate::sink::policy::FlushPolicy;
use crate::state::{Checkpoint, DeadLetter, Flushed, Remembered, StateError, Store};
use crate::telemetry::{Telemetry, now_ms};

/// Batches waiting for one target: each is an event, so this is little memory.
const TARGET_QUEUE: usize = 64;

/// What became of the letters.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Replayed {
    /// Their events are in the sink, or a plugin dropped them; the letters are gone.
    pub delivered: Vec<u64>,
    /// The plugins failed on them again: number and reason. The letters stay.
    pub failed: Vec<(u64, String)>,
    /// They could not be sent: number and reason. The letters stay.
    pub refused: Vec<(u64, String)>,
}

/// Sends letters: those with these numbers, or all. The pipeline must not run.
///
/// # Errors
/// [`StateError::Locked`] while the pipeline runs; whatever keeps source or sink from being used. What was delivered until then
/// stays delivered and is recorded.
pub fn replay(config: &PipelineConfig, numbers: Option<&[u64]>) -> Result<Replayed, EngineError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("sink")
        .build()
        .map_err(|source| EngineError::Start { what: "the runtime", source })?;
    let store = Arc::new(Store::open(&config.pipeline.state_dir)?);
    runtime.block_on(replay_into(config, &store, numbers))
}

async fn replay_into(
    config: &PipelineConfig,
    store: &Arc<Store>,
    numbers: Option<&[u64]>,
) -> Result<Replayed, EngineError> {
    let Some(checkpoint) = store.checkpoint()? else { return Ok(Replayed::default()) };
    let client = sink_client(config)?;
    let project = project(&client).await?;
    recovery::settle(&client, store, store.sessions()?).await?;
    // Only now is it known which letters are left.
    let mut letters = store.dead_letters()?;
    letters.retain(|letter| numbers.is_none_or(|wanted| wanted.contains(&letter.number)));
    if letters.is_empty() {
        return Ok(Replayed::default());
    }
    let mut planner = planner(&isolating(config), &project, Some(store.directory().join("compiled")))?;
    let (mut owners, mut tables) = (Owners::default(), HashMap::new());
    // All of them: what a sink table looks like follows from every table that is written into it.
    for schema in store.schemas_at(&checkpoint.position)?.into_iter().map(Arc::new) {
        let planned = planner.plan(&schema)?;
        owners.put(&schema.id, &planned.output, &planned.sinks).map_err(EngineError::Plan)?;
        tables.insert(schema.id.to_string(), Arc::new(Table { schema, planned }));
    }
    if !store.remakes()?.is_empty() {
        return Err(EngineError::Plan(
            "the pipeline reads tables anew after binlog was lost: run it until they are whole, then send the events again".into(),
        ));
    }
    let (reports, _reports) = unbounded();
    let shared = Shared {
        store: Arc::clone(store),
        budget: Budget::new(config.pipeline.memory),
        telemetry: Arc::new(Telemetry::default()),
        policy: FlushPolicy {
            bucket_limit: config.sink.bucket_buffer,
            total_limit: config.sink.total_buffer,
            linger: super::LINGER,
        },
        compression: super::compression(config.sink.compression),
        flushes: config.sink.flush_concurrency.get(),
        commits: Semaphore::new(config.sink.commit_threads.get()),
        openings: Semaphore::new(super::applier::OPENINGS),
        table: table_settings(config, &project),
        reports,
        remakes: HashMap::new(),
        seen: None,
        plugins: Arc::clone(&planner.plugins),
        client,
    };
    let mut replay = Replay {
        source: source(config, None).await?,
        guests: Guests::new(Arc::clone(&planner.plugins), Arc::clone(&shared.telemetry)),
        plugins: planner.plugins,
        owners,
        tables,
        ahead: store.targets_ahead()?,
        checkpoint,
        shared: Arc::new(shared),
        targets: BTreeMap::new(),
        memories: HashMap::new(),
        appliers: JoinSet::new(),
        replayed: Replayed::default(),
    };
    for letter in letters {
        replay.letter(letter).await?;
    }
    replay.finish().await
}

/// The same pipeline, in which a failure of a guest or an expression is always one of single events.
fn isolating(config: &PipelineConfig) -> PipelineConfig {
    let mut config = config.clone();
    for plugin in config.transforms.iter_mut().flat_map(|rule| &mut rule.plugins) {
        plugin.on_error = OnError::DeadLetter;
    }
    for expressions in config.transforms.iter_mut().filter_map(|rule| rule.expressions.as_mut()) {
        expressions.on_error = OnError::DeadLetter;
    }
    config
}

/// A table of the source at the checkpoint, and what is done with its rows.
struct Table {
    schema: Arc<TableSchema>,
    planned: Planned,
}

struct Replay {
    source: Source,
    plugins: PluginList,
    guests: Guests,
    owners: Owners,
    tables: HashMap<String, Arc<Table>>,
    ahead: HashMap<String, Position>,
    checkpoint: Checkpoint,
    shared: Arc<Shared>,
    targets: BTreeMap<String, Target>,
    /// What plugins remember of targets.
    memories: HashMap<String, Memories>,
    appliers: JoinSet<Result<(), EngineError>>,
    replayed: Replayed,
}

/// A sink table that events are sent to.
struct Target {
    queue: mpsc::Sender<TargetMessage>,
    /// Tables whose columns it knows.
    sources: Vec<TableId>,
    /// Letters whose events it was sent.
    letters: Vec<u64>,
}

/// Why one letter was not sent; the others go on.
enum Kept {
    Failed { by: Option<Culprit>, reason: String },
    Refused(String),
}

impl Replay {
    async fn letter(&mut self, letter: DeadLetter) -> Result<(), EngineError> {
        let sent = match self.events(&letter).await? {
            Ok((table, batch)) => self.through(&letter, &table, batch).await?,
            Err(kept) => Err(kept),
        };
        match sent {
            Ok(()) => {
                self.replayed.delivered.push(letter.number);
                Ok(())
            }
            Err(Kept::Refused(reason)) => {
                self.replayed.refused.push((letter.number, reason));
                Ok(())
            }
            Err(Kept::Failed { by, reason }) => {
                self.replayed.failed.push((letter.number, reason.clone()));
                let (name, hash) = match by {
                    Some(Culprit::Plugin(plugin)) => {
                        let plugin = &self.plugins[plugin].plugin;
                        (plugin.name().to_owned(), plugin.hash().to_owned())
                    }
                    Some(Culprit::Expressions { entry, .. }) => (entry.to_string(), String::new()),
                    None => (letter.plugin.clone(), letter.plugin_hash.clone()),
                };
                let failed =
                    DeadLetter { at_ms: now_ms(), plugin: name, plugin_hash: hash, reason, ..letter };
                Ok(self.shared.store.dead_letter_failed_again(&failed)?)
            }
        }
    }

    /// Sends what a letter stands for through the guests, and what comes of it to the targets.
    async fn through(
        &mut self,
        letter: &DeadLetter,
        table: &Table,
        batch: ChangeBatch,
    ) -> Result<Result<(), Kept>, EngineError> {
        let planned = &table.planned;
        let wanted: Vec<Landing> = self.lacking(letter, table).cloned().collect();
        if first_ordered(&table.schema, &planned.stages) == planned.stages.len() {
            let done = match taken(self.guests.run(&planned.stages, batch))? {
                Ok(done) => done,
                Err(kept) => return Ok(Err(kept)),
            };
            for landing in &wanted {
                self.send(letter, table, landing, done.batch.clone(), None).await?;
            }
            return Ok(Ok(()));
        }
        let mut kept = Ok(());
        for landing in &wanted {
            let label = landing.name.to_string();
            let memories = self.memories.entry(label.clone()).or_default();
            memories.recall(&planned.stages, &self.plugins, &self.shared.store, &label)?;
            let admit = |batch| Ok(batch);
            let (input, given) = (&batch, batch.clone());
            let ordered = Ordered { stages: &planned.stages, first: 0, input, given, admit: &admit };
            match taken(self.guests.run_ordered(&ordered, memories))? {
                Ok(done) => {
                    let remembered = memories.take_changes(&self.plugins);
                    self.send(letter, table, landing, done.batch, Some(remembered)).await?;
                }
                // The others have it; this one keeps the letter.
                Err(failed) => kept = Err(failed),
            }
        }
        Ok(kept)
    }

    /// Targets that lack a letter's event. Where none of them is left, it goes where rows of its table go now.
    fn lacking<'t>(&self, letter: &DeadLetter, table: &'t Table) -> impl Iterator<Item = &'t Landing> {
        let targets = letter.targets.clone();
        let lacks = move |landing: &Landing| targets.contains(&landing.name.to_string());
        let known = table.planned.sinks.iter().any(&lacks);
        table.planned.sinks.iter().filter(move |landing| !known || lacks(landing))
    }

    /// What a letter stands for, before the guests.
    async fn events(
        &mut self,
        letter: &DeadLetter,
    ) -> Result<Result<(Arc<Table>, ChangeBatch), Kept>, EngineError> {
        if letter.transaction.as_ref().is_some_and(|t| !self.checkpoint.position.covers(t)) {
            let reason = "the pipeline has not finished its transaction: run it to its next checkpoint first";
            return Ok(Err(Kept::Refused(reason.into())));
        }
        let Some(table) = self.tables.get(&letter.table).cloned() else {
            return Ok(Err(Kept::Refused(format!("table `{}` is gone", letter.table))));
        };
        let (schema, planned) = (&table.schema, &table.planned);
        let event: Event = serde_json::from_str(&letter.event_json).map_err(StateError::from)?;
        let needs_before = planned.images == Images::Both;
        let events = match schema.key.is_empty() {
            true => vec![without_gone_columns(event, schema)],
            false => match self.as_now(schema, &event, needs_before).await? {
                Ok(events) => events,
                Err(reason) => return Ok(Err(Kept::Refused(reason))),
            },
        };
        let provenance = Provenance {
            commit_micros: letter.commit_micros,
            ordinal: 0,
            transaction: letter.transaction.clone().map(Arc::new),
        };
        Ok(match batch_of(schema, &events, &provenance) {
            Ok(batch) => Ok((Arc::clone(&table), batch)),
            Err(reason) => {
                let reason =
                    format!("`{}` has other columns than when it was put aside: {reason}", schema.id);
                Err(Kept::Refused(reason))
            }
        })
    }

    /// What brings the keys of an event to what the source has now.
    async fn as_now(
        &mut self,
        schema: &Arc<TableSchema>,
        event: &Event,
        needs_before: bool,
    ) -> Result<Result<Vec<Event>, String>, EngineError> {
        let event = without_gone_columns(event.clone(), schema);
        let (old, last) = match &event {
            Event::Update { before: Some(before), after } => (Some(before), after),
            other => (None, other.row()),
        };
        let same_key = old.is_some_and(|old| key_of(schema, old) == key_of(schema, last));
        let mut events = Vec::new();
        for image in old.filter(|_| !same_key).into_iter().chain([last]) {
            let key: Option<Vec<String>> =
                key_of(schema, image).unwrap_or_default().values().map(to_key_text).collect();
            let Some(key) = key else { return Ok(Err("a column of its key is null".into())) };
            let row = match self.source.control.read_row(schema, &key).await {
                Ok(row) => row,
                // 1054 no such column, 1146 no such table
                Err(sluicebox_mysql::MysqlError::Statement { code: 1054 | 1146, .. }) => {
                    let reason =
                        format!("`{}` has changed behind the checkpoint: run the pipeline first", schema.id);
                    return Ok(Err(reason));
                }
                Err(error) => return Err(error.into()),
            };
            events.push(match row.map(|batch| event_at(&batch, 0).0) {
                None => Event::Delete(image.clone()),
                Some(now) => match old.filter(|_| needs_before && same_key) {
                    None if needs_before => Event::Insert(now.row().clone()),
                    before => Event::Update { before: before.cloned(), after: now.row().clone() },
                },
            });
        }
        Ok(Ok(events))
    }

    /// Sends what is behind the guests to a target, with what they remember of it.
    async fn send(
        &mut self,
        letter: &DeadLetter,
        table: &Table,
        landing: &Landing,
        batch: ChangeBatch,
        remembered: Option<Remembered>,
    ) -> Result<(), EngineError> {
        if batch.rows() == 0 && remembered.is_none() {
            return Ok(());
        }
        self.introduce(&landing.name, &table.schema.id).await?;
        let (output, slot) = oneshot::channel();
        // Its receiver is here.
        let _ = output.send(Ok(Rows { batch, share: Share::default(), behind: None }));
        let source = table.schema.id.clone();
        let Some(target) = self.targets.get_mut(&landing.name.to_string()) else { return Ok(()) };
        target.letters.push(letter.number);
        let rows = TargetMessage::Rows { source, from: From::Stream, slot };
        for message in [Some(rows), remembered.map(TargetMessage::Remember)].into_iter().flatten() {
            if target.queue.send(message).await.is_err() {
                return self.applier_failure().await;
            }
        }
        Ok(())
    }

    /// Makes a target's applier where there is none, and tells it the table's columns.
    async fn introduce(&mut self, name: &TableName, table: &TableId) -> Result<(), EngineError> {
        let label = name.to_string();
        let epoch = self.checkpoint.epoch;
        if !self.targets.contains_key(&label) {
            let (queue, messages) = mpsc::channel(TARGET_QUEUE);
            let number = self.targets.len();
            let applier = Applier::new(Arc::clone(&self.shared), number, name.clone(), epoch, messages);
            self.appliers.spawn(applier.run());
            self.targets.insert(label.clone(), Target { queue, sources: Vec::new(), letters: Vec::new() });
        }
        let before = Arc::new(self.stands_at(&label));
        let Some(target) = self.targets.get_mut(&label) else { return Ok(()) };
        if target.sources.contains(table) {
            return Ok(());
        }
        target.sources.push(table.clone());
        let change = SourceChange {
            source: table.clone(),
            change: None,
            changes: vec![SchemaChange::CreateTable],
            shape: self.owners.shape(name).map_err(EngineError::Plan)?,
            added: self.owners.added(name),
            before,
            epoch,
            chunks: Vec::new(),
        };
        match target.queue.send(TargetMessage::Schema(Box::new(change))).await {
            Ok(()) => Ok(()),
            Err(_) => self.applier_failure().await,
        }
    }

    /// What a target holds: its own position, or the checkpoint's. Sending letters does not move it.
    fn stands_at(&self, label: &str) -> Position {
        self.ahead.get(label).unwrap_or(&self.checkpoint.position).clone()
    }

    async fn applier_failure(&mut self) -> Result<(), EngineError> {
        match self.appliers.join_next().await {
            Some(Ok(Err(error))) => Err(error),
            _ => Err(EngineError::Lost("applier")),
        }
    }

    /// Commits what was sent; the letters go with their sessions.
    async fn finish(mut self) -> Result<Replayed, EngineError> {
        let epoch = self.checkpoint.epoch;
        for (label, target) in std::mem::take(&mut self.targets) {
            let position = self.stands_at(&label);
            let holds = Flushed { position, letters: target.letters, chunks: Vec::new(), remade: false };
            if target.queue.send(TargetMessage::Barrier { epoch, holds: Box::new(holds) }).await.is_err() {
                self.applier_failure().await?;
            }
        }
        while let Some(ended) = self.appliers.join_next().await {
            ended.map_err(|_| EngineError::Lost("applier"))??;
        }
        // Those that plugins dropped were in no session.
        self.shared.store.delete_dead_letters(self.replayed.delivered.clone())?;
        self.source.control.close().await;
        Ok(self.replayed)
    }
}

/// What one event is behind the guests, or why it is not.
fn taken(done: Result<Transformed, EngineError>) -> Result<Result<Transformed, Kept>, EngineError> {
    match done {
        Ok(done) => Ok(match done.failed.first() {
            None => Ok(done),
            Some(failed) => {
                let (by, reason) = (Some(failed.culprit.clone()), failed.reason.clone());
                Err(Kept::Failed { by, reason })
            }
        }),
        Err(EngineError::Guest(WasmError::Broken { fault, .. })) => {
            Ok(Err(Kept::Failed { by: None, reason: fault.words() }))
        }
        Err(error) => Err(error),
    }
}

/// What the table no longer has is not wanted.
fn without_gone_columns(mut event: Event, schema: &TableSchema) -> Event {
    for row in event.rows_mut() {
        *row = std::mem::take(row)
            .into_iter()
            .filter(|(name, _)| schema.index_of(name).is_some())
            .collect::<Row>();
    }
    event
}
