//! What can go wrong with a plugin, split by what happens next.

use std::path::PathBuf;

use sluicebox_model::TableId;

/// Why a plugin could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum WasmError {
    /// The engine could not be made on this machine; nothing about any plugin.
    #[error("cannot start the WebAssembly engine: {reason}")]
    Engine {
        /// What failed.
        reason: String,
    },
    /// The folder for compiled plugins cannot be trusted or used; the operator must act.
    #[error("cannot keep compiled plugins in `{}`: {reason}", folder.display())]
    CacheFolder {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// The file is not a plugin that this host can run; another file is needed.
    #[error("cannot load plugin `{}`: {reason}", path.display())]
    Load {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// The configuration does not fit the schema that the plugin carries; the pipeline file must change.
    #[error("the configuration of plugin `{plugin}` does not fit: {reason}")]
    Config {
        /// The plugin.
        plugin: String,
        /// Places and what was expected there; no values.
        reason: String,
    },
    /// The plugin refused its configuration, or failed at its start; the pipeline file must change.
    #[error("plugin `{plugin}` did not start: {reason}")]
    Start {
        /// The plugin.
        plugin: String,
        /// The plugin's own words, or how it failed.
        reason: String,
    },
    /// The plugin has no usable plan for a table; `on-schema-error` decides.
    #[error("plugin `{plugin}` has no plan for `{table}`: {reason}")]
    Plan {
        /// The plugin.
        plugin: String,
        /// The table, under the name that the plugin sees.
        table: TableId,
        /// The plugin's own words, or what is wrong with the plan.
        reason: String,
    },
    /// The plugin failed on a batch, none of whose rows went on; `on-error` decides.
    #[error("plugin `{plugin}` failed on rows of `{table}`: {fault}")]
    Guest {
        /// The plugin.
        plugin: String,
        /// The table, under the name that the plugin sees.
        table: TableId,
        /// How.
        fault: Fault,
    },
    /// So many rows of one batch make the plugin fail that it is the plugin that is broken, not the rows.
    #[error(
        "plugin `{plugin}` fails on row after row of `{table}` ({rows} in one batch), the last time: {fault}"
    )]
    Broken {
        /// The plugin.
        plugin: String,
        /// The table, under the name that the plugin sees.
        table: TableId,
        /// Row images that failed before it was given up.
        rows: usize,
        /// How the last one failed.
        fault: Fault,
    },
    /// The caller's batch does not fit the plan; a defect of this program.
    #[error("a batch of `{table}` does not fit its plan: {reason}")]
    Batch {
        /// The table.
        table: TableId,
        /// What does not fit.
        reason: String,
    },
}

/// How a plugin failed on a batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It trapped; in Rust that is a panic.
    #[error("it stopped: {0}")]
    Trap(String),
    /// It used more time than its limit allows.
    #[error("it was stopped after its time limit of {0:?}")]
    Time(std::time::Duration),
    /// It asked for more memory than its limit allows.
    #[error("it asked for {wanted} of memory, above its limit of {limit}")]
    Memory {
        /// What it would have had.
        wanted: sluicebox_model::ByteSize,
        /// What it may have.
        limit: sluicebox_model::ByteSize,
    },
    /// What it gave back breaks the interface.
    #[error("it gave back what it may not: {0}")]
    Output(String),
    /// It asked the host for something that it may not have.
    #[error("{0}")]
    Forbidden(String),
    /// It said so itself. Its words can quote a row, so they are not in the message, which logs show; see [`Fault::words`].
    #[error("it gave an error of its own")]
    Said(String),
}

impl WasmError {
    /// The message with what the plugin itself has said, which can quote a row: for those who may see the row.
    pub fn words(&self) -> String {
        match self {
            Self::Guest { fault: Fault::Said(words), .. }
            | Self::Broken { fault: Fault::Said(words), .. } => {
                format!("{self}: {words}")
            }
            other => other.to_string(),
        }
    }
}

impl Fault {
    /// What is wrong, in the plugin's own words where it has any. They can quote a row: they belong where the row itself may go,
    /// and in no log.
    pub fn words(&self) -> String {
        match self {
            Self::Said(words) => words.clone(),
            other => other.to_string(),
        }
    }

    /// Whether the instance's memory can be in any state, so that it must not be used again.
    pub fn poisons(&self) -> bool {
        match self {
            Self::Trap(_) | Self::Time(_) | Self::Memory { .. } | Self::Output(_) | Self::Forbidden(_) => {
                true
            }
            Self::Said(_) => false,
        }
    }
}
