//! Arrow record batches as blocks of an upload session.
//!
//! ```text
//! payload := Arrow IPC RecordBatch messages; no schema message, no end mark: both sides know the session's columns
//! body    := chunk size, then the payload with the CRC-32C of each full chunk behind it, then that of the whole payload
//! ```
//!
//! All numbers of the framing are 32-bit big-endian. Compression is around the framing. Upsert sessions take records
//! only, see [`crate::record`].

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_ipc::MetadataVersion;
use arrow_ipc::writer::{
    DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions, write_message,
};
use arrow_schema::{ArrowError, DataType as Arrow, Field, Fields, IntervalUnit, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;

use crate::record::{MAX_VALUE_BYTES, ValueTooLong};
use crate::session::SessionColumn;
use crate::types::DataType;
use crate::{Compression, Error, Result};

/// Payload bytes between two checksums, as the official clients send.
const CHUNK: usize = 65_536;
/// Buffers begin at multiples of this, as in the official clients; the format's least.
const ALIGNMENT: usize = 8;
/// Digits of Arrow's 128-bit decimals.
const DECIMAL_DIGITS: u32 = 38;

/// A block of Arrow record batches for an ordinary table, ready to be sent, and to be sent again.
///
/// ```no_run
/// use std::sync::Arc;
/// use arrow_array::{Int64Array, RecordBatch, StringArray};
/// use sluicebox_maxcompute::{ArrowBody, Client, Compression, TableName, UploadSession, arrow_schema};
///
/// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
/// // Two rows for the ordinary table `visits (at BIGINT, page STRING)`.
/// let session = UploadSession::create(&client, &TableName::new(None, "visits"), None).await?;
/// let at = Arc::new(Int64Array::from(vec![1_709_985_600, 1_709_985_601]));
/// let page = Arc::new(StringArray::from(vec![Some("/"), None]));
/// let batch = RecordBatch::try_new(arrow_schema(session.columns())?, vec![at, page])?;
/// let body = ArrowBody::new(session.columns(), &[batch], Compression::Lz4)?;
/// session.put_arrow_block(session.claim_block().expect("a new session has blocks left"), &body).await?;
/// session.commit().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ArrowBody {
    bytes: Bytes,
    rows: u64,
    compression: Compression,
}

impl ArrowBody {
    /// Encodes batches for a session with these columns.
    ///
    /// Each batch has the session's columns in their order with the types of [`arrow_schema()`]; a DATETIME may also be
    /// `Date64` and an INTERVAL_DAY_TIME an Arrow interval, as the Java client sends them, and names and nullability
    /// inside of lists, maps and structs do not matter. [`Error::Options`] when it does not
    /// fit, or when a value is longer than the service takes (8 MiB), with the column's name.
    pub fn new(columns: &[SessionColumn], batches: &[RecordBatch], compression: Compression) -> Result<Self> {
        for batch in batches {
            check(columns, batch)?;
        }
        let payload = payload(batches)
            .map_err(|fault| Error::Options(format!("the batches cannot be encoded: {fault}")))?;
        let rows = batches.iter().map(|batch| u64::try_from(batch.num_rows()).unwrap_or(u64::MAX)).sum();
        Ok(Self { bytes: compression.compress(framed(&payload)), rows, compression })
    }

    /// The bytes on the wire.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Rows in it.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// How the bytes are compressed.
    pub fn compression(&self) -> Compression {
        self.compression
    }
}

/// The Arrow schema of a session's columns. [`Error::Options`] names a column that has no form in Arrow: decimals of
/// more than 38 digits. TIMESTAMP is 64-bit nanoseconds, which reach from 1677 to 2262; rows beyond go in as records.
///
/// The official clients disagree about INTERVAL_DAY_TIME: Python's sends a struct of seconds and nanoseconds, which is
/// taken here since it holds every value, Java's an Arrow interval of days and milliseconds.
pub fn arrow_schema(columns: &[SessionColumn]) -> Result<SchemaRef> {
    let field = |column: &SessionColumn| {
        let data_type = arrow_type(&column.data_type).map_err(|part| no_form(column, &part))?;
        Ok(Field::new(&column.name, data_type, column.nullable))
    };
    Ok(Arc::new(Schema::new(columns.iter().map(field).collect::<Result<Vec<_>>>()?)))
}

