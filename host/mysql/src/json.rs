//! MySQL's binary JSON as the text that the server itself prints, character for character: snapshot rows carry the
//! server's text, so rows of the binlog must look the same.
//!
//! Layout (MySQL's documentation of `json_binary`): a type byte and a value; containers have a table of keys and of values
//! with offsets from their own start. Offsets are followed, not assumed to be in order: after partial updates there are
//! gaps. A document that points outside itself, nests deeper than a server allows, or grows beyond what a value can be is
//! an error, never a panic.

mod patch;

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::event::Cursor;
use crate::row::DecimalShape;

pub(crate) use patch::write_patched;

/// The server's own limit.
const DEPTH_MAX: usize = 100;
/// Text of one document; a value of the server is at most 1 GiB, its text rarely longer than its binary form.
const TEXT_MAX: usize = 1 << 30;
/// No value's text is longer than so many times its bytes: six for a control character in a string, less for all else. A
/// document whose parts are in it once each stays below that; one that points at a part again and again could become
/// any number of times larger than what was sent.
const TEXT_TIMES: usize = 8;
/// Room for the text of the smallest values.
const TEXT_SMALL: usize = 64;

/// Bytes that fill a line of 76 characters; the server breaks base64 there, and the break is escaped like any other.
const BASE64_LINE_BYTES: usize = 57;

