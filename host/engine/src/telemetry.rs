//! What the pipeline knows of itself: counters that threads add to, and the picture that `status`, the live line and the
//! metrics page show.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sluicebox_model::Position;

use crate::plugin_meter::PluginMeters;
use crate::sink::encode::Encoded;

/// Milliseconds since 1970-01-01T00:00:00Z.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Counters of one run of a pipeline. Every field rises only, but for those that say otherwise.
        #[derive(Debug, Default)]
        pub struct Telemetry {
            $($(#[$doc])* $name: AtomicU64,)*
            lag_ms: AtomicI64,
            moving: Mutex<Moving>,
            pub(crate) plugins: PluginMeters,
        }

        /// A picture of the counters.
        #[derive(Debug, Clone, Default, Serialize, Deserialize)]
        #[serde(default)]
        pub struct Progress {
            $($(#[$doc])* pub $name: u64,)*
            /// Age of the last event when it was read, in milliseconds; negative before the first.
            pub lag_ms: i64,
            /// `snapshot` or `streaming`.
            pub phase: String,
            /// Where the stream stands.
            pub position: String,
            /// The last checkpoint, in milliseconds since 1970-01-01T00:00:00Z; 0 before the first.
            pub checkpoint_at_ms: i64,
            /// When this picture was taken, likewise.
            pub taken_at_ms: i64,
        }

        impl Telemetry {
            /// A picture of now.
            pub fn progress(&self) -> Progress {
                let moving = self.moving.lock().unwrap_or_else(PoisonError::into_inner);
                Progress {
                    $($name: self.$name.load(Ordering::Relaxed),)*
                    lag_ms: self.lag_ms.load(Ordering::Relaxed),
                    phase: if moving.snapshot { "snapshot" } else { "streaming" }.to_owned(),
                    position: moving.position.to_string(),
                    checkpoint_at_ms: moving.checkpoint_at_ms,
                    taken_at_ms: now_ms(),
                }
            }
        }

        impl Progress {
            /// Every counter with its name, for the metrics page.
            pub fn counters(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name)),*]
            }
        }
    };
}

counters! {
    /// Bytes of row events received.
    source_bytes_total,
    /// Row images decoded.
    source_rows_total,
    /// Rows read by the snapshot.
    snapshot_rows_total,
    /// Chunks of the snapshot whose rows are on their way or in the sink.
    snapshot_chunks_done,
    /// Chunks of the snapshot that were cut so far.
    snapshot_chunks_planned,
    /// Tables whose snapshot has been read.
    snapshot_tables_done,
    /// Tables to snapshot.
    snapshot_tables,
    /// Values that MaxCompute has no place for (zero dates, text that is not valid in its charset) and that were replaced.
    values_replaced_total,
    /// Row images that plugins dropped.
    transform_dropped_total,
    /// Row images that plugins failed on.
    transform_failed_total,
    /// Rows upserted or appended.
    sink_rows_written_total,
    /// Rows deleted by key.
    sink_rows_deleted_total,
    /// Snapshot rows that the stream overtook, and deletes that an ordinary table cannot take.
    sink_rows_left_out_total,
    /// Values that have no way into a sink column which stays as it is, and are null there.
    sink_values_nulled_total,
    /// Requests that carried rows.
    sink_flushes_total,
    /// Bytes of rows sent, before compression.
    sink_bytes_total,
    /// Bytes of rows sent, on the wire.
    sink_wire_bytes_total,
    /// Time spent waiting for requests that carried rows, in microseconds, all requests added.
    sink_flush_micros_total,
    /// Sessions committed.
    sink_commits_total,
    /// Time spent waiting for commits, in microseconds, all commits added.
    sink_commit_micros_total,
    /// Checkpoints taken.
    checkpoints_total,
    /// How often the binlog connection was opened again.
    source_reconnects_total,
    /// How often the pipeline began again from its checkpoint.
    restarts_total,
    /// Switches to other versions of plugins.
    plugin_switches_total,
    /// Other versions of plugins that were not taken in.
    plugin_reloads_refused_total,
}

