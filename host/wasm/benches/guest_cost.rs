//! What a guest adds to an event: filter, mask, two renames and two projections on rows of ten columns, by the plugin
//! `orders`, by the same work in native code, and by SQL expressions, in turn in one run.
//!
//!     SLUICEBOX_TEST_PLUGINS=guest-examples/target/plugins cargo bench -p sluicebox-wasm
//!
//! With `SLUICEBOX_EXPRESSION_GUEST` also by the same expressions in a plugin, built beforehand:
//!
//!     (cd host/wasm/benches/expression-guest && ../../../../scripts/wasm-toolchain \
//!         cargo build --release --target wasm32-unknown-unknown)
//!     SLUICEBOX_EXPRESSION_GUEST=host/wasm/benches/expression-guest/target/wasm32-unknown-unknown/release/expression_guest.wasm
//!
//! Then by the plugin `orders` in each language that has an SDK.
//!
//! Prints nanoseconds per event (row image): the least and the median of the repetitions, and the difference of the
//! two sides. Outputs are compared before anything is timed.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and may fail loudly")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, BooleanBufferBuilder, Int64Array, StringArray, StringBuilder,
};
use arrow::compute::FilterBuilder;
use arrow::datatypes::Int64Type;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use sluicebox_expression::{Rule, RulePlan, RuleText, Settings};
use sluicebox_model::{ChangeBatch, Column, ColumnType, Origin, RowKind, TableId, TableSchema};
use sluicebox_wasm::{Engine, Grants, Limits, PluginSpec, Source, TablePlan};

/// Different batches in turn, so that no branch is learned by heart.
const BATCHES: usize = 16;
const REPETITIONS: usize = 15;
const REPETITION: Duration = Duration::from_millis(60);

fn schema() -> Arc<TableSchema> {
    let decimal = ColumnType::Decimal { precision: 12, scale: 2 };
    let time = ColumnType::DateTime { fraction: 0 };
    let columns = [
        ("id", ColumnType::BigInt),
        ("order_no", ColumnType::Text),
        ("customer_id", ColumnType::BigInt),
        ("email", ColumnType::Text),
        ("status", ColumnType::Text),
        ("amount", decimal),
        ("quantity", ColumnType::Int),
        ("created", time),
        ("note", ColumnType::Text),
        ("coupon", time),
    ];
    let column = |(name, column_type): (&str, ColumnType)| Column {
        name: name.into(),
        column_type,
        nullable: false,
        source_type: "".into(),
        charset: None,
        comment: None,
    };
    Arc::new(TableSchema {
        id: TableId::new("shop", "orders"),
        version: 1,
        columns: columns.into_iter().map(column).collect(),
        key: vec![0],
        comment: None,
        charset: None,
        unique_keys: Vec::new(),
        ddl: None,
    })
}

fn batch(schema: &Arc<TableSchema>, rng: &mut StdRng, rows: usize) -> ChangeBatch {
    let mut ints = |high: i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values((0..rows).map(|_| rng.random_range(0..high))))
    };
    let (id, customer, amount) = (ints(i64::MAX), ints(1 << 40), ints(1_000_000));
    let (quantity, created, coupon) = (ints(10), ints(1_700_000_000), ints(1_700_000_000));
    let mut texts = |make: &dyn Fn(&mut StdRng) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..rows).map(|_| make(rng))))
    };
    let order_no = texts(&|rng| format!("ORD-{:010}", rng.random_range(0..1_000_000_000)));
    let email = texts(&|rng| format!("customer{}@example.org", rng.random_range(0..100_000)));
    let status =
        texts(&|rng| (*["NEW", "PAID", "SENT", "DONE", "CANCELLED"].choose(rng).unwrap()).to_owned());
    let note = texts(&|rng| "leave at the door, please"[..rng.random_range(4..25)].to_owned());
    ChangeBatch {
        schema: Arc::clone(schema),
        kinds: vec![RowKind::Insert; rows],
        columns: vec![id, order_no, customer, email, status, amount, quantity, created, note, coupon],
        origins: vec![Origin { first_row: 0, commit_micros: 0, ordinal: 0, transaction: None, absent: None }],
    }
}

