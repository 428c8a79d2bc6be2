//! What plugins remember of a sink table is that of the rows in it, whatever happens to the program: a count that is kept in
//! state has no gap and no number twice.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::process::ExitStatusExt as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::{
    Database, Emulator, Kind, Pipeline, Random, Server, Session, Sink, Sluicebox, eventually,
    on_both_servers, plugin, same_rows,
};

on_both_servers!(
    counts_survive_kills_at_any_moment,
    no_record_of_the_stream_is_a_bad_moment_for_a_count,
    no_record_of_the_snapshot_is_a_bad_moment_for_a_count,
    rows_without_their_key_are_handed_over_once,
);

/// The signal of a crash point.
const ABORT: i32 = 6;
/// More records than any run writes before it has caught up; reaching it is a failure.
const MOST_RECORDS: usize = 120;

const CUSTOMERS: [&str; 5] = ["ada", "grace", "edsger", "barbara", "żółć"];

/// An entry of `transform` that counts a table's changes by customer.
fn counting(source: &Database<'_>, table: &str, count: &str) -> String {
    format!(
        "  - source-table: {}.{table}\n    plugin:\n      - path: {}\n        config: {{ by: customer, column: changes }}\n",
        source.name(),
        plugin(count).display()
    )
}

/// An entry of `transform` behind which a table's rows have no key.
fn taking_the_key(source: &Database<'_>, table: &str) -> String {
    format!(
        "  - source-table: {}.{table}\n    plugin:\n      - path: {}\n        config: {{ does: take-key-away }}\n",
        source.name(),
        plugin("misbehaving").display()
    )
}

/// Rows of a query as texts; what went wrong while there are none.
fn rows(sink: &Sink, query: &str) -> Result<Vec<Vec<String>>, String> {
    let rows = sink.try_execute(query).map_err(|error| error.to_string())?.rows;
    let text = |cell: Option<String>| cell.unwrap_or_else(|| "NULL".to_owned());
    Ok(rows.into_iter().map(|row| row.into_iter().map(text).collect()).collect())
}

/// Each customer's rows of a table are numbered from 1, without a gap and without a number twice.
fn numbered(source: &Database<'_>, sink: &Sink, table: &str) -> Result<(), String> {
    let wanted = source.rows(&format!("SELECT customer, COUNT(*) FROM {table} GROUP BY customer"));
    let found = rows(sink, &format!("SELECT customer, changes FROM {table}"))?;
    let mut numbers: HashMap<String, Vec<u64>> = HashMap::new();
    for row in found {
        numbers.entry(row[0].clone()).or_default().push(row[1].parse().map_err(|_| format!("{row:?}"))?);
    }
    if numbers.len() != wanted.len() {
        return Err(format!("{table}: {} customers of {}", numbers.len(), wanted.len()));
    }
    for row in wanted {
        let (customer, count) = (row[0].clone().expect("a name"), row[1].clone().expect("a number"));
        let found = numbers.entry(customer.clone()).or_default();
        found.sort_unstable();
        if !found.iter().copied().eq(1..=count.parse::<u64>().expect("a number")) {
            return Err(format!("{table}: {customer} has {count} rows and the numbers {found:?}"));
        }
    }
    Ok(())
}

/// Rows of a keyed table as they should be: customer and number by key.
#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    rows: BTreeMap<u64, (String, i64)>,
    counts: HashMap<String, i64>,
}

impl Model {
    /// The table as the sink has it, and the counts that follow from it.
    fn of_sink(sink: &Sink, table: &str) -> Result<Self, String> {
        let mut model = Self::default();
        for row in rows(sink, &format!("SELECT id, customer, changes FROM {table}"))? {
            let number = |text: &str| text.parse::<i64>().map_err(|_| format!("{row:?}"));
            let changes = number(&row[2])?;
            let count = model.counts.entry(row[1].clone()).or_default();
            *count = changes.max(*count);
            model.rows.insert(number(&row[0])?.unsigned_abs(), (row[1].clone(), changes));
        }
        Ok(model)
    }

