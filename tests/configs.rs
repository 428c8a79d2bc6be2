//! Every file of `configs/` is a pipeline file that can be run.

use std::path::PathBuf;

use sluicebox_engine::config;

use crate::support::{root, run_with};

/// What the files leave to the environment.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("MYSQL_PASSWORD", "secret"),
    ("MAXCOMPUTE_ACCESS_KEY", "secret"),
    ("QUICKSTART_PORT", "3306"),
    ("QUICKSTART_ENDPOINT", "http://127.0.0.1:8940/api"),
    ("QUICKSTART_PLUGIN", "plugin.wasm"),
];

fn files() -> Vec<PathBuf> {
    let folder = std::fs::read_dir(root().join("configs")).expect("the folder `configs`");
    folder.map(|entry| entry.expect("an entry of the folder").path()).collect()
}

#[test]
fn every_file_is_valid() {
    let files = files();
    assert!(files.len() >= 5, "{files:?}");
    for file in files {
        let file = file.to_str().expect("plain file names");
        let output = run_with(root(), &["validate", file], ENVIRONMENT);
        assert_eq!(output.code, Some(0), "{file}: {output:#?}");
    }
}

#[test]
fn both_spellings_mean_the_same_sink() {
    let environment = |name: &str| {
        let found = ENVIRONMENT.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let [kebab, camel] = ["whole-database.yaml", "whole-database-camel-case.yaml"].map(|name| {
        let loaded = config::load(&root().join("configs").join(name), &environment);
        let mut sink = loaded.unwrap_or_else(|error| panic!("{name}: {error:#?}")).pipeline.sink;
        // Only their display names differ.
        sink.name.clear();
        format!("{sink:?}")
    });
    assert_eq!(kebab, camel);
}
