//! What a statement makes of a table.
//!
//! `ALTER TABLE` is carried out as the servers do it, which is not clause by clause: first the old columns are walked,
//! and each is dropped, replaced by its new definition or renamed, always found by its *old* name (so two columns can
//! exchange their names); then new columns, and changed ones with a place, go where they belong, and `AFTER` means a *new*
//! name. The changes are reported in the statement's own order.
//!
//! What a [`TableSchema`] does not hold has to be inferred: a key that stands in for a missing primary key stays the key
//! when indexes are dropped, because their names are not known here.

use std::sync::Arc;

use sluicebox_model::{Column, ColumnPlace, SchemaChange, TableId, TableSchema};

use super::column::{convert_text, is_text, resolve_text};
use super::statement::{
    AlterAction, CharsetClause, ColumnDefinition, CreateTable, DdlError, DdlStatement, KeyDefinition,
    KeyKind, Place,
};
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

/// A column on its way through a statement.
#[derive(Clone)]
struct Working {
    column: Column,
    /// Its place in the key.
    key: Option<usize>,
}

/// A table on its way through a statement.
struct Table<'a> {
    id: TableId,
    columns: Vec<Working>,
    context: &'a ApplyContext,
    /// What a column without a character set gets.
    charset: Arc<str>,
}

impl Table<'_> {
    fn fail<T>(&self, reason: impl Into<String>) -> Result<T, DdlError> {
        Err(DdlError { reason: reason.into(), tables: vec![self.id.clone()] })
    }

    fn index_of(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|w| same(&w.column.name, name))
    }

    fn column(&self, definition: &ColumnDefinition) -> Result<Column, DdlError> {
        let charset = match &definition.charset {
            CharsetClause::Named(name) => name,
            CharsetClause::Unsaid | CharsetClause::Default => &self.charset,
        };
        let (declared, charset) = match is_text(&definition.declared) {
            true => resolve_text(&definition.declared, charset),
            false => (definition.declared.clone(), None),
        };
        let meaning = DeclaredType::parse(&declared).and_then(|t| t.column_type(&self.context.types));
        let Some(column_type) = meaning else {
            return self.fail(format!(
                "column `{}` has the type `{declared}`, which is not supported",
                definition.name
            ));
        };
        Ok(Column {
            name: Arc::clone(&definition.name),
            column_type,
            nullable: definition.nullable.unwrap_or(true) && definition.key != Some(KeyKind::Primary),
            source_type: declared.into(),
            charset,
            comment: definition.comment.clone(),
        })
    }

    fn has_key(&self) -> bool {
        self.columns.iter().any(|w| w.key.is_some())
    }

    fn drop_key(&mut self) {
        self.columns.iter_mut().for_each(|w| w.key = None);
    }

    /// Makes the primary key, or a unique key without nullable columns where there is no key.
    fn add_key(&mut self, key: &KeyDefinition) -> Result<(), DdlError> {
        if key.kind == KeyKind::Unique && (self.has_key() || key.columns.is_empty()) {
            return Ok(());
        }
        let mut places = Vec::with_capacity(key.columns.len());
        for name in &key.columns {
            match self.index_of(name) {
                Some(at) => places.push(at),
                None => return self.fail(format!("the key names the column `{name}`, which is not there")),
            }
        }
        if key.kind == KeyKind::Unique && places.iter().any(|&at| self.columns[at].column.nullable) {
            return Ok(());
        }
        self.drop_key();
        for (order, at) in places.into_iter().enumerate() {
            self.columns[at].key = Some(order);
            // Columns of a primary key are NOT NULL, said or unsaid.
            self.columns[at].column.nullable = false;
        }
        Ok(())
    }

    fn key_names(&self) -> Vec<Arc<str>> {
        let mut parts: Vec<_> =
            self.columns.iter().filter_map(|w| Some((w.key?, Arc::clone(&w.column.name)))).collect();
        parts.sort_by_key(|(order, _)| *order);
        parts.into_iter().map(|(_, name)| name).collect()
    }

    fn key(&self) -> Vec<usize> {
        let mut parts: Vec<_> =
            self.columns.iter().enumerate().filter_map(|(at, w)| Some((w.key?, at))).collect();
        parts.sort_unstable();
        parts.into_iter().map(|(_, at)| at).collect()
    }
}

fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || a.to_lowercase() == b.to_lowercase()
}

