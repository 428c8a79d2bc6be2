//! What a schema change of the source means for a sink table: a pure function of the change, the sink table as it is, and the
//! behaviour in force.
//!
//! The plan is a difference by name between the columns that rows will have from here on (after the guests) and the columns that
//! the sink table has, so it is the same whether the change is seen for the first time or again after a crash, and a sink table
//! that is ahead or wider needs nothing. Only what a difference cannot show (a rename, a drop, a truncate) is taken from
//! the change itself, and never where other sources feed the table; where one statement takes a name away and gives it again (`names`), its
//! plan is kept before it is begun. Added columns stand last and are nullable: MaxCompute can do
//! no other, and rows are written by name.
//!
//! A type that the service cannot make of the other is refused with the ways on, or has a substitute: the least common type of
//! both under `LENIENT` and for tables of several sources, the type as it is under `TRY_EVOLVE`.

mod names;

use serde::{Deserialize, Serialize};
use sluicebox_maxcompute::DataType;
use sluicebox_model::{Column, SchemaChange};

use super::least_type::least_common;
use super::mapping::widens;
use super::shape::{Shape, ShapeColumn, same_name};
use crate::config::{SchemaBehaviour, SchemaChangeTag};

/// Which changes may reach the sink, and how.
#[derive(Debug, Clone)]
pub struct EvolvePolicy {
    /// How (`schema.change.behavior`).
    pub behaviour: SchemaBehaviour,
    /// Which (`include.schema.changes` less `exclude.schema.changes`).
    pub allowed: Vec<SchemaChangeTag>,
    /// Whether comments reach the sink (`include-comments.enabled`).
    pub comments: bool,
}

/// A column of a sink table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// Whether it takes nulls.
    pub nullable: bool,
}

/// One thing to do at the sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Give a column another name.
    Rename {
        /// Name now.
        old: String,
        /// Name after.
        new: String,
    },
    /// Drop columns.
    Drop(Vec<String>),
    /// Add columns behind the others: name, type, comment.
    Add(Vec<Added>),
    /// Widen a column.
    Widen {
        /// Its name.
        column: String,
        /// Its new type.
        to: DataType,
        /// Its comment.
        comment: Option<String>,
    },
    /// Let a column take nulls.
    MakeNullable(String),
    /// Remove all rows.
    Truncate,
    /// Remove the table.
    DropTable,
    /// Set the table's comment.
    Comment(String),
}

/// A column to add: name, type, comment.
pub type Added = (String, DataType, Option<String>);

/// What is done with one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing.
    Keep,
    /// It comes to be.
    Add(Added),
    /// It is changed.
    Change(Step),
}

/// One column, as it is wanted and as it is.
#[derive(Debug)]
pub struct Reconciled<'a> {
    /// Its name.
    pub name: &'a str,
    /// As the rows want it; none: only the sink has it.
    pub wanted: Option<&'a ShapeColumn>,
    /// As it is at the sink; none: only the rows have it.
    pub there: Option<&'a SinkColumn>,
    /// What follows.
    pub decision: Result<Decision, Refused>,
}

/// Why a change cannot be carried out, in the operator's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(pub String);

impl EvolvePolicy {
    /// Plans what to do at the sink for `changes` of one source, after which rows want the table to have this `shape` (none: the
    /// table went).
    pub fn plan(
        &self,
        changes: &[SchemaChange],
        shape: Option<&Shape>,
        sink: &[SinkColumn],
    ) -> Result<Vec<Step>, Refused> {
        if self.behaviour == SchemaBehaviour::Exception && changes.iter().any(|c| self.is_event(c)) {
            return Err(Refused("`schema.change.behavior` is `EXCEPTION`".into()));
        }
        if self.behaviour == SchemaBehaviour::Ignore {
            return Ok(Vec::new());
        }
        let mut steps = Vec::new();
        let mut sink = sink.to_vec();
        // What one source loses is still fed by others.
        if !shape.is_some_and(|s| s.shared) {
            if self.behaviour == SchemaBehaviour::Lenient {
                self.plan_left_behind(changes, shape, &sink, &mut steps);
            } else {
                steps.extend(names::renames_and_drops(self, changes, shape, &mut sink));
            }
            self.plan_whole_table(changes, shape, &mut steps);
        }
        if let Some(shape) = shape {
            self.plan_difference(shape, &sink, &mut steps)?;
            self.plan_comments(changes, shape, &sink, &mut steps);
        }
        Ok(steps)
    }

