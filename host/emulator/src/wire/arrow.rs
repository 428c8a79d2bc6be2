//! Arrow bodies: chunk framing around record batch messages without their schema.
//!
//! Both sides derive the schema from the session's columns. The `arrow` crate reads streams that begin
//! with a schema, so one is put in front of what came in and cut off what goes out.

use std::io::Cursor as IoCursor;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array,
    Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, IntervalDayTimeArray,
    IntervalYearMonthArray, ListArray, MapArray, RecordBatch, StringArray, StructArray,
    TimestampMillisecondArray, TimestampNanosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Field as ArrowField, Fields, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, IntervalDayTime, IntervalDayTimeType, IntervalUnit,
    IntervalYearMonthType, Schema, SchemaRef, TimeUnit, TimestampMillisecondType, TimestampNanosecondType,
};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;

use super::cursor::Malformed;
use super::decimal::Decimal;
use super::types::Type;
use super::value::Value;

/// Payload bytes between two chunk checksums; both official clients use this.
const CHUNK_BYTES: usize = 65_536;

/// A larger chunk would have no meaning: it is above any body.
const MAX_CHUNK_BYTES: usize = 1 << 30;

/// The two choices in which clients differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// INTERVAL_DAY_TIME as struct of seconds and nanoseconds (Python) or as Arrow interval (Java).
    pub(crate) interval_struct: bool,
    /// Timestamps as struct of seconds and nanoseconds: previews and results of queries.
    pub(crate) stamp_struct: bool,
}

impl From<ArrowError> for Malformed {
    fn from(error: ArrowError) -> Self {
        Self::new(format!("the Arrow data is not readable: {error}"))
    }
}

/// Takes the payload out of its chunks, checking every checksum.
pub(crate) fn unframe(body: &[u8]) -> Result<Vec<u8>, Malformed> {
    let cut = || Malformed::new("the Arrow body is cut off");
    let (size, mut rest) = body.split_first_chunk::<4>().ok_or_else(cut)?;
    let chunk = usize::try_from(u32::from_be_bytes(*size)).unwrap_or(0);
    if !(1..=MAX_CHUNK_BYTES).contains(&chunk) {
        return Err(Malformed::new("the chunk size of the Arrow body is out of range"));
    }
    let mut payload = Vec::with_capacity(body.len());
    while rest.len() >= chunk + 8 {
        let (part, after) = rest.split_at(chunk);
        let (sum, after) = after.split_first_chunk::<4>().ok_or_else(cut)?;
        if crc32c::crc32c(part) != u32::from_be_bytes(*sum) {
            return Err(Malformed::new("the checksum of an Arrow chunk is wrong"));
        }
        payload.extend_from_slice(part);
        rest = after;
    }
    let (part, sum) = rest.split_last_chunk::<4>().ok_or_else(cut)?;
    if part.len() >= chunk {
        return Err(Malformed::new("an Arrow chunk lacks its checksum"));
    }
    payload.extend_from_slice(part);
    if crc32c::crc32c(&payload) != u32::from_be_bytes(*sum) {
        return Err(Malformed::new("the checksum of the Arrow body is wrong"));
    }
    Ok(payload)
}

/// Puts a payload into chunks.
pub(crate) fn frame(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + payload.len() / CHUNK_BYTES * 4 + 8);
    out.extend_from_slice(&u32::try_from(CHUNK_BYTES).unwrap_or(u32::MAX).to_be_bytes());
    for part in payload.chunks(CHUNK_BYTES) {
        out.extend_from_slice(part);
        if part.len() == CHUNK_BYTES {
            out.extend_from_slice(&crc32c::crc32c(part).to_be_bytes());
        }
    }
    out.extend_from_slice(&crc32c::crc32c(payload).to_be_bytes());
    out
}

