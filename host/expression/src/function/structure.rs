//! Lists, maps and rows. Places begin at 1; what is not there is null.

use std::cmp::Ordering;
use std::sync::Arc;

use sluicebox_model::ColumnType;

use super::json::{Wanted, member};
use super::{Derive, Function, MANY, Signature, bring};
use crate::evaluate::{Call, gather};
use crate::settings::Settings;
use crate::types::{BIGINT, INT, TEXT, Type, common};
use crate::vector::{List, Values, Vector};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new(&["ARRAY"], "ARRAY[item, …]", (0, MANY), Derive::By(array_type), |call| {
        collect(call, false)
    }),
    Function::new(&["MAP"], "MAP[key, value, …]", (0, MANY), Derive::By(map_type), |call| {
        collect(call, true)
    }),
    Function::new(&["ROW"], "ROW(field, …)", (1, MANY), Derive::By(row_type), row),
    Function::new(
        &["CARDINALITY"],
        "CARDINALITY(array or map)",
        (1, 1),
        Derive::By(cardinality_type),
        |call| match call.arg(0).map(|arg| &arg.values) {
            Some(Values::List(list)) => call.ints(|row| Ok(i64::try_from(list.range(row).len()).ok())),
            _ => call.null(),
        },
    ),
    Function::new(
        &["ARRAY_CONTAINS"],
        "ARRAY_CONTAINS(array, item)",
        (2, 2),
        Derive::By(contains_type),
        |call| call.booleans(|row| Ok(Some(find(call, row).is_some()))),
    ),
    Function::new(
        &["ARRAY_POSITION"],
        "ARRAY_POSITION(array, item)",
        (2, 2),
        Derive::By(position_type),
        |call| {
            call.ints(|row| {
                Ok(Some(find(call, row).map_or(0, |place| i64::try_from(place + 1).unwrap_or(0))))
            })
        },
    ),
    Function::new(&["ELEMENT"], "ELEMENT(array)", (1, 1), Derive::By(element_type), element),
    Function::new(&["ITEM"], "x[i], x['key']", (2, 2), Derive::By(item_type), item),
];

fn plain(kind: Type) -> Result<Type, String> {
    match kind {
        Type::Null => Ok(TEXT),
        Type::Plain(_) => Ok(kind),
        other => Err(format!("items are plain values, not {other}")),
    }
}

fn shared<'t>(kinds: impl Iterator<Item = &'t Type>) -> Result<Type, String> {
    let mut all = Type::Null;
    for kind in kinds {
        all = common(&all, kind).ok_or_else(|| format!("{all} and {kind} have no common type"))?;
    }
    plain(all)
}

fn array_type(args: &[Type], _: &Settings) -> Result<Signature, String> {
    let item = shared(args.iter())?;
    Ok(Signature { args: vec![item.clone(); args.len()], result: Type::List(Box::new(item)) })
}

fn map_type(args: &[Type], _: &Settings) -> Result<Signature, String> {
    if args.len() % 2 == 1 {
        return Err("takes keys and values in turn".into());
    }
    let (key, value) = (shared(args.iter().step_by(2))?, shared(args.iter().skip(1).step_by(2))?);
    let kinds =
        (0..args.len()).map(|place| if place % 2 == 0 { key.clone() } else { value.clone() }).collect();
    Ok(Signature { args: kinds, result: Type::Map(Box::new(key), Box::new(value)) })
}

fn row_type(args: &[Type], _: &Settings) -> Result<Signature, String> {
    let fields: Vec<Type> = args.iter().cloned().map(plain).collect::<Result<_, _>>()?;
    Ok(Signature { args: fields.clone(), result: Type::Row(fields) })
}

fn cardinality_type(args: &[Type], _: &Settings) -> Result<Signature, String> {
    match args {
        [Type::List(_) | Type::Map(..)] => Signature::keep(args, INT),
        _ => Err("takes an array or a map".into()),
    }
}

fn searched(args: &[Type]) -> Result<Vec<Type>, String> {
    match args {
        [list @ Type::List(item), wanted] => {
            let both = common(item, wanted).filter(|both| both == item.as_ref());
            let both =
                both.ok_or_else(|| format!("looks for {item} in {list}, not for {wanted}; cast it"))?;
            Ok(vec![list.clone(), both])
        }
        _ => Err("takes an array and an item".into()),
    }
}

fn contains_type(args: &[Type], _: &Settings) -> Result<Signature, String> {
    Ok(Signature { args: searched(args)?, result: crate::types::BOOLEAN })
}

fn position_type(args: &[Type], _: &Settings) -> Result<Signature, String> {
    Ok(Signature { args: searched(args)?, result: INT })
}

fn element_type(args: &[Type], _: &Settings) -> Result<Signature, String> {
    match args {
        [Type::List(item)] => Signature::keep(args, item.as_ref().clone()),
        _ => Err("takes an array".into()),
    }
}

fn item_type(args: &[Type], _: &Settings) -> Result<Signature, String> {
    match args {
        [list @ Type::List(item), place] => Ok(Signature {
            args: vec![list.clone(), bring(super::Want::Integer, place)?],
            result: item.as_ref().clone(),
        }),
        [map @ Type::Map(key, value), _] => {
            Ok(Signature { args: vec![map.clone(), key.as_ref().clone()], result: value.as_ref().clone() })
        }
        [json @ Type::Plain(ColumnType::Json), place] => {
            let place = if place.is_integer() { BIGINT } else { bring(super::Want::Text, place)? };
            Ok(Signature { args: vec![json.clone(), place], result: json.clone() })
        }
        [other, _] => Err(format!("takes an array, a map or JSON, not {other}")),
        _ => Err("takes an array, a map or JSON".into()),
    }
}

