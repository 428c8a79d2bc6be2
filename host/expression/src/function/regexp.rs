//! Patterns: `LIKE`, `SIMILAR TO`, and Java's regular expressions.
//!
//! A pattern that is written out is compiled when the expression is planned, and a mistake in it is an error there; one that
//! comes from a column is compiled when it differs from the row's before, and null comes of an invalid one. Matching takes
//! time that is linear in the text, whatever the pattern, which rules out Java's back references and looks ahead and behind.
//! `\d`, `\w` and `\s` mean ASCII, as in Java.

use std::borrow::Cow;

use regex::Regex;
use sluicebox_model::ColumnType;

use super::{Derive, Function, Signature, Want};
use crate::evaluate::Call;
use crate::prepared::Prepared;
use crate::settings::Settings;
use crate::types::{BOOLEAN, INT, TEXT, Type};
use crate::vector::{List, Values, Vector};

const T: Want = Want::Text;
const I: Want = Want::Integer;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new(&["LIKE"], "a LIKE pattern [ESCAPE character]", (2, 3), Derive::Fixed(&[T], BOOLEAN), like)
        .prepared(|args, _, settings| {
            prepare(args, 1, |pattern, escape| like_regex(pattern, escape, settings.flink))
        }),
    Function::new(
        &["SIMILAR TO"],
        "a SIMILAR TO pattern [ESCAPE character]",
        (2, 3),
        Derive::Fixed(&[T], BOOLEAN),
        similar,
    )
    .prepared(|args, _, _| prepare(args, 1, similar_regex)),
    Function::new(
        &["REGEXP_REPLACE"],
        "REGEXP_REPLACE(text, pattern, replacement)",
        (3, 3),
        Derive::Fixed(&[T], TEXT),
        regexp_replace,
    )
    .prepared(java),
    Function::new(
        &["REGEXP_EXTRACT"],
        "REGEXP_EXTRACT(text, pattern[, group])",
        (2, 3),
        Derive::Fixed(&[T, T, I], TEXT),
        |call| {
            let (mut matcher, group) = (Matcher::new(call, java_regex), call.int(2));
            call.texts(|row, out| {
                let found = matcher.at(row).and_then(|regex| regex.captures(call.text(0).at(row)));
                let group = usize::try_from(if call.args.len() > 2 { group.at(row) } else { 0 });
                Ok(put(out, found.and_then(|found| found.get(group.ok()?)).map(|m| m.as_str())))
            })
        },
    )
    .prepared(java),
    Function::new(
        &["REGEXP_EXTRACT_ALL"],
        "REGEXP_EXTRACT_ALL(text, pattern[, group])",
        (2, 3),
        Derive::By(extract_all_types),
        extract_all,
    )
    .prepared(java),
    Function::new(
        &["REGEXP_COUNT"],
        "REGEXP_COUNT(text, pattern)",
        (2, 2),
        Derive::Fixed(&[T], INT),
        |call| {
            let mut matcher = Matcher::new(call, java_regex);
            call.ints(|row| {
                let count = matcher.at(row).map(|regex| regex.find_iter(call.text(0).at(row)).count());
                Ok(count.map(|n| i64::try_from(n).unwrap_or(i64::MAX)))
            })
        },
    )
    .prepared(java),
    Function::new(
        &["REGEXP_INSTR"],
        "REGEXP_INSTR(text, pattern)",
        (2, 2),
        Derive::Fixed(&[T], INT),
        |call| {
            let mut matcher = Matcher::new(call, java_regex);
            call.ints(|row| {
                let text = call.text(0).at(row);
                let at = |regex: &Regex| {
                    regex.find(text).map_or(0, |m| super::text::length(&text[..m.start()]) + 1)
                };
                Ok(matcher.at(row).map(at))
            })
        },
    )
    .prepared(java),
    Function::new(
        &["REGEXP_SUBSTR"],
        "REGEXP_SUBSTR(text, pattern)",
        (2, 2),
        Derive::Fixed(&[T], TEXT),
        |call| {
            let mut matcher = Matcher::new(call, java_regex);
            call.texts(|row, out| {
                let text = call.text(0).at(row);
                Ok(put(out, matcher.at(row).and_then(|regex| regex.find(text)).map(|m| m.as_str())))
            })
        },
    )
    .prepared(java),
];

fn put(out: &mut String, found: Option<&str>) -> bool {
    out.push_str(found.unwrap_or_default());
    found.is_some()
}

/// From a pattern and its escape to the text of a regular expression.
type Translate = fn(&str, Option<char>) -> Result<String, String>;

