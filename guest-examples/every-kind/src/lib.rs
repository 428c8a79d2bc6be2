//! For tests: reads every column and computes it again as it was.
//!
//! Each column is set twice, and the second time counts. `meta` adds columns with what else is known of a row; `refuse`
//! condemns rows whose first integer has this value.

use serde::Deserialize;
use sluicebox_guest::{
    ColumnType, Int, NewInt, NewText, NewUInt, Plan, Result, RewriteBytes, RewriteFloat, RewriteInt,
    RewriteText, RewriteUInt, Row, Schema, Text, Transform, Type, UInt, Verdict, export_plugin,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EveryKind {
    #[serde(default)]
    meta: bool,
    refuse: Option<i64>,
}

#[derive(Default)]
struct Columns {
    ints: Vec<RewriteInt>,
    uints: Vec<RewriteUInt>,
    floats: Vec<RewriteFloat>,
    texts: Vec<RewriteText>,
    bytes: Vec<RewriteBytes>,
    meta: Option<Meta>,
}

struct Meta {
    commit_time: (Int, NewInt),
    position: (UInt, NewUInt),
    transaction: (Text, NewText),
    seed: (UInt, NewUInt),
}

impl Transform for EveryKind {
    type Table = Columns;

    fn new(config: &str) -> Result<Self> {
        Ok(serde_json::from_str(config)?)
    }

    fn plan(&mut self, table: &Schema, plan: &mut Plan) -> Result<Columns> {
        let mut columns = Columns::default();
        for column in &table.columns {
            let name = &column.name;
            match column.column_type {
                ColumnType::UInt => columns.uints.push(plan.rewrite_uint(name)?),
                ColumnType::Float => columns.floats.push(plan.rewrite_float(name)?),
                ColumnType::Binary => columns.bytes.push(plan.rewrite_bytes(name)?),
                ColumnType::Text | ColumnType::Json => columns.texts.push(plan.rewrite_text(name)?),
                ColumnType::Decimal if column.precision > 18 => columns.texts.push(plan.rewrite_text(name)?),
                _ => columns.ints.push(plan.rewrite_int(name)?),
            }
        }
        if self.meta {
            columns.meta = Some(Meta {
                commit_time: (plan.commit_time(), plan.add_int("commit_time", Type::Timestamp(6), true)?),
                position: (plan.position(), plan.add_uint("position", Type::UInt, true)?),
                transaction: (plan.transaction(), plan.add_text("transaction", Type::Text, true)?),
                seed: (plan.seed(), plan.add_uint("seed", Type::UInt, false)?),
            });
        }
        Ok(columns)
    }

    fn row(&self, columns: &Columns, row: &mut Row) -> Result<Verdict> {
        for &column in &columns.ints {
            row.set_int(column, None);
            row.set_int(column, row.int(column));
        }
        for &column in &columns.uints {
            row.set_uint(column, 1);
            row.set_uint(column, row.uint(column));
        }
        for &column in &columns.floats {
            row.set_float(column, 1.0);
            row.set_float(column, row.float(column));
        }
        for &column in &columns.texts {
            row.set_text(column, |out| out.push_str("once"));
        }
        // What is set by now is no value of its column's type.
        if self.refuse.is_some() && columns.ints.first().and_then(|&first| row.int(first)) == self.refuse {
            return Err(format!(
                "row refused as {}",
                match row.kind() {
                    sluicebox_guest::Kind::Before => "before",
                    _ => "other",
                }
            )
            .into());
        }
        for &column in &columns.texts {
            match row.text(column) {
                Some(text) => row.set_text(column, |out| out.push_str(text)),
                None => row.set_text_null(column),
            }
        }
        for &column in &columns.bytes {
            row.set_bytes_null(column);
            match row.bytes(column) {
                Some(bytes) => row.set_bytes(column, bytes),
                None => row.set_bytes_null(column),
            }
        }
        if let Some(meta) = &columns.meta {
            row.set_int(meta.commit_time.1, row.int(meta.commit_time.0));
            row.set_uint(meta.position.1, row.uint(meta.position.0));
            if let Some(name) = row.text(meta.transaction.0) {
                row.set_text(meta.transaction.1, |out| out.push_str(name));
            }
            row.set_uint(meta.seed.1, row.uint(meta.seed.0));
        }
        Ok(Verdict::Keep)
    }
}

export_plugin!(EveryKind);
