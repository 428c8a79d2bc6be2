//! XA transactions of two phases: their rows count where they are committed, once, whatever happens between the phases.

use crate::support::{
    Database, Emulator, Kind, Pipeline, Server, Sink, Sluicebox, eventually, on_both_servers,
    wait_for_same_rows,
};

on_both_servers!(
    rows_count_with_their_commit,
    rows_count_once_whatever_happens_between_the_phases,
    rows_count_with_their_commit_on_another_server,
);

/// Prepares a transaction; its connection ends, as another one can only commit it then.
fn prepare(source: &Database<'_>, name: &str, statements: &str) {
    let mut session = source.session();
    let id = session.rows("SELECT CONNECTION_ID()")[0][0].clone().expect("a number");
    session.sql(&format!("XA START '{name}'; {statements}; XA END '{name}'; XA PREPARE '{name}'"));
    drop(session);
    let asked = format!("SELECT COUNT(*) FROM information_schema.processlist WHERE id = {id}");
    eventually("its connection has ended", || match source.rows(&asked)[0][0].as_deref() {
        Some("0") => Ok(()),
        _ => Err("it is still there".to_owned()),
    });
}

fn tables(source: &Database<'_>) {
    source.sql(
        "CREATE TABLE t (id INT PRIMARY KEY, v INT, s LONGTEXT); INSERT INTO t VALUES (1, 1, 'x'), (2, 2, 'x');
         CREATE TABLE log (v INT); CREATE TABLE big (id INT PRIMARY KEY, v INT, s LONGTEXT)",
    );
}

/// Rows for `big`, twelve megabytes of them: more than is kept.
fn large(first: u32) -> String {
    let rows: Vec<String> =
        (first..first + 6).map(|id| format!("({id}, {id}, REPEAT('large', 400000))")).collect();
    let inserts: Vec<String> = rows.iter().map(|row| format!("INSERT INTO big VALUES {row}")).collect();
    format!("{}; INSERT INTO log VALUES ({first})", inserts.join("; "))
}

fn rows_count_with_their_commit(kind: Kind) {
    let server = Server::shared(kind);
    let (source, other, emulator) = (server.database(), server.database(), Emulator::start());
    let sink = emulator.sink();
    tables(&source);
    other.sql("CREATE TABLE foreign_one (id INT PRIMARY KEY)");
    let name = |name: &str| format!("{}-{name}", source.name());
    let pipeline = Pipeline::new(&source, &emulator);
    let mut program = pipeline.start();
    wait_for_same_rows(&source, "t", &sink, "t");
    source.sql("INSERT INTO log VALUES (1)");
    prepare(
        &source,
        &name("taken"),
        "INSERT INTO t VALUES (3, 3, 'three'); DELETE FROM t WHERE id = 2; INSERT INTO log VALUES (2)",
    );
    prepare(&source, &name("left"), "INSERT INTO t VALUES (4, 4, 'four'); INSERT INTO log VALUES (3)");
    prepare(&source, &name("foreign"), &format!("INSERT INTO {}.foreign_one VALUES (1)", other.name()));
    source.sql("UPDATE t SET v = 10 WHERE id = 1; INSERT INTO log VALUES (4)");
    sink.wait_for_rows("SELECT id, v FROM t", &[&["1", "10"], &["2", "2"]]);
    sink.wait_for_rows("SELECT v FROM log", &[&["1"], &["4"]]);
    source.sql(&format!(
        "XA COMMIT '{}'; XA ROLLBACK '{}'; XA COMMIT '{}'",
        name("taken"),
        name("left"),
        name("foreign")
    ));
    source.session().sql(&format!(
        "XA START '{0}'; UPDATE t SET v = v + 1; INSERT INTO log VALUES (5); XA END '{0}'; XA COMMIT '{0}' ONE PHASE",
        name("one")
    ));
    wait_for_same_rows(&source, "t", &sink, "t");
    wait_for_same_rows(&source, "log", &sink, "log");
    program.assert_running();
}

