//! The examples of each SDK do what a plain Rust function does, on random rows.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array, StringArray};
use arrow::datatypes::Int64Type;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use sluicebox_model::{ChangeBatch, ColumnType, RowKind, TableSchema};
use sluicebox_wasm::{Action, Instance, PluginSpec, WasmError};

use crate::support::{LANGUAGES, batch, column, engine, instance, schema, spec};

/// A row of the test's table.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    kind: RowKind,
    id: i64,
    status: Option<String>,
    email: Option<String>,
}

fn orders() -> Arc<TableSchema> {
    let columns = vec![
        column("id", ColumnType::BigInt, false),
        column("status", ColumnType::Text, true),
        column("email", ColumnType::Text, true),
    ];
    schema(columns, vec![0])
}

fn random_rows(rng: &mut StdRng, events: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    for _ in 0..events {
        let id = rng.random();
        let kinds: &[RowKind] = match rng.random_range(0..5) {
            0 => &[RowKind::Insert],
            1 => &[RowKind::Before, RowKind::After],
            2 => &[RowKind::After],
            3 => &[RowKind::Delete],
            _ => &[RowKind::Read],
        };
        for &kind in kinds {
            let status =
                ["NEW", "CANCELLED", "cancelled", "EXPIRED", ""].choose(rng).map(|s| (*s).to_owned());
            let emails = ["ada@example.org", "ünïcode@exämple.org", "🌊@x", "@", "none", "", "a@b@c"];
            let email = emails.choose(rng).map(|s| (*s).to_owned());
            let (status, email) =
                (status.filter(|_| rng.random_bool(0.8)), email.filter(|_| rng.random_bool(0.8)));
            rows.push(Row { kind, id, status, email });
        }
    }
    rows
}

fn to_batch(schema: &Arc<TableSchema>, rows: &[Row]) -> ChangeBatch {
    let ids = Int64Array::from_iter_values(rows.iter().map(|row| row.id));
    let status: StringArray = rows.iter().map(|row| row.status.as_deref()).collect();
    let email: StringArray = rows.iter().map(|row| row.email.as_deref()).collect();
    batch(
        schema,
        rows.iter().map(|row| row.kind).collect(),
        vec![Arc::new(ids), Arc::new(status), Arc::new(email)],
    )
}

fn to_rows(batch: &ChangeBatch) -> Vec<Row> {
    let ids = batch.columns[0].as_primitive::<Int64Type>();
    let text = |column: usize, row: usize| {
        let texts = batch.columns[column].as_string::<i32>();
        texts.is_valid(row).then(|| texts.value(row).to_owned())
    };
    let row = |(row, kind): (usize, &RowKind)| Row {
        kind: *kind,
        id: ids.value(row),
        status: text(1, row),
        email: text(2, row),
    };
    batch.kinds.iter().enumerate().map(row).collect()
}

/// Rows that stay by a predicate on one image, with the kinds that this makes of them.
fn filtered(rows: &[Row], stays: impl Fn(&Row) -> bool) -> Vec<Row> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < rows.len() {
        let row = &rows[at];
        if row.kind == RowKind::Before {
            let after = &rows[at + 1];
            match (stays(row), stays(after)) {
                (true, true) => out.extend([row.clone(), after.clone()]),
                (true, false) => out.push(Row { kind: RowKind::Delete, ..row.clone() }),
                (false, true) => out.push(Row { kind: RowKind::Insert, ..after.clone() }),
                (false, false) => {}
            }
            at += 2;
            continue;
        }
        if stays(row) {
            out.push(row.clone());
        } else if row.kind == RowKind::After {
            out.push(Row { kind: RowKind::Delete, ..row.clone() });
        }
        at += 1;
    }
    out
}

fn masked(email: &str, keep_domain: bool) -> String {
    match email.rsplit_once('@').filter(|_| keep_domain) {
        Some((name, domain)) => {
            let first: String = name.chars().take(1).collect();
            format!("{first}***@{domain}")
        }
        None => "***".to_owned(),
    }
}

