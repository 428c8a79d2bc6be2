//! Names of transactions as events and commands carry them, of both servers, with and without tags.

use std::io;
use std::sync::Arc;

use mysql_cdc::events::event_header::EventHeader;
use mysql_cdc::providers::mariadb::events::gtid_event as mariadb;
use mysql_cdc::providers::mariadb::events::gtid_list_event::GtidListEvent;
use mysql_cdc::providers::mysql::events::gtid_event as mysql;
use sluicebox_model::{Gtid, GtidSet, MariaDbGtids};

use super::{Cursor, Fault};

/// MySQL: a transaction begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Begin {
    /// None for an anonymous one.
    pub(crate) gtid: Option<Gtid>,
    /// When this server committed it, in microseconds of UTC; none on servers before 8.0.1.
    pub(crate) commit_micros: Option<i64>,
}

/// MariaDB: a transaction begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MariaBegin {
    pub(crate) gtid: Gtid,
    /// One event follows, and no commit.
    pub(crate) standalone: bool,
    /// The first half of an XA transaction of two phases.
    pub(crate) xa_prepare: bool,
    /// What the statement is to a two-phase ALTER.
    pub(crate) alter: AlterPhase,
}

/// MariaDB's ALTER can come in two halves with the same text; it happens where it is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AlterPhase {
    /// No such ALTER, or the half that counts.
    Applies,
    /// The first half, or the mark that it never came to the second.
    Void,
}

/// Bytes of a GTID event that `mysql_cdc` reads: flags, UUID, number.
const MYSQL_READ: usize = 1 + 16 + 8;

/// GTID (33).
pub(crate) fn mysql_gtid(body: &[u8], no_tag: &Arc<str>) -> Result<Begin, Fault> {
    let event =
        mysql::GtidEvent::parse(&mut io::Cursor::new(body)).map_err(|_| Fault::short("a GTID event"))?;
    let source = u128::from_be_bytes(event.gtid.source_id.data);
    let number = event.gtid.transaction_id;
    if !Gtid::NUMBERS.contains(&number) {
        return Err(format!("a GTID event has the number {number}, which no transaction has").into());
    }
    let gtid = Gtid::MySql { source, tag: Arc::clone(no_tag), number };
    Ok(Begin { gtid: Some(gtid), commit_micros: commit_time(body) })
}

/// ANONYMOUS_GTID (34).
pub(crate) fn mysql_anonymous(body: &[u8]) -> Begin {
    Begin { gtid: None, commit_micros: commit_time(body) }
}

/// Behind the GTID: a type byte (2), two counters of 8 bytes, then 7 bytes of microseconds whose top bit says that the
/// first server's own time follows.
fn commit_time(body: &[u8]) -> Option<i64> {
    let mut cursor = Cursor::new(body.get(MYSQL_READ..)?);
    if cursor.u8()? != 2 {
        return None;
    }
    cursor.take(16)?;
    let micros = cursor.uint(7)? & !(1 << 55);
    i64::try_from(micros).ok()
}

/// GTID_TAGGED (42): (number, value) pairs of variable-length integers.
pub(crate) fn mysql_tagged_gtid(body: &[u8]) -> Result<Begin, Fault> {
    read_tagged(body).ok_or_else(|| Fault::short("a tagged GTID event"))?
}

fn read_tagged(body: &[u8]) -> Option<Result<Begin, Fault>> {
    let mut cursor = Cursor::new(body);
    let _version = variable(&mut cursor)?;
    let _size = variable(&mut cursor)?;
    let last_needed = variable(&mut cursor)?;
    let (mut source, mut number, mut tag, mut commit_micros) = (0_u128, 0, String::new(), None);
    while !cursor.is_empty() {
        match variable(&mut cursor)? {
            1 => {
                for _ in 0..16 {
                    source = source << 8 | u128::from(variable(&mut cursor)? & 0xff);
                }
            }
            2 => number = u64::try_from(zig_zag(variable(&mut cursor)?)).ok()?,
            3 => {
                let length = usize::try_from(variable(&mut cursor)?).ok()?;
                tag = String::from_utf8_lossy(cursor.take(length)?).into_owned();
            }
            6 => commit_micros = i64::try_from(variable(&mut cursor)?).ok(),
            0 | 4 | 5 | 7..=9 => {
                variable(&mut cursor)?;
            }
            unknown if unknown <= last_needed => {
                return Some(Err(format!(
                    "a tagged GTID event has a field {unknown} that must not be skipped"
                )
                .into()));
            }
            // Fields come in order, so all that follow may be skipped too.
            _ => break,
        }
    }
    if !Gtid::NUMBERS.contains(&number) || !(tag.is_empty() || Gtid::is_tag(&tag)) {
        return Some(Err("a tagged GTID event names no transaction".into()));
    }
    let gtid = Gtid::MySql { source, tag: tag.into(), number };
    Some(Ok(Begin { gtid: Some(gtid), commit_micros }))
}

