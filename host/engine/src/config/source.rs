//! `source`: the server, the tables, and where to begin.

use std::time::Duration;

use sluicebox_model::{Gtids, Position, Secret};
use sluicebox_mysql::{ConnectOptions, Identity, Skip, Tls, TlsMode, TypeOptions};

use super::block::{Block, Context};
use super::driver;
use super::kinds::{self, Expected, Kind, Word};
use super::option::{Described, Opt, Table};
use super::scan::{self, ChunkColumns, OnPurged, ScanLimits};
use super::server::{self, ServerAddress};
use super::zone::Zone;
use crate::pattern::TablePatterns;

/// Where rows come from. Everything that `source` says.
#[derive(Debug, Clone)]
pub struct SourceConfig {
    /// What the source is called in logs.
    pub name: String,
    /// How to reach the first server.
    pub connect: ConnectOptions,
    /// Servers that may be read in its place, in order; the first is it.
    pub servers: Vec<ServerAddress>,
    /// How often a connection is tried before the pipeline gives up; at least 1.
    pub connect_retries: u32,
    /// Tables that are captured.
    pub tables: TablePatterns,
    /// Tables that are not, although `tables` means them.
    pub exclude: Option<TablePatterns>,
    /// Whether schema changes go on to the sink. They are always followed.
    pub schema_changes: bool,
    /// Ids that binlog readers may use; none: choose a free one.
    pub server_ids: Option<ServerIds>,
    /// The zone that the server is expected to be in; none: whatever the server says.
    pub time_zone: Option<Zone>,
    /// What to read first.
    pub startup: Startup,
    /// Rows of one snapshot chunk; at least 2.
    pub chunk_rows: u32,
    /// Which keys count as evenly spread, by the numbers that there are for each row: from, to.
    pub even: (f64, f64),
    /// By what tables are cut, where that is not their key.
    pub chunk_columns: ChunkColumns,
    /// How fast tables may be read.
    pub limits: ScanLimits,
    /// The replicas whose lag holds a snapshot up; none: the source itself, where it is one.
    pub replicas: Vec<ServerAddress>,
    /// What happens when binlog that is needed is gone.
    pub on_purged: OnPurged,
    /// How long the server may stay silent, and how often the position moves on while nothing is captured; none: off.
    pub heartbeat: Option<Duration>,
    /// Whether comments of tables and columns go on to the sink.
    pub comments: bool,
    /// What declared types mean.
    pub types: TypeOptions,
    /// What happens with matching tables that come later.
    pub new_tables: NewTables,
    /// Whether expressions may name `op_ts`.
    pub op_ts: bool,
}

impl SourceConfig {
    /// Whether a table is captured.
    pub fn captures(&self, table: &sluicebox_model::TableId) -> bool {
        self.tables.matches(table) && !self.exclude.as_ref().is_some_and(|e| e.matches(table))
    }
}

/// Server ids from `first` to `last`, both included. Invariant: `0 < first <= last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerIds {
    /// The first. A pipeline has one binlog reader and takes this one; the next where another reader of the server has it.
    pub first: u32,
    /// The last.
    pub last: u32,
}

/// What to read first, when there is no saved position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Startup {
    /// All rows there are, then the binlog.
    Initial,
    /// All rows there are, then the pipeline ends.
    Snapshot,
    /// The binlog from its current end.
    LatestOffset,
    /// The binlog from its first file.
    EarliestOffset,
    /// The binlog from an instant, in milliseconds since 1970-01-01T00:00:00Z.
    Timestamp(u64),
    /// The binlog from a position: by GTID set (then the file is empty), or by file and offset; without the beginning of the
    /// first transaction behind it.
    SpecificOffset(Position, Skip),
}

/// What happens with tables that match and are new, at a restart or while running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewTables {
    /// Neither option asks for them.
    Unasked,
    /// They are snapshotted, then followed (`scan.newly-added-table.enabled`).
    Snapshot,
    /// They are followed from their first binlog event (`scan.binlog.newly-added-table.enabled`).
    BinlogOnly,
}

/// The type of a source.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SourceType {
    MySql,
}

