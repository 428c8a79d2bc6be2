//! What `DEFAULT` says of a column.
//!
//! Only plain literals are read. How a server brings a literal to a column's type is not followed here: what could become
//! another value than its text says is [`ColumnDefault::Unknown`], which only matters where a row is left without the column.

use std::sync::Arc;

use sluicebox_model::ColumnDefault;

use super::cursor::Cursor;
use super::lexer::Token;
use super::statement::DdlError;
use crate::options::Flavour;

/// A default as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultClause {
    /// What it is, before the column's type has its say.
    pub value: ColumnDefault,
    /// It stands in quotes: a number in quotes is text to some types.
    pub quoted: bool,
}

impl DefaultClause {
    pub(super) fn of(value: ColumnDefault) -> Self {
        Self { value, quoted: false }
    }

    /// What it is for a column that is declared so: numbers are places among an ENUM's labels, and texts are bytes to a BIT.
    pub(super) fn resolve(&self, declared: &str) -> ColumnDefault {
        let word = declared.split(['(', ' ']).next().unwrap_or(declared);
        let misleads = match word {
            "enum" | "set" => !self.quoted,
            "bit" | "year" => self.quoted,
            _ => false,
        };
        match &self.value {
            ColumnDefault::Value(_) if misleads => ColumnDefault::Unknown,
            other => other.clone(),
        }
    }
}

/// Reads what stands behind `DEFAULT`: a literal, an expression in parentheses, or (MariaDB) one without.
pub(super) fn clause(cursor: &mut Cursor<'_>) -> Result<DefaultClause, DdlError> {
    let start = cursor.place();
    skip(cursor)?;
    let tokens = cursor.since(start);
    let quoted = matches!(tokens, [Token::Text(_), ..]);
    Ok(DefaultClause { value: value(tokens, cursor.context.flavour), quoted })
}

fn value(tokens: &[Token], flavour: Flavour) -> ColumnDefault {
    let literal = |text: String| ColumnDefault::Value(Arc::from(text));
    let all_texts = || tokens.iter().all(|token| matches!(token, Token::Text(_)));
    match tokens {
        [Token::Word(word)] if word.eq_ignore_ascii_case("null") => ColumnDefault::None,
        [Token::Word(word)] if word.eq_ignore_ascii_case("true") => literal("1".to_owned()),
        [Token::Word(word)] if word.eq_ignore_ascii_case("false") => literal("0".to_owned()),
        [Token::Word(word), ..] if is_now(word) => ColumnDefault::Written,
        [Token::Word(word), Token::Text(bits)] if word.eq_ignore_ascii_case("b") => {
            literal(format!("b'{bits}'"))
        }
        // MySQL computes whatever stands in parentheses; MariaDB takes what is constant for a literal.
        [Token::Symbol('('), ..] if flavour == Flavour::MySql => ColumnDefault::Written,
        [Token::Text(_), ..] if all_texts() => {
            let texts = tokens.iter().map(|token| if let Token::Text(text) = token { text } else { "" });
            literal(texts.collect())
        }
        _ => number(tokens).map_or(ColumnDefault::Unknown, literal),
    }
}

fn is_now(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    matches!(word.as_str(), "current_timestamp" | "now" | "localtime" | "localtimestamp")
}

/// A number without an exponent.
fn number(tokens: &[Token]) -> Option<String> {
    let (sign, digits) = match tokens {
        [Token::Symbol('-'), digits @ ..] => ("-", digits),
        [Token::Symbol('+'), digits @ ..] => ("", digits),
        digits => ("", digits),
    };
    let is_digits = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    match digits {
        [Token::Word(whole)] if is_digits(whole) => Some(format!("{sign}{whole}")),
        [Token::Word(whole), Token::Symbol('.'), Token::Word(part)]
            if is_digits(whole) && is_digits(part) =>
        {
            Some(format!("{sign}{whole}.{part}"))
        }
        [Token::Symbol('.'), Token::Word(part)] if is_digits(part) => Some(format!("{sign}0.{part}")),
        _ => None,
    }
}

fn skip(cursor: &mut Cursor<'_>) -> Result<(), DdlError> {
    loop {
        while matches!(cursor.peek(), Some(Token::Symbol('-' | '+' | '~' | '!' | '.'))) {
            cursor.advance();
        }
        if !cursor.take("next value for") {
            // `_utf8mb4'x'`, `DATE '2024-01-01'`, `now(3)`, `(a + 1)`
            cursor.skip()?;
            while matches!(cursor.peek(), Some(Token::Text(_))) {
                cursor.advance();
            }
            skip_group(cursor)?;
        }
        let mut operator = false;
        while matches!(cursor.peek(), Some(Token::Symbol(c)) if !matches!(c, ',' | ')' | '(' | ';')) {
            cursor.advance();
            operator = true;
        }
        if !operator {
            return Ok(());
        }
    }
}

