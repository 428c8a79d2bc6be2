//! Snapshots as the pipeline file wants them: cut by another column than the key, and no faster than the source can bear.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::{
    Database, Emulator, Kind, Pipeline, Server, eventually, on_both_servers, wait_for_same_rows,
};

on_both_servers!(
    a_table_is_cut_by_the_column_that_the_file_names,
    a_table_without_a_key_is_read_in_parallel_and_each_row_once,
    an_evenly_spread_key_is_cut_without_asking_for_each_end,
    a_column_that_cannot_cut_a_table_is_refused,
    a_snapshot_keeps_to_its_rows_per_second,
    a_snapshot_waits_while_the_server_is_busy,
    a_snapshot_that_outlasts_the_binlog_is_foretold,
    lost_binlog_stops_the_pipeline_and_tells_what_was_lost,
    lost_binlog_is_made_good_by_reading_all_tables_anew,
    binlog_lost_while_running_is_made_good_too,
    tables_added_to_the_file_are_read_while_the_others_flow,
    tables_renamed_into_the_captured_names_are_read_whole,
    a_table_made_later_has_the_character_set_of_its_database,
    tables_added_to_the_file_are_only_followed_where_that_is_asked_for,
);

/// How the program ends when it must not go on.
const REFUSED: i32 = 3;
/// How it ends when the file cannot be carried out.
const UNUSABLE: i32 = 2;
const CHUNK_COLUMN: &str = "scan.incremental.snapshot.chunk.key-column";

/// Rows from 1 on, so many, in `t`.
fn fill(source: &Database<'_>, rows: u32) {
    let values: Vec<String> =
        (1..=rows).map(|n| format!("('{:05x}', {}, {n})", n * 7_919 % 1_048_573, n / 7)).collect();
    source.sql(&format!(
        "CREATE TABLE t (id CHAR(32) PRIMARY KEY, seq INT NOT NULL, v INT, KEY (seq)); INSERT INTO t VALUES {}",
        values.join(", ")
    ));
}

fn a_table_is_cut_by_the_column_that_the_file_names(kind: Kind) {
    let server = Server::private(kind, &[]);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    fill(&source, 500);
    // Two unique keys stand in for a primary key; the second is named.
    source.sql(
        "CREATE TABLE u (a INT NOT NULL UNIQUE, b INT NOT NULL UNIQUE, v INT);
         INSERT INTO u SELECT v, 1000 - v, 0 FROM t",
    );
    // One without a key is cut inside one snapshot; rows are alike in the column, and some altogether.
    source.sql(
        "CREATE TABLE keyless (a INT NOT NULL, v INT, KEY (a)); INSERT INTO keyless SELECT v DIV 2, 0 FROM t",
    );
    server.sql(&format!("GRANT LOCK TABLES ON *.* TO {}@'%'", Server::USER));
    server.sql("SET GLOBAL log_output = 'TABLE'; SET GLOBAL general_log = 1");
    let name = source.name();
    let pipeline = Pipeline::new(&source, &emulator)
        .source("scan.incremental.snapshot.chunk.size", "20")
        .source("scan.snapshot.max-rows-per-second", "400")
        .source(CHUNK_COLUMN, &format!("{name}.t:seq;{name}.u:b;{name}.keyless:a"));
    let mut program = pipeline.start_and_wait();
    // Rows that move from chunk to chunk while these are read, in both directions.
    for n in 1..=60 {
        source.sql(&format!(
            "UPDATE t SET seq = 72 - seq, v = v + 1000 WHERE v % 60 = {}; UPDATE u SET v = {n} WHERE a % 60 = {n};
             INSERT INTO keyless VALUES ({n}, 0)",
            n % 60
        ));
    }
    source.sql("DELETE FROM t WHERE v % 13 = 0");
    for table in ["t", "u", "keyless"] {
        wait_for_same_rows(&source, table, &sink, table);
    }
    let cuts = |table: &str, column: &str| {
        let asked = format!(
            "SELECT COUNT(*) FROM mysql.general_log WHERE CONVERT(argument USING utf8mb4) LIKE \
             '%FROM `{name}`.`{table}`%ORDER BY `{column}`%' AND CONVERT(argument USING utf8mb4) NOT LIKE '%general_log%'"
        );
        server.rows(&asked)[0][0].clone().and_then(|count| count.parse::<u32>().ok()).expect("a number")
    };
    for (table, column, key) in [("t", "seq", "id"), ("u", "b", "a")] {
        let counted = (cuts(table, column), cuts(table, key));
        assert!(counted.0 > 20 && counted.1 == 0, "{table}: {counted:?}");
    }
    let counted = cuts("keyless", "a");
    assert!(counted > 10, "keyless: {counted}");
    program.assert_running();
}

