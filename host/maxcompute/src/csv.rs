//! Query results as the service writes them: commas, `"` around values that need it (`""` for a quote inside), and
//! an unquoted `\N` for null.

/// Reads all lines; the first one is the header. Values in quotes are never null.
pub(crate) fn parse(text: &str) -> Result<Vec<Vec<Option<String>>>, &'static str> {
    let mut rows = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut row = Vec::new();
        loop {
            let (value, behind) = value(rest)?;
            row.push(value);
            if let Some(next) = behind.strip_prefix(',') {
                rest = next;
                continue;
            }
            let end = behind.strip_prefix('\r').unwrap_or(behind);
            rest = match end.strip_prefix('\n') {
                Some(next) => next,
                None if end.is_empty() => end,
                None => return Err("CSV with text behind a quoted value"),
            };
            break;
        }
        rows.push(row);
    }
    Ok(rows)
}

/// One value, and the text behind it.
fn value(text: &str) -> Result<(Option<String>, &str), &'static str> {
    let Some(mut quoted) = text.strip_prefix('"') else {
        let end = text.find([',', '\n']).unwrap_or(text.len());
        let (value, _) = text.split_at(end);
        let value = if text[end..].starts_with(',') { value } else { value.trim_end_matches('\r') };
        return Ok(((value != "\\N").then(|| value.to_owned()), &text[value.len()..]));
    };
    let mut value = String::new();
    loop {
        let end = quoted.find('"').ok_or("CSV with a quote that is not closed")?;
        value.push_str(&quoted[..end]);
        quoted = &quoted[end + 1..];
        match quoted.strip_prefix('"') {
            Some(next) => {
                value.push('"');
                quoted = next;
            }
            None => return Ok((Some(value), quoted)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_nulls_and_quotes_are_told_apart() {
        let some = |text: &str| Some(text.to_owned());
        let cases = [
            ("", vec![]),
            ("a\n", vec![vec![some("a")]]),
            ("a", vec![vec![some("a")]]),
            ("a,b\r\n1,2\r\n", vec![vec![some("a"), some("b")], vec![some("1"), some("2")]]),
            ("\\N,\"\\N\"\n", vec![vec![None, some("\\N")]]),
            ("\"a\"\"b\",\"x,y\"\n", vec![vec![some("a\"b"), some("x,y")]]),
            ("\"line\nbreak\",\n", vec![vec![some("line\nbreak"), some("")]]),
            ("\"\"\n\n", vec![vec![some("")], vec![some("")]]),
            ("\u{4e2d},\\N\r\n", vec![vec![some("\u{4e2d}"), None]]),
        ];
        for (text, want) in cases {
            assert_eq!(parse(text), Ok(want), "{text:?}");
        }
        for text in ["\"open", "\"a\"b\n", "\"a\" ,b\n"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
