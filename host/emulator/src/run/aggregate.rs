//! GROUP BY and the functions over groups.
//!
//! Groups come out in the order in which their first rows came in. Without GROUP BY all rows are one group,
//! also when there are none; with it there are as many groups as there are different keys.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use super::condition::sort_order;
use crate::fault::Fault;
use crate::sql::ast::{Function, Item, Select};
use crate::wire::decimal::Decimal;
use crate::wire::types::Type;
use crate::wire::value::Value;

/// Groups held in memory; more than a test can look through.
const MAX_GROUPS: usize = 1 << 20;

/// Digits of a sum of decimals, as many as a decimal has.
const SUM_PRECISION: u8 = 38;

/// Whether a query is answered with groups instead of rows.
pub(super) fn is_grouped(select: &Select) -> bool {
    let aggregates = |item: &Item| matches!(item, Item::Aggregate { .. });
    select.distinct || !select.group.is_empty() || select.items.iter().any(aggregates)
}

/// One column of the result.
#[derive(Debug)]
enum Cell {
    /// This part of the key.
    Key(usize),
    /// This accumulator.
    Aggregate(usize),
}

/// What is computed of the rows.
#[derive(Debug)]
pub(super) struct Grouping {
    /// Positions in the row that make the key, with their types.
    keys: Vec<(usize, Type)>,
    aggregates: Vec<Aggregate>,
    cells: Vec<Cell>,
    pub(super) columns: Vec<(String, Type)>,
    groups: Vec<Group>,
    index: HashMap<Vec<u8>, usize>,
}

#[derive(Debug)]
struct Group {
    key: Vec<Option<Value>>,
    states: Vec<State>,
}

impl Grouping {
    /// Gives names their positions; `find` knows them, `all` are the columns of `*`.
    pub(super) fn resolve(
        select: &Select,
        all: &[(String, Type)],
        find: &impl Fn(&str) -> Result<(usize, Type), Fault>,
    ) -> Result<Self, Fault> {
        let items = spelled_out(&select.items, all);
        let key_names: Vec<String> = if select.distinct {
            items.iter().filter_map(column_name).collect()
        } else {
            select.group.clone()
        };
        let keys = key_names.iter().map(|name| find(name)).collect::<Result<Vec<_>, _>>()?;
        let (index, groups) = Default::default();
        let (aggregates, cells, columns) = Default::default();
        let mut grouping = Self { keys, aggregates, cells, columns, groups, index };
        for (position, item) in items.iter().enumerate() {
            grouping.add_item(position, item, &key_names, find)?;
        }
        if grouping.keys.is_empty() {
            grouping.add_group(Vec::new(), Vec::new())?;
        }
        Ok(grouping)
    }

    fn add_item(
        &mut self,
        position: usize,
        item: &Item,
        key_names: &[String],
        find: &impl Fn(&str) -> Result<(usize, Type), Fault>,
    ) -> Result<(), Fault> {
        match item {
            Item::Star => {}
            Item::Column { name, alias } => {
                let at = key_names.iter().position(|key| key == name);
                let at =
                    at.ok_or_else(|| Fault::semantic(format!("column {name} is not in the GROUP BY key")))?;
                self.cells.push(Cell::Key(at));
                self.columns.push((alias.as_ref().unwrap_or(name).clone(), self.keys[at].1.clone()));
            }
            Item::Aggregate { function, argument, distinct, alias } => {
                let argument = argument.as_deref().map(find).transpose()?;
                let aggregate = Aggregate { function: *function, argument, distinct: *distinct };
                let name = alias.clone().unwrap_or_else(|| format!("_c{position}"));
                self.columns.push((name, aggregate.kind()?));
                self.cells.push(Cell::Aggregate(self.aggregates.len()));
                self.aggregates.push(aggregate);
            }
        }
        Ok(())
    }

    /// Takes a row into its group.
    pub(super) fn take(&mut self, row: &[Option<Value>]) -> Result<(), Fault> {
        let mut bytes = Vec::new();
        for (at, kind) in &self.keys {
            put_key_part(&mut bytes, row[*at].as_ref(), kind)?;
        }
        let group = match self.index.get(&bytes) {
            Some(group) => *group,
            None => self.add_group(bytes, self.keys.iter().map(|(at, _)| row[*at].clone()).collect())?,
        };
        for (state, aggregate) in self.groups[group].states.iter_mut().zip(&self.aggregates) {
            state.take(aggregate, row)?;
        }
        Ok(())
    }

