//! What a plugin costs for each event, beside what the same rows cost without it.
//!
//! Times are of this machine at this moment, so both are measured in turns in one run, and told as the least and the median of
//! many rounds: the least is what the plugin can do, the median what it does beside whatever else runs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use sluicebox_model::{ChangeBatch, ColumnType, TableSchema};
use sluicebox_wasm::{Action, Engine, Instance, Limits, Source, State, TablePlan, WasiGrants, WasmError};

use super::lookup::grants;
use super::run::as_sent;
use super::{InlineTables, Subject};
use crate::events::{Event, Provenance, Row, batch_of};

/// Row images of one measured batch: few, as they come from a quiet table, up to as many as one call is given.
const SIZES: [usize; 4] = [1, 64, 256, 1024];
/// Time for each size: some thousand rounds of a compiled plugin, some tens of an interpreted one.
const TIME_A_SIZE: Duration = Duration::from_millis(400);
/// Rounds that a size gets at least, however slow the plugin is.
const LEAST_ROUNDS: usize = 11;

/// Which rows are measured.
#[derive(Debug, Clone)]
pub enum BenchRows {
    /// These, over and over.
    Events(Vec<Event>),
    /// Random ones of the table, from a seed.
    Generated(u64),
}

/// What is measured.
#[derive(Debug, Clone)]
pub struct Bench {
    /// The table that the rows are of.
    pub schema: Arc<TableSchema>,
    /// What the plugin is told when it starts.
    pub config: Value,
    /// Reference tables that it may ask.
    pub lookups: InlineTables,
    /// What of WASI it is granted.
    pub wasi: WasiGrants,
    /// The rows.
    pub rows: BenchRows,
}

/// Nanoseconds for each row image.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Measured {
    /// Row images in a batch.
    pub rows: usize,
    /// Rounds measured.
    pub rounds: usize,
    /// With the plugin: least of all rounds.
    pub plugin_least_ns: f64,
    /// With the plugin: median.
    pub plugin_median_ns: f64,
    /// The same batch passing through the host, without the plugin being called: least.
    pub pass_least_ns: f64,
    /// The same: median.
    pub pass_median_ns: f64,
    /// Row images that went on.
    pub kept: usize,
    /// Row images that failed.
    pub failed: usize,
}

/// Measures.
///
/// # Errors
/// [`WasmError`] when the plugin does not start, refuses the table or fails on a whole batch; `Err` inside when the rows are not the
/// table's.
pub fn bench(subject: &Subject, bench: &Bench) -> Result<Result<Vec<Measured>, String>, WasmError> {
    let engine = Engine::for_tools()?;
    let mut instance = subject.start(&engine, &bench.config, grants(&bench.lookups, true, &bench.wasi))?;
    let plan = instance.plan(1, &bench.schema)?;
    let pass = TablePlan {
        action: Action::Pass,
        stateful: false,
        expands: false,
        packed: false,
        output: Arc::clone(&bench.schema),
        reads: Vec::new(),
        sources: (0..bench.schema.columns.len()).map(Source::Input).collect(),
        ..TablePlan::clone(&plan)
    };
    let mut measured = Vec::new();
    for size in SIZES {
        let events = match &bench.rows {
            BenchRows::Events(events) if events.is_empty() => return Ok(Err("there are no events".into())),
            BenchRows::Events(events) => match as_sent(events, &bench.schema, &plan) {
                Ok(events) => events.into_iter().cycle().take(size).collect(),
                Err(reason) => return Ok(Err(reason)),
            },
            BenchRows::Generated(seed) => generate(&bench.schema, size, *seed),
        };
        match batch_of(&bench.schema, &events, &Provenance::default()) {
            Ok(batch) => measured.push(measure(&mut instance, &plan, &pass, &batch)?),
            Err(reason) => return Ok(Err(reason)),
        }
    }
    Ok(Ok(measured))
}

