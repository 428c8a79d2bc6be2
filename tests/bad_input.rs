//! What is wrong is said: each mistake with its own message, which names the place and the way out, and its exit code.

use crate::support::{
    Database, Emulator, Kind, Pipeline, Server, eventually, free_address, on_both_servers, plugin,
};

on_both_servers!(
    a_server_that_is_down,
    a_view_that_is_named,
    a_wrong_password,
    an_account_that_lacks_a_grant,
    an_account_that_may_not_lock_tables,
    a_server_without_a_binlog,
);

/// Exit codes.
const CONFIGURATION: Option<i32> = Some(2);
const REFUSED: Option<i32> = Some(3);
const OTHER: Option<i32> = Some(1);

/// Runs the pipeline, which must end by itself, and looks for every part in what it printed.
#[track_caller]
fn assert_ends(pipeline: &Pipeline, code: Option<i32>, parts: &[&str]) -> String {
    let mut program = pipeline.start();
    let ended = program.wait();
    let printed = program.printed();
    assert_eq!(ended, code, "{printed}");
    for part in parts {
        assert!(printed.contains(part), "`{part}` in:\n{printed}");
    }
    printed
}

/// A pipeline whose file is fine, on one small table `t (id, v)`.
#[track_caller]
fn small(source: &Database<'_>, emulator: &Emulator) -> Pipeline {
    source.sql("CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v VARCHAR(40)); INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three'), (4, 'four')");
    Pipeline::new(source, emulator).source("connect.max-retries", "1").sink("retry-times", "0")
}

/// The line of the file that begins with `text`, as messages count: from 1.
#[track_caller]
fn line_of(pipeline: &Pipeline, text: &str) -> usize {
    let yaml = pipeline.yaml();
    1 + yaml.lines().position(|line| line.trim_start().starts_with(text)).expect("a line of the file")
}

// --- the file ---

#[test]
fn an_unknown_option_is_told_with_its_place_and_the_nearest_known_one() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    let pipeline = small(&source, &emulator).source("tabels", "x.y").sink("bucket-num", "4");
    let place = |option: &str| format!("pipeline.yaml:{}:3", line_of(&pipeline, &format!("{option}:")));
    let tables = format!("{}: source.tabels: unknown option; did you mean `tables`?", place("tabels"));
    let buckets =
        format!("{}: sink.bucket-num: unknown option; did you mean `buckets-num`?", place("bucket-num"));
    assert_ends(&pipeline, CONFIGURATION, &[&tables, &buckets]);
    // The same by the command that only looks.
    let validated = pipeline.command("validate", &[]);
    assert_eq!(validated.code, CONFIGURATION);
    assert!(validated.stderr.contains(&tables), "{validated:?}");
    let json = pipeline.command("validate", &["--json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON on standard output");
    assert_eq!(json["ok"], false);
    assert_eq!(json["faults"][0]["suggestion"], "tables");
}

#[test]
fn a_value_of_the_wrong_type_is_told_with_what_was_expected() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    let pipeline = small(&source, &emulator)
        .source("port", "somewhere")
        .source("scan.startup.mode", "intial")
        .sink("bucket.buffer-size", "4 parsecs");
    assert_ends(
        &pipeline,
        CONFIGURATION,
        &[
            "source.port: expected",
            "found `somewhere`",
            "source.scan.startup.mode: expected",
            "did you mean `initial`?",
            "sink.bucket.buffer-size: expected",
            "found `4 parsecs`",
        ],
    );
}

#[test]
fn a_secret_that_is_missing_is_named_and_one_that_is_there_never_shown() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    let pipeline = small(&source, &emulator)
        .source("password", "${env:SLUICEBOX_TEST_NOT_SET}")
        .sink("access-key", "${file:no/such/secret}");
    assert_ends(
        &pipeline,
        CONFIGURATION,
        &[
            "source.password: the environment variable `SLUICEBOX_TEST_NOT_SET` is not set",
            "sink.access-key: cannot read the file `no/such/secret`",
        ],
    );

    std::fs::write(pipeline.folder().join("secret"), "hunter2\n").expect("a file");
    let pipeline = pipeline
        .source("password", "${file:secret}")
        .source("port", "${file:secret}")
        .sink("access-key", Emulator::ACCESS_KEY);
    let printed = assert_ends(&pipeline, CONFIGURATION, &["source.port: expected"]);
    assert!(!printed.contains("hunter2"), "{printed}");
}

