//! What reads answers of a service, one entry for each reader, for `host/fuzz` and for the tests beside this file.
//!
//! Each entry takes any bytes at all and comes back, quickly and without much memory, whatever they are. What must hold
//! beyond that is asserted here, so that the fuzzer and the tests look for the same mistakes. Not part of the crate's
//! interface: the feature `fuzzing` is for this repository alone.

#[cfg(test)]
mod tests;

use reqwest::header::HeaderMap;

use crate::record::{RecordBody, RecordWriter, Value, read_records};
use crate::request::Refusal;
use crate::xml::{Element, escape};
use crate::{Compression, DataType, credentials, csv, download, sql, table, upload, upsert};

/// Types of the columns that records are read with, one of each kind.
const TYPES: [&str; 22] = [
    "bigint",
    "string",
    "tinyint",
    "smallint",
    "int",
    "float",
    "double",
    "boolean",
    "char(8)",
    "varchar(32)",
    "binary",
    "date",
    "datetime",
    "timestamp",
    "timestamp_ntz",
    "decimal(20,6)",
    "json",
    "array<string>",
    "map<string,bigint>",
    "struct<a:bigint,b:array<string>>",
    "interval_day_time",
    "array<map<string,array<int>>>",
];

/// Most bytes that a body of the fuzzer's may grow to.
const DECOMPRESSED_MAX: u64 = 1 << 22;

/// The chosen ones of [`TYPES`], and what stands behind the four bytes that choose.
fn split(data: &[u8]) -> (Vec<DataType>, &[u8]) {
    let (chosen, rest) =
        data.split_first_chunk::<4>().map_or((0, data), |(head, rest)| (u32::from_le_bytes(*head), rest));
    let types = TYPES.iter().enumerate().filter(|(at, _)| chosen >> at & 1 == 1);
    (types.map(|(_, text)| text.parse().expect("a type of the list")).collect(), rest)
}

/// A stream of records: four bytes choose the columns. What is read is written and read again.
pub fn records(data: &[u8]) {
    let (types, body) = split(data);
    check_records(&types, body);
}

fn check_records(types: &[DataType], body: &[u8]) {
    let Ok(rows) = read_records(body, types) else { return };
    let again = read_records(&written(&rows), types).expect("what we have written");
    // Through text, because NaN is not equal to itself.
    assert_eq!(format!("{again:?}"), format!("{rows:?}"));
}

fn written(rows: &[Vec<Option<Value>>]) -> Vec<u8> {
    let mut writer = RecordWriter::new();
    let mut body = RecordBody::new();
    for row in rows {
        let mut record = writer.record();
        for (column, value) in (0..).zip(row) {
            record.value(column, value.as_ref());
        }
        body.push(record.end());
    }
    body.finish()
}

/// A compressed stream of records: a byte for the compression, four for the columns. No more comes out than is allowed.
pub fn compressed_records(data: &[u8]) {
    const ALL: [Compression; 5] =
        [Compression::Raw, Compression::Zlib, Compression::Lz4, Compression::Snappy, Compression::Zstd];
    let Some((which, rest)) = data.split_first() else { return };
    let compression = ALL[usize::from(*which) % ALL.len()];
    let (types, body) = split(rest);
    let Ok(plain) = compression.decompress(body, DECOMPRESSED_MAX) else { return };
    assert!(u64::try_from(plain.len()).is_ok_and(|length| length <= DECOMPRESSED_MAX));
    check_records(&types, &plain);
    let packed = compression.compress(plain.clone());
    assert!(compression.decompress(&packed, DECOMPRESSED_MAX).is_ok_and(|again| again == plain));
}

/// Answers of any kind: XML, the JSON of sessions, errors, credentials.
pub fn documents(body: &[u8]) {
    let _ = upsert::read_only(body);
    let _ = upload::read_only(body);
    let _ = download::read_only(body);
    let _ = credentials::read_only(body);
    let refusal = Refusal::read("read", 500, &HeaderMap::new(), body);
    assert!(refusal.answer.message.len() <= body.len() * 4 + 16, "an error's text is part of the answer");
    let Ok(text) = std::str::from_utf8(body) else { return };
    let escaped = Element::parse(&format!("<A>{}</A>", escape(text)));
    // A carriage return and what XML has no place for may be refused or read in another way.
    if text.chars().all(|c| c == '\n' || c >= ' ') {
        assert_eq!(escaped.as_ref().map(|element| element.text.as_str()), Ok(text));
    }
    if let Ok(element) = Element::parse(text) {
        let _ = table::read_table(&element, "read");
        let _ = sql::read_result(&element);
    }
}

/// The text of a query's result. Values written with quotes are read back.
pub fn csv_result(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(rows) = csv::parse(text) else { return };
    let values: usize = rows.iter().map(Vec::len).sum();
    assert!(values <= text.len() + 1, "a value takes a byte at least");
    let quoted = |value: &Option<String>| match value {
        Some(value) => format!("\"{}\"", value.replace('"', "\"\"")),
        None => "\\N".to_owned(),
    };
    let line = |row: &Vec<Option<String>>| row.iter().map(quoted).collect::<Vec<_>>().join(",") + "\n";
    let again: String = rows.iter().map(line).collect();
    assert_eq!(csv::parse(&again), Ok(rows));
}

/// The text of a type, which prints as one that is read as the same.
pub fn data_type(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(kind) = text.parse::<DataType>() {
        assert_eq!(kind.to_string().parse(), Ok(kind), "{text}");
    }
}