    fn add_group(&mut self, bytes: Vec<u8>, key: Vec<Option<Value>>) -> Result<usize, Fault> {
        let group = self.groups.len();
        if group >= MAX_GROUPS {
            return Err(Fault::semantic(format!("the query has more than {MAX_GROUPS} groups")));
        }
        let states = self.aggregates.iter().map(State::new).collect();
        self.groups.push(Group { key, states });
        self.index.insert(bytes, group);
        Ok(group)
    }

    /// The rows of the result.
    pub(super) fn finish(self) -> Result<Vec<Vec<Option<Value>>>, Fault> {
        let Self { aggregates, cells, groups, .. } = self;
        let row = |group: Group| {
            let states = group.states.into_iter().zip(&aggregates);
            let values =
                states.map(|(state, aggregate)| state.finish(aggregate)).collect::<Result<Vec<_>, _>>()?;
            let cell = |cell: &Cell| match cell {
                Cell::Key(at) => group.key[*at].clone(),
                Cell::Aggregate(at) => values[*at].clone(),
            };
            Ok(cells.iter().map(cell).collect())
        };
        groups.into_iter().map(row).collect()
    }
}

fn spelled_out(items: &[Item], all: &[(String, Type)]) -> Vec<Item> {
    let mut out = Vec::new();
    for item in items {
        if *item == Item::Star {
            out.extend(all.iter().map(|(name, _)| Item::Column { name: name.clone(), alias: None }));
        } else {
            out.push(item.clone());
        }
    }
    out
}

fn column_name(item: &Item) -> Option<String> {
    match item {
        Item::Column { name, .. } => Some(name.clone()),
        Item::Star | Item::Aggregate { .. } => None,
    }
}

/// Bytes that two values share exactly when they are in one group; nulls are.
fn put_key_part(out: &mut Vec<u8>, value: Option<&Value>, kind: &Type) -> Result<(), Fault> {
    let bytes = value.map_or_else(|| Ok(Vec::new()), |value| same_bytes(value, kind))?;
    // The length keeps neighbouring texts apart, and the mark a null from an empty value.
    out.push(u8::from(value.is_some()));
    out.extend(bytes.len().to_le_bytes());
    out.extend(bytes);
    Ok(())
}

/// Bytes of a value, alike for numbers that are alike however they were written.
fn same_bytes(value: &Value, kind: &Type) -> Result<Vec<u8>, Fault> {
    if let (Value::Text(text), Type::Decimal { scale, .. }) = (value, kind)
        && let Some(unscaled) = Decimal::parse(text.as_bytes()).and_then(|d| d.at_scale((*scale).into()))
    {
        return Ok(unscaled.to_le_bytes().to_vec());
    }
    let mut bytes = Vec::new();
    value.encode(kind, &mut bytes)?;
    Ok(bytes)
}

/// One function with its column.
#[derive(Debug)]
struct Aggregate {
    function: Function,
    /// Absent for `count(*)`.
    argument: Option<(usize, Type)>,
    distinct: bool,
}

impl Aggregate {
    /// Type of the result.
    fn kind(&self) -> Result<Type, Fault> {
        let Some((_, kind)) = &self.argument else { return Ok(Type::BigInt) };
        let ordered =
            !matches!(kind, Type::Array(_) | Type::Map(..) | Type::Struct(_) | Type::Json | Type::Boolean);
        match (self.function, kind) {
            (Function::Count, _) => Ok(Type::BigInt),
            (Function::Sum, kind) if kind.integer_range().is_some() => Ok(Type::BigInt),
            (Function::Sum, Type::Float | Type::Double) => Ok(Type::Double),
            (Function::Sum, Type::Decimal { scale, .. }) => {
                Ok(Type::Decimal { precision: SUM_PRECISION, scale: *scale })
            }
            (Function::Min | Function::Max, kind) if ordered => Ok(kind.clone()),
            (Function::Sum | Function::Min | Function::Max, kind) => {
                Err(Fault::semantic(format!("{:?} does not take {kind}", self.function)))
            }
        }
    }
}

