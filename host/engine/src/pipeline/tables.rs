//! What is done with the rows of each source table: guests, images, sink tables.
//!
//! Planned once for each table and schema version by the coordinator's own plugin instances. The guests come first, as a plan
//! can rename the table, and routes match the name after it.

use std::sync::Arc;

use sluicebox_maxcompute::TableName;
use sluicebox_model::{TableId, TableSchema};
use sluicebox_mysql::Images;
use sluicebox_wasm::{Action, Instance, Plugin, TablePlan, WasmError};

use super::error_budget::ErrorBudget;
use crate::config::{OnError, OnSchemaError};
use crate::error::EngineError;
use crate::pattern::TablePatterns;
use crate::route::{RouteRule, Routes, SinkName};
use crate::sink::shape::SourceColumn;

/// A plugin of the pipeline file.
pub(crate) struct PluginEntry {
    pub plugin: Plugin,
    pub on_error: OnError,
    pub on_schema_error: OnSchemaError,
    pub budget: ErrorBudget,
}

/// One `transform` entry: which tables, which plugins in order.
pub(crate) struct TransformEntry {
    pub tables: TablePatterns,
    /// Places in the planner's list.
    pub plugins: Vec<usize>,
}

/// What is done with a table's rows at one schema version.
pub(crate) struct TableRun {
    /// Columns at the source.
    pub schema: Arc<TableSchema>,
    /// The guests, in order.
    pub stages: Vec<Stage>,
    /// Which row images are decoded.
    pub images: Images,
    /// Places in the coordinator's list of targets; empty when the rows are discarded.
    pub targets: Vec<usize>,
}

/// One guest's part.
pub(crate) struct Stage {
    /// Place in the list of plugins.
    pub plugin: usize,
    pub plan: Arc<TablePlan>,
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

/// Plans tables.
pub(crate) struct Planner {
    pub plugins: Arc<Vec<PluginEntry>>,
    pub transforms: Vec<TransformEntry>,
    pub routes: Routes,
    /// How names become those of tables.
    pub placement: Placement,
    instances: Vec<Option<Instance>>,
    next_plan: u32,
}

/// A table's plan before its targets exist.
pub(crate) struct Planned {
    pub stages: Vec<Stage>,
    pub output: Arc<TableSchema>,
    pub images: Images,
    /// Where the rows land; empty when they are discarded.
    pub sinks: Vec<Landing>,
}

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
}

impl Planner {
    pub fn new(
        plugins: Arc<Vec<PluginEntry>>,
        transforms: Vec<TransformEntry>,
        routes: Routes,
        placement: Placement,
    ) -> Self {
        let instances = plugins.iter().map(|_| None).collect();
        Self { plugins, transforms, routes, placement, instances, next_plan: 1 }
    }

    /// Plans one table at one schema version.
    pub fn plan(&mut self, schema: &Arc<TableSchema>) -> Result<Planned, EngineError> {
        let chain = self.transforms.iter().find(|t| t.tables.matches(&schema.id)).map(|t| t.plugins.clone());
        let mut stages = Vec::new();
        let mut output = Arc::clone(schema);
        for plugin in chain.unwrap_or_default() {
            let plan = match self.ask(plugin, &output) {
                Err(EngineError::Guest(error @ WasmError::Plan { .. }))
                    if self.plugins[plugin].on_schema_error == OnSchemaError::Pass =>
                {
                    let plugin = self.plugins[plugin].plugin.name();
                    tracing::warn!(table = %schema.id, plugin, %error, "rows pass without the plugin");
                    continue;
                }
                plan => plan?,
            };
            output = Arc::clone(&plan.output);
            if plan.action == Action::Discard {
                return Ok(Planned {
                    stages: Vec::new(),
                    output,
                    images: Images::Effective,
                    sinks: Vec::new(),
                });
            }
            stages.push(Stage { plugin, plan });
        }
        let sinks = self.sinks(&schema.id, &output.id)?;
        // A row can leave its partition with the key that it has.
        let moves = sinks.iter().any(|landing| !landing.partition_keys.is_empty());
        let before = moves || stages.iter().any(|s| s.plan.needs_before());
        let images = if before { Images::Both } else { Images::Effective };
        Ok(Planned { stages, output, images, sinks })
    }

    fn ask(&mut self, plugin: usize, input: &Arc<TableSchema>) -> Result<Arc<TablePlan>, EngineError> {
        let slot = &mut self.instances[plugin];
        let instance = match slot {
            Some(instance) => instance,
            None => slot.insert(self.plugins[plugin].plugin.instantiate()?),
        };
        let id = self.next_plan;
        self.next_plan += 1;
        Ok(instance.plan(id, input)?)
    }

    /// Where rows of `source` land, under the name `table` that the guests gave it.
    fn sinks(&self, source: &TableId, table: &TableId) -> Result<Vec<Landing>, EngineError> {
        let targets = self.routes.targets(table).map_err(|error| EngineError::Plan(error.to_string()))?;
        let landing = |(name, rule): (SinkName, Option<&RouteRule>)| Landing {
            name: self.place_routed(&name, table),
            routed: rule.is_some(),
            added: rule
                .and_then(|rule| rule.merge.source_column.clone())
                .map(|name| SourceColumn { name, value: source.to_string().into() }),
            partition_keys: rule.map(|rule| rule.merge.partition_keys.clone()).unwrap_or_default(),
            last_wins: rule.is_some_and(|rule| rule.merge.last_wins),
        };
        Ok(targets.into_iter().map(landing).collect())
    }

    fn place_routed(&self, name: &SinkName, table: &TableId) -> TableName {
        let database = name.database().unwrap_or(&table.database);
        let schema = match self.placement {
            Placement::TablesOnly => None,
            Placement::Database => Some(name.namespace().unwrap_or(database)),
            Placement::Namespace => Some(name.namespace().unwrap_or(DEFAULT_SCHEMA)),
        };
        TableName { schema: schema.map(str::to_ascii_lowercase), name: name.table().to_ascii_lowercase() }
    }
}
