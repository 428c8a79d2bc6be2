//! Table maps of the moment.
//!
//! Every statement sends its table maps again, mostly the same ones: a map whose bytes and whose schemas did not change is
//! known after one comparison.

use std::collections::HashMap;
use std::sync::Arc;

use sluicebox_model::TableSchema;

use crate::row::RowLayout;

/// Ids change with every statement that changes a table, and old ones are never taken back. Forgetting all of them is safe
/// between transactions, and costs one lookup for each table afterwards.
const MAPS_MAX: usize = 10_000;

/// What a table id means.
#[derive(Debug)]
pub(super) enum Meaning {
    /// Nobody captures it.
    Foreign,
    /// A captured table.
    Captured {
        /// Its schema at this place.
        schema: Arc<TableSchema>,
        /// How its rows are written.
        layout: Arc<RowLayout>,
    },
}

#[derive(Debug)]
struct Known {
    map: Vec<u8>,
    /// The state of the schemas when it was looked up.
    generation: u64,
    meaning: Meaning,
}

/// Meanings by table id.
#[derive(Debug, Default)]
pub(super) struct Maps {
    known: HashMap<u64, Known>,
}

impl Maps {
    /// Whether this map (its event's body) is known and still means the same.
    pub(super) fn is_known(&self, table_id: u64, map: &[u8], generation: u64) -> bool {
        self.known.get(&table_id).is_some_and(|k| k.generation == generation && k.map == map)
    }

    pub(super) fn insert(&mut self, table_id: u64, map: &[u8], generation: u64, meaning: Meaning) {
        self.known.insert(table_id, Known { map: map.to_vec(), generation, meaning });
    }

    pub(super) fn meaning(&self, table_id: u64) -> Option<&Meaning> {
        self.known.get(&table_id).map(|k| &k.meaning)
    }

    /// A server that was started numbers its tables anew.
    pub(super) fn clear(&mut self) {
        self.known.clear();
    }

    /// Called between transactions.
    pub(super) fn trim(&mut self) {
        if self.known.len() > MAPS_MAX {
            self.known.clear();
        }
    }
}
