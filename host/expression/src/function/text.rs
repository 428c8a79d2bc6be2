//! Texts. Lengths and positions count code points; positions begin at 1.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Changes, Derive, Function, MANY, Want};
use crate::evaluate::{Call, LONGEST_TEXT};
use crate::types::{BOOLEAN, INT, TEXT, Type};
use crate::vector::{Values, Vector};

const T: Want = Want::Text;
const I: Want = Want::Integer;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new(&["||"], "a || b", (2, 2), Derive::Fixed(&[T], TEXT), concat).old(),
    Function::new(&["CONCAT"], "CONCAT(text, …)", (1, MANY), Derive::Fixed(&[T], TEXT), concat).old(),
    Function::new(
        &["CONCAT_WS"],
        "CONCAT_WS(separator, text, …)",
        (1, MANY),
        Derive::Fixed(&[T], TEXT),
        concat_ws,
    ),
    Function::new(
        &["CHAR_LENGTH", "CHARACTER_LENGTH"],
        "CHAR_LENGTH(text)",
        (1, 1),
        Derive::Fixed(&[T], INT),
        |call| {
            let text = call.text(0);
            call.ints(|row| Ok(Some(length(text.at(row)))))
        },
    )
    .old(),
    Function::new(&["UPPER"], "UPPER(text)", (1, 1), Derive::Fixed(&[T], TEXT), |call| {
        let text = call.text(0);
        call.texts(|row, out| put(out, text.at(row).chars().flat_map(char::to_uppercase)))
    })
    .old(),
    Function::new(&["LOWER"], "LOWER(text)", (1, 1), Derive::Fixed(&[T], TEXT), |call| {
        let text = call.text(0);
        call.texts(|row, out| put(out, text.at(row).chars().flat_map(char::to_lowercase)))
    })
    .old(),
    Function::new(&["BTRIM"], "TRIM(text[, characters])", (1, 2), Derive::Fixed(&[T], TEXT), |call| {
        trim(call, |text, set| text.trim_matches(|c| set.contains(c)))
    })
    .old(),
    Function::new(&["LTRIM"], "LTRIM(text[, characters])", (1, 2), Derive::Fixed(&[T], TEXT), |call| {
        trim(call, |text, set| text.trim_start_matches(|c| set.contains(c)))
    }),
    Function::new(&["RTRIM"], "RTRIM(text[, characters])", (1, 2), Derive::Fixed(&[T], TEXT), |call| {
        trim(call, |text, set| text.trim_end_matches(|c| set.contains(c)))
    }),
    Function::new(
        &["SUBSTR", "SUBSTRING"],
        "SUBSTR(text, start[, length])",
        (2, 3),
        Derive::Fixed(&[T, I], TEXT),
        substr,
    )
    .old(),
    Function::new(
        &["OVERLAY"],
        "OVERLAY(text PLACING text FROM start [FOR length])",
        (3, 4),
        Derive::Fixed(&[T, T, I], TEXT),
        overlay,
    ),
    Function::new(&["POSITION"], "POSITION(text IN text)", (2, 2), Derive::Fixed(&[T], INT), |call| {
        let (needle, text) = (call.text(0), call.text(1));
        call.ints(|row| Ok(Some(position(text.at(row), needle.at(row), 1))))
    }),
    Function::new(
        &["LOCATE"],
        "LOCATE(text, text[, start])",
        (2, 3),
        Derive::Fixed(&[T, T, I], INT),
        |call| {
            let (needle, text, start) = (call.text(0), call.text(1), call.int(2));
            let from = |row| if call.args.len() > 2 { start.at(row) } else { 1 };
            call.ints(|row| Ok(Some(position(text.at(row), needle.at(row), from(row)))))
        },
    ),
    Function::new(&["INSTR"], "INSTR(text, text)", (2, 2), Derive::Fixed(&[T], INT), |call| {
        let (text, needle) = (call.text(0), call.text(1));
        call.ints(|row| Ok(Some(position(text.at(row), needle.at(row), 1))))
    }),
    Function::new(&["LPAD"], "LPAD(text, length, text)", (3, 3), Derive::Fixed(&[T, I, T], TEXT), |call| {
        padded(call, true)
    }),
    Function::new(&["RPAD"], "RPAD(text, length, text)", (3, 3), Derive::Fixed(&[T, I, T], TEXT), |call| {
        padded(call, false)
    }),
    Function::new(&["REPLACE"], "REPLACE(text, old, new)", (3, 3), Derive::Fixed(&[T], TEXT), replace),
    Function::new(&["REPEAT"], "REPEAT(text, times)", (2, 2), Derive::Fixed(&[T, I], TEXT), |call| {
        let (text, times) = (call.text(0), call.int(1));
        call.texts(|row, out| {
            let times = usize::try_from(times.at(row).max(0)).unwrap_or(usize::MAX);
            within_limit(text.at(row).len().saturating_mul(times))?;
            (0..times).for_each(|_| out.push_str(text.at(row)));
            Ok(true)
        })
    }),
    Function::new(&["LEFT"], "LEFT(text, length)", (2, 2), Derive::Fixed(&[T, I], TEXT), |call| {
        let (text, count) = (call.text(0), call.int(1));
        call.texts(|row, out| put_str(out, &text.at(row)[..byte_at(text.at(row), count.at(row))]))
    }),
    Function::new(&["RIGHT"], "RIGHT(text, length)", (2, 2), Derive::Fixed(&[T, I], TEXT), |call| {
        let (text, count) = (call.text(0), call.int(1));
        call.texts(|row, out| {
            let text = text.at(row);
            put_str(out, &text[byte_at(text, length(text).saturating_sub(count.at(row).max(0)))..])
        })
    }),
    Function::new(&["STARTSWITH"], "STARTSWITH(text, text)", (2, 2), Derive::Fixed(&[T], BOOLEAN), |call| {
        let (text, start) = (call.text(0), call.text(1));
        call.booleans(|row| Ok(Some(text.at(row).starts_with(start.at(row)))))
    }),
    Function::new(&["ENDSWITH"], "ENDSWITH(text, text)", (2, 2), Derive::Fixed(&[T], BOOLEAN), |call| {
        let (text, end) = (call.text(0), call.text(1));
        call.booleans(|row| Ok(Some(text.at(row).ends_with(end.at(row)))))
    }),
    Function::new(
        &["TO_BASE64"],
        "TO_BASE64(text)",
        (1, 1),
        Derive::By(|args, _| base64_source(args)),
        |call| {
            let (text, binary) =
                (call.text(0), matches!(call.arg(0).map(|a| &a.values), Some(Values::Binary(_))));
            call.texts(|row, out| {
                let bytes = if binary { call.bytes(0, row) } else { text.at(row).as_bytes() };
                STANDARD.encode_string(bytes, out);
                Ok(true)
            })
        },
    ),
    Function::new(&["FROM_BASE64"], "FROM_BASE64(text)", (1, 1), Derive::Fixed(&[T], TEXT), |call| {
        let text = call.text(0);
        let mut bytes = Vec::new();
        call.texts(|row, out| {
            decode(text.at(row), &mut bytes)?;
            let text = std::str::from_utf8(&bytes);
            put_str(out, text.map_err(|_| "these bytes are no text; use `FROM_BASE64_BINARY`".to_owned())?)
        })
    }),
    Function::new(
        &["FROM_BASE64_BINARY"],
        "FROM_BASE64_BINARY(text)",
        (1, 1),
        Derive::Fixed(&[T], Type::Plain(sluicebox_model::ColumnType::Binary)),
        from_base64_binary,
    )
    .changing(Changes::Never),
];

