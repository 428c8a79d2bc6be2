//! Changes of a table's definition.

use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, params};

use super::{Column, Store, Table, TableName};
use crate::fault::Fault;
use crate::sql::ast::ColumnDef;
use crate::wire::cursor::{Cursor, Malformed};
use crate::wire::decimal::Decimal;
use crate::wire::row::{ColumnId, columns, put_column};
use crate::wire::text::plain;
use crate::wire::types::{Type, widens};
use crate::wire::value::Value;

/// Columns per table, the service's limit.
const MAX_COLUMNS: usize = 1200;

fn nothing(_: &Connection, _: &Table, (): ()) -> Result<(), Fault> {
    Ok(())
}

fn unresolved(column: &str) -> Fault {
    Fault::semantic(format!("column {column} cannot be resolved"))
}

/// The position of a column that may be altered: not of the key, nor a partition column.
fn alterable(table: &Table, name: &str) -> Result<usize, Fault> {
    if table.partition_columns.iter().any(|column| column.name == name) {
        return Err(Fault::semantic(format!("partition column {name} cannot be altered")));
    }
    if table.primary_key.iter().any(|key| key == name) {
        return Err(Fault::semantic(format!("primary key column {name} cannot be altered")));
    }
    table.columns.iter().position(|column| column.name == name).ok_or_else(|| unresolved(name))
}

fn require_free(table: &Table, name: &str) -> Result<(), Fault> {
    let taken = table.columns.iter().chain(&table.partition_columns).any(|column| column.name == name);
    if taken { Err(Fault::semantic(format!("column {name} already exists"))) } else { Ok(()) }
}

impl Store {
    /// Adds nullable columns at the end.
    pub(crate) fn add_columns(
        &self,
        name: &TableName,
        added: Vec<ColumnDef>,
        if_not_exists: bool,
        now_s: i64,
    ) -> Result<(), Fault> {
        let change = |table: &mut Table| {
            for def in added {
                if if_not_exists && table.column(&def.name).is_some() {
                    continue;
                }
                require_free(table, &def.name)?;
                if def.not_null {
                    return Err(Fault::semantic(format!("added column {} must be nullable", def.name)));
                }
                let comment = def.comment.unwrap_or_default();
                let id = table.next_column_id;
                table.next_column_id += 1;
                table.columns.push(Column { id, name: def.name, kind: def.kind, nullable: true, comment });
            }
            if table.columns.len() > MAX_COLUMNS {
                return Err(Fault::semantic(format!("a table has at most {MAX_COLUMNS} columns")));
            }
            table.schema_version += 1;
            Ok(())
        };
        self.redefine(name, now_s, change, nothing)
    }

    pub(crate) fn drop_columns(&self, name: &TableName, dropped: &[String], now_s: i64) -> Result<(), Fault> {
        let change = |table: &mut Table| {
            for column in dropped {
                let at = alterable(table, column)?;
                table.columns.remove(at);
            }
            if table.columns.is_empty() {
                return Err(Fault::semantic("a table must keep a column"));
            }
            table.schema_version += 1;
            table.evolved = true;
            Ok(())
        };
        self.redefine(name, now_s, change, nothing)
    }

    pub(crate) fn rename_column(
        &self,
        name: &TableName,
        from: &str,
        to: &str,
        now_s: i64,
    ) -> Result<(), Fault> {
        let change = |table: &mut Table| {
            let at = alterable(table, from)?;
            require_free(table, to)?;
            to.clone_into(&mut table.columns[at].name);
            table.schema_version += 1;
            Ok(())
        };
        self.redefine(name, now_s, change, nothing)
    }

    /// Changes name, type and comment of a column; stored values follow.
    pub(crate) fn change_column(
        &self,
        name: &TableName,
        from: &str,
        to: ColumnDef,
        now_s: i64,
    ) -> Result<(), Fault> {
        let change = |table: &mut Table| {
            let at = alterable(table, from)?;
            if to.name != from {
                require_free(table, &to.name)?;
            }
            let column = &mut table.columns[at];
            if !widens(&column.kind, &to.kind) {
                return Err(Fault::semantic(format!(
                    "column {from} of type {} cannot be changed to {}",
                    column.kind, to.kind
                )));
            }
            let retype = Retype { id: column.id, from: column.kind.clone(), to: to.kind.clone() };
            column.name = to.name;
            column.kind = to.kind;
            if let Some(comment) = to.comment {
                column.comment = comment;
            }
            table.evolved |= retype.from != retype.to;
            table.schema_version += 1;
            Ok(retype)
        };
        self.redefine(name, now_s, change, |connection, table, retype: Retype| {
            if retype.same_bytes() { Ok(()) } else { rewrite_rows(connection, table, retype) }
        })
    }

    /// Sets what needs no look at the columns: comment, lifecycle, properties, the table's own name.
    pub(crate) fn set_attributes(
        &self,
        name: &TableName,
        now_s: i64,
        change: impl FnOnce(&mut Table) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.redefine(name, now_s, change, nothing)
    }

