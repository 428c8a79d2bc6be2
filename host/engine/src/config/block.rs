//! One mapping of the file held against its table of options.
//!
//! `read` does all that needs no knowledge of a single option: unknown and missing keys, spellings, `${…}`, whether each
//! text is a value of its kind, and what this version does with it. What is left are values, and checks between them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::document::{Document, Node, Place};
use super::expand::{Forms, Surroundings};
use super::fault::{Findings, nearest};
use super::option::{Described, Head, Opt, Status, Structure};

/// What is needed to read a block.
pub(super) struct Context<'c> {
    pub surroundings: Surroundings<'c>,
    pub findings: Findings,
    /// The file, for what is found to be wrong later.
    pub document: Arc<Document>,
    /// The file's name in messages.
    pub file: String,
}

/// A block that was read.
pub(super) struct Block<'n> {
    name: String,
    place: Place,
    texts: BTreeMap<&'static str, Text>,
    nodes: BTreeMap<&'static str, (&'n Node, Place)>,
}

/// A value as written, expanded.
struct Text {
    place: Place,
    /// None when it is no value of its option; the fault is told already.
    value: Option<String>,
    /// Whether something was put in for `${…}`, which messages must not show.
    expanded: bool,
}

/// A key of the file that is some option.
struct Found<'n> {
    option: &'static dyn Described,
    /// 0 for its name, then the aliases in their order.
    rank: usize,
    key: &'n str,
    node: &'n Node,
    place: Place,
}

impl<'n> Block<'n> {
    /// A block that is not in the file; `place` is where it would be.
    pub fn absent(name: impl Into<String>, place: &Place) -> Self {
        Self { name: name.into(), place: place.clone(), texts: BTreeMap::new(), nodes: BTreeMap::new() }
    }

