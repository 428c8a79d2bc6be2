//! Our client and the official Python client read what the other has written: every column type, records, upserts, streams and Arrow,
//! a partition, and a hundred thousand rows.

use std::process::Command;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array,
    Int16Array, Int32Array, Int64Array, ListArray, MapArray, RecordBatch, StringArray, StructArray,
    TimestampNanosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::DataType;

use sluicebox_maxcompute::bucket::bucket_of;
use sluicebox_maxcompute::record::{Operation, RecordBody, RecordWriter, Value};
use sluicebox_maxcompute::{
    ArrowBody, Compression, DownloadSession, TableName, UploadSession, UpsertSession, arrow_schema,
};

use crate::support::{Emulator, Sink, TypedRows, root, setting, wait};

/// The project of the Python tests.
const PROJECT: &str = "mc_proj";
const MANY: usize = 100_000;

#[test]
fn each_client_reads_what_the_other_has_written() {
    let emulator = Emulator::start();
    python(&emulator, "write");
    let sink = Sink::new(&emulator.endpoint(), PROJECT);

    let records = download(&sink, "theirs_records", None);
    assert_eq!(records[0][..first_row().len()], first_row());
    assert!(
        matches!(&records[0][24], Some(Value::Text(json)) if json.starts_with(b"{\"a\"")),
        "{:?}",
        records[0][24]
    );
    assert!(records[3].iter().all(Option::is_none), "the last row is null all over: {:?}", records[3]);
    append(&sink, "ours_records", None, &records, Compression::Zlib);
    let streamed = download(&sink, "theirs_stream", None);
    assert_eq!(streamed, records);
    append(&sink, "ours_stream", None, &streamed, Compression::Snappy);
    append_arrow(&sink, "ours_arrow", &download(&sink, "theirs_arrow", None));

    let many = download(&sink, "theirs_many", None);
    assert_eq!(many.len(), MANY);
    append(&sink, "ours_many", None, &many, Compression::Zstd);
    append(
        &sink,
        "ours_days",
        Some("ds='1'"),
        &download(&sink, "theirs_days", Some("ds='1'")),
        Compression::Lz4,
    );

    let keyed = sink.typed_rows("SELECT * FROM theirs_keyed ORDER BY id").expect("rows");
    assert_eq!(keyed.len(), 4);
    upsert(&sink, "ours_keyed", &keyed);
    python(&emulator, "check");
}

/// What the Python side wrote into the first row, JSON left out, written down here on its own.
fn first_row() -> Vec<Option<Value>> {
    let text = |text: &str| Some(Value::Text(text.as_bytes().to_vec()));
    let number = |number: i64| Some(Value::Bigint(number));
    vec![
        number(-128),
        number(-32_768),
        number(-2_147_483_648),
        number(-9_223_372_036_854_775_807),
        Some(Value::Float(1.5)),
        Some(Value::Double(5e-324)),
        Some(Value::Boolean(true)),
        text(""),
        text(""),
        text("abcd"),
        text(""),
        Some(Value::Date(-719_162)),
        Some(Value::Datetime(-1)),
        text("99999999999999999999.999999999999999999"),
        text("-12345678.90"),
        Some(Value::Months(14)),
        Some(Value::Timestamp { seconds: -9_214_560_001, nanos: 0 }),
        Some(Value::Timestamp { seconds: -1, nanos: 0 }),
        Some(Value::Timestamp { seconds: -259_200, nanos: 1 }),
        Some(Value::Array(vec![text("x"), None, text("")])),
        Some(Value::Array(vec![number(1), None, number(-4_611_686_018_427_387_904)])),
        Some(Value::Map(vec![(text("k"), number(1)), (text("n"), None)])),
        Some(Value::Struct(vec![number(9), text("s")])),
        Some(Value::Array(vec![
            Some(Value::Map(vec![(text("a"), Some(Value::Array(vec![number(1), None])))])),
            Some(Value::Map(Vec::new())),
        ])),
    ]
}

/// Runs the other half. Its clock is UTC: the client turns moments into local ones.
#[track_caller]
fn python(emulator: &Emulator, half: &str) {
    let output = Command::new(setting("SLUICEBOX_TEST_PYTHON"))
        .args(["exchange.py", half])
        .current_dir(root().join("tests/pyodps"))
        .env("SLUICEBOX_EMULATOR", emulator.endpoint())
        .env("TZ", "UTC")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("a Python interpreter");
    assert!(output.status.success(), "{half}: {}", String::from_utf8_lossy(&output.stderr));
}

