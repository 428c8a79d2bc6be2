//! Loading plugins: one engine for the process, compiled code shared by all instances of a plugin.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wasmtime::component::{InstancePre, Linker};

use crate::cache::{self, Cache};
use crate::config_schema;
use crate::guest::Guest;
use crate::host;
use crate::limits::{Grants, Limits, PluginSpec};
use crate::load::{self, PluginFile};
use crate::precompiled::{self, Heading};
use crate::ticker::Ticker;
use crate::version::Version;
use crate::wasi::{self, WasiGrants};
use crate::{Inspection, Instance, WasmError};

/// Stack of a guest, in bytes: wasmtime's own default, a quarter of the smallest thread stack in use here.
const STACK_BYTES: usize = 512 << 10;

const IS_COMPILED: &str = "it was compiled ahead of time, so it is native code that nothing can check: say `precompiled: true` beside \
                           its path if you trust it";

/// The process's one WebAssembly engine.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    engine: wasmtime::Engine,
    linker: Linker<Guest>,
    /// For plugins that are granted something of WASI; what is not granted they may not import.
    wasi_linker: Linker<Guest>,
    ticker: Ticker,
    cache: Option<Cache>,
}

/// A loaded plugin: code shared by all its instances.
#[derive(Clone)]
pub struct Plugin(Arc<Loaded>);

pub(crate) struct Loaded {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    hash: String,
    pub(crate) config: String,
    pub(crate) limits: Limits,
    pub(crate) grants: Grants,
    pub(crate) version: Version,
    pub(crate) component: InstancePre<Guest>,
    // Keeps the clock running for as long as an instance can be called.
    engine: Engine,
}

/// Settings: fast code, stoppable at each loop, with addresses checked by guard pages, and with results that depend on
/// nothing but the input.
fn settings() -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    config
        .strategy(wasmtime::Strategy::Cranelift)
        .cranelift_opt_level(wasmtime::OptLevel::Speed)
        .epoch_interruption(true)
        .concurrency_support(false)
        .max_wasm_stack(STACK_BYTES)
        // Addresses have 32 bits: with the whole range reserved, guard pages check them for nothing.
        .memory_reservation(4 << 30)
        // The bits of a NaN would differ between processors.
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false);
    config
}

/// Some versions of all plugins that somebody works on; an interpreter's have 40 MB each.
const TOOLS_KEEP: u64 = 512 << 20;

impl Engine {
    /// Makes the engine. Compiled code is kept in `cache_dir` (made if it is missing, closed to other users), or not at
    /// all.
    ///
    /// # Errors
    /// [`WasmError::Engine`], or [`WasmError::CacheFolder`] when others could write into `cache_dir`.
    pub fn new(cache_dir: Option<PathBuf>) -> Result<Self, WasmError> {
        let failed = |reason: String| WasmError::Engine { reason };
        let cache = cache_dir.map(Cache::open).transpose()?;
        let engine = wasmtime::Engine::new(&settings()).map_err(|error| failed(format!("{error:#}")))?;
        let mut linker = Linker::new(&engine);
        host::link(&mut linker).map_err(|error| failed(format!("{error:#}")))?;
        let wasi_linker = wasi::link(&linker).map_err(|error| failed(format!("{error:#}")))?;
        let ticker = Ticker::start(engine.clone())
            .map_err(|error| failed(format!("no thread for the clock: {error}")))?;
        Ok(Self(Arc::new(Inner { engine, linker, wasi_linker, ticker, cache })))
    }

    /// An engine for tools that look at the same file again and again: compiled code is kept in the user's own cache folder, the newest
    /// 512 MiB, because a component that brings an interpreter takes ten seconds to compile. Where there is no such folder nothing
    /// is kept.
    ///
    /// # Errors
    /// [`WasmError::Engine`].
    pub fn for_tools() -> Result<Self, WasmError> {
        let Some(folder) = cache::of_user() else { return Self::new(None) };
        match Cache::open(folder.clone()) {
            Ok(_) => {
                cache::leave_newest(&folder, TOOLS_KEEP);
                Self::new(Some(folder))
            }
            Err(error) => {
                tracing::warn!(%error, "compiled plugins are not kept");
                Self::new(None)
            }
        }
    }

