//! Patterns of dates and times as Java's `SimpleDateFormat` has them: letters are fields, other characters are themselves, texts
//! in single quotes are themselves.
//!
//! Reading is lenient in what Java is lenient in: a number takes all digits that are there unless another number follows at
//! once, and what stands behind the pattern is not looked at. Unlike there, a month 13 or an hour 25 is an error and
//! not carried over. Names of months and days are English.

use crate::civil::{
    Clock, DAY, Date, SECOND, date_of, day_of_year, days_of, iso_week, micros_of, pad, split, weekday,
    write_year,
};
use crate::zone;

/// What is meant where none is written.
pub(crate) const DEFAULT_DATE: &str = "yyyy-MM-dd";
/// What is meant where none is written.
pub(crate) const DEFAULT_TIMESTAMP: &str = "yyyy-MM-dd HH:mm:ss";

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
/// Letters of a name that is cut.
const SHORT: usize = 3;

/// A pattern that was read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pattern(Vec<Part>);

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Field(char, usize),
    Literal(String),
}

/// What a text holds by a pattern.
#[derive(Debug, Default)]
pub(crate) struct Found {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    hour: Option<i64>,
    half: Option<i64>,
    minute: i64,
    second: i64,
    micros: i64,
    /// Seconds east of UTC.
    pub offset: Option<i64>,
}

/// Letters with a meaning.
const FIELDS: &str = "GyYuMLwDdEHkKhmsSaXzZ";

impl Pattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts: Vec<Part> = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            if c == '\'' {
                let mut literal = String::new();
                if chars.next_if_eq(&'\'').is_some() {
                    literal.push('\'');
                } else {
                    loop {
                        match chars.next() {
                            Some('\'') if chars.next_if_eq(&'\'').is_some() => literal.push('\''),
                            Some('\'') => break,
                            Some(c) => literal.push(c),
                            None => return Err(format!("the pattern `{text}` has a quote without an end")),
                        }
                    }
                }
                parts.push(Part::Literal(literal));
            } else if c.is_ascii_alphabetic() {
                if !FIELDS.contains(c) {
                    return Err(format!(
                        "the pattern `{text}` has `{c}`, which is no field of a date or time"
                    ));
                }
                let mut width = 1;
                while chars.next_if_eq(&c).is_some() {
                    width += 1;
                }
                parts.push(Part::Field(c, width));
            } else {
                match parts.last_mut() {
                    Some(Part::Literal(literal)) => literal.push(c),
                    _ => parts.push(Part::Literal(c.to_string())),
                }
            }
        }
        Ok(Self(parts))
    }

    /// Writes a wall clock, in microseconds since 1970-01-01T00:00:00, that is so many seconds east of UTC.
    pub fn write(&self, local: i64, offset: i64, out: &mut String) {
        let (days, clock) = split(local);
        let date = date_of(days);
        for part in &self.0 {
            match part {
                Part::Literal(literal) => out.push_str(literal),
                Part::Field(letter, width) => write_field(*letter, *width, (days, date, clock, offset), out),
            }
        }
    }

    /// Reads the beginning of a text.
    pub fn read(&self, text: &str) -> Option<Found> {
        let mut found = Found::default();
        let mut rest = text;
        for (place, part) in self.0.iter().enumerate() {
            match part {
                Part::Literal(literal) => rest = rest.strip_prefix(literal.as_str())?,
                Part::Field(letter, width) => {
                    let abuts = matches!(self.0.get(place + 1), Some(Part::Field(next, _)) if !"aEzZXG".contains(*next));
                    rest = read_field(*letter, if abuts { Some(*width) } else { None }, rest, &mut found)?;
                }
            }
        }
        Some(found)
    }
}

