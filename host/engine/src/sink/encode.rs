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
//! written already.
//!
//! A row that lacks columns (see `Absent`) sets those that it has and leaves the others as they are, where the session takes partial
//! updates; anywhere else it is an error, and so is a new key of a row that is not whole. Everything happens on one queue, so "before" and "after" are the order of calls.

pub(crate) mod swept;
pub(crate) mod windows;

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use sluicebox_expression::Zone;
use sluicebox_maxcompute::DataType;
use sluicebox_maxcompute::bucket::{Hasher, bucket_of};
use sluicebox_maxcompute::record::{Operation, RecordWriter};
use sluicebox_model::{ChangeBatch, ColumnType, RowKind, TableId, TableSchema, is_pair};

use super::buffers::{Buffers, Slot};
use super::cell::{Cell, ColumnView, DAY_MICROS, Scratch, read, timestamp};
use super::evolve::{SinkColumn, find};
use super::mapping::{Cast, cast, data_type};
use super::render;
use super::shape::SourceColumn;
use crate::error::EngineError;
use crate::state::Digest;
use swept::digest;
use windows::{Brought, Fresh, Windows};

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
    /// Whether it was said that values were left null.
    told: AtomicBool,
}

#[derive(Debug)]
struct Field {
    position: u32,
    from: Origin,
    /// Whether a value that has no way into the column is null there: it has not the type that the rows ask for, and will not get it.
    may_null: bool,
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
    fn of(position: u32, from: Origin) -> Self {
        Self { position, from, may_null: false }
    }

    /// The value of a row; an error names the batch's column.
    fn read<'a>(
        &'a self,
        views: &[ColumnView<'a>],
        row: usize,
        scratch: &'a mut Scratch,
    ) -> Result<Option<Cell<'a>>, At> {
        match &self.from {
            Origin::Column { at, cast } => {
                read(views[*at], row, *cast, scratch).map_err(|reason| At::unfit(*at, reason))
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
                Ok(None) => Err(At::unfit(*at, "a column of the key or the partition is null")),
                Err(reason) => Err(At::unfit(*at, reason)),
            },
            Origin::Clock { at, unit, zone } => clock(views[*at], row, *unit, zone)
                .ok_or(At::unfit(*at, "a column of the key or the partition is null")),
            Origin::Constant(text) => Ok(Cell::Text(text.as_bytes())),
        }
    }

    /// Whether the column is as it would be made for the rows.
    fn is_made_for(&self, schema: &TableSchema, column: &SinkColumn) -> bool {
        let made = self.source().map(|at| data_type(schema.columns[at].column_type));
        made.is_none_or(|made| made == column.data_type)
    }

    /// The batch's column that it comes from.
    fn source(&self) -> Option<usize> {
        match self.from {
            Origin::Column { at, .. } | Origin::Clock { at, .. } => Some(at),
            Origin::Constant(_) => None,
        }
    }

    /// Why its value does not fit.
    fn misfit(&self, reason: &'static str) -> At {
        // A constant is checked when the file is read.
        At::unfit(self.source().unwrap_or(usize::MAX), reason)
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
    /// Fits rows of `schema`, and the column that the route adds, to a sink table. `tolerant`: what has no way into the type of the
    /// sink's column, all of a column or a value of it, is left null rather than an error.
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
                Ok(Some(field)) => {
                    let may_null = tolerant && column.nullable && !field.is_made_for(schema, column);
                    fields.push(Field { may_null, ..field });
                }
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
            told: AtomicBool::new(false),
        })
    }

    fn is_key(&self, field: &Field) -> bool {
        self.key.iter().any(|&place| self.fields[place].position == field.position)
    }

    /// What says where a row belongs must be there.
    fn check_places(&self, absent: &[usize]) -> Result<(), At> {
        let key = self.key.iter().map(|&place| &self.fields[place]);
        let mut places = key.chain(self.partitions.iter().map(|(_, field)| field));
        match places.find_map(|field| field.source().filter(|at| absent.contains(at))) {
            Some(at) => Err(At::lacking(at, "the key or the partition is of it")),
            None => Ok(()),
        }
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
    /// Values that had no way into their column and are null there.
    pub nulled: u64,
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
    /// Keys that were encoded, where the table's other rows are deleted in the end; its owner takes them away.
    pub seen: Option<HashSet<Digest>>,
    /// Ids of the sink's columns by place, where rows may set some of them only.
    pub partial: Option<Arc<[i64]>>,
}

