//! Lost binlog is made good (`scan.on-purged: resnapshot`) under the eyes of those who read the sink: no table is ever empty, what
//! vanished goes, what was not lost is not read again, and no crash is a bad moment.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::crash_points::{crash_until_it_ends, run_at};
use crate::snapshot::lose_binlog;
use crate::support::{
    Database, Emulator, Kind, Pipeline, Server, eventually, on_both_servers, wait_for_same_rows,
};

on_both_servers!(
    readers_never_see_less_than_what_did_not_change,
    only_what_lost_something_is_read_again,
    no_record_of_a_resnapshot_is_a_bad_moment,
);

const TABLES: [&str; 4] = ["kinds", "visits", "hits", "small"];

/// A key of every kind that a sink table takes, a partitioned table, one without a key, and one that loses all its rows.
fn make(source: &Database<'_>) {
    let rows = |row: &dyn Fn(u32) -> String| (1..=240).map(row).collect::<Vec<_>>().join(", ");
    source.sql(&format!(
        "CREATE TABLE kinds (
             u BIGINT UNSIGNED NOT NULL, d DECIMAL(12,3) NOT NULL, s VARCHAR(20) NOT NULL, b VARBINARY(8) NOT NULL, day DATE NOT NULL,
             at DATETIME(6) NOT NULL, x DOUBLE NOT NULL, i TINYINT NOT NULL, v INT, PRIMARY KEY (u, d, s, b, day, at, x, i));
         INSERT INTO kinds VALUES {};
         CREATE TABLE visits (id INT NOT NULL PRIMARY KEY, region VARCHAR(9) NOT NULL, v INT);
         INSERT INTO visits VALUES {};
         CREATE TABLE hits (n INT NOT NULL, v INT);
         INSERT INTO hits VALUES {};
         CREATE TABLE small (id INT NOT NULL PRIMARY KEY, v INT);
         INSERT INTO small VALUES (1, 1), (2, 2)",
        rows(&|n| format!(
            "({}, {}.5, 'ż{n}', x'00{:02x}ff', '2024-02-{:02}', '1969-12-31 23:59:59.00000{}', -{n}.25, {}, {n})",
            u64::MAX - u64::from(n),
            i64::from(n) - 100,
            n % 256,
            1 + n % 28,
            n % 10,
            i64::from(n % 100) - 50
        )),
        rows(&|n| format!("({n}, ELT(1 + {n} % 3, 'north', 'south', 'west'), {n})")),
        rows(&|n| format!("({n}, {n})")),
    ));
}

/// What happens while nobody reads, and is lost: the last third of the rows stays as it is.
fn change_unseen(source: &Database<'_>) {
    source.sql(
        "DELETE FROM kinds WHERE v <= 80; UPDATE kinds SET s = CONCAT(s, 'x') WHERE v <= 100;
         DELETE FROM visits WHERE v <= 80; UPDATE visits SET region = 'east' WHERE v <= 160; INSERT INTO visits VALUES (999, 'east', 1);
         DELETE FROM hits WHERE v <= 80; INSERT INTO hits VALUES (7, 1000), (7, 1000);
         DELETE FROM small",
    );
}

fn pipeline(source: &Database<'_>, emulator: &Emulator) -> Pipeline {
    Pipeline::new(source, emulator)
        .source("scan.incremental.snapshot.chunk.size", "20")
        .source("scan.on-purged", "resnapshot")
        .option("checkpoint.interval", "200ms")
        .block(&format!(
            "route:\n  - source-table: {}.visits\n    sink-table: ods_db.visits\n    partition-keys: region\n",
            source.name()
        ))
}

fn readers_never_see_less_than_what_did_not_change(kind: Kind) {
    let server = Server::private(kind, &[]);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    make(&source);
    let pipeline = pipeline(&source, &emulator);
    let mut program = pipeline.start();
    for table in TABLES {
        wait_for_same_rows(&source, table, &sink, table);
    }
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    change_unseen(&source);
    lose_binlog(&server);
    let slow = pipeline.source("scan.snapshot.max-rows-per-second", "400");
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let sink = emulator.sink();
            let count = |query: &str| -> usize {
                let found = sink.rows(query)[0][0].clone();
                found.and_then(|text| text.parse().ok()).expect("a number")
            };
            let mut looks = 0;
            while !ended.load(Ordering::Relaxed) {
                for table in ["kinds", "visits"] {
                    let same = count(&format!("SELECT COUNT(*) FROM {table} WHERE v > 160"));
                    assert_eq!(same, 80, "rows of `{table}` that did not change");
                }
                let hits = count("SELECT COUNT(*) FROM hits");
                assert!(
                    hits == 240 || hits == 162,
                    "`hits` is replaced at once, and was seen with {hits} rows"
                );
                looks += 1;
            }
            looks
        });
        let mut program = slow.start();
        for table in TABLES {
            wait_for_same_rows(&source, table, &sink, table);
        }
        ended.store(true, Ordering::Relaxed);
        let looks = reader.join().expect("a reader that found nothing wrong");
        assert!(looks > 5, "only {looks} looks");
        assert!(program.printed().contains("binlog was lost"), "{}", program.printed());
        // It streams on.
        source.sql("INSERT INTO small VALUES (3, 3); INSERT INTO hits VALUES (8, 8); DELETE FROM kinds WHERE v > 200");
        for table in TABLES {
            wait_for_same_rows(&source, table, &sink, table);
        }
        assert_eq!(program.stop(), Some(0), "{}", program.printed());
    });
}

