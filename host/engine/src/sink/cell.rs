//! One value on its way from an Arrow array to a record: read, cast, checked, without allocating.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{Decimal128Type, Float64Type, Int64Type, UInt64Type};
use sluicebox_maxcompute::bucket::Hasher;
use sluicebox_maxcompute::record::Record;
use sluicebox_model::{ColumnType, Physical};

use super::mapping::Cast;

/// The service takes no longer STRING and BINARY values.
pub const MAX_VALUE_BYTES: usize = 8 * 1024 * 1024;
const MICROS: i64 = 1_000_000;
const DAY_SECONDS: i64 = 86_400;

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
        // Exact: only integers of at most 32 bits are cast to DOUBLE.
        #[allow(clippy::cast_precision_loss)]
        (Values::Int64(v), Cast::Double) => Cell::Double(v[row] as f64),
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
        (Values::UInt64(v), Cast::UnsignedText) => scratch.text(|out| scratch_decimal(out, v[row].into(), 0)),
        // Exact: FLOAT columns hold widened singles.
        #[allow(clippy::cast_possible_truncation)]
        (Values::Float64(v), Cast::Float) => Cell::Float(v[row] as f32),
        (Values::Float64(v), Cast::Double) => Cell::Double(v[row]),
        (Values::Float64(v), Cast::FloatText) => scratch.format(format_args!("{:?}", v[row])),
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
        _ => return Err("its kind has no way into the column's type"),
    };
    Ok(Some(cell))
}

fn short(bytes: &[u8]) -> Result<&[u8], Misfit> {
    if bytes.len() <= MAX_VALUE_BYTES {
        Ok(bytes)
    } else {
        Err("the service takes at most 8 MiB in one value")
    }
}

fn timestamp(micros: i64) -> Cell<'static> {
    let nanos = micros.rem_euclid(MICROS) * 1000;
    // Below 10^9 by construction.
    Cell::Timestamp { seconds: micros.div_euclid(MICROS), nanos: u32::try_from(nanos).unwrap_or(0) }
}

fn decimal(
    value: i128,
    shift: u8,
    precision: u8,
    scale: u8,
    scratch: &mut Scratch,
) -> Result<Cell<'_>, Misfit> {
    const OUT: Misfit = "the number has more digits than the column holds";
    let unscaled = value.checked_mul(10_i128.pow(u32::from(shift).min(38))).ok_or(OUT)?;
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

    fn format(&mut self, arguments: std::fmt::Arguments<'_>) -> Cell<'_> {
        use std::io::Write as _;
        // Writing into memory cannot fail.
        let _ = self.0.write_fmt(arguments);
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
fn push_date(out: &mut Vec<u8>, days: i64) {
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
            Cell::Float(value) => out.extend_from_slice(&value.to_le_bytes()),
            Cell::Double(value) => out.extend_from_slice(&value.to_le_bytes()),
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
