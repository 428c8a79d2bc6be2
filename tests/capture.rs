//! What the binlog brings beside rows: keys that come and go, tables that leave, events without rows; and where reading begins.

use crate::support::{Emulator, Kind, Pipeline, Server, eventually, on_both_servers, wait_for_same_rows};

on_both_servers!(
    a_unique_key_that_stood_in_for_the_primary_key_is_missed_when_it_goes,
    unique_keys_that_are_not_the_key_come_and_go,
    a_table_that_gets_a_key_goes_on_being_appended_to,
    a_table_that_leaves_the_captured_names_stops_nobody,
    a_table_renamed_away_is_known_when_it_comes_back_behind_a_restart,
    a_table_renamed_under_the_captured_names_stays_captured,
    a_unique_key_on_the_beginning_of_a_column_is_not_the_key,
    a_table_that_went_while_nobody_read_stops_nobody,
    an_instant_leaves_out_what_was_committed_before_it,
    an_instant_before_the_first_file_begins_with_that_file,
    an_offset_counts_everything_before_it_as_seen,
    what_another_reader_had_of_a_transaction_is_left_out,
);

/// How the program ends when it must not go on.
const REFUSED: i32 = 3;

fn a_unique_key_that_stood_in_for_the_primary_key_is_missed_when_it_goes(kind: Kind) {
    let server = Server::shared(kind);
    for (change, found) in [
        ("DROP INDEX ua ON t", "no key"),
        ("ALTER TABLE t MODIFY a INT", "no key"),
        ("ALTER TABLE t ADD PRIMARY KEY (b)", "the key (b)"),
    ] {
        let (source, emulator) = (server.database(), Emulator::start());
        let sink = emulator.sink();
        source.sql("CREATE TABLE t (a INT NOT NULL, b INT NOT NULL, UNIQUE KEY ua (a)); INSERT INTO t VALUES (1, 1), (2, 2)");
        let pipeline = Pipeline::new(&source, &emulator);
        let mut program = pipeline.start();
        wait_for_same_rows(&source, "t", &sink, "t");
        source.sql(change);
        source.sql("INSERT INTO t VALUES (3, 3)");
        assert_eq!(program.wait(), Some(REFUSED), "{change}: {}", program.printed());
        let printed = program.printed();
        let told =
            format!("it has the key (a), the rows have {found}, and the key of a table cannot be altered");
        for part in [&format!("`{}.t`", source.name()), &told, "empty state directory"] {
            assert!(printed.contains(part), "{change}: no {part} in {printed}");
        }
        sink.wait_for_rows("SELECT a, b FROM t ORDER BY a", &[&["1", "1"], &["2", "2"]]);
    }
}

fn unique_keys_that_are_not_the_key_come_and_go(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(
        "CREATE TABLE t (a INT NOT NULL, b INT NOT NULL, c INT, UNIQUE KEY ua (a), UNIQUE KEY ub (b));
         INSERT INTO t VALUES (1, 10, 100)",
    );
    let pipeline = Pipeline::new(&source, &emulator);
    let mut program = pipeline.start();
    wait_for_same_rows(&source, "t", &sink, "t");
    source.sql("ALTER TABLE t DROP INDEX ub, ADD UNIQUE KEY uc (c); UPDATE t SET b = 11 WHERE a = 1; INSERT INTO t VALUES (2, 12, 101)");
    wait_for_same_rows(&source, "t", &sink, "t");
    // What is known of keys outlives the program.
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    let mut program = pipeline.start();
    source.sql("ALTER TABLE t MODIFY c INT NOT NULL DEFAULT 5, DROP INDEX uc, RENAME INDEX ua TO u; DELETE FROM t WHERE a = 1");
    wait_for_same_rows(&source, "t", &sink, "t");
    source.sql("ALTER TABLE t ADD PRIMARY KEY (a), DROP INDEX u; INSERT INTO t VALUES (3, 3, 3)");
    assert_eq!(wait_for_same_rows(&source, "t", &sink, "t"), 2);
    program.assert_running();
}

