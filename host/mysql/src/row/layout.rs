//! What a table's row images look like: its columns as declared, checked against what a table map says of the bytes.
//!
//! Declared types decide what a value means (signs, labels, padding, booleans: table maps often do not say), the map decides
//! how it is written, and which characters text is in: there a difference from what was declared does no harm. Where they cannot
//! both be true the schema is not the one of this place in the stream, and nothing may be decoded: wrong values would look like right ones.

use sluicebox_model::{Column, ColumnType, Physical, TableSchema};

use super::cell::{Cell, Decode, Span};
use super::charset::{Charset, charset_of_collation};
use super::decimal::DecimalShape;
use super::default::Filled;
use super::history::{HIDDEN_COLUMNS, hides_history};
use super::labels::labels;
use crate::event::wire;
use crate::event::{MapColumn, TableMap};
use crate::options::Flavour;
use crate::types::{BaseType, DeclaredType};

/// Bytes that the collation `binary` stands for.
const BINARY_COLLATION: u16 = 63;

/// `TIMESTAMP(6)` in a row.
const TIMESTAMP_BYTES: usize = 7;

/// How the rows of one table map become columns of one schema.
#[derive(Debug)]
pub(crate) struct RowLayout {
    /// Of the schema's columns, then of those that no schema shows.
    pub(super) cells: Vec<Cell>,
    /// The last columns are hidden and say from when to when a row was true.
    pub(super) is_versioned: bool,
    /// Places of the key's columns, ascending.
    pub(super) key: Vec<usize>,
    /// Of the schema's columns: what an insert leaves in them that does not name them; none where that is not known.
    pub(super) defaults: Vec<Option<Filled>>,
}

/// Why rows cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LayoutFault {
    /// The schema is not the one that the rows were written with.
    Mismatch(String),
    /// A column is declared with what the decoder does not know.
    Unsupported {
        /// The column.
        column: String,
        /// Its type, or its character set.
        declared: String,
    },
}

impl RowLayout {
    /// Joins schema and map; both must describe the same columns.
    pub(crate) fn new(schema: &TableSchema, map: &TableMap, flavour: Flavour) -> Result<Self, LayoutFault> {
        let is_versioned = flavour == Flavour::MariaDb && hides_history(schema.columns.len(), map);
        let hidden = if is_versioned { HIDDEN_COLUMNS } else { 0 };
        if schema.columns.len() + hidden != map.columns.len() {
            let reason =
                format!("{} columns are known, rows have {}", schema.columns.len(), map.columns.len());
            return Err(LayoutFault::Mismatch(reason));
        }
        if map.columns.is_empty() {
            // Its rows would take no bytes, so there would be no end of them.
            return Err(LayoutFault::Mismatch("rows have no columns".to_owned()));
        }
        check_names(schema, map)?;
        let columns = schema.columns.iter().zip(&map.columns).enumerate();
        let mut cells = columns
            .map(|(place, (column, written))| cell(column, written, map.labels.get(&place).map(|l| &**l)))
            .collect::<Result<Vec<_>, _>>()?;
        cells.extend(
            (0..hidden).map(|_| Cell { span: Span::Fixed(TIMESTAMP_BYTES), decode: Decode::Timestamp }),
        );
        let mut key = schema.key.clone();
        key.sort_unstable();
        let defaults = schema.columns.iter().map(Filled::of).collect();
        Ok(Self { cells, is_versioned, key, defaults })
    }

    /// Whether rows tell from when to when they were true.
    pub(crate) fn is_versioned(&self) -> bool {
        self.is_versioned
    }

    /// Whether it is known what an insert leaves in a column by not naming it.
    pub(crate) fn knows_default(&self, place: usize) -> bool {
        self.defaults.get(place).is_some_and(Option::is_some)
    }

    /// Places of the columns that hold JSON documents.
    pub(super) fn documents(&self) -> Vec<usize> {
        let is_document = |(_, cell): &(usize, &Cell)| matches!(cell.decode, Decode::Json);
        self.cells.iter().enumerate().filter(is_document).map(|(place, _)| place).collect()
    }

    /// Columns as they are written.
    pub(crate) fn columns(&self) -> usize {
        self.cells.len()
    }
}

fn check_names(schema: &TableSchema, map: &TableMap) -> Result<(), LayoutFault> {
    let Some(names) = &map.names else { return Ok(()) };
    for (column, name) in schema.columns.iter().zip(names) {
        if column.name.to_lowercase() != name.to_lowercase() {
            let reason = format!("column `{}` is `{name}` in its rows", column.name);
            return Err(LayoutFault::Mismatch(reason));
        }
    }
    Ok(())
}

