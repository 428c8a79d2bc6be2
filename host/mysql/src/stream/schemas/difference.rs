//! What leads from one schema of a table to another where no statement says it.

use std::sync::Arc;

use sluicebox_model::{Column, ColumnPlace, SchemaChange, TableSchema};

/// What has to change about `old` so that it is `new`: columns are the same where their names are.
pub(super) fn difference(old: &TableSchema, new: &TableSchema) -> Vec<SchemaChange> {
    let mut changes = Vec::new();
    let gone: Vec<Arc<str>> =
        old.columns.iter().filter(|c| new.index_of(&c.name).is_none()).map(|c| Arc::clone(&c.name)).collect();
    for column in &new.columns {
        if let Some(was) = old
            .index_of(&column.name)
            .and_then(|at| old.columns.get(at))
            .filter(|was| !same_but_default(was, column))
        {
            changes.push(SchemaChange::AlterColumn { old: was.clone(), new: column.clone() });
        }
    }
    let mut added = Vec::new();
    for (at, column) in new.columns.iter().enumerate().filter(|(_, c)| old.index_of(&c.name).is_none()) {
        let place = match at.checked_sub(1).and_then(|at| new.columns.get(at)) {
            None => ColumnPlace::First,
            Some(_) if at + 1 == new.columns.len() => ColumnPlace::Last,
            Some(left) => ColumnPlace::After(Arc::clone(&left.name)),
        };
        added.push((column.clone(), place));
    }
    if !added.is_empty() {
        changes.push(SchemaChange::AddColumns(added));
    }
    if !gone.is_empty() {
        changes.push(SchemaChange::DropColumns(gone));
    }
    let names =
        |schema: &TableSchema| schema.key_columns().map(|c| c.name.to_lowercase()).collect::<Vec<_>>();
    if names(old) != names(new) {
        changes.push(SchemaChange::AlterKey);
    }
    if old.comment != new.comment {
        changes.push(SchemaChange::AlterComment);
    }
    if old.charset != new.charset {
        changes.push(SchemaChange::AlterCharset);
    }
    if changes.is_empty() && old.unique_keys != new.unique_keys {
        changes.push(SchemaChange::AlterUniqueKeys);
    }
    if changes.is_empty() && old.columns != new.columns {
        changes.push(SchemaChange::AlterDefaults);
    }
    changes
}

/// Whether two columns differ at most in what rows have that do not say.
fn same_but_default(old: &Column, new: &Column) -> bool {
    *old == Column { default: old.default.clone(), ..new.clone() }
}
