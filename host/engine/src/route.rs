//! Routes: under which name a table is written.
//!
//! `source-table` becomes one Java regular expression over the text `database.table` (this conversion is not that of
//! [`crate::pattern`]): pieces between commas are alternatives, `\.` is any character, a plain dot is a dot. It must
//! match the whole name, and letter case counts. `sink-table` is either a text in which a symbol stands for the source
//! table's name, or a Java replacement template (`$1`, `${name}`, `\` takes the next character as it is). What comes
//! out is split at dots into one, two or three parts.
//!
//! Routing is one step: results are not routed again, so two rules can swap two tables. A table that no rule matches
//! keeps its name. Two rules that give one table the same target give it once: rows must not be written twice there.

use std::fmt;
use std::sync::Arc;

use regex::{Captures, Regex};
use serde::{Deserialize, Serialize};
use sluicebox_model::TableId;

use crate::pattern::{LetterCase, PatternError, java_regex};

/// The name of a target as routes give it: one to three parts, none of them empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<Arc<str>>", into = "Vec<Arc<str>>")]
pub struct SinkName(Vec<Arc<str>>);

impl SinkName {
    /// Most parts that a name can have: namespace, schema, table.
    pub const MAX_PARTS: usize = 3;

    /// The parts, in order.
    pub fn parts(&self) -> &[Arc<str>] {
        &self.0
    }

    /// The last part.
    pub fn table(&self) -> &str {
        self.0.last().map_or("", |p| p)
    }

    /// The part before the table: the database of a table that keeps its name.
    pub fn database(&self) -> Option<&str> {
        self.0.len().checked_sub(2).and_then(|at| self.0.get(at)).map(|p| &**p)
    }

    /// The first of three parts.
    pub fn namespace(&self) -> Option<&str> {
        if self.0.len() == Self::MAX_PARTS { self.0.first().map(|p| &**p) } else { None }
    }

    /// Splits a text at its dots.
    fn split(text: &str) -> Result<Self, RouteError> {
        Self::try_from(text.split('.').map(Arc::from).collect::<Vec<_>>())
    }
}

impl TryFrom<Vec<Arc<str>>> for SinkName {
    type Error = RouteError;

    fn try_from(parts: Vec<Arc<str>>) -> Result<Self, RouteError> {
        let fits = (1..=Self::MAX_PARTS).contains(&parts.len()) && parts.iter().all(|p| !p.is_empty());
        if fits { Ok(Self(parts)) } else { Err(RouteError::Target { text: parts.join(".") }) }
    }
}

impl From<SinkName> for Vec<Arc<str>> {
    fn from(name: SinkName) -> Self {
        name.0
    }
}

impl From<&TableId> for SinkName {
    fn from(id: &TableId) -> Self {
        Self(vec![Arc::clone(&id.database), Arc::clone(&id.table)])
    }
}

impl fmt::Display for SinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

/// A route cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// `source-table` is not what it should be.
    #[error(transparent)]
    Source(#[from] PatternError),
    /// `sink-table` is not a replacement template.
    #[error("`{template}` is not a replacement template: {reason}")]
    Template {
        /// The template.
        template: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The result is not a name.
    #[error("`{text}` is not a target: one to three parts, none empty, separated by dots")]
    Target {
        /// What came out.
        text: String,
    },
    /// `replace-symbol` is empty.
    #[error("the symbol to replace must not be empty")]
    EmptySymbol,
}

/// A table cannot be given its target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot route `{table}` by `{rule}`: {reason}")]
pub struct NoTarget {
    /// The table.
    pub table: TableId,
    /// `source-table` of the rule.
    pub rule: String,
    /// What is wrong.
    pub reason: RouteError,
}

/// How many rules can apply to one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RouteMode {
    /// Every rule that matches gives a target.
    #[default]
    AllMatch,
    /// Only the first rule that matches, in the order of the file.
    FirstMatch,
}

/// One entry of `route`.
#[derive(Clone)]
pub struct RouteRule {
    source: String,
    expression: Regex,
    target: Template,
    /// How rows of several sources get along in one target.
    pub merge: Merge,
}

/// How rows of several sources get along in one target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Merge {
    /// A column that each row gets, with the name of its source table; part of the key where there is one
    /// (`add-source-column`).
    pub source_column: Option<Arc<str>>,
    /// Columns that partition the target, in order (`partition-keys`).
    pub partition_keys: Vec<Arc<str>>,
    /// Whether it was said that of rows with one key the last written counts (`on-key-conflict: last-wins`).
    pub last_wins: bool,
}

