//! From one type to another: `CAST`, `TRY_CAST`, and what brings arguments to the type that a function takes.
//!
//! A text that is no number becomes null. A text that is no date, time or timestamp, and a number that the type cannot hold, are an
//! error of the row; `TRY_CAST` makes null of both. Decimals round half away from zero, other numbers are cut.

use sluicebox_model::ColumnType;

use super::temporal::{cut_fraction, wall, write_iso, write_iso_time};
use super::{Derive, Function, Signature, write_json};
use crate::civil::{DAY, read_clock, read_date, read_timestamp};
use crate::decimal;
use crate::evaluate::{Call, Cell, truth};
use crate::types::Type;
use crate::vector::{Values, Vector};

/// `CAST`.
pub(crate) static CAST: Function = Function::new(
    &["CAST"],
    "CAST(a AS type)",
    (1, 1),
    Derive::By(|args, _| Signature::keep(args, Type::Null)),
    |call| cast(call, false),
);
/// `TRY_CAST`.
pub(crate) static TRY_CAST: Function = Function::new(
    &["TRY_CAST"],
    "TRY_CAST(a AS type)",
    (1, 1),
    Derive::By(|args, _| Signature::keep(args, Type::Null)),
    |call| cast(call, true),
);

/// Whether values of one type can be cast to another at all.
pub(crate) fn exists(from: &Type, to: &Type) -> bool {
    use ColumnType as C;
    let (Some(from), Some(to)) = (from.plain(), to.plain()) else {
        return from == to || *from == Type::Null || (from.is_structure() && to.is_text());
    };
    let is_number = |c: C| Type::Plain(c).is_number();
    let is_moment = |c: C| Type::Plain(c).is_moment();
    match (from, to) {
        (C::Text | C::Json, _) | (_, C::Text | C::Json) => true,
        (C::Boolean, C::Boolean) | (C::Binary, C::Binary) => true,
        (C::Boolean, to) => is_number(to),
        (from, C::Boolean) => is_number(from),
        (C::Time { .. }, C::Time { .. }) => true,
        (from, C::Time { .. }) => is_moment(from) && from != C::Date,
        (from, to) => (is_number(from) && is_number(to)) || (is_moment(from) && is_moment(to)),
    }
}

/// What becomes of a value that does not convert.
fn misfit<T>(safe: bool, call: &Call<'_>, what: &str) -> Cell<T> {
    if safe { Ok(None) } else { Err(format!("{what} is no {}", call.result)) }
}

fn cast(call: &Call<'_>, safe: bool) -> Vector {
    use ColumnType as C;
    let Some(arg) = call.arg(0) else { return call.null() };
    if call.types.first() == Some(call.result) {
        return arg.clone();
    }
    match call.result.plain() {
        _ if matches!(arg.values, Values::Null(_)) => call.null(),
        None | Some(C::UnsignedBigInt | C::Bit { .. }) => call.null(),
        Some(C::Text | C::Json) => to_text(call, safe),
        Some(C::Boolean) => to_boolean(call, safe),
        Some(C::TinyInt) => to_int(call, safe, (i8::MIN.into(), i8::MAX.into())),
        Some(C::SmallInt) => to_int(call, safe, (i16::MIN.into(), i16::MAX.into())),
        Some(C::Int) => to_int(call, safe, (i32::MIN.into(), i32::MAX.into())),
        Some(C::BigInt) => to_int(call, safe, (i64::MIN.into(), i64::MAX.into())),
        Some(C::Float | C::Double) => to_float(call),
        Some(C::Decimal { precision, scale }) => to_decimal(call, safe, precision, scale),
        Some(C::Binary) => to_binary(call),
        Some(C::Date) => to_date(call, safe),
        Some(C::Time { fraction }) => to_time(call, safe, fraction),
        Some(C::DateTime { fraction }) => to_datetime(call, safe, fraction),
        Some(C::Timestamp { fraction }) => to_timestamp(call, safe, fraction),
    }
}

fn to_text(call: &Call<'_>, safe: bool) -> Vector {
    let Some(arg) = call.arg(0) else { return call.null() };
    let kind = &call.types[0];
    let (ints, floats, decimals) = (call.int(0), call.float(0), call.decimal(0));
    let (local, text) = (wall(call, 0), call.text(0));
    let mut digits = String::new();
    call.texts(|row, out| {
        use std::fmt::Write as _;
        let written = match (&arg.values, kind.plain()) {
            (Values::Text(_), _) => write!(out, "{}", text.at(row)),
            (Values::Boolean(_), _) => write!(out, "{}", truth(arg, row) == Some(true)),
            (Values::Int(_), Some(ColumnType::Date)) => {
                crate::civil::write_date(ints.at(row), out);
                Ok(())
            }
            (Values::Int(_), Some(ColumnType::Time { .. })) => {
                write_iso_time(ints.at(row), out);
                Ok(())
            }
            (Values::Int(_), Some(ColumnType::DateTime { .. } | ColumnType::Timestamp { .. })) => {
                write_iso(local(row), out);
                Ok(())
            }
            (Values::Int(_), _) => write!(out, "{}", ints.at(row)),
            (Values::Float(_), kind) => {
                write_float(floats.at(row), kind == Some(ColumnType::Float), &mut digits, out);
                Ok(())
            }
            (Values::Decimal(_), _) => {
                decimal::write(decimals.at(row), call.scale(0), out);
                Ok(())
            }
            (Values::Binary(_), _) => match std::str::from_utf8(call.bytes(0, row)) {
                Ok(text) => write!(out, "{text}"),
                Err(_) if safe => return Ok(false),
                Err(_) => return Err("these bytes are no text".to_owned()),
            },
            (values, _) => {
                write_json(values, kind, arg.at(row), out);
                Ok(())
            }
        };
        Ok(written.is_ok())
    })
}

