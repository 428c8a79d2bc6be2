//! A snapshot of the table that the backlog has filled, beside readers that do nothing but read it.

use std::time::Instant;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Row};

use super::server_pid;
use super::support::{Database, Emulator, Pipeline, wait};
use super::usage::{Figures, Usage};

/// What was seen of the program.
pub struct Run {
    pub figures: Figures,
    pub emulator: Usage,
    pub server: Usage,
}

/// Rows of the table.
pub fn rows(source: &Database<'_>) -> u64 {
    source.rows("SELECT COUNT(*) FROM orders")[0][0].as_ref().and_then(|n| n.parse().ok()).expect("a count")
}

/// As many connections as are said read the table by equal ranges of its key, in the binary protocol, and throw rows away.
pub fn bare(source: &Database<'_>, readers: u64) -> Figures {
    let all = rows(source);
    let options = || {
        OptsBuilder::default()
            .ip_or_hostname(source.server().host().to_owned())
            .tcp_port(source.server().port())
            .user(Some("root"))
            .db_name(Some(source.name()))
            .prefer_socket(false)
    };
    let (cpu, begin) = (Usage::of_us(), Instant::now());
    let count = wait(async {
        let tasks: Vec<_> = (0..readers)
            .map(|reader| {
                let (options, from, to) = (options(), all * reader / readers, all * (reader + 1) / readers);
                tokio::spawn(async move {
                    let mut connection = Conn::new(options).await?;
                    let query = "SELECT * FROM orders WHERE id >= ? AND id < ? ORDER BY id";
                    let mut result = connection.exec_iter(query, (from, to)).await?;
                    let mut count = 0;
                    while let Some(row) = result.next().await? {
                        std::hint::black_box::<Row>(row);
                        count += 1;
                    }
                    drop(result);
                    connection.disconnect().await?;
                    Ok::<u64, mysql_async::Error>(count)
                })
            })
            .collect();
        let mut count = 0;
        for task in tasks {
            count += task.await.expect("a task that does not panic").expect("rows");
        }
        count
    });
    assert_eq!(count, all);
    Figures { took: begin.elapsed(), cpu: Usage::of_us().cpu - cpu.cpu, peak: None }
}

/// The built program reads the table into an emulator that throws rows away, and ends.
pub fn program(source: &Database<'_>, readers: u64, compression: &str) -> Run {
    let emulator = Emulator::start_discarding();
    let pipeline = Pipeline::new(source, &emulator)
        .source("tables", &format!("{}.orders", source.name()))
        .source("ssl.mode", "disabled")
        .source("scan.startup.mode", "snapshot")
        .sink("buckets-num", "16")
        .sink("compress.algorithm", compression)
        .option("parallelism", &readers.to_string())
        .option("checkpoint.interval", "10s");
    let others = [emulator.program().id(), server_pid(source.server())];
    let before = others.map(Usage::of);
    let mut program = pipeline.start();
    let figures = Usage::until_end(program.id());
    assert_eq!(program.wait(), Some(0), "{}", program.printed());
    let after = others.map(Usage::of);
    let status = pipeline.status();
    assert_eq!(status["counters"]["sink_rows_written_total"].as_u64(), Some(rows(source)), "{status}");
    Run { figures, emulator: after[0] - before[0], server: after[1] - before[1] }
}
