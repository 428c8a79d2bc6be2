//! Renames a table and its columns, and leaves columns out, or all but those of `keep`. The host does all of it: no row enters the plugin.
//!
//! ```yaml
//! config: { table: orders_clean, rename: { order_no: order_number }, remove: [note, internal_flags] }
//! ```

use std::collections::BTreeMap;

use serde::Deserialize;
use sluicebox_guest::{Plan, Result, Row, Schema, Transform, Verdict, export_plugin};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RenameProject {
    table: Option<String>,
    #[serde(default)]
    rename: BTreeMap<String, String>,
    #[serde(default)]
    remove: Vec<String>,
    keep: Option<Vec<String>>,
}

impl Transform for RenameProject {
    type Table = ();

    fn new(config: &str) -> Result<Self> {
        Ok(serde_json::from_str(config)?)
    }

    fn plan(&mut self, _table: &Schema, plan: &mut Plan) -> Result<()> {
        if let Some(table) = &self.table {
            plan.rename_table(table);
        }
        for (column, name) in &self.rename {
            plan.rename(column, name)?;
        }
        for column in &self.remove {
            plan.remove(column)?;
        }
        if let Some(columns) = &self.keep {
            plan.keep_only(&columns.iter().map(String::as_str).collect::<Vec<_>>())?;
        }
        plan.pass();
        Ok(())
    }

    fn row(&self, _table: &(), _row: &mut Row) -> Result<Verdict> {
        Ok(Verdict::Keep)
    }
}

export_plugin!(RenameProject);