/// Sets the flag that ends the writers, also when a test fails.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Several connections read ranges of one snapshot, while eight others write; the program is killed in the middle of it.
fn a_table_without_a_key_is_read_in_parallel_and_each_row_once(kind: Kind) {
    let server = Server::private(kind, &[]);
    let (source, emulator) = (server.database(), Emulator::start());
    server.sql(&format!("GRANT LOCK TABLES ON *.* TO {}@'%'", Server::USER));
    let rows: Vec<String> = (1..=6000).map(|n| format!("({n}, 0)")).collect();
    source.sql(&format!(
        "CREATE TABLE keyless (a INT NOT NULL, v INT, KEY (a)); INSERT INTO keyless VALUES {}",
        rows.join(", ")
    ));
    let pipeline = Pipeline::new(&source, &emulator)
        .source(CHUNK_COLUMN, &format!("{}.keyless:a", source.name()))
        .source("scan.incremental.snapshot.chunk.size", "100")
        // Slow enough to be met while it reads.
        .source("scan.snapshot.max-rows-per-second", "500")
        .option("parallelism", "3");
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Whatever happens below: the scope waits for the writers.
        let end = Ending(&ended);
        for writer in 1..=8 {
            let (source, ended) = (&source, &ended);
            scope.spawn(move || {
                let mut session = source.session();
                for n in (0..6000).cycle() {
                    session.sql(&format!("INSERT INTO keyless VALUES ({n}, {writer}), ({n}, {writer})"));
                    if ended.load(Ordering::Relaxed) {
                        return;
                    }
                }
            });
        }
        let mut program = pipeline.start();
        let reading = program.wait_for_line("reading a table whole, in ranges");
        assert!(reading.contains("\"connections\":3"), "{reading}");
        // The stream has one connection, the cut another.
        let connections = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'cdc'";
        eventually("some rows, read on several connections", || {
            program.assert_running();
            let rows = pipeline.counter("snapshot_rows_total")?;
            let open = server.rows(connections)[0][0].as_deref().and_then(|text| text.parse::<u32>().ok());
            if rows > 0 && open >= Some(5) {
                Ok(())
            } else {
                Err(format!("{rows} rows, {open:?} connections"))
            }
        });
        program.kill();
        // There are more rows by now.
        let pipeline = pipeline.source("scan.snapshot.max-rows-per-second", "5000");
        let mut program = pipeline.start();
        program.wait_for_line("snapshot of table read");
        drop(end);
        wait_for_same_rows(&source, "keyless", &emulator.sink(), "keyless");
        assert_eq!(program.stop(), Some(0), "{}", program.printed());
    });
}

/// Numbers below zero, and those that only an unsigned column has; and ones that are too far from each other.
fn an_evenly_spread_key_is_cut_without_asking_for_each_end(kind: Kind) {
    let server = Server::private(kind, &[]);
    let (source, emulator) = (server.database(), Emulator::start());
    let table = |name: &str, key: &str, id: &dyn Fn(u64) -> String| {
        let rows: Vec<String> = (0..2_000).map(|n| format!("({}, {n})", id(n))).collect();
        source.sql(&format!(
            "CREATE TABLE {name} (id {key} PRIMARY KEY, v INT); INSERT INTO {name} VALUES {}; ANALYZE TABLE {name}",
            rows.join(", ")
        ));
    };
    table("below", "INT", &|n| format!("{n} * 3 - 5000"));
    table("high", "BIGINT UNSIGNED", &|n| (u64::MAX - n * 3).to_string());
    table("sparse", "INT", &|n| (n * 5_000).to_string());
    server.sql("SET GLOBAL log_output = 'TABLE'; SET GLOBAL general_log = 1");
    let pipeline = Pipeline::new(&source, &emulator).source("scan.incremental.snapshot.chunk.size", "100");
    let mut program = pipeline.start();
    for table in ["below", "high", "sparse"] {
        wait_for_same_rows(&source, table, &emulator.sink(), table);
    }
    program.assert_running();
    let statements = |table: &str, with: &str| {
        let asked = format!(
            "SELECT COUNT(*) FROM mysql.general_log WHERE command_type = 'Execute' AND CONVERT(argument USING utf8mb4) LIKE \
             '%FROM `{}`.`{table}`%{with}%'",
            source.name()
        );
        server.rows(&asked)[0][0].as_deref().and_then(|count| count.parse::<u32>().ok()).expect("a number")
    };
    for table in ["below", "high"] {
        let counted = (statements(table, "WHERE"), statements(table, "OFFSET"));
        assert!(counted.0 > 10 && counted.1 == 0, "{table}: {counted:?}");
    }
    assert!(statements("sparse", "OFFSET") > 10);
}