fn put(out: &mut String, chars: impl Iterator<Item = char>) -> Result<bool, String> {
    out.extend(chars);
    Ok(true)
}

fn put_str(out: &mut String, text: &str) -> Result<bool, String> {
    out.push_str(text);
    Ok(true)
}

fn within_limit(bytes: usize) -> Result<(), String> {
    if bytes > LONGEST_TEXT {
        Err(format!("the text would be longer than {LONGEST_TEXT} bytes"))
    } else {
        Ok(())
    }
}

/// Code points of a text.
pub(super) fn length(text: &str) -> i64 {
    let count = if text.is_ascii() { text.len() } else { text.chars().count() };
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Where the code point with this number begins, counted from 0; the end when there are fewer, the beginning when negative.
pub(super) fn byte_at(text: &str, count: i64) -> usize {
    let count = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
    if text.is_ascii() {
        return count.min(text.len());
    }
    text.char_indices().nth(count).map_or(text.len(), |(at, _)| at)
}

fn concat(call: &Call<'_>) -> Vector {
    let texts: Vec<_> = (0..call.args.len()).map(|arg| call.text(arg)).collect();
    call.texts(|row, out| {
        texts.iter().for_each(|text| out.push_str(text.at(row)));
        Ok(true)
    })
}

fn concat_ws(call: &Call<'_>) -> Vector {
    let texts: Vec<_> = (0..call.args.len()).map(|arg| call.text(arg)).collect();
    let null = |arg: usize, row: usize| call.arg(arg).is_none_or(|arg| arg.is_null(row));
    call.texts_of_all(|row, out| {
        let mut first = true;
        for (arg, text) in texts.iter().enumerate().skip(1).filter(|(arg, _)| !null(*arg, row)) {
            debug_assert!(arg > 0);
            if !std::mem::take(&mut first) {
                out.push_str(texts[0].at(row));
            }
            out.push_str(text.at(row));
        }
        Ok(!null(0, row))
    })
}

fn trim(call: &Call<'_>, cut: impl for<'t> Fn(&'t str, &str) -> &'t str) -> Vector {
    let (text, set) = (call.text(0), call.text(1));
    let set = |row| if call.args.len() > 1 { set.at(row) } else { " " };
    call.texts(|row, out| put_str(out, cut(text.at(row), set(row))))
}

fn substr(call: &Call<'_>) -> Vector {
    let (text, start, count) = (call.text(0), call.int(1), call.int(2));
    let limited = call.args.len() > 2;
    call.texts(|row, out| {
        let (text, start) = (text.at(row), start.at(row));
        // A start before the beginning leaves nothing, as at MySQL.
        let first = match start {
            0 => 0,
            1.. => start - 1,
            _ => length(text).saturating_add(start),
        };
        if first < 0 || (limited && count.at(row) <= 0) {
            return Ok(true);
        }
        let rest = &text[byte_at(text, first)..];
        let end = if limited { byte_at(rest, count.at(row)) } else { rest.len() };
        put_str(out, &rest[..end])
    })
}

fn overlay(call: &Call<'_>) -> Vector {
    let (text, new, start, count) = (call.text(0), call.text(1), call.int(2), call.int(3));
    call.texts(|row, out| {
        let (text, new, start) = (text.at(row), new.at(row), start.at(row));
        let count = if call.args.len() > 3 { count.at(row).max(0) } else { length(new) };
        if start < 1 || start > length(text) {
            return put_str(out, text);
        }
        out.push_str(&text[..byte_at(text, start - 1)]);
        out.push_str(new);
        put_str(out, &text[byte_at(text, (start - 1).saturating_add(count))..])
    })
}

/// Where a text stands in another from a position on; 0: nowhere.
fn position(text: &str, needle: &str, start: i64) -> i64 {
    if start < 1 {
        return 0;
    }
    let from = byte_at(text, start - 1);
    text[from..].find(needle).map_or(0, |at| length(&text[..from + at]) + 1)
}

fn padded(call: &Call<'_>, left: bool) -> Vector {
    let (text, count, fill) = (call.text(0), call.int(1), call.text(2));
    call.texts(|row, out| {
        let (text, wanted, fill) = (text.at(row), count.at(row), fill.at(row));
        let missing = wanted.saturating_sub(length(text));
        if wanted < 0 || (missing > 0 && fill.is_empty()) {
            return Ok(false);
        }
        let kept = &text[..byte_at(text, wanted)];
        within_limit(usize::try_from(missing.max(0)).unwrap_or(usize::MAX).saturating_mul(4))?;
        let padding = fill.chars().cycle().take(usize::try_from(missing.max(0)).unwrap_or(0));
        if left {
            out.extend(padding);
            out.push_str(kept);
        } else {
            out.push_str(kept);
            out.extend(padding);
        }
        Ok(true)
    })
}

fn replace(call: &Call<'_>) -> Vector {
    let (text, old, new) = (call.text(0), call.text(1), call.text(2));
    call.texts(|row, out| {
        let (text, old, new) = (text.at(row), old.at(row), new.at(row));
        let mut last = 0;
        for (at, found) in text.match_indices(old) {
            out.push_str(&text[last..at]);
            out.push_str(new);
            last = at + found.len();
            within_limit(out.len())?;
        }
        put_str(out, &text[last..])
    })
}

fn base64_source(args: &[Type]) -> Result<super::Signature, String> {
    match args {
        [binary @ Type::Plain(sluicebox_model::ColumnType::Binary)] => {
            super::Signature::keep(std::slice::from_ref(binary), TEXT)
        }
        [other] => Ok(super::Signature { args: vec![super::bring(T, other)?], result: TEXT }),
        _ => Err("takes one text".into()),
    }
}

fn decode(text: &str, bytes: &mut Vec<u8>) -> Result<(), String> {
    bytes.clear();
    STANDARD.decode_vec(text, bytes).map_err(|_| "the text is not Base64".to_owned())
}

fn from_base64_binary(call: &Call<'_>) -> Vector {
    let (text, nulls) = (call.text(0), call.nulls());
    let mut out = arrow::array::BinaryBuilder::new();
    let mut bytes = Vec::new();
    for row in 0..call.rows {
        if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) || !call.counts(row) {
            out.append_null();
        } else if let Err(message) = decode(text.at(row), &mut bytes) {
            call.note(row, message);
            out.append_null();
        } else {
            out.append_value(&bytes);
        }
    }
    call.vector(Values::Binary(out.finish()))
}
