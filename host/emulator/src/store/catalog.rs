//! Tables, partitions and schemas, in memory and on disk.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError};

use rusqlite::{Connection, params};

use super::{DEFAULT_SCHEMA, OpenError, Partition, Store, Table, TableName};
use crate::fault::Fault;

/// What is known about a table beside its definition.
#[derive(Debug, Clone)]
struct Entry {
    table: Arc<Table>,
    /// Seconds since the epoch of the last change of its rows.
    modified_s: i64,
    /// By values, in partition column order.
    partitions: BTreeMap<Vec<String>, Partition>,
}

/// The catalog in memory.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    names: BTreeMap<TableName, i64>,
    tables: HashMap<i64, Entry>,
    schemas: BTreeSet<(String, String)>,
}

impl Catalog {
    pub(super) fn load(connection: &Connection) -> Result<Self, OpenError> {
        let mut catalog = Self::default();
        let mut statement = connection.prepare("SELECT doc, modified_s FROM tables")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let table: Table = serde_json::from_str(&row.get::<_, String>(0)?)?;
            catalog.names.insert(table.name.clone(), table.id);
            let entry =
                Entry { table: Arc::new(table), modified_s: row.get(1)?, partitions: BTreeMap::new() };
            catalog.tables.insert(entry.table.id, entry);
        }
        let mut statement = connection.prepare("SELECT id, table_id, spec, created_s FROM partitions")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let values: Vec<String> = serde_json::from_str(&row.get::<_, String>(2)?)?;
            let partition = Partition { id: row.get(0)?, values, created_s: row.get(3)? };
            if let Some(entry) = catalog.tables.get_mut(&row.get(1)?) {
                entry.partitions.insert(partition.values.clone(), partition);
            }
        }
        let mut statement = connection.prepare("SELECT project, name FROM schemas")?;
        catalog.schemas =
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
        Ok(catalog)
    }

    pub(crate) fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.tables.values().map(|entry| &entry.table)
    }

    pub(crate) fn find(&self, name: &TableName) -> Option<Arc<Table>> {
        let id = self.names.get(name)?;
        self.tables.get(id).map(|entry| Arc::clone(&entry.table))
    }

    pub(crate) fn table(&self, name: &TableName) -> Result<Arc<Table>, Fault> {
        if !self.has_schema(&name.project, &name.schema) {
            return Err(Fault::NoSuchSchema(name.schema.clone()));
        }
        self.find(name).ok_or_else(|| Fault::NoSuchTable(name.to_string()))
    }

    /// The table as it is now, if it still exists.
    pub(crate) fn current(&self, id: i64) -> Option<&Arc<Table>> {
        self.tables.get(&id).map(|entry| &entry.table)
    }

    pub(crate) fn modified_s(&self, id: i64) -> i64 {
        self.tables.get(&id).map_or(0, |entry| entry.modified_s)
    }

    /// Tables of one schema by name.
    pub(crate) fn list(&self, project: &str, schema: &str) -> Vec<Arc<Table>> {
        let (project, schema) = (project.to_ascii_lowercase(), schema.to_ascii_lowercase());
        let names = self.names.iter().filter(|(name, _)| name.project == project && name.schema == schema);
        names.filter_map(|(_, id)| self.tables.get(id)).map(|entry| Arc::clone(&entry.table)).collect()
    }

    pub(crate) fn partitions(&self, table: i64) -> impl Iterator<Item = &Partition> {
        self.tables.get(&table).into_iter().flat_map(|entry| entry.partitions.values())
    }

    pub(crate) fn find_partition(&self, table: i64, values: &[String]) -> Option<&Partition> {
        self.tables.get(&table)?.partitions.get(values)
    }

    pub(crate) fn partition(&self, table: &Table, values: &[String]) -> Result<Partition, Fault> {
        let found = self.find_partition(table.id, values).cloned();
        found.ok_or_else(|| Fault::NoSuchPartition(table.partition_text(values)))
    }

    pub(crate) fn has_schema(&self, project: &str, schema: &str) -> bool {
        schema.eq_ignore_ascii_case(DEFAULT_SCHEMA)
            || self.schemas.contains(&(project.to_ascii_lowercase(), schema.to_ascii_lowercase()))
    }

    /// Schemas of a project by name, `default` among them.
    pub(crate) fn schemas(&self, project: &str) -> Vec<String> {
        let project = project.to_ascii_lowercase();
        let own = self.schemas.iter().filter(|(owner, _)| *owner == project).map(|(_, name)| name.clone());
        let mut names: Vec<String> = own.chain([DEFAULT_SCHEMA.to_owned()]).collect();
        names.sort();
        names
    }

    pub(super) fn put(&mut self, table: Table, now_s: i64) {
        let old = self.tables.remove(&table.id);
        if let Some(old) = &old {
            self.names.remove(&old.table.name);
        }
        self.names.insert(table.name.clone(), table.id);
        let partitions = old.map(|entry| entry.partitions).unwrap_or_default();
        self.tables.insert(table.id, Entry { table: Arc::new(table), modified_s: now_s, partitions });
    }

    pub(super) fn touch(&mut self, id: i64, now_s: i64) {
        if let Some(entry) = self.tables.get_mut(&id) {
            entry.modified_s = now_s;
        }
    }

    fn remove(&mut self, table: &Table) {
        self.names.remove(&table.name);
        self.tables.remove(&table.id);
    }
}

