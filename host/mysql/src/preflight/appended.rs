//! Tables whose rows are appended at the sink: each is read in one snapshot of the whole, which opens while the table is locked against
//! writing for a moment (`snapshot/exact.rs`).

use std::collections::BTreeMap;

use sluicebox_model::TableId;

use super::{Finding, Needs, account, named, warn};
use crate::client::quote;
use crate::control::Control;
use crate::error::MysqlError;

/// No table has this name.
const NO_TABLE: &str = "sluicebox no such table";
/// The account lacks a privilege on the database; what it may do to a table is asked behind that.
const DENIED_ON_DATABASE: u16 = 1044;

pub(super) fn judge_keyless(needs: &Needs) -> Option<Finding> {
    (!needs.keyless.is_empty()).then(|| {
        warn(
            "keyless",
            format!(
                "these tables have neither primary key nor unique key without NULL: {}; the whole table is read in one snapshot, for \
                 whose opening it is locked against writing for a moment",
                named(&needs.keyless)
            ),
            "ALTER TABLE ... ADD PRIMARY KEY",
        )
    })
}

/// Tries to lock a table that is not there, in each database: the servers ask for the privilege first, and nothing is locked.
pub(super) async fn check_locks(control: &mut Control, needs: &Needs) -> Result<Vec<Finding>, MysqlError> {
    let mut databases: BTreeMap<&str, Vec<&TableId>> = BTreeMap::new();
    for table in &needs.appended {
        databases.entry(&table.database).or_default().push(table);
    }
    let mut findings = Vec::new();
    for (database, tables) in databases {
        let statement = format!("LOCK TABLES {}.{} READ", quote(database), quote(NO_TABLE));
        match control.client.error_code(&statement, "trying to lock a table").await? {
            Some(DENIED_ON_DATABASE) => findings.push(warn(
                "lock-tables",
                format!(
                    "the account may not lock tables whose rows are appended, for they have no key or a plugin takes it away: {}; rows \
                     written in the moment in which their snapshot opens may come twice",
                    named(&tables)
                ),
                format!("GRANT LOCK TABLES ON {}.* TO {}", quote(database), account(&control.options.user)),
            )),
            Some(_) => {}
            // Somebody has made it.
            None => control.client.run("UNLOCK TABLES", "unlocking a table").await?,
        }
    }
    Ok(findings)
}
