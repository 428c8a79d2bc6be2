//! `pipeline`: what concerns the pipeline as a whole.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sluicebox_model::ByteSize;

use super::block::{Block, Context};
use super::kinds::{self, Kind, Word};
use super::option::{Opt, Structure, Table};
use super::zone::LocalZone;
use crate::route::RouteMode;

/// Everything that `pipeline` says; the route mode is part of [`Routes`](crate::route::Routes).
#[derive(Debug, Clone)]
pub struct PipelineOptions {
    /// What the pipeline is called.
    pub name: String,
    /// Workers that decode, call plugins and encode; none: one for each core.
    pub parallelism: Option<NonZeroUsize>,
    /// Whether the pipeline ends by itself.
    pub runtime_mode: RuntimeMode,
    /// What a schema change of the source does to the sink.
    pub behaviour: SchemaBehaviour,
    /// Whether changes of existing sink tables wait for an operator.
    pub approval: Approval,
    /// The zone in which values without one are read.
    pub local_time_zone: LocalZone,
    /// Deadline of one schema change at the sink.
    pub ddl_deadline: Duration,
    /// Folder with everything that survives a restart.
    pub state_dir: PathBuf,
    /// How often what was delivered is committed.
    pub checkpoint_interval: Duration,
    /// Where metrics are served; none: nowhere.
    pub metrics_address: Option<SocketAddr>,
    /// Limit of all buffers together.
    pub memory: ByteSize,
    /// Largest precision of decimals that SQL expressions compute.
    pub decimals: DecimalMode,
    /// Whether SQL expressions follow Flink CDC where that is a defect.
    pub flink_compat: bool,
}

/// The largest precision of decimals that SQL expressions compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecimalMode {
    /// 19 digits, as Flink CDC.
    UpTo19,
    /// 38 digits.
    UpTo38,
}

impl Word for DecimalMode {
    const WORDS: &'static [(&'static str, Self)] = &[("UP_TO_19", Self::UpTo19), ("UP_TO_38", Self::UpTo38)];
}

/// Whose defects SQL expressions share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compat {
    Flink,
}

impl Word for Compat {
    const WORDS: &'static [(&'static str, Self)] = &[("flink", Self::Flink)];
}

/// Whether the pipeline ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuntimeMode {
    /// It runs until it is stopped, or until its snapshot is done where it has no more to do.
    Streaming,
    /// It copies what there is.
    Batch,
}

impl Word for RuntimeMode {
    const WORDS: &'static [(&'static str, Self)] = &[("STREAMING", Self::Streaming), ("BATCH", Self::Batch)];
}

/// What a schema change of the source does to the sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaBehaviour {
    /// It is applied unchanged, or the pipeline stops.
    Evolve,
    /// It is applied unchanged; where the sink refuses it, its schema stays and rows are fitted by name.
    TryEvolve,
    /// It is rewritten so that nothing is lost: columns are only added, old ones stay and become null.
    Lenient,
    /// Only tables are created; nothing else is applied.
    Ignore,
    /// The pipeline stops.
    Exception,
}

impl Word for SchemaBehaviour {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("EVOLVE", Self::Evolve),
        ("TRY_EVOLVE", Self::TryEvolve),
        ("LENIENT", Self::Lenient),
        ("IGNORE", Self::Ignore),
        ("EXCEPTION", Self::Exception),
    ];
}

/// Whether changes of existing sink tables wait for an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approval {
    /// They are carried out as they come.
    None,
    /// They wait for `sluicebox schema approve`.
    Required,
}

impl Word for Approval {
    const WORDS: &'static [(&'static str, Self)] = &[("none", Self::None), ("required", Self::Required)];
}

/// As upstream since 3.2: loses nothing.
const DEFAULT_BEHAVIOUR: &str = "LENIENT";
/// As upstream: a schema change waits for its target's commit, which may take two minutes at the service.
const DEFAULT_DDL_DEADLINE: &str = "3min";
/// Fresh within seconds, and 30 sessions in the five minutes in which the service allows 500 for a table.
const DEFAULT_CHECKPOINT_INTERVAL: &str = "10s";
/// Below it a busy table would need more than the 500 sessions that the service allows in five minutes.
const BRISK_CHECKPOINT_INTERVAL: Duration = Duration::from_millis(600);
/// Two targets with full buffers of the default size, on a small host.
const DEFAULT_MEMORY: &str = "128MiB";
/// One batch may be this large; with less it could never be taken in.
const LEAST_MEMORY: ByteSize = ByteSize::mib(16);
/// The folder beside the pipeline file that holds the state of all pipelines of its folder.
const STATE_FOLDER: &str = ".sluicebox";