fn a_column_that_cannot_cut_a_table_is_refused(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    source.sql("CREATE TABLE t (id INT PRIMARY KEY, seq INT)");
    let name = source.name();
    for (column, told) in [("sequence", "has only the columns `id`, `seq`"), ("seq", "which may be NULL")] {
        let pipeline = Pipeline::new(&source, &emulator).source(CHUNK_COLUMN, &format!("{name}.t:{column}"));
        let mut program = pipeline.start();
        assert_eq!(program.wait(), Some(UNUSABLE), "{column}: {}", program.printed());
        let checked = pipeline.command("validate", &["--connect"]);
        for printed in [program.printed(), checked.stdout + &checked.stderr] {
            for part in [CHUNK_COLUMN, &format!("`{column}`"), told] {
                assert!(printed.contains(part), "no {part} in {printed}");
            }
        }
    }
}

fn a_snapshot_keeps_to_its_rows_per_second(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    fill(&source, 600);
    let pipeline = Pipeline::new(&source, &emulator)
        .source("scan.incremental.snapshot.chunk.size", "50")
        .source("scan.snapshot.max-rows-per-second", "200");
    let began = Instant::now();
    let mut program = pipeline.start();
    wait_for_same_rows(&source, "t", &sink, "t");
    // A limit, so this holds on the fastest machine: the first chunk is free, the other rows are not.
    assert!(began.elapsed() > Duration::from_millis(2_500), "{:?}", began.elapsed());
    program.assert_running();
}

fn a_snapshot_waits_while_the_server_is_busy(kind: Kind) {
    let server = Server::private(kind, &[]);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    fill(&source, 100);
    let busy: Vec<_> = (0..12)
        .map(|_| {
            let mut session = server.session();
            // Killed below.
            std::thread::spawn(move || session.try_sql("SELECT SLEEP(600)"))
        })
        .collect();
    let sleepers =
        || server.rows("SELECT id FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%'");
    eventually("twelve threads at work", || match sleepers().len() {
        12 => Ok(()),
        other => Err(other.to_string()),
    });
    let pipeline = Pipeline::new(&source, &emulator).source("scan.snapshot.max-threads-running", "10");
    let mut program = pipeline.start();
    program.wait_for_line("the server is busy: the snapshot waits");
    assert!(sink.describe("t").is_none() || sink.rows("SELECT id FROM t").is_empty());
    // The others keep flowing meanwhile: the stream is not held back.
    source.sql("INSERT INTO t VALUES ('new', 0, 0)");
    sink.wait_for_rows("SELECT id FROM t", &[&["new"]]);
    for sleeper in sleepers() {
        server.sql(&format!("KILL {}", sleeper[0].as_deref().expect("an id")));
    }
    for thread in busy {
        let _ = thread.join();
    }
    wait_for_same_rows(&source, "t", &sink, "t");
    program.assert_running();
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}