impl Word for SourceType {
    const WORDS: &'static [(&'static str, Self)] = &[("mysql", Self::MySql)];
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum StartupMode {
    Initial,
    Snapshot,
    LatestOffset,
    EarliestOffset,
    SpecificOffset,
    Timestamp,
}

impl Word for StartupMode {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("initial", Self::Initial),
        ("snapshot", Self::Snapshot),
        ("latest-offset", Self::LatestOffset),
        ("earliest-offset", Self::EarliestOffset),
        ("specific-offset", Self::SpecificOffset),
        ("timestamp", Self::Timestamp),
    ];
}

/// MySQL's port.
const DEFAULT_PORT: &str = "3306";
/// As upstream: longer than a server that restarts behind a proxy needs to answer.
const DEFAULT_CONNECT_TIMEOUT: &str = "30s";
/// Upstream's documented minimum; below it a healthy server far away fails.
const LEAST_CONNECT_TIMEOUT: Duration = Duration::from_millis(250);
/// As upstream: rides out a fail-over behind a proxy, and reports a wrong host name within moments.
const DEFAULT_RETRIES: &str = "3";
/// As upstream (8096 and not 8192, there as here).
const DEFAULT_CHUNK_ROWS: &str = "8096";
/// As upstream: a pipeline's position is never older than this on a server that only others write to.
const DEFAULT_HEARTBEAT: &str = "30s";
/// As MySQL's own clients: encryption where the server offers it.
const DEFAULT_SSL_MODE: &str = "preferred";
/// Upstream calls it so in its operators' names.
const DEFAULT_NAME: &str = "mysql";

const SERVER_IDS: Kind<ServerIds> = Kind { name: kinds::KindName::Plain("`N` or `A-B`"), parse: server_ids };

pub(super) static TYPE: Opt<SourceType> = Opt::new("type", Kind::word(), "Which source it is.").required();
static NAME: Opt<String> =
    Opt::new("name", kinds::TEXT, "What the source is called in logs.").or(DEFAULT_NAME);
static PORT: Opt<u16> = Opt::new("port", kinds::PORT, "Its TCP port.").or(DEFAULT_PORT);
static USERNAME: Opt<String> = Opt::new(
    "username",
    kinds::SOME_TEXT,
    "Account; it needs SELECT, REPLICATION SLAVE and REPLICATION CLIENT.",
)
.required();
static PASSWORD: Opt<Secret> = Opt::new("password", kinds::SECRET, "Its password.").required().secret();
static TABLES: Opt<TablePatterns> =
    Opt::new("tables", kinds::PATTERNS, "Patterns of the tables to capture.").required();
static EXCLUDE: Opt<TablePatterns> = Opt::new(
    "tables.exclude",
    kinds::PATTERNS,
    "Patterns of tables not to capture although `tables` means them.",
);
static SCHEMA_CHANGE: Opt<bool> = Opt::new(
    "schema-change.enabled",
    kinds::FLAG,
    "Whether schema changes go on to the sink; they are always followed.",
)
.or("true");
static SERVER_ID: Opt<ServerIds> = Opt::new(
    "server-id",
    SERVER_IDS,
    "Id with which the binlog is read, unique among the server's replicas. Of a range the first is used; not written: a free one is chosen.",
);
static TIME_ZONE: Opt<Zone> = Opt::new(
    "server-time-zone",
    kinds::ZONE,
    "Zone that the server is expected to be in; compared with the server at the start. Values do not depend on it.",
);
static STARTUP_MODE: Opt<StartupMode> =
    Opt::new("scan.startup.mode", Kind::word(), "What to read first when there is no saved position.")
        .or("initial");
static OFFSET_FILE: Opt<String> =
    Opt::new("scan.startup.specific-offset.file", kinds::SOME_TEXT, "Binlog file to begin in.");
static OFFSET_POS: Opt<u64> =
    Opt::new("scan.startup.specific-offset.pos", kinds::LONG, "Offset in that file, in bytes.");
static OFFSET_GTIDS: Opt<Gtids> = Opt::new(
    "scan.startup.specific-offset.gtid-set",
    kinds::GTIDS,
    "Transactions that count as seen; counts before file and offset.",
);
static SKIP_EVENTS: Opt<u64> =
    Opt::new(
        "scan.startup.specific-offset.skip-events",
        kinds::LONG,
        "So many events of the first transaction behind the position are left out, counted as the server sends them from the one that begins it.",
    )
    .or("0");
