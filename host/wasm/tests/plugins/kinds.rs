//! Every kind of column crosses into a guest and comes back equal.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Decimal128Array, Float64Array, Int64Array, StringArray,
    UInt32Array, UInt64Array,
};
use arrow::compute::take;
use arrow::datatypes::{Int64Type, UInt64Type};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::json;
use sluicebox_model::{ChangeBatch, ColumnType, Gtid, Origin, Physical, RowKind, TableSchema, TransactionId};

use sluicebox_wasm::{Instance, Limits, PluginSpec};

use crate::support::{LANGUAGES, batch, column, engine, instance, schema, spec};

const TYPES: [ColumnType; 22] = [
    ColumnType::Boolean,
    ColumnType::TinyInt,
    ColumnType::SmallInt,
    ColumnType::Int,
    ColumnType::BigInt,
    ColumnType::UnsignedBigInt,
    ColumnType::Bit { width: 7 },
    ColumnType::Bit { width: 64 },
    ColumnType::Float,
    ColumnType::Double,
    ColumnType::Decimal { precision: 12, scale: 2 },
    ColumnType::Decimal { precision: 18, scale: 18 },
    ColumnType::Decimal { precision: 19, scale: 4 },
    ColumnType::Decimal { precision: 38, scale: 0 },
    ColumnType::Decimal { precision: 65, scale: 30 },
    ColumnType::Text,
    ColumnType::Json,
    ColumnType::Binary,
    ColumnType::Date,
    ColumnType::Time { fraction: 6 },
    ColumnType::DateTime { fraction: 3 },
    ColumnType::Timestamp { fraction: 0 },
];

fn every_kind() -> Arc<TableSchema> {
    kinds(ColumnType::BigInt, &TYPES)
}

fn kinds(key: ColumnType, types: &[ColumnType]) -> Arc<TableSchema> {
    let mut columns = vec![column("id", key, false)];
    for (place, &column_type) in types.iter().enumerate() {
        columns.push(column(&format!("c{place}"), column_type, true));
        columns.push(column(&format!("n{place}"), column_type, false));
    }
    schema(columns, vec![0])
}

