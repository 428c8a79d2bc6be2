//! From a batch of row images to records in buckets.
//!
//! Rows are fitted to the sink table by column name: what the sink lacks is left out, what the row lacks is null. Keyed rows
//! become upserts and deletes of their bucket; an update that changes the key is a delete of the old and an upsert of the
//! new. Rows without a key are appended as they come; of an update the row after counts, a delete has no effect, as an
//! ordinary table cannot take one.
//!
//! Snapshot chunks meet the stream here. While a chunk is being read (a *window* is open), the keys that the stream touches are
//! kept; when the chunk comes, its rows with such keys are left out, since the stream's version is newer or has been
//! written already. Everything happens on one queue, so "before" and "after" are the order of calls.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use sluicebox_maxcompute::DataType;
use sluicebox_maxcompute::bucket::{Hasher, bucket_of};
use sluicebox_maxcompute::record::{Operation, RecordBody, RecordWriter};
use sluicebox_model::{ChangeBatch, RowKind, TableId, TableSchema};

use super::cell::{Cell, ColumnView, Scratch, read};
use super::evolve::{SinkColumn, find};
use super::mapping::{Cast, cast};
use super::render;
use super::shape::SourceColumn;
use crate::error::EngineError;

/// How rows are spread over buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    /// Number of buckets.
    pub buckets: NonZeroU32,
    /// Hash family.
    pub hasher: Hasher,
}

/// How one schema version of one source fits a sink table.
#[derive(Debug)]
pub struct Fit {
    schema: Arc<TableSchema>,
    /// In the sink's column order.
    fields: Vec<Field>,
    /// Places in `fields`.
    key: Vec<usize>,
    columns: u32,
}

#[derive(Debug)]
struct Field {
    position: u32,
    from: Origin,
}

/// Where a field's value comes from.
#[derive(Debug)]
enum Origin {
    /// A column of the batch.
    Column { at: usize, cast: Cast },
    /// The same text in every row.
    Constant(Arc<str>),
}

impl Field {
    /// The value of a row; an error names the batch's column.
    fn read<'a>(
        &'a self,
        views: &[ColumnView<'a>],
        row: usize,
        scratch: &'a mut Scratch,
    ) -> Result<Option<Cell<'a>>, At> {
        match &self.from {
            Origin::Column { at, cast } => {
                read(views[*at], row, *cast, scratch).map_err(|reason| At { source: *at, reason })
            }
            Origin::Constant(text) => Ok(Some(Cell::Text(text.as_bytes()))),
        }
    }

    /// The value of a row where the column belongs to the key.
    fn read_key<'a>(
        &'a self,
        views: &[ColumnView<'a>],
        row: usize,
        scratch: &'a mut Scratch,
    ) -> Result<Cell<'a>, At> {
        match &self.from {
            Origin::Column { at, cast } => match read(views[*at], row, *cast, scratch) {
                Ok(Some(cell)) => Ok(cell),
                Ok(None) => Err(At { source: *at, reason: "a key column is null" }),
                Err(reason) => Err(At { source: *at, reason }),
            },
            Origin::Constant(text) => Ok(Cell::Text(text.as_bytes())),
        }
    }

    /// Whether two rows hold the same value.
    fn same(&self, views: &[ColumnView<'_>], a: usize, b: usize) -> bool {
        match self.from {
            Origin::Column { at, .. } => views[at].same(a, b),
            Origin::Constant(_) => true,
        }
    }
}

impl Fit {
    /// Fits rows of `schema`, and the column that the route adds, to a sink table with these columns and key. `tolerant`: a column
    /// whose type has no way into the sink's is left null rather than an error.
    pub fn new(
        schema: &Arc<TableSchema>,
        added: Option<&SourceColumn>,
        sink: &[SinkColumn],
        key: &[String],
        tolerant: bool,
    ) -> Result<Self, String> {
        let mut fields = Vec::with_capacity(sink.len());
        for (position, column) in sink.iter().enumerate() {
            let place = u32::try_from(position).map_err(|_| "it has too many columns".to_owned())?;
            if let Some(added) = added.filter(|added| column.name.eq_ignore_ascii_case(&added.name)) {
                fields.push(constant(place, column, added)?);
                continue;
            }
            let Some(source) = schema.index_of(&column.name) else {
                if !column.nullable {
                    return Err(format!(
                        "its column `{}` takes no null and the rows have no such column",
                        column.name
                    ));
                }
                continue;
            };
            let from = schema.columns[source].column_type;
            match cast(from, &column.data_type) {
                Some(cast) => {
                    fields.push(Field { position: place, from: Origin::Column { at: source, cast } })
                }
                None if tolerant && column.nullable => {
                    tracing::warn!(table = %schema.id, column = column.name, "column does not fit the sink and is left null");
                }
                None => {
                    return Err(format!(
                        "its column `{}` is {}, the rows have {from}; widen it by hand, or route the table to a new one",
                        column.name, column.data_type
                    ));
                }
            }
        }
        let place = |name: &String| {
            let at = find(sink, name).and_then(|at| fields.iter().position(|f| f.position as usize == at));
            at.ok_or_else(|| format!("its key column `{name}` is not among the rows' columns"))
        };
        let key = key.iter().map(place).collect::<Result<_, _>>()?;
        Ok(Self {
            schema: Arc::clone(schema),
            fields,
            key,
            columns: u32::try_from(sink.len()).unwrap_or(u32::MAX),
        })
    }

