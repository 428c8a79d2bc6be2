//! What a pipeline would do: both ends asked, nothing changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use sluicebox_maxcompute::{Client, TableName};
use sluicebox_model::{TableId, TableSchema};
use sluicebox_wasm::{Action, Source as ColumnSource, TablePlan};

use crate::config::PipelineConfig;
use crate::error::EngineError;
use crate::pipeline::{Planner, planner, project, sink_client, source, table_settings};
use crate::sink::encode::Fit;
use crate::sink::mapping::data_type;
use crate::sink::table::{TableSettings, columns_of, create_statement, step_statement, unfit};

/// Everything that `validate --connect` shows.
#[derive(Debug, Clone, Serialize)]
pub struct Examination {
    /// The source's version, in its own words.
    pub server: String,
    /// The sink's project, and whether it has schemas.
    pub project: String,
    /// Whether the project has schemas.
    pub project_has_schemas: bool,
    /// What the source's settings and grants lack.
    pub findings: Vec<FindingReport>,
    /// What would be done with each table.
    pub tables: Vec<TableReport>,
    /// What does not fit together; empty when the pipeline would start.
    pub problems: Vec<String>,
}

/// One finding of the preflight checks.
#[derive(Debug, Clone, Serialize)]
pub struct FindingReport {
    /// Whether the pipeline would refuse to start.
    pub refuses: bool,
    /// What was checked.
    pub check: String,
    /// What was found.
    pub found: String,
    /// The grant or setting to change.
    pub fix: String,
}

/// What would be done with one table.
#[derive(Debug, Clone, Serialize)]
pub struct TableReport {
    /// The table at the source.
    pub table: String,
    /// What each plugin does with it, in order.
    pub guests: Vec<String>,
    /// Columns as they reach the sink: name, type at the source, type at the sink.
    pub columns: Vec<[String; 3]>,
    /// The key, in order; empty without one.
    pub key: Vec<String>,
    /// Where its rows go; empty when a plugin discards them.
    pub sinks: Vec<SinkReport>,
}

/// One sink table of a table.
#[derive(Debug, Clone, Serialize)]
pub struct SinkReport {
    /// The sink table.
    pub table: String,
    /// `create`, `keep`, `change` or `refuse`.
    pub action: String,
    /// Why it is refused.
    pub reason: Option<String>,
    /// Statements that would be run.
    pub statements: Vec<String>,
}

/// Asks both ends and plans. Changes nothing.
pub async fn examine(config: &PipelineConfig) -> Result<Examination, EngineError> {
    let client = sink_client(config)?;
    let project = project(&client).await?;
    let mut planner = planner(config, project.has_schemas(), None)?;
    let mut source = source(config).await?;
    let tables = source.tables(config).await?;
    let schemas = source.read_schemas(config, &tables).await?;
    let (findings, _) = source.findings(config, &schemas).await?;
    let settings = table_settings(config, &project);
    let mut examination = Examination {
        server: source.server.version_text.clone(),
        project: project.name.clone(),
        project_has_schemas: project.has_schemas(),
        findings: findings.iter().map(report_finding).collect(),
        tables: Vec::new(),
        problems: Vec::new(),
    };
    let mut owners: BTreeMap<TableName, Vec<(TableId, bool)>> = BTreeMap::new();
    for schema in schemas {
        let schema = Arc::new(schema);
        match examine_table(&client, &mut planner, &settings, &schema, &mut owners).await {
            Ok(table) => {
                let refused = table
                    .sinks
                    .iter()
                    .filter_map(|s| s.reason.as_ref().map(|r| format!("`{}`: {r}", s.table)));
                examination.problems.extend(refused);
                examination.tables.push(table);
            }
            Err(error @ (EngineError::Guest(_) | EngineError::Plan(_))) => {
                examination.problems.push(error.to_string())
            }
            Err(error) => return Err(error),
        }
    }
    examination.problems.extend(collisions(&owners));
    let refusing = findings.iter().filter(|f| f.severity == sluicebox_mysql::Severity::Refuse);
    examination.problems.extend(refusing.map(|f| format!("{} ({}): {}", f.check, f.found, f.fix)));
    source.control.close().await;
    Ok(examination)
}

fn report_finding(finding: &sluicebox_mysql::Finding) -> FindingReport {
    FindingReport {
        refuses: finding.severity == sluicebox_mysql::Severity::Refuse,
        check: finding.check.to_string(),
        found: finding.found.clone(),
        fix: finding.fix.clone(),
    }
}