fn a_table_that_gets_a_key_goes_on_being_appended_to(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql("CREATE TABLE t (a INT NOT NULL, b INT); INSERT INTO t VALUES (1, 1)");
    let pipeline = Pipeline::new(&source, &emulator);
    let mut program = pipeline.start();
    wait_for_same_rows(&source, "t", &sink, "t");
    source.sql("ALTER TABLE t ADD PRIMARY KEY (a); INSERT INTO t VALUES (2, 2)");
    wait_for_same_rows(&source, "t", &sink, "t");
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    let mut program = pipeline.start();
    source.sql("INSERT INTO t VALUES (3, 3); ALTER TABLE t DROP PRIMARY KEY; INSERT INTO t VALUES (3, 3)");
    assert_eq!(wait_for_same_rows(&source, "t", &sink, "t"), 4);
    program.assert_running();
}

fn a_table_that_leaves_the_captured_names_stops_nobody(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(
        "CREATE TABLE leaves (id INT PRIMARY KEY, v INT); INSERT INTO leaves VALUES (1, 1);
         CREATE TABLE stays (id INT PRIMARY KEY, v INT); INSERT INTO stays VALUES (1, 1)",
    );
    let name = source.name();
    let pipeline = Pipeline::new(&source, &emulator).source("tables", &format!("{name}.leaves,{name}.stays"));
    let mut program = pipeline.start();
    wait_for_same_rows(&source, "leaves", &sink, "leaves");
    wait_for_same_rows(&source, "stays", &sink, "stays");
    source.sql(
        "INSERT INTO leaves VALUES (2, 2); RENAME TABLE leaves TO gone; INSERT INTO gone VALUES (3, 3);
         INSERT INTO stays VALUES (2, 2)",
    );
    let left: &[&[&str]] = &[&["1", "1"], &["2", "2"]];
    sink.wait_for_rows("SELECT id, v FROM leaves ORDER BY id", left);
    wait_for_same_rows(&source, "stays", &sink, "stays");
    // It comes back, as a table that was not there in between.
    source.sql(
        "RENAME TABLE gone TO leaves; INSERT INTO leaves VALUES (4, 4); INSERT INTO stays VALUES (3, 3)",
    );
    let back: &[&[&str]] = &[&["1", "1"], &["2", "2"], &["4", "4"]];
    sink.wait_for_rows("SELECT id, v FROM leaves ORDER BY id", back);
    wait_for_same_rows(&source, "stays", &sink, "stays");
    program.assert_running();
}

fn a_table_renamed_away_is_known_when_it_comes_back_behind_a_restart(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql("CREATE TABLE leaves (id INT PRIMARY KEY, v INT); INSERT INTO leaves VALUES (1, 1)");
    source.sql("CREATE TABLE stays (id INT PRIMARY KEY)");
    let name = source.name();
    let pipeline = Pipeline::new(&source, &emulator).source("tables", &format!("{name}.leaves,{name}.stays"));
    let restart = |program: &mut crate::support::Sluicebox, marker: u32| {
        source.sql(&format!("INSERT INTO stays VALUES ({marker})"));
        wait_for_same_rows(&source, "stays", &sink, "stays");
        assert_eq!(program.stop(), Some(0), "{}", program.printed());
        pipeline.start_and_wait()
    };
    let mut program = pipeline.start();
    wait_for_same_rows(&source, "leaves", &sink, "leaves");
    source.sql("RENAME TABLE leaves TO gone");
    let mut program = restart(&mut program, 1);
    // What happens to it meanwhile is followed, over a second restart too; its rows are nobody's.
    source.sql("ALTER TABLE gone ADD COLUMN w INT; INSERT INTO gone VALUES (2, 2, 2)");
    let mut program = restart(&mut program, 2);
    source.sql("RENAME TABLE gone TO gone_further");
    let mut program = restart(&mut program, 3);
    source.sql("RENAME TABLE gone_further TO leaves; INSERT INTO leaves VALUES (3, 3, 3)");
    let back: &[&[&str]] = &[&["1", "1", "NULL"], &["3", "3", "3"]];
    sink.wait_for_rows("SELECT id, v, w FROM leaves ORDER BY id", back);
    // Captured as ever, also behind one more restart.
    let mut program = restart(&mut program, 4);
    source.sql("INSERT INTO leaves VALUES (4, 4, 4)");
    sink.wait_for_rows("SELECT id FROM leaves ORDER BY id", &[&["1"], &["3"], &["4"]]);
    program.assert_running();
    assert!(sink.describe("gone").is_none(), "a table that nobody captures");
}

