//! Tables that are locked against writing for a moment: those whose rows are appended at the sink, each of which is read in one snapshot of the
//! whole, when that opens (`snapshot/exact.rs`); and all of them where nothing else tells the place of a chunk (`snapshot/mark.rs`).

use std::collections::BTreeMap;

use sluicebox_model::TableId;

use super::{Finding, Needs, account, named, refuse, warn};
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

pub(super) async fn check_locks(control: &mut Control, needs: &Needs) -> Result<Vec<Finding>, MysqlError> {
    let mut findings = Vec::new();
    for (database, tables) in denied(control, &needs.appended).await? {
        findings.push(warn(
            "lock-tables",
            format!(
                "the account may not lock tables whose rows are appended, for they have no key or a plugin takes it away: {}; rows \
                 written in the moment in which their snapshot opens may come twice",
                named(&tables)
            ),
            grant(control, database),
        ));
    }
    Ok(findings)
}

/// Where the marks of all chunks are taken under locks.
pub(super) async fn check_marks(control: &mut Control, needs: &Needs) -> Result<Vec<Finding>, MysqlError> {
    let mut findings = Vec::new();
    for (database, tables) in denied(control, &needs.tables).await? {
        findings.push(refuse(
            "watermark",
            format!(
                "gtid_mode is not ON, performance_schema.log_status cannot be read, and the account may not lock tables to know the \
                 place of their snapshot: {}",
                named(&tables)
            ),
            format!(
                "set gtid_mode=ON and enforce_gtid_consistency=ON at the server, or {}, by which each table is locked against writing \
                 for a moment at each chunk; MySQL 8.0 and later does without that by BACKUP_ADMIN and SELECT on \
                 performance_schema.log_status",
                grant(control, database)
            ),
        ));
    }
    Ok(findings)
}

/// Tables that may not be locked, by their databases.
async fn denied<'t>(
    control: &mut Control,
    tables: &'t [TableId],
) -> Result<BTreeMap<&'t str, Vec<&'t TableId>>, MysqlError> {
    let mut databases: BTreeMap<&str, Vec<&TableId>> = BTreeMap::new();
    for table in tables {
        databases.entry(&table.database).or_default().push(table);
    }
    let mut denied = BTreeMap::new();
    for (database, tables) in databases {
        if !may_lock(control, database).await? {
            denied.insert(database, tables);
        }
    }
    Ok(denied)
}

fn grant(control: &Control, database: &str) -> String {
    format!("GRANT LOCK TABLES ON {}.* TO {}", quote(database), account(&control.options.user))
}

/// Tries to lock a table that is not there: the servers ask for the privilege first, and nothing is locked.
async fn may_lock(control: &mut Control, database: &str) -> Result<bool, MysqlError> {
    let statement = format!("LOCK TABLES {}.{} READ", quote(database), quote(NO_TABLE));
    let answer = control.client.error_code(&statement, "trying to lock a table").await?;
    if answer.is_none() {
        // Somebody has made it.
        control.client.run("UNLOCK TABLES", "unlocking a table").await?;
    }
    Ok(answer != Some(DENIED_ON_DATABASE))
}