/// Compiles the pattern that is written out.
fn prepare(
    args: &[Option<String>],
    place: usize,
    translate: impl Fn(&str, Option<char>) -> Result<String, String>,
) -> Result<Prepared, String> {
    let Some(Some(pattern)) = args.get(place) else { return Ok(Prepared::Nothing) };
    let escape = match args.get(place + 1) {
        Some(Some(escape)) => Some(single(escape)?),
        // An escape that comes from a column.
        Some(None) => return Ok(Prepared::Nothing),
        None => None,
    };
    Ok(Prepared::Regex(Some(compile(&translate(pattern, escape)?)?)))
}

fn java(args: &[Option<String>], _: &[Type], settings: &Settings) -> Result<Prepared, String> {
    match prepare(args.get(..2).unwrap_or(args), 1, java_regex) {
        Err(_) if settings.flink => Ok(Prepared::Regex(None)),
        other => other,
    }
}

fn single(escape: &str) -> Result<char, String> {
    let mut chars = escape.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => Ok(c),
        _ => Err("`ESCAPE` takes one character".into()),
    }
}

fn compile(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|error| {
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        format!("this is no regular expression: {reason}")
    })
}

/// Gives each row its regular expression.
struct Matcher<'a> {
    prepared: Option<Option<&'a Regex>>,
    call: &'a Call<'a>,
    translate: Translate,
    /// The last pattern and what came of it.
    last: Option<(String, Option<Regex>)>,
}

impl<'a> Matcher<'a> {
    fn new(call: &'a Call<'a>, translate: Translate) -> Self {
        let prepared = if let Prepared::Regex(regex) = call.prepared { Some(regex.as_ref()) } else { None };
        Self { prepared, call, translate, last: None }
    }

    fn at(&mut self, row: usize) -> Option<&Regex> {
        if let Some(regex) = self.prepared {
            return regex;
        }
        let pattern = self.call.text(1).at(row);
        if self.last.as_ref().is_none_or(|(last, _)| last != pattern) {
            let regex = (self.translate)(pattern, None).ok().and_then(|pattern| compile(&pattern).ok());
            self.last = Some((pattern.to_owned(), regex));
        }
        self.last.as_ref().and_then(|(_, regex)| regex.as_ref())
    }
}

fn like(call: &Call<'_>) -> Vector {
    let flink = call.settings().flink;
    let found = matching(call, move |pattern, escape| like_regex(pattern, escape, flink));
    match found.values {
        // Unknown is false there.
        Values::Boolean(array) if flink => call.known(|row| {
            let at = if found.single { 0 } else { row };
            !arrow::array::Array::is_null(&array, at) && array.value(at)
        }),
        values => Vector { values, single: found.single },
    }
}

fn similar(call: &Call<'_>) -> Vector {
    matching(call, similar_regex)
}

fn matching(call: &Call<'_>, translate: impl Fn(&str, Option<char>) -> Result<String, String>) -> Vector {
    let text = call.text(0);
    if let Prepared::Regex(Some(regex)) = call.prepared {
        return call.booleans(|row| Ok(Some(regex.is_match(text.at(row)))));
    }
    let (pattern, escape) = (call.text(1), call.text(2));
    let mut last: Option<(String, String, Regex)> = None;
    call.booleans(|row| {
        let key = (pattern.at(row), escape.at(row));
        if last.as_ref().is_none_or(|(p, e, _)| (p.as_str(), e.as_str()) != key) {
            let escape = if call.args.len() > 2 { Some(single(key.1)?) } else { None };
            last = Some((key.0.to_owned(), key.1.to_owned(), compile(&translate(key.0, escape)?)?));
        }
        Ok(last.as_ref().map(|(_, _, regex)| regex.is_match(text.at(row))))
    })
}

/// `%` is any text, `_` any character. Under `compat: flink` a pattern without an escape is searched for as a regular expression.
fn like_regex(pattern: &str, escape: Option<char>, flink: bool) -> Result<String, String> {
    if flink && escape.is_none() {
        return java_regex(pattern, None);
    }
    let mut out = String::from("^(?s)");
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            c if Some(c) == escape => {
                let next = chars.next().ok_or("the pattern ends with its escape character")?;
                push_literal(&mut out, next);
            }
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            c => push_literal(&mut out, c),
        }
    }
    out.push('$');
    Ok(out)
}

fn push_literal(out: &mut String, c: char) {
    let mut bytes = [0; 4];
    out.push_str(&regex::escape(c.encode_utf8(&mut bytes)));
}