    fn count(&mut self, customer: &str) -> i64 {
        let count = self.counts.entry(customer.to_owned()).or_default();
        *count += 1;
        *count
    }

    /// A row is written with a customer.
    fn set(&mut self, id: u64, customer: &str) {
        let changes = self.count(customer);
        self.rows.insert(id, (customer.to_owned(), changes));
    }

    /// A row changes in something else.
    fn touch(&mut self, id: u64) {
        if let Some((customer, _)) = self.rows.get(&id).cloned() {
            self.set(id, &customer);
        }
    }

    fn delete(&mut self, id: u64) {
        if let Some((customer, _)) = self.rows.remove(&id) {
            self.count(&customer);
        }
    }

    fn same_as(&self, sink: &Sink, table: &str) -> Result<(), String> {
        let found = Self::of_sink(sink, table)?.rows;
        let differs = |id: &&u64| self.rows.get(id) != found.get(id);
        let different: Vec<_> = self.rows.keys().chain(found.keys()).filter(differs).take(3).collect();
        let pairs: Vec<_> = different.iter().map(|id| (id, self.rows.get(id), found.get(id))).collect();
        if pairs.is_empty() { Ok(()) } else { Err(format!("{table}: wanted and found: {pairs:?}")) }
    }
}

const CHUNK_SIZE: &str = "scan.incremental.snapshot.chunk.size";
const ROWS_PER_SECOND: &str = "scan.snapshot.max-rows-per-second";
const FIRST_ORDERS: u64 = 2_400;
const FIRST_HITS: u64 = 300;
const SNAPSHOT_KILLS: usize = 5;
const STREAM_KILLS: usize = 8;
/// How late a commit begins at the sink: some kills fall between *flushed* and *committed*.
const COMMIT_DELAY_MS: u64 = 200;

fn counts_survive_kills_at_any_moment(kind: Kind) {
    let mut random = Random::of_this_run(&format!("kills of counts on {kind:?}"));
    let server = Server::private(kind, &[]);
    server.sql(&format!("GRANT LOCK TABLES ON *.* TO {}@'%'", Server::USER));
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    for session in ["upsertid=", "uploadid="] {
        emulator
            .fault(&json!({ "method": "POST", "query": session, "delay-ms": COMMIT_DELAY_MS, "times": 0 }));
    }
    fill(&source, &mut random);
    let entries =
        counting(&source, "orders", "running-count") + &counting(&source, "hits", "running-count-c");
    let pipeline = Pipeline::new(&source, &emulator)
        .option("checkpoint.interval", "400ms")
        .source(CHUNK_SIZE, "40")
        .source(ROWS_PER_SECOND, "1000")
        .block(&format!("transform:\n{entries}"));
    for _ in 0..SNAPSHOT_KILLS {
        let mut program = pipeline.start();
        std::thread::sleep(random.millis(200, 1_800));
        source.sql(&hits(&mut random, 5));
        program.kill();
    }
    let pipeline = pipeline.source(ROWS_PER_SECOND, "1000000");
    let mut program = pipeline.start();
    for table in ["orders", "hits"] {
        eventually("rows of the snapshot, numbered", || {
            program.assert_running();
            numbered(&source, &sink, table)
        });
    }
    program.kill();

    let model = Mutex::new(Model::of_sink(&sink, "orders").expect("rows"));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let writing = random.branch();
        threads.spawn(|| write(&source, writing, &model, &is_over));
        let _stop = Stop(&is_over);
        for _ in 0..STREAM_KILLS {
            let mut program = pipeline.start();
            std::thread::sleep(random.millis(300, 2_500));
            program.assert_running();
            program.kill();
        }
    });
    let mut program = pipeline.start_and_wait();
    let model = model.into_inner().expect("the writer has not panicked");
    eventually("orders, numbered in their order", || {
        program.assert_running();
        model.same_as(&sink, "orders")
    });
    eventually("hits, numbered", || numbered(&source, &sink, "hits"));
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    let remembered = pipeline.status()["plugin_state"].clone();
    assert_eq!(remembered[0]["target"], "hits", "{remembered}");
    assert_eq!((&remembered[1]["plugin"], &remembered[1]["keys"]), (&json!("running-count"), &json!(5)));
}

