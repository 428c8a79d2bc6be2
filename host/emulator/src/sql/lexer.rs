//! Words of a statement.

/// A word and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    /// One-based line and column, as error texts name them.
    pub(crate) line: usize,
    pub(crate) column: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// A bare word: keyword or name.
    Word(String),
    /// A name in back quotes.
    Quoted(String),
    /// Text in single or double quotes, with its escapes resolved.
    Text(String),
    /// Digits, perhaps with point and exponent, without sign.
    Number(String),
    /// Punctuation: one character, or `<>`, `!=`, `<=`, `>=`.
    Sign(&'static str),
    End,
}

/// Signs, longer ones first. `>>` is no sign, so that nested type arguments can close.
const SIGNS: &[&str] =
    &["<>", "!=", "<=", ">=", "==", "(", ")", ",", ";", ".", "*", "=", "<", ">", ":", "-", "+", "/", "%"];

/// Splits a statement; the error is a whole `ODPS-` text.
pub(crate) fn tokenize(text: &str) -> Result<Vec<Token>, String> {
    let mut lexer = Lexer { rest: text, line: 1, column: 1 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blanks();
        let (line, column) = (lexer.line, lexer.column);
        let kind = lexer.next_kind().map_err(|found| parse_error(line, column, &found))?;
        let end = kind == TokenKind::End;
        tokens.push(Token { kind, line, column });
        if end {
            return Ok(tokens);
        }
    }
}

/// The service's form of a syntax error.
pub(crate) fn parse_error(line: usize, column: usize, found: &str) -> String {
    format!("ODPS-0130161:[{line},{column}] Parse exception - invalid token '{found}'")
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    column: usize,
}

impl Lexer<'_> {
    fn advance(&mut self, bytes: usize) {
        let (eaten, rest) = self.rest.split_at(bytes);
        for character in eaten.chars() {
            if character == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        self.rest = rest;
    }

    fn skip_blanks(&mut self) {
        loop {
            let blanks = self.rest.len() - self.rest.trim_start().len();
            self.advance(blanks);
            if self.rest.starts_with("--") {
                self.advance(self.rest.find('\n').unwrap_or(self.rest.len()));
            } else if self.rest.starts_with("/*") {
                self.advance(self.rest.find("*/").map_or(self.rest.len(), |at| at + 2));
            } else {
                return;
            }
        }
    }

    fn next_kind(&mut self) -> Result<TokenKind, String> {
        let Some(first) = self.rest.chars().next() else { return Ok(TokenKind::End) };
        match first {
            '`' => self.back_quoted(),
            '\'' | '"' => self.text(first),
            '0'..='9' => Ok(self.number()),
            c if c.is_ascii_alphabetic() || c == '_' => {
                let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                let word = self.rest[..end.unwrap_or(self.rest.len())].to_owned();
                self.advance(word.len());
                Ok(TokenKind::Word(word))
            }
            other => {
                let sign = SIGNS.iter().find(|sign| self.rest.starts_with(**sign));
                let sign = sign.ok_or_else(|| other.to_string())?;
                self.advance(sign.len());
                Ok(TokenKind::Sign(sign))
            }
        }
    }

    /// A name up to the closing quote; a doubled quote stands for itself.
    fn back_quoted(&mut self) -> Result<TokenKind, String> {
        let mut name = String::new();
        let mut characters = self.rest.char_indices().skip(1).peekable();
        while let Some((at, character)) = characters.next() {
            if character != '`' {
                name.push(character);
            } else if characters.next_if(|(_, c)| *c == '`').is_some() {
                name.push('`');
            } else {
                self.advance(at + 1);
                return Ok(TokenKind::Quoted(name));
            }
        }
        Err("`".to_owned())
    }

    /// Text up to the closing quote; a backslash escapes the next character.
    fn text(&mut self, quote: char) -> Result<TokenKind, String> {
        let mut text = String::new();
        let mut characters = self.rest.char_indices().skip(1);
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' => match characters.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, 'r')) => text.push('\r'),
                    Some((_, '0')) => text.push('\0'),
                    Some((_, other)) => text.push(other),
                    None => break,
                },
                c if c == quote => {
                    self.advance(at + quote.len_utf8());
                    return Ok(TokenKind::Text(text));
                }
                c => text.push(c),
            }
        }
        Err(quote.to_string())
    }

    fn number(&mut self) -> TokenKind {
        let bytes = self.rest.as_bytes();
        let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
        let mut end = digits(0);
        if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
            end += 1 + digits(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent = bytes.get(end + 1 + sign..).map_or(0, |_| digits(end + 1 + sign));
            if exponent > 0 {
                end += 1 + sign + exponent;
            }
        }
        let number = self.rest[..end].to_owned();
        self.advance(end);
        TokenKind::Number(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<TokenKind> {
        tokenize(text).unwrap().into_iter().map(|token| token.kind).collect()
    }

    #[test]
    fn quotes_and_escapes_are_resolved() {
        let want = vec![
            TokenKind::Quoted("a`b".into()),
            TokenKind::Text("x'y\\".into()),
            TokenKind::Text("d\"q".into()),
            TokenKind::End,
        ];
        assert_eq!(kinds(r#"`a``b` 'x\'y\\' "d\"q" -- rest"#), want);
    }

    #[test]
    fn type_arguments_close_one_by_one() {
        let signs = kinds("a<b<c>>=1.5e-3").into_iter().filter(|k| matches!(k, TokenKind::Sign(_))).count();
        assert_eq!(signs, 4);
    }

    #[test]
    fn an_unclosed_quote_names_its_place() {
        let error = tokenize("select\n 'x").unwrap_err();
        assert!(error.starts_with("ODPS-0130161:[2,2]"), "{error}");
    }
}
