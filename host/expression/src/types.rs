//! Types of expressions, and which type several of them have in common.
//!
//! A column's type is [`ColumnType`]; expressions also have types that no column has: intervals, lists, maps, rows and the
//! type of `NULL`. Unsigned numbers and bits are read as decimals and integers, so that arithmetic has four kinds of number.

use std::fmt;

use sluicebox_model::ColumnType;

/// The type of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Type {
    /// `NULL` alone.
    Null,
    /// A type that a column can have, other than `BIGINT UNSIGNED`, `BIT` and decimals of more than 38 digits.
    Plain(ColumnType),
    /// A span of months.
    Months,
    /// A span of whole days, in microseconds.
    Days,
    /// A span of microseconds.
    Micros,
    /// A unit of time, as an argument.
    Unit,
    /// `ARRAY`.
    List(Box<Type>),
    /// `MAP`.
    Map(Box<Type>, Box<Type>),
    /// `ROW`.
    Row(Vec<Type>),
}

/// Digits that 64 bits hold.
const BIGINT_DIGITS: u8 = 19;

pub(crate) const BOOLEAN: Type = Type::Plain(ColumnType::Boolean);
pub(crate) const INT: Type = Type::Plain(ColumnType::Int);
pub(crate) const BIGINT: Type = Type::Plain(ColumnType::BigInt);
pub(crate) const DOUBLE: Type = Type::Plain(ColumnType::Double);
pub(crate) const TEXT: Type = Type::Plain(ColumnType::Text);
pub(crate) const DATE: Type = Type::Plain(ColumnType::Date);

impl Type {
    /// How a column's values are seen by expressions.
    pub fn of_column(column: ColumnType) -> Self {
        Self::Plain(match column {
            ColumnType::UnsignedBigInt => ColumnType::Decimal { precision: 20, scale: 0 },
            ColumnType::Bit { width: 0..=63 } => ColumnType::BigInt,
            ColumnType::Bit { .. } => ColumnType::Decimal { precision: 20, scale: 0 },
            ColumnType::Decimal { precision: 39.., .. } => ColumnType::Text,
            other => other,
        })
    }

    /// The column that holds values of this type: lists, maps and rows become JSON.
    pub fn into_column(self) -> Option<ColumnType> {
        match self {
            Self::Plain(column) => Some(column),
            Self::Null => Some(ColumnType::Text),
            Self::List(_) | Self::Map(..) | Self::Row(_) => Some(ColumnType::Json),
            Self::Months | Self::Days | Self::Micros | Self::Unit => None,
        }
    }

    pub fn plain(&self) -> Option<ColumnType> {
        if let Self::Plain(column) = self { Some(*column) } else { None }
    }

    pub fn is_text(&self) -> bool {
        matches!(self, Self::Plain(ColumnType::Text | ColumnType::Json))
    }

    pub fn is_integer(&self) -> bool {
        matches!(
            self,
            Self::Plain(ColumnType::TinyInt | ColumnType::SmallInt | ColumnType::Int | ColumnType::BigInt)
        )
    }

    pub fn is_floating(&self) -> bool {
        matches!(self, Self::Plain(ColumnType::Float | ColumnType::Double))
    }

    /// Precision and scale as a decimal; none for what is no exact number.
    pub fn digits(&self) -> Option<(u8, u8)> {
        match self.plain()? {
            ColumnType::TinyInt => Some((3, 0)),
            ColumnType::SmallInt => Some((5, 0)),
            ColumnType::Int => Some((10, 0)),
            ColumnType::BigInt => Some((BIGINT_DIGITS, 0)),
            ColumnType::Decimal { precision, scale } => Some((precision, scale)),
            _ => None,
        }
    }

    pub fn is_number(&self) -> bool {
        self.digits().is_some() || self.is_floating()
    }

    /// A day, a wall clock or an instant.
    pub fn is_moment(&self) -> bool {
        matches!(
            self,
            Self::Plain(ColumnType::Date | ColumnType::DateTime { .. } | ColumnType::Timestamp { .. })
        )
    }

