//! The calendar as plain numbers: days since 1970-01-01, microseconds of a day.
//!
//! The Gregorian calendar is extended before its introduction, as MySQL does. Years go from -9999 to 9999 and further, as
//! long as their microseconds fit into 64 bits.

/// Microseconds of a day.
pub(crate) const DAY: i64 = 86_400_000_000;
/// Microseconds of a second.
pub(crate) const SECOND: i64 = 1_000_000;

/// A day of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Date {
    pub year: i64,
    /// From 1.
    pub month: i64,
    /// From 1.
    pub day: i64,
}

/// A wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clock {
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
    pub micros: i64,
}

pub(crate) fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

pub(crate) fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01; none where there is no such day.
pub(crate) fn days_of(date: Date) -> Option<i64> {
    let Date { year, month, day } = date;
    if !(-99_999..=99_999).contains(&year)
        || !(1..=12).contains(&month)
        || day < 1
        || day > days_in(year, month)
    {
        return None;
    }
    Some(days_of_month(year, month) + day - 1)
}

/// Days since 1970-01-01 of a month's first day. Years that begin in March put the leap day last; 400 of them repeat.
fn days_of_month(year: i64, month: i64) -> i64 {
    let shifted = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The day of the calendar.
pub(crate) fn date_of(days: i64) -> Date {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    Date { year, month, day: day_of_year - (153 * from_march + 2) / 5 + 1 }
}

/// Day and wall clock of microseconds since 1970-01-01T00:00:00.
pub(crate) fn split(micros: i64) -> (i64, Clock) {
    (micros.div_euclid(DAY), clock_of(micros.rem_euclid(DAY)))
}

pub(crate) fn clock_of(micros: i64) -> Clock {
    let seconds = micros / SECOND;
    Clock { hour: seconds / 3600, minute: seconds / 60 % 60, second: seconds % 60, micros: micros % SECOND }
}

/// Microseconds of a wall clock; none where there is no such.
pub(crate) fn micros_of(clock: Clock) -> Option<i64> {
    let Clock { hour, minute, second, micros } = clock;
    let fits = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..60).contains(&second);
    (fits && (0..SECOND).contains(&micros)).then_some(((hour * 60 + minute) * 60 + second) * SECOND + micros)
}

/// Monday is 1.
pub(crate) fn weekday(days: i64) -> i64 {
    (days + 3).rem_euclid(7) + 1
}

/// From 1.
pub(crate) fn day_of_year(days: i64) -> i64 {
    days - days_of_month(date_of(days).year, 1) + 1
}

/// Year and week of ISO 8601.
pub(crate) fn iso_week(days: i64) -> (i64, i64) {
    let thursday = days - weekday(days) + 4;
    (date_of(thursday).year, (day_of_year(thursday) - 1) / 7 + 1)
}

/// The same day so many months later, or the month's last.
pub(crate) fn add_months(days: i64, months: i64) -> Option<i64> {
    let Date { year, month, day } = date_of(days);
    let count = (year * 12 + month - 1).checked_add(months)?;
    let (year, month) = (count.div_euclid(12), count.rem_euclid(12) + 1);
    days_of(Date { year, month, day: day.min(days_in(year, month)) })
}

/// `yyyy-MM-dd`.
pub(crate) fn write_date(days: i64, out: &mut String) {
    let Date { year, month, day } = date_of(days);
    write_year(year, out);
    out.push('-');
    pad(month, 2, out);
    out.push('-');
    pad(day, 2, out);
}

/// Four digits at least.
pub(crate) fn write_year(year: i64, out: &mut String) {
    if year < 0 {
        out.push('-');
    }
    pad(year.abs(), 4, out);
}

/// `HH:mm:ss` with so many digits of fraction; hours may be more than 24, as of a span.
pub(crate) fn write_clock(micros: i64, fraction: u8, out: &mut String) {
    if micros < 0 {
        out.push('-');
    }
    let Clock { hour, minute, second, micros } = clock_of(micros.saturating_abs());
    pad(hour, 2, out);
    out.push(':');
    pad(minute, 2, out);
    out.push(':');
    pad(second, 2, out);
    write_fraction(micros, fraction, out);
}

