//! What each behaviour makes of a change.

use sluicebox_model::{ColumnPlace, ColumnType, TableId, TableSchema};

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
    let changes = [SchemaChange::AddColumns(vec![(column("first", ColumnType::Text), ColumnPlace::First)])];
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
    assert_eq!(evolve, Ok(vec![Step::Drop(vec!["c".into()]), rename]));
}

fn rename(old: &str, new: &str) -> SchemaChange {
    SchemaChange::RenameColumn { old: old.into(), new: new.into() }
}

fn renamed(old: &str, new: &str) -> Step {
    Step::Rename { old: old.into(), new: new.into() }
}

/// Every clause means the columns as they were before the statement.
#[test]
fn a_name_can_be_taken_away_and_given_again_in_one_statement() {
    use ColumnType as C;
    let evolve = policy(SchemaBehaviour::Evolve);
    let drop = |name: &str| SchemaChange::DropColumns(vec![name.into()]);
    let add = |name: &str, t| SchemaChange::AddColumns(vec![(column(name, t), ColumnPlace::Last)]);
    let gone = |name: &str| Step::Drop(vec![name.into()]);
    let added = |name: &str, t: DataType| Step::Add(vec![(name.into(), t, None)]);
    let abc = sink(&[("id", "int"), ("a", "int"), ("b", "string"), ("c", "int")]);
    let spare = "sluicebox_renamed_1";
    let cases = [
        (
            vec![drop("b"), rename("a", "b")],
            schema(&[("id", C::Int), ("b", C::Int), ("c", C::Int)]),
            vec![gone("b"), renamed("a", "b")],
        ),
        (
            vec![drop("c"), add("c", C::Text)],
            schema(&[("id", C::Int), ("a", C::Int), ("b", C::Text), ("c", C::Text)]),
            vec![gone("c"), added("c", DataType::String)],
        ),
        (
            vec![rename("a", "b"), rename("b", "a")],
            schema(&[("id", C::Int), ("a", C::Text), ("b", C::Int), ("c", C::Int)]),
            vec![renamed("a", spare), renamed("b", "a"), renamed(spare, "b")],
        ),
        (
            vec![rename("a", "b"), rename("b", "d"), add("a", C::Date)],
            schema(&[("id", C::Int), ("a", C::Date), ("b", C::Int), ("c", C::Int), ("d", C::Text)]),
            vec![renamed("b", "d"), renamed("a", "b"), added("a", DataType::Date)],
        ),
    ];
    for (changes, shape, want) in cases {
        let steps = evolve.plan(&changes, Some(&shape), &abc);
        assert_eq!(steps.as_deref(), Ok(&want[..]), "{changes:?}");
        assert!(reuse_names(&want), "{want:?}");
    }
    // What a crash leaves is told by the table, step by step.
    let half = sink(&[("id", "int"), (spare, "int"), ("a", "string"), ("c", "int")]);
    let swap = [renamed("a", spare), renamed("b", "a"), renamed(spare, "b")];
    assert!(
        !swap[0].is_done(&abc) && !swap[1].is_done(&abc) && swap[1].is_done(&half) && !swap[2].is_done(&half)
    );
    let plain = [gone("a"), renamed("b", "d"), added("e", DataType::Int)];
    assert!(!reuse_names(&plain), "the table tells what is left to do");
    let text = serde_json::to_string(&plain).expect("steps");
    assert_eq!(serde_json::from_str::<Vec<Step>>(&text).expect("steps"), plain);
}

/// A name that only the sink has is not free, and one that an expression gives is not the column that went.
#[test]
fn a_name_that_is_not_of_the_statement_stays() {
    let shape = schema(&[("id", ColumnType::Int), ("b", ColumnType::Int), ("d", ColumnType::Int)]);
    let there = sink(&[("id", "int"), ("a", "int"), ("b", "int"), ("c", "int")]);
    let evolve = policy(SchemaBehaviour::Evolve);
    let steps = evolve.plan(&[rename("a", "b"), rename("c", "d")], Some(&shape), &there);
    assert_eq!(steps, Ok(vec![renamed("c", "d")]));
    let computed = schema(&[("id", ColumnType::Int), ("a", ColumnType::Int), ("b", ColumnType::Int)]);
    let steps = evolve.plan(&[rename("a", "x")], Some(&computed), &there);
    assert_eq!(steps, Ok(vec![]));
}

