//! Encodes one row at a time.
//!
//! Fields go straight into the row's bytes. What the checksum is fed with is gathered beside them and hashed in one
//! go at the end of the record, since many calls with a few bytes each cost more than the hashing itself.

use super::buffer::Buffer;
use super::varint::varint;
use super::{END, Kind, OPERATION, Operation, VALUE_COLUMNS, Value, zigzag};

/// From this length on a value is hashed where it lies rather than copied to the gathered bytes.
const HASHED_IN_PLACE: usize = 256;

/// Bytes of one value that the service takes: 8 MiB, which is also the `MaxFieldSize` of upload sessions.
pub const MAX_VALUE_BYTES: usize = 8 << 20;

/// A value that is longer than the service takes. [`RecordBody::try_push`](super::RecordBody::try_push) finds it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a value of column `{column}` has {bytes} bytes, and the service takes {limit}")]
pub struct ValueTooLong {
    /// The column.
    pub column: String,
    /// Bytes of the value.
    pub bytes: usize,
    /// Bytes that the service takes.
    pub limit: usize,
}

/// The first value of a row that is longer than its writer's limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong {
    /// Position of its column.
    pub(super) column: u32,
    pub(super) bytes: usize,
    pub(super) limit: usize,
}

/// Encodes rows, one at a time. Its buffers grow to the widest row and are used again.
///
/// ```
/// use sluicebox_maxcompute::record::{Operation, RecordBody, RecordWriter, Value};
///
/// // One row of the Delta table `t (id BIGINT, name STRING, seen TIMESTAMP, tags ARRAY<STRING>, PRIMARY KEY(id))`.
/// let mut writer = RecordWriter::new();
/// let mut record = writer.record();
/// record.bigint(0, 7);
/// // Column 1 is left out and so null. A nanosecond before 1970:
/// record.timestamp(2, -1, 999_999_999);
/// let tags = [Some(Value::Text(b"new".to_vec())), None];
/// record.value(3, Some(&Value::Array(tags.to_vec())));
/// let mut body = RecordBody::new();
/// body.push(record.end_keyed(4, Operation::Upsert));
/// assert_eq!(body.records(), 1);
/// ```
#[derive(Debug)]
pub struct RecordWriter {
    row: Buffer,
    /// What the checksum is still to be fed with.
    unhashed: Buffer,
    /// Checksum of what was fed before `unhashed`.
    crc: u32,
    /// Field number of the last field, to find columns out of order in debug builds.
    last: u32,
    /// Bytes of a value that [`RecordBody::try_push`](super::RecordBody::try_push) accepts.
    value_limit: usize,
    too_long: Option<TooLong>,
}

impl Default for RecordWriter {
    fn default() -> Self {
        Self::with_value_limit(MAX_VALUE_BYTES)
    }
}

impl RecordWriter {
    /// A writer with empty buffers.
    pub fn new() -> Self {
        Self::default()
    }

    /// A writer for a session that takes values of so many bytes, as
    /// [`UploadSession::max_field_size`](crate::UploadSession::max_field_size) says. At least 255.
    pub fn with_value_limit(value_limit: usize) -> Self {
        Self {
            row: Buffer::default(),
            unhashed: Buffer::default(),
            crc: 0,
            last: 0,
            // Shorter values take the quick way, which does not look at the limit.
            value_limit: value_limit.max(HASHED_IN_PLACE - 1),
            too_long: None,
        }
    }

