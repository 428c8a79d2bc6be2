//! Starting, stopping, and going on: by GTID, by offset, after a lost connection.

use std::collections::BTreeSet;

use sluicebox_model::{Gtids, Position};
use sluicebox_mysql::{
    BinlogStream, ConnectOptions, Flavour, Images, MysqlError, Skip, StreamItem, StreamOptions, TlsMode,
    find_offset,
};

use crate::support::{BOTH, Session, cell, decode, options_as, outline, rows_of, table_text};

fn with_table(flavour: Flavour, database: &str) -> Session {
    let mut session = Session::new(flavour, database);
    session.sql("CREATE TABLE t (id int primary key, v varchar(2000))");
    session
}

/// Reads so many ends of transactions with rows of ours.
fn read_transactions(stream: &mut BinlogStream, count: usize) -> Vec<StreamItem> {
    let mut items = Vec::new();
    let mut ended = 0;
    while ended < count {
        let item = stream.next().expect("an item");
        match &item {
            StreamItem::End { .. } if matches!(items.last(), Some(StreamItem::Rows(_))) => ended += 1,
            StreamItem::End { .. } | StreamItem::Idle => continue,
            StreamItem::Rows(_) | StreamItem::Schema(_) => {}
        }
        items.push(item);
    }
    items
}

/// Reads until the stream fails; a server that has nothing to say and does not refuse is a failure of the test.
fn first_error(stream: &mut BinlogStream) -> MysqlError {
    loop {
        match stream.next() {
            Err(error) => return error,
            Ok(StreamItem::Idle) => panic!("the server accepted the position"),
            Ok(_) => {}
        }
    }
}

#[test]
fn a_stream_goes_on_exactly_behind_a_saved_position() {
    for flavour in BOTH {
        let mut session = with_table(flavour, "stream_saved_position");
        let options = session.stream_options(7301);
        let mut stream = BinlogStream::open(options.clone()).expect("a stream");
        (1..=10).for_each(|id| session.sql(&format!("INSERT INTO t VALUES ({id}, 'x')")));
        let first = table_text(&read_transactions(&mut stream, 4), "t");
        // Written out and read back, as a checkpoint does it.
        let saved = serde_json::to_string(stream.position()).expect("JSON");
        drop(stream);
        let from: Position = serde_json::from_str(&saved).expect("a position");
        assert_ne!(from.gtids, Gtids::None);
        let mut stream = BinlogStream::open(StreamOptions { from, ..options }).expect("a stream");
        let second = table_text(&session.read(&mut stream), "t");
        let all: Vec<String> = (1..=10).map(|id| format!("Insert {id} x")).collect();
        assert_eq!([first, second].concat(), all, "{flavour:?}");
    }
}

#[test]
fn a_start_by_offset_delivers_what_is_behind_it_and_learns_the_gtids() {
    for flavour in BOTH {
        let mut session = with_table(flavour, "stream_offset");
        session.sql("INSERT INTO t VALUES (1, 'before')");
        let options = session.stream_options(7302);
        let from = Position { gtids: Gtids::None, ..options.from.clone() };
        session.sql("INSERT INTO t VALUES (2, 'behind')");
        let mut stream = BinlogStream::open(StreamOptions { from, ..options.clone() }).expect("a stream");
        let items = session.read(&mut stream);
        assert_eq!(table_text(&items, "t"), ["Insert 2 behind"], "{flavour:?}");
        // The position holds all that the server has, not only what was delivered.
        assert!(stream.position().includes(&options.from), "{flavour:?}");
        assert!(session.position().includes(stream.position()), "{flavour:?}");
    }
}

#[test]
fn an_offset_that_is_no_start_of_a_transaction_is_refused() {
    for flavour in BOTH {
        let mut session = with_table(flavour, "stream_bad_offset");
        let options = session.stream_options(7303);
        session.sql("INSERT INTO t VALUES (1, 'x')");
        let inside =
            Position { gtids: Gtids::None, offset: options.from.offset + 50, ..options.from.clone() };
        let mut stream =
            BinlogStream::open(StreamOptions { from: inside, ..options.clone() }).expect("a stream");
        let error = session.try_read(&mut stream).expect_err("it lies inside a transaction");
        assert!(error.to_string().contains("lies inside transaction"), "{flavour:?}: {error}");
        let missing = Position { gtids: Gtids::None, file: "nothing.000001".to_owned(), offset: 4 };
        let mut stream = BinlogStream::open(StreamOptions { from: missing, ..options }).expect("a stream");
        let error = first_error(&mut stream);
        assert!(matches!(error, MysqlError::PositionPurged { .. }), "{flavour:?}: {error}");
    }
}