    /// Comments on a column; its type stays.
    pub(crate) fn comment_column(
        &self,
        name: &TableName,
        column: &str,
        comment: String,
        now_s: i64,
    ) -> Result<(), Fault> {
        let change = |table: &mut Table| {
            let found = table.columns.iter_mut().find(|found| found.name == column);
            found.ok_or_else(|| unresolved(column))?.comment = comment;
            Ok(())
        };
        self.redefine(name, now_s, change, nothing)
    }

    /// Removes all rows of a table or of one partition.
    pub(crate) fn truncate(&self, table: &Table, part: Option<i64>, now_ms: i64) -> Result<(), Fault> {
        let mut writer = self.writer();
        let tx = writer.transaction()?;
        self.remove_rows(&tx, table, part, now_ms)?;
        self.touch(&tx, table, now_ms)?;
        tx.commit()?;
        self.forget_count(table);
        Ok(())
    }

    /// Sets a column nullable; there is no way back.
    pub(crate) fn set_nullable(&self, name: &TableName, column: &str, now_s: i64) -> Result<(), Fault> {
        let change = |table: &mut Table| {
            let at = alterable(table, column)?;
            table.columns[at].nullable = true;
            table.schema_version += 1;
            Ok(())
        };
        self.redefine(name, now_s, change, nothing)
    }
}

/// A column whose stored values change their type.
#[derive(Debug, Clone)]
struct Retype {
    id: ColumnId,
    from: Type,
    to: Type,
}

impl Retype {
    /// Integers of all sizes have one form, and so have all texts and decimals.
    fn same_bytes(&self) -> bool {
        let text = |kind: &Type| matches!(kind, Type::String | Type::Char(_) | Type::VarChar(_));
        let decimal = |kind: &Type| matches!(kind, Type::Decimal { .. });
        (self.from.integer_range().is_some() && self.to.integer_range().is_some())
            || (text(&self.from) && text(&self.to))
            || (decimal(&self.from) && decimal(&self.to))
    }

    /// A row with the column's value in its new form.
    fn convert(&self, row: &[u8]) -> Result<Vec<u8>, Malformed> {
        let mut out = Vec::with_capacity(row.len() + 16);
        for column in columns(row) {
            let (id, bytes) = column?;
            if id == self.id {
                let old = Value::decode(&mut Cursor::new(bytes), &self.from)?;
                let mut new = Vec::new();
                widen(&old, &self.from, &self.to)?.encode(&self.to, &mut new)?;
                put_column(&mut out, id, &new);
            } else {
                put_column(&mut out, id, bytes);
            }
        }
        Ok(out)
    }
}

/// A value in a wider type.
fn widen(value: &Value, from: &Type, to: &Type) -> Result<Value, Malformed> {
    let text = plain(value, from);
    let number =
        |text: &str| text.parse::<f64>().map_err(|_| Malformed::new("a stored number is not readable"));
    Ok(match (value, to) {
        (Value::Float(old), Type::Double) => Value::Double((*old).into()),
        (_, Type::Double) => Value::Double(number(&text)?),
        (_, Type::Float) => {
            Value::Float(text.parse().map_err(|_| Malformed::new("a stored number is not readable"))?)
        }
        (_, Type::Decimal { scale, .. }) => {
            let old = Decimal::parse(text.as_bytes()).and_then(|d| d.at_scale((*scale).into()));
            let unscaled = old.ok_or_else(|| Malformed::new("a stored number is not readable"))?;
            Value::Text(Decimal { unscaled, scale: (*scale).into() }.plain())
        }
        _ => Value::Text(text),
    })
}

/// Rewrites every row of a table inside the transaction that changes its definition.
fn rewrite_rows(connection: &Connection, table: &Table, retype: Retype) -> Result<(), Fault> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("retype", 1, flags, move |context| {
        let row = context
            .get_raw(0)
            .as_blob()
            .map_err(|error| rusqlite::Error::UserFunctionError(Box::new(error)))?;
        retype.convert(row).map_err(|error| rusqlite::Error::UserFunctionError(error.0.into()))
    })?;
    connection.execute(&format!("UPDATE {} SET row = retype(row)", table.rows()), params![])?;
    connection.remove_function("retype", 1)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_values_follow_a_change_of_type() {
        let cases = [
            ("int", Value::Int(-5), "double", Value::Double(-5.0)),
            ("int", Value::Int(7), "string", Value::Text("7".into())),
            ("int", Value::Int(7), "decimal(12,2)", Value::Text("7.00".into())),
            ("float", Value::Float(1.5), "double", Value::Double(1.5)),
            ("date", Value::Int(0), "string", Value::Text("1970-01-01".into())),
        ];
        for (from, old, to, want) in cases {
            let (from, to) = (Type::parse(from).unwrap(), Type::parse(to).unwrap());
            assert_eq!(widen(&old, &from, &to), Ok(want));
        }
    }
}