/// The Arrow type of a column.
fn arrow_type(kind: &Type, dialect: Dialect) -> DataType {
    match kind {
        Type::TinyInt => DataType::Int8,
        Type::SmallInt => DataType::Int16,
        Type::Int => DataType::Int32,
        Type::BigInt => DataType::Int64,
        Type::Float => DataType::Float32,
        Type::Double => DataType::Float64,
        Type::Boolean => DataType::Boolean,
        Type::String | Type::Char(_) | Type::VarChar(_) | Type::Json => DataType::Utf8,
        Type::Binary => DataType::Binary,
        Type::Date => DataType::Date32,
        Type::DateTime => DataType::Timestamp(TimeUnit::Millisecond, None),
        Type::Timestamp | Type::TimestampNtz if dialect.stamp_struct => stamp_struct(),
        Type::Timestamp | Type::TimestampNtz => DataType::Timestamp(TimeUnit::Nanosecond, None),
        Type::IntervalDayTime if dialect.interval_struct => stamp_struct(),
        Type::IntervalDayTime => DataType::Interval(IntervalUnit::DayTime),
        Type::IntervalYearMonth => DataType::Interval(IntervalUnit::YearMonth),
        Type::Decimal { precision, scale } => {
            DataType::Decimal128(*precision, i8::try_from(*scale).unwrap_or(i8::MAX))
        }
        Type::Array(element) => DataType::List(Arc::new(field("item", element, true, dialect))),
        Type::Map(key, value) => DataType::Map(Arc::new(entries_field(key, value, dialect)), false),
        Type::Struct(fields) => {
            DataType::Struct(fields.iter().map(|(name, kind)| field(name, kind, true, dialect)).collect())
        }
    }
}

fn stamp_struct() -> DataType {
    let parts = [("sec", DataType::Int64), ("nano", DataType::Int32)];
    DataType::Struct(parts.into_iter().map(|(name, kind)| ArrowField::new(name, kind, true)).collect())
}

fn field(name: &str, kind: &Type, nullable: bool, dialect: Dialect) -> ArrowField {
    ArrowField::new(name, arrow_type(kind, dialect), nullable)
}

fn entries_field(key: &Type, value: &Type, dialect: Dialect) -> ArrowField {
    let fields: Fields =
        [field("key", key, false, dialect), field("value", value, true, dialect)].into_iter().collect();
    ArrowField::new("entries", DataType::Struct(fields), false)
}

/// The schema of a session's columns.
fn schema(columns: &[(String, Type)], dialect: Dialect) -> SchemaRef {
    let fields: Fields = columns.iter().map(|(name, kind)| field(name, kind, true, dialect)).collect();
    Arc::new(Schema::new(fields))
}

/// Reads a payload of record batch messages.
pub(crate) fn read_batches(
    payload: &[u8],
    columns: &[(String, Type)],
) -> Result<(Vec<RecordBatch>, Dialect), Malformed> {
    let dialect = Dialect { interval_struct: uses_interval_struct(payload, columns)?, stamp_struct: false };
    let schema = schema(columns, dialect);
    let mut stream = StreamWriter::try_new(Vec::new(), &schema)?.get_ref().clone();
    stream.extend_from_slice(payload);
    let reader = StreamReader::try_new(IoCursor::new(stream), None)?;
    Ok((reader.collect::<Result<_, _>>()?, dialect))
}

/// The struct form of a day-time interval has three nodes in a batch's description, the Arrow form one.
fn uses_interval_struct(payload: &[u8], columns: &[(String, Type)]) -> Result<bool, Malformed> {
    let Some(message) = first_message(payload) else { return Ok(false) };
    let message = arrow::ipc::root_as_message(message)
        .map_err(|error| Malformed::new(format!("the Arrow data is not readable: {error}")))?;
    let nodes = message.header_as_record_batch().and_then(|batch| batch.nodes()).map_or(0, |n| n.len());
    let total =
        |interval_struct| columns.iter().map(|(_, kind)| node_count(kind, interval_struct)).sum::<usize>();
    Ok(nodes == total(true) && total(true) != total(false))
}

/// The flat buffer of the first encapsulated message: marker, length, buffer.
fn first_message(payload: &[u8]) -> Option<&[u8]> {
    let (marker, rest) = payload.split_first_chunk::<4>()?;
    let (length, rest) = if *marker == [0xff; 4] { rest.split_first_chunk::<4>()? } else { (marker, rest) };
    rest.get(..usize::try_from(u32::from_le_bytes(*length)).ok()?)
}

