//! One value as JSON, and back.
//!
//! The forms are MySQL's own, so that a value can be copied from a client's output: integers and floats are numbers, booleans
//! `true` and `false`, decimals texts (a JSON number would be rounded by most readers), dates `2024-02-29`, times
//! `-838:59:59.5`, date-times `2024-02-29 12:30:00`, timestamps the same in UTC with a `Z`, bytes hexadecimal behind `0x`.
//! Whatever is written is read back as the same value; reading also takes the other usual forms.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Decimal128Array, Float64Array, Int64Array, StringArray,
    UInt64Array,
};
use arrow::datatypes::{Decimal128Type, Float64Type, Int64Type, UInt64Type};
use serde_json::Value;
use sluicebox_model::{Column, ColumnType, Physical};

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// The value of a row; null also where the array is not of the kind that its column's type names.
pub(super) fn to_json(array: &ArrayRef, row: usize, column_type: ColumnType) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    let found = match column_type.physical() {
        Physical::Int64 => {
            array.as_primitive_opt::<Int64Type>().map(|a| integer_to_json(a.value(row), column_type))
        }
        Physical::UInt64 => array.as_primitive_opt::<UInt64Type>().map(|a| a.value(row).into()),
        Physical::Float64 => {
            array.as_primitive_opt::<Float64Type>().map(|a| float_to_json(a.value(row), column_type))
        }
        Physical::Decimal128 => array
            .as_primitive_opt::<Decimal128Type>()
            .map(|a| decimal_text(a.value(row), scale_of(column_type)).into()),
        Physical::Utf8 => array.as_string_opt::<i32>().map(|a| a.value(row).into()),
        Physical::Binary => array.as_binary_opt::<i32>().map(|a| hex(a.value(row)).into()),
    };
    found.unwrap_or(Value::Null)
}

fn integer_to_json(value: i64, column_type: ColumnType) -> Value {
    use ColumnType as T;
    match column_type {
        T::Boolean if value == 0 || value == 1 => (value == 1).into(),
        T::Decimal { scale, .. } => decimal_text(value.into(), scale).into(),
        T::Date => date_text(value).into(),
        T::Time { .. } => time_text(value).into(),
        T::DateTime { .. } => moment_text(value).into(),
        T::Timestamp { .. } => format!("{}Z", moment_text(value)).into(),
        _ => value.into(),
    }
}

/// A `FLOAT` has the digits of a single: 0.1 and not 0.10000000149011612.
fn float_to_json(value: f64, column_type: ColumnType) -> Value {
    #[allow(clippy::cast_possible_truncation, reason = "a FLOAT column holds widened singles")]
    let value = if column_type == ColumnType::Float {
        (value as f32).to_string().parse().unwrap_or(value)
    } else {
        value
    };
    // JSON has no number for what is not finite.
    serde_json::Number::from_f64(value).map_or_else(|| value.to_string().into(), Value::Number)
}

fn scale_of(column_type: ColumnType) -> u8 {
    match column_type {
        ColumnType::Decimal { scale, .. } => scale,
        _ => 0,
    }
}

/// One column of rows; each value by its row's number, for messages.
pub(super) fn to_array(column: &Column, values: &[Value]) -> Result<ArrayRef, String> {
    let column_type = column.column_type;
    let fail = |row: usize, what: String| format!("row {}: column `{}`: {what}", row + 1, column.name);
    macro_rules! gather {
        ($read:expr) => {{
            values
                .iter()
                .enumerate()
                .map(|(row, value)| match value {
                    Value::Null if column.nullable => Ok(None),
                    Value::Null => Err(fail(row, "it may not be null".into())),
                    value => $read(value).map(Some).map_err(|what| fail(row, what)),
                })
                .collect::<Result<Vec<_>, String>>()?
        }};
    }
    Ok(match column_type.physical() {
        Physical::Int64 => Arc::new(Int64Array::from(gather!(|v| integer(v, column_type)))),
        Physical::UInt64 => Arc::new(UInt64Array::from(gather!(|v| unsigned(v, column_type)))),
        Physical::Float64 => Arc::new(Float64Array::from(gather!(|v| float(v, column_type)))),
        Physical::Decimal128 => {
            let ColumnType::Decimal { precision, scale } = column_type else {
                return Err(fail(0, "its type is no decimal; this is a defect of this program".into()));
            };
            let array = Decimal128Array::from(gather!(|v| unscaled(v, precision, scale)));
            let scale = i8::try_from(scale).unwrap_or(i8::MAX);
            Arc::new(array.with_precision_and_scale(precision, scale).map_err(|error| error.to_string())?)
        }
        Physical::Utf8 => Arc::new(StringArray::from(gather!(|v| text(v, column_type)))),
        Physical::Binary => {
            let bytes = gather!(bytes);
            Arc::new(bytes.iter().map(Option::as_deref).collect::<BinaryArray>())
        }
    })
}

