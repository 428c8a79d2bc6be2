//! `plugin new`: a project that builds and passes its cases.
//!
//! The SDK and the interface come along as sources, the very ones that this program was built beside, so that a project needs
//! nothing but its language's own tools and registry.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use crate::arguments::{Language, NewOptions};
use crate::failure::Failure;
use crate::output::line;

/// What stands for the project's name in templates.
const NAME: &str = "__NAME__";

/// A file of a project: its path and its text.
type File = (&'static str, String);

macro_rules! guest_file {
    ($path:literal) => {
        include_str!(concat!("../../../../guest-examples/", $path)).to_owned()
    };
}

/// Makes a project.
pub fn run(options: &NewOptions) -> Result<(), Failure> {
    check_name(&options.name)?;
    let folder = options.dir.clone().unwrap_or_else(|| PathBuf::from(&options.name));
    if folder.exists() {
        return Err(anyhow!("{} exists already", folder.display()).into());
    }
    let files = match options.language {
        Language::Rust => rust(),
        Language::C => c(),
    };
    for (path, text) in files {
        write(&folder.join(path), &text.replace(NAME, &options.name))?;
    }
    line!("{}", folder.display());
    line!(
        "next: cd {} && sluicebox plugin build && sluicebox plugin test {}.wasm cases.yaml",
        folder.display(),
        options.name
    );
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    Ok(std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?)
}

/// What all languages' tools take as a name.
fn check_name(name: &str) -> Result<(), Failure> {
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
    let plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if begins && plain && !name.ends_with('-') {
        return Ok(());
    }
    let message = format!("`{name}` is no name for a project: small letters, digits and `-`, a letter first");
    Err(Failure::Configuration(message))
}

fn rust() -> Vec<File> {
    // The SDK's own folder has the interface two levels further up than a project has.
    let library = guest_file!("sdk/rust/src/lib.rs").replace("../../../wit", "../wit");
    vec![
        ("Cargo.toml", guest_file!("templates/rust/Cargo.toml.in")),
        (".gitignore", "/target\n*.wasm\n".to_owned()),
        ("README.md", guest_file!("templates/rust/README.md")),
        ("cases.yaml", guest_file!("templates/rust/cases.yaml")),
        ("src/lib.rs", guest_file!("templates/rust/src/lib.rs")),
        ("sdk/Cargo.toml", guest_file!("templates/rust/sdk.toml.in")),
        ("sdk/src/lib.rs", library),
        ("sdk/src/column.rs", guest_file!("sdk/rust/src/column.rs")),
        ("sdk/src/error.rs", guest_file!("sdk/rust/src/error.rs")),
        ("sdk/src/guest.rs", guest_file!("sdk/rust/src/guest.rs")),
        ("sdk/src/host.rs", guest_file!("sdk/rust/src/host.rs")),
        ("sdk/src/logging.rs", guest_file!("sdk/rust/src/logging.rs")),
        ("sdk/src/plan.rs", guest_file!("sdk/rust/src/plan.rs")),
        ("sdk/src/row.rs", guest_file!("sdk/rust/src/row.rs")),
        ("wit/transform.wit", guest_file!("../wit/transform.wit")),
    ]
}

fn c() -> Vec<File> {
    vec![
        (".gitignore", "/build\n*.wasm\n".to_owned()),
        ("README.md", guest_file!("templates/c/README.md")),
        ("build.sh", guest_file!("templates/c/build.sh")),
        ("cases.yaml", guest_file!("templates/rust/cases.yaml")),
        ("plugin.c", guest_file!("templates/c/plugin.c")),
        ("sdk/build.sh", guest_file!("sdk/c/build.sh")),
        ("sdk/sluicebox.c", guest_file!("sdk/c/sluicebox.c")),
        ("sdk/sluicebox.h", guest_file!("sdk/c/sluicebox.h")),
        ("wit/transform.wit", guest_file!("../wit/transform.wit")),
    ]
}
