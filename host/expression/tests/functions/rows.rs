//! What a whole entry does with a table's schema and its rows.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
use arrow::datatypes::Int64Type;
use sluicebox_expression::{Part, Rule, RulePlan, RuleText, Settings};
use sluicebox_model::RowKind::{self, After, Before, Delete, Insert, Read};
use sluicebox_model::{ChangeBatch, Column, ColumnType, Origin, TableId, TableSchema};

use crate::support::NOW;

fn orders() -> Arc<TableSchema> {
    let column = |name: &str, column_type, nullable| Column {
        name: name.into(),
        column_type,
        nullable,
        source_type: "as declared".into(),
        default: Default::default(),
        charset: None,
        comment: Some(format!("the {name}").into()),
    };
    Arc::new(TableSchema {
        id: TableId::new("shop", "orders"),
        version: 3,
        columns: vec![
            column("id", ColumnType::Int, false),
            column("region", ColumnType::Text, true),
            column("VERSION", ColumnType::Int, true),
        ],
        key: vec![0],
        unique_keys: Vec::new(),
        comment: Some("all orders".into()),
        charset: None,
        ddl: None,
    })
}

/// Row images: kind, id, region, version.
type Image = (RowKind, i64, Option<&'static str>, i64);

fn batch(schema: &Arc<TableSchema>, rows: &[Image]) -> ChangeBatch {
    let ints =
        |of: fn(&Image) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(rows.iter().map(of))) };
    let regions: ArrayRef = Arc::new(StringArray::from_iter(rows.iter().map(|row| row.2)));
    let run = |first_row, second: i64| Origin {
        first_row,
        commit_micros: second * 1_000_000,
        ordinal: 1,
        transaction: None,
        absent: None,
    };
    ChangeBatch {
        schema: Arc::clone(schema),
        kinds: rows.iter().map(|row| row.0).collect(),
        columns: vec![ints(|row| row.1), regions, ints(|row| row.3)],
        origins: vec![run(0, 10), run(2, 20)],
    }
}

fn try_plan(text: &RuleText<'_>) -> Result<RulePlan, (Part, String)> {
    let rule = Rule::parse(text).map_err(|mut errors| {
        let (part, error) = errors.remove(0);
        (part, error.to_string())
    })?;
    rule.plan(&orders(), &Arc::new(Settings::default())).map_err(|(part, error)| (part, error.to_string()))
}

fn plan(text: &RuleText<'_>) -> RulePlan {
    try_plan(text).unwrap_or_else(|(part, error)| panic!("{}: {error}", part.key()))
}

fn projection(text: &str) -> RuleText<'_> {
    RuleText { projection: Some(text), ..RuleText::default() }
}

/// Kinds and all values of what goes on, a row a text.
fn go_on(plan: &RulePlan, rows: &[Image]) -> Vec<String> {
    let done = plan.process(&batch(&plan.input, rows), NOW).expect("the batch fits");
    assert_eq!(done.failed, []);
    let out = done.batch;
    let cell = |array: &ArrayRef, row: usize| match array.as_primitive_opt::<Int64Type>() {
        _ if array.is_null(row) => "NULL".to_owned(),
        Some(ints) => ints.value(row).to_string(),
        None => array.as_string::<i32>().value(row).to_owned(),
    };
    let show = |row: usize| {
        let cells: Vec<String> = out.columns.iter().map(|array| cell(array, row)).collect();
        format!("{:?} {}", out.kinds[row], cells.join(" "))
    };
    (0..out.rows()).map(show).collect()
}

#[test]
fn a_projection_keeps_order_types_and_comments() {
    let plan = plan(&projection(
        "*, CONCAT(VERSION, 'x') AS VERSION, region AS area, id + 1 AS next, __table_name__",
    ));
    let shown: Vec<String> = plan
        .output
        .columns
        .iter()
        .map(|c| {
            format!("{} {} {} {}", c.name, c.column_type, c.nullable, c.comment.as_deref().unwrap_or("-"))
        })
        .collect();
    assert_eq!(
        shown,
        [
            "id INT false the id",
            "region TEXT true the region",
            "VERSION TEXT true -",
            "area TEXT true the region",
            "next INT true -",
            "__table_name__ TEXT false -",
        ]
    );
    assert_eq!(plan.output.key, [0]);
    assert_eq!(plan.output.comment.as_deref(), Some("all orders"), "a rule takes no comment away");
    let rows = go_on(&plan, &[(Insert, 1, Some("eu"), 5)]);
    assert_eq!(rows, ["Insert 1 eu 5x eu 2 orders"]);
}

