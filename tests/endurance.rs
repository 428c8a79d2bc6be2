//! What is larger than usual, and what breaks at the source or on our own disk.

use std::time::{Duration, Instant};

use crate::support::{
    Emulator, Kind, Pipeline, Server, Sluicebox, eventually, on_both_servers, wait_for_same_rows,
};

on_both_servers!(
    a_table_of_a_thousand_columns_is_read,
    rows_of_sixteen_megabytes_are_read,
    chunks_of_wide_rows_stay_in_the_memory_they_are_given,
    a_large_transaction_stays_in_the_memory_it_is_given,
    a_thousand_tables_are_no_hindrance,
    a_server_that_restarts_is_read_on,
    a_killed_reader_and_a_rotation_inside_a_transaction_lose_nothing,
);

fn a_table_of_a_thousand_columns_is_read(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let columns: Vec<String> = (1..1_000).map(|n| format!("c{n} INT")).collect();
    source.sql(&format!("CREATE TABLE wide (id INT PRIMARY KEY, {})", columns.join(", ")));
    source.sql("INSERT INTO wide (id, c1, c999) VALUES (1, 1, 999), (2, 2, NULL)");
    let pipeline = Pipeline::new(&source, &emulator);
    let mut program = pipeline.start();
    wait_for_same_rows(&source, "wide", &emulator.sink(), "wide");
    source.sql("UPDATE wide SET c500 = 500; INSERT INTO wide (id, c998) VALUES (3, 998); DELETE FROM wide WHERE id = 2");
    source.sql("ALTER TABLE wide ADD COLUMN c1000 INT; UPDATE wide SET c1000 = 1000 WHERE id = 3");
    assert_eq!(wait_for_same_rows(&source, "wide", &emulator.sink(), "wide"), 2);
    program.assert_running();
}

/// A value of the sink has 8 MB at most, so that such a row has several.
fn rows_of_sixteen_megabytes_are_read(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    source.sql("CREATE TABLE large (id INT PRIMARY KEY, a LONGBLOB, b LONGTEXT, c LONGBLOB)");
    let row = |id: u32| {
        format!(
            "INSERT INTO large VALUES ({id}, REPEAT('{id}', 6000000), REPEAT('ab', 3000000), REPEAT(x'00ff', 3000000))"
        )
    };
    source.sql(&row(1));
    let pipeline = Pipeline::new(&source, &emulator);
    let mut program = pipeline.start();
    wait_for_same_rows(&source, "large", &emulator.sink(), "large");
    source.sql(&row(2));
    source.sql("UPDATE large SET b = CONCAT(b, 'c') WHERE id = 1");
    wait_for_same_rows(&source, "large", &emulator.sink(), "large");
    program.assert_running();
}

/// The most memory that the program has had, in bytes.
fn peak_memory(program: &Sluicebox) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.id())).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib * 1024
}

/// What glibc gives back at once instead of keeping it for later: everything above 512 KiB.
///
/// Left alone it keeps up to twice of what the program holds: blocks up to the largest that was ever freed stay in the pool of
/// the thread that allocated them, and rows pass from thread to thread. Of a transaction of 1.5 GB in rows of 1 MB that was a
/// peak of 166 MiB against 91 MiB with this, 64 MiB of which are the budget and 27 MiB the program before it.
const GIVE_BACK: (&str, &str) = ("MALLOC_MMAP_THRESHOLD_", "524288");

/// Beside the budget: the receiver's queue of 16 events of a megabyte, and a few on their way in and out of it.
const BESIDE_THE_BUDGET: u64 = 32 << 20;

/// A chunk of 150 MB, with its key, cut by a column and read whole, while 16 MiB are left to all readers together.
fn chunks_of_wide_rows_stay_in_the_memory_they_are_given(kind: Kind) {
    const ROWS: u64 = 150;
    let server = Server::private(kind, &[]);
    let (source, emulator) = (server.database(), Emulator::start_discarding());
    server.sql(&format!("GRANT LOCK TABLES ON *.* TO {}@'%'", Server::USER));
    let name = source.name();
    let mut session = source.session();
    session.sql("SET sql_log_bin = 0");
    for (table, key) in
        [("keyed", "PRIMARY KEY (id)"), ("twos", "PRIMARY KEY (id), KEY (half)"), ("keyless", "KEY (half)")]
    {
        session.sql(&format!("CREATE TABLE {table} (id INT NOT NULL, half INT NOT NULL, v LONGBLOB, {key})"));
        for id in 0..ROWS {
            session.sql(&format!("INSERT INTO {table} VALUES ({id}, {}, REPEAT('x', 1000000))", id / 2));
        }
    }
    let pipeline = Pipeline::new(&source, &emulator)
        .source(
            "scan.incremental.snapshot.chunk.key-column",
            &format!("{name}.twos:half;{name}.keyless:half"),
        )
        .option("parallelism", "2")
        .option("memory", "64MiB");
    let mut program = pipeline.start_with_and_wait(&[GIVE_BACK]);
    eventually("all rows are committed at the sink", || {
        match pipeline.counter("sink_rows_written_total")? {
            rows if rows == 3 * ROWS => Ok(()),
            rows => Err(format!("{rows} rows; {} MiB", peak_memory(&program) >> 20)),
        }
    });
    let peak = peak_memory(&program);
    program.assert_running();
    // The program before it has about 32 MiB; beside the budget are its chunks and those in the hands of the readers.
    let most = (32 + 64 + 16 + 32) << 20;
    assert!(peak < most, "{} MiB", peak >> 20);
}

