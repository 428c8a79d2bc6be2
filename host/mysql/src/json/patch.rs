//! Documents of which only the difference is written (`binlog_row_value_options=PARTIAL_JSON`).
//!
//! A difference is a list of operations: put a value in the place of another, put one where none was, take one away. The place is a
//! path in text, as MySQL's functions take it. They are carried out one behind the other on the document as it was, of which only the
//! containers along the paths are taken apart; what lies beside them is printed from where it is. Whatever cannot be
//! carried out is an error: a document that does not have the path is not the one that the difference is of.

use std::borrow::Cow;

use super::{DEPTH_MAX, JsonError, LARGE, SHORT, SMALL, Writer, children, text_max};
use crate::event::Cursor;

/// Appends the text of `document` after the operations of `differences`.
pub(crate) fn write_patched(document: &[u8], differences: &[u8], out: &mut Vec<u8>) -> Result<(), JsonError> {
    let mut root = Node::of(document)?;
    let mut cursor = Cursor::new(differences);
    while !cursor.is_empty() {
        let one = Difference::read(&mut cursor)?;
        one.carry_out(&mut root)?;
    }
    // Each part of both is in the text once at most.
    let room = text_max(document).saturating_add(text_max(differences));
    let mut writer = Writer { end: out.len().saturating_add(room), out };
    root.write(&mut writer, 0)?;
    writer.check_length()
}

/// A value; containers only where one of their parts changes.
enum Node<'a> {
    /// As it is written.
    Whole {
        kind: u8,
        value: &'a [u8],
    },
    /// By length of the key, then by its bytes.
    Object(Vec<(Cow<'a, [u8]>, Node<'a>)>),
    Array(Vec<Node<'a>>),
}

const NULL: Node<'static> = Node::Whole { kind: 4, value: &[0] };
const MISSES: JsonError = JsonError("a difference is of another document");

impl<'a> Node<'a> {
    fn of(document: &'a [u8]) -> Result<Self, JsonError> {
        Ok(document.split_first().map_or(NULL, |(kind, value)| Node::Whole { kind: *kind, value }))
    }

    /// Takes a container apart, one level deep.
    fn open(&mut self) -> Result<(), JsonError> {
        let Node::Whole { kind, value } = *self else { return Ok(()) };
        let (width, object) = match kind {
            0 => (SMALL, true),
            1 => (LARGE, true),
            2 => (SMALL, false),
            3 => (LARGE, false),
            _ => return Ok(()),
        };
        let (mut members, mut items) = (Vec::new(), Vec::new());
        children(value, width, object, |key, kind, value| {
            let node = Node::Whole { kind, value };
            match key {
                Some(key) => members.push((Cow::Borrowed(key), node)),
                None => items.push(node),
            }
            Ok(())
        })?;
        *self = if object { Node::Object(members) } else { Node::Array(items) };
        Ok(())
    }

    /// The part that a step leads to. What is no array is its own only item.
    fn step(&mut self, leg: &Leg) -> Result<&mut Self, JsonError> {
        self.open()?;
        match (self, leg) {
            (Node::Object(members), Leg::Member(name)) => {
                let at = place_of(members, name).map_err(|_| MISSES)?;
                members.get_mut(at).map(|(_, node)| node).ok_or(MISSES)
            }
            (Node::Array(items), leg) => {
                let at = leg.index(items.len()).ok_or(MISSES)?;
                items.get_mut(at).ok_or(MISSES)
            }
            (other, leg) if leg.index(1) == Some(0) => Ok(other),
            _ => Err(MISSES),
        }
    }

    fn write(&self, writer: &mut Writer<'_>, depth: usize) -> Result<(), JsonError> {
        if depth > DEPTH_MAX {
            return Err(JsonError("it nests deeper than 100"));
        }
        match self {
            Node::Whole { kind, value } => writer.value(*kind, value, depth),
            Node::Object(members) => {
                writer.out.push(b'{');
                for (place, (key, node)) in members.iter().enumerate() {
                    if place > 0 {
                        writer.out.extend_from_slice(b", ");
                    }
                    writer.string(key);
                    writer.out.extend_from_slice(b": ");
                    node.write(writer, depth + 1)?;
                }
                writer.out.push(b'}');
                Ok(())
            }
            Node::Array(items) => {
                writer.out.push(b'[');
                for (place, node) in items.iter().enumerate() {
                    if place > 0 {
                        writer.out.extend_from_slice(b", ");
                    }
                    node.write(writer, depth + 1)?;
                }
                writer.out.push(b']');
                Ok(())
            }
        }
    }
}

/// Where a key is, or where it belongs.
fn place_of(members: &[(Cow<'_, [u8]>, Node<'_>)], name: &[u8]) -> Result<usize, usize> {
    members.binary_search_by(|(key, _)| key.len().cmp(&name.len()).then_with(|| (**key).cmp(name)))
}

