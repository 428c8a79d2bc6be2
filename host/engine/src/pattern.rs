//! Table patterns: which tables an entry of the pipeline file means.
//!
//! The grammar is Flink CDC's (`tables`, `tables.exclude`, `source-table` of a transform), in this order:
//!
//! 1. Commas separate patterns, dots separate the parts of one. A backslash takes the next character out of that
//!    split, and `\,` and `\.` then become a bare `,` and `.`: so `\.` means "any character" and a plain dot
//!    separates database from table.
//! 2. One part is a table alone and never matches a table of a database; two are database and table; three are
//!    namespace, database and table. MySQL has no namespace, so the first of three is read and not compared.
//! 3. Each part is once more a comma list, of Java regular expressions that must match the whole name, in any letter
//!    case. A quantifier such as `{1,3}` can therefore not be written.
//!
//! Regular expressions run on the `regex` crate, which is linear in the text and knows neither look-around nor
//! back-references. [`java_regex`] refuses those by name, and everything else that would silently mean another thing.

use std::fmt;

use regex::{Regex, RegexBuilder};
use sluicebox_model::TableId;

/// A text is not a table pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// Nothing is left after splitting and trimming.
    #[error("the pattern is empty")]
    Empty,
    /// A pattern has more parts than namespace, database and table.
    #[error(
        "`{piece}` has {parts} parts; at most namespace, database and table are possible (`\\.` is a dot of the \
             regular expression, `.` separates parts)"
    )]
    TooManyParts {
        /// The pattern in question.
        piece: String,
        /// How many parts it has.
        parts: usize,
    },
    /// Java could match this; we cannot.
    #[error("`{expression}` uses {feature}, which is not supported: {advice}")]
    Unsupported {
        /// The regular expression.
        expression: String,
        /// What it uses.
        feature: &'static str,
        /// What to write instead.
        advice: &'static str,
    },
    /// Not a regular expression at all.
    #[error("`{expression}` is not a regular expression: {reason}")]
    Syntax {
        /// The regular expression.
        expression: String,
        /// What the parser said, on one line.
        reason: String,
    },
}

/// A list of table patterns; a table matches when one of them does.
#[derive(Clone)]
pub struct TablePatterns {
    written: String,
    selectors: Vec<Selector>,
    remarks: Vec<String>,
}

/// One pattern of the list. Without a database it matches nothing.
#[derive(Clone)]
struct Selector {
    database: Option<Vec<Regex>>,
    table: Vec<Regex>,
}

impl TablePatterns {
    /// Reads a comma list of patterns.
    ///
    /// # Errors
    /// [`PatternError`] when the list is empty, a pattern has too many parts, or a part is no regular expression.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let mut selectors = Vec::new();
        let mut remarks = Vec::new();
        for piece in split(text, ',') {
            selectors.push(Selector::parse(&piece)?);
            remarks.extend(remark(&piece, selectors.last().is_some_and(|s| s.database.is_none())));
        }
        if selectors.is_empty() {
            return Err(PatternError::Empty);
        }
        Ok(Self { written: text.to_owned(), selectors, remarks })
    }

    /// Whether the table is meant.
    pub fn matches(&self, table: &TableId) -> bool {
        self.selectors.iter().any(|s| s.matches(table))
    }

    /// Of `these`, what a pattern means that means none of `others`.
    pub fn meant_alone<'t>(&self, these: &'t [TableId], others: &[TableId]) -> Option<&'t TableId> {
        let alone = self.selectors.iter().filter(|s| !others.iter().any(|other| s.matches(other)));
        alone.into_iter().find_map(|s| these.iter().find(|one| s.matches(one)))
    }

    /// What is valid and hardly meant, one sentence for each finding.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }
}

impl fmt::Display for TablePatterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl fmt::Debug for TablePatterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TablePatterns({:?})", self.written)
    }
}

/// Two lists are equal when they are written alike.
impl PartialEq for TablePatterns {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Selector {
    fn parse(piece: &str) -> Result<Self, PatternError> {
        let parts = split(piece, '.');
        match parts.as_slice() {
            [] => Err(PatternError::Empty),
            [table] => Ok(Self { database: None, table: expressions(table)? }),
            [database, table] | [_, database, table] => {
                Ok(Self { database: Some(expressions(database)?), table: expressions(table)? })
            }
            _ => Err(PatternError::TooManyParts { piece: piece.to_owned(), parts: parts.len() }),
        }
    }