fn node_count(kind: &Type, interval_struct: bool) -> usize {
    match kind {
        Type::IntervalDayTime if interval_struct => 3,
        Type::Array(element) => 1 + node_count(element, interval_struct),
        Type::Map(key, value) => 2 + node_count(key, interval_struct) + node_count(value, interval_struct),
        Type::Struct(fields) => 1 + fields.iter().map(|(_, f)| node_count(f, interval_struct)).sum::<usize>(),
        _ => 1,
    }
}

/// One value of an array that [`read_batches`] returned.
pub(crate) fn value_at(array: &dyn Array, index: usize, kind: &Type) -> Option<Value> {
    if array.is_null(index) {
        return None;
    }
    Some(match kind {
        Type::TinyInt => Value::Int(array.as_primitive::<Int8Type>().value(index).into()),
        Type::SmallInt => Value::Int(array.as_primitive::<Int16Type>().value(index).into()),
        Type::Int => Value::Int(array.as_primitive::<Int32Type>().value(index).into()),
        Type::BigInt => Value::Int(array.as_primitive::<Int64Type>().value(index)),
        Type::Float => Value::Float(array.as_primitive::<Float32Type>().value(index)),
        Type::Double => Value::Double(array.as_primitive::<Float64Type>().value(index)),
        Type::Boolean => Value::Bool(array.as_boolean().value(index)),
        Type::String | Type::Char(_) | Type::VarChar(_) | Type::Json => {
            Value::Text(array.as_string::<i32>().value(index).to_owned())
        }
        Type::Binary => Value::Binary(array.as_binary::<i32>().value(index).to_vec()),
        Type::Date => Value::Int(array.as_primitive::<Date32Type>().value(index).into()),
        Type::DateTime => Value::Int(array.as_primitive::<TimestampMillisecondType>().value(index)),
        Type::Timestamp | Type::TimestampNtz => {
            split_nanos(array.as_primitive::<TimestampNanosecondType>().value(index))
        }
        Type::IntervalDayTime => day_time_at(array, index),
        Type::IntervalYearMonth => {
            Value::Int(array.as_primitive::<IntervalYearMonthType>().value(index).into())
        }
        Type::Decimal { scale, .. } => {
            let unscaled = array.as_primitive::<Decimal128Type>().value(index);
            Value::Text(Decimal { unscaled, scale: (*scale).into() }.plain())
        }
        Type::Array(element) => Value::List(list_at(array.as_list::<i32>().value(index).as_ref(), element)),
        Type::Map(key, value) => {
            let entries = array.as_map().value(index);
            let keys = list_at(entries.column(0).as_ref(), key);
            Value::Map(keys.into_iter().zip(list_at(entries.column(1).as_ref(), value)).collect())
        }
        Type::Struct(fields) => {
            let columns = array.as_struct().columns().iter().zip(fields);
            Value::Struct(columns.map(|(c, (_, kind))| value_at(c.as_ref(), index, kind)).collect())
        }
    })
}

fn list_at(elements: &dyn Array, kind: &Type) -> Vec<Option<Value>> {
    (0..elements.len()).map(|index| value_at(elements, index, kind)).collect()
}

fn day_time_at(array: &dyn Array, index: usize) -> Value {
    if let Some(parts) = array.as_struct_opt() {
        return Value::Stamp {
            seconds: parts.column(0).as_primitive::<Int64Type>().value(index),
            nanos: parts.column(1).as_primitive::<Int32Type>().value(index),
        };
    }
    let interval = array.as_primitive::<IntervalDayTimeType>().value(index);
    let millis = i64::from(interval.days) * 86_400_000 + i64::from(interval.milliseconds);
    let nanos = i32::try_from(millis.rem_euclid(1000) * 1_000_000).unwrap_or(0);
    Value::Stamp { seconds: millis.div_euclid(1000), nanos }
}