/// `SLUICEBOX_TEST_TRANSACTION_MB` makes it as large as one wants; the memory stays the same.
fn a_large_transaction_stays_in_the_memory_it_is_given(kind: Kind) {
    let megabytes: u64 =
        std::env::var("SLUICEBOX_TEST_TRANSACTION_MB").map_or(400, |text| text.parse().expect("a number"));
    let server = Server::private(kind, &["--max-binlog-cache-size=16G"]);
    let (source, emulator) = (server.database(), Emulator::start_discarding());
    source.sql("CREATE TABLE t (id INT PRIMARY KEY, v LONGBLOB)");
    let pipeline = Pipeline::new(&source, &emulator)
        .source("scan.startup.mode", "latest-offset")
        .option("memory", "64MiB");
    let mut program = pipeline.start_with_and_wait(&[GIVE_BACK]);
    let before = peak_memory(&program);
    let mut session = source.session();
    session.sql("BEGIN");
    for id in 0..megabytes {
        session.sql(&format!(
            "INSERT INTO t VALUES ({id}, REPEAT(CHAR({} USING latin1), 1000000))",
            65 + id % 26
        ));
    }
    session.sql("COMMIT");
    eventually("the transaction is committed at the sink", || {
        match pipeline.counter("sink_rows_written_total")? {
            rows if rows == megabytes => Ok(()),
            rows => Err(format!("{rows} rows; {} MiB", peak_memory(&program) >> 20)),
        }
    });
    let peak = peak_memory(&program);
    program.assert_running();
    let most = before + (64 << 20) + BESIDE_THE_BUDGET;
    assert!(peak < most, "{} MiB, {} before it", peak >> 20, before >> 20);
}

/// `SLUICEBOX_TEST_TABLES` makes them more.
#[expect(clippy::print_stderr, reason = "the test harness shows it with the failure")]
fn a_thousand_tables_are_no_hindrance(kind: Kind) {
    let tables: usize =
        std::env::var("SLUICEBOX_TEST_TABLES").map_or(1_000, |text| text.parse().expect("a number"));
    let server = Server::private(kind, &["--table-open-cache=512", "--innodb-flush-log-at-trx-commit=0"]);
    let (source, emulator) = (server.database(), Emulator::start());
    let mut session = source.session();
    for first in (0..tables).step_by(100) {
        let some = (first..first + 100).map(|n| format!("CREATE TABLE t{n} (id INT PRIMARY KEY, v TEXT)"));
        session.sql(&some.collect::<Vec<_>>().join("; "));
    }
    session.sql("INSERT INTO t0 VALUES (1, 'a'); INSERT INTO t999 VALUES (2, 'b')");
    // Into one, so that the sink's part is small.
    let route = format!("route:\n  - source-table: {}.t\\d+\n    sink-table: all_of_them\n", source.name());
    let pipeline = Pipeline::new(&source, &emulator).block(&route);
    let began = Instant::now();
    let mut program = pipeline.start_and_wait();
    let started = began.elapsed();
    session.sql("INSERT INTO t250 VALUES (3, 'c')");
    let ids = "SELECT id FROM all_of_them ORDER BY id";
    emulator.sink().wait_for_rows(ids, &[&["1"], &["2"], &["3"]]);
    eprintln!("{kind:?}: running after {started:?}, all tables read after {:?}", began.elapsed());
    program.assert_running();
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    let began = Instant::now();
    let mut program = pipeline.start_and_wait();
    eprintln!("{kind:?}: running again after {:?}, {} MiB", began.elapsed(), peak_memory(&program) >> 20);
    session.sql("INSERT INTO t123 VALUES (4, 'd')");
    emulator.sink().wait_for_rows(ids, &[&["1"], &["2"], &["3"], &["4"]]);
    program.assert_running();
}

