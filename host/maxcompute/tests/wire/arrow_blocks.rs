//! Arrow bodies: the recorded ones are taken apart and their rows compared, then ours are made of the same batches.
//!
//! What takes them apart is written here, from the reference alone.

use std::io::Cursor;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    IntervalDayTimeType, IntervalYearMonthType, TimestampMillisecondType, TimestampNanosecondType,
};
use arrow_array::{
    Array, ArrayRef, Date64Array, Int32Array, Int64Array, IntervalDayTimeArray, RecordBatch, StringArray,
    StructArray,
};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType as Arrow, Field, Schema, SchemaRef};
use serde_json::Value as Json;
use sluicebox_maxcompute::record::{MAX_VALUE_BYTES, Value};
use sluicebox_maxcompute::{
    ArrowBody, Compression, DataType, Error, SessionColumn, UploadSession, arrow_schema, bucket,
};

use crate::fixture::{bytes, json, list, text, value};
use crate::server::{Reply, Server, table};

/// The payload of a body, with all checksums checked.
fn unframed(body: &[u8]) -> Vec<u8> {
    let number = |at: usize| u32::from_be_bytes(body[at..at + 4].try_into().unwrap());
    let chunk = usize::try_from(number(0)).unwrap();
    let (mut payload, mut at) = (Vec::new(), 4);
    while body.len() - at >= chunk + 4 {
        let bytes = &body[at..at + chunk];
        assert_eq!(number(at + chunk), crc32c::crc32c(bytes), "checksum of the chunk at {at}");
        payload.extend_from_slice(bytes);
        at += chunk + 4;
    }
    payload.extend_from_slice(&body[at..body.len() - 4]);
    assert_eq!(number(body.len() - 4), crc32c::crc32c(&payload), "checksum of the whole");
    payload
}

/// The batches of a payload: a stream's reader wants the schema in front and an end mark behind.
fn batches(schema: &SchemaRef, payload: &[u8]) -> Vec<RecordBatch> {
    let mut stream = Vec::new();
    drop(StreamWriter::try_new(&mut stream, schema).unwrap());
    // What the writer put behind the schema message when it was dropped, if anything, is no part of it.
    let length = usize::try_from(u32::from_le_bytes(stream[4..8].try_into().unwrap())).unwrap();
    stream.truncate(8 + length);
    stream.extend_from_slice(payload);
    stream.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    StreamReader::try_new(Cursor::new(stream), None).unwrap().map(Result::unwrap).collect()
}

fn columns(case: &Json) -> Vec<SessionColumn> {
    let column = |column: &Json| SessionColumn {
        name: text(column, "name").to_owned(),
        data_type: text(column, "type").parse().unwrap(),
        nullable: true,
        column_id: None,
    };
    list(case, "columns").iter().map(column).collect()
}

