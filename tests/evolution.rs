//! What schema changes of the source do to the sink table, by each behaviour, and how a table that was there before is taken.

use crate::support::{
    Emulator, Kind, Pipeline, Server, Sink, Sluicebox, eventually, on_both_servers, wait_for_same_rows,
};

on_both_servers!(
    lenient_keeps_what_the_source_drops_and_renames,
    evolve_follows_the_source_to_the_letter,
    ignore_keeps_the_table_as_it_was_made,
    not_null_columns_are_opened_when_rows_may_lack_a_value,
    a_table_that_fits_otherwise_is_reconciled,
    a_type_that_cannot_become_another_is_refused_with_ways_on,
    a_drop_and_a_rename_right_after_a_restart_are_followed,
    names_that_one_statement_takes_away_and_gives_again_are_followed,
    what_does_not_fit_a_column_that_stays_is_null,
    what_is_excluded_does_not_reach_the_table_and_what_is_not_does,
    exception_stops_at_a_change_and_at_nothing_else,
    comments_reach_the_sink_where_they_are_wanted,
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
    // A zone that the server is not in changes no value, and is told.
    let pipeline = Pipeline::new(&source, &emulator).source("server-time-zone", "\"+09:00\"");
    let plan = pipeline.command("validate", &["--connect", "--json"]);
    let plan: serde_json::Value = serde_json::from_str(&plan.stdout).expect("JSON");
    let findings = plan["plan"]["findings"].as_array().expect("findings");
    let zone = findings.iter().find(|finding| finding["check"] == "time-zone").expect("the zone");
    assert_eq!(zone["refuses"], false, "{zone}");
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

/// A statement's clauses mean the columns as they were before it; rows that nobody writes again show whose values are where.
fn names_that_one_statement_takes_away_and_gives_again_are_followed(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(
        "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, a INT, b INT, c INT, d INT);
         INSERT INTO t VALUES (1, 10, 20, 30, 40)",
    );
    let pipeline = Pipeline::new(&source, &emulator).option("schema.change.behavior", "EVOLVE");
    let mut program = pipeline.start();
    sink.wait_for_rows("SELECT id, a, b, c, d FROM t", &[&["1", "10", "20", "30", "40"]]);
    source.sql("ALTER TABLE t CHANGE a b INT, CHANGE b a INT; INSERT INTO t (id, a, b) VALUES (2, 21, 22)");
    sink.wait_for_rows(
        "SELECT id, a, b, c FROM t ORDER BY id",
        &[&["1", "20", "10", "30"], &["2", "21", "22", "NULL"]],
    );
    source
        .sql("ALTER TABLE t DROP COLUMN c, ADD COLUMN c VARCHAR(9); INSERT INTO t (id, c) VALUES (3, 'new')");
    sink.wait_for_rows("SELECT id, c FROM t ORDER BY id", &[&["1", "NULL"], &["2", "NULL"], &["3", "new"]]);
    source.sql("ALTER TABLE t DROP COLUMN d, CHANGE a d BIGINT, ADD COLUMN a INT; INSERT INTO t (id, d) VALUES (4, 5000000000)");
    sink.wait_for_rows(
        "SELECT id, a, b, c, d FROM t ORDER BY id",
        &[
            &["1", "NULL", "10", "NULL", "20"],
            &["2", "NULL", "22", "NULL", "21"],
            &["3", "NULL", "NULL", "new", "NULL"],
            &["4", "NULL", "NULL", "NULL", "5000000000"],
        ],
    );
    assert_eq!(sink.columns("t"), ["id", "b", "d", "c", "a"]);
    program.assert_running();
}

/// Three files say that the column stays as it is: what has no way into it is null, is counted, and stops nothing, also after a restart.
fn what_does_not_fit_a_column_that_stays_is_null(kind: Kind) {
    let server = Server::shared(kind);
    let source = server.database();
    source.sql("CREATE TABLE t (id INT NOT NULL PRIMARY KEY, n INT); INSERT INTO t VALUES (1, 1)");
    let emulators = [(); 3].map(|()| Emulator::start());
    let sinks = emulators.each_ref().map(Emulator::sink);
    let [ignore, off, excluded] = emulators.each_ref().map(|emulator| Pipeline::new(&source, emulator));
    let pipelines = [
        ignore.option("schema.change.behavior", "IGNORE"),
        off.option("schema.change.behavior", "EVOLVE").source("schema-change.enabled", "false"),
        excluded.sink("exclude.schema.changes", "[alter.column.type]"),
    ];
    let mut programs = pipelines.each_ref().map(Pipeline::start_and_wait);
    let all = |query: &str, want: &[&[&str]]| sinks.iter().for_each(|sink| sink.wait_for_rows(query, want));
    all("SELECT id, n FROM t", &[&["1", "1"]]);
    source.sql(
        "ALTER TABLE t MODIFY n BIGINT; INSERT INTO t VALUES (2, 5000000000), (3, 3);
         ALTER TABLE t ADD more INT, MODIFY n VARCHAR(20); INSERT INTO t VALUES (4, 'four', 4)",
    );
    let query = "SELECT id, n FROM t ORDER BY id";
    let want: [&[&str]; 4] = [&["1", "1"], &["2", "NULL"], &["3", "3"], &["4", "NULL"]];
    all(query, &want);
    for (pipeline, program) in pipelines.iter().zip(&mut programs) {
        assert_eq!(pipeline.counter("sink_values_nulled_total"), Ok(1), "5000000000");
        assert_eq!(program.stop(), Some(0), "{}", program.printed());
    }
    let plan = pipelines[0].command("validate", &["--connect"]);
    for part in [
        "keep n: INT -> STRING; values that have no way into its type are null",
        "keep more: (none) -> INT; rows are written without it",
    ] {
        assert!(plan.code == Some(0) && plan.stdout.contains(part), "no `{part}` in {plan:?}");
    }
    // The first rows of a run tell what the table lacks.
    let mut programs = pipelines.each_ref().map(Pipeline::start_and_wait);
    source.sql("INSERT INTO t VALUES (5, '5', 5)");
    all(query, &[&want[..], &[&["5", "NULL"][..]]].concat());
    for (sink, columns) in sinks.iter().zip(["id,n", "id,n", "id,n,more"]) {
        assert_eq!(sink.columns("t").join(","), columns);
    }
    programs.iter_mut().for_each(Sluicebox::assert_running);
}

fn what_is_excluded_does_not_reach_the_table_and_what_is_not_does(kind: Kind) {
    let server = Server::shared(kind);
    let source = server.database();
    source.sql(
        "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, a INT, b INT); INSERT INTO t VALUES (1, 1, 1), (2, 2, 2);
         CREATE TABLE gone (id INT NOT NULL PRIMARY KEY); INSERT INTO gone VALUES (1)",
    );
    let emulators = [(); 3].map(|()| Emulator::start());
    let [follows, keeps, lacks] = emulators.each_ref().map(Emulator::sink);
    let [all, some, none] = emulators
        .each_ref()
        .map(|emulator| Pipeline::new(&source, emulator).option("schema.change.behavior", "EVOLVE"));
    let some = some.sink("exclude.schema.changes", "[truncate.table, drop]");
    let mut programs = [all.start_and_wait(), some.start_and_wait()];
    for sink in [&follows, &keeps] {
        sink.wait_for_rows("SELECT id, a FROM t ORDER BY id", &[&["1", "1"], &["2", "2"]]);
        sink.wait_for_rows("SELECT id FROM gone", &[&["1"]]);
    }
    source.sql(
        "TRUNCATE TABLE t; ALTER TABLE t DROP COLUMN a; ALTER TABLE t RENAME COLUMN b TO c, ADD d INT;
         INSERT INTO t VALUES (3, 3, 3); DROP TABLE gone",
    );
    follows.wait_for_rows("SELECT id, c, d FROM t", &[&["3", "3", "3"]]);
    keeps.wait_for_rows(
        "SELECT id, a, c, d FROM t ORDER BY id",
        &[&["1", "1", "1", "NULL"], &["2", "2", "2", "NULL"], &["3", "NULL", "3", "3"]],
    );
    eventually("the table goes", || match follows.tables() {
        tables if tables == ["t"] => Ok(()),
        tables => Err(format!("{tables:?}")),
    });
    for program in &mut programs {
        assert_eq!(program.stop(), Some(0), "{}", program.printed());
    }
    assert_eq!(keeps.tables(), ["gone", "t"]);
    assert_eq!(keeps.rows("SELECT id FROM gone"), [[Some("1".to_owned())]]);
    // Where no table may be made, one that is missing is an error, and `validate` says so first.
    let none = none.sink("exclude.schema.changes", "[create]");
    let plan = none.command("validate", &["--connect"]);
    assert!(plan.code == Some(3) && plan.stdout.contains("has `create.table` in it"), "{plan:?}");
    let mut program = none.start();
    assert_eq!(program.wait(), Some(3), "{}", program.printed());
    assert!(program.printed().contains("make the table by hand"), "{}", program.printed());
    assert_eq!(lacks.tables(), Vec::<String>::new());
}

fn exception_stops_at_a_change_and_at_nothing_else(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql("CREATE TABLE t (id INT NOT NULL PRIMARY KEY, n INT); INSERT INTO t VALUES (1, 1)");
    let pipeline = Pipeline::new(&source, &emulator)
        .source("scan.binlog.newly-added-table.enabled", "true")
        .option("schema.change.behavior", "EXCEPTION");
    let mut program = pipeline.start_and_wait();
    sink.wait_for_rows("SELECT id, n FROM t", &[&["1", "1"]]);
    source.sql(
        "ALTER TABLE t ALTER COLUMN n SET DEFAULT 7; ALTER TABLE t ADD UNIQUE KEY (n);
         ALTER TABLE t DEFAULT CHARACTER SET latin1; ALTER TABLE t COMMENT = 'numbers';
         CREATE TABLE later (id INT NOT NULL PRIMARY KEY); INSERT INTO later VALUES (1); INSERT INTO t (id) VALUES (2)",
    );
    sink.wait_for_rows("SELECT id, n FROM t ORDER BY id", &[&["1", "1"], &["2", "7"]]);
    sink.wait_for_rows("SELECT id FROM later", &[&["1"]]);
    program.assert_running();
    source.sql("INSERT INTO t VALUES (3, 3); ALTER TABLE t ADD more INT; INSERT INTO t VALUES (4, 4, 4)");
    assert_eq!(program.wait(), Some(1), "{}", program.printed());
    let message = format!(
        "schema change of `{}.t` is not allowed: `schema.change.behavior` is `EXCEPTION`",
        source.name()
    );
    assert!(program.printed().contains(&message), "{}", program.printed());
    // What came before it is there, and nothing behind it.
    sink.wait_for_rows("SELECT id FROM t ORDER BY id", &[&["1"], &["2"], &["3"]]);
    assert_eq!(sink.columns("t"), ["id", "n"]);
    assert_eq!(pipeline.start().wait(), Some(1), "a restart comes to it again");
    let pipeline = pipeline.option("schema.change.behavior", "LENIENT");
    let mut program = pipeline.start();
    sink.wait_for_rows("SELECT id, more FROM t WHERE id = 4", &[&["4", "4"]]);
    program.assert_running();
}

/// The comments of a table's columns.
fn comments(sink: &Sink, table: &str) -> Vec<Option<String>> {
    sink.describe(table).map_or_else(Vec::new, |t| t.columns.into_iter().map(|c| c.comment).collect())
}

fn comments_reach_the_sink_where_they_are_wanted(kind: Kind) {
    let server = Server::shared(kind);
    let source = server.database();
    source.sql("CREATE TABLE t (id INT NOT NULL PRIMARY KEY, n INT COMMENT 'it''s old', m INT) COMMENT 'first'; INSERT INTO t VALUES (1, 1, 1)");
    let emulators = [(); 2].map(|()| Emulator::start());
    let [told, silent] = emulators.each_ref().map(Emulator::sink);
    let [with, without] = emulators.each_ref().map(|emulator| {
        Pipeline::new(&source, emulator).source("scan.binlog.newly-added-table.enabled", "true")
    });
    let with = with.source("include-comments.enabled", "true");
    let mut programs = [with.start(), without.start()];
    let both = |query: &str, want: &[&[&str]]| {
        [&told, &silent].iter().for_each(|sink| sink.wait_for_rows(query, want))
    };
    both("SELECT id FROM t", &[&["1"]]);
    source.sql(
        "ALTER TABLE t MODIFY n INT COMMENT 'new', MODIFY m BIGINT COMMENT 'wider', ADD more INT COMMENT 'added', COMMENT = 'second';
         INSERT INTO t VALUES (2, 2, 2, 2);
         CREATE TABLE later (id INT NOT NULL PRIMARY KEY, n INT COMMENT 'column') COMMENT 'table'; INSERT INTO later VALUES (1, 1)",
    );
    both("SELECT id FROM t ORDER BY id", &[&["1"], &["2"]]);
    both("SELECT id FROM later", &[&["1"]]);
    let text = |comments: Vec<Option<String>>| -> Vec<String> {
        comments.into_iter().map(Option::unwrap_or_default).collect()
    };
    assert_eq!(text(comments(&told, "t")), ["", "new", "wider", "added"]);
    assert_eq!(text(comments(&told, "later")), ["", "column"]);
    assert_eq!(text(comments(&silent, "t")), [""; 4]);
    assert_eq!(text(comments(&silent, "later")), [""; 2]);
    let table = |sink: &Sink, name: &str| sink.describe(name).and_then(|t| t.comment).unwrap_or_default();
    assert_eq!((table(&told, "t"), table(&told, "later")), ("second".into(), "table".into()));
    assert_eq!((table(&silent, "t"), table(&silent, "later")), (String::new(), String::new()));
    programs.iter_mut().for_each(Sluicebox::assert_running);
}
