//! What reads bytes of a client, one entry for each decoder, for `host/fuzz` and for the tests beside this file.
//!
//! Each entry takes any bytes at all and comes back, quickly and without much memory, whatever they are. What must hold
//! beyond that is asserted here, so that the fuzzer and the tests look for the same mistakes. Not part of the crate's
//! interface: the feature `fuzzing` is for this repository alone.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::http::fuzzing as http;
use crate::ingest;
use crate::sql;
use crate::store::{Column, Table, TableName};
use crate::wire::arrow::{frame, read_batches, unframe};
use crate::wire::compression::Encoding;
use crate::wire::cursor::Cursor;
use crate::wire::record::{Field, RecordWriter, scan};
use crate::wire::types::Type;
use crate::wire::value::Value;

/// Types of the columns that bodies are read with, one of each kind.
const TYPES: [&str; 24] = [
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
    "decimal(38,18)",
    "json",
    "array<string>",
    "map<string,bigint>",
    "struct<a:bigint,b:array<string>>",
    "interval_day_time",
    "interval_year_month",
    "array<map<string,array<int>>>",
];

/// The chosen ones of [`TYPES`]; the first when none is.
fn types(chosen: u32) -> Vec<Type> {
    let parsed = TYPES.iter().map(|text| Type::parse(text).expect("a type of the list"));
    let picked: Vec<_> =
        parsed.enumerate().filter(|(at, _)| chosen >> at & 1 == 1).map(|(_, kind)| kind).collect();
    if picked.is_empty() { vec![Type::BigInt] } else { picked }
}

/// The first four bytes, and what stands behind them.
fn split(data: &[u8]) -> (u32, &[u8]) {
    data.split_first_chunk::<4>().map_or((0, data), |(head, rest)| (u32::from_le_bytes(*head), rest))
}

/// A record stream: four bytes choose the columns. What is read is written and read again.
pub fn records(data: &[u8]) {
    let (chosen, body) = split(data);
    let fields: Vec<Field> = types(chosen).into_iter().map(|kind| Field { kind, nullable: true }).collect();
    let mut writer = RecordWriter::default();
    let mut copied = true;
    let rows = scan(body, &fields, |record| {
        for (at, field) in fields.iter().enumerate() {
            if let Some(bytes) = record.bytes(at) {
                let kind = &field.kind;
                copied &= writer.field(at, kind, bytes).is_ok();
                if let Ok(value) = Value::decode(&mut Cursor::new(bytes), kind) {
                    let mut again = Vec::new();
                    value.encode(kind, &mut again)?;
                    let back = Value::decode(&mut Cursor::new(&again), kind)?;
                    assert_eq!(
                        format!("{back:?}"),
                        format!("{value:?}"),
                        "a value reads back as it was written"
                    );
                }
            }
        }
        writer.end_record();
        Ok(())
    });
    if rows.is_ok() && copied {
        assert_eq!(scan(&writer.finish(), &fields, |_| Ok(())), rows, "what was read reads back");
    }
}

/// A body for a table: four bytes choose the columns, one the kind of the body.
pub fn bodies(data: &[u8]) {
    let (chosen, rest) = split(data);
    let Some((form, body)) = rest.split_first() else { return };
    let table = table(types(chosen | 3));
    let mut entries = Vec::new();
    let taken = match form % 3 {
        0 => ingest::upsert(&table, None, body, Some(&mut entries)),
        1 => ingest::append(&table, body, Some(&mut entries)),
        _ => ingest::append_arrow(&table, &frame(body), Some(&mut entries)),
    };
    if let Ok(rows) = taken {
        assert!(rows == 0 || !entries.is_empty(), "{rows} rows left nothing");
    }
}

fn table(types: Vec<Type>) -> Table {
    let column =
        |(id, kind)| Column { id, name: format!("c{id}"), kind, nullable: id > 1, comment: String::new() };
    let properties =
        [("transactional", "true"), ("write.bucket.num", "4"), ("acid.partial.fields.update.enable", "true")];
    Table {
        id: 1,
        name: TableName::new("p", "default", "t"),
        columns: (1..).zip(types).map(column).collect(),
        partition_columns: Vec::new(),
        primary_key: vec!["c1".to_owned()],
        properties: properties
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect::<BTreeMap<_, _>>(),
        comment: String::new(),
        lifecycle: None,
        created_s: 0,
        last_ddl_s: 0,
        schema_version: 1,
        evolved: false,
        next_column_id: 100,
    }
}

/// Arrow record batches: four bytes choose the columns, one whether the body comes in chunks.
pub fn arrow_body(data: &[u8]) {
    let (chosen, rest) = split(data);
    let Some((framed, body)) = rest.split_first() else { return };
    let payload = if framed & 1 == 0 { Ok(body.to_vec()) } else { unframe(body) };
    assert_eq!(unframe(&frame(body)).as_deref(), Ok(body), "what is framed is unframed");
    let Ok(payload) = payload else { return };
    let columns: Vec<_> =
        (0..).zip(types(chosen)).map(|(at, kind): (u32, _)| (format!("c{at}"), kind)).collect();
    if let Ok((batches, _)) = read_batches(&payload, &columns) {
        assert!(batches.iter().all(|batch| batch.num_columns() == columns.len()));
    }
}

/// A compressed body: a byte for the encoding. Whatever comes out is compressed and comes out again.
pub fn compression(data: &[u8]) {
    const ENCODINGS: [Encoding; 5] =
        [Encoding::Identity, Encoding::Deflate, Encoding::Zstd, Encoding::Snappy, Encoding::Lz4];
    let Some((which, body)) = data.split_first() else { return };
    let encoding = ENCODINGS[usize::from(*which) % ENCODINGS.len()];
    let mut plain = Vec::new();
    if encoding.decode(body, &mut plain).is_err() {
        return;
    }
    let packed = encoding.encode(plain.clone()).expect("memory");
    let mut again = Vec::new();
    encoding.decode(&packed, &mut again).expect("our own encoding");
    assert!(again == plain, "{encoding:?}");
}

/// A statement, and the same text as a type. What is read as a type prints as one.
pub fn statement(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = sql::parse(text);
    if let Ok(kind) = sql::parse_type(text) {
        let printed = kind.to_string();
        assert_eq!(Type::parse(&printed).as_ref(), Ok(&kind), "`{printed}`");
    }
}

/// A request: its line (method, space, target) up to the first line break, then its body.
pub fn request(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (line, body) = data.split_at(end);
    http::request(&String::from_utf8_lossy(line), body.get(1..).unwrap_or_default());
}
