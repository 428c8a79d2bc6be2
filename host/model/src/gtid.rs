//! Transaction names of both servers, and sets of them.
//!
//! MySQL: a set of intervals for each (server UUID, tag); gaps are normal on replicas and stay gaps. MariaDB: the last
//! sequence number of each domain. Text forms are those of `@@gtid_executed` and `@@gtid_binlog_pos`.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The name of one transaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Gtid {
    /// MySQL's `uuid:number`, or `uuid:tag:number`.
    MySql {
        /// The server's UUID, most significant byte first.
        source: u128,
        /// The tag; empty without one.
        tag: Arc<str>,
        /// Counts from 1.
        number: u64,
    },
    /// MariaDB's `domain-server-sequence`.
    MariaDb {
        /// Replication domain.
        domain: u32,
        /// Server that wrote it.
        server: u32,
        /// Rises inside its domain.
        sequence: u64,
    },
}

impl Gtid {
    /// The numbers that MySQL gives to transactions; it ends its last one here. A set writes the number behind each
    /// interval, so there must be one.
    pub const NUMBERS: RangeInclusive<u64> = 1..=(i64::MAX.cast_unsigned() - 1);
    /// Most characters of a tag.
    const TAG_MAX: usize = 32;

    /// Whether MySQL takes this for a tag, in the lower case in which it keeps them. None at all is not one.
    pub fn is_tag(text: &str) -> bool {
        text.len() <= Self::TAG_MAX
            && text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    }
}

/// A text is not a GTID set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a GTID set: {reason}")]
pub struct GtidError {
    text: String,
    reason: &'static str,
}

impl fmt::Display for Gtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MySql { source, tag, number } if tag.is_empty() => write!(f, "{}:{number}", Uuid(*source)),
            Self::MySql { source, tag, number } => write!(f, "{}:{tag}:{number}", Uuid(*source)),
            Self::MariaDb { domain, server, sequence } => write!(f, "{domain}-{server}-{sequence}"),
        }
    }
}

struct Uuid(u128);

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = format!("{:032x}", self.0);
        write!(f, "{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

fn parse_uuid(text: &str) -> Option<u128> {
    let hex: String = text.chars().filter(|c| *c != '-').collect();
    let plain = hex.bytes().all(|digit| digit.is_ascii_hexdigit());
    (text.len() == 36 && hex.len() == 32 && plain).then(|| u128::from_str_radix(&hex, 16).ok())?
}

/// A set of MySQL transactions. Invariant: intervals of one source are sorted, apart, and not adjacent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GtidSet {
    sources: BTreeMap<(u128, Arc<str>), Vec<Interval>>,
}

/// Both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Interval {
    first: u64,
    last: u64,
}

impl GtidSet {
    /// Whether the transaction is in the set.
    pub fn contains(&self, source: u128, tag: &Arc<str>, number: u64) -> bool {
        self.sources.get(&(source, Arc::clone(tag))).is_some_and(|list| find(list, number).is_ok())
    }

    /// Adds one transaction.
    pub fn add(&mut self, source: u128, tag: &Arc<str>, number: u64) {
        self.add_interval(source, tag, number, number);
    }

    /// Adds the transactions `first..=last`; nothing when the interval is empty.
    pub fn add_interval(&mut self, source: u128, tag: &Arc<str>, first: u64, last: u64) {
        if first > last {
            return;
        }
        let list = self.sources.entry((source, Arc::clone(tag))).or_default();
        // The usual cases: the next transaction of the newest interval, and one behind a gap.
        match list.last_mut() {
            None => return list.push(Interval { first, last }),
            Some(newest) if first.checked_sub(1) == Some(newest.last) => {
                newest.last = last;
                return;
            }
            Some(newest) if first > newest.last => return list.push(Interval { first, last }),
            Some(_) => {}
        }
        list.push(Interval { first, last });
        list.sort_by_key(|i| i.first);
        let mut merged: Vec<Interval> = Vec::with_capacity(list.len());
        for interval in list.drain(..) {
            match merged.last_mut() {
                Some(open) if interval.first <= open.last.saturating_add(1) => {
                    open.last = open.last.max(interval.last)
                }
                _ => merged.push(interval),
            }
        }
        *list = merged;
    }

