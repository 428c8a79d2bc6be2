//! The examples of each SDK do the same with the same rows, in the program as authors use it.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Random, plugin, root, run, run_with};

/// Endings of the names of an example's files, one for each language: the first is Rust's, whose examples the host's own tests
/// compare with plain Rust functions.
const LANGUAGES: [&str; 5] = ["", "-c", "-python", "-go", "-js"];

const STATUS: [&str; 6] = ["NEW", "CANCELLED", "cancelled", "EXPIRED", "", "🌊 \"\n\\"];
const EMAILS: [&str; 7] = ["ada@example.org", "ünïcode@exämple.org", "🌊@x", "@", "none", "", "a@b@c"];

fn row(random: &mut Random, id: usize) -> Value {
    let mut text = |words: &[&str]| match random.below(5) {
        0 => Value::Null,
        _ => json!(random.one_of(words)),
    };
    json!({ "id": id, "status": text(&STATUS), "email": text(&EMAILS), "note": text(&EMAILS) })
}

fn events(random: &mut Random, count: usize) -> Vec<Value> {
    let event = |id| match random.below(5) {
        0 => json!({ "insert": row(random, id) }),
        // The key changes, so the row before comes along.
        1 => json!({ "update": { "before": row(random, id), "after": row(random, id + count) } }),
        2 => json!({ "update": { "after": row(random, id) } }),
        3 => json!({ "delete": row(random, id) }),
        _ => json!({ "read": row(random, id) }),
    };
    (0..count).map(event).collect()
}

/// What goes on of the events, and what is wrong.
fn outcome(folder: &Path, name: &str) -> (Value, Value) {
    let plugin = plugin(name);
    let output =
        run(folder, &["plugin", "test", plugin.to_str().expect("a plain path"), "cases.json", "--json"]);
    let results: Value =
        serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{name}: {error}: {output:?}"));
    (results[0]["found"].clone(), results[0]["differences"].clone())
}

fn assert_same_in_every_language(example: &str, config: &Value, plan: &Value) {
    let mut random = Random::of_this_run(example);
    let folder = tempfile::tempdir().expect("a folder");
    let case = json!({ "name": "random rows", "plan": plan, "events": events(&mut random, 3_000) });
    let table =
        "CREATE TABLE shop.orders (id BIGINT PRIMARY KEY, status VARCHAR(20), email VARCHAR(64), note TEXT)";
    let file = json!({ "table": table, "config": config, "cases": [case] });
    std::fs::write(folder.path().join("cases.json"), file.to_string()).expect("a case file");
    let (wanted, differences) = outcome(folder.path(), example);
    assert_eq!(differences, json!([]), "{example}");
    assert!(wanted.as_array().is_some_and(|events| events.len() > 1_000), "{example}: {wanted}");
    for language in LANGUAGES {
        let (found, differences) = outcome(folder.path(), &format!("{example}{language}"));
        assert_eq!(differences, json!([]), "{example}{language}");
        assert!(found == wanted, "{example}{language} does otherwise");
    }
}

#[test]
fn dropping_rows_is_the_same_in_every_language() {
    let plan =
        json!({ "action": "process", "reads": ["status"], "columns": ["id", "status", "email", "note"] });
    let config = json!({ "column": "Status", "values": ["CANCELLED", "EXPIRED", "🌊 \"\n\\"] });
    assert_same_in_every_language("drop-cancelled", &config, &plan);
}

#[test]
fn masking_is_the_same_in_every_language() {
    let plan = json!({ "action": "process", "reads": ["email", "note"], "columns": ["id BIGINT", "status TEXT", "email TEXT", "note TEXT"] });
    for keep_domain in [true, false] {
        let config = json!({ "columns": ["email", "NOTE"], "keep-domain": keep_domain });
        assert_same_in_every_language("mask-email", &config, &plan);
    }
}

#[test]
fn renaming_and_projecting_is_the_same_in_every_language() {
    let plan = json!({ "table": "orders_v2", "columns": ["order_id", "status", "contact"], "key": ["order_id"], "reads": [] });
    let config = json!({ "table": "orders_v2", "rename": { "id": "order_id", "email": "contact" }, "remove": ["note"] });
    assert_same_in_every_language("rename-project", &config, &plan);
}

/// The program that builds plugins of a language, and the variable that names it to a project.
fn compiler(language: &str) -> (&'static str, String) {
    let variable = match language {
        "python" => "COMPONENTIZE_PY",
        "go" => "GO",
        _ => "COMPONENTIZE_QJS",
    };
    let output =
        std::process::Command::new(root().join("scripts/guest-toolchain")).args(["path", language]).output();
    let output = output.expect("the script");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (variable, String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn assert_a_new_project_builds(language: &str, source: &str, fault: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let (variable, compiler) = compiler(language);
    let made = run(folder.path(), &["plugin", "new", language, "mask-orders"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let project = folder.path().join("mask-orders");
    let build = || run_with(&project, &["plugin", "build", "--json"], &[(variable, &compiler)]);
    let built = build();
    assert_eq!(built.code, Some(0), "{built:?}");
    let tested = run(&project, &["plugin", "test", "mask-orders.wasm", "cases.yaml"]);
    assert_eq!(tested.code, Some(0), "{tested:?}");
    std::fs::write(project.join(source), fault).expect("a file");
    let broken = build();
    assert!(
        broken.code == Some(1) && broken.stderr.contains(source.split('.').next().unwrap_or_default()),
        "{broken:?}"
    );
}

#[test]
fn a_new_project_in_python_builds_and_passes_its_cases() {
    assert_a_new_project_builds("python", "plugin.py", "class Orders(:\n");
}

#[test]
fn a_new_project_in_go_builds_and_passes_its_cases() {
    assert_a_new_project_builds("go", "main.go", "package main\n\nfunc main() { x }\n");
}

#[test]
fn a_new_project_in_javascript_builds_and_passes_its_cases() {
    assert_a_new_project_builds("js", "plugin.js", "class {\n");
}
