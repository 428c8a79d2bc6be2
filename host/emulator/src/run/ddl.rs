//! Statements that define tables.

use super::Context;
use crate::fault::Fault;
use crate::sql::ast::{Change, ColumnDef, CreateTable, NameParts, PartitionSpec};
use crate::store::{Column, Store, Table, TableName};

/// Columns per table and levels of partitions, the service's limits.
const MAX_COLUMNS: usize = 1200;
const MAX_PARTITION_LEVELS: usize = 6;

/// Bytes of a name, the service's limit.
const MAX_NAME_BYTES: usize = 128;

/// The service's largest bucket number is not known; above this a session document is only large.
const MAX_BUCKETS: u32 = 4096;

pub(super) fn create_table(store: &Store, context: &Context, create: CreateTable) -> Result<(), Fault> {
    let name = context.resolve(store, &create.table)?;
    if !store.catalog().has_schema(&name.project, &name.schema) {
        return Err(Fault::NoSuchSchema(name.schema));
    }
    let if_not_exists = create.if_not_exists;
    let table = define(name, create, context.now_s())?;
    let name = table.name.clone();
    if store.create_table(table, context.now_s())? || if_not_exists {
        Ok(())
    } else {
        Err(Fault::semantic(format!("table {name} already exists")))
    }
}

/// Refuses what the service does not take as the name of a schema, table or column.
pub(crate) fn require_name(name: &str) -> Result<(), Fault> {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let begins_well = name.bytes().next().is_some_and(|first| !first.is_ascii_digit());
    if plain && begins_well && name.len() <= MAX_NAME_BYTES {
        return Ok(());
    }
    Err(Fault::semantic(format!(
        "`{name}` is no name: those have letters, digits and underscores, no digit in front, and at most \
         {MAX_NAME_BYTES} bytes"
    )))
}

/// Gives a table definition its meaning, or says what is wrong with it.
fn define(name: TableName, create: CreateTable, now_s: i64) -> Result<Table, Fault> {
    require_name(&name.table)?;
    require_distinct(create.columns.iter().chain(&create.partition_columns))?;
    if create.columns.len() > MAX_COLUMNS {
        return Err(Fault::semantic(format!("a table has at most {MAX_COLUMNS} columns")));
    }
    if create.partition_columns.len() > MAX_PARTITION_LEVELS {
        return Err(Fault::semantic(format!("a table has at most {MAX_PARTITION_LEVELS} partition columns")));
    }
    if let Some(column) = create.partition_columns.iter().find(|c| !c.kind.may_be_partition()) {
        return Err(Fault::semantic(format!("partition column {} has type {}", column.name, column.kind)));
    }
    let columns = number(create.columns, &create.primary_key);
    let partition_columns = number(create.partition_columns, &[]);
    let next_column_id = u32::try_from(columns.len()).unwrap_or(u32::MAX).saturating_add(1);
    let table = Table {
        id: 0,
        name,
        columns,
        partition_columns,
        primary_key: create.primary_key,
        properties: create.properties,
        comment: create.comment,
        lifecycle: create.lifecycle,
        created_s: now_s,
        last_ddl_s: now_s,
        schema_version: 0,
        evolved: false,
        next_column_id,
    };
    check_key(&table)?;
    Ok(table)
}

fn require_distinct<'a>(columns: impl Iterator<Item = &'a ColumnDef>) -> Result<(), Fault> {
    let mut seen = std::collections::HashSet::new();
    for column in columns {
        require_name(&column.name)?;
        if !seen.insert(column.name.as_str()) {
            return Err(Fault::semantic(format!("column {} is defined twice", column.name)));
        }
    }
    Ok(())
}

/// Columns with their ids. Key columns are never null, also when the statement does not say so.
fn number(columns: Vec<ColumnDef>, primary_key: &[String]) -> Vec<Column> {
    let column = |(id, def): (u32, ColumnDef)| Column {
        id,
        nullable: !def.not_null && !primary_key.contains(&def.name),
        name: def.name,
        kind: def.kind,
        comment: def.comment.unwrap_or_default(),
    };
    (1..).zip(columns).map(column).collect()
}

