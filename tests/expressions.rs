//! SQL expressions of `transform` entries, on both servers: what goes on, what becomes of updates and deletes, other keys, schema
//! changes, failures, and what is told before a pipeline starts.

use crate::support::{
    Database, Emulator, Kind, Pipeline, Server, on_both_servers, plugin, wait_for_same_rows,
};

on_both_servers!(
    a_projection_computes_columns_of_snapshot_and_stream_alike,
    an_update_can_leave_and_enter_the_filter,
    the_first_entry_that_means_a_table_counts,
    an_update_of_another_key_moves_the_row,
    deleted_rows_stay_under_soft_delete,
    metadata_columns_say_where_a_row_comes_from,
    a_plugin_goes_first,
    new_columns_follow_a_star_and_nothing_else,
    rows_that_an_expression_fails_on_do_what_the_file_says,
    the_plan_shows_columns_and_types,
    a_computed_column_can_partition_the_sink_table,
    expressions_mean_what_they_mean_at_the_server,
);

/// A `transform` block of one entry for a table.
fn entry(source: &Database<'_>, table: &str, lines: &[&str]) -> String {
    let lines: String = lines.iter().map(|line| format!("    {line}\n")).collect();
    format!("transform:\n  - source-table: {}.{table}\n{lines}", source.name())
}

const ORDERS: &str = "
    CREATE TABLE orders (id INT NOT NULL PRIMARY KEY, region VARCHAR(20), price DECIMAL(10,2), email VARCHAR(60), placed DATETIME);
    INSERT INTO orders VALUES
        (1, 'eu', 4.00, 'ada@example.org', '2024-02-29 23:30:00'),
        (2, 'us', 100.00, 'bob@example.org', '2024-03-01 00:30:00'),
        (3, 'eu', 12.50, NULL, NULL);";

fn a_projection_computes_columns_of_snapshot_and_stream_alike(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(ORDERS);
    let pipeline = Pipeline::new(&source, &emulator).block(&entry(
        &source,
        "orders",
        &[
            "projection: \\*, UPPER(region) AS region, price * 2 AS twice, REGEXP_REPLACE(email, '^(.)[^@]*', '$1***') AS email, DATE_FORMAT(placed, 'yyyy-MM') AS month",
        ],
    ));
    let mut program = pipeline.start();
    let query = "SELECT id, region, price, email, twice, month FROM orders ORDER BY id";
    let first: &[&[&str]] = &[
        &["1", "EU", "4.00", "a***@example.org", "8.00", "2024-02"],
        &["2", "US", "100.00", "b***@example.org", "200.00", "2024-03"],
        &["3", "EU", "12.50", "NULL", "25.00", "NULL"],
    ];
    sink.wait_for_rows(query, first);
    assert_eq!(sink.columns("orders"), ["id", "region", "price", "email", "placed", "twice", "month"]);
    source.sql(
        "INSERT INTO orders VALUES (4, 'asia', NULL, 'x', '2025-01-01 00:00:00');
         UPDATE orders SET price = 5, region = 'us' WHERE id = 1;
         DELETE FROM orders WHERE id = 2",
    );
    let last: &[&[&str]] = &[
        &["1", "US", "5.00", "a***@example.org", "10.00", "2024-02"],
        &["3", "EU", "12.50", "NULL", "25.00", "NULL"],
        &["4", "ASIA", "NULL", "x***", "NULL", "2025-01"],
    ];
    sink.wait_for_rows(query, last);
    program.assert_running();
}

