//! Which bucket of a Delta table a row belongs to.
//!
//! The service spreads the rows of a Delta table over buckets by a hash of the primary key, and a row must be
//! written to its own bucket. The hash of each key column is a 32-bit number; the sum of them (wrapping) is folded
//! and taken modulo the number of buckets that the session names:
//!
//! ```
//! use std::num::NonZeroU32;
//! use sluicebox_maxcompute::bucket::{self, Hasher};
//!
//! let hasher = Hasher::Default;
//! let sum = hasher.bigint(42).wrapping_add(hasher.text("a".as_bytes()));
//! let bucket = bucket::bucket_of(sum, NonZeroU32::new(16).unwrap());
//! assert!(bucket < 16);
//! ```
//!
//! A null adds nothing. Where the official clients disagree this follows the Java client (0.52.3); the disagreements
//! are in the documentation of the function.

use std::num::NonZeroU32;

/// The two families of hash functions; the session says which one its table uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hasher {
    /// `default`: a 64-bit mixing function for numbers, a one-at-a-time function for bytes.
    Default,
    /// `legacy`: halves folded together for numbers, `31 * h + byte` for bytes.
    Legacy,
}

/// Hash of `true`, the same in both families.
const TRUE: i32 = 0x172B_A9C7;
/// Hash of `false`, the same in both families.
const FALSE: i32 = -0x3A59_CB12;
/// Digits that a 64-bit decimal holds; wider ones are hashed as two halves.
const NARROW_DECIMAL_DIGITS: u32 = 18;

impl Hasher {
    /// Reads the name that a session document gives; `None` for one that this crate does not know.
    pub fn from_name(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("default") {
            Some(Self::Default)
        } else if name.eq_ignore_ascii_case("legacy") {
            Some(Self::Legacy)
        } else {
            None
        }
    }

    /// Hash of TINYINT, SMALLINT, INT and BIGINT.
    pub fn bigint(self, value: i64) -> i32 {
        match self {
            Self::Default => mix(value),
            Self::Legacy => low_half((value >> 32) ^ value),
        }
    }

    /// Hash of STRING, CHAR and VARCHAR: their UTF-8 bytes.
    pub fn text(self, bytes: &[u8]) -> i32 {
        match self {
            Self::Default => one_at_a_time(bytes.iter().copied()),
            Self::Legacy => times_31(bytes.iter().copied()),
        }
    }

    /// Hash of BINARY. The Java client hashes a quoted-printable rendering of the bytes, the Python client the bytes
    /// themselves; they agree on printable ASCII without `=`. Which one the service uses is not known, so BINARY makes
    /// a poor key.
    pub fn binary(self, bytes: &[u8]) -> i32 {
        let rendered = bytes.iter().flat_map(|byte| quoted_printable(*byte));
        match self {
            Self::Default => one_at_a_time(rendered),
            Self::Legacy => times_31(rendered),
        }
    }

    /// Hash of BOOLEAN.
    pub fn boolean(self, value: bool) -> i32 {
        if value { TRUE } else { FALSE }
    }

    /// Hash of FLOAT: its bit pattern, sign-extended. `0.0` and `-0.0` differ.
    pub fn float(self, value: f32) -> i32 {
        self.bigint(i64::from(value.to_bits().cast_signed()))
    }

    /// Hash of DOUBLE: its bit pattern. `0.0` and `-0.0` differ.
    pub fn double(self, value: f64) -> i32 {
        self.bigint(value.to_bits().cast_signed())
    }

    /// Hash of DATE, given in days since 1970-01-01.
    pub fn date(self, days: i32) -> i32 {
        self.bigint(i64::from(days) * 86_400)
    }

    /// Hash of DATETIME, given in milliseconds since the epoch.
    pub fn datetime(self, millis: i64) -> i32 {
        self.bigint(millis)
    }

    /// Hash of TIMESTAMP and TIMESTAMP_NTZ: seconds since the epoch, floored, and the nanoseconds of the second.
    pub fn timestamp(self, seconds: i64, nanos: u32) -> i32 {
        self.bigint((seconds << 30) | i64::from(nanos))
    }

