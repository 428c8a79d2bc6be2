//! From the bytes of a reference table to entries by key.
//!
//! Each entry is kept as the text of a JSON object, since that is what a plugin is given: parsed once when the table is read, and
//! never on the way of a row. Whatever is wrong is wrong with the whole table: half of one would be wrong answers.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::config::LookupFormat;

/// A table's entries, as JSON objects by key.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Entries {
    by_key: HashMap<Box<str>, Arc<str>>,
}

impl Entries {
    /// Reads a table whose entries are told apart by the field `key`.
    ///
    /// # Errors
    /// Says where the fault is, and never quotes a value.
    pub fn parse(bytes: &[u8], format: LookupFormat, key: &str) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let line = bytes[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count() + 1;
            format!("line {line}: it is not UTF-8 text")
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut entries = Self::default();
        match format {
            LookupFormat::Csv => entries.take_csv(text, key)?,
            LookupFormat::JsonLines => entries.take_json_lines(text, key)?,
            LookupFormat::Json => entries.take_json(text, key)?,
        }
        Ok(entries)
    }

    /// The entry of a key, as a JSON object.
    pub fn get(&self, key: &str) -> Option<Arc<str>> {
        self.by_key.get(key).map(Arc::clone)
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// The first line names the fields; every value is a text.
    fn take_csv(&mut self, text: &str, key: &str) -> Result<(), String> {
        let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
        let names = reader.headers().map_err(|error| csv_fault(&error))?.clone();
        if !names.iter().any(|name| name == key) {
            let listed: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
            return Err(format!("line 1: no field `{key}`; there are {}", listed.join(", ")));
        }
        for record in reader.records() {
            let record = record.map_err(|error| csv_fault(&error))?;
            let line = record.position().map_or(0, csv::Position::line);
            let fields = names.iter().zip(&record).map(|(name, value)| (name.to_owned(), value.into()));
            self.add(&fields.collect(), key, || format!("line {line}"))?;
        }
        Ok(())
    }

    fn take_json_lines(&mut self, text: &str, key: &str) -> Result<(), String> {
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let place = || format!("line {}", index + 1);
            let object: Map<String, Value> =
                serde_json::from_str(line).map_err(|error| format!("{}: {}", place(), json_fault(&error)))?;
            self.add(&object, key, place)?;
        }
        Ok(())
    }

    fn take_json(&mut self, text: &str, key: &str) -> Result<(), String> {
        let objects: Vec<Map<String, Value>> = serde_json::from_str(text).map_err(|error| {
            format!("line {}: expected a list of JSON objects: {}", error.line(), json_fault(&error))
        })?;
        for (index, object) in objects.iter().enumerate() {
            self.add(object, key, || format!("entry {}", index + 1))?;
        }
        Ok(())
    }

    fn add(
        &mut self,
        object: &Map<String, Value>,
        key: &str,
        place: impl Fn() -> String,
    ) -> Result<(), String> {
        let value = match object.get(key) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Bool(flag)) => flag.to_string(),
            Some(Value::Null | Value::Array(_) | Value::Object(_)) => {
                return Err(format!("{}: field `{key}` is no text, number or boolean", place()));
            }
            None => return Err(format!("{}: no field `{key}`", place())),
        };
        let text = serde_json::to_string(object).map_err(|error| format!("{}: {error}", place()))?;
        if self.by_key.insert(value.into(), text.into()).is_some() {
            return Err(format!("{}: its key `{key}` occurs before", place()));
        }
        Ok(())
    }
}

/// What is wrong, without the words of the file that serde quotes.
fn json_fault(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Data => "it is JSON of another shape",
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => "it is no JSON",
    }
}

fn csv_fault(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = pos.as_ref().map_or(0, csv::Position::line);
            format!("line {line}: {len} fields, the first line has {expected_len}")
        }
        _ => format!("it is no CSV: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, format: LookupFormat) -> Result<Entries, String> {
        Entries::parse(text.as_bytes(), format, "id")
    }

    #[test]
    fn every_format_gives_objects_by_key() {
        let csv = parse("\u{feff}name,id\r\nAda,1\r\n\"Bob, jr\",2\n", LookupFormat::Csv).expect("CSV");
        let get = |entries: &Entries, key: &str| entries.get(key).map(|entry| entry.to_string());
        assert_eq!(csv.len(), 2);
        assert_eq!(get(&csv, "2").as_deref(), Some(r#"{"name":"Bob, jr","id":"2"}"#));
        let lines = "{\"id\":1,\"big\":12345678901234567890}\n\n{\"id\":\"x\",\"deep\":{\"a\":[1]}}\n";
        let lines = parse(lines, LookupFormat::JsonLines).expect("JSON lines");
        assert_eq!(get(&lines, "1").as_deref(), Some(r#"{"id":1,"big":12345678901234567890}"#));
        assert_eq!(get(&lines, "x").as_deref(), Some(r#"{"id":"x","deep":{"a":[1]}}"#));
        let json = parse("[{\"id\":true}]", LookupFormat::Json).expect("JSON");
        assert_eq!(get(&json, "true").as_deref(), Some(r#"{"id":true}"#));
        assert_eq!(json.get("false"), None);
        assert_eq!(parse("id\n", LookupFormat::Csv).expect("no entry").len(), 0);
    }

    #[test]
    fn a_fault_is_named_by_its_line_and_quotes_nothing() {
        for (format, text, words) in [
            (LookupFormat::Csv, "name\nsecret\n", "line 1: no field `id`; there are `name`"),
            (LookupFormat::Csv, "id,a\n1,2\n3\n", "line 3: 1 fields, the first line has 2"),
            (LookupFormat::Csv, "id\n1\n1\n", "line 3: its key `id` occurs before"),
            (LookupFormat::JsonLines, "{\"id\":1}\n{\"id\":secret}\n", "line 2: it is no JSON"),
            (LookupFormat::JsonLines, "[1]\n", "line 1: it is JSON of another shape"),
            (LookupFormat::JsonLines, "{\"id\":null}\n", "line 1: field `id` is no text, number or boolean"),
            (LookupFormat::Json, "[{}]", "entry 1: no field `id`"),
            (LookupFormat::Json, "{}", "line 1: expected a list of JSON objects"),
            (LookupFormat::Json, "[{\"id\":1}", "it ends too early"),
        ] {
            let found = parse(text, format).expect_err(text);
            assert!(found.contains(words) && !found.contains("secret"), "{text}: {found}");
        }
        let found = Entries::parse(b"id\n1\n\xff\n", LookupFormat::Csv, "id").expect_err("not UTF-8");
        assert_eq!(found, "line 3: it is not UTF-8 text");
    }
}