#[test]
fn a_file_that_is_missing_or_is_no_yaml_is_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let missing = crate::support::run(folder.path(), &["run", "nowhere.yaml"]);
    assert_eq!(missing.code, CONFIGURATION);
    assert!(missing.stderr.contains("cannot read `nowhere.yaml`"), "{missing:?}");
    std::fs::write(folder.path().join("broken.yaml"), "source: [1, 2\nsink: {").expect("a file");
    let broken = crate::support::run(folder.path(), &["run", "broken.yaml"]);
    assert_eq!(broken.code, CONFIGURATION);
    assert!(
        broken.stderr.contains("broken.yaml:2:") && broken.stderr.contains("not a YAML document"),
        "{broken:?}"
    );
}

// --- plugins that cannot be loaded ---

fn with_plugin(
    pipeline: Pipeline,
    source: &Database<'_>,
    path: &std::path::Path,
    lines: &[&str],
) -> Pipeline {
    let more: String = lines.iter().map(|line| format!("      {line}\n")).collect();
    pipeline.block(&format!(
        "transform:\n  - source-table: {}.t\n    plugin:\n      path: {}\n{more}",
        source.name(),
        path.display()
    ))
}

#[test]
fn a_plugin_that_is_missing_or_not_webassembly_is_told() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    let pipeline = small(&source, &emulator);
    let path = pipeline.folder().join("guest.wasm");
    let pipeline = with_plugin(pipeline, &source, &path, &[]);
    assert_ends(&pipeline, CONFIGURATION, &["cannot load plugin", "guest.wasm", "No such file"]);
    std::fs::write(&path, "#!/bin/sh\n").expect("a file");
    assert_ends(&pipeline, CONFIGURATION, &["cannot load plugin", "it is not WebAssembly"]);
    let inspected = crate::support::run(pipeline.folder(), &["plugin", "inspect", "guest.wasm"]);
    assert_ne!(inspected.code, Some(0), "{inspected:?}");
}

/// A component that imports `wasi:cli/environment@0.2.0` and exports nothing, as a program for the command line does: type
/// section with one empty instance type, import section with the name and that type.
fn component_of_another_world() -> Vec<u8> {
    let import = b"wasi:cli/environment@0.2.0";
    let mut component = b"\0asm\x0d\0\x01\0".to_vec();
    component.extend([7, 3, 1, 0x42, 0]);
    let length = u8::try_from(import.len()).expect("a short name");
    component.extend([10, length + 5, 1, 0, length]);
    component.extend(import);
    component.extend([5, 0]);
    component
}

#[test]
fn a_component_of_another_world_is_told_what_it_lacks() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    let pipeline = small(&source, &emulator);
    let path = pipeline.folder().join("command.wasm");
    std::fs::write(&path, component_of_another_world()).expect("a file");
    let pipeline = with_plugin(pipeline, &source, &path, &[]);
    assert_ends(
        &pipeline,
        CONFIGURATION,
        &["cannot load plugin", "command.wasm", "it is no transform plugin", "sluicebox:transform/plugin"],
    );
    // A core module without the interface.
    std::fs::write(&path, b"\0asm\x01\0\0\0").expect("a file");
    assert_ends(&pipeline, CONFIGURATION, &["cannot load plugin", "command.wasm"]);
}

#[test]
fn a_plugin_of_another_digest_is_not_run() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    let digest = format!("sha256: {}", "0".repeat(64));
    let pipeline = with_plugin(small(&source, &emulator), &source, &plugin("misbehaving"), &[&digest]);
    assert_ends(&pipeline, CONFIGURATION, &["cannot load plugin", "misbehaving.wasm", "its SHA-256 is"]);
}

// --- plugins that misbehave ---

