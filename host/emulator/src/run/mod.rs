//! Running a statement.
//!
//! Everything runs to its end inside the request that submits it; the answer still has the asynchronous
//! form, so clients see an instance that has already terminated.

mod aggregate;
mod condition;
mod ddl;
mod result;
mod select;

use std::collections::BTreeMap;

pub(crate) use ddl::require_name;
pub(crate) use result::{ResultSet, Rows, Stamps};

use crate::fault::Fault;
use crate::sql::ast::{NameParts, Statement};
use crate::sql::parse;
use crate::store::{DEFAULT_SCHEMA, Store, TableName};

/// What a statement is run under.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) project: String,
    /// `curr_schema` of the request.
    pub(crate) schema: Option<String>,
    pub(crate) hints: BTreeMap<String, String>,
    /// Projects have schemas.
    pub(crate) three_tier: bool,
    pub(crate) now_ms: i64,
}

impl Context {
    fn now_s(&self) -> i64 {
        self.now_ms / 1000
    }

    fn current_schema(&self) -> &str {
        match &self.schema {
            Some(schema) if self.three_tier => schema,
            _ => DEFAULT_SCHEMA,
        }
    }

    /// Gives a written name its meaning. Of two parts the first is a schema where the statement asks for
    /// schema names and there is such a schema, otherwise a project.
    fn resolve(&self, store: &Store, name: &NameParts) -> Result<TableName, Fault> {
        match name.0.as_slice() {
            [table] => Ok(TableName::new(&self.project, self.current_schema(), table)),
            [first, table] => {
                let hinted = self.hints.get("odps.namespace.schema").is_some_and(|hint| hint == "true");
                if self.three_tier && hinted && store.catalog().has_schema(&self.project, first) {
                    return Ok(TableName::new(&self.project, first, table));
                }
                let own = first.eq_ignore_ascii_case(&self.project);
                let schema = if own { self.current_schema() } else { DEFAULT_SCHEMA };
                Ok(TableName::new(first, schema, table))
            }
            [project, schema, table] if self.three_tier => Ok(TableName::new(project, schema, table)),
            _ => Err(Fault::semantic(format!(
                "{} has three parts, and the project has no schemas",
                name.0.join(".")
            ))),
        }
    }

    /// The project and schema that `CREATE SCHEMA` names.
    fn resolve_schema(&self, name: &NameParts) -> Result<(String, String), Fault> {
        if !self.three_tier {
            return Err(Fault::semantic("the project has no schemas"));
        }
        match name.0.as_slice() {
            [schema] => Ok((self.project.clone(), schema.clone())),
            [project, schema] => Ok((project.clone(), schema.clone())),
            _ => Err(Fault::semantic(format!("{} is not a schema name", name.0.join(".")))),
        }
    }
}

/// What a statement that worked leaves behind.
#[derive(Debug)]
pub(crate) enum Outcome {
    Done,
    Rows(ResultSet),
}

/// Runs one statement.
pub(crate) fn run(store: &Store, context: &Context, text: &str) -> Result<Outcome, Fault> {
    match parse(text).map_err(Fault::Sql)? {
        Statement::Select(select) => select::run(store, context, &select).map(Outcome::Rows),
        Statement::CreateTable(create) => ddl::create_table(store, context, create).map(|()| Outcome::Done),
        Statement::DropTable { table, if_exists } => {
            let name = context.resolve(store, &table)?;
            if store.drop_table(&name)? || if_exists {
                Ok(Outcome::Done)
            } else {
                Err(Fault::NoSuchTable(name.to_string()))
            }
        }
        Statement::Truncate { table, partition } => {
            ddl::truncate(store, context, &table, partition.as_deref()).map(|()| Outcome::Done)
        }
        Statement::Alter { table, change } => {
            ddl::alter(store, context, &table, change).map(|()| Outcome::Done)
        }
        Statement::CreateSchema { name, if_not_exists } => {
            let (project, schema) = context.resolve_schema(&name)?;
            require_name(&schema)?;
            if store.create_schema(&project, &schema, context.now_s())? || if_not_exists {
                Ok(Outcome::Done)
            } else {
                Err(Fault::semantic(format!("schema {schema} already exists")))
            }
        }
        Statement::DropSchema { name, if_exists } => {
            let (project, schema) = context.resolve_schema(&name)?;
            if store.drop_schema(&project, &schema)? || if_exists {
                Ok(Outcome::Done)
            } else {
                Err(Fault::NoSuchSchema(schema))
            }
        }
    }
}
