//! Files that are no plugins are refused with what they are and want.

use std::path::PathBuf;

use serde_json::json;
use sluicebox_wasm::{PluginSpec, WasmError, inspect};

use crate::support::{engine, folder, plugin_path, spec};

fn file(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).expect("a file");
    path
}

fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("valid text")
}

fn refusal(path: PathBuf) -> String {
    let spec = PluginSpec { path: path.clone(), ..spec("mask-email", json!({})) };
    let refused = engine().load(&spec).err().expect("it is refused");
    assert!(matches!(refused, WasmError::Load { .. }), "{refused}");
    let loads = inspect(&path).expect("it can be read").loads.expect_err("it would be refused");
    assert!(refused.to_string().ends_with(&loads), "`{refused}` and `{loads}` are the same");
    loads
}

#[test]
fn a_file_that_is_no_component_is_refused() {
    let folder = folder();
    for (name, bytes, complaint) in [
        ("text", &b"#!/bin/sh\n"[..], "it is not WebAssembly"),
        ("empty", b"", "it is not WebAssembly"),
        ("future", b"\0asm\x09\0\0\0", "unknown version"),
        ("torn", b"\0asm\x0d\0\x01\0\x01\xff", "it does not compile"),
        ("module", &component("(module)"), "it exports nothing, not `sluicebox:transform/plugin@0.2.0`"),
    ] {
        let reason = refusal(file(&folder, name, bytes));
        assert!(reason.contains(complaint), "{name}: {reason}");
    }
    let gone = PluginSpec { path: folder.path().join("gone.wasm"), ..spec("mask-email", json!({})) };
    assert!(matches!(engine().load(&gone), Err(WasmError::Load { .. })));
}

/// As a reader finds a file that is just being written.
#[test]
fn a_part_of_a_module_is_refused() {
    let folder = folder();
    let whole = std::fs::read(spec("mask-email-c", json!({})).path).expect("a plugin");
    // The last section can be missing without harm.
    for eighth in 0..7 {
        let part = &whole[..whole.len() * eighth / 8];
        let reason = refusal(file(&folder, "part.wasm", part));
        assert!(!reason.is_empty(), "{eighth} eighths");
    }
}

#[test]
fn a_component_of_another_world_is_told_what_was_expected() {
    let folder = folder();
    let other = component(r#"(component (instance $i) (export "wasi:cli/run@0.2.0" (instance $i)))"#);
    let reason = refusal(file(&folder, "other.wasm", &other));
    let wanted = "it is no transform plugin: it exports `wasi:cli/run@0.2.0`, not \
                  `sluicebox:transform/plugin@0.2.0` or `sluicebox:transform/plugin@0.1.0`";
    assert_eq!(reason, wanted);

    let newer =
        component(r#"(component (instance $i) (export "sluicebox:transform/plugin@0.3.0" (instance $i)))"#);
    let path = file(&folder, "newer.wasm", &newer);
    let reason = refusal(path.clone());
    assert_eq!(
        reason,
        "it speaks `sluicebox:transform/plugin@0.3.0`, this host speaks `sluicebox:transform/plugin@0.2.0` and \
         `sluicebox:transform/plugin@0.1.0`"
    );
    assert_eq!(inspect(&path).expect("it can be read").version.as_deref(), Some("0.3.0"));
}

#[test]
fn an_import_that_is_not_ours_is_named() {
    let folder = folder();
    let greedy = component(
        r#"(component
            (import "wasi:filesystem/preopens@0.2.0" (instance))
            (import "sluicebox:transform/types@0.1.0" (instance))
            (import "fetch" (func))
            (instance $i)
            (export "sluicebox:transform/plugin@0.1.0" (instance $i)))"#,
    );
    let reason = refusal(file(&folder, "greedy.wasm", &greedy));
    assert!(
        reason.starts_with("it imports `wasi:filesystem/preopens@0.2.0`, `fetch`; plugins are given no"),
        "{reason}"
    );
    let ahead = component(
        r#"(component
            (import "sluicebox:transform/clock@0.2.0" (instance))
            (instance $i)
            (export "sluicebox:transform/plugin@0.1.0" (instance $i)))"#,
    );
    let reason = refusal(file(&folder, "ahead.wasm", &ahead));
    assert!(reason.starts_with("it imports `sluicebox:transform/clock@0.2.0`;"), "{reason}");
}

#[test]
fn a_component_that_only_claims_to_be_a_plugin_does_not_start() {
    let folder = folder();
    for version in ["0.1.0", "0.2.0", "0.2.9"] {
        let empty = component(&format!(
            r#"(component (instance $i) (export "sluicebox:transform/plugin@{version}" (instance $i)))"#
        ));
        let path = file(&folder, "empty.wasm", &empty);
        let plugin = engine().load(&PluginSpec { path, ..spec("mask-email", json!({})) }).expect("it loads");
        let error = plugin.instantiate().err().expect("it does not start").to_string();
        assert!(error.contains("has no function `init`"), "{error}");
    }
}

#[test]
fn another_file_than_the_one_that_was_agreed_on_is_refused() {
    let path = plugin_path("mask-email");
    let found = inspect(&path).expect("it can be read");
    let config = json!({ "columns": [] });
    let agreed =
        PluginSpec { sha256: Some(found.sha256.to_uppercase()), ..spec("mask-email", config.clone()) };
    assert_eq!(engine().load(&agreed).expect("it loads").hash(), found.sha256);
    let other = PluginSpec { sha256: Some("00".repeat(32)), ..spec("mask-email", config) };
    let error = engine().load(&other).err().expect("it is refused").to_string();
    assert!(error.contains(&found.sha256), "{error}");
}

#[test]
fn a_plugin_can_be_looked_at_without_running_it() {
    let found = inspect(&plugin_path("mask-email")).expect("it can be read");
    assert_eq!(found.loads, Ok(()));
    assert_eq!(found.world.as_deref(), Some("sluicebox:transform/plugin@0.2.0"));
    assert_eq!(found.version.as_deref(), Some("0.2.0"));
    assert!(found.imports.iter().all(|name| name.starts_with("sluicebox:transform/")), "{:?}", found.imports);
    assert!(found.size > 1_000 && found.sha256.len() == 64);
    assert_eq!(serde_json::to_value(&found).expect("JSON")["loads"], json!({ "Ok": null }));
}

#[test]
fn a_plugin_says_its_name_and_version() {
    let guest = crate::support::instance("mask-email", json!({ "columns": [] }));
    assert_eq!((guest.about().name.as_str(), guest.about().version.as_str()), ("mask-email", "0.1.0"));
    assert_eq!(guest.plugin().name(), "mask-email");
}
