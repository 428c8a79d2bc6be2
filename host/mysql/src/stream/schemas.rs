//! The schemas that are true at the stream's place, kept by following statements.
//!
//! Tables that nobody captures are followed too where the stream has seen them come to be: they can be renamed into a
//! captured name later, as tools for online schema changes do, and then their columns must be known. What is not
//! understood about them only means that they are not known; about a captured table it is an error.
//!
//! A table that became known while the stream was behind (it was added to the pipeline file) is *dormant* up to the place where
//! its schema was read: statements and rows before that count for nothing, and are not understood by it.
//!
//! A table that was captured and renamed away is *watched*: what becomes of it is reported, so that its columns are known
//! behind a restart when it is renamed back.

mod difference;
mod renames;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sluicebox_model::{Position, SchemaChange, TableId, TableSchema, TransactionId};

use difference::difference;

use super::{Repair, StreamOptions};
use crate::ddl::{self, ApplyContext, DdlContext, DdlError, DdlStatement};
use crate::row::{Charset, charset_of_collation};
use crate::{Flavour, TypeOptions};

/// Tables followed though nobody captures them. Tools make a few at a time; whoever makes more than this makes temporary
/// tables in all but name.
const FOREIGN_MAX: usize = 1_000;

/// Stands where a statement would.
pub(super) const REPAIRED: &str =
    "/* columns as the server has them: the binlog has no statement that made them */";

/// A change of one captured table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TableChange {
    /// By the name it had before.
    pub(super) table: TableId,
    pub(super) changes: Vec<SchemaChange>,
    pub(super) schema: Option<Arc<TableSchema>>,
    /// Nobody captures it: it is watched.
    pub(super) is_foreign: bool,
}

/// A statement in text, with what is needed to understand it.
#[derive(Debug)]
pub(super) struct Statement<'a> {
    pub(super) text: &'a str,
    pub(super) database: &'a str,
    pub(super) ansi_quotes: bool,
    pub(super) no_backslash_escapes: bool,
    /// The server's own character set at that time.
    pub(super) server_charset: Option<&'static str>,
}

/// A statement about a captured table cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unfollowed {
    pub(super) table: TableId,
    pub(super) reason: String,
    pub(super) cause: Cause,
}

/// What may help with what cannot be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// Nothing: it is the statement that is not understood.
    Statement,
    /// The table is there from this statement on, and was not followed before.
    New,
    /// The table's name went to another table, whose columns the server may tell.
    Replaced,
}

impl Unfollowed {
    fn new(table: TableId, reason: impl Into<String>) -> Self {
        Self { table, reason: reason.into(), cause: Cause::Statement }
    }
}

/// Schemas of the tables that are known, captured or not.
pub(super) struct Schemas {
    known: HashMap<TableId, Arc<TableSchema>>,
    captures: Arc<dyn Fn(&TableId) -> bool + Send + Sync>,
    matches: Arc<dyn Fn(&TableId) -> bool + Send + Sync>,
    /// New tables are wanted with the rows that they have.
    new_are_read: bool,
    /// Names that captured tables got and are captured under.
    renamed: HashSet<TableId>,
    /// Tables that were captured under another name.
    watched: HashSet<TableId>,
    /// Schemas that are true only behind a place.
    dormant: Vec<(Arc<TableSchema>, Position)>,
    repairs: Vec<Repair>,
    /// Tables that a repair gave their columns in the transaction of the moment.
    repaired: HashSet<TableId>,
    types: TypeOptions,
    flavour: Flavour,
    version: (u16, u16, u16),
    lower_case_table_names: u8,
    database_charsets: HashMap<Arc<str>, Arc<str>>,
    /// Last versions of tables that went, so that one of the same name goes on from there.
    versions: HashMap<TableId, u64>,
    generation: u64,
}

impl std::fmt::Debug for Schemas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Schemas").field("known", &self.known.len()).finish_non_exhaustive()
    }
}

