//! Statements and transactions as servers write them.

use sluicebox_model::{RowKind, SchemaChange};
use sluicebox_mysql::{Flavour, Images, StreamItem};

use crate::support::{BOTH, Session, cell, decode, outline, rows_of, table_text};

#[test]
fn a_column_added_between_rows_is_there_from_the_next_row_on() {
    for flavour in BOTH {
        let mut session = Session::new(flavour, "stream_add_column");
        session.sql("CREATE TABLE t (id int primary key, b int)");
        let mut stream = session.stream(7401);
        session.sql("INSERT INTO t VALUES (1, 10)");
        session.sql("ALTER TABLE t ADD COLUMN a varchar(5) AFTER id");
        session.sql("INSERT INTO t VALUES (2, 'x', 20)");
        session.sql("ALTER TABLE t DROP COLUMN b, MODIFY a varchar(50)");
        session.sql("INSERT INTO t VALUES (3, 'y')");
        let items = session.read(&mut stream);
        assert_eq!(
            outline(&items),
            [
                "rows t",
                "end",
                "schema t AddColumns",
                "end",
                "rows t",
                "end",
                "schema t DropColumns+AlterColumn",
                "end",
                "rows t",
                "end"
            ],
            "{flavour:?}"
        );
        assert_eq!(table_text(&items, "t"), ["Insert 1 10", "Insert 2 x 20", "Insert 3 y"], "{flavour:?}");
        let versions: Vec<u64> = rows_of(&items, "t").iter().map(|rows| rows.schema.version).collect();
        assert_eq!(versions, [1, 2, 3], "{flavour:?}");
    }
}

#[test]
fn tables_come_change_their_names_and_go() {
    for flavour in BOTH {
        let mut session = Session::new(flavour, "stream_tables");
        let mut stream = session.stream(7402);
        session.sql("CREATE TABLE a (id int primary key) COMMENT 'first'");
        session.sql("CREATE TABLE b (id int primary key) COMMENT 'second'");
        session.sql("RENAME TABLE a TO swap, b TO a, swap TO b");
        session.sql("INSERT INTO b VALUES (1)");
        session.sql("TRUNCATE b");
        session.sql("CREATE TABLE IF NOT EXISTS b (other int)");
        session.sql("DROP TABLE a, b");
        session.sql("CREATE TABLE a (id bigint primary key, n int)");
        session.sql("INSERT INTO a VALUES (5, 6)");
        let items = session.read(&mut stream);
        assert_eq!(
            outline(&items),
            [
                "schema a CreateTable",
                "end",
                "schema b CreateTable",
                "end",
                "schema b AlterComment",
                "schema a AlterComment",
                "end",
                "rows b",
                "end",
                "schema b TruncateTable",
                "end",
                "schema a DropTable",
                "schema b DropTable",
                "end",
                "schema a CreateTable",
                "end",
                "rows a",
                "end"
            ],
            "{flavour:?}"
        );
        assert_eq!(table_text(&items, "a"), ["Insert 5 6"], "{flavour:?}");
        // The name's versions go on: a row of the new table is never taken for one of the old.
        let versions: Vec<u64> = rows_of(&items, "a").iter().map(|rows| rows.schema.version).collect();
        assert!(versions[0] > 1, "{flavour:?}: {versions:?}");
    }
}

/// What tools for online schema changes do: a copy under another name, changed, and put in the table's place.
#[test]
fn a_table_replaced_by_its_changed_copy_is_changed() {
    for flavour in BOTH {
        let mut session = Session::new(flavour, "stream_online");
        session.sql("CREATE TABLE t (id int primary key, v int)");
        let mut options = session.stream_options(7403);
        options.captures =
            std::sync::Arc::new(|table| &*table.database == "stream_online" && &*table.table == "t");
        let mut stream = sluicebox_mysql::BinlogStream::open(options).expect("a stream");
        session.sql("CREATE TABLE _t_gho LIKE t");
        session.sql("ALTER TABLE _t_gho ADD COLUMN w int, DROP COLUMN v");
        session.sql("INSERT INTO t VALUES (1, 2)");
        session.sql("INSERT INTO _t_gho VALUES (1, 3)");
        session.sql("RENAME TABLE t TO _t_del, _t_gho TO t");
        session.sql("INSERT INTO t VALUES (2, 4)");
        session.sql("DROP TABLE _t_del");
        let items = session.read(&mut stream);
        assert_eq!(
            outline(&items),
            ["rows t", "end", "schema t AddColumns+DropColumns", "end", "rows t", "end"],
            "{flavour:?}"
        );
        assert_eq!(table_text(&items, "t"), ["Insert 1 2", "Insert 2 4"], "{flavour:?}");
    }
}

