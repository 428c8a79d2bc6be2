//! Dates and times of row images as plain numbers.
//!
//! A date with a zero or impossible part (`0000-00-00`, `2024-02-00`, `2024-02-31`) is a real value at the source and none
//! in the pipeline: the functions here answer `None`, and the column gets null and counts it. Layouts: MySQL's
//! documentation of the binary log and of the packed temporal types since 5.6.4; the older types are those of tables
//! that were made before.

/// Microseconds of a day.
const DAY_MICROS: i64 = 86_400_000_000;

/// Days from 1970-01-01 to a day of the Gregorian calendar, extended before its introduction as MySQL does.
#[inline]
pub(crate) fn days_of(year: i64, month: i64, day: i64) -> Option<i64> {
    // The old forms hold any number; years that no server has would not fit into microseconds either.
    if !(0..=9999).contains(&year) || !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
        return None;
    }
    // Years that begin in March put the leap day last; 400 of them repeat. One cycle is added, so that no number is
    // negative and unsigned divisions by constants do, which cost a third of signed ones.
    let (year, month, day) =
        (u32::try_from(year).ok()?, u32::try_from(month).ok()?, u32::try_from(day).ok()?);
    let shifted = year + 400 - u32::from(month <= 2);
    let (era, year_of_era) = (shifted / 400, shifted % 400);
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(i64::from(era * 146_097 + day_of_era) - 146_097 - 719_468)
}

#[inline]
fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        // Every fourth year, of the centuries only every fourth: those are the ones that 16 divides.
        2 if year & 3 == 0 && (year % 25 != 0 || year & 15 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Microseconds from 1970-01-01T00:00:00 to a wall-clock time of the same calendar.
#[inline]
pub(crate) fn micros_of(date: (i64, i64, i64), time: (i64, i64, i64), micros: i64) -> Option<i64> {
    let (hour, minute, second) = time;
    if hour > 23 || minute > 59 || second > 59 || micros > 999_999 {
        return None;
    }
    Some(days_of(date.0, date.1, date.2)? * DAY_MICROS + span(hour, minute, second, micros))
}

/// Microseconds of a span.
fn span(hours: i64, minutes: i64, seconds: i64, micros: i64) -> i64 {
    ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + micros
}

/// A big-endian number of at most eight bytes; 0 for none.
#[inline]
fn big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Numbers of the formats are below 2^63.
#[inline]
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Microseconds of a fraction stored in 0 to 3 bytes: hundredths, ten-thousandths, millionths.
#[inline]
fn fraction_micros(bytes: &[u8]) -> i64 {
    let unit = match bytes.len() {
        0 => return 0,
        1 => 10_000,
        2 => 100,
        _ => 1,
    };
    signed(big_endian(bytes)) * unit
}

/// `DATE`: day 5 bits, month 4, year 15, little-endian. Days since 1970-01-01.
#[inline]
pub(crate) fn date(bytes: [u8; 3]) -> Option<i64> {
    let packed = i64::from(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]));
    days_of(packed >> 9, packed >> 5 & 15, packed & 31)
}

/// `TIME(f)`: one big-endian number with its sign as an offset, fraction included. Signed microseconds.
#[inline]
pub(crate) fn time2(bytes: &[u8]) -> i64 {
    let fraction_bytes = bytes.len().saturating_sub(3).min(3);
    let shift = 8 * fraction_bytes;
    let offset = 1_i64 << (23 + shift);
    let number = signed(big_endian(bytes)) - offset;
    let magnitude = number.abs();
    let whole = magnitude >> shift;
    let unit = [0, 10_000, 100, 1][fraction_bytes];
    let fraction = (magnitude & ((1 << shift) - 1)) * unit;
    let micros = span(whole >> 12 & 0x3ff, whole >> 6 & 0x3f, whole & 0x3f, fraction);
    if number < 0 { -micros } else { micros }
}

/// `DATETIME(f)`: 5 bytes and a fraction. Microseconds since 1970-01-01T00:00:00 of the same calendar.
#[inline]
pub(crate) fn datetime2(bytes: &[u8]) -> Option<i64> {
    let ([a, b, c, d, e], fraction) = bytes.split_first_chunk()?;
    let packed = u64::from_be_bytes([0, 0, 0, *a, *b, *c, *d, *e]);
    datetime_of_packed(packed & 0x7f_ffff_ffff, fraction_micros(fraction))
}

/// 17 bits year·13+month, 5 day, 5 hour, 6 minute, 6 second.
#[inline]
fn datetime_of_packed(packed: u64, micros: i64) -> Option<i64> {
    let part = |shift: u32, bits: u32| signed(packed >> shift & ((1 << bits) - 1));
    let year_month = part(22, 17);
    let date = (year_month / 13, year_month % 13, part(17, 5));
    micros_of(date, (part(12, 5), part(6, 6), part(0, 6)), micros)
}

