//! From the stream's column types to MaxCompute's, and which value fits which column.
//!
//! The mapping is Flink CDC's, so that tables made by it go on being written. What MaxCompute cannot hold becomes text: more than
//! 38 digits, or more than 18 behind the point (the service's limit for DECIMAL).

use sluicebox_maxcompute::DataType;
use sluicebox_model::ColumnType;

/// The service's limits for DECIMAL.
const MAX_PRECISION: u8 = 38;
const MAX_SCALE: u8 = 18;

/// The MaxCompute type that a column is created with.
pub fn data_type(column: ColumnType) -> DataType {
    use ColumnType as C;
    match column {
        C::Boolean => DataType::Boolean,
        C::TinyInt => DataType::Tinyint,
        C::SmallInt => DataType::Smallint,
        C::Int => DataType::Int,
        C::BigInt => DataType::Bigint,
        C::UnsignedBigInt => DataType::Decimal { precision: 20, scale: 0 },
        C::Float => DataType::Float,
        C::Double => DataType::Double,
        C::Decimal { precision, scale } if precision <= MAX_PRECISION && scale <= MAX_SCALE => {
            DataType::Decimal { precision: precision.into(), scale: scale.into() }
        }
        C::Decimal { .. } | C::Text | C::Json | C::Time { .. } => DataType::String,
        C::Binary | C::Bit { .. } => DataType::Binary,
        C::Date => DataType::Date,
        C::DateTime { .. } => DataType::TimestampNtz,
        C::Timestamp { .. } => DataType::Timestamp,
    }
}

/// How a value of a stream column becomes a value of a MaxCompute column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cast {
    /// Signed integers into an integer type; the range is the target's.
    Integer {
        /// Least value that the target holds.
        min: i64,
        /// Greatest value that it holds.
        max: i64,
    },
    /// 0 and 1.
    Boolean,
    /// Single precision, and integers of at most 16 bits, into FLOAT.
    Float,
    /// Floats and integers into DOUBLE; an integer that it would round does not fit.
    Double,
    /// Integers and decimals into DECIMAL; a number that has more digits behind the point than the target does not fit.
    Decimal {
        /// Target's scale minus the source's: the number of zeros to add behind the point, or to take away.
        shift: i8,
        /// Target's precision.
        precision: u8,
        /// Target's scale.
        scale: u8,
    },
    /// Text as it is.
    Text,
    /// Bytes as they are.
    Bytes,
    /// Bits as bytes, lowest byte first.
    BitBytes {
        /// Number of bytes.
        bytes: u8,
    },
    /// Bytes into base64 text.
    BytesText,
    /// Bits into the base64 text of their bytes, lowest byte first.
    BitText {
        /// Number of bytes.
        bytes: u8,
    },
    /// Days.
    Date,
    /// Days into the wall clock of their midnight.
    Midnight,
    /// Microseconds into a timestamp with nanoseconds.
    Timestamp,
    /// A number into text.
    IntegerText,
    /// An unsigned number into text.
    UnsignedText,
    /// A decimal into text.
    DecimalText {
        /// Digits behind the point.
        scale: u8,
    },
    /// A single precision number into Java's text, shortest digits that read back.
    FloatText,
    /// A double precision number likewise.
    DoubleText,
    /// `true`, `false`.
    BooleanText,
    /// A day into ISO text.
    DateText,
    /// A time span into ISO text, seconds left out when zero, as Flink CDC writes it.
    TimeText,
    /// A wall clock or an instant into ISO text.
    TimestampText,
}