fn download(sink: &Sink, table: &str, partition: Option<&str>) -> TypedRows {
    wait(async {
        let session =
            DownloadSession::of_table(sink.client(), &TableName::new(None, table), partition).await?;
        session.records(0, session.record_count()).await
    })
    .unwrap_or_else(|error| panic!("{table}: {error}"))
}

fn append(sink: &Sink, table: &str, partition: Option<&str>, rows: &TypedRows, compression: Compression) {
    let mut writer = RecordWriter::new();
    wait(async {
        let session = UploadSession::create(sink.client(), &TableName::new(None, table), partition).await?;
        for (block, rows) in (0..).zip(rows.chunks(30_000)) {
            let mut body = RecordBody::new();
            for row in rows {
                let mut record = writer.record();
                for (column, value) in (0..).zip(row) {
                    record.value(column, value.as_ref());
                }
                body.push(record.end());
            }
            session.put_block(block, &body.seal(compression)).await?;
        }
        session.commit().await
    })
    .unwrap_or_else(|error| panic!("{table}: {error}"));
}

/// Writes all rows as one block of Arrow.
fn append_arrow(sink: &Sink, table: &str, rows: &TypedRows) {
    wait(async {
        let session = UploadSession::create(sink.client(), &TableName::new(None, table), None).await?;
        let schema = arrow_schema(session.columns())?;
        let column = |(at, field): (usize, &Arc<arrow::datatypes::Field>)| {
            let values: Vec<_> = rows.iter().map(|row| row[at].as_ref()).collect();
            array_of(field.data_type(), &values)
        };
        let columns = schema.fields().iter().enumerate().map(column).collect();
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns).expect("a batch of the schema");
        let body = ArrowBody::new(session.columns(), &[batch], Compression::Lz4)?;
        session.put_arrow_block(0, &body).await?;
        session.commit().await
    })
    .unwrap_or_else(|error| panic!("{table}: {error}"));
}

fn stamp(value: &Option<&Value>) -> Option<(i64, u32)> {
    match value {
        Some(Value::Timestamp { seconds, nanos }) => Some((*seconds, *nanos)),
        None => None,
        other => panic!("{other:?} for a timestamp or an interval"),
    }
}

/// Values of a column, as records have them, as an Arrow array.
fn array_of(data_type: &DataType, values: &[Option<&Value>]) -> ArrayRef {
    let bytes = |value: &Option<&Value>| match value {
        Some(Value::Text(bytes)) => Some(bytes.clone()),
        None => None,
        other => panic!("{other:?} for {data_type}"),
    };
    let text = |value: &Option<&Value>| bytes(value).map(|text| String::from_utf8(text).expect("UTF-8"));
    let whole = |value: &Option<&Value>| match value {
        Some(Value::Bigint(number)) => Some(*number),
        None => None,
        other => panic!("{other:?} for {data_type}"),
    };
    let each = values.iter();
    match data_type {
        DataType::Int8 => {
            Arc::new(each.map(|v| whole(v).map(|n| n.try_into().expect("8 bits"))).collect::<Int8Array>())
        }
        DataType::Int16 => {
            Arc::new(each.map(|v| whole(v).map(|n| n.try_into().expect("16 bits"))).collect::<Int16Array>())
        }
        DataType::Int32 => {
            Arc::new(each.map(|v| whole(v).map(|n| n.try_into().expect("32 bits"))).collect::<Int32Array>())
        }
        DataType::Int64 => Arc::new(each.map(whole).collect::<Int64Array>()),
        DataType::Utf8 => Arc::new(each.map(text).collect::<StringArray>()),
        DataType::Binary => Arc::new(each.map(bytes).collect::<BinaryArray>()),
        DataType::Float32 => Arc::new(
            each.map(|v| if let Some(Value::Float(n)) = v { Some(*n) } else { None })
                .collect::<Float32Array>(),
        ),
        DataType::Float64 => Arc::new(
            each.map(|v| if let Some(Value::Double(n)) = v { Some(*n) } else { None })
                .collect::<Float64Array>(),
        ),
        DataType::Boolean => Arc::new(
            each.map(|v| if let Some(Value::Boolean(b)) = v { Some(*b) } else { None })
                .collect::<BooleanArray>(),
        ),
        DataType::Date32 => Arc::new(
            each.map(|v| if let Some(Value::Date(days)) = v { Some(*days) } else { None })
                .collect::<Date32Array>(),
        ),
        DataType::Decimal128(precision, scale) => {
            // All texts have the digits of the column's scale.
            let unscaled = |v| text(v).map(|text| text.replace('.', "").parse().expect("a decimal"));
            let array = each.map(unscaled).collect::<Decimal128Array>();
            Arc::new(array.with_precision_and_scale(*precision, *scale).expect("a decimal type"))
        }
        DataType::Timestamp(..) => {
            let nanos = |v| stamp(v).map(|(seconds, nanos)| seconds * 1_000_000_000 + i64::from(nanos));
            Arc::new(each.map(nanos).collect::<TimestampNanosecondArray>())
        }
        other => nested_of(other, values),
    }
}

