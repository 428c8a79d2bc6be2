//! One value on its way from an Arrow array to a record: read, cast, checked, without allocating.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{Decimal128Type, Float64Type, Int64Type, UInt64Type};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sluicebox_maxcompute::bucket::Hasher;
use sluicebox_maxcompute::record::Record;
use sluicebox_model::{ColumnType, Physical};

use super::mapping::Cast;

/// The service takes no longer STRING and BINARY values.
pub const MAX_VALUE_BYTES: usize = 8 * 1024 * 1024;
const MICROS: i64 = 1_000_000;
const DAY_SECONDS: i64 = 86_400;
/// Microseconds of a day.
pub const DAY_MICROS: i64 = DAY_SECONDS * MICROS;

/// A column's values, down to the slices.
#[derive(Debug, Clone, Copy)]
pub enum Values<'a> {
    Int64(&'a [i64]),
    UInt64(&'a [u64]),
    Float64(&'a [f64]),
    Decimal128(&'a [i128]),
    Bytes { offsets: &'a [i32], data: &'a [u8] },
}

/// A column of a batch, ready to be read row by row.
#[derive(Debug, Clone, Copy)]
pub struct ColumnView<'a> {
    nulls: Option<&'a NullBuffer>,
    values: Values<'a>,
}

impl<'a> ColumnView<'a> {
    /// Looks into an array; none when it is not of the kind that its column's type names.
    pub fn new(array: &'a ArrayRef, column_type: ColumnType) -> Option<Self> {
        let values = match column_type.physical() {
            Physical::Int64 => Values::Int64(array.as_primitive_opt::<Int64Type>()?.values()),
            Physical::UInt64 => Values::UInt64(array.as_primitive_opt::<UInt64Type>()?.values()),
            Physical::Float64 => Values::Float64(array.as_primitive_opt::<Float64Type>()?.values()),
            Physical::Decimal128 => Values::Decimal128(array.as_primitive_opt::<Decimal128Type>()?.values()),
            Physical::Utf8 => {
                let text = array.as_string_opt::<i32>()?;
                Values::Bytes { offsets: text.value_offsets(), data: text.value_data() }
            }
            Physical::Binary => {
                let bytes = array.as_binary_opt::<i32>()?;
                Values::Bytes { offsets: bytes.value_offsets(), data: bytes.value_data() }
            }
        };
        Some(Self { nulls: array.nulls(), values })
    }

    /// The number of a row, where the column holds whole numbers; none for a null.
    pub fn number(&self, row: usize) -> Option<i64> {
        match self.values {
            Values::Int64(v) if !self.is_null(row) => Some(v[row]),
            _ => None,
        }
    }

    fn is_null(&self, row: usize) -> bool {
        self.nulls.is_some_and(|nulls| nulls.is_null(row))
    }

    /// Whether two rows hold the same value.
    pub fn same(&self, a: usize, b: usize) -> bool {
        if self.is_null(a) || self.is_null(b) {
            return self.is_null(a) && self.is_null(b);
        }
        match self.values {
            Values::Int64(v) => v[a] == v[b],
            Values::UInt64(v) => v[a] == v[b],
            Values::Float64(v) => v[a].to_bits() == v[b].to_bits(),
            Values::Decimal128(v) => v[a] == v[b],
            Values::Bytes { offsets, data } => slice(offsets, data, a) == slice(offsets, data, b),
        }
    }
}

fn slice<'a>(offsets: &[i32], data: &'a [u8], row: usize) -> &'a [u8] {
    let place = |offset: i32| usize::try_from(offset).unwrap_or(0);
    &data[place(offsets[row])..place(offsets[row + 1])]
}

