//! What a plugin does wrong while it runs is an error of one batch, and never more.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sluicebox_model::{ByteSize, RowKind, TableId, TableSchema, TransactionId};
use sluicebox_wasm::{Fault, Instance, Limits, WasmError};

use crate::support::{engine, inserts, instance, logged, numbered, numbered_schema, rows_of, spec};

/// A plugin that misbehaves, with a time limit that a loop reaches soon.
fn misbehaving(config: serde_json::Value, limits: Limits) -> Instance {
    let spec = sluicebox_wasm::PluginSpec { limits, ..spec("misbehaving", config) };
    engine().load(&spec).expect("it loads").instantiate().expect("it starts")
}

fn short() -> Limits {
    Limits { time: Duration::from_millis(20), ..Limits::default() }
}

fn fault(guest: &mut Instance) -> Fault {
    let schema = numbered_schema(true);
    let plan = guest.plan(1, &schema).expect("a plan");
    match guest.process(&plan, &inserts(&schema, 0..10), None) {
        Err(WasmError::Guest { plugin, table, fault }) => {
            assert_eq!((plugin.as_str(), table.to_string().as_str()), ("misbehaving", "shop.orders"));
            fault
        }
        other => panic!("expected a fault, found {other:?}"),
    }
}

#[test]
fn a_loop_is_stopped() {
    let mut guest = misbehaving(json!({ "does": "loop" }), short());
    let limit = Duration::from_millis(20) + 10 * Limits::TIME_A_ROW;
    assert_eq!(fault(&mut guest), Fault::Time(limit));
    assert_eq!(fault(&mut guest), Fault::Time(limit), "and so is the next one, in a new instance");
    assert_eq!((guest.stats().started, guest.stats().lost), (2, 2));
}

#[test]
fn loops_while_starting_and_planning_are_stopped() {
    let limits = Limits { time: Duration::from_millis(5), ..Limits::default() };
    let start = sluicebox_wasm::PluginSpec {
        limits: limits.clone(),
        ..spec("misbehaving", json!({ "does": "loop-at-start" }))
    };
    let error = engine().load(&start).expect("it loads").instantiate().err().expect("it does not start");
    assert!(
        matches!(&error, WasmError::Start { reason, .. } if reason.contains("time limit of 50ms")),
        "{error}"
    );

    let mut guest = misbehaving(json!({ "does": "loop-in-plan" }), limits);
    let error = guest.plan(1, &numbered_schema(true)).expect_err("it has no plan");
    assert!(
        matches!(&error, WasmError::Plan { reason, .. } if reason.contains("time limit of 50ms")),
        "{error}"
    );
}

#[test]
fn memory_above_the_limit_is_refused_and_named() {
    let limits = Limits { memory: ByteSize::mib(8), ..Limits::default() };
    let mut guest = misbehaving(json!({ "does": "eat-memory" }), limits);
    let Fault::Memory { wanted, limit } = fault(&mut guest) else { panic!("another fault") };
    assert_eq!(limit, ByteSize::mib(8));
    assert!(wanted > limit && wanted < ByteSize::mib(32), "{wanted}");
    assert!(guest.stats().memory_peak <= limit.get());
}

#[test]
fn a_plugin_that_cannot_even_begin_in_its_memory_does_not_start() {
    let limits = Limits { memory: ByteSize::kib(64), ..Limits::default() };
    let spec = sluicebox_wasm::PluginSpec { limits, ..spec("misbehaving", json!({ "does": "nothing" })) };
    let error = engine().load(&spec).expect("it loads").instantiate().err().expect("it does not start");
    assert!(
        matches!(&error, WasmError::Start { reason, .. } if reason.contains("above its limit of 64KiB")),
        "{error}"
    );
}

#[test]
fn a_plugin_of_more_modules_or_larger_tables_than_it_may_have_does_not_start() {
    for (name, limits, told) in [
        (
            // It has an adapter beside its own module.
            "preview1",
            Limits { instances: 1, ..Limits::default() },
            "more core modules than its limit of 1 (`limits.instances`",
        ),
        (
            "misbehaving",
            Limits { table_elements: 1, ..Limits::default() },
            "above its limit of 1 (`limits.table-elements`",
        ),
    ] {
        let spec = sluicebox_wasm::PluginSpec { limits, ..spec(name, json!({ "does": "nothing" })) };
        let error = engine().load(&spec).expect("it loads").instantiate().err().expect("it does not start");
        assert!(
            matches!(&error, WasmError::Start { reason, .. } if reason.contains(told)),
            "{name}: {error}"
        );
    }
}

