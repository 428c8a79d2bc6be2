//! Row images that do not hold every column (`binlog_row_image` other than `FULL`).
//!
//! Which columns they hold is said once an event, for images before and after; their bitmaps of nulls have bits for those columns
//! only. An updated row keeps what its image after does not hold: where the image before holds it, it is put together
//! from both. What neither holds is told with the batch as *absent*, and is never taken for null.
//!
//! Of JSON documents an image after may hold the difference to the image before (`binlog_row_value_options=PARTIAL_JSON`): then each
//! such image begins with a number of options, and where its lowest bit is set, with a bit for each JSON column of the table.

use std::sync::Arc;

use sluicebox_model::Absent;

use super::layout::RowLayout;
use crate::event::{Cursor, Fault, RowsHead, RowsKind};

/// Which columns the images of an event hold, by their places in the layout.
#[derive(Debug)]
pub(crate) struct Present {
    first: Vec<bool>,
    second: Vec<bool>,
    absent: Option<Arc<Absent>>,
    /// Images after may hold differences of these columns' documents.
    documents: Option<Vec<usize>>,
}

/// A column's value in an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Absent,
    Null,
    Bytes(&'a [u8]),
    /// A document, and how it differs from that now.
    Patched {
        document: &'a [u8],
        differences: &'a [u8],
    },
}

impl Present {
    /// What the images of this event hold; `columns` is the number of those that a schema shows. `has_default`:
    /// whether it is known what an inserted row has in a column that its statement did not name.
    pub(crate) fn of(head: &RowsHead<'_>, columns: usize, has_default: impl Fn(usize) -> bool) -> Self {
        let bits = |bitmap: &[u8]| -> Vec<bool> {
            (0..head.columns)
                .map(|place| bitmap.get(place / 8).is_some_and(|b| b >> (place % 8) & 1 == 1))
                .collect()
        };
        let (first, second) = (bits(head.present[0]), bits(head.present[1]));
        let lacking = |holds: &dyn Fn(usize) -> bool| -> Vec<usize> {
            (0..columns.min(head.columns)).filter(|place| !holds(*place)).collect()
        };
        let before = match head.kind {
            RowsKind::Write => Vec::new(),
            RowsKind::Update | RowsKind::Delete => lacking(&|place| first[place]),
        };
        let after = match head.kind {
            RowsKind::Delete => Vec::new(),
            RowsKind::Write => lacking(&|place| first[place] || has_default(place)),
            RowsKind::Update => lacking(&|place| first[place] || second[place]),
        };
        let complete = before.is_empty() && after.is_empty();
        let absent = (!complete).then(|| Arc::new(Absent { before, after }));
        Self { first, second, absent, documents: None }
    }

    /// The same of images after that may hold differences of documents.
    pub(crate) fn with_differences(self, layout: &RowLayout) -> Self {
        Self { documents: Some(layout.documents()), ..self }
    }

    /// What is in no image; none where images before and after together hold everything.
    pub(crate) fn absent(&self) -> Option<&Arc<Absent>> {
        self.absent.as_ref()
    }

    /// Whether an update's image after holds the column.
    pub(crate) fn is_in_second(&self, place: usize) -> bool {
        self.second.get(place).copied().unwrap_or(false)
    }

    /// Whether a row of these updates had nothing but zero bytes, or none, in one of these columns.
    pub(crate) fn any_zero(&self, layout: &RowLayout, places: &[usize], rows: &[u8]) -> Result<bool, Fault> {
        let mut cursor = Cursor::new(rows);
        while !cursor.is_empty() {
            let first = self.first(layout, &mut cursor)?;
            read(layout, &self.second, &mut cursor)?;
            let is_zero = |place: &usize| match first.get(*place) {
                Some(Value::Bytes(bytes)) => bytes.iter().all(|byte| *byte == 0),
                Some(Value::Null | Value::Absent) | None => true,
                Some(Value::Patched { .. }) => false,
            };
            if places.iter().any(is_zero) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads an event's only image, or an update's image before.
    pub(super) fn first<'a>(
        &self,
        layout: &RowLayout,
        rows: &mut Cursor<'a>,
    ) -> Result<Vec<Value<'a>>, Fault> {
        read(layout, &self.first, rows)
    }

