//! Arithmetic and rounding.
//!
//! Integers stay integers of the wider of the two types, at least `INT`; a result that does not fit is an error of its row, where
//! Flink CDC goes on with the lowest 32 or 64 bits (and so does `compat: flink`). Decimals follow Calcite's rules for
//! precision and scale. Division of integers and decimals rounds towards zero, and by zero is an error.

use std::hash::{BuildHasher, RandomState};

use sluicebox_model::ColumnType;

use super::{Changes, Derive, Function, Signature};
use crate::decimal::{power, rescale, round_half_up};
use crate::evaluate::{Call, Cell};
use crate::settings::Settings;
use crate::types::{self, DOUBLE, Type, common_number};
use crate::vector::Vector;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new(&["+"], "a + b", (2, 2), Derive::By(|args, s| additive("+", args, s)), |call| {
        add(call, false)
    })
    .old(),
    Function::new(&["-"], "a - b", (2, 2), Derive::By(|args, s| additive("-", args, s)), |call| {
        add(call, true)
    })
    .old(),
    Function::new(&["*"], "a * b", (2, 2), Derive::By(|args, s| arithmetic("*", args, s)), multiply).old(),
    Function::new(&["/"], "a / b", (2, 2), Derive::By(|args, s| arithmetic("/", args, s)), divide).old(),
    Function::new(&["%", "MOD"], "a % b", (2, 2), Derive::By(|args, s| arithmetic("%", args, s)), remainder)
        .old(),
    Function::new(&["NEGATE"], "-a", (1, 1), Derive::By(number), negate).old(),
    Function::new(&["ABS"], "ABS(number)", (1, 1), Derive::By(number), abs),
    Function::new(&["CEIL", "CEILING"], "CEIL(number)", (1, 2), Derive::By(whole), |call| {
        whole_number(call, true)
    })
    .prepared(super::temporal::unit_behind),
    Function::new(&["FLOOR"], "FLOOR(number)", (1, 2), Derive::By(whole), |call| whole_number(call, false))
        .prepared(super::temporal::unit_behind),
    Function::new(&["ROUND"], "ROUND(number[, digits])", (1, 2), Derive::By(rounded), round),
    Function::new(&["UUID"], "UUID()", (0, 0), Derive::Fixed(&[], types::TEXT), uuid)
        .changing(Changes::EachRow),
];

const NOT_NUMBERS: &str = "takes numbers";

/// Types of the operators on two numbers.
fn arithmetic(sign: &'static str, args: &[Type], settings: &Settings) -> Result<Signature, String> {
    let [a, b] = args else { return Err(NOT_NUMBERS.into()) };
    let (a, b) = match (a, b) {
        (Type::Null, Type::Null) => (&types::INT, &types::INT),
        (Type::Null, other) | (other, Type::Null) => (other, other),
        both => both,
    };
    if !a.is_number() || !b.is_number() {
        return Err(format!("{NOT_NUMBERS}, not {a} and {b}; write `CAST(… AS …)`"));
    }
    if a.is_integer() && b.is_integer() {
        let widest =
            common_number(a, b).and_then(|both| common_number(&both, &types::INT)).unwrap_or(types::BIGINT);
        return Ok(Signature { args: vec![widest.clone(); 2], result: widest });
    }
    match (a.digits(), b.digits()) {
        (Some(x), Some(y)) => {
            let decimal = |(precision, scale)| Type::Plain(ColumnType::Decimal { precision, scale });
            Ok(Signature { args: vec![decimal(x), decimal(y)], result: settings.decimals.of(sign, x, y) })
        }
        _ if a == b => Signature::keep(&[a.clone(), b.clone()], a.clone()),
        _ => Ok(Signature { args: vec![DOUBLE; 2], result: DOUBLE }),
    }
}

