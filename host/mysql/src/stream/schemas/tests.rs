//! Exchanges of names, and the difference of two tables.

use sluicebox_model::{Column, ColumnPlace, ColumnType};

use super::renames::{last_name, originals};
use super::*;

fn id(table: &str) -> TableId {
    TableId::new("d", table)
}

fn pairs(names: &[(&str, &str)]) -> Vec<(TableId, TableId)> {
    names.iter().map(|(old, new)| (id(old), id(new))).collect()
}

#[test]
fn names_can_be_exchanged_through_a_third() {
    let swap = pairs(&[("a", "x"), ("b", "a"), ("x", "b")]);
    assert_eq!(originals(&swap), [id("a"), id("b")]);
    assert_eq!((last_name(&id("a"), &swap), last_name(&id("b"), &swap)), (id("b"), id("a")));
}

fn schema(columns: &[(&str, ColumnType)], key: &[usize]) -> TableSchema {
    let column = |(name, column_type): &(&str, ColumnType)| Column {
        name: (*name).into(),
        column_type: *column_type,
        nullable: true,
        source_type: "".into(),
        default: Default::default(),
        charset: None,
        comment: None,
    };
    TableSchema {
        id: id("t"),
        version: 1,
        columns: columns.iter().map(column).collect(),
        key: key.to_vec(),
        comment: None,
        charset: None,
        unique_keys: Vec::new(),
        ddl: None,
    }
}

#[test]
fn a_difference_is_told_by_column_names() {
    use ColumnType as T;
    let old = schema(&[("id", T::Int), ("a", T::Int), ("b", T::Text)], &[0]);
    let new =
        schema(&[("first", T::Int), ("ID", T::Int), ("mid", T::Int), ("b", T::Json), ("end", T::Int)], &[1]);
    let changes = difference(&old, &new);
    let [
        SchemaChange::AlterColumn { .. },
        SchemaChange::AlterColumn { new: b, .. },
        SchemaChange::AddColumns(added),
        SchemaChange::DropColumns(gone),
    ] = &changes[..]
    else {
        panic!("{changes:?}")
    };
    assert_eq!((b.column_type, &*gone[0]), (T::Json, "a"));
    let places: Vec<&ColumnPlace> = added.iter().map(|(_, place)| place).collect();
    assert_eq!(places, [&ColumnPlace::First, &ColumnPlace::After("ID".into()), &ColumnPlace::Last]);
    assert_eq!(difference(&old, &old), []);
    let rekeyed = TableSchema { key: vec![1], ..old.clone() };
    assert_eq!(difference(&old, &rekeyed), [SchemaChange::AlterKey]);
}

/// Tables that are alike in all but their versions change places again and again, under the same text each time.
#[test]
fn a_name_is_never_lost_in_an_exchange_and_its_versions_rise() {
    let mut schemas = super::corpus::schemas(Flavour::MySql, (9, 7, 4), |_| true);
    let mut follow = |text: &str| {
        let statement = Statement {
            text,
            database: "d",
            ansi_quotes: false,
            no_backslash_escapes: false,
            server_charset: None,
        };
        schemas.follow(&statement).expect(text)
    };
    for text in ["CREATE TABLE a (x INT) COMMENT 'y'", "CREATE TABLE b (x INT)", "ALTER TABLE a COMMENT ''"] {
        follow(text);
    }
    let mut last = HashMap::new();
    for round in 0..8 {
        for change in follow("RENAME TABLE a TO x, b TO a, x TO b") {
            let schema = change.schema.unwrap_or_else(|| panic!("{} is lost in round {round}", change.table));
            assert_eq!((&schema.id, change.changes), (&change.table, vec![]), "{round}");
            let before = last.insert(change.table, schema.version).unwrap_or(0);
            assert!(schema.version > before, "{} in round {round}", schema.id);
        }
        assert_eq!(last.len(), 2, "{round}");
    }
}
