//! Which version of each plugin transforms which rows, and what operators ask of a running pipeline's plugins.
//!
//! A *version* is one record: from its place on, rows go through this module. Records are never changed, only followed by later ones, and
//! of the records whose place lies before a row the last one made counts. So a restart, which reads rows again from the checkpoint, takes for
//! each the version that it had before: exactly one, decided by its position.
//!
//! A *request* is asked by `sluicebox plugin …` in another process and answered by the pipeline.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Transaction};
use serde::{Deserialize, Serialize};
use sluicebox_model::Position;

use super::records::{json, number, unsigned};
use super::{Reader, StateError, Store, tables};

/// Records of one plugin that are kept for people to look at, beyond those that a restart may need: a reload a minute for a week.
const KEPT: u64 = 10_000;

/// How a version came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// It was there when the pipeline began, or when the plugin was added to its file.
    Start,
    /// Its file was found changed at a start.
    ChangedFile,
    /// `sluicebox plugin reload`.
    Reload,
    /// Its file changed, and the plugin says `reload: watch`.
    Watch,
    /// The pipeline began anew, at another place.
    Anew,
}

impl Way {
    /// The word for it, as it is stored and shown.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::ChangedFile => "changed-file",
            Self::Reload => "reload",
            Self::Watch => "watch",
            Self::Anew => "anew",
        }
    }
}

/// From its place on, rows go through this version of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginVersion {
    /// Counts up with each record.
    pub number: u64,
    /// The plugin's place in the pipeline file: `transform[0].plugin[0]`.
    pub entry: String,
    /// Its name: the file's, without the ending.
    pub plugin: String,
    /// SHA-256 of the plugin, in hexadecimal.
    pub sha256: String,
    /// SHA-256 of its file: another one where the file was compiled ahead of time.
    pub file_sha256: String,
    /// Rows behind this place.
    pub position: Position,
    /// Sink tables that had rows from behind it already, up to these places: for them the version counts from there on.
    pub ahead: BTreeMap<String, Position>,
    /// When, in milliseconds since 1970-01-01T00:00:00Z.
    pub at_ms: i64,
    /// How it came.
    pub way: Way,
}

/// Something asked of the pipeline's plugins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Take the files as they are now.
    Reload {
        /// The plugin's name or entry; none: all whose files have changed.
        plugin: Option<String>,
    },
    /// Run a module beside a plugin and count differences.
    Canary {
        /// The plugin's name or entry.
        plugin: String,
        /// The module's file, absolute.
        module: std::path::PathBuf,
        /// Rows to compare at most.
        rows: u64,
        /// How long at most, in milliseconds.
        for_ms: u64,
    },
}

impl Store {
    /// All records of versions, oldest first.
    pub fn plugin_versions(&self) -> Result<Vec<PluginVersion>, StateError> {
        self.call_blocking(|tx| read_versions(tx))
    }

    /// Writes versions, all or none, before the first row goes through them. Their numbers are given here.
    pub fn plugins_switched(&self, versions: Vec<PluginVersion>) -> Result<(), StateError> {
        self.call_blocking(move |tx| versions.iter().try_for_each(|version| insert_version(tx, version)))
    }

    /// A file has other bytes that stand for the same plugin: it was compiled again.
    pub fn plugin_compiled_again(&self, sha256: &str, file_sha256: &str) -> Result<(), StateError> {
        let (sha256, file) = (sha256.to_owned(), file_sha256.to_owned());
        self.call_blocking(move |tx| {
            tx.execute("UPDATE plugin_versions SET file_sha256 = ?2 WHERE sha256 = ?1", (sha256, file))?;
            Ok(())
        })
    }

    /// Forgets plugins that the pipeline file has no more, and records that are older than anybody will look at.
    pub fn forget_plugins_but(&self, entries: Vec<String>) -> Result<(), StateError> {
        self.call_blocking(move |tx| {
            tx.execute(
                "DELETE FROM plugin_versions WHERE entry NOT IN (SELECT value FROM json_each(?1))",
                [json(&entries)?],
            )?;
            for entry in entries {
                tx.execute(
                    "DELETE FROM plugin_versions WHERE entry = ?1 AND number NOT IN
                     (SELECT number FROM plugin_versions WHERE entry = ?1 ORDER BY number DESC LIMIT ?2)",
                    (entry, number(KEPT)),
                )?;
            }
            Ok(())
        })
    }

