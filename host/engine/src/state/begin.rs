//! Where a pipeline begins, for the first time or anew.

use std::collections::HashSet;

use rusqlite::Transaction;
use sluicebox_model::{Position, TableId, TableSchema};

use super::records::{insert_schema, json, put_snapshot_table, read_schemas, write_checkpoint};
use super::{SchemaRecord, SnapshotTable, StateError, Store};

impl Store {
    /// Writes where a new pipeline begins: position, first schemas and the tables to snapshot, all or nothing.
    pub fn begin(
        &self,
        position: &Position,
        now_ms: i64,
        schemas: Vec<TableSchema>,
        snapshot: Vec<(String, SnapshotTable)>,
    ) -> Result<(), StateError> {
        let position = json(position)?;
        self.call_blocking(move |tx| write(tx, &position, now_ms, schemas, &snapshot))
    }

    /// The same for a pipeline that was there: what it knew of its targets, of its snapshot and of the tables that are `gone`
    /// counts no more, nor what plugins remember. Sessions must be settled.
    pub fn begin_anew(
        &self,
        position: &Position,
        now_ms: i64,
        schemas: Vec<TableSchema>,
        gone: Vec<TableId>,
        snapshot: Vec<(String, SnapshotTable)>,
    ) -> Result<(), StateError> {
        let place = position.clone();
        let position = json(position)?;
        self.call_blocking(move |tx| {
            super::plugins::begin_anew(tx, &place, now_ms)?;
            tx.execute_batch(
                "DELETE FROM targets; DELETE FROM snapshot_tables; DELETE FROM snapshot_chunks; DELETE FROM approvals; \
                 DELETE FROM memory; DELETE FROM memory_pending; DELETE FROM target_chunks;",
            )?;
            for table in gone {
                let table = table.to_string();
                insert_schema(tx, &SchemaRecord { table, transaction: None, schema: None, ddl: None })?;
            }
            write(tx, &position, now_ms, schemas, &snapshot)
        })
    }

    /// Every name under which a table was ever known.
    pub fn known_names(&self) -> Result<HashSet<TableId>, StateError> {
        self.call_blocking(|tx| {
            let records = read_schemas(tx)?;
            Ok(records.into_iter().filter_map(|(_, record)| record.schema.map(|s| s.id)).collect())
        })
    }
}

fn write(
    tx: &Transaction<'_>,
    position: &str,
    now_ms: i64,
    schemas: Vec<TableSchema>,
    snapshot: &[(String, SnapshotTable)],
) -> Result<(), StateError> {
    write_checkpoint(tx, 0, position, now_ms)?;
    for schema in schemas {
        let table = schema.id.to_string();
        insert_schema(tx, &SchemaRecord { table, transaction: None, schema: Some(schema), ddl: None })?;
    }
    snapshot.iter().try_for_each(|(table, record)| put_snapshot_table(tx, table, record))
}
