//! `transform[].plugin.wasi`: what of WASI a plugin is granted. Case files grant by the same words.

use std::path::Path;
use std::sync::Arc;

use sluicebox_wasm::WasiGrants;

use super::block::{Block, Context};
use super::document::{Node, Place};
use super::expand::{Forms, Surroundings};
use super::fault::{ConfigError, Findings};
use super::kinds;
use super::option::{Opt, Structure, Table};

static CLOCKS: Opt<bool> =
    Opt::new("clocks", kinds::FLAG, "The time of day and a clock that only rises.").or("false");
static RANDOM: Opt<bool> = Opt::new("random", kinds::FLAG, "Random numbers.").or("false");
static STDIO: Opt<bool> =
    Opt::new("stdio", kinds::FLAG, "Standard output and error, as log lines; input is empty.").or("false");
static ENVIRONMENT: Structure = Structure::new(
    "environment",
    "mapping",
    "Environment variables; none of the program's own are passed on.",
);
static FILESYSTEM: Structure = Structure::new(
    "filesystem",
    "mapping",
    "Folders that the plugin may read, by its own names for them, relative to the pipeline file.",
);

/// Where they are, in a plugin's entry and in a case file.
pub(super) const WASI_KEY: &str = "wasi";

/// All there is to grant.
pub(super) static WASI_TABLE: Table = &[&CLOCKS, &RANDOM, &STDIO, &ENVIRONMENT, &FILESYSTEM];

/// The grants under `wasi` at the top of a file that is no pipeline file; nothing without it. `environment` looks variables up for `${…}`.
///
/// # Errors
/// [`ConfigError`]; everything that is wrong with them comes at once.
pub fn granted(
    text: String,
    path: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<WasiGrants, ConfigError> {
    let document = Arc::new(super::document(text, path)?);
    let mut context = Context {
        surroundings: Surroundings { environment, folder: path.parent().unwrap_or(Path::new("")) },
        findings: Findings::default(),
        document: Arc::clone(&document),
        file: path.display().to_string(),
    };
    let mut found = None;
    if let Node::Map(entries) = document.root() {
        for (index, (key, node)) in entries.iter().enumerate().filter(|(_, (key, _))| key == WASI_KEY) {
            let place = Place::default().entry(index);
            super::find_twice(&mut context, key, node, &place);
            found = grants(&mut context, key, node, &place);
        }
    }
    context.findings.finish(&document, path)?;
    Ok(found.unwrap_or_default())
}

/// Reads the grants; none when something is wrong, which is told by then.
pub(super) fn grants(
    context: &mut Context<'_>,
    name: &str,
    node: &Node,
    place: &Place,
) -> Option<WasiGrants> {
    let block = Block::read(context, name, node, place, WASI_TABLE);
    let environment = match block.node(&ENVIRONMENT) {
        Some((node, place)) => Some(texts(context, &block.path(ENVIRONMENT.head.key), node, place)?),
        None => None,
    };
    let folders = match block.node(&FILESYSTEM) {
        Some((node, place)) => texts(context, &block.path(FILESYSTEM.head.key), node, place)?,
        None => Vec::new(),
    };
    let here = context.surroundings.folder;
    Some(WasiGrants {
        clocks: block.get(&CLOCKS)?,
        random: block.get(&RANDOM)?,
        stdio: block.get(&STDIO)?,
        environment,
        filesystem: folders.into_iter().map(|(name, folder)| (name, here.join(folder))).collect(),
    })
}

/// A mapping of names to texts, with `${…}` put in; none when something is wrong, which is told by then.
pub(super) fn texts(
    context: &mut Context<'_>,
    name: &str,
    node: &Node,
    place: &Place,
) -> Option<Vec<(String, String)>> {
    let Node::Map(entries) = node else {
        let message = format!("expected a mapping, found {}", node.kind());
        context.findings.fault(place, name, message);
        return None;
    };
    let mut texts = Vec::new();
    for (index, (key, value)) in entries.iter().enumerate() {
        let (place, path) = (place.entry(index), format!("{name}.{key}"));
        let Node::Scalar(scalar) = value else {
            context.findings.fault(&place, &path, format!("expected a text, found {}", value.kind()));
            return None;
        };
        match context.surroundings.expand(&scalar.text, Forms::All) {
            Ok(text) => texts.push((key.clone(), text)),
            Err(missing) => {
                missing.into_iter().for_each(|message| context.findings.fault(&place, &path, message));
                return None;
            }
        }
    }
    Some(texts)
}
