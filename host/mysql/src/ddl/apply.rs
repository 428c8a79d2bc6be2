//! What a statement makes of a table.
//!
//! `ALTER TABLE` is carried out as the servers do it, which is not clause by clause: first the old columns are walked,
//! and each is dropped, replaced by its new definition or renamed, always found by its *old* name (so two columns can
//! exchange their names); then new columns, and changed ones with a place, go where they belong, and `AFTER` means a *new*
//! name. The changes are reported in the statement's own order.
//!
//! Which unique key is the key is decided anew behind every statement. Of a schema that tells no unique keys the key alone is
//! known: it stays the key until its columns go or become nullable.

use std::sync::Arc;

use sluicebox_model::{Column, ColumnPlace, SchemaChange, TableId, TableSchema};

use super::column::convert_text;
use super::statement::{
    AlterAction, CharsetClause, ColumnDefinition, CreateTable, DdlError, DdlStatement, KeyDefinition,
    KeyKind, Place, same,
};
use super::table::{Table, known_keys};
use crate::keys;
use crate::options::TypeOptions;
use crate::types::DeclaredType;

/// What must be known beside the table and the statement.
#[derive(Debug, Clone, Default)]
pub struct ApplyContext {
    /// What types mean.
    pub types: TypeOptions,
    /// The default character set of the table's database.
    pub database_charset: Option<Arc<str>>,
    /// The statement's text, to be kept with the schema.
    pub ddl: Option<Arc<str>>,
}

/// The character set of last resort: that of MySQL since 8.0 and of MariaDB since 11.6.
const LAST_CHARSET: &str = "utf8mb4";

/// A table after a statement, and the changes that led there.
pub type Applied = (Option<TableSchema>, Vec<SchemaChange>);

/// What the statement makes of the table: none when it is gone. `schema` is the table that the statement is about, none
/// when it is not known (which only `CREATE TABLE` may be).
///
/// # Errors
///
/// When a column is named that is not there, when a column's type has no place in the pipeline, when columns come
/// from a `SELECT`, and for `CREATE TABLE ... LIKE`, which [`apply_like`] does.
pub fn apply(
    schema: Option<&TableSchema>,
    statement: &DdlStatement,
    context: &ApplyContext,
) -> Result<Applied, DdlError> {
    match (statement, schema) {
        (DdlStatement::CreateTable(create), Some(there)) if create.if_not_exists => {
            Ok((Some(there.clone()), vec![]))
        }
        (DdlStatement::CreateTable(create), _) => {
            let made = created(create, context)?;
            Ok((Some(made), vec![SchemaChange::CreateTable]))
        }
        (DdlStatement::CreateTableLike { table, .. }, _) => Err(DdlError {
            reason: "the columns are those of another table".to_owned(),
            tables: vec![table.clone()],
        }),
        (DdlStatement::AlterTable { table, .. }, None) => {
            Err(DdlError { reason: "the table is not known".to_owned(), tables: vec![table.clone()] })
        }
        (DdlStatement::AlterTable { actions, .. }, Some(schema)) => altered(schema, actions, context),
        (DdlStatement::RenameTables(pairs), Some(schema)) => Ok(renamed(schema, pairs, context)),
        (DdlStatement::DropTables(tables), Some(schema)) if tables.contains(&schema.id) => {
            Ok((None, vec![SchemaChange::DropTable]))
        }
        (DdlStatement::DropDatabase(name), Some(schema)) if *name == schema.id.database => {
            Ok((None, vec![SchemaChange::DropTable]))
        }
        (DdlStatement::Truncate(table), Some(schema)) if *table == schema.id => {
            Ok((Some(schema.clone()), vec![SchemaChange::TruncateTable]))
        }
        (
            DdlStatement::RenameTables(_)
            | DdlStatement::DropTables(_)
            | DdlStatement::Truncate(_)
            | DdlStatement::CreateDatabase { .. }
            | DdlStatement::AlterDatabase { .. }
            | DdlStatement::DropDatabase(_)
            | DdlStatement::Dml { .. }
            | DdlStatement::Other,
            _,
        ) => Ok((schema.cloned(), Vec::new())),
    }
}

