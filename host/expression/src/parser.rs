//! From tokens to an expression: precedence climbing, with the precedence of Calcite's SQL.
//!
//! From weak to strong: `OR`; `AND`; `NOT`; `IS …`; comparisons; `BETWEEN`, `IN`, `LIKE`, `SIMILAR TO`; `+ -`; `* / % ||`; a sign
//! before a value; `[ ]`. Names of functions and columns are not looked up here. Words that begin a form of their own
//! (`CASE`, `AND`, …) are reserved; other words are free as column names, also where Calcite reserves them.

mod form;

use crate::ast::{Expr, Item, Kind, Literal};
use crate::error::ExpressionError;
use crate::lexer::{Lexeme, Token, lex};

/// Forms inside each other: deeper ones come from a mistake or from malice, and would use up the thread's stack.
const DEEPEST: usize = 96;

const OR: u8 = 22;
const AND: u8 = 24;
const NOT: u8 = 26;
const IS: u8 = 28;
const COMPARE: u8 = 30;
const MATCH: u8 = 32;
const ADD: u8 = 40;
const MULTIPLY: u8 = 60;
const SIGN: u8 = 80;
const INDEX: u8 = 100;

/// Words that are never names unless they stand in backticks.
const RESERVED: [&str; 24] = [
    "AND", "OR", "NOT", "CASE", "WHEN", "THEN", "ELSE", "END", "IS", "IN", "BETWEEN", "LIKE", "SIMILAR",
    "AS", "NULL", "TRUE", "FALSE", "UNKNOWN", "CAST", "TRY_CAST", "FROM", "FOR", "ESCAPE", "SELECT",
];

pub(crate) struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Lexeme>,
    at: usize,
    depth: usize,
}

/// Reads one expression.
pub(crate) fn expression(text: &str) -> Result<Expr, ExpressionError> {
    let mut parser = Parser::new(text)?;
    let expr = parser.expr(0)?;
    match parser.peek() {
        Token::End => Ok(expr),
        _ => Err(parser.unexpected("an operator or the end")),
    }
}

/// Reads a projection: items between commas.
pub(crate) fn projection(text: &str) -> Result<Vec<Item>, ExpressionError> {
    let mut parser = Parser::new(text)?;
    let mut items = Vec::new();
    loop {
        items.push(parser.item()?);
        if parser.eat_sign(",") {
            continue;
        }
        return match parser.peek() {
            Token::End => Ok(items),
            _ => Err(parser.unexpected("`,`, `AS` and a name, or the end")),
        };
    }
}

impl<'t> Parser<'t> {
    fn new(text: &'t str) -> Result<Self, ExpressionError> {
        Ok(Self { text, tokens: lex(text)?, at: 0, depth: 0 })
    }

