//! Events that a plugin fails on are kept whole and once, whatever happens to the program, and go into the sink once when they
//! are sent again.

use std::os::unix::process::ExitStatusExt as _;

use serde_json::{Value, json};

use crate::support::{
    Database, Emulator, Kind, Output, Pipeline, Server, assert_same_rows, eventually, on_both_servers,
    plugin, run_with, wait_for_same_rows,
};

on_both_servers!(
    letters_are_kept_shown_and_sent_again,
    a_letter_never_takes_the_sink_back,
    rows_without_a_key_come_once_although_sending_them_crashes,
    a_crash_leaves_one_letter_for_each_event,
);

/// A pipeline with a plugin that fails on rows with the number 3, in the way that the file `does` in its folder says.
fn pipeline(source: &Database<'_>, emulator: &Emulator, table: &str) -> Pipeline {
    let transform = format!(
        "transform:\n  - source-table: {}.{table}\n    plugin:\n      path: {}\n      config: {{ does: '${{file:does}}', at: 3 }}\n      on-error: dead-letter\n",
        source.name(),
        plugin("misbehaving").display()
    );
    let pipeline = Pipeline::new(source, emulator).block(&transform);
    does(&pipeline, "trap");
    pipeline
}

fn does(pipeline: &Pipeline, what: &str) {
    std::fs::write(pipeline.folder().join("does"), what).expect("a file");
}

fn dead_letters(pipeline: &Pipeline, verb: &str, arguments: &[&str]) -> Output {
    // Writes the pipeline file.
    pipeline.status();
    crate::support::run(pipeline.folder(), &[&["dead-letters", verb, "pipeline.yaml"], arguments].concat())
}

fn list(pipeline: &Pipeline) -> Vec<Value> {
    let output = dead_letters(pipeline, "list", &["--json"]);
    assert_eq!(output.code, Some(0), "{output:?}");
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error} in {}", output.stdout))
}

#[track_caller]
fn wait_for_letters(pipeline: &Pipeline, number: usize) {
    eventually(&format!("{number} dead letters"), || match pipeline.status()["dead_letters"].as_u64() {
        Some(found) if found == number as u64 => Ok(()),
        found => Err(format!("{found:?}")),
    });
}

/// A table whose key has a part of every kind that is compared in its own way.
fn keyed(source: &Database<'_>) {
    source.sql(
        "CREATE TABLE t (id INT NOT NULL, v VARCHAR(40), price DECIMAL(20,2) NOT NULL, raw VARBINARY(8) NOT NULL, at DATETIME(6) NOT NULL, \
         seen TIMESTAMP(3) NOT NULL, name VARCHAR(20) NOT NULL, big BIGINT UNSIGNED NOT NULL, kind ENUM('a','b') NOT NULL, \
         PRIMARY KEY (id, price, raw, at, seen, name, big, kind)); \
         INSERT INTO t VALUES \
         (1, 'one', 1.00, x'00ff', '2024-02-29 12:00:00.5', '2024-02-29 12:00:00.25', '7', 18446744073709551615, 'a'), \
         (3, 'three', -0.05, x'00ff', '2024-02-29 12:00:00.000001', '2024-02-29 12:00:00', 'größe', 18446744073709551615, 'b'), \
         (3, 'drei', 2.50, x'', '0001-01-01 00:00:00', '2024-02-29 12:00:00', '', 18446744073709551614, 'a'), \
         (4, 'four', 4.00, x'04', '2024-02-29 12:00:00', '2024-02-29 12:00:00', '4', 4, 'a')",
    );
}

