//! Planning tables, over instances.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use serde_json::json;
use sluicebox_model::{ColumnType, TableId, TableSchema};
use sluicebox_wasm::{Action, Source, WasmError};

use crate::support::{batch, column, engine, inserts, instance, numbered_schema, schema, spec};

#[test]
fn a_refused_configuration_is_told_in_the_plugins_words() {
    let refused = |name, config| {
        engine()
            .load(&spec(name, config))
            .expect("it loads")
            .instantiate()
            .err()
            .expect("it does not start")
            .to_string()
    };
    let own = refused("misbehaving", json!({ "does": "refuse-config" }));
    assert_eq!(own, "plugin `misbehaving` did not start: I will not");
    let unknown = refused("mask-email", json!({ "colums": ["email"] }));
    assert!(unknown.contains("unknown field `colums`"), "{unknown}");
    let trap = refused("misbehaving", json!({ "does": "trap-at-start" }));
    assert!(trap.contains("unreachable"), "{trap}");
}

#[test]
fn a_table_without_a_usable_plan_is_refused_with_the_reason() {
    for (does, complaint) in [
        ("refuse-table", "I do not like `orders`"),
        ("trap-in-plan", "unreachable"),
        ("impossible-plan", "it names input column 99, the table has 2"),
        ("expanding-plan", "it makes several rows of one"),
    ] {
        let mut guest = instance("misbehaving", json!({ "does": does }));
        let error = guest.plan(1, &numbered_schema(true)).expect_err("it has no plan");
        assert!(
            matches!(&error, WasmError::Plan { reason, .. } if reason.contains(complaint)),
            "{does}: {error}"
        );
    }
    let mut guest = instance("mask-email", json!({ "columns": ["email"] }));
    let error = guest.plan(1, &numbered_schema(true)).expect_err("it has no plan").to_string();
    assert_eq!(
        error,
        "plugin `mask-email` has no plan for `shop.orders`: table `orders` has no column `email`"
    );
}

#[test]
fn renaming_and_projecting_never_calls_the_guest() {
    let input = Arc::new(TableSchema {
        id: TableId::new("shop", "orders"),
        version: 3,
        columns: vec![
            column("id", ColumnType::Int, false),
            column("note", ColumnType::Text, true),
            column("Order_No", ColumnType::BigInt, false),
        ],
        key: vec![2, 0],
        comment: Some("all orders".into()),
        charset: None,
        unique_keys: Vec::new(),
        ddl: None,
    });
    let config = json!({ "table": "orders_clean", "rename": { "order_no": "number" }, "remove": ["note"] });
    let mut guest = instance("rename-project", config);
    let plan = guest.plan(1, &input).expect("a plan");
    assert_eq!(plan.action, Action::Pass);
    assert_eq!(plan.output.id, TableId::new("shop", "orders_clean"));
    assert_eq!(plan.output.columns.iter().map(|c| &*c.name).collect::<Vec<_>>(), ["id", "number"]);
    assert_eq!(plan.output.columns[1].source_type, input.columns[2].source_type);
    assert_eq!(plan.output.key, [1, 0], "the key is followed to its columns' new places");
    assert_eq!(plan.sources, [Source::Input(0), Source::Input(2)]);
    assert!(!plan.needs_before());

    let int = |values: [i64; 2]| -> arrow::array::ArrayRef {
        Arc::new(arrow::array::Int64Array::from(values.to_vec()))
    };
    let notes = Arc::new(arrow::array::StringArray::from(vec![None, Some("x")]));
    let batch =
        batch(&input, vec![sluicebox_model::RowKind::Insert; 2], vec![int([1, 2]), notes, int([8, 9])]);
    let out = guest.process(&plan, &batch, None).expect("it is processed").batch;
    assert_eq!(out.schema, plan.output);
    assert_eq!(out.columns.len(), 2);
    assert!(Arc::ptr_eq(&out.columns[1], &batch.columns[2]), "the very same array");
    assert_eq!(guest.stats().calls, 0);
}

