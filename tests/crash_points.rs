//! The program is crashed before and after every record of its state, one after another, and goes on each time as if
//! nothing had happened: each row of the source is once in the sink, in its last version, in a Delta table and in an ordinary one.
//!
//! Records are not listed here. A run is made to crash at its first transaction, the next at its second, and so on until a run gets
//! to its end: a new kind of record is in the test on the day it is in the program.

use std::os::unix::process::ExitStatusExt as _;

use crate::support::{
    Database, Emulator, Kind, Pipeline, Random, Server, Sluicebox, eventually, on_both_servers, same_rows,
    wait_for_same_rows,
};

on_both_servers!(
    no_record_of_the_stream_is_a_bad_moment,
    no_record_of_the_snapshot_is_a_bad_moment,
    no_record_of_a_table_without_a_key_is_a_bad_moment,
    no_record_of_partitioned_tables_is_a_bad_moment,
    no_step_of_a_schema_change_is_a_bad_moment,
    no_record_of_a_change_of_a_merged_table_is_a_bad_moment,
    no_phase_of_a_snapshot_is_a_bad_moment,
);

const TABLES: [&str; 2] = ["accounts", "events"];
/// A Delta table and an ordinary one, both partitioned by `region`.
const PARTITIONED: [&str; 2] = ["visits", "hits"];
/// The signal of a crash point.
const ABORT: i32 = 6;

/// More records than any run writes before it has caught up; reaching it is a failure.
const MOST_RECORDS: usize = 120;

fn no_record_of_the_stream_is_a_bad_moment(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    make_tables(&source);
    let pipeline = pipeline(&source, &emulator);
    let mut program = pipeline.start_and_wait();
    for table in TABLES {
        wait_for_same_rows(&source, table, &emulator.sink(), table);
    }
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    for side in ["before", "after"] {
        let mut step = 0;
        let crashes = crash_until_it_ends(side, |at| {
            step += 1;
            let round = if side == "before" { step } else { 1000 + step };
            write(&source, round);
            run_at(&pipeline, &TABLES, &source, &emulator, at)
        });
        assert!(
            crashes >= 8,
            "{side}: only {crashes} records: checkpoint, schemas and sessions of two targets are more"
        );
    }
}

fn no_record_of_the_snapshot_is_a_bad_moment(kind: Kind) {
    let server = Server::shared(kind);
    let source = server.database();
    make_tables(&source);
    for side in ["before", "after"] {
        let crashes = crash_until_it_ends(side, |at| {
            // A state of its own for each crash: that of the last one has the snapshot behind it.
            let emulator = Emulator::start();
            run_at(&pipeline(&source, &emulator), &TABLES, &source, &emulator, at)
        });
        assert!(
            crashes >= 8,
            "{side}: only {crashes} records: chunks, schemas and sessions of two targets are more"
        );
    }
}