#[test]
fn a_trap_names_the_function_and_the_next_batch_finds_a_new_instance() {
    let mut guest = misbehaving(json!({ "does": "trap", "at": 3 }), Limits::default());
    let Fault::Trap(report) = fault(&mut guest) else { panic!("another fault") };
    // The compiler has put all of the plugin into the one function that the host calls.
    assert!(report.contains("unreachable") && report.contains("plugin@0.2.0#process"), "{report}");
    let schema = numbered_schema(true);
    let plan = guest.plan(1, &schema).expect("a plan");
    let processed =
        guest.process(&plan, &inserts(&schema, 4..9), None).expect("without row 3 it is processed");
    assert_eq!(processed.batch.rows(), 5);
    assert_eq!((guest.stats().started, guest.stats().lost), (2, 1));
}

#[test]
fn an_error_of_the_plugins_own_leaves_its_instance_alive() {
    let mut guest = instance("misbehaving", json!({ "does": "say-error" }));
    let said = fault(&mut guest);
    assert!(said.words().starts_with("I cannot, with é0é1"), "{said:?}");
    assert_eq!(said.to_string(), "it gave an error of its own", "its words can quote a row");
    assert_eq!((guest.stats().started, guest.stats().lost), (1, 0));
}

#[test]
fn output_that_breaks_the_interface_is_refused() {
    for (does, complaint) in [
        ("few-values", "column `name`: it has 10 offsets for 10 rows"),
        ("no-column", "it has 0 columns, the plan computes 1"),
        ("wrong-list", "column `name`: it came as a list of signed numbers"),
        ("bad-offsets", "column `name`: its offsets do not begin at 0"),
        ("offsets-past-the-end", "column `name`: its offsets do not begin at 0, rise and end with the data"),
        ("bad-utf8", "column `name`: it holds what is not UTF-8"),
        ("split-character", "column `name`: it holds what is not UTF-8"),
        ("forbidden-null", "column `name`: it holds a null"),
        ("short-bitmap", "the bitmap of nulls has 0 bytes, 10 rows have 2"),
        ("short-keep", "the bitmap of verdicts has 0 bytes, 10 rows have 2"),
        ("row-out-of-range", "it condemns row 10 of 10"),
    ] {
        let mut guest = instance("misbehaving", json!({ "does": does }));
        let Fault::Output(reason) = fault(&mut guest) else { panic!("{does}: another fault") };
        assert!(reason.contains(complaint), "{does}: {reason}");
    }
}

#[test]
fn more_output_than_allowed_is_refused_before_it_is_copied() {
    let mut guest = misbehaving(
        json!({ "does": "huge-output" }),
        Limits { memory: ByteSize::mib(256), ..Limits::default() },
    );
    let Fault::Output(reason) = fault(&mut guest) else { panic!("another fault") };
    assert!(reason.contains("more than `limits.output`"), "{reason}");
}

#[test]
fn only_the_rows_that_make_it_fail_are_taken_out() {
    for does in ["trap", "eat-memory", "say-error", "bad-utf8", "short-keep"] {
        let limits = Limits { memory: ByteSize::mib(8), ..Limits::default() };
        let mut guest = misbehaving(json!({ "does": does, "at": 1_203 }), limits);
        let schema = numbered_schema(true);
        let plan = guest.plan(1, &schema).expect("a plan");
        let processed =
            guest.process_isolating(&plan, &inserts(&schema, 0..1_500), None).expect("the others go on");
        let failed: Vec<_> = processed.failed.iter().map(|failed| failed.row).collect();
        assert_eq!(failed, [1_203], "{does}");
        let rest: Vec<_> = (0..1_500).filter(|n| *n != 1_203).map(|n| (RowKind::Insert, n)).collect();
        assert_eq!(rows_of(&processed.batch), rest, "{does}");
        assert_eq!(processed.batch.origins.len(), 1, "{does}");
        let stats = guest.stats();
        assert_eq!((stats.rows_in, stats.kept, stats.failed), (1_500, 1_499, 1), "{does}");
    }
}

