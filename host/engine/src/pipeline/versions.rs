//! Which versions of its plugins a run begins with.
//!
//! At its start a process takes the plugins' files as they are. Where a file is the last version that is recorded, the run goes on with what
//! was in force at the checkpoint, and switches again at the places that are recorded behind it, so that each row goes through the
//! version that it went through before. Where a file is another one, it is in force from the checkpoint on, for each sink table from where
//! that one stands: rows that are there stay as they are, and a file that was put right takes effect on the row that stopped the
//! pipeline. What was still to come of older versions comes no more.
//!
//! An attempt that follows a failure in the same process does not look at the files: a file that is being changed takes effect when
//! somebody says so.

use std::collections::HashMap;
use std::sync::Arc;

use sluicebox_model::Position;
use sluicebox_wasm::{Engine, Plugin, PluginFile, PluginSpec};

use super::modules::Modules;
use super::prepare::{entry_of, plugin_engine, plugin_entries, spec_of};
use super::tables::{PluginEntry, PluginList};
use crate::config::{PipelineConfig, PluginConfig};
use crate::error::EngineError;
use crate::state::{PluginVersion, Store, Way, behind};
use crate::telemetry::now_ms;

/// What a process has for its plugins, through all its attempts.
pub(super) struct Plugins {
    pub host: Arc<PluginHost>,
    /// How each plugin is loaded, by its place in the pipeline file.
    specs: HashMap<String, PluginSpec>,
    /// The files as they were at the process's start; none once a run has begun with them.
    found: Option<HashMap<String, (PluginFile, Plugin)>>,
}

/// What loads plugins, and the copies of their versions.
pub(super) struct PluginHost {
    /// None where the pipeline file has no plugin.
    pub engine: Option<Engine>,
    pub modules: Modules,
}

/// The plugins of a run.
pub(super) struct Lineup {
    /// In force where it begins.
    pub plugins: PluginList,
    /// Switches behind that place, in the order of their places.
    pub to_come: Vec<ToCome>,
    /// In force behind the last of them.
    pub last: PluginList,
    /// Plugins whose files are to be recorded as versions from that place on.
    new: Vec<(Arc<PluginEntry>, Way)>,
}

/// A switch that is recorded, and lies before the run.
pub(super) struct ToCome {
    pub position: Position,
    /// Places in the list, and what comes there.
    pub entries: Vec<(usize, Arc<PluginEntry>)>,
}

/// Where one plugin goes on.
#[derive(Debug, PartialEq, Eq)]
enum Beginning {
    /// With the first of these, and then the others.
    Recorded(Vec<PluginVersion>),
    /// With its file.
    File(Way),
}

/// Decides by what is recorded of the plugin, oldest first, and the digest of the plugin in its file (none: nobody has looked).
fn decide(recorded: Vec<PluginVersion>, file: Option<&str>, place: &Position) -> Beginning {
    match (recorded.last(), file) {
        (None, _) => Beginning::File(Way::Start),
        (Some(last), Some(file)) if last.sha256 != file => Beginning::File(Way::ChangedFile),
        (Some(_), _) => Beginning::Recorded(behind(recorded, place)),
    }
}

impl Plugins {
    /// Reads and loads the plugins' files.
    pub fn find(config: &PipelineConfig, store: &Store) -> Result<Self, EngineError> {
        let engine = plugin_engine(config, Some(store.directory().join("compiled")))?;
        let (mut found, mut specs) = (HashMap::new(), HashMap::new());
        for (key, plugin) in plugin_entries(config) {
            let Some(engine) = &engine else { continue };
            let spec = spec_of(plugin)?;
            let file = engine.read(&spec)?;
            let plugin = engine.load_file(&spec, &file)?;
            specs.insert(key.clone(), spec);
            found.insert(key, (file, plugin));
        }
        store.forget_plugins_but(plugin_entries(config).map(|(key, _)| key).collect())?;
        let host = Arc::new(PluginHost { engine, modules: Modules::of(store.directory()) });
        Ok(Self { host, specs, found: Some(found) })
    }

    /// The plugins of a run that begins at a place; none: it is the pipeline's first, and the place is not known yet.
    pub fn lineup(
        &self,
        config: &PipelineConfig,
        store: &Store,
        place: Option<&Position>,
    ) -> Result<Lineup, EngineError> {
        let mut recorded: HashMap<String, Vec<PluginVersion>> = HashMap::new();
        for version in store.plugin_versions()?.into_iter().filter(|_| place.is_some()) {
            recorded.entry(version.entry.clone()).or_default().push(version);
        }
        let (mut plugins, mut new) = (Vec::new(), Vec::new());
        let mut to_come: Vec<(u64, Position, usize, Arc<PluginEntry>)> = Vec::new();
        for (number, (key, config)) in plugin_entries(config).enumerate() {
            let file = self.found.as_ref().and_then(|found| found.get(&key));
            let of_this = recorded.remove(&key).unwrap_or_default();
            let hash = file.map(|(_, plugin)| plugin.hash());
            match (decide(of_this, hash, place.unwrap_or(&Position::default())), file) {
                (Beginning::File(way), Some((file, plugin))) => {
                    self.host.modules.keep(file)?;
                    let entry = Arc::new(entry_of(
                        key.as_str().into(),
                        config,
                        self.spec(&key)?,
                        plugin.clone(),
                        file.hash(),
                    ));
                    new.push((Arc::clone(&entry), way));
                    plugins.push(entry);
                }
                (Beginning::File(_), None) => return Err(EngineError::Lost("version of a plugin")),
                (Beginning::Recorded(versions), file) => {
                    if let (Some((file, plugin)), Some(last)) = (file, versions.last())
                        && last.file_sha256 != file.hash()
                    {
                        self.host.modules.keep(file)?;
                        store.plugin_compiled_again(plugin.hash(), file.hash())?;
                    }
                    for (place, version) in versions.into_iter().enumerate() {
                        let entry = Arc::new(self.entry(&key, config, &version, file)?);
                        match place {
                            0 => plugins.push(entry),
                            _ => to_come.push((version.number, version.position, number, entry)),
                        }
                    }
                }
            }
        }
        to_come.sort_by_key(|(number, ..)| *number);
        let mut last = plugins.clone();
        for (_, _, number, entry) in &to_come {
            last[*number] = Arc::clone(entry);
        }
        Ok(Lineup { plugins: Arc::new(plugins), to_come: by_place(to_come), last: Arc::new(last), new })
    }

