//! Reloads again and again under load, with kills: no row is lost or comes twice, and each went through the version that its position
//! decides. Which one that is, the test computes from the records that the pipeline keeps.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::Value;

use super::{
    StopWithScope, ask, digest, insert, pipeline, put, stamped, version, version_of, wait_for_few_instances,
};
use crate::support::{Emulator, Kind, Pipeline, Random, Server, Sluicebox, eventually, on_both_servers};

on_both_servers!(each_row_goes_through_the_version_of_its_place);

/// Reloads of one run in CI; as many as are wanted when somebody says so (docs/plugins.md has what came of 1,000).
const RELOADS: &str = "SLUICEBOX_TEST_RELOADS";
const FEW_RELOADS: u64 = 200;
/// A kill comes after so many reloads.
const RELOADS_A_KILL: (u64, u64) = (5, 20);
/// And so many milliseconds after the next one was asked for: before it, in it, or behind it.
const MOMENT_MS: (u64, u64) = (0, 150);

fn each_row_goes_through_the_version_of_its_place(kind: Kind) {
    let mut random = Random::of_this_run(&format!("reloads on {kind:?}"));
    let reloads = std::env::var(RELOADS).map_or(FEW_RELOADS, |text| text.parse().expect("a number"));
    // Its own, so that each transaction of the server is one of ours.
    let server = Server::private(kind, &[]);
    let (source, emulator) = (server.database(), Emulator::start());
    let pipeline = pipeline(&source, &emulator, "");
    put(&pipeline, &version(0, 0));
    let mut program = pipeline.start_and_wait();
    eventually("a checkpoint", || match pipeline.status()["epoch"].as_u64() {
        Some(1..) => Ok(()),
        epoch => Err(format!("{epoch:?}")),
    });
    let first = transactions(&place_now(&server, kind));
    let (written, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let counts = std::thread::scope(|threads| {
        threads.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let id = written.load(Ordering::Relaxed) + 1;
                let old = id.saturating_sub(40).max(1);
                source.sql(&format!(
                    "BEGIN; INSERT INTO orders VALUES ({id}, {id}); INSERT INTO events VALUES ({id}, {id}); UPDATE orders SET n = {id} WHERE id = {old}; COMMIT"
                ));
                written.store(id, Ordering::Relaxed);
            }
        });
        let _stop = StopWithScope(&stop);
        reload_and_kill(&pipeline, &mut program, &mut random, reloads)
    });
    let last = written.load(Ordering::Relaxed);
    for table in ["orders", "events"] {
        version_of(&emulator, table, last);
    }
    let history = History::of(&pipeline, reloads, first);
    check_rows(&emulator, &history, last);
    report(&history, &counts, reloads, last);
    wait_for_few_instances(&pipeline);
    eventually("copies of old versions are gone", || {
        let files = |folder: &str| {
            std::fs::read_dir(pipeline.folder().join(state_folder(&pipeline)).join(folder))
                .map_or(0, Iterator::count)
        };
        match (files("plugins"), files("compiled")) {
            (1..=2, 1..=2) => Ok(()),
            found => Err(format!("{found:?} files")),
        }
    });
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}

/// The folder of the state beside the pipeline file.
fn state_folder(pipeline: &Pipeline) -> PathBuf {
    let found = std::fs::read_dir(pipeline.folder()).expect("a folder").flatten().map(|entry| entry.path());
    let has_state = |path: &PathBuf| path.join("state.sqlite").exists();
    let nested = |path: PathBuf| {
        let inner = std::fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path());
        std::iter::once(path).chain(inner).collect::<Vec<_>>()
    };
    found.flat_map(nested).find(has_state).expect("a state")
}

/// What happened to the reloads that were asked for.
#[derive(Debug, Default)]
struct Counts {
    switched: u64,
    kills: u64,
    /// Asked for when the program was killed.
    cut_off: u64,
}

