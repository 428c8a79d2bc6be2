//! How a server is reached: sockets, addresses, certificates, ways to prove a password, dead links, and another server in its
//! place.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{
    Database, Emulator, Kind, Pipeline, Server, Session, eventually, on_both_servers, wait_for_same_rows,
};

on_both_servers!(
    a_server_is_read_over_its_unix_socket,
    a_server_is_read_over_ipv6,
    a_server_is_read_over_compressed_connections,
    a_link_that_stalls_is_noticed_and_replaced,
    a_snapshot_goes_on_when_its_links_stall,
    a_stop_waits_for_no_server,
    another_server_id_of_the_range_is_taken,
    another_server_is_read_when_the_first_one_dies,
    a_server_under_the_same_name_must_have_what_was_read,
    a_snapshot_waits_for_a_replica_that_lags,
);

/// How the program ends when it must not go on.
const REFUSED: i32 = 3;

fn with_rows(source: &Database<'_>) {
    source.sql("CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 1), (2, 2)");
}

/// Snapshot and stream both work.
fn assert_reads(source: &Database<'_>, emulator: &Emulator, pipeline: &Pipeline) {
    let mut program = pipeline.start();
    wait_for_same_rows(source, "t", &emulator.sink(), "t");
    source.sql("UPDATE t SET v = v + 1; INSERT INTO t SELECT MAX(id) + 1, 0 FROM t");
    wait_for_same_rows(source, "t", &emulator.sink(), "t");
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}

fn a_server_is_read_over_its_unix_socket(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    with_rows(&source);
    let socket = server.rows("SELECT @@socket")[0][0].clone().expect("a path");
    // No port, so that nothing else can be meant.
    let pipeline = Pipeline::new(&source, &emulator).source("hostname", &socket).source("port", "1");
    assert_reads(&source, &emulator, &pipeline);
    let demanded =
        Pipeline::new(&source, &emulator).source("hostname", &socket).source("ssl.mode", "required");
    let checked = demanded.command("validate", &[]);
    assert!(
        checked.code != Some(0) && checked.stderr.contains("cannot be demanded of a Unix socket"),
        "{checked:?}"
    );
}

fn a_server_is_read_over_ipv6(kind: Kind) {
    assert!(TcpListener::bind("[::1]:0").is_ok(), "this machine has no IPv6, so that it cannot be tested");
    let server = Server::private(kind, &["--bind-address=127.0.0.1,::1"]);
    let (source, emulator) = (server.database(), Emulator::start());
    with_rows(&source);
    for host in ["::1".to_owned(), format!("[::1]:{}", server.port())] {
        let pipeline = Pipeline::new(&source, &emulator).source("hostname", &format!("'{host}'"));
        assert_reads(&source, &emulator, &pipeline);
    }
}

fn a_server_is_read_over_compressed_connections(kind: Kind) {
    let server = Server::private(kind, &["--max-allowed-packet=64M"]);
    let (source, emulator) = (server.database(), Emulator::start());
    // A row is longer than a packet of the protocol, in the snapshot and in the stream.
    source.sql("CREATE TABLE t (id INT PRIMARY KEY, v INT, a LONGTEXT, b LONGBLOB, c LONGTEXT)");
    let large = |id: u32| {
        format!(
            "INSERT INTO t VALUES ({id}, 0, REPEAT('{id}a', 3900000), REPEAT(x'0{id}ff', 3900000), REPEAT('{id}b', 3900000))"
        )
    };
    source.sql(&large(1));
    for (mode, algorithm) in [("disabled", "zstd"), ("required", "zlib")] {
        let pipeline = Pipeline::new(&source, &emulator)
            .source("jdbc.properties.useCompression", "true")
            .source("jdbc.properties.compressionAlgorithm", algorithm)
            .source("ssl.mode", mode);
        let mut program = pipeline.start();
        wait_for_same_rows(&source, "t", &emulator.sink(), "t");
        // MariaDB knows one algorithm, and does not say of others' connections whether they use it.
        if kind == Kind::MySql {
            let used = server.rows(
                "SELECT s.variable_value FROM performance_schema.status_by_thread s JOIN performance_schema.threads t USING (thread_id)
                 WHERE s.variable_name = 'Compression_algorithm' AND t.processlist_command LIKE 'Binlog Dump%'",
            );
            // The reader of the run before may not have been missed yet.
            assert!(used.contains(&vec![Some(algorithm.to_owned())]), "{mode}: {used:?}");
        }
        source.sql(&large(if mode == "disabled" { 2 } else { 3 }));
        source.sql("UPDATE t SET v = v + 1; DELETE FROM t WHERE id = 1");
        wait_for_same_rows(&source, "t", &emulator.sink(), "t");
        assert_eq!(program.stop(), Some(0), "{}", program.printed());
    }
}