/// `CREATE TABLE ... LIKE`: the columns and the key of `pattern` under another name.
pub fn apply_like(pattern: &TableSchema, table: &TableId, context: &ApplyContext) -> Applied {
    let made = TableSchema { id: table.clone(), version: 1, ddl: context.ddl.clone(), ..pattern.clone() };
    (Some(made), vec![SchemaChange::CreateTable])
}

fn created(create: &CreateTable, context: &ApplyContext) -> Result<TableSchema, DdlError> {
    let database = || context.database_charset.clone().unwrap_or_else(|| LAST_CHARSET.into());
    let charset = match &create.charset {
        CharsetClause::Named(name) => Arc::clone(name),
        CharsetClause::Unsaid | CharsetClause::Default => database(),
    };
    let mut table =
        Table { id: create.table.clone(), columns: Vec::new(), keys: Vec::new(), context, charset };
    if create.as_select {
        return table.fail("its columns come from a SELECT");
    }
    for definition in &create.columns {
        let column = table.column(definition)?;
        table.columns.push(column);
    }
    for kind in [KeyKind::Primary, KeyKind::Unique] {
        for key in create.keys.iter().filter(|k| k.kind == kind) {
            table.add_key(key)?;
        }
    }
    for row_end in create.columns.iter().filter(|c| c.row_end) {
        for key in table.keys.iter_mut().filter(|key| !key.columns.iter().any(|c| same(c, &row_end.name))) {
            key.columns.push(Arc::clone(&row_end.name));
        }
    }
    keys::sort(&table.columns, &mut table.keys);
    Ok(TableSchema {
        id: table.id.clone(),
        version: 1,
        key: table.key(),
        columns: table.columns,
        unique_keys: table.keys,
        comment: create.comment.clone().filter(|c| !c.is_empty()),
        charset: Some(table.charset),
        ddl: context.ddl.clone(),
    })
}

fn renamed(schema: &TableSchema, pairs: &[(TableId, TableId)], context: &ApplyContext) -> Applied {
    let mut id = &schema.id;
    for (old, new) in pairs {
        if old == id {
            id = new;
        }
    }
    if *id == schema.id {
        return (Some(schema.clone()), Vec::new());
    }
    let change = SchemaChange::RenameTable { new: id.clone() };
    let made = TableSchema {
        id: id.clone(),
        version: schema.version + 1,
        ddl: context.ddl.clone().or_else(|| schema.ddl.clone()),
        ..schema.clone()
    };
    (Some(made), vec![change])
}

fn altered(
    schema: &TableSchema,
    actions: &[AlterAction],
    context: &ApplyContext,
) -> Result<Applied, DdlError> {
    let (id, columns, keys) = (schema.id.clone(), schema.columns.clone(), known_keys(schema));
    let charset = table_charset(schema, actions, context);
    let mut table = Table { id, columns, keys, context, charset };
    let old_key: Vec<Arc<str>> = schema.key_columns().map(|c| Arc::clone(&c.name)).collect();
    let mut changes = Vec::new();
    let mut comment = schema.comment.clone();
    let kept = walk_old_columns(&mut table, actions)?;
    let mut later = walk_actions(&mut table, kept, actions, &mut changes, &mut comment)?;
    change_keys(&mut table, actions)?;
    report_key(&table, &old_key, actions, &mut changes);
    if schema.charset.as_ref() != Some(&table.charset) {
        changes.push(SchemaChange::AlterCharset);
    }
    changes.append(&mut later);
    if changes.is_empty() && table.keys != known_keys(schema) {
        changes.push(SchemaChange::AlterUniqueKeys);
    }
    if changes.is_empty() && table.columns != schema.columns {
        changes.push(SchemaChange::AlterDefaults);
    }
    if changes.is_empty() {
        return Ok((Some(schema.clone()), changes));
    }
    let id = changes.iter().find_map(|c| match c {
        SchemaChange::RenameTable { new } => Some(new.clone()),
        _ => None,
    });
    let made = TableSchema {
        id: id.unwrap_or_else(|| table.id.clone()),
        version: schema.version + 1,
        key: table.key(),
        columns: table.columns,
        unique_keys: table.keys,
        comment,
        charset: Some(table.charset),
        ddl: context.ddl.clone().or_else(|| schema.ddl.clone()),
    };
    Ok((Some(made), changes))
}

