//! A sink table: as it is, and what is done to it.
//!
//! What the service says counts, never what was remembered: before anything is changed the table is described, and only what
//! is missing is issued. So a change that was half done when the process died is finished by doing it again. The one thing that
//! a description cannot show is whether a rename or a drop has happened already when the name came back meanwhile; for
//! that each statement's intent and completion are recorded.

use std::sync::Arc;
use std::time::Duration;

use sluicebox_expression::Zone;
use sluicebox_maxcompute::{Client, Column, Error, Hints, SessionColumn, Table, TableName, statement};
use sluicebox_model::{SchemaChange, TableId, TableSchema};

use super::encode::{Fit, Layout};
use super::evolve::{EvolvePolicy, SinkColumn, Step, find, reuse_names};
use super::shape::{Shape, ShapeColumn, SourceColumn};
use crate::config::{SchemaBehaviour, SchemaChangeTag};
use crate::error::EngineError;
use crate::pipeline::SourceChange;
use crate::state::{Approval, Statement, Store};
use crate::telemetry::now_ms;

/// Why a missing table stays missing.
pub(crate) const NOT_MADE: &str = "it is not there, and `sink.exclude.schema.changes` has `create.table` in it: make the table by hand, or take the tag out";
/// The property of a table whose rows may be set in part.
const PARTIAL_UPDATE: &str = "acid.partial.fields.update.enable";

