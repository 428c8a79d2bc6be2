//! What a stream must not pass over in silence.

use sluicebox_mysql::{Flavour, MysqlError};

use crate::support::{BOTH, Session, outline, table_text};

fn error_of(session: &Session, server_id: u32, write: impl FnOnce()) -> MysqlError {
    let mut stream = session.stream(server_id);
    write();
    session.try_read(&mut stream).expect_err("it cannot be followed")
}

/// Two sessions of one database: one that the stream is opened with, one that writes.
fn pair(flavour: Flavour, database: &str) -> (Session, Session) {
    let session = Session::new(flavour, database);
    let mut writer = Session::new(flavour, &format!("{database}_writer"));
    writer.sql(&format!("USE {database}"));
    writer.sql("CREATE TABLE t (id int primary key, v int, w int DEFAULT 5)");
    (session, writer)
}

#[test]
fn statements_that_change_captured_rows_stop_the_stream_and_others_do_not() {
    for flavour in BOTH {
        let (session, mut writer) = pair(flavour, "stream_statement_format");
        writer.sql("CREATE TABLE stream_statement_format_writer.other (id int primary key)");
        writer.sql("SET SESSION binlog_format = 'STATEMENT'");
        let mut stream = session.stream(7501);
        writer.sql("INSERT INTO stream_statement_format_writer.other VALUES (1)");
        writer.sql("USE stream_statement_format_writer");
        writer.sql("UPDATE other SET id = 2");
        assert_eq!(outline(&session.read(&mut stream)), Vec::<String>::new(), "{flavour:?}");
        writer.sql("USE stream_statement_format");
        writer.sql("/* a comment */ INSERT INTO t (id) VALUES (1)");
        match session.try_read(&mut stream) {
            Err(MysqlError::UnknownStatement { reason, statement, .. }) => {
                assert!(reason.contains("binlog_format=ROW"), "{reason}");
                assert!(statement.contains("INSERT INTO t"), "{statement}");
            }
            other => panic!("{flavour:?}: {other:?}"),
        }
    }
}

#[test]
fn rows_that_lack_columns_are_refused_by_the_name_of_the_setting() {
    for flavour in BOTH {
        let (session, mut writer) = pair(flavour, "stream_minimal");
        let error = error_of(&session, 7502, || {
            writer.sql("CREATE TABLE b (id int primary key, v varbinary(9) DEFAULT 'x')");
            writer.sql("SET SESSION binlog_row_image = 'MINIMAL'");
            writer.sql("INSERT INTO b (id) VALUES (1)");
        });
        assert!(error.to_string().contains("binlog_row_image"), "{flavour:?}: {error}");
    }
}

#[test]
fn parts_of_json_documents_without_the_documents_are_refused_by_the_name_of_the_setting() {
    let (session, mut writer) = pair(Flavour::MySql, "stream_partial_json");
    writer.sql("CREATE TABLE j (id int primary key, v json)");
    writer
        .sql("INSERT INTO j VALUES (1, '{\"a\": 1, \"b\": \"some longer text that is not written again\"}')");
    let error = error_of(&session, 7503, || {
        writer.sql("SET SESSION binlog_row_value_options = 'PARTIAL_JSON', binlog_row_image = 'MINIMAL'");
        writer.sql("UPDATE j SET v = JSON_SET(v, '$.a', 2)");
    });
    assert!(error.to_string().contains("binlog_row_value_options"), "{error}");
}

fn xa(writer: &mut Session, name: &str, row: u32, end: &str) {
    writer.sql(&format!("XA START '{name}'"));
    writer.sql(&format!("INSERT INTO t VALUES ({row}, {row}, {row})"));
    writer.sql(&format!("XA END '{name}'"));
    writer.sql(end);
}

/// A reader that begins between the two phases has seen nothing of the first.
#[test]
fn rows_of_an_xa_transaction_come_with_its_commit_also_to_another_reader() {
    for flavour in BOTH {
        let (session, mut writer) = pair(flavour, "stream_xa");
        let mut stream = session.stream(7504);
        xa(&mut writer, "one", 1, "XA COMMIT 'one' ONE PHASE");
        let items = session.read(&mut stream);
        assert_eq!(outline(&items), ["rows t", "end"], "{flavour:?}");
        assert_eq!(table_text(&items, "t"), ["Insert 1 1 1"], "{flavour:?}");
        xa(&mut writer, "two", 2, "XA PREPARE 'two'");
        assert_eq!(outline(&session.read(&mut stream)), Vec::<String>::new(), "{flavour:?}");
        let mut options = session.stream_options(7504);
        options.from = stream.position().clone();
        drop(stream);
        let mut stream = sluicebox_mysql::BinlogStream::open(options).expect("a stream");
        session.another().sql("FLUSH BINARY LOGS");
        writer.sql("XA COMMIT 'two'");
        let items = session.read(&mut stream);
        assert_eq!(table_text(&items, "t"), ["Insert 2 2 2"], "{flavour:?}");
    }
}

#[test]
fn xa_transactions_of_foreign_tables_are_passed_over() {
    for flavour in BOTH {
        let (session, mut writer) = pair(flavour, "stream_xa_foreign");
        writer.sql("CREATE TABLE stream_xa_foreign_writer.other (id int primary key)");
        let mut stream = session.stream(7505);
        for statement in [
            "XA START 'foreign'",
            "INSERT INTO stream_xa_foreign_writer.other VALUES (2)",
            "XA END 'foreign'",
            "XA PREPARE 'foreign'",
            "XA COMMIT 'foreign'",
            "INSERT INTO t VALUES (3, 3, 3)",
        ] {
            writer.sql(statement);
        }
        let items = session.read(&mut stream);
        assert_eq!(table_text(&items, "t"), ["Insert 3 3 3"], "{flavour:?}");
    }
}

#[test]
fn a_schema_that_is_not_the_streams_is_refused() {
    for flavour in BOTH {
        let (session, mut writer) = pair(flavour, "stream_mismatch");
        let mut options = session.stream_options(7506);
        let mut wrong = (*options.schemas[0]).clone();
        wrong.columns.pop();
        options.schemas = vec![std::sync::Arc::new(wrong)];
        let mut stream = sluicebox_mysql::BinlogStream::open(options).expect("a stream");
        writer.sql("INSERT INTO t VALUES (1, 2, 3)");
        let error = session.try_read(&mut stream).expect_err("a column is missing");
        assert!(matches!(error, MysqlError::SchemaMismatch { .. }), "{flavour:?}: {error}");
    }
}

/// Sequences are written like tables, and are none.
#[test]
fn sequences_are_passed_over() {
    let (session, mut writer) = pair(Flavour::MariaDb, "stream_sequence");
    let mut stream = session.stream(7507);
    writer.sql("CREATE SEQUENCE s CACHE 2");
    writer.sql("INSERT INTO t VALUES (NEXT VALUE FOR s, 1, 1)");
    writer.sql("DROP SEQUENCE s");
    let items = session.read(&mut stream);
    assert_eq!(outline(&items), ["rows t", "end"]);
}
