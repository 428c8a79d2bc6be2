//! How fast the emulator takes rows, stored and in discard mode.
//!
//! One million upserts of ten columns in blocks of 40,000 rows, sent over as many connections as there are
//! cores. The bodies are made beforehand, so what is measured is the server with a client that only copies.

#![allow(clippy::unwrap_used, reason = "a test ends at the first thing that is not as it should be")]
#![allow(missing_docs, reason = "a program of its own")]
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

#[path = "../tests/support/records.rs"]
mod records;
#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use records::{Cell, UPSERT, body, bucket_of, change};
use support::{Client, PROJECT, Running};

const ROWS: i64 = 1_000_000;
const BUCKETS: u32 = 16;
const BLOCK_ROWS: usize = 40_000;

fn main() {
    let blocks = blocks();
    let bytes: usize = blocks.iter().map(|(_, _, body)| body.len()).sum();
    println!("{ROWS} rows in {} blocks, {} MB", blocks.len(), bytes / 1_000_000);
    for discard in [true, false] {
        let emulator = Running::with(|options| options.discard = discard);
        let client = &emulator.client;
        client.run(
            "create table t (k bigint primary key not null, a bigint, b string, c string, d bigint, e string, \
             f bigint, g bigint, h string, i bigint) \
             tblproperties('transactional'='true','write.bucket.num'='16')",
        );
        let id = client.open("t/upserts?slotnum=1")["id"].as_str().unwrap().to_owned();
        let target = format!("/projects/{PROJECT}/tables/t/upserts?upsertid={id}");
        let started = Instant::now();
        send(client, &target, &blocks);
        let sent = started.elapsed();
        client.post(&target).ok();
        let committed = started.elapsed() - sent;
        let rate = 1_000_000.0 / sent.as_secs_f64();
        println!("discard {discard}: {rate:.0} rows/s sent in {sent:?}, committed in {committed:?}");
    }
}

fn blocks() -> Vec<(u32, usize, Vec<u8>)> {
    let mut blocks = Vec::new();
    for bucket in 0..BUCKETS {
        let keys: Vec<i64> = (0..ROWS).filter(|key| bucket_of(*key, BUCKETS) == bucket).collect();
        for part in keys.chunks(BLOCK_ROWS) {
            let row = |key: &i64| {
                let text = Cell::Text("some text of a usual length");
                let number = Cell::Int(*key * 7919);
                let short = Cell::Text("abc");
                let row =
                    [Cell::Int(*key), number, text, short, number, text, number, Cell::Null, short, number];
                change(&row, UPSERT, &[])
            };
            let rows: Vec<Vec<Cell<'_>>> = part.iter().map(row).collect();
            blocks.push((bucket, rows.len(), body(&rows)));
        }
    }
    blocks
}

fn send(client: &Client, target: &str, blocks: &[(u32, usize, Vec<u8>)]) {
    let next = AtomicUsize::new(0);
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some((bucket, rows, body)) = blocks.get(next.fetch_add(1, Ordering::Relaxed)) {
                    client.put(&format!("{target}&bucketid={bucket}&record_count={rows}"), body).ok();
                }
            });
        }
    });
}
