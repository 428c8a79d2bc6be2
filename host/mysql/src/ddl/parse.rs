//! Reads statements.
//!
//! Only what can change a table's columns, key, name or rows is read; everything else is [`DdlStatement::Other`] by its
//! first words, so that a new kind of statement about users or routines can never stop a pipeline.

use std::sync::Arc;

use sluicebox_model::TableId;

use super::alter;
use super::column;
use super::cursor::Cursor;
use super::lexer::Token;
use super::statement::{
    AlterAction, CharsetClause, CreateTable, DdlContext, DdlError, DdlStatement, KeyDefinition, KeyKind,
    PeriodDefinition,
};

/// Of a statement that cannot be cut into tokens so much is looked at; its first words and its table stand there.
const BROKEN_CHARACTERS: usize = 512;

/// Reads one statement as it stands in a binlog. Gives several where it does several things
/// (`CREATE OR REPLACE TABLE`), and none or [`DdlStatement::Other`] where it changes no table.
///
/// # Errors
///
/// When the statement begins like one that changes a table and goes on in a way that is not understood.
pub fn parse(statement: &str, context: &DdlContext<'_>) -> Result<Vec<DdlStatement>, DdlError> {
    let mut cursor = match Cursor::new(statement, context) {
        Ok(cursor) => cursor,
        Err(reason) => return broken(statement, context, reason),
    };
    skip_settings(&mut cursor)?;
    if cursor.take("create") {
        create(&mut cursor)
    } else if cursor.take("alter") {
        one(alter_statement(&mut cursor))
    } else if cursor.take("drop") {
        one(drop_statement(&mut cursor))
    } else if cursor.take("rename table") || cursor.take("rename tables") {
        one(rename(&mut cursor))
    } else if cursor.take("truncate") {
        cursor.take("table");
        let table = cursor.table()?;
        one(Ok(DdlStatement::Truncate(table)))
    } else {
        Ok(vec![dml(&mut cursor)])
    }
}

fn one(statement: Result<DdlStatement, DdlError>) -> Result<Vec<DdlStatement>, DdlError> {
    statement.map(|statement| vec![statement])
}

/// What a text that cannot even be cut is about: read up to where it breaks, so that a strange statement about accounts, or
/// about somebody else's table, can be told from one about ours.
fn broken(statement: &str, context: &DdlContext<'_>, reason: String) -> Result<Vec<DdlStatement>, DdlError> {
    let start: String = statement.chars().take(BROKEN_CHARACTERS).collect();
    let cut = start.char_indices().rev().find_map(|(at, _)| Cursor::new(&start[..at], context).ok());
    let Some(mut cursor) = cut else { return Err(DdlError { reason, tables: Vec::new() }) };
    if !concerns_tables(&mut cursor) {
        return Ok(vec![DdlStatement::Other]);
    }
    while !cursor.is_done() {
        if cursor.take("table") {
            cursor.take("if not exists");
            cursor.take("if exists");
            // The error is already known; only the name matters.
            let _ = cursor.table();
            break;
        }
        cursor.advance();
    }
    Err(DdlError { reason, tables: cursor.tables })
}

/// Whether a statement begins like one that could change a table or its rows.
fn concerns_tables(cursor: &mut Cursor<'_>) -> bool {
    if cursor.is("set statement") {
        return true;
    }
    if cursor.take_any("create alter drop rename") {
        cursor.take("or replace");
        return cursor.is_any(
            "table tables database schema online offline ignore unique fulltext spatial vector index",
        );
    }
    cursor.is_any("truncate insert replace update delete load call with")
}

/// MariaDB's `SET STATEMENT a = 1, b = 2 FOR`.
fn skip_settings(cursor: &mut Cursor<'_>) -> Result<(), DdlError> {
    if cursor.take("set statement") {
        while !cursor.is_done() && !cursor.take("for") {
            cursor.skip()?;
        }
    }
    Ok(())
}

fn create(cursor: &mut Cursor<'_>) -> Result<Vec<DdlStatement>, DdlError> {
    let replaces = cursor.take("or replace");
    if cursor.take("table") {
        return create_table(cursor, replaces);
    }
    if cursor.take_any("database schema") {
        cursor.take("if not exists");
        let name = cursor.name()?;
        let charset = database_charset(cursor)?;
        return one(Ok(DdlStatement::CreateDatabase { name, charset }));
    }
    // CREATE [OR REPLACE] [ONLINE|OFFLINE] [UNIQUE|FULLTEXT|SPATIAL|VECTOR] INDEX
    cursor.take_any("online offline");
    let unique = cursor.take("unique");
    cursor.take_any("fulltext spatial vector");
    if cursor.take("index") {
        return one(create_index(cursor, unique, replaces));
    }
    Ok(vec![DdlStatement::Other])
}

