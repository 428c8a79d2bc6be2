//! How a user begins: a file of Flink CDC's explained, a draft written from the server, an editor that knows the keys.

use crate::support::{Kind, Server, on_both_servers, root, run, run_with};

on_both_servers!(a_draft_from_the_server_is_a_file_that_is_right);

/// The founding scenario's file, as Alibaba's build of Flink CDC took it.
const FLINK: &str = "source:
  type: mysql
  hostname: localhost
  port: 3306
  username: root
  password: '123456'
  tables: app_db.\\.*
  server-id: 5400-5404
sink:
  type: maxcompute
  name: MaxComputeSink
  accessId: ak
  accessKey: sk
  endpoint: http://localhost/api
  project: flink
  bucketsNum: 8
pipeline:
  name: Sync
  parallelism: 4
";

#[test]
fn a_file_of_flink_cdc_is_explained_line_by_line() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("flink.yaml"), FLINK).expect("a file");
    let output = run(folder.path(), &["import", "flink-cdc", "flink.yaml"]);
    assert_eq!(output.code, Some(0), "{output:?}");
    for part in [
        "   7  source.tables: app_db.\\.*",
        "   6  source.password\n",
        "  16  sink.bucketsNum: 8",
        "not as in Flink CDC: counts for tables that are created",
        "pipeline.schema.change.behavior: `LENIENT`; upstream's shipped defaults say `EVOLVE`",
        "The file runs as it is",
    ] {
        assert!(output.stdout.contains(part), "`{part}` in {}", output.stdout);
    }
    assert!(!output.stdout.contains("123456") && !output.stdout.contains(": sk"), "{}", output.stdout);
    // A slip that Flink CDC never looked at.
    std::fs::write(folder.path().join("slip.yaml"), FLINK.replace("bucketsNum", "bucketNum"))
        .expect("a file");
    let output = run(folder.path(), &["import", "flink-cdc", "slip.yaml", "--json"]);
    assert_eq!(output.code, Some(2), "{output:?}");
    let explained: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!(explained["ok"], false);
    assert_eq!(explained["faults"][0]["suggestion"], "buckets-num", "{explained}");
    assert_eq!(explained["faults"][0]["line"], 16);
}

fn a_draft_from_the_server_is_a_file_that_is_right(kind: Kind) {
    let server = Server::shared(kind);
    let source = server.database();
    source.sql("CREATE TABLE orders (id INT NOT NULL PRIMARY KEY, n INT); CREATE TABLE hits (n INT)");
    let folder = tempfile::tempdir().expect("a folder");
    let (port, database) = (server.port().to_string(), source.name().to_owned());
    let environment = [
        ("MYSQL_PASSWORD", Server::PASSWORD),
        ("MAXCOMPUTE_ACCESS_ID", "id"),
        ("MAXCOMPUTE_ACCESS_KEY", "key"),
    ];
    let arguments = [
        "init",
        "draft.yaml",
        "--host",
        server.host(),
        "--port",
        &port,
        "--user",
        Server::USER,
        "--database",
        &database,
    ];
    let output = run_with(folder.path(), &arguments, &environment);
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stdout.contains("2 tables of 1 databases"), "{output:?}");
    let draft = std::fs::read_to_string(folder.path().join("draft.yaml")).expect("the draft");
    for part in
        ["#   orders, 2 columns, key (id): a Delta table", "#   hits, 1 columns, no key", "${MYSQL_PASSWORD}"]
    {
        assert!(draft.contains(part), "`{part}` in {draft}");
    }
    assert!(!draft.contains(Server::PASSWORD), "{draft}");
    let output = run_with(folder.path(), &["validate", "draft.yaml"], &environment);
    assert_eq!(output.code, Some(0), "{output:?}");
    // What is there is not written over.
    let output = run_with(folder.path(), &arguments, &environment);
    assert_eq!((output.code, output.stderr.contains("draft.yaml exists")), (Some(1), true), "{output:?}");
    let wrong = [("MYSQL_PASSWORD", "wrong")];
    let output = run_with(folder.path(), &[&["init", "other.yaml"], &arguments[2..]].concat(), &wrong);
    assert_eq!(output.code, Some(3), "{output:?}");
    assert!(!folder.path().join("other.yaml").exists());
}

