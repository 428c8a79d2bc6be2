//! Keeps the plugins of a running pipeline: takes new versions in, and compares versions side by side.
//!
//! A thread of its own reads, compiles and plans, so that rows flow meanwhile. For a new version: the file is read (its digest must be the
//! one that the pipeline file pins, if it pins one), loaded, started, planned against every table that it concerns, and what follows for
//! the sink tables is checked against them as they are. Only then is the coordinator told, which switches at the next transaction's
//! end. Whatever fails before that leaves the old version, and is told to who asked and in the log.
//!
//! It acts on requests in the state, which `sluicebox plugin reload` and `canary` put there, and on changed files of plugins that say
//! `reload: watch`.

mod check;
mod watch;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use serde::{Deserialize, Serialize};
use sluicebox_model::TableId;
use sluicebox_wasm::{Plugin, PluginFile, PluginSpec, TablePlan};
use tokio::runtime::Handle;

use super::applier::Shared;
use super::canary::{Canary, Tally};
use super::coordinator::switches::{plan_concerned, replaced};
use super::messages::{Ask, Scene, Switch, Switched};
use super::prepare::{entry_of, plugin_entries};
use super::tables::{Planned, PlannedTables, Planner, PluginEntry, PluginList, Stage, first_ordered};
use super::versions::PluginHost;
use crate::config::{PipelineConfig, PluginConfig, Reload};
use crate::error::EngineError;
use crate::state::{Request, StateError, Way};
use crate::telemetry::now_ms;
use watch::{Stamp, Watch};

/// How often the state is asked for requests: a person waits for the answer, and the question costs the state's thread microseconds.
const ASK: Duration = Duration::from_millis(200);
/// Plans that tables overtake by changing are made anew; whose tables change faster than that is told to come back.
const PLANNINGS: usize = 5;

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum PluginAnswer {
    /// New versions are in force.
    Switched {
        /// What was switched.
        plugins: Vec<SwitchedPlugin>,
        /// Rows behind this place go through them.
        position: String,
        /// What they plan otherwise.
        tables: Vec<TableDifference>,
    },
    /// The files are those that run already.
    Unchanged {
        /// What was looked at.
        plugins: Vec<SwitchedPlugin>,
    },
    /// The old versions stay.
    Refused {
        /// Why.
        reason: String,
        /// Whether the sink is the reason.
        by_sink: bool,
    },
    /// Two versions were compared.
    Compared(Comparison),
}

/// A plugin, and which version follows which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchedPlugin {
    /// Its place in the pipeline file.
    pub entry: String,
    /// Its name.
    pub plugin: String,
    /// SHA-256 of the version that was in force.
    pub from: String,
    /// SHA-256 of the other one.
    pub to: String,
}

/// What another version plans otherwise for one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableDifference {
    /// The table, as `database.table`.
    pub table: String,
    /// In words; empty where only values can differ.
    pub differences: Vec<String>,
}

/// What two versions made of the same rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// The plugin, and the versions.
    pub plugin: SwitchedPlugin,
    /// How long they were compared, in milliseconds.
    pub took_ms: u64,
    /// What the new version plans otherwise.
    pub tables: Vec<TableDifference>,
    /// What was counted, by table.
    pub rows: BTreeMap<String, Tally>,
}

/// Why the old version stays.
enum Stays {
    /// The plugin or what it plans is at fault.
    Plugin(String),
    /// The sink does not take it, or cannot be asked.
    Sink(String),
    /// The run is over: the next one answers.
    Over,
}

impl From<EngineError> for Stays {
    fn from(error: EngineError) -> Self {
        match &error {
            EngineError::Sink { .. } => Self::Sink(super::describe(&error)),
            _ => Self::Plugin(super::describe(&error)),
        }
    }
}

/// A new version that was loaded.
struct Loaded {
    place: usize,
    file: PluginFile,
    entry: Arc<PluginEntry>,
}

/// The thread; it ends when the value is dropped.
pub(super) struct Keeper {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic was printed by the panic hook.
            let _ = thread.join();
        }
    }
}

/// Starts the thread. It asks the coordinator by the channel that comes with it.
pub(super) fn spawn(
    config: &PipelineConfig,
    host: &Arc<PluginHost>,
    in_force: PluginList,
    shared: &Arc<Shared>,
    runtime: &Handle,
) -> Result<(Keeper, Receiver<Ask>), EngineError> {
    let (asks_in, asks) = bounded(1);
    let (stop, stopped) = bounded(0);
    let entries: Vec<PluginConfig> = plugin_entries(config).map(|(_, plugin)| plugin.clone()).collect();
    let watched = |(place, entry): (usize, &PluginConfig)| {
        (entry.reload == Reload::Watch).then(|| (place, Watch::default()))
    };
    let keeper = Work {
        watches: entries.iter().enumerate().filter_map(watched).collect(),
        entries,
        host: Arc::clone(host),
        in_force,
        shared: Arc::clone(shared),
        runtime: runtime.clone(),
        asks: asks_in,
        looked: Instant::now(),
        checkpoints: 0,
    };
    let thread = std::thread::Builder::new()
        .name("plugins".into())
        .spawn(move || keeper.run(&stopped))
        .map_err(|source| EngineError::Start { what: "the thread that keeps plugins", source })?;
    Ok((Keeper { stop: Some(stop), thread: Some(thread) }, asks))
}