    /// Whether rows of this schema are what it was made for.
    pub fn is_for(&self, schema: &Arc<TableSchema>) -> bool {
        Arc::ptr_eq(&self.schema, schema) || self.schema == *schema
    }
}

/// What became of a batch's row images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Encoded {
    /// Upserted or appended.
    pub written: u64,
    /// Deleted by key.
    pub deleted: u64,
    /// Left out: a snapshot row that the stream has overtaken, a delete for an ordinary table.
    pub left_out: u64,
}

/// Encoded rows that have not been sent.
#[derive(Debug, Default)]
pub struct Buffers {
    buckets: Vec<RecordBody>,
    total: u64,
    oldest: Option<Instant>,
}

impl Buffers {
    /// Bytes in all buckets.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// When the oldest row came.
    pub fn oldest(&self) -> Option<Instant> {
        self.oldest
    }

    /// Bytes in the fullest bucket.
    pub fn largest(&self) -> u64 {
        self.buckets.iter().map(|b| b.len() as u64).max().unwrap_or(0)
    }

    /// Buckets that hold at least so many bytes, and at least one row.
    pub fn at_least(&self, bytes: u64) -> Vec<usize> {
        let full = |body: &RecordBody| !body.is_empty() && body.len() as u64 >= bytes;
        self.buckets.iter().enumerate().filter(|(_, body)| full(body)).map(|(at, _)| at).collect()
    }

    /// Takes a bucket's rows away.
    pub fn take(&mut self, bucket: usize) -> RecordBody {
        let body = self.buckets.get_mut(bucket).map(std::mem::take).unwrap_or_default();
        self.total -= body.len() as u64;
        if self.total == 0 {
            self.oldest = None;
        }
        body
    }

    fn body(&mut self, bucket: usize) -> &mut RecordBody {
        if self.buckets.len() <= bucket {
            self.buckets.resize_with(bucket + 1, RecordBody::new);
        }
        &mut self.buckets[bucket]
    }
}

/// Keys that the stream has touched while chunks are being read.
#[derive(Debug, Default)]
pub struct Windows {
    /// Start of each open window, counted in batches.
    open: BTreeMap<u64, u64>,
    /// Batch in which each key was last touched.
    touched: HashMap<Box<[u8]>, u64>,
    batches: u64,
    /// Size of `touched` after it was last cleared of what no open window needs.
    settled: usize,
}

impl Windows {
    /// Begins to keep touched keys for a window.
    pub fn open(&mut self, window: u64) {
        self.open.insert(window, self.batches);
    }

    /// Ends a window.
    pub fn close(&mut self, window: u64) {
        self.open.remove(&window);
        match self.open.values().min() {
            None => {
                self.touched = HashMap::new();
                self.settled = 0;
            }
            // Doubling bounds the work to a constant for each key.
            Some(&start) if self.touched.len() > 2 * self.settled + 1024 => {
                self.touched.retain(|_, batch| *batch >= start);
                self.settled = self.touched.len();
            }
            Some(_) => {}
        }
    }

    /// Keys kept now.
    #[cfg(test)]
    pub fn keys(&self) -> usize {
        self.touched.len()
    }
}

/// Where a batch comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The binlog.
    Stream,
    /// A snapshot chunk read inside this window.
    Window(u64),
    /// A whole table without a key: nothing to merge.
    Whole,
}

/// Encodes batches of one target.
#[derive(Debug, Default)]
pub struct Encoder {
    writer: RecordWriter,
    scratch: Scratch,
    key: Vec<u8>,
    /// Touched keys of open windows.
    pub windows: Windows,
}

impl Encoder {
    /// Encodes a batch into `buffers`. `spread`: none for an ordinary table.
    pub fn encode(
        &mut self,
        batch: &ChangeBatch,
        fit: &Fit,
        spread: Option<Spread>,
        from: From,
        now: Instant,
        buffers: &mut Buffers,
    ) -> Result<Encoded, EngineError> {
        let views = views(batch)?;
        let before = buffers.total;
        let mut encoded = Encoded::default();
        self.windows.batches += 1;
        for (row, kind) in batch.kinds.iter().enumerate() {
            let operation = match (kind, spread) {
                (RowKind::Insert | RowKind::After | RowKind::Read, _) => Operation::Upsert,
                (RowKind::Delete, Some(_)) => Operation::Delete,
                (RowKind::Before, Some(_)) if !same_key(fit, &views, row) => Operation::Delete,
                (RowKind::Delete, None) => {
                    encoded.left_out += 1;
                    continue;
                }
                (RowKind::Before, _) => continue,
            };
            self.row(&views, row, fit, spread, from, operation, buffers, &mut encoded)
                .map_err(|misfit| misfit.explain(batch, row))?;
        }
        if buffers.total > before && buffers.oldest.is_none() {
            buffers.oldest = Some(now);
        }
        Ok(encoded)
    }

