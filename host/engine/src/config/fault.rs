//! What is wrong with a pipeline file, all of it at once, each with its place and the nearest known word.

use std::fmt;
use std::path::{Path, PathBuf};

use super::document::{Document, Place};

pub(super) use sluicebox_model::nearest;

/// Faults, or notes, that are shown one by one. Finding a place costs one parse of the file, and nobody mends more in
/// one go.
const MOST_SHOWN: usize = 100;

/// One thing wrong with a pipeline file. `Display` is one line: file, line, column, option, what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file, as it was named to [`load`](super::load).
    pub file: String,
    /// The option, e.g. `sink.bucket.buffer-size` or `route[1].sink-table`; entries of lists count from 0.
    pub path: String,
    /// Line of the offending key, from 1.
    pub line: usize,
    /// Column of the offending key, from 1.
    pub column: usize,
    /// What was expected, what was found. Never an expanded value, never a secret.
    pub message: String,
    /// The nearest known word.
    pub suggestion: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.suggestion {
            Some(word) => write!(f, "; did you mean `{word}`?"),
            None => Ok(()),
        }
    }
}

/// Something to say when a pipeline starts: a deprecated spelling, an option without effect, a default worth knowing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The option.
    pub path: String,
    /// Line of its key, from 1; none when it is not written.
    pub line: Option<usize>,
    /// What there is to say.
    pub message: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}: {}", self.path, self.message),
            None if self.path.is_empty() => f.write_str(&self.message),
            None => write!(f, "{}: {}", self.path, self.message),
        }
    }
}

/// A pipeline file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not one YAML document.
    #[error("{file}:{line}:{column}: not a YAML document: {message}")]
    Syntax {
        /// The file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What the parser said.
        message: String,
    },
    /// The file is YAML and not a pipeline; everything that is wrong with it, in the order of the file.
    #[error("{}", lines(.0))]
    Faults(Vec<Fault>),
}

fn lines(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n")
}

/// A fault or a note whose line is not looked up yet.
struct Finding {
    place: Option<Place>,
    path: String,
    message: String,
    suggestion: Option<String>,
}

/// Gathers faults and notes while a document is read.
#[derive(Default)]
pub(super) struct Findings {
    faults: Vec<Finding>,
    notes: Vec<Finding>,
}

impl Findings {
    /// Something is wrong at a place.
    pub fn fault(&mut self, place: &Place, path: impl Into<String>, message: impl Into<String>) {
        self.suggest(place, path, message, None);
    }

    /// Something is wrong at a place, and a known word is near.
    pub fn suggest(
        &mut self,
        place: &Place,
        path: impl Into<String>,
        message: impl Into<String>,
        suggestion: Option<String>,
    ) {
        self.faults.push(Finding::new(Some(place.clone()), path, message, suggestion));
    }

    /// Something is worth saying about what is written at a place.
    pub fn note(&mut self, place: &Place, path: impl Into<String>, message: impl Into<String>) {
        self.remark(Some(place.clone()), path, message);
    }

    /// Something is worth saying about what is not written.
    pub fn default_note(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.remark(None, path, message);
    }

    fn remark(&mut self, place: Option<Place>, path: impl Into<String>, message: impl Into<String>) {
        self.notes.push(Finding::new(place, path, message, None));
    }

    /// Looks the places up: the notes when nothing is wrong, else the faults; both in the order of the file.
    pub fn finish(self, document: &Document, file: &Path) -> Result<Vec<Note>, ConfigError> {
        if self.faults.is_empty() {
            let (unwritten, written) = self.notes.into_iter().partition(|n| n.place.is_none());
            let (written, more) = first(written);
            let mut notes: Vec<_> = written.into_iter().map(|n| n.into_note(document)).collect();
            let rest =
                Note { path: String::new(), line: None, message: format!("{more} more notes are not shown") };
            notes.extend((more > 0).then_some(rest));
            notes.extend(unwritten.into_iter().map(|n: Finding| n.into_note(document)));
            return Ok(notes);
        }
        let (faults, more) = first(self.faults);
        let mut faults: Vec<_> = faults.into_iter().map(|f| f.into_fault(document, file)).collect();
        if let (1.., Some(last)) = (more, faults.last()) {
            let message = format!("{more} more faults are not shown");
            faults.push(Fault { path: String::new(), message, suggestion: None, ..last.clone() });
        }
        Err(ConfigError::Faults(faults))
    }
}

/// The first findings in the order of the file, and how many are left out.
fn first(mut findings: Vec<Finding>) -> (Vec<Finding>, usize) {
    findings.sort_by(|a, b| a.place.cmp(&b.place));
    let more = findings.len().saturating_sub(MOST_SHOWN);
    findings.truncate(MOST_SHOWN);
    (findings, more)
}

impl Finding {
    fn new(
        place: Option<Place>,
        path: impl Into<String>,
        message: impl Into<String>,
        suggestion: Option<String>,
    ) -> Self {
        Self { place, path: one_line(&path.into()), message: one_line(&message.into()), suggestion }
    }

    fn into_note(self, document: &Document) -> Note {
        let line = self.place.map(|place| document.locate(&place).0);
        Note { path: self.path, line, message: self.message }
    }

    fn into_fault(self, document: &Document, file: &Path) -> Fault {
        let (line, column) = self.place.map_or((1, 1), |place| document.locate(&place));
        let file = file.display().to_string();
        Fault { file, path: self.path, line, column, message: self.message, suggestion: self.suggestion }
    }
}

/// Shows control characters as Rust writes them, so that what is quoted cannot break the line.
fn one_line(text: &str) -> String {
    let shown = |c: char| if c.is_control() { c.escape_default().collect() } else { c.to_string() };
    text.chars().map(shown).collect()
}
