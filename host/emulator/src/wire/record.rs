//! The record stream of uploads, upserts and downloads.
//!
//! A stream is records and a footer; a record is the fields that are not null, in column order, and a
//! checksum over field numbers and values. The footer carries the count and a checksum over the records'
//! checksums. [`scan`] checks all of it and hands each record out as spans into the body, so nothing is
//! allocated per row or value. The checksum input of a record is gathered first and summed in one call,
//! which is several times faster than a call per value.

use super::cursor::{Cursor, Malformed, put_varint, put_zigzag};
use super::types::Type;
use super::value::{Primitive, check_value};

const END_OF_RECORD: u64 = 33_553_408;
const COUNT: u64 = 33_554_430;
const STREAM_CHECKSUM: u64 = 33_554_431;

/// Record checksums gathered before they are summed.
const PENDING_CHECKSUM_BYTES: usize = 4096;

/// One field of a body's layout.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) kind: Type,
    pub(crate) nullable: bool,
}

/// One record of a body. `values[i]` is the value of column `i`, absent when null.
pub(crate) struct Record<'a, 'r> {
    body: &'a [u8],
    pub(crate) values: &'r [Option<Primitive<'a>>],
    spans: &'r [(usize, usize)],
}

impl<'a> Record<'a, '_> {
    /// The bytes of column `index`, without its tag; `None` when null.
    pub(crate) fn bytes(&self, index: usize) -> Option<&'a [u8]> {
        let (start, end) = self.spans[index];
        (end > start).then(|| &self.body[start..end])
    }
}

/// Checks the whole of `body`, calling `visit` for each record. Returns the number of records.
pub(crate) fn scan<'a>(
    body: &'a [u8],
    fields: &[Field],
    mut visit: impl FnMut(&Record<'a, '_>) -> Result<(), Malformed>,
) -> Result<u64, Malformed> {
    let mut cursor = Cursor::new(body);
    let mut values = vec![None; fields.len()];
    let mut spans = vec![(0, 0); fields.len()];
    let mut digest = Vec::with_capacity(1024);
    let mut checksums = StreamChecksum::default();
    let mut count = 0u64;
    loop {
        let tag = cursor.varint()?;
        if tag == COUNT << 3 {
            check_footer(&mut cursor, count, checksums.finish())?;
            return Ok(count);
        }
        values.fill(None);
        spans.fill((0, 0));
        digest.clear();
        scan_record(&mut cursor, tag, fields, &mut values, &mut spans, &mut digest)?;
        let computed = crc32c::crc32c(&digest);
        if cursor.checksum()? != computed {
            return Err(Malformed::new(format!("the checksum of record {count} is wrong")));
        }
        checksums.add(computed);
        visit(&Record { body, values: &values, spans: &spans })?;
        count += 1;
    }
}

/// Reads fields until the end mark of the record that begins with `tag`.
#[inline]
fn scan_record<'a>(
    cursor: &mut Cursor<'a>,
    mut tag: u64,
    fields: &[Field],
    values: &mut [Option<Primitive<'a>>],
    spans: &mut [(usize, usize)],
    digest: &mut Vec<u8>,
) -> Result<(), Malformed> {
    let mut next = 0usize;
    while tag >> 3 != END_OF_RECORD {
        let number = tag >> 3;
        let index = usize::try_from(number).unwrap_or(usize::MAX).wrapping_sub(1);
        let field = fields.get(index).ok_or_else(|| {
            Malformed::new(format!("a record has a field {number} and the session {} columns", fields.len()))
        })?;
        if index < next {
            return Err(Malformed::new("the fields of a record are not in column order"));
        }
        if tag & 7 != field.kind.wire_number() {
            return Err(Malformed::new(format!(
                "field {number} has the wrong wire type for `{}`",
                field.kind
            )));
        }
        require_null_allowed(fields, next, index)?;
        next = index + 1;
        digest.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
        let start = cursor.position();
        values[index] = Some(check_value(cursor, &field.kind, digest)?);
        spans[index] = (start, cursor.position());
        tag = cursor.varint()?;
    }
    if tag & 7 != 0 {
        return Err(Malformed::new("the end mark of a record has the wrong wire type"));
    }
    require_null_allowed(fields, next, fields.len())
}

/// The fields `from..to` were left out, so they are null.
#[inline]
fn require_null_allowed(fields: &[Field], from: usize, to: usize) -> Result<(), Malformed> {
    match fields[from..to].iter().position(|field| !field.nullable) {
        None => Ok(()),
        Some(offset) => {
            Err(Malformed::new(format!("column {} must not be null", from.saturating_add(offset) + 1)))
        }
    }
}

fn check_footer(cursor: &mut Cursor<'_>, count: u64, checksum: u32) -> Result<(), Malformed> {
    if cursor.zigzag()? != i64::try_from(count).unwrap_or(-1) {
        return Err(Malformed::new(format!("the footer's count is not {count}, the number of records")));
    }
    if cursor.varint()? != STREAM_CHECKSUM << 3 {
        return Err(Malformed::new("the footer lacks its checksum"));
    }
    if cursor.checksum()? != checksum {
        return Err(Malformed::new("the checksum of the stream is wrong"));
    }
    if !cursor.is_at_end() {
        return Err(Malformed::new("bytes follow the footer"));
    }
    Ok(())
}

