//! What a pipeline file grants its plugins, and what it limits them to, holds while the pipeline runs.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use crate::support::{Emulator, Kind, Pipeline, Server, eventually, plugin};

#[test]
fn the_clock_and_what_of_wasi_is_named_are_there() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    source.sql(
        "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v VARCHAR(40) NOT NULL); INSERT INTO t VALUES (1, 'one');
         CREATE TABLE items (id INT NOT NULL PRIMARY KEY); INSERT INTO items VALUES (1)",
    );
    let transform = format!(
        "transform:
  - source-table: {database}.t
    plugin: {{ path: {}, config: {{ does: ask-time }}, clock: true }}
  - source-table: {database}.items
    plugin:
      path: {}
      wasi:
        clocks: true
        random: true
        stdio: true
        environment: {{ REGION: eu }}
        filesystem: {{ /model: model }}
",
        plugin("misbehaving").display(),
        plugin("asks-wasi").display(),
        database = source.name(),
    );
    let pipeline = Pipeline::new(&source, &emulator).block(&transform);
    std::fs::create_dir(pipeline.folder().join("model")).expect("a folder");
    let mut program = pipeline.start();
    let sink = emulator.sink();
    sink.wait_for_rows("SELECT id FROM t", &[&["1"]]);
    let time = sink.rows("SELECT v FROM t")[0][0].clone().unwrap_or_default();
    // Microseconds, between 2024 and 2100.
    let is_now =
        time.parse::<u64>().is_ok_and(|time| (1_700_000_000_000_000..4_102_444_800_000_000).contains(&time));
    assert!(is_now, "{time}");
    sink.wait_for_rows("SELECT variables, folders FROM items", &[&["REGION=eu", "/model"]]);
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}

/// Answers each question with what the table is then.
fn serve(table: &Arc<Mutex<String>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/countries.csv", listener.local_addr().expect("an address"));
    let table = Arc::clone(table);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let lines = BufReader::new(&stream).lines();
            // The head ends with an empty line; it is read whole, or closing would take the answer back.
            lines.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
            let body = table.lock().expect("no test panics here").clone();
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            stream.write_all(format!("{head}{body}").as_bytes()).expect("answered");
        }
    });
    url
}

#[test]
fn a_table_of_a_server_is_asked_for_again_while_rows_come() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    source
        .sql("CREATE TABLE t (id INT NOT NULL PRIMARY KEY, country CHAR(2)); INSERT INTO t VALUES (1, 'FR')");
    let table = Arc::new(Mutex::new("code,name\nFR,Frankreich\n".to_owned()));
    let transform = format!(
        "transform:
  - source-table: {}.t
    plugin:
      path: {}
      config: {{ table: countries, key: country, add: {{ name: name }} }}
      lookups: {{ countries: {{ url: '{}', key: code, refresh: 100ms }} }}
",
        source.name(),
        plugin("enrich").display(),
        serve(&table),
    );
    let pipeline = Pipeline::new(&source, &emulator).block(&transform);
    let mut program = pipeline.start();
    let sink = emulator.sink();
    sink.wait_for_rows("SELECT name FROM t WHERE id = 1", &[&["Frankreich"]]);
    *table.lock().expect("no test panics here") = "code,name\nFR,France\n".to_owned();
    let mut id = 1;
    eventually("a row with the new name", || {
        id += 1;
        source.sql(&format!("INSERT INTO t VALUES ({id}, 'FR')"));
        let found = sink.try_execute("SELECT COUNT(*) FROM t WHERE name = 'France'");
        let rows = found.map_err(|error| error.to_string())?.rows;
        if rows[0][0].as_deref() == Some("0") { Err(format!("{id} rows")) } else { Ok(()) }
    });
    sink.wait_for_rows("SELECT name FROM t WHERE id = 1", &[&["Frankreich"]]);
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}

#[test]
fn what_a_plugin_gives_back_and_logs_has_the_limits_of_the_file() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    source.sql(
        "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v VARCHAR(40) NOT NULL); INSERT INTO t VALUES (1, 'one')",
    );
    let pipeline = |config: &str| {
        Pipeline::new(&source, &emulator).block(&format!(
            "transform:\n  - source-table: {}.t\n    plugin: {{ path: {}, {config} }}\n",
            source.name(),
            plugin("misbehaving").display()
        ))
    };
    let huge = "config: { does: huge-output }, limits: { memory: 256MiB, output: 16MiB }";
    let gives = pipeline(huge);
    let mut program = gives.start();
    assert_ne!(program.wait(), Some(0), "{}", program.printed());
    assert!(program.printed().contains("it is more than `limits.output`"), "{}", program.printed());

    let talks = pipeline("config: { does: flood-log }, limits: { log-lines: 7 }");
    let mut program = talks.start();
    emulator.sink().wait_for_rows("SELECT v FROM t", &[&["one"]]);
    eventually("lines that were left out", || {
        let page = talks.metrics()?;
        let begin = "sluicebox_plugin_log_lines_dropped_total{plugin=\"misbehaving\"";
        let line = page.lines().find(|line| line.starts_with(begin)).ok_or(page.clone())?;
        let dropped = line.rsplit(' ').next().and_then(|value| value.parse::<u64>().ok());
        // Of 1,000; should they fall into two seconds, seven more get through.
        if dropped == Some(993) || dropped == Some(986) { Ok(()) } else { Err(line.to_owned()) }
    });
    assert!(program.printed().contains("line 6\""), "{}", program.printed());
    assert!(!program.printed().contains("line 500\""), "{}", program.printed());
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}