/// How sink tables are made and changed.
#[derive(Debug, Clone)]
pub struct TableSettings {
    /// Buckets of a Delta table that is made (`buckets-num`).
    pub buckets: u32,
    /// Whether columns that are NOT NULL at the source are made so at the sink.
    pub keep_not_null: bool,
    /// Whether tables with a key are made so that rows may set some of their columns.
    pub partial_update: bool,
    /// How schema changes reach the sink.
    pub policy: EvolvePolicy,
    /// Settings of each statement.
    pub hints: Hints,
    /// How long a statement may run.
    pub deadline: Duration,
    /// The zone of wall clocks that become instants; none when this machine does not know the one that is meant.
    pub zone: Option<Arc<Zone>>,
    /// Whether changes wait for an operator (`schema.change.approval`).
    pub approval: bool,
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Applied {
    /// The table is as it should be.
    Done,
    /// Nothing was done: an operator has to say yes.
    Waits,
}

/// A target's table.
#[derive(Debug)]
pub struct SinkTable {
    name: TableName,
    label: String,
    layout: Layout,
}

/// The statement that makes a table of this shape.
pub fn create_statement(project: &str, name: &TableName, shape: &Shape, settings: &TableSettings) -> String {
    let told = |comment: &Option<Arc<str>>| {
        comment.as_deref().filter(|_| settings.policy.comments).map(str::to_owned)
    };
    let column = |column: &ShapeColumn| Column {
        name: column.name.to_string(),
        data_type: column.data_type.clone(),
        nullable: takes_nulls(column, shape, settings),
        comment: told(&column.comment),
    };
    let mut properties = shape.properties.clone();
    let is_said = properties.iter().any(|(name, _)| name.eq_ignore_ascii_case(PARTIAL_UPDATE));
    if settings.partial_update && !shape.key.is_empty() && !is_said {
        properties.push((PARTIAL_UPDATE.to_owned(), "true".to_owned()));
    }
    let definition = statement::TableDefinition {
        columns: shape.columns.iter().map(column).collect(),
        partition_keys: shape.partitions.iter().map(column).collect(),
        buckets: (!shape.key.is_empty()).then_some(settings.buckets),
        primary_key: shape.key.iter().map(ToString::to_string).collect(),
        comment: told(&shape.comment),
        lifecycle_days: None,
        properties,
    };
    statement::create_table(project, name, &definition)
}

/// Rows that a later schema change leaves without a value must still fit: unless the operator wants it otherwise, only key columns
/// refuse nulls.
fn takes_nulls(column: &ShapeColumn, shape: &Shape, settings: &TableSettings) -> bool {
    !shape.is_key(&column.name) && (column.nullable || !settings.keep_not_null)
}

/// How rows of a schema fit a table.
pub(crate) fn fit_into(
    layout: &Layout,
    schema: &Arc<TableSchema>,
    added: Option<&SourceColumn>,
    settings: &TableSettings,
) -> Result<Fit, String> {
    Fit::new(schema, added, layout, settings.zone.as_ref(), settings.policy.is_tolerant())
}

/// What a table that is made of this shape will look like.
pub(crate) fn layout_to_make(shape: &Shape, settings: &TableSettings) -> Layout {
    let column = |c: &ShapeColumn| SinkColumn {
        name: c.name.to_string(),
        data_type: c.data_type.clone(),
        nullable: takes_nulls(c, shape, settings),
    };
    Layout {
        columns: shape.columns.iter().map(column).collect(),
        key: shape.key.iter().map(ToString::to_string).collect(),
        partitions: shape.partitions.iter().map(column).collect(),
    }
}

/// What a table will look like behind steps that a difference asks for.
pub(crate) fn layout_after(mut layout: Layout, steps: &[Step]) -> Layout {
    for step in steps {
        match step {
            Step::Add(columns) => layout.columns.extend(columns.iter().map(|(name, data_type, _)| {
                SinkColumn { name: name.clone(), data_type: data_type.clone(), nullable: true }
            })),
            Step::Widen { column, to, .. } => {
                if let Some(at) = find(&layout.columns, column) {
                    layout.columns[at].data_type = to.clone();
                }
            }
            Step::MakeNullable(column) => {
                if let Some(at) = find(&layout.columns, column) {
                    layout.columns[at].nullable = true;
                }
            }
            // A difference alone never asks for these.
            Step::Rename { .. } | Step::Drop(_) | Step::Truncate | Step::DropTable | Step::Comment(_) => {}
        }
    }
    layout
}

/// The statement of one step.
pub fn step_statement(project: &str, name: &TableName, step: &Step) -> String {
    match step {
        Step::Rename { old, new } => statement::rename_column(project, name, old, new),
        Step::Drop(names) => {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            statement::drop_columns(project, name, &names)
        }
        Step::Add(columns) => {
            let column = |(name, data_type, comment): &(String, _, _)| Column {
                name: name.clone(),
                data_type: Clone::clone(data_type),
                nullable: true,
                comment: Clone::clone(comment),
            };
            statement::add_columns(project, name, &columns.iter().map(column).collect::<Vec<_>>())
        }
        Step::Widen { column, to, comment } => {
            statement::change_type(project, name, column, to, comment.as_deref())
        }
        Step::MakeNullable(column) => statement::set_nullable(project, name, column),
        Step::Truncate => statement::truncate_table(project, name),
        Step::DropTable => statement::drop_table(project, name),
        Step::Comment(comment) => statement::set_comment(project, name, comment),
    }
}

/// What a described table looks like.
pub fn layout_of(table: &Table) -> Layout {
    let column = |c: &Column| SinkColumn {
        name: c.name.clone(),
        data_type: c.data_type.clone(),
        nullable: c.nullable,
    };
    Layout {
        columns: table.columns.iter().map(column).collect(),
        key: table.primary_key.clone(),
        partitions: table.partition_keys.iter().map(column).collect(),
    }
}

/// Why an existing table cannot take rows that want this shape at all, whatever its columns; none when it can.
///
/// A table without a key goes on when its source gets one while it is followed: rows are appended as before. Where the source
/// had the key from the beginning, the table was made for other rows.
pub fn unfit(table: &Table, shape: &Shape) -> Option<String> {
    let names = |names: Vec<String>| {
        if names.is_empty() { "no key".to_owned() } else { format!("the key ({})", names.join(", ")) }
    };
    let ours: Vec<String> = shape.key.iter().map(|k| k.to_lowercase()).collect();
    let theirs: Vec<String> = table.primary_key.iter().map(|k| k.to_lowercase()).collect();
    let sorted = |mut list: Vec<String>| {
        list.sort();
        list
    };
    if table.view {
        return Some("it is a view".into());
    }
    let partitioned: Vec<String> = table.partition_keys.iter().map(|c| c.name.to_lowercase()).collect();
    let wanted: Vec<String> = shape.partitions.iter().map(|c| c.name.to_lowercase()).collect();
    if partitioned != wanted {
        let words = |names: &[String]| {
            if names.is_empty() {
                "not partitioned".to_owned()
            } else {
                format!("partitioned by ({})", names.join(", "))
            }
        };
        return Some(format!(
            "it is {}, the rows are {}; say so with `partition-keys` of the route, or route the table to another one",
            words(&partitioned),
            words(&wanted)
        ));
    }
    let appends_on = theirs.is_empty() && shape.evolved;
    if !appends_on && sorted(ours.clone()) != sorted(theirs.clone()) {
        let begin_anew = match shape.evolved {
            false => "",
            true => ", and begin with an empty state directory, so that the table is read whole",
        };
        return Some(format!(
            "it has {}, the rows have {}, and the key of a table cannot be altered; drop it, or route the table to another \
             one{begin_anew}",
            names(theirs),
            names(ours)
        ));
    }
    if !theirs.is_empty() && !table.is_delta() {
        return Some(
            "it has a key and is not transactional, so it takes no upserts; make it a Delta table".into(),
        );
    }
    None
}

impl SinkTable {
    /// A table that nothing is known of yet.
    pub fn new(name: TableName) -> Self {
        let label = name.to_string();
        Self { name, label, layout: Layout::default() }
    }