/// An account of this process.
fn account(server: &Server, how: &str) -> String {
    let name = format!("c{}_{}", std::process::id(), how.len());
    let client = if server.kind() == Kind::MySql { "REPLICATION CLIENT" } else { "BINLOG MONITOR" };
    server.sql(&format!(
        "DROP USER IF EXISTS {name}; CREATE USER {name} {how};
         GRANT SELECT, REPLICATION SLAVE, {client} ON *.* TO {name}"
    ));
    name
}

#[test]
fn a_certificate_is_shown_to_a_server_that_asks_for_one() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    with_rows(&source);
    let folder = PathBuf::from(server.rows("SELECT @@datadir")[0][0].clone().expect("a path"));
    let file = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let user = account(&server, &format!("IDENTIFIED BY '{}' REQUIRE X509", Server::PASSWORD));
    let with = |mode: &str| {
        Pipeline::new(&source, &emulator)
            .source("username", &user)
            .source("ssl.mode", mode)
            .source("ssl.ca", &file("ca.pem"))
    };
    for mode in ["required", "verify_ca"] {
        let pipeline = with(mode)
            .source("ssl.cert", &file("client-cert.pem"))
            .source("ssl.key", &file("client-key.pem"));
        assert_reads(&source, &emulator, &pipeline);
        let without = with(mode);
        let mut program = without.start();
        assert_eq!(program.wait(), Some(REFUSED), "{mode}: {}", program.printed());
    }
    let half = with("required").source("ssl.cert", &file("client-cert.pem")).command("validate", &[]);
    assert!(half.stderr.contains("needs `ssl.cert` and `ssl.key` together"), "{half:?}");
    let missing = with("required").source("ssl.cert", "/nowhere.pem").source("ssl.key", "/nowhere.key");
    let mut program = missing.start();
    assert_eq!(program.wait(), Some(REFUSED), "{}", program.printed());
    server.sql(&format!("DROP USER {user}"));
}

#[test]
fn a_password_is_proven_by_ed25519() {
    let server = Server::private(Kind::MariaDb, &[]);
    let (source, emulator) = (server.database(), Emulator::start());
    with_rows(&source);
    server.sql("INSTALL SONAME 'auth_ed25519'");
    let user = account(&server, &format!("IDENTIFIED VIA ed25519 USING PASSWORD('{}')", Server::PASSWORD));
    for mode in ["disabled", "required"] {
        let pipeline = Pipeline::new(&source, &emulator).source("username", &user).source("ssl.mode", mode);
        assert_reads(&source, &emulator, &pipeline);
    }
    let wrong = Pipeline::new(&source, &emulator).source("username", &user).source("password", "wrong");
    let mut program = wrong.start();
    assert_eq!(program.wait(), Some(REFUSED), "{}", program.printed());
}

/// Passes connections on; each goes silent when it is told to stall, and those made later do not.
struct Proxy {
    port: u16,
    stalled: Arc<AtomicUsize>,
    made: Arc<AtomicUsize>,
}