/// The plugin's work without a plugin, columns to columns.
fn native(batch: &ChangeBatch, output: &Arc<TableSchema>) -> ChangeBatch {
    let quantity = batch.columns[6].as_primitive::<Int64Type>().values();
    let (status, email) = (batch.columns[4].as_string::<i32>(), batch.columns[3].as_string::<i32>());
    let rows = batch.rows();
    let mut keep = BooleanBufferBuilder::new(rows);
    let mut masked = StringBuilder::with_capacity(rows, email.value_data().len());
    for row in 0..rows {
        let stays = quantity[row] > 2 && status.value(row) != "CANCELLED";
        keep.append(stays);
        if stays {
            let address = email.value(row);
            let (name, domain) = address.split_at(address.find('@').unwrap_or(address.len()));
            let mut utf8 = [0; 4];
            masked.append_value_parts(name.chars().next().unwrap_or('*').encode_utf8(&mut utf8), domain);
        } else {
            masked.append_value("");
        }
    }
    let predicate = FilterBuilder::new(&BooleanArray::new(keep.finish(), None)).optimize().build();
    let masked: ArrayRef = Arc::new(masked.finish());
    let columns =
        [0, 1, 2, 3, 4, 5, 6, 7].map(|place| if place == 3 { &masked } else { &batch.columns[place] });
    let columns: Vec<_> = columns.into_iter().map(|column| predicate.filter(column).unwrap()).collect();
    let kinds = vec![RowKind::Insert; columns[0].len()];
    ChangeBatch { schema: Arc::clone(output), kinds, columns, origins: batch.origins.clone() }
}

trait AppendParts {
    fn append_value_parts(&mut self, first: &str, domain: &str);
}

impl AppendParts for StringBuilder {
    fn append_value_parts(&mut self, first: &str, domain: &str) {
        use std::fmt::Write as _;
        self.write_str(first).unwrap();
        self.write_str("***").unwrap();
        self.write_str(domain).unwrap();
        self.append_value("");
    }
}

const FILTER: &str = "quantity > 2 AND status <> 'CANCELLED'";
const MASK: &str = "CONCAT(LEFT(email, 1), '***', SUBSTR(email, POSITION('@' IN email)))";

/// The same expressions as configuration of the plugin that evaluates them.
fn expression_config(plan: &TablePlan) -> serde_json::Value {
    let output = |(column, source): (&Column, &Source)| match source {
        Source::Input(place) => [column.name.to_string(), plan.input.columns[*place].name.to_string()],
        Source::Computed => [column.name.to_string(), "email".to_owned()],
    };
    let output: Vec<_> = plan.output.columns.iter().zip(&plan.sources).map(output).collect();
    serde_json::json!({ "filter": FILTER, "column": "email", "expression": MASK, "output": output })
}

/// The plugin's work as an entry of expressions.
fn expressions(plan: &TablePlan) -> RulePlan {
    let item = |(column, source): (&Column, &Source)| match source {
        Source::Input(place) => format!("`{}` AS `{}`", plan.input.columns[*place].name, column.name),
        Source::Computed => {
            format!("{MASK} AS `{}`", column.name)
        }
    };
    let items: Vec<_> = plan.output.columns.iter().zip(&plan.sources).map(item).collect();
    let projection = items.join(", ");
    let text = RuleText { projection: Some(&projection), filter: Some(FILTER), ..RuleText::default() };
    let rule = Rule::parse(&text).unwrap();
    rule.plan(&plan.input, &Arc::new(Settings::default())).unwrap()
}

/// Nanoseconds per event of one repetition.
fn measure(batches: &[ChangeBatch], mut work: impl FnMut(&ChangeBatch) -> ChangeBatch) -> f64 {
    let started = Instant::now();
    let mut events = 0;
    while started.elapsed() < REPETITION {
        for batch in batches {
            black_box(work(batch));
            events += batch.rows();
        }
    }
    started.elapsed().as_nanos() as f64 / events as f64
}

fn least_and_median(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    (times[0], times[times.len() / 2])
}

