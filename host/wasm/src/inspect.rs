//! What a file is, without running it.

use std::path::Path;

use crate::config_schema;
use crate::load::{PluginFile, Surface};
use crate::{Engine, WasiGrants, WasmError};

/// What is known of a plugin's file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Inspection {
    /// The plugin interface that it exports, such as `sluicebox:transform/plugin@0.2.0`; none for anything else.
    pub world: Option<String>,
    /// That interface's version.
    pub version: Option<String>,
    /// What it wants from the host.
    pub imports: Vec<String>,
    /// What it offers.
    pub exports: Vec<String>,
    /// Bytes of the file.
    pub size: u64,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// The JSON Schema of its configuration; none where it carries none.
    pub config_schema: Option<serde_json::Value>,
    /// Whether this host can run it, or why not.
    pub loads: Result<(), String>,
}

/// Looks at a file without running it.
///
/// # Errors
/// When the file cannot be read or there is no engine; what is wrong with its content is in [`Inspection::loads`].
pub fn inspect(path: &Path) -> Result<Inspection, WasmError> {
    Engine::for_tools()?.inspect(path)
}

impl Inspection {
    pub(crate) fn new(file: &PluginFile, surface: Result<Surface, String>) -> Self {
        let schema = config_schema::of(&file.bytes);
        let loads = surface
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|surface| surface.check(&WasiGrants::default()).map(drop));
        let loads = loads.and_then(|()| schema.as_ref().map(drop).map_err(Clone::clone));
        let world = surface.as_ref().ok().and_then(Surface::plugin_interface).map(str::to_owned);
        let (imports, exports) =
            surface.map(|surface| (surface.imports, surface.exports)).unwrap_or_default();
        Self {
            version: world
                .as_ref()
                .and_then(|world| world.split_once('@'))
                .map(|(_, version)| version.to_owned()),
            world,
            imports,
            exports,
            // A file that was read has a length that fits.
            size: u64::try_from(file.bytes.len()).unwrap_or(u64::MAX),
            sha256: file.hash.clone(),
            config_schema: schema.unwrap_or_default(),
            loads,
        }
    }
}