    /// Its name.
    pub fn name(&self) -> &TableName {
        &self.name
    }

    /// Its name in logs and in the state.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Its columns as they are known.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Whether rows have a key: a Delta table.
    pub fn is_keyed(&self) -> bool {
        !self.layout.key.is_empty()
    }

    /// How rows of a schema fit.
    pub fn fit(
        &self,
        schema: &Arc<TableSchema>,
        added: Option<&SourceColumn>,
        settings: &TableSettings,
    ) -> Result<Fit, EngineError> {
        fit_into(&self.layout, schema, added, settings).map_err(|reason| self.misfit(&schema.id, reason))
    }

    /// A session follows the columns that it was opened with: they must be those that rows are encoded for.
    pub fn check_session(&self, columns: &[SessionColumn]) -> Result<(), EngineError> {
        let same = columns.len() == self.layout.columns.len()
            && columns.iter().zip(&self.layout.columns).all(|(theirs, ours)| {
                theirs.name.eq_ignore_ascii_case(&ours.name) && theirs.data_type == ours.data_type
            });
        if same { Ok(()) } else { Err(EngineError::ChangedByOthers { target: self.label.clone() }) }
    }

    fn misfit(&self, table: &TableId, reason: String) -> EngineError {
        EngineError::Schema { table: table.clone(), target: self.label.clone(), reason }
    }

    /// Makes sure that a partition exists: sessions are opened on existing ones only.
    pub async fn add_partition(
        &self,
        client: &Client,
        settings: &TableSettings,
        spec: &str,
    ) -> Result<(), EngineError> {
        let values: Vec<_> = spec.split(',').filter_map(|pair| pair.split_once('=')).collect();
        let doing = format!("adding partition `{spec}` to `{}`", self.label);
        client
            .add_partition(&self.name, &values, &settings.hints)
            .await
            .map(|_| ())
            .map_err(EngineError::sink(doing))
    }

    /// Carries out a change of a source.
    pub(crate) async fn apply(
        &mut self,
        client: &Client,
        store: &Store,
        settings: &TableSettings,
        change: &SourceChange,
    ) -> Result<Applied, EngineError> {
        let Some(there) = self.find_or_create(client, settings, change).await? else {
            return Ok(Applied::Done);
        };
        if change.changes.is_empty() && change.change.is_none() {
            self.layout = layout_of(&there);
            return Ok(Applied::Done);
        }
        let plan = self.plan(store, settings, change, &layout_of(&there).columns).await?;
        if settings.approval && !self.is_approved(client, store, change, &plan.steps).await? {
            return self.wait(client, change, &plan.steps);
        }
        self.carry_out(client, store, settings, change, &plan).await?;
        let after = if plan.steps.is_empty() { Some(there) } else { self.describe(client).await? };
        self.layout = after.as_ref().map(layout_of).unwrap_or_default();
        if change.changes.contains(&SchemaChange::AlterKey) && self.layout.key.is_empty() {
            tracing::warn!(
                target_table = self.label,
                source = %change.source,
                "the source's key changed; the sink table has none and goes on appending rows"
            );
        }
        if settings.approval && !plan.steps.is_empty() {
            store.approval_done(&self.label, approved_as(change)).await?;
        }
        Ok(Applied::Done)
    }

