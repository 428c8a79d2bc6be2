//! MariaDB's compressed bodies (statements and row events) and compressed columns.

use std::io::Read;

use flate2::read::{DeflateDecoder, ZlibDecoder};

use super::{Cursor, EVENT_MAX, Fault};

/// Room taken at once for a plain form, whatever it says of its size: a damaged length must not cost memory.
const FIRST_ROOM: usize = 1 << 20;

/// Inflates the statement of QUERY_COMPRESSED, or the rows of a compressed row event: a byte (0x80, method in bits 4 to 6,
/// bytes of the length in the low 3), the plain length most significant byte first, a zlib stream.
pub(crate) fn inflate_body(body: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut cursor = Cursor::new(body);
    let head = cursor.u8().ok_or_else(|| Fault::short("a compressed body"))?;
    if head & 0xf0 != 0x80 {
        return Err(format!("a body is compressed by a method that is not known ({head:#04x})").into());
    }
    let mut plain = Vec::new();
    inflate(&mut cursor, head, false, &mut plain)?;
    Ok(plain)
}

/// Appends the plain form of a compressed column's value: first byte 0: the rest is the value; else high nibble 8, bit 3:
/// without zlib's frame, low 3 bits as above.
pub(crate) fn inflate_column(value: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let mut cursor = Cursor::new(value);
    match cursor.u8() {
        // An empty value is stored as no bytes.
        None => Ok(()),
        Some(0) => {
            out.extend_from_slice(cursor.rest());
            Ok(())
        }
        Some(head) if head & 0xf0 == 0x80 => inflate(&mut cursor, head, head & 8 != 0, out),
        Some(head) => {
            Err(format!("a column is compressed by a method that is not known ({head:#04x})").into())
        }
    }
}

fn inflate(cursor: &mut Cursor<'_>, head: u8, raw: bool, out: &mut Vec<u8>) -> Result<(), Fault> {
    let length_bytes =
        cursor.take(usize::from(head & 7)).ok_or_else(|| Fault::short("a compressed value"))?;
    let length = length_bytes.iter().fold(0_u64, |n, b| n << 8 | u64::from(*b));
    let length = usize::try_from(length).ok().filter(|n| *n <= EVENT_MAX);
    let length = length.ok_or("a compressed value says that it is larger than 1 GiB")?;
    let start = out.len();
    out.reserve(length.min(FIRST_ROOM));
    // One byte more than it says, to see whether there is more.
    let limit = u64::try_from(length).unwrap_or(u64::MAX).saturating_add(1);
    let read = if raw {
        DeflateDecoder::new(cursor.rest()).take(limit).read_to_end(out)
    } else {
        ZlibDecoder::new(cursor.rest()).take(limit).read_to_end(out)
    };
    read.map_err(|e| Fault::from(format!("a compressed value cannot be inflated: {e}")))?;
    if out.len() - start != length {
        return Err("a compressed value has another length than it says".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, ZlibEncoder};

    use super::*;

    #[test]
    fn bodies_and_columns_inflate_to_what_they_say() {
        let mut zlib = ZlibEncoder::new(vec![0x82, 1, 44], Compression::default());
        zlib.write_all(&[7; 300]).expect("memory");
        let zlib = zlib.finish().expect("memory");
        assert_eq!(inflate_body(&zlib), Ok(vec![7; 300]));
        let mut raw = DeflateEncoder::new(vec![0x8a, 1, 44], Compression::default());
        raw.write_all(&[7; 300]).expect("memory");
        let raw = raw.finish().expect("memory");
        for (value, plain) in [(&zlib[..], &[7; 300][..]), (&raw, &[7; 300]), (b"\0ab", b"ab"), (b"", b"")] {
            let mut out = Vec::new();
            assert_eq!(inflate_column(value, &mut out), Ok(()));
            assert_eq!(out, plain);
        }
    }

    #[test]
    fn a_wrong_length_is_refused() {
        for (said, what) in
            [([0x82, 1, 43], "too short"), ([0x82, 1, 45], "too long"), ([0x92, 1, 44], "method")]
        {
            let mut zlib = ZlibEncoder::new(said.to_vec(), Compression::default());
            zlib.write_all(&[7; 300]).expect("memory");
            assert!(inflate_body(&zlib.finish().expect("memory")).is_err(), "{what}");
        }
        assert!(inflate_body(&[0x84, 0xff, 0xff, 0xff, 0xff]).is_err());
    }
}
