//! JSON documents of which only the difference is written (`binlog_row_value_options=PARTIAL_JSON`).

use crate::support::{Emulator, Kind, Pipeline, Random, Server, wait_for_same_rows};

const ROWS: u64 = 8;
const STATEMENTS: usize = 400;
const REFUSED: i32 = 3;

const KEYS: &[&str] = &["a", "b", "cc", "größe", "with space", "q\\\\\"uote", "a.b"];

/// A value that MySQL's JSON functions take.
fn value(random: &mut Random) -> String {
    match random.below(14) {
        0 => "NULL".to_owned(),
        1 => "TRUE".to_owned(),
        2 => random.below(40_000).to_string(),
        3 => format!("-{}.{}e{}", random.below(10), random.below(1000), random.below(30)),
        4 => "CAST('12.3400' AS DECIMAL(10,4))".to_owned(),
        5 => "TIMESTAMP '2024-02-29 12:34:56.789'".to_owned(),
        6 => format!("REPEAT('x', {})", random.below(300)),
        7 => "CAST('[]' AS JSON)".to_owned(),
        8 => "CAST('{}' AS JSON)".to_owned(),
        9 => format!("REPEAT('long', {})", random.below(20_000)),
        10..=12 => format!("CAST('{}' AS JSON)", document(random, 2)),
        _ => "'größe \"and\" more'".to_owned(),
    }
}

/// A document's text, as it stands in a string of SQL.
fn document(random: &mut Random, depth: u64) -> String {
    let part = |random: &mut Random| match depth {
        0 => (*random.one_of(&["1", "null", "70000", "1.5", "\"text\"", "false", "-9000000000"])).to_owned(),
        _ => document(random, depth - 1),
    };
    let count = random.below(4);
    match random.below(3) {
        0 => part(random),
        1 => {
            let items: Vec<String> = (0..count).map(|_| part(random)).collect();
            format!("[{}]", items.join(", "))
        }
        _ => {
            let members: Vec<String> =
                (0..count).map(|_| format!("\"{}\": {}", random.one_of(KEYS), part(random))).collect();
            format!("{{{}}}", members.join(", "))
        }
    }
}

fn path(random: &mut Random) -> String {
    let legs = random.between(1, 4);
    let leg = |random: &mut Random| match random.below(5) {
        0 => format!("[{}]", random.below(4)),
        1 => "[last]".to_owned(),
        _ => format!(".\"{}\"", random.one_of(KEYS)),
    };
    (0..legs).fold("$".to_owned(), |path, _| path + &leg(random))
}

/// A change that MySQL can write as a difference.
fn change(column: &str, random: &mut Random) -> String {
    let mut changed = column.to_owned();
    for _ in 0..random.between(1, 4) {
        let path = path(random);
        changed = match random.below(4) {
            0 => format!("JSON_REMOVE({changed}, '{path}')"),
            1 => format!("JSON_REPLACE({changed}, '{path}', {})", value(random)),
            _ => format!("JSON_SET({changed}, '{path}', {})", value(random)),
        };
    }
    format!("{column} = {changed}")
}

/// Random documents, changed at random: each is in the sink what it is in the table.
#[test]
fn differences_of_documents_make_the_documents_that_the_server_has() {
    differences("FULL");
}

/// The images leave out what they need not have, and documents are no part of that.
#[test]
fn differences_of_documents_are_understood_where_other_columns_are_left_out() {
    differences("NOBLOB");
}

fn differences(image: &str) {
    let mut random = Random::of_this_run("differences of documents");
    let image_option = format!("--binlog-row-image={image}");
    let server = Server::private(Kind::MySql, &["--binlog-row-value-options=PARTIAL_JSON", &image_option]);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source.sql("CREATE TABLE t (id INT PRIMARY KEY, one JSON, n INT, two JSON, s VARCHAR(20), l TEXT)");
    for id in 0..ROWS {
        let (one, two) = (document(&mut random, 3), document(&mut random, 3));
        source.sql(&format!("INSERT INTO t VALUES ({id}, '{one}', {id}, '{two}', 'text', 'long')"));
    }
    let lacks = (image != "FULL").to_string();
    let pipeline = Pipeline::new(&source, &emulator).sink("partial-update.enabled", &lacks);
    let mut program = pipeline.start_and_wait();
    let mut session = source.session();
    for number in 0..STATEMENTS {
        let (one, two) = (change("one", &mut random), change("two", &mut random));
        let set = match random.below(8) {
            0 => format!("{one}, {two}"),
            1 => format!("{two}, n = n + 1"),
            2 => format!("n = {number}"),
            3 => format!("one = '{}', {two}", document(&mut random, 3)),
            4 if number % 7 == 0 => "one = NULL".to_owned(),
            5 => format!("{two}, l = REPEAT('l', {number})"),
            6 => two,
            _ => one,
        };
        let id = random.below(ROWS);
        session.sql(&format!("UPDATE t SET {set} WHERE id BETWEEN {id} AND {}", id + random.below(3)));
    }
    wait_for_same_rows(&source, "t", &sink, "t");
    program.assert_running();
    // Whether any of it was written as a difference is the server's choice.
    let files = source.rows("SHOW BINARY LOGS");
    let mut differences = 0;
    for file in &files {
        let events = source.rows(&format!("SHOW BINLOG EVENTS IN '{}'", file[0].as_deref().expect("a name")));
        differences +=
            events.iter().filter(|event| event[2].as_deref() == Some("Update_rows_partial")).count();
    }
    assert!(differences > STATEMENTS / 2, "{differences} events of differences");
}

/// Of a document that the image before does not hold nothing can be made.
#[test]
fn a_difference_without_its_document_stops_the_pipeline() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    source
        .sql("CREATE TABLE t (id INT PRIMARY KEY, n INT, j JSON); INSERT INTO t VALUES (1, 1, '{\"a\": 1}')");
    let pipeline = Pipeline::new(&source, &emulator).sink("partial-update.enabled", "true");
    let mut program = pipeline.start_and_wait();
    let mut session = source.session();
    session.sql(
        "SET SESSION binlog_row_image = 'MINIMAL', binlog_row_value_options = 'PARTIAL_JSON';
         UPDATE t SET n = 2; UPDATE t SET j = '{\"b\": [1, 2, 3], \"c\": \"some text that is longer\"}'",
    );
    wait_for_same_rows(&source, "t", &sink, "t");
    session.sql("UPDATE t SET j = JSON_SET(j, '$.c', 4)");
    assert_eq!(program.wait(), Some(REFUSED), "{}", program.printed());
    for part in ["the documents of the column `j`", "PARTIAL_JSON"] {
        assert!(program.printed().contains(part), "no {part} in {}", program.printed());
    }
}