    /// Reads, checks and compiles a plugin, or takes it compiled from the cache.
    ///
    /// # Errors
    /// [`WasmError::Load`] says what is wrong with the file.
    pub fn load(&self, spec: &PluginSpec) -> Result<Plugin, WasmError> {
        self.load_file(spec, &self.read(spec)?)
    }

    /// Reads a plugin's file: its digest must be the one that `spec` wants, and a compiled one must be closed to others.
    ///
    /// # Errors
    /// [`WasmError::Load`] says what is wrong with the file.
    pub fn read(&self, spec: &PluginSpec) -> Result<PluginFile, WasmError> {
        let refuse = |reason| WasmError::Load { path: spec.path.clone(), reason };
        let read = if spec.precompiled { load::read_closed } else { load::read };
        let file = read(&spec.path).map_err(refuse)?;
        match &spec.sha256 {
            Some(wanted) if !wanted.eq_ignore_ascii_case(&file.hash) => {
                Err(refuse(format!("its SHA-256 is {}, the pipeline file wants {wanted}", file.hash)))
            }
            _ => Ok(file),
        }
    }

    /// Checks and compiles what was read, or takes it compiled from the cache. Whether it is the file of `spec` counts no more.
    ///
    /// # Errors
    /// [`WasmError::Load`] says what is wrong with the file.
    pub fn load_file(&self, spec: &PluginSpec, file: &PluginFile) -> Result<Plugin, WasmError> {
        let refuse = |reason| WasmError::Load { path: spec.path.clone(), reason };
        let (component, hash, schema) = match (spec.precompiled, file.bytes.starts_with(precompiled::MAGIC)) {
            (true, true) => precompiled::load(&self.0.engine, file).map_err(refuse)?,
            (false, false) => {
                let schema = config_schema::of(&file.bytes).map_err(refuse)?;
                (self.component(file).map_err(refuse)?, file.hash.clone(), schema)
            }
            (true, false) => {
                return Err(refuse(
                    "`precompiled` is true, and it was not made by `sluicebox plugin compile`".into(),
                ));
            }
            (false, true) => return Err(refuse(IS_COMPILED.into())),
        };
        let wasi = &spec.grants.wasi;
        let version = load::surface(&self.0.engine, &component).check(wasi).map_err(refuse)?;
        if let Some(schema) = &schema {
            let misfit = |reason| WasmError::Config { plugin: plugin_name(&spec.path), reason };
            config_schema::check(schema, &spec.config).map_err(misfit)?;
        }
        let linker = if wasi.any() { &self.0.wasi_linker } else { &self.0.linker };
        let component = linker.instantiate_pre(&component).map_err(|error| {
            refuse(format!("what it imports is not what this host offers under the same name: {error:#}"))
        })?;
        Ok(Plugin(Arc::new(Loaded {
            name: plugin_name(&spec.path),
            path: spec.path.clone(),
            hash,
            config: spec.config.to_string(),
            limits: spec.limits.clone(),
            grants: spec.grants.clone(),
            version,
            component,
            engine: self.clone(),
        })))
    }

    /// Deletes compiled code from the cache but for that of these plugins, by their [`Plugin::hash`].
    pub fn keep_compiled(&self, plugin_hashes: &HashSet<String>) {
        if let Some(cache) = &self.0.cache {
            cache.keep_only(plugin_hashes);
        }
    }

    /// Looks at a file without running it.
    ///
    /// # Errors
    /// Only when the file cannot be read; what is wrong with its content is in [`Inspection::loads`].
    pub fn inspect(&self, path: &Path) -> Result<Inspection, WasmError> {
        let file = load::read(path).map_err(|reason| WasmError::Load { path: path.to_owned(), reason })?;
        let surface = self.component(&file).map(|component| load::surface(&self.0.engine, &component));
        Ok(Inspection::new(&file, surface))
    }

