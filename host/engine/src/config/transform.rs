//! `route` and `transform`: lists of rules about tables.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sluicebox_model::{ByteSize, TableId};

use super::block::{Block, Context};
use super::document::{Node, Place};
use super::expand::Forms;
use super::expression::{ExpressionConfig, ExpressionOptions, table_options};
use super::kinds::{self, Kind, Word};
use super::option::{Described, Opt, Structure, Table};
use crate::pattern::TablePatterns;
use crate::route::{Merge, RouteRule};

/// One entry of `transform`. The first entry that means a table applies to it, and no other.
#[derive(Debug, Clone)]
pub struct TransformRule {
    /// The tables that are meant, by their names at the source.
    pub tables: TablePatterns,
    /// The chain of plugins; rows go through them in this order.
    pub plugins: Vec<PluginConfig>,
    /// What SQL expressions then do; none where none is written.
    pub expressions: Option<ExpressionConfig>,
    /// Properties that the sink table is made with, in the order of the file.
    pub table_options: Vec<(String, String)>,
    /// Free text.
    pub description: Option<String>,
}

impl TransformRule {
    /// The rule that applies to a table.
    pub fn for_table<'r>(rules: &'r [Self], table: &TableId) -> Option<&'r Self> {
        rules.iter().find(|rule| rule.tables.matches(table))
    }
}

/// A plugin and how it may run.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginConfig {
    /// The module; absolute, or relative to the process's folder as the pipeline file's own path is.
    pub path: PathBuf,
    /// The digest that the file must have.
    pub sha256: Option<[u8; 32]>,
    /// The file was compiled ahead of time.
    pub precompiled: bool,
    /// What the plugin is told when it starts.
    pub config: GuestConfig,
    /// What it may use.
    pub limits: PluginLimits,
    /// What happens to rows that it fails on.
    pub on_error: OnError,
    /// What happens to tables that it has no plan for.
    pub on_schema_error: OnSchemaError,
    /// Events that it may fail on within a minute.
    pub error_budget: u64,
}

/// What a plugin is told when it starts. `Debug` shows none of it, for it may hold secrets.
#[derive(Clone, PartialEq, Default)]
pub struct GuestConfig(pub Value);

impl fmt::Debug for GuestConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What a plugin may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PluginLimits {
    /// Memory of one instance.
    pub memory: ByteSize,
    /// Time of one call, beside what each row adds.
    pub time: Duration,
    /// What one call may give back, beside four times what it was given.
    pub output: ByteSize,
    /// Lines that one instance may log in a second.
    pub log_lines: u32,
    /// Core modules inside the component.
    pub instances: u32,
    /// Elements of all its tables together.
    pub table_elements: u32,
}

/// What happens to rows that a plugin fails on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// The pipeline stops; nothing behind the row is committed.
    Fail,
    /// The row is counted, logged and dropped.
    Skip,
    /// The row is put aside with the reason.
    DeadLetter,
}

impl Word for OnError {
    const WORDS: &'static [(&'static str, Self)] =
        &[("fail", Self::Fail), ("skip", Self::Skip), ("dead-letter", Self::DeadLetter)];
}

/// What happens to tables that a plugin has no plan for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnSchemaError {
    /// The pipeline stops; nothing behind the schema change is committed.
    Stop,
    /// Rows of the table pass without the plugin.
    Pass,
}

impl Word for OnSchemaError {
    const WORDS: &'static [(&'static str, Self)] = &[("stop", Self::Stop), ("pass", Self::Pass)];
}

