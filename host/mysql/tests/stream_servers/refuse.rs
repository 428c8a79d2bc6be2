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
            writer.sql("SET SESSION binlog_row_image = 'MINIMAL'");
            writer.sql("INSERT INTO t (id) VALUES (1)");
            writer.sql("UPDATE t SET v = 2");
        });
        assert!(error.to_string().contains("binlog_row_image"), "{flavour:?}: {error}");
    }
}

#[test]
fn parts_of_json_documents_are_refused_by_the_name_of_the_setting() {
    let (session, mut writer) = pair(Flavour::MySql, "stream_partial_json");
    writer.sql("CREATE TABLE j (id int primary key, v json)");
    writer
        .sql("INSERT INTO j VALUES (1, '{\"a\": 1, \"b\": \"some longer text that is not written again\"}')");
    let error = error_of(&session, 7503, || {
        writer.sql("SET SESSION binlog_row_value_options = 'PARTIAL_JSON'");
        writer.sql("UPDATE j SET v = JSON_SET(v, '$.a', 2)");
    });
    assert!(error.to_string().contains("binlog_row_value_options"), "{error}");
}

#[test]
fn an_xa_transaction_of_two_phases_is_refused_and_one_of_one_phase_is_not() {
    for flavour in BOTH {
        let (session, mut writer) = pair(flavour, "stream_xa");
        let mut stream = session.stream(7504);
        for statement in
            ["XA START 'one'", "INSERT INTO t VALUES (1, 1, 1)", "XA END 'one'", "XA COMMIT 'one' ONE PHASE"]
        {
            writer.sql(statement);
        }
        let items = session.read(&mut stream);
        assert_eq!(outline(&items), ["rows t", "end"], "{flavour:?}");
        assert_eq!(table_text(&items, "t"), ["Insert 1 1 1"], "{flavour:?}");
        for statement in [
            "XA START 'two'",
            "INSERT INTO t VALUES (2, 2, 2)",
            "XA END 'two'",
            "XA PREPARE 'two'",
            "XA COMMIT 'two'",
        ] {
            writer.sql(statement);
        }
        let error = session.try_read(&mut stream).expect_err("its end shows only later");
        assert!(matches!(error, MysqlError::Malformed { .. }), "{flavour:?}: {error}");
        assert!(error.to_string().contains("XA"), "{flavour:?}: {error}");
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