impl Proxy {
    fn to(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (stalled, made) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (flag, count) = (Arc::clone(&stalled), Arc::clone(&made));
        let target = (server.host().to_owned(), server.port());
        // It ends with the test's process.
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(target.clone())) else { continue };
                let number = count.fetch_add(1, Ordering::AcqRel);
                let copies = (client.try_clone().expect("a copy"), server.try_clone().expect("a copy"));
                for (from, to) in [(client, server), (copies.1, copies.0)] {
                    let flag = Arc::clone(&flag);
                    std::thread::spawn(move || pass(from, to, &|| number < flag.load(Ordering::Acquire)));
                }
            }
        });
        Self { port, stalled, made }
    }

    /// All connections of now pass nothing more, not even their end.
    fn stall(&self) {
        self.stalled.store(self.made.load(Ordering::Acquire), Ordering::Release);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, is_stalled: &dyn Fn() -> bool) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read) = from.read(&mut buffer) {
        if is_stalled() {
            if read == 0 {
                // The end is not passed on either: the other side's socket stays open, and nobody spins on this one.
                std::mem::forget(to);
                return;
            }
            continue;
        }
        if read == 0 || to.write_all(&buffer[..read]).is_err() {
            let _ = to.shutdown(std::net::Shutdown::Both);
            return;
        }
    }
}

/// The same pipeline with its source behind a port of ours.
fn through(port: u16, pipeline: Pipeline) -> Pipeline {
    pipeline.source("hostname", "127.0.0.1").source("port", &port.to_string())
}

fn a_link_that_stalls_is_noticed_and_replaced(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    with_rows(&source);
    let proxy = Proxy::to(&server);
    let pipeline = through(proxy.port, Pipeline::new(&source, &emulator)).source("heartbeat.interval", "1s");
    let mut program = pipeline.start();
    wait_for_same_rows(&source, "t", &emulator.sink(), "t");
    proxy.stall();
    source.sql("INSERT INTO t VALUES (3, 3)");
    program.wait_for_line("binlog connection lost, reconnecting");
    wait_for_same_rows(&source, "t", &emulator.sink(), "t");
    program.assert_running();
}

fn a_snapshot_goes_on_when_its_links_stall(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let values: Vec<String> = (1..=600).map(|n| format!("({n}, {n})")).collect();
    source.sql(&format!(
        "CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES {}",
        values.join(", ")
    ));
    let proxy = Proxy::to(&server);
    let pipeline = through(proxy.port, Pipeline::new(&source, &emulator))
        .source("connect.timeout", "1s")
        .source("heartbeat.interval", "1s")
        .source("scan.incremental.snapshot.chunk.size", "60")
        .source("scan.snapshot.max-rows-per-second", "100");
    let mut program = pipeline.start();
    program.wait_for_line("pipeline running");
    eventually("some rows", || match emulator.sink().try_execute("SELECT id FROM t") {
        Ok(result) if !result.rows.is_empty() => Ok(()),
        other => Err(format!("{:?}", other.map(|result| result.rows.len()))),
    });
    proxy.stall();
    program.wait_for_line("snapshot interrupted, trying again");
    wait_for_same_rows(&source, "t", &emulator.sink(), "t");
    program.assert_running();
}

/// What the server is asked at the moment takes minutes to be given up.
fn a_stop_waits_for_no_server(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    with_rows(&source);
    let proxy = Proxy::to(&server);
    let pipeline = through(proxy.port, Pipeline::new(&source, &emulator))
        .source("connect.timeout", "60s")
        .source("scan.incremental.snapshot.chunk.size", "2")
        .source("scan.snapshot.max-rows-per-second", "1");
    let mut program = pipeline.start();
    program.wait_for_line("pipeline running");
    // Behind the first chunk the limit lets the reader wait; then it asks for the next in vain.
    source.sql("INSERT INTO t VALUES (3, 3), (4, 4), (5, 5), (6, 6), (7, 7), (8, 8)");
    eventually("some rows", || match emulator.sink().try_execute("SELECT id FROM t") {
        Ok(result) if !result.rows.is_empty() => Ok(()),
        other => Err(format!("{:?}", other.map(|result| result.rows.len()))),
    });
    proxy.stall();
    source.sql("INSERT INTO t VALUES (9, 9)");
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    // One that takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").expect("an address");
    let port = silent.local_addr().expect("an address").port();
    let pipeline = through(port, Pipeline::new(&source, &emulator)).source("connect.timeout", "600s");
    let mut program = pipeline.start();
    let _connected = silent.accept().expect("a connection");
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}

