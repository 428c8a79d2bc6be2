//! Rows gathered for one request: a bucket of an upsert session, or a block of an upload.

use bytes::Bytes;

use super::varint::varint;
use super::writer::{TooLong, ValueTooLong, tag};
use super::{CHECKSUM, COUNT, Kind, Row, zigzag};
use crate::{Compression, SessionColumn};

/// Checksums of rows that are gathered before the body's own is fed with them: hashing four bytes at a time costs
/// several times as much.
const GATHERED: usize = 256;
/// Bytes of the footer at most.
const FOOTER: usize = 4 + 10 + 4 + 5;

/// Encoded rows without the footer.
#[derive(Debug, Clone, Default)]
pub struct RecordBody {
    bytes: Vec<u8>,
    records: u64,
    /// Checksums of rows that `crc` is still to be fed with.
    unhashed: Vec<u8>,
    crc: u32,
}

impl RecordBody {
    /// An empty body.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty body with room for `bytes` bytes of rows and the footer.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes + FOOTER), ..Self::default() }
    }

    /// Adds a row behind the others. Rows of one key take effect in this order.
    pub fn push(&mut self, row: Row<'_>) {
        self.bytes.extend_from_slice(row.bytes);
        self.unhashed.extend_from_slice(&row.crc.to_le_bytes());
        if self.unhashed.len() >= GATHERED {
            self.hash_gathered();
        }
        self.records += 1;
    }

    /// Adds a row unless one of its values is longer than the service takes: nothing is added then, and the error names
    /// the column. `columns` are those of the session that the body is for.
    pub fn try_push(&mut self, row: Row<'_>, columns: &[SessionColumn]) -> Result<(), ValueTooLong> {
        let Some(TooLong { column, bytes, limit }) = row.too_long else {
            self.push(row);
            return Ok(());
        };
        let name = usize::try_from(column).ok().and_then(|index| columns.get(index));
        let column = name.map_or_else(|| format!("#{column}"), |column| column.name.clone());
        Err(ValueTooLong { column, bytes, limit })
    }

    fn hash_gathered(&mut self) {
        self.crc = crc32c::crc32c_append(self.crc, &self.unhashed);
        self.unhashed.clear();
    }

    /// Bytes of the rows, before compression and without the footer.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Number of rows.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Adds the footer and gives the whole stream.
    pub fn finish(mut self) -> Vec<u8> {
        let count = zigzag(i64::try_from(self.records).unwrap_or(i64::MAX));
        self.hash_gathered();
        let crc = u64::from(self.crc);
        for number in [tag(COUNT, Kind::Varint), count, tag(CHECKSUM, Kind::Varint), crc] {
            let (bytes, length) = varint(number);
            self.bytes.extend_from_slice(&bytes.to_le_bytes()[..length]);
        }
        self.bytes
    }

    /// Adds the footer and compresses: what [`put`](crate::UpsertSession::put) and
    /// [`put_block`](crate::UploadSession::put_block) take.
    pub fn seal(self, compression: Compression) -> Body {
        let records = self.records;
        Body { bytes: compression.compress(self.finish()), records, compression }
    }
}

/// A request's body, ready to be sent, and to be sent again.
#[derive(Debug, Clone)]
pub struct Body {
    /// The bytes on the wire.
    pub bytes: Bytes,
    /// Rows in it.
    pub records: u64,
    /// How the bytes are compressed.
    pub compression: Compression,
}
