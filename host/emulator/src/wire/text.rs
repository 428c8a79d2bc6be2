//! Values as text: CSV results, and literals of statements.
//!
//! Times are rendered in UTC: the emulator has no project time zone.

use chrono::{DateTime, NaiveDate, NaiveDateTime};

use super::decimal::Decimal;
use super::types::Type;
use super::value::Value;

const EPOCH: NaiveDate = NaiveDate::from_ymd_opt(1970, 1, 1).expect("1970-01-01 is a date");

/// One CSV cell: quoted text, or `\N` for null.
pub(crate) fn put_csv(out: &mut String, value: Option<&Value>, kind: &Type) {
    match value {
        None => out.push_str("\\N"),
        Some(value) => put_csv_text(out, &plain(value, kind)),
    }
}

/// A quoted CSV cell.
pub(crate) fn put_csv_text(out: &mut String, text: &str) {
    out.push('"');
    out.push_str(&text.replace('"', "\"\""));
    out.push('"');
}

/// The text of a value, as a query shows it and a cast to STRING stores it.
pub(crate) fn plain(value: &Value, kind: &Type) -> String {
    match (value, kind) {
        (Value::Int(days), Type::Date) => date_text(*days),
        (Value::Int(millis), Type::DateTime) => {
            let time = DateTime::from_timestamp_millis(*millis).unwrap_or_default();
            let fraction =
                if millis.rem_euclid(1000) == 0 { "%Y-%m-%d %H:%M:%S" } else { "%Y-%m-%d %H:%M:%S%.3f" };
            time.format(fraction).to_string()
        }
        (Value::Stamp { seconds, nanos }, Type::IntervalDayTime) => format!("{seconds}.{nanos:09}"),
        (Value::Stamp { seconds, nanos }, _) => stamp_text(*seconds, *nanos),
        (Value::Int(number), _) => number.to_string(),
        (Value::Bool(bit), _) => bit.to_string(),
        (Value::Float(number), _) => float_text(f64::from(*number), &number.to_string()),
        (Value::Double(number), _) => float_text(*number, &number.to_string()),
        (Value::Text(text), Type::Decimal { .. }) => {
            Decimal::parse(text.as_bytes()).map_or_else(|| text.clone(), Decimal::plain)
        }
        (Value::Text(text), _) => text.clone(),
        (Value::Binary(bytes), _) => binary_text(bytes),
        (Value::List(_) | Value::Map(_) | Value::Struct(_), _) => json(Some(value), kind).to_string(),
    }
}

fn date_text(days: i64) -> String {
    let date = chrono::TimeDelta::try_days(days).and_then(|delta| EPOCH.checked_add_signed(delta));
    date.map_or_else(|| days.to_string(), |date| date.format("%Y-%m-%d").to_string())
}

fn stamp_text(seconds: i64, nanos: i32) -> String {
    let Some(time) = DateTime::from_timestamp(seconds, nanos.unsigned_abs()) else {
        return format!("{seconds}.{nanos:09}");
    };
    let whole = time.format("%Y-%m-%d %H:%M:%S");
    if nanos == 0 {
        return whole.to_string();
    }
    let fraction = format!("{nanos:09}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

fn float_text(number: f64, shortest: &str) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
    } else if shortest.contains(['.', 'e', 'E']) {
        shortest.to_owned()
    } else {
        format!("{shortest}.0")
    }
}

/// Text where the bytes are UTF-8, otherwise `=XX` for all but printable ASCII.
fn binary_text(bytes: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.to_owned();
    }
    let mut out = String::new();
    for &byte in bytes {
        if (b' '..=b'~').contains(&byte) && byte != b'=' {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("={byte:02X}"));
        }
    }
    out
}

