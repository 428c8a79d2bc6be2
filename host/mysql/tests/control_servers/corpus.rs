//! Statements of the corpus lead where the servers go.

use std::collections::{BTreeMap, BTreeSet};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use sluicebox_model::{TableId, TableSchema};
use sluicebox_mysql::{Control, Flavour};

use crate::ddl::{Modes, describe, follow_one, server_tables};
use crate::server::{control, fresh_database, sql};
use reader::{CAPTURED, Case};

#[path = "../ddl_corpus/reader.rs"]
mod reader;

/// Not captured, but known: statements of the corpus make tables like those in it, and move them.
const FOREIGN: &str = "corpus_attic";

/// What else statements make, by the only name that they give to such a thing.
const PROGRAMS: [(&str, &str); 4] =
    [("vw", "VIEW"), ("pr", "PROCEDURE"), ("fn", "FUNCTION"), ("sq", "SEQUENCE")];

/// So many statements each server takes at least.
const LEAST_STATEMENTS: usize = 500;

#[tokio::test]
async fn on_mysql_the_corpus_leads_where_the_server_goes() {
    follow(Flavour::MySql).await;
}

#[tokio::test]
async fn on_mariadb_the_corpus_leads_where_the_server_goes() {
    follow(Flavour::MariaDb).await;
}

fn mark_of(flavour: Flavour) -> char {
    match flavour {
        Flavour::MySql => 'M',
        Flavour::MariaDb => 'A',
    }
}

/// Runs each statement on fresh tables, at the server and here, and compares all tables behind it. All differences are
/// shown at once.
async fn follow(flavour: Flavour) {
    let mark = mark_of(flavour);
    let _foreign = fresh_database(flavour, FOREIGN).await;
    let mut conn = fresh_database(flavour, CAPTURED).await;
    let mut control = control(flavour).await;
    let setup: Vec<Case> = reader::setup().into_iter().filter(|case| case.is_for(mark)).collect();
    for case in &setup {
        sql(&mut conn, &case.text).await;
    }
    let fresh = server_tables(&mut control, &[CAPTURED, FOREIGN]).await;
    let (mut differences, mut refused, mut ran) = (Vec::new(), Vec::new(), 0);
    for case in reader::cases().iter().filter(|case| case.is_for(mark) && !case.has('x')) {
        set_modes(&mut conn, case).await;
        if let Err(error) = conn.query_drop(&case.text).await {
            refused.push(format!("{}: {error}: {}", case.place, case.text));
            continue;
        }
        ran += 1;
        differences.extend(compare(case, &fresh, &mut control).await);
        make_anew(&mut conn, &setup, &mut control, &fresh, case).await;
    }
    assert!(
        differences.is_empty() && refused.is_empty(),
        "{} differences\n{}\n{} refused\n{}",
        differences.len(),
        differences.join("\n"),
        refused.len(),
        refused.join("\n")
    );
    assert!(ran >= LEAST_STATEMENTS, "only {ran} statements ran");
}

async fn set_modes(conn: &mut Conn, case: &Case) {
    let modes = [('q', "ANSI_QUOTES"), ('n', "NO_BACKSLASH_ESCAPES")];
    let set: Vec<&str> = modes.iter().filter(|(mark, _)| case.has(*mark)).map(|(_, mode)| *mode).collect();
    sql(conn, &format!("SET SESSION sql_mode='{}'", set.join(","))).await;
}

async fn compare(case: &Case, fresh: &BTreeMap<TableId, TableSchema>, control: &mut Control) -> Vec<String> {
    let mut ours = fresh.clone();
    let modes = Modes { ansi_quotes: case.has('q'), no_backslash_escapes: case.has('n') };
    // Such a table's columns are in the binlog's text and not in the client's.
    let from_query = match follow_one(&case.text, CAPTURED, modes, control, &mut ours) {
        Ok(from_query) => from_query,
        Err(reason) => return vec![format!("{}: {}\n    {reason}", case.place, case.text)],
    };
    let theirs = server_tables(control, &[CAPTURED, FOREIGN]).await;
    let ids: BTreeSet<&TableId> =
        ours.keys().chain(theirs.keys()).filter(|id| !from_query.contains(id)).collect();
    let differ = ids.into_iter().filter_map(|id| {
        let (ours, theirs) = (ours.get(id).map(describe), theirs.get(id).map(describe));
        let text = |side: Option<String>| side.unwrap_or_else(|| "not there".to_owned());
        (ours != theirs).then(|| {
            let (place, statement) = (&case.place, &case.text);
            let said = case.outcome(mark_of(control.server().flavour));
            format!(
                "{place}: {statement}\n  {id}\n  said   {said}\n  ours   {}\n  theirs {}",
                text(ours),
                text(theirs)
            )
        })
    });
    differ.collect()
}

/// Removes what the statement made and makes anew what it names; indexes and defaults, which nobody sees here, too.
async fn make_anew(
    conn: &mut Conn,
    setup: &[Case],
    control: &mut Control,
    fresh: &BTreeMap<TableId, TableSchema>,
    case: &Case,
) {
    sql(conn, "SET SESSION sql_mode='', foreign_key_checks=0").await;
    let tables: Vec<TableId> = control.tables().await.expect("tables");
    let words: BTreeSet<&str> = case.text.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    for (name, kind) in PROGRAMS.iter().filter(|(name, _)| words.contains(name)) {
        sql(conn, &format!("DROP {kind} IF EXISTS `{name}`")).await;
    }
    // A temporary table hides the one of its name.
    for table in words.iter().filter(|word| !word.is_empty() && words.contains("TEMPORARY")) {
        sql(conn, &format!("DROP TEMPORARY TABLE IF EXISTS `{table}`")).await;
    }
    let ours = tables.into_iter().filter(|id| [CAPTURED, FOREIGN].contains(&&*id.database));
    let stale = |id: &TableId| !fresh.contains_key(id) || words.contains(&*id.table);
    for TableId { database, table } in ours.filter(stale) {
        sql(conn, &format!("DROP TABLE `{database}`.`{}`", table.replace('`', "``"))).await;
    }
    let there = control.tables().await.expect("tables");
    for id in fresh.keys().filter(|id| !there.contains(id)) {
        sql(conn, &made_by(setup, id).text).await;
    }
}

/// The statement that makes the table.
fn made_by<'a>(setup: &'a [Case], id: &TableId) -> &'a Case {
    let names = [format!("CREATE TABLE {} ", id.table), format!("CREATE TABLE {id} ")];
    let made = setup.iter().find(|case| names.iter().any(|name| case.text.starts_with(name.as_str())));
    made.unwrap_or_else(|| panic!("the setup does not make {id}"))
}