    async fn describe(&self, client: &Client) -> Result<Option<Table>, EngineError> {
        let doing = format!("describing `{}`", self.label);
        client.describe(&self.name).await.map_err(EngineError::sink(doing))
    }

    /// The table as it is, made where it is missing and wanted; an error where it cannot take the rows.
    async fn find_or_create(
        &self,
        client: &Client,
        settings: &TableSettings,
        change: &SourceChange,
    ) -> Result<Option<Table>, EngineError> {
        let mut there = self.describe(client).await?;
        if there.is_none() {
            let Some(shape) = &change.shape else { return Ok(None) };
            if !settings.policy.allows(SchemaChangeTag::CreateTable) {
                return Err(self.misfit(&change.source, NOT_MADE.into()));
            }
            self.create(client, settings, shape).await?;
            there = self.describe(client).await?;
        }
        let Some(there) = there else {
            return Err(self.misfit(&change.source, "it was created and is not there".into()));
        };
        match change.shape.as_ref().and_then(|shape| unfit(&there, shape)) {
            Some(reason) => Err(self.misfit(&change.source, reason)),
            None => Ok(Some(there)),
        }
    }

    /// What is to be done for a change.
    async fn plan(
        &self,
        store: &Store,
        settings: &TableSettings,
        change: &SourceChange,
        columns: &[SinkColumn],
    ) -> Result<Plan, EngineError> {
        if let Some(name) = &change.change
            && let Some(steps) = store.kept_steps(&self.label, name).await?
        {
            let kept = Plan { steps, is_kept: true, columns: columns.to_vec() };
            let begun = store.statement_done(&self.label, name, 0).await?;
            if kept.steps.first().is_some_and(|first| kept.is_behind(first, begun)) {
                return Ok(kept);
            }
            // Nothing of it has happened: the service may have refused it, and the file says something else now.
            store.forget_steps(&self.label, name).await?;
        }
        let existing = change.changes.iter().all(|c| matches!(c, SchemaChange::CreateTable));
        let changes = if existing { &[][..] } else { &change.changes[..] };
        let plan = settings.policy.plan(changes, change.shape.as_deref(), columns);
        let steps = plan.map_err(|refused| match existing {
            // No statement changed anything: the table that is there was made for other rows.
            true => self.misfit(&change.source, refused.0),
            false => EngineError::SchemaChange { table: change.source.clone(), reason: refused.0 },
        })?;
        Ok(Plan { steps, is_kept: false, columns: Vec::new() })
    }

    /// A change of the source waits while other tables go on. What a start finds different is asked for when the first rows of a run come for
    /// the table, before any of them moves, and the run ends with the question.
    fn wait(&self, client: &Client, change: &SourceChange, steps: &[Step]) -> Result<Applied, EngineError> {
        let statements = self.statements(client, steps).join(" ");
        if change.change.is_none() {
            return Err(EngineError::Unapproved { target: self.label.clone(), statements });
        }
        tracing::warn!(
            target_table = self.label,
            source = %change.source,
            statements,
            "a schema change waits for `sluicebox schema approve`; the table takes no rows until then, others go on"
        );
        Ok(Applied::Waits)
    }

    fn statements(&self, client: &Client, steps: &[Step]) -> Vec<String> {
        steps.iter().map(|step| step_statement(client.project_name(), &self.name, step)).collect()
    }

    /// Whether an operator has said yes to a change; asks where he was not asked.
    async fn is_approved(
        &self,
        client: &Client,
        store: &Store,
        change: &SourceChange,
        steps: &[Step],
    ) -> Result<bool, EngineError> {
        if steps.is_empty() {
            return Ok(true);
        }
        // A statement begins only when all of its change are approved; a replay of the change may find them to do.
        if let Some(name) = &change.change
            && store.is_begun(&self.label, name).await?
        {
            return Ok(true);
        }
        let asked = Approval {
            target: self.label.clone(),
            change: approved_as(change).to_owned(),
            source: change.source.to_string(),
            statements: self.statements(client, steps),
            asked_at_ms: now_ms(),
            approved: false,
        };
        Ok(store.ask_approval(asked).await?)
    }

