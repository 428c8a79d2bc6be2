//! A table with a key, read in chunks, and one without, read whole, while eight sessions write to them as fast as commits are durable:
//! every row arrives as the source has it last, and once. Which marks make that so differs by server and settings, so each of them is
//! tried. That the marks which one would take first are caught by such writers is shown beside the reader (`marks_that_run_ahead_are_caught`).

use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{Emulator, Kind, Pipeline, Random, Server, wait_for_same_rows};

const DURABLE: [&str; 2] = ["--sync-binlog=1", "--innodb-flush-log-at-trx-commit=1"];
const WITHOUT_GTIDS: [&str; 2] = ["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"];
const ROWS: u64 = 3_000;

#[test]
fn mysql_by_gtids() {
    race(Kind::MySql, &[], &[]);
}

#[test]
fn mysql_by_log_status() {
    let grants = ["BACKUP_ADMIN ON *.*", "SELECT ON performance_schema.log_status"];
    race(Kind::MySql, &WITHOUT_GTIDS, &grants);
}

#[test]
fn mysql_by_locks_of_a_moment() {
    race(Kind::MySql, &WITHOUT_GTIDS, &[]);
}

#[test]
fn mariadb() {
    race(Kind::MariaDb, &[], &[]);
}

fn race(kind: Kind, options: &[&str], grants: &[&str]) {
    let options: Vec<&str> = DURABLE.iter().chain(options).copied().collect();
    let server = Server::private(kind, &options);
    for grant in grants.iter().chain(&["LOCK TABLES ON *.*"]) {
        server.sql(&format!("GRANT {grant} TO {}@'%'", Server::USER));
    }
    let (source, emulator) = (server.database(), Emulator::start());
    let rows: Vec<String> = (0..ROWS).map(|n| format!("({n}, 0)")).collect();
    source.sql(&format!(
        "CREATE TABLE t (id INT PRIMARY KEY, v BIGINT NOT NULL); CREATE TABLE events (id INT, v BIGINT); INSERT INTO t VALUES {}",
        rows.join(", ")
    ));
    let pipeline = Pipeline::new(&source, &emulator)
        .source("scan.incremental.snapshot.chunk.size", "50")
        // Slow enough that each chunk is read in the middle of it.
        .source("scan.snapshot.max-rows-per-second", "1000");
    let mut random = Random::of_this_run("race");
    let ended = AtomicBool::new(false);
    let mut program = std::thread::scope(|scope| {
        let end = Ending(&ended);
        for writer in 0..8 {
            let (source, ended, mut random) = (&source, &ended, random.branch());
            scope.spawn(move || {
                let mut session = source.session();
                let mut n = 0_u64;
                while !ended.load(Ordering::Relaxed) {
                    n += 1;
                    session.sql(&statement(&mut random, n * 8 + writer));
                }
            });
        }
        let mut program = pipeline.start();
        program.wait_for_line("snapshot read, streaming");
        drop(end);
        program
    });
    for table in ["t", "events"] {
        wait_for_same_rows(&source, table, &emulator.sink(), table);
    }
    program.assert_running();
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}

/// A change of one row, or of its key, which the writers may take from each other.
fn statement(random: &mut Random, v: u64) -> String {
    let id = random.below(ROWS * 2);
    match random.below(10) {
        0..5 => format!("UPDATE t SET v = {v} WHERE id = {id}"),
        5..7 => format!("INSERT INTO t VALUES ({id}, {v}) ON DUPLICATE KEY UPDATE v = {v}"),
        7 => format!("DELETE FROM t WHERE id = {id}"),
        8 => format!("INSERT INTO events VALUES ({id}, {v})"),
        _ => format!("UPDATE IGNORE t SET id = {}, v = {v} WHERE id = {id}", random.below(ROWS * 2)),
    }
}

/// Ends the writers, also when a test fails: the scope waits for them.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
