//! Tables that get other names. A list of renames happens one after another within a statement.

use std::collections::HashMap;
use std::sync::Arc;

use sluicebox_model::{SchemaChange, TableId, TableSchema};

use super::difference::difference;
use super::{Cause, Schemas, Statement, TableChange, Unfollowed};
use crate::ddl::{self, DdlStatement};

/// A table that got another name, and perhaps other columns with it.
struct Moved {
    before: Arc<TableSchema>,
    after: TableSchema,
    changes: Vec<SchemaChange>,
}

impl Schemas {
    /// Carries out a statement that renames tables. All of them move at once, so that names can be exchanged.
    pub(super) fn rename(
        &mut self,
        pairs: &[(TableId, TableId)],
        one: &DdlStatement,
        statement: &Statement<'_>,
        changes: &mut Vec<TableChange>,
    ) -> Result<(), Unfollowed> {
        let mut moved = Vec::new();
        // Whichever of the pairs has been looked at already.
        let captured: Vec<_> =
            pairs.iter().map(|(_, new)| new).filter(|new| self.known.contains_key(new)).cloned().collect();
        let was_known = |table: &TableId| captured.contains(table);
        for original in originals(pairs) {
            let last = last_name(&original, pairs);
            if self.repaired.contains(&original)
                || self.repaired.contains(&last) && !self.known.contains_key(&original)
            {
                // What a repair gave this name is what it has behind the statement.
                continue;
            }
            let before = self.known.remove(&original);
            if before.is_none() && self.captures(&last) {
                let reason = format!("`{original}` becomes `{last}`, and its columns are not known");
                let cause = if was_known(&last) { Cause::Replaced } else { Cause::New };
                return Err(Unfollowed { table: last, reason, cause });
            }
            let Some(before) = before else { continue };
            if self.must_be_read(&original, &last) {
                let reason = format!("`{original}` becomes `{last}`, and has rows from before");
                return Err(Unfollowed { table: last, reason, cause: Cause::New });
            }
            self.versions.insert(original.clone(), before.version);
            let captured = self.captures(&original) || self.captures(&last);
            match ddl::apply(Some(&before), one, &self.context(&original, statement)) {
                Ok((Some(after), changes)) => moved.push(Moved { before, after, changes }),
                Ok((None, _)) => {}
                Err(error) if captured => return Err(Unfollowed::new(original, error.reason)),
                Err(_) => {}
            }
        }
        self.place(moved, changes);
        Ok(())
    }

    /// Whether a table that nobody captured comes to a captured name that no table had, where new tables are to be read.
    fn must_be_read(&self, original: &TableId, last: &TableId) -> bool {
        let is_new = !self.known.contains_key(last) && !self.versions.contains_key(last);
        self.new_are_read && is_new && self.captures(last) && !self.captures(original)
    }

    /// Puts renamed tables under their new names and reports them, each captured name once.
    ///
    /// A name that another table takes over in the same statement goes on with that table's columns: so end online schema
    /// changes, and so names are exchanged. Only where a name is free for it does a table count as renamed.
    fn place(&mut self, moved: Vec<Moved>, changes: &mut Vec<TableChange>) {
        let holders: HashMap<TableId, Arc<TableSchema>> =
            moved.iter().map(|m| (m.before.id.clone(), Arc::clone(&m.before))).collect();
        let taken: Vec<TableId> = moved.iter().map(|m| m.after.id.clone()).collect();
        for Moved { before, after, changes: made } in moved {
            let (old, new) = (before.id.clone(), after.id.clone());
            let was = self.captures(&old);
            let goes_on = taken.contains(&old);
            if was && !goes_on && (self.matches)(&new) {
                self.renamed.insert(new.clone());
            }
            let is = self.captures(&new);
            let was_watched = self.watched.contains(&old);
            let replaced = holders.get(&new);
            let renames = was && !goes_on && !(is && replaced.is_some());
            let last = replaced.or(Some(&before).filter(|_| renames));
            let difference = replaced.map(|replaced| difference(replaced, &after));
            let schema = self.replace(&new, last.map(|last| &**last), Some(after));
            if !is && (renames || was_watched) {
                self.watched.insert(new.clone());
            }
            if renames {
                changes.push(TableChange { table: old, changes: made, schema, is_foreign: false });
                continue;
            }
            if !goes_on {
                self.report(&old, vec![SchemaChange::RenameTable { new: new.clone() }], None, changes);
            }
            self.report(&new, difference.unwrap_or_else(|| vec![SchemaChange::CreateTable]), schema, changes);
        }
    }
}

/// The tables that a list of renames begins with: old names that no earlier pair made.
pub(super) fn originals(pairs: &[(TableId, TableId)]) -> Vec<TableId> {
    let mut made: Vec<&TableId> = Vec::new();
    let mut originals = Vec::new();
    for (old, new) in pairs {
        match made.iter().position(|m| *m == old) {
            Some(at) => made[at] = new,
            None => {
                originals.push(old.clone());
                made.push(new);
            }
        }
    }
    originals
}

pub(super) fn last_name(original: &TableId, pairs: &[(TableId, TableId)]) -> TableId {
    pairs.iter().fold(original.clone(), |name, (old, new)| if *old == name { new.clone() } else { name })
}
