//! Makes a row for each part of a text column.
//!
//! ```yaml
//! config: { column: tags, separator: ",", into: tag }
//! ```
//!
//! A row with the tags `red,blue` becomes two, with `red` and `blue` in the new column `tag`, which takes the old one's place and joins the key.
//! Blanks around parts do not count, a part that occurs twice counts once, and a row without parts makes none.

use serde::Deserialize;
use sluicebox_guest::{
    NewText, Plan, Result, Row, Schema, Text, Transform, Type, Verdict, config_schema, export_plugin,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SplitTags {
    column: String,
    #[serde(default = "comma")]
    separator: String,
    into: String,
}

fn comma() -> String {
    ",".to_owned()
}

struct Columns {
    all: Text,
    one: NewText,
}

impl Transform for SplitTags {
    type Table = Columns;

    fn new(config: &str) -> Result<Self> {
        Ok(serde_json::from_str(config)?)
    }

    fn plan(&mut self, table: &Schema, plan: &mut Plan) -> Result<Columns> {
        let all = plan.text(&self.column)?;
        let one = plan.add_text(&self.into, Type::Text, false)?;
        plan.remove(&self.column)?;
        let mut key: Vec<_> = table.columns.iter().filter_map(|c| Some((c.key?, c.name.as_str()))).collect();
        key.sort_unstable();
        let mut key: Vec<_> = key.into_iter().map(|(_, name)| name).collect();
        // Rows of a table without a key stay without one.
        if !key.is_empty() {
            key.push(&self.into);
        }
        plan.key(&key);
        plan.expand();
        Ok(Columns { all, one })
    }

    fn row(&self, columns: &Columns, row: &mut Row) -> Result<Verdict> {
        let mut seen = Vec::new();
        let parts = row.text(columns.all).unwrap_or_default().split(self.separator.as_str()).map(str::trim);
        for part in parts.filter(|part| !part.is_empty()) {
            if !seen.contains(&part) {
                seen.push(part);
                row.set_text(columns.one, |out| out.push_str(part));
                row.emit()?;
            }
        }
        Ok(Verdict::Drop)
    }
}

config_schema!(include_str!("../config.schema.json"));
export_plugin!(SplitTags);
