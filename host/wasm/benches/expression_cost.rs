//! What SQL expressions cost, evaluated in the host as the program does it, and by the same evaluator inside a plugin. The
//! measurement that decides which of the two an entry without a plugin is.
//!
//!     (cd host/wasm/benches/expression-guest && ../../../../scripts/wasm-toolchain \
//!         cargo build --release --target wasm32-unknown-unknown)
//!     SLUICEBOX_EXPRESSION_GUEST=host/wasm/benches/expression-guest/target/wasm32-unknown-unknown/release/expression_guest.wasm \
//!         cargo bench -p sluicebox-wasm --bench expression_cost
//!
//! The examples are those of `configs/expressions.yaml` on this benchmark's table, on inserts and on updates. Prints nanoseconds per
//! event, the least and the median of the repetitions; an update is one event, of two row images where the filter must see both.
//! Outputs are compared before anything is timed.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and may fail loudly")]

mod orders;

use std::sync::Arc;

use arrow::array::UInt64Array;
use orders::{BATCHES, REPETITIONS, batch, least_and_median, measure, schema};
use rand::SeedableRng;
use rand::rngs::StdRng;
use sluicebox_expression::{Rule, RulePlan, RuleText, Settings};
use sluicebox_model::{ChangeBatch, RowKind, TableSchema};
use sluicebox_wasm::{Engine, Grants, Instance, Limits, PluginSpec, TablePlan};

/// Events a batch: what workers see under load.
const EVENTS: usize = 1024;

struct Example {
    name: &'static str,
    filter: Option<&'static str>,
    /// Name and expression.
    computed: &'static [(&'static str, &'static str)],
    /// Columns that the filter and the expressions read.
    reads: &'static [&'static str],
    /// Columns that go on; those that are computed are not columns of the table, or take the place of one.
    output: &'static [&'static str],
}

const MASK: &str = "CONCAT(LEFT(email, 1), '***', SUBSTR(email, POSITION('@' IN email)))";

const EXAMPLES: [Example; 4] = [
    Example {
        name: "filter, mask",
        filter: Some("quantity > 2 AND status <> 'CANCELLED'"),
        computed: &[("email", MASK)],
        reads: &["email", "status", "quantity"],
        output: &["id", "order_no", "customer_id", "email", "status", "amount", "quantity", "created"],
    },
    Example {
        name: "filter, product, month",
        filter: Some("status <> 'CANCELLED' AND gross > 10"),
        computed: &[("gross", "amount * 1.19"), ("month", "DATE_FORMAT(created, 'yyyy-MM')")],
        reads: &["status", "amount", "created"],
        output: &["id", "order_no", "customer_id", "email", "status", "amount", "created", "gross", "month"],
    },
    Example {
        name: "regular expression",
        filter: None,
        computed: &[("status", "UPPER(status)"), ("email", "REGEXP_REPLACE(email, '^(.)[^@]*', '$1***')")],
        reads: &["email", "status"],
        output: &["id", "status", "email"],
    },
    Example {
        name: "event's type",
        filter: None,
        computed: &[("op", "__data_event_type__")],
        reads: &["quantity"],
        output: &["id", "order_no", "customer_id", "email", "status", "amount", "created", "op"],
    },
];

impl Example {
    fn computes(&self, name: &str) -> Option<&'static str> {
        self.computed.iter().find(|(computed, _)| *computed == name).map(|(_, expression)| *expression)
    }

    /// The entry as the host plans it.
    fn native(&self, schema: &Arc<TableSchema>) -> RulePlan {
        let item = |name: &&str| match self.computes(name) {
            Some(expression) => format!("{expression} AS `{name}`"),
            None => format!("`{name}`"),
        };
        let projection = self.output.iter().map(item).collect::<Vec<_>>().join(", ");
        let text = RuleText { projection: Some(&projection), filter: self.filter, ..RuleText::default() };
        Rule::parse(&text).unwrap().plan(schema, &Arc::new(Settings::default())).unwrap()
    }

    /// The same entry inside the sandbox.
    fn sandboxed(
        &self,
        engine: &Engine,
        path: &std::ffi::OsStr,
        schema: &Arc<TableSchema>,
    ) -> (Instance, Arc<TablePlan>) {
        let output = |name: &&'static str| (*name, self.computes(name).is_none().then_some(*name));
        let config = serde_json::json!({
            "filter": self.filter,
            "computed": self.computed,
            "reads": self.reads,
            "output": self.output.iter().map(output).collect::<Vec<_>>(),
        });
        let (limits, grants) = (Limits::default(), Grants::default());
        let spec = PluginSpec { path: path.into(), config, limits, sha256: None, grants, precompiled: false };
        let mut guest = engine.load(&spec).unwrap().instantiate().unwrap();
        let plan = guest.plan(1, schema).unwrap();
        (guest, plan)
    }
}