#[test]
fn nothing_but_stars_changes_nothing() {
    for text in ["*", "\\*", " "] {
        let rule = Rule::parse(&projection(text)).expect("a rule");
        assert!(rule.is_empty() && rule.follows_columns(), "{text}");
    }
    let plan = plan(&projection("*"));
    assert!(Arc::ptr_eq(&plan.input, &plan.output) && !plan.needs_before());
    assert!(!Rule::parse(&projection("id")).expect("a rule").follows_columns());
}

const UPDATES: &[Image] = &[
    (Before, 1, Some("eu"), 1),
    (After, 1, Some("eu"), 2),
    (Before, 2, Some("eu"), 1),
    (After, 2, Some("us"), 2),
    (Before, 3, Some("us"), 1),
    (After, 3, Some("eu"), 2),
    (Before, 4, None, 1),
    (After, 4, Some("us"), 2),
    (Insert, 5, None, 1),
    (Insert, 6, Some("eu"), 1),
    (Delete, 7, Some("us"), 1),
    (Delete, 8, Some("eu"), 1),
    (Read, 9, Some("eu"), 1),
];

#[test]
fn an_update_that_leaves_the_filter_is_a_delete_and_one_that_enters_it_an_insert() {
    let plan = plan(&RuleText {
        projection: Some("id, __data_event_type__ AS op"),
        filter: Some("region = 'eu'"),
        ..RuleText::default()
    });
    let want = [
        "Before 1 -U",
        "After 1 +U",
        "Delete 2 -U",
        "Insert 3 +U",
        "Insert 6 +I",
        "Delete 8 -D",
        "Read 9 +I",
    ];
    assert_eq!(go_on(&plan, UPDATES), want);
    let done = plan.process(&batch(&plan.input, UPDATES), NOW).expect("the batch fits");
    assert_eq!(done.dropped, 6);
}

#[test]
fn a_deleted_row_stays_under_soft_delete() {
    let plan = plan(&RuleText {
        projection: Some("*, __data_event_type__ AS op"),
        filter: Some("region = 'eu'"),
        converter: Some("SOFT_DELETE"),
        ..RuleText::default()
    });
    assert!(plan.needs_before(), "a row that leaves the filter goes on as it was");
    let rows = go_on(&plan, &UPDATES[2..12]);
    assert_eq!(rows, ["Insert 2 eu 1 -U", "Insert 3 eu 2 +U", "Insert 6 eu 1 +I", "Insert 8 eu 1 -D"]);
    let alone = self::plan(&RuleText { converter: Some("SOFT_DELETE"), ..RuleText::default() });
    assert!(!alone.needs_before());
    assert_eq!(go_on(&alone, &[(Delete, 1, None, 1)]), ["Insert 1 NULL 1"]);
}

#[test]
fn an_update_that_changes_the_key_is_a_delete_and_an_insert_under_soft_delete() {
    let soft = |projection, primary_keys| {
        plan(&RuleText {
            projection: Some(projection),
            primary_keys,
            converter: Some("SOFT_DELETE"),
            ..RuleText::default()
        })
    };
    let moved =
        [(Before, 1, Some("eu"), 1), (After, 5, Some("eu"), 2), (Before, 6, None, 1), (After, 6, None, 2)];
    let by_id = soft("id, __data_event_type__ AS op", None);
    assert_eq!(go_on(&by_id, &moved), ["Insert 1 -D", "Insert 5 +I", "Before 6 -U", "After 6 +U"]);
    let other = [
        (Before, 1, Some("eu"), 1),
        (After, 1, Some("us"), 2),
        (Before, 2, Some("a"), 1),
        (After, 3, Some("a"), 2),
    ];
    let want = ["Insert 1 eu -D", "Insert 1 us +I", "Before 2 a -U", "After 3 a +U"];
    assert_eq!(go_on(&soft("id, region, __data_event_type__ AS op", Some("region")), &other), want);
    // A key that is computed changes with what it is computed of.
    let computed = soft("UPPER(region) AS area, __data_event_type__ AS op", Some("area"));
    let same_area = [
        (Before, 1, Some("eu"), 1),
        (After, 1, Some("EU"), 2),
        (Before, 2, Some("a"), 1),
        (After, 2, Some("b"), 2),
    ];
    assert_eq!(go_on(&computed, &same_area), ["Before EU -U", "After EU +U", "Insert A -D", "Insert B +I"]);
    // A filter sees them as what they are.
    let filtered = plan(&RuleText {
        projection: Some("id, __data_event_type__ AS op"),
        filter: Some("__data_event_type__ <> '-D'"),
        converter: Some("SOFT_DELETE"),
        ..RuleText::default()
    });
    assert_eq!(go_on(&filtered, &moved[..2]), ["Insert 5 +I"]);
}