struct Work {
    entries: Vec<PluginConfig>,
    host: Arc<PluginHost>,
    /// The last versions that are known to be recorded.
    in_force: PluginList,
    shared: Arc<Shared>,
    runtime: Handle,
    asks: Sender<Ask>,
    watches: Vec<(usize, Watch)>,
    /// When the files were last looked at.
    looked: Instant,
    /// Checkpoints that there were when the copies were last tidied.
    checkpoints: u64,
}

impl Work {
    fn run(mut self, stopped: &Receiver<()>) {
        while stopped.recv_timeout(ASK) == Err(RecvTimeoutError::Timeout) {
            // A state that cannot be used stops the pipeline by what else needs it.
            if let Err(error) = self.look(stopped) {
                tracing::warn!(%error, "plugins are not looked after any more");
                return;
            }
        }
    }

    fn look(&mut self, stopped: &Receiver<()>) -> Result<(), StateError> {
        while let Some((number, request)) = self.shared.store.next_request()? {
            let answer = match &request {
                Request::Reload { plugin } => self.reload_asked(plugin.as_deref()),
                Request::Canary { plugin, module, rows, for_ms } => {
                    let until = Instant::now() + Duration::from_millis(*for_ms);
                    self.compare(number, plugin, module, *rows, until, stopped)
                }
            };
            match answer {
                Ok(answer) => self.shared.store.answer(number, &answer)?,
                Err(Stays::Over) => return Ok(()),
                Err(stays) => {
                    let answer = self.refused(stays);
                    self.shared.store.answer(number, &answer)?;
                }
            }
        }
        if self.looked.elapsed() >= watch::EVERY {
            self.looked = Instant::now();
            self.look_at_files()?;
            self.tidy()?;
        }
        Ok(())
    }

    fn refused(&self, stays: Stays) -> PluginAnswer {
        let (reason, by_sink) = match stays {
            Stays::Plugin(reason) => (reason, false),
            Stays::Sink(reason) => (reason, true),
            Stays::Over => ("the pipeline stops".to_owned(), false),
        };
        self.shared.telemetry.reload_refused();
        tracing::warn!(reason, "the plugin's old version stays");
        PluginAnswer::Refused { reason, by_sink }
    }