    async fn create(
        &self,
        client: &Client,
        settings: &TableSettings,
        shape: &Shape,
    ) -> Result<(), EngineError> {
        if let Some(database) = &self.name.schema {
            let doing = format!("creating schema `{database}`");
            client.create_schema(database).await.map_err(EngineError::sink(doing))?;
        }
        let sql = create_statement(client.project_name(), &self.name, shape, settings);
        tracing::info!(target_table = self.label, keyed = !shape.key.is_empty(), "creating sink table");
        self.execute(client, settings, &sql).await
    }

    async fn execute(&self, client: &Client, settings: &TableSettings, sql: &str) -> Result<(), EngineError> {
        let doing = format!("running `{}`", sql.trim_end_matches(';'));
        let run = async {
            let instance = client.submit(sql, &settings.hints, self.name.schema.as_deref()).await?;
            let ended = instance.wait_at_most(settings.deadline).await;
            if let Err(Error::StillRunning { .. }) = ended
                && let Err(error) = instance.terminate().await
            {
                // The next attempt describes the table before it changes anything, whatever becomes of this statement.
                tracing::warn!(instance = instance.id(), %error, "a statement that takes too long cannot be stopped");
            }
            ended
        };
        run.await.map_err(EngineError::sink(doing))
    }

    async fn carry_out(
        &self,
        client: &Client,
        store: &Store,
        settings: &TableSettings,
        change: &SourceChange,
        plan: &Plan,
    ) -> Result<(), EngineError> {
        if let Some(name) = change.change.as_ref().filter(|_| !plan.is_kept && reuse_names(&plan.steps)) {
            store.keep_steps(&self.label, name, &plan.steps).await?;
        }
        for (number, step) in plan.steps.iter().enumerate() {
            let sql = step_statement(client.project_name(), &self.name, step);
            // A difference that is found at a start belongs to no statement of the source; it is found again if it must be.
            let Some(name) = &change.change else {
                tracing::info!(target_table = self.label, statement = sql, "bringing sink table up to date");
                self.execute(client, settings, &sql).await?;
                continue;
            };
            let statement = Statement { change: name.clone(), number, sql: sql.clone() };
            let recorded = store.statement_done(&self.label, name, number).await?;
            if plan.is_behind(step, recorded) {
                if recorded == Some(false) {
                    // What the table tells now it tells no more when the next steps have changed it.
                    store.statement_ends(&self.label, &statement).await?;
                }
                continue;
            }
            store.statement_begins(&self.label, &statement, &change.before, change.epoch).await?;
            tracing::info!(target_table = self.label, statement = sql, "changing sink table");
            match self.execute(client, settings, &sql).await {
                Ok(()) => store.statement_ends(&self.label, &statement).await?,
                Err(EngineError::Sink { source: Error::StatementFailed { message, .. }, .. })
                    if settings.policy.behaviour == SchemaBehaviour::TryEvolve =>
                {
                    tracing::warn!(
                        target_table = self.label,
                        statement = sql,
                        error = message,
                        "the service refused a schema change; rows are fitted by name"
                    );
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// What is to be done for a change.
struct Plan {
    steps: Vec<Step>,
    /// Whether an earlier attempt kept the steps, and may have done some.
    is_kept: bool,
    /// The table's columns as that attempt left them.
    columns: Vec<SinkColumn>,
}

impl Plan {
    /// Whether an earlier attempt has done a step. `recorded`: whether its statement was answered; none when it was never begun.
    fn is_behind(&self, step: &Step, recorded: Option<bool>) -> bool {
        match recorded {
            Some(true) => self.is_kept || matches!(step, Step::Truncate | Step::DropTable),
            // Begun and not answered: all before it was done and nothing behind it, so the table tells.
            Some(false) => self.is_kept && step.is_done(&self.columns),
            None => false,
        }
    }
}

/// The name under which an operator is asked. What a start finds different belongs to no change of the source.
fn approved_as(change: &SourceChange) -> &str {
    change.change.as_deref().unwrap_or("start")
}
