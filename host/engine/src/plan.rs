//! What a pipeline would do: both ends asked, nothing changed.

use std::sync::Arc;

use serde::Serialize;
use sluicebox_maxcompute::Client;
use sluicebox_model::TableSchema;
use sluicebox_wasm::{Action, Source as ColumnSource, TablePlan};

use crate::config::{PipelineConfig, SchemaChangeTag};
use crate::error::EngineError;
use crate::pipeline::{
    Landing, Owners, Planned, Planner, Stage, chunk_column, planner, project, sink_client, source,
    table_settings,
};
use crate::sink::encode::Layout;
use crate::sink::evolve::{Decision, Reconciled, Step};
use crate::sink::mapping::data_type;
use crate::sink::shape::Shape;
use crate::sink::table::{
    NOT_MADE, TableSettings, create_statement, fit_into, layout_after, layout_of, layout_to_make,
    step_statement, unfit,
};

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
    /// What starts, and is worth a second look.
    pub remarks: Vec<String>,
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
    /// What each plugin does with it, in order, and then the expressions.
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
    /// What becomes of each column of a table that exists.
    pub columns: Vec<ColumnReport>,
    /// Statements that would be run.
    pub statements: Vec<String>,
}

/// One column of a sink table that exists.
#[derive(Debug, Clone, Serialize)]
pub struct ColumnReport {
    /// Its name.
    pub column: String,
    /// `keep`, `add`, `widen`, `open` (let it take nulls) or `refuse`.
    pub action: &'static str,
    /// Its type at the sink; none before it is added.
    pub there: Option<String>,
    /// The type that rows want; none when they have no such column.
    pub wanted: Option<String>,
    /// Why it is refused, or what is lost of a column that is kept.
    pub reason: Option<String>,
}

