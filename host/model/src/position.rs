//! Where a reader stands in the binlog, and which transaction is which.
//!
//! A position is everything that was seen, a transaction is one thing to see: `position.covers(&transaction)` is
//! the one question that recovery asks. With GTIDs it is set membership, so it holds across servers; without them it is
//! file order.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Gtid, GtidSet, MariaDbGtids};

/// What is known of a position beyond file and offset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub enum Gtids {
    /// The server has no GTIDs: file and offset alone count.
    #[default]
    None,
    /// MySQL's set of executed transactions.
    MySql(GtidSet),
    /// MariaDB's last transaction of each domain.
    MariaDb(MariaDbGtids),
}

/// Everything up to here has been seen. Always at a transaction's end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Position {
    /// Binlog file; empty when only GTIDs are known.
    pub file: String,
    /// Offset in the file behind the last transaction seen, in bytes.
    pub offset: u64,
    /// Transactions seen, by name.
    pub gtids: Gtids,
}

/// One transaction of the stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionId {
    /// Its GTID where the server has them.
    pub gtid: Option<Gtid>,
    /// Binlog file it stands in.
    pub file: Arc<str>,
    /// Offset in the file where it begins (its GTID event, or else its first event), in bytes.
    pub offset: u64,
}

impl Position {
    /// Whether the transaction was seen already.
    pub fn covers(&self, transaction: &TransactionId) -> bool {
        match (&self.gtids, &transaction.gtid) {
            (Gtids::MySql(set), Some(Gtid::MySql { source, tag, number })) => {
                set.contains(*source, tag, *number)
            }
            (Gtids::MariaDb(list), Some(Gtid::MariaDb { domain, sequence, .. })) => {
                list.covers(*domain, *sequence)
            }
            _ => compare_files(&transaction.file, &self.file)
                .then(transaction.offset.cmp(&self.offset))
                .is_lt(),
        }
    }

    /// Whether everything that `other` has seen was seen here.
    pub fn includes(&self, other: &Position) -> bool {
        match (&self.gtids, &other.gtids) {
            (Gtids::MySql(ours), Gtids::MySql(theirs)) => theirs.is_subset(ours),
            (Gtids::MariaDb(ours), Gtids::MariaDb(theirs)) => theirs.is_covered_by(ours),
            _ => compare_files(&other.file, &self.file).then(other.offset.cmp(&self.offset)).is_le(),
        }
    }

    /// Counts a whole transaction as seen; `end` is the offset behind it.
    pub fn advance(&mut self, transaction: &TransactionId, end: u64) {
        if self.file != *transaction.file {
            self.file.clear();
            self.file.push_str(&transaction.file);
        }
        self.offset = end;
        match (&mut self.gtids, &transaction.gtid) {
            (Gtids::MySql(set), Some(Gtid::MySql { source, tag, number })) => set.add(*source, tag, *number),
            (Gtids::MariaDb(list), Some(Gtid::MariaDb { domain, server, sequence })) => {
                list.advance(*domain, *server, *sequence);
            }
            (gtids @ Gtids::None, Some(gtid)) => *gtids = Gtids::first(gtid),
            _ => {}
        }
    }
}

impl Gtids {
    /// What is known after one named transaction and nothing before it.
    fn first(gtid: &Gtid) -> Self {
        match gtid {
            Gtid::MySql { source, tag, number } => {
                let mut set = GtidSet::default();
                set.add(*source, tag, *number);
                Self::MySql(set)
            }
            Gtid::MariaDb { domain, server, sequence } => {
                let mut list = MariaDbGtids::default();
                list.advance(*domain, *server, *sequence);
                Self::MariaDb(list)
            }
        }
    }
}

/// Binlog files count up: `x.999999` is before `x.1000000`.
fn compare_files(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.offset)?;
        match &self.gtids {
            Gtids::None => Ok(()),
            Gtids::MySql(set) => write!(f, " ({set})"),
            Gtids::MariaDb(list) => write!(f, " ({list})"),
        }
    }
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.gtid {
            Some(gtid) => write!(f, "{gtid}"),
            None => write!(f, "{}:{}", self.file, self.offset),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transaction(file: &str, offset: u64, gtid: Option<Gtid>) -> TransactionId {
        TransactionId { gtid, file: file.into(), offset }
    }

    #[test]
    fn without_gtids_file_order_decides() {
        let position = Position { file: "b.000009".into(), offset: 500, gtids: Gtids::None };
        for (file, offset, seen) in [
            ("b.000009", 499, true),
            ("b.000009", 500, false),
            ("b.000008", 9_000, true),
            ("b.000010", 4, false),
            ("b.1000000", 4, false),
        ] {
            assert_eq!(position.covers(&transaction(file, offset, None)), seen, "{file}:{offset}");
        }
    }

    #[test]
    fn with_gtids_membership_decides_and_gaps_stay_gaps() {
        let set = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:8".parse().expect("a valid set");
        let position = Position { file: "b.000002".into(), offset: 9_999, gtids: Gtids::MySql(set) };
        let source = 0x3e11fa47_71ca_11e1_9e33_c80aa9429562;
        for (number, seen) in [(1, true), (5, true), (6, false), (8, true), (9, false)] {
            let gtid = Gtid::MySql { source, tag: "".into(), number };
            assert_eq!(position.covers(&transaction("b.000001", 4, Some(gtid))), seen, "{number}");
        }
    }

    #[test]
    fn a_position_covers_what_it_was_advanced_by() {
        let mut position = Position::default();
        let gtid = Gtid::MariaDb { domain: 0, server: 1, sequence: 7 };
        let first = transaction("b.000001", 100, Some(gtid));
        position.advance(&first, 200);
        assert!(position.covers(&first));
        let next = transaction("b.000001", 200, Some(Gtid::MariaDb { domain: 0, server: 1, sequence: 8 }));
        assert!(!position.covers(&next));
        assert_eq!(position.to_string(), "b.000001:200 (0-1-7)");
    }
}