static SKIP_ROWS: Opt<u64> = Opt::new(
    "scan.startup.specific-offset.skip-rows",
    kinds::LONG,
    "So many rows of the first row event behind those are left out.",
)
.or("0");
static TIMESTAMP: Opt<u64> = Opt::new(
    "scan.startup.timestamp-millis",
    kinds::LONG,
    "Instant to begin at, in milliseconds since 1970-01-01 UTC: transactions committed before it are left out.",
);
static CHUNK_SIZE: Opt<u32> =
    Opt::new("scan.incremental.snapshot.chunk.size", kinds::ABOVE_ONE, "Rows of one snapshot chunk.")
        .or(DEFAULT_CHUNK_ROWS);
static FETCH_SIZE: Opt<u32> = Opt::new("scan.snapshot.fetch.size", kinds::ABOVE_ONE, "Rows fetched at once.")
    .no_effect("rows are streamed from the server");
static META_GROUP: Opt<u32> =
    Opt::new("chunk-meta.group.size", kinds::ABOVE_ONE, "Finished chunks in one message.")
        .no_effect("there are no messages about chunks");
static BACKFILL_SKIP: Opt<bool> = Opt::new(
    "scan.incremental.snapshot.backfill.skip",
    kinds::FLAG,
    "Whether changes during a chunk are not merged into it.",
)
.no_effect("they always are, without a second binlog connection")
.unless("false");
static UNBOUNDED_FIRST: Opt<bool> = Opt::new(
    "scan.incremental.snapshot.unbounded-chunk-first.enabled",
    kinds::FLAG,
    "Whether the open-ended chunk is read first.",
)
.no_effect("a chunk that is too large for its share of the memory is cut")
.unless("false");
static CLOSE_IDLE: Opt<bool> = Opt::new(
    "scan.incremental.close-idle-reader.enabled",
    kinds::FLAG,
    "Whether idle snapshot readers are closed.",
)
.no_effect("snapshot readers always close at the snapshot's end");
static NEW_TABLES: Opt<bool> = Opt::new(
    "scan.newly-added-table.enabled",
    kinds::FLAG,
    "Whether tables that match since the last start are snapshotted and then followed.",
)
.or("false");
static NEW_BINLOG_TABLES: Opt<bool> = Opt::new(
    "scan.binlog.newly-added-table.enabled",
    kinds::FLAG,
    "Whether tables that match and appear in the binlog are followed without a snapshot.",
)
.or("false");
static CONNECT_TIMEOUT: Opt<Duration> =
    Opt::new("connect.timeout", kinds::DURATION, "Deadline of connecting and logging in; at least 250 ms.")
        .or(DEFAULT_CONNECT_TIMEOUT);
static RETRIES: Opt<std::num::NonZeroU32> =
    Opt::new("connect.max-retries", kinds::COUNT, "How often a connection is tried.").or(DEFAULT_RETRIES);
static POOL_SIZE: Opt<u32> = Opt::new("connection.pool.size", kinds::ABOVE_ONE, "Connections in the pool.")
    .no_effect("there is no pool; a snapshot reader has one connection");
static HEARTBEAT: Opt<Duration> = Opt::new(
    "heartbeat.interval",
    kinds::DURATION,
    "How often a silent server shows that it is there, which also moves the position on; longer times, and 0, count as 5 s.",
)
.or(DEFAULT_HEARTBEAT);
/// Metadata columns that are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Metadata {
    op_ts: bool,
}

const METADATA_LIST: Kind<Metadata> = Kind::new("list", metadata);

/// Names between commas. Some that Flink CDC knows have no use in a pipeline, there as here: tables and kinds of rows have names
/// of their own in expressions.
fn metadata(text: &str) -> Result<Metadata, Expected> {
    const WITHOUT_USE: [&str; 3] = ["table_name", "database_name", "row_kind"];
    let mut found = Metadata { op_ts: false };
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match name {
            "op_ts" => found.op_ts = true,
            name if WITHOUT_USE.contains(&name) => {}
            _ => return Err("a list of metadata columns, of which there is `op_ts`".into()),
        }
    }
    Ok(found)
}

