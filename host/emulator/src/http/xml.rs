//! The little XML that the service speaks.

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::fault::Fault;

/// Nesting of request documents; the deepest one has eight levels.
const MAX_DEPTH: usize = 32;
/// Bytes of an element's path; the longest one of the service has 44. Every element's path is kept, so a long name above
/// many elements would take any amount of memory.
const MAX_PATH_BYTES: usize = 256;

/// Text with the five reserved characters replaced. Characters that XML cannot carry are left out.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\'' => out.push_str("&apos;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' | ' '.. => out.push(character),
            _ => {}
        }
    }
    out
}

/// `<name>text</name>`.
pub(crate) fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", escape(text))
}

/// Text in a CDATA section; its end mark inside is split over two.
pub(crate) fn cdata(text: &str) -> String {
    format!("<![CDATA[{}]]>", text.replace("]]>", "]]]]><![CDATA[>"))
}

/// The texts of a document's elements, with their path: `Instance/Job/Tasks/SQL/Query`.
pub(crate) fn texts(body: &[u8]) -> Result<Vec<(String, String)>, Fault> {
    let broken = || Fault::Invalid("the body is not the XML it should be".to_owned());
    let document = std::str::from_utf8(body).map_err(|_| broken())?;
    let mut reader = Reader::from_str(document);
    let mut path: Vec<String> = Vec::new();
    let mut text = String::new();
    let mut found = Vec::new();
    loop {
        match reader.read_event().map_err(|_| broken())? {
            Event::Start(start) => {
                let bytes: usize = path.iter().map(|name| name.len() + 1).sum();
                if path.len() >= MAX_DEPTH || bytes + start.name().as_ref().len() > MAX_PATH_BYTES {
                    return Err(broken());
                }
                path.push(String::from_utf8_lossy(start.local_name().as_ref()).into_owned());
                text.clear();
            }
            Event::Text(part) => text.push_str(&part.decode().map_err(|_| broken())?),
            Event::CData(part) => text.push_str(&part.decode().map_err(|_| broken())?),
            Event::GeneralRef(reference) => match reference.resolve_char_ref().map_err(|_| broken())? {
                Some(character) => text.push(character),
                None => text.push_str(entity(&reference.decode().map_err(|_| broken())?).ok_or_else(broken)?),
            },
            Event::End(_) => {
                found.push((path.join("/"), std::mem::take(&mut text)));
                path.pop();
            }
            Event::Eof if path.is_empty() => return Ok(found),
            Event::Eof => return Err(broken()),
            _ => {}
        }
    }
}

fn entity(name: &str) -> Option<&'static str> {
    match name {
        "lt" => Some("<"),
        "gt" => Some(">"),
        "amp" => Some("&"),
        "apos" => Some("'"),
        "quot" => Some("\""),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_text_and_cdata_are_read_alike() {
        let statement = "select 'a<b' & \"c]]>\" from t;";
        for body in [
            format!("<?xml version=\"1.0\"?><A><Q>{}</Q></A>", escape(statement)),
            format!("<A>\n <Q>{}</Q></A>", cdata(statement)),
        ] {
            let found = texts(body.as_bytes()).unwrap();
            assert_eq!(found[0], ("A/Q".to_owned(), statement.to_owned()));
        }
        assert!(texts(b"<A><B></A>").is_err());
        assert!(texts(b"<A>").is_err());
        let long = "A".repeat(300);
        assert!(texts(format!("<{long}><B></B></{long}>").as_bytes()).is_err());
    }
}
