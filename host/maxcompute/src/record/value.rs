//! One value in any type, for nested columns and for rows read back.

/// A value that is not null.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// TINYINT, SMALLINT, INT, BIGINT.
    Bigint(i64),
    /// BOOLEAN.
    Boolean(bool),
    /// FLOAT.
    Float(f32),
    /// DOUBLE.
    Double(f64),
    /// STRING, CHAR, VARCHAR, JSON and DECIMAL as text; BINARY as it is.
    Text(Vec<u8>),
    /// DATE in days since 1970-01-01.
    Date(i32),
    /// DATETIME in milliseconds since the epoch.
    Datetime(i64),
    /// TIMESTAMP, TIMESTAMP_NTZ and INTERVAL_DAY_TIME.
    Timestamp {
        /// Seconds since the epoch, floored: a moment before it has negative seconds and nanoseconds that count up.
        seconds: i64,
        /// Nanoseconds of the second.
        nanos: u32,
    },
    /// INTERVAL_YEAR_MONTH in months.
    Months(i64),
    /// ARRAY.
    Array(Vec<Option<Value>>),
    /// MAP in the order of the wire.
    Map(Vec<(Option<Value>, Option<Value>)>),
    /// STRUCT in the order of its fields.
    Struct(Vec<Option<Value>>),
}

impl Value {
    /// The text of a [`Value::Text`] that is UTF-8.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// The number of a [`Value::Bigint`].
    pub fn as_bigint(&self) -> Option<i64> {
        match self {
            Self::Bigint(value) => Some(*value),
            _ => None,
        }
    }
}