/// The character set that columns without one get: what the statement sets, else the table's.
fn table_charset(schema: &TableSchema, actions: &[AlterAction], context: &ApplyContext) -> Arc<str> {
    let set = actions.iter().rev().find_map(|action| match action {
        AlterAction::ConvertCharset(clause) | AlterAction::DefaultCharset(clause) => Some(clause),
        _ => None,
    });
    let database = || context.database_charset.clone().unwrap_or_else(|| LAST_CHARSET.into());
    match set {
        Some(CharsetClause::Named(name)) => Arc::clone(name),
        Some(CharsetClause::Default | CharsetClause::Unsaid) => database(),
        None => schema.charset.clone().unwrap_or_else(database),
    }
}

/// Old columns under the names they had, so that every clause of the statement finds what it means.
struct Kept {
    old_names: Vec<Arc<str>>,
    old_columns: Vec<Column>,
}

/// Walks the old columns: each is dropped, replaced, renamed or kept. Columns that get a new place stay where they are until
/// their clause's turn comes, for a clause before it may put others behind them.
fn walk_old_columns(table: &mut Table<'_>, actions: &[AlterAction]) -> Result<Kept, DdlError> {
    let old_columns = table.columns.clone();
    let kept = Kept { old_names: old_columns.iter().map(|c| Arc::clone(&c.name)).collect(), old_columns };
    let mut columns = Vec::with_capacity(kept.old_columns.len());
    for old in &kept.old_columns {
        let name = &old.name;
        let mut next = Some(old.clone());
        for action in actions {
            match action {
                AlterAction::DropColumn { name: dropped, .. } if same(dropped, name) => next = None,
                AlterAction::RenameColumn { old: renamed, new, .. } if same(renamed, name) => {
                    if let Some(column) = &mut next {
                        column.name = Arc::clone(new);
                    }
                }
                AlterAction::ChangeColumn { old: changed, definition, .. } if same(changed, name) => {
                    next = Some(changed_column(table, old, definition, actions)?);
                }
                AlterAction::SetDefault { name: set, default, .. } if same(set, name) => {
                    if let Some(column) = &mut next {
                        column.default = default.resolve(&column.source_type);
                    }
                }
                AlterAction::AddPeriod(period) if period.has(name) => {
                    if let Some(column) = &mut next {
                        column.nullable = false;
                    }
                }
                AlterAction::ConvertCharset(_) => {
                    if let Some(column) = &mut next {
                        *column = converted(table, column)?;
                    }
                }
                _ => {}
            }
        }
        columns.extend(next);
    }
    table.columns = columns;
    Ok(kept)
}

/// The column under its new definition. A column of the primary key stays NOT NULL unless the statement says otherwise, or
/// drops the key.
fn changed_column(
    table: &Table<'_>,
    old: &Column,
    definition: &ColumnDefinition,
    actions: &[AlterAction],
) -> Result<Column, DdlError> {
    let mut column = table.column(definition)?;
    let keeps_key = table.is_primary_part(&old.name) && !actions.contains(&AlterAction::DropPrimaryKey);
    if keeps_key && definition.nullable.is_none() {
        column.nullable = false;
    }
    Ok(column)
}

/// The column after `CONVERT TO CHARACTER SET`; columns of bytes stay as they are.
fn converted(table: &Table<'_>, column: &Column) -> Result<Column, DdlError> {
    let Some(old) = &column.charset else { return Ok(column.clone()) };
    let (declared, charset) = convert_text(&column.source_type, old, &table.charset);
    let meaning = DeclaredType::parse(&declared).and_then(|t| t.column_type(&table.context.types));
    let Some(column_type) = meaning else {
        return table.fail(format!("column `{}` cannot be converted", column.name));
    };
    Ok(Column { column_type, source_type: declared.into(), charset, ..column.clone() })
}

