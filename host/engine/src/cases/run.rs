//! Runs cases, and says how what came differs from what was expected.
//!
//! Events reach the plugin as a pipeline would send them: an update comes with its row before only where the plan asks for it or
//! the row's key changed. State is empty when a case begins. What goes on is compared value by value, with the types that the plan gives the columns.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use sluicebox_model::{ByteSize, TableSchema, TransactionId};
use sluicebox_wasm::{
    Action, Engine, FailedRow, Grants, Instance, Limits, PluginSpec, Read, State, TablePlan, WasmError,
};

use super::lookup::grants;
use super::{Case, CaseError, CaseFile, ExpectedPlan};
use crate::events::{Event, Provenance, Row, batch_of, events_of, key_of};

/// The plugin that is tried.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Its file.
    pub path: PathBuf,
    /// What it may use.
    pub limits: Limits,
}

/// How one case went.
#[derive(Debug, Clone, serde::Serialize)]
pub struct CaseResult {
    /// The case's name.
    pub name: String,
    /// What differs; empty when nothing does.
    pub differences: Vec<String>,
    /// What went on.
    pub found: Vec<Event>,
}

impl Subject {
    /// An instance with this configuration, which may ask for this.
    ///
    /// # Errors
    /// When the file is no plugin, or the plugin refuses its configuration.
    pub fn start(&self, engine: &Engine, config: &Value, grants: Grants) -> Result<Instance, WasmError> {
        let spec = PluginSpec {
            path: self.path.clone(),
            config: config.clone(),
            limits: self.limits.clone(),
            grants,
            sha256: None,
            precompiled: false,
        };
        engine.load(&spec)?.instantiate()
    }
}

/// Runs all cases of a file, or those whose name contains `filter`.
///
/// # Errors
/// When the file's tables cannot be read, or the plugin's file is no plugin. What the plugin does wrong is in the results.
pub fn run(
    subject: &Subject,
    file: &CaseFile,
    filter: &str,
) -> Result<Result<Vec<CaseResult>, WasmError>, CaseError> {
    let engine = match Engine::for_tools() {
        Ok(engine) => engine,
        Err(error) => return Ok(Err(error)),
    };
    let mut results = Vec::new();
    for case in file.cases.iter().filter(|case| case.name.contains(filter)) {
        let schema = file.table_of(case)?;
        let grants = grants(case.lookups.as_ref().unwrap_or(&file.lookups), file.clock, &file.granted);
        let instance = subject.start(&engine, case.config.as_ref().unwrap_or(&file.config), grants);
        let (differences, found) = match instance {
            Err(error @ (WasmError::Load { .. } | WasmError::Engine { .. })) => return Ok(Err(error)),
            Err(error) => (refusal(case, &error), Vec::new()),
            Ok(instance) => run_case(case, instance, &schema, subject.limits.state),
        };
        results.push(CaseResult { name: case.name.clone(), differences, found });
    }
    Ok(Ok(results))
}

/// What differs when a plugin refuses its configuration or a table.
fn refusal(case: &Case, error: &WasmError) -> Vec<String> {
    let words = error.to_string();
    match &case.refuses {
        Some(part) if words.contains(part.as_str()) => Vec::new(),
        Some(part) => vec![format!("it refuses, and not with `{part}`: {words}")],
        None => vec![words],
    }
}

fn run_case(
    case: &Case,
    mut instance: Instance,
    schema: &Arc<TableSchema>,
    memory: ByteSize,
) -> (Vec<String>, Vec<Event>) {
    let plan = match instance.plan(1, schema) {
        Ok(plan) => plan,
        Err(error) => return (refusal(case, &error), Vec::new()),
    };
    if let Some(part) = &case.refuses {
        return (vec![format!("expected a refusal with `{part}`, it accepts the table")], Vec::new());
    }
    let mut differences = case.plan.as_ref().map_or_else(Vec::new, |wanted| plan_differences(wanted, &plan));
    let events = match as_sent(&case.events, schema, &plan) {
        Ok(events) => events,
        Err(reason) => return (vec![format!("events: {reason}")], Vec::new()),
    };
    let batch = match batch_of(schema, &events, &provenance()) {
        Ok(batch) => batch,
        Err(reason) => return (vec![format!("events: {reason}")], Vec::new()),
    };
    let mut state = State::new([], memory);
    let processed = match instance.process_isolating(&plan, &batch, Some(&mut state)) {
        Ok(processed) => processed,
        Err(error) => return ([differences, vec![error.words()]].concat(), Vec::new()),
    };
    differences.extend(error_differences(case, &events, &processed.failed));
    let found = events_of(&processed.batch);
    if let Some(wanted) = &case.expect {
        // Written values and found ones get one form: 1 and true, a column left out and one that is null.
        match batch_of(&plan.output, wanted, &Provenance::default()) {
            Ok(wanted) => differences.extend(event_differences(&events_of(&wanted), &found)),
            Err(reason) => differences.push(format!("expect: {reason}")),
        }
    }
    (differences, found)
}

/// Where events of cases come from: the same for all, so that what a plugin makes of it can be expected.
fn provenance() -> Provenance {
    let transaction = TransactionId { gtid: None, file: "case.000001".into(), offset: 4 };
    Provenance {
        // 2026-01-01T00:00:00Z
        commit_micros: 1_767_225_600_000_000,
        ordinal: 1,
        transaction: Some(Arc::new(transaction)),
    }
}

