//! What becomes of rows by what the plugin says about each.

use RowKind::{After, Before, Delete, Insert, Read};
use serde_json::json;
use sluicebox_model::RowKind;

use crate::support::{LANGUAGES, inserts, instance, numbered, numbered_schema, rows_of};

/// The plugin drops odd numbers.
#[test]
fn an_update_that_crosses_the_filter_becomes_a_delete_or_an_insert() {
    let cases = [
        ("update", vec![(Before, 2), (After, 4)], vec![(Before, 2), (After, 4)]),
        ("out of the filter", vec![(Before, 2), (After, 3)], vec![(Delete, 2)]),
        ("into the filter", vec![(Before, 3), (After, 2)], vec![(Insert, 2)]),
        ("outside", vec![(Before, 3), (After, 5)], vec![]),
        ("after alone, inside", vec![(After, 2)], vec![(After, 2)]),
        ("after alone, outside", vec![(After, 3)], vec![(Delete, 3)]),
        (
            "insert, delete, read",
            vec![(Insert, 2), (Delete, 4), (Read, 6)],
            vec![(Insert, 2), (Delete, 4), (Read, 6)],
        ),
        ("the same outside", vec![(Insert, 1), (Delete, 3), (Read, 5)], vec![]),
    ];
    let schema = numbered_schema(true);
    let mut guest = instance("misbehaving", json!({ "does": "drop-odd-rows" }));
    let plan = guest.plan(1, &schema).expect("a plan");
    for (name, rows, wanted) in &cases {
        let processed = guest.process(&plan, &numbered(&schema, rows), None).expect("it is processed");
        assert_eq!(rows_of(&processed.batch), *wanted, "{name}");
        assert_eq!(processed.dropped, (rows.len() - wanted.len()) as u64, "{name}");
    }
    let all: Vec<_> = cases.iter().flat_map(|(_, rows, _)| rows.clone()).collect();
    let wanted: Vec<_> = cases.iter().flat_map(|(_, _, wanted)| wanted.clone()).collect();
    let processed = guest.process(&plan, &numbered(&schema, &all), None).expect("it is processed");
    assert_eq!(rows_of(&processed.batch), wanted, "all in one batch");
}

#[test]
fn without_a_key_a_row_after_that_goes_is_dropped() {
    let schema = numbered_schema(false);
    let mut guest = instance("misbehaving", json!({ "does": "drop-odd-rows" }));
    let plan = guest.plan(1, &schema).expect("a plan");
    let processed =
        guest.process(&plan, &numbered(&schema, &[(After, 3), (After, 4)]), None).expect("it is processed");
    assert_eq!(rows_of(&processed.batch), [(After, 4)]);
    assert_eq!(processed.dropped, 1);
}

#[test]
fn an_update_is_never_cut_in_two_calls() {
    let schema = numbered_schema(true);
    let mut guest = instance("misbehaving", json!({ "does": "drop-odd-rows" }));
    let plan = guest.plan(1, &schema).expect("a plan");
    for inserts in [1_022, 1_023, 1_024] {
        let mut rows: Vec<_> = (0..inserts).map(|n| (Insert, 2 * n)).collect();
        for n in 0..800 {
            rows.extend([(Before, 2 * n), (After, 2 * n + 1)]);
        }
        let processed = guest.process(&plan, &numbered(&schema, &rows), None).expect("it is processed");
        let found = rows_of(&processed.batch);
        assert_eq!(found.len() as i64, inserts + 800);
        assert!(found[inserts as usize..].iter().all(|(kind, _)| *kind == Delete), "{inserts}");
    }
}

#[test]
fn a_condemned_row_takes_the_other_half_of_its_update_with_it() {
    let schema = numbered_schema(true);
    let mut guest = instance("misbehaving", json!({ "does": "row-errors", "at": 7 }));
    let plan = guest.plan(1, &schema).expect("a plan");
    let rows = [
        (Insert, 7),
        (Before, 1),
        (After, 7),
        (Insert, 2),
        (Before, 7),
        (After, 3),
        (After, 4),
        (Before, 5),
        (After, 6),
    ];
    let processed = guest.process(&plan, &numbered(&schema, &rows), None).expect("it is processed");
    assert_eq!(rows_of(&processed.batch), [(Insert, 2), (After, 4), (Before, 5), (After, 6)]);
    let failed: Vec<_> = processed.failed.iter().map(|failed| failed.row).collect();
    assert_eq!(failed, [0, 1, 2, 4, 5]);
    for row in &processed.failed {
        assert!(row.message.starts_with("no 7 with ") && row.message.len() <= 1_024, "{}", row.message.len());
    }
    assert_eq!(processed.dropped, 0);
}

#[test]
fn an_error_of_the_sdks_row_function_condemns_that_row() {
    let schema = numbered_schema(false);
    for language in LANGUAGES {
        let name = &*format!("every-kind{language}");
        let mut guest = instance(name, json!({ "refuse": 5 }));
        let plan = guest.plan(1, &schema).expect("a plan");
        let rows = [(Insert, 4), (Insert, 5), (Before, 5), (After, 6), (Insert, 7)];
        let processed = guest.process(&plan, &numbered(&schema, &rows), None).expect("it is processed");
        assert_eq!(rows_of(&processed.batch), [(Insert, 4), (Insert, 7)], "{name}");
        let failed: Vec<_> = processed.failed.iter().map(|failed| (failed.row, &*failed.message)).collect();
        let wanted =
            [(1, "row refused as other"), (2, "row refused as before"), (3, "row refused as before")];
        assert_eq!(failed, wanted, "{name}");
    }
}

#[test]
fn rows_that_go_on_keep_their_origins() {
    let schema = numbered_schema(true);
    let mut guest = instance("misbehaving", json!({ "does": "drop-odd-rows" }));
    let plan = guest.plan(1, &schema).expect("a plan");
    let mut batch = inserts(&schema, 0..10);
    let run = |first_row, ordinal| sluicebox_model::Origin { first_row, ordinal, ..batch.origins[0].clone() };
    batch.origins = vec![run(0, 1), run(1, 2), run(2, 3), run(9, 4)];
    let out = guest.process(&plan, &batch, None).expect("it is processed").batch;
    let found: Vec<_> = out.origins.iter().map(|origin| (origin.first_row, origin.ordinal)).collect();
    assert_eq!(rows_of(&out).len(), 5);
    assert_eq!(found, [(0, 1), (1, 3)], "row 0, then rows 2 to 8");
}

#[test]
fn every_row_is_kept_dropped_or_failed() {
    let schema = numbered_schema(true);
    let mut guest = instance("misbehaving", json!({ "does": "drop-odd-rows" }));
    let plan = guest.plan(1, &schema).expect("a plan");
    guest.process(&plan, &inserts(&schema, 0..3_001), None).expect("it is processed");
    let stats = guest.stats();
    assert_eq!((stats.rows_in, stats.kept, stats.dropped, stats.failed), (3_001, 1_501, 1_500, 0));
    assert_eq!(stats.calls, 3);
    assert!(stats.memory > 0 && stats.memory_peak >= stats.memory);
}
