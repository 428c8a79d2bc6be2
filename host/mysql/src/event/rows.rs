//! Heads of row events. Their rows are decoded elsewhere, later, by whoever wants the values.

use super::{Cursor, Fault, kind};

/// What an event did to its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowsKind {
    /// Each row is an image of a new row.
    Write,
    /// Each row is two images: before, after.
    Update,
    /// Each row is an image of a row that went.
    Delete,
}

/// A row event up to its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowsHead<'a> {
    pub(crate) table_id: u64,
    pub(crate) kind: RowsKind,
    pub(crate) columns: usize,
    /// Every image holds every column, whole.
    pub(crate) is_full: bool,
    /// Images after may hold differences of JSON documents.
    pub(crate) has_differences: bool,
    /// One bit a column: whether the first image holds it, and the second (the same one where there is no second).
    pub(crate) present: [&'a [u8]; 2],
    /// The rows have to be inflated first (MariaDB).
    pub(crate) is_compressed: bool,
    /// The rows, to the end.
    pub(crate) rows: &'a [u8],
}

/// Reads the head; the type must be one of row events.
pub(crate) fn rows_head(event_type: u8, body: &[u8]) -> Result<RowsHead<'_>, Fault> {
    let (kind, second_version, is_compressed) = match event_type {
        kind::WRITE_ROWS_V1 => (RowsKind::Write, false, false),
        kind::UPDATE_ROWS_V1 => (RowsKind::Update, false, false),
        kind::DELETE_ROWS_V1 => (RowsKind::Delete, false, false),
        kind::WRITE_ROWS => (RowsKind::Write, true, false),
        kind::UPDATE_ROWS | kind::PARTIAL_UPDATE_ROWS => (RowsKind::Update, true, false),
        kind::DELETE_ROWS => (RowsKind::Delete, true, false),
        kind::WRITE_ROWS_COMPRESSED_V1 => (RowsKind::Write, false, true),
        kind::UPDATE_ROWS_COMPRESSED_V1 => (RowsKind::Update, false, true),
        kind::DELETE_ROWS_COMPRESSED_V1 => (RowsKind::Delete, false, true),
        kind::WRITE_ROWS_COMPRESSED => (RowsKind::Write, true, true),
        kind::UPDATE_ROWS_COMPRESSED => (RowsKind::Update, true, true),
        kind::DELETE_ROWS_COMPRESSED => (RowsKind::Delete, true, true),
        other => return Err(format!("event type {other} is none of rows").into()),
    };
    let head = read(body, kind, second_version, is_compressed).ok_or_else(|| Fault::short("a row event"))?;
    let has_differences = event_type == kind::PARTIAL_UPDATE_ROWS;
    Ok(RowsHead { has_differences, is_full: head.is_full && !has_differences, ..head })
}

fn read(body: &[u8], kind: RowsKind, second_version: bool, is_compressed: bool) -> Option<RowsHead<'_>> {
    let mut cursor = Cursor::new(body);
    let table_id = cursor.uint(6)?;
    cursor.take(2)?;
    if second_version {
        // The length counts itself.
        let extra = usize::from(cursor.u16()?);
        cursor.take(extra.checked_sub(2)?)?;
    }
    let columns = usize::try_from(cursor.length_encoded()?).ok()?;
    let bitmaps = if kind == RowsKind::Update { 2 } else { 1 };
    let mut present = [&body[..0]; 2];
    for place in 0..bitmaps {
        present[place..].fill(cursor.take(columns.div_ceil(8))?);
    }
    let is_full = present.iter().all(|bitmap| all_set(bitmap, columns));
    let (has_differences, rows) = (false, cursor.rest());
    Some(RowsHead { table_id, kind, columns, is_full, has_differences, present, is_compressed, rows })
}

fn all_set(bitmap: &[u8], bits: usize) -> bool {
    let (whole, rest) = bitmap.split_at(bits / 8);
    let mask = (1_u8 << (bits % 8)) - 1;
    whole.iter().all(|b| *b == 0xff) && rest.iter().all(|b| b & mask == mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_both_versions_end_where_the_rows_begin() {
        let first = [9, 0, 0, 0, 0, 0, 1, 0, 3, 0b111, 42];
        let second = [9, 0, 0, 0, 0, 0, 1, 0, 4, 0, 0, 7, 3, 0b111, 0b011, 42];
        let write = rows_head(kind::WRITE_ROWS_V1, &first).expect("a head");
        assert_eq!((write.table_id, write.columns, write.is_full, write.rows), (9, 3, true, &[42][..]));
        let update = rows_head(kind::UPDATE_ROWS, &second).expect("a head");
        assert_eq!((update.kind, update.is_full, update.rows), (RowsKind::Update, false, &[42][..]));
        for length in 0..10 {
            assert!(rows_head(kind::WRITE_ROWS_V1, &first[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn a_bitmap_is_full_when_no_column_is_missing() {
        for (bitmap, bits, full) in [
            (&[0xff, 0x01][..], 9, true),
            (&[0xff, 0x00], 9, false),
            (&[0x7f, 0xff], 16, false),
            (&[0xff], 8, true),
        ] {
            assert_eq!(all_set(bitmap, bits), full);
        }
    }
}
