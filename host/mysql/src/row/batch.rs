//! Row events of one table and schema, gathered into a batch.

use std::sync::Arc;

use arrow::array::ArrayRef;
use sluicebox_model::{ChangeBatch, Origin, RowKind, TableSchema};

use super::builder::ColumnBuilder;
use super::cell::append_patched;
use super::history::is_current;
use super::layout::RowLayout;
use super::partial::{Present, Value};
use crate::MysqlError;
use crate::event::{Cursor, Fault, RowsKind, inflate_body};
use crate::stream::RowsEvent;

/// Which images of an updated row are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Images {
    /// The row as it is; as it was too where the bytes of its key changed. Tables without a key: as it is.
    Effective,
    /// Every updated row as it was and as it is.
    Both,
}

/// Row images of one schema on their way into columns.
#[derive(Debug)]
pub struct BatchBuilder {
    schema: Arc<TableSchema>,
    images: Images,
    kinds: Vec<RowKind>,
    columns: Vec<ColumnBuilder>,
    origins: Vec<Origin>,
}

impl BatchBuilder {
    /// An empty batch.
    pub fn new(schema: Arc<TableSchema>, images: Images) -> Self {
        let columns = schema.columns.iter().map(|c| ColumnBuilder::new(c.column_type)).collect();
        Self { schema, images, kinds: Vec::new(), columns, origins: Vec::new() }
    }

    /// Decodes events one behind the other into an empty batch.
    ///
    /// The first one tells how many rows a byte makes, so that there is room for those of the others at once: a column that
    /// grows by doubling moves what it holds, and touches fresh memory each time.
    ///
    /// # Errors
    /// As those of [`Self::push`].
    pub fn push_all(&mut self, events: &[RowsEvent]) -> Result<(), MysqlError> {
        let Some((first, others)) = events.split_first() else { return Ok(()) };
        self.push(first)?;
        let bytes: usize = others.iter().map(RowsEvent::byte_len).sum();
        // A value takes a byte at least, unless it is null: a first row that is all null must not ask for the memory of a thousand.
        let most = bytes / self.columns.len().max(1);
        let rows = (self.kinds.len().saturating_mul(bytes) / first.byte_len().max(1)).min(most);
        if !first.is_compressed {
            self.kinds.reserve(rows);
            self.columns.iter_mut().for_each(|column| column.reserve(rows));
        }
        others.iter().try_for_each(|event| self.push(event))
    }

    /// Decodes an event's rows behind those that are there. The event must be of this batch's schema.
    ///
    /// # Errors
    /// [`MysqlError::SchemaMismatch`] when the rows do not read as the schema's columns. The batch must not be used then.
    pub fn push(&mut self, event: &RowsEvent) -> Result<(), MysqlError> {
        self.push_rows(event).map_err(|fault| MysqlError::SchemaMismatch {
            table: event.schema.id.clone(),
            place: format!("{}:{}", event.transaction.file, event.transaction.offset),
            reason: fault.to_string(),
            gap: None,
        })
    }

    fn push_rows(&mut self, event: &RowsEvent) -> Result<(), Fault> {
        let same = Arc::ptr_eq(&event.schema, &self.schema)
            || (event.schema.id == self.schema.id && event.schema.version == self.schema.version);
        if !same {
            return Err("rows of one schema came into a batch of another".into());
        }
        let first_row = u32::try_from(self.kinds.len()).map_err(|_| "a batch has more than 2^32 rows")?;
        if event.is_compressed {
            self.walk(event, &inflate_body(&event.body)?)?;
        } else {
            self.walk(event, &event.body)?;
        }
        if self.kinds.len() > usize::try_from(first_row).unwrap_or(usize::MAX) {
            self.origins.push(Origin {
                first_row,
                commit_micros: event.commit_micros,
                ordinal: event.ordinal,
                transaction: Some(Arc::clone(&event.transaction)),
                absent: event.present.as_ref().and_then(|present| present.absent()).cloned(),
            });
        }
        self.columns.iter_mut().for_each(ColumnBuilder::check_utf8);
        Ok(())
    }

    fn walk(&mut self, event: &RowsEvent, rows: &[u8]) -> Result<(), Fault> {
        let (kind, layout) = (event.kind, &*event.layout);
        let mut cursor = Cursor::new(rows);
        if let Some(present) = &event.present {
            while !cursor.is_empty() {
                self.append_partial(kind, layout, present, &mut cursor)?;
            }
            return Ok(());
        }
        while !cursor.is_empty() {
            match kind {
                _ if layout.is_versioned => self.append_versioned(kind, layout, &mut cursor)?,
                RowsKind::Write => self.append(layout, &mut cursor, RowKind::Insert)?,
                RowsKind::Delete => self.append(layout, &mut cursor, RowKind::Delete)?,
                RowsKind::Update => self.append_update(layout, &mut cursor)?,
            }
        }
        Ok(())
    }