/// A careless release fails on more than this at once, the odd row on far fewer.
const DEFAULT_ERROR_BUDGET: &str = "1000";
/// Enough for a compiled guest with a batch of the largest size; interpreters are given more by hand.
const DEFAULT_PLUGIN_MEMORY: &str = "64MiB";
/// A page of WebAssembly memory; nothing starts with less.
const LEAST_PLUGIN_MEMORY: ByteSize = ByteSize::kib(64);
/// A thousand times what a batch needs, and a loop without end is noticed at once.
const DEFAULT_PLUGIN_TIME: &str = "100ms";
/// Small batches may grow by more than the factor that large ones may.
const DEFAULT_PLUGIN_OUTPUT: &str = "1MiB";
/// Enough to follow a plugin at work, too few to fill a disk.
const DEFAULT_PLUGIN_LOG_LINES: &str = "100";
/// Python's components are the largest known and have more than eight.
const DEFAULT_PLUGIN_INSTANCES: &str = "32";
/// Go's runtime has some thousands.
const DEFAULT_PLUGIN_TABLE_ELEMENTS: &str = "10000";

static ROUTE_SOURCE: Opt<String> = Opt::new(
    "source-table",
    kinds::SOME_TEXT,
    "One regular expression for `database.table`; letter case counts.",
)
.required();
static ROUTE_SINK: Opt<String> = Opt::new(
    "sink-table",
    kinds::SOME_TEXT,
    "The target, one to three parts; `$1` and `${name}` stand for groups of `source-table`.",
)
.required()
.template();
static REPLACE_SYMBOL: Opt<String> = Opt::new(
    "replace-symbol",
    kinds::SOME_TEXT,
    "A text that stands for the source table's name in `sink-table`.",
);
static SOURCE_COLUMN: Opt<String> = Opt::new(
    "add-source-column",
    kinds::SOME_TEXT,
    "A column that each row gets with the name of its source table, `database.table`; part of the key, so that several tables with the same keys share one sink table.",
);
static ON_KEY_CONFLICT: Opt<OnKeyConflict> = Opt::new(
    "on-key-conflict",
    Kind::word(),
    "`last-wins`: rows of several tables with the same key may overwrite each other; without it, and without a source column, a start tells of it.",
);
static ROUTE_PARTITIONS: Opt<Vec<Arc<str>>> = Opt::new(
    "partition-keys",
    kinds::NAMES,
    "Columns that partition the target, separated by commas; not columns of the key. Numbers stay numbers, everything else becomes text.",
);
static ROUTE_DESCRIPTION: Opt<String> = Opt::new("description", kinds::TEXT, "Free text.");

/// All options of an entry of `route`.
pub(super) static ROUTE: Table = &[
    &ROUTE_SOURCE,
    &ROUTE_SINK,
    &REPLACE_SYMBOL,
    &ROUTE_PARTITIONS,
    &SOURCE_COLUMN,
    &ON_KEY_CONFLICT,
    &ROUTE_DESCRIPTION,
];

/// What happens to rows of several tables with one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnKeyConflict {
    LastWins,
}

impl Word for OnKeyConflict {
    const WORDS: &'static [(&'static str, Self)] = &[("last-wins", Self::LastWins)];
}

static SOURCE_TABLE: Opt<TablePatterns> =
    Opt::new("source-table", kinds::PATTERNS, "Patterns of the tables that are meant.").required();
static PLUGIN: Structure =
    Structure::new("plugin", "path, mapping, or a list of them", "WebAssembly modules that rows go through.");
static DESCRIPTION: Opt<String> = Opt::new("description", kinds::TEXT, "Free text.");
static PROJECT: Opt<String> = Opt::new(
    "projection",
    kinds::TRIMMED,
    "Columns that go on, as SQL: `*`, names, `expression AS name`; not written: `*`.",
);
static FILTER: Opt<String> =
    Opt::new("filter", kinds::TRIMMED, "Rows that go on, as an SQL condition; not written: all.");
static PRIMARY_KEYS: Opt<String> =
    Opt::new("primary-keys", kinds::TRIMMED, "Columns of another key, between commas.");
static PARTITION_KEYS: Opt<String> = Opt::new(
    "partition-keys",
    kinds::TRIMMED,
    "Columns that partition the target, between commas, where the route names none; not columns of the key.",
);
static TABLE_OPTIONS: Opt<String> = Opt::new(
    "table-options",
    kinds::TRIMMED,
    "Properties that the sink table is made with, `key=value,…`; tables that exist keep theirs.",
);
static DELIMITER: Opt<String> =
    Opt::new("table-options.delimiter", kinds::TEXT, "Separates `table-options`.").or(",");