    /// Compiles a plugin ahead of time: the bytes of a file that [`Engine::load`] takes where `precompiled` is set, on this kind
    /// of machine and with this version of the program.
    ///
    /// # Errors
    /// [`WasmError::Load`] says what is wrong with the file.
    pub fn precompile(&self, path: &Path) -> Result<Vec<u8>, WasmError> {
        let refuse = |reason| WasmError::Load { path: path.to_owned(), reason };
        let file = load::read(path).map_err(refuse)?;
        if file.bytes.starts_with(precompiled::MAGIC) {
            return Err(refuse("it is compiled already".into()));
        }
        let component = self.component(&file).map_err(refuse)?;
        load::surface(&self.0.engine, &component).check(&WasiGrants::all()).map_err(refuse)?;
        let code =
            component.serialize().map_err(|error| refuse(format!("it does not compile: {error:#}")))?;
        let schema = config_schema::of(&file.bytes).map_err(refuse)?;
        precompiled::write(&Heading { config_schema: schema, ..Heading::here(&file.hash) }, &code)
            .map_err(refuse)
    }

    /// The file as a component: as it is, or made of a core module that carries the interface; with the schema of its configuration
    /// in it, where one is given.
    ///
    /// # Errors
    /// [`WasmError::Load`] says what is wrong with the file, also when it is no plugin, or with the schema.
    pub fn component_bytes(&self, path: &Path, schema: Option<&[u8]>) -> Result<Vec<u8>, WasmError> {
        let refuse = |reason| WasmError::Load { path: path.to_owned(), reason };
        let file = load::read(path).map_err(refuse)?;
        let component = self.component(&file).map_err(refuse)?;
        load::surface(&self.0.engine, &component).check(&WasiGrants::all()).map_err(refuse)?;
        let bytes = load::component_bytes(&self.0.engine, &file.bytes).map_err(refuse)?;
        let Some(schema) = schema else { return Ok(bytes.into_owned()) };
        config_schema::parse(schema).map_err(refuse)?;
        Ok(config_schema::embed(&bytes, schema))
    }

    fn component(&self, file: &PluginFile) -> Result<wasmtime::component::Component, String> {
        let Inner { engine, cache, .. } = &*self.0;
        if file.bytes.starts_with(precompiled::MAGIC) {
            return Err(IS_COMPILED.into());
        }
        if let Some(component) = cache.as_ref().and_then(|cache| cache.load(engine, &file.hash)) {
            return Ok(component);
        }
        let component = load::compile(engine, &load::component_bytes(engine, &file.bytes)?)?;
        // What is going to be refused needs no place on the disk.
        if let Some(cache) = cache
            && load::surface(engine, &component).check(&WasiGrants::all()).is_ok()
        {
            cache.store(engine, &file.hash, &component);
        }
        Ok(component)
    }
}

fn plugin_name(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

impl Plugin {
    /// The file's name without its ending: the plugin's name in logs and reports.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// SHA-256 of the file, in hexadecimal.
    pub fn hash(&self) -> &str {
        &self.0.hash
    }

    /// Whether both are one loaded plugin, whose instances share its code and settings.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Starts an instance: for one worker thread at a time.
    ///
    /// # Errors
    /// [`WasmError::Start`] when the plugin refuses its configuration or fails.
    pub fn instantiate(&self) -> Result<Instance, WasmError> {
        Instance::start(self.clone())
    }

    pub(crate) fn loaded(&self) -> &Loaded {
        &self.0
    }
}

impl Loaded {
    pub(crate) fn engine(&self) -> &wasmtime::Engine {
        &self.engine.0.engine
    }

    pub(crate) fn ticker(&self) -> &Ticker {
        &self.engine.0.ticker
    }
}