fn an_update_can_leave_and_enter_the_filter(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(ORDERS);
    let pipeline = Pipeline::new(&source, &emulator).block(&entry(
        &source,
        "orders",
        &["projection: id, region, price", "filter: region = 'eu' AND (price > 1 OR price IS NULL)"],
    ));
    let mut program = pipeline.start();
    let query = "SELECT id, region, price FROM orders ORDER BY id";
    sink.wait_for_rows(query, &[&["1", "eu", "4.00"], &["3", "eu", "12.50"]]);
    source.sql(
        "UPDATE orders SET region = 'us' WHERE id = 1;
         UPDATE orders SET region = 'eu' WHERE id = 2;
         UPDATE orders SET price = NULL WHERE id = 3;
         INSERT INTO orders (id, region) VALUES (4, NULL), (5, 'eu');
         UPDATE orders SET id = 15 WHERE id = 5",
    );
    sink.wait_for_rows(query, &[&["2", "eu", "100.00"], &["3", "eu", "NULL"], &["15", "eu", "NULL"]]);
    // Inside before and outside after, under another key; and the other way round.
    source.sql("UPDATE orders SET id = 13, region = 'us' WHERE id = 3; UPDATE orders SET id = 14, region = 'eu' WHERE id = 4");
    sink.wait_for_rows(query, &[&["2", "eu", "100.00"], &["14", "eu", "NULL"], &["15", "eu", "NULL"]]);
    program.assert_running();
    assert!(pipeline.counter("transform_dropped_total").expect("a metrics page") >= 2);
}

fn the_first_entry_that_means_a_table_counts(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(ORDERS);
    source.sql("CREATE TABLE other (id INT PRIMARY KEY, v INT); INSERT INTO other VALUES (1, 7)");
    source.sql("CREATE TABLE plain (id INT PRIMARY KEY, v INT); INSERT INTO plain VALUES (1, 7)");
    let database = source.name();
    let pipeline = Pipeline::new(&source, &emulator).block(&format!(
        "transform:\n\
         \x20 - source-table: {database}.orders\n    projection: id, 'first' AS rule\n    filter: id < 2\n\
         \x20 - source-table: {database}.o\\.*\n    projection: id, 'second' AS rule\n\
         \x20 - source-table: {database}.orders\n    projection: id, 'third' AS rule\n"
    ));
    let mut program = pipeline.start();
    sink.wait_for_rows("SELECT id, rule FROM other", &[&["1", "second"]]);
    sink.wait_for_rows("SELECT id, rule FROM orders", &[&["1", "first"]]);
    wait_for_same_rows(&source, "plain", &sink, "plain");
    program.assert_running();
}

fn an_update_of_another_key_moves_the_row(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(
        "CREATE TABLE users (id INT PRIMARY KEY, tenant INT NOT NULL, name VARCHAR(20));
         INSERT INTO users VALUES (1, 10, 'ada'), (2, 10, 'bob'), (3, 20, 'ada')",
    );
    let pipeline = Pipeline::new(&source, &emulator).block(&entry(
        &source,
        "users",
        &["projection: id, CONCAT(tenant, '/', name) AS code", "primary-keys: code"],
    ));
    let mut program = pipeline.start();
    let query = "SELECT code, id FROM users ORDER BY code";
    sink.wait_for_rows(query, &[&["10/ada", "1"], &["10/bob", "2"], &["20/ada", "3"]]);
    source.sql(
        "UPDATE users SET name = 'eve' WHERE id = 1;
         UPDATE users SET tenant = 30 WHERE id = 3;
         UPDATE users SET id = 22 WHERE id = 2;
         INSERT INTO users VALUES (4, 10, 'ada')",
    );
    let rows: &[&[&str]] = &[&["10/ada", "4"], &["10/bob", "22"], &["10/eve", "1"], &["30/ada", "3"]];
    sink.wait_for_rows(query, rows);
    source.sql("DELETE FROM users WHERE id = 3");
    sink.wait_for_rows(query, &rows[..3]);
    program.assert_running();
}