fn split_nanos(nanos: i64) -> Value {
    Value::Stamp {
        seconds: nanos.div_euclid(1_000_000_000),
        nanos: i32::try_from(nanos.rem_euclid(1_000_000_000)).unwrap_or(0),
    }
}

/// Writes rows as record batch messages without schema.
pub(crate) fn write_messages(
    columns: &[(String, Type)],
    rows: &[Vec<Option<Value>>],
    dialect: Dialect,
) -> Result<Vec<u8>, Malformed> {
    let schema = schema(columns, dialect);
    let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
    let prefix = writer.get_ref().len();
    writer.write(&batch(schema, columns, rows, dialect)?)?;
    Ok(writer.get_ref()[prefix..].to_vec())
}

/// Writes rows as a whole Arrow stream, with schema and end mark.
pub(crate) fn write_stream(
    columns: &[(String, Type)],
    rows: &[Vec<Option<Value>>],
    dialect: Dialect,
) -> Result<Vec<u8>, Malformed> {
    let schema = schema(columns, dialect);
    let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
    writer.write(&batch(schema, columns, rows, dialect)?)?;
    Ok(writer.into_inner()?)
}

fn batch(
    schema: SchemaRef,
    columns: &[(String, Type)],
    rows: &[Vec<Option<Value>>],
    dialect: Dialect,
) -> Result<RecordBatch, Malformed> {
    let arrays = columns.iter().enumerate().map(|(index, (_, kind))| {
        let values: Vec<_> = rows.iter().map(|row| row[index].as_ref()).collect();
        array(kind, &values, dialect)
    });
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows.len()));
    Ok(RecordBatch::try_new_with_options(schema, arrays.collect::<Result<_, _>>()?, &options)?)
}

fn int<T: TryFrom<i64>>(value: Option<&Value>) -> Option<T> {
    match value {
        Some(Value::Int(number)) => T::try_from(*number).ok(),
        _ => None,
    }
}

fn text(value: Option<&Value>) -> Option<&str> {
    match value {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    }
}

fn stamp(value: Option<&Value>) -> Option<(i64, i32)> {
    match value {
        Some(Value::Stamp { seconds, nanos }) => Some((*seconds, *nanos)),
        _ => None,
    }
}

fn array(kind: &Type, values: &[Option<&Value>], dialect: Dialect) -> Result<ArrayRef, Malformed> {
    let each = values.iter().copied();
    Ok(match kind {
        Type::TinyInt => Arc::new(each.map(int).collect::<Int8Array>()),
        Type::SmallInt => Arc::new(each.map(int).collect::<Int16Array>()),
        Type::Int => Arc::new(each.map(int).collect::<Int32Array>()),
        Type::BigInt => Arc::new(each.map(int).collect::<Int64Array>()),
        Type::Date => Arc::new(each.map(int).collect::<Date32Array>()),
        Type::DateTime => Arc::new(each.map(int).collect::<TimestampMillisecondArray>()),
        Type::IntervalYearMonth => Arc::new(each.map(int).collect::<IntervalYearMonthArray>()),
        Type::Float => Arc::new(
            each.map(|v| if let Some(Value::Float(n)) = v { Some(*n) } else { None })
                .collect::<Float32Array>(),
        ),
        Type::Double => Arc::new(
            each.map(|v| if let Some(Value::Double(n)) = v { Some(*n) } else { None })
                .collect::<Float64Array>(),
        ),
        Type::Boolean => Arc::new(
            each.map(|v| if let Some(Value::Bool(b)) = v { Some(*b) } else { None })
                .collect::<BooleanArray>(),
        ),
        Type::String | Type::Char(_) | Type::VarChar(_) | Type::Json => {
            Arc::new(each.map(text).collect::<StringArray>())
        }
        Type::Binary => Arc::new(
            each.map(|v| if let Some(Value::Binary(b)) = v { Some(b.as_slice()) } else { None })
                .collect::<BinaryArray>(),
        ),
        Type::Timestamp | Type::TimestampNtz if dialect.stamp_struct => stamp_struct_array(values)?,
        Type::IntervalDayTime if dialect.interval_struct => stamp_struct_array(values)?,
        Type::Timestamp | Type::TimestampNtz => nanosecond_array(values)?,
        Type::IntervalDayTime => day_time_array(values)?,
        Type::Decimal { precision, scale } => decimal_array(values, *precision, *scale)?,
        Type::Array(element) => list_array(values, element, dialect)?,
        Type::Map(key, value) => map_array(values, key, value, dialect)?,
        Type::Struct(fields) => struct_array(values, fields, dialect)?,
    })
}

