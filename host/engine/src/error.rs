//! What can stop a pipeline, and what happens then: the one place that decides.

use sluicebox_maxcompute as maxcompute;
use sluicebox_model::TableId;
use sluicebox_mysql::MysqlError;
use sluicebox_wasm::WasmError;

use crate::state::StateError;

/// Why a pipeline stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The source failed or refused.
    #[error("source: {0}")]
    Source(#[from] MysqlError),
    /// The sink failed or refused.
    #[error("sink: {doing}: {source}")]
    Sink {
        /// What was being done, with the target's name.
        doing: String,
        /// The service's answer.
        #[source]
        source: maxcompute::Error,
    },
    /// A guest failed.
    #[error(transparent)]
    Guest(#[from] WasmError),
    /// The state directory failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// The source is not set up for capture.
    #[error("the source is not ready: {0}")]
    Preflight(String),
    /// The pipeline file and the two ends do not fit together.
    #[error("{0}")]
    Plan(String),
    /// A sink table cannot take the rows of a source table.
    #[error("sink table `{target}` cannot take the rows of `{table}`: {reason}")]
    Schema {
        /// The source table.
        table: TableId,
        /// The sink table.
        target: String,
        /// Expected and found, and what can be done.
        reason: String,
    },
    /// A row came without some of its columns, and what it goes to needs them.
    #[error(
        "a row of `{table}` came without the column `{column}` (it was written with another binlog_row_image than FULL), and {reason}"
    )]
    Incomplete {
        /// The table, by its name after transforms.
        table: TableId,
        /// A column that it lacks.
        column: String,
        /// What needs it.
        reason: String,
    },
    /// A value does not fit its sink column.
    #[error("a value of column `{column}` of `{table}`{row} does not fit its sink column: {reason}")]
    Value {
        /// The table, by its name after transforms.
        table: TableId,
        /// The column.
        column: String,
        /// ` in the row ` and its key; empty without a key.
        row: String,
        /// What does not fit.
        reason: String,
    },
    /// An append session whose fate the service cannot tell.
    #[error("nobody can tell whether append session `{session}` of `{target}` has committed: {reason}")]
    UnknownFate {
        /// The sink table.
        target: String,
        /// The session.
        session: String,
        /// What the service said.
        reason: String,
    },
    /// A request without an answer may still arrive, and newer rows wait for the same bucket.
    #[error(
        "a request to `{target}` went unanswered; the epoch is taken back so that it cannot overtake newer rows"
    )]
    Unanswered {
        /// The sink table.
        target: String,
    },
    /// The service gave a table another number of buckets while rows were buffered for the old one.
    #[error("`{target}` has another number of buckets than before; the epoch is taken back and read again")]
    Respread {
        /// The sink table.
        target: String,
    },
    /// Rows of one epoch belong to more partitions than can be committed together.
    #[error("rows for `{target}` go to more than {most} partitions between two commits")]
    Partitions {
        /// The sink table.
        target: String,
        /// How many can be.
        most: usize,
    },
    /// A sink table was changed by somebody else while rows were on their way.
    #[error("`{target}` was changed by somebody else; the epoch is taken back and read again")]
    ChangedByOthers {
        /// The sink table.
        target: String,
    },
    /// A table without a key changed while it was read whole.
    #[error("`{table}` changed while its snapshot was being read; the snapshot begins again")]
    SnapshotDisturbed {
        /// The source table.
        table: TableId,
    },
    /// A guest condemned rows and the pipeline file says that this stops the pipeline.
    #[error("plugin `{plugin}` failed on {rows} rows of `{table}`{row}")]
    Condemned {
        /// The plugin.
        plugin: String,
        /// The table, under the name that the plugin sees.
        table: String,
        /// Number of row images.
        rows: usize,
        /// Which the first is, by its key; empty without one. What the guest says about it can quote it, and is not told.
        row: String,
    },
    /// A guest failed on more events than its error budget allows.
    #[error(
        "plugin `{plugin}` failed on more than {limit} events within a minute, its `error-budget`, the last time on `{table}`"
    )]
    ErrorBudget {
        /// The plugin.
        plugin: String,
        /// The source table.
        table: String,
        /// The budget.
        limit: u64,
    },
    /// A reference table of a plugin could not be read at the start.
    #[error("plugin `{plugin}`: lookup table `{table}`: {reason}")]
    Lookup {
        /// The plugin.
        plugin: String,
        /// The table.
        table: String,
        /// Why it could not be read.
        reason: String,
        /// Whether a server was asked for it, which may answer later.
        asked: bool,
    },
    /// An expression failed on rows and the pipeline file says that this stops the pipeline.
    #[error("`{entry}` failed on {rows} row images of `{table}`{row}: {reason}")]
    Expression {
        /// The entry of the pipeline file.
        entry: String,
        /// The table, under the name that the expression sees.
        table: String,
        /// `, the first of them` and its key; empty without a key.
        row: String,
        /// Number of row images.
        rows: usize,
        /// The column or the filter, the expression, what is wrong; of the first.
        reason: String,
    },
    /// The behaviour in force does not allow the schema change.
    #[error("schema change of `{table}` is not allowed: {reason}")]
    SchemaChange {
        /// The source table.
        table: TableId,
        /// What changed and which option decided.
        reason: String,
    },
    /// A start found a sink table that has to be changed, and no operator has said yes to it.
    #[error(
        "sink table `{target}` has to be changed before rows come into it, and nobody has approved that: {statements}"
    )]
    Unapproved {
        /// The sink table.
        target: String,
        /// What would be run.
        statements: String,
    },
    /// Memory, threads or sockets could not be had.
    #[error("cannot start {what}: {source}")]
    Start {
        /// What could not be started.
        what: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A thread or task of the pipeline ended without saying why.
    #[error("the {0} ended unexpectedly; this is a defect of this program")]
    Lost(&'static str),
}

/// What the pipeline does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// Start again from the checkpoint after a pause.
    Retry,
    /// Stop: an operator must act. `refused` tells the two ends' refusals from everything else (exit code 3).
    Halt {
        /// The source or the sink refused.
        refused: bool,
    },
}

