//! No value is lost where types meet: whatever two columns come together, a value of either is in the common column as it was, or
//! the row is refused and says why.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, Decimal128Array, Float64Array, Int64Array, StringArray, UInt64Array,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use sluicebox_maxcompute::DataType;
use sluicebox_model::{ColumnType, Physical};

use super::cell::{Cell, ColumnView, Scratch, read};
use super::least_type::least_common;
use super::mapping::{cast, data_type};

const ROUNDS: usize = 20_000;

/// A seed from the clock, or the one to run again; printed, so that a failure can be repeated.
fn random() -> StdRng {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock");
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(now.as_secs());
    println!("SEED={seed}");
    StdRng::seed_from_u64(seed)
}

fn any_type(rng: &mut StdRng) -> ColumnType {
    use ColumnType as C;
    let scale = rng.random_range(0..=18);
    let decimal = C::Decimal { precision: rng.random_range(scale.max(1)..=38), scale };
    let width = rng.random_range(2..=64);
    let fraction = rng.random_range(0..=6);
    let (time, clock, instant) = (C::Time { fraction }, C::DateTime { fraction }, C::Timestamp { fraction });
    let plain = [C::Boolean, C::TinyInt, C::SmallInt, C::Int, C::BigInt, C::UnsignedBigInt, C::Float];
    let other = [C::Double, C::Text, C::Json, C::Binary, C::Date, time, clock, instant];
    *[&plain[..], &other, &[decimal, decimal, decimal, C::Bit { width }]]
        .concat()
        .choose(rng)
        .expect("a type")
}

/// A value as a test can compare it.
#[derive(Debug, Clone, PartialEq)]
enum Seen {
    /// Whole number times ten to the minus of the second, without zeros at its end.
    Number(i128, u8),
    Float(f64),
    /// Days, or microseconds of a clock or a span.
    Micros(i64),
    Bytes(Vec<u8>),
}

fn number(mut unscaled: i128, mut scale: u8) -> Seen {
    while scale > 0 && unscaled % 10 == 0 {
        (unscaled, scale) = (unscaled / 10, scale - 1);
    }
    Seen::Number(unscaled, scale)
}

const DAY: i64 = 86_400_000_000;

/// A random value of a type, often at its limits, as a column of one row and as it should be seen.
fn any_value(rng: &mut StdRng, of: ColumnType) -> (ArrayRef, Seen) {
    use ColumnType as C;
    let mut whole = |low: i64, high: i64| match rng.random_range(0..5) {
        0 => low,
        1 => high,
        _ => rng.random_range(low..=high),
    };
    let int = |value: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![value])) };
    let integer = |value: i64| (int(value), number(value.into(), 0));
    match of {
        C::Boolean => integer(whole(0, 1)),
        C::TinyInt => integer(whole(i8::MIN.into(), i8::MAX.into())),
        C::SmallInt => integer(whole(i16::MIN.into(), i16::MAX.into())),
        C::Int => integer(whole(i32::MIN.into(), i32::MAX.into())),
        C::BigInt => integer(whole(i64::MIN, i64::MAX)),
        C::Date => {
            let days = whole(-700_000, 2_932_896);
            (int(days), Seen::Micros(days * DAY))
        }
        C::Time { fraction } => {
            let micros = whole(-3_020_399_000_000, 3_020_399_000_000);
            let micros = micros - micros % 10_i64.pow(6 - u32::from(fraction));
            (int(micros), Seen::Micros(micros))
        }
        C::DateTime { .. } | C::Timestamp { .. } => {
            let micros = whole(-60_000_000_000_000_000, 253_402_300_799_999_999);
            (int(micros), Seen::Micros(micros))
        }
        C::UnsignedBigInt | C::Bit { .. } => {
            let width = if let C::Bit { width } = of { width } else { 64 };
            let value = rng.random::<u64>() >> (64 - u32::from(width));
            let array: ArrayRef = Arc::new(UInt64Array::from(vec![value]));
            match of {
                C::UnsignedBigInt => (array, number(value.into(), 0)),
                _ => (array, Seen::Bytes(value.to_le_bytes()[..usize::from(width.div_ceil(8))].to_vec())),
            }
        }
        C::Float => {
            let value = f64::from(f32::from_bits(rng.random()));
            let value = if value.is_finite() { value } else { 0.1_f32.into() };
            (Arc::new(Float64Array::from(vec![value])), Seen::Float(value))
        }
        C::Double => {
            let value = f64::from_bits(rng.random());
            let value = if value.is_finite() { value } else { -0.5 };
            (Arc::new(Float64Array::from(vec![value])), Seen::Float(value))
        }
        C::Decimal { precision, scale } => {
            let most = 10_i128.pow(precision.into()) - 1;
            let value = if rng.random_bool(0.2) { -most } else { rng.random_range(-most..=most) };
            let array: ArrayRef = match of.physical() {
                Physical::Int64 => int(value.try_into().expect("18 digits")),
                _ => Arc::new(Decimal128Array::from(vec![value])),
            };
            (array, number(value, scale))
        }
        C::Text | C::Json => {
            let text: String = (0..rng.random_range(0..9)).map(|_| rng.random::<char>()).collect();
            (Arc::new(StringArray::from(vec![text.as_str()])), Seen::Bytes(text.into_bytes()))
        }
        C::Binary => {
            let bytes: Vec<u8> = (0..rng.random_range(0..9)).map(|_| rng.random()).collect();
            (Arc::new(BinaryArray::from_vec(vec![&bytes])), Seen::Bytes(bytes))
        }
    }
}