fn nulls(values: &[Option<&Value>]) -> NullBuffer {
    values.iter().map(Option::is_some).collect()
}

fn stamp_struct_array(values: &[Option<&Value>]) -> Result<ArrayRef, Malformed> {
    let parts = || values.iter().map(|v| stamp(*v));
    let seconds: Int64Array = parts().map(|p| p.map(|(s, _)| s)).collect();
    let nanos: Int32Array = parts().map(|p| p.map(|(_, n)| n)).collect();
    let DataType::Struct(fields) = stamp_struct() else { return Err(Malformed::new("not a struct")) };
    let columns: Vec<ArrayRef> = vec![Arc::new(seconds), Arc::new(nanos)];
    Ok(Arc::new(StructArray::try_new(fields, columns, Some(nulls(values)))?))
}

/// Fails outside 1677..2262, the years that 64 bits of nanoseconds can name.
fn nanosecond_array(values: &[Option<&Value>]) -> Result<ArrayRef, Malformed> {
    let to_nanos = |(seconds, nanos): (i64, i32)| {
        let total = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        i64::try_from(total).map_err(|_| {
            Malformed::new("a timestamp is outside 1677..2262, which Arrow nanoseconds cannot hold")
        })
    };
    let array: Result<TimestampNanosecondArray, Malformed> =
        values.iter().map(|v| stamp(*v).map(to_nanos).transpose()).collect();
    Ok(Arc::new(array?))
}

fn day_time_array(values: &[Option<&Value>]) -> Result<ArrayRef, Malformed> {
    let to_interval = |(seconds, nanos): (i64, i32)| {
        let days = i32::try_from(seconds.div_euclid(86_400))
            .map_err(|_| Malformed::new("an interval is too long for Arrow"))?;
        let millis = seconds.rem_euclid(86_400) * 1000 + i64::from(nanos / 1_000_000);
        Ok(IntervalDayTime::new(days, i32::try_from(millis).unwrap_or(i32::MAX)))
    };
    let array: Result<IntervalDayTimeArray, Malformed> =
        values.iter().map(|v| stamp(*v).map(to_interval).transpose()).collect();
    Ok(Arc::new(array?))
}

fn decimal_array(values: &[Option<&Value>], precision: u8, scale: u8) -> Result<ArrayRef, Malformed> {
    let to_unscaled = |text: &str| {
        Decimal::parse(text.as_bytes())
            .and_then(|d| d.at_scale(scale.into()))
            .ok_or_else(|| Malformed::new("a stored decimal is not a number"))
    };
    let array: Result<Decimal128Array, Malformed> =
        values.iter().map(|v| text(*v).map(to_unscaled).transpose()).collect();
    let scale = i8::try_from(scale).unwrap_or(i8::MAX);
    Ok(Arc::new(array?.with_precision_and_scale(precision, scale)?))
}

fn list_array(values: &[Option<&Value>], element: &Type, dialect: Dialect) -> Result<ArrayRef, Malformed> {
    let lists: Vec<&[Option<Value>]> =
        values.iter().map(|v| if let Some(Value::List(list)) = v { list.as_slice() } else { &[] }).collect();
    let children: Vec<Option<&Value>> =
        lists.iter().flat_map(|list| list.iter().map(Option::as_ref)).collect();
    let offsets = OffsetBuffer::from_lengths(lists.iter().map(|list| list.len()));
    let item = Arc::new(field("item", element, true, dialect));
    let child = array(element, &children, dialect)?;
    Ok(Arc::new(ListArray::try_new(item, offsets, child, Some(nulls(values)))?))
}

