//! Time zones as a pipeline file names them. Only their form is checked here; whether a region exists is the time zone
//! data's to say.

use std::fmt;

/// A time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Zone {
    /// A fixed distance from UTC, in seconds, east positive.
    Offset(i32),
    /// A region of the time zone data, e.g. `Asia/Shanghai`.
    Region(String),
}

/// Regions of the time zone data whose names look like abbreviations. Others (`PST`, `CST`, `IST`) mean several zones.
const SHORT_REGIONS: [&str; 10] = ["CET", "EET", "EST", "HST", "MET", "MST", "PRC", "ROC", "ROK", "WET"];

/// Furthest from UTC, in seconds, as in Java.
const FURTHEST: i32 = 18 * 3600;

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self::Offset(0);

    /// What a text should be, for messages.
    pub(super) const EXPECTED: &'static str = "a region such as `Asia/Shanghai`, `UTC`, or an offset such as `+08:00` or `GMT+8`; abbreviations are ambiguous";

    /// Reads `UTC`, `Z`, `GMT`, `±h`, `±hh:mm`, `GMT±hh:mm`, `UTC±hh:mm`, or a region.
    pub fn parse(text: &str) -> Option<Self> {
        if ["UTC", "GMT", "UT", "UCT", "Z"].contains(&text) {
            return Some(Self::UTC);
        }
        let bare = ["UTC", "GMT", "UT"].iter().find_map(|p| text.strip_prefix(p)).unwrap_or(text);
        if bare.starts_with(['+', '-']) {
            return offset(bare).map(Self::Offset);
        }
        is_region(text).then(|| Self::Region(text.to_owned()))
    }
}

/// Reads `±h`, `±hh`, `±hh:mm`, `±hhmm`.
fn offset(text: &str) -> Option<i32> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some((hours, minutes)) if minutes.len() == 2 => (hours, minutes),
        Some(_) => return None,
        None if digits.len() == 4 => digits.split_at_checked(2)?,
        None => (digits, "0"),
    };
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<i32>().ok())?;
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let seconds = hours.checked_mul(3600)?.checked_add(minutes * 60)?;
    (minutes < 60 && seconds <= FURTHEST).then_some(sign * seconds)
}

fn is_region(text: &str) -> bool {
    let word = |w: &str| {
        w.starts_with(|c: char| c.is_ascii_alphabetic())
            && w.chars().all(|c| c.is_ascii_alphanumeric() || ['_', '-', '+'].contains(&c))
    };
    let abbreviation = text.len() <= 4 && text.chars().all(|c| c.is_ascii_uppercase());
    text.split('/').all(word) && (!abbreviation || SHORT_REGIONS.contains(&text))
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Region(name) => f.write_str(name),
            Self::Offset(seconds) => {
                let (sign, minutes) = (if *seconds < 0 { '-' } else { '+' }, seconds.abs() / 60);
                write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
        }
    }
}

/// The zone in which values without one are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalZone {
    /// The host's.
    System,
    /// This one.
    Named(Zone),
}

impl LocalZone {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("systemDefault") {
            Some(Self::System)
        } else {
            Zone::parse(text).map(Self::Named)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_an_offset_or_a_region() {
        let region = |name: &str| Some(Zone::Region(name.to_owned()));
        for (text, want) in [
            ("UTC", Some(Zone::UTC)),
            ("Z", Some(Zone::UTC)),
            ("GMT+8", Some(Zone::Offset(28_800))),
            ("GMT-03:30", Some(Zone::Offset(-12_600))),
            ("+08:00", Some(Zone::Offset(28_800))),
            ("+0530", Some(Zone::Offset(19_800))),
            ("Asia/Shanghai", region("Asia/Shanghai")),
            ("America/Argentina/Buenos_Aires", region("America/Argentina/Buenos_Aires")),
            ("Etc/GMT+3", region("Etc/GMT+3")),
            ("Japan", region("Japan")),
            ("CET", region("CET")),
            ("PST", None),
            ("CST", None),
            ("IST", None),
            ("", None),
            ("+8:0", None),
            ("+19", None),
            ("+08:61", None),
            ("Asia/", None),
            ("+", None),
            ("\u{e9}+1", None),
        ] {
            assert_eq!(Zone::parse(text), want, "{text}");
        }
    }

    #[test]
    fn an_offset_prints_as_it_is_read() {
        for text in ["+08:00", "-03:30", "+00:00", "-00:30"] {
            assert_eq!(Zone::parse(text).expect("a zone").to_string(), text);
        }
    }
}
