//! Statements that change tables: what they say, and what they make of a table's columns.
//!
//! `parse` turns the text of a binlog statement into [`DdlStatement`]s and knows nothing of any table; `apply` makes a new
//! schema of an old one and a statement. Both are pure. A statement that failed at its server never reaches the binlog,
//! so `apply` may trust what it is told; what it cannot resolve is an error, never a guess.

mod alter;
mod apply;
pub(crate) mod charset;
mod column;
mod cursor;
pub(crate) mod default;
mod lexer;
mod parse;
mod statement;
mod table;

pub use apply::{ApplyContext, apply, apply_like};
pub use default::DefaultClause;
pub use parse::parse;
pub(crate) use statement::same;
pub use statement::{
    AlterAction, CharsetClause, ColumnDefinition, CreateTable, DdlContext, DdlError, DdlStatement,
    KeyDefinition, KeyKind, PeriodDefinition, Place,
};

#[cfg(test)]
mod tests;