/// What a cell of the common column says, read as a value of the type that it came from.
fn seen(cell: Cell<'_>, of: ColumnType, common: &DataType) -> Seen {
    use ColumnType as C;
    let micros = |seconds: i64, nanos: u32| seconds * 1_000_000 + i64::from(nanos / 1000);
    match (cell, of) {
        (Cell::Integer(value), _) => number(value.into(), 0),
        (Cell::Boolean(value), _) => number(value.into(), 0),
        (Cell::Decimal { unscaled, .. }, _) => {
            let DataType::Decimal { scale, .. } = common else { panic!("{common} for a decimal") };
            number(unscaled, (*scale).try_into().expect("a scale"))
        }
        (Cell::Float(value), C::Float) => Seen::Float(value.into()),
        (Cell::Double(value), C::Float | C::Double) => Seen::Float(value),
        // What was whole must be whole still.
        (Cell::Float(value), _) => number(exact(value.into()), 0),
        (Cell::Double(value), _) => number(exact(value), 0),
        (Cell::Date(days), _) => Seen::Micros(i64::from(days) * DAY),
        (Cell::Timestamp { seconds, nanos }, _) => Seen::Micros(micros(seconds, nanos)),
        (Cell::Bytes(bytes), _) => Seen::Bytes(bytes.to_vec()),
        (Cell::Text(text), C::Text | C::Json) => Seen::Bytes(text.to_vec()),
        (Cell::Text(text), C::Binary | C::Bit { .. }) => Seen::Bytes(STANDARD.decode(text).expect("base64")),
        (Cell::Text(text), _) => seen_in_text(std::str::from_utf8(text).expect("UTF-8"), of),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "compared with the number that went in")]
fn exact(value: f64) -> i128 {
    value as i128
}

fn seen_in_text(text: &str, of: ColumnType) -> Seen {
    use ColumnType as C;
    match of {
        C::Boolean => number(text.parse::<bool>().expect(text).into(), 0),
        C::Float => Seen::Float(text.parse::<f32>().expect(text).into()),
        C::Double => Seen::Float(text.parse().expect(text)),
        C::Date => Seen::Micros(days(text) * DAY),
        C::Time { .. } => Seen::Micros(clock(text)),
        C::DateTime { .. } | C::Timestamp { .. } => {
            let (date, time) = text.split_once('T').expect(text);
            Seen::Micros(days(date) * DAY + clock(time))
        }
        _ => {
            let scale = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
            number(text.replace('.', "").parse().expect(text), scale.try_into().expect("a scale"))
        }
    }
}

