//! `plugin inspect`.

use std::path::Path;

use serde_json::{Value, json};
use sluicebox_engine::{EngineError, inspect_plugin};

use crate::commands::print_json;
use crate::failure::Failure;
use crate::output::line;

/// Looks at a plugin.
pub fn run(file: &Path, as_json: bool) -> Result<(), Failure> {
    let found = inspect_plugin(file).map_err(EngineError::from)?;
    let refusal = found.loads.as_ref().err();
    if as_json {
        print_json(&json!({
            "world": found.world, "version": found.version, "imports": found.imports, "exports": found.exports,
            "size": found.size, "config_schema": found.config_schema, "sha256": found.sha256, "loads": refusal.is_none(), "reason": refusal,
        }))?;
    } else {
        line!("world    {}", found.world.as_deref().unwrap_or("(not a plugin of this host)"));
        line!("version  {}", found.version.as_deref().unwrap_or("-"));
        line!("size     {} bytes", found.size);
        line!("sha256   {}", found.sha256);
        line!("imports  {}", list(&found.imports));
        line!("exports  {}", list(&found.exports));
        line!("config   {}", config(found.config_schema.as_ref()));
        match refusal {
            None => line!("loads    yes"),
            Some(reason) => line!("loads    no: {reason}"),
        }
    }
    if refusal.is_none() { Ok(()) } else { Err(Failure::Found) }
}

/// The options that a schema knows; `*` stands behind those that must be written.
fn config(schema: Option<&Value>) -> String {
    let Some(schema) = schema else { return "no schema".to_owned() };
    let required =
        |name: &str| schema["required"].as_array().is_some_and(|names| names.contains(&name.into()));
    let mark = |name: &String| if required(name) { format!("{name}*") } else { name.clone() };
    let names = schema["properties"].as_object().map(|known| known.keys().map(mark).collect::<Vec<_>>());
    list(&names.unwrap_or_default())
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
