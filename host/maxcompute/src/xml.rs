//! The service's XML documents as small trees.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// An element with its attributes, its own text and its children.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, String)>,
    /// The text directly inside, with CDATA taken literally.
    pub(crate) text: String,
    pub(crate) children: Vec<Element>,
}

/// How deep documents may nest; the service's own are no deeper than 8.
const MAX_DEPTH: usize = 64;

impl Element {
    /// Reads a document; the error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader::from_str(text);
        // The first entry stands for the document itself.
        let mut open = vec![Self::default()];
        loop {
            match reader.read_event().map_err(|fault| fault.to_string())? {
                Event::Start(start) => {
                    if open.len() >= MAX_DEPTH {
                        return Err("XML nested too deep".to_owned());
                    }
                    open.push(Self::opened(&start)?);
                }
                Event::Empty(start) => close(&mut open, Self::opened(&start)?)?,
                Event::End(_) => {
                    let element = open.pop().ok_or("XML with an end and no start")?;
                    close(&mut open, element)?;
                }
                Event::Text(text) => {
                    top(&mut open)?.text.push_str(&text.decode().map_err(|fault| fault.to_string())?);
                }
                Event::CData(text) => {
                    top(&mut open)?.text.push_str(&text.decode().map_err(|fault| fault.to_string())?);
                }
                Event::GeneralRef(entity) => {
                    let name = entity.decode().map_err(|fault| fault.to_string())?;
                    let character = match entity.resolve_char_ref().map_err(|fault| fault.to_string())? {
                        Some(character) => character,
                        None => named(&name).ok_or_else(|| format!("XML with an unknown entity `{name}`"))?,
                    };
                    top(&mut open)?.text.push(character);
                }
                Event::Eof => break,
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            }
        }
        let document = open.pop().filter(|_| open.is_empty()).ok_or("XML that ends inside an element")?;
        document.children.into_iter().next().ok_or_else(|| "no XML element".to_owned())
    }

    fn opened(start: &BytesStart<'_>) -> Result<Self, String> {
        let name = String::from_utf8_lossy(start.local_name().as_ref()).into_owned();
        let mut attributes = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|fault| fault.to_string())?;
            let value = attribute.unescape_value().map_err(|fault| fault.to_string())?;
            let key = String::from_utf8_lossy(attribute.key.local_name().as_ref()).into_owned();
            attributes.push((key, value.into_owned()));
        }
        Ok(Self { name, attributes, text: String::new(), children: Vec::new() })
    }

    /// The first child of this name.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All children of this name.
    pub(crate) fn children<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The trimmed text of the first child of this name; empty when there is none.
    pub(crate) fn text_of(&self, name: &str) -> &str {
        self.child(name).map_or("", |child| child.text.trim())
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

fn top(open: &mut [Element]) -> Result<&mut Element, String> {
    open.last_mut().ok_or_else(|| "XML with an end and no start".to_owned())
}

fn close(open: &mut [Element], element: Element) -> Result<(), String> {
    top(open)?.children.push(element);
    Ok(())
}

fn named(entity: &str) -> Option<char> {
    match entity {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => None,
    }
}

/// Escapes a text for XML.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '\'' => escaped.push_str("&apos;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_out_as_they_went_in() {
        for text in ["", "a", "<&>'\"", "]]", "&amp;", "\u{4e2d} \u{1f600}", "a\n b"] {
            let document = Element::parse(&format!("<A><B>{}</B></A>", escape(text))).unwrap();
            assert_eq!(document.child("B").unwrap().text, text, "{text:?}");
        }
    }

    #[test]
    fn documents_of_the_service_are_read() {
        let document = Element::parse(
            "<?xml version=\"1.0\"?>\n<T a=\"1 &lt; 2\"><!-- c --><N/><S><![CDATA[{\"x\": \"<&\"}]]></S>\n\
             <S> &#20013;&#x4e2d; </S></T>\n",
        )
        .unwrap();
        assert_eq!(document.attribute("a"), Some("1 < 2"));
        assert_eq!(document.text_of("N"), "");
        assert_eq!(document.text_of("absent"), "");
        assert_eq!(
            document.children("S").map(|child| child.text.trim()).collect::<Vec<_>>(),
            ["{\"x\": \"<&\"}", "\u{4e2d}\u{4e2d}"]
        );
    }

    #[test]
    fn broken_documents_are_refused() {
        let deep = "<a>".repeat(100) + &"</a>".repeat(100);
        for text in ["", "text", "<a>", "<a></b>", "</a>", "<a>&unknown;</a>", "{\"Code\":1}", &deep] {
            assert!(Element::parse(text).is_err(), "{text:?}");
        }
    }
}