    /// Whether each transaction of this set is in `other`.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.sources.iter().all(|(source, list)| {
            let theirs = other.sources.get(source).map_or(&[][..], Vec::as_slice);
            list.iter().all(|i| find(theirs, i.first).is_ok_and(|at| theirs[at].last >= i.last))
        })
    }

    /// The transactions of this set that are not in `other`.
    pub fn minus(&self, other: &Self) -> Self {
        let mut left = Self::default();
        for ((source, tag), list) in &self.sources {
            let theirs = other.sources.get(&(*source, Arc::clone(tag))).map_or(&[][..], Vec::as_slice);
            for ours in list {
                let mut next = Some(ours.first);
                for hole in theirs.iter().filter(|t| t.last >= ours.first && t.first <= ours.last) {
                    if let (Some(first), Some(last)) = (next, hole.first.checked_sub(1)) {
                        left.add_interval(*source, tag, first, last);
                    }
                    next = hole.last.checked_add(1);
                }
                if let Some(first) = next {
                    left.add_interval(*source, tag, first, ours.last);
                }
            }
        }
        left
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Every (source UUID, tag, first, last), in order; both ends included.
    pub fn intervals(&self) -> impl Iterator<Item = (u128, &str, u64, u64)> {
        self.sources
            .iter()
            .flat_map(|((source, tag), list)| list.iter().map(move |i| (*source, &**tag, i.first, i.last)))
    }
}

/// The interval that holds `number`, or where one that did would stand.
fn find(list: &[Interval], number: u64) -> Result<usize, usize> {
    list.binary_search_by(|i| {
        if i.last < number {
            std::cmp::Ordering::Less
        } else if i.first > number {
            std::cmp::Ordering::Greater
        } else {
            std::cmp::Ordering::Equal
        }
    })
}

impl FromStr for GtidSet {
    type Err = GtidError;

    fn from_str(text: &str) -> Result<Self, GtidError> {
        let fail = |reason| GtidError { text: text.to_owned(), reason };
        let mut set = Self::default();
        for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let mut fields = part.split(':').map(str::trim);
            let source = fields.next().and_then(parse_uuid).ok_or_else(|| fail("expected a server UUID"))?;
            let mut tag: Arc<str> = "".into();
            let mut any = false;
            for field in fields {
                if field.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
                    tag = field.to_ascii_lowercase().into();
                    if !Gtid::is_tag(&tag) {
                        return Err(fail(
                            "a tag is longer than 32 characters, or has others than letters, digits and `_`",
                        ));
                    }
                    continue;
                }
                let (first, last) = field.split_once('-').unwrap_or((field, field));
                let number = |t: &str| t.trim().parse::<u64>().ok().filter(|n| Gtid::NUMBERS.contains(n));
                let (Some(first), Some(last)) = (number(first), number(last)) else {
                    return Err(fail("expected a transaction number or an interval"));
                };
                if first > last {
                    return Err(fail("an interval ends before it begins"));
                }
                set.add_interval(source, &tag, first, last);
                any = true;
            }
            if !any {
                return Err(fail("expected a transaction number behind the server UUID"));
            }
        }
        Ok(set)
    }
}

impl fmt::Display for GtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last_source = None;
        for ((source, tag), list) in &self.sources {
            match last_source {
                Some(last) if last == *source => {}
                Some(_) => write!(f, ",{}", Uuid(*source))?,
                None => write!(f, "{}", Uuid(*source))?,
            }
            last_source = Some(*source);
            if !tag.is_empty() {
                write!(f, ":{tag}")?;
            }
            for interval in list {
                match interval {
                    Interval { first, last } if first == last => write!(f, ":{first}")?,
                    Interval { first, last } => write!(f, ":{first}-{last}")?,
                }
            }
        }
        Ok(())
    }
}

/// MariaDB's position: the last transaction of each domain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MariaDbGtids {
    domains: BTreeMap<u32, (u32, u64)>,
}

impl MariaDbGtids {
    /// Whether the transaction is at or before this position.
    pub fn covers(&self, domain: u32, sequence: u64) -> bool {
        self.domains.get(&domain).is_some_and(|(_, last)| sequence <= *last)
    }

    /// Counts a transaction as seen.
    pub fn advance(&mut self, domain: u32, server: u32, sequence: u64) {
        self.domains.insert(domain, (server, sequence));
    }

    /// Whether every domain of this position is at or before `other`'s.
    pub fn is_covered_by(&self, other: &Self) -> bool {
        self.domains.iter().all(|(domain, (_, sequence))| other.covers(*domain, *sequence))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.domains.is_empty()
    }
}

impl FromStr for MariaDbGtids {
    type Err = GtidError;

    fn from_str(text: &str) -> Result<Self, GtidError> {
        let mut list = Self::default();
        for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let mut numbers = part.split('-');
            let mut next = || numbers.next().and_then(|n| n.trim().parse::<u64>().ok());
            let narrow = |n: u64| u32::try_from(n).ok();
            match (next().and_then(narrow), next().and_then(narrow), next(), next()) {
                (Some(domain), Some(server), Some(sequence), None) => list.advance(domain, server, sequence),
                _ => {
                    return Err(GtidError {
                        text: text.to_owned(),
                        reason: "expected domain-server-sequence",
                    });
                }
            }
        }
        Ok(list)
    }
}