/// As many extra bytes as the first byte has trailing ones; the value stands above them.
fn variable(cursor: &mut Cursor<'_>) -> Option<u64> {
    let first = cursor.u8()?;
    let extra = usize::try_from(first.trailing_ones()).ok()?;
    let high = cursor.uint(extra)?;
    let low = u64::from(first).checked_shr(first.trailing_ones() + 1).unwrap_or(0);
    let low_bits = 7_u32.saturating_sub(first.trailing_ones());
    Some(high << low_bits | low)
}

fn zig_zag(value: u64) -> i64 {
    let half = i64::try_from(value >> 1).unwrap_or(i64::MAX);
    if value & 1 == 0 { half } else { -half - 1 }
}

/// MariaDB's GTID (162). Behind what `mysql_cdc` reads: a group commit's number, an XA name, flags of a two-phase ALTER.
pub(crate) fn mariadb_gtid(header: &EventHeader, body: &[u8]) -> Result<MariaBegin, Fault> {
    const READ: usize = 8 + 4 + 1;
    const STANDALONE: u8 = 1;
    const GROUP_COMMIT: u8 = 2;
    const XA_PREPARED: u8 = 64;
    const XA_COMPLETED: u8 = 128;
    let short = || Fault::short("a GTID event");
    let event = mariadb::GtidEvent::parse(&mut io::Cursor::new(body), header).map_err(|_| short())?;
    let mut rest = Cursor::new(body.get(READ..).unwrap_or_default());
    if event.flags & GROUP_COMMIT != 0 {
        rest.take(8).ok_or_else(short)?;
    }
    if event.flags & (XA_PREPARED | XA_COMPLETED) != 0 {
        rest.take(4).ok_or_else(short)?;
        let lengths: [u8; 2] = rest.array().ok_or_else(short)?;
        rest.take(usize::from(lengths[0]) + usize::from(lengths[1])).ok_or_else(short)?;
    }
    // Servers before 10.8 end here, or with zeros.
    let alter = match rest.u8().unwrap_or(0) & (2 | 8) {
        0 => AlterPhase::Applies,
        _ => AlterPhase::Void,
    };
    Ok(MariaBegin {
        gtid: Gtid::MariaDb {
            domain: event.gtid.domain_id,
            server: event.gtid.server_id,
            sequence: event.gtid.sequence,
        },
        standalone: event.flags & STANDALONE != 0,
        xa_prepare: event.flags & XA_PREPARED != 0,
        alter,
    })
}

/// MariaDB's GTID_LIST (163): what the binlog held before this file. The count's upper four bits are flags.
pub(crate) fn gtid_list(body: &[u8]) -> Result<MariaDbGtids, Fault> {
    let short = || Fault::short("a GTID list");
    let mut plain = body.to_vec();
    *plain.get_mut(3).ok_or_else(short)? &= 0x0f;
    let event = GtidListEvent::parse(&mut io::Cursor::new(plain.as_slice())).map_err(|_| short())?;
    let mut list = MariaDbGtids::default();
    for gtid in &event.gtid_list.gtids {
        list.advance(gtid.domain_id, gtid.server_id, gtid.sequence);
    }
    Ok(list)
}

/// Marks the set's form with tags: in the first and the last byte of its count.
const TAGGED_FORM: u64 = 0x0100_0000_0000_0001;