/// How one column's values are read. `labelled`: the labels that the map has for it.
fn cell(column: &Column, written: &MapColumn, labelled: Option<&[Vec<u8>]>) -> Result<Cell, LayoutFault> {
    let unsupported = |declared: &str| LayoutFault::Unsupported {
        column: column.name.to_string(),
        declared: declared.to_owned(),
    };
    let declared =
        DeclaredType::parse(&column.source_type).ok_or_else(|| unsupported(&column.source_type))?;
    let misfit = || {
        LayoutFault::Mismatch(format!(
            "column `{}` is declared `{}`, its rows hold type {} with {}",
            column.name, column.source_type, written.kind, written.meta
        ))
    };
    if is_integer(&declared) && written.unsigned.is_some_and(|unsigned| unsigned != declared.unsigned) {
        return Err(misfit());
    }
    let Form { span, decode } = form(&declared, column.column_type, written).ok_or_else(misfit)?;
    let decode = match decode {
        Kind::Ready(decode) => decode,
        Kind::Labels(decode) => decode(labels_of(column, declared.labels, written, labelled)?),
        Kind::Text { compressed } => {
            let name = charset_name(column, written).ok_or_else(misfit)?;
            let charset = Charset::named(name).ok_or_else(|| unsupported(&format!("text in {name}")))?;
            match (charset, compressed) {
                (Charset::Utf8, false) => Decode::Bytes,
                (Charset::Utf8, true) => Decode::Inflated,
                (other, false) => Decode::Text(other),
                (other, true) => Decode::InflatedText(other),
            }
        }
    };
    Ok(Cell { span, decode })
}

fn labels_of(
    column: &Column,
    declared: Vec<String>,
    written: &MapColumn,
    labelled: Option<&[Vec<u8>]>,
) -> Result<Vec<Box<str>>, LayoutFault> {
    let labelled = labelled.map(|labels| (labels, written.collation));
    labels(declared, labelled, column.charset.as_deref())
        .map_err(|reason| LayoutFault::Mismatch(format!("column `{}` is another one: {reason}", column.name)))
}

/// The character set of a text column: what the map says, else what was declared, else the servers' usual one. None when
/// the map says that it is no text.
fn charset_name<'a>(column: &'a Column, written: &MapColumn) -> Option<&'a str> {
    match written.collation {
        Some(BINARY_COLLATION) => None,
        Some(id) => charset_of_collation(id).or(column.charset.as_deref()).or(Some("utf8mb4")),
        None => column.charset.as_deref().or(Some("utf8mb4")),
    }
}

struct Form {
    span: Span,
    decode: Kind,
}

enum Kind {
    Ready(Decode),
    /// Depends on the labels.
    Labels(fn(Vec<Box<str>>) -> Decode),
    /// Depends on the character set.
    Text {
        compressed: bool,
    },
}

fn is_integer(declared: &DeclaredType) -> bool {
    use BaseType as B;
    matches!(declared.base, B::TinyInt | B::SmallInt | B::MediumInt | B::Int | B::BigInt)
}

/// None when a column of this declaration is not written so.
fn form(declared: &DeclaredType, column_type: ColumnType, written: &MapColumn) -> Option<Form> {
    use BaseType as B;
    match declared.base {
        B::TinyInt | B::SmallInt | B::MediumInt | B::Int | B::BigInt => {
            integer(declared, column_type, written)
        }
        B::Bit | B::Float | B::Double | B::Decimal | B::Year => number(declared, column_type, written),
        B::Date | B::Time | B::DateTime | B::Timestamp => time(declared, written),
        B::Char | B::VarChar | B::Text | B::Binary | B::VarBinary | B::Blob => string(declared, written),
        B::Json | B::Enum | B::Set | B::Geometry | B::Vector | B::Inet4 | B::Inet6 | B::Uuid => {
            special(declared, written)
        }
    }
}

fn ready(span: Span, decode: Decode) -> Option<Form> {
    Some(Form { span, decode: Kind::Ready(decode) })
}

fn integer(declared: &DeclaredType, column_type: ColumnType, written: &MapColumn) -> Option<Form> {
    use BaseType as B;
    let (kind, bytes, signed, unsigned) = match declared.base {
        B::TinyInt => (wire::TINY, 1, Decode::Int8, Decode::UInt8),
        B::SmallInt => (wire::SHORT, 2, Decode::Int16, Decode::UInt16),
        B::MediumInt => (wire::INT24, 3, Decode::Int24, Decode::UInt24),
        B::Int => (wire::LONG, 4, Decode::Int32, Decode::UInt32),
        _ => (wire::LONG_LONG, 8, Decode::Int64, Decode::UInt64),
    };
    if written.kind != kind {
        return None;
    }
    let decode = match column_type {
        ColumnType::Boolean => Decode::Boolean,
        _ if declared.unsigned => unsigned,
        _ => signed,
    };
    ready(Span::Fixed(bytes), decode)
}