#[test]
fn a_filter_sees_computed_columns_first() {
    let text = |filter| RuleText {
        projection: Some("id, VERSION * 10 AS VERSION"),
        filter: Some(filter),
        ..RuleText::default()
    };
    let rows = [(Insert, 1, None, 5), (Insert, 2, None, 50)];
    assert_eq!(go_on(&plan(&text("VERSION = 50")), &rows), ["Insert 1 50"]);
    assert_eq!(go_on(&plan(&text("region IS NULL AND id = 2")), &rows), ["Insert 2 500"]);
    let alias = |filter| RuleText {
        projection: Some("id AS version, VERSION AS number"),
        filter: Some(filter),
        ..RuleText::default()
    };
    assert_eq!(go_on(&plan(&alias("number = 50")), &rows), ["Insert 2 50"], "another name");
    assert_eq!(
        go_on(&plan(&alias("version = 5")), &rows),
        ["Insert 1 5"],
        "a name of the table is the table's"
    );
}

#[test]
fn the_row_before_is_asked_for_only_where_it_counts() {
    let filter = |filter| RuleText { filter: Some(filter), ..RuleText::default() };
    for (text, want) in [
        (filter("region = 'eu'"), false),
        (filter("__table_name__ = 'orders'"), false),
        (filter("__data_event_type__ = '+I'"), true),
        (filter("CURRENT_DATE > DATE '2024-01-01'"), true),
        (projection("id, UPPER(region) AS region"), false),
        (projection("id + 1 AS id"), true),
        (RuleText { primary_keys: Some("region"), ..RuleText::default() }, true),
        (RuleText { primary_keys: Some("id"), ..RuleText::default() }, false),
    ] {
        assert_eq!(plan(&text).needs_before(), want, "{text:?}");
    }
    // Without it, a row after that goes is a delete of its key.
    let plan = plan(&filter("region = 'eu'"));
    assert_eq!(
        go_on(&plan, &[(After, 1, Some("us"), 1), (After, 2, Some("eu"), 1)]),
        ["Delete 1 us 1", "After 2 eu 1"]
    );
}

#[test]
fn another_key_is_not_null_and_keeps_its_order() {
    let plan = plan(&RuleText {
        projection: Some("*, CONCAT(region, VERSION) AS code"),
        primary_keys: Some("code, `id`"),
        ..RuleText::default()
    });
    assert_eq!(plan.output.key, [3, 0]);
    assert!(!plan.output.columns[3].nullable);
    let done = plan.process(&batch(&plan.input, &[(Insert, 1, None, 1), (Insert, 2, Some("eu"), 1)]), NOW);
    let done = done.expect("the batch fits");
    assert_eq!((done.failed.len(), done.batch.rows()), (1, 1));
    assert!(done.failed[0].message.contains("`code` of the key is null"), "{:?}", done.failed);
    let alias = self::plan(&projection("region, id AS order_id"));
    assert_eq!(alias.output.key, [1], "a key column under another name is still the key");
    let (part, error) = try_plan(&projection("region")).expect_err("no key");
    assert!(part == Part::Projection && error.contains("`id` of the key is left out"), "{error}");
}