fn letters_are_kept_shown_and_sent_again(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    keyed(&source);
    let pipeline = pipeline(&source, &emulator, "t");
    let mut program = pipeline.start();
    let sink = emulator.sink();
    sink.wait_for_rows("SELECT id FROM t ORDER BY id", &[&["1"], &["4"]]);
    // A row that goes on beside each that does not: a plugin of which nothing comes counts as broken.
    source.sql("UPDATE t SET v = 'drei!' WHERE name = '' OR id = 4");
    source.sql("UPDATE t SET id = 3 WHERE id IN (4, 1) AND v = 'one'; UPDATE t SET v = 'vier' WHERE id = 4");
    sink.wait_for_rows("SELECT v FROM t WHERE id = 4", &[&["vier"]]);
    wait_for_letters(&pipeline, 4);

    let letters = list(&pipeline);
    let first =
        letters.iter().find(|letter| letter["event"]["read"]["v"] == "three").expect("the letter of a row");
    let want = json!({ "read": { "id": 3, "v": "three", "price": "-0.05", "raw": "0x00ff",
        "at": "2024-02-29 12:00:00.000001", "seen": "2024-02-29 12:00:00Z", "name": "größe", "big": u64::MAX, "kind": "b" } });
    assert_eq!(first["event"], want);
    assert_eq!((&first["position"], &first["plugin"]), (&json!("snapshot"), &json!("misbehaving")));
    assert_eq!(first["table"], format!("{}.t", source.name()));
    let moved =
        letters.iter().find(|letter| letter["event"]["update"]["before"]["id"] == 1).expect("the moved row");
    assert_eq!(moved["event"]["update"]["after"]["id"], 3);
    assert_eq!(moved["plugin_sha256"].as_str().map(str::len), Some(64));
    assert!(moved["reason"].as_str().expect("a reason").contains("unreachable"), "{moved}");
    let number = moved["number"].to_string();
    let shown = dead_letters(&pipeline, "show", &[&number]);
    assert!(shown.stdout.contains("position") && shown.stdout.contains("\"after\""), "{shown:?}");
    assert_eq!(dead_letters(&pipeline, "show", &["4711"]).code, Some(1));

    let refused = dead_letters(&pipeline, "replay", &[]);
    assert!(refused.code == Some(1) && refused.stderr.contains("in use by another pipeline"), "{refused:?}");
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    let failed = dead_letters(&pipeline, "replay", &[]);
    assert!(failed.code == Some(1) && failed.stdout.contains("failed again"), "{failed:?}");
    assert_eq!(list(&pipeline).len(), 4);

    does(&pipeline, "nothing");
    let one = dead_letters(&pipeline, "replay", &[&number, "--json"]);
    assert_eq!(one.code, Some(0), "{one:?}");
    assert_eq!(list(&pipeline).len(), 3);
    let rest = dead_letters(&pipeline, "replay", &[]);
    assert_eq!((rest.code, rest.stdout.as_str()), (Some(0), "3 delivered\n"), "{rest:?}");
    assert_same_rows(&source, "t", &sink, "t");
    assert_eq!(dead_letters(&pipeline, "list", &[]).stdout, "no dead letters\n");

    let mut program = pipeline.start();
    source.sql("UPDATE t SET v = concat(v, '+'); DELETE FROM t WHERE id = 4");
    wait_for_same_rows(&source, "t", &sink, "t");
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}

fn a_letter_never_takes_the_sink_back(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    keyed(&source);
    let pipeline = pipeline(&source, &emulator, "t");
    let mut program = pipeline.start();
    let sink = emulator.sink();
    sink.wait_for_rows("SELECT id FROM t ORDER BY id", &[&["1"], &["4"]]);
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    does(&pipeline, "nothing");
    let mut program = pipeline.start();
    source.sql("UPDATE t SET v = 'newer' WHERE v = 'three'; DELETE FROM t WHERE v = 'drei'");
    sink.wait_for_rows("SELECT v FROM t WHERE id = 3", &[&["newer"]]);
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    // This one the pipeline has not seen yet.
    source.sql("UPDATE t SET v = 'newest' WHERE v = 'newer'");
    let replayed = dead_letters(&pipeline, "replay", &[]);
    assert_eq!((replayed.code, replayed.stdout.as_str()), (Some(0), "2 delivered\n"), "{replayed:?}");
    assert_same_rows(&source, "t", &sink, "t");
    let mut program = pipeline.start();
    source.sql("INSERT INTO t SELECT 5, v, price, raw, at, seen, name, big, kind FROM t WHERE id = 4");
    wait_for_same_rows(&source, "t", &sink, "t");
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}