/// Updates whose filter must see both images: each row as it was and as it is, with another quantity and amount.
fn updates(before: &ChangeBatch, after: &ChangeBatch) -> ChangeBatch {
    let rows = before.rows();
    let pairs = UInt64Array::from_iter_values((0..rows as u64).flat_map(|row| [row, row]));
    let turns: Vec<_> = (0..rows).flat_map(|row| [(0, row), (1, row)]).collect();
    let column = |(place, column)| match place {
        5 | 6 => arrow::compute::interleave(&[column, &after.columns[place]], &turns).unwrap(),
        _ => arrow::compute::take(column, &pairs, None).unwrap(),
    };
    let columns = before.columns.iter().map(AsRef::as_ref).enumerate().map(column).collect();
    let kinds = [RowKind::Before, RowKind::After].repeat(rows);
    ChangeBatch { columns, kinds, ..before.clone() }
}

fn main() {
    let Some(path) = std::env::var_os("SLUICEBOX_EXPRESSION_GUEST") else {
        println!(
            "nothing measured: SLUICEBOX_EXPRESSION_GUEST is not set; the top of this file says how to build it"
        );
        std::process::exit(2);
    };
    let engine = Engine::new(None).unwrap();
    let schema = schema();
    let mut rng = StdRng::seed_from_u64(7);
    println!("{EVENTS} events a batch, ns per event    in the host     in a guest      times");
    println!("                                      least median   least median");
    for example in &EXAMPLES {
        let rule = example.native(&schema);
        let (mut guest, plan) = example.sandboxed(&engine, &path, &schema);
        assert_eq!(rule.needs_before(), plan.needs_before(), "{}", example.name);
        let inserts: Vec<_> = (0..BATCHES).map(|_| batch(&schema, &mut rng, EVENTS)).collect();
        let changed: Vec<_> = (0..BATCHES)
            .map(|at| match rule.needs_before() {
                true => updates(&inserts[at], &inserts[(at + 1) % BATCHES]),
                false => ChangeBatch { kinds: vec![RowKind::After; EVENTS], ..inserts[at].clone() },
            })
            .collect();
        for (kind, batches) in [("inserts", &inserts), ("updates", &changed)] {
            for batch in batches {
                let found = guest.process(&plan, batch, None).unwrap().batch;
                let wanted = rule.process(batch, 0).unwrap().batch;
                assert_eq!(
                    (&found.kinds, &found.columns),
                    (&wanted.kinds, &wanted.columns),
                    "{}",
                    example.name
                );
            }
            let images = batches[0].rows() / EVENTS;
            let (mut hosts, mut guests) = (Vec::new(), Vec::new());
            for _ in 0..REPETITIONS {
                hosts.push(measure(batches, |batch| rule.process(batch, 0).unwrap().batch));
                guests.push(measure(batches, |batch| guest.process(&plan, batch, None).unwrap().batch));
            }
            let per_event = |(least, median): (f64, f64)| (least * images as f64, median * images as f64);
            let (host, guest) = (per_event(least_and_median(hosts)), per_event(least_and_median(guests)));
            println!(
                "{:24} {kind:12} {:7.0} {:6.0} {:7.0} {:6.0} {:10.1}",
                example.name,
                host.0,
                host.1,
                guest.0,
                guest.1,
                guest.1 / host.1
            );
        }
    }
}