fn created(create: &CreateTable, context: &ApplyContext) -> Result<TableSchema, DdlError> {
    let database = || context.database_charset.clone().unwrap_or_else(|| LAST_CHARSET.into());
    let charset = match &create.charset {
        CharsetClause::Named(name) => Arc::clone(name),
        CharsetClause::Unsaid | CharsetClause::Default => database(),
    };
    let mut table = Table { id: create.table.clone(), columns: Vec::new(), context, charset };
    if create.as_select {
        return table.fail("its columns come from a SELECT");
    }
    for definition in &create.columns {
        let column = table.column(definition)?;
        table.columns.push(Working { column, key: None });
    }
    let inline = create.columns.iter().filter_map(|c| Some(key_of(c.key?, &c.name)));
    let all: Vec<KeyDefinition> = create.keys.iter().cloned().chain(inline.collect::<Vec<_>>()).collect();
    for kind in [KeyKind::Primary, KeyKind::Unique] {
        for key in all.iter().filter(|k| k.kind == kind) {
            table.add_key(key)?;
        }
    }
    let parts = table.key_names().len();
    if let Some(at) = create.columns.iter().position(|c| c.row_end).filter(|_| parts > 0) {
        table.columns[at].key.get_or_insert(parts);
    }
    let key = table.key();
    Ok(TableSchema {
        id: table.id,
        version: 1,
        columns: table.columns.into_iter().map(|w| w.column).collect(),
        key,
        comment: create.comment.clone().filter(|c| !c.is_empty()),
        charset: Some(table.charset),
        ddl: context.ddl.clone(),
    })
}

