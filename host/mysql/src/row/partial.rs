//! Row images that do not hold every column (`binlog_row_image` other than `FULL`).
//!
//! Which columns they hold is said once an event, for images before and after; their bitmaps of nulls have bits for those columns
//! only. An updated row keeps what its image after does not hold: where the image before holds it, it is put together
//! from both. What neither holds is told with the batch as *absent*, and is never taken for null.

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
}

/// A column's value in an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Absent,
    Null,
    Bytes(&'a [u8]),
}

impl Present {
    /// What the images of this event hold; `columns` is the number of those that a schema shows. `left_null`: whether an
    /// inserted row whose statement did not name the column has null there.
    pub(crate) fn of(head: &RowsHead<'_>, columns: usize, left_null: impl Fn(usize) -> bool) -> Self {
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
            RowsKind::Write => lacking(&|place| first[place] || left_null(place)),
            RowsKind::Update => lacking(&|place| first[place] || second[place]),
        };
        let complete = before.is_empty() && after.is_empty();
        let absent = (!complete).then(|| Arc::new(Absent { before, after }));
        Self { first, second, absent }
    }

    /// What is in no image; none where images before and after together hold everything.
    pub(crate) fn absent(&self) -> Option<&Arc<Absent>> {
        self.absent.as_ref()
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
        let mut values = read(layout, &self.second, rows)?;
        for (value, before) in values.iter_mut().zip(first) {
            if *value == Value::Absent {
                *value = *before;
            }
        }
        Ok(values)
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
            read(layout, &self.second, rows)?;
        }
        Ok(())
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
