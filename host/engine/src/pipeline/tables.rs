//! What is done with the rows of each source table: guests, images, sink tables.
//!
//! Planned once for each table and schema version by the coordinator's own plugin instances. The guests come first, as a plan
//! can rename the table, and routes match the name after it.

use std::sync::Arc;

use sluicebox_maxcompute::TableName;
use sluicebox_model::{TableId, TableSchema};
use sluicebox_mysql::Images;
use sluicebox_wasm::{Action, Instance, Plugin, TablePlan};

use crate::config::OnError;
use crate::error::EngineError;
use crate::pattern::TablePatterns;
use crate::route::{Routes, SinkName};

/// A plugin of the pipeline file.
pub(crate) struct PluginEntry {
    pub plugin: Plugin,
    pub on_error: OnError,
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
    /// Columns behind the guests.
    pub output: Arc<TableSchema>,
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

/// Plans tables.
pub(crate) struct Planner {
    pub plugins: Arc<Vec<PluginEntry>>,
    pub transforms: Vec<TransformEntry>,
    pub routes: Routes,
    /// Whether the project has schemas, so that a database becomes one.
    pub schemas: bool,
    instances: Vec<Option<Instance>>,
    next_plan: u32,
}

/// A table's plan before its targets exist.
pub(crate) struct Planned {
    pub stages: Vec<Stage>,
    pub output: Arc<TableSchema>,
    pub images: Images,
    /// Sink tables, and whether a route named them; empty when the rows are discarded.
    pub sinks: Vec<(TableName, bool)>,
}

impl Planner {
    pub fn new(
        plugins: Arc<Vec<PluginEntry>>,
        transforms: Vec<TransformEntry>,
        routes: Routes,
        schemas: bool,
    ) -> Self {
        let instances = plugins.iter().map(|_| None).collect();
        Self { plugins, transforms, routes, schemas, instances, next_plan: 1 }
    }

    /// Plans one table at one schema version.
    pub fn plan(&mut self, schema: &Arc<TableSchema>) -> Result<Planned, EngineError> {
        let chain = self.transforms.iter().find(|t| t.tables.matches(&schema.id)).map(|t| t.plugins.clone());
        let mut stages = Vec::new();
        let mut output = Arc::clone(schema);
        for plugin in chain.unwrap_or_default() {
            let plan = self.ask(plugin, &output)?;
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
        let images =
            if stages.iter().any(|s| s.plan.needs_before()) { Images::Both } else { Images::Effective };
        let sinks = self.sinks(&output.id)?;
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

    /// Where rows of a table land, and whether a route says so.
    pub fn sinks(&self, table: &TableId) -> Result<Vec<(TableName, bool)>, EngineError> {
        let names = self.routes.targets(table).map_err(|error| EngineError::Plan(error.to_string()))?;
        let routed = self.routes.rules.iter().any(|rule| rule.target(table).is_some());
        Ok(names.iter().map(|name| (self.place_routed(name, table), routed)).collect())
    }

    fn place_routed(&self, name: &SinkName, table: &TableId) -> TableName {
        self.place(name.namespace(), name.database().unwrap_or(&table.database), name.table())
    }

    /// In a project with schemas a two-part name's first part is the schema, a three-part name's the first of three; a
    /// project without schemas has tables only.
    fn place(&self, namespace: Option<&str>, database: &str, table: &str) -> TableName {
        let schema = self.schemas.then(|| namespace.unwrap_or(database).to_ascii_lowercase());
        TableName { schema, name: table.to_ascii_lowercase() }
    }
}
