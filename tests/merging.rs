//! Several source tables in one sink table: their columns come together, their keys get along or that is said.

use crate::support::{Emulator, Kind, Pipeline, Server, eventually, on_both_servers};

on_both_servers!(
    shards_with_equal_keys_are_told_apart_by_a_source_column,
    columns_of_different_types_meet_before_the_table_is_made,
    what_one_shard_drops_stays_for_the_others,
    equal_keys_are_told_until_it_is_said_that_the_last_wins,
    tables_with_different_keys_do_not_merge,
    names_that_the_service_does_not_take_are_told_at_the_start,
    a_route_that_changes_between_two_runs_is_told_and_followed,
    tables_land_in_the_schemas_that_the_file_says,
);

/// Routes the shards of a database into one table, with more lines for the entry.
fn route(database: &str, more: &str) -> String {
    format!("route:\n  - source-table: {database}.shard_\\d+\n    sink-table: ods_db.merged\n{more}")
}

fn shards_with_equal_keys_are_told_apart_by_a_source_column(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    for shard in ["shard_0", "shard_1"] {
        source.sql(&format!(
            "CREATE TABLE {shard} (id INT NOT NULL PRIMARY KEY, value VARCHAR(20)); INSERT INTO {shard} VALUES (1, '{shard} one'), (2, '{shard} two')"
        ));
    }
    let pipeline =
        Pipeline::new(&source, &emulator).block(&route(source.name(), "    add-source-column: shard\n"));
    let mut program = pipeline.start();
    let query = "SELECT shard, id, value FROM merged ORDER BY shard, id";
    let name = |shard: &str| format!("{}.{shard}", source.name());
    let (first, second) = (name("shard_0"), name("shard_1"));
    sink.wait_for_rows(
        query,
        &[
            &[&first, "1", "shard_0 one"],
            &[&first, "2", "shard_0 two"],
            &[&second, "1", "shard_1 one"],
            &[&second, "2", "shard_1 two"],
        ],
    );
    let key = sink.describe("merged").expect("the table").primary_key;
    assert_eq!(key, ["id", "shard"]);
    source.sql(
        "UPDATE shard_0 SET value = 'changed' WHERE id = 1; DELETE FROM shard_1 WHERE id = 1; UPDATE shard_1 SET id = 3 WHERE id = 2; ALTER TABLE shard_0 ADD note VARCHAR(9); INSERT INTO shard_0 VALUES (3, 'three', 'new')",
    );
    let query = "SELECT shard, id, value, note FROM merged ORDER BY shard, id";
    sink.wait_for_rows(
        query,
        &[
            &[&first, "1", "changed", "NULL"],
            &[&first, "2", "shard_0 two", "NULL"],
            &[&first, "3", "three", "new"],
            &[&second, "3", "shard_1 two", "NULL"],
        ],
    );
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    assert!(!program.printed().contains("overwrite each other"), "{}", program.printed());
}

fn columns_of_different_types_meet_before_the_table_is_made(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    // No statement of the service makes a text or a decimal of a BOOLEAN or a DATE column: it has to be made so.
    source.sql(
        "CREATE TABLE shard_0 (id INT NOT NULL PRIMARY KEY, flag BOOLEAN, n INT, f FLOAT, d DATE, b VARBINARY(9), z DATETIME, m DECIMAL(38,10));
         INSERT INTO shard_0 VALUES (1, TRUE, 7, 0.5, '2001-02-03', 'foobar', '2001-02-03 04:05:06', 5);
         CREATE TABLE shard_1 (id BIGINT NOT NULL PRIMARY KEY, flag INT, n DECIMAL(5,2), f BIGINT, d DATETIME, b VARCHAR(9), z TIMESTAMP NULL, m DECIMAL(38), more INT);
         SET time_zone = '+00:00';
         INSERT INTO shard_1 VALUES (2, 7, 1.25, 9007199254740992, '2001-02-03 04:05:06', 'text', '2001-02-02 20:05:06', 6, 8)",
    );
    let pipeline = Pipeline::new(&source, &emulator)
        .option("local-time-zone", "Asia/Shanghai")
        .block(&route(source.name(), "    on-key-conflict: last-wins\n"));
    let mut program = pipeline.start();
    sink.wait_for_rows(
        "SELECT id, flag, n, f, d, b, z, m, more FROM merged ORDER BY id",
        &[
            &[
                "1",
                "true",
                "7.00",
                "0.5",
                "2001-02-03 00:00:00",
                "Zm9vYmFy",
                "2001-02-02 20:05:06",
                "5",
                "NULL",
            ],
            &[
                "2",
                "7",
                "1.25",
                "9007199254740992.0",
                "2001-02-03 04:05:06",
                "text",
                "2001-02-02 20:05:06",
                "6",
                "8",
            ],
        ],
    );
    let types: Vec<String> =
        sink.describe("merged").expect("the table").columns.iter().map(|c| c.data_type.to_string()).collect();
    assert_eq!(
        types,
        [
            "BIGINT",
            "STRING",
            "DECIMAL(12,2)",
            "DOUBLE",
            "TIMESTAMP_NTZ",
            "STRING",
            "TIMESTAMP",
            "DECIMAL(38,0)",
            "INT"
        ]
    );
    program.assert_running();
    // A number that the common type would round is an error, not another number.
    source.sql("INSERT INTO shard_1 VALUES (3, 0, 0, 9007199254740993, NULL, NULL, NULL, NULL, NULL)");
    assert_ne!(program.wait(), Some(0));
    assert!(program.printed().contains("a DOUBLE would round the number"), "{}", program.printed());
}

