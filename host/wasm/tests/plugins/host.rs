//! What plugins may ask the host for: reference tables, their state, the time of day.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array, StringArray};
use arrow::datatypes::Int64Type;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use sluicebox_model::{ByteSize, ChangeBatch, ColumnType, RowKind, TableId, TableSchema};
use sluicebox_wasm::{Fault, Grants, Instance, Limits, LookupTables, PluginSpec, State, WasmError};

use crate::support::{LANGUAGES, batch, column, engine, inserts, instance, numbered_schema, schema, spec};

/// One table, `countries`.
#[derive(Debug)]
struct Countries;

impl LookupTables for Countries {
    fn get(&self, table: &str, keys: &[String]) -> Option<Vec<Option<Arc<str>>>> {
        let entry = |key: &String| match key.as_str() {
            "DE" => Some(r#"{"name":"Deutschland","region":"EU","people":84}"#.into()),
            "JP" => Some(r#"{ "region" : null, "name": "\u65e5\u672c \"x\"" }"#.into()),
            "large" => Some(format!(r#"{{"name":"{}"}}"#, "x".repeat(900 << 10)).into()),
            _ => None,
        };
        (table == "countries").then(|| keys.iter().map(entry).collect())
    }

    fn names(&self) -> Vec<String> {
        vec!["countries".into()]
    }
}

fn granted(name: &str, config: Value, grants: Grants) -> Instance {
    let spec = PluginSpec { grants, ..spec(name, config) };
    engine().load(&spec).expect("it loads").instantiate().expect("it starts")
}

fn countries() -> Grants {
    Grants { lookups: Some(Arc::new(Countries)), ..Grants::default() }
}

fn customers() -> Arc<TableSchema> {
    let columns = vec![column("id", ColumnType::BigInt, false), column("customer", ColumnType::Text, true)];
    schema(columns, vec![0])
}

fn rows(schema: &Arc<TableSchema>, kinds: &[RowKind], customers: &[Option<&str>]) -> ChangeBatch {
    let ids = Int64Array::from_iter_values(0..kinds.len() as i64);
    let names: StringArray = customers.iter().copied().collect();
    batch(schema, kinds.to_vec(), vec![Arc::new(ids), Arc::new(names)])
}

#[test]
fn columns_are_filled_from_a_reference_table() {
    for name in LANGUAGES.map(|language| format!("enrich{language}")) {
        let config =
            json!({ "table": "countries", "key": "customer", "add": { "name": "name", "where": "region" } });
        let mut guest = granted(&name, config, countries());
        let schema = customers();
        let plan = guest.plan(1, &schema).expect("a plan");
        let keys = [Some("DE"), Some("XX"), None, Some("JP"), Some("DE")];
        let out = guest.process(&plan, &rows(&schema, &[RowKind::Insert; 5], &keys), None);
        let out = out.expect("it is processed").batch;
        let texts = |column: usize| -> Vec<Option<String>> {
            out.columns[column].as_string::<i32>().iter().map(|t| t.map(str::to_owned)).collect()
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            texts(2),
            [some("Deutschland"), None, None, some("日本 \"x\""), some("Deutschland")],
            "{name}"
        );
        assert_eq!(texts(3), [some("EU"), None, None, None, some("EU")], "{name}");
    }
}

fn fault(guest: &mut Instance, state: Option<&mut State>) -> Fault {
    let schema = numbered_schema(true);
    let plan = guest.plan(1, &schema).expect("a plan");
    match guest.process(&plan, &inserts(&schema, 0..10), state) {
        Err(WasmError::Guest { fault, .. }) => fault,
        other => panic!("expected a fault, found {other:?}"),
    }
}

#[test]
fn what_is_not_granted_is_a_fault_that_says_so() {
    for (does, grants, complaint) in [
        ("unknown-lookup", countries(), "lookup table `nowhere`; the pipeline file declares `countries`"),
        (
            "unknown-lookup",
            Grants::default(),
            "lookup table `nowhere`; the pipeline file declares none for it",
        ),
        ("ask-time", countries(), "does not grant it with `clock: true`"),
        ("state-unasked", Grants::default(), "its plan does not say `stateful`"),
    ] {
        let mut guest = granted("misbehaving", json!({ "does": does }), grants);
        let Fault::Forbidden(reason) = fault(&mut guest, None) else { panic!("{does}: another fault") };
        assert!(reason.contains(complaint), "{does}: {reason}");
        assert_eq!(guest.stats().lost, 1, "an instance that was stopped inside a call is not used again");
    }
    let mut guest = instance("misbehaving", json!({ "does": "state-in-plan" }));
    let error = guest.plan(1, &numbered_schema(true)).expect_err("there is no state to ask").to_string();
    assert!(error.contains("it uses state outside of `process`"), "{error}");
}

#[test]
fn the_time_of_day_is_told_where_it_is_granted() {
    let mut guest =
        granted("misbehaving", json!({ "does": "ask-time" }), Grants { clock: true, ..Grants::default() });
    let schema = numbered_schema(true);
    let plan = guest.plan(1, &schema).expect("a plan");
    let out = guest.process(&plan, &inserts(&schema, 0..1), None).expect("it is processed").batch;
    let micros: u64 = out.columns[1].as_string::<i32>().value(0).parse().expect("a number");
    // Between 2024 and 2100.
    assert!((1_700_000_000_000_000..4_102_444_800_000_000).contains(&micros), "{micros}");
}

#[test]
fn what_breaks_the_rules_of_version_0_2_is_refused() {
    let mut guest = instance("misbehaving", json!({ "does": "origins-unasked" }));
    let Fault::Output(reason) = fault(&mut guest, None) else { panic!("another fault") };
    assert!(reason.contains("its plan does not say `expands`"), "{reason}");
    for (does, complaint) in
        [("huge-state", "above its limit of 1MiB"), ("long-state-key", "a key of 1025 bytes")]
    {
        let mut guest = instance("misbehaving", json!({ "does": does }));
        let mut state = State::new([("old".to_owned(), vec![1])], ByteSize::mib(1));
        let Fault::Forbidden(reason) = fault(&mut guest, Some(&mut state)) else {
            panic!("{does}: another fault")
        };
        assert!(reason.contains(complaint), "{does}: {reason}");
        assert_eq!(
            (state.keys(), state.bytes(), state.has_changes()),
            (1, 4, false),
            "{does}: all is as it was"
        );
    }
}

/// A thousand times 900 KiB: the host would have it all before the guest's memory refuses it.
#[test]
fn an_answer_is_no_larger_than_the_memory_that_it_is_for() {
    for (does, mut state) in
        [("ask-state-again", Some(State::new([], Limits::DEFAULT_STATE))), ("ask-lookup-again", None)]
    {
        let mut guest = granted("misbehaving", json!({ "does": does }), countries());
        let Fault::Forbidden(reason) = fault(&mut guest, state.as_mut()) else {
            panic!("{does}: another fault")
        };
        assert!(reason.contains("more at once than 64MiB") && reason.contains("`limits.memory`"), "{reason}");
        assert_eq!(state.map_or(0, |state| state.keys()), 0, "{does}: all is as it was");
    }
}

#[test]
fn what_is_put_at_once_may_be_as_much_as_the_state_and_what_is_given_back_may_not() {
    let schema = numbered_schema(true);
    let run = |does: &str, limit: ByteSize| {
        let limits = Limits { state: limit, memory: ByteSize::mib(256), ..Limits::default() };
        let spec = PluginSpec { limits, ..spec("misbehaving", json!({ "does": does })) };
        let mut guest = engine().load(&spec).expect("it loads").instantiate().expect("it starts");
        let plan = guest.plan(1, &schema).expect("a plan");
        let mut state = State::new([], limit);
        let processed = guest.process(&plan, &inserts(&schema, 0..10), Some(&mut state));
        (processed.map(|processed| processed.batch.rows()), state.keys())
    };
    let refused = |(result, keys): (Result<usize, WasmError>, usize)| match result {
        Err(WasmError::Guest { fault: Fault::Output(reason), .. }) if keys == 0 => reason,
        other => panic!("expected a fault, found {other:?} and {keys} keys"),
    };
    let (rows, keys) = run("put-much", Limits::DEFAULT_STATE);
    assert_eq!((rows.ok(), keys), (Some(10), 1_025));
    let reason = refused(run("put-much", ByteSize::kib(512)));
    assert!(reason.contains("than `limits.state`"), "{reason}");
    let reason = refused(run("huge-output-with-state", ByteSize::mib(64)));
    assert!(reason.contains("more than `limits.output`") && !reason.contains("limits.state"), "{reason}");
}

#[test]
fn a_plan_that_wants_state_is_not_run_without() {
    let mut guest = instance("misbehaving", json!({ "does": "count-in-state" }));
    let schema = numbered_schema(true);
    let plan = guest.plan(1, &schema).expect("a plan");
    assert!(plan.stateful);
    let error = guest.process(&plan, &inserts(&schema, 0..1), None).expect_err("there is none");
    assert!(matches!(error, WasmError::Batch { .. }), "{error}");
}

/// Each value's number of changes so far, as the plugin is to count them.
fn counted(kinds: &[RowKind], customers: &[Option<&str>]) -> Vec<Option<i64>> {
    let mut counts = HashMap::new();
    let rows = kinds.iter().zip(customers);
    rows.map(|(kind, customer)| {
        let count = counts.entry((*customer)?).or_insert(0);
        *count += i64::from(*kind != RowKind::Before);
        Some(*count)
    })
    .collect()
}

#[test]
fn a_count_goes_on_from_batch_to_batch_and_from_instance_to_instance() {
    let seed = rand::rng().random();
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let (mut kinds, mut names) = (Vec::new(), Vec::new());
    for _ in 0..2_000 {
        let event: &[RowKind] = match rng.random_range(0..4) {
            0 => &[RowKind::Before, RowKind::After],
            1 => &[RowKind::Delete],
            2 => &[RowKind::Read],
            _ => &[RowKind::Insert],
        };
        for &kind in event {
            kinds.push(kind);
            names.push(
                ["ada", "grace", "żółć", ""].choose(&mut rng).copied().filter(|_| rng.random_bool(0.9)),
            );
        }
    }
    let wanted = counted(&kinds, &names);
    let schema = customers();
    let whole = rows(&schema, &kinds, &names);
    for name in LANGUAGES.map(|language| format!("running-count{language}")) {
        let config = json!({ "by": "customer", "column": "changes" });
        let plugin = engine().load(&spec(&name, config)).expect("it loads");
        let mut saved: HashMap<String, Vec<u8>> = HashMap::new();
        let mut found = Vec::new();
        let mut at = 0;
        while at < kinds.len() {
            let mut end = (at + rng.random_range(1..700)).min(kinds.len());
            end += usize::from(kinds[end - 1] == RowKind::Before);
            let mut guest = plugin.instantiate().expect("it starts");
            let plan = guest.plan(1, &schema).expect("a plan");
            let mut state = State::new(saved.clone(), Limits::DEFAULT_STATE);
            let out = guest.process(&plan, &whole.slice(at..end), Some(&mut state)).expect("it is processed");
            found.extend(out.batch.columns[2].as_primitive::<Int64Type>().iter());
            for (key, value) in state.take_changes() {
                saved.insert(key, value.expect("nothing is removed"));
            }
            at = end;
        }
        assert!(found == wanted, "{name} counts otherwise");
        assert_eq!(saved.len(), 4);
    }
}

#[test]
fn what_is_remembered_of_one_target_is_not_seen_by_another() {
    let mut guest = instance("misbehaving", json!({ "does": "count-in-state", "at": 99 }));
    let schemas = ["orders", "others"].map(|name| {
        let id = TableId::new("shop", name);
        Arc::new(TableSchema { id, ..TableSchema::clone(&numbered_schema(true)) })
    });
    let plans = [0, 1].map(|place| guest.plan(place as u32, &schemas[place]).expect("a plan"));
    let mut states = [0, 1].map(|_| State::new([], Limits::DEFAULT_STATE));
    let mut count = |place: usize, rows: std::ops::Range<i64>| {
        let batch = inserts(&schemas[place], rows);
        let out = guest.process(&plans[place], &batch, Some(&mut states[place]));
        out.map(|out| out.batch.columns[1].as_string::<i32>().value(0).to_owned()).ok()
    };
    assert_eq!(count(0, 0..3).as_deref(), Some("1"));
    assert_eq!(count(1, 0..1).as_deref(), Some("1"), "the other table's count begins anew");
    assert_eq!(count(0, 99..100), None, "it traps while it has the first one's state");
    assert_eq!(count(1, 0..1).as_deref(), Some("2"));
    assert_eq!(count(0, 0..1).as_deref(), Some("4"));
}

#[test]
fn a_row_that_fails_has_changed_no_state() {
    for does in ["count-in-state", "count-and-condemn"] {
        let mut guest = instance("misbehaving", json!({ "does": does, "at": 1_203 }));
        let schema = numbered_schema(true);
        let plan = guest.plan(1, &schema).expect("a plan");
        let mut state = State::new([], Limits::DEFAULT_STATE);
        let first = guest.process_isolating(&plan, &inserts(&schema, 0..10), Some(&mut state));
        assert_eq!(first.expect("it is processed").failed, []);
        let processed = guest.process_isolating(&plan, &inserts(&schema, 10..1_500), Some(&mut state));
        let processed = processed.expect("the others go on");
        assert_eq!(processed.failed.iter().map(|failed| failed.row).collect::<Vec<_>>(), [1_193], "{does}");
        let texts = processed.batch.columns[1].as_string::<i32>();
        let numbers: Vec<i64> =
            (0..texts.len()).map(|row| texts.value(row).parse().expect("a number")).collect();
        assert_eq!(numbers, (11..1_500).collect::<Vec<_>>(), "{does}: no gap where the row was");
        assert_eq!(state.get("rows"), Some(&b"1499"[..]), "{does}");
    }
}
