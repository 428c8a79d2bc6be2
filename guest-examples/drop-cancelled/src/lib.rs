//! Drops rows whose text column has one of the values that the configuration names.
//!
//! ```yaml
//! config: { column: status, values: [CANCELLED, EXPIRED] }
//! ```
//!
//! An order that becomes cancelled leaves the sink, one that is taken up again enters it.

use serde::Deserialize;
use sluicebox_guest::{Plan, Result, Row, Schema, Text, Transform, Verdict, export_plugin};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DropCancelled {
    column: String,
    values: Vec<String>,
}

impl Transform for DropCancelled {
    type Table = Text;

    fn new(config: &str) -> Result<Self> {
        Ok(serde_json::from_str(config)?)
    }

    fn plan(&mut self, _table: &Schema, plan: &mut Plan) -> Result<Text> {
        plan.text(&self.column)
    }

    fn row(&self, &status: &Text, row: &mut Row) -> Result<Verdict> {
        let named = row.text(status).is_some_and(|status| self.values.iter().any(|value| value == status));
        Ok(if named { Verdict::Drop } else { Verdict::Keep })
    }
}

export_plugin!(DropCancelled);
