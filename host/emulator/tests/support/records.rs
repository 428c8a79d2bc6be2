//! A second reading of the record format, written for the tests alone: values as JSON, in the notation of
//! the recorded bodies. It also builds small bodies.

#![allow(clippy::unwrap_used, reason = "a test ends at the first thing that is not as it should be")]
#![allow(dead_code, reason = "each test binary uses its own part")]

use serde_json::{Value as Json, json};

/// A column type, as far as the layout of values needs it.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Integer,
    Bool,
    Float,
    Double,
    Text,
    Binary,
    Decimal,
    Json,
    Stamp,
    Array(Box<Kind>),
    Map(Box<Kind>, Box<Kind>),
    Struct(Vec<Kind>),
}

impl Kind {
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        let inner = |prefix: &str| text.strip_prefix(prefix).and_then(|rest| rest.strip_suffix('>'));
        if let Some(inner) = inner("array<") {
            return Self::Array(Box::new(Self::parse(inner)));
        }
        if let Some(inner) = inner("map<") {
            let parts = split_top(inner);
            return Self::Map(Box::new(Self::parse(parts[0])), Box::new(Self::parse(parts[1])));
        }
        if let Some(inner) = inner("struct<") {
            let field = |part: &str| Self::parse(part.split_once(':').unwrap().1);
            return Self::Struct(split_top(inner).into_iter().map(field).collect());
        }
        match text.split('(').next().unwrap() {
            "tinyint" | "smallint" | "int" | "bigint" | "date" | "datetime" | "interval_year_month" => {
                Self::Integer
            }
            "boolean" => Self::Bool,
            "float" => Self::Float,
            "double" => Self::Double,
            "string" | "char" | "varchar" => Self::Text,
            "binary" => Self::Binary,
            "decimal" => Self::Decimal,
            "json" => Self::Json,
            "timestamp" | "timestamp_ntz" | "interval_day_time" => Self::Stamp,
            other => panic!("unknown type {other}"),
        }
    }
}

fn split_top(text: &str) -> Vec<&str> {
    let mut depth = 0;
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'<' | b'(' => depth += 1,
            b'>' | b')' => depth -= 1,
            b',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> u8 {
        let byte = self.0[0];
        self.0 = &self.0[1..];
        byte
    }

    fn varint(&mut self) -> u64 {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.byte();
            if shift < 64 {
                value |= u64::from(byte & 0x7f) << shift;
            }
            if byte < 0x80 {
                return value;
            }
        }
        panic!("a varint is too long")
    }

    fn zigzag(&mut self) -> i64 {
        let raw = self.varint();
        (raw >> 1).cast_signed() ^ -(raw & 1).cast_signed()
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let (part, rest) = self.0.split_at(length);
        self.0 = rest;
        part
    }

    fn bytes(&mut self) -> &'a [u8] {
        let length = usize::try_from(self.varint()).unwrap();
        self.take(length)
    }

    fn value(&mut self, kind: &Kind) -> Json {
        match kind {
            Kind::Integer => json!(self.zigzag()),
            Kind::Bool => json!(self.varint() == 1),
            Kind::Float => json!(f32::from_le_bytes(self.take(4).try_into().unwrap()).to_string()),
            Kind::Double => json!(f64::from_le_bytes(self.take(8).try_into().unwrap()).to_string()),
            Kind::Text | Kind::Decimal | Kind::Json => {
                json!(String::from_utf8(self.bytes().to_vec()).unwrap())
            }
            Kind::Binary => json!(self.bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
            Kind::Stamp => json!([self.zigzag(), self.zigzag()]),
            Kind::Array(element) => Json::Array(self.list(element)),
            Kind::Map(key, value) => {
                let keys = self.list(key);
                let values = self.list(value);
                keys.into_iter().zip(values).map(|(key, value)| json!([key, value])).collect()
            }
            Kind::Struct(fields) => fields.iter().map(|field| self.nullable(field)).collect(),
        }
    }

    fn list(&mut self, element: &Kind) -> Vec<Json> {
        (0..self.varint()).map(|_| self.nullable(element)).collect()
    }

    fn nullable(&mut self, kind: &Kind) -> Json {
        if self.byte() == 1 { Json::Null } else { self.value(kind) }
    }
}

/// The rows of a record stream. Checksums are not looked at here.
pub fn decode(body: &[u8], kinds: &[Kind]) -> Vec<Vec<Json>> {
    let mut reader = Reader(body);
    let mut rows = Vec::new();
    let mut row = vec![Json::Null; kinds.len()];
    loop {
        match reader.varint() >> 3 {
            33_553_408 => {
                reader.varint();
                rows.push(std::mem::replace(&mut row, vec![Json::Null; kinds.len()]));
            }
            33_554_430 => {
                assert_eq!(usize::try_from(reader.zigzag()).unwrap(), rows.len());
                return rows;
            }
            number => {
                let index = usize::try_from(number).unwrap() - 1;
                row[index] = reader.value(&kinds[index]);
            }
        }
    }
}