fn main() {
    let Some(folder) = std::env::var_os("SLUICEBOX_TEST_PLUGINS") else {
        println!("nothing measured: SLUICEBOX_TEST_PLUGINS is not set; run scripts/build-guests first");
        std::process::exit(2);
    };
    let spec = PluginSpec {
        path: Path::new(&folder).join("orders.wasm"),
        config: serde_json::Value::Null,
        limits: Limits::default(),
        sha256: None,
        grants: Grants::default(),
        precompiled: false,
    };
    let engine = Engine::new(None).unwrap();
    let mut guest = engine.load(&spec).unwrap().instantiate().unwrap();
    let schema = schema();
    let plan = guest.plan(1, &schema).unwrap();
    let mut rng = StdRng::seed_from_u64(7);
    let rule = expressions(&plan);
    let mut sandboxed = std::env::var_os("SLUICEBOX_EXPRESSION_GUEST").map(|path| {
        let spec = PluginSpec { path: path.into(), config: expression_config(&plan), ..spec };
        let mut guest = engine.load(&spec).unwrap().instantiate().unwrap();
        let plan = guest.plan(1, &schema).unwrap();
        (guest, plan)
    });
    println!(
        "ns per event          native          guest           added           expressions     in a guest"
    );
    println!(
        "rows a batch      least median    least median    least median    least median    least median"
    );
    for rows in [1, 16, 64, 256, 1024, 8192] {
        let batches: Vec<_> = (0..BATCHES).map(|_| batch(&schema, &mut rng, rows)).collect();
        for batch in &batches {
            let (found, wanted) =
                (guest.process(&plan, batch, None).unwrap().batch, native(batch, &plan.output));
            assert_eq!((&found.kinds, &found.columns), (&wanted.kinds, &wanted.columns));
            let expressed = rule.process(batch, 0).unwrap().batch;
            assert_eq!((&expressed.kinds, &expressed.columns), (&wanted.kinds, &wanted.columns));
            if let Some((guest, plan)) = &mut sandboxed {
                let found = guest.process(plan, batch, None).unwrap().batch;
                assert_eq!((&found.kinds, &found.columns), (&wanted.kinds, &wanted.columns));
            }
        }
        let (mut natives, mut guests, mut rules, mut boxed) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..REPETITIONS {
            natives.push(measure(&batches, |batch| native(batch, &plan.output)));
            guests.push(measure(&batches, |batch| guest.process(&plan, batch, None).unwrap().batch));
            rules.push(measure(&batches, |batch| rule.process(batch, 0).unwrap().batch));
            if let Some((guest, plan)) = &mut sandboxed {
                boxed.push(measure(&batches, |batch| guest.process(plan, batch, None).unwrap().batch));
            }
        }
        let (native, guest, rule) =
            (least_and_median(natives), least_and_median(guests), least_and_median(rules));
        print!(
            "{rows:12} {:10.1} {:6.1} {:8.1} {:6.1} {:8.1} {:6.1} {:8.1} {:6.1}",
            native.0,
            native.1,
            guest.0,
            guest.1,
            guest.0 - native.0,
            guest.1 - native.1,
            rule.0,
            rule.1
        );
        if !boxed.is_empty() {
            let boxed = least_and_median(boxed);
            print!(" {:8.1} {:6.1}", boxed.0, boxed.1);
        }
        println!();
    }
    languages(Path::new(&folder), &schema, &mut rng);
}

/// The same plugin in each language beside native code, in turn in one run, with the file's size, the time that compiling it takes on
/// this machine, and an instance's memory behind the work.
fn languages(folder: &Path, schema: &Arc<TableSchema>, rng: &mut StdRng) {
    let batches: Vec<_> = (0..BATCHES).map(|_| batch(schema, rng, 256)).collect();
    // Without a cache, so that compiling is timed.
    let engine = Engine::new(None).unwrap();
    let mut guests: Vec<_> = ["", "-c", "-go", "-js", "-python"]
        .map(|language| {
            let path = folder.join(format!("orders{language}.wasm"));
            let size = std::fs::metadata(&path).unwrap().len();
            let begin = Instant::now();
            let (config, limits, grants) = (serde_json::Value::Null, Limits::default(), Grants::default());
            let plugin = PluginSpec { path, config, limits, sha256: None, grants, precompiled: false };
            let plugin = engine.load(&plugin).unwrap();
            let compiled = begin.elapsed();
            let mut guest = plugin.instantiate().unwrap();
            let plan = guest.plan(1, schema).unwrap();
            for batch in &batches {
                let (found, wanted) =
                    (guest.process(&plan, batch, None).unwrap().batch, native(batch, &plan.output));
                assert_eq!(
                    (&found.kinds, &found.columns),
                    (&wanted.kinds, &wanted.columns),
                    "orders{language}"
                );
            }
            (language, size, compiled, guest, plan, Vec::new())
        })
        .into();
    let mut natives = Vec::new();
    for _ in 0..REPETITIONS {
        for (.., guest, plan, times) in &mut guests {
            natives.push(measure(&batches, |batch| native(batch, &plan.output)));
            times.push(measure(&batches, |batch| guest.process(plan, batch, None).unwrap().batch));
        }
    }
    let native = least_and_median(natives);
    println!("\n256 rows a batch   least    median  times native   size kB   compiled ms   memory MiB");
    println!("native        {:10.1} {:9.1} {:9.0}", native.0, native.1, 1);
    for (language, size, compiled, guest, _, times) in guests {
        let (least, median) = least_and_median(times);
        println!(
            "orders{language:7} {least:10.1} {median:9.1} {:9.0} {:13} {:13} {:12.1}",
            median / native.1,
            size / 1000,
            compiled.as_millis(),
            guest.stats().memory as f64 / f64::from(1 << 20)
        );
    }
}
