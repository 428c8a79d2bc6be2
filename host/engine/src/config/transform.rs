//! `route` and `transform`: lists of rules about tables.

use std::sync::Arc;

use sluicebox_model::TableId;

use super::block::{Block, Context};
use super::document::{Node, Place};
use super::expression::{ExpressionConfig, ExpressionOptions, table_options};
use super::kinds::{self, Kind, Word};
use super::option::{Described, Opt, Structure, Table};
use super::plugin::{PluginConfig, plugin};
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
