use arrow::array::{Array, AsArray};

use super::*;
use crate::abi::{ByteStrings, Vector, VectorData};

fn column(column_type: ColumnType) -> Column {
    Column {
        name: "c".into(),
        column_type,
        nullable: true,
        source_type: "".into(),
        default: Default::default(),
        charset: None,
        comment: None,
    }
}

fn ints(values: &[i64]) -> VectorData {
    VectorData::Ints(values.to_vec())
}

fn texts(values: &[&str]) -> VectorData {
    let mut offsets = vec![0];
    let mut data = Vec::new();
    for value in values {
        data.extend_from_slice(value.as_bytes());
        offsets.push(data.len() as u32);
    }
    VectorData::Bytes(ByteStrings { offsets, data })
}

fn one(column_type: ColumnType, data: VectorData) -> Result<ArrayRef, String> {
    array(&column(column_type), Vector { validity: None, data }, 1)
}

#[test]
fn a_value_outside_its_type_is_refused_and_the_ends_are_not() {
    use ColumnType as T;
    let decimal = |precision, scale| T::Decimal { precision, scale };
    let cases: [(ColumnType, &[i64], &[i64]); 11] = [
        (T::Boolean, &[0, 1], &[-1, 2]),
        (T::TinyInt, &[-128, 127], &[-129, 128]),
        (T::SmallInt, &[-32_768, 32_767], &[-32_769, 32_768]),
        (T::Int, &[-2_147_483_648, 2_147_483_647], &[-2_147_483_649, 2_147_483_648]),
        (T::BigInt, &[i64::MIN, i64::MAX], &[]),
        (decimal(3, 1), &[-999, 999], &[-1_000, 1_000]),
        (decimal(18, 0), &[999_999_999_999_999_999], &[1_000_000_000_000_000_000]),
        (T::Date, &[-719_528, 2_932_896], &[-719_529, 2_932_897]),
        (T::Time { fraction: 6 }, &[3_020_399_999_999, -3_020_399_999_999], &[3_020_400_000_000]),
        (T::DateTime { fraction: 3 }, &[-62_167_219_200_000_000, 1_000], &[1, 253_402_300_800_000_000]),
        (T::Timestamp { fraction: 0 }, &[-1_000_000, 0], &[999_999, i64::MIN]),
    ];
    for (column_type, good, bad) in cases {
        for value in good {
            assert!(one(column_type, ints(&[*value])).is_ok(), "{column_type} {value}");
        }
        for value in bad {
            let reason = one(column_type, ints(&[*value])).expect_err("it is refused");
            assert!(reason.contains("the value of row 0 is not a"), "{reason}");
            assert!(
                !reason.contains(&value.to_string()) || value.abs() < 10,
                "the value itself is not told: {reason}"
            );
        }
    }
    assert!(one(T::Bit { width: 3 }, VectorData::Uints(vec![7])).is_ok());
    assert!(one(T::Bit { width: 3 }, VectorData::Uints(vec![8])).is_err());
    assert!(one(T::Bit { width: 64 }, VectorData::Uints(vec![u64::MAX])).is_ok());
}

#[test]
fn a_decimal_text_must_be_plain_and_fit() {
    let wide = ColumnType::Decimal { precision: 20, scale: 2 };
    for (text, wanted) in [
        ("1", Some(100)),
        ("-0.05", Some(-5)),
        ("00012.3", Some(1_230)),
        ("999999999999999999.99", Some(99_999_999_999_999_999_999)),
        ("1000000000000000000.00", None),
        ("1.005", None),
        ("", None),
        ("-", None),
        (".5", None),
        ("5.", None),
        ("+5", None),
        ("1e5", None),
        ("1.2.3", None),
        ("--5", None),
        ("٣", None),
    ] {
        let found = one(wide, texts(&[text])).ok();
        let value = found.map(|array| array.as_primitive::<Decimal128Type>().value(0));
        assert_eq!(value, wanted, "{text}");
    }
    let widest = ColumnType::Decimal { precision: 65, scale: 0 };
    assert!(one(widest, texts(&[&"9".repeat(65)])).is_ok());
    assert!(one(widest, texts(&[&"9".repeat(66)])).is_err());
    assert!(one(widest, texts(&["0.5"])).is_err());
}

#[test]
fn json_must_be_json() {
    assert!(one(ColumnType::Json, texts(&[r#"{"a": [1]}"#])).is_ok());
    assert!(one(ColumnType::Json, texts(&["{a: 1}"])).is_err());
    assert!(one(ColumnType::Json, texts(&[""])).is_err());
}

#[test]
fn a_float_is_rounded_to_single_precision_and_may_not_overflow_it() {
    let rounded = one(ColumnType::Float, VectorData::Floats(vec![0.1])).expect("it fits");
    assert_eq!(rounded.as_primitive::<arrow::datatypes::Float64Type>().value(0), f64::from(0.1_f32));
    assert!(one(ColumnType::Float, VectorData::Floats(vec![1e39])).is_err());
    assert!(one(ColumnType::Double, VectorData::Floats(vec![1e39])).is_ok());
}

#[test]
fn what_stands_behind_a_null_means_nothing() {
    let null = |column_type, data| {
        array(&column(column_type), Vector { validity: Some(vec![0b1111_1110]), data }, 1)
    };
    assert!(null(ColumnType::Boolean, ints(&[77])).is_ok());
    assert!(null(ColumnType::Json, texts(&["{"])).is_ok());
    assert!(null(ColumnType::Decimal { precision: 30, scale: 0 }, texts(&["x"])).is_ok());
    let vector = Vector { validity: Some(vec![0b1]), data: ints(&[1]) };
    let array = array(&column(ColumnType::Int), vector, 1).expect("it is valid");
    assert!(array.nulls().is_none(), "a bitmap without nulls is left out");
}

#[test]
fn lists_that_are_not_as_long_as_the_batch_are_refused() {
    let two = |column_type, data| array(&column(column_type), Vector { validity: None, data }, 2);
    assert!(two(ColumnType::Int, ints(&[1])).is_err());
    assert!(two(ColumnType::Int, ints(&[1, 2, 3])).is_err());
    assert!(two(ColumnType::Text, texts(&["a"])).is_err());
    let offsets = |offsets: &[u32]| {
        let strings = ByteStrings { offsets: offsets.to_vec(), data: b"abc".to_vec() };
        two(ColumnType::Binary, VectorData::Bytes(strings)).is_ok()
    };
    assert!(offsets(&[0, 1, 3]));
    for bad in [&[0, 1, 2][..], &[0, 1, 4], &[0, 4, 3], &[1, 1, 3], &[0, u32::MAX, 3], &[]] {
        assert!(!offsets(bad), "{bad:?}");
    }
}

#[test]
fn an_empty_array_is_of_its_columns_kind() {
    let decimal = ColumnType::Decimal { precision: 20, scale: 2 };
    assert_eq!(empty(decimal).data_type(), &DataType::Decimal128(20, 2));
    assert_eq!(empty(ColumnType::Json).data_type(), &DataType::Utf8);
}
