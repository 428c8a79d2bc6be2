//! What a low mark names is in the rows, while eight writers commit as fast as they can.
//!
//! Each writer counts its transactions in a row of its own and gives each a GTID whose number is that count: on MySQL under
//! a server UUID of its own, on MariaDB in a domain of its own. So a mark says exactly how far each writer had come, and
//! other tests on the same server disturb nothing. Commits are durable meanwhile: what a transaction waits for between its place in the
//! binlog and its being seen is where wrong marks go wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use sluicebox_model::{ChangeBatch, Gtid, Gtids, Position, TransactionId};
use sluicebox_mysql::{Chunk, Flavour, Pieces, SnapshotReader, Watermark};
use tokio::task::JoinHandle;

use crate::chunks::{read_chunk, reader};
use crate::server::{BOTH, connect, control, fresh_database, options, options_as, schema, sql};

const WRITERS: u32 = 8;
const CHUNKS: usize = 300;
/// Readings in which a wrong mark must be caught once; measured: a third to a half of them are wrong.
const WRONG_WITHIN: usize = 1_000;

/// Held by a test while the server's commits are durable.
static DURABLE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

const SETTINGS: [&str; 2] = ["sync_binlog", "innodb_flush_log_at_trx_commit"];

/// Makes commits durable; gives what puts the settings back.
async fn make_durable(conn: &mut Conn) -> String {
    let mut back = Vec::new();
    for name in SETTINGS {
        let value: u32 =
            conn.query_first(format!("SELECT @@GLOBAL.{name}")).await.expect("an answer").expect("a value");
        back.push(format!("GLOBAL {name} = {value}"));
        sql(conn, &format!("SET GLOBAL {name} = 1")).await;
    }
    format!("SET {}", back.join(", "))
}

/// One writer's stream of GTIDs.
#[derive(Clone, Copy)]
struct Names {
    flavour: Flavour,
    /// MySQL's server UUID or MariaDB's domain.
    source: u128,
}

impl Names {
    /// Names that no earlier run on the same server used.
    async fn fresh(flavour: Flavour, conn: &mut Conn) -> Self {
        let uuid: String = conn.query_first("SELECT UUID()").await.expect("an answer").expect("a UUID");
        let number = u128::from_str_radix(&uuid.replace('-', ""), 16).expect("a UUID");
        match flavour {
            Flavour::MySql => Self { flavour, source: number },
            // A domain's number has 32 bits; the fast part of the UUID's clock comes first.
            Flavour::MariaDb => Self { flavour, source: number >> 96 },
        }
    }

    fn gtid(&self, number: u64) -> Gtid {
        match self.flavour {
            Flavour::MySql => Gtid::MySql { source: self.source, tag: "".into(), number },
            Flavour::MariaDb => Gtid::MariaDb {
                domain: u32::try_from(self.source).expect("32 bits"),
                server: 1,
                sequence: number,
            },
        }
    }

    /// Makes the session's next transaction this one.
    async fn set_next(&self, conn: &mut Conn, number: u64) {
        let statement = match self.flavour {
            Flavour::MySql => format!("SET gtid_next='{}'", self.gtid(number)),
            Flavour::MariaDb => format!("SET gtid_domain_id={}, gtid_seq_no={number}", self.source),
        };
        sql(conn, &statement).await;
    }

    fn is_in(&self, number: u64, position: &Position) -> bool {
        position.covers(&TransactionId { gtid: Some(self.gtid(number)), file: "".into(), offset: 0 })
    }
}

struct Writers {
    names: Vec<Names>,
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Writers {
    /// `statement` is run for writer `{w}` and its transaction `{n}`.
    async fn start(flavour: Flavour, database: &str, statement: &'static str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (mut names, mut tasks) = (Vec::new(), Vec::new());
        for writer in 0..WRITERS {
            let mut conn = connect(flavour).await;
            sql(&mut conn, &format!("USE {database}")).await;
            let name = Names::fresh(flavour, &mut conn).await;
            names.push(name);
            let stop = Arc::clone(&stop);
            tasks.push(tokio::spawn(async move {
                let mut number = 1;
                while !stop.load(Ordering::Relaxed) {
                    name.set_next(&mut conn, number).await;
                    let statement =
                        statement.replace("{w}", &writer.to_string()).replace("{n}", &number.to_string());
                    sql(&mut conn, &statement).await;
                    number += 1;
                }
            }));
        }
        Self { names, stop, tasks }
    }

    /// A session that asks for the server's status as fast as it can, as monitors do: MariaDB keeps what it shows in one place
    /// for all sessions.
    async fn monitor(&mut self, flavour: Flavour) {
        let mut conn = connect(flavour).await;
        let stop = Arc::clone(&self.stop);
        self.tasks.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                conn.query_drop("SHOW STATUS LIKE 'binlog_%'").await.expect("the status");
            }
        }));
    }

    async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.expect("a writer");
        }
    }
}