#[test]
fn what_lenient_puts_in_the_place_of_a_change() {
    use ColumnType as C;
    let lenient = policy(SchemaBehaviour::Lenient);
    let widened = Ok(vec![Step::Widen { column: "n".into(), to: DataType::String, comment: None }]);
    for (there, wanted, want) in [
        ("date", C::DateTime { fraction: 0 }, widened.clone()),
        ("timestamp_ntz", C::Text, widened.clone()),
        ("timestamp_ntz", C::Timestamp { fraction: 0 }, widened),
        ("binary", C::Text, Ok(vec![])),
    ] {
        let steps = lenient.plan(
            &[],
            Some(&schema(&[("id", C::Int), ("n", wanted)])),
            &sink(&[("id", "int"), ("n", there)]),
        );
        assert_eq!(steps, want, "{there} to {wanted}");
    }
    let boolean = lenient.plan(
        &[],
        Some(&schema(&[("id", C::Int), ("n", C::Int)])),
        &sink(&[("id", "int"), ("n", "boolean")]),
    );
    assert!(boolean.is_err(), "the service changes no BOOLEAN");
}

#[test]
fn a_type_that_is_not_followed_is_told_as_what_it_loses() {
    let wanted = schema(&[("id", ColumnType::Int), ("n", ColumnType::Text), ("new", ColumnType::Int)]);
    let there = sink(&[("id", "int"), ("n", "int")]);
    let ignore = policy(SchemaBehaviour::Ignore);
    let excluded = EvolvePolicy { allowed: vec![], ..policy(SchemaBehaviour::Evolve) };
    for kept in [ignore, excluded] {
        assert!(kept.is_tolerant());
        assert_eq!(kept.plan(&[], Some(&wanted), &there), Ok(vec![]));
        let lost: Vec<_> = kept.reconcile(&wanted, &there).iter().map(Reconciled::loses).collect();
        let null = "values that have no way into its type are null";
        assert_eq!(lost, [None, Some(null), Some("rows are written without it")]);
    }
    assert!(!policy(SchemaBehaviour::Lenient).is_tolerant());
}

#[test]
fn comments_travel_with_a_changed_column() {
    let shape = schema(&[("id", ColumnType::Int), ("m", ColumnType::BigInt)]);
    let there = sink(&[("id", "int"), ("n", "bigint")]);
    let commented = |name: &str, text: Option<&str>| Column {
        comment: text.map(Into::into),
        ..column(name, ColumnType::BigInt)
    };
    let (old, new) = (commented("n", Some("x")), commented("n", None));
    let changes = [SchemaChange::AlterColumn { old, new }, rename("n", "m")];
    let comment = |to| Step::Widen { column: "m".into(), to, comment: Some(String::new()) };
    let evolve = policy(SchemaBehaviour::Evolve);
    let steps = evolve.plan(&changes, Some(&shape), &there);
    assert_eq!(steps, Ok(vec![renamed("n", "m"), comment(DataType::Bigint)]));
    let narrow = evolve.plan(&changes, Some(&shape), &sink(&[("id", "int"), ("n", "int")]));
    assert_eq!(narrow, Ok(vec![renamed("n", "m"), comment(DataType::Bigint)]), "one statement for both");
    let without = EvolvePolicy { comments: false, ..evolve };
    assert_eq!(without.plan(&changes, Some(&shape), &there), Ok(vec![renamed("n", "m")]));
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
    let exception = |changes: &[SchemaChange], comments| {
        EvolvePolicy { comments, ..policy(SchemaBehaviour::Exception) }.plan(changes, Some(&new), &there)
    };
    assert!(exception(&changes, true).is_err());
    // Statements that Flink CDC has no event for.
    let (old, charset) = (column("x", ColumnType::Int), Some("latin1".into()));
    let recoded = SchemaChange::AlterColumn { old: old.clone(), new: Column { charset, ..old.clone() } };
    let wider = Column { source_type: "bigint".into(), ..old.clone() };
    for nothing in [SchemaChange::AlterKey, SchemaChange::AlterDefaults, SchemaChange::AlterCharset, recoded]
    {
        assert!(exception(std::slice::from_ref(&nothing), true).is_ok(), "{nothing:?}");
    }
    assert!(exception(&[SchemaChange::AlterColumn { old, new: wider }], true).is_err());
    assert!(exception(&[SchemaChange::AlterComment], true).is_err());
    assert!(exception(&[SchemaChange::AlterComment], false).is_ok());
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
