//! One value of a row image: how long it is, and what it becomes in its column.
//!
//! The forms are those of the servers' row events; which form a column has is settled once in its layout, so that per value
//! two jumps are left. Nothing is allocated here: values go from the event's bytes into the column's buffers.

use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::builder::ColumnBuilder;
use super::charset::Charset;
use super::decimal::DecimalShape;
use super::temporal;
use crate::event::{Cursor, Fault, inflate_column};
use crate::json;

/// How a column's values stand in a row image, and what they become.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(super) span: Span,
    pub(super) decode: Decode,
}

/// How many bytes a value takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Span {
    /// Always so many.
    Fixed(usize),
    /// As many as its first 1 to 4 bytes say.
    Prefixed(usize),
}

/// What a value becomes.
#[derive(Debug)]
pub(super) enum Decode {
    Int8,
    UInt8,
    Int16,
    UInt16,
    Int24,
    UInt24,
    Int32,
    UInt32,
    Int64,
    UInt64,
    /// Any number of bytes; 1 unless all are zero.
    Boolean,
    Bits,
    Float,
    Double,
    DecimalSmall(DecimalShape),
    DecimalWide(DecimalShape),
    DecimalText(DecimalShape),
    Year,
    Date,
    Time,
    DateTime,
    Timestamp,
    OldTime,
    OldDateTime,
    OldTimestamp,
    /// Bytes as they are: binary values, and text in UTF-8.
    Bytes,
    /// Trailing zero bytes were cut off: pad to this length.
    Padded(usize),
    Text(Charset),
    Inflated,
    InflatedText(Charset),
    Uuid,
    Inet4,
    Inet6,
    Enum(Vec<Box<str>>),
    Set(Vec<Box<str>>),
    Json,
}

