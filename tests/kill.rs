//! Kills the program at random moments, in its snapshot and in its stream, while the source is being written to. In the
//! end source and sink hold the same rows: none lost, none old, and none twice in the table that has no key to hide it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::support::{
    Database, Emulator, Kind, Pipeline, Random, Server, Session, eventually, on_both_servers,
    wait_for_same_rows,
};

on_both_servers!(rows_survive_kills_at_any_moment);

const TABLES: [&str; 3] = ["accounts", "orders", "events"];

/// Kills while tables are being read for the first time, as long as that lasts.
const SNAPSHOT_KILLS: usize = 8;
/// All kills of one run.
const KILLS: usize = 16;
/// A kill comes so many milliseconds after the program's start: before its first request, in its first session, or after
/// a checkpoint or two.
const MOMENT_MS: (u64, u64) = (200, 3000);
/// The same after a checkpoint: anywhere in what follows until the next.
const MOMENT_AFTER_CHECKPOINT_MS: (u64, u64) = (0, 1300);

/// Rows there are before the start.
const FIRST_ACCOUNTS: u64 = 12_000;
const FIRST_ORDERS: u64 = 6_000;
const FIRST_EVENTS: u64 = 3_000;
/// Few rows in a chunk let the snapshot outlast the kills that are meant for it; what is left then comes in large ones.
const CHUNK_SIZE: &str = "scan.incremental.snapshot.chunk.size";
const SMALL_CHUNKS: &str = "4";
const LARGE_CHUNKS: &str = "500";

/// Rows of the snapshot in a second while it is killed, so that a fast machine does not get to its end between two kills, and
/// when it is to end.
const ROWS_PER_SECOND: &str = "scan.snapshot.max-rows-per-second";
const SLOW: &str = "1500";
const FAST: &str = "1000000";

/// How late a commit begins at the sink: a third of the time between two checkpoints.
const COMMIT_DELAY_MS: u64 = 300;

/// Pause between two transactions: fast enough that every moment has some on their way, slow enough that the program
/// catches up between two kills on two shared cores.
const WRITER_PAUSE_MS: (u64, u64) = (1, 8);

fn rows_survive_kills_at_any_moment(kind: Kind) {
    let mut random = Random::of_this_run(&format!("kills on {kind:?}"));
    // Its own: a snapshot of MariaDB takes the longer the more others have written into the binlog.
    let server = Server::private(kind, &[]);
    // On MySQL this is what makes the snapshot of a table without a key exact.
    server.sql(&format!("GRANT LOCK TABLES ON *.* TO {}@'%'", Server::USER));
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    slow_commits(&emulator);
    fill(&source);
    let pipeline =
        Pipeline::new(&source, &emulator).source(CHUNK_SIZE, SMALL_CHUNKS).source(ROWS_PER_SECOND, SLOW);
    let writer = Writer::default();
    let pipeline = std::thread::scope(|threads| {
        let writing = random.branch();
        threads.spawn(|| writer.run(&source, writing));
        let _stop = StopWithScope(&writer);
        kill_again_and_again(pipeline, &mut random)
    });
    assert!(writer.transactions.load(Ordering::Relaxed) > 500, "the writer has hardly written");

    let mut program = pipeline.start();
    for table in TABLES {
        wait_for_same_rows(&source, table, &sink, table);
    }
    program.assert_running();
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}

/// Commits come late, so that some kills fall between *flushed* and *committed*.
fn slow_commits(emulator: &Emulator) {
    for session in ["upsertid=", "uploadid="] {
        emulator.fault(&serde_json::json!({ "method": "POST", "query": session, "delay-ms": COMMIT_DELAY_MS, "times": 0 }));
    }
}

