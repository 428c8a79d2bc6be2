//! Changes that wait for an operator: the table stands, others go on, nothing is lost, whatever is killed.

use crate::support::{
    Database, Emulator, Kind, Pipeline, Server, eventually, on_both_servers, wait_for_same_rows,
};

on_both_servers!(
    a_change_waits_while_others_go_on_and_is_made_when_it_was_approved,
    a_change_that_waits_survives_stops_and_kills,
    a_change_inside_a_snapshot_waits_while_others_go_on,
    a_change_inside_the_snapshot_of_a_table_without_a_key_waits_too,
    a_snapshot_alone_ends_after_the_approval,
    a_drop_and_a_rename_wait_like_an_addition,
    a_table_that_a_start_finds_different_is_asked_for_first,
);

const TWO_TABLES: &str = "
    CREATE TABLE orders (id INT NOT NULL PRIMARY KEY, n INT); INSERT INTO orders VALUES (1, 1), (2, 2);
    CREATE TABLE others (id INT NOT NULL PRIMARY KEY, n INT); INSERT INTO others VALUES (1, 1);
    CREATE TABLE events (n INT); INSERT INTO events VALUES (1), (1)";

fn pipeline(source: &Database<'_>, emulator: &Emulator) -> Pipeline {
    Pipeline::new(source, emulator)
        .option("schema.change.approval", "required")
        .option("checkpoint.interval", "300ms")
}

/// What `status` says waits.
fn waiting(pipeline: &Pipeline) -> Vec<serde_json::Value> {
    pipeline.status()["waiting_changes"].as_array().cloned().unwrap_or_default()
}

fn wait_for_question(pipeline: &Pipeline) -> serde_json::Value {
    eventually("a change that waits", || waiting(pipeline).pop().ok_or_else(|| pipeline.status().to_string()))
}

fn a_change_waits_while_others_go_on_and_is_made_when_it_was_approved(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(TWO_TABLES);
    let pipeline = pipeline(&source, &emulator);
    let mut program = pipeline.start_and_wait();
    for table in ["orders", "others", "events"] {
        wait_for_same_rows(&source, table, &sink, table);
    }
    eventually("the snapshot is over", || {
        let status = pipeline.status();
        if status["phase"] == "streaming" && status["tables"][0]["snapshot"] == "done" {
            Ok(())
        } else {
            Err(status.to_string())
        }
    });
    let nothing = pipeline.command("schema", &[]);
    assert_ne!(nothing.code, Some(0), "`schema` alone is bad usage");
    source.sql(
        "INSERT INTO orders VALUES (3, 3); ALTER TABLE orders ADD note VARCHAR(9); UPDATE orders SET note = 'new'; INSERT INTO others VALUES (2, 2); INSERT INTO events VALUES (2)",
    );
    let question = wait_for_question(&pipeline);
    assert_eq!(question["table"], format!("{}.orders", source.name()));
    assert!(
        question["statements"][0].as_str().is_some_and(|s| s.contains("ADD COLUMNS (`note` STRING)")),
        "{question}"
    );
    // Everything before the change is there, nothing behind it, and the other tables go on.
    sink.wait_for_rows("SELECT id FROM orders ORDER BY id", &[&["1"], &["2"], &["3"]]);
    wait_for_same_rows(&source, "others", &sink, "others");
    wait_for_same_rows(&source, "events", &sink, "events");
    source.sql("INSERT INTO orders VALUES (4, 4, 'later'); INSERT INTO others VALUES (3, 3); INSERT INTO events VALUES (3)");
    wait_for_same_rows(&source, "others", &sink, "others");
    wait_for_same_rows(&source, "events", &sink, "events");
    assert_eq!(sink.columns("orders"), ["id", "n"]);
    program.assert_running();
    let other = run_approve(&pipeline, Some("no.such"));
    assert_eq!(other.code, Some(1), "{other:?}");
    let approved = run_approve(&pipeline, None);
    assert_eq!(approved.code, Some(0), "{approved:?}");
    assert!(approved.stdout.contains("ADD COLUMNS"), "{approved:?}");
    for table in ["orders", "others", "events"] {
        wait_for_same_rows(&source, table, &sink, table);
    }
    assert_eq!(sink.columns("orders"), ["id", "n", "note"]);
    assert_eq!(waiting(&pipeline), Vec::<serde_json::Value>::new());
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    for table in ["orders", "others", "events"] {
        wait_for_same_rows(&source, table, &sink, table);
    }
}

