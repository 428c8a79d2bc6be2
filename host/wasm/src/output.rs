//! From what a guest gives back to Arrow's arrays, checked.
//!
//! Nothing that a guest gives is believed: lists are as long as the batch, offsets begin at 0, rise and end with the data,
//! texts are UTF-8 value by value, and every value that is not null lies in the range of its column's type. What is wrong is
//! said without the value.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, Decimal128Array, Float64Array, Int64Array, StringArray, UInt64Array,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Decimal128Type, DecimalType};
use sluicebox_model::{Column, ColumnType, Physical};

use crate::abi;

/// A bitmap of one bit a row, as the interface has it.
pub(crate) fn bitmap(bits: Vec<u8>, rows: usize, what: &str) -> Result<BooleanBuffer, String> {
    let bytes = rows.div_ceil(8);
    if bits.len() != bytes {
        return Err(format!("the bitmap of {what} has {} bytes, {rows} rows have {bytes}", bits.len()));
    }
    Ok(BooleanBuffer::new(Buffer::from_vec(bits), 0, rows))
}

/// A computed column's values for a batch of so many rows.
pub(crate) fn array(column: &Column, vector: abi::Vector, rows: usize) -> Result<ArrayRef, String> {
    let of_column = |reason: String| format!("column `{}`: {reason}", column.name);
    let nulls = nulls(column, vector.validity, rows).map_err(of_column)?;
    values(column.column_type, vector.data, nulls, rows).map_err(of_column)
}

fn nulls(column: &Column, validity: Option<Vec<u8>>, rows: usize) -> Result<Option<NullBuffer>, String> {
    let Some(bits) = validity else { return Ok(None) };
    let nulls = NullBuffer::new(bitmap(bits, rows, "nulls")?);
    if nulls.null_count() == 0 {
        return Ok(None);
    }
    if !column.nullable {
        return Err("it holds a null, which the plan excludes".into());
    }
    Ok(Some(nulls))
}

fn values(
    column_type: ColumnType,
    data: abi::VectorData,
    nulls: Option<NullBuffer>,
    rows: usize,
) -> Result<ArrayRef, String> {
    use abi::VectorData as D;
    Ok(match (column_type.physical(), data) {
        (Physical::Int64, D::Ints(values)) => {
            length(values.len(), rows)?;
            check_ints(column_type, &values, nulls.as_ref())?;
            Arc::new(Int64Array::new(ScalarBuffer::from(values), nulls))
        }
        (Physical::UInt64, D::Uints(values)) => {
            length(values.len(), rows)?;
            check_uints(column_type, &values, nulls.as_ref())?;
            Arc::new(UInt64Array::new(ScalarBuffer::from(values), nulls))
        }
        (Physical::Float64, D::Floats(values)) => {
            length(values.len(), rows)?;
            let values = check_floats(column_type, values, nulls.as_ref())?;
            Arc::new(Float64Array::new(ScalarBuffer::from(values), nulls))
        }
        (Physical::Decimal128, D::Bytes(strings)) => Arc::new(decimals(column_type, &strings, nulls, rows)?),
        (Physical::Utf8, D::Bytes(strings)) => {
            let (offsets, data) = byte_strings(strings, rows)?;
            let texts =
                StringArray::try_new(offsets, data, nulls).map_err(|_| "it holds what is not UTF-8")?;
            check_texts(column_type, &texts)?;
            Arc::new(texts)
        }
        (Physical::Binary, D::Bytes(strings)) => {
            let (offsets, data) = byte_strings(strings, rows)?;
            Arc::new(BinaryArray::try_new(offsets, data, nulls).map_err(|error| error.to_string())?)
        }
        (_, data) => return Err(format!("it came as a list of {}", list_name(&data))),
    })
}

fn list_name(data: &abi::VectorData) -> &'static str {
    match data {
        abi::VectorData::Ints(_) => "signed numbers",
        abi::VectorData::Uints(_) => "unsigned numbers",
        abi::VectorData::Floats(_) => "floating-point numbers",
        abi::VectorData::Bytes(_) => "texts or bytes",
    }
}

fn length(values: usize, rows: usize) -> Result<(), String> {
    if values == rows { Ok(()) } else { Err(format!("it has {values} values for {rows} rows")) }
}