fn column(batch: &ChangeBatch, name: &str) -> Vec<i64> {
    let at = batch.schema.index_of(name).expect("the column");
    batch.columns[at].as_primitive::<Int64Type>().values().to_vec()
}

async fn counters(flavour: Flavour, database: &str) -> Writers {
    let mut conn = fresh_database(flavour, database).await;
    sql(&mut conn, "CREATE TABLE counters (w INT PRIMARY KEY, n BIGINT NOT NULL)").await;
    for writer in 0..WRITERS {
        sql(&mut conn, &format!("INSERT INTO counters VALUES ({writer}, 0)")).await;
    }
    Writers::start(flavour, database, "UPDATE counters SET n = {n} WHERE w = {w}").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_a_low_mark_names_is_in_the_rows() {
    let _durable = DURABLE.lock().await;
    for flavour in BOTH {
        let database = "control_marks";
        let mut conn = connect(flavour).await;
        let back = make_durable(&mut conn).await;
        let mut writers = counters(flavour, database).await;
        writers.monitor(flavour).await;
        let schema = Arc::new(schema(flavour, database, "counters").await);
        let mut reader = reader(flavour).await;
        let chunk = Chunk { number: 0, after: None, up_to: None, by: None };
        let mut seen = Position::default();
        let mut wrong = Vec::new();
        for _ in 0..CHUNKS {
            let rows = read_chunk(&mut reader, &schema, &chunk, &seen).await.expect("rows");
            assert!(rows.low.includes(&seen), "{} does not include {seen}", rows.low);
            assert!(rows.high.includes(&rows.low));
            let counts = column(&rows.batches[0], "n");
            for (names, count) in writers.names.iter().zip(counts) {
                let count = u64::try_from(count).expect("a count");
                if names.is_in(count + 1, &rows.low) {
                    wrong.push(format!("{} is in the mark and not in the rows", names.gtid(count + 1)));
                }
            }
            seen = rows.high;
        }
        let moved = matches!(&seen.gtids, Gtids::MySql(set) if set.intervals().count() > 8)
            || matches!(&seen.gtids, Gtids::MariaDb(list) if list.to_string().split(',').count() > 8);
        assert!(moved, "the writers wrote nothing: {seen}");
        writers.stop().await;
        sql(&mut conn, &back).await;
        assert!(wrong.is_empty(), "{flavour:?}: {} of {CHUNKS} chunks: {}", wrong.len(), wrong[0]);
    }
}

/// What the writers' rows count to, in the writers' order.
async fn counts(conn: &mut Conn, database: &str) -> Vec<u64> {
    conn.query(format!("SELECT n FROM {database}.counters ORDER BY w")).await.expect("the rows")
}

/// The check above can fail: the marks that one would take first name transactions whose rows are not to be seen yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn marks_that_run_ahead_are_caught() {
    let _durable = DURABLE.lock().await;
    for flavour in BOTH {
        let database = "control_unsafe";
        let mut conn = connect(flavour).await;
        let back = make_durable(&mut conn).await;
        let writers = counters(flavour, database).await;
        let wrong = match flavour {
            Flavour::MariaDb => ahead_by_gtids(&mut conn, database, &writers).await,
            Flavour::MySql => ahead_by_offset(&mut conn, database, writers.names.clone()).await,
        };
        writers.stop().await;
        sql(&mut conn, &back).await;
        assert!(wrong, "{flavour:?}: {WRONG_WITHIN} readings were right");
    }
}