/// `schema approve` on the pipeline's file.
fn run_approve(pipeline: &Pipeline, table: Option<&str>) -> crate::support::Output {
    let mut arguments = vec!["schema", "approve", "pipeline.yaml"];
    arguments.extend(table);
    crate::support::run(pipeline.folder(), &arguments)
}

fn a_change_that_waits_survives_stops_and_kills(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(TWO_TABLES);
    let pipeline = pipeline(&source, &emulator);
    let mut program = pipeline.start_and_wait();
    for table in ["orders", "others", "events"] {
        wait_for_same_rows(&source, table, &sink, table);
    }
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    let mut program = pipeline.start_and_wait();
    source.sql("ALTER TABLE orders ADD note VARCHAR(9); UPDATE orders SET note = 'new'");
    wait_for_question(&pipeline);
    for round in 10..14 {
        // The ordinary table shows what comes twice.
        source.sql(&format!("INSERT INTO events VALUES ({round}); INSERT INTO others VALUES ({round}, 0); INSERT INTO orders VALUES ({round}, 0, 'x')"));
        wait_for_same_rows(&source, "events", &sink, "events");
        wait_for_same_rows(&source, "others", &sink, "others");
        if round % 2 == 0 {
            program.kill();
        } else {
            assert_eq!(program.stop(), Some(0), "{}", program.printed());
        }
        assert_eq!(waiting(&pipeline).len(), 1);
        program = pipeline.start_and_wait();
    }
    // A yes while it stands still counts as well.
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    assert_eq!(run_approve(&pipeline, Some(&format!("{}.orders", source.name()))).code, Some(0));
    let mut program = pipeline.start_and_wait();
    for table in ["orders", "others", "events"] {
        wait_for_same_rows(&source, table, &sink, table);
    }
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    for table in ["orders", "others", "events"] {
        wait_for_same_rows(&source, table, &sink, table);
    }
}

fn a_drop_and_a_rename_wait_like_an_addition(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(
        "CREATE TABLE orders (id INT NOT NULL PRIMARY KEY, n INT, note VARCHAR(9), kind INT);
         INSERT INTO orders VALUES (1, 1, 'a', 1), (2, 2, 'b', 2);
         CREATE TABLE events (n INT); INSERT INTO events VALUES (1), (1)",
    );
    let pipeline = pipeline(&source, &emulator).option("schema.change.behavior", "evolve");
    let mut program = pipeline.start_and_wait();
    for table in ["orders", "events"] {
        wait_for_same_rows(&source, table, &sink, table);
    }
    source.sql(
        "ALTER TABLE orders DROP COLUMN kind; INSERT INTO orders VALUES (3, 3, 'c');
         ALTER TABLE orders RENAME COLUMN note TO remark; INSERT INTO orders VALUES (4, 4, 'd'); INSERT INTO events VALUES (2)",
    );
    // One question after the other, each survives a kill and gets its own answer.
    for (statement, columns) in [("DROP", "id,n,note,kind"), ("CHANGE", "id,n,note")] {
        let question = wait_for_question(&pipeline);
        let asked = question["statements"][0].as_str().unwrap_or_default().to_owned();
        assert!(asked.contains(statement), "{question}");
        assert_eq!(sink.columns("orders").join(","), columns);
        program.kill();
        program = pipeline.start_and_wait();
        wait_for_same_rows(&source, "events", &sink, "events");
        assert_eq!(wait_for_question(&pipeline)["statements"][0].as_str(), Some(asked.as_str()));
        assert_eq!(run_approve(&pipeline, None).code, Some(0));
        eventually("another question, or none", || match waiting(&pipeline).first() {
            Some(other) if other["statements"][0] == *asked => Err(other.to_string()),
            _ => Ok(()),
        });
    }
    for table in ["orders", "events"] {
        wait_for_same_rows(&source, table, &sink, table);
    }
    assert_eq!(sink.columns("orders"), ["id", "n", "remark"]);
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}

