//! JSON: checking it, and taking members out of it.
//!
//! A checked text stays as it is written, so that no digit of a number is lost.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use sluicebox_model::ColumnType;

use super::{Derive, Function, Want};
use crate::civil;
use crate::evaluate::Call;
use crate::types::Type;
use crate::vector::{Values, Vector};

const JSON: Type = Type::Plain(ColumnType::Json);

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new(
        &["PARSE_JSON"],
        "PARSE_JSON(text[, allow duplicate keys])",
        (1, 2),
        Derive::Fixed(&[Want::Text, Want::Boolean], JSON),
        |call| parse(call, false),
    ),
    Function::new(
        &["TRY_PARSE_JSON"],
        "TRY_PARSE_JSON(text[, allow duplicate keys])",
        (1, 2),
        Derive::Fixed(&[Want::Text, Want::Boolean], JSON),
        |call| parse(call, true),
    ),
];

fn parse(call: &Call<'_>, safe: bool) -> Vector {
    let text = call.text(0);
    let twice = |row| call.arg(1).is_some_and(|arg| crate::evaluate::truth(arg, row) == Some(true));
    call.texts(|row, out| {
        let text = text.at(row).trim();
        match check(text, twice(row)) {
            Ok(()) => out.push_str(text),
            Err(_) if safe => return Ok(false),
            Err(reason) => return Err(format!("the text is not JSON: {reason}")),
        }
        Ok(true)
    })
}

/// Checks a text; the reason does not quote it.
fn check(text: &str, twice: bool) -> Result<(), String> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let checked = Check { twice }.deserialize(&mut reader).and_then(|()| reader.end());
    checked.map_err(|error| match error.classify() {
        serde_json::error::Category::Data => error.to_string(),
        _ => format!("at line {} column {}", error.line(), error.column()),
    })
}

/// Walks a value and looks for keys that come twice.
#[derive(Clone, Copy)]
struct Check {
    twice: bool,
}

impl<'de> DeserializeSeed<'de> for Check {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Check {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            map.next_value_seed(self)?;
            if !self.twice && !seen.insert(key) {
                return Err(serde::de::Error::custom("a key comes twice"));
            }
        }
        Ok(())
    }
}

/// A member of a JSON object or an item of a list, as it is written; none when there is none.
pub(super) fn member<'t>(text: &'t str, wanted: Wanted<'_>) -> Option<&'t str> {
    use serde_json::value::RawValue;
    struct Find<'w>(Wanted<'w>);
    impl<'de> Visitor<'de> for Find<'_> {
        type Value = Option<&'de RawValue>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object or a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let (mut found, mut place) = (None, 0);
            while let Some(item) = list.next_element::<&'de RawValue>()? {
                place += 1;
                if matches!(self.0, Wanted::Item(wanted) if wanted == place) {
                    found = Some(item);
                }
            }
            Ok(found)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = None;
            while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
                let value = map.next_value::<&'de RawValue>()?;
                if matches!(self.0, Wanted::Key(wanted) if wanted == key) {
                    found = Some(value);
                }
            }
            Ok(found)
        }
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    reader.deserialize_any(Find(wanted)).ok().flatten().map(RawValue::get)
}

/// What is looked for in a JSON value.
#[derive(Clone, Copy)]
pub(super) enum Wanted<'w> {
    Key(&'w str),
    /// From 1.
    Item(i64),
}

/// Writes a value of any type as JSON.
pub(crate) fn write_json(values: &Values, kind: &Type, at: usize, out: &mut String) {
    use std::fmt::Write as _;
    if values.is_null(at) {
        out.push_str("null");
        return;
    }
    // Writing to a text does not fail.
    let _ = match (values, kind) {
        (Values::Boolean(array), _) => write!(out, "{}", array.value(at)),
        (Values::Float(array), _) if array.value(at).is_finite() => write!(out, "{}", array.value(at)),
        (Values::Text(array), Type::Plain(ColumnType::Json)) => write!(out, "{}", array.value(at)),
        (Values::Text(array), _) => write!(out, "{}", quoted(array.value(at))),
        (Values::Decimal(array), kind) => {
            crate::decimal::write(array.value(at), kind.digits().map_or(0, |(_, scale)| scale), out);
            Ok(())
        }
        (Values::Int(array), kind) => {
            write_moment(array.value(at), kind, out);
            Ok(())
        }
        (Values::List(list), kind) => {
            write_list(list, kind, at, out);
            Ok(())
        }
        (Values::Row(fields, _), Type::Row(kinds)) => {
            out.push('[');
            for (place, (field, kind)) in fields.iter().zip(kinds).enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write_json(field, kind, at, out);
            }
            out.push(']');
            Ok(())
        }
        _ => write!(out, "null"),
    };
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A number, or a date or time as a text.
fn write_moment(value: i64, kind: &Type, out: &mut String) {
    use std::fmt::Write as _;
    let Some(
        column @ (ColumnType::Date
        | ColumnType::Time { .. }
        | ColumnType::DateTime { .. }
        | ColumnType::Timestamp { .. }),
    ) = kind.plain()
    else {
        let _ = write!(out, "{value}");
        return;
    };
    out.push('"');
    match column {
        ColumnType::Date => civil::write_date(value, out),
        ColumnType::Time { .. } => civil::write_clock(value, 0, out),
        _ => {
            civil::write_date(value.div_euclid(civil::DAY), out);
            out.push('T');
            civil::write_clock(value.rem_euclid(civil::DAY), 3, out);
        }
    }
    out.push('"');
}

fn write_list(list: &crate::vector::List, kind: &Type, at: usize, out: &mut String) {
    let range = list.range(at);
    let start = range.start;
    match (&list.keys, kind) {
        (Some(keys), Type::Map(_, value)) => {
            out.push('{');
            for place in range {
                if place > start {
                    out.push(',');
                }
                let mut key = String::new();
                write_json(keys, &crate::types::TEXT, place, &mut key);
                // Keys of objects are texts.
                out.push_str(&if key.starts_with('"') { key } else { quoted(&key) });
                out.push(':');
                write_json(&list.items, value, place, out);
            }
            out.push('}');
        }
        (_, Type::List(item)) => {
            out.push('[');
            for place in range {
                if place > start {
                    out.push(',');
                }
                write_json(&list.items, item, place, out);
            }
            out.push(']');
        }
        _ => out.push_str("null"),
    }
}
