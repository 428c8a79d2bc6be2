//! Records real events of a pipeline's source as a case file.
//!
//! The binlog is read as the pipeline reads it, with a reader id of its own, and nothing is changed anywhere. Values of columns that
//! are to be masked never reach the file: letters become `x`, digits `0`, and what stands between them stays, so that an
//! address still looks like one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use sluicebox_model::{ColumnType, TableId, TableSchema, nearest};
use sluicebox_mysql::{BatchBuilder, BinlogStream, Images, RowsEvent, Skip, StreamItem, StreamOptions};
use sluicebox_wasm::WasiGrants;

use super::{Case, CaseFile, InlineTables};
use crate::config::PipelineConfig;
use crate::error::EngineError;
use crate::events::{Event, events_of};
use crate::pipeline::{Source, source};

/// How often a silent server is heard, and so how exactly the end of the waiting is met.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Where recording begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// With what comes from now on.
    Now,
    /// With the oldest event that the server still has. The table is taken to have had its columns of today there.
    Earliest,
}

/// What is recorded.
#[derive(Debug, Clone)]
pub struct RecordOptions {
    /// The table, as `database.table`.
    pub table: String,
    /// At most so many events.
    pub events: usize,
    /// Where to begin.
    pub begin: Begin,
    /// How long to wait for them.
    pub wait: Duration,
    /// Columns whose values are masked.
    pub mask: Vec<String>,
    /// All columns but those of the key are masked.
    pub mask_all: bool,
}

/// What was recorded.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The cases, one for each version of the table's columns; without expectations.
    pub file: CaseFile,
    /// Events in them.
    pub events: usize,
}

/// Records.
///
/// # Errors
/// When the source cannot be used, or has no such table or column.
pub fn record(config: &PipelineConfig, options: &RecordOptions) -> Result<Recorded, EngineError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| EngineError::Start { what: "the runtime", source })?;
    let (position, schema, source) = runtime.block_on(async {
        let mut source = source(config, None).await?;
        let table = find_table(config, &mut source, &options.table).await?;
        let (now, schemas) = source.schemas_now(config, &[table]).await?;
        let position = match options.begin {
            Begin::Now => now,
            Begin::Earliest => source.control.earliest().await?,
        };
        let schema = schemas.into_iter().next().ok_or(EngineError::Lost("schema of a table"))?;
        Ok::<_, EngineError>((position, Arc::new(schema), source))
    })?;
    check_columns(options, &schema)?;
    let table = schema.id.clone();
    let Source { control, server, connect, server_id } = source;
    let stream = BinlogStream::open(StreamOptions {
        connect,
        server,
        server_id,
        heartbeat: HEARTBEAT,
        from: position,
        skip: Skip::default(),
        schemas: vec![Arc::clone(&schema)],
        known_behind: Vec::new(),
        repairs: Vec::new(),
        new_are_read: false,
        captures: Arc::new(move |captured: &TableId| *captured == table),
        matches: Arc::new(|_| false),
        types: config.source.types,
        database_charsets: Vec::new(),
    })?;
    runtime.block_on(control.close());
    read(stream, schema, options)
}

async fn find_table(
    config: &PipelineConfig,
    source: &mut Source,
    wanted: &str,
) -> Result<TableId, EngineError> {
    let tables = source.tables(config).await?;
    if let Some(table) = tables.iter().find(|table| table.to_string() == wanted) {
        return Ok(table.clone());
    }
    let names: Vec<String> = tables.iter().map(ToString::to_string).collect();
    let near = nearest(wanted, names.iter().map(String::as_str));
    let near = near.map_or_else(|| names.join(", "), |name| format!("did you mean `{name}`?"));
    Err(EngineError::Plan(format!("`{wanted}` is none of the pipeline's tables: {near}")))
}

fn check_columns(options: &RecordOptions, schema: &TableSchema) -> Result<(), EngineError> {
    let Some(unknown) = options.mask.iter().find(|name| schema.index_of(name).is_none()) else {
        return Ok(());
    };
    let near = nearest(unknown, schema.columns.iter().map(|column| &*column.name));
    let near = near.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
    Err(EngineError::Plan(format!("`{}` has no column `{unknown}` to mask{near}", schema.id)))
}

fn read(
    mut stream: BinlogStream,
    mut schema: Arc<TableSchema>,
    options: &RecordOptions,
) -> Result<Recorded, EngineError> {
    let mut file = CaseFile {
        table: create_statement(&schema),
        config: Value::Null,
        lookups: InlineTables::new(),
        clock: false,
        wasi: Value::Null,
        granted: WasiGrants::default(),
        cases: Vec::new(),
    };
    let mut events: Vec<Event> = Vec::new();
    let mut count = 0;
    let deadline = Instant::now() + options.wait;
    let mut close = |events: &mut Vec<Event>, schema: &TableSchema, first: bool| {
        if !events.is_empty() {
            let table = if first { None } else { Some(create_statement(schema)) };
            let name = format!("recorded from {}, columns of version {}", schema.id, schema.version);
            file.cases.push(Case { name, table, events: std::mem::take(events), ..Case::default() });
        }
    };
    let first = schema.version;
    while count < options.events && Instant::now() < deadline {
        match stream.next()? {
            StreamItem::Rows(rows) => {
                let decoded = decode(&rows, options)?;
                let room = options.events - count;
                count += decoded.len().min(room);
                events.extend(decoded.into_iter().take(room));
            }
            StreamItem::Schema(change) => {
                close(&mut events, &schema, schema.version == first);
                match change.schema {
                    Some(new) if new.id == schema.id => schema = new,
                    _ => break,
                }
            }
            StreamItem::End { .. } | StreamItem::Idle => {}
        }
    }
    close(&mut events, &schema, schema.version == first);
    let events = file.cases.iter().map(|case| case.events.len()).sum();
    Ok(Recorded { file, events })
}

