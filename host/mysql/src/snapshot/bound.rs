//! Places in a table's key order, and the conditions that cut chunks between them.
//!
//! A bound is what the server said a row's key is; it goes back to the server unchanged and is never compared here. How each
//! type goes back matters, for the comparison must be the one that `ORDER BY` used: decimals are cast (compared with
//! text they would become doubles), bytes go as hexadecimal text (as text they would have to be UTF-8), labels of `ENUM` and
//! `SET` are ordered by their numbers and so selected and compared as numbers.

use mysql_async::{Params, Value};
use serde::{Deserialize, Serialize};
use sluicebox_model::{Column, TableSchema};

use crate::client::quote;
use crate::types::{BaseType, DeclaredType};

/// One part of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum KeyValue {
    Int(i64),
    UInt(u64),
    /// The bits of a double, which JSON's numbers would not keep.
    Double(u64),
    /// Text, and decimals as text.
    Text(String),
    Bytes(Vec<u8>),
    /// Year, month, day, hour, minute, second, microsecond.
    Date(u16, u8, u8, u8, u8, u8, u32),
    /// Negative, days, hours, minutes, seconds, microseconds.
    Time(bool, u32, u8, u8, u8, u32),
}

/// A place in a table's key order: a key that a row had. Only the server compares it; it can be kept as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyBound(Vec<KeyValue>);

impl KeyBound {
    /// The place of a number in the order of a key of one whole-number column; none where no such column has it.
    pub fn of_number(number: i128) -> Option<Self> {
        let value = i64::try_from(number).map(KeyValue::Int).ok();
        value.or_else(|| u64::try_from(number).map(KeyValue::UInt).ok()).map(|value| Self(vec![value]))
    }

    /// The number, where that is all that it is.
    pub fn number(&self) -> Option<i128> {
        match self.0.as_slice() {
            [KeyValue::Int(number)] => Some((*number).into()),
            [KeyValue::UInt(number)] => Some((*number).into()),
            _ => None,
        }
    }
}

/// What a table is cut by, ready to be put into statements.
pub(super) struct Keys<'a> {
    parts: Vec<Part<'a>>,
}

struct Part<'a> {
    column: &'a Column,
    /// The column as it is ordered and compared.
    expression: String,
    /// The parameter as it is compared.
    mark: String,
}

/// A condition with the values of its marks.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Condition {
    text: String,
    values: Vec<Value>,
}

impl Condition {
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn params(&self) -> Params {
        match self.values.is_empty() {
            true => Params::Empty,
            false => Params::Positional(self.values.clone()),
        }
    }
}

impl<'a> Keys<'a> {
    /// The named column, or else the key. None for a table without it.
    pub(super) fn of(schema: &'a TableSchema, by: Option<&str>) -> Option<Self> {
        let parts: Vec<_> = match by {
            Some(name) => schema.columns.iter().filter(|c| *c.name == *name).map(Part::of).collect(),
            None => schema.key_columns().map(Part::of).collect(),
        };
        (!parts.is_empty()).then_some(Self { parts })
    }

    /// The column's name, where it is one of whole numbers.
    pub(super) fn whole_number(&self) -> Option<String> {
        use BaseType as B;
        let [part] = self.parts.as_slice() else { return None };
        let base = DeclaredType::parse(&part.column.source_type)?.base;
        matches!(base, B::TinyInt | B::SmallInt | B::MediumInt | B::Int | B::BigInt)
            .then(|| part.expression.clone())
    }

    /// What is selected to learn a row's key.
    pub(super) fn selected(&self) -> String {
        self.list()
    }

    /// The key's own order.
    pub(super) fn order(&self) -> String {
        self.list()
    }

