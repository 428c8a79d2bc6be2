//! Reads SELECT.

use super::ast::{Comparison, Expr, Function, Item, Operand, Order, Select};
use super::parser::Parser;
use crate::wire::types::Type;

/// Conditions may nest this deep; deeper ones are only good for exhausting a stack.
const MAX_CONDITION_DEPTH: usize = 64;

/// A statement has no more conditions than this: `a OR b OR c` becomes a tree as deep as it is long.
const MAX_CONDITIONS: usize = 1000;

impl Parser {
    /// The rest of a statement after `SELECT`.
    pub(super) fn select(&mut self) -> Result<Select, String> {
        let distinct = self.take_word("distinct");
        let mut items = vec![self.item()?];
        while self.take_sign(",") {
            items.push(self.item()?);
        }
        self.expect_word("from")?;
        let table = self.name_parts()?;
        let filter = if self.take_word("where") { Some(self.disjunction(0)?) } else { None };
        let mut group = Vec::new();
        if self.take_words(&["group", "by"]) {
            group.push(self.name()?);
            while self.take_sign(",") {
                group.push(self.name()?);
            }
        }
        let mut order = Vec::new();
        if self.take_words(&["order", "by"]) {
            order.push(self.order()?);
            while self.take_sign(",") {
                order.push(self.order()?);
            }
        }
        let limit = if self.take_word("limit") { Some(self.whole_number()?) } else { None };
        Ok(Select { distinct, items, table, filter, group, order, limit })
    }

    fn item(&mut self) -> Result<Item, String> {
        if self.take_sign("*") {
            return Ok(Item::Star);
        }
        let name = self.name()?;
        let function = match name.as_str() {
            "count" => Some(Function::Count),
            "sum" => Some(Function::Sum),
            "min" => Some(Function::Min),
            "max" => Some(Function::Max),
            _ => None,
        };
        match function {
            Some(function) if self.take_sign("(") => self.aggregate(function),
            _ => Ok(Item::Column { name, alias: self.alias()? }),
        }
    }

    /// The rest of a function after its parenthesis.
    fn aggregate(&mut self, function: Function) -> Result<Item, String> {
        let counts_rows =
            function == Function::Count && (self.take_sign("*") || self.take_number().is_some());
        let distinct = !counts_rows && function == Function::Count && self.take_word("distinct");
        let argument = if counts_rows { None } else { Some(self.name()?) };
        self.expect_sign(")")?;
        Ok(Item::Aggregate { function, argument, distinct, alias: self.alias()? })
    }

    fn alias(&mut self) -> Result<Option<String>, String> {
        if self.take_word("as") {
            return self.name().map(Some);
        }
        if self.is_word("from") {
            return Ok(None);
        }
        Ok(self.name().ok())
    }

    fn order(&mut self) -> Result<Order, String> {
        let column = self.name()?;
        let descending = self.take_word("desc");
        if !descending {
            self.take_word("asc");
        }
        Ok(Order { column, descending })
    }

    fn disjunction(&mut self, depth: usize) -> Result<Expr, String> {
        let mut left = self.conjunction(depth)?;
        while self.take_word("or") {
            left = Expr::Or(Box::new(left), Box::new(self.conjunction(depth)?));
        }
        Ok(left)
    }

    fn conjunction(&mut self, depth: usize) -> Result<Expr, String> {
        let mut left = self.condition(depth)?;
        while self.take_word("and") {
            left = Expr::And(Box::new(left), Box::new(self.condition(depth)?));
        }
        Ok(left)
    }

    fn condition(&mut self, depth: usize) -> Result<Expr, String> {
        self.conditions += 1;
        if depth > MAX_CONDITION_DEPTH || self.conditions > MAX_CONDITIONS {
            return Err(self.unexpected());
        }
        if self.take_word("not") {
            return Ok(Expr::Not(Box::new(self.condition(depth + 1)?)));
        }
        if self.take_sign("(") {
            let inner = self.disjunction(depth + 1)?;
            self.expect_sign(")")?;
            return Ok(inner);
        }
        let operand = self.operand()?;
        if self.take_word("is") {
            let negated = self.take_word("not");
            self.expect_word("null")?;
            return Ok(Expr::IsNull { operand, negated });
        }
        let negated = self.take_word("not");
        if self.take_word("in") {
            self.expect_sign("(")?;
            let list = self.list_to_close(Self::operand)?;
            return Ok(Expr::In { operand, list, negated });
        }
        if self.take_word("between") {
            let low = self.operand()?;
            self.expect_word("and")?;
            let high = self.operand()?;
            let from =
                Expr::Compare { left: operand.clone(), operator: Comparison::GreaterOrEqual, right: low };
            let to = Expr::Compare { left: operand, operator: Comparison::LessOrEqual, right: high };
            let both = Expr::And(Box::new(from), Box::new(to));
            return Ok(if negated { Expr::Not(Box::new(both)) } else { both });
        }
        if negated {
            return Err(self.unexpected());
        }
        let operator = self.comparison()?;
        Ok(Expr::Compare { left: operand, operator, right: self.operand()? })
    }

    fn comparison(&mut self) -> Result<Comparison, String> {
        let signs = [
            ("=", Comparison::Equal),
            ("==", Comparison::Equal),
            ("<>", Comparison::NotEqual),
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        for (sign, comparison) in signs {
            if self.take_sign(sign) {
                return Ok(comparison);
            }
        }
        Err(self.unexpected())
    }

    fn operand(&mut self) -> Result<Operand, String> {
        if self.take_sign("-") {
            let here = self.unexpected();
            return self.take_number().map(|n| Operand::Number(format!("-{n}"))).ok_or(here);
        }
        if let Some(number) = self.take_number() {
            return Ok(Operand::Number(number));
        }
        if let Some(text) = self.take_text() {
            return Ok(Operand::Text(text));
        }
        let name = self.name()?;
        let typed = match name.as_str() {
            "null" => return Ok(Operand::Null),
            "true" => return Ok(Operand::Bool(true)),
            "false" => return Ok(Operand::Bool(false)),
            "date" => Some(Type::Date),
            "datetime" => Some(Type::DateTime),
            "timestamp" => Some(Type::Timestamp),
            "timestamp_ntz" => Some(Type::TimestampNtz),
            _ => None,
        };
        match typed {
            Some(kind) => match self.take_text() {
                Some(text) => Ok(Operand::Typed(kind, text)),
                None => Ok(Operand::Column(name)),
            },
            None => Ok(Operand::Column(name)),
        }
    }
}