static CONVERTER: Opt<String> = Opt::new(
    "converter-after-transform",
    kinds::TRIMMED,
    "`SOFT_DELETE`: a deleted row goes on as it was, as an inserted one.",
);
static ON_FAILURE: Opt<OnError> =
    Opt::new("on-error", Kind::word(), "What happens to rows that an expression fails on.").or("fail");

/// All options of an entry of `transform`.
pub(super) static TRANSFORM: Table = &[
    &SOURCE_TABLE,
    &PLUGIN,
    &DESCRIPTION,
    &PROJECT,
    &FILTER,
    &PRIMARY_KEYS,
    &PARTITION_KEYS,
    &TABLE_OPTIONS,
    &DELIMITER,
    &CONVERTER,
    &ON_FAILURE,
];

static PATH: Opt<PathBuf> =
    Opt::new("path", kinds::FILE, "The module's file, relative to the pipeline file.").required();
static SHA256: Opt<[u8; 32]> = Opt::new("sha256", kinds::SHA256, "The digest that the file must have.");
static PRECOMPILED: Opt<bool> = Opt::new(
    "precompiled",
    kinds::FLAG,
    "The file was made by `sluicebox plugin compile`: native code, run as it is. It must belong to the user who runs the program.",
)
.or("false");
static CONFIG: Structure = Structure::new("config", "any YAML", "What the plugin is told when it starts.");
static LIMITS: Structure = Structure::new("limits", "mapping", "What the plugin may use.");
static ON_ERROR: Opt<OnError> =
    Opt::new("on-error", Kind::word(), "What happens to rows that the plugin fails on.").or("fail");
static ON_SCHEMA_ERROR: Opt<OnSchemaError> = Opt::new(
    "on-schema-error",
    Kind::word(),
    "What happens to tables that the plugin has no plan for: `pass` lets their rows go on unmasked and unfiltered.",
)
.or("stop");
static ERROR_BUDGET: Opt<u64> = Opt::new(
    "error-budget",
    kinds::LONG,
    "Events that the plugin may fail on within a minute before the pipeline stops, whatever `on-error` says.",
)
.or(DEFAULT_ERROR_BUDGET);

/// All options of a plugin.
pub(super) static PLUGIN_TABLE: Table =
    &[&PATH, &SHA256, &PRECOMPILED, &CONFIG, &LIMITS, &ON_ERROR, &ON_SCHEMA_ERROR, &ERROR_BUDGET];

static MEMORY: Opt<ByteSize> =
    Opt::new("memory", kinds::SIZE, "Memory of one instance.").or(DEFAULT_PLUGIN_MEMORY);
static TIME: Opt<Duration> =
    Opt::new("time", kinds::SPAN, "Time of one call, beside what each row adds.").or(DEFAULT_PLUGIN_TIME);

static OUTPUT: Opt<ByteSize> =
    Opt::new("output", kinds::SIZE, "What one call may give back, beside four times what it was given.")
        .or(DEFAULT_PLUGIN_OUTPUT);
static LOG_LINES: Opt<u32> = Opt::new(
    "log-lines",
    kinds::AMOUNT,
    "Lines that one instance may log in a second; more are counted and left out.",
)
.or(DEFAULT_PLUGIN_LOG_LINES);
static INSTANCES: Opt<u32> =
    Opt::new("instances", kinds::AMOUNT, "Core modules inside the component.").or(DEFAULT_PLUGIN_INSTANCES);
static TABLE_ELEMENTS: Opt<u32> =
    Opt::new("table-elements", kinds::AMOUNT, "Elements of all its tables together.")
        .or(DEFAULT_PLUGIN_TABLE_ELEMENTS);

/// All options of a plugin's limits.
pub(super) static LIMITS_TABLE: Table = &[&MEMORY, &TIME, &OUTPUT, &LOG_LINES, &INSTANCES, &TABLE_ELEMENTS];