impl Cell {
    /// Takes the value's bytes, without the length before them. None when the row ends before them.
    #[inline]
    pub(super) fn take<'a>(&self, row: &mut Cursor<'a>) -> Option<&'a [u8]> {
        match self.span {
            Span::Fixed(length) => row.take(length),
            Span::Prefixed(1) => {
                let length = row.u8()?;
                row.take(usize::from(length))
            }
            Span::Prefixed(2) => {
                let length = row.u16()?;
                row.take(usize::from(length))
            }
            Span::Prefixed(bytes) => {
                let length = usize::try_from(row.uint(bytes)?).ok()?;
                row.take(length)
            }
        }
    }

    /// Appends the value to its column.
    #[inline]
    pub(super) fn decode(&self, value: &[u8], column: &mut ColumnBuilder) -> Result<(), Fault> {
        match &self.decode {
            Decode::Int8 => column.append_i64(i8::from_le_bytes(fixed(value)?).into()),
            Decode::UInt8 => column.append_i64(u8::from_le_bytes(fixed(value)?).into()),
            Decode::Int16 => column.append_i64(i16::from_le_bytes(fixed(value)?).into()),
            Decode::UInt16 => column.append_i64(u16::from_le_bytes(fixed(value)?).into()),
            Decode::Int24 => {
                let [a, b, c] = fixed(value)?;
                column.append_i64((i32::from_le_bytes([0, a, b, c]) >> 8).into());
            }
            Decode::UInt24 => {
                let [a, b, c] = fixed(value)?;
                column.append_i64(u32::from_le_bytes([a, b, c, 0]).into());
            }
            Decode::Int32 => column.append_i64(i32::from_le_bytes(fixed(value)?).into()),
            Decode::UInt32 => column.append_i64(u32::from_le_bytes(fixed(value)?).into()),
            Decode::Int64 => column.append_i64(i64::from_le_bytes(fixed(value)?)),
            Decode::UInt64 => column.append_u64(u64::from_le_bytes(fixed(value)?)),
            Decode::Float => column.append_f64(f32::from_le_bytes(fixed(value)?).into()),
            Decode::Double => column.append_f64(f64::from_le_bytes(fixed(value)?)),
            Decode::Bytes => column.append_bytes(value),
            Decode::DateTime => append_time(column, temporal::datetime2(value)),
            Decode::Timestamp => append_time(column, temporal::timestamp2(value)),
            Decode::DecimalSmall(shape) => match shape.unscaled_i64(value) {
                Some(number) => column.append_i64(number),
                None => return Err("a decimal is none".into()),
            },
            _ => return self.decode_rarer(value, column),
        }
        Ok(())
    }

    fn decode_rarer(&self, value: &[u8], column: &mut ColumnBuilder) -> Result<(), Fault> {
        match &self.decode {
            Decode::Boolean => column.append_i64(value.iter().any(|b| *b != 0).into()),
            Decode::Bits => column.append_u64(value.iter().fold(0, |bits, b| bits << 8 | u64::from(*b))),
            Decode::DecimalWide(shape) => match shape.unscaled_i128(value) {
                Some(number) => column.append_i128(number),
                None => return Err("a decimal is none".into()),
            },
            Decode::DecimalText(shape) => column.append_with(|out| {
                if shape.write_text(value, out) { Ok(true) } else { Err(Fault::from("a decimal is none")) }
            })?,
            Decode::Year => {
                let [year] = fixed(value)?;
                column.append_i64(if year == 0 { 0 } else { 1900 + i64::from(year) });
            }
            Decode::Date => append_time(column, temporal::date(fixed(value)?)),
            Decode::Time => column.append_i64(temporal::time2(value)),
            Decode::OldTime => column.append_i64(temporal::old_time(fixed(value)?)),
            Decode::OldDateTime => append_time(column, temporal::old_datetime(fixed(value)?)),
            Decode::OldTimestamp => append_time(column, temporal::old_timestamp(fixed(value)?)),
            Decode::Padded(length) => column.append_with(|out| {
                out.extend_from_slice(value);
                out.resize(out.len() + length.saturating_sub(value.len()), 0);
                Ok::<_, Fault>(true)
            })?,
            Decode::Text(charset) => column.append_with(|out| Ok::<_, Fault>(charset.write(value, out)))?,
            Decode::Inflated => column.append_with(|out| inflate_column(value, out).map(|()| true))?,
            Decode::InflatedText(charset) => {
                let mut plain = Vec::new();
                inflate_column(value, &mut plain)?;
                column.append_with(|out| Ok::<_, Fault>(charset.write(&plain, out)))?;
            }
            Decode::Json => column.append_with(|out| {
                json::write(value, out).map(|()| true).map_err(|e| Fault::from(e.to_string()))
            })?,
            Decode::Enum(labels) => append_enum(labels, value, column)?,
            Decode::Set(labels) => append_set(labels, value, column)?,
            Decode::Uuid => column.append_with(|out| write_uuid(pad(value)?, out))?,
            Decode::Inet4 => {
                let address = Ipv4Addr::from(pad::<4>(value)?);
                column.append_with(|out| write!(out, "{address}").map(|()| true).map_err(unwritable))?;
            }
            Decode::Inet6 => column.append_with(|out| write_inet6(pad(value)?, out))?,
            Decode::Int8
            | Decode::UInt8
            | Decode::Int16
            | Decode::UInt16
            | Decode::Int24
            | Decode::UInt24
            | Decode::Int32
            | Decode::UInt32
            | Decode::Int64
            | Decode::UInt64
            | Decode::Float
            | Decode::Double
            | Decode::Bytes
            | Decode::DateTime
            | Decode::Timestamp
            | Decode::DecimalSmall(_) => {
                debug_assert!(false, "decoded before");
                column.append_replaced();
            }
        }
        Ok(())
    }
}

#[inline]
fn fixed<const N: usize>(value: &[u8]) -> Result<[u8; N], Fault> {
    value.try_into().map_err(|_| Fault::from("a value has not the length of its type"))
}

