//! When a watched file is worth reading.
//!
//! A file that is being written changes from one look to the next, so it is read when two looks in a row find the same that is not what
//! was read last. A copy that stops for longer than that is read half: it does not load, the old version stays, and the next change is
//! another one. A content is tried once, so that one that does not load is not told every second.

use std::path::Path;
use std::time::{Duration, SystemTime};

/// Between two looks. A change takes effect within two of them and the time of compiling; a look is one system call.
pub(super) const EVERY: Duration = Duration::from_secs(1);

/// What tells one content from another without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    bytes: u64,
    modified: Option<SystemTime>,
    /// The file's own number and the time of its last change of any kind, where the system has them.
    identity: (u64, i64, i64),
}

impl Stamp {
    /// None where there is no file now.
    pub fn of(path: &Path) -> Option<Self> {
        let found = std::fs::metadata(path).ok()?;
        Some(Self { bytes: found.len(), modified: found.modified().ok(), identity: identity(&found) })
    }
}

#[cfg(unix)]
fn identity(found: &std::fs::Metadata) -> (u64, i64, i64) {
    use std::os::unix::fs::MetadataExt as _;
    (found.ino(), found.ctime(), found.ctime_nsec())
}

#[cfg(not(unix))]
fn identity(_: &std::fs::Metadata) -> (u64, i64, i64) {
    (0, 0, 0)
}

/// One watched file. Nothing is known of it at first: it may have changed before anybody looked.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// What was read last.
    read: Option<Stamp>,
    /// What the last look found.
    seen: Option<Stamp>,
    /// The content that was tried last, or why it could not be read.
    tried: Option<String>,
}

impl Watch {
    /// Takes a look; whether the file is to be read now. A file that is gone is being replaced.
    pub fn has_changed(&mut self, now: Option<Stamp>) -> bool {
        let settled = now.is_some() && now == self.seen && now != self.read;
        if settled {
            self.read.clone_from(&now);
        }
        self.seen = now;
        settled
    }

    /// Whether a content has not just been tried.
    pub fn is_new(&mut self, content: &str) -> bool {
        let is_new = self.tried.as_deref() != Some(content);
        self.tried = Some(content.to_owned());
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(bytes: u64) -> Option<Stamp> {
        Some(Stamp { bytes, modified: None, identity: (1, 0, 0) })
    }

    #[test]
    fn a_file_is_read_once_when_it_stands_still() {
        let mut watch = Watch::default();
        let looks = [
            (stamp(10), false),
            (stamp(10), true),
            (stamp(10), false),
            (stamp(4), false),
            (stamp(8), false),
            (stamp(20), false),
            (stamp(20), true),
            (stamp(20), false),
            (None, false),
            (None, false),
            (stamp(20), false),
            (stamp(30), false),
            (stamp(30), true),
        ];
        for (number, (found, read)) in looks.into_iter().enumerate() {
            assert_eq!(watch.has_changed(found), read, "look {number}");
        }
    }

    #[test]
    fn a_content_is_tried_once_in_a_row() {
        let mut watch = Watch::default();
        let tried: Vec<bool> =
            ["a", "a", "b", "a"].into_iter().map(|content| watch.is_new(content)).collect();
        assert_eq!(tried, [true, false, true, true]);
    }
}