    /// Versions that rows behind the checkpoint may need, of all plugins.
    pub fn needed_versions(&self) -> Result<Vec<PluginVersion>, StateError> {
        self.call_blocking(|tx| {
            let checkpoint: Option<String> =
                tx.query_row("SELECT position_json FROM checkpoint", [], |row| row.get(0)).optional()?;
            let versions = read_versions(tx)?;
            let Some(checkpoint) = checkpoint else { return Ok(versions) };
            let checkpoint: Position = serde_json::from_str(&checkpoint)?;
            let mut entries: HashMap<String, Vec<PluginVersion>> = HashMap::new();
            for version in versions {
                entries.entry(version.entry.clone()).or_default().push(version);
            }
            Ok(entries.into_values().flat_map(|of_one| behind(of_one, &checkpoint)).collect())
        })
    }

    /// The oldest request that waits for an answer, with its number.
    pub fn next_request(&self) -> Result<Option<(u64, Request)>, StateError> {
        self.call_blocking(|tx| {
            let found: Option<(i64, String)> = tx
                .query_row(
                    "SELECT number, request_json FROM plugin_requests WHERE answer_json IS NULL ORDER BY number LIMIT 1",
                    [],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .optional()?;
            found.map(|(number, text)| Ok((unsigned(number), serde_json::from_str(&text)?))).transpose()
        })
    }

    /// Whether somebody still waits for the answer to a request.
    pub fn is_asked(&self, request: u64) -> Result<bool, StateError> {
        self.call_blocking(move |tx| {
            let sql =
                "SELECT EXISTS (SELECT 1 FROM plugin_requests WHERE number = ?1 AND answer_json IS NULL)";
            Ok(tx.query_row(sql, [number(request)], |row| row.get(0))?)
        })
    }

    /// Answers a request.
    pub fn answer<T: Serialize>(&self, request: u64, answer: &T) -> Result<(), StateError> {
        let answer = serde_json::to_string(answer)?;
        self.call_blocking(move |tx| {
            tx.execute(
                "UPDATE plugin_requests SET answer_json = ?2 WHERE number = ?1",
                (number(request), answer),
            )?;
            Ok(())
        })
    }

    /// Answers what was asked of an earlier process, and forgets what that one has answered and nobody took.
    pub fn answer_all<T: Serialize>(&self, answer: &T) -> Result<(), StateError> {
        let answer = serde_json::to_string(answer)?;
        self.call_blocking(move |tx| {
            tx.execute("DELETE FROM plugin_requests WHERE answer_json IS NOT NULL", [])?;
            tx.execute("UPDATE plugin_requests SET answer_json = ?1", [answer])?;
            Ok(())
        })
    }
}

/// Of one plugin's versions, oldest first, those that rows behind a place go through: the last one whose place was reached, and all
/// that were recorded after it.
pub(crate) fn behind(mut versions: Vec<PluginVersion>, place: &Position) -> Vec<PluginVersion> {
    let base = versions.iter().rposition(|version| place.includes(&version.position)).unwrap_or(0);
    versions.split_off(base.min(versions.len()))
}

/// The pipeline begins anew at a place: there every plugin's last version is in force.
pub(super) fn begin_anew(tx: &Transaction<'_>, position: &Position, now_ms: i64) -> Result<(), StateError> {
    let last: BTreeMap<String, PluginVersion> =
        read_versions(tx)?.into_iter().map(|version| (version.entry.clone(), version)).collect();
    for version in last.into_values() {
        let (position, ahead) = (position.clone(), BTreeMap::new());
        insert_version(tx, &PluginVersion { position, ahead, at_ms: now_ms, way: Way::Anew, ..version })?;
    }
    Ok(())
}

impl Reader {
    /// All records of versions, oldest first; none in a state that an older program has left.
    pub fn plugin_versions(&self) -> Result<Vec<PluginVersion>, StateError> {
        let there =
            "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'plugin_versions')";
        let there: bool = self.connection.query_row(there, [], |row| row.get(0))?;
        if there { read_versions(&self.connection) } else { Ok(Vec::new()) }
    }

