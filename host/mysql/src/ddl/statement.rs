//! What statements say, before any table is looked at.

use std::sync::Arc;

use sluicebox_model::TableId;

use super::default::DefaultClause;
use crate::options::Flavour;

/// What must be known to read a statement's text; all of it comes with the statement's event.
#[derive(Debug, Clone, Copy)]
pub struct DdlContext<'a> {
    /// The database of names without one.
    pub database: &'a str,
    /// `"x"` is a name and not a string (`sql_mode` ANSI_QUOTES).
    pub ansi_quotes: bool,
    /// A backslash in a string is a backslash (`sql_mode` NO_BACKSLASH_ESCAPES).
    pub no_backslash_escapes: bool,
    /// Whose server wrote the statement: decides which comments are executed and what `JSON` is.
    pub flavour: Flavour,
    /// Version of the server that wrote it: decides which `/*!80000 ... */` were executed.
    pub version: (u16, u16, u16),
}

/// A statement cannot be understood, or does not fit the table it is about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct DdlError {
    /// What is not understood.
    pub reason: String,
    /// The tables it is about, as far as they could be made out: a caller who captures none of them may go on.
    pub tables: Vec<TableId>,
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DdlStatement {
    /// `CREATE TABLE` with columns.
    CreateTable(Box<CreateTable>),
    /// `CREATE TABLE ... LIKE`; the columns are those of the other table.
    CreateTableLike {
        /// The new table.
        table: TableId,
        /// The pattern.
        like: TableId,
        /// Nothing happened where the table was there.
        if_not_exists: bool,
    },
    /// `ALTER TABLE`, `CREATE INDEX`, `DROP INDEX`.
    AlterTable {
        /// The table.
        table: TableId,
        /// In the statement's order.
        actions: Vec<AlterAction>,
    },
    /// `RENAME TABLE`, one after another.
    RenameTables(Vec<(TableId, TableId)>),
    /// `DROP TABLE`; not each of them must have been there.
    DropTables(Vec<TableId>),
    /// `TRUNCATE`.
    Truncate(TableId),
    /// `CREATE DATABASE`.
    CreateDatabase {
        /// Its name.
        name: Arc<str>,
        /// Its default character set, where the statement says one.
        charset: Option<Arc<str>>,
    },
    /// `ALTER DATABASE`.
    AlterDatabase {
        /// Its name.
        name: Arc<str>,
        /// Its new default character set, where the statement says one.
        charset: Option<Arc<str>>,
    },
    /// `DROP DATABASE`, with all tables in it.
    DropDatabase(Arc<str>),
    /// Rows are changed by a statement and not by row events.
    Dml {
        /// The table, where the statement makes it plain.
        table: Option<TableId>,
    },
    /// Nothing about tables and rows.
    Other,
}

impl DdlStatement {
    /// The tables that the statement is about, for callers who ask whether it concerns them.
    pub fn tables(&self) -> Vec<&TableId> {
        match self {
            Self::CreateTable(create) => vec![&create.table],
            Self::CreateTableLike { table, .. } | Self::AlterTable { table, .. } | Self::Truncate(table) => {
                vec![table]
            }
            Self::RenameTables(pairs) => pairs.iter().flat_map(|(old, new)| [old, new]).collect(),
            Self::DropTables(tables) => tables.iter().collect(),
            Self::Dml { table } => table.iter().collect(),
            Self::CreateDatabase { .. }
            | Self::AlterDatabase { .. }
            | Self::DropDatabase(_)
            | Self::Other => Vec::new(),
        }
    }

    /// What changes rows of the table without row events, where something does beside `TRUNCATE` and `DROP`: partitions
    /// that go or are exchanged, an imported tablespace.
    pub fn unseen_row_changes(&self) -> Option<&'static str> {
        let Self::AlterTable { actions, .. } = self else { return None };
        actions.iter().find_map(|action| match action {
            AlterAction::RowsChangeUnseen(what) => Some(*what),
            _ => None,
        })
    }
}

/// `CREATE TABLE` with columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateTable {
    /// The table.
    pub table: TableId,
    /// Nothing happened where the table was there.
    pub if_not_exists: bool,
    /// In order.
    pub columns: Vec<ColumnDefinition>,
    /// Primary and unique keys, of columns and of the table's own clauses, in order.
    pub keys: Vec<KeyDefinition>,
    /// The table's default character set.
    pub charset: CharsetClause,
    /// The table's comment.
    pub comment: Option<Arc<str>>,
    /// More columns come from a `SELECT`.
    pub as_select: bool,
}

/// What a clause says about a character set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum CharsetClause {
    /// Nothing: what is around it decides.
    #[default]
    Unsaid,
    /// `DEFAULT`: the next level decides, whatever stood before.
    Default,
    /// This one.
    Named(Arc<str>),
}

/// One column as a statement defines it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnDefinition {
    /// Its name as written.
    pub name: Arc<str>,
    /// Its type in the form of `COLUMN_TYPE`, before the character set has its say.
    pub declared: String,
    /// Its character set.
    pub charset: CharsetClause,
    /// `NOT NULL` false, `NULL` true; none when the statement says neither.
    pub nullable: Option<bool>,
    /// A key that the column carries by itself.
    pub key: Option<KeyKind>,
    /// Its comment; none and empty are the same.
    pub comment: Option<Arc<str>>,
    /// MariaDB's `GENERATED ALWAYS AS ROW END`: such a column becomes the last part of every key.
    pub row_end: bool,
    /// Its default; none when the statement says nothing.
    pub default: Option<DefaultClause>,
}

