//! Reads the statements that the emulator runs.
//!
//! The parser is our own, not a general SQL crate: a third of what the clients send is this service's
//! dialect (`CHANGE COLUMN a RENAME TO b`, `TBLPROPERTIES`, `LIFECYCLE`, `PARTITION (ds='1')`, type names
//! with angle brackets and colons), the rest is small, and errors must carry the service's codes and places.

use std::collections::BTreeMap;

use super::ast::{Change, ColumnDef, CreateTable, NameParts, PartitionSpec, Statement};
use super::lexer::{Token, TokenKind, parse_error, tokenize};
use crate::wire::types::Type;

/// Types may nest this deep; deeper ones are only good for exhausting a stack.
const MAX_TYPE_DEPTH: usize = 16;

/// Reads one statement, with or without its semicolon.
pub(crate) fn parse(text: &str) -> Result<Statement, String> {
    let mut parser = Parser::new(text)?;
    let statement = parser.statement()?;
    while parser.take_sign(";") {}
    parser.expect_end()?;
    Ok(statement)
}

/// Reads a type text alone.
pub(crate) fn parse_type(text: &str) -> Result<Type, String> {
    let mut parser = Parser::new(text)?;
    let kind = parser.type_at(0)?;
    parser.expect_end()?;
    Ok(kind)
}

pub(super) struct Parser {
    tokens: Vec<Token>,
    at: usize,
    /// Conditions read so far.
    pub(super) conditions: usize,
}

impl Parser {
    fn new(text: &str) -> Result<Self, String> {
        Ok(Self { tokens: tokenize(text)?, at: 0, conditions: 0 })
    }

    fn peek(&self) -> &TokenKind {
        self.peek_ahead(0)
    }

    fn peek_ahead(&self, distance: usize) -> &TokenKind {
        // The last token is `End`, and stays current once reached.
        &self.tokens[(self.at + distance).min(self.tokens.len() - 1)].kind
    }

    fn advance(&mut self) {
        self.at = (self.at + 1).min(self.tokens.len() - 1);
    }

    /// The error for the token that is here.
    pub(super) fn unexpected(&self) -> String {
        let token = &self.tokens[self.at];
        let found = match &token.kind {
            TokenKind::Word(text)
            | TokenKind::Quoted(text)
            | TokenKind::Text(text)
            | TokenKind::Number(text) => text.as_str(),
            TokenKind::Sign(sign) => sign,
            TokenKind::End => "<EOF>",
        };
        parse_error(token.line, token.column, found)
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        self.is_word_ahead(0, word)
    }

    pub(super) fn is_word_ahead(&self, distance: usize, word: &str) -> bool {
        matches!(self.peek_ahead(distance), TokenKind::Word(found) if found.eq_ignore_ascii_case(word))
    }

    /// Takes the words if all of them are here.
    pub(super) fn take_words(&mut self, words: &[&str]) -> bool {
        let here = words.iter().enumerate().all(|(distance, word)| self.is_word_ahead(distance, word));
        if here {
            self.at += words.len();
        }
        here
    }

    pub(super) fn take_word(&mut self, word: &str) -> bool {
        self.take_words(&[word])
    }

    pub(super) fn expect_word(&mut self, word: &str) -> Result<(), String> {
        if self.take_word(word) { Ok(()) } else { Err(self.unexpected()) }
    }

    pub(super) fn take_sign(&mut self, sign: &str) -> bool {
        let here = matches!(self.peek(), TokenKind::Sign(found) if *found == sign);
        if here {
            self.advance();
        }
        here
    }

