//! Where a pipeline begins, for the first time or anew.

use std::collections::HashSet;

use rusqlite::Transaction;
use sluicebox_model::{Position, TableId, TableSchema};

use super::records::{json, put_snapshot_table, write_checkpoint};
use super::schemas::{insert_schema, read_schemas};
use super::{Remake, SchemaRecord, SnapshotTable, StateError, Store, remakes};

/// Where a pipeline begins anew, and with what.
#[derive(Default)]
pub(crate) struct Anew {
    /// Where the stream is read from.
    pub position: Position,
    /// The checkpoint's number; 0 where nothing of the old state counts any more.
    pub epoch: u64,
    pub now_ms: i64,
    /// Tables that are read anew.
    pub schemas: Vec<TableSchema>,
    /// Tables that were known and are not there any more.
    pub gone: Vec<TableId>,
    pub snapshot: Vec<(String, SnapshotTable)>,
    /// Targets that rows of these tables go to.
    pub targets: Vec<String>,
    /// How those of them are made whole that hold something.
    pub remakes: Vec<(String, Remake)>,
}

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
        self.call_blocking(move |tx| write(tx, 0, &position, now_ms, schemas, &snapshot))
    }

    /// The same for a pipeline that was there: what it knew of the targets and tables that begin anew counts no more, nor what plugins
    /// remember of them. Sessions must be settled.
    pub(crate) fn begin_anew(&self, anew: Anew) -> Result<(), StateError> {
        self.call_blocking(move |tx| {
            let Anew { position, epoch, now_ms, schemas, gone, snapshot, targets, remakes } = anew;
            if epoch == 0 {
                super::plugins::begin_anew(tx, &position, now_ms)?;
                tx.execute_batch(
                    "DELETE FROM targets; DELETE FROM snapshot_tables; DELETE FROM snapshot_chunks; DELETE FROM approvals; \
                     DELETE FROM memory; DELETE FROM memory_pending; DELETE FROM target_chunks; DELETE FROM remakes; \
                     DELETE FROM sink_plans;",
                )?;
            }
            for of_targets in
                ["targets", "approvals", "memory", "memory_pending", "target_chunks", "remakes", "sink_plans"]
            {
                let mut delete = tx.prepare(&format!("DELETE FROM {of_targets} WHERE target = ?1"))?;
                for target in &targets {
                    delete.execute([target])?;
                }
            }
            for (target, how) in &remakes {
                remakes::put(tx, target, *how)?;
            }
            let begun = schemas.iter().map(|schema| schema.id.to_string());
            for table in begun.chain(gone.iter().map(ToString::to_string)) {
                tx.execute("DELETE FROM snapshot_tables WHERE table_name = ?1", [&table])?;
                tx.execute("DELETE FROM snapshot_chunks WHERE table_name = ?1", [&table])?;
            }
            for table in gone {
                let table = table.to_string();
                insert_schema(tx, &SchemaRecord { table, transaction: None, schema: None, ddl: None })?;
            }
            write(tx, epoch, &json(&position)?, now_ms, schemas, &snapshot)
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
    epoch: u64,
    position: &str,
    now_ms: i64,
    schemas: Vec<TableSchema>,
    snapshot: &[(String, SnapshotTable)],
) -> Result<(), StateError> {
    write_checkpoint(tx, epoch, position, now_ms)?;
    for schema in schemas {
        let table = schema.id.to_string();
        insert_schema(tx, &SchemaRecord { table, transaction: None, schema: Some(schema), ddl: None })?;
    }
    snapshot.iter().try_for_each(|(table, record)| put_snapshot_table(tx, table, record))
}
