//! What authors of plugins use: cases, benchmarks, compiled files, recordings, and the tutorial from its first command to its last.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{
    Database, Emulator, Kind, Output, Pipeline, Server, assert_same_rows, eventually, on_both_servers,
    plugin, root, run, run_with,
};

on_both_servers!(events_are_recorded_masked_and_become_cases);

fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("sluicebox-plugin.").tempdir().expect("a temporary folder")
}

const CASES: &str = r#"
table: CREATE TABLE shop.people (id INT PRIMARY KEY, name VARCHAR(20), email VARCHAR(64))
config: { columns: [email], keep-domain: true }
cases:
  - name: masked
    plan: { action: process, reads: [email], columns: [id INT, name TEXT, email TEXT], key: [id], before: false, table: people }
    events:
      - insert: { id: 1, name: Ada, email: ada@example.org }
      - update: { before: { id: 1, name: Ada }, after: { id: 2, name: Ada, email: 'b@c' } }
    expect:
      - insert: { id: 1, name: Ada, email: 'a***@example.org' }
      - update: { before: { id: 1, name: Ada }, after: { id: 2, name: Ada, email: 'b***@c' } }
  - name: without its configuration
    config: {}
    refuses: missing field
"#;

fn cases(folder: &Path, text: &str) -> Output {
    cases_of("mask-email", folder, text)
}

fn cases_of(name: &str, folder: &Path, text: &str) -> Output {
    std::fs::write(folder.join("cases.yaml"), text).expect("a case file");
    let plugin = plugin(name);
    run(folder, &["plugin", "test", plugin.to_str().expect("a plain path"), "cases.yaml", "--json"])
}

const ENRICHED: &str = r#"
table: CREATE TABLE shop.people (id INT PRIMARY KEY, country VARCHAR(2))
config: { table: countries, key: country, add: { country_name: name } }
lookups: { countries: { DE: { name: Deutschland, people: 84 } } }
cases:
  - name: from the file's table
    events:
      - insert: { id: 1, country: DE }
      - insert: { id: 2, country: FR }
    expect:
      - insert: { id: 1, country: DE, country_name: Deutschland }
      - insert: { id: 2, country: FR }
  - name: from a table of its own
    lookups: { countries: { FR: { name: France } } }
    events:
      - insert: { id: 2, country: FR }
    expect:
      - insert: { id: 2, country: FR, country_name: France }
  - name: without one
    lookups: {}
    events:
      - insert: { id: 2, country: FR }
    errors:
      - { event: 1, message: 'lookup table `countries`; the pipeline file declares none' }
"#;

const COUNTED: &str = r#"
table: CREATE TABLE shop.orders (id INT PRIMARY KEY, customer VARCHAR(20))
config: { by: customer, column: changes }
cases:
  - name: counted
    plan: { stateful: true }
    events: [{ insert: { id: 1, customer: ada } }, { insert: { id: 2, customer: bob } }, { delete: { id: 1, customer: ada } }]
    expect:
      - insert: { id: 1, customer: ada, changes: 1 }
      - insert: { id: 2, customer: bob, changes: 1 }
      - delete: { id: 1, customer: ada, changes: 2 }
  - name: each case begins with an empty state
    events: [{ insert: { id: 3, customer: ada } }]
    expect: [{ insert: { id: 3, customer: ada, changes: 1 } }]
"#;

#[test]
fn cases_bring_their_reference_tables_and_begin_with_an_empty_state() {
    let folder = folder();
    for (name, text) in [
        ("enrich", ENRICHED),
        ("enrich-c", ENRICHED),
        ("running-count", COUNTED),
        ("running-count-c", COUNTED),
    ] {
        let passed = cases_of(name, folder.path(), text);
        assert_eq!(passed.code, Some(0), "{name}: {passed:?}");
    }
    // Rows are measured with state and tables as well.
    let bench = run(
        folder.path(),
        &[
            "plugin",
            "bench",
            plugin("running-count").to_str().expect("a plain path"),
            "--cases",
            "cases.yaml",
        ],
    );
    assert_eq!(bench.code, Some(0), "{bench:?}");
}

const SPLIT: &str = r#"
table: CREATE TABLE shop.posts (id INT PRIMARY KEY, tags VARCHAR(20))
config: { column: tags, into: tag }
cases:
  - name: an update as no pipeline sends it
    events: [{ update: { after: { id: 1, tags: red } } }]