#[test]
fn an_offset_becomes_a_place_with_the_gtids_before_it() {
    for flavour in BOTH {
        let mut session = with_table(flavour, "stream_find_offset");
        let options = session.stream_options(7310);
        let by_offset = |position: &Position| StreamOptions {
            from: Position { gtids: Gtids::None, ..position.clone() },
            ..options.clone()
        };
        // Nothing lies behind it yet.
        let end = find_offset(&by_offset(&options.from)).expect("the end of the binlog");
        // Others write too, between the reading of the GTIDs and that of the offset.
        assert!(end.offset == options.from.offset && end.includes(&options.from), "{flavour:?}: {end}");
        session.sql("INSERT INTO t VALUES (1, 'behind')");
        let found = find_offset(&by_offset(&options.from)).expect("a place");
        assert_eq!(found, end, "{flavour:?}");
        assert!(session.position().includes(&found) && !found.includes(&session.position()), "{flavour:?}");
        let beyond = Position { offset: 1 << 40, ..options.from.clone() };
        let error = find_offset(&by_offset(&beyond)).expect_err("it is not written");
        assert!(matches!(error, MysqlError::PositionAhead { .. }), "{flavour:?}: {error}");
    }
}

/// Where another reader stopped in the middle of a transaction.
#[test]
fn the_beginning_of_the_first_transaction_is_left_out() {
    for flavour in BOTH {
        let mut session = with_table(flavour, "stream_skip");
        session.sql("CREATE TABLE other (id int primary key)");
        let options = session.stream_options(7311);
        session.sql("BEGIN");
        session.sql("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')");
        session.sql("UPDATE t SET v = 'd' WHERE id < 3");
        session.sql("DELETE FROM t WHERE id < 3");
        session.sql("COMMIT");
        session.sql("INSERT INTO t VALUES (4, 'e')");
        let read = |events, rows| {
            let skip = Skip { events, rows };
            let mut stream = BinlogStream::open(StreamOptions { skip, ..options.clone() }).expect("a stream");
            session.try_read(&mut stream).map(|items| table_text(&items, "t"))
        };
        // MySQL: GTID, BEGIN, then a map and rows for each statement; MariaDB has no BEGIN.
        let head = if flavour == Flavour::MySql { 2 } else { 1 };
        let inserts = ["Insert 1 a", "Insert 2 b", "Insert 3 c"];
        let updates = ["After 1 d", "After 2 d"];
        let deletes = ["Delete 1 d", "Delete 2 d"];
        let last = ["Insert 4 e"];
        for (events, rows, want) in [
            (0, 0, [&inserts[..], &updates, &deletes, &last].concat()),
            (0, 1, [&inserts[1..], &updates, &deletes, &last].concat()),
            (head, 2, [&inserts[2..], &updates, &deletes, &last].concat()),
            (head + 1, 3, [&updates[..], &deletes, &last].concat()),
            (head + 2, 0, [&updates[..], &deletes, &last].concat()),
            (head + 2, 1, [&updates[1..], &deletes, &last].concat()),
            (head + 4, 1, [&deletes[1..], &last].concat()),
            (head + 5, 9, last.to_vec()),
            (head + 6, 0, last.to_vec()),
        ] {
            let got = read(events, rows).expect("a stream");
            assert_eq!(got, want, "{flavour:?} {events} {rows}");
        }
        // The end counts too.
        let error = read(head + 7, 0).expect_err("the transaction has no more events");
        assert!(error.to_string().contains("skip-events"), "{flavour:?}: {error}");
    }
}

#[test]
fn a_position_that_the_server_never_had_is_ahead() {
    for flavour in BOTH {
        let session = with_table(flavour, "stream_ahead");
        let mut options = session.stream_options(7304);
        let text = serde_json::to_string(&options.from).expect("JSON");
        options.from = match (&options.from.gtids, &options.server.uuid) {
            (Gtids::MySql(set), Some(uuid)) => {
                let more = format!("{set},{uuid}:900000000").parse().expect("a set");
                Position { gtids: Gtids::MySql(more), ..options.from }
            }
            (Gtids::MariaDb(_), _) => {
                let more = format!("0-{}-900000000", options.server.server_id).parse().expect("a list");
                Position { gtids: Gtids::MariaDb(more), ..options.from }
            }
            _ => panic!("{text}"),
        };
        let mut stream = BinlogStream::open(options).expect("a stream");
        let error = first_error(&mut stream);
        assert!(matches!(error, MysqlError::PositionAhead { .. }), "{flavour:?}: {error}");
    }
}