fn create_index(cursor: &mut Cursor<'_>, unique: bool, replaces: bool) -> Result<DdlStatement, DdlError> {
    let if_not_exists = cursor.take("if not exists");
    let name = cursor.name()?;
    while !cursor.is_done() && !cursor.take("on") {
        cursor.skip()?;
    }
    let table = cursor.table()?;
    let KeyParts { columns, beginnings, period } = key_parts(cursor)?;
    let mut actions: Vec<_> = replaces.then(|| AlterAction::DropKey(Arc::clone(&name))).into_iter().collect();
    let name = Some(name);
    actions.push(match unique {
        true => {
            let kind = KeyKind::Unique;
            AlterAction::AddKey(KeyDefinition { kind, name, columns, beginnings, period, if_not_exists })
        }
        false => AlterAction::Other,
    });
    Ok(DdlStatement::AlterTable { table, actions })
}

fn create_table(cursor: &mut Cursor<'_>, replaces: bool) -> Result<Vec<DdlStatement>, DdlError> {
    let if_not_exists = cursor.take("if not exists");
    let table = cursor.table()?;
    let mut statements: Vec<_> =
        replaces.then(|| DdlStatement::DropTables(vec![table.clone()])).into_iter().collect();
    let in_group = cursor.is_symbol('(');
    let start = cursor.place();
    cursor.take_symbol('(');
    if cursor.take("like") {
        let like = cursor.table()?;
        cursor.tables.pop();
        statements.push(DdlStatement::CreateTableLike { table, like, if_not_exists });
        return Ok(statements);
    }
    let mut create = CreateTable {
        table,
        if_not_exists,
        columns: Vec::new(),
        keys: Vec::new(),
        charset: CharsetClause::Unsaid,
        comment: None,
        as_select: false,
    };
    let is_query = cursor.is_any("select with values table") || cursor.is_symbol('(');
    if in_group && !is_query {
        elements(cursor, &mut create)?;
    } else {
        cursor.go_to(start);
    }
    create_tail(cursor, &mut create)?;
    if create.columns.is_empty() && !create.as_select {
        return cursor.fail("the table has no columns");
    }
    statements.push(DdlStatement::CreateTable(Box::new(create)));
    Ok(statements)
}

/// Columns and keys, up to and with the closing parenthesis.
fn elements(cursor: &mut Cursor<'_>, create: &mut CreateTable) -> Result<(), DdlError> {
    let mut periods = Vec::new();
    loop {
        match key_clause(cursor)? {
            Clause::Key(key) => create.keys.push(key),
            Clause::Period(period) => periods.push(period),
            Clause::Skipped => {}
            Clause::None => {
                let column = column::definition(cursor)?.0;
                create.keys.extend(column.key.map(|kind| KeyDefinition::of_column(kind, &column.name)));
                create.columns.push(column);
            }
        }
        if !cursor.take_symbol(',') {
            break;
        }
    }
    for period in &periods {
        create.keys.iter_mut().for_each(|key| key.resolve(period));
        create.columns.iter_mut().for_each(|column| column.resolve(period));
    }
    cursor.expect_symbol(')')
}

/// Table options, partitions, and the query whose rows the table begins with.
fn create_tail(cursor: &mut Cursor<'_>, create: &mut CreateTable) -> Result<(), DdlError> {
    while !cursor.is_done() {
        if table_option(cursor, &mut create.charset, &mut create.comment)? {
            continue;
        }
        if cursor.take("partition by") {
            skip_partitions(cursor)?;
        } else if cursor.take("union") {
            cursor.take_symbol('=');
            cursor.skip()?;
        } else if cursor.is_any("select with values as") || cursor.is_symbol('(') {
            create.as_select = true;
            cursor.skip_all();
        } else {
            cursor.skip()?;
        }
    }
    Ok(())
}

/// Skips `PARTITION BY ...` but stops before a query.
fn skip_partitions(cursor: &mut Cursor<'_>) -> Result<(), DdlError> {
    while !cursor.is_done() && !cursor.is_any("select with as") {
        cursor.skip()?;
    }
    Ok(())
}

