//! What reads a pipeline file, for `host/fuzz` and for the tests beside this file.
//!
//! Each entry takes any bytes at all and comes back, quickly and without much memory, whatever they are. What must hold
//! beyond that is asserted here, so that the fuzzer and the tests look for the same mistakes. Not part of the crate's
//! interface: the feature `fuzzing` is for this repository alone.

#[cfg(test)]
mod tests;

use std::path::Path;

use sluicebox_model::TableId;

use crate::config::{self, ConfigError};
use crate::pattern::TablePatterns;

/// A pipeline file. It is loaded, or at least one fault is told, each at a line that the file has.
pub fn config_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if text.contains("file:") || text.contains("-file") {
        // Would read files of this machine.
        return;
    }
    let lines = text.lines().count() + 1;
    let environment = |name: &str| (name.len() < 8).then(|| format!("value of {name}"));
    match config::parse(text.to_owned(), Path::new("/nowhere/pipeline.yaml"), &environment) {
        Ok(loaded) => assert!(!loaded.pipeline.sink.project.is_empty()),
        Err(ConfigError::Faults(faults)) => {
            assert!(!faults.is_empty(), "a file is refused without a reason");
            for fault in faults {
                assert!(fault.line >= 1 && fault.line <= lines, "line {} of {lines}: {fault}", fault.line);
                assert!(!fault.message.contains("defect of the program"), "{fault}");
            }
        }
        Err(_) => {}
    }
}

/// A list of table patterns. What is read prints as it was written and is read again; matching comes to an end.
pub fn table_patterns(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(patterns) = TablePatterns::parse(text) else { return };
    let again = TablePatterns::parse(&patterns.to_string()).expect("what was read before");
    for table in [TableId::new("app_db", "orders"), TableId::new("", ""), TableId::new("d", "ünïcode_1")] {
        assert_eq!(patterns.matches(&table), again.matches(&table), "{text}");
    }
}
