//! One case a rule: each changes a file that has nothing wrong, so that a failure names its own cause.

use std::path::Path;

use super::*;
use crate::config::kinds::Word as _;

const SOURCE: &str = "type: mysql\nhostname: h\nusername: u\npassword: hunter2\ntables: app.t";
const SINK: &str = "type: maxcompute\naccess-id: a\naccess-key: hunter3\nendpoint: http://e/api\nproject: p";

fn indent(text: &str) -> String {
    text.lines().map(|l| format!("  {l}\n")).collect()
}

/// A file with these lines more in its blocks; `rest` is put at the end, from the first column on.
fn file(source: &str, sink: &str, pipeline: &str, rest: &str) -> String {
    let block = |name: &str, lines: &str| format!("{name}:\n{}", indent(lines));
    let source = block("source", &format!("{SOURCE}\n{source}"));
    let sink = block("sink", &format!("{SINK}\n{sink}"));
    let pipeline = block("pipeline", &format!("name: test\n{pipeline}"));
    format!("{source}{sink}{pipeline}{rest}")
}

fn read(text: &str) -> Result<Loaded, ConfigError> {
    let environment = |name: &str| (name == "SECRET").then(|| "hunter4 (".to_owned());
    parse(text.to_owned(), Path::new("folder/p.yaml"), &environment)
}

fn good(text: &str) -> Loaded {
    read(text).unwrap_or_else(|e| panic!("must load:\n{e}\n{text}"))
}

fn faults(text: &str) -> Vec<Fault> {
    match read(text) {
        Err(ConfigError::Faults(faults)) => faults,
        other => panic!("must have faults: {other:?}\n{text}"),
    }
}

/// The only fault of a file; it must stand at the line that contains `at`.
fn fault(text: &str, at: &str) -> String {
    let faults = faults(text);
    let [fault] = &faults[..] else { panic!("one fault, not {faults:#?}\n{text}") };
    let line = text.lines().nth(fault.line - 1).unwrap_or_default();
    assert!(line.contains(at), "{fault} is not at `{at}` but at `{line}`");
    let shown = fault.to_string();
    assert!(!shown.contains("hunter"), "a secret shows: {shown}");
    shown
}

/// The notes about what is written; those about defaults are left out.
fn notes(text: &str) -> Vec<String> {
    good(text).notes.iter().filter(|n| n.line.is_some()).map(ToString::to_string).collect()
}

#[test]
fn the_file_that_the_cases_change_has_nothing_wrong() {
    assert_eq!(notes(&file("", "", "", "")), Vec::<String>::new());
}

