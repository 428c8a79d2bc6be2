//! Statements that were run, so that their status can be asked for, also after a restart.
//!
//! Rows of queries stay in memory only: after a restart, or when newer results need the room, the instance
//! is still known and its rows are not.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::{OpenError, Store, lock};
use crate::fault::Fault;
use crate::run::ResultSet;

/// Instances are remembered as long as finished sessions.
const REMEMBERED_MS: i64 = 48 * 3_600_000;

/// Results kept in memory together; the largest single one is half of it.
const MAX_RESULTS_BYTES: usize = 1 << 30;

/// A statement and what became of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Instance {
    pub(crate) id: String,
    pub(crate) project: String,
    pub(crate) task: String,
    /// The `Job` element as it was sent.
    pub(crate) source: String,
    /// Error text of a failed statement.
    pub(crate) error: Option<String>,
    /// Whether it left rows.
    pub(crate) has_rows: bool,
    pub(crate) started_ms: i64,
    pub(crate) ended_ms: i64,
}

#[derive(Debug, Default)]
pub(crate) struct Instances {
    known: HashMap<String, Arc<Instance>>,
    /// Oldest first.
    results: Vec<(String, Arc<ResultSet>)>,
}

impl Instances {
    pub(super) fn load(connection: &Connection, now_ms: i64) -> Result<Self, OpenError> {
        connection.execute("DELETE FROM instances WHERE created_ms < ?1", [now_ms - REMEMBERED_MS])?;
        let mut statement = connection.prepare("SELECT doc FROM instances")?;
        let mut rows = statement.query([])?;
        let mut instances = Self::default();
        while let Some(row) = rows.next()? {
            let instance: Instance = serde_json::from_str(&row.get::<_, String>(0)?)?;
            instances.known.insert(instance.id.clone(), Arc::new(instance));
        }
        Ok(instances)
    }

    fn add(&mut self, instance: Instance, result: Option<ResultSet>) {
        let before = instance.started_ms - REMEMBERED_MS;
        self.known.retain(|_, old| old.started_ms >= before);
        if let Some(result) = result {
            self.results.push((instance.id.clone(), Arc::new(result)));
            let mut total: usize = self.results.iter().map(|(_, result)| result.size()).sum();
            while total > MAX_RESULTS_BYTES && self.results.len() > 1 {
                total -= self.results.remove(0).1.size();
            }
        }
        self.known.insert(instance.id.clone(), Arc::new(instance));
    }
}

impl Store {
    /// Remembers a statement and its rows.
    pub(crate) fn add_instance(&self, instance: Instance, result: Option<ResultSet>) -> Result<(), Fault> {
        let doc = serde_json::to_string(&instance).map_err(|error| Fault::Internal(error.to_string()))?;
        self.writer()
            .prepare_cached("INSERT INTO instances (id, project, created_ms, doc) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![instance.id, instance.project, instance.started_ms, doc])?;
        lock(&self.instances).add(instance, result);
        Ok(())
    }

    pub(crate) fn instance(&self, id: &str) -> Result<Arc<Instance>, Fault> {
        let found = lock(&self.instances).known.get(id).cloned();
        found.ok_or_else(|| Fault::NoSuchInstance(id.to_owned()))
    }

    /// The rows of a query.
    pub(crate) fn result(&self, instance: &Instance) -> Result<Arc<ResultSet>, Fault> {
        if !instance.has_rows {
            return Err(Fault::NoResult);
        }
        let instances = lock(&self.instances);
        let found = instances.results.iter().find(|(id, _)| *id == instance.id);
        found.map(|(_, result)| Arc::clone(result)).ok_or_else(|| {
            Fault::Invalid(format!("the rows of instance {} are no longer kept; run it again", instance.id))
        })
    }
}