/// How values of `from` get into a column of type `to`; none when the pipeline has no lossless way.
pub fn cast(from: ColumnType, to: &DataType) -> Option<Cast> {
    use ColumnType as C;
    let integer = |min: i64, max: i64| Some(Cast::Integer { min, max });
    let is_text = matches!(to, DataType::String);
    match from {
        C::Boolean => match to {
            DataType::Boolean => Some(Cast::Boolean),
            DataType::Tinyint | DataType::Smallint | DataType::Int | DataType::Bigint => integer(0, 1),
            _ => is_text.then_some(Cast::BooleanText),
        },
        C::TinyInt | C::SmallInt | C::Int | C::BigInt => match to {
            DataType::Tinyint => integer(i8::MIN.into(), i8::MAX.into()),
            DataType::Smallint => integer(i16::MIN.into(), i16::MAX.into()),
            DataType::Int => integer(i32::MIN.into(), i32::MAX.into()),
            DataType::Bigint => integer(i64::MIN, i64::MAX),
            DataType::Float if matches!(from, C::TinyInt | C::SmallInt) => Some(Cast::Float),
            DataType::Double => Some(Cast::Double),
            DataType::Decimal { precision, scale } => decimal(0, *precision, *scale),
            _ => is_text.then_some(Cast::IntegerText),
        },
        C::UnsignedBigInt => match to {
            DataType::Decimal { precision, scale } => decimal(0, *precision, *scale),
            _ => is_text.then_some(Cast::UnsignedText),
        },
        C::Bit { width } => match to {
            DataType::Binary => Some(Cast::BitBytes { bytes: width.div_ceil(8) }),
            _ => is_text.then_some(Cast::BitText { bytes: width.div_ceil(8) }),
        },
        C::Float => match to {
            DataType::Float => Some(Cast::Float),
            DataType::Double => Some(Cast::Double),
            _ => is_text.then_some(Cast::FloatText),
        },
        C::Double => match to {
            DataType::Double => Some(Cast::Double),
            _ => is_text.then_some(Cast::DoubleText),
        },
        C::Decimal { precision: p, scale: s } => match to {
            DataType::Decimal { precision, scale } if p <= MAX_PRECISION => decimal(s, *precision, *scale),
            _ if is_text && p > MAX_PRECISION => Some(Cast::Text),
            _ => is_text.then_some(Cast::DecimalText { scale: s }),
        },
        // A column that held bytes before, and that the service cannot change.
        C::Text if matches!(to, DataType::Binary) => Some(Cast::Bytes),
        C::Text | C::Json => {
            matches!(to, DataType::String | DataType::Json | DataType::Varchar(_) | DataType::Char(_))
                .then_some(Cast::Text)
        }
        C::Binary => match to {
            DataType::Binary => Some(Cast::Bytes),
            _ => is_text.then_some(Cast::BytesText),
        },
        C::Date => match to {
            DataType::Date => Some(Cast::Date),
            DataType::TimestampNtz => Some(Cast::Midnight),
            _ => is_text.then_some(Cast::DateText),
        },
        C::Time { .. } => is_text.then_some(Cast::TimeText),
        C::DateTime { .. } => match to {
            DataType::TimestampNtz => Some(Cast::Timestamp),
            _ => is_text.then_some(Cast::TimestampText),
        },
        C::Timestamp { .. } => match to {
            DataType::Timestamp => Some(Cast::Timestamp),
            _ => is_text.then_some(Cast::TimestampText),
        },
    }
}

/// A cast between scales.
fn decimal(from_scale: u8, precision: u32, scale: u32) -> Option<Cast> {
    let (precision, scale) = (u8::try_from(precision).ok()?, u8::try_from(scale).ok()?);
    let shift = i8::try_from(i16::from(scale) - i16::from(from_scale)).ok()?;
    (precision <= MAX_PRECISION).then_some(Cast::Decimal { shift, precision, scale })
}