    /// Whether changes of a kind reach the sink. Under `IGNORE` tables are made and nothing else.
    pub fn allows(&self, tag: SchemaChangeTag) -> bool {
        let carried_out = self.behaviour != SchemaBehaviour::Ignore || tag == SchemaChangeTag::CreateTable;
        carried_out && self.allowed.contains(&tag)
    }

    /// Whether a value that has no way into its column is null there, and no error: the column is known to stay as it is.
    pub fn is_tolerant(&self) -> bool {
        self.behaviour == SchemaBehaviour::TryEvolve || !self.allows(SchemaChangeTag::AlterColumnType)
    }

    /// Whether a change is one that Flink CDC has an event for. Keys, defaults and character sets are none, nor comments where they
    /// do not reach the sink.
    fn is_event(&self, change: &SchemaChange) -> bool {
        let declared = |column: &Column| Column {
            default: Default::default(),
            charset: None,
            comment: column.comment.clone().filter(|_| self.comments),
            ..column.clone()
        };
        match (change, SchemaChangeTag::of(change)) {
            (SchemaChange::AlterColumn { old, new }, _) => declared(old) != declared(new),
            (_, Some(SchemaChangeTag::AlterTableComment)) => self.comments,
            (_, tag) => tag.is_some_and(|tag| tag != SchemaChangeTag::CreateTable),
        }
    }

    /// A column that a rename leaves behind has the type that the same statement gave its successor, where the service can: in
    /// MySQL's order a `CHANGE` alters the type first.
    fn plan_left_behind(
        &self,
        changes: &[SchemaChange],
        shape: Option<&Shape>,
        sink: &[SinkColumn],
        steps: &mut Vec<Step>,
    ) {
        let Some(shape) = shape.filter(|_| self.allows(SchemaChangeTag::AlterColumnType)) else { return };
        for change in changes {
            let SchemaChange::RenameColumn { old, new } = change else { continue };
            let (Some(at), Some(successor)) = (find(sink, old), shape.find(new)) else { continue };
            let (left, to) = (&sink[at], &successor.data_type);
            if shape.find(old).is_none() && !holds(to, &left.data_type) && widens(&left.data_type, to) {
                steps.push(Step::Widen { column: left.name.clone(), to: to.clone(), comment: None });
            }
        }
    }

    fn plan_whole_table(&self, changes: &[SchemaChange], shape: Option<&Shape>, steps: &mut Vec<Step>) {
        for change in changes {
            match change {
                SchemaChange::TruncateTable if self.allows(SchemaChangeTag::TruncateTable) => {
                    steps.push(Step::Truncate)
                }
                SchemaChange::DropTable if self.allows(SchemaChangeTag::DropTable) => {
                    steps.push(Step::DropTable)
                }
                SchemaChange::AlterComment
                    if self.comments && self.allows(SchemaChangeTag::AlterTableComment) =>
                {
                    let comment = shape.and_then(|s| s.comment.as_deref()).unwrap_or_default();
                    steps.push(Step::Comment(comment.to_owned()));
                }
                _ => {}
            }
        }
    }

    /// Adds what the sink lacks, widens what is too narrow, and opens to nulls what rows may lack.
    fn plan_difference(
        &self,
        shape: &Shape,
        sink: &[SinkColumn],
        steps: &mut Vec<Step>,
    ) -> Result<(), Refused> {
        let mut missing = Vec::new();
        for Reconciled { decision, .. } in self.reconcile(shape, sink) {
            match decision? {
                Decision::Keep => {}
                Decision::Add(column) => missing.push(column),
                Decision::Change(step) => steps.push(step),
            }
        }
        if !missing.is_empty() {
            steps.push(Step::Add(missing));
        }
        Ok(())
    }