#[test]
fn a_wrong_source_option_is_a_fault() {
    for (line, part) in [
        ("port: 0", "source.port: expected an integer from 1 to 65535, found `0`"),
        ("port:", "written without a value"),
        ("port: [1]", "expected a single value (integer), found a list"),
        ("hostnme: x", "source.hostnme: unknown option; did you mean `hostname`?"),
        ("scan: {startup.mode: initial}", "options are written flat, as in `scan.…: value`"),
        ("table.include.list: x", "`tables` and `tables.exclude` select tables"),
        ("treat-tinyint1-as-boolean.enabled: yes", "expected `true` or `false`, found `yes`"),
        ("scan.startup.mode: intial", "`timestamp`, found `intial`; did you mean `initial`?"),
        ("scan.startup.mode: timestamp", "`timestamp` needs `scan.startup.timestamp-millis`"),
        ("scan.startup.mode: specific-offset", "needs `scan.startup.specific-offset.gtid-set`, or both"),
        ("scan.startup.specific-offset.skip-events: -3", "expected an integer from 0"),
        ("scan.incremental.snapshot.chunk.key-column: app.t", "expected `patterns:column`"),
        ("scan.snapshot.max-rows-per-second: 0", "an integer from 1"),
        ("scan.on-purged: skip", "expected `fail` or `resnapshot`, found `skip`"),
        ("ssl.cert: a.pem", "needs `ssl.cert` and `ssl.key` together"),
        ("scan.startup.specific-offset.gtid-set: nonsense", "expected a GTID set"),
        ("scan.incremental.snapshot.chunk.size: 1", "from 2 to"),
        ("metadata.list: op_ts, op_type", "expected a list of metadata columns, of which there is `op_ts`"),
        ("chunk-key.even-distribution.factor.upper-bound: 0.5", "expected a number from 1"),
        ("chunk-key.even-distribution.factor.lower-bound: 1.5", "expected a number from 0 to 1"),
        ("connect.timeout: 100", "must be at least `250ms`"),
        ("connect.timeout: PT30S", "a whole number and one unit"),
        ("connect.max-retries: 0", "an integer from 1"),
        ("server-id: 5404-5400", "`N` or `A-B`"),
        ("server-time-zone: CST", "abbreviations are ambiguous"),
        ("tables.exclude: app.(", "not a regular expression"),
        ("tables.exclude: \"\"", "the pattern is empty"),
        ("ssl.mode: maybe", "`verify_ca` or `verify_identity`, found `maybe`"),
        ("jdbc.properties.zeroDateTimeBehavior: ROUND", "does not carry it out; zero dates become null"),
        ("jdbc.properties.trustCertificateKeyStorePassword: hunter5", "name a PEM file in `ssl.ca`"),
        ("jdbc.properties.useSsl: true", "remove it; did you mean `jdbc.properties.useSSL`?"),
        (
            "jdbc.properties.queryInterceptors: x",
            "does not know what it does and does not carry it out; remove it",
        ),
        ("debezium.decimal.handling.mode: string", "decimals stay exact"),
        ("debezium.skipped.operations: d", "a plugin can do this"),
        ("debezium.something.new: 1", "does not know what it does"),
    ] {
        let shown = fault(&file(line, "", "", ""), line.split(':').next().expect("a key"));
        assert!(shown.contains(part), "`{line}`: {shown}");
    }
    let both = "scan.newly-added-table.enabled: true\nscan.binlog.newly-added-table.enabled: true";
    assert!(fault(&file(both, "", "", ""), "scan.binlog").contains("must not be true together"));
}

#[test]
fn a_wrong_sink_option_is_a_fault() {
    for (line, part) in [
        ("bukets-num: 8", "sink.bukets-num: unknown option; did you mean `buckets-num`?"),
        ("bucketNum: 8", "did you mean `buckets-num`?"),
        ("buckets-num: 0", "an integer from 1"),
        ("compress.algorithm: gzip", "`raw`, `zlib`, `lz4` or `snappy`, found `gzip`"),
        (
            "bucket.buffer-size: 65MB",
            "`bucket.buffer-size`, 65MiB, must not be above `total.buffer-size`, 64MiB",
        ),
        ("total.buffer-size: 1MB", "`bucket.buffer-size`, 4MiB, must not be above `total.buffer-size`, 1MiB"),
        ("bucket.buffer-size: 4 MBit", "expected a size"),
        ("tunnel.endpoint: dt.cn.maxcompute.aliyun.com", "`http://` or `https://`"),
        ("sleepMillis: true", "sink.sleepMillis: expected an integer"),
        ("sts-token: \"\"", "sink.sts-token: expected a text that is not empty"),
        ("include.schema.changes: all", "expected a list of tags"),
        ("include.schema.changes: [drop.tabel]", "sink.include.schema.changes[0]: expected `add.column`"),
        ("exclude.schema.changes: [[all]]", "expected a tag, found a list"),
    ] {
        let shown = fault(&file("", line, "", ""), line.split(':').next().expect("a key"));
        assert!(shown.contains(part), "`{line}`: {shown}");
    }
}

