//! What is done with the rows of each source table: guests, expressions, images, sink tables.
//!
//! Planned once for each table and schema version by the coordinator's own plugin instances. The first entry that means the table
//! counts. Its guests come first, then its expressions, which see what the guests make; a plan can rename the table, and routes match
//! the name after it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sluicebox_expression::{RulePlan, Settings};
use sluicebox_maxcompute::TableName;
use sluicebox_model::{SchemaChange, TableId, TableSchema};
use sluicebox_mysql::Images;
use sluicebox_wasm::{Action, Instance, Plugin, PluginSpec, Source, TablePlan, WasmError};

use super::error_budget::ErrorBudget;
use crate::config::{ExpressionConfig, OnError, OnSchemaError};
use crate::error::EngineError;
use crate::pattern::TablePatterns;
use crate::route::{RouteRule, Routes, SinkName};
use crate::sink::shape::SourceColumn;

/// A plugin of the pipeline file, in one of its versions.
pub(crate) struct PluginEntry {
    /// Its place in the file: `transform[0].plugin[0]`.
    pub key: Arc<str>,
    /// How it is loaded, with the lookup tables that all its versions share.
    pub spec: PluginSpec,
    pub plugin: Plugin,
    /// SHA-256 of the file that it was loaded from.
    pub file_sha256: Arc<str>,
    /// The name of its file in the pipeline file, without its ending: names what it remembers, whatever its version.
    pub memory: Arc<str>,
    pub on_error: OnError,
    pub on_schema_error: OnSchemaError,
    pub budget: ErrorBudget,
}

/// The plugins of the pipeline file in the versions that are in force, in the file's order.
pub(crate) type PluginList = Arc<Vec<Arc<PluginEntry>>>;

/// One `transform` entry: which tables, which plugins in order, which expressions.
pub(crate) struct TransformEntry {
    pub tables: TablePatterns,
    /// Places in the planner's list.
    pub plugins: Vec<usize>,
    pub expressions: Option<ExpressionConfig>,
    /// Properties that the sink table is made with.
    pub options: Arc<[(String, String)]>,
}

/// What is done with a table's rows at one schema version.
pub(crate) struct TableRun {
    /// Columns at the source.
    pub schema: Arc<TableSchema>,
    /// Guests and expressions, in order.
    pub stages: Vec<Stage>,
    /// The first of them that must see rows in the order of each target; their number when workers may run all of them.
    pub ordered: usize,
    /// Whether columns that the table gets or loses reach the sink: not behind a projection that lists its columns.
    pub follows_columns: bool,
    /// Which row images are decoded.
    pub images: Images,
    /// Places in the coordinator's list of targets; empty when the rows are discarded.
    pub targets: Vec<usize>,
}

impl TableRun {
    /// Whether targets run stages themselves, because a plugin remembers something of each.
    pub fn is_ordered(&self) -> bool {
        self.ordered < self.stages.len()
    }

    /// Changes of the source that concern its sink tables.
    pub fn passed_on(&self, changes: &[SchemaChange]) -> Vec<SchemaChange> {
        let of_columns = |change: &SchemaChange| {
            matches!(
                change,
                SchemaChange::AddColumns(_)
                    | SchemaChange::RenameColumn { .. }
                    | SchemaChange::DropColumns(_)
            )
        };
        changes.iter().filter(|change| self.follows_columns || !of_columns(change)).cloned().collect()
    }
}

/// One step on the way of a table's rows.
pub(crate) enum Stage {
    /// A guest's part.
    Guest {
        /// Place in the list of plugins.
        plugin: usize,
        plan: Arc<TablePlan>,
    },
    /// An entry's expressions.
    Expressions {
        plan: Arc<RulePlan>,
        on_error: OnError,
        /// The entry, as messages name it.
        entry: Arc<str>,
    },
}

impl Stage {
    /// Whether it makes several rows of one.
    pub fn expands(&self) -> bool {
        matches!(self, Self::Guest { plan, .. } if plan.expands)
    }

