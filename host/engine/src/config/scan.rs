//! Options of `source` about reading whole tables.

use std::num::NonZeroU32;
use std::time::Duration;

use sluicebox_model::{ByteSize, TableId};

use super::block::{Block, Context};
use super::kinds::{self, Expected, Kind, Word};
use super::option::Opt;
use super::server::{SERVERS, ServerAddress};
use crate::pattern::TablePatterns;

/// How fast tables may be read; none: as fast as it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScanLimits {
    /// Rows in a second, over all readers.
    pub rows_per_second: Option<NonZeroU32>,
    /// Bytes of rows in a second, over all readers.
    pub bytes_per_second: Option<ByteSize>,
    /// Nothing more is read while so many threads of the server or more run a statement.
    pub threads_running: Option<NonZeroU32>,
    /// Nothing more is read while a replica is farther behind.
    pub replica_lag: Option<Duration>,
}

/// What happens when the binlog that is needed next is gone from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnPurged {
    /// The pipeline stops and says what was lost.
    Fail,
    /// The tables that it concerns are read anew.
    Resnapshot,
}

impl Word for OnPurged {
    const WORDS: &'static [(&'static str, Self)] = &[("fail", Self::Fail), ("resnapshot", Self::Resnapshot)];
}

pub(super) static EVEN_UPPER: Opt<f64> = Opt::new(
    "chunk-key.even-distribution.factor.upper-bound",
    kinds::FACTOR,
    "Up to how many numbers for each row a whole-number key counts as evenly spread; its chunks are then computed instead of looked up.",
)
.spelled(&["split-key.even-distribution.factor.upper-bound"])
.or("1000.0");
pub(super) static EVEN_LOWER: Opt<f64> = Opt::new(
    "chunk-key.even-distribution.factor.lower-bound",
    kinds::SHARE,
    "From how many numbers for each row it does.",
)
.spelled(&["split-key.even-distribution.factor.lower-bound"])
.or("0.05");

/// Which keys count as evenly spread.
pub(super) fn even(block: &Block<'_>) -> Option<(f64, f64)> {
    Some((block.get(&EVEN_LOWER)?, block.get(&EVEN_UPPER)?))
}

/// Columns by which tables are cut into chunks, in place of their keys.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChunkColumns(Vec<(TablePatterns, String)>);

impl ChunkColumns {
    /// The column that the file names for a table; the first entry that matches counts.
    pub fn of(&self, table: &TableId) -> Option<&str> {
        self.0.iter().find(|(tables, _)| tables.matches(table)).map(|(_, column)| column.as_str())
    }

    /// `patterns:column;patterns:column`
    fn parse(text: &str) -> Result<Self, Expected> {
        let expected = "`patterns:column`, or several of them with `;` between";
        let entry = |entry: &str| {
            let (patterns, column) = entry.rsplit_once(':').ok_or_else(|| Expected::from(expected))?;
            let column = column.trim();
            if column.is_empty() {
                return Err(expected.into());
            }
            let patterns = TablePatterns::parse(patterns).map_err(|e| format!("{expected} ({e})"))?;
            Ok((patterns, column.to_owned()))
        };
        text.split(';').filter(|e| !e.trim().is_empty()).map(entry).collect::<Result<_, _>>().map(Self)
    }
}

const CHUNK_COLUMNS: Kind<ChunkColumns> =
    Kind { name: kinds::KindName::Plain("`patterns:column;…`"), parse: ChunkColumns::parse };

pub(super) static CHUNK_KEY: Opt<ChunkColumns> = Opt::new(
    "scan.incremental.snapshot.chunk.key-column",
    CHUNK_COLUMNS,
    "Columns by which tables are cut into chunks; others are cut by their whole key. Such a column must be NOT NULL, and should begin an index. Tables without a key are read in one piece unless a column is named for them.",
);
pub(super) static MAX_ROWS: Opt<NonZeroU32> = Opt::new(
    "scan.snapshot.max-rows-per-second",
    kinds::COUNT,
    "How many rows a snapshot reads in a second, over all readers; not written: as many as it can.",
);
pub(super) static MAX_BYTES: Opt<ByteSize> = Opt::new(
    "scan.snapshot.max-bytes-per-second",
    kinds::SIZE,
    "How much a snapshot reads in a second, over all readers; not written: as much as it can.",
);
pub(super) static MAX_THREADS: Opt<NonZeroU32> = Opt::new(
    "scan.snapshot.max-threads-running",
    kinds::COUNT,
    "A snapshot pauses while so many threads of the server (`Threads_running`, ours included) or more are at work; not written: never.",
);
pub(super) static MAX_LAG: Opt<Duration> = Opt::new(
    "scan.snapshot.max-replica-lag",
    kinds::SPAN,
    "A snapshot pauses while a replica is farther behind the server that it follows, or does not get on, or cannot be reached; not written: never. Asking needs REPLICATION CLIENT on MySQL, SLAVE MONITOR on MariaDB.",
);
pub(super) static REPLICAS: Opt<Vec<ServerAddress>> = Opt::new(
    "scan.snapshot.replicas",
    SERVERS,
    "The replicas that `scan.snapshot.max-replica-lag` is about, reached with the account and TLS settings of the source; not written: the source itself, where it is one.",
);
pub(super) static ON_PURGED: Opt<OnPurged> = Opt::new(
    "scan.on-purged",
    Kind::word(),
    "What happens when the server has deleted the binlog that is needed next: `fail` stops, `resnapshot` reads the affected tables anew and removes rows that vanished meanwhile.",
)
.or("fail");

/// How fast tables may be read.
pub(super) fn limits(context: &mut Context<'_>, block: &Block<'_>) -> ScanLimits {
    if block.has(&REPLICAS) && !block.has(&MAX_LAG) {
        block.note(context, &REPLICAS, "has no effect without `scan.snapshot.max-replica-lag`");
    }
    ScanLimits {
        rows_per_second: block.get(&MAX_ROWS),
        bytes_per_second: block.get(&MAX_BYTES),
        threads_running: block.get(&MAX_THREADS),
        replica_lag: block.get(&MAX_LAG),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_pattern_that_matches_names_the_column() {
        let text = r"app.orders:id; app.\.*:created_at ;other.(a|b):c";
        let columns = ChunkColumns::parse(text).expect("a list");
        for (database, table, want) in [
            ("app", "orders", Some("id")),
            ("app", "users", Some("created_at")),
            ("other", "b", Some("c")),
            ("other", "c", None),
        ] {
            assert_eq!(columns.of(&TableId::new(database, table)), want, "{database}.{table}");
        }
        assert_eq!(ChunkColumns::parse("").expect("nothing").of(&TableId::new("app", "orders")), None);
        for bad in ["app.orders", "app.orders:", ":id", "a.b.c.d:id"] {
            assert!(ChunkColumns::parse(bad).is_err(), "{bad}");
        }
    }
}
