//! What schema changes of the source do to the sink table, by each behaviour, and how a table that was there before is taken.

use crate::support::{Emulator, Kind, Pipeline, Server, Sink, on_both_servers, wait_for_same_rows};

on_both_servers!(
    lenient_keeps_what_the_source_drops_and_renames,
    evolve_follows_the_source_to_the_letter,
    ignore_keeps_the_table_as_it_was_made,
    not_null_columns_are_opened_when_rows_may_lack_a_value,
    a_table_that_fits_otherwise_is_reconciled,
    a_type_that_cannot_become_another_is_refused_with_ways_on,
    a_drop_and_a_rename_right_after_a_restart_are_followed,
);

/// A table, a row of each of its shapes, and every kind of change of its columns.
const CHANGES: [&str; 7] = [
    "ALTER TABLE people ADD gender TINYINT AFTER age",
    "INSERT INTO people VALUES (1012, 'Eve', 17, 0)",
    "ALTER TABLE people CHANGE age precise_age DOUBLE",
    "ALTER TABLE people RENAME COLUMN gender TO biological_sex",
    "ALTER TABLE people DROP COLUMN BIOLOGICAL_SEX",
    "INSERT INTO people VALUES (1013, 'Fiona', 16)",
    "ALTER TABLE people ADD nickname VARCHAR(20) FIRST",
];

/// Runs the changes under a behaviour; gives the sink's columns and its two rows, when `last` is there.
fn changed(kind: Kind, behaviour: &str, query: &str, want: &[&[&str]]) -> Vec<String> {
    changed_types(kind, behaviour, query, want).into_iter().map(|(name, _)| name).collect()
}

/// The same, with the columns' types.
fn changed_types(kind: Kind, behaviour: &str, query: &str, want: &[&[&str]]) -> Vec<(String, String)> {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql("CREATE TABLE people (id INT NOT NULL PRIMARY KEY, name VARCHAR(255), age INT)");
    let pipeline = Pipeline::new(&source, &emulator).option("schema.change.behavior", behaviour);
    let mut program = pipeline.start_and_wait();
    for statement in CHANGES {
        source.sql(statement);
    }
    sink.wait_for_rows(query, want);
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    let columns = sink.describe("people").map(|table| table.columns).unwrap_or_default();
    columns.into_iter().map(|column| (column.name, column.data_type.to_string())).collect()
}

fn lenient_keeps_what_the_source_drops_and_renames(kind: Kind) {
    let query = "SELECT id, name, age, gender, precise_age, biological_sex FROM people ORDER BY id";
    let columns = changed_types(
        kind,
        "LENIENT",
        query,
        &[&["1012", "Eve", "17.0", "0", "NULL", "NULL"], &["1013", "Fiona", "NULL", "NULL", "16.0", "NULL"]],
    );
    // As upstream's documentation has it: the column that `CHANGE` left behind was made a DOUBLE first.
    let want = [
        ("id", "INT"),
        ("name", "STRING"),
        ("age", "DOUBLE"),
        ("gender", "TINYINT"),
        ("precise_age", "DOUBLE"),
        ("biological_sex", "TINYINT"),
        ("nickname", "STRING"),
    ];
    assert_eq!(columns, want.map(|(name, data_type)| (name.to_owned(), data_type.to_owned())));
}

fn evolve_follows_the_source_to_the_letter(kind: Kind) {
    let columns = changed(
        kind,
        "EVOLVE",
        "SELECT id, name, precise_age FROM people ORDER BY id",
        &[&["1012", "Eve", "17.0"], &["1013", "Fiona", "16.0"]],
    );
    assert_eq!(columns, ["id", "name", "precise_age", "nickname"]);
}

fn ignore_keeps_the_table_as_it_was_made(kind: Kind) {
    let columns = changed(
        kind,
        "IGNORE",
        "SELECT id, name, age FROM people ORDER BY id",
        &[&["1012", "Eve", "17"], &["1013", "Fiona", "NULL"]],
    );
    assert_eq!(columns, ["id", "name", "age"]);
}

/// Which columns of a table take nulls.
fn nullable(sink: &Sink, table: &str) -> Vec<(String, bool)> {
    let columns = sink.describe(table).map(|t| t.columns).unwrap_or_default();
    columns.into_iter().map(|c| (c.name, c.nullable)).collect()
}

