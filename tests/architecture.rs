//! Rules of the source tree that no compiler checks: who may import whom, where files are, how long they get.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::root;

/// Crate, and those of ours that it may import: `model` below all, `mysql`, `wasm`, `expression` and `maxcompute` side by side,
/// `engine` above them, the program on top. The emulator decodes with code of its own, so that a mistake in our
/// encoding cannot cancel itself out.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("sluicebox-model", &[]),
    ("sluicebox-mysql", &["sluicebox-model"]),
    ("sluicebox-wasm", &["sluicebox-model"]),
    ("sluicebox-expression", &["sluicebox-model"]),
    ("sluicebox-maxcompute", &[]),
    (
        "sluicebox-engine",
        &[
            "sluicebox-model",
            "sluicebox-mysql",
            "sluicebox-wasm",
            "sluicebox-expression",
            "sluicebox-maxcompute",
        ],
    ),
    ("sluicebox-emulator", &[]),
    ("sluicebox", &["sluicebox-model", "sluicebox-engine", "sluicebox-emulator"]),
];

/// Folders of the repository's first level, and of `host`. A new one is a decision: it belongs here and in
/// ARCHITECTURE.md.
const FIRST_LEVEL: &[&str] = &["configs", "docs", "guest-examples", "host", "scripts", "tests", "wit"];
const HOST: &[&str] =
    &["cli", "emulator", "engine", "expression", "fuzz", "maxcompute", "model", "mysql", "wasm"];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["utils", "util", "common", "helpers", "helper", "manager", "misc"];

/// Lines of a source file. A longer one holds two subjects.
const FILE_LINES: usize = 600;

/// The dependencies that are crates of ours, by crate; without those that only tests use.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo metadata");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("JSON from cargo metadata");
    let packages = metadata["packages"].as_array().expect("a list of packages");
    packages.iter().map(|package| (name(package), imports_of(package))).collect()
}

fn imports_of(package: &serde_json::Value) -> BTreeSet<String> {
    let dependencies = package["dependencies"].as_array().expect("a list of dependencies");
    let real = dependencies.iter().filter(|dependency| dependency["kind"] != "dev");
    real.map(name).filter(|name| name.starts_with("sluicebox")).collect()
}

fn name(value: &serde_json::Value) -> String {
    value["name"].as_str().expect("a name").to_owned()
}

/// Folders that builds and tools make; those whose name begins with a dot are left out too.
const MADE: &[&str] = &["target", "tmp", "node_modules", "__pycache__"];

/// The files of the repository, relative to it.
fn files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the repository") {
            let entry = entry.expect("an entry of a folder");
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type().expect("the kind of an entry");
            if kind.is_dir() && !name.starts_with('.') && !MADE.contains(&name.as_str()) {
                folders.push(entry.path());
            } else if kind.is_file() {
                files.push(
                    entry.path().strip_prefix(root()).expect("a path below the repository").to_path_buf(),
                );
            }
        }
    }
    assert!(files.len() > 10, "the repository has {} files", files.len());
    files
}

fn folders_below(prefix: &str, files: &[PathBuf]) -> BTreeSet<String> {
    let inside = files.iter().filter_map(|file| file.strip_prefix(prefix).ok());
    let folders = inside.filter(|file| file.components().count() > 1).filter_map(|file| file.iter().next());
    folders
        .map(|folder| folder.to_string_lossy().into_owned())
        .filter(|folder| !folder.starts_with('.'))
        .collect()
}

/// Whether a file is product code rather than a test or a guest.
fn is_product_code(file: &Path) -> bool {
    let in_tests =
        file.iter().any(|part| part == "tests" || part == "tests.rs" || part == "benches" || part == "fuzz");
    file.extension().is_some_and(|extension| extension == "rs") && file.starts_with("host") && !in_tests
}

#[test]
fn crates_import_only_downwards() {
    let imports = imports();
    let known: BTreeSet<&str> = MAY_IMPORT.iter().map(|(name, _)| *name).collect();
    let found: BTreeSet<&str> = imports.keys().map(String::as_str).collect();
    assert_eq!(found, known, "a crate was added or removed: say here what it may import");
    for (name, allowed) in MAY_IMPORT {
        for import in &imports[*name] {
            assert!(allowed.contains(&import.as_str()), "`{name}` must not import `{import}`");
        }
    }
}

#[test]
fn folders_are_the_known_ones() {
    let files = files();
    for (prefix, known) in [("", FIRST_LEVEL), ("host", HOST)] {
        for folder in folders_below(prefix, &files) {
            assert!(known.contains(&folder.as_str()), "unknown folder `{folder}` in `{prefix}/`");
        }
    }
}

#[test]
fn names_say_what_is_inside() {
    for file in files() {
        for part in file.iter() {
            let stem = Path::new(part).file_stem().unwrap_or(part).to_string_lossy().to_lowercase();
            assert!(!EMPTY_NAMES.contains(&stem.as_str()), "`{}`: `{stem}` says nothing", file.display());
        }
    }
}

#[test]
fn a_source_file_holds_one_subject() {
    for file in files().iter().filter(|file| is_product_code(file)) {
        let lines = std::fs::read_to_string(root().join(file)).expect("source text").lines().count();
        assert!(lines <= FILE_LINES, "`{}` has {lines} lines, more than {FILE_LINES}", file.display());
    }
}

#[test]
fn no_file_names_a_registry_host() {
    let hosts = ["static.", "index.", "registry.", "files.", "deb."].map(|front| {
        ["npmjs.", "crates.", "pythonhosted.", "debian."].map(|middle| format!("{front}{middle}"))
    });
    let hosts: Vec<String> = hosts.into_iter().flatten().collect();
    let texts = files().into_iter().filter(|file| !is_lock_file(file));
    for file in texts {
        let Ok(text) = std::fs::read_to_string(root().join(&file)) else { continue };
        for host in &hosts {
            assert!(!text.contains(host.as_str()), "`{}` names `{host}…`", file.display());
        }
    }
}

fn is_lock_file(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name == "Cargo.lock" || name == "package-lock.json")
}