fn key_of(kind: KeyKind, column: &Arc<str>) -> KeyDefinition {
    KeyDefinition { kind, columns: vec![Arc::clone(column)] }
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
    let mut working: Vec<Working> =
        schema.columns.iter().map(|column| Working { column: column.clone(), key: None }).collect();
    for (order, &at) in schema.key.iter().enumerate() {
        if let Some(column) = working.get_mut(at) {
            column.key = Some(order);
        }
    }
    let charset = table_charset(schema, actions, context);
    let mut table = Table { id: schema.id.clone(), columns: working, context, charset };
    let old_key = table.key_names();
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
    if changes.is_empty() {
        return Ok((Some(schema.clone()), changes));
    }
    let id = changes.iter().find_map(|c| match c {
        SchemaChange::RenameTable { new } => Some(new.clone()),
        _ => None,
    });
    let key = table.key();
    let made = TableSchema {
        id: id.unwrap_or(table.id),
        version: schema.version + 1,
        key,
        columns: table.columns.into_iter().map(|w| w.column).collect(),
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
    old_columns: Vec<Working>,
}

/// Walks the old columns: each is dropped, replaced, renamed or kept. Columns that get a new place are taken out.
fn walk_old_columns(table: &mut Table<'_>, actions: &[AlterAction]) -> Result<Kept, DdlError> {
    let old_columns = table.columns.clone();
    let kept =
        Kept { old_names: old_columns.iter().map(|w| Arc::clone(&w.column.name)).collect(), old_columns };
    let mut columns = Vec::with_capacity(kept.old_columns.len());
    for old in &kept.old_columns {
        let name = &old.column.name;
        let mut next = Some(old.clone());
        for action in actions {
            match action {
                AlterAction::DropColumn { name: dropped, .. } if same(dropped, name) => next = None,
                AlterAction::RenameColumn { old: renamed, new, .. } if same(renamed, name) => {
                    if let Some(working) = &mut next {
                        working.column.name = Arc::clone(new);
                    }
                }
                AlterAction::ChangeColumn { old: changed, definition, place, .. } if same(changed, name) => {
                    next = match place {
                        Some(_) => None,
                        None => Some(changed_column(table, old, definition)?),
                    };
                }
                AlterAction::ConvertCharset(_) => {
                    if let Some(working) = &mut next {
                        working.column = converted(table, &working.column)?;
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

/// The column under its new definition. A column of the key stays NOT NULL unless the statement says otherwise.
fn changed_column(
    table: &Table<'_>,
    old: &Working,
    definition: &ColumnDefinition,
) -> Result<Working, DdlError> {
    let mut column = table.column(definition)?;
    if old.key.is_some() && definition.nullable.is_none() {
        column.nullable = false;
    }
    Ok(Working { column, key: old.key })
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
                change_column(table, &kept, old, definition, place.as_ref(), *if_exists, changes)?;
            }
            AlterAction::RenameColumn { old, new, if_exists } => match kept.find(old) {
                Some(found) => {
                    changes.push(SchemaChange::RenameColumn {
                        old: found.column.name.clone(),
                        new: new.clone(),
                    });
                }
                None if *if_exists => {}
                None => return table.fail(format!("column `{old}` is not there to be renamed")),
            },
            AlterAction::DropColumn { name, if_exists } => match kept.find(name) {
                Some(found) => changes.push(SchemaChange::DropColumns(vec![found.column.name.clone()])),
                None if *if_exists => {}
                None => return table.fail(format!("column `{name}` is not there to be dropped")),
            },
            AlterAction::ConvertCharset(_) => report_converted(table, &kept, changes),
            AlterAction::Comment(text) => {
                *comment = (!text.is_empty()).then(|| Arc::clone(text));
                changes.push(SchemaChange::AlterComment);
            }
            AlterAction::RenameTable(new) if *new != table.id => {
                later.push(SchemaChange::RenameTable { new: new.clone() });
            }
            AlterAction::AddKey(_)
            | AlterAction::DropPrimaryKey
            | AlterAction::DefaultCharset(_)
            | AlterAction::RenameTable(_)
            | AlterAction::RowsChangeUnseen(_)
            | AlterAction::Other => {}
        }
    }
    Ok(later)
}

impl Kept {
    fn find(&self, name: &str) -> Option<&Working> {
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
        let place = insert(table, Working { column: column.clone(), key: None }, place.as_ref())?;
        added.push((column, place));
    }
    Ok(added)
}

/// Puts a column in its place; gives the place with the name as it is spelled in the table.
fn insert(table: &mut Table<'_>, working: Working, place: Option<&Place>) -> Result<ColumnPlace, DdlError> {
    match place {
        None => {
            table.columns.push(working);
            Ok(ColumnPlace::Last)
        }
        Some(Place::First) => {
            table.columns.insert(0, working);
            Ok(ColumnPlace::First)
        }
        Some(Place::After(name)) => match table.index_of(name) {
            Some(at) => {
                let name = Arc::clone(&table.columns[at].column.name);
                table.columns.insert(at + 1, working);
                Ok(ColumnPlace::After(name))
            }
            None => table.fail(format!("column `{name}` is not there to stand behind")),
        },
    }
}

fn change_column(
    table: &mut Table<'_>,
    kept: &Kept,
    old: &Arc<str>,
    definition: &ColumnDefinition,
    place: Option<&Place>,
    if_exists: bool,
    changes: &mut Vec<SchemaChange>,
) -> Result<(), DdlError> {
    let Some(found) = kept.find(old) else {
        return match if_exists {
            true => Ok(()),
            false => table.fail(format!("column `{old}` is not there to be changed")),
        };
    };
    let changed = changed_column(table, found, definition)?;
    let renames = !same(&found.column.name, &definition.name);
    let mut new = changed.column.clone();
    if renames {
        new.name = Arc::clone(&found.column.name);
    }
    if place.is_some() {
        insert(table, changed, place)?;
    }
    changes.push(SchemaChange::AlterColumn { old: found.column.clone(), new });
    if renames {
        let (old, new) = (Arc::clone(&found.column.name), Arc::clone(&definition.name));
        changes.push(SchemaChange::RenameColumn { old, new });
    }
    Ok(())
}

/// Reports the columns that `CONVERT TO CHARACTER SET` changed.
fn report_converted(table: &Table<'_>, kept: &Kept, changes: &mut Vec<SchemaChange>) {
    for old in &kept.old_columns {
        let Some(at) = table.index_of(&old.column.name) else { continue };
        let new = &table.columns[at].column;
        if *new != old.column {
            changes.push(SchemaChange::AlterColumn { old: old.column.clone(), new: new.clone() });
        }
    }
}

/// Drops and makes keys, after the columns have their new names.
fn change_keys(table: &mut Table<'_>, actions: &[AlterAction]) -> Result<(), DdlError> {
    if actions.contains(&AlterAction::DropPrimaryKey) {
        table.drop_key();
    }
    // A key that stands in for the primary key does so only while none of its columns may be null.
    if table.columns.iter().any(|w| w.key.is_some() && w.column.nullable) {
        table.drop_key();
    }
    let mut keys = Vec::new();
    for action in actions {
        match action {
            AlterAction::AddKey(key) => keys.push(key.clone()),
            AlterAction::AddColumns { columns, .. } => {
                keys.extend(columns.iter().filter_map(|(c, _)| Some(key_of(c.key?, &c.name))));
            }
            AlterAction::ChangeColumn { definition, .. } => {
                keys.extend(definition.key.map(|kind| key_of(kind, &definition.name)));
            }
            _ => {}
        }
    }
    for kind in [KeyKind::Primary, KeyKind::Unique] {
        for key in keys.iter().filter(|k| k.kind == kind) {
            table.add_key(key)?;
        }
    }
    Ok(())
}

/// Reports a key of other columns than before; a renamed column is still the same one.
fn report_key(
    table: &Table<'_>,
    old_key: &[Arc<str>],
    actions: &[AlterAction],
    changes: &mut Vec<SchemaChange>,
) {
    let renamed = |name: &Arc<str>| {
        actions.iter().find_map(|action| match action {
            AlterAction::RenameColumn { old, new, .. } if same(old, name) => Some(Arc::clone(new)),
            AlterAction::ChangeColumn { old, definition, .. } if same(old, name) => {
                Some(Arc::clone(&definition.name))
            }
            _ => None,
        })
    };
    let expected: Vec<Arc<str>> =
        old_key.iter().map(|name| renamed(name).unwrap_or_else(|| Arc::clone(name))).collect();
    if table.key_names() != expected {
        changes.push(SchemaChange::AlterKey);
    }
}
