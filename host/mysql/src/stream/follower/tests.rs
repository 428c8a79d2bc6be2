//! The state machine on events made by hand: what a server sends in which order, and what comes out.

use std::time::Duration;

use sluicebox_model::{Column, ColumnType, GtidSet, Secret, TableId, TableSchema};

use super::*;
use crate::{ConnectOptions, ServerInfo, Tls, TypeOptions};

const SOURCE: u128 = 0x3e11fa47_71ca_11e1_9e33_c80aa9429562;
const SERVER: u32 = 77;

fn options(flavour: Flavour, from: Position) -> StreamOptions {
    let column = Column {
        name: "id".into(),
        column_type: ColumnType::Int,
        nullable: false,
        source_type: "int".into(),
        default: Default::default(),
        charset: None,
        comment: None,
    };
    let schema = TableSchema {
        id: TableId::new("d", "t"),
        version: 1,
        columns: vec![column],
        key: vec![0],
        comment: None,
        charset: None,
        unique_keys: Vec::new(),
        ddl: None,
    };
    StreamOptions {
        connect: ConnectOptions {
            host: "h".to_owned(),
            port: 1,
            user: "u".to_owned(),
            password: Secret::default(),
            tls: Tls::default(),
            connect_timeout: Duration::from_secs(1),
            compress: None,
        },
        server: ServerInfo {
            flavour,
            version: (9, 0, 0),
            version_text: String::new(),
            uuid: None,
            server_id: SERVER,
            lower_case_table_names: 0,
            has_gtids: true,
        },
        server_id: 5,
        heartbeat: Duration::from_secs(1),
        from,
        skip: Skip::default(),
        schemas: vec![Arc::new(schema)],
        captures: Arc::new(|table| &*table.database == "d"),
        known_behind: Vec::new(),
        repairs: Vec::new(),
        new_are_read: false,
        matches: Arc::new(|_| false),
        types: TypeOptions::default(),
        database_charsets: Vec::new(),
    }
}

/// Makes events as they come from a file, one behind the other.
struct Script {
    follower: Follower,
    next: u32,
    said: Vec<String>,
}

impl Script {
    fn new(flavour: Flavour) -> Self {
        let gtids = match flavour {
            Flavour::MySql => Gtids::MySql(GtidSet::default()),
            Flavour::MariaDb => Gtids::MariaDb(sluicebox_model::MariaDbGtids::default()),
        };
        let from = Position { file: String::new(), offset: 4, gtids };
        let mut script = Self { follower: Follower::new(options(flavour, from)), next: 4, said: Vec::new() };
        script.connect(None, SERVER);
        script
    }

    /// A new connection: a rotate event of the moment, without a checksum after that.
    fn connect(&mut self, seek: Option<u64>, server_id: u32) {
        self.follower.connected(seek);
        self.follower.checksum = false;
        self.next = 4;
        let mut body = 4_u64.to_le_bytes().to_vec();
        body.extend(b"b.000001");
        self.raw(kind::ROTATE, kind::FLAG_ARTIFICIAL, server_id, &body, false);
    }

    fn raw(&mut self, event_type: u8, flags: u16, server_id: u32, body: &[u8], in_file: bool) {
        let length = u32::try_from(19 + body.len()).expect("small");
        if in_file {
            self.next += length;
        }
        let mut event = 1_000_u32.to_le_bytes().to_vec();
        event.push(event_type);
        event.extend(server_id.to_le_bytes());
        event.extend(length.to_le_bytes());
        event.extend(if in_file { self.next } else { 0 }.to_le_bytes());
        event.extend(flags.to_le_bytes());
        event.extend(body);
        let mut step = self.follower.step(&event);
        loop {
            match step {
                Ok(Step::Nothing) => {}
                Ok(Step::Item(item)) => self.said.push(word(&item)),
                Err(error) => self.said.push(format!("error: {error}")),
            }
            match self.follower.take_pending() {
                Some(item) => step = Ok(Step::Item(item)),
                None => break,
            }
        }
    }

    fn event(&mut self, event_type: u8, body: &[u8]) -> &mut Self {
        self.raw(event_type, 0, SERVER, body, true);
        self
    }

    fn gtid(&mut self, number: u64) -> &mut Self {
        let mut body = vec![1];
        body.extend(SOURCE.to_be_bytes());
        body.extend(number.to_le_bytes());
        self.event(kind::GTID, &body)
    }

