//! The schema history: each table's columns, and from which place of the stream on it had them.

use std::collections::HashMap;

use rusqlite::{Connection, Transaction};
use sluicebox_model::{Position, TableSchema, TransactionId};

use super::records::json;
use super::{Reader, StateError, Store};

/// A table's columns from one place of the stream on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaRecord {
    /// The table, as `database.table`.
    pub table: String,
    /// The transaction that changed it; none for the columns it was first seen with.
    pub transaction: Option<TransactionId>,
    /// The columns; none when the table went.
    pub schema: Option<TableSchema>,
    /// The statement, where there was one.
    pub ddl: Option<String>,
}

impl Store {
    /// The columns of every table at a position: for each its last record that the position covers. Later records are
    /// deleted, since the stream will bring them again.
    pub fn schemas_at(&self, position: &Position) -> Result<Vec<TableSchema>, StateError> {
        let position = position.clone();
        self.call_blocking(move |tx| {
            let (schemas, later) = split_schemas(tx, &position)?;
            for number in later {
                tx.execute("DELETE FROM schema_history WHERE number = ?1", [number])?;
            }
            Ok(schemas)
        })
    }

    /// The same, and deletes nothing: the stream may have to begin elsewhere.
    pub fn known_at(&self, position: &Position) -> Result<Vec<TableSchema>, StateError> {
        let position = position.clone();
        self.call_blocking(move |tx| Ok(split_schemas(tx, &position)?.0))
    }

    /// Writes a table's new columns; before anything that follows them moves on.
    pub fn schema_changed(&self, record: SchemaRecord) -> Result<(), StateError> {
        self.call_blocking(move |tx| insert_schema(tx, &record))
    }
}

impl Reader {
    /// Every schema that a table has had, oldest first.
    pub fn schema_history(&self) -> Result<Vec<SchemaRecord>, StateError> {
        Ok(read_schemas(&self.connection)?.into_iter().map(|(_, record)| record).collect())
    }
}

pub(super) fn insert_schema(tx: &Transaction<'_>, record: &SchemaRecord) -> Result<(), StateError> {
    tx.execute(
        "INSERT INTO schema_history (table_name, transaction_json, schema_json, ddl) VALUES (?1, ?2, ?3, ?4)",
        (
            &record.table,
            record.transaction.as_ref().map(json).transpose()?,
            record.schema.as_ref().map(json).transpose()?,
            &record.ddl,
        ),
    )?;
    Ok(())
}

/// The columns of every table at a position, and the numbers of records that lie behind it.
fn split_schemas(
    connection: &Connection,
    position: &Position,
) -> Result<(Vec<TableSchema>, Vec<i64>), StateError> {
    let mut latest: HashMap<String, Option<TableSchema>> = HashMap::new();
    let mut later = Vec::new();
    for (number, record) in read_schemas(connection)? {
        if record.transaction.as_ref().is_none_or(|t| position.covers(t)) {
            latest.insert(record.table, record.schema);
        } else {
            later.push(number);
        }
    }
    let mut schemas: Vec<_> = latest.into_values().flatten().collect();
    schemas.sort_by(|a, b| a.id.cmp(&b.id));
    Ok((schemas, later))
}

pub(super) fn read_schemas(connection: &Connection) -> Result<Vec<(i64, SchemaRecord)>, StateError> {
    let mut rows = connection.prepare(
        "SELECT number, table_name, transaction_json, schema_json, ddl FROM schema_history ORDER BY number",
    )?;
    let rows = rows.query_map([], |r| {
        let transaction: Option<String> = r.get(2)?;
        let schema: Option<String> = r.get(3)?;
        Ok((r.get::<_, i64>(0)?, r.get::<_, String>(1)?, transaction, schema, r.get::<_, Option<String>>(4)?))
    })?;
    rows.map(|row| {
        let (number, table, transaction, schema, ddl) = row?;
        let transaction = transaction.map(|t| serde_json::from_str(&t)).transpose()?;
        let schema = schema.map(|s| serde_json::from_str(&s)).transpose()?;
        Ok((number, SchemaRecord { table, transaction, schema, ddl }))
    })
    .collect()
}
