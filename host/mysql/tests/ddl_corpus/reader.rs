//! Reads the corpus; its form is told in `README.md`.

use std::path::Path;

/// The database whose tables are captured.
pub const CAPTURED: &str = "corpus";

/// One statement of the corpus.
#[derive(Debug, Clone)]
pub struct Case {
    /// File and line, for messages.
    pub place: String,
    pub marks: String,
    pub text: String,
    /// Marks of the servers it holds for, and what comes out.
    outcomes: Vec<(&'static str, String)>,
}

impl Case {
    /// Whether a server of this mark (`M` or `A`) takes the statement.
    pub fn is_for(&self, server: char) -> bool {
        self.marks.starts_with(['B', server])
    }

    pub fn has(&self, mark: char) -> bool {
        self.marks.contains(mark)
    }

    /// What comes out; empty when nothing does.
    pub fn outcome(&self, server: char) -> &str {
        let mut fitting = self.outcomes.iter().filter(|(servers, _)| servers.contains(server));
        fitting.next().map_or("", |(_, outcome)| outcome)
    }
}

/// The statements that make the tables.
pub fn setup() -> Vec<Case> {
    read(&directory().join("setup.sql"))
}

/// All statements, by file name and line.
pub fn cases() -> Vec<Case> {
    let mut files: Vec<_> = std::fs::read_dir(directory())
        .expect("the corpus")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "sql") && !path.ends_with("setup.sql"))
        .collect();
    files.sort();
    files.iter().flat_map(|file| read(file)).collect()
}

fn directory() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ddl_corpus")
}

fn read(path: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(path).expect("a file of the corpus");
    let file = path.file_name().expect("a name").to_string_lossy();
    let mut cases: Vec<Case> = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, l)| !l.is_empty() && !l.starts_with('#')) {
        let place = format!("{file}:{}", number + 1);
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match (word, cases.last_mut()) {
            ("", Some(case)) => {
                let more = line.strip_prefix("  ").unwrap_or_else(|| panic!("{place}: {line}"));
                case.text.push('\n');
                case.text.push_str(more);
            }
            ("=>", Some(case)) => case.outcomes.push(("MA", rest.to_owned())),
            ("=M>", Some(case)) => case.outcomes.push(("M", rest.to_owned())),
            ("=A>", Some(case)) => case.outcomes.push(("A", rest.to_owned())),
            _ => {
                let known =
                    word.starts_with(['B', 'M', 'A']) && word[1..].chars().all(|c| "qnxk".contains(c));
                assert!(known, "{place}: unknown mark in `{line}`");
                let (marks, text) = (word.to_owned(), rest.to_owned());
                cases.push(Case { place, marks, text, outcomes: Vec::new() });
            }
        }
    }
    cases
}