    fn maria(&mut self, sequence: u64, flags: u8, extra: u8) -> &mut Self {
        let mut body = sequence.to_le_bytes().to_vec();
        body.extend(0_u32.to_le_bytes());
        body.extend([flags, extra, 0, 0, 0, 0, 0]);
        self.event(kind::MARIADB_GTID, &body)
    }

    fn query(&mut self, text: &str) -> &mut Self {
        let mut body = vec![0; 8];
        body.extend([1, 0, 0, 0, 0, b'd', 0]);
        body.extend(text.as_bytes());
        self.event(kind::QUERY, &body)
    }

    fn map(&mut self, database: u8) -> &mut Self {
        let map = [9, 0, 0, 0, 0, 0, 1, 0, 1, database, 0, 1, b't', 0, 1, 3, 0, 0];
        self.event(kind::TABLE_MAP, &map)
    }

    fn rows(&mut self, id: u8) -> &mut Self {
        self.event(kind::WRITE_ROWS_V1, &[9, 0, 0, 0, 0, 0, 1, 0, 1, 1, 0, id, 0, 0, 0])
    }

    fn xid(&mut self) -> &mut Self {
        self.event(kind::XID, &[0; 8])
    }

    fn said(&mut self) -> Vec<String> {
        std::mem::take(&mut self.said)
    }
}

fn word(item: &StreamItem) -> String {
    match item {
        StreamItem::Rows(rows) => format!("row {}", rows.body[1]),
        StreamItem::Schema(event) => format!("schema {}", event.table.table),
        StreamItem::End { transaction, .. } => match &transaction.gtid {
            Some(Gtid::MySql { number, .. }) => format!("end {number}"),
            Some(Gtid::MariaDb { sequence, .. }) => format!("end {sequence}"),
            None => format!("end at {}", transaction.offset),
        },
        StreamItem::Idle => "idle".to_owned(),
    }
}

#[test]
fn statements_inside_a_transaction_do_not_end_it() {
    let mut script = Script::new(Flavour::MySql);
    script.gtid(1).query("BEGIN").map(b'd').rows(1).query("SAVEPOINT `a`").rows(2);
    script.query("INSERT INTO other.t VALUES (1)").rows(3).xid();
    script.gtid(2).query("CREATE TABLE u (id int)");
    script.gtid(3).query("BEGIN").query("COMMIT");
    script.gtid(4).query("GRANT ALL ON x TO y");
    assert_eq!(script.said(), ["row 1", "row 2", "row 3", "end 1", "schema u", "end 2", "end 3", "end 4"]);
    assert_eq!(script.follower.position().offset, u64::from(script.next));
}

#[test]
fn mariadb_says_with_the_gtid_whether_a_transaction_follows() {
    let mut script = Script::new(Flavour::MariaDb);
    script.maria(1, 0x0c, 0).map(b'd').rows(1).query("SAVEPOINT `a`").rows(2).xid();
    script.maria(2, 0x29, 0).query("ALTER TABLE t ADD COLUMN v int");
    script.maria(3, 0x00, 0).map(b'o').rows(9).query("COMMIT");
    // The two halves of an ALTER: only the second counts.
    script.maria(4, 0x29, 2).query("ALTER TABLE t ADD COLUMN w int");
    script.maria(5, 0x29, 4).query("ALTER TABLE t ADD COLUMN w int");
    script.maria(6, 0x29, 2).query("ALTER TABLE t ADD COLUMN x int");
    script.maria(7, 0x29, 8).query("ALTER TABLE t ADD COLUMN x int");
    assert_eq!(
        script.said(),
        [
            "row 1", "row 2", "end 1", "schema t", "end 2", "end 3", "end 4", "schema t", "end 5", "end 6",
            "end 7"
        ]
    );
    let schema = script.follower.schemas.get(&TableId::new("d", "t")).expect("the table");
    assert_eq!((schema.columns.len(), schema.version), (3, 3));
}

#[test]
fn servers_without_gtid_events_begin_with_their_statements() {
    let mut script = Script::new(Flavour::MySql);
    script.query("BEGIN").map(b'd').rows(1).xid().query("CREATE TABLE u (id int)");
    let said = script.said();
    assert_eq!((said[0].as_str(), said[2].as_str()), ("row 1", "schema u"));
    assert!(said[1].starts_with("end at 4") && said[3].starts_with("end at "), "{said:?}");
}

