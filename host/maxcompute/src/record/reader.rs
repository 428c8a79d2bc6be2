//! Reads a stream of records back, and checks its checksums and its count.
//!
//! The bytes come from outside: every length is compared with what is left before anything is reserved for it.

use super::writer::tag;
use super::{CHECKSUM, COUNT, END, Kind, METRICS_CHECKSUM, Value, unzigzag};
use crate::types::DataType;
use crate::{Error, Result};

/// Field number of the metrics in the footer of a download.
const METRICS: u32 = 1;
/// Bytes that a varint may take.
const VARINT_BYTES: u32 = 10;

/// Reads all rows of a record stream with these columns; a null is `None`. Fails with [`Error::Malformed`].
pub fn read_records(bytes: &[u8], columns: &[DataType]) -> Result<Vec<Vec<Option<Value>>>> {
    let mut reader = Reader { rest: bytes, crc: 0 };
    reader.stream(columns).map_err(|fault| Error::malformed("read records", fault))
}

struct Reader<'a> {
    rest: &'a [u8],
    /// Checksum of the record that is being read.
    crc: u32,
}

type Read<T> = std::result::Result<T, &'static str>;

impl<'a> Reader<'a> {
    fn stream(&mut self, columns: &[DataType]) -> Read<Vec<Vec<Option<Value>>>> {
        let mut rows = Vec::new();
        let mut stream_crc = 0;
        loop {
            let first = self.varint()?;
            if first == tag(COUNT, Kind::Varint) {
                self.footer(rows.len(), stream_crc)?;
                return Ok(rows);
            }
            let (row, crc) = self.record(first, columns)?;
            stream_crc = crc32c::crc32c_append(stream_crc, &crc.to_le_bytes());
            rows.push(row);
        }
    }

    /// A record whose first tag has been read.
    fn record(&mut self, first: u64, columns: &[DataType]) -> Read<(Vec<Option<Value>>, u32)> {
        let mut row = vec![None; columns.len()];
        let mut next = first;
        self.crc = 0;
        while next != tag(END, Kind::Varint) {
            let number = u32::try_from(next >> 3).map_err(|_| "a field number out of range")?;
            let index = number.checked_sub(1).and_then(|index| usize::try_from(index).ok());
            let index = index.filter(|index| *index < columns.len()).ok_or("a field that no column has")?;
            if next != tag(number, kind_of(&columns[index])) {
                return Err("a field of another type than its column");
            }
            if row[index].is_some() {
                return Err("a column twice in one record");
            }
            self.feed(&number.to_le_bytes());
            row[index] = Some(self.value(&columns[index])?);
            next = self.varint()?;
        }
        let crc = self.crc;
        if self.checksum()? != crc {
            return Err("the checksum of a record is wrong");
        }
        Ok((row, crc))
    }

    /// What follows the tag of the count.
    fn footer(&mut self, rows: usize, stream_crc: u32) -> Read<()> {
        let count = unzigzag(self.varint()?);
        if usize::try_from(count) != Ok(rows) {
            return Err("the count of records is wrong");
        }
        let mut next = self.varint()?;
        if next == tag(METRICS, Kind::Bytes) {
            self.crc = 0;
            self.feed(&1_u32.to_le_bytes());
            self.text()?;
            let crc = self.crc;
            if self.varint()? != tag(METRICS_CHECKSUM, Kind::Varint) || self.checksum()? != crc {
                return Err("the checksum of the metrics is wrong");
            }
            next = self.varint()?;
        }
        if next != tag(CHECKSUM, Kind::Varint) {
            return Err("the stream's checksum is missing");
        }
        if self.checksum()? != stream_crc {
            return Err("the stream's checksum is wrong");
        }
        if self.rest.is_empty() { Ok(()) } else { Err("bytes behind the footer") }
    }

