//! Drops cancelled orders and masks e-mail addresses.

use sluicebox_guest::{Plan, Result, RewriteText, Row, Schema, Text, Transform, Verdict, export_plugin};

struct Plugin;

/// Handles of the columns that `row` needs; only these enter the plugin.
struct Columns {
    status: Text,
    email: RewriteText,
}

impl Transform for Plugin {
    type Table = Columns;

    /// `config` is the pipeline file's `config`, as JSON text.
    fn new(_config: &str) -> Result<Self> {
        Ok(Self)
    }

    /// Called once for each table and version of its schema. Renames and removals are the host's work and cost nothing.
    fn plan(&mut self, _table: &Schema, plan: &mut Plan) -> Result<Columns> {
        plan.remove("note")?;
        Ok(Columns { status: plan.text("status")?, email: plan.rewrite_text("email")? })
    }

    /// Called for each row. An error condemns this row alone.
    fn row(&self, columns: &Columns, row: &mut Row) -> Result<Verdict> {
        if row.text(columns.status) == Some("CANCELLED") {
            return Ok(Verdict::Drop);
        }
        if let Some(address) = row.text(columns.email) {
            let Some((_, domain)) = address.rsplit_once('@') else {
                return Err("the address has no @".into());
            };
            row.set_text(columns.email, |out| {
                out.push_str("***@");
                out.push_str(domain);
            });
        }
        Ok(Verdict::Keep)
    }
}

export_plugin!(Plugin);
