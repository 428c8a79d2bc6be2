//! Rows that come without some of their columns (`binlog_row_image` other than `FULL`): what is not written did not change, or has its default.

use crate::support::{Emulator, Kind, Pipeline, Server, on_both_servers, wait_for_same_rows};

on_both_servers!(
    what_an_update_does_not_write_stays,
    what_an_insert_does_not_name_has_its_default,
    rows_that_lack_columns_stop_a_pipeline_that_has_no_place_for_them,
    rows_whose_columns_cannot_be_told_stop_the_pipeline,
    a_server_that_writes_less_than_whole_rows_is_found_at_the_start,
);

const TABLE: &str = "CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(20), c TEXT, d DECIMAL(8,2));
     INSERT INTO t VALUES (1, 1, 'one', 'first', 1.5), (2, 2, 'two', NULL, NULL), (3, 3, 'three', 'third', 3.5), (4, 4, 'four', 'x', 4)";

const REFUSED: i32 = 3;

fn what_an_update_does_not_write_stays(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(TABLE);
    source.sql(
        "CREATE TABLE counted (id INT AUTO_INCREMENT PRIMARY KEY, mail VARCHAR(20) UNIQUE, a INT DEFAULT 5, at TIMESTAMP(6)
             DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6));
         INSERT INTO counted (mail) VALUES ('x@y'), ('z@y')",
    );
    let pipeline = Pipeline::new(&source, &emulator).sink("partial-update.enabled", "true");
    let mut program = pipeline.start();
    wait_for_same_rows(&source, "t", &sink, "t");
    wait_for_same_rows(&source, "counted", &sink, "counted");
    let mut session = source.session();
    session.sql(
        "SET SESSION binlog_row_image = 'MINIMAL';
         UPDATE t SET a = 10 WHERE id = 1;
         UPDATE t SET b = NULL WHERE id < 3;
         UPDATE t SET c = 'now', d = 2.25 WHERE id = 2;
         DELETE FROM t WHERE id = 3;
         INSERT INTO t (id, a, b, c, d) VALUES (5, 5, NULL, 'fifth', NULL);
         UPDATE t SET d = 5 WHERE id = 5;
         UPDATE counted SET a = 7 WHERE id = 1;
         UPDATE counted SET mail = 'w@y' WHERE id = 2;
         INSERT INTO counted (mail) VALUES ('v@y')",
    );
    if kind == Kind::MySql {
        // MariaDB writes the whole key with every such update, as it does with a REPLACE that means something else.
        session.sql(
            "SET SESSION binlog_row_image = 'NOBLOB';
             UPDATE t SET a = 40 WHERE id = 4;
             INSERT INTO t (id, a, b, c, d) VALUES (6, 6, 'six', 'sixth', 6);
             UPDATE t SET b = 'VI' WHERE id = 6;
             UPDATE t SET c = NULL WHERE id = 6;
             SET SESSION binlog_row_image = 'MINIMAL';
             REPLACE INTO counted (id, mail) VALUES (9, 'w@y');
             INSERT INTO counted (id, mail) VALUES (9, 'w@y') ON DUPLICATE KEY UPDATE a = 99",
        );
    }
    // A whole row behind them, and a change of the table between two that are not.
    source.sql("UPDATE t SET a = a + 1 WHERE id = 1; ALTER TABLE t ADD COLUMN e INT FIRST");
    session.sql("UPDATE t SET e = 7, d = 7 WHERE id = 4; UPDATE t SET a = 41 WHERE id = 4");
    wait_for_same_rows(&source, "t", &sink, "t");
    wait_for_same_rows(&source, "counted", &sink, "counted");
    program.assert_running();
}

