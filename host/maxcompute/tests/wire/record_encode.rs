//! All recorded one-value bodies, and what a reader must refuse.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sluicebox_maxcompute::DataType;
use sluicebox_maxcompute::record::{RecordBody, RecordWriter, Value, read_records};

use crate::fixture::{hex, json, list, text, unhex, value, with_long_checksums};

/// The typed method of the writer for a value, as callers on the hot path use them.
fn by_typed_method(writer: &mut RecordWriter, wanted: &Value) -> (Vec<u8>, u32) {
    let mut record = writer.record();
    match wanted {
        Value::Bigint(value) | Value::Months(value) => record.bigint(0, *value),
        Value::Boolean(value) => record.boolean(0, *value),
        Value::Float(value) => record.float(0, *value),
        Value::Double(value) => record.double(0, *value),
        Value::Text(bytes) => record.text(0, bytes),
        Value::Date(days) => record.date(0, *days),
        Value::Datetime(millis) => record.datetime(0, *millis),
        Value::Timestamp { seconds, nanos } => record.timestamp(0, *seconds, *nanos),
        Value::Array(_) | Value::Map(_) | Value::Struct(_) => record.value(0, Some(wanted)),
    }
    let row = record.end();
    (row.bytes.to_vec(), row.crc)
}

#[test]
fn every_recorded_value_is_encoded_and_read_back() {
    let file = json("record-encode.json");
    let vectors = list(&file, "vectors");
    let mut writer = RecordWriter::new();
    let (mut nulls, mut python_forms, mut python_texts) = (0, 0, 0);
    for vector in vectors {
        let name = format!("{} {}", vector["type"], vector["value"]);
        let data_type: DataType = text(vector, "type").parse().unwrap();
        let wanted = value(&vector["value"], &data_type);
        let mut body = RecordBody::new();
        let mut record = writer.record();
        record.value(0, wanted.as_ref());
        let row = record.end();
        body.push(row);
        let rows = [(row.bytes.to_vec(), row.crc)];
        let bytes = body.finish();
        assert_eq!(hex(&bytes), text(vector, "body_hex"), "{name}");
        match &wanted {
            Some(wanted) => {
                assert_eq!(by_typed_method(&mut writer, wanted), rows[0], "{name} by its own method")
            }
            None => nulls += 1,
        }
        let read = read_records(&bytes, std::slice::from_ref(&data_type)).unwrap();
        assert_eq!(format!("{read:?}"), format!("{:?}", [[&wanted]]), "{name} read back");

        if let Some(python) = vector.get("pyodps_body_hex").and_then(|hex| hex.as_str()) {
            python_forms += 1;
            let read = read_records(&unhex(python), std::slice::from_ref(&data_type)).unwrap();
            if data_type == DataType::Json {
                // That client writes its own form of the text.
                python_texts += 1;
                let read = read[0][0].as_ref().and_then(Value::as_text).unwrap();
                let wanted = wanted.as_ref().and_then(Value::as_text).unwrap();
                let as_json = |text| serde_json::from_str::<serde_json::Value>(text).unwrap();
                assert_eq!(as_json(read), as_json(wanted), "{name}");
            } else {
                assert_eq!(format!("{read:?}"), format!("{:?}", [[&wanted]]), "{name} in the Python form");
                assert_eq!(hex(&with_long_checksums(&rows)), python, "{name} in the Python form");
            }
        }
    }
    assert_eq!(vectors.len(), 70, "all recorded vectors");
    assert_eq!((nulls, python_texts), (1, 1));
    let recorded = vectors.iter().filter(|vector| vector.get("pyodps_body_hex").is_some()).count();
    assert_eq!(python_forms, recorded);
}

#[test]
fn a_stream_without_records_has_a_footer_only() {
    assert_eq!(hex(&RecordBody::new().finish()), "f0ffff7f00f8ffff7f00");
    assert!(read_records(&unhex("f0ffff7f00f8ffff7f00"), &[]).unwrap().is_empty());
}

/// The metrics of a download stand between count and checksum, with a checksum of their own.
#[test]
fn metrics_in_the_footer_are_read_over_and_checked() {
    let metrics = b"{\"time\":1}";
    let mut stream = unhex("f0ffff7f00");
    stream.extend([0x0a, u8::try_from(metrics.len()).unwrap()]);
    stream.extend(metrics);
    let mut fed = 1_u32.to_le_bytes().to_vec();
    fed.extend(metrics);
    stream.extend(unhex("80f0ff7f"));
    let mut crc = u64::from(crc32c::crc32c(&fed));
    while crc >= 0x80 {
        stream.push(u8::try_from(crc & 0x7f).unwrap() | 0x80);
        crc >>= 7;
    }
    stream.push(u8::try_from(crc).unwrap());
    stream.extend(unhex("f8ffff7f00"));
    assert!(read_records(&stream, &[]).unwrap().is_empty());
    let at = stream.iter().position(|byte| *byte == b't').unwrap();
    stream[at] = b'T';
    assert!(read_records(&stream, &[]).is_err());
}