    /// A recorded version: the file when it is the same plugin, else the copy of its own.
    fn entry(
        &self,
        key: &str,
        config: &PluginConfig,
        version: &PluginVersion,
        file: Option<&(PluginFile, Plugin)>,
    ) -> Result<PluginEntry, EngineError> {
        if let Some((file, plugin)) = file.filter(|(_, plugin)| plugin.hash() == version.sha256) {
            return Ok(entry_of(key.into(), config, self.spec(key)?, plugin.clone(), file.hash()));
        }
        let Some(engine) = &self.host.engine else { return Err(EngineError::Lost("host of the plugins")) };
        let (spec, path) = (self.spec(key)?, self.host.modules.path(&version.file_sha256));
        let copy = PluginSpec { path, sha256: Some(version.file_sha256.clone()), ..spec.clone() };
        let plugin = engine.load_file(&spec, &engine.read(&copy)?)?;
        Ok(entry_of(key.into(), config, spec, plugin, &version.file_sha256))
    }

    fn spec(&self, key: &str) -> Result<PluginSpec, EngineError> {
        self.specs.get(key).cloned().ok_or(EngineError::Lost("place of a plugin"))
    }

    /// A run begins with its lineup at this place: what is new is recorded. `ahead`: sink tables that stand behind the place.
    pub fn begin(
        &mut self,
        store: &Store,
        lineup: &mut Lineup,
        place: &Position,
        ahead: &HashMap<String, Position>,
    ) -> Result<(), EngineError> {
        let version = |(entry, way): (Arc<PluginEntry>, Way)| {
            let (plugin, version) = (entry.plugin.name(), entry.plugin.hash());
            tracing::info!(plugin, entry = &*entry.key, version, position = %place, way = way.word(), "plugin in force");
            PluginVersion {
                number: 0,
                entry: entry.key.to_string(),
                plugin: plugin.to_owned(),
                sha256: version.to_owned(),
                file_sha256: entry.file_sha256.to_string(),
                position: place.clone(),
                ahead: ahead.iter().map(|(target, place)| (target.clone(), place.clone())).collect(),
                at_ms: now_ms(),
                way,
            }
        };
        let new: Vec<_> = std::mem::take(&mut lineup.new).into_iter().map(version).collect();
        if !new.is_empty() {
            store.plugins_switched(new)?;
        }
        self.found = None;
        self.host.tidy(store)
    }
}

impl PluginHost {
    /// Deletes copies and compiled code of versions that no row can need any more.
    pub fn tidy(&self, store: &Store) -> Result<(), EngineError> {
        let versions = store.needed_versions()?;
        self.modules.keep_only(&crate::state::files(&versions));
        if let Some(engine) = &self.engine {
            engine.keep_compiled(&versions.into_iter().map(|version| version.sha256).collect());
        }
        Ok(())
    }
}

/// Joins switches that were made at one place.
fn by_place(switches: Vec<(u64, Position, usize, Arc<PluginEntry>)>) -> Vec<ToCome> {
    let mut joined: Vec<ToCome> = Vec::new();
    for (_, position, number, entry) in switches {
        match joined.last_mut() {
            Some(last) if last.position == position => last.entries.push((number, entry)),
            _ => joined.push(ToCome { position, entries: vec![(number, entry)] }),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn at(offset: u64) -> Position {
        Position { file: "b.000001".into(), offset, ..Position::default() }
    }

    fn version(number: u64, sha256: &str, offset: u64) -> PluginVersion {
        PluginVersion {
            number,
            entry: "transform[0].plugin[0]".into(),
            plugin: "p".into(),
            sha256: sha256.into(),
            file_sha256: sha256.into(),
            position: at(offset),
            ahead: BTreeMap::new(),
            at_ms: 0,
            way: Way::Reload,
        }
    }

    #[test]
    fn a_start_goes_on_with_what_was_in_force_unless_the_file_is_another_one() {
        let all = || vec![version(1, "a", 100), version(2, "b", 500), version(3, "c", 900)];
        let recorded = |numbers: &[usize]| {
            Beginning::Recorded(numbers.iter().map(|&number| all()[number - 1].clone()).collect())
        };
        assert_eq!(decide(all(), Some("c"), &at(600)), recorded(&[2, 3]));
        assert_eq!(decide(all(), None, &at(100)), recorded(&[1, 2, 3]), "an attempt looks at no file");
        assert_eq!(decide(all(), Some("d"), &at(600)), Beginning::File(Way::ChangedFile));
        // Going back to what was in force before is a change like any other.
        assert_eq!(decide(all(), Some("b"), &at(600)), Beginning::File(Way::ChangedFile));
        assert_eq!(decide(Vec::new(), Some("a"), &at(600)), Beginning::File(Way::Start));
    }
}
