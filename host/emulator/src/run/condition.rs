//! WHERE, with SQL's three truth values: a comparison with null is neither true nor false.

use std::cmp::Ordering;

use crate::fault::Fault;
use crate::sql::ast::{Comparison, Expr, Operand};
use crate::wire::decimal::Decimal;
use crate::wire::text::parse_as;
use crate::wire::types::Type;
use crate::wire::value::Value;

/// A value to compare, with its type.
type Typed = Option<(Value, Type)>;

/// A condition whose columns are positions in the row.
#[derive(Debug)]
pub(super) enum Condition {
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
    Not(Box<Condition>),
    IsNull(Term, bool),
    Compare(Term, Comparison, Term),
    In(Term, Vec<Term>, bool),
}

#[derive(Debug)]
pub(super) enum Term {
    Column(usize, Type),
    Literal(Typed),
}

impl Condition {
    /// Gives names their positions; `find` knows them.
    pub(super) fn resolve(
        expr: &Expr,
        find: &impl Fn(&str) -> Result<(usize, Type), Fault>,
    ) -> Result<Self, Fault> {
        let inner = |expr: &Expr| Self::resolve(expr, find).map(Box::new);
        Ok(match expr {
            Expr::And(left, right) => Self::And(inner(left)?, inner(right)?),
            Expr::Or(left, right) => Self::Or(inner(left)?, inner(right)?),
            Expr::Not(operand) => Self::Not(inner(operand)?),
            Expr::IsNull { operand, negated } => Self::IsNull(term(operand, find)?, *negated),
            Expr::Compare { left, operator, right } => {
                Self::Compare(term(left, find)?, *operator, term(right, find)?)
            }
            Expr::In { operand, list, negated } => {
                let list = list.iter().map(|item| term(item, find)).collect::<Result<_, _>>()?;
                Self::In(term(operand, find)?, list, *negated)
            }
        })
    }

    /// `None` is unknown; only rows for which this is `Some(true)` are in the result.
    pub(super) fn holds(&self, row: &[Option<Value>]) -> Result<Option<bool>, Fault> {
        Ok(match self {
            Self::And(left, right) => match (left.holds(row)?, right.holds(row)?) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Self::Or(left, right) => match (left.holds(row)?, right.holds(row)?) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            Self::Not(inner) => inner.holds(row)?.map(|held| !held),
            Self::IsNull(operand, negated) => Some(operand.value(row).is_none() != *negated),
            Self::Compare(left, operator, right) => {
                compare(left.value(row), right.value(row))?.map(|order| fits(*operator, order))
            }
            Self::In(operand, list, negated) => is_in(operand, list, row)?.map(|found| found != *negated),
        })
    }
}

impl Term {
    fn value(&self, row: &[Option<Value>]) -> Typed {
        match self {
            Self::Column(at, kind) => row[*at].clone().map(|value| (value, kind.clone())),
            Self::Literal(literal) => literal.clone(),
        }
    }
}

fn is_in(operand: &Term, list: &[Term], row: &[Option<Value>]) -> Result<Option<bool>, Fault> {
    let mut unknown = false;
    for item in list {
        match compare(operand.value(row), item.value(row))? {
            Some(Some(Ordering::Equal)) => return Ok(Some(true)),
            Some(_) => {}
            None => unknown = true,
        }
    }
    Ok(if unknown { None } else { Some(false) })
}

fn fits(operator: Comparison, order: Option<Ordering>) -> bool {
    // NaN has no order: it differs from everything, as in the doubles of most engines.
    let Some(order) = order else { return operator == Comparison::NotEqual };
    match operator {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    }
}

