//! The rule for years that a zone's file does not list: a POSIX `TZ` text such as `CET-1CEST,M3.5.0,M10.5.0/3`.

use crate::civil::{Date, date_of, days_in, days_of, is_leap, weekday};

/// When a zone's offset changes, every year the same.
#[derive(Debug, PartialEq)]
pub(super) struct Rule {
    /// Seconds east of UTC.
    standard: i64,
    summer: Option<Summer>,
}

#[derive(Debug, PartialEq)]
struct Summer {
    offset: i64,
    start: Change,
    end: Change,
}

/// A day of the year, and the seconds of the wall clock on it.
#[derive(Debug, PartialEq)]
struct Change {
    day: Day,
    seconds: i64,
}

#[derive(Debug, PartialEq)]
enum Day {
    /// From 1, never the leap day.
    Julian(i64),
    /// From 0, the leap day counted.
    OfYear(i64),
    /// Month, week (5 is the last), weekday (Sunday is 0).
    OfMonth(i64, i64, i64),
}

impl Rule {
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text;
        name(&mut rest)?;
        let standard = -time(&mut rest)?;
        if rest.is_empty() {
            return Some(Self { standard, summer: None });
        }
        name(&mut rest)?;
        let offset = if rest.starts_with(',') { standard + 3600 } else { -time(&mut rest)? };
        let mut parts = rest.strip_prefix(',')?.split(',');
        let summer =
            Summer { offset, start: Change::parse(parts.next()?)?, end: Change::parse(parts.next()?)? };
        parts.next().is_none().then_some(Self { standard, summer: Some(summer) })
    }

    pub fn offset_at(&self, instant: i64) -> i64 {
        let Some(summer) = &self.summer else { return self.standard };
        let year = date_of((instant + self.standard).div_euclid(86_400)).year;
        let (Some(start), Some(end)) = (summer.start.local(year), summer.end.local(year)) else {
            return self.standard;
        };
        // Each change is written in the time that is in force before it.
        let (start, end) = (start - self.standard, end - summer.offset);
        let is_summer =
            if start < end { (start..end).contains(&instant) } else { !(end..start).contains(&instant) };
        if is_summer { summer.offset } else { self.standard }
    }
}

impl Change {
    fn parse(text: &str) -> Option<Self> {
        let (day, at) = text.split_once('/').unwrap_or((text, "2"));
        let mut at = at;
        let seconds = time(&mut at)?;
        let number = |t: &str| {
            (!t.is_empty() && t.bytes().all(|b| b.is_ascii_digit())).then(|| t.parse::<i64>().ok())?
        };
        let day = if let Some(days) = day.strip_prefix('J') {
            Day::Julian(number(days).filter(|n| (1..=365).contains(n))?)
        } else if let Some(parts) = day.strip_prefix('M') {
            let mut parts = parts.split('.').map(number);
            let (month, week, weekday) = (parts.next()??, parts.next()??, parts.next()??);
            let fits = (1..=12).contains(&month) && (1..=5).contains(&week) && (0..=6).contains(&weekday);
            fits.then_some(Day::OfMonth(month, week, weekday))?
        } else {
            Day::OfYear(number(day).filter(|n| (0..=365).contains(n))?)
        };
        at.is_empty().then_some(Self { day, seconds })
    }

    /// Seconds since 1970-01-01T00:00:00 on the wall clock.
    fn local(&self, year: i64) -> Option<i64> {
        let first = days_of(Date { year, month: 1, day: 1 })?;
        let days = match self.day {
            Day::Julian(day) => first + day - 1 + i64::from(is_leap(year) && day >= 60),
            Day::OfYear(day) => first + day,
            Day::OfMonth(month, week, wanted) => {
                let start = days_of(Date { year, month, day: 1 })?;
                let ahead = (wanted - weekday(start)).rem_euclid(7);
                let last = days_in(year, month);
                let mut day = ahead + (week - 1) * 7;
                while day >= last {
                    day -= 7;
                }
                start + day
            }
        };
        Some(days * 86_400 + self.seconds)
    }
}

/// Takes a zone's name: letters, or anything between `<` and `>`.
fn name(rest: &mut &str) -> Option<()> {
    let end = match rest.strip_prefix('<') {
        Some(quoted) => quoted.find('>')? + 2,
        None => rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len()),
    };
    *rest = rest.get(end..)?;
    (end >= 3).then_some(())
}

/// Takes `[±]hh[:mm[:ss]]`, as seconds.
fn time(rest: &mut &str) -> Option<i64> {
    let sign = if rest.starts_with('-') { -1 } else { 1 };
    *rest = rest.strip_prefix(['-', '+']).unwrap_or(rest);
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(rest.len());
    let (text, behind) = rest.split_at(end);
    *rest = behind;
    let mut seconds = 0;
    let mut unit = 3600;
    for part in text.split(':') {
        seconds += part.parse::<i64>().ok().filter(|n| *n <= 167)? * unit;
        unit /= 60;
    }
    Some(sign * seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_says_when_summer_is() {
        let at = |text: &str| crate::civil::read_timestamp(text).expect(text) / 1_000_000;
        for (rule, instant, want) in [
            ("CET-1CEST,M3.5.0,M10.5.0/3", "2040-03-25 00:59:59", 3600),
            ("CET-1CEST,M3.5.0,M10.5.0/3", "2040-03-25 01:00:00", 7200),
            ("CET-1CEST,M3.5.0,M10.5.0/3", "2040-10-28 00:59:59", 7200),
            ("CET-1CEST,M3.5.0,M10.5.0/3", "2040-10-28 01:00:00", 3600),
            ("NZST-12NZDT,M9.5.0,M4.1.0/3", "2040-01-15 00:00:00", 46_800),
            ("NZST-12NZDT,M9.5.0,M4.1.0/3", "2040-07-15 00:00:00", 43_200),
            ("<+0330>-3:30", "2040-07-15 00:00:00", 12_600),
            ("EST5EDT,M3.2.0,M11.1.0", "2040-07-15 00:00:00", -14_400),
            ("XXX3YYY,J60,300/-1", "2040-03-01 06:00:00", -7200),
        ] {
            let parsed = Rule::parse(rule).expect(rule);
            assert_eq!(parsed.offset_at(at(instant)), want, "{rule} at {instant}");
        }
        for text in
            ["", "X", "CET", "CET-1CEST,M3.5.0", "CET-1CEST,M13.5.0,M10.5.0", "CET-1CEST,M3.5.0,M10.5.0x"]
        {
            assert_eq!(Rule::parse(text), None, "{text}");
        }
    }
}