fn map_array(
    values: &[Option<&Value>],
    key: &Type,
    value: &Type,
    dialect: Dialect,
) -> Result<ArrayRef, Malformed> {
    let maps: Vec<&[(Option<Value>, Option<Value>)]> =
        values.iter().map(|v| if let Some(Value::Map(map)) = v { map.as_slice() } else { &[] }).collect();
    let entries = || maps.iter().flat_map(|map| map.iter());
    let keys: Vec<Option<&Value>> = entries().map(|(k, _)| k.as_ref()).collect();
    let items: Vec<Option<&Value>> = entries().map(|(_, v)| v.as_ref()).collect();
    let offsets = OffsetBuffer::from_lengths(maps.iter().map(|map| map.len()));
    let entries_field = entries_field(key, value, dialect);
    let DataType::Struct(fields) = entries_field.data_type().clone() else {
        return Err(Malformed::new("not a struct"));
    };
    let columns = vec![array(key, &keys, dialect)?, array(value, &items, dialect)?];
    let entries = StructArray::try_new(fields, columns, None)?;
    Ok(Arc::new(MapArray::try_new(Arc::new(entries_field), offsets, entries, Some(nulls(values)), false)?))
}

fn struct_array(
    values: &[Option<&Value>],
    fields: &[(String, Type)],
    dialect: Dialect,
) -> Result<ArrayRef, Malformed> {
    let columns = fields.iter().enumerate().map(|(index, (_, kind))| {
        let part: Vec<Option<&Value>> = values
            .iter()
            .map(|v| if let Some(Value::Struct(parts)) = v { parts.get(index)?.as_ref() } else { None })
            .collect();
        array(kind, &part, dialect)
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let fields: Fields = fields.iter().map(|(name, kind)| field(name, kind, true, dialect)).collect();
    Ok(Arc::new(StructArray::try_new(fields, columns, Some(nulls(values)))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_framing_is_right_at_and_around_the_chunk_size() {
        for length in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES] {
            let payload: Vec<u8> = (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect();
            let body = frame(&payload);
            assert_eq!(body.len(), length + 8 + 4 * (length / CHUNK_BYTES), "{length}");
            assert!(unframe(&body).unwrap() == payload, "{length}");
            if length > 0 {
                let mut spoiled = body.clone();
                spoiled[5] ^= 1;
                assert!(unframe(&spoiled).is_err(), "{length}");
                assert!(unframe(&body[..body.len() - 1]).is_err(), "{length}");
            }
        }
    }

    #[test]
    fn rows_survive_both_dialects() {
        let kinds = "struct<a:bigint,b:string,c:timestamp,d:decimal(10,2)>";
        let columns: Vec<(String, Type)> = [kinds, "array<map<string,array<int>>>", "interval_day_time"]
            .iter()
            .map(|text| ("c".to_owned(), Type::parse(text).unwrap()))
            .collect();
        let rows = vec![
            vec![
                Some(Value::Struct(vec![
                    Some(Value::Int(9)),
                    None,
                    Some(Value::Stamp { seconds: -1, nanos: 5 }),
                    Some(Value::Text("1.25".into())),
                ])),
                Some(Value::List(vec![None, Some(Value::Map(vec![(Some(Value::Text("p".into())), None)]))])),
                Some(Value::Stamp { seconds: -86_400, nanos: 1_000_000 }),
            ],
            vec![None, None, None],
        ];
        for interval_struct in [true, false] {
            let dialect = Dialect { interval_struct, stamp_struct: false };
            let payload = write_messages(&columns, &rows, dialect).unwrap();
            let (batches, seen) = read_batches(&payload, &columns).unwrap();
            assert_eq!(seen, dialect);
            for (row, want) in rows.iter().enumerate() {
                for (index, (_, kind)) in columns.iter().enumerate() {
                    assert_eq!(value_at(batches[0].column(index).as_ref(), row, kind), want[index]);
                }
            }
        }
    }
}
