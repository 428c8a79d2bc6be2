//! Rows of ten columns for the benchmarks, and how they time work on them.

#![allow(dead_code, reason = "each benchmark uses a part")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int64Array, StringArray};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use sluicebox_model::{ChangeBatch, Column, ColumnType, Origin, RowKind, TableId, TableSchema};

/// Different batches in turn, so that no branch is learned by heart.
pub const BATCHES: usize = 16;
pub const REPETITIONS: usize = 15;
pub const REPETITION: Duration = Duration::from_millis(60);

pub fn schema() -> Arc<TableSchema> {
    let decimal = ColumnType::Decimal { precision: 12, scale: 2 };
    let time = ColumnType::DateTime { fraction: 0 };
    let columns = [
        ("id", ColumnType::BigInt),
        ("order_no", ColumnType::Text),
        ("customer_id", ColumnType::BigInt),
        ("email", ColumnType::Text),
        ("status", ColumnType::Text),
        ("amount", decimal),
        ("quantity", ColumnType::Int),
        ("created", time),
        ("note", ColumnType::Text),
        ("coupon", time),
    ];
    let column = |(name, column_type): (&str, ColumnType)| Column {
        name: name.into(),
        column_type,
        nullable: false,
        source_type: "".into(),
        default: Default::default(),
        charset: None,
        comment: None,
    };
    Arc::new(TableSchema {
        id: TableId::new("shop", "orders"),
        version: 1,
        columns: columns.into_iter().map(column).collect(),
        key: vec![0],
        comment: None,
        charset: None,
        unique_keys: Vec::new(),
        ddl: None,
    })
}

pub fn batch(schema: &Arc<TableSchema>, rng: &mut StdRng, rows: usize) -> ChangeBatch {
    let mut ints = |high: i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values((0..rows).map(|_| rng.random_range(0..high))))
    };
    let (id, customer, amount) = (ints(i64::MAX), ints(1 << 40), ints(1_000_000));
    let (quantity, created, coupon) = (ints(10), ints(1_700_000_000), ints(1_700_000_000));
    let mut texts = |make: &dyn Fn(&mut StdRng) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..rows).map(|_| make(rng))))
    };
    let order_no = texts(&|rng| format!("ORD-{:010}", rng.random_range(0..1_000_000_000)));
    let email = texts(&|rng| format!("customer{}@example.org", rng.random_range(0..100_000)));
    let status =
        texts(&|rng| (*["NEW", "PAID", "SENT", "DONE", "CANCELLED"].choose(rng).unwrap()).to_owned());
    let note = texts(&|rng| "leave at the door, please"[..rng.random_range(4..25)].to_owned());
    ChangeBatch {
        schema: Arc::clone(schema),
        kinds: vec![RowKind::Insert; rows],
        columns: vec![id, order_no, customer, email, status, amount, quantity, created, note, coupon],
        origins: vec![Origin { first_row: 0, commit_micros: 0, ordinal: 0, transaction: None, absent: None }],
    }
}

/// Nanoseconds per event of one repetition.
pub fn measure(batches: &[ChangeBatch], mut work: impl FnMut(&ChangeBatch) -> ChangeBatch) -> f64 {
    let started = Instant::now();
    let mut events = 0;
    while started.elapsed() < REPETITION {
        for batch in batches {
            black_box(work(batch));
            events += batch.rows();
        }
    }
    started.elapsed().as_nanos() as f64 / events as f64
}

pub fn least_and_median(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    (times[0], times[times.len() / 2])
}