/// CRC-32C over the checksums of the records.
#[derive(Default)]
struct StreamChecksum {
    sum: u32,
    pending: Vec<u8>,
}

impl StreamChecksum {
    #[inline]
    fn add(&mut self, record: u32) {
        self.pending.extend_from_slice(&record.to_le_bytes());
        if self.pending.len() >= PENDING_CHECKSUM_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.sum = crc32c::crc32c_append(self.sum, &self.pending);
        self.pending.clear();
    }

    fn finish(&mut self) -> u32 {
        self.flush();
        self.sum
    }
}

/// Writes a record stream.
#[derive(Default)]
pub(crate) struct RecordWriter {
    out: Vec<u8>,
    digest: Vec<u8>,
    checksums: StreamChecksum,
    count: i64,
}

impl RecordWriter {
    /// Adds a field of the current record: `bytes` are the value without its tag.
    pub(crate) fn field(&mut self, index: usize, kind: &Type, bytes: &[u8]) -> Result<(), Malformed> {
        let number = u32::try_from(index + 1).map_err(|_| Malformed::new("too many columns"))?;
        put_varint(&mut self.out, u64::from(number) << 3 | kind.wire_number());
        self.out.extend_from_slice(bytes);
        self.digest.extend_from_slice(&number.to_le_bytes());
        check_value(&mut Cursor::new(bytes), kind, &mut self.digest)?;
        Ok(())
    }

    /// Ends the current record.
    pub(crate) fn end_record(&mut self) {
        let checksum = crc32c::crc32c(&self.digest);
        self.digest.clear();
        put_varint(&mut self.out, END_OF_RECORD << 3);
        put_varint(&mut self.out, checksum.into());
        self.checksums.add(checksum);
        self.count += 1;
    }

    /// Bytes written so far.
    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }

    /// Ends the stream.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        put_varint(&mut self.out, COUNT << 3);
        put_zigzag(&mut self.out, self.count);
        put_varint(&mut self.out, STREAM_CHECKSUM << 3);
        put_varint(&mut self.out, self.checksums.finish().into());
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::value::Value;

    const SMALLEST: &[u8] = &[
        0x08, 0x02, 0x80, 0xc0, 0xff, 0x7f, 0xca, 0xb8, 0xb4, 0x99, 0x05, 0xf0, 0xff, 0xff, 0x7f, 0x02, 0xf8,
        0xff, 0xff, 0x7f, 0xa4, 0x86, 0xb5, 0x88, 0x08,
    ];

    fn bigint(nullable: bool) -> Vec<Field> {
        vec![Field { kind: Type::BigInt, nullable }]
    }

    #[test]
    fn the_smallest_example_is_read_and_written() {
        let mut seen = Vec::new();
        let rows = scan(SMALLEST, &bigint(false), |record| {
            seen.push(record.values[0]);
            Ok(())
        });
        assert_eq!((rows, seen), (Ok(1), vec![Some(Primitive::Int(1))]));

        let mut writer = RecordWriter::default();
        writer.field(0, &Type::BigInt, &[2]).unwrap();
        writer.end_record();
        assert_eq!(writer.finish(), SMALLEST);
    }

    #[test]
    fn any_flipped_bit_is_refused() {
        for at in 0..SMALLEST.len() {
            for bit in 0..8 {
                let mut body = SMALLEST.to_vec();
                body[at] ^= 1 << bit;
                let result = scan(&body, &bigint(true), |_| Ok(()));
                assert!(result.is_err(), "byte {at} bit {bit}: {result:?}");
            }
        }
    }

    #[test]
    fn nulls_are_refused_where_the_column_forbids_them() {
        let mut writer = RecordWriter::default();
        writer.end_record();
        let body = writer.finish();
        assert_eq!(scan(&body, &bigint(true), |_| Ok(())), Ok(1));
        assert!(scan(&body, &bigint(false), |_| Ok(())).is_err());
    }

    #[test]
    fn nested_values_survive_a_round_trip() {
        let kind = Type::parse("array<map<string,array<int>>>").unwrap();
        let inner = Value::List(vec![Some(Value::Int(1)), None, Some(Value::Int(-3))]);
        let entry = (Some(Value::Text("p".into())), Some(inner));
        let value = Value::List(vec![Some(Value::Map(vec![entry])), None]);
        let mut bytes = Vec::new();
        value.encode(&kind, &mut bytes).unwrap();
        let mut writer = RecordWriter::default();
        writer.field(0, &kind, &bytes).unwrap();
        writer.end_record();
        let fields = vec![Field { kind: kind.clone(), nullable: false }];
        let mut seen = None;
        let body = writer.finish();
        scan(&body, &fields, |record| {
            seen = Some(Value::decode(&mut Cursor::new(record.bytes(0).unwrap()), &kind)?);
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, Some(value));
    }
}