fn not_null_columns_are_opened_when_rows_may_lack_a_value(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(
        "CREATE TABLE people (id INT NOT NULL PRIMARY KEY, iina INT NOT NULL, name VARCHAR(9) NOT NULL, age SMALLINT NOT NULL);
         INSERT INTO people VALUES (1, 10, 'ada', 36)",
    );
    let pipeline = Pipeline::new(&source, &emulator).sink("create.not-null", "true");
    let mut program = pipeline.start();
    sink.wait_for_rows("SELECT id, name FROM people", &[&["1", "ada"]]);
    let of = |pairs: [(&str, bool); 4]| pairs.map(|(name, nullable)| (name.to_owned(), nullable)).to_vec();
    let strict = of([("id", false), ("iina", false), ("name", false), ("age", false)]);
    assert_eq!(nullable(&sink, "people"), strict);
    source.sql("ALTER TABLE people DROP COLUMN name, RENAME COLUMN iina TO yina, MODIFY age SMALLINT NULL");
    source.sql("INSERT INTO people VALUES (2, 20, NULL)");
    sink.wait_for_rows(
        "SELECT id, iina, name, age, yina FROM people ORDER BY id",
        &[&["1", "10", "ada", "36", "NULL"], &["2", "NULL", "NULL", "NULL", "20"]],
    );
    let open = of([("id", false), ("iina", true), ("name", true), ("age", true)]);
    assert_eq!(nullable(&sink, "people")[..4], open);
    program.assert_running();
}

fn a_table_that_fits_otherwise_is_reconciled(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    // Another order, another letter case, a wider type, a narrower type, a column more, one less, other buckets.
    sink.execute(
        "CREATE TABLE people (extra STRING, NAME STRING, ID BIGINT NOT NULL, age INT, PRIMARY KEY (ID)) \
         TBLPROPERTIES ('transactional'='true', 'write.bucket.num'='7')",
    );
    source.sql(
        "CREATE TABLE people (id INT NOT NULL PRIMARY KEY, name VARCHAR(9), age BIGINT, city VARCHAR(9));
         INSERT INTO people VALUES (1, 'ada', 36, 'london')",
    );
    let pipeline = Pipeline::new(&source, &emulator);
    let plan = pipeline.command("validate", &["--connect", "--json"]);
    let plan: serde_json::Value = serde_json::from_str(&plan.stdout).expect("JSON");
    let columns = plan["plan"]["tables"][0]["sinks"][0]["columns"].as_array().expect("columns").clone();
    let actions: Vec<_> = columns
        .iter()
        .map(|c| (c["column"].as_str().unwrap_or(""), c["action"].as_str().unwrap_or("")))
        .collect();
    let want = [("id", "keep"), ("name", "keep"), ("age", "widen"), ("city", "add"), ("extra", "keep")];
    assert_eq!(actions, want, "{plan}");
    assert_eq!(sink.columns("people"), ["extra", "name", "id", "age"], "nothing was changed");
    let mut program = pipeline.start();
    assert_eq!(wait_for_same_rows(&source, "people", &sink, "people"), 1);
    source.sql("INSERT INTO people VALUES (2, 'bob', 5000000000, 'paris'); DELETE FROM people WHERE id = 1");
    assert_eq!(wait_for_same_rows(&source, "people", &sink, "people"), 1);
    assert_eq!(sink.columns("people"), ["extra", "name", "id", "age", "city"]);
    program.assert_running();
}

fn a_type_that_cannot_become_another_is_refused_with_ways_on(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(
        "CREATE TABLE people (id INT NOT NULL PRIMARY KEY, born BIGINT);
         INSERT INTO people VALUES (1, 20010203)",
    );
    let pipeline = Pipeline::new(&source, &emulator).option("schema.change.behavior", "EVOLVE");
    let mut program = pipeline.start();
    sink.wait_for_rows("SELECT id, born FROM people", &[&["1", "20010203"]]);
    source.sql("ALTER TABLE people MODIFY born DATE");
    assert_eq!(program.wait(), Some(1), "{}", program.printed());
    let printed = program.printed();
    for part in [
        format!("{}.people", source.name()),
        "column `born` is BIGINT at the sink and becomes DATE".into(),
        "change the column by hand".into(),
        "under another name with a route".into(),
        "as text with a transform".into(),
    ] {
        assert!(printed.contains(&part), "no `{part}` in: {printed}");
    }
    // The default puts the least common type in its place and goes on.
    let lenient = pipeline.option("schema.change.behavior", "LENIENT");
    let mut program = lenient.start();
    source.sql("INSERT INTO people VALUES (2, '2001-02-04')");
    sink.wait_for_rows(
        "SELECT id, born FROM people ORDER BY id",
        &[&["1", "20010203"], &["2", "2001-02-04"]],
    );
    program.assert_running();
}

/// The first thing that a restarted pipeline sees of a table is its change.
fn a_drop_and_a_rename_right_after_a_restart_are_followed(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(
        "CREATE TABLE people (id INT NOT NULL PRIMARY KEY, a INT, b INT); INSERT INTO people VALUES (1, 2, 3)",
    );
    let pipeline = Pipeline::new(&source, &emulator).option("schema.change.behavior", "EVOLVE");
    let mut program = pipeline.start();
    sink.wait_for_rows("SELECT id, a, b FROM people", &[&["1", "2", "3"]]);
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    source.sql("ALTER TABLE people DROP COLUMN a, RENAME COLUMN b TO c");
    let mut program = pipeline.start_and_wait();
    sink.wait_for_rows("SELECT id, c FROM people", &[&["1", "3"]]);
    assert_eq!(sink.columns("people"), ["id", "c"]);
    program.assert_running();
}