/// A set as the dump command and PREVIOUS_GTIDS carry it; with tags only where there are any, for older servers know none.
pub(crate) fn encode_set(set: &GtidSet) -> Vec<u8> {
    let tagged = set.intervals().any(|(_, tag, _, _)| !tag.is_empty());
    type Source<'a> = (u128, &'a str);
    let mut sources: Vec<(Source<'_>, Vec<(u64, u64)>)> = Vec::new();
    for (source, tag, first, last) in set.intervals() {
        match sources.last_mut() {
            Some((name, intervals)) if *name == (source, tag) => intervals.push((first, last)),
            _ => sources.push(((source, tag), vec![(first, last)])),
        }
    }
    let count = wide(sources.len());
    let mut out = (if tagged { TAGGED_FORM | count << 8 } else { count }).to_le_bytes().to_vec();
    for ((source, tag), intervals) in sources {
        out.extend(source.to_be_bytes());
        if tagged {
            // Tags are at most 32 characters, so the length is one byte of the variable form.
            out.push(u8::try_from(tag.len() << 1).unwrap_or(u8::MAX - 1));
            out.extend(tag.as_bytes());
        }
        out.extend(wide(intervals.len()).to_le_bytes());
        for (first, last) in intervals {
            out.extend(first.to_le_bytes());
            out.extend(last.saturating_add(1).to_le_bytes());
        }
    }
    out
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Reads what [`encode_set`] writes; the body of PREVIOUS_GTIDS (35).
pub(crate) fn decode_set(body: &[u8]) -> Result<GtidSet, Fault> {
    read_set(body).ok_or_else(|| "a GTID set ends too early, or holds what no server can have".into())
}

fn read_set(body: &[u8]) -> Option<GtidSet> {
    let mut cursor = Cursor::new(body);
    let head = cursor.u64()?;
    let tagged = head & TAGGED_FORM == TAGGED_FORM && head >> 56 == 1;
    let count = if tagged { head << 8 >> 16 } else { head };
    let mut set = GtidSet::default();
    for _ in 0..count {
        let source = u128::from_be_bytes(cursor.array()?);
        let tag: Arc<str> = if tagged {
            let length = usize::try_from(variable(&mut cursor)?).ok()?;
            let tag = std::str::from_utf8(cursor.take(length)?).ok()?;
            if !(tag.is_empty() || Gtid::is_tag(tag)) {
                return None;
            }
            tag.into()
        } else {
            "".into()
        };
        for _ in 0..cursor.u64()? {
            let (first, last) = (cursor.u64()?, cursor.u64()?.checked_sub(1)?);
            if !Gtid::NUMBERS.contains(&first) || !Gtid::NUMBERS.contains(&last) || first > last {
                return None;
            }
            set.add_interval(source, &tag, first, last);
        }
    }
    Some(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

    #[test]
    fn sets_read_back_in_both_forms() {
        for text in [
            "",
            &format!("{A}:1-5:7"),
            &format!("{A}:1-5:7:backup:1-2:9,4e11fa47-71ca-11e1-9e33-c80aa9429562:3"),
        ] {
            let set: GtidSet = text.parse().expect("a set");
            assert_eq!(decode_set(&encode_set(&set)), Ok(set), "{text}");
        }
        let plain: GtidSet = format!("{A}:1").parse().expect("a set");
        assert_eq!(encode_set(&plain).len(), 8 + 16 + 8 + 16);
        assert_eq!(decode_set(&TAGGED_FORM.to_le_bytes()), Ok(GtidSet::default()));
        assert!(decode_set(&[1, 0, 0, 0, 0, 0, 0, 0, 9]).is_err());
    }

    /// They would be saved in a form that cannot be read again.
    #[test]
    fn what_no_set_can_hold_is_refused() {
        let set = |first: u64, behind: u64| {
            let mut bytes = [1_u64.to_le_bytes(), [0; 8], [0; 8], 1_u64.to_le_bytes()].concat();
            bytes.extend([first.to_le_bytes(), behind.to_le_bytes()].concat());
            decode_set(&bytes)
        };
        assert!(set(1, 2).is_ok());
        for (first, behind) in [(0, 2), (2, 2), (3, 2), (0, 0), (1, u64::MAX)] {
            assert!(set(first, behind).is_err(), "{first} to {behind}");
        }
        let gtid = |number: u64| [&[1][..], &[7; 16], &number.to_le_bytes()].concat();
        assert!(mysql_gtid(&gtid(1), &"".into()).is_ok());
        for number in [0, u64::MAX] {
            assert!(mysql_gtid(&gtid(number), &"".into()).is_err(), "{number}");
        }
    }

    #[test]
    fn variable_integers_take_as_many_bytes_as_they_say() {
        for (bytes, value) in [
            (&[0b0000_0110][..], 3),
            (&[0b0000_0001, 1], 64),
            (&[0xff, 1, 0, 0, 0, 0, 0, 0, 0x80], 0x8000_0000_0000_0001),
            (&[0x7f, 5, 0, 0, 0, 0, 0, 0], 5),
        ] {
            assert_eq!(variable(&mut Cursor::new(bytes)), Some(value), "{bytes:?}");
        }
        assert_eq!([zig_zag(0), zig_zag(1), zig_zag(2), zig_zag(3)], [0, -1, 1, -2]);
    }

    #[test]
    fn the_flags_of_a_list_do_not_count_as_entries() {
        let mut body = vec![1, 0, 0, 0x10];
        body.extend([2, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(gtid_list(&body).map(|l| l.to_string()), Ok("2-1-9".to_owned()));
    }
}
