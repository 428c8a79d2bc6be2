//! `transform[].plugin.lookups`: reference tables that a plugin may ask.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use sluicebox_model::{ByteSize, Secret};

use super::block::{Block, Context};
use super::document::{Node, Place};
use super::kinds::{self, Kind, Word};
use super::option::{Opt, Structure, Table};
use super::wasi::texts;

/// A reference table.
#[derive(Debug, Clone, PartialEq)]
pub struct LookupConfig {
    /// What the plugin calls it.
    pub name: String,
    /// Where it comes from.
    pub origin: LookupOrigin,
    /// The field that tells entries apart.
    pub key: String,
    /// How it is written.
    pub format: LookupFormat,
    /// How often a change is looked for.
    pub refresh: Duration,
    /// The most bytes that it may have.
    pub max_size: ByteSize,
}

/// Where a reference table comes from.
#[derive(Clone, PartialEq)]
pub enum LookupOrigin {
    /// A file; absolute, or relative to the process's folder as the pipeline file's own path is.
    File(PathBuf),
    /// What is answered at a URL, asked with these headers.
    Url {
        /// `http://…` or `https://…`.
        url: Secret,
        /// Names and values.
        headers: Vec<(String, Secret)>,
    },
}

/// Shows no part of a URL, which can carry a token.
impl fmt::Debug for LookupOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Url { .. } => f.write_str("Url(***)"),
        }
    }
}

/// How a reference table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookupFormat {
    /// RFC 4180, with a first line of names.
    Csv,
    /// A JSON object a line.
    JsonLines,
    /// A list of JSON objects.
    Json,
}

impl Word for LookupFormat {
    const WORDS: &'static [(&'static str, Self)] =
        &[("csv", Self::Csv), ("json-lines", Self::JsonLines), ("json", Self::Json)];
}

impl LookupFormat {
    /// The format that a name's ending tells.
    fn of_name(name: &str) -> Option<Self> {
        let name = name.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
        match name.rsplit_once('.')?.1 {
            "csv" => Some(Self::Csv),
            "jsonl" | "ndjson" => Some(Self::JsonLines),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// A change of a file is seen at once.
const FILE_REFRESH: Duration = Duration::from_secs(1);
/// A server is asked once a minute; it can answer that nothing has changed.
const URL_REFRESH: Duration = Duration::from_secs(60);
/// Some hundred thousand entries. They lie in memory beside `pipeline.memory`, twice while they are read again.
const DEFAULT_MAX_SIZE: &str = "16MiB";

static FILE: Opt<PathBuf> =
    Opt::new("file", kinds::FILE, "The table's file, relative to the pipeline file; instead of `url`.");
static URL: Opt<String> =
    Opt::new("url", kinds::URL, "Where the table is asked for by HTTP; instead of `file`.");
static HEADERS: Structure =
    Structure::new("headers", "mapping", "Headers that are sent with it; their values are never shown.");
static KEY: Opt<String> =
    Opt::new("key", kinds::SOME_TEXT, "The field by which entries are found; no two may share a value.")
        .required();
static FORMAT: Opt<LookupFormat> = Opt::new(
    "format",
    Kind::word(),
    "How it is written; not written: what the ending of the file or URL says (`.csv`, `.jsonl`, `.ndjson`, `.json`).",
);
static REFRESH: Opt<Duration> = Opt::new(
    "refresh",
    kinds::SPAN,
    "How often a change is looked for; not written: 1s for a file, 60s for a URL.",
);
static MAX_SIZE: Opt<ByteSize> =
    Opt::new("max-size", kinds::SIZE, "The most that the table may have.").or(DEFAULT_MAX_SIZE);

/// All options of a reference table.
pub(super) static LOOKUP_TABLE: Table = &[&FILE, &URL, &HEADERS, &KEY, &FORMAT, &REFRESH, &MAX_SIZE];

/// Reads the tables of a plugin, by name; none when something is wrong, which is told by then.
pub(super) fn lookups(
    context: &mut Context<'_>,
    name: &str,
    node: &Node,
    place: &Place,
) -> Option<Vec<LookupConfig>> {
    let entries = match node {
        Node::Null => return Some(Vec::new()),
        Node::Map(entries) => entries,
        Node::List(_) | Node::Scalar(_) => {
            let message = format!("expected a mapping of names to tables, found {}", node.kind());
            context.findings.fault(place, name, message);
            return None;
        }
    };
    let mut tables = Vec::new();
    for (index, (table, node)) in entries.iter().enumerate() {
        let block = Block::read(context, format!("{name}.{table}"), node, &place.entry(index), LOOKUP_TABLE);
        tables.push(lookup(context, table, &block));
    }
    tables.into_iter().collect()
}

fn lookup(context: &mut Context<'_>, name: &str, block: &Block<'_>) -> Option<LookupConfig> {
    let origin = origin(context, block);
    let told = match &origin {
        Some(LookupOrigin::File(path)) => LookupFormat::of_name(&path.to_string_lossy()),
        Some(LookupOrigin::Url { url, .. }) => LookupFormat::of_name(url.reveal()),
        None => None,
    };
    let format = if block.has(&FORMAT) { block.get(&FORMAT) } else { told };
    if origin.is_some() && format.is_none() && !block.has(&FORMAT) {
        let message =
            "not written, and the ending of the name tells none; expected `csv`, `json-lines` or `json`";
        block.fault(context, &FORMAT, message);
    }
    let usual = match &origin {
        Some(LookupOrigin::Url { .. }) => URL_REFRESH,
        Some(LookupOrigin::File(_)) | None => FILE_REFRESH,
    };
    Some(LookupConfig {
        name: name.to_owned(),
        origin: origin?,
        key: block.get(&KEY)?,
        format: format?,
        refresh: if block.has(&REFRESH) { block.get(&REFRESH)? } else { usual },
        max_size: block.get(&MAX_SIZE)?,
    })
}

fn origin(context: &mut Context<'_>, block: &Block<'_>) -> Option<LookupOrigin> {
    match (block.has(&FILE), block.has(&URL)) {
        (true, false) => {
            let path = context.surroundings.folder.join(block.get(&FILE)?);
            if block.node(&HEADERS).is_some() {
                block.note(context, &FILE, "`headers` has no effect: a file is asked for none");
            }
            Some(LookupOrigin::File(path))
        }
        (false, true) => {
            let url = Secret::new(block.get(&URL)?);
            let headers = match block.node(&HEADERS) {
                Some((node, place)) => texts(context, &block.path(HEADERS.head.key), node, place)?,
                None => Vec::new(),
            };
            let headers = headers.into_iter().map(|(name, value)| (name, Secret::new(value))).collect();
            Some(LookupOrigin::Url { url, headers })
        }
        (true, true) => {
            block.fault(context, &URL, "written beside `file`; a table has one of them");
            None
        }
        (false, false) => {
            let place = block.place().clone();
            context.findings.fault(&place, block.path(FILE.head.key), "neither `file` nor `url` is written");
            None
        }
    }
}