    /// Of a table with a hidden history only what is true now counts: a row that ends is a deletion, one that ended before
    /// is nothing.
    fn append_versioned(
        &mut self,
        kind: RowsKind,
        layout: &RowLayout,
        rows: &mut Cursor<'_>,
    ) -> Result<(), Fault> {
        let first = *rows;
        let first_is_current = skip_versioned(layout, rows)?;
        match kind {
            RowsKind::Write if first_is_current => self.append(layout, &mut { first }, RowKind::Insert),
            RowsKind::Delete if first_is_current => self.append(layout, &mut { first }, RowKind::Delete),
            RowsKind::Write | RowsKind::Delete => Ok(()),
            RowsKind::Update => {
                let second = *rows;
                match (first_is_current, skip_versioned(layout, rows)?) {
                    (true, true) => self.append_update(layout, &mut { first }),
                    (true, false) => self.append(layout, &mut { first }, RowKind::Delete),
                    (false, true) => self.append(layout, &mut { second }, RowKind::Insert),
                    (false, false) => Ok(()),
                }
            }
        }
    }

    fn append_update(&mut self, layout: &RowLayout, rows: &mut Cursor<'_>) -> Result<(), Fault> {
        if self.images == Images::Effective {
            let before = *rows;
            skip(layout, rows)?;
            let key_changed = !layout.key.is_empty() && !same_key(layout, before, *rows)?;
            if !key_changed {
                return self.append(layout, rows, RowKind::After);
            }
            *rows = before;
        }
        self.append(layout, rows, RowKind::Before)?;
        self.append(layout, rows, RowKind::After)
    }

    /// Decodes a row whose images do not hold every column.
    #[cold]
    fn append_partial(
        &mut self,
        kind: RowsKind,
        layout: &RowLayout,
        present: &Present,
        rows: &mut Cursor<'_>,
    ) -> Result<(), Fault> {
        let first = present.first(layout, rows)?;
        match kind {
            RowsKind::Write => self.put_insert(layout, &first),
            RowsKind::Delete => self.put(layout, &first, RowKind::Delete),
            RowsKind::Update => {
                let second = present.second(layout, rows, &first)?;
                let key_changed = layout.key.iter().any(|&place| first.get(place) != second.get(place));
                if self.images == Images::Both || key_changed {
                    self.put(layout, &first, RowKind::Before)?;
                }
                self.put(layout, &second, RowKind::After)
            }
        }
    }

    /// Appends an inserted row; what its image does not hold has its default. The stream sends no row here that lacks a column
    /// whose default is not known, but for those that are null then.
    fn put_insert(&mut self, layout: &RowLayout, values: &[Value<'_>]) -> Result<(), Fault> {
        let defaults = layout.defaults.iter();
        for (((cell, column), value), default) in
            layout.cells.iter().zip(&mut self.columns).zip(values).zip(defaults)
        {
            match (value, default) {
                (Value::Absent, Some(filled)) => filled.append(column),
                (Value::Absent, None) | (Value::Null, _) => column.append_null(),
                (Value::Bytes(bytes), _) => cell.decode(bytes, column)?,
                (Value::Patched { document, differences }, _) => {
                    append_patched(document, differences, column)?
                }
            }
        }
        self.kinds.push(RowKind::Insert);
        Ok(())
    }

    /// Appends an image; what it does not hold is null in the columns, and told by the batch's origins.
    fn put(&mut self, layout: &RowLayout, values: &[Value<'_>], kind: RowKind) -> Result<(), Fault> {
        for ((cell, column), value) in layout.cells.iter().zip(&mut self.columns).zip(values) {
            match value {
                Value::Absent | Value::Null => column.append_null(),
                Value::Bytes(bytes) => cell.decode(bytes, column)?,
                Value::Patched { document, differences } => append_patched(document, differences, column)?,
            }
        }
        self.kinds.push(kind);
        Ok(())
    }

    /// Decodes one image.
    fn append(&mut self, layout: &RowLayout, rows: &mut Cursor<'_>, kind: RowKind) -> Result<(), Fault> {
        let nulls = take_nulls(layout, rows)?;
        let cells = layout.cells.iter().zip(&mut self.columns);
        if nulls.iter().all(|byte| *byte == 0) {
            for (cell, column) in cells {
                cell.decode(cell.take(rows).ok_or_else(short)?, column)?;
            }
        } else {
            for (place, (cell, column)) in cells.enumerate() {
                if is_null(nulls, place) {
                    column.append_null();
                } else {
                    cell.decode(cell.take(rows).ok_or_else(short)?, column)?;
                }
            }
        }
        // What is written behind the schema's columns is hidden, and never null.
        for cell in layout.cells.get(self.columns.len()..).unwrap_or_default() {
            cell.take(rows).ok_or_else(short)?;
        }
        self.kinds.push(kind);
        Ok(())
    }

    /// Row images in the batch.
    pub fn rows(&self) -> usize {
        self.kinds.len()
    }

    /// About the bytes that the finished batch will hold.
    pub fn bytes(&self) -> usize {
        self.kinds.len() + self.columns.iter().map(ColumnBuilder::bytes).sum::<usize>()
    }

    /// Values that could not be held: dates that are none became null, text that is none got replacement characters.
    pub fn replaced(&self) -> u64 {
        self.columns.iter().map(ColumnBuilder::replaced).sum()
    }

    /// The batch.
    ///
    /// # Errors
    /// [`MysqlError::SchemaMismatch`] when a column is too large for an array: over 2 GiB of text or bytes.
    pub fn finish(self) -> Result<ChangeBatch, MysqlError> {
        let Self { schema, kinds, columns, origins, .. } = self;
        let columns: Result<Vec<ArrayRef>, _> = columns.into_iter().map(ColumnBuilder::finish).collect();
        let columns = columns.map_err(|error| MysqlError::SchemaMismatch {
            table: schema.id.clone(),
            place: origins
                .first()
                .and_then(|o| o.transaction.as_ref())
                .map_or_else(String::new, |t| t.to_string()),
            reason: error.to_string(),
            gap: None,
        })?;
        Ok(ChangeBatch { schema, kinds, columns, origins })
    }
}

fn short() -> Fault {
    Fault::short("a row")
}

#[inline]
fn take_nulls<'a>(layout: &RowLayout, rows: &mut Cursor<'a>) -> Result<&'a [u8], Fault> {
    rows.take(layout.cells.len().div_ceil(8)).ok_or_else(short)
}

