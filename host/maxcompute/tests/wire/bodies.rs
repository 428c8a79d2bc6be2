//! All recorded write conversations: each body is built again from the rows that went in.

use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use sluicebox_maxcompute::record::{Operation, RecordBody, RecordWriter, Value, read_records};
use sluicebox_maxcompute::{Compression, DataType};

use crate::fixture::{bytes, hex, json, list, text, value, with_long_checksums};

/// No recorded body is larger than this inside.
const LIMIT: u64 = 1 << 20;

struct Case {
    json: Json,
    types: Vec<DataType>,
    /// Rows that earlier requests of the conversation have sent.
    sent: usize,
}

impl Case {
    fn load(name: &str) -> Self {
        let json = json(&format!("bodies/{name}.json"));
        let types =
            list(&json, "columns").iter().map(|column| text(column, "type").parse().unwrap()).collect();
        Self { json, types, sent: 0 }
    }

    fn is_arrow(&self) -> bool {
        text(&self.json, "name").contains("_arrow_")
    }

    fn is_python(&self) -> bool {
        text(&self.json, "client").starts_with("PyODPS")
    }

    fn row(&self, json: &Json) -> Vec<Option<Value>> {
        json.as_array().unwrap().iter().zip(&self.types).map(|(cell, kind)| value(cell, kind)).collect()
    }

    /// The rows of a request: its own where they are written with it, else the next ones of the conversation, with
    /// the texts that the client wrote in another form.
    fn rows(&mut self, request: &Json) -> Vec<Vec<Option<Value>>> {
        let count = usize::try_from(request["rows_in_body"].as_u64().unwrap()).unwrap();
        if let Some(rows) = request.get("rows").and_then(Json::as_array) {
            assert_eq!(rows.len(), count);
            return rows.iter().map(|row| self.row(row)).collect();
        }
        let range = self.sent..self.sent + count;
        let mut rows: Vec<_> = list(&self.json, "rows")[range].iter().map(|row| self.row(row)).collect();
        let differing = self.json.get("text_on_wire_differs");
        for cell in differing.map(|differing| list(differing, "cells")).unwrap_or_default() {
            let index = usize::try_from(cell[0].as_u64().unwrap()).unwrap();
            let column =
                list(&self.json, "columns").iter().position(|column| column["name"] == cell[1]).unwrap();
            if let Some(row) = index.checked_sub(self.sent).and_then(|index| rows.get_mut(index)) {
                row[column] = value(&cell[2], &self.types[column]);
            }
        }
        self.sent += count;
        rows
    }
}

/// Number of the column of a hidden column's value in a row.
fn hidden<'a>(request: &'a Json, name: &str, row: usize) -> Option<&'a Json> {
    let columns = request.get("hidden_columns")?.as_array()?;
    let column = columns.iter().find(|column| column[0] == name).unwrap_or_else(|| panic!("no {name}"));
    Some(&column[1][row])
}

fn encode(types: &[DataType], request: &Json, rows: &[Vec<Option<Value>>]) -> (Vec<u8>, Vec<(Vec<u8>, u32)>) {
    let mut writer = RecordWriter::new();
    let mut body = RecordBody::new();
    let mut encoded = Vec::new();
    let columns = u32::try_from(types.len()).unwrap();
    for (index, row) in rows.iter().enumerate() {
        let mut record = writer.record();
        for (column, cell) in row.iter().enumerate() {
            record.value(u32::try_from(column).unwrap(), cell.as_ref());
        }
        let row = match hidden(request, "__operation", index).map(|code| code.as_u64().unwrap()) {
            None => record.end(),
            Some(68) => record.end_keyed(columns, Operation::Delete),
            Some(85) => {
                let ids = hidden(request, "__value_cols", index).unwrap().as_array().unwrap();
                let ids: Vec<i64> = ids.iter().map(|id| id.as_i64().unwrap()).collect();
                if ids.is_empty() {
                    record.end_keyed(columns, Operation::Upsert)
                } else {
                    record.end_partial(columns, &ids)
                }
            }
            Some(other) => panic!("operation {other}"),
        };
        body.push(row);
        encoded.push((row.bytes.to_vec(), row.crc));
    }
    assert_eq!(body.records(), u64::try_from(rows.len()).unwrap());
    (body.finish(), encoded)
}

/// The inside of a recorded body, found by our own decompression.
fn inside(request: &Json, name: &str) -> (Compression, Vec<u8>) {
    let wire = bytes(&format!("bodies/{}", text(request, "body_file")));
    let encoding = request["headers"].get("Content-Encoding").and_then(Json::as_str);
    let compression = Compression::from_content_encoding(encoding).unwrap();
    let inside = compression.decompress(&wire, LIMIT).unwrap();
    assert_eq!(hex(&Sha256::digest(&inside)), text(request, "decoded_sha256"), "{name}");
    (compression, inside)
}

