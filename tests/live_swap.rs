//! Plugins that are replaced while their pipeline runs: at one place for all tables, and only when everything fits.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::support::{
    Database, Emulator, Kind, Output, Pipeline, Server, eventually, on_both_servers, plugin,
};

on_both_servers!(a_reload_takes_effect_at_one_place_for_all_tables);

mod kills;

/// The file that the pipelines here name.
const PLUGIN: &str = "stamp.wasm";
/// How the plugin is called after it.
const NAME: &str = "stamp";

/// Versions of one plugin, as many as a test wants: each writes its number into the column `version`, and does one thing more (see
/// guest-examples/c/stamp.c).
fn version(number: u64, does: u8) -> Vec<u8> {
    let mut bytes = std::fs::read(plugin("stamp-c")).expect("the plugin");
    patch(&mut bytes, "version=", &format!("{number:06}"));
    patch(&mut bytes, "does=", &does.to_string());
    bytes
}

fn patch(bytes: &mut [u8], behind: &str, text: &str) {
    let at = bytes.windows(behind.len()).position(|window| window == behind.as_bytes());
    let at = at.expect("the text in the plugin") + behind.len();
    bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Puts a file in the place of another, whole.
fn put(pipeline: &Pipeline, bytes: &[u8]) -> PathBuf {
    let (new, path) = (pipeline.folder().join("new"), pipeline.folder().join(PLUGIN));
    std::fs::write(&new, bytes).expect("a file");
    std::fs::rename(&new, &path).expect("a file in its place");
    path
}

/// Two tables, one without a key, through the plugin; `more` are further keys of it.
fn pipeline(source: &Database<'_>, emulator: &Emulator, more: &str) -> Pipeline {
    let transform = format!(
        "transform:\n  - source-table: '{}.\\.*'\n    plugin: {{ path: {PLUGIN}, config: {{ column: version }}{more} }}\n",
        source.name()
    );
    source.sql(
        "CREATE TABLE orders (id BIGINT NOT NULL PRIMARY KEY, n BIGINT NOT NULL);
         CREATE TABLE events (id BIGINT NOT NULL, n BIGINT NOT NULL)",
    );
    Pipeline::new(source, emulator)
        .option("checkpoint.interval", "300ms")
        .option("parallelism", "2")
        .block(&transform)
}

/// Tells a writer to stop, also when a test fails: its thread would keep the scope open.
struct StopWithScope<'a>(&'a AtomicBool);

impl Drop for StopWithScope<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn insert(source: &Database<'_>, id: u64) {
    source.sql(&format!(
        "BEGIN; INSERT INTO orders VALUES ({id}, 0); INSERT INTO events VALUES ({id}, 0); COMMIT"
    ));
}

#[track_caller]
fn ask(pipeline: &Pipeline, verb: &str, more: &[&str]) -> (Output, Value) {
    let output = crate::support::run(
        pipeline.folder(),
        &[&["plugin", verb, "pipeline.yaml", "--json"], more].concat(),
    );
    let answer = serde_json::from_str(&output.stdout).unwrap_or(Value::Null);
    (output, answer)
}

/// Waits until a row has come, and gives the version that it went through.
fn version_of(emulator: &Emulator, table: &str, id: u64) -> u64 {
    let query = format!("SELECT version FROM {table} WHERE id = {id}");
    eventually(&format!("a row from {query}"), || {
        let rows = emulator.sink().try_execute(&query).map_err(|error| error.to_string())?.rows;
        match &rows[..] {
            [row] => row[0].as_deref().and_then(|text| text.parse().ok()).ok_or(format!("{row:?}")),
            _ => Err(format!("{rows:?}")),
        }
    })
}

/// All rows of a table as (id, version), by id.
fn stamped(emulator: &Emulator, table: &str) -> Vec<(u64, u64)> {
    let cell =
        |value: &Option<String>| value.as_deref().and_then(|text| text.parse().ok()).expect("a number");
    let mut all = Vec::new();
    // The service gives no more than 10,000 rows at once.
    for from in (0..).step_by(5_000) {
        let query = format!(
            "SELECT id, version FROM {table} WHERE id > {from} AND id <= {} ORDER BY id",
            from + 5_000
        );
        let rows = emulator.sink().rows(&query);
        if rows.is_empty() {
            return all;
        }
        all.extend(rows.iter().map(|row| (cell(&row[0]), cell(&row[1]))));
    }
    all
}