fn reload_and_kill(
    pipeline: &Pipeline,
    program: &mut Sluicebox,
    random: &mut Random,
    reloads: u64,
) -> Counts {
    let mut counts = Counts::default();
    let mut until_kill = random.between(RELOADS_A_KILL.0, RELOADS_A_KILL.1);
    for number in 1..=reloads {
        put(pipeline, &version(number, 0));
        let kill = until_kill == 0 && number < reloads;
        let moment = random.millis(MOMENT_MS.0, MOMENT_MS.1);
        let output = std::thread::scope(|threads| {
            let asked = threads.spawn(|| ask(pipeline, "reload", &[]).0);
            if kill {
                // Not a wait for a state: the moment is what is random.
                std::thread::sleep(moment);
                program.kill();
            }
            asked.join().expect("a command")
        });
        match (output.code, kill) {
            (Some(0), _) => counts.switched += 1,
            (_, true) => counts.cut_off += 1,
            (_, false) => panic!("reload {number}: {output:?}\n{}", program.printed()),
        }
        until_kill = until_kill.saturating_sub(1);
        if kill {
            counts.kills += 1;
            until_kill = random.between(RELOADS_A_KILL.0, RELOADS_A_KILL.1);
            *program = pipeline.start_and_wait();
        }
    }
    counts
}

/// More records than any run here writes; reaching it is a failure.
const MOST_RECORDS: u64 = 60;

/// Each run switches to a version that makes a further column, and crashes at another record of its state: in the switch, in the
/// change of the sink tables that follows, in the checkpoint behind it.
#[test]
fn no_record_around_a_switch_is_a_bad_moment() {
    let server = Server::private(Kind::MySql, &[]);
    let (source, emulator) = (server.database(), Emulator::start());
    let pipeline = pipeline(&source, &emulator, "");
    let first_version = version(0, 6);
    put(&pipeline, &first_version);
    let mut program = pipeline.start_and_wait();
    eventually("a checkpoint", || match pipeline.status()["epoch"].as_u64() {
        Some(1..) => Ok(()),
        epoch => Err(format!("{epoch:?}")),
    });
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    let first = transactions(&place_now(&server, Kind::MySql));
    let mut digests = HashMap::from([(digest(&first_version), 0)]);
    let (mut round, mut last) = (0, 0);
    for side in ["before", "after"] {
        for record in 1.. {
            assert!(record < MOST_RECORDS, "a run has no end of records");
            round += 1;
            let mut program = pipeline.start_to_crash(&format!("{side}:{record}"));
            insert(&source, last + 1);
            let bytes = version(round, 6);
            digests.insert(digest(&bytes), round);
            let crashed = switch_or_crash(&pipeline, &mut program, &bytes);
            insert(&source, last + 2);
            last += 2;
            let crashed = crashed || comes_or_crashes(&emulator, &mut program, last);
            // The last records are those of the stop.
            let crashed = crashed || stops_or_crashes(&mut program);
            if crashed {
                program = pipeline.start_and_wait();
                assert!(!comes_or_crashes(&emulator, &mut program, last), "{}", program.printed());
                assert!(!stops_or_crashes(&mut program), "{}", program.printed());
            }
            check_appended(&emulator, &History::read(&pipeline, &digests, first), last);
            if !crashed {
                assert!(
                    record > 8,
                    "{side}: a switch, a change of two tables and a checkpoint are more than {record} records"
                );
                break;
            }
        }
    }
}

/// Asks for a reload, once the program listens; whether it crashed before it was done.
fn switch_or_crash(pipeline: &Pipeline, program: &mut Sluicebox, bytes: &[u8]) -> bool {
    let listens = eventually("the pipeline runs", || match program.ended() {
        Some(_) => Ok(false),
        None if program.printed().contains("pipeline running") => Ok(true),
        None => Err(program.printed()),
    });
    put(pipeline, bytes);
    if !listens {
        return true;
    }
    let (output, _) = ask(pipeline, "reload", &[]);
    if output.code == Some(0) {
        return false;
    }
    program.wait();
    true
}

/// Tells the program to stop; whether it crashed instead.
fn stops_or_crashes(program: &mut Sluicebox) -> bool {
    match program.stop() {
        Some(0) => false,
        None => true,
        Some(code) => panic!("exit code {code}:\n{}", program.printed()),
    }
}

/// Waits until a row has come; whether the program crashed before.
fn comes_or_crashes(emulator: &Emulator, program: &mut Sluicebox, id: u64) -> bool {
    let query = format!("SELECT id FROM events WHERE id = {id}");
    eventually(&query, || {
        if program.ended().is_some() {
            return Ok(true);
        }
        let rows = emulator.sink().try_execute(&query).map_err(|error| error.to_string())?.rows;
        if rows.is_empty() { Err(program.printed()) } else { Ok(false) }
    })
}

/// What `plugin history` tells: from which transaction on which version counts, for each sink table.
struct History(Vec<Record>);

struct Record {
    version: u64,
    behind: u64,
    ahead: serde_json::Map<String, Value>,
    first: u64,
}