/// `%` and `_` as in `LIKE`; `| * + ? { } ( ) [ ]` as in regular expressions.
fn similar_regex(pattern: &str, escape: Option<char>) -> Result<String, String> {
    let mut out = String::from("^(?s:");
    let mut chars = pattern.chars();
    let mut in_class = false;
    while let Some(c) = chars.next() {
        match c {
            c if Some(c) == escape => {
                let next = chars.next().ok_or("the pattern ends with its escape character")?;
                push_literal(&mut out, next);
            }
            '%' if !in_class => out.push_str(".*"),
            '_' if !in_class => out.push('.'),
            '[' | ']' => {
                in_class = c == '[';
                out.push(c);
            }
            '|' | '*' | '+' | '?' | '{' | '}' | '(' | ')' => out.push(c),
            '^' | '-' if in_class => out.push(c),
            c => push_literal(&mut out, c),
        }
    }
    out.push_str(")$");
    Ok(out)
}

/// What Java writes otherwise: classes of ASCII, and texts between `\Q` and `\E`.
fn java_regex(pattern: &str, _: Option<char>) -> Result<String, String> {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.char_indices();
    let mut depth = 0_u32;
    while let Some((at, c)) = chars.next() {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            '\\' => {
                let Some((_, next)) = chars.next() else { return Err("the pattern ends with `\\`".into()) };
                if next == 'Q' {
                    let rest = &pattern[at + 2..];
                    let end = rest.find("\\E").unwrap_or(rest.len());
                    out.push_str(&regex::escape(&rest[..end]));
                    let until = (at + 2 + end + 2).min(pattern.len());
                    return Ok(out + &java_regex(&pattern[until..], None)?);
                }
                push_class(&mut out, next, depth > 0);
                continue;
            }
            _ => {}
        }
        out.push(c);
    }
    Ok(out)
}

fn push_class(out: &mut String, letter: char, inside: bool) {
    let set = match letter.to_ascii_lowercase() {
        'd' => "0-9",
        'w' => "0-9A-Za-z_",
        's' => " \\t\\n\\x0B\\f\\r",
        'h' => " \\t\\x{A0}",
        _ => {
            out.push('\\');
            out.push(letter);
            return;
        }
    };
    match (letter.is_ascii_uppercase(), inside) {
        (true, _) => out.extend(["[^", set, "]"]),
        (false, true) => out.push_str(set),
        (false, false) => out.extend(["[", set, "]"]),
    }
}

/// Java's replacement: `$1` is a group, a backslash takes the meaning away from what follows.
fn replacement(java: &str) -> Cow<'_, str> {
    if !java.contains(['$', '\\']) {
        return Cow::Borrowed(java);
    }
    let mut out = String::with_capacity(java.len() + 4);
    let mut chars = java.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('$') => out.push_str("$$"),
                Some(next) => out.push(next),
                None => {}
            },
            '$' if chars.peek().is_some_and(char::is_ascii_digit) => {
                out.push_str("${");
                out.extend(chars.next());
                out.push('}');
            }
            '$' => out.push_str("$$"),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

fn regexp_replace(call: &Call<'_>) -> Vector {
    let (mut matcher, text, new) = (Matcher::new(call, java_regex), call.text(0), call.text(2));
    let mut last: Option<(&str, Cow<'_, str>)> = None;
    call.texts(|row, out| {
        if last.as_ref().is_none_or(|(last, _)| *last != new.at(row)) {
            last = Some((new.at(row), replacement(new.at(row))));
        }
        let (Some(regex), Some((_, new))) = (matcher.at(row), &last) else { return Ok(false) };
        out.push_str(&regex.replace_all(text.at(row), new.as_ref()));
        Ok(true)
    })
}

fn extract_all_types(args: &[Type], _: &Settings) -> Result<Signature, String> {
    let wants = [T, T, I];
    let args = args.iter().zip(wants).map(|(arg, want)| super::bring(want, arg)).collect::<Result<_, _>>()?;
    Ok(Signature { args, result: Type::List(Box::new(Type::Plain(ColumnType::Text))) })
}

fn extract_all(call: &Call<'_>) -> Vector {
    let (mut matcher, text, group, nulls) =
        (Matcher::new(call, java_regex), call.text(0), call.int(2), call.nulls());
    let mut items = arrow::array::StringBuilder::new();
    let mut offsets = vec![0];
    let mut valid = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        let group = usize::try_from(if call.args.len() > 2 { group.at(row) } else { 1 });
        let regex = match &nulls {
            Some(nulls) if nulls.is_null(row) => None,
            _ => matcher.at(row),
        };
        let known = regex.zip(group.ok()).filter(|(regex, group)| *group < regex.captures_len());
        if let Some((regex, group)) = known {
            for found in regex.captures_iter(text.at(row)) {
                items.append_option(found.get(group).map(|m| m.as_str()));
            }
        }
        valid.push(known.is_some());
        offsets.push(arrow::array::ArrayBuilder::len(&items));
    }
    let nulls = Some(arrow::buffer::NullBuffer::from(valid));
    let list = List { offsets, nulls, keys: None, items: Values::Text(items.finish()) };
    call.vector(Values::List(std::sync::Arc::new(list)))
}