/// A row image, and what is to be done with it.
#[derive(Clone, Copy)]
struct Image<'b> {
    row: usize,
    operation: Operation,
    /// Columns of the batch that it lacks.
    absent: &'b [usize],
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
        self.windows.next_batch();
        let lacks_columns = batch.lacks_columns();
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
            let absent = if lacks_columns { batch.absent_of(row) } else { &[] };
            let image = Image { row, operation, absent };
            if !absent.is_empty() && has_moved(batch, fit, &views, row) {
                let reason = "its key or its partition changed: the new row has to be written whole";
                return Err(At::lacking(absent[0], reason).explain(batch, row));
            }
            self.row(&views, image, fit, spread, from, buffers, &mut encoded)
                .map_err(|misfit| misfit.explain(batch, row))?;
        }
        if encoded.nulled > 0 && !fit.told.swap(true, Ordering::Relaxed) {
            let (table, values) = (&batch.schema.id, encoded.nulled);
            tracing::warn!(%table, values, "values do not fit columns that stay as they are, and are left null; the metrics count them");
        }
        buffers.touched(now);
        Ok(encoded)
    }

    #[allow(clippy::too_many_arguments)]
    fn row(
        &mut self,
        views: &[ColumnView<'_>],
        image: Image<'_>,
        fit: &Fit,
        spread: Option<Spread>,
        from: From,
        buffers: &mut Buffers,
        encoded: &mut Encoded,
    ) -> Result<(), At> {
        let Image { row, operation, absent } = image;
        if !absent.is_empty() {
            fit.check_places(absent)?;
        }
        let mut bucket = 0;
        let mut fresh = Fresh::Whole;
        if let Some(spread) = spread {
            let sum = self.key_of(views, row, fit, spread.hasher)?;
            bucket = bucket_of(sum, spread.buckets) as usize;
            fresh = self.fresh(image, fit, from)?;
        } else if let Some(&first) = absent.first() {
            return Err(At::lacking(first, "a table without a key takes whole rows only"));
        }
        let listed = match &fresh {
            Fresh::Whole => None,
            Fresh::Nothing => Some(Vec::new()),
            Fresh::But(ids) => Some(self.listed(fit, ids)),
        };
        // A list of no columns would stand for all.
        if listed.as_ref().is_some_and(Vec::is_empty) {
            encoded.left_out += 1;
            return Ok(());
        }
        let part = self.part_of(views, row, fit, buffers)?;
        if let Some(seen) = &mut self.seen {
            seen.insert(digest(&self.spec, &self.key));
        }
        let mut record = self.writer.record();
        for field in &fit.fields {
            let is_written = match (operation, &listed) {
                (Operation::Upsert, None) => true,
                (Operation::Upsert, Some(ids)) => {
                    let id = self.partial.as_ref().and_then(|all| all.get(field.position as usize));
                    id.is_some_and(|id| ids.contains(id)) || fit.is_key(field)
                }
                (Operation::Delete, _) => fit.is_key(field),
            };
            if !is_written {
                continue;
            }
            match field.read(views, row, &mut self.scratch) {
                Ok(Some(cell)) => cell.write(&mut record, field.position),
                Ok(None) => {}
                Err(_) if field.may_null => encoded.nulled += 1,
                Err(misfit) => return Err(misfit),
            }
        }
        let done = match (spread, &listed) {
            (Some(_), Some(ids)) => record.end_partial(fit.columns, ids),
            (Some(_), None) => record.end_keyed(fit.columns, operation),
            (None, _) => record.end(),
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

    /// Sums the key's hashes; with a window open, or where keys are kept, also leaves the key's bytes in `self.key`.
    fn key_of(&mut self, views: &[ColumnView<'_>], row: usize, fit: &Fit, hasher: Hasher) -> Result<i32, At> {
        let keep = self.windows.any() || self.seen.is_some();
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

    /// Notes a stream row's key for the open windows; tells what is written of the row.
    fn fresh(&mut self, image: Image<'_>, fit: &Fit, from: From) -> Result<Fresh, At> {
        let lost = match image.operation {
            Operation::Upsert if !image.absent.is_empty() => self.lost(image.absent, fit)?,
            Operation::Upsert | Operation::Delete => Vec::new(),
        };
        match from {
            From::Whole => {}
            From::Window(window) => return Ok(self.windows.fresh(window, &self.key)),
            From::Stream if self.windows.any() => {
                let brought = match lost.is_empty() {
                    true => Brought::Whole,
                    false => Brought::Columns(self.listed(fit, &lost)),
                };
                self.windows.touch(&self.key, brought);
            }
            From::Stream => {}
        }
        Ok(if lost.is_empty() { Fresh::Whole } else { Fresh::But(lost) })
    }

    /// Ids of the sink's columns that a row has no value for.
    fn lost(&self, absent: &[usize], fit: &Fit) -> Result<Vec<i64>, At> {
        let lost = fit.fields.iter().filter(|field| field.source().is_some_and(|at| absent.contains(&at)));
        let positions: Vec<usize> = lost.map(|field| field.position as usize).collect();
        match &self.partial {
            Some(ids) => Ok(positions.iter().filter_map(|&at| ids.get(at)).copied().collect()),
            None if positions.is_empty() => Ok(Vec::new()),
            None => Err(At::lacking(absent[0], "its sink table takes no partial updates")),
        }
    }

    /// Ids of the columns outside the key that rows have values for, but those of these ids.
    fn listed(&self, fit: &Fit, but: &[i64]) -> Vec<i64> {
        let Some(ids) = &self.partial else { return Vec::new() };
        let others = fit.fields.iter().filter(|field| !fit.is_key(field));
        let ids = others.filter_map(|field| ids.get(field.position as usize)).copied();
        ids.filter(|id| !but.contains(id)).collect()
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
        return Ok(Some(Field::of(position, Origin::Constant(Arc::clone(&added.value)))));
    }
    let Some(at) = schema.index_of(&column.name) else { return Ok(None) };
    let from = schema.columns[at].column_type;
    match cast(from, &column.data_type) {
        Some(cast) => Ok(Some(Field::of(position, Origin::Column { at, cast }))),
        None if let (DataType::Timestamp, Some(unit)) = (&column.data_type, clock_unit(from)) => {
            let zone = zone
                .ok_or("its column holds instants and the rows clocks; write `pipeline.local-time-zone`")?;
            Ok(Some(Field::of(position, Origin::Clock { at, unit, zone: Arc::clone(zone) })))
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

/// A value that does not fit, or is lacking, by the batch's column.
struct At {
    source: usize,
    reason: &'static str,
    is_lacking: bool,
}

impl At {
    fn unfit(source: usize, reason: &'static str) -> Self {
        Self { source, reason, is_lacking: false }
    }

    fn lacking(source: usize, reason: &'static str) -> Self {
        Self { source, reason, is_lacking: true }
    }

    fn explain(self, batch: &ChangeBatch, row: usize) -> EngineError {
        let schema = &batch.schema;
        let column = schema.columns.get(self.source).map(|c| c.name.to_string()).unwrap_or_default();
        if self.is_lacking {
            return EngineError::Incomplete {
                table: schema.id.clone(),
                column,
                reason: self.reason.to_owned(),
            };
        }
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

/// Whether this is an updated row that comes with the one before it, and belongs to another place than that.
fn has_moved(batch: &ChangeBatch, fit: &Fit, views: &[ColumnView<'_>], row: usize) -> bool {
    let before = row.checked_sub(1).filter(|&before| is_pair(&batch.kinds, before));
    before.is_some_and(|before| !same_place(fit, views, before))
}

/// Whether an update's row before has the key and the partition of its row after.
fn same_place(fit: &Fit, views: &[ColumnView<'_>], before: usize) -> bool {
    fit.partitions.iter().all(|(_, field)| field.same(views, before, before + 1))
        && fit.key.iter().all(|&place| fit.fields[place].same(views, before, before + 1))
}

#[cfg(test)]
mod tests;