/// Walks the statement's clauses in order: places new and moved columns, and reports the changes. Gives those changes that
/// come after a change of the key.
fn walk_actions(
    table: &mut Table<'_>,
    kept: Kept,
    actions: &[AlterAction],
    changes: &mut Vec<SchemaChange>,
    comment: &mut Option<Arc<str>>,
) -> Result<Vec<SchemaChange>, DdlError> {
    let mut later = Vec::new();
    for action in actions {
        match action {
            AlterAction::AddColumns { columns, if_not_exists } => {
                let added = add_columns(table, columns, *if_not_exists)?;
                changes.extend((!added.is_empty()).then_some(SchemaChange::AddColumns(added)));
            }
            AlterAction::ChangeColumn { old, definition, place, if_exists } => {
                let Some(found) = kept.find(old) else {
                    if *if_exists {
                        continue;
                    }
                    return table.fail(format!("column `{old}` is not there to be changed"));
                };
                let changed = changed_column(table, found, definition, actions)?;
                change_column(table, found, changed, place.as_ref(), changes)?;
            }
            AlterAction::RenameColumn { old, new, if_exists } => match kept.find(old) {
                Some(found) => {
                    changes.push(SchemaChange::RenameColumn { old: found.name.clone(), new: new.clone() });
                }
                None if *if_exists => {}
                None => return table.fail(format!("column `{old}` is not there to be renamed")),
            },
            AlterAction::DropColumn { name, if_exists } => match kept.find(name) {
                Some(found) => changes.push(SchemaChange::DropColumns(vec![found.name.clone()])),
                None if *if_exists => {}
                None => return table.fail(format!("column `{name}` is not there to be dropped")),
            },
            AlterAction::SetDefault { name, if_exists, .. } => {
                if kept.find(name).is_none() && !if_exists {
                    return table.fail(format!("column `{name}` is not there to get a default"));
                }
            }
            AlterAction::ConvertCharset(_) => report_changed(table, &kept.old_columns, changes),
            AlterAction::Comment(text) => {
                let text = (!text.is_empty()).then(|| Arc::clone(text));
                if *comment != text {
                    *comment = text;
                    changes.push(SchemaChange::AlterComment);
                }
            }
            AlterAction::RenameTable(new) if *new != table.id => {
                later.push(SchemaChange::RenameTable { new: new.clone() });
            }
            AlterAction::AddPeriod(period) => {
                let ends = [&period.start, &period.end].into_iter().filter_map(|name| kept.find(name));
                report_changed(table, ends, changes);
            }
            AlterAction::AddKey(_)
            | AlterAction::DropPrimaryKey
            | AlterAction::DropKey(_)
            | AlterAction::RenameKey { .. }
            | AlterAction::DefaultCharset(_)
            | AlterAction::RenameTable(_)
            | AlterAction::RowsChangeUnseen(_)
            | AlterAction::Other => {}
        }
    }
    Ok(later)
}

impl Kept {
    fn find(&self, name: &str) -> Option<&Column> {
        let at = self.old_names.iter().position(|old| same(old, name))?;
        self.old_columns.get(at)
    }
}

fn add_columns(
    table: &mut Table<'_>,
    definitions: &[(ColumnDefinition, Option<Place>)],
    if_not_exists: bool,
) -> Result<Vec<(Column, ColumnPlace)>, DdlError> {
    let mut added = Vec::with_capacity(definitions.len());
    for (definition, place) in definitions {
        if table.index_of(&definition.name).is_some() {
            if if_not_exists {
                continue;
            }
            return table.fail(format!("column `{}` is there already", definition.name));
        }
        let column = table.column(definition)?;
        let place = insert(table, column.clone(), place.as_ref())?;
        added.push((column, place));
    }
    Ok(added)
}

/// Puts a column in its place; gives the place with the name as it is spelled in the table.
fn insert(table: &mut Table<'_>, column: Column, place: Option<&Place>) -> Result<ColumnPlace, DdlError> {
    match place {
        None => {
            table.columns.push(column);
            Ok(ColumnPlace::Last)
        }
        Some(Place::First) => {
            table.columns.insert(0, column);
            Ok(ColumnPlace::First)
        }
        Some(Place::After(name)) => match table.index_of(name) {
            Some(at) => {
                let name = Arc::clone(&table.columns[at].name);
                table.columns.insert(at + 1, column);
                Ok(ColumnPlace::After(name))
            }
            None => table.fail(format!("column `{name}` is not there to stand behind")),
        },
    }
}