    /// Whether every update must come with its row before.
    pub fn needs_before(&self) -> bool {
        match self {
            Self::Guest { plan, .. } => plan.needs_before(),
            Self::Expressions { plan, .. } => plan.needs_before(),
        }
    }
}

/// The schema that every project with schemas has.
const DEFAULT_SCHEMA: &str = "default";

/// How a name of one to three parts becomes that of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placement {
    /// The project has no schemas: the last part is the table, the others do not count.
    TablesOnly,
    /// Of two parts the first is the schema, of three the first of them.
    Database,
    /// As Flink CDC does it: of three parts the first is the schema; everything else lands in the default one.
    Namespace,
}

/// What the pipeline file says about tables, beside its plugins.
pub(crate) struct Rules {
    pub transforms: Vec<TransformEntry>,
    pub routes: Routes,
    /// How names become those of tables.
    pub placement: Placement,
    /// Settings of all expressions.
    pub settings: Arc<Settings>,
}

/// Plans tables.
pub(crate) struct Planner {
    pub plugins: PluginList,
    pub rules: Arc<Rules>,
    instances: Vec<Option<Instance>>,
    /// The next plan's number. Planners of one run share it: an instance outlives the planner of its time.
    ids: Arc<AtomicU32>,
    /// The numbers of each table's plans, by plugin; they are forgotten when it is planned anew.
    known: HashMap<TableId, Vec<(usize, u32)>>,
    /// Tables that a plugin has no plan for and whose rows pass without it.
    passing: HashSet<(usize, TableId)>,
    /// If set, a plugin may have no plan only for these.
    may_pass: Option<HashSet<(usize, TableId)>>,
}

/// A table's plan before its targets exist.
pub(crate) struct Planned {
    pub stages: Vec<Stage>,
    pub output: Arc<TableSchema>,
    /// Whether columns that the table gets or loses reach the sink.
    pub follows_columns: bool,
    pub images: Images,
    /// Where the rows land; empty when they are discarded.
    pub sinks: Vec<Landing>,
}

/// Tables with their plans.
pub(crate) type PlannedTables = Vec<(Arc<TableSchema>, Planned)>;

/// A sink table of a table.
#[derive(Debug, Clone)]
pub(crate) struct Landing {
    pub name: TableName,
    /// Whether a route named it.
    pub routed: bool,
    /// The column that the route adds.
    pub added: Option<SourceColumn>,
    /// Columns that partition it.
    pub partition_keys: Vec<Arc<str>>,
    /// Whether rows of other sources may overwrite each other there, as the route says.
    pub last_wins: bool,
    /// Properties that the table is made with.
    pub options: Arc<[(String, String)]>,
}

impl Planner {
    pub fn new(plugins: PluginList, rules: Arc<Rules>) -> Self {
        let instances = plugins.iter().map(|_| None).collect();
        Self {
            plugins,
            rules,
            instances,
            ids: Arc::new(AtomicU32::new(1)),
            known: HashMap::new(),
            passing: HashSet::new(),
            may_pass: None,
        }
    }

    /// A planner of the same run for other versions of its plugins, with instances of its own.
    pub fn with(&self, plugins: PluginList) -> Self {
        let ids = Arc::clone(&self.ids);
        Self { ids, passing: self.passing.clone(), ..Self::new(plugins, Arc::clone(&self.rules)) }
    }

    /// From here on, a table that passes without a plugin is an error, but for those that do so already: a new version must not let rows
    /// through that the old one masks.
    pub fn be_strict(mut self) -> Self {
        self.may_pass = Some(self.passing.clone());
        self
    }

    /// The opposite: what the pipeline file says is in force again.
    pub fn be_lenient(mut self) -> Self {
        self.may_pass = None;
        self
    }

    /// Places of the plugins that rows of a table go through.
    pub fn chain_of(&self, table: &TableId) -> &[usize] {
        let entry = self.rules.transforms.iter().find(|t| t.tables.matches(table));
        entry.map_or(&[], |entry| &entry.plugins)
    }