impl Store {
    fn change_catalog(&self, change: impl FnOnce(&mut Catalog)) {
        change(&mut self.catalog.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Adds a table; its `id` is given here. False when the name is taken.
    pub(crate) fn create_table(&self, mut table: Table, now_s: i64) -> Result<bool, Fault> {
        let mut writer = self.writer();
        if self.catalog().find(&table.name).is_some() {
            return Ok(false);
        }
        let tx = writer.transaction()?;
        tx.execute(
            "INSERT INTO tables (project, schema, name, modified_s, doc) VALUES (?1, ?2, ?3, ?4, '')",
            params![table.name.project, table.name.schema, table.name.table, now_s],
        )?;
        table.id = tx.last_insert_rowid();
        save_table(&tx, &table)?;
        tx.execute_batch(&row_table(&table))?;
        tx.commit()?;
        self.know_empty(table.id);
        self.change_catalog(|catalog| catalog.put(table, now_s));
        Ok(true)
    }

    /// Drops a table with its rows and partitions. False when there is none.
    pub(crate) fn drop_table(&self, name: &TableName) -> Result<bool, Fault> {
        let mut writer = self.writer();
        let Some(table) = self.catalog().find(name) else { return Ok(false) };
        let tx = writer.transaction()?;
        tx.execute("DELETE FROM partitions WHERE table_id = ?1", [table.id])?;
        tx.execute("DELETE FROM tables WHERE id = ?1", [table.id])?;
        tx.execute_batch(&format!("DROP TABLE {}", table.rows()))?;
        tx.commit()?;
        self.change_catalog(|catalog| catalog.remove(&table));
        Ok(true)
    }

    /// Makes `change` to a table's definition, under the writer's lock; `rewrite` may touch its rows in the
    /// same transaction, and gets what `change` found out.
    pub(super) fn redefine<T>(
        &self,
        name: &TableName,
        now_s: i64,
        change: impl FnOnce(&mut Table) -> Result<T, Fault>,
        rewrite: impl FnOnce(&Connection, &Table, T) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut writer = self.writer();
        let mut table = Table::clone(&*self.catalog().table(name)?);
        let found = change(&mut table)?;
        if table.name != *name && self.catalog().find(&table.name).is_some() {
            return Err(Fault::semantic(format!("table {} already exists", table.name)));
        }
        table.last_ddl_s = now_s;
        let tx = writer.transaction()?;
        save_table(&tx, &table)?;
        rewrite(&tx, &table, found)?;
        tx.commit()?;
        self.change_catalog(|catalog| catalog.put(table, now_s));
        Ok(())
    }

    /// Adds a partition, or finds it; the flag says whether it is new.
    pub(crate) fn ensure_partition(
        &self,
        table: &Table,
        values: &[String],
        now_s: i64,
    ) -> Result<(Partition, bool), Fault> {
        let writer = self.writer();
        if let Some(found) = self.catalog().find_partition(table.id, values) {
            return Ok((found.clone(), false));
        }
        let spec = serde_json::to_string(values).map_err(|error| Fault::Internal(error.to_string()))?;
        writer.execute(
            "INSERT INTO partitions (table_id, spec, created_s) VALUES (?1, ?2, ?3)",
            params![table.id, spec, now_s],
        )?;
        let partition =
            Partition { id: writer.last_insert_rowid(), values: values.to_vec(), created_s: now_s };
        self.change_catalog(|catalog| {
            if let Some(entry) = catalog.tables.get_mut(&table.id) {
                entry.partitions.insert(values.to_vec(), partition.clone());
            }
        });
        Ok((partition, true))
    }

    /// Drops a partition with its rows. False when there is none.
    pub(crate) fn drop_partition(&self, table: &Table, values: &[String]) -> Result<bool, Fault> {
        let mut writer = self.writer();
        let Some(partition) = self.catalog().find_partition(table.id, values).cloned() else {
            return Ok(false);
        };
        let tx = writer.transaction()?;
        tx.execute("DELETE FROM partitions WHERE id = ?1", [partition.id])?;
        tx.execute(&format!("DELETE FROM {} WHERE part = ?1", table.rows()), [partition.id])?;
        tx.commit()?;
        self.forget_count(table);
        self.change_catalog(|catalog| {
            if let Some(entry) = catalog.tables.get_mut(&table.id) {
                entry.partitions.remove(values);
            }
        });
        Ok(true)
    }

    /// Adds a schema. False when there is one of that name.
    pub(crate) fn create_schema(&self, project: &str, name: &str, now_s: i64) -> Result<bool, Fault> {
        let writer = self.writer();
        if self.catalog().has_schema(project, name) {
            return Ok(false);
        }
        let (project, name) = (project.to_ascii_lowercase(), name.to_ascii_lowercase());
        writer.execute(
            "INSERT INTO schemas (project, name, created_s) VALUES (?1, ?2, ?3)",
            params![project, name, now_s],
        )?;
        self.change_catalog(|catalog| {
            catalog.schemas.insert((project, name));
        });
        Ok(true)
    }

    /// Drops an empty schema. False when there is none.
    pub(crate) fn drop_schema(&self, project: &str, name: &str) -> Result<bool, Fault> {
        let writer = self.writer();
        let key = (project.to_ascii_lowercase(), name.to_ascii_lowercase());
        if !self.catalog().schemas.contains(&key) {
            return Ok(false);
        }
        if !self.catalog().list(project, name).is_empty() {
            return Err(Fault::StatusConflict(format!("schema {name} still has tables")));
        }
        writer.execute("DELETE FROM schemas WHERE project = ?1 AND name = ?2", params![key.0, key.1])?;
        self.change_catalog(|catalog| {
            catalog.schemas.remove(&key);
        });
        Ok(true)
    }
}

fn save_table(connection: &Connection, table: &Table) -> Result<(), Fault> {
    let doc = serde_json::to_string(table).map_err(|error| Fault::Internal(error.to_string()))?;
    connection
        .prepare_cached("UPDATE tables SET project = ?2, schema = ?3, name = ?4, doc = ?5 WHERE id = ?1")?
        .execute(params![table.id, table.name.project, table.name.schema, table.name.table, doc])?;
    Ok(())
}

/// Rows of a Delta table lie in key order; rows of others in order of arrival. `died` is the moment from
/// which a row is only there for readers that were open before it was removed.
fn row_table(table: &Table) -> String {
    let rows = table.rows();
    if table.is_delta() {
        format!(
            "CREATE TABLE {rows} (part INTEGER NOT NULL, key BLOB NOT NULL, row BLOB NOT NULL,
                PRIMARY KEY (part, key)) WITHOUT ROWID"
        )
    } else if table.partition_columns.is_empty() {
        format!(
            "CREATE TABLE {rows} (seq INTEGER PRIMARY KEY AUTOINCREMENT, part INTEGER NOT NULL,
                row BLOB NOT NULL, died INTEGER)"
        )
    } else {
        format!(
            "CREATE TABLE {rows} (seq INTEGER PRIMARY KEY AUTOINCREMENT, part INTEGER NOT NULL,
                row BLOB NOT NULL, died INTEGER);
             CREATE INDEX {rows}_part ON {rows} (part)"
        )
    }
}
