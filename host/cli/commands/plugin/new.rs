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
        Language::Python => python(),
        Language::Go => go(),
        Language::Js => js(),
        Language::Typescript => typescript(),
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

fn python() -> Vec<File> {
    vec![
        (".gitignore", "/.venv\n/build\n__pycache__/\n*.wasm\n".to_owned()),
        ("README.md", guest_file!("templates/python/README.md")),
        ("build.sh", guest_file!("templates/python/build.sh")),
        ("cases.yaml", guest_file!("templates/rust/cases.yaml")),
        ("plugin.py", guest_file!("templates/python/plugin.py")),
        ("requirements.txt", guest_file!("templates/python/requirements.txt")),
        ("sdk/build.sh", guest_file!("sdk/python/build.sh")),
        ("sdk/sluicebox/__init__.py", guest_file!("sdk/python/sluicebox/__init__.py")),
        ("sdk/sluicebox/errors.py", guest_file!("sdk/python/sluicebox/errors.py")),
        ("sdk/sluicebox/host.py", guest_file!("sdk/python/sluicebox/host.py")),
        ("sdk/sluicebox/plan.py", guest_file!("sdk/python/sluicebox/plan.py")),
        ("sdk/sluicebox/row.py", guest_file!("sdk/python/sluicebox/row.py")),
        ("wit/transform.wit", guest_file!("../wit/transform.wit")),
    ]
}

fn go() -> Vec<File> {
    vec![
        (".gitignore", "/build\n*.wasm\n".to_owned()),
        ("README.md", guest_file!("templates/go/README.md")),
        ("build.sh", guest_file!("templates/go/build.sh")),
        ("cases.yaml", guest_file!("templates/rust/cases.yaml")),
        ("go.mod", guest_file!("templates/go/go.mod.in")),
        ("main.go", guest_file!("templates/go/main.go")),
        ("sdk/build.sh", guest_file!("sdk/go/build.sh")),
        ("sdk/go.mod", guest_file!("sdk/go/go.mod")),
        ("sdk/host.go", guest_file!("sdk/go/host.go")),
        ("sdk/memory.go", guest_file!("sdk/go/memory.go")),
        ("sdk/plan.go", guest_file!("sdk/go/plan.go")),
        ("sdk/plugin.go", guest_file!("sdk/go/plugin.go")),
        ("sdk/row.go", guest_file!("sdk/go/row.go")),
        ("sdk/sluicebox.go", guest_file!("sdk/go/sluicebox.go")),
        ("wit/transform.wit", guest_file!("../wit/transform.wit")),
    ]
}

fn js() -> Vec<File> {
    let own = [
        (".gitignore", "/build\n/node_modules\n*.wasm\n".to_owned()),
        ("README.md", guest_file!("templates/js/README.md")),
        ("build.sh", guest_file!("templates/js/build.sh")),
        ("package.json", guest_file!("templates/js/package.json.in")),
        ("plugin.js", guest_file!("templates/js/plugin.js")),
    ];
    with_js_sdk(own)
}

fn typescript() -> Vec<File> {
    let own = [
        (".gitignore", "/build\n/node_modules\n/plugin.js\n*.wasm\n".to_owned()),
        ("README.md", guest_file!("templates/ts/README.md")),
        ("build.sh", guest_file!("templates/ts/build.sh")),
        ("package.json", guest_file!("templates/ts/package.json.in")),
        ("plugin.ts", guest_file!("templates/ts/plugin.ts")),
        ("tsconfig.json", guest_file!("templates/ts/tsconfig.json")),
    ];
    with_js_sdk(own)
}

fn with_js_sdk<const N: usize>(own: [File; N]) -> Vec<File> {
    let sdk = [
        ("cases.yaml", guest_file!("templates/rust/cases.yaml")),
        ("sdk/build.sh", guest_file!("sdk/js/build.sh")),
        ("sdk/plan.js", guest_file!("sdk/js/plan.js")),
        ("sdk/rows.js", guest_file!("sdk/js/rows.js")),
        ("sdk/sluicebox.d.ts", guest_file!("sdk/js/sluicebox.d.ts")),
        ("sdk/sluicebox.js", guest_file!("sdk/js/sluicebox.js")),
        ("sdk/utf8.js", guest_file!("sdk/js/utf8.js")),
        ("wit/transform.wit", guest_file!("../wit/transform.wit")),
    ];
    own.into_iter().chain(sdk).collect()
}