/// Days since 1970-01-01 of `2024-02-29`, counted month by month.
fn days(text: &str) -> i64 {
    let parts: Vec<i64> = text.split('-').map(|part| part.parse().expect(text)).collect();
    let leap = |year: i64| i64::from(year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
    let before = |year: i64| (year - 1) * 365 + (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400;
    let months = [31, 28 + leap(parts[0]), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let in_year: i64 = months.iter().take(usize::try_from(parts[1]).expect(text) - 1).sum();
    before(parts[0]) - before(1970) + in_year + parts[2] - 1
}

/// Microseconds of `-838:59:59.5`, seconds and fraction being there or not.
fn clock(text: &str) -> i64 {
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let mut parts = text.split(':');
    let mut next = || parts.next().unwrap_or("0");
    let (hours, minutes, seconds) = (next(), next(), next());
    let (seconds, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let whole = |part: &str| part.parse::<i64>().expect(text);
    sign * ((whole(hours) * 60 + whole(minutes)) * 60_000_000
        + whole(seconds) * 1_000_000
        + whole(&format!("{fraction:0<6}")))
}

#[test]
fn no_value_is_lost_where_two_types_meet() {
    let mut rng = random();
    let (mut kept, mut refused, mut scratch) = (0, 0, Scratch::default());
    for _ in 0..ROUNDS {
        let (a, b) = (any_type(&mut rng), any_type(&mut rng));
        let common = least_common(&data_type(a), &data_type(b));
        assert_eq!(common, least_common(&data_type(b), &data_type(a)), "{a:?} and {b:?}");
        assert_eq!(common, least_common(&common, &data_type(a)), "{a:?} and {b:?}, and the first again");
        let (array, want) = any_value(&mut rng, a);
        let Some(cast) = cast(a, &common) else {
            // The zone of the pipeline is needed, which the encoder knows.
            let by_zone =
                common == DataType::Timestamp && matches!(a, ColumnType::Date | ColumnType::DateTime { .. });
            assert!(by_zone, "{a:?} has no way into {common}, which it makes with {b:?}");
            continue;
        };
        let view = ColumnView::new(&array, a).expect("an array of the type's kind");
        match read(view, 0, cast, &mut scratch) {
            Ok(cell) => {
                let found = seen(cell.expect("a value"), a, &common);
                assert_eq!(found, want, "{a:?} in {common}, which it makes with {b:?}");
                kept += 1;
            }
            // The scale gave way to the digits in front.
            Err("the number has more digits behind the point than the column holds") => {
                assert!(matches!(a, ColumnType::Decimal { scale, .. } if scale > 0), "{a:?} in {common}");
            }
            Err(why) => {
                let rounds = why == "a DOUBLE would round the number" && common == DataType::Double;
                let cut = why == "the number has more digits than the column holds"
                    && matches!(common, DataType::Decimal { precision: 38, .. });
                assert!(rounds || cut, "{a:?} in {common}: {why}");
                refused += 1;
            }
        }
    }
    assert!(kept > 100 * refused, "{kept} kept, {refused} refused");
}

/// Within integers, decimals that 38 digits hold together, and times, it does not matter which of three columns meet first.
#[test]
fn the_order_in_which_three_columns_meet_does_not_matter_within_a_family() {
    let mut rng = random();
    let integers = [DataType::Tinyint, DataType::Smallint, DataType::Int, DataType::Bigint];
    let times = [DataType::Date, DataType::TimestampNtz, DataType::Timestamp];
    for round in 0..ROUNDS {
        let mut any = || match round % 3 {
            0 => integers.choose(&mut rng).cloned().expect("an integer"),
            1 => times.choose(&mut rng).cloned().expect("a time"),
            _ => {
                let scale = rng.random_range(0..=18);
                let whole: u32 = rng.random_range(u32::from(scale == 0)..=20);
                DataType::Decimal { precision: whole + scale, scale }
            }
        };
        let (a, b, c) = (any(), any(), any());
        let meet = |a: &DataType, b: &DataType| least_common(a, b);
        assert_eq!(meet(&meet(&a, &b), &c), meet(&a, &meet(&b, &c)), "{a}, {b}, {c}");
        if round % 3 < 2 {
            assert_eq!(meet(&a, &meet(&a, &b)), meet(&a, &b), "{a}, {b}");
        }
    }
}
