//! Row images as columns: what workers decode, guests see and appliers encode.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::concat;
use arrow::error::ArrowError;

use crate::{TableSchema, TransactionId};

/// What a row image is. The numbers are those of the guest interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RowKind {
    /// An inserted row.
    Insert = 0,
    /// An updated row as it was; always followed by its `After`.
    Before = 1,
    /// An updated row as it is; comes without a `Before` where nobody asked for one and the key is the same.
    After = 2,
    /// A deleted row as it was.
    Delete = 3,
    /// A row read by the snapshot.
    Read = 4,
}

impl RowKind {
    /// The number that the guest interface uses.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// Where a run of rows came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The first row of the run; the run ends where the next begins.
    pub first_row: u32,
    /// Commit time at the source in microseconds since 1970-01-01T00:00:00Z; 0 for rows read by a snapshot.
    pub commit_micros: i64,
    /// Order of the event in the stream: rises with each event; 0 for rows read by a snapshot.
    pub ordinal: u64,
    /// The source transaction; none for rows read by a snapshot.
    pub transaction: Option<Arc<TransactionId>>,
    /// Columns that the source did not write into the run's images; none where it wrote all of them.
    pub absent: Option<Arc<Absent>>,
}

/// Columns that are in none of a run's images (`binlog_row_image` other than `FULL`), by their places in the schema, ascending.
///
/// What is absent is *not* null, though the arrays have nulls there: nobody but the sink knows the value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Absent {
    /// From deleted rows, and from updated rows as they were.
    pub before: Vec<usize>,
    /// From rows as they are: such a column has the value that it had before.
    pub after: Vec<usize>,
}

impl Absent {
    /// What an image of this kind lacks.
    pub fn of(&self, kind: RowKind) -> &[usize] {
        match kind {
            RowKind::Before | RowKind::Delete => &self.before,
            RowKind::Insert | RowKind::After | RowKind::Read => &self.after,
        }
    }
}

/// Row images of one table and schema version, in stream order, as columns.
///
/// Invariants: `columns` has one array for each column of `schema`, of the kind that
/// [`ColumnType::physical`](crate::ColumnType::physical) names; each is as long as `kinds`; `origins` is not empty when
/// there are rows and its first run begins at row 0.
#[derive(Debug, Clone)]
pub struct ChangeBatch {
    /// What the columns are.
    pub schema: Arc<TableSchema>,
    /// One for each row.
    pub kinds: Vec<RowKind>,
    /// One array for each column of `schema`.
    pub columns: Vec<ArrayRef>,
    /// Runs of rows by origin, ascending.
    pub origins: Vec<Origin>,
}

impl ChangeBatch {
    /// Number of row images.
    pub fn rows(&self) -> usize {
        self.kinds.len()
    }

    /// Bytes that the arrays hold on to.
    pub fn byte_size(&self) -> usize {
        self.columns.iter().map(|c| c.get_array_memory_size()).sum::<usize>() + self.kinds.len()
    }

    /// Some rows of the batch; the arrays are shared.
    pub fn slice(&self, rows: Range<usize>) -> Self {
        let start = u32::try_from(rows.start).unwrap_or(u32::MAX);
        let end = u32::try_from(rows.end).unwrap_or(u32::MAX);
        let before = self.origins.partition_point(|origin| origin.first_row <= start).saturating_sub(1);
        let cut =
            |origin: &Origin| Origin { first_row: origin.first_row.saturating_sub(start), ..origin.clone() };
        Self {
            schema: Arc::clone(&self.schema),
            kinds: self.kinds[rows.clone()].to_vec(),
            columns: self.columns.iter().map(|column| column.slice(rows.start, rows.len())).collect(),
            origins: self.origins[before..]
                .iter()
                .take_while(|origin| origin.first_row < end)
                .map(cut)
                .collect(),
        }
    }

    /// Batches of one schema, one behind the other; none of none.
    ///
    /// # Errors
    /// Arrow's, when their columns differ.
    pub fn concat(parts: &[Self]) -> Result<Option<Self>, ArrowError> {
        let Some(first) = parts.first() else { return Ok(None) };
        let mut whole = Self {
            schema: Arc::clone(&first.schema),
            kinds: Vec::new(),
            columns: Vec::new(),
            origins: Vec::new(),
        };
        for part in parts {
            let offset = u32::try_from(whole.kinds.len()).unwrap_or(u32::MAX);
            whole.kinds.extend_from_slice(&part.kinds);
            for origin in &part.origins {
                let origin = Origin { first_row: origin.first_row + offset, ..origin.clone() };
                let same = |last: &Origin| Origin { first_row: origin.first_row, ..last.clone() } == origin;
                if !whole.origins.last().is_some_and(same) {
                    whole.origins.push(origin);
                }
            }
        }
        for place in 0..first.columns.len() {
            let column: Vec<&dyn Array> =
                parts.iter().filter_map(|part| part.columns.get(place)).map(AsRef::as_ref).collect();
            whole.columns.push(concat(&column)?);
        }
        Ok(Some(whole))
    }

    /// Whether some images lack columns.
    pub fn lacks_columns(&self) -> bool {
        self.origins.iter().any(|origin| origin.absent.is_some())
    }

    /// The columns that a row's image lacks.
    pub fn absent_of(&self, row: usize) -> &[usize] {
        let absent = self.origin_of(row).and_then(|origin| origin.absent.as_deref());
        match (absent, self.kinds.get(row)) {
            (Some(absent), Some(kind)) => absent.of(*kind),
            _ => &[],
        }
    }

    /// The origin of a row; none only when the batch breaks its invariants.
    pub fn origin_of(&self, row: usize) -> Option<&Origin> {
        let after = self.origins.partition_point(|o| o.first_row as usize <= row);
        self.origins.get(after.checked_sub(1)?)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;

    use super::*;
    use crate::{Column, ColumnType, TableId};

    #[test]
    fn a_row_finds_the_run_it_lies_in() {
        let column = Column {
            name: "id".into(),
            column_type: ColumnType::Int,
            nullable: false,
            source_type: "int".into(),
            default: Default::default(),
            charset: None,
            comment: None,
        };
        let schema = TableSchema {
            id: TableId::new("d", "t"),
            version: 1,
            columns: vec![column],
            key: vec![0],
            comment: None,
            charset: None,
            unique_keys: Vec::new(),
            ddl: None,
        };
        let run = |first_row, ordinal| Origin {
            first_row,
            commit_micros: 0,
            ordinal,
            transaction: None,
            absent: None,
        };
        let batch = ChangeBatch {
            schema: Arc::new(schema),
            kinds: vec![RowKind::Insert; 5],
            columns: vec![Arc::new(Int64Array::from(vec![1, 2, 3, 4, 5]))],
            origins: vec![run(0, 7), run(2, 8), run(4, 9)],
        };
        let found: Vec<_> = (0..5).filter_map(|row| batch.origin_of(row)).map(|o| o.ordinal).collect();
        assert_eq!(found, [7, 7, 8, 8, 9]);
    }
}
