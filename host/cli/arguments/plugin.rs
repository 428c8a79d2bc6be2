//! The command line of `plugin`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

/// `plugin …`.
#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// Make a new plugin project: sources, SDK, interface and a case file, which builds and passes its cases.
    #[command(
        after_help = "Example: sluicebox plugin new rust mask-orders\n         cd mask-orders && sluicebox plugin build && sluicebox plugin test mask-orders.wasm cases.yaml"
    )]
    New(NewOptions),
    /// Build a plugin project into NAME.wasm, and check that this host would load it.
    #[command(
        after_help = "Example: sluicebox plugin build mask-orders\n\nA project with a Cargo.toml is built by cargo for wasm32-unknown-unknown; any other by its own build.sh."
    )]
    Build(BuildOptions),
    /// Run a plugin on the events of case files and compare what goes on; the exit code is 1 when something differs.
    #[command(after_help = "Example: sluicebox plugin test mask-orders.wasm cases.yaml")]
    Test(TestOptions),
    /// Measure what a plugin costs for each row, beside the same rows passing through without it.
    #[command(
        after_help = "Example: sluicebox plugin bench mask-orders.wasm --cases cases.yaml\n         sluicebox plugin bench mask-orders.wasm --table 'CREATE TABLE t (id INT PRIMARY KEY, email TEXT)'"
    )]
    Bench(BenchOptions),
    /// Compile a plugin ahead of time, for machines like this one that may not compile or must start at once.
    ///
    /// The file is native code. A pipeline loads it only with `precompiled: true` beside its path, and only while it belongs to the
    /// user who runs the pipeline and no one else can write it.
    #[command(after_help = "Example: sluicebox plugin compile mask-orders.wasm --out mask-orders.compiled")]
    Compile(CompileOptions),
    /// Write real events of a pipeline's source to a case file. Reads the binlog; changes nothing.
    #[command(
        after_help = "Example: sluicebox plugin record pipeline.yaml app_db.orders --events 20 --mask email,phone --out orders.yaml\n         sluicebox plugin test mask-orders.wasm orders.yaml --update"
    )]
    Record(RecordOptions),
    /// Print the interface between plugins and this program, as WIT.
    #[command(
        after_help = "Example: sluicebox plugin interface > transform.wit\n\nOther languages' tools make bindings of it."
    )]
    Interface {
        /// Print it as a page for people, in Markdown.
        #[arg(long)]
        markdown: bool,
    },
    /// Let a running pipeline take in the plugins' files as they are now.
    ///
    /// A new version is loaded and planned against every table that it concerns, what follows for the sink is checked, and then it is
    /// switched to, at one place of the stream for all. Whatever is wrong before that, the old version stays: the exit code is then 2 where
    /// the plugin is the reason and 3 where the sink is.
    #[command(
        after_help = "Example: sluicebox plugin reload pipeline.yaml\n         sluicebox plugin reload pipeline.yaml mask-orders"
    )]
    Reload(ReloadOptions),
    /// Show which version of each plugin rows went through, and from which place of the stream on.
    ///
    /// Of the records whose place lies before a row, the last one counts; for sink tables that a record names, their own place in it does.
    #[command(after_help = "Example: sluicebox plugin history pipeline.yaml")]
    History(PluginHistoryOptions),
    /// Run a new version beside the one in force, on the rows of a running pipeline, and count what it does otherwise.
    ///
    /// Nothing that it makes goes anywhere, and no value is shown. The exit code is 1 when something differs.
    #[command(
        after_help = "Example: sluicebox plugin canary pipeline.yaml --plugin mask-orders --module new/mask-orders.wasm --rows 50000\n\nThe comparison costs the pipeline time: with a plugin that drops rows, each row is given to both versions alone."
    )]
    Canary(CanaryOptions),
    /// Show what a file is: world, version, imports, size, and whether it would load.
    #[command(after_help = "Example: sluicebox plugin inspect plugins/orders.wasm")]
    Inspect {
        /// The WebAssembly file.
        file: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// A language that projects can be made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// Rust, with the SDK crate.
    Rust,
    /// C, with the SDK's two files; built by clang.
    C,
    /// Python, with the SDK's package; built by componentize-py into 18 MB.
    Python,
    /// Go, with the SDK's package; built by Go itself, 1.25 or newer, into 3 MB.
    Go,
    /// JavaScript, with the SDK's modules and types; built by componentize-qjs into 2 MB.
    #[value(alias = "javascript")]
    Js,
    /// TypeScript, with the same: types are checked first.
    #[value(alias = "ts")]
    Typescript,
}

