//! `plugin build`: a project becomes one file that the host loads.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, anyhow};
use serde_json::{Value, json};
use sluicebox_engine::{EngineError, PluginEngine, inspect_plugin};

use crate::arguments::BuildOptions;
use crate::commands::print_json;
use crate::failure::Failure;
use crate::output::line;

const TARGET: &str = "wasm32-unknown-unknown";
/// A JSON Schema of the plugin's configuration; it goes into the component.
const CONFIG_SCHEMA: &str = "config.schema.json";

/// Builds a project.
pub fn run(options: &BuildOptions) -> Result<(), Failure> {
    let dir = &options.dir;
    let (name, module) = if dir.join("Cargo.toml").is_file() {
        cargo(dir)?
    } else if dir.join("build.sh").is_file() {
        script(dir)?
    } else {
        return Err(anyhow!("{} has neither a Cargo.toml nor a build.sh", dir.display()).into());
    };
    let engine = PluginEngine::for_tools().map_err(EngineError::from)?;
    let schema = config_schema(dir)?;
    let component = engine.component_bytes(&module, schema.as_deref()).map_err(EngineError::from)?;
    let out = options.out.clone().unwrap_or_else(|| dir.join(format!("{name}.wasm")));
    std::fs::write(&out, component).with_context(|| format!("writing {}", out.display()))?;
    let found = inspect_plugin(&out).map_err(EngineError::from)?;
    if options.json {
        return print_json(
            &json!({ "file": out, "size": found.size, "sha256": found.sha256, "version": found.version }),
        );
    }
    line!("{}  {} bytes  sha256 {}", out.display(), found.size, found.sha256);
    Ok(())
}

/// What the project says of its configuration.
fn config_schema(dir: &Path) -> Result<Option<Vec<u8>>, Failure> {
    let path = dir.join(CONFIG_SCHEMA);
    match std::fs::read(&path) {
        Ok(schema) => Ok(Some(schema)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(anyhow!("reading {}: {error}", path.display()).into()),
    }
}

/// What a tool printed is for people, and standard output is for facts.
fn run_tool(mut command: Command, what: &str) -> Result<(), Failure> {
    let output = command.output().with_context(|| format!("running {what}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    Err(anyhow!("{what} failed ({}):\n{}", output.status, said.trim_end()).into())
}

fn cargo(dir: &Path) -> Result<(String, PathBuf), Failure> {
    check_target(dir)?;
    let metadata = metadata(dir)?;
    let name = library(&metadata, dir)?;
    let mut build = Command::new("cargo");
    build.args(["build", "--release", "--target", TARGET]).current_dir(dir);
    run_tool(build, "cargo build")?;
    let target = metadata["target_directory"].as_str().unwrap_or("target");
    let module =
        Path::new(target).join(TARGET).join("release").join(name.replace('-', "_")).with_extension("wasm");
    Ok((name, module))
}

/// The target's own library is the one thing that a Rust installation may lack; cargo tells it in many lines.
fn check_target(dir: &Path) -> Result<(), Failure> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = Command::new(rustc);
    command.args(["--print", "target-libdir", "--target", TARGET]).current_dir(dir);
    let output = command.output().context("running rustc; is Rust installed?")?;
    let libraries = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let has = output.status.success()
        && std::fs::read_dir(&libraries).is_ok_and(|mut files| files.next().is_some());
    if has {
        return Ok(());
    }
    Err(anyhow!("this Rust cannot build for {TARGET}; install it with: rustup target add {TARGET}").into())
}

fn metadata(dir: &Path) -> Result<Value, Failure> {
    let output = Command::new("cargo")
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(dir)
        .output()
        .context("running cargo metadata")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(anyhow!("cargo metadata failed:\n{}", said.trim_end()).into());
    }
    Ok(serde_json::from_slice(&output.stdout).context("reading cargo's metadata")?)
}

/// The name of the project's package, which must make a `cdylib`.
fn library(metadata: &Value, dir: &Path) -> Result<String, Failure> {
    let manifest = dir.join("Cargo.toml").canonicalize().context("finding Cargo.toml")?;
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let ours = |package: &&Value| {
        package["manifest_path"]
            .as_str()
            .is_some_and(|path| Path::new(path).canonicalize().ok().as_ref() == Some(&manifest))
    };
    let package = packages.iter().find(ours).ok_or_else(|| anyhow!("{} is no package", dir.display()))?;
    let targets = package["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_library =
        |target: &&Value| target["kind"].as_array().is_some_and(|kinds| kinds.contains(&"cdylib".into()));
    let library = targets.iter().find(is_library).and_then(|target| target["name"].as_str());
    let library = library
        .ok_or_else(|| anyhow!("the package makes no plugin: say `crate-type = [\"cdylib\"]` in [lib]"))?;
    // A library's name has underscores where its package's may have dashes.
    let name = package["name"].as_str().filter(|name| name.replace('-', "_") == library.replace('-', "_"));
    Ok(name.unwrap_or(library).to_owned())
}

/// A project of another language: `build.sh FILE` writes the plugin there.
fn script(dir: &Path) -> Result<(String, PathBuf), Failure> {
    let dir = dir.canonicalize().with_context(|| format!("finding {}", dir.display()))?;
    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let module = dir.join("build").join(&name).with_extension("wasm");
    std::fs::create_dir_all(dir.join("build")).context("making the folder `build`")?;
    let mut command = Command::new("sh");
    command.arg("build.sh").arg(&module).current_dir(&dir);
    run_tool(command, "build.sh")?;
    Ok((name, module))
}