#[inline]
fn append_time(column: &mut ColumnBuilder, time: Option<i64>) {
    match time {
        Some(number) => column.append_i64(number),
        None => column.append_replaced(),
    }
}

/// Appends a document that is written as its difference to another.
pub(super) fn append_patched(
    document: &[u8],
    differences: &[u8],
    column: &mut ColumnBuilder,
) -> Result<(), Fault> {
    column.append_with(|out| {
        json::write_patched(document, differences, out).map(|()| true).map_err(|e| Fault::from(e.to_string()))
    })
}

/// Fixed-length bytes lose their trailing zeros in row images.
fn pad<const N: usize>(value: &[u8]) -> Result<[u8; N], Fault> {
    let mut whole = [0; N];
    whole.get_mut(..value.len()).ok_or("a value is longer than its type")?.copy_from_slice(value);
    Ok(whole)
}

fn unwritable(_: std::io::Error) -> Fault {
    "a value cannot be written".into()
}

fn append_enum(labels: &[Box<str>], value: &[u8], column: &mut ColumnBuilder) -> Result<(), Fault> {
    let number = Cursor::new(value).uint(value.len()).and_then(|n| usize::try_from(n).ok());
    let number = number.ok_or("an enum's number is too long")?;
    match number.checked_sub(1) {
        // What was not among the labels is stored as 0, which reads as the empty string.
        None => column.append_str(""),
        Some(place) => {
            let label = labels.get(place);
            column.append_str(
                label.ok_or_else(|| format!("an enum of {} labels has number {number}", labels.len()))?,
            );
        }
    }
    Ok(())
}

fn append_set(labels: &[Box<str>], value: &[u8], column: &mut ColumnBuilder) -> Result<(), Fault> {
    let bits = Cursor::new(value).uint(value.len()).ok_or("a set's bits are too long")?;
    let known = u32::try_from(labels.len()).unwrap_or(u32::MAX);
    if bits.checked_shr(known).unwrap_or(0) != 0 {
        return Err(format!("a set of {known} labels has bits {bits:#x}").into());
    }
    column.append_with(|out| {
        for (place, label) in labels.iter().enumerate() {
            if bits >> place & 1 == 1 {
                if bits & ((1 << place) - 1) != 0 {
                    out.push(b',');
                }
                out.extend_from_slice(label.as_bytes());
            }
        }
        Ok(true)
    })
}

fn write_uuid(uuid: [u8; 16], out: &mut Vec<u8>) -> Result<bool, Fault> {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for (place, byte) in uuid.into_iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        out.push(HEX[usize::from(byte >> 4)]);
        out.push(HEX[usize::from(byte & 15)]);
    }
    Ok(true)
}