/// Rows that fit into memory, and rows that do not, over a kill of the program, an end of the binlog file, and a restart of
/// the server.
fn rows_count_once_whatever_happens_between_the_phases(kind: Kind) {
    let server = Server::private(kind, &[]);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    tables(&source);
    source.sql("INSERT INTO log VALUES (1)");
    let pipeline = Pipeline::new(&source, &emulator);
    let mut program = pipeline.start();
    wait_for_same_rows(&source, "t", &sink, "t");
    prepare(&source, "small", "INSERT INTO t VALUES (3, 3, 'three'); INSERT INTO log VALUES (2)");
    prepare(&source, "gone", "INSERT INTO t VALUES (5, 5, 'five'); INSERT INTO log VALUES (3)");
    prepare(&source, "large", &large(100));
    program = behind(&source, &pipeline, program, &sink, 30);
    // Another process knows nothing of them, and their file has ended.
    program.kill();
    source.sql("FLUSH BINARY LOGS");
    let mut program = pipeline.start();
    source.sql("INSERT INTO log VALUES (31)");
    sink.wait_for_rows("SELECT v FROM log", &[&["1"], &["30"], &["31"]]);
    server.restart();
    source.sql("XA COMMIT 'small'; XA ROLLBACK 'gone'; INSERT INTO log VALUES (32); XA COMMIT 'large'");
    for table in ["t", "log", "big"] {
        wait_for_same_rows(&source, table, &sink, table);
    }
    program.assert_running();
    // Read again by the process that saw them, and sent on by one that was killed on the way.
    prepare(&source, "again", &large(200));
    source.sql("XA COMMIT 'again'; INSERT INTO log VALUES (33)");
    program.kill();
    let mut program = pipeline.start();
    for table in ["t", "log", "big"] {
        wait_for_same_rows(&source, table, &sink, table);
    }
    program.assert_running();
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}

/// Prepared on a server that dies, committed on the one that takes over: there the rows stand in other files at other places.
fn rows_count_with_their_commit_on_another_server(kind: Kind) {
    let own: &[&str] = match kind {
        Kind::MySql => &["--log-replica-updates=ON"],
        Kind::MariaDb => &["--log-slave-updates=ON"],
    };
    let (first, second) = (Server::private(kind, own), Server::private(kind, own));
    // Its files have other numbers, and as many transactions before.
    second.sql("CREATE DATABASE own; FLUSH BINARY LOGS");
    second.follow(&first);
    let (source, emulator) = (first.database(), Emulator::start());
    let sink = emulator.sink();
    tables(&source);
    let both = format!("'{}:{},{}:{}'", first.host(), first.port(), second.host(), second.port());
    let pipeline = Pipeline::new(&source, &emulator).source("hostname", &both);
    let mut program = pipeline.start();
    wait_for_same_rows(&source, "t", &sink, "t");
    source.sql("INSERT INTO log VALUES (1)");
    prepare(
        &source,
        "small",
        "INSERT INTO t VALUES (3, 3, 'three'); DELETE FROM t WHERE id = 2; INSERT INTO log VALUES (2)",
    );
    prepare(&source, "gone", "INSERT INTO t VALUES (5, 5, 'five'); INSERT INTO log VALUES (3)");
    prepare(&source, "large", &large(100));
    program = behind(&source, &pipeline, program, &sink, 30);
    let other = second.replicated(&source);
    eventually("the second server has it", || {
        let mut session = second.session();
        let asked = format!("SELECT v FROM {}.log WHERE v = 30", source.name());
        session.try_sql(&asked).map_err(|error| error.to_string())?;
        let prepared = session.rows("XA RECOVER").len();
        match (session.rows(&asked).len(), prepared) {
            (1, 3) => Ok(()),
            found => Err(format!("{found:?}")),
        }
    });
    first.kill();
    second.sql(if kind == Kind::MySql { "STOP REPLICA" } else { "STOP SLAVE" });
    other.sql("FLUSH BINARY LOGS; XA COMMIT 'small'; XA ROLLBACK 'gone'; INSERT INTO log VALUES (31); XA COMMIT 'large'");
    for table in ["t", "log", "big"] {
        wait_for_same_rows(&other, table, &sink, table);
    }
    program.assert_running();
}

