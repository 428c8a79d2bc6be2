//! `sink`: the service, the project, and how rows travel to it.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use sluicebox_model::ByteSize;

use super::block::{Block, Context};
use super::credentials::{self, SinkAccount};
use super::filter::{self, SchemaChangeFilter};
use super::kinds::{self, Kind, Word};
use super::option::{Opt, Structure, Table};
use super::options::SchemaBehaviour;

/// Where rows go. Everything that `sink` says.
///
/// Invariant: `bucket_buffer <= total_buffer`.
#[derive(Debug, Clone)]
pub struct SinkConfig {
    /// What the sink is called in logs.
    pub name: String,
    /// Who asks the service.
    pub account: SinkAccount,
    /// Region for signatures of version 4; none: version 2.
    pub region: Option<String>,
    /// Certificate authorities to trust for HTTPS, in PEM; none: the system's.
    pub ca: Option<PathBuf>,
    /// Service endpoint, with its path (`…/api`).
    pub endpoint: String,
    /// Tunnel endpoint; none: the service is asked.
    pub tunnel_endpoint: Option<String>,
    /// Project of all tables.
    pub project: String,
    /// Tunnel quota; none: the shared one.
    pub quota: Option<String>,
    /// In which schema of a project with schemas a table lands.
    pub placement: SchemaPlacement,
    /// Buckets of Delta tables that the pipeline creates.
    pub buckets: NonZeroU32,
    /// Whether tables are created with the source's NOT NULL.
    pub keep_not_null: bool,
    /// Whether tables are created so that rows may set some of their columns.
    pub partial_update: bool,
    /// How what is sent is compressed.
    pub compression: Compression,
    /// A target sends all its buckets when they hold this much.
    pub total_buffer: ByteSize,
    /// A bucket is sent when it holds this much.
    pub bucket_buffer: ByteSize,
    /// Sessions committed at once.
    pub commit_threads: NonZeroUsize,
    /// Buckets of one session sent at once.
    pub flush_concurrency: NonZeroUsize,
    /// How often a failed request is tried again.
    pub retries: u32,
    /// Pause before it is.
    pub retry_pause: Duration,
    /// Which schema changes may reach the tables.
    pub schema_changes: SchemaChangeFilter,
}

/// How what is sent is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    Raw,
    /// Deflate in a zlib frame.
    Zlib,
    /// LZ4 frames.
    Lz4,
    /// Snappy; deprecated upstream.
    Snappy,
}

impl Word for Compression {
    const WORDS: &'static [(&'static str, Self)] =
        &[("raw", Self::Raw), ("zlib", Self::Zlib), ("lz4", Self::Lz4), ("snappy", Self::Snappy)];
}

/// In which schema of a project with schemas a table lands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaPlacement {
    /// The schema of its database's name, or of its route's.
    Database,
    /// As Flink CDC does it: the default schema, unless a route's target has three parts.
    Flink,
}

impl Word for SchemaPlacement {
    const WORDS: &'static [(&'static str, Self)] = &[("database", Self::Database), ("flink", Self::Flink)];
}

/// The type of a sink.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SinkType {
    MaxCompute,
}

impl Word for SinkType {
    const WORDS: &'static [(&'static str, Self)] = &[("maxcompute", Self::MaxCompute)];
}

/// As upstream: 16 slots keep a table's write load spread, and a small table's files few.
const DEFAULT_BUCKETS: &str = "16";
/// As upstream; every account's service takes it.
const DEFAULT_COMPRESSION: &str = "zlib";
/// As upstream: 16 full buckets.
const DEFAULT_TOTAL_BUFFER: &str = "64MB";
/// As upstream: worth a request, and 16 of them fit the default total.
const DEFAULT_BUCKET_BUFFER: &str = "4MB";
/// As upstream: half of the 32 commits that the service takes at once for one table.
const DEFAULT_COMMIT_THREADS: &str = "16";
/// As upstream: hides the latency of a request, and a retry holds back a fourth of the buckets.
const DEFAULT_FLUSH_CONCURRENCY: &str = "4";
/// As upstream.
const DEFAULT_RETRIES: &str = "3";
/// As upstream, 5 s: longer than a tunnel server's restart is noticed by its balancer.
const DEFAULT_RETRY_PAUSE: &str = "5000";
/// Upstream calls it so in its operators' names.
const DEFAULT_NAME: &str = "maxcompute";

