//! The schema of a plugin's configuration, where the plugin carries one: a JSON Schema in a custom section.
//!
//! What the pipeline file says is held against it before anything of the plugin runs. Values can be secrets, so a fault names its place and
//! what was expected, and never what was found.

use std::borrow::Cow;

use jsonschema::error::ValidationErrorKind;
use serde_json::Value;
use sluicebox_model::nearest;
use wasm_encoder::{CustomSection, Section as _};
use wasmparser::{Parser, Payload};

/// The custom section's name, in the component or in a module inside it.
pub(crate) const SECTION: &str = "sluicebox-config-schema";
/// A schema is read by people; a larger one is a slip.
const MAX_BYTES: usize = 256 << 10;
/// Faults that are told at once.
const MAX_FAULTS: usize = 5;

/// The schema that a plugin's file carries; none when it carries none.
pub(crate) fn of(bytes: &[u8]) -> Result<Option<Value>, String> {
    for payload in Parser::new(0).parse_all(bytes) {
        // What is damaged is told when it is compiled.
        let Ok(payload) = payload else { return Ok(None) };
        if let Payload::CustomSection(section) = payload
            && section.name() == SECTION
        {
            return parse(section.data()).map(Some);
        }
    }
    Ok(None)
}

/// A schema's text.
pub(crate) fn parse(text: &[u8]) -> Result<Value, String> {
    if text.len() > MAX_BYTES {
        return Err(format!(
            "the schema of its configuration has {} bytes, it may have {MAX_BYTES}",
            text.len()
        ));
    }
    let none = |reason: String| format!("the schema of its configuration is none: {reason}");
    let schema: Value = serde_json::from_slice(text).map_err(|error| none(error.to_string()))?;
    jsonschema::validator_for(&schema).map_err(|error| none(error.to_string()))?;
    Ok(schema)
}

/// The file with a schema in it.
pub(crate) fn embed(bytes: &[u8], schema: &[u8]) -> Vec<u8> {
    let mut whole = bytes.to_vec();
    CustomSection { name: SECTION.into(), data: Cow::Borrowed(schema) }.append_to(&mut whole);
    whole
}

/// Holds a configuration against a schema.
pub(crate) fn check(schema: &Value, config: &Value) -> Result<(), String> {
    let validator = jsonschema::validator_for(schema).map_err(|error| error.to_string())?;
    let faults: Vec<String> =
        validator.iter_errors(config).take(MAX_FAULTS).map(|error| fault(schema, &error)).collect();
    if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
}

fn fault(schema: &Value, error: &jsonschema::ValidationError<'_>) -> String {
    let place = error.instance_path().to_string();
    let place =
        if place.is_empty() { "`config`".to_owned() } else { format!("`config{}`", place.replace('/', ".")) };
    let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() else {
        return format!("{place}: {}", error.masked());
    };
    let known = known(schema, &error.schema_path().to_string());
    let told = unexpected.iter().map(|name| match nearest(name, known.iter().copied()) {
        Some(near) => format!("unknown option `{name}`; did you mean `{near}`?"),
        None => format!("unknown option `{name}`"),
    });
    format!("{place}: {}", told.collect::<Vec<_>>().join(", "))
}

/// Names that the schema knows where `…/additionalProperties` refuses another one.
fn known<'s>(schema: &'s Value, path: &str) -> Vec<&'s str> {
    let around = path.strip_suffix("/additionalProperties").unwrap_or_default();
    let properties = schema.pointer(&format!("{around}/properties")).and_then(Value::as_object);
    properties.map(|names| names.keys().map(String::as_str).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "column": { "type": "string" },
                "keep": { "type": "object", "properties": { "domain": { "type": "boolean" } }, "additionalProperties": false },
                "most": { "type": "integer", "minimum": 1 }
            },
            "required": ["column"],
            "additionalProperties": false
        })
    }

    #[test]
    fn a_fault_names_its_place_and_never_the_value() {
        for (config, words) in [
            (json!({}), "`config`: \"column\" is a required property"),
            (
                json!({ "column": "a", "colunm": "hunter2" }),
                "`config`: unknown option `colunm`; did you mean `column`?",
            ),
            (
                json!({ "column": "a", "keep": { "domian": true } }),
                "`config.keep`: unknown option `domian`; did you mean `domain`?",
            ),
            (json!({ "column": "a", "most": "hunter2" }), "`config.most`: value is not of type \"integer\""),
            (json!({ "column": "a", "most": 0 }), "`config.most`: value is less than the minimum of 1"),
            (json!("hunter2"), "`config`: value is not of type \"object\""),
        ] {
            let reason = check(&schema(), &config).expect_err(words);
            assert!(reason.contains(words) && !reason.contains("hunter2"), "{reason}");
        }
        assert_eq!(check(&schema(), &json!({ "column": "a", "most": 3 })), Ok(()));
    }

    #[test]
    fn a_schema_is_found_where_it_was_put() {
        let text = schema().to_string();
        let module = wat::parse_str("(module)").expect("WebAssembly");
        assert_eq!(of(&module), Ok(None));
        assert_eq!(of(&embed(&module, text.as_bytes())), Ok(Some(schema())));
        let nested = wat::parse_str("(component (core module))").expect("WebAssembly");
        assert_eq!(of(&embed(&nested, text.as_bytes())), Ok(Some(schema())));
        let reason = of(&embed(&module, b"{")).expect_err("no JSON");
        assert!(reason.starts_with("the schema of its configuration is none: "), "{reason}");
        let reason = of(&embed(&module, br#"{"type":"strang"}"#)).expect_err("no schema");
        assert!(reason.starts_with("the schema of its configuration is none: "), "{reason}");
        assert_eq!(of(b"\0asm\x0d"), Ok(None));
    }
}