"#;

#[test]
fn an_update_must_come_as_a_pipeline_would_send_it() {
    let folder = folder();
    let told = "event 1 is an update without its row before, which the plan asks for";
    let differs = cases_of("split-tags", folder.path(), SPLIT);
    assert_eq!(differs.code, Some(1), "{differs:?}");
    assert!(differs.stdout.contains(told), "{differs:?}");
    let plugin = plugin("split-tags");
    let bench = ["plugin", "bench", plugin.to_str().expect("a plain path"), "--cases", "cases.yaml"];
    let refused = run(folder.path(), &bench);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains(told), "{refused:?}");
    // With it both know what to do, whatever the plan makes of it.
    let whole = SPLIT.replace("update: {", "update: { before: { id: 1, tags: blue },");
    std::fs::write(folder.path().join("cases.yaml"), whole).expect("a case file");
    let measured = run(folder.path(), &bench);
    assert_eq!(measured.code, Some(0), "{measured:?}");
}

const GRANTED: &str = r#"
table: CREATE TABLE shop.items (id INT PRIMARY KEY)
wasi:
  clocks: true
  random: true
  stdio: true
  environment: { REGION: eu }
  filesystem: { /model: model }
cases:
  - name: granted
    events: [{ insert: { id: 1 } }]
"#;

#[test]
fn cases_grant_what_a_pipeline_file_grants() {
    let folder = folder();
    std::fs::create_dir(folder.path().join("model")).expect("a folder");
    let passed = cases_of("asks-wasi", folder.path(), GRANTED);
    assert_eq!(passed.code, Some(0), "{passed:?}");
    let results: Value = serde_json::from_str(&passed.stdout).expect("JSON");
    let row = &results[0]["found"][0]["insert"];
    assert_eq!((&row["variables"], &row["folders"]), (&json!("REGION=eu"), &json!("/model")), "{results}");
    let plugin = plugin("asks-wasi");
    let bench = ["plugin", "bench", plugin.to_str().expect("a plain path"), "--cases", "cases.yaml"];
    let measured = run(folder.path(), &bench);
    assert_eq!(measured.code, Some(0), "{measured:?}");
    let refused = cases_of("asks-wasi", folder.path(), &GRANTED.replace("  random: true\n", ""));
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("grant it `random` under `wasi`"), "{refused:?}");
    let wrong = cases_of("asks-wasi", folder.path(), &GRANTED.replace("clocks:", "clock:"));
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.stderr.contains("wasi.clock: unknown option; did you mean `clocks`?"), "{wrong:?}");
}

#[test]
fn cases_pass_or_tell_what_differs() {
    let folder = folder();
    let passed = cases(folder.path(), CASES);
    assert_eq!(passed.code, Some(0), "{passed:?}");
    let results: Vec<Value> = serde_json::from_str(&passed.stdout).expect("JSON");
    assert_eq!(results.iter().map(|r| r["passed"] == true).collect::<Vec<_>>(), [true, true]);
    for (old, new, told) in [
        (
            "'a***@example.org'",
            "a@example.org",
            "column `email`: expected \"a@example.org\", found \"a***@example.org\"",
        ),
        ("action: process", "action: pass", "plan: action: expected \"pass\", found \"process\""),
        ("id INT, name TEXT", "id BIGINT, name TEXT", "plan: columns: expected [\"id BIGINT\""),
        ("      - insert: { id: 1, name: Ada, email: 'a***@example.org' }\n", "", "expected nothing"),
        (
            "before: { id: 1, name: Ada }, after: { id: 2, name: Ada, email: 'b***@c' }",
            "after: { id: 2 }",
            "expected without its row before",
        ),
        ("config: {}", "config: { columns: [email] }", "expected a refusal with `missing field`"),
        ("refuses: missing field", "refuses: something else", "it refuses, and not with `something else`"),
        (
            "    expect:\n",
            "    errors: [{ event: 2, message: bad }]\n    expect:\n",
            "event 2: expected an error with `bad`, found none",
        ),
    ] {
        let text = CASES.replacen(old, new, 1);
        assert_ne!(text, CASES, "{old}");
        let output = cases(folder.path(), &text);
        assert_eq!(output.code, Some(1), "{new}: {output:?}");
        let results: Vec<Value> = serde_json::from_str(&output.stdout).expect("JSON");
        let differences: Vec<&str> = results
            .iter()
            .flat_map(|r| r["differences"].as_array().expect("a list"))
            .filter_map(Value::as_str)
            .collect();
        assert!(differences.iter().any(|d| d.contains(told)), "{new}: {differences:?}");
    }
    for (old, new, told) in [
        ("config: {", "confg: {", "unknown field `confg`"),
        ("name VARCHAR(20)", "name VARCHAR(20", "table: "),
        ("events:", "event:", "unknown field `event`"),
    ] {
        let output = cases(folder.path(), &CASES.replacen(old, new, 1));
        assert_eq!(output.code, Some(2), "{new}: {output:?}");
        assert!(output.stderr.contains("cases.yaml") && output.stderr.contains(told), "{output:?}");
    }
    let unknown = cases(folder.path(), &CASES.replacen("insert: { id: 1, name", "insert: { id: 1, nmae", 1));
    assert!(unknown.stdout.contains("did you mean `name`?"), "{unknown:?}");
}

