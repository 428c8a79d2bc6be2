//! Every call of a session meets every fault: lost before or after the work, answered by an error, late, throttled, its session
//! expired, forgotten or moved, the program killed meanwhile; once, and so often that the program gives up and begins again.
//! After each the sink holds each row of the source once, in its last version.
//!
//! The cells are generated: calls × faults × times, for the upsert sessions of a Delta table and the upload sessions of an
//! ordinary one; tables of both kinds take part in every cell. Crashes between the calls are in `crash_points.rs`.

use serde_json::{Value, json};

use crate::support::{
    Database, Emulator, Kind, Pipeline, Server, Sluicebox, eventually, same_rows, wait_for_same_rows,
};

const TABLES: [&str; 2] = ["accounts", "events"];

/// Calls, as the emulator names them.
const CALLS: [&str; 6] =
    ["upsert-create", "upsert-put", "upsert-commit", "upload-create", "upload-put", "upload-commit"];

/// `sink.retry-times` 1: after two failures of one request the program gives it up and begins again from its checkpoint.
const GIVEN_UP: u64 = 2;

/// Longer than any cell takes: a request that is held is only let go by the end of its connection.
const HELD_MS: u64 = 60_000;

/// What befalls a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    CutBefore,
    CutAfter,
    ErrorBefore,
    ErrorAfter,
    Unavailable,
    Throttled,
    Late,
    KilledMeanwhile,
    Expired,
    Forgotten,
    ForgottenAfter,
    Moved,
    MovedSilently,
}

const FAULTS: [Fault; 13] = [
    Fault::CutBefore,
    Fault::CutAfter,
    Fault::ErrorBefore,
    Fault::ErrorAfter,
    Fault::Unavailable,
    Fault::Throttled,
    Fault::Late,
    Fault::KilledMeanwhile,
    Fault::Expired,
    Fault::Forgotten,
    Fault::ForgottenAfter,
    Fault::Moved,
    Fault::MovedSilently,
];

#[derive(Debug, Clone, Copy)]
struct Cell {
    call: &'static str,
    fault: Fault,
    times: u64,
}

/// All cells that can be: a session must exist to be lost, only upsert sessions have slots, and what ends the program, or the session,
/// happens once.
fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for call in CALLS {
        for fault in FAULTS {
            let needs_session = matches!(
                fault,
                Fault::Expired
                    | Fault::Forgotten
                    | Fault::ForgottenAfter
                    | Fault::Moved
                    | Fault::MovedSilently
            );
            let needs_slot = matches!(fault, Fault::Moved | Fault::MovedSilently);
            if needs_session && call.ends_with("create") || needs_slot && !call.starts_with("upsert") {
                continue;
            }
            let once = needs_session || matches!(fault, Fault::KilledMeanwhile | Fault::Late);
            cells.extend([1, GIVEN_UP].into_iter().take(if once { 1 } else { 2 }).map(|times| Cell {
                call,
                fault,
                times,
            }));
        }
    }
    cells
}

impl Cell {
    /// The emulator's rule.
    fn rule(self) -> Value {
        let mut rule = json!({ "kind": self.call, "times": self.times });
        let more = match self.fault {
            Fault::CutBefore => json!({ "drop-before": true }),
            Fault::CutAfter => json!({ "drop-after": true }),
            Fault::ErrorBefore => json!({ "status": 500 }),
            Fault::ErrorAfter => json!({ "status": 500, "after": true }),
            Fault::Unavailable => json!({ "status": 503, "after": true }),
            Fault::Throttled => json!({ "status": 429, "headers": { "Retry-After": "0" } }),
            Fault::Late => json!({ "delay-ms": 400 }),
            Fault::KilledMeanwhile => json!({ "delay-ms": HELD_MS }),
            Fault::Expired => json!({ "session": "expire" }),
            Fault::Forgotten => json!({ "session": "forget" }),
            Fault::ForgottenAfter => json!({ "session": "forget", "drop-after": true }),
            Fault::Moved => json!({ "session": "move-slot" }),
            Fault::MovedSilently => json!({ "session": "move-slot-silently" }),
        };
        for (key, value) in more.as_object().expect("a mapping") {
            rule[key] = value.clone();
        }
        rule
    }

    /// Whether nobody can tell what became of the session: an upload session that was forgotten around its commit.
    fn is_past_telling(self) -> bool {
        self.call == "upload-commit" && matches!(self.fault, Fault::Forgotten | Fault::ForgottenAfter)
    }
}

#[test]
fn every_call_of_an_upsert_session_survives_every_fault() {
    survive("upsert", 52);
}

#[test]
fn every_call_of_an_upload_session_survives_every_fault() {
    survive("upload", 48);
}

