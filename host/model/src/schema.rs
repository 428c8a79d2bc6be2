//! Tables, columns, and what can change about them.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A table of the source, or the name that a guest or a route gave it: database and table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableId {
    /// The database (MySQL calls it schema as well).
    pub database: Arc<str>,
    /// The table's name inside its database.
    pub table: Arc<str>,
}

impl TableId {
    /// Names a table.
    pub fn new(database: impl Into<Arc<str>>, table: impl Into<Arc<str>>) -> Self {
        Self { database: database.into(), table: table.into() }
    }
}

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.database, self.table)
    }
}

/// What a column means. How its values are held is [`ColumnType::physical`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ColumnType {
    /// `TINYINT(1)`, `BIT(1)`: 0 or 1.
    Boolean,
    /// Signed 8 bits.
    TinyInt,
    /// Signed 16 bits; `TINYINT UNSIGNED` too.
    SmallInt,
    /// Signed 32 bits; `SMALLINT UNSIGNED`, `MEDIUMINT` and `YEAR` too.
    Int,
    /// Signed 64 bits; `INT UNSIGNED` too.
    BigInt,
    /// `BIGINT UNSIGNED`.
    UnsignedBigInt,
    /// `BIT(n)` with n from 2 to 64.
    Bit {
        /// Number of bits.
        width: u8,
    },
    /// Single precision.
    Float,
    /// Double precision.
    Double,
    /// Exact decimal; MySQL goes to precision 65, scale 30.
    Decimal {
        /// Digits in all.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// `CHAR`, `VARCHAR`, `TEXT`, the label of an `ENUM`, the comma-separated labels of a `SET`.
    Text,
    /// JSON text, rendered as MySQL prints it.
    Json,
    /// `BINARY` (padded to its length), `VARBINARY`, `BLOB`, geometry as stored.
    Binary,
    /// Calendar day.
    Date,
    /// Signed time span, −838:59:59 to 838:59:59.
    Time {
        /// Digits of a second's fraction, 0 to 6.
        fraction: u8,
    },
    /// Wall clock without a zone.
    DateTime {
        /// Digits of a second's fraction, 0 to 6.
        fraction: u8,
    },
    /// An instant.
    Timestamp {
        /// Digits of a second's fraction, 0 to 6.
        fraction: u8,
    },
}

/// How a column's values are held in a [`ChangeBatch`](crate::ChangeBatch): one Arrow array kind for many
/// meanings, so that decoding, guests and encoding have six cases and not eleven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Physical {
    /// `Int64Array`: integers, booleans as 0 and 1, days since 1970-01-01, microseconds (of a time span, since
    /// 1970-01-01T00:00:00 of the same calendar, or of UTC), unscaled decimals to precision 18.
    Int64,
    /// `UInt64Array`: `BIGINT UNSIGNED`, `BIT(n)`.
    UInt64,
    /// `Float64Array`: `FLOAT` widened (exactly), `DOUBLE`.
    Float64,
    /// `Decimal128Array` with the column's precision and scale: precision 19 to 38.
    Decimal128,
    /// `StringArray`: text, JSON, plain decimal text for precision above 38.
    Utf8,
    /// `BinaryArray`.
    Binary,
}

impl ColumnType {
    /// How values of this type are held.
    pub fn physical(self) -> Physical {
        use ColumnType as T;
        match self {
            T::Boolean | T::TinyInt | T::SmallInt | T::Int | T::BigInt => Physical::Int64,
            T::Date | T::Time { .. } | T::DateTime { .. } | T::Timestamp { .. } => Physical::Int64,
            T::UnsignedBigInt | T::Bit { .. } => Physical::UInt64,
            T::Float | T::Double => Physical::Float64,
            T::Decimal { precision: 0..=18, .. } => Physical::Int64,
            T::Decimal { precision: 19..=38, .. } => Physical::Decimal128,
            T::Decimal { .. } | T::Text | T::Json => Physical::Utf8,
            T::Binary => Physical::Binary,
        }
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with = |f: &mut fmt::Formatter<'_>, name: &str, n: u8| match n {
            0 => f.write_str(name),
            n => write!(f, "{name}({n})"),
        };
        match *self {
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::TinyInt => f.write_str("TINYINT"),
            Self::SmallInt => f.write_str("SMALLINT"),
            Self::Int => f.write_str("INT"),
            Self::BigInt => f.write_str("BIGINT"),
            Self::UnsignedBigInt => f.write_str("BIGINT UNSIGNED"),
            Self::Bit { width } => write!(f, "BIT({width})"),
            Self::Float => f.write_str("FLOAT"),
            Self::Double => f.write_str("DOUBLE"),
            Self::Decimal { precision, scale } => write!(f, "DECIMAL({precision},{scale})"),
            Self::Text => f.write_str("TEXT"),
            Self::Json => f.write_str("JSON"),
            Self::Binary => f.write_str("BINARY"),
            Self::Date => f.write_str("DATE"),
            Self::Time { fraction } => with(f, "TIME", fraction),
            Self::DateTime { fraction } => with(f, "DATETIME", fraction),
            Self::Timestamp { fraction } => with(f, "TIMESTAMP", fraction),
        }
    }
}

