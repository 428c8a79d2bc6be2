//! The text of a request that its signature covers.

/// Builds the string to sign, lines joined by a line feed:
///
/// 1. the method;
/// 2. `content-md5`, `content-type` and `date` as bare values (an empty line where absent), and all headers whose
///    name begins with `x-odps-` as `name:value`, sorted by name; query parameters with such a name count as well;
/// 3. `path`, and behind a `?` the query parameters, sorted by name. One without a value is its name alone.
///
/// `path` is without the path of the endpoint; it and the values of `query` are as they are before percent-encoding.
/// Other headers are not covered.
pub fn string_to_sign<'a>(
    method: &str,
    path: &str,
    query: &[(&'a str, &'a str)],
    headers: &[(&'a str, &'a str)],
) -> String {
    let is_signed = |name: &str| name.starts_with("x-odps-");
    let mut lines: Vec<(String, &str)> = ["content-md5", "content-type", "date"]
        .map(|name| {
            let sent = headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
            (name.to_owned(), sent.map_or("", |(_, value)| *value))
        })
        .into();
    for (name, value) in headers.iter().chain(query) {
        let name = name.to_ascii_lowercase();
        if is_signed(&name) {
            lines.push((name, value));
        }
    }
    lines.sort();

    let mut text = format!("{method}\n");
    for (name, value) in lines {
        if is_signed(&name) {
            text.push_str(&name);
            text.push(':');
        }
        text.push_str(value);
        text.push('\n');
    }
    text.push_str(path);
    let mut query = query.to_vec();
    query.sort_unstable();
    for (index, (name, value)) in query.into_iter().enumerate() {
        text.push(if index == 0 { '?' } else { '&' });
        text.push_str(name);
        if !value.is_empty() {
            text.push('=');
            text.push_str(value);
        }
    }
    text
}