impl fmt::Display for MariaDbGtids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (domain, (server, sequence))) in self.domains.iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            write!(f, "{comma}{domain}-{server}-{sequence}")?;
        }
        Ok(())
    }
}

/// Both sets are stored as their text.
macro_rules! serde_as_text {
    ($type:ty) => {
        impl Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

serde_as_text!(GtidSet);
serde_as_text!(MariaDbGtids);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

    #[test]
    fn a_set_reads_back_as_it_prints() {
        for text in [
            format!("{A}:1-5"),
            format!("{A}:1-5:7:9-11"),
            format!("{A}:1-5:backup:1-2:9,4e11fa47-71ca-11e1-9e33-c80aa9429562:3"),
        ] {
            let set: GtidSet = text.parse().expect("a valid set");
            assert_eq!(set.to_string(), text);
        }
        let loose: GtidSet = format!(" {}:3-4,\n{A}:1-2:5 ", A.to_uppercase()).parse().expect("a valid set");
        assert_eq!(loose.to_string(), format!("{A}:1-5"));
    }

    #[test]
    fn what_is_not_a_set_is_refused() {
        let plus = A.replacen('3', "+", 1) + ":1";
        let long = format!("{A}:{}:1", "t".repeat(33));
        for text in [
            "x",
            A,
            "3e11fa47:1",
            &format!("{A}:9-3"),
            &format!("{A}:0"),
            &format!("{A}:1-"),
            "0-1",
            &plus,
            &long,
            &format!("{A}:täg:1"),
            &format!("{A}:1-18446744073709551615"),
            &format!("{A}:9223372036854775807"),
        ] {
            assert!(text.parse::<GtidSet>().is_err(), "{text}");
        }
        for text in ["0-1", "0-1-2-3", "a-b-c", "99999999999-1-1"] {
            assert!(text.parse::<MariaDbGtids>().is_err(), "{text}");
        }
    }

    /// Intervals against a plain set of numbers.
    #[test]
    fn intervals_behave_as_a_set_of_numbers() {
        let seed = 20_261_125;
        println!("seed {seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        let tag: Arc<str> = "".into();
        for _ in 0..200 {
            let (mut set, mut plain) = (GtidSet::default(), BTreeSet::new());
            let (mut small, mut small_plain) = (GtidSet::default(), BTreeSet::new());
            for _ in 0..rng.random_range(0..40) {
                let n = rng.random_range(1..30);
                set.add(1, &tag, n);
                plain.insert(n);
                if rng.random_bool(0.3) {
                    let n = rng.random_range(1..30);
                    small.add(1, &tag, n);
                    small_plain.insert(n);
                }
            }
            for n in 1..32 {
                assert_eq!(set.contains(1, &tag, n), plain.contains(&n));
            }
            assert_eq!(small.is_subset(&set), small_plain.is_subset(&plain));
            assert_eq!(set.to_string().parse::<GtidSet>().as_ref(), Ok(&set));
        }
    }

    #[test]
    fn what_is_left_of_a_set_without_another() {
        const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
        const B: &str = "4e11fa47-71ca-11e1-9e33-c80aa9429562";
        for (ours, theirs, left) in [
            ("A:1-10", "A:4-6", "A:1-3:7-10"),
            ("A:1-10", "A:1-10", ""),
            ("A:1-10", "A:5-20", "A:1-4"),
            ("A:5-10", "A:1-7", "A:8-10"),
            ("A:1-3:5-9", "A:2-6:9", "A:1:7-8"),
            ("A:1-10,B:1-2", "B:1", "A:1-10,B:2"),
            ("A:x:1-4", "A:1-4", "A:x:1-4"),
            ("A:x:1-4", "A:x:4", "A:x:1-3"),
            ("", "A:1", ""),
        ] {
            let set =
                |text: &str| -> GtidSet { text.replace('A', A).replace('B', B).parse().expect("a set") };
            assert_eq!(set(ours).minus(&set(theirs)), set(left), "{ours} without {theirs}");
        }
    }

    #[test]
    fn a_mariadb_position_covers_what_came_before_in_its_domain() {
        let list: MariaDbGtids = "0-1-100,5-2-7".parse().expect("a valid list");
        assert_eq!(list.to_string(), "0-1-100,5-2-7");
        assert!(list.covers(0, 100) && list.covers(5, 3));
        assert!(!list.covers(0, 101) && !list.covers(1, 1));
    }
}