/// The kills; what each of them hit is printed with a failure.
fn kill_again_and_again(pipeline: Pipeline, random: &mut Random) -> Pipeline {
    let is_read = |hit: &Hit| hit.tables_done == TABLES.len();
    let mut kills = Vec::new();
    while kills.len() < SNAPSHOT_KILLS && !kills.last().is_some_and(is_read) {
        kills.push(kill_at(&pipeline, random, kills.last()));
    }
    let pipeline = pipeline.source(CHUNK_SIZE, LARGE_CHUNKS).source(ROWS_PER_SECOND, FAST);
    // Killed in the moment that the snapshot ends.
    let mut program = pipeline.start();
    let end = eventually("the snapshot is done", || {
        program.assert_running();
        Some(Hit::look(&pipeline)).filter(is_read).ok_or_else(|| pipeline.status()["tables"].to_string())
    });
    program.kill();
    kills.push(end);
    while kills.len() < KILLS {
        kills.push(kill_at(&pipeline, random, kills.last()));
    }
    let in_snapshot = kills.iter().filter(|hit| !is_read(hit)).count();
    assert!(
        in_snapshot >= SNAPSHOT_KILLS / 2,
        "the snapshot was over after {in_snapshot} kills: it needs more rows"
    );
    assert!(
        kills.iter().any(|hit| !is_read(hit) && hit.chunks > 0),
        "no kill hit a snapshot that was half read"
    );
    pipeline
}

/// Runs the program up to a random moment: after its start, or, every second time, after its first checkpoint, so that each
/// second run goes on from another place than the last.
#[expect(clippy::print_stderr, reason = "the test harness shows it with the failure")]
fn kill_at(pipeline: &Pipeline, random: &mut Random, last: Option<&Hit>) -> Hit {
    let mut program = pipeline.start();
    let (first, after) = (last.map_or(0, |hit| hit.epoch), last.is_some_and(|hit| !hit.after_checkpoint));
    if after {
        eventually("a checkpoint", || {
            program.assert_running();
            let epoch = Hit::look(pipeline).epoch;
            if epoch > first { Ok(()) } else { Err(format!("epoch {epoch}")) }
        });
    }
    let (from, to) = if after { MOMENT_AFTER_CHECKPOINT_MS } else { MOMENT_MS };
    let moment = random.millis(from, to);
    // Not a wait for a state: the moment is what is random.
    std::thread::sleep(moment);
    program.assert_running();
    program.kill();
    let hit = Hit { after_checkpoint: after, ..Hit::look(pipeline) };
    let since = if after { "a checkpoint" } else { "the start" };
    eprintln!("killed {} ms after {since}: {hit:?}", moment.as_millis());
    hit
}

/// What the state holds after a kill.
#[derive(Debug)]
// Some of it is only printed.
#[allow(dead_code)]
struct Hit {
    /// Tables whose snapshot is committed whole.
    tables_done: usize,
    /// Chunks of the snapshot that are committed.
    chunks: u64,
    /// Sessions that were open.
    open: usize,
    /// Sessions whose rows were all at the sink, and whose commit was not known to have happened.
    flushed: usize,
    /// The last checkpoint's number; 0 before the first.
    epoch: u64,
    /// Whether the kill came after a checkpoint of its run.
    after_checkpoint: bool,
}

impl Hit {
    #[track_caller]
    fn look(pipeline: &Pipeline) -> Self {
        let status = pipeline.status();
        let list = |name: &str| status[name].as_array().cloned().unwrap_or_default();
        let sessions =
            |state: &str| list("sessions").iter().filter(|session| session["state"] == state).count();
        Self {
            tables_done: list("tables").iter().filter(|table| table["snapshot"] == "done").count(),
            chunks: list("tables").iter().filter_map(|table| table["chunks_delivered"].as_u64()).sum(),
            open: sessions("open"),
            flushed: sessions("flushed"),
            epoch: status["epoch"].as_u64().unwrap_or(0),
            after_checkpoint: false,
        }
    }
}

fn fill(source: &Database<'_>) {
    source.sql(
        "CREATE TABLE accounts (id BIGINT NOT NULL PRIMARY KEY, name VARCHAR(40) NOT NULL, balance DECIMAL(12,2) NOT NULL, note TEXT);
         CREATE TABLE orders (region CHAR(2) NOT NULL, no BIGINT NOT NULL, status ENUM('new','paid','sent') NOT NULL, amount DOUBLE,
             changed TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), PRIMARY KEY (region, no));
         CREATE TABLE events (at INT NOT NULL, kind TINYINT NOT NULL, payload VARCHAR(60))",
    );
    let insert = |table: &str, rows: Vec<String>| {
        for part in rows.chunks(1000) {
            source.sql(&format!("INSERT INTO {table} VALUES {}", part.join(", ")));
        }
    };
    insert("accounts", (0..FIRST_ACCOUNTS).map(|id| format!("({id}, 'name {id}', {id}.25, NULL)")).collect());
    let order =
        |no: u64| format!("('{}', {no}, 'new', {no}.5, NOW(6))", REGIONS[usize::from(no.is_multiple_of(2))]);
    insert("orders", (0..FIRST_ORDERS).map(order).collect());
    insert("events", (0..FIRST_EVENTS).map(|at| format!("({}, 1, 'first')", at / 3)).collect());
}