/// What a plugin does on the row with key 3, and how that is told. In its own words it quotes the row, which is told to no log.
const MISDEEDS: [(&str, &str, &str); 5] = [
    ("loop", "limits: { time: 50ms }", "it was stopped after its time limit"),
    ("eat-memory", "limits: { memory: 8MiB }", "above its limit of"),
    ("trap", "limits: { time: 1s }", "it stopped"),
    ("say-error", "limits: { time: 1s }", "it gave an error of its own"),
    ("row-errors", "limits: { time: 1s }", ", the first of them id=3"),
];

#[test]
fn a_plugin_that_fails_stops_the_pipeline_and_is_named_with_the_table() {
    let server = Server::shared(Kind::MySql);
    for (does, limits, told) in MISDEEDS {
        let (source, emulator) = (server.database(), Emulator::start());
        let config = format!("config: {{ does: {does}, at: 3 }}");
        let pipeline =
            with_plugin(small(&source, &emulator), &source, &plugin("misbehaving"), &[&config, limits]);
        let table = format!("rows of `{}.t`", source.name());
        let failed = "plugin `misbehaving` failed on ";
        // Rows that it condemns by name are the rows' fault, whatever else it does is the file's.
        let code = if does == "row-errors" { Some(1) } else { CONFIGURATION };
        let printed = assert_ends(&pipeline, code, &[failed, &table, told, "hint: set `on-error: skip`"]);
        assert!(!printed.contains("three"), "a row's value was printed: {printed}");
        assert_eq!(
            emulator.sink().typed_rows("SELECT id FROM t").map(|rows| rows.len()).unwrap_or(0),
            0,
            "{does}"
        );
    }
}

#[test]
fn rows_that_a_plugin_fails_on_are_skipped_and_counted_when_the_file_says_so() {
    let server = Server::shared(Kind::MySql);
    for (does, limits, _) in MISDEEDS {
        let (source, emulator) = (server.database(), Emulator::start());
        let config = format!("config: {{ does: {does}, at: 3 }}");
        let lines = [config.as_str(), limits, "on-error: skip"];
        let pipeline = with_plugin(small(&source, &emulator), &source, &plugin("misbehaving"), &lines);
        let mut program = pipeline.start();
        let sink = emulator.sink();
        sink.wait_for_rows(
            "SELECT id, v FROM t ORDER BY id",
            &[&["1", "one"], &["2", "two"], &["4", "four"]],
        );
        source.sql("UPDATE t SET v = 'new' WHERE id IN (3, 4); INSERT INTO t VALUES (5, 'five')");
        let rest: &[&[&str]] = &[&["1", "one"], &["2", "two"], &["4", "new"], &["5", "five"]];
        sink.wait_for_rows("SELECT id, v FROM t ORDER BY id", rest);
        eventually("failed rows are counted", || match pipeline.counter("transform_failed_total")? {
            0 | 1 => Err("fewer than both".to_owned()),
            _ => Ok(()),
        });
        program.assert_running();
        assert_eq!(program.stop(), Some(0), "{does}: {}", program.printed());
        let printed = program.printed();
        assert!(printed.contains("rows skipped: the plugin failed on them"), "{does}");
        assert!(!printed.contains("three"), "{does}: a row's value was logged: {printed}");
        assert_eq!(pipeline.status()["dead_letters"], 0, "{does}");
    }
}

#[test]
fn rows_that_a_plugin_fails_on_become_dead_letters_when_the_file_says_so() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    let lines = ["config: { does: trap, at: 3 }", "on-error: dead-letter"];
    let pipeline = with_plugin(small(&source, &emulator), &source, &plugin("misbehaving"), &lines);
    let mut program = pipeline.start();
    let sink = emulator.sink();
    sink.wait_for_rows("SELECT id FROM t ORDER BY id", &[&["1"], &["2"], &["4"]]);
    assert_eq!(pipeline.status()["dead_letters"], 1);
    assert_eq!(pipeline.counter("transform_failed_total"), Ok(1));
    let text = pipeline.command("status", &[]);
    assert!(text.stdout.contains("dead letters 1"), "{text:?}");
    program.assert_running();
}