impl fmt::Debug for RouteRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteRule").field("source", &self.source).field("target", &self.target).finish()
    }
}

#[derive(Debug, Clone)]
enum Template {
    /// A literal text in which the symbol stands for the table's name.
    Symbol { text: String, symbol: String },
    /// A Java replacement template.
    Pieces(Vec<Piece>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Group(usize),
}

impl RouteRule {
    /// Reads one entry; `replace_symbol` decides what `sink_table` is.
    ///
    /// # Errors
    /// [`RouteError`] when the source is no pattern, or the target can never become a name.
    pub fn new(
        source_table: &str,
        sink_table: &str,
        replace_symbol: Option<&str>,
    ) -> Result<Self, RouteError> {
        let expression = source_expression(source_table)?;
        let target = match replace_symbol {
            Some("") => return Err(RouteError::EmptySymbol),
            Some(symbol) => Template::Symbol { text: sink_table.to_owned(), symbol: symbol.to_owned() },
            None => Template::Pieces(pieces(sink_table, &expression)?),
        };
        target.check()?;
        Ok(Self { source: source_table.to_owned(), expression, target, merge: Merge::default() })
    }

    /// The rule, with what it says of several sources in one target.
    #[must_use]
    pub fn merging(self, merge: Merge) -> Self {
        Self { merge, ..self }
    }

    /// `source-table` as written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The name that this rule gives a table; none when it does not match.
    ///
    /// # Errors
    /// [`NoTarget`] when what was captured makes a name with too many parts, or an empty one.
    pub fn target(&self, table: &TableId) -> Option<Result<SinkName, NoTarget>> {
        let name = table.to_string();
        let captures = self.expression.captures(&name)?;
        let text = self.target.fill(&captures, table);
        Some(SinkName::split(&text).map_err(|reason| NoTarget {
            table: table.clone(),
            rule: self.source.clone(),
            reason,
        }))
    }
}

/// All routes of a pipeline.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    /// How many rules can apply to one table.
    pub mode: RouteMode,
    /// In the order of the file.
    pub rules: Vec<RouteRule>,
}

impl Routes {
    /// Under which names a table is written, and by which rule: at least one, none twice, in the order of the rules. No rule
    /// where the table keeps its own name.
    ///
    /// # Errors
    /// [`NoTarget`] when a rule that matches cannot make a name for this table.
    pub fn targets(&self, table: &TableId) -> Result<Vec<(SinkName, Option<&RouteRule>)>, NoTarget> {
        let mut targets: Vec<(SinkName, Option<&RouteRule>)> = Vec::new();
        for rule in &self.rules {
            let Some(target) = rule.target(table) else { continue };
            let target = target?;
            if targets.iter().all(|(known, _)| *known != target) {
                targets.push((target, Some(rule)));
            }
            if self.mode == RouteMode::FirstMatch {
                break;
            }
        }
        if targets.is_empty() {
            targets.push((SinkName::from(table), None));
        }
        Ok(targets)
    }
}

fn source_expression(source_table: &str) -> Result<Regex, PatternError> {
    let pieces: Vec<_> = source_table.split(',').map(str::trim).filter(|p| !p.is_empty()).map(dots).collect();
    if pieces.is_empty() {
        return Err(PatternError::Empty);
    }
    java_regex(&pieces.join("|"), LetterCase::Counts)
}

/// `\.` becomes any character, every other dot a dot.
fn dots(piece: &str) -> String {
    piece.split("\\.").map(|literal| literal.replace('.', "\\.")).collect::<Vec<_>>().join(".")
}

impl Template {
    fn fill(&self, captures: &Captures<'_>, table: &TableId) -> String {
        match self {
            Self::Symbol { text, symbol } => text.replace(symbol.as_str(), &table.table),
            Self::Pieces(pieces) => pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Literal(text) => text.as_str(),
                    Piece::Group(group) => captures.get(*group).map_or("", |m| m.as_str()),
                })
                .collect(),
        }
    }

    /// Finds names that can never be right, whatever is captured: what is put in counts as one letter.
    fn check(&self) -> Result<(), RouteError> {
        let (shortest, may_vanish) = match self {
            Self::Symbol { text, symbol } => (text.replace(symbol.as_str(), "t"), false),
            Self::Pieces(pieces) => {
                let text =
                    |p: &Piece| if let Piece::Literal(text) = p { text.clone() } else { "t".to_owned() };
                (pieces.iter().map(text).collect(), pieces.len() == 1 && matches!(pieces[0], Piece::Group(_)))
            }
        };
        if may_vanish { Ok(()) } else { SinkName::split(&shortest).map(drop) }
    }
}

