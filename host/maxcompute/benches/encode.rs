//! Time of encoding one row of ten columns into a bucket's body, with its bucket hash.
//!
//! Run with `cargo bench -p sluicebox-maxcompute`.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::Instant;

use sluicebox_maxcompute::Compression;
use sluicebox_maxcompute::bucket::{self, Hasher};
use sluicebox_maxcompute::record::{Operation, RecordBody, RecordWriter};

/// Rows of a body: 4 MiB are some 36000 of them.
const ROWS: u32 = 36_000;
/// Rows that are timed at once: few, so that some runs are not interrupted by other work of the machine.
const RUN: u32 = 500;
const ROUNDS: u32 = 10;

fn main() {
    let buckets = NonZeroU32::new(16).expect("16 is not zero");
    let mut writer = RecordWriter::new();
    let (mut hash_ns, mut encode_ns) = (f64::MAX, f64::MAX);
    let mut body = RecordBody::new();
    for _ in 0..ROUNDS {
        body = RecordBody::with_capacity(8 << 20);
        for run in 0..ROWS / RUN {
            let rows = run * RUN..(run + 1) * RUN;
            let begin = Instant::now();
            for row in rows.clone() {
                let sum = Hasher::Default.bigint(black_box(i64::from(row)));
                black_box(bucket::bucket_of(sum, buckets));
            }
            hash_ns = hash_ns.min(per_row(begin, RUN));
            let begin = Instant::now();
            for row in rows {
                body.push(encode(&mut writer, black_box(row)));
            }
            encode_ns = encode_ns.min(per_row(begin, RUN));
        }
    }
    println!("bucket of a bigint key: {hash_ns:.1} ns");
    println!(
        "ten columns, {} bytes each: {encode_ns:.1} ns",
        body.len() / usize::try_from(ROWS).unwrap_or(1)
    );
    let bytes = body.finish();
    for compression in
        [Compression::Zlib, Compression::Lz4, Compression::Snappy, Compression::Zstd, Compression::Raw]
    {
        let input = bytes.clone();
        let begin = Instant::now();
        let out = compression.compress(input);
        let took_ns = per_row(begin, ROWS);
        println!("{compression:?}: {took_ns:.0} ns per row, {} of {} bytes", out.len(), bytes.len());
    }
}

fn per_row(begin: Instant, rows: u32) -> f64 {
    begin.elapsed().as_secs_f64() * 1e9 / f64::from(rows)
}

fn encode(writer: &mut RecordWriter, row: u32) -> sluicebox_maxcompute::record::Row<'_> {
    let mut record = writer.record();
    record.bigint(0, i64::from(row));
    record.text(1, b"customer name of a usual length");
    record.text(2, b"someone@example.com");
    record.bigint(3, i64::from(row % 100));
    record.double(4, f64::from(row) * 0.25);
    record.text(5, b"12345.67");
    record.timestamp(6, 1_709_210_096 + i64::from(row), 123_456_000);
    record.date(7, 19_782);
    record.boolean(8, row.is_multiple_of(2));
    record.text(9, b"PAID");
    record.end_keyed(10, Operation::Upsert)
}
