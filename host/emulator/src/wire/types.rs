//! Column types of the service, as they are written in documents and statements.

use std::fmt;

use crate::sql::parse_type;

/// A column type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Type {
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    Float,
    Double,
    Boolean,
    String,
    Char(u32),
    VarChar(u32),
    Binary,
    Json,
    Date,
    DateTime,
    Timestamp,
    TimestampNtz,
    IntervalDayTime,
    IntervalYearMonth,
    /// Invariant: `1 <= precision <= 38`, `scale <= 18`, `scale <= precision`.
    Decimal {
        precision: u8,
        scale: u8,
    },
    Array(Box<Type>),
    Map(Box<Type>, Box<Type>),
    Struct(Vec<(String, Type)>),
}

impl Type {
    /// Reads a type text; case does not matter.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        parse_type(text)
    }

    /// Wire type number of the record format.
    pub(crate) fn wire_number(&self) -> u64 {
        match self {
            Self::TinyInt
            | Self::SmallInt
            | Self::Int
            | Self::BigInt
            | Self::Boolean
            | Self::Date
            | Self::DateTime
            | Self::IntervalYearMonth => 0,
            Self::Double => 1,
            Self::Float => 5,
            Self::String
            | Self::Char(_)
            | Self::VarChar(_)
            | Self::Binary
            | Self::Json
            | Self::Timestamp
            | Self::TimestampNtz
            | Self::IntervalDayTime
            | Self::Decimal { .. }
            | Self::Array(_)
            | Self::Map(..)
            | Self::Struct(_) => 2,
        }
    }

    /// Range of an integer type.
    pub(crate) fn integer_range(&self) -> Option<(i64, i64)> {
        match self {
            Self::TinyInt => Some((i8::MIN.into(), i8::MAX.into())),
            Self::SmallInt => Some((i16::MIN.into(), i16::MAX.into())),
            Self::Int => Some((i32::MIN.into(), i32::MAX.into())),
            Self::BigInt => Some((i64::MIN, i64::MAX)),
            _ => None,
        }
    }

    /// Whether a column may be a key: the types the bucket hash covers.
    pub(crate) fn may_be_key(&self) -> bool {
        !matches!(
            self,
            Self::Json | Self::IntervalYearMonth | Self::Array(_) | Self::Map(..) | Self::Struct(_)
        )
    }

    /// Whether a column may be a partition column: text and integers.
    pub(crate) fn may_be_partition(&self) -> bool {
        matches!(self, Self::String | Self::VarChar(_) | Self::Char(_)) || self.integer_range().is_some()
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TinyInt => f.write_str("tinyint"),
            Self::SmallInt => f.write_str("smallint"),
            Self::Int => f.write_str("int"),
            Self::BigInt => f.write_str("bigint"),
            Self::Float => f.write_str("float"),
            Self::Double => f.write_str("double"),
            Self::Boolean => f.write_str("boolean"),
            Self::String => f.write_str("string"),
            Self::Char(length) => write!(f, "char({length})"),
            Self::VarChar(length) => write!(f, "varchar({length})"),
            Self::Binary => f.write_str("binary"),
            Self::Json => f.write_str("json"),
            Self::Date => f.write_str("date"),
            Self::DateTime => f.write_str("datetime"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::TimestampNtz => f.write_str("timestamp_ntz"),
            Self::IntervalDayTime => f.write_str("interval_day_time"),
            Self::IntervalYearMonth => f.write_str("interval_year_month"),
            Self::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            Self::Array(element) => write!(f, "array<{element}>"),
            Self::Map(key, value) => write!(f, "map<{key},{value}>"),
            Self::Struct(fields) => {
                f.write_str("struct<")?;
                for (index, (name, kind)) in fields.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma}{name}:{kind}")?;
                }
                f.write_str(">")
            }
        }
    }
}

impl serde::Serialize for Type {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Type {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Whether the service changes a column from `from` to `to`: widening only, and never from text to
/// anything but longer text.
pub(crate) fn widens(from: &Type, to: &Type) -> bool {
    if from == to {
        return true;
    }
    let text_target = matches!(to, Type::String);
    match from {
        Type::TinyInt | Type::SmallInt | Type::Int | Type::BigInt => integer_widens(from, to),
        Type::Float => matches!(to, Type::Double) || text_target,
        Type::Double => text_target,
        Type::Decimal { precision, scale } => match to {
            Type::Decimal { precision: p, scale: s } => s >= scale && p - s >= precision - scale,
            _ => text_target,
        },
        Type::Char(length) | Type::VarChar(length) => match to {
            Type::Char(l) => matches!(from, Type::Char(_)) && l >= length,
            Type::VarChar(l) => l >= length,
            _ => text_target,
        },
        Type::Date | Type::DateTime | Type::Timestamp | Type::TimestampNtz => text_target,
        Type::Boolean
        | Type::String
        | Type::Binary
        | Type::Json
        | Type::IntervalDayTime
        | Type::IntervalYearMonth
        | Type::Array(_)
        | Type::Map(..)
        | Type::Struct(_) => false,
    }
}

fn integer_widens(from: &Type, to: &Type) -> bool {
    // Decimal digits before the point that hold every value of the integer type.
    let digits = match from {
        Type::TinyInt => 3,
        Type::SmallInt => 5,
        Type::Int => 10,
        _ => 19,
    };
    match (from.integer_range(), to.integer_range(), to) {
        (Some((_, from_max)), Some((_, to_max)), _) => to_max >= from_max,
        (_, None, Type::Decimal { precision, scale }) => precision - scale >= digits,
        (_, None, Type::Float | Type::Double | Type::String) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_text_survives_a_round_trip() {
        for text in [
            "bigint",
            "decimal(38,18)",
            "varchar(32)",
            "array<map<string,array<int>>>",
            "struct<a:bigint,end:string,c:timestamp,d:decimal(10,2)>",
            "timestamp_ntz",
            "interval_day_time",
        ] {
            assert_eq!(Type::parse(text).unwrap().to_string(), text);
            assert_eq!(Type::parse(&text.to_uppercase()).unwrap().to_string().to_lowercase(), text);
        }
    }

    #[test]
    fn only_widening_changes_are_allowed() {
        let cases = [
            ("tinyint", "bigint", true),
            ("bigint", "int", false),
            ("int", "double", true),
            ("int", "decimal(10,0)", true),
            ("int", "decimal(10,2)", false),
            ("float", "double", true),
            ("double", "float", false),
            ("decimal(10,2)", "decimal(12,4)", true),
            ("decimal(10,2)", "decimal(10,4)", false),
            ("decimal(10,2)", "string", true),
            ("varchar(10)", "varchar(9)", false),
            ("char(4)", "varchar(4)", true),
            ("varchar(4)", "char(4)", false),
            ("timestamp", "string", true),
            ("string", "bigint", false),
            ("array<int>", "string", false),
            ("boolean", "string", false),
        ];
        for (from, to, want) in cases {
            let got = widens(&Type::parse(from).unwrap(), &Type::parse(to).unwrap());
            assert_eq!(got, want, "{from} -> {to}");
        }
    }
}
