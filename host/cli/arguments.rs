//! The command line.

mod plugin;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use plugin::{
    BenchOptions, BuildOptions, CanaryOptions, CompileOptions, Language, LimitOptions, NewOptions,
    PluginCommand, PluginHistoryOptions, RecordFrom, RecordOptions, ReloadOptions, TestOptions,
};

const EXIT_CODES: &str = "Exit codes: 0 stopped or finished, 2 bad usage or configuration, 3 source or sink refused, 1 anything else.";

/// Moves MySQL and MariaDB changes through WebAssembly transforms into MaxCompute.
#[derive(Debug, Parser)]
#[command(name = "sluicebox", version, after_help = EXIT_CODES, propagate_version = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a first pipeline file with comments, from what a server has.
    #[command(
        after_help = "Example: MYSQL_PASSWORD=secret sluicebox init pipeline.yaml --host db.example.org --user cdc --database app_db"
    )]
    Init(InitOptions),
    /// Run a pipeline until it is stopped (SIGINT, SIGTERM) or has nothing more to do.
    #[command(
        after_help = "Example: sluicebox run pipeline.yaml\n\nThe first signal finishes what was read and takes a checkpoint; a second one stops at once."
    )]
    Run(RunOptions),
    /// Say everything that is wrong with a pipeline file; with --connect ask both ends and show the plan. Changes nothing.
    #[command(after_help = "Example: sluicebox validate pipeline.yaml --connect")]
    Validate(ValidateOptions),
    /// Show how far a pipeline is, from its state directory; works while it runs.
    #[command(after_help = "Example: sluicebox status pipeline.yaml --json")]
    Status(FileOptions),
    /// Run an SQL statement in the sink's project with the pipeline's credentials and print the result.
    #[command(after_help = "Example: sluicebox query pipeline.yaml 'SELECT * FROM orders LIMIT 10'")]
    Query(QueryOptions),
    /// Tell a stopped pipeline what became of an append session that the service has forgotten.
    ///
    /// Needed only when `run` stopped because nobody can tell whether a session has committed. Compare the sink table with
    /// the source first: the wrong answer leaves rows out, or writes them twice.
    #[command(after_help = "Example: sluicebox settle pipeline.yaml 2026112512345678abcdef lost")]
    Settle(SettleOptions),
    /// Look at what is known of the source's schemas.
    Schema {
        /// What to do.
        #[command(subcommand)]
        command: SchemaCommand,
    },
    /// Look at events that plugins failed on (`on-error: dead-letter`), and send them again.
    DeadLetters {
        /// What to do.
        #[command(subcommand)]
        command: DeadLettersCommand,
    },
    /// Make, build, try and look at WebAssembly plugins.
    Plugin {
        /// What to do.
        #[command(subcommand)]
        command: PluginCommand,
    },
    /// Serve a MaxCompute-compatible HTTP API on this machine, for trying things out and for tests.
    #[command(
        after_help = "Example: sluicebox emulator --listen 127.0.0.1:8080 --data /tmp/maxcompute\n\nThe service API is under /api, the tunnel API at the root of the same port. A project exists as soon as it is named."
    )]
    Emulator(EmulatorOptions),
    /// Take over a pipeline of another program.
    Import {
        /// What to do.
        #[command(subcommand)]
        command: ImportCommand,
    },
    /// List every option of the pipeline file.
    #[command(after_help = "Example: sluicebox options --json")]
    Options(OptionsOptions),
    /// Print a completion script for a shell.
    #[command(after_help = "Example: sluicebox completions bash > /etc/bash_completion.d/sluicebox")]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// `init`.
#[derive(Debug, Args)]
pub struct InitOptions {
    /// The file to write; it must not exist.
    pub file: PathBuf,
    /// The server's name or address.
    #[arg(long)]
    pub host: String,
    /// Its TCP port.
    #[arg(long, default_value_t = 3306)]
    pub port: u16,
    /// The account that the pipeline will use.
    #[arg(long)]
    pub user: String,
    /// The environment variable that holds its password.
    #[arg(long, value_name = "NAME", default_value = "MYSQL_PASSWORD")]
    pub password_env: String,
    /// A database to capture; may be given several times. Default: all that the account can see.
    #[arg(long = "database", value_name = "NAME")]
    pub databases: Vec<String>,
}

/// `run`.
#[derive(Debug, Args)]
pub struct RunOptions {
    /// The pipeline file.
    pub file: PathBuf,
    /// Least severe log level: error, warn, info, debug, trace; or a filter such as `sluicebox_engine=debug`.
    #[arg(long, env = "SLUICEBOX_LOG", default_value = "info")]
    pub log: String,
}

/// `settle`.
#[derive(Debug, Args)]
pub struct SettleOptions {
    /// The pipeline file.
    pub file: PathBuf,
    /// The session's id, as the message and `status` say it; several of one commit where they share their fate.
    #[arg(required = true, num_args = 1..)]
    pub sessions: Vec<String>,
    /// `committed`: its rows are in the table; `lost`: they are not, and are read again, with those of the other partitions of
    /// the same commit.
    pub fate: SessionFate,
}