/// As Java writes it: digits between a thousandth and ten million, `1.0E10` beyond, always with a point.
fn write_float(value: f64, single: bool, digits: &mut String, out: &mut String) {
    use std::fmt::Write as _;
    if !value.is_finite() {
        let name = if value.is_nan() { "NaN" } else { "Infinity" };
        out.push_str(if value == f64::NEG_INFINITY { "-Infinity" } else { name });
        return;
    }
    digits.clear();
    // Writing to a text does not fail. The shortest digits that read back, as one digit, a point and the rest.
    let _ = if single { write!(digits, "{:e}", value as f32) } else { write!(digits, "{value:e}") };
    let (mantissa, exponent) = digits.split_once('e').unwrap_or((digits.as_str(), "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value == 0.0 || (-3..7).contains(&exponent) {
        let start = out.len();
        let _ = if single { write!(out, "{}", value as f32) } else { write!(out, "{value}") };
        if !out[start..].contains('.') {
            out.push_str(".0");
        }
        return;
    }
    out.push_str(mantissa);
    if !mantissa.contains('.') {
        out.push_str(".0");
    }
    let _ = write!(out, "E{exponent}");
}

fn to_boolean(call: &Call<'_>, safe: bool) -> Vector {
    let Some(arg) = call.arg(0) else { return call.null() };
    let (text, ints, floats, decimals) = (call.text(0), call.int(0), call.float(0), call.decimal(0));
    call.booleans(|row| {
        Ok(Some(match &arg.values {
            Values::Text(_) => match text.at(row) {
                text if text.eq_ignore_ascii_case("true") => true,
                text if safe && !text.eq_ignore_ascii_case("false") => return Ok(None),
                _ => false,
            },
            Values::Int(_) => ints.at(row) != 0,
            Values::Float(_) => floats.at(row) != 0.0,
            Values::Decimal(_) => decimals.at(row) != 0,
            _ => return Ok(None),
        }))
    })
}

fn to_int(call: &Call<'_>, safe: bool, range: (i128, i128)) -> Vector {
    let Some(arg) = call.arg(0) else { return call.null() };
    let (text, ints, floats, decimals) = (call.text(0), call.int(0), call.float(0), call.decimal(0));
    let scale = call.scale(0);
    let fit = |value: i128| i64::try_from(value).ok().filter(|_| (range.0..=range.1).contains(&value));
    call.ints(|row| {
        let value = match &arg.values {
            // Garbage and too many digits are both no number of this type.
            Values::Text(_) => {
                let number =
                    decimal::parse(text.at(row)).and_then(|(value, scale)| decimal::rescale(value, scale, 0));
                return Ok(number.and_then(fit));
            }
            Values::Boolean(_) => i128::from(truth(arg, row) == Some(true)),
            Values::Int(_) => ints.at(row).into(),
            Values::Decimal(_) => decimal::rescale(decimals.at(row), scale, 0).unwrap_or(i128::MAX),
            Values::Float(_) => match floats.at(row).trunc() {
                value if value.abs() < 1e19 => value as i128,
                _ => i128::MAX,
            },
            _ => return Ok(None),
        };
        match fit(value) {
            Some(value) => Ok(Some(value)),
            None => misfit(safe, call, "the number"),
        }
    })
}

fn to_float(call: &Call<'_>) -> Vector {
    let Some(arg) = call.arg(0) else { return call.null() };
    let (text, ints, floats, decimals) = (call.text(0), call.int(0), call.float(0), call.decimal(0));
    let scale = call.scale(0);
    let mut digits = String::new();
    call.floats(|row| {
        let value = match &arg.values {
            Values::Text(_) => {
                return Ok(parse_float(text.at(row)).map(|v| super::numeric::float_of(call.result, v)));
            }
            Values::Boolean(_) => f64::from(u8::from(truth(arg, row) == Some(true))),
            Values::Int(_) => ints.at(row) as f64,
            Values::Float(_) => floats.at(row),
            Values::Decimal(_) => {
                digits.clear();
                decimal::write(decimals.at(row), scale, &mut digits);
                digits.parse().unwrap_or(f64::NAN)
            }
            _ => return Ok(None),
        };
        Ok(Some(super::numeric::float_of(call.result, value)))
    })
}

/// What both Java and Rust read as a number.
fn parse_float(text: &str) -> Option<f64> {
    let text = text.trim();
    let digits = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" | "+Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        text if digits => text.parse().ok(),
        _ => None,
    }
}

