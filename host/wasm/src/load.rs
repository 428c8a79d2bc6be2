//! From a file to a component that this host is willing to run.
//!
//! A component comes as it is. A core module that carries the interface in a custom section, as the guest SDKs' toolchains
//! leave it, is made into a component here, so that authors need no further program. What imports anything but ours, or
//! exports something else than a plugin, is refused with what it wants and has.

use std::path::Path;

use sha2::{Digest, Sha256};
use wasmtime::component::Component;

use crate::abi;

/// Larger than any known toolchain makes them (Python's are 18 MB); a wrong path must not fill the memory.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// A plugin's file.
pub(crate) struct PluginFile {
    pub(crate) bytes: Vec<u8>,
    /// SHA-256 in hexadecimal.
    pub(crate) hash: String,
}

/// Names of what a component imports and exports.
pub(crate) struct Surface {
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
}

/// Reads a file.
pub(crate) fn read(path: &Path) -> Result<PluginFile, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > MAX_FILE_BYTES {
        return Err(format!("it has {size} bytes, a plugin may have {MAX_FILE_BYTES}"));
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let hash = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(PluginFile { bytes, hash })
}

/// The file as a component.
pub(crate) fn component_bytes(bytes: &[u8]) -> Result<std::borrow::Cow<'_, [u8]>, String> {
    match bytes.get(..8) {
        Some(b"\0asm\x0d\0\x01\0") => Ok(bytes.into()),
        Some(b"\0asm\x01\0\0\0") => encode(bytes).map(Into::into),
        Some([b'\0', b'a', b's', b'm', ..]) => Err("it is WebAssembly of an unknown version".into()),
        _ => Err("it is not WebAssembly".into()),
    }
}

fn encode(module: &[u8]) -> Result<Vec<u8>, String> {
    let encoded = wit_component::ComponentEncoder::default()
        .module(module)
        .and_then(|encoder| encoder.validate(true).encode());
    encoded.map_err(|error| {
        format!(
            "it is a core module that cannot be made into a component: {error:#}; build it with a guest SDK, for a \
             target without WASI such as wasm32-unknown-unknown"
        )
    })
}

/// Compiles a component.
pub(crate) fn compile(engine: &wasmtime::Engine, bytes: &[u8]) -> Result<Component, String> {
    Component::from_binary(engine, bytes).map_err(|error| format!("it does not compile: {error:#}"))
}

/// What a component imports and exports.
pub(crate) fn surface(engine: &wasmtime::Engine, component: &Component) -> Surface {
    let component_type = component.component_type();
    Surface {
        imports: component_type.imports(engine).map(|(name, _)| name.to_owned()).collect(),
        exports: component_type.exports(engine).map(|(name, _)| name.to_owned()).collect(),
    }
}

impl Surface {
    /// The plugin interface that it exports, of whatever version.
    pub(crate) fn plugin_interface(&self) -> Option<&str> {
        let ours = |name: &&String| name.split('@').next() == Some(abi::PLUGIN_NAME);
        self.exports.iter().find(ours).map(String::as_str)
    }

    /// Whether this host can run it, or why not.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self.plugin_interface() {
            Some(name) if speaks_ours(name) => {}
            Some(name) => return Err(format!("it speaks `{name}`, this host speaks `{}`", abi::PLUGIN)),
            None => {
                let exports = listed(self.exports.iter(), "nothing");
                return Err(format!(
                    "it is no transform plugin: it exports {exports}, not `{}`",
                    abi::PLUGIN
                ));
            }
        }
        let foreign = |name: &&String| !abi::IMPORTS.iter().any(|ours| name.starts_with(ours));
        let foreign: Vec<_> = self.imports.iter().filter(foreign).collect();
        if foreign.is_empty() {
            return Ok(());
        }
        let names = listed(foreign.into_iter(), "nothing");
        Err(format!(
            "it imports {names}; plugins are given no files, network, clock, randomness or environment: build it for a \
             target without WASI, or with its toolchain's stubs for WASI"
        ))
    }
}

/// A later patch of the same minor version may offer more; what is called here stays.
fn speaks_ours(name: &str) -> bool {
    let minor = abi::PLUGIN.rsplit_once('.').map_or(abi::PLUGIN, |(minor, _)| minor);
    name.strip_prefix(minor).is_some_and(|rest| rest.starts_with('.'))
}

fn listed<'a>(names: impl Iterator<Item = &'a String>, nothing: &str) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if names.is_empty() { nothing.to_owned() } else { names.join(", ") }
}
