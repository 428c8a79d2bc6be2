//! What a pipeline is for, on both servers: rows come over, change, are filtered and masked, get new columns; and what
//! its operator does with it: start, look, stop, start again.

use crate::support::{
    Database, Emulator, Kind, Pipeline, Server, assert_same_rows, eventually, on_both_servers, plugin,
};
use crate::support::{Rows, wait_for_same_rows};

on_both_servers!(
    three_tables_arrive_renamed_and_masked_and_follow_a_new_column,
    a_row_that_leaves_the_filter_is_deleted_and_one_that_enters_it_inserted,
    a_snapshot_alone_ends_by_itself_and_is_whole,
    a_stop_commits_what_was_read_and_a_restart_goes_on,
    the_latest_offset_leaves_out_what_was_there_before,
    shards_become_one_table_by_a_route,
    a_row_whose_key_changes_moves,
    the_status_tells_phase_position_and_counters,
    validate_changes_nothing,
);

const THREE_TABLES: &str = "
    CREATE TABLE orders (id INT NOT NULL PRIMARY KEY, price DECIMAL(10,2) NOT NULL);
    INSERT INTO orders VALUES (1, 4.00), (2, 100.00);
    CREATE TABLE shipments (id INT NOT NULL PRIMARY KEY, city VARCHAR(255) NOT NULL, contact VARCHAR(255), state VARCHAR(20));
    INSERT INTO shipments VALUES (1, 'beijing', 'ada@example.org', 'SENT'), (2, 'xian', 'bob@example.org', 'LOST'), (3, 'wuhan', NULL, 'SENT');
    CREATE TABLE products (id INT NOT NULL PRIMARY KEY, product VARCHAR(255) NOT NULL);
    INSERT INTO products VALUES (1, 'Beer'), (2, 'Cap'), (3, 'Peanut');";

fn three_tables_arrive_renamed_and_masked_and_follow_a_new_column(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(THREE_TABLES);
    let pipeline = Pipeline::new(&source, &emulator)
        .block(&format!(
            "route:\n  - source-table: {}.\\.*\n    sink-table: ods_db.ods_<>\n    replace-symbol: <>\n",
            source.name()
        ))
        .block(&format!(
            "transform:\n  - source-table: {}.shipments\n    plugin:\n      - path: {}\n        config: {{ column: state, values: [LOST] }}\n      - path: {}\n        config: {{ columns: [contact], keep-domain: true }}\n",
            source.name(),
            plugin("drop-cancelled").display(),
            plugin("mask-email").display(),
        ));
    let mut program = pipeline.start();
    wait_for_same_rows(&source, "orders", &sink, "ods_orders");
    wait_for_same_rows(&source, "products", &sink, "ods_products");
    let shipments = "SELECT id, city, contact FROM ods_shipments ORDER BY id";
    sink.wait_for_rows(shipments, &[&["1", "beijing", "a***@example.org"], &["3", "wuhan", "NULL"]]);

    source.sql("INSERT INTO orders VALUES (3, 100.00)");
    assert_eq!(wait_for_same_rows(&source, "orders", &sink, "ods_orders"), 3);
    source.sql("ALTER TABLE orders ADD amount VARCHAR(100) NULL");
    source.sql("UPDATE orders SET price = 100.00, amount = '100.00' WHERE id = 1");
    assert_eq!(wait_for_same_rows(&source, "orders", &sink, "ods_orders"), 3);
    assert_eq!(sink.columns("ods_orders"), ["id", "price", "amount"]);
    source.sql("DELETE FROM orders WHERE id = 2");
    assert_eq!(wait_for_same_rows(&source, "orders", &sink, "ods_orders"), 2);

    source.sql(
        "INSERT INTO shipments VALUES (4, 'xian', 'eve@example.com', 'SENT'), (5, 'xian', 'x@y.z', 'LOST')",
    );
    source.sql("UPDATE shipments SET contact = 'cy@example.org' WHERE id = 3");
    sink.wait_for_rows(
        shipments,
        &[
            &["1", "beijing", "a***@example.org"],
            &["3", "wuhan", "c***@example.org"],
            &["4", "xian", "e***@example.com"],
        ],
    );
    program.assert_running();
}