/// A point and so many digits; nothing without digits.
fn write_fraction(micros: i64, fraction: u8, out: &mut String) {
    if fraction > 0 {
        out.push('.');
        let digits = fraction.min(6);
        pad(micros / 10_i64.pow(6 - u32::from(digits)), usize::from(digits), out);
    }
}

/// A number with zeros before it.
pub(crate) fn pad(number: i64, width: usize, out: &mut String) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    let mut rest = number.unsigned_abs();
    while rest > 0 || digits.len() - at < width.min(20) {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
    out.extend(digits[at..].iter().map(|digit| char::from(*digit)));
}

/// Reads `yyyy-MM-dd`; a month and a day may have one digit.
pub(crate) fn read_date(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, '-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if year.len() != 4 || month.len() > 2 || day.len() > 2 {
        return None;
    }
    days_of(Date { year: number(year)?, month: number(month)?, day: number(day)? })
}

/// Reads `HH:mm[:ss[.ffffff]]`; digits behind the sixth are cut.
pub(crate) fn read_clock(text: &str) -> Option<i64> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = clock.split(':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next());
    let two = |t: &str| (1..=2).contains(&t.len());
    if parts.next().is_some() || !two(hour) || !two(minute) || second.is_some_and(|s| !two(s)) {
        return None;
    }
    if second.is_none() && text.contains('.') || (text.ends_with('.') || fraction.len() > 9) {
        return None;
    }
    let micros = match fraction {
        "" => 0,
        digits => number(format!("{digits:0<6}").get(..6)?)?,
    };
    micros_of(Clock {
        hour: number(hour)?,
        minute: number(minute)?,
        second: number(second.unwrap_or("0"))?,
        micros,
    })
}

/// Reads a day and a wall clock with a blank or `T` between them; the clock may be left out.
pub(crate) fn read_timestamp(text: &str) -> Option<i64> {
    let (date, clock) = text.split_once(['T', ' ']).unwrap_or((text, "00:00"));
    read_date(date)?.checked_mul(DAY)?.checked_add(read_clock(clock)?)
}

/// Digits and nothing else.
fn number(text: &str) -> Option<i64> {
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_inverse() {
        let mut days = days_of(Date { year: -1, month: 1, day: 1 }).expect("a day");
        let last = days_of(Date { year: 10_000, month: 1, day: 1 }).expect("a day");
        assert_eq!(days_of(Date { year: 1970, month: 1, day: 1 }), Some(0));
        while days < last {
            assert_eq!(days_of(date_of(days)), Some(days));
            days += 13;
        }
        assert_eq!(days_of(Date { year: 2023, month: 2, day: 29 }), None);
    }

    #[test]
    fn weeks_are_those_of_iso_8601() {
        for (text, want) in [
            ("2021-01-03", (2020, 53)),
            ("2021-01-04", (2021, 1)),
            ("2019-12-30", (2020, 1)),
            ("2026-11-25", (2026, 48)),
        ] {
            assert_eq!(iso_week(read_date(text).expect(text)), want, "{text}");
        }
        assert_eq!(weekday(read_date("2026-11-25").expect("a day")), 3);
        assert_eq!(day_of_year(read_date("2024-12-31").expect("a day")), 366);
    }

    #[test]
    fn months_end_where_they_end() {
        let add = |text: &str, months| {
            let mut out = String::new();
            write_date(add_months(read_date(text).expect(text), months).expect("a day"), &mut out);
            out
        };
        assert_eq!(add("2024-01-31", 1), "2024-02-29");
        assert_eq!(add("2024-03-31", -1), "2024-02-29");
        assert_eq!(add("2023-11-30", 15), "2025-02-28");
    }

    #[test]
    fn texts_are_read_as_they_are_written() {
        for text in ["1970-01-01 00:00:00", "2024-02-29T23:59:59.000001", "0001-01-01 00:00"] {
            let micros = read_timestamp(text).expect(text);
            let (days, _) = split(micros);
            let mut out = String::new();
            write_date(days, &mut out);
            assert!(text.starts_with(&out), "{text}: {out}");
        }
        for text in ["2024-13-01", "24-01-01", "2024-01-01 24:00:00", "2024-01-01 1:2:3.", "2024-01-01x", ""]
        {
            assert_eq!(read_timestamp(text), None, "{text}");
        }
        assert_eq!(read_clock("12:30:15.1234567"), read_clock("12:30:15.123456"));
    }
}
