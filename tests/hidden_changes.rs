//! Columns that no statement seen made: the change is not in the binlog (`sql_log_bin=0`), or another table took the name whose statements lie
//! before the pipeline's begin. The server's present columns stand in where that is safe.

use crate::support::{
    Database, Emulator, Kind, Pipeline, Server, Sluicebox, on_both_servers, wait_for_same_rows,
};

on_both_servers!(
    columns_that_no_statement_made_are_taken_from_the_server,
    columns_of_now_are_not_taken_where_they_may_be_others,
    labels_that_no_statement_made_are_taken_from_the_server,
    labels_that_did_not_change_are_the_known_ones,
    names_show_what_forms_do_not_behind_a_start_by_offset,
    an_online_schema_change_is_followed_whenever_the_pipeline_began,
    a_table_like_one_that_nobody_follows_is_known_by_its_rows,
);

const TABLE: &str = "CREATE TABLE t (id INT PRIMARY KEY, a INT); INSERT INTO t VALUES (1, 1)";

fn columns_that_no_statement_made_are_taken_from_the_server(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(TABLE);
    let pipeline = Pipeline::new(&source, &emulator);
    let mut program = pipeline.start();
    wait_for_same_rows(&source, "t", &sink, "t");
    let mut session = source.session();
    let mut hidden = |statement: &str| {
        session.sql(&format!("SET SESSION sql_log_bin = 0; {statement}; SET SESSION sql_log_bin = 1"));
    };
    hidden("ALTER TABLE t ADD COLUMN b VARCHAR(20) AFTER id");
    source.sql("INSERT INTO t VALUES (2, 'two', 2); UPDATE t SET a = 10 WHERE id = 1");
    wait_for_same_rows(&source, "t", &sink, "t");
    // Statements go on from there, and another change meets the same process.
    source.sql("ALTER TABLE t ADD COLUMN c INT; INSERT INTO t VALUES (3, 'three', 3, 3)");
    hidden("ALTER TABLE t MODIFY a BIGINT");
    source.sql("INSERT INTO t VALUES (4, 'four', 4000000000, 4)");
    wait_for_same_rows(&source, "t", &sink, "t");
    program.assert_running();
    // A process that begins behind it has them from its own history.
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    let mut program = pipeline.start();
    source.sql("INSERT INTO t VALUES (5, 'five', 5000000000, 5)");
    wait_for_same_rows(&source, "t", &sink, "t");
    program.assert_running();
}

fn columns_of_now_are_not_taken_where_they_may_be_others(kind: Kind) {
    let server = Server::shared(kind);
    for (later, told) in [
        // Now they fit the rows no more.
        ("ALTER TABLE t ADD COLUMN c INT", "4 columns are known"),
        // They would fit them, and are others.
        ("ALTER TABLE t CHANGE b other VARCHAR(20)", "cannot follow the statement"),
        ("ALTER TABLE t MODIFY a INT COMMENT 'later'", "a statement changed it since"),
        ("DROP TABLE t", "the table is gone"),
    ] {
        let (source, emulator) = (server.database(), Emulator::start());
        source.sql(TABLE);
        let pipeline = Pipeline::new(&source, &emulator);
        let mut program = pipeline.start();
        wait_for_same_rows(&source, "t", &emulator.sink(), "t");
        assert_eq!(program.stop(), Some(0), "{}", program.printed());
        source.session().sql("SET SESSION sql_log_bin = 0; ALTER TABLE t ADD COLUMN b VARCHAR(20)");
        source.sql(&format!("INSERT INTO t VALUES (2, 2, 'two'); {later}"));
        let mut program = pipeline.start();
        assert!(matches!(program.wait(), Some(code) if code != 0), "{later}: {}", program.printed());
        for part in ["do not fit its columns", "2 columns are known, rows have 3", "cannot stand in", told] {
            assert!(program.printed().contains(part), "{later}: no {part} in {}", program.printed());
        }
        emulator.sink().wait_for_rows("SELECT id, a FROM t", &[&["1", "1"]]);
    }
}

fn hide(source: &Database<'_>, statement: &str) {
    source.session().sql(&format!("SET SESSION sql_log_bin = 0; {statement}"));
}

fn assert_refused(mut program: Sluicebox, parts: &[&str]) {
    assert!(matches!(program.wait(), Some(code) if code != 0), "{}", program.printed());
    for part in parts {
        assert!(program.printed().contains(part), "no {part} in {}", program.printed());
    }
}