pub(super) static TYPE: Opt<SinkType> = Opt::new("type", Kind::word(), "Which sink it is.").required();
static NAME: Opt<String> = Opt::new("name", kinds::TEXT, "What the sink is called in logs.").or(DEFAULT_NAME);
static ENDPOINT: Opt<String> = Opt::new(
    "endpoint",
    kinds::URL,
    "Service endpoint, e.g. `https://service.cn-hangzhou.maxcompute.aliyun.com/api`.",
)
.required();
static PROJECT: Opt<String> = Opt::new("project", kinds::SOME_TEXT, "Project of all tables.").required();
static TUNNEL_ENDPOINT: Opt<String> =
    Opt::new("tunnel.endpoint", kinds::URL, "Tunnel endpoint; not written: the service is asked.")
        .spelled(&["tunnelEndpoint"]);
static QUOTA: Opt<String> =
    Opt::new("quota.name", kinds::SOME_TEXT, "Tunnel quota; not written: the shared one.")
        .spelled(&["quotaName"]);
static CA: Opt<PathBuf> = Opt::new(
    "ssl.ca",
    kinds::FILE,
    "PEM file with the certificate authorities to trust for HTTPS; not written: the system's.",
);
static REGION: Opt<String> = Opt::new(
    "region",
    kinds::SOME_TEXT,
    "Region for signatures of version 4, e.g. `cn-hangzhou`; not written: signatures of version 2.",
);
static PLACEMENT: Opt<SchemaPlacement> = Opt::new(
    "schema-placement",
    Kind::word(),
    "In which schema of a project with schemas a table lands: `database`, that of its database's name (or of its route's); `flink`, the default one unless a route's target has three parts.",
)
.or("database");
static BUCKETS: Opt<NonZeroU32> =
    Opt::new("buckets-num", kinds::COUNT, "Buckets of Delta tables that the pipeline creates.")
        .spelled(&["bucketsNum"])
        .or(DEFAULT_BUCKETS);
static KEEP_NOT_NULL: Opt<bool> = Opt::new(
    "create.not-null",
    kinds::FLAG,
    "Whether columns that are NOT NULL at the source are created so. Key columns always are; others then refuse rows that a later change leaves without a value, unless `schema.change.behavior` lets the pipeline open them.",
)
.or("false");
static PARTIAL_UPDATE: Opt<bool> = Opt::new(
    "partial-update.enabled",
    kinds::FLAG,
    "Whether tables with a key are created so that rows may set some of their columns, and rows that lack columns (`binlog_row_image` other than `FULL`) are expected. Tables that exist take them where their property `acid.partial.fields.update.enable` is true.",
)
.or("false");
static COMPRESSION: Opt<Compression> =
    Opt::new("compress.algorithm", Kind::word(), "How what is sent is compressed; `snappy` is deprecated.")
        .spelled(&["compressAlgorithm"])
        .or(DEFAULT_COMPRESSION);
static TOTAL_BUFFER: Opt<ByteSize> = Opt::new(
    "total.buffer-size",
    kinds::SIZE,
    "A target sends all its buckets when they hold this much together.",
)
.spelled(&["totalBatchSize"])
.or(DEFAULT_TOTAL_BUFFER);
static BUCKET_BUFFER: Opt<ByteSize> =
    Opt::new("bucket.buffer-size", kinds::SIZE, "A bucket is sent when it holds this much.")
        .spelled(&["bucketBatchSize"])
        .or(DEFAULT_BUCKET_BUFFER);
static COMMIT_THREADS: Opt<NonZeroUsize> =
    Opt::new("commit.thread-num", kinds::THREADS, "Sessions committed at once.")
        .spelled(&["numCommitThreads"])
        .or(DEFAULT_COMMIT_THREADS);
static FLUSH_CONCURRENCY: Opt<NonZeroUsize> =
    Opt::new("flush.concurrent-num", kinds::THREADS, "Buckets of one session sent at once.")
        .spelled(&["numFlushConcurrent"])
        .or(DEFAULT_FLUSH_CONCURRENCY);
static RETRIES: Opt<u32> =
    Opt::new("retry-times", kinds::AMOUNT, "How often a failed request is tried again.")
        .spelled(&["retryTimes"])
        .or(DEFAULT_RETRIES);
static RETRY_PAUSE: Opt<Duration> = Opt::new("sleep-millis", kinds::MILLIS, "Pause before it is.")
    .spelled(&["sleepMillis"])
    .or(DEFAULT_RETRY_PAUSE);