impl History {
    /// `first`: transactions of the server before the first row.
    fn of(pipeline: &Pipeline, versions: u64, first: u64) -> Self {
        let digests = (0..=versions).map(|number| (digest(&version(number, 0)), number)).collect();
        Self::read(pipeline, &digests, first)
    }

    fn read(pipeline: &Pipeline, digests: &HashMap<String, u64>, first: u64) -> Self {
        let (output, history) = ask(pipeline, "history", &[]);
        assert_eq!(output.code, Some(0), "{output:?}");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let record = |record: &Value| Record {
            version: digests[&text(&record["sha256"])],
            behind: transactions(&text(&record["position"])).saturating_sub(first),
            ahead: record["ahead"].as_object().expect("a map").clone(),
            first,
        };
        Self(history.as_array().expect("a list").iter().map(record).collect())
    }

    /// The version that a transaction's rows went through on their way to a table: of the records before it, the last one.
    fn version(&self, table: &str, transaction: u64) -> u64 {
        let place = |record: &Record| match record.ahead.get(table) {
            Some(place) => transactions(place.as_str().expect("a text")).saturating_sub(record.first),
            None => record.behind,
        };
        let found = self.0.iter().rev().find(|record| place(record) < transaction);
        found.unwrap_or(&self.0[0]).version
    }
}

/// How many transactions of the server's a position holds: the last number in `(uuid:1-57)` and in `(0-1-57)`.
fn transactions(position: &str) -> u64 {
    let digits = position.trim_end_matches(')').rsplit(|c: char| !c.is_ascii_digit()).next();
    digits
        .and_then(|digits| digits.parse().ok())
        .unwrap_or_else(|| panic!("no number at the end of {position}"))
}

/// The server's position now, as the program writes it.
fn place_now(server: &Server, kind: Kind) -> String {
    let query = match kind {
        Kind::MySql => "SELECT @@GLOBAL.gtid_executed",
        Kind::MariaDb => "SELECT @@GLOBAL.gtid_current_pos",
    };
    server.rows(query)[0][0].clone().expect("a position")
}

fn check_appended(emulator: &Emulator, history: &History, last: u64) {
    check("events", stamped(emulator, "events"), history, last, &|id| id);
}

fn check_rows(emulator: &Emulator, history: &History, last: u64) {
    check_appended(emulator, history, last);
    // The transaction that wrote a row of this table last is in the row.
    let cell =
        |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<u64>().ok()).expect("a number");
    let mut by_id = HashMap::new();
    for from in (0..=last).step_by(5_000) {
        let query = format!("SELECT id, n FROM orders WHERE id > {from} AND id <= {}", from + 5_000);
        by_id.extend(emulator.sink().rows(&query).iter().map(|row| (cell(&row[0]), cell(&row[1]))));
    }
    check("orders", stamped(emulator, "orders"), history, last, &|id| by_id[&id]);
}

/// Whether a table has each row once, and each went through the version of its transaction.
fn check(table: &str, rows: Vec<(u64, u64)>, history: &History, last: u64, transaction: &dyn Fn(u64) -> u64) {
    let ids: Vec<u64> = rows.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, (1..=last).collect::<Vec<_>>(), "`{table}` has each row once");
    let of = |(id, version): (u64, u64)| {
        let want = history.version(table, transaction(id));
        (version != want).then(|| format!("row {id} has {version} and not {want}"))
    };
    let wrong: Vec<String> = rows.into_iter().filter_map(of).collect();
    assert!(wrong.is_empty(), "`{table}`: {} wrong: {wrong:?}", wrong.len());
}

#[expect(clippy::print_stderr, reason = "the test harness shows it with the failure")]
fn report(history: &History, counts: &Counts, reloads: u64, last: u64) {
    let versions: BTreeSet<u64> = (1..=last).map(|id| history.version("events", id)).collect();
    eprintln!(
        "{counts:?}, {} records, {last} transactions through {} versions",
        history.0.len(),
        versions.len()
    );
    assert_eq!(counts.switched + counts.cut_off, reloads, "{counts:?}");
    assert!(counts.kills >= reloads.saturating_sub(1) / (RELOADS_A_KILL.1 + 1), "{counts:?}");
    assert!(counts.cut_off <= counts.kills, "{counts:?}");
    // Rows come all the time: few switches have none behind them before the next.
    assert!(
        versions.len() as u64 > counts.switched * 3 / 4,
        "rows met {} versions of {}",
        versions.len(),
        counts.switched
    );
}