fn term(operand: &Operand, find: &impl Fn(&str) -> Result<(usize, Type), Fault>) -> Result<Term, Fault> {
    let literal = |value: Value, kind: Type| Ok(Term::Literal(Some((value, kind))));
    match operand {
        Operand::Column(name) => find(name).map(|(at, kind)| Term::Column(at, kind)),
        Operand::Null => Ok(Term::Literal(None)),
        Operand::Bool(bit) => literal(Value::Bool(*bit), Type::Boolean),
        Operand::Text(text) => literal(Value::Text(text.clone()), Type::String),
        Operand::Number(number) if number.contains(['e', 'E']) => {
            let double = number.parse().map_err(|_| Fault::semantic(format!("{number} is not a number")))?;
            literal(Value::Double(double), Type::Double)
        }
        Operand::Number(number) => {
            literal(Value::Text(number.clone()), Type::Decimal { precision: 38, scale: 18 })
        }
        Operand::Typed(kind, text) => match parse_as(text, kind) {
            Some(value) => literal(value, kind.clone()),
            None => Err(Fault::semantic(format!("'{text}' is not a {kind}"))),
        },
    }
}

/// The order of two values: outer `None` when one is null, inner `None` when they have no order.
#[expect(clippy::option_option, reason = "unknown and unordered are different answers")]
fn compare(left: Typed, right: Typed) -> Result<Option<Option<Ordering>>, Fault> {
    let (Some((left, left_kind)), Some((right, right_kind))) = (left, right) else { return Ok(None) };
    let (left, right) = match (is_plain_text(&left_kind), is_plain_text(&right_kind)) {
        (true, false) => (read_text(&left, &right_kind)?, right),
        (false, true) => {
            let read = read_text(&right, &left_kind)?;
            (left, read)
        }
        _ => (left, right),
    };
    order_of(&left, &left_kind, &right, &right_kind)
        .map(Some)
        .ok_or_else(|| Fault::semantic(format!("{left_kind} cannot be compared with {right_kind}")))
}

fn is_plain_text(kind: &Type) -> bool {
    matches!(kind, Type::String | Type::Char(_) | Type::VarChar(_) | Type::Json)
}

/// A text beside a value of another type is read as that type.
fn read_text(text: &Value, kind: &Type) -> Result<Value, Fault> {
    let Value::Text(text) = text else { return Ok(text.clone()) };
    let numeric = kind.integer_range().is_some() || matches!(kind, Type::Decimal { .. });
    let read = if numeric {
        Decimal::parse(text.trim().as_bytes()).map(|number| Value::Text(number.plain()))
    } else {
        parse_as(text, kind)
    };
    read.ok_or_else(|| Fault::semantic(format!("'{text}' cannot be compared with {kind}")))
}

/// Outer `None`: the types do not go together.
#[expect(clippy::option_option, reason = "unordered and not comparable are different answers")]
fn order_of(left: &Value, left_kind: &Type, right: &Value, right_kind: &Type) -> Option<Option<Ordering>> {
    match (left, right) {
        (Value::Bool(a), Value::Bool(b)) => Some(Some(a.cmp(b))),
        (Value::Binary(a), Value::Binary(b)) => Some(Some(a.cmp(b))),
        (Value::Text(a), Value::Text(b)) if is_plain_text(left_kind) && is_plain_text(right_kind) => {
            Some(Some(a.cmp(b)))
        }
        (Value::Int(a), Value::Int(b)) if is_time(left_kind) == is_time(right_kind) => {
            Some(Some(instant(*a, left_kind).cmp(&instant(*b, right_kind))))
        }
        (Value::Stamp { .. } | Value::Int(_), Value::Stamp { .. } | Value::Int(_)) => {
            Some(Some(nanos(left, left_kind)?.cmp(&nanos(right, right_kind)?)))
        }
        (Value::Float(_) | Value::Double(_), _) | (_, Value::Float(_) | Value::Double(_)) => {
            Some(double(left)?.partial_cmp(&double(right)?))
        }
        _ => Some(Some(exact(left)?.compare(exact(right)?))),
    }
}

fn is_time(kind: &Type) -> bool {
    matches!(kind, Type::Date | Type::DateTime | Type::Timestamp | Type::TimestampNtz)
}

/// Dates and datetimes in milliseconds, other integers as they are.
fn instant(value: i64, kind: &Type) -> i128 {
    if *kind == Type::Date { i128::from(value) * 86_400_000 } else { value.into() }
}

