//! How fast a source is taken in: the built program beside simpler readers of the same server, in one run.
//!
//!     scripts/bench [--rows N] [--transactions N] [--compress ALGORITHM] [--part bulk|plugin|single|snapshot]
//!
//! A private MySQL server gets two backlogs of rows with ten columns: *bulk* inserts and updates, and transactions of a *single*
//! row each. Then, one after another, each over the whole of one:
//!
//!   - a *raw drain*: one connection asks for the binlog, its packets are counted and thrown away. Nothing can be faster.
//!   - *receive*: `BinlogStream` with no table captured: framing, checksums, transactions, positions; rows are passed over.
//!   - *receive and decode*: the same with the rows decoded into columns, on one thread.
//!   - *decode alone*: events that were received before, decoded into columns.
//!   - *sluicebox*: the program, from the position before the backlog to its clean end: decoding, the plugin `orders.wasm`
//!     (a filter on two columns, a mask, two renames, two columns left out), encoding, upserts into an emulator that checks
//!     rows and throws them away, the commit. Time counts from its start to its exit; emulator and server work on the same cores.
//!   - the decoder of `mysql_async`, with every value of every row made.
//!   - a Debezium engine; its time counts from its first batch to its last.
//!   - `mysqlbinlog --read-from-remote-server` with its output thrown away.
//!
//! What a *plugin* costs: the program on the bulk backlog with `orders.wasm`, with the same work by expressions that the host evaluates itself, and
//! without any, in turns, the medians beside each other. Against the expressions both send the same rows to the sink, so that what differs
//! is the plugin; without any no row is filtered and no column left out, and the plugin is paid by what it saves.
//!
//! A *snapshot* of the table of the first backlog is compared with as many connections that do nothing but `SELECT` it.
//!
//! No connection is encrypted. A first drain that is not counted brings the binlog into the page cache for all of them.
//! Nothing is asserted about times; what is asserted is that each read all of it.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "../support/mod.rs"]
mod support;

mod backlog;
mod peers;
mod program;
mod raw;
mod snapshot;
mod stream;
mod usage;

use std::path::Path;

use backlog::Backlog;
use program::Through;
use support::{Database, Kind, Server};
use usage::Figures;

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
/// As long, with transactions of one row.
const DEFAULT_TRANSACTIONS: u64 = 300_000;

struct Arguments {
    rows: u64,
    transactions: u64,
    compression: String,
    part: Option<String>,
}

fn main() {
    let arguments = arguments();
    let wanted = |part: &str| arguments.part.as_deref().is_none_or(|only| only == part);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{cores} cores, shared with the server and the emulator");
    if wanted("bulk") || wanted("plugin") || wanted("snapshot") {
        let server = Server::private(Kind::MySql, SERVER_OPTIONS);
        let source = server.database();
        let backlog = Backlog::fill(&source, arguments.rows);
        if wanted("bulk") {
            compare_streams("bulk", &source, &backlog, &arguments.compression);
        }
        if wanted("plugin") {
            compare_plugin(&source, &backlog, &arguments.compression);
        }
        if wanted("snapshot") {
            compare_snapshots(&source, cores as u64, &arguments.compression);
        }
    }
    if wanted("single") {
        let server = Server::private(Kind::MySql, SERVER_OPTIONS);
        let source = server.database();
        let backlog = Backlog::fill_single(&source, arguments.transactions);
        compare_streams("single rows", &source, &backlog, &arguments.compression);
    }
}

fn compare_streams(title: &str, source: &Database<'_>, backlog: &Backlog, compression: &str) {
    let server = source.server();
    raw::drain(server, backlog);
    let raw = raw::drain(server, backlog);
    let run = program::run(source, backlog, compression, Through::Plugin);
    let lines = [
        ("receive (no table captured)", stream::receive(source, backlog, false)),
        ("receive and decode into columns", stream::receive(source, backlog, true)),
        ("decode into columns alone", stream::decode(source, backlog)),
        ("decoder of mysql_async", peers::mysql_async(server, backlog)),
        ("mysqlbinlog --read-from-remote-server", peers::mysqlbinlog(server, backlog)),
        ("Debezium engine", peers::debezium(source, backlog)),
    ];
    println!(
        "\n{title}: {} changed rows in {} transactions, {:.0} MB of binlog",
        backlog.rows,
        backlog.transactions,
        megabytes(backlog.bytes())
    );
    head("x raw");
    print_line("raw drain of the dump connection", &raw, backlog.rows, &raw);
    print_line(&format!("sluicebox (orders.wasm, upsert, {compression})"), &run.figures, backlog.rows, &raw);
    for (name, figures) in &lines {
        print_line(name, figures, backlog.rows, &raw);
    }
    println!(
        "beside sluicebox: emulator {:.1} s of CPU, server {:.1} s; {} rows written, {} deleted, {} dropped by the plugin",
        run.emulator.cpu.as_secs_f64(),
        run.server.cpu.as_secs_f64(),
        run.written,
        run.deleted,
        run.dropped
    );
}