fn measure(
    instance: &mut Instance,
    plan: &TablePlan,
    pass: &TablePlan,
    batch: &ChangeBatch,
) -> Result<Measured, WasmError> {
    let mut state = State::new([], Limits::DEFAULT_STATE);
    let first = instance.process(plan, batch, Some(&mut state))?;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    let began = Instant::now();
    while with.len() < LEAST_ROUNDS || began.elapsed() < TIME_A_SIZE {
        let start = Instant::now();
        instance.process(plan, batch, Some(&mut state))?;
        with.push(start.elapsed());
        let start = Instant::now();
        instance.process(pass, batch, None)?;
        without.push(start.elapsed());
    }
    let rounds = with.len();
    let ((plugin_least_ns, plugin_median_ns), (pass_least_ns, pass_median_ns)) =
        (summary(with, batch.rows()), summary(without, batch.rows()));
    Ok(Measured {
        rows: batch.rows(),
        rounds,
        plugin_least_ns,
        plugin_median_ns,
        pass_least_ns,
        pass_median_ns,
        kept: first.batch.rows(),
        failed: first.failed.len(),
    })
}

/// Least and median, for each row.
fn summary(mut rounds: Vec<Duration>, rows: usize) -> (f64, f64) {
    rounds.sort_unstable();
    let each = |at: usize| {
        // Exact enough: neither has 52 bits.
        #[allow(clippy::cast_precision_loss)]
        rounds.get(at).map_or(0.0, |took| took.as_nanos() as f64 / rows.max(1) as f64)
    };
    (each(0), each(rounds.len() / 2))
}

/// Inserted rows of a table, the same for the same seed. Every eighth nullable value is null.
fn generate(schema: &TableSchema, rows: usize, seed: u64) -> Vec<Event> {
    let mut random = StdRng::seed_from_u64(seed);
    let row = |number: usize| -> Row {
        let value = |(place, column): (usize, &sluicebox_model::Column)| {
            let value = match (schema.key.contains(&place), column.nullable) {
                (true, _) => generated(column.column_type, number as u64),
                (false, true) if random.random_ratio(1, 8) => Value::Null,
                (false, _) => generated(column.column_type, random.random::<u32>().into()),
            };
            (column.name.to_string(), value)
        };
        schema.columns.iter().enumerate().map(value).collect()
    };
    (0..rows).map(row).map(Event::Insert).collect()
}

/// A value of a type, by a number.
fn generated(column_type: ColumnType, n: u64) -> Value {
    use ColumnType as T;
    const WORDS: [&str; 8] = [
        "NEW",
        "PAID",
        "SHIPPED",
        "CANCELLED",
        "ada@example.org",
        "größe",
        "a somewhat longer text of no meaning",
        "",
    ];
    let word = WORDS[(n % 8) as usize];
    match column_type {
        T::Boolean => (n % 2 == 1).into(),
        T::TinyInt => (n % 128).into(),
        T::SmallInt => (n % 32_768).into(),
        T::Int | T::BigInt | T::UnsignedBigInt => (n % 2_147_483_648).into(),
        T::Bit { width } => (n & ((1 << width.min(31)) - 1)).into(),
        T::Float | T::Double => json!(f64::from(u32::try_from(n % 10_000_000).unwrap_or(0)) / 64.0),
        T::Decimal { precision, scale } => {
            let whole = 10_u64.pow(u32::from(precision.saturating_sub(scale)).min(9));
            (n % whole).to_string().into()
        }
        T::Text => format!("{word}{n}").into(),
        T::Json => json!({ "n": n, "word": word }).to_string().into(),
        T::Binary => format!("0x{n:016x}").into(),
        T::Date => format!("20{:02}-{:02}-{:02}", n % 100, n % 12 + 1, n % 28 + 1).into(),
        T::Time { .. } => format!("{:02}:{:02}:{:02}", n % 24, n % 60, n % 59).into(),
        T::DateTime { .. } => format!("2024-{:02}-{:02} {:02}:00:00", n % 12 + 1, n % 28 + 1, n % 24).into(),
        T::Timestamp { .. } => {
            format!("2024-{:02}-{:02} {:02}:00:00Z", n % 12 + 1, n % 28 + 1, n % 24).into()
        }
    }
}