    /// Gives columns the comments that the statement gave them. The key's columns cannot be changed at the sink.
    fn plan_comments(
        &self,
        changes: &[SchemaChange],
        shape: &Shape,
        sink: &[SinkColumn],
        steps: &mut Vec<Step>,
    ) {
        if !self.comments || shape.shared || !self.allows(SchemaChangeTag::AlterColumnType) {
            return;
        }
        for change in changes {
            let SchemaChange::AlterColumn { old, new } = change else { continue };
            if old.comment == new.comment {
                continue;
            }
            let name = names::after(changes, &new.name);
            let Some(at) = find(sink, &name).filter(|_| shape.find(&name).is_some() && !shape.is_key(&name))
            else {
                continue;
            };
            let text = Some(new.comment.as_deref().unwrap_or_default().to_owned());
            let widened = steps.iter_mut().find_map(|step| match step {
                Step::Widen { column, comment, .. } if same_name(column, &name) => Some(comment),
                _ => None,
            });
            match widened {
                Some(comment) => *comment = text,
                None => {
                    let SinkColumn { name, data_type, .. } = sink[at].clone();
                    steps.push(Step::Widen { column: name, to: data_type, comment: text });
                }
            }
        }
    }

    /// What becomes of each column, those of the rows first, then those that only the sink has.
    pub fn reconcile<'a>(&self, shape: &'a Shape, sink: &'a [SinkColumn]) -> Vec<Reconciled<'a>> {
        let mut columns = Vec::with_capacity(shape.columns.len());
        for wanted in &shape.columns {
            let there = find(sink, &wanted.name).map(|at| &sink[at]);
            let decision = match there {
                None if self.allows(SchemaChangeTag::AddColumn) => Ok(Decision::Add((
                    wanted.name.to_string(),
                    wanted.data_type.clone(),
                    self.comment_of(wanted),
                ))),
                None => Ok(Decision::Keep),
                Some(there) => self.fit(wanted, there, shape),
            };
            columns.push(Reconciled { name: &wanted.name, wanted: Some(wanted), there, decision });
        }
        for there in sink.iter().filter(|there| shape.find(&there.name).is_none()) {
            let decision = Ok(self.open(there, shape));
            columns.push(Reconciled { name: &there.name, wanted: None, there: Some(there), decision });
        }
        columns
    }

    /// Lets a column take nulls that rows may lack.
    fn open(&self, there: &SinkColumn, shape: &Shape) -> Decision {
        let may_lack = shape.find(&there.name).is_none_or(|c| c.nullable);
        let open = !there.nullable && may_lack && !shape.is_key(&there.name);
        if open && self.allows(SchemaChangeTag::AlterColumnType) {
            Decision::Change(Step::MakeNullable(there.name.clone()))
        } else {
            Decision::Keep
        }
    }

    fn comment_of(&self, column: &ShapeColumn) -> Option<String> {
        column.comment.as_deref().filter(|_| self.comments).map(str::to_owned)
    }

