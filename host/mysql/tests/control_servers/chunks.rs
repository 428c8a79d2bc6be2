//! A walk over chunks reads every row exactly once, whatever the key.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use sluicebox_model::{ChangeBatch, Position, TableId, TableSchema};
use sluicebox_mysql::{Chunk, ChunkRead, ChunkRows, Flavour, KeyBound, MysqlError, SnapshotReader};

use crate::server::{BOTH, control, fresh_database, options, schema, sql};

const DATABASE: &str = "control_chunks";

/// Tables with the column `n`, which numbers the rows: name, columns and key, values of the key for row n.
type Case = (&'static str, &'static str, fn(u64) -> Option<String>);

const CASES: &[Case] = &[
    ("int_key", "k INT PRIMARY KEY", |n| Some((i64::from(small(n)) * 7 - 900).to_string())),
    ("bigint_unsigned_key", "k BIGINT UNSIGNED PRIMARY KEY", |n| Some((u64::MAX - n * n).to_string())),
    ("tinyint1_key", "k TINYINT(1) PRIMARY KEY", |n| {
        (n < 256).then(|| (i64::from(small(n)) - 128).to_string())
    }),
    ("composite_key", "a INT, b VARCHAR(10), c DATE, PRIMARY KEY (a, b, c)", |n| {
        Some(format!(
            "{}, '{}', '2024-01-{:02}'",
            n % 3,
            ["x", "Y", "z "][(n / 3 % 3) as usize],
            n / 9 % 28 + 1
        ))
        .filter(|_| n < 252)
    }),
    ("enum_key", "a ENUM('z','y','b','a'), b INT, PRIMARY KEY (a, b)", |n| {
        Some(format!("'{}', {}", ["z", "y", "b", "a"][(n % 4) as usize], n / 4))
    }),
    ("set_key", "a SET('q','p') NOT NULL, b INT NOT NULL, UNIQUE KEY (a, b)", |n| {
        Some(format!("'{}', {}", ["", "q", "p", "q,p"][(n % 4) as usize], n / 4))
    }),
    ("bit_key", "k BIT(40) PRIMARY KEY", |n| Some((n * n * n).to_string())),
    ("text_key", "k VARCHAR(30) PRIMARY KEY", text_key),
    ("text_key_latin1", "k VARCHAR(30) CHARACTER SET latin1 PRIMARY KEY", text_key),
    ("text_key_bin", "k VARCHAR(30) COLLATE utf8mb4_bin PRIMARY KEY", text_key),
    ("text_key_general", "k VARCHAR(30) COLLATE utf8mb4_general_ci PRIMARY KEY", text_key),
    ("char_key", "k CHAR(30) COLLATE utf8mb4_unicode_ci PRIMARY KEY", text_key),
    ("prefix_key", "k TEXT NOT NULL, PRIMARY KEY (k(20))", text_key),
    ("bytes_key", "k VARBINARY(8) PRIMARY KEY", |n| {
        Some(format!("UNHEX('{:02X}{:02X}00')", n * 37 % 256, n / 256 + 0xfe))
    }),
    ("binary_key", "k BINARY(4) PRIMARY KEY", |n| {
        Some(format!("UNHEX('{:02X}{:02X}')", n * 37 % 256, n / 256))
    }),
    ("decimal_key", "k DECIMAL(38,10) PRIMARY KEY", |n| {
        Some(format!("{}9007199254740993.{:010}", if n % 2 == 0 { "" } else { "-" }, n / 2 + 1))
    }),
    ("date_key", "k DATE PRIMARY KEY", |n| {
        Some(if n == 0 { "'0000-00-00'".into() } else { format!("'{:04}-{:02}-{:02}'", n, n % 13, n % 28) })
    }),
    ("datetime_key", "k DATETIME(6) PRIMARY KEY", |n| {
        Some(if n == 0 { "'0000-00-00 00:00:00'".into() } else { format!("'2024-02-29 23:59:59.{n:06}'") })
    }),
    ("timestamp_key", "k TIMESTAMP(3) NOT NULL DEFAULT 0 PRIMARY KEY", |n| {
        Some(if n == 0 { "0".into() } else { format!("'2001-09-09 01:46:{:02}.{:03}'", n % 60, n) })
    }),
    ("time_key", "k TIME(2) PRIMARY KEY", |n| {
        Some(format!("'{}{:03}:{:02}:01.{:02}'", if n % 2 == 0 { "" } else { "-" }, n % 800, n % 60, n % 100))
    }),
    ("double_key", "k DOUBLE PRIMARY KEY", |n| Some(format!("{} / 3e0", n))),
    ("float_key", "k FLOAT PRIMARY KEY", |n| Some(format!("{} / 7e0", n))),
    ("year_key", "k YEAR, b INT, PRIMARY KEY (k, b)", |n| {
        Some(format!("{}, {}", if n % 5 == 0 { 0 } else { 1901 + n % 5 }, n))
    }),
    ("descending_key", "a INT, b INT, PRIMARY KEY (a DESC, b)", |n| Some(format!("{}, {}", n % 10, n / 10))),
];