/// Numbers, or a moment and an interval.
fn additive(sign: &'static str, args: &[Type], settings: &Settings) -> Result<Signature, String> {
    let interval = |t: &Type| matches!(t, Type::Months | Type::Days | Type::Micros);
    match args {
        [a, b] if interval(b) => super::temporal::shifted(a, b)
            .map(|(from, result)| Signature { args: vec![from, b.clone()], result }),
        [a, b] if interval(a) && sign == "+" => super::temporal::shifted(b, a)
            .map(|(from, result)| Signature { args: vec![a.clone(), from], result }),
        _ => arithmetic(sign, args, settings),
    }
}

fn number(args: &[Type], _: &Settings) -> Result<Signature, String> {
    match args {
        [Type::Null] => Ok(Signature { args: vec![types::INT], result: types::INT }),
        [a] if a.is_number() => Signature::keep(args, a.clone()),
        [a] => Err(format!("{NOT_NUMBERS}, not {a}")),
        _ => Err(NOT_NUMBERS.into()),
    }
}

/// `CEIL` and `FLOOR`; with a unit, of a moment.
fn whole(args: &[Type], settings: &Settings) -> Result<Signature, String> {
    match args {
        [a, Type::Unit] if a.is_moment() => Signature::keep(args, a.clone()),
        [a, Type::Unit] => Err(format!("takes dates and timestamps with a unit, not {a}")),
        [Type::Plain(ColumnType::Decimal { precision, .. })] => {
            Signature::keep(args, Type::Plain(ColumnType::Decimal { precision: *precision, scale: 0 }))
        }
        [a] => number(std::slice::from_ref(a), settings),
        _ => Err("takes one number".into()),
    }
}

fn rounded(args: &[Type], settings: &Settings) -> Result<Signature, String> {
    let Some((a, digits)) = args.split_first() else { return Err(NOT_NUMBERS.into()) };
    let mut signature = number(std::slice::from_ref(a), settings)?;
    for digit in digits {
        signature.args.push(super::bring(super::Want::Integer, digit)?);
    }
    Ok(signature)
}

/// The result of an operation on integers, as its type holds it.
fn fitted(call: &Call<'_>, value: i128) -> Cell<i64> {
    let (least, most) = match call.result.plain() {
        Some(ColumnType::TinyInt) => (i8::MIN.into(), i8::MAX.into()),
        Some(ColumnType::SmallInt) => (i16::MIN.into(), i16::MAX.into()),
        Some(ColumnType::Int) => (i32::MIN.into(), i32::MAX.into()),
        _ => (i128::from(i64::MIN), i128::from(i64::MAX)),
    };
    let value = match (least..=most).contains(&value) {
        true => value,
        false if call.settings().flink => (value - least).rem_euclid(most - least + 1) + least,
        false => return Err(format!("the result does not fit {}", call.result)),
    };
    i64::try_from(value).map(Some).map_err(|_| format!("the result does not fit {}", call.result))
}

/// A single-precision result has no more digits than single precision.
pub(super) fn float_of(kind: &Type, value: f64) -> f64 {
    if kind.plain() == Some(ColumnType::Float) { f64::from(value as f32) } else { value }
}

fn overflow(call: &Call<'_>) -> String {
    format!("the result does not fit {}", call.result)
}

fn add(call: &Call<'_>, subtract: bool) -> Vector {
    let interval = |t: &Type| matches!(t, Type::Months | Type::Days | Type::Micros);
    if let Some(span) = call.types.iter().position(interval) {
        return super::temporal::shift(call, 1 - span.min(1), span, subtract);
    }
    if call.result.is_integer() {
        let (a, b) = (call.int(0), call.int(1));
        let sign = if subtract { -1 } else { 1 };
        return call.ints(|row| fitted(call, i128::from(a.at(row)) + sign * i128::from(b.at(row))));
    }
    if call.result.is_floating() {
        let (a, b) = (call.float(0), call.float(1));
        let value = |row| if subtract { a.at(row) - b.at(row) } else { a.at(row) + b.at(row) };
        return call.floats(|row| Ok(Some(float_of(call.result, value(row)))));
    }
    let (a, b) = (call.decimal(0), call.decimal(1));
    let (common, scale) = (call.scale(0).max(call.scale(1)), result_scale(call));
    call.decimals(|row| {
        let both = rescale(a.at(row), call.scale(0), common).zip(rescale(b.at(row), call.scale(1), common));
        let sum = both.and_then(|(a, b)| if subtract { a.checked_sub(b) } else { a.checked_add(b) });
        sum.and_then(|sum| rescale(sum, common, scale)).map(Some).ok_or_else(|| overflow(call))
    })
}