fn number(declared: &DeclaredType, column_type: ColumnType, written: &MapColumn) -> Option<Form> {
    let [low, high] = written.meta.to_le_bytes();
    match (declared.base, written.kind) {
        (BaseType::Float, wire::FLOAT) => ready(Span::Fixed(4), Decode::Float),
        (BaseType::Double, wire::DOUBLE) => ready(Span::Fixed(8), Decode::Double),
        (BaseType::Year, wire::YEAR) => ready(Span::Fixed(1), Decode::Year),
        (BaseType::Bit, wire::BIT) => {
            let bits = 8 * u16::from(high) + u16::from(low);
            let decode = if column_type == ColumnType::Boolean { Decode::Boolean } else { Decode::Bits };
            (bits == u16::from(declared.bits()))
                .then(|| ready(Span::Fixed(usize::from(bits.div_ceil(8))), decode))
                .flatten()
        }
        (BaseType::Decimal, wire::DECIMAL) => {
            if (low, high) != (declared.precision(), declared.scale()) {
                return None;
            }
            let shape = DecimalShape::new(low, high)?;
            let span = Span::Fixed(shape.length());
            match column_type.physical() {
                Physical::Int64 => ready(span, Decode::DecimalSmall(shape)),
                Physical::Decimal128 => ready(span, Decode::DecimalWide(shape)),
                Physical::Utf8 => ready(span, Decode::DecimalText(shape)),
                Physical::UInt64 | Physical::Float64 | Physical::Binary => None,
            }
        }
        _ => None,
    }
}

fn time(declared: &DeclaredType, written: &MapColumn) -> Option<Form> {
    let fraction = usize::from(declared.fraction()).div_ceil(2);
    let same_fraction = written.meta == u16::from(declared.fraction());
    match (declared.base, written.kind) {
        (BaseType::Date, wire::DATE) => ready(Span::Fixed(3), Decode::Date),
        (BaseType::Time, wire::TIME2) if same_fraction => ready(Span::Fixed(3 + fraction), Decode::Time),
        (BaseType::DateTime, wire::DATETIME2) if same_fraction => {
            ready(Span::Fixed(5 + fraction), Decode::DateTime)
        }
        (BaseType::Timestamp, wire::TIMESTAMP2) if same_fraction => {
            ready(Span::Fixed(4 + fraction), Decode::Timestamp)
        }
        // The forms before 5.6.4 say nothing of fractions, and how MariaDB packed them is not known here.
        (BaseType::Time, wire::TIME) if fraction == 0 => ready(Span::Fixed(3), Decode::OldTime),
        (BaseType::DateTime, wire::DATETIME) if fraction == 0 => ready(Span::Fixed(8), Decode::OldDateTime),
        (BaseType::Timestamp, wire::TIMESTAMP) if fraction == 0 => {
            ready(Span::Fixed(4), Decode::OldTimestamp)
        }
        _ => None,
    }
}

fn string(declared: &DeclaredType, written: &MapColumn) -> Option<Form> {
    use BaseType as B;
    let is_text = matches!(declared.base, B::Char | B::VarChar | B::Text);
    if !is_text && written.collation.is_some_and(|id| id != BINARY_COLLATION) {
        return None;
    }
    // Values of at most 255 bytes have a length of one byte.
    let short = Span::Prefixed(if written.meta < 256 { 1 } else { 2 });
    let (span, compressed) = match (declared.base, written.kind) {
        (B::Char | B::Binary, wire::STRING) => (short, false),
        (B::VarChar | B::VarBinary, wire::VARCHAR | wire::VAR_STRING) => (short, false),
        (B::VarChar | B::VarBinary, wire::VARCHAR_COMPRESSED) => (short, true),
        (B::Text | B::Blob, wire::BLOB) => (length_of(written)?, false),
        (B::Text | B::Blob, wire::BLOB_COMPRESSED) => (length_of(written)?, true),
        _ => return None,
    };
    let decode = match declared.base {
        _ if is_text => Kind::Text { compressed },
        B::Binary => Kind::Ready(Decode::Padded(usize::try_from(declared.padded_bytes()).ok()?)),
        _ if compressed => Kind::Ready(Decode::Inflated),
        _ => Kind::Ready(Decode::Bytes),
    };
    Some(Form { span, decode })
}

