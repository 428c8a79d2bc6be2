//! The coordinator: one thread that decides the order of everything.
//!
//! It takes the stream's items one by one and knows, at each place of it, which tables there are, which rows go to which targets,
//! and which transactions each target has already. What it sends to a target's queue is that target's order. Its rules:
//!
//!   - Row events of one table and schema version are gathered across small transactions into one work item, never past a
//!     barrier, a schema change or a snapshot message about the table, and never waiting when the stream has nothing more.
//!   - The schema history is written before anything newer moves on.
//!   - A barrier stands at a transaction's end. One epoch is on its way at a time; when every target that had rows has
//!     acknowledged it, the checkpoint moves.
//!   - Snapshot messages are served between transactions, so that "what the stream has delivered" is a position. A chunk waits
//!     here until the stream has passed its high watermark. A schema change of its table meanwhile makes it void.
//!   - A table without a key is read whole, and committed whole: its target gets no barrier before that.
//!
//!   - A target whose change waits for an operator is *held*: it gets no rows, and the checkpoint stays where it stands, while the
//!     others commit and keep their own positions. Once the change is approved the pipeline begins again from there.
//!
//! After a crash everything here is built anew from the state; nothing in this file has to be remembered.

mod epochs;
mod gather;
mod remakes;
mod snapshots;
pub(super) mod switches;
mod targets;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, never};
use sluicebox_maxcompute::TableName;
use sluicebox_model::{Position, SchemaChange, TableId, TableSchema, TransactionId};
use sluicebox_mysql::{SchemaEvent, StreamItem};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::applier::Shared;
use super::messages::{Ask, Report, SnapshotMessage, SourceChange, TargetMessage, WorkItem};
use super::owners::{Destinations, Owners, moved};
use super::receiver::Items;
use super::tables::{Planned, Planner, TableRun, first_ordered};
use super::versions::ToCome;
use super::worker::InForce;
use crate::error::EngineError;
use crate::state::{SchemaRecord, Store};
use crate::telemetry::Telemetry;

use epochs::Epochs;
use gather::Gatherer;
use snapshots::Snapshots;
use switches::Switches;
use targets::Target;

/// How often it is looked whether a change was approved.
const ASK: Duration = Duration::from_secs(1);
/// How often an idle coordinator looks at the clock.
const TICK: Duration = Duration::from_millis(100);

/// Where the state keeps which sink tables each source goes to,
const DESTINATIONS: &str = "destinations";
/// and those that several have fed.
const MERGED: &str = "merged";

/// How the pipeline ended when nothing failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was told to stop, and has.
    Stopped,
    /// There is nothing more to do: `scan.startup.mode` is `snapshot` and everything has been read.
    Finished,
}

/// What the coordinator is given.
pub(super) struct Parts {
    pub runtime: Handle,
    pub store: Arc<Store>,
    pub telemetry: Arc<Telemetry>,
    pub shared: Arc<Shared>,
    pub planner: Planner,
    /// What workers look at for the versions of the plugins.
    pub in_force: Arc<InForce>,
    /// Switches of plugins that the stream will come to again.
    pub to_come: Vec<ToCome>,
    /// What the keeper of the plugins wants; nothing comes where there are none.
    pub asks: Receiver<Ask>,
    pub items: Receiver<Items>,
    pub reports: Receiver<Report>,
    pub workers: Sender<WorkItem>,
    pub snapshot: Receiver<SnapshotMessage>,
    pub stop: Receiver<()>,
    /// Where the stream begins.
    pub position: Position,
    pub epoch: u64,
    pub schemas: Vec<Arc<TableSchema>>,
    /// Targets that are ahead of `position`.
    pub ahead: HashMap<String, Position>,
    /// Snapshot chunks that targets hold and the checkpoint does not.
    pub target_chunks: HashMap<String, HashSet<(String, u64)>>,
    /// Tables without a key whose snapshot is not whole.
    pub unread: HashSet<TableId>,
    /// All tables whose snapshot is not whole.
    pub reading: HashSet<TableId>,
    pub checkpoint_interval: Duration,
    /// Whether the pipeline ends when the snapshot has been read (`scan.startup.mode: snapshot`).
    pub finish_after_snapshot: bool,
}