/// Puts a changed column in its new place, where it has one, and reports it.
fn change_column(
    table: &mut Table<'_>,
    found: &Column,
    changed: Column,
    place: Option<&Place>,
    changes: &mut Vec<SchemaChange>,
) -> Result<(), DdlError> {
    let (old_name, new_name) = (Arc::clone(&found.name), Arc::clone(&changed.name));
    let renames = !same(&old_name, &new_name);
    let mut new = changed.clone();
    if renames {
        new.name = Arc::clone(&old_name);
    }
    if place.is_some() {
        table.columns.retain(|c| !same(&c.name, &new_name));
        insert(table, changed, place)?;
    }
    changes.push(SchemaChange::AlterColumn { old: found.clone(), new });
    if renames {
        changes.push(SchemaChange::RenameColumn { old: old_name, new: new_name });
    }
    Ok(())
}

/// Reports those of the old columns that `CONVERT TO CHARACTER SET`, or a period, changed.
fn report_changed<'a>(
    table: &Table<'_>,
    old: impl IntoIterator<Item = &'a Column>,
    changes: &mut Vec<SchemaChange>,
) {
    for old in old {
        let Some(at) = table.index_of(&old.name) else { continue };
        let new = &table.columns[at];
        if new != old {
            changes.push(SchemaChange::AlterColumn { old: old.clone(), new: new.clone() });
        }
    }
}

/// Drops and makes keys, after the columns have their new names.
fn change_keys(table: &mut Table<'_>, actions: &[AlterAction]) -> Result<(), DdlError> {
    table.rename_key_columns(|name| {
        let drops =
            |action: &AlterAction| matches!(action, AlterAction::DropColumn { name: gone, .. } if same(gone, name));
        (!actions.iter().any(drops)).then(|| renamed_to(name, actions))
    });
    let mut keys = Vec::new();
    for action in actions {
        match action {
            AlterAction::DropPrimaryKey => table.drop_primary_key(),
            AlterAction::DropKey(name) => table.drop_key(name),
            AlterAction::RenameKey { old, new } => table.rename_key(old, new),
            AlterAction::AddKey(key) => keys.push(key.clone()),
            AlterAction::AddColumns { columns, .. } => {
                keys.extend(
                    columns.iter().filter_map(|(c, _)| Some(KeyDefinition::of_column(c.key?, &c.name))),
                );
            }
            AlterAction::ChangeColumn { definition, .. } => {
                keys.extend(definition.key.map(|kind| KeyDefinition::of_column(kind, &definition.name)));
            }
            _ => {}
        }
    }
    for kind in [KeyKind::Primary, KeyKind::Unique] {
        for key in keys.iter().filter(|k| k.kind == kind) {
            table.add_key(key)?;
        }
    }
    keys::sort(&table.columns, &mut table.keys);
    Ok(())
}

/// The name that a column of this name has behind the statement.
fn renamed_to(name: &Arc<str>, actions: &[AlterAction]) -> Arc<str> {
    let new = actions.iter().find_map(|action| match action {
        AlterAction::RenameColumn { old, new, .. } if same(old, name) => Some(Arc::clone(new)),
        AlterAction::ChangeColumn { old, definition, .. } if same(old, name) => {
            Some(Arc::clone(&definition.name))
        }
        _ => None,
    });
    new.unwrap_or_else(|| Arc::clone(name))
}

/// Reports a key of other columns than before; a renamed column is still the same one.
fn report_key(
    table: &Table<'_>,
    old_key: &[Arc<str>],
    actions: &[AlterAction],
    changes: &mut Vec<SchemaChange>,
) {
    let expected: Vec<Arc<str>> = old_key.iter().map(|name| renamed_to(name, actions)).collect();
    if table.key_names() != expected {
        changes.push(SchemaChange::AlterKey);
    }
}
