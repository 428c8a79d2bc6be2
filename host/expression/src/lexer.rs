//! From text to tokens.
//!
//! Strings stand in single quotes, a quote inside is doubled; names may stand in backticks, a backtick inside is doubled, and
//! then are never keywords. Comments are `-- …` to the line's end and `/* … */`.

use std::ops::Range;

use crate::error::ExpressionError;

/// One token.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    /// A word as written; a name, a function, a keyword.
    Word(String),
    /// A name in backticks.
    Quoted(String),
    /// A text in single quotes.
    Text(String),
    /// Digits, with at most one point and an exponent.
    Number(String),
    /// An operator or a bracket.
    Sign(&'static str),
    /// Behind the last token.
    End,
}

impl Token {
    /// How it is called in messages.
    pub fn shown(&self) -> String {
        match self {
            Self::Word(word) | Self::Number(word) => format!("`{word}`"),
            Self::Quoted(name) => format!("the name `{name}`"),
            Self::Text(_) => "a text".to_owned(),
            Self::Sign(sign) => format!("`{sign}`"),
            Self::End => "the end".to_owned(),
        }
    }
}

/// A token and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Lexeme {
    pub token: Token,
    pub span: Range<usize>,
}

/// Longer signs first, so that `<=` is not `<` and `=`.
const SIGNS: [&str; 22] = [
    "<>", "!=", ">=", "<=", "||", "==", "(", ")", "[", "]", ",", "+", "-", "*", "/", "%", "=", "<", ">", ".",
    "{", "}",
];

/// Reads all tokens; the last is [`Token::End`].
pub(crate) fn lex(text: &str) -> Result<Vec<Lexeme>, ExpressionError> {
    let mut tokens = Vec::new();
    let mut at = skip_blank(text, 0)?;
    while at < text.len() {
        let (token, end) = token(text, at)?;
        tokens.push(Lexeme { token, span: at..end });
        at = skip_blank(text, end)?;
    }
    tokens.push(Lexeme { token: Token::End, span: text.len()..text.len() });
    Ok(tokens)
}

/// Where the next token begins.
fn skip_blank(text: &str, mut at: usize) -> Result<usize, ExpressionError> {
    loop {
        let rest = &text[at..];
        let blank = rest.len() - rest.trim_start().len();
        at += blank;
        let rest = &text[at..];
        if rest.starts_with("--") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("/*") {
            let end = rest.find("*/");
            at += end.ok_or_else(|| ExpressionError::new("a comment has no end").at(text, at))? + 2;
        } else if blank == 0 {
            return Ok(at);
        }
    }
}

fn token(text: &str, at: usize) -> Result<(Token, usize), ExpressionError> {
    let rest = &text[at..];
    let first = rest.chars().next().unwrap_or(' ');
    let digit_behind = rest[first.len_utf8()..].starts_with(|c: char| c.is_ascii_digit());
    match first {
        '\'' => quoted(text, at, '\'').map(|(value, end)| (Token::Text(value), end)),
        '`' => quoted(text, at, '`').map(|(value, end)| (Token::Quoted(value), end)),
        '"' => Err(ExpressionError::new("texts stand in single quotes, names in backticks").at(text, at)),
        c if c.is_ascii_digit() || (c == '.' && digit_behind) => number(text, at),
        c if c.is_alphabetic() || c == '_' || c == '$' => {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '$').unwrap_or(rest.len());
            Ok((Token::Word(rest[..end].to_owned()), at + end))
        }
        // So a projection that begins with it needs no quotes in YAML.
        '\\' if rest.starts_with("\\*") => Ok((Token::Sign("*"), at + 2)),
        c => match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            Some(sign) => Ok((Token::Sign(sign), at + sign.len())),
            None => Err(ExpressionError::new(format!("`{c}` has no meaning here")).at(text, at)),
        },
    }
}

fn quoted(text: &str, at: usize, quote: char) -> Result<(String, usize), ExpressionError> {
    let mut value = String::new();
    let mut chars = text[at + 1..].char_indices().peekable();
    while let Some((offset, c)) = chars.next() {
        if c != quote {
            value.push(c);
        } else if chars.next_if(|(_, next)| *next == quote).is_some() {
            value.push(quote);
        } else {
            return Ok((value, at + 1 + offset + 1));
        }
    }
    let what = if quote == '\'' { "a text" } else { "a name" };
    Err(ExpressionError::new(format!("{what} has no closing {quote}")).at(text, at))
}

fn number(text: &str, at: usize) -> Result<(Token, usize), ExpressionError> {
    let rest = &text.as_bytes()[at..];
    let digits = |from: usize| rest[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let mut end = digits(0);
    if rest.get(end) == Some(&b'.') {
        end += 1 + digits(end + 1);
    }
    if matches!(rest.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(rest.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits(end + 1 + sign);
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    if text[at + end..].starts_with(|c: char| c.is_alphanumeric() || c == '_') {
        return Err(ExpressionError::new("a name that begins with a digit stands in backticks").at(text, at));
    }
    Ok((Token::Number(text[at..at + end].to_owned()), at + end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<Token> {
        lex(text).expect("tokens").into_iter().map(|l| l.token).collect()
    }

    #[test]
    fn texts_names_numbers_and_signs_are_told_apart() {
        let word = |w: &str| Token::Word(w.into());
        assert_eq!(
            tokens("a<=`b-``c` || 'it''s' -- end\n/* x */ + 1.5e-3"),
            [
                word("a"),
                Token::Sign("<="),
                Token::Quoted("b-`c".into()),
                Token::Sign("||"),
                Token::Text("it's".into()),
                Token::Sign("+"),
                Token::Number("1.5e-3".into()),
                Token::End
            ]
        );
        assert_eq!(tokens(".5"), [Token::Number(".5".into()), Token::End]);
        assert_eq!(tokens("__table_name__"), [word("__table_name__"), Token::End]);
        assert_eq!(tokens("größe"), [word("größe"), Token::End]);
    }

    #[test]
    fn what_does_not_end_is_told_at_its_beginning() {
        for (text, at) in [("a = 'b", 4), ("`x", 0), ("1 /* 2", 2), ("a ? b", 2), ("12ab", 0), ("\"x\"", 0)] {
            let error = lex(text).expect_err(text);
            assert_eq!(error.place.as_ref().map(|p| p.0), Some(at), "{text}: {error}");
        }
    }
}