fn write_field(letter: char, width: usize, at: (i64, Date, Clock, i64), out: &mut String) {
    let (days, date, clock, offset) = at;
    let name = |names: &[&str], number: i64, out: &mut String| {
        let name = usize::try_from(number - 1).ok().and_then(|n| names.get(n)).copied().unwrap_or_default();
        out.push_str(if width > SHORT { name } else { &name[..SHORT.min(name.len())] });
    };
    match letter {
        'G' => out.push_str(if date.year > 0 { "AD" } else { "BC" }),
        'y' | 'u' if width == 2 => pad(date.year.rem_euclid(100), 2, out),
        'y' | 'u' if width >= 4 => write_year(date.year, out),
        'y' | 'u' => pad(date.year, width, out),
        'Y' if width == 2 => pad(iso_week(days).0.rem_euclid(100), 2, out),
        'Y' => pad(iso_week(days).0, width, out),
        'M' | 'L' if width >= SHORT => name(&MONTHS, date.month, out),
        'M' | 'L' => pad(date.month, width, out),
        'w' => pad(iso_week(days).1, width, out),
        'D' => pad(day_of_year(days), width, out),
        'd' => pad(date.day, width, out),
        'E' => name(&DAYS, weekday(days), out),
        'a' => out.push_str(if clock.hour < 12 { "AM" } else { "PM" }),
        'H' => pad(clock.hour, width, out),
        'k' => pad(if clock.hour == 0 { 24 } else { clock.hour }, width, out),
        'K' => pad(clock.hour % 12, width, out),
        'h' => pad((clock.hour + 11) % 12 + 1, width, out),
        'm' => pad(clock.minute, width, out),
        's' => pad(clock.second, width, out),
        // Java's field is milliseconds; more letters only pad it there. Here they are digits of the fraction.
        'S' if width <= 3 => pad(clock.micros / 1000, width, out),
        'S' => {
            let start = out.len();
            pad(clock.micros, 6, out);
            out.truncate(start + width.min(6));
        }
        'X' | 'Z' | 'z' => write_offset(letter, width, offset, out),
        _ => {}
    }
}

fn write_offset(letter: char, width: usize, offset: i64, out: &mut String) {
    if letter == 'X' && offset == 0 {
        out.push('Z');
        return;
    }
    if letter == 'z' {
        out.push_str(if offset == 0 { "UTC" } else { "GMT" });
        if offset == 0 {
            return;
        }
    }
    out.push(if offset < 0 { '-' } else { '+' });
    let minutes = offset.abs() / 60;
    pad(minutes / 60, 2, out);
    if letter == 'X' && width == 1 {
        return;
    }
    if letter == 'z' || (letter == 'X' && width >= 3) {
        out.push(':');
    }
    pad(minutes % 60, 2, out);
}

/// Takes a field from the text; `width`: as many digits at most.
fn read_field<'t>(letter: char, width: Option<usize>, text: &'t str, found: &mut Found) -> Option<&'t str> {
    match letter {
        'M' | 'L' => {
            if let Some((month, rest)) = read_name(&MONTHS, text) {
                found.month = Some(month);
                return Some(rest);
            }
        }
        'E' => return read_name(&DAYS, text).map(|(_, rest)| rest),
        'a' => {
            let upper = text.get(..2)?.to_ascii_uppercase();
            found.half = Some(["AM", "PM"].iter().position(|half| *half == upper)?.try_into().ok()?);
            return text.get(2..);
        }
        'G' => return text.strip_prefix("AD"),
        'X' | 'Z' | 'z' => {
            let (offset, rest) = read_offset(text)?;
            found.offset = Some(offset);
            return Some(rest);
        }
        _ => {}
    }
    let text = text.trim_start_matches(' ');
    let digits = text.bytes().take_while(u8::is_ascii_digit).take(width.unwrap_or(9).min(9)).count();
    let number: i64 = text.get(..digits)?.parse().ok()?;
    let rest = text.get(digits..)?;
    match letter {
        'y' | 'u' | 'Y' if digits == 2 => found.year = Some(if number < 70 { 2000 } else { 1900 } + number),
        'y' | 'u' | 'Y' => found.year = Some(number),
        'M' | 'L' => found.month = Some(number),
        'd' => found.day = Some(number),
        'D' => found.day_of_year = Some(number),
        'H' => found.hour = Some(number),
        'k' => found.hour = Some(if number == 24 { 0 } else { number }),
        'K' => found.hour = Some(number),
        'h' => found.hour = Some(if number == 12 { 0 } else { number }),
        'm' => found.minute = number,
        's' => found.second = number,
        'S' => found.micros = format!("{:0<6}", text.get(..digits.min(6))?).parse().ok()?,
        _ => {}
    }
    Some(rest)
}

fn read_name<'t>(names: &[&str], text: &'t str) -> Option<(i64, &'t str)> {
    names.iter().zip(1..).find_map(|(name, number)| {
        let starts =
            |length: usize| text.get(..length).is_some_and(|t| t.eq_ignore_ascii_case(&name[..length]));
        let length = [name.len(), SHORT].into_iter().find(|length| starts(*length))?;
        Some((number, text.get(length..)?))
    })
}

