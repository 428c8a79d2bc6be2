//! What a schema change of the source means for a sink table: a pure function of the change, the sink table as it is, and the
//! behaviour in force.
//!
//! The plan is a difference by name between the columns that rows will have from here on (after the guests) and the columns that
//! the sink table has, so it is the same whether the change is seen for the first time or again after a crash, and a sink table
//! that is ahead or wider needs nothing. Only what a difference cannot show (a rename, a drop, a truncate) is taken from
//! the change itself. Added columns stand last and are nullable: MaxCompute can do no other, and rows are written by name.

use sluicebox_maxcompute::DataType;
use sluicebox_model::{SchemaChange, TableSchema};

use super::mapping::{cast, data_type, widens};
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
    Add(Vec<(String, DataType, Option<String>)>),
    /// Widen a column.
    Widen {
        /// Its name.
        column: String,
        /// Its new type.
        to: DataType,
        /// Its comment.
        comment: Option<String>,
    },
    /// Remove all rows.
    Truncate,
    /// Remove the table.
    DropTable,
    /// Set the table's comment.
    Comment(String),
}

/// Why a change cannot be carried out, in the operator's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(pub String);

impl EvolvePolicy {
    /// Plans what to do at the sink for `changes`, after which rows have the columns of `schema` (none: the table went).
    pub fn plan(
        &self,
        changes: &[SchemaChange],
        schema: Option<&TableSchema>,
        sink: &[SinkColumn],
    ) -> Result<Vec<Step>, Refused> {
        match self.behaviour {
            SchemaBehaviour::Ignore => return Ok(Vec::new()),
            SchemaBehaviour::Exception if !changes.is_empty() => {
                return Err(Refused("`schema-change.behavior` is `exception`".into()));
            }
            SchemaBehaviour::Exception
            | SchemaBehaviour::Evolve
            | SchemaBehaviour::TryEvolve
            | SchemaBehaviour::Lenient => {}
        }
        let mut steps = Vec::new();
        let mut sink = sink.to_vec();
        if self.behaviour != SchemaBehaviour::Lenient {
            self.plan_renames_and_drops(changes, schema, &mut sink, &mut steps);
        }
        self.plan_whole_table(changes, schema, &mut steps);
        if let Some(schema) = schema {
            self.plan_difference(schema, &sink, &mut steps)?;
        }
        Ok(steps)
    }

    fn allows(&self, tag: SchemaChangeTag) -> bool {
        self.allowed.contains(&tag)
    }

    fn plan_renames_and_drops(
        &self,
        changes: &[SchemaChange],
        schema: Option<&TableSchema>,
        sink: &mut Vec<SinkColumn>,
        steps: &mut Vec<Step>,
    ) {
        let wanted = |name: &str| schema.is_some_and(|s| s.index_of(name).is_some());
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

    fn plan_whole_table(
        &self,
        changes: &[SchemaChange],
        schema: Option<&TableSchema>,
        steps: &mut Vec<Step>,
    ) {
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
                    let comment = schema.and_then(|s| s.comment.as_deref()).unwrap_or_default();
                    steps.push(Step::Comment(comment.to_owned()));
                }
                _ => {}
            }
        }
    }

    /// Adds what the sink lacks and widens what is too narrow.
    fn plan_difference(
        &self,
        schema: &TableSchema,
        sink: &[SinkColumn],
        steps: &mut Vec<Step>,
    ) -> Result<(), Refused> {
        let mut missing = Vec::new();
        for column in &schema.columns {
            let mapped = data_type(column.column_type);
            let comment = column.comment.as_deref().filter(|_| self.comments).map(str::to_owned);
            match find(sink, &column.name).map(|at| &sink[at]) {
                None => missing.push((column.name.to_string(), mapped, comment)),
                Some(there)
                    if cast(column.column_type, &there.data_type)
                        .is_some_and(|_| holds(&mapped, &there.data_type)) => {}
                Some(there) if !self.allows(SchemaChangeTag::AlterColumnType) => {
                    tracing::debug!(column = there.name, "type change is excluded");
                }
                Some(there) if widens(&there.data_type, &mapped) => {
                    steps.push(Step::Widen { column: there.name.clone(), to: mapped, comment });
                }
                Some(_) if self.behaviour == SchemaBehaviour::TryEvolve => {}
                Some(there) => {
                    return Err(Refused(format!(
                        "column `{}` is {} at the sink and becomes {mapped} here, which the service cannot change it to; widen \
                         it by hand, map the table to a new one with a route, or set `schema.change.behavior: try_evolve`",
                        there.name, there.data_type
                    )));
                }
            }
        }
        if !missing.is_empty() && self.allows(SchemaChangeTag::AddColumn) {
            steps.push(Step::Add(missing));
        }
        Ok(())
    }
}

/// Whether every value of `mapped` fits `sink`.
fn holds(mapped: &DataType, sink: &DataType) -> bool {
    mapped == sink
        || widens(mapped, sink)
        || matches!(sink, DataType::Json | DataType::Char(_) | DataType::Varchar(_))
}

/// Column names of the service have no letter case.
pub fn find(columns: &[SinkColumn], name: &str) -> Option<usize> {
    columns.iter().position(|c| c.name.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use sluicebox_model::{Column, ColumnPlace, ColumnType, TableId};

    use super::*;

    fn policy(behaviour: SchemaBehaviour) -> EvolvePolicy {
        EvolvePolicy { behaviour, allowed: SchemaChangeTag::ALL.to_vec(), comments: true }
    }

    fn column(name: &str, column_type: ColumnType) -> Column {
        Column {
            name: name.into(),
            column_type,
            nullable: true,
            source_type: "".into(),
            charset: None,
            comment: None,
        }
    }

    fn schema(columns: &[(&str, ColumnType)]) -> TableSchema {
        TableSchema {
            id: TableId::new("d", "t"),
            version: 2,
            columns: columns.iter().map(|(name, t)| column(name, *t)).collect(),
            key: vec![0],
            comment: None,
            charset: None,
            unique_keys: Vec::new(),
            ddl: None,
        }
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