/// A column as the stream carries it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name, spelled as in the table's definition.
    pub name: Arc<str>,
    /// What it means.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// Whether it may be null at the source.
    pub nullable: bool,
    /// As the source declares it, e.g. `enum('a','b')`, `int unsigned`; empty for a computed column. The source's
    /// crate decodes row images by it.
    pub source_type: Arc<str>,
    /// The source's character set for text (`latin1`), where it has one.
    pub charset: Option<Arc<str>>,
    /// The column's comment, where it has one.
    pub comment: Option<Arc<str>>,
    /// What an inserted row has in it that does not say.
    #[serde(default)]
    pub default: ColumnDefault,
}

/// What an inserted row has in a column that its statement did not name, and that the source's log therefore may leave out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ColumnDefault {
    /// Nothing is known, nor whether it is computed from other columns.
    #[default]
    Untold,
    /// Not computed from other columns, and not known.
    Unknown,
    /// Nothing is declared: null, or where that may not be what the source has for nothing.
    None,
    /// Always this, in the source's own spelling, without quotes.
    Value(Arc<str>),
    /// What is computed for each row: the source always says it.
    Written,
    /// What is computed from the row's other columns, also when they change.
    Generated,
}

/// A unique key of a table at the source; the primary key is the one called `PRIMARY`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UniqueKey {
    /// Its name; letter case does not count. Empty where only the columns are known.
    pub name: Arc<str>,
    /// Its columns, in key order.
    pub columns: Vec<Arc<str>>,
}

/// A table's columns at one place of the stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSchema {
    /// The table.
    pub id: TableId,
    /// Rises by one at each schema change that the stream has seen.
    pub version: u64,
    /// In the table's own order.
    pub columns: Vec<Column>,
    /// Places in `columns` of the primary key (or of the unique key standing in for it), in key order; empty without a key.
    pub key: Vec<usize>,
    /// The source's unique keys of plain columns, in the table's own order: which of them is the key is decided again whenever
    /// one comes, goes, or gets a nullable column.
    #[serde(default)]
    pub unique_keys: Vec<UniqueKey>,
    /// The table's comment, where it has one.
    pub comment: Option<Arc<str>>,
    /// The character set of text columns that are added without one; lower case, as the server names it.
    pub charset: Option<Arc<str>>,
    /// The statement that led to this version, where there was one.
    pub ddl: Option<Arc<str>>,
}

impl TableSchema {
    /// The place of the column of this name; letter case does not count, as in MySQL.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.columns
            .iter()
            .position(|c| c.name.eq_ignore_ascii_case(name) || c.name.to_lowercase() == name.to_lowercase())
    }

    /// The key's columns in key order.
    pub fn key_columns(&self) -> impl Iterator<Item = &Column> {
        self.key.iter().filter_map(|&i| self.columns.get(i))
    }
}

/// Where an added column stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ColumnPlace {
    /// Behind all others.
    Last,
    /// Before all others.
    First,
    /// Behind the column of this name.
    After(Arc<str>),
}

/// One change of one table, as the stream saw it; a statement with several clauses gives several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SchemaChange {
    /// The table came to be, or was seen for the first time.
    CreateTable,
    /// Columns came, in this order.
    AddColumns(Vec<(Column, ColumnPlace)>),
    /// A column's declaration changed; its name did not.
    AlterColumn {
        /// Before the change.
        old: Column,
        /// After it.
        new: Column,
    },
    /// A column got another name.
    RenameColumn {
        /// Name before.
        old: Arc<str>,
        /// Name after.
        new: Arc<str>,
    },
    /// Columns went.
    DropColumns(Vec<Arc<str>>),
    /// The primary key, or the unique key standing in for it, is of other columns.
    AlterKey,
    /// Unique keys changed that are not the key. Nothing but the schema knows of it.
    AlterUniqueKeys,
    /// Defaults of columns changed, and nothing else about them. Nothing but the schema knows of it.
    AlterDefaults,
    /// The table's comment changed; the new one is in the new schema.
    AlterComment,
    /// The character set of text columns to come changed; the new one is in the new schema. No column changed by it.
    AlterCharset,
    /// The table got another name and is captured under it from here on.
    RenameTable {
        /// Name after.
        new: TableId,
    },
    /// All rows went.
    TruncateTable,
    /// The table went.
    DropTable,
}
