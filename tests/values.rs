//! Every type of the source at its limits, a file each in `tests/fixtures/types`: the sink holds what the file says, whichever way
//! the row came and whichever server had it.
//!
//! The same literals are written three times: before the start (snapshot), as inserts after it and as updates after it
//! (binlog). On MySQL the events of the binlog are also compared with Debezium's of the same rows, value by value. Where the two
//! differ the file says so, with both values and the reason; one that is listed and does not differ is a failure too.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta};
use serde::Deserialize;
use sluicebox_maxcompute::record::Value;

use crate::support::changes::{Change, ChangeReader};
use crate::support::debezium::{Debezium, Difference, differences};
use crate::support::{Database, Emulator, Pipeline, Server, Sink, eventually, root, setting};

/// Generations beside the two servers of all tests, where `scripts/test` could get them.
const GENERATIONS: &str = "SLUICEBOX_TEST_GENERATIONS";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TypeFile {
    /// As it is declared.
    source: String,
    /// What it becomes.
    sink: String,
    /// Which servers have it; all where none is named.
    #[serde(default)]
    servers: Vec<String>,
    values: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What is written.
    sql: String,
    /// What the sink holds: numbers and times as MySQL prints them, bytes in hexadecimal; `x*3` stands for `xxx`.
    sink: Option<String>,
    /// What Debezium says otherwise.
    debezium: Option<Disagreement>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Disagreement {
    ours: serde_json::Value,
    theirs: serde_json::Value,
    #[expect(dead_code, reason = "for whoever reads the file")]
    because: String,
}

/// A table of one type; its name is that of the file.
struct Table {
    name: String,
    file: TypeFile,
}

/// The three ways, by the key of their first row.
const WAYS: [(&str, usize); 3] = [("snapshot", 0), ("insert", 1000), ("update", 2000)];

/// Literals that strict mode would refuse (zero dates) are stored all the same, as old data is.
const LENIENT_SESSION: &str = "SET sql_mode = '', time_zone = '+00:00'";

#[test]
fn every_type_has_the_same_value_on_mysql_and_in_debezium() {
    check("mysql");
}

#[test]
fn every_type_has_the_same_value_on_mariadb() {
    check("mariadb");
}

#[test]
fn every_type_has_the_same_value_on_mysql_5_6() {
    check_generation("mysql-5.6");
}

#[test]
fn every_type_has_the_same_value_on_mariadb_10_5() {
    check_generation("mariadb-10.5");
}

#[test]
fn every_type_has_the_same_value_on_mariadb_11_8() {
    check_generation("mariadb-11.8");
}

#[expect(clippy::print_stderr, reason = "a test that does not run has to say so")]
fn check_generation(word: &str) {
    if setting(GENERATIONS).split_whitespace().any(|there| there == word) {
        check(word);
    } else {
        eprintln!("not run: this system has no {word}");
    }
}

fn check(word: &str) {
    let server = Server::private_of(word, &[]);
    let (source, emulator) = (server.database(), Emulator::start());
    let tables = tables(word);
    for table in &tables {
        source.sql(&format!(
            "CREATE TABLE {} (id INT NOT NULL PRIMARY KEY, v {})",
            table.name, table.file.source
        ));
    }
    let mut debezium = (word == "mysql").then(|| Debezium::start(&source));
    tables.iter().for_each(|table| insert(&source, table, 0));
    let pipeline = Pipeline::new(&source, &emulator).sink("buckets-num", "1");
    let mut program = pipeline.start();
    let sink = emulator.sink();
    wait_for(&tables, &sink, 1);
    debezium.iter_mut().for_each(Debezium::wait_until_ready);
    let reader = ChangeReader::begin(&source);
    for table in &tables {
        insert(&source, table, WAYS[1].1);
        update(&source, table, WAYS[2].1);
    }
    wait_for(&tables, &sink, 3);
    program.assert_running();
    if let Some(debezium) = debezium {
        let theirs = debezium.events();
        compare_with_debezium(&tables, &reader.read(), &theirs);
    }
}

/// The types that a server has, in the order of their names.
fn tables(word: &str) -> Vec<Table> {
    let folder = root().join("tests/fixtures/types");
    let files = std::fs::read_dir(&folder).expect("the folder of types");
    let mut tables: Vec<Table> = files
        .map(|entry| {
            let path = entry.expect("a file").path();
            let text = std::fs::read_to_string(&path).expect("a file of a type");
            let file =
                serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let name = path.file_stem().expect("a name").to_string_lossy();
            Table { name: format!("t_{name}"), file }
        })
        .filter(|table: &Table| table.file.servers.is_empty() || table.file.servers.iter().any(|s| s == word))
        .collect();
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(tables.len() > 50, "{} types", tables.len());
    tables
}

fn insert(source: &Database<'_>, table: &Table, first: usize) {
    let mut session = source.session();
    session.sql(LENIENT_SESSION);
    let rows = table.file.values.iter().enumerate();
    let rows: Vec<String> = rows.map(|(row, case)| format!("({}, {})", first + row, case.sql)).collect();
    session.sql(&format!("INSERT INTO {} VALUES {}", table.name, rows.join(", ")));
}

/// Rows of nulls become the same rows by an update.
fn update(source: &Database<'_>, table: &Table, first: usize) {
    let mut session = source.session();
    session.sql(LENIENT_SESSION);
    for (row, case) in table.file.values.iter().enumerate() {
        let (name, id) = (&table.name, first + row);
        session.sql(&format!(
            "INSERT INTO {name} (id) VALUES ({id}); UPDATE {name} SET v = {} WHERE id = {id}",
            case.sql
        ));
    }
}

/// Waits until the sink has the rows of so many ways.
#[track_caller]
fn wait_for(tables: &[Table], sink: &Sink, ways: usize) {
    eventually(&format!("the rows of {ways} ways"), || {
        let wrong: Vec<String> = tables.iter().filter_map(|table| differs(table, sink, ways)).collect();
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
    });
}

/// How the sink's table is not as its file says.
fn differs(table: &Table, sink: &Sink, ways: usize) -> Option<String> {
    let Table { name, file } = table;
    let Some(described) = sink.describe(name) else { return Some(format!("{name} is not there")) };
    let mapped = described.columns[1].data_type.to_string();
    if !mapped.eq_ignore_ascii_case(&file.sink) {
        return Some(format!("{name}: {} is {mapped}, expected {}", file.source, file.sink));
    }
    let rows = match sink.typed_rows(&format!("SELECT id, v FROM {name}")) {
        Ok(rows) => rows,
        Err(error) => return Some(format!("{name}: {error}")),
    };
    let found: BTreeMap<String, Option<String>> = rows
        .into_iter()
        .map(|row| {
            let mut cells = row.into_iter().map(|cell| cell.map(|value| text(value, &file.sink)));
            (cells.next().flatten().unwrap_or_default(), cells.next().flatten())
        })
        .collect();
    let mut wanted = BTreeMap::new();
    for (_, first) in &WAYS[..ways] {
        for (row, case) in file.values.iter().enumerate() {
            wanted.insert((first + row).to_string(), case.sink.as_deref().map(long));
        }
    }
    if found == wanted {
        return None;
    }
    let short = |value: &Option<String>| format!("{value:?}").chars().take(200).collect::<String>();
    let wrong = wanted.iter().filter(|(id, want)| found.get(*id) != Some(*want)).map(|(id, want)| {
        let found = found.get(id).map_or_else(|| "no row".to_owned(), short);
        format!("{name} {id}: {found}, expected {}", short(want))
    });
    Some(wrong.collect::<Vec<_>>().join("\n"))
}

fn text(value: Value, sink_type: &str) -> String {
    match value {
        Value::Bigint(number) => number.to_string(),
        Value::Boolean(truth) => truth.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Double(number) => format!("{number:?}").trim_end_matches(".0").to_owned(),
        Value::Date(days) => (NaiveDate::default() + TimeDelta::days(days.into())).to_string(),
        Value::Timestamp { seconds, nanos } => {
            let at = DateTime::from_timestamp(seconds, nanos).expect("a moment of the service");
            let text = at.format("%Y-%m-%d %H:%M:%S%.9f").to_string();
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        Value::Text(bytes) if sink_type == "BINARY" => {
            bytes.iter().fold("0x".to_owned(), |text, byte| text + &format!("{byte:02x}"))
        }
        Value::Text(bytes) => String::from_utf8(bytes).expect("the sink's text is UTF-8"),
        other => panic!("{other:?} is of no type that the mapping has"),
    }
}

/// `x*3` stands for `xxx`, and `0xff*3` for `0xffffff`.
fn long(text: &str) -> String {
    let Some((part, times)) = text.rsplit_once('*') else { return text.to_owned() };
    let Ok(times) = times.parse() else { return text.to_owned() };
    match part.strip_prefix("0x") {
        Some(digits) => format!("0x{}", digits.repeat(times)),
        None => part.repeat(times),
    }
}

fn compare_with_debezium(tables: &[Table], ours: &[Change], theirs: &[serde_json::Value]) {
    let mut found: Vec<Difference> = differences(ours, theirs);
    let mut stale = Vec::new();
    for table in tables {
        for case in &table.file.values {
            let Some(listed) = &case.debezium else { continue };
            let before = found.len();
            found.retain(|difference| {
                !(difference.column.starts_with(&format!("{}.v ", table.name))
                    && difference.ours == listed.ours
                    && difference.theirs == listed.theirs)
            });
            if found.len() == before {
                stale.push(format!("{}: {listed:?} is listed, but there is no such difference", table.name));
            }
        }
    }
    let lines: Vec<String> = found.iter().map(|difference| format!("{difference:?}")).chain(stale).collect();
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}
