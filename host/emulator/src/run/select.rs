//! SELECT over one table.
//!
//! Rows come from the database in key order (Delta) or order of arrival. Without ORDER BY a query streams
//! through them and stops at its limit; with it the rows that pass the filter are sorted in memory. A query
//! with groups holds those in memory and sorts them by columns of the result.

use std::collections::HashMap;
use std::sync::Arc;

use super::aggregate::{Grouping, is_grouped};
use super::condition::{Condition, sort_order};
use super::{Context, ResultSet};
use crate::fault::Fault;
use crate::sql::ast::{Function, Item, Order, Select};
use crate::store::{Store, Table};
use crate::wire::cursor::{Cursor, Malformed};
use crate::wire::row::{columns, put_column};
use crate::wire::text::parse_as;
use crate::wire::types::Type;
use crate::wire::value::Value;

pub(super) fn run(store: &Store, context: &Context, select: &Select) -> Result<ResultSet, Fault> {
    let name = context.resolve(store, &select.table)?;
    let table = store.catalog().table(&name)?;
    let source = Source::new(store, table);
    let filter = match &select.filter {
        Some(expr) => Some(Condition::resolve(expr, &|name: &str| source.find(name))?),
        None => None,
    };
    if let Some(alias) = counts_all(select) {
        return count_all(store, &source, alias);
    }
    if is_grouped(select) {
        return grouped(store, &source, filter.as_ref(), select);
    }
    let outputs = outputs(&select.items, &source)?;
    let mut result = ResultSet::new(outputs.iter().map(|o| (o.name.clone(), o.kind.clone())).collect());
    let limit = limit_of(select);
    if select.order.is_empty() {
        let mut encoder = Encoder::new(&outputs);
        source.scan(store, filter.as_ref(), |row| {
            if result.len() >= limit {
                return Ok(false);
            }
            result.push(encoder.encode(row)?)?;
            Ok(true)
        })?;
        return Ok(result);
    }
    let keys = order_keys(select, &source, &outputs)?;
    let mut rows: Vec<Vec<Option<Value>>> = Vec::new();
    source.scan(store, filter.as_ref(), |row| {
        rows.push(row.to_vec());
        Ok(true)
    })?;
    sort(&mut rows, &keys, &source.columns);
    let mut encoder = Encoder::new(&outputs);
    for row in rows.iter().take(limit) {
        result.push(encoder.encode(row)?)?;
    }
    Ok(result)
}

/// A table's columns, then its partition columns.
struct Source {
    table: Arc<Table>,
    columns: Vec<(String, Type)>,
    /// Values of the partition columns by partition number.
    partitions: HashMap<i64, Vec<Option<Value>>>,
}

impl Source {
    fn new(store: &Store, table: Arc<Table>) -> Self {
        let all = table.columns.iter().chain(&table.partition_columns);
        let columns = all.map(|c| (c.name.clone(), c.kind.clone())).collect();
        let values = |texts: &[String]| {
            let pairs = texts.iter().zip(&table.partition_columns);
            pairs.map(|(text, column)| parse_as(text, &column.kind)).collect()
        };
        let partitions = store.catalog().partitions(table.id).map(|p| (p.id, values(&p.values))).collect();
        Self { table, columns, partitions }
    }

    fn find(&self, name: &str) -> Result<(usize, Type), Fault> {
        let at = self.columns.iter().position(|(column, _)| column == name);
        let at = at.ok_or_else(|| Fault::semantic(format!("column {name} cannot be resolved")))?;
        Ok((at, self.columns[at].1.clone()))
    }

    /// Calls `visit` for every row that passes the filter, until it says no.
    fn scan(
        &self,
        store: &Store,
        filter: Option<&Condition>,
        mut visit: impl FnMut(&[Option<Value>]) -> Result<bool, Fault>,
    ) -> Result<(), Fault> {
        let positions: HashMap<u32, usize> =
            self.table.columns.iter().enumerate().map(|(at, column)| (column.id, at)).collect();
        let data = self.table.columns.len();
        let mut row = vec![None; self.columns.len()];
        store.for_each_row(&self.table, None, |part, blob| {
            row.fill(None);
            for column in columns(blob) {
                let (id, bytes) = column?;
                if let Some(&at) = positions.get(&id) {
                    row[at] = Some(Value::decode(&mut Cursor::new(bytes), &self.columns[at].1)?);
                }
            }
            if let Some(values) = self.partitions.get(&part) {
                row[data..].clone_from_slice(values);
            }
            let passes = match filter {
                Some(filter) => filter.holds(&row)? == Some(true),
                None => true,
            };
            if passes { visit(&row) } else { Ok(true) }
        })
    }
}

/// One column of the result.
struct Output {
    at: usize,
    name: String,
    kind: Type,
}

