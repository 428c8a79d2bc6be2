//! Plugins compiled ahead of time: files for hosts that may not compile, or that must start at once.
//!
//! Such a file is native code, which runs as it is: whoever can write it runs code in this process. So it is loaded only
//! where the pipeline file says `precompiled: true`, and only while it belongs to the user who runs the program, no one else
//! can write it, and no one else can put another file into its folder. All that is asked of the open file that is then read.
//! A digest tells damage. Which engine and processor it is for is checked before a byte of it is used: our
//! own heading tells system and architecture, and wasmtime's the engine's version, its settings and the processor's features.
//!
//! Form: [`MAGIC`], SHA-256 of all that follows, length of the heading in 4 bytes (lowest first), the heading in JSON, code.

use std::fs::File;
use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};
use wasmtime::component::Component;

use crate::cache::{closed_to_others, folder_keeps_files};
use crate::load::PluginFile;

/// First bytes of a file; changes with its form.
pub(crate) const MAGIC: &[u8; 16] = b"sluicebox-aot-1\n";
const DIGEST_BYTES: usize = 32;

/// What a compiled file says of itself.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Heading {
    /// SHA-256 of the plugin that it was made from, in hexadecimal.
    pub(crate) plugin_sha256: String,
    /// Version of this program.
    pub(crate) program: String,
    /// `x86_64-linux`
    pub(crate) machine: String,
    /// The schema of the plugin's configuration; none where it carries none.
    #[serde(default)]
    pub(crate) config_schema: Option<Value>,
}

impl Heading {
    pub(crate) fn here(plugin_sha256: &str) -> Self {
        Self {
            plugin_sha256: plugin_sha256.to_owned(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            machine: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            config_schema: None,
        }
    }
}

/// The file's bytes.
pub(crate) fn write(heading: &Heading, code: &[u8]) -> Result<Vec<u8>, String> {
    let heading = serde_json::to_vec(heading).map_err(|error| error.to_string())?;
    let length = u32::try_from(heading.len()).map_err(|error| error.to_string())?;
    let body = [&length.to_le_bytes(), &heading[..], code].concat();
    Ok([&MAGIC[..], &Sha256::digest(&body), &body].concat())
}

/// Takes a file apart, or says why it cannot be used here.
fn read(bytes: &[u8]) -> Result<(Heading, &[u8]), String> {
    let damaged = || "it is damaged: make it again with `sluicebox plugin compile`".to_owned();
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(damaged)?;
    let (digest, body) = rest.split_first_chunk::<DIGEST_BYTES>().ok_or_else(damaged)?;
    if Sha256::digest(body).as_slice() != digest {
        return Err(damaged());
    }
    let (length, rest) = body.split_first_chunk::<4>().ok_or_else(damaged)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| damaged())?;
    let (heading, code) = rest.split_at_checked(length).ok_or_else(damaged)?;
    let heading: Heading = serde_json::from_slice(heading).map_err(|_| damaged())?;
    let here = Heading::here(&heading.plugin_sha256);
    if heading.machine != here.machine {
        return Err(format!(
            "it was compiled for {}, this machine is {}: make it again here with `sluicebox plugin compile`",
            heading.machine, here.machine
        ));
    }
    Ok((heading, code))
}

/// Says why an open file is not to be trusted: others can write it, or put another of the user's files in its place.
pub(crate) fn check_closed(file: &File, path: &Path) -> Result<(), String> {
    let unclear = |error: std::io::Error| error.to_string();
    let folder = path.canonicalize().map_err(unclear)?;
    let folder = folder.parent().unwrap_or(&folder).metadata().map_err(unclear)?;
    closed_to_others(&file.metadata().map_err(unclear)?)
        .and_then(|()| folder_keeps_files(&folder))
        .map_err(|reason| format!("{reason}; a compiled plugin is code that is run as it is"))
}

/// The component, the digest of the plugin that it was made from, and the schema of its configuration.
pub(crate) fn load(
    engine: &wasmtime::Engine,
    file: &PluginFile,
) -> Result<(Component, String, Option<Value>), String> {
    if !file.closed {
        return Err("it was not read as a compiled plugin; this is a defect of this program".into());
    }
    let (heading, code) = read(&file.bytes)?;
    let component = deserialize(engine, code).map_err(|error| {
        format!(
            "it was compiled by sluicebox {} for another engine or processor than this one: {error:#}; make it again \
             here with `sluicebox plugin compile`",
            heading.program
        )
    })?;
    Ok((component, heading.plugin_sha256, heading.config_schema))
}

#[allow(unsafe_code, reason = "loading compiled code has no safe form")]
fn deserialize(engine: &wasmtime::Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the bytes must be what `Component::serialize` made. They come from a file that the pipeline file names as
    // compiled, that belongs to this user and that no one else can write (`load::read_closed` asks that of the open file that it
    // reads, and `load` takes no other), and match the digest that `write` put before them. Another version or configuration of wasmtime, or another processor, is told by wasmtime's own header.
    unsafe { Component::deserialize(engine, code) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_damaged_or_from_elsewhere_is_told() {
        let whole = write(&Heading::here("abc"), b"code").expect("a file");
        assert_eq!(read(&whole), Ok((Heading::here("abc"), &b"code"[..])));
        for length in 0..whole.len() {
            assert!(read(&whole[..length]).is_err_and(|reason| reason.contains("damaged")), "{length}");
        }
        let mut other = whole.clone();
        if let Some(last) = other.last_mut() {
            *last ^= 1;
        }
        assert!(read(&other).is_err());
        let heading = Heading { machine: "riscv64-plan9".into(), ..Heading::here("abc") };
        let foreign = write(&heading, b"code").expect("a file");
        let reason = read(&foreign).expect_err("it is from elsewhere");
        assert!(reason.contains("compiled for riscv64-plan9, this machine is"), "{reason}");
    }

    #[test]
    fn what_another_engine_compiled_is_told() {
        let plain = wasmtime::Engine::new(&wasmtime::Config::new()).expect("an engine");
        let component = Component::new(&plain, wat::parse_str("(component)").expect("WebAssembly"));
        let code = component.expect("it compiles").serialize().expect("its code");
        let bytes = write(&Heading::here("abc"), &code).expect("a file");
        let mut other = wasmtime::Config::new();
        other.epoch_interruption(true);
        let other = wasmtime::Engine::new(&other).expect("an engine");
        let file = |closed| PluginFile { bytes: bytes.clone(), hash: String::new(), closed };
        let reason = load(&other, &file(true)).map(|_| ()).expect_err("it is for another engine");
        assert!(reason.contains("for another engine or processor than this one"), "{reason}");
        assert_eq!(load(&plain, &file(true)).map(|(_, hash, _)| hash), Ok("abc".into()));
        assert!(load(&plain, &file(false)).is_err(), "nobody has looked whose it is");
    }
}
