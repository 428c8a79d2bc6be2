//! Nouns of the catalog.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::wire::row::ColumnId;
use crate::wire::types::Type;

/// The schema of projects without schemas, and of names without one.
pub(crate) const DEFAULT_SCHEMA: &str = "default";

/// Buckets of a Delta table that does not say: what Flink CDC asks for by default.
const DEFAULT_BUCKETS: u32 = 16;

/// A full table name; all parts in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct TableName {
    pub(crate) project: String,
    pub(crate) schema: String,
    pub(crate) table: String,
}

impl TableName {
    pub(crate) fn new(project: &str, schema: &str, table: &str) -> Self {
        Self {
            project: project.to_ascii_lowercase(),
            schema: schema.to_ascii_lowercase(),
            table: table.to_ascii_lowercase(),
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.schema == DEFAULT_SCHEMA {
            write!(f, "{}.{}", self.project, self.table)
        } else {
            write!(f, "{}.{}.{}", self.project, self.schema, self.table)
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Column {
    /// Never changes and never returns; also the `column_id` of session documents.
    pub(crate) id: ColumnId,
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: Type,
    pub(crate) nullable: bool,
    pub(crate) comment: String,
}

/// A table as it is at one schema version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Table {
    pub(crate) id: i64,
    pub(crate) name: TableName,
    pub(crate) columns: Vec<Column>,
    pub(crate) partition_columns: Vec<Column>,
    /// Column names in key order; empty for tables without a key.
    pub(crate) primary_key: Vec<String>,
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) comment: String,
    pub(crate) lifecycle: Option<i64>,
    /// Seconds since the epoch.
    pub(crate) created_s: i64,
    pub(crate) last_ddl_s: i64,
    /// Grows with every change of the columns.
    pub(crate) schema_version: u64,
    /// Columns were dropped or changed their type; such tables take no stream uploads.
    pub(crate) evolved: bool,
    pub(crate) next_column_id: ColumnId,
}

impl Table {
    pub(crate) fn is_transactional(&self) -> bool {
        self.has_property("transactional")
    }

    /// Delta tables have a key and take upserts.
    pub(crate) fn is_delta(&self) -> bool {
        self.is_transactional() && !self.primary_key.is_empty()
    }

    /// Whether upserts may set some columns only.
    pub(crate) fn takes_partial_updates(&self) -> bool {
        self.has_property("acid.partial.fields.update.enable")
    }

    fn has_property(&self, name: &str) -> bool {
        self.properties.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    pub(crate) fn bucket_count(&self) -> u32 {
        self.properties
            .get("write.bucket.num")
            .and_then(|number| number.parse().ok())
            .unwrap_or(DEFAULT_BUCKETS)
    }

    pub(crate) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Positions of the key columns, in key order.
    pub(crate) fn key_positions(&self) -> Vec<usize> {
        let position = |name: &String| self.columns.iter().position(|column| column.name == *name);
        self.primary_key.iter().filter_map(position).collect()
    }

    pub(crate) fn column_ids(&self) -> Vec<ColumnId> {
        self.columns.iter().map(|column| column.id).collect()
    }

    /// Name of the table's row table.
    pub(crate) fn rows(&self) -> String {
        format!("rows_{}", self.id)
    }

    /// Values of the partition columns in their order. `pairs` may come in any order.
    pub(crate) fn partition_values(&self, pairs: &[(String, String)]) -> Result<Vec<String>, Fault> {
        if pairs.len() != self.partition_columns.len() || pairs.is_empty() {
            return Err(Fault::Invalid(format!(
                "the partition must name the {} partition columns of {}",
                self.partition_columns.len(),
                self.name
            )));
        }
        let value_of = |column: &Column| {
            let pair = pairs.iter().find(|(name, _)| name.eq_ignore_ascii_case(&column.name));
            pair.map(|(_, value)| value.clone())
                .ok_or_else(|| Fault::Invalid(format!("the partition lacks column `{}`", column.name)))
        };
        self.partition_columns.iter().map(value_of).collect()
    }

    /// `ds='1',region='x'`.
    pub(crate) fn partition_text(&self, values: &[String]) -> String {
        let pairs = self.partition_columns.iter().zip(values);
        pairs.map(|(column, value)| format!("{}='{value}'", column.name)).collect::<Vec<_>>().join(",")
    }
}

/// A partition of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Partition {
    /// Number in the `part` column of row tables; 0 stands for tables without partitions.
    pub(crate) id: i64,
    pub(crate) values: Vec<String>,
    pub(crate) created_s: i64,
}

/// Reads a `partition` parameter: `k1=v1,k2=v2`, values with or without quotes, `/` also separates.
pub(crate) fn parse_partition(text: &str) -> Result<Vec<(String, String)>, Fault> {
    let mut pairs = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let broken = || Fault::Invalid(format!("`{text}` is not a partition"));
        let (name, after) = rest.split_once('=').ok_or_else(broken)?;
        let after = after.trim_start();
        let (value, after) = match after.chars().next() {
            Some(quote @ ('\'' | '"')) => after[1..].split_once(quote).ok_or_else(broken)?,
            _ => after.split_at(after.find([',', '/']).unwrap_or(after.len())),
        };
        pairs.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        rest = after.trim_start().trim_start_matches([',', '/']).trim_start();
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_partition_says_the_same() {
        let want = vec![("ds".to_owned(), "1".to_owned()), ("region".to_owned(), "x".to_owned())];
        for text in ["ds=1,region=x", "ds='1',region='x'", "ds=1/region=x", "DS=\"1\", region = 'x'"] {
            assert_eq!(parse_partition(text).unwrap(), want, "{text}");
        }
        assert!(parse_partition("ds").is_err());
        assert!(parse_partition("ds='1").is_err());
        assert_eq!(parse_partition("ds='a,b/c'").unwrap()[0].1, "a,b/c");
    }
}
