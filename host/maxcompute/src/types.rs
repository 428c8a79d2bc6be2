//! The data types of MaxCompute, as texts that the service writes and reads.

use std::fmt;
use std::str::FromStr;

/// The type of a column, or of a part of one.
///
/// ```
/// use sluicebox_maxcompute::DataType;
///
/// let tags: DataType = "map<string, array<decimal(38,18)>>".parse().expect("a type");
/// assert_eq!(tags.to_string(), "MAP<STRING,ARRAY<DECIMAL(38,18)>>");
/// ```
///
/// `Display` gives the form for statements (`DECIMAL(10,2)`, ``STRUCT<`a`:BIGINT>``), `FromStr` reads it and what
/// the service answers, without regard to case, spaces and back quotes. So does serde, as a text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DataType {
    /// 8-bit integer.
    Tinyint,
    /// 16-bit integer.
    Smallint,
    /// 32-bit integer.
    Int,
    /// 64-bit integer.
    Bigint,
    /// 32-bit floating point.
    Float,
    /// 64-bit floating point.
    Double,
    /// True or false.
    Boolean,
    /// UTF-8 text of up to 8 MiB.
    String,
    /// Text of a fixed number of characters, padded by the service when compared.
    Char(u32),
    /// Text of at most so many characters.
    Varchar(u32),
    /// Bytes, up to 8 MiB.
    Binary,
    /// Exact number of `precision` digits, `scale` of them behind the point.
    Decimal {
        /// All digits, 1 to 38.
        precision: u32,
        /// Digits behind the point, at most `precision` and 18.
        scale: u32,
    },
    /// A day.
    Date,
    /// An instant in milliseconds.
    Datetime,
    /// An instant in nanoseconds.
    Timestamp,
    /// A wall clock reading in nanoseconds.
    TimestampNtz,
    /// JSON text.
    Json,
    /// A span of seconds and nanoseconds.
    IntervalDayTime,
    /// A span of months.
    IntervalYearMonth,
    /// A list.
    Array(Box<DataType>),
    /// Pairs of key and value.
    Map(Box<DataType>, Box<DataType>),
    /// Named fields.
    Struct(Vec<StructField>),
}

/// One field of a [`DataType::Struct`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StructField {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
}

/// A text that names no type of MaxCompute.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a type: {reason}")]
pub struct UnknownType {
    text: String,
    reason: &'static str,
}

/// How deep types may nest; deeper ones come from a broken answer, and reading them would use up the stack.
const MAX_DEPTH: u32 = 32;
/// What a bare `DECIMAL` means: the old 54,18 decimal.
const BARE_DECIMAL: DataType = DataType::Decimal { precision: 54, scale: 18 };

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tinyint => f.write_str("TINYINT"),
            Self::Smallint => f.write_str("SMALLINT"),
            Self::Int => f.write_str("INT"),
            Self::Bigint => f.write_str("BIGINT"),
            Self::Float => f.write_str("FLOAT"),
            Self::Double => f.write_str("DOUBLE"),
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::String => f.write_str("STRING"),
            Self::Char(length) => write!(f, "CHAR({length})"),
            Self::Varchar(length) => write!(f, "VARCHAR({length})"),
            Self::Binary => f.write_str("BINARY"),
            Self::Decimal { precision, scale } => write!(f, "DECIMAL({precision},{scale})"),
            Self::Date => f.write_str("DATE"),
            Self::Datetime => f.write_str("DATETIME"),
            Self::Timestamp => f.write_str("TIMESTAMP"),
            Self::TimestampNtz => f.write_str("TIMESTAMP_NTZ"),
            Self::Json => f.write_str("JSON"),
            Self::IntervalDayTime => f.write_str("INTERVAL_DAY_TIME"),
            Self::IntervalYearMonth => f.write_str("INTERVAL_YEAR_MONTH"),
            Self::Array(element) => write!(f, "ARRAY<{element}>"),
            Self::Map(key, value) => write!(f, "MAP<{key},{value}>"),
            Self::Struct(fields) => {
                f.write_str("STRUCT<")?;
                for (index, field) in fields.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma}`{}`:{}", field.name.replace('`', "``"), field.data_type)?;
                }
                f.write_str(">")
            }
        }
    }
}

impl TryFrom<String> for DataType {
    type Error = UnknownType;