/// A change that waits for an operator holds the checkpoint, while other tables go on. When binlog behind it goes, they have lost
/// nothing.
fn only_what_lost_something_is_read_again(kind: Kind) {
    let server = Server::private(kind, &[]);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(
        "CREATE TABLE held (id INT NOT NULL PRIMARY KEY, n INT); INSERT INTO held VALUES (1, 1), (2, 2), (3, 3);
         CREATE TABLE others (id INT NOT NULL PRIMARY KEY, n INT); INSERT INTO others VALUES (1, 1);
         CREATE TABLE events (n INT); INSERT INTO events VALUES (1), (1)",
    );
    let pipeline = Pipeline::new(&source, &emulator)
        .source("scan.on-purged", "resnapshot")
        .option("schema.change.approval", "required")
        .option("checkpoint.interval", "200ms");
    let mut program = pipeline.start();
    for table in ["held", "others", "events"] {
        wait_for_same_rows(&source, table, &sink, table);
    }
    eventually("the snapshot is over", || {
        let status = pipeline.status();
        let done = |table: &serde_json::Value| table["snapshot"] == "done";
        let all = status["tables"].as_array().is_some_and(|tables| tables.iter().all(done));
        if all { Ok(()) } else { Err(status.to_string()) }
    });
    source.sql(
        "ALTER TABLE held ADD note VARCHAR(9); DELETE FROM held WHERE id = 2; UPDATE held SET note = 'new'",
    );
    eventually("a change that waits", || {
        let waiting = pipeline.status()["waiting_changes"].as_array().map_or(0, Vec::len);
        if waiting == 1 { Ok(()) } else { Err(pipeline.status().to_string()) }
    });
    source.sql("INSERT INTO others VALUES (2, 2); INSERT INTO events VALUES (2)");
    for table in ["others", "events"] {
        wait_for_same_rows(&source, table, &sink, table);
    }
    // All of its commits are recorded when it has ended in order.
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    lose_binlog(&server);
    source.sql("INSERT INTO others VALUES (3, 3); INSERT INTO events VALUES (3)");
    // What it is read with differs from the sink still, and nobody has approved that.
    let mut program = pipeline.start();
    assert_eq!(program.wait(), Some(1), "{}", program.printed());
    let asked = program.printed();
    assert!(asked.contains("nobody has approved that"), "{asked}");
    let approved = crate::support::run(pipeline.folder(), &["schema", "approve", "pipeline.yaml"]);
    assert_eq!(approved.code, Some(0), "{}", approved.stderr);
    let mut program = pipeline.start();
    for table in ["held", "others", "events"] {
        wait_for_same_rows(&source, table, &sink, table);
    }
    let printed = asked + &program.printed();
    let again = printed.lines().filter(|line| line.contains("the table is read anew"));
    let again: Vec<&str> = again.collect();
    assert!(again.len() == 1 && again[0].contains(".held"), "{printed}");
    source.sql("INSERT INTO events VALUES (4); INSERT INTO held VALUES (5, 5, 'five')");
    for table in ["held", "events"] {
        wait_for_same_rows(&source, table, &sink, table);
    }
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}

fn no_record_of_a_resnapshot_is_a_bad_moment(kind: Kind) {
    let server = Server::private(kind, &[]);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(
        "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v INT); CREATE TABLE hits (n INT NOT NULL);
         INSERT INTO t VALUES (1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0); INSERT INTO hits VALUES (0), (0)",
    );
    let pipeline = Pipeline::new(&source, &emulator)
        .source("scan.incremental.snapshot.chunk.size", "4")
        .source("scan.on-purged", "resnapshot")
        .sink("buckets-num", "2")
        .option("checkpoint.interval", "200ms");
    let mut program = pipeline.start_and_wait();
    for table in ["t", "hits"] {
        wait_for_same_rows(&source, table, &sink, table);
    }
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    let side = if kind == Kind::MySql { "after" } else { "before" };
    let mut round = 0;
    let crashes = crash_until_it_ends(side, |at| {
        round += 1;
        // The row of the last round goes unseen, another comes, and one without a key beside it.
        source.sql(&format!(
            "DELETE FROM t WHERE id = {}; INSERT INTO t VALUES ({}, {round}); UPDATE t SET v = {round} WHERE id = 3;
             DELETE FROM hits WHERE n = {}; INSERT INTO hits VALUES ({round}), ({round})",
            99 + round,
            100 + round,
            round - 1
        ));
        lose_binlog(&server);
        run_at(&pipeline, &["t", "hits"], &source, &emulator, at)
    });
    assert!(crashes >= 10, "{side}: only {crashes} records");
}