/// More records than sending one letter writes; reaching it is a failure.
const MOST_RECORDS: usize = 20;
/// The signal of a crash point.
const ABORT: i32 = 6;

fn rows_without_a_key_come_once_although_sending_them_crashes(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    source.sql("CREATE TABLE e (id INT NOT NULL, v VARCHAR(40)); INSERT INTO e VALUES (1, 'one')");
    let pipeline = pipeline(&source, &emulator, "e");
    let mut program = pipeline.start();
    let sink = emulator.sink();
    sink.wait_for_rows("SELECT id FROM e", &[&["1"]]);
    let rows = vec!["(3, 'same')"; 2 * MOST_RECORDS];
    // Not more bad rows than one batch may have.
    let mut sent = 0;
    for rows in rows.chunks(8) {
        source.sql(&format!("INSERT INTO e VALUES {}, (4, 'four')", rows.join(", ")));
        sent += rows.len();
        wait_for_letters(&pipeline, sent);
    }
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    does(&pipeline, "nothing");
    let mut numbers: Vec<String> =
        list(&pipeline).iter().map(|letter| letter["number"].to_string()).collect();
    for side in ["before", "after"] {
        let mut crashes = 0;
        loop {
            let number = numbers.pop().expect("a letter");
            let at = format!("{side}:{}", crashes + 1);
            let arguments = ["dead-letters", "replay", "pipeline.yaml", &number];
            let crashed = run_with(pipeline.folder(), &arguments, &[("SLUICEBOX_CRASH_AT", &at)]);
            if crashed.code == Some(0) {
                break;
            }
            assert_eq!(crashed.code, None, "{at}: {crashed:?}");
            crashes += 1;
            assert!(crashes < MOST_RECORDS, "sending a letter writes more than {MOST_RECORDS} records");
            let again = dead_letters(&pipeline, "replay", &[&number]);
            let delivered_before = again.stderr.contains("no dead letter has the number");
            assert!(again.code == Some(0) || delivered_before, "{at}: {again:?}");
        }
        assert!(crashes >= 3, "{side}: only {crashes} records: a session is opened, flushed and committed");
    }
    let rest = dead_letters(&pipeline, "replay", &[]);
    assert_eq!(rest.code, Some(0), "{rest:?}");
    assert_eq!(list(&pipeline), Vec::<Value>::new());
    assert_same_rows(&source, "e", &sink, "e");
}

fn a_crash_leaves_one_letter_for_each_event(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    source.sql(
        "CREATE TABLE e (id INT NOT NULL, v VARCHAR(40)); INSERT INTO e VALUES (1, 'one'), (3, 'three')",
    );
    let pipeline = pipeline(&source, &emulator, "e");
    let sink = emulator.sink();
    let mut bad = 1;
    for step in 1..=8 {
        let mut program = pipeline.start_to_crash(&format!("after:{}", 2 * step));
        source.sql(&format!("INSERT INTO e VALUES (3, 'x{step}'), (4, 'y{step}')"));
        bad += 1;
        let good = format!("SELECT COUNT(*) FROM e WHERE v = 'y{step}'");
        eventually("a crash, or the rows", || match program.ended() {
            Some(status) if status.signal() == Some(ABORT) => Ok(()),
            Some(status) => panic!("ended with {status}\n{}", program.printed()),
            None => match sink.try_execute(&good).map_err(|error| error.to_string())?.rows {
                rows if rows == [[Some("1".to_owned())]] => Ok(()),
                rows => Err(format!("{rows:?}")),
            },
        });
        program.kill();
    }
    let mut program = pipeline.start_and_wait();
    sink.wait_for_rows("SELECT COUNT(*) FROM e WHERE id = 4", &[&["8"]]);
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    let letters = list(&pipeline);
    let mut values: Vec<String> = letters.iter().map(|l| l["event"].to_string()).collect();
    values.sort();
    values.dedup();
    assert_eq!((letters.len(), values.len()), (bad, bad), "{letters:?}");
    does(&pipeline, "nothing");
    assert_eq!(dead_letters(&pipeline, "replay", &[]).code, Some(0));
    assert_same_rows(&source, "e", &sink, "e");
}