fn decode(rows: &RowsEvent, options: &RecordOptions) -> Result<Vec<Event>, EngineError> {
    let mut builder = BatchBuilder::new(Arc::clone(&rows.schema), Images::Both);
    builder.push(rows)?;
    let batch = builder.finish()?;
    if batch.lacks_columns() {
        return Err(EngineError::Plan(format!(
            "rows of `{}` were written with another binlog_row_image than FULL and lack columns; cases are of whole rows",
            rows.schema.id
        )));
    }
    let mut events = events_of(&batch);
    for (place, column) in rows.schema.columns.iter().enumerate() {
        let named = options.mask.iter().any(|name| name.eq_ignore_ascii_case(&column.name));
        let is_key = rows.schema.key.contains(&place);
        if !named && (is_key || !options.mask_all) {
            continue;
        }
        for row in events.iter_mut().flat_map(Event::rows_mut) {
            if let Some(value) = row.get_mut(&*column.name) {
                *value = masked(value, column.column_type);
            }
        }
    }
    Ok(events)
}

/// The table as a statement, of what is known of its columns.
fn create_statement(schema: &TableSchema) -> String {
    let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
    let mut lines: Vec<String> = schema
        .columns
        .iter()
        .map(|column| {
            let null = if column.nullable { "" } else { " NOT NULL" };
            format!("  {} {}{null}", quoted(&column.name), column.source_type)
        })
        .collect();
    if !schema.key.is_empty() {
        let key: Vec<String> = schema.key_columns().map(|column| quoted(&column.name)).collect();
        lines.push(format!("  PRIMARY KEY ({})", key.join(", ")));
    }
    format!(
        "CREATE TABLE {}.{} (\n{}\n)",
        quoted(&schema.id.database),
        quoted(&schema.id.table),
        lines.join(",\n")
    )
}

/// A value of the same shape that tells nothing but its length.
fn masked(value: &Value, column_type: ColumnType) -> Value {
    use ColumnType as T;
    if value.is_null() {
        return Value::Null;
    }
    match (column_type, value) {
        (T::Boolean, _) => false.into(),
        (T::Date, _) => "1970-01-01".into(),
        (T::Time { .. }, _) => "00:00:00".into(),
        (T::DateTime { .. }, _) => "1970-01-01 00:00:00".into(),
        (T::Timestamp { .. }, _) => "1970-01-01 00:00:00Z".into(),
        (T::Json, Value::String(text)) => {
            let document = serde_json::from_str(text).unwrap_or(Value::Null);
            masked_document(&document).to_string().into()
        }
        (T::Binary, Value::String(text)) => format!("0x{}", "0".repeat(text.len().saturating_sub(2))).into(),
        (_, Value::String(text)) => masked_text(text).into(),
        (_, _) => 0.into(),
    }
}

fn masked_text(text: &str) -> String {
    let shape = |c: char| match c {
        c if c.is_numeric() => '0',
        c if c.is_uppercase() => 'X',
        c if c.is_alphabetic() => 'x',
        other => other,
    };
    text.chars().map(shape).collect()
}

fn masked_document(document: &Value) -> Value {
    match document {
        Value::Null => Value::Null,
        Value::Bool(_) => false.into(),
        Value::Number(_) => 0.into(),
        Value::String(text) => masked_text(text).into(),
        Value::Array(items) => items.iter().map(masked_document).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(name, value)| (name.clone(), masked_document(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn masked_values_keep_their_shape_and_nothing_else() {
        let decimal = ColumnType::Decimal { precision: 5, scale: 2 };
        for (column_type, value, want) in [
            (ColumnType::Text, json!("Ada.Größe-7@example.org"), json!("Xxx.Xxxxx-0@xxxxxxx.xxx")),
            (ColumnType::BigInt, json!(42), json!(0)),
            (decimal, json!("-12.50"), json!("-00.00")),
            (ColumnType::Binary, json!("0x00ff"), json!("0x0000")),
            (ColumnType::Date, json!("2024-02-29"), json!("1970-01-01")),
            (ColumnType::Json, json!("{\"name\": [\"Ada\", 7]}"), json!("{\"name\":[\"Xxx\",0]}")),
            (ColumnType::Text, Value::Null, Value::Null),
        ] {
            assert_eq!(masked(&value, column_type), want);
        }
    }
}