fn what_one_shard_drops_stays_for_the_others(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(
        "CREATE TABLE shard_0 (id INT NOT NULL PRIMARY KEY, a INT, b INT); INSERT INTO shard_0 VALUES (1, 1, 1);
         CREATE TABLE shard_1 LIKE shard_0; INSERT INTO shard_1 VALUES (2, 2, 2)",
    );
    let pipeline = Pipeline::new(&source, &emulator)
        .option("schema.change.behavior", "EVOLVE")
        .block(&route(source.name(), "    on-key-conflict: last-wins\n"));
    let mut program = pipeline.start();
    let query = "SELECT id, a, b FROM merged ORDER BY id";
    sink.wait_for_rows(query, &[&["1", "1", "1"], &["2", "2", "2"]]);
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    // After a start only one of them has changes: the other one's part is known nevertheless.
    let mut program = pipeline.start_and_wait();
    source.sql(
        "ALTER TABLE shard_0 DROP COLUMN a; ALTER TABLE shard_0 RENAME COLUMN b TO c; INSERT INTO shard_0 VALUES (3, 3); TRUNCATE TABLE shard_0; INSERT INTO shard_0 VALUES (4, 4)",
    );
    let query = "SELECT id, a, b, c FROM merged ORDER BY id";
    let rows: [&[&str]; 4] = [
        &["1", "1", "1", "NULL"],
        &["2", "2", "2", "NULL"],
        &["3", "NULL", "NULL", "3"],
        &["4", "NULL", "NULL", "4"],
    ];
    sink.wait_for_rows(query, &rows);
    source.sql("DROP TABLE shard_0; UPDATE shard_1 SET a = 5");
    let rows: [&[&str]; 4] = [rows[0], &["2", "5", "2", "NULL"], rows[2], rows[3]];
    sink.wait_for_rows(query, &rows);
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    // A start that finds one of them only: what the other wrote is protected still.
    let mut program = pipeline.start_and_wait();
    source
        .sql("TRUNCATE TABLE shard_1; ALTER TABLE shard_1 DROP COLUMN a; INSERT INTO shard_1 VALUES (6, 6)");
    sink.wait_for_rows(query, &[&rows[..], &[&["6", "NULL", "6", "NULL"][..]]].concat());
    program.assert_running();
}

fn equal_keys_are_told_until_it_is_said_that_the_last_wins(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    source.sql(
        "CREATE TABLE shard_0 (id INT NOT NULL PRIMARY KEY); CREATE TABLE shard_1 (id INT NOT NULL PRIMARY KEY)",
    );
    let told = |more: &str| {
        let pipeline = Pipeline::new(&source, &emulator).block(&route(source.name(), more));
        let output = pipeline.command("validate", &["--connect"]);
        assert_eq!(output.code, Some(0), "{output:?}");
        output.stdout.contains("rows with the same key overwrite each other there")
    };
    assert!(told(""));
    assert!(!told("    on-key-conflict: last-wins\n"));
    assert!(!told("    add-source-column: origin\n"));
}