impl EngineError {
    /// A failed call of the sink.
    pub(crate) fn sink(doing: impl Into<String>) -> impl FnOnce(maxcompute::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Sink { doing, source }
    }

    /// What the pipeline does next. No other code decides this.
    pub fn disposition(&self) -> Disposition {
        use Disposition::{Halt, Retry};
        match self {
            Self::Source(error) => after_source(error),
            Self::Sink { source, .. } => after_sink(source),
            Self::Unanswered { .. }
            | Self::Respread { .. }
            | Self::ChangedByOthers { .. }
            | Self::SnapshotDisturbed { .. }
            | Self::Lookup { asked: true, .. } => Retry,
            Self::Partitions { .. } => Halt { refused: false },
            Self::Incomplete { .. } => Halt { refused: true },
            Self::Preflight(_) | Self::Schema { .. } | Self::UnknownFate { .. } => Halt { refused: true },
            Self::Guest(_)
            | Self::Condemned { .. }
            | Self::ErrorBudget { .. }
            | Self::Lookup { asked: false, .. }
            | Self::State(_)
            | Self::Plan(_)
            | Self::Value { .. } => Halt { refused: false },
            Self::Expression { .. }
            | Self::SchemaChange { .. }
            | Self::Unapproved { .. }
            | Self::Start { .. }
            | Self::Lost(_) => Halt { refused: false },
        }
    }

    /// What an operator can do about it; none where the message says it all.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Source(error) => hint_for_source(error),
            Self::Sink { source, .. } => hint_for_sink(source),
            Self::UnknownFate { .. } => Some(
                "look whether the rows of the session are in the sink table, then say so: `sluicebox settle FILE SESSION committed` \
                 counts them as delivered, `sluicebox settle FILE SESSION lost` reads them again",
            ),
            Self::State(StateError::Sqlite(_) | StateError::Together(_)) => {
                Some("is the disk of the state directory full or read-only?")
            }
            Self::State(StateError::Locked { .. }) => {
                Some("stop the other process, or give this pipeline its own `pipeline.state-dir`")
            }
            Self::Condemned { .. } | Self::Guest(WasmError::Guest { .. }) => Some(
                "set `on-error: skip` or `on-error: dead-letter` on the plugin to go on without such rows; what it says about a row is \
                 in its dead letter and in no log",
            ),
            Self::ErrorBudget { .. } => Some(
                "mend the plugin, or raise its `error-budget`; no row of the last batch went on, so none is lost",
            ),
            Self::Guest(WasmError::Plan { .. }) => {
                Some("set `on-schema-error: pass` on the plugin to let rows of such tables go on without it")
            }
            Self::Incomplete { .. } => Some(INCOMPLETE_HINT),
            Self::Expression { .. } => Some(
                "mend the expression, or set `on-error: skip` or `on-error: dead-letter` on the entry to go on without such rows",
            ),
            Self::Unapproved { .. } => Some("say yes with `sluicebox schema approve FILE`, then start again"),
            Self::SchemaChange { .. } => {
                Some("see `schema.change.behavior` and `sink.exclude.schema.changes`")
            }
            _ => None,
        }
    }
}

