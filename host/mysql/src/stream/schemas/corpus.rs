//! Follows every statement of the corpus: what it does to captured tables is what stands next to it, and none that is about
//! other tables stops the stream.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use sluicebox_model::{Column, ColumnPlace, Gtids, Position, Secret};

use super::*;
use crate::{ConnectOptions, ServerInfo, Skip, Tls, TlsMode};
use reader::{CAPTURED, Case};

#[path = "../../../tests/ddl_corpus/reader.rs"]
mod reader;

/// So many different statements there are at least.
const LEAST_STATEMENTS: usize = 1_000;

const SERVERS: [(char, Flavour, (u16, u16, u16)); 2] =
    [('M', Flavour::MySql, (9, 7, 4)), ('A', Flavour::MariaDb, (10, 11, 18))];

#[test]
fn each_statement_does_what_stands_next_to_it() {
    let cases = reader::cases();
    let mut wrong = Vec::new();
    for (mark, flavour, version) in SERVERS {
        for case in cases.iter().filter(|case| case.is_for(mark)) {
            let mut schemas = prepared(mark, flavour, version);
            let outcome = describe(schemas.follow(&statement(case)));
            if outcome != case.outcome(mark) {
                let (place, text, want) = (&case.place, &case.text, case.outcome(mark));
                wrong.push(format!("{place} {mark} {text}\n  want {want}\n  have {outcome}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} statements came out otherwise\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_statements_are_many_and_each_is_another() {
    let cases = reader::cases();
    let mut places: BTreeMap<&str, &str> = BTreeMap::new();
    for case in &cases {
        if let Some(first) = places.insert(&case.text, &case.place) {
            panic!("{first} and {} are the same: {}", case.place, case.text);
        }
    }
    assert!(cases.len() >= LEAST_STATEMENTS, "only {} statements", cases.len());
    let errors = cases.iter().filter(|case| case.outcome('M').starts_with("error ")).count();
    let changes =
        cases.iter().filter(|case| !(case.outcome('M').is_empty() && case.outcome('A').is_empty())).count();
    assert!(errors > 0 && changes > errors && changes < cases.len(), "{errors} {changes}");
}

/// Whoever captures nothing is never stopped, whatever a statement says.
#[test]
fn no_statement_stops_a_stream_that_captures_no_table() {
    for (_, flavour, version) in SERVERS {
        for case in reader::cases() {
            let mut schemas = schemas(flavour, version, |_| false);
            let outcome = schemas.follow(&statement(&case));
            assert_eq!(outcome, Ok(Vec::new()), "{}: {}", case.place, case.text);
        }
    }
}

/// A text cut anywhere, as a reader of broken logs might meet it, gives a result or an error, and ends.
#[test]
fn a_statement_cut_anywhere_is_never_a_panic() {
    let mut seen = HashSet::new();
    for case in reader::cases() {
        let (_, flavour, version) = SERVERS[usize::from(!case.is_for('M'))];
        for (at, _) in case.text.char_indices().step_by(3) {
            let text = &case.text[..at];
            if seen.insert(text.to_owned()) {
                let cut = Statement { text, ..statement(&case) };
                // Only that it ends matters.
                let _ = schemas(flavour, version, |id| *id.database == *CAPTURED).follow(&cut);
            }
        }
    }
}

fn statement(case: &Case) -> Statement<'_> {
    Statement {
        text: &case.text,
        database: CAPTURED,
        ansi_quotes: case.has('q'),
        no_backslash_escapes: case.has('n'),
        server_charset: None,
    }
}

pub(super) fn schemas(
    flavour: Flavour,
    version: (u16, u16, u16),
    captures: impl Fn(&TableId) -> bool + Send + Sync + 'static,
) -> Schemas {
    let connect = ConnectOptions {
        host: String::new(),
        port: 0,
        user: String::new(),
        password: Secret::new(""),
        tls: Tls { mode: TlsMode::Preferred, ca: None, identity: None },
        connect_timeout: Duration::ZERO,
        compress: None,
    };
    let server = ServerInfo {
        flavour,
        version,
        version_text: String::new(),
        uuid: None,
        server_id: 1,
        lower_case_table_names: 0,
        has_gtids: true,
    };
    Schemas::new(&StreamOptions {
        connect,
        server,
        server_id: 2,
        heartbeat: Duration::ZERO,
        from: Position { file: String::new(), offset: 0, gtids: Gtids::None },
        skip: Skip::default(),
        schemas: Vec::new(),
        captures: Arc::new(captures),
        known_behind: Vec::new(),
        repairs: Vec::new(),
        new_are_read: false,
        matches: Arc::new(|_| false),
        types: TypeOptions::default(),
        database_charsets: Vec::new(),
    })
}

/// With the tables of the setup.
fn prepared(mark: char, flavour: Flavour, version: (u16, u16, u16)) -> Schemas {
    let mut schemas = schemas(flavour, version, |id| *id.database == *CAPTURED && !id.table.starts_with('_'));
    for case in reader::setup().iter().filter(|case| case.is_for(mark)) {
        schemas.follow(&statement(case)).unwrap_or_else(|error| panic!("{error:?}: {}", case.text));
    }
    schemas
}

fn describe(outcome: Result<Vec<TableChange>, Unfollowed>) -> String {
    match outcome {
        Err(Unfollowed { table, reason, .. }) => format!("error {}: {reason}", table.table),
        Ok(changes) => changes.iter().map(describe_table).collect::<Vec<_>>().join(" | "),
    }
}

fn describe_table(change: &TableChange) -> String {
    let schema = change.schema.as_deref();
    let texts: Vec<String> = change.changes.iter().map(|one| describe_change(one, schema)).collect();
    let named: BTreeSet<&str> = [&*change.table.table].into();
    let prefix = if named.contains("t") { String::new() } else { format!("{}: ", change.table.table) };
    format!("{prefix}{}", texts.join("; "))
}

fn describe_change(change: &SchemaChange, schema: Option<&TableSchema>) -> String {
    match change {
        SchemaChange::CreateTable => schema.map(describe_new).unwrap_or_default(),
        SchemaChange::AddColumns(added) => added.iter().map(describe_added).collect::<Vec<_>>().join(", "),
        SchemaChange::AlterColumn { old, new } => {
            format!("~{} {} -> {}", old.name, describe_type(old), describe_type(new))
        }
        SchemaChange::RenameColumn { old, new } => format!("{old}>{new}"),
        SchemaChange::DropColumns(names) => format!("-{}", names.join(" -")),
        SchemaChange::AlterKey => format!("key({})", schema.map(key).unwrap_or_default()),
        SchemaChange::AlterUniqueKeys => {
            let names = schema.into_iter().flat_map(|s| &s.unique_keys).map(|key| &*key.name);
            format!("unique({})", names.collect::<Vec<_>>().join(", "))
        }
        SchemaChange::AlterDefaults => "defaults".to_owned(),
        SchemaChange::AlterComment => {
            format!("comment {:?}", schema.and_then(|s| s.comment.as_deref()).unwrap_or("")).replace('"', "'")
        }
        SchemaChange::AlterCharset => {
            format!("charset {}", schema.and_then(|s| s.charset.as_deref()).unwrap_or(""))
        }
        SchemaChange::RenameTable { new } => format!("named {new}"),
        SchemaChange::TruncateTable => "truncate".to_owned(),
        SchemaChange::DropTable => "drop".to_owned(),
    }
}

fn describe_new(schema: &TableSchema) -> String {
    let columns: Vec<String> =
        schema.columns.iter().map(|c| format!("{} {}", c.name, describe_type(c))).collect();
    let mut text = format!("create {}", columns.join(", "));
    if !schema.key.is_empty() {
        text.push_str(&format!("; key({})", key(schema)));
    }
    if let Some(comment) = &schema.comment {
        text.push_str(&format!("; comment {comment:?}").replace('"', "'"));
    }
    match schema.charset.as_deref() {
        Some("utf8mb4") | None => text,
        Some(other) => format!("{text}; charset {other}"),
    }
}

fn describe_added((column, place): &(Column, ColumnPlace)) -> String {
    let place = match place {
        ColumnPlace::Last => String::new(),
        ColumnPlace::First => " first".to_owned(),
        ColumnPlace::After(name) => format!(" after {name}"),
    };
    format!("+{} {}{place}", column.name, describe_type(column))
}

fn describe_type(column: &Column) -> String {
    let charset = match column.charset.as_deref() {
        None | Some("utf8mb4") => String::new(),
        Some(other) => format!(":{other}"),
    };
    let comment = column.comment.as_ref().map(|c| format!(" {c:?}").replace('"', "'")).unwrap_or_default();
    format!("{}{}{charset}{comment}", column.source_type, if column.nullable { "" } else { "!" })
}

fn key(schema: &TableSchema) -> String {
    schema.key_columns().map(|c| c.name.to_string()).collect::<Vec<_>>().join(", ")
}