fn a_row_that_leaves_the_filter_is_deleted_and_one_that_enters_it_inserted(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(
        "CREATE TABLE orders (id INT PRIMARY KEY, status VARCHAR(20), note VARCHAR(20));
         INSERT INTO orders VALUES (1, 'OPEN', 'a'), (2, 'CANCELLED', 'b'), (3, 'OPEN', 'c'), (4, 'CANCELLED', 'd')",
    );
    let pipeline = Pipeline::new(&source, &emulator).block(&format!(
        "transform:\n  - source-table: {}.orders\n    plugin:\n      path: {}\n      config: {{ column: status, values: [CANCELLED] }}\n",
        source.name(),
        plugin("drop-cancelled").display(),
    ));
    let mut program = pipeline.start();
    let orders = "SELECT id, status, note FROM orders ORDER BY id";
    sink.wait_for_rows(orders, &[&["1", "OPEN", "a"], &["3", "OPEN", "c"]]);

    source.sql(
        "UPDATE orders SET status = 'CANCELLED' WHERE id = 1;
         UPDATE orders SET status = 'OPEN' WHERE id = 2;
         UPDATE orders SET note = 'changed' WHERE id IN (3, 4);
         INSERT INTO orders VALUES (5, 'CANCELLED', 'e'), (6, 'OPEN', 'f')",
    );
    sink.wait_for_rows(orders, &[&["2", "OPEN", "b"], &["3", "OPEN", "changed"], &["6", "OPEN", "f"]]);

    // The row before is inside, the row after outside and under another key; and the other way round.
    source.sql(
        "UPDATE orders SET id = 13, status = 'CANCELLED' WHERE id = 3;
         UPDATE orders SET id = 14, status = 'OPEN' WHERE id = 4;
         DELETE FROM orders WHERE id IN (2, 5)",
    );
    sink.wait_for_rows(orders, &[&["6", "OPEN", "f"], &["14", "OPEN", "changed"]]);
    program.assert_running();
    assert!(pipeline.counter("transform_dropped_total").expect("a metrics page") >= 4);
}

fn a_snapshot_alone_ends_by_itself_and_is_whole(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    fill_numbers(&source, "numbers", 1..=1000);
    source.sql("CREATE TABLE log (at INT, what VARCHAR(20)); INSERT INTO log VALUES (1, 'same'), (1, 'same'), (2, NULL)");
    source.sql("CREATE TABLE nothing (id INT PRIMARY KEY)");
    let pipeline = Pipeline::new(&source, &emulator)
        .source("scan.startup.mode", "snapshot")
        .source("scan.incremental.snapshot.chunk.size", "100");
    let mut program = pipeline.start();
    assert_eq!(program.wait(), Some(0), "{}", program.printed());
    let compare = || {
        assert_same_rows(&source, "numbers", &sink, "numbers");
        assert_same_rows(&source, "log", &sink, "log");
        assert_same_rows(&source, "nothing", &sink, "nothing");
    };
    compare();
    assert_eq!(pipeline.status()["state"], "stopped");

    let mut again = pipeline.start();
    assert_eq!(again.wait(), Some(0), "{}", again.printed());
    compare();
}

