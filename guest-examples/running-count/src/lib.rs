//! Numbers the changes of rows with the same value in a column: the first of each value is 1.
//!
//! ```yaml
//! config: { by: customer, column: changes }
//! ```
//!
//! `by` is a text column; `column` is added, an integer. An inserted, updated, deleted or snapshot row counts as one; of an update the row
//! before does not count and shows what was counted so far. Rows with a null in `by` are not counted.

use serde::Deserialize;
use sluicebox_guest::{
    Kind, NewInt, Plan, Result, Row, Schema, Text, Transform, Type, Verdict, export_plugin, state,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RunningCount {
    by: String,
    column: String,
}

struct Columns {
    by: Text,
    count: NewInt,
}

impl Transform for RunningCount {
    type Table = Columns;

    fn new(config: &str) -> Result<Self> {
        Ok(serde_json::from_str(config)?)
    }

    fn plan(&mut self, _table: &Schema, plan: &mut Plan) -> Result<Columns> {
        plan.stateful();
        Ok(Columns { by: plan.text(&self.by)?, count: plan.add_int(&self.column, Type::Int, true)? })
    }

    fn row(&self, columns: &Columns, row: &mut Row) -> Result<Verdict> {
        let Some(by) = row.text(columns.by) else { return Ok(Verdict::Keep) };
        // As text, so that it can be read in the state's database.
        let mut count: i64 = match state::get(by) {
            Some(text) => String::from_utf8(text)?.parse()?,
            None => 0,
        };
        if row.kind() != Kind::Before {
            count += 1;
            state::put(by, count.to_string().as_bytes());
        }
        row.set_int(columns.count, count);
        Ok(Verdict::Keep)
    }
}

export_plugin!(RunningCount);
