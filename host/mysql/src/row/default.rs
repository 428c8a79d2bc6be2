//! What an inserted row has in a column that its image leaves out (`binlog_row_image=MINIMAL`).
//!
//! Seen on servers of both kinds: left out is a column that the statement did not name and whose default is a constant, or
//! nothing. What is computed (the time of the moment, an expression, a number that counts up, on MySQL generated columns) is always
//! written. So the value is known from the declaration alone, as it is at the row's place in the stream.
//!
//! A constant is taken only where its text is the value: in the type's plain form, in characters that the column surely
//! holds. Everything else is not known, which is an error of whoever needs it and never a guess. A column that cannot be null and
//! has no default gets what servers put there that are not strict: zero, the empty text, the first label.

use sluicebox_model::{Column, ColumnDefault, ColumnType, Physical};

use super::builder::ColumnBuilder;
use super::decimal;
use super::temporal::{days_of, micros_of};
use crate::types::{BaseType, DeclaredType};

/// A value that is known beforehand.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Filled {
    Null,
    /// The source has a value that the pipeline cannot hold.
    Replaced,
    Int(i64),
    Unsigned(u64),
    Float(f64),
    Wide(i128),
    Bytes(Vec<u8>),
}

impl Filled {
    /// What an insert leaves in this column by not naming it; none where that is not known.
    pub(super) fn of(column: &Column) -> Option<Self> {
        let declared = DeclaredType::parse(&column.source_type)?;
        match &column.default {
            ColumnDefault::Untold
            | ColumnDefault::Unknown
            | ColumnDefault::Written
            | ColumnDefault::Generated => None,
            ColumnDefault::None if column.nullable => Some(Self::Null),
            ColumnDefault::None => zero(&declared, column.column_type),
            ColumnDefault::Value(text) => value(&declared, column, text),
        }
    }

    /// Appends it to its column.
    pub(super) fn append(&self, column: &mut ColumnBuilder) {
        match self {
            Self::Null => column.append_null(),
            Self::Replaced => column.append_replaced(),
            Self::Int(number) => column.append_i64(*number),
            Self::Unsigned(number) => column.append_u64(*number),
            Self::Float(number) => column.append_f64(*number),
            Self::Wide(number) => column.append_i128(*number),
            Self::Bytes(bytes) => column.append_bytes(bytes),
        }
    }
}

/// What a column has that must have something and was given nothing.
fn zero(declared: &DeclaredType, column_type: ColumnType) -> Option<Filled> {
    use BaseType as B;
    Some(match declared.base {
        B::Date | B::DateTime | B::Timestamp => Filled::Replaced,
        B::Enum => Filled::Bytes(declared.labels.first()?.clone().into_bytes()),
        B::Binary => Filled::Bytes(vec![0; usize::try_from(declared.padded_bytes()).ok()?]),
        B::Json | B::Geometry | B::Vector | B::Inet4 | B::Inet6 | B::Uuid => return None,
        _ => match column_type.physical() {
            Physical::Int64 => Filled::Int(0),
            Physical::UInt64 => Filled::Unsigned(0),
            Physical::Float64 => Filled::Float(0.0),
            Physical::Decimal128 => Filled::Wide(0),
            Physical::Utf8 if declared.base == B::Decimal => return None,
            Physical::Utf8 | Physical::Binary => Filled::Bytes(Vec::new()),
        },
    })
}

fn value(declared: &DeclaredType, column: &Column, text: &str) -> Option<Filled> {
    use BaseType as B;
    match declared.base {
        B::TinyInt | B::SmallInt | B::MediumInt | B::Int | B::BigInt | B::Bit => {
            integer(declared, column.column_type, text)
        }
        B::Year => year(text),
        B::Decimal => exact(column.column_type, text),
        // With digits after the point the server rounds.
        B::Float if declared.length.is_none() => {
            text.parse::<f32>().ok().filter(|n| n.is_finite()).map(|n| Filled::Float(n.into()))
        }
        B::Double if declared.length.is_none() => {
            text.parse().ok().filter(|n: &f64| n.is_finite()).map(Filled::Float)
        }
        B::Char | B::VarChar | B::Text => string(declared, column, text),
        B::Enum => is_label(declared, text).then(|| Filled::Bytes(text.as_bytes().to_vec())),
        B::Set => set(declared, text),
        B::Date => date(text).map(|date| date.map_or(Filled::Replaced, Filled::Int)),
        B::Time => time(text, declared.fraction()).map(Filled::Int),
        B::DateTime => moment(text, declared.fraction()).map(|at| at.map_or(Filled::Replaced, Filled::Int)),
        // Its text is of a zone that is not told.
        B::Timestamp => (moment(text, declared.fraction()) == Some(None)).then_some(Filled::Replaced),
        B::Float | B::Double => None,
        B::Binary | B::VarBinary | B::Blob | B::Json | B::Geometry | B::Vector => None,
        B::Inet4 | B::Inet6 | B::Uuid => None,
    }
}

