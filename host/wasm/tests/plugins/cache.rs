//! Compiled plugins on disk.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use sluicebox_wasm::{Engine, WasmError};

use crate::support::{folder, inserts, numbered_schema, spec};

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    found.sort();
    found
}

fn runs(engine: &Engine, name: &str, config: serde_json::Value) {
    let mut guest = engine.load(&spec(name, config)).expect("it loads").instantiate().expect("it starts");
    let schema = numbered_schema(true);
    let plan = guest.plan(1, &schema).expect("a plan");
    assert_eq!(guest.process(&plan, &inserts(&schema, 0..3), None).expect("it is processed").batch.rows(), 3);
}

fn mask(engine: &Engine) {
    runs(engine, "mask-email", json!({ "columns": ["name"] }));
}

fn open(folder: &Path) -> Result<Engine, WasmError> {
    Engine::new(Some(folder.to_owned()))
}

#[test]
fn a_plugin_is_compiled_once_and_each_content_has_an_entry_of_its_own() {
    let folder = folder();
    let cache = folder.path().join("a/b");
    mask(&open(&cache).expect("an engine"));
    let mode = fs::metadata(&cache).expect("it was made").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let [entry] = &entries(&cache)[..] else { panic!("one entry") };
    assert_eq!(fs::metadata(entry).expect("a file").permissions().mode() & 0o777, 0o600);
    let written = fs::metadata(entry).expect("a file").modified().expect("a time");

    let again = open(&cache).expect("an engine");
    mask(&again);
    assert_eq!(
        fs::metadata(entry).expect("a file").modified().expect("a time"),
        written,
        "not written again"
    );
    runs(&again, "misbehaving", json!({ "does": "nothing" }));
    assert_eq!(entries(&cache).len(), 2);
    let hash =
        sluicebox_wasm::inspect(&crate::support::plugin_path("mask-email")).expect("it can be read").sha256;
    assert!(entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&hash)));
}

/// Each damage is one that a broken disk, a crash or a careless copy could do; the entry that is compiled anew replaces it.
#[test]
fn a_damaged_entry_is_compiled_anew() {
    let folder = folder();
    let cache = folder.path().join("cache");
    let engine = open(&cache).expect("an engine");
    mask(&engine);
    runs(&engine, "misbehaving", json!({ "does": "nothing" }));
    let hash =
        engine.load(&spec("mask-email", json!({ "columns": [] }))).expect("it loads").hash().to_owned();
    let entries = entries(&cache);
    let is_mask = |path: &&PathBuf| path.to_string_lossy().contains(&hash);
    let (entry, other) = (
        entries.iter().find(is_mask).expect("the mask's entry"),
        entries.iter().find(|path| !is_mask(path)).expect("the other's entry"),
    );
    let whole = fs::read(entry).expect("its bytes");
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for (name, bytes) in [
        ("one bit", flipped),
        ("torn", whole[..middle].to_vec()),
        ("empty", Vec::new()),
        ("another plugin's", fs::read(other).expect("its bytes")),
        ("no entry at all", b"\x7fELF".repeat(1_000)),
    ] {
        fs::write(entry, bytes).expect("it is damaged");
        mask(&open(&cache).expect("an engine"));
        assert_eq!(fs::read(entry).expect("its bytes"), whole, "{name}");
    }
}

#[test]
fn an_entry_that_others_can_write_is_not_run() {
    let folder = folder();
    let cache = folder.path().join("cache");
    mask(&open(&cache).expect("an engine"));
    let [entry] = &entries(&cache)[..] else { panic!("one entry") };
    fs::set_permissions(entry, fs::Permissions::from_mode(0o666)).expect("it is opened to others");
    mask(&open(&cache).expect("an engine"));
    assert_eq!(fs::metadata(entry).expect("a file").permissions().mode() & 0o777, 0o600, "it was replaced");
}

#[test]
fn a_folder_that_others_can_write_is_refused() {
    let folder = folder();
    for mode in [0o720, 0o702, 0o777] {
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).expect("it is opened to others");
        let error = open(folder.path()).err().expect("it is refused");
        assert!(
            matches!(&error, WasmError::CacheFolder { reason, .. } if reason.contains("should be 700")),
            "{error}"
        );
    }
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("it is closed");
    mask(&open(folder.path()).expect("others may read it"));
    let file = folder.path().join("file");
    fs::write(&file, "").expect("a file");
    assert!(matches!(open(&file), Err(WasmError::CacheFolder { .. })));
}

#[test]
fn what_is_refused_leaves_nothing_behind() {
    let folder = folder();
    let cache = folder.path().join("cache");
    let path = folder.path().join("other.wasm");
    fs::write(&path, wat::parse_str("(component)").expect("valid text")).expect("a file");
    let engine = open(&cache).expect("an engine");
    let spec = sluicebox_wasm::PluginSpec { path, ..spec("mask-email", json!({})) };
    assert!(engine.load(&spec).is_err());
    assert!(entries(&cache).is_empty());
}