/// As many source tables as sink tables. What takes a statement of the source for each table, one after the other, would be seen in their number:
/// only the reading of the rows may.
#[test]
fn five_thousand_tables_begin_without_a_question_for_each() {
    const TABLES: usize = 5_000;
    const STEPS: usize = 25;
    // What makes as many tables quick; nothing here survives the machine.
    let server = Server::private(
        Kind::MySql,
        &[
            "--innodb-file-per-table=0",
            "--innodb-flush-method=nosync",
            "--innodb-doublewrite=0",
            "--innodb-flush-log-at-trx-commit=0",
        ],
    );
    let (source, emulator) = (server.database(), Emulator::start());
    let mut session = source.session();
    session.sql("SET sql_log_bin = 0");
    for first in (0..TABLES).step_by(100) {
        let make = |n: usize| format!("CREATE TABLE t{n} (id INT NOT NULL PRIMARY KEY) SELECT {n} AS id;");
        session.sql(&(first..first + 100).map(make).collect::<String>());
    }
    let asked = || -> u64 {
        let rows = server.rows("SHOW GLOBAL STATUS LIKE 'Com_select'");
        rows[0][1].as_deref().and_then(|text| text.parse().ok()).expect("a number")
    };
    let before = asked();
    let pipeline =
        Pipeline::new(&source, &emulator).sink("buckets-num", "1").option("checkpoint.interval", "5s");
    let began = Instant::now();
    let mut program = pipeline.start();
    program.wait_for_line("pipeline begins");
    let questions = asked() - before;
    eprintln!("begins after {:?}", began.elapsed());
    assert!(questions < TABLES as u64 / 10, "{questions} questions before the first row");
    // The stream is followed while the tables are read.
    for step in 1..=STEPS {
        session.sql(&format!("SET sql_log_bin = 1; INSERT INTO t{} VALUES (-1)", step * 100));
        eventually("a part of the rows", || {
            program.assert_running();
            let rows = pipeline.counter("sink_rows_written_total")?;
            if rows >= (TABLES * step / STEPS) as u64 { Ok(()) } else { Err(format!("{rows} rows")) }
        });
    }
    eprintln!("read after {:?}, {} MiB", began.elapsed(), peak_memory(&program) >> 20);
    for n in [0, 1, 100, 2_500, TABLES - 1] {
        wait_for_same_rows(&source, &format!("t{n}"), &emulator.sink(), &format!("t{n}"));
    }
    assert_eq!(emulator.sink().tables().len(), TABLES);
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    // It goes with its server; dropping as many tables takes a minute.
    std::mem::forget(source);
}

fn a_server_that_restarts_is_read_on(kind: Kind) {
    let server = Server::private(kind, &[]);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql("CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)");
    let pipeline = Pipeline::new(&source, &emulator);
    let mut program = pipeline.start();
    wait_for_same_rows(&source, "t", &sink, "t");
    for (n, crash) in [(2, false), (3, true), (4, false)] {
        source.sql(&format!("INSERT INTO t VALUES ({n})"));
        if crash {
            server.kill()
        } else {
            server.stop()
        }
        server.restart();
        source.sql(&format!("INSERT INTO t VALUES ({n}0)"));
        wait_for_same_rows(&source, "t", &sink, "t");
    }
    program.assert_running();
}

fn a_killed_reader_and_a_rotation_inside_a_transaction_lose_nothing(kind: Kind) {
    let server = Server::private(kind, &[]);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(1000)); INSERT INTO t VALUES (0, 'x')");
    let pipeline = Pipeline::new(&source, &emulator);
    let mut program = pipeline.start();
    wait_for_same_rows(&source, "t", &sink, "t");
    let dump = "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'";
    let mut session = source.session();
    for round in 0..5 {
        session.sql("BEGIN");
        for n in 1..=40 {
            session.sql(&format!("INSERT INTO t VALUES ({}, REPEAT('v', 900))", round * 100 + n));
            if n == 20 {
                source.sql("FLUSH BINARY LOGS");
            }
        }
        session.sql("COMMIT");
        for id in server.rows(dump) {
            // It may be gone by then.
            let _ = server.session().try_sql(&format!("KILL {}", id[0].as_deref().expect("an id")));
        }
        source.sql(&format!("UPDATE t SET v = 'round {round}' WHERE id = 0"));
    }
    assert_eq!(wait_for_same_rows(&source, "t", &sink, "t"), 201);
    program.assert_running();
}

/// Files cannot grow beyond a limit, which to the state is what a full disk is.
#[test]
fn a_full_disk_stops_the_pipeline_and_loses_nothing() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql("CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (0)");
    let pipeline = Pipeline::new(&source, &emulator);
    assert_eq!(pipeline.command("validate", &[]).code, Some(0));
    // Blocks of 512 bytes. Without the trap the signal for it would end the program.
    let script = "trap '' XFSZ; ulimit -f 400; exec \"$0\" run pipeline.yaml";
    let mut full = std::process::Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_sluicebox")])
        .current_dir(pipeline.folder())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("a shell");
    let mut id = 0;
    let status = eventually("the end of a program without disk", || {
        id += 1;
        source.sql(&format!("INSERT INTO t VALUES ({id})"));
        std::thread::sleep(Duration::from_millis(20));
        full.try_wait().expect("a child").ok_or_else(|| format!("{id} rows"))
    });
    let output = full.wait_with_output().expect("a child");
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(!status.success() && printed.contains("cannot read or write the state"), "{status} {printed}");
    let mut program = pipeline.start();
    source.sql("INSERT INTO t VALUES (1000000)");
    wait_for_same_rows(&source, "t", &sink, "t");
    program.assert_running();
}
