//! Rows and bytes per second that one core encodes, compresses and assigns to buckets.
//!
//! Run with `cargo bench -p sluicebox-maxcompute`. With `SLUICEBOX_TEST_PYTHON` naming a Python that has PyODPS, that client encodes
//! the same rows in the same run, and the last column says how many times its rate ours is. Each figure is the best of many short runs, since the others are
//! those that something else on the machine interrupted. MB are millions of bytes before compression.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::collections::HashMap;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::process::Command;
use std::time::{Duration, Instant};

use sluicebox_maxcompute::Compression;
use sluicebox_maxcompute::bucket::{self, Hasher};
use sluicebox_maxcompute::record::{Operation, RecordBody, RecordWriter};

/// Rows of a body: 4 MiB, the usual size of a flushed bucket, are some 36000 of them.
const ROWS: u32 = 36_000;
/// Rows that are timed at once where compression is no part of it.
const RUN: u32 = 500;
const ROUNDS: u32 = 10;

const COMPRESSIONS: [Compression; 5] =
    [Compression::Raw, Compression::Lz4, Compression::Snappy, Compression::Zstd, Compression::Zlib];

fn main() {
    let theirs = official_client();
    hash("bucket of a bigint key", &theirs, |row| Hasher::Default.bigint(i64::from(row)));
    hash("bucket of a bigint key, legacy", &HashMap::new(), |row| Hasher::Legacy.bigint(i64::from(row)));
    let texts: Vec<String> = (0..RUN).map(|row| format!("customer-{row:016}")).collect();
    hash("bucket of a 25-byte text key", &HashMap::new(), |row| {
        let index = usize::try_from(row % RUN).unwrap_or(0);
        Hasher::Default.text(texts[index].as_bytes())
    });
    encode_only();
    for compression in COMPRESSIONS {
        encode_and_compress(compression, &theirs);
    }
}

/// Rows per second of the official client, by what it did; empty without one.
fn official_client() -> HashMap<String, f64> {
    let Ok(python) = std::env::var("SLUICEBOX_TEST_PYTHON") else {
        println!("SLUICEBOX_TEST_PYTHON is not set: without the official client\n");
        return HashMap::new();
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/pyodps/encode_bench.py");
    let output =
        Command::new(python).args([script, &ROWS.to_string()]).output().expect("a Python interpreter");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rates = String::from_utf8_lossy(&output.stdout).into_owned();
    let rate = |line: &str| {
        let (name, rate) = line.split_once(' ')?;
        Some((name.to_owned(), rate.parse().ok()?))
    };
    rates.lines().filter_map(rate).collect()
}

/// How many times the official client's rate ours is.
fn beside(theirs: Option<&f64>, ours: f64) -> String {
    theirs.map_or_else(String::new, |theirs| format!(", {:.1} x PyODPS ({theirs:.0}/s)", ours / theirs))
}

fn hash(name: &str, theirs: &HashMap<String, f64>, hash: impl Fn(u32) -> i32) {
    let buckets = NonZeroU32::new(16).expect("16 is not zero");
    let best = best_of(ROUNDS * ROWS / RUN, || {
        for row in 0..RUN {
            black_box(bucket::bucket_of(hash(black_box(row)), buckets));
        }
    });
    let rate = per_second(RUN, best);
    println!("{name}: {:.1} M keys/s{}", rate / 1e6, beside(theirs.get("hash"), rate));
}

fn encode_only() {
    let mut writer = RecordWriter::new();
    let mut bytes = 0;
    let best = best_of(ROUNDS * ROWS / RUN, || {
        let mut body = RecordBody::with_capacity(1 << 20);
        for row in 0..RUN {
            body.push(encode(&mut writer, black_box(row)));
        }
        bytes = black_box(body).len();
    });
    print_rate("ten columns encoded", RUN, bytes, best, None);
}

fn encode_and_compress(compression: Compression, theirs: &HashMap<String, f64>) {
    let mut writer = RecordWriter::new();
    let (mut bytes, mut sent) = (0, 0);
    let best = best_of(ROUNDS, || {
        let mut body = RecordBody::with_capacity(8 << 20);
        for row in 0..ROWS {
            body.push(encode(&mut writer, black_box(row)));
        }
        bytes = body.len();
        sent = black_box(body.seal(compression)).bytes.len();
    });
    let way = format!("{compression:?}");
    print_rate(&format!("ten columns encoded, {way}"), ROWS, bytes, best, theirs.get(&way));
    println!("    {sent} of {bytes} bytes sent");
}

fn print_rate(name: &str, rows: u32, bytes: usize, took: Duration, theirs: Option<&f64>) {
    let megabytes = f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) / 1e6;
    let (rate, seconds) = (per_second(rows, took), took.as_secs_f64());
    println!("{name}: {rate:.0} rows/s, {:.0} MB/s{}", megabytes / seconds, beside(theirs, rate));
}

fn best_of(runs: u32, mut run: impl FnMut()) -> Duration {
    let timed = |_| {
        let begin = Instant::now();
        run();
        begin.elapsed()
    };
    (0..runs).map(timed).min().unwrap_or(Duration::MAX)
}

fn per_second(count: u32, took: Duration) -> f64 {
    f64::from(count) / took.as_secs_f64()
}

fn encode(writer: &mut RecordWriter, row: u32) -> sluicebox_maxcompute::record::Row<'_> {
    let mut record = writer.record();
    record.bigint(0, i64::from(row));
    record.text(1, b"customer name of a usual length");
    record.text(2, b"someone@example.com");
    record.bigint(3, i64::from(row % 100));
    record.double(4, f64::from(row) * 0.25);
    record.text(5, b"12345.67");
    record.datetime(6, 1_709_210_096_123 + 1000 * i64::from(row));
    record.date(7, 19_782);
    record.boolean(8, row.is_multiple_of(2));
    record.text(9, b"PAID");
    record.end_keyed(10, Operation::Upsert)
}
