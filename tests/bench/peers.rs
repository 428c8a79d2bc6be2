//! Other readers of the same binlog: the decoder of `mysql_async`, a Debezium engine, and the server's own `mysqlbinlog`.

use std::pin::Pin;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures_core::Stream;
use mysql_async::binlog::events::EventData;
use mysql_async::{BinlogStreamRequest, Conn, OptsBuilder};

use super::backlog::Backlog;
use super::support::{Database, Server, python, root, setting, wait};
use super::usage::{Figures, Usage};

/// An id that no other reader here has.
const SERVER_ID: u32 = 4_000_000_005;

/// Reads the backlog with `mysql_async` and has every value of every row made.
pub fn mysql_async(server: &Server, backlog: &Backlog) -> Figures {
    let options = OptsBuilder::default()
        .ip_or_hostname(server.host().to_owned())
        .tcp_port(server.port())
        .user(Some("root"))
        .prefer_socket(false);
    let (cpu, begin) = (Usage::of_us(), Instant::now());
    let rows = wait(async {
        let connection = Conn::new(options).await.expect("the server answers");
        let request = BinlogStreamRequest::new(SERVER_ID)
            .with_filename(backlog.start.file.as_bytes())
            .with_pos(backlog.start.offset)
            .with_non_blocking();
        let mut stream = connection.get_binlog_stream(request).await.expect("the stream opens");
        let mut rows: u64 = 0;
        while let Some(event) = std::future::poll_fn(|context| Pin::new(&mut stream).poll_next(context)).await
        {
            let event = event.expect("the stream goes on");
            if let Some(EventData::RowsEvent(event)) = event.read_data().expect("an event that it knows") {
                let map = stream.get_tme(event.table_id()).expect("a map of the table");
                for row in event.rows(map) {
                    std::hint::black_box(row.expect("a row"));
                    rows += 1;
                }
            }
        }
        rows
    });
    // The row that tells Debezium of the end is one more.
    assert_eq!(rows, backlog.rows + 1);
    Figures { took: begin.elapsed(), cpu: Usage::of_us().cpu - cpu.cpu, peak: None }
}

/// Has a Debezium engine read the backlog. Its time counts from its first batch to its last, so without the start of
/// its virtual machine; its processor time and memory are those of the whole process.
pub fn debezium(source: &Database<'_>, backlog: &Backlog) -> Figures {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str| std::fs::File::create(folder.path().join(name)).expect("a file for what it says");
    let server = source.server();
    let mut child = Command::new(python())
        .arg(root().join("tests/debezium/engine.py"))
        .args([server.host(), &server.port().to_string(), source.name(), "count"])
        .args([&backlog.start.file, &backlog.start.offset.to_string(), &backlog.start.gtids])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(file("stdout"))
        .stderr(file("stderr"))
        .spawn()
        .expect("Python starts");
    let used = Usage::until_end(child.id());
    let status = child.wait().expect("a child of ours");
    let said = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("what it said");
    assert!(status.success(), "Debezium ended with {status}: {}", said("stderr"));
    let answer = said("stdout").lines().find_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let answer = answer.expect("a count");
    assert_eq!(answer["changes"].as_u64(), Some(backlog.rows), "changes that it saw");
    let took = Duration::from_secs_f64(answer["seconds"].as_f64().expect("seconds"));
    Figures { took, ..used }
}

/// The client program of the server's own release, on the same log, printing to nowhere.
pub fn mysqlbinlog(server: &Server, backlog: &Backlog) -> Figures {
    let mut child = Command::new(setting("SLUICEBOX_TEST_SERVERS"))
        .args(["binlog", "mysql", "--read-from-remote-server"])
        .args(["--ssl-mode=DISABLED", "--user=root", "--to-last-log"])
        .args([format!("--host={}", server.host()), format!("--port={}", server.port())])
        .args([format!("--start-position={}", backlog.start.offset), backlog.start.file.clone()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("scripts/servers starts");
    let figures = Usage::until_end(child.id());
    let status = child.wait().expect("a child of ours");
    assert!(status.success(), "mysqlbinlog ended with {status}");
    figures
}