#[test]
fn a_table_renamed_away_and_back_is_told() {
    for flavour in BOTH {
        let mut session = Session::new(flavour, "stream_away");
        session.sql("CREATE TABLE keep (id int primary key)");
        let mut options = session.stream_options(7404);
        options.captures =
            std::sync::Arc::new(|table| &*table.database == "stream_away" && &*table.table != "elsewhere");
        let mut stream = sluicebox_mysql::BinlogStream::open(options).expect("a stream");
        session.sql("ALTER TABLE keep RENAME TO elsewhere");
        session.sql("INSERT INTO elsewhere VALUES (1)");
        session.sql("RENAME TABLE elsewhere TO keep");
        session.sql("INSERT INTO keep VALUES (2)");
        let items = session.read(&mut stream);
        // What becomes of it under the other name is told too, since its columns have to be kept.
        let words = [
            "schema keep RenameTable",
            "end",
            "schema elsewhere RenameTable",
            "schema keep CreateTable",
            "end",
            "rows keep",
            "end",
        ];
        assert_eq!(outline(&items), words, "{flavour:?}");
    }
}

#[test]
fn savepoints_neither_end_a_transaction_nor_lose_rows() {
    for flavour in BOTH {
        let mut session = Session::new(flavour, "stream_savepoints");
        session.sql("CREATE TABLE t (id int primary key)");
        let mut stream = session.stream(7405);
        for statement in [
            "BEGIN",
            "INSERT INTO t VALUES (1)",
            "SAVEPOINT a",
            "INSERT INTO t VALUES (2)",
            "SAVEPOINT b",
            "INSERT INTO t VALUES (3)",
            "ROLLBACK TO b",
            "RELEASE SAVEPOINT a",
            "INSERT INTO t VALUES (4)",
            "COMMIT",
            "BEGIN",
            "INSERT INTO t VALUES (9)",
            "ROLLBACK",
        ] {
            session.sql(statement);
        }
        let items = session.read(&mut stream);
        assert_eq!(outline(&items), ["rows t", "rows t", "rows t", "end"], "{flavour:?}");
        assert_eq!(table_text(&items, "t"), ["Insert 1", "Insert 2", "Insert 4"], "{flavour:?}");
    }
}

#[test]
fn an_update_shows_its_before_image_where_the_key_changes() {
    for flavour in BOTH {
        let mut session = Session::new(flavour, "stream_images");
        session.sql("CREATE TABLE t (a varchar(5), v int, b int, PRIMARY KEY (b, a))");
        session.sql("CREATE TABLE nokey (a int, v int)");
        session.sql("INSERT INTO t VALUES ('x', 1, 1), ('y', 2, 2)");
        session.sql("INSERT INTO nokey VALUES (1, 1)");
        let mut stream = session.stream(7406);
        session.sql("UPDATE t SET v = 10");
        session.sql("UPDATE t SET a = 'X' WHERE b = 1");
        session.sql("UPDATE t SET b = 3 WHERE b = 2");
        session.sql("DELETE FROM t WHERE b = 3");
        session.sql("UPDATE nokey SET a = 2");
        let items = session.read(&mut stream);
        let lines = [
            "After x 10 1",
            "After y 10 2",
            "Before x 10 1",
            "After X 10 1",
            "Before y 10 2",
            "After y 10 3",
            "Delete y 10 3",
        ];
        assert_eq!(table_text(&items, "t"), lines, "{flavour:?}");
        assert_eq!(table_text(&items, "nokey"), ["After 2 1"], "{flavour:?}");
        let (both, _) = decode(&rows_of(&items, "nokey"), Images::Both);
        assert_eq!(both.kinds, [RowKind::Before, RowKind::After], "{flavour:?}");
    }
}