#[test]
fn a_value_hashed_in_place_has_the_checksum_of_one_that_was_gathered() {
    let mut writer = RecordWriter::new();
    for length in [0, 1, 255, 256, 257, 5000] {
        let long = vec![b'x'; length];
        let mut record = writer.record();
        record.bigint(0, 5);
        record.text(1, &long);
        record.bigint(2, 6);
        let row = record.end();
        let mut fed = Vec::new();
        fed.extend(1_u32.to_le_bytes());
        fed.extend(5_i64.to_le_bytes());
        fed.extend(2_u32.to_le_bytes());
        fed.extend(&long);
        fed.extend(3_u32.to_le_bytes());
        fed.extend(6_i64.to_le_bytes());
        assert_eq!(row.crc, crc32c::crc32c(&fed), "{length} bytes");
    }
}

/// The reader checks the body's checksum and count.
#[test]
fn bodies_of_any_number_of_rows_are_whole() {
    let mut writer = RecordWriter::new();
    for count in [0, 1, 63, 64, 65, 128, 1000] {
        let mut body = RecordBody::with_capacity(100);
        for row in 0..count {
            let mut record = writer.record();
            record.bigint(0, row);
            body.push(record.end());
        }
        assert_eq!(body.records(), u64::try_from(count).unwrap());
        let rows = read_records(&body.finish(), &[DataType::Bigint]).unwrap();
        let want: Vec<_> = (0..count).map(|row| vec![Some(Value::Bigint(row))]).collect();
        assert_eq!(rows, want);
    }
}

/// From the sixteenth column on a tag has two bytes, from column 2047 on three.
#[test]
fn far_columns_are_found_again() {
    let mut writer = RecordWriter::new();
    let mut record = writer.record();
    let columns = [0, 13, 14, 15, 16, 126, 127, 2045, 2046, 2047, 3000];
    for column in columns {
        record.bigint(column, i64::MIN + i64::from(column));
    }
    let mut body = RecordBody::new();
    body.push(record.end());
    let rows = read_records(&body.finish(), &vec![DataType::Bigint; 3001]).unwrap();
    for (index, value) in rows[0].iter().enumerate() {
        let column = i64::try_from(index).unwrap();
        let written = columns.iter().any(|written| i64::from(*written) == column);
        assert_eq!(*value, written.then(|| Value::Bigint(i64::MIN + column)), "{index}");
    }
}

#[test]
fn a_row_that_was_not_ended_leaves_nothing_behind() {
    let mut writer = RecordWriter::new();
    let mut record = writer.record();
    record.bigint(0, 5);
    record.text(1, &[b'x'; 1000]);
    let mut record = writer.record();
    record.bigint(0, 1);
    let mut body = RecordBody::new();
    body.push(record.end());
    assert_eq!(hex(&body.finish()), "080280c0ff7fcab8b49905f0ffff7f02f8ffff7fa486b58808");
}

/// No change of a single byte goes unnoticed unless it leaves the same rows, and none brings the reader down.
#[test]
fn damaged_streams_are_refused() {
    let file = json("record-encode.json");
    let mut refused = 0;
    for vector in list(&file, "vectors") {
        let data_type: DataType = text(vector, "type").parse().unwrap();
        let whole = unhex(text(vector, "body_hex"));
        let rows = format!("{:?}", read_records(&whole, std::slice::from_ref(&data_type)).unwrap());
        for seed in 0..200 {
            let mut random = StdRng::seed_from_u64(seed);
            let mut damaged = whole.clone();
            let at = random.random_range(0..damaged.len());
            damaged[at] ^= 1 << random.random_range(0..8);
            match read_records(&damaged, std::slice::from_ref(&data_type)) {
                Err(_) => refused += 1,
                Ok(read) => assert_eq!(format!("{read:?}"), rows, "seed {seed}: {}", hex(&damaged)),
            }
        }
        for length in 0..whole.len() {
            assert!(
                read_records(&whole[..length], std::slice::from_ref(&data_type)).is_err(),
                "cut at {length}"
            );
        }
    }
    // What is left are bits of a checksum beyond the 32 that count.
    assert!(refused > 13_500, "{refused} of 14000 refused");
}
