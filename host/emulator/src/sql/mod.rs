//! The SQL that the emulator understands: the DDL of its clients, and simple queries.

pub(crate) mod ast;
mod lexer;
mod parser;
mod query;
#[cfg(test)]
mod tests;

pub(crate) use parser::{parse, parse_type};
