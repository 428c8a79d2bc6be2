//! What is wrong with an expression, and where in its text.

use std::fmt;

use sluicebox_model::nearest;

/// Characters of an expression that a message shows on each side of the place it is about.
const SHOWN: usize = 24;

/// One thing wrong with an expression. `Display` is one line: what is wrong, where, the nearest known word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpressionError {
    /// What was expected, what was found.
    pub message: String,
    /// The nearest known word.
    pub suggestion: Option<String>,
    /// Byte offset in the text, and the part of the text around it with the place marked; none when it concerns the whole.
    pub place: Option<(usize, String)>,
}

impl ExpressionError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), suggestion: None, place: None }
    }

    /// Names the place in the text.
    pub(crate) fn at(mut self, text: &str, offset: usize) -> Self {
        self.place.get_or_insert_with(|| (offset, marked(text, offset)));
        self
    }

    /// Names the nearest known word, where one is near.
    pub(crate) fn near<'w>(mut self, word: &str, known: impl IntoIterator<Item = &'w str>) -> Self {
        self.suggestion = nearest(word, known).map(str::to_owned);
        self
    }
}

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some((_, shown)) = &self.place {
            write!(f, " at {shown}")?;
        }
        match &self.suggestion {
            Some(word) => write!(f, "; did you mean `{word}`?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ExpressionError {}

/// The text around a place, with a mark before it: `…CAST(id AS ▸INTEGR)`.
fn marked(text: &str, offset: usize) -> String {
    let offset = text.floor_char_boundary(offset.min(text.len()));
    let (before, behind) = text.split_at(offset);
    let skipped = before.chars().count().saturating_sub(SHOWN);
    let start: String = before.chars().skip(skipped).collect();
    let end: String = behind.chars().take(SHOWN).collect();
    let (cut_before, cut_behind) =
        (if skipped > 0 { "…" } else { "" }, if end.len() < behind.len() { "…" } else { "" });
    format!("`{cut_before}{start}▸{end}{cut_behind}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_marked_in_a_part_of_the_text() {
        assert_eq!(marked("a + ", 4), "`a + ▸`");
        let long = format!("{}é{}", "x".repeat(40), "y".repeat(40));
        let shown = marked(&long, 40);
        assert_eq!(shown, format!("`…{}▸é{}…`", "x".repeat(24), "y".repeat(23)));
        assert_eq!(marked("é", 1), "`▸é`", "never inside a character");
    }
}