/// The alias of a lone `count(*)` over the whole table, which the store knows without reading the rows.
#[expect(clippy::option_option, reason = "counting without alias differs from not counting")]
fn counts_all(select: &Select) -> Option<Option<&str>> {
    match select.items.as_slice() {
        [Item::Aggregate { function: Function::Count, argument: None, alias, .. }]
            if select.filter.is_none() && select.group.is_empty() && select.limit != Some(0) =>
        {
            Some(alias.as_deref())
        }
        _ => None,
    }
}

fn count_all(store: &Store, source: &Source, alias: Option<&str>) -> Result<ResultSet, Fault> {
    let rows = i64::try_from(store.count_rows(&source.table)?).unwrap_or(i64::MAX);
    let columns = vec![(alias.unwrap_or("_c0").to_owned(), Type::BigInt)];
    result_of(&columns, &[vec![Some(Value::Int(rows))]])
}

/// A query that is answered with groups.
fn grouped(
    store: &Store,
    source: &Source,
    filter: Option<&Condition>,
    select: &Select,
) -> Result<ResultSet, Fault> {
    let mut grouping = Grouping::resolve(select, &source.columns, &|name: &str| source.find(name))?;
    source.scan(store, filter, |row| grouping.take(row).map(|()| true))?;
    let columns = std::mem::take(&mut grouping.columns);
    let position = |order: &Order| {
        let at = columns.iter().position(|(name, _)| *name == order.column);
        at.map(|at| (at, order.descending))
            .ok_or_else(|| Fault::semantic(format!("column {} is not in the result", order.column)))
    };
    let keys = select.order.iter().map(position).collect::<Result<Vec<_>, _>>()?;
    let mut rows = grouping.finish()?;
    sort(&mut rows, &keys, &columns);
    rows.truncate(limit_of(select));
    result_of(&columns, &rows)
}

fn result_of(columns: &[(String, Type)], rows: &[Vec<Option<Value>>]) -> Result<ResultSet, Fault> {
    let output =
        |(at, (name, kind)): (usize, &(String, Type))| Output { at, name: name.clone(), kind: kind.clone() };
    let outputs: Vec<Output> = columns.iter().enumerate().map(output).collect();
    let mut result = ResultSet::new(columns.to_vec());
    let mut encoder = Encoder::new(&outputs);
    for row in rows {
        result.push(encoder.encode(row)?)?;
    }
    Ok(result)
}

fn limit_of(select: &Select) -> usize {
    usize::try_from(select.limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX)
}

/// Sorts by positions, each up or down; rows that are alike keep their order.
fn sort(rows: &mut [Vec<Option<Value>>], keys: &[(usize, bool)], columns: &[(String, Type)]) {
    rows.sort_by(|a, b| {
        let by = |&(at, descending): &(usize, bool)| {
            let order = sort_order(a[at].as_ref(), b[at].as_ref(), &columns[at].1);
            if descending { order.reverse() } else { order }
        };
        keys.iter().map(by).find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
    });
}

fn outputs(items: &[Item], source: &Source) -> Result<Vec<Output>, Fault> {
    let mut outputs = Vec::new();
    for item in items {
        match item {
            Item::Star => {
                outputs.extend(source.columns.iter().enumerate().map(|(at, (name, kind))| Output {
                    at,
                    name: name.clone(),
                    kind: kind.clone(),
                }))
            }
            Item::Column { name, alias } => {
                let (at, kind) = source.find(name)?;
                outputs.push(Output { at, name: alias.as_ref().unwrap_or(name).clone(), kind });
            }
            Item::Aggregate { .. } => {}
        }
    }
    Ok(outputs)
}

/// Positions to sort by; an alias goes before a column of that name.
fn order_keys(select: &Select, source: &Source, outputs: &[Output]) -> Result<Vec<(usize, bool)>, Fault> {
    let position = |name: &str| match outputs.iter().find(|output| output.name == name) {
        Some(output) => Ok(output.at),
        None => source.find(name).map(|(at, _)| at),
    };
    select.order.iter().map(|order| Ok((position(&order.column)?, order.descending))).collect()
}

/// Puts result rows together.
struct Encoder<'a> {
    outputs: &'a [Output],
    row: Vec<u8>,
    bytes: Vec<u8>,
}

impl<'a> Encoder<'a> {
    fn new(outputs: &'a [Output]) -> Self {
        Self { outputs, row: Vec::new(), bytes: Vec::new() }
    }

    fn encode(&mut self, row: &[Option<Value>]) -> Result<&[u8], Malformed> {
        self.row.clear();
        for (id, output) in (1..).zip(self.outputs) {
            if let Some(value) = &row[output.at] {
                self.bytes.clear();
                value.encode(&output.kind, &mut self.bytes)?;
                put_column(&mut self.row, id, &self.bytes);
            }
        }
        Ok(&self.row)
    }
}
