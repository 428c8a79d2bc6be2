//! Every kind of value survives the way to JSON and back; what is not a value is told.

use serde_json::json;
use sluicebox_model::{Column, ColumnType, TableId};

use super::*;

fn table(columns: &[(&str, ColumnType)]) -> Arc<TableSchema> {
    let column = |(name, column_type): &(&str, ColumnType)| Column {
        name: (*name).into(),
        column_type: *column_type,
        nullable: *name != "id",
        source_type: "".into(),
        default: Default::default(),
        charset: None,
        comment: None,
    };
    Arc::new(TableSchema {
        id: TableId::new("d", "t"),
        version: 1,
        columns: columns.iter().map(column).collect(),
        key: vec![0],
        comment: None,
        charset: None,
        unique_keys: Vec::new(),
        ddl: None,
    })
}

fn every_kind() -> Arc<TableSchema> {
    use ColumnType as T;
    table(&[
        ("id", T::BigInt),
        ("flag", T::Boolean),
        ("tiny", T::TinyInt),
        ("large", T::UnsignedBigInt),
        ("bits", T::Bit { width: 10 }),
        ("single", T::Float),
        ("double", T::Double),
        ("price", T::Decimal { precision: 10, scale: 2 }),
        ("wide", T::Decimal { precision: 38, scale: 18 }),
        ("wider", T::Decimal { precision: 65, scale: 0 }),
        ("name", T::Text),
        ("document", T::Json),
        ("raw", T::Binary),
        ("day", T::Date),
        ("span", T::Time { fraction: 6 }),
        ("wall", T::DateTime { fraction: 3 }),
        ("instant", T::Timestamp { fraction: 0 }),
    ])
}

fn full_row() -> Value {
    json!({
        "id": i64::MIN, "flag": true, "tiny": -128, "large": u64::MAX, "bits": 1023, "single": 0.1, "double": 0.1,
        "price": "-0.05", "wide": "-99999999999999999999.999999999999999999", "wider": "9".repeat(65),
        "name": "größe 🌊\n\"", "document": "{\"a\": [1, null]}", "raw": "0x00ff7f", "day": "2024-02-29",
        "span": "-838:59:59.000001", "wall": "0001-01-01 23:59:59.5", "instant": "1969-12-31 23:59:59Z"
    })
}

fn row(value: &Value) -> Row {
    value.as_object().expect("an object").clone()
}

#[test]
fn every_kind_of_value_survives_the_way_there_and_back() {
    let schema = every_kind();
    let nulls = row(&json!({ "id": 1 }));
    let full = row(&full_row());
    let events = vec![
        Event::Insert(full.clone()),
        Event::Update { before: Some(full.clone()), after: full.clone() },
        Event::Update { before: None, after: full.clone() },
        Event::Delete(full.clone()),
        Event::Read(full.clone()),
        Event::Insert(nulls),
    ];
    let batch = batch_of(&schema, &events, &Provenance::default()).expect("a batch");
    assert_eq!(batch.rows(), 7);
    let again = events_of(&batch);
    assert_eq!(again[..5], events[..5]);
    assert!(again[5].row().iter().all(|(name, value)| name == "id" || value.is_null()));
    let text = serde_json::to_string(&again).expect("JSON");
    assert_eq!(serde_json::from_str::<Vec<Event>>(&text).expect("events"), again);
}

#[test]
fn days_of_all_months_of_leap_and_other_years_survive() {
    let schema = table(&[("id", ColumnType::Date)]);
    for year in [1, 1600, 1900, 1969, 1970, 2000, 2023, 2024, 9999] {
        for month in 1..=12 {
            for day in [1, 28] {
                let text = format!("{year:04}-{month:02}-{day:02}");
                let event = Event::Insert(row(&json!({ "id": text })));
                let batch = batch_of(&schema, std::slice::from_ref(&event), &Provenance::default());
                assert_eq!(events_of(&batch.expect("a batch")), [event]);
            }
        }
    }
}

#[test]
fn what_is_not_a_value_of_its_column_is_told() {
    let schema = every_kind();
    for (column, value, told) in [
        ("tiny", json!(128), "expected an integer from -128 to 127"),
        ("flag", json!("yes"), "expected true or false"),
        ("bits", json!(1024), "expected an integer from 0 to 1023"),
        ("price", json!("1.005"), "expected a DECIMAL(10,2)"),
        ("price", json!("123456789.00"), "expected a DECIMAL(10,2)"),
        ("day", json!("2023-02-29"), "expected a date"),
        ("span", json!("12:60:00"), "expected a time"),
        ("wall", json!("2024-01-01 24:00:00"), "expected a date-time"),
        ("raw", json!("00ff"), "expected bytes in hexadecimal"),
        ("name", json!(7), "expected a text"),
        ("id", json!(null), "it may not be null"),
        ("nmae", json!("x"), "has no column `nmae`; did you mean `name`?"),
    ] {
        let mut values = row(&json!({ "id": 1 }));
        values.insert(column.into(), value);
        let error = batch_of(&schema, &[Event::Insert(values)], &Provenance::default()).expect_err(column);
        assert!(error.starts_with("row 1: ") && error.contains(told), "{column}: {error}");
    }
}

/// Dead letters are kept as text and read again.
#[test]
fn a_double_is_the_same_to_its_last_bit_behind_its_text() {
    for number in [-6.203_560_335_573_969e41_f64, 8.050_894_916_191_587e102, -4.217_661_883_815_735_5e-92] {
        let text = json!({ "double": number }).to_string();
        let read: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(read["double"].as_f64().map(f64::to_bits), Some(number.to_bits()), "{text}");
    }
}