/// `TIMESTAMP(f)`: 4 bytes of seconds, unsigned to 2106, and a fraction. Microseconds of UTC; none for the zero date.
#[inline]
pub(crate) fn timestamp2(bytes: &[u8]) -> Option<i64> {
    let (whole, fraction) = bytes.split_first_chunk()?;
    match u32::from_be_bytes(*whole) {
        0 => None,
        seconds => Some(i64::from(seconds) * 1_000_000 + fraction_micros(fraction)),
    }
}

/// `TIME` of tables older than 5.6.4: digits `hhmmss` as a signed little-endian number.
pub(crate) fn old_time(bytes: [u8; 3]) -> i64 {
    let number = i64::from(i32::from_le_bytes([0, bytes[0], bytes[1], bytes[2]]) >> 8);
    let digits = number.abs();
    let micros = span(digits / 10_000, digits / 100 % 100, digits % 100, 0);
    if number < 0 { -micros } else { micros }
}

/// `DATETIME` of tables older than 5.6.4: digits `YYYYMMDDhhmmss`.
pub(crate) fn old_datetime(bytes: [u8; 8]) -> Option<i64> {
    let number = i64::try_from(u64::from_le_bytes(bytes)).ok()?;
    let (day, time) = (number / 1_000_000, number % 1_000_000);
    micros_of((day / 10_000, day / 100 % 100, day % 100), (time / 10_000, time / 100 % 100, time % 100), 0)
}

/// `TIMESTAMP` of tables older than 5.6.4: seconds, little-endian.
pub(crate) fn old_timestamp(bytes: [u8; 4]) -> Option<i64> {
    match u32::from_le_bytes(bytes) {
        0 => None,
        seconds => Some(i64::from(seconds) * 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_count_from_1970() {
        for (date, days) in [
            ((1970, 1, 1), Some(0)),
            ((1969, 12, 31), Some(-1)),
            ((2000, 2, 29), Some(11_016)),
            ((9999, 12, 31), Some(2_932_896)),
            ((1, 1, 1), Some(-719_162)),
            ((0, 1, 1), Some(-719_528)),
            ((0, 0, 0), None),
            ((2024, 2, 0), None),
            ((2024, 0, 5), None),
            ((2024, 2, 30), None),
            ((1900, 2, 29), None),
            ((2024, 13, 1), None),
        ] {
            assert_eq!(days_of(date.0, date.1, date.2), days, "{date:?}");
        }
    }

    #[test]
    fn every_day_of_the_calendar_follows_the_one_before() {
        let mut last = days_of(0, 1, 1).expect("a day") - 1;
        for year in 0..=9999 {
            for month in 1..=12 {
                for day in 1..=days_in(year, month) {
                    let days = days_of(year, month, day).expect("a day");
                    assert_eq!(days, last + 1, "{year}-{month}-{day}");
                    last = days;
                }
            }
        }
    }

    #[test]
    fn times_keep_their_sign_in_the_fraction() {
        for (bytes, micros) in [
            (&[0x80, 0, 0][..], 0),
            (&[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff], -1),
            (&[0x7f, 0xff, 0xff, 0xff, 0xf6], -1_000),
            (&[0xb4, 0x6e, 0xfb], (838 * 3600 + 59 * 60 + 59) * 1_000_000),
            (&[0x4b, 0x91, 0x05], -(838 * 3600 + 59 * 60 + 59) * 1_000_000),
            (&[0x80, 0, 1, 50], 1_500_000),
        ] {
            assert_eq!(time2(bytes), micros, "{bytes:?}");
        }
    }

    #[test]
    fn old_forms_are_digits() {
        assert_eq!(old_time([0x40, 0xe2, 0x01]), ((12 * 60 + 34) * 60 + 56) * 1_000_000);
        assert_eq!(old_datetime(20_240_229_123_456_u64.to_le_bytes()), datetime_of(2024, 2, 29, 12, 34, 56));
        assert_eq!(old_datetime([0; 8]), None);
        assert_eq!(old_datetime(9_223_372_036_854_101_010_i64.to_le_bytes()), None);
        assert_eq!(old_datetime(100_000_101_000_000_i64.to_le_bytes()), None);
        assert_eq!(old_timestamp(1_u32.to_le_bytes()), Some(1_000_000));
    }

    fn datetime_of(year: i64, month: i64, day: i64, hour: i64, minute: i64, second: i64) -> Option<i64> {
        micros_of((year, month, day), (hour, minute, second), 0)
    }
}
