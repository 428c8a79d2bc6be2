//! Reads one row by its key, as it is now.

use std::sync::Arc;

use mysql_async::{Params, Value};
use sluicebox_model::{ChangeBatch, Column, TableSchema};

use super::rows::BatchAssembler;
use super::{column_list, full_name};
use crate::client::quote;
use crate::control::Control;
use crate::error::MysqlError;
use crate::types::{BaseType, DeclaredType};

impl Control {
    /// The row with this key as it is now, as a batch of one; none when there is none. `key` has a text for each column of the
    /// table's key, in key order: numbers plain, bytes hexadecimal behind `0x`, times and dates as MySQL writes them, in UTC.
    ///
    /// # Errors
    ///
    /// [`MysqlError::Statement`] when the table is not what `schema` says (1054, 1146) or has another key (code 0).
    pub async fn read_row(
        &mut self,
        schema: &Arc<TableSchema>,
        key: &[String],
    ) -> Result<Option<ChangeBatch>, MysqlError> {
        let doing = format!("reading a row of `{}`", schema.id);
        let peer = self.client.peer().clone();
        if key.is_empty() || key.len() != schema.key.len() {
            return Err(peer.statement(&doing, 0, "the table has another key"));
        }
        let conditions: Vec<String> = schema.key_columns().map(condition).collect();
        let values: Vec<Value> = schema.key_columns().zip(key).map(|(c, text)| parameter(c, text)).collect();
        let statement = format!(
            "SELECT {} FROM {} WHERE {} LIMIT 1",
            column_list(schema),
            full_name(&schema.id),
            conditions.join(" AND ")
        );
        let rows: Vec<mysql_async::Row> =
            self.client.rows_with(&statement, Params::Positional(values), &doing).await?;
        let mut assembler = BatchAssembler::new(Arc::clone(schema));
        for row in rows {
            assembler.push(row).map_err(|reason| peer.statement(&doing, 0, reason))?;
        }
        assembler.take().map_err(|reason| peer.statement(&doing, 0, reason))
    }
}

fn declared(column: &Column) -> Option<DeclaredType> {
    DeclaredType::parse(&column.source_type)
}

/// Numbers are compared as numbers: with a text they would be compared as doubles, in which neighbours are equal.
fn condition(column: &Column) -> String {
    let name = quote(&column.name);
    let declared = declared(column);
    match declared.as_ref().map(|d| d.base) {
        Some(BaseType::Bit) => format!("{name}+0 = CAST(? AS UNSIGNED)"),
        Some(BaseType::Binary | BaseType::VarBinary | BaseType::Blob) => format!("{name} = UNHEX(?)"),
        Some(BaseType::Decimal) => {
            let (precision, scale) = declared.map_or((65, 30), |d| (d.precision(), d.scale()));
            format!("{name} = CAST(? AS DECIMAL({precision},{scale}))")
        }
        _ => format!("{name} = ?"),
    }
}

fn parameter(column: &Column, text: &str) -> Value {
    if let Some(hex) = text.strip_prefix("0x").filter(|_| condition(column).ends_with("UNHEX(?)")) {
        return Value::Bytes(hex.as_bytes().to_vec());
    }
    let is_text = matches!(column.column_type, sluicebox_model::ColumnType::Text);
    let number = if is_text { None } else { text.parse().map(Value::Int).ok() };
    let number = number.or_else(|| text.parse().map(Value::UInt).ok().filter(|_| !is_text));
    // A time zone's letter is no part of MySQL's texts; the session's zone is UTC.
    number.unwrap_or_else(|| Value::Bytes(text.strip_suffix('Z').filter(|_| !is_text).unwrap_or(text).into()))
}
