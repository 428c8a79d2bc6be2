//! What the pipeline's threads and tasks say to each other.

use std::collections::HashMap;
use std::sync::Arc;

use sluicebox_model::{ChangeBatch, Position, SchemaChange, TableId, TableSchema};
use sluicebox_mysql::{Chunk, ChunkRows, RowsEvent};
use tokio::sync::oneshot;

use super::canary::Canary;
use super::owners::Owners;
use super::tables::{PlannedTables, Planner, PluginEntry, PluginList, TableRun};
use crate::budget::Share;
use crate::error::EngineError;
use crate::sink::encode::From;
use crate::sink::shape::{Shape, SourceColumn};
use crate::state::{Flushed, Remembered, Way};

/// Rows on their way to a worker.
pub(super) struct WorkItem {
    /// What is to be done with them.
    pub run: Arc<TableRun>,
    /// The plugins in the versions that are in force for them.
    pub plugins: PluginList,
    /// A version that runs beside one of them.
    pub canary: Option<Arc<Canary>>,
    /// The rows.
    pub work: Work,
    /// One for each target, in the run's order of targets that want them.
    pub outputs: Vec<oneshot::Sender<Decoded>>,
    /// The names of those targets, likewise.
    pub targets: Vec<String>,
    /// Their part of the memory budget.
    pub share: Share,
}

/// Rows before the guests.
pub(super) enum Work {
    /// Row events, undecoded.
    Events(Vec<RowsEvent>),
    /// Rows read by the snapshot.
    Read(ChangeBatch),
}

/// What a worker hands to an applier.
pub(super) type Decoded = Result<Rows, EngineError>;

/// Rows behind the stages that workers run.
pub(super) struct Rows {
    pub batch: ChangeBatch,
    pub share: Share,
    /// What is to be done with them in the target's order; none when they are ready.
    pub behind: Option<Behind>,
}

/// Stages that a target runs itself, because they must see rows in its order.
#[derive(Clone)]
pub(super) struct Behind {
    pub run: Arc<TableRun>,
    /// The plugins in the versions that are in force for them.
    pub plugins: PluginList,
    /// The batch as the source sent it.
    pub input: ChangeBatch,
}

/// What the coordinator says to an applier, in stream order.
pub(super) enum TargetMessage {
    /// Rows of one source, when a worker has decoded them.
    Rows { source: TableId, from: From, slot: oneshot::Receiver<Decoded> },
    /// Plugins that ran elsewhere remember this of the rows that the target was sent.
    Remember(Remembered),
    /// A chunk of a source is about to be read: keep the keys that the stream touches.
    OpenWindow(u64),
    /// The chunk has come, or will not come.
    CloseWindow(u64),
    /// All rows of its sources were sent and committed: what else it holds is to go.
    Sweep,
    /// A source has other columns from here on.
    Schema(Box<SourceChange>),
    /// The epoch ends here.
    Barrier { epoch: u64, holds: Box<Flushed> },
}

/// A change of a source, as one of its targets sees it.
pub(crate) struct SourceChange {
    pub source: TableId,
    /// Names the change in the state: the transaction and the change's number in it; none for a source that is only
    /// introduced.
    pub change: Option<String>,
    /// Empty for a source that is introduced: the table is made where it is missing, and else left as it is.
    pub changes: Vec<SchemaChange>,
    /// What the sink table should look like from here on, for all its sources; none when no source is left.
    pub shape: Option<Arc<Shape>>,
    /// The column that each row of a source gets, for all its sources that have one.
    pub added: HashMap<TableId, SourceColumn>,
    /// Everything before the change's transaction.
    pub before: Arc<Position>,
    pub epoch: u64,
    /// Snapshot chunks that the target was sent since its last commit, where plugins remember something of it.
    pub chunks: Vec<(String, u64)>,
}

/// What an applier says to the coordinator; `target` is its place in the coordinator's list.
#[derive(Debug)]
pub(super) enum Report {
    /// It has committed its rows of an epoch.
    Committed { target: usize, epoch: u64 },
    /// It takes no more rows: a change of its table waits for an operator. It holds everything up to here.
    Held { target: usize, at: Position },
    /// It has looked through the keys that it holds: with its next commit it is whole again.
    Swept { target: usize },
}

/// What the snapshot says to the coordinator.
pub(super) enum SnapshotMessage {
    /// A chunk is about to be read.
    Open { table: TableId, reply: oneshot::Sender<Option<Opened>> },
    /// A chunk was read inside a window.
    Chunk { table: TableId, window: u64, chunk: Chunk, rows: ChunkRows, reply: oneshot::Sender<Placed> },
    /// A chunk could not be read; its window is over.
    Abandon { window: u64 },
    /// A table without a key is about to be read whole. The stream stands still until `mark` says which transactions
    /// the reading holds.
    Pause {
        table: TableId,
        reply: oneshot::Sender<Option<Opened>>,
        mark: crossbeam::channel::Receiver<Position>,
    },
    /// Rows of a table that is read whole.
    Whole { table: TableId, batch: ChangeBatch, placed: oneshot::Sender<()> },
    /// A reader waits, to spare the source: nothing to do, but a coordinator that has gone shows by it.
    Waits,
    /// All rows of a table that is read whole are on their way. Answered once the stream has passed the mark of its snapshot: until then
    /// the table may not be committed, since its rows hold transactions that a restart would bring again.
    WholeRead { table: TableId, passed: oneshot::Sender<()> },
    /// All rows of a table are on their way.
    TableRead(TableId),
    /// All tables are.
    Done,
    /// The snapshot cannot go on.
    Failed(EngineError),
}

/// A window is open.
pub(super) struct Opened {
    pub window: u64,
    /// What the stream has delivered: a reading must see all of it.
    pub seen: Position,
    /// The table's columns where the stream stands.
    pub schema: Arc<TableSchema>,
}

/// What became of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placed {
    /// Its rows are on their way.
    Yes,
    /// The table changed meanwhile: it has to be read again.
    ReadAgain,
}

/// What the keeper of the plugins wants of the coordinator.
pub(super) enum Ask {
    /// Where the stream stands, to plan for it.
    Scene { reply: crossbeam::channel::Sender<Scene> },
    /// Go on with other versions, from the next transaction's end on.
    Switch { switch: Box<Switch>, reply: crossbeam::channel::Sender<Switched> },
    /// Run this version beside one of the plugins; none: no longer.
    Canary(Option<Arc<Canary>>),
}

/// What new versions are planned for.
pub(super) struct Scene {
    /// Columns of every captured table.
    pub schemas: Vec<Arc<TableSchema>>,
    /// What is written where.
    pub owners: Owners,
    /// A planner for the versions that are in force, without instances.
    pub planner: Planner,
    /// Counts the schema changes of this run.
    pub changes: u64,
}

/// Other versions, planned for every table that they concern.
pub(super) struct Switch {
    pub way: Way,
    /// Places in the list, and what comes there.
    pub entries: Vec<(usize, Arc<PluginEntry>)>,
    /// It has the list of all plugins with the new versions in it.
    pub planner: Planner,
    pub planned: PlannedTables,
    /// Schema changes that were known when it was planned.
    pub changes: u64,
}

/// What became of a switch.
pub(super) enum Switched {
    /// The new versions are in force from here on.
    At(Position),
    /// Tables have changed since it was planned: plan it anew.
    Stale,
    /// The old versions stay, for this reason.
    Refused(String),
}