/// Defaults of all kinds, from the catalog, from statements, and changed by them. The pipeline expects whole rows, and gets them.
fn what_an_insert_does_not_name_has_its_default(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    // MariaDB writes stored columns alone.
    let generated = if kind == Kind::MySql { "VIRTUAL" } else { "STORED" };
    let columns = format!(
        "id INT AUTO_INCREMENT PRIMARY KEY, i INT DEFAULT -7, u BIGINT UNSIGNED DEFAULT 18446744073709551615,
         d DECIMAL(10,3) DEFAULT 1.5, w DECIMAL(30,5) DEFAULT '-2.25', f DOUBLE DEFAULT 0.1, fl FLOAT DEFAULT 0, b BIT(5) DEFAULT b'101',
         y YEAR DEFAULT 2024, s VARCHAR(20) DEFAULT 'it''s größe', l VARCHAR(9) CHARACTER SET latin1 DEFAULT 'abc',
         c CHAR(4) DEFAULT 'ab ', e ENUM('p','q','r') DEFAULT 'q', m SET('x','y','z') DEFAULT 'x,z', da DATE DEFAULT '2024-02-29',
         ti TIME(3) DEFAULT '01:02:03.5', dt DATETIME(2) DEFAULT '2024-02-29 23:59:59.25', ts TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP(6),
         tn TIMESTAMP NULL, ex INT DEFAULT (3 * 4), n TEXT, o TINYINT(1) DEFAULT TRUE, nn INT NOT NULL, ne ENUM('k','l') NOT NULL,
         nv VARBINARY(4) NOT NULL, nd DATETIME NOT NULL, un VARCHAR(36) DEFAULT (UUID()), g INT AS (i * 2) {generated}"
    );
    source.sql(&format!("CREATE TABLE before_it ({columns}) CHARACTER SET utf8mb4"));
    let pipeline = Pipeline::new(&source, &emulator).source("scan.binlog.newly-added-table.enabled", "true");
    let mut program = pipeline.start_and_wait();
    source.sql(&format!("CREATE TABLE behind_it ({columns}) CHARACTER SET utf8mb4"));
    let mut session = source.session();
    session.sql("SET SESSION binlog_row_image = 'MINIMAL', sql_mode = ''");
    for table in ["before_it", "behind_it"] {
        session.sql(&format!(
            "INSERT INTO {table} (n) VALUES ('named'), (NULL);
             INSERT INTO {table} () VALUES ();
             INSERT INTO {table} (i, s) VALUES (DEFAULT, 'x'), (3, DEFAULT);
             ALTER TABLE {table} ALTER i SET DEFAULT 8, ALTER COLUMN s DROP DEFAULT;
             INSERT INTO {table} (n) VALUES ('other defaults'); DELETE FROM {table} WHERE id = 2"
        ));
        wait_for_same_rows(&source, table, &sink, table);
        // Rows from before have what the sink makes of such a change.
        session.sql(&format!(
            "DELETE FROM {table};
             ALTER TABLE {table} ADD COLUMN late VARCHAR(5) DEFAULT 'late' FIRST, MODIFY d DECIMAL(10,3) DEFAULT 9,
                 CHANGE e ee ENUM('p','q','r') NOT NULL DEFAULT 'r', RENAME COLUMN u TO uu;
             INSERT INTO {table} (n) VALUES ('and more')"
        ));
        wait_for_same_rows(&source, table, &sink, table);
    }
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
        let told = if kind == Kind::MariaDb && name == "a new key" { "REPLACE" } else { told };
        for part in [told, "binlog_row_image", "the column `"] {
            assert!(printed.contains(part), "{name}: no {part} in {printed}");
        }
        // Nothing was written for it, least of all null.
        sink.wait_for_rows("SELECT b FROM t WHERE id = 1", &[&["one"]]);
    }
}

