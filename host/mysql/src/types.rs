//! Declared column types: from the text that a server or a statement gives to what a value means.
//!
//! One text form is read: that of `information_schema.COLUMNS.COLUMN_TYPE`, which is also what statements are
//! brought to. So a column reads the same whether the catalog or the binlog told of it, and `Column::source_type`,
//! which keeps the text, is all that the row decoder needs.

use sluicebox_model::ColumnType;

use crate::options::TypeOptions;

/// The kind of a declared type, as far as row images and result sets tell kinds apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BaseType {
    /// `BIT(n)`.
    Bit,
    /// `TINYINT`, `BOOL`.
    TinyInt,
    /// `SMALLINT`.
    SmallInt,
    /// `MEDIUMINT`.
    MediumInt,
    /// `INT`.
    Int,
    /// `BIGINT`, `SERIAL`.
    BigInt,
    /// `FLOAT`, also as `FLOAT(p,s)`.
    Float,
    /// `DOUBLE`, `REAL`.
    Double,
    /// `DECIMAL`, `NUMERIC`, `FIXED`.
    Decimal,
    /// `YEAR`.
    Year,
    /// `DATE`.
    Date,
    /// `TIME`.
    Time,
    /// `DATETIME`.
    DateTime,
    /// `TIMESTAMP`.
    Timestamp,
    /// `CHAR`, `NCHAR`.
    Char,
    /// `VARCHAR`, `NVARCHAR`.
    VarChar,
    /// `TINYTEXT` to `LONGTEXT`; MariaDB's `JSON` too.
    Text,
    /// `BINARY`.
    Binary,
    /// `VARBINARY`.
    VarBinary,
    /// `TINYBLOB` to `LONGBLOB`.
    Blob,
    /// MySQL's `JSON`.
    Json,
    /// `ENUM`.
    Enum,
    /// `SET`.
    Set,
    /// `GEOMETRY` and its kinds.
    Geometry,
    /// `VECTOR`: numbers of single precision, the lowest byte of each first.
    Vector,
    /// MariaDB's `INET4`.
    Inet4,
    /// MariaDB's `INET6`.
    Inet6,
    /// MariaDB's `UUID`.
    Uuid,
}

/// A column's type as declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredType {
    /// Its kind.
    pub base: BaseType,
    /// `UNSIGNED`, also by `ZEROFILL`.
    pub unsigned: bool,
    /// The first number in parentheses: characters of `CHAR` and `VARCHAR`, bytes of `BINARY` and `VARBINARY`, bits of
    /// `BIT`, digits of `DECIMAL`, display width of integers, fraction digits of times.
    pub length: Option<u32>,
    /// The second number in parentheses: digits after the point.
    pub decimals: Option<u32>,
    /// Labels of `ENUM` and `SET`, in order.
    pub labels: Vec<String>,
}

