//! Time zones: what the wall clock shows at an instant, and which instant it shows.
//!
//! Regions come from the time zone data of the host (TZif files, RFC 8536), so that an update of the host's data is an
//! update here. A file holds the changes of a zone up to some year and a rule for the years after (a POSIX `TZ` text).
//! Everything here reads files that are given to it and checks what it reads; nothing else is done with the host.

mod rule;

use std::path::Path;
use std::sync::Arc;

use rule::Rule;

use crate::civil::SECOND;

/// Where hosts keep their time zone data.
const FOLDERS: [&str; 4] =
    ["/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo"];
/// The largest file there is has 4 KiB.
const LARGEST: usize = 1 << 20;

/// A time zone.
#[derive(Debug, Clone, PartialEq)]
pub struct Zone(Kind);

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    /// Seconds east of UTC.
    Fixed(i64),
    Region(Arc<Region>),
}

#[derive(Debug, PartialEq)]
struct Region {
    /// Seconds since 1970 at which the offset changes, ascending, and the offset from there on.
    changes: Vec<(i64, i64)>,
    /// Before the first change.
    first: i64,
    /// After the last change.
    rule: Option<Rule>,
}

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(Kind::Fixed(0));

    /// A fixed distance from UTC, in seconds, east positive.
    pub fn fixed(seconds: i32) -> Self {
        Self(Kind::Fixed(seconds.into()))
    }

    /// A region of the host's time zone data.
    ///
    /// # Errors
    /// Words that say what is missing.
    pub fn region(name: &str) -> Result<Self, String> {
        let plain = name.split('/').all(|part| !part.is_empty() && part != ".." && part != ".");
        let files =
            FOLDERS.iter().map(|folder| Path::new(folder).join(name)).filter(|file| plain && file.is_file());
        match files.into_iter().next() {
            Some(file) => Self::file(&file),
            None if FOLDERS.iter().any(|folder| Path::new(folder).is_dir()) => {
                Err(format!("this host's time zone data has no `{name}`"))
            }
            None => Err(format!(
                "this host has no time zone data, so `{name}` means nothing; install the package `tzdata`, or write an offset such as `+08:00`"
            )),
        }
    }

    /// The host's own zone: `TZ` where it is a region, else `/etc/localtime`; UTC without either, as the C library has it.
    ///
    /// # Errors
    /// Words that say what is wrong.
    pub fn system(variable: Option<&str>) -> Result<Self, String> {
        match variable.map(|name| name.trim_start_matches(':')).filter(|name| !name.is_empty()) {
            Some("UTC" | "GMT" | "UTC0") => Ok(Self::UTC),
            Some(path) if path.starts_with('/') => Self::file(Path::new(path)),
            Some(name) => Self::region(name).or_else(|error| {
                let rule = Rule::parse(name).ok_or(error)?;
                Ok(Self(Kind::Region(Arc::new(Region { changes: Vec::new(), first: 0, rule: Some(rule) }))))
            }),
            None if Path::new("/etc/localtime").exists() => Self::file(Path::new("/etc/localtime")),
            None => Ok(Self::UTC),
        }
    }

    fn file(path: &Path) -> Result<Self, String> {
        let bytes =
            std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let region = if bytes.len() > LARGEST { None } else { Region::parse(&bytes) };
        let region = region.ok_or_else(|| format!("{} is no time zone data", path.display()))?;
        Ok(Self(Kind::Region(Arc::new(region))))
    }

    /// Reads what expressions may name: `UTC`, `Z`, `±hh[:mm]`, `GMT±h[h][:mm]`, or a region.
    pub(crate) fn named(text: &str) -> Result<Self, String> {
        if ["UTC", "GMT", "UT", "Z"].contains(&text) {
            return Ok(Self::UTC);
        }
        let bare = ["UTC", "GMT", "UT"].iter().find_map(|p| text.strip_prefix(p)).unwrap_or(text);
        match offset(bare) {
            Some(seconds) => Ok(Self(Kind::Fixed(seconds))),
            None => Self::region(text),
        }
    }

    /// Seconds east of UTC at an instant, given in seconds since 1970.
    pub(crate) fn offset_at(&self, instant: i64) -> i64 {
        match &self.0 {
            Kind::Fixed(offset) => *offset,
            Kind::Region(region) => region.offset_at(instant),
        }
    }

    /// What the wall clock shows at an instant; both in microseconds.
    pub(crate) fn to_local(&self, instant: i64) -> i64 {
        instant.saturating_add(self.offset_at(instant.div_euclid(SECOND)) * SECOND)
    }

    /// The instant, in microseconds since 1970 of UTC, at which the wall clock shows this (microseconds too); the first of two, and where the clock skips it, the instant at which it
    /// would have shown it under the offset before, as Java has it.
    pub fn to_instant(&self, local: i64) -> i64 {
        let at = |offset: i64| local.saturating_sub(offset * SECOND);
        let seconds = local.div_euclid(SECOND);
        // No zone has been further from UTC than this, so one of the two sides of a change is seen from each end.
        let (before, after) = (self.offset_at(seconds - 86_400), self.offset_at(seconds + 86_400));
        let holds = |offset: i64| self.offset_at(at(offset).div_euclid(SECOND)) == offset;
        if holds(before) || !holds(after) { at(before) } else { at(after) }
    }
}

/// Reads `±h`, `±hh`, `±hh:mm`, `±hhmm`, as seconds.
pub(crate) fn offset(text: &str) -> Option<i64> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None if digits.len() == 4 => digits.split_at_checked(2)?,
        None => (digits, "0"),
    };
    let number =
        |t: &str| (t.len() <= 2 && t.bytes().all(|b| b.is_ascii_digit())).then(|| t.parse::<i64>().ok())?;
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours <= 18 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