/// Runs a plugin on random rows, all at once and cut in several ways, each time in a new instance.
fn assert_conforms(name: &str, start: impl Fn() -> Instance, native: impl Fn(&[Row]) -> Vec<Row>) {
    let seed = rand::rng().random();
    println!("{name}: seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let schema = orders();
    let rows = random_rows(&mut rng, 3_000);
    let wanted = native(&rows);
    for events in [usize::MAX, 1, 3, 500] {
        let mut guest = start();
        let plan = guest.plan(1, &schema).expect("a plan");
        let mut found = Vec::new();
        let mut rest = &rows[..];
        while !rest.is_empty() {
            let mut end = events.min(rest.len());
            if rest[end - 1].kind == RowKind::Before {
                end += 1;
            }
            let (part, behind) = rest.split_at(end);
            rest = behind;
            let processed = guest.process(&plan, &to_batch(&schema, part), None).expect("it is processed");
            assert!(processed.failed.is_empty());
            found.extend(to_rows(&processed.batch));
        }
        assert!(found == wanted, "{name} differs in batches of {events}");
    }
}

/// The same example in every language.
fn assert_all_conform(name: &str, config: &Value, native: impl Fn(&[Row]) -> Vec<Row>) {
    for language in LANGUAGES {
        let name = format!("{name}{language}");
        assert_conforms(&name, || instance(&name, config.clone()), &native);
    }
}

#[test]
fn drop_cancelled_conforms() {
    // Escapes that a JSON reader must know.
    let config = json!({ "column": "Status", "values": ["CANCELLED", "EXPIRED", "\u{1f30a} \"\n\\"] });
    assert_all_conform("drop-cancelled", &config, |rows| {
        filtered(rows, |row| !matches!(row.status.as_deref(), Some("CANCELLED" | "EXPIRED")))
    });
}

#[test]
fn mask_email_conforms_on_both_rows_of_an_update() {
    for keep_domain in [true, false] {
        let config = json!({ "columns": ["email"], "keep-domain": keep_domain });
        assert_all_conform("mask-email", &config, |rows| masked_rows(rows, keep_domain));
    }
}

fn masked_rows(rows: &[Row], keep_domain: bool) -> Vec<Row> {
    let mask = |row: &Row| Row {
        email: row.email.as_deref().map(|email| masked(email, keep_domain)),
        ..row.clone()
    };
    rows.iter().map(mask).collect()
}

/// Files built when the version was new, in Rust and in C: they run for as long as the version is supported.
#[test]
fn plugins_of_version_0_1_still_run() {
    for name in ["mask-email", "mask-email-c"] {
        let path = format!("{}/tests/plugins/v0_1/{name}.wasm", env!("CARGO_MANIFEST_DIR"));
        let inspection = sluicebox_wasm::inspect(path.as_ref()).expect("it can be read");
        assert_eq!(inspection.version.as_deref(), Some("0.1.0"));
        let config = json!({ "columns": ["email"], "keep-domain": true });
        let spec = PluginSpec { path: path.into(), ..spec("mask-email", config) };
        let plugin = engine().load(&spec).expect("it loads");
        assert_conforms(name, || plugin.instantiate().expect("it starts"), |rows| masked_rows(rows, true));
    }
}

#[test]
fn rename_project_conforms() {
    let config = json!({ "rename": { "id": "order_id", "email": "contact" } });
    assert_all_conform("rename-project", &config, <[Row]>::to_vec);
}

#[test]
fn columns_are_left_out_and_put_in_another_order_in_every_language() {
    for name in LANGUAGES.map(|language| format!("rename-project{language}")) {
        let config = json!({ "rename": { "email": "contact" }, "keep": ["email", "ID"] });
        let mut guest = instance(&name, config);
        let plan = guest.plan(1, &orders()).expect("a plan");
        assert_eq!(plan.action, Action::Pass, "{name}");
        let columns: Vec<&str> = plan.output.columns.iter().map(|column| &*column.name).collect();
        assert_eq!(columns, ["contact", "id"], "{name}");
        assert_eq!(plan.output.key, [1], "{name}");
        for wrong in [json!(["email", "email", "id"]), json!(["email", "id", "nothing"])] {
            let refused = instance(&name, json!({ "keep": wrong })).plan(1, &orders());
            assert!(matches!(refused, Err(WasmError::Plan { .. })), "{name}: {wrong}: {refused:?}");
        }
    }
    assert_eq!(instance("rename-project-c", json!({})).about().version, "0.2.0", "its own");
}

#[test]
fn every_language_is_told_the_version_of_a_table_and_the_statement_that_led_to_it() {
    let changed = |ddl: Option<&str>| {
        Arc::new(TableSchema { version: 7, ddl: ddl.map(Into::into), ..TableSchema::clone(&orders()) })
    };
    for name in LANGUAGES.map(|language| format!("every-kind{language}")) {
        let mut guest = instance(&name, json!({ "ddl": true }));
        for (ddl, told) in [
            (Some("ALTER TABLE orders ADD größe INT"), "version 7 by ALTER TABLE orders ADD größe INT"),
            (None, "version 7 by nothing"),
        ] {
            let reason = guest.plan(1, &changed(ddl)).expect_err("it refuses").to_string();
            assert!(reason.ends_with(told), "{name}: {reason}");
        }
    }
}

#[test]
fn what_an_example_refuses_is_told_in_every_language() {
    for language in LANGUAGES {
        let name = format!("mask-email{language}");
        let mut guest = instance(&name, json!({ "columns": ["emial"] }));
        let error = guest.plan(1, &orders()).expect_err("there is no such column").to_string();
        assert!(error.contains("emial"), "{error}");
        let spec = crate::support::spec(&name, json!({}));
        let started = crate::support::engine().load(&spec).expect("it loads").instantiate();
        let error = started.err().expect("its configuration lacks a key").to_string();
        assert!(error.contains("`columns`"), "{error}");
    }
}
