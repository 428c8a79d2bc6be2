//! XA transactions of two phases: their rows count where they are committed, once, whatever happens between the phases.

use crate::support::{
    Database, Emulator, Kind, Pipeline, Server, Sink, Sluicebox, eventually, on_both_servers,
    wait_for_same_rows,
};

on_both_servers!(rows_count_with_their_commit, rows_count_once_whatever_happens_between_the_phases);

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
    // Twelve megabytes: more than is kept.
    let large = |first: u32| {
        let rows: Vec<String> =
            (first..first + 6).map(|id| format!("({id}, {id}, REPEAT('large', 400000))")).collect();
        let inserts: Vec<String> = rows.iter().map(|row| format!("INSERT INTO big VALUES {row}")).collect();
        format!("{}; INSERT INTO log VALUES ({first})", inserts.join("; "))
    };
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