#[test]
fn a_plugin_that_fails_on_every_row_stops_the_pipeline_although_rows_may_be_skipped() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    let lines = ["config: { does: trap }", "on-error: skip"];
    let pipeline = with_plugin(small(&source, &emulator), &source, &plugin("misbehaving"), &lines);
    let rows: Vec<String> = (10..2000).map(|id| format!("({id}, 'x')")).collect();
    source.sql(&format!("INSERT INTO t VALUES {}", rows.join(", ")));
    assert_ends(&pipeline, CONFIGURATION, &["plugin `misbehaving` fails on row after row of"]);
}

#[test]
fn a_plugin_is_told_of_a_change_of_its_table_and_may_refuse_it() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    let config = "config: { does: refuse-change }";
    let pipeline = with_plugin(small(&source, &emulator), &source, &plugin("misbehaving"), &[config]);
    let mut program = pipeline.start();
    emulator.sink().wait_for_rows("SELECT COUNT(*) FROM t", &[&["4"]]);
    program.assert_running();
    source.sql("ALTER TABLE t ADD COLUMN note VARCHAR(9)");
    assert_eq!(program.wait(), CONFIGURATION, "{}", program.printed());
    // The first version that is asked about is 1, the change makes the next.
    let told = "version 2 by ALTER TABLE t ADD COLUMN note VARCHAR(9)";
    assert!(program.printed().contains(told), "{}", program.printed());
}

#[test]
fn a_plugin_that_fails_at_its_start_or_on_a_table_is_told() {
    let server = Server::shared(Kind::MySql);
    for (does, told) in [
        ("refuse-config", "plugin `misbehaving` did not start: I will not"),
        ("trap-at-start", "did not start: it stopped"),
        ("loop-at-start", "did not start: it was stopped after its time limit"),
        ("refuse-table", "I do not like `t`"),
        ("trap-in-plan", "has no plan for"),
    ] {
        let (source, emulator) = (server.database(), Emulator::start());
        let config = format!("config: {{ does: {does} }}");
        let pipeline = with_plugin(
            small(&source, &emulator),
            &source,
            &plugin("misbehaving"),
            &[&config, "limits: { time: 50ms }"],
        );
        assert_ends(&pipeline, CONFIGURATION, &[told]);
    }
}

// --- the source ---

fn a_server_that_is_down(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let port = free_address().port().to_string();
    let pipeline = small(&source, &emulator).source("port", &port);
    assert_ends(
        &pipeline,
        REFUSED,
        &[
            "error: source: cannot reach",
            &format!(":{port}`"),
            "hint: check `source.hostname` and `source.port`",
        ],
    );
}

fn a_view_that_is_named(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let pipeline = small(&source, &emulator);
    source.sql("CREATE VIEW v AS SELECT id FROM t");
    let name = source.name();
    let both = format!("{name}.t,{name}.v");
    let told = format!("`source.tables` means `{name}.v`, which is a view");
    let pipeline = pipeline.source("tables", &both);
    assert_ends(&pipeline, CONFIGURATION, &[&told]);
    // A pattern may mean it beside tables.
    let pipeline = pipeline.source("tables", &format!(r"{name}.\.*"));
    let mut program = pipeline.start_and_wait();
    assert!(program.printed().contains("views are meant"), "{}", program.printed());
    program.kill();
}

fn a_wrong_password(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let pipeline = small(&source, &emulator).source("password", "hunter2");
    let printed = assert_ends(
        &pipeline,
        REFUSED,
        &[
            "error: source:",
            "refused `cdc`",
            "Access denied",
            "hint: check `source.username` and `source.password`",
        ],
    );
    assert!(!printed.contains("hunter2"), "{printed}");
}