    fn value(&mut self, data_type: &DataType) -> Read<Value> {
        Ok(match data_type {
            DataType::Tinyint | DataType::Smallint | DataType::Int | DataType::Bigint => {
                Value::Bigint(self.bigint()?)
            }
            DataType::Boolean => Value::Boolean(self.boolean()?),
            DataType::Float => Value::Float(f32::from_le_bytes(self.fixed()?)),
            DataType::Double => Value::Double(f64::from_le_bytes(self.fixed()?)),
            DataType::String
            | DataType::Char(_)
            | DataType::Varchar(_)
            | DataType::Binary
            | DataType::Json
            | DataType::Decimal { .. } => Value::Text(self.text()?.to_vec()),
            DataType::Date => Value::Date(i32::try_from(self.bigint()?).map_err(|_| "a date out of range")?),
            DataType::Datetime => Value::Datetime(self.bigint()?),
            DataType::IntervalYearMonth => Value::Months(self.bigint()?),
            DataType::Timestamp | DataType::TimestampNtz | DataType::IntervalDayTime => self.timestamp()?,
            DataType::Array(element) => Value::Array(self.elements(element)?),
            DataType::Map(key, value) => {
                let keys = self.elements(key)?;
                let values = self.elements(value)?;
                if keys.len() != values.len() {
                    return Err("a map with more keys than values, or fewer");
                }
                Value::Map(keys.into_iter().zip(values).collect())
            }
            DataType::Struct(fields) => {
                Value::Struct(fields.iter().map(|field| self.flagged(&field.data_type)).collect::<Read<_>>()?)
            }
        })
    }

    fn elements(&mut self, element: &DataType) -> Read<Vec<Option<Value>>> {
        let count = self.length()?;
        // Each element takes a byte at least, so `count` is no more than the bytes that are there.
        (0..count).map(|_| self.flagged(element)).collect()
    }

    fn flagged(&mut self, data_type: &DataType) -> Read<Option<Value>> {
        match self.take(1)? {
            [0] => self.value(data_type).map(Some),
            [1] => Ok(None),
            _ => Err("a null flag that is neither 0 nor 1"),
        }
    }

    fn bigint(&mut self) -> Read<i64> {
        let value = unzigzag(self.varint()?);
        self.feed(&value.to_le_bytes());
        Ok(value)
    }

    fn boolean(&mut self) -> Read<bool> {
        let value = match self.varint()? {
            0 => false,
            1 => true,
            _ => return Err("a boolean that is neither 0 nor 1"),
        };
        self.feed(&[u8::from(value)]);
        Ok(value)
    }

    fn timestamp(&mut self) -> Read<Value> {
        let seconds = unzigzag(self.varint()?);
        let nanos = u32::try_from(unzigzag(self.varint()?)).map_err(|_| "nanoseconds out of range")?;
        self.feed(&seconds.to_le_bytes());
        self.feed(&nanos.to_le_bytes());
        Ok(Value::Timestamp { seconds, nanos })
    }

    fn fixed<const N: usize>(&mut self) -> Read<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        self.feed(&bytes);
        Ok(bytes)
    }

    fn text(&mut self) -> Read<&'a [u8]> {
        let length = self.length()?;
        let bytes = self.take(length)?;
        self.feed(bytes);
        Ok(bytes)
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.crc = crc32c::crc32c_append(self.crc, bytes);
    }

    /// A checksum; the Python client sends those with the top bit set as sign-extended 64-bit numbers.
    fn checksum(&mut self) -> Read<u32> {
        let [a, b, c, d, ..] = self.varint()?.to_le_bytes();
        Ok(u32::from_le_bytes([a, b, c, d]))
    }

    /// A length or count that the rest of the stream can hold.
    fn length(&mut self) -> Read<usize> {
        let length = usize::try_from(self.varint()?).ok();
        length.filter(|length| *length <= self.rest.len()).ok_or("a length beyond the end of the stream")
    }

    fn varint(&mut self) -> Read<u64> {
        let mut value: u64 = 0;
        for index in 0..VARINT_BYTES {
            let [byte] = *self.take(1)? else { return Err("the stream ends in the middle") };
            value |= u64::from(byte & 0x7F) << (7 * index);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err("a number of more than ten bytes")
    }

    fn take(&mut self, length: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or("the stream ends in the middle")?;
        self.rest = rest;
        Ok(taken)
    }
}

fn kind_of(data_type: &DataType) -> Kind {
    match data_type {
        DataType::Tinyint
        | DataType::Smallint
        | DataType::Int
        | DataType::Bigint
        | DataType::Boolean
        | DataType::Date
        | DataType::Datetime
        | DataType::IntervalYearMonth => Kind::Varint,
        DataType::Float => Kind::Four,
        DataType::Double => Kind::Eight,
        DataType::String
        | DataType::Char(_)
        | DataType::Varchar(_)
        | DataType::Binary
        | DataType::Json
        | DataType::Decimal { .. }
        | DataType::Timestamp
        | DataType::TimestampNtz
        | DataType::IntervalDayTime
        | DataType::Array(_)
        | DataType::Map(..)
        | DataType::Struct(_) => Kind::Bytes,
    }
}