    /// What makes a column that is there take the values of a column that is wanted.
    fn fit(&self, wanted: &ShapeColumn, there: &SinkColumn, shape: &Shape) -> Result<Decision, Refused> {
        let lenient = self.behaviour == SchemaBehaviour::Lenient;
        let substitute = shape.shared || lenient;
        // What was bytes and is text now is the same bytes still.
        let as_bytes = lenient
            && !shape.shared
            && matches!((&wanted.data_type, &there.data_type), (DataType::String, DataType::Binary));
        let by_zone = substitute && in_local_zone(&wanted.data_type, &there.data_type);
        if by_zone || as_bytes || holds(&wanted.data_type, &there.data_type) {
            return Ok(self.open(there, shape));
        }
        if !self.allows(SchemaChangeTag::AlterColumnType) {
            tracing::debug!(column = there.name, "type change is excluded");
            return Ok(Decision::Keep);
        }
        let widen = |to: DataType| {
            let (column, comment) = (there.name.clone(), self.comment_of(wanted));
            Ok(Decision::Change(Step::Widen { column, to, comment }))
        };
        if widens(&there.data_type, &wanted.data_type) {
            return widen(wanted.data_type.clone());
        }
        let common = least_common(&there.data_type, &wanted.data_type);
        let takes = |to: &DataType| holds(&wanted.data_type, to) && widens(&there.data_type, to);
        if let Some(to) = [common, DataType::String].into_iter().find(takes).filter(|_| substitute) {
            return widen(to);
        }
        if self.behaviour == SchemaBehaviour::TryEvolve {
            return Ok(Decision::Keep);
        }
        Err(Refused(format!(
            "column `{}` is {} at the sink and becomes {} here, which the service cannot change it to; change the column by \
             hand, make the table anew under another name with a route and an empty state directory, or compute the column as \
             text with a transform",
            there.name, there.data_type, wanted.data_type
        )))
    }
}

impl Reconciled<'_> {
    /// What rows lose although nothing is refused.
    pub fn loses(&self) -> Option<&'static str> {
        match (&self.decision, self.wanted, self.there) {
            (Ok(Decision::Keep), Some(_), None) => Some("rows are written without it"),
            (Ok(Decision::Keep), Some(wanted), Some(there))
                if !holds(&wanted.data_type, &there.data_type)
                    && !in_local_zone(&wanted.data_type, &there.data_type) =>
            {
                Some("values that have no way into its type are null")
            }
            _ => None,
        }
    }
}

impl Step {
    /// Whether a table of these columns has had the step. What a description does not show counts as not done: it is harmless to do it
    /// again.
    pub fn is_done(&self, columns: &[SinkColumn]) -> bool {
        let has = |name: &str| find(columns, name).is_some();
        match self {
            Self::Rename { old, new } => !has(old) && has(new),
            Self::Drop(names) => !names.iter().any(|name| has(name)),
            Self::Add(added) => added.iter().all(|(name, _, _)| has(name)),
            Self::Widen { .. }
            | Self::MakeNullable(_)
            | Self::Truncate
            | Self::DropTable
            | Self::Comment(_) => false,
        }
    }
}

/// Whether steps take a name away and give it again: half of them done, the table does not tell what is left to do.
pub fn reuse_names(steps: &[Step]) -> bool {
    let taken = steps.iter().flat_map(|step| match step {
        Step::Rename { old, .. } => std::slice::from_ref(old),
        Step::Drop(names) => names,
        _ => &[],
    });
    let given: Vec<&str> = steps
        .iter()
        .flat_map(|step| match step {
            Step::Rename { new, .. } => vec![new.as_str()],
            Step::Add(added) => added.iter().map(|(name, _, _)| name.as_str()).collect(),
            _ => Vec::new(),
        })
        .collect();
    let mut taken = taken;
    taken.any(|name| given.iter().any(|given| same_name(given, name)))
}

/// Whether clocks become instants: right in the zone of the pipeline, and so only where something has to take the place of a change.
fn in_local_zone(wanted: &DataType, sink: &DataType) -> bool {
    matches!((wanted, sink), (DataType::Date | DataType::TimestampNtz, DataType::Timestamp))
}

/// Whether values of `wanted` can be written into `sink`. A text takes everything; a FLOAT takes no integers that it would round.
fn holds(wanted: &DataType, sink: &DataType) -> bool {
    use DataType as D;
    match (wanted, sink) {
        (D::Int | D::Bigint, D::Float) => false,
        (D::Boolean, D::Tinyint | D::Smallint | D::Int | D::Bigint) => true,
        (D::Date, D::TimestampNtz) => true,
        (D::String, D::Json | D::Char(_) | D::Varchar(_)) => true,
        (_, D::String) => true,
        _ => wanted == sink || widens(wanted, sink),
    }
}

/// Column names of the service have no letter case.
pub fn find(columns: &[SinkColumn], name: &str) -> Option<usize> {
    columns.iter().position(|c| c.name.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests;
