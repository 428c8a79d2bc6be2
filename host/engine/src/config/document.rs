//! The pipeline file as it is written: a tree of texts, and where each of them stands.
//!
//! `serde_yaml` is the only reader of the text, so no second opinion about YAML can creep in. It gives a scalar
//! either its YAML meaning (`0123`, `1.10`, `yes` lose their spelling) or its text (then it must be known to be a
//! scalar). So the text is read twice: once for the shape and the meaning, once along that shape for the texts.
//!
//! Places are found the same way. `serde_yaml` gives no spans, but its errors say where they happened; so to locate a
//! key the document is read once more by a visitor that walks to that key and fails there. The answer is the parser's
//! own, for block and flow style, quoted keys, comments, aliases and multi-line texts alike, and costs one parse for
//! each fault.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// One node of the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// Nothing, `~` or `null`.
    Null,
    /// A single value.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// A mapping in its written order; a key may come twice.
    Map(Vec<(String, Node)>),
}

/// A single value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scalar {
    /// As written, without quotes.
    pub text: String,
    /// What YAML takes it for: a boolean, a number or a string.
    pub meaning: Value,
}

impl Node {
    /// What the node is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Scalar(_) => "a single value",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

/// Way from the document's top to a node. Order is that of the file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Place(Vec<Step>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// So many entries of the mapping come before; the key is meant, or the value when steps follow.
    Entry(usize),
    /// So many items of the list come before.
    Item(usize),
}

impl Place {
    /// The key of the entry at this index of the mapping here.
    pub fn entry(&self, index: usize) -> Self {
        self.with(Step::Entry(index))
    }

    /// The item at this index of the list here.
    pub fn item(&self, index: usize) -> Self {
        self.with(Step::Item(index))
    }

    fn with(&self, step: Step) -> Self {
        Self(self.0.iter().copied().chain([step]).collect())
    }
}

/// A text is not one YAML document.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub line: usize,
    pub column: usize,
    pub message: String,
}

impl From<serde_yaml::Error> for SyntaxError {
    fn from(error: serde_yaml::Error) -> Self {
        let (line, column) = error.location().map_or((1, 1), |l| (l.line(), l.column()));
        // The location is told apart from the message.
        let text = error.to_string();
        let message = text.split(" at line ").next().unwrap_or(&text).to_owned();
        Self { line, column, message }
    }
}

/// A parsed file.
pub(super) struct Document {
    text: String,
    root: Node,
}

impl Document {
    /// Reads one YAML document.
    pub fn parse(text: String) -> Result<Self, SyntaxError> {
        let shape = ShapeSeed.deserialize(serde_yaml::Deserializer::from_str(&text))?;
        let root = Texts(&shape).deserialize(serde_yaml::Deserializer::from_str(&text))?;
        Ok(Self { text, root })
    }

    /// The top node.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// Line and column of a place, from 1.
    pub fn locate(&self, place: &Place) -> (usize, usize) {
        let found = Seek(&place.0).deserialize(serde_yaml::Deserializer::from_str(&self.text));
        // A place comes from this text, so the walk always ends in the error that it raises itself.
        found.err().and_then(|e| e.location()).map_or((1, 1), |l| (l.line(), l.column()))
    }
}

/// What a node is, before its texts are read.
enum Shape {
    Null,
    Scalar(Value),
    List(Vec<Shape>),
    Map(Vec<Shape>),
}

struct ShapeSeed;