impl DeclaredType {
    /// Reads the form of `COLUMN_TYPE`: `int(11) unsigned zerofill`, `enum('a','it''s')`, `decimal(10,2)`. Letter case
    /// does not count, and MariaDB's comments behind a type are skipped. None when the type is not known.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let word_end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
        let (word, rest) = text.split_at(word_end);
        let base = base_of(&word.to_ascii_lowercase())?;
        let rest = rest.trim_start();
        let mut declared = Self { base, unsigned: false, length: None, decimals: None, labels: Vec::new() };
        let attributes = match rest.strip_prefix('(') {
            Some(inside) if matches!(base, BaseType::Enum | BaseType::Set) => declared.read_labels(inside)?,
            Some(inside) => declared.read_numbers(inside)?,
            None => rest,
        };
        declared.unsigned = attributes
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(|w| w.eq_ignore_ascii_case("unsigned") || w.eq_ignore_ascii_case("zerofill"));
        Some(declared)
    }

    /// Takes `10,2)`; gives what stands behind it.
    fn read_numbers<'a>(&mut self, inside: &'a str) -> Option<&'a str> {
        let (numbers, rest) = inside.split_once(')')?;
        let mut numbers = numbers.split(',').map(|n| n.trim().parse::<u32>());
        self.length = numbers.next().and_then(Result::ok);
        self.decimals = numbers.next().and_then(Result::ok);
        Some(rest)
    }

    /// Takes `'a','b')`; gives what stands behind it.
    fn read_labels<'a>(&mut self, mut inside: &'a str) -> Option<&'a str> {
        loop {
            let (label, rest) = read_label(inside.trim_start().strip_prefix('\'')?)?;
            self.labels.push(label);
            let rest = rest.trim_start();
            match rest.strip_prefix(',') {
                Some(next) => inside = next,
                None => return rest.strip_prefix(')'),
            }
        }
    }

    /// What values of this type mean in the pipeline; none for types that are not supported.
    pub fn column_type(&self, options: &TypeOptions) -> Option<ColumnType> {
        use ColumnType as T;
        Some(match (self.base, self.unsigned) {
            (BaseType::Bit, _) => match self.bits() {
                1 => T::Boolean,
                width => T::Bit { width },
            },
            (BaseType::TinyInt, false) if self.length == Some(1) && options.tinyint1_is_boolean => T::Boolean,
            (BaseType::TinyInt, false) => T::TinyInt,
            (BaseType::TinyInt, true) | (BaseType::SmallInt, false) => T::SmallInt,
            (BaseType::SmallInt, true) | (BaseType::MediumInt | BaseType::Year, _) => T::Int,
            (BaseType::Int, false) => T::Int,
            (BaseType::Int, true) | (BaseType::BigInt, false) => T::BigInt,
            (BaseType::BigInt, true) => T::UnsignedBigInt,
            (BaseType::Float, _) if self.length.is_none() => T::Float,
            (BaseType::Float | BaseType::Double, _) => T::Double,
            (BaseType::Decimal, _) => T::Decimal { precision: self.precision(), scale: self.scale() },
            (BaseType::Date, _) => T::Date,
            (BaseType::Time, _) => T::Time { fraction: self.fraction() },
            (BaseType::DateTime, _) => T::DateTime { fraction: self.fraction() },
            (BaseType::Timestamp, _) => T::Timestamp { fraction: self.fraction() },
            (BaseType::Char | BaseType::VarChar | BaseType::Text | BaseType::Enum | BaseType::Set, _) => {
                T::Text
            }
            (BaseType::Inet4 | BaseType::Inet6 | BaseType::Uuid, _) => T::Text,
            (BaseType::Json, _) => T::Json,
            (BaseType::Binary | BaseType::VarBinary | BaseType::Blob, _) => T::Binary,
            (BaseType::Geometry | BaseType::Vector, _) => T::Binary,
        })
    }

    /// Bits of a `BIT`, 1 to 64.
    pub fn bits(&self) -> u8 {
        clamp(self.length, 1, 64).max(1)
    }

    /// Digits of a `DECIMAL`, 1 to 65.
    pub fn precision(&self) -> u8 {
        // `DECIMAL(0)` means the default, 10.
        match clamp(self.length, 10, 65) {
            0 => 10,
            digits => digits,
        }
    }

    /// Digits of a `DECIMAL` after the point, 0 to 38 (MariaDB's limit; MySQL's is 30).
    pub fn scale(&self) -> u8 {
        clamp(self.decimals, 0, 38)
    }

    /// Digits of a second's fraction of `TIME`, `DATETIME` and `TIMESTAMP`, 0 to 6.
    pub fn fraction(&self) -> u8 {
        clamp(self.length, 0, 6)
    }

    /// Bytes of a `BINARY`, to which its values are padded with zeros: 0 to 255.
    pub fn padded_bytes(&self) -> u32 {
        clamp(self.length, 1, 255).into()
    }
}

fn clamp(number: Option<u32>, default: u8, most: u8) -> u8 {
    number.map_or(default, |n| u8::try_from(n).unwrap_or(most).min(most))
}

/// Reads a label up to its closing quote. The server doubles quotes and escapes line breaks, zero bytes and
/// backslashes with a backslash.
fn read_label(text: &str) -> Option<(String, &str)> {
    let mut label = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' if text[at + 1..].starts_with('\'') => {
                chars.next();
                label.push('\'');
            }
            '\'' => return Some((label, &text[at + 1..])),
            '\\' => label.push(match chars.next()?.1 {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                '0' => '\0',
                'Z' => '\u{1a}',
                other => other,
            }),
            other => label.push(other),
        }
    }
    None
}

