//! What there is to know about one option. Parsing, checking and the reference all read these entries: an option that is
//! not in a table does not exist.

use super::kinds::{Expected, Kind, KindName};

/// What this version does with an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It does what it says.
    Works,
    /// It is read and changes nothing; why.
    NoEffect(&'static str),
    /// It is understood and not carried out, so any value but the one without effect is a fault; what to do instead.
    NotCarriedOut(&'static str),
}

/// One option in the reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionDoc {
    /// Where it is written: `source`, `sink`, `route[]`, `transform[]`, `transform[].plugin`, `pipeline`, …
    pub block: &'static str,
    /// Its name there.
    pub key: &'static str,
    /// Other spellings that are accepted.
    pub aliases: &'static [&'static str],
    /// What a value looks like.
    pub kind: String,
    /// The words that it may be, where it is one of a few.
    pub words: Vec<&'static str>,
    /// What counts when it is not written.
    pub default: Option<&'static str>,
    /// Whether it must be written.
    pub required: bool,
    /// What it means.
    pub meaning: &'static str,
    /// What this version does with it.
    pub status: Status,
    /// The written value that has no effect and is accepted without a word.
    pub no_op: Option<&'static str>,
}

/// What all options have, whatever their kind.
#[derive(Clone, Copy)]
pub(super) struct Head {
    pub key: &'static str,
    pub aliases: &'static [&'static str],
    pub kind: KindName,
    pub default: Option<&'static str>,
    pub required: bool,
    pub meaning: &'static str,
    pub status: Status,
    pub no_op: Option<&'static str>,
    /// Its value is not shown in messages.
    pub secret: bool,
    /// Its value is a list or a mapping.
    pub structured: bool,
    /// `${name}` in it is a capture group.
    pub template: bool,
}

impl Head {
    const fn new(key: &'static str, kind: KindName, meaning: &'static str) -> Self {
        Self {
            key,
            aliases: &[],
            kind,
            default: None,
            required: false,
            meaning,
            status: Status::Works,
            no_op: None,
            secret: false,
            structured: false,
            template: false,
        }
    }

    /// The entry in the reference.
    pub fn doc(&self, block: &'static str) -> OptionDoc {
        OptionDoc {
            block,
            key: self.key,
            aliases: self.aliases,
            kind: self.kind.to_string(),
            words: self.kind.words(),
            default: self.default,
            required: self.required,
            meaning: self.meaning,
            status: self.status,
            no_op: self.no_op,
        }
    }
}

/// An option whose value is a `T`. Defaults are texts, so that they go the same way as what is written; a test reads
/// every one of them.
pub(super) struct Opt<T> {
    pub head: Head,
    pub parse: fn(&str) -> Result<T, Expected>,
}

impl<T> Opt<T> {
    pub const fn new(key: &'static str, kind: Kind<T>, meaning: &'static str) -> Self {
        Self { head: Head::new(key, kind.name, meaning), parse: kind.parse }
    }

    /// Must be written.
    pub const fn required(mut self) -> Self {
        self.head.required = true;
        self
    }

    /// Counts when it is not written.
    pub const fn or(mut self, default: &'static str) -> Self {
        self.head.default = Some(default);
        self
    }

    /// Other spellings, the best first.
    pub const fn spelled(mut self, aliases: &'static [&'static str]) -> Self {
        self.head.aliases = aliases;
        self
    }

    /// Its value is never shown.
    pub const fn secret(mut self) -> Self {
        self.head.secret = true;
        self
    }

    /// `${name}` in it is a capture group.
    pub const fn template(mut self) -> Self {
        self.head.template = true;
        self
    }

    /// It is read and changes nothing.
    pub const fn no_effect(mut self, why: &'static str) -> Self {
        self.head.status = Status::NoEffect(why);
        self
    }

    /// It is understood and not carried out.
    pub const fn not_carried_out(mut self, instead: &'static str) -> Self {
        self.head.status = Status::NotCarriedOut(instead);
        self
    }

    /// This value is accepted without a word.
    pub const fn unless(mut self, no_op: &'static str) -> Self {
        self.head.no_op = Some(no_op);
        self
    }
}

/// An option whose value is a list or a mapping.
pub(super) struct Structure {
    pub head: Head,
}

impl Structure {
    pub const fn new(key: &'static str, kind: &'static str, meaning: &'static str) -> Self {
        let head = Head::new(key, KindName::Plain(kind), meaning);
        Self { head: Head { structured: true, ..head } }
    }

    /// It is understood and not carried out; an empty list or mapping is accepted.
    pub const fn not_carried_out(mut self, instead: &'static str) -> Self {
        self.head.status = Status::NotCarriedOut(instead);
        self
    }
}

/// An entry of a table of options.
pub(super) trait Described: Sync {
    fn head(&self) -> &Head;
    /// Whether a text is a value of this option.
    fn verify(&self, text: &str) -> Result<(), Expected>;
    /// Whether two texts are the same value.
    fn same(&self, a: &str, b: &str) -> bool;
}

impl<T: PartialEq> Described for Opt<T> {
    fn head(&self) -> &Head {
        &self.head
    }

    fn verify(&self, text: &str) -> Result<(), Expected> {
        (self.parse)(text).map(drop)
    }

    fn same(&self, a: &str, b: &str) -> bool {
        matches!(((self.parse)(a), (self.parse)(b)), (Ok(a), Ok(b)) if a == b)
    }
}

impl Described for Structure {
    fn head(&self) -> &Head {
        &self.head
    }

    /// A structure is checked by the one who reads it.
    fn verify(&self, _text: &str) -> Result<(), Expected> {
        Ok(())
    }

    fn same(&self, _a: &str, _b: &str) -> bool {
        false
    }
}

/// The options of one block.
pub(super) type Table = &'static [&'static dyn Described];