/// Rows are few.
fn small(n: u64) -> u16 {
    u16::try_from(n).expect("a small number")
}

/// Case, accents, trailing blanks, sharp s, and letters beyond the first plane, so far as the collation tells them apart.
fn text_key(n: u64) -> Option<String> {
    let stem = ["a", "A", "ä", "b", "B ", "ß", "ss", "Z", "z_", "é"][(n % 10) as usize];
    Some(format!("'{stem}{}'", n / 10))
}

const MARIADB_CASES: &[Case] = &[
    ("uuid_key", "k UUID PRIMARY KEY", |n| {
        Some(format!("'{:08x}-{:04x}-11ee-8000-{:012x}'", n * 2_654_435_761 % 0xffff_ffff, n, n))
    }),
    ("inet6_key", "k INET6 PRIMARY KEY", |n| Some(format!("'2001:db8::{:x}:{:x}'", n * 97 % 251, n))),
    ("nopad_key", "k VARCHAR(30) COLLATE utf8mb4_nopad_bin PRIMARY KEY", |n| {
        Some(format!("'a{}{}'", n / 2, [" ", ""][(n % 2) as usize]))
    }),
];
const MYSQL_CASES: &[Case] = &[
    ("key_0900", "k VARCHAR(30) COLLATE utf8mb4_0900_ai_ci PRIMARY KEY", text_key),
    ("key_0900_as_cs", "k VARCHAR(30) COLLATE utf8mb4_0900_as_cs PRIMARY KEY", |n| {
        Some(format!(
            "'{}{}{}'",
            ["a", "A", "ä", "Ä"][(n % 4) as usize],
            n / 8,
            [" ", ""][(n / 4 % 2) as usize]
        ))
    }),
];

#[tokio::test]
async fn a_walk_over_chunks_reads_each_row_once_whatever_the_key() {
    for flavour in BOTH {
        let own = if flavour == Flavour::MySql { MYSQL_CASES } else { MARIADB_CASES };
        let mut conn = fresh_database(flavour, DATABASE).await;
        let mut reader = reader(flavour).await;
        for (table, columns, key) in CASES.iter().chain(own) {
            sql(&mut conn, &format!("CREATE TABLE {table} (n INT NOT NULL, {columns})")).await;
            let mut rows = String::new();
            for n in 0..300 {
                if let Some(key) = key(n) {
                    write!(rows, "{}({n}, {key})", if rows.is_empty() { "" } else { ", " }).expect("a text");
                }
            }
            // IGNORE: keys that a collation finds equal are one row.
            sql(&mut conn, &format!("INSERT IGNORE INTO {table} VALUES {rows}")).await;
            let expected = mysql_async::prelude::Queryable::query::<i64, _>(
                &mut conn,
                format!("SELECT n FROM {table} ORDER BY n"),
            );
            let expected = expected.await.expect("rows");
            assert!(expected.len() > 100, "{table} has {} rows only", expected.len());
            for size in [2, 64, 1_000] {
                let read = walk(&mut reader, flavour, table, size).await;
                assert_eq!(read, expected, "{table} on {flavour:?} in chunks of {size}");
            }
        }
        reader.close().await;
    }
}

/// Reads a chunk, whatever the width of its rows.
pub async fn read_chunk(
    reader: &mut SnapshotReader,
    schema: &Arc<TableSchema>,
    chunk: &Chunk,
    seen: &Position,
) -> Result<ChunkRows, MysqlError> {
    match reader.read_chunk(schema, chunk, seen, usize::MAX).await? {
        ChunkRead::Rows(rows) => Ok(rows),
        ChunkRead::TooWide { .. } => panic!("there is room for everything"),
    }
}

pub async fn reader(flavour: Flavour) -> SnapshotReader {
    let mut control = control(flavour).await;
    let watermark = control.watermark().await.expect("an answer").expect("a safe mark");
    SnapshotReader::connect(&options(flavour), control.server(), watermark).await.expect("a reader")
}

