//! SQL expressions over change batches: `projection`, `filter` and their kin of a `transform` entry.
//!
//! A [`Rule`] is parsed once, when the pipeline file is read. It is planned for each table and schema version: names become
//! places, types are worked out, and what is written out is computed. The [`RulePlan`] then runs on batches, column by
//! column. A plan is shared by all workers and holds no state.
//!
//! Promises. Nothing here does I/O, but for reading a time zone when it is named. Whatever the text or the rows, there is
//! an answer or an error of one row; no expression waits, and none calls out. What a row's expression costs is linear in
//! the row's size, but for functions that are told to repeat.

mod ast;
mod bind;
mod civil;
mod decimal;
mod error;
mod evaluate;
mod function;
mod lexer;
mod parser;
mod pattern;
mod prepared;
mod process;
mod rule;
mod settings;
mod types;
mod vector;
mod zone;

pub use error::ExpressionError;
pub use process::{FailedRow, Processed, RulePlan};
pub use rule::{Part, Rule, RuleError, RuleText};
pub use settings::Settings;
pub use types::DecimalLimit;
pub use zone::Zone;

/// Names of all functions, in upper case.
pub fn function_names() -> Vec<&'static str> {
    let mut names: Vec<_> = bind::names().collect();
    names.sort_unstable();
    names.dedup();
    names
}