fn a_snapshot_that_outlasts_the_binlog_is_foretold(kind: Kind) {
    let kept = match kind {
        Kind::MySql => "--binlog-expire-logs-seconds=100",
        Kind::MariaDb => "--expire-logs-days=0.0011",
    };
    let server = Server::private(kind, &[kept]);
    let (source, emulator) = (server.database(), Emulator::start());
    fill(&source, 2_000);
    source.sql("ANALYZE TABLE t");
    for (limit, foretold) in [("10", true), ("1000000", false)] {
        let pipeline = Pipeline::new(&source, &emulator)
            .source("scan.incremental.snapshot.chunk.size", "10")
            .source("scan.snapshot.max-rows-per-second", limit);
        let mut program = pipeline.start_and_wait();
        let told = program.printed().contains("longer than the server keeps its binlog");
        assert_eq!(told, foretold, "{limit}: {}", program.printed());
        // It sleeps for long between its chunks, and ends at once all the same.
        assert_eq!(program.stop(), Some(0), "{}", program.printed());
    }
}

/// Ends the newest binlog file and deletes all before it.
pub fn lose_binlog(server: &Server) {
    server.sql("FLUSH BINARY LOGS");
    // MariaDB keeps a file until every engine has told that it does not need it.
    eventually("one binlog file", || {
        let mut files = server.rows("SHOW BINARY LOGS");
        let last = files.pop().and_then(|mut row| row.swap_remove(0)).expect("a file");
        server.sql(&format!("PURGE BINARY LOGS TO '{last}'"));
        if files.is_empty() { Ok(()) } else { Err(format!("{files:?}")) }
    });
}

/// Rows change while nobody reads, and the binlog of it goes.
fn change_unseen(source: &Database<'_>) {
    source.sql(
        "UPDATE t SET v = -v WHERE v % 3 = 0; DELETE FROM t WHERE v % 5 = 0; INSERT INTO t VALUES ('new', 0, 0);
         INSERT INTO keyless VALUES (3); DELETE FROM keyless WHERE a = 1; DROP TABLE goes;
         ALTER TABLE u ADD COLUMN w INT; INSERT INTO u VALUES (2, 2)",
    );
}

fn with_tables(source: &Database<'_>) {
    fill(source, 100);
    source.sql(
        "CREATE TABLE keyless (a INT); INSERT INTO keyless VALUES (1), (2); CREATE TABLE goes (id INT PRIMARY KEY);
         INSERT INTO goes VALUES (1); CREATE TABLE u (id INT PRIMARY KEY); INSERT INTO u VALUES (1)",
    );
}

fn lost_binlog_stops_the_pipeline_and_tells_what_was_lost(kind: Kind) {
    let server = Server::private(kind, &[]);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    with_tables(&source);
    let pipeline = Pipeline::new(&source, &emulator);
    let mut program = pipeline.start();
    wait_for_same_rows(&source, "t", &sink, "t");
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    let seen = sink.rows("SELECT id, v FROM t ORDER BY id");
    change_unseen(&source);
    lose_binlog(&server);
    let mut program = pipeline.start();
    assert_eq!(program.wait(), Some(REFUSED), "{}", program.printed());
    let lost = match kind {
        Kind::MySql => server.rows("SELECT @@GLOBAL.gtid_purged"),
        Kind::MariaDb => server.rows("SELECT @@GLOBAL.gtid_binlog_pos"),
    };
    let end = lost[0][0].as_deref().and_then(|text| text.rsplit(['-', ':']).next()).expect("a GTID");
    for part in ["is gone from the server: it has deleted", "its binlog begins with `", "scan.on-purged", end]
    {
        assert!(program.printed().contains(part), "no {part} in {}", program.printed());
    }
    assert_eq!(sink.rows("SELECT id, v FROM t ORDER BY id"), seen);
}

fn lost_binlog_is_made_good_by_reading_all_tables_anew(kind: Kind) {
    let server = Server::private(kind, &[]);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    with_tables(&source);
    let pipeline = Pipeline::new(&source, &emulator)
        .source("scan.incremental.snapshot.chunk.size", "10")
        .source("scan.on-purged", "resnapshot");
    let mut program = pipeline.start();
    for table in ["t", "keyless", "goes", "u"] {
        wait_for_same_rows(&source, table, &sink, table);
    }
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    change_unseen(&source);
    lose_binlog(&server);
    let mut program = pipeline.start();
    for table in ["t", "keyless", "u"] {
        wait_for_same_rows(&source, table, &sink, table);
    }
    assert_eq!(sink.rows("SELECT id FROM goes").len(), 1);
    // It streams on, and a later start has nothing to make good.
    source.sql("INSERT INTO t VALUES ('newer', 1, 1); INSERT INTO keyless VALUES (4)");
    wait_for_same_rows(&source, "t", &sink, "t");
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    let mut program = pipeline.start_and_wait();
    source.sql("DELETE FROM t WHERE id = 'new'; INSERT INTO keyless VALUES (5)");
    wait_for_same_rows(&source, "t", &sink, "t");
    wait_for_same_rows(&source, "keyless", &sink, "keyless");
    assert!(!program.printed().contains("binlog was lost"), "{}", program.printed());
    program.assert_running();
}

