//! Comparisons and logic.
//!
//! With null a comparison is unknown, as SQL has it. Under `compat: flink` it is false, `<>` is the negation of `=`, and `=` of two
//! numbers of different types is false. Both sides have been brought to one type when a comparison runs.

use std::cmp::Ordering;

use arrow::array::{Array, BooleanArray};
use arrow::buffer::BooleanBuffer;

use super::{Derive, Function, MANY, Signature, Want};
use crate::evaluate::{Call, truth};
use crate::settings::Settings;
use crate::types::{self, Type, comparable};
use crate::vector::{Values, Vector};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new(&["="], "a = b", (2, 2), Derive::By(equal_types), |call| equal(call, false)),
    Function::new(&["<>"], "a <> b", (2, 2), Derive::By(equal_types), |call| equal(call, true)),
    Function::new(&["<"], "a < b", (2, 2), Derive::By(pair), |call| ordered(call, Ordering::is_lt)),
    Function::new(&["<="], "a <= b", (2, 2), Derive::By(pair), |call| ordered(call, Ordering::is_le)),
    Function::new(&[">"], "a > b", (2, 2), Derive::By(pair), |call| ordered(call, Ordering::is_gt)),
    Function::new(&[">="], "a >= b", (2, 2), Derive::By(pair), |call| ordered(call, Ordering::is_ge)),
    Function::new(&["BETWEEN"], "a BETWEEN b AND c", (3, 3), Derive::By(pair), between),
    Function::new(&["IN"], "a IN (b, …)", (2, MANY), Derive::By(pair), within),
    Function::new(&["IS NULL"], "a IS NULL", (1, 1), ANY, |call| call.known(|row| is_null(call, row))),
    Function::new(&["IS NOT NULL"], "a IS NOT NULL", (1, 1), ANY, |call| {
        call.known(|row| !is_null(call, row))
    }),
    Function::new(&["IS TRUE"], "a IS TRUE", (1, 1), CONDITION, |call| is(call, Some(true), true)),
    Function::new(&["IS NOT TRUE"], "a IS NOT TRUE", (1, 1), CONDITION, |call| is(call, Some(true), false)),
    Function::new(&["IS FALSE"], "a IS FALSE", (1, 1), CONDITION, |call| is(call, Some(false), true)),
    Function::new(&["IS NOT FALSE"], "a IS NOT FALSE", (1, 1), CONDITION, |call| {
        is(call, Some(false), false)
    }),
    Function::new(&["IS UNKNOWN"], "a IS UNKNOWN", (1, 1), CONDITION, |call| is(call, None, true)),
    Function::new(&["IS NOT UNKNOWN"], "a IS NOT UNKNOWN", (1, 1), CONDITION, |call| is(call, None, false)),
    Function::new(&["IS DISTINCT FROM"], "a IS DISTINCT FROM b", (2, 2), Derive::By(pair), |call| {
        distinct(call, true)
    }),
    Function::new(&["IS NOT DISTINCT FROM"], "a IS NOT DISTINCT FROM b", (2, 2), Derive::By(pair), |call| {
        distinct(call, false)
    }),
    Function::new(&["NOT"], "NOT a", (1, 1), CONDITION, not),
];

const ANY: Derive = Derive::Fixed(&[Want::Any], types::BOOLEAN);
const CONDITION: Derive = Derive::Fixed(&[Want::Boolean], types::BOOLEAN);

/// One type for all arguments.
fn pair(args: &[Type], _: &Settings) -> Result<Signature, String> {
    let mut common = Type::Null;
    for arg in args {
        let both = comparable(&common, arg);
        common = both.ok_or_else(|| format!("cannot compare {common} with {arg}; cast one of them"))?;
    }
    if matches!(common, Type::Map(..) | Type::Row(_)) {
        return Err(format!("cannot compare values of type {common}"));
    }
    Ok(Signature { args: vec![common; args.len()], result: types::BOOLEAN })
}

fn equal_types(args: &[Type], settings: &Settings) -> Result<Signature, String> {
    if settings.flink && differ(args) {
        return Signature::keep(args, types::BOOLEAN);
    }
    pair(args, settings)
}

/// Whether Flink CDC holds two numbers in objects of different classes, which are never equal there.
fn differ(args: &[Type]) -> bool {
    let class = |arg: &Type| arg.plain().map(|plain| std::mem::discriminant(&plain));
    match args {
        [a, b] => a.is_number() && b.is_number() && class(a) != class(b),
        _ => false,
    }
}

fn is_null(call: &Call<'_>, row: usize) -> bool {
    call.arg(0).is_none_or(|arg| arg.is_null(row))
}

fn is(call: &Call<'_>, what: Option<bool>, wanted: bool) -> Vector {
    call.known(|row| (call.arg(0).and_then(|arg| truth(arg, row)) == what) == wanted)
}

fn not(call: &Call<'_>) -> Vector {
    match call.arg(0).map(|arg| &arg.values) {
        Some(Values::Boolean(array)) => call.vector(Values::Boolean(negated(array))),
        _ => call.null(),
    }
}

