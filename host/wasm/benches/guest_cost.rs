//! What a guest adds to an event: filter, mask, two renames and two projections on rows of ten columns, by the plugin
//! `orders`, by the same work in native code, and by SQL expressions, in turn in one run.
//!
//!     SLUICEBOX_TEST_PLUGINS=guest-examples/target/plugins cargo bench -p sluicebox-wasm
//!
//! Then by the plugin `orders` in each language that has an SDK.
//!
//! Prints nanoseconds per event (row image): the least and the median of the repetitions, and the difference of the
//! two sides. Outputs are compared before anything is timed.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and may fail loudly")]

mod orders;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, BooleanBufferBuilder, StringBuilder};
use arrow::compute::FilterBuilder;
use arrow::datatypes::Int64Type;
use orders::{BATCHES, REPETITIONS, batch, least_and_median, measure, schema};
use rand::SeedableRng;
use rand::rngs::StdRng;
use sluicebox_expression::{Rule, RulePlan, RuleText, Settings};
use sluicebox_model::{ChangeBatch, Column, RowKind, TableSchema};
use sluicebox_wasm::{Engine, Grants, Limits, PluginSpec, Source, TablePlan};

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
    println!("ns per event          native          guest           added           expressions");
    println!("rows a batch      least median    least median    least median    least median");
    for rows in [1, 16, 64, 256, 1024, 8192] {
        let batches: Vec<_> = (0..BATCHES).map(|_| batch(&schema, &mut rng, rows)).collect();
        for batch in &batches {
            let (found, wanted) =
                (guest.process(&plan, batch, None).unwrap().batch, native(batch, &plan.output));
            assert_eq!((&found.kinds, &found.columns), (&wanted.kinds, &wanted.columns));
            let expressed = rule.process(batch, 0).unwrap().batch;
            assert_eq!((&expressed.kinds, &expressed.columns), (&wanted.kinds, &wanted.columns));
        }
        let (mut natives, mut guests, mut rules) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..REPETITIONS {
            natives.push(measure(&batches, |batch| native(batch, &plan.output)));
            guests.push(measure(&batches, |batch| guest.process(&plan, batch, None).unwrap().batch));
            rules.push(measure(&batches, |batch| rule.process(batch, 0).unwrap().batch));
        }
        let (native, guest, rule) =
            (least_and_median(natives), least_and_median(guests), least_and_median(rules));
        println!(
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
            "orders{language:7} {least:10.1} {median:9.1} {:9.1} {:13} {:13} {:12.1}",
            least / native.0,
            size / 1000,
            compiled.as_millis(),
            guest.stats().memory as f64 / f64::from(1 << 20)
        );
    }
}