    pub(super) fn expect_sign(&mut self, sign: &str) -> Result<(), String> {
        if self.take_sign(sign) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn expect_end(&self) -> Result<(), String> {
        if *self.peek() == TokenKind::End { Ok(()) } else { Err(self.unexpected()) }
    }

    /// A name, quoted or not, in lower case: names of the service have no case.
    pub(super) fn name(&mut self) -> Result<String, String> {
        let name = match self.peek() {
            TokenKind::Word(name) | TokenKind::Quoted(name) if !name.is_empty() => name.to_ascii_lowercase(),
            _ => return Err(self.unexpected()),
        };
        self.advance();
        Ok(name)
    }

    pub(super) fn take_text(&mut self) -> Option<String> {
        let TokenKind::Text(text) = self.peek() else { return None };
        let text = text.clone();
        self.advance();
        Some(text)
    }

    fn text(&mut self) -> Result<String, String> {
        self.take_text().ok_or_else(|| self.unexpected())
    }

    pub(super) fn take_number(&mut self) -> Option<String> {
        let TokenKind::Number(number) = self.peek() else { return None };
        let number = number.clone();
        self.advance();
        Some(number)
    }

    pub(super) fn whole_number<T: std::str::FromStr>(&mut self) -> Result<T, String> {
        let here = self.unexpected();
        self.take_number().and_then(|number| number.parse().ok()).ok_or(here)
    }

    /// `item, item, ..` up to and with the closing parenthesis, the opening one being taken.
    pub(super) fn list_to_close<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        let mut items = vec![item(self)?];
        while self.take_sign(",") {
            items.push(item(self)?);
        }
        self.expect_sign(")")?;
        Ok(items)
    }

    pub(super) fn name_parts(&mut self) -> Result<NameParts, String> {
        let mut parts = vec![self.name()?];
        while parts.len() < 3 && self.take_sign(".") {
            parts.push(self.name()?);
        }
        Ok(NameParts(parts))
    }

    fn statement(&mut self) -> Result<Statement, String> {
        if self.take_words(&["create", "table"]) {
            return self.create_table().map(Statement::CreateTable);
        }
        if self.take_words(&["drop", "table"]) {
            let if_exists = self.take_words(&["if", "exists"]);
            return Ok(Statement::DropTable { table: self.name_parts()?, if_exists });
        }
        if self.take_words(&["truncate", "table"]) {
            let table = self.name_parts()?;
            let partition = if self.is_word("partition") { Some(self.partition_spec()?) } else { None };
            return Ok(Statement::Truncate { table, partition });
        }
        if self.take_words(&["alter", "table"]) {
            let table = self.name_parts()?;
            return Ok(Statement::Alter { table, change: self.change()? });
        }
        if self.take_words(&["create", "schema"]) {
            let if_not_exists = self.take_words(&["if", "not", "exists"]);
            return Ok(Statement::CreateSchema { name: self.name_parts()?, if_not_exists });
        }
        if self.take_words(&["drop", "schema"]) {
            let if_exists = self.take_words(&["if", "exists"]);
            return Ok(Statement::DropSchema { name: self.name_parts()?, if_exists });
        }
        if self.take_word("select") {
            return self.select().map(Statement::Select);
        }
        Err(self.unexpected())
    }

    fn create_table(&mut self) -> Result<CreateTable, String> {
        let if_not_exists = self.take_words(&["if", "not", "exists"]);
        let table = self.name_parts()?;
        self.expect_sign("(")?;
        let mut primary_key = Vec::new();
        let elements = self.list_to_close(|parser| {
            if parser.take_words(&["primary", "key"]) {
                parser.expect_sign("(")?;
                primary_key.extend(parser.list_to_close(Self::name)?);
                return Ok(None);
            }
            let (column, is_key) = parser.column_def()?;
            if is_key {
                primary_key.push(column.name.clone());
            }
            Ok(Some(column))
        })?;
        let mut create = CreateTable {
            table,
            if_not_exists,
            columns: elements.into_iter().flatten().collect(),
            primary_key,
            partition_columns: Vec::new(),
            comment: String::new(),
            properties: BTreeMap::new(),
            lifecycle: None,
        };
        while self.create_clause(&mut create)? {}
        Ok(create)
    }

