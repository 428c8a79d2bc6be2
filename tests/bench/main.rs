//! How fast a backlog is taken in: the built program beside simpler readers of the same binlog, in one run.
//!
//!     scripts/bench [--rows N] [--compress ALGORITHM]
//!
//! A private MySQL server gets a backlog of bulk inserts and updates of rows with ten columns. Then, one after another, each
//! over the whole of it:
//!
//!   - a *raw drain*: one connection asks for the binlog, its packets are counted and thrown away. Nothing can be faster.
//!   - *receive*: `BinlogStream` with no table captured: framing, checksums, transactions, positions; rows are passed over.
//!   - *receive and decode*: the same with the rows decoded into columns, on one thread.
//!   - *sluicebox*: the program, from the position before the backlog to its clean end: decoding, the plugin `orders.wasm`
//!     (a filter on two columns, a mask, two renames, two columns left out), encoding, upserts into an emulator that checks
//!     rows and throws them away, the commit. Time counts from its start to its exit; emulator and server work on the same cores.
//!   - `mysqlbinlog --read-from-remote-server` with its output thrown away.
//!
//! No connection is encrypted. A first drain that is not counted brings the binlog into the page cache for all of them.
//! Nothing is asserted about times; what is asserted is that each read all of it.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "../support/mod.rs"]
mod support;

mod backlog;
mod program;
mod raw;
mod stream;
mod usage;

use std::path::Path;
use std::process::{Command, Stdio};

use backlog::Backlog;
use support::{Kind, Server, setting};
use usage::{Figures, Usage};

/// Settings of the server, for speed: what a crash would lose does not matter here, and reading is what is measured.
const SERVER_OPTIONS: &[&str] = &[
    "--performance-schema=OFF",
    "--innodb-buffer-pool-size=1G",
    "--innodb-redo-log-capacity=1G",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=OFF",
    "--max-binlog-size=1G",
    "--binlog-cache-size=32M",
];

/// Enough for half a minute at a million rows a second with `mysqlbinlog` and all; also the least that says something.
const DEFAULT_ROWS: u64 = 2_000_000;

struct Arguments {
    rows: u64,
    compression: String,
}

fn main() {
    let Arguments { rows, compression } = arguments();
    let server = Server::private(Kind::MySql, SERVER_OPTIONS);
    println!("filling a backlog of {rows} changed rows");
    let source = server.database();
    let backlog = Backlog::fill(&source, rows);
    println!(
        "{} changed rows in {} transactions, {:.0} MB of binlog; {} cores, shared with the server and the emulator\n",
        backlog.rows,
        backlog.transactions,
        megabytes(backlog.bytes()),
        std::thread::available_parallelism().map_or(1, usize::from),
    );
    raw::drain(&server, &backlog);

    let raw = raw::drain(&server, &backlog);
    let received = stream::receive(&source, &backlog, false);
    let decoded = stream::receive(&source, &backlog, true);
    let run = program::run(&source, &backlog, &compression);
    let mysqlbinlog = mysqlbinlog(&server, &backlog);

    println!(
        "{:<44}{:>9}{:>12}{:>9}{:>9}{:>11}{:>9}{:>14}",
        "", "seconds", "rows/s", "MB/s", "CPU s", "peak MiB", "x raw", "x mysqlbinlog"
    );
    let title = format!("sluicebox (orders.wasm, upsert, {compression})");
    for (name, figures) in [
        ("raw drain of the dump connection", &raw),
        ("receive (no table captured)", &received),
        ("receive and decode into columns", &decoded),
        (title.as_str(), &run.figures),
        ("mysqlbinlog --read-from-remote-server", &mysqlbinlog),
    ] {
        println!("{}", line(name, figures, &backlog, &raw, &mysqlbinlog));
    }
    println!(
        "\nbeside sluicebox: emulator {:.1} s of CPU, server {:.1} s; {} rows written, {} deleted, {} dropped by the plugin",
        run.emulator.cpu.as_secs_f64(),
        run.server.cpu.as_secs_f64(),
        run.written,
        run.deleted,
        run.dropped
    );
}

fn line(name: &str, figures: &Figures, backlog: &Backlog, raw: &Figures, mysqlbinlog: &Figures) -> String {
    let seconds = figures.took.as_secs_f64();
    let times = |other: &Figures| other.took.as_secs_f64() / seconds;
    let peak = figures.peak.map_or_else(|| "-".to_owned(), |bytes| format!("{:.0}", mebibytes(bytes)));
    format!(
        "{name:<44}{seconds:>9.2}{:>12.0}{:>9.0}{:>9.2}{peak:>11}{:>9.2}{:>14.2}",
        as_float(backlog.rows) / seconds,
        megabytes(backlog.bytes()) / seconds,
        figures.cpu.as_secs_f64(),
        times(raw),
        times(mysqlbinlog),
    )
}

/// The client program of the server's own release, on the same log, printing to nowhere.
fn mysqlbinlog(server: &Server, backlog: &Backlog) -> Figures {
    let mut child = Command::new(setting("SLUICEBOX_TEST_SERVERS"))
        .args([
            "binlog",
            "mysql",
            "--read-from-remote-server",
            "--ssl-mode=DISABLED",
            "--user=root",
            "--to-last-log",
        ])
        .args([format!("--host={}", server.host()), format!("--port={}", server.port())])
        .args([format!("--start-position={}", backlog.start.offset), backlog.start.file.clone()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("scripts/servers starts");
    let figures = Usage::until_end(child.id());
    let status = child.wait().expect("a child of ours");
    assert!(status.success(), "mysqlbinlog ended with {status}");
    figures
}

fn arguments() -> Arguments {
    let mut found = Arguments { rows: DEFAULT_ROWS, compression: "raw".to_owned() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("{word} needs a value"));
        match word.as_str() {
            "--rows" => found.rows = value().parse().expect("--rows needs a number"),
            "--compress" => found.compression = value(),
            // Cargo says so itself.
            "--bench" => {}
            other => panic!("unknown argument `{other}`"),
        }
    }
    found
}

/// Where the server writes its process id.
fn server_pid(server: &Server) -> u32 {
    let text =
        std::fs::read_to_string(Path::new(server.folder()).join("pid")).expect("the server's pid file");
    text.trim().parse().expect("a process id")
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn as_float(number: u64) -> f64 {
    number as f64
}

fn megabytes(bytes: u64) -> f64 {
    as_float(bytes) / 1e6
}

fn mebibytes(bytes: u64) -> f64 {
    as_float(bytes) / f64::from(1 << 20)
}