fn nanos(value: &Value, kind: &Type) -> Option<i128> {
    match value {
        Value::Stamp { seconds, nanos } => Some(i128::from(*seconds) * 1_000_000_000 + i128::from(*nanos)),
        Value::Int(number) if is_time(kind) => Some(instant(*number, kind) * 1_000_000),
        _ => None,
    }
}

fn exact(value: &Value) -> Option<Decimal> {
    match value {
        Value::Int(number) => Some(Decimal { unscaled: (*number).into(), scale: 0 }),
        Value::Text(text) => Decimal::parse(text.as_bytes()),
        _ => None,
    }
}

fn double(value: &Value) -> Option<f64> {
    match value {
        Value::Float(number) => Some((*number).into()),
        Value::Double(number) => Some(*number),
        other => exact(other).map(Decimal::to_f64),
    }
}

/// Order for ORDER BY: nulls first, NaN last, values that have no order count as equal.
pub(super) fn sort_order(left: Option<&Value>, right: Option<&Value>, kind: &Type) -> Ordering {
    match (left, right) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(Value::Double(a)), Some(Value::Double(b))) => a.total_cmp(b),
        (Some(Value::Float(a)), Some(Value::Float(b))) => a.total_cmp(b),
        (Some(a), Some(b)) => order_of(a, kind, b, kind).flatten().unwrap_or(Ordering::Equal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::ast::Statement;
    use crate::sql::parse;

    fn holds(condition: &str) -> Option<bool> {
        let columns = [
            ("i", Type::BigInt, Some(Value::Int(5))),
            ("s", Type::String, Some(Value::Text("x".into()))),
            ("d", Type::Decimal { precision: 10, scale: 2 }, Some(Value::Text("1.50".into()))),
            ("f", Type::Double, Some(Value::Double(2.5))),
            ("t", Type::Timestamp, Some(Value::Stamp { seconds: 86_400, nanos: 1 })),
            ("day", Type::Date, Some(Value::Int(1))),
            ("n", Type::BigInt, None),
        ];
        let Ok(Statement::Select(select)) = parse(&format!("select * from t where {condition}")) else {
            panic!("{condition}")
        };
        let find = |name: &str| {
            let at = columns.iter().position(|(column, ..)| *column == name);
            let at = at.ok_or_else(|| Fault::semantic(name))?;
            Ok((at, columns[at].1.clone()))
        };
        let row: Vec<Option<Value>> = columns.iter().map(|(_, _, value)| value.clone()).collect();
        Condition::resolve(&select.filter.unwrap(), &find).unwrap().holds(&row).unwrap()
    }

    #[test]
    fn comparisons_follow_the_values_not_their_text() {
        for (condition, want) in [
            ("i = 5", Some(true)),
            ("i = 5.0", Some(true)),
            ("i > '4'", Some(true)),
            ("d = 1.5", Some(true)),
            ("d < 1.51 and i >= 5", Some(true)),
            ("f = 2.5e0", Some(true)),
            ("f between 2 and 3", Some(true)),
            ("s in ('a', 'x')", Some(true)),
            ("s not in ('a')", Some(true)),
            ("t > timestamp '1970-01-02'", Some(true)),
            ("t = '1970-01-02 00:00:00.000000001'", Some(true)),
            ("day = date '1970-01-02'", Some(true)),
            ("day < t", Some(true)),
            ("not i = 5 or s <> 'x'", Some(false)),
        ] {
            assert_eq!(holds(condition), want, "{condition}");
        }
    }

    #[test]
    fn null_is_neither_true_nor_false() {
        for (condition, want) in [
            ("n = 5", None),
            ("not n = 5", None),
            ("n is null", Some(true)),
            ("n is not null", Some(false)),
            ("n = 5 or i = 5", Some(true)),
            ("n = 5 and i = 6", Some(false)),
            ("i in (1, null)", None),
            ("i in (5, null)", Some(true)),
        ] {
            assert_eq!(holds(condition), want, "{condition}");
        }
    }
}