/// A cell in the form that records have; a decimal as its unscaled number.
fn cell(array: &dyn Array, data_type: &DataType, row: usize) -> Option<Value> {
    if array.is_null(row) {
        return None;
    }
    let all = |part: ArrayRef, kind: &DataType| (0..part.len()).map(|at| cell(&part, kind, at)).collect();
    let text = |text: &str| Value::Text(text.as_bytes().to_vec());
    Some(match data_type {
        DataType::Tinyint => Value::Bigint(array.as_primitive::<Int8Type>().value(row).into()),
        DataType::Smallint => Value::Bigint(array.as_primitive::<Int16Type>().value(row).into()),
        DataType::Int => Value::Bigint(array.as_primitive::<Int32Type>().value(row).into()),
        DataType::Bigint => Value::Bigint(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float => Value::Float(array.as_primitive::<Float32Type>().value(row)),
        DataType::Double => Value::Double(array.as_primitive::<Float64Type>().value(row)),
        DataType::Boolean => Value::Boolean(array.as_boolean().value(row)),
        DataType::String | DataType::Char(_) | DataType::Varchar(_) | DataType::Json => {
            text(array.as_string::<i32>().value(row))
        }
        DataType::Binary => Value::Text(array.as_binary::<i32>().value(row).to_vec()),
        DataType::Decimal { .. } => text(&array.as_primitive::<Decimal128Type>().value(row).to_string()),
        DataType::Date => Value::Date(array.as_primitive::<Date32Type>().value(row)),
        DataType::Datetime => Value::Datetime(array.as_primitive::<TimestampMillisecondType>().value(row)),
        DataType::Timestamp | DataType::TimestampNtz => {
            let nanos = array.as_primitive::<TimestampNanosecondType>().value(row);
            let seconds = nanos.div_euclid(1_000_000_000);
            Value::Timestamp { seconds, nanos: u32::try_from(nanos.rem_euclid(1_000_000_000)).unwrap() }
        }
        DataType::IntervalYearMonth => {
            Value::Months(array.as_primitive::<IntervalYearMonthType>().value(row).into())
        }
        DataType::IntervalDayTime => {
            let parts = array.as_struct();
            let seconds = parts.column(0).as_primitive::<Int64Type>().value(row);
            let nanos = parts.column(1).as_primitive::<Int32Type>().value(row);
            Value::Timestamp { seconds, nanos: u32::try_from(nanos).unwrap() }
        }
        DataType::Array(element) => Value::Array(all(array.as_list::<i32>().value(row), element)),
        DataType::Map(key, inner) => {
            let entries = array.as_map().value(row);
            let keys: Vec<_> = all(Arc::clone(entries.column(0)), key);
            let values: Vec<_> = all(Arc::clone(entries.column(1)), inner);
            Value::Map(keys.into_iter().zip(values).collect())
        }
        DataType::Struct(fields) => Value::Struct(
            array
                .as_struct()
                .columns()
                .iter()
                .zip(fields)
                .map(|(part, field)| cell(part, &field.data_type, row))
                .collect(),
        ),
    })
}

/// The recorded rows, with decimals as unscaled numbers.
fn recorded_rows(case: &Json, columns: &[SessionColumn]) -> Vec<Vec<Option<Value>>> {
    if let Some(rule) = case.get("row_rule").and_then(Json::as_str) {
        let (count, length) = if rule.contains("150 rows") { (150, 600) } else { (2, 32_645) };
        assert!(rule.contains(&format!("s = {length} times the letter 'a'+i%26")), "{rule}");
        let letters = |row: i64| vec![b'a' + u8::try_from(row % 26).unwrap(); length];
        return (0..count)
            .map(|row| vec![Some(Value::Bigint(row)), Some(Value::Text(letters(row)))])
            .collect();
    }
    let row = |row: &Json| {
        let cells = row.as_array().unwrap().iter().zip(columns);
        cells.map(|(cell, column)| unscaled(value(cell, &column.data_type), &column.data_type)).collect()
    };
    list(case, "rows").iter().map(row).collect()
}

fn unscaled(value: Option<Value>, data_type: &DataType) -> Option<Value> {
    Some(match (value?, data_type) {
        (Value::Text(text), DataType::Decimal { scale, .. }) => {
            let text = String::from_utf8(text).unwrap();
            Value::Text(bucket::unscaled(&text, *scale).unwrap().to_string().into_bytes())
        }
        (Value::Struct(parts), DataType::Struct(fields)) => Value::Struct(
            parts.into_iter().zip(fields).map(|(part, field)| unscaled(part, &field.data_type)).collect(),
        ),
        (other, _) => other,
    })
}

/// Makes a body of the batches as this crate writes it, and takes it apart again.
fn again(columns: &[SessionColumn], batches: &[RecordBatch], compression: Compression) -> Vec<RecordBatch> {
    let body = ArrowBody::new(columns, batches, compression).unwrap();
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(body.rows(), u64::try_from(rows).unwrap());
    let payload = unframed(&compression.decompress(body.bytes(), 1 << 26).unwrap());
    self::batches(&batches[0].schema(), &payload)
}

#[test]
fn every_recorded_arrow_body_has_its_rows_and_is_written_again() {
    let index = json("bodies/index.json");
    let names = list(&index, "cases").iter().map(|case| text(case, "name"));
    let mut bodies = 0;
    for name in names.filter(|name| name.contains("_arrow_")) {
        let case = json(&format!("bodies/{name}.json"));
        let columns = columns(&case);
        for request in list(&case, "requests") {
            let Some(file) = request.get("body_file").and_then(Json::as_str) else { continue };
            let encoding = request["headers"].get("Content-Encoding").and_then(Json::as_str);
            let compression = Compression::from_content_encoding(encoding).unwrap();
            assert_eq!(compression.arrow_content_encoding(), encoding, "{name}");
            let inside = compression.decompress(&bytes(&format!("bodies/{file}")), 1 << 26).unwrap();
            let payload = unframed(&inside);
            assert_eq!(u64::try_from(payload.len()).ok(), request["arrow_ipc_bytes"].as_u64(), "{name}");

            let batches = batches(&arrow_schema(&columns).unwrap(), &payload);
            let rows = |batch: &RecordBatch| -> Vec<Vec<Option<Value>>> {
                let row = |row| {
                    let arrays = batch.columns().iter().zip(&columns);
                    arrays.map(|(array, column)| cell(array, &column.data_type, row)).collect()
                };
                (0..batch.num_rows()).map(row).collect()
            };
            let read: Vec<_> = batches.iter().flat_map(rows).collect();
            assert_eq!(format!("{read:?}"), format!("{:?}", recorded_rows(&case, &columns)), "{name}");

            let written = again(&columns, &batches, compression);
            assert_eq!(format!("{written:?}"), format!("{batches:?}"), "{name} written again");
            bodies += 1;
        }
    }
    assert_eq!(bodies, 10, "all recorded bodies");
}

fn column(name: &str, data_type: &str) -> SessionColumn {
    let data_type = data_type.parse().unwrap();
    SessionColumn { name: name.to_owned(), data_type, nullable: true, column_id: None }
}

fn strings(name: &str, values: Vec<Option<&str>>) -> RecordBatch {
    let schema = Schema::new(vec![Field::new(name, Arrow::Utf8, true)]);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(StringArray::from(values))]).unwrap()
}

