//! Other versions of plugins, from one place of the stream on.
//!
//! A switch happens between two transactions, and never before a place that some target has reached in an earlier run. What was
//! gathered goes on under the old versions, the switch is recorded, and from there on rows are sent with the new ones: workers take items in
//! the order of their sending, so each row is transformed by the version that was in force when it was sent, and the place decides which
//! that is. Rows of a snapshot go by the moment at which they are sent on, and chunks that are being read are read again, since a new
//! version may write them under other keys or elsewhere.
//!
//! Where a new version makes other columns, the sink tables follow as they do at a schema change: everything before is committed at
//! this place, then the table is changed.
//!
//! A crash before the record leaves the old versions, one behind it finds the switch among those that are *to come*: the stream is read again from
//! the checkpoint, under the versions of then, and the switch happens again at its place. A target that is further has had it.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

use sluicebox_maxcompute::TableName;
use sluicebox_model::{Position, SchemaChange, TableId, TableSchema};

use super::Coordinator;
use crate::error::EngineError;
use crate::pipeline::canary::Canary;
use crate::pipeline::messages::{Ask, Scene, Switch, Switched};
use crate::pipeline::tables::{Planned, PlannedTables, Planner, PluginEntry, PluginList, TableRun};
use crate::pipeline::versions::ToCome;
use crate::pipeline::worker::InForce;
use crate::state::{PluginVersion, crash};
use crate::telemetry::now_ms;

/// The plugins' versions, as the coordinator keeps them.
pub(super) struct Switches {
    /// What workers without items look at.
    in_force: Arc<InForce>,
    /// Switches of an earlier run whose places the stream has not reached again.
    to_come: VecDeque<ToCome>,
    /// Whoever asked for the scene before these have happened: what is planned goes by the versions behind them.
    scenes: Vec<crossbeam::channel::Sender<Scene>>,
    /// The switch that waits for a transaction's end.
    wanted: Option<(Box<Switch>, crossbeam::channel::Sender<Switched>)>,
    pub canary: Option<Arc<Canary>>,
    /// Counts the schema changes of this run.
    pub changes: u64,
}

impl Switches {
    pub fn new(in_force: Arc<InForce>, to_come: Vec<ToCome>) -> Self {
        Self { in_force, to_come: to_come.into(), scenes: Vec::new(), wanted: None, canary: None, changes: 0 }
    }
}

/// A list of plugins with others in some places.
pub(in crate::pipeline) fn replaced(list: &PluginList, entries: &[(usize, Arc<PluginEntry>)]) -> PluginList {
    let mut list = Vec::clone(list);
    for (place, entry) in entries {
        list[*place] = Arc::clone(entry);
    }
    Arc::new(list)
}

/// Plans every table that these places of the list concern.
pub(in crate::pipeline) fn plan_concerned(
    planner: &mut Planner,
    schemas: &[Arc<TableSchema>],
    places: &HashSet<usize>,
) -> Result<PlannedTables, EngineError> {
    let mut planned = Vec::new();
    for schema in schemas {
        if planner.chain_of(&schema.id).iter().any(|place| places.contains(place)) {
            planned.push((Arc::clone(schema), planner.plan(schema)?));
        }
    }
    Ok(planned)
}

impl Coordinator {
    pub(super) fn asked(&mut self, ask: Ask) {
        match ask {
            Ask::Scene { reply } => {
                self.switches.scenes.push(reply);
                self.show_scene();
            }
            Ask::Switch { switch, reply } => self.switches.wanted = Some((switch, reply)),
            Ask::Canary(canary) => {
                self.switches.in_force.set(&self.planner.plugins, canary.as_ref());
                self.switches.canary = canary;
            }
        }
    }

    fn show_scene(&mut self) {
        if !self.switches.to_come.is_empty() {
            return;
        }
        for reply in std::mem::take(&mut self.switches.scenes) {
            let scene = Scene {
                schemas: self.schemas_in_order(),
                owners: self.owners.clone(),
                planner: self.planner.with(Arc::clone(&self.planner.plugins)),
                changes: self.switches.changes,
            };
            // Who has gone needs no answer, here and below.
            let _ = reply.send(scene);
        }
    }

    fn schemas_in_order(&self) -> Vec<Arc<TableSchema>> {
        let mut schemas: Vec<_> = self.schemas.values().cloned().collect();
        schemas.sort_by(|a, b| a.id.cmp(&b.id));
        schemas
    }

    /// The switch that is wanted, if there is one and it can be made here, at a transaction's end.
    pub(super) fn switch_if_wanted(&mut self) -> Result<(), EngineError> {
        if self.ending.is_some() || self.is_behind_a_target() {
            return Ok(());
        }
        let Some((switch, reply)) = self.switches.wanted.take() else { return Ok(()) };
        let answer = if switch.changes != self.switches.changes {
            Switched::Stale
        } else if let Some(reason) = self.refusal(&switch) {
            Switched::Refused(reason)
        } else {
            self.switch(*switch)?;
            Switched::At(self.position.clone())
        };
        let _ = reply.send(answer);
        Ok(())
    }

    /// Whether a target has rows from behind this place already, which an earlier run has sent: here a switch would be none for it.
    fn is_behind_a_target(&self) -> bool {
        let of_targets = self.targets.iter().filter_map(|target| target.ahead.as_ref());
        of_targets.chain(self.ahead.values()).any(|ahead| !self.position.includes(ahead))
    }