/// The thread's state.
pub(super) struct Coordinator {
    runtime: Handle,
    store: Arc<Store>,
    telemetry: Arc<Telemetry>,
    shared: Arc<Shared>,
    planner: Planner,
    switches: Switches,
    asks: Receiver<Ask>,
    items: Receiver<Items>,
    reports: Receiver<Report>,
    workers: Sender<WorkItem>,
    snapshot: Receiver<SnapshotMessage>,
    stop: Receiver<()>,
    /// Everything up to here has been sent on.
    position: Position,
    in_transaction: bool,
    /// Columns of every captured table where the stream stands.
    schemas: HashMap<TableId, Arc<TableSchema>>,
    runs: HashMap<TableId, Arc<TableRun>>,
    owners: Owners,
    /// How many merged sink tables the state knows of.
    merged_kept: usize,
    targets: Vec<Target>,
    by_name: HashMap<TableName, usize>,
    ahead: HashMap<String, Position>,
    target_chunks: HashMap<String, HashSet<(String, u64)>>,
    appliers: JoinSet<Result<(), EngineError>>,
    gatherer: Gatherer,
    epochs: Epochs,
    snapshots: Snapshots,
    /// Whether the pipeline ends when the snapshot has been read.
    finish_after_snapshot: bool,
    /// Set when the pipeline is to end after one more checkpoint.
    ending: Option<Outcome>,
    /// Where the first target stands that is held: the checkpoint goes no further.
    pinned: Option<Position>,
    /// When it was last asked whether the change was approved.
    asked: Instant,
}

impl Coordinator {
    pub fn new(parts: Parts, now: Instant) -> Self {
        let schemas = parts.schemas.into_iter().map(|s| (s.id.clone(), s)).collect();
        Self {
            runtime: parts.runtime,
            store: parts.store,
            telemetry: parts.telemetry,
            shared: parts.shared,
            planner: parts.planner,
            switches: Switches::new(parts.in_force, parts.to_come),
            asks: parts.asks,
            items: parts.items,
            reports: parts.reports,
            workers: parts.workers,
            snapshot: parts.snapshot,
            stop: parts.stop,
            epochs: Epochs::new(parts.epoch, parts.position.clone(), parts.checkpoint_interval, now),
            position: parts.position,
            in_transaction: false,
            schemas,
            runs: HashMap::new(),
            owners: Owners::default(),
            merged_kept: 0,
            targets: Vec::new(),
            by_name: HashMap::new(),
            ahead: parts.ahead,
            target_chunks: parts.target_chunks,
            appliers: JoinSet::new(),
            gatherer: Gatherer::default(),
            snapshots: Snapshots::new(parts.unread, parts.reading),
            finish_after_snapshot: parts.finish_after_snapshot,
            ending: None,
            pinned: None,
            asked: now,
        }
    }

    /// Runs until it is told to stop, has nothing more to do, or something fails. On the pipeline's `first` start every table is
    /// made at the sink, also the empty ones.
    pub fn run(mut self, first: bool) -> Result<Option<Outcome>, EngineError> {
        let result = self.serve(first);
        // What an applier says explains more than the closed queue by which it was noticed.
        let result = match result {
            Err(EngineError::Lost(_)) => self.applier_failure().map_or(result, Err),
            other => other,
        };
        self.targets.clear();
        let runtime = self.runtime.clone();
        if result.is_err() {
            self.appliers.abort_all();
        }
        runtime.block_on(async { while self.appliers.join_next().await.is_some() {} });
        result
    }

    fn serve(&mut self, first: bool) -> Result<Option<Outcome>, EngineError> {
        self.enter_all()?;
        self.switch_again()?;
        self.enter_remakes()?;
        // Tables are made before the first row: one that a table without a key is read into takes no change in between.
        if first || self.snapshots.any_unread() {
            let mut tables: Vec<_> = self.schemas.keys().cloned().collect();
            tables.sort();
            for table in tables {
                self.make(&table)?;
            }
        }
        loop {
            self.step()?;
            if let Some(error) = self.applier_failure() {
                return Err(error);
            }
            let now = Instant::now();
            self.end_of_step(now)?;
            if let Some(outcome) = self.ending
                && self.is_settled()
            {
                return Ok(Some(outcome));
            }
            if self.is_released(now)? {
                return Ok(None);
            }
        }
    }

