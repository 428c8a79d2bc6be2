//! The examples of each SDK do the same with the same rows, in the program as authors use it.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Database, Emulator, Kind, Pipeline, Random, Rows, Server, plugin, root, run, run_with};

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

/// Examples, each on a table of its own, with what they are told and their table in the sink.
const IN_A_PIPELINE: [(&str, &str, &str); 6] = [
    ("drop-cancelled", "config: { column: status, values: [CANCELLED] }", "drop_cancelled"),
    ("rename-project", "config: { table: renamed, rename: { email: contact }, remove: [note] }", "renamed"),
    ("mask-email", "config: { columns: [email, note], keep-domain: true }", "mask_email"),
    (
        "enrich",
        "config: { table: states, key: status, add: { meaning: text } }\n      lookups: { states: { file: states.csv, key: status } }",
        "enrich",
    ),
    ("running-count", "config: { by: status, column: changes }", "running_count"),
    ("split-tags", "config: { column: status, separator: E, into: part }", "split_tags"),
];

/// The plugin compiled ahead of time, because interpreters take ten seconds and each pipeline would do it again.
fn compiled(folder: &Path, name: &str) -> PathBuf {
    let out = folder.join(name).with_extension("compiled");
    let (plugin, file) = (plugin(name), out.to_str().expect("a plain path"));
    let compiled = run(folder, &["plugin", "compile", plugin.to_str().expect("a plain path"), "--out", file]);
    assert_eq!(compiled.code, Some(0), "{compiled:?}");
    out
}

fn in_a_pipeline(source: &Database<'_>, emulator: &Emulator, language: &str) -> Pipeline {
    let pipeline = Pipeline::new(source, emulator);
    let entry = |(example, rest, _): &(&str, &str, &str)| {
        let path = compiled(pipeline.folder(), &format!("{example}{language}"));
        let (database, table, path) = (source.name(), example.replace('-', "_"), path.display());
        format!(
            "  - source-table: {database}.{table}\n    plugin:\n      path: {path}\n      precompiled: true\n      {rest}\n"
        )
    };
    let entries: String = IN_A_PIPELINE.iter().map(entry).collect();
    let states = "status,text\nNEW,just in\nCANCELLED,no more\n";
    std::fs::write(pipeline.folder().join("states.csv"), states).expect("a lookup table");
    pipeline.block(&format!("transform:\n{entries}"))
}

/// Inserts, updates and deletes in each example's table, and one last row. `big` is beyond what JavaScript has numbers for: unread, it passes whole.
fn change(source: &Database<'_>) {
    for (example, ..) in IN_A_PIPELINE {
        let table = example.replace('-', "_");
        let rows: Vec<String> = (1..40_u64)
            .map(|id| {
                let status = ["NEW", "CANCELLED", "DONE"][(id % 3) as usize];
                let email = ["ada@example.org", "żółć@x", "none"][(id % 7 % 3) as usize];
                format!("({id}, 18446744073709551615 - {id}, '{status}', '{email}', NULL)")
            })
            .collect();
        source.sql(&format!(
            "INSERT INTO {table} VALUES {}; UPDATE {table} SET status = 'CANCELLED' WHERE id % 5 = 0; \
             UPDATE {table} SET status = 'NEW', note = 'a@b' WHERE id % 5 = 1; DELETE FROM {table} WHERE id % 11 = 0; \
             INSERT INTO {table} VALUES (1000, 0, 'LAST', NULL, NULL)",
            rows.join(", ")
        ));
    }
}

/// All rows of a table of the sink, once its last row is there.
fn reached(emulator: &Emulator, table: &str) -> Rows {
    let last = format!("SELECT id FROM {table} WHERE id = 1000");
    emulator.sink().wait_for_rows(&last, &[&["1000"]]);
    let mut rows = emulator.sink().rows(&format!("SELECT * FROM {table} ORDER BY id"));
    // Where one row was made several their order is nobody's.
    rows.sort();
    rows
}