#[test]
fn a_wrong_pipeline_option_is_a_fault() {
    for (line, part) in [
        ("paralelism: 2", "did you mean `parallelism`?"),
        ("parallelism: 0", "an integer from 1 to 1024"),
        (
            "schema.change.behavior: STRICT",
            "`EVOLVE`, `TRY_EVOLVE`, `LENIENT`, `IGNORE` or `EXCEPTION`, found `STRICT`",
        ),
        ("route-mode: ANY", "`ALL_MATCH` or `FIRST_MATCH`"),
        ("execution.runtime-mode: BATCH", "needs `scan.startup.mode: snapshot`"),
        ("local-time-zone: PST", "`systemDefault` or a region"),
        ("checkpoint.interval: 0", "a duration above zero"),
        ("metrics.address: 9464", "an address and a port"),
        ("memory: 8MB", "must be at least 16MiB"),
        ("sink.partitioning.strategy: TABLE_ID", "does not carry it out"),
        ("user-defined-function: [{name: f, classpath: a.B}]", "write a WebAssembly plugin"),
        ("model: {name: m}", "a WebAssembly plugin takes"),
        ("transform.compat: flnk", "did you mean `flink`?"),
        ("transform.decimal.precision.mode: UP_TO_20", "`UP_TO_19` or `UP_TO_38`"),
    ] {
        let shown = fault(&file("", "", line, ""), line.split(':').next().expect("a key"));
        assert!(shown.contains(part), "`{line}`: {shown}");
    }
}

#[test]
fn a_wrong_rule_is_a_fault() {
    let route = |lines: &str| format!("route:\n  - {}", indent(lines).trim_start().replace("\n  ", "\n    "));
    let transform = |lines: &str| route(lines).replace("route:", "transform:");
    let lookup = |table: &str| {
        transform(&format!("source-table: a.b\nplugin: {{path: x, lookups: {{rates: {{{table}}}}}}}"))
    };
    for (rest, at, part) in [
        (route("source-table: a.b"), "source-table", "route[0].sink-table: required and not written"),
        (
            route("source-table: a.b\nsink-table: a.$1"),
            "sink-table",
            "route[0].sink-table: `a.$1` is not a replacement",
        ),
        (route("source-table: a.(?=b)\nsink-table: a.b"), "source-table", "look-around"),
        (
            route("source-table: a.b\nsink-table: a.b\nreplace-symbol: ''"),
            "replace-symbol",
            "a text that is not empty",
        ),
        (
            route("source-table: a.b\nsink-table: a.b\nsinktable: x"),
            "sinktable",
            "did you mean `sink-table`?",
        ),
        (
            "route: {source-table: a.b}".to_owned(),
            "route",
            "route: expected a list, found a mapping; begin each entry with `- `",
        ),
        ("route: [x]".to_owned(), "route", "route[0]: expected a mapping, found a single value"),
        (transform("projection: \\*"), "projection", "transform[0].source-table: required"),
        (
            transform("source-table: a.b\nprojection: id, UPER(name) AS n"),
            "projection",
            "there is no function `UPER`",
        ),
        (transform("source-table: a.b\nfilter: id >"), "filter", "expected a value, a column or a function"),
        (transform("source-table: a.b\nprimary-keys: id, ID"), "primary-keys", "`ID` is named twice"),
        (
            transform("source-table: a.b\nfilter: f(${SECRET}"),
            "filter",
            "cannot be read with what is put in for `${…}`",
        ),
        (transform("source-table: a.b\npartition-keys: p, P"), "partition-keys", "`P` is named twice"),
        (transform("source-table: a.b\ntable-options: k"), "table-options", "expected `key=value`"),
        (
            transform("source-table: a.b\ntable-options: write.bucket.num=3"),
            "table-options",
            "use `buckets-num`",
        ),
        (
            transform("source-table: a.b\nconverter-after-transform: HARD"),
            "converter",
            "there is no converter `HARD`; letter case counts",
        ),
        (
            transform("source-table: a.b\nplugin: {config: {}}"),
            "plugin",
            "transform[0].plugin.path: required",
        ),
        (
            transform("source-table: a.b\nplugin: {path: x, on-error: ignore}"),
            "plugin",
            "`fail`, `skip` or `dead-letter`",
        ),
        (transform("source-table: a.b\nplugin: {path: x, sha256: abc}"), "plugin", "64 hexadecimal digits"),
        (transform("source-table: a.b\nplugin: {path: x, limits: {memory: 1}}"), "plugin", "at least 64KiB"),
        (
            transform("source-table: a.b\nplugin: {path: x, limits: {tme: 1}}"),
            "plugin",
            "did you mean `time`?",
        ),
        (
            transform("source-table: a.b\nplugin: [x, {path: y, limit: {}}]"),
            "plugin",
            "plugin[1].limit: unknown option; did you mean `limits`?",
        ),
        (
            transform("source-table: a.b\nplugin: {path: x, config: {k: '${NOPE}'}}"),
            "plugin",
            "plugin.config.k: the environment variable `NOPE` is not set",
        ),
        (lookup("file: a.csv"), "lookups", "plugin.lookups.rates.key: required"),
        (lookup("key: id"), "lookups", "plugin.lookups.rates.file: neither `file` nor `url` is written"),
        (lookup("file: a.csv, url: 'http://e/a.csv', key: id"), "lookups", "url: written beside `file`"),
        (lookup("file: a.txt, key: id"), "lookups", "expected `csv`, `json-lines` or `json`"),
        (lookup("file: a.txt, key: id, format: cvs"), "lookups", "found `cvs`; did you mean `csv`?"),
        (
            lookup("flie: a.csv, file: a.csv, key: id"),
            "lookups",
            "flie: unknown option; did you mean `file`?",
        ),
        (lookup("url: 'ftp://e/a.csv', key: id"), "lookups", "expected `http://` or `https://`"),
        (
            lookup("url: 'http://e/a.csv', key: id, headers: {A: '${NOPE}'}"),
            "lookups",
            "lookups.rates.headers.A",
        ),
        (
            transform("source-table: a.b\nplugin: {path: x, wasi: {clock: true}}"),
            "plugin",
            "plugin.wasi.clock: unknown option; did you mean `clocks`?",
        ),
        (
            transform("source-table: a.b\nplugin: {path: x, wasi: {filesystem: {data: [a]}}}"),
            "plugin",
            "plugin.wasi.filesystem.data: expected a text, found a list",
        ),
        (
            transform("source-table: a.b\nplugin: {path: x, lookups: [a.csv]}"),
            "plugin",
            "expected a mapping of names to tables, found a list",
        ),
        ("sources: {}".to_owned(), "sources", "sources: unknown option; did you mean `source`?"),
    ] {
        let shown = fault(&file("", "", "", &rest), at);
        assert!(shown.contains(part), "`{rest}`: {shown}");
    }
}