fn a_reload_takes_effect_at_one_place_for_all_tables(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let pipeline = pipeline(&source, &emulator, "");
    let nothing = pipeline.command("status", &["--json"]);
    assert_eq!(nothing.code, Some(0), "{nothing:?}");
    put(&pipeline, &version(1, 0));
    let (output, _) = ask(&pipeline, "reload", &[]);
    assert_eq!(output.code, Some(1), "there is no pipeline yet: {output:?}");
    let mut program = pipeline.start_and_wait();
    insert(&source, 1);
    assert_eq!(version_of(&emulator, "events", 1), 1);

    let (last, stop) = (AtomicU64::new(1), AtomicBool::new(false));
    let answer = std::thread::scope(|threads| {
        threads.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                insert(&source, last.fetch_add(1, Ordering::Relaxed) + 1);
            }
        });
        let _stop = StopWithScope(&stop);
        put(&pipeline, &version(2, 0));
        let (output, answer) = ask(&pipeline, "reload", &[]);
        assert_eq!(output.code, Some(0), "{output:?}\n{}", program.printed());
        assert_eq!(answer["outcome"], "switched", "{answer}");
        let then = last.load(Ordering::Relaxed);
        eventually("rows behind the switch", || match last.load(Ordering::Relaxed) {
            now if now > then + 20 => Ok(()),
            now => Err(format!("{then} {now}")),
        });
        answer
    });
    let last = last.load(Ordering::Relaxed);
    assert_eq!(version_of(&emulator, "orders", last), 2);
    assert_eq!(version_of(&emulator, "events", last), 2);
    let (orders, events) = (stamped(&emulator, "orders"), stamped(&emulator, "events"));
    assert_eq!(orders, events, "one place for both");
    assert!(orders.is_sorted_by_key(|(_, version)| *version), "{orders:?}");
    assert_eq!(orders.len() as u64, last);

    let (old, new) = (digest(&version(1, 0)), digest(&version(2, 0)));
    assert_eq!(
        (&answer["plugins"][0]["from"], &answer["plugins"][0]["to"]),
        (&old.clone().into(), &new.clone().into())
    );
    let status = pipeline.status();
    let shown = &status["plugins"][0];
    assert_eq!(
        (&shown["sha256"], &shown["position"]),
        (&new.clone().into(), &answer["position"]),
        "{status}"
    );
    assert_eq!(shown["way"], "reload");
    let page = pipeline.metrics().expect("a page");
    let labels = format!(
        "sluicebox_plugin_in_force{{entry=\"transform[0].plugin[0]\",plugin=\"{NAME}\",sha256=\"{new}\",position={}}} 1",
        answer["position"]
    );
    assert!(page.contains(&labels), "{labels} in {page}");
    assert_eq!(pipeline.counter("plugin_switches_total"), Ok(1));
    let line = program.wait_for_line("plugin switched");
    assert!(line.contains(&new) && line.contains(&old), "{line}");
    wait_for_few_instances(&pipeline);
    let (output, answer) = ask(&pipeline, "reload", &[NAME]);
    assert_eq!((output.code, &answer["outcome"]), (Some(0), &"unchanged".into()), "{output:?}");
    let (output, history) = ask(&pipeline, "history", &[]);
    assert_eq!(output.code, Some(0), "{output:?}");
    let found: Vec<_> =
        history.as_array().expect("a list").iter().map(|v| (v["sha256"].clone(), v["way"].clone())).collect();
    assert_eq!(found, [(old.into(), "start".into()), (new.into(), "reload".into())]);
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}

/// Each worker has one instance at most and whoever plans has one: of older versions there is none.
fn wait_for_few_instances(pipeline: &Pipeline) {
    const WORKERS: u64 = 2;
    eventually("instances of old versions are gone", || match pipeline.counter("plugin_instances")? {
        0..=3 => Ok(()),
        more => Err(format!("{more} instances with {WORKERS} workers")),
    });
}