fn a_stop_commits_what_was_read_and_a_restart_goes_on(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    fill_numbers(&source, "numbers", 1..=50);
    source.sql("CREATE TABLE log (at INT, what VARCHAR(20)); INSERT INTO log VALUES (1, 'first')");
    // No checkpoint but that of the stop.
    let patient = Pipeline::new(&source, &emulator).option("checkpoint.interval", "1h");
    let mut program = patient.start();
    let is_read = |name: &str, rows: u64| {
        eventually(&format!("{rows} in {name}"), || match patient.counter(name)? {
            read if read >= rows => Ok(()),
            read => Err(format!("{read}")),
        });
    };
    is_read("snapshot_rows_total", 51);
    fill_numbers_more(&source, "numbers", 51..=80);
    source.sql("INSERT INTO log VALUES (2, 'second')");
    is_read("source_rows_total", 31);
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    assert_same_rows(&source, "numbers", &sink, "numbers");
    assert_same_rows(&source, "log", &sink, "log");

    source.sql("DELETE FROM numbers WHERE id <= 10; UPDATE numbers SET value = 'while down' WHERE id = 11");
    source.sql("INSERT INTO log VALUES (3, 'while down')");
    let brisk = patient.option("checkpoint.interval", "1s");
    let mut program = brisk.start();
    assert_eq!(wait_for_same_rows(&source, "numbers", &sink, "numbers"), 70);
    assert_eq!(wait_for_same_rows(&source, "log", &sink, "log"), 3);
    assert_eq!(
        brisk.counter("snapshot_rows_total").expect("a metrics page"),
        0,
        "the snapshot was read twice"
    );
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}

fn the_latest_offset_leaves_out_what_was_there_before(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    fill_numbers(&source, "numbers", 1..=5);
    let pipeline = Pipeline::new(&source, &emulator).source("scan.startup.mode", "latest-offset");
    let mut program = pipeline.start_and_wait();
    source.sql("INSERT INTO numbers VALUES (6, 'six'); UPDATE numbers SET value = 'two' WHERE id = 2; DELETE FROM numbers WHERE id = 1");
    sink.wait_for_rows("SELECT id, value FROM numbers ORDER BY id", &[&["2", "two"], &["6", "six"]]);
    program.assert_running();
}

fn shards_become_one_table_by_a_route(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    for (shard, ids) in [("orders_00", 1..=40), ("orders_01", 101..=140), ("orders_02", 201..=240)] {
        fill_numbers(&source, shard, ids);
    }
    fill_numbers(&source, "orders_history", 1..=3);
    let pipeline = Pipeline::new(&source, &emulator).block(&format!(
        "route:\n  - source-table: {}.orders_\\d+\n    sink-table: ods_db.ods_orders\n",
        source.name()
    ));
    let mut program = pipeline.start();
    let merged = |source: &Database<'_>| -> Rows {
        source.rows(
            "SELECT id, value FROM orders_00 UNION ALL SELECT id, value FROM orders_01 UNION ALL SELECT id, value FROM orders_02 ORDER BY id",
        )
    };
    let wait_for_merged = || {
        let want = merged(&source);
        eventually("the shards in one table", || {
            let found = sink
                .try_execute("SELECT id, value FROM ods_orders ORDER BY id")
                .map_err(|e| e.to_string())?;
            if found.rows == want { Ok(()) } else { Err(format!("{} rows", found.rows.len())) }
        });
    };
    wait_for_merged();
    source.sql(
        "UPDATE orders_00 SET value = 'changed' WHERE id = 7; DELETE FROM orders_01 WHERE id = 101; INSERT INTO orders_02 VALUES (241, 'new')",
    );
    wait_for_merged();
    wait_for_same_rows(&source, "orders_history", &sink, "orders_history");
    assert_eq!(sink.tables(), ["ods_orders", "orders_history"]);
    program.assert_running();
}

fn a_row_whose_key_changes_moves(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    fill_numbers(&source, "numbers", 1..=20);
    let pipeline = Pipeline::new(&source, &emulator);
    let mut program = pipeline.start();
    wait_for_same_rows(&source, "numbers", &sink, "numbers");
    source.sql("UPDATE numbers SET id = id + 1000 WHERE id > 10; UPDATE numbers SET id = 30 WHERE id = 3; INSERT INTO numbers VALUES (3, 'another')");
    assert_eq!(wait_for_same_rows(&source, "numbers", &sink, "numbers"), 21);
    // Two rows change places inside one transaction.
    source.sql(
        "BEGIN; UPDATE numbers SET id = -1 WHERE id = 1; UPDATE numbers SET id = 1 WHERE id = 2; UPDATE numbers SET id = 2 WHERE id = -1; COMMIT",
    );
    wait_for_same_rows(&source, "numbers", &sink, "numbers");
    program.assert_running();
}