fn another_server_id_of_the_range_is_taken(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    with_rows(&source);
    let ids = if kind == Kind::MySql { (7_101, "7101-7103") } else { (7_201, "7201-7203") };
    let first = Pipeline::new(&source, &emulator).source("server-id", ids.1);
    let mut first = first.start_and_wait();
    let (other, another) = (Emulator::start(), ids.0.to_string());
    let second = Pipeline::new(&source, &other).source("server-id", &another);
    let mut second = second.start_and_wait();
    source.sql("INSERT INTO t VALUES (3, 3)");
    for (program, emulator) in [(&mut first, &emulator), (&mut second, &other)] {
        wait_for_same_rows(&source, "t", &emulator.sink(), "t");
        program.assert_running();
    }
    assert!(first.printed().contains("pipeline interrupted"), "{}", first.printed());
}

fn another_server_is_read_when_the_first_one_dies(kind: Kind) {
    let own: &[&str] = match kind {
        Kind::MySql => &["--log-replica-updates=ON"],
        Kind::MariaDb => &["--log-slave-updates=ON"],
    };
    let (first, second) = (Server::private(kind, own), Server::private(kind, own));
    second.follow(&first);
    let (source, emulator) = (first.database(), Emulator::start());
    let sink = emulator.sink();
    with_rows(&source);
    let name = source.name().to_owned();
    let both = format!("'{}:{},{}:{}'", first.host(), first.port(), second.host(), second.port());
    let pipeline = Pipeline::new(&source, &emulator).source("hostname", &both);
    let mut program = pipeline.start();
    wait_for_same_rows(&source, "t", &sink, "t");
    source.sql("INSERT INTO t VALUES (3, 3)");
    wait_for_same_rows(&source, "t", &sink, "t");
    let replicated = |session: &mut Session, want: usize| {
        eventually("the second server has it", || {
            let query =
                format!("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = '{name}'");
            let there = session.rows(&query)[0][0].as_deref() == Some("1");
            let rows = if there { session.rows(&format!("SELECT id FROM {name}.t")).len() } else { 0 };
            if rows == want { Ok(()) } else { Err(rows.to_string()) }
        });
    };
    let mut session = second.session();
    replicated(&mut session, 3);
    // It dies; the second takes over and goes on under its own name.
    first.kill();
    session.sql(if kind == Kind::MySql { "STOP REPLICA" } else { "STOP SLAVE" });
    session.sql(&format!("INSERT INTO {name}.t VALUES (4, 4); UPDATE {name}.t SET v = 20 WHERE id = 2"));
    let want: &[&[&str]] = &[&["1", "1"], &["2", "20"], &["3", "3"], &["4", "4"]];
    sink.wait_for_rows("SELECT id, v FROM t ORDER BY id", want);
    // The first comes back and has less: it is passed over, also at a new start.
    first.restart();
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    session.sql(&format!("INSERT INTO {name}.t VALUES (5, 5)"));
    let mut program = pipeline.start();
    program.wait_for_line("does not have everything yet that was read from another server");
    sink.wait_for_rows("SELECT id FROM t ORDER BY id", &[&["1"], &["2"], &["3"], &["4"], &["5"]]);
    program.assert_running();
}