#[test]
fn a_version_that_does_not_fit_leaves_the_old_one() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    let pipeline = pipeline(&source, &emulator, "")
        .option("schema.change.approval", "required")
        .option("schema.change.behavior", "EVOLVE");
    put(&pipeline, &version(1, 0));
    let mut program = pipeline.start_and_wait();
    insert(&source, 1);
    assert_eq!(version_of(&emulator, "events", 1), 1);
    assert_eq!(version_of(&emulator, "orders", 1), 1);
    let cases: [(&str, Vec<u8>, i32, &str); 4] = [
        ("no plugin", b"no plugin at all".to_vec(), 2, "not WebAssembly"),
        ("refuses tables", version(2, 2), 2, "this version takes no table"),
        ("another type", version(3, 3), 3, "BIGINT at the sink and becomes DATE"),
        ("another column", version(4, 1), 3, "wait for approval"),
    ];
    for (id, (what, bytes, code, words)) in (2..).zip(cases) {
        put(&pipeline, &bytes);
        let (output, answer) = ask(&pipeline, "reload", &[]);
        assert_eq!(output.code, Some(code), "{what}: {output:?}");
        assert_eq!(answer["outcome"], "refused", "{what}: {answer}");
        assert!(answer["reason"].as_str().is_some_and(|reason| reason.contains(words)), "{what}: {answer}");
        insert(&source, id);
        assert_eq!(version_of(&emulator, "events", id), 1, "{what}");
        assert_eq!(version_of(&emulator, "orders", id), 1, "{what}");
    }
    put(&pipeline, &version(5, 0));
    let (output, answer) = ask(&pipeline, "reload", &["nobody"]);
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(
        answer["reason"].as_str().is_some_and(|reason| reason.contains("`stamp` (transform[0].plugin[0])")),
        "{answer}"
    );
    assert_eq!(pipeline.counter("plugin_reloads_refused_total"), Ok(5));
    assert_eq!(pipeline.counter("plugin_switches_total"), Ok(0));
    let (output, _) = ask(&pipeline, "reload", &["transform[0].plugin[0]"]);
    assert_eq!(output.code, Some(0), "{output:?}");
    insert(&source, 10);
    assert_eq!(version_of(&emulator, "events", 10), 5);
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}

#[test]
fn a_pinned_plugin_takes_no_other_file() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    let pinned = digest(&version(1, 0));
    let pipeline = pipeline(&source, &emulator, &format!(", sha256: {pinned}"));
    put(&pipeline, &version(1, 0));
    let mut program = pipeline.start_and_wait();
    put(&pipeline, &version(2, 0));
    let (output, answer) = ask(&pipeline, "reload", &[]);
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(answer["reason"].as_str().is_some_and(|reason| reason.contains(&pinned)), "{answer}");
    insert(&source, 1);
    assert_eq!(version_of(&emulator, "events", 1), 1);
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}

/// What `plugin compile` makes of a version.
fn compiled(number: u64) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("stamp.wasm"), version(number, 0)).expect("a file");
    let output = crate::support::run(folder.path(), &["plugin", "compile", "stamp.wasm"]);
    assert_eq!(output.code, Some(0), "{output:?}");
    std::fs::read(folder.path().join("stamp.compiled")).expect("a compiled file")
}

#[test]
fn compiled_files_are_reloaded_by_the_rules_that_they_are_loaded_by() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    let pipeline = pipeline(&source, &emulator, ", precompiled: true");
    put(&pipeline, &compiled(1));
    let mut program = pipeline.start_and_wait();
    insert(&source, 1);
    assert_eq!(version_of(&emulator, "events", 1), 1);
    let open = put(&pipeline, &compiled(2));
    let allow = |mode| std::fs::set_permissions(&open, std::fs::Permissions::from_mode(mode));
    allow(0o666).expect("a mode");
    let (output, answer) = ask(&pipeline, "reload", &[]);
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(answer["reason"].as_str().is_some_and(|reason| reason.contains("write")), "{answer}");
    allow(0o600).expect("a mode");
    let (output, answer) = ask(&pipeline, "reload", &[]);
    assert_eq!((output.code, &answer["outcome"]), (Some(0), &Value::from("switched")), "{output:?}");
    insert(&source, 2);
    assert_eq!(version_of(&emulator, "events", 2), 2);
    put(&pipeline, &version(3, 0));
    let (output, answer) = ask(&pipeline, "reload", &[]);
    assert_eq!(output.code, Some(2), "what is not compiled is not taken for it: {output:?}");
    assert_eq!(answer["outcome"], "refused", "{answer}");
    put(&pipeline, &compiled(2));
    // A restart runs what the stream still brings under the versions of then, from copies of the compiled files.
    program.kill();
    let mut program = pipeline.start_and_wait();
    insert(&source, 4);
    assert_eq!(version_of(&emulator, "events", 4), 2);
    assert_eq!(stamped(&emulator, "orders"), [(1, 1), (2, 2), (4, 2)]);
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}