    fn try_from(text: String) -> Result<Self, UnknownType> {
        text.parse()
    }
}

impl From<DataType> for String {
    fn from(data_type: DataType) -> Self {
        data_type.to_string()
    }
}

impl FromStr for DataType {
    type Err = UnknownType;

    fn from_str(text: &str) -> Result<Self, UnknownType> {
        let mut parser = Parser { rest: text };
        let unknown = |reason| UnknownType { text: text.to_owned(), reason };
        let parsed = parser.data_type(0).map_err(unknown)?;
        if parser.rest.trim().is_empty() { Ok(parsed) } else { Err(unknown("text behind its end")) }
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn data_type(&mut self, depth: u32) -> Result<DataType, &'static str> {
        if depth > MAX_DEPTH {
            return Err("nested too deep");
        }
        let word = self.word()?.to_ascii_lowercase();
        Ok(match word.as_str() {
            "tinyint" => DataType::Tinyint,
            "smallint" => DataType::Smallint,
            "int" | "integer" => DataType::Int,
            "bigint" => DataType::Bigint,
            "float" => DataType::Float,
            "double" => DataType::Double,
            "boolean" => DataType::Boolean,
            "string" => DataType::String,
            "char" => DataType::Char(self.single_argument()?),
            "varchar" => DataType::Varchar(self.single_argument()?),
            "binary" => DataType::Binary,
            "decimal" => self.decimal()?,
            "date" => DataType::Date,
            "datetime" => DataType::Datetime,
            "timestamp" => DataType::Timestamp,
            "timestamp_ntz" => DataType::TimestampNtz,
            "json" => DataType::Json,
            "interval_day_time" => DataType::IntervalDayTime,
            "interval_year_month" => DataType::IntervalYearMonth,
            "array" => {
                self.expect('<')?;
                let element = self.data_type(depth + 1)?;
                self.expect('>')?;
                DataType::Array(Box::new(element))
            }
            "map" => {
                self.expect('<')?;
                let key = self.data_type(depth + 1)?;
                self.expect(',')?;
                let value = self.data_type(depth + 1)?;
                self.expect('>')?;
                DataType::Map(Box::new(key), Box::new(value))
            }
            "struct" => DataType::Struct(self.fields(depth)?),
            _ => return Err("unknown name"),
        })
    }