fn to_decimal(call: &Call<'_>, safe: bool, precision: u8, scale: u8) -> Vector {
    let Some(arg) = call.arg(0) else { return call.null() };
    let (text, ints, floats, decimals) = (call.text(0), call.int(0), call.float(0), call.decimal(0));
    let from = call.scale(0);
    let most = decimal::power(precision.into()).unwrap_or(i128::MAX);
    let fit = |value: Option<i128>| value.filter(|value| value.unsigned_abs() < most.unsigned_abs());
    let mut digits = String::new();
    call.decimals(|row| {
        let value = match &arg.values {
            Values::Text(_) => {
                let number = decimal::parse(text.at(row));
                return Ok(
                    fit(number.and_then(|(value, from)| decimal::rescale_rounded(value, from, scale))),
                );
            }
            Values::Boolean(_) => decimal::rescale(i128::from(truth(arg, row) == Some(true)), 0, scale),
            Values::Int(_) => decimal::rescale(ints.at(row).into(), 0, scale),
            Values::Decimal(_) => decimal::rescale_rounded(decimals.at(row), from, scale),
            Values::Float(_) => {
                use std::fmt::Write as _;
                digits.clear();
                let _ = write!(digits, "{}", floats.at(row));
                decimal::parse(&digits).and_then(|(value, from)| decimal::rescale_rounded(value, from, scale))
            }
            _ => return Ok(None),
        };
        match fit(value) {
            Some(value) => Ok(Some(value)),
            None => misfit(safe, call, "the number"),
        }
    })
}

fn to_binary(call: &Call<'_>) -> Vector {
    let (text, nulls) = (call.text(0), call.nulls());
    let value = |row: usize| {
        let null = nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
        (!null).then(|| text.at(row).as_bytes())
    };
    call.vector(Values::Binary((0..call.rows).map(value).collect()))
}

fn to_date(call: &Call<'_>, safe: bool) -> Vector {
    if let Some(Values::Text(_)) = call.arg(0).map(|arg| &arg.values) {
        let text = call.text(0);
        return call.ints(|row| {
            let text = text.at(row).trim();
            let day = read_date(text).or_else(|| read_timestamp(text).map(|local| local.div_euclid(DAY)));
            day.map_or_else(|| misfit(safe, call, "the text"), |day| Ok(Some(day)))
        });
    }
    let local = wall(call, 0);
    call.ints(|row| Ok(Some(local(row).div_euclid(DAY))))
}

fn to_time(call: &Call<'_>, safe: bool, fraction: u8) -> Vector {
    if let Some(Values::Text(_)) = call.arg(0).map(|arg| &arg.values) {
        let text = call.text(0);
        return call.ints(|row| {
            let text = text.at(row).trim();
            let time = read_clock(text).or_else(|| read_timestamp(text).map(|local| local.rem_euclid(DAY)));
            time.map_or_else(|| misfit(safe, call, "the text"), |time| Ok(Some(cut_fraction(time, fraction))))
        });
    }
    let local = wall(call, 0);
    let is_time = matches!(call.types[0], Type::Plain(ColumnType::Time { .. }));
    call.ints(|row| {
        // A span of MySQL can be longer than a day; it stays.
        let micros = if is_time { local(row) } else { local(row).rem_euclid(DAY) };
        Ok(Some(cut_fraction(micros, fraction)))
    })
}

fn to_datetime(call: &Call<'_>, safe: bool, fraction: u8) -> Vector {
    if let Some(Values::Text(_)) = call.arg(0).map(|arg| &arg.values) {
        let text = call.text(0);
        return call.ints(|row| match read_timestamp(text.at(row).trim()) {
            Some(local) => Ok(Some(cut_fraction(local, fraction))),
            None => misfit(safe, call, "the text"),
        });
    }
    let local = wall(call, 0);
    call.ints(|row| Ok(Some(cut_fraction(local(row), fraction))))
}

fn to_timestamp(call: &Call<'_>, safe: bool, fraction: u8) -> Vector {
    let zone = &call.settings().zone;
    if let Some(Values::Text(_)) = call.arg(0).map(|arg| &arg.values) {
        let text = call.text(0);
        return call.ints(|row| match read_timestamp(text.at(row).trim()) {
            Some(local) => Ok(Some(cut_fraction(zone.to_instant(local), fraction))),
            None => misfit(safe, call, "the text"),
        });
    }
    let (local, values) = (wall(call, 0), call.int(0));
    let instant = matches!(call.types[0], Type::Plain(ColumnType::Timestamp { .. }));
    call.ints(|row| {
        let micros = if instant { values.at(row) } else { zone.to_instant(local(row)) };
        Ok(Some(cut_fraction(micros, fraction)))
    })
}