/// What nobody can tell from the binlog is never guessed.
fn rows_whose_columns_cannot_be_told_stop_the_pipeline(kind: Kind) {
    let server = Server::shared(kind);
    let all = [
        ("MINIMAL", "v VARBINARY(9) DEFAULT 'x'", "INSERT INTO t (id) VALUES (9)", "the column's default"),
        (
            "MINIMAL",
            "v TIMESTAMP NULL DEFAULT '2024-01-01 00:00:00'",
            "INSERT INTO t (id) VALUES (9)",
            "the column's default",
        ),
    ];
    let of_mariadb = [
        (
            "MINIMAL",
            "v INT AS (a + 1) VIRTUAL",
            "INSERT INTO t (id, a) VALUES (9, 9)",
            "MariaDB leaves virtual columns out",
        ),
        ("MINIMAL", "v INT AS (a + 1) VIRTUAL", "UPDATE t SET a = 9", "generated columns out"),
        // Found by the other key, and changed in a column that is not written.
        ("MINIMAL", "v INT DEFAULT 4", "REPLACE INTO t (id, k) VALUES (9, 1)", "REPLACE"),
        ("MINIMAL", "v INT", "INSERT INTO t (id, k) VALUES (9, 1) ON DUPLICATE KEY UPDATE a = 3", "REPLACE"),
        ("NOBLOB", "v TEXT", "UPDATE t SET a = 9", "REPLACE"),
        // Not named either, so that it became zero: the other key found the row.
        ("MINIMAL", "v INT DEFAULT 4", "SET sql_mode = ''; REPLACE INTO t (k, a) VALUES (1, 9)", "REPLACE"),
    ];
    let here = if kind == Kind::MariaDb { &of_mariadb[..] } else { &[] };
    for (image, column, statement, told) in all.iter().chain(here) {
        let (source, emulator) = (server.database(), Emulator::start());
        source.sql(&format!("CREATE TABLE t (id INT NOT NULL PRIMARY KEY, k INT UNIQUE, a INT, {column})"));
        source.sql("INSERT INTO t (id, k, a) VALUES (1, 1, 1)");
        let pipeline = Pipeline::new(&source, &emulator).sink("partial-update.enabled", "true");
        let mut program = pipeline.start_and_wait();
        source.session().sql(&format!("SET SESSION binlog_row_image = '{image}'; {statement}"));
        assert_eq!(program.wait(), Some(REFUSED), "{column}, {statement}: {}", program.printed());
        let printed = program.printed();
        for part in [told, "lack the column `"] {
            assert!(printed.contains(part), "{column}, {statement}: no {part} in {printed}");
        }
    }
}

/// Images before are whole, those after have what changed: together they are whole, but for generated columns.
#[test]
fn rows_whose_images_complete_each_other_go_everywhere() {
    let server = Server::private_of("mariadb-11.8", &["--binlog-row-image=FULL_NODUP"]);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(
        "CREATE TABLE t (id INT PRIMARY KEY, k INT UNIQUE, a INT DEFAULT 3, b TEXT, c TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP(6) ON
             UPDATE CURRENT_TIMESTAMP(6));
         CREATE TABLE made (id INT PRIMARY KEY, a INT, v INT AS (a + 1));
         INSERT INTO t (id, k, b) VALUES (1, 1, 'one'), (2, 2, 'two'), (3, 3, NULL)",
    );
    let pipeline = Pipeline::new(&source, &emulator).block(&format!(
        "transform:\n  - source-table: {}.t\n    projection: '*, a + 1 AS more'\n",
        source.name()
    ));
    let mut program = pipeline.start_and_wait();
    source.sql(
        "UPDATE t SET a = 50 WHERE id = 1;
         UPDATE t SET b = NULL, id = 20 WHERE id = 2;
         REPLACE INTO t (id, k) VALUES (9, 3);
         INSERT INTO t (id, k) VALUES (8, 1) ON DUPLICATE KEY UPDATE a = a + 1;
         INSERT INTO t (id, k, b) VALUES (4, 4, 'four'); DELETE FROM t WHERE id = 20;
         INSERT INTO made (id, a) VALUES (1, 1)",
    );
    wait_for_same_rows(&source, "t", &sink, "t");
    sink.wait_for_rows("SELECT more FROM t WHERE id = 1", &[&["52"]]);
    wait_for_same_rows(&source, "made", &sink, "made");
    program.assert_running();
    source.sql("UPDATE made SET a = 2");
    assert_eq!(program.wait(), Some(REFUSED), "{}", program.printed());
    assert!(program.printed().contains("generated columns out"), "{}", program.printed());
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
    source.sql("INSERT INTO t VALUES (1, 1, 1), (2, 2, 2); DELETE FROM t WHERE id = 2; UPDATE t SET b = 3 WHERE id = 1");
    wait_for_same_rows(&source, "t", &emulator.sink(), "t");
    program.assert_running();
}
