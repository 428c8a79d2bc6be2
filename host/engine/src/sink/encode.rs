//! From a batch of row images to records in buckets.
//!
//! Rows are fitted to the sink table by column name: what the sink lacks is left out, what the row lacks is null. Keyed rows
//! become upserts and deletes of their bucket; an update that changes the key is a delete of the old and an upsert of the
//! new. Rows without a key are appended as they come; of an update the row after counts, a delete has no effect, as an
//! ordinary table cannot take one. In a partitioned table a row's partition is the text of its partition columns; an update that moves a
//! row is a delete there and an upsert here.
//!
//! Snapshot chunks meet the stream here. While a chunk is being read (a *window* is open), the keys that the stream touches are
//! kept; when the chunk comes, its rows with such keys are left out, since the stream's version is newer or has been
//! written already. Everything happens on one queue, so "before" and "after" are the order of calls.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use sluicebox_expression::Zone;
use sluicebox_maxcompute::DataType;
use sluicebox_maxcompute::bucket::{Hasher, bucket_of};
use sluicebox_maxcompute::record::{Operation, RecordWriter};
use sluicebox_model::{ChangeBatch, ColumnType, RowKind, TableId, TableSchema};

use super::buffers::{Buffers, Slot};
use super::cell::{Cell, ColumnView, DAY_MICROS, Scratch, read, timestamp};
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

/// A sink table as rows see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// In its order, without those that partition it.
    pub columns: Vec<SinkColumn>,
    /// Names of the key's columns; empty without a key.
    pub key: Vec<String>,
    /// Columns that partition it, in order.
    pub partitions: Vec<SinkColumn>,
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
    /// Names and values of the partition's columns, in order.
    partitions: Vec<(String, Field)>,
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
    /// A wall clock, or a day's midnight (`unit`: microseconds that one of its numbers means), which becomes the instant at which
    /// it is shown in this zone.
    Clock { at: usize, unit: i64, zone: Arc<Zone> },
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
            Origin::Clock { at, unit, zone } => Ok(clock(views[*at], row, *unit, zone)),
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
                Ok(None) => Err(At { source: *at, reason: "a column of the key or the partition is null" }),
                Err(reason) => Err(At { source: *at, reason }),
            },
            Origin::Clock { at, unit, zone } => clock(views[*at], row, *unit, zone)
                .ok_or(At { source: *at, reason: "a column of the key or the partition is null" }),
            Origin::Constant(text) => Ok(Cell::Text(text.as_bytes())),
        }
    }

    /// Why its value does not fit.
    fn misfit(&self, reason: &'static str) -> At {
        // A constant is checked when the file is read.
        let source = match self.from {
            Origin::Column { at, .. } | Origin::Clock { at, .. } => at,
            Origin::Constant(_) => usize::MAX,
        };
        At { source, reason }
    }

    /// Whether two rows hold the same value.
    fn same(&self, views: &[ColumnView<'_>], a: usize, b: usize) -> bool {
        match self.from {
            Origin::Column { at, .. } | Origin::Clock { at, .. } => views[at].same(a, b),
            Origin::Constant(_) => true,
        }
    }
}

