//! The examples that Flink CDC's documentation works through, with its names: schema changes under `LENIENT`, routes, expressions and
//! their types, and the MySQL to MaxCompute pipeline from its first row to merged shards. Other tests have the rest of each subject.

use crate::support::{Database, Emulator, Kind, Pipeline, Server, Sink, on_both_servers, wait_for_same_rows};

on_both_servers!(
    columns_come_go_and_change_names_under_lenient,
    routes_take_lists_groups_and_symbols,
    three_tables_swap_their_names,
    rules_that_overlap_all_match_or_the_first_does,
    computed_columns_have_their_types_and_places,
    the_pipeline_of_the_documentation_runs,
);

/// Names, types and whether they take nulls, as `name TYPE` and `name TYPE NOT NULL`.
fn declared(sink: &Sink, table: &str) -> Vec<String> {
    let columns = sink.describe(table).expect("the table").columns;
    let one = |nullable| if nullable { "" } else { " NOT NULL" };
    columns
        .iter()
        .map(|column| format!("{} {}{}", column.name, column.data_type, one(column.nullable)))
        .collect()
}

fn columns_come_go_and_change_names_under_lenient(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(
        "CREATE TABLE people (id INT NOT NULL PRIMARY KEY, iina INT NOT NULL, name VARCHAR(9) NOT NULL, age SMALLINT);
         INSERT INTO people VALUES (1, 10, 'ada', 36)",
    );
    let pipeline = Pipeline::new(&source, &emulator).sink("create.not-null", "true");
    let mut program = pipeline.start_and_wait();
    sink.wait_for_rows("SELECT id, name FROM people", &[&["1", "ada"]]);
    assert_eq!(
        declared(&sink, "people"),
        ["id INT NOT NULL", "iina INT NOT NULL", "name STRING NOT NULL", "age SMALLINT"]
    );
    source.sql(
        "ALTER TABLE people DROP COLUMN name; INSERT INTO people VALUES (2, 20, 17);
         ALTER TABLE people ADD COLUMN nickname VARCHAR(9) AFTER id, ADD COLUMN extra VARCHAR(9) NOT NULL;
         INSERT INTO people VALUES (3, 'bo', 30, 18, 'more');
         ALTER TABLE people RENAME COLUMN iina TO yina; INSERT INTO people VALUES (4, 'cy', 40, 19, 'most')",
    );
    sink.wait_for_rows(
        "SELECT id, iina, name, age, nickname, extra, yina FROM people ORDER BY id",
        &[
            &["1", "10", "ada", "36", "NULL", "NULL", "NULL"],
            &["2", "20", "NULL", "17", "NULL", "NULL", "NULL"],
            &["3", "30", "NULL", "18", "bo", "more", "NULL"],
            &["4", "NULL", "NULL", "19", "cy", "most", "40"],
        ],
    );
    assert_eq!(
        declared(&sink, "people"),
        [
            "id INT NOT NULL",
            "iina INT",
            "name STRING",
            "age SMALLINT",
            "nickname STRING",
            "extra STRING",
            "yina INT"
        ]
    );
    program.assert_running();
}

/// One row, which says where it comes from.
fn one_row(source: &Database<'_>, table: &str) {
    source.sql(&format!(
        "CREATE TABLE {table} (id INT NOT NULL PRIMARY KEY, came VARCHAR(40)); INSERT INTO {table} VALUES (1, '{table}')"
    ));
}

