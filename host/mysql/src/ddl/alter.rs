//! Reads the actions of `ALTER TABLE`.

use std::sync::Arc;

use sluicebox_model::ColumnDefault;

use super::column;
use super::cursor::Cursor;
use super::default::{self, DefaultClause};
use super::parse::{Clause, is_name, key_clause, table_option};
use super::statement::{AlterAction, CharsetClause, DdlError};

/// All actions, in order. Those that concern neither columns nor keys nor names nor rows become one `Other` each.
pub(super) fn actions(cursor: &mut Cursor<'_>) -> Result<Vec<AlterAction>, DdlError> {
    let mut actions = Vec::new();
    while !cursor.is_done() {
        action(cursor, &mut actions)?;
        while cursor.take_symbol(',') {}
    }
    resolve_periods(&mut actions);
    Ok(actions)
}

/// Tells new keys and columns of the periods that the same statement adds.
fn resolve_periods(actions: &mut [AlterAction]) {
    let periods: Vec<_> = actions
        .iter()
        .filter_map(|action| match action {
            AlterAction::AddPeriod(period) => Some(period.clone()),
            _ => None,
        })
        .collect();
    for period in &periods {
        for action in actions.iter_mut() {
            match action {
                AlterAction::AddKey(key) => key.resolve(period),
                AlterAction::AddColumns { columns, .. } => {
                    columns.iter_mut().for_each(|(column, _)| column.resolve(period));
                }
                _ => {}
            }
        }
    }
}

fn action(cursor: &mut Cursor<'_>, actions: &mut Vec<AlterAction>) -> Result<(), DdlError> {
    if cursor.take("add") {
        add(cursor, actions)?;
    } else if cursor.take("drop") {
        actions.push(drop(cursor)?);
    } else if cursor.take("modify") {
        actions.push(modify(cursor)?);
    } else if cursor.take("change") {
        actions.push(change(cursor)?);
    } else if cursor.take("rename") {
        actions.push(rename(cursor)?);
    } else if cursor.take("convert to") {
        actions.push(convert(cursor)?);
    } else if cursor.take("order by") || cursor.is("partition by") {
        // Both hold commas and are the last of their statement.
        cursor.skip_all();
        actions.push(AlterAction::Other);
    } else if let Some(action) = partitions(cursor)? {
        actions.push(action);
    } else if cursor.take("alter") {
        actions.push(alter(cursor)?);
    } else {
        options(cursor, actions)?;
    }
    Ok(())
}

fn add(cursor: &mut Cursor<'_>, actions: &mut Vec<AlterAction>) -> Result<(), DdlError> {
    if cursor.is("partition") {
        cursor.skip_all();
        actions.push(AlterAction::Other);
        return Ok(());
    }
    if cursor.take("system versioning") {
        actions.push(AlterAction::Other);
        return Ok(());
    }
    if !cursor.take("column") {
        let clause = key_clause(cursor)?;
        let is_column = matches!(clause, Clause::None);
        actions.extend(action_of(clause));
        if !is_column {
            return Ok(());
        }
    }
    let if_not_exists = cursor.take("if not exists");
    let mut columns = Vec::new();
    let mut keys = Vec::new();
    if cursor.take_symbol('(') {
        loop {
            match key_clause(cursor)? {
                Clause::None => columns.push(column::definition(cursor)?),
                clause => keys.extend(action_of(clause)),
            }
            if !cursor.take_symbol(',') {
                cursor.expect_symbol(')')?;
                break;
            }
        }
    } else {
        columns.push(column::definition(cursor)?);
    }
    actions.push(AlterAction::AddColumns { columns, if_not_exists });
    actions.append(&mut keys);
    Ok(())
}

fn action_of(clause: Clause) -> Option<AlterAction> {
    match clause {
        Clause::Key(key) => Some(AlterAction::AddKey(key)),
        Clause::Period(period) => Some(AlterAction::AddPeriod(period)),
        Clause::Skipped => Some(AlterAction::Other),
        Clause::None => None,
    }
}

fn drop(cursor: &mut Cursor<'_>) -> Result<AlterAction, DdlError> {
    if cursor.take("primary key") {
        return Ok(AlterAction::DropPrimaryKey);
    }
    if cursor.take("partition") {
        // The list of partitions holds commas.
        cursor.skip_all();
        return Ok(AlterAction::RowsChangeUnseen("DROP PARTITION"));
    }
    if cursor.take_any("index key constraint") {
        cursor.take("if exists");
        return Ok(dropped_key(cursor.name()?));
    }
    if cursor.is_any("foreign check") || cursor.is("system versioning") || cursor.is("period for") {
        cursor.skip_clause()?;
        return Ok(AlterAction::Other);
    }
    cursor.take("column");
    let if_exists = cursor.take("if exists");
    let name = cursor.column()?;
    // RESTRICT and CASCADE mean nothing here.
    cursor.take_any("restrict cascade");
    Ok(AlterAction::DropColumn { name, if_exists })
}