/// A value as a text that the server compares with the column.
pub(crate) fn to_key_text(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Array(_) | Value::Object(_) => None,
        Value::Bool(value) => Some(u8::from(*value).to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
    }
}

fn expected(what: &str) -> String {
    format!("expected {what}")
}

fn range(column_type: ColumnType) -> (i64, i64) {
    match column_type {
        ColumnType::Boolean => (0, 1),
        ColumnType::TinyInt => (i8::MIN.into(), i8::MAX.into()),
        ColumnType::SmallInt => (i16::MIN.into(), i16::MAX.into()),
        ColumnType::Int => (i32::MIN.into(), i32::MAX.into()),
        _ => (i64::MIN, i64::MAX),
    }
}

fn integer(value: &Value, column_type: ColumnType) -> Result<i64, String> {
    use ColumnType as T;
    let as_text = value.as_str().map(str::trim);
    let wrong = |what: &str| expected(what);
    match column_type {
        T::Decimal { precision, scale } => {
            i64::try_from(unscaled(value, precision, scale)?).map_err(|_| wrong("a decimal"))
        }
        T::Date => as_text.and_then(parse_date).ok_or_else(|| wrong("a date such as \"2024-02-29\"")),
        T::Time { .. } => as_text.and_then(parse_time).ok_or_else(|| wrong("a time such as \"-12:30:00.5\"")),
        T::DateTime { .. } => {
            as_text.and_then(parse_moment).ok_or_else(|| wrong("a date-time such as \"2024-02-29 12:30:00\""))
        }
        T::Timestamp { .. } => as_text
            .map(|t| t.strip_suffix('Z').unwrap_or(t))
            .and_then(parse_moment)
            .ok_or_else(|| wrong("an instant in UTC such as \"2024-02-29 12:30:00Z\"")),
        _ => {
            let number = match value {
                Value::Bool(value) if column_type == T::Boolean => Some(i64::from(*value)),
                Value::Number(number) => number.as_i64(),
                Value::String(text) => text.parse().ok(),
                _ => None,
            };
            let (low, high) = range(column_type);
            number.filter(|n| (low..=high).contains(n)).ok_or_else(|| match column_type {
                T::Boolean => wrong("true or false"),
                _ => format!("expected an integer from {low} to {high}"),
            })
        }
    }
}

fn unsigned(value: &Value, column_type: ColumnType) -> Result<u64, String> {
    let high = match column_type {
        ColumnType::Bit { width: width @ 0..=63 } => (1_u64 << width) - 1,
        _ => u64::MAX,
    };
    let number = match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    number.filter(|n| *n <= high).ok_or_else(|| format!("expected an integer from 0 to {high}"))
}

fn float(value: &Value, column_type: ColumnType) -> Result<f64, String> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    let number: f64 = number.ok_or_else(|| expected("a number"))?;
    #[allow(clippy::cast_possible_truncation, reason = "rounded as the source rounds it")]
    Ok(if column_type == ColumnType::Float { f64::from(number as f32) } else { number })
}

