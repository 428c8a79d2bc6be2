//! Defaults for `pipeline` that several pipelines share: the file that Flink CDC calls `flink-cdc.yaml`.
//!
//! The environment names it (`SLUICEBOX_DEFAULTS`). It holds options of `pipeline` alone, with dots or as mappings inside mappings; what
//! the pipeline file says counts. A value is checked where it stands, with this file's name and line.

use std::path::Path;

use super::document::{Document, Node, Place};
use super::fault::{Findings, nearest};
use super::option::Described;
use super::{ConfigError, options, read as read_text};

/// The variable that names the file.
pub(super) const VARIABLE: &str = "SLUICEBOX_DEFAULTS";

/// Reads a file of defaults: options of `pipeline` in their order.
pub(super) fn read(path: &Path) -> Result<Vec<(String, Node)>, ConfigError> {
    let text = read_text(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    let document = Document::parse(text).map_err(|e| ConfigError::Syntax {
        file: path.display().to_string(),
        line: e.line,
        column: e.column,
        message: e.message,
    })?;
    let mut findings = Findings::default();
    let mut flat = Vec::new();
    match document.root() {
        Node::Null => {}
        Node::Map(entries) => flatten("", entries, &Place::default(), &mut flat),
        other => findings.fault(&Place::default(), "", format!("expected a mapping, found {}", other.kind())),
    }
    for (index, (key, node, place)) in flat.iter().enumerate() {
        if flat[..index].iter().any(|(earlier, ..)| earlier == key) {
            findings.fault(place, key, "written twice");
        }
        check(&mut findings, key, node, place);
    }
    findings.finish(&document, path)?;
    Ok(flat.into_iter().map(|(key, node, _)| (key, node)).collect())
}

/// Names with dots; a list, or a mapping that is an option's own value, stays what it is.
fn flatten(prefix: &str, entries: &[(String, Node)], place: &Place, flat: &mut Vec<(String, Node, Place)>) {
    for (index, (key, node)) in entries.iter().enumerate() {
        let (key, place) = (format!("{prefix}{key}"), place.entry(index));
        match node {
            Node::Map(inner) if option(&key).is_none() => flatten(&format!("{key}."), inner, &place, flat),
            node => flat.push((key, node.clone(), place)),
        }
    }
}

fn option(key: &str) -> Option<&'static dyn Described> {
    options::TABLE.iter().copied().find(|o| o.head().key == key || o.head().aliases.contains(&key))
}

fn check(findings: &mut Findings, key: &str, node: &Node, place: &Place) {
    let Some(option) = option(key) else {
        let near = nearest(key, options::TABLE.iter().map(|o| o.head().key)).map(str::to_owned);
        findings.suggest(place, key, "unknown option of `pipeline`; a file of defaults has no others", near);
        return;
    };
    if let Node::Scalar(scalar) = node
        // What is put in for `${…}` is checked with the pipeline file.
        && !scalar.text.contains("${")
        && let Err(expected) = option.verify(&scalar.text)
    {
        findings.suggest(place, key, format!("`{}`: expected {}", scalar.text, expected.what), expected.near);
    }
}

/// Puts defaults into a file's `pipeline`, where the file says nothing itself; tells whether one of them is the option of this name.
pub(super) fn put(root: &mut Node, defaults: Vec<(String, Node)>, asked: &str) -> bool {
    let Node::Map(top) = root else { return false };
    if !top.iter().any(|(key, _)| key == "pipeline") {
        top.push(("pipeline".to_owned(), Node::Null));
    }
    let Some((_, block)) = top.iter_mut().find(|(key, _)| key == "pipeline") else { return false };
    if *block == Node::Null {
        *block = Node::Map(Vec::new());
    }
    // Anything else is a fault, which is told when the block is read.
    let Node::Map(entries) = block else { return false };
    let mut was_asked = false;
    for (key, node) in defaults {
        let Some(head) = option(&key).map(|o| o.head()) else { continue };
        if entries.iter().any(|(there, _)| there == head.key || head.aliases.contains(&there.as_str())) {
            continue;
        }
        was_asked |= head.key == asked;
        entries.push((key, node));
    }
    was_asked
}