/// Offsets and data as Arrow takes them; Arrow's own constructor would panic on what is refused here.
fn byte_strings(strings: abi::ByteStrings, rows: usize) -> Result<(OffsetBuffer<i32>, Buffer), String> {
    let abi::ByteStrings { offsets, data } = strings;
    if offsets.len() != rows + 1 {
        return Err(format!("it has {} offsets for {rows} rows", offsets.len()));
    }
    let in_order = offsets.first() == Some(&0) && offsets.is_sorted();
    let last = offsets.last().and_then(|&last| usize::try_from(last).ok());
    if !in_order || last != Some(data.len()) {
        return Err("its offsets do not begin at 0, rise and end with the data".into());
    }
    if i32::try_from(data.len()).is_err() {
        return Err("its values are above 2 GiB".into());
    }
    // None is above the last, which fits.
    let offsets: Vec<i32> = offsets.into_iter().map(u32::cast_signed).collect();
    Ok((OffsetBuffer::new(ScalarBuffer::from(offsets)), Buffer::from_vec(data)))
}

fn valid(nulls: Option<&NullBuffer>, row: usize) -> bool {
    nulls.is_none_or(|nulls| nulls.is_valid(row))
}

/// Days and microseconds of 0000-01-01 and of the end of 9999-12-31, counted from 1970-01-01.
const FIRST_DAY: i64 = -719_528;
const LAST_DAY: i64 = 2_932_896;
const DAY_MICROS: i64 = 86_400_000_000;
/// 838:59:59.999999, as far as a `TIME` goes.
const TIME_MICROS: i64 = (839 * 3600) * 1_000_000 - 1;

fn check_ints(column_type: ColumnType, values: &[i64], nulls: Option<&NullBuffer>) -> Result<(), String> {
    use ColumnType as T;
    let moments = (FIRST_DAY * DAY_MICROS, (LAST_DAY + 1) * DAY_MICROS - 1);
    let ((low, high), fraction) = match column_type {
        T::Boolean => ((0, 1), 6),
        T::TinyInt => ((i8::MIN.into(), i8::MAX.into()), 6),
        T::SmallInt => ((i16::MIN.into(), i16::MAX.into()), 6),
        T::Int => ((i32::MIN.into(), i32::MAX.into()), 6),
        T::Date => ((FIRST_DAY, LAST_DAY), 6),
        T::Time { fraction } => ((-TIME_MICROS, TIME_MICROS), fraction),
        T::DateTime { fraction } | T::Timestamp { fraction } => (moments, fraction),
        T::Decimal { precision, .. } => {
            let high = 10_i64.checked_pow(precision.into()).map_or(i64::MAX, |above| above - 1);
            ((-high, high), 6)
        }
        T::BigInt | T::UnsignedBigInt | T::Bit { .. } | T::Float | T::Double => return Ok(()),
        T::Text | T::Json | T::Binary => return Ok(()),
    };
    let step = 10_i64.pow(6 - u32::from(fraction.min(6)));
    let fits = |value: i64| low <= value && value <= high && (step == 1 || value % step == 0);
    match values.iter().enumerate().find(|(row, value)| !fits(**value) && valid(nulls, *row)) {
        None => Ok(()),
        Some((row, _)) => Err(format!("the value of row {row} is not a {column_type}")),
    }
}

fn check_uints(column_type: ColumnType, values: &[u64], nulls: Option<&NullBuffer>) -> Result<(), String> {
    let ColumnType::Bit { width: width @ 0..=63 } = column_type else { return Ok(()) };
    match values.iter().enumerate().find(|(row, value)| **value >> width != 0 && valid(nulls, *row)) {
        None => Ok(()),
        Some((row, _)) => Err(format!("the value of row {row} is not a {column_type}")),
    }
}

/// Values of a `FLOAT` column are rounded to single precision, as the source would round them.
fn check_floats(
    column_type: ColumnType,
    mut values: Vec<f64>,
    nulls: Option<&NullBuffer>,
) -> Result<Vec<f64>, String> {
    if column_type != ColumnType::Float {
        return Ok(values);
    }
    for (row, value) in values.iter_mut().enumerate() {
        let rounded = f64::from(*value as f32);
        if value.is_finite() && rounded.is_infinite() && valid(nulls, row) {
            return Err(format!("the value of row {row} is not a {column_type}"));
        }
        *value = rounded;
    }
    Ok(values)
}