fn a_table_renamed_under_the_captured_names_stays_captured(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql("CREATE TABLE a (id INT PRIMARY KEY); INSERT INTO a VALUES (1)");
    let pipeline = Pipeline::new(&source, &emulator);
    let mut program = pipeline.start();
    sink.wait_for_rows("SELECT id FROM a", &[&["1"]]);
    // Nobody asked for new tables, and this one is none.
    source.sql("CREATE TABLE nobody (id INT PRIMARY KEY); INSERT INTO nobody VALUES (1)");
    source.sql("RENAME TABLE a TO b; INSERT INTO b VALUES (2)");
    sink.wait_for_rows("SELECT id FROM b", &[&["2"]]);
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    let mut program = pipeline.start();
    source.sql("INSERT INTO b VALUES (3); INSERT INTO nobody VALUES (2)");
    sink.wait_for_rows("SELECT id FROM b ORDER BY id", &[&["2"], &["3"]]);
    assert!(sink.describe("nobody").is_none(), "a table that nobody asked for");
    program.assert_running();
}

fn a_unique_key_on_the_beginning_of_a_column_is_not_the_key(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    let pipeline = Pipeline::new(&source, &emulator).source("scan.newly-added-table.enabled", "true");
    source.sql("CREATE TABLE early (v VARCHAR(20) NOT NULL, id INT NOT NULL, UNIQUE KEY uv (v(3)), UNIQUE KEY ui (id))");
    let mut program = pipeline.start_and_wait();
    // From the catalog and from the statement alike.
    source.sql("CREATE TABLE later (v VARCHAR(20) NOT NULL, id INT NOT NULL, UNIQUE KEY uv (v(3)), UNIQUE KEY ui (id))");
    for table in ["early", "later"] {
        source.sql(&format!(
            "INSERT INTO {table} VALUES ('abcd', 1); UPDATE {table} SET v = 'bcde' WHERE id = 1"
        ));
        wait_for_same_rows(&source, table, &sink, table);
    }
    program.assert_running();
}

fn a_table_that_went_while_nobody_read_stops_nobody(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql("CREATE TABLE goes (id INT PRIMARY KEY); CREATE TABLE stays (id INT PRIMARY KEY)");
    let pipeline = Pipeline::new(&source, &emulator);
    let mut program = pipeline.start_and_wait();
    source.sql("INSERT INTO goes VALUES (1)");
    wait_for_same_rows(&source, "goes", &sink, "goes");
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    source.sql("INSERT INTO goes VALUES (2); DROP TABLE goes; INSERT INTO stays VALUES (3)");
    let mut program = pipeline.start();
    wait_for_same_rows(&source, "stays", &sink, "stays");
    // Its last rows came before the statement that ended it.
    sink.wait_for_rows("SELECT id FROM goes ORDER BY id", &[&["1"], &["2"]]);
    program.assert_running();
}