    /// Why the tables cannot be switched now: one is being read whole, and its target may not commit before that is done.
    fn refusal(&self, switch: &Switch) -> Option<String> {
        let changes = |(schema, planned): &&(Arc<TableSchema>, Planned)| {
            !self.owners.is_known(&schema.id, &planned.output, &planned.sinks)
        };
        let held_back = |planned: &Planned| {
            let targets = planned.sinks.iter().filter_map(|landing| self.by_name.get(&landing.name));
            targets.map(|&number| &self.targets[number]).any(|target| self.snapshots.holds_back(target))
        };
        let found = switch
            .planned
            .iter()
            .filter(changes)
            .find(|(schema, planned)| self.snapshots.is_being_read(&schema.id) || held_back(planned));
        found.map(|(schema, _)| {
            format!(
                "it makes other columns of `{}`, or others go into the same sink table, while a table without a key is being read whole: \
                 try again when that is done",
                schema.id
            )
        })
    }

    fn switch(&mut self, switch: Switch) -> Result<(), EngineError> {
        self.dispatch_all()?;
        let version = |(place, new): &(usize, Arc<PluginEntry>)| {
            tracing::info!(
                plugin = new.plugin.name(),
                entry = &*new.key,
                from = self.planner.plugins[*place].plugin.hash(),
                to = new.plugin.hash(),
                position = %self.position,
                way = switch.way.word(),
                "plugin switched"
            );
            PluginVersion {
                number: 0,
                entry: new.key.to_string(),
                plugin: new.plugin.name().to_owned(),
                sha256: new.plugin.hash().to_owned(),
                file_sha256: new.file_sha256.to_string(),
                position: self.position.clone(),
                ahead: BTreeMap::new(),
                at_ms: now_ms(),
                way: switch.way,
            }
        };
        let versions = switch.entries.iter().map(version).collect();
        self.store.plugins_switched(versions)?;
        crash::in_phase("plugin-switched");
        self.telemetry.switched();
        self.install(switch.planner, switch.planned, &switch.entries)
    }

    /// Switches of an earlier run whose place the stream has reached.
    pub(super) fn switch_again(&mut self) -> Result<(), EngineError> {
        while self.switches.to_come.front().is_some_and(|next| self.position.includes(&next.position)) {
            let Some(ToCome { entries, .. }) = self.switches.to_come.pop_front() else { break };
            self.dispatch_all()?;
            let places = entries.iter().map(|(place, _)| *place).collect();
            let mut planner = self.planner.with(replaced(&self.planner.plugins, &entries));
            let planned = plan_concerned(&mut planner, &self.schemas_in_order(), &places)?;
            for (_, entry) in &entries {
                let (plugin, version) = (entry.plugin.name(), entry.plugin.hash());
                tracing::info!(plugin, entry = &*entry.key, version, position = %self.position, "plugin switched again");
            }
            self.install(planner, planned, &entries)?;
            self.show_scene();
        }
        Ok(())
    }

    /// Goes on with what was planned. Everything before it has been sent on.
    fn install(
        &mut self,
        planner: Planner,
        planned: PlannedTables,
        entries: &[(usize, Arc<PluginEntry>)],
    ) -> Result<(), EngineError> {
        self.planner = planner.be_lenient();
        self.switches.canary = None;
        self.switches.in_force.set(&self.planner.plugins, None);
        let mut changed = BTreeSet::new();
        for (schema, planned) in &planned {
            if !self.owners.is_known(&schema.id, &planned.output, &planned.sinks) {
                self.owners.put(&schema.id, &planned.output, &planned.sinks).map_err(EngineError::Plan)?;
                changed.extend(planned.sinks.iter().map(|landing| (landing.name.clone(), schema.id.clone())));
            }
            self.snapshots.read_again(&schema.id);
        }
        for (schema, planned) in planned {
            // A table that has had no rows in this run is planned when they come.
            if let Some(old) = self.runs.remove(&schema.id) {
                self.replace_run(schema, planned, &old)?;
            }
        }
        for (_, entry) in entries {
            self.telemetry.plugins.in_force(&entry.key, &entry.plugin, &self.position);
        }
        if !changed.is_empty() {
            self.keep_merged()?;
            self.tell_moved()?;
            self.tell_switched(changed)?;
        }
        Ok(())
    }

    fn replace_run(
        &mut self,
        schema: Arc<TableSchema>,
        planned: Planned,
        old: &TableRun,
    ) -> Result<(), EngineError> {
        let table = schema.id.clone();
        let run = self.run_from(schema, planned)?;
        for &target in old.targets.iter().filter(|target| !run.targets.contains(target)) {
            self.targets[target].sources.remove(&table);
        }
        self.runs.insert(table, run);
        Ok(())
    }

    /// Tells targets of other columns. Those that know nothing of their rows yet are told when rows come.
    fn tell_switched(&mut self, changed: BTreeSet<(TableName, TableId)>) -> Result<(), EngineError> {
        let mut told: BTreeMap<usize, TableId> = BTreeMap::new();
        for (name, source) in changed {
            if let Some(&target) = self.by_name.get(&name).filter(|target| self.is_to_be_told(**target)) {
                told.entry(target).or_insert(source);
            }
        }
        for (target, source) in told {
            let change = Some(format!("plugins {} {source}", self.position));
            self.tell_schema(target, &source, change, vec![SchemaChange::CreateTable])?;
        }
        Ok(())
    }

    fn is_to_be_told(&self, target: usize) -> bool {
        let target = &self.targets[target];
        let further = |ahead: &Position| ahead.includes(&self.position) && !self.position.includes(ahead);
        target.introduced && !target.held && !target.ahead.as_ref().is_some_and(further)
    }
}