/// The digits of a decimal as one integer, with exactly `scale` of them behind the point.
fn unscaled(value: &Value, precision: u8, scale: u8) -> Result<i128, String> {
    let wrong = || format!("expected a DECIMAL({precision},{scale}) such as \"12.50\"");
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        _ => return Err(wrong()),
    };
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.as_str()),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(fraction) || fraction.len() > usize::from(scale) {
        return Err(wrong());
    }
    let all = format!("{whole}{fraction}{}", "0".repeat(usize::from(scale) - fraction.len()));
    let number: i128 = all.parse().map_err(|_| wrong())?;
    if number >= 10_i128.pow(u32::from(precision).min(38)) {
        return Err(wrong());
    }
    Ok(if negative { -number } else { number })
}

fn text(value: &Value, column_type: ColumnType) -> Result<String, String> {
    match (value, column_type) {
        (Value::String(text), _) => Ok(text.clone()),
        (Value::Number(number), ColumnType::Decimal { .. }) => Ok(number.to_string()),
        // A document may also be written as one.
        (other, ColumnType::Json) => Ok(other.to_string()),
        _ => Err(expected("a text")),
    }
}

fn bytes(value: &Value) -> Result<Vec<u8>, String> {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x"));
    let read = |digits: &str| {
        let pair = |at: usize| digits.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        digits.len().is_multiple_of(2).then(|| (0..digits.len()).step_by(2).map(pair).collect())?
    };
    digits.and_then(read).ok_or_else(|| expected("bytes in hexadecimal such as \"0x00ff\""))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

fn decimal_text(unscaled: i128, scale: u8) -> String {
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = usize::from(scale) + 1);
    let (whole, fraction) = digits.split_at(digits.len() - usize::from(scale));
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

fn date_text(days: i64) -> String {
    let mut text = Vec::new();
    crate::sink::cell::push_date(&mut text, days);
    String::from_utf8_lossy(&text).into_owned()
}

fn time_text(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let (seconds, fraction) = (micros.unsigned_abs() / 1_000_000, micros.unsigned_abs() % 1_000_000);
    let fraction = if fraction == 0 { String::new() } else { format!(".{fraction:06}") };
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{sign}{hours:02}:{minutes:02}:{seconds:02}{}", fraction.trim_end_matches('0'))
}

fn moment_text(micros: i64) -> String {
    format!("{} {}", date_text(micros.div_euclid(DAY)), time_text(micros.rem_euclid(DAY)))
}

fn number(text: &str, digits: std::ops::RangeInclusive<usize>) -> Option<i64> {
    let plain = digits.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

/// Days since 1970-01-01.
fn parse_date(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, '-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let (year, month, day) = (number(year, 4..=4)?, number(month, 1..=2)?, number(day, 1..=2)?);
    if !(1..=12).contains(&month) || day == 0 {
        return None;
    }
    // Years begin in March, so that the leap day is the last of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let cycle = year.div_euclid(400);
    let year_of_cycle = year.rem_euclid(400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let days = year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100 + day_of_year;
    let days = cycle * 146_097 + days - 719_468;
    // A day that its month does not have comes out as one of the next.
    (date_text(days).rsplit('-').next() == Some(&format!("{day:02}"))).then_some(days)
}

/// Microseconds, signed.
fn parse_time(text: &str) -> Option<i64> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let mut parts = text.splitn(3, ':');
    let (hours, minutes) = (number(parts.next()?, 1..=3)?, number(parts.next()?, 1..=2)?);
    let (seconds, fraction) = match parts.next() {
        Some(seconds) => seconds.split_once('.').unwrap_or((seconds, "0")),
        None => ("0", "0"),
    };
    let seconds = number(seconds, 1..=2)?;
    let fraction = number(&format!("{fraction:0<6}"), 6..=6)?;
    if minutes > 59 || seconds > 59 || hours > 838 {
        return None;
    }
    Some(sign * (((hours * 60 + minutes) * 60 + seconds) * SECOND + fraction))
}

/// Microseconds since 1970-01-01T00:00:00 of the same calendar.
fn parse_moment(text: &str) -> Option<i64> {
    let (date, time) = text.split_once([' ', 'T']).unwrap_or((text, "00:00:00"));
    let time = parse_time(time).filter(|t| (0..DAY).contains(t))?;
    Some(parse_date(date)? * DAY + time)
}
