//! Reads column definitions: name, type, attributes.

use std::sync::Arc;

use sluicebox_model::ColumnDefault;

use super::charset;
use super::cursor::Cursor;
use super::default::{self, DefaultClause, skip_group};
use super::lexer::Token;
use super::statement::{CharsetClause, ColumnDefinition, DdlError, KeyKind, Place};
use crate::options::Flavour;

/// A type as read, before its attributes.
struct Written {
    declared: String,
    charset: CharsetClause,
    /// `SERIAL` is NOT NULL and UNIQUE by itself.
    serial: bool,
}

impl Written {
    fn plain(declared: impl Into<String>) -> Self {
        Self { declared: declared.into(), charset: CharsetClause::Unsaid, serial: false }
    }

    fn national(declared: String) -> Self {
        Self { charset: CharsetClause::Named("utf8mb3".into()), ..Self::plain(declared) }
    }
}

/// Reads `name type attributes`, with the place of `ADD`, `MODIFY` and `CHANGE` where one is given.
pub(super) fn definition(cursor: &mut Cursor<'_>) -> Result<(ColumnDefinition, Option<Place>), DdlError> {
    let name = cursor.column()?;
    let written = data_type(cursor)?;
    let mut column = ColumnDefinition {
        name,
        declared: written.declared,
        charset: written.charset,
        nullable: written.serial.then_some(false),
        key: written.serial.then_some(KeyKind::Unique),
        comment: None,
        row_end: false,
        default: written.serial.then(|| DefaultClause::of(ColumnDefault::Written)),
    };
    let mut place = None;
    while !cursor.is_done() && !cursor.is_symbol(',') && !cursor.is_symbol(')') {
        attribute(cursor, &mut column, &mut place)?;
    }
    Ok((column, place))
}

fn attribute(
    cursor: &mut Cursor<'_>,
    column: &mut ColumnDefinition,
    place: &mut Option<Place>,
) -> Result<(), DdlError> {
    if let Some(clause) = cursor.charset()? {
        set_charset(column, clause);
    } else if cursor.take("not null") {
        column.nullable = Some(false);
    } else if cursor.take("auto_increment") {
        column.nullable = Some(false);
        column.default = Some(DefaultClause::of(ColumnDefault::Written));
    } else if cursor.take("null") {
        column.nullable = column.nullable.or(Some(true));
    } else if cursor.take("serial default value") {
        column.nullable = Some(false);
        column.default = Some(DefaultClause::of(ColumnDefault::Written));
        column.key = column.key.or(Some(KeyKind::Unique));
    } else if cursor.take("primary key") || cursor.take("primary") || cursor.take("key") {
        column.key = Some(KeyKind::Primary);
    } else if cursor.take("unique") {
        cursor.take("key");
        column.key = column.key.or(Some(KeyKind::Unique));
    } else if cursor.take("comment") {
        let comment = cursor.comment()?;
        column.comment = (!comment.is_empty()).then(|| comment.into());
    } else if cursor.take("first") {
        *place = Some(Place::First);
    } else if cursor.take("after") {
        *place = Some(Place::After(cursor.column()?));
    } else if cursor.take("as row start") {
        column.nullable = Some(false);
        column.default = Some(DefaultClause::of(ColumnDefault::Unknown));
    } else if cursor.take("as row end") {
        column.nullable = Some(false);
        column.default = Some(DefaultClause::of(ColumnDefault::Unknown));
        column.row_end = true;
    } else if cursor.take("as") {
        column.default = Some(DefaultClause::of(ColumnDefault::Generated));
        skip_group(cursor)?;
    } else if cursor.take_any("column_format storage") {
        // Their DEFAULT is a word and not a value's beginning.
        cursor.name()?;
    } else if cursor.take("default") {
        column.default = Some(default::clause(cursor)?);
    } else if cursor.take("on update") {
        cursor.name()?;
        skip_group(cursor)?;
    } else if cursor.take("references") {
        skip_reference(cursor)?;
    } else if cursor.take_any("engine_attribute secondary_engine_attribute") {
        cursor.take_symbol('=');
        cursor.text()?;
    } else {
        // The words around generated columns, checks, storage, visibility, `ON UPDATE`'s kin: words, values, groups.
        cursor.skip()?;
    }
    Ok(())
}

/// A collation without a character set in its name leaves what was said before.
fn set_charset(column: &mut ColumnDefinition, clause: CharsetClause) {
    if clause != CharsetClause::Unsaid {
        column.charset = clause;
    }
}

