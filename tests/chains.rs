//! Several plugins on one table: each is given what the one before it made.

use crate::support::{Emulator, Kind, Pipeline, Server, eventually, on_both_servers, plugin};

on_both_servers!(a_row_that_leaves_the_first_filter_leaves_the_sink_whatever_the_second_thinks_of_it);

fn a_row_that_leaves_the_first_filter_leaves_the_sink_whatever_the_second_thinks_of_it(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    source.sql(
        "CREATE TABLE orders (order_no BIGINT PRIMARY KEY, quantity INT NOT NULL, status VARCHAR(20) NOT NULL, email VARCHAR(64) NOT NULL, \
         created DATETIME, note TEXT, coupon VARCHAR(9)); \
         INSERT INTO orders VALUES (1, 5, 'NEW', 'ada@example.org', NULL, NULL, NULL), (2, 6, 'NEW', 'bob@example.org', NULL, NULL, NULL), \
         (3, 7, 'NEW', '', NULL, NULL, NULL)",
    );
    // The first drops cancelled orders and masks addresses, the second drops orders without one.
    let transform = format!(
        "transform:\n  - source-table: {}.orders\n    plugin:\n      - {}\n      - path: {}\n        config: {{ column: email, values: ['', '****'] }}\n",
        source.name(),
        plugin("orders").display(),
        plugin("drop-cancelled").display()
    );
    let pipeline = Pipeline::new(&source, &emulator).block(&transform);
    let mut program = pipeline.start();
    let sink = emulator.sink();
    let rows = "SELECT order_number, email FROM orders ORDER BY order_number";
    sink.wait_for_rows(rows, &[&["1", "a***@example.org"], &["2", "b***@example.org"]]);
    source.sql("UPDATE orders SET status = 'CANCELLED' WHERE order_no = 1");
    sink.wait_for_rows(rows, &[&["2", "b***@example.org"]]);
    source.sql("UPDATE orders SET email = 'eve@example.org' WHERE order_no = 3; UPDATE orders SET email = '' WHERE order_no = 2");
    sink.wait_for_rows(rows, &[&["3", "e***@example.org"]]);

    let counter = |plugin: &str, name: &str| {
        let page = pipeline.metrics()?;
        let begin = format!("sluicebox_plugin_{name}{{plugin=\"{plugin}\",sha256=\"");
        let line =
            page.lines().find(|line| line.starts_with(&begin)).ok_or(format!("no `{begin}` in {page}"))?;
        line.rsplit(' ').next().and_then(|value| value.parse::<u64>().ok()).ok_or(line.to_owned())
    };
    // Three rows of the snapshot and both rows of three updates.
    eventually("what each plugin was given", || {
        match (counter("orders", "rows_in_total")?, counter("drop-cancelled", "rows_dropped_total")?) {
            (9, 1..) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    assert!(counter("orders", "calls_total").expect("a number") >= 3);
    assert!(counter("orders", "memory_peak_bytes").expect("a number") >= 1 << 16);
    assert_eq!(counter("orders", "rows_failed_total"), Ok(0));
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}