#[test]
fn a_benchmark_measures_a_plugin_beside_its_absence() {
    let folder = folder();
    std::fs::write(folder.path().join("cases.yaml"), CASES).expect("a case file");
    let plugin = plugin("mask-email");
    let plugin = plugin.to_str().expect("a plain path");
    let table = "CREATE TABLE t (id BIGINT PRIMARY KEY, email VARCHAR(64), d DECIMAL(30,2), at DATETIME(6), raw BLOB, j JSON, y YEAR, b BIT(3), f FLOAT)";
    let config = r#"{"columns": ["email"]}"#;
    for arguments in [&["--cases", "cases.yaml"][..], &["--table", table, "--config", config, "--seed", "7"]]
    {
        let output = run(folder.path(), &[&["plugin", "bench", plugin, "--json"], arguments].concat());
        assert_eq!(output.code, Some(0), "{output:?}");
        let sizes: Vec<Value> = serde_json::from_str(&output.stdout).expect("JSON");
        assert_eq!(sizes.len(), 4);
        for size in sizes {
            assert!(size["plugin_least_ns"].as_f64() > size["pass_least_ns"].as_f64(), "{size}");
            assert_eq!((&size["kept"], &size["failed"]), (&size["rows"], &json!(0)));
        }
    }
}

fn with_compiled(source: &Database<'_>, emulator: &Emulator, file: &Path, more: &str) -> Pipeline {
    Pipeline::new(source, emulator).block(&format!(
        "transform:\n  - source-table: {}.t\n    plugin:\n      path: {}\n      config: {{ columns: [v] }}\n{more}",
        source.name(),
        file.display()
    ))
}

#[test]
fn a_compiled_plugin_runs_where_it_was_compiled_and_only_where_it_is_trusted() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator, folder) = (server.database(), Emulator::start(), folder());
    source.sql(
        "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(40)); INSERT INTO t VALUES (1, 'ada@example.org')",
    );
    let file = folder.path().join("mask.compiled");
    let plugin = plugin("mask-email");
    let out = file.to_str().expect("a plain path");
    let compiled =
        run(folder.path(), &["plugin", "compile", plugin.to_str().expect("a plain path"), "--out", out]);
    assert_eq!(compiled.code, Some(0), "{compiled:?}");

    let trusted = || with_compiled(&source, &emulator, &file, "      precompiled: true\n");
    let refused = |pipeline: Pipeline, told: &str| {
        let mut program = pipeline.start();
        assert_eq!(program.wait(), Some(2), "{}", program.printed());
        assert!(program.printed().contains(told), "`{told}` in {}", program.printed());
    };
    refused(with_compiled(&source, &emulator, &file, ""), "say `precompiled: true` beside its path");
    refused(
        with_compiled(&source, &emulator, &plugin, "      precompiled: true\n"),
        "it was not made by `sluicebox plugin compile`",
    );
    let mode = |mode| std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).expect("permissions");
    mode(0o666);
    refused(trusted(), "others can write to it (mode 666");
    mode(0o644);
    let folder_mode =
        |mode| std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(mode)).expect("permissions");
    folder_mode(0o777);
    refused(trusted(), "others can put files into its folder (mode 777)");
    folder_mode(0o1777);
    let bytes = std::fs::read(&file).expect("the file");
    let mut damaged = bytes.clone();
    damaged[bytes.len() / 2] ^= 1;
    std::fs::write(&file, damaged).expect("a file");
    refused(trusted(), "it is damaged");
    std::fs::write(&file, bytes).expect("a file");

    let pipeline = trusted();
    let mut program = pipeline.start();
    emulator.sink().wait_for_rows("SELECT v FROM t", &[&["***"]]);
    assert!(
        !pipeline.folder().join("compiled").exists()
            || std::fs::read_dir(pipeline.folder().join("compiled")).is_ok_and(|mut f| f.next().is_none())
    );
    program.assert_running();
}