    /// One clause after the column list; false when there is none.
    fn create_clause(&mut self, create: &mut CreateTable) -> Result<bool, String> {
        if self.take_word("comment") {
            create.comment = self.text()?;
        } else if self.take_words(&["partitioned", "by"]) {
            self.expect_sign("(")?;
            create.partition_columns = self.list_to_close(|parser| Ok(parser.column_def()?.0))?;
        } else if self.take_word("tblproperties") {
            create.properties = self.properties()?;
        } else if self.take_word("lifecycle") {
            create.lifecycle = Some(self.whole_number()?);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// `name TYPE [NOT NULL | NULL] [PRIMARY KEY] [COMMENT '..']` in any order after the type.
    fn column_def(&mut self) -> Result<(ColumnDef, bool), String> {
        let name = self.name()?;
        let kind = self.type_at(0)?;
        let mut column = ColumnDef { name, kind, not_null: false, comment: None };
        let mut is_key = false;
        loop {
            if self.take_words(&["not", "null"]) {
                column.not_null = true;
            } else if self.take_words(&["primary", "key"]) {
                is_key = true;
            } else if self.take_word("comment") {
                column.comment = Some(self.text()?);
            } else if !self.take_word("null") {
                return Ok((column, is_key));
            }
        }
    }

    fn properties(&mut self) -> Result<BTreeMap<String, String>, String> {
        self.expect_sign("(")?;
        let pairs = self.list_to_close(|parser| {
            let key = parser.text()?;
            parser.expect_sign("=")?;
            Ok((key, parser.text()?))
        })?;
        Ok(pairs.into_iter().collect())
    }

    /// `PARTITION (ds='1', region=2)`.
    fn partition_spec(&mut self) -> Result<PartitionSpec, String> {
        self.expect_word("partition")?;
        self.expect_sign("(")?;
        self.list_to_close(|parser| {
            let name = parser.name()?;
            parser.expect_sign("=")?;
            let value = parser.take_text().or_else(|| parser.take_number());
            Ok((name, value.ok_or_else(|| parser.unexpected())?))
        })
    }

    fn partition_specs(&mut self) -> Result<Vec<PartitionSpec>, String> {
        let mut specs = vec![self.partition_spec()?];
        while self.take_sign(",") || self.is_word("partition") {
            specs.push(self.partition_spec()?);
        }
        Ok(specs)
    }

    fn change(&mut self) -> Result<Change, String> {
        if self.take_word("add") {
            return self.add_change();
        }
        if self.take_word("drop") {
            return self.drop_change();
        }
        if self.take_word("change") {
            self.take_word("column");
            return self.column_change();
        }
        if self.take_words(&["rename", "to"]) {
            return self.name().map(Change::RenameTable);
        }
        self.expect_word("set")?;
        if self.take_word("comment") {
            self.text().map(Change::SetComment)
        } else if self.take_word("lifecycle") {
            self.whole_number().map(Change::SetLifecycle)
        } else if self.take_word("tblproperties") {
            self.properties().map(Change::SetProperties)
        } else {
            Err(self.unexpected())
        }
    }

    fn add_change(&mut self) -> Result<Change, String> {
        if self.take_word("columns") || self.take_word("column") {
            let if_not_exists = self.take_words(&["if", "not", "exists"]);
            let columns = if self.take_sign("(") {
                self.list_to_close(|parser| Ok(parser.column_def()?.0))?
            } else {
                vec![self.column_def()?.0]
            };
            return Ok(Change::AddColumns { columns, if_not_exists });
        }
        let if_not_exists = self.take_words(&["if", "not", "exists"]);
        Ok(Change::AddPartitions { specs: self.partition_specs()?, if_not_exists })
    }

    fn drop_change(&mut self) -> Result<Change, String> {
        if self.take_word("columns") || self.take_word("column") {
            if self.take_sign("(") {
                return self.list_to_close(Self::name).map(Change::DropColumns);
            }
            let mut names = vec![self.name()?];
            while self.take_sign(",") {
                names.push(self.name()?);
            }
            return Ok(Change::DropColumns(names));
        }
        let if_exists = self.take_words(&["if", "exists"]);
        Ok(Change::DropPartitions { specs: self.partition_specs()?, if_exists })
    }

    fn column_change(&mut self) -> Result<Change, String> {
        let from = self.name()?;
        if self.take_words(&["rename", "to"]) {
            return Ok(Change::RenameColumn { from, to: self.name()? });
        }
        // `NULL` and `COMMENT` end the statement here; before a type they are the new name.
        if self.is_word("null") && self.ends_after(1) {
            self.advance();
            return Ok(Change::SetNullable(from));
        }
        if self.is_word("comment") && matches!(self.peek_ahead(1), TokenKind::Text(_)) {
            self.advance();
            return Ok(Change::CommentColumn { column: from, comment: self.text()? });
        }
        let to = self.name()?;
        let kind = self.type_at(0)?;
        let comment = if self.take_word("comment") { Some(self.text()?) } else { None };
        Ok(Change::RedefineColumn { from, to, kind, comment })
    }

    fn ends_after(&self, distance: usize) -> bool {
        matches!(self.peek_ahead(distance), TokenKind::End | TokenKind::Sign(";"))
    }

    pub(super) fn type_at(&mut self, depth: usize) -> Result<Type, String> {
        if depth > MAX_TYPE_DEPTH {
            return Err(self.unexpected());
        }
        let here = self.unexpected();
        let name = self.name()?;
        Ok(match name.as_str() {
            "tinyint" => Type::TinyInt,
            "smallint" => Type::SmallInt,
            "int" => Type::Int,
            "bigint" => Type::BigInt,
            "float" => Type::Float,
            "double" => Type::Double,
            "boolean" => Type::Boolean,
            "string" => Type::String,
            "binary" => Type::Binary,
            "json" => Type::Json,
            "date" => Type::Date,
            "datetime" => Type::DateTime,
            "timestamp" => Type::Timestamp,
            "timestamp_ntz" => Type::TimestampNtz,
            "interval_day_time" => Type::IntervalDayTime,
            "interval_year_month" => Type::IntervalYearMonth,
            "char" => Type::Char(self.length(255)?),
            "varchar" => Type::VarChar(self.length(65_535)?),
            "decimal" => self.decimal()?,
            "array" => {
                self.expect_sign("<")?;
                let element = self.type_at(depth + 1)?;
                self.expect_sign(">")?;
                Type::Array(Box::new(element))
            }
            "map" => {
                self.expect_sign("<")?;
                let key = self.type_at(depth + 1)?;
                self.expect_sign(",")?;
                let value = self.type_at(depth + 1)?;
                self.expect_sign(">")?;
                Type::Map(Box::new(key), Box::new(value))
            }
            "struct" => self.struct_type(depth)?,
            _ => return Err(here),
        })
    }

    fn struct_type(&mut self, depth: usize) -> Result<Type, String> {
        self.expect_sign("<")?;
        let mut fields = Vec::new();
        loop {
            let name = self.name()?;
            self.expect_sign(":")?;
            fields.push((name, self.type_at(depth + 1)?));
            if self.take_word("comment") {
                self.text()?;
            }
            if !self.take_sign(",") {
                self.expect_sign(">")?;
                return Ok(Type::Struct(fields));
            }
        }
    }

    fn length(&mut self, limit: u32) -> Result<u32, String> {
        self.expect_sign("(")?;
        let here = self.unexpected();
        let length = self.whole_number()?;
        self.expect_sign(")")?;
        if (1..=limit).contains(&length) { Ok(length) } else { Err(here) }
    }

    /// Bare DECIMAL is the widest one under the second decimal edition, which this server always uses.
    fn decimal(&mut self) -> Result<Type, String> {
        if !self.take_sign("(") {
            return Ok(Type::Decimal { precision: 38, scale: 18 });
        }
        let here = self.unexpected();
        let precision = self.whole_number()?;
        let scale = if self.take_sign(",") { self.whole_number()? } else { 0 };
        self.expect_sign(")")?;
        let valid = (1..=38).contains(&precision) && scale <= 18 && scale <= precision;
        if valid { Ok(Type::Decimal { precision, scale }) } else { Err(here) }
    }
}
