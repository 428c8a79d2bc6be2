//! Rows as a table of text.

use std::fmt::Write as _;

/// Draws rows under their column names; a null is `NULL`.
pub fn draw(columns: &[String], rows: &[Vec<Option<String>>]) -> String {
    let cell = |value: &Option<String>| value.clone().unwrap_or_else(|| "NULL".to_owned());
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let longest = rows.iter().filter_map(|row| row.get(at)).map(|v| cell(v).chars().count()).max();
            longest.unwrap_or(0).max(name.chars().count())
        })
        .collect();
    let rule: String = widths.iter().map(|w| format!("+{}", "-".repeat(w + 2))).collect::<String>() + "+\n";
    let mut out = rule.clone();
    let mut line = |cells: Vec<String>| {
        for (text, width) in cells.iter().zip(&widths) {
            let pad = width - text.chars().count().min(*width);
            // Writing to a text cannot fail.
            let _ = write!(out, "| {text}{} ", " ".repeat(pad));
        }
        out.push_str("|\n");
    };
    line(columns.to_vec());
    let head = std::mem::take(&mut out);
    let mut body = String::new();
    for row in rows {
        for (at, width) in widths.iter().enumerate() {
            let text = row.get(at).map(cell).unwrap_or_default();
            let pad = width - text.chars().count().min(*width);
            let _ = write!(body, "| {text}{} ", " ".repeat(pad));
        }
        body.push_str("|\n");
    }
    format!("{head}{rule}{body}{rule}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_longest_value() {
        let rows = vec![vec![Some("1".into()), Some("beijing".into())], vec![Some("20".into()), None]];
        let drawn = draw(&["id".into(), "city".into()], &rows);
        let want = "+----+---------+\n| id | city    |\n+----+---------+\n| 1  | beijing |\n| 20 | NULL    |\n+----+---------+\n";
        assert_eq!(drawn, want);
    }
}