fn events_are_recorded_masked_and_become_cases(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    source.sql("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(40), price DECIMAL(8,2) NOT NULL)");
    let pipeline = Pipeline::new(&source, &emulator);
    pipeline.command("validate", &[]);
    let table = format!("{}.t", source.name());
    let record = |table: &str, more: &[&str]| {
        run(
            pipeline.folder(),
            &[&["plugin", "record", "pipeline.yaml", table, "--out", "t.yaml"], more].concat(),
        )
    };
    let unknown = record("shop.orders", &[]);
    assert!(
        unknown.code == Some(2) && unknown.stderr.contains("is none of the pipeline's tables"),
        "{unknown:?}"
    );
    let column = record(&table, &["--mask", "w"]);
    assert!(column.code == Some(2) && column.stderr.contains("has no column `w` to mask"), "{column:?}");
    assert!(!pipeline.folder().join("t.yaml").exists());

    std::thread::scope(|scope| {
        let recording = scope.spawn(|| record(&table, &["--events", "5", "--mask", "v", "--json"]));
        // Recording says nothing when it begins: rows are written until it ends.
        let mut number = 0;
        eventually("the end of the recording", || {
            if recording.is_finished() {
                return Ok(());
            }
            number += 1;
            source.sql(&format!("INSERT INTO t VALUES ({number}, 'Ada-{number}@example.org', 1.5); UPDATE t SET price = 2 WHERE id = {number}; DELETE FROM t WHERE id = {number}"));
            Err(format!("{number} rows"))
        });
        let output = recording.join().expect("the recording");
        assert_eq!(output.code, Some(0), "{output:?}");
        let facts: Value = serde_json::from_str(&output.stdout).expect("JSON");
        assert_eq!(facts["events"], 5);
    });
    let text = std::fs::read_to_string(pipeline.folder().join("t.yaml")).expect("the case file");
    assert!(!text.contains("Ada") && text.contains("Xxx-0@xxxxxxx.xxx"), "{text}");
    assert!(text.contains("- delete: {") && text.contains("- update: {\"before\":{"), "{text}");
    let again = record(&table, &[]);
    assert!(again.code == Some(1) && again.stderr.contains("exists"), "{again:?}");

    let drop = plugin("drop-cancelled");
    let drop = drop.to_str().expect("a plain path");
    let text = text.replacen("cases:\n", "config: { column: v, values: [NONE] }\ncases:\n", 1);
    std::fs::write(pipeline.folder().join("t.yaml"), text).expect("the case file");
    let updated = run(pipeline.folder(), &["plugin", "test", drop, "t.yaml", "--update"]);
    assert_eq!(updated.code, Some(0), "{updated:?}");
    let text = std::fs::read_to_string(pipeline.folder().join("t.yaml")).expect("the case file");
    assert!(text.contains("    expect:\n      - "), "{text}");
    assert_eq!(run(pipeline.folder(), &["plugin", "test", drop, "t.yaml"]).code, Some(0));
    // The recording has left nothing behind that keeps the pipeline from running.
    let mut program = pipeline.start_and_wait();
    source.sql("INSERT INTO t VALUES (1, 'x', 1)");
    emulator.sink().wait_for_rows("SELECT id FROM t", &[&["1"]]);
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    assert_same_rows(&source, "t", &emulator.sink(), "t");
}