fn an_account_that_lacks_a_grant(kind: Kind) {
    let server = Server::shared(kind);
    // MariaDB 10.5 gave REPLICATION CLIENT a new name.
    let client = if kind == Kind::MySql { "REPLICATION CLIENT" } else { "BINLOG MONITOR" };
    for (granted, check, lacking) in [
        (client, "replication-slave", "REPLICATION SLAVE"),
        ("REPLICATION SLAVE", "replication-client", client),
    ] {
        let (source, emulator) = (server.database(), Emulator::start());
        let name = format!("poor_{}", source.name());
        source.sql(&format!(
            "CREATE USER {name}@'%' IDENTIFIED BY 'pass'; GRANT SELECT, {granted} ON *.* TO {name}@'%'"
        ));
        let pipeline = small(&source, &emulator).source("username", &name).source("password", "pass");
        let fix = format!("GRANT {lacking} ON *.* TO '{name}'@'%'");
        assert_ends(&pipeline, REFUSED, &["the source is not ready", check, &fix]);
        let validated = pipeline.command("validate", &["--connect"]);
        assert_eq!(validated.code, REFUSED, "{validated:?}");
        assert!(validated.stdout.contains(&fix), "{validated:?}");
        // With the grant it starts.
        source.sql(&fix);
        let mut program = pipeline.start_and_wait();
        program.assert_running();
        drop(program);
        source.sql(&format!("DROP USER {name}@'%'"));
    }
}

/// What that costs is told of the tables whose rows are appended, and of no others.
fn an_account_that_may_not_lock_tables(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let name = format!("poor_{}", source.name());
    source.sql(&format!(
        "CREATE USER {name}@'%' IDENTIFIED BY 'pass'; GRANT SELECT, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO {name}@'%'"
    ));
    let takes = |table: &str| {
        let path = plugin("misbehaving").display().to_string();
        format!(
            "transform:\n  - source-table: {}.{table}\n    plugin:\n      - path: {path}\n        config: {{ does: take-key-away }}\n",
            source.name()
        )
    };
    let as_poor = |pipeline: Pipeline| pipeline.source("username", &name).source("password", "pass");
    let plain = as_poor(small(&source, &emulator));
    let pipeline = as_poor(Pipeline::new(&source, &emulator)).block(&takes("t"));
    source.sql("CREATE TABLE other (id INT NOT NULL PRIMARY KEY)");
    let told = |pipeline: &Pipeline| {
        let validated = pipeline.command("validate", &["--connect", "--json"]);
        let json: serde_json::Value = serde_json::from_str(&validated.stdout).expect("JSON");
        let findings = json["plan"]["findings"].as_array().unwrap_or_else(|| panic!("{json}")).clone();
        findings.into_iter().filter(|f| f["check"] == "lock-tables").collect::<Vec<_>>()
    };
    assert_eq!(told(&plain), Vec::<serde_json::Value>::new());
    let found = told(&pipeline);
    let found = found.first().expect("a finding").to_string();
    assert!(found.contains(&format!("{}.t;", source.name())) && !found.contains("other"), "{found}");
    let mut program = pipeline.start_and_wait();
    program.wait_for_line("lock-tables");
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    source.sql(&format!("GRANT LOCK TABLES ON {}.* TO {name}@'%'", source.name()));
    assert_eq!(told(&pipeline), Vec::<serde_json::Value>::new());
    source.sql(&format!("DROP USER {name}@'%'"));
}

fn a_server_without_a_binlog(kind: Kind) {
    let server = Server::private(kind, &[]);
    server.restart_with(&["--skip-log-bin"]);
    let (source, emulator) = (server.database(), Emulator::start());
    let pipeline = small(&source, &emulator);
    assert_ends(
        &pipeline,
        REFUSED,
        &["the source is not ready", "log_bin is OFF", "set log_bin=binlog in my.cnf"],
    );
    let validated = pipeline.command("validate", &["--connect"]);
    assert_eq!(validated.code, REFUSED, "{validated:?}");
    assert!(validated.stdout.contains("log_bin is OFF"), "{validated:?}");
}

#[test]
fn tables_that_do_not_exist_are_told() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    let tables = format!("{}.orders_\\d+", source.name());
    let pipeline = small(&source, &emulator).source("tables", &tables);
    assert_ends(&pipeline, CONFIGURATION, &["no table matches `source.tables`", "the account `cdc` can see"]);
}

// --- the sink ---

#[test]
fn a_sink_that_is_down_is_told() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    let nowhere = format!("http://{}", free_address());
    let pipeline = small(&source, &emulator).sink("endpoint", &nowhere).sink("tunnel.endpoint", &nowhere);
    assert_ends(
        &pipeline,
        REFUSED,
        &["error: sink: reading project `demo`", "without an answer", "hint: check `sink.endpoint`"],
    );
}

