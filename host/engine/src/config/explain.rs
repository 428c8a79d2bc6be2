//! What a pipeline file that was written for Flink CDC does here, line by line.
//!
//! The meaning of each key comes from the tables that read it; what differs from upstream is said below, once for each key, and a test
//! holds every entry against those tables.

use std::path::Path;

use super::document::{Document, Node, Place};
use super::option::{OptionDoc, Status};
use super::{ConfigError, Fault, Note, parse, read, reference};

/// What a file does here.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// Every key of the file, in its order.
    pub keys: Vec<ExplainedKey>,
    /// What counts although the file does not say it, where upstream has something else.
    pub unwritten: Vec<Difference>,
    /// What a start would say.
    pub notes: Vec<Note>,
    /// What keeps the file from running; empty when it runs unchanged.
    pub faults: Vec<Fault>,
}

/// One key of the file.
#[derive(Debug, Clone)]
pub struct ExplainedKey {
    /// Its line, from 1.
    pub line: usize,
    /// Its place, e.g. `route[0].sink-table`.
    pub path: String,
    /// Its value as written; none for a secret, a list or a mapping.
    pub value: Option<String>,
    /// What it means here; none for a key that is not known.
    pub meaning: Option<&'static str>,
    /// What this version does with it.
    pub status: Option<Status>,
    /// What is not as upstream.
    pub difference: Option<&'static str>,
}

/// A key and what is not as upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    /// Where it is written: `source`, `sink`, `route[]`, `transform[]`, `pipeline`.
    pub block: &'static str,
    /// Its name there.
    pub key: &'static str,
    /// What is not as upstream when it is written.
    pub written: Option<&'static str>,
    /// What is not as upstream when it is not.
    pub unwritten: Option<&'static str>,
}

const fn written(block: &'static str, key: &'static str, text: &'static str) -> Difference {
    Difference { block, key, written: Some(text), unwritten: None }
}

const fn unwritten(block: &'static str, key: &'static str, text: &'static str) -> Difference {
    Difference { block, key, written: None, unwritten: Some(text) }
}

/// Everything that is not as upstream, by key.
static DIFFERENCES: [Difference; 20] = [
    written("source", "server-id", "one id is enough: the snapshot reads no binlog of its own"),
    unwritten(
        "source",
        "server-id",
        "one is chosen at random from a thousand million, far from ids that people give; upstream takes one of a thousand",
    ),
    unwritten(
        "source",
        "scan.startup.mode",
        "`initial`; streaming begins at once and does not wait for a checkpoint of the whole snapshot",
    ),
    written(
        "source",
        "scan.incremental.snapshot.backfill.skip",
        "no chunk is ever without the changes that came while it was read",
    ),
    written(
        "source",
        "scan.parse.online.schema.changes.enabled",
        "changes by gh-ost and pt-online-schema-change are followed with or without it",
    ),
    written("sink", "include.schema.changes", "carried out; upstream's MaxCompute sink ignores it"),
    written("sink", "exclude.schema.changes", "carried out; upstream's MaxCompute sink ignores it"),
    unwritten(
        "sink",
        "exclude.schema.changes",
        "under `LENIENT` neither DROP TABLE nor TRUNCATE reaches the sink; upstream's MaxCompute sink carries both out",
    ),
    written(
        "sink",
        "buckets-num",
        "counts for tables that are created; of an existing one the real number is read from the service",
    ),
    written(
        "sink",
        "sts-token",
        "used as it is, as upstream does; `credentials.file` and `credentials.command` are asked again before a token expires",
    ),
    unwritten(
        "sink",
        "schema-placement",
        "in a project with schemas a table lands in the schema of its database's name; `flink` puts it where upstream does",
    ),
    written(
        "transform[]",
        "projection",
        "letter case does not count in column names; lists, maps and rows become STRING with JSON in them, where upstream makes ARRAY, MAP and STRUCT; null in gives null out where upstream's older functions fail; `pipeline.transform.compat: flink` follows upstream to the letter",
    ),
    written(
        "transform[]",
        "filter",
        "`=` compares numbers by value, `LIKE` is SQL's, and a comparison with null is unknown; `pipeline.transform.compat: flink` follows upstream to the letter",
    ),
    written(
        "transform[]",
        "primary-keys",
        "an update that changes this key deletes the old row (`SOFT_DELETE` keeps it as deleted); upstream leaves it in the table",
    ),
    written(
        "transform[]",
        "table-options",
        "properties that a table is made with; upstream's MaxCompute sink ignores them",
    ),
    written(
        "pipeline",
        "parallelism",
        "threads that decode, transform and encode; the order of each key does not depend on it",
    ),
    unwritten("pipeline", "parallelism", "one thread for each core; upstream's shipped defaults say 4"),
    unwritten("pipeline", "schema.change.behavior", "`LENIENT`; upstream's shipped defaults say `EVOLVE`"),
    unwritten(
        "pipeline",
        "checkpoint.interval",
        "rows are committed every 10 s; upstream takes the interval from the cluster's configuration",
    ),
    unwritten(
        "pipeline",
        "state-dir",
        "positions and sessions are kept in a folder beside the file; upstream keeps them in the cluster's checkpoint storage",
    ),
];