/// A value as the service takes it.
#[derive(Debug, Clone, Copy)]
pub enum Cell<'a> {
    Integer(i64),
    Boolean(bool),
    Float(f32),
    Double(f64),
    Date(i32),
    Timestamp { seconds: i64, nanos: u32 },
    Decimal { unscaled: i128, precision: u8, text: &'a [u8] },
    Text(&'a [u8]),
    Bytes(&'a [u8]),
}

/// Why a value does not fit.
pub type Misfit = &'static str;

/// Reads and casts the value of a row. `scratch` holds rendered text until the next call.
pub fn read<'a>(
    column: ColumnView<'a>,
    row: usize,
    cast: Cast,
    scratch: &'a mut Scratch,
) -> Result<Option<Cell<'a>>, Misfit> {
    if column.is_null(row) {
        return Ok(None);
    }
    scratch.clear();
    let cell = match (column.values, cast) {
        (Values::Int64(v), Cast::Integer { min, max }) if (min..=max).contains(&v[row]) => {
            Cell::Integer(v[row])
        }
        (Values::Int64(_), Cast::Integer { .. }) => return Err("the number is out of the column's range"),
        (Values::Int64(v), Cast::Boolean) => Cell::Boolean(v[row] != 0),
        (Values::Int64(v), Cast::Date) => {
            Cell::Date(i32::try_from(v[row]).map_err(|_| "the day is out of range")?)
        }
        (Values::Int64(v), Cast::Timestamp) => timestamp(v[row]),
        (Values::Int64(v), Cast::Double) => Cell::Double(exact_double(v[row])?),
        // Exact: only integers of at most 16 bits are cast to FLOAT.
        #[allow(clippy::cast_precision_loss)]
        (Values::Int64(v), Cast::Float) => Cell::Float(v[row] as f32),
        (Values::Int64(v), Cast::Midnight) => {
            timestamp(v[row].checked_mul(DAY_SECONDS * MICROS).ok_or("the day is out of range")?)
        }
        (Values::Int64(v), Cast::Decimal { shift, precision, scale }) => {
            decimal(v[row].into(), shift, precision, scale, scratch)?
        }
        (Values::Decimal128(v), Cast::Decimal { shift, precision, scale }) => {
            decimal(v[row], shift, precision, scale, scratch)?
        }
        (Values::UInt64(v), Cast::Decimal { shift, precision, scale }) => {
            decimal(v[row].into(), shift, precision, scale, scratch)?
        }
        (Values::UInt64(v), Cast::BitBytes { bytes }) => {
            scratch.push_bytes(&v[row].to_le_bytes()[..usize::from(bytes).min(8)]);
            Cell::Bytes(scratch.bytes())
        }
        (Values::UInt64(v), Cast::BitText { bytes }) => {
            let bits = v[row].to_le_bytes();
            scratch.text(|out| push_base64(out, &bits[..usize::from(bytes).min(8)]))
        }
        (Values::UInt64(v), Cast::UnsignedText) => scratch.text(|out| scratch_decimal(out, v[row].into(), 0)),
        // Exact: FLOAT columns hold widened singles.
        #[allow(clippy::cast_possible_truncation)]
        (Values::Float64(v), Cast::Float) => Cell::Float(v[row] as f32),
        (Values::Float64(v), Cast::Double) => Cell::Double(v[row]),
        (Values::Float64(v), Cast::DoubleText) => {
            let value = v[row];
            scratch.text(|out| push_float(out, value, format_args!("{value:?}"), format_args!("{value:E}")))
        }
        // Exact: FLOAT columns hold widened singles.
        #[allow(clippy::cast_possible_truncation)]
        (Values::Float64(v), Cast::FloatText) => {
            let value = v[row] as f32;
            let plain = format_args!("{value:?}");
            scratch.text(|out| push_float(out, value.into(), plain, format_args!("{value:E}")))
        }
        (Values::Int64(v), Cast::IntegerText) => scratch.text(|out| scratch_decimal(out, v[row].into(), 0)),
        (Values::Int64(v), Cast::DecimalText { scale }) => {
            scratch.text(|out| scratch_decimal(out, v[row].into(), scale))
        }
        (Values::Decimal128(v), Cast::DecimalText { scale }) => {
            scratch.text(|out| scratch_decimal(out, v[row], scale))
        }
        (Values::Int64(v), Cast::BooleanText) => Cell::Text(if v[row] != 0 { b"true" } else { b"false" }),
        (Values::Int64(v), Cast::DateText) => scratch.text(|out| push_date(out, v[row])),
        (Values::Int64(v), Cast::TimeText) => scratch.text(|out| push_time(out, v[row])),
        (Values::Int64(v), Cast::TimestampText) => scratch.text(|out| {
            push_date(out, v[row].div_euclid(MICROS).div_euclid(DAY_SECONDS));
            out.push(b'T');
            push_time(out, v[row].rem_euclid(MICROS * DAY_SECONDS));
        }),
        (Values::Bytes { offsets, data }, Cast::Text) => Cell::Text(short(slice(offsets, data, row))?),
        (Values::Bytes { offsets, data }, Cast::Bytes) => Cell::Bytes(short(slice(offsets, data, row))?),
        (Values::Bytes { offsets, data }, Cast::BytesText) => {
            let bytes = slice(offsets, data, row);
            short_text(bytes.len().div_ceil(3).saturating_mul(4))?;
            scratch.text(|out| push_base64(out, bytes))
        }
        _ => return Err("its kind has no way into the column's type"),
    };
    Ok(Some(cell))
}