/// `plugin new`.
#[derive(Debug, Args)]
pub struct NewOptions {
    /// The language.
    pub language: Language,
    /// The project's name: small letters, digits and `-`.
    pub name: String,
    /// Folder to make; it must not exist. Default: the name.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// `plugin build`.
#[derive(Debug, Args)]
pub struct BuildOptions {
    /// The project's folder.
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// The file to write. Default: NAME.wasm in the project's folder.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `plugin test`.
#[derive(Debug, Args)]
pub struct TestOptions {
    /// The plugin.
    pub plugin: PathBuf,
    /// Case files, YAML or JSON.
    #[arg(required = true)]
    pub cases: Vec<PathBuf>,
    /// Only cases whose name contains this.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub filter: String,
    /// Write what came into the case files as what is expected, instead of comparing.
    #[arg(long, conflicts_with = "filter")]
    pub update: bool,
    /// What the plugin may use.
    #[command(flatten)]
    pub limits: LimitOptions,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// What a plugin may use, as `limits` in a pipeline file.
#[derive(Debug, Args)]
pub struct LimitOptions {
    /// Memory of the instance, in MiB. Interpreted languages want 256.
    #[arg(long, value_name = "MIB")]
    pub memory: Option<u64>,
    /// Time of one call, in milliseconds, beside what each row adds.
    #[arg(long, value_name = "MS")]
    pub time: Option<u64>,
}

/// `plugin bench`.
#[derive(Debug, Args)]
pub struct BenchOptions {
    /// The plugin.
    pub plugin: PathBuf,
    /// Take table, configuration and events from the first case with events in this file.
    #[arg(long, value_name = "FILE", required_unless_present = "table", conflicts_with = "table")]
    pub cases: Option<PathBuf>,
    /// Generate rows of this table, a CREATE TABLE statement.
    #[arg(long, value_name = "STATEMENT")]
    pub table: Option<String>,
    /// What the plugin is told when it starts, as JSON.
    #[arg(long, value_name = "JSON", conflicts_with = "cases")]
    pub config: Option<String>,
    /// Seed of generated rows.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// What the plugin may use.
    #[command(flatten)]
    pub limits: LimitOptions,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `plugin compile`.
#[derive(Debug, Args)]
pub struct CompileOptions {
    /// The plugin.
    pub plugin: PathBuf,
    /// The file to write. Default: the plugin's path with the ending `.compiled`.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Where recording begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RecordFrom {
    /// With what comes from now on.
    Now,
    /// With the oldest event that the server still has.
    Earliest,
}

/// `plugin record`.
#[derive(Debug, Args)]
pub struct RecordOptions {
    /// The pipeline file.
    pub file: PathBuf,
    /// The table, as `database.table`.
    pub table: String,
    /// The case file to write; it must not exist.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// At most so many events.
    #[arg(long, default_value_t = 100)]
    pub events: usize,
    /// Where to begin.
    #[arg(long, default_value = "now")]
    pub from: RecordFrom,
    /// How long to wait for them.
    #[arg(long, default_value = "60", value_name = "SECONDS", value_parser = seconds)]
    pub wait: Duration,
    /// Columns whose values are masked: letters become `x`, digits `0`.
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    pub mask: Vec<String>,
    /// Mask all columns but those of the key.
    #[arg(long)]
    pub mask_all: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `plugin reload`.
#[derive(Debug, Args)]
pub struct ReloadOptions {
    /// The pipeline file.
    pub file: PathBuf,
    /// Only plugins of this name (the file's without its ending), or the one with this place in the pipeline file, as
    /// `transform[0].plugin[1]`. Default: all whose files have changed.
    pub plugin: Option<String>,
    /// How long to wait for the pipeline's answer. To compile an interpreted plugin takes it seconds.
    #[arg(long, default_value = "120", value_name = "SECONDS", value_parser = seconds)]
    pub wait: Duration,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `plugin history`.
#[derive(Debug, Args)]
pub struct PluginHistoryOptions {
    /// The pipeline file.
    pub file: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `plugin canary`.
#[derive(Debug, Args)]
pub struct CanaryOptions {
    /// The pipeline file.
    pub file: PathBuf,
    /// The plugin, by its name or its place in the pipeline file.
    #[arg(long, value_name = "NAME")]
    pub plugin: String,
    /// The new version's file.
    #[arg(long, value_name = "FILE")]
    pub module: PathBuf,
    /// Compare until about so many rows were compared. An update is one row.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub rows: u64,
    /// Compare no longer than so many seconds.
    #[arg(long = "for", default_value = "60", value_name = "SECONDS", value_parser = seconds)]
    pub longest: Duration,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 1..=86_400) => Ok(Duration::from_secs(seconds)),
        _ => Err("expected seconds, from 1 to 86400".to_owned()),
    }
}