fn deleted_rows_stay_under_soft_delete(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(ORDERS);
    let pipeline = Pipeline::new(&source, &emulator).block(&entry(
        &source,
        "orders",
        &[
            "projection: id, region, __data_event_type__ AS op",
            "filter: region = 'eu'",
            "converter-after-transform: SOFT_DELETE",
        ],
    ));
    let mut program = pipeline.start();
    let query = "SELECT id, region, op FROM orders ORDER BY id";
    sink.wait_for_rows(query, &[&["1", "eu", "+I"], &["3", "eu", "+I"]]);
    source.sql(
        "DELETE FROM orders WHERE id IN (1, 2);
         UPDATE orders SET region = 'us' WHERE id = 3;
         INSERT INTO orders (id, region) VALUES (4, 'eu');
         UPDATE orders SET price = 9 WHERE id = 4",
    );
    sink.wait_for_rows(query, &[&["1", "eu", "-D"], &["3", "eu", "-U"], &["4", "eu", "+U"]]);
    // The row of a key that goes is a deleted one.
    source.sql("UPDATE orders SET id = 5 WHERE id = 4");
    sink.wait_for_rows(
        query,
        &[&["1", "eu", "-D"], &["3", "eu", "-U"], &["4", "eu", "-D"], &["5", "eu", "+I"]],
    );
    program.assert_running();
}

fn metadata_columns_say_where_a_row_comes_from(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql("CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)");
    let pipeline = Pipeline::new(&source, &emulator).source("metadata.list", "op_ts").block(&entry(
        &source,
        "t",
        &["projection: \"*, __schema_name__ || '.' || __table_name__ AS origin, op_ts > 1500000000000 AS late, op_ts = 0 AS early\""],
    ));
    let mut program = pipeline.start();
    let origin = format!("{}.t", source.name());
    let query = "SELECT id, origin, late, early FROM t ORDER BY id";
    sink.wait_for_rows(query, &[&["1", &origin, "false", "true"]]);
    source.sql("INSERT INTO t VALUES (2)");
    sink.wait_for_rows(query, &[&["1", &origin, "false", "true"], &["2", &origin, "true", "false"]]);
    program.assert_running();
}

fn a_plugin_goes_first(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(ORDERS);
    let mask = plugin("mask-email");
    let pipeline = Pipeline::new(&source, &emulator).block(&entry(
        &source,
        "orders",
        &[
            &format!(
                "plugin: {{ path: {}, config: {{ columns: [email], keep-domain: true }} }}",
                mask.display()
            ),
            "projection: id, CONCAT('<', email, '>') AS seen",
            "filter: email LIKE 'a***%' OR email IS NULL",
        ],
    ));
    let mut program = pipeline.start();
    let query = "SELECT id, seen FROM orders ORDER BY id";
    sink.wait_for_rows(query, &[&["1", "<a***@example.org>"], &["3", "NULL"]]);
    source.sql("UPDATE orders SET email = 'zoe@example.org' WHERE id = 1; UPDATE orders SET email = 'al@example.org' WHERE id = 3");
    sink.wait_for_rows(query, &[&["3", "<a***@example.org>"]]);
    program.assert_running();
}

fn new_columns_follow_a_star_and_nothing_else(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql("CREATE TABLE a (id INT PRIMARY KEY, v INT); CREATE TABLE b (id INT PRIMARY KEY, v INT)");
    let database = source.name();
    let pipeline =
        Pipeline::new(&source, &emulator).option("schema.change.behavior", "EVOLVE").block(&format!(
            "transform:\n\
         \x20 - source-table: {database}.a\n    projection: \\*, v + 1 AS w\n\
         \x20 - source-table: {database}.b\n    projection: id, v, v + 1 AS w\n"
        ));
    let mut program = pipeline.start_and_wait();
    for table in ["a", "b"] {
        source.sql(&format!(
            "INSERT INTO {table} VALUES (1, 1); ALTER TABLE {table} ADD x INT FIRST, MODIFY v BIGINT;
             INSERT INTO {table} (id, v, x) VALUES (2, 5000000000, 3)"
        ));
    }
    sink.wait_for_rows(
        "SELECT id, v, w, x FROM a ORDER BY id",
        &[&["1", "1", "2", "NULL"], &["2", "5000000000", "5000000001", "3"]],
    );
    sink.wait_for_rows(
        "SELECT id, v, w FROM b ORDER BY id",
        &[&["1", "1", "2"], &["2", "5000000000", "5000000001"]],
    );
    assert_eq!(sink.columns("b"), ["id", "v", "w"]);

    // What an expression names must be there: the pipeline stops at the change and says where it is named.
    source.sql("ALTER TABLE b RENAME COLUMN v TO value");
    assert_eq!(program.wait(), Some(2), "{}", program.printed());
    let line =
        1 + pipeline.yaml().lines().position(|line| line.contains("projection: id, v,")).expect("the line");
    let words =
        format!("pipeline.yaml:{line}:5: transform[1].projection: table `{database}.b` has no column `v`");
    assert!(program.printed().contains(&words), "{}", program.printed());
    assert!(
        program.printed().contains("did you mean `value`?") || !program.printed().contains("did you mean")
    );
}

