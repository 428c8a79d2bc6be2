//! Changes of tables that the binlog does not have (`sql_log_bin=0`): the server's present columns stand in where that is safe.

use crate::support::{Emulator, Kind, Pipeline, Server, on_both_servers, wait_for_same_rows};

on_both_servers!(
    columns_that_no_statement_made_are_taken_from_the_server,
    columns_of_now_are_not_taken_where_they_may_be_others,
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