/// Ends the writer when the scope is left, also by a panic.
struct Stop<'f>(&'f AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn fill(source: &Database<'_>, random: &mut Random) {
    source.sql(
        "CREATE TABLE orders (id BIGINT NOT NULL PRIMARY KEY, customer VARCHAR(20) NOT NULL, n INT NOT NULL);
         CREATE TABLE hits (customer VARCHAR(20) NOT NULL, n INT NOT NULL)",
    );
    let orders: Vec<String> =
        (0..FIRST_ORDERS).map(|id| format!("({id}, '{}', 0)", random.one_of(&CUSTOMERS))).collect();
    source.sql(&format!("INSERT INTO orders VALUES {}", orders.join(", ")));
    source.sql(&hits(random, FIRST_HITS));
}

fn hits(random: &mut Random, rows: u64) -> String {
    let rows: Vec<String> = (0..rows).map(|n| format!("('{}', {n})", random.one_of(&CUSTOMERS))).collect();
    format!("INSERT INTO hits VALUES {}", rows.join(", "))
}

/// Writes until it is told to stop, and keeps the model up to date.
fn write(source: &Database<'_>, mut random: Random, model: &Mutex<Model>, is_over: &AtomicBool) {
    let mut session = source.session();
    let mut next = FIRST_ORDERS;
    let mut model = model.lock().expect("nobody else has it now");
    while !is_over.load(Ordering::Relaxed) {
        transaction(&mut session, &mut random, &mut model, &mut next);
        std::thread::sleep(random.millis(1, 8));
    }
}

fn transaction(session: &mut Session, random: &mut Random, model: &mut Model, next: &mut u64) {
    let mut statements = vec!["BEGIN".to_owned()];
    for _ in 0..random.between(1, 5) {
        let (id, customer) = (random.below(*next), *random.one_of(&CUSTOMERS));
        statements.push(match random.below(7) {
            0 | 1 => {
                *next += 1;
                model.set(*next - 1, customer);
                format!("INSERT INTO orders VALUES ({}, '{customer}', 0)", *next - 1)
            }
            2 => {
                (id..=id + 6).for_each(|id| model.touch(id));
                format!("UPDATE orders SET n = n + 1 WHERE id BETWEEN {id} AND {} ORDER BY id", id + 6)
            }
            3 => {
                if model.rows.contains_key(&id) {
                    model.set(id, customer);
                }
                format!("UPDATE orders SET customer = '{customer}', n = n + 1 WHERE id = {id}")
            }
            4 => {
                model.delete(id);
                format!("DELETE FROM orders WHERE id = {id}")
            }
            5 => {
                *next += 1;
                if let Some((customer, _)) = model.rows.remove(&id) {
                    model.set(*next - 1, &customer);
                }
                format!("UPDATE orders SET id = {} WHERE id = {id}", *next - 1)
            }
            _ => hits(random, 3),
        });
    }
    statements.push("COMMIT".to_owned());
    session.sql(&statements.join("; "));
}