/// The length of the length of a BLOB's kind.
fn length_of(written: &MapColumn) -> Option<Span> {
    (1..=4).contains(&written.meta).then_some(Span::Prefixed(usize::from(written.meta)))
}

fn special(declared: &DeclaredType, written: &MapColumn) -> Option<Form> {
    use BaseType as B;
    let labelled = |decode: fn(Vec<Box<str>>) -> Decode| {
        Some(Form { span: Span::Fixed(usize::from(written.meta)), decode: Kind::Labels(decode) })
    };
    match (declared.base, written.kind, written.meta) {
        (B::Json, wire::JSON, _) => ready(length_of(written)?, Decode::Json),
        (B::Geometry, wire::GEOMETRY, _) => ready(length_of(written)?, Decode::Bytes),
        (B::Vector, wire::VECTOR, _) => ready(length_of(written)?, Decode::Bytes),
        // MariaDB's is a VARBINARY in all but name.
        (B::Vector, wire::VARCHAR | wire::VAR_STRING, most) => {
            ready(Span::Prefixed(if most < 256 { 1 } else { 2 }), Decode::Bytes)
        }
        (B::Enum, wire::ENUM, 1..=2) => labelled(Decode::Enum),
        (B::Set, wire::SET, 1..=8) => labelled(Decode::Set),
        (B::Inet4, wire::STRING, 4) => ready(Span::Prefixed(1), Decode::Inet4),
        (B::Inet6, wire::STRING, 16) => ready(Span::Prefixed(1), Decode::Inet6),
        (B::Uuid, wire::STRING, 16) => ready(Span::Prefixed(1), Decode::Uuid),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TypeOptions;

    fn column(source_type: &str, charset: Option<&str>) -> Column {
        let declared = DeclaredType::parse(source_type).expect(source_type);
        Column {
            name: "c".into(),
            column_type: declared.column_type(&TypeOptions::default()).expect(source_type),
            nullable: true,
            source_type: source_type.into(),
            default: Default::default(),
            charset: charset.map(Into::into),
            comment: None,
        }
    }

    fn written(kind: u8, meta: u16, unsigned: Option<bool>, collation: Option<u16>) -> MapColumn {
        MapColumn { kind, meta, nullable: true, unsigned, collation }
    }

    #[test]
    fn rows_that_a_declaration_cannot_have_are_refused() {
        for (source_type, map) in [
            ("int", written(wire::LONG_LONG, 0, None, None)),
            ("int", written(wire::LONG, 0, Some(true), None)),
            ("int unsigned", written(wire::LONG, 0, Some(false), None)),
            ("decimal(10,2)", written(wire::DECIMAL, 10 | 3 << 8, None, None)),
            ("datetime(3)", written(wire::DATETIME2, 0, None, None)),
            ("bit(9)", written(wire::BIT, 8, None, None)),
            ("text", written(wire::BLOB, 2, None, Some(63))),
            ("blob", written(wire::BLOB, 2, None, Some(45))),
            ("varchar(10)", written(wire::STRING, 40, None, None)),
            ("enum('a')", written(wire::SET, 1, None, None)),
        ] {
            let result = cell(&column(source_type, None), &map, None);
            assert!(matches!(result, Err(LayoutFault::Mismatch(_))), "{source_type}");
        }
    }

    #[test]
    fn what_a_map_says_of_text_counts_before_what_was_declared() {
        let declared = column("varchar(10)", Some("latin1"));
        for (collation, straight) in [(None, false), (Some(45), true), (Some(8), false)] {
            let cell = cell(&declared, &written(wire::VARCHAR, 40, None, collation), None).expect("a cell");
            assert_eq!(matches!(cell.decode, Decode::Bytes), straight, "{collation:?}");
        }
    }

    #[test]
    fn a_table_without_columns_has_no_rows() {
        let schema = TableSchema {
            id: sluicebox_model::TableId::new("d", "t"),
            version: 1,
            columns: Vec::new(),
            key: Vec::new(),
            comment: None,
            charset: None,
            unique_keys: Vec::new(),
            ddl: None,
        };
        let map = TableMap {
            table_id: 1,
            database: "d".to_owned(),
            table: "t".to_owned(),
            columns: Vec::new(),
            names: None,
            labels: Default::default(),
        };
        assert!(matches!(RowLayout::new(&schema, &map, Flavour::MySql), Err(LayoutFault::Mismatch(_))));
    }

    #[test]
    fn an_unknown_character_set_is_named() {
        let result = cell(&column("text", Some("ebcdic")), &written(wire::BLOB, 2, None, None), None);
        let wanted = LayoutFault::Unsupported { column: "c".into(), declared: "text in ebcdic".into() };
        assert_eq!(result.err(), Some(wanted));
    }
}
