//! One column value: checking it in place, taking it apart, and writing it again.
//!
//! [`check_value`] is the hot path: it allocates nothing and hands back only what the bucket hash and the
//! range checks need. [`Value`] is for SQL, CSV and Arrow, where a tree is wanted.

use super::cursor::{Cursor, Malformed, put_sized, put_varint, put_zigzag};
use super::decimal::Decimal;
use super::types::Type;

/// The service's limit of a STRING or BINARY value, `MaxFieldSize` in the session document.
pub(crate) const MAX_FIELD_BYTES: usize = 8_388_608;

/// Days and milliseconds of 0001-01-01 and 9999-12-31: what DATE and DATETIME hold.
const DATE_RANGE: (i64, i64) = (-719_162, 2_932_896);
const DATETIME_RANGE: (i64, i64) = (-62_135_596_800_000, 253_402_300_799_999);

/// The same in seconds for timestamps.
const TIMESTAMP_RANGE: (i64, i64) = (-62_135_596_800, 253_402_300_799);

/// A value as it stands in a body, nested ones left alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Primitive<'a> {
    Int(i64),
    Bool(bool),
    Float(f32),
    Double(f64),
    Bytes(&'a [u8]),
    Stamp { seconds: i64, nanos: i32 },
    Nested,
}

/// Reads one value, checks it against its type, and adds to `digest` what the record checksum is fed with.
#[inline]
pub(crate) fn check_value<'a>(
    cursor: &mut Cursor<'a>,
    kind: &Type,
    digest: &mut Vec<u8>,
) -> Result<Primitive<'a>, Malformed> {
    match kind {
        Type::BigInt => check_int(cursor, (i64::MIN, i64::MAX), digest),
        Type::TinyInt | Type::SmallInt | Type::Int => {
            check_int(cursor, kind.integer_range().unwrap_or((0, 0)), digest)
        }
        Type::Date => check_int(cursor, DATE_RANGE, digest),
        Type::DateTime => check_int(cursor, DATETIME_RANGE, digest),
        Type::IntervalYearMonth => check_int(cursor, (i32::MIN.into(), i32::MAX.into()), digest),
        Type::Boolean => match cursor.varint()? {
            bit @ (0 | 1) => {
                digest.push(u8::from(bit == 1));
                Ok(Primitive::Bool(bit == 1))
            }
            _ => Err(Malformed::new("a boolean is neither 0 nor 1")),
        },
        Type::Float => {
            let bytes = cursor.array::<4>()?;
            digest.extend_from_slice(&bytes);
            Ok(Primitive::Float(f32::from_le_bytes(bytes)))
        }
        Type::Double => {
            let bytes = cursor.array::<8>()?;
            digest.extend_from_slice(&bytes);
            Ok(Primitive::Double(f64::from_le_bytes(bytes)))
        }
        Type::String
        | Type::Char(_)
        | Type::VarChar(_)
        | Type::Binary
        | Type::Json
        | Type::Decimal { .. } => {
            let bytes = cursor.sized()?;
            check_bytes(kind, bytes)?;
            digest.extend_from_slice(bytes);
            Ok(Primitive::Bytes(bytes))
        }
        Type::Timestamp | Type::TimestampNtz | Type::IntervalDayTime => check_stamp(cursor, kind, digest),
        Type::Array(element) => check_list(cursor, element, digest),
        Type::Map(key, value) => {
            check_list(cursor, key, digest)?;
            check_list(cursor, value, digest)
        }
        Type::Struct(fields) => {
            for (_, field) in fields {
                check_nullable(cursor, field, digest)?;
            }
            Ok(Primitive::Nested)
        }
    }
}

#[inline]
fn check_int<'a>(
    cursor: &mut Cursor<'a>,
    (low, high): (i64, i64),
    digest: &mut Vec<u8>,
) -> Result<Primitive<'a>, Malformed> {
    let value = cursor.zigzag()?;
    if value < low || value > high {
        return Err(Malformed::new("a number is outside the range of its column's type"));
    }
    digest.extend_from_slice(&value.to_le_bytes());
    Ok(Primitive::Int(value))
}