/// A table without a key goes into two sink tables, and changes right after it was read: in both its rows are there once.
fn no_record_of_a_table_without_a_key_is_a_bad_moment(kind: Kind) {
    let server = Server::private(kind, &[]);
    // What is written while the snapshot opens must not come twice.
    server.sql(&format!("GRANT LOCK TABLES ON *.* TO {}@'%'", Server::USER));
    let source = server.database();
    source.sql("CREATE TABLE events (at INT NOT NULL, kind INT NOT NULL); INSERT INTO events VALUES (1, 1), (1, 1), (2, 1)");
    let routes = format!(
        "route:\n  - source-table: {0}.events\n    sink-table: ods_db.first\n  - source-table: {0}.events\n    sink-table: ods_db.second\n",
        source.name()
    );
    let mut round = 0;
    for side in ["before", "after"] {
        let crashes = crash_until_it_ends(side, |at| {
            round += 1;
            let emulator = Emulator::start();
            // No barrier of its own comes between the reading and the change.
            let pipeline = pipeline(&source, &emulator).option("checkpoint.interval", "1h").block(&routes);
            let change = format!(
                "ALTER TABLE events ADD COLUMN c{round} INT NULL; INSERT INTO events (at, kind, c{round}) VALUES (3, {round}, 1)"
            );
            let mut program = pipeline.start_to_crash(at);
            let mut changed = false;
            let crashed = eventually(&format!("a crash {at}, or the end"), || {
                if let Some(status) = program.ended() {
                    assert_eq!(status.signal(), Some(ABORT), "{at}: {}", program.printed());
                    return Ok(true);
                }
                let printed = program.printed();
                if !changed && printed.contains("snapshot of table read") {
                    source.sql(&change);
                    changed = true;
                }
                let made = emulator.sink().columns("second").contains(&format!("c{round}"));
                if made && printed.contains("pipeline running") { Ok(false) } else { Err(printed) }
            });
            if !changed {
                source.sql(&change);
            }
            // The record may be one of the orderly end.
            let ended = if crashed { None } else { program.stop() };
            let pipeline = pipeline.option("checkpoint.interval", "200ms");
            let mut program = pipeline.start_and_wait();
            for target in ["first", "second"] {
                eventually(&format!("after a crash {at}: the rows of `{target}`"), || {
                    program.assert_running();
                    same_rows(&source, "events", &emulator.sink(), target)
                });
            }
            assert_eq!(program.stop(), Some(0), "{at}: {}", program.printed());
            for target in ["first", "second"] {
                same_rows(&source, "events", &emulator.sink(), target)
                    .unwrap_or_else(|difference| panic!("{at}: `{target}`: {difference}"));
            }
            ended != Some(0)
        });
        assert!(crashes >= 6, "{side}: only {crashes} records");
    }
}

/// Every epoch has a session for each of three partitions: they are delivered together or not at all.
fn no_record_of_partitioned_tables_is_a_bad_moment(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    source.sql(
        "CREATE TABLE visits (id INT NOT NULL PRIMARY KEY, region VARCHAR(9) NOT NULL, n INT NOT NULL);
         CREATE TABLE hits (n INT NOT NULL, region VARCHAR(9) NOT NULL);
         INSERT INTO visits VALUES (1, 'north', 0), (2, 'south', 0), (3, 'west', 0);
         INSERT INTO hits VALUES (0, 'north'), (0, 'north'), (0, 'west')",
    );
    let pipeline = pipeline(&source, &emulator).block(&format!(
        "route:\n  - source-table: {}.\\.*\n    sink-table: ods_db.<>\n    replace-symbol: <>\n    partition-keys: region\n",
        source.name()
    ));
    let mut program = pipeline.start_and_wait();
    for table in PARTITIONED {
        wait_for_same_rows(&source, table, &emulator.sink(), table);
    }
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    for side in ["before", "after"] {
        let mut step = if side == "before" { 0 } else { 1000 };
        let crashes = crash_until_it_ends(side, |at| {
            step += 1;
            // Each row moves on to the next region.
            source.sql(&format!(
                "UPDATE visits SET n = {step}, region = ELT(1 + ({step} + id) % 3, 'north', 'south', 'west');
                 INSERT INTO hits VALUES ({step}, 'north'), ({step}, 'south'), ({step}, 'west'), ({step}, 'west')"
            ));
            run_at(&pipeline, &PARTITIONED, &source, &emulator, at)
        });
        assert!(
            crashes >= 10,
            "{side}: only {crashes} records: six sessions are opened, flushed and committed"
        );
    }
}