    fn list(&self) -> String {
        self.parts.iter().map(|p| p.expression.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// The bound of a row's key, selected by [`Keys::selected`].
    pub(super) fn bound(&self, values: Vec<Value>) -> Result<KeyBound, String> {
        if values.len() != self.parts.len() {
            return Err("a key has another number of columns than was asked for".to_owned());
        }
        let parts = self.parts.iter().zip(values).map(|(part, value)| part.value(value));
        parts.collect::<Result<_, _>>().map(KeyBound)
    }

    /// Rows behind `after` and up to `up_to`.
    pub(super) fn range(
        &self,
        after: Option<&KeyBound>,
        up_to: Option<&KeyBound>,
    ) -> Result<Condition, String> {
        let mut whole = Condition::default();
        for (bound, last, others) in [(after, ">", ">"), (up_to, "<=", "<")] {
            let Some(bound) = bound else { continue };
            if bound.0.len() != self.parts.len() {
                return Err("the bound belongs to another key than the table has".to_owned());
            }
            if !whole.is_empty() {
                whole.text.push_str(" AND ");
            }
            self.compare(&mut whole, bound, last, others);
        }
        Ok(whole)
    }

    /// `(a > ? OR (a = ? AND (b > ?)))`: `others` compares all parts but the last.
    fn compare(&self, whole: &mut Condition, bound: &KeyBound, last: &str, others: &str) {
        let count = self.parts.len();
        for (n, (part, value)) in self.parts.iter().zip(&bound.0).enumerate() {
            let operator = if n + 1 == count { last } else { others };
            whole.text.push_str(&format!("({} {operator} {}", part.expression, part.mark));
            whole.values.push(value.parameter());
            if n + 1 < count {
                whole.text.push_str(&format!(" OR ({} = {} AND ", part.expression, part.mark));
                whole.values.push(value.parameter());
            }
        }
        whole.text.push_str(&")".repeat(2 * count - 1));
    }
}

impl<'a> Part<'a> {
    fn of(column: &'a Column) -> Self {
        let name = quote(&column.name);
        let declared = DeclaredType::parse(&column.source_type);
        let base = declared.as_ref().map(|d| d.base);
        let expression = match base {
            Some(BaseType::Enum | BaseType::Set | BaseType::Bit) => format!("{name}+0"),
            _ => name,
        };
        let mark = match base {
            Some(BaseType::Binary | BaseType::VarBinary | BaseType::Blob) => "UNHEX(?)".to_owned(),
            Some(BaseType::Decimal) => {
                let (precision, scale) = declared.map_or((65, 30), |d| (d.precision(), d.scale()));
                format!("CAST(? AS DECIMAL({precision},{scale}))")
            }
            _ => "?".to_owned(),
        };
        Self { column, expression, mark }
    }

    fn value(&self, value: Value) -> Result<KeyValue, String> {
        let broken = || format!("the key column `{}` holds what no key can be", self.column.name);
        Ok(match value {
            Value::Int(number) => KeyValue::Int(number),
            Value::UInt(number) => KeyValue::UInt(number),
            Value::Float(number) => KeyValue::Double(f64::from(number).to_bits()),
            Value::Double(number) => KeyValue::Double(number.to_bits()),
            Value::Date(year, month, day, hour, minute, second, micros) => {
                KeyValue::Date(year, month, day, hour, minute, second, micros)
            }
            Value::Time(negative, days, hours, minutes, seconds, micros) => {
                KeyValue::Time(negative, days, hours, minutes, seconds, micros)
            }
            Value::Bytes(bytes) if self.mark == "UNHEX(?)" => KeyValue::Bytes(bytes),
            Value::Bytes(bytes) => KeyValue::Text(String::from_utf8(bytes).map_err(|_| broken())?),
            Value::NULL => return Err(broken()),
        })
    }
}

impl KeyValue {
    fn parameter(&self) -> Value {
        match self {
            Self::Int(number) => Value::Int(*number),
            Self::UInt(number) => Value::UInt(*number),
            Self::Double(bits) => Value::Double(f64::from_bits(*bits)),
            Self::Text(text) => Value::Bytes(text.as_bytes().to_vec()),
            Self::Bytes(bytes) => Value::Bytes(hex(bytes)),
            Self::Date(year, month, day, hour, minute, second, micros) => {
                Value::Date(*year, *month, *day, *hour, *minute, *second, *micros)
            }
            Self::Time(negative, days, hours, minutes, seconds, micros) => {
                Value::Time(*negative, *days, *hours, *minutes, *seconds, *micros)
            }
        }
    }
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]]).collect()
}

#[cfg(test)]
mod tests {
    use sluicebox_model::{ColumnType, TableId};

    use super::*;

    fn schema(columns: &[(&str, &str)]) -> TableSchema {
        let column = |(name, declared): &(&str, &str)| Column {
            name: (*name).into(),
            column_type: ColumnType::Int,
            nullable: false,
            source_type: (*declared).into(),
            default: Default::default(),
            charset: None,
            comment: None,
        };
        TableSchema {
            id: TableId::new("d", "t"),
            version: 1,
            columns: columns.iter().map(column).collect(),
            key: (0..columns.len()).collect(),
            comment: None,
            charset: None,
            unique_keys: Vec::new(),
            ddl: None,
        }
    }

    #[test]
    fn a_range_is_written_out_column_by_column() {
        let schema = schema(&[("a", "int"), ("b", "enum('x','y')"), ("c", "decimal(10,2)")]);
        let keys = Keys::of(&schema, None).expect("a key");
        let bound = |a| {
            keys.bound(vec![Value::Int(a), Value::Int(2), Value::Bytes(b"1.50".to_vec())]).expect("a bound")
        };
        let range = keys.range(Some(&bound(1)), Some(&bound(9))).expect("a range");
        assert_eq!(
            range.text(),
            "(`a` > ? OR (`a` = ? AND (`b`+0 > ? OR (`b`+0 = ? AND (`c` > CAST(? AS DECIMAL(10,2))))))) AND \
             (`a` < ? OR (`a` = ? AND (`b`+0 < ? OR (`b`+0 = ? AND (`c` <= CAST(? AS DECIMAL(10,2)))))))"
        );
        assert_eq!(range.values.len(), 10);
    }

    #[test]
    fn a_bound_survives_json() {
        let values = vec![
            KeyValue::UInt(u64::MAX),
            KeyValue::Int(i64::MIN),
            KeyValue::Double((0.1_f64 + 0.2).to_bits()),
            KeyValue::Text("größe".to_owned()),
            KeyValue::Bytes(vec![0, 255]),
            KeyValue::Date(0, 0, 0, 0, 0, 0, 0),
            KeyValue::Time(true, 34, 22, 59, 59, 1),
        ];
        let bound = KeyBound(values);
        let text = serde_json::to_string(&bound).expect("JSON");
        assert_eq!(serde_json::from_str::<KeyBound>(&text).expect("a bound"), bound);
    }

    #[test]
    fn a_bound_of_another_key_is_an_error() {
        let (one, two) = (schema(&[("a", "int")]), schema(&[("a", "int"), ("b", "int")]));
        let bound = Keys::of(&one, None).expect("a key").bound(vec![Value::Int(1)]).expect("a bound");
        assert!(Keys::of(&two, None).expect("a key").range(Some(&bound), None).is_err());
    }
}