fn negated(array: &BooleanArray) -> BooleanArray {
    BooleanArray::new(!array.values(), array.nulls().cloned())
}

/// False where it is unknown.
fn settled(vector: Vector) -> Vector {
    match vector.values {
        Values::Boolean(array) => {
            let bits = match array.nulls() {
                Some(nulls) => array.values() & nulls.inner(),
                None => array.values().clone(),
            };
            Vector { values: Values::Boolean(BooleanArray::new(bits, None)), single: vector.single }
        }
        values => Vector { values, single: vector.single },
    }
}

/// Unknown is false under `compat: flink`.
fn result(call: &Call<'_>, vector: Vector) -> Vector {
    if call.settings().flink { settled(vector) } else { vector }
}

fn equal(call: &Call<'_>, negate: bool) -> Vector {
    let equal = if call.settings().flink && differ(call.types) {
        call.known(|_| false)
    } else {
        result(call, compare(call, 0, 1, Ordering::is_eq))
    };
    match equal.values {
        Values::Boolean(array) if negate => call.vector(Values::Boolean(negated(&array))),
        values => call.vector(values),
    }
}

fn ordered(call: &Call<'_>, holds: impl Fn(Ordering) -> bool) -> Vector {
    result(call, compare(call, 0, 1, holds))
}

fn between(call: &Call<'_>) -> Vector {
    let (low, high) = (compare(call, 0, 1, Ordering::is_ge), compare(call, 0, 2, Ordering::is_le));
    let both = |row: usize| match (truth(&low, row), truth(&high, row)) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    };
    // A bound that is null leaves the other one to decide.
    let array: BooleanArray = (0..call.rows).map(both).collect();
    result(call, call.vector(Values::Boolean(array)))
}

fn within(call: &Call<'_>) -> Vector {
    let candidates: Vec<Vector> =
        (1..call.args.len()).map(|arg| compare(call, 0, arg, Ordering::is_eq)).collect();
    let any = |row: usize| {
        let mut unknown = false;
        for candidate in &candidates {
            match truth(candidate, row) {
                Some(true) => return Some(true),
                Some(false) => {}
                None => unknown = true,
            }
        }
        (!unknown).then_some(false)
    };
    let array: BooleanArray = (0..call.rows).map(any).collect();
    result(call, call.vector(Values::Boolean(array)))
}

fn distinct(call: &Call<'_>, wanted: bool) -> Vector {
    let equal = compare(call, 0, 1, Ordering::is_eq);
    let null = |arg: usize, row: usize| call.arg(arg).is_none_or(|arg| arg.is_null(row));
    call.known(|row| {
        let same = match (null(0, row), null(1, row)) {
            (true, true) => true,
            (false, false) => truth(&equal, row) == Some(true),
            _ => false,
        };
        same != wanted
    })
}

/// Compares two arguments; unknown where one is null.
fn compare(call: &Call<'_>, a: usize, b: usize, holds: impl Fn(Ordering) -> bool) -> Vector {
    let (Some(left), Some(right)) = (call.arg(a), call.arg(b)) else { return call.null() };
    let bits = match (&left.values, &right.values) {
        (Values::Int(_), Values::Int(_)) => {
            let (x, y) = (call.int(a), call.int(b));
            BooleanBuffer::collect_bool(call.rows, |row| holds(x.at(row).cmp(&y.at(row))))
        }
        (Values::Float(_), Values::Float(_)) => {
            let (x, y) = (call.float(a), call.float(b));
            BooleanBuffer::collect_bool(call.rows, |row| holds(float_order(x.at(row), y.at(row))))
        }
        (Values::Decimal(_), Values::Decimal(_)) => {
            let (x, y) = (call.decimal(a), call.decimal(b));
            BooleanBuffer::collect_bool(call.rows, |row| holds(x.at(row).cmp(&y.at(row))))
        }
        (Values::Text(_), Values::Text(_)) => {
            let (x, y) = (call.text(a), call.text(b));
            BooleanBuffer::collect_bool(call.rows, |row| holds(x.at(row).cmp(y.at(row))))
        }
        (Values::Binary(_), Values::Binary(_)) => {
            BooleanBuffer::collect_bool(call.rows, |row| holds(call.bytes(a, row).cmp(call.bytes(b, row))))
        }
        (x, y) => BooleanBuffer::collect_bool(call.rows, |row| {
            super::structure::order(x, left.at(row), y, right.at(row)).is_some_and(&holds)
        }),
    };
    let nulls =
        arrow::buffer::NullBuffer::union(validity(call, left).as_ref(), validity(call, right).as_ref());
    call.vector(Values::Boolean(BooleanArray::new(bits, nulls.filter(|n| n.null_count() > 0))))
}

fn validity(call: &Call<'_>, vector: &Vector) -> Option<arrow::buffer::NullBuffer> {
    match vector.single && call.rows != 1 {
        true if vector.values.is_null(0) => Some(arrow::buffer::NullBuffer::new_null(call.rows)),
        true => None,
        false => vector.values.nulls(),
    }
}

/// NaN equals itself and is above all others; the two zeros are one.
pub(super) fn float_order(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}