/// Ends the connection of this account's stream at the server.
fn kill_stream_of(session: &mut Session, user: &str) {
    let schema = match session.flavour {
        Flavour::MySql => "performance_schema",
        Flavour::MariaDb => "information_schema",
    };
    let query =
        format!("SELECT ID FROM {schema}.processlist WHERE USER = '{user}' AND COMMAND LIKE 'Binlog Dump%'");
    // The server lists a dump a moment after it has begun to send.
    let id = loop {
        let ids: Vec<u64> = session.rows(&query);
        if let [id] = ids[..] {
            break id;
        }
        assert!(ids.len() < 2, "one stream of {user}");
    };
    session.sql(&format!("KILL {id}"));
}

fn account(session: &mut Session, name: &str) -> ConnectOptions {
    session.sql(&format!("DROP USER IF EXISTS {name}"));
    session.sql(&format!("CREATE USER {name} IDENTIFIED BY 'p'"));
    session.sql(&format!("GRANT REPLICATION SLAVE ON *.* TO {name}"));
    options_as(session.flavour, name, "p", TlsMode::Preferred)
}

fn is_lost(error: &MysqlError) -> bool {
    matches!(error, MysqlError::Unreachable { .. } | MysqlError::Silent { .. })
}

#[test]
fn a_transaction_that_a_lost_connection_cut_is_delivered_once() {
    for flavour in BOTH {
        let mut session = with_table(flavour, "stream_cut");
        let connect = account(&mut session, "stream_cut");
        let mut stream =
            BinlogStream::open(StreamOptions { connect, ..session.stream_options(7305) }).expect("a stream");
        // Far more than sockets hold, so that the end of the connection comes in its middle.
        const STATEMENTS: usize = 200;
        const ROWS: usize = 200;
        const KILL_AT: [usize; 2] = [20, 2_000];
        session.sql("INSERT INTO t VALUES (1000000, 'before')");
        session.sql("BEGIN");
        for statement in 0..STATEMENTS {
            let rows = (0..ROWS).map(|row| format!("({}, REPEAT('v', 1500))", statement * ROWS + row));
            session.sql(&format!("INSERT INTO t VALUES {}", rows.collect::<Vec<_>>().join(",")));
        }
        session.sql("COMMIT");
        session.sql("INSERT INTO t VALUES (1000001, 'after')");
        let goal = session.position();
        let (mut items, mut cuts, mut kills) = (Vec::new(), 0, 0);
        while !stream.position().includes(&goal) {
            match stream.next() {
                Ok(item) => items.push(item),
                Err(error) if is_lost(&error) => {
                    cuts += usize::from(matches!(items.last(), Some(StreamItem::Rows(_))));
                    // Others kill connections too.
                    while let Err(error) = stream.reopen() {
                        assert!(is_lost(&error), "{flavour:?}: {error}");
                    }
                }
                Err(error) => panic!("{flavour:?}: {error}"),
            }
            if KILL_AT.get(kills) == Some(&items.len()) {
                kills += 1;
                kill_stream_of(&mut session, "stream_cut");
            }
        }
        assert!(cuts > 0, "{flavour:?}: no connection was cut inside the transaction");
        let events = rows_of(&items, "t");
        let (batch, _) = decode(&events, Images::Effective);
        let ids: Vec<i64> =
            (0..batch.rows()).map(|row| cell(&batch, row, 0).parse().expect("an id")).collect();
        let mut want: Vec<i64> = (0..i64::try_from(STATEMENTS * ROWS).expect("small")).collect();
        want.insert(0, 1_000_000);
        want.push(1_000_001);
        assert!(ids == want, "{flavour:?}: {} rows for {}", ids.len(), want.len());
        let ordinals: BTreeSet<u64> = events.iter().map(|event| event.ordinal).collect();
        assert_eq!(ordinals.len(), events.len());
        assert!(events.is_sorted_by_key(|event| event.ordinal));
    }
}