/// Skips what follows `REFERENCES`: its `SET NULL` says nothing about the column.
fn skip_reference(cursor: &mut Cursor<'_>) -> Result<(), DdlError> {
    let known = cursor.tables.len();
    cursor.table()?;
    // The table referred to is not what the statement is about.
    cursor.tables.truncate(known);
    skip_group(cursor)?;
    loop {
        if cursor.take("match") {
            cursor.name()?;
        } else if cursor.take("on delete") || cursor.take("on update") {
            if !(cursor.take("set null") || cursor.take("set default") || cursor.take("no action")) {
                cursor.name()?;
            }
        } else {
            return Ok(());
        }
    }
}

fn data_type(cursor: &mut Cursor<'_>) -> Result<Written, DdlError> {
    let word = match cursor.peek() {
        Some(Token::Word(word)) => word.to_ascii_lowercase(),
        _ => return cursor.fail("expected a column type"),
    };
    cursor.advance();
    match word.as_str() {
        "national" => national(cursor),
        "nchar" => {
            let varying = cursor.take_any("varying varchar");
            Ok(Written::national(text_type(cursor, varying)?))
        }
        "nvarchar" => Ok(Written::national(text_type(cursor, true)?)),
        "char" | "character" => character(cursor),
        "varchar" | "varcharacter" | "varchar2" => sized_text(cursor, true),
        "long" => long(cursor),
        "tinytext" | "mediumtext" | "longtext" => with_text_attributes(cursor, word),
        "clob" => with_text_attributes(cursor, "longtext".to_owned()),
        "text" => {
            let length = length(cursor)?;
            with_text_attributes(cursor, length.map_or("text".to_owned(), |n| format!("text({n})")))
        }
        "enum" | "set" => {
            let labels = labels(cursor)?;
            with_text_attributes(cursor, format!("{word}({labels})"))
        }
        "json" if cursor.context.flavour == Flavour::MariaDb => {
            Ok(Written { charset: CharsetClause::Named("utf8mb4".into()), ..Written::plain("longtext") })
        }
        "serial" => Ok(Written { serial: true, ..Written::plain("bigint unsigned") }),
        _ => number_or_bytes(cursor, &word),
    }
}

fn number_or_bytes(cursor: &mut Cursor<'_>, word: &str) -> Result<Written, DdlError> {
    let integer = match word {
        "tinyint" | "int1" => Some("tinyint"),
        "smallint" | "int2" => Some("smallint"),
        "mediumint" | "int3" | "middleint" => Some("mediumint"),
        "int" | "integer" | "int4" => Some("int"),
        "bigint" | "int8" => Some("bigint"),
        _ => None,
    };
    if let Some(name) = integer {
        let width = length(cursor)?;
        let sign = sign(cursor);
        // Display widths are gone from newer servers; that of TINYINT(1) alone means something.
        let width = if name == "tinyint" && width == Some(1) && sign.is_empty() { "(1)" } else { "" };
        return Ok(Written::plain(format!("{name}{width}{sign}")));
    }
    let declared = match word {
        "bool" | "boolean" => "tinyint(1)".to_owned(),
        "bit" => format!("bit({})", length(cursor)?.unwrap_or(1).max(1)),
        "float" | "float4" | "float8" | "real" | "double" => approximate(cursor, word)?,
        "decimal" | "dec" | "numeric" | "fixed" | "number" => exact(cursor)?,
        "year" => {
            length(cursor)?;
            sign(cursor);
            "year".to_owned()
        }
        "date" => "date".to_owned(),
        "time" | "datetime" | "timestamp" => with_length(word, length(cursor)?.filter(|n| *n > 0)),
        "binary" => format!("binary({})", length(cursor)?.unwrap_or(1)),
        "varbinary" | "raw" => format!("varbinary({})", length(cursor)?.unwrap_or(1)),
        "blob" => blob(length(cursor)?).to_owned(),
        "geomcollection" => "geometrycollection".to_owned(),
        "vector" => with_length(word, length(cursor)?),
        _ => {
            let length = length(cursor)?;
            with_length(word, length)
        }
    };
    // A type that is not known is found out when the column is used: its table may be nobody's.
    Ok(Written::plain(declared))
}

fn with_length(word: &str, length: Option<u64>) -> String {
    length.map_or_else(|| word.to_owned(), |n| format!("{word}({n})"))
}

