//! Exact decimals: an unscaled number of 128 bits and a scale.

/// Ten to a power; none above what 128 bits hold.
pub(crate) fn power(exponent: u32) -> Option<i128> {
    10_i128.checked_pow(exponent)
}

/// The same value with another number of digits behind the point; digits that go are cut towards zero.
pub(crate) fn rescale(value: i128, from: u8, to: u8) -> Option<i128> {
    match to.checked_sub(from) {
        Some(0) => Some(value),
        Some(more) => value.checked_mul(power(more.into())?),
        None => Some(value / power((from - to).into())?),
    }
}

/// The same, rounded half away from zero.
pub(crate) fn rescale_rounded(value: i128, from: u8, to: u8) -> Option<i128> {
    if to >= from {
        return rescale(value, from, to);
    }
    let one = power((from - to).into())?;
    let (whole, rest) = (value / one, value % one);
    Some(whole + if rest.unsigned_abs() * 2 >= one.unsigned_abs() { value.signum() } else { 0 })
}

/// Rounds to so many digits behind the point (before it, when negative), half away from zero; the scale stays.
pub(crate) fn round_half_up(value: i128, scale: u8, digits: i32) -> Option<i128> {
    let gone = i32::from(scale) - digits;
    let Ok(gone) = u32::try_from(gone) else { return Some(value) };
    if gone == 0 {
        return Some(value);
    }
    let Some(one) = power(gone) else { return Some(0) };
    let (whole, rest) = (value / one, value % one);
    let up = if rest.unsigned_abs() * 2 >= one.unsigned_abs() { value.signum() } else { 0 };
    (whole + up).checked_mul(one)
}

/// Reads digits with a sign, a point and an exponent; blanks around them do not count. Value and scale; none for what is no
/// number, or has more digits than 128 bits hold.
pub(crate) fn parse(text: &str) -> Option<(i128, u8)> {
    let text = text.trim();
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            (mantissa, exponent.strip_prefix('+').unwrap_or(exponent).parse::<i32>().ok()?)
        }
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value: i128 = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        let digit = digit.is_ascii_digit().then(|| i128::from(digit - b'0'))?;
        value = value.checked_mul(10)?.checked_add(digit)?;
    }
    let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    if scale < 0 {
        value = value.checked_mul(power(scale.unsigned_abs())?)?;
    }
    let value = if negative { -value } else { value };
    match u8::try_from(scale.max(0)) {
        Ok(scale @ 0..=60) => Some((value, scale)),
        // So small that nothing of it is left.
        _ => Some((0, 0)),
    }
}

/// Writes plain digits, all of the scale.
pub(crate) fn write(value: i128, scale: u8, out: &mut String) {
    use std::fmt::Write as _;
    if value < 0 {
        out.push('-');
    }
    let start = out.len();
    // Writing to a text does not fail.
    let _ = write!(out, "{:0width$}", value.unsigned_abs(), width = usize::from(scale) + 1);
    if scale > 0 {
        let point = out.len() - usize::from(scale);
        out.insert(point.max(start), '.');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_are_written() {
        for (text, want) in [
            ("12.50", Some((1250, 2))),
            (" -0.001 ", Some((-1, 3))),
            ("+7", Some((7, 0))),
            (".5", Some((5, 1))),
            ("5.", Some((5, 0))),
            ("1e3", Some((1000, 0))),
            ("1.5E-3", Some((15, 4))),
            ("", None),
            (".", None),
            ("1x", None),
            ("--1", None),
            ("99999999999999999999999999999999999999999", None),
        ] {
            assert_eq!(parse(text), want, "{text}");
        }
        for text in ["0.05", "-0.05", "123", "-1.000"] {
            let (value, scale) = parse(text).expect(text);
            let mut out = String::new();
            write(value, scale, &mut out);
            assert_eq!(out, text);
        }
    }

    #[test]
    fn halves_go_away_from_zero() {
        assert_eq!(round_half_up(1250, 2, 1), Some(1250));
        assert_eq!(round_half_up(1255, 2, 1), Some(1260));
        assert_eq!(round_half_up(-1255, 2, 1), Some(-1260));
        assert_eq!(round_half_up(155, 0, -1), Some(160));
        assert_eq!(round_half_up(155, 0, -40), Some(0));
        assert_eq!(rescale_rounded(-15, 1, 0), Some(-2));
        assert_eq!(rescale(-15, 1, 0), Some(-1));
    }
}