/// Columns are renamed, dropped, widened, and a dropped name comes back with another type, at once or later: none of it can be told from the
/// sink table alone once a crash came between two statements.
fn no_step_of_a_schema_change_is_a_bad_moment(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    source.sql(
        "CREATE TABLE accounts (id INT NOT NULL PRIMARY KEY, balance INT NOT NULL, note0 VARCHAR(40), again INT, wide0 INT);
         CREATE TABLE events (at INT NOT NULL, kind0 INT, again INT);
         INSERT INTO accounts VALUES (1, 1, 'first', 1, 1), (2, 2, 'first', 2, 2), (3, 3, NULL, NULL, 3);
         INSERT INTO events VALUES (1, 1, 1), (1, 1, 1)",
    );
    let filter =
        format!("transform:\n  - source-table: {}.accounts\n    filter: balance >= 0\n", source.name());
    let pipeline = pipeline(&source, &emulator).option("schema.change.behavior", "evolve").block(&filter);
    let mut program = pipeline.start_and_wait();
    for table in TABLES {
        wait_for_same_rows(&source, table, &emulator.sink(), table);
    }
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    let mut round = 0;
    let mut random = Random::of_this_run("the second crash");
    for side in ["before", "after"] {
        let crashes = crash_until_it_ends(side, |at| {
            round += 1;
            change_schema(&source, round);
            // What the first crash left half done, the next run finishes; that may crash as well.
            let again = (side == "before").then(|| format!("after:{}", random.between(1, 14)));
            let crashed = run_at_twice(&pipeline, &TABLES, &source, &emulator, at, again.as_deref());
            for (table, fixed) in [("accounts", &["id", "balance"][..]), ("events", &["at"])] {
                let wanted = fixed.iter().map(|name| (*name).to_owned()).chain(moving(table, round));
                assert_eq!(
                    sorted(emulator.sink().columns(table)),
                    sorted(wanted.collect()),
                    "{at}, round {round}"
                );
            }
            crashed
        });
        assert!(crashes >= 12, "{side}: only {crashes} records: each of the changes is one more");
    }
}

/// A change of one of two sources commits what the sink table has of both: rows of the other one that came before the change, and were
/// only gathered so far, must be in that commit.
fn no_record_of_a_change_of_a_merged_table_is_a_bad_moment(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    source.sql(
        "CREATE TABLE shop_1 (id INT NOT NULL PRIMARY KEY, n INT NOT NULL);
         CREATE TABLE shop_2 (id INT NOT NULL PRIMARY KEY, n INT NOT NULL);
         CREATE VIEW shops AS SELECT id, n FROM shop_1 UNION ALL SELECT id, n FROM shop_2;
         INSERT INTO shop_1 VALUES (1, 0); INSERT INTO shop_2 VALUES (2, 0)",
    );
    let merge = format!(
        "route:\n  - source-table: {}.shop_\\d\n    sink-table: ods_db.shops\n    on-key-conflict: last-wins\n",
        source.name()
    );
    let pipeline =
        pipeline(&source, &emulator).source("tables", &format!("{}.shop_\\d", source.name())).block(&merge);
    let mut program = pipeline.start_and_wait();
    wait_for_same_rows(&source, "shops", &emulator.sink(), "shops");
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    let mut round = 0;
    for side in ["before", "after"] {
        let crashes = crash_until_it_ends(side, |at| {
            round += 1;
            let id = 10 * round;
            source.sql(&format!(
                "INSERT INTO shop_2 VALUES ({id}, {round});
                 UPDATE shop_2 SET n = {round} WHERE id = 2;
                 ALTER TABLE shop_1 ADD COLUMN c{round} INT NULL;
                 INSERT INTO shop_1 (id, n, c{round}) VALUES ({}, {round}, 1);
                 INSERT INTO shop_2 VALUES ({}, {round})",
                id + 1,
                id + 2
            ));
            run_at(&pipeline, &["shops"], &source, &emulator, at)
        });
        assert!(
            crashes >= 6,
            "{side}: only {crashes} records: a schema, its change and two sessions are more"
        );
    }
}