    /// A target takes no more rows. What it is sent from here on is read again when its change was approved.
    fn hold(&mut self, target: usize, at: Position) -> Result<(), EngineError> {
        self.put_off_snapshots(target)?;
        // From here on each has a position of its own.
        for table in self.schemas.keys().cloned().collect::<Vec<_>>() {
            self.run_of(&table)?;
        }
        self.targets[target].held = true;
        if self.pinned.as_ref().is_none_or(|pinned| pinned.includes(&at)) {
            self.pinned = Some(at);
        }
        Ok(())
    }

    /// Whether a change that holds a target was approved: everything is read again from the pinned position, and the targets
    /// that are further skip what they have.
    fn is_released(&mut self, now: Instant) -> Result<bool, EngineError> {
        if self.pinned.is_none() || now.duration_since(self.asked) < ASK {
            return Ok(false);
        }
        self.asked = now;
        let held: Vec<&str> = self.targets.iter().filter(|t| t.held).map(|t| t.label.as_str()).collect();
        Ok(self.store.any_approved(&held)?)
    }

    /// Enters every captured table with its sink tables, before a row moves: what is done to a sink table depends on all that
    /// is written into it.
    fn enter_all(&mut self) -> Result<(), EngineError> {
        let before: Destinations = self.store.meta(DESTINATIONS)?.unwrap_or_default();
        self.owners.have_met(&before, self.store.meta(MERGED)?.unwrap_or_default());
        let mut schemas: Vec<_> = self.schemas.values().cloned().collect();
        schemas.sort_by(|a, b| a.id.cmp(&b.id));
        for schema in schemas {
            let planned = self.planner.plan(&schema)?;
            self.owners.put(&schema.id, &planned.output, &planned.sinks).map_err(EngineError::Plan)?;
        }
        if let Some(problem) = self.owners.problems().into_iter().next() {
            return Err(EngineError::Plan(problem));
        }
        for conflict in self.owners.conflicts() {
            tracing::warn!("{conflict}");
        }
        self.keep_merged()?;
        self.tell_moved()
    }

    /// Keeps which sink tables several sources have fed: what they wrote stays theirs, also when a later run finds one of them only.
    fn keep_merged(&mut self) -> Result<(), EngineError> {
        if self.owners.merged().len() > self.merged_kept {
            self.store.set_meta(MERGED, self.owners.merged())?;
            self.merged_kept = self.owners.merged().len();
        }
        Ok(())
    }

    /// Says which tables go elsewhere than in the last run.
    fn tell_moved(&self) -> Result<(), EngineError> {
        let before: Destinations = self.store.meta(DESTINATIONS)?.unwrap_or_default();
        let now = self.owners.destinations();
        for told in moved(&before, &now) {
            tracing::warn!("{told}");
        }
        if before != now {
            self.store.set_meta(DESTINATIONS, &now)?;
        }
        Ok(())
    }

    /// Whether nothing is left that could be committed now.
    fn is_settled(&self) -> bool {
        let held = |t: &Target| self.snapshots.holds_back(t);
        if self.in_transaction || !self.epochs.is_free() {
            return false;
        }
        // Who is told to stop does not wait for a table to be whole: the next run goes on with it.
        if self.ending == Some(Outcome::Finished) && self.any_remade() {
            return false;
        }
        let mark = self.pinned.as_ref().unwrap_or(&self.position);
        let committed =
            self.epochs.is_settled(mark) && self.targets.iter().all(|t| !t.dirty || t.held || held(t));
        committed || self.snapshots.must_wait(&self.targets)
    }

    /// Waits for one thing to happen, and serves it.
    fn step(&mut self) -> Result<(), EngineError> {
        let nothing_items = never();
        let nothing_snapshot = never();
        let reading = self.ending.is_none() || self.in_transaction;
        let items = if reading { self.items.clone() } else { nothing_items };
        let snapshot = if self.in_transaction || self.ending.is_some() {
            nothing_snapshot
        } else {
            self.snapshot.clone()
        };
        crossbeam::select! {
            recv(items) -> batch => {
                let batch = batch.map_err(|_| EngineError::Lost("receiver"))??;
                for item in batch {
                    self.item(item)?;
                }
            }
            recv(self.reports) -> report => self.reported(report.map_err(|_| EngineError::Lost("applier"))?)?,
            recv(snapshot) -> message => match message {
                Ok(message) => self.snapshot_message(message)?,
                // The snapshot's task has ended, as it does after `Done`.
                Err(_) => self.snapshot = never(),
            },
            recv(self.asks) -> ask => match ask {
                Ok(ask) => self.asked(ask),
                // There are no plugins, or whoever keeps them has failed and said so.
                Err(_) => self.asks = never(),
            },
            recv(self.stop) -> told => {
                // Whoever could have told us has gone: the pipeline runs on.
                if told.is_ok() {
                    tracing::info!("stopping: finishing what has been read");
                    self.ending = Some(self.ending.unwrap_or(Outcome::Stopped));
                }
                self.stop = never();
            }
            default(self.patience()) => self.dispatch_all()?,
        }
        Ok(())
    }

