//! All recorded bucket assignments.

use std::num::NonZeroU32;

use serde_json::Value as Json;
use sluicebox_maxcompute::DataType;
use sluicebox_maxcompute::bucket::{self, Hasher};

use crate::fixture::{json, list, text, unhex};

fn hash(hasher: Hasher, key: &Json) -> i32 {
    let data_type: DataType = text(key, "type").parse().unwrap();
    let value = text(key, "value");
    let number = |name: &str| key[name].as_i64().unwrap();
    let bits = |name: &str| u64::from_str_radix(text(key, name), 16).unwrap();
    match data_type {
        DataType::Tinyint | DataType::Smallint | DataType::Int | DataType::Bigint => {
            hasher.bigint(value.parse().unwrap())
        }
        DataType::Float => hasher.float(f32::from_bits(u32::try_from(bits("bits_hex")).unwrap())),
        DataType::Double => hasher.double(f64::from_bits(bits("bits_hex"))),
        DataType::Boolean => hasher.boolean(value.parse().unwrap()),
        DataType::String | DataType::Char(_) | DataType::Varchar(_) => {
            hasher.text(&unhex(text(key, "utf8_hex")))
        }
        DataType::Binary => hasher.binary(&unhex(value)),
        DataType::Date => hasher.date(i32::try_from(number("epoch_days")).unwrap()),
        DataType::Datetime => hasher.datetime(number("epoch_ms")),
        DataType::Timestamp | DataType::TimestampNtz => {
            hasher.timestamp(number("seconds"), u32::try_from(number("nanos")).unwrap())
        }
        DataType::Decimal { precision, scale } => {
            let unscaled = bucket::unscaled(value, scale).unwrap();
            assert_eq!(unscaled.to_string(), text(key, "unscaled_at_column_scale"), "{key}");
            hasher.decimal(unscaled, precision)
        }
        DataType::Json
        | DataType::IntervalDayTime
        | DataType::IntervalYearMonth
        | DataType::Array(_)
        | DataType::Map(..)
        | DataType::Struct(_) => panic!("not a key type: {key}"),
    }
}

#[test]
fn every_recorded_row_goes_to_its_bucket() {
    let file = json("bucket-hash.json");
    let vectors = list(&file, "vectors");
    let mut java_binaries = 0;
    let mut buckets_checked = 0;
    for vector in vectors {
        let id = text(vector, "id");
        let hasher = Hasher::from_name(text(vector, "hasher")).unwrap();
        // For BINARY keys the clients disagree; the Java client's numbers are the ones to follow.
        let want = match vector.get("java_binary") {
            Some(java) => {
                java_binaries += 1;
                java
            }
            None => vector,
        };
        let hashes: Vec<i32> = list(vector, "key").iter().map(|key| hash(hasher, key)).collect();
        let want_hashes: Vec<i64> = list(want, "hash").iter().map(|hash| hash.as_i64().unwrap()).collect();
        assert_eq!(hashes.iter().map(|hash| i64::from(*hash)).collect::<Vec<_>>(), want_hashes, "{id}");
        let sum = hashes.into_iter().fold(0, i32::wrapping_add);
        assert_eq!(u64::from(bucket::fold(sum)), want["combined"].as_u64().unwrap(), "{id}");
        for (count, bucket) in want["bucket"].as_object().unwrap() {
            let count: NonZeroU32 = count.parse().unwrap();
            assert_eq!(u64::from(bucket::bucket_of(sum, count)), bucket.as_u64().unwrap(), "{id} of {count}");
            buckets_checked += 1;
        }
    }
    assert_eq!(vectors.len(), 163, "all recorded vectors");
    assert_eq!(buckets_checked, 163 * 12, "twelve bucket counts each");
    assert_eq!(java_binaries, 3, "BINARY keys on which the clients disagree");
}

#[test]
fn only_plain_decimal_texts_are_numbers() {
    let wide = "9".repeat(40);
    let cases = [
        ("12.345", 2, Some(1235)),
        ("-12.345", 2, Some(-1235)),
        ("12.344", 2, Some(1234)),
        (".5", 0, Some(1)),
        ("-.4", 0, Some(0)),
        ("7", 3, Some(7000)),
        ("7.", 1, Some(70)),
        ("+1", 0, Some(1)),
        ("99999999999999999999999999999999999999", 0, Some(10_i128.pow(38) - 1)),
        ("", 2, None),
        ("-", 2, None),
        (".", 2, None),
        ("1e3", 2, None),
        ("1.2.3", 2, None),
        ("1.23x", 2, None),
        ("1.2é", 2, None),
        ("1.é", 1, None),
        (wide.as_str(), 0, None),
    ];
    for (text, scale, want) in cases {
        assert_eq!(bucket::unscaled(text, scale), want, "{text} at {scale}");
    }
}