/// MariaDB's `@@gtid_binlog_pos` as it is read.
async fn ahead_by_gtids(conn: &mut Conn, database: &str, writers: &Writers) -> bool {
    for _ in 0..WRONG_WITHIN {
        let text: String =
            conn.query_first("SELECT @@GLOBAL.gtid_binlog_pos").await.expect("an answer").expect("a list");
        let gtids = Gtids::MariaDb(text.parse().expect("GTIDs"));
        let mark = Position { gtids, ..Position::default() };
        let counts = counts(conn, database).await;
        if writers.names.iter().zip(counts).any(|(names, count)| names.is_in(count + 1, &mark)) {
            return true;
        }
    }
    false
}

/// MySQL's offset as its status statement shows it; which transactions lie before it is read from the binlog afterwards.
async fn ahead_by_offset(conn: &mut Conn, database: &str, names: Vec<Names>) -> bool {
    // Its name before MySQL 8.2.
    let status = match conn.query_drop("SHOW BINARY LOG STATUS").await {
        Ok(()) => "SHOW BINARY LOG STATUS",
        Err(_) => "SHOW MASTER STATUS",
    };
    let place = |row: mysql_async::Row| -> (String, u64) {
        (row.get(0).expect("a file"), row.get(1).expect("an offset"))
    };
    let (file, begin) = place(conn.query_first(status).await.expect("an answer").expect("a place"));
    let mut readings = Vec::new();
    for _ in 0..WRONG_WITHIN / 2 {
        let mark = place(conn.query_first(status).await.expect("an answer").expect("a place"));
        readings.push((mark, counts(conn, database).await));
    }
    let events: Vec<mysql_async::Row> =
        conn.query(format!("SHOW BINLOG EVENTS IN '{file}' FROM {begin}")).await.expect("the events");
    let mut ends = std::collections::HashMap::new();
    let mut gtid = String::new();
    for event in &events {
        let (kind, end, info): (String, u64, String) =
            (event.get(2).expect("a kind"), event.get(4).expect("an end"), event.get(5).expect("a text"));
        match kind.as_str() {
            "Gtid" => info.split('\'').nth(1).expect("a GTID").clone_into(&mut gtid),
            "Xid" => {
                ends.insert(gtid.clone(), end);
            }
            _ => {}
        }
    }
    let is_ahead = |names: &Names, count: u64, offset: u64| {
        ends.get(&names.gtid(count + 1).to_string()).is_some_and(|end| *end <= offset)
    };
    let in_file = readings.iter().filter(|((at, _), _)| *at == file);
    in_file.into_iter().any(|((_, offset), counts)| {
        names.iter().zip(counts).any(|(names, count)| is_ahead(names, *count, *offset))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunk_waits_for_what_the_stream_had_seen() {
    for flavour in BOTH {
        let database = "control_seen";
        let mut conn = fresh_database(flavour, database).await;
        sql(&mut conn, "CREATE TABLE t (w INT PRIMARY KEY, n BIGINT NOT NULL)").await;
        let schema = Arc::new(schema(flavour, database, "t").await);
        let names = Names::fresh(flavour, &mut conn).await;
        let mut control = control(flavour).await;
        let mut seen = control.position().await.expect("a position");
        // A transaction that the stream has brought and the server does not show yet.
        let early =
            TransactionId { gtid: Some(names.gtid(1)), file: seen.file.as_str().into(), offset: seen.offset };
        seen.advance(&early, seen.offset);
        let mut reader = reader(flavour).await;
        let waits = tokio::spawn(async move {
            let chunk = Chunk { number: 0, after: None, up_to: None, by: None };
            read_chunk(&mut reader, &schema, &chunk, &seen).await
        });
        names.set_next(&mut conn, 1).await;
        sql(&mut conn, "INSERT INTO t VALUES (1, 1)").await;
        let rows = waits.await.expect("a task").expect("rows");
        assert!(names.is_in(1, &rows.low), "{flavour:?}");
        assert_eq!(rows.batches.len(), 1, "{flavour:?}: the row is visible");
    }
}

async fn log_table(flavour: Flavour, database: &str) -> Writers {
    let mut conn = fresh_database(flavour, database).await;
    sql(&mut conn, "CREATE TABLE log (w INT NOT NULL, n BIGINT NOT NULL)").await;
    Writers::start(flavour, database, "INSERT INTO log VALUES ({w}, {n})").await
}

/// The table as an open snapshot shows it: how many rows of each writer, and whether they are the first so many.
async fn read_log(
    reader: &mut SnapshotReader,
    flavour: Flavour,
    database: &str,
    pieces: Option<Pieces<'_>>,
) -> Vec<u64> {
    let schema = Arc::new(schema(flavour, database, "log").await);
    let mut counts = vec![0_u64; usize::try_from(WRITERS).expect("small")];
    let mut highest = counts.clone();
    reader
        .read_exact(&schema, pieces, async |batch: ChangeBatch| {
            for (writer, number) in column(&batch, "w").into_iter().zip(column(&batch, "n")) {
                let writer = usize::try_from(writer).expect("a writer");
                counts[writer] += 1;
                highest[writer] = highest[writer].max(u64::try_from(number).expect("a count"));
            }
            Ok(())
        })
        .await
        .expect("rows");
    assert_eq!(counts, highest, "each writer's rows are there once, without a gap");
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_snapshot_of_a_table_without_a_key_is_that_of_its_mark() {
    for flavour in BOTH {
        let database = "control_exact";
        let writers = log_table(flavour, database).await;
        let schema = schema(flavour, database, "log").await;
        let mut reader = reader(flavour).await;
        for round in 0..50 {
            let mark = reader.open_exact(&schema, &Position::default()).await.expect("a snapshot");
            assert!(mark.exact);
            // Whole, and a few times in pieces, with rows that are alike in the column: the table grows all the while.
            let pieces = match round {
                2 => Some(Pieces { by: "n", rows: 500 }),
                4 => Some(Pieces { by: "w", rows: 5 }),
                _ => None,
            };
            let counts = read_log(&mut reader, flavour, database, pieces).await;
            for (names, count) in writers.names.iter().zip(counts) {
                assert!(
                    count == 0 || names.is_in(count, &mark.position),
                    "{flavour:?}: a row is behind the mark"
                );
                assert!(!names.is_in(count + 1, &mark.position), "{flavour:?}: a row of the mark is missing");
            }
        }
        writers.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_right_to_lock_a_keyless_snapshot_says_that_it_is_not_exact() {
    for (flavour, watermark) in
        [(Flavour::MySql, Watermark::MySqlGtid), (Flavour::MariaDb, Watermark::MariaDb)]
    {
        let database = "control_inexact";
        let writers = log_table(flavour, database).await;
        let mut conn = connect(flavour).await;
        sql(&mut conn, "DROP USER IF EXISTS control_nolock").await;
        sql(&mut conn, "CREATE USER control_nolock IDENTIFIED BY 'control-pass'").await;
        sql(&mut conn, &format!("GRANT SELECT ON {database}.* TO control_nolock")).await;
        sql(&mut conn, "GRANT REPLICATION CLIENT ON *.* TO control_nolock").await;
        let schema = schema(flavour, database, "log").await;
        let control = control(flavour).await;
        let options = options_as(flavour, "control_nolock", "control-pass");
        let mut reader =
            SnapshotReader::connect(&options, control.server(), watermark).await.expect("a reader");
        let mark = reader.open_exact(&schema, &Position::default()).await.expect("a snapshot");
        assert!(!mark.exact, "{flavour:?}");
        let counts = read_log(&mut reader, flavour, database, None).await;
        for (names, count) in writers.names.iter().zip(counts) {
            assert!(!names.is_in(count + 1, &mark.position), "{flavour:?}: a row of the mark is missing");
        }
        writers.stop().await;
    }
}

#[tokio::test]
async fn log_status_gives_places_of_the_binlog() {
    let (flavour, database) = (Flavour::MySql, "control_log_status");
    let mut conn = fresh_database(flavour, database).await;
    sql(&mut conn, "CREATE TABLE t (id INT PRIMARY KEY)").await;
    let schema = Arc::new(schema(flavour, database, "t").await);
    let mut control = control(flavour).await;
    let before = Position { gtids: Gtids::None, ..control.position().await.expect("a position") };
    let mut reader = SnapshotReader::connect(&options(flavour), control.server(), Watermark::MySqlLogStatus)
        .await
        .expect("a reader");
    sql(&mut conn, "INSERT INTO t VALUES (1)").await;
    let chunk = Chunk { number: 0, after: None, up_to: None, by: None };
    let rows = read_chunk(&mut reader, &schema, &chunk, &before).await.expect("rows");
    assert!(rows.low.includes(&before) && rows.low != before && rows.high.includes(&rows.low));
}