static NAME: Opt<String> = Opt::new(
    "name",
    kinds::TEXT,
    "What the pipeline is called; not written: the file's name without its ending.",
);
static PARALLELISM: Opt<NonZeroUsize> = Opt::new(
    "parallelism",
    kinds::THREADS,
    "Workers that decode rows, call plugins and encode; not written: one for each core.",
);
static RUNTIME_MODE: Opt<RuntimeMode> = Opt::new(
    "execution.runtime-mode",
    Kind::word(),
    "`BATCH` needs `scan.startup.mode: snapshot` and is then the same as `STREAMING`.",
)
.or("STREAMING");
pub(super) const BEHAVIOUR_KEY: &str = "schema.change.behavior";
static BEHAVIOUR: Opt<SchemaBehaviour> =
    Opt::new(BEHAVIOUR_KEY, Kind::word(), "What a schema change of the source does to the sink.")
        .or(DEFAULT_BEHAVIOUR);
static APPROVAL: Opt<Approval> = Opt::new(
    "schema.change.approval",
    Kind::word(),
    "`required`: a change that alters an existing sink table waits for `sluicebox schema approve`; its table takes no rows until then, others go on.",
)
.or("none");
static ROUTE_MODE: Opt<RouteMode> =
    Opt::new("route-mode", Kind::word(), "Whether every route that matches gives a target, or the first.")
        .or("ALL_MATCH");
static LOCAL_ZONE: Opt<LocalZone> =
    Opt::new("local-time-zone", kinds::LOCAL_ZONE, "Zone in which values without one are read.")
        .or("systemDefault");
static DDL_DEADLINE: Opt<Duration> =
    Opt::new("schema-operator.rpc-timeout", kinds::SPAN, "Deadline of one schema change at the sink.")
        .or(DEFAULT_DDL_DEADLINE);
static STATE_DIR: Opt<PathBuf> = Opt::new(
    "state-dir",
    kinds::FILE,
    "Folder with everything that survives a restart; not written: `.sluicebox/` and the file's name without its ending, beside the file.",
);
static CHECKPOINT_INTERVAL: Opt<Duration> = Opt::new(
    "checkpoint.interval",
    kinds::SPAN,
    "How often what was delivered is committed, and so how fresh the tables are.",
)
.spelled(&["execution.checkpointing.interval"])
.or(DEFAULT_CHECKPOINT_INTERVAL);
static METRICS_ADDRESS: Opt<SocketAddr> =
    Opt::new("metrics.address", kinds::ADDRESS, "Where metrics are served; not written: nowhere.");
static MEMORY: Opt<ByteSize> =
    Opt::new("memory", kinds::SIZE, "Limit of all buffers together; at least 16 MiB.").or(DEFAULT_MEMORY);
static UID_PREFIX: Opt<String> =
    Opt::new("operator.uid.prefix", kinds::TEXT, "Prefix of operator ids.").no_effect(NO_OPERATORS);
static OPERATOR_UID: Opt<String> =
    Opt::new("schema.operator.uid", kinds::TEXT, "Id of the schema operator.").no_effect(NO_OPERATORS);
static PARTITIONING: Opt<String> =
    Opt::new("sink.partitioning.strategy", kinds::UPPER, "How rows are spread over sink writers.")
        .not_carried_out("remove it; rows of a table go by the hash of their key")
        .unless("SINK_DEFINED");
static DECIMAL_MODE: Opt<DecimalMode> = Opt::new(
    "transform.decimal.precision.mode",
    Kind::word(),
    "Largest precision of decimals that SQL expressions compute.",
)
.or("UP_TO_19");
static COMPAT: Opt<Compat> = Opt::new(
    "transform.compat",
    Kind::word(),
    "`flink`: SQL expressions follow Flink CDC also where that is a defect; not written: they do not.",
);
static FUNCTIONS: Structure =
    Structure::new("user-defined-function", "list", "Functions for SQL expressions.")
        .not_carried_out("write a WebAssembly plugin instead (`plugin` of a `transform` entry)");
static MODELS: Structure = Structure::new("model", "mapping or list", "Models for SQL expressions.")
    .not_carried_out(
        "expressions call no models; a WebAssembly plugin takes the place of functions (`plugin`)",
    );

const NO_OPERATORS: &str = "state is found by its folder, not by operator ids";

/// All options of `pipeline`.
pub(super) static TABLE: Table = &[
    &NAME,
    &PARALLELISM,
    &RUNTIME_MODE,
    &BEHAVIOUR,
    &APPROVAL,
    &ROUTE_MODE,
    &LOCAL_ZONE,
    &DDL_DEADLINE,
    &STATE_DIR,
    &CHECKPOINT_INTERVAL,
    &METRICS_ADDRESS,
    &MEMORY,
    &UID_PREFIX,
    &OPERATOR_UID,
    &PARTITIONING,
    &DECIMAL_MODE,
    &COMPAT,
    &FUNCTIONS,
    &MODELS,
];