fn integer(declared: &DeclaredType, column_type: ColumnType, text: &str) -> Option<Filled> {
    let bits = text.strip_prefix("b'").and_then(|bits| bits.strip_suffix('\''));
    let number = match bits {
        Some(bits) if declared.base == BaseType::Bit => i128::from(u64::from_str_radix(bits, 2).ok()?),
        Some(_) => return None,
        None => text.parse::<i128>().ok()?,
    };
    match column_type {
        ColumnType::Boolean => Some(Filled::Int((number != 0).into())),
        other if other.physical() == Physical::UInt64 => u64::try_from(number).ok().map(Filled::Unsigned),
        _ => i64::try_from(number).ok().map(Filled::Int),
    }
}

/// Of two digits the server makes four.
fn year(text: &str) -> Option<Filled> {
    (text.len() == 4).then(|| number(text)).flatten().map(Filled::Int)
}

fn exact(column_type: ColumnType, text: &str) -> Option<Filled> {
    let ColumnType::Decimal { precision, scale } = column_type else { return None };
    let unscaled = decimal::parse_unscaled(text, scale)?;
    let most = 10_i128.checked_pow(precision.into())?;
    if unscaled.abs() >= most {
        return None;
    }
    match column_type.physical() {
        Physical::Int64 => i64::try_from(unscaled).ok().map(Filled::Int),
        Physical::Decimal128 => Some(Filled::Wide(unscaled)),
        _ => None,
    }
}

/// Text whose characters are surely the column's own.
fn string(declared: &DeclaredType, column: &Column, text: &str) -> Option<Filled> {
    let holds_all = match column.charset.as_deref() {
        Some("utf8mb4") => true,
        Some("utf8mb3" | "utf8") => text.chars().all(|c| u32::from(c) <= 0xffff),
        _ => text.is_ascii(),
    };
    let text = if declared.base == BaseType::Char { text.trim_end_matches(' ') } else { text };
    let fits = declared.length.is_none_or(|most| text.chars().count() <= usize::try_from(most).unwrap_or(0));
    (holds_all && fits).then(|| Filled::Bytes(text.as_bytes().to_vec()))
}

fn is_label(declared: &DeclaredType, text: &str) -> bool {
    declared.labels.iter().any(|label| label == text)
}

/// Labels in the order of their declaration, each once.
fn set(declared: &DeclaredType, text: &str) -> Option<Filled> {
    let places = text.split(',').filter(|label| !text.is_empty() || !label.is_empty());
    let mut last = None;
    for label in places {
        let place = declared.labels.iter().position(|known| known == label)?;
        if last.is_some_and(|last| place <= last) {
            return None;
        }
        last = Some(place);
    }
    Some(Filled::Bytes(text.as_bytes().to_vec()))
}

/// Digits alone.
fn number(text: &str) -> Option<i64> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// Numbers of exactly these lengths with a separator between them.
fn parts<const N: usize>(text: &str, separator: char, lengths: [usize; N]) -> Option<[i64; N]> {
    let mut found = [0; N];
    let mut rest = text.split(separator);
    for (place, length) in lengths.into_iter().enumerate() {
        let part = rest.next().filter(|part| part.len() == length)?;
        found[place] = number(part)?;
    }
    rest.next().is_none().then_some(found)
}

/// `2024-01-31`, in days; the inner none where it is no day.
fn date(text: &str) -> Option<Option<i64>> {
    let [year, month, day] = parts(text, '-', [4, 2, 2])?;
    Some(days_of(year, month, day))
}

/// `12:34:56` with at most so many digits behind, as the time and its microseconds.
fn clock(text: &str, fraction: u8) -> Option<((i64, i64, i64), i64)> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let [hour, minute, second] = parts(whole, ':', [2, 2, 2])?;
    if minute > 59 || second > 59 || part.len() > usize::from(fraction) {
        return None;
    }
    let micros = if part.is_empty() { 0 } else { number(&format!("{part:0<6}"))? };
    Some(((hour, minute, second), micros))
}

fn time(text: &str, fraction: u8) -> Option<i64> {
    let ((hour, minute, second), micros) = clock(text, fraction)?;
    Some(((hour * 60 + minute) * 60 + second) * 1_000_000 + micros)
}