/// Asks both ends and plans. Changes nothing.
pub async fn examine(config: &PipelineConfig) -> Result<Examination, EngineError> {
    let client = sink_client(config)?;
    let project = project(&client).await?;
    let mut planner = planner(config, &project, None)?;
    let mut source = source(config, None).await?;
    let tables = source.tables(config).await?;
    let schemas = source.read_schemas(config, &tables).await?;
    let (findings, _) = source.findings(config, &schemas, Some(&mut planner)).await?;
    let settings = table_settings(config, &project);
    let mut examination = Examination {
        server: source.server.version_text.clone(),
        project: project.name.clone(),
        project_has_schemas: project.has_schemas(),
        findings: findings.iter().map(report_finding).collect(),
        tables: Vec::new(),
        remarks: Vec::new(),
        problems: Vec::new(),
    };
    let schemas: Vec<_> = schemas.into_iter().map(Arc::new).collect();
    examination.problems.extend(schemas.iter().filter_map(|schema| chunk_column(config, schema).err()));
    let mut owners = Owners::default();
    let planned = plan_all(&mut planner, &schemas, &mut owners, &mut examination.problems)?;
    examination.problems.extend(owners.problems());
    examination.remarks = owners.conflicts();
    for (schema, planned) in planned {
        let table = examine_table(&client, &planner, &settings, &schema, &planned, &mut owners).await?;
        let refused =
            table.sinks.iter().filter_map(|s| s.reason.as_ref().map(|r| format!("`{}`: {r}", s.table)));
        examination.problems.extend(refused);
        examination.tables.push(table);
    }
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

/// Plans every table and enters it with its sink tables; what cannot be planned is a problem and left out.
fn plan_all(
    planner: &mut Planner,
    schemas: &[Arc<TableSchema>],
    owners: &mut Owners,
    problems: &mut Vec<String>,
) -> Result<Vec<(Arc<TableSchema>, Planned)>, EngineError> {
    let mut all = Vec::with_capacity(schemas.len());
    for schema in schemas {
        let planned = match planner.plan(schema) {
            Ok(planned) => planned,
            Err(error @ (EngineError::Guest(_) | EngineError::Plan(_))) => {
                problems.push(error.to_string());
                continue;
            }
            Err(error) => return Err(error),
        };
        match owners.put(&schema.id, &planned.output, &planned.sinks) {
            Ok(()) => all.push((Arc::clone(schema), planned)),
            Err(problem) => problems.push(problem),
        }
    }
    Ok(all)
}

async fn examine_table(
    client: &Client,
    planner: &Planner,
    settings: &TableSettings,
    schema: &Arc<TableSchema>,
    planned: &Planned,
    owners: &mut Owners,
) -> Result<TableReport, EngineError> {
    let output = &planned.output;
    let mut guests = Vec::new();
    for stage in &planned.stages {
        guests.push(match stage {
            Stage::Guest { plugin, plan } => {
                format!("plugin {}: {}", planner.plugins[*plugin].plugin.name(), describe_plan(plan))
            }
            Stage::Expressions { plan, entry, .. } => format!("{entry}: {}", plan.describe().join(", ")),
        });
    }
    if planned.sinks.is_empty() {
        guests.push("a plugin discards every row".into());
    }
    let mut sinks = Vec::new();
    for landing in &planned.sinks {
        // What does not go together is among the problems already.
        if let Ok(Some(shape)) = owners.shape(&landing.name) {
            sinks.push(examine_sink(client, settings, landing, output, &shape).await?);
        }
    }
    let declared = |name: &str| {
        let column = schema.index_of(name).map(|at| schema.columns[at].source_type.to_string());
        column.unwrap_or_else(|| "(computed)".into())
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
        Action::Process if plan.stateful => words.push("looks at every row, in order, with state".into()),
        Action::Process => words.push("looks at every row".into()),
        Action::Pass | Action::Discard => {}
    }
    words.join(", ")
}

async fn examine_sink(
    client: &Client,
    settings: &TableSettings,
    landing: &Landing,
    schema: &Arc<TableSchema>,
    shape: &Shape,
) -> Result<SinkReport, EngineError> {
    let name = &landing.name;
    let there = client.describe(name).await.map_err(EngineError::sink(format!("describing `{name}`")))?;
    let report = |action: &str, reason: Option<String>, columns, statements| SinkReport {
        table: name.to_string(),
        action: action.to_owned(),
        reason,
        columns,
        statements,
    };
    let fits = |layout: &Layout| fit_into(layout, schema, landing.added.as_ref(), settings);
    let Some(there) = there else {
        let sql = create_statement(client.project_name(), name, shape, settings);
        let refused = match settings.policy.allows(SchemaChangeTag::CreateTable) {
            true => fits(&layout_to_make(shape, settings)).err(),
            false => Some(NOT_MADE.to_owned()),
        };
        return Ok(match refused {
            Some(reason) => report("refuse", Some(reason), Vec::new(), Vec::new()),
            None => report("create", None, Vec::new(), vec![sql]),
        });
    };
    if let Some(reason) = unfit(&there, shape) {
        return Ok(report("refuse", Some(reason), Vec::new(), Vec::new()));
    }
    let layout = layout_of(&there);
    let columns = settings.policy.reconcile(shape, &layout.columns).into_iter().map(report_column).collect();
    let steps = match settings.policy.plan(&[], Some(shape), &layout.columns) {
        Ok(steps) => steps,
        Err(refused) => return Ok(report("refuse", Some(refused.0), columns, Vec::new())),
    };
    let statement = |step| step_statement(client.project_name(), name, step);
    let statements: Vec<String> = steps.iter().map(statement).collect();
    Ok(match fits(&layout_after(layout, &steps)) {
        Err(reason) => report("refuse", Some(reason), columns, Vec::new()),
        Ok(_) if steps.is_empty() => report("keep", None, columns, Vec::new()),
        Ok(_) => report("change", None, columns, statements),
    })
}

fn report_column(column: Reconciled<'_>) -> ColumnReport {
    let lost = column.loses().map(str::to_owned);
    let (action, reason) = match column.decision {
        Ok(Decision::Keep) => ("keep", lost),
        Ok(Decision::Add(_)) => ("add", None),
        Ok(Decision::Change(Step::MakeNullable(_))) => ("open", None),
        Ok(Decision::Change(_)) => ("widen", None),
        Err(refused) => ("refuse", Some(refused.0)),
    };
    ColumnReport {
        column: column.name.to_owned(),
        action,
        there: column.there.map(|c| c.data_type.to_string()),
        wanted: column.wanted.map(|c| c.data_type.to_string()),
        reason,
    }
}
