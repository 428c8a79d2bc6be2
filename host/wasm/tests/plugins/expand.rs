//! Several rows made of one.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray};
use arrow::datatypes::Int64Type;
use serde_json::json;
use sluicebox_model::{ChangeBatch, ColumnType, RowKind, TableSchema};
use sluicebox_wasm::{Instance, WasmError};

use crate::support::{LANGUAGES, batch, column, instance, schema};

fn tagged(keyed: bool) -> Arc<TableSchema> {
    let columns = vec![
        column("id", ColumnType::BigInt, false),
        column("tags", ColumnType::Text, true),
        column("note", ColumnType::Text, true),
    ];
    schema(columns, if keyed { vec![0] } else { vec![] })
}

fn split_tags(language: &str) -> Instance {
    instance(&format!("split-tags{language}"), json!({ "column": "tags", "into": "tag" }))
}

type Tagged<'a> = (RowKind, i64, Option<&'a str>);

fn rows(schema: &Arc<TableSchema>, rows: &[Tagged<'_>]) -> ChangeBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.1))),
        Arc::new(rows.iter().map(|row| row.2).collect::<StringArray>()),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| format!("note {}", row.1)))),
    ];
    batch(schema, rows.iter().map(|row| row.0).collect(), columns)
}

fn made(batch: &ChangeBatch) -> Vec<(RowKind, i64, String, String)> {
    let place = |name: &str| {
        let place = batch.schema.columns.iter().position(|column| &*column.name == name);
        &batch.columns[place.unwrap_or_else(|| panic!("a column `{name}`"))]
    };
    let ids = place("id").as_primitive::<Int64Type>();
    let (tags, notes) = (place("tag").as_string::<i32>(), place("note").as_string::<i32>());
    let row = |row: usize| {
        (batch.kinds[row], ids.value(row), tags.value(row).to_owned(), notes.value(row).to_owned())
    };
    (0..batch.rows()).map(row).collect()
}

#[test]
fn rows_come_of_rows_and_go_with_them() {
    LANGUAGES.into_iter().for_each(assert_rows_come_of_rows);
}

fn assert_rows_come_of_rows(language: &str) {
    use RowKind::{After, Before, Delete, Insert, Read};
    let schema = tagged(true);
    let mut guest = split_tags(language);
    let plan = guest.plan(1, &schema).expect("a plan");
    assert!(plan.needs_before(), "what was made of the row before must go");
    let names: Vec<_> = plan.output.columns.iter().map(|column| &*column.name).collect();
    assert_eq!(names, ["id", "note", "tag"]);
    assert_eq!(plan.output.key, [0, 2]);
    let input = rows(
        &schema,
        &[
            (Insert, 1, Some("red, blue,red")),
            (Before, 2, Some("a,b")),
            (After, 2, Some("b,c")),
            (Insert, 3, None),
            (Delete, 4, Some("x")),
            (Read, 5, Some("y,z")),
        ],
    );
    let done = guest.process(&plan, &input, None).expect("it is processed");
    let want = [
        (Insert, 1, "red"),
        (Insert, 1, "blue"),
        (Delete, 2, "a"),
        (Delete, 2, "b"),
        (Insert, 2, "b"),
        (Insert, 2, "c"),
        (Delete, 4, "x"),
        (Read, 5, "y"),
        (Read, 5, "z"),
    ];
    let want: Vec<_> =
        want.iter().map(|&(kind, id, tag)| (kind, id, tag.to_owned(), format!("note {id}"))).collect();
    assert_eq!(made(&done.batch), want);
    assert_eq!((done.dropped, done.failed.len()), (1, 0));
    let stats = guest.stats();
    assert_eq!((stats.rows_in, stats.kept, stats.dropped), (6, 9, 1));
}

#[test]
fn calls_are_put_together_whatever_each_makes() {
    LANGUAGES.into_iter().for_each(assert_calls_are_put_together);
}

fn assert_calls_are_put_together(language: &str) {
    let schema = tagged(true);
    let mut guest = split_tags(language);
    let plan = guest.plan(1, &schema).expect("a plan");
    // More rows than one call has; row n has n % 4 tags, so that more are made than came.
    let tags = [None, Some("a"), Some("a,b"), Some("a,b,ü")];
    let input: Vec<Tagged<'_>> = (0..5_000).map(|id| (RowKind::Insert, id, tags[id as usize % 4])).collect();
    let done = guest.process(&plan, &rows(&schema, &input), None).expect("it is processed");
    let tags = |row: i64| ["a", "b", "ü"].into_iter().take(row as usize % 4);
    let want: Vec<_> = (0..5_000).flat_map(|id| tags(id).map(move |tag| (id, tag.to_owned()))).collect();
    let found: Vec<_> = made(&done.batch).into_iter().map(|row| (row.1, row.2)).collect();
    assert_eq!(found, want);
}

#[test]
fn an_update_without_its_row_before_is_refused() {
    let schema = tagged(true);
    let mut guest = split_tags("");
    let plan = guest.plan(1, &schema).expect("a plan");
    let error = guest.process(&plan, &rows(&schema, &[(RowKind::After, 1, Some("a"))]), None);
    assert!(matches!(error, Err(WasmError::Batch { .. })));
}

#[test]
fn rows_of_a_table_without_a_key_stay_without_one() {
    LANGUAGES.into_iter().for_each(assert_stay_without_a_key);
}

fn assert_stay_without_a_key(language: &str) {
    let schema = tagged(false);
    let mut guest = split_tags(language);
    let plan = guest.plan(1, &schema).expect("a plan");
    assert!(plan.output.key.is_empty());
    let done = guest.process(&plan, &rows(&schema, &[(RowKind::Insert, 1, Some("a,b"))]), None);
    assert_eq!(done.expect("it is processed").batch.rows(), 2);
}
