//! Source and sink hold the same rows.
//!
//! Both sides are read by their own clients and brought into one text per value. The source is asked in a form that
//! leaves no room for formats (microseconds since 1970 for a time, hexadecimal for bytes); the sink is read with its
//! types. Documented differences are the same here: a zero date is NULL, TINYINT(1) is a truth value, BIT(n) is
//! little-endian bytes.

use std::collections::BTreeMap;

use sluicebox_maxcompute::record::Value;

use super::{Database, Rows, Sink, eventually};

/// Rows of either side that a failure shows.
const SHOWN_ROWS: usize = 5;

/// How a column's values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Boolean,
    Year,
    Decimal,
    Float,
    Double,
    Days,
    Micros,
    Time,
    Json,
    Bytes,
    Bits,
}

struct Column {
    name: String,
    form: Form,
}

/// Panics unless every row of the source's `table` is in the sink's `target`, and no other.
#[track_caller]
pub fn assert_same_rows(source: &Database<'_>, table: &str, sink: &Sink, target: &str) {
    if let Err(difference) = same_rows(source, table, sink, target) {
        panic!("{difference}");
    }
}

/// Waits until every row of the source's `table` is in the sink's `target`, and no other; gives their number.
#[track_caller]
pub fn wait_for_same_rows(source: &Database<'_>, table: &str, sink: &Sink, target: &str) -> usize {
    eventually(&format!("`{target}` holds the rows of `{table}`"), || same_rows(source, table, sink, target))
}

/// The number of rows, or what differs. Columns are those of the source: the sink may keep more.
pub fn same_rows(source: &Database<'_>, table: &str, sink: &Sink, target: &str) -> Result<usize, String> {
    let columns = columns(source, table);
    let from_source = read_source(source, table, &columns);
    let from_sink = read_sink(sink, target, &columns)?;
    if from_source == from_sink {
        return Ok(from_source.len());
    }
    let shown = |label: &str, rows: &Rows, others: &Rows| {
        let missing = only_in(rows, others);
        let lines: Vec<String> = missing.iter().take(SHOWN_ROWS).map(|row| format!("    {row:?}")).collect();
        format!("  {} of {} rows only in the {label}:\n{}\n", missing.len(), rows.len(), lines.join("\n"))
    };
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    Err(format!(
        "`{table}` and `{target}` differ in ({}):\n{}{}",
        names.join(", "),
        shown("source", &from_source, &from_sink),
        shown("sink", &from_sink, &from_source)
    ))
}

fn columns(source: &Database<'_>, table: &str) -> Vec<Column> {
    let described = source.rows(&format!(
        "SELECT column_name, data_type, column_type FROM information_schema.columns \
         WHERE table_schema = '{}' AND table_name = '{table}' ORDER BY ordinal_position",
        source.name()
    ));
    assert!(!described.is_empty(), "the source has no table `{table}`");
    let text = |cell: &Option<String>| cell.clone().unwrap_or_default();
    let column = |row: &Vec<Option<String>>| Column {
        name: text(&row[0]),
        form: form(&text(&row[1]), &text(&row[2])),
    };
    described.iter().map(column).collect()
}

fn form(data_type: &str, column_type: &str) -> Form {
    match data_type.to_lowercase().as_str() {
        "tinyint" if column_type == "tinyint(1)" => Form::Boolean,
        "bit" if column_type == "bit(1)" => Form::Boolean,
        "bit" => Form::Bits,
        "decimal" => Form::Decimal,
        "float" => Form::Float,
        "double" => Form::Double,
        "date" => Form::Days,
        "datetime" | "timestamp" => Form::Micros,
        "time" => Form::Time,
        "json" => Form::Json,
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => Form::Bytes,
        "year" => Form::Year,
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "char" | "varchar" | "tinytext"
        | "text" | "mediumtext" | "longtext" | "enum" | "set" | "uuid" | "inet4" | "inet6" => Form::Text,
        other => panic!("no form in which `{other}` is compared"),
    }
}

// --- the source ---

fn read_source(source: &Database<'_>, table: &str, columns: &[Column]) -> Rows {
    let selected: Vec<String> = columns.iter().map(source_expression).collect();
    let mut session = source.session();
    session.sql("SET time_zone = '+00:00'");
    let rows = session.rows(&format!("SELECT {} FROM `{table}`", selected.join(", ")));
    let canonical = |row: Vec<Option<String>>| {
        row.into_iter()
            .zip(columns)
            .map(|(cell, column)| cell.map(|text| source_text(column.form, text)))
            .collect()
    };
    sorted(rows.into_iter().map(canonical).collect())
}

fn source_expression(column: &Column) -> String {
    let name = format!("`{}`", column.name);
    match column.form {
        Form::Boolean => format!("IF({name} IS NULL, NULL, IF({name} <> 0, 'true', 'false'))"),
        // As text the year 0 is `0000`.
        Form::Year => format!("{name} + 0"),
        // As text a FLOAT has six digits.
        Form::Float => format!("CAST({name} AS DOUBLE)"),
        // Both give NULL for a date with a zero in it.
        Form::Days => format!("TIMESTAMPDIFF(DAY, '1970-01-01', {name})"),
        Form::Micros => format!("TIMESTAMPDIFF(MICROSECOND, '1970-01-01', {name})"),
        Form::Bytes | Form::Bits => format!("HEX({name})"),
        Form::Text | Form::Decimal | Form::Double | Form::Time | Form::Json => name,
    }
}

