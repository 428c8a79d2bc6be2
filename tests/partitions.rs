//! Partitioned sink tables: a row is in the partition of its values, and in no other.

use crate::support::{Emulator, Kind, Pipeline, Server, on_both_servers, wait, wait_for_same_rows};
use sluicebox_maxcompute::TableName;

on_both_servers!(
    rows_land_in_their_partitions_and_move_between_them,
    a_partition_can_be_a_day_a_number_or_a_source_table,
    rows_without_a_key_are_appended_to_their_partitions,
    what_cannot_partition_a_table_is_told_at_the_start,
);

fn route(database: &str, table: &str, keys: &str) -> String {
    format!(
        "route:\n  - source-table: {database}.{table}\n    sink-table: ods_db.{table}\n    partition-keys: {keys}\n"
    )
}

/// Partitions of a table that hold rows, by what `SELECT` says of each.
fn rows_land_in_their_partitions_and_move_between_them(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(
        "CREATE TABLE visits (id INT NOT NULL PRIMARY KEY, region VARCHAR(20) NOT NULL, n INT);
         INSERT INTO visits VALUES (1, 'north', 10), (2, 'south', 20), (3, 'north', 30)",
    );
    let pipeline = Pipeline::new(&source, &emulator).block(&route(source.name(), "visits", "region"));
    let mut program = pipeline.start();
    assert_eq!(wait_for_same_rows(&source, "visits", &sink, "visits"), 3);
    let table = sink.describe("visits").expect("the table");
    let names = |columns: &[sluicebox_maxcompute::Column]| -> Vec<String> {
        columns.iter().map(|c| c.name.clone()).collect()
    };
    assert_eq!(names(&table.columns), ["id", "n"]);
    assert_eq!(names(&table.partition_keys), ["region"]);
    let name = TableName::new(None, "visits");
    let exists = |spec: &str| wait(sink.client().partition_exists(&name, spec)).expect("an answer");
    assert!(exists("region='north'") && exists("region='south'") && !exists("region='west'"));
    source.sql(
        "UPDATE visits SET region = 'west' WHERE id = 1; DELETE FROM visits WHERE id = 2; UPDATE visits SET n = 31 WHERE id = 3; INSERT INTO visits VALUES (4, 'south', 40); UPDATE visits SET id = 5, region = 'south' WHERE id = 3",
    );
    assert_eq!(wait_for_same_rows(&source, "visits", &sink, "visits"), 3);
    let query = "SELECT region, COUNT(*) FROM visits GROUP BY region ORDER BY region";
    sink.wait_for_rows(query, &[&["south", "2"], &["west", "1"]]);
    source.sql("ALTER TABLE visits ADD note VARCHAR(9); UPDATE visits SET note = region");
    assert_eq!(wait_for_same_rows(&source, "visits", &sink, "visits"), 3);
    // A restart finds the table as it is.
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    let mut program = pipeline.start_and_wait();
    source.sql("INSERT INTO visits VALUES (6, 'east', 60, 'e')");
    assert_eq!(wait_for_same_rows(&source, "visits", &sink, "visits"), 4);
    program.assert_running();
}

fn a_partition_can_be_a_day_a_number_or_a_source_table(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(
        "CREATE TABLE visits (id INT NOT NULL PRIMARY KEY, day DATE NOT NULL, hour TINYINT NOT NULL);
         INSERT INTO visits VALUES (1, '2024-02-29', 7), (2, '2024-03-01', -1)",
    );
    let pipeline = Pipeline::new(&source, &emulator).block(&route(source.name(), "visits", "day, hour"));
    let mut program = pipeline.start();
    sink.wait_for_rows(
        "SELECT id, day, hour FROM visits ORDER BY id",
        &[&["1", "2024-02-29", "7"], &["2", "2024-03-01", "-1"]],
    );
    let keys: Vec<String> = sink
        .describe("visits")
        .expect("the table")
        .partition_keys
        .iter()
        .map(|c| format!("{} {}", c.name, c.data_type))
        .collect();
    assert_eq!(keys, ["day STRING", "hour TINYINT"]);
    program.assert_running();
}

fn rows_without_a_key_are_appended_to_their_partitions(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql("CREATE TABLE hits (n INT, region VARCHAR(9) NOT NULL); INSERT INTO hits VALUES (1, 'a'), (1, 'a'), (2, 'b')");
    let pipeline = Pipeline::new(&source, &emulator).block(&route(source.name(), "hits", "region"));
    let mut program = pipeline.start();
    let query = "SELECT region, COUNT(*) FROM hits GROUP BY region ORDER BY region";
    sink.wait_for_rows(query, &[&["a", "2"], &["b", "1"]]);
    source.sql("INSERT INTO hits VALUES (3, 'c'), (3, 'a')");
    sink.wait_for_rows(query, &[&["a", "3"], &["b", "1"], &["c", "1"]]);
    program.assert_running();
    source.sql("INSERT INTO hits VALUES (4, 'a/b')");
    assert_ne!(program.wait(), Some(0));
    assert!(
        program.printed().contains("the service takes no partition of this value"),
        "{}",
        program.printed()
    );
}

fn what_cannot_partition_a_table_is_told_at_the_start(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    source.sql("CREATE TABLE visits (id INT NOT NULL PRIMARY KEY, region VARCHAR(9), w DOUBLE)");
    for (keys, part) in
        [("regoin", "has no column `regoin`"), ("id", "belongs to the key"), ("w", "which is DOUBLE")]
    {
        let pipeline = Pipeline::new(&source, &emulator).block(&route(source.name(), "visits", keys));
        let output = pipeline.command("validate", &["--connect"]);
        assert_eq!(output.code, Some(3), "{output:?}");
        assert!(output.stdout.contains(part), "{output:?}");
    }
    let sink = emulator.sink();
    sink.execute("CREATE TABLE visits (id INT NOT NULL, region STRING, w DOUBLE, PRIMARY KEY (id)) TBLPROPERTIES ('transactional'='true')");
    let pipeline = Pipeline::new(&source, &emulator).block(&route(source.name(), "visits", "region"));
    let output = pipeline.command("validate", &["--connect"]);
    assert!(
        output.stdout.contains("it is not partitioned, the rows are partitioned by (region)"),
        "{output:?}"
    );
}
