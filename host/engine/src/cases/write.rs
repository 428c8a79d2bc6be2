//! Writes case files: YAML with one event a line, which people can read and change.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use super::{Case, CaseFile};
use crate::events::Event;

/// The file's text. What is inside one line is in JSON's form, which YAML reads as well.
pub fn to_yaml(file: &CaseFile) -> String {
    let mut text = String::new();
    scalar(&mut text, "", "table", &file.table);
    if !file.config.is_null() {
        let _ = writeln!(text, "config: {}", file.config);
    }
    if !file.lookups.is_empty() {
        let _ = writeln!(text, "lookups: {}", as_json(&file.lookups));
    }
    if file.clock {
        text.push_str("clock: true\n");
    }
    if !file.wasi.is_null() {
        let _ = writeln!(text, "wasi: {}", file.wasi);
    }
    text.push_str("cases:\n");
    for case in &file.cases {
        write_case(&mut text, case);
    }
    text
}

fn write_case(text: &mut String, case: &Case) {
    // Writing to a text cannot fail.
    let _ = writeln!(text, "  - name: {}", quoted(&case.name));
    if let Some(table) = &case.table {
        scalar(text, "    ", "table", table);
    }
    let mut flow = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            let _ = writeln!(text, "    {key}: {value}");
        }
    };
    flow("config", case.config.clone());
    flow("lookups", case.lookups.as_ref().map(as_json));
    flow("plan", case.plan.as_ref().map(as_json));
    flow("refuses", case.refuses.as_ref().map(as_json));
    if !case.events.is_empty() {
        events(text, "events", &case.events);
    }
    if let Some(expect) = &case.expect {
        events(text, "expect", expect);
    }
    if !case.errors.is_empty() {
        text.push_str("    errors:\n");
        for error in &case.errors {
            let _ = writeln!(text, "      - {}", as_json(error));
        }
    }
}

fn events(text: &mut String, key: &str, events: &[Event]) {
    if events.is_empty() {
        let _ = writeln!(text, "    {key}: []");
        return;
    }
    let _ = writeln!(text, "    {key}:");
    for event in events {
        let value = as_json(event);
        let entry = value.as_object().and_then(|object| object.iter().next());
        if let Some((what, row)) = entry {
            let _ = writeln!(text, "      - {what}: {row}");
        }
    }
}

fn as_json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A text of several lines stands as a block.
fn scalar(text: &mut String, indent: &str, key: &str, value: &str) {
    if !value.trim_end().contains('\n') {
        let _ = writeln!(text, "{indent}{key}: {}", quoted(value.trim_end()));
        return;
    }
    let _ = writeln!(text, "{indent}{key}: |");
    for line in value.trim_end().lines() {
        let _ = writeln!(text, "{indent}  {line}");
    }
}