/// What became of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum SessionFate {
    /// Its rows are in the table.
    Committed,
    /// Its rows are not in the table.
    Lost,
}

/// `schema`.
#[derive(Debug, Subcommand)]
pub enum SchemaCommand {
    /// Show every schema that tables have had since the pipeline began, with the statements between them; works while it runs.
    #[command(after_help = "Example: sluicebox schema history pipeline.yaml app_db.orders")]
    History(HistoryOptions),
    /// Say yes to changes of sink tables that wait (`pipeline.schema.change.approval: required`); works while the pipeline runs.
    #[command(
        after_help = "Example: sluicebox schema approve pipeline.yaml app_db.orders\n\n`sluicebox status` shows what waits."
    )]
    Approve(ApproveOptions),
}

/// `schema approve`.
#[derive(Debug, Args)]
pub struct ApproveOptions {
    /// The pipeline file.
    pub file: PathBuf,
    /// One source table, as `database.table`; everything that waits when not given.
    pub table: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `schema history`.
#[derive(Debug, Args)]
pub struct HistoryOptions {
    /// The pipeline file.
    pub file: PathBuf,
    /// One table, as `database.table`; all when not given.
    pub table: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `import`.
#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// Say line by line what a Flink CDC pipeline file does here, and what is not as there. Changes nothing: such a file runs as it is.
    #[command(after_help = "Example: sluicebox import flink-cdc mysql-to-maxcompute.yaml")]
    FlinkCdc(FileOptions),
}

/// `options`.
#[derive(Debug, Args)]
pub struct OptionsOptions {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Print Markdown: docs/configuration.md is what this prints.
    #[arg(long, conflicts_with = "json")]
    pub markdown: bool,
    /// Print a JSON schema, by which editors complete and check pipeline files.
    #[arg(long, conflicts_with_all = ["json", "markdown"])]
    pub json_schema: bool,
}

/// A command about a pipeline file.
#[derive(Debug, Args)]
pub struct FileOptions {
    /// The pipeline file.
    pub file: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `validate`.
#[derive(Debug, Args)]
pub struct ValidateOptions {
    /// The pipeline file.
    pub file: PathBuf,
    /// Log in to both ends, run the checks and show the plan.
    #[arg(long)]
    pub connect: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `query`.
#[derive(Debug, Args)]
pub struct QueryOptions {
    /// The pipeline file.
    pub file: PathBuf,
    /// The statement.
    pub sql: String,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `dead-letters …`.
#[derive(Debug, Subcommand)]
pub enum DeadLettersCommand {
    /// List the letters with place, plugin and reason; works while the pipeline runs.
    #[command(after_help = "Example: sluicebox dead-letters list pipeline.yaml --json")]
    List {
        /// The pipeline file.
        file: PathBuf,
        /// Only those of one table, as `database.table`.
        #[arg(long)]
        table: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show one letter whole, with the row; works while the pipeline runs.
    #[command(after_help = "Example: sluicebox dead-letters show pipeline.yaml 17")]
    Show {
        /// The pipeline file.
        file: PathBuf,
        /// The letter's number, as `list` shows it.
        number: u64,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Send letters through the plugins as they are now, and into the sink, each exactly once. The pipeline must be stopped.
    ///
    /// For a table with a key the source is asked for the rows as they are now, so a letter never takes the sink back to an
    /// older state. Letters that fail again stay; the exit code is then 1.
    #[command(
        after_help = "Example: sluicebox dead-letters replay pipeline.yaml\n         sluicebox dead-letters replay pipeline.yaml 17 18"
    )]
    Replay {
        /// The pipeline file.
        file: PathBuf,
        /// Numbers of letters; all when none is given.
        numbers: Vec<u64>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// `emulator`.
#[derive(Debug, Args)]
pub struct EmulatorOptions {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDR")]
    pub listen: SocketAddr,
    /// Folder that keeps the tables; made where it is missing.
    #[arg(long, value_name = "DIR", required_unless_present = "in_memory", conflicts_with = "in_memory")]
    pub data: Option<PathBuf>,
    /// Keep everything in memory; it ends with the process.
    #[arg(long)]
    pub in_memory: bool,
    /// Accepted access id and key; may be given several times. Default: sluicebox:sluicebox.
    #[arg(long, value_name = "ID:SECRET", value_parser = credentials)]
    pub credentials: Vec<(String, String)>,
    /// Check rows and throw them away, for benchmarks.
    #[arg(long)]
    pub discard: bool,
    /// Projects have schemas (project.schema.table).
    #[arg(long)]
    pub schemas: bool,
    /// Take also what a service might take: dates far from the clock, rows in any bucket, and more sessions and commits
    /// than the service allows.
    #[arg(long)]
    pub lenient: bool,
}

fn credentials(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((id, secret)) if !id.is_empty() && !secret.is_empty() => Ok((id.to_owned(), secret.to_owned())),
        _ => Err("expected ID:SECRET".to_owned()),
    }
}