/// A partitioned Delta table, an ordinary one, and one of which most rows are dropped behind the count.
fn three_tables(source: &Database<'_>, emulator: &Emulator) -> Pipeline {
    source.sql(
        "CREATE TABLE visits (id BIGINT NOT NULL PRIMARY KEY, region VARCHAR(9) NOT NULL, customer VARCHAR(20) NOT NULL, n INT NOT NULL);
         CREATE TABLE hits (customer VARCHAR(20) NOT NULL, n INT NOT NULL);
         CREATE TABLE quiet (id BIGINT NOT NULL PRIMARY KEY, customer VARCHAR(20) NOT NULL, status VARCHAR(9) NOT NULL);
         INSERT INTO visits VALUES (1, 'north', 'ada', 0), (2, 'south', 'ada', 0), (3, 'west', 'grace', 0);
         INSERT INTO hits VALUES ('ada', 0), ('ada', 0), ('grace', 0)",
    );
    let database = source.name();
    let dropping = format!(
        "      - path: {}\n        config: {{ column: status, values: [hidden] }}\n",
        plugin("drop-cancelled").display()
    );
    let entries = counting(source, "visits", "running-count")
        + &counting(source, "hits", "running-count-c")
        + &counting(source, "quiet", "running-count")
        + &dropping;
    Pipeline::new(source, emulator).sink("buckets-num", "2").option("checkpoint.interval", "200ms").block(&format!(
        "transform:\n{entries}route:\n  - source-table: {database}.visits\n    sink-table: visits\n    partition-keys: region\n"
    ))
}

fn no_record_of_the_stream_is_a_bad_moment_for_a_count(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    let pipeline = three_tables(&source, &emulator);
    let (mut visits, mut quiet) = (Model::default(), Model::default());
    [(1, "ada"), (2, "ada"), (3, "grace")].into_iter().for_each(|(id, customer)| visits.set(id, customer));
    let all = |visits: &Model, quiet: &Model| {
        visits.same_as(&sink, "visits")?;
        quiet.same_as(&sink, "quiet")?;
        numbered(&source, &sink, "hits")
    };
    let mut program = pipeline.start_and_wait();
    eventually("the first rows", || all(&visits, &quiet));
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    let side = if kind == Kind::MySql { "before" } else { "after" };
    let mut round = 0_u64;
    let crashes = crash_until_it_ends(side, |at| {
        round += 1;
        // Each visit moves on to the next partition.
        source.sql(&format!(
            "UPDATE visits SET n = {round}, region = ELT(1 + ({round} + id) % 3, 'north', 'south', 'west') ORDER BY id;
             INSERT INTO hits VALUES ('ada', {round}), ('grace', {round}), ('ada', {round});
             INSERT INTO quiet VALUES ({}, 'ada', 'hidden'), ({}, 'ada', 'hidden')",
            4 * round,
            4 * round + 1
        ));
        (1..=3).for_each(|id| visits.touch(id));
        quiet.count("ada");
        quiet.count("ada");
        // Every second round the table has no session, and what is remembered of it moves all the same.
        if round.is_multiple_of(2) {
            source.sql(&format!("INSERT INTO quiet VALUES ({}, 'ada', 'shown')", 4 * round + 2));
            quiet.set(4 * round + 2, "ada");
        }
        run_at(&pipeline, at, &|| all(&visits, &quiet))
    });
    assert!(crashes >= 12, "{side}: only {crashes} records: sessions of five places are three each");
}

fn no_record_of_the_snapshot_is_a_bad_moment_for_a_count(kind: Kind) {
    let server = Server::shared(kind);
    let source = server.database();
    source.sql(
        "CREATE TABLE orders (id BIGINT NOT NULL PRIMARY KEY, customer VARCHAR(20) NOT NULL);
         CREATE TABLE hits (customer VARCHAR(20) NOT NULL, n INT NOT NULL);
         INSERT INTO hits VALUES ('ada', 0), ('ada', 0), ('grace', 0)",
    );
    let orders: Vec<String> = (0..60).map(|id| format!("({id}, '{}')", CUSTOMERS[id % 2])).collect();
    source.sql(&format!("INSERT INTO orders VALUES {}", orders.join(", ")));
    // A plugin takes its key away, so it is appended to an ordinary table.
    source.sql(
        "CREATE TABLE bare (id BIGINT NOT NULL PRIMARY KEY, customer VARCHAR(20) NOT NULL);
         INSERT INTO bare SELECT * FROM orders",
    );
    let side = if kind == Kind::MySql { "after" } else { "before" };
    let crashes = crash_until_it_ends(side, |at| {
        // A state of its own for each crash: that of the last one has the snapshot behind it.
        let emulator = Emulator::start();
        let sink = emulator.sink();
        let entries =
            counting(&source, "orders", "running-count") + &counting(&source, "hits", "running-count");
        let entries = entries + &taking_the_key(&source, "bare");
        let pipeline = Pipeline::new(&source, &emulator)
            .source(CHUNK_SIZE, "20")
            .sink("buckets-num", "2")
            .option("checkpoint.interval", "200ms")
            .block(&format!("transform:\n{entries}"));
        run_at(&pipeline, at, &|| {
            numbered(&source, &sink, "orders")?;
            same_rows(&source, "bare", &sink, "bare")?;
            numbered(&source, &sink, "hits")
        })
    });
    assert!(
        crashes >= 8,
        "{side}: only {crashes} records: chunks, schemas and sessions of two tables are more"
    );
}

