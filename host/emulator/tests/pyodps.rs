//! The official Python client, unmodified, against the emulator: `tests/pyodps` run by a real interpreter.

#![allow(clippy::unwrap_used, reason = "a test ends at the first thing that is not as it should be")]

#[path = "support/mod.rs"]
mod support;

use std::path::Path;
use std::process::Command;

use support::Running;

/// Runs one Python test file and returns how many tests it ran.
fn run(file: &str, schemas: bool) -> usize {
    let python = std::env::var_os("SLUICEBOX_TEST_PYTHON").unwrap_or_else(|| {
        panic!(
            "SLUICEBOX_TEST_PYTHON is not set: it must name a Python interpreter with `pyodps` and `pyarrow` \
             installed; scripts/test sets one up"
        )
    });
    let emulator = Running::with(|options| options.schemas = schemas);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/pyodps");
    let output = Command::new(python)
        .args(["-X", "faulthandler", "-B", "-m", "unittest", "-v", file])
        .current_dir(folder)
        .env("SLUICEBOX_EMULATOR", format!("http://{}/api", emulator.address()))
        // The machine's proxies must not stand between the client and this machine.
        .env("NO_PROXY", "127.0.0.1")
        .env("no_proxy", "127.0.0.1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stdout));
    assert!(!text.contains("skipped"), "a skipped test proves nothing\n{text}");
    let ran = text.lines().find_map(|line| line.strip_prefix("Ran ")).unwrap_or_else(|| panic!("{text}"));
    ran.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn the_python_client_works_with_two_part_names() {
    assert!(run("test_two_tier.py", false) >= 20);
}

#[test]
fn the_python_client_works_with_schemas() {
    assert!(run("test_three_tier.py", true) >= 3);
}

#[test]
fn the_python_client_reads_every_type_as_it_wrote_it() {
    for schemas in [false, true] {
        assert!(run("test_types.py", schemas) >= 11);
    }
}