impl Region {
    fn offset_at(&self, instant: i64) -> i64 {
        let after = self.changes.partition_point(|(at, _)| *at <= instant);
        match (after.checked_sub(1).and_then(|last| self.changes.get(last)), &self.rule) {
            (_, Some(rule)) if after == self.changes.len() => rule.offset_at(instant),
            (Some((_, offset)), _) => *offset,
            (None, _) => self.first,
        }
    }

    /// Reads a TZif file; the part with 64 bits, which all files since 2005 have.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let (first, version) = Header::parse(bytes)?;
        if version < b'2' {
            return None;
        }
        let rest = bytes.get(Header::LENGTH + first.length(4)?..)?;
        let (header, _) = Header::parse(rest)?;
        let body = rest.get(Header::LENGTH..)?;
        let (times, body) = body.split_at_checked(header.times.checked_mul(8)?)?;
        let (kinds, body) = body.split_at_checked(header.times)?;
        let (types, _) = body.split_at_checked(header.types.checked_mul(6)?)?;
        let footer = rest.get(Header::LENGTH + header.length(8)?..)?;
        let offset = |kind: usize| {
            let bytes = types.get(kind * 6..kind * 6 + 4)?;
            Some(i64::from(i32::from_be_bytes(bytes.try_into().ok()?)))
        };
        let change = |(time, kind): (&[u8], &u8)| {
            Some((i64::from_be_bytes(time.try_into().ok()?), offset(usize::from(*kind))?))
        };
        let changes: Vec<_> = times.chunks_exact(8).zip(kinds).map(change).collect::<Option<_>>()?;
        let footer = std::str::from_utf8(footer).ok()?.trim_matches('\n');
        changes.is_sorted().then_some(())?;
        Some(Self { changes, first: offset(0)?, rule: Rule::parse(footer) })
    }
}

/// The counts at the beginning of a part.
struct Header {
    utc: usize,
    standard: usize,
    leaps: usize,
    times: usize,
    types: usize,
    characters: usize,
}

impl Header {
    const LENGTH: usize = 44;

    fn parse(bytes: &[u8]) -> Option<(Self, u8)> {
        let head = bytes.get(..Self::LENGTH)?;
        head.starts_with(b"TZif").then_some(())?;
        let count = |place: usize| {
            let bytes = head.get(20 + place * 4..24 + place * 4)?;
            usize::try_from(u32::from_be_bytes(bytes.try_into().ok()?)).ok()
        };
        let header = Self {
            utc: count(0)?,
            standard: count(1)?,
            leaps: count(2)?,
            times: count(3)?,
            types: count(4)?,
            characters: count(5)?,
        };
        Some((header, head[4]))
    }

    /// Bytes behind the header, with times of this width.
    fn length(&self, width: usize) -> Option<usize> {
        let times = self.times.checked_mul(width + 1)?;
        let types = self.types.checked_mul(6)?;
        let leaps = self.leaps.checked_mul(width + 4)?;
        times.checked_add(types)?.checked_add(leaps)?.checked_add(self.characters + self.utc + self.standard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::civil::read_timestamp;

    fn micros(text: &str) -> i64 {
        read_timestamp(text).expect(text)
    }

    #[test]
    fn a_wall_clock_shows_the_same_instant_again() {
        let berlin = Zone::region("Europe/Berlin").expect("the host has tzdata");
        for (instant, local) in [
            ("2024-01-15 12:00:00", "2024-01-15 13:00:00"),
            ("2024-07-15 12:00:00", "2024-07-15 14:00:00"),
            ("2090-07-15 12:00:00", "2090-07-15 14:00:00"),
            ("2090-12-15 12:00:00", "2090-12-15 13:00:00"),
            ("1970-01-01 07:00:01", "1970-01-01 08:00:01"),
        ] {
            assert_eq!(berlin.to_local(micros(instant)), micros(local), "{instant}");
            assert_eq!(berlin.to_instant(micros(local)), micros(instant), "{local}");
        }
    }

    #[test]
    fn a_skipped_and_a_repeated_hour_are_decided_as_in_java() {
        let berlin = Zone::region("Europe/Berlin").expect("the host has tzdata");
        assert_eq!(berlin.to_instant(micros("2024-03-31 02:30:00")), micros("2024-03-31 01:30:00"));
        assert_eq!(berlin.to_instant(micros("2024-10-27 02:30:00")), micros("2024-10-27 00:30:00"));
    }

    #[test]
    fn zones_are_named_by_region_and_by_offset() {
        assert_eq!(Zone::named("GMT+8"), Ok(Zone::fixed(28_800)));
        assert_eq!(Zone::named("-03:30"), Ok(Zone::fixed(-12_600)));
        let shanghai = Zone::named("Asia/Shanghai").expect("the host has tzdata");
        assert_eq!(shanghai.offset_at(1_700_000_000), 28_800);
        assert!(Zone::named("Asia/Shanghia").expect_err("no region").contains("has no `Asia/Shanghia`"));
        assert!(Zone::named("../../../etc/passwd").is_err());
    }

    #[test]
    fn what_is_no_time_zone_data_is_refused() {
        let good = std::fs::read("/usr/share/zoneinfo/Europe/Berlin").expect("the host has tzdata");
        for cut in 0..good.len().saturating_sub(60) {
            assert_eq!(Region::parse(&good[..cut]), None, "{cut} bytes");
        }
        assert!(Region::parse(&good).is_some());
    }
}