/// Events as a pipeline would send them under a plan, or which of them it never would.
pub(super) fn as_sent(
    events: &[Event],
    schema: &TableSchema,
    plan: &TablePlan,
) -> Result<Vec<Event>, String> {
    let sent = |(number, event): (usize, &Event)| match event {
        Event::Update { before: Some(before), after }
            if !plan.needs_before() && key_of(schema, before) == key_of(schema, after) =>
        {
            Ok(Event::Update { before: None, after: after.clone() })
        }
        Event::Update { before: None, .. } if plan.needs_before() => Err(format!(
            "event {number} is an update without its row before, which the plan asks for: write its `before` too"
        )),
        other => Ok(other.clone()),
    };
    (1..).zip(events).map(sent).collect()
}

fn plan_differences(wanted: &ExpectedPlan, plan: &TablePlan) -> Vec<String> {
    let mut differences = Vec::new();
    let mut compare = |what: &str, wanted: Value, found: Value| {
        if wanted != found {
            differences.push(format!("plan: {what}: expected {wanted}, found {found}"));
        }
    };
    if let Some(action) = &wanted.action {
        let found = match plan.action {
            Action::Pass => "pass",
            Action::Discard => "discard",
            Action::Process => "process",
        };
        compare("action", json!(action), json!(found));
    }
    if let Some(table) = &wanted.table {
        compare("table", json!(table), json!(plan.output.id.table));
    }
    if let Some(columns) = &wanted.columns {
        let found = plan.output.columns.iter().enumerate().map(|(place, column)| {
            let typed = columns.get(place).is_some_and(|wanted| wanted.contains(' '));
            if typed { format!("{} {}", column.name, column.column_type) } else { column.name.to_string() }
        });
        compare("columns", json!(columns), json!(found.collect::<Vec<_>>()));
    }
    if let Some(key) = &wanted.key {
        compare("key", json!(key), json!(plan.output.key_columns().map(|c| &*c.name).collect::<Vec<_>>()));
    }
    if let Some(reads) = &wanted.reads {
        let found = plan.reads.iter().filter_map(|read| match read {
            Read::Column(place) => plan.input.columns.get(*place).map(|column| column.name.to_string()),
            Read::Meta(meta) => Some(format!("{meta:?}")),
        });
        compare("reads", json!(reads), json!(found.collect::<Vec<_>>()));
    }
    if let Some(before) = wanted.before {
        compare("before", json!(before), json!(plan.before));
    }
    if let Some(stateful) = wanted.stateful {
        compare("stateful", json!(stateful), json!(plan.stateful));
    }
    differences
}

/// The rows of each event in the batch.
fn rows_of(events: &[Event]) -> Vec<Range<usize>> {
    let mut row = 0;
    let mut rows = Vec::with_capacity(events.len());
    for event in events {
        let width = if matches!(event, Event::Update { before: Some(_), .. }) { 2 } else { 1 };
        rows.push(row..row + width);
        row += width;
    }
    rows
}

fn error_differences(case: &Case, events: &[Event], failed: &[FailedRow]) -> Vec<String> {
    let mut differences = Vec::new();
    for (number, rows) in rows_of(events).iter().enumerate() {
        let number = number + 1;
        let wanted = case.errors.iter().find(|error| error.event == number);
        let found = failed.iter().find(|failed| rows.contains(&failed.row));
        match (wanted, found) {
            (Some(wanted), Some(found)) if !found.message.contains(&wanted.message) => {
                differences.push(format!(
                    "event {number}: expected an error with `{}`, found: {}",
                    wanted.message, found.message
                ))
            }
            (Some(wanted), None) => differences
                .push(format!("event {number}: expected an error with `{}`, found none", wanted.message)),
            (None, Some(found)) => differences.push(format!("event {number} failed: {}", found.message)),
            (Some(_), Some(_)) | (None, None) => {}
        }
    }
    let beyond = case.errors.iter().filter(|error| error.event == 0 || error.event > events.len());
    differences.extend(beyond.map(|e| format!("errors: there is no event {}, they count from 1", e.event)));
    differences
}

fn event_differences(wanted: &[Event], found: &[Event]) -> Vec<String> {
    let mut differences = Vec::new();
    for number in 0..wanted.len().max(found.len()) {
        let text = match (wanted.get(number), found.get(number)) {
            (Some(wanted), Some(found)) if wanted == found => continue,
            (Some(wanted), Some(found)) => difference(wanted, found),
            (Some(wanted), None) => format!("\n  expected {}\n  found    nothing", line(wanted)),
            (None, Some(found)) => format!("\n  expected nothing\n  found    {}", line(found)),
            (None, None) => continue,
        };
        differences.push(format!("output {}:{text}", number + 1));
    }
    differences
}

/// Both events, and the columns that differ where the events are of one kind.
fn difference(wanted: &Event, found: &Event) -> String {
    let mut text = format!("\n  expected {}\n  found    {}", line(wanted), line(found));
    if std::mem::discriminant(wanted) != std::mem::discriminant(found) {
        return text;
    }
    let empty = Row::new();
    let before = |event: &Event| match event {
        Event::Update { before: Some(before), .. } => Some(before.clone()),
        _ => None,
    };
    let pairs = [
        ("", Some(wanted.row().clone()), Some(found.row().clone())),
        ("before: ", before(wanted), before(found)),
    ];
    for (prefix, wanted, found) in pairs {
        if wanted.is_some() != found.is_some() {
            let which = if wanted.is_some() {
                "expected with its row before"
            } else {
                "expected without its row before"
            };
            let _ = write!(text, "\n  {which}");
            continue;
        }
        let (wanted, found) = (wanted.unwrap_or(empty.clone()), found.unwrap_or(empty.clone()));
        for (column, value) in &wanted {
            let there = found.get(column).unwrap_or(&Value::Null);
            if value != there {
                // Writing to a text cannot fail.
                let _ = write!(text, "\n  {prefix}column `{column}`: expected {value}, found {there}");
            }
        }
    }
    text
}

fn line(event: &Event) -> String {
    serde_json::to_string(event).unwrap_or_default()
}
