//! Which bucket a row belongs to.
//!
//! bucket = fold(wrapping sum of the key columns' hashes) mod bucket count. The functions are those of
//! the `default` hasher, the only one the emulator's sessions name.

use super::cursor::Malformed;
use super::decimal::Decimal;
use super::types::Type;
use super::value::Primitive;

/// Hash of a 64-bit number; all shifts to the right keep the sign.
fn hash_long(value: i64) -> i32 {
    let mut l = (!value).wrapping_add(value.wrapping_shl(18));
    l ^= l >> 31;
    l = l.wrapping_mul(21);
    l ^= l >> 11;
    l = l.wrapping_add(l.wrapping_shl(6));
    l ^= l >> 22;
    low_half(l)
}

fn low_half(value: i64) -> i32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    i32::from_le_bytes([a, b, c, d])
}

/// Hash of bytes, each taken as signed.
fn hash_bytes(bytes: impl Iterator<Item = u8>) -> i32 {
    let mut h = 0i32;
    for byte in bytes {
        h = h.wrapping_add(i32::from(byte.cast_signed()));
        h = h.wrapping_add(h.wrapping_shl(10));
        h ^= h >> 6;
    }
    h = h.wrapping_add(h.wrapping_shl(3));
    h ^= h >> 11;
    h.wrapping_add(h.wrapping_shl(15))
}

/// Printable ASCII except `=` as it is, tab and space too, all else as `=XX`: what the Java client hashes.
fn quoted_printable(bytes: &[u8]) -> impl Iterator<Item = u8> + '_ {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    bytes.iter().flat_map(|&byte| {
        let plain = byte == b'\t' || ((b' '..=b'~').contains(&byte) && byte != b'=');
        let text = if plain {
            [byte, 0, 0]
        } else {
            [b'=', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]
        };
        text.into_iter().take(if plain { 1 } else { 3 })
    })
}

fn hash_decimal(text: &[u8], precision: u8, scale: u8) -> Result<i32, Malformed> {
    let unscaled = Decimal::parse(text)
        .and_then(|d| d.at_scale(scale.into()))
        .ok_or_else(|| Malformed::new("a decimal key is not a number"))?;
    let bytes = unscaled.to_le_bytes();
    let half = |at: usize| {
        let mut part = [0u8; 8];
        part.copy_from_slice(&bytes[at..at + 8]);
        i64::from_le_bytes(part)
    };
    if precision <= 18 {
        Ok(hash_long(half(0)))
    } else {
        Ok(hash_long(half(0)).wrapping_add(hash_long(half(8))))
    }
}

/// Hash of one key column.
pub(crate) fn hash_key(kind: &Type, value: Primitive<'_>) -> Result<i32, Malformed> {
    Ok(match (kind, value) {
        (Type::Date, Primitive::Int(days)) => hash_long(days.wrapping_mul(86_400)),
        (Type::Boolean, Primitive::Bool(true)) => 0x172B_A9C7,
        (Type::Boolean, Primitive::Bool(false)) => -0x3A59_CB12,
        (_, Primitive::Int(number)) => hash_long(number),
        (_, Primitive::Float(number)) => hash_long(i64::from(number.to_bits().cast_signed())),
        (_, Primitive::Double(number)) => hash_long(number.to_bits().cast_signed()),
        (_, Primitive::Stamp { seconds, nanos }) => hash_long(seconds.wrapping_shl(30) | i64::from(nanos)),
        (Type::Decimal { precision, scale }, Primitive::Bytes(text)) => {
            hash_decimal(text, *precision, *scale)?
        }
        (Type::Binary, Primitive::Bytes(bytes)) => hash_bytes(quoted_printable(bytes)),
        (_, Primitive::Bytes(bytes)) => hash_bytes(bytes.iter().copied()),
        (_, Primitive::Bool(_) | Primitive::Nested) => {
            return Err(Malformed::new("a key column has a type without a hash"));
        }
    })
}

/// The bucket of a row whose key hashes add up to `sum`.
pub(crate) fn bucket_of(sum: i32, bucket_count: u32) -> u32 {
    // The low 31 bits of the arithmetic fold: x xor (x >> 8) keeps the sign bit clear for every x.
    let folded = (sum ^ (sum >> 8)).cast_unsigned();
    folded % bucket_count.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_keys_hash_as_the_official_clients_do() {
        assert_eq!(hash_key(&Type::TinyInt, Primitive::Int(1)), Ok(357_654_460));
        assert_eq!(hash_key(&Type::TinyInt, Primitive::Int(-1)), Ok(357_653_185));
        assert_eq!(hash_key(&Type::TinyInt, Primitive::Int(127)), Ok(-1_788_925_397));
        assert_eq!(bucket_of(-1_788_925_397, 1024), 257);
        assert_eq!(bucket_of(357_654_460, 7), 6);
    }

    /// Every recorded vector that the Java client (0.52.3) returned with the `default` hasher.
    #[test]
    fn recorded_keys_hash_as_the_official_clients_do() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/maxcompute/bucket-hash.json");
        let document: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let mut checked = 0;
        for vector in document["vectors"].as_array().unwrap() {
            let by_java = vector["agreed_by"].as_array().unwrap().iter().any(|who| who == "java-0.52.3");
            if vector["hasher"] != "default" || !by_java {
                continue;
            }
            let mut sum = 0i32;
            for (index, part) in vector["key"].as_array().unwrap().iter().enumerate() {
                let kind = Type::parse(part["type"].as_str().unwrap()).unwrap();
                let bytes = key_bytes(&kind, part);
                let hash = hash_key(&kind, primitive(&kind, part, &bytes)).unwrap();
                assert_eq!(i64::from(hash), vector["hash"][index].as_i64().unwrap(), "{vector}");
                sum = sum.wrapping_add(hash);
            }
            for (buckets, want) in vector["bucket"].as_object().unwrap() {
                let bucket = bucket_of(sum, buckets.parse().unwrap());
                assert_eq!(u64::from(bucket), want.as_u64().unwrap(), "{vector}");
            }
            checked += 1;
        }
        assert!(checked > 60, "only {checked} vectors apply");
    }

    fn key_bytes(kind: &Type, part: &serde_json::Value) -> Vec<u8> {
        let text = part["value"].as_str().unwrap_or_default();
        if *kind == Type::Binary {
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
        } else {
            text.as_bytes().to_vec()
        }
    }

    fn primitive<'a>(kind: &Type, part: &serde_json::Value, bytes: &'a [u8]) -> Primitive<'a> {
        let text = part["value"].as_str().unwrap();
        let bits = || u64::from_str_radix(part["bits_hex"].as_str().unwrap(), 16).unwrap();
        match kind {
            Type::Boolean => Primitive::Bool(text == "true"),
            Type::Float => Primitive::Float(f32::from_bits(bits().try_into().unwrap())),
            Type::Double => Primitive::Double(f64::from_bits(bits())),
            Type::Date => Primitive::Int(part["epoch_days"].as_i64().unwrap()),
            Type::DateTime => Primitive::Int(part["epoch_ms"].as_i64().unwrap()),
            Type::Timestamp | Type::TimestampNtz => Primitive::Stamp {
                seconds: part["seconds"].as_i64().unwrap(),
                nanos: part["nanos"].as_i64().unwrap().try_into().unwrap(),
            },
            kind if kind.integer_range().is_some() => Primitive::Int(text.parse().unwrap()),
            _ => Primitive::Bytes(bytes),
        }
    }
}