/// `least`: cells there must be; fewer would mean that the generator lost some.
fn survive(sessions: &str, least: usize) {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    source.sql(
        "CREATE TABLE accounts (id INT NOT NULL PRIMARY KEY, balance INT NOT NULL);
         CREATE TABLE events (at INT NOT NULL, kind INT NOT NULL);
         INSERT INTO accounts VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5);
         INSERT INTO events VALUES (0, 0)",
    );
    let pipeline = Pipeline::new(&source, &emulator)
        .sink("retry-times", "1")
        .sink("sleep-millis", "10")
        .option("checkpoint.interval", "100ms");
    let mut program = pipeline.start();
    for table in TABLES {
        wait_for_same_rows(&source, table, &emulator.sink(), table);
    }
    let cells: Vec<Cell> = cells().into_iter().filter(|cell| cell.call.starts_with(sessions)).collect();
    assert!(cells.len() >= least, "{} cells", cells.len());
    for (round, cell) in cells.into_iter().enumerate() {
        program = play(cell, round, program, &source, &emulator, &pipeline);
    }
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}

/// One cell; gives the program that runs in the end.
fn play(
    cell: Cell,
    round: usize,
    mut program: Sluicebox,
    source: &Database<'_>,
    emulator: &Emulator,
    pipeline: &Pipeline,
) -> Sluicebox {
    emulator.fault(&cell.rule());
    write(source, round);
    eventually(&format!("{cell:?} strikes"), || {
        let struck = emulator.struck();
        if struck >= cell.times { Ok(()) } else { Err(format!("{struck} struck; {}", program.printed())) }
    });
    if cell.fault == Fault::KilledMeanwhile {
        program.kill();
    }
    emulator.clear_faults();
    if cell.is_past_telling() {
        assert_eq!(program.wait(), Some(3), "{cell:?}: {}", program.printed());
        assert!(program.printed().contains("nobody can tell"), "{cell:?}: {}", program.printed());
        settle(cell, pipeline);
    }
    if cell.is_past_telling() || cell.fault == Fault::KilledMeanwhile {
        program = pipeline.start();
    }
    for table in TABLES {
        eventually(&format!("{cell:?}: the rows of `{table}`"), || {
            program.assert_running();
            same_rows(source, table, &emulator.sink(), table)
        });
    }
    program
}

/// Says what the rule has made true of the session.
fn settle(cell: Cell, pipeline: &Pipeline) {
    let status = pipeline.status();
    let sessions = status["sessions"].as_array().expect("a list of sessions");
    let session =
        sessions.iter().find(|session| session["state"] == "flushed" && session["target"] == "events");
    let id =
        session.and_then(|session| session["id"].as_str()).unwrap_or_else(|| panic!("{cell:?}: {status}"));
    let fate = if cell.fault == Fault::ForgottenAfter { "committed" } else { "lost" };
    let output = pipeline.command("settle", &[id, fate]);
    assert_eq!(output.code, Some(0), "{cell:?}: {output:?}");
}

/// One of several partitions' sessions is lost: what the others of the same commit hold is read again with it, once, since they share
/// one position.
#[test]
fn a_lost_session_of_one_partition_loses_no_rows_and_doubles_none() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(
        "CREATE TABLE hits (n INT NOT NULL, region VARCHAR(9) NOT NULL);
         INSERT INTO hits VALUES (0, 'north'), (0, 'south'), (0, 'west')",
    );
    let pipeline = Pipeline::new(&source, &emulator).sink("retry-times", "0").block(&format!(
        "route:\n  - source-table: {}.hits\n    sink-table: ods_db.hits\n    partition-keys: region\n",
        source.name()
    ));
    let mut program = pipeline.start();
    wait_for_same_rows(&source, "hits", &sink, "hits");
    // The first of three commits finds its session forgotten, and the two others do not arrive.
    emulator.fault(&json!([
        { "kind": "upload-commit", "session": "forget" },
        { "kind": "upload-commit", "nth": 2, "times": 2, "drop-before": true },
    ]));
    source.sql("INSERT INTO hits VALUES (1, 'north'), (1, 'south'), (1, 'south'), (1, 'west')");
    assert_eq!(program.wait(), Some(3), "{}", program.printed());
    emulator.clear_faults();
    let printed = program.printed();
    let told = printed.lines().find(|line| line.contains("nobody can tell")).expect("a question");
    let status = pipeline.status();
    let flushed = status["sessions"].as_array().expect("a list").clone();
    let ids: Vec<&str> = flushed.iter().filter_map(|session| session["id"].as_str()).collect();
    assert_eq!(ids.len(), 3, "{status}");
    let lost = ids.iter().find(|id| told.contains(*id)).unwrap_or_else(|| panic!("{told} in {status}"));
    let output = pipeline.command("settle", &[lost, "lost"]);
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(output.stdout.lines().count(), 3, "{output:?}");
    let mut program = pipeline.start();
    assert_eq!(wait_for_same_rows(&source, "hits", &sink, "hits"), 7);
    source.sql("INSERT INTO hits VALUES (2, 'west')");
    assert_eq!(wait_for_same_rows(&source, "hits", &sink, "hits"), 8);
    program.assert_running();
}