#[test]
fn a_pipeline_that_does_not_answer_is_not_waited_for_for_ever() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    let pipeline = pipeline(&source, &emulator, "");
    put(&pipeline, &version(1, 0));
    let mut program = pipeline.start_and_wait();
    insert(&source, 1);
    assert_eq!(version_of(&emulator, "events", 1), 1);
    put(&pipeline, &version(2, 0));
    program.signal("STOP");
    let (output, _) = ask(&pipeline, "reload", &["--wait", "1"]);
    program.signal("CONT");
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("has not answered within 1 s and is no longer asked"), "{output:?}");
    // It was not asked any more, so nothing was switched.
    insert(&source, 2);
    assert_eq!(version_of(&emulator, "events", 2), 1);
    assert_eq!(pipeline.counter("plugin_switches_total"), Ok(0));
    assert_eq!(ask(&pipeline, "reload", &[]).0.code, Some(0));
    insert(&source, 3);
    assert_eq!(version_of(&emulator, "events", 3), 2);
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}

#[test]
fn a_switch_that_was_recorded_happens_at_its_place_after_a_crash() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    // No checkpoint before the crash, and no snapshot: all rows come again from the binlog.
    let pipeline = pipeline(&source, &emulator, "")
        .option("checkpoint.interval", "1h")
        .source("scan.startup.mode", "latest-offset");
    put(&pipeline, &version(1, 0));
    let mut program = pipeline.start_to_crash("phase:plugin-switched");
    program.wait_for_line("pipeline running");
    (1..=10).for_each(|id| insert(&source, id));
    eventually("rows are read", || match pipeline.counter("source_rows_total")? {
        20.. => Ok(()),
        rows => Err(format!("{rows} rows")),
    });
    put(&pipeline, &version(2, 1));
    let (output, _) = ask(&pipeline, "reload", &[]);
    assert_eq!(output.code, Some(1), "it crashed: {output:?}");
    program.wait();
    insert(&source, 11);
    let pipeline = pipeline.option("checkpoint.interval", "300ms");
    let mut program = pipeline.start_and_wait();
    program.wait_for_line("plugin switched again");
    for table in ["orders", "events"] {
        assert_eq!(version_of(&emulator, table, 11), 2);
        let want: Vec<_> = (1..=10).map(|id| (id, 1)).chain([(11, 2)]).collect();
        assert_eq!(stamped(&emulator, table), want);
        let more = format!("SELECT id, more FROM {table} WHERE id >= 10 ORDER BY id");
        emulator.sink().wait_for_rows(&more, &[&["10", "NULL"], &["11", "7"]]);
    }
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}

#[test]
fn a_file_that_was_changed_while_nothing_ran_is_taken_in_at_the_next_start() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    let pipeline = pipeline(&source, &emulator, "");
    put(&pipeline, &version(1, 0));
    let mut program = pipeline.start_and_wait();
    insert(&source, 1);
    assert_eq!(version_of(&emulator, "events", 1), 1);
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    put(&pipeline, &version(2, 0));
    insert(&source, 2);
    let mut program = pipeline.start_and_wait();
    assert_eq!(version_of(&emulator, "events", 2), 2);
    assert_eq!(version_of(&emulator, "orders", 2), 2);
    assert_eq!(pipeline.status()["plugins"][0]["way"], "changed-file");
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}

/// What a pipeline recovers from by itself is no start: a file that somebody has put there and not yet asked to reload stays out.
#[test]
fn a_changed_file_stays_out_when_the_pipeline_begins_again_by_itself() {
    let server = Server::shared(Kind::MySql);
    let (source, mut emulator) = (server.database(), Emulator::start());
    let pipeline = pipeline(&source, &emulator, "").sink("retry-times", "0");
    put(&pipeline, &version(1, 0));
    let mut program = pipeline.start_and_wait();
    insert(&source, 1);
    assert_eq!(version_of(&emulator, "events", 1), 1);
    put(&pipeline, &version(2, 0));
    emulator.kill();
    insert(&source, 2);
    program.wait_for_line("beginning again from its checkpoint");
    emulator.restart();
    assert_eq!(version_of(&emulator, "events", 2), 1);
    let (output, _) = ask(&pipeline, "reload", &[]);
    assert_eq!(output.code, Some(0), "{output:?}");
    insert(&source, 3);
    assert_eq!(version_of(&emulator, "orders", 3), 2);
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}