#[test]
fn the_examples_of_every_language_do_the_same_in_a_pipeline() {
    let server = Server::shared(Kind::MySql);
    let mut wanted: Vec<Rows> = Vec::new();
    for language in LANGUAGES {
        let (source, emulator) = (server.database(), Emulator::start());
        for (example, ..) in IN_A_PIPELINE {
            let table = example.replace('-', "_");
            source.sql(&format!(
                "CREATE TABLE {table} (id INT PRIMARY KEY, big BIGINT UNSIGNED, status VARCHAR(20), email VARCHAR(64), note TEXT); \
                 INSERT INTO {table} VALUES (1003, 0, 'FIRST', NULL, NULL)"
            ));
        }
        let pipeline = in_a_pipeline(&source, &emulator, language);
        let mut program = pipeline.start_and_wait();
        // Behind the snapshot, so that all changes come one by one, and are counted so.
        for (.., table) in IN_A_PIPELINE {
            let first = format!("SELECT id FROM {table} WHERE id = 1003");
            emulator.sink().wait_for_rows(&first, &[&["1003"]]);
        }
        change(&source);
        let found = IN_A_PIPELINE.map(|(.., table)| reached(&emulator, table)).to_vec();
        assert_eq!(program.stop(), Some(0), "{language}: {}", program.printed());
        if wanted.is_empty() {
            // 39 rows, the first and the last one, of which 3 were deleted.
            assert_eq!(found[1..5].iter().map(Vec::len).collect::<Vec<_>>(), [38; 4], "{found:?}");
            assert!(found[0].len() < 38 && found[5].len() > 2 * 38 - 15, "{found:?}");
            wanted = found;
        } else {
            assert!(found == wanted, "{language}: {found:?}, and not {wanted:?}");
        }
    }
}

