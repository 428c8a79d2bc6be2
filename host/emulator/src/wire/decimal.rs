//! Decimal text, as records carry it.

/// A decimal number: `unscaled / 10^scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal {
    pub(crate) unscaled: i128,
    pub(crate) scale: u32,
}

/// Exponents beyond this cannot belong to 38 digits and would only cost time.
const MAX_EXPONENT: i32 = 100;

impl Decimal {
    /// Reads `-12.50`, also with an exponent (`1E-18`, which one client writes). `None` when it is not a
    /// number or has more than 38 significant digits.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let (negative, digits) = match text.first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match digits.iter().position(|b| matches!(b, b'e' | b'E')) {
            None => (digits, 0),
            Some(at) => (&digits[..at], parse_exponent(&digits[at + 1..])?),
        };
        let mut unscaled = 0i128;
        let mut fraction = 0i32;
        let mut point = false;
        let mut any = false;
        for &byte in mantissa {
            match byte {
                b'.' if !point => point = true,
                b'0'..=b'9' => {
                    any = true;
                    unscaled = unscaled.checked_mul(10)?.checked_add(i128::from(byte - b'0'))?;
                    fraction += i32::from(point);
                }
                _ => return None,
            }
        }
        if !any {
            return None;
        }
        let signed = if negative { -unscaled } else { unscaled };
        Self { unscaled: signed, scale: 0 }.shifted(fraction - exponent)
    }

    /// The same digits with the point moved `places` to the left.
    fn shifted(self, places: i32) -> Option<Self> {
        match u32::try_from(places) {
            Ok(scale) => Some(Self { scale, ..self }),
            Err(_) if self.unscaled == 0 => Some(Self { unscaled: 0, scale: 0 }),
            Err(_) => {
                let factor = 10i128.checked_pow(places.unsigned_abs())?;
                Some(Self { unscaled: self.unscaled.checked_mul(factor)?, scale: 0 })
            }
        }
    }

    /// The unscaled number at another scale, rounding half up in magnitude. `None` on overflow.
    pub(crate) fn at_scale(self, scale: u32) -> Option<i128> {
        if self.unscaled == 0 {
            return Some(0);
        }
        if scale >= self.scale {
            return self.unscaled.checked_mul(10i128.checked_pow(scale - self.scale)?);
        }
        let Some(divisor) = 10i128.checked_pow(self.scale - scale) else { return Some(0) };
        let half = divisor / 2;
        let rounded = self.unscaled.unsigned_abs().checked_add(half.unsigned_abs())? / divisor.unsigned_abs();
        let magnitude = i128::try_from(rounded).ok()?;
        Some(if self.unscaled < 0 { -magnitude } else { magnitude })
    }

    /// Whether the number fits `precision` and `scale` without losing a digit.
    pub(crate) fn fits(self, precision: u8, scale: u8) -> bool {
        let Some(unscaled) = self.at_scale(scale.into()) else { return false };
        let exact = match self.scale.checked_sub(scale.into()) {
            None | Some(0) => true,
            Some(extra) => {
                10i128.checked_pow(extra).map_or(self.unscaled == 0, |divisor| self.unscaled % divisor == 0)
            }
        };
        let limit = 10u128.checked_pow(precision.into()).unwrap_or(u128::MAX);
        exact && unscaled.unsigned_abs() < limit
    }

    /// Plain notation, never an exponent.
    pub(crate) fn plain(self) -> String {
        let sign = if self.unscaled < 0 { "-" } else { "" };
        let digits = self.unscaled.unsigned_abs().to_string();
        let scale = usize::try_from(self.scale).unwrap_or(usize::MAX);
        if scale == 0 {
            return format!("{sign}{digits}");
        }
        let padded = format!("{digits:0>width$}", width = scale.saturating_add(1));
        let (whole, fraction) = padded.split_at(padded.len() - scale);
        format!("{sign}{whole}.{fraction}")
    }

    /// Orders two numbers by value.
    pub(crate) fn compare(self, other: Self) -> std::cmp::Ordering {
        let scale = self.scale.max(other.scale);
        match (self.at_scale(scale), other.at_scale(scale)) {
            (Some(a), Some(b)) => a.cmp(&b),
            // One of them overflows at the common scale; 53 bits tell numbers that far apart.
            _ => self.to_f64().total_cmp(&other.to_f64()),
        }
    }

    /// The nearest double.
    pub(crate) fn to_f64(self) -> f64 {
        self.plain().parse().unwrap_or(f64::NAN)
    }
}

fn parse_exponent(text: &[u8]) -> Option<i32> {
    let exponent: i32 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (exponent.abs() <= MAX_EXPONENT).then_some(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn exponents_mean_the_same_as_plain_notation() {
        for (text, plain) in [
            ("1E-18", "0.000000000000000001"),
            ("0E-18", "0.000000000000000000"),
            ("-1.5e2", "-150"),
            ("7", "7"),
        ] {
            assert_eq!(decimal(text).plain(), plain, "{text}");
        }
        for text in ["", "-", ".", "1.2.3", "1e", "abc", "1e999"] {
            assert_eq!(Decimal::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_number_fits_only_without_loss() {
        let cases = [
            ("99.99", 4, 2, true),
            ("100", 4, 2, false),
            ("1.230", 4, 2, true),
            ("1.234", 4, 2, false),
            ("0E-18", 10, 2, true),
        ];
        for (text, precision, scale, want) in cases {
            assert_eq!(decimal(text).fits(precision, scale), want, "{text}");
        }
    }

    #[test]
    fn rounding_is_half_up_in_magnitude() {
        assert_eq!(decimal("1.25").at_scale(1), Some(13));
        assert_eq!(decimal("-1.25").at_scale(1), Some(-13));
        assert_eq!(decimal("-1.24").at_scale(1), Some(-12));
    }
}
