//! Texts of statements that create and change tables. Nothing here talks to the service; run them with
//! [`Client::run`](crate::Client::run) and [`Hints::modern`](crate::Hints::modern).
//!
//! Names are in back quotes with a back quote inside doubled; texts in single quotes with `'` and `\` escaped. Control
//! characters have no form in a statement's XML and are left out of comments.

use crate::table::{Column, TableName};
use crate::types::DataType;

/// A table to create: a Delta table when it has a primary key, partitioned when it has partition keys.
///
/// ```
/// use sluicebox_maxcompute::statement::{TableDefinition, create_table};
/// use sluicebox_maxcompute::{Column, DataType, TableName};
///
/// let day = Column { name: "ds".to_owned(), data_type: DataType::String, nullable: true, comment: None };
/// let page = Column { comment: Some("as it's called".to_owned()), name: "page".to_owned(), ..day.clone() };
/// let definition =
///     TableDefinition { columns: vec![page], partition_keys: vec![day], ..TableDefinition::default() };
/// assert_eq!(
///     create_table("my_project", &TableName::new(None, "visits"), &definition),
///     "CREATE TABLE IF NOT EXISTS `my_project`.`visits` (`page` STRING COMMENT 'as it\\'s called') \
///      PARTITIONED BY (`ds` STRING);"
/// );
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableDefinition {
    /// Columns without the partition columns.
    pub columns: Vec<Column>,
    /// Partition columns.
    pub partition_keys: Vec<Column>,
    /// The primary key; with one it becomes a Delta table. Its columns are created NOT NULL.
    pub primary_key: Vec<String>,
    /// Buckets of a Delta table; the service's default when not given.
    pub buckets: Option<u32>,
    /// Comment of the table.
    pub comment: Option<String>,
    /// Days after which the service drops the table or its partitions.
    pub lifecycle_days: Option<u32>,
    /// Further table properties.
    pub properties: Vec<(String, String)>,
}

/// Creates a table unless it exists: a Delta table when there is a primary key, else an ordinary one.
pub fn create_table(project: &str, table: &TableName, definition: &TableDefinition) -> String {
    let is_key = |name: &str| definition.primary_key.iter().any(|key| key.eq_ignore_ascii_case(name));
    let columns: Vec<_> = definition
        .columns
        .iter()
        .map(|column| column_definition(column, !column.nullable || is_key(&column.name)))
        .collect();
    let mut text = format!("CREATE TABLE IF NOT EXISTS {} ({}", qualified(project, table), columns.join(","));
    let mut properties = definition.properties.clone();
    if !definition.primary_key.is_empty() {
        let keys: Vec<_> = definition.primary_key.iter().map(|name| quoted(name)).collect();
        text += &format!(", PRIMARY KEY({})", keys.join(","));
        properties.push(("transactional".to_owned(), "true".to_owned()));
        if let Some(buckets) = definition.buckets {
            properties.push(("write.bucket.num".to_owned(), buckets.to_string()));
        }
    }
    text.push(')');
    if let Some(comment) = &definition.comment {
        text += &format!(" COMMENT {}", literal(comment));
    }
    if !definition.partition_keys.is_empty() {
        let keys: Vec<_> =
            definition.partition_keys.iter().map(|key| column_definition(key, false)).collect();
        text += &format!(" PARTITIONED BY ({})", keys.join(","));
    }
    if !properties.is_empty() {
        let pairs: Vec<_> =
            properties.iter().map(|(name, value)| format!("{}={}", literal(name), literal(value))).collect();
        text += &format!(" TBLPROPERTIES({})", pairs.join(","));
    }
    if let Some(days) = definition.lifecycle_days {
        text += &format!(" LIFECYCLE {days}");
    }
    text + ";"
}

/// Adds columns behind the others. The service takes them as nullable only.
pub fn add_columns(project: &str, table: &TableName, columns: &[Column]) -> String {
    let columns: Vec<_> = columns.iter().map(|column| column_definition(column, false)).collect();
    format!("ALTER TABLE {} ADD COLUMNS ({});", qualified(project, table), columns.join(","))
}