/// The program that builds plugins of a language, and the variable that names it to a project.
fn compiler(language: &str) -> (&'static str, String) {
    let variable = match language {
        "python" => "COMPONENTIZE_PY",
        "go" => "GO",
        "ts" => "TSC",
        _ => "COMPONENTIZE_QJS",
    };
    let output =
        std::process::Command::new(root().join("scripts/guest-toolchain")).args(["path", language]).output();
    let output = output.expect("the script");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (variable, String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn assert_a_new_project_builds(language: &str, compilers: &[&str], source: &str, fault: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let compilers: Vec<_> = compilers.iter().map(|language| compiler(language)).collect();
    let compilers: Vec<_> = compilers.iter().map(|(variable, path)| (*variable, path.as_str())).collect();
    let made = run(folder.path(), &["plugin", "new", language, "mask-orders"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let project = folder.path().join("mask-orders");
    let build = || run_with(&project, &["plugin", "build", "--json"], &compilers);
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
    assert_a_new_project_builds("python", &["python"], "plugin.py", "class Orders(:\n");
}

#[test]
fn a_new_project_in_go_builds_and_passes_its_cases() {
    assert_a_new_project_builds("go", &["go"], "main.go", "package main\n\nfunc main() { x }\n");
}

#[test]
fn a_new_project_in_javascript_builds_and_passes_its_cases() {
    assert_a_new_project_builds("js", &["js"], "plugin.js", "class {\n");
}

/// Types are checked: a column of texts is no column of integers.
#[test]
fn a_new_project_in_typescript_builds_and_passes_its_cases() {
    let source = std::fs::read_to_string(root().join("guest-examples/templates/ts/plugin.ts"));
    let source = source.expect("the template");
    let fault = source.replace("row.text(status) ===", "row.int(status) ===");
    assert_ne!(fault, source);
    assert_a_new_project_builds("typescript", &["js", "ts"], "plugin.ts", &fault);
}

/// The types of the SDK hold for what plugins in JavaScript and TypeScript do, and refuse what cannot be.
#[test]
fn the_types_of_the_javascript_sdk_are_sound() {
    let (_, tsc) = compiler("ts");
    let folder = tempfile::tempdir().expect("a folder");
    let made = run(folder.path(), &["plugin", "new", "javascript", "mask-orders"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let project = folder.path().join("mask-orders");
    let check = |file: &str| {
        let options = "--noEmit --strict --allowJs --checkJs --target ES2022 --module ES2022 --moduleResolution bundler --lib ES2022";
        let mut command = std::process::Command::new(&tsc);
        let output = command.args(options.split(' ')).arg(file).current_dir(&project).output();
        let output = output.expect("the compiler");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert_eq!(check("plugin.js"), (true, String::new()));
    std::fs::write(project.join("uses.ts"), USES).expect("a file");
    assert_eq!(check("uses.ts"), (true, String::new()));
    for (right, wrong) in [
        ("row.int(c.id)", "row.int(c.name)"),
        ("row.setBytes(c.raw, raw", "row.setBytes(c.name, raw"),
        ("row.bigint(c.id)", "row.bigint(c.name)"),
        ("whole: bigint | null", "whole: number | null"),
        ("plan.expand()", "plan.expands()"),
        ("Type.decimal(20, 2)", "Type.decimal()"),
        ("return KEEP", "return undefined"),
        ("table.columns[0].key", "table.columns[0].keys"),
    ] {
        assert!(USES.contains(right), "{right}");
        std::fs::write(project.join("uses.ts"), USES.replacen(right, wrong, 1)).expect("a file");
        let (passed, told) = check("uses.ts");
        assert!(!passed && told.contains("uses.ts"), "{wrong} passes: {told}");
    }
}

/// Each word of the SDK once.
const USES: &str = r#"
import * as sdk from "./sdk/sluicebox.js";
import { DROP, KEEP, Kind, Type, clock, decodeUtf8, definePlugin, encodeUtf8, lookup, need, state } from "./sdk/sluicebox.js";
import type { Bytes, Float, Int, Plan, Row, Table, Text, Transform, Uint, Verdict } from "./sdk/sluicebox.js";

interface Columns { id: Int; big: Uint; price: Float; name: Text; raw: Bytes; wide: Text; at: Int; seed: Uint }

class Uses implements Transform<Columns> {
  by: string;
  constructor(config: object) {
    this.by = need(config, "by");
  }
  plan(table: Table, plan: Plan): Columns {
    const key: number | null = table.columns[0].key;
    if (key === null || table.ddl !== null || table.version < 1) plan.discard();
    plan.keepOnly(["id", "big", "price", "name", "raw"]);
    plan.rename("big", "bigger");
    plan.remove("price");
    plan.renameTable(`${table.database}_${table.name}`);
    plan.key(["id", "wide"]);
    plan.before();
    plan.expand();
    plan.stateful();
    plan.position();
    plan.transaction();
    plan.addInt("day", Type.DATE);
    plan.addBytes("bytes", Type.BINARY, false);
    return {
      id: plan.int("id"), big: plan.rewriteUint("big"), price: plan.float("price"), name: plan.rewriteText("name"), raw: plan.rewriteBytes("raw"),
      wide: plan.addText("wide", Type.decimal(20, 2), false), at: plan.commitTime(), seed: plan.seed(),
    };
  }
  row(c: Columns, row: Row): Verdict {
    const count: number | null = row.int(c.id);
    const whole: bigint | null = row.bigint(c.id);
    if (row.kind === Kind.BEFORE || row.uint(c.big) === 0 || row.float(c.price) === 0.5) return DROP;
    if ((row.bigint(c.seed) ?? 0n) % 100n < 10n) sdk.info("sampled");
    const raw: Uint8Array | null = row.bytes(c.raw);
    row.setBytes(c.raw, raw === null ? encodeUtf8("none") : raw);
    row.setUint(c.big, 2n ** 64n - 1n);
    row.setUint(c.big, 7);
    const entry = lookup.get("countries", String(row.get(c.name)));
    row.setText(c.name, whole === null ? null : String(whole) + decodeUtf8(encodeUtf8("ü"), 0, 2) + entry?.name);
    state.put(this.by, String(clock.now() + (count ?? 0)));
    row.set(c.wide, state.getText(this.by));
    row.emit();
    return KEEP;
  }
}

export const plugin = definePlugin("uses", "0.1.0", Uses);
"#;
