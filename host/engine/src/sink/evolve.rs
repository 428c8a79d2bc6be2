//! What a schema change of the source means for a sink table: a pure function of the change, the sink table as it is, and the
//! behaviour in force.
//!
//! The plan is a difference by name between the columns that rows will have from here on (after the guests) and the columns that
//! the sink table has, so it is the same whether the change is seen for the first time or again after a crash, and a sink table
//! that is ahead or wider needs nothing. Only what a difference cannot show (a rename, a drop, a truncate) is taken from
//! the change itself, and never where other sources feed the table. Added columns stand last and are nullable: MaxCompute can do
//! no other, and rows are written by name.
//!
//! A type that the service cannot make of the other is refused with the ways on, or has a substitute: the least common type of
//! both under `LENIENT` and for tables of several sources, the type as it is under `TRY_EVOLVE`.

use sluicebox_maxcompute::DataType;
use sluicebox_model::SchemaChange;

use super::least_type::least_common;
use super::mapping::widens;
use super::shape::{Shape, ShapeColumn};
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
#[derive(Debug, Clone, PartialEq, Eq)]
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
        match self.behaviour {
            SchemaBehaviour::Ignore => return Ok(Vec::new()),
            SchemaBehaviour::Exception if !changes.is_empty() => {
                return Err(Refused("`schema.change.behavior` is `EXCEPTION`".into()));
            }
            SchemaBehaviour::Exception
            | SchemaBehaviour::Evolve
            | SchemaBehaviour::TryEvolve
            | SchemaBehaviour::Lenient => {}
        }
        let mut steps = Vec::new();
        let mut sink = sink.to_vec();
        // What one source loses is still fed by others.
        if !shape.is_some_and(|s| s.shared) {
            if self.behaviour == SchemaBehaviour::Lenient {
                self.plan_left_behind(changes, shape, &sink, &mut steps);
            } else {
                self.plan_renames_and_drops(changes, shape, &mut sink, &mut steps);
            }
            self.plan_whole_table(changes, shape, &mut steps);
        }
        if let Some(shape) = shape {
            self.plan_difference(shape, &sink, &mut steps)?;
        }
        Ok(steps)
    }

    fn allows(&self, tag: SchemaChangeTag) -> bool {
        self.allowed.contains(&tag)
    }

    fn plan_renames_and_drops(
        &self,
        changes: &[SchemaChange],
        shape: Option<&Shape>,
        sink: &mut Vec<SinkColumn>,
        steps: &mut Vec<Step>,
    ) {
        let wanted = |name: &str| shape.is_some_and(|s| s.find(name).is_some());
        for change in changes {
            match change {
                SchemaChange::RenameColumn { old, new } if self.allows(SchemaChangeTag::RenameColumn) => {
                    if find(sink, new).is_some() || wanted(old) || !wanted(new) {
                        continue;
                    }
                    if let Some(at) = find(sink, old) {
                        steps.push(Step::Rename { old: sink[at].name.clone(), new: new.to_string() });
                        sink[at].name = new.to_string();
                    }
                }
                SchemaChange::DropColumns(names) if self.allows(SchemaChangeTag::DropColumn) => {
                    let gone: Vec<String> = names
                        .iter()
                        .filter(|name| !wanted(name))
                        .filter_map(|name| find(sink, name).map(|at| sink.remove(at).name))
                        .collect();
                    if !gone.is_empty() {
                        steps.push(Step::Drop(gone));
                    }
                }
                _ => {}
            }
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
        let substitute = shape.shared || self.behaviour == SchemaBehaviour::Lenient;
        let by_zone = substitute && in_local_zone(&wanted.data_type, &there.data_type);
        if by_zone || holds(&wanted.data_type, &there.data_type) {
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
        if substitute && holds(&wanted.data_type, &common) && widens(&there.data_type, &common) {
            return widen(common);
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
mod tests {
    use sluicebox_model::{Column, ColumnPlace, ColumnType, TableId, TableSchema};

    use super::*;
    use crate::sink::shape::Tributary;

    fn policy(behaviour: SchemaBehaviour) -> EvolvePolicy {
        EvolvePolicy { behaviour, allowed: SchemaChangeTag::ALL.to_vec(), comments: true }
    }

    fn column(name: &str, column_type: ColumnType) -> Column {
        Column {
            name: name.into(),
            column_type,
            nullable: true,
            source_type: "".into(),
            default: Default::default(),
            charset: None,
            comment: None,
        }
    }

    fn schema(columns: &[(&str, ColumnType)]) -> Shape {
        let schema = TableSchema {
            id: TableId::new("d", "t"),
            version: 2,
            columns: columns.iter().map(|(name, t)| column(name, *t)).collect(),
            key: vec![0],
            comment: None,
            charset: None,
            unique_keys: Vec::new(),
            ddl: None,
        };
        let id = schema.id.clone();
        let source = Tributary {
            schema: std::sync::Arc::new(schema),
            added: None,
            partition_keys: Vec::new(),
            options: [].into(),
        };
        Shape::of([(&id, &source)]).expect("one key").expect("one source")
    }

    fn sink(columns: &[(&str, &str)]) -> Vec<SinkColumn> {
        columns
            .iter()
            .map(|(name, t)| SinkColumn {
                name: (*name).into(),
                data_type: t.parse().expect("a type"),
                nullable: true,
            })
            .collect()
    }

    #[test]
    fn a_new_column_is_added_last_wherever_it_stands_at_the_source() {
        let new = schema(&[("first", ColumnType::Text), ("id", ColumnType::Int)]);
        let changes =
            [SchemaChange::AddColumns(vec![(column("first", ColumnType::Text), ColumnPlace::First)])];
        let steps = policy(SchemaBehaviour::Lenient).plan(&changes, Some(&new), &sink(&[("ID", "int")]));
        assert_eq!(steps, Ok(vec![Step::Add(vec![("first".into(), DataType::String, None)])]));
        let again = policy(SchemaBehaviour::Lenient).plan(
            &changes,
            Some(&new),
            &sink(&[("id", "int"), ("first", "string")]),
        );
        assert_eq!(again, Ok(vec![]), "what is there already needs nothing");
    }

    #[test]
    fn lenient_keeps_what_evolve_renames_and_drops() {
        let new = schema(&[("id", ColumnType::Int), ("b", ColumnType::Int)]);
        let changes = [
            SchemaChange::RenameColumn { old: "a".into(), new: "b".into() },
            SchemaChange::DropColumns(vec!["c".into()]),
        ];
        let there = sink(&[("id", "int"), ("a", "int"), ("c", "int")]);
        let lenient = policy(SchemaBehaviour::Lenient).plan(&changes, Some(&new), &there);
        assert_eq!(lenient, Ok(vec![Step::Add(vec![("b".into(), DataType::Int, None)])]));
        let wider = schema(&[("id", ColumnType::Int), ("b", ColumnType::BigInt)]);
        let widened = policy(SchemaBehaviour::Lenient).plan(&changes, Some(&wider), &there);
        let widen = Step::Widen { column: "a".into(), to: DataType::Bigint, comment: None };
        assert_eq!(widened, Ok(vec![widen, Step::Add(vec![("b".into(), DataType::Bigint, None)])]));
        let again = sink(&[("id", "int"), ("a", "bigint"), ("b", "bigint"), ("c", "int")]);
        assert_eq!(policy(SchemaBehaviour::Lenient).plan(&changes, Some(&wider), &again), Ok(vec![]));
        let evolve = policy(SchemaBehaviour::Evolve).plan(&changes, Some(&new), &there);
        let rename = Step::Rename { old: "a".into(), new: "b".into() };
        assert_eq!(evolve, Ok(vec![rename, Step::Drop(vec!["c".into()])]));
    }

    #[test]
    fn a_type_is_widened_or_refused_never_narrowed() {
        let wider = schema(&[("id", ColumnType::Int), ("n", ColumnType::BigInt)]);
        let there = sink(&[("id", "bigint"), ("n", "int")]);
        let steps = policy(SchemaBehaviour::Evolve).plan(&[], Some(&wider), &there);
        assert_eq!(steps, Ok(vec![Step::Widen { column: "n".into(), to: DataType::Bigint, comment: None }]));
        let other = schema(&[("id", ColumnType::Int), ("n", ColumnType::Date)]);
        assert!(policy(SchemaBehaviour::Evolve).plan(&[], Some(&other), &there).is_err());
        assert_eq!(policy(SchemaBehaviour::TryEvolve).plan(&[], Some(&other), &there), Ok(vec![]));
    }

    #[test]
    fn lenient_and_shared_tables_take_the_least_common_type() {
        let other = schema(&[("id", ColumnType::Int), ("n", ColumnType::Date)]);
        let there = sink(&[("id", "int"), ("n", "int")]);
        let text = Step::Widen { column: "n".into(), to: DataType::String, comment: None };
        let lenient = policy(SchemaBehaviour::Lenient).plan(&[], Some(&other), &there);
        assert_eq!(lenient, Ok(vec![text.clone()]));
        let shared = Shape { shared: true, ..other };
        assert_eq!(policy(SchemaBehaviour::Evolve).plan(&[], Some(&shared), &there), Ok(vec![text]));
        let stuck = sink(&[("id", "int"), ("n", "boolean")]);
        let refused = policy(SchemaBehaviour::Lenient).plan(&[], Some(&shared), &stuck);
        assert!(refused.is_err(), "the service changes no BOOLEAN");
    }

    #[test]
    fn what_one_source_loses_stays_where_others_write() {
        let new = schema(&[("id", ColumnType::Int), ("b", ColumnType::Int)]);
        let shared = Shape { shared: true, ..new };
        let changes = [
            SchemaChange::RenameColumn { old: "a".into(), new: "b".into() },
            SchemaChange::DropColumns(vec!["c".into()]),
            SchemaChange::TruncateTable,
        ];
        let there = sink(&[("id", "int"), ("a", "int"), ("c", "int")]);
        let steps = policy(SchemaBehaviour::Evolve).plan(&changes, Some(&shared), &there);
        assert_eq!(steps, Ok(vec![Step::Add(vec![("b".into(), DataType::Int, None)])]));
    }

    #[test]
    fn columns_that_rows_may_lack_are_opened_to_nulls() {
        let mut there = sink(&[("id", "int"), ("old", "int"), ("n", "int")]);
        there.iter_mut().for_each(|c| c.nullable = false);
        let new = schema(&[("id", ColumnType::Int), ("n", ColumnType::Int)]);
        let steps = policy(SchemaBehaviour::Lenient).plan(&[], Some(&new), &there);
        let open = |name: &str| Step::MakeNullable(name.into());
        assert_eq!(steps, Ok(vec![open("n"), open("old")]), "and never the key");
    }

    #[test]
    fn a_name_that_comes_back_with_another_type_never_adds_it_twice() {
        // Dropped under LENIENT, so the sink has it still.
        let there = sink(&[("id", "int"), ("c", "int"), ("d", "string")]);
        let back = schema(&[("id", ColumnType::Int), ("c", ColumnType::BigInt), ("d", ColumnType::Int)]);
        let steps = policy(SchemaBehaviour::Lenient).plan(&[], Some(&back), &there);
        let widen = Step::Widen { column: "c".into(), to: DataType::Bigint, comment: None };
        assert_eq!(steps, Ok(vec![widen]), "a text takes the number as it is");
    }

    #[test]
    fn ignore_does_nothing_and_exception_stops() {
        let new = schema(&[("id", ColumnType::Int), ("x", ColumnType::Int)]);
        let changes = [SchemaChange::TruncateTable];
        let there = sink(&[("id", "int")]);
        assert_eq!(policy(SchemaBehaviour::Ignore).plan(&changes, Some(&new), &there), Ok(vec![]));
        assert!(policy(SchemaBehaviour::Exception).plan(&changes, Some(&new), &there).is_err());
    }

    #[test]
    fn an_excluded_change_does_not_reach_the_sink() {
        let kept = EvolvePolicy {
            behaviour: SchemaBehaviour::Evolve,
            allowed: vec![SchemaChangeTag::AddColumn],
            comments: true,
        };
        let changes = [SchemaChange::TruncateTable, SchemaChange::DropTable];
        assert_eq!(kept.plan(&changes, None, &sink(&[("id", "int")])), Ok(vec![]));
        let open = policy(SchemaBehaviour::Evolve).plan(&changes, None, &[]);
        assert_eq!(open, Ok(vec![Step::Truncate, Step::DropTable]));
    }
}