#[test]
fn compressed_transactions_come_out_whole() {
    let mut session = Session::new(Flavour::MySql, "stream_compressed");
    session.sql("CREATE TABLE t (id int primary key, v varchar(100))");
    let mut stream = session.stream(7407);
    session.sql("SET SESSION binlog_transaction_compression = ON");
    for statement in [
        "BEGIN",
        "INSERT INTO t VALUES (1, REPEAT('a', 100))",
        "SAVEPOINT s",
        "UPDATE t SET v = 'b'",
        "COMMIT",
        "INSERT INTO t VALUES (2, 'c')",
        "CREATE TABLE u (id int primary key)",
        "INSERT INTO u VALUES (3)",
    ] {
        session.sql(statement);
    }
    let items = session.read(&mut stream);
    assert_eq!(
        outline(&items),
        ["rows t", "rows t", "end", "rows t", "end", "schema u CreateTable", "end", "rows u", "end"]
    );
    let a = "a".repeat(100);
    assert_eq!(table_text(&items, "t"), [&format!("Insert 1 {a}"), "After 1 b", "Insert 2 c"]);
    check_ends(&session, &items);
}

/// The last end is where the server stands when nobody else writes to this file; never behind it.
fn check_ends(session: &Session, items: &[StreamItem]) {
    let here = session.position();
    let ends: Vec<(String, u64)> = items
        .iter()
        .filter_map(|item| match item {
            StreamItem::End { transaction, end, .. } => Some((transaction.file.to_string(), *end)),
            StreamItem::Rows(_) | StreamItem::Schema(_) | StreamItem::Idle => None,
        })
        .collect();
    assert!(ends.is_sorted(), "{ends:?}");
    let (file, end) = ends.last().expect("an end");
    assert!((file, end) <= (&here.file, &here.offset), "{file}:{end} is behind {here}");
}

#[test]
fn compressed_events_of_mariadb_come_out_whole() {
    let mut session = Session::new(Flavour::MariaDb, "stream_compressed");
    session.sql("CREATE TABLE t (id int primary key, v varchar(1000))");
    let mut stream = session.stream(7408);
    session.sql("SET GLOBAL log_bin_compress_min_len = 10");
    session.sql("SET GLOBAL log_bin_compress = ON");
    session.sql("INSERT INTO t VALUES (1, REPEAT('a', 1000)), (2, REPEAT('b', 1000))");
    session.sql("UPDATE t SET v = REPEAT('c', 1000)");
    session.sql("DELETE FROM t WHERE id = 1");
    session.sql("ALTER TABLE t ADD COLUMN w int, COMMENT 'a statement that is long enough to be compressed'");
    session.sql("SET GLOBAL log_bin_compress = OFF");
    session.sql("INSERT INTO t VALUES (3, 'd', 4)");
    let items = session.read(&mut stream);
    let [a, b, c] = ["a", "b", "c"].map(|l| l.repeat(1000));
    let want = [
        format!("Insert 1 {a}"),
        format!("Insert 2 {b}"),
        format!("After 1 {c}"),
        format!("After 2 {c}"),
        format!("Delete 1 {c}"),
        "Insert 3 d 4".to_owned(),
    ];
    assert_eq!(table_text(&items, "t"), want);
    check_ends(&session, &items);
}

#[test]
fn a_table_made_from_a_query_comes_with_its_rows() {
    for flavour in BOTH {
        let mut session = Session::new(flavour, "stream_select");
        session.sql("CREATE TABLE source (id int primary key, v varchar(5))");
        session.sql("INSERT INTO source VALUES (1, 'x')");
        let mut stream = session.stream(7409);
        session.sql("CREATE TABLE made (PRIMARY KEY (id)) AS SELECT * FROM source");
        let items = session.read(&mut stream);
        assert_eq!(outline(&items), ["schema made CreateTable", "rows made", "end"], "{flavour:?}");
        assert_eq!(table_text(&items, "made"), ["Insert 1 x"], "{flavour:?}");
    }
}

#[test]
fn a_transaction_says_when_it_was_committed_and_which_it_is() {
    for flavour in BOTH {
        let mut session = Session::new(flavour, "stream_commit");
        session.sql("CREATE TABLE t (id int primary key)");
        let mut stream = session.stream(7410);
        let now = "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)";
        let before: Vec<i64> = session.rows(now);
        session.sql("INSERT INTO t VALUES (1), (2)");
        session.sql("INSERT INTO t VALUES (3)");
        let after: Vec<i64> = session.rows(now);
        let items = session.read(&mut stream);
        let events = rows_of(&items, "t");
        let (batch, _) = decode(&events, Images::Effective);
        assert_eq!(batch.origins.iter().map(|o| o.first_row).collect::<Vec<_>>(), [0, 2]);
        for origin in &batch.origins {
            // MariaDB tells whole seconds.
            assert!(
                (before[0] / 1_000_000 * 1_000_000..=after[0]).contains(&origin.commit_micros),
                "{flavour:?}"
            );
            assert!(origin.transaction.as_ref().is_some_and(|t| t.gtid.is_some()));
        }
        assert_eq!(cell(&batch, 2, 0), "3");
    }
}

