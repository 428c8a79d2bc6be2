//! What tables a server has, and what they look like now.
//!
//! Two queries answer for all tables at once, for servers with ten thousand of them. What `information_schema` says is
//! the present, not a place of the stream: whoever joins it with a stream has to know that no DDL lay between.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use mysql_async::{Params, Value};
use sluicebox_model::{Column, ColumnDefault, TableId, TableSchema, UniqueKey};

use crate::client::{Client, quote};
use crate::ddl::charset;
use crate::ddl::default::of_catalog as default_of_catalog;
use crate::error::MysqlError;
use crate::keys;
use crate::options::{Flavour, ServerInfo, TypeOptions};
use crate::types::DeclaredType;

/// Up to so many tables are named in the query; more are sorted out here, for a statement takes 65,535 parameters.
const MOST_NAMED: usize = 500;
/// Databases named in one query.
const MOST_DATABASES: usize = 1_000;

/// All base tables outside the system databases.
pub(crate) async fn tables(client: &mut Client) -> Result<Vec<TableId>, MysqlError> {
    named(client, "'BASE TABLE', 'SYSTEM VERSIONED'").await
}

/// All views outside the system databases.
pub(crate) async fn views(client: &mut Client) -> Result<Vec<TableId>, MysqlError> {
    named(client, "'VIEW'").await
}

async fn named(client: &mut Client, types: &str) -> Result<Vec<TableId>, MysqlError> {
    let statement = format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE IN ({types}) \
         AND TABLE_SCHEMA NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')"
    );
    let rows: Vec<(String, String)> = client.rows(&statement, "listing the tables").await?;
    let mut tables: Vec<_> =
        rows.into_iter().map(|(database, table)| TableId::new(database, table)).collect();
    tables.sort();
    Ok(tables)
}

/// About how many rows each base table has.
pub(crate) async fn row_estimates(client: &mut Client) -> Result<HashMap<TableId, u64>, MysqlError> {
    let statement = "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_ROWS FROM information_schema.TABLES \
                     WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') \
                     AND TABLE_SCHEMA NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')";
    let rows: Vec<(String, String, Option<u64>)> =
        client.rows(statement, "estimating the tables' sizes").await?;
    Ok(rows
        .into_iter()
        .map(|(database, table, rows)| (TableId::new(database, table), rows.unwrap_or(0)))
        .collect())
}

/// A table on its way to a schema.
#[derive(Default)]
struct Found {
    columns: Vec<Column>,
    comment: Option<Arc<str>>,
    charset: Option<Arc<str>>,
    keys: Vec<Key>,
}

/// A unique key: its name, and each part's column; none for an expression, and for the beginning of a column, which the servers
/// choose no key of either. (The primary key's columns count whole: what differs in its beginning differs.)
struct Key {
    name: String,
    parts: Vec<Option<Arc<str>>>,
}

/// The schemas of those of the tables that are there, in the order asked for.
pub(crate) async fn schemas(
    client: &mut Client,
    server: &ServerInfo,
    tables: &[TableId],
    types: &TypeOptions,
) -> Result<Vec<TableSchema>, MysqlError> {
    let wanted = Wanted::new(server, tables);
    let mut found: HashMap<TableId, Found> = HashMap::with_capacity(tables.len());
    for filter in wanted.filters() {
        read_tables(client, &filter, &wanted, &mut found).await?;
        read_columns(client, &filter, server.flavour, types, &wanted, &mut found).await?;
        read_keys(client, &filter, &wanted, &mut found).await?;
    }
    let mut schemas = Vec::with_capacity(found.len());
    for id in tables {
        let Some((id, found)) = found.remove_entry(&wanted.folded(id)) else { continue };
        let id = wanted.spelled(&id);
        if found.columns.is_empty() {
            continue;
        }
        let mut unique_keys = unique_keys(client, &id, found.keys).await?;
        keys::sort(&found.columns, &mut unique_keys);
        schemas.push(TableSchema {
            id,
            version: 1,
            key: keys::choose(&found.columns, &unique_keys),
            columns: found.columns,
            unique_keys,
            comment: found.comment,
            charset: found.charset,
            ddl: None,
        });
    }
    Ok(schemas)
}

/// The tables asked for, and how names compare.
struct Wanted {
    /// As compared, to as the caller spells it.
    tables: HashMap<TableId, TableId>,
    fold: bool,
}