#[test]
fn what_is_missing_is_all_told() {
    let names = |text: &str| faults(text).iter().map(|f| f.path.clone()).collect::<Vec<_>>();
    assert_eq!(names("pipeline:\n"), ["source", "sink"]);
    assert_eq!(
        names("source: {}\nsink: {}"),
        [
            "source.type",
            "source.hostname",
            "source.username",
            "source.password",
            "source.tables",
            "sink.type",
            "sink.endpoint",
            "sink.project",
            "sink.access-id",
            "sink.access-key",
        ]
    );
    assert!(faults("").iter().all(|f| (f.line, f.column) == (1, 1)));
    assert_eq!(faults("- a")[0].message, "expected a mapping, found a list");
}

#[test]
fn a_key_written_twice_is_a_fault_in_every_mapping() {
    let text = file(
        "port: 1\nport: 2",
        "",
        "",
        "transform:\n- source-table: a.b\n  plugin: {path: x, config: {a: {b: 1, b: 2}}}",
    );
    let found: Vec<_> =
        faults(&text).iter().map(|f| format!("{}:{} {}", f.line, f.path, f.message)).collect();
    assert_eq!(found, ["8:source.port written twice", "19:transform[0].plugin.config.a.b written twice"]);
}

#[test]
fn the_main_spelling_wins_and_says_so() {
    let text = file("", "bucketsNum: 7\nbuckets-num: 8", "execution.checkpointing.interval: 3000", "");
    let loaded = good(&text);
    assert_eq!(loaded.pipeline.sink.buckets.get(), 8);
    assert_eq!(loaded.pipeline.pipeline.checkpoint_interval.as_millis(), 3000);
    let notes = notes(&text).join("\n");
    assert!(
        notes.contains("sink.bucketsNum: does not count, because `buckets-num` is written too"),
        "{notes}"
    );
    assert!(notes.contains("the option is called `checkpoint.interval`"), "{notes}");
}

