//! Labels of `ENUM` and `SET` columns: those of the schema, checked against those that a table map brings.
//!
//! Values are numbers in a row, so labels that came to stand in another order make other values of the same bytes, and nothing else in
//! the rows shows it. Where a map brings labels (`binlog_row_metadata=FULL`) they must be the known ones, and values become those of
//! the map: servers keep their catalogs in three bytes a character, which show a question mark for what takes four.

use super::charset::{Charset, charset_of_collation};

/// What a catalog shows for a character that it has no place for.
const NO_PLACE: char = '?';

/// The labels that values stand for. `written`: those of the map with the collation that they are written in. Gives in words what does
/// not fit.
pub(super) fn labels(
    declared: Vec<String>,
    written: Option<(&[Vec<u8>], Option<u16>)>,
    charset: Option<&str>,
) -> Result<Vec<Box<str>>, String> {
    let Some((written, collation)) = written else {
        return Ok(declared.into_iter().map(String::into_boxed_str).collect());
    };
    let name = collation.and_then(charset_of_collation).or(charset).unwrap_or("utf8mb4");
    let charset = Charset::named(name);
    let mut found = Vec::with_capacity(written.len());
    for (place, label) in written.iter().enumerate() {
        let known = declared.get(place);
        // What is in no known character set can be compared where it is ASCII.
        let text = match &charset {
            Some(charset) => charset.decode(label),
            None if label.is_ascii() => Charset::Utf8.decode(label),
            None => known.cloned().unwrap_or_default(),
        };
        if known.is_none_or(|known| !is_same(known, &text)) {
            return Err(differs(place, known.map(String::as_str), Some(&text)));
        }
        found.push(text.into_boxed_str());
    }
    match declared.get(written.len()) {
        Some(known) => Err(differs(written.len(), Some(known), None)),
        None => Ok(found),
    }
}

fn is_same(known: &str, written: &str) -> bool {
    let shown = |c: char| if c.len_utf8() > 3 { NO_PLACE } else { c };
    known == written || known.chars().map(shown).eq(written.chars().map(shown))
}

fn differs(place: usize, known: Option<&str>, written: Option<&str>) -> String {
    let quoted = |label: Option<&str>| label.map_or_else(|| "none".to_owned(), |l| format!("'{l}'"));
    format!("its label {} is known as {}, and is {} in its rows", place + 1, quoted(known), quoted(written))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(
        declared: &[&str],
        written: &[&[u8]],
        collation: Option<u16>,
        charset: Option<&str>,
    ) -> Result<Vec<String>, String> {
        let declared = declared.iter().map(|l| (*l).to_owned()).collect();
        let written: Vec<Vec<u8>> = written.iter().map(|l| l.to_vec()).collect();
        let found = labels(declared, Some((&written, collation)), charset)?;
        Ok(found.into_iter().map(String::from).collect())
    }

    #[test]
    fn labels_are_compared_in_their_own_character_set() {
        let latin1 = Some(8);
        for (declared, written, collation, charset) in [
            (&["a", "é"][..], &[&b"a"[..], b"\xe9"][..], latin1, Some("utf8mb4")),
            (&["ж", "x"], &[b"\xe6", b"x"], None, Some("cp1251")),
            (&["ü"], &[b"\x00\xfc"], Some(35), None),
            (&["größe"], &["größe".as_bytes()], None, None),
            // cp850, which is not decoded here.
            (&["é", "x"], &[b"\x82", b"x"], Some(4), None),
        ] {
            let found = found(declared, written, collation, charset);
            assert_eq!(found.as_deref(), Ok(&*declared.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>()));
        }
    }

    #[test]
    fn other_labels_are_told() {
        for (written, place) in [
            (&[&b"b"[..], b"a"][..], "label 1 is known as 'a', and is 'b'"),
            (&[b"a"], "label 2 is known as 'b', and is none"),
            (&[b"a", b"b", b"c"], "label 3 is known as none, and is 'c'"),
            (&[b"a", b"B"], "label 2 is known as 'b', and is 'B'"),
        ] {
            let fault = found(&["a", "b"], written, Some(4), None).expect_err(place);
            assert!(fault.contains(place), "{fault}");
        }
    }

    #[test]
    fn characters_that_a_catalog_has_no_place_for_come_from_the_map() {
        let found = |declared| found(&[declared], &["a😀".as_bytes()], Some(45), None);
        assert_eq!(found("a?"), Ok(vec!["a😀".to_owned()]));
        assert_eq!(found("a😀"), Ok(vec!["a😀".to_owned()]));
        assert!(found("a!").is_err());
    }
}
