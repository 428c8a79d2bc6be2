//! A row's key as people write it, for messages.

use serde_json::Value;
use sluicebox_model::ChangeBatch;

use super::cell::Cell;
use super::cell::{ColumnView, Scratch, read};
use super::mapping::{cast, data_type};

/// Characters of a key that a message shows: enough to find the row by, however long its texts are.
const SHOWN_KEY: usize = 200;

/// The key of a row as people write it, `region=eu, no=7`; cut when it is long. None where there is no key.
pub fn key_as_text(batch: &ChangeBatch, row: usize) -> Option<String> {
    let mut scratch = Scratch::default();
    let mut parts = Vec::with_capacity(batch.schema.key.len());
    for &place in &batch.schema.key {
        let (column, array) = (batch.schema.columns.get(place)?, batch.columns.get(place)?);
        let into = cast(column.column_type, &data_type(column.column_type))?;
        let view = ColumnView::new(array, column.column_type)?;
        let value = match read(view, row, into, &mut scratch).ok()?.map(as_json) {
            None => "NULL".to_owned(),
            Some(Value::String(text)) => text,
            Some(other) => other.to_string(),
        };
        parts.push(format!("{}={value}", column.name));
    }
    let text = parts.join(", ");
    let cut = text.char_indices().nth(SHOWN_KEY).map(|(at, _)| at);
    match cut {
        _ if parts.is_empty() => None,
        Some(at) => Some(format!("{}…", text.get(..at)?)),
        None => Some(text),
    }
}

fn as_json(cell: Cell<'_>) -> Value {
    match cell {
        Cell::Integer(value) => value.into(),
        Cell::Boolean(value) => value.into(),
        Cell::Float(value) => value.into(),
        Cell::Double(value) => value.into(),
        Cell::Date(days) => days.into(),
        Cell::Timestamp { seconds, nanos } => format!("{seconds}.{nanos:09}").into(),
        Cell::Decimal { text, .. } | Cell::Text(text) => String::from_utf8_lossy(text).into_owned().into(),
        Cell::Bytes(bytes) => bytes.iter().map(|b| format!("{b:02x}")).collect::<String>().into(),
    }
}