fn check_texts(column_type: ColumnType, texts: &StringArray) -> Result<(), String> {
    let fits: &dyn Fn(&str) -> bool = match column_type {
        ColumnType::Json => &|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(),
        ColumnType::Decimal { precision, scale } => {
            &move |text| digits(text.as_bytes(), precision, scale).is_some()
        }
        _ => return Ok(()),
    };
    match texts.iter().position(|text| text.is_some_and(|text| !fits(text))) {
        None => Ok(()),
        Some(row) => Err(format!("the value of row {row} is not a {column_type}")),
    }
}

/// The digits of a plain decimal text before and behind the point; none when it is not one, or has more digits than the
/// type.
fn digits(text: &[u8], precision: u8, scale: u8) -> Option<(&[u8], &[u8])> {
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    let mut parts = unsigned.splitn(2, |byte| *byte == b'.');
    let (whole, fraction) = (parts.next()?, parts.next());
    if whole.is_empty() || fraction.is_some_and(<[u8]>::is_empty) {
        return None;
    }
    let fraction = fraction.unwrap_or_default();
    let zeros = whole.iter().take_while(|digit| **digit == b'0').count();
    let (precision, scale) = (usize::from(precision), usize::from(scale));
    let few = whole.len() - zeros <= precision.saturating_sub(scale) && fraction.len() <= scale;
    let plain = whole.iter().chain(fraction).all(u8::is_ascii_digit);
    (few && plain).then_some((whole, fraction))
}

fn unscaled(text: &[u8], precision: u8, scale: u8) -> Option<i128> {
    let (whole, fraction) = digits(text, precision, scale)?;
    let zeros = usize::from(scale).checked_sub(fraction.len())?;
    let all = whole.iter().chain(fraction).chain(std::iter::repeat_n(&b'0', zeros));
    let mut value = 0_i128;
    for digit in all {
        value = value.checked_mul(10)?.checked_add((digit - b'0').into())?;
    }
    Some(if text.starts_with(b"-") { -value } else { value })
}

fn decimals(
    column_type: ColumnType,
    strings: &abi::ByteStrings,
    nulls: Option<NullBuffer>,
    rows: usize,
) -> Result<Decimal128Array, String> {
    let ColumnType::Decimal { precision, scale } = column_type else {
        return Err("it is no decimal".into());
    };
    let (offsets, data) = byte_strings(strings.clone(), rows)?;
    let texts = BinaryArray::try_new(offsets, data, nulls.clone()).map_err(|error| error.to_string())?;
    let mut values = Vec::with_capacity(rows);
    for (row, text) in texts.iter().enumerate() {
        let value = text.map_or(Some(0), |text| unscaled(text, precision, scale));
        values.push(value.ok_or_else(|| format!("the value of row {row} is not a {column_type}"))?);
    }
    let arrow_scale = i8::try_from(scale).map_err(|error| error.to_string())?;
    let array = Decimal128Array::new(ScalarBuffer::from(values), nulls);
    array.with_precision_and_scale(precision, arrow_scale).map_err(|error| error.to_string())
}

/// An array without rows, of the kind that a column's values are held in.
pub(crate) fn empty(column_type: ColumnType) -> ArrayRef {
    let data_type = match (column_type.physical(), column_type) {
        (Physical::Int64, _) => DataType::Int64,
        (Physical::UInt64, _) => DataType::UInt64,
        (Physical::Float64, _) => DataType::Float64,
        (Physical::Decimal128, ColumnType::Decimal { precision, scale }) => {
            DataType::Decimal128(precision, i8::try_from(scale).unwrap_or(i8::MAX))
        }
        (Physical::Decimal128, _) => Decimal128Type::DEFAULT_TYPE,
        (Physical::Utf8, _) => DataType::Utf8,
        (Physical::Binary, _) => DataType::Binary,
    };
    arrow::array::new_empty_array(&data_type)
}

#[cfg(test)]
#[path = "output_tests.rs"]
mod tests;