fn routes_take_lists_groups_and_symbols(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    let (name, groups) = (source.name(), format!("{}_22", source.name()));
    for table in ["orders", "bar", "baz", "tbl2"] {
        one_row(&source, table);
    }
    server.sql(&format!(
        "CREATE DATABASE {groups}; CREATE TABLE {groups}.table_bar (id INT NOT NULL PRIMARY KEY, came VARCHAR(40));
         INSERT INTO {groups}.table_bar VALUES (1, 'table_bar')"
    ));
    let routes = format!(
        "route:
  - source-table: {name}.orders
    sink-table: ods_db.ods_<>
    replace-symbol: <>
  - source-table: {name}.bar,{name}.baz
    sink-table: ods_db.listed
    on-key-conflict: last-wins
  - source-table: {name}.(tbl\\.*)
    sink-table: no1.no_$1
  - source-table: ({name}_\\d+).(table_\\.*)
    sink-table: $2.of_$1
"
    );
    let pipeline = Pipeline::new(&source, &emulator)
        .source("tables", &format!("{name}.\\.*,{groups}.\\.*"))
        .block(&routes);
    let mut program = pipeline.start();
    sink.wait_for_rows("SELECT came FROM ods_orders", &[&["orders"]]);
    sink.wait_for_rows("SELECT came FROM no_tbl2", &[&["tbl2"]]);
    sink.wait_for_rows(&format!("SELECT came FROM of_{groups}"), &[&["table_bar"]]);
    // The two have a key in common, and the file says that the last one wins.
    source.sql("UPDATE bar SET id = 2");
    sink.wait_for_rows("SELECT id, came FROM listed WHERE id = 2", &[&["2", "bar"]]);
    let mut tables = sink.tables();
    tables.sort();
    assert_eq!(tables, ["listed", "no_tbl2", "ods_orders", &format!("of_{groups}")]);
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    server.sql(&format!("DROP DATABASE {groups}"));
}

fn three_tables_swap_their_names(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    let mut routes = "route:\n".to_owned();
    for (from, to) in [("a", "b"), ("b", "c"), ("c", "a")] {
        one_row(&source, from);
        routes += &format!("  - source-table: {0}.{from}\n    sink-table: {0}.{to}\n", source.name());
    }
    let pipeline = Pipeline::new(&source, &emulator).block(&routes);
    let mut program = pipeline.start();
    for (from, to) in [("a", "b"), ("b", "c"), ("c", "a")] {
        sink.wait_for_rows(&format!("SELECT came FROM {to}"), &[&[from]]);
    }
    program.assert_running();
}

fn rules_that_overlap_all_match_or_the_first_does(kind: Kind) {
    let server = Server::shared(kind);
    let source = server.database();
    one_row(&source, "orders");
    one_row(&source, "users");
    let routes = format!(
        "route:\n  - source-table: {0}.orders\n    sink-table: ods_db.first\n  - source-table: {0}.o\\.*\n    sink-table: ods_db.second\n",
        source.name()
    );
    for (mode, want) in
        [(None, &["first", "second", "users"][..]), (Some("FIRST_MATCH"), &["first", "users"])]
    {
        let emulator = Emulator::start();
        let sink = emulator.sink();
        let pipeline = Pipeline::new(&source, &emulator).block(&routes);
        let pipeline = match mode {
            Some(mode) => pipeline.option("route-mode", mode),
            None => pipeline,
        };
        let mut program = pipeline.start_and_wait();
        for table in want {
            let came = if *table == "users" { "users" } else { "orders" };
            sink.wait_for_rows(&format!("SELECT came FROM {table}"), &[&[came]]);
        }
        assert_eq!(program.stop(), Some(0), "{}", program.printed());
        let mut tables = sink.tables();
        tables.sort();
        assert_eq!(tables, want, "{mode:?}");
    }
}

fn computed_columns_have_their_types_and_places(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(
        "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, VERSION VARCHAR(17), tiny TINYINT, big BIGINT, x VARCHAR(20));
         INSERT INTO t VALUES (1, '1.0', 3, 4, '3.4'), (2, NULL, NULL, NULL, 'no number')",
    );
    let items = [
        "\\*",
        "CONCAT(VERSION, 'x') AS VERSION",
        "tiny * 2 AS twice",
        "id + 17 AS more",
        "big + 17 AS bigger",
        "x || '!' AS loud",
        "CASE WHEN id > 1 THEN 'many' ELSE 'one' END AS word",
        "id > 1 AS is_many",
        "CHAR_LENGTH(x) AS length",
        "CAST(x AS DOUBLE) / 1.7 AS part",
        "FROM_UNIXTIME(44) AS began",
        "__namespace_name__ || '.' || __table_name__ AS origin",
    ];
    let pipeline = Pipeline::new(&source, &emulator).option("local-time-zone", "Asia/Shanghai").block(
        &format!("transform:\n  - source-table: {}.t\n    projection: {}\n", source.name(), items.join(", ")),
    );
    let mut program = pipeline.start();
    sink.wait_for_rows(
        "SELECT id, version, twice, more, bigger, loud, word, is_many, length, part, began, origin FROM t ORDER BY id",
        &[
            &["1", "1.0x", "6", "18", "21", "3.4!", "one", "false", "3", "2.0", "1970-01-01 08:00:44", ".t"],
            &[
                "2", "NULL", "NULL", "19", "NULL", "no number!", "many", "true", "9", "NULL",
                "1970-01-01 08:00:44", ".t",
            ],
        ],
    );
    assert_eq!(
        declared(&sink, "t"),
        [
            "id INT NOT NULL",
            // Where it was, and a text now.
            "version STRING",
            "tiny TINYINT",
            "big BIGINT",
            "x STRING",
            "twice INT",
            "more INT",
            "bigger BIGINT",
            "loud STRING",
            "word STRING",
            "is_many BOOLEAN",
            "length INT",
            "part DOUBLE",
            "began STRING",
            "origin STRING",
        ]
    );
    program.assert_running();
}

