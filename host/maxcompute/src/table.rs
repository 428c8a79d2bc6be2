//! Tables: what they are called, what they look like, whether they are there.

use std::fmt;

use reqwest::Method;
use serde::Deserialize;

use crate::client::Client;
use crate::request::{Request, path_of};
use crate::session::{is_true, number};
use crate::types::DataType;
use crate::xml::Element;
use crate::{Error, Result};

/// A table of the client's project.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    /// The schema, in a project that has schemas; there the service takes none as `default`.
    pub schema: Option<String>,
    /// The table.
    pub name: String,
}

impl TableName {
    /// A table, in a schema or not.
    pub fn new(schema: Option<&str>, name: impl Into<String>) -> Self {
        Self { schema: schema.map(str::to_owned), name: name.into() }
    }

    /// The path of its tunnel calls, which carry the schema in the path.
    pub(crate) fn tunnel_path(&self, project: &str) -> String {
        match &self.schema {
            Some(schema) => path_of(&["projects", project, "schemas", schema, "tables", &self.name]),
            None => path_of(&["projects", project, "tables", &self.name]),
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// A column of a table, as it is or as it is to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name; the service does not distinguish case.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// Whether it takes nulls.
    pub nullable: bool,
    /// Its comment; none when empty.
    pub comment: Option<String>,
}

/// A table as the service describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its columns in order, without the partition columns.
    pub columns: Vec<Column>,
    /// Its partition columns in order; empty when it is not partitioned.
    pub partition_keys: Vec<Column>,
    /// The primary key in key order; empty when there is none.
    pub primary_key: Vec<String>,
    /// Whether it is transactional.
    pub transactional: bool,
    /// The number of buckets, for display. For writing, a session's own number counts.
    pub buckets: Option<u32>,
    /// Its comment; none when empty.
    pub comment: Option<String>,
    /// Days after which the service drops it or its partitions.
    pub lifecycle_days: Option<u32>,
    /// Whether it is a view, which takes no rows.
    pub view: bool,
}

impl Table {
    /// Whether it takes upserts: a transactional table with a primary key.
    pub fn is_delta(&self) -> bool {
        self.transactional && !self.primary_key.is_empty()
    }
}

/// A table in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSummary {
    /// Its name.
    pub name: String,
    /// What it is, such as `MANAGED_TABLE`; empty when the service does not say.
    pub kind: String,
}

/// Entries that one page of a list has at most; what the service gives by default.
const PAGE_ITEMS: &str = "1000";
/// Pages of one list. A list of a million tables is a service that does not end its list.
const MAX_PAGES: usize = 1000;