/// Skips what stands in parentheses, where something does.
pub(super) fn skip_group(cursor: &mut Cursor<'_>) -> Result<(), DdlError> {
    if cursor.is_symbol('(') { cursor.skip() } else { Ok(()) }
}

/// What the catalog says of a column's default: `COLUMN_DEFAULT` and `EXTRA`.
///
/// MySQL shows a literal's text bare, and tells an expression by its `EXTRA` (before 8.0 there was only the time of the moment);
/// MariaDB shows an expression in SQL, of which literals are the simple ones.
pub(crate) fn of_catalog(
    flavour: Flavour,
    declared: &str,
    default: Option<&str>,
    extra: &str,
) -> ColumnDefault {
    let extra = extra.to_ascii_lowercase();
    let word = declared.split(['(', ' ']).next().unwrap_or(declared).to_ascii_lowercase();
    if extra.contains("virtual") || extra.contains("stored") || extra.contains("persistent") {
        return ColumnDefault::Generated;
    }
    if extra.contains("auto_increment") || extra.contains("default_generated") {
        return ColumnDefault::Written;
    }
    let Some(text) = default else { return ColumnDefault::None };
    let is_time = matches!(word.as_str(), "timestamp" | "datetime");
    if is_time && text.to_ascii_lowercase().starts_with("current_timestamp") {
        return ColumnDefault::Written;
    }
    let text: Option<String> = match flavour {
        Flavour::MySql => Some(text.to_owned()),
        Flavour::MariaDb if text.eq_ignore_ascii_case("null") => return ColumnDefault::None,
        Flavour::MariaDb => match unquoted(text) {
            Some(inside) => Some(inside),
            None if text.starts_with("b'") => Some(text.to_owned()),
            None => {
                text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'.')).then(|| text.to_owned())
            }
        },
    };
    match text {
        // Both servers round what they show of a FLOAT.
        Some(text) if word == "float" && !text.trim_matches(['0', '.']).is_empty() => ColumnDefault::Unknown,
        Some(text) => ColumnDefault::Value(text.into()),
        None => ColumnDefault::Unknown,
    }
}

/// The inside of one string in MariaDB's spelling.
fn unquoted(text: &str) -> Option<String> {
    let inside = text.strip_prefix('\'')?.strip_suffix('\'')?;
    let mut plain = String::with_capacity(inside.len());
    let mut chars = inside.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' if chars.next() == Some('\'') => plain.push('\''),
            '\'' => return None,
            // Which escapes it would write is not known for certain.
            '\\' => return None,
            other => plain.push(other),
        }
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ColumnDefault as D;

    fn value_of(text: &str) -> D {
        D::Value(text.into())
    }

    #[test]
    fn both_catalogs_say_the_same_of_the_same_default() {
        for (declared, mysql, mariadb, means) in [
            ("int", (Some("7"), ""), (Some("7"), ""), value_of("7")),
            ("int", (None, ""), (Some("NULL"), ""), D::None),
            ("int", (None, "auto_increment"), (None, "auto_increment"), D::Written),
            ("varchar(9)", (Some("it's"), ""), (Some("'it''s'"), ""), value_of("it's")),
            ("varchar(9)", (Some("7"), ""), (Some("'7'"), ""), value_of("7")),
            ("bit(3)", (Some("b'101'"), ""), (Some("b'101'"), ""), value_of("b'101'")),
            (
                "timestamp",
                (Some("CURRENT_TIMESTAMP"), "DEFAULT_GENERATED"),
                (Some("current_timestamp()"), "on update current_timestamp()"),
                D::Written,
            ),
            ("int", (Some("(1 + 1)"), "DEFAULT_GENERATED"), (Some("(1 + 1)"), ""), D::Unknown),
            ("int", (None, "VIRTUAL GENERATED"), (None, "STORED GENERATED"), D::Generated),
            ("float", (Some("1.5"), ""), (Some("1.5"), ""), D::Unknown),
            ("float", (Some("0"), ""), (Some("0"), ""), value_of("0")),
        ] {
            let found = of_catalog(Flavour::MariaDb, declared, mariadb.0, mariadb.1);
            assert_eq!(found, means, "{declared} on MariaDB");
            let found = of_catalog(Flavour::MySql, declared, mysql.0, mysql.1);
            let computed = mysql.1 == "DEFAULT_GENERATED";
            assert_eq!(found, if computed { D::Written } else { means }, "{declared} on MySQL");
        }
        // Before MySQL 8.0 nothing tells the time of the moment from a literal but its spelling.
        assert_eq!(of_catalog(Flavour::MySql, "datetime(3)", Some("CURRENT_TIMESTAMP(3)"), ""), D::Written);
        assert_eq!(of_catalog(Flavour::MariaDb, "varchar(9)", Some("'a\\nb'"), ""), D::Unknown);
    }
}