/// Rows that come before and while a table is read are both in its snapshot and in the stream. Where a plugin has taken the key away the
/// sink table cannot make one of the two, so the table is read whole, at one place of the binlog.
fn rows_without_their_key_are_handed_over_once(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    server.sql(&format!("GRANT LOCK TABLES ON *.* TO {}@'%'", Server::USER));
    source.sql("CREATE TABLE bare (id BIGINT NOT NULL PRIMARY KEY, customer VARCHAR(20) NOT NULL)");
    let rows: Vec<String> = (0..4000).map(|n| format!("({}, 'first')", 2 * n)).collect();
    source.sql(&format!("INSERT INTO bare VALUES {}", rows.join(", ")));
    let pipeline = Pipeline::new(&source, &emulator)
        .source(CHUNK_SIZE, "20")
        .block(&format!("transform:\n{}", taking_the_key(&source, "bare")));
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut session = source.session();
            let mut random = Random::of_this_run("rows without a key");
            let mut left: Vec<u64> = (0..4000).map(|n| 2 * n + 1).collect();
            while !ended.load(Ordering::Relaxed) && !left.is_empty() {
                let place = usize::try_from(random.below(left.len() as u64)).expect("a place");
                session.sql(&format!("INSERT INTO bare VALUES ({}, 'later')", left.swap_remove(place)));
            }
            4000 - left.len()
        });
        let mut program = start_streaming(&pipeline);
        ended.store(true, Ordering::Relaxed);
        assert!(writer.join().expect("a writer that ends well") > 0, "nothing came while the table was read");
        eventually("each row once", || {
            program.assert_running();
            same_rows(&source, "bare", &emulator.sink(), "bare")
        });
    });
}

/// Crashes at each record until a run has none left; gives the number of crashes.
fn crash_until_it_ends(side: &str, mut run: impl FnMut(&str) -> bool) -> usize {
    let crashes = (1..=MOST_RECORDS).take_while(|number| run(&format!("{side}:{number}"))).count();
    assert!(crashes < MOST_RECORDS, "a run writes more than {MOST_RECORDS} records");
    crashes
}

/// Runs the program to its crash, and again without one until all is as it should be. False when the first run got to the end without
/// a crash.
fn run_at(pipeline: &Pipeline, at: &str, check: &dyn Fn() -> Result<(), String>) -> bool {
    let mut program = pipeline.start_to_crash(at);
    let settled = || {
        let status = pipeline.status();
        let read = |table: &Value| table["snapshot"] == "done";
        status["sessions"].as_array().is_some_and(Vec::is_empty)
            && status["tables"].as_array().is_some_and(|tables| tables.iter().all(read))
    };
    let crashed = eventually(&format!("a crash {at}, or the end"), || match program.ended() {
        Some(status) if status.signal() == Some(ABORT) => Ok(true),
        Some(status) => panic!("{at}: ended with {status}\n{}", program.printed()),
        None if program.printed().contains("pipeline running") && settled() => check().map(|()| false),
        None => Err(program.printed()),
    });
    if !crashed {
        match program.stop() {
            Some(0) => return false,
            // The record was one of the orderly end.
            None if program.ended().and_then(|status| status.signal()) == Some(ABORT) => {}
            code => panic!("{at}: ended with {code:?}\n{}", program.printed()),
        }
    }
    let mut program = pipeline.start_and_wait();
    eventually(&format!("after a crash {at}"), || {
        program.assert_running();
        check()
    });
    // Nothing may come after that.
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    check().unwrap_or_else(|difference| panic!("{at}: {difference}"));
    true
}

