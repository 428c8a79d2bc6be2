//! Walks over a statement's tokens.

use std::sync::Arc;

use sluicebox_model::TableId;

use super::lexer::Token;
use super::statement::{CharsetClause, DdlContext, DdlError};
use super::{charset, lexer};

pub(super) struct Cursor<'a> {
    tokens: Vec<Token>,
    at: usize,
    pub(super) context: &'a DdlContext<'a>,
    /// Every table name read so far, for the error.
    pub(super) tables: Vec<TableId>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(statement: &str, context: &'a DdlContext<'a>) -> Result<Self, String> {
        Ok(Self { tokens: lexer::tokens(statement, context)?, at: 0, context, tables: Vec::new() })
    }

    pub(super) fn fail<T>(&self, reason: impl Into<String>) -> Result<T, DdlError> {
        Err(DdlError { reason: reason.into(), tables: self.tables.clone() })
    }

    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    pub(super) fn advance(&mut self) {
        self.at += 1;
    }

    /// The place, to come back to with [`Cursor::go_to`].
    pub(super) fn place(&self) -> usize {
        self.at
    }

    pub(super) fn go_to(&mut self, place: usize) {
        self.at = place;
    }

    /// What was passed since that place.
    pub(super) fn since(&self, place: usize) -> &[Token] {
        self.tokens.get(place..self.at.min(self.tokens.len())).unwrap_or_default()
    }

    /// At the statement's end.
    pub(super) fn is_done(&self) -> bool {
        self.peek().is_none() || self.peek() == Some(&Token::Symbol(';'))
    }

    pub(super) fn is_symbol(&self, symbol: char) -> bool {
        self.peek() == Some(&Token::Symbol(symbol))
    }

    pub(super) fn take_symbol(&mut self, symbol: char) -> bool {
        let found = self.is_symbol(symbol);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect_symbol(&mut self, symbol: char) -> Result<(), DdlError> {
        if self.take_symbol(symbol) {
            Ok(())
        } else {
            self.fail(format!("expected `{symbol}`{}", self.here()))
        }
    }

    /// Whether the coming tokens are these keywords; a quoted name is never a keyword.
    pub(super) fn is(&self, words: &str) -> bool {
        words.split(' ').enumerate().all(|(n, word)| {
            matches!(self.tokens.get(self.at + n), Some(Token::Word(found)) if found.eq_ignore_ascii_case(word))
        })
    }

    /// Whether the coming token is one of these keywords.
    pub(super) fn is_any(&self, words: &str) -> bool {
        words.split(' ').any(|word| self.is(word))
    }

    pub(super) fn take(&mut self, words: &str) -> bool {
        let found = self.is(words);
        if found {
            self.at += words.split(' ').count();
        }
        found
    }

    pub(super) fn take_any(&mut self, words: &str) -> bool {
        let found = self.is_any(words);
        self.at += usize::from(found);
        found
    }

    /// For messages: what stands here. Only keywords and names are shown, for strings may hold secrets.
    fn here(&self) -> String {
        match self.peek() {
            Some(Token::Word(word) | Token::Name(word)) => {
                format!(" before `{}`", word.chars().take(40).collect::<String>())
            }
            Some(Token::Text(_)) => " before a string".to_owned(),
            Some(Token::Symbol(symbol)) => format!(" before `{symbol}`"),
            None => " at the end".to_owned(),
        }
    }

    /// A name, quoted or not.
    pub(super) fn name(&mut self) -> Result<Arc<str>, DdlError> {
        let name: Arc<str> = match self.peek() {
            Some(Token::Word(name) | Token::Name(name)) => name.as_str().into(),
            _ => return self.fail(format!("expected a name{}", self.here())),
        };
        self.advance();
        Ok(name)
    }

    /// `table`, `database.table`, `.table`.
    pub(super) fn table(&mut self) -> Result<TableId, DdlError> {
        let leading_dot = self.take_symbol('.');
        let first = self.name()?;
        let id = if !leading_dot && self.take_symbol('.') {
            TableId::new(first, self.name()?)
        } else {
            TableId::new(self.context.database, first)
        };
        self.tables.push(id.clone());
        Ok(id)
    }

    /// A column's name, which may be written as `table.column` and `database.table.column`.
    pub(super) fn column(&mut self) -> Result<Arc<str>, DdlError> {
        self.take_symbol('.');
        let mut name = self.name()?;
        while self.take_symbol('.') {
            name = self.name()?;
        }
        Ok(name)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let Some(Token::Word(word)) = self.peek() else { return None };
        let number = word.parse().ok()?;
        self.advance();
        Some(number)
    }

    /// A string; several in a row are one.
    pub(super) fn text(&mut self) -> Result<String, DdlError> {
        let mut whole = match self.peek() {
            Some(Token::Text(text)) => text.clone(),
            _ => return self.fail(format!("expected a string{}", self.here())),
        };
        self.advance();
        while let Some(Token::Text(more)) = self.peek() {
            whole.push_str(more);
            self.advance();
        }
        Ok(whole)
    }

    /// A comment as the servers keep it: in three-byte characters, with `?` for the others.
    pub(super) fn comment(&mut self) -> Result<String, DdlError> {
        let text = self.text()?;
        Ok(text.chars().map(|c| if u32::from(c) > 0xffff { '?' } else { c }).collect())
    }

    /// Skips one token, or a whole group in parentheses.
    pub(super) fn skip(&mut self) -> Result<(), DdlError> {
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                Some(Token::Symbol('(')) => depth += 1,
                Some(Token::Symbol(')')) if depth == 0 => return self.fail("a parenthesis too many"),
                Some(Token::Symbol(')')) => depth -= 1,
                Some(_) => {}
                None if depth == 0 => return Ok(()),
                None => return self.fail("a parenthesis is not closed"),
            }
            self.advance();
            if depth == 0 {
                return Ok(());
            }
        }
    }

    /// Skips to the comma or the parenthesis that ends the clause, or to the end.
    pub(super) fn skip_clause(&mut self) -> Result<(), DdlError> {
        while !self.is_done() && !self.is_symbol(',') && !self.is_symbol(')') {
            self.skip()?;
        }
        Ok(())
    }

    /// Skips the rest of the statement.
    pub(super) fn skip_all(&mut self) {
        self.at = self.tokens.len();
    }

    /// `CHARACTER SET x`, `CHARSET = x`, `COLLATE x`; none when something else stands here. A `DEFAULT` before it must
    /// have been taken.
    pub(super) fn charset(&mut self) -> Result<Option<CharsetClause>, DdlError> {
        let is_collation = self.is("collate");
        if !(self.take("character set") || self.take("char set") || self.take_any("charset collate")) {
            return Ok(None);
        }
        self.take_symbol('=');
        if self.take("default") {
            return Ok(Some(if is_collation { CharsetClause::Unsaid } else { CharsetClause::Default }));
        }
        let name = match self.peek() {
            Some(Token::Text(_)) => self.text()?,
            _ => self.name()?.to_string(),
        };
        let named = if is_collation { charset::of_collation(&name) } else { Some(charset::canonical(&name)) };
        Ok(Some(named.map_or(CharsetClause::Unsaid, CharsetClause::Named)))
    }
}
