//! The built program on the backlog, from its start to its exit.

use std::time::{Duration, Instant};

use super::backlog::Backlog;
use super::server_pid;
use super::support::{Database, Emulator, Pipeline, Sluicebox, plugin};
use super::usage::{Figures, Usage};

/// Between two looks at the metrics page: short against the run, and a page costs microseconds.
const POLL: Duration = Duration::from_millis(20);
/// A program that is slower than so many rows a second, after a minute's grace, is given up.
const LEAST_ROWS_A_SECOND: u64 = 20_000;

/// What was seen.
pub struct Run {
    pub figures: Figures,
    pub emulator: Usage,
    pub server: Usage,
    pub written: u64,
    pub deleted: u64,
    pub dropped: u64,
}

/// What is done with rows on their way.
#[derive(Clone, Copy)]
pub enum Through {
    Nothing,
    /// `orders.wasm`: a filter, a mask, two renames, two columns left out.
    Plugin,
    /// The same work by SQL expressions, which the host evaluates itself.
    Expressions,
}

impl Through {
    fn transform(self, source: &Database<'_>) -> String {
        let entry = match self {
            Self::Nothing => return String::new(),
            Self::Plugin => format!("plugin: {}", plugin("orders").display()),
            Self::Expressions => EXPRESSIONS.to_owned(),
        };
        format!("transform:\n  - source-table: {}.orders\n    {entry}\n", source.name())
    }
}

const EXPRESSIONS: &str = "filter: quantity > 2 AND status <> 'CANCELLED'
    projection: id, order_no AS order_number, customer_id,
      CONCAT(LEFT(email, 1), '***', SUBSTR(email, POSITION('@' IN email))) AS email,
      status, amount, quantity, created AS created_at";

/// Runs it until everything is committed.
pub fn run(source: &Database<'_>, backlog: &Backlog, compression: &str, through: Through) -> Run {
    let emulator = Emulator::start_discarding();
    let transform = through.transform(source);
    let pipeline = Pipeline::new(source, &emulator)
        .source("tables", &format!("{}.orders", source.name()))
        .source("ssl.mode", "disabled")
        .source("scan.startup.mode", "specific-offset")
        .source("scan.startup.specific-offset.file", &backlog.start.file)
        .source("scan.startup.specific-offset.pos", &backlog.start.offset.to_string())
        .sink("buckets-num", "16")
        .sink("compress.algorithm", compression)
        .option("checkpoint.interval", "10s")
        .block(&transform);
    let others = [emulator.program().id(), server_pid(source.server())];
    let before = others.map(Usage::of);
    let begin = Instant::now();
    let mut program = pipeline.start();
    let peak = until_read(&mut program, &pipeline, backlog);
    let counter = |name: &str| pipeline.counter(name).expect("the metrics page");
    program.signal("TERM");
    let end = Usage::until_end(program.id());
    let took = begin.elapsed();
    assert_eq!(program.wait(), Some(0), "{}", program.printed());
    let after = others.map(Usage::of);

    let status = pipeline.status();
    // The row behind the backlog may have been read too.
    let position = status["position"].as_str().unwrap_or_default();
    let offset = position.strip_prefix(&format!("{}:", backlog.end.file)).map(|rest| {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..digits].parse::<u64>().unwrap_or_default()
    });
    assert!(
        offset >= Some(backlog.end.offset),
        "stopped at {position}, the backlog ends at {:?}",
        backlog.end
    );
    let total = |name: &str| status["counters"][name].as_u64().unwrap_or_else(|| counter(name));
    let peak = peak.max(end.peak.unwrap_or_default());
    Run {
        figures: Figures { took, cpu: end.cpu, peak: Some(peak) },
        emulator: after[0] - before[0],
        server: after[1] - before[1],
        written: total("sink_rows_written_total"),
        deleted: total("sink_rows_deleted_total"),
        dropped: total("transform_dropped_total"),
    }
}

/// Waits until all rows are decoded, and gives the peak of its memory so far.
fn until_read(program: &mut Sluicebox, pipeline: &Pipeline, backlog: &Backlog) -> u64 {
    let deadline = Instant::now() + Duration::from_secs(60 + backlog.rows / LEAST_ROWS_A_SECOND);
    loop {
        program.assert_running();
        // There is no page in the first moments.
        let read = pipeline.counter("source_rows_total").unwrap_or_default();
        if read >= backlog.rows {
            return Usage::of(program.id()).peak;
        }
        assert!(Instant::now() < deadline, "{read} of {} rows\n{}", backlog.rows, program.printed());
        std::thread::sleep(POLL);
    }
}