    /// Plans one table at one schema version.
    pub fn plan(&mut self, schema: &Arc<TableSchema>) -> Result<Planned, EngineError> {
        let entry = self.rules.transforms.iter().position(|t| t.tables.matches(&schema.id));
        let chain = entry.map(|entry| self.rules.transforms[entry].plugins.clone()).unwrap_or_default();
        let mut planned = Planned {
            stages: Vec::new(),
            output: Arc::clone(schema),
            follows_columns: true,
            images: Images::Effective,
            sinks: Vec::new(),
        };
        self.forget(&schema.id);
        for plugin in chain {
            let plan = match self.ask(plugin, &planned.output) {
                Err(EngineError::Guest(error @ WasmError::Plan { .. }))
                    if self.lets_pass(plugin, &schema.id) =>
                {
                    self.passing.insert((plugin, schema.id.clone()));
                    let plugin = self.plugins[plugin].plugin.name();
                    tracing::warn!(table = %schema.id, plugin, %error, "rows pass without the plugin");
                    continue;
                }
                plan => plan?,
            };
            self.passing.remove(&(plugin, schema.id.clone()));
            self.known.entry(schema.id.clone()).or_default().push((plugin, plan.id));
            planned.output = Arc::clone(&plan.output);
            if plan.action == Action::Discard {
                return Ok(Planned { stages: Vec::new(), ..planned });
            }
            planned.stages.push(Stage::Guest { plugin, plan });
        }
        let partition_keys = match entry {
            Some(entry) => self.express(entry, &mut planned)?,
            None => Vec::new(),
        };
        let options =
            entry.map(|entry| Arc::clone(&self.rules.transforms[entry].options)).unwrap_or_default();
        planned.sinks = self.sinks(&schema.id, &planned.output.id, &partition_keys, &options)?;
        // A row can leave its partition with the key that it has.
        let moves = planned.sinks.iter().any(|landing| !landing.partition_keys.is_empty());
        let needed = planned.stages.iter().any(Stage::needs_before) || hands_on_computed(&planned.stages);
        if moves || needed {
            planned.images = Images::Both;
        }
        Ok(planned)
    }

    /// Whether plugins take a table's key away. A table that cannot be planned is told where it is needed.
    pub fn takes_key(&mut self, schema: &TableSchema) -> bool {
        !self.chain_of(&schema.id).is_empty()
            && self.plan(&Arc::new(schema.clone())).is_ok_and(|planned| planned.output.key.is_empty())
    }

    /// Whether rows of a table may pass without a plugin that has no plan for it.
    fn lets_pass(&self, plugin: usize, table: &TableId) -> bool {
        let known = |pass: &HashSet<(usize, TableId)>| pass.contains(&(plugin, table.clone()));
        self.plugins[plugin].on_schema_error == OnSchemaError::Pass
            && self.may_pass.as_ref().is_none_or(known)
    }

    /// Tells plugins that a table's plans count no more.
    fn forget(&mut self, table: &TableId) {
        for (plugin, id) in self.known.remove(table).unwrap_or_default() {
            if let Some(instance) = &mut self.instances[plugin] {
                instance.forget(id);
            }
        }
    }

    /// Adds the expressions of an entry; gives the columns by which it partitions its sink tables.
    fn express(&self, entry: usize, planned: &mut Planned) -> Result<Vec<Arc<str>>, EngineError> {
        let Some(expressions) = &self.rules.transforms[entry].expressions else { return Ok(Vec::new()) };
        let plan =
            expressions.rule.plan(&planned.output, &self.rules.settings).map_err(|(part, error)| {
                let fault = expressions.written.fault(part, &error);
                EngineError::Plan(format!("{fault} (table `{}`)", planned.output.id))
            })?;
        planned.output = Arc::clone(&plan.output);
        planned.follows_columns = expressions.rule.follows_columns();
        let partition_keys = plan.partition_keys.clone();
        planned.stages.push(Stage::Expressions {
            plan: Arc::new(plan),
            on_error: expressions.on_error,
            entry: expressions.written.path().into(),
        });
        Ok(partition_keys)
    }

