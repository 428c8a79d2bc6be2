//! The options of a `transform` entry that are SQL expressions, and its table options.
//!
//! The expressions are parsed here, so that mistakes in them are found with all others of the file. Whether they fit a table is
//! known when the table is; what is wrong then is still told with the line of the file.

use std::fmt;
use std::sync::Arc;

use sluicebox_expression::{ExpressionError, Part, Rule, RuleText};

use super::block::{Block, Context};
use super::document::{Document, Place};
use super::fault::Fault;
use super::option::Opt;
use super::transform::OnError;

/// The expressions of an entry.
#[derive(Debug, Clone)]
pub struct ExpressionConfig {
    /// What they say.
    pub rule: Rule,
    /// What happens to rows that one fails on.
    pub on_error: OnError,
    /// Where they stand.
    pub written: Written,
}

/// Where an entry stands in its file.
#[derive(Clone)]
pub struct Written {
    document: Arc<Document>,
    file: String,
    /// The entry, e.g. `transform[1]`.
    path: String,
    place: Place,
    parts: Vec<(Part, Place)>,
}

/// The file's text may hold what messages must not show.
impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

impl Written {
    /// The entry, e.g. `transform[1]`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is wrong with an option of the entry, with its place in the file.
    pub fn fault(&self, part: Part, error: &ExpressionError) -> Fault {
        let place =
            self.parts.iter().find(|(known, _)| *known == part).map_or(&self.place, |(_, place)| place);
        let (line, column) = self.document.locate(place);
        Fault {
            file: self.file.clone(),
            path: format!("{}.{}", self.path, part.key()),
            line,
            column,
            message: ExpressionError { suggestion: None, ..error.clone() }.to_string(),
            suggestion: error.suggestion.clone(),
        }
    }
}

/// The options that are read.
pub(super) struct ExpressionOptions {
    pub projection: &'static Opt<String>,
    pub filter: &'static Opt<String>,
    pub primary_keys: &'static Opt<String>,
    pub partition_keys: &'static Opt<String>,
    pub converter: &'static Opt<String>,
    pub on_error: &'static Opt<OnError>,
}

impl ExpressionOptions {
    fn all(&self) -> [(Part, &'static Opt<String>); 5] {
        [
            (Part::Projection, self.projection),
            (Part::Filter, self.filter),
            (Part::PrimaryKeys, self.primary_keys),
            (Part::PartitionKeys, self.partition_keys),
            (Part::Converter, self.converter),
        ]
    }
}

impl ExpressionConfig {
    /// Reads an entry's expressions. The outer none: something is wrong, which is told by then; the inner: there are none.
    pub(super) fn read(
        context: &mut Context<'_>,
        block: &Block<'_>,
        options: &ExpressionOptions,
    ) -> Option<Option<Self>> {
        let [projection, filter, primary_keys, partition_keys, converter] =
            options.all().map(|(_, o)| block.get(o));
        let text = RuleText {
            projection: projection.as_deref(),
            filter: filter.as_deref(),
            primary_keys: primary_keys.as_deref(),
            partition_keys: partition_keys.as_deref(),
            converter: converter.as_deref(),
            hidden: options.all().iter().any(|(_, option)| block.is_expanded(option)),
        };
        let written = options.all().into_iter().filter(|(_, option)| block.has(option));
        let parts: Vec<(Part, Place)> =
            written.map(|(part, option)| (part, block.place_of(option).clone())).collect();
        let rule = match Rule::parse(&text) {
            Ok(rule) => rule,
            Err(errors) => {
                for (part, error) in errors {
                    tell(context, block, options, part, &error);
                }
                return None;
            }
        };
        if rule.is_empty() {
            return Some(None);
        }
        let written = Written {
            document: Arc::clone(&context.document),
            file: context.file.clone(),
            path: block.path("").trim_end_matches('.').to_owned(),
            place: block.place().clone(),
            parts,
        };
        Some(Some(Self { rule, on_error: block.get(options.on_error)?, written }))
    }
}

fn tell(
    context: &mut Context<'_>,
    block: &Block<'_>,
    options: &ExpressionOptions,
    part: Part,
    error: &ExpressionError,
) {
    let Some((_, option)) = options.all().into_iter().find(|(known, _)| *known == part) else { return };
    // What was put in for a variable may be a secret.
    if block.is_expanded(option) {
        block.fault(context, option, "cannot be read with what is put in for `${…}`");
        return;
    }
    let message = ExpressionError { suggestion: None, ..error.clone() }.to_string();
    let path = block.path(part.key());
    context.findings.suggest(block.place_of(option), path, message, error.suggestion.clone());
}

/// Properties that the sink sets by itself, and the option that decides them.
const OWN_PROPERTIES: [(&str, &str); 2] = [
    ("transactional", "a table with a key is transactional"),
    ("write.bucket.num", "use `buckets-num` of the sink"),
];

/// Reads `key=value` items. None when one is wrong, which is told by then.
pub(super) fn table_options(
    context: &mut Context<'_>,
    block: &Block<'_>,
    option: &'static Opt<String>,
    delimiter: &'static Opt<String>,
) -> Option<Vec<(String, String)>> {
    let (Some(text), Some(delimiter)) = (block.get(option), block.get(delimiter)) else {
        return Some(Vec::new());
    };
    if delimiter.is_empty() {
        block.fault(context, option, "needs a `table-options.delimiter` that is not empty");
        return None;
    }
    let mut found: Vec<(String, String)> = Vec::new();
    let mut right = true;
    for item in text.split(delimiter.as_str()).map(str::trim).filter(|item| !item.is_empty()) {
        let wrong = match item.split_once('=').map(|(key, value)| (key.trim(), value.trim())) {
            None | Some(("", _)) => Some("expected `key=value` between the delimiters".to_owned()),
            Some((key, value)) => {
                let own = OWN_PROPERTIES.iter().find(|(own, _)| own.eq_ignore_ascii_case(key));
                let twice = found.iter().any(|(known, _)| known == key);
                found.push((key.to_owned(), value.to_owned()));
                match own {
                    Some((_, why)) => Some(format!("`{key}` is set by the sink: {why}")),
                    None => twice.then(|| format!("`{key}` is written twice")),
                }
            }
        };
        if let Some(message) = wrong {
            block.fault(context, option, message);
            right = false;
        }
    }
    right.then_some(found)
}
