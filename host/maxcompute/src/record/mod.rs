//! Rows as the tunnel sends them: the record format of uploads, upserts and downloads.
//!
//! ```text
//! stream := record* footer
//! record := field* end
//! field  := varint(number << 3 | kind) value          number: column position + 1; null columns are left out
//! end    := varint(END << 3) varint(record checksum)
//! footer := varint(COUNT << 3) varint(zigzag(records)) varint(CHECKSUM << 3) varint(stream checksum)
//! ```
//!
//! It looks like protobuf and is not: arrays, maps, structs and timestamps carry no length. Both checksums are
//! CRC-32C; a record's is fed with the numbers and values of its fields, not with lengths, counts and null flags, and
//! the stream's with the checksums of the records.
//!
//! [`RecordWriter`] encodes one row at a time without allocating once its buffers have grown; [`RecordBody`] collects
//! encoded rows and adds the footer; [`read_records`] reads a stream back and checks everything that it carries.

mod body;
mod buffer;
mod reader;
mod value;
mod varint;
mod writer;

pub use body::{Body, RecordBody};
pub use reader::read_records;
pub use value::Value;
pub use writer::{MAX_VALUE_BYTES, Record, RecordWriter, Row, ValueTooLong};

/// What an upsert record does with the row of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Insert the row, or replace it whole.
    Upsert,
    /// Delete the row.
    Delete,
}

impl Operation {
    /// The number in the hidden column `__operation`: `U` or `D`.
    pub const fn code(self) -> i64 {
        match self {
            Self::Upsert => 85,
            Self::Delete => 68,
        }
    }
}

/// Columns that follow the table's own in an upsert record: `__version`, `__app_version`, `__operation`,
/// `__key_cols`, `__value_cols`.
pub const HIDDEN_COLUMNS: u32 = 5;
/// Position of `__operation` behind the table's columns.
const OPERATION: u32 = 2;
/// Position of `__value_cols` behind the table's columns.
const VALUE_COLUMNS: u32 = 4;

/// Field number that ends a record.
const END: u32 = 33_553_408;
/// Field number of the metrics' checksum, which only downloads may carry.
const METRICS_CHECKSUM: u32 = 33_554_176;
/// Field number of the record count.
const COUNT: u32 = 33_554_430;
/// Field number of the stream's checksum.
const CHECKSUM: u32 = 33_554_431;

/// How a value is laid out behind its tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Varint = 0,
    Eight = 1,
    Bytes = 2,
    Four = 5,
}

/// Maps signed numbers to unsigned ones so that small magnitudes stay small.
const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// The reverse of [`zigzag`].
const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}