/// A condition with its parameters.
struct Filter {
    condition: String,
    params: Vec<Value>,
}

impl Wanted {
    fn new(server: &ServerInfo, tables: &[TableId]) -> Self {
        let mut wanted = Self { tables: HashMap::new(), fold: server.lower_case_table_names != 0 };
        wanted.tables = tables.iter().map(|id| (wanted.folded(id), id.clone())).collect();
        wanted
    }

    fn folded(&self, id: &TableId) -> TableId {
        match self.fold {
            true => TableId::new(id.database.to_lowercase(), id.table.to_lowercase()),
            false => id.clone(),
        }
    }

    fn spelled(&self, folded: &TableId) -> TableId {
        self.tables.get(folded).unwrap_or(folded).clone()
    }

    /// The table of this name if it was asked for, as compared.
    fn take(&self, database: String, table: String) -> Option<TableId> {
        let id = self.folded(&TableId::new(database, table));
        self.tables.contains_key(&id).then_some(id)
    }

    fn filters(&self) -> Vec<Filter> {
        let databases: BTreeSet<&str> = self.tables.values().map(|id| &*id.database).collect();
        let databases: Vec<&str> = databases.into_iter().collect();
        databases
            .chunks(MOST_DATABASES)
            .map(|some| {
                let mut condition = format!("TABLE_SCHEMA IN ({})", marks(some.len()));
                let mut params: Vec<Value> = some.iter().map(|d| Value::from(*d)).collect();
                if self.tables.len() <= MOST_NAMED {
                    condition.push_str(&format!(" AND TABLE_NAME IN ({})", marks(self.tables.len())));
                    params.extend(self.tables.values().map(|id| Value::from(&*id.table)));
                }
                Filter { condition, params }
            })
            .collect()
    }
}

fn marks(count: usize) -> String {
    vec!["?"; count].join(", ")
}

impl Filter {
    fn params(&self) -> Params {
        Params::Positional(self.params.clone())
    }
}

async fn read_tables(
    client: &mut Client,
    filter: &Filter,
    wanted: &Wanted,
    found: &mut HashMap<TableId, Found>,
) -> Result<(), MysqlError> {
    let statement = format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_COMMENT, TABLE_COLLATION FROM information_schema.TABLES \
         WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') AND {}",
        filter.condition
    );
    let rows: Vec<(String, String, Option<String>, Option<String>)> =
        client.rows_with(&statement, filter.params(), "reading the tables' comments").await?;
    for (database, table, comment, collation) in rows {
        if let Some(id) = wanted.take(database, table) {
            let found = found.entry(id).or_default();
            found.comment = comment.filter(|c| !c.is_empty()).map(Arc::from);
            found.charset = collation.as_deref().and_then(charset::of_collation);
        }
    }
    Ok(())
}

/// database, table, column, type, nullable, character set, comment, default, extra
type ColumnRow =
    (String, String, String, String, String, Option<String>, Option<String>, Option<Vec<u8>>, String);

async fn read_columns(
    client: &mut Client,
    filter: &Filter,
    flavour: Flavour,
    types: &TypeOptions,
    wanted: &Wanted,
    found: &mut HashMap<TableId, Found>,
) -> Result<(), MysqlError> {
    let statement = format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, CAST(COLUMN_TYPE AS CHAR), IS_NULLABLE, CHARACTER_SET_NAME, \
         CAST(COLUMN_COMMENT AS CHAR), COLUMN_DEFAULT, EXTRA FROM information_schema.COLUMNS WHERE {} \
         ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION",
        filter.condition
    );
    let rows: Vec<ColumnRow> =
        client.rows_with(&statement, filter.params(), "reading the tables' columns").await?;
    for (database, table, name, declared, nullable, charset, comment, default, extra) in rows {
        let Some(id) = wanted.take(database, table) else { continue };
        // A view has columns, and no entry.
        let Some(table) = found.get_mut(&id) else { continue };
        let meaning = DeclaredType::parse(&declared).and_then(|t| t.column_type(types));
        let Some(column_type) = meaning else {
            return Err(MysqlError::UnsupportedType { table: wanted.spelled(&id), column: name, declared });
        };
        table.columns.push(Column {
            name: name.into(),
            column_type,
            nullable: nullable.eq_ignore_ascii_case("YES"),
            source_type: without_display_width(&declared).into(),
            charset: charset.map(|c| charset::canonical(&c)),
            comment: comment.filter(|c| !c.is_empty()).map(Arc::from),
            default: match default.map(String::from_utf8).transpose() {
                Ok(text) => default_of_catalog(flavour, &declared, text.as_deref(), &extra),
                Err(_) => ColumnDefault::Unknown,
            },
        });
    }
    Ok(())
}