fn the_status_tells_phase_position_and_counters(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    fill_numbers(&source, "numbers", 1..=10);
    let pipeline = Pipeline::new(&source, &emulator);
    assert_eq!(pipeline.status()["state"], "never run");
    let mut program = pipeline.start();
    wait_for_same_rows(&source, "numbers", &sink, "numbers");
    source.sql("INSERT INTO numbers VALUES (11, 'eleven')");
    let status = eventually("a checkpoint behind the snapshot", || {
        let status = pipeline.status();
        let ready = status["phase"] == "streaming" && status["counters"]["sink_rows_written_total"] == 11;
        if ready { Ok(status) } else { Err(status.to_string()) }
    });
    assert_eq!(status["state"], "running");
    assert_eq!(status["tables"][0]["table"], format!("{}.numbers", source.name()));
    assert_eq!(status["tables"][0]["snapshot"], "done");
    assert_eq!(status["counters"]["snapshot_rows_total"], 10);
    assert_eq!(status["errors"], serde_json::json!([]));
    assert!(status["position"].as_str().is_some_and(|position| position.contains("binlog.")), "{status}");
    let text = pipeline.command("status", &[]);
    assert!(text.stdout.starts_with("running, phase streaming"), "{text:?}");

    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    let stopped = pipeline.status();
    assert_eq!(stopped["state"], "stopped");
    assert_eq!(stopped["sessions"], serde_json::json!([]), "a stop leaves no session behind");
}

fn validate_changes_nothing(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    fill_numbers(&source, "numbers", 1..=3);
    source.sql("CREATE TABLE log (at DATETIME(3), what VARCHAR(20))");
    sink.execute("CREATE TABLE other (x BIGINT)");
    let pipeline = Pipeline::new(&source, &emulator);

    let alone = pipeline.command("validate", &[]);
    assert_eq!(alone.code, Some(0), "{alone:?}");
    assert!(alone.stdout.contains("the file is right"), "{alone:?}");

    let plan = pipeline.command("validate", &["--connect"]);
    assert_eq!(plan.code, Some(0), "{plan:?}");
    for part in [
        &format!("{}.numbers", source.name()),
        "id: int",
        "key: id",
        "CREATE TABLE IF NOT EXISTS",
        "TIMESTAMP_NTZ",
        "no key",
        "the pipeline would start",
    ] {
        assert!(plan.stdout.contains(part), "{part}: {plan:?}");
    }
    let json = pipeline.command("validate", &["--connect", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON on standard output");
    assert_eq!(json["ok"], true);
    assert_eq!(json["plan"]["tables"].as_array().map(Vec::len), Some(2));

    assert_eq!(sink.tables(), ["other"]);
    let left: Vec<_> = std::fs::read_dir(pipeline.folder()).expect("the folder").collect();
    assert_eq!(left.len(), 1, "only the pipeline file: {left:?}");
}

#[test]
fn the_schema_history_tells_every_schema_and_statement() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    source.sql("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(10)); CREATE TABLE other (id INT PRIMARY KEY); INSERT INTO t VALUES (1, 'a')");
    let pipeline = Pipeline::new(&source, &emulator);
    let table = format!("{}.t", source.name());
    let before = pipeline.command("schema", &[]);
    assert_eq!(before.code, Some(2), "a command is missing: {before:?}");
    let mut program = pipeline.start_and_wait();
    source.sql("ALTER TABLE t ADD COLUMN w BIGINT UNSIGNED NULL; INSERT INTO t VALUES (2, 'b', 8)");
    wait_for_same_rows(&source, "t", &emulator.sink(), "t");
    // While it runs.
    let history = |arguments: &[&str]| {
        crate::support::run(pipeline.folder(), &[&["schema", "history", "pipeline.yaml"], arguments].concat())
    };
    let output = history(&[&table]);
    assert_eq!(output.code, Some(0), "{output:?}");
    let wanted = [
        "when the pipeline began",
        "    id int not null, key",
        "    v varchar(10)",
        "    ALTER TABLE t ADD COLUMN w BIGINT UNSIGNED NULL",
        "    w bigint unsigned",
    ];
    let mut rest = output.stdout.as_str();
    for part in wanted {
        let (_, behind) =
            rest.split_once(part).unwrap_or_else(|| panic!("`{part}` in its place in {}", output.stdout));
        rest = behind;
    }
    assert!(!output.stdout.contains(".other"), "{}", output.stdout);
    let all = history(&["--json"]);
    let all: serde_json::Value = serde_json::from_str(&all.stdout).expect("JSON");
    assert_eq!(all.as_array().map(Vec::len), Some(3), "{all}");
    let output = history(&["no.such"]);
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("`no.such`") && output.stderr.contains(&table), "{output:?}");
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}

