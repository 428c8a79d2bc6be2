//! Numbers in groups of seven bits, lowest first, the top bit of a byte saying that another one follows.

/// From this number on the quick way does not reach.
const QUICK: u64 = 1 << 56;
/// The top bit of every byte.
const CONTINUES: u64 = 0x8080_8080_8080_8080;

/// A varint's bytes, the first one lowest, and how many there are: up to ten.
#[inline]
pub(super) fn varint(value: u64) -> (u128, usize) {
    if value < QUICK { quick(value) } else { slow(value) }
}

/// Spreads 56 bits over eight bytes in three steps: halves, quarters, eighths move apart.
#[inline]
fn quick(value: u64) -> (u128, usize) {
    let bits = u64::BITS - (value | 1).leading_zeros();
    let length = bits.div_ceil(7);
    let halves = (value & 0x0FFF_FFFF) | ((value & 0x00FF_FFFF_F000_0000) << 4);
    let quarters = (halves & 0x0000_3FFF_0000_3FFF) | ((halves & 0x0FFF_C000_0FFF_C000) << 2);
    let eighths = (quarters & 0x007F_007F_007F_007F) | ((quarters & 0x3F80_3F80_3F80_3F80) << 1);
    let continued = CONTINUES & ((1 << (8 * (length - 1))) - 1);
    (u128::from(eighths | continued), count(length))
}

#[cold]
fn slow(mut value: u64) -> (u128, usize) {
    let mut bytes = 0;
    let mut length = 0;
    while value >= 0x80 {
        bytes |= u128::from((value & 0x7F) | 0x80) << (8 * length);
        length += 1;
        value >>= 7;
    }
    (bytes | (u128::from(value) << (8 * length)), count(length + 1))
}

fn count(length: u32) -> usize {
    // At most ten.
    usize::try_from(length).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quick_way_and_the_slow_way_agree() {
        let mut values = vec![0, 1, u64::MAX];
        for bit in 0..64 {
            values.extend([1 << bit, (1 << bit) - 1, u64::MAX >> bit, 0x5555_5555_5555_5555 >> bit]);
        }
        for value in values {
            assert_eq!(varint(value), slow(value), "{value:#x}");
        }
        assert_eq!(varint(300), (0x02AC, 2));
        assert_eq!(varint(u64::MAX).1, 10);
    }
}