/// One address, as a virtual one or a name is, and another server behind it.
fn a_server_under_the_same_name_must_have_what_was_read(kind: Kind) {
    let own: &[&str] = match kind {
        Kind::MySql => &["--log-replica-updates=ON"],
        Kind::MariaDb => &["--log-slave-updates=ON"],
    };
    let (first, second) = (Server::private(kind, own), Server::private(kind, own));
    second.follow(&first);
    let (source, emulator) = (first.database(), Emulator::start());
    with_rows(&source);
    let table = format!("{}.t", source.name());
    let mut session = second.session();
    eventually("the second has the table", || {
        session.try_sql(&format!("SELECT id FROM {table}")).map_err(|error| error.to_string())
    });
    let (stop, start) = match kind {
        Kind::MySql => ("STOP REPLICA", "START REPLICA"),
        Kind::MariaDb => ("STOP SLAVE", "START SLAVE"),
    };
    session.sql(stop);
    let pipeline = Pipeline::new(&source, &emulator);
    let mut program = pipeline.start();
    source.sql("INSERT INTO t VALUES (3, 3)");
    wait_for_same_rows(&source, "t", &emulator.sink(), "t");
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    let pipeline = pipeline.source("port", &second.port().to_string()).source("connect.max-retries", "1000");
    let mut program = pipeline.start();
    program.wait_for_line("it does not have everything yet that was read");
    session.sql(start);
    source.sql("INSERT INTO t VALUES (4, 4)");
    wait_for_same_rows(&source, "t", &emulator.sink(), "t");
    program.assert_running();
}

fn a_snapshot_waits_for_a_replica_that_lags(kind: Kind) {
    let (first, second) = (Server::private(kind, &[]), Server::private(kind, &[]));
    second.follow(&first);
    let (source, emulator) = (first.database(), Emulator::start());
    let sink = emulator.sink();
    with_rows(&source);
    if kind == Kind::MariaDb {
        second.sql(&format!("GRANT SLAVE MONITOR ON *.* TO '{}'", Server::USER));
    }
    let table = format!("{}.t", source.name());
    let mut reader = second.session();
    eventually("the replica has the table", || {
        reader.try_sql(&format!("SELECT id FROM {table}")).map_err(|error| error.to_string())
    });
    // Who reads under a lock keeps the replica from applying what comes.
    reader.sql(&format!("LOCK TABLES {table} READ"));
    source.sql("INSERT INTO t VALUES (3, 3)");
    let asked = if kind == Kind::MySql { "SHOW REPLICA STATUS" } else { "SHOW SLAVE STATUS" };
    eventually("the replica is behind", || match second.seconds_behind(asked) {
        Some(lag) if lag >= 2 => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let replica = format!("'{}:{}'", second.host(), second.port());
    let pipeline = Pipeline::new(&source, &emulator)
        .source("scan.snapshot.max-replica-lag", "1s")
        .source("scan.snapshot.replicas", &replica);
    let mut program = pipeline.start();
    program.wait_for_line("a replica lags: the snapshot waits");
    // What the stream brings goes on meanwhile.
    source.sql("INSERT INTO t VALUES (4, 4)");
    sink.wait_for_rows("SELECT id FROM t", &[&["4"]]);
    reader.sql("UNLOCK TABLES");
    wait_for_same_rows(&source, "t", &sink, "t");
    program.assert_running();
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
}

#[test]
fn a_socket_that_is_not_there_is_named() {
    let server = Server::shared(Kind::MySql);
    let (source, emulator) = (server.database(), Emulator::start());
    assert!(!Path::new("/nowhere/mysqld.sock").exists());
    let pipeline = Pipeline::new(&source, &emulator)
        .source("hostname", "/nowhere/mysqld.sock")
        .source("connect.max-retries", "1");
    let mut program = pipeline.start();
    assert_eq!(program.wait(), Some(REFUSED), "{}", program.printed());
    assert!(program.printed().contains("cannot reach `/nowhere/mysqld.sock`"), "{}", program.printed());
}
