//! What Flink CDC passes on to the MySQL driver (`jdbc.properties.*`) and to Debezium (`debezium.*`).
//!
//! Neither is inside here. Each property that people really use is decided one by one: it has a native meaning and is
//! mapped; or it changes nothing that is delivered and is accepted with a note; or it asks for something else than what
//! is done here, and is a fault. A property that is in no table is a fault too: nobody can say what it was for.

use sluicebox_mysql::{LineCompression, TlsMode};

use super::block::{Block, Context};
use super::kinds::{FLAG, Kind, TEXT};
use super::option::{Opt, Table};

/// A property that is accepted and changes nothing.
const fn idle(key: &'static str, why: &'static str) -> Opt<String> {
    Opt::new(key, TEXT, "").no_effect(why)
}

/// A property whose one carried-out value is `no_op`.
const fn fixed(key: &'static str, no_op: &'static str, instead: &'static str) -> Opt<String> {
    Opt::new(key, LOWER, "").not_carried_out(instead).unless(no_op)
}

/// Words of drivers, in any letter case.
const LOWER: Kind<String> = Kind { name: TEXT.name, parse: |text| Ok(text.trim().to_ascii_lowercase()) };

pub(super) static SSL_MODE: Opt<TlsMode> =
    Opt::new("jdbc.properties.sslMode", Kind::word(), "As `ssl.mode`, which counts when both are written.");
pub(super) static USE_SSL: Opt<bool> = Opt::new(
    "jdbc.properties.useSSL",
    FLAG,
    "`false`: `ssl.mode` is `disabled`; `true` (or not written): `preferred`, or what the next two ask for.",
);
pub(super) static REQUIRE_SSL: Opt<bool> = Opt::new(
    "jdbc.properties.requireSSL",
    FLAG,
    "`true`: `ssl.mode` is `required`, unless `useSSL` is false.",
);
pub(super) static VERIFY_SERVER: Opt<bool> = Opt::new(
    "jdbc.properties.verifyServerCertificate",
    FLAG,
    "`true`: `ssl.mode` is `verify_ca`, unless `useSSL` is false.",
);
pub(super) static COMPRESSION: Opt<bool> = Opt::new(
    "jdbc.properties.useCompression",
    FLAG,
    "Whether all connections are compressed, where the server can do that: for a slow line, at the cost of speed on a fast one.",
)
.or("false");
pub(super) static COMPRESSION_ALGORITHM: Opt<LineCompression> = Opt::new(
    "jdbc.properties.compressionAlgorithm",
    Kind::word(),
    "With `useCompression`: how. `zstd` is for the connection that reads the binlog, of servers that can do that (MySQL from 8.0.18 on); the others are deflated in any case.",
)
.or("zlib");
pub(super) static DEBEZIUM_SSL_MODE: Opt<TlsMode> = Opt::new(
    "debezium.database.ssl.mode",
    Kind::word(),
    "As `ssl.mode`, which counts when both are written.",
);

const POOL: &str = "statements and connections are not cached the driver's way";
const TIMEOUT: &str = "`connect.timeout` counts";
const TEXT_CODE: &str = "text always travels as UTF-8";
const SOURCE_ZONE: &str =
    "instants travel as UTC; `server-time-zone` is compared with the server at the start";
const QUEUES: &str = "`pipeline.memory` limits what is held";
const HISTORY: &str = "the schema history is kept in the state directory";
const PLUGIN: &str = "remove it; a plugin can do this to rows";

macro_rules! options {
    ($($entry:expr),* $(,)?) => { &[$(&const { $entry }),*] };
}

/// `jdbc.properties.*`.
pub(super) static JDBC: Table =
    &[&SSL_MODE, &USE_SSL, &REQUIRE_SSL, &VERIFY_SERVER, &COMPRESSION, &COMPRESSION_ALGORITHM];

