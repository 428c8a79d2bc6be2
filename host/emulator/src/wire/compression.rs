//! Content encodings of the tunnel, both ways.

use std::io::{Read, Write};

use super::cursor::Malformed;

/// A content encoding named by a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Deflate,
    Zstd,
    Snappy,
    Lz4,
    /// The same framing as [`Encoding::Lz4`] under the name that Arrow requests use.
    ArrowLz4,
}

/// Most bytes one body may hold after decompression: above the largest block a client buffers (64 MB) by
/// far, and below what 32-bit offsets can address.
pub(crate) const MAX_DECODED_BYTES: usize = 1 << 30;

impl Encoding {
    /// The encoding of a `Content-Encoding` value; `None` when it is not one of the tunnel's.
    pub(crate) fn of_content(header: Option<&str>) -> Option<Self> {
        match header.map(str::trim) {
            None | Some("" | "identity") => Some(Self::Identity),
            Some(name) => Self::named(name),
        }
    }

    /// The first encoding of an `Accept-Encoding` value that we can answer in.
    pub(crate) fn of_accept(header: Option<&str>) -> Self {
        let names = header.unwrap_or_default().split(',');
        names.filter_map(|name| Self::named(name.trim())).next().unwrap_or(Self::Identity)
    }

    fn named(name: &str) -> Option<Self> {
        match name {
            "deflate" => Some(Self::Deflate),
            "zstd" => Some(Self::Zstd),
            "x-snappy-framed" => Some(Self::Snappy),
            "x-lz4-frame" => Some(Self::Lz4),
            "x-odps-lz4-frame" => Some(Self::ArrowLz4),
            _ => None,
        }
    }

    /// The header value, absent for plain bytes.
    pub(crate) fn header(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Deflate => Some("deflate"),
            Self::Zstd => Some("zstd"),
            Self::Snappy => Some("x-snappy-framed"),
            Self::Lz4 => Some("x-lz4-frame"),
            Self::ArrowLz4 => Some("x-odps-lz4-frame"),
        }
    }

    /// Decompresses `body` into `out`, whose capacity is reused between requests.
    pub(crate) fn decode(self, body: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
        out.clear();
        let limit = u64::try_from(MAX_DECODED_BYTES).unwrap_or(u64::MAX) + 1;
        let read = match self {
            Self::Identity => {
                out.extend_from_slice(body);
                Ok(out.len())
            }
            Self::Deflate => flate2::bufread::ZlibDecoder::new(body).take(limit).read_to_end(out),
            Self::Zstd => {
                zstd::stream::read::Decoder::with_buffer(body).and_then(|d| d.take(limit).read_to_end(out))
            }
            Self::Snappy => snap::read::FrameDecoder::new(body).take(limit).read_to_end(out),
            Self::Lz4 | Self::ArrowLz4 => {
                lz4_flex::frame::FrameDecoder::new(body).take(limit).read_to_end(out)
            }
        };
        read.map_err(|error| Malformed::new(format!("the body does not decompress: {error}")))?;
        if out.len() > MAX_DECODED_BYTES {
            return Err(Malformed::new("the body is larger than 1 GiB after decompression"));
        }
        Ok(())
    }

    /// Compresses an answer.
    pub(crate) fn encode(self, body: Vec<u8>) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Identity => Ok(body),
            Self::Deflate => {
                let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
                writer.write_all(&body)?;
                writer.finish()
            }
            Self::Zstd => zstd::stream::encode_all(body.as_slice(), 1),
            Self::Snappy => {
                let mut writer = snap::write::FrameEncoder::new(Vec::new());
                writer.write_all(&body)?;
                writer.into_inner().map_err(|error| std::io::Error::other(error.to_string()))
            }
            Self::Lz4 | Self::ArrowLz4 => {
                let mut writer = lz4_flex::frame::FrameEncoder::new(Vec::new());
                writer.write_all(&body)?;
                writer.finish().map_err(std::io::Error::other)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_survives_a_round_trip() {
        let body: Vec<u8> = (0..200_000u32).flat_map(|n| (n % 251).to_le_bytes()).collect();
        for encoding in
            [Encoding::Identity, Encoding::Deflate, Encoding::Zstd, Encoding::Snappy, Encoding::Lz4]
        {
            let packed = encoding.encode(body.clone()).unwrap();
            let mut out = Vec::new();
            encoding.decode(&packed, &mut out).unwrap();
            assert!(out == body, "{encoding:?}");
        }
    }

    #[test]
    fn a_body_cut_short_is_refused() {
        let packed = Encoding::Deflate.encode(vec![7; 10_000]).unwrap();
        assert!(Encoding::Deflate.decode(&packed[..packed.len() / 2], &mut Vec::new()).is_err());
    }
}
