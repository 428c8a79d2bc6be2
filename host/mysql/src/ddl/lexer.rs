//! Cuts a statement into tokens.
//!
//! Comments vanish, but those that the server executed (`/*!80000 ... */`, MariaDB's `/*M!100301 ... */`) leave their
//! inside. What a double quote and a backslash mean is decided by the statement's own `sql_mode`.

use super::statement::DdlContext;
use crate::options::Flavour;

/// A statement with more tokens than this is refused: it guards memory, and no table has a million clauses.
const MOST_TOKENS: usize = 4_000_000;

/// One token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A word without quotes: a keyword, a name, a number. As written.
    Word(String),
    /// A quoted name.
    Name(String),
    /// A string, without its quotes and escapes.
    Text(String),
    /// Anything else, one character at a time.
    Symbol(char),
}

/// Cuts the whole statement; the error is what is wrong with it.
pub(super) fn tokens(statement: &str, context: &DdlContext<'_>) -> Result<Vec<Token>, String> {
    let mut lexer = Lexer { text: statement, at: 0, context, executed: false };
    let mut found = Vec::new();
    while let Some(token) = lexer.next()? {
        if found.len() >= MOST_TOKENS {
            return Err("the statement is too long".to_owned());
        }
        found.push(token);
    }
    Ok(found)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    context: &'a DdlContext<'a>,
    /// Inside of an executed comment, whose end must be skipped.
    executed: bool,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn next(&mut self) -> Result<Option<Token>, String> {
        self.skip_blank()?;
        let Some(first) = self.rest().chars().next() else {
            return Ok(None);
        };
        Ok(Some(match first {
            '`' => Token::Name(self.quoted('`', false)?),
            '"' if self.context.ansi_quotes => Token::Name(self.quoted('"', false)?),
            '"' | '\'' => Token::Text(self.quoted(first, !self.context.no_backslash_escapes)?),
            c if is_word(c) => self.word(),
            c => {
                self.at += c.len_utf8();
                Token::Symbol(c)
            }
        }))
    }

    fn word(&mut self) -> Token {
        let rest = self.rest();
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let word = rest[..end].to_owned();
        self.at += end;
        Token::Word(word)
    }

    /// Reads from the opening quote to behind the closing one; a doubled quote stands for itself.
    fn quoted(&mut self, quote: char, escapes: bool) -> Result<String, String> {
        let mut value = String::new();
        let rest = self.rest();
        let mut chars = rest.char_indices().skip(1).peekable();
        while let Some((at, c)) = chars.next() {
            if c == quote {
                if chars.peek().is_some_and(|(_, next)| *next == quote) {
                    chars.next();
                    value.push(quote);
                    continue;
                }
                self.at += at + quote.len_utf8();
                return Ok(value);
            }
            if c == '\\' && escapes {
                let Some((_, escaped)) = chars.next() else { break };
                push_escaped(&mut value, escaped);
            } else {
                value.push(c);
            }
        }
        Err("a quote is not closed".to_owned())
    }

    /// Skips blanks and comments.
    fn skip_blank(&mut self) -> Result<(), String> {
        loop {
            let rest = self.rest();
            let trimmed =
                rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}' || c == '\0');
            self.at += rest.len() - trimmed.len();
            let rest = self.rest();
            if rest.starts_with('#') || is_dash_comment(rest) {
                self.at += rest.find('\n').map_or(rest.len(), |end| end + 1);
            } else if rest.starts_with("/*") {
                self.open_comment()?;
            } else if self.executed && rest.starts_with("*/") {
                self.executed = false;
                self.at += 2;
            } else {
                return Ok(());
            }
        }
    }

    fn open_comment(&mut self) -> Result<(), String> {
        let rest = self.rest();
        let mariadb = self.context.flavour == Flavour::MariaDb;
        let marker = match rest.as_bytes().get(2..) {
            Some([b'!', ..]) => 3,
            Some([b'M', b'!', ..]) if mariadb => 4,
            _ => return self.skip_comment(),
        };
        let (digits, version) = version_of(&rest[marker..]);
        if !self.is_executed(version, marker == 3) {
            return self.skip_comment();
        }
        self.executed = true;
        self.at += marker + digits;
        Ok(())
    }

    fn is_executed(&self, version: u32, shared_form: bool) -> bool {
        let (major, minor, patch) = self.context.version;
        let ours = u32::from(major) * 10_000 + u32::from(minor) * 100 + u32::from(patch);
        // MariaDB leaves out what only MySQL 5.7 and later understand.
        let foreign =
            self.context.flavour == Flavour::MariaDb && shared_form && (50_700..=99_999).contains(&version);
        version <= ours && !foreign
    }

    /// Skips a comment and, as the servers do, comments inside of it.
    fn skip_comment(&mut self) -> Result<(), String> {
        let mut depth = 0_u32;
        let nests = self.rest().starts_with("/*!") || self.rest().starts_with("/*M!");
        loop {
            let rest = self.rest();
            if rest.starts_with("/*") && (depth == 0 || nests) {
                depth += 1;
                self.at += 2;
            } else if rest.starts_with("*/") {
                depth -= 1;
                self.at += 2;
                if depth == 0 {
                    return Ok(());
                }
            } else {
                match rest.chars().next() {
                    Some(c) => self.at += c.len_utf8(),
                    None => return Err("a comment is not closed".to_owned()),
                }
            }
        }
    }
}