/// Keys of an object of a schema, at a path of keys.
fn keys(schema: &serde_json::Value, path: &[&str]) -> Vec<String> {
    let mut at = schema;
    for key in path {
        at = &at["properties"][*key];
        if at["type"][0] == "array" {
            at = &at["items"];
        }
    }
    at["properties"].as_object().map(|o| o.keys().cloned().collect()).unwrap_or_default()
}

/// Every key of every file of `configs/` and of the documentation is in the schema, and nothing else is allowed beside.
#[test]
fn the_schema_for_editors_knows_every_key() {
    let output = run(root(), &["options", "--json-schema"]);
    let schema: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["required"], serde_json::json!(["source", "sink"]));
    let output = run(root(), &["options", "--json"]);
    let options: Vec<serde_json::Value> = serde_json::from_str(&output.stdout).expect("JSON");
    for option in &options {
        let block = option["block"].as_str().expect("a block");
        if block.matches('.').count() > 0 {
            continue;
        }
        let path: Vec<&str> = if block.is_empty() { Vec::new() } else { vec![block.trim_end_matches("[]")] };
        let known = keys(&schema, &path);
        let key = option["key"].as_str().expect("a key");
        assert!(known.iter().any(|k| k == key), "{block}.{key} in {known:?}");
    }
    let behaviours =
        &schema["properties"]["pipeline"]["properties"]["schema.change.behavior"]["anyOf"][0]["enum"];
    assert_eq!(*behaviours, serde_json::json!(["EVOLVE", "TRY_EVOLVE", "LENIENT", "IGNORE", "EXCEPTION"]));
    let plugin = &schema["properties"]["transform"]["items"]["properties"]["plugin"]["anyOf"];
    assert_eq!(plugin[0]["type"], "string");
    assert!(plugin[1]["properties"]["limits"]["properties"]["memory"].is_object(), "{plugin}");
}

/// The file that every installation of Flink CDC has beside its pipelines.
#[test]
fn defaults_that_pipelines_share_come_from_a_file_of_their_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
    let file = |name: &str| folder.path().join(name).display().to_string();
    write("flink.yaml", &FLINK.replace("  parallelism: 4\n", ""));
    let validate = |defaults: &str| {
        let environment = [("SLUICEBOX_DEFAULTS", defaults)];
        run_with(folder.path(), &["validate", "flink.yaml", "--json"], &environment)
    };
    write("flink-cdc.yaml", "parallelism: 4\nschema:\n  change.behavior: EVOLVE\n");
    let output = validate(&file("flink-cdc.yaml"));
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stdout.contains("`EVOLVE` is in force, from the file of defaults"), "{output:?}");
    assert!(validate("").stdout.contains("`LENIENT` is in force"));
    // The pipeline file's own value counts.
    write("flink.yaml", &FLINK.replace("  parallelism: 4\n", "  schema.change.behavior: nonsense\n"));
    assert!(validate(&file("flink-cdc.yaml")).stdout.contains("nonsense"));
    write("flink.yaml", FLINK);
    write("slips.yaml", "parallelism: 4\n\nparalelism: 2\nschema.change.behavior: EVOLV\nsink.type: x\n");
    let output = validate(&file("slips.yaml"));
    assert_eq!(output.code, Some(2), "{output:?}");
    let told: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
    let faults: Vec<_> = told["faults"]
        .as_array()
        .expect("faults")
        .iter()
        .map(|f| (f["line"].as_u64(), f["suggestion"].as_str()))
        .collect();
    assert_eq!(faults[..2], [(Some(3), Some("parallelism")), (Some(4), Some("EVOLVE"))], "{told}");
    assert_eq!(faults.len(), 3, "{told}");
    assert!(told["faults"][0]["file"].as_str().is_some_and(|f| f.ends_with("slips.yaml")), "{told}");
    assert_eq!(validate(&file("missing.yaml")).code, Some(2));
}