#[test]
fn slices_and_many_batches_go_in_whole() {
    let whole = strings("s", vec![Some("a"), None, Some("ccc"), Some("dd")]);
    let parts = [whole.slice(1, 2), whole.slice(3, 1), whole.slice(0, 0)];
    let written = again(&[column("s", "string")], &parts, Compression::Snappy);
    assert_eq!(written, parts);
}

#[test]
fn a_datetime_may_be_given_in_either_form() {
    let schema = Schema::new(vec![Field::new("at", Arrow::Date64, true)]);
    let array = Arc::new(Date64Array::from(vec![Some(-1_325_462_399_999), None]));
    let batch = RecordBatch::try_new(Arc::new(schema), vec![array]).unwrap();
    let columns = [column("at", "datetime")];
    let body = ArrowBody::new(&columns, &[batch], Compression::Raw).unwrap();
    let read = batches(&arrow_schema(&columns).unwrap(), &unframed(body.bytes()));
    assert_eq!(cell(read[0].column(0), &DataType::Datetime, 0), Some(Value::Datetime(-1_325_462_399_999)));
}

/// The official clients disagree, and the service's word on it is not known: both forms can be sent.
#[test]
fn a_day_time_interval_may_be_given_in_the_form_of_either_official_client() {
    let columns = [column("lasted", "interval_day_time")];
    let seconds: ArrayRef = Arc::new(Int64Array::from(vec![-1, 90_000]));
    let nanos: ArrayRef = Arc::new(Int32Array::from(vec![999_999_999, 0]));
    let Arrow::Struct(fields) = arrow_schema(&columns).unwrap().field(0).data_type().clone() else {
        panic!("seconds and nanoseconds")
    };
    let python: ArrayRef = Arc::new(StructArray::new(fields, vec![seconds, nanos], None));
    let days = vec![IntervalDayTimeType::make_value(1, -1), IntervalDayTimeType::make_value(0, 7)];
    let java: ArrayRef = Arc::new(IntervalDayTimeArray::from(days));
    for array in [python, java] {
        let batch = RecordBatch::try_from_iter([("lasted", array)]).unwrap();
        assert_eq!(
            again(&columns, std::slice::from_ref(&batch), Compression::Zlib)[0].columns(),
            batch.columns()
        );
    }
}

#[test]
fn what_does_not_fit_the_session_is_refused_by_name() {
    let long = "x".repeat(MAX_VALUE_BYTES + 1);
    let fine = || strings("s", vec![Some("a")]);
    let null = strings("s", vec![Some("a"), None]);
    let cases = [
        ("another type", column("s", "bigint"), fine(), "`s` is Utf8 and has to be Int64"),
        ("another name", column("t", "string"), fine(), "`s` where the session has `t`"),
        ("no interval", column("s", "interval_day_time"), fine(), "`s` is Utf8 and has to be Struct"),
        ("no form", column("s", "array<decimal(54,18)>"), fine(), "for DECIMAL(54,18)"),
        ("a null", SessionColumn { nullable: false, ..column("s", "string") }, null, "`s` takes no nulls"),
        ("too long", column("s", "string"), strings("s", vec![None, Some(&long)]), "`s` has 8388609 bytes"),
    ];
    for (name, column, batch, says) in cases {
        let error = ArrowBody::new(&[column], &[batch], Compression::Raw).unwrap_err();
        assert!(matches!(&error, Error::Options(text) if text.contains(says)), "{name}: {error}");
    }
    let error = ArrowBody::new(&[], &[fine()], Compression::Raw).unwrap_err();
    assert!(error.to_string().contains("1 columns for a session of 0"), "{error}");
    assert!(ArrowBody::new(&[column("S", "varchar(9)")], &[fine()], Compression::Raw).is_ok(), "case");
}

#[tokio::test]
async fn an_arrow_block_says_that_it_is_one() {
    let document =
        r#"{"UploadID":"b1","Status":"NORMAL","Schema":{"columns":[{"name":"s","type":"string"}]}}"#;
    let server = Server::replaying(vec![Reply::new(200, document), Reply::new(200, "")]).await;
    let (client, _) = server.client(|_| {});
    let session = UploadSession::create(&client, &table(), None).await.unwrap();
    let body = ArrowBody::new(session.columns(), &[strings("s", vec![Some("a")])], Compression::Lz4).unwrap();
    session.put_arrow_block(0, &body).await.unwrap();
    assert_eq!(server.lines()[1], "PUT /projects/mc_proj/tables/t?arrow&blockid=0&uploadid=b1");
    let seen = &server.seen()[1];
    assert_eq!(seen.header("content-encoding"), Some("x-odps-lz4-frame"));
    assert_eq!(seen.header("content-type"), Some("application/octet-stream"));
    assert_eq!(seen.body, body.bytes()[..]);
}
