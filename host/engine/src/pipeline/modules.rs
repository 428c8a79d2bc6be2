//! Copies of the modules whose rows a restart may read again.
//!
//! A plugin's file can be replaced at any time, but rows between the checkpoint and a switch need the version from before it once more. So
//! each version's file is copied, by the SHA-256 of its content, before the version is recorded, and deleted when no checkpoint can need
//! it any more. A copy is written to a temporary file, synced and renamed, so it is whole or not there.

use std::collections::HashSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use sluicebox_wasm::PluginFile;

use crate::state::StateError;

/// The folder's name in the state directory.
const FOLDER: &str = "plugins";

/// The folder of copies.
#[derive(Debug, Clone)]
pub(super) struct Modules {
    folder: PathBuf,
}

impl Modules {
    /// The folder in a state directory. It is made when something is put into it.
    pub fn of(state: &Path) -> Self {
        Self { folder: state.join(FOLDER) }
    }

    /// Where the copy of a file is.
    pub fn path(&self, file_sha256: &str) -> PathBuf {
        self.folder.join(file_sha256)
    }

    /// Makes sure that a file is there.
    pub fn keep(&self, file: &PluginFile) -> Result<(), StateError> {
        let path = self.path(file.hash());
        if std::fs::metadata(&path).is_ok_and(|found| found.len() == file.bytes().len() as u64) {
            return Ok(());
        }
        self.write(&path, file.bytes())
            .map_err(|error| StateError::Directory { path: self.folder.clone(), reason: error.to_string() })
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        make_folder(&self.folder)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        std::fs::File::open(&self.folder)?.sync_all()
    }

    /// Deletes all but these. What cannot be deleted takes some room, and is told.
    pub fn keep_only(&self, needed: &HashSet<String>) {
        let Ok(found) = std::fs::read_dir(&self.folder) else { return };
        for entry in found.flatten() {
            if needed.contains(&*entry.file_name().to_string_lossy()) {
                continue;
            }
            if let Err(error) = std::fs::remove_file(entry.path()) {
                tracing::warn!(path = %entry.path().display(), %error, "a plugin's old version was not deleted");
            }
        }
    }
}

/// Folder and copies are for the user alone: compiled code may be among them, which is run only where no one else can put a file.
#[cfg(unix)]
fn make_folder(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn make_folder(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)
}