/// The same when another partition's rows are in the table already: reading again would double them, and the command says so.
#[test]
fn a_lost_session_is_not_read_again_beside_one_that_has_committed() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql("CREATE TABLE hits (n INT NOT NULL, region VARCHAR(9) NOT NULL); INSERT INTO hits VALUES (0, 'north')");
    let pipeline = Pipeline::new(&source, &emulator).sink("retry-times", "0").block(&format!(
        "route:\n  - source-table: {}.hits\n    sink-table: ods_db.hits\n    partition-keys: region\n",
        source.name()
    ));
    let mut program = pipeline.start();
    wait_for_same_rows(&source, "hits", &sink, "hits");
    emulator.fault(&json!({ "kind": "upload-commit", "nth": 2, "session": "forget" }));
    source.sql("INSERT INTO hits VALUES (1, 'north'), (1, 'south')");
    assert_eq!(program.wait(), Some(3), "{}", program.printed());
    let status = pipeline.status();
    let sessions = status["sessions"].as_array().expect("a list").clone();
    let lost = sessions.iter().find(|session| {
        program.printed().contains(&format!("session `{}`", session["id"].as_str().unwrap_or("?")))
    });
    let lost = lost.and_then(|session| session["id"].as_str()).unwrap_or_else(|| panic!("{status}"));
    let output = pipeline.command("settle", &[lost, "lost"]);
    assert_ne!(output.code, Some(0), "{output:?}");
    assert!(output.stderr.contains("they would come twice"), "{output:?}");
    assert_eq!(sink.rows("SELECT n FROM hits").len(), 2);
}

/// A table whose commit takes long holds back the checkpoint, and nothing else: the others' rows become visible, and newer ones go
/// on to the service.
#[test]
fn a_slow_commit_holds_back_no_other_table() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    source.sql(
        "CREATE TABLE slow (id INT NOT NULL PRIMARY KEY);
         CREATE TABLE accounts (id INT NOT NULL PRIMARY KEY, balance INT NOT NULL);
         CREATE TABLE events (at INT NOT NULL, kind INT NOT NULL);
         INSERT INTO slow VALUES (0); INSERT INTO accounts VALUES (0, 0); INSERT INTO events VALUES (0, 0)",
    );
    let pipeline = Pipeline::new(&source, &emulator).option("checkpoint.interval", "200ms");
    let mut program = pipeline.start();
    for table in ["slow", "accounts", "events"] {
        wait_for_same_rows(&source, table, &emulator.sink(), table);
    }
    emulator.fault(&json!({ "kind": "upsert-commit", "path": "/slow/", "delay-ms": HELD_MS }));
    source.sql(
        "INSERT INTO slow VALUES (1); INSERT INTO accounts VALUES (1, 1); INSERT INTO events VALUES (1, 1)",
    );
    eventually(
        "the commit is held",
        || if emulator.struck() == 1 { Ok(()) } else { Err("not yet".to_owned()) },
    );
    for table in ["accounts", "events"] {
        wait_for_same_rows(&source, table, &emulator.sink(), table);
    }
    let written = pipeline.counter("sink_rows_written_total").expect("the metrics page");
    source.sql("INSERT INTO accounts VALUES (2, 2), (3, 3); INSERT INTO events VALUES (2, 2)");
    eventually("newer rows are sent", || {
        program.assert_running();
        let now = pipeline.counter("sink_rows_written_total")?;
        if now >= written + 3 { Ok(()) } else { Err(format!("{now} rows sent, {written} before")) }
    });
    assert_eq!(
        emulator.sink().rows("SELECT COUNT(*) FROM slow"),
        [[Some("1".to_owned())]],
        "it is still held"
    );
    program.kill();
}

/// Every kind of change, some of it twice the same.
fn write(source: &Database<'_>, round: usize) {
    let id = 100 + round;
    source.sql(&format!(
        "BEGIN;
         INSERT INTO accounts VALUES ({id}, 0);
         UPDATE accounts SET balance = balance + {round} + 1 WHERE id <= 5;
         UPDATE accounts SET id = id + 100000 WHERE id = {id};
         DELETE FROM accounts WHERE id = {};
         INSERT INTO events VALUES ({round}, 1), ({round}, 1), ({round}, 2);
         COMMIT",
        100_099 + round
    ));
}