/// The columns that other names take turns with.
fn moving(table: &str, round: usize) -> Vec<String> {
    let again = "again".to_owned();
    match table {
        "accounts" => vec![again, format!("note{round}"), format!("wide{round}")],
        _ => vec![again, format!("kind{round}")],
    }
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

/// Changes of one round, with rows between them.
fn change_schema(source: &Database<'_>, round: usize) {
    let last = round - 1;
    // By turns a number and a text.
    let (again, value) = if round.is_multiple_of(2) { ("INT", "7") } else { ("VARCHAR(20)", "'seven'") };
    // Before the first statement there are rows that reach the sink, or only one that the filter keeps back.
    let before = if round.is_multiple_of(3) {
        "UPDATE accounts SET balance = balance + 1 WHERE id < 3"
    } else {
        "DO 0"
    };
    source.sql(&format!(
        "{before};
         INSERT INTO accounts (id, balance) VALUES (999, -1);
         INSERT INTO events (at, kind{last}) VALUES ({round}, 1), ({round}, 1);
         ALTER TABLE accounts RENAME COLUMN note{last} TO note{round};
         ALTER TABLE events RENAME COLUMN kind{last} TO kind{round};
         UPDATE accounts SET note{round} = 'after {round}', balance = {round} WHERE id = 1;
         INSERT INTO events (at, kind{round}) VALUES ({round}, 2);
         ALTER TABLE accounts DROP COLUMN again, MODIFY COLUMN wide{last} BIGINT;
         INSERT INTO accounts (id, balance, wide{last}) VALUES ({}, {round}, 5000000000);
         INSERT INTO events (at, kind{round}) VALUES ({round}, 3);
         ALTER TABLE accounts ADD COLUMN again {again} NULL AFTER id;
         ALTER TABLE accounts DROP COLUMN wide{last}, ADD COLUMN wide{round} INT NULL;
         ALTER TABLE events DROP COLUMN again, ADD COLUMN again {again} NULL;
         ALTER TABLE accounts FORCE, ALGORITHM=COPY;
         UPDATE accounts SET again = {value}, wide{round} = {round} WHERE id IN (1, 3);
         ALTER TABLE events FORCE, ALGORITHM=COPY;
         DELETE FROM accounts WHERE id = 999;
         INSERT INTO events (at, kind{round}, again) VALUES ({round}, 4, {value})",
        1000 + round,
    ));
}

/// What a snapshot comes through that leaves no record, in the names of the program's crash points.
const PHASES: [&str; 10] = [
    "chunk-cut",
    "window-open",
    "chunk-read",
    "chunk-placed",
    "stream-paused",
    "whole-opened",
    "whole-sent",
    "whole-read",
    "table-read",
    "snapshot-read",
];

fn no_phase_of_a_snapshot_is_a_bad_moment(kind: Kind) {
    let server = Server::private(kind, &[]);
    // What is written while the snapshot of the table without a key opens must not come twice.
    server.sql(&format!("GRANT LOCK TABLES ON *.* TO {}@'%'", Server::USER));
    let source = server.database();
    make_tables(&source);
    for (phase, round) in PHASES.into_iter().zip(1..) {
        let emulator = Emulator::start();
        let pipeline = pipeline(&source, &emulator);
        let mut program = pipeline.start_to_crash(&format!("phase:{phase}"));
        // While it runs, and while nobody does.
        write(&source, round);
        let crashed = eventually(&format!("a crash in `{phase}`"), || match program.ended() {
            Some(status) => Ok(status.signal()),
            None => Err(program.printed()),
        });
        assert_eq!(crashed, Some(ABORT), "{phase}: {}", program.printed());
        write(&source, 100 + round);
        let mut program = pipeline.start_and_wait();
        for table in TABLES {
            eventually(&format!("after a crash in `{phase}`: the rows of `{table}`"), || {
                program.assert_running();
                same_rows(&source, table, &emulator.sink(), table)
            });
        }
        assert_eq!(program.stop(), Some(0), "{phase}: {}", program.printed());
    }
}

/// Crashes at each record until a run has none left; gives the number of crashes.
pub fn crash_until_it_ends(side: &str, mut run: impl FnMut(&str) -> bool) -> usize {
    let crashes = (1..=MOST_RECORDS).take_while(|number| run(&format!("{side}:{number}"))).count();
    assert!(crashes < MOST_RECORDS, "a run writes more than {MOST_RECORDS} records");
    crashes
}

/// Runs the program to its crash, and again without one until the sink holds the source's rows. False when the first run got to
/// the end without a crash.
pub fn run_at(
    pipeline: &Pipeline,
    tables: &[&str],
    source: &Database<'_>,
    emulator: &Emulator,
    at: &str,
) -> bool {
    run_at_twice(pipeline, tables, source, emulator, at, None)
}

/// The same, with a crash of the second run as well, if it gets so far.
fn run_at_twice(
    pipeline: &Pipeline,
    tables: &[&str],
    source: &Database<'_>,
    emulator: &Emulator,
    at: &str,
    again: Option<&str>,
) -> bool {
    if !crash_at(pipeline, tables, source, emulator, at) {
        return false;
    }
    if let Some(again) = again {
        crash_at(pipeline, tables, source, emulator, again);
    }
    // Before that line it may not be ready to be stopped, and the rows may be there already.
    let mut program = pipeline.start_and_wait();
    for table in tables {
        let what = format!("after a crash {at}, and {again:?}: the rows of `{table}`");
        eventually(&what, || {
            program.assert_running();
            same_rows(source, table, &emulator.sink(), table)
        });
    }
    // Nothing may come after that.
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    for table in tables {
        same_rows(source, table, &emulator.sink(), table)
            .unwrap_or_else(|difference| panic!("{at}, {again:?}: {difference}"));
    }
    true
}

/// Runs the program to its crash; false when it got to the end.
fn crash_at(
    pipeline: &Pipeline,
    tables: &[&str],
    source: &Database<'_>,
    emulator: &Emulator,
    at: &str,
) -> bool {
    let mut program = pipeline.start_to_crash(at);
    let crashed = eventually(&format!("a crash {at}, or the end"), || match program.ended() {
        Some(status) if status.signal() == Some(ABORT) => Ok(true),
        Some(status) => panic!("{at}: ended with {status}\n{}", program.printed()),
        None if caught_up(pipeline, tables, source, emulator, &program) => Ok(false),
        None => Err(program.printed()),
    });
    if !crashed {
        match program.stop() {
            Some(0) => return false,
            // The record was one of the orderly end.
            None if program.ended().and_then(|status| status.signal()) == Some(ABORT) => {}
            code => panic!("{at}: ended with {code:?}\n{}", program.printed()),
        }
    }
    true
}

/// Whether the sink holds all rows and a checkpoint says so.
fn caught_up(
    pipeline: &Pipeline,
    tables: &[&str],
    source: &Database<'_>,
    emulator: &Emulator,
    program: &Sluicebox,
) -> bool {
    let status = pipeline.status();
    let is_settled = status["sessions"].as_array().is_some_and(Vec::is_empty)
        && status["tables"]
            .as_array()
            .is_some_and(|tables| tables.iter().all(|table| table["snapshot"] == "done"));
    is_settled
        && program.printed().contains("pipeline running")
        && tables.iter().all(|table| same_rows(source, table, &emulator.sink(), table).is_ok())
}

fn pipeline(source: &Database<'_>, emulator: &Emulator) -> Pipeline {
    // Few buckets and a large chunk keep the number of records small; each kind of record still comes several times.
    Pipeline::new(source, emulator)
        .source("scan.incremental.snapshot.chunk.size", "40")
        .sink("buckets-num", "2")
        .option("checkpoint.interval", "200ms")
}

fn make_tables(source: &Database<'_>) {
    source.sql(
        "CREATE TABLE accounts (id INT NOT NULL PRIMARY KEY, balance INT NOT NULL, note VARCHAR(40));
         CREATE TABLE events (at INT NOT NULL, kind INT NOT NULL)",
    );
    let rows: Vec<String> = (0..100).map(|id| format!("({id}, {id}, 'first')")).collect();
    source.sql(&format!("INSERT INTO accounts VALUES {}", rows.join(", ")));
    source.sql("INSERT INTO events VALUES (1, 1), (1, 1), (2, 1)");
}

/// Every kind of change, with a new column between them.
fn write(source: &Database<'_>, round: usize) {
    let id = 1000 + round;
    source.sql(&format!(
        "INSERT INTO accounts (id, balance, note) VALUES ({id}, 0, 'round {round}');
         UPDATE accounts SET balance = balance + {round} WHERE id < 20;
         INSERT INTO events (at, kind) VALUES ({round}, 2), ({round}, 2);
         ALTER TABLE accounts ADD COLUMN c{round} INT NULL;
         UPDATE accounts SET c{round} = {round} WHERE id IN (1, {id});
         UPDATE accounts SET id = id + 100000 WHERE id = {id};
         DELETE FROM accounts WHERE id = {};
         INSERT INTO events (at, kind) VALUES ({round}, 3)",
        100_999 + round
    ));
}