fn no_form(column: &SessionColumn, part: &DataType) -> Error {
    Error::Options(format!("column `{}` has no form in Arrow for {part}; write it as records", column.name))
}

/// The Arrow form of a type, or the part of it that has none.
fn arrow_type(data_type: &DataType) -> std::result::Result<Arrow, DataType> {
    let unmapped = || Err(data_type.clone());
    Ok(match data_type {
        DataType::Tinyint => Arrow::Int8,
        DataType::Smallint => Arrow::Int16,
        DataType::Int => Arrow::Int32,
        DataType::Bigint => Arrow::Int64,
        DataType::Float => Arrow::Float32,
        DataType::Double => Arrow::Float64,
        DataType::Boolean => Arrow::Boolean,
        DataType::String | DataType::Char(_) | DataType::Varchar(_) | DataType::Json => Arrow::Utf8,
        DataType::Binary => Arrow::Binary,
        DataType::Date => Arrow::Date32,
        DataType::Datetime => Arrow::Timestamp(TimeUnit::Millisecond, None),
        DataType::Timestamp | DataType::TimestampNtz => Arrow::Timestamp(TimeUnit::Nanosecond, None),
        DataType::IntervalYearMonth => Arrow::Interval(IntervalUnit::YearMonth),
        DataType::IntervalDayTime => Arrow::Struct(Fields::from(vec![
            Field::new("sec", Arrow::Int64, true),
            Field::new("nano", Arrow::Int32, true),
        ])),
        DataType::Decimal { precision, scale } => match (u8::try_from(*precision), i8::try_from(*scale)) {
            (Ok(digits), Ok(behind)) if *precision <= DECIMAL_DIGITS => Arrow::Decimal128(digits, behind),
            _ => return unmapped(),
        },
        DataType::Array(element) => Arrow::List(Arc::new(Field::new("item", arrow_type(element)?, true))),
        DataType::Map(key, value) => {
            let entry = Fields::from(vec![
                Field::new("key", arrow_type(key)?, false),
                Field::new("value", arrow_type(value)?, true),
            ]);
            Arrow::Map(Arc::new(Field::new("entries", Arrow::Struct(entry), false)), false)
        }
        DataType::Struct(fields) => {
            let field = |field: &crate::types::StructField| {
                Ok(Field::new(&field.name, arrow_type(&field.data_type)?, true))
            };
            Arrow::Struct(fields.iter().map(field).collect::<std::result::Result<_, DataType>>()?)
        }
    })
}

fn check(columns: &[SessionColumn], batch: &RecordBatch) -> Result<()> {
    if batch.num_columns() != columns.len() {
        return Err(Error::Options(format!(
            "a batch of {} columns for a session of {}",
            batch.num_columns(),
            columns.len()
        )));
    }
    let schema = batch.schema();
    for ((column, field), array) in columns.iter().zip(schema.fields()).zip(batch.columns()) {
        let name = &column.name;
        if !field.name().eq_ignore_ascii_case(name) {
            return Err(Error::Options(format!("column `{}` where the session has `{name}`", field.name())));
        }
        let wanted = arrow_type(&column.data_type).map_err(|part| no_form(column, &part))?;
        if !fits(&column.data_type, &wanted, field.data_type()) {
            let found = field.data_type();
            return Err(Error::Options(format!("column `{name}` is {found} and has to be {wanted}")));
        }
        if !column.nullable && array.null_count() > 0 {
            return Err(Error::Options(format!("column `{name}` takes no nulls and has some")));
        }
        let bytes = longest_value(array);
        if bytes > MAX_VALUE_BYTES {
            let fault = ValueTooLong { column: name.clone(), bytes, limit: MAX_VALUE_BYTES };
            return Err(Error::Options(fault.to_string()));
        }
    }
    Ok(())
}

/// Whether a column takes an array of type `found`; it has the form `wanted` here.
fn fits(column: &DataType, wanted: &Arrow, found: &Arrow) -> bool {
    let java_interval =
        *column == DataType::IntervalDayTime && *found == Arrow::Interval(IntervalUnit::DayTime);
    java_interval || same_layout(wanted, found)
}

