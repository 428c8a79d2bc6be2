//! Compiled plugins on disk, so that a start takes a tenth of a millisecond instead of a compilation.
//!
//! An entry is native code that will run in this process: whoever can write the folder runs code as this user. So the
//! folder must belong to the user and be closed to everyone else, which is checked when it is opened, and an entry must
//! too, which is checked when it is read. Beyond that an entry carries the SHA-256 of its key and its code: a torn,
//! damaged or swapped entry is not run but compiled anew. The key names everything that the code depends on: the
//! plugin's own SHA-256, and wasmtime's version, settings and processor features.
//!
//! Order: an entry is written to a temporary file and renamed, so that a crash, or another process that compiles the same,
//! leaves the old entry, the new one, or none. An entry that cannot be written costs the next start a compilation.

use std::collections::HashSet;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use wasmtime::component::Component;

use crate::WasmError;

/// First bytes of an entry; changes with its form.
const MAGIC: &[u8; 16] = b"sluicebox-wasm-1";
const DIGEST_BYTES: usize = 32;

/// A folder of compiled plugins.
#[derive(Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// Opens the folder, making it when it is missing.
    pub(crate) fn open(folder: PathBuf) -> Result<Self, WasmError> {
        let refuse = |reason: String| WasmError::CacheFolder { folder: folder.clone(), reason };
        make_folder(&folder).map_err(|error| refuse(error.to_string()))?;
        let found = fs::metadata(&folder).map_err(|error| refuse(error.to_string()))?;
        if !found.is_dir() {
            return Err(refuse("it is not a folder".into()));
        }
        closed_to_others(&found)
            .map_err(|reason| refuse(format!("{reason}; compiled code there would be run")))?;
        Ok(Self { folder })
    }

    /// The compiled plugin, when it is there and whole.
    pub(crate) fn load(&self, engine: &wasmtime::Engine, plugin_hash: &str) -> Option<Component> {
        let path = self.path(engine, plugin_hash);
        let code = match read_entry(&path) {
            Ok(code) => code?,
            Err(reason) => {
                tracing::warn!(path = %path.display(), %reason, "compiled plugin not used, compiling anew");
                return None;
            }
        };
        match deserialize(engine, &code) {
            Ok(component) => Some(component),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "compiled plugin not used, compiling anew");
                None
            }
        }
    }

    /// Keeps a compiled plugin. Failing is not an error: it costs the next start a compilation.
    pub(crate) fn store(&self, engine: &wasmtime::Engine, plugin_hash: &str, component: &Component) {
        let path = self.path(engine, plugin_hash);
        let written = component
            .serialize()
            .map_err(|error| error.to_string())
            .and_then(|code| write_entry(&self.folder, &path, &code).map_err(|error| error.to_string()));
        if let Err(error) = written {
            tracing::warn!(path = %path.display(), %error, "compiled plugin not kept");
        }
    }

    /// Deletes all but what these plugins were compiled to. What cannot be deleted takes some room, and is told.
    pub(crate) fn keep_only(&self, plugin_hashes: &HashSet<String>) {
        let Ok(found) = fs::read_dir(&self.folder) else { return };
        for entry in found.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let hash = name.split('-').next().unwrap_or_default();
            if !name.ends_with(".compiled") || plugin_hashes.contains(hash) {
                continue;
            }
            if let Err(error) = fs::remove_file(entry.path()) {
                tracing::warn!(path = %entry.path().display(), %error, "compiled plugin not deleted");
            }
        }
    }

    fn path(&self, engine: &wasmtime::Engine, plugin_hash: &str) -> PathBuf {
        // Without random keys: one build of this program gives one name on one kind of machine.
        let mut hasher = std::hash::DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        self.folder.join(format!("{plugin_hash}-{:016x}.compiled", hasher.finish()))
    }
}

/// The user's own folder for compiled plugins, where the environment names one.
pub(crate) fn of_user() -> Option<PathBuf> {
    let named = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let caches = named("XDG_CACHE_HOME").or_else(|| Some(named("HOME")?.join(".cache")))?;
    caches.is_absolute().then(|| caches.join("sluicebox").join("compiled-plugins"))
}

/// Removes the oldest entries beyond so many bytes. What cannot be removed stays: it is in nobody's way.
pub(crate) fn leave_newest(folder: &Path, most: u64) {
    let Ok(files) = fs::read_dir(folder) else { return };
    let dated = |file: fs::DirEntry| {
        let found = file.metadata().ok()?;
        Some((found.modified().ok()?, found.len(), file.path()))
    };
    let mut entries: Vec<_> = files.flatten().filter_map(dated).collect();
    entries.sort_unstable();
    let mut kept = 0_u64;
    for (_, bytes, path) in entries.iter().rev() {
        kept = kept.saturating_add(*bytes);
        if kept > most
            && let Err(error) = fs::remove_file(path)
        {
            tracing::debug!(path = %path.display(), %error, "old compiled plugin not removed");
        }
    }
}

#[cfg(unix)]
fn make_folder(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn make_folder(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)
}

#[cfg(unix)]
pub(crate) fn closed_to_others(found: &fs::Metadata) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt as _;
    let user = rustix::process::geteuid().as_raw();
    if found.uid() != user {
        return Err(format!("it belongs to user {}, not to user {user}", found.uid()));
    }
    if found.mode() & 0o022 != 0 {
        return Err(format!("others can write to it (mode {:03o}, should be 700)", found.mode() & 0o777));
    }
    Ok(())
}