#[test]
fn every_camel_case_spelling_is_accepted() {
    let camel = "tunnelEndpoint: http://t\nquotaName: q\nstsToken: s\nbucketsNum: 3\ncompressAlgorithm: raw\n\
                 totalBatchSize: 8MB\nbucketBatchSize: 1MB\nnumCommitThreads: 2\nnumFlushConcurrent: 3\nretryTimes: 9\nsleepMillis: 10";
    let sink =
        good(&file("", camel, "", "").replace("access-id", "accessId").replace("access-key", "accessKey"))
            .pipeline
            .sink;
    assert_eq!((sink.tunnel_endpoint.as_deref(), sink.quota.as_deref()), (Some("http://t"), Some("q")));
    let SinkAccount::Written { sts_token, .. } = &sink.account else { panic!("{:?}", sink.account) };
    assert_eq!(sts_token.as_ref().map(|t| t.reveal()), Some("s"));
    assert_eq!((sink.buckets.get(), sink.compression), (3, Compression::Raw));
    assert_eq!((sink.total_buffer.get(), sink.bucket_buffer.get()), (8 << 20, 1 << 20));
    assert_eq!((sink.commit_threads.get(), sink.flush_concurrency.get()), (2, 3));
    assert_eq!((sink.retries, sink.retry_pause.as_millis()), (9, 10));
}

#[test]
fn the_account_is_written_or_found_by_one_other_way() {
    let without = |more: &str| {
        file("", more, "", "").replace("  access-id: a\n", "").replace("  access-key: hunter3\n", "")
    };
    let account = |more: &str| good(&without(more)).pipeline.sink.account;
    let found = account("credentials.file: key.json");
    assert!(matches!(&found, SinkAccount::File(path) if path.ends_with("key.json")), "{found:?}");
    let found = account("credentials.command: get-key --for  maxcompute");
    assert!(
        matches!(&found, SinkAccount::Command(words) if words == &["get-key", "--for", "maxcompute"]),
        "{found:?}"
    );
    let said = |text: &str| -> Vec<String> {
        faults(text).iter().map(|f| format!("{} {}", f.path, f.message)).collect()
    };
    assert_eq!(
        said(&without("")),
        ["sink.access-id required and not written", "sink.access-key required and not written"]
    );
    assert_eq!(
        said(&file("", "credentials.file: key.json", "", "")),
        [
            "sink.access-id not together with `credentials.file`",
            "sink.access-key not together with `credentials.file`"
        ]
    );
    assert_eq!(
        said(&without("credentials.file: key.json\ncredentials.command: get-key")),
        ["sink.credentials.command not together with `credentials.file`"]
    );
}

#[test]
fn what_has_no_effect_is_said_unless_it_is_the_value_without_effect() {
    for (line, said) in [
        ("scan.snapshot.fetch.size: 512", true),
        ("use.legacy.json.format: true", true),
        ("use.legacy.json.format: false", false),
        ("scan.incremental.snapshot.backfill.skip: true", true),
        ("scan.incremental.snapshot.backfill.skip: FALSE", false),
        ("scan.parse.online.schema.changes.enabled: true", true),
        ("debezium.bigint.unsigned.handling.mode: precise", false),
        ("debezium.connect.keep.alive: true", false),
        ("debezium.connect.keep.alive: false", true),
        ("jdbc.properties.useUnicode: true", true),
        ("server-id: 5400-5404", true),
        ("server-id: 5400", false),
        ("tables.exclude: orders", true),
        ("scan.startup.specific-offset.pos: 4", true),
        ("scan.startup.specific-offset.skip-rows: 4", true),
    ] {
        let notes = notes(&file(line, "", "", ""));
        assert_eq!(!notes.is_empty(), said, "`{line}`: {notes:?}");
    }
    assert!(notes(&file("", "compress.algorithm: snappy", "", ""))[0].contains("deprecated"));
    assert!(notes(&file("", "total.buffer-size: 1GB", "", ""))[0].contains("never reached"));
    assert!(notes(&file("", "", "checkpoint.interval: 100ms", ""))[0].contains("500"));
    assert!(
        notes(&file("scan.startup.mode: snapshot", "", "execution.runtime-mode: BATCH", ""))[0]
            .contains("the same as")
    );
}