/// Reads the entries of `route`; what is wrong is told by then.
pub(super) fn routes(context: &mut Context<'_>, node: &Node, place: &Place) -> Vec<RouteRule> {
    entries(context, "route", node, place, ROUTE).iter().filter_map(|block| route(context, block)).collect()
}

fn route(context: &mut Context<'_>, block: &Block<'_>) -> Option<RouteRule> {
    let (source, sink) = (block.get(&ROUTE_SOURCE)?, block.get(&ROUTE_SINK)?);
    let symbol = if block.has(&REPLACE_SYMBOL) { Some(block.get(&REPLACE_SYMBOL)?) } else { None };
    if symbol.as_ref().is_some_and(|s| !sink.contains(s.as_str())) {
        block.note(context, &REPLACE_SYMBOL, "does not occur in `sink-table`, so all tables get one target");
    }
    let hidden = block.is_expanded(&ROUTE_SOURCE) || block.is_expanded(&ROUTE_SINK);
    match RouteRule::new(&source, &sink, symbol.as_deref()) {
        Ok(rule) => Some(rule.merging(merge(block)?)),
        Err(error) => {
            let message = if hidden {
                "not a route with what is put in for `${…}`".to_owned()
            } else {
                error.to_string()
            };
            match error {
                crate::route::RouteError::Source(_) => block.fault(context, &ROUTE_SOURCE, message),
                _ => block.fault(context, &ROUTE_SINK, message),
            }
            None
        }
    }
}

/// How rows of several tables get along; none when something is wrong, which is told by then.
fn merge(block: &Block<'_>) -> Option<Merge> {
    let source_column = match block.has(&SOURCE_COLUMN) {
        true => Some(block.get(&SOURCE_COLUMN)?.into()),
        false => None,
    };
    let last_wins = match block.has(&ON_KEY_CONFLICT) {
        true => block.get(&ON_KEY_CONFLICT)? == OnKeyConflict::LastWins,
        false => false,
    };
    let partition_keys = match block.has(&ROUTE_PARTITIONS) {
        true => block.get(&ROUTE_PARTITIONS)?,
        false => Vec::new(),
    };
    Some(Merge { source_column, partition_keys, last_wins })
}

/// Reads the entries of `transform`; what is wrong is told by then.
pub(super) fn transforms(context: &mut Context<'_>, node: &Node, place: &Place) -> Vec<TransformRule> {
    entries(context, "transform", node, place, TRANSFORM)
        .iter()
        .filter_map(|block| transform(context, block))
        .collect()
}

fn transform(context: &mut Context<'_>, block: &Block<'_>) -> Option<TransformRule> {
    let plugins = match block.node(&PLUGIN) {
        Some((Node::List(items), place)) => {
            let mut chain = Vec::new();
            for (index, item) in items.iter().enumerate() {
                chain.push(plugin(
                    context,
                    &format!("{}[{index}]", block.path(PLUGIN.head.key)),
                    item,
                    &place.item(index),
                ));
            }
            chain
        }
        Some((node, place)) => vec![plugin(context, &block.path(PLUGIN.head.key), node, place)],
        None => Vec::new(),
    };
    let options = ExpressionOptions {
        projection: &PROJECT,
        filter: &FILTER,
        primary_keys: &PRIMARY_KEYS,
        partition_keys: &PARTITION_KEYS,
        converter: &CONVERTER,
        on_error: &ON_FAILURE,
    };
    let expressions = ExpressionConfig::read(context, block, &options);
    let table_options = table_options(context, block, &TABLE_OPTIONS, &DELIMITER);
    let (expressions, table_options) = (expressions?, table_options?);
    if plugins.is_empty() && expressions.is_none() && table_options.is_empty() {
        let message = "the entry has neither plugin nor expression, so rows of its tables pass unchanged";
        block.note(context, &SOURCE_TABLE, message);
    }
    Some(TransformRule {
        tables: block.get(&SOURCE_TABLE)?,
        plugins: plugins.into_iter().collect::<Option<_>>()?,
        expressions,
        table_options,
        description: block.get(&DESCRIPTION),
    })
}