/// What dropping an index or a constraint of this name means.
pub(super) fn dropped_key(name: Arc<str>) -> AlterAction {
    match name.eq_ignore_ascii_case("primary") {
        true => AlterAction::DropPrimaryKey,
        false => AlterAction::DropKey(name),
    }
}

/// `ALTER [COLUMN] c SET DEFAULT x`, `... DROP DEFAULT`; what else is altered so concerns no values.
fn alter(cursor: &mut Cursor<'_>) -> Result<AlterAction, DdlError> {
    if cursor.is_any("index key check constraint") {
        cursor.skip_clause()?;
        return Ok(AlterAction::Other);
    }
    cursor.take("column");
    let if_exists = cursor.take("if exists");
    let name = cursor.column()?;
    let clause = if cursor.take("set default") {
        Some(default::clause(cursor)?)
    } else if cursor.take("drop default") {
        Some(DefaultClause::of(ColumnDefault::None))
    } else {
        None
    };
    cursor.skip_clause()?;
    Ok(clause.map_or(AlterAction::Other, |default| AlterAction::SetDefault { name, default, if_exists }))
}

fn modify(cursor: &mut Cursor<'_>) -> Result<AlterAction, DdlError> {
    cursor.take("column");
    let if_exists = cursor.take("if exists");
    let (definition, place) = column::definition(cursor)?;
    Ok(AlterAction::ChangeColumn { old: Arc::clone(&definition.name), definition, place, if_exists })
}

fn change(cursor: &mut Cursor<'_>) -> Result<AlterAction, DdlError> {
    cursor.take("column");
    let if_exists = cursor.take("if exists");
    let old = cursor.column()?;
    let (definition, place) = column::definition(cursor)?;
    Ok(AlterAction::ChangeColumn { old, definition, place, if_exists })
}

fn rename(cursor: &mut Cursor<'_>) -> Result<AlterAction, DdlError> {
    if cursor.take("column") {
        let if_exists = cursor.take("if exists");
        let old = cursor.column()?;
        if !cursor.take("to") {
            return cursor.fail("expected TO between the columns");
        }
        return Ok(AlterAction::RenameColumn { old, new: cursor.column()?, if_exists });
    }
    if cursor.take_any("index key") {
        let old = cursor.name()?;
        if !cursor.take("to") {
            return cursor.fail("expected TO between the indexes");
        }
        return Ok(AlterAction::RenameKey { old, new: cursor.name()? });
    }
    if !cursor.take_any("to as") {
        cursor.take_symbol('=');
    }
    Ok(AlterAction::RenameTable(cursor.table()?))
}

fn convert(cursor: &mut Cursor<'_>) -> Result<AlterAction, DdlError> {
    let Some(mut charset) = cursor.charset()? else {
        return cursor.fail("expected CHARACTER SET behind CONVERT TO");
    };
    if let Some(clause @ CharsetClause::Named(_)) = cursor.charset()? {
        charset = clause;
    }
    Ok(AlterAction::ConvertCharset(charset))
}

/// Actions on partitions, whose lists hold commas; each of them is the last of its statement.
fn partitions(cursor: &mut Cursor<'_>) -> Result<Option<AlterAction>, DdlError> {
    let action = if cursor.is("truncate partition") {
        AlterAction::RowsChangeUnseen("TRUNCATE PARTITION")
    } else if cursor.is("exchange partition") {
        AlterAction::RowsChangeUnseen("EXCHANGE PARTITION")
    } else if cursor.is("convert partition") || cursor.is("convert table") {
        AlterAction::RowsChangeUnseen("CONVERT PARTITION")
    } else if cursor.is("import tablespace")
        || cursor.is("import partition")
        || cursor.is("discard partition")
    {
        AlterAction::RowsChangeUnseen("IMPORT TABLESPACE")
    } else if cursor.is("discard tablespace") {
        AlterAction::RowsChangeUnseen("DISCARD TABLESPACE")
    } else if cursor.is_any("reorganize coalesce analyze check optimize rebuild repair")
        || cursor.is("remove partitioning")
        || cursor.is("upgrade partitioning")
    {
        AlterAction::Other
    } else {
        return Ok(None);
    };
    cursor.skip_all();
    Ok(Some(action))
}

/// Options of the table, with or without commas between them, up to the next comma.
fn options(cursor: &mut Cursor<'_>, actions: &mut Vec<AlterAction>) -> Result<(), DdlError> {
    let mut charset = CharsetClause::Unsaid;
    let mut comment = None;
    if !is_name(cursor) {
        return cursor.fail("expected an action of ALTER TABLE");
    }
    while !cursor.is_done() && !cursor.is_symbol(',') {
        if cursor.is("partition by") {
            cursor.skip_all();
        } else if !table_option(cursor, &mut charset, &mut comment)? {
            cursor.skip()?;
        }
    }
    let before = actions.len();
    if charset != CharsetClause::Unsaid {
        actions.push(AlterAction::DefaultCharset(charset));
    }
    if let Some(comment) = comment {
        actions.push(AlterAction::Comment(comment));
    }
    if actions.len() == before {
        actions.push(AlterAction::Other);
    }
    Ok(())
}