fn check_key(table: &Table) -> Result<(), Fault> {
    for key in &table.primary_key {
        let column = table.column(key);
        let column =
            column.ok_or_else(|| Fault::semantic(format!("primary key column {key} cannot be resolved")))?;
        if !column.kind.may_be_key() {
            return Err(Fault::semantic(format!("column {key} of type {} cannot be a key", column.kind)));
        }
    }
    if !table.primary_key.is_empty() && !table.is_transactional() {
        return Err(Fault::semantic("a primary key needs the table property 'transactional'='true'"));
    }
    if table.properties.contains_key("write.bucket.num") {
        let buckets = table.properties.get("write.bucket.num").and_then(|n| n.parse().ok());
        if !buckets.is_some_and(|buckets: u32| (1..=MAX_BUCKETS).contains(&buckets)) {
            return Err(Fault::semantic(format!("'write.bucket.num' must be 1 to {MAX_BUCKETS}")));
        }
    }
    Ok(())
}

pub(super) fn truncate(
    store: &Store,
    context: &Context,
    name: &NameParts,
    partition: Option<&[(String, String)]>,
) -> Result<(), Fault> {
    let name = context.resolve(store, name)?;
    let (table, part) = {
        let catalog = store.catalog();
        let table = catalog.table(&name)?;
        let part = match partition {
            None => None,
            Some(pairs) => Some(catalog.partition(&table, &table.partition_values(pairs)?)?.id),
        };
        (table, part)
    };
    store.truncate(&table, part, context.now_ms)
}

pub(super) fn alter(store: &Store, context: &Context, name: &NameParts, change: Change) -> Result<(), Fault> {
    let name = &context.resolve(store, name)?;
    let now_s = context.now_s();
    match change {
        Change::AddColumns { columns, if_not_exists } => {
            columns.iter().try_for_each(|column| require_name(&column.name))?;
            store.add_columns(name, columns, if_not_exists, now_s)
        }
        Change::DropColumns(columns) => store.drop_columns(name, &columns, now_s),
        Change::RenameColumn { from, to } => {
            require_name(&to)?;
            store.rename_column(name, &from, &to, now_s)
        }
        Change::RedefineColumn { from, to, kind, comment } => {
            require_name(&to)?;
            let to = ColumnDef { name: to, kind, not_null: false, comment };
            store.change_column(name, &from, to, now_s)
        }
        Change::CommentColumn { column, comment } => store.comment_column(name, &column, comment, now_s),
        Change::SetNullable(column) => store.set_nullable(name, &column, now_s),
        Change::SetComment(comment) => store.set_attributes(name, now_s, |table| {
            table.comment = comment;
            Ok(())
        }),
        Change::SetLifecycle(days) => store.set_attributes(name, now_s, |table| {
            table.lifecycle = Some(days);
            Ok(())
        }),
        Change::SetProperties(properties) => store.set_attributes(name, now_s, |table| {
            let fixed = ["transactional", "write.bucket.num"];
            if let Some(key) = fixed.into_iter().find(|key| properties.contains_key(*key)) {
                return Err(Fault::semantic(format!("table property '{key}' cannot be altered")));
            }
            table.properties.extend(properties);
            Ok(())
        }),
        Change::RenameTable(to) => store.set_attributes(name, now_s, |table| {
            require_name(&to)?;
            table.name.table = to;
            Ok(())
        }),
        Change::AddPartitions { specs, if_not_exists } => {
            add_partitions(store, name, &specs, if_not_exists, now_s)
        }
        Change::DropPartitions { specs, if_exists } => drop_partitions(store, name, &specs, if_exists),
    }
}

fn add_partitions(
    store: &Store,
    name: &TableName,
    specs: &[PartitionSpec],
    if_not_exists: bool,
    now_s: i64,
) -> Result<(), Fault> {
    let table = store.catalog().table(name)?;
    for spec in specs {
        let values = table.partition_values(spec)?;
        let (_, new) = store.ensure_partition(&table, &values, now_s)?;
        if !new && !if_not_exists {
            let spec = table.partition_text(&values);
            return Err(Fault::semantic(format!("partition {spec} already exists")));
        }
    }
    Ok(())
}

fn drop_partitions(
    store: &Store,
    name: &TableName,
    specs: &[PartitionSpec],
    if_exists: bool,
) -> Result<(), Fault> {
    let table = store.catalog().table(name)?;
    for spec in specs {
        let values = table.partition_values(spec)?;
        if !store.drop_partition(&table, &values)? && !if_exists {
            return Err(Fault::NoSuchPartition(table.partition_text(&values)));
        }
    }
    Ok(())
}
