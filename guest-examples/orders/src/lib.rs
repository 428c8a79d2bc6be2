//! Keeps orders of more than two pieces that were not cancelled, masks e-mail addresses, renames and removes columns.

use sluicebox_guest::{Int, Plan, Result, RewriteText, Row, Schema, Text, Transform, Verdict, export_plugin};

struct Orders;

struct Columns {
    quantity: Int,
    status: Text,
    email: RewriteText,
}

impl Transform for Orders {
    type Table = Columns;

    fn new(_config: &str) -> Result<Self> {
        Ok(Self)
    }

    fn plan(&mut self, _table: &Schema, plan: &mut Plan) -> Result<Columns> {
        plan.rename("order_no", "order_number")?;
        plan.rename("created", "created_at")?;
        plan.remove("note")?;
        plan.remove("coupon")?;
        Ok(Columns {
            quantity: plan.int("quantity")?,
            status: plan.text("status")?,
            email: plan.rewrite_text("email")?,
        })
    }

    fn row(&self, columns: &Columns, row: &mut Row) -> Result<Verdict> {
        if row.int(columns.quantity).unwrap_or(0) <= 2 || row.text(columns.status) == Some("CANCELLED") {
            return Ok(Verdict::Drop);
        }
        if let Some(address) = row.text(columns.email) {
            let (name, domain) = address.split_at(address.find('@').unwrap_or(address.len()));
            row.set_text(columns.email, |out| {
                out.push(name.chars().next().unwrap_or('*'));
                out.push_str("***");
                out.push_str(domain);
            });
        }
        Ok(Verdict::Keep)
    }
}

export_plugin!(Orders);