static METADATA: Opt<Metadata> = Opt::new(
    "metadata.list",
    METADATA_LIST,
    "Metadata columns that expressions may name: `op_ts`, the commit time in milliseconds, 0 for rows of the snapshot.",
);
static COMMENTS: Opt<bool> = Opt::new(
    "include-comments.enabled",
    kinds::FLAG,
    "Whether comments of tables and columns go on to the sink.",
)
.or("false");
static TINYINT1: Opt<bool> =
    Opt::new("treat-tinyint1-as-boolean.enabled", kinds::FLAG, "Whether `TINYINT(1)` is a boolean.")
        .or("true");
static LEGACY_JSON: Opt<bool> =
    Opt::new("use.legacy.json.format", kinds::FLAG, "Whether JSON of the binlog is printed without blanks.")
        .no_effect("JSON is always printed as the server prints it, in snapshot and binlog alike")
        .unless("false");
static ONLINE_CHANGES: Opt<bool> = Opt::new(
    "scan.parse.online.schema.changes.enabled",
    kinds::FLAG,
    "Whether changes by gh-ost and pt-online-schema-change are recognised by their shadow tables.",
)
.no_effect("such changes are always followed: the columns of the table that takes the name are compared with those before")
.unless("false");
static SSL_MODE: Opt<TlsMode> = Opt::new(
    "ssl.mode",
    Kind::word(),
    "What is demanded of a connection's encryption, as in MySQL's own clients.",
)
.or(DEFAULT_SSL_MODE);
static SSL_CA: Opt<std::path::PathBuf> = Opt::new(
    "ssl.ca",
    kinds::FILE,
    "PEM file with the certificate authorities to trust; not written: the system's.",
);

static OWN: Table = &[
    &TYPE,
    &NAME,
    &server::HOSTNAME,
    &PORT,
    &USERNAME,
    &PASSWORD,
    &TABLES,
    &EXCLUDE,
    &SCHEMA_CHANGE,
    &SERVER_ID,
    &TIME_ZONE,
    &STARTUP_MODE,
    &OFFSET_FILE,
    &OFFSET_POS,
    &OFFSET_GTIDS,
    &SKIP_EVENTS,
    &SKIP_ROWS,
    &TIMESTAMP,
    &CHUNK_SIZE,
    &FETCH_SIZE,
    &scan::CHUNK_KEY,
    &scan::MAX_ROWS,
    &scan::MAX_BYTES,
    &scan::MAX_THREADS,
    &scan::MAX_LAG,
    &scan::REPLICAS,
    &scan::ON_PURGED,
    &scan::EVEN_UPPER,
    &scan::EVEN_LOWER,
    &META_GROUP,
    &BACKFILL_SKIP,
    &UNBOUNDED_FIRST,
    &CLOSE_IDLE,
    &NEW_TABLES,
    &NEW_BINLOG_TABLES,
    &CONNECT_TIMEOUT,
    &RETRIES,
    &POOL_SIZE,
    &HEARTBEAT,
    &METADATA,
    &COMMENTS,
    &TINYINT1,
    &LEGACY_JSON,
    &ONLINE_CHANGES,
    &SSL_MODE,
    &SSL_CA,
    &server::SSL_CERT,
    &server::SSL_KEY,
];

/// All options of `source`.
pub(super) fn table() -> Vec<&'static dyn Described> {
    [OWN, driver::JDBC, driver::JDBC_REST, driver::DEBEZIUM, driver::DEBEZIUM_REST].concat()
}