    /// A checkpoint may have passed the last row of an old version.
    fn tidy(&mut self) -> Result<(), StateError> {
        let checkpoints = self.shared.telemetry.progress().checkpoints_total;
        if checkpoints == self.checkpoints {
            return Ok(());
        }
        self.checkpoints = checkpoints;
        match self.host.tidy(&self.shared.store) {
            Err(EngineError::State(error)) => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Takes changed files in whose plugins say so. Each content is tried once.
    fn look_at_files(&mut self) -> Result<(), StateError> {
        let mut changed = Vec::new();
        for (place, watch) in &mut self.watches {
            if watch.has_changed(Stamp::of(&self.entries[*place].path)) {
                changed.push(*place);
            }
        }
        if changed.is_empty() {
            return Ok(());
        }
        let watches = &mut self.watches;
        let mut is_new = |place: usize, content: &str| {
            watches.iter_mut().find(|(at, _)| *at == place).is_none_or(|(_, watch)| watch.is_new(content))
        };
        // What cannot be read is told by the loading.
        let engine = self.host.engine.clone();
        changed.retain(|&place| {
            match engine.as_ref().map(|engine| engine.read(&self.in_force[place].spec)) {
                Some(Ok(file)) => is_new(place, file.hash()),
                Some(Err(error)) => is_new(place, &error.to_string()),
                None => false,
            }
        });
        if changed.is_empty() {
            return Ok(());
        }
        match self.reload(&changed, Way::Watch) {
            Ok(_) | Err(Stays::Over) => Ok(()),
            Err(stays) => match self.refused(stays) {
                PluginAnswer::Refused { reason, .. } => {
                    let message = format!("a changed plugin was not taken in: {reason}");
                    self.shared.store.add_error(now_ms(), &message)
                }
                PluginAnswer::Switched { .. }
                | PluginAnswer::Unchanged { .. }
                | PluginAnswer::Compared(_) => Ok(()),
            },
        }
    }

    fn reload_asked(&mut self, plugin: Option<&str>) -> Result<PluginAnswer, Stays> {
        if self.entries.is_empty() {
            return Err(Stays::Plugin("the pipeline that runs has no plugins".to_owned()));
        }
        let places = match plugin {
            None => (0..self.entries.len()).collect(),
            Some(plugin) => self.places_of(plugin)?,
        };
        self.reload(&places, Way::Reload)
    }

    /// Places of the plugins of this name, or of the one with this entry.
    fn places_of(&self, plugin: &str) -> Result<Vec<usize>, Stays> {
        let is_meant = |entry: &PluginEntry| entry.plugin.name() == plugin || &*entry.key == plugin;
        let found = self.in_force.iter().enumerate().filter(|(_, entry)| is_meant(entry));
        let places: Vec<usize> = found.map(|(place, _)| place).collect();
        if places.is_empty() {
            let known: Vec<_> = self
                .in_force
                .iter()
                .map(|entry| format!("`{}` ({})", entry.plugin.name(), entry.key))
                .collect();
            return Err(Stays::Plugin(format!("there is no plugin `{plugin}`: {}", known.join(", "))));
        }
        Ok(places)
    }

    fn pair(&self, place: usize, to: &Plugin) -> SwitchedPlugin {
        let old = &self.in_force[place];
        SwitchedPlugin {
            entry: old.key.to_string(),
            plugin: old.plugin.name().to_owned(),
            from: old.plugin.hash().to_owned(),
            to: to.hash().to_owned(),
        }
    }

    /// Loads a version of the plugin at a place, from this file.
    fn load(&self, place: usize, spec: &PluginSpec) -> Result<Loaded, Stays> {
        let engine = self.host.engine.as_ref().ok_or(Stays::Over)?;
        let file = engine.read(spec).map_err(EngineError::from)?;
        // It goes by the name of the plugin that it is a version of.
        let named = self.in_force[place].spec.clone();
        let plugin = engine.load_file(&named, &file).map_err(EngineError::from)?;
        // One that no table needs now is started all the same: its configuration must be one that it takes.
        drop(plugin.instantiate().map_err(EngineError::from)?);
        let key = Arc::clone(&self.in_force[place].key);
        let entry = Arc::new(entry_of(key, &self.entries[place], named, plugin, file.hash()));
        Ok(Loaded { place, file, entry })
    }

    fn reload(&mut self, places: &[usize], way: Way) -> Result<PluginAnswer, Stays> {
        let mut new = Vec::new();
        let mut pairs = Vec::new();
        for &place in places {
            let loaded = self.load(place, &self.in_force[place].spec)?;
            pairs.push(self.pair(place, &loaded.entry.plugin));
            if loaded.entry.plugin.hash() != self.in_force[place].plugin.hash() {
                new.push(loaded);
            }
        }
        if new.is_empty() {
            return Ok(PluginAnswer::Unchanged { plugins: pairs });
        }
        pairs.retain(|pair| pair.from != pair.to);
        for _ in 0..PLANNINGS {
            let (switch, tables) = self.prepare(&new, way)?;
            for loaded in &new {
                self.host.modules.keep(&loaded.file).map_err(EngineError::from)?;
            }
            let list = Arc::clone(&switch.planner.plugins);
            match self.switch(switch)? {
                Switched::At(position) => {
                    self.in_force = list;
                    return Ok(PluginAnswer::Switched {
                        plugins: pairs,
                        position: position.to_string(),
                        tables,
                    });
                }
                Switched::Stale => {}
                Switched::Refused(reason) => return Err(Stays::Plugin(reason)),
            }
        }
        Err(Stays::Plugin(
            "the tables change too fast to plan for them; try again when it is quieter".to_owned(),
        ))
    }

    /// Plans new versions for where the stream stands, and checks what follows for the sink.
    fn prepare(&self, new: &[Loaded], way: Way) -> Result<(Box<Switch>, Vec<TableDifference>), Stays> {
        let scene = self.scene()?;
        let entries: Vec<_> = new.iter().map(|loaded| (loaded.place, Arc::clone(&loaded.entry))).collect();
        let (planner, planned) = plan_with(&scene, &entries)?;
        let found = check::differences(&scene, &planned);
        self.runtime.block_on(check::sink_takes(&self.shared, scene.owners, &planned))?;
        let switch = Switch { way, entries, planner, planned, changes: scene.changes };
        Ok((Box::new(switch), found))
    }

    fn scene(&self) -> Result<Scene, Stays> {
        let (reply, answer) = bounded(1);
        self.asks.send(Ask::Scene { reply }).map_err(|_| Stays::Over)?;
        // It ends with the coordinator, which lets go of the question.
        answer.recv().map_err(|_| Stays::Over)
    }

    fn switch(&self, switch: Box<Switch>) -> Result<Switched, Stays> {
        let (reply, answer) = bounded(1);
        self.asks.send(Ask::Switch { switch, reply }).map_err(|_| Stays::Over)?;
        answer.recv().map_err(|_| Stays::Over)
    }

    /// Runs a module beside a plugin until enough rows were compared, the time is over, or nobody waits for the answer.
    fn compare(
        &self,
        request: u64,
        plugin: &str,
        module: &Path,
        rows: u64,
        until: Instant,
        stopped: &Receiver<()>,
    ) -> Result<PluginAnswer, Stays> {
        let places = self.places_of(plugin)?;
        let [place] = places[..] else {
            let entries: Vec<_> =
                places.iter().map(|&place| format!("`{}`", self.in_force[place].key)).collect();
            let reason = format!(
                "several plugins are called `{plugin}`; name one of them by its entry: {}",
                entries.join(", ")
            );
            return Err(Stays::Plugin(reason));
        };
        let spec = PluginSpec { path: module.to_owned(), sha256: None, ..self.in_force[place].spec.clone() };
        let new = self.load(place, &spec)?;
        let scene = self.scene()?;
        let old = Arc::clone(&scene.planner.plugins[place]);
        let planned = plan_with(&scene, &[(place, Arc::clone(&new.entry))])?.1;
        let tables = check::differences(&scene, &planned);
        let before = plan_with(&scene, &[(place, Arc::clone(&old))])?.1;
        let plans = pair_plans(place, &before, &planned);
        if sees_order(place, &before) || sees_order(place, &planned) {
            let reason = "what it makes of a row depends on the rows before it (it, or a plugin before it, keeps state), so two versions \
                          cannot be compared on some";
            return Err(Stays::Plugin(reason.to_owned()));
        }
        let canary = Arc::new(Canary::new(place, (old, Arc::clone(&new.entry)), plans, rows));
        let began = Instant::now();
        self.asks.send(Ask::Canary(Some(Arc::clone(&canary)))).map_err(|_| Stays::Over)?;
        let ended = self.watch_over(&canary, request, until, stopped);
        let counted = canary.end();
        self.asks.send(Ask::Canary(None)).map_err(|_| Stays::Over)?;
        ended?;
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let plugin = self.pair(place, &new.entry.plugin);
        tracing::info!(
            plugin = plugin.plugin,
            beside = plugin.to,
            rows = canary.compared(),
            "plugin versions compared"
        );
        Ok(PluginAnswer::Compared(Comparison { plugin, took_ms, tables, rows: counted }))
    }

    fn watch_over(
        &self,
        canary: &Canary,
        request: u64,
        until: Instant,
        stopped: &Receiver<()>,
    ) -> Result<(), Stays> {
        while !canary.is_over() && Instant::now() < until {
            if stopped.recv_timeout(ASK) != Err(RecvTimeoutError::Timeout) {
                return Err(Stays::Over);
            }
            if !self.shared.store.is_asked(request).map_err(EngineError::from)? {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Plans every table that these versions concern; a table that a version has no plan for is an error.
fn plan_with(
    scene: &Scene,
    entries: &[(usize, Arc<PluginEntry>)],
) -> Result<(Planner, PlannedTables), EngineError> {
    let list = replaced(&scene.planner.plugins, entries);
    let mut planner = scene.planner.with(list).be_strict();
    let places: HashSet<usize> = entries.iter().map(|(place, _)| *place).collect();
    let planned = plan_concerned(&mut planner, &scene.schemas, &places)?;
    Ok((planner, planned))
}

/// Whether a plugin's rows go through it in the order of each target, where nothing runs beside it.
fn sees_order(place: usize, planned: &PlannedTables) -> bool {
    let is_at = |stage: &Stage| matches!(stage, Stage::Guest { plugin, .. } if *plugin == place);
    planned.iter().any(|(schema, planned)| {
        let first = first_ordered(schema, &planned.stages);
        planned.stages[first..].iter().any(is_at)
    })
}

/// The plans of two versions of the plugin at a place, by the table as they are given it.
fn pair_plans(
    place: usize,
    old: &PlannedTables,
    new: &PlannedTables,
) -> HashMap<TableId, (Arc<TablePlan>, Arc<TablePlan>)> {
    let plan_at = |planned: &Planned| {
        planned.stages.iter().find_map(|stage| match stage {
            Stage::Guest { plugin, plan } if *plugin == place => Some(Arc::clone(plan)),
            Stage::Guest { .. } | Stage::Expressions { .. } => None,
        })
    };
    let both = old.iter().zip(new).filter_map(|((_, old), (_, new))| Some((plan_at(old)?, plan_at(new)?)));
    both.map(|(old, new)| (old.input.id.clone(), (old, new))).collect()
}