fn source_text(form: Form, text: String) -> String {
    match form {
        Form::Decimal => decimal(&text),
        Form::Float => single(text.parse().expect("a DOUBLE of the server")),
        Form::Double => double(text.parse().expect("a DOUBLE of the server")),
        Form::Time => time(&text),
        Form::Json => json(&text),
        // The server writes the number; the sink has its bytes, lowest first.
        Form::Bits => bits(u64::from_str_radix(&text, 16).expect("a number in hexadecimal")),
        Form::Text | Form::Boolean | Form::Year | Form::Days | Form::Micros | Form::Bytes => text,
    }
}

// --- the sink ---

fn read_sink(sink: &Sink, target: &str, columns: &[Column]) -> Result<Rows, String> {
    let names: Vec<String> = columns.iter().map(|column| format!("`{}`", column.name)).collect();
    let query = format!("SELECT {} FROM {target}", names.join(", "));
    let rows = sink.typed_rows(&query).map_err(|error| format!("{error:#?}"))?;
    let canonical = |row: Vec<Option<Value>>| {
        row.into_iter()
            .zip(columns)
            .map(|(cell, column)| cell.map(|value| sink_text(column.form, value)))
            .collect()
    };
    Ok(sorted(rows.into_iter().map(canonical).collect()))
}

fn sink_text(form: Form, value: Value) -> String {
    match (form, value) {
        (_, Value::Bigint(number)) => number.to_string(),
        (_, Value::Boolean(truth)) => truth.to_string(),
        (_, Value::Float(number)) => single(number.into()),
        (Form::Float, Value::Double(number)) => single(number),
        (_, Value::Double(number)) => double(number),
        (_, Value::Date(days)) => days.to_string(),
        (_, Value::Datetime(millis)) => (i128::from(millis) * 1000).to_string(),
        (_, Value::Timestamp { seconds, nanos }) => micros(seconds, nanos),
        (Form::Bits, Value::Text(bytes)) => {
            let mut number = [0; 8];
            number[..bytes.len()].copy_from_slice(&bytes);
            bits(u64::from_le_bytes(number))
        }
        (Form::Bytes, Value::Text(bytes)) => bytes.iter().map(|byte| format!("{byte:02X}")).collect(),
        (form, Value::Text(bytes)) => {
            let text = String::from_utf8(bytes).expect("the sink's text is UTF-8");
            match form {
                Form::Decimal => decimal(&text),
                Form::Time => time(&text),
                Form::Json => json(&text),
                _ => text,
            }
        }
        (form, value) => panic!("no form in which {value:?} is compared as {form:?}"),
    }
}

fn micros(seconds: i64, nanos: u32) -> String {
    // Finer digits would be a fault; they are shown, so that they differ.
    let finer = if nanos.is_multiple_of(1000) { String::new() } else { format!(" + {} ns", nanos % 1000) };
    format!("{}{finer}", i128::from(seconds) * 1_000_000 + i128::from(nanos / 1000))
}

// --- one text per value ---

/// `4.00` and `4` are the same number.
fn decimal(text: &str) -> String {
    let short = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text };
    if short == "-0" { "0".to_owned() } else { short.to_owned() }
}

fn double(number: f64) -> String {
    format!("{number:e}")
}

/// A FLOAT, whichever width it was carried in.
fn single(number: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "the value came from 32 bits")]
    let number = number as f32;
    format!("{number:e}")
}

/// `10:15` means `10:15:00`.
fn time(text: &str) -> String {
    let whole = if text.matches(':').count() == 1 { format!("{text}:00") } else { text.to_owned() };
    decimal(&whole)
}

fn json(text: &str) -> String {
    let value: serde_json::Value =
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in JSON {text}"));
    ordered(&value).to_string()
}

/// Members in the order of their names.
fn ordered(value: &serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(members) => {
            let members: BTreeMap<&String, serde_json::Value> =
                members.iter().map(|(k, v)| (k, ordered(v))).collect();
            members.into_iter().map(|(name, value)| (name.clone(), value)).collect()
        }
        serde_json::Value::Array(items) => items.iter().map(ordered).collect(),
        scalar => scalar.clone(),
    }
}

fn bits(number: u64) -> String {
    format!("bits {number:b}")
}

fn sorted(mut rows: Rows) -> Rows {
    rows.sort();
    rows
}

/// Rows of the first that the second lacks; both are sorted. A row that comes twice must come twice on either side.
fn only_in<'a>(rows: &'a Rows, others: &Rows) -> Vec<&'a Vec<Option<String>>> {
    let mut others = others.iter().peekable();
    let mut missing = Vec::new();
    for row in rows {
        while others.next_if(|other| *other < row).is_some() {}
        if others.next_if(|other| *other == row).is_none() {
            missing.push(row);
        }
    }
    missing
}