fn binlog_lost_while_running_is_made_good_too(kind: Kind) {
    let server = Server::private(kind, &[]);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    with_tables(&source);
    let pipeline = Pipeline::new(&source, &emulator).source("scan.on-purged", "resnapshot");
    let mut program = pipeline.start();
    wait_for_same_rows(&source, "t", &sink, "t");
    // The server forgets it while it is stopped, and then deletes what it did not read.
    program.signal("STOP");
    let dump = "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'";
    for id in server.rows(dump) {
        server.sql(&format!("KILL {}", id[0].as_deref().expect("an id")));
    }
    eventually("no reader", || match server.rows(dump).len() {
        0 => Ok(()),
        some => Err(some.to_string()),
    });
    change_unseen(&source);
    lose_binlog(&server);
    program.signal("CONT");
    for table in ["t", "keyless", "u"] {
        wait_for_same_rows(&source, table, &sink, table);
    }
    assert!(program.printed().contains("binlog was lost"), "{}", program.printed());
    program.assert_running();
}

fn tables_added_to_the_file_are_read_while_the_others_flow(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    fill(&source, 200);
    source.sql(
        "CREATE TABLE old (id INT PRIMARY KEY); INSERT INTO old VALUES (1);
         CREATE TABLE keyless (a INT); INSERT INTO keyless VALUES (1)",
    );
    let name = source.name();
    let pipeline = |tables: &str| {
        Pipeline::new(&source, &emulator)
            .source("tables", tables)
            .source("scan.newly-added-table.enabled", "true")
            .source("scan.incremental.snapshot.chunk.size", "20")
    };
    let first = pipeline(&format!("{name}.old"));
    let mut program = first.start();
    wait_for_same_rows(&source, "old", &sink, "old");
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    // Changes of the tables that the next start finds new, behind the place where the first one stopped.
    source.sql(
        "UPDATE t SET v = 0 WHERE v < 10; ALTER TABLE t ADD COLUMN w INT; UPDATE t SET w = 1 WHERE v > 190",
    );
    source.sql("INSERT INTO keyless VALUES (2)");
    let first = first
        .source("tables", &format!("{name}.old,{name}.t,{name}.keyless,{name}.later"))
        .source("scan.snapshot.max-rows-per-second", "100");
    let mut program = first.start_and_wait();
    source.sql("INSERT INTO old VALUES (2)");
    sink.wait_for_rows("SELECT id FROM old ORDER BY id", &[&["1"], &["2"]]);
    source.sql("UPDATE t SET v = v + 1 WHERE v % 2 = 0");
    // Made while it runs: from its first row on.
    source.sql("CREATE TABLE later (id INT PRIMARY KEY); INSERT INTO later VALUES (7)");
    for table in ["t", "keyless", "later", "old"] {
        wait_for_same_rows(&source, table, &sink, table);
    }
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    let mut program = first.start_and_wait();
    source.sql("INSERT INTO later VALUES (8); INSERT INTO t (id, seq) VALUES ('z', 1)");
    wait_for_same_rows(&source, "later", &sink, "later");
    wait_for_same_rows(&source, "t", &sink, "t");
    program.assert_running();
}