    /// Begins a row. One that was begun before and not ended is forgotten.
    pub fn record(&mut self) -> Record<'_> {
        self.row.clear();
        self.unhashed.clear();
        self.crc = 0;
        self.last = 0;
        self.too_long = None;
        Record { writer: self }
    }

    fn hash_gathered(&mut self) {
        if !self.unhashed.written().is_empty() {
            self.crc = crc32c::crc32c_append(self.crc, self.unhashed.written());
            self.unhashed.clear();
        }
    }

    #[inline]
    fn varint(&mut self, value: u64) {
        let (bytes, length) = varint(value);
        self.row.block(bytes, length);
    }

    #[inline]
    fn bytes(&mut self, bytes: &[u8]) {
        self.row.slice(bytes);
        if bytes.len() < HASHED_IN_PLACE {
            self.unhashed.slice(bytes);
        } else {
            self.hash_gathered();
            self.crc = crc32c::crc32c_append(self.crc, bytes);
            if bytes.len() > self.value_limit && self.too_long.is_none() {
                let (column, limit) = (self.last.saturating_sub(1), self.value_limit);
                self.too_long = Some(TooLong { column, bytes: bytes.len(), limit });
            }
        }
    }

    #[inline]
    fn bigint(&mut self, value: i64) {
        self.varint(zigzag(value));
        self.unhashed.block(u128::from(value.cast_unsigned()), 8);
    }

    #[inline]
    fn timestamp(&mut self, seconds: i64, nanos: u32) {
        self.varint(zigzag(seconds));
        self.varint(zigzag(i64::from(nanos)));
        self.unhashed.block(u128::from(seconds.cast_unsigned()) | (u128::from(nanos) << 64), 12);
    }

    /// Bytes that are the same on the wire and in the checksum.
    #[inline]
    fn fixed(&mut self, bytes: u64, length: usize) {
        self.row.block(u128::from(bytes), length);
        self.unhashed.block(u128::from(bytes), length);
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Bigint(value) | Value::Datetime(value) | Value::Months(value) => self.bigint(*value),
            Value::Date(days) => self.bigint(i64::from(*days)),
            Value::Boolean(value) => self.fixed(u64::from(*value), 1),
            Value::Float(value) => self.fixed(u64::from(value.to_bits()), 4),
            Value::Double(value) => self.fixed(value.to_bits(), 8),
            Value::Text(bytes) => {
                self.varint(length(bytes.len()));
                self.bytes(bytes);
            }
            Value::Timestamp { seconds, nanos } => self.timestamp(*seconds, *nanos),
            Value::Array(elements) => self.elements(elements.len(), elements.iter().map(Option::as_ref)),
            Value::Map(pairs) => {
                self.elements(pairs.len(), pairs.iter().map(|(key, _)| key.as_ref()));
                self.elements(pairs.len(), pairs.iter().map(|(_, value)| value.as_ref()));
            }
            Value::Struct(fields) => fields.iter().for_each(|field| self.flagged(field.as_ref())),
        }
    }

    fn elements<'v>(&mut self, count: usize, elements: impl Iterator<Item = Option<&'v Value>>) {
        self.varint(length(count));
        elements.for_each(|element| self.flagged(element));
    }

    /// A null flag, and the value if there is one.
    fn flagged(&mut self, value: Option<&Value>) {
        self.row.block(u128::from(value.is_none()), 1);
        if let Some(value) = value {
            self.value(value);
        }
    }
}

/// A row that is being encoded. Columns are named by their position from 0 in the session's schema and come in rising
/// order; one that is left out is null.
#[derive(Debug)]
pub struct Record<'a> {
    writer: &'a mut RecordWriter,
}

impl<'a> Record<'a> {
    /// Writes TINYINT, SMALLINT, INT, BIGINT, and INTERVAL_YEAR_MONTH in months.
    #[inline]
    pub fn bigint(&mut self, column: u32, value: i64) {
        let number = self.number(column);
        let (bytes, length) = varint(zigzag(value));
        self.tagged(number, Kind::Varint, bytes, length);
        self.feed(number, u128::from(value.cast_unsigned()), 8);
    }

    /// Writes BOOLEAN.
    #[inline]
    pub fn boolean(&mut self, column: u32, value: bool) {
        self.fixed(column, Kind::Varint, u64::from(value), 1);
    }

    /// Writes FLOAT.
    #[inline]
    pub fn float(&mut self, column: u32, value: f32) {
        self.fixed(column, Kind::Four, u64::from(value.to_bits()), 4);
    }

    /// Writes DOUBLE.
    #[inline]
    pub fn double(&mut self, column: u32, value: f64) {
        self.fixed(column, Kind::Eight, value.to_bits(), 8);
    }

    /// Writes STRING, CHAR, VARCHAR, JSON (UTF-8), BINARY, and DECIMAL as ASCII text in plain notation, such as
    /// `-12.30`; see also [`Self::decimal`]. The service takes at most [`MAX_VALUE_BYTES`]; see [`RecordBody::try_push`](super::RecordBody::try_push).
    #[inline]
    pub fn text(&mut self, column: u32, bytes: &[u8]) {
        let number = self.number(column);
        let (size, length) = varint(length(bytes.len()));
        self.tagged(number, Kind::Bytes, size, length);
        self.feed(number, 0, 0);
        self.writer.bytes(bytes);
    }

    /// Writes DECIMAL given as its unscaled number: `-1230` with scale 2 is `-12.30`. `scale` is at most 38.
    pub fn decimal(&mut self, column: u32, unscaled: i128, scale: u32) {
        // A sign, 39 digits, a point.
        let mut text = [0; 41];
        let begin = decimal_text(unscaled, scale.min(38), &mut text);
        self.text(column, &text[begin..]);
    }

    /// Writes DATE in days since 1970-01-01.
    pub fn date(&mut self, column: u32, days: i32) {
        self.bigint(column, i64::from(days));
    }

    /// Writes DATETIME in milliseconds since the epoch.
    pub fn datetime(&mut self, column: u32, millis: i64) {
        self.bigint(column, millis);
    }

    /// Writes TIMESTAMP, TIMESTAMP_NTZ and INTERVAL_DAY_TIME: seconds, floored, and the nanoseconds of the second.
    #[inline]
    pub fn timestamp(&mut self, column: u32, seconds: i64, nanos: u32) {
        let number = self.number(column);
        let (bytes, length) = varint(zigzag(seconds));
        self.tagged(number, Kind::Bytes, bytes, length);
        self.writer.varint(zigzag(i64::from(nanos)));
        self.feed(number, u128::from(seconds.cast_unsigned()) | (u128::from(nanos) << 64), 12);
    }