fn base_of(word: &str) -> Option<BaseType> {
    Some(match word {
        "bit" => BaseType::Bit,
        "tinyint" => BaseType::TinyInt,
        "smallint" => BaseType::SmallInt,
        "mediumint" => BaseType::MediumInt,
        "int" => BaseType::Int,
        "bigint" => BaseType::BigInt,
        "float" => BaseType::Float,
        "double" => BaseType::Double,
        "decimal" => BaseType::Decimal,
        "year" => BaseType::Year,
        "date" => BaseType::Date,
        "time" => BaseType::Time,
        "datetime" => BaseType::DateTime,
        "timestamp" => BaseType::Timestamp,
        "char" => BaseType::Char,
        "varchar" => BaseType::VarChar,
        "tinytext" | "text" | "mediumtext" | "longtext" => BaseType::Text,
        "binary" => BaseType::Binary,
        "varbinary" => BaseType::VarBinary,
        "tinyblob" | "blob" | "mediumblob" | "longblob" => BaseType::Blob,
        "json" => BaseType::Json,
        "enum" => BaseType::Enum,
        "set" => BaseType::Set,
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring"
        | "multipolygon" | "geometrycollection" | "geomcollection" => BaseType::Geometry,
        "vector" => BaseType::Vector,
        "inet4" => BaseType::Inet4,
        "inet6" => BaseType::Inet6,
        "uuid" => BaseType::Uuid,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declared_type_means_what_the_table_of_types_says() {
        use ColumnType as T;
        for (text, meaning) in [
            ("bit(1)", T::Boolean),
            ("bit(12)", T::Bit { width: 12 }),
            ("tinyint(1)", T::Boolean),
            ("tinyint(4)", T::TinyInt),
            ("tinyint(1) unsigned", T::SmallInt),
            ("tinyint unsigned zerofill", T::SmallInt),
            ("smallint(5) unsigned", T::Int),
            ("mediumint unsigned", T::Int),
            ("int", T::Int),
            ("INT(10) UNSIGNED", T::BigInt),
            ("bigint(20)", T::BigInt),
            ("bigint(20) unsigned zerofill", T::UnsignedBigInt),
            ("year(4)", T::Int),
            ("float", T::Float),
            ("float(7,3)", T::Double),
            ("double unsigned", T::Double),
            ("decimal(65,30)", T::Decimal { precision: 65, scale: 30 }),
            ("decimal(10,0) unsigned", T::Decimal { precision: 10, scale: 0 }),
            ("time(3)", T::Time { fraction: 3 }),
            ("datetime", T::DateTime { fraction: 0 }),
            ("timestamp(6) /* mariadb-5.3 */", T::Timestamp { fraction: 6 }),
            ("varchar(100) /*M!100301 COMPRESSED*/", T::Text),
            ("enum('a','b')", T::Text),
            ("binary(16)", T::Binary),
            ("json", T::Json),
            ("multipolygon", T::Binary),
            ("uuid", T::Text),
        ] {
            let declared = DeclaredType::parse(text).expect(text);
            assert_eq!(declared.column_type(&TypeOptions::default()), Some(meaning), "{text}");
        }
        let padded = |text| DeclaredType::parse(text).map(|t| t.padded_bytes());
        assert_eq!((padded("binary"), padded("binary(16)")), (Some(1), Some(16)));
        assert_eq!(padded("binary(4294967295)"), Some(255), "more than a server takes costs no memory");
        let plain = TypeOptions { tinyint1_is_boolean: false };
        let tiny = DeclaredType::parse("tinyint(1)").and_then(|t| t.column_type(&plain));
        assert_eq!(tiny, Some(T::TinyInt));
    }

    #[test]
    fn labels_keep_quotes_commas_and_parentheses() {
        let declared = DeclaredType::parse(r"set('it''s','a)b','c\\d','e\nf','','x,y')").expect("a set");
        assert_eq!(declared.labels, ["it's", "a)b", "c\\d", "e\nf", "", "x,y"]);
    }

    #[test]
    fn what_is_not_a_known_type_is_none() {
        for text in ["", "frob(3)", "enum('a'", "enum(a)", "decimal(3"] {
            assert_eq!(DeclaredType::parse(text), None, "{text}");
        }
        let vector = DeclaredType::parse("vector(5)").expect("a known type");
        assert_eq!(vector.column_type(&TypeOptions::default()), Some(ColumnType::Binary));
    }
}
