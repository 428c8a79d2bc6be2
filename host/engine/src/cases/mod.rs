//! Case files: what a plugin is to do with events, for `plugin test`.
//!
//! ```yaml
//! table: CREATE TABLE shop.orders (id BIGINT PRIMARY KEY, email VARCHAR(64))
//! config: { keep-domain: true }
//! cases:
//!   - name: addresses are masked
//!     events:
//!       - insert: { id: 1, email: ada@example.org }
//!     expect:
//!       - insert: { id: 1, email: 'a***@example.org' }
//! ```
//!
//! A file is YAML, or JSON, which is YAML as well. Tables are declared as at the source, so types mean what they mean there.

mod bench;
mod lookup;
mod record;
mod run;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sluicebox_model::TableSchema;
use sluicebox_mysql::ddl::{ApplyContext, DdlContext, DdlStatement, apply, parse};
use sluicebox_mysql::{Flavour, TypeOptions};
use sluicebox_wasm::WasiGrants;

pub use bench::{Bench, BenchRows, Measured, bench};
pub use lookup::InlineTables;
pub use record::{Begin, RecordOptions, Recorded, record};
pub use run::{CaseResult, Subject, run};
pub use write::to_yaml;

use crate::config::{ConfigError, wasi_granted};
use crate::events::Event;

/// The database of tables that are named without one.
const DATABASE: &str = "test";

/// A case file as it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CaseFile {
    /// The table, as `CREATE TABLE` declares it.
    pub table: String,
    /// What the plugin is told when it starts.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub config: Value,
    /// Reference tables that the plugin may ask: entries by key, by table.
    #[serde(default, skip_serializing_if = "InlineTables::is_empty")]
    pub lookups: InlineTables,
    /// Whether the plugin may ask for the time of day.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub clock: bool,
    /// What of WASI the plugin is granted, as written.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub wasi: Value,
    /// What that means, once the file was read.
    #[serde(skip)]
    pub granted: WasiGrants,
    /// The cases, in order.
    pub cases: Vec<Case>,
}

/// One case. What is not expected is not compared, but for errors: those that come must be expected.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// Another table than the file's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Another configuration than the file's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Value>,
    /// Other reference tables than the file's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookups: Option<InlineTables>,
    /// What comes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Event>,
    /// What goes on, in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Vec<Event>>,
    /// Events that the plugin fails on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ExpectedError>,
    /// What the plugin plans for the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<ExpectedPlan>,
    /// The plugin refuses its configuration or the table, with a message that contains this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refuses: Option<String>,
}

/// An event that the plugin fails on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedError {
    /// Which event of the case, counted from 1.
    pub event: usize,
    /// A part of the message.
    #[serde(default)]
    pub message: String,
}

/// What a plugin plans for a table; what is not written is not compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedPlan {
    /// `process`, `pass` or `discard`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// The table's name behind the plugin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Columns behind the plugin, in order: `email` or `email TEXT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
    /// Columns of the key behind the plugin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Vec<String>>,
    /// Columns that the plugin is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reads: Option<Vec<String>>,
    /// Whether it wants every update as two rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<bool>,
    /// Whether it wants state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stateful: Option<bool>,
}

/// Why cases cannot be read or run.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// The file cannot be read.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system, or the parser, said.
        reason: String,
    },
    /// What it grants.
    #[error(transparent)]
    Grants(#[from] ConfigError),
    /// A table's declaration.
    #[error("table: {0}")]
    Table(String),
}

impl CaseFile {
    /// Reads a file; `environment` looks variables up for `${…}` in what it grants.
    ///
    /// # Errors
    /// Says where it is not a case file.
    pub fn read(path: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, CaseError> {
        let fail = |reason: String| CaseError::File { path: path.to_owned(), reason };
        let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
        // The parser of JSON tells mistakes better; that of YAML maps enums by tags, not by keys.
        let value: Value = match path.extension().is_some_and(|ending| ending == "json") {
            true => serde_json::from_str(&text).map_err(|error| fail(error.to_string()))?,
            false => serde_yaml::from_str(&text).map_err(|error| fail(error.to_string()))?,
        };
        let mut file: Self = serde_json::from_value(value).map_err(|error| fail(error.to_string()))?;
        if !file.wasi.is_null() {
            file.granted = wasi_granted(text, path, environment)?;
        }
        Ok(file)
    }

    /// The table of a case.
    ///
    /// # Errors
    /// Says what is wrong with its declaration.
    pub fn table_of(&self, case: &Case) -> Result<Arc<TableSchema>, CaseError> {
        declared(case.table.as_ref().unwrap_or(&self.table))
    }
}

/// The table that a `CREATE TABLE` statement declares. A name without a database lies in `test`.
///
/// # Errors
/// Says what is wrong with the statement.
pub fn declared(statement: &str) -> Result<Arc<TableSchema>, CaseError> {
    let wrong = |reason: String| CaseError::Table(format!("{reason}, in: {statement}"));
    let context = DdlContext {
        database: DATABASE,
        ansi_quotes: false,
        no_backslash_escapes: false,
        flavour: Flavour::MySql,
        version: (9, 0, 0),
    };
    let statements = parse(statement, &context).map_err(|error| wrong(error.to_string()))?;
    let [create @ DdlStatement::CreateTable(_)] = &statements[..] else {
        return Err(wrong("expected one CREATE TABLE statement with columns".into()));
    };
    let context =
        ApplyContext { types: TypeOptions::default(), database_charset: None, ddl: Some(statement.into()) };
    match apply(None, create, &context).map_err(|error| wrong(error.to_string()))? {
        (Some(schema), _) => Ok(Arc::new(schema)),
        (None, _) => Err(wrong("it declares no table".into())),
    }
}

#[cfg(test)]
mod tests;