fn small(source: &Database<'_>, emulator: &Emulator, plugin: &str) -> Pipeline {
    source.sql("CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v VARCHAR(40)); INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three')");
    Pipeline::new(source, emulator)
        .block(&format!("transform:\n  - source-table: {}.t\n    plugin:\n{plugin}", source.name()))
}

#[test]
fn a_letter_of_a_chain_holds_the_row_of_the_source() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    let chain = format!(
        "      - path: {}\n        config: {{ column: v, values: [two] }}\n      - path: {}\n        config: {{ rename: {{ id: no, v: word }} }}\n      - path: {}\n        config: {{ does: '${{file:does}}', at: 3 }}\n        on-error: dead-letter\n",
        plugin("drop-cancelled").display(),
        plugin("rename-project").display(),
        plugin("misbehaving").display()
    );
    let pipeline = small(&source, &emulator, &chain);
    does(&pipeline, "say-error");
    let mut program = pipeline.start();
    let sink = emulator.sink();
    sink.wait_for_rows("SELECT no, word FROM t ORDER BY no", &[&["1", "one"]]);
    wait_for_letters(&pipeline, 1);
    assert_eq!(list(&pipeline)[0]["event"], json!({ "read": { "id": 3, "v": "three" } }));
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    does(&pipeline, "nothing");
    assert_eq!(dead_letters(&pipeline, "replay", &[]).code, Some(0));
    sink.wait_for_rows("SELECT no, word FROM t ORDER BY no", &[&["1", "one"], &["3", "three"]]);
}

/// They are found by running the chain event by event, which says nothing about how many of a batch fail.
#[test]
fn several_rows_in_a_row_that_the_second_of_a_chain_traps_on_are_as_many_letters() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    source.sql("CREATE TABLE t (n INT NOT NULL, v VARCHAR(40), id INT NOT NULL PRIMARY KEY)");
    source.sql(
        "INSERT INTO t VALUES (1, 'a', 1), (3, 'b', 2), (3, 'c', 3), (3, 'd', 4), (3, 'e', 5), (1, 'f', 6)",
    );
    let chain = format!(
        "transform:\n  - source-table: {}.t\n    plugin:\n      - path: {}\n        config: {{ rename: {{ v: word }} }}\n      - path: {}\n        config: {{ does: trap, at: 3 }}\n        on-error: dead-letter\n",
        source.name(),
        plugin("rename-project").display(),
        plugin("misbehaving").display()
    );
    let pipeline = Pipeline::new(&source, &emulator).block(&chain);
    let mut program = pipeline.start();
    emulator.sink().wait_for_rows("SELECT id, word FROM t ORDER BY id", &[&["1", "a"], &["6", "f"]]);
    wait_for_letters(&pipeline, 4);
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}

#[test]
fn a_plugin_that_fails_on_more_than_its_budget_stops_the_pipeline() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    let fails = format!(
        "      path: {}\n      config: {{ does: row-errors }}\n      on-error: dead-letter\n      error-budget: 2\n",
        plugin("misbehaving").display()
    );
    let pipeline = small(&source, &emulator, &fails);
    let mut program = pipeline.start();
    assert_eq!(program.wait(), Some(1), "{}", program.printed());
    let told = "plugin `misbehaving` failed on more than 2 events within a minute, its `error-budget`";
    assert!(program.printed().contains(told), "{}", program.printed());
    assert_eq!(list(&pipeline), Vec::<Value>::new(), "the batch did not go on");
}

#[test]
fn rows_of_a_table_that_a_plugin_refuses_pass_when_the_file_says_so() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    let refuses = format!(
        "      path: {}\n      config: {{ does: refuse-table }}\n      on-schema-error: pass\n",
        plugin("misbehaving").display()
    );
    let pipeline = small(&source, &emulator, &refuses);
    let mut program = pipeline.start();
    wait_for_same_rows(&source, "t", &emulator.sink(), "t");
    assert!(program.printed().contains("rows pass without the plugin"), "{}", program.printed());
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}
