//! Names and sizes of character sets, as far as they decide what a column is.

use std::sync::Arc;

/// The name as `information_schema` of newer servers shows it, in lower case: `utf8` is `utf8mb3`.
pub(crate) fn canonical(name: &str) -> Arc<str> {
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        "utf8" => "utf8mb3".into(),
        _ => name.into(),
    }
}

/// The character set that a collation belongs to; none for MariaDB's collations that go with several.
pub(crate) fn of_collation(collation: &str) -> Option<Arc<str>> {
    let collation = collation.to_ascii_lowercase();
    if collation == "binary" {
        return Some("binary".into());
    }
    if collation.starts_with("uca1400_") {
        return None;
    }
    let (charset, _) = collation.split_once('_')?;
    Some(canonical(charset))
}

/// Most bytes that one character takes.
pub(super) fn max_bytes(charset: &str) -> u64 {
    match charset {
        "utf8mb4" | "utf16" | "utf16le" | "utf32" | "gb18030" => 4,
        "utf8mb3" | "utf8" | "ujis" | "eucjpms" => 3,
        "ucs2" | "gbk" | "sjis" | "cp932" | "big5" | "euckr" | "gb2312" => 2,
        _ => 1,
    }
}