/// Values that have parts.
fn nested_of(data_type: &DataType, values: &[Option<&Value>]) -> ArrayRef {
    let nulls = Some(values.iter().map(Option::is_some).collect::<NullBuffer>());
    let each = values.iter();
    match data_type {
        DataType::List(field) => {
            let lists: Vec<&[Option<Value>]> =
                each.map(|v| if let Some(Value::Array(list)) = v { list.as_slice() } else { &[] }).collect();
            let items: Vec<_> = lists.iter().flat_map(|list| list.iter().map(Option::as_ref)).collect();
            let offsets = OffsetBuffer::from_lengths(lists.iter().map(|list| list.len()));
            Arc::new(ListArray::new(Arc::clone(field), offsets, array_of(field.data_type(), &items), nulls))
        }
        DataType::Map(field, _) => {
            let DataType::Struct(parts) = field.data_type() else { panic!("{field}") };
            let maps: Vec<&[(Option<Value>, Option<Value>)]> =
                each.map(|v| if let Some(Value::Map(map)) = v { map.as_slice() } else { &[] }).collect();
            let keys: Vec<_> = maps.iter().flat_map(|map| map.iter().map(|(key, _)| key.as_ref())).collect();
            let inner: Vec<_> =
                maps.iter().flat_map(|map| map.iter().map(|(_, value)| value.as_ref())).collect();
            let arrays = vec![array_of(parts[0].data_type(), &keys), array_of(parts[1].data_type(), &inner)];
            let offsets = OffsetBuffer::from_lengths(maps.iter().map(|map| map.len()));
            let entries = StructArray::new(parts.clone(), arrays, None);
            Arc::new(MapArray::new(Arc::clone(field), offsets, entries, nulls, false))
        }
        // The form of INTERVAL_DAY_TIME.
        DataType::Struct(parts) if parts[0].name() == "sec" => {
            let seconds = each.map(|v| stamp(v).map(|(seconds, _)| seconds)).collect::<Int64Array>();
            let nanos =
                values.iter().map(|v| stamp(v).map(|(_, nanos)| nanos.try_into().expect("below 10^9")));
            let arrays: Vec<ArrayRef> = vec![Arc::new(seconds), Arc::new(nanos.collect::<Int32Array>())];
            Arc::new(StructArray::new(parts.clone(), arrays, nulls))
        }
        DataType::Struct(parts) => {
            let part = |(at, field): (usize, &Arc<arrow::datatypes::Field>)| {
                let inner: Vec<_> = values
                    .iter()
                    .map(|v| if let Some(Value::Struct(parts)) = v { parts[at].as_ref() } else { None })
                    .collect();
                array_of(field.data_type(), &inner)
            };
            let arrays = parts.iter().enumerate().map(part).collect();
            Arc::new(StructArray::new(parts.clone(), arrays, nulls))
        }
        other => panic!("the Python side writes no {other}"),
    }
}

/// Writes all rows by key, the first of them twice, and deletes the last.
fn upsert(sink: &Sink, table: &str, rows: &TypedRows) {
    let mut writer = RecordWriter::new();
    let (first, last) = (&rows[0], &rows[rows.len() - 1]);
    let operations = [(first, Operation::Upsert)]
        .into_iter()
        .chain(rows.iter().map(|row| (row, Operation::Upsert)))
        .chain([(last, Operation::Delete)]);
    wait(async {
        let session = UpsertSession::create(sink.client(), &TableName::new(None, table), None).await?;
        let mut bodies: Vec<RecordBody> =
            (0..session.bucket_count().get()).map(|_| RecordBody::new()).collect();
        for (row, operation) in operations {
            let Some(Value::Bigint(key)) = row[0] else { panic!("{row:?}") };
            let bucket = bucket_of(session.hasher().bigint(key), session.bucket_count());
            let mut record = writer.record();
            for (column, value) in (0..).zip(row) {
                record.value(column, value.as_ref());
            }
            let columns = u32::try_from(row.len()).expect("few columns");
            bodies[usize::try_from(bucket).expect("few buckets")].push(record.end_keyed(columns, operation));
        }
        for (bucket, body) in (0..).zip(bodies).filter(|(_, body)| !body.is_empty()) {
            let _stored = session.put(bucket, &body.seal(Compression::Snappy)).await?;
        }
        session.commit().await
    })
    .unwrap_or_else(|error| panic!("{table}: {error}"));
}
