//! `transform[].plugin`: a plugin and how it may run.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use sluicebox_model::ByteSize;
use sluicebox_wasm::WasiGrants;

use super::block::{Block, Context};
use super::document::{Node, Place};
use super::expand::Forms;
use super::kinds::{self, Kind, Word};
use super::lookup::{LookupConfig, lookups};
use super::option::{Opt, Structure, Table};
use super::transform::OnError;
use super::wasi::{WASI_KEY, grants};

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
    /// Whether it may ask for the time of day.
    pub clock: bool,
    /// Reference tables that it may ask.
    pub lookups: Vec<LookupConfig>,
    /// What of WASI it is granted.
    pub wasi: WasiGrants,
    /// What it may use.
    pub limits: PluginLimits,
    /// What happens to rows that it fails on.
    pub on_error: OnError,
    /// What happens to tables that it has no plan for.
    pub on_schema_error: OnSchemaError,
    /// Events that it may fail on within a minute.
    pub error_budget: u64,
    /// When another version of its file is taken in.
    pub reload: Reload,
}

/// When another version of a plugin's file is taken in while the pipeline runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// When somebody says so.
    Manual,
    /// When the file has changed.
    Watch,
}

impl Word for Reload {
    const WORDS: &'static [(&'static str, Self)] = &[("manual", Self::Manual), ("watch", Self::Watch)];
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
    /// Keys and values together of what it remembers of one target.
    pub state: ByteSize,
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
/// Python's components are the largest known: 33 to 40.
const DEFAULT_PLUGIN_INSTANCES: &str = "64";
/// Go's runtime has some thousands.
const DEFAULT_PLUGIN_TABLE_ELEMENTS: &str = "10000";
/// A hundred thousand counts by key; all of it is in memory.
const DEFAULT_PLUGIN_STATE: &str = "16MiB";

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
static CLOCK: Opt<bool> = Opt::new(
    "clock",
    kinds::FLAG,
    "The plugin may ask for the time of day; what it answers can then differ when a row comes again.",
)
.or("false");
static LOOKUPS: Structure =
    Structure::new("lookups", "mapping of names to tables", "Reference tables that the plugin may ask.");
static WASI: Structure =
    Structure::new(WASI_KEY, "mapping", "What of WASI the plugin is granted; not written: nothing.");
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

static RELOAD: Opt<Reload> = Opt::new(
    "reload",
    Kind::word(),
    "When another version of the file is taken in while the pipeline runs: `manual` on `sluicebox plugin reload`, `watch` also when it has changed.",
)
.or("manual");

/// All options of a plugin.
pub(super) static PLUGIN_TABLE: Table = &[
    &PATH,
    &SHA256,
    &PRECOMPILED,
    &CONFIG,
    &LOOKUPS,
    &CLOCK,
    &WASI,
    &LIMITS,
    &ON_ERROR,
    &ON_SCHEMA_ERROR,
    &ERROR_BUDGET,
    &RELOAD,
];

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

static STATE: Opt<ByteSize> = Opt::new(
    "state",
    kinds::SIZE,
    "Keys and values together of what it remembers of one table of the sink; all of it is in memory, beside `pipeline.memory`.",
)
.or(DEFAULT_PLUGIN_STATE);

/// All options of a plugin's limits.
pub(super) static LIMITS_TABLE: Table =
    &[&MEMORY, &TIME, &OUTPUT, &LOG_LINES, &INSTANCES, &TABLE_ELEMENTS, &STATE];

/// A plugin: a path, or a mapping.
pub(super) fn plugin(
    context: &mut Context<'_>,
    name: &str,
    node: &Node,
    place: &Place,
) -> Option<PluginConfig> {
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
    let lookups = match block.node(&LOOKUPS) {
        Some((node, place)) => lookups(context, &block.path(LOOKUPS.head.key), node, place),
        None => Some(Vec::new()),
    };
    let wasi = match block.node(&WASI) {
        Some((node, place)) => grants(context, &block.path(WASI.head.key), node, place),
        None => Some(WasiGrants::default()),
    };
    if limits.get(&MEMORY).is_some_and(|m| m < LEAST_PLUGIN_MEMORY) {
        limits.fault(context, &MEMORY, format!("must be at least {LEAST_PLUGIN_MEMORY}, one page"));
    }
    Some(PluginConfig {
        path: context.surroundings.folder.join(block.get(&PATH)?),
        sha256: block.get(&SHA256),
        precompiled: block.get(&PRECOMPILED)?,
        config: GuestConfig(config?),
        clock: block.get(&CLOCK)?,
        lookups: lookups?,
        wasi: wasi?,
        limits: PluginLimits {
            memory: limits.get(&MEMORY)?,
            time: limits.get(&TIME)?,
            output: limits.get(&OUTPUT)?,
            log_lines: limits.get(&LOG_LINES)?,
            instances: limits.get(&INSTANCES)?,
            table_elements: limits.get(&TABLE_ELEMENTS)?,
            state: limits.get(&STATE)?,
        },
        on_error: block.get(&ON_ERROR)?,
        on_schema_error: block.get(&ON_SCHEMA_ERROR)?,
        error_budget: block.get(&ERROR_BUDGET)?,
        reload: block.get(&RELOAD)?,
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