    fn matches(&self, table: &TableId) -> bool {
        let any = |list: &[Regex], name: &str| list.iter().any(|r| r.is_match(name));
        self.database.as_ref().is_some_and(|d| any(d, &table.database)) && any(&self.table, &table.table)
    }
}

/// Step 3 of the grammar: a part is a comma list of whole-name expressions.
fn expressions(part: &str) -> Result<Vec<Regex>, PatternError> {
    let list: Vec<_> =
        split(part, ',').iter().map(|e| java_regex(e, LetterCase::Ignored)).collect::<Result<_, _>>()?;
    if list.is_empty() { Err(PatternError::Empty) } else { Ok(list) }
}

/// Splits at a separator that no backslash precedes; an escaped separator loses its backslash, other escapes stay.
/// Pieces are trimmed, empty ones dropped.
fn split(text: &str, separator: char) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == separator {
            pieces.push(String::new());
            continue;
        }
        let Some(piece) = pieces.last_mut() else { break };
        if c != '\\' {
            piece.push(c);
            continue;
        }
        match chars.next() {
            Some(next) if next == separator => piece.push(next),
            Some(next) => piece.extend([c, next]),
            None => piece.push(c),
        }
    }
    pieces.iter().map(|p| p.trim()).filter(|p| !p.is_empty()).map(str::to_owned).collect()
}

/// Says what is valid in a pattern and hardly meant.
fn remark(piece: &str, lacks_database: bool) -> Option<String> {
    if lacks_database {
        return Some(format!(
            "`{piece}` names no database, so it matches no table; write `database.{piece}`"
        ));
    }
    let class =
        piece.split('[').skip(1).filter_map(|rest| rest.split(']').next()).find(|c| c.contains('|'))?;
    Some(format!("`[{class}]` is one character out of `{class}`; for alternatives write `({class})`"))
}

/// Whether letter case counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LetterCase {
    /// `A` is not `a`.
    Counts,
    /// `A` is `a`.
    Ignored,
}

/// Compiles a Java regular expression that must match a whole text.
///
/// `\d`, `\w` and `\s` mean ASCII, as in Java; `\Q…\E` quotes.
///
/// # Errors
/// [`PatternError::Unsupported`] for look-around, back-references, atomic groups and possessive quantifiers;
/// [`PatternError::Syntax`] for what is no expression.
pub fn java_regex(expression: &str, letter_case: LetterCase) -> Result<Regex, PatternError> {
    let translated = translate(expression).map_err(|(feature, advice)| PatternError::Unsupported {
        expression: expression.to_owned(),
        feature,
        advice,
    })?;
    let compile =
        |text: &str| RegexBuilder::new(text).case_insensitive(letter_case == LetterCase::Ignored).build();
    // Compiled bare first: an unbalanced `)` must not close the group that is put around it.
    compile(&translated).and_then(|_| compile(&format!("^(?:{translated})$"))).map_err(|e| {
        PatternError::Syntax { expression: expression.to_owned(), reason: last_line(&e.to_string()) }
    })
}

/// The `regex` crate explains over several lines, with the verdict in the last one.
fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or(text).trim().trim_start_matches("error: ").to_owned()
}

type Refusal = (&'static str, &'static str);

const LOOK_AROUND: Refusal =
    ("look-around", "select the wanted tables positively, or use `tables.exclude` for the unwanted ones");
const BACK_REFERENCE: Refusal = ("a back-reference", "spell out the alternatives");
const ATOMIC: Refusal = ("an atomic group", "write `(?:…)`");
const POSSESSIVE: Refusal = ("a possessive quantifier", "drop the second `+`");

/// Rewrites what the two dialects write differently; refuses what only Java has.
fn translate(java: &str) -> Result<String, Refusal> {
    let mut out = String::with_capacity(java.len());
    let mut rest = java;
    let mut class_depth = 0_usize;
    let mut after_quantifier = false;
    while let Some(c) = rest.chars().next() {
        let tail = &rest[c.len_utf8()..];
        let mut quantifier = false;
        rest = match c {
            '\\' => escape(tail, &mut out)?,
            '(' if class_depth == 0 => {
                refuse_group(tail)?;
                out.push(c);
                tail
            }
            '+' if class_depth == 0 && after_quantifier => return Err(POSSESSIVE),
            _ => {
                match c {
                    '[' => class_depth += 1,
                    ']' => class_depth = class_depth.saturating_sub(1),
                    '*' | '+' | '?' | '}' => quantifier = class_depth == 0,
                    _ => {}
                }
                out.push(c);
                tail
            }
        };
        after_quantifier = quantifier;
    }
    Ok(out)
}

/// Refuses groups that only Java has; `tail` is what follows the parenthesis.
fn refuse_group(tail: &str) -> Result<(), Refusal> {
    match tail.strip_prefix('?') {
        Some(kind) if ["=", "!", "<=", "<!"].iter().any(|k| kind.starts_with(k)) => Err(LOOK_AROUND),
        Some(kind) if kind.starts_with('>') => Err(ATOMIC),
        _ => Ok(()),
    }
}