    /// Hash of DECIMAL(`precision`, s): the unscaled number at the column's scale s.
    pub fn decimal(self, unscaled: i128, precision: u32) -> i32 {
        let low = low_word(unscaled);
        if precision <= NARROW_DECIMAL_DIGITS {
            self.bigint(low)
        } else {
            self.bigint(low).wrapping_add(self.bigint(low_word(unscaled >> 64)))
        }
    }
}

/// Folds the wrapping sum of the key columns' hashes into a number that is never negative as 32 bits signed.
pub const fn fold(sum: i32) -> u32 {
    (sum ^ (sum >> 8)).cast_unsigned()
}

/// The bucket of a row whose key columns' hashes add up (wrapping) to `sum`.
pub const fn bucket_of(sum: i32, buckets: NonZeroU32) -> u32 {
    fold(sum) % buckets.get()
}

/// The unscaled number of a decimal text in plain notation at `scale`, rounded half up in magnitude, as a DECIMAL
/// column of that scale stores it. `None` when the text is not such a number or does not fit 128 bits.
pub fn unscaled(text: &str, scale: u32) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let scale = usize::try_from(scale).ok()?;
    let kept = fraction.get(..scale.min(fraction.len()))?;
    let mut magnitude: i128 = 0;
    for byte in whole.bytes().chain(kept.bytes()) {
        magnitude = magnitude.checked_mul(10)?.checked_add(digit(byte)?)?;
    }
    for _ in kept.len()..scale {
        magnitude = magnitude.checked_mul(10)?;
    }
    let mut dropped = fraction.bytes().skip(scale);
    if let Some(first) = dropped.next() {
        magnitude = magnitude.checked_add(i128::from(digit(first)? >= 5))?;
    }
    for byte in dropped {
        digit(byte)?;
    }
    Some(if negative { -magnitude } else { magnitude })
}

fn digit(byte: u8) -> Option<i128> {
    byte.is_ascii_digit().then(|| i128::from(byte - b'0'))
}

/// The low 32 bits as a signed number.
const fn low_half(value: i64) -> i32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    i32::from_le_bytes([a, b, c, d])
}

/// The low 64 bits of a two's complement number as a signed number.
const fn low_word(value: i128) -> i64 {
    let [a, b, c, d, e, f, g, h, ..] = value.to_le_bytes();
    i64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// The `default` hash of 64 bits. All shifts to the right keep the sign.
const fn mix(value: i64) -> i32 {
    let mut l = (!value).wrapping_add(value << 18);
    l ^= l >> 31;
    l = l.wrapping_mul(21);
    l ^= l >> 11;
    l = l.wrapping_add(l << 6);
    l ^= l >> 22;
    low_half(l)
}

/// The `default` hash of bytes, which count as signed. All shifts to the right keep the sign.
fn one_at_a_time(bytes: impl Iterator<Item = u8>) -> i32 {
    let mut h: i32 = 0;
    for byte in bytes {
        h = h.wrapping_add(i32::from(byte.cast_signed()));
        h = h.wrapping_add(h << 10);
        h ^= h >> 6;
    }
    h = h.wrapping_add(h << 3);
    h ^= h >> 11;
    h.wrapping_add(h << 15)
}

/// The `legacy` hash of bytes, which count as signed.
fn times_31(bytes: impl Iterator<Item = u8>) -> i32 {
    bytes.fold(0, |h: i32, byte| h.wrapping_mul(31).wrapping_add(i32::from(byte.cast_signed())))
}

/// One byte in quoted-printable: itself when printable ASCII, tab or space, else `=` and two upper-case hex digits.
fn quoted_printable(byte: u8) -> impl Iterator<Item = u8> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let plain = (byte.is_ascii_graphic() && byte != b'=') || byte == b' ' || byte == b'\t';
    let (shown, length) = if plain {
        ([byte, 0, 0], 1)
    } else {
        ([b'=', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 0x0F)]], 3)
    };
    shown.into_iter().take(length)
}