fn rows_that_an_expression_fails_on_do_what_the_file_says(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql("CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 2), (2, 0), (3, 5)");
    let pipeline = |on_error: &str| {
        let more = format!("on-error: {on_error}");
        Pipeline::new(&source, &emulator).block(&entry(&source, "t", &["projection: id, 10 / v AS q", &more]))
    };
    let failing = pipeline("fail");
    let mut program = failing.start();
    assert_eq!(program.wait(), Some(1), "{}", program.printed());
    let printed = program.printed();
    for part in [
        "`transform[0]` failed on 1 row images",
        "id=2",
        "column `q` (`10 / v`): division by zero",
        "on-error: skip",
    ] {
        assert!(printed.contains(part), "`{part}` in:\n{printed}");
    }

    let keeping = pipeline("dead-letter");
    let mut program = keeping.start();
    let query = "SELECT id, q FROM t ORDER BY id";
    sink.wait_for_rows(query, &[&["1", "5"], &["3", "2"]]);
    source.sql("UPDATE t SET v = 1 WHERE id = 2");
    sink.wait_for_rows(query, &[&["1", "5"], &["2", "10"], &["3", "2"]]);
    program.assert_running();
    assert_eq!(keeping.status()["dead_letters"], 1);
}

fn the_plan_shows_columns_and_types(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    source.sql(ORDERS);
    let lines = [
        "projection: id, region, price * 1.5 AS more, CHAR_LENGTH(email) AS length",
        "filter: region IS NOT NULL",
        "primary-keys: region, id",
        "table-options: odps.x=1,comment=a=b",
    ];
    let pipeline = Pipeline::new(&source, &emulator).block(&entry(&source, "orders", &lines));
    let plan = pipeline.command("validate", &["--connect"]);
    assert_eq!(plan.code, Some(0), "{plan:?}");
    for part in [
        "transform[0]: computes `more` as DECIMAL(12,3): price * 1.5",
        "leaves out `price`, `email`, `placed`",
        "filters rows",
        "more: (computed) -> DECIMAL(12,3)",
        "length: (computed) -> INT",
        "key: region, id",
        "'odps.x'='1','comment'='a=b'",
    ] {
        assert!(plan.stdout.contains(part), "{part}: {}", plan.stdout);
    }
    // The table is made with those properties.
    let mut program = pipeline.start();
    emulator.sink().wait_for_rows("SELECT id FROM orders ORDER BY id", &[&["1"], &["2"], &["3"]]);
    program.assert_running();

    let wrong =
        Pipeline::new(&source, &emulator).block(&entry(&source, "orders", &["filter: regoin = 'eu'"]));
    let plan = wrong.command("validate", &["--connect"]);
    assert_ne!(plan.code, Some(0), "{plan:?}");
    assert!(plan.stdout.contains("has no column `regoin`"), "{plan:?}");
    assert!(plan.stdout.contains("did you mean `region`?"), "{plan:?}");
}

