//! Case files are read and written; what is wrong with them is told.

use serde_json::json;

use super::*;
use crate::events::batch_of;

const FILE: &str = "
table: CREATE TABLE shop.orders (id BIGINT PRIMARY KEY, email VARCHAR(64), price DECIMAL(10,2) NOT NULL)
config: { keep-domain: true }
lookups: { countries: { DE: { name: Deutschland }, JP: { name: 日本 } } }
cases:
  - name: masked
    plan: { action: process, columns: [id, email TEXT, price] }
    events:
      - insert: { id: 1, email: ada@example.org, price: '12.50' }
      - update: { after: { id: 1, email: null, price: 1 } }
    expect: []
    errors:
      - { event: 2, message: no }
  - name: another table
    table: |
      CREATE TABLE t (
        id INT
      )
    refuses: no such column
";

fn read(name: &str, text: &str) -> Result<CaseFile, CaseError> {
    let folder = tempfile_folder(name);
    let path = folder.join(name);
    std::fs::write(&path, text).expect("a file");
    CaseFile::read(&path, &|name| (name == "REGION").then(|| "eu".into()))
}

fn tempfile_folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("sluicebox-cases-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

#[test]
fn a_file_is_read_written_and_read_again() {
    let file = read("read.yaml", FILE).expect("a case file");
    assert_eq!(file.cases.len(), 2);
    assert_eq!(file.config, json!({ "keep-domain": true }));
    assert_eq!(json!(file.lookups["countries"]["DE"]), json!({ "name": "Deutschland" }));
    let schema = file.table_of(&file.cases[0]).expect("a table");
    assert_eq!((schema.id.to_string().as_str(), &schema.key[..]), ("shop.orders", &[0][..]));
    let batch = batch_of(&schema, &file.cases[0].events, &Default::default()).expect("a batch");
    assert_eq!(batch.rows(), 2);
    assert_eq!(file.table_of(&file.cases[1]).expect("a table").id.to_string(), "test.t");
    assert_eq!(read("written.yaml", &to_yaml(&file)).expect("what was written"), file);
    let text = serde_json::to_string(&file).expect("JSON");
    assert_eq!(read("written.json", &text).expect("what was written"), file);
}

#[test]
fn what_it_grants_is_told_in_the_words_of_pipeline_files() {
    let granting = |wasi: &str| FILE.replace("cases:", &format!("wasi: {wasi}\ncases:"));
    let wasi = "{ clocks: true, environment: { REGION: '${env:REGION}' }, filesystem: { /model: data } }";
    let file = read("grants.yaml", &granting(wasi)).expect("a case file");
    let wanted = WasiGrants {
        clocks: true,
        environment: Some(vec![("REGION".into(), "eu".into())]),
        filesystem: vec![("/model".into(), tempfile_folder("grants.yaml").join("data"))],
        ..WasiGrants::default()
    };
    assert_eq!(file.granted, wanted);
    assert_eq!(read("grants.yaml", &to_yaml(&file)).expect("what was written"), file);
    assert_eq!(read("nothing.yaml", FILE).expect("a case file").granted, WasiGrants::default());
    for (wasi, told) in [
        ("{ clock: true }", "wasi.clock: unknown option; did you mean `clocks`?"),
        ("{ filesystem: { data: [a] } }", "wasi.filesystem.data: expected a text, found a list"),
        ("[clocks]", "grants.yaml:5"),
        ("{ environment: { A: '${env:NONE}' } }", "NONE"),
    ] {
        let error = read("grants.yaml", &granting(wasi)).expect_err(wasi).to_string();
        assert!(error.contains(told), "{wasi}: {error}");
    }
}

#[test]
fn what_is_no_case_file_is_told() {
    for (name, text, told) in [
        ("unknown.yaml", FILE.replace("    expect: []", "    expects: []"), "unknown field `expects`"),
        (
            "kind.yaml",
            FILE.replace("- insert:", "- upsert:"),
            "unknown variant `upsert`, expected one of `insert`",
        ),
        ("broken.yaml", FILE.replace("cases:", "cases"), "broken.yaml"),
    ] {
        let error = read(name, &text).expect_err(name).to_string();
        assert!(error.contains(told), "{name}: {error}");
    }
    for (statement, told) in [
        ("CREATE TABLE t (id WIDGET)", "WIDGET"),
        ("SELECT 1", "expected one CREATE TABLE statement"),
        ("CREATE TABLE t LIKE u", "expected one CREATE TABLE statement"),
    ] {
        let error = declared(statement).expect_err(statement).to_string();
        assert!(error.contains(told), "{error}");
    }
}