/// All events of the group stand in one that is compressed, the one that names it too.
#[test]
fn rows_count_with_their_commit_where_transactions_are_compressed() {
    let server = Server::private(Kind::MySql, &["--binlog-transaction-compression=ON"]);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    tables(&source);
    // What comes by itself is no help to rows that wait for something behind them.
    let pipeline = Pipeline::new(&source, &emulator).source("heartbeat.interval", "10min");
    let mut program = pipeline.start();
    wait_for_same_rows(&source, "t", &sink, "t");
    source.sql("INSERT INTO log VALUES (1)");
    let small = |id: u32| {
        format!("INSERT INTO t VALUES ({id}, {id}, REPEAT('small', 400)); INSERT INTO log VALUES ({id})")
    };
    // From memory, and read again.
    prepare(&source, "held", &small(3));
    prepare(&source, "read", &large(100));
    prepare(&source, "gone", &small(4));
    source.sql("XA COMMIT 'held'; XA ROLLBACK 'gone'; XA COMMIT 'read'");
    source.session().sql(&format!("XA START 'one'; {}; XA END 'one'; XA COMMIT 'one' ONE PHASE", small(5)));
    for table in ["t", "log", "big"] {
        wait_for_same_rows(&source, table, &sink, table);
    }
    // By a process that does not know where they stand.
    prepare(&source, "other", &small(6));
    prepare(&source, "sought", &large(200));
    let rows = source.rows("SELECT v FROM log ORDER BY v");
    let rows: Vec<&str> = rows.iter().filter_map(|row| row[0].as_deref()).collect();
    source.sql("INSERT INTO log VALUES (300)");
    let seen: Vec<&[&str]> = rows.iter().map(std::slice::from_ref).chain([&["300"][..]]).collect();
    sink.wait_for_rows("SELECT v FROM log ORDER BY v", &seen);
    program = again(&pipeline, program);
    source.sql("FLUSH BINARY LOGS; XA COMMIT 'sought'; XA COMMIT 'other'");
    for table in ["t", "log", "big"] {
        wait_for_same_rows(&source, table, &sink, table);
    }
    program.assert_running();
    let events = source.rows("SHOW BINLOG EVENTS");
    let is = |event: &[Option<String>], kind: &str| event[2].as_deref() == Some(kind);
    let packed = events.split(|event| is(event, "Gtid")).filter(|group| is(&group[0], "Transaction_payload"));
    let prepared = packed.filter(|group| group.last().is_some_and(|event| is(event, "XA_prepare"))).count();
    assert_eq!(prepared, 6, "{events:?}");
}

/// Ends the program once a checkpoint lies behind what it wrote, and starts another.
fn again(pipeline: &Pipeline, mut program: Sluicebox) -> Sluicebox {
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    pipeline.start()
}

/// Waits until a checkpoint lies behind what was written so far.
fn behind(
    source: &Database<'_>,
    pipeline: &Pipeline,
    mut program: Sluicebox,
    sink: &Sink,
    number: u32,
) -> Sluicebox {
    let epoch = |pipeline: &Pipeline| pipeline.status()["epoch"].as_u64().unwrap_or(0);
    let before = epoch(pipeline);
    source.sql(&format!("INSERT INTO log VALUES ({number})"));
    sink.wait_for_rows("SELECT v FROM log", &[&["1"], &[&number.to_string()]]);
    eventually("a checkpoint", || {
        (epoch(pipeline) > before).then_some(()).ok_or_else(|| pipeline.status().to_string())
    });
    program.assert_running();
    program
}