/// Values that a type can hold, its ends among them.
fn values(column_type: ColumnType, rng: &mut StdRng, rows: usize, nullable: bool) -> ArrayRef {
    let nulls: Vec<bool> = (0..rows).map(|_| nullable && rng.random_bool(0.3)).collect();
    let ends = |low: i64, high: i64, step: i64| -> Vec<Option<i64>> {
        let mut rng = StdRng::seed_from_u64(rows as u64 ^ low as u64 ^ high as u64);
        let mut one = || *[low, high, 0, rng.random_range(low..=high)].choose(&mut rng).expect("one of four");
        nulls.iter().map(|null| (!null).then(|| one() / step * step)).collect()
    };
    match column_type {
        ColumnType::Boolean => Arc::new(Int64Array::from(ends(0, 1, 1))),
        ColumnType::TinyInt => Arc::new(Int64Array::from(ends(-128, 127, 1))),
        ColumnType::SmallInt => Arc::new(Int64Array::from(ends(-32_768, 32_767, 1))),
        ColumnType::Int => Arc::new(Int64Array::from(ends(i32::MIN.into(), i32::MAX.into(), 1))),
        ColumnType::BigInt => Arc::new(Int64Array::from(ends(i64::MIN, i64::MAX, 1))),
        ColumnType::Date => Arc::new(Int64Array::from(ends(-719_528, 2_932_896, 1))),
        ColumnType::Time { .. } => Arc::new(Int64Array::from(ends(-3_020_399_999_999, 3_020_399_999_999, 1))),
        ColumnType::DateTime { .. } => {
            Arc::new(Int64Array::from(ends(-62_167_219_200_000_000, 253_402_300_799_999_999, 1_000)))
        }
        ColumnType::Timestamp { .. } => Arc::new(Int64Array::from(ends(0, 2_147_483_647_000_000, 1_000_000))),
        ColumnType::Decimal { precision: precision @ ..=18, .. } => {
            let high = 10_i64.pow(precision.into()) - 1;
            Arc::new(Int64Array::from(ends(-high, high, 1)))
        }
        ColumnType::Decimal { precision: precision @ 19..=38, scale } => {
            let high = 10_i128.pow(precision.into()) - 1;
            let one = |null: &bool| {
                let value =
                    *[high, -high, 0, 5, rng.random_range(-high..=high)].choose(rng).expect("one of five");
                (!null).then_some(value)
            };
            let array: Decimal128Array = nulls.iter().map(one).collect();
            Arc::new(array.with_precision_and_scale(precision, scale as i8).expect("a decimal type"))
        }
        ColumnType::Decimal { .. } => {
            let texts = [
                "-99999999999999999999999999999999999.999999999999999999999999999999",
                "0.000000000000000000000000000001",
            ];
            let one = |null: &bool| (!null).then(|| *texts.choose(rng).expect("one of two"));
            Arc::new(nulls.iter().map(one).collect::<StringArray>())
        }
        ColumnType::UnsignedBigInt | ColumnType::Bit { .. } => {
            let high = if let ColumnType::Bit { width: width @ ..64 } = column_type {
                (1 << width) - 1
            } else {
                u64::MAX
            };
            let one = |null: &bool| {
                (!null).then(|| *[0, high, rng.random_range(0..=high)].choose(rng).expect("one"))
            };
            Arc::new(nulls.iter().map(one).collect::<UInt64Array>())
        }
        ColumnType::Float => {
            let one = |null: &bool| {
                (!null).then(|| f64::from(*[0.1_f32, f32::MAX, -0.0].choose(rng).expect("one")))
            };
            Arc::new(nulls.iter().map(one).collect::<Float64Array>())
        }
        ColumnType::Double => {
            let one =
                |null: &bool| (!null).then(|| *[0.1, f64::MIN_POSITIVE, f64::MAX].choose(rng).expect("one"));
            Arc::new(nulls.iter().map(one).collect::<Float64Array>())
        }
        ColumnType::Text => {
            let texts = ["", "plain", "Grüße, 世界 🌊", "nul\0 and\nline", "e\u{301}"];
            let one = |null: &bool| (!null).then(|| *texts.choose(rng).expect("one"));
            Arc::new(nulls.iter().map(one).collect::<StringArray>())
        }
        ColumnType::Json => {
            let texts = ["null", r#"{"a": [1, 2.5, "é"]}"#, "[]", "-1e300"];
            let one = |null: &bool| (!null).then(|| *texts.choose(rng).expect("one"));
            Arc::new(nulls.iter().map(one).collect::<StringArray>())
        }
        ColumnType::Binary => {
            let bytes: [&[u8]; 3] = [b"", b"\xff\xfe\0", b"text"];
            let one = |null: &bool| (!null).then(|| *bytes.choose(rng).expect("one"));
            Arc::new(nulls.iter().map(one).collect::<BinaryArray>())
        }
    }
}

fn random_batch(schema: &Arc<TableSchema>, rng: &mut StdRng, rows: usize) -> ChangeBatch {
    let columns = schema.columns.iter().map(|c| values(c.column_type, rng, rows, c.nullable)).collect();
    batch(schema, vec![RowKind::Insert; rows], columns)
}

fn assert_same_columns(found: &ChangeBatch, wanted: &ChangeBatch, case: &str) {
    for ((found, wanted), column) in found.columns.iter().zip(&wanted.columns).zip(&wanted.schema.columns) {
        assert_eq!(found, wanted, "{case}: {} {}", column.name, column.column_type);
    }
}

#[test]
fn every_kind_of_column_comes_back_as_it_went_in() {
    for language in LANGUAGES {
        assert_every_kind_comes_back(&format!("every-kind{language}"), &every_kind());
    }
}

/// Also those that a double cannot hold, beside those that it can: some languages have no other number.
#[test]
fn integers_at_every_limit_come_back_whole_in_every_language() {
    let schema = kinds(ColumnType::BigInt, &[ColumnType::UnsignedBigInt]);
    let power = 1_i64 << 53;
    let ids = [-power - 1, -power, 1 - power, -1, 0, 1, power - 1, power, power + 1, i64::MAX, i64::MIN];
    let ids = [&ids[..], &[1 << 32, -(1 << 32), u32::MAX.into(), i32::MIN.into()]].concat();
    let unsigned: Vec<u64> = ids.iter().map(|id| id.cast_unsigned()).chain([u64::MAX]).skip(1).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(ids.clone())),
        Arc::new(UInt64Array::from(unsigned.clone())),
        Arc::new(UInt64Array::from(unsigned)),
    ];
    let batch = batch(&schema, vec![RowKind::Insert; ids.len()], columns);
    for language in LANGUAGES {
        let mut guest = instance(&format!("every-kind{language}"), json!({}));
        let plan = guest.plan(1, &schema).expect("a plan");
        let processed = guest.process(&plan, &batch, None).expect("it is processed");
        assert_eq!(processed.failed.len(), 0, "{language}");
        assert_same_columns(&processed.batch, &batch, language);
    }
}