    fn ask(&mut self, plugin: usize, input: &Arc<TableSchema>) -> Result<Arc<TablePlan>, EngineError> {
        let slot = &mut self.instances[plugin];
        let instance = match slot {
            Some(instance) => instance,
            None => slot.insert(self.plugins[plugin].plugin.instantiate()?),
        };
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        Ok(instance.plan(id, input)?)
    }

    /// Where rows of `source` land, under the name `table` that the guests gave it. Partition columns of the route count before
    /// those of the transform.
    fn sinks(
        &self,
        source: &TableId,
        table: &TableId,
        partition_keys: &[Arc<str>],
        options: &Arc<[(String, String)]>,
    ) -> Result<Vec<Landing>, EngineError> {
        let targets =
            self.rules.routes.targets(table).map_err(|error| EngineError::Plan(error.to_string()))?;
        let landing = |(name, rule): (SinkName, Option<&RouteRule>)| Landing {
            name: self.place_routed(&name, table),
            routed: rule.is_some(),
            added: rule
                .and_then(|rule| rule.merge.source_column.clone())
                .map(|name| SourceColumn { name, value: source.to_string().into() }),
            partition_keys: rule
                .map(|rule| rule.merge.partition_keys.clone())
                .filter(|keys| !keys.is_empty())
                .unwrap_or_else(|| partition_keys.to_vec()),
            last_wins: rule.is_some_and(|rule| rule.merge.last_wins),
            options: Arc::clone(options),
        };
        Ok(targets.into_iter().map(landing).collect())
    }

    fn place_routed(&self, name: &SinkName, table: &TableId) -> TableName {
        let database = name.database().unwrap_or(&table.database);
        let schema = match self.rules.placement {
            Placement::TablesOnly => None,
            Placement::Database => Some(name.namespace().unwrap_or(database)),
            Placement::Namespace => Some(name.namespace().unwrap_or(DEFAULT_SCHEMA)),
        };
        TableName { schema: schema.map(str::to_ascii_lowercase), name: name.table().to_ascii_lowercase() }
    }
}

/// Names what the plugin at this place remembers: a second plugin of one name in the pipeline file has a memory of its own.
pub(crate) fn memory_name(plugins: &[Arc<PluginEntry>], place: usize) -> String {
    let name = &plugins[place].memory;
    match plugins[..place].iter().filter(|entry| entry.memory == *name).count() {
        0 => name.to_string(),
        before => format!("{name}#{}", before + 1),
    }
}

/// The first stage that must see rows in order: that of the first plugin with state. Where the stages before it take the key away, the
/// first of all: rows of a snapshot are told from those of the stream by it, before a plugin remembers them.
pub(crate) fn first_ordered(schema: &TableSchema, stages: &[Stage]) -> usize {
    let stateful = |stage: &Stage| matches!(stage, Stage::Guest { plan, .. } if plan.stateful);
    match stages.iter().position(stateful) {
        None => stages.len(),
        Some(first) => match &stages[first] {
            Stage::Guest { plan, .. } if plan.input.key.is_empty() && !schema.key.is_empty() => 0,
            Stage::Guest { .. } | Stage::Expressions { .. } => first,
        },
    }
}

/// Whether a guest or the expressions are given what a guest has computed. A row after that comes alone and that the first one drops becomes a delete,
/// whose computed columns hold nothing that means anything: the next stage must not judge by them. With the row before at hand the
/// delete is that row, computed like any other.
fn hands_on_computed(stages: &[Stage]) -> bool {
    let computes = |stage: &Stage| match stage {
        Stage::Guest { plan, .. } => plan.sources.contains(&Source::Computed),
        Stage::Expressions { .. } => false,
    };
    let judges = |stage: &Stage| match stage {
        Stage::Guest { plan, .. } => plan.action == Action::Process,
        Stage::Expressions { .. } => true,
    };
    let first = stages.iter().position(computes);
    first.is_some_and(|first| stages[first + 1..].iter().any(judges))
}
