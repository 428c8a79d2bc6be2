//! Reads numbers and runs of bytes from the front of a slice. `None` means that the slice ends too early; nothing here
//! can read past it or panic.

/// What is left to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// All that is left.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    pub(crate) fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(bytes)?;
        self.rest = rest;
        Some(taken)
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*taken)
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]: [u8; 1]| byte)
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    #[inline]
    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A little-endian number of so many bytes, 8 at most.
    #[inline]
    pub(crate) fn uint(&mut self, bytes: usize) -> Option<u64> {
        let taken = self.take(bytes)?;
        let mut wide = [0; 8];
        wide.get_mut(..bytes)?.copy_from_slice(taken);
        Some(u64::from_le_bytes(wide))
    }

    /// The protocol's length-encoded number: one byte below 251, else a mark and 2, 3 or 8 bytes.
    pub(crate) fn length_encoded(&mut self) -> Option<u64> {
        match self.u8()? {
            small @ 0..=250 => Some(u64::from(small)),
            252 => self.uint(2),
            253 => self.uint(3),
            254 => self.uint(8),
            _ => None,
        }
    }

    /// Bytes behind a length-encoded length.
    pub(crate) fn length_encoded_bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.length_encoded()?).ok()?;
        self.take(length)
    }

    /// Bytes up to a zero byte, which is passed over too.
    pub(crate) fn until_zero(&mut self) -> Option<&'a [u8]> {
        let length = self.rest.iter().position(|b| *b == 0)?;
        let taken = self.take(length);
        self.take(1);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_in_order_and_never_past_the_end() {
        let mut cursor = Cursor::new(&[1, 2, 0, 252, 1, 1, 3, b'a', b'b', b'c', b'x', 0, 9]);
        assert_eq!(cursor.u8(), Some(1));
        assert_eq!(cursor.u16(), Some(2));
        assert_eq!(cursor.length_encoded(), Some(257));
        assert_eq!(cursor.length_encoded_bytes(), Some(&b"abc"[..]));
        assert_eq!(cursor.until_zero(), Some(&b"x"[..]));
        assert_eq!(cursor.u32(), None);
        assert_eq!(cursor.rest(), [9]);
        assert_eq!(cursor.uint(1), Some(9));
        assert!(cursor.is_empty());
    }
}