#[test]
fn the_start_is_what_the_options_say() {
    use sluicebox_model::{Gtids, Position};
    use sluicebox_mysql::Skip;
    let start = |lines: &str| good(&file(lines, "", "", "")).pipeline.source.startup;
    let specific = "scan.startup.mode: specific-offset\nscan.startup.specific-offset";
    assert_eq!(start(""), Startup::Initial);
    assert_eq!(start("scan.startup.mode: LATEST-OFFSET"), Startup::LatestOffset);
    assert_eq!(start("scan.startup.mode: earliest-offset"), Startup::EarliestOffset);
    assert_eq!(start("scan.startup.mode: snapshot"), Startup::Snapshot);
    let instant = "scan.startup.mode: timestamp\nscan.startup.timestamp-millis: 1667232000000";
    assert_eq!(start(instant), Startup::Timestamp(1_667_232_000_000));
    let by_file = Position { file: "b.000003".into(), offset: 154, gtids: Gtids::None };
    let text = format!("{specific}.file: b.000003\nscan.startup.specific-offset.pos: 154");
    assert_eq!(start(&text), Startup::SpecificOffset(by_file.clone(), Skip::default()));
    let offset = "scan.startup.specific-offset";
    let skip = format!("{text}\n{offset}.skip-events: 5\n{offset}.skip-rows: 2");
    assert_eq!(start(&skip), Startup::SpecificOffset(by_file, Skip { events: 5, rows: 2 }));
    let set = "24DA167-0C0C-11E8-8442-00059A3C7B00:1-19".replace("24DA167", "024DA167");
    let Startup::SpecificOffset(position, _) = start(&format!("{specific}.gtid-set: {set}")) else {
        panic!("specific")
    };
    assert!(position.file.is_empty() && matches!(position.gtids, Gtids::MySql(_)));
}

#[test]
fn one_setting_decides_the_encryption_of_all_connections() {
    use sluicebox_mysql::TlsMode;
    // Each row: the lines, the mode, whether a note must say that they differ.
    for (lines, want, differ) in [
        ("", TlsMode::Preferred, false),
        ("ssl.mode: VERIFY_CA", TlsMode::VerifyCa, false),
        ("jdbc.properties.useSSL: false", TlsMode::Disabled, false),
        ("jdbc.properties.useSSL: true", TlsMode::Preferred, false),
        ("jdbc.properties.requireSSL: true", TlsMode::Required, false),
        ("jdbc.properties.useSSL: false\njdbc.properties.requireSSL: true", TlsMode::Disabled, false),
        ("jdbc.properties.useSSL: true\njdbc.properties.requireSSL: true", TlsMode::Required, false),
        (
            "jdbc.properties.useSSL: true\njdbc.properties.verifyServerCertificate: true",
            TlsMode::VerifyCa,
            false,
        ),
        ("jdbc.properties.sslMode: REQUIRED\njdbc.properties.useSSL: false", TlsMode::Required, true),
        ("debezium.database.ssl.mode: verify_identity", TlsMode::VerifyIdentity, false),
        ("jdbc.properties.useSSL: false\ndebezium.database.ssl.mode: disabled", TlsMode::Disabled, false),
        ("jdbc.properties.sslMode: REQUIRED\ndebezium.database.ssl.mode: disabled", TlsMode::Required, true),
        ("ssl.mode: disabled\njdbc.properties.sslMode: REQUIRED", TlsMode::Disabled, true),
    ] {
        let loaded = good(&file(lines, "", "", ""));
        assert_eq!(loaded.pipeline.source.connect.tls.mode, want, "{lines}");
        assert_eq!(loaded.notes.iter().any(|n| n.message.contains("differ")), differ, "{lines}");
    }
}

#[test]
fn texts_keep_their_spelling() {
    for (written, want) in [
        ("0123", "0123"),
        ("123456", "123456"),
        ("yes", "yes"),
        ("1.10", "1.10"),
        ("'a b'", "a b"),
        ("\"\"", ""),
    ] {
        let text = file("", "", "", "").replace("hunter2", written);
        assert_eq!(good(&text).pipeline.source.connect.password.reveal(), want, "{written}");
    }
}

