//! Rows that come without some of their columns (`binlog_row_image` other than `FULL`): what is not written did not change.

use crate::support::{Emulator, Kind, Pipeline, Server, on_both_servers, wait_for_same_rows};

on_both_servers!(
    rows_that_lack_columns_stop_a_pipeline_that_has_no_place_for_them,
    a_server_that_writes_less_than_whole_rows_is_found_at_the_start,
);

const TABLE: &str = "CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(20), c TEXT, d DECIMAL(8,2));
     INSERT INTO t VALUES (1, 1, 'one', 'first', 1.5), (2, 2, 'two', NULL, NULL), (3, 3, 'three', 'third', 3.5), (4, 4, 'four', 'x', 4)";

const REFUSED: i32 = 3;

/// MariaDB leaves virtual columns out that did change, so that nobody can tell there what an update did.
#[test]
fn what_an_update_does_not_write_stays() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(TABLE);
    let pipeline = Pipeline::new(&source, &emulator).sink("partial-update.enabled", "true");
    let mut program = pipeline.start();
    wait_for_same_rows(&source, "t", &sink, "t");
    let mut session = source.session();
    session.sql(
        "SET SESSION binlog_row_image = 'MINIMAL';
         UPDATE t SET a = 10 WHERE id = 1;
         UPDATE t SET b = NULL WHERE id < 3;
         UPDATE t SET c = 'now', d = 2.25 WHERE id = 2;
         DELETE FROM t WHERE id = 3;
         INSERT INTO t (id, a, b, c, d) VALUES (5, 5, NULL, 'fifth', NULL);
         UPDATE t SET d = 5 WHERE id = 5;
         SET SESSION binlog_row_image = 'NOBLOB';
         UPDATE t SET a = 40 WHERE id = 4;
         INSERT INTO t (id, a, b, c, d) VALUES (6, 6, 'six', 'sixth', 6);
         UPDATE t SET b = 'VI' WHERE id = 6;
         UPDATE t SET c = NULL WHERE id = 6",
    );
    // A whole row behind them, and a change of the table between two that are not.
    source.sql("UPDATE t SET a = a + 1 WHERE id = 1; ALTER TABLE t ADD COLUMN e INT FIRST");
    session.sql("UPDATE t SET e = 7, d = 7 WHERE id = 4; UPDATE t SET a = 41 WHERE id = 4");
    wait_for_same_rows(&source, "t", &sink, "t");
    program.assert_running();
}

fn rows_that_lack_columns_stop_a_pipeline_that_has_no_place_for_them(kind: Kind) {
    let server = Server::shared(kind);
    for (name, statement, told) in [
        ("a sink table for whole rows", "UPDATE t SET a = 10 WHERE id = 1", "takes no partial updates"),
        ("a plugin", "UPDATE t SET a = 10 WHERE id = 1", "is to see the whole row"),
        ("a new key", "UPDATE t SET id = 10 WHERE id = 1", "written whole"),
    ] {
        let (source, emulator) = (server.database(), Emulator::start());
        let sink = emulator.sink();
        source.sql(TABLE);
        let mut pipeline = Pipeline::new(&source, &emulator);
        if name != "a sink table for whole rows" {
            pipeline = pipeline.sink("partial-update.enabled", "true");
        }
        if name == "a plugin" {
            pipeline = pipeline.block(&format!(
                "transform:\n  - source-table: {}.t\n    projection: '*, a + 1 AS more'\n",
                source.name()
            ));
        }
        let mut program = pipeline.start();
        sink.wait_for_rows("SELECT COUNT(*) FROM t", &[&["4"]]);
        source.session().sql(&format!("SET SESSION binlog_row_image = 'MINIMAL'; {statement}"));
        assert_eq!(program.wait(), Some(REFUSED), "{name}: {}", program.printed());
        let printed = program.printed();
        let told = if kind == Kind::MariaDb { "virtual columns" } else { told };
        for part in [told, "binlog_row_image", "the column `"] {
            assert!(printed.contains(part), "{name}: no {part} in {printed}");
        }
        // Nothing was written for it, least of all null.
        sink.wait_for_rows("SELECT b FROM t WHERE id = 1", &[&["one"]]);
    }
    // A default is nowhere in the binlog.
    let (source, emulator) = (server.database(), Emulator::start());
    source.sql("CREATE TABLE t (id INT PRIMARY KEY, v INT DEFAULT 7)");
    let pipeline = Pipeline::new(&source, &emulator).sink("partial-update.enabled", "true");
    let mut program = pipeline.start_and_wait();
    source.session().sql("SET SESSION binlog_row_image = 'MINIMAL'; INSERT INTO t (id) VALUES (1)");
    assert_eq!(program.wait(), Some(REFUSED), "{}", program.printed());
    assert!(program.printed().contains("the column's default"), "{}", program.printed());
}

fn a_server_that_writes_less_than_whole_rows_is_found_at_the_start(kind: Kind) {
    let server = Server::private(kind, &["--binlog-row-image=MINIMAL"]);
    let (source, emulator) = (server.database(), Emulator::start());
    source.sql("CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT)");
    let pipeline = Pipeline::new(&source, &emulator);
    let mut program = pipeline.start();
    assert_eq!(program.wait(), Some(REFUSED), "{}", program.printed());
    let printed = program.printed();
    for part in ["binlog_row_image is MINIMAL", "partial-update.enabled"] {
        assert!(printed.contains(part), "no {part} in {printed}");
    }
    drop(pipeline);
    let pipeline = Pipeline::new(&source, &emulator).sink("partial-update.enabled", "true");
    let mut program = pipeline.start();
    source.sql("INSERT INTO t VALUES (1, 1, 1), (2, 2, 2); DELETE FROM t WHERE id = 2");
    if kind == Kind::MySql {
        source.sql("UPDATE t SET b = 3 WHERE id = 1");
    }
    wait_for_same_rows(&source, "t", &emulator.sink(), "t");
    program.assert_running();
}
