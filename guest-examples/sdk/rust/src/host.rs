//! What a plugin may ask the host for beside its rows.

/// Reference tables, which the pipeline file declares under the plugin's `lookups`. What they say can differ when a row comes again.
pub mod lookup {
    use crate::bindings::sluicebox::transform::lookup as host;

    /// The entry of a key in a table, as a JSON object; none where it has none. Asking for a table that the pipeline file does not
    /// declare ends the batch with an error.
    pub fn get(table: &str, key: &str) -> Option<String> {
        host::get(table, &[key.to_owned()]).into_iter().next().flatten()
    }

    /// The entries of several keys, in their order: one call is cheaper than many.
    pub fn get_all(table: &str, keys: &[String]) -> Vec<Option<String>> {
        host::get(table, keys)
    }
}

/// What the plugin remembers of a table from row to row, for plans that said [`Plan::stateful`](crate::Plan::stateful): texts as
/// keys of at most 1,024 bytes, bytes as values. It is saved together with the rows that led to it. What a row that fails has
/// changed is forgotten.
pub mod state {
    use crate::bindings::sluicebox::transform::state as host;

    /// The value of a key.
    pub fn get(key: &str) -> Option<Vec<u8>> {
        host::get(&[key.to_owned()]).into_iter().next().flatten()
    }

    /// The values of several keys, in their order: one call is cheaper than many.
    pub fn get_all(keys: &[String]) -> Vec<Option<Vec<u8>>> {
        host::get(keys)
    }

    /// Gives a key a value.
    pub fn put(key: &str, value: &[u8]) {
        host::put(&[host::Entry { key: key.to_owned(), value: Some(value.to_vec()) }]);
    }

    /// Removes a key.
    pub fn remove(key: &str) {
        host::put(&[host::Entry { key: key.to_owned(), value: None }]);
    }
}

/// The time of day, for plugins that the pipeline file grants it with `clock: true`. It makes answers differ when a row comes
/// again; [`Plan::commit_time`](crate::Plan::commit_time) does not.
pub mod clock {
    use crate::bindings::sluicebox::transform::clock as host;

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub fn now() -> u64 {
        host::now()
    }
}
