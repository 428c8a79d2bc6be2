//! Modules for WASI preview 1 run, on a system that has nothing to give.

use arrow::array::AsArray;
use arrow::datatypes::UInt64Type;
use serde_json::{Value, json};
use sluicebox_wasm::PluginSpec;

use crate::support::{engine, folder, inserts, instance, numbered_schema, spec};

/// What a fresh instance says in columns of this name, for two rows.
fn asked(name: &str) -> Vec<u64> {
    let schema = numbered_schema(true);
    let mut instance = instance("preview1", Value::Null);
    let plan = instance.plan(1, &schema).expect("a plan");
    let processed = instance.process(&plan, &inserts(&schema, 0..2), None).expect("it runs");
    let place = plan.output.columns.iter().position(|column| &*column.name == name).expect("a column");
    processed.batch.columns[place].as_primitive::<UInt64Type>().values().to_vec()
}

#[test]
fn the_outside_is_answered_with_nothing_and_always_the_same() {
    assert_eq!(asked("time"), [1000, 2000], "a clock that counts its questions");
    assert_eq!(asked("variables"), [0, 0], "an empty environment");
    assert_eq!(asked("errno"), [8, 8], "no descriptor to open a file from");
    let random = asked("random");
    assert_ne!(random[0], random[1]);
    assert_eq!(asked("random"), random, "the same numbers in each instance");
}

#[test]
fn what_nothing_can_answer_is_refused_by_its_name() {
    let module = wat::parse_str(
        r#"(module (import "wasi_snapshot_preview1" "sock_accept" (func (param i32 i32 i32) (result i32)))
            (memory (export "memory") 1))"#,
    );
    let folder = folder();
    let path = folder.path().join("sockets.wasm");
    std::fs::write(&path, module.expect("valid text")).expect("a file");
    let spec = PluginSpec { path, ..spec("mask-email", json!({})) };
    let refused = engine().load(&spec).err().expect("it is refused").to_string();
    assert!(refused.contains("sock_accept"), "{refused}");
}