/// Texts of a table that names no character set are of its database's, which is not the server's.
fn a_table_made_later_has_the_character_set_of_its_database(kind: Kind) {
    let server = Server::shared(kind);
    let emulator = Emulator::start();
    let sink = emulator.sink();
    let (latin, utf8) = (server.database(), server.database());
    for (database, charset) in [(&latin, "latin1"), (&utf8, "utf8mb4")] {
        server.sql(&format!("ALTER DATABASE {} CHARACTER SET {charset}", database.name()));
        database.sql("CREATE TABLE old (id INT PRIMARY KEY)");
    }
    let tables = format!("{}.\\.*,{}.\\.*", latin.name(), utf8.name());
    let pipeline = Pipeline::new(&latin, &emulator)
        .source("tables", &tables)
        .source("scan.binlog.newly-added-table.enabled", "true")
        .block(&format!("route:\n  - source-table: {}.old\n    sink-table: ods_db.old_too\n", utf8.name()));
    let mut program = pipeline.start_and_wait();
    for (database, table) in [(&latin, "in_latin"), (&utf8, "in_utf8")] {
        database.sql(&format!(
            "CREATE TABLE {table} (id INT PRIMARY KEY, v VARCHAR(20)); INSERT INTO {table} VALUES (1, 'größe')"
        ));
        sink.wait_for_rows(&format!("SELECT v FROM {table}"), &[&["größe"]]);
    }
    program.assert_running();
}

/// One that the stream has never heard of, one that it has seen come to be, and one that a table takes the name of which goes.
fn tables_renamed_into_the_captured_names_are_read_whole(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(
        "CREATE TABLE t1 (id INT PRIMARY KEY, v INT); INSERT INTO t1 VALUES (1, 1);
         CREATE TABLE draft (id INT PRIMARY KEY, v INT); INSERT INTO draft VALUES (1, 10), (2, 20)",
    );
    let pipeline = Pipeline::new(&source, &emulator)
        .source("tables", &format!("{}.t\\d", source.name()))
        .source("scan.newly-added-table.enabled", "true");
    let mut program = pipeline.start_and_wait();
    wait_for_same_rows(&source, "t1", &sink, "t1");
    source.sql("INSERT INTO draft VALUES (3, 30); RENAME TABLE draft TO t2; INSERT INTO t2 VALUES (4, 40)");
    wait_for_same_rows(&source, "t2", &sink, "t2");
    source.sql(
        "CREATE TABLE fresh (id INT PRIMARY KEY, w INT); INSERT INTO fresh VALUES (1, 1), (2, 2);
         RENAME TABLE fresh TO t3; UPDATE t3 SET w = 5 WHERE id = 2; INSERT INTO t1 VALUES (2, 2)",
    );
    wait_for_same_rows(&source, "t3", &sink, "t3");
    source.sql(
        "CREATE TABLE shadow LIKE t1; INSERT INTO shadow SELECT * FROM t1; ALTER TABLE shadow ADD COLUMN n INT;
         RENAME TABLE t1 TO gone, shadow TO t1; INSERT INTO t1 VALUES (3, 3, 3); UPDATE t2 SET v = v + 1",
    );
    for table in ["t1", "t2", "t3"] {
        wait_for_same_rows(&source, table, &sink, table);
    }
    program.assert_running();
}

fn tables_added_to_the_file_are_only_followed_where_that_is_asked_for(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql("CREATE TABLE old (id INT PRIMARY KEY); CREATE TABLE added (id INT PRIMARY KEY, v INT)");
    let name = source.name();
    let pipeline = Pipeline::new(&source, &emulator)
        .source("tables", &format!("{name}.old"))
        .source("scan.binlog.newly-added-table.enabled", "true");
    let mut program = pipeline.start_and_wait();
    source.sql("INSERT INTO old VALUES (1)");
    sink.wait_for_rows("SELECT id FROM old", &[&["1"]]);
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    source.sql("INSERT INTO added VALUES (1, 1); ALTER TABLE added ADD COLUMN w INT; INSERT INTO added VALUES (2, 2, 2)");
    let pipeline = pipeline.source("tables", &format!("{name}.old,{name}.added,{name}.later"));
    let mut program = pipeline.start_and_wait();
    source.sql("INSERT INTO added VALUES (3, 3, 3); CREATE TABLE later (id INT PRIMARY KEY); INSERT INTO later VALUES (7)");
    sink.wait_for_rows("SELECT id, w FROM added", &[&["3", "3"]]);
    sink.wait_for_rows("SELECT id FROM later", &[&["7"]]);
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    let mut program = pipeline.start_and_wait();
    source.sql("INSERT INTO added VALUES (4, 4, 4)");
    sink.wait_for_rows("SELECT id FROM added ORDER BY id", &[&["3"], &["4"]]);
    program.assert_running();
}