fn a_computed_column_can_partition_the_sink_table(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(
        "CREATE TABLE orders (id INT PRIMARY KEY, placed DATETIME NOT NULL);
         INSERT INTO orders VALUES (1, '2024-02-29 10:00:00'), (2, '2024-03-01 10:00:00')",
    );
    let lines = ["projection: id, DATE_FORMAT(placed, 'yyyyMM') AS month", "partition-keys: month"];
    let pipeline = Pipeline::new(&source, &emulator).block(&entry(&source, "orders", &lines));
    let mut program = pipeline.start();
    let query = "SELECT id, month FROM orders ORDER BY id";
    sink.wait_for_rows(query, &[&["1", "202402"], &["2", "202403"]]);
    // A row that moves to another partition leaves the one it was in.
    source.sql("UPDATE orders SET placed = '2024-04-01 00:00:00' WHERE id = 1; INSERT INTO orders VALUES (3, '2024-02-01')");
    sink.wait_for_rows(query, &[&["1", "202404"], &["2", "202403"], &["3", "202402"]]);
    program.assert_running();
    let table = sink.describe("orders").expect("a table");
    assert_eq!(table.partition_keys.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["month"]);
}

/// Expressions that the servers understand too, and mean alike. Left out is what is known to differ: `/` of integers, division by zero,
/// `||`, patterns of dates, letter case in `LIKE` (the table compares by bytes here), `SUBSTR` from 0.
const SHARED: &[&str] = &[
    "UPPER(s)",
    "LOWER(s)",
    "CONCAT(s, '-', n)",
    "CONCAT_WS(',', s, t, n)",
    "CHAR_LENGTH(s)",
    "SUBSTR(s, 2, 3)",
    "SUBSTR(s, -3)",
    "SUBSTRING(s FROM 3 FOR 2)",
    "LEFT(s, 4)",
    "RIGHT(s, 4)",
    "LPAD(s, 14, 'añ')",
    "RPAD(s, 3, 'xy')",
    "REPLACE(s, 'o', '0')",
    "REPEAT(s, 2)",
    "LOCATE('o', s)",
    "LOCATE('o', s, 6)",
    "INSTR(s, 'l')",
    "POSITION('l' IN s)",
    "TRIM(s)",
    "LTRIM(s)",
    "TRIM(LEADING 'H' FROM s)",
    "TO_BASE64(s)",
    "FROM_BASE64(TO_BASE64(s))",
    "COALESCE(t, s)",
    "IFNULL(t, 'none')",
    "NULLIF(s, t)",
    "IF(n > 3, 'a', 'b')",
    "CASE n WHEN 7 THEN 'seven' WHEN 0 THEN 'zero' ELSE 'other' END",
    "n + 1",
    "n * 2 - 3",
    "-n",
    "ABS(n)",
    "n % 3",
    "MOD(n, -4)",
    "b + n",
    "d + n",
    "d * 2",
    "CEIL(d)",
    "FLOOR(d)",
    "IF(n BETWEEN -5 AND 5, 'y', 'n')",
    "IF(n IN (7, NULL), 'y', 'n')",
    "IF(NOT (n IN (1, NULL)), 'y', 'n')",
    "IF(s LIKE 'H%o%', 'y', 'n')",
    "IF(s LIKE 'H!_%' ESCAPE '!', 'y', 'n')",
    "IF(t IS NULL AND n > 0 OR d < 0, 'y', 'n')",
    "IF((n = 7) IS NOT TRUE, 'y', 'n')",
    "IF(d = n, 'y', 'n')",
    "YEAR(at)",
    "QUARTER(at)",
    "MONTH(at)",
    "DAYOFYEAR(at)",
    "DAYOFMONTH(at)",
    "DAYOFWEEK(at)",
    "HOUR(at)",
    "EXTRACT(MINUTE FROM at)",
    "EXTRACT(SECOND FROM at)",
    "DAYOFMONTH(at + INTERVAL '1' MONTH)",
    "MONTH(TIMESTAMPADD(DAY, 45, at))",
    "TIMESTAMPDIFF(DAY, at, TIMESTAMP '2024-03-01 12:00:00')",
    "TIMESTAMPDIFF(MONTH, at, TIMESTAMP '2024-03-01 12:00:00')",
    "TIMESTAMPDIFF(HOUR, TIMESTAMP '2024-03-01 12:00:00', at)",
    "CAST(n AS CHAR)",
    "CAST(d AS CHAR)",
];