impl Fit {
    /// Fits rows of `schema`, and the column that the route adds, to a sink table. `tolerant`: a column whose type has no way
    /// into the sink's is left null rather than an error.
    pub fn new(
        schema: &Arc<TableSchema>,
        added: Option<&SourceColumn>,
        sink: &Layout,
        zone: Option<&Arc<Zone>>,
        tolerant: bool,
    ) -> Result<Self, String> {
        let mut fields = Vec::with_capacity(sink.columns.len());
        for (position, column) in sink.columns.iter().enumerate() {
            let position = u32::try_from(position).map_err(|_| "it has too many columns".to_owned())?;
            match field(schema, added, column, zone, position) {
                Ok(Some(field)) => fields.push(field),
                Ok(None) if column.nullable => {}
                Ok(None) => {
                    return Err(format!(
                        "its column `{}` takes no null and the rows have no such column",
                        column.name
                    ));
                }
                Err(_) if tolerant && column.nullable => {
                    tracing::warn!(table = %schema.id, column = column.name, "column does not fit the sink and is left null");
                }
                Err(reason) => return Err(reason),
            }
        }
        let place = |name: &String| {
            let at = find(&sink.columns, name)
                .and_then(|at| fields.iter().position(|f| f.position as usize == at));
            at.ok_or_else(|| format!("its key column `{name}` is not among the rows' columns"))
        };
        let key = sink.key.iter().map(place).collect::<Result<_, _>>()?;
        let partition = |column: &SinkColumn| {
            let field = field(schema, added, column, zone, 0)?.ok_or_else(|| {
                format!("its partition column `{}` is not among the rows' columns", column.name)
            })?;
            Ok((column.name.clone(), field))
        };
        Ok(Self {
            schema: Arc::clone(schema),
            fields,
            key,
            columns: u32::try_from(sink.columns.len()).unwrap_or(u32::MAX),
            partitions: sink.partitions.iter().map(partition).collect::<Result<_, String>>()?,
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
    spec: String,
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
        let mut encoded = Encoded::default();
        self.windows.batches += 1;
        for (row, kind) in batch.kinds.iter().enumerate() {
            let operation = match (kind, spread) {
                (RowKind::Insert | RowKind::After | RowKind::Read, _) => Operation::Upsert,
                (RowKind::Delete, Some(_)) => Operation::Delete,
                (RowKind::Before, Some(_)) if !same_place(fit, &views, row) => Operation::Delete,
                (RowKind::Delete, None) => {
                    encoded.left_out += 1;
                    continue;
                }
                (RowKind::Before, _) => continue,
            };
            self.row(&views, row, fit, spread, from, operation, buffers, &mut encoded)
                .map_err(|misfit| misfit.explain(batch, row))?;
        }
        buffers.touched(now);
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
        let part = self.part_of(views, row, fit, buffers)?;
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
        buffers.write(Slot { part, bucket }, |body| body.push(done));
        match operation {
            Operation::Upsert => encoded.written += 1,
            Operation::Delete => encoded.deleted += 1,
        }
        Ok(())
    }

    /// The place of the partition that the batch's first row belongs to.
    pub fn first_part(
        &mut self,
        batch: &ChangeBatch,
        fit: &Fit,
        buffers: &mut Buffers,
    ) -> Result<usize, EngineError> {
        let views = views(batch)?;
        self.part_of(&views, 0, fit, buffers).map_err(|misfit| misfit.explain(batch, 0))
    }

    /// The place of a row's partition.
    fn part_of(
        &mut self,
        views: &[ColumnView<'_>],
        row: usize,
        fit: &Fit,
        buffers: &mut Buffers,
    ) -> Result<usize, At> {
        self.spec.clear();
        for (name, field) in &fit.partitions {
            let cell = field.read_key(views, row, &mut self.scratch)?;
            if !self.spec.is_empty() {
                self.spec.push(',');
            }
            self.spec.push_str(name);
            self.spec.push('=');
            cell.partition_value(&mut self.spec).map_err(|reason| field.misfit(reason))?;
        }
        Ok(buffers.part(&self.spec))
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

/// The field of a sink column; none when rows have no such column.
fn field(
    schema: &TableSchema,
    added: Option<&SourceColumn>,
    column: &SinkColumn,
    zone: Option<&Arc<Zone>>,
    position: u32,
) -> Result<Option<Field>, String> {
    if let Some(added) = added.filter(|added| column.name.eq_ignore_ascii_case(&added.name)) {
        if column.data_type != DataType::String {
            return Err(format!(
                "its column `{}` is {}, and the route fills it with the source table's name; make it a STRING, or name another column",
                column.name, column.data_type
            ));
        }
        return Ok(Some(Field { position, from: Origin::Constant(Arc::clone(&added.value)) }));
    }
    let Some(at) = schema.index_of(&column.name) else { return Ok(None) };
    let from = schema.columns[at].column_type;
    match cast(from, &column.data_type) {
        Some(cast) => Ok(Some(Field { position, from: Origin::Column { at, cast } })),
        None if let (DataType::Timestamp, Some(unit)) = (&column.data_type, clock_unit(from)) => {
            let zone = zone
                .ok_or("its column holds instants and the rows clocks; write `pipeline.local-time-zone`")?;
            Ok(Some(Field { position, from: Origin::Clock { at, unit, zone: Arc::clone(zone) } }))
        }
        None => Err(format!(
            "its column `{}` is {}, the rows have {from}; widen it by hand, or route the table to a new one",
            column.name, column.data_type
        )),
    }
}

/// Microseconds that one number of a column means, where it is a clock without a zone.
fn clock_unit(from: ColumnType) -> Option<i64> {
    match from {
        ColumnType::DateTime { .. } => Some(1),
        ColumnType::Date => Some(DAY_MICROS),
        _ => None,
    }
}

fn clock<'a>(view: ColumnView<'_>, row: usize, unit: i64, zone: &Zone) -> Option<Cell<'a>> {
    view.number(row).map(|number| timestamp(zone.to_instant(number.saturating_mul(unit))))
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

/// Whether an update's row before has the key and the partition of its row after.
fn same_place(fit: &Fit, views: &[ColumnView<'_>], before: usize) -> bool {
    fit.partitions.iter().all(|(_, field)| field.same(views, before, before + 1))
        && fit.key.iter().all(|&place| fit.fields[place].same(views, before, before + 1))
}

#[cfg(test)]
mod tests;
