//! What an operator stands between: values, names, calls, and the forms that have keywords inside.

use sluicebox_model::ColumnType;

use super::{Parser, is_reserved};
use crate::ast::{Expr, Kind, Literal, Unit};
use crate::error::ExpressionError;
use crate::lexer::Token;

/// Functions that are written without parentheses, too.
const BARE: [&str; 5] = ["LOCALTIME", "CURRENT_TIME", "LOCALTIMESTAMP", "CURRENT_TIMESTAMP", "CURRENT_DATE"];
/// Functions whose argument at this place is a unit of time.
const WITH_UNIT: [(&str, usize); 5] =
    [("TIMESTAMPADD", 0), ("TIMESTAMPDIFF", 0), ("TIMESTAMP_DIFF", 0), ("TIMESTAMP_ADD", 0), ("EXTRACT", 0)];

impl Parser<'_> {
    pub(super) fn primary(&mut self) -> Result<Expr, ExpressionError> {
        let start = self.start();
        match self.peek().clone() {
            Token::Number(digits) => {
                self.at += 1;
                Ok(self.literal(start, Literal::Number(digits)))
            }
            Token::Text(text) => {
                self.at += 1;
                Ok(self.literal(start, Literal::Text(text)))
            }
            Token::Quoted(name) => {
                self.at += 1;
                Ok(Expr { kind: Kind::Name(name), span: start..self.end() })
            }
            Token::Sign("(") => {
                self.at += 1;
                let inner = self.expr(0)?;
                self.expect_sign(")")?;
                Ok(Expr { kind: inner.kind, span: start..self.end() })
            }
            Token::Word(word) => self.word(start, &word),
            Token::Sign(_) | Token::End => Err(self.unexpected("a value, a column or a function")),
        }
    }

    fn word(&mut self, start: usize, word: &str) -> Result<Expr, ExpressionError> {
        let upper = word.to_ascii_uppercase();
        let text_behind = matches!(self.peek_at(1), Token::Text(_));
        match upper.as_str() {
            "TRUE" | "FALSE" => {
                self.at += 1;
                return Ok(self.literal(start, Literal::Boolean(upper == "TRUE")));
            }
            "NULL" | "UNKNOWN" => {
                self.at += 1;
                return Ok(self.literal(start, Literal::Null));
            }
            "CASE" => return self.case(start),
            "CAST" | "TRY_CAST" => return self.cast(start, upper == "TRY_CAST"),
            "INTERVAL" if text_behind || matches!(self.peek_at(1), Token::Sign("-" | "+")) => {
                return self.interval(start);
            }
            "DATE" | "TIME" | "TIMESTAMP" if text_behind => return Ok(self.moment(start, &upper)),
            "ARRAY" | "MAP" if matches!(self.peek_at(1), Token::Sign("[")) => {
                self.at += 2;
                let items = self.list("]")?;
                return Ok(self.call(start, &upper, items));
            }
            _ if is_reserved(word) => return Err(self.unexpected("a value, a column or a function")),
            _ => {}
        }
        self.at += 1;
        if matches!(self.peek(), Token::Sign("(")) {
            self.at += 1;
            return self.function(start, &upper);
        }
        if BARE.contains(&upper.as_str()) {
            return Ok(self.call(start, &upper, Vec::new()));
        }
        Ok(Expr { kind: Kind::Name(word.to_owned()), span: start..self.end() })
    }

    /// Arguments of a function; its opening parenthesis is taken.
    fn function(&mut self, start: usize, name: &str) -> Result<Expr, ExpressionError> {
        let args = match name {
            "TRIM" => return self.trim(start),
            "EXTRACT" => vec![self.unit()?, self.behind("FROM")?],
            "POSITION" => {
                let needle = self.expr(super::MATCH + 1)?;
                vec![needle, self.behind("IN")?]
            }
            "OVERLAY" => {
                let mut args = vec![self.expr(0)?];
                if self.eat_word("PLACING") {
                    args.push(self.expr(0)?);
                    args.push(self.behind("FROM")?);
                    if self.eat_word("FOR") {
                        args.push(self.expr(0)?);
                    }
                } else {
                    self.expect_sign(",")?;
                    let rest = self.list(")")?;
                    args.extend(rest);
                    return Ok(self.call(start, name, args));
                }
                args
            }
            "SUBSTRING" => {
                let mut args = vec![self.expr(0)?];
                if self.eat_word("FROM") {
                    args.push(self.expr(0)?);
                    if self.eat_word("FOR") {
                        args.push(self.expr(0)?);
                    }
                } else {
                    while self.eat_sign(",") {
                        args.push(self.expr(0)?);
                    }
                }
                args
            }
            "CEIL" | "CEILING" | "FLOOR" => {
                let mut args = vec![self.expr(0)?];
                if self.eat_word("TO") {
                    args.push(self.unit()?);
                }
                args
            }
            name if WITH_UNIT.iter().any(|(known, _)| *known == name) => {
                let unit = self.unit()?;
                self.expect_sign(",")?;
                let mut args = vec![unit];
                args.extend(self.list(")")?);
                return Ok(self.call(start, name, args));
            }
            name => {
                let args = self.list(")")?;
                return Ok(self.call(start, name, args));
            }
        };
        self.expect_sign(")")?;
        Ok(self.call(start, name, args))
    }

    fn behind(&mut self, word: &str) -> Result<Expr, ExpressionError> {
        self.expect_word(word)?;
        self.expr(0)
    }

    /// `TRIM([BOTH | LEADING | TRAILING] [characters] FROM text)` or `TRIM(text[, characters])`.
    fn trim(&mut self, start: usize) -> Result<Expr, ExpressionError> {
        let sides = [("BOTH", "BTRIM"), ("LEADING", "LTRIM"), ("TRAILING", "RTRIM")];
        let side = sides
            .iter()
            .find(|(word, _)| self.is_word(0, word) && !matches!(self.peek_at(1), Token::Sign(_)));
        self.at += usize::from(side.is_some());
        let name = side.map_or("BTRIM", |(_, name)| name);
        let mut args = Vec::new();
        if !self.is_word(0, "FROM") {
            args.push(self.expr(0)?);
        }
        if self.eat_word("FROM") {
            args.insert(0, self.expr(0)?);
        } else if side.is_some() {
            return Err(self.unexpected("`FROM`"));
        } else if self.eat_sign(",") {
            args.push(self.expr(0)?);
        }
        self.expect_sign(")")?;
        Ok(self.call(start, name, args))
    }

    fn unit(&mut self) -> Result<Expr, ExpressionError> {
        let start = self.start();
        let Token::Word(word) = self.peek().clone() else {
            return Err(self.unexpected("a unit such as `DAY`"));
        };
        let unit = Unit::named(&word).ok_or_else(|| {
            self.error(format!("`{word}` is no unit of time"))
                .near(&word, Unit::NAMES.iter().map(|(n, _)| *n))
        })?;
        self.at += 1;
        Ok(Expr { kind: Kind::Unit(unit), span: start..self.end() })
    }

    fn case(&mut self, start: usize) -> Result<Expr, ExpressionError> {
        self.at += 1;
        let subject = if self.is_word(0, "WHEN") { None } else { Some(self.expr(0)?) };
        let mut arms = Vec::new();
        while self.eat_word("WHEN") {
            let mut condition = self.expr(0)?;
            if let Some(subject) = &subject {
                let span = condition.span.clone();
                let args = vec![subject.clone(), condition];
                condition = Expr { kind: Kind::Call { name: "=".into(), args }, span };
            }
            arms.push((condition, self.behind("THEN")?));
        }
        if arms.is_empty() {
            return Err(self.unexpected("`WHEN`"));
        }
        let otherwise = if self.is_word(0, "ELSE") { Some(Box::new(self.behind("ELSE")?)) } else { None };
        self.expect_word("END")?;
        Ok(Expr { kind: Kind::Case { arms, otherwise }, span: start..self.end() })
    }

    fn cast(&mut self, start: usize, safe: bool) -> Result<Expr, ExpressionError> {
        self.at += 1;
        self.expect_sign("(")?;
        let value = Box::new(self.expr(0)?);
        self.expect_word("AS")?;
        let to = self.type_name()?;
        self.expect_sign(")")?;
        Ok(Expr { kind: Kind::Cast { value, to, safe }, span: start..self.end() })
    }

    fn type_name(&mut self) -> Result<ColumnType, ExpressionError> {
        const KNOWN: [&str; 20] = [
            "BOOLEAN",
            "TINYINT",
            "SMALLINT",
            "INT",
            "INTEGER",
            "BIGINT",
            "FLOAT",
            "DOUBLE",
            "DECIMAL",
            "NUMERIC",
            "CHAR",
            "VARCHAR",
            "STRING",
            "TEXT",
            "DATE",
            "TIME",
            "TIMESTAMP",
            "TIMESTAMP_LTZ",
            "BYTES",
            "VARBINARY",
        ];
        let Token::Word(word) = self.peek().clone() else { return Err(self.unexpected("a type")) };
        let unknown =
            self.error(format!("`{word}` is no type that values can be cast to")).near(&word, KNOWN);
        self.at += 1;
        let word = word.to_ascii_uppercase();
        if word == "DOUBLE" {
            self.eat_word("PRECISION");
        }
        let at = self.start();
        let (first, second) = self.type_numbers()?;
        let wrong = |what: &str| ExpressionError::new(what).at(self.text, at);
        let fraction = |default: u8| match first {
            None => Ok(default),
            Some(n) => Ok(u8::try_from(n.min(9)).unwrap_or(9)),
        };
        let column_type = match word.as_str() {
            "BOOLEAN" => ColumnType::Boolean,
            "TINYINT" => ColumnType::TinyInt,
            "SMALLINT" => ColumnType::SmallInt,
            "INT" | "INTEGER" => ColumnType::Int,
            "BIGINT" => ColumnType::BigInt,
            "FLOAT" | "REAL" => ColumnType::Float,
            "DOUBLE" => ColumnType::Double,
            "DECIMAL" | "DEC" | "NUMERIC" => match (first.unwrap_or(10), second.unwrap_or(0)) {
                (p @ 1..=38, s) if s <= p => ColumnType::Decimal {
                    precision: u8::try_from(p).unwrap_or(38),
                    scale: u8::try_from(s).unwrap_or(0),
                },
                _ => return Err(wrong("a DECIMAL has 1 to 38 digits, and no more of them behind the point")),
            },
            "CHAR" | "VARCHAR" | "STRING" | "TEXT" => ColumnType::Text,
            "BYTES" | "BINARY" | "VARBINARY" => ColumnType::Binary,
            "DATE" => ColumnType::Date,
            "TIME" => ColumnType::Time { fraction: fraction(0)?.min(6) },
            "TIMESTAMP" if self.eat_word("WITH") => {
                self.expect_word("LOCAL")?;
                self.expect_word("TIME")?;
                self.expect_word("ZONE")?;
                ColumnType::Timestamp { fraction: fraction(6)?.min(6) }
            }
            "TIMESTAMP" | "DATETIME" => ColumnType::DateTime { fraction: fraction(6)?.min(6) },
            "TIMESTAMP_LTZ" => ColumnType::Timestamp { fraction: fraction(6)?.min(6) },
            _ => return Err(unknown),
        };
        Ok(column_type)
    }

    /// `(n)` or `(n, m)` behind a type's name.
    fn type_numbers(&mut self) -> Result<(Option<u32>, Option<u32>), ExpressionError> {
        if !self.eat_sign("(") {
            return Ok((None, None));
        }
        let first = self.whole_number()?;
        let second = if self.eat_sign(",") { Some(self.whole_number()?) } else { None };
        self.expect_sign(")")?;
        Ok((Some(first), second))
    }

    fn whole_number(&mut self) -> Result<u32, ExpressionError> {
        match self.peek() {
            Token::Number(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                let number = digits.parse().map_err(|_| self.error("this number is too large"))?;
                self.at += 1;
                Ok(number)
            }
            _ => Err(self.unexpected("a whole number")),
        }
    }

    /// `DATE '…'`, `TIME '…'`, `TIMESTAMP '…'`; the caller has seen the text.
    fn moment(&mut self, start: usize, word: &str) -> Expr {
        self.at += 1;
        let Token::Text(text) = self.next() else { return self.literal(start, Literal::Null) };
        let fraction =
            text.rsplit_once('.').map_or(0, |(_, digits)| u8::try_from(digits.len().min(6)).unwrap_or(6));
        let column_type = match word {
            "DATE" => ColumnType::Date,
            "TIME" => ColumnType::Time { fraction },
            _ => ColumnType::DateTime { fraction },
        };
        self.literal(start, Literal::Moment(column_type, text))
    }

    /// `INTERVAL [-] '…' unit [TO unit]`.
    fn interval(&mut self, start: usize) -> Result<Expr, ExpressionError> {
        self.at += 1;
        let negative = self.eat_sign("-");
        if !negative {
            self.eat_sign("+");
        }
        let at = self.start();
        let Token::Text(text) = self.next() else {
            return Err(self.unexpected("a text such as '1' behind `INTERVAL`"));
        };
        let from = self.interval_unit()?;
        let to = if self.eat_word("TO") { Some(self.interval_unit()?) } else { None };
        let value =
            span(&text, from, to).map_err(|message| ExpressionError::new(message).at(self.text, at))?;
        let sign = if negative { -1 } else { 1 };
        let literal = match value {
            Span::Months(months) => Literal::Months(sign * months),
            Span::Days(micros) => Literal::Days(sign * micros),
            Span::Micros(micros) => Literal::Micros(sign * micros),
        };
        Ok(self.literal(start, literal))
    }

    fn interval_unit(&mut self) -> Result<Unit, ExpressionError> {
        let unit = self.unit()?;
        if self.eat_sign("(") {
            while !self.eat_sign(")") {
                self.whole_number()?;
                self.eat_sign(",");
            }
        }
        match unit.kind {
            Kind::Unit(unit) => Ok(unit),
            _ => Err(self.unexpected("a unit such as `DAY`")),
        }
    }
}