#[test]
fn a_wrong_access_key_is_told_and_not_shown() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    let pipeline = small(&source, &emulator).sink("access-key", "hunter2");
    let printed = assert_ends(
        &pipeline,
        REFUSED,
        &["error: sink:", "refused", "hint: check `sink.access-id` and `sink.access-key`"],
    );
    assert!(!printed.contains("hunter2"), "{printed}");
}

#[test]
fn a_sink_table_of_another_shape_is_refused_and_left_alone() {
    let server = Server::shared(Kind::MySql);
    for (definition, told) in [
        (
            "CREATE TABLE t (other BIGINT NOT NULL, v STRING, PRIMARY KEY(other)) TBLPROPERTIES('transactional'='true')",
            "it has the key (other), the rows have the key (id)",
        ),
        ("CREATE TABLE t (id INT, v STRING)", "it has no key, the rows have the key (id)"),
        (
            "CREATE TABLE t (id INT NOT NULL, v BOOLEAN, PRIMARY KEY(id)) TBLPROPERTIES('transactional'='true')",
            "column `v` is BOOLEAN at the sink and becomes STRING here",
        ),
    ] {
        let (source, emulator) = (server.database(), Emulator::start());
        let sink = emulator.sink();
        sink.execute(definition);
        let before = sink.describe("t").map(|table| format!("{:?}", table.columns));
        let pipeline = small(&source, &emulator);
        assert_ends(&pipeline, REFUSED, &["sink table `t` cannot take the rows of", told]);
        let validated = pipeline.command("validate", &["--connect"]);
        assert_eq!(validated.code, REFUSED, "{validated:?}");
        assert!(validated.stdout.contains(told), "{validated:?}");
        assert_eq!(sink.describe("t").map(|table| format!("{:?}", table.columns)), before);
    }
}

// --- the state ---

#[test]
fn a_value_that_the_service_does_not_take_is_told_with_its_table_column_and_key() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    source.sql(
        "CREATE TABLE letters (region CHAR(2), no INT, body LONGTEXT, PRIMARY KEY (region, no));
         INSERT INTO letters VALUES ('eu', 7, REPEAT('x', 8 * 1024 * 1024)), ('us', 8, REPEAT('x', 8 * 1024 * 1024 + 1))",
    );
    let pipeline = Pipeline::new(&source, &emulator).source("scan.startup.mode", "snapshot");
    assert_ends(
        &pipeline,
        Some(1),
        &["`body`", "letters` in the row region=us, no=8 does not fit", "at most 8 MiB in one value"],
    );
}

#[test]
fn a_state_directory_serves_one_process() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    let pipeline = small(&source, &emulator);
    let mut first = pipeline.start_and_wait();
    // The same file again, but for the address of the metrics page.
    let second = format!("127.0.0.1:{}", free_address().port());
    let other = std::fs::read_to_string(pipeline.folder().join("pipeline.yaml")).expect("the file");
    let other: String = other
        .lines()
        .map(|line| match line.trim_start().starts_with("metrics.address") {
            true => format!("  metrics.address: {second}\n  state-dir: .sluicebox/pipeline\n"),
            false => format!("{line}\n"),
        })
        .collect();
    std::fs::write(pipeline.folder().join("second.yaml"), other).expect("a file");
    let output = crate::support::run(pipeline.folder(), &["run", "second.yaml"]);
    assert_eq!(output.code, OTHER, "{output:?}");
    assert!(output.stderr.contains("is in use by another pipeline"), "{output:?}");
    assert!(output.stderr.contains("hint: stop the other process"), "{output:?}");
    first.assert_running();
}

#[test]
fn a_state_directory_that_cannot_be_made_is_told() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    let pipeline = small(&source, &emulator).option("state-dir", "file/below");
    std::fs::write(pipeline.folder().join("file"), "in the way").expect("a file");
    assert_ends(&pipeline, OTHER, &["error: cannot use the state directory", "file/below"]);
}