/// A plugin: a path, or a mapping.
fn plugin(context: &mut Context<'_>, name: &str, node: &Node, place: &Place) -> Option<PluginConfig> {
    // A bare path is a mapping of one entry, whose place is the plugin's own.
    let block = match node {
        Node::Scalar(_) => Block::of_one(context, name, node, place, &PATH),
        _ => Block::read(context, name, node, place, PLUGIN_TABLE),
    };
    let limits = match block.node(&LIMITS) {
        Some((node, place)) => Block::read(context, block.path(LIMITS.head.key), node, place, LIMITS_TABLE),
        None => Block::absent(block.path(LIMITS.head.key), place),
    };
    let config = match block.node(&CONFIG) {
        Some((node, place)) => guest_value(context, &block.path(CONFIG.head.key), node, place),
        None => Some(Value::Null),
    };
    if limits.get(&MEMORY).is_some_and(|m| m < LEAST_PLUGIN_MEMORY) {
        limits.fault(context, &MEMORY, format!("must be at least {LEAST_PLUGIN_MEMORY}, one page"));
    }
    Some(PluginConfig {
        path: context.surroundings.folder.join(block.get(&PATH)?),
        sha256: block.get(&SHA256),
        precompiled: block.get(&PRECOMPILED)?,
        config: GuestConfig(config?),
        limits: PluginLimits {
            memory: limits.get(&MEMORY)?,
            time: limits.get(&TIME)?,
            output: limits.get(&OUTPUT)?,
            log_lines: limits.get(&LOG_LINES)?,
            instances: limits.get(&INSTANCES)?,
            table_elements: limits.get(&TABLE_ELEMENTS)?,
        },
        on_error: block.get(&ON_ERROR)?,
        on_schema_error: block.get(&ON_SCHEMA_ERROR)?,
        error_budget: block.get(&ERROR_BUDGET)?,
    })
}

/// What YAML means, as JSON; `${…}` is put in where it means a text.
fn guest_value(context: &mut Context<'_>, path: &str, node: &Node, place: &Place) -> Option<Value> {
    match node {
        Node::Null => Some(Value::Null),
        Node::Scalar(scalar) => match &scalar.meaning {
            Value::String(text) => match context.surroundings.expand(text, Forms::All) {
                Ok(text) => Some(Value::String(text)),
                Err(missing) => {
                    missing.into_iter().for_each(|m| context.findings.fault(place, path, m));
                    None
                }
            },
            other => Some(other.clone()),
        },
        Node::List(items) => {
            let items: Vec<_> = items
                .iter()
                .enumerate()
                .map(|(i, item)| guest_value(context, &format!("{path}[{i}]"), item, &place.item(i)))
                .collect();
            items.into_iter().collect::<Option<_>>().map(Value::Array)
        }
        Node::Map(entries) => {
            let entries: Vec<_> = entries
                .iter()
                .enumerate()
                .map(|(i, (key, value))| {
                    guest_value(context, &format!("{path}.{key}"), value, &place.entry(i))
                        .map(|v| (key.clone(), v))
                })
                .collect();
            entries.into_iter().collect::<Option<_>>().map(Value::Object)
        }
    }
}

/// Reads a list of mappings; anything else is a fault.
fn entries<'n>(
    context: &mut Context<'_>,
    name: &str,
    node: &'n Node,
    place: &Place,
    table: &[&'static dyn Described],
) -> Vec<Block<'n>> {
    match node {
        Node::Null => Vec::new(),
        Node::List(items) => {
            let mut blocks = Vec::new();
            for (index, item) in items.iter().enumerate() {
                blocks.push(Block::read(
                    context,
                    format!("{name}[{index}]"),
                    item,
                    &place.item(index),
                    table,
                ));
            }
            blocks
        }
        Node::Map(_) | Node::Scalar(_) => {
            let message = format!("expected a list, found {}; begin each entry with `- `", node.kind());
            context.findings.fault(place, name, message);
            Vec::new()
        }
    }
}