fn moment(text: &str, fraction: u8) -> Option<Option<i64>> {
    let (day, rest) = text.split_once(' ')?;
    let date = parts(day, '-', [4, 2, 2])?;
    let (time, micros) = clock(rest, fraction)?;
    Some(micros_of(date.into(), time, micros))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TypeOptions;

    fn filled(source_type: &str, nullable: bool, default: ColumnDefault) -> Option<Filled> {
        let declared = DeclaredType::parse(source_type).expect(source_type);
        Filled::of(&Column {
            name: "c".into(),
            column_type: declared.column_type(&TypeOptions::default()).expect(source_type),
            nullable,
            source_type: source_type.into(),
            default,
            charset: Some("latin1".into()),
            comment: None,
        })
    }

    #[test]
    fn a_constant_is_taken_where_its_text_is_the_value() {
        let bytes = |text: &str| Some(Filled::Bytes(text.into()));
        for (source_type, text, want) in [
            ("int", "-7", Some(Filled::Int(-7))),
            ("int", "7.5", None),
            ("tinyint(1)", "2", Some(Filled::Int(1))),
            ("bigint unsigned", "18446744073709551615", Some(Filled::Unsigned(u64::MAX))),
            ("bit(3)", "b'101'", Some(Filled::Unsigned(5))),
            ("bit(1)", "b'1'", Some(Filled::Int(1))),
            ("int", "b'101'", None),
            ("decimal(6,2)", "1.5", Some(Filled::Int(150))),
            ("decimal(6,2)", "1.505", None),
            ("decimal(3,2)", "10", None),
            ("decimal(30,2)", "-0.05", Some(Filled::Wide(-5))),
            ("decimal(60,2)", "1.00", None),
            ("double", "0.1", Some(Filled::Float(0.1))),
            ("double(8,2)", "0.1", None),
            ("float", "0.5", Some(Filled::Float(0.5))),
            ("year", "2024", Some(Filled::Int(2024))),
            ("year", "24", None),
            ("char(4)", "ab  ", bytes("ab")),
            ("varchar(4)", "ab  ", bytes("ab  ")),
            ("varchar(4)", "abcde", None),
            ("varchar(9)", "größe", None),
            ("enum('a','b')", "b", bytes("b")),
            ("enum('a','b')", "B", None),
            ("set('a','b','c')", "a,c", bytes("a,c")),
            ("set('a','b','c')", "c,a", None),
            ("set('a','b','c')", "", bytes("")),
            ("date", "1970-01-02", Some(Filled::Int(1))),
            ("date", "0000-00-00", Some(Filled::Replaced)),
            ("date", "70-1-2", None),
            ("time(2)", "00:00:01.5", Some(Filled::Int(1_500_000))),
            ("time(2)", "00:00:01.555", None),
            ("datetime", "1970-01-01 00:00:01", Some(Filled::Int(1_000_000))),
            ("datetime", "1970-01-01", None),
            ("timestamp", "1970-01-02 00:00:01", None),
            ("timestamp", "0000-00-00 00:00:00", Some(Filled::Replaced)),
            ("varbinary(3)", "abc", None),
        ] {
            assert_eq!(
                filled(source_type, true, ColumnDefault::Value(text.into())),
                want,
                "{source_type} {text}"
            );
        }
    }

    #[test]
    fn nothing_declared_is_null_or_what_the_type_has_for_nothing() {
        for (source_type, want) in [
            ("int", Some(Filled::Int(0))),
            ("bigint unsigned", Some(Filled::Unsigned(0))),
            ("double", Some(Filled::Float(0.0))),
            ("decimal(30,2)", Some(Filled::Wide(0))),
            ("varchar(3)", Some(Filled::Bytes(Vec::new()))),
            ("enum('x','y')", Some(Filled::Bytes(b"x".to_vec()))),
            ("binary(2)", Some(Filled::Bytes(vec![0, 0]))),
            ("datetime", Some(Filled::Replaced)),
            ("time", Some(Filled::Int(0))),
            ("json", None),
        ] {
            assert_eq!(filled(source_type, false, ColumnDefault::None), want, "{source_type}");
            assert_eq!(filled(source_type, true, ColumnDefault::None), Some(Filled::Null), "{source_type}");
            for default in [
                ColumnDefault::Untold,
                ColumnDefault::Unknown,
                ColumnDefault::Written,
                ColumnDefault::Generated,
            ] {
                assert_eq!(filled(source_type, true, default), None, "{source_type}");
            }
        }
    }
}