/// The same numbers stand for other labels, which only the labels in the binlog show.
fn labels_that_no_statement_made_are_taken_from_the_server(kind: Kind) {
    let server = Server::private(kind, &["--binlog-row-metadata=FULL"]);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(
        "CREATE TABLE t (id INT PRIMARY KEY, e ENUM('a','b','c'), s SET('x','y'));
         INSERT INTO t VALUES (1, 'a', 'x')",
    );
    let pipeline = Pipeline::new(&source, &emulator);
    let mut program = pipeline.start();
    wait_for_same_rows(&source, "t", &sink, "t");
    let is_mended = |program: &Sluicebox| program.printed().contains("taken from the server");
    hide(&source, "ALTER TABLE t MODIFY e ENUM('c','b','a')");
    source.sql("INSERT INTO t VALUES (2, 'a', 'y'), (3, 'c', 'x')");
    wait_for_same_rows(&source, "t", &sink, "t");
    assert!(is_mended(&program), "{}", program.printed());
    hide(&source, "ALTER TABLE t MODIFY s SET('y','z','x')");
    source.sql("INSERT INTO t VALUES (4, 'b', 'y'); UPDATE t SET s = 'x,z' WHERE id = 2");
    wait_for_same_rows(&source, "t", &sink, "t");
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    let mut program = pipeline.start();
    source.sql("INSERT INTO t VALUES (5, 'a', 'x,z')");
    wait_for_same_rows(&source, "t", &sink, "t");
    assert!(!is_mended(&program), "{}", program.printed());
    // Between the rows and now a statement made others: the server cannot say any more what they were.
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    hide(&source, "ALTER TABLE t MODIFY e ENUM('b','a','c')");
    source.sql("INSERT INTO t VALUES (6, 'b', 'x'); ALTER TABLE t MODIFY e ENUM('d','b','a','c')");
    assert_refused(
        pipeline.start(),
        &["column `e`", "its label 1 is known as 'c', and is 'b' in its rows", "cannot stand in"],
    );
    sink.wait_for_rows("SELECT COUNT(*) FROM t", &[&["5"]]);
}

/// In all kinds of characters, from the catalog and from statements.
fn labels_that_did_not_change_are_the_known_ones(kind: Kind) {
    let server = Server::private(kind, &["--binlog-row-metadata=FULL"]);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    let columns = r"id INT PRIMARY KEY, plain ENUM('b ','it''s','x,y','back\\slash','nl\nx','z\0z','größe'),
        latin ENUM('é','€') CHARACTER SET latin1, cyrillic SET('ж','я') CHARACTER SET cp1251,
        face ENUM('😀','x😀') CHARACTER SET utf8mb4, wide ENUM('ü','a') CHARACTER SET ucs2,
        wider SET('ü','q  ') CHARACTER SET utf32, old ENUM('é','x') CHARACTER SET cp850,
        pair ENUM('你','x') CHARACTER SET gbk, bytes ENUM('a','b') CHARACTER SET binary";
    source
        .sql(&format!("CREATE TABLE before_it ({columns}); INSERT INTO before_it (id, face) VALUES (9, 2)"));
    let pipeline = Pipeline::new(&source, &emulator).source("scan.binlog.newly-added-table.enabled", "true");
    let mut program = pipeline.start();
    wait_for_same_rows(&source, "before_it", &sink, "before_it");
    source.sql(&format!("CREATE TABLE behind_it ({columns})"));
    for table in ["before_it", "behind_it"] {
        source.sql(&format!(
            "INSERT INTO {table} VALUES (1, 1, 1, 1, 1, 1, 1, 1, 1, 1), (2, 7, 2, 3, 2, 2, 3, 2, 2, 2), (3, 4, 2, 2, 2, 2, 2, 2, 2, 2);
             ALTER TABLE {table} ADD COLUMN more ENUM('ä','b  ') FIRST, MODIFY latin SET('ÿ','é','€') CHARACTER SET latin1;
             INSERT INTO {table} VALUES (2, 4, 6, 1, 1, 1, 1, 1, 1, 1, 1); UPDATE {table} SET more = 'ä' WHERE id < 3"
        ));
        wait_for_same_rows(&source, table, &sink, table);
    }
    assert!(!program.printed().contains("taken from the server"), "{}", program.printed());
    program.assert_running();
}

