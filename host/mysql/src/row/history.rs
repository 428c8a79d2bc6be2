//! Hidden columns of MariaDB's system-versioned tables.
//!
//! `WITH SYSTEM VERSIONING` without columns for it adds two that no catalog shows, `row_start` and `row_end`, behind all
//! others. Their rows hold them, and the table's history comes through the binlog as rows of the same table: an UPDATE is
//! followed by an INSERT of the row as it was, a DELETE is an UPDATE of `row_end`.

use crate::event::{MapColumn, TableMap, wire};

/// `row_start` and `row_end`.
pub(super) const HIDDEN_COLUMNS: usize = 2;

/// Digits of a second that both have.
const FRACTION: u16 = 6;

/// The end of what has not ended: the last second that a timestamp can hold, in 31 bits, and in 32 since MariaDB 11.5, each
/// with 999,999 microseconds.
const NEVER: [[u8; 7]; 2] =
    [[0x7f, 0xff, 0xff, 0xff, 0x0f, 0x42, 0x3f], [0xff, 0xff, 0xff, 0xff, 0x0f, 0x42, 0x3f]];

/// Whether the map has the two hidden columns behind those that are known.
pub(super) fn hides_history(known: usize, map: &TableMap) -> bool {
    let is_hidden =
        |column: &MapColumn| column.kind == wire::TIMESTAMP2 && column.meta == FRACTION && !column.nullable;
    let behind = map.columns.get(known..).unwrap_or_default();
    let named = map.names.as_ref().and_then(|names| names.get(known..));
    behind.len() == HIDDEN_COLUMNS
        && behind.iter().all(is_hidden)
        && named.is_none_or(|names| names == ["row_start", "row_end"])
}

/// Whether a row that ends then is true now.
pub(super) fn is_current(row_end: &[u8]) -> bool {
    NEVER.iter().any(|never| never == row_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(columns: &[(u8, u16, bool)], names: Option<&[&str]>) -> TableMap {
        let column = |&(kind, meta, nullable): &(u8, u16, bool)| MapColumn {
            kind,
            meta,
            nullable,
            unsigned: None,
            collation: None,
        };
        TableMap {
            table_id: 1,
            database: "d".to_owned(),
            table: "t".to_owned(),
            columns: columns.iter().map(column).collect(),
            names: names.map(|names| names.iter().map(|name| (*name).to_owned()).collect()),
            labels: Default::default(),
        }
    }

    #[test]
    fn only_two_timestamps_that_are_never_null_are_hidden() {
        let (key, hidden) = ((wire::LONG, 0, false), (wire::TIMESTAMP2, 6, false));
        for (columns, names, hides) in [
            (&[key, hidden, hidden][..], None, true),
            (&[key, hidden, hidden], Some(&["id", "row_start", "row_end"][..]), true),
            (&[key, hidden, hidden], Some(&["id", "made", "changed"]), false),
            (&[key, hidden], None, false),
            (&[key, key, hidden, hidden], None, false),
            (&[key, hidden, (wire::TIMESTAMP2, 6, true)], None, false),
            (&[key, hidden, (wire::TIMESTAMP2, 3, false)], None, false),
            (&[key], None, false),
        ] {
            assert_eq!(hides_history(1, &map(columns, names)), hides, "{columns:?} {names:?}");
        }
    }
}