/// Five or six digits behind the mark of an executed comment are a version.
fn version_of(text: &str) -> (usize, u32) {
    let digits = text.bytes().take(6).take_while(u8::is_ascii_digit).count();
    if digits < 5 {
        return (0, 0);
    }
    (digits, text[..digits].parse().unwrap_or(0))
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()
}

fn is_dash_comment(rest: &str) -> bool {
    rest.strip_prefix("--").is_some_and(|behind| {
        behind.chars().next().is_none_or(|c| c.is_ascii_whitespace() || c.is_ascii_control())
    })
}

fn push_escaped(value: &mut String, escaped: char) {
    match escaped {
        '0' => value.push('\0'),
        'n' => value.push('\n'),
        'r' => value.push('\r'),
        't' => value.push('\t'),
        'b' => value.push('\u{8}'),
        'Z' => value.push('\u{1a}'),
        // These two keep their backslash: they matter to LIKE alone.
        '%' | '_' => value.extend(['\\', escaped]),
        other => value.push(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MYSQL: DdlContext<'static> = DdlContext {
        database: "d",
        ansi_quotes: false,
        no_backslash_escapes: false,
        flavour: Flavour::MySql,
        version: (8, 0, 36),
    };

    fn cut(text: &str, context: &DdlContext<'_>) -> String {
        let show = |token: &Token| match token {
            Token::Word(word) => word.clone(),
            Token::Name(name) => format!("<{name}>"),
            Token::Text(text) => format!("'{text}'"),
            Token::Symbol(symbol) => symbol.to_string(),
        };
        match tokens(text, context) {
            Ok(found) => found.iter().map(show).collect::<Vec<_>>().join(" "),
            Err(reason) => format!("error: {reason}"),
        }
    }

    #[test]
    fn comments_vanish_and_executed_ones_leave_their_inside() {
        let mariadb = DdlContext { flavour: Flavour::MariaDb, version: (10, 11, 18), ..MYSQL };
        for (text, mysql, maria) in [
            ("a/* b */c -- d\n e # f\ng", "a c e g", "a c e g"),
            ("a --b", "a - - b", "a - - b"),
            ("a /*! b */ c", "a b c", "a b c"),
            ("a /*!80000 b */ c", "a b c", "a c"),
            ("a /*!99999 b */ c", "a c", "a c"),
            ("a /*!50600 b */ c", "a b c", "a b c"),
            ("a /*M! b */ c", "a c", "a b c"),
            ("a /*M!100301 COMPRESSED*/ c", "a c", "a COMPRESSED c"),
            ("a /*M!110000 b*/ c", "a c", "a c"),
            ("a /*!99999 b /* in */ d */ c", "a c", "a c"),
            ("a /*!50600 b /* in */ d */ c", "a b d c", "a b d c"),
            ("x /* open", "error: a comment is not closed", "error: a comment is not closed"),
        ] {
            assert_eq!(cut(text, &MYSQL), mysql, "{text} on MySQL");
            assert_eq!(cut(text, &mariadb), maria, "{text} on MariaDB");
        }
    }

    #[test]
    fn the_sql_mode_decides_about_quotes_and_backslashes() {
        let ansi = DdlContext { ansi_quotes: true, ..MYSQL };
        let plain = DdlContext { no_backslash_escapes: true, ..MYSQL };
        assert_eq!(cut(r#""a" `b``c` 'd''e' 'f\'g\n'"#, &MYSQL), "'a' <b`c> 'd'e' 'f'g\n'");
        assert_eq!(cut(r#""a""b" 'c'"#, &ansi), "<a\"b> 'c'");
        assert_eq!(cut(r"'a\' b", &plain), r"'a\' b");
        assert_eq!(cut(r"'a\' b", &MYSQL), "error: a quote is not closed");
        assert_eq!(cut("`db` . t1,größe(1.5)", &MYSQL), "<db> . t1 , größe ( 1 . 5 )");
    }
}