/// The name `X'61',X'',1` with another letter.
fn prepare(one_phase: bool, letter: u8) -> [u8; 14] {
    [u8::from(one_phase), 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, letter]
}

#[test]
fn rows_of_an_xa_transaction_come_with_what_commits_it() {
    let mut script = Script::new(Flavour::MySql);
    script.gtid(1).query("XA START X'61',X'',1").map(b'd').rows(1).query("XA END X'61',X'',1");
    script.event(kind::XA_PREPARE, &prepare(true, b'a'));
    assert_eq!(script.said(), ["row 1", "end 1"]);
    for (number, name) in [(2, "62"), (4, "63"), (6, "64")] {
        script
            .gtid(number)
            .query(&format!("XA START X'{name}',X'',1"))
            .map(b'd')
            .rows(u8::try_from(number).expect("small"));
        script.query(&format!("XA END X'{name}',X'',1"));
        script.event(kind::XA_PREPARE, &prepare(false, 0x60 + u8::try_from(number / 2 + 1).expect("small")));
        assert_eq!(script.said(), [format!("end {number}")], "{name}");
    }
    script.gtid(7).query("XA COMMIT X'64',X'',1");
    script.gtid(8).query("XA ROLLBACK X'62',X'',1");
    script.gtid(9).query("XA COMMIT X'63',X'',1");
    assert_eq!(script.said(), ["row 6", "end 7", "end 8", "row 4", "end 9"]);
    // Its name is free again, and nothing of ours was changed under it.
    script.gtid(10).query("XA START X'62',X'',1").map(b'o').rows(2).query("XA END X'62',X'',1");
    script.event(kind::XA_PREPARE, &prepare(false, b'b'));
    script.gtid(11).query("XA COMMIT X'62',X'',1");
    assert_eq!(script.said(), ["end 10", "end 11"]);
}

#[test]
fn mariadb_says_with_the_gtid_that_a_transaction_is_only_prepared() {
    let mut script = Script::new(Flavour::MariaDb);
    script.maria(1, 0x4c, 0).map(b'd').rows(1).query("XA END X'61',X'',1");
    script.event(kind::XA_PREPARE, &prepare(false, b'a'));
    script.maria(2, 0x0c, 0).map(b'd').rows(2).xid();
    script.maria(3, 0x8d, 0).query("XA COMMIT X'61',X'',1");
    assert_eq!(script.said(), ["end 1", "row 2", "end 2", "row 1", "end 3"]);
}

#[test]
fn a_connection_that_breaks_in_an_xa_transaction_costs_nothing() {
    let mut script = Script::new(Flavour::MySql);
    let half = |script: &mut Script| {
        script.gtid(1).query("XA START X'61',X'',1").map(b'd').rows(1);
    };
    half(&mut script);
    script.connect(None, SERVER);
    half(&mut script);
    script.rows(2).query("XA END X'61',X'',1").event(kind::XA_PREPARE, &prepare(false, b'a'));
    script.connect(None, SERVER);
    script.gtid(2).query("XA COMMIT X'61',X'',1");
    assert_eq!(script.said(), ["end 1", "row 1", "row 2", "end 2"]);
}