/// The rest of the snapshot waits with it, and is read after the yes, also when the program was killed meanwhile.
fn a_change_inside_a_snapshot_waits_while_others_go_on(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(TWO_TABLES);
    let rows: Vec<String> = (10..3000).map(|id| format!("({id}, {id})")).collect();
    source.sql(&format!("INSERT INTO orders VALUES {}", rows.join(", ")));
    // A chunk in a second and a half: the change comes in the middle.
    let pipeline = pipeline(&source, &emulator)
        .source("scan.incremental.snapshot.chunk.size", "100")
        .source("scan.snapshot.max-rows-per-second", "400");
    let mut program = pipeline.start_and_wait();
    eventually("the first chunks", || match sink.describe("orders") {
        Some(_) if !sink.rows("SELECT id FROM orders LIMIT 1").is_empty() => Ok(()),
        _ => Err(program.printed()),
    });
    source.sql("ALTER TABLE orders ADD note VARCHAR(9); UPDATE orders SET note = 'new' WHERE id < 20");
    wait_for_question(&pipeline);
    for round in 2..4 {
        source.sql(&format!("INSERT INTO others VALUES ({round}, 0); INSERT INTO events VALUES ({round})"));
        for table in ["others", "events"] {
            wait_for_same_rows(&source, table, &sink, table);
        }
        assert_eq!(sink.columns("orders"), ["id", "n"]);
        program.assert_running();
        program.kill();
        program = pipeline.start_and_wait();
        wait_for_question(&pipeline);
    }
    assert_eq!(run_approve(&pipeline, None).code, Some(0));
    assert_eq!(wait_for_same_rows(&source, "orders", &sink, "orders"), 2992);
    eventually("the snapshot is over", || {
        let status = pipeline.status();
        let tables = status["tables"].as_array().cloned().unwrap_or_default();
        let whole = tables.iter().all(|table| table["snapshot"] == "done");
        if whole && waiting(&pipeline).is_empty() { Ok(()) } else { Err(status.to_string()) }
    });
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    for table in ["orders", "others", "events"] {
        wait_for_same_rows(&source, table, &sink, table);
    }
}