/// One operation.
struct Difference<'a> {
    operation: Operation<'a>,
    path: Vec<Leg>,
}

enum Operation<'a> {
    Replace(&'a [u8]),
    Insert(&'a [u8]),
    Remove,
}

impl<'a> Difference<'a> {
    /// Operation, path behind its length, and unless something is taken away the value behind its length.
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, JsonError> {
        let operation = cursor.u8().ok_or(SHORT)?;
        let path = legs(cursor.length_encoded_bytes().ok_or(SHORT)?)?;
        let mut value = || cursor.length_encoded_bytes().filter(|value| !value.is_empty()).ok_or(SHORT);
        let operation = match operation {
            0 => Operation::Replace(value()?),
            1 => Operation::Insert(value()?),
            2 => Operation::Remove,
            _ => return Err(JsonError("an operation of a difference is unknown")),
        };
        Ok(Self { operation, path })
    }

    fn carry_out(&self, root: &mut Node<'a>) -> Result<(), JsonError> {
        let mut node = root;
        if let Operation::Replace(value) = self.operation {
            for leg in &self.path {
                node = node.step(leg)?;
            }
            *node = Node::of(value)?;
            return Ok(());
        }
        let (last, before) = self.path.split_last().ok_or(MISSES)?;
        for leg in before {
            node = node.step(leg)?;
        }
        node.open()?;
        match (node, last, &self.operation) {
            (Node::Object(members), Leg::Member(name), Operation::Insert(value)) => {
                let Err(at) = place_of(members, name) else { return Err(MISSES) };
                members.insert(at, (Cow::Owned(name.clone()), Node::of(value)?));
            }
            (Node::Object(members), Leg::Member(name), Operation::Remove) => {
                let at = place_of(members, name).map_err(|_| MISSES)?;
                members.remove(at);
            }
            (Node::Array(items), leg, Operation::Insert(value)) => {
                let at = leg.index_for_new(items.len()).ok_or(MISSES)?;
                items.insert(at, Node::of(value)?);
            }
            (Node::Array(items), leg, Operation::Remove) => {
                let at = leg.index(items.len()).ok_or(MISSES)?;
                items.remove(at);
            }
            _ => return Err(MISSES),
        }
        Ok(())
    }
}

/// A step of a path.
#[derive(Debug, PartialEq, Eq)]
enum Leg {
    Member(Vec<u8>),
    /// From the beginning.
    Item(usize),
    /// From the end, 0 for the last.
    FromLast(usize),
}

impl Leg {
    /// The place among so many items.
    fn index(&self, items: usize) -> Option<usize> {
        match self {
            Leg::Member(_) => None,
            Leg::Item(at) => Some(*at).filter(|at| *at < items),
            Leg::FromLast(back) => items.checked_sub(1)?.checked_sub(*back),
        }
    }

    /// Where an item goes that is not there: what lies outside comes to that end.
    fn index_for_new(&self, items: usize) -> Option<usize> {
        match self {
            Leg::Member(_) => None,
            Leg::Item(at) => Some((*at).min(items)),
            Leg::FromLast(back) => Some(items.saturating_sub(1).saturating_sub(*back)),
        }
    }
}

const NO_PATH: JsonError = JsonError("a path of a difference is none");

/// `$.name."other name"[3][last-1]`
fn legs(path: &[u8]) -> Result<Vec<Leg>, JsonError> {
    let text = std::str::from_utf8(path).map_err(|_| NO_PATH)?;
    let mut rest = text.strip_prefix('$').ok_or(NO_PATH)?.trim_start();
    let mut legs = Vec::new();
    while !rest.is_empty() {
        if legs.len() > DEPTH_MAX {
            return Err(JsonError("a path of a difference is longer than a document is deep"));
        }
        let (leg, behind) = match rest.strip_prefix('.') {
            Some(member) => member_leg(member.trim_start())?,
            None => item_leg(rest.strip_prefix('[').ok_or(NO_PATH)?)?,
        };
        legs.push(leg);
        rest = behind.trim_start();
    }
    Ok(legs)
}

fn member_leg(text: &str) -> Result<(Leg, &str), JsonError> {
    if text.starts_with('"') {
        let mut names = serde_json::Deserializer::from_str(text).into_iter::<String>();
        let name = names.next().and_then(Result::ok).ok_or(NO_PATH)?;
        let behind = text.get(names.byte_offset()..).ok_or(NO_PATH)?;
        return Ok((Leg::Member(name.into_bytes()), behind));
    }
    let end = text.find(|c: char| matches!(c, '.' | '[') || c.is_ascii_whitespace()).unwrap_or(text.len());
    let (name, behind) = text.split_at(end);
    match name {
        "" | "*" => Err(NO_PATH),
        name => Ok((Leg::Member(name.as_bytes().to_vec()), behind)),
    }
}

fn item_leg(text: &str) -> Result<(Leg, &str), JsonError> {
    let (inside, behind) = text.split_once(']').ok_or(NO_PATH)?;
    let number = |text: &str| text.trim().parse::<usize>().map_err(|_| NO_PATH);
    let inside = inside.trim();
    let leg = match inside.strip_prefix("last").map(str::trim_start) {
        None => Leg::Item(number(inside)?),
        Some("") => Leg::FromLast(0),
        Some(back) => Leg::FromLast(number(back.strip_prefix('-').ok_or(NO_PATH)?)?),
    };
    Ok((leg, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_the_server_writes_them() {
        let member = |name: &str| Leg::Member(name.as_bytes().to_vec());
        for (path, want) in [
            ("$", vec![]),
            ("$.a", vec![member("a")]),
            ("$.größe[2].b", vec![member("größe"), Leg::Item(2), member("b")]),
            (r#"$."a b"."c\"d\\".e"#, vec![member("a b"), member("c\"d\\"), member("e")]),
            (r#"$."a.b"[0]"#, vec![member("a.b"), Leg::Item(0)]),
            (r#"$."""#, vec![member("")]),
            ("$[last][last-3]", vec![Leg::FromLast(0), Leg::FromLast(3)]),
        ] {
            assert_eq!(legs(path.as_bytes()), Ok(want), "{path}");
        }
        for path in ["", "a", "$a", "$.", "$[", "$[x]", "$[1", "$.\"a", "$**.a", "$.*", "$[-1]", "$[last+1]"]
        {
            assert!(legs(path.as_bytes()).is_err(), "{path}");
        }
    }

    /// `{"a": 1, "b": [2, 3]}` in its binary form.
    fn document() -> Vec<u8> {
        let array = [2, 0, 10, 0, 5, 2, 0, 5, 3, 0];
        let mut object = vec![2, 0, 30, 0, 18, 0, 1, 0, 19, 0, 1, 0, 5, 1, 0, 2, 20, 0, b'a', b'b'];
        object.extend(array);
        [&[0][..], &object].concat()
    }

    fn patched(differences: &[(u8, &str, &[u8])]) -> Result<String, JsonError> {
        let mut bytes = Vec::new();
        let small = |n: usize| u8::try_from(n).expect("small");
        for (operation, path, value) in differences {
            bytes.push(*operation);
            bytes.push(small(path.len()));
            bytes.extend(path.as_bytes());
            if *operation != 2 {
                bytes.push(small(value.len()));
                bytes.extend(*value);
            }
        }
        let mut out = Vec::new();
        write_patched(&document(), &bytes, &mut out)?;
        Ok(String::from_utf8(out).expect("UTF-8"))
    }

    #[test]
    fn operations_are_carried_out_one_behind_the_other() {
        const TRUE: &[u8] = &[4, 1];
        for (differences, want) in [
            (&[][..], r#"{"a": 1, "b": [2, 3]}"#),
            (&[(0, "$.a", TRUE)], r#"{"a": true, "b": [2, 3]}"#),
            (&[(0, "$", TRUE)], "true"),
            (&[(0, "$.a[0]", TRUE)], r#"{"a": true, "b": [2, 3]}"#),
            (
                &[(1, "$.aa", TRUE), (1, "$.ab", TRUE), (1, "$.B", TRUE)],
                r#"{"B": true, "a": 1, "b": [2, 3], "aa": true, "ab": true}"#,
            ),
            (&[(1, "$.b[1]", TRUE)], r#"{"a": 1, "b": [2, true, 3]}"#),
            (&[(1, "$.b[9]", TRUE)], r#"{"a": 1, "b": [2, 3, true]}"#),
            (&[(1, "$.b[last-7]", TRUE)], r#"{"a": 1, "b": [true, 2, 3]}"#),
            (&[(0, "$.b", &[2, 0, 0, 4, 0]), (1, "$.b[last]", TRUE)], r#"{"a": 1, "b": [true]}"#),
            (&[(2, "$.b[0]", &[]), (2, "$.b[0]", &[])], r#"{"a": 1, "b": []}"#),
            (&[(2, "$.a", &[]), (0, "$.b[last]", TRUE)], r#"{"b": [2, true]}"#),
        ] {
            assert_eq!(patched(differences).as_deref(), Ok(want), "{differences:?}");
        }
    }

    #[test]
    fn a_difference_of_another_document_is_refused() {
        const TRUE: &[u8] = &[4, 1];
        for difference in [
            (0, "$.c", TRUE),
            (0, "$.b[2]", TRUE),
            (0, "$.a[1]", TRUE),
            (1, "$.a", TRUE),
            (1, "$", TRUE),
            (1, "$.a.b", TRUE),
            (2, "$.c", &[]),
            (2, "$.b[7]", &[]),
            (2, "$", &[]),
            (3, "$.a", TRUE),
            (0, "$.a", &[]),
            (0, "$.a", &[4]),
        ] {
            assert!(patched(&[difference]).is_err(), "{difference:?}");
        }
    }
}