fn json(value: Option<&Value>, kind: &Type) -> serde_json::Value {
    use serde_json::Value as Json;
    match (value, kind) {
        (None, _) => Json::Null,
        (Some(Value::List(elements)), Type::Array(element)) => {
            elements.iter().map(|v| json(v.as_ref(), element)).collect()
        }
        (Some(Value::Map(entries)), Type::Map(key, element)) => {
            let pair = |(k, v): &(Option<Value>, Option<Value>)| {
                let name = k.as_ref().map_or_else(|| "null".to_owned(), |k| plain(k, key));
                (name, json(v.as_ref(), element))
            };
            Json::Object(entries.iter().map(pair).collect())
        }
        (Some(Value::Struct(values)), Type::Struct(fields)) => {
            let pair = |(v, (name, field)): (&Option<Value>, &(String, Type))| {
                (name.clone(), json(v.as_ref(), field))
            };
            Json::Object(values.iter().zip(fields).map(pair).collect())
        }
        (Some(Value::Int(number)), kind) if kind.integer_range().is_some() => (*number).into(),
        (Some(Value::Bool(bit)), _) => (*bit).into(),
        (Some(Value::Float(number)), _) if number.is_finite() => (*number).into(),
        (Some(Value::Double(number)), _) if number.is_finite() => (*number).into(),
        (Some(value), kind) => plain(value, kind).into(),
    }
}

/// Reads the text of a literal as a value of `kind`; `None` when it is not one.
pub(crate) fn parse_as(text: &str, kind: &Type) -> Option<Value> {
    match kind {
        Type::Date => {
            let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
            Some(Value::Int(date.signed_duration_since(EPOCH).num_days()))
        }
        Type::DateTime => Some(Value::Int(parse_time(text)?.and_utc().timestamp_millis())),
        Type::Timestamp | Type::TimestampNtz => {
            let time = parse_time(text)?.and_utc();
            let nanos = i32::try_from(time.timestamp_subsec_nanos()).ok()?;
            Some(Value::Stamp { seconds: time.timestamp(), nanos })
        }
        Type::Boolean => text.parse().ok().map(Value::Bool),
        Type::Float | Type::Double => text.parse().ok().map(Value::Double),
        Type::Binary => Some(Value::Binary(text.as_bytes().to_vec())),
        kind if kind.integer_range().is_some() => text.parse().ok().map(Value::Int),
        _ => Some(Value::Text(text.to_owned())),
    }
}

fn parse_time(text: &str) -> Option<NaiveDateTime> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f")
        .ok()
        .or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_text_that_a_query_shows() {
        let stamp = Value::Stamp { seconds: -1, nanos: 999_999_999 };
        let cases = [
            (Value::Int(19_782), Type::Date, "2024-02-29"),
            (Value::Int(-719_162), Type::Date, "0001-01-01"),
            (Value::Int(1_709_210_096_789), Type::DateTime, "2024-02-29 12:34:56.789"),
            (Value::Int(0), Type::DateTime, "1970-01-01 00:00:00"),
            (stamp, Type::Timestamp, "1969-12-31 23:59:59.999999999"),
            (Value::Double(3.0), Type::Double, "3.0"),
            (Value::Float(1.5), Type::Float, "1.5"),
            (Value::Text("0E-18".into()), Type::Decimal { precision: 38, scale: 18 }, "0.000000000000000000"),
            (Value::Binary(vec![0, 0xff]), Type::Binary, "=00=FF"),
        ];
        for (value, kind, want) in cases {
            assert_eq!(plain(&value, &kind), want);
        }
        let list = Value::List(vec![Some(Value::Text("a\"b".into())), None]);
        let mut cell = String::new();
        put_csv(&mut cell, Some(&list), &Type::Array(Box::new(Type::String)));
        assert_eq!(cell, r#""[""a\""b"",null]""#);
    }

    #[test]
    fn time_literals_are_read_as_they_are_shown() {
        for (text, kind) in [
            ("2024-02-29 12:34:56.789", Type::DateTime),
            ("1969-12-31 23:59:59.999999999", Type::Timestamp),
            ("0001-01-01", Type::Date),
        ] {
            assert_eq!(plain(&parse_as(text, &kind).unwrap(), &kind), text);
        }
    }
}