#[test]
fn what_was_prepared_and_is_not_remembered_is_looked_for() {
    let mut script = Script::new(Flavour::MySql);
    let begin = u64::from(script.next);
    script.gtid(1).query("XA COMMIT X'61',X'',1");
    let wanted = script.follower.wanted().cloned().expect("something to look for");
    let Wanted::Search(name, before) = wanted else { panic!("{wanted:?}") };
    assert_eq!((name.to_string().as_str(), before.offset > begin), ("X'61',X'',1", true));
    let end = script.next;
    // As if it had been read at its place.
    script.follower.begin_back(GroupPlace { file: "b.000001".into(), offset: 4 });
    let back = |script: &mut Script, event_type: u8, body: &[u8]| {
        let length = u32::try_from(19 + body.len()).expect("small").to_le_bytes();
        let event = [&[0; 4][..], &[event_type], &[0; 4], &length, &[0; 6], body].concat();
        let event = event::frame(&event, false).expect("an event");
        script.follower.step_back(&event).expect("a step")
    };
    back(&mut script, kind::TABLE_MAP, &[9, 0, 0, 0, 0, 0, 1, 0, 1, b'd', 0, 1, b't', 0, 1, 3, 0, 0]);
    let rows = back(&mut script, kind::WRITE_ROWS_V1, &[9, 0, 0, 0, 0, 0, 1, 0, 1, 1, 0, 5, 0, 0, 0]);
    assert!(matches!(&rows, Step::Item(item) if word(item) == "row 5"), "{rows:?}");
    // The connection breaks: the commit comes again, and what was delivered is passed over.
    script.connect(None, SERVER);
    script.gtid(1).query("XA COMMIT X'61',X'',1");
    assert!(matches!(script.follower.wanted(), Some(Wanted::Group(_))), "the place is known now");
    script.follower.begin_back(GroupPlace { file: "b.000001".into(), offset: 4 });
    back(&mut script, kind::TABLE_MAP, &[9, 0, 0, 0, 0, 0, 1, 0, 1, b'd', 0, 1, b't', 0, 1, 3, 0, 0]);
    for (row, new) in [(5, false), (6, true)] {
        let step = back(&mut script, kind::WRITE_ROWS_V1, &[9, 0, 0, 0, 0, 0, 1, 0, 1, 1, 0, row, 0, 0, 0]);
        assert_eq!(matches!(step, Step::Item(_)), new, "{row}");
    }
    let step = back(&mut script, kind::XA_PREPARE, &prepare(false, b'a'));
    assert!(matches!(&step, Step::Item(item) if word(item) == "end 1"), "{step:?}");
    assert_eq!(script.follower.position().offset, u64::from(end));
}

#[test]
fn what_must_not_be_skipped_stops_the_stream() {
    for (name, event_type, flags, part) in [
        ("an unknown event", 99, 0, "type 99"),
        ("an incident", kind::INCIDENT, 0, "incident"),
        ("a second begin", kind::ANONYMOUS_GTID, 0, "before"),
    ] {
        let mut script = Script::new(Flavour::MySql);
        script.gtid(1).query("BEGIN").map(b'd');
        script.raw(event_type, flags, SERVER, &[9, 0, 0, 0, 0, 0, 1, 0, 2, 0, 1, 1, 1], true);
        let said = script.said();
        assert!(said.first().is_some_and(|s| s.starts_with("error") && s.contains(part)), "{name}: {said:?}");
    }
    let mut script = Script::new(Flavour::MySql);
    script.raw(99, kind::FLAG_IGNORABLE, SERVER, &[], true);
    assert_eq!(script.said(), Vec::<String>::new());
}

#[test]
fn rows_of_an_incomplete_image_or_without_a_map_are_refused() {
    let mut script = Script::new(Flavour::MySql);
    script.gtid(1).query("BEGIN").rows(1);
    assert!(script.said()[0].contains("without the map"));
    let mut script = Script::new(Flavour::MySql);
    script.gtid(1).query("BEGIN").map(b'd').event(kind::WRITE_ROWS_V1, &[9, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0]);
    assert!(script.said()[0].contains("binlog_row_image"));
}

#[test]
fn a_transaction_that_was_cut_goes_on_where_it_stopped() {
    let mut script = Script::new(Flavour::MySql);
    script.gtid(1).query("BEGIN").map(b'd').rows(1).xid();
    script
        .gtid(2)
        .query("BEGIN")
        .map(b'd')
        .rows(2)
        .map(b'o')
        .rows(3)
        .query("SAVEPOINT `a`")
        .map(b'd')
        .rows(4);
    assert_eq!(script.said(), ["row 1", "end 1", "row 2", "row 4"]);
    // Cut again before it had caught up.
    script.connect(None, SERVER);
    script.gtid(2).query("BEGIN").map(b'd').rows(2);
    script.connect(None, SERVER);
    script
        .gtid(2)
        .query("BEGIN")
        .map(b'd')
        .rows(2)
        .map(b'o')
        .rows(3)
        .query("SAVEPOINT `a`")
        .map(b'd')
        .rows(4);
    script.rows(5).xid();
    assert_eq!(script.said(), ["row 5", "end 2"]);
}