fn blob(length: Option<u64>) -> &'static str {
    match length {
        None => "blob",
        Some(bytes) => blob_of(bytes),
    }
}

/// The smallest kind that holds so many bytes.
pub(super) fn blob_of(bytes: u64) -> &'static str {
    match bytes {
        0..=0xff => "tinyblob",
        0x100..=0xffff => "blob",
        0x1_0000..=0xff_ffff => "mediumblob",
        _ => "longblob",
    }
}

/// `(n)`, where it is there.
fn length(cursor: &mut Cursor<'_>) -> Result<Option<u64>, DdlError> {
    if !cursor.take_symbol('(') {
        return Ok(None);
    }
    let Some(number) = cursor.number() else { return cursor.fail("expected a length") };
    // Oracle's `VARCHAR2(10 CHAR)`.
    cursor.take_any("char byte");
    cursor.expect_symbol(')')?;
    Ok(Some(number))
}

/// `(p)`, `(p,s)`, where they are there.
fn two_lengths(cursor: &mut Cursor<'_>) -> Result<(Option<u64>, Option<u64>), DdlError> {
    if !cursor.take_symbol('(') {
        return Ok((None, None));
    }
    let first = cursor.number();
    let second = if cursor.take_symbol(',') { cursor.number() } else { None };
    cursor.expect_symbol(')')?;
    Ok((first, second))
}