/// A list of all arguments, or a map of keys and values.
fn collect(call: &Call<'_>, map: bool) -> Vector {
    let (step, sources): (usize, Vec<&Values>) =
        (1 + usize::from(map), call.args.iter().map(|arg| &arg.values).collect());
    let count = call.args.len() / step;
    let places = |first: usize| -> Vec<Option<(usize, usize)>> {
        let of_row = |row: usize| (0..count).map(move |item| (item * step + first, row));
        let rows = (0..call.rows).flat_map(of_row);
        rows.map(|(arg, row)| call.arg(arg).map(|vector| (arg, vector.at(row)))).collect()
    };
    let made = match call.result {
        Type::List(item) => gather(&sources, &places(0), item).map(|items| (None, items)),
        Type::Map(key, value) => {
            // Keys and values may be of different kinds; each is gathered from its own arguments.
            let side = |first: usize, kind: &Type| {
                let own: Vec<&Values> = sources.iter().skip(first).step_by(2).copied().collect();
                let places: Vec<_> =
                    places(first).into_iter().map(|p| p.map(|(arg, at)| (arg / 2, at))).collect();
                gather(&own, &places, kind)
            };
            side(0, key).zip(side(1, value)).map(|(keys, values)| (Some(keys), values))
        }
        _ => None,
    };
    let Some((keys, items)) = made else { return call.null() };
    let offsets = (0..=call.rows).map(|row| row * count).collect();
    call.vector(Values::List(Arc::new(List { offsets, nulls: None, keys, items })))
}

fn row(call: &Call<'_>) -> Vector {
    let fields: Result<Vec<Values>, String> = call
        .args
        .iter()
        .map(|arg| if call.rows == 1 { Ok(arg.values.clone()) } else { arg.clone().spread(call.rows) })
        .collect();
    match fields {
        Ok(fields) => call.vector(Values::Row(Arc::new(fields), call.rows)),
        Err(_) => call.null(),
    }
}

/// Where the item stands in the row's list, from 0.
fn find(call: &Call<'_>, row: usize) -> Option<usize> {
    let (list, wanted) = (call.arg(0)?, call.arg(1)?);
    let Values::List(items) = &list.values else { return None };
    let range = items.range(list.at(row));
    let same = |place: usize| {
        !items.items.is_null(place)
            && order(&items.items, place, &wanted.values, wanted.at(row)) == Some(Ordering::Equal)
    };
    range.clone().position(same)
}

fn element(call: &Call<'_>) -> Vector {
    let Some(Vector { values: Values::List(list), .. }) = call.arg(0) else { return call.null() };
    let places: Vec<Option<usize>> = (0..call.rows)
        .map(|row| {
            let range = list.range(row);
            if range.len() > 1 {
                call.note(row, "the array has more than one item".to_owned());
            }
            (range.len() == 1).then_some(range.start)
        })
        .collect();
    list.items.pick(&places).map_or_else(|_| call.null(), |values| call.vector(values))
}

fn item(call: &Call<'_>) -> Vector {
    let (Some(from), Some(wanted)) = (call.arg(0), call.arg(1)) else { return call.null() };
    let list = match &from.values {
        Values::List(list) => list,
        Values::Text(_) => return json_item(call),
        _ => return call.null(),
    };
    let places: Vec<Option<usize>> = (0..call.rows)
        .map(|row| {
            if from.is_null(row) || wanted.is_null(row) {
                return None;
            }
            let mut range = list.range(from.at(row));
            match &list.keys {
                Some(keys) => range.rfind(|place| {
                    order(keys, *place, &wanted.values, wanted.at(row)) == Some(Ordering::Equal)
                }),
                None => {
                    let place = usize::try_from(call.int(1).at(row)).ok()?.checked_sub(1)?;
                    (place < range.len()).then(|| range.start + place)
                }
            }
        })
        .collect();
    list.items.pick(&places).map_or_else(|_| call.null(), |values| call.vector(values))
}

fn json_item(call: &Call<'_>) -> Vector {
    let (json, key, place) = (call.text(0), call.text(1), call.int(1));
    let by_place = matches!(call.arg(1).map(|arg| &arg.values), Some(Values::Int(_)));
    call.texts(|row, out| {
        let wanted = if by_place { Wanted::Item(place.at(row)) } else { Wanted::Key(key.at(row)) };
        let found = member(json.at(row), wanted);
        out.push_str(found.unwrap_or_default());
        Ok(found.is_some())
    })
}

/// Orders two values of one type; none where they have no order, or one is null.
pub(super) fn order(a: &Values, x: usize, b: &Values, y: usize) -> Option<Ordering> {
    if a.is_null(x) || b.is_null(y) {
        return None;
    }
    match (a, b) {
        (Values::Boolean(a), Values::Boolean(b)) => Some(a.value(x).cmp(&b.value(y))),
        (Values::Int(a), Values::Int(b)) => Some(a.value(x).cmp(&b.value(y))),
        (Values::Float(a), Values::Float(b)) => Some(super::comparison::float_order(a.value(x), b.value(y))),
        (Values::Decimal(a), Values::Decimal(b)) => Some(a.value(x).cmp(&b.value(y))),
        (Values::Text(a), Values::Text(b)) => Some(a.value(x).cmp(b.value(y))),
        (Values::Binary(a), Values::Binary(b)) => Some(a.value(x).cmp(b.value(y))),
        (Values::List(a), Values::List(b)) => {
            let (left, right) = (a.range(x), b.range(y));
            let lengths = left.len().cmp(&right.len());
            for (x, y) in left.zip(right) {
                match order(&a.items, x, &b.items, y) {
                    Some(Ordering::Equal) => {}
                    other => return other,
                }
            }
            Some(lengths)
        }
        _ => None,
    }
}
