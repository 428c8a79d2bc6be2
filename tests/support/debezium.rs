//! Debezium as a second opinion: an engine of its own release reads the same binlog, and its events are compared with ours.
//!
//! Its values come in the forms that its options name (`tests/debezium/engine.py`) and are brought into those of our events
//! by the declared type of their column. What both say in the same words is equal; nothing is rounded.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use chrono::{DateTime, NaiveDate, TimeDelta};
use serde_json::Value;

use super::changes::{Change, value};
use super::{Database, eventually, python, root};

/// A running engine. It ends with the value.
pub struct Debezium<'a> {
    source: &'a Database<'a>,
    child: Child,
    folder: tempfile::TempDir,
}

impl<'a> Debezium<'a> {
    /// Starts one on all tables that `source` has by now, and makes the two tables that it is told by. Changes are seen
    /// from [`Self::wait_until_ready`] on.
    #[track_caller]
    pub fn start(source: &'a Database<'a>) -> Self {
        source.sql(
            "CREATE TABLE ready (id INT AUTO_INCREMENT PRIMARY KEY); CREATE TABLE done (id INT PRIMARY KEY)",
        );
        let folder =
            tempfile::Builder::new().prefix("sluicebox-debezium.").tempdir().expect("a temporary folder");
        let log = |name: &str| std::fs::File::create(folder.path().join(name)).expect("a file for the log");
        let child = Command::new(python())
            .arg(root().join("tests/debezium/engine.py"))
            .args([source.server().host(), &source.server().port().to_string(), source.name(), "events"])
            .arg(folder.path().join("events"))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log("stdout"))
            .stderr(log("stderr"))
            .spawn()
            .expect("Python starts");
        Self { source, child, folder }
    }

    /// Waits until it sees what is written.
    #[track_caller]
    pub fn wait_until_ready(&mut self) {
        let mut session = self.source.session();
        eventually("Debezium sees changes", || {
            assert!(self.child.try_wait().expect("a child of ours").is_none(), "{}", self.printed());
            session.sql("INSERT INTO ready VALUES ()");
            let said = std::fs::read_to_string(self.folder.path().join("stdout")).unwrap_or_default();
            if said.lines().any(|line| line == "ready") { Ok(()) } else { Err(self.printed()) }
        });
    }

    /// Its events up to now, in order.
    #[track_caller]
    pub fn events(mut self) -> Vec<Value> {
        self.source.sql("INSERT INTO done VALUES (1)");
        let status = eventually("Debezium comes to the end", || {
            self.child.try_wait().expect("a child of ours").ok_or_else(|| self.printed())
        });
        assert!(status.success(), "{status}: {}", self.printed());
        let file = std::fs::File::open(self.path("events")).expect("the events");
        let lines = BufReader::new(file).lines().map(|line| line.expect("a line"));
        lines.map(|line| serde_json::from_str(&line).expect("JSON of an event")).collect()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The last that it said, for whoever has to find a failure.
    fn printed(&self) -> String {
        let all =
            ["stdout", "stderr"].map(|name| std::fs::read_to_string(self.path(name)).unwrap_or_default());
        let lines: Vec<&str> = all.iter().flat_map(|text| text.lines()).collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for Debezium<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A value about which the two do not agree.
#[derive(Debug)]
pub struct Difference {
    /// Which change, counted from 0.
    pub number: usize,
    pub column: String,
    pub ours: Value,
    /// In the form of ours.
    pub theirs: Value,
}

/// Compares events one by one. Panics where they are not of the same rows in the same order.
#[track_caller]
pub fn differences(ours: &[Change], theirs: &[Value]) -> Vec<Difference> {
    let ours: Vec<&Change> = ours.iter().filter(|change| !is_ours_alone(change)).collect();
    // What was written before our reader began counts for neither.
    let first = &ours.first().expect("a change").transaction;
    let begin = theirs.iter().position(|event| event["source"]["gtid"] == **first);
    let theirs = &theirs[begin.expect("their engine has our first change")..];
    let mut found = Vec::new();
    for (number, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        let names = |row: Option<&Value>| -> Option<Vec<String>> {
            Some(row?.as_object()?.keys().cloned().collect())
        };
        let source = &theirs["source"];
        let same = source["table"] == *ours.schema.id.table
            && source["gtid"] == *ours.transaction
            && theirs["before"].is_null() == ours.before.is_none()
            && theirs["after"].is_null() == ours.after.is_none();
        assert!(same, "change {number} is another one:\n  ours   {ours:?}\n  theirs {theirs}");
        for (image, row) in [("before", ours.before.as_ref()), ("after", ours.after.as_ref())] {
            let columns = row.map(|row| row.keys().cloned().collect::<Vec<_>>());
            assert_eq!(columns, names(Some(&theirs[image])), "columns of change {number}, {image}");
            for column in &ours.schema.columns {
                let left = ours_in_their_words(&column.source_type, value(row, &column.name));
                let right = in_our_words(&column.source_type, &theirs[image][&*column.name]);
                if left != right {
                    found.push(Difference {
                        number,
                        column: format!("{}.{} {}", ours.schema.id.table, column.name, column.source_type),
                        ours: left,
                        theirs: right,
                    });
                }
            }
        }
    }
    assert_eq!(ours.len(), theirs.len(), "changes");
    found
}

/// Rows by which the engine was told something.
fn is_ours_alone(change: &Change) -> bool {
    matches!(&*change.schema.id.table, "ready" | "done")
}

/// JSON documents are the same document however they are spaced.
fn ours_in_their_words(declared: &str, value: &Value) -> Value {
    match value {
        Value::String(text) if declared == "json" => parsed(text),
        Value::Number(_) if word(declared) == "float" => single(value),
        other => other.clone(),
    }
}

fn word(declared: &str) -> &str {
    declared.split(['(', ' ']).next().unwrap_or(declared)
}

/// A value of theirs as ours would be written.
#[track_caller]
fn in_our_words(declared: &str, value: &Value) -> Value {
    if value.is_null() {
        return Value::Null;
    }
    let number = || value.as_i64().unwrap_or_else(|| panic!("{declared}: {value} is no integer"));
    let text = || value.as_str().unwrap_or_else(|| panic!("{declared}: {value} is no text"));
    match word(declared) {
        "tinyint" if declared.starts_with("tinyint(1)") => (number() != 0).into(),
        "bigint" if declared.contains("unsigned") => unsigned(&bytes(text())).into(),
        "bit" if matches!(value, Value::Bool(_)) => value.clone(),
        "bit" => unsigned(&bytes(text()).into_iter().rev().collect::<Vec<_>>()).into(),
        "float" => single(value),
        "date" => (NaiveDate::default() + TimeDelta::days(number())).to_string().into(),
        "datetime" => moment(number()).into(),
        "timestamp" => {
            let at = DateTime::parse_from_rfc3339(text()).expect("a moment");
            format!("{}Z", moment(at.timestamp_micros())).into()
        }
        "time" => span(number()).into(),
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => {
            format!("0x{}", text()).into()
        }
        "json" => parsed(text()),
        "geometry" | "point" => geometry(value).into(),
        _ => value.clone(),
    }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in JSON {text}"))
}

/// The digits of a single, whoever printed it.
fn single(value: &Value) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "the column has singles")]
    let number = value.as_f64().expect("a number") as f32;
    number.to_string().parse::<f64>().expect("a number").into()
}

fn bytes(text: &str) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(text).expect("base64")
}

/// A big-endian number.
fn unsigned(bytes: &[u8]) -> u64 {
    let number = bytes.iter().fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    u64::try_from(number).expect("64 bits")
}

fn moment(micros: i64) -> String {
    let at = DateTime::from_timestamp_micros(micros).expect("a moment of a server");
    shortened(at.format("%Y-%m-%d %H:%M:%S%.6f").to_string())
}

fn span(micros: i64) -> String {
    let (sign, micros) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    shortened(format!(
        "{sign}{:02}:{:02}:{:02}.{fraction:06}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    ))
}

/// Without zeros at the end of a fraction.
fn shortened(text: String) -> String {
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// As the server stores it: the reference system and WKB.
fn geometry(value: &Value) -> String {
    let system = value["srid"].as_u64().and_then(|srid| u32::try_from(srid).ok()).unwrap_or(0);
    let wkb = bytes(value["wkb"].as_str().expect("WKB"));
    let all = system.to_le_bytes().into_iter().chain(wkb);
    all.fold("0x".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}
