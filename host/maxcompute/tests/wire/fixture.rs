//! The recorded files and the notation of values in them.

use std::path::PathBuf;

use serde_json::Value as Json;
use sluicebox_maxcompute::DataType;
use sluicebox_maxcompute::record::Value;

/// Path of a recorded file.
pub fn path(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/maxcompute")).join(name)
}

/// A recorded file as JSON.
pub fn json(name: &str) -> Json {
    let path = path(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()))
}

/// A recorded file as it is.
pub fn bytes(name: &str) -> Vec<u8> {
    let path = path(name);
    std::fs::read(&path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()))
}

/// A text member.
pub fn text<'a>(json: &'a Json, name: &str) -> &'a str {
    json[name].as_str().unwrap_or_else(|| panic!("no text `{name}` in {json}"))
}

/// A list member.
pub fn list<'a>(json: &'a Json, name: &str) -> &'a [Json] {
    json[name].as_array().unwrap_or_else(|| panic!("no list `{name}` in {json}"))
}

/// Bytes from hexadecimal digits.
pub fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "odd number of digits in {text}");
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A value in the notation of the recorded files.
pub fn value(json: &Json, data_type: &DataType) -> Option<Value> {
    if json.is_null() {
        return None;
    }
    let number = || json.as_i64().unwrap_or_else(|| panic!("not a number: {json}"));
    let text = || json.as_str().unwrap_or_else(|| panic!("not a text: {json}"));
    let items = || json.as_array().unwrap_or_else(|| panic!("not a list: {json}"));
    Some(match data_type {
        DataType::Tinyint | DataType::Smallint | DataType::Int | DataType::Bigint => Value::Bigint(number()),
        DataType::Float => Value::Float(text().parse().unwrap()),
        DataType::Double => Value::Double(text().parse().unwrap()),
        DataType::Boolean => Value::Boolean(json.as_bool().unwrap()),
        DataType::String
        | DataType::Char(_)
        | DataType::Varchar(_)
        | DataType::Json
        | DataType::Decimal { .. } => Value::Text(text().as_bytes().to_vec()),
        DataType::Binary => Value::Text(unhex(text())),
        DataType::Date => Value::Date(i32::try_from(number()).unwrap()),
        DataType::Datetime => Value::Datetime(number()),
        DataType::IntervalYearMonth => Value::Months(number()),
        DataType::Timestamp | DataType::TimestampNtz | DataType::IntervalDayTime => Value::Timestamp {
            seconds: json[0].as_i64().unwrap(),
            nanos: u32::try_from(json[1].as_u64().unwrap()).unwrap(),
        },
        DataType::Array(element) => Value::Array(items().iter().map(|item| value(item, element)).collect()),
        DataType::Map(key, inner) => {
            Value::Map(items().iter().map(|pair| (value(&pair[0], key), value(&pair[1], inner))).collect())
        }
        DataType::Struct(fields) => Value::Struct(
            fields.iter().zip(items()).map(|(field, item)| value(item, &field.data_type)).collect(),
        ),
    })
}

/// Encoded rows as the Python client writes them: the same, but with checksums sign-extended to ten bytes when their
/// top bit is set.
pub fn with_long_checksums(rows: &[(Vec<u8>, u32)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut fed = Vec::new();
    for (row, crc) in rows {
        let short = varint(u64::from(*crc));
        assert!(row.ends_with(&short), "a row ends in its checksum");
        bytes.extend_from_slice(&row[..row.len() - short.len()]);
        bytes.extend(long_checksum(*crc));
        fed.extend_from_slice(&crc.to_le_bytes());
    }
    bytes.extend([0xf0, 0xff, 0xff, 0x7f]);
    bytes.extend(varint(u64::try_from(rows.len()).unwrap() * 2));
    bytes.extend([0xf8, 0xff, 0xff, 0x7f]);
    bytes.extend(long_checksum(crc32c::crc32c(&fed)));
    bytes
}

fn long_checksum(crc: u32) -> Vec<u8> {
    varint(i64::from(crc.cast_signed()).cast_unsigned())
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap());
    bytes
}

/// Undoes percent-encoding.
pub fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'%' {
            decoded.push(u8::from_str_radix(&text[at + 1..at + 3], 16).unwrap());
            at += 3;
        } else {
            decoded.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(decoded).unwrap()
}

/// The path and the parameters of a request target, decoded; a parameter without a value has an empty one.
pub fn split_target(target: &str) -> (String, Vec<(String, String)>) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    });
    (decode(path), pairs.collect())
}
