//! Reference tables that a case file holds itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use sluicebox_wasm::{Grants, LookupTables, WasiGrants};

/// Entries by key, by table.
pub type InlineTables = BTreeMap<String, BTreeMap<String, Map<String, Value>>>;

#[derive(Debug)]
struct Inline(InlineTables);

impl LookupTables for Inline {
    fn get(&self, table: &str, keys: &[String]) -> Option<Vec<Option<Arc<str>>>> {
        let entries = self.0.get(table)?;
        // A map of JSON values always becomes JSON.
        let text = |entry: &Map<String, Value>| serde_json::to_string(entry).unwrap_or_default().into();
        Some(keys.iter().map(|key| entries.get(key).map(text)).collect())
    }

    fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

/// What a plugin may ask for in a case.
pub(super) fn grants(tables: &InlineTables, clock: bool, wasi: &WasiGrants) -> Grants {
    Grants { clock, wasi: wasi.clone(), lookups: Some(Arc::new(Inline(tables.clone()))) }
}
