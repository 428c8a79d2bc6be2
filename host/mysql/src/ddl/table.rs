//! A table while a statement is carried out: its columns and its unique keys.

use std::sync::Arc;

use sluicebox_model::{Column, ColumnDefault, TableId, TableSchema, UniqueKey};

use super::apply::ApplyContext;
use super::column::{is_text, resolve_text};
use super::statement::{CharsetClause, ColumnDefinition, DdlError, KeyDefinition, KeyKind, same};
use crate::keys;
use crate::types::DeclaredType;

/// A table on its way through a statement.
pub(super) struct Table<'a> {
    pub(super) id: TableId,
    pub(super) columns: Vec<Column>,
    pub(super) keys: Vec<UniqueKey>,
    pub(super) context: &'a ApplyContext,
    /// What a column without a character set gets.
    pub(super) charset: Arc<str>,
}

/// A table's unique keys. Of one whose key alone is known, that under no name.
pub(super) fn known_keys(schema: &TableSchema) -> Vec<UniqueKey> {
    if !schema.unique_keys.is_empty() || schema.key.is_empty() {
        return schema.unique_keys.clone();
    }
    let columns = schema.key_columns().map(|c| Arc::clone(&c.name)).collect();
    vec![UniqueKey { name: "".into(), columns }]
}

/// Whether it is a key of which nothing but its columns is known: perhaps the primary key.
fn is_nameless(key: &UniqueKey) -> bool {
    key.name.is_empty()
}

/// What a definition says of its column's default. A TIMESTAMP that says nothing of it, nor that it may be null, has had more than
/// one meaning.
fn default_of(definition: &ColumnDefinition) -> ColumnDefault {
    match &definition.default {
        Some(clause) => clause.resolve(&definition.declared),
        None if definition.declared.starts_with("timestamp") && definition.nullable != Some(true) => {
            ColumnDefault::Unknown
        }
        None => ColumnDefault::None,
    }
}

impl Table<'_> {
    pub(super) fn fail<T>(&self, reason: impl Into<String>) -> Result<T, DdlError> {
        Err(DdlError { reason: reason.into(), tables: vec![self.id.clone()] })
    }

    pub(super) fn index_of(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| same(&column.name, name))
    }

    pub(super) fn column(&self, definition: &ColumnDefinition) -> Result<Column, DdlError> {
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
            default: default_of(definition),
        })
    }

    /// Whether the column is NOT NULL, said or unsaid, as those of the primary key are.
    pub(super) fn is_primary_part(&self, column: &str) -> bool {
        let mut primary = self.keys.iter().filter(|key| keys::is_primary(key) || is_nameless(key));
        primary.any(|key| key.columns.iter().any(|part| same(part, column)))
    }

    fn has_key(&self) -> bool {
        !self.key().is_empty()
    }

    pub(super) fn drop_primary_key(&mut self) {
        self.keys.retain(|key| !keys::is_primary(key) && !is_nameless(key));
    }

    /// Drops a key; one that is not there may be an index that is not unique, or a constraint of another kind.
    pub(super) fn drop_key(&mut self, name: &str) {
        self.keys.retain(|key| !same(&key.name, name));
    }

    pub(super) fn rename_key(&mut self, old: &str, new: &Arc<str>) {
        for key in self.keys.iter_mut().filter(|key| same(&key.name, old)) {
            key.name = Arc::clone(new);
        }
    }

    /// Gives the keys' columns the names that `fate` tells, and takes those out that it knows nothing of.
    pub(super) fn rename_key_columns(&mut self, fate: impl Fn(&Arc<str>) -> Option<Arc<str>>) {
        for key in &mut self.keys {
            key.columns = key.columns.iter().filter_map(&fate).collect();
        }
        self.keys.retain(|key| !key.columns.is_empty());
    }

    /// Makes a primary or a unique key.
    pub(super) fn add_key(&mut self, key: &KeyDefinition) -> Result<(), DdlError> {
        // One of an expression is never the key.
        if key.columns.is_empty() && key.period.is_none() || key.if_not_exists && self.is_there(key)? {
            return Ok(());
        }
        let columns = match self.key_columns(key) {
            Ok(columns) => columns,
            // Beside the key it is of no account.
            Err(_) if key.kind == KeyKind::Unique && self.has_key() => return Ok(()),
            Err(error) => return Err(error),
        };
        if key.kind == KeyKind::Unique && key.beginnings.iter().any(|part| self.is_beginning(part)) {
            // The servers choose none of these as the key either.
            return Ok(());
        }
        if key.kind == KeyKind::Unique {
            let name = key.name.clone().unwrap_or_else(|| self.free_name(&columns[0]));
            self.keys.push(UniqueKey { name, columns });
            return Ok(());
        }
        for column in &mut self.columns {
            // Columns of a primary key are NOT NULL, said or unsaid.
            column.nullable &= !columns.contains(&column.name);
        }
        self.keys.retain(|key| !keys::is_primary(key));
        self.keys.push(keys::primary(columns));
        Ok(())
    }

    /// Whether so much of a column is less than all of it.
    fn is_beginning(&self, (column, length): &(Arc<str>, u64)) -> bool {
        let declared =
            self.index_of(column).and_then(|at| DeclaredType::parse(&self.columns[at].source_type));
        declared.and_then(|declared| declared.length).map(u64::from) != Some(*length)
    }

    /// Whether `IF NOT EXISTS` leaves the key alone.
    fn is_there(&self, key: &KeyDefinition) -> Result<bool, DdlError> {
        if key.kind == KeyKind::Primary {
            return match self.keys.iter().any(is_nameless) {
                true => self.fail(
                    "whether its key is the primary key is not known, so that IF NOT EXISTS cannot be decided",
                ),
                false => Ok(self.keys.iter().any(keys::is_primary)),
            };
        }
        let name = key.name.as_ref().or(key.columns.first());
        Ok(name.is_some_and(|name| self.keys.iter().any(|there| same(&there.name, name))))
    }

    /// The key's columns, as they are spelled in the table.
    fn key_columns(&self, key: &KeyDefinition) -> Result<Vec<Arc<str>>, DdlError> {
        if let Some(period) = &key.period {
            return self.fail(format!("the columns of the period `{period}` in its key are not known"));
        }
        let spelled = |name: &Arc<str>| match self.index_of(name) {
            Some(at) => Ok(Arc::clone(&self.columns[at].name)),
            None => self.fail(format!("the key names the column `{name}`, which is not there")),
        };
        key.columns.iter().map(spelled).collect()
    }

    /// The name that a key without one gets: that of its first column, or the first of `_2`, `_3`, … that is free. Indexes that
    /// are not unique take names too, and are not known here.
    fn free_name(&self, column: &Arc<str>) -> Arc<str> {
        let is_free = |name: &str| !self.keys.iter().any(|key| same(&key.name, name));
        if is_free(column) && !column.eq_ignore_ascii_case("PRIMARY") {
            return Arc::clone(column);
        }
        let numbered = (2..).map(|number: u32| format!("{column}_{number}")).find(|name| is_free(name));
        numbered.unwrap_or_default().into()
    }

    /// Places of the key's columns, in key order.
    pub(super) fn key(&self) -> Vec<usize> {
        keys::choose(&self.columns, &self.keys)
    }

    pub(super) fn key_names(&self) -> Vec<Arc<str>> {
        self.key().into_iter().map(|at| Arc::clone(&self.columns[at].name)).collect()
    }
}
