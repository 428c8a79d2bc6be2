//! Masks e-mail addresses: `ada@example.org` becomes `a***@example.org`, or `***` when the domain is not to be kept.
//!
//! ```yaml
//! config: { columns: [email, backup_email], keep-domain: true }
//! ```
//!
//! What is no address, since it has no `@`, becomes `***`. Nulls stay nulls.

use serde::Deserialize;
use sluicebox_guest::{Plan, Result, RewriteText, Row, Schema, TextOut, Transform, Verdict, export_plugin};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct MaskEmail {
    columns: Vec<String>,
    #[serde(default)]
    keep_domain: bool,
}

impl Transform for MaskEmail {
    type Table = Vec<RewriteText>;

    fn new(config: &str) -> Result<Self> {
        Ok(serde_json::from_str(config)?)
    }

    fn plan(&mut self, _table: &Schema, plan: &mut Plan) -> Result<Vec<RewriteText>> {
        self.columns.iter().map(|column| plan.rewrite_text(column)).collect()
    }

    fn row(&self, columns: &Vec<RewriteText>, row: &mut Row) -> Result<Verdict> {
        for &column in columns {
            if let Some(address) = row.text(column) {
                row.set_text(column, |out| mask(address, self.keep_domain, out));
            }
        }
        Ok(Verdict::Keep)
    }
}

fn mask(address: &str, keep_domain: bool, out: &mut TextOut<'_>) {
    let domain = address.rfind('@').filter(|_| keep_domain);
    if let Some(at) = domain
        && let Some(first) = address[..at].chars().next()
    {
        out.push(first);
    }
    out.push_str("***");
    if let Some(at) = domain {
        out.push_str(&address[at..]);
    }
}

export_plugin!(MaskEmail);