/// A document is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("binary JSON: {0}")]
pub(crate) struct JsonError(&'static str);

const SHORT: JsonError = JsonError("it points outside itself");

/// Appends the text of a document. An empty one is JSON null.
pub(crate) fn write(document: &[u8], out: &mut Vec<u8>) -> Result<(), JsonError> {
    match document.split_first() {
        None => out.extend_from_slice(b"null"),
        Some((kind, value)) => {
            let end = out.len().saturating_add(text_max(document));
            let mut writer = Writer { end, out };
            writer.value(*kind, value, 0)?;
            writer.check_length()?;
        }
    }
    Ok(())
}

/// The most that the text of a document of so many bytes can take.
pub(crate) fn text_max(document: &[u8]) -> usize {
    document.len().saturating_mul(TEXT_TIMES).saturating_add(TEXT_SMALL).min(TEXT_MAX)
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// The text must end before this place.
    end: usize,
}

/// Sizes that differ between small and large containers.
#[derive(Clone, Copy)]
struct Width {
    /// Bytes of counts and offsets.
    bytes: usize,
    large: bool,
}

const SMALL: Width = Width { bytes: 2, large: false };
const LARGE: Width = Width { bytes: 4, large: true };

impl Writer<'_> {
    fn value(&mut self, kind: u8, value: &[u8], depth: usize) -> Result<(), JsonError> {
        if depth > DEPTH_MAX {
            return Err(JsonError("it nests deeper than 100"));
        }
        self.check_length()?;
        let mut cursor = Cursor::new(value);
        match kind {
            0 => self.container(value, SMALL, true, depth),
            1 => self.container(value, LARGE, true, depth),
            2 => self.container(value, SMALL, false, depth),
            3 => self.container(value, LARGE, false, depth),
            4 => self.literal(cursor.u8().ok_or(SHORT)?),
            5 => self.number(i16::from_le_bytes(cursor.array().ok_or(SHORT)?)),
            6 => self.number(cursor.u16().ok_or(SHORT)?),
            7 => self.number(i32::from_le_bytes(cursor.array().ok_or(SHORT)?)),
            8 => self.number(cursor.u32().ok_or(SHORT)?),
            9 => self.number(i64::from_le_bytes(cursor.array().ok_or(SHORT)?)),
            10 => self.number(cursor.u64().ok_or(SHORT)?),
            11 => self.double(f64::from_le_bytes(cursor.array().ok_or(SHORT)?)),
            12 => {
                let length = short_length(&mut cursor)?;
                self.string(cursor.take(length).ok_or(SHORT)?);
                Ok(())
            }
            15 => {
                let field = cursor.u8().ok_or(SHORT)?;
                let length = short_length(&mut cursor)?;
                self.opaque(field, cursor.take(length).ok_or(SHORT)?)
            }
            _ => Err(JsonError("a type of value is unknown")),
        }
    }

    fn check_length(&self) -> Result<(), JsonError> {
        if self.out.len() > self.end {
            return Err(JsonError("its text is longer than its bytes can say"));
        }
        Ok(())
    }

    fn container(&mut self, value: &[u8], width: Width, object: bool, depth: usize) -> Result<(), JsonError> {
        self.out.push(if object { b'{' } else { b'[' });
        let mut is_first = true;
        children(value, width, object, |key, kind, value| {
            if !is_first {
                self.out.extend_from_slice(b", ");
            }
            is_first = false;
            if let Some(key) = key {
                self.string(key);
                self.out.extend_from_slice(b": ");
            }
            self.value(kind, value, depth + 1)
        })?;
        self.out.push(if object { b'}' } else { b']' });
        Ok(())
    }

    fn literal(&mut self, which: u8) -> Result<(), JsonError> {
        self.out.extend_from_slice(match which {
            0 => b"null",
            1 => b"true",
            2 => b"false",
            _ => return Err(JsonError("a literal is unknown")),
        });
        Ok(())
    }

    fn number(&mut self, number: impl std::fmt::Display) -> Result<(), JsonError> {
        write!(self.out, "{number}").map_err(|_| JsonError("a number cannot be written"))
    }

    /// The shortest digits that read back, plain while the decimal exponent is −15 to 14, and above where there are digits
    /// behind the point.
    fn double(&mut self, number: f64) -> Result<(), JsonError> {
        let mut scratch = [0_u8; 32];
        let mut room = &mut scratch[..];
        write!(room, "{number:e}").map_err(|_| JsonError("a double cannot be written"))?;
        let left = room.len();
        let text = &scratch[..scratch.len() - left];
        let text = std::str::from_utf8(text).map_err(|_| JsonError("a double cannot be written"))?;
        let (mantissa, exponent) = text.split_once('e').ok_or(JsonError("a double is no number"))?;
        let exponent: i32 = exponent.parse().map_err(|_| JsonError("a double is no number"))?;
        let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
        let has_fraction = i32::try_from(digits).is_ok_and(|digits| digits > exponent + 1);
        if exponent < -15 || (exponent > 14 && !has_fraction) {
            self.out.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |m| ("-", m));
        self.out.extend_from_slice(sign.as_bytes());
        self.plain(mantissa.bytes().filter(u8::is_ascii_digit), exponent);
        Ok(())
    }

    /// Digits with the point behind the first moved by `exponent`; at least one digit stands on either side of it.
    fn plain(&mut self, digits: impl Iterator<Item = u8>, exponent: i32) {
        if exponent < 0 {
            self.out.extend_from_slice(b"0.");
            self.out.extend((exponent..-1).map(|_| b'0'));
            self.out.extend(digits);
            return;
        }
        let mut behind = 0;
        let mut place = 0;
        for digit in digits {
            if place == exponent + 1 {
                self.out.push(b'.');
            }
            behind += i32::from(place > exponent);
            self.out.push(digit);
            place += 1;
        }
        self.out.extend((place..=exponent).map(|_| b'0'));
        if behind == 0 {
            self.out.extend_from_slice(b".0");
        }
    }

    fn string(&mut self, text: &[u8]) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        self.out.push(b'"');
        let mut rest = text;
        while let Some(at) = rest.iter().position(|b| *b < 0x20 || *b == b'"' || *b == b'\\') {
            self.out.extend_from_slice(&rest[..at]);
            match rest[at] {
                b'"' => self.out.extend_from_slice(b"\\\""),
                b'\\' => self.out.extend_from_slice(b"\\\\"),
                8 => self.out.extend_from_slice(b"\\b"),
                9 => self.out.extend_from_slice(b"\\t"),
                10 => self.out.extend_from_slice(b"\\n"),
                12 => self.out.extend_from_slice(b"\\f"),
                13 => self.out.extend_from_slice(b"\\r"),
                control => {
                    self.out.extend_from_slice(b"\\u00");
                    self.out.push(HEX[usize::from(control >> 4)]);
                    self.out.push(HEX[usize::from(control & 15)]);
                }
            }
            rest = &rest[at + 1..];
        }
        self.out.extend_from_slice(rest);
        self.out.push(b'"');
    }

    fn opaque(&mut self, field: u8, value: &[u8]) -> Result<(), JsonError> {
        match (field, value) {
            (246, [precision, scale, packed @ ..]) => {
                let shape =
                    DecimalShape::new(*precision, *scale).ok_or(JsonError("a decimal has no shape"))?;
                let written = shape.write_text(packed, self.out);
                if written { Ok(()) } else { Err(JsonError("a decimal is no number")) }
            }
            (7 | 10..=12, packed) => {
                let packed = packed.try_into().map(i64::from_le_bytes).map_err(|_| SHORT)?;
                self.temporal(field, packed)
            }
            (other, bytes) => {
                write!(self.out, "\"base64:type{other}:")
                    .map_err(|_| JsonError("a value cannot be written"))?;
                for (line, part) in bytes.chunks(BASE64_LINE_BYTES).enumerate() {
                    if line > 0 {
                        self.out.extend_from_slice(b"\\n");
                    }
                    self.out.extend_from_slice(STANDARD.encode(part).as_bytes());
                }
                self.out.push(b'"');
                Ok(())
            }
        }
    }

    /// Low three bytes microseconds, above them the parts as in `DATETIME` and `TIME`; negative times as a whole.
    fn temporal(&mut self, field: u8, packed: i64) -> Result<(), JsonError> {
        let sign = if packed < 0 { "-" } else { "" };
        let magnitude = packed.unsigned_abs();
        let (whole, micros) = (magnitude >> 24, magnitude & 0xff_ffff);
        let (minute, second) = (whole >> 6 & 63, whole & 63);
        let (date, hour) = (whole >> 17, whole >> 12 & 31);
        let (year_month, day) = (date >> 5, date & 31);
        let (year, month) = (year_month / 13, year_month % 13);
        let done = match field {
            10 => write!(self.out, "\"{year:04}-{month:02}-{day:02}\""),
            11 => {
                let hours = whole >> 12 & 0x3ff;
                write!(self.out, "\"{sign}{hours:02}:{minute:02}:{second:02}.{micros:06}\"")
            }
            _ => write!(
                self.out,
                "\"{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06}\""
            ),
        };
        done.map_err(|_| JsonError("a time cannot be written"))
    }
}