/// Reads a table chunk by chunk; gives the numbers of its rows, sorted. Each bound goes through JSON, as a restart would
/// have it.
async fn walk(reader: &mut SnapshotReader, flavour: Flavour, table: &str, size: u64) -> Vec<i64> {
    let schema = Arc::new(schema(flavour, DATABASE, table).await);
    let mut numbers = Vec::new();
    let mut chunk = Chunk { number: 0, after: None, up_to: None, by: None };
    loop {
        let bound =
            reader.next_bound(&schema, None, (chunk.after.as_ref(), None), size).await.expect("a bound");
        let bound: Option<KeyBound> = bound.map(|b| {
            let json = serde_json::to_string(&b).expect("JSON");
            serde_json::from_str(&json).expect("a bound")
        });
        chunk.up_to = bound;
        let rows = read_chunk(reader, &schema, &chunk, &Position::default()).await.expect("rows");
        let read: Vec<i64> = rows.batches.iter().flat_map(numbers_of).collect();
        match &chunk.up_to {
            Some(_) => assert_eq!(
                u64::try_from(read.len()).expect("a length"),
                size,
                "{table}: a chunk has the size asked for"
            ),
            None => assert!(
                u64::try_from(read.len()).expect("a length") < size,
                "{table}: the last chunk is less than a whole one"
            ),
        }
        numbers.extend(read);
        match chunk.up_to.take() {
            Some(bound) => {
                chunk = Chunk { number: chunk.number + 1, after: Some(bound), up_to: None, by: None }
            }
            None => break,
        }
    }
    numbers.sort_unstable();
    numbers
}

fn numbers_of(batch: &ChangeBatch) -> Vec<i64> {
    assert_eq!(batch.columns.len(), batch.schema.columns.len());
    assert!(batch.columns.iter().all(|c| c.len() == batch.rows()));
    batch.columns[0].as_primitive::<Int64Type>().values().to_vec()
}

#[tokio::test]
async fn rows_beyond_sixteen_mebibytes_come_in_several_batches() {
    for flavour in BOTH {
        let database = "control_large";
        let mut conn = fresh_database(flavour, database).await;
        sql(&mut conn, "CREATE TABLE t (n INT PRIMARY KEY, b LONGBLOB)").await;
        for n in 0..5 {
            sql(
                &mut conn,
                &format!(
                    "INSERT INTO t VALUES ({n}, REPEAT('x', {}))",
                    [7_000_000, 7_000_000, 7_000_000, 20_000_000, 10][n]
                ),
            )
            .await;
        }
        let schema = Arc::new(schema(flavour, database, "t").await);
        let mut reader = reader(flavour).await;
        let chunk = Chunk { number: 0, after: None, up_to: None, by: None };
        let rows = read_chunk(&mut reader, &schema, &chunk, &Position::default()).await.expect("rows");
        let shape: Vec<Vec<i64>> = rows.batches.iter().map(numbers_of).collect();
        assert_eq!(shape, [vec![0, 1], vec![2], vec![3], vec![4]], "{flavour:?}");
        assert!(rows.high.includes(&rows.low));
    }
}

#[tokio::test]
async fn a_table_that_changed_meanwhile_says_so_by_its_code() {
    for flavour in BOTH {
        let database = "control_changed";
        let mut conn = fresh_database(flavour, database).await;
        sql(&mut conn, "CREATE TABLE t (n INT PRIMARY KEY, gone INT)").await;
        let before = Arc::new(schema(flavour, database, "t").await);
        sql(&mut conn, "ALTER TABLE t DROP COLUMN gone").await;
        let mut reader = reader(flavour).await;
        let chunk = Chunk { number: 0, after: None, up_to: None, by: None };
        let error =
            read_chunk(&mut reader, &before, &chunk, &Position::default()).await.expect_err("no such column");
        assert!(matches!(error, MysqlError::Statement { code: 1054, .. }), "{error}");
        sql(&mut conn, "DROP TABLE t").await;
        let error =
            read_chunk(&mut reader, &before, &chunk, &Position::default()).await.expect_err("no such table");
        assert!(matches!(error, MysqlError::Statement { code: 1146, .. }), "{error}");
        // The connection is as good as before.
        let count = reader.count_estimate(&TableId::new("mysql", "user")).await;
        count.expect("an estimate");
    }
}