fn result_scale(call: &Call<'_>) -> u8 {
    call.result.digits().map_or(0, |(_, scale)| scale)
}

fn multiply(call: &Call<'_>) -> Vector {
    if call.result.is_integer() {
        let (a, b) = (call.int(0), call.int(1));
        return call.ints(|row| fitted(call, i128::from(a.at(row)) * i128::from(b.at(row))));
    }
    if call.result.is_floating() {
        let (a, b) = (call.float(0), call.float(1));
        return call.floats(|row| Ok(Some(float_of(call.result, a.at(row) * b.at(row)))));
    }
    let (a, b) = (call.decimal(0), call.decimal(1));
    let (from, to) = (call.scale(0) + call.scale(1), result_scale(call));
    call.decimals(|row| {
        let product = a.at(row).checked_mul(b.at(row)).and_then(|product| rescale(product, from, to));
        product.map(Some).ok_or_else(|| overflow(call))
    })
}

fn divide(call: &Call<'_>) -> Vector {
    let zero = || "division by zero".to_owned();
    if call.result.is_integer() {
        let (a, b) = (call.int(0), call.int(1));
        return call.ints(|row| match b.at(row) {
            0 => Err(zero()),
            b => fitted(call, i128::from(a.at(row)) / i128::from(b)),
        });
    }
    if call.result.is_floating() {
        let (a, b) = (call.float(0), call.float(1));
        return call.floats(|row| Ok(Some(float_of(call.result, a.at(row) / b.at(row)))));
    }
    let (a, b) = (call.decimal(0), call.decimal(1));
    // The quotient of the unscaled numbers has scale `s1 - s2`; the dividend gets what is missing to the result's.
    let missing = i16::from(result_scale(call)) - i16::from(call.scale(0)) + i16::from(call.scale(1));
    let grow = u32::try_from(missing.max(0)).unwrap_or(0);
    let shrink = u32::try_from((-missing).max(0)).unwrap_or(0);
    call.decimals(|row| {
        let divisor = b.at(row);
        if divisor == 0 {
            return Err(zero());
        }
        let dividend = power(grow).and_then(|p| a.at(row).checked_mul(p));
        let quotient = dividend.zip(power(shrink)).map(|(dividend, p)| dividend / divisor / p);
        quotient.map(Some).ok_or_else(|| overflow(call))
    })
}

fn remainder(call: &Call<'_>) -> Vector {
    let zero = || "division by zero".to_owned();
    if call.result.is_integer() {
        let (a, b) = (call.int(0), call.int(1));
        return call.ints(|row| match b.at(row) {
            0 => Err(zero()),
            b => fitted(call, i128::from(a.at(row)) % i128::from(b)),
        });
    }
    if call.result.is_floating() {
        let (a, b) = (call.float(0), call.float(1));
        return call.floats(|row| Ok(Some(float_of(call.result, a.at(row) % b.at(row)))));
    }
    let (a, b) = (call.decimal(0), call.decimal(1));
    let (common, scale) = (call.scale(0).max(call.scale(1)), result_scale(call));
    call.decimals(|row| {
        let both = rescale(a.at(row), call.scale(0), common).zip(rescale(b.at(row), call.scale(1), common));
        match both {
            Some((_, 0)) => Err(zero()),
            Some((a, b)) => rescale(a % b, common, scale).map(Some).ok_or_else(|| overflow(call)),
            None => Err(overflow(call)),
        }
    })
}

