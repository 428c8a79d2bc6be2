//! A table while a statement is carried out: its columns, and the key among them.

use std::sync::Arc;

use sluicebox_model::{Column, TableId};

use super::apply::ApplyContext;
use super::column::{is_text, resolve_text};
use super::statement::{CharsetClause, ColumnDefinition, DdlError, KeyDefinition, KeyKind, same};
use crate::types::DeclaredType;

/// A column on its way through a statement.
#[derive(Clone)]
pub(super) struct Working {
    pub(super) column: Column,
    /// Its place in the key.
    pub(super) key: Option<usize>,
}

/// A table on its way through a statement.
pub(super) struct Table<'a> {
    pub(super) id: TableId,
    pub(super) columns: Vec<Working>,
    pub(super) context: &'a ApplyContext,
    /// What a column without a character set gets.
    pub(super) charset: Arc<str>,
}

impl Table<'_> {
    pub(super) fn fail<T>(&self, reason: impl Into<String>) -> Result<T, DdlError> {
        Err(DdlError { reason: reason.into(), tables: vec![self.id.clone()] })
    }

    pub(super) fn index_of(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|w| same(&w.column.name, name))
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
        })
    }

    fn has_key(&self) -> bool {
        self.columns.iter().any(|w| w.key.is_some())
    }

    pub(super) fn drop_key(&mut self) {
        self.columns.iter_mut().for_each(|w| w.key = None);
    }

    /// Makes the primary key, or a unique key without nullable columns where there is no key.
    pub(super) fn add_key(&mut self, key: &KeyDefinition) -> Result<(), DdlError> {
        if key.kind == KeyKind::Unique && (self.has_key() || key.columns.is_empty()) {
            return Ok(());
        }
        if key.if_not_exists && self.has_key() {
            return self.fail(
                "whether its key is the primary key is not known, so that IF NOT EXISTS cannot be decided",
            );
        }
        if let Some(period) = &key.period {
            return self.fail(format!("the columns of the period `{period}` in its key are not known"));
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

    pub(super) fn key_names(&self) -> Vec<Arc<str>> {
        let mut parts: Vec<_> =
            self.columns.iter().filter_map(|w| Some((w.key?, Arc::clone(&w.column.name)))).collect();
        parts.sort_by_key(|(order, _)| *order);
        parts.into_iter().map(|(_, name)| name).collect()
    }

    pub(super) fn key(&self) -> Vec<usize> {
        let mut parts: Vec<_> =
            self.columns.iter().enumerate().filter_map(|(at, w)| Some((w.key?, at))).collect();
        parts.sort_unstable();
        parts.into_iter().map(|(_, at)| at).collect()
    }
}