#[test]
fn a_failure_takes_its_row_out_and_no_other() {
    let text = RuleText {
        projection: Some("id, 10 / VERSION AS q"),
        filter: Some("100 / id > 1"),
        ..RuleText::default()
    };
    let rows = [
        (Insert, 1, None, 1),
        (Before, 2, None, 1),
        (After, 2, None, 0),
        (Insert, 0, None, 1),
        (Insert, 99, None, 0),
        (Insert, 5, None, 5),
    ];
    let done = plan(&text).process(&batch(&orders(), &rows), NOW).expect("the batch fits");
    let failed: Vec<_> = done.failed.iter().map(|failed| failed.row).collect();
    assert_eq!(failed, [1, 2, 3], "both images of an update, and the filter's failure");
    assert!(
        done.failed[0].message.contains("column `q` (`10 / VERSION`): division by zero"),
        "{:?}",
        done.failed
    );
    assert!(done.failed[2].message.contains("`filter`: division by zero"), "{:?}", done.failed);
    assert_eq!(done.dropped, 1, "the filter dropped the row before the projection could fail");
    assert_eq!(done.batch.rows(), 2);
    assert_eq!(done.batch.origins.iter().map(|o| o.first_row).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn op_ts_is_the_commit_time_in_milliseconds() {
    let settings = Settings { op_ts: true, ..Settings::default() };
    let rule = Rule::parse(&RuleText {
        projection: Some("id, op_ts AS at"),
        filter: Some("id > 1"),
        ..RuleText::default()
    });
    let plan = rule.expect("a rule").plan(&orders(), &Arc::new(settings)).expect("a plan");
    let rows = [(Insert, 1, None, 1), (Insert, 2, None, 1), (Insert, 3, None, 1)];
    assert_eq!(go_on(&plan, &rows), ["Insert 2 10000", "Insert 3 20000"]);
    let (_, error) = try_plan(&projection("id, op_ts AS at")).expect_err("not asked for");
    assert!(error.contains("metadata.list: op_ts"), "{error}");
}

#[test]
fn partition_keys_are_columns_that_go_on() {
    let text = |keys| RuleText {
        projection: Some("*, 'x' AS part"),
        partition_keys: Some(keys),
        ..RuleText::default()
    };
    let names: Vec<String> =
        plan(&text("part, region")).partition_keys.iter().map(|n| n.to_string()).collect();
    assert_eq!(names, ["part", "region"]);
    let (part, error) = try_plan(&text("parts")).expect_err("no such column");
    assert_eq!(
        (part, error.as_str()),
        (Part::PartitionKeys, "there is no column `parts` in what goes on; did you mean `part`?")
    );
}

#[test]
fn what_is_wrong_with_an_entry_is_told_by_its_option() {
    for (text, part, words) in [
        (projection("id, UPPER(region)"), Part::Projection, "`UPPER(region)` needs a name"),
        (projection("id, foo-bar"), Part::Projection, "has no column `foo`"),
        (projection("id, regoin"), Part::Projection, "did you mean `region`?"),
        (projection("id, UPER(region) AS r"), Part::Projection, "did you mean `UPPER`?"),
        (projection("id, 'x' AS __table_name__"), Part::Projection, "the name of a metadata column"),
        (projection("id, INTERVAL '1' DAY AS x"), Part::Projection, "cannot hold INTERVAL"),
        (RuleText { filter: Some("id + 1"), ..RuleText::default() }, Part::Filter, "expected a condition"),
        (RuleText { filter: Some("id = "), ..RuleText::default() }, Part::Filter, "found the end"),
        (RuleText { primary_keys: Some("id, ID"), ..RuleText::default() }, Part::PrimaryKeys, "named twice"),
        (
            RuleText { primary_keys: Some("uid"), ..RuleText::default() },
            Part::PrimaryKeys,
            "did you mean `id`?",
        ),
        (
            RuleText { converter: Some("soft_delete"), ..RuleText::default() },
            Part::Converter,
            "did you mean `SOFT_DELETE`?",
        ),
    ] {
        let (found, error) = try_plan(&text).err().unwrap_or_else(|| panic!("accepted: {text:?}"));
        assert_eq!(found, part, "{error}");
        assert!(error.contains(words), "{text:?}: {error}");
    }
}

#[test]
fn all_mistakes_of_an_entry_come_at_once() {
    let text = RuleText {
        projection: Some("a b c"),
        filter: Some("="),
        converter: Some("x"),
        ..RuleText::default()
    };
    let errors = Rule::parse(&text).expect_err("three mistakes");
    let parts: Vec<_> = errors.iter().map(|error| error.0).collect();
    assert_eq!(parts, [Part::Projection, Part::Filter, Part::Converter]);
}