fn check_stamp<'a>(
    cursor: &mut Cursor<'a>,
    kind: &Type,
    digest: &mut Vec<u8>,
) -> Result<Primitive<'a>, Malformed> {
    let seconds = cursor.zigzag()?;
    let (low, high) = TIMESTAMP_RANGE;
    if *kind != Type::IntervalDayTime && (seconds < low || seconds > high) {
        return Err(Malformed::new("a timestamp is outside the years 1 to 9999"));
    }
    let nanos = i32::try_from(cursor.zigzag()?).unwrap_or(-1);
    if !(0..1_000_000_000).contains(&nanos) {
        return Err(Malformed::new("the nanoseconds of a timestamp are outside 0..999999999"));
    }
    digest.extend_from_slice(&seconds.to_le_bytes());
    digest.extend_from_slice(&nanos.to_le_bytes());
    Ok(Primitive::Stamp { seconds, nanos })
}

fn check_list<'a>(
    cursor: &mut Cursor<'a>,
    element: &Type,
    digest: &mut Vec<u8>,
) -> Result<Primitive<'a>, Malformed> {
    for _ in 0..cursor.length()? {
        check_nullable(cursor, element, digest)?;
    }
    Ok(Primitive::Nested)
}

fn check_nullable(cursor: &mut Cursor<'_>, kind: &Type, digest: &mut Vec<u8>) -> Result<(), Malformed> {
    if present(cursor)? {
        check_value(cursor, kind, digest)?;
    }
    Ok(())
}

/// The flag in front of an element: 0 present, 1 null.
fn present(cursor: &mut Cursor<'_>) -> Result<bool, Malformed> {
    match cursor.array::<1>()? {
        [0] => Ok(true),
        [1] => Ok(false),
        _ => Err(Malformed::new("a null flag is neither 0 nor 1")),
    }
}

fn check_bytes(kind: &Type, bytes: &[u8]) -> Result<(), Malformed> {
    if bytes.len() > MAX_FIELD_BYTES {
        return Err(Malformed::new("a value is larger than 8388608 bytes"));
    }
    match kind {
        Type::Binary => Ok(()),
        Type::Decimal { precision, scale } => match Decimal::parse(bytes) {
            Some(number) if number.fits(*precision, *scale) => Ok(()),
            Some(_) => Err(Malformed::new(format!("a decimal does not fit `{kind}`"))),
            None => Err(Malformed::new("the text of a decimal is not a number")),
        },
        Type::Char(length) | Type::VarChar(length) => {
            let text = utf8(bytes)?;
            let limit = usize::try_from(*length).unwrap_or(usize::MAX);
            if bytes.len() > limit && text.chars().count() > limit {
                return Err(Malformed::new(format!("a text is longer than `{kind}`")));
            }
            Ok(())
        }
        Type::Json => {
            serde_json::from_slice::<serde::de::IgnoredAny>(bytes)
                .map_err(|_| Malformed::new("the text of a JSON value is not JSON"))?;
            Ok(())
        }
        _ => utf8(bytes).map(|_| ()),
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed::new("a text is not UTF-8"))
}

/// A value taken apart. Map entries keep the order of the wire.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// Integers, DATE in days, DATETIME in milliseconds, INTERVAL_YEAR_MONTH in months.
    Int(i64),
    Bool(bool),
    Float(f32),
    Double(f64),
    /// STRING, CHAR, VARCHAR, JSON and the text of a DECIMAL.
    Text(String),
    Binary(Vec<u8>),
    Stamp {
        seconds: i64,
        nanos: i32,
    },
    List(Vec<Option<Value>>),
    Map(Vec<(Option<Value>, Option<Value>)>),
    Struct(Vec<Option<Value>>),
}

