//! For tests: reads every column and computes it again as it was.
//!
//! Each column is set twice, and the second time counts. `meta` adds columns with what else is known of a row; `refuse`
//! condemns rows whose first integer has this value, or drops them with `drop`. `twice` makes two rows of each, told apart by a column `copy`,
//! of which only the second is set; a row is condemned or dropped between the two, and by then has columns that are set wrong. `ddl` refuses
//! every table, and tells its version and the statement that led to it.

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
    #[serde(default)]
    drop: bool,
    #[serde(default)]
    twice: bool,
    #[serde(default)]
    ddl: bool,
}

#[derive(Default)]
struct Columns {
    ints: Vec<RewriteInt>,
    uints: Vec<RewriteUInt>,
    floats: Vec<RewriteFloat>,
    texts: Vec<RewriteText>,
    bytes: Vec<RewriteBytes>,
    meta: Option<Meta>,
    copy: Option<NewInt>,
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
        if self.ddl {
            let ddl = table.ddl.as_deref().unwrap_or("nothing");
            return Err(format!("version {} by {ddl}", table.version).into());
        }
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
        if self.twice {
            columns.copy = Some(plan.add_int("copy", Type::Int, false)?);
            let mut key: Vec<_> =
                table.columns.iter().filter_map(|c| Some((c.key?, c.name.as_str()))).collect();
            key.sort_unstable();
            let key: Vec<_> = key.into_iter().map(|(_, name)| name).chain(["copy"]).collect();
            plan.key(&key);
            plan.expand();
        }
        Ok(columns)
    }

    fn row(&self, columns: &Columns, row: &mut Row) -> Result<Verdict> {
        if let Some(copy) = columns.copy {
            row.set_int(copy, 1);
            row.emit()?;
            row.set_int(copy, 2);
        }
        set_all(columns, row);
        if self.refuse.is_some() && columns.ints.first().and_then(|&first| row.int(first)) == self.refuse {
            // No value of its column's type, where that is JSON or a wide decimal.
            for &column in &columns.texts {
                row.set_text(column, |out| out.push_str("once"));
            }
            let before = row.kind() == sluicebox_guest::Kind::Before;
            return match self.drop {
                true => Ok(Verdict::Drop),
                false => Err(format!("row refused as {}", if before { "before" } else { "other" }).into()),
            };
        }
        Ok(Verdict::Keep)
    }
}

fn set_all(columns: &Columns, row: &mut Row) {
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
}

export_plugin!(EveryKind);