    fn fields(&mut self, depth: u32) -> Result<Vec<StructField>, &'static str> {
        self.expect('<')?;
        let mut fields = Vec::new();
        loop {
            let name = self.field_name()?;
            self.expect(':')?;
            fields.push(StructField { name, data_type: self.data_type(depth + 1)? });
            if !self.accept(',') {
                break;
            }
        }
        self.expect('>')?;
        Ok(fields)
    }

    /// A field name: bare up to the colon, or in back quotes with an inner back quote doubled.
    fn field_name(&mut self) -> Result<String, &'static str> {
        self.rest = self.rest.trim_start();
        let Some(mut quoted) = self.rest.strip_prefix('`') else {
            let end = self.rest.find(':').ok_or("a field without a type")?;
            let (name, rest) = self.rest.split_at(end);
            self.rest = rest;
            return match name.trim_end() {
                "" => Err("a field without a name"),
                name => Ok(name.to_owned()),
            };
        };
        let mut name = String::new();
        loop {
            let end = quoted.find('`').ok_or("a back quote that is not closed")?;
            name.push_str(&quoted[..end]);
            quoted = &quoted[end + 1..];
            match quoted.strip_prefix('`') {
                Some(rest) => {
                    name.push('`');
                    quoted = rest;
                }
                None => {
                    self.rest = quoted;
                    return Ok(name);
                }
            }
        }
    }

    fn decimal(&mut self) -> Result<DataType, &'static str> {
        if !self.accept('(') {
            return Ok(BARE_DECIMAL);
        }
        let precision = self.number()?;
        let scale = if self.accept(',') { self.number()? } else { 0 };
        self.expect(')')?;
        if precision == 0 || scale > precision {
            return Err("precision and scale do not fit");
        }
        Ok(DataType::Decimal { precision, scale })
    }

    fn single_argument(&mut self) -> Result<u32, &'static str> {
        self.expect('(')?;
        let number = self.number()?;
        self.expect(')')?;
        Ok(number)
    }

    fn word(&mut self) -> Result<&str, &'static str> {
        let text = self.rest.trim_start();
        let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        self.rest = rest;
        if word.is_empty() { Err("a name is missing") } else { Ok(word) }
    }

    fn number(&mut self) -> Result<u32, &'static str> {
        self.word()?.parse().map_err(|_| "a number is missing")
    }

    fn accept(&mut self, wanted: char) -> bool {
        match self.rest.trim_start().strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, wanted: char) -> Result<(), &'static str> {
        if self.accept(wanted) { Ok(()) } else { Err("a bracket, comma or colon is missing") }
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    /// A random type, not deeper than `depth`.
    fn random_type(random: &mut StdRng, depth: u32) -> DataType {
        let kinds = if depth == 0 { 19 } else { 22 };
        match random.random_range(0..kinds) {
            0 => DataType::Tinyint,
            1 => DataType::Smallint,
            2 => DataType::Int,
            3 => DataType::Bigint,
            4 => DataType::Float,
            5 => DataType::Double,
            6 => DataType::Boolean,
            7 => DataType::String,
            8 => DataType::Char(random.random_range(1..=255)),
            9 => DataType::Varchar(random.random_range(1..=65535)),
            10 => DataType::Binary,
            11 => {
                let precision = random.random_range(1..=38);
                DataType::Decimal { precision, scale: random.random_range(0..=precision.min(18)) }
            }
            12 => DataType::Date,
            13 => DataType::Datetime,
            14 => DataType::Timestamp,
            15 => DataType::TimestampNtz,
            16 => DataType::Json,
            17 => DataType::IntervalDayTime,
            18 => DataType::IntervalYearMonth,
            19 => DataType::Array(Box::new(random_type(random, depth - 1))),
            20 => {
                let key = random_type(random, depth - 1);
                DataType::Map(Box::new(key), Box::new(random_type(random, depth - 1)))
            }
            _ => {
                let names = ["a", "end", "with space", "back`quote", "`", "\u{4e2d}", "a:b", "x<y>,z"];
                let field = |random: &mut StdRng| StructField {
                    name: names[random.random_range(0..names.len())].to_owned(),
                    data_type: random_type(random, depth - 1),
                };
                DataType::Struct((0..random.random_range(1..4)).map(|_| field(random)).collect())
            }
        }
    }

    #[test]
    fn what_is_printed_is_read_back() {
        for seed in 0..2000 {
            let data_type = random_type(&mut StdRng::seed_from_u64(seed), 3);
            assert_eq!(data_type.to_string().parse(), Ok(data_type), "seed {seed}");
        }
    }

    #[test]
    fn the_texts_of_the_service_are_read() {
        let bigint = || Box::new(DataType::Bigint);
        let field = |name: &str, data_type| StructField { name: name.to_owned(), data_type };
        let cases = [
            ("bigint", DataType::Bigint),
            (" BigInt ", DataType::Bigint),
            ("decimal", DataType::Decimal { precision: 54, scale: 18 }),
            ("decimal(10)", DataType::Decimal { precision: 10, scale: 0 }),
            ("decimal( 10 , 2 )", DataType::Decimal { precision: 10, scale: 2 }),
            ("array<bigint>", DataType::Array(bigint())),
            (
                "map<string, array<bigint>>",
                DataType::Map(DataType::String.into(), Box::new(DataType::Array(bigint()))),
            ),
            (
                "struct<a:bigint,b:string>",
                DataType::Struct(vec![field("a", DataType::Bigint), field("b", DataType::String)]),
            ),
            ("struct< `a b` : bigint >", DataType::Struct(vec![field("a b", DataType::Bigint)])),
            ("timestamp_ntz", DataType::TimestampNtz),
        ];
        for (text, want) in cases {
            assert_eq!(text.parse(), Ok(want), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        let deep = format!("{}bigint{}", "array<".repeat(40), ">".repeat(40));
        let cases = [
            "",
            "blob",
            "bigint x",
            "array<bigint",
            "array<>",
            "array bigint",
            "map<string>",
            "struct<>",
            "struct<a>",
            "struct<`a:bigint>",
            "struct<:bigint>",
            "decimal(0,0)",
            "decimal(2,3)",
            "decimal(x)",
            "char",
            "varchar()",
            "char(99999999999)",
            "array<bigint>>",
            &deep,
        ];
        for text in cases {
            assert!(text.parse::<DataType>().is_err(), "{text}");
        }
    }
}