    /// Writes `ARRAY<BIGINT>` without nulls in it.
    pub fn bigint_array(&mut self, column: u32, elements: &[i64]) {
        self.tag(column, Kind::Bytes);
        self.writer.varint(length(elements.len()));
        for element in elements {
            self.writer.row.block(0, 1);
            self.writer.bigint(*element);
        }
    }

    /// Writes a value of any type; `None` is null. The other methods are faster.
    pub fn value(&mut self, column: u32, value: Option<&Value>) {
        if let Some(value) = value {
            let kind = match value {
                Value::Bigint(_)
                | Value::Boolean(_)
                | Value::Date(_)
                | Value::Datetime(_)
                | Value::Months(_) => Kind::Varint,
                Value::Float(_) => Kind::Four,
                Value::Double(_) => Kind::Eight,
                Value::Text(_)
                | Value::Timestamp { .. }
                | Value::Array(_)
                | Value::Map(_)
                | Value::Struct(_) => Kind::Bytes,
            };
            self.tag(column, kind);
            self.writer.value(value);
        }
    }

    /// Ends the row of an ordinary table.
    pub fn end(self) -> Row<'a> {
        let writer = self.writer;
        writer.hash_gathered();
        writer.varint(tag(END, Kind::Varint));
        writer.varint(u64::from(writer.crc));
        Row { bytes: writer.row.written(), crc: writer.crc, too_long: writer.too_long }
    }

    /// Ends the row of a Delta table whose session has `columns` columns.
    ///
    /// An upsert replaces the whole row: a column that was left out becomes null. A delete needs the key columns only.
    pub fn end_keyed(mut self, columns: u32, operation: Operation) -> Row<'a> {
        self.bigint(columns + OPERATION, operation.code());
        self.bigint_array(columns + VALUE_COLUMNS, &[]);
        self.end()
    }

    /// Ends an upsert that sets only the columns with these ids (from the session's columns) and leaves the others
    /// as they are. The key columns are written too and not listed. Only for sessions that allow partial updates.
    pub fn end_partial(mut self, columns: u32, column_ids: &[i64]) -> Row<'a> {
        self.bigint(columns + OPERATION, Operation::Upsert.code());
        self.bigint_array(columns + VALUE_COLUMNS, column_ids);
        self.end()
    }

    #[inline]
    fn number(&mut self, column: u32) -> u32 {
        let number = column + 1;
        debug_assert!(number > self.writer.last, "columns come in rising order");
        self.writer.last = number;
        number
    }

    /// A column's tag, and nothing of its value yet.
    fn tag(&mut self, column: u32, kind: Kind) {
        let number = self.number(column);
        self.tagged(number, kind, 0, 0);
        self.feed(number, 0, 0);
    }

    /// A column whose value is the same on the wire and in the checksum.
    #[inline]
    fn fixed(&mut self, column: u32, kind: Kind, bytes: u64, length: usize) {
        let number = self.number(column);
        self.tagged(number, kind, u128::from(bytes), length);
        self.feed(number, u128::from(bytes), length);
    }

    /// A tag and up to ten bytes behind it, in one block.
    #[inline]
    fn tagged(&mut self, number: u32, kind: Kind, bytes: u128, length: usize) {
        let tag = tag(number, kind);
        if tag < 0x80 {
            self.writer.row.block(u128::from(tag) | (bytes << 8), 1 + length);
        } else {
            // A tag has up to five bytes.
            let (tag, tag_length) = varint(tag);
            self.writer.row.block(tag | (bytes << (8 * tag_length)), tag_length + length);
        }
    }

    /// Feeds the checksum with a field number and up to twelve bytes of a value.
    #[inline]
    fn feed(&mut self, number: u32, bytes: u128, length: usize) {
        self.writer.unhashed.block(u128::from(number) | (bytes << 32), 4 + length);
    }
}

/// Writes a number in plain notation to the end of `text`, and returns where it begins.
fn decimal_text(unscaled: i128, scale: u32, text: &mut [u8; 41]) -> usize {
    let mut begin = text.len();
    let mut put = |byte| {
        begin -= 1;
        text[begin] = byte;
    };
    let mut rest = unscaled.unsigned_abs();
    for place in 0.. {
        if place == scale && place > 0 {
            put(b'.');
        }
        put(b'0' + u8::try_from(rest % 10).unwrap_or(0));
        rest /= 10;
        // A digit in front of the point at least.
        if rest == 0 && place >= scale {
            break;
        }
    }
    if unscaled < 0 {
        put(b'-');
    }
    begin
}

/// An encoded row, with the end mark and its checksum.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The bytes as they go into a body.
    pub bytes: &'a [u8],
    /// The checksum, which also goes into the body's own.
    pub crc: u32,
    pub(super) too_long: Option<TooLong>,
}

pub(super) const fn tag(number: u32, kind: Kind) -> u64 {
    ((number as u64) << 3) | kind as u64
}

pub(super) fn length(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
