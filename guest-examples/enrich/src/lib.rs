//! Adds columns from a reference table that the pipeline file declares under the plugin's `lookups`.
//!
//! ```yaml
//! config: { table: countries, key: country, add: { country_name: name, region: region } }
//! ```
//!
//! `key` is a text column; each column under `add` is filled with that field of the entry whose key it holds. Where the table has no such
//! entry, or the entry no such text, the column is null.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use sluicebox_guest::{
    NewText, Plan, Result, Row, Schema, Text, Transform, Type, Verdict, export_plugin, lookup,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Enrich {
    table: String,
    key: String,
    /// Fields of an entry by the columns that they go to.
    add: BTreeMap<String, String>,
}

struct Columns {
    key: Text,
    /// With their fields.
    added: Vec<(NewText, String)>,
}

impl Transform for Enrich {
    type Table = Columns;

    fn new(config: &str) -> Result<Self> {
        Ok(serde_json::from_str(config)?)
    }

    fn plan(&mut self, _table: &Schema, plan: &mut Plan) -> Result<Columns> {
        let key = plan.text(&self.key)?;
        let mut added = Vec::new();
        for (column, field) in &self.add {
            added.push((plan.add_text(column, Type::Text, true)?, field.clone()));
        }
        Ok(Columns { key, added })
    }

    fn row(&self, columns: &Columns, row: &mut Row) -> Result<Verdict> {
        let Some(entry) = row.text(columns.key).and_then(|key| lookup::get(&self.table, key)) else {
            return Ok(Verdict::Keep);
        };
        let entry: Map<String, Value> = serde_json::from_str(&entry)?;
        for (column, field) in &columns.added {
            if let Some(Value::String(text)) = entry.get(field) {
                row.set_text(*column, |out| out.push_str(text));
            }
        }
        Ok(Verdict::Keep)
    }
}

export_plugin!(Enrich);