/// The Java client writes the entries of a map in an order of its own: the rows are compared without it, and then
/// taken in its order.
fn in_wire_order(
    name: &str,
    rows: Vec<Vec<Option<Value>>>,
    read: Vec<Vec<Option<Value>>>,
) -> Vec<Vec<Option<Value>>> {
    let sorted = |rows: &[Vec<Option<Value>>]| {
        let mut rows = rows.to_vec();
        rows.iter_mut().flatten().flatten().for_each(sort_maps);
        format!("{rows:?}")
    };
    assert_eq!(sorted(&read), sorted(&rows), "{name}: rows");
    read
}

fn sort_maps(value: &mut Value) {
    match value {
        Value::Map(pairs) => {
            pairs.iter_mut().for_each(|(key, value)| key.iter_mut().chain(value).for_each(sort_maps));
            pairs.sort_by_key(|pair| format!("{pair:?}"));
        }
        Value::Array(items) | Value::Struct(items) => items.iter_mut().flatten().for_each(sort_maps),
        _ => {}
    }
}

#[test]
fn every_recorded_body_is_built_again_from_its_rows() {
    let index = json("bodies/index.json");
    let cases = list(&index, "cases");
    let (mut record_cases, mut arrow_cases, mut record_bodies, mut arrow_bodies) = (0, 0, 0, 0);
    for case in cases {
        let name = text(case, "name");
        let mut case = Case::load(name);
        let requests = list(&case.json, "requests").to_vec();
        let writes: Vec<_> = requests.iter().filter(|request| request.get("body_file").is_some()).collect();
        if case.is_arrow() {
            // Their rows are compared in `arrow_blocks`.
            arrow_cases += 1;
            for request in writes {
                inside(request, name);
                arrow_bodies += 1;
            }
            continue;
        }
        record_cases += 1;
        for request in writes {
            record_bodies += 1;
            let (compression, recorded) = inside(request, name);
            let mut rows = case.rows(request);
            let mut types = case.types.clone();
            if request.get("hidden_columns").is_some() {
                types.extend([DataType::Bigint, DataType::Bigint, DataType::Tinyint]);
                types.extend([
                    DataType::Array(DataType::Bigint.into()),
                    DataType::Array(DataType::Bigint.into()),
                ]);
            }
            let mut read = read_records(&recorded, &types).unwrap();
            read.iter_mut().for_each(|row| row.truncate(case.types.len()));
            rows = in_wire_order(name, rows, read);
            let (ours, encoded) = encode(&case.types, request, &rows);
            if case.is_python() {
                assert_eq!(hex(&with_long_checksums(&encoded)), hex(&recorded), "{name}");
            } else {
                assert_eq!(hex(&ours), hex(&recorded), "{name}");
            }
            let compressed = compression.compress(ours.clone());
            assert_eq!(compression.decompress(&compressed, LIMIT).unwrap(), ours, "{name}");
        }
    }
    assert_eq!((cases.len(), record_cases, arrow_cases), (30, 20, 10), "all recorded cases");
    assert_eq!((record_bodies, arrow_bodies), (43, 10), "all recorded bodies");
}

#[test]
fn compressed_bodies_begin_as_the_official_ones_do() {
    let body = b"some rows ".repeat(100);
    let begins = |compression: Compression, bytes: &[u8]| {
        let compressed = compression.compress(body.clone());
        assert_eq!(hex(&compressed[..bytes.len()]), hex(bytes), "{compression:?}");
    };
    begins(Compression::Zlib, &[0x78, 0x01]);
    begins(Compression::Snappy, &[0xff, 0x06, 0x00, 0x00, 0x73, 0x4e, 0x61, 0x50, 0x70, 0x59]);
    begins(Compression::Lz4, &[0x04, 0x22, 0x4d, 0x18, 0x60]);
    begins(Compression::Zstd, &[0x28, 0xb5, 0x2f, 0xfd]);
    begins(Compression::Raw, b"some rows ");
}

#[test]
fn decompression_stops_at_its_limit() {
    let zeros = vec![0_u8; 100_000];
    for compression in
        [Compression::Raw, Compression::Zlib, Compression::Lz4, Compression::Snappy, Compression::Zstd]
    {
        let compressed = compression.compress(zeros.clone());
        assert_eq!(compression.decompress(&compressed, 100_000).unwrap(), zeros, "{compression:?}");
        assert!(compression.decompress(&compressed, 99_999).is_err(), "{compression:?}");
    }
}
