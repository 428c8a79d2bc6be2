//! Pipeline files as people have them: each file under `golden/config` is loaded, and says what it should.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sluicebox_engine::config::{
    self, Compression, ConfigError, Loaded, OnError, SinkAccount, SinkConfig, Startup, Status,
};
use sluicebox_engine::route::RouteMode;
use sluicebox_model::{ByteSize, TableId};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/config").join(name)
}

fn environment(name: &str) -> Option<String> {
    let value = match name {
        "your_accessId" => "the-id",
        "your_accessKey" => "the-key",
        "your_maxcompute_endpoint" => "http://service.cn-hangzhou.maxcompute.aliyun.com/api",
        "your_project" => "the_project",
        "STS_TOKEN" => "the-token",
        "SALT" => "the-salt",
        "STAGE" => "test",
        _ => return None,
    };
    Some(value.to_owned())
}

fn load(name: &str) -> Loaded {
    config::load(&golden(name), &environment).unwrap_or_else(|e| panic!("{name} must load:\n{e}"))
}

fn account(sink: &SinkConfig) -> (&str, &str) {
    match &sink.account {
        SinkAccount::Written { access_id, access_key, .. } => (access_id, access_key.reveal()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_in_the_camel_case_spelling_runs_unchanged() {
    let Loaded { pipeline, notes } = load("whole-database.yaml");
    let (source, sink) = (&pipeline.source, &pipeline.sink);
    assert_eq!((source.connect.host.as_str(), source.connect.port), ("localhost", 3306));
    assert_eq!(source.connect.password.reveal(), "123456");
    assert!(
        source.captures(&TableId::new("app_db", "orders"))
            && !source.captures(&TableId::new("other", "orders"))
    );
    assert_eq!(source.server_ids.map(|ids| (ids.first, ids.last)), Some((5400, 5404)));
    assert_eq!(source.startup, Startup::Initial);
    assert_eq!(account(sink), ("the-id", "the-key"));
    assert_eq!(sink.project, "the_project");
    assert_eq!((sink.buckets.get(), sink.compression), (8, Compression::Zlib));
    assert_eq!((sink.total_buffer, sink.bucket_buffer), (ByteSize::mib(64), ByteSize::mib(4)));
    assert_eq!(pipeline.pipeline.name, "Sync MySQL Database to MaxCompute");
    assert_eq!(pipeline.pipeline.state_dir, golden(".sluicebox/whole-database"));
    let notes: Vec<_> = notes.iter().map(ToString::to_string).collect();
    assert!(
        notes.iter().any(|n| n.contains("sink.bucketsNum: accepted; the option is called `buckets-num`")),
        "{notes:?}"
    );
    assert!(notes.iter().any(|n| n.contains("`LENIENT` is in force")), "{notes:?}");
}

#[test]
fn routes_of_the_file_give_tables_their_names() {
    let pipeline = load("routed.yaml").pipeline;
    for (table, want) in
        [("orders", "ods_db.ods_orders"), ("products", "ods_db.ods_products"), ("else", "app_db.else")]
    {
        let targets = pipeline.routes.targets(&TableId::new("app_db", table)).expect("a target");
        assert_eq!(targets.iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>(), [want]);
    }
}

#[test]
fn a_file_with_every_option_runs_unchanged() {
    let Loaded { pipeline, notes } = load("kebab.yaml");
    assert_eq!(pipeline.source.connect.port, 3307);
    assert_eq!(pipeline.source.connect.password.reveal(), "p@ss: #1");
    assert_eq!(pipeline.source.connect.tls.mode, sluicebox_mysql::TlsMode::Disabled);
    assert!(!pipeline.source.types.tinyint1_is_boolean);
    assert_eq!(pipeline.source.even, (0.25, 500.0));
    assert!(!pipeline.source.captures(&TableId::new("adb", "tmp_1")));
    assert_eq!(account(&pipeline.sink).1, "from-a-file");
    assert_eq!(pipeline.sink.compression, Compression::Lz4);
    assert_eq!(pipeline.sink.bucket_buffer, ByteSize::mib(8));
    assert_eq!(pipeline.routes.mode, RouteMode::FirstMatch);
    let targets = pipeline.routes.targets(&TableId::new("inv_7", "table_x")).expect("a target");
    assert_eq!(targets[0].0.to_string(), "inv_7_test.table_x");
    assert_eq!(pipeline.pipeline.checkpoint_interval, Duration::from_secs(30));
    assert_eq!(pipeline.pipeline.state_dir, golden("state/here"));

    let [nothing, one, chain] = &pipeline.transforms[..] else { panic!("three transforms") };
    assert!(nothing.plugins.is_empty());
    assert_eq!(
        (&one.plugins[0].path, one.plugins[0].on_error),
        (&golden("plugins/orders.wasm"), OnError::Fail)
    );
    let mask = &chain.plugins[0];
    assert_eq!(
        mask.config.0.to_string(),
        r#"{"keep-domain":true,"depth":2,"salt":"the-salt","columns":["e_mail","0123"]}"#
    );
    assert_eq!((mask.limits.memory, mask.limits.time), (ByteSize::mib(256), Duration::from_secs(1)));
    assert_eq!((mask.sha256, mask.on_error), (Some([10; 32]), OnError::DeadLetter));
    assert_eq!(chain.plugins[1].path, golden("plugins/second.wasm"));

    let silent = ["backfill.skip", "decimal.handling", "sink.partitioning", "user-defined"];
    for note in &notes {
        assert!(
            !silent.iter().any(|s| note.path.contains(s)),
            "a value without effect needs no word: {note}"
        );
    }
    for idle in ["scan.snapshot.fetch.size", "use.legacy.json.format"] {
        assert!(notes.iter().any(|n| n.path.ends_with(idle) && n.message.contains("no effect")), "{idle}");
    }
}

#[test]
fn no_secret_shows_in_debug() {
    for name in ["whole-database.yaml", "kebab.yaml"] {
        let loaded = load(name);
        let shown = format!("{loaded:?} {:?}", loaded.notes);
        for secret in ["123456", "p@ss", "the-key", "from-a-file", "the-token", "the-salt"] {
            assert!(!shown.contains(secret), "{name} shows {secret}");
        }
    }
}

#[test]
fn ten_mistakes_give_ten_faults() {
    // The file is named as from its own folder, so that the expected text does not depend on where the project is.
    let text = fs::read_to_string(golden("ten-mistakes.yaml")).expect("the file");
    let want = fs::read_to_string(golden("ten-mistakes.faults")).expect("the expected faults");
    let error = config::parse(text, Path::new("ten-mistakes.yaml"), &environment).err();
    let Some(ConfigError::Faults(faults)) = error else { panic!("not faults: {error:?}") };
    let got: Vec<_> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(got.join("\n"), want.trim_end());
    assert_eq!(faults.len(), 10);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = config::load(&golden("absent.yaml"), &environment).expect_err("no such file");
    assert!(matches!(error, ConfigError::Unreadable { .. }));
    assert!(error.to_string().contains("absent.yaml"), "{error}");
    let error = config::parse("a: [".to_owned(), Path::new("p.yaml"), &environment).expect_err("no YAML");
    assert!(error.to_string().starts_with("p.yaml:"), "{error}");
}

#[test]
fn the_reference_lists_every_option_once() {
    let docs = config::reference();
    let mut names: Vec<_> =
        docs.iter().flat_map(|d| std::iter::once(&d.key).chain(d.aliases).map(|k| (d.block, *k))).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "an option or a spelling is there twice");
    for doc in &docs {
        let passed_on = doc.key.starts_with("jdbc.") || doc.key.starts_with("debezium.");
        assert!(passed_on || doc.meaning.ends_with('.'), "{}.{} has no meaning", doc.block, doc.key);
        assert!(!(doc.required && doc.default.is_some()), "{} is required and has a default", doc.key);
        assert!(
            !(doc.default.is_some() && doc.status != Status::Works),
            "{}: a default needs an effect",
            doc.key
        );
    }
}