/// Whether two values are the same, whatever text a client chose for numbers and JSON.
pub fn same(kind: &Kind, a: &Json, b: &Json) -> bool {
    if a.is_null() || b.is_null() {
        return a == b;
    }
    let text = |value: &Json| value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned();
    let number = |value: &Json| match text(value).as_str() {
        "Infinity" => f64::INFINITY,
        "-Infinity" => f64::NEG_INFINITY,
        other => other.parse::<f64>().unwrap_or_else(|_| panic!("not a number: {other}")),
    };
    let list = |value: &Json| value.as_array().unwrap().clone();
    match kind {
        Kind::Float => {
            #[expect(clippy::cast_possible_truncation, reason = "the notation writes a float as a double")]
            let (a, b) = (number(a) as f32, number(b) as f32);
            a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
        }
        Kind::Double => {
            let (a, b) = (number(a), number(b));
            a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
        }
        Kind::Decimal => plain_decimal(&text(a)) == plain_decimal(&text(b)),
        Kind::Json => {
            let parse = |value: &Json| serde_json::from_str::<Json>(&text(value)).unwrap();
            parse(a) == parse(b)
        }
        Kind::Array(element) => {
            let (a, b) = (list(a), list(b));
            a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| same(element, a, b))
        }
        // The Java client does not keep the order of entries.
        Kind::Map(key, value) => {
            let (a, b) = (list(a), list(b));
            let entry = |a: &Json, b: &Json| same(key, &a[0], &b[0]) && same(value, &a[1], &b[1]);
            a.len() == b.len() && a.iter().all(|a| b.iter().any(|b| entry(a, b)))
        }
        Kind::Struct(fields) => {
            let (a, b) = (list(a), list(b));
            fields.iter().enumerate().all(|(at, field)| same(field, &a[at], &b[at]))
        }
        Kind::Integer | Kind::Bool | Kind::Text | Kind::Binary | Kind::Stamp => a == b,
    }
}

/// Sign, digits without zeros at the ends, and power of ten.
fn plain_decimal(text: &str) -> (bool, String, i32) {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse().unwrap()),
        None => (text, 0),
    };
    let negative = mantissa.starts_with('-');
    let mantissa = mantissa.trim_start_matches(['-', '+']);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let trimmed = digits.trim_start_matches('0').trim_end_matches('0');
    if trimmed.is_empty() {
        return (false, String::new(), 0);
    }
    let zeros = digits.len() - digits.trim_end_matches('0').len();
    let power = exponent - i32::try_from(fraction.len()).unwrap() + i32::try_from(zeros).unwrap();
    (negative, trimmed.to_owned(), power)
}

/// A value to put into a small body.
#[derive(Debug, Clone, Copy)]
pub enum Cell<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    /// The list of value columns of an upsert.
    Ids(&'a [i64]),
}

pub const UPSERT: i64 = 85;
pub const DELETE: i64 = 68;

/// Builds a record stream.
pub fn body(rows: &[Vec<Cell<'_>>]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut stream = Vec::new();
    for row in rows {
        let mut digest = Vec::new();
        for (number, cell) in (1u32..).zip(row) {
            if matches!(cell, Cell::Null) {
                continue;
            }
            let wire = if matches!(cell, Cell::Int(_)) { 0 } else { 2 };
            put(&mut out, u64::from(number) << 3 | wire);
            digest.extend(number.to_le_bytes());
            match cell {
                Cell::Null => {}
                Cell::Int(value) => {
                    put(&mut out, zigzag(*value));
                    digest.extend(value.to_le_bytes());
                }
                Cell::Text(text) => {
                    put(&mut out, text.len() as u64);
                    out.extend(text.bytes());
                    digest.extend(text.bytes());
                }
                Cell::Ids(ids) => {
                    put(&mut out, ids.len() as u64);
                    for id in *ids {
                        out.push(0);
                        put(&mut out, zigzag(*id));
                        digest.extend(id.to_le_bytes());
                    }
                }
            }
        }
        let sum = crc32c::crc32c(&digest);
        put(&mut out, 33_553_408 << 3);
        put(&mut out, sum.into());
        stream.extend(sum.to_le_bytes());
    }
    put(&mut out, 33_554_430 << 3);
    put(&mut out, zigzag(i64::try_from(rows.len()).unwrap()));
    put(&mut out, 33_554_431 << 3);
    put(&mut out, crc32c::crc32c(&stream).into());
    out
}

/// A row of an upsert body: the columns, then the hidden ones.
pub fn change<'a>(columns: &[Cell<'a>], operation: i64, set: &'a [i64]) -> Vec<Cell<'a>> {
    let hidden = [Cell::Null, Cell::Null, Cell::Int(operation), Cell::Null, Cell::Ids(set)];
    columns.iter().copied().chain(hidden).collect()
}

/// The bucket of a BIGINT key, computed here from the documented hash.
pub fn bucket_of(key: i64, buckets: u32) -> u32 {
    let mut l = (!key).wrapping_add(key << 18);
    l ^= l >> 31;
    l = l.wrapping_mul(21);
    l ^= l >> 11;
    l = l.wrapping_add(l << 6);
    l ^= l >> 22;
    #[expect(clippy::cast_possible_truncation, reason = "the low half is the hash")]
    let hash = l as i32;
    (hash ^ (hash >> 8)).cast_unsigned() % buckets
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}
