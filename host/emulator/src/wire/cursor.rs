//! Reading and writing the number forms of the record format.

/// Why bytes are not a record stream; the text goes into the answer, so it never holds a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) String);

impl Malformed {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// A position in outside bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) fn position(&self) -> usize {
        self.at
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// A base-128 number of at most ten bytes. Ten bytes are needed also for 32-bit checksums, which one
    /// client writes with their sign extended.
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        let mut shift = 0u32;
        for &byte in self.bytes.get(self.at..).unwrap_or_default().iter().take(10) {
            self.at += 1;
            value |= u64::from(byte & 0x7f).wrapping_shl(shift);
            if byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
        }
        Err(Malformed::new("a number is cut off or too long"))
    }

    /// A 32-bit checksum. One client writes those with the top bit set sign-extended to 64 bits.
    #[inline]
    pub(crate) fn checksum(&mut self) -> Result<u32, Malformed> {
        let raw = self.varint()?;
        let [a, b, c, d, ..] = raw.to_le_bytes();
        let low = u32::from_le_bytes([a, b, c, d]);
        if raw == u64::from(low) || raw == i64::from(low.cast_signed()).cast_unsigned() {
            return Ok(low);
        }
        Err(Malformed::new("a checksum is wider than 32 bits"))
    }

    #[inline]
    pub(crate) fn zigzag(&mut self) -> Result<i64, Malformed> {
        let raw = self.varint()?;
        Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
    }

    #[inline]
    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(length).ok_or_else(|| Malformed::new("a length is too large"))?;
        let part =
            self.bytes.get(self.at..end).ok_or_else(|| Malformed::new("the body ends inside a value"))?;
        self.at = end;
        Ok(part)
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let part = self.take(N)?;
        part.try_into().map_err(|_| Malformed::new("the body ends inside a value"))
    }

    /// A byte string with its length in front.
    #[inline]
    pub(crate) fn sized(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.length()?;
        self.take(length)
    }

    /// A count or length.
    #[inline]
    pub(crate) fn length(&mut self) -> Result<usize, Malformed> {
        usize::try_from(self.varint()?).map_err(|_| Malformed::new("a length is too large"))
    }
}

#[inline]
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

#[inline]
pub(crate) fn put_zigzag(out: &mut Vec<u8>, value: i64) {
    put_varint(out, (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned());
}

#[inline]
pub(crate) fn put_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_a_round_trip() {
        for value in [0, 1, -1, 63, 64, -64, -65, i64::from(i32::MIN), i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            put_zigzag(&mut out, value);
            let mut cursor = Cursor::new(&out);
            assert_eq!(cursor.zigzag(), Ok(value));
            assert!(cursor.is_at_end());
        }
    }

    #[test]
    fn a_number_cut_off_is_refused() {
        assert!(Cursor::new(&[0x80]).varint().is_err());
        assert!(Cursor::new(&[0x80; 11]).varint().is_err());
        assert!(Cursor::new(&[0x05, b'a']).sized().is_err());
    }
}