/// Runs of each kind: enough for a median on a machine with a little other work on it.
const PLUGIN_RUNS: usize = 5;

fn compare_plugin(source: &Database<'_>, backlog: &Backlog, compression: &str) {
    // Not counted: it brings the binlog into the page cache.
    program::run(source, backlog, compression, Through::Nothing);
    let kinds = [Through::Expressions, Through::Plugin, Through::Nothing];
    let mut runs = kinds.map(|_| Vec::new());
    for _ in 0..PLUGIN_RUNS {
        let round = kinds.map(|through| program::run(source, backlog, compression, through));
        let sent = |run: &program::Run| (run.written, run.deleted, run.dropped);
        assert_eq!(sent(&round[0]), sent(&round[1]), "both do the same");
        runs.iter_mut().zip(round).for_each(|(runs, run)| runs.push(run.figures));
    }
    let [expressions, plugin, nothing] = runs.map(median);
    println!(
        "\nplugin: {} changed rows, medians of {PLUGIN_RUNS} runs each ({compression}, upsert)",
        backlog.rows
    );
    head("x native");
    for (name, figures) in [
        ("expressions: filter, mask, renames, projection", &expressions),
        ("orders.wasm: the same", &plugin),
        ("nothing: all rows, all columns", &nothing),
    ] {
        print_line(name, figures, backlog.rows, &expressions);
    }
}

/// The one in the middle by its time.
fn median(mut runs: Vec<Figures>) -> Figures {
    runs.sort_by_key(|figures| figures.took);
    runs.swap_remove(runs.len() / 2)
}

fn compare_snapshots(source: &Database<'_>, readers: u64, compression: &str) {
    let rows = snapshot::rows(source);
    // Not counted: it brings the table into the server's memory for all of them.
    snapshot::bare(source, readers);
    let bare = snapshot::bare(source, readers);
    let run = snapshot::program(source, readers, compression);
    let one = snapshot::bare(source, 1);
    println!("\nsnapshot: {rows} rows");
    head("x bare");
    print_line(&format!("bare SELECT, {readers} connections"), &bare, rows, &bare);
    print_line(&format!("sluicebox, {readers} readers (upsert, {compression})"), &run.figures, rows, &bare);
    print_line("bare SELECT, one connection", &one, rows, &bare);
    println!(
        "beside sluicebox: emulator {:.1} s of CPU, server {:.1} s",
        run.emulator.cpu.as_secs_f64(),
        run.server.cpu.as_secs_f64()
    );
}

fn head(reference: &str) {
    println!("{:<44}{:>9}{:>12}{:>9}{:>11}{reference:>9}", "", "seconds", "rows/s", "CPU s", "peak MiB");
}

fn print_line(name: &str, figures: &Figures, rows: u64, reference: &Figures) {
    let seconds = figures.took.as_secs_f64();
    let peak = figures.peak.map_or_else(|| "-".to_owned(), |bytes| format!("{:.0}", mebibytes(bytes)));
    println!(
        "{name:<44}{seconds:>9.2}{:>12.0}{:>9.2}{peak:>11}{:>9.3}",
        as_float(rows) / seconds,
        figures.cpu.as_secs_f64(),
        reference.took.as_secs_f64() / seconds,
    );
}

fn arguments() -> Arguments {
    let mut found = Arguments {
        rows: DEFAULT_ROWS,
        transactions: DEFAULT_TRANSACTIONS,
        compression: "raw".to_owned(),
        part: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("{word} needs a value"));
        match word.as_str() {
            "--rows" => found.rows = value().parse().expect("--rows needs a number"),
            "--transactions" => {
                found.transactions = value().parse().expect("--transactions needs a number");
            }
            "--compress" => found.compression = value(),
            "--part" => found.part = Some(value()),
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