#[test]
fn a_snapshot_goes_on_under_a_new_version_and_its_rows_come_once() {
    const ROWS: u64 = 1_200;
    let server = Server::shared(Kind::MySql);
    server.sql(&format!("GRANT LOCK TABLES ON *.* TO {}@'%'", Server::USER));
    let (source, emulator) = (server.database(), Emulator::start());
    let pipeline = pipeline(&source, &emulator, "")
        .source("scan.incremental.snapshot.chunk.size", "20")
        .source("scan.snapshot.max-rows-per-second", "300");
    for table in ["orders", "events"] {
        let rows: Vec<String> = (1..=ROWS).map(|id| format!("({id}, 0)")).collect();
        source.sql(&format!("INSERT INTO {table} VALUES {}", rows.join(", ")));
    }
    put(&pipeline, &version(1, 0));
    let mut program = pipeline.start_and_wait();
    put(&pipeline, &version(2, 1));
    let (output, answer) = ask(&pipeline, "reload", &[]);
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(answer["reason"].as_str().is_some_and(|reason| reason.contains("being read whole")), "{answer}");
    eventually("some chunks", || match pipeline.counter("snapshot_chunks_done")? {
        3.. => Ok(()),
        chunks => Err(format!("{chunks} chunks")),
    });
    put(&pipeline, &version(3, 0));
    let (output, _) = ask(&pipeline, "reload", &[]);
    assert_eq!(output.code, Some(0), "{output:?}");
    insert(&source, ROWS + 1);
    for table in ["orders", "events"] {
        assert_eq!(version_of(&emulator, table, ROWS + 1), 3);
    }
    program.wait_for_line("snapshot read, streaming");
    for table in ["orders", "events"] {
        let rows = eventually("all rows", || match stamped(&emulator, table) {
            rows if rows.len() as u64 > ROWS => Ok(rows),
            rows => Err(format!("{} rows of {table}", rows.len())),
        });
        let ids: Vec<u64> = rows.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids, (1..=ROWS + 1).collect::<Vec<_>>(), "{table}");
        assert!(rows.iter().all(|(_, version)| [1, 3].contains(version)), "{rows:?}");
        if table == "orders" {
            let old = rows.iter().filter(|(_, version)| *version == 1).count() as u64;
            assert!((1..ROWS).contains(&old), "{old} rows went through the old version");
        }
    }
    put(&pipeline, &version(4, 1));
    eventually("the table without a key is whole", || match ask(&pipeline, "reload", &[]) {
        (output, _) if output.code == Some(0) => Ok(()),
        (_, answer) => Err(answer.to_string()),
    });
    insert(&source, ROWS + 2);
    assert_eq!(version_of(&emulator, "events", ROWS + 2), 4);
    let more = format!("SELECT more FROM events WHERE id > {ROWS} ORDER BY id");
    emulator.sink().wait_for_rows(&more, &[&["NULL"], &["7"]]);
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}

#[test]
fn a_watched_file_is_taken_in_when_it_is_whole_and_fits() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    let pipeline = pipeline(&source, &emulator, ", reload: watch");
    put(&pipeline, &version(1, 0));
    let mut program = pipeline.start_and_wait();
    insert(&source, 1);
    assert_eq!(version_of(&emulator, "events", 1), 1);
    put(&pipeline, &version(2, 0));
    program.wait_for_line("plugin switched");
    insert(&source, 2);
    assert_eq!(version_of(&emulator, "events", 2), 2);
    // Written in place and slowly: half of it stands still long enough to be read.
    let (path, whole) = (pipeline.folder().join(PLUGIN), version(3, 0));
    std::fs::write(&path, &whole[..whole.len() / 2]).expect("half a file");
    program.wait_for_line("the plugin's old version stays");
    insert(&source, 3);
    assert_eq!(version_of(&emulator, "events", 3), 2);
    assert_eq!(pipeline.counter("plugin_reloads_refused_total"), Ok(1));
    assert!(pipeline.status()["errors"].to_string().contains("a changed plugin was not taken in"));
    std::fs::write(&path, &whole).expect("the whole file");
    eventually("a second switch", || match pipeline.counter("plugin_switches_total")? {
        2 => Ok(()),
        other => Err(format!("{other} switches")),
    });
    insert(&source, 4);
    assert_eq!(version_of(&emulator, "events", 4), 3);
    assert_eq!(pipeline.status()["plugins"][0]["way"], "watch");
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}