#[test]
fn a_loop_on_one_row_costs_that_row_and_its_other_half() {
    use RowKind::{After, Before, Insert};
    let mut guest = misbehaving(json!({ "does": "loop", "at": 9 }), short());
    let schema = numbered_schema(true);
    let plan = guest.plan(1, &schema).expect("a plan");
    let rows = [(Insert, 1), (Before, 2), (After, 9), (Insert, 3), (After, 4)];
    let processed =
        guest.process_isolating(&plan, &numbered(&schema, &rows), None).expect("the others go on");
    assert_eq!(rows_of(&processed.batch), [(Insert, 1), (Insert, 3), (After, 4)]);
    assert_eq!(processed.failed.iter().map(|failed| failed.row).collect::<Vec<_>>(), [1, 2]);
    assert!(processed.failed[0].message.contains("time limit"), "{}", processed.failed[0].message);
}

#[test]
fn a_plugin_that_fails_on_every_row_is_broken() {
    let mut guest = instance("misbehaving", json!({ "does": "trap" }));
    let schema = numbered_schema(true);
    let plan = guest.plan(1, &schema).expect("a plan");
    let error = guest.process_isolating(&plan, &inserts(&schema, 0..100), None).expect_err("it is given up");
    assert!(matches!(error, WasmError::Broken { rows: 17, .. }), "{error}");
}

#[test]
fn a_plugin_of_which_nothing_comes_in_three_batches_in_a_row_is_broken() {
    let mut guest = instance("misbehaving", json!({ "does": "trap", "at": 3 }));
    let schema = numbered_schema(true);
    let plan = guest.plan(1, &schema).expect("a plan");
    let mut failed =
        |numbers| guest.process_isolating(&plan, &inserts(&schema, numbers), None).map(|p| p.failed.len());
    for _ in 0..3 {
        assert_eq!(failed(3..4).ok(), Some(1));
        assert_eq!(failed(3..4).ok(), Some(1));
        assert_eq!(failed(3..5).ok(), Some(1), "a batch of which something came ends the row");
    }
    assert_eq!(failed(3..4).ok(), Some(1));
    assert_eq!(failed(3..4).ok(), Some(1));
    let error = failed(3..4).expect_err("it is given up");
    assert!(matches!(error, WasmError::Broken { rows: 1, .. }), "{error}");
}

#[test]
fn log_lines_name_plugin_table_and_position_and_those_above_the_limit_are_counted() {
    let mut guest =
        misbehaving(json!({ "does": "flood-log" }), Limits { log_lines: 10, ..Limits::default() });
    let schema = numbered_schema(true);
    let plan = guest.plan(1, &schema).expect("a plan");
    let mut batch = inserts(&schema, 0..1);
    let transaction = TransactionId { gtid: None, file: "binlog.000007".into(), offset: 4711 };
    batch.origins[0].transaction = Some(Arc::new(transaction));
    let text = logged(|| {
        guest.process(&plan, &batch, None).expect("it is processed");
    });
    // Should the call fall into two seconds, ten more get through.
    let dropped = guest.stats().log_lines_dropped;
    assert!([990, 980].contains(&dropped), "{dropped}");
    assert!(
        text.contains("line 9")
            && text.contains(r#"plugin="misbehaving" table="shop.orders" position="binlog.000007:4711""#),
        "{text}"
    );
    assert!(!text.contains("line 500"), "{text}");
}

#[test]
fn what_it_says_when_it_forgets_a_table_is_about_that_table() {
    let mut guest = instance("misbehaving", json!({ "does": "log-forgetting" }));
    let (first, mut other) = (numbered_schema(true), TableSchema::clone(&numbered_schema(true)));
    other.id = TableId::new("shop", "others");
    let other = Arc::new(other);
    guest.plan(1, &first).expect("a plan");
    let plan = guest.plan(2, &other).expect("a plan");
    let mut batch = inserts(&other, 0..1);
    let transaction = TransactionId { gtid: None, file: "binlog.000007".into(), offset: 4711 };
    batch.origins[0].transaction = Some(Arc::new(transaction));
    guest.process(&plan, &batch, None).expect("it is processed");
    let text = logged(|| guest.forget(1));
    assert!(text.contains(r#"table="shop.orders" position="" text="forgotten""#), "{text}");
}

#[test]
fn an_instance_that_never_frees_is_replaced_before_it_fails() {
    let mut guest =
        misbehaving(json!({ "does": "leak" }), Limits { memory: ByteSize::mib(8), ..Limits::default() });
    let schema = numbered_schema(true);
    let plan = guest.plan(1, &schema).expect("a plan");
    for _ in 0..40 {
        guest.process(&plan, &inserts(&schema, 0..1), None).expect("it is processed");
    }
    let stats = guest.stats();
    assert_eq!(stats.lost, 0);
    assert!(stats.recycled >= 4, "{stats:?}");
}