fn tables_with_different_keys_do_not_merge(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    source.sql(
        "CREATE TABLE shard_0 (id INT NOT NULL PRIMARY KEY, n INT NOT NULL);
         CREATE TABLE shard_1 (id INT NOT NULL, n INT NOT NULL PRIMARY KEY)",
    );
    let pipeline = Pipeline::new(&source, &emulator).block(&route(source.name(), ""));
    let mut program = pipeline.start();
    assert_eq!(program.wait(), Some(2), "{}", program.printed());
    let name = source.name();
    let message = format!("`{name}.shard_0` has the key (id) and `{name}.shard_1` has the key (n)");
    assert!(program.printed().contains(&message), "{}", program.printed());
    assert_eq!(emulator.sink().tables(), Vec::<String>::new(), "nothing was made");
}

fn names_that_the_service_does_not_take_are_told_at_the_start(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql("CREATE TABLE `2024_订单` (id INT NOT NULL PRIMARY KEY); INSERT INTO `2024_订单` VALUES (1)");
    let plain = Pipeline::new(&source, &emulator);
    let output = plain.command("validate", &["--connect"]);
    assert_eq!(output.code, Some(3), "{output:?}");
    assert!(output.stdout.contains("give it another name with a route"), "{output:?}");
    let routed = plain.block(&format!(
        "route:\n  - source-table: {}.2024_\\.*\n    sink-table: ods_db.orders_2024\n",
        source.name()
    ));
    let mut program = routed.start();
    sink.wait_for_rows("SELECT id FROM orders_2024", &[&["1"]]);
    program.assert_running();
}

fn a_route_that_changes_between_two_runs_is_told_and_followed(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql("CREATE TABLE orders (id INT NOT NULL PRIMARY KEY); INSERT INTO orders VALUES (1)");
    let pipeline = Pipeline::new(&source, &emulator);
    let mut program = pipeline.start();
    sink.wait_for_rows("SELECT id FROM orders", &[&["1"]]);
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    let pipeline = pipeline.block(&format!(
        "route:\n  - source-table: {}.orders\n    sink-table: ods_db.ods_orders\n",
        source.name()
    ));
    let mut program = pipeline.start_and_wait();
    program.wait_for_line(&format!(
        "rows of `{}.orders` went to `orders` and go to `ods_orders` from here on",
        source.name()
    ));
    source.sql("INSERT INTO orders VALUES (2)");
    sink.wait_for_rows("SELECT id FROM ods_orders", &[&["2"]]);
    assert_eq!(sink.rows("SELECT id FROM orders"), [[Some("1".to_owned())]]);
    program.assert_running();
}

/// In a project with schemas: by database and route, or where Flink CDC puts them.
fn tables_land_in_the_schemas_that_the_file_says(kind: Kind) {
    let server = Server::shared(kind);
    let source = server.database();
    for table in ["orders", "two", "three"] {
        source.sql(&format!(
            "CREATE TABLE {table} (id INT NOT NULL PRIMARY KEY); INSERT INTO {table} VALUES (1)"
        ));
    }
    let name = source.name();
    let routes = format!(
        "route:\n  - source-table: {name}.two\n    sink-table: ods.two\n  - source-table: {name}.three\n    sink-table: lake.any.three\n"
    );
    for (placement, schemas) in
        [(None, [name, "ods", "lake"]), (Some("flink"), ["default", "default", "lake"])]
    {
        let emulator = Emulator::start_with_schemas();
        let sink = emulator.sink();
        let pipeline = Pipeline::new(&source, &emulator).block(&routes);
        let pipeline = match placement {
            Some(placement) => pipeline.sink("schema-placement", placement),
            None => pipeline,
        };
        let mut program = pipeline.start_and_wait();
        for (table, schema) in ["orders", "two", "three"].into_iter().zip(schemas) {
            eventually(&format!("`{table}` in `{schema}`"), || {
                program.assert_running();
                match sink.rows_in(schema, &format!("SELECT id FROM {table}")) {
                    Ok(rows) if rows == [[Some("1".to_owned())]] => Ok(()),
                    other => Err(format!("{other:?}")),
                }
            });
        }
        // Changes find them as well.
        source.sql("ALTER TABLE orders ADD n INT; INSERT INTO orders VALUES (2, 2)");
        eventually("the new row", || match sink.rows_in(schemas[0], "SELECT n FROM orders WHERE id = 2") {
            Ok(rows) if rows == [[Some("2".to_owned())]] => Ok(()),
            other => Err(format!("{other:?}")),
        });
        assert_eq!(program.stop(), Some(0), "{}", program.printed());
        source.sql("ALTER TABLE orders DROP COLUMN n; DELETE FROM orders WHERE id = 2");
    }
}
