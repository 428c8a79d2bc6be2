//! `plugin compile`.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use serde_json::json;
use sluicebox_engine::{EngineError, PluginEngine};

use crate::arguments::CompileOptions;
use crate::commands::print_json;
use crate::failure::Failure;
use crate::output::line;

/// Compiles a plugin ahead of time.
pub fn run(options: &CompileOptions) -> Result<(), Failure> {
    let engine = PluginEngine::for_tools().map_err(EngineError::from)?;
    let bytes = engine.precompile(&options.plugin).map_err(EngineError::from)?;
    let out = options.out.clone().unwrap_or_else(|| options.plugin.with_extension("compiled"));
    write(&out, &bytes).with_context(|| format!("writing {}", out.display()))?;
    if options.json {
        return print_json(&json!({ "file": out, "size": bytes.len() }));
    }
    line!("{}  {} bytes", out.display(), bytes.len());
    line!("for machines like this one; name it in a pipeline file with `precompiled: true`");
    Ok(())
}

/// A file that no one but its owner can write, or loading refuses it. Whoever reads it meanwhile finds the old file or the new.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let new = path.with_extension("compiled.new");
    let gone = std::fs::remove_file(&new);
    if let Err(error) = gone
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)
}
