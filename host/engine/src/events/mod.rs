//! Change events as people write and read them: JSON objects with one word for what happened.
//!
//! ```json
//! { "insert": { "id": 1, "email": "ada@example.org" } }
//! { "update": { "before": { "id": 1, "email": "a@b.c" }, "after": { "id": 1, "email": null } } }
//! { "delete": { "id": 1, "email": null } }
//! { "read": { "id": 1, "email": null } }
//! ```
//!
//! An update may lack its row before, as updates do where nobody asked for it. Dead letters are kept in this form, and the case
//! files of `plugin test` hold it. A batch becomes events and events become a batch without loss; a column that a row does
//! not name is null.

mod value;

use std::ops::Range;
use std::sync::Arc;

use arrow::array::ArrayRef;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sluicebox_model::{ChangeBatch, Origin, RowKind, TableSchema, TransactionId, nearest};

pub(crate) use value::to_key_text;

/// Column names and values.
pub type Row = Map<String, Value>;

/// One change of one row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Event {
    /// A row came.
    Insert(Row),
    /// A row changed.
    Update {
        /// As it was; none where nobody asked for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<Row>,
        /// As it is.
        after: Row,
    },
    /// A row went; as it was.
    Delete(Row),
    /// A row was read by a snapshot.
    Read(Row),
}

/// Where events come from: what a plugin can ask for beside the columns.
#[derive(Debug, Clone, Default)]
pub struct Provenance {
    /// Commit time in microseconds since 1970-01-01T00:00:00Z.
    pub commit_micros: i64,
    /// Order of the first event in the stream.
    pub ordinal: u64,
    /// The source transaction; none for rows read by a snapshot.
    pub transaction: Option<Arc<TransactionId>>,
}

impl Event {
    /// The row that counts: as it is, or as it was when it went.
    pub fn row(&self) -> &Row {
        match self {
            Self::Insert(row) | Self::Delete(row) | Self::Read(row) => row,
            Self::Update { after, .. } => after,
        }
    }

    /// All rows of the event.
    pub fn rows_mut(&mut self) -> Vec<&mut Row> {
        match self {
            Self::Insert(row) | Self::Delete(row) | Self::Read(row) => vec![row],
            Self::Update { before, after } => before.iter_mut().chain([after]).collect(),
        }
    }

    fn images(&self) -> Vec<(RowKind, &Row)> {
        match self {
            Self::Insert(row) => vec![(RowKind::Insert, row)],
            Self::Delete(row) => vec![(RowKind::Delete, row)],
            Self::Read(row) => vec![(RowKind::Read, row)],
            Self::Update { before, after } => {
                let before = before.iter().map(|row| (RowKind::Before, row));
                before.chain([(RowKind::After, after)]).collect()
            }
        }
    }
}

/// The event that begins at this row of a batch, and its rows.
pub fn event_at(batch: &ChangeBatch, row: usize) -> (Event, Range<usize>) {
    let first = image(batch, row);
    match batch.kinds.get(row) {
        Some(RowKind::Before) => {
            (Event::Update { before: Some(first), after: image(batch, row + 1) }, row..row + 2)
        }
        Some(RowKind::After) => (Event::Update { before: None, after: first }, row..row + 1),
        Some(RowKind::Delete) => (Event::Delete(first), row..row + 1),
        Some(RowKind::Read) => (Event::Read(first), row..row + 1),
        Some(RowKind::Insert) | None => (Event::Insert(first), row..row + 1),
    }
}

/// All events of a batch.
pub fn events_of(batch: &ChangeBatch) -> Vec<Event> {
    let mut events = Vec::new();
    let mut row = 0;
    while row < batch.rows() {
        let (event, rows) = event_at(batch, row);
        events.push(event);
        row = rows.end;
    }
    events
}

fn image(batch: &ChangeBatch, row: usize) -> Row {
    let columns = batch.schema.columns.iter().zip(&batch.columns);
    columns.map(|(c, array)| (c.name.to_string(), value::to_json(array, row, c.column_type))).collect()
}

/// The names and values of a row's key, in key order; none where the table has no key.
pub fn key_of(schema: &TableSchema, row: &Row) -> Option<Row> {
    let part = |column: &sluicebox_model::Column| {
        let name = column.name.to_string();
        let value = row.get(&name).cloned().unwrap_or(Value::Null);
        (name, value)
    };
    (!schema.key.is_empty()).then(|| schema.key_columns().map(part).collect())
}

/// Events as a batch of a table's rows.
///
/// # Errors
/// Says which row and column is not what the table holds.
pub fn batch_of(
    schema: &Arc<TableSchema>,
    events: &[Event],
    provenance: &Provenance,
) -> Result<ChangeBatch, String> {
    let images: Vec<(RowKind, &Row)> = events.iter().flat_map(Event::images).collect();
    for (number, (_, row)) in images.iter().enumerate() {
        known_columns(schema, number, row)?;
    }
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.columns.len());
    for column in &schema.columns {
        let values: Vec<Value> = images.iter().map(|(_, row)| find(row, &column.name)).collect();
        columns.push(value::to_array(column, &values)?);
    }
    Ok(ChangeBatch {
        schema: Arc::clone(schema),
        kinds: images.iter().map(|(kind, _)| *kind).collect(),
        columns,
        origins: origins(events, provenance),
    })
}

/// Each event is one of the stream's.
fn origins(events: &[Event], provenance: &Provenance) -> Vec<Origin> {
    let mut first_row = 0;
    let mut origins = Vec::with_capacity(events.len());
    for (number, event) in (0_u64..).zip(events) {
        let read = matches!(event, Event::Read(_));
        origins.push(Origin {
            first_row,
            commit_micros: if read { 0 } else { provenance.commit_micros },
            ordinal: if read { 0 } else { provenance.ordinal + number },
            transaction: if read { None } else { provenance.transaction.clone() },
            absent: None,
        });
        first_row += if matches!(event, Event::Update { before: Some(_), .. }) { 2 } else { 1 };
    }
    origins
}

fn find(row: &Row, name: &str) -> Value {
    let exact = row.get(name);
    let found = exact.or_else(|| row.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v));
    found.cloned().unwrap_or(Value::Null)
}

fn known_columns(schema: &TableSchema, number: usize, row: &Row) -> Result<(), String> {
    let Some(unknown) = row.keys().find(|name| schema.index_of(name).is_none()) else { return Ok(()) };
    let near = nearest(unknown, schema.columns.iter().map(|c| &*c.name));
    let near = near.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
    Err(format!("row {}: `{}` has no column `{unknown}`{near}", number + 1, schema.id))
}

#[cfg(test)]
mod tests;