    pub fn is_structure(&self) -> bool {
        matches!(self, Self::List(_) | Self::Map(..) | Self::Row(_))
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Plain(column) => column.fmt(f),
            Self::Months | Self::Days | Self::Micros => f.write_str("INTERVAL"),
            Self::Unit => f.write_str("a unit of time"),
            Self::List(item) => write!(f, "ARRAY<{item}>"),
            Self::Map(key, value) => write!(f, "MAP<{key}, {value}>"),
            Self::Row(fields) => {
                f.write_str("ROW<")?;
                for (place, field) in fields.iter().enumerate() {
                    write!(f, "{}{field}", if place > 0 { ", " } else { "" })?;
                }
                f.write_str(">")
            }
        }
    }
}

/// The decimal that holds every value of two.
fn wider(a: (u8, u8), b: (u8, u8)) -> ColumnType {
    let scale = a.1.max(b.1);
    let whole = (a.0 - a.1).max(b.0 - b.1);
    let precision = (whole + scale).min(38);
    ColumnType::Decimal { precision, scale: scale.min(precision.saturating_sub(whole.min(precision))) }
}

fn integer_rank(column: ColumnType) -> Option<u8> {
    [ColumnType::TinyInt, ColumnType::SmallInt, ColumnType::Int, ColumnType::BigInt]
        .iter()
        .position(|known| *known == column)
        .and_then(|rank| u8::try_from(rank).ok())
}

/// The narrowest type of two exact or floating numbers.
pub(crate) fn common_number(a: &Type, b: &Type) -> Option<Type> {
    let (x, y) = (a.plain()?, b.plain()?);
    if x == y && a.is_number() {
        return Some(a.clone());
    }
    if let (Some(rank_x), Some(rank_y)) = (integer_rank(x), integer_rank(y)) {
        return Some(if rank_x >= rank_y { a.clone() } else { b.clone() });
    }
    if !a.is_number() || !b.is_number() {
        return None;
    }
    match (a.digits(), b.digits()) {
        (Some(x), Some(y)) => Some(Type::Plain(wider(x, y))),
        _ => Some(DOUBLE),
    }
}

/// The type in which two moments are compared: a day counts as its midnight, a wall clock as the instant that it shows in the
/// session's zone.
fn common_moment(a: ColumnType, b: ColumnType) -> Option<ColumnType> {
    use ColumnType as C;
    let fraction = |c| match c {
        C::DateTime { fraction } | C::Timestamp { fraction } => fraction,
        _ => 0,
    };
    let widest = fraction(a).max(fraction(b));
    match (a, b) {
        (C::Date, C::Date) => Some(C::Date),
        (C::Time { fraction: x }, C::Time { fraction: y }) => Some(C::Time { fraction: x.max(y) }),
        (C::Date | C::DateTime { .. }, C::Date | C::DateTime { .. }) => {
            Some(C::DateTime { fraction: widest })
        }
        (
            C::Date | C::DateTime { .. } | C::Timestamp { .. },
            C::Date | C::DateTime { .. } | C::Timestamp { .. },
        ) => Some(C::Timestamp { fraction: widest }),
        _ => None,
    }
}

/// The type in which two values are compared; none when they cannot be. A text is read as the other's type.
pub(crate) fn comparable(a: &Type, b: &Type) -> Option<Type> {
    match (a, b) {
        (Type::Null, other) | (other, Type::Null) => Some(other.clone()),
        (a, b) if a == b => Some(a.clone()),
        (a, b) if a.is_text() && b.is_text() => Some(TEXT),
        (Type::Plain(ColumnType::Binary), _) | (_, Type::Plain(ColumnType::Binary)) => None,
        (text, Type::Plain(_)) if text.is_text() => Some(b.clone()),
        (Type::Plain(_), text) if text.is_text() => Some(a.clone()),
        (Type::Plain(ColumnType::Boolean), n) | (n, Type::Plain(ColumnType::Boolean)) if n.is_number() => {
            Some(n.clone())
        }
        (Type::List(x), Type::List(y)) => comparable(x, y).map(|item| Type::List(Box::new(item))),
        (Type::Plain(x), Type::Plain(y)) => {
            common_number(a, b).or_else(|| common_moment(*x, *y).map(Type::Plain))
        }
        _ => None,
    }
}