    /// Reads an update's image after, and completes it from the one before.
    pub(super) fn second<'a>(
        &self,
        layout: &RowLayout,
        rows: &mut Cursor<'a>,
        first: &[Value<'a>],
    ) -> Result<Vec<Value<'a>>, Fault> {
        let differs = self.differing(rows)?;
        let mut values = read(layout, &self.second, rows)?;
        for (place, (value, before)) in values.iter_mut().zip(first).enumerate() {
            match *value {
                Value::Absent => *value = *before,
                Value::Bytes(differences) if differs.contains(&place) => {
                    *value = patched(*before, differences)?;
                }
                _ => {}
            }
        }
        Ok(values)
    }

    /// The columns of whose documents the image after that begins here holds the difference.
    fn differing(&self, rows: &mut Cursor<'_>) -> Result<Vec<usize>, Fault> {
        let Some(documents) = &self.documents else { return Ok(Vec::new()) };
        let short = || Fault::short("a row");
        let options = rows.length_encoded().ok_or_else(short)?;
        if options & !1 != 0 {
            return Err(format!("an updated row has the unknown options {options}").into());
        }
        if options == 0 {
            return Ok(Vec::new());
        }
        let bits = rows.take(documents.len().div_ceil(8)).ok_or_else(short)?;
        let is_set = |bit: usize| bits.get(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1);
        Ok(documents.iter().enumerate().filter(|(bit, _)| is_set(*bit)).map(|(_, place)| *place).collect())
    }

    /// A column of which one of the rows holds a difference without the document that it is of.
    pub(crate) fn lacks_document(&self, layout: &RowLayout, rows: &[u8]) -> Result<Option<usize>, Fault> {
        let Some(documents) = &self.documents else { return Ok(None) };
        let may_lack = |place: &usize| !self.first.get(*place).copied().unwrap_or(false);
        if !documents.iter().any(may_lack) {
            return Ok(None);
        }
        let mut cursor = Cursor::new(rows);
        while !cursor.is_empty() {
            read(layout, &self.first, &mut cursor)?;
            let differs = self.differing(&mut cursor)?;
            read(layout, &self.second, &mut cursor)?;
            let is_there = |place: &usize| self.is_in_second(*place);
            if let Some(place) = differs.into_iter().filter(is_there).find(may_lack) {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// Passes over one row: one image, or two.
    pub(super) fn skip(
        &self,
        kind: RowsKind,
        layout: &RowLayout,
        rows: &mut Cursor<'_>,
    ) -> Result<(), Fault> {
        read(layout, &self.first, rows)?;
        if kind == RowsKind::Update {
            self.differing(rows)?;
            read(layout, &self.second, rows)?;
        }
        Ok(())
    }
}

/// A document after a difference; none at all is no change.
fn patched<'a>(before: Value<'a>, differences: &'a [u8]) -> Result<Value<'a>, Fault> {
    match before {
        before if differences.is_empty() => Ok(before),
        Value::Bytes(document) => Ok(Value::Patched { document, differences }),
        Value::Absent | Value::Null | Value::Patched { .. } => {
            Err("a difference comes without the document that it is of".into())
        }
    }
}

fn read<'a>(layout: &RowLayout, present: &[bool], rows: &mut Cursor<'a>) -> Result<Vec<Value<'a>>, Fault> {
    let short = || Fault::short("a row");
    let held = present.iter().filter(|held| **held).count();
    if held == 0 {
        // Its rows would take no bytes, so there would be no end of them.
        return Err("rows have no columns".into());
    }
    let nulls = rows.take(held.div_ceil(8)).ok_or_else(short)?;
    let mut values = Vec::with_capacity(present.len());
    let mut bit = 0;
    for (cell, held) in layout.cells.iter().zip(present) {
        if !held {
            values.push(Value::Absent);
            continue;
        }
        let is_null = nulls.get(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1);
        bit += 1;
        values.push(if is_null { Value::Null } else { Value::Bytes(cell.take(rows).ok_or_else(short)?) });
    }
    Ok(values)
}