/// One option of a table that matters here; false when something else stands there.
pub(super) fn table_option(
    cursor: &mut Cursor<'_>,
    charset: &mut CharsetClause,
    comment: &mut Option<Arc<str>>,
) -> Result<bool, DdlError> {
    let start = cursor.place();
    cursor.take("default");
    let is_collation = cursor.is("collate");
    if let Some(clause) = cursor.charset()? {
        // A collation names its character set again; alone it chooses it.
        if clause != CharsetClause::Unsaid || !is_collation {
            *charset = clause;
        }
        return Ok(true);
    }
    cursor.go_to(start);
    if cursor.take("with system versioning") {
        return Ok(true);
    }
    if cursor.take("comment") {
        cursor.take_symbol('=');
        *comment = Some(cursor.comment()?.into());
        return Ok(true);
    }
    Ok(false)
}

/// What a clause that is not a column turned out to be.
pub(super) enum Clause {
    /// A key that can tell rows apart.
    Key(KeyDefinition),
    /// A period of an application.
    Period(PeriodDefinition),
    /// An index, a constraint: nothing for us.
    Skipped,
    /// A column's definition; nothing was taken.
    None,
}

/// Reads `PRIMARY KEY`, `UNIQUE`, `KEY`, `CONSTRAINT`, `CHECK`, `PERIOD FOR`, ... up to the clause's end.
pub(super) fn key_clause(cursor: &mut Cursor<'_>) -> Result<Clause, DdlError> {
    let named = cursor.take("constraint");
    let if_not_exists = named && cursor.take("if not exists");
    let mut name = None;
    if named && !cursor.is_any("primary unique foreign check") {
        name = Some(cursor.name()?);
    }
    let kind = if cursor.take("primary key") {
        KeyKind::Primary
    } else if cursor.take("unique") {
        cursor.take_any("key index");
        KeyKind::Unique
    } else {
        if let Some(period) = period(cursor)? {
            return Ok(Clause::Period(period));
        }
        let skipped = named
            || cursor.is_any("key index fulltext spatial foreign check")
            || cursor.is("period for")
            || cursor.is("vector key")
            || cursor.is("vector index");
        if !skipped {
            return Ok(Clause::None);
        }
        cursor.skip_clause()?;
        return Ok(Clause::Skipped);
    };
    let if_not_exists = if_not_exists || cursor.take("if not exists");
    if !cursor.is_symbol('(') && !cursor.is("using") {
        name = Some(cursor.name()?);
    }
    // `USING BTREE`.
    while !cursor.is_symbol('(') {
        cursor.name()?;
    }
    let KeyParts { columns, beginnings, period } = key_parts(cursor)?;
    cursor.skip_clause()?;
    Ok(Clause::Key(KeyDefinition { kind, name, columns, beginnings, period, if_not_exists }))
}

/// MariaDB's `PERIOD FOR name (start, end)`; none, and nothing taken, where it is the system's or something else stands here.
fn period(cursor: &mut Cursor<'_>) -> Result<Option<PeriodDefinition>, DdlError> {
    let place = cursor.place();
    if !cursor.take("period for") || cursor.is("system_time") {
        cursor.go_to(place);
        return Ok(None);
    }
    let name = cursor.name()?;
    cursor.expect_symbol('(')?;
    let start = cursor.column()?;
    cursor.expect_symbol(',')?;
    let end = cursor.column()?;
    cursor.expect_symbol(')')?;
    Ok(Some(PeriodDefinition { name, start, end }))
}

/// `(a, b(10) DESC)`, with the period of MariaDB's `period WITHOUT OVERLAPS`. No columns when a part is an expression or a
/// period.
fn key_parts(cursor: &mut Cursor<'_>) -> Result<KeyParts, DdlError> {
    cursor.expect_symbol('(')?;
    let mut parts = KeyParts::default();
    let mut is_plain = true;
    loop {
        if cursor.is_symbol('(') {
            is_plain = false;
        } else {
            let part = cursor.column()?;
            if cursor.is("without overlaps") {
                parts.period = Some(part);
            } else {
                if cursor.take_symbol('(') {
                    parts.beginnings.extend(cursor.number().map(|length| (Arc::clone(&part), length)));
                    cursor.expect_symbol(')')?;
                }
                parts.columns.push(part);
            }
        }
        cursor.skip_clause()?;
        if !cursor.take_symbol(',') {
            cursor.expect_symbol(')')?;
            if !is_plain {
                parts.columns.clear();
            }
            return Ok(parts);
        }
    }
}

/// What stands in a key's parentheses.
#[derive(Default)]
struct KeyParts {
    columns: Vec<Arc<str>>,
    beginnings: Vec<(Arc<str>, u64)>,
    period: Option<Arc<str>>,
}

