//! How bodies are compressed, and the names under which HTTP knows it.

use std::io::{Read, Write};

use bytes::Bytes;
use flate2::Compression as ZlibLevel;
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

use crate::{Error, Result};

/// Compression of a whole body. Checksums are over what is inside.
///
/// ```
/// use sluicebox_maxcompute::Compression;
///
/// let small = Compression::Zstd.compress(vec![b'x'; 10_000]);
/// assert!(small.len() < 100);
/// let read = Compression::from_content_encoding(Some("zstd")).expect("a known encoding");
/// assert_eq!(read.decompress(&small, 10_000).expect("within the limit").len(), 10_000);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// None: no time spent, the most bytes sent.
    Raw,
    /// zlib at its fastest level, the default of the Java client's users.
    #[default]
    Zlib,
    /// LZ4 frame: a fraction of zlib's time, more bytes.
    Lz4,
    /// Snappy in its framing format.
    Snappy,
    /// Zstandard at its fastest regular level. The official Java client does not send it.
    Zstd,
}

/// zlib level: the official clients use it, and higher ones cost more time than the bytes they save.
const ZLIB_LEVEL: u32 = 1;
/// zstd level: already smaller and faster than zlib's first.
const ZSTD_LEVEL: i32 = 1;
/// Why writing into a buffer needs no error.
const INTO_MEMORY: &str = "writing into memory cannot fail";

impl Compression {
    /// The value of `Content-Encoding`; no header for `None`.
    pub const fn content_encoding(self) -> Option<&'static str> {
        match self {
            Self::Raw => None,
            Self::Zlib => Some("deflate"),
            Self::Lz4 => Some("x-lz4-frame"),
            Self::Snappy => Some("x-snappy-framed"),
            Self::Zstd => Some("zstd"),
        }
    }

    /// The value of `Content-Encoding` for bodies of Arrow batches, where LZ4 has a name of its own.
    pub const fn arrow_content_encoding(self) -> Option<&'static str> {
        match self {
            Self::Lz4 => Some("x-odps-lz4-frame"),
            other => other.content_encoding(),
        }
    }

    /// The reverse of [`Self::content_encoding`]; `None` for an encoding that this crate does not know.
    pub fn from_content_encoding(name: Option<&str>) -> Option<Self> {
        match name.map(str::trim) {
            None | Some("" | "identity") => Some(Self::Raw),
            Some("deflate") => Some(Self::Zlib),
            Some("x-lz4-frame" | "x-odps-lz4-frame") => Some(Self::Lz4),
            Some("x-snappy-framed") => Some(Self::Snappy),
            Some("zstd") => Some(Self::Zstd),
            Some(_) => None,
        }
    }

    /// Compresses a body. `Raw` takes the bytes as they are, without a copy.
    pub fn compress(self, bytes: Vec<u8>) -> Bytes {
        match self {
            Self::Raw => Bytes::from(bytes),
            Self::Zlib => {
                let mut encoder = flate2::write::ZlibEncoder::new(room(&bytes), ZlibLevel::new(ZLIB_LEVEL));
                encoder.write_all(&bytes).expect(INTO_MEMORY);
                Bytes::from(encoder.finish().expect(INTO_MEMORY))
            }
            Self::Lz4 => {
                // Independent blocks and no checksum of the whole, as the Java client writes. Blocks of 256 KiB rather
                // than its 4 MiB keep the encoder at half a megabyte.
                let info = FrameInfo::new()
                    .block_mode(BlockMode::Independent)
                    .block_size(BlockSize::Max256KB)
                    .content_checksum(false);
                let mut encoder = FrameEncoder::with_frame_info(info, room(&bytes));
                encoder.write_all(&bytes).expect(INTO_MEMORY);
                Bytes::from(encoder.finish().expect(INTO_MEMORY))
            }
            Self::Snappy => {
                let mut encoder = snap::write::FrameEncoder::new(room(&bytes));
                encoder.write_all(&bytes).expect(INTO_MEMORY);
                Bytes::from(encoder.into_inner().expect(INTO_MEMORY))
            }
            Self::Zstd => Bytes::from(zstd::bulk::compress(&bytes, ZSTD_LEVEL).expect(INTO_MEMORY)),
        }
    }

    /// The reverse of [`Self::compress`]; refuses to grow beyond `limit` bytes.
    pub fn decompress(self, bytes: &[u8], limit: u64) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let read = match self {
            Self::Raw => bytes.take(limit + 1).read_to_end(&mut out),
            Self::Zlib => flate2::read::ZlibDecoder::new(bytes).take(limit + 1).read_to_end(&mut out),
            Self::Lz4 => FrameDecoder::new(bytes).take(limit + 1).read_to_end(&mut out),
            Self::Snappy => snap::read::FrameDecoder::new(bytes).take(limit + 1).read_to_end(&mut out),
            Self::Zstd => zstd::stream::read::Decoder::with_buffer(bytes)
                .and_then(|decoder| decoder.take(limit + 1).read_to_end(&mut out)),
        };
        let length = read.map_err(|fault| Error::malformed("decompress", fault))?;
        match u64::try_from(length) {
            Ok(length) if length <= limit => Ok(out),
            _ => Err(Error::malformed("decompress", format_args!("more than {limit} bytes"))),
        }
    }
}

/// A buffer for the compressed form: rows usually shrink to less than half.
fn room(bytes: &[u8]) -> Vec<u8> {
    Vec::with_capacity(bytes.len() / 2 + 64)
}
