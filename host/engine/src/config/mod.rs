//! The pipeline file: first what was written, then what it means.
//!
//! Order: the text is parsed into a tree of texts (`document`); each mapping is held against its table of options
//! (`option`, `block`), which finds unknown and missing keys, puts in `${…}` and reads each text by its option's kind
//! (`kinds`); then `source`, `sink`, `route`, `transform` and `pipeline` are given their meaning, with the checks between
//! options. Nothing stops at the first mistake: a file with ten mistakes gives ten faults, each with its line.
//!
//! The tables are the only list of options there is: parsing reads them, and so does [`reference()`].
//!
//! Files of Flink CDC run unchanged. An option that this version understands and does not carry out is a fault that says
//! so, never a silence; an option that has no meaning here is accepted with a note.
//!
//! Paths in the file are relative to the folder that the file is in. State goes to `.sluicebox/<file name>` there unless
//! `pipeline.state-dir` says otherwise; the file's name and not the pipeline's, because two files in a folder differ by it,
//! and a copied file with the same `name:` must not continue another pipeline's state.

mod block;
mod credentials;
mod defaults;
mod document;
mod driver;
mod expand;
mod explain;
mod expression;
mod fault;
mod filter;
mod kinds;
mod lookup;
mod option;
mod options;
mod plugin;
mod scan;
mod server;
mod sink;
mod source;
#[cfg(test)]
mod tests;
mod transform;
mod wasi;
mod zone;

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use block::{Block, Context};
use document::{Document, Node, Place};
use expand::Surroundings;
use fault::Findings;
use option::{Described, Structure};

pub use credentials::SinkAccount;
pub use explain::{Difference, ExplainedKey, Explanation, explain};
pub use expression::{ExpressionConfig, Written};
pub use fault::{ConfigError, Fault, Note};
pub use filter::{SchemaChangeFilter, SchemaChangeTag};
pub use lookup::{LookupConfig, LookupFormat, LookupOrigin};
pub use option::{OptionDoc, Status};
pub use options::{Approval, DecimalMode, PipelineOptions, RuntimeMode, SchemaBehaviour};
pub use plugin::{GuestConfig, OnSchemaError, PluginConfig, PluginLimits, Reload};
pub use scan::{ChunkColumns, OnPurged, ScanLimits};
pub use server::ServerAddress;
pub use sink::{Compression, SchemaPlacement, SinkConfig};
pub use source::{NewTables, ServerIds, SourceConfig, Startup};
pub use transform::{OnError, TransformRule};
pub use wasi::granted as wasi_granted;
pub use zone::{LocalZone, Zone};

use crate::route::Routes;

/// Largest pipeline file: ten thousand routes fit, a file named by mistake does not.
const LARGEST_FILE: u64 = 4 * 1024 * 1024;

/// What a pipeline file means.
#[derive(Debug, Clone)]
pub struct PipelineConfig {
    /// Where rows come from.
    pub source: SourceConfig,
    /// Where they go.
    pub sink: SinkConfig,
    /// Under which names.
    pub routes: Routes,
    /// What happens to them on the way.
    pub transforms: Vec<TransformRule>,
    /// What concerns the pipeline as a whole.
    pub pipeline: PipelineOptions,
}

/// A pipeline file that was read.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What it means.
    pub pipeline: PipelineConfig,
    /// What to say when the pipeline starts.
    pub notes: Vec<Note>,
}