/// Statements that only write history, or move a row into it, make row events of which nothing is left.
#[test]
fn events_without_a_row_of_the_present_are_passed_over() {
    let server = Server::shared(Kind::MariaDb);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(
        "CREATE TABLE t (id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING; INSERT INTO t VALUES (1, 1), (2, 2);
         CREATE TABLE log (v INT) WITH SYSTEM VERSIONING; INSERT INTO log VALUES (1)",
    );
    let pipeline = Pipeline::new(&source, &emulator);
    let mut program = pipeline.start();
    sink.wait_for_rows("SELECT id, v FROM t ORDER BY id", &[&["1", "1"], &["2", "2"]]);
    sink.wait_for_rows("SELECT v FROM log", &[&["1"]]);
    source.sql("UPDATE t SET v = 10 WHERE id = 1; DELETE FROM t WHERE id = 2");
    source.sql(
        "SET STATEMENT system_versioning_insert_history = 1 FOR
         INSERT INTO t (id, v, row_start, row_end) VALUES (7, 7, '2020-01-01', '2021-01-01'), (8, 8, '2020-01-01', '2021-01-01')",
    );
    source.sql(
        "SET STATEMENT system_versioning_insert_history = 1 FOR
         INSERT INTO log (v, row_start, row_end) VALUES (7, '2020-01-01', '2021-01-01')",
    );
    source.sql("DELETE HISTORY FROM t; DELETE HISTORY FROM log; INSERT INTO t VALUES (3, 3); INSERT INTO log VALUES (3)");
    sink.wait_for_rows("SELECT id, v FROM t ORDER BY id", &[&["1", "10"], &["3", "3"]]);
    sink.wait_for_rows("SELECT v FROM log ORDER BY v", &[&["1"], &["3"]]);
    program.assert_running();
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}

/// What the server's clock says, in milliseconds, once it is in a second in which nothing was committed before.
fn next_second(server: &Server) -> u64 {
    let seconds = || -> u64 {
        let rows = server.rows("SELECT CAST(UNIX_TIMESTAMP(SYSDATE()) AS SIGNED)");
        rows[0][0].as_deref().and_then(|text| text.parse().ok()).expect("a time")
    };
    let first = seconds();
    eventually("the server's next second", || match seconds() {
        now if now > first => Ok(now * 1_000),
        now => Err(now.to_string()),
    })
}

fn an_instant_leaves_out_what_was_committed_before_it(kind: Kind) {
    let server = Server::private(kind, &[]);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql("CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 1); FLUSH BINARY LOGS");
    source.sql("INSERT INTO t VALUES (2, 2); FLUSH BINARY LOGS; INSERT INTO t VALUES (3, 3)");
    let instant = next_second(&server);
    source.sql("INSERT INTO t VALUES (4, 4); FLUSH BINARY LOGS; UPDATE t SET v = 20 WHERE id = 2; INSERT INTO t VALUES (5, 5)");
    let pipeline = Pipeline::new(&source, &emulator)
        .source("scan.startup.mode", "timestamp")
        .source("scan.startup.timestamp-millis", &instant.to_string());
    let mut program = pipeline.start();
    let rows = "SELECT id, v FROM t ORDER BY id";
    sink.wait_for_rows(rows, &[&["2", "20"], &["4", "4"], &["5", "5"]]);
    source.sql("INSERT INTO t VALUES (6, 6)");
    sink.wait_for_rows(rows, &[&["2", "20"], &["4", "4"], &["5", "5"], &["6", "6"]]);
    assert_eq!(program.stop(), Some(0), "{}", program.printed());

    // Later starts go on from the checkpoint: what was read is not read again.
    sink.execute("TRUNCATE TABLE t");
    source.sql("INSERT INTO t VALUES (7, 7)");
    let mut program = pipeline.start();
    sink.wait_for_rows(rows, &[&["7", "7"]]);
    program.assert_running();
    drop(program);

    // At the end of the binlog, and where there is nothing yet.
    let later = Emulator::start();
    let instant = next_second(&server);
    let pipeline = Pipeline::new(&source, &later)
        .source("scan.startup.mode", "timestamp")
        .source("scan.startup.timestamp-millis", &instant.to_string());
    let mut program = pipeline.start_and_wait();
    source.sql("INSERT INTO t VALUES (8, 8)");
    later.sink().wait_for_rows(rows, &[&["8", "8"]]);
    program.assert_running();
}