enum Span {
    Months(i64),
    /// Whole days, in microseconds.
    Days(i64),
    Micros(i64),
}

/// The parts of a compound interval, with the sign that stands between two of them.
const DAY_PARTS: [(Unit, char); 4] =
    [(Unit::Day, ' '), (Unit::Hour, ':'), (Unit::Minute, ':'), (Unit::Second, '.')];

/// Reads an interval's text: `'3'` DAY, `'1-2'` YEAR TO MONTH, `'1 02:03:04.5'` DAY TO SECOND.
fn span(text: &str, from: Unit, to: Option<Unit>) -> Result<Span, String> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let sign = if negative { -1 } else { 1 };
    let wrong = || format!("`{text}` is no interval of this unit");
    let number = |text: &str| {
        let digits = !text.is_empty() && text.len() <= 12 && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<i64>().ok()).flatten().ok_or_else(wrong)
    };
    match (from, to) {
        (Unit::Year, Some(Unit::Month)) => {
            let (years, months) = digits.split_once('-').ok_or_else(wrong)?;
            Ok(Span::Months(sign * (number(years)? * 12 + number(months)?)))
        }
        (from, None) if from.months().is_some() => {
            Ok(Span::Months(sign * number(digits)? * from.months().unwrap_or(1)))
        }
        (Unit::Second, None) => Ok(Span::Micros(sign * seconds(digits).ok_or_else(wrong)?)),
        (from, None) => {
            let length = from.micros().ok_or_else(|| "this unit makes no interval".to_owned())?;
            let micros = sign * number(digits)?.checked_mul(length).ok_or_else(wrong)?;
            Ok(if matches!(from, Unit::Day | Unit::Week) { Span::Days(micros) } else { Span::Micros(micros) })
        }
        (from, Some(to)) => {
            let place = |unit| DAY_PARTS.iter().position(|(known, _)| *known == unit);
            let (Some(first), Some(last)) = (place(from), place(to)) else {
                return Err("these units make no interval".into());
            };
            if first >= last {
                return Err("an interval goes from the larger unit to the smaller".into());
            }
            let (mut micros, mut rest) = (0_i64, digits);
            let parts = |count: i64, unit: Unit| count.checked_mul(unit.micros()?);
            for (unit, sign) in &DAY_PARTS[first..last] {
                let (part, behind) = rest.split_once(*sign).ok_or_else(wrong)?;
                let part = parts(number(part)?, *unit).and_then(|part| micros.checked_add(part));
                micros = part.ok_or_else(wrong)?;
                rest = behind;
            }
            let last = match to {
                Unit::Second => seconds(rest),
                to => parts(number(rest)?, to),
            };
            let micros = last.and_then(|last| micros.checked_add(last)).ok_or_else(wrong)?;
            Ok(Span::Micros(sign * micros))
        }
    }
}

/// Seconds with up to six digits of fraction, as microseconds.
fn seconds(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit()) && t.len() <= 12;
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > 6 {
        return None;
    }
    let fraction: i64 = format!("{fraction:0<6}").parse().ok()?;
    whole.parse::<i64>().ok()?.checked_mul(1_000_000)?.checked_add(fraction)
}