/// Runs a pipeline until it has read what there is: a change that comes before its row is read counts beside it.
fn start_streaming(pipeline: &Pipeline) -> Sluicebox {
    let mut program = pipeline.start_and_wait();
    eventually("the snapshot is done", || {
        program.assert_running();
        let tables = pipeline.status()["tables"].clone();
        let done = |tables: &Vec<Value>| tables.iter().all(|table| table["snapshot"] == "done");
        if tables.as_array().is_some_and(done) { Ok(()) } else { Err(tables.to_string()) }
    });
    program
}

#[test]
fn a_row_that_fails_is_counted_when_it_is_sent_again() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    source.sql("CREATE TABLE t (id BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL)");
    let pipeline = Pipeline::new(&source, &emulator).block(&format!(
        "transform:\n  - source-table: {}.t\n    plugin:\n      path: {}\n      config: {{ does: '${{file:does}}', at: 3 }}\n      on-error: dead-letter\n",
        source.name(),
        plugin("misbehaving").display()
    ));
    let does = |what: &str| std::fs::write(pipeline.folder().join("does"), what).expect("a file");
    let sink = emulator.sink();
    let names = "SELECT id, name FROM t ORDER BY id";
    for (what, first, wanted) in
        [("count-and-condemn", 1, ["1", "2", "3"]), ("count-in-state", 5, ["4", "5", "6"])]
    {
        does(what);
        let mut program = start_streaming(&pipeline);
        let before = sink.try_execute(names).map_or(0, |found| found.rows.len());
        // The one that fails is the third of the first batch; the second time it comes again in an update.
        let bad =
            if first == 1 { "INSERT INTO t VALUES (3, '')" } else { "UPDATE t SET name = 'x' WHERE id = 3" };
        source.sql(&format!(
            "BEGIN; INSERT INTO t VALUES ({first}, ''), ({}, ''); {bad}; INSERT INTO t VALUES ({}, ''); COMMIT",
            first + 1,
            first + 3
        ));
        eventually("rows with numbers", || {
            let found = rows(&sink, names)?;
            let numbers: Vec<&str> = found.iter().skip(before).map(|row| row[1].as_str()).collect();
            if numbers == wanted { Ok(()) } else { Err(format!("{found:?}")) }
        });
        eventually("a dead letter", || match &pipeline.status()["dead_letters"] {
            found if *found == json!(if first == 1 { 1 } else { 2 }) => Ok(()),
            found => Err(found.to_string()),
        });
        assert_eq!(program.stop(), Some(0), "{}", program.printed());
    }
    let replay = || crate::support::run(pipeline.folder(), &["dead-letters", "replay", "pipeline.yaml"]);
    assert_eq!(replay().code, Some(1), "they fail again");
    does("count-and-forgive");
    let replayed = replay();
    assert_eq!((replayed.code, replayed.stdout.as_str()), (Some(0), "2 delivered\n"), "{replayed:?}");
    // Each letter was one more event of the row.
    sink.wait_for_rows("SELECT name FROM t WHERE id = 3", &[&["8"]]);
    let mut program = pipeline.start_and_wait();
    source.sql("INSERT INTO t VALUES (100, '')");
    sink.wait_for_rows("SELECT name FROM t WHERE id = 100", &[&["9"]]);
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}