#[test]
fn a_lost_connection_between_transactions_loses_nothing() {
    for flavour in BOTH {
        let mut session = with_table(flavour, "stream_between");
        let connect = account(&mut session, "stream_between");
        let mut stream =
            BinlogStream::open(StreamOptions { connect, ..session.stream_options(7306) }).expect("a stream");
        session.sql("INSERT INTO t VALUES (1, 'x')");
        let first = session.read(&mut stream);
        kill_stream_of(&mut session, "stream_between");
        session.sql("INSERT INTO t VALUES (2, 'y')");
        let error = loop {
            match stream.next() {
                Ok(StreamItem::Rows(rows)) => panic!("{flavour:?}: {rows:?} over a dead connection"),
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert!(is_lost(&error), "{flavour:?}: {error}");
        stream.reopen().expect("the server is there");
        let second = session.read(&mut stream);
        assert_eq!(table_text(&first, "t"), ["Insert 1 x"], "{flavour:?}");
        assert_eq!(table_text(&second, "t"), ["Insert 2 y"], "{flavour:?}");
        assert_eq!(outline(&second), ["rows t", "end"], "{flavour:?}");
    }
}

#[test]
fn a_stream_is_stopped_from_another_thread() {
    for flavour in BOTH {
        let session = with_table(flavour, "stream_stop");
        let mut options = session.stream_options(7307);
        // No heartbeat wakes the reader: only the stopper can.
        options.heartbeat = std::time::Duration::from_secs(1_000);
        let mut stream = BinlogStream::open(options).expect("a stream");
        let stopper = stream.stopper();
        let reader = std::thread::spawn(move || {
            loop {
                if let Err(error) = stream.next() {
                    return (error, stream);
                }
            }
        });
        stopper.stop();
        let (error, mut stream) = reader.join().expect("the reader ends");
        assert!(matches!(error, MysqlError::Stopped), "{flavour:?}: {error}");
        assert!(matches!(stream.reopen(), Err(MysqlError::Stopped)), "{flavour:?}");
    }
}

#[test]
fn a_server_id_that_another_reader_takes_is_told() {
    for flavour in BOTH {
        let session = with_table(flavour, "stream_server_id");
        let mut first = session.stream(7308);
        // Its dump must run before the second takes its place.
        while !matches!(first.next(), Ok(StreamItem::Idle)) {}
        let _second = session.stream(7308);
        // A heartbeat or two may be on their way while the server ends the first.
        let error = (0..60).find_map(|_| first.next().err()).expect("the first is ended");
        assert!(matches!(error, MysqlError::ServerIdTaken { server_id: 7308, .. }), "{flavour:?}: {error}");
    }
}

/// A connection on which nothing arrives any more, not even its end.
#[test]
fn a_connection_that_stalls_is_given_up() {
    let session = with_table(Flavour::MySql, "stream_stall");
    let mut options = session.stream_options(7309);
    let proxy = Proxy::to(&options.connect);
    options.connect.host = "127.0.0.1".to_owned();
    options.connect.port = proxy.port;
    let mut stream = BinlogStream::open(options).expect("a stream");
    while !matches!(stream.next(), Ok(StreamItem::Idle)) {}
    proxy.stall();
    let error = first_error(&mut stream);
    assert!(matches!(error, MysqlError::Silent { seconds: 3, .. }), "{error}");
}

/// Passes bytes on, until it is told to stall.
struct Proxy {
    port: u16,
    stalled: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl Proxy {
    fn to(server: &ConnectOptions) -> Self {
        use std::net::{TcpListener, TcpStream};
        use std::sync::atomic::{AtomicBool, Ordering};
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let stalled = std::sync::Arc::new(AtomicBool::new(false));
        let (flag, target) = (std::sync::Arc::clone(&stalled), (server.host.clone(), server.port));
        std::thread::spawn(move || {
            let (client, _) = listener.accept().expect("a client");
            let server = TcpStream::connect(target).expect("the server");
            let pass = move |mut from: TcpStream, mut to: TcpStream, flag: std::sync::Arc<AtomicBool>| {
                std::thread::spawn(move || {
                    let mut buffer = [0; 4096];
                    while let Ok(read) = std::io::Read::read(&mut from, &mut buffer) {
                        if read == 0 {
                            break;
                        }
                        if !flag.load(Ordering::Acquire) {
                            let _ = std::io::Write::write_all(&mut to, &buffer[..read]);
                        }
                    }
                })
            };
            let copies = (client.try_clone().expect("a copy"), server.try_clone().expect("a copy"));
            pass(client, server, std::sync::Arc::clone(&flag));
            let _ = pass(copies.1, copies.0, flag).join();
        });
        Self { port, stalled }
    }

    fn stall(&self) {
        self.stalled.store(true, std::sync::atomic::Ordering::Release);
    }
}