    /// Reads a mapping; anything else is a fault.
    pub fn read(
        context: &mut Context<'_>,
        name: impl Into<String>,
        node: &'n Node,
        place: &Place,
        table: &[&'static dyn Described],
    ) -> Self {
        let mut block = Self::absent(name, place);
        let Node::Map(entries) = node else {
            let message = format!("expected a mapping, found {}", node.kind());
            context.findings.fault(place, &block.name, message);
            return block;
        };
        let found = block.find_all(context, entries, table);
        for entry in found.into_values() {
            block.take(context, entry);
        }
        for head in table.iter().map(|o| o.head()).filter(|h| h.required) {
            if !block.texts.contains_key(head.key) && !block.nodes.contains_key(head.key) {
                let known = if head.secret { String::new() } else { format!(" ({})", head.meaning) };
                context.findings.fault(
                    place,
                    block.path(head.key),
                    format!("required and not written{known}"),
                );
            }
        }
        block
    }

    /// A block that is written as the value of its one important option; `place` is that value's.
    pub fn of_one<T: PartialEq>(
        context: &mut Context<'_>,
        name: impl Into<String>,
        node: &'n Node,
        place: &Place,
        option: &'static Opt<T>,
    ) -> Self {
        let mut block = Self::absent(name, place);
        let found = Found { option, rank: 0, key: option.head.key, node, place: place.clone() };
        block.take(context, found);
        block
    }

    /// Sorts keys into options; of several spellings of one option the first in rank counts.
    fn find_all(
        &self,
        context: &mut Context<'_>,
        entries: &'n [(String, Node)],
        table: &[&'static dyn Described],
    ) -> BTreeMap<&'static str, Found<'n>> {
        let mut all: BTreeMap<&'static str, Found<'n>> = BTreeMap::new();
        for (index, (key, node)) in entries.iter().enumerate() {
            let place = self.place.entry(index);
            let Some((option, rank)) = look_up(key, table) else {
                self.unknown(context, key, node, &place, table);
                continue;
            };
            let entry = Found { option, rank, key, node, place };
            let name = option.head().key;
            let (winner, loser) = match all.remove(name) {
                None => (entry, None),
                Some(other) if other.rank <= rank => (other, Some(entry)),
                Some(other) => (entry, Some(other)),
            };
            // The same spelling twice is a fault that is told for every mapping of the file, elsewhere.
            if let Some(loser) = loser.filter(|l| l.rank != winner.rank) {
                let message = format!("does not count, because `{}` is written too", winner.key);
                context.findings.note(&loser.place, self.path(loser.key), message);
            }
            all.insert(name, winner);
        }
        all
    }

    fn unknown(
        &self,
        context: &mut Context<'_>,
        key: &str,
        node: &Node,
        place: &Place,
        table: &[&'static dyn Described],
    ) {
        let heads = || table.iter().map(|o| o.head());
        let spellings = heads().flat_map(|h| std::iter::once(h.key).chain(h.aliases.iter().copied()));
        let suggestion = nearest(key, spellings)
            .and_then(|near| look_up(near, table))
            .map(|(o, _)| o.head().key.to_owned());
        let below = format!("{key}.");
        let message = if matches!(node, Node::Map(_)) && heads().any(|h| h.key.starts_with(&below)) {
            format!("options are written flat, as in `{key}.…: value`; nested mappings have no meaning here")
        } else if PASSED_ON.iter().any(|p| key.starts_with(p)) {
            "this version does not know what it does and does not carry it out; remove it".to_owned()
        } else if ["table.include.list", "table.exclude.list"].contains(&key) {
            "not an option here; `tables` and `tables.exclude` select tables".to_owned()
        } else {
            "unknown option".to_owned()
        };
        context.findings.suggest(place, self.path(key), message, suggestion);
    }

    /// Takes one option in: its text or its node, after what its status says.
    fn take(&mut self, context: &mut Context<'_>, found: Found<'n>) {
        let Found { option, rank, key, node, place } = found;
        let head = option.head();
        if rank > 0 {
            let message = format!("accepted; the option is called `{}`", head.key);
            context.findings.note(&place, self.path(key), message);
        }
        if head.structured {
            self.take_node(context, head, node, place);
            return;
        }
        let value = self.text(context, option, key, node, &place);
        let expanded = matches!((node, &value), (Node::Scalar(s), Some(value)) if s.text != *value);
        self.texts.insert(head.key, Text { place, value, expanded });
    }

    fn take_node(&mut self, context: &mut Context<'_>, head: &Head, node: &'n Node, place: Place) {
        let empty = match node {
            Node::Null => true,
            Node::List(items) => items.is_empty(),
            Node::Map(entries) => entries.is_empty(),
            Node::Scalar(_) => false,
        };
        if let (Status::NotCarriedOut(instead), false) = (head.status, empty) {
            context.findings.fault(&place, self.path(head.key), not_carried_out(instead));
        }
        self.nodes.insert(head.key, (node, place));
    }

    fn text(
        &self,
        context: &mut Context<'_>,
        option: &dyn Described,
        key: &str,
        node: &Node,
        place: &Place,
    ) -> Option<String> {
        let head = option.head();
        let written = match node {
            Node::Scalar(scalar) => scalar.text.as_str(),
            Node::Null if !head.required && option.verify("").is_ok() => "",
            Node::Null => {
                let message = "written without a value; write `\"\"` for an empty text, or remove it";
                context.findings.fault(place, self.path(key), message);
                return None;
            }
            Node::List(_) | Node::Map(_) => {
                let message = format!("expected a single value ({}), found {}", head.kind, node.kind());
                context.findings.fault(place, self.path(key), message);
                return None;
            }
        };
        let forms = if head.template { Forms::Prefixed } else { Forms::All };
        let value = match context.surroundings.expand(written, forms) {
            Ok(value) => value,
            Err(missing) => {
                missing
                    .into_iter()
                    .for_each(|message| context.findings.fault(place, self.path(key), message));
                return None;
            }
        };
        self.check(context, option, key, place, written, value)
    }

    /// Checks the value and does what the option's status says.
    fn check(
        &self,
        context: &mut Context<'_>,
        option: &dyn Described,
        key: &str,
        place: &Place,
        written: &str,
        value: String,
    ) -> Option<String> {
        let head = option.head();
        let silent = head.no_op.is_some_and(|no_op| option.same(&value, no_op));
        if let (Status::NotCarriedOut(instead), false) = (head.status, silent) {
            context.findings.fault(place, self.path(key), not_carried_out(instead));
            return None;
        }
        if let Err(expected) = option.verify(&value) {
            // What is shown is what is written: it still names a variable where the value may be a secret.
            let found = if head.secret { String::new() } else { format!(", found `{}`", cut(written)) };
            let expanded = value != written;
            let what = if expanded { head.kind.to_string() } else { expected.what };
            let near = expected.near.filter(|_| !expanded && !head.secret);
            context.findings.suggest(place, self.path(key), format!("expected {what}{found}"), near);
            return None;
        }
        if let (Status::NoEffect(why), false) = (head.status, silent) {
            context.findings.note(place, self.path(key), format!("has no effect: {why}"));
        }
        Some(value)
    }

    /// The value of an option: what is written, else its default. None when what is written is no value, which is told
    /// already, or when there is neither.
    pub fn get<T>(&self, option: &Opt<T>) -> Option<T> {
        let value = match self.texts.get(option.head.key) {
            Some(text) => text.value.as_deref(),
            None => option.head.default,
        };
        (option.parse)(value?).ok()
    }

    /// Whether something was put in for `${…}` in the option's value, so that no message may show it.
    pub fn is_expanded<T>(&self, option: &Opt<T>) -> bool {
        self.texts.get(option.head.key).is_some_and(|t| t.expanded)
    }

    /// Whether the option stands in the file, right or wrong.
    pub fn has<T>(&self, option: &Opt<T>) -> bool {
        self.texts.contains_key(option.head.key)
    }

    /// The list or mapping of an option, and where its key stands.
    pub fn node(&self, option: &Structure) -> Option<(&'n Node, &Place)> {
        self.nodes.get(option.head.key).map(|(node, place)| (*node, place))
    }

    /// Where an option stands; the block itself when it is not written.
    pub fn place_of<T>(&self, option: &Opt<T>) -> &Place {
        self.texts.get(option.head.key).map_or(&self.place, |t| &t.place)
    }

    /// Where the block stands.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// How the option is called in messages.
    pub fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    /// Something is wrong with an option that is a value of its kind.
    pub fn fault<T>(&self, context: &mut Context<'_>, option: &Opt<T>, message: impl Into<String>) {
        context.findings.fault(self.place_of(option), self.path(option.head.key), message);
    }

    /// Something is worth saying about an option.
    pub fn note<T>(&self, context: &mut Context<'_>, option: &Opt<T>, message: impl Into<String>) {
        let path = self.path(option.head.key);
        if self.has(option) {
            context.findings.note(self.place_of(option), path, message);
        } else {
            context.findings.default_note(path, message);
        }
    }
}

/// Options that Flink CDC passes on without looking at them.
const PASSED_ON: [&str; 2] = ["jdbc.properties.", "debezium."];

/// What is said of an option that is understood and not carried out.
pub(super) fn not_carried_out(instead: &str) -> String {
    format!("understood, but this version does not carry it out; {instead}")
}

/// Characters of a value that are quoted; nobody needs more to find it.
const QUOTED_CHARS: usize = 80;

/// The beginning of a text.
fn cut(text: &str) -> String {
    let mut shown: String = text.chars().take(QUOTED_CHARS).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

/// The option of this name, and the rank of the spelling.
fn look_up(key: &str, table: &[&'static dyn Described]) -> Option<(&'static dyn Described, usize)> {
    table.iter().find_map(|option| {
        let head = option.head();
        let rank = if head.key == key {
            Some(0)
        } else {
            head.aliases.iter().position(|a| *a == key).map(|at| at + 1)
        };
        rank.map(|rank| (*option, rank))
    })
}