/// The declared type without what says nothing about values: MariaDB and older MySQL show a width behind every integer, a
/// statement seldom has one, and a column is not another for that. Only `tinyint(1)` means something by it.
fn without_display_width(declared: &str) -> String {
    let (word, rest) = declared.split_once('(').unwrap_or((declared, ""));
    let is_integer = matches!(word, "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "year");
    match rest.split_once(')') {
        Some((_, attributes)) if is_integer && declared != "tinyint(1)" => format!("{word}{attributes}"),
        _ if word == "geomcollection" => "geometrycollection".to_owned(),
        _ => declared.to_owned(),
    }
}

/// database, table, index, column, how much of it
type KeyRow = (String, String, String, Option<String>, Option<u64>);

async fn read_keys(
    client: &mut Client,
    filter: &Filter,
    wanted: &Wanted,
    found: &mut HashMap<TableId, Found>,
) -> Result<(), MysqlError> {
    let statement = format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, COLUMN_NAME, SUB_PART FROM information_schema.STATISTICS \
         WHERE NON_UNIQUE = 0 AND {} ORDER BY TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX",
        filter.condition
    );
    let rows: Vec<KeyRow> = client.rows_with(&statement, filter.params(), "reading the tables' keys").await?;
    for (database, table, name, column, beginning) in rows {
        let Some(table) = wanted.take(database, table).and_then(|id| found.get_mut(&id)) else { continue };
        let is_whole = beginning.is_none() || keys::is_primary_name(&name);
        let part = column.filter(|_| is_whole).map(Arc::from);
        match table.keys.last_mut() {
            Some(key) if key.name == name => key.parts.push(part),
            _ => table.keys.push(Key { name, parts: vec![part] }),
        }
    }
    Ok(())
}

/// The unique keys of plain columns, in the table's own order.
async fn unique_keys(
    client: &mut Client,
    id: &TableId,
    found: Vec<Key>,
) -> Result<Vec<UniqueKey>, MysqlError> {
    let plain = |key: Key| {
        let columns = key.parts.into_iter().collect::<Option<Vec<_>>>()?;
        Some(UniqueKey { name: key.name.into(), columns })
    };
    let mut unique: Vec<UniqueKey> = found.into_iter().filter_map(plain).collect();
    if unique.iter().filter(|key| !keys::is_primary(key)).count() > 1 {
        let order = index_names(client, id).await?;
        unique.sort_by_key(|key| order.iter().position(|name| **name == *key.name));
    }
    Ok(unique)
}

/// The table's indexes in its own order, which only this statement shows.
async fn index_names(client: &mut Client, id: &TableId) -> Result<Vec<String>, MysqlError> {
    let statement = format!("SHOW INDEX FROM {}.{}", quote(&id.database), quote(&id.table));
    let rows: Vec<mysql_async::Row> = client.rows(&statement, "reading a table's keys").await?;
    Ok(rows.iter().filter_map(|row| row.get_opt::<String, _>("Key_name")?.ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declared_type_is_the_same_with_and_without_a_display_width() {
        for (declared, kept) in [
            ("int(11)", "int"),
            ("int(5) unsigned zerofill", "int unsigned zerofill"),
            ("bigint(20) unsigned", "bigint unsigned"),
            ("year(4)", "year"),
            ("tinyint(1)", "tinyint(1)"),
            ("tinyint(1) unsigned", "tinyint unsigned"),
            ("tinyint(4)", "tinyint"),
            ("bit(1)", "bit(1)"),
            ("decimal(10,2)", "decimal(10,2)"),
            ("enum('int(11)')", "enum('int(11)')"),
            ("geomcollection", "geometrycollection"),
            ("varchar(10)", "varchar(10)"),
            ("int", "int"),
        ] {
            assert_eq!(without_display_width(declared), kept, "{declared}");
        }
    }
}