#[test]
fn leaving_out_a_key_column_is_an_error_of_the_plan() {
    let mut guest = instance("rename-project", json!({ "remove": ["id"] }));
    let error = guest.plan(1, &numbered_schema(true)).expect_err("it has no plan").to_string();
    assert!(error.contains("column `id` of the key and names no other key"), "{error}");
    assert!(guest.plan(2, &numbered_schema(false)).is_ok(), "without a key there is nothing to leave out");
}

#[test]
fn a_masked_key_makes_the_row_before_necessary() {
    let keyed_by_name = schema(
        vec![column("id", ColumnType::BigInt, false), column("name", ColumnType::Text, false)],
        vec![1],
    );
    let mut guest = instance("mask-email", json!({ "columns": ["name"] }));
    let plan = guest.plan(1, &keyed_by_name).expect("a plan");
    assert_eq!(plan.output.key, [1]);
    assert!(plan.needs_before() && !plan.before);
    let lone = crate::support::numbered(&keyed_by_name, &[(sluicebox_model::RowKind::After, 1)]);
    let error = guest.process(&plan, &lone, None).expect_err("the row before is missing");
    assert!(matches!(error, WasmError::Batch { .. }), "{error}");
}

#[test]
fn a_plan_made_by_one_instance_serves_another_and_outlives_both_their_failures() {
    let plugin = engine().load(&spec("misbehaving", json!({ "does": "trap", "at": 99 }))).expect("it loads");
    let (mut coordinator, mut worker) =
        (plugin.instantiate().expect("one"), plugin.instantiate().expect("two"));
    let schema = numbered_schema(true);
    let plan = coordinator.plan(7, &schema).expect("a plan");
    assert_eq!(
        worker.process(&plan, &inserts(&schema, 0..5), None).expect("it is processed").batch.rows(),
        5
    );
    worker.process(&plan, &inserts(&schema, 95..105), None).expect_err("it traps");
    assert_eq!(
        worker.process(&plan, &inserts(&schema, 0..5), None).expect("it is processed").batch.rows(),
        5
    );
    worker.forget(7);
    assert_eq!(worker.process(&plan, &inserts(&schema, 0..5), None).expect("it plans again").batch.rows(), 5);
}

#[test]
fn a_plan_that_turns_out_differently_is_refused() {
    let mut guest = instance("misbehaving", json!({ "does": "changing-plan" }));
    let schema = numbered_schema(true);
    let first = guest.plan(1, &schema).expect("a plan");
    guest.plan(1, &schema).expect("another plan");
    let error =
        guest.process(&first, &inserts(&schema, 0..1), None).expect_err("the first one no longer holds");
    assert!(error.to_string().contains("differently each time"), "{error}");
}

#[test]
fn a_batch_that_does_not_fit_its_plan_is_the_callers_error() {
    let schema = numbered_schema(true);
    let mut guest = instance("misbehaving", json!({ "does": "nothing" }));
    let plan = guest.plan(1, &schema).expect("a plan");
    let good = inserts(&schema, 0..4);
    let mut other_schema = good.clone();
    other_schema.schema = numbered_schema(false);
    let mut short = good.clone();
    short.columns[1] = short.columns[1].slice(0, 3);
    let mut swapped = good.clone();
    swapped.columns.swap(0, 1);
    let mut torn = good.clone();
    torn.kinds[3] = sluicebox_model::RowKind::Before;
    for (name, batch) in
        [("schema", other_schema), ("length", short), ("kind", swapped), ("half an update", torn)]
    {
        let error = guest.process(&plan, &batch, None).expect_err(name);
        assert!(matches!(error, WasmError::Batch { .. }), "{name}: {error}");
    }
    let out = guest.process(&plan, &good, None).expect("it is processed").batch;
    assert_eq!(out.columns[1].as_string::<i32>().value(3), "é3");
    assert_eq!(out.columns[1].len(), 4);
}
