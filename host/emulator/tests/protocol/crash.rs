//! What survives the death of the process.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use sluicebox_emulator::{Emulator, EmulatorError, EmulatorOptions};

use super::records::{Cell, UPSERT, body, bucket_of, change};
use super::support::{Client, PROJECT};

const FOLDER: &str = "SLUICEBOX_EMULATOR_TEST_FOLDER";

/// An emulator in a process of its own.
struct Process {
    child: Child,
    client: Client,
}

impl Process {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "crash::emulator_process", "--nocapture"])
            .env(FOLDER, folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .map(Result::unwrap)
            .find_map(|line| line.split_once("listening on ").map(|(_, a)| a.parse()));
        let client = Client::new(address.expect("the process ended early").unwrap());
        Self { child, client }
    }

    /// Ends the process as `kill -9` does.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
#[ignore = "the process that the tests of this module start and kill"]
fn emulator_process() {
    let folder = std::env::var_os(FOLDER).unwrap_or_else(|| panic!("{FOLDER} is not set"));
    let options = EmulatorOptions {
        listen: "127.0.0.1:0".parse().unwrap(),
        data: folder.into(),
        credentials: Vec::new(),
        discard: false,
        schemas: false,
        in_memory: false,
        lenient: false,
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let emulator = Emulator::start(options).await.unwrap();
        let mut out = std::io::stdout();
        writeln!(out, "\nlistening on {}", emulator.address()).unwrap();
        out.flush().unwrap();
        std::future::pending::<()>().await;
    });
}

fn put(client: &Client, target: &str, keys: std::ops::Range<i64>) {
    for bucket in 0..4 {
        let own = keys.clone().filter(|key| bucket_of(*key, 4) == bucket);
        let rows: Vec<_> = own.map(|key| change(&[Cell::Int(key), Cell::Text("v")], UPSERT, &[])).collect();
        client.put(&format!("{target}&bucketid={bucket}&record_count={}", rows.len()), &body(&rows)).ok();
    }
}

#[test]
fn committed_rows_and_open_sessions_survive_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let first = Process::start(folder.path());
    let client = &first.client;
    client.run(
        "create table t (k bigint primary key not null, v string) \
         tblproperties('transactional'='true','write.bucket.num'='4')",
    );
    client.run("create table part (a bigint) partitioned by (ds string)");
    client.run("alter table part add partition (ds='1')");
    let open = || {
        let id = client.open("t/upserts?slotnum=2")["id"].as_str().unwrap().to_owned();
        format!("/projects/{PROJECT}/tables/t/upserts?upsertid={id}")
    };
    let (committed, written, aborted) = (open(), open(), open());
    put(client, &committed, 0..1000);
    put(client, &written, 1000..1500);
    put(client, &aborted, 5000..5010);
    client.call("DELETE", &aborted, &[], &[]).ok();
    client.post(&committed).ok();
    first.kill();

    let second = Process::start(folder.path());
    let client = &second.client;
    assert_eq!(status(client, &committed), "committed");
    assert_eq!(status(client, &written), "normal");
    assert_eq!(status(client, &aborted), "aborted");
    let count = || client.run("select count(*) from t")[0][0].clone().unwrap();
    assert_eq!(count(), "1000");
    client.post(&committed).ok();
    assert_eq!(count(), "1000", "a commit repeated after the crash applies nothing again");
    put(client, &written, 1500..1600);
    client.post(&written).ok();
    assert_eq!(count(), "1600", "blocks from before and after the crash are both in the commit");
    client.get(&format!("/api/projects/{PROJECT}/tables/part?partition=ds%3D%271%27")).ok();
    second.kill();

    let third = Process::start(folder.path());
    assert_eq!(third.client.run("select count(*) from t")[0][0].as_deref(), Some("1600"));
    third.kill();
}

/// Kills the process while it commits, after it has said `committing` so many times; whatever the moment,
/// the commit is whole or absent, and the session says which.
#[test]
fn a_kill_inside_a_commit_leaves_all_of_it_or_nothing() {
    for sightings in [0, 1, 2, 4, 8, 16] {
        let folder = tempfile::tempdir().unwrap();
        let process = Process::start(folder.path());
        let client = process.client.clone();
        client.run(
            "create table t (k bigint primary key not null, v string) \
             tblproperties('transactional'='true','write.bucket.num'='4')",
        );
        let id = client.open("t/upserts?slotnum=1")["id"].as_str().unwrap().to_owned();
        let target = format!("/projects/{PROJECT}/tables/t/upserts?upsertid={id}");
        put(&client, &target, 0..30_000);
        let (committing, committer) = (target.clone(), client.clone());
        let commit = std::thread::spawn(move || committer.try_call("POST", &committing, &[], &[]).is_ok());
        let mut seen = 0;
        while seen < sightings {
            match status(&client, &target).as_str() {
                "committing" => seen += 1,
                "committed" => break,
                _ => assert!(!commit.is_finished(), "the commit ended without committing"),
            }
        }
        process.kill();
        let answered = commit.join().unwrap();

        let next = Process::start(folder.path());
        let status = status(&next.client, &target);
        let rows = next.client.run("select count(*) from t")[0][0].clone().unwrap();
        let want = if status == "committed" { "30000" } else { "0" };
        assert_eq!(rows, want, "killed after {seen} sightings, session {status}");
        assert!(!answered || status == "committed", "an answered commit was lost");
        next.client.post(&target).ok();
        assert_eq!(next.client.run("select count(*) from t")[0][0].as_deref(), Some("30000"));
        next.kill();
    }
}

fn status(client: &Client, target: &str) -> String {
    client.get(target).ok().json()["status"].as_str().unwrap().to_owned()
}

#[test]
fn two_emulators_never_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let options = EmulatorOptions {
        listen: "127.0.0.1:0".parse().unwrap(),
        data: folder.path().to_owned(),
        credentials: Vec::new(),
        discard: false,
        schemas: false,
        in_memory: false,
        lenient: false,
    };
    let second = runtime.block_on(Emulator::start(options));
    assert!(matches!(second, Err(EmulatorError::Data { .. })), "{second:?}");
    process.kill();
}
