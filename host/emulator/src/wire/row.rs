//! Rows at rest: one compact blob per row, and the key as sortable bytes.
//!
//! A blob is `(column id, length, value bytes)*` in column order, nulls left out. Columns are named by
//! their id, which never changes or returns, so adding, renaming and dropping a column touch no row. The
//! value bytes are those of the record format.

use super::cursor::{Cursor, Malformed, put_sized, put_varint};
use super::decimal::Decimal;
use super::types::Type;
use super::value::Primitive;

/// Identity of a column within its table.
pub(crate) type ColumnId = u32;

/// Adds a column to a blob.
pub(crate) fn put_column(out: &mut Vec<u8>, id: ColumnId, value: &[u8]) {
    put_varint(out, id.into());
    put_sized(out, value);
}

/// The columns of a blob.
pub(crate) fn columns(blob: &[u8]) -> impl Iterator<Item = Result<(ColumnId, &[u8]), Malformed>> {
    let mut cursor = Cursor::new(blob);
    std::iter::from_fn(move || {
        if cursor.is_at_end() {
            return None;
        }
        let next = cursor.varint().and_then(|id| {
            let id = ColumnId::try_from(id).map_err(|_| Malformed::new("a stored column id is too large"))?;
            Ok((id, cursor.sized()?))
        });
        Some(next)
    })
}

/// The value bytes of one column; `None` when null.
pub(crate) fn column(blob: &[u8], id: ColumnId) -> Result<Option<&[u8]>, Malformed> {
    for entry in columns(blob) {
        let (found, bytes) = entry?;
        if found == id {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

/// `old` with the columns in `set` replaced by those of `new`; a column in `set` that `new` lacks becomes
/// null. `order` is the table's columns in order.
pub(crate) fn merge(
    old: &[u8],
    new: &[u8],
    set: &[ColumnId],
    order: &[ColumnId],
) -> Result<Vec<u8>, Malformed> {
    let mut out = Vec::with_capacity(old.len() + new.len());
    for &id in order {
        let source = if set.contains(&id) { new } else { old };
        if let Some(bytes) = column(source, id)? {
            put_column(&mut out, id, bytes);
        }
    }
    Ok(out)
}

/// Adds one key column so that comparing the bytes compares the keys, and equal keys have equal bytes.
pub(crate) fn put_key(out: &mut Vec<u8>, kind: &Type, value: Primitive<'_>) -> Result<(), Malformed> {
    match (kind, value) {
        (Type::Decimal { scale, .. }, Primitive::Bytes(text)) => {
            let unscaled = Decimal::parse(text).and_then(|d| d.at_scale((*scale).into()));
            let unscaled = unscaled.ok_or_else(|| Malformed::new("a decimal key is not a number"))?;
            out.extend_from_slice(&(unscaled ^ i128::MIN).to_be_bytes());
        }
        (_, Primitive::Int(number)) => put_key_int(out, number),
        (_, Primitive::Bool(bit)) => out.push(u8::from(bit)),
        (_, Primitive::Float(number)) => put_key_int(out, number.to_bits().into()),
        (_, Primitive::Double(number)) => out.extend_from_slice(&number.to_bits().to_be_bytes()),
        (_, Primitive::Stamp { seconds, nanos }) => {
            put_key_int(out, seconds);
            out.extend_from_slice(&nanos.to_be_bytes());
        }
        (_, Primitive::Bytes(bytes)) => put_key_bytes(out, bytes),
        (_, Primitive::Nested) => return Err(Malformed::new("a key column has a nested type")),
    }
    Ok(())
}

fn put_key_int(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(&(number ^ i64::MIN).to_be_bytes());
}

/// Zero bytes become `00 ff` and the end is `00 00`, so that a shorter text sorts before its extensions.
fn put_key_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    for &byte in bytes {
        out.push(byte);
        if byte == 0 {
            out.push(0xff);
        }
    }
    out.extend_from_slice(&[0, 0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(parts: &[(Type, Primitive<'_>)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (kind, value) in parts {
            put_key(&mut out, kind, *value).unwrap();
        }
        out
    }

    #[test]
    fn keys_sort_like_their_values_and_do_not_run_together() {
        let int = |n| key(&[(Type::BigInt, Primitive::Int(n))]);
        assert!(int(-1) < int(0) && int(0) < int(1) && int(i64::MIN) < int(-1));
        let text = |a: &'static [u8], b: &'static [u8]| {
            key(&[(Type::String, Primitive::Bytes(a)), (Type::String, Primitive::Bytes(b))])
        };
        assert_ne!(text(b"a", b"bc"), text(b"ab", b"c"));
        assert_ne!(text(b"a\0", b""), text(b"a", b"\0"));
        assert!(text(b"a", b"z") < text(b"aa", b""));
    }

    #[test]
    fn decimals_that_are_equal_are_one_key() {
        let kind = Type::Decimal { precision: 10, scale: 2 };
        let a = key(&[(kind.clone(), Primitive::Bytes(b"1.5"))]);
        assert_eq!(a, key(&[(kind.clone(), Primitive::Bytes(b"1.50"))]));
        assert!(key(&[(kind, Primitive::Bytes(b"-1"))]) < a);
    }

    #[test]
    fn a_partial_update_keeps_what_it_does_not_list() {
        let mut old = Vec::new();
        put_column(&mut old, 1, b"k");
        put_column(&mut old, 2, b"x");
        put_column(&mut old, 3, b"y");
        let mut new = Vec::new();
        put_column(&mut new, 1, b"k");
        let merged = merge(&old, &new, &[2], &[1, 2, 3]).unwrap();
        let ids: Vec<_> = columns(&merged).map(|c| c.unwrap().0).collect();
        assert_eq!(ids, [1, 3]);
    }
}