impl<'de> DeserializeSeed<'de> for ShapeSeed {
    type Value = Shape;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Shape, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ShapeSeed {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value without a tag")
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Null)
    }

    fn visit_none<E>(self) -> Result<Shape, E> {
        Ok(Shape::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Shape, E> {
        Ok(Shape::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Shape, E> {
        Ok(Shape::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Shape, E> {
        Ok(Shape::Scalar(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Shape, E> {
        Ok(Shape::Scalar(value.to_string().into()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Shape, E> {
        Ok(Shape::Scalar(value.to_string().into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Shape, E> {
        // JSON has neither infinity nor NaN; they stay the texts that they are.
        let number = serde_json::Number::from_f64(value);
        Ok(Shape::Scalar(number.map_or_else(|| Value::String(value.to_string()), Value::Number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Shape, E> {
        Ok(Shape::Scalar(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Shape, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(ShapeSeed)? {
            items.push(item);
        }
        Ok(Shape::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        let mut values = Vec::new();
        while map.next_key_seed(Key)?.is_some() {
            values.push(map.next_value_seed(ShapeSeed)?);
        }
        Ok(Shape::Map(values))
    }
}

/// A key is a scalar; anything else is an error of the document.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a single value")
    }

    fn visit_str<E>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }
}

/// Reads the texts of a document whose shape is known.
struct Texts<'s>(&'s Shape);

impl<'de> DeserializeSeed<'de> for Texts<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        match self.0 {
            Shape::Null => deserializer.deserialize_ignored_any(IgnoredAny).map(|_| Node::Null),
            Shape::Scalar(meaning) => {
                let text = Key.deserialize(deserializer)?;
                Ok(Node::Scalar(Scalar { text, meaning: meaning.clone() }))
            }
            Shape::List(items) => deserializer.deserialize_seq(ListTexts(items)),
            Shape::Map(values) => deserializer.deserialize_map(MapTexts(values)),
        }
    }
}

struct ListTexts<'s>(&'s [Shape]);

impl<'de> Visitor<'de> for ListTexts<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the same list as before")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::with_capacity(self.0.len());
        for shape in self.0 {
            items.extend(list.next_element_seed(Texts(shape))?);
        }
        // The end is asked for, as the parser wants it.
        list.next_element::<IgnoredAny>()?;
        Ok(Node::List(items))
    }
}

struct MapTexts<'s>(&'s [Shape]);

impl<'de> Visitor<'de> for MapTexts<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the same mapping as before")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::with_capacity(self.0.len());
        for shape in self.0 {
            let Some(key) = map.next_key_seed(Key)? else { break };
            entries.push((key, map.next_value_seed(Texts(shape))?));
        }
        map.next_key_seed(Key)?;
        Ok(Node::Map(entries))
    }
}

/// What [`Seek`] says when it is there; never shown.
const HERE: &str = "here";

/// Walks to a place and fails there, so that the error tells where it is.
struct Seek<'p>(&'p [Step]);

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    /// Whatever kind of node it is, a visitor that has no method for it fails at its beginning.
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HERE)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Some((Step::Item(index), rest)) = self.0.split_first() else {
            return Err(A::Error::custom(HERE));
        };
        for _ in 0..*index {
            list.next_element::<IgnoredAny>()?;
        }
        list.next_element_seed(Seek(rest)).map(drop)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((Step::Entry(index), rest)) = self.0.split_first() else {
            return Err(A::Error::custom(HERE));
        };
        for _ in 0..*index {
            map.next_entry::<IgnoredAny, IgnoredAny>()?;
        }
        if rest.is_empty() {
            return map.next_key_seed(FailAtKey).map(drop);
        }
        map.next_key::<IgnoredAny>()?;
        map.next_value_seed(Seek(rest))
    }
}

struct FailAtKey;

impl<'de> DeserializeSeed<'de> for FailAtKey {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(Seek(&[]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Document {
        Document::parse(text.to_owned()).expect("valid YAML")
    }

    fn entries(node: &Node) -> &[(String, Node)] {
        if let Node::Map(entries) = node { entries } else { panic!("not a mapping: {node:?}") }
    }

    fn scalar(node: &Node) -> &Scalar {
        if let Node::Scalar(scalar) = node { scalar } else { panic!("not a scalar: {node:?}") }
    }

    #[test]
    fn a_scalar_keeps_its_spelling_and_knows_its_meaning() {
        for (written, text, meaning) in [
            ("0123", "0123", Value::from("0123")),
            ("123456", "123456", Value::from(123_456)),
            ("0x1F", "0x1F", Value::from(31)),
            ("1.10", "1.10", Value::from(1.1)),
            ("1e3", "1e3", Value::from(1000.0)),
            ("yes", "yes", Value::from("yes")),
            ("TRUE", "TRUE", Value::from(true)),
            ("\"true\"", "true", Value::from("true")),
            ("'it''s'", "it's", Value::from("it's")),
            ("a # comment", "a", Value::from("a")),
            ("a#b", "a#b", Value::from("a#b")),
            (r"app_db.\.*", r"app_db.\.*", Value::from(r"app_db.\.*")),
            (
                "123456789012345678901234567890",
                "123456789012345678901234567890",
                Value::from("123456789012345678901234567890"),
            ),
            ("|\n  two\n  lines", "two\nlines", Value::from("two\nlines")),
            ("one\n  folded", "one folded", Value::from("one folded")),
        ] {
            let document = parse(&format!("key: {written}"));
            let got = scalar(&entries(document.root())[0].1).clone();
            assert_eq!(got, Scalar { text: text.to_owned(), meaning }, "{written}");
        }
    }

    #[test]
    fn nothing_is_not_a_text() {
        for written in ["", "~", "null"] {
            assert_eq!(entries(parse(&format!("key: {written}\n")).root())[0].1, Node::Null, "`{written}`");
        }
        assert_eq!(scalar(&entries(parse("key: ''").root())[0].1).text, "");
    }

    #[test]
    fn what_is_not_one_document_is_refused_with_its_place() {
        for (text, line) in [
            ("a: 1\nb: [1, 2\nc: 3\n", 3),
            ("a: 1\n b: 2\n", 2),
            ("a: !secret x\n", 1),
            ("a: 1\n? [x]\n: 2\n", 2),
            ("a: *nowhere\n", 1),
        ] {
            let error = Document::parse(text.to_owned()).err().unwrap_or_else(|| panic!("accepted: {text}"));
            assert_eq!(error.line, line, "{text}: {}", error.message);
            assert!(!error.message.contains("line"), "{}", error.message);
        }
        assert!(Document::parse("a: 1\n---\nb: 2\n".to_owned()).is_err());
    }

    /// Walks the tree and checks that the text at each key's place begins with that key, quoted or not.
    fn check_keys(text: &str, document: &Document, node: &Node, place: &Place, found: &mut usize) {
        match node {
            Node::Map(entries) => {
                for (index, (key, value)) in entries.iter().enumerate() {
                    let here = place.entry(index);
                    let (line, column) = document.locate(&here);
                    let rest: String =
                        text.lines().nth(line - 1).expect("a line").chars().skip(column - 1).collect();
                    let bare = rest.trim_start_matches(['"', '\'', '?', ' ']);
                    assert!(bare.starts_with(key.as_str()), "{key} at {line}:{column}: {rest}");
                    *found += 1;
                    check_keys(text, document, value, &here, found);
                }
            }
            Node::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    check_keys(text, document, item, &place.item(index), found);
                }
            }
            Node::Scalar(_) | Node::Null => {}
        }
    }

    #[test]
    fn every_key_is_found_where_it_stands() {
        let text = concat!(
            "# a comment: with a colon\n",
            "source:   # another\n",
            "  hostname: \"a: b # no comment\"\n",
            "  \"quoted\": 1\n",
            "  'single': {flow: 1, nested: {deep: [a, {inner: 2}]}, last: 3}\n",
            "  text: |\n",
            "    hostname: not a key\n",
            "    # not a comment\n",
            "  folded: >-\n",
            "    also: no key\n",
            "\n",
            "  plain: one\n",
            "    two three\n",
            "route:\n",
            "- source-table: a.b\n",
            "  sink-table: c.d\n",
            "-   source-table: &anchor é.b\n",
            "    sink-table: *anchor\n",
            "- {source-table: x, sink-table: y}\n",
            "twice: 1\n",
            "twice: 2\n",
        );
        let document = parse(text);
        let mut found = 0;
        check_keys(text, &document, document.root(), &Place::default(), &mut found);
        assert_eq!(found, 21);
    }

    #[test]
    fn an_item_and_the_top_have_places() {
        let document = parse("\n# c\nlist:\n  - a\n  -\n    b: 1\n");
        let list = Place::default().entry(0);
        assert_eq!(document.locate(&Place::default()), (3, 1));
        assert_eq!(document.locate(&list), (3, 1));
        assert_eq!(document.locate(&list.item(0)), (4, 5));
        assert_eq!(document.locate(&list.item(1)), (6, 5));
        assert_eq!(document.locate(&list.item(1).entry(0)), (6, 5));
    }
}