/// Reads a Java replacement template against the groups of an expression.
fn pieces(template: &str, expression: &Regex) -> Result<Vec<Piece>, RouteError> {
    let fail = |reason: String| RouteError::Template { template: template.to_owned(), reason };
    let mut out = Vec::new();
    let mut literal = String::new();
    let mut rest = template;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\\' => {
                let next =
                    rest.chars().next().ok_or_else(|| fail("nothing follows the last `\\`".to_owned()))?;
                literal.push(next);
                rest = &rest[next.len_utf8()..];
            }
            '$' => {
                let (group, tail) = group_reference(rest, expression).map_err(&fail)?;
                if !literal.is_empty() {
                    out.push(Piece::Literal(std::mem::take(&mut literal)));
                }
                out.push(Piece::Group(group));
                rest = tail;
            }
            _ => literal.push(c),
        }
    }
    if !literal.is_empty() {
        out.push(Piece::Literal(literal));
    }
    Ok(out)
}

/// Reads what follows a `$`: `{name}`, or a number whose further digits count while such a group exists.
fn group_reference<'t>(text: &'t str, expression: &Regex) -> Result<(usize, &'t str), String> {
    if let Some((name, tail)) = text.strip_prefix('{').and_then(|t| t.split_once('}')) {
        let group = expression.capture_names().position(|n| n == Some(name));
        return group.map(|g| (g, tail)).ok_or_else(|| format!("`source-table` has no group named `{name}`"));
    }
    let digit =
        |text: &str| text.chars().next().and_then(|c| c.to_digit(10)).and_then(|d| usize::try_from(d).ok());
    let groups = expression.captures_len();
    let first =
        digit(text).ok_or("a `$` is followed by a group's number; write `\\$` for the sign itself")?;
    if first >= groups {
        return Err(format!("`source-table` has no group {first}"));
    }
    let (mut group, mut tail) = (first, &text[1..]);
    while let Some(longer) = digit(tail).map(|d| group * 10 + d).filter(|g| *g < groups) {
        (group, tail) = (longer, &tail[1..]);
    }
    Ok((group, tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> TableId {
        let (database, table) = text.split_once('.').expect("a table of the test names its database");
        TableId::new(database, table)
    }

    fn routes(mode: RouteMode, rules: &[(&str, &str, Option<&str>)]) -> Routes {
        let rule = |r: &(&str, &str, Option<&str>)| RouteRule::new(r.0, r.1, r.2).expect("a valid rule");
        Routes { mode, rules: rules.iter().map(rule).collect() }
    }

    fn names(routes: &Routes, table: &str) -> Vec<String> {
        routes.targets(&id(table)).expect("a target").iter().map(|(name, _)| name.to_string()).collect()
    }

    /// Each row: source-table, sink-table, replace-symbol, table, target (none: the rule does not match).
    #[test]
    fn one_rule_gives_one_target() {
        type Row = (&'static str, &'static str, Option<&'static str>, &'static str, Option<&'static str>);
        let cases: [Row; 22] = [
            ("app_db.orders", "ods_db.ods_orders", None, "app_db.orders", Some("ods_db.ods_orders")),
            ("app_db.orders", "ods_db.ods_orders", None, "app_db.Orders", None),
            ("app_db.orders", "ods_db.ods_orders", None, "app_db.orders2", None),
            ("app_db.orders", "ods_db.ods_orders", None, "app_dbXorders.x", None),
            (r"app_db.order\.*", "ods_db.ods_orders", None, "app_db.order01", Some("ods_db.ods_orders")),
            (r"db.\.*", "a.b", None, "db.any_thing", Some("a.b")),
            ("foo.bar, foo.baz", "a.b", None, "foo.baz", Some("a.b")),
            ("foo.bar, foo.baz", "a.b", None, "foo.barfoo", None),
            (r"app_db.\.*", "ods_db.ods_<>", Some("<>"), "app_db.orders", Some("ods_db.ods_orders")),
            (r"app_db.\.*", "ods_<>.<>_$1", Some("<>"), "app_db.t", Some("ods_t.t_$1")),
            (r"db(\.*).(tbl\.*)", "no$1.$2", None, "db1.tbl2", Some("no1.tbl2")),
            (r"(inv_\d+).(table_\.*)", "$2.$1", None, "inv_22.table_bar", Some("table_bar.inv_22")),
            (r"(?<d>\.*).(?<t>\.*)", "x_${d}.${t}_y", None, "a.b", Some("x_a.b_y")),
            (r"(\.*).(\.*)", "a.$21", None, "d.t", Some("a.t1")),
            (r"(\.*).(\.*)", r"a.\$2\x", None, "d.t", Some("a.$2x")),
            (r"d.(a)?\.*", "o.t$1", None, "d.b", Some("o.t")),
            (r"\.*.\.*", "one", None, "d.t", Some("one")),
            (r"\.*.(\.*)", "ns.schema.$1", None, "d.t", Some("ns.schema.t")),
            (r"\.*.\.*", "copy_of.$0", None, "d.t", Some("copy_of.d.t")),
            (r"\.*.\.*", "$0", None, "d.t", Some("d.t")),
            ("a.b|a.bc", "x.y", None, "a.bc", Some("x.y")),
            (r"d.t_\d+", "o.t", None, "d.t_7", Some("o.t")),
        ];
        for (source, sink, symbol, table, want) in cases {
            let rule = RouteRule::new(source, sink, symbol).expect(source);
            let got = rule.target(&id(table)).map(|t| t.expect(source).to_string());
            assert_eq!(got.as_deref(), want, "`{source}` -> `{sink}` of `{table}`");
        }
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for (source, sink, symbol, part) in [
            ("", "a.b", None, "empty"),
            ("app_db.*", "a.b", None, ""),
            ("app_db.(", "a.b", None, "not a regular expression"),
            ("a.(?!b)c", "a.b", None, "look-around"),
            ("a.b", "a.b.c.d", None, "not a target"),
            ("a.b", "a..b", None, "not a target"),
            ("a.b", "", None, "not a target"),
            ("a.b", "a.$1", None, "no group 1"),
            ("(a).b", "a.${x}", None, "no group named `x`"),
            ("(a).b", "a.$", None, "group's number"),
            ("(a).b", "a.b\\", None, "nothing follows"),
            ("a.b", "a.<>", Some(""), "must not be empty"),
        ] {
            match RouteRule::new(source, sink, symbol) {
                Err(error) => assert!(error.to_string().contains(part), "`{source}` -> `{sink}`: {error}"),
                // `app_db\.*` is a valid expression: `app_db` and any number of dots. It matches no table.
                Ok(rule) => {
                    assert!(source == "app_db.*" && rule.target(&id("app_db.t")).is_none(), "{source}")
                }
            }
        }
    }

    #[test]
    fn a_captured_dot_can_make_a_name_impossible() {
        let rule = RouteRule::new(r"(d).(\.*)", "a.b.$2", None).expect("valid");
        assert!(rule.target(&id("d.x")).expect("a match").is_ok());
        let error = rule.target(&id("d.x.y")).expect("a match").expect_err("four parts");
        assert_eq!(
            error.to_string(),
            r"cannot route `d.x.y` by `(d).(\.*)`: `a.b.x.y` is not a target: one to three parts, none empty, separated by dots"
        );
    }

    #[test]
    fn the_mode_decides_how_many_rules_apply() {
        let rules = [("d.t", "a.one", None), (r"d.\.*", "a.two", None), ("d.t", "a.one", None)];
        assert_eq!(names(&routes(RouteMode::AllMatch, &rules), "d.t"), ["a.one", "a.two"]);
        assert_eq!(names(&routes(RouteMode::FirstMatch, &rules), "d.t"), ["a.one"]);
        assert_eq!(names(&routes(RouteMode::AllMatch, &rules), "d.u"), ["a.two"]);
        assert_eq!(names(&routes(RouteMode::AllMatch, &rules), "x.t"), ["x.t"]);
    }

    #[test]
    fn routing_is_one_step() {
        let rules = [("d.a", "d.b", None), ("d.b", "d.c", None), ("d.c", "d.a", None)];
        let routes = routes(RouteMode::AllMatch, &rules);
        assert_eq!(["d.a", "d.b", "d.c"].map(|t| names(&routes, t).join(",")), ["d.b", "d.c", "d.a"]);
    }

    #[test]
    fn a_name_knows_its_parts() {
        for (text, namespace, database, table) in
            [("t", None, None, "t"), ("d.t", None, Some("d"), "t"), ("n.d.t", Some("n"), Some("d"), "t")]
        {
            let name = SinkName::split(text).expect("a name");
            assert_eq!((name.namespace(), name.database(), name.table()), (namespace, database, table));
        }
    }
}