/// Whether files in a folder stay what they are: no one but this user and the system's can take one away or put another in its place.
#[cfg(unix)]
pub(crate) fn folder_keeps_files(found: &fs::Metadata) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt as _;
    let user = rustix::process::geteuid().as_raw();
    if found.uid() != user && found.uid() != 0 {
        return Err(format!("its folder belongs to user {}, not to user {user}", found.uid()));
    }
    // With the sticky bit only a file's owner can take it away.
    if found.mode() & 0o022 != 0 && found.mode() & 0o1000 == 0 {
        return Err(format!("others can put files into its folder (mode {:03o})", found.mode() & 0o777));
    }
    Ok(())
}

#[cfg(not(unix))]
pub(crate) fn folder_keeps_files(_: &fs::Metadata) -> Result<(), String> {
    Err("this system's permissions are not known here".into())
}

#[cfg(not(unix))]
pub(crate) fn closed_to_others(_: &fs::Metadata) -> Result<(), String> {
    Err("this system's permissions are not known here".into())
}

fn digest(name: &str, code: &[u8]) -> [u8; DIGEST_BYTES] {
    Sha256::new()
        .chain_update(MAGIC)
        .chain_update(name)
        .chain_update([0])
        .chain_update(code)
        .finalize()
        .into()
}

fn entry_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// None when there is no entry.
fn read_entry(path: &Path) -> Result<Option<Vec<u8>>, String> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    closed_to_others(&file.metadata().map_err(|error| error.to_string())?)?;
    let mut entry = Vec::new();
    file.read_to_end(&mut entry).map_err(|error| error.to_string())?;
    let (kept, code) = entry
        .strip_prefix(MAGIC)
        .and_then(|rest| rest.split_first_chunk::<DIGEST_BYTES>())
        .ok_or("it is no compiled plugin")?;
    if *kept != digest(&entry_name(path), code) {
        return Err("it is damaged".into());
    }
    Ok(Some(code.to_vec()))
}

fn write_entry(folder: &Path, path: &Path, code: &[u8]) -> std::io::Result<()> {
    // A file for the user alone, which the folder's check has made sure is ours.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(MAGIC)?;
    file.write_all(&digest(&entry_name(path), code))?;
    file.write_all(code)?;
    file.persist(path)?;
    Ok(())
}

#[allow(unsafe_code, reason = "loading compiled code has no safe form")]
fn deserialize(engine: &wasmtime::Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the bytes must be what `Component::serialize` made. They come from a file in a folder that belongs to
    // this user and that no one else can write (checked in `Cache::open`), belong to this user themselves, and match the
    // digest that `write_entry` put before them, so they are what an earlier run of this program stored under this
    // name. Another version or configuration of wasmtime has another name, and wasmtime checks its own header too.
    unsafe { Component::deserialize(engine, code) }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    /// What an engine of another version, of other settings or on another processor compiled has another name.
    #[test]
    fn an_entry_of_another_engine_is_not_looked_at() {
        let engine = |config: &wasmtime::Config| wasmtime::Engine::new(config).expect("an engine");
        let plain = engine(&wasmtime::Config::new());
        let mut settings = wasmtime::Config::new();
        settings.epoch_interruption(true);
        let other = engine(&settings);
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache::open(folder.path().join("cache")).expect("a cache");
        let component = Component::new(&plain, wat::parse_str("(component)").expect("WebAssembly"));
        cache.store(&plain, "hash", &component.expect("it compiles"));
        assert!(cache.load(&plain, "hash").is_some());
        assert!(cache.load(&other, "hash").is_none());
        assert!(cache.load(&plain, "another").is_none());
        assert_eq!(cache.path(&plain, "hash"), cache.path(&engine(&wasmtime::Config::new()), "hash"));
        assert_ne!(cache.path(&plain, "hash"), cache.path(&other, "hash"));
        // A copy under the other's name is told by wasmtime's own header, or by the digest that the name is in.
        fs::copy(cache.path(&plain, "hash"), cache.path(&other, "hash")).expect("a copy");
        assert!(cache.load(&other, "hash").is_none());
    }

    #[test]
    fn the_newest_stay_up_to_so_many_bytes() {
        let now = SystemTime::now();
        for (most, stay) in [
            (0, &[][..]),
            (99, &[]),
            (100, &["newest"]),
            (299, &["newest"]),
            (300, &["newest", "newer"]),
            (1_000, &["newest", "newer", "oldest"]),
        ] {
            let folder = tempfile::tempdir().expect("a folder");
            // Neither the order of names nor that of sizes is that of age.
            for (name, bytes, age) in [("newer", 200, 20), ("oldest", 50, 30), ("newest", 100, 10)] {
                let path = folder.path().join(name);
                fs::write(&path, vec![0; bytes]).expect("a file");
                let file = File::options().write(true).open(&path).expect("a file");
                file.set_modified(now - Duration::from_secs(age)).expect("a time");
            }
            leave_newest(folder.path(), most);
            let there = |name: &&str| folder.path().join(name).exists();
            let found: Vec<_> = ["newest", "newer", "oldest"].into_iter().filter(there).collect();
            assert_eq!(found, stay, "{most} bytes");
        }
    }
}