/// Of a table without a key nothing was committed, and nothing is until the yes.
fn a_change_inside_the_snapshot_of_a_table_without_a_key_waits_too(kind: Kind) {
    let server = Server::private(kind, &[]);
    // What is written while the snapshot opens must not come twice.
    server.sql(&format!("GRANT LOCK TABLES ON *.* TO {}@'%'", Server::USER));
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(TWO_TABLES);
    let rows: Vec<String> = (10..3000).map(|n| format!("({n})")).collect();
    source.sql("ALTER TABLE events MODIFY n INT NOT NULL");
    source.sql(&format!("INSERT INTO events VALUES {}", rows.join(", ")));
    // Cut by a column it is read slowly; at once it would be whole before anything can happen.
    let pipeline = pipeline(&source, &emulator)
        .source("scan.incremental.snapshot.chunk.key-column", &format!("{}.events:n", source.name()))
        .source("scan.incremental.snapshot.chunk.size", "100")
        .source("scan.snapshot.max-rows-per-second", "400");
    let mut program = pipeline.start_and_wait();
    program.wait_for_line("reading a table whole");
    // The server keeps a table from changes while it is read: only a reading that failed can meet one.
    program.kill();
    source.sql("ALTER TABLE events ADD note VARCHAR(9); INSERT INTO events VALUES (1, 'new')");
    program = pipeline.start_and_wait();
    wait_for_question(&pipeline);
    for round in 3..5 {
        source.sql(&format!(
            "INSERT INTO orders VALUES ({round}, 0); INSERT INTO events VALUES ({round}, 'more')"
        ));
        wait_for_same_rows(&source, "orders", &sink, "orders");
        assert_eq!(sink.rows("SELECT n FROM events LIMIT 1"), Vec::<Vec<Option<String>>>::new());
        assert_eq!(sink.columns("events"), ["n"]);
        program.assert_running();
        program.kill();
        program = pipeline.start_and_wait();
        wait_for_question(&pipeline);
    }
    assert_eq!(run_approve(&pipeline, None).code, Some(0));
    assert_eq!(wait_for_same_rows(&source, "events", &sink, "events"), 2995);
    eventually("nothing waits", || match waiting(&pipeline).pop() {
        None => Ok(()),
        Some(change) => Err(change.to_string()),
    });
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    for table in ["orders", "others", "events"] {
        wait_for_same_rows(&source, table, &sink, table);
    }
}

/// In `scan.startup.mode: snapshot` a change that waits is waited for.
fn a_snapshot_alone_ends_after_the_approval(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql(TWO_TABLES);
    let rows: Vec<String> = (10..2000).map(|id| format!("({id}, {id})")).collect();
    source.sql(&format!("INSERT INTO orders VALUES {}", rows.join(", ")));
    let pipeline = pipeline(&source, &emulator)
        .source("scan.startup.mode", "snapshot")
        .source("scan.incremental.snapshot.chunk.size", "100")
        .source("scan.snapshot.max-rows-per-second", "400");
    let mut program = pipeline.start_and_wait();
    eventually("the first chunks", || match sink.describe("orders") {
        Some(_) if !sink.rows("SELECT id FROM orders LIMIT 1").is_empty() => Ok(()),
        _ => Err(program.printed()),
    });
    source.sql("ALTER TABLE orders ADD note VARCHAR(9)");
    wait_for_question(&pipeline);
    program.wait_for_line("tables that wait for an operator");
    program.assert_running();
    assert_eq!(run_approve(&pipeline, None).code, Some(0));
    assert_eq!(program.wait(), Some(0), "{}", program.printed());
    assert_eq!(sink.columns("orders"), ["id", "n", "note"]);
    for table in ["orders", "others", "events"] {
        wait_for_same_rows(&source, table, &sink, table);
    }
}

fn a_table_that_a_start_finds_different_is_asked_for_first(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    sink.execute(
        "CREATE TABLE orders (id BIGINT NOT NULL, PRIMARY KEY (id)) TBLPROPERTIES ('transactional'='true', 'write.bucket.num'='4')",
    );
    source.sql(
        "CREATE TABLE orders (id INT NOT NULL PRIMARY KEY, n INT); INSERT INTO orders VALUES (1, 1), (2, 2)",
    );
    let pipeline = pipeline(&source, &emulator);
    for _ in 0..2 {
        let mut program = pipeline.start();
        assert_eq!(program.wait(), Some(1), "{}", program.printed());
        let printed = program.printed();
        assert!(
            printed.contains("nobody has approved that") && printed.contains("ADD COLUMNS (`n` INT)"),
            "{printed}"
        );
        assert_eq!(sink.columns("orders"), ["id"]);
        assert_eq!(waiting(&pipeline).len(), 1);
    }
    assert_eq!(run_approve(&pipeline, None).code, Some(0));
    let mut program = pipeline.start_and_wait();
    wait_for_same_rows(&source, "orders", &sink, "orders");
    assert_eq!(waiting(&pipeline), Vec::<serde_json::Value>::new());
    program.assert_running();
}