/// Of a row that is condemned or dropped nothing is left in the others, however much was set of it.
#[test]
fn a_row_that_goes_half_done_leaves_the_others_whole() {
    let seed = rand::rng().random();
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let schema = every_kind();
    let mut batch = random_batch(&schema, &mut rng, 20);
    batch.columns[0] = Arc::new(Int64Array::from_iter_values((0..20).map(|row| row % 4)));
    let others =
        |twice| (0..20).filter(|row| row % 4 != 3).flat_map(move |row| vec![row; if twice { 2 } else { 1 }]);
    for language in LANGUAGES {
        for (drop, twice) in [(false, false), (true, false), (false, true), (true, true)] {
            let case = format!("every-kind{language}, drop {drop}, twice {twice}");
            let config = json!({ "refuse": 3, "drop": drop, "twice": twice });
            let mut guest = instance(&format!("every-kind{language}"), config);
            let plan = guest.plan(1, &schema).expect("a plan");
            let processed =
                guest.process(&plan, &batch, None).unwrap_or_else(|error| panic!("{case}: {error}"));
            let failed: Vec<_> = processed.failed.iter().map(|failed| failed.row).collect();
            assert_eq!(failed, if drop { vec![] } else { vec![3, 7, 11, 15, 19] }, "{case}");
            // The first of a dropped row's two was made before it was dropped.
            let rows: Vec<u32> = match (drop, twice) {
                (true, true) => (0..20).flat_map(|row| vec![row; if row % 4 == 3 { 1 } else { 2 }]).collect(),
                _ => others(twice).collect(),
            };
            let places = UInt32Array::from(rows);
            let columns = batch.columns.iter().map(|column| take(column, &places, None).expect("places"));
            let wanted = ChangeBatch { columns: columns.collect(), ..batch.clone() };
            assert_same_columns(&processed.batch, &wanted, &case);
        }
    }
}

/// With time for an interpreter's work on as many columns, on a busy machine.
fn patient(plugin: &str) -> Instance {
    let limits = Limits { time: Duration::from_secs(20), ..Limits::default() };
    let spec = PluginSpec { limits, ..spec(plugin, json!({})) };
    engine().load(&spec).expect("the plugin loads").instantiate().expect("the plugin starts")
}