/// The type of a value that is one of the two, as of `CASE` and `COALESCE`; none when there is none.
pub(crate) fn common(a: &Type, b: &Type) -> Option<Type> {
    match (a, b) {
        (Type::Null, other) | (other, Type::Null) => Some(other.clone()),
        (a, b) if a == b => Some(a.clone()),
        (Type::Plain(ColumnType::Binary), _) | (_, Type::Plain(ColumnType::Binary)) => None,
        (text, Type::Plain(_)) | (Type::Plain(_), text) if text.is_text() => Some(TEXT),
        (Type::List(x), Type::List(y)) => common(x, y).map(|item| Type::List(Box::new(item))),
        (Type::Map(k, v), Type::Map(l, w)) => {
            Some(Type::Map(Box::new(common(k, l)?), Box::new(common(v, w)?)))
        }
        (Type::Row(x), Type::Row(y)) if x.len() == y.len() => {
            x.iter().zip(y).map(|(x, y)| common(x, y)).collect::<Option<_>>().map(Type::Row)
        }
        (Type::Plain(x), Type::Plain(y)) => {
            common_number(a, b).or_else(|| common_moment(*x, *y).map(Type::Plain))
        }
        _ => None,
    }
}

/// The largest precision of decimals that expressions compute (`transform.decimal.precision.mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecimalLimit(pub u8);

impl DecimalLimit {
    /// `UP_TO_19`, what Flink CDC does.
    pub const UP_TO_19: Self = Self(19);
    /// `UP_TO_38`, all that a decimal can have.
    pub const UP_TO_38: Self = Self(38);

    fn cut(self, precision: u16, scale: u16) -> Type {
        let most = u16::from(self.0);
        let (precision, scale) = (precision.min(most), scale.min(most));
        let byte = |n: u16| u8::try_from(n).unwrap_or(38);
        Type::Plain(ColumnType::Decimal {
            precision: byte(precision.max(1)),
            scale: byte(scale.min(precision)),
        })
    }

    /// The type of an operation on two decimals, by the rules of Calcite.
    pub(crate) fn of(self, sign: &str, a: (u8, u8), b: (u8, u8)) -> Type {
        let ((p1, s1), (p2, s2)) = ((u16::from(a.0), u16::from(a.1)), (u16::from(b.0), u16::from(b.1)));
        match sign {
            "*" => self.cut(p1 + p2, s1 + s2),
            "/" => {
                let most = u16::from(self.0);
                let whole = (p1 - s1 + s2).min(most);
                let scale = (s1 + p2 + 1).max(6).min(most - whole);
                self.cut(whole + scale, scale)
            }
            "%" => {
                let scale = s1.max(s2);
                self.cut((p1 - s1).min(p2 - s2) + scale, scale)
            }
            _ => {
                let scale = s1.max(s2);
                self.cut((p1 - s1).max(p2 - s2) + scale + 1, scale)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(precision: u8, scale: u8) -> Type {
        Type::Plain(ColumnType::Decimal { precision, scale })
    }

    #[test]
    fn decimals_compute_by_the_rules_of_calcite() {
        let narrow = DecimalLimit::UP_TO_19;
        assert_eq!(narrow.of("+", (10, 2), (10, 4)), decimal(13, 4));
        assert_eq!(narrow.of("*", (10, 2), (10, 2)), decimal(19, 4));
        assert_eq!(DecimalLimit::UP_TO_38.of("*", (10, 2), (10, 2)), decimal(20, 4));
        assert_eq!(narrow.of("/", (10, 2), (5, 0)), decimal(16, 8));
        assert_eq!(narrow.of("%", (10, 2), (5, 0)), decimal(7, 2));
        assert_eq!(narrow.of("/", (19, 0), (19, 19)), decimal(19, 0));
    }

    #[test]
    fn two_types_have_the_narrowest_in_common() {
        let plain = Type::Plain;
        for (a, b, want) in [
            (plain(ColumnType::TinyInt), INT, Some(INT)),
            (BIGINT, decimal(10, 2), Some(decimal(21, 2))),
            (plain(ColumnType::Float), INT, Some(DOUBLE)),
            (TEXT, INT, Some(TEXT)),
            (Type::Null, DATE, Some(DATE)),
            (
                DATE,
                plain(ColumnType::DateTime { fraction: 3 }),
                Some(plain(ColumnType::DateTime { fraction: 3 })),
            ),
            (DATE, INT, None),
            (plain(ColumnType::Binary), TEXT, None),
        ] {
            assert_eq!(common(&a, &b), want, "{a} and {b}");
            assert_eq!(common(&b, &a), want, "{b} and {a}");
        }
        assert_eq!(comparable(&TEXT, &INT), Some(INT), "a text is read as the other's type");
    }
}