    /// Each plugin's last version, in the order of their entries.
    pub fn plugins(&self) -> Result<Vec<PluginVersion>, StateError> {
        let last: BTreeMap<String, PluginVersion> =
            self.plugin_versions()?.into_iter().map(|version| (version.entry.clone(), version)).collect();
        Ok(last.into_values().collect())
    }
}

/// Waits for the pipeline to let somebody else write; whether to try once more. A busy one writes record after record and leaves gaps
/// of microseconds, which the usual waiting, longer each time, misses for seconds.
fn wait_for_a_gap(tried: i32) -> bool {
    const PAUSE: Duration = Duration::from_millis(2);
    /// A minute: longer than a disk that still works holds a write up.
    const TRIES: i32 = 30_000;
    std::thread::sleep(PAUSE);
    tried < TRIES
}

/// The state as a command uses it that asks a running pipeline for something.
#[derive(Debug)]
pub struct Desk(Connection);

impl Desk {
    /// Opens it. None where no pipeline has ever run with this directory.
    pub fn open(directory: &Path) -> Result<Option<Self>, StateError> {
        let file = directory.join(super::FILE_NAME);
        if !file.exists() {
            return Ok(None);
        }
        let mut connection = Connection::open_with_flags(&file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.busy_handler(Some(wait_for_a_gap))?;
        if !tables::exist(&connection)? {
            return Ok(None);
        }
        Ok(Some(Self(connection)))
    }

    /// Asks; gives the request's number.
    pub fn ask(&mut self, request: &Request, now_ms: i64) -> Result<u64, StateError> {
        self.0.execute(
            "INSERT INTO plugin_requests (request_json, asked_at_ms) VALUES (?1, ?2)",
            (json(request)?, now_ms),
        )?;
        Ok(unsigned(self.0.last_insert_rowid()))
    }

    /// The answer to a request, when it is there.
    pub fn answer<T: serde::de::DeserializeOwned>(&self, request: u64) -> Result<Option<T>, StateError> {
        let sql = "SELECT answer_json FROM plugin_requests WHERE number = ?1";
        let text: Option<String> = self.0.query_row(sql, [number(request)], |row| row.get(0))?;
        Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)
    }

    /// Nobody waits for the request any more.
    pub fn withdraw(&mut self, request: u64) -> Result<(), StateError> {
        self.0.execute("DELETE FROM plugin_requests WHERE number = ?1", [number(request)])?;
        Ok(())
    }
}

/// Files that versions name.
pub(crate) fn files(versions: &[PluginVersion]) -> HashSet<String> {
    versions.iter().map(|version| version.file_sha256.clone()).collect()
}

fn insert_version(tx: &Transaction<'_>, version: &PluginVersion) -> Result<(), StateError> {
    tx.execute(
        "INSERT INTO plugin_versions (entry, plugin, sha256, file_sha256, position_json, ahead_json, at_ms, way)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        (
            &version.entry,
            &version.plugin,
            &version.sha256,
            &version.file_sha256,
            json(&version.position)?,
            json(&version.ahead)?,
            version.at_ms,
            json(&version.way)?,
        ),
    )?;
    Ok(())
}