fn alter_statement(cursor: &mut Cursor<'_>) -> Result<DdlStatement, DdlError> {
    if cursor.take_any("database schema") {
        let unnamed = cursor.is_any("default character charset collate comment read upgrade encryption");
        let name = if unnamed { cursor.context.database.into() } else { cursor.name()? };
        let charset = database_charset(cursor)?;
        return Ok(DdlStatement::AlterDatabase { name, charset });
    }
    cursor.take_any("online offline");
    cursor.take("ignore");
    if !cursor.take("table") {
        return Ok(DdlStatement::Other);
    }
    cursor.take("if exists");
    let table = cursor.table()?;
    skip_wait(cursor);
    let actions = alter::actions(cursor)?;
    Ok(DdlStatement::AlterTable { table, actions })
}

fn database_charset(cursor: &mut Cursor<'_>) -> Result<Option<Arc<str>>, DdlError> {
    let mut charset = CharsetClause::Unsaid;
    let mut comment = None;
    while !cursor.is_done() {
        if !table_option(cursor, &mut charset, &mut comment)? {
            cursor.skip()?;
        }
    }
    Ok(match charset {
        CharsetClause::Named(name) => Some(name),
        CharsetClause::Unsaid | CharsetClause::Default => None,
    })
}

fn skip_wait(cursor: &mut Cursor<'_>) {
    if cursor.take("wait") {
        cursor.advance();
    } else {
        cursor.take("nowait");
    }
}

fn drop_statement(cursor: &mut Cursor<'_>) -> Result<DdlStatement, DdlError> {
    if cursor.take_any("database schema") {
        cursor.take("if exists");
        return Ok(DdlStatement::DropDatabase(cursor.name()?));
    }
    cursor.take_any("online offline");
    if cursor.take("index") {
        return drop_index(cursor);
    }
    // A temporary table is nobody's; DROP TEMPORARY TABLE ends up here too.
    if !cursor.take_any("table tables") {
        return Ok(DdlStatement::Other);
    }
    cursor.take("if exists");
    let mut tables = vec![cursor.table()?];
    while cursor.take_symbol(',') {
        tables.push(cursor.table()?);
    }
    Ok(DdlStatement::DropTables(tables))
}

fn drop_index(cursor: &mut Cursor<'_>) -> Result<DdlStatement, DdlError> {
    cursor.take("if exists");
    let index = cursor.name()?;
    if !cursor.take("on") {
        return cursor.fail("expected ON behind the index");
    }
    let table = cursor.table()?;
    Ok(DdlStatement::AlterTable { table, actions: vec![alter::dropped_key(index)] })
}

fn rename(cursor: &mut Cursor<'_>) -> Result<DdlStatement, DdlError> {
    cursor.take("if exists");
    let mut pairs = Vec::new();
    loop {
        let old = cursor.table()?;
        skip_wait(cursor);
        if !cursor.take("to") {
            return cursor.fail("expected TO between the tables");
        }
        pairs.push((old, cursor.table()?));
        if !cursor.take_symbol(',') {
            return Ok(DdlStatement::RenameTables(pairs));
        }
    }
}

/// Statements that change rows; the rest is other.
fn dml(cursor: &mut Cursor<'_>) -> DdlStatement {
    let table = if cursor.take_any("insert replace") {
        while cursor.take_any("low_priority high_priority delayed ignore into") {}
        cursor.table().ok()
    } else if cursor.take("update") {
        while cursor.take_any("low_priority ignore") {}
        updated(cursor)
    } else if cursor.take("delete") {
        while cursor.take_any("low_priority quick ignore") {}
        deleted(cursor)
    } else if cursor.take("load data") || cursor.take("load xml") {
        while !cursor.is_done() && !cursor.take("into table") {
            cursor.advance();
        }
        cursor.table().ok()
    } else if cursor.is_any("call with") {
        None
    } else {
        return DdlStatement::Other;
    };
    DdlStatement::Dml { table }
}

/// The table of an UPDATE of one table.
fn updated(cursor: &mut Cursor<'_>) -> Option<TableId> {
    let table = cursor.table().ok()?;
    if !cursor.is("set") {
        cursor.take("as");
        cursor.name().ok()?;
    }
    cursor.is("set").then_some(table)
}

/// The table of a DELETE from one table.
fn deleted(cursor: &mut Cursor<'_>) -> Option<TableId> {
    if !cursor.take("from") {
        return None;
    }
    let table = cursor.table().ok()?;
    (!cursor.is_symbol(',') && !cursor.is("using")).then_some(table)
}

/// Whether the coming token is a quoted or unquoted name.
pub(super) fn is_name(cursor: &Cursor<'_>) -> bool {
    matches!(cursor.peek(), Some(Token::Word(_) | Token::Name(_)))
}