fn an_instant_before_the_first_file_begins_with_that_file(kind: Kind) {
    let server = Server::private(kind, &[]);
    let (source, emulator) = (server.database(), Emulator::start());
    source.sql("CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)");
    let at = |millis: &str| {
        Pipeline::new(&source, &emulator)
            .source("scan.startup.mode", "timestamp")
            .source("scan.startup.timestamp-millis", millis)
    };
    let pipeline = at("1000");
    let mut program = pipeline.start();
    program.wait_for_line("every binlog file began after the instant");
    emulator.sink().wait_for_rows("SELECT id FROM t", &[&["1"]]);
    program.assert_running();
    drop(program);
    let pipeline = at("9999999999999");
    let mut program = pipeline.start();
    assert_ne!(program.wait(), Some(0), "{}", program.printed());
    assert!(program.printed().contains("which lies in the future"), "{}", program.printed());
}

/// The newest binlog file, and how long it is.
fn newest_file(server: &Server) -> (String, String) {
    let mut files = server.rows("SHOW BINARY LOGS");
    let last = files.pop().expect("a file");
    (last[0].clone().expect("a name"), last[1].clone().expect("a length"))
}

fn an_offset_counts_everything_before_it_as_seen(kind: Kind) {
    let server = Server::private(kind, &[]);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql("CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 1); FLUSH BINARY LOGS");
    source.sql("INSERT INTO t VALUES (2, 2)");
    let (file, offset) = newest_file(&server);
    let pipeline = Pipeline::new(&source, &emulator)
        .source("scan.startup.mode", "specific-offset")
        .source("scan.startup.specific-offset.file", &file)
        .source("scan.startup.specific-offset.pos", &offset);
    let mut program = pipeline.start_and_wait();
    source.sql("INSERT INTO t VALUES (3, 3)");
    let rows = "SELECT id, v FROM t ORDER BY id";
    sink.wait_for_rows(rows, &[&["3", "3"]]);
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    // What came before the offset may go: nobody asks for it any more.
    source.sql(&format!("PURGE BINARY LOGS TO '{file}'; INSERT INTO t VALUES (4, 4)"));
    let mut program = pipeline.start();
    sink.wait_for_rows(rows, &[&["3", "3"], &["4", "4"]]);
    program.assert_running();
}

fn what_another_reader_had_of_a_transaction_is_left_out(kind: Kind) {
    let server = Server::private(kind, &[]);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql("CREATE TABLE t (id INT PRIMARY KEY, v INT)");
    let (file, offset) = newest_file(&server);
    source.sql("BEGIN; INSERT INTO t VALUES (1, 1), (2, 2); INSERT INTO t VALUES (3, 3), (4, 4); COMMIT; INSERT INTO t VALUES (5, 5)");
    let skip = if kind == Kind::MySql { "4" } else { "3" };
    let pipeline = Pipeline::new(&source, &emulator)
        .source("scan.startup.mode", "specific-offset")
        .source("scan.startup.specific-offset.file", &file)
        .source("scan.startup.specific-offset.pos", &offset)
        .source("scan.startup.specific-offset.skip-events", skip)
        .source("scan.startup.specific-offset.skip-rows", "1");
    // A crash before the first commit must not forget what is left out: the first transaction of the state is its beginning.
    let mut crashed = pipeline.start_to_crash("after:4");
    crashed.wait();
    let mut program = pipeline.start();
    sink.wait_for_rows("SELECT id, v FROM t ORDER BY id", &[&["4", "4"], &["5", "5"]]);
    source.sql("INSERT INTO t VALUES (6, 6)");
    sink.wait_for_rows("SELECT id, v FROM t ORDER BY id", &[&["4", "4"], &["5", "5"], &["6", "6"]]);
    program.assert_running();
}