impl Client {
    /// Describes a table; `None` when there is none of this name.
    ///
    /// ```no_run
    /// # use sluicebox_maxcompute::{Client, Result, TableName};
    /// # async fn example(client: Client) -> Result<()> {
    /// let table = client.describe(&TableName::new(Some("sales"), "orders")).await?;
    /// let takes_upserts = table.is_some_and(|table| table.is_delta());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn describe(&self, table: &TableName) -> Result<Option<Table>> {
        let request = self.table_request(table, "describe").query("extended", "");
        let Some(document) = self.read_if_there(&request).await? else { return Ok(None) };
        read_table(&document, &request.operation).map(Some)
    }

    /// Whether there is a table of this name.
    pub async fn table_exists(&self, table: &TableName) -> Result<bool> {
        Ok(self.read_if_there(&self.table_request(table, "look for")).await?.is_some())
    }

    /// Whether a table has a partition, given as `ds='20240309',hh='01'`.
    pub async fn partition_exists(&self, table: &TableName, partition: &str) -> Result<bool> {
        let request = self.table_request(table, "look for a partition of").query("partition", partition);
        Ok(self.read_if_there(&request).await?.is_some())
    }

    /// Lists the tables of the project, or of one schema of it.
    pub async fn tables(&self, schema: Option<&str>) -> Result<Vec<TableSummary>> {
        let path = ["projects", self.project_name(), "tables"];
        let request =
            Request::rest(Method::GET, &path, "list tables".to_owned()).query_if("curr_schema", schema);
        let summary = |table: Element| TableSummary {
            name: table.text_of("Name").to_owned(),
            kind: table.text_of("Type").to_owned(),
        };
        Ok(self.list(&request, "Table").await?.into_iter().map(summary).collect())
    }

    /// Lists the partitions of a table, each as pairs of partition column and value in key order.
    pub async fn partitions(&self, table: &TableName) -> Result<Vec<Vec<(String, String)>>> {
        let request = self.table_request(table, "list partitions of").query("partitions", "");
        let values = |partition: Element| {
            let pair = |column: &Element| {
                let part = |name| column.attribute(name).unwrap_or_default().to_owned();
                (part("Name"), part("Value"))
            };
            partition.children("Column").map(pair).collect()
        };
        Ok(self.list(&request, "Partition").await?.into_iter().map(values).collect())
    }

    /// Reads all pages of a list.
    pub(crate) async fn list(&self, request: &Request, item: &str) -> Result<Vec<Element>> {
        let mut items = Vec::new();
        let mut marker = String::new();
        for _ in 0..MAX_PAGES {
            let request = request
                .clone()
                .query("expectmarker", "true")
                .query("maxitems", PAGE_ITEMS)
                .query_if("marker", Some(marker.as_str()).filter(|marker| !marker.is_empty()));
            let page = self.send(&request).await?.xml(&request.operation)?;
            items.extend(page.children(item).cloned());
            marker = page.text_of("Marker").to_owned();
            if marker.is_empty() {
                return Ok(items);
            }
        }
        Err(Error::malformed(&request.operation, "a list without an end"))
    }

    fn table_request(&self, table: &TableName, what: &str) -> Request {
        let path = ["projects", self.project_name(), "tables", &table.name];
        Request::rest(Method::GET, &path, format!("{what} `{table}`"))
            .query_if("curr_schema", table.schema.as_deref())
    }

    /// Reads a document. Status 404 says that the object is not there; a project that is not there is an error.
    pub(crate) async fn read_if_there(&self, request: &Request) -> Result<Option<Element>> {
        match self.send(request).await {
            Ok(answered) => answered.xml(&request.operation).map(Some),
            Err(Error::NotFound(answer)) if answer.code != "NoSuchProject" => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The JSON inside of the table document.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawTable {
    #[serde(default)]
    columns: Vec<RawColumn>,
    #[serde(default)]
    partition_keys: Vec<RawColumn>,
    comment: Option<String>,
    lifecycle: Option<i64>,
    #[serde(default)]
    is_virtual_view: bool,
    /// A JSON document in a text.
    #[serde(rename = "Reserved")]
    reserved: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawColumn {
    name: String,
    #[serde(rename = "type")]
    data_type: String,
    comment: Option<String>,
    is_nullable: Option<bool>,
}

/// What only the extended form has.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawReserved {
    transactional: Option<serde_json::Value>,
    #[serde(default)]
    primary_key: Vec<String>,
    bucket_num: Option<serde_json::Value>,
}

pub(crate) fn read_table(document: &Element, operation: &str) -> Result<Table> {
    let unreadable = |fault: serde_json::Error| Error::malformed(operation, fault);
    let raw: RawTable = serde_json::from_str(document.text_of("Schema")).map_err(unreadable)?;
    let reserved: RawReserved = match raw.reserved.as_deref().filter(|text| !text.is_empty()) {
        Some(text) => serde_json::from_str(text).map_err(unreadable)?,
        None => RawReserved::default(),
    };
    let columns = |raw: Vec<RawColumn>| -> Result<Vec<Column>> {
        raw.into_iter().map(|column| read_column(column, operation)).collect()
    };
    Ok(Table {
        columns: columns(raw.columns)?,
        partition_keys: columns(raw.partition_keys)?,
        primary_key: reserved.primary_key,
        transactional: reserved.transactional.as_ref().is_some_and(is_true),
        buckets: reserved.bucket_num.as_ref().and_then(number).and_then(|count| u32::try_from(count).ok()),
        comment: raw.comment.filter(|text| !text.is_empty()),
        lifecycle_days: raw.lifecycle.and_then(|days| u32::try_from(days).ok()).filter(|days| *days > 0),
        view: raw.is_virtual_view,
    })
}

fn read_column(raw: RawColumn, operation: &str) -> Result<Column> {
    let data_type = raw.data_type.parse().map_err(|fault| Error::malformed(operation, fault))?;
    Ok(Column {
        name: raw.name,
        data_type,
        nullable: raw.is_nullable.unwrap_or(true),
        comment: raw.comment.filter(|text| !text.is_empty()),
    })
}