fn sign(cursor: &mut Cursor<'_>) -> &'static str {
    let (mut unsigned, mut zerofill) = (false, false);
    loop {
        if cursor.take("unsigned") {
            unsigned = true;
        } else if cursor.take("zerofill") {
            zerofill = true;
        } else if !cursor.take("signed") {
            break;
        }
    }
    match (unsigned, zerofill) {
        (_, true) => " unsigned zerofill",
        (true, false) => " unsigned",
        (false, false) => "",
    }
}

/// `FLOAT(p)` chooses between the two kinds by p; `(p,s)` stays written on the column.
fn approximate(cursor: &mut Cursor<'_>, word: &str) -> Result<String, DdlError> {
    let single = matches!(word, "float" | "float4");
    cursor.take("precision");
    let digits = match two_lengths(cursor)? {
        (Some(p), Some(s)) => format!("{}({p},{s})", if single { "float" } else { "double" }),
        (Some(p), None) if single && p <= 24 => "float".to_owned(),
        (None, _) if single => "float".to_owned(),
        _ => "double".to_owned(),
    };
    Ok(format!("{digits}{}", sign(cursor)))
}

fn exact(cursor: &mut Cursor<'_>) -> Result<String, DdlError> {
    let (precision, scale) = two_lengths(cursor)?;
    let precision = precision.filter(|p| *p > 0).unwrap_or(10);
    Ok(format!("decimal({precision},{}){}", scale.unwrap_or(0), sign(cursor)))
}

fn national(cursor: &mut Cursor<'_>) -> Result<Written, DdlError> {
    let varying = cursor.is_any("varchar varcharacter");
    if !cursor.take_any("varchar varcharacter char character") {
        return cursor.fail("expected a type behind NATIONAL");
    }
    let varying = cursor.take("varying") || varying;
    Ok(Written::national(text_type(cursor, varying)?))
}

fn character(cursor: &mut Cursor<'_>) -> Result<Written, DdlError> {
    let varying = cursor.take("varying");
    sized_text(cursor, varying)
}

fn text_type(cursor: &mut Cursor<'_>, varying: bool) -> Result<String, DdlError> {
    let length = length(cursor)?.unwrap_or(1);
    cursor.take("binary");
    Ok(format!("{}({length})", if varying { "varchar" } else { "char" }))
}

/// `CHAR(n)` and `VARCHAR(n)` with what may stand behind them; `CHAR(n) BYTE` is `BINARY(n)`.
fn sized_text(cursor: &mut Cursor<'_>, varying: bool) -> Result<Written, DdlError> {
    let declared = text_type(cursor, varying)?;
    with_text_attributes(cursor, declared)
}

/// `LONG`, `LONG VARCHAR`, `LONG VARBINARY`.
fn long(cursor: &mut Cursor<'_>) -> Result<Written, DdlError> {
    if cursor.take("varbinary") {
        return Ok(Written::plain("mediumblob"));
    }
    if cursor.take_any("char character") {
        cursor.take("varying");
    } else {
        cursor.take_any("varchar varcharacter");
    }
    with_text_attributes(cursor, "mediumtext".to_owned())
}

/// The old attributes of text: `BINARY` (a collation), `ASCII`, `UNICODE`, `BYTE`; and MariaDB's `COMPRESSED`.
fn with_text_attributes(cursor: &mut Cursor<'_>, declared: String) -> Result<Written, DdlError> {
    let mut written = Written::plain(declared);
    loop {
        let named = if cursor.take("ascii") {
            "latin1"
        } else if cursor.take("unicode") {
            "ucs2"
        } else if cursor.take("byte") {
            "binary"
        } else if cursor.take("binary") {
            continue;
        } else if let Some(clause) = cursor.charset()? {
            if clause != CharsetClause::Unsaid {
                written.charset = clause;
            }
            continue;
        } else {
            return Ok(written);
        };
        written.charset = CharsetClause::Named(Arc::from(named));
    }
}

/// The labels, in the form of `COLUMN_TYPE`.
fn labels(cursor: &mut Cursor<'_>) -> Result<String, DdlError> {
    cursor.expect_symbol('(')?;
    let mut all = String::new();
    loop {
        // `_utf8mb4'x'` and `N'x'`
        if matches!(cursor.peek(), Some(Token::Word(word)) if word.starts_with('_') || word.eq_ignore_ascii_case("n"))
        {
            cursor.advance();
        }
        let label = cursor.text()?;
        if !all.is_empty() {
            all.push(',');
        }
        // The server removes blanks at the end of labels.
        write_label(&mut all, label.trim_end_matches(' '));
        if !cursor.take_symbol(',') {
            cursor.expect_symbol(')')?;
            return Ok(all);
        }
    }
}

fn write_label(all: &mut String, label: &str) {
    all.push('\'');
    for c in label.chars() {
        match c {
            '\'' => all.push_str("''"),
            '\\' => all.push_str("\\\\"),
            '\n' => all.push_str("\\n"),
            '\r' => all.push_str("\\r"),
            '\0' => all.push_str("\\0"),
            other => all.push(other),
        }
    }
    all.push('\'');
}

/// What a text type is once its character set is known: bytes where that is `binary`, and a longer kind where the
/// characters do not fit. Gives the type and the character set that the column then has.
pub(super) fn resolve_text(declared: &str, charset: &str) -> (String, Option<Arc<str>>) {
    let (word, length) = match declared.split_once('(') {
        Some((word, rest)) => (word, rest.strip_suffix(')').and_then(|n| n.parse::<u64>().ok())),
        None => (declared, None),
    };
    let binary = charset == "binary";
    let keep = || (!binary).then(|| Arc::from(charset));
    let as_text = |blob: &str| if binary { blob.to_owned() } else { blob.replace("blob", "text") };
    match word {
        "char" if binary => (format!("binary({})", length.unwrap_or(1)), None),
        "varchar" => {
            let characters = length.unwrap_or(1);
            let bytes = characters.saturating_mul(charset::max_bytes(charset));
            match (bytes > 0xffff, binary) {
                (true, _) => (as_text(blob_of(bytes)), keep()),
                (false, true) => (format!("varbinary({characters})"), None),
                (false, false) => (declared.to_owned(), keep()),
            }
        }
        "text" if length.is_some() => {
            let bytes = length.unwrap_or(0).saturating_mul(charset::max_bytes(charset));
            (as_text(blob_of(bytes)), keep())
        }
        "tinytext" | "text" | "mediumtext" | "longtext" if binary => (word.replace("text", "blob"), None),
        _ => (declared.to_owned(), Some(Arc::from(charset))),
    }
}

/// Whether the type holds text, so that a character set means something.
pub(super) fn is_text(declared: &str) -> bool {
    let word = declared.split('(').next().unwrap_or(declared);
    matches!(word, "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set")
}

/// What becomes of a text column when its table is converted to another character set: kinds of `TEXT` hold as many
/// characters as before.
pub(super) fn convert_text(declared: &str, old: &str, new: &str) -> (String, Option<Arc<str>>) {
    let old_bytes: u64 = match declared {
        "tinytext" => 0xff,
        "text" => 0xffff,
        "mediumtext" => 0xff_ffff,
        "longtext" => 0xffff_ffff,
        _ => return resolve_text(declared, new),
    };
    if old == new {
        return (declared.to_owned(), Some(Arc::from(new)));
    }
    let characters = old_bytes / charset::max_bytes(old);
    resolve_text(&format!("text({characters})"), new)
}