impl PipelineOptions {
    /// Gives the block its meaning; `file` names the pipeline and its state when nothing else does. None when something
    /// is wrong, which is told by then.
    pub(super) fn check(context: &mut Context<'_>, block: &Block<'_>, file: &Path) -> Option<Self> {
        check_memory(context, block);
        remark(context, block);
        let stem = file.file_stem().map_or_else(|| "pipeline".into(), |s| s.to_string_lossy().into_owned());
        let name = if block.has(&NAME) { block.get(&NAME)? } else { stem.clone() };
        let state_dir = if block.has(&STATE_DIR) {
            context.surroundings.folder.join(block.get(&STATE_DIR)?)
        } else {
            let folder = context.surroundings.folder.join(STATE_FOLDER).join(stem);
            block.note(context, &STATE_DIR, format!("not written; state is kept in `{}`", folder.display()));
            folder
        };
        Some(Self {
            name,
            parallelism: block.get(&PARALLELISM),
            runtime_mode: block.get(&RUNTIME_MODE)?,
            behaviour: block.get(&BEHAVIOUR)?,
            approval: block.get(&APPROVAL)?,
            local_time_zone: block.get(&LOCAL_ZONE)?,
            ddl_deadline: block.get(&DDL_DEADLINE)?,
            state_dir,
            checkpoint_interval: block.get(&CHECKPOINT_INTERVAL)?,
            metrics_address: block.get(&METRICS_ADDRESS),
            memory: block.get(&MEMORY)?,
            decimals: block.get(&DECIMAL_MODE)?,
            flink_compat: block.get(&COMPAT).is_some(),
        })
    }

    /// A batch pipeline reads a snapshot and nothing else.
    pub(super) fn check_batch(context: &mut Context<'_>, block: &Block<'_>, is_snapshot: bool) {
        if block.get(&RUNTIME_MODE) != Some(RuntimeMode::Batch) {
            return;
        }
        if is_snapshot {
            block.note(
                context,
                &RUNTIME_MODE,
                "`BATCH` is the same as `STREAMING` with `scan.startup.mode: snapshot`",
            );
        } else {
            block.fault(context, &RUNTIME_MODE, "`BATCH` needs `scan.startup.mode: snapshot` in `source`");
        }
    }
}

/// Says which behaviour a file of defaults has put in force.
pub(super) fn remark_default(context: &mut Context<'_>, block: &Block<'_>) {
    let behaviour = block.get(&BEHAVIOUR);
    let word = SchemaBehaviour::WORDS.iter().find(|(_, other)| behaviour == Some(*other));
    if let Some((word, _)) = word {
        let message = format!("not written; `{word}` is in force, from the file of defaults");
        context.findings.default_note(block.path(BEHAVIOUR_KEY), message);
    }
}

/// The route mode of the block.
pub(super) fn route_mode(block: &Block<'_>) -> Option<RouteMode> {
    block.get(&ROUTE_MODE)
}

/// The behaviour that counts; the default when what is written is wrong, which is told already.
pub(super) fn behaviour(block: &Block<'_>) -> SchemaBehaviour {
    block.get(&BEHAVIOUR).unwrap_or(SchemaBehaviour::Lenient)
}

/// The limit of all buffers.
pub(super) fn memory(block: &Block<'_>) -> Option<ByteSize> {
    block.get(&MEMORY)
}

fn check_memory(context: &mut Context<'_>, block: &Block<'_>) {
    if block.get(&MEMORY).is_some_and(|m| m < LEAST_MEMORY) {
        block.fault(context, &MEMORY, format!("must be at least {LEAST_MEMORY}, the size of one batch"));
    }
}

/// Says which defaults are in force where upstream's installation had its own, and what is hardly meant.
fn remark(context: &mut Context<'_>, block: &Block<'_>) {
    if !block.has(&BEHAVIOUR) {
        block.note(
            context,
            &BEHAVIOUR,
            "not written; `LENIENT` is in force: columns are added and never dropped (an unmodified Flink CDC installation says `EVOLVE`)",
        );
    }
    if block.get(&CHECKPOINT_INTERVAL).is_some_and(|i| i < BRISK_CHECKPOINT_INTERVAL) {
        let message = "below 600 ms a busy table needs more sessions than the 500 that the service allows in five minutes";
        block.note(context, &CHECKPOINT_INTERVAL, message);
    }
}
