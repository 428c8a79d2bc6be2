//! What the service holds, asked for by SQL over its HTTP interface, as any user would.

use std::time::Duration;

use sluicebox_maxcompute::record::Value;
use sluicebox_maxcompute::{
    Account, Client, ClientOptions, DownloadSession, Error, Hints, QueryResult, RetryLimits, Secret, Table,
    TableName,
};

use super::{Emulator, Rows, eventually, wait};

/// Rows with their types; `None` is NULL.
pub type TypedRows = Vec<Vec<Option<Value>>>;

/// Rows that are asked for at once: a few megabytes of an answer that is held in memory.
const PAGE_ROWS: u64 = 50_000;

/// One project of a service.
#[derive(Clone)]
pub struct Sink {
    client: Client,
}

impl Sink {
    pub fn new(endpoint: &str, project: &str) -> Self {
        let account = Account::new(Emulator::ACCESS_ID, Secret::new(Emulator::ACCESS_KEY));
        let mut options = ClientOptions::new(endpoint, project, account);
        // Tests look again by themselves, and some of them look at a service that is down.
        options.retry = RetryLimits { times: 0, wait: Duration::ZERO };
        Self { client: Client::new(options).expect("options that make sense") }
    }

    /// The client, for calls that have no shorter form here. [`super::wait`] runs them.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Runs a statement.
    #[track_caller]
    pub fn execute(&self, sql: &str) -> QueryResult {
        self.try_execute(sql).unwrap_or_else(|error| panic!("{error}\nin: {sql}"))
    }

    /// Runs a statement that may fail.
    pub fn try_execute(&self, sql: &str) -> Result<QueryResult, Error> {
        wait(self.client.execute(sql, &Hints::modern(false), None))
    }

    /// The rows of a query as the service's text. It gives no more than 10,000 of them.
    #[track_caller]
    pub fn rows(&self, query: &str) -> Rows {
        self.execute(query).rows
    }

    /// Waits until a query gives these rows, as the service's text.
    #[track_caller]
    pub fn wait_for_rows(&self, query: &str, want: &[&[&str]]) {
        eventually(&format!("{want:?} from {query}"), || {
            let found = self.try_execute(query).map_err(|error| error.to_string())?.rows;
            let text = |cell: &Option<String>| cell.clone().unwrap_or_else(|| "NULL".to_owned());
            let found: Vec<Vec<String>> = found.iter().map(|row| row.iter().map(text).collect()).collect();
            if found == want { Ok(()) } else { Err(format!("{found:?}")) }
        });
    }

    /// The rows of a query in a schema of a project that has schemas.
    pub fn rows_in(&self, schema: &str, query: &str) -> Result<Rows, Error> {
        Ok(wait(self.client.execute(query, &Hints::modern(true), Some(schema)))?.rows)
    }

    /// Names of all tables, sorted.
    #[track_caller]
    pub fn tables(&self) -> Vec<String> {
        let tables = wait(self.client.tables(None)).expect("the list of tables");
        let mut names: Vec<String> = tables.into_iter().map(|table| table.name).collect();
        names.sort();
        names
    }

    /// All rows of a query, with their types.
    pub fn typed_rows(&self, query: &str) -> Result<TypedRows, Error> {
        wait(async {
            let instance = self.client.run(query, &Hints::modern(false), None).await?;
            let session = DownloadSession::of_instance(&self.client, instance.id(), false).await?;
            let mut rows = Vec::new();
            for start in (0..session.record_count()).step_by(PAGE_ROWS as usize) {
                rows.extend(session.records(start, PAGE_ROWS).await?);
            }
            Ok(rows)
        })
    }

    /// A table as the service describes it; `None` while there is none.
    #[track_caller]
    pub fn describe(&self, table: &str) -> Option<Table> {
        let described = wait(self.client.describe(&TableName::new(None, table)));
        described.unwrap_or_else(|error| panic!("{error}\nin: describe {table}"))
    }

    /// Names of a table's columns, in order; empty while there is no such table.
    #[track_caller]
    pub fn columns(&self, table: &str) -> Vec<String> {
        self.describe(table)
            .map_or_else(Vec::new, |table| table.columns.into_iter().map(|column| column.name).collect())
    }
}