    #[allow(clippy::too_many_arguments)]
    fn row(
        &mut self,
        views: &[ColumnView<'_>],
        row: usize,
        fit: &Fit,
        spread: Option<Spread>,
        from: From,
        operation: Operation,
        buffers: &mut Buffers,
        encoded: &mut Encoded,
    ) -> Result<(), At> {
        let mut bucket = 0;
        if let Some(spread) = spread {
            let sum = self.key_of(views, row, fit, spread.hasher)?;
            bucket = bucket_of(sum, spread.buckets) as usize;
            if !self.may_write(from) {
                encoded.left_out += 1;
                return Ok(());
            }
        }
        let mut record = self.writer.record();
        for field in &fit.fields {
            if operation == Operation::Delete
                && !fit.key.iter().any(|&k| fit.fields[k].position == field.position)
            {
                continue;
            }
            if let Some(cell) = field.read(views, row, &mut self.scratch)? {
                cell.write(&mut record, field.position);
            }
        }
        let done = match spread {
            Some(_) => record.end_keyed(fit.columns, operation),
            None => record.end(),
        };
        let body = buffers.body(bucket);
        let before = body.len();
        body.push(done);
        let added = (body.len() - before) as u64;
        buffers.total += added;
        match operation {
            Operation::Upsert => encoded.written += 1,
            Operation::Delete => encoded.deleted += 1,
        }
        Ok(())
    }

    /// Sums the key's hashes; with a window open, also leaves the key's bytes in `self.key`.
    fn key_of(&mut self, views: &[ColumnView<'_>], row: usize, fit: &Fit, hasher: Hasher) -> Result<i32, At> {
        let keep = !self.windows.open.is_empty();
        self.key.clear();
        let mut sum = 0_i32;
        for &place in &fit.key {
            let cell = fit.fields[place].read_key(views, row, &mut self.scratch)?;
            sum = sum.wrapping_add(cell.hash(hasher));
            if keep {
                cell.identify(&mut self.key);
            }
        }
        Ok(sum)
    }

    /// Notes a stream row's key for the open windows; tells whether a chunk's row is still the newest of its key.
    fn may_write(&mut self, from: From) -> bool {
        match from {
            From::Stream => {
                if !self.windows.open.is_empty() {
                    match self.windows.touched.get_mut(self.key.as_slice()) {
                        Some(batch) => *batch = self.windows.batches,
                        None => {
                            self.windows.touched.insert(self.key.as_slice().into(), self.windows.batches);
                        }
                    }
                }
                true
            }
            From::Window(window) => {
                let start = self.windows.open.get(&window).copied().unwrap_or(0);
                self.windows.touched.get(self.key.as_slice()).is_none_or(|&batch| batch <= start)
            }
            From::Whole => true,
        }
    }
}

/// The field of a column that the route adds.
fn constant(position: u32, column: &SinkColumn, added: &SourceColumn) -> Result<Field, String> {
    if column.data_type != DataType::String {
        return Err(format!(
            "its column `{}` is {}, and the route fills it with the source table's name; make it a STRING, or name another column",
            column.name, column.data_type
        ));
    }
    Ok(Field { position, from: Origin::Constant(Arc::clone(&added.value)) })
}

/// A value that does not fit, by the batch's column.
struct At {
    source: usize,
    reason: &'static str,
}

impl At {
    fn explain(self, batch: &ChangeBatch, row: usize) -> EngineError {
        let schema = &batch.schema;
        let column = schema.columns.get(self.source).map(|c| c.name.to_string()).unwrap_or_default();
        let row = match render::key_as_text(batch, row) {
            Some(key) => format!(" in the row {key}"),
            None => String::new(),
        };
        EngineError::Value { table: schema.id.clone(), column, row, reason: self.reason.to_owned() }
    }
}

fn views(batch: &ChangeBatch) -> Result<Vec<ColumnView<'_>>, EngineError> {
    let view = |(column, array): (&sluicebox_model::Column, _)| {
        ColumnView::new(array, column.column_type).ok_or_else(|| EngineError::Value {
            table: TableId::clone(&batch.schema.id),
            column: column.name.to_string(),
            row: String::new(),
            reason: "its array is not of its type; this is a defect of this program".into(),
        })
    };
    batch.schema.columns.iter().zip(&batch.columns).map(view).collect()
}

/// Whether an update's row before has the key of its row after.
fn same_key(fit: &Fit, views: &[ColumnView<'_>], before: usize) -> bool {
    fit.key.iter().all(|&place| fit.fields[place].same(views, before, before + 1))
}

#[cfg(test)]
mod tests;