    /// How long to wait for the next thing: not long while rows could go on.
    fn patience(&self) -> Duration {
        if self.gatherer.is_empty() { TICK } else { gather::LONGEST_WAIT / 2 }
    }

    /// What is due between two steps.
    fn end_of_step(&mut self, now: Instant) -> Result<(), EngineError> {
        if self.gatherer.is_ripe(now) {
            self.dispatch_all()?;
        }
        self.telemetry.at(&self.position);
        if self.in_transaction {
            return Ok(());
        }
        self.switch_if_wanted()?;
        self.place_chunks()?;
        self.sweep_what_was_read()?;
        if self.epochs.is_due(now) || (self.ending.is_some() && self.epochs.is_free()) {
            self.begin_epoch(now)?;
        }
        Ok(())
    }

    fn item(&mut self, item: StreamItem) -> Result<(), EngineError> {
        match item {
            StreamItem::Rows(rows) => {
                self.in_transaction = true;
                self.gather(rows)
            }
            StreamItem::Schema(event) => {
                self.in_transaction = true;
                self.schema(event)
            }
            StreamItem::End { transaction, end, .. } => {
                self.position.advance(&transaction, end);
                self.in_transaction = false;
                self.end_whole_tables()?;
                self.switch_again()
            }
            StreamItem::Idle => Ok(()),
        }
    }

    /// A captured table has other columns from here on.
    fn schema(&mut self, event: SchemaEvent) -> Result<(), EngineError> {
        let SchemaEvent { table, changes, schema, is_foreign, transaction, ddl } = event;
        if is_foreign {
            let (transaction, ddl) = (Some((*transaction).clone()), Some(ddl.to_string()));
            let (table, schema) = (table.to_string(), schema.as_deref().cloned());
            return Ok(self.store.schema_changed(SchemaRecord { table, transaction, schema, ddl })?);
        }
        tracing::info!(%table, changes = changes.len(), at = %transaction, "schema change");
        self.switches.changes += 1;
        self.dispatch_table(&table)?;
        self.snapshots.disturb(&table)?;
        self.store.schema_changed(SchemaRecord {
            table: table.to_string(),
            transaction: Some((*transaction).clone()),
            // One that goes on under another name has gone under this one.
            schema: schema.as_deref().filter(|s| s.id == table).cloned(),
            ddl: Some(ddl.to_string()),
        })?;
        // A table that had no rows yet in this run is known all the same: its change is told as one, and not as a table that is
        // new. Introduced before it, it would ask for columns back that the change has taken from the sink before a crash.
        let old = match self.runs.remove(&table) {
            None if self.schemas.contains_key(&table) => Some(self.plan_of(&table)?),
            known => known,
        };
        self.schemas.remove(&table);
        self.owners.remove(&table);
        if let Some(schema) = &schema {
            self.schemas.insert(schema.id.clone(), Arc::clone(schema));
            if schema.id != table {
                return self.renamed(schema, &transaction, &ddl);
            }
        }
        let new = match schema {
            Some(_) => Some(self.plan_of(&table)?),
            None => None,
        };
        let known = old.as_ref().map(|run| run.targets.clone()).unwrap_or_default();
        let targets = new.as_ref().map_or_else(|| known.clone(), |run| run.targets.clone());
        for target in targets {
            // A target that is ahead has had the change, and may have had later ones: it is left alone until rows come for it.
            if self.covers(target, &transaction) {
                continue;
            }
            // The change commits what the target has, and half of another source must not be in that.
            if let Some(table) = self.snapshots.half_read_into(&self.targets[target]) {
                return Err(EngineError::SnapshotDisturbed { table });
            }
            let changes = match known.contains(&target) {
                false => vec![SchemaChange::CreateTable],
                true => new.as_ref().map_or_else(|| changes.clone(), |run| run.passed_on(&changes)),
            };
            let change = Some(format!("{transaction} {table}"));
            self.tell_schema(target, &table, change, changes)?;
            self.targets[target].introduced = true;
        }
        if let Some(run) = new {
            self.runs.insert(table, run);
        }
        Ok(())
    }

