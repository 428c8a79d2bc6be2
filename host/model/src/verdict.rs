//! From verdicts about row images to what goes on: the one place that decides it, for plugins and for filters.
//!
//! A verdict is about one row image: it stays or it goes. Of an update both images may have one:
//!
//! | before | after | goes on |
//! |---|---|---|
//! | stays | stays | the update; where its effective key changed, the sink deletes the old key and writes the new row |
//! | stays | goes  | a delete: the row has left the filter |
//! | goes  | stays | an insert: the row has entered it |
//! | goes  | goes  | nothing |
//!
//! A row after that comes alone, because nobody needed the one before, can have been in the sink: when it goes, its key is
//! deleted, which is harmless if it is not there. Without a key there is nothing to delete by, and it is dropped.
//!
//! Where several rows are made of one there are no verdicts: what was made of a row before, or of a deleted row, is deleted, and
//! what was made of a row after is inserted. In that order: a row that is made again under the same key takes the old one's place, and one that is
//! not made any more is gone.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::buffer::BooleanBuffer;
use arrow::compute::FilterBuilder;
use arrow::error::ArrowError;

use crate::{ChangeBatch, Origin, RowKind, TableSchema};

/// What goes on of a batch.
#[derive(Debug, PartialEq, Eq)]
pub struct Folded {
    /// One bit for each row that came in: whether it goes on. None: all do.
    pub selected: Option<BooleanBuffer>,
    /// What the rows that go on are.
    pub kinds: Vec<RowKind>,
    /// Rows that were dropped.
    pub dropped: u64,
}

impl Folded {
    /// The batch of what goes on, under its schema, from columns for all rows that came in.
    ///
    /// # Errors
    /// Arrow's, when a column is not as long as the rows that came in.
    pub fn apply(
        self,
        schema: Arc<TableSchema>,
        columns: Vec<ArrayRef>,
        origins: &[Origin],
    ) -> Result<ChangeBatch, ArrowError> {
        let Some(selected) = self.selected else {
            return Ok(ChangeBatch { schema, kinds: self.kinds, columns, origins: origins.to_vec() });
        };
        let origins = select_origins(origins, &selected);
        let predicate = FilterBuilder::new(&BooleanArray::new(selected, None)).optimize().build();
        let columns = columns.iter().map(|column| predicate.filter(column)).collect::<Result<_, _>>()?;
        Ok(ChangeBatch { schema, kinds: self.kinds, columns, origins })
    }
}

/// Folds verdicts. `keep` none means that all stay; `failed` has the rows taken out for their errors, ascending, pairs whole.
pub fn fold(kinds: &[RowKind], keep: Option<&BooleanBuffer>, failed: &[usize], keyed: bool) -> Folded {
    if keep.is_none() && failed.is_empty() {
        return Folded { selected: None, kinds: kinds.to_vec(), dropped: 0 };
    }
    let mut failed = failed.iter().copied().peekable();
    let mut selected = vec![false; kinds.len()];
    let mut out = Vec::with_capacity(kinds.len());
    let mut dropped = 0;
    let mut row = 0;
    while let Some(&kind) = kinds.get(row) {
        let width = if is_pair(kinds, row) { 2 } else { 1 };
        if failed.next_if_eq(&row).is_some() {
            failed.next_if_eq(&(row + width - 1));
            row += width;
            continue;
        }
        let stays = |row: usize| keep.is_none_or(|keep| keep.value(row));
        let first = stays(row).then_some(kind);
        let fate = match (width, kind) {
            (2, _) => match (stays(row), stays(row + 1)) {
                (true, true) => [Some(RowKind::Before), Some(RowKind::After)],
                (true, false) => [Some(RowKind::Delete), None],
                (false, true) => [None, Some(RowKind::Insert)],
                (false, false) => [None, None],
            },
            (_, RowKind::After) if keyed => [first.or(Some(RowKind::Delete)), None],
            _ => [first, None],
        };
        for (offset, kind) in fate.into_iter().take(width).enumerate() {
            match kind {
                Some(kind) => {
                    selected[row + offset] = true;
                    out.push(kind);
                }
                None => dropped += 1,
            }
        }
        row += width;
    }
    let selected = (out.len() < kinds.len()).then(|| BooleanBuffer::from(selected));
    Folded { selected, kinds: out, dropped }
}

/// What rows are that were made of others: `made_of` names for each the row that it was made of.
pub fn kinds_made(kinds: &[RowKind], made_of: &[usize]) -> Vec<RowKind> {
    let made = |row: &usize| match kinds.get(*row) {
        Some(RowKind::Before | RowKind::Delete) => RowKind::Delete,
        Some(RowKind::Read) => RowKind::Read,
        Some(RowKind::Insert | RowKind::After) | None => RowKind::Insert,
    };
    made_of.iter().map(made).collect()
}

/// The runs of rows that were made of others; `made_of` never falls.
pub fn origins_made(origins: &[Origin], made_of: &[usize]) -> Vec<Origin> {
    let mut out: Vec<Origin> = Vec::with_capacity(origins.len());
    let mut made = 0;
    for (place, origin) in origins.iter().enumerate() {
        let end = origins.get(place + 1).map_or(usize::MAX, |next| next.first_row as usize);
        let rows = made_of[made..].partition_point(|row| *row < end);
        if rows > 0 {
            // A batch counts its rows in 32 bits; more are refused before.
            out.push(Origin { first_row: u32::try_from(made).unwrap_or(u32::MAX), ..origin.clone() });
        }
        made += rows;
    }
    out
}

/// Whether an update's two rows begin at this row.
pub fn is_pair(kinds: &[RowKind], row: usize) -> bool {
    kinds.get(row) == Some(&RowKind::Before) && kinds.get(row + 1) == Some(&RowKind::After)
}

/// The runs of the rows that go on.
pub fn select_origins(origins: &[Origin], selected: &BooleanBuffer) -> Vec<Origin> {
    let mut out = Vec::with_capacity(origins.len());
    let mut first_row = 0;
    for (place, origin) in origins.iter().enumerate() {
        let from = (origin.first_row as usize).min(selected.len());
        let to =
            origins.get(place + 1).map_or(selected.len(), |next| next.first_row as usize).min(selected.len());
        let rows = selected.slice(from, to.saturating_sub(from)).count_set_bits();
        if rows > 0 {
            out.push(Origin { first_row, ..origin.clone() });
        }
        // A batch counts its rows in 32 bits, and no more go on than came in.
        first_row += u32::try_from(rows).unwrap_or(u32::MAX);
    }
    out
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