/// Renames a column.
pub fn rename_column(project: &str, table: &TableName, from: &str, to: &str) -> String {
    format!(
        "ALTER TABLE {} CHANGE COLUMN {} RENAME TO {};",
        qualified(project, table),
        quoted(from),
        quoted(to)
    )
}

/// Drops columns.
pub fn drop_columns(project: &str, table: &TableName, names: &[&str]) -> String {
    let names: Vec<_> = names.iter().map(|name| quoted(name)).collect();
    format!("ALTER TABLE {} DROP COLUMNS {};", qualified(project, table), names.join(","))
}

/// Gives a column another type, and another comment when there is one.
pub fn change_type(
    project: &str,
    table: &TableName,
    column: &str,
    data_type: &DataType,
    comment: Option<&str>,
) -> String {
    let (table, column) = (qualified(project, table), quoted(column));
    let comment = comment.map(|text| format!(" COMMENT {}", literal(text))).unwrap_or_default();
    format!("ALTER TABLE {table} CHANGE COLUMN {column} {column} {data_type}{comment};")
}

/// Lets a column take nulls. There is no way back.
pub fn set_nullable(project: &str, table: &TableName, column: &str) -> String {
    format!("ALTER TABLE {} CHANGE COLUMN {} NULL;", qualified(project, table), quoted(column))
}

/// Sets the comment of a table.
pub fn set_comment(project: &str, table: &TableName, comment: &str) -> String {
    format!("ALTER TABLE {} SET COMMENT {};", qualified(project, table), literal(comment))
}

/// Deletes all rows of a table.
pub fn truncate_table(project: &str, table: &TableName) -> String {
    format!("TRUNCATE TABLE {};", qualified(project, table))
}

/// Drops a table if it exists.
pub fn drop_table(project: &str, table: &TableName) -> String {
    format!("DROP TABLE IF EXISTS {};", qualified(project, table))
}

/// Renames a table within its schema.
pub fn rename_table(project: &str, table: &TableName, to: &str) -> String {
    format!("ALTER TABLE {} RENAME TO {};", qualified(project, table), quoted(to))
}

/// Creates a schema unless it exists.
pub fn create_schema(project: &str, schema: &str) -> String {
    format!("CREATE SCHEMA IF NOT EXISTS {}.{};", quoted(project), quoted(schema))
}

/// Creates a partition unless it exists; `values` are pairs of partition column and value, in key order.
pub fn add_partition(project: &str, table: &TableName, values: &[(&str, &str)]) -> String {
    let values: Vec<_> =
        values.iter().map(|(name, value)| format!("{}={}", quoted(name), literal(value))).collect();
    format!("ALTER TABLE {} ADD IF NOT EXISTS PARTITION ({});", qualified(project, table), values.join(","))
}

/// A table with its project, and its schema if it has one, in back quotes.
pub fn qualified(project: &str, table: &TableName) -> String {
    let parts = [Some(project), table.schema.as_deref(), Some(table.name.as_str())];
    let parts: Vec<_> = parts.into_iter().flatten().map(quoted).collect();
    parts.join(".")
}

/// A name in back quotes.
pub fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text in single quotes.
pub fn literal(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('\'');
    for character in carried(text).chars() {
        if matches!(character, '\'' | '\\') {
            literal.push('\\');
        }
        literal.push(character);
    }
    literal.push('\'');
    literal
}

/// What of a text a statement can carry: all but control characters, which XML 1.0 has no form for.
pub(crate) fn carried(text: &str) -> String {
    text.chars().filter(|character| matches!(character, '\n' | '\t') || !character.is_control()).collect()
}

fn column_definition(column: &Column, not_null: bool) -> String {
    let not_null = if not_null { " NOT NULL" } else { "" };
    let comment =
        column.comment.as_ref().map(|text| format!(" COMMENT {}", literal(text))).unwrap_or_default();
    format!("{} {}{not_null}{comment}", quoted(&column.name), column.data_type)
}