impl SourceConfig {
    /// Gives the block its meaning. None when something is wrong, which is told by then.
    pub(super) fn check(context: &mut Context<'_>, block: &Block<'_>) -> Option<Self> {
        let startup = startup(context, block);
        let new_tables = new_tables(context, block);
        let mode = driver::tls_mode(context, block, &SSL_MODE);
        check_timeout(context, block);
        remark_patterns(context, block);
        if block.get(&SERVER_ID).is_some_and(|ids| ids.first < ids.last) {
            block.note(context, &SERVER_ID, "one connection reads the binlog, with the first id");
        }
        let ca = block.get(&SSL_CA).map(|path| context.surroundings.folder.join(path));
        let servers = block.get(&server::HOSTNAME);
        let identity = identity(context, block, mode);
        if servers.iter().flatten().any(|s| s.host.starts_with('/'))
            && !matches!(mode, None | Some(TlsMode::Disabled | TlsMode::Preferred))
        {
            block.fault(
                context,
                &SSL_MODE,
                "cannot be demanded of a Unix socket: nobody can read along there",
            );
        }
        let port = block.get(&PORT);
        let algorithm = block.get(&driver::COMPRESSION_ALGORITHM);
        let compression = block.get(&driver::COMPRESSION).map(|wanted| algorithm.filter(|_| wanted));
        block.get(&TYPE)?;
        Some(Self {
            name: block.get(&NAME)?,
            connect: ConnectOptions {
                host: servers.as_ref()?.first()?.host.clone(),
                port: servers.as_ref()?.first()?.port.or(port)?,
                user: block.get(&USERNAME)?,
                password: block.get(&PASSWORD)?,
                tls: Tls { mode: mode?, ca, identity },
                connect_timeout: block.get(&CONNECT_TIMEOUT)?,
                compress: compression?,
            },
            servers: servers?,
            connect_retries: block.get(&RETRIES)?.get(),
            tables: block.get(&TABLES)?,
            exclude: block.get(&EXCLUDE),
            schema_changes: block.get(&SCHEMA_CHANGE)?,
            server_ids: block.get(&SERVER_ID),
            time_zone: block.get(&TIME_ZONE),
            startup: startup?,
            chunk_rows: block.get(&CHUNK_SIZE)?,
            chunk_columns: block.get(&scan::CHUNK_KEY).unwrap_or_default(),
            even: scan::even(block)?,
            limits: scan::limits(context, block),
            replicas: block.get(&scan::REPLICAS).unwrap_or_default(),
            on_purged: block.get(&scan::ON_PURGED)?,
            heartbeat: Some(block.get(&HEARTBEAT)?).filter(|h| !h.is_zero()),
            comments: block.get(&COMMENTS)?,
            types: TypeOptions { tinyint1_is_boolean: block.get(&TINYINT1)? },
            new_tables: new_tables?,
            op_ts: block.get(&METADATA).is_some_and(|list| list.op_ts),
        })
    }
}

/// Our own certificate; both of its files are there or none.
fn identity(context: &mut Context<'_>, block: &Block<'_>, mode: Option<TlsMode>) -> Option<Identity> {
    let (certificate, key) = (block.get(&server::SSL_CERT), block.get(&server::SSL_KEY));
    for (this, option, other) in
        [(&certificate, &server::SSL_CERT, &key), (&key, &server::SSL_KEY, &certificate)]
    {
        if this.is_some() && other.is_none() {
            block.fault(context, option, "needs `ssl.cert` and `ssl.key` together");
        }
    }
    if certificate.is_some() && mode == Some(TlsMode::Disabled) {
        block.fault(context, &server::SSL_CERT, "has no use without encryption (`ssl.mode: disabled`)");
    }
    let folder = &context.surroundings.folder;
    Some(Identity { certificate: folder.join(certificate?), key: folder.join(key?) })
}