/// As MariaDB prints it: the longest run of zero groups, the first of equals, is `::` even where it is one group; addresses
/// that hold an IPv4 address show it.
fn write_inet6(bytes: [u8; 16], out: &mut Vec<u8>) -> Result<bool, Fault> {
    let groups = Ipv6Addr::from(bytes).segments();
    let run = |start: usize| groups[start..].iter().take_while(|group| **group == 0).count();
    let (gap, length) =
        (0..8).map(|start| (start, run(start))).rev().max_by_key(|(_, length)| *length).unwrap_or((0, 0));
    let holds_ipv4 = gap == 0 && (length == 6 || (length == 5 && groups[5] == 0xffff));
    let [.., a, b, c, d] = bytes;
    let last = if holds_ipv4 { 6 } else { 8 };
    for (place, group) in groups.iter().enumerate().take(last) {
        if (gap..gap + length).contains(&place) {
            if place == gap {
                out.extend_from_slice(if place == 0 { b"::" } else { b":" });
            }
            continue;
        }
        write!(out, "{group:x}").map_err(unwritable)?;
        if place < 7 {
            out.push(b':');
        }
    }
    if holds_ipv4 {
        write!(out, "{}", Ipv4Addr::new(a, b, c, d)).map_err(unwritable)?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};
    use sluicebox_model::ColumnType;

    use super::*;

    fn text_of(decode: Decode, value: &[u8]) -> Result<String, Fault> {
        let mut column = ColumnBuilder::new(ColumnType::Text);
        let cell = Cell { span: Span::Prefixed(1), decode };
        cell.decode(value, &mut column)?;
        let array = column.finish().expect("an array");
        Ok(array.as_string::<i32>().value(0).to_owned())
    }

    fn labels(labels: &[&str]) -> Vec<Box<str>> {
        labels.iter().map(|l| Box::from(*l)).collect()
    }

    #[test]
    fn labels_are_found_by_number_and_by_bit() {
        let set = |bits: &[u8]| text_of(Decode::Set(labels(&["a", "", "c"])), bits);
        assert_eq!(set(&[0]), Ok(String::new()));
        assert_eq!(set(&[0b101]), Ok("a,c".to_owned()));
        assert_eq!(set(&[0b111]), Ok("a,,c".to_owned()));
        assert_eq!(set(&[0b110]), Ok(",c".to_owned()));
        assert!(set(&[0b1000]).is_err());
        let one = |number: &[u8]| text_of(Decode::Enum(labels(&["x", "y"])), number);
        assert_eq!((one(&[0]), one(&[2, 0])), (Ok(String::new()), Ok("y".to_owned())));
        assert!(one(&[3]).is_err());
    }

    #[test]
    fn a_full_set_has_sixty_four_bits() {
        let names: Vec<Box<str>> = (0..64).map(|n| n.to_string().into()).collect();
        assert_eq!(text_of(Decode::Set(names), &[0, 0, 0, 0, 0, 0, 0, 0x80]), Ok("63".to_owned()));
    }

    #[test]
    fn addresses_get_their_zeros_back() {
        let uuid = text_of(Decode::Uuid, &[0x12, 0x34]);
        assert_eq!(uuid, Ok("12340000-0000-0000-0000-000000000000".to_owned()));
        assert_eq!(text_of(Decode::Inet4, &[10, 1]), Ok("10.1.0.0".to_owned()));
        assert_eq!(text_of(Decode::Inet6, &[0x20, 0x01, 0x0d, 0xb8]), Ok("2001:db8::".to_owned()));
    }

    #[test]
    fn addresses_print_as_mariadb_prints_them() {
        for text in ["::", "::1", "::102", "1:2:3:4:5:6::", "1::2:3:4:5:6:7", "1:0:0:2::3", "::1:2:3:4:5:6:7"]
        {
            let address: Ipv6Addr = text.parse().expect(text);
            assert_eq!(text_of(Decode::Inet6, &address.octets()), Ok(text.to_owned()));
        }
        for (text, printed) in [
            ("::1.2.3.4", "::1.2.3.4"),
            ("::ffff:1.2.3.4", "::ffff:1.2.3.4"),
            ("1:0:2:0:3:4:5:6", "1::2:0:3:4:5:6"),
            ("1:0:0:2:3:0:0:4", "1::2:3:0:0:4"),
        ] {
            let address: Ipv6Addr = text.parse().expect(text);
            assert_eq!(text_of(Decode::Inet6, &address.octets()), Ok(printed.to_owned()));
        }
    }

    #[test]
    fn medium_ints_keep_their_sign() {
        for (decode, want) in [(Decode::Int24, -1), (Decode::UInt24, 16_777_215)] {
            let mut column = ColumnBuilder::new(ColumnType::Int);
            Cell { span: Span::Fixed(3), decode }.decode(&[0xff; 3], &mut column).expect("a value");
            let array = column.finish().expect("an array");
            let array = array.as_primitive::<arrow::datatypes::Int64Type>();
            assert_eq!((array.value(0), array.null_count()), (want, 0));
        }
    }
}