/// Visits a container's parts in order: the key where it has them, the type, and the value's bytes.
fn children<'a>(
    container: &'a [u8],
    width: Width,
    object: bool,
    mut visit: impl FnMut(Option<&'a [u8]>, u8, &'a [u8]) -> Result<(), JsonError>,
) -> Result<(), JsonError> {
    let mut cursor = Cursor::new(container);
    let number =
        |cursor: &mut Cursor<'_>| cursor.uint(width.bytes).and_then(|n| usize::try_from(n).ok()).ok_or(SHORT);
    let count = number(&mut cursor)?;
    number(&mut cursor)?;
    let key_bytes = if object { width.bytes + 2 } else { 0 };
    let mut keys = Cursor::new(cursor.take(count.checked_mul(key_bytes).ok_or(SHORT)?).ok_or(SHORT)?);
    for _ in 0..count {
        let key = match object {
            true => {
                let offset = number(&mut keys)?;
                let length = usize::from(keys.u16().ok_or(SHORT)?);
                Some(container.get(offset..).and_then(|v| v.get(..length)).ok_or(SHORT)?)
            }
            false => None,
        };
        let kind = cursor.u8().ok_or(SHORT)?;
        let inline = cursor.take(width.bytes).ok_or(SHORT)?;
        let in_place = matches!(kind, 4..=6) || (width.large && matches!(kind, 7 | 8));
        let value = match in_place {
            true => inline,
            false => container.get(number(&mut Cursor::new(inline))?..).ok_or(SHORT)?,
        };
        visit(key, kind, value)?;
    }
    Ok(())
}