#[test]
fn the_account_may_come_from_a_file_or_a_command() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    source.sql("CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1), (2)");
    let found = |key: &str, value: &str| {
        Pipeline::new(&source, &emulator)
            .without_sink("access-id")
            .without_sink("access-key")
            .sink(key, value)
            .source("scan.startup.mode", "snapshot")
    };
    let document = format!(
        r#"{{"access_key_id": "{}", "access_key_secret": "{}"}}"#,
        Emulator::ACCESS_ID,
        Emulator::ACCESS_KEY
    );
    for (key, value) in [("credentials.file", "key.json"), ("credentials.command", "cat key.json")] {
        let pipeline = found(key, value);
        std::fs::write(pipeline.folder().join("key.json"), &document).expect("a file");
        let mut program = pipeline.start();
        assert_eq!(program.wait(), Some(0), "{}", program.printed());
        assert_same_rows(&source, "t", &emulator.sink(), "t");
        emulator.sink().execute("DROP TABLE t");
    }
    // Neither there nor right: told by its name, at once.
    let output = found("credentials.file", "missing.json").command("validate", &["--connect"]);
    assert_eq!(output.code, Some(3), "{output:?}");
    assert!((output.stdout + &output.stderr).contains("missing.json"), "the file is named");
}

#[test]
fn the_metrics_page_counts_rows_by_way_of_http() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    fill_numbers(&source, "numbers", 1..=25);
    let pipeline = Pipeline::new(&source, &emulator);
    let mut program = pipeline.start();
    eventually("25 rows on the metrics page", || match pipeline.counter("sink_rows_written_total")? {
        25 => Ok(()),
        other => Err(other.to_string()),
    });
    source.sql("DELETE FROM numbers WHERE id <= 5");
    eventually("5 deletes on the metrics page", || match pipeline.counter("sink_rows_deleted_total")? {
        5 => Ok(()),
        other => Err(other.to_string()),
    });
    let page = pipeline.metrics().expect("a metrics page");
    assert!(page.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4"), "{page}");
    assert!(page.contains("# TYPE sluicebox_checkpoints_total counter"), "{page}");
    program.assert_running();
}

/// A table of numbers with a key.
fn fill_numbers(source: &Database<'_>, table: &str, ids: std::ops::RangeInclusive<u32>) {
    source.sql(&format!("CREATE TABLE {table} (id INT NOT NULL PRIMARY KEY, value VARCHAR(40))"));
    fill_numbers_more(source, table, ids);
}

fn fill_numbers_more(source: &Database<'_>, table: &str, ids: std::ops::RangeInclusive<u32>) {
    let rows: Vec<String> = ids.map(|id| format!("({id}, 'value {id}')")).collect();
    source.sql(&format!("INSERT INTO {table} VALUES {}", rows.join(", ")));
}