fn negate(call: &Call<'_>) -> Vector {
    if call.result.is_integer() {
        let a = call.int(0);
        return call.ints(|row| fitted(call, -i128::from(a.at(row))));
    }
    if call.result.is_floating() {
        let a = call.float(0);
        return call.floats(|row| Ok(Some(-a.at(row))));
    }
    let a = call.decimal(0);
    call.decimals(|row| Ok(Some(-a.at(row))))
}

fn abs(call: &Call<'_>) -> Vector {
    if call.result.is_integer() {
        let a = call.int(0);
        return call.ints(|row| fitted(call, i128::from(a.at(row)).abs()));
    }
    if call.result.is_floating() {
        let a = call.float(0);
        return call.floats(|row| Ok(Some(a.at(row).abs())));
    }
    let a = call.decimal(0);
    call.decimals(|row| Ok(Some(a.at(row).abs())))
}

fn whole_number(call: &Call<'_>, up: bool) -> Vector {
    if let Some(unit) = call.prepared.unit() {
        return super::temporal::cut(call, unit, up);
    }
    if call.result.is_integer() {
        return call.arg(0).cloned().unwrap_or_else(|| call.null());
    }
    if call.result.is_floating() {
        let a = call.float(0);
        return call.floats(|row| Ok(Some(if up { a.at(row).ceil() } else { a.at(row).floor() })));
    }
    let (a, one) = (call.decimal(0), power(call.scale(0).into()).unwrap_or(1));
    call.decimals(|row| {
        let (whole, rest) = (a.at(row).div_euclid(one), a.at(row).rem_euclid(one));
        Ok(Some(whole + i128::from(up && rest > 0)))
    })
}

fn round(call: &Call<'_>) -> Vector {
    let digits = call.int(1);
    let wanted = |row: usize| i32::try_from(digits.at(row).clamp(-60, 60)).unwrap_or(0);
    if call.result.is_integer() {
        let a = call.int(0);
        return call.ints(|row| match round_half_up(a.at(row).into(), 0, wanted(row)) {
            Some(value) => fitted(call, value),
            None => Err(overflow(call)),
        });
    }
    if call.result.is_floating() {
        let (a, mut text) = (call.float(0), String::new());
        return call.floats(|row| Ok(Some(round_float(a.at(row), wanted(row), &mut text))));
    }
    let (a, scale) = (call.decimal(0), call.scale(0));
    call.decimals(|row| round_half_up(a.at(row), scale, wanted(row)).map(Some).ok_or_else(|| overflow(call)))
}

/// Rounds the number that people see: 1.005 to two digits is 1.01, although the nearest double is below it.
fn round_float(value: f64, digits: i32, text: &mut String) -> f64 {
    use std::fmt::Write as _;
    text.clear();
    if !value.is_finite() || write!(text, "{value}").is_err() {
        return value;
    }
    let Some((unscaled, scale)) = crate::decimal::parse(text) else { return value };
    let Some(rounded) = round_half_up(unscaled, scale, digits) else { return value };
    text.clear();
    crate::decimal::write(rounded, scale, text);
    text.parse().unwrap_or(value)
}

fn uuid(call: &Call<'_>) -> Vector {
    // Keys from the system's randomness; the keyed hash of a counter is as good as it.
    let (high, low) = (RandomState::new(), RandomState::new());
    call.texts(|row, out| {
        use std::fmt::Write as _;
        let (a, b) = (high.hash_one(row), low.hash_one(row));
        let (a, b) = ((a & !0xf000) | 0x4000, (b & (u64::MAX >> 2)) | 1 << 63);
        let written = write!(
            out,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            a >> 32,
            a >> 16 & 0xffff,
            a & 0xffff,
            b >> 48,
            b & 0xffff_ffff_ffff
        );
        Ok(written.is_ok())
    })
}