#[test]
fn each_sink_table_has_a_memory_of_its_own_and_expressions_see_the_count() {
    let server = Server::shared(Kind::MariaDb);
    let (source, emulator) = (server.database(), Emulator::start());
    let database = source.name();
    source.sql("CREATE TABLE orders (id BIGINT NOT NULL PRIMARY KEY, customer VARCHAR(20) NOT NULL)");
    let expressions = "    projection: '*, changes * 10 AS tenfold'\n    filter: changes <> 2\n";
    let entries = counting(&source, "orders", "running-count") + expressions;
    let two = format!(
        "  - source-table: {database}.orders\n    sink-table: one\n  - source-table: {database}.orders\n    sink-table: two\n"
    );
    let pipeline = Pipeline::new(&source, &emulator).block(&format!("transform:\n{entries}route:\n{two}"));
    let mut program = start_streaming(&pipeline);
    let sink = emulator.sink();
    source.sql("INSERT INTO orders VALUES (1, 'ada'), (2, 'ada'), (3, 'ada'), (4, 'grace')");
    for table in ["one", "two"] {
        let query = format!("SELECT id, changes, tenfold FROM {table} ORDER BY id");
        sink.wait_for_rows(&query, &[&["1", "1", "10"], &["3", "3", "30"], &["4", "1", "10"]]);
    }
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    let remembered = pipeline.status()["plugin_state"].clone();
    let of = |target: &str| json!({ "target": target, "plugin": "running-count", "keys": 2, "bytes": 10 });
    assert_eq!(remembered, json!([of("one"), of("two")]));
    // Other columns go on with what is remembered.
    source.sql("ALTER TABLE orders ADD COLUMN note INT NULL; INSERT INTO orders VALUES (5, 'ada', 7)");
    let mut program = pipeline.start_and_wait();
    sink.wait_for_rows("SELECT changes, note FROM two WHERE id = 5", &[&["4", "7"]]);
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}

#[test]
fn another_version_goes_on_with_what_the_last_one_remembers() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    source.sql("CREATE TABLE orders (id BIGINT NOT NULL PRIMARY KEY, customer VARCHAR(20) NOT NULL)");
    let pipeline = Pipeline::new(&source, &emulator).block(&format!(
        "transform:\n  - source-table: {}.orders\n    plugin: {{ path: count.wasm, config: {{ by: customer, column: changes }} }}\n",
        source.name()
    ));
    let put = |name: &str| {
        let new = pipeline.folder().join("new");
        std::fs::copy(plugin(name), &new).expect("a file");
        std::fs::rename(&new, pipeline.folder().join("count.wasm")).expect("a file in its place");
    };
    let sink = emulator.sink();
    let insert_and_wait = |id: u64| {
        source.sql(&format!("INSERT INTO orders VALUES ({id}, 'ada')"));
        let id = id.to_string();
        sink.wait_for_rows(&format!("SELECT changes FROM orders WHERE id = {id}"), &[&[&id]]);
    };
    put("running-count");
    let mut program = start_streaming(&pipeline);
    insert_and_wait(1);
    // In the middle of an epoch: what the one remembers is handed to the other before it is saved.
    put("running-count-c");
    let reloaded = crate::support::run(pipeline.folder(), &["plugin", "reload", "pipeline.yaml"]);
    assert_eq!(reloaded.code, Some(0), "{reloaded:?}");
    insert_and_wait(2);
    let module = plugin("running-count");
    let module = module.to_str().expect("a plain path");
    let arguments = ["plugin", "canary", "pipeline.yaml", "--plugin", "count", "--module", module];
    let compared = crate::support::run(pipeline.folder(), &arguments);
    let told = format!("{}{}", compared.stdout, compared.stderr);
    assert!(compared.code != Some(0) && told.contains("keeps state"), "{compared:?}");
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    put("running-count");
    let mut program = pipeline.start_and_wait();
    insert_and_wait(3);
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    let remembered = pipeline.status()["plugin_state"].clone();
    assert_eq!(remembered, json!([{ "target": "orders", "plugin": "count", "keys": 1, "bytes": 4 }]));
}