/// `jdbc.properties.*` that are decided without a value of their own.
pub(super) static JDBC_REST: Table = options![
    fixed("jdbc.properties.zeroDateTimeBehavior", "convert_to_null", "zero dates become null; remove it"),
    fixed("jdbc.properties.trustCertificateKeyStoreUrl", "", "name a PEM file in `ssl.ca` instead"),
    fixed("jdbc.properties.trustCertificateKeyStorePassword", "", "name a PEM file in `ssl.ca` instead")
        .secret(),
    fixed("jdbc.properties.trustCertificateKeyStoreType", "", "name a PEM file in `ssl.ca` instead"),
    fixed("jdbc.properties.clientCertificateKeyStoreUrl", "", "remove it; accounts log in by password"),
    fixed("jdbc.properties.clientCertificateKeyStorePassword", "", "remove it; accounts log in by password")
        .secret(),
    fixed("jdbc.properties.tlsVersions", "", "remove it; TLS 1.2 and 1.3 are spoken"),
    fixed("jdbc.properties.enabledTLSProtocols", "", "remove it; TLS 1.2 and 1.3 are spoken"),
    fixed("jdbc.properties.socksProxyHost", "", "remove it; connections are direct"),
    fixed("jdbc.properties.sessionVariables", "", "remove it; sessions are set up so that values are right"),
    idle("jdbc.properties.useUnicode", TEXT_CODE),
    idle("jdbc.properties.characterEncoding", TEXT_CODE),
    idle("jdbc.properties.characterSetResults", TEXT_CODE),
    idle("jdbc.properties.connectionCollation", TEXT_CODE),
    idle("jdbc.properties.serverTimezone", SOURCE_ZONE),
    idle("jdbc.properties.connectionTimeZone", SOURCE_ZONE),
    idle("jdbc.properties.forceConnectionTimeZoneToSession", SOURCE_ZONE),
    idle("jdbc.properties.useLegacyDatetimeCode", SOURCE_ZONE),
    idle("jdbc.properties.tinyInt1isBit", "`treat-tinyint1-as-boolean.enabled` counts"),
    idle("jdbc.properties.yearIsDateType", "years are integers"),
    idle("jdbc.properties.connectTimeout", TIMEOUT),
    idle("jdbc.properties.socketTimeout", "a silent connection is given up by its heartbeat"),
    idle("jdbc.properties.tcpKeepAlive", "a silent connection is given up by its heartbeat"),
    idle("jdbc.properties.autoReconnect", "a broken connection is always made anew"),
    idle("jdbc.properties.autoReconnectForPools", "a broken connection is always made anew"),
    idle("jdbc.properties.failOverReadOnly", "a broken connection is always made anew"),
    idle("jdbc.properties.maxReconnects", "`connect.max-retries` counts"),
    idle("jdbc.properties.initialTimeout", TIMEOUT),
    idle("jdbc.properties.allowPublicKeyRetrieval", "how passwords are protected follows from `ssl.mode`"),
    idle("jdbc.properties.rewriteBatchedStatements", POOL),
    idle("jdbc.properties.useServerPrepStmts", POOL),
    idle("jdbc.properties.cachePrepStmts", POOL),
    idle("jdbc.properties.prepStmtCacheSize", POOL),
    idle("jdbc.properties.prepStmtCacheSqlLimit", POOL),
    idle("jdbc.properties.useCursorFetch", POOL),
    idle("jdbc.properties.defaultFetchSize", POOL),
    idle("jdbc.properties.useInformationSchema", "the catalog is always read from `information_schema`"),
    idle("jdbc.properties.nullCatalogMeansCurrent", "tables are always named with their database"),
    idle("jdbc.properties.allowMultiQueries", "statements are sent one by one"),
    idle("jdbc.properties.noAccessToProcedureBodies", "procedures are not read"),
    idle("jdbc.properties.remarks", "comments are read when `include-comments.enabled` says so"),
];

/// `debezium.*`.
pub(super) static DEBEZIUM: Table = &[&DEBEZIUM_SSL_MODE];