#[inline]
fn is_null(nulls: &[u8], place: usize) -> bool {
    nulls.get(place / 8).is_some_and(|byte| byte >> (place % 8) & 1 == 1)
}

fn skip(layout: &RowLayout, rows: &mut Cursor<'_>) -> Result<(), Fault> {
    let nulls = take_nulls(layout, rows)?;
    for (place, cell) in layout.cells.iter().enumerate() {
        if !is_null(nulls, place) {
            cell.take(rows).ok_or_else(short)?;
        }
    }
    Ok(())
}

/// The rows of an event behind its first `count`; none are left when it has fewer.
pub(crate) fn behind_rows<'a>(
    kind: RowsKind,
    layout: &RowLayout,
    present: Option<&Present>,
    rows: &'a [u8],
    count: u64,
) -> Result<&'a [u8], Fault> {
    let mut cursor = Cursor::new(rows);
    let images = if kind == RowsKind::Update { 2 } else { 1 };
    for _ in 0..count {
        if cursor.is_empty() {
            break;
        }
        if let Some(present) = present {
            present.skip(kind, layout, &mut cursor)?;
            continue;
        }
        for _ in 0..images {
            skip(layout, &mut cursor)?;
        }
    }
    Ok(cursor.rest())
}

/// Skips an image; gives whether it is of a row that is true now.
fn skip_versioned(layout: &RowLayout, rows: &mut Cursor<'_>) -> Result<bool, Fault> {
    let nulls = take_nulls(layout, rows)?;
    let mut last: &[u8] = &[];
    for (place, cell) in layout.cells.iter().enumerate() {
        if !is_null(nulls, place) {
            last = cell.take(rows).ok_or_else(short)?;
        }
    }
    Ok(is_current(last))
}

/// Whether two images hold the same bytes in the key's columns. Both cursors stand before an image.
fn same_key(layout: &RowLayout, mut before: Cursor<'_>, mut after: Cursor<'_>) -> Result<bool, Fault> {
    let nulls_before = take_nulls(layout, &mut before)?;
    let nulls_after = take_nulls(layout, &mut after)?;
    let mut key = layout.key.iter().copied().peekable();
    for (place, cell) in layout.cells.iter().enumerate() {
        let Some(next) = key.peek() else { return Ok(true) };
        let old =
            if is_null(nulls_before, place) { None } else { Some(cell.take(&mut before).ok_or_else(short)?) };
        let new =
            if is_null(nulls_after, place) { None } else { Some(cell.take(&mut after).ok_or_else(short)?) };
        if place == *next {
            if old != new {
                return Ok(false);
            }
            key.next();
        }
    }
    Ok(true)
}