/// Columns of one form that exchanged their names, on a server whose binlog has places by file and offset alone (MySQL).
fn names_show_what_forms_do_not_behind_a_start_by_offset(kind: Kind) {
    let own = ["--binlog-row-metadata=FULL", "--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"];
    let server = Server::private(kind, if kind == Kind::MySql { &own } else { &own[..1] });
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql("CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT); INSERT INTO t VALUES (1, 10, 20)");
    let last = server.rows("SHOW BINARY LOGS").pop().expect("a file");
    let (file, offset) = (last[0].clone().expect("a name"), last[1].clone().expect("a length"));
    source.sql("INSERT INTO t VALUES (2, 10, 20)");
    let pipeline = Pipeline::new(&source, &emulator)
        .source("scan.startup.mode", "specific-offset")
        .source("scan.startup.specific-offset.file", &file)
        .source("scan.startup.specific-offset.pos", &offset);
    let mut program = pipeline.start();
    let rows = "SELECT id, a, b FROM t ORDER BY id";
    sink.wait_for_rows(rows, &[&["2", "10", "20"]]);
    let exchange = "ALTER TABLE t RENAME COLUMN a TO b, RENAME COLUMN b TO a";
    hide(&source, exchange);
    source.sql("INSERT INTO t (id, a, b) VALUES (3, 30, 40)");
    sink.wait_for_rows(rows, &[&["2", "10", "20"], &["3", "30", "40"]]);
    source.sql(
        "UPDATE t SET a = a + 1 WHERE id = 3; ALTER TABLE t ADD COLUMN c INT; INSERT INTO t (id, a, c) VALUES (4, 50, 60)",
    );
    sink.wait_for_rows(rows, &[&["2", "10", "20"], &["3", "31", "40"], &["4", "50", "NULL"]]);
    program.assert_running();
    // To and fro: what the columns are now fits these rows but for the names.
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    hide(&source, exchange);
    source.sql("INSERT INTO t (id, a, b) VALUES (5, 70, 80)");
    hide(&source, exchange);
    assert_refused(pipeline.start(), &["column `b` is `a` in its rows", "cannot stand in"]);
    sink.wait_for_rows("SELECT COUNT(*) FROM t", &[&["3"]]);
}

/// A table is filled beside the captured one and takes its name. The pipeline begins before, between and behind what makes the other, and its
/// columns are of the same forms in another order, so that rows alone would not tell that they are other columns.
fn an_online_schema_change_is_followed_whenever_the_pipeline_began(kind: Kind) {
    let server = Server::shared(kind);
    for began in ["at first", "again", "with the exchange in its way"] {
        let (source, emulator) = (server.database(), Emulator::start());
        source.sql("CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT); INSERT INTO t VALUES (1, 10, 20)");
        let pipeline = Pipeline::new(&source, &emulator).source("tables", &format!("{}.t", source.name()));
        let fill = "CREATE TABLE _t_gho (id INT PRIMARY KEY, b INT, a INT); INSERT INTO _t_gho SELECT id, b, a FROM t";
        let exchange = "RENAME TABLE t TO _t_del, _t_gho TO t; DROP TABLE _t_del";
        let more = "INSERT INTO t VALUES (2, 21, 11); UPDATE t SET b = 22 WHERE id = 2";
        if began == "at first" {
            source.sql(fill);
        }
        let mut program = pipeline.start();
        wait_for_same_rows(&source, "t", &emulator.sink(), "t");
        if began != "at first" {
            source.sql(fill);
            source.sql("INSERT INTO t VALUES (9, 9, 9); INSERT INTO _t_gho VALUES (9, 9, 9)");
            wait_for_same_rows(&source, "t", &emulator.sink(), "t");
            assert_eq!(program.stop(), Some(0), "{began}: {}", program.printed());
            if began == "again" {
                program = pipeline.start_and_wait();
            }
        }
        source.sql(exchange);
        source.sql(more);
        if began == "with the exchange in its way" {
            program = pipeline.start();
        }
        wait_for_same_rows(&source, "t", &emulator.sink(), "t");
        program.assert_running();
        // What follows is understood, whoever reads it.
        source.sql("ALTER TABLE t ADD COLUMN c INT AFTER id");
        assert_eq!(program.stop(), Some(0), "{began}: {}", program.printed());
        let mut program = pipeline.start();
        source.sql("INSERT INTO t VALUES (3, 33, 23, 13)");
        wait_for_same_rows(&source, "t", &emulator.sink(), "t");
        program.assert_running();
    }
}

fn a_table_like_one_that_nobody_follows_is_known_by_its_rows(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    source.sql("CREATE TABLE pattern (id INT PRIMARY KEY, v VARCHAR(9)); CREATE TABLE log_1 LIKE pattern");
    let pipeline = Pipeline::new(&source, &emulator)
        .source("tables", &format!(r"{}.log_\d+", source.name()))
        .source("scan.binlog.newly-added-table.enabled", "true");
    let mut program = pipeline.start_and_wait();
    source.sql(
        "CREATE TABLE log_2 LIKE pattern; ALTER TABLE log_2 ADD COLUMN more INT; INSERT INTO log_2 VALUES (1, 'a', 5);
         INSERT INTO log_1 VALUES (1, 'b')",
    );
    wait_for_same_rows(&source, "log_1", &emulator.sink(), "log_1");
    wait_for_same_rows(&source, "log_2", &emulator.sink(), "log_2");
    program.assert_running();
}