/// Tables that would be written to one sink table although no route says so.
fn collisions(owners: &BTreeMap<TableName, Vec<(TableId, bool)>>) -> Vec<String> {
    let accident = |(_, tables): &(&TableName, &Vec<(TableId, bool)>)| {
        tables.len() > 1 && tables.iter().any(|(_, routed)| !routed)
    };
    let words = |(name, tables): (&TableName, &Vec<(TableId, bool)>)| {
        let tables: Vec<_> = tables.iter().map(|(t, _)| format!("`{t}`")).collect();
        format!(
            "{} would all be written to `{name}`; give each its own sink table with a route",
            tables.join(" and ")
        )
    };
    owners.iter().filter(accident).map(words).collect()
}

async fn examine_table(
    client: &Client,
    planner: &mut Planner,
    settings: &TableSettings,
    schema: &Arc<TableSchema>,
    owners: &mut BTreeMap<TableName, Vec<(TableId, bool)>>,
) -> Result<TableReport, EngineError> {
    let planned = planner.plan(schema)?;
    let output = &planned.output;
    let mut guests = Vec::new();
    for stage in &planned.stages {
        guests.push(format!(
            "{}: {}",
            planner.plugins[stage.plugin].plugin.name(),
            describe_plan(&stage.plan)
        ));
    }
    if planned.sinks.is_empty() {
        guests.push("discards every row".into());
    }
    let mut sinks = Vec::new();
    for (name, routed) in &planned.sinks {
        owners.entry(name.clone()).or_default().push((schema.id.clone(), *routed));
        sinks.push(examine_sink(client, settings, name, output).await?);
    }
    let declared = |name: &str| {
        let column = schema.index_of(name).map(|at| schema.columns[at].source_type.to_string());
        column.unwrap_or_else(|| "(made by a plugin)".into())
    };
    let column = |c: &sluicebox_model::Column| {
        let declared = if c.source_type.is_empty() { declared(&c.name) } else { c.source_type.to_string() };
        [c.name.to_string(), declared, data_type(c.column_type).to_string()]
    };
    Ok(TableReport {
        table: schema.id.to_string(),
        guests,
        columns: output.columns.iter().map(column).collect(),
        key: output.key_columns().map(|c| c.name.to_string()).collect(),
        sinks,
    })
}

/// A guest's plan in words.
fn describe_plan(plan: &TablePlan) -> String {
    let mut words = Vec::new();
    if plan.input.id != plan.output.id {
        words.push(format!("renames the table to `{}`", plan.output.id.table));
    }
    let mut kept = vec![false; plan.input.columns.len()];
    for (column, source) in plan.output.columns.iter().zip(&plan.sources) {
        match source {
            ColumnSource::Input(place) => {
                kept[*place] = true;
                let old = &plan.input.columns[*place].name;
                if *old != column.name {
                    words.push(format!("renames `{old}` to `{}`", column.name));
                }
            }
            ColumnSource::Computed => {
                if let Some(place) = plan.input.index_of(&column.name) {
                    kept[place] = true;
                }
                words.push(format!("computes `{}` as {}", column.name, column.column_type));
            }
        }
    }
    let gone: Vec<_> = plan
        .input
        .columns
        .iter()
        .zip(&kept)
        .filter(|(_, kept)| !**kept)
        .map(|(c, _)| format!("`{}`", c.name))
        .collect();
    if !gone.is_empty() {
        words.push(format!("leaves out {}", gone.join(", ")));
    }
    match plan.action {
        Action::Pass if words.is_empty() => words.push("passes rows on unchanged".into()),
        Action::Process => words.push("looks at every row".into()),
        Action::Pass | Action::Discard => {}
    }
    words.join(", ")
}

async fn examine_sink(
    client: &Client,
    settings: &TableSettings,
    name: &TableName,
    schema: &Arc<TableSchema>,
) -> Result<SinkReport, EngineError> {
    let there = client.describe(name).await.map_err(EngineError::sink(format!("describing `{name}`")))?;
    let report = |action: &str, reason: Option<String>, statements: Vec<String>| SinkReport {
        table: name.to_string(),
        action: action.to_owned(),
        reason,
        statements,
    };
    let Some(there) = there else {
        let sql = create_statement(client.project_name(), name, schema, settings.buckets);
        return Ok(report("create", None, vec![sql]));
    };
    if let Some(reason) = unfit(&there, schema) {
        return Ok(report("refuse", Some(reason), Vec::new()));
    }
    let columns = columns_of(&there);
    match settings.policy.plan(&[], Some(schema), &columns) {
        Err(refused) => Ok(report("refuse", Some(refused.0), Vec::new())),
        Ok(steps) if steps.is_empty() => {
            let fit = Fit::new(schema, &columns, &there.primary_key, false);
            Ok(match fit {
                Ok(_) => report("keep", None, Vec::new()),
                Err(reason) => report("refuse", Some(reason), Vec::new()),
            })
        }
        Ok(steps) => {
            let statements =
                steps.iter().map(|step| step_statement(client.project_name(), name, step)).collect();
            Ok(report("change", None, statements))
        }
    }
}