const APP_DB: &str = "
    CREATE TABLE orders (id INT NOT NULL PRIMARY KEY, price DECIMAL(10,2) NOT NULL);
    INSERT INTO orders VALUES (1, 4.00), (2, 100.00);
    CREATE TABLE shipments (id INT NOT NULL PRIMARY KEY, city VARCHAR(255) NOT NULL);
    INSERT INTO shipments VALUES (1, 'beijing'), (2, 'xian');
    CREATE TABLE products (id INT NOT NULL PRIMARY KEY, product VARCHAR(255) NOT NULL);
    INSERT INTO products VALUES (1, 'Beer'), (2, 'Cap'), (3, 'Peanut')";

fn the_pipeline_of_the_documentation_runs(kind: Kind) {
    let server = Server::shared(kind);
    for route in ["", "one", "merged"] {
        let (source, emulator) = (server.database(), Emulator::start());
        let sink = emulator.sink();
        source.sql(APP_DB);
        let name = source.name();
        let routes = match route {
            "one" => ["orders", "shipments", "products"].map(|table| {
                format!("  - source-table: {name}.{table}\n    sink-table: ods_db.ods_{table}\n")
            }),
            "merged" => [
                format!("  - source-table: {name}.order\\.*\n    sink-table: ods_db.ods_orders\n"),
                format!("  - source-table: {name}.shipments\n    sink-table: ods_db.ods_shipments\n"),
                format!("  - source-table: {name}.products\n    sink-table: ods_db.ods_products\n"),
            ],
            _ => [const { String::new() }; 3],
        };
        let pipeline = Pipeline::new(&source, &emulator).option("parallelism", "4");
        let pipeline = match route {
            "" => pipeline,
            _ => pipeline.block(&format!("route:\n{}", routes.concat())),
        };
        let prefix = if route.is_empty() { "" } else { "ods_" };
        if route == "merged" {
            // A shard whose keys are others.
            source.sql("CREATE TABLE orders_2 LIKE orders; INSERT INTO orders_2 VALUES (11, 7.00)");
        }
        let mut program = pipeline.start_and_wait();
        for table in ["shipments", "products"] {
            let target = format!("{prefix}{table}");
            wait_for_same_rows(&source, table, &sink, &target);
            assert_eq!(sink.describe(&target).expect("the table").primary_key, ["id"], "a Delta table");
        }
        source.sql(
            "INSERT INTO orders VALUES (3, 100.00); ALTER TABLE orders ADD amount VARCHAR(100) NULL;
             UPDATE orders SET price = 100.00, amount = '100.00' WHERE id = 1; DELETE FROM orders WHERE id = 2",
        );
        let orders = format!("{prefix}orders");
        let mut want: Vec<&[&str]> = vec![&["1", "100.00", "100.00"], &["3", "100.00", "NULL"]];
        if route == "merged" {
            want.push(&["11", "7.00", "NULL"]);
        }
        sink.wait_for_rows(&format!("SELECT id, price, amount FROM {orders} ORDER BY id"), &want);
        assert_eq!(
            declared(&sink, &orders),
            ["id INT NOT NULL", "price DECIMAL(10,2)", "amount STRING"],
            "{route}"
        );
        assert_eq!(program.stop(), Some(0), "{}", program.printed());
    }
}