/// What a function knows of its group so far. Nulls count for none of them.
#[derive(Debug)]
enum State {
    Count(i64),
    /// Different values, as bytes.
    Distinct(HashSet<Vec<u8>>),
    Whole(Option<i128>),
    Double(Option<f64>),
    /// Unscaled, at the column's scale.
    Decimal(Option<i128>),
    Extreme(Option<Value>),
}

impl State {
    fn new(aggregate: &Aggregate) -> Self {
        let kind = aggregate.argument.as_ref().map(|(_, kind)| kind);
        match (aggregate.function, kind) {
            (Function::Count, _) if aggregate.distinct => Self::Distinct(HashSet::new()),
            (Function::Count, _) => Self::Count(0),
            (Function::Sum, Some(Type::Float | Type::Double)) => Self::Double(None),
            (Function::Sum, Some(Type::Decimal { .. })) => Self::Decimal(None),
            (Function::Sum, _) => Self::Whole(None),
            (Function::Min | Function::Max, _) => Self::Extreme(None),
        }
    }

    fn take(&mut self, aggregate: &Aggregate, row: &[Option<Value>]) -> Result<(), Fault> {
        let Some((at, kind)) = &aggregate.argument else {
            if let Self::Count(count) = self {
                *count += 1;
            }
            return Ok(());
        };
        let Some(value) = &row[*at] else { return Ok(()) };
        match (self, value) {
            (Self::Count(count), _) => *count += 1,
            (Self::Distinct(seen), value) => {
                seen.insert(same_bytes(value, kind)?);
            }
            (Self::Whole(sum), Value::Int(number)) => *sum = Some(sum.unwrap_or(0) + i128::from(*number)),
            (Self::Double(sum), Value::Double(number)) => *sum = Some(sum.unwrap_or(0.0) + number),
            (Self::Double(sum), Value::Float(number)) => *sum = Some(sum.unwrap_or(0.0) + f64::from(*number)),
            (Self::Decimal(sum), Value::Text(text)) => {
                let Type::Decimal { scale, .. } = kind else { return Ok(()) };
                let number = Decimal::parse(text.as_bytes()).and_then(|d| d.at_scale((*scale).into()));
                let added = number.and_then(|number| sum.unwrap_or(0).checked_add(number));
                *sum = Some(added.ok_or_else(too_large)?);
            }
            (Self::Extreme(best), value) => {
                let order = sort_order(Some(value), best.as_ref(), kind);
                let wanted =
                    if aggregate.function == Function::Min { Ordering::Less } else { Ordering::Greater };
                if best.is_none() || order == wanted {
                    *best = Some(value.clone());
                }
            }
            (Self::Whole(_) | Self::Double(_) | Self::Decimal(_), _) => {
                return Err(Fault::Internal("a sum met a value of another type".to_owned()));
            }
        }
        Ok(())
    }

    fn finish(self, aggregate: &Aggregate) -> Result<Option<Value>, Fault> {
        let whole = |number: i128| i64::try_from(number).map(Value::Int).map_err(|_| too_large());
        match self {
            Self::Count(count) => Ok(Some(Value::Int(count))),
            Self::Distinct(seen) => Ok(Some(Value::Int(i64::try_from(seen.len()).map_err(|_| too_large())?))),
            Self::Whole(sum) => sum.map(whole).transpose(),
            Self::Double(sum) => Ok(sum.map(Value::Double)),
            Self::Extreme(best) => Ok(best),
            Self::Decimal(None) => Ok(None),
            Self::Decimal(Some(unscaled)) => {
                let Type::Decimal { precision, scale } = aggregate.kind()? else { return Ok(None) };
                let sum = Decimal { unscaled, scale: scale.into() };
                if !sum.fits(precision, scale) {
                    return Err(too_large());
                }
                Ok(Some(Value::Text(sum.plain())))
            }
        }
    }
}

fn too_large() -> Fault {
    Fault::semantic("a sum is larger than its type")
}
