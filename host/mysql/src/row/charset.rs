//! Character sets of the servers, to UTF-8.
//!
//! Row images hold text in the column's own character set. The UTF-8 ones are copied; single-byte ones go through a table
//! of 256 characters, East Asian ones through one of pairs. The tables are those of `encoding_rs` with the servers' deviations,
//! as tests against servers showed them. What a character set does not define becomes a question mark, and the value counts as replaced.

mod double;
mod older;
mod single;

use mysql_common::collations::{Collation, CollationId};

use double::Double;
use single::Table;

/// Stands for what has no meaning, as it does when a server converts text: a row of the binlog must look like the same row
/// read by a snapshot.
const UNKNOWN: char = '?';

/// Marks in tables what has no meaning: none but the byte 0 means this character, and that is ASCII.
const NONE: char = '\0';

/// How text of a column becomes UTF-8.
#[derive(Debug, Clone)]
pub(crate) enum Charset {
    /// It is UTF-8 already; whether it really is, the column checks later.
    Utf8,
    /// One character for each byte.
    Single(Table),
    /// One to four bytes a character.
    Multi(&'static Double),
    /// UTF-16 or UCS-2; true: most significant byte first.
    Utf16 { big_endian: bool },
    /// UTF-32, most significant byte first.
    Utf32,
}

impl Charset {
    /// The character set of this name. None when it is not known here, or is no text.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "utf8mb4" | "utf8mb3" | "utf8" => Some(Self::Utf8),
            "ucs2" | "utf16" => Some(Self::Utf16 { big_endian: true }),
            "utf16le" => Some(Self::Utf16 { big_endian: false }),
            "utf32" => Some(Self::Utf32),
            other => single::named(other).map(Self::Single).or_else(|| double::named(other).map(Self::Multi)),
        }
    }

    /// Appends `text` as UTF-8. False when something in it had to be replaced.
    pub(crate) fn write(&self, text: &[u8], out: &mut Vec<u8>) -> bool {
        match self {
            Self::Utf8 => {
                out.extend_from_slice(text);
                true
            }
            Self::Single(table) => table.write(text, out),
            Self::Multi(set) => set.write(text, out),
            Self::Utf16 { big_endian } => write_utf16(*big_endian, text, out),
            Self::Utf32 => write_utf32(text, out),
        }
    }

    /// The text as a string, with replacement characters where it is none; for statements and names, not for rows.
    pub(crate) fn decode(&self, text: &[u8]) -> String {
        let mut out = Vec::with_capacity(text.len());
        self.write(text, &mut out);
        String::from_utf8(out).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
    }
}

/// The name of the character set of a collation's number; `binary` for 63. None when the number is not known.
pub(crate) fn charset_of_collation(id: u16) -> Option<&'static str> {
    let collation = CollationId::from(id);
    if collation != CollationId::UNKNOWN_COLLATION_ID {
        return Some(charset_name(collation));
    }
    match id {
        // MariaDB: the same with NO PAD, then its own blocks of numbers; its source tree's `ctype-uca`.
        1025..=2047 => charset_of_collation(id - 1024),
        576..=607 | 2048..=2303 => Some("utf8mb3"),
        608..=639 | 2304..=2559 => Some("utf8mb4"),
        640..=671 | 2560..=2815 => Some("ucs2"),
        672..=703 | 2816..=3071 => Some("utf16"),
        736..=767 | 3072..=3327 => Some("utf32"),
        _ => None,
    }
}

fn charset_name(id: CollationId) -> &'static str {
    // `Collation<'static>` keeps its name behind a borrow of itself; the names are few.
    const NAMES: [&str; 42] = [
        "armscii8", "ascii", "big5", "binary", "cp1250", "cp1251", "cp1256", "cp1257", "cp850", "cp852",
        "cp866", "cp932", "dec8", "eucjpms", "euckr", "gb18030", "gb2312", "gbk", "geostd8", "greek",
        "hebrew", "hp8", "keybcs2", "koi8r", "koi8u", "latin1", "latin2", "latin5", "latin7", "macce",
        "macroman", "sjis", "swe7", "tis620", "ucs2", "ujis", "utf16", "utf16le", "utf32", "utf8mb3",
        "utf8mb4", "utf8",
    ];
    let collation = Collation::resolve(id);
    let name = collation.charset();
    NAMES.into_iter().find(|known| known.eq_ignore_ascii_case(name)).unwrap_or("utf8mb4")
}

fn push(c: char, out: &mut Vec<u8>) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn write_utf16(big_endian: bool, text: &[u8], out: &mut Vec<u8>) -> bool {
    let (units, odd) = text.as_chunks::<2>();
    let mut whole = odd.is_empty();
    let units =
        units.iter().map(|u| if big_endian { u16::from_be_bytes(*u) } else { u16::from_le_bytes(*u) });
    for c in char::decode_utf16(units) {
        whole &= c.is_ok();
        push(c.unwrap_or(UNKNOWN), out);
    }
    if !odd.is_empty() {
        push(UNKNOWN, out);
    }
    whole
}

fn write_utf32(text: &[u8], out: &mut Vec<u8>) -> bool {
    let (units, odd) = text.as_chunks::<4>();
    let mut whole = odd.is_empty();
    for unit in units {
        let c = char::from_u32(u32::from_be_bytes(*unit));
        whole &= c.is_some();
        push(c.unwrap_or(UNKNOWN), out);
    }
    if !odd.is_empty() {
        push(UNKNOWN, out);
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_out_as_utf8() {
        for (name, bytes, text, whole) in [
            ("latin1", &b"caf\xe9 \x80\x81"[..], "café €\u{81}", true),
            ("cp1251", b"\xcf\xf0\xe8", "При", true),
            ("gbk", b"\xc4\xe3\xba\xc3", "你好", true),
            ("sjis", b"\x83\x65\x83\x58\x83\x67", "テスト", true),
            ("big5", b"\xa7\x41", "你", true),
            ("euckr", b"\xc7\xd1", "한", true),
            ("ujis", b"\xc6\xfc", "日", true),
            ("gb18030", b"\x81\x30\x81\x30", "\u{80}", true),
            ("ucs2", b"\x00a\x04\x1f", "aП", true),
            ("utf16", b"\xd8\x3d\xde\x00", "😀", true),
            ("utf16le", b"\x3d\xd8\x00\xde", "😀", true),
            ("utf32", b"\x00\x01\xf6\x00", "😀", true),
            ("utf16", b"\xd8\x3d", "?", false),
            ("ucs2", b"\x00a\x00", "a?", false),
            ("gbk", b"a\xff", "a?", false),
            ("gbk", b"\xa1\x40\xc4\xe3", "?你", false),
            ("greek", b"\xa4\xe1?", "?α?", false),
        ] {
            let charset = Charset::named(name).expect(name);
            let mut out = b"x".to_vec();
            assert_eq!(charset.write(bytes, &mut out), whole, "{name}");
            assert_eq!(String::from_utf8_lossy(&out), format!("x{text}"), "{name}");
        }
    }

    #[test]
    fn collations_name_their_character_set() {
        for (id, name) in [
            (8, Some("latin1")),
            (33, Some("utf8mb3")),
            (45, Some("utf8mb4")),
            (63, Some("binary")),
            (255, Some("utf8mb4")),
            (1057, Some("utf8mb3")),
            (2304, Some("utf8mb4")),
            (2048, Some("utf8mb3")),
            (60_000, None),
        ] {
            assert_eq!(charset_of_collation(id), name, "{id}");
        }
    }
}
