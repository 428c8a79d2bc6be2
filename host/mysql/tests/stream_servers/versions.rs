//! MariaDB's system-versioned tables: where the history is hidden, what is delivered is what the table shows now; where its
//! columns are shown, their rows are rows.

use sluicebox_mysql::{Flavour, Images};

use crate::support::{Session, decode, outline, rows_of, table_text};

fn session(database: &str) -> Session {
    let mut session = Session::new(Flavour::MariaDb, database);
    session.sql("SET SESSION system_versioning_alter_history = KEEP");
    session
}

#[test]
fn a_table_with_a_hidden_history_is_read_as_it_is_now() {
    let mut session = session("stream_versions");
    session.sql("CREATE TABLE t (id int primary key, v varchar(5)) WITH SYSTEM VERSIONING");
    let mut stream = session.stream(7601);
    for statement in [
        "INSERT INTO t VALUES (1, 'a'), (2, 'b')",
        "UPDATE t SET v = 'c' WHERE id = 1",
        "UPDATE t SET id = 4 WHERE id = 1",
        "DELETE FROM t WHERE id = 2",
        "ALTER TABLE t ADD COLUMN w int",
        "REPLACE INTO t VALUES (4, 'd', 5)",
        "ALTER TABLE t DROP SYSTEM VERSIONING",
        "INSERT INTO t VALUES (6, 'e', 7)",
        "ALTER TABLE t ADD SYSTEM VERSIONING",
        "DELETE FROM t WHERE id = 4",
        "DELETE HISTORY FROM t",
    ] {
        session.sql(statement);
    }
    let items = session.read(&mut stream);
    let lines = [
        "Insert 1 a",
        "Insert 2 b",
        "After 1 c",
        "Before 1 c",
        "After 4 c",
        "Delete 2 b",
        "Delete 4 c NULL",
        "Insert 4 d 5",
        "Insert 6 e 7",
        "Delete 4 d 5",
    ];
    assert_eq!(table_text(&items, "t"), lines);
    let schemas: Vec<String> =
        outline(&items).into_iter().filter(|line| line.starts_with("schema")).collect();
    assert_eq!(schemas, ["schema t AddColumns"]);
    // The same rows with both images of each update.
    let events = rows_of(&items, "t");
    let (both, _) = decode(&events[1..3], Images::Both);
    assert_eq!(both.rows(), 2, "{:?}", both.kinds);
}

#[test]
fn a_table_that_shows_its_history_has_a_row_for_each_version() {
    let mut session = session("stream_shown");
    let mut stream = session.stream(7602);
    session.sql(
        "CREATE TABLE t (id int primary key, v int, s timestamp(6) GENERATED ALWAYS AS ROW START, e timestamp(6) GENERATED \
         ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING",
    );
    session.sql("INSERT INTO t (id, v) VALUES (1, 1), (2, 2)");
    session.sql("UPDATE t SET v = 3 WHERE id = 1");
    session.sql("DELETE FROM t WHERE id = 2");
    let items = session.read(&mut stream);
    let key: Vec<String> = rows_of(&items, "t")[0].schema.key_columns().map(|c| c.name.to_string()).collect();
    assert_eq!(key, ["id", "e"]);
    let versions: Vec<String> = session.rows(
        "SELECT CONCAT_WS(' ', id, v, CAST(UNIX_TIMESTAMP(s) * 1000000 AS INT), CAST(UNIX_TIMESTAMP(e) * 1000000 AS INT)) \
         FROM t FOR SYSTEM_TIME ALL ORDER BY id, e",
    );
    // A sink that keeps one row for each key ends with what the server has.
    let mut kept: Vec<String> = Vec::new();
    for line in table_text(&items, "t") {
        let (kind, row) = line.split_once(' ').expect("a kind and a row");
        let parts: Vec<&str> = row.split(' ').collect();
        kept.retain(|other| {
            let other: Vec<&str> = other.split(' ').collect();
            (other[0], other[3]) != (parts[0], parts[3])
        });
        if kind == "Insert" || kind == "After" {
            kept.push(row.to_owned());
        }
    }
    kept.sort_by_key(|row| {
        let number = |place: usize| row.split(' ').nth(place).and_then(|n| n.parse::<u64>().ok());
        (number(0), number(3))
    });
    assert_eq!(kept, versions);
}