/// Kinds of keys that can tell rows apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// `PRIMARY KEY`.
    Primary,
    /// `UNIQUE`.
    Unique,
}

/// A primary or unique key of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyDefinition {
    /// Which.
    pub kind: KeyKind,
    /// Its name, where the statement says one; a primary key's is of no account.
    pub name: Option<Arc<str>>,
    /// Its columns; empty when a part is an expression.
    pub columns: Vec<Arc<str>>,
    /// Columns of which only a beginning counts, and how much of them.
    pub beginnings: Vec<(Arc<str>, u64)>,
    /// MariaDB's `period WITHOUT OVERLAPS`, where the statement does not tell the period's columns.
    pub period: Option<Arc<str>>,
    /// Nothing happens where there is such a key.
    pub if_not_exists: bool,
}

/// MariaDB's `PERIOD FOR name (start, end)` of an application; that of the system is told by its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeriodDefinition {
    /// Its name.
    pub name: Arc<str>,
    /// The column where it starts; NOT NULL from here on.
    pub start: Arc<str>,
    /// The column where it ends; NOT NULL from here on.
    pub end: Arc<str>,
}

/// Where a column goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// `FIRST`.
    First,
    /// `AFTER` this one.
    After(Arc<str>),
}

/// One action of `ALTER TABLE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlterAction {
    /// `ADD COLUMN`, also with a list in parentheses.
    AddColumns {
        /// In order, each with its place; none is the end.
        columns: Vec<(ColumnDefinition, Option<Place>)>,
        /// Columns that are there already are left alone.
        if_not_exists: bool,
    },
    /// `MODIFY` (both names equal) and `CHANGE`.
    ChangeColumn {
        /// Its name before.
        old: Arc<str>,
        /// All about it afterwards.
        definition: ColumnDefinition,
        /// Its new place; none keeps the old one.
        place: Option<Place>,
        /// Nothing happens where it is not there.
        if_exists: bool,
    },
    /// `RENAME COLUMN`.
    RenameColumn {
        /// Name before.
        old: Arc<str>,
        /// Name after.
        new: Arc<str>,
        /// Nothing happens where it is not there.
        if_exists: bool,
    },
    /// `ALTER COLUMN ... SET DEFAULT`, `... DROP DEFAULT`.
    SetDefault {
        /// The column.
        name: Arc<str>,
        /// What it has from here on.
        default: DefaultClause,
        /// Nothing happens where it is not there.
        if_exists: bool,
    },
    /// `DROP COLUMN`.
    DropColumn {
        /// Its name.
        name: Arc<str>,
        /// Nothing happens where it is not there.
        if_exists: bool,
    },
    /// `ADD PRIMARY KEY`, `ADD UNIQUE`.
    AddKey(KeyDefinition),
    /// `ADD PERIOD FOR`.
    AddPeriod(PeriodDefinition),
    /// `DROP PRIMARY KEY`.
    DropPrimaryKey,
    /// `DROP INDEX`, `DROP CONSTRAINT`: of a unique key, or of something that nothing is known of.
    DropKey(Arc<str>),
    /// `RENAME INDEX`.
    RenameKey {
        /// Name before.
        old: Arc<str>,
        /// Name after.
        new: Arc<str>,
    },
    /// `CONVERT TO CHARACTER SET`: of every text column.
    ConvertCharset(CharsetClause),
    /// `DEFAULT CHARACTER SET`: of columns to come.
    DefaultCharset(CharsetClause),
    /// `COMMENT = ''`.
    Comment(Arc<str>),
    /// `RENAME TO`.
    RenameTable(TableId),
    /// Rows come or go without row events; what does it.
    RowsChangeUnseen(&'static str),
    /// Nothing about columns, keys, names and rows.
    Other,
}

impl KeyDefinition {
    /// The key that a column carries by itself.
    pub(super) fn of_column(kind: KeyKind, column: &Arc<str>) -> Self {
        let (columns, beginnings) = (vec![Arc::clone(column)], Vec::new());
        Self { kind, name: None, columns, beginnings, period: None, if_not_exists: false }
    }

    /// A key over a period goes on with the period's end and start, as the server stores it.
    pub(super) fn resolve(&mut self, period: &PeriodDefinition) {
        if self.period.as_ref().is_some_and(|name| same(name, &period.name)) {
            self.columns.extend([Arc::clone(&period.end), Arc::clone(&period.start)]);
            self.period = None;
        }
    }
}

impl ColumnDefinition {
    /// A period's columns are NOT NULL.
    pub(super) fn resolve(&mut self, period: &PeriodDefinition) {
        if period.has(&self.name) {
            self.nullable = Some(false);
        }
    }
}

impl PeriodDefinition {
    /// Whether the column is its start or its end.
    pub(super) fn has(&self, column: &str) -> bool {
        same(&self.start, column) || same(&self.end, column)
    }
}

/// Whether two names mean one thing; letter case does not count.
pub(crate) fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || a.to_lowercase() == b.to_lowercase()
}