/// Reads a pipeline file; `environment` looks variables up for `${…}`, and `SLUICEBOX_DEFAULTS`, a file of defaults for `pipeline`.
///
/// # Errors
/// [`ConfigError`]; everything that is wrong with the options comes at once.
pub fn load(path: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, ConfigError> {
    let text = read(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    parse(text, path, environment)
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(LARGEST_FILE + 1).read_to_string(&mut text)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > LARGEST_FILE {
        return Err(std::io::Error::new(
            std::io::ErrorKind::FileTooLarge,
            "no pipeline file is larger than 4 MiB",
        ));
    }
    Ok(text)
}

/// Reads the text of a pipeline file; `path` is where it is, or would be.
///
/// # Errors
/// [`ConfigError`]; everything that is wrong with the options comes at once.
pub fn parse(
    text: String,
    path: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, ConfigError> {
    let document = Arc::new(document(text, path)?);
    let folder = path.parent().unwrap_or(Path::new(""));
    let surroundings = Surroundings { environment, folder };
    let mut context = Context {
        surroundings,
        findings: Findings::default(),
        document: Arc::clone(&document),
        file: path.display().to_string(),
    };
    let defaults = match environment(defaults::VARIABLE).filter(|file| !file.is_empty()) {
        Some(file) => defaults::read(Path::new(&file))?,
        None => Vec::new(),
    };
    let mut root = document.root().clone();
    let is_default = defaults::put(&mut root, defaults, options::BEHAVIOUR_KEY);
    let pipeline = check(&mut context, &root, path, is_default);
    let notes = context.findings.finish(&document, path)?;
    // Whoever returned none has told why; an empty list of faults would be a defect of this module.
    let pipeline = pipeline.ok_or_else(|| ConfigError::Faults(vec![undecided(path)]))?;
    Ok(Loaded { pipeline, notes })
}

fn document(text: String, path: &Path) -> Result<Document, ConfigError> {
    Document::parse(text).map_err(|e| ConfigError::Syntax {
        file: path.display().to_string(),
        line: e.line,
        column: e.column,
        message: e.message,
    })
}

fn undecided(path: &Path) -> Fault {
    let message =
        "cannot be given a meaning, for a reason that was not told; this is a defect of the program"
            .to_owned();
    Fault {
        file: path.display().to_string(),
        path: String::new(),
        line: 1,
        column: 1,
        message,
        suggestion: None,
    }
}

static SOURCE: Structure = required("source", "mapping", "Where rows come from.");
static SINK: Structure = required("sink", "mapping", "Where rows go.");
static ROUTE: Structure =
    Structure::new("route", "list of mappings", "Under which names tables are written.");
static TRANSFORM: Structure =
    Structure::new("transform", "list of mappings", "What happens to rows on the way.");
static PIPELINE: Structure = Structure::new("pipeline", "mapping", "What concerns the pipeline as a whole.");

/// The keys at the top of the file.
static TOP: option::Table = &[&SOURCE, &SINK, &ROUTE, &TRANSFORM, &PIPELINE];

const fn required(key: &'static str, kind: &'static str, meaning: &'static str) -> Structure {
    let mut structure = Structure::new(key, kind, meaning);
    structure.head.required = true;
    structure
}

/// Gives the whole file its meaning. `is_default`: the behaviour comes from a file of defaults. None when something is wrong, which
/// is told by then.
fn check(context: &mut Context<'_>, root: &Node, file: &Path, is_default: bool) -> Option<PipelineConfig> {
    find_twice(context, "", root, &Place::default());
    let top = Block::read(context, "", root, &Place::default(), TOP);
    let source = section(context, &top, &SOURCE, &source::table());
    let sink = section(context, &top, &SINK, sink::TABLE);
    let options = section(context, &top, &PIPELINE, options::TABLE)
        .unwrap_or_else(|| Block::absent(PIPELINE.head.key, top.place()));
    if is_default {
        options::remark_default(context, &options);
    }
    let list = |key| top.node(key).unwrap_or((&Node::Null, top.place()));
    let (routes, place) = list(&ROUTE);
    let rules = transform::routes(context, routes, place);
    let (transforms, place) = list(&TRANSFORM);
    let transforms = transform::transforms(context, transforms, place);

    let pipeline = PipelineOptions::check(context, &options, file);
    let mode = options::route_mode(&options);
    let source = source.and_then(|block| SourceConfig::check(context, &block));
    if let Some(source) = &source {
        PipelineOptions::check_batch(context, &options, source.startup == Startup::Snapshot);
    }
    let sink = sink.and_then(|block| {
        if let Some(memory) = options::memory(&options) {
            SinkConfig::check_memory(context, &block, memory);
        }
        // As upstream: a default takes away no protection that a file which says nothing has.
        let behaviour = if is_default { SchemaBehaviour::Lenient } else { options::behaviour(&options) };
        SinkConfig::check(context, &block, behaviour)
    });
    Some(PipelineConfig {
        source: source?,
        sink: sink?,
        routes: Routes { mode: mode?, rules },
        transforms,
        pipeline: pipeline?,
    })
}

/// Reads a mapping of options. A required one that is missing gives none, and is told already; another is empty.
fn section<'n>(
    context: &mut Context<'_>,
    top: &Block<'n>,
    key: &Structure,
    table: &[&'static dyn Described],
) -> Option<Block<'n>> {
    match top.node(key) {
        Some((Node::Null, place)) if !key.head.required => Some(Block::absent(key.head.key, place)),
        Some((node, place)) => Some(Block::read(context, key.head.key, node, place, table)),
        None if key.head.required => None,
        None => Some(Block::absent(key.head.key, top.place())),
    }
}

/// A key that comes twice in one mapping is a fault, in every mapping of the file.
fn find_twice(context: &mut Context<'_>, path: &str, node: &Node, place: &Place) {
    match node {
        Node::Map(entries) => {
            let mut seen = std::collections::BTreeSet::new();
            for (index, (key, value)) in entries.iter().enumerate() {
                let here = place.entry(index);
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                if !seen.insert(key) {
                    context.findings.fault(&here, &path, "written twice");
                }
                find_twice(context, &path, value, &here);
            }
        }
        Node::List(items) => {
            for (index, item) in items.iter().enumerate() {
                find_twice(context, &format!("{path}[{index}]"), item, &place.item(index));
            }
        }
        Node::Null | Node::Scalar(_) => {}
    }
}

/// Every option there is, in the order of the documentation.
pub fn reference() -> Vec<OptionDoc> {
    let blocks: [(&'static str, Vec<&'static dyn Described>); 10] = [
        ("", TOP.to_vec()),
        ("source", source::table()),
        ("sink", sink::TABLE.to_vec()),
        ("route[]", transform::ROUTE.to_vec()),
        ("transform[]", transform::TRANSFORM.to_vec()),
        ("transform[].plugin", plugin::PLUGIN_TABLE.to_vec()),
        ("transform[].plugin.lookups.*", lookup::LOOKUP_TABLE.to_vec()),
        ("transform[].plugin.wasi", wasi::WASI_TABLE.to_vec()),
        ("transform[].plugin.limits", plugin::LIMITS_TABLE.to_vec()),
        ("pipeline", options::TABLE.to_vec()),
    ];
    blocks
        .into_iter()
        .flat_map(|(block, table)| table.into_iter().map(move |o| o.head().doc(block)))
        .collect()
}