#[test]
fn a_canary_counts_what_another_version_does_otherwise_and_changes_nothing() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    let pipeline = pipeline(&source, &emulator, "");
    put(&pipeline, &version(1, 0));
    let mut program = pipeline.start_and_wait();
    let stop = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            for id in 1.. {
                insert(&source, id);
                if id % 7 == 0 {
                    source.sql(&format!("UPDATE orders SET n = n + 1 WHERE id = {id}"));
                }
                if stop.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        let _stop = StopWithScope(&stop);
        compare_versions(&pipeline);
    });
    let rows = stamped(&emulator, "orders");
    assert!(!rows.is_empty() && rows.iter().all(|(_, version)| *version == 1), "{rows:?}");
    let (output, answer) = ask(&pipeline, "reload", &[]);
    assert_eq!((output.code, &answer["outcome"]), (Some(0), &"unchanged".into()), "{output:?}");
    wait_for_few_instances(&pipeline);
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}

fn compare_versions(pipeline: &Pipeline) {
    let path = pipeline.folder().join("canary.wasm");
    let module = path.to_str().expect("a name in UTF-8");
    let canary = |number: u64, does: u8| {
        std::fs::write(&path, version(number, does)).expect("a file");
        let (output, answer) =
            ask(pipeline, "canary", &["--plugin", NAME, "--module", module, "--rows", "300"]);
        assert_eq!(answer["outcome"], "compared", "{output:?}");
        let rows = answer["rows"].as_object().expect("counts by table").values().cloned().collect::<Vec<_>>();
        // One table's next batch can be enough.
        assert!((1..=2).contains(&rows.len()), "{answer}");
        let sum = |name: &str| rows.iter().map(|tally| tally[name].as_u64().expect("a number")).sum::<u64>();
        let column = rows.iter().filter_map(|tally| tally["columns"]["version"].as_u64()).sum::<u64>();
        let counts = ["same", "kept_by_old", "kept_by_new", "failed_by_new", "otherwise"].map(sum);
        assert!(sum("rows") >= 300, "{answer}");
        (output.code, sum("rows"), counts, column, answer["tables"].to_string())
    };
    let (code, rows, counts, column, _) = canary(1, 0);
    assert_eq!((code, counts, column), (Some(0), [rows, 0, 0, 0, 0], 0), "the same version");
    let (code, rows, counts, column, _) = canary(2, 0);
    assert_eq!((code, counts, column), (Some(1), [0, 0, 0, 0, 0], rows), "another value in each row");
    // An update of a row that it drops becomes a delete: another kind of change.
    let (code, rows, [same, kept_by_old, _, _, otherwise], column, _) = canary(1, 4);
    assert_eq!((code, same + kept_by_old + otherwise, column), (Some(1), rows, 0), "rows that it drops");
    assert!(same > rows / 4 && kept_by_old > rows / 4, "{same} {kept_by_old} of {rows}");
    let (code, rows, [same, _, _, failed, _], ..) = canary(1, 5);
    assert_eq!((code, same + failed), (Some(1), rows), "rows that it fails on");
    assert!(failed > 0, "{failed} of {rows}");
    let (code, rows, [same, ..], _, tables) = canary(1, 1);
    assert_eq!(
        (code, same),
        (Some(1), rows),
        "a column that the version in force does not have is no difference of values"
    );
    assert!(tables.contains("adds `more`"), "{tables}");
    // With a limit of 100 ms on each of 100,000 rows it would hold the workers for hours.
    std::fs::write(&path, version(1, 7)).expect("a file");
    let (output, answer) =
        ask(pipeline, "canary", &["--plugin", NAME, "--module", module, "--rows", "100000"]);
    assert_eq!((output.code, &answer["outcome"]), (Some(1), &"compared".into()), "{output:?}");
    let rows = answer["rows"].as_object().expect("counts by table").values();
    let sums = rows.fold((0, 0), |(rows, failed), tally| {
        let sum = |name: &str| tally[name].as_u64().expect("a number");
        (rows + sum("rows"), failed + sum("failed_by_new"))
    });
    // Both workers may be in their sixteenth.
    assert!(sums.0 == sums.1 && (16..=17).contains(&sums.1), "{answer}");
}
