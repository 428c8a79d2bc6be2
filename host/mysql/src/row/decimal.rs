//! `DECIMAL` as row images and JSON documents hold it: groups of nine digits in four bytes, the first group of the
//! integer part and the last of the fraction in as few bytes as their digits need, most significant first. The first bit is
//! flipped, and all bits of a negative value. Source: MySQL's `strings/decimal.cc` as its documentation tells it.

/// Bytes that hold so many digits, 0 to 9.
const GROUP_BYTES: [u8; 10] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];
/// Columns have at most 65 digits, but a JSON document keeps the nine groups that the server calculates with.
const DIGITS_MAX: u8 = 81;
/// Digits that four bytes hold.
const GROUP_DIGITS: u8 = 9;

/// Ten to the power of a group's digits.
const UNITS: [i64; 10] =
    [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000];

/// One group of digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Group {
    bytes: u8,
    digits: u8,
}

/// How the values of one `DECIMAL(precision, scale)` are packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DecimalShape {
    groups: Vec<Group>,
    /// Groups of the integer part.
    integer_groups: usize,
    length: usize,
    scale: u8,
}

impl DecimalShape {
    /// None when the server cannot have such a type.
    pub(crate) fn new(precision: u8, scale: u8) -> Option<Self> {
        if precision == 0 || precision > DIGITS_MAX || scale > precision || scale > 38 {
            return None;
        }
        let integer = precision - scale;
        let mut groups = Vec::new();
        let partial = |digits: u8| Group { bytes: GROUP_BYTES[usize::from(digits)], digits };
        let full = Group { bytes: 4, digits: GROUP_DIGITS };
        if !integer.is_multiple_of(GROUP_DIGITS) {
            groups.push(partial(integer % GROUP_DIGITS));
        }
        groups.extend((0..integer / GROUP_DIGITS).map(|_| full));
        let integer_groups = groups.len();
        groups.extend((0..scale / GROUP_DIGITS).map(|_| full));
        if !scale.is_multiple_of(GROUP_DIGITS) {
            groups.push(partial(scale % GROUP_DIGITS));
        }
        let length = groups.iter().map(|g| usize::from(g.bytes)).sum();
        Some(Self { groups, integer_groups, length, scale })
    }

    /// Bytes of a packed value.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// The groups' numbers in order, and whether the value is negative. None when `packed` is not `length` bytes.
    fn numbers<'a>(&'a self, packed: &'a [u8]) -> Option<(bool, impl Iterator<Item = (u32, u8)> + 'a)> {
        let first = *packed.first().filter(|_| packed.len() == self.length)?;
        let negative = first & 0x80 == 0;
        let flip = if negative { 0xff } else { 0 };
        let mut at = 0;
        let numbers = self.groups.iter().map(move |group| {
            let end = at + usize::from(group.bytes);
            let mut number = 0_u32;
            for (place, byte) in packed[at..end].iter().enumerate() {
                let byte = if at + place == 0 { byte ^ 0x80 } else { *byte };
                number = number << 8 | u32::from(byte ^ flip);
            }
            at = end;
            (number, group.digits)
        });
        Some((negative, numbers))
    }

    /// The value without its point, for precisions to 18. None when `packed` is no such value.
    pub(crate) fn unscaled_i64(&self, packed: &[u8]) -> Option<i64> {
        let (negative, numbers) = self.numbers(packed)?;
        let mut value = 0_i64;
        for (number, digits) in numbers {
            let unit = *UNITS.get(usize::from(digits))?;
            value = value.checked_mul(unit)?.checked_add(i64::from(number))?;
        }
        Some(if negative { -value } else { value })
    }

    /// The value without its point, for precisions to 38. None when `packed` is no such value.
    pub(crate) fn unscaled_i128(&self, packed: &[u8]) -> Option<i128> {
        let (negative, numbers) = self.numbers(packed)?;
        let mut value = 0_i128;
        for (number, digits) in numbers {
            value = value.checked_mul(10_i128.pow(u32::from(digits)))?.checked_add(i128::from(number))?;
        }
        Some(if negative { -value } else { value })
    }

    /// Writes the value as the server prints it, `-12.50`, always with all digits of its scale. False when `packed` is
    /// no such value.
    pub(crate) fn write_text(&self, packed: &[u8], out: &mut Vec<u8>) -> bool {
        let Some((negative, numbers)) = self.numbers(packed) else { return false };
        if negative {
            out.push(b'-');
        }
        let integer_start = out.len();
        for (place, (number, digits)) in numbers.enumerate() {
            if place == self.integer_groups {
                self.end_integer(out, integer_start);
            }
            let started = out.len() > integer_start;
            if started || number > 0 || place >= self.integer_groups {
                let padded = started || place >= self.integer_groups;
                push_number(out, number, if padded { digits } else { 1 });
            }
        }
        if self.integer_groups == self.groups.len() && out.len() == integer_start {
            out.push(b'0');
        }
        true
    }

    fn end_integer(&self, out: &mut Vec<u8>, start: usize) {
        if out.len() == start {
            out.push(b'0');
        }
        if self.scale > 0 {
            out.push(b'.');
        }
    }
}