fn short(bytes: &[u8]) -> Result<&[u8], Misfit> {
    short_text(bytes.len()).map(|()| bytes)
}

fn short_text(bytes: usize) -> Result<(), Misfit> {
    if bytes <= MAX_VALUE_BYTES { Ok(()) } else { Err("the service takes at most 8 MiB in one value") }
}

/// The number as a double, if that is the same number: up to 2^53 all are.
fn exact_double(value: i64) -> Result<f64, Misfit> {
    #[allow(clippy::cast_precision_loss)]
    let double = value as f64;
    // Compared as 128-bit integers: the cast back to 64 bits would take 2^63 for its neighbour.
    #[allow(clippy::cast_possible_truncation)]
    let back = double as i128;
    if back == i128::from(value) { Ok(double) } else { Err("a DOUBLE would round the number") }
}

/// An instant, in microseconds since 1970 of UTC.
pub fn timestamp(micros: i64) -> Cell<'static> {
    let nanos = micros.rem_euclid(MICROS) * 1000;
    // Below 10^9 by construction.
    Cell::Timestamp { seconds: micros.div_euclid(MICROS), nanos: u32::try_from(nanos).unwrap_or(0) }
}

fn decimal(
    value: i128,
    shift: i8,
    precision: u8,
    scale: u8,
    scratch: &mut Scratch,
) -> Result<Cell<'_>, Misfit> {
    const OUT: Misfit = "the number has more digits than the column holds";
    const CUT: Misfit = "the number has more digits behind the point than the column holds";
    let unit = 10_i128.pow(u32::from(shift.unsigned_abs()).min(38));
    let unscaled = match shift {
        0.. => value.checked_mul(unit).ok_or(OUT)?,
        _ if value % unit != 0 => return Err(CUT),
        _ => value / unit,
    };
    if unscaled.unsigned_abs() >= 10_u128.pow(u32::from(precision).min(38)) {
        return Err(OUT);
    }
    scratch_decimal(&mut scratch.0, unscaled, scale);
    Ok(Cell::Decimal { unscaled, precision, text: &scratch.0 })
}

/// Room for one rendered value; grows to the longest and is used again.
#[derive(Debug, Default)]
pub struct Scratch(Vec<u8>);

impl Scratch {
    fn clear(&mut self) {
        self.0.clear();
    }

    fn push_bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn text(&mut self, render: impl FnOnce(&mut Vec<u8>)) -> Cell<'_> {
        render(&mut self.0);
        Cell::Text(&self.0)
    }
}

/// Plain decimal text of `unscaled` · 10^-`scale`.
fn scratch_decimal(out: &mut Vec<u8>, unscaled: i128, scale: u8) {
    let mut digits = [0_u8; 40];
    let mut at = digits.len();
    let mut rest = unscaled.unsigned_abs();
    // 64-bit division where it is enough: 128-bit division is a library call.
    while rest > u128::from(u64::MAX) {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
    let mut rest = u64::try_from(rest).unwrap_or(0);
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if unscaled < 0 {
        out.push(b'-');
    }
    let digits = &digits[at..];
    let scale = usize::from(scale);
    if digits.len() <= scale {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', scale - digits.len()));
        out.extend_from_slice(digits);
    } else {
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        out.extend_from_slice(whole);
        if scale > 0 {
            out.push(b'.');
            out.extend_from_slice(fraction);
        }
    }
}

/// Base64 with padding, as Flink CDC writes bytes into text.
fn push_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    // The room is what base64 takes: it cannot fail, and what is written is all of it.
    let written = STANDARD.encode_slice(bytes, &mut out[start..]).unwrap_or(0);
    out.truncate(start + written);
}

/// The shortest text that reads back, as Java prints it: `7.0`, `1.0E10`, `1.5E-5`. `digits`: of the number itself, in
/// scientific form; they differ between single and double precision.
fn push_float(
    out: &mut Vec<u8>,
    value: f64,
    plain: std::fmt::Arguments<'_>,
    digits: std::fmt::Arguments<'_>,
) {
    use std::io::Write as _;
    let size = value.abs();
    // Writing into memory cannot fail.
    if value == 0.0 || (1e-3..1e7).contains(&size) {
        let _ = out.write_fmt(plain);
        return;
    }
    let start = out.len();
    let _ = out.write_fmt(digits);
    if let Some(at) = out[start..].iter().position(|&b| b == b'E')
        && !out[start..start + at].contains(&b'.')
    {
        out.splice(start + at..start + at, *b".0");
    }
}