fn assert_every_kind_comes_back(plugin: &str, schema: &Arc<TableSchema>) {
    let seed = rand::rng().random();
    println!("{plugin}: seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut guest = patient(plugin);
    let plan = guest.plan(1, schema).expect("a plan");
    let types = |schema: &TableSchema| -> Vec<_> {
        schema.columns.iter().map(|c| (c.name.clone(), c.column_type, c.nullable)).collect()
    };
    assert_eq!(types(&plan.output), types(schema), "`like` keeps each exact type");
    assert_eq!(plan.output.key, [0]);
    assert!(plan.needs_before(), "the key is computed");
    for rows in [0, 1, 2, 7, 8, 9, 1023, 1024, 1025, 2_500] {
        let batch = random_batch(schema, &mut rng, rows);
        let processed = guest.process(&plan, &batch, None).expect("it is processed");
        assert_eq!((processed.batch.rows(), processed.dropped, processed.failed.len()), (rows, 0, 0));
        assert_same_columns(&processed.batch, &batch, &format!("{plugin}: {rows} rows"));
    }
}

/// Slices begin inside a byte of the null bits, and at an offset other than 0.
#[test]
fn slices_of_arrays_cross_as_well_as_whole_ones() {
    let seed = rand::rng().random();
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let schema = every_kind();
    let mut guest = instance("every-kind", json!({}));
    let plan = guest.plan(1, &schema).expect("a plan");
    let whole = random_batch(&schema, &mut rng, 1_500);
    for (from, rows) in [(1, 1_400), (8, 64), (13, 1_100), (1_499, 1), (1_500, 0)] {
        let columns = whole.columns.iter().map(|column| column.slice(from, rows)).collect();
        let part = batch(&schema, vec![RowKind::Insert; rows], columns);
        let processed = guest.process(&plan, &part, None).expect("it is processed");
        assert_same_columns(&processed.batch, &part, &format!("{rows} rows from {from}"));
    }
}

/// A call takes at most 1 MiB; rows above it go alone.
#[test]
fn wide_rows_cross_in_several_calls() {
    let schema =
        schema(vec![column("id", ColumnType::BigInt, false), column("t", ColumnType::Text, false)], vec![0]);
    let mut guest = instance("every-kind", json!({}));
    let plan = guest.plan(1, &schema).expect("a plan");
    let texts =
        StringArray::from_iter_values((0..40).map(|n| "ü".repeat(if n == 20 { 1 << 20 } else { 1 << 15 })));
    let numbers = Int64Array::from_iter_values(0..40);
    let batch = batch(&schema, vec![RowKind::Insert; 40], vec![Arc::new(numbers), Arc::new(texts)]);
    let processed = guest.process(&plan, &batch, None).expect("it is processed");
    assert_same_columns(&processed.batch, &batch, "wide");
    let calls = guest.stats().calls;
    assert!((4..=40).contains(&calls), "{calls} calls");
}

#[test]
fn origins_are_what_a_guest_reads_of_them_and_snapshot_rows_have_none() {
    for language in LANGUAGES {
        assert_origins_are_read(&format!("every-kind{language}"));
    }
}

fn assert_origins_are_read(plugin: &str) {
    let schema = schema(vec![column("id", ColumnType::BigInt, false)], vec![0]);
    let mut guest = instance(plugin, json!({ "meta": true }));
    let plan = guest.plan(1, &schema).expect("a plan");
    let transaction = |number| {
        let gtid = Some(Gtid::MariaDb { domain: 0, server: 1, sequence: number });
        Some(Arc::new(TransactionId { gtid, file: "b.000001".into(), offset: 4 }))
    };
    let run = |first_row, commit_micros, ordinal, transaction| Origin {
        first_row,
        commit_micros,
        ordinal,
        transaction,
        absent: None,
    };
    let rows = 1_030;
    let mut batch = batch(
        &schema,
        vec![RowKind::Read; rows],
        vec![Arc::new(Int64Array::from_iter_values(0..rows as i64))],
    );
    batch.origins =
        vec![run(0, 0, 0, None), run(3, 1_000, 5, transaction(7)), run(1_026, -1, u64::MAX, transaction(8))];
    let out = guest.process(&plan, &batch, None).expect("it is processed").batch;
    let (times, positions, names) = (
        out.columns[1].as_primitive::<Int64Type>(),
        out.columns[2].as_primitive::<UInt64Type>(),
        out.columns[3].as_string::<i32>(),
    );
    for row in 0..rows {
        let wanted = match row {
            0..3 => None,
            3..1_026 => Some((1_000, 5, "0-1-7")),
            _ => Some((-1, u64::MAX, "0-1-8")),
        };
        let found = times.is_valid(row).then(|| (times.value(row), positions.value(row), names.value(row)));
        assert_eq!(found, wanted, "row {row}");
    }
    assert_eq!(out.origins, batch.origins);
    let seeds = out.columns[4].as_primitive::<UInt64Type>();
    assert_eq!(seeds.null_count(), 0);
    let mut again = Vec::new();
    for rows in [0..2, 2..1_029, 1_029..rows] {
        let out = guest.process(&plan, &batch.slice(rows), None).expect("it is processed").batch;
        again.extend_from_slice(out.columns[4].as_primitive::<UInt64Type>().values());
    }
    assert_eq!(again, seeds.values().to_vec(), "however the batch is cut");
    assert_eq!(again.iter().collect::<std::collections::HashSet<_>>().len(), rows, "each row has its own");
}

#[test]
fn the_cases_cover_every_way_of_holding_values() {
    let of = |wanted: Physical| TYPES.iter().any(|t| t.physical() == wanted);
    let all = [Physical::Int64, Physical::UInt64, Physical::Float64, Physical::Decimal128, Physical::Utf8];
    assert!(all.into_iter().all(of) && of(Physical::Binary));
}