    fn peek(&self) -> &Token {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> &Token {
        self.tokens.get(self.at + ahead).map_or(&Token::End, |lexeme| &lexeme.token)
    }

    /// Where the next token begins.
    fn start(&self) -> usize {
        self.tokens.get(self.at).map_or(self.text.len(), |lexeme| lexeme.span.start)
    }

    /// Where the last token that was taken ends.
    fn end(&self) -> usize {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(0, |lexeme| lexeme.span.end)
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at = (self.at + 1).min(self.tokens.len());
        token
    }

    fn eat_sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Token::Sign(s) if *s == sign);
        self.at += usize::from(found);
        found
    }

    fn is_word(&self, ahead: usize, word: &str) -> bool {
        matches!(self.peek_at(ahead), Token::Word(w) if w.eq_ignore_ascii_case(word))
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = self.is_word(0, word);
        self.at += usize::from(found);
        found
    }

    fn expect_sign(&mut self, sign: &str) -> Result<(), ExpressionError> {
        if self.eat_sign(sign) { Ok(()) } else { Err(self.unexpected(&format!("`{sign}`"))) }
    }

    fn expect_word(&mut self, word: &str) -> Result<(), ExpressionError> {
        if self.eat_word(word) { Ok(()) } else { Err(self.unexpected(&format!("`{word}`"))) }
    }

    fn unexpected(&self, expected: &str) -> ExpressionError {
        self.error(format!("expected {expected}, found {}", self.peek().shown()))
    }

    /// An error at the next token.
    fn error(&self, message: impl Into<String>) -> ExpressionError {
        ExpressionError::new(message).at(self.text, self.start())
    }

    fn item(&mut self) -> Result<Item, ExpressionError> {
        if self.eat_sign("*") {
            return Ok(Item::All);
        }
        let start = self.start();
        let value = self.expr(0)?;
        let written = self.text[start..self.end()].to_owned();
        let named = self.eat_word("AS");
        let name = match self.peek() {
            Token::Word(word) if !is_reserved(word) => Some(word.clone()),
            Token::Quoted(name) => Some(name.clone()),
            _ if named => return Err(self.unexpected("a name behind `AS`")),
            _ => None,
        };
        self.at += usize::from(name.is_some());
        Ok(Item::Value { value, name, written })
    }

    /// An expression of operators at least as strong as `least`.
    fn expr(&mut self, least: u8) -> Result<Expr, ExpressionError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.error(format!("more than {DEEPEST} forms stand inside each other")));
        }
        let mut left = self.prefix()?;
        loop {
            match self.infix(left, least)? {
                Step::Taken(expr) => left = expr,
                Step::Left(expr) => {
                    self.depth -= 1;
                    return Ok(expr);
                }
            }
        }
    }

    fn prefix(&mut self) -> Result<Expr, ExpressionError> {
        let start = self.start();
        if self.eat_word("NOT") {
            let value = self.expr(NOT)?;
            return Ok(self.call(start, "NOT", vec![value]));
        }
        if self.eat_sign("-") {
            if let Token::Number(digits) = self.peek().clone() {
                self.at += 1;
                return Ok(self.literal(start, Literal::Number(format!("-{digits}"))));
            }
            let value = self.expr(SIGN)?;
            return Ok(self.call(start, "NEGATE", vec![value]));
        }
        if self.eat_sign("+") {
            return self.expr(SIGN);
        }
        self.primary()
    }

    /// Takes the next operator and what stands behind it, when it is strong enough.
    fn infix(&mut self, left: Expr, least: u8) -> Result<Step, ExpressionError> {
        let start = left.span.start;
        let (strength, name) = match self.peek() {
            Token::Sign(sign) => match *sign {
                "=" | "<" | ">" | "<=" | ">=" | "<>" => (COMPARE, *sign),
                "!=" => (COMPARE, "<>"),
                "==" => return Err(self.error("equality is written `=`")),
                "+" | "-" => (ADD, *sign),
                "*" | "/" | "%" | "||" => (MULTIPLY, *sign),
                "[" => (INDEX, "ITEM"),
                "." => return Err(self.error("a column is named without its table")),
                _ => return Ok(Step::Left(left)),
            },
            Token::Word(word) => match word.to_ascii_uppercase().as_str() {
                "OR" => (OR, "OR"),
                "AND" => (AND, "AND"),
                "IS" => (IS, "IS"),
                "NOT" | "BETWEEN" | "IN" | "LIKE" | "SIMILAR" => (MATCH, "MATCH"),
                _ => return Ok(Step::Left(left)),
            },
            _ => return Ok(Step::Left(left)),
        };
        if strength < least {
            return Ok(Step::Left(left));
        }
        let expr = match name {
            "ITEM" => {
                self.at += 1;
                let index = self.expr(0)?;
                self.expect_sign("]")?;
                self.call(start, "ITEM", vec![left, index])
            }
            "IS" => self.is(left)?,
            "MATCH" => self.matching(left)?,
            name => {
                self.at += 1;
                let right = self.expr(strength + 1)?;
                self.call(start, name, vec![left, right])
            }
        };
        Ok(Step::Taken(expr))
    }

    /// `IS [NOT] NULL | TRUE | FALSE | UNKNOWN | DISTINCT FROM …`.
    fn is(&mut self, left: Expr) -> Result<Expr, ExpressionError> {
        let start = left.span.start;
        self.at += 1;
        let negated = self.eat_word("NOT");
        for (word, name) in
            [("NULL", "IS NULL"), ("TRUE", "IS TRUE"), ("FALSE", "IS FALSE"), ("UNKNOWN", "IS UNKNOWN")]
        {
            if self.eat_word(word) {
                let name = if negated { name.replace("IS ", "IS NOT ") } else { name.to_owned() };
                return Ok(self.call(start, &name, vec![left]));
            }
        }
        if self.eat_word("DISTINCT") {
            self.expect_word("FROM")?;
            let right = self.expr(COMPARE + 1)?;
            let name = if negated { "IS NOT DISTINCT FROM" } else { "IS DISTINCT FROM" };
            return Ok(self.call(start, name, vec![left, right]));
        }
        Err(self.unexpected("`NULL`, `TRUE`, `FALSE`, `UNKNOWN` or `DISTINCT FROM` behind `IS`"))
    }

    /// `[NOT] BETWEEN … AND …`, `[NOT] IN (…)`, `[NOT] LIKE …`, `[NOT] SIMILAR TO …`.
    fn matching(&mut self, left: Expr) -> Result<Expr, ExpressionError> {
        let start = left.span.start;
        let negated = self.eat_word("NOT");
        let (name, args) = if self.eat_word("BETWEEN") {
            // SYMMETRIC and ASYMMETRIC are left out upstream as well.
            let low = self.expr(MATCH + 1)?;
            self.expect_word("AND")?;
            ("BETWEEN", vec![left, low, self.expr(MATCH + 1)?])
        } else if self.eat_word("IN") {
            self.expect_sign("(")?;
            let mut args = vec![left];
            args.extend(self.list(")")?);
            if args.len() == 1 {
                return Err(self.error("`IN` needs at least one value"));
            }
            ("IN", args)
        } else if self.eat_word("LIKE") {
            ("LIKE", self.pattern(left)?)
        } else if self.eat_word("SIMILAR") {
            self.expect_word("TO")?;
            ("SIMILAR TO", self.pattern(left)?)
        } else {
            return Err(self.unexpected("`BETWEEN`, `IN`, `LIKE` or `SIMILAR TO` behind `NOT`"));
        };
        let found = self.call(start, name, args);
        Ok(if negated { self.call(start, "NOT", vec![found]) } else { found })
    }

    fn pattern(&mut self, left: Expr) -> Result<Vec<Expr>, ExpressionError> {
        let mut args = vec![left, self.expr(MATCH + 1)?];
        if self.eat_word("ESCAPE") {
            args.push(self.expr(MATCH + 1)?);
        }
        Ok(args)
    }

    /// Expressions between commas up to the closing sign, which is taken.
    fn list(&mut self, close: &'static str) -> Result<Vec<Expr>, ExpressionError> {
        let mut items = Vec::new();
        if self.eat_sign(close) {
            return Ok(items);
        }
        loop {
            items.push(self.expr(0)?);
            if self.eat_sign(close) {
                return Ok(items);
            }
            if !self.eat_sign(",") {
                return Err(self.unexpected(&format!("`,` or `{close}`")));
            }
        }
    }

    fn call(&self, start: usize, name: &str, args: Vec<Expr>) -> Expr {
        Expr { kind: Kind::Call { name: name.to_owned(), args }, span: start..self.end() }
    }

    fn literal(&self, start: usize, literal: Literal) -> Expr {
        Expr { kind: Kind::Literal(literal), span: start..self.end() }
    }
}

/// What became of a look for an operator.
enum Step {
    /// It was taken; another one may follow.
    Taken(Expr),
    /// There is none that is strong enough.
    Left(Expr),
}

fn is_reserved(word: &str) -> bool {
    RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests;
