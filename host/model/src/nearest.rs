//! The nearest known word, for messages about a word that is not known.

/// The known word nearest to `word`, when it is near enough to be what was meant: one edit for each three letters,
/// three at most, and never all letters. Letter case does not count.
pub fn nearest<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let lower = |text: &str| text.to_lowercase().chars().collect::<Vec<_>>();
    let word = lower(word);
    let reach = (word.len() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|candidate| (edits(&word, &lower(candidate)), candidate))
        .filter(|(distance, _)| *distance <= reach && *distance < word.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Damerau-Levenshtein distance (optimal string alignment): insertions, deletions, substitutions, swaps of neighbours.
fn edits(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &y) in b.iter().enumerate() {
            let mut best = (above[j] + usize::from(x != y)).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && x == b[j - 1] && a[i - 1] == y {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swap_is_one_edit() {
        for (a, b, want) in [
            ("", "", 0),
            ("", "abc", 3),
            ("tables", "tabels", 1),
            ("bukets-num", "buckets-num", 1),
            ("port", "prot", 1),
            ("kitten", "sitting", 3),
            ("ca", "abc", 3),
        ] {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            assert_eq!(edits(&chars(a), &chars(b)), want, "{a} {b}");
            assert_eq!(edits(&chars(b), &chars(a)), want, "{b} {a}");
        }
    }

    #[test]
    fn only_a_near_word_is_suggested() {
        let known = ["hostname", "port", "username", "password", "tables"];
        for (word, want) in [
            ("hostnme", Some("hostname")),
            ("Passwrod", Some("password")),
            ("prot", Some("port")),
            ("user", None),
            ("tablespaces", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), want, "{word}");
        }
    }
}
