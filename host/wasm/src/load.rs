//! From a file to a component that this host is willing to run.
//!
//! A component comes as it is. A core module that carries the interface in a custom section, as the Rust SDK's toolchain leaves
//! it, is made into a component here, so that authors need no further program; so is one that has the interface's functions and
//! does not say so, as any C compiler makes it. What imports anything but ours, or
//! exports something else than a plugin, is refused with what it wants and has.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use sha2::{Digest, Sha256};
use wasmtime::component::Component;
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::precompiled;
use crate::preview1;
use crate::version::Version;
use crate::wasi::{self, WasiGrants};

/// Larger than any known toolchain makes them (Python's are 18 MB); a wrong path must not fill the memory.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// A plugin's file as it was read.
#[derive(Debug, Clone)]
pub struct PluginFile {
    pub(crate) bytes: Vec<u8>,
    /// SHA-256 in hexadecimal.
    pub(crate) hash: String,
    /// It was found closed to all others, as what is run as it is must be.
    pub(crate) closed: bool,
}

impl PluginFile {
    /// Its content.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of its content, in hexadecimal. Of a compiled plugin that is not the plugin's own, see
    /// [`Plugin::hash`](crate::Plugin::hash).
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

/// Names of what a component imports and exports.
pub(crate) struct Surface {
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
}

/// Reads a file.
pub(crate) fn read(path: &Path) -> Result<PluginFile, String> {
    read_open(File::open(path).map_err(|error| error.to_string())?, false)
}

/// Reads a file that must be closed to all others. What is looked at and what is read is one open file: between the two nobody can put
/// another in its place.
pub(crate) fn read_closed(path: &Path) -> Result<PluginFile, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    precompiled::check_closed(&file, path)?;
    read_open(file, true)
}

fn read_open(mut file: File, closed: bool) -> Result<PluginFile, String> {
    let mut bytes = Vec::new();
    file.by_ref().take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("it has more than {MAX_FILE_BYTES} bytes, a plugin may have no more"));
    }
    let hash = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(PluginFile { bytes, hash, closed })
}

/// The file as a component.
pub(crate) fn component_bytes<'b>(
    engine: &wasmtime::Engine,
    bytes: &'b [u8],
) -> Result<Cow<'b, [u8]>, String> {
    match bytes.get(..8) {
        Some(b"\0asm\x0d\0\x01\0") => Ok(bytes.into()),
        Some(b"\0asm\x01\0\0\0") => {
            // What makes components of modules takes them for valid: half a file would make it panic.
            wasmtime::Module::validate(engine, bytes)
                .map_err(|error| format!("it is a core module that is damaged, or not valid: {error:#}"))?;
            encode(bytes).map(Into::into)
        }
        Some([b'\0', b'a', b's', b'm', ..]) => Err("it is WebAssembly of an unknown version".into()),
        _ => Err("it is not WebAssembly".into()),
    }
}

/// Names of the custom sections in which toolchains leave an interface begin so.
const INTERFACE_SECTION: &[u8] = b"component-type";

fn encode(module: &[u8]) -> Result<Vec<u8>, String> {
    let described = describe(module)?;
    let encoded = wit_component::ComponentEncoder::default()
        .module(&described)
        .and_then(|encoder| encoder.adapter(preview1::IMPORTED_AS, preview1::ADAPTER))
        .and_then(|encoder| encoder.validate(true).encode());
    encoded.map_err(|error| {
        format!(
            "it is a core module that cannot be made into a component: {error:#}; build it with a guest SDK, for a \
             target without WASI such as wasm32-unknown-unknown, or for WASI preview 1"
        )
    })
}

/// Puts the interface into a module that has the interface's functions and tells no interface: that of a compiler which knows
/// nothing of components, such as plain clang.
fn describe(module: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    let has = |text: &[u8]| module.windows(text.len()).any(|window| window == text);
    if has(INTERFACE_SECTION) {
        return Ok(module.into());
    }
    let speaks = |version: &Version| has(format!("{}#init", version.plugin()).as_bytes());
    let Some(version) = Version::ALL.into_iter().find(speaks) else { return Ok(module.into()) };
    let mut resolve = Resolve::default();
    let failed = |error| format!("the interface cannot be put into it: {error:#}");
    let package = resolve.push_source("transform.wit", version.definition()).map_err(failed)?;
    let world = resolve.select_world(&[package], Some("transform")).map_err(failed)?;
    let mut described = module.to_vec();
    embed_component_metadata(&mut described, &resolve, world, StringEncoding::UTF8).map_err(failed)?;
    Ok(described.into())
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
        self.exports.iter().find(|name| Version::is_plugin(name)).map(String::as_str)
    }

    /// The version that it speaks, where this host can run it, or why not.
    pub(crate) fn check(&self, wasi: &WasiGrants) -> Result<Version, String> {
        let Some(interface) = self.plugin_interface() else {
            let exports = listed(self.exports.iter(), "nothing");
            let wanted = Version::spoken(" or ");
            return Err(format!("it is no transform plugin: it exports {exports}, not {wanted}"));
        };
        let version = Version::of_plugin(interface).ok_or_else(|| {
            format!("it speaks `{interface}`, this host speaks {}", Version::spoken(" and "))
        })?;
        let foreign: Vec<_> =
            self.imports.iter().filter(|name| !version.offers(name) && !wasi.offers(name)).collect();
        if foreign.is_empty() {
            return Ok(version);
        }
        let mut wanted: Vec<&str> = foreign.iter().filter_map(|name| wasi::capability(name)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let grant = match &wanted[..] {
            [] => String::new(),
            names => {
                format!(", or grant it {} under `wasi` in the pipeline file", listed(names.iter(), "nothing"))
            }
        };
        let names = listed(foreign.into_iter(), "nothing");
        Err(format!(
            "it imports {names}; plugins are given no files, network, clock, randomness or environment: build it for a \
             target without WASI, or with its toolchain's stubs for WASI{grant}"
        ))
    }
}

fn listed(names: impl Iterator<Item = impl std::fmt::Display>, nothing: &str) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if names.is_empty() { nothing.to_owned() } else { names.join(", ") }
}