/// Whether arrays of two types have the same bytes: names and nullability of inner fields do not count.
fn same_layout(wanted: &Arrow, found: &Arrow) -> bool {
    match (wanted, found) {
        (Arrow::List(wanted), Arrow::List(found)) | (Arrow::Map(wanted, _), Arrow::Map(found, _)) => {
            same_layout(wanted.data_type(), found.data_type())
        }
        (Arrow::Struct(wanted), Arrow::Struct(found)) => {
            wanted.len() == found.len()
                && wanted
                    .iter()
                    .zip(found)
                    .all(|(wanted, found)| same_layout(wanted.data_type(), found.data_type()))
        }
        (Arrow::Timestamp(TimeUnit::Millisecond, None), Arrow::Date64) => true,
        _ => wanted == found,
    }
}

/// Bytes of the longest text or binary value in an array, or in a part of it.
fn longest_value(array: &dyn Array) -> usize {
    let longest = |ends: &[i32]| {
        let lengths = ends.windows(2).map(|pair| usize::try_from(pair[1] - pair[0]).unwrap_or(0));
        lengths.max().unwrap_or(0)
    };
    match array.data_type() {
        Arrow::Utf8 => longest(array.as_string::<i32>().value_offsets()),
        Arrow::Binary => longest(array.as_binary::<i32>().value_offsets()),
        Arrow::List(_) => longest_value(array.as_list::<i32>().values()),
        Arrow::Map(..) => longest_value(array.as_map().entries()),
        Arrow::Struct(_) => {
            array.as_struct().columns().iter().map(|part| longest_value(part)).max().unwrap_or(0)
        }
        // `check` has let through no other kinds of variable length.
        _ => 0,
    }
}

/// The record batch messages one behind the other.
fn payload(batches: &[RecordBatch]) -> std::result::Result<Vec<u8>, ArrowError> {
    let options = IpcWriteOptions::try_new(ALIGNMENT, false, MetadataVersion::V5)?;
    let mut payload = Vec::new();
    let mut context = IpcWriteContext::default();
    // `check` has refused dictionaries, so that there are none to track.
    let mut dictionaries = DictionaryTracker::new(false);
    for batch in batches {
        let (_, message) =
            IpcDataGenerator::default().encode(batch, &mut dictionaries, &options, &mut context)?;
        write_message(&mut payload, message, &options)?;
    }
    Ok(payload)
}

/// Puts the chunk size in front of a payload, and the checksums into it.
fn framed(payload: &[u8]) -> Vec<u8> {
    let mut framed = Vec::with_capacity(payload.len() + 4 * (payload.len() / CHUNK + 2));
    framed.extend_from_slice(&u32::try_from(CHUNK).unwrap_or(u32::MAX).to_be_bytes());
    for chunk in payload.chunks(CHUNK) {
        framed.extend_from_slice(chunk);
        if chunk.len() == CHUNK {
            framed.extend_from_slice(&crc32c::crc32c(chunk).to_be_bytes());
        }
    }
    framed.extend_from_slice(&crc32c::crc32c(payload).to_be_bytes());
    framed
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checksums as the reference describes them, chunk by chunk.
    #[test]
    fn only_full_chunks_have_a_checksum_of_their_own() {
        for (length, chunks) in [(0, 0), (1, 0), (CHUNK - 1, 0), (CHUNK, 1), (CHUNK + 1, 1), (3 * CHUNK, 3)] {
            let payload: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let framed = framed(&payload);
            assert_eq!(framed.len(), 4 + length + 4 * chunks + 4, "{length}");
            assert_eq!(framed[..4], [0, 1, 0, 0], "{length}");
            let whole = crc32c::crc32c(&payload).to_be_bytes();
            assert_eq!(framed[framed.len() - 4..], whole, "{length}");
            for chunk in 0..chunks {
                let end = 4 + (chunk + 1) * CHUNK + chunk * 4;
                let own = crc32c::crc32c(&payload[chunk * CHUNK..(chunk + 1) * CHUNK]).to_be_bytes();
                assert_eq!(framed[end..end + 4], own, "{length}: chunk {chunk}");
            }
        }
    }
}
