//! What plugins make of rows in a whole pipeline: chains of them, several rows of one, columns from lookup tables.

use crate::support::{Emulator, Kind, Pipeline, Server, eventually, on_both_servers, plugin};

on_both_servers!(
    a_row_that_leaves_the_first_filter_leaves_the_sink_whatever_the_second_thinks_of_it,
    several_rows_made_of_one_come_and_go_with_it,
    a_lookup_table_that_changes_is_seen_by_later_rows,
);

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

fn several_rows_made_of_one_come_and_go_with_it(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    source.sql(
        "CREATE TABLE products (id INT PRIMARY KEY, tags TEXT, price DECIMAL(9,2));
         INSERT INTO products VALUES (1, 'red, blue', 1.50), (2, NULL, 2), (3, 'red', 3)",
    );
    let transform = format!(
        "transform:\n  - source-table: {}.products\n    plugin: {{ path: {}, config: {{ column: tags, into: tag }} }}\n",
        source.name(),
        plugin("split-tags").display()
    );
    let pipeline = Pipeline::new(&source, &emulator).block(&transform);
    let mut program = pipeline.start();
    let sink = emulator.sink();
    let rows = "SELECT id, tag, price FROM products ORDER BY id, tag";
    sink.wait_for_rows(rows, &[&["1", "blue", "1.50"], &["1", "red", "1.50"], &["3", "red", "3.00"]]);
    // One tag goes, one stays under a new price, one comes; a row gets tags, one loses all, one moves to another key.
    source.sql(
        "UPDATE products SET tags = 'red,green', price = 9 WHERE id = 1; UPDATE products SET tags = 'x' WHERE id = 2;
         UPDATE products SET tags = '' WHERE id = 3; INSERT INTO products VALUES (4, 'p,q', 4), (5, 'r', 5);
         UPDATE products SET id = 40 WHERE id = 4; DELETE FROM products WHERE id = 5",
    );
    let want: &[&[&str]] = &[
        &["1", "green", "9.00"],
        &["1", "red", "9.00"],
        &["2", "x", "2.00"],
        &["40", "p", "4.00"],
        &["40", "q", "4.00"],
    ];
    sink.wait_for_rows(rows, want);
    program.kill();
    source.sql("UPDATE products SET tags = 'q' WHERE id = 40; DELETE FROM products WHERE id = 1");
    let mut program = pipeline.start();
    sink.wait_for_rows(rows, &[&["2", "x", "2.00"], &["40", "q", "4.00"]]);
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}

fn a_lookup_table_that_changes_is_seen_by_later_rows(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    source.sql(
        "CREATE TABLE t (id INT PRIMARY KEY, country VARCHAR(2)); INSERT INTO t VALUES (1, 'DE'), (2, 'XX')",
    );
    let transform = format!(
        "transform:\n  - source-table: {}.t\n    plugin:\n      path: {}\n      config: {{ table: countries, key: country, add: {{ name: name }} }}\n      lookups: {{ countries: {{ file: countries.csv, key: code }} }}\n",
        source.name(),
        plugin("enrich").display()
    );
    let pipeline = Pipeline::new(&source, &emulator).block(&transform);
    let file = pipeline.folder().join("countries.csv");
    // Without its file the pipeline does not start, and says what it misses.
    let mut program = pipeline.start();
    assert_eq!(program.wait(), Some(1), "{}", program.printed());
    let printed = program.printed();
    assert!(printed.contains("lookup table `countries`: cannot read `"), "{printed}");

    std::fs::write(&file, "code,name\nDE,Germany\n").expect("a file");
    let mut program = pipeline.start();
    let sink = emulator.sink();
    let rows = "SELECT id, name FROM t ORDER BY id";
    sink.wait_for_rows(rows, &[&["1", "Germany"], &["2", "NULL"]]);
    std::fs::write(&file, "code,name\nDE,Deutschland\nXX,Nowhere\n").expect("a file");
    program.wait_for_line("lookup table read again");
    source.sql("INSERT INTO t VALUES (3, 'DE'); UPDATE t SET country = 'YY' WHERE id = 2; INSERT INTO t VALUES (4, 'XX')");
    sink.wait_for_rows(rows, &[&["1", "Germany"], &["2", "NULL"], &["3", "Deutschland"], &["4", "Nowhere"]]);
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}
