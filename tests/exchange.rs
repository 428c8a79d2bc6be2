//! Our client and the official Python client read what the other has written: every column type, records and upserts, a partition,
//! and a hundred thousand rows.

use std::process::Command;

use sluicebox_maxcompute::bucket::bucket_of;
use sluicebox_maxcompute::record::{Operation, RecordBody, RecordWriter, Value};
use sluicebox_maxcompute::{Compression, DownloadSession, TableName, UploadSession, UpsertSession};

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
        matches!(&records[0][21], Some(Value::Text(json)) if json.starts_with(b"{\"a\"")),
        "{:?}",
        records[0][21]
    );
    assert!(records[3].iter().all(Option::is_none), "the last row is null all over: {:?}", records[3]);
    append(&sink, "ours_records", None, &records, Compression::Zlib);

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