const INCOMPLETE_HINT: &str = "set binlog_row_image=FULL at the source for all that connects from now on; Delta tables without plugins \
    take such rows where they were made with `sink.partial-update.enabled: true`. What was written already can only be read anew: delete the \
    state directory, or leave the table out with `source.tables.exclude`";

fn after_source(error: &MysqlError) -> Disposition {
    match error {
        MysqlError::Unreachable { .. } | MysqlError::Silent { .. } => Disposition::Retry,
        // 1205 lock wait timeout, 1213 deadlock, 3024 and 1969 statement time limits, 1040 too many connections, 1053 shutdown, 1317
        // and 1927 somebody's KILL
        MysqlError::Statement { code: 1205 | 1213 | 3024 | 1969 | 1040 | 1053 | 1317 | 1927, .. } => {
            Disposition::Retry
        }
        MysqlError::Statement { .. } | MysqlError::Refused { .. } => Disposition::Halt { refused: true },
        MysqlError::PositionPurged { .. } | MysqlError::PositionAhead { .. } => {
            Disposition::Halt { refused: true }
        }
        MysqlError::ServerIdTaken { .. } | MysqlError::Incomplete { .. } => {
            Disposition::Halt { refused: true }
        }
        MysqlError::Malformed { .. } | MysqlError::SchemaMismatch { .. } => {
            Disposition::Halt { refused: false }
        }
        // The next start reads its columns from the server.
        MysqlError::NewTable { .. } => Disposition::Retry,
        MysqlError::UnknownStatement { .. } | MysqlError::UnsupportedType { .. } => {
            Disposition::Halt { refused: false }
        }
        MysqlError::Stopped => Disposition::Halt { refused: false },
    }
}

fn after_sink(error: &maxcompute::Error) -> Disposition {
    use maxcompute::Error as E;
    match error {
        E::Unreachable { .. } | E::Throttled { .. } | E::ServerFault(_) => Disposition::Retry,
        // The session's rows are read again from the checkpoint into a new one.
        E::SessionGone(_) | E::SessionLost { .. } | E::SchemaChanged(_) => Disposition::Retry,
        E::StillCommitting { .. } | E::StillRunning { .. } => Disposition::Retry,
        E::Options(_) | E::Refused(_) | E::NotFound(_) | E::Rejected(_) => {
            Disposition::Halt { refused: true }
        }
        E::StatementFailed { .. } | E::Malformed { .. } => Disposition::Halt { refused: true },
    }
}

fn hint_for_source(error: &MysqlError) -> Option<&'static str> {
    match error {
        MysqlError::Refused { .. } => {
            Some("check `source.username` and `source.password`, and the account's host")
        }
        MysqlError::Unreachable { .. } => {
            Some("check `source.hostname` and `source.port`, and that the server runs")
        }
        MysqlError::PositionPurged { .. } => Some(
            "the server has deleted binlog that was not read yet: raise its retention; then set `source.scan.on-purged: resnapshot` to read the affected tables anew, or delete the state directory to begin from nothing",
        ),
        MysqlError::PositionAhead { .. } => {
            Some("is this the same server as before, and did it lose transactions?")
        }
        MysqlError::ServerIdTaken { .. } => Some("give each reader of the server its own `source.server-id`"),
        MysqlError::UnsupportedType { .. } => Some("leave the table out with `source.tables.exclude`"),
        MysqlError::UnknownStatement { .. } => Some(
            "leave the table out with `source.tables.exclude`, or delete the state directory to take a new snapshot",
        ),
        MysqlError::Incomplete { .. } => Some(INCOMPLETE_HINT),
        MysqlError::NewTable { .. } => Some(
            "with `source.scan.newly-added-table.enabled: true` such a table is read when the pipeline starts again; without it, leave \
             the table out with `source.tables.exclude`, or delete the state directory to take a new snapshot",
        ),
        MysqlError::SchemaMismatch { .. } => Some("delete the state directory to take a new snapshot"),
        MysqlError::Silent { .. }
        | MysqlError::Statement { .. }
        | MysqlError::Malformed { .. }
        | MysqlError::Stopped => None,
    }
}

fn hint_for_sink(error: &maxcompute::Error) -> Option<&'static str> {
    use maxcompute::Error as E;
    match error {
        E::Unreachable { .. } => Some(
            "check `sink.endpoint` and `sink.tunnel.endpoint`, and that the service can be reached from here",
        ),
        E::Refused(_) => {
            Some("check `sink.access-id` and `sink.access-key`, and what the account may do in the project")
        }
        E::NotFound(_) => Some("check `sink.project`"),
        _ => None,
    }
}