/// Appends a number of at most nine digits, with leading zeros to `width`.
fn push_number(out: &mut Vec<u8>, number: u32, width: u8) {
    let mut digits = [b'0'; 10];
    let (mut at, mut rest) = (digits.len(), number);
    while rest > 0 {
        at -= 1;
        // A remainder of ten is one digit.
        digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
    let first = at.min(digits.len() - usize::from(width.min(10)));
    out.extend_from_slice(&digits[first..]);
}

/// Reads `-12.5` as a number of units of the last of `scale` digits. None when it is not a plain decimal, has more
/// digits behind the point than `scale`, or does not fit.
pub(crate) fn parse_unscaled(text: &str, scale: u8) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (integer, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let missing = usize::from(scale).checked_sub(fraction.len())?;
    let mut value = 0_i128;
    let mut seen = false;
    for digit in integer.bytes().chain(fraction.bytes()) {
        let digit = digit.is_ascii_digit().then(|| i128::from(digit - b'0'))?;
        value = value.checked_mul(10)?.checked_add(digit)?;
        seen = true;
    }
    let value = value.checked_mul(10_i128.checked_pow(u32::try_from(missing).ok()?)?)?;
    seen.then_some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_as_long_as_its_digits_need() {
        for (precision, scale, bytes) in
            [(1, 0, 1), (10, 2, 5), (14, 4, 7), (18, 9, 8), (65, 30, 30), (38, 38, 17)]
        {
            assert_eq!(
                DecimalShape::new(precision, scale).map(|s| s.length()),
                Some(bytes),
                "({precision},{scale})"
            );
        }
        assert!(DecimalShape::new(82, 0).is_none() && DecimalShape::new(5, 6).is_none());
    }

    /// 1234567890.1234 and its negative as MySQL's documentation of the format shows them.
    #[test]
    fn the_documented_example_reads_in_all_forms() {
        let shape = DecimalShape::new(14, 4).expect("a shape");
        let positive = [0x81, 0x0d, 0xfb, 0x38, 0xd2, 0x04, 0xd2];
        let negative = [0x7e, 0xf2, 0x04, 0xc7, 0x2d, 0xfb, 0x2d];
        for (packed, text, unscaled) in [
            (positive, "1234567890.1234", 12_345_678_901_234),
            (negative, "-1234567890.1234", -12_345_678_901_234),
        ] {
            let mut out = Vec::new();
            assert!(shape.write_text(&packed, &mut out));
            assert_eq!(String::from_utf8_lossy(&out), text);
            assert_eq!(shape.unscaled_i64(&packed), Some(unscaled));
            assert_eq!(shape.unscaled_i128(&packed), Some(i128::from(unscaled)));
            assert_eq!(parse_unscaled(text, 4), Some(i128::from(unscaled)));
        }
        assert_eq!(shape.unscaled_i64(&positive[..6]), None);
    }

    #[test]
    fn zeros_keep_their_places() {
        for (precision, scale, packed, text) in [
            (3, 0, &[0x80, 0x00][..], "0"),
            (3, 3, &[0x80, 0x05], "0.005"),
            (20, 10, &[0x80, 0, 0, 0, 0, 0, 0, 0, 7, 9], "0.0000000079"),
            (10, 0, &[0x81, 0, 0, 0, 0], "1000000000"),
        ] {
            let shape = DecimalShape::new(precision, scale).expect("a shape");
            let mut out = Vec::new();
            assert!(shape.write_text(packed, &mut out), "{text}");
            assert_eq!(String::from_utf8_lossy(&out), text);
        }
    }

    #[test]
    fn what_is_not_a_decimal_of_the_scale_is_none() {
        for text in ["", "-", ".", "1e5", "1.234", "x", "1.2.3"] {
            assert_eq!(parse_unscaled(text, 2), None, "{text}");
        }
        assert_eq!(parse_unscaled("1.2", 2), Some(120));
        assert_eq!(parse_unscaled("-0.05", 2), Some(-5));
    }
}