/// `Z`, `UTC`, `GMT[±hh:mm]`, `±hh`, `±hhmm`, `±hh:mm`.
fn read_offset(text: &str) -> Option<(i64, &str)> {
    let named = ["UTC", "GMT", "Z"].iter().find_map(|name| text.strip_prefix(name));
    let text = named.unwrap_or(text);
    if !text.starts_with(['+', '-']) {
        return named.map(|rest| (0, rest));
    }
    let end = text[1..].find(|c: char| !c.is_ascii_digit() && c != ':').map_or(text.len(), |end| end + 1);
    Some((zone::offset(&text[..end])?, &text[end..]))
}

impl Found {
    /// Days since 1970-01-01.
    pub fn days(&self) -> Option<i64> {
        let year = self.year.unwrap_or(1970);
        if let Some(day) = self.day_of_year {
            let last = if crate::civil::is_leap(year) { 366 } else { 365 };
            let first = days_of(Date { year, month: 1, day: 1 })?;
            return (1..=last).contains(&day).then_some(first + day - 1);
        }
        days_of(Date { year, month: self.month.unwrap_or(1), day: self.day.unwrap_or(1) })
    }

    /// Microseconds of the day.
    pub fn clock(&self) -> Option<i64> {
        let hour = self.hour.unwrap_or(0) + if self.half == Some(1) { 12 } else { 0 };
        micros_of(Clock { hour, minute: self.minute, second: self.second, micros: self.micros % SECOND })
    }

    /// Microseconds since 1970-01-01T00:00:00 on the wall clock.
    pub fn local(&self) -> Option<i64> {
        self.days()?.checked_mul(DAY)?.checked_add(self.clock()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::civil::read_timestamp;

    #[test]
    fn a_pattern_writes_its_fields() {
        let at = read_timestamp("2024-02-09 00:05:07.089012").expect("a time");
        for (pattern, want) in [
            ("yyyy-MM-dd HH:mm:ss", "2024-02-09 00:05:07"),
            ("yyyyMMdd", "20240209"),
            ("yy/M/d h:m:s a", "24/2/9 12:5:7 AM"),
            ("k K D w u", "24 0 40 6 2024"),
            ("EEE, d MMM yyyy", "Fri, 9 Feb 2024"),
            ("EEEE MMMM", "Friday February"),
            ("HH:mm:ss.SSS", "00:05:07.089"),
            ("ss.SSSSSS", "07.089012"),
            ("yyyy'T'MM''dd", "2024T02'09"),
            ("XXX Z X", "+08:00 +0800 +08"),
        ] {
            let mut out = String::new();
            Pattern::parse(pattern).expect(pattern).write(at, 28_800, &mut out);
            assert_eq!(out, want, "{pattern}");
        }
        assert!(Pattern::parse("yyyy-bb").is_err());
        assert!(Pattern::parse("'open").is_err());
    }

    #[test]
    fn a_pattern_reads_the_beginning_of_a_text() {
        for (pattern, text, want) in [
            ("yyyy-MM-dd HH:mm:ss", "1970-01-01 08:00:01.001", Some("1970-01-01 08:00:01")),
            ("yyyyMMddHHmmss", "20240229235959", Some("2024-02-29 23:59:59")),
            ("yyyy-MM-dd", "2024-2-9 tail", Some("2024-02-09 00:00:00")),
            ("dd MMM yyyy hh:mm a", "09 feb 2024 12:30 PM", Some("2024-02-09 12:30:00")),
            ("yyyy DDD", "2024 60", Some("2024-02-29 00:00:00")),
            ("HH:mm:ss.SSS", "01:02:03.5", Some("1970-01-01 01:02:03.5")),
            ("yyyy-MM-dd", "2024-13-01", None),
            ("yyyy-MM-dd", "x", None),
            ("yyyy-MM-dd HH:mm:ss", "2024-01-01", None),
        ] {
            let found = Pattern::parse(pattern).expect(pattern).read(text).and_then(|found| found.local());
            assert_eq!(found, want.map(|w| read_timestamp(w).expect(w)), "{pattern} of {text}");
        }
        let zoned =
            Pattern::parse("yyyy-MM-dd HH:mm:ss X").expect("a pattern").read("1970-01-01 08:00:01 +08");
        assert_eq!(zoned.and_then(|found| found.offset), Some(28_800));
    }
}