/// Whether the service can change a column from one type to the other: its widening table, by the value's point of view no
/// value that fitted before stops fitting.
pub fn widens(from: &DataType, to: &DataType) -> bool {
    use DataType as D;
    let rank = |t: &D| match t {
        D::Tinyint => Some(0),
        D::Smallint => Some(1),
        D::Int => Some(2),
        D::Bigint => Some(3),
        _ => None,
    };
    match (from, to) {
        (a, b) if a == b => true,
        (a, b) if rank(a).is_some() && rank(b).is_some() => rank(a) < rank(b),
        (D::Tinyint | D::Smallint | D::Int | D::Bigint, D::Float | D::Double | D::String) => true,
        (D::Tinyint | D::Smallint | D::Int | D::Bigint, D::Decimal { precision, scale }) => {
            let digits = [3, 5, 10, 19][rank(from).unwrap_or(3)];
            precision - scale >= digits
        }
        (D::Float, D::Double | D::String) | (D::Double, D::String) => true,
        (D::Decimal { precision: p, scale: s }, D::Decimal { precision, scale }) => {
            scale >= s && precision - scale >= p - s
        }
        (
            D::Decimal { .. }
            | D::Date
            | D::Datetime
            | D::Timestamp
            | D::TimestampNtz
            | D::Char(_)
            | D::Varchar(_),
            D::String,
        ) => true,
        (D::Char(a) | D::Varchar(a), D::Varchar(b)) => a <= b,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::least_type::least_common;

    #[test]
    fn every_type_maps_as_the_table_says_and_its_values_fit() {
        use ColumnType as C;
        let cases = [
            (C::Boolean, "BOOLEAN"),
            (C::TinyInt, "TINYINT"),
            (C::SmallInt, "SMALLINT"),
            (C::Int, "INT"),
            (C::BigInt, "BIGINT"),
            (C::UnsignedBigInt, "DECIMAL(20,0)"),
            (C::Bit { width: 9 }, "BINARY"),
            (C::Float, "FLOAT"),
            (C::Double, "DOUBLE"),
            (C::Decimal { precision: 10, scale: 2 }, "DECIMAL(10,2)"),
            (C::Decimal { precision: 38, scale: 18 }, "DECIMAL(38,18)"),
            (C::Decimal { precision: 38, scale: 19 }, "STRING"),
            (C::Decimal { precision: 39, scale: 0 }, "STRING"),
            (C::Text, "STRING"),
            (C::Json, "STRING"),
            (C::Binary, "BINARY"),
            (C::Date, "DATE"),
            (C::Time { fraction: 3 }, "STRING"),
            (C::DateTime { fraction: 6 }, "TIMESTAMP_NTZ"),
            (C::Timestamp { fraction: 0 }, "TIMESTAMP"),
        ];
        for (column, want) in cases {
            let mapped = data_type(column);
            assert_eq!(mapped.to_string(), want, "{column}");
            assert!(cast(column, &mapped).is_some(), "{column} into its own {want}");
        }
    }

    /// No value is lost where columns meet: it has an exact way into the common type, or none at all, which the start tells.
    #[test]
    fn every_type_gets_into_what_it_has_in_common_with_another() {
        use ColumnType as C;
        let all = [
            C::Boolean,
            C::TinyInt,
            C::SmallInt,
            C::Int,
            C::BigInt,
            C::UnsignedBigInt,
            C::Bit { width: 9 },
            C::Float,
            C::Double,
            C::Decimal { precision: 10, scale: 2 },
            C::Decimal { precision: 38, scale: 0 },
            C::Decimal { precision: 38, scale: 18 },
            C::Decimal { precision: 50, scale: 3 },
            C::Text,
            C::Json,
            C::Binary,
            C::Date,
            C::Time { fraction: 3 },
            C::DateTime { fraction: 6 },
            C::Timestamp { fraction: 6 },
        ];
        for a in all {
            for b in all {
                let common = least_common(&data_type(a), &data_type(b));
                // In the zone of the pipeline, which a cast does not know.
                let by_zone = matches!((a, &common), (C::Date | C::DateTime { .. }, DataType::Timestamp));
                assert_eq!(cast(a, &common).is_none(), by_zone, "{a} with {b} into {common}");
            }
        }
    }

    #[test]
    fn digits_behind_the_point_come_and_go_with_the_scale() {
        let to = |text: &str| text.parse::<DataType>().expect("a type");
        let narrower = Some(Cast::Decimal { shift: -1, precision: 10, scale: 2 });
        assert_eq!(cast(ColumnType::Decimal { precision: 10, scale: 3 }, &to("decimal(10,2)")), narrower);
        assert_eq!(cast(ColumnType::Double, &to("float")), None);
        assert_eq!(cast(ColumnType::Text, &to("bigint")), None);
        let wider = Some(Cast::Decimal { shift: 2, precision: 20, scale: 4 });
        assert_eq!(cast(ColumnType::Decimal { precision: 10, scale: 2 }, &to("decimal(20,4)")), wider);
    }

    #[test]
    fn only_widening_changes_are_possible() {
        let cases = [
            ("int", "bigint", true),
            ("bigint", "int", false),
            ("int", "string", true),
            ("int", "decimal(10,0)", true),
            ("bigint", "decimal(18,0)", false),
            ("decimal(10,2)", "decimal(12,4)", true),
            ("decimal(10,2)", "decimal(11,4)", false),
            ("string", "bigint", false),
            ("timestamp_ntz", "timestamp", false),
            ("timestamp_ntz", "string", true),
            ("double", "double", true),
        ];
        for (from, to, want) in cases {
            let (a, b): (DataType, DataType) = (from.parse().expect("a type"), to.parse().expect("a type"));
            assert_eq!(widens(&a, &b), want, "{from} to {to}");
        }
    }
}