static INCLUDE: Structure = Structure::new(
    "include.schema.changes",
    "list of tags",
    "Schema changes that may reach the tables; not written or empty: all. `create.table` is always among them unless excluded.",
);
static EXCLUDE: Structure = Structure::new(
    "exclude.schema.changes",
    "list of tags",
    "Schema changes that may not. Not written under `LENIENT`: `drop.table` and `truncate.table`; an empty list takes that protection away.",
);

/// All options of `sink`.
pub(super) static TABLE: Table = &[
    &TYPE,
    &NAME,
    &credentials::ACCESS_ID,
    &credentials::ACCESS_KEY,
    &ENDPOINT,
    &PROJECT,
    &TUNNEL_ENDPOINT,
    &QUOTA,
    &credentials::STS_TOKEN,
    &credentials::FILE,
    &credentials::COMMAND,
    &REGION,
    &CA,
    &PLACEMENT,
    &BUCKETS,
    &KEEP_NOT_NULL,
    &PARTIAL_UPDATE,
    &COMPRESSION,
    &TOTAL_BUFFER,
    &BUCKET_BUFFER,
    &COMMIT_THREADS,
    &FLUSH_CONCURRENCY,
    &RETRIES,
    &RETRY_PAUSE,
    &INCLUDE,
    &EXCLUDE,
];

impl SinkConfig {
    /// Gives the block its meaning. None when something is wrong, which is told by then.
    pub(super) fn check(
        context: &mut Context<'_>,
        block: &Block<'_>,
        behaviour: SchemaBehaviour,
    ) -> Option<Self> {
        let include = filter::tags(context, block, &INCLUDE);
        let exclude = filter::tags(context, block, &EXCLUDE);
        let schema_changes = SchemaChangeFilter::new(include.as_deref(), exclude.as_deref(), behaviour);
        let buffers = buffers(context, block);
        let account = SinkAccount::check(context, block);
        if block.has(&COMPRESSION) && block.get(&COMPRESSION) == Some(Compression::Snappy) {
            block.note(
                context,
                &COMPRESSION,
                "`snappy` is deprecated; `lz4` costs less and `zlib` is smaller",
            );
        }
        block.get(&TYPE)?;
        let (bucket_buffer, total_buffer) = buffers?;
        Some(Self {
            name: block.get(&NAME)?,
            account: account?,
            ca: block.get(&CA).map(|path| context.surroundings.folder.join(path)),
            region: block.get(&REGION),
            endpoint: block.get(&ENDPOINT)?,
            tunnel_endpoint: block.get(&TUNNEL_ENDPOINT),
            project: block.get(&PROJECT)?,
            quota: block.get(&QUOTA),
            placement: block.get(&PLACEMENT)?,
            buckets: block.get(&BUCKETS)?,
            keep_not_null: block.get(&KEEP_NOT_NULL)?,
            partial_update: block.get(&PARTIAL_UPDATE)?,
            compression: block.get(&COMPRESSION)?,
            total_buffer,
            bucket_buffer,
            commit_threads: block.get(&COMMIT_THREADS)?,
            flush_concurrency: block.get(&FLUSH_CONCURRENCY)?,
            retries: block.get(&RETRIES)?,
            retry_pause: block.get(&RETRY_PAUSE)?,
            schema_changes,
        })
    }

    /// What is written must fit into the memory of the pipeline.
    pub(super) fn check_memory(context: &mut Context<'_>, block: &Block<'_>, memory: ByteSize) {
        if let Some(bucket) = block.get(&BUCKET_BUFFER).filter(|b| *b > memory) {
            block.fault(
                context,
                &BUCKET_BUFFER,
                format!("{bucket} must not be above `pipeline.memory`, {memory}"),
            );
        } else if let Some(total) = block.get(&TOTAL_BUFFER).filter(|t| *t > memory) {
            let message =
                format!("{total} is never reached, because `pipeline.memory` is {memory} for all targets");
            block.note(context, &TOTAL_BUFFER, message);
        }
    }
}

/// Bucket and total; none when they do not fit each other.
fn buffers(context: &mut Context<'_>, block: &Block<'_>) -> Option<(ByteSize, ByteSize)> {
    let (bucket, total) = (block.get(&BUCKET_BUFFER)?, block.get(&TOTAL_BUFFER)?);
    if bucket > total {
        let culprit = if block.has(&BUCKET_BUFFER) { &BUCKET_BUFFER } else { &TOTAL_BUFFER };
        let message =
            format!("`bucket.buffer-size`, {bucket}, must not be above `total.buffer-size`, {total}");
        block.fault(context, culprit, message);
        return None;
    }
    Some((bucket, total))
}