/// What is not a counter.
#[derive(Debug, Default)]
struct Moving {
    snapshot: bool,
    position: Position,
    checkpoint_at_ms: i64,
}

impl Telemetry {
    fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    fn moving(&self) -> std::sync::MutexGuard<'_, Moving> {
        self.moving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn received(&self, bytes: usize, commit_micros: Option<i64>) {
        Self::add(&self.source_bytes_total, bytes as u64);
        if let Some(micros) = commit_micros {
            self.lag_ms.store(now_ms() - micros / 1000, Ordering::Relaxed);
        }
    }

    pub(crate) fn decoded(&self, rows: u64, replaced: u64) {
        Self::add(&self.source_rows_total, rows);
        self.replaced(replaced);
    }

    pub(crate) fn replaced(&self, values: u64) {
        Self::add(&self.values_replaced_total, values);
    }

    pub(crate) fn filtered(&self, rows: u64) {
        Self::add(&self.transform_dropped_total, rows);
    }

    pub(crate) fn condemned(&self, rows: u64) {
        Self::add(&self.transform_failed_total, rows);
    }

    pub(crate) fn encoded(&self, encoded: &Encoded) {
        Self::add(&self.sink_rows_written_total, encoded.written);
        Self::add(&self.sink_rows_deleted_total, encoded.deleted);
        Self::add(&self.sink_rows_left_out_total, encoded.left_out);
        Self::add(&self.sink_values_nulled_total, encoded.nulled);
    }

    pub(crate) fn flushed(&self, _rows: u64, bytes: u64, wire: u64, took: Duration) {
        Self::add(&self.sink_flushes_total, 1);
        Self::add(&self.sink_bytes_total, bytes);
        Self::add(&self.sink_wire_bytes_total, wire);
        Self::add(&self.sink_flush_micros_total, micros(took));
    }

    pub(crate) fn committed(&self, took: Duration) {
        Self::add(&self.sink_commits_total, 1);
        Self::add(&self.sink_commit_micros_total, micros(took));
    }

    pub(crate) fn reconnected(&self) {
        Self::add(&self.source_reconnects_total, 1);
    }

    pub(crate) fn restarted(&self) {
        Self::add(&self.restarts_total, 1);
    }

    pub(crate) fn switched(&self) {
        Self::add(&self.plugin_switches_total, 1);
    }

    pub(crate) fn reload_refused(&self) {
        Self::add(&self.plugin_reloads_refused_total, 1);
    }

    pub(crate) fn snapshot_begins(&self, tables: u64, done: u64) {
        self.snapshot_tables.store(tables, Ordering::Relaxed);
        self.snapshot_tables_done.store(done, Ordering::Relaxed);
        self.snapshot_chunks_done.store(0, Ordering::Relaxed);
        self.snapshot_chunks_planned.store(0, Ordering::Relaxed);
        self.moving().snapshot = tables > done;
    }

    pub(crate) fn chunks_planned(&self, chunks: u64) {
        Self::add(&self.snapshot_chunks_planned, chunks);
    }

    pub(crate) fn chunk_done(&self) {
        Self::add(&self.snapshot_chunks_done, 1);
    }

    pub(crate) fn snapshot_rows(&self, rows: u64) {
        Self::add(&self.snapshot_rows_total, rows);
    }

    pub(crate) fn table_read(&self) {
        Self::add(&self.snapshot_tables_done, 1);
    }

    pub(crate) fn snapshot_done(&self) {
        self.moving().snapshot = false;
    }

    pub(crate) fn at(&self, position: &Position) {
        let mut moving = self.moving();
        if moving.position != *position {
            moving.position.clone_from(position);
        }
    }

    pub(crate) fn checkpoint(&self, position: &Position, at_ms: i64) {
        Self::add(&self.checkpoints_total, 1);
        let mut moving = self.moving();
        moving.checkpoint_at_ms = at_ms;
        moving.position.clone_from(position);
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}