fn expressions_mean_what_they_mean_at_the_server(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(
        "CREATE TABLE t (id INT PRIMARY KEY, s VARCHAR(40) COLLATE utf8mb4_bin, t VARCHAR(40) COLLATE utf8mb4_bin, n INT, b BIGINT, d DECIMAL(10,2), at DATETIME)
         CHARACTER SET utf8mb4;
         INSERT INTO t VALUES
            (1, 'Hello World', NULL, 7, 5000000000, 12.50, '2024-02-29 13:14:15'),
            (2, ' añ😀b ', 'x', -3, -1, -0.25, '1999-12-31 23:59:59'),
            (3, '', '', 0, 0, 7.00, '2000-01-01 00:00:00'),
            (4, NULL, NULL, NULL, NULL, NULL, NULL),
            (5, 'H_o', 'H_o', 100, 9, 100.00, '2024-01-31 12:00:00')",
    );
    let items: Vec<String> = SHARED.iter().enumerate().map(|(n, text)| format!("{text} AS c{n}")).collect();
    let pipeline = Pipeline::new(&source, &emulator).block(&entry(
        &source,
        "t",
        &["projection: >-", &format!("  id, {}", items.join(", "))],
    ));
    let mut program = pipeline.start();
    sink.wait_for_rows("SELECT id FROM t ORDER BY id", &[&["1"], &["2"], &["3"], &["4"], &["5"]]);
    for (n, expression) in SHARED.iter().enumerate() {
        let theirs = source.rows(&format!("SELECT id, {expression} FROM t ORDER BY id"));
        let ours = sink.rows(&format!("SELECT id, c{n} FROM t ORDER BY id"));
        assert_eq!(ours, theirs, "{expression}");
    }
    program.assert_running();
}

#[test]
fn mistakes_in_expressions_are_told_with_their_place() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    let lines = [
        "projection: id, UPER(region) AS r",
        "filter: price > ",
        "primary-keys: id, id",
        "converter-after-transform: soft_delete",
        "table-options: transactional=false,x",
    ];
    let pipeline = Pipeline::new(&source, &emulator)
        .block(&entry(&source, "orders", &lines))
        .option("transform.compat", "flnk")
        .option("transform.decimal.precision.mode", "UP_TO_20");
    let output = pipeline.command("validate", &[]);
    assert_eq!(output.code, Some(2), "{output:?}");
    let line = |text: &str| {
        1 + pipeline.yaml().lines().position(|line| line.contains(text)).expect("a line of the file")
    };
    for (line, words) in [
        (
            line("projection:"),
            "transform[0].projection: there is no function `UPER`; functions of your own are WebAssembly plugins (`plugin`) at `id, ▸UPER(region) AS r`; did you mean `UPPER`?",
        ),
        (
            line("filter:"),
            "transform[0].filter: expected a value, a column or a function, found the end at `price >▸`",
        ),
        (line("primary-keys:"), "transform[0].primary-keys: `id` is named twice"),
        (
            line("converter-"),
            "there is no converter `soft_delete`; letter case counts; did you mean `SOFT_DELETE`?",
        ),
        (line("table-options:"), "`transactional` is set by the sink"),
        (line("table-options:"), "expected `key=value` between the delimiters"),
        (line("transform.compat"), "did you mean `flink`?"),
        (line("transform.decimal"), "pipeline.transform.decimal.precision.mode: expected"),
    ] {
        assert!(
            output
                .stderr
                .lines()
                .any(|shown| shown.contains(&format!("pipeline.yaml:{line}:")) && shown.contains(words)),
            "`{words}` in line {line}:\n{}",
            output.stderr
        );
    }
}
