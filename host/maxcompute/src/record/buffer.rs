//! A growing buffer for many short pieces.
//!
//! `Vec::extend_from_slice` costs a call of `memcpy` for each piece, which for a few bytes takes longer than all else
//! that encoding does. Here the buffer is kept larger than what is in it, so that a piece can be written as a block of
//! fixed size, which is one store, of which only the beginning counts.

/// Room that is kept behind what was written, for one block.
const BLOCK: usize = 16;

/// What was written is `bytes[..end]`; behind it is room.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    end: usize,
}

impl Buffer {
    pub(super) fn clear(&mut self) {
        self.end = 0;
    }

    pub(super) fn written(&self) -> &[u8] {
        &self.bytes[..self.end]
    }

    /// Writes the low `length` bytes of a block; `length` is at most 16.
    #[inline]
    pub(super) fn block(&mut self, block: u128, length: usize) {
        self.room(BLOCK);
        self.bytes[self.end..self.end + BLOCK].copy_from_slice(&block.to_le_bytes());
        self.end += length;
    }

    /// Writes bytes. Short ones are written by two blocks that overlap in the middle.
    #[inline]
    pub(super) fn slice(&mut self, bytes: &[u8]) {
        self.room(bytes.len());
        let place = &mut self.bytes[self.end..self.end + bytes.len()];
        let copied = overlapping::<16>(place, bytes)
            || overlapping::<8>(place, bytes)
            || overlapping::<4>(place, bytes)
            || bytewise(place, bytes);
        if !copied {
            place.copy_from_slice(bytes);
        }
        self.end += bytes.len();
    }

    #[inline]
    fn room(&mut self, length: usize) {
        if self.bytes.len() - self.end < length {
            self.grow(length);
        }
    }

    #[cold]
    fn grow(&mut self, length: usize) {
        let wanted = (self.end + length + BLOCK).max(self.bytes.len() * 2);
        self.bytes.resize(wanted, 0);
    }
}

/// Copies between `N` and `2 * N` bytes; says whether it did.
#[inline]
fn overlapping<const N: usize>(place: &mut [u8], bytes: &[u8]) -> bool {
    if bytes.len() > 2 * N {
        return false;
    }
    let (Some(first), Some(last)) = (bytes.first_chunk::<N>(), bytes.last_chunk::<N>()) else { return false };
    if let Some(begin) = place.first_chunk_mut::<N>() {
        *begin = *first;
    }
    if let Some(end) = place.last_chunk_mut::<N>() {
        *end = *last;
    }
    true
}

/// Copies up to three bytes; says whether it did.
#[inline]
fn bytewise(place: &mut [u8], bytes: &[u8]) -> bool {
    if bytes.len() > 3 {
        return false;
    }
    for (place, byte) in place.iter_mut().zip(bytes) {
        *place = *byte;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_all_lengths_lie_behind_each_other() {
        let mut buffer = Buffer::default();
        for _ in 0..2 {
            buffer.clear();
            let mut want = Vec::new();
            for length in 0..70_u8 {
                let piece: Vec<u8> = (0..length).map(|byte| byte.wrapping_mul(7) ^ length).collect();
                buffer.slice(&piece);
                want.extend_from_slice(&piece);
                let used = usize::from(length % 17);
                let block = (u128::MAX / 3).wrapping_mul(u128::from(length));
                buffer.block(block, used);
                want.extend_from_slice(&block.to_le_bytes()[..used]);
            }
            assert_eq!(buffer.written(), want);
        }
    }
}