const FIRST_COLUMNS: &str = "id, name, balance, note";
const REGIONS: [&str; 3] = ["eu", "us", "cn"];

/// Writes until it is told to stop.
#[derive(Default)]
struct Writer {
    is_over: AtomicBool,
    transactions: AtomicU64,
}

/// Stops the writer when the scope is left, also by a panic, for which the scope would wait otherwise.
struct StopWithScope<'w>(&'w Writer);

impl Drop for StopWithScope<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

impl Writer {
    fn run(&self, source: &Database<'_>, mut random: Random) {
        let mut session = source.session();
        let mut next = FIRST_ACCOUNTS;
        while !self.is_over.load(Ordering::Relaxed) {
            transaction(&mut session, &mut random, &mut next);
            let done = self.transactions.fetch_add(1, Ordering::Relaxed) + 1;
            if done.is_multiple_of(TRANSACTIONS_A_COLUMN) {
                let column = done / TRANSACTIONS_A_COLUMN;
                session.sql(&format!("ALTER TABLE accounts ADD COLUMN extra_{column} INT NULL"));
                session.sql(&format!("UPDATE accounts SET extra_{column} = id WHERE id % 50 = {column}"));
            }
            std::thread::sleep(random.millis(WRITER_PAUSE_MS.0, WRITER_PAUSE_MS.1));
        }
    }
}

/// Once in so many transactions a table gets one more column.
const TRANSACTIONS_A_COLUMN: u64 = 700;

/// One to six changes; one transaction in ten is rolled back.
fn transaction(session: &mut Session, random: &mut Random, next: &mut u64) {
    let mut statements = vec!["BEGIN".to_owned()];
    for _ in 0..random.between(1, 7) {
        statements.extend(change(random, next));
    }
    statements.push(if random.below(10) == 0 { "ROLLBACK" } else { "COMMIT" }.to_owned());
    session.sql(&statements.join("; "));
}

/// One change. Keys come back: what is deleted is inserted again, and rows move to keys that others have left.
fn change(random: &mut Random, next: &mut u64) -> Vec<String> {
    let id = random.below(*next);
    let number = random.below(1_000_000);
    let region = *random.one_of(&REGIONS);
    let order = random.below(FIRST_ORDERS + 500);
    match random.below(12) {
        0 | 1 => {
            *next += 1;
            vec![format!(
                "INSERT INTO accounts ({FIRST_COLUMNS}) VALUES ({}, 'name {number}', {number}.5, 'new')",
                *next - 1
            )]
        }
        2 => vec![format!(
            "UPDATE accounts SET balance = balance + 1.5, note = 'touched {number}' WHERE id = {id}"
        )],
        3 => vec![format!("UPDATE accounts SET balance = balance - 1 WHERE id BETWEEN {id} AND {}", id + 15)],
        4 => vec![format!("DELETE FROM accounts WHERE id = {id}")],
        5 => vec![
            format!("DELETE FROM accounts WHERE id = {id}"),
            format!(
                "INSERT INTO accounts ({FIRST_COLUMNS}) VALUES ({id}, 'again', {number}, REPEAT('é', {}))",
                random.below(400)
            ),
        ],
        6 => {
            *next += 1;
            vec![format!("UPDATE accounts SET id = {} WHERE id = {id}", *next - 1)]
        }
        7 => vec![format!(
            "REPLACE INTO orders (region, no, status, amount) VALUES ('{region}', {order}, 'paid', {number}.25)"
        )],
        8 => vec![format!("UPDATE orders SET status = 'sent', amount = NULL WHERE no = {order}")],
        9 => vec![format!(
            "DELETE FROM orders WHERE region = '{region}' AND no BETWEEN {order} AND {}",
            order + 2
        )],
        10 => vec![format!("UPDATE IGNORE orders SET region = '{region}' WHERE no = {order}")],
        _ => {
            let row = format!("({}, 2, 'event {}')", number % 100, number % 7);
            // The same row several times: only their number tells whether one came twice.
            vec![format!(
                "INSERT INTO events VALUES {}",
                vec![row; 1 + usize::from(number.is_multiple_of(3))].join(", ")
            )]
        }
    }
}