#[test]
fn statements_in_another_character_set_are_read_in_it() {
    for flavour in BOTH {
        let mut session = Session::new(flavour, "stream_latin1");
        let mut stream = session.stream(7411);
        session.sql("SET NAMES latin1");
        // The bytes of UTF-8 read as latin1: what the server stores is the double of it.
        session.sql("CREATE TABLE t (id int primary key, `größe` enum('ä') character set utf8mb4)");
        session.sql("SET NAMES utf8mb4");
        session.sql("INSERT INTO t VALUES (1, 1)");
        let items = session.read(&mut stream);
        let schemas = session.schemas();
        let rows = rows_of(&items, "t");
        assert_eq!(rows[0].schema.columns[1].name, schemas[0].columns[1].name, "{flavour:?}");
        let stored: Vec<String> = session.rows("SELECT `grÃ¶ÃŸe` FROM t");
        let (batch, _) = decode(&rows, Images::Effective);
        assert_eq!(cell(&batch, 0, 1), stored[0], "{flavour:?}");
    }
}

#[test]
fn schema_events_carry_the_whole_schema() {
    let mut session = Session::new(Flavour::MySql, "stream_schema_event");
    session.sql("CREATE TABLE t (id int primary key)");
    let mut stream = session.stream(7412);
    session.sql("ALTER TABLE t ADD COLUMN v int");
    let items = session.read(&mut stream);
    let StreamItem::Schema(event) = &items[0] else { panic!("{items:?}") };
    assert!(matches!(&event.changes[..], [SchemaChange::AddColumns(_)]));
    let schema = event.schema.as_ref().expect("a schema");
    assert_eq!((schema.version, schema.columns.len()), (2, 2));
    assert!(event.ddl.contains("ADD COLUMN v"));
    assert!(!event.transaction.file.is_empty());
}

/// A table without a character set gets its database's, and a database without one the server's.
#[test]
fn a_new_table_has_its_databases_character_set() {
    for flavour in BOTH {
        let mut session = Session::new(flavour, "stream_defaults");
        let mut stream = session.stream(7413);
        session.sql("SET SESSION character_set_server = latin1");
        session.sql("DROP DATABASE stream_defaults");
        session.sql("CREATE DATABASE stream_defaults");
        session.sql("USE stream_defaults");
        session.sql("CREATE TABLE t (id int primary key, v varchar(10))");
        session.sql("INSERT INTO t VALUES (1, 'größe')");
        session.sql("ALTER DATABASE stream_defaults CHARACTER SET cp1251");
        session.sql("CREATE TABLE u (id int primary key, v varchar(10))");
        session.sql("INSERT INTO u VALUES (1, 'размер')");
        let items = session.read(&mut stream);
        assert_eq!(table_text(&items, "t"), ["Insert 1 größe"], "{flavour:?}");
        assert_eq!(table_text(&items, "u"), ["Insert 1 размер"], "{flavour:?}");
        let charsets: Vec<_> =
            session.schemas().iter().map(|schema| (schema.id.clone(), schema.charset.clone())).collect();
        for (id, charset) in charsets {
            let told = rows_of(&items, &id.table)[0].schema.charset.clone();
            assert_eq!(told, charset, "{flavour:?} {id}");
        }
    }
}

/// The database was there before the stream, so that no statement says what it is.
#[test]
fn a_new_table_of_an_old_database_has_the_servers_character_set() {
    for flavour in BOTH {
        let mut session = Session::new(flavour, "stream_old_defaults");
        session.sql("SET SESSION character_set_server = latin1");
        session.sql("ALTER DATABASE stream_old_defaults CHARACTER SET latin1");
        let mut stream = session.stream(7414);
        session.sql("CREATE TABLE t (id int primary key, v varchar(10))");
        session.sql("INSERT INTO t VALUES (1, 'größe')");
        let items = session.read(&mut stream);
        assert_eq!(table_text(&items, "t"), ["Insert 1 größe"], "{flavour:?}");
        assert_eq!(rows_of(&items, "t")[0].schema.charset.as_deref(), Some("latin1"), "{flavour:?}");
    }
}
