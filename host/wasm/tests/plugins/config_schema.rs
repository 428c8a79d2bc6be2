//! A plugin's configuration is held against the schema that the plugin carries.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};
use sluicebox_wasm::{PluginSpec, WasmError, inspect};

use crate::support::{engine, folder, plugin_path, spec};

fn misfit(spec: &PluginSpec) -> String {
    match engine().load(spec) {
        Err(error @ WasmError::Config { .. }) => error.to_string(),
        other => panic!("its configuration fits: {:?}", other.map(|plugin| plugin.name().to_owned())),
    }
}

#[test]
fn a_configuration_that_does_not_fit_is_told_before_anything_runs() {
    let wrong = misfit(&spec("split-tags", json!({ "colunm": "tags", "into": "tag" })));
    let told = "the configuration of plugin `split-tags` does not fit: ";
    assert!(wrong.starts_with(told), "{wrong}");
    assert!(wrong.contains("`config`: unknown option `colunm`; did you mean `column`?"), "{wrong}");
    assert!(wrong.contains("\"column\" is a required property"), "{wrong}");
    let none = misfit(&spec("split-tags", Value::Null));
    assert!(none.contains("`config`: value is not of type \"object\""), "{none}");
    let found = inspect(&plugin_path("split-tags")).expect("it can be read").config_schema.expect("a schema");
    assert_eq!(found["required"], json!(["column", "into"]));
    assert_eq!(inspect(&plugin_path("orders")).expect("it can be read").config_schema, None);
}

#[test]
fn a_schema_survives_being_compiled_ahead_of_time_and_can_be_put_into_any_component() {
    let folder = folder();
    let path = folder.path().join("split-tags.compiled");
    std::fs::write(&path, engine().precompile(&plugin_path("split-tags")).expect("it compiles"))
        .expect("a file");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("closed to others");
    let compiled = PluginSpec { path, precompiled: true, ..spec("split-tags", json!({ "into": 1 })) };
    assert!(misfit(&compiled).contains("`config.into`: value is not of type \"string\""));

    let path = folder.path().join("orders.wasm");
    let schema = br#"{ "type": "null" }"#;
    let bytes = engine().component_bytes(&plugin_path("orders"), Some(schema)).expect("a component");
    std::fs::write(&path, bytes).expect("a file");
    let with_schema = |config| PluginSpec { path: path.clone(), ..spec("orders", config) };
    assert!(engine().load(&with_schema(Value::Null)).is_ok());
    assert!(misfit(&with_schema(json!({}))).contains("value is not of type \"null\""));
    let refused = engine().component_bytes(&plugin_path("orders"), Some(b"{")).expect_err("no schema");
    assert!(refused.to_string().contains("the schema of its configuration is none"), "{refused}");
}