/// Explains a pipeline file.
///
/// # Errors
/// [`ConfigError::Unreadable`] and [`ConfigError::Syntax`]; everything else is part of the explanation.
pub fn explain(
    path: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Explanation, ConfigError> {
    let text = read(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    explain_text(text, path, environment)
}

fn explain_text(
    text: String,
    path: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Explanation, ConfigError> {
    let (notes, faults) = match parse(text.clone(), path, environment) {
        Ok(loaded) => (loaded.notes, Vec::new()),
        Err(ConfigError::Faults(faults)) => (Vec::new(), faults),
        Err(error) => return Err(error),
    };
    let document = Document::parse(text).map_err(|e| ConfigError::Syntax {
        file: path.display().to_string(),
        line: e.line,
        column: e.column,
        message: e.message,
    })?;
    let mut walk = Walk { document: &document, options: reference(), keys: Vec::new() };
    if let Node::Map(entries) = document.root() {
        for (index, (name, node)) in entries.iter().enumerate() {
            walk.block(name, node, &Place::default().entry(index));
        }
    }
    let keys = walk.keys;
    let is_written = |d: &Difference| keys.iter().any(|key| is_at(&key.path, d.block, d.key));
    let unwritten = DIFFERENCES.iter().filter(|d| d.unwritten.is_some() && !is_written(d)).copied().collect();
    Ok(Explanation { keys, unwritten, notes, faults })
}

/// Whether a path is a key of a block, by any of the key's spellings.
fn is_at(path: &str, block: &str, key: &str) -> bool {
    let Some(name) = path.strip_prefix(block.trim_end_matches("[]")) else { return false };
    let name = name.trim_start_matches(|c: char| c == '[' || c == ']' || c == '.' || c.is_ascii_digit());
    name == key || find(&reference(), block, name).is_some_and(|option| option.key == key)
}

fn find(options: &[OptionDoc], block: &str, name: &str) -> Option<OptionDoc> {
    options.iter().find(|o| o.block == block && (o.key == name || o.aliases.contains(&name))).cloned()
}

struct Walk<'d> {
    document: &'d Document,
    options: Vec<OptionDoc>,
    keys: Vec<ExplainedKey>,
}

impl Walk<'_> {
    fn block(&mut self, name: &str, node: &Node, place: &Place) {
        match node {
            Node::Map(entries) => self.entries(name, name, entries, place),
            Node::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    if let Node::Map(entries) = item {
                        let block = format!("{name}[]");
                        self.entries(&block, &format!("{name}[{index}]"), entries, &place.item(index));
                    }
                }
            }
            Node::Null | Node::Scalar(_) => {}
        }
    }

    fn entries(&mut self, block: &str, path: &str, entries: &[(String, Node)], place: &Place) {
        for (index, (key, value)) in entries.iter().enumerate() {
            let option = find(&self.options, block, key);
            let secret = option.as_ref().is_some_and(|o| o.kind == "secret");
            let value = match value {
                Node::Scalar(scalar) if !secret => Some(scalar.text.clone()),
                _ => None,
            };
            let difference = DIFFERENCES.iter().find(|d| {
                d.written.is_some() && d.block == block && option.as_ref().is_some_and(|o| o.key == d.key)
            });
            self.keys.push(ExplainedKey {
                line: self.document.locate(&place.entry(index)).0,
                path: format!("{path}.{key}"),
                value,
                meaning: option.as_ref().map(|o| o.meaning),
                status: option.map(|o| o.status),
                difference: difference.and_then(|d| d.written),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "source:
  type: mysql
  hostname: localhost
  username: cdc
  password: hidden
  tables: app_db.\\.*
sink:
  type: maxcompute
  accessId: id
  accessKey: hidden
  endpoint: http://localhost/api
  project: p
  bucketsNum: 8
route:
  - source-table: app_db.orders
    sink-table: ods_db.orders
pipeline:
  parallelism: 4
";

    fn explained(text: &str) -> Explanation {
        explain_text(text.to_owned(), Path::new("file.yaml"), &|_| None).expect("YAML")
    }

    #[test]
    fn every_difference_is_about_a_key_that_exists() {
        let options = reference();
        for difference in &DIFFERENCES {
            assert!(find(&options, difference.block, difference.key).is_some(), "{difference:?}");
        }
    }

    #[test]
    fn each_key_is_told_with_its_line_and_secrets_are_not() {
        let explanation = explained(FILE);
        assert_eq!(explanation.faults, []);
        let key = |path: &str| explanation.keys.iter().find(|k| k.path == path).expect(path).clone();
        let buckets = key("sink.bucketsNum");
        assert_eq!((buckets.line, buckets.value.as_deref()), (13, Some("8")));
        assert!(buckets.difference.is_some_and(|d| d.contains("are created")), "an alias is the same key");
        assert_eq!(key("source.password").value, None);
        assert_eq!(key("sink.accessKey").value, None);
        assert_eq!(key("route[0].sink-table").line, 16);
        let unwritten: Vec<_> = explanation.unwritten.iter().map(|d| d.key).collect();
        assert!(
            unwritten.contains(&"schema.change.behavior") && !unwritten.contains(&"parallelism"),
            "{unwritten:?}"
        );
    }

    #[test]
    fn what_keeps_the_file_from_running_is_part_of_it() {
        let explanation = explained(&FILE.replace("hostname", "hostnme"));
        assert!(
            explanation.faults.iter().any(|f| f.suggestion.as_deref() == Some("hostname")),
            "{explanation:?}"
        );
        assert!(explanation.keys.iter().any(|k| k.path == "source.hostnme" && k.meaning.is_none()));
    }
}