fn read_versions(connection: &Connection) -> Result<Vec<PluginVersion>, StateError> {
    let mut rows = connection.prepare(
        "SELECT number, entry, plugin, sha256, file_sha256, at_ms, position_json, ahead_json, way FROM plugin_versions ORDER BY number",
    )?;
    let rows = rows.query_map([], |r| {
        let texts: [String; 3] = [r.get(6)?, r.get(7)?, r.get(8)?];
        let version = PluginVersion {
            number: unsigned(r.get(0)?),
            entry: r.get(1)?,
            plugin: r.get(2)?,
            sha256: r.get(3)?,
            file_sha256: r.get(4)?,
            at_ms: r.get(5)?,
            position: Position::default(),
            ahead: BTreeMap::new(),
            way: Way::Start,
        };
        Ok((version, texts))
    })?;
    rows.map(|row| {
        let (version, [position, ahead, way]) = row?;
        let (position, ahead) = (serde_json::from_str(&position)?, serde_json::from_str(&ahead)?);
        Ok(PluginVersion { position, ahead, way: serde_json::from_str(&way)?, ..version })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Anew;

    fn at(offset: u64) -> Position {
        Position { file: "b.000001".into(), offset, ..Position::default() }
    }

    fn version(number: u64, offset: u64) -> PluginVersion {
        PluginVersion {
            number,
            entry: "transform[0].plugin[0]".into(),
            plugin: "p".into(),
            sha256: number.to_string(),
            file_sha256: number.to_string(),
            position: at(offset),
            ahead: BTreeMap::new(),
            at_ms: 0,
            way: Way::Reload,
        }
    }

    fn numbers(versions: &[PluginVersion]) -> Vec<u64> {
        versions.iter().map(|version| version.number).collect()
    }

    #[test]
    fn behind_a_place_the_last_record_that_was_reached_counts_and_those_made_after_it() {
        let all = || vec![version(1, 100), version(2, 500), version(3, 900)];
        for (place, want) in [(100, &[1, 2, 3][..]), (499, &[1, 2, 3]), (500, &[2, 3]), (2_000, &[3])] {
            assert_eq!(numbers(&behind(all(), &at(place))), want, "{place}");
        }
        // A file that was changed while the pipeline stood took effect from the checkpoint on: what was to come behind it comes no more.
        let changed = vec![version(1, 100), version(2, 500), version(3, 300)];
        assert_eq!(numbers(&behind(changed, &at(600))), [3]);
        assert_eq!(numbers(&behind(Vec::new(), &at(600))), [0_u64; 0]);
    }

    #[test]
    fn what_is_recorded_is_read_back_and_only_what_may_be_needed_is_needed() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path()).expect("a state");
        store.begin(&at(100), 0, Vec::new(), Vec::new()).expect("a beginning");
        let ahead = BTreeMap::from([("t".to_owned(), at(700))]);
        let written = vec![version(1, 100), PluginVersion { ahead, ..version(2, 500) }];
        store.plugins_switched(written.clone()).expect("written");
        assert_eq!(store.plugin_versions().expect("read"), written);
        assert_eq!(numbers(&store.needed_versions().expect("read")), [1, 2]);
        store.epoch_committed(1, &at(600), 0, Vec::new(), Vec::new(), Vec::new()).expect("a checkpoint");
        assert_eq!(numbers(&store.needed_versions().expect("read")), [2]);
        store.begin_anew(Anew { position: at(4), ..Anew::default() }).expect("anew");
        let needed = store.needed_versions().expect("read");
        assert_eq!((numbers(&needed), &*needed[0].sha256, needed[0].way), (vec![3], "2", Way::Anew));
        store.forget_plugins_but(Vec::new()).expect("forgotten");
        assert_eq!(store.plugin_versions().expect("read"), []);
    }

    #[test]
    fn a_request_waits_until_it_is_answered_or_withdrawn() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path()).expect("a state");
        let mut desk = Desk::open(folder.path()).expect("no error").expect("a state");
        let reload = |plugin: &str| Request::Reload { plugin: Some(plugin.to_owned()) };
        let first = desk.ask(&reload("a"), 0).expect("asked");
        let second = desk.ask(&reload("b"), 0).expect("asked");
        assert_eq!(store.next_request().expect("read"), Some((first, reload("a"))));
        assert_eq!(desk.answer::<String>(first).expect("read"), None);
        store.answer(first, &"done").expect("answered");
        assert_eq!(desk.answer::<String>(first).expect("read").as_deref(), Some("done"));
        assert_eq!(store.next_request().expect("read"), Some((second, reload("b"))));
        desk.withdraw(second).expect("withdrawn");
        assert!(!store.is_asked(second).expect("read"));
        assert_eq!(store.next_request().expect("read"), None);
    }
}