impl Schemas {
    pub(super) fn new(options: &StreamOptions) -> Self {
        let foreign = options.schemas.iter().map(|s| &s.id).filter(|id| !(options.captures)(id));
        let begins = |schema: &Arc<TableSchema>| {
            let behind = options.known_behind.iter().find(|(id, _)| *id == schema.id);
            behind.map(|(_, place)| (Arc::clone(schema), place.clone()))
        };
        let dormant: Vec<_> = options.schemas.iter().filter_map(begins).collect();
        let awake = options.schemas.iter().filter(|s| !dormant.iter().any(|(d, _)| d.id == s.id));
        Self {
            known: awake.map(|s| (s.id.clone(), Arc::clone(s))).collect(),
            captures: Arc::clone(&options.captures),
            matches: Arc::clone(&options.matches),
            new_are_read: options.new_are_read,
            renamed: HashSet::new(),
            watched: foreign.cloned().collect(),
            dormant,
            repairs: options.repairs.clone(),
            repaired: HashSet::new(),
            types: options.types,
            flavour: options.server.flavour,
            version: options.server.version,
            lower_case_table_names: options.server.lower_case_table_names,
            database_charsets: options
                .database_charsets
                .iter()
                .map(|(name, charset)| (name.as_str().into(), charset.as_str().into()))
                .collect(),
            versions: HashMap::new(),
            generation: 0,
        }
    }