#[test]
fn a_new_project_in_c_builds_and_passes_its_cases() {
    let folder = folder();
    let clang = Command::new(root().join("scripts/clang-wasm")).arg("path").output().expect("the script");
    assert!(clang.status.success(), "{}", String::from_utf8_lossy(&clang.stderr));
    let clang = String::from_utf8_lossy(&clang.stdout).trim().to_owned();
    let made = run(folder.path(), &["plugin", "new", "c", "mask-orders"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let again = run(folder.path(), &["plugin", "new", "c", "mask-orders"]);
    assert!(again.code == Some(1) && again.stderr.contains("exists already"), "{again:?}");
    let named = run(folder.path(), &["plugin", "new", "c", "Mask_Orders"]);
    assert!(named.code == Some(2) && named.stderr.contains("is no name for a project"), "{named:?}");

    let project = folder.path().join("mask-orders");
    let built = run_with(&project, &["plugin", "build", "--json"], &[("CLANG", &clang)]);
    assert_eq!(built.code, Some(0), "{built:?}");
    let tested = run(&project, &["plugin", "test", "mask-orders.wasm", "cases.yaml"]);
    assert_eq!(tested.code, Some(0), "{tested:?}");
    std::fs::write(project.join("plugin.c"), "int x = ;").expect("a file");
    let broken = run_with(&project, &["plugin", "build"], &[("CLANG", &clang)]);
    assert!(broken.code == Some(1) && broken.stderr.contains("plugin.c:1"), "{broken:?}");
    let empty = run(folder.path(), &["plugin", "build"]);
    assert!(
        empty.code == Some(1) && empty.stderr.contains("neither a Cargo.toml nor a build.sh"),
        "{empty:?}"
    );
}

// --- the tutorial ---

/// A command of the tutorial and the lines that its output must contain, in order.
struct Step {
    script: String,
    wanted: Vec<String>,
}

fn tutorial() -> Vec<Step> {
    let text = std::fs::read_to_string(root().join("docs/plugins.md")).expect("docs/plugins.md");
    let tutorial = text.split("\n## ").find(|part| part.starts_with("Tutorial")).expect("the tutorial");
    let mut steps: Vec<Step> = Vec::new();
    // Parts between fences: every second one is inside of a pair.
    for block in tutorial.split("```").skip(1).step_by(2) {
        let (kind, content) = block.split_once('\n').expect("a block of several lines");
        match kind {
            "sh" => steps.push(Step { script: content.to_owned(), wanted: Vec::new() }),
            "text" => {
                let step = steps.last_mut().expect("a command before its output");
                step.wanted.extend(content.lines().map(str::to_owned));
            }
            _ => {}
        }
    }
    steps
}

/// The compiler for guests, where it is not the one in use.
fn guest_compiler() -> Option<String> {
    let output = Command::new(root().join("scripts/wasm-toolchain")).arg("env").output().expect("the script");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.trim().strip_prefix("export RUSTC=").map(str::to_owned)
}

#[test]
fn the_tutorial_works_from_its_first_command_to_its_last() {
    let folder = folder();
    let program = Path::new(env!("CARGO_BIN_EXE_sluicebox")).parent().expect("a folder");
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    // Where the examples were built: what the project depends on is compiled there already.
    let target = std::env::var_os("SLUICEBOX_GUEST_TARGET").map(Into::into);
    let target = target.unwrap_or_else(|| root().join("guest-examples/target"));
    let steps = tutorial();
    assert!(steps.len() >= 5, "the tutorial has {} commands", steps.len());
    let mut inside = folder.path().to_owned();
    for Step { script, wanted } in steps {
        let place = folder.path().join("pwd");
        // Where the script ends, the next one begins.
        let script = format!("exec 3>'{}'\n{script}\npwd >&3", place.display());
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", &script]).env("PATH", &path).current_dir(&inside);
        command.env("CARGO_TARGET_DIR", &target).env_remove("RUSTFLAGS");
        if let Some(compiler) = guest_compiler() {
            command.env("RUSTC", compiler);
        }
        let output = command.output().expect("bash");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{script}\n{printed}\n{said}");
        let mut rest = printed.as_str();
        for line in wanted {
            let found = rest
                .find(&format!("{line}\n"))
                .unwrap_or_else(|| panic!("`{line}` in the output of {script}\n{printed}\n{said}"));
            rest = &rest[found + line.len()..];
        }
        inside = std::fs::read_to_string(&place).expect("the folder").trim().into();
        // Dependencies of the versions that the examples have, which are on this machine already.
        let lock = inside.join("Cargo.lock");
        if inside.join("Cargo.toml").is_file() && !lock.exists() {
            std::fs::copy(root().join("guest-examples/Cargo.lock"), lock).expect("a lock file");
        }
    }
}