fn startup(context: &mut Context<'_>, block: &Block<'_>) -> Option<Startup> {
    let mode = block.get(&STARTUP_MODE)?;
    if mode != StartupMode::SpecificOffset {
        remark_unused(context, block, &OFFSET_FILE, "specific-offset");
        remark_unused(context, block, &OFFSET_POS, "specific-offset");
        remark_unused(context, block, &OFFSET_GTIDS, "specific-offset");
        remark_unused(context, block, &SKIP_EVENTS, "specific-offset");
        remark_unused(context, block, &SKIP_ROWS, "specific-offset");
    }
    if mode != StartupMode::Timestamp {
        remark_unused(context, block, &TIMESTAMP, "timestamp");
    }
    match mode {
        StartupMode::Initial => Some(Startup::Initial),
        StartupMode::Snapshot => Some(Startup::Snapshot),
        StartupMode::LatestOffset => Some(Startup::LatestOffset),
        StartupMode::EarliestOffset => Some(Startup::EarliestOffset),
        StartupMode::SpecificOffset => {
            let skip = Skip { events: block.get(&SKIP_EVENTS)?, rows: block.get(&SKIP_ROWS)? };
            specific_offset(context, block).map(|position| Startup::SpecificOffset(position, skip))
        }
        StartupMode::Timestamp if !block.has(&TIMESTAMP) => {
            block.fault(context, &STARTUP_MODE, "`timestamp` needs `scan.startup.timestamp-millis`");
            None
        }
        StartupMode::Timestamp => block.get(&TIMESTAMP).map(Startup::Timestamp),
    }
}

fn remark_unused<T>(context: &mut Context<'_>, block: &Block<'_>, option: &Opt<T>, mode: &str) {
    if block.has(option) {
        block.note(context, option, format!("has no effect without `scan.startup.mode: {mode}`"));
    }
}

fn specific_offset(context: &mut Context<'_>, block: &Block<'_>) -> Option<Position> {
    if block.has(&OFFSET_GTIDS) {
        if block.has(&OFFSET_FILE) || block.has(&OFFSET_POS) {
            block.note(context, &OFFSET_GTIDS, "counts; file and offset are not used");
        }
        return block.get(&OFFSET_GTIDS).map(|gtids| Position { gtids, ..Position::default() });
    }
    if !block.has(&OFFSET_FILE) || !block.has(&OFFSET_POS) {
        let needs =
            "`specific-offset` needs `scan.startup.specific-offset.gtid-set`, or both `….file` and `….pos`";
        block.fault(context, &STARTUP_MODE, needs);
        return None;
    }
    Some(Position { file: block.get(&OFFSET_FILE)?, offset: block.get(&OFFSET_POS)?, gtids: Gtids::None })
}

fn new_tables(context: &mut Context<'_>, block: &Block<'_>) -> Option<NewTables> {
    match (block.get(&NEW_TABLES)?, block.get(&NEW_BINLOG_TABLES)?) {
        (false, false) => Some(NewTables::Unasked),
        (true, false) => Some(NewTables::Snapshot),
        (false, true) => Some(NewTables::BinlogOnly),
        (true, true) => {
            let message = "must not be true together with `scan.newly-added-table.enabled`: one means a snapshot, the other none";
            block.fault(context, &NEW_BINLOG_TABLES, message);
            None
        }
    }
}

fn check_timeout(context: &mut Context<'_>, block: &Block<'_>) {
    if block.get(&CONNECT_TIMEOUT).is_some_and(|t| t < LEAST_CONNECT_TIMEOUT) {
        block.fault(context, &CONNECT_TIMEOUT, "must be at least `250ms`");
    }
}

fn remark_patterns(context: &mut Context<'_>, block: &Block<'_>) {
    for option in [&TABLES, &EXCLUDE] {
        let remarks = block.get(option).filter(|_| !block.is_expanded(option));
        for remark in remarks.iter().flat_map(TablePatterns::remarks) {
            block.note(context, option, remark);
        }
    }
}

fn server_ids(text: &str) -> Result<ServerIds, Expected> {
    let number = |text: &str| {
        let text = text.trim();
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse().ok()).flatten().filter(|n: &u32| *n > 0)
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => Ok(ServerIds { first, last }),
        _ => Err("`N` or `A-B` with 0 < A <= B <= 4294967295".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_ids_are_one_or_a_range() {
        let range = |first, last| Some(ServerIds { first, last });
        for (text, want) in [
            ("5400", range(5400, 5400)),
            ("5400-5404", range(5400, 5404)),
            (" 5400 - 5404 ", range(5400, 5404)),
            ("4294967295", range(u32::MAX, u32::MAX)),
            ("0", None),
            ("5404-5400", None),
            ("4294967296", None),
            ("a", None),
            ("1-2-3", None),
            ("-5", None),
            ("", None),
        ] {
            assert_eq!(server_ids(text).ok(), want, "`{text}`");
        }
    }
}