impl Value {
    /// Reads one value of the wire.
    pub(crate) fn decode(cursor: &mut Cursor<'_>, kind: &Type) -> Result<Self, Malformed> {
        match kind {
            Type::Array(element) => Ok(Self::List(decode_list(cursor, element)?)),
            Type::Map(key, value) => {
                let keys = decode_list(cursor, key)?;
                let values = decode_list(cursor, value)?;
                if keys.len() != values.len() {
                    return Err(Malformed::new("a map has another number of keys than of values"));
                }
                Ok(Self::Map(keys.into_iter().zip(values).collect()))
            }
            Type::Struct(fields) => {
                let values = fields.iter().map(|(_, field)| decode_nullable(cursor, field));
                Ok(Self::Struct(values.collect::<Result<_, _>>()?))
            }
            _ => Self::of_primitive(kind, check_value(cursor, kind, &mut Vec::new())?),
        }
    }

    fn of_primitive(kind: &Type, value: Primitive<'_>) -> Result<Self, Malformed> {
        Ok(match value {
            Primitive::Int(number) => Self::Int(number),
            Primitive::Bool(bit) => Self::Bool(bit),
            Primitive::Float(number) => Self::Float(number),
            Primitive::Double(number) => Self::Double(number),
            Primitive::Stamp { seconds, nanos } => Self::Stamp { seconds, nanos },
            Primitive::Bytes(bytes) if *kind == Type::Binary => Self::Binary(bytes.to_vec()),
            Primitive::Bytes(bytes) => Self::Text(utf8(bytes)?.to_owned()),
            Primitive::Nested => return Err(Malformed::new("a nested value where a plain one belongs")),
        })
    }

    /// Writes the value as it stands in a record, without its tag.
    pub(crate) fn encode(&self, kind: &Type, out: &mut Vec<u8>) -> Result<(), Malformed> {
        match (self, kind) {
            (Self::Int(number), _) if kind.wire_number() == 0 && *kind != Type::Boolean => {
                put_zigzag(out, *number);
            }
            (Self::Bool(bit), Type::Boolean) => put_varint(out, u64::from(*bit)),
            (Self::Float(number), Type::Float) => out.extend_from_slice(&number.to_le_bytes()),
            (Self::Double(number), Type::Double) => out.extend_from_slice(&number.to_le_bytes()),
            (Self::Binary(bytes), Type::Binary) => put_sized(out, bytes),
            (
                Self::Text(text),
                Type::String | Type::Char(_) | Type::VarChar(_) | Type::Json | Type::Decimal { .. },
            ) => put_sized(out, text.as_bytes()),
            (
                Self::Stamp { seconds, nanos },
                Type::Timestamp | Type::TimestampNtz | Type::IntervalDayTime,
            ) => {
                put_zigzag(out, *seconds);
                put_zigzag(out, i64::from(*nanos));
            }
            (Self::List(elements), Type::Array(element)) => encode_list(elements.iter(), element, out)?,
            (Self::Map(entries), Type::Map(key, value)) => {
                encode_list(entries.iter().map(|(k, _)| k), key, out)?;
                encode_list(entries.iter().map(|(_, v)| v), value, out)?;
            }
            (Self::Struct(values), Type::Struct(fields)) if values.len() == fields.len() => {
                for (value, (_, field)) in values.iter().zip(fields) {
                    encode_nullable(value.as_ref(), field, out)?;
                }
            }
            _ => return Err(Malformed::new(format!("a value does not belong to the type `{kind}`"))),
        }
        Ok(())
    }
}

fn decode_list(cursor: &mut Cursor<'_>, element: &Type) -> Result<Vec<Option<Value>>, Malformed> {
    (0..cursor.length()?).map(|_| decode_nullable(cursor, element)).collect()
}

fn decode_nullable(cursor: &mut Cursor<'_>, kind: &Type) -> Result<Option<Value>, Malformed> {
    if present(cursor)? { Value::decode(cursor, kind).map(Some) } else { Ok(None) }
}

fn encode_list<'v>(
    elements: impl ExactSizeIterator<Item = &'v Option<Value>>,
    kind: &Type,
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    put_varint(out, u64::try_from(elements.len()).unwrap_or(u64::MAX));
    for element in elements {
        encode_nullable(element.as_ref(), kind, out)?;
    }
    Ok(())
}

fn encode_nullable(value: Option<&Value>, kind: &Type, out: &mut Vec<u8>) -> Result<(), Malformed> {
    out.push(u8::from(value.is_none()));
    value.map_or(Ok(()), |value| value.encode(kind, out))
}