#[test]
fn a_cut_transaction_is_not_taken_up_from_another_server_or_place() {
    let cut = |resend: &dyn Fn(&mut Script)| {
        let mut script = Script::new(Flavour::MySql);
        script.gtid(1).query("BEGIN").map(b'd').rows(1);
        script.said();
        resend(&mut script);
        script.said()
    };
    let said = cut(&|script| script.connect(None, SERVER + 1));
    assert!(said[0].contains("another server"), "{said:?}");
    let said = cut(&|script| {
        script.connect(None, SERVER);
        script.gtid(7);
    });
    assert!(said[0].contains("comes now instead"), "{said:?}");
    let said = cut(&|script| {
        script.connect(None, SERVER);
        script.gtid(1).query("BEGIN").xid();
    });
    assert!(said[0].contains("fewer events"), "{said:?}");
}

#[test]
fn a_start_by_offset_passes_over_what_lies_before_it() {
    let write = |script: &mut Script| {
        let before: GtidSet = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-10".parse().expect("a set");
        let list = event::encode_set(&before);
        script.event(kind::PREVIOUS_GTIDS, &list);
        script.gtid(11).query("BEGIN").map(b'd').rows(1).xid();
        script.gtid(12).query("ALTER TABLE t ADD COLUMN v int");
        let place = script.next;
        script.gtid(13).query("BEGIN").map(b'd').rows(3).xid();
        place
    };
    // The place of the third transaction.
    let place = write(&mut Script::new(Flavour::MySql));
    let start = |offset: u64| {
        let from = Position { file: "b.000001".to_owned(), offset, gtids: Gtids::None };
        let mut script =
            Script { follower: Follower::new(options(Flavour::MySql, from)), next: 4, said: Vec::new() };
        script.connect(Some(offset), SERVER);
        write(&mut script);
        script
    };
    let mut script = start(place.into());
    assert_eq!(script.said(), ["row 3", "end 13"]);
    assert!(script.follower.position().to_string().ends_with(":1-13)"), "{}", script.follower.position());
    // The statement that was passed over is part of the schemas that the stream was given.
    assert_eq!(script.follower.schemas.generation(), 0);
    let whole = start(0).said();
    assert_eq!(whole[..4], ["row 1", "end 11", "schema t", "end 12"]);
    let said = start(u64::from(place) - 10).said();
    assert!(said[0].contains("lies inside transaction"), "{said:?}");
}

#[test]
fn the_end_of_a_file_before_the_offset_is_ahead_of_the_server() {
    let from = Position { file: "b.000001".to_owned(), offset: 9_000, gtids: Gtids::None };
    let mut script =
        Script { follower: Follower::new(options(Flavour::MySql, from)), next: 4, said: Vec::new() };
    script.connect(Some(9_000), SERVER);
    script.event(kind::PREVIOUS_GTIDS, &[0; 8]).gtid(1).query("BEGIN").xid();
    let mut body = 4_u64.to_le_bytes().to_vec();
    body.extend(b"b.000002");
    script.event(kind::ROTATE, &body);
    assert!(script.said()[0].contains("does not have what was read before"));
}

#[test]
fn the_position_moves_to_the_next_file_between_transactions() {
    let mut script = Script::new(Flavour::MySql);
    script.gtid(1).query("BEGIN").xid();
    let mut body = 4_u64.to_le_bytes().to_vec();
    body.extend(b"b.000002");
    script.event(kind::ROTATE, &body);
    assert_eq!(
        (script.follower.position().file.as_str(), script.follower.position().offset),
        ("b.000002", 4)
    );
}

#[test]
fn a_server_that_died_inside_a_transaction_never_committed_it() {
    let format = {
        let mut body = vec![4, 0];
        body.extend([0; 50]);
        body.extend(1_u32.to_le_bytes());
        body.push(19);
        body.extend([0; 260]);
        body
    };
    for (database, refused) in [(b'o', false), (b'd', true)] {
        let mut script = Script::new(Flavour::MySql);
        script.gtid(1).query("BEGIN").map(database).rows(1);
        script.said();
        script.event(kind::FORMAT_DESCRIPTION, &format).gtid(1).query("BEGIN").xid();
        let said = script.said();
        assert_eq!(said[0].contains("did not commit it"), refused, "{said:?}");
    }
}