    /// Rises with each change of any schema.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn captures(&self, table: &TableId) -> bool {
        ((self.captures)(table) || self.renamed.contains(table)) && !self.is_dormant(table)
    }

    fn is_dormant(&self, table: &TableId) -> bool {
        self.dormant.iter().any(|(schema, _)| schema.id == *table)
    }

    /// A transaction begins: schemas that are true from it on count. Gives what repairs change at it.
    pub(super) fn begin(&mut self, transaction: &TransactionId) -> Vec<TableChange> {
        self.wake(transaction);
        self.repaired.clear();
        if self.repairs.is_empty() {
            return Vec::new();
        }
        let mut changes = Vec::new();
        let (now, later): (Vec<_>, _) = std::mem::take(&mut self.repairs)
            .into_iter()
            .partition(|one| !one.gap.behind.covers(transaction));
        self.repairs = later;
        for Repair { schema, .. } in now {
            if !self.captures(&schema.id) {
                continue;
            }
            self.repaired.insert(schema.id.clone());
            let before = self.known.get(&schema.id).cloned();
            let made = before
                .as_ref()
                .map_or_else(|| vec![SchemaChange::CreateTable], |old| difference(old, &schema));
            if made.is_empty() {
                continue;
            }
            let after = TableSchema { ddl: Some(REPAIRED.into()), ..(*schema).clone() };
            let after = self.replace(&schema.id, before.as_deref(), Some(after));
            self.report(&schema.id, made, after, &mut changes);
        }
        changes
    }

    fn wake(&mut self, transaction: &TransactionId) {
        if self.dormant.is_empty() {
            return;
        }
        let Self { dormant, known, generation, .. } = self;
        dormant.retain(|(schema, place)| {
            let sleeps = place.covers(transaction);
            if !sleeps {
                // Whatever was learnt of the name before belongs to another table, or to the same at another time.
                known.insert(schema.id.clone(), Arc::clone(schema));
                *generation += 1;
            }
            sleeps
        });
    }

    pub(super) fn get(&self, table: &TableId) -> Option<&Arc<TableSchema>> {
        self.known.get(table)
    }

    /// The name as the server stores it.
    pub(super) fn stored_name(&self, table: TableId) -> TableId {
        match self.lower_case_table_names {
            1 => TableId::new(table.database.to_lowercase(), table.table.to_lowercase()),
            2 => {
                let same = |known: &&TableId| {
                    known.database.to_lowercase() == table.database.to_lowercase()
                        && known.table.to_lowercase() == table.table.to_lowercase()
                };
                self.known.keys().find(same).cloned().unwrap_or(table)
            }
            _ => table,
        }
    }

    /// The first captured table of the database, so that the same statement always gives the same error.
    fn captures_in(&self, database: &str) -> Option<&TableId> {
        self.known.keys().filter(|id| *id.database == *database && self.captures(id)).min()
    }

    /// Follows a statement. Gives what it changed of captured tables, in order.
    pub(super) fn follow(&mut self, statement: &Statement<'_>) -> Result<Vec<TableChange>, Unfollowed> {
        let context = DdlContext {
            database: statement.database,
            ansi_quotes: statement.ansi_quotes,
            no_backslash_escapes: statement.no_backslash_escapes,
            flavour: self.flavour,
            version: self.version,
        };
        let parsed = match ddl::parse(statement.text, &context) {
            Ok(parsed) => parsed,
            Err(error) => return self.not_understood(statement, error),
        };
        let mut changes = Vec::new();
        for one in parsed {
            self.follow_one(one, statement, &mut changes)?;
        }
        Ok(changes)
    }

    /// A text that is not understood matters when it is about a captured table, or may be.
    fn not_understood(
        &mut self,
        statement: &Statement<'_>,
        error: DdlError,
    ) -> Result<Vec<TableChange>, Unfollowed> {
        let DdlError { reason, tables } = error;
        let about: Vec<TableId> = tables.into_iter().map(|t| self.stored_name(t)).collect();
        let text = statement.text.to_lowercase();
        let is_mentioned = |id: &&TableId| self.captures(id) && text.contains(&id.table.to_lowercase());
        let mentioned = || self.known.keys().filter(is_mentioned).min();
        let captured = match about.is_empty() {
            false => about.iter().find(|id| self.captures(id)).cloned(),
            true => mentioned().cloned(),
        };
        match captured {
            Some(table) => Err(Unfollowed::new(table, reason)),
            None => {
                let mut changes = Vec::new();
                about.iter().for_each(|id| self.forget(id, &mut changes));
                tracing::debug!(%reason, "statement about tables nobody captures is not understood");
                Ok(changes)
            }
        }
    }

    fn follow_one(
        &mut self,
        one: DdlStatement,
        statement: &Statement<'_>,
        changes: &mut Vec<TableChange>,
    ) -> Result<(), Unfollowed> {
        let one = self.stored_names(one);
        match &one {
            DdlStatement::Other => Ok(()),
            DdlStatement::CreateDatabase { name, charset } => {
                if let Some(charset) = charset {
                    self.database_charsets.insert(Arc::clone(name), Arc::clone(charset));
                } else if let Some(server) = statement.server_charset {
                    // IF NOT EXISTS may have met one that was there, and keeps its own.
                    self.database_charsets.entry(Arc::clone(name)).or_insert_with(|| server.into());
                }
                Ok(())
            }
            DdlStatement::AlterDatabase { name, charset } => {
                if let Some(charset) = charset {
                    self.database_charsets.insert(Arc::clone(name), Arc::clone(charset));
                }
                Ok(())
            }
            DdlStatement::Dml { table } => self.refuse_dml(table.as_ref(), statement.database),
            DdlStatement::DropDatabase(name) => {
                self.database_charsets.remove(name);
                let mut gone: Vec<_> = self.known.keys().filter(|id| id.database == *name).cloned().collect();
                gone.sort();
                gone.iter().try_for_each(|table| self.apply(table, &one, statement, changes))
            }
            DdlStatement::DropTables(tables) => {
                let known = tables.iter().filter(|t| self.known.contains_key(t)).cloned().collect::<Vec<_>>();
                known.iter().try_for_each(|table| self.apply(table, &one, statement, changes))
            }
            DdlStatement::Truncate(table) => match self.known.contains_key(table) {
                true => self.apply(table, &one, statement, changes),
                false => Ok(()),
            },
            DdlStatement::CreateTable(create) => self.apply(&create.table, &one, statement, changes),
            DdlStatement::CreateTableLike { table, like, if_not_exists } => {
                if *if_not_exists && self.known.contains_key(table) {
                    return Ok(());
                }
                self.create_like(table, like, statement, changes)
            }
            DdlStatement::AlterTable { table, actions } => {
                if let Some(what) = one.unseen_row_changes().filter(|_| self.captures(table)) {
                    tracing::warn!(%table, what, "a statement changes rows that the binlog does not show");
                }
                let renamed = actions.iter().find_map(|action| match action {
                    ddl::AlterAction::RenameTable(new) => Some(new.clone()),
                    _ => None,
                });
                match renamed {
                    Some(new) => self.rename(&[(table.clone(), new)], &one, statement, changes),
                    None => self.apply(table, &one, statement, changes),
                }
            }
            DdlStatement::RenameTables(pairs) => self.rename(pairs, &one, statement, changes),
        }
    }

    fn stored_names(&self, one: DdlStatement) -> DdlStatement {
        if self.lower_case_table_names == 0 {
            return one;
        }
        let name = |table| self.stored_name(table);
        match one {
            DdlStatement::CreateTable(mut create) => {
                create.table = name(create.table);
                DdlStatement::CreateTable(create)
            }
            DdlStatement::CreateTableLike { table, like, if_not_exists } => {
                DdlStatement::CreateTableLike { table: name(table), like: name(like), if_not_exists }
            }
            DdlStatement::AlterTable { table, actions } => {
                let actions = actions.into_iter().map(|action| match action {
                    ddl::AlterAction::RenameTable(new) => ddl::AlterAction::RenameTable(name(new)),
                    other => other,
                });
                DdlStatement::AlterTable { table: name(table), actions: actions.collect() }
            }
            DdlStatement::RenameTables(pairs) => DdlStatement::RenameTables(
                pairs.into_iter().map(|(old, new)| (name(old), name(new))).collect(),
            ),
            DdlStatement::DropTables(tables) => {
                DdlStatement::DropTables(tables.into_iter().map(name).collect())
            }
            DdlStatement::Truncate(table) => DdlStatement::Truncate(name(table)),
            DdlStatement::Dml { table } => DdlStatement::Dml { table: table.map(name) },
            DdlStatement::DropDatabase(database) if self.lower_case_table_names == 1 => {
                DdlStatement::DropDatabase(database.to_lowercase().into())
            }
            other @ (DdlStatement::CreateDatabase { .. }
            | DdlStatement::AlterDatabase { .. }
            | DdlStatement::DropDatabase(_)
            | DdlStatement::Other) => other,
        }
    }

    fn refuse_dml(&self, table: Option<&TableId>, database: &str) -> Result<(), Unfollowed> {
        let captured = match table {
            Some(table) => self.captures(table).then_some(table),
            None => self.captures_in(database),
        };
        match captured {
            None => Ok(()),
            Some(table) => {
                let reason = "it changes rows in statement format, so the binlog does not say which: sessions must \
                              keep binlog_format=ROW";
                Err(Unfollowed::new(table.clone(), reason))
            }
        }
    }

    fn context(&self, table: &TableId, statement: &Statement<'_>) -> ApplyContext {
        // A database that no statement told of was most likely made under the server's own character set.
        let database = self.database_charsets.get(&table.database);
        ApplyContext {
            types: self.types,
            database_charset: database.cloned().or_else(|| statement.server_charset.map(Arc::from)),
            ddl: Some(statement.text.into()),
        }
    }

    /// Carries out a statement about one table that keeps its name.
    fn apply(
        &mut self,
        table: &TableId,
        one: &DdlStatement,
        statement: &Statement<'_>,
        changes: &mut Vec<TableChange>,
    ) -> Result<(), Unfollowed> {
        let before = self.known.get(table).cloned();
        let captured = self.captures(table);
        match ddl::apply(before.as_deref(), one, &self.context(table, statement)) {
            // What is not known may be changed as anyone likes: its rows find that out.
            Err(error)
                if captured && !(before.is_none() && matches!(one, DdlStatement::AlterTable { .. })) =>
            {
                Err(Unfollowed::new(table.clone(), error.reason))
            }
            Err(_) => {
                self.forget(table, changes);
                Ok(())
            }
            Ok((_, made)) if made.is_empty() => Ok(()),
            Ok((schema, made)) => {
                let schema = self.replace(table, before.as_deref(), schema);
                self.report(table, made, schema, changes);
                Ok(())
            }
        }
    }

    fn create_like(
        &mut self,
        table: &TableId,
        like: &TableId,
        statement: &Statement<'_>,
        changes: &mut Vec<TableChange>,
    ) -> Result<(), Unfollowed> {
        let Some(pattern) = self.known.get(like).cloned() else {
            // It has no rows yet. The first that come find that its columns are not known, and the server is asked for them.
            tracing::debug!(%table, %like, "the columns of a table are those of one that is not known");
            self.forget(table, changes);
            return Ok(());
        };
        let (schema, made) = ddl::apply_like(&pattern, table, &self.context(table, statement));
        let schema = self.replace(table, None, schema);
        self.report(table, made, schema, changes);
        Ok(())
    }

    /// Reports a change of a table that is captured or watched.
    fn report(
        &mut self,
        table: &TableId,
        made: Vec<SchemaChange>,
        schema: Option<Arc<TableSchema>>,
        changes: &mut Vec<TableChange>,
    ) {
        let is_foreign = !self.captures(table);
        if is_foreign && !self.watched.contains(table) {
            return;
        }
        if is_foreign && schema.is_none() {
            self.watched.remove(table);
        }
        changes.push(TableChange { table: table.clone(), changes: made, schema, is_foreign });
    }

    /// What nobody captures is no longer known.
    fn forget(&mut self, table: &TableId, changes: &mut Vec<TableChange>) {
        if self.known.remove(table).is_some() {
            self.generation += 1;
            self.report(table, vec![SchemaChange::DropTable], None, changes);
        }
    }

    /// Forgets the tables that nobody captures, if they are too many.
    fn forget_foreign(&mut self) {
        let Self { known, captures, renamed, watched, .. } = self;
        let stays = |id: &TableId| captures(id) || renamed.contains(id) || watched.contains(id);
        if known.keys().filter(|id| !stays(id)).count() > FOREIGN_MAX {
            known.retain(|id, _| stays(id));
        }
    }

    /// Takes a table's new schema in, with the version that follows the last one of its name.
    fn replace(
        &mut self,
        table: &TableId,
        before: Option<&TableSchema>,
        after: Option<TableSchema>,
    ) -> Option<Arc<TableSchema>> {
        self.generation += 1;
        let last = before.map(|b| b.version).max(self.versions.get(table).copied());
        let Some(mut after) = after else {
            self.known.remove(table);
            if let Some(last) = last {
                self.versions.insert(table.clone(), last);
            }
            return None;
        };
        if let Some(same) = self.known.get(table).filter(|_| before.is_some_and(|b| *b == after)) {
            return Some(Arc::clone(same));
        }
        if !self.captures(table) && self.known.len() > FOREIGN_MAX {
            self.forget_foreign();
        }
        after.version = last.map_or(1, |last| last + 1);
        let after = Arc::new(after);
        self.known.insert(table.clone(), Arc::clone(&after));
        Some(after)
    }
}

/// A statement's text in its client's character set.
pub(super) fn decode_text(text: &[u8], client_collation: Option<u16>) -> String {
    let charset = client_collation.and_then(charset_of_collation).and_then(Charset::named);
    charset.unwrap_or(Charset::Utf8).decode(text)
}

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod tests;