fn push_number(out: &mut Vec<u8>, value: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    let mut rest = value;
    while rest > 0 || digits.len() - at < width {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
    out.extend_from_slice(&digits[at..]);
}

/// `2024-02-29` of days since 1970-01-01.
pub(crate) fn push_date(out: &mut Vec<u8>, days: i64) {
    // Days since 0000-03-01, in 400-year cycles: the leap day is then the last of its year.
    let days = days + 719_468;
    let (cycle, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year + cycle * 400 + i64::from(month <= 2);
    push_number(out, year.unsigned_abs(), 4);
    out.push(b'-');
    push_number(out, month.unsigned_abs(), 2);
    out.push(b'-');
    push_number(out, day_of_month.unsigned_abs(), 2);
}

/// `10:15`, `10:15:30`, `-838:59:59.999999`: seconds left out when zero, the fraction in groups of three.
fn push_time(out: &mut Vec<u8>, micros: i64) {
    if micros < 0 {
        out.push(b'-');
    }
    let magnitude = micros.unsigned_abs();
    let (seconds, fraction) = (magnitude / 1_000_000, magnitude % 1_000_000);
    push_number(out, seconds / 3600, 2);
    out.push(b':');
    push_number(out, seconds / 60 % 60, 2);
    if seconds % 60 > 0 || fraction > 0 {
        out.push(b':');
        push_number(out, seconds % 60, 2);
    }
    if fraction > 0 {
        out.push(b'.');
        if fraction.is_multiple_of(1000) {
            push_number(out, fraction / 1000, 3);
        } else {
            push_number(out, fraction, 6);
        }
    }
}

impl Cell<'_> {
    /// Writes the value as a field.
    pub fn write(self, record: &mut Record<'_>, column: u32) {
        match self {
            Cell::Integer(value) => record.bigint(column, value),
            Cell::Boolean(value) => record.boolean(column, value),
            Cell::Float(value) => record.float(column, value),
            Cell::Double(value) => record.double(column, value),
            Cell::Date(days) => record.date(column, days),
            Cell::Timestamp { seconds, nanos } => record.timestamp(column, seconds, nanos),
            Cell::Decimal { text, .. } | Cell::Text(text) | Cell::Bytes(text) => record.text(column, text),
        }
    }

    /// Its text as a partition's value. The service takes no empty one, at most 255 bytes, and none of the letters that
    /// separate names, values and folders.
    pub fn partition_value(self, out: &mut String) -> Result<(), Misfit> {
        const LONGEST: usize = 255;
        match self {
            Cell::Integer(value) => {
                use std::fmt::Write as _;
                // Writing into memory cannot fail.
                let _ = write!(out, "{value}");
                Ok(())
            }
            Cell::Text(bytes) => {
                let text = std::str::from_utf8(bytes).map_err(|_| "a partition's value is not UTF-8")?;
                let separates = |c: char| matches!(c, ',' | '=' | '/' | '\\' | '\'' | '"') || c.is_control();
                if text.is_empty() || text.len() > LONGEST || text.contains(separates) {
                    return Err(
                        "the service takes no partition of this value: 1 to 255 bytes without , = / \\ ' \"",
                    );
                }
                out.push_str(text);
                Ok(())
            }
            _ => Err("a partition column is neither text nor a whole number"),
        }
    }

    /// Its part of the bucket hash.
    pub fn hash(self, hasher: Hasher) -> i32 {
        match self {
            Cell::Integer(value) => hasher.bigint(value),
            Cell::Boolean(value) => hasher.boolean(value),
            Cell::Float(value) => hasher.float(value),
            Cell::Double(value) => hasher.double(value),
            Cell::Date(days) => hasher.date(days),
            Cell::Timestamp { seconds, nanos } => hasher.timestamp(seconds, nanos),
            Cell::Decimal { unscaled, precision, .. } => hasher.decimal(unscaled, precision.into()),
            Cell::Text(bytes) => hasher.text(bytes),
            Cell::Bytes(bytes) => hasher.binary(bytes),
        }
    }

    /// Bytes that are equal exactly when two values of one column are.
    pub fn identify(self, out: &mut Vec<u8>) {
        match self {
            Cell::Integer(value) => out.extend_from_slice(&value.to_le_bytes()),
            Cell::Boolean(value) => out.push(u8::from(value)),
            // Both zeros are one value.
            Cell::Float(value) => out.extend_from_slice(&(value + 0.0).to_le_bytes()),
            Cell::Double(value) => out.extend_from_slice(&(value + 0.0).to_le_bytes()),
            Cell::Date(days) => out.extend_from_slice(&days.to_le_bytes()),
            Cell::Timestamp { seconds, nanos } => {
                out.extend_from_slice(&seconds.to_le_bytes());
                out.extend_from_slice(&nanos.to_le_bytes());
            }
            Cell::Decimal { unscaled, .. } => out.extend_from_slice(&unscaled.to_le_bytes()),
            Cell::Text(bytes) | Cell::Bytes(bytes) => {
                out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
                out.extend_from_slice(bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(render: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        render(&mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn decimals_print_plain() {
        for (unscaled, scale, text) in [
            (0, 0, "0"),
            (0, 2, "0.00"),
            (-1, 2, "-0.01"),
            (123_456, 2, "1234.56"),
            (7, 0, "7"),
            (
                -99_999_999_999_999_999_999_999_999_999_999_999_999,
                18,
                "-99999999999999999999.999999999999999999",
            ),
            (18_446_744_073_709_551_616, 0, "18446744073709551616"),
            (18_446_744_073_709_551_615, 0, "18446744073709551615"),
        ] {
            assert_eq!(rendered(|out| scratch_decimal(out, unscaled, scale)), text);
        }
    }

    #[test]
    fn digits_behind_the_point_go_only_where_they_are_zeros() {
        let mut scratch = Scratch::default();
        let Ok(Cell::Decimal { unscaled, text, .. }) = decimal(50_000, -4, 38, 0, &mut scratch) else {
            panic!("5.0000 is 5")
        };
        assert_eq!((unscaled, text), (5, &b"5"[..]));
        assert!(decimal(50_001, -4, 38, 0, &mut scratch).is_err_and(|why| why.contains("behind the point")));
        assert!(decimal(-50_000, -3, 38, 1, &mut scratch).is_ok());
    }

    #[test]
    fn bytes_print_as_base64() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"f", "Zg=="),
            (b"fo", "Zm8="),
            (b"foo", "Zm9v"),
            (b"foobar", "Zm9vYmFy"),
            (&[0xff, 0xfe, 0xfd, 0x00], "//79AA=="),
        ] {
            assert_eq!(rendered(|out| push_base64(out, bytes)), text);
        }
    }

    #[test]
    fn floats_print_as_java_does() {
        let double =
            |v: f64| rendered(|out| push_float(out, v, format_args!("{v:?}"), format_args!("{v:E}")));
        let single =
            |v: f32| rendered(|out| push_float(out, v.into(), format_args!("{v:?}"), format_args!("{v:E}")));
        for (value, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (7.0, "7.0"),
            (0.001, "0.001"),
            (9_999_999.5, "9999999.5"),
            (1e7, "1.0E7"),
            (-12_345_678.9, "-1.23456789E7"),
            (0.000_15, "1.5E-4"),
            (1e300, "1.0E300"),
        ] {
            assert_eq!(double(value), text);
        }
        assert_eq!(single(0.1), "0.1");
        assert_eq!(single(3.4e38), "3.4E38");
    }

    #[test]
    fn a_double_takes_integers_that_it_does_not_round() {
        let largest = 1_i64 << 53;
        for exact in [0, -1, largest, -largest, i64::MIN, largest + 2] {
            assert!(exact_double(exact).is_ok(), "{exact}");
        }
        for rounded in [largest + 1, -largest - 1, i64::MAX] {
            assert!(exact_double(rounded).is_err(), "{rounded}");
        }
    }

    #[test]
    fn times_leave_out_what_is_zero() {
        for (micros, text) in [
            (0, "00:00"),
            (36_900_000_000, "10:15"),
            (1_234_567_000, "00:20:34.567"),
            (1, "00:00:00.000001"),
            (-3_020_399_999_999, "-838:59:59.999999"),
        ] {
            assert_eq!(rendered(|out| push_time(out, micros)), text);
        }
    }

    #[test]
    fn days_print_as_dates() {
        for (days, text) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (19_782, "2024-02-29"),
            (-719_162, "0001-01-01"),
            (2_932_896, "9999-12-31"),
        ] {
            assert_eq!(rendered(|out| push_date(out, days)), text);
        }
    }
}