/// Writes what follows a backslash; returns what is left behind it.
fn escape<'t>(tail: &'t str, out: &mut String) -> Result<&'t str, Refusal> {
    let Some(c) = tail.chars().next() else {
        out.push('\\');
        return Ok(tail);
    };
    let after = &tail[c.len_utf8()..];
    match c {
        'd' => out.push_str("[0-9]"),
        'D' => out.push_str("[^0-9]"),
        'w' => out.push_str("[0-9A-Z_a-z]"),
        'W' => out.push_str("[^0-9A-Z_a-z]"),
        's' => out.push_str(r"[ \t\n\x0B\f\r]"),
        'S' => out.push_str(r"[^ \t\n\x0B\f\r]"),
        '1'..='9' | 'k' => return Err(BACK_REFERENCE),
        'Q' => {
            let (quoted, rest) = after.split_once("\\E").unwrap_or((after, ""));
            out.push_str(&regex::escape(quoted));
            return Ok(rest);
        }
        _ => out.extend(['\\', c]),
    }
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, table: &str) -> bool {
        let (database, table) = table.split_once('.').expect("a table of the test names its database");
        TablePatterns::parse(pattern).expect("a valid pattern").matches(&TableId::new(database, table))
    }

    /// Each row: pattern, tables that it means, tables that it does not.
    #[test]
    fn the_grammar_is_that_of_flink_cdc() {
        let cases: [(&str, &[&str], &[&str]); 14] = [
            (
                "app_db.orders",
                &["app_db.orders", "APP_DB.Orders"],
                &["app_db.orders2", "xapp_db.orders", "app_db.o"],
            ),
            (r"app_db.\.*", &["app_db.orders", "app_db.x"], &["app_db2.orders"]),
            (r"app_db.order\.*", &["app_db.order", "app_db.orders_1"], &["app_db.xorder"]),
            (r"db\.*.tbl\.*", &["db.tbl", "db1.tbl2", "dbase.TBLx"], &["xdb.tbl", "db.xtbl"]),
            (r"db\..\.*", &["db1.t", "dbx.anything"], &["db.t", "db12.t"]),
            (r"\.*.\.*", &["a.b"], &[]),
            (
                r"adb.t_[0-9]+, [app|web].o_\.*",
                &["adb.t_1", "adb.t_123", "a.o_x", "|.o_x"],
                &["adb.t_", "app.o_x", "web.o_x"],
            ),
            ("mydb.(orders|items)", &["mydb.orders", "mydb.items"], &["mydb.orders|items", "mydb.item"]),
            ("a.b , , c.d,", &["a.b", "c.d"], &["a.d"]),
            ("orders", &[], &["app_db.orders", "orders.orders"]),
            ("ns.app_db.orders", &["app_db.orders"], &["ns.app_db"]),
            (r"app.t\d+", &["app.t1"], &["app.t", "app.t\u{663}"]),
            (r"a..b", &["a.b"], &[]),
            (r"app.\Qt[1]\E", &["app.t[1]"], &["app.t1"]),
        ];
        for (pattern, yes, no) in cases {
            for table in yes {
                assert!(matches(pattern, table), "`{pattern}` must match `{table}`");
            }
            for table in no {
                assert!(!matches(pattern, table), "`{pattern}` must not match `{table}`");
            }
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for empty in ["", " , ,", "."] {
            assert_eq!(TablePatterns::parse(empty), Err(PatternError::Empty), "`{empty}`");
        }
        for (pattern, part) in [
            ("a.b.c.d", "has 4 parts"),
            ("app_db.*", "`*` is not a regular expression"),
            // A comma splits a part once more, so neither a quantifier nor a group can hold one.
            (r"app.o{1\,3}", "not a regular expression"),
            (r"app.(a\,b)", "not a regular expression"),
            ("app.(o", "not a regular expression"),
            ("app.o)|(x", "not a regular expression"),
            ("app.(?!tmp)\\.*", "look-around"),
            ("app.(?<=a)b", "look-around"),
            (r"app.(a)\1", "back-reference"),
            ("app.(?>a)", "atomic"),
            ("app.a++", "possessive"),
            ("app.a{2}+", "possessive"),
        ] {
            let error = TablePatterns::parse(pattern).expect_err(pattern).to_string();
            assert!(error.contains(part), "`{pattern}`: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_plus_inside_a_class_is_a_plus() {
        assert!(matches("app.a[*+]+", "app.a*+"));
    }

    #[test]
    fn what_is_hardly_meant_is_remarked() {
        let remarks = |text| TablePatterns::parse(text).expect("valid").remarks().join("\n");
        assert!(remarks("orders").contains("names no database"));
        assert!(remarks("[app|web].o").contains("(app|web)"));
        assert_eq!(remarks("(app|web).o[0-9]"), "");
    }
}
