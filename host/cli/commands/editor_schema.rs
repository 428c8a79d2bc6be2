//! A JSON schema of the pipeline file, from the tables that read it: editors complete and check by it.
//!
//! It says what keys there are, which must be written, and which words a value may be. What only the program can know (whether a
//! pattern is sound, whether two options go together) it leaves to `validate`. Words of the file have no letter case, which a schema
//! cannot say: words are suggested and other texts not refused.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sluicebox_engine::config::{OptionDoc, Status};

/// Keys that hold lists or mappings of their own, and the block that says what is in them.
const INNER: [(&str, &str); 3] = [
    ("transform[].plugin", "plugin"),
    ("transform[].plugin.wasi", "wasi"),
    ("transform[].plugin.limits", "limits"),
];

/// The schema.
pub fn of(reference: &[OptionDoc]) -> Value {
    let mut blocks: BTreeMap<&str, Vec<&OptionDoc>> = BTreeMap::new();
    for option in reference {
        blocks.entry(option.block).or_default().push(option);
    }
    let mut schema = mapping(&blocks, "");
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("Sluicebox pipeline file");
    schema
}

fn mapping(blocks: &BTreeMap<&str, Vec<&OptionDoc>>, block: &str) -> Value {
    let options = blocks.get(block).map(Vec::as_slice).unwrap_or_default();
    let mut properties = Map::new();
    for option in options {
        for key in std::iter::once(&option.key).chain(option.aliases) {
            properties.insert((*key).to_owned(), property(blocks, option));
        }
    }
    // A key that may be spelled otherwise cannot be demanded by one of its names.
    let required: Vec<_> =
        options.iter().filter(|o| o.required && o.aliases.is_empty()).map(|o| o.key).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn property(blocks: &BTreeMap<&str, Vec<&OptionDoc>>, option: &OptionDoc) -> Value {
    let path = if option.block.is_empty() {
        option.key.to_owned()
    } else {
        format!("{}.{}", option.block, option.key)
    };
    let (list, named) = (format!("{path}[]"), format!("{path}.*"));
    let mut schema = if blocks.contains_key(list.as_str()) {
        json!({ "type": ["array", "null"], "items": mapping(blocks, &list) })
    } else if let Some((block, _)) = INNER.iter().find(|(block, _)| *block == path) {
        inner(mapping(blocks, block), option)
    } else if blocks.contains_key(named.as_str()) {
        json!({ "type": ["object", "null"], "additionalProperties": mapping(blocks, &named) })
    } else if blocks.contains_key(path.as_str()) {
        mapping(blocks, &path)
    } else {
        value(option)
    };
    schema["description"] = json!(description(option));
    schema
}

/// A plugin is a path, a mapping, or a list of both; limits are a mapping.
fn inner(mapping: Value, option: &OptionDoc) -> Value {
    if option.key != "plugin" {
        return mapping;
    }
    let one = json!({ "anyOf": [{ "type": "string" }, mapping] });
    json!({ "anyOf": [{ "type": "string" }, one["anyOf"][1], { "type": "array", "items": one }] })
}

fn value(option: &OptionDoc) -> Value {
    match option.kind.as_str() {
        _ if !option.words.is_empty() => {
            json!({ "anyOf": [{ "enum": option.words }, { "type": "string" }] })
        }
        "boolean" => json!({ "anyOf": [{ "type": "boolean" }, { "type": "string" }] }),
        kind if kind.starts_with("integer") || kind == "number" => json!({ "type": ["number", "string"] }),
        "list of tags" => json!({ "type": "array", "items": { "type": "string" } }),
        "any YAML" => json!({}),
        "list" | "mapping or list" | "mapping" => json!({ "type": ["array", "object"] }),
        // Every scalar is read as its text: `password: 123` is the text `123`.
        _ => json!({ "type": ["string", "number", "boolean"] }),
    }
}

fn description(option: &OptionDoc) -> String {
    let default = option.default.map(|d| format!(" Default: {d}.")).unwrap_or_default();
    let status = match option.status {
        Status::Works => String::new(),
        Status::NoEffect(why) => format!(" No effect: {why}."),
        Status::NotCarriedOut(instead) => format!(" Not carried out by this version: {instead}."),
    };
    format!("{}{default}{status}", option.meaning)
}