#[test]
fn an_expanded_value_is_never_shown() {
    for (text, at) in [
        (file("port: ${SECRET}", "", "", ""), "port"),
        (file("tables.exclude: app.${SECRET}", "", "", ""), "tables.exclude"),
        (file("", "compress.algorithm: ${SECRET}", "", ""), "compress"),
        (file("", "exclude.schema.changes: ['${SECRET}']", "", ""), "exclude"),
        (file("", "", "", "route:\n- {source-table: 'a.${SECRET}', sink-table: a.b}"), "source-table"),
        (
            file("", "", "", "route:\n- {source-table: a.b, sink-table: 'a.b.c.${env:SECRET}.d'}"),
            "source-table",
        ),
    ] {
        fault(&text, at);
    }
}

#[test]
fn state_lies_beside_the_file_under_its_name() {
    let pipeline = good(&file("", "", "", "")).pipeline.pipeline;
    assert_eq!(pipeline.state_dir, Path::new("folder/.sluicebox/p"));
    assert_eq!(pipeline.name, "test");
    let unnamed = good(&file("", "", "", "").replace("name: test", "memory: 1GB")).pipeline.pipeline;
    assert_eq!(unnamed.name, "p");
    let absolute = good(&file("ssl.ca: ca.pem", "", "state-dir: /var/lib/x", "")).pipeline;
    assert_eq!(absolute.pipeline.state_dir, Path::new("/var/lib/x"));
    assert_eq!(absolute.source.connect.tls.ca.as_deref(), Some(Path::new("folder/ca.pem")));
}

#[test]
fn the_pipeline_block_may_be_absent_or_empty() {
    for rest in ["", "pipeline:\n", "pipeline: {}\n"] {
        let text = format!("source:\n{}sink:\n{}{rest}", indent(SOURCE), indent(SINK));
        assert_eq!(good(&text).pipeline.pipeline.behaviour, SchemaBehaviour::Lenient);
    }
}

#[test]
fn many_faults_are_cut_and_counted() {
    let lines: String = (0..150).map(|i| format!("unknown{i}: x\n")).collect();
    let faults = faults(&file(&lines, "", "", ""));
    assert_eq!(faults.len(), 101);
    assert_eq!(faults[100].message, "50 more faults are not shown");
}

#[test]
fn many_notes_are_cut_and_counted() {
    let rules: String = (0..120).map(|i| format!("- source-table: a.t{i}\n")).collect();
    let notes = good(&file("server-id: 1-2", "", "", &format!("transform:\n{rules}"))).notes;
    assert_eq!(notes.iter().filter(|n| n.line.is_some()).count(), 100);
    assert!(notes.iter().any(|n| n.to_string() == "21 more notes are not shown"), "{notes:?}");
    assert!(notes.iter().any(|n| n.path == "pipeline.state-dir"), "defaults are never cut");
}

/// The defaults are texts, so only this test keeps them from being wrong.
#[test]
fn every_default_and_every_value_without_effect_is_a_value() {
    let mut checked = 0;
    for option in [source::table(), sink::TABLE.to_vec(), options::TABLE.to_vec()].concat().into_iter().chain(
        [
            transform::TRANSFORM,
            plugin::PLUGIN_TABLE,
            plugin::LIMITS_TABLE,
            lookup::LOOKUP_TABLE,
            wasi::WASI_TABLE,
        ]
        .concat(),
    ) {
        let head = option.head();
        for text in head.default.iter().chain(&head.no_op) {
            assert!(option.verify(text).is_ok() && option.same(text, text), "{}: {text}", head.key);
            checked += 1;
        }
    }
    assert!(checked > 80, "{checked}");
}

#[test]
fn words_are_distinct() {
    fn check<T: kinds::Word>() {
        for (index, (word, _)) in T::WORDS.iter().enumerate() {
            assert!(T::WORDS[..index].iter().all(|(other, _)| !other.eq_ignore_ascii_case(word)), "{word}");
        }
    }
    check::<filter::Family>();
    check::<SchemaBehaviour>();
    assert_eq!(Compression::WORDS.len(), 4);
}
