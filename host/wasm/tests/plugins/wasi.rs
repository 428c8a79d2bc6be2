//! WASI for plugins that are granted it.

use std::time::{SystemTime, UNIX_EPOCH};

use arrow::array::{Array, AsArray};
use arrow::datatypes::UInt64Type;
use serde_json::Value;
use sluicebox_model::ChangeBatch;
use sluicebox_wasm::{Grants, PluginSpec, WasiGrants, WasmError, inspect};

use crate::support::{engine, folder, inserts, logged, numbered_schema, plugin_path, spec};

fn granted(wasi: WasiGrants) -> PluginSpec {
    PluginSpec { grants: Grants { wasi, ..Grants::default() }, ..spec("asks-wasi", Value::Null) }
}

fn column<'b>(batch: &'b ChangeBatch, name: &str) -> &'b dyn Array {
    let place = batch.schema.columns.iter().position(|column| &*column.name == name).expect("a column");
    batch.columns[place].as_ref()
}

#[test]
fn what_is_granted_is_there_and_nothing_else_of_the_host() {
    let readable = folder();
    let spec = granted(WasiGrants {
        clocks: true,
        random: true,
        stdio: true,
        environment: Some(vec![("REGION".into(), "eu".into())]),
        filesystem: vec![("/data".into(), readable.path().to_owned())],
    });
    let mut instance = engine().load(&spec).expect("it loads").instantiate().expect("it starts");
    let schema = numbered_schema(true);
    let plan = instance.plan(1, &schema).expect("a plan");
    // It wants to sleep for an hour with each row, and does not.
    let mut batch = None;
    let log = logged(|| batch = instance.process(&plan, &inserts(&schema, 0..2), None).ok());
    let batch = batch.expect("it is processed").batch;
    assert_eq!(log.matches(r#"text="said on standard output""#).count(), 2, "{log}");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
    let seconds = column(&batch, "seconds").as_primitive::<UInt64Type>().value(0);
    assert!((now - 600..=now).contains(&seconds), "{seconds} is not near {now}");
    let random = column(&batch, "random").as_primitive::<UInt64Type>();
    assert_ne!(random.value(0), random.value(1));
    assert_eq!(column(&batch, "variables").as_string::<i32>().value(0), "REGION=eu");
    assert_eq!(column(&batch, "folders").as_string::<i32>().value(0), "/data");
}

#[test]
fn what_is_not_granted_is_named_with_the_word_that_grants_it() {
    let refusal = |wasi| match engine().load(&granted(wasi)) {
        Err(error @ WasmError::Load { .. }) => error.to_string(),
        other => panic!("it is refused: {:?}", other.map(|plugin| plugin.name().to_owned())),
    };
    let none = refusal(WasiGrants::default());
    for capability in ["`clocks`, `environment`, `filesystem`, `random`, `stdio`", "`wasi:io/streams@0.2.0`"]
    {
        assert!(none.contains(capability), "{none}");
    }
    let some = refusal(WasiGrants { clocks: true, stdio: true, ..WasiGrants::default() });
    assert!(some.contains("grant it `environment`, `filesystem`, `random` under `wasi`"), "{some}");
    assert!(!some.contains("wasi:clocks") && !some.contains("wasi:io"), "{some}");
    let looked_at = inspect(&plugin_path("asks-wasi")).expect("it can be read");
    assert!(looked_at.loads.is_err_and(|reason| reason.contains("under `wasi` in the pipeline file")));
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let spec = granted(WasiGrants {
        clocks: true,
        random: true,
        stdio: true,
        environment: Some(Vec::new()),
        filesystem: vec![("/data".into(), "/nowhere/at/all".into())],
    });
    let error = engine().load(&spec).expect("it loads").instantiate().err().expect("it does not start");
    assert!(error.to_string().contains("cannot open the folder `/nowhere/at/all`"), "{error}");
}
