//! Reference tables that a plugin may ask: who has them is the host's matter.

use std::sync::Arc;

/// The tables of one plugin, as the pipeline file declares them. Shared by all of its instances; what they say may change
/// between two calls.
pub trait LookupTables: std::fmt::Debug + Send + Sync {
    /// For each key its entry as a JSON object, or none; in the order of the keys. None as a whole: there is no such table.
    fn get(&self, table: &str, keys: &[String]) -> Option<Vec<Option<Arc<str>>>>;

    /// Names of the tables, for messages.
    fn names(&self) -> Vec<String>;
}

/// What is said of a table that is not there.
pub(crate) fn unknown(table: &str, tables: Option<&dyn LookupTables>) -> String {
    let names = tables.map(LookupTables::names).unwrap_or_default();
    if names.is_empty() {
        return format!("it asks for lookup table `{table}`; the pipeline file declares none for it");
    }
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    format!("it asks for lookup table `{table}`; the pipeline file declares {}", names.join(", "))
}