/// A length in groups of seven bits, low first; a bit says that more follow.
fn short_length(cursor: &mut Cursor<'_>) -> Result<usize, JsonError> {
    let mut length = 0_usize;
    for group in 0..5 {
        let byte = cursor.u8().ok_or(SHORT)?;
        length |= usize::from(byte & 0x7f) << (7 * group);
        if byte & 0x80 == 0 {
            return Ok(length);
        }
    }
    Err(JsonError("a length is too long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(document: &[u8]) -> Result<String, JsonError> {
        let mut out = Vec::new();
        write(document, &mut out)?;
        Ok(String::from_utf8(out).expect("UTF-8"))
    }

    fn double(number: f64) -> String {
        let mut document = vec![11];
        document.extend(number.to_le_bytes());
        text(&document).expect("a document")
    }

    #[test]
    fn doubles_print_as_the_server_prints_them() {
        for (number, printed) in [
            (5.0, "5.0"),
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (1e14, "100000000000000.0"),
            (1e15, "1e15"),
            (1e-15, "0.000000000000001"),
            (1e-16, "1e-16"),
            (-2.5e20, "-2.5e20"),
            (123.456, "123.456"),
            (1.797_693_134_862_315_7e308, "1.7976931348623157e308"),
            (1_234_567_890_123.5, "1234567890123.5"),
            (3_293_004_332_643_235.5, "3293004332643235.5"),
            (3_293_004_332_643_235.0, "3.293004332643235e15"),
        ] {
            assert_eq!(double(number), printed);
        }
    }

    #[test]
    fn a_small_object_follows_its_offsets() {
        // {"a": 1, "bc": "x"}
        let document =
            [0, 2, 0, 23, 0, 18, 0, 1, 0, 19, 0, 2, 0, 5, 1, 0, 12, 21, 0, b'a', b'b', b'c', 1, b'x'];
        assert_eq!(text(&document), Ok(r#"{"a": 1, "bc": "x"}"#.to_owned()));
    }

    #[test]
    fn text_escapes_what_the_server_escapes_and_nothing_more() {
        let document = [&[12, 12][..], b"a\"\\/\n\x01\x7f\xc3\xa9\x08\t\r"].concat();
        assert_eq!(text(&document), Ok("\"a\\\"\\\\/\\n\\u0001\u{7f}é\\b\\t\\r\"".to_owned()));
    }

    #[test]
    fn a_document_that_lies_is_an_error() {
        for document in [
            &[5, 1][..],
            &[12, 5, b'a'],
            &[0, 1, 0, 9, 0, 200, 0, 1, 0, 4, 0, 0],
            &[3, 255, 255, 255, 255, 0, 0, 0, 0],
            &[12, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[99],
            // An array that holds itself, once and twice.
            &[2, 1, 0, 7, 0, 2, 0, 0],
            &[2, 2, 0, 10, 0, 2, 0, 0, 2, 0, 0],
        ] {
            assert!(text(document).is_err(), "{document:?}");
        }
        assert_eq!(text(&[]), Ok("null".to_owned()));
    }

    /// Each of 40 arrays holds the one behind it twice: a text of 2^40 values out of 400 bytes.
    #[test]
    fn a_document_that_says_a_part_again_and_again_is_refused() {
        let mut document = vec![2];
        for _ in 0..40 {
            document.extend([2, 0, 10, 0, 2, 10, 0, 2, 10, 0]);
        }
        document.extend([0, 0, 4, 0]);
        assert_eq!(text(&document), Err(JsonError("its text is longer than its bytes can say")));
    }

    /// The longest texts for their bytes that a server writes.
    #[test]
    fn the_longest_texts_are_still_written() {
        let control = [&[12, 100][..], &[1; 100]].concat();
        assert_eq!(text(&control).map(|t| t.len()), Ok(602));
        let mut numbers = vec![2, 100, 0, 48, 1];
        for _ in 0..100 {
            numbers.extend([5, 0, 0x80]);
        }
        assert_eq!(text(&numbers).map(|t| t.len()), Ok(800));
    }
}