    /// A table goes on under another name: its rows are those of a table that is new here. The old sink table stays as it is.
    fn renamed(
        &mut self,
        schema: &TableSchema,
        transaction: &TransactionId,
        ddl: &str,
    ) -> Result<(), EngineError> {
        self.store.schema_changed(SchemaRecord {
            table: schema.id.to_string(),
            transaction: Some(transaction.clone()),
            schema: Some(schema.clone()),
            ddl: Some(ddl.to_owned()),
        })?;
        Ok(())
    }

    /// Makes a table's sink tables where they are missing. One that is there is not touched before rows come for it: after a crash
    /// it may have had changes already that the stream brings only now.
    fn make(&mut self, table: &TableId) -> Result<(), EngineError> {
        for target in self.run_of(table)?.targets.clone() {
            self.tell_schema(target, table, None, Vec::new())?;
        }
        Ok(())
    }

    /// Tells targets what their rows look like, before the first of this run. No session is open then, so that nothing is committed
    /// in the middle of a transaction or of a table without a key.
    fn introduce(&mut self, table: &TableId, targets: &[usize]) -> Result<(), EngineError> {
        for &target in targets {
            if !self.targets[target].introduced {
                self.tell_schema(target, table, None, vec![SchemaChange::CreateTable])?;
                self.targets[target].introduced = true;
            }
        }
        Ok(())
    }

    /// What is done with a table's rows; plans it where that was not done yet.
    fn run_of(&mut self, table: &TableId) -> Result<Arc<TableRun>, EngineError> {
        if let Some(run) = self.runs.get(table) {
            return Ok(Arc::clone(run));
        }
        let run = self.plan_of(table)?;
        self.runs.insert(table.clone(), Arc::clone(&run));
        Ok(run)
    }

    fn plan_of(&mut self, table: &TableId) -> Result<Arc<TableRun>, EngineError> {
        let schema = self.schemas.get(table).cloned().ok_or(EngineError::Lost("schema of a table"))?;
        let planned = self.planner.plan(&schema)?;
        self.owners.put(table, &planned.output, &planned.sinks).map_err(EngineError::Plan)?;
        self.keep_merged()?;
        self.run_from(schema, planned)
    }

    /// What is done with a table's rows, with targets for where they go.
    fn run_from(&mut self, schema: Arc<TableSchema>, planned: Planned) -> Result<Arc<TableRun>, EngineError> {
        let mut targets = Vec::with_capacity(planned.sinks.len());
        for landing in &planned.sinks {
            // A table that came later can be one too many.
            self.owners.shape(&landing.name).map_err(EngineError::Plan)?;
            targets.push(self.target_of(landing, &schema.id)?);
        }
        let Planned { stages, images, follows_columns, .. } = planned;
        let ordered = first_ordered(&schema, &stages);
        Ok(Arc::new(TableRun { schema, stages, ordered, follows_columns, images, targets }))
    }

    fn tell_schema(
        &mut self,
        target: usize,
        source: &TableId,
        change: Option<String>,
        changes: Vec<SchemaChange>,
    ) -> Result<(), EngineError> {
        // What was gathered of any of its sources belongs before the change, and is part of the position that is committed with it.
        for source in self.targets[target].sources.clone() {
            self.dispatch_table(&source)?;
        }
        let name = &self.targets[target].name;
        let shape = self.owners.shape(name).map_err(EngineError::Plan)?;
        if shape.is_none() && self.owners.is_shared(name) {
            // The last of several sources has gone: what they wrote together stays.
            return Ok(());
        }
        let change = SourceChange {
            source: source.clone(),
            change,
            changes,
            shape,
            added: self.owners.added(name),
            before: Arc::new(self.position.clone()),
            epoch: self.epochs.next(),
            chunks: std::mem::take(&mut self.targets[target].chunks),
        };
        // A commit at the change makes the target's own position differ from the checkpoint.
        self.targets[target].dirty = true;
        self.tell(target, TargetMessage::Schema(Box::new(change)))
    }

    /// Why an applier ended, if one has.
    fn applier_failure(&mut self) -> Option<EngineError> {
        loop {
            match self.appliers.try_join_next()? {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Some(error),
                Err(_) => return Some(EngineError::Lost("applier")),
            }
        }
    }
}