/// `debezium.*` that are decided without a value of their own.
pub(super) static DEBEZIUM_REST: Table = options![
    fixed("debezium.bigint.unsigned.handling.mode", "precise", "unsigned numbers stay exact; remove it"),
    fixed("debezium.decimal.handling.mode", "precise", "decimals stay exact; remove it"),
    fixed("debezium.binary.handling.mode", "bytes", "bytes stay bytes; remove it, or encode them in a plugin"),
    fixed("debezium.time.precision.mode", "adaptive_time_microseconds", "times keep their microseconds; remove it"),
    fixed("debezium.event.deserialization.failure.handling.mode", "fail", "an unreadable event stops the pipeline; remove it"),
    fixed("debezium.event.processing.failure.handling.mode", "fail", "an unreadable event stops the pipeline; remove it"),
    fixed("debezium.inconsistent.schema.handling.mode", "fail", "rows that do not fit their columns stop the pipeline unless the columns can be had from the server; remove it"),
    idle(
        "debezium.database.history.skip.unparseable.ddl",
        "a statement about other tables is never looked at, one about a captured table that cannot be understood stops the pipeline",
    )
    .unless("false"),
    fixed("debezium.enable.time.adjuster", "false", "years stay as they are stored; remove it"),
    fixed("debezium.gtid.source.includes", "", "remove it; every transaction counts"),
    fixed("debezium.gtid.source.excludes", "", "remove it; every transaction counts"),
    idle("debezium.gtid.source.filter.dml.events", "no server is excluded, so there is nothing to filter"),
    fixed("debezium.gtid.new.channel.position", "earliest", "a new server is read from its beginning; remove it"),
    fixed("debezium.skipped.operations", "none", PLUGIN),
    fixed("debezium.column.include.list", "", PLUGIN),
    fixed("debezium.column.exclude.list", "", PLUGIN),
    fixed("debezium.column.blacklist", "", PLUGIN),
    fixed("debezium.column.whitelist", "", PLUGIN),
    fixed("debezium.message.key.columns", "", PLUGIN),
    fixed("debezium.converters", "", PLUGIN),
    fixed("debezium.database.ssl.keystore", "", "remove it; accounts log in by password"),
    fixed("debezium.database.ssl.keystore.password", "", "remove it; accounts log in by password").secret(),
    fixed("debezium.database.ssl.truststore", "", "name a PEM file in `ssl.ca` instead"),
    fixed("debezium.database.ssl.truststore.password", "", "name a PEM file in `ssl.ca` instead").secret(),
    fixed("debezium.database.initial.statements", "", "remove it; sessions are set up so that values are right"),
    idle("debezium.database.history.store.only.captured.tables.ddl", HISTORY),
    idle("debezium.database.history.store.only.monitored.tables.ddl", HISTORY),
    idle("debezium.database.history.instance.name", HISTORY),
    idle("debezium.database.history", HISTORY),
    idle("debezium.database.serverTimezone", SOURCE_ZONE),
    idle("debezium.database.connectionTimeZone", SOURCE_ZONE),
    idle("debezium.connect.timeout.ms", TIMEOUT),
    idle("debezium.connect.keep.alive", "a silent connection is always noticed and made anew").unless("true"),
    idle("debezium.connect.keep.alive.interval.ms", "`heartbeat.interval` counts"),
    idle("debezium.heartbeat.interval.ms", "`heartbeat.interval` counts"),
    idle("debezium.snapshot.mode", "`scan.startup.mode` counts"),
    idle("debezium.snapshot.locking.mode", "snapshots take no locks").unless("none"),
    idle("debezium.snapshot.fetch.size", "rows are streamed from the server"),
    idle("debezium.min.row.count.to.stream.results", "rows are streamed from the server"),
    idle("debezium.max.batch.size", QUEUES),
    idle("debezium.max.queue.size", QUEUES),
    idle("debezium.max.queue.size.in.bytes", QUEUES),
    idle("debezium.poll.interval.ms", "events are pushed, not polled"),
    idle("debezium.binlog.buffer.size", QUEUES),
    idle("debezium.include.schema.changes", "`schema-change.enabled` counts"),
    idle("debezium.include.schema.comments", "`include-comments.enabled` counts"),
    idle("debezium.include.query", "the pipeline carries no statements of rows"),
    idle("debezium.provide.transaction.metadata", "transactions are never split by a commit at the sink"),
    idle("debezium.tombstones.on.delete", "there are no tombstones"),
    idle("debezium.sanitize.field.names", "names stay as they are"),
    idle("debezium.table.ignore.builtin", "system databases are never captured"),
];

/// What the written options ask of the connection's encryption: `ssl.mode` before the driver's own words before
/// Debezium's. Upstream has two connections with a setting each; here there is one setting for all.
pub(super) fn tls_mode(context: &mut Context<'_>, source: &Block<'_>, own: &Opt<TlsMode>) -> Option<TlsMode> {
    let wishes = [
        (own.head.key, source.has(own).then(|| source.get(own)).flatten()),
        (SSL_MODE.head.key, source.get(&SSL_MODE)),
        (USE_SSL.head.key, legacy_mode(source)),
        (DEBEZIUM_SSL_MODE.head.key, source.get(&DEBEZIUM_SSL_MODE)),
    ];
    let mut written = wishes.iter().filter_map(|(key, mode)| mode.map(|m| (*key, m)));
    let Some((key, mode)) = written.next() else { return source.get(own) };
    if written.any(|(_, other)| other != mode) {
        source.note(
            context,
            own,
            format!("the options about encryption differ; `{key}` counts, for every connection"),
        );
    }
    Some(mode)
}

/// The driver's older words, combined as its manual combines them; encryption is wished for unless denied. None when no
/// such word is written.
fn legacy_mode(source: &Block<'_>) -> Option<TlsMode> {
    let [wished, required, verified] =
        [&USE_SSL, &REQUIRE_SSL, &VERIFY_SERVER].map(|option| source.get(option));
    wished.or(required).or(verified)?;
    Some(match (wished.unwrap_or(true), required == Some(true), verified == Some(true)) {
        (false, _, _) => TlsMode::Disabled,
        (true, _, true) => TlsMode::VerifyCa,
        (true, true, false) => TlsMode::Required,
        (true, false, false) => TlsMode::Preferred,
    })
}
