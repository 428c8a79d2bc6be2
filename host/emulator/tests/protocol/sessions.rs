//! The life of sessions: what is visible when, what is refused, what may be repeated.

use std::net::TcpStream;

use super::fixtures::read_query;
use super::records::{Cell, DELETE, Kind, UPSERT, body, bucket_of, change, decode};
use super::support::{Client, PROJECT, Running};

pub const BUCKETS: u32 = 4;

pub fn delta(client: &Client, table: &str) {
    client.run(&format!(
        "create table {table} (k bigint not null, name string, n bigint, primary key (k)) \
         tblproperties ('transactional'='true','write.bucket.num'='{BUCKETS}')"
    ));
}

pub fn ordinary(client: &Client, table: &str) {
    client.run(&format!("create table {table} (a bigint, b string)"));
}

/// An open upsert session.
pub struct Upsert<'c> {
    client: &'c Client,
    pub target: String,
    pub id: String,
}

impl<'c> Upsert<'c> {
    pub fn open(client: &'c Client, table: &str) -> Self {
        let session = client.open(&format!("{table}/upserts?slotnum=2"));
        let id = session["id"].as_str().unwrap().to_owned();
        Self { client, target: format!("/projects/{PROJECT}/tables/{table}/upserts?upsertid={id}"), id }
    }

    /// Sends rows of one key to its bucket.
    #[track_caller]
    pub fn send(&self, key: i64, rows: &[Vec<Cell<'_>>]) -> super::support::Reply {
        self.send_to(bucket_of(key, BUCKETS), rows)
    }

    fn send_to(&self, bucket: u32, rows: &[Vec<Cell<'_>>]) -> super::support::Reply {
        let target =
            format!("{}&bucketid={bucket}&slotid={}&record_count={}", self.target, bucket % 2, rows.len());
        self.client.put(&target, &body(rows))
    }

    pub fn commit(&self) -> super::support::Reply {
        self.client.post(&self.target)
    }

    pub fn status(&self) -> String {
        self.client.get(&self.target).ok().json()["status"].as_str().unwrap().to_owned()
    }

    fn abort(&self) -> super::support::Reply {
        self.client.call("DELETE", &self.target, &[], &[])
    }
}

pub fn row<'a>(key: i64, name: &'a str, operation: i64) -> Vec<Cell<'a>> {
    change(&[Cell::Int(key), Cell::Text(name), Cell::Null], operation, &[])
}

pub fn names(client: &Client, table: &str) -> Vec<String> {
    let rows = client.run(&format!("select k, name from {table} order by k"));
    rows.into_iter().map(|row| format!("{}{}", row[0].as_ref().unwrap(), row[1].as_ref().unwrap())).collect()
}

#[test]
fn nothing_is_visible_before_commit_and_all_of_it_after() {
    let emulator = Running::start();
    let client = &emulator.client;
    delta(client, "t");
    let session = Upsert::open(client, "t");
    for key in 0..20 {
        session.send(key, &[row(key, "a", UPSERT)]).ok();
    }
    assert!(names(client, "t").is_empty());
    assert_eq!(session.status(), "normal");
    assert_eq!(session.commit().ok().json()["status"], "committed");
    assert_eq!(names(client, "t").len(), 20);
}

#[test]
fn the_last_operation_on_a_key_wins_within_a_block_and_across_blocks() {
    let emulator = Running::start();
    let client = &emulator.client;
    delta(client, "t");
    let session = Upsert::open(client, "t");
    session.send(1, &[row(1, "a", UPSERT), row(1, "b", UPSERT)]).ok();
    session.send(1, &[row(1, "c", UPSERT)]).ok();
    session.send(2, &[row(2, "x", UPSERT), row(2, "", DELETE)]).ok();
    session.send(3, &[row(3, "", DELETE), row(3, "y", UPSERT)]).ok();
    session.commit().ok();
    assert_eq!(names(client, "t"), ["1c", "3y"]);
    let next = Upsert::open(client, "t");
    let only_key = change(&[Cell::Int(1), Cell::Null, Cell::Null], DELETE, &[]);
    next.send(1, &[only_key]).ok();
    next.commit().ok();
    assert_eq!(names(client, "t"), ["3y"]);
}

#[test]
fn an_upsert_replaces_the_whole_row() {
    let emulator = Running::start();
    let client = &emulator.client;
    delta(client, "t");
    for columns in
        [[Cell::Int(1), Cell::Text("a"), Cell::Int(5)], [Cell::Int(1), Cell::Text("b"), Cell::Null]]
    {
        let session = Upsert::open(client, "t");
        session.send(1, &[change(&columns, UPSERT, &[])]).ok();
        session.commit().ok();
    }
    assert_eq!(client.run("select * from t"), [[Some("1".to_owned()), Some("b".to_owned()), None]]);
}

#[test]
fn a_partial_update_keeps_unlisted_columns_and_needs_the_property() {
    let emulator = Running::start();
    let client = &emulator.client;
    client.run(
        "create table p (k bigint primary key not null, a string, b string) tblproperties \
         ('transactional'='true','write.bucket.num'='4','acid.partial.fields.update.enable'='true')",
    );
    delta(client, "t");
    let session = Upsert::open(client, "p");
    let cells = |a, b| [Cell::Int(1), a, b];
    session.send(1, &[change(&cells(Cell::Text("a"), Cell::Text("b")), UPSERT, &[])]).ok();
    session.send(1, &[change(&cells(Cell::Text("A"), Cell::Null), UPSERT, &[2])]).ok();
    let unlisted = change(&cells(Cell::Text("x"), Cell::Text("y")), UPSERT, &[2]);
    assert_eq!(session.send(1, &[unlisted]).refused(400), "CorruptedDataStream");
    let key_listed = change(&cells(Cell::Null, Cell::Null), UPSERT, &[1]);
    assert_eq!(session.send(1, &[key_listed]).refused(400), "CorruptedDataStream");
    session.commit().ok();
    let want = ["1", "A", "b"].map(|text| Some(text.to_owned()));
    assert_eq!(client.run("select * from p"), [want]);
    let refused = Upsert::open(client, "t");
    let listed = change(&[Cell::Int(1), Cell::Text("x"), Cell::Null], UPSERT, &[2]);
    assert_eq!(refused.send(1, &[listed]).refused(400), "CorruptedDataStream");
}

#[test]
fn a_commit_may_be_repeated_and_closes_the_session() {
    let emulator = Running::start();
    let client = &emulator.client;
    delta(client, "t");
    let session = Upsert::open(client, "t");
    session.send(1, &[row(1, "a", UPSERT)]).ok();
    session.commit().ok();
    let later = Upsert::open(client, "t");
    later.send(1, &[row(1, "b", UPSERT)]).ok();
    later.commit().ok();
    assert_eq!(session.commit().ok().json()["status"], "committed");
    assert_eq!(names(client, "t"), ["1b"], "a repeated commit must not apply its rows again");
    assert_eq!(session.send(1, &[row(1, "c", UPSERT)]).refused(409), "StatusConflict");
    assert_eq!(session.abort().refused(409), "StatusConflict");
    assert_eq!(session.status(), "committed");
}

#[test]
fn an_aborted_session_drops_its_rows_and_takes_no_more() {
    let emulator = Running::start();
    let client = &emulator.client;
    delta(client, "t");
    let session = Upsert::open(client, "t");
    session.send(1, &[row(1, "a", UPSERT)]).ok();
    session.abort().ok();
    session.abort().ok();
    assert_eq!(session.status(), "aborted");
    assert_eq!(session.commit().refused(409), "StatusConflict");
    assert_eq!(session.send(1, &[row(1, "a", UPSERT)]).refused(409), "StatusConflict");
    assert!(names(client, "t").is_empty());
    let empty = Upsert::open(client, "t");
    assert_eq!(empty.commit().ok().json()["status"], "committed", "an empty session may be committed");
}

#[test]
fn unknown_sessions_tables_and_partitions_are_404_with_their_codes() {
    let emulator = Running::start();
    let client = &emulator.client;
    delta(client, "t");
    delta(client, "other");
    ordinary(client, "o");
    client.run("create table part (a bigint) partitioned by (ds string)");
    let at = |tail: &str| format!("/projects/{PROJECT}/tables/{tail}");
    let session = Upsert::open(client, "t");
    let cases = [
        ("GET", at("t/upserts?upsertid=none"), "UpsertSessionNotFound"),
        ("POST", at("t/upserts?upsertid=none"), "UpsertSessionNotFound"),
        ("DELETE", at("t/upserts?upsertid=none"), "UpsertSessionNotFound"),
        ("GET", at(&format!("other/upserts?upsertid={}", session.id)), "UpsertSessionNotFound"),
        ("GET", at(&format!("o?uploadid={}", session.id)), "NoSuchUpload"),
        ("GET", at("o?uploadid=none"), "NoSuchUpload"),
        ("PUT", at("o/streams?uploadid=none"), "StreamSessionNotFound"),
        ("GET", at("o?downloadid=none"), "NoSuchDownload"),
        ("POST", at("none/upserts"), "NoSuchTable"),
        ("POST", at("none?uploads"), "NoSuchTable"),
        ("POST", at("part?uploads&partition=ds%3D1"), "NoSuchPartition"),
        ("POST", format!("/projects/{PROJECT}/schemas/none/tables/t/upserts"), "NoSuchSchema"),
    ];
    for (method, target, code) in cases {
        assert_eq!(client.call(method, &target, &[], &[]).refused(404), code, "{method} {target}");
    }
    for target in [at("o/upserts"), at("t?uploads"), at("part?uploads"), at("o?uploads&partition=ds%3D1")] {
        assert_eq!(client.post(&target).refused(400), "InvalidArgument", "{target}");
    }
}

#[test]
fn a_body_that_breaks_a_rule_is_refused_whole() {
    let emulator = Running::start();
    let client = &emulator.client;
    delta(client, "t");
    let session = Upsert::open(client, "t");
    let bucket = bucket_of(1, BUCKETS);
    let put = |bucket: u32, slot: u32, count: usize, body: &[u8]| {
        let target = format!("{}&bucketid={bucket}&slotid={slot}&record_count={count}", session.target);
        client.put(&target, body)
    };
    let good = body(&[row(1, "a", UPSERT)]);
    let slot = bucket % 2;
    let wrong_bucket = (bucket + 2) % BUCKETS;
    let mut spoiled = good.clone();
    spoiled[3] ^= 1;
    let null_key = body(&[change(&[Cell::Null, Cell::Text("a"), Cell::Null], UPSERT, &[])]);
    let operation = body(&[row(1, "a", 73)]);
    let cases: [(&str, super::support::Reply, &str); 10] = [
        ("wrong bucket", put(wrong_bucket, slot, 1, &good), "CorruptedDataStream"),
        ("wrong slot", put(bucket, 1 - slot, 1, &good), "InvalidArgument"),
        ("no such bucket", put(BUCKETS, 0, 1, &good), "InvalidArgument"),
        ("wrong count", put(bucket, slot, 2, &good), "InvalidArgument"),
        ("wrong checksum", put(bucket, slot, 1, &spoiled), "CorruptedDataStream"),
        ("cut off", put(bucket, slot, 1, &good[..good.len() - 1]), "CorruptedDataStream"),
        (
            "bytes after the footer",
            put(bucket, slot, 1, &[good.clone(), vec![0]].concat()),
            "CorruptedDataStream",
        ),
        ("null key", put(bucket, slot, 1, &null_key), "CorruptedDataStream"),
        ("unknown operation", put(bucket, slot, 1, &operation), "CorruptedDataStream"),
        ("empty body", put(bucket, slot, 0, &[]), "CorruptedDataStream"),
    ];
    for (name, reply, code) in cases {
        assert_eq!(reply.refused(400), code, "{name}");
    }
    session.commit().ok();
    assert!(names(client, "t").is_empty());
}

#[test]
fn nulls_are_refused_in_columns_that_forbid_them() {
    let emulator = Running::start();
    let client = &emulator.client;
    client.run(
        "create table d (k bigint primary key not null, name string not null) \
         tblproperties ('transactional'='true','write.bucket.num'='1')",
    );
    client.run("create table o (a bigint not null, b string)");
    let session = client.open("d/upserts");
    let target = format!(
        "/projects/{PROJECT}/tables/d/upserts?upsertid={}&bucketid=0",
        session["id"].as_str().unwrap()
    );
    let without = [Cell::Int(1), Cell::Null];
    client.put(&target, &body(&[change(&without, UPSERT, &[])])).refused(400);
    client.put(&target, &body(&[change(&without, DELETE, &[])])).ok();
    let upload = client.open("o?uploads");
    let target =
        format!("/projects/{PROJECT}/tables/o?uploadid={}&blockid=0", upload["UploadID"].as_str().unwrap());
    client.put(&target, &body(&[vec![Cell::Null, Cell::Text("b")]])).refused(400);
}

#[test]
fn a_session_that_is_older_than_the_columns_takes_neither_blocks_nor_commit() {
    let emulator = Running::start();
    let client = &emulator.client;
    for (table, change) in [
        ("t1", "alter table t1 add columns (x string)"),
        ("t2", "alter table t2 drop columns n"),
        ("t3", "alter table t3 change column n rename to m"),
        ("t4", "alter table t4 change column n n string"),
    ] {
        delta(client, table);
        let session = Upsert::open(client, table);
        session.send(1, &[row(1, "a", UPSERT)]).ok();
        client.run(change);
        let refused = session.send(1, &[row(1, "a", UPSERT)]);
        assert_eq!(refused.headers["odps-tunnel-latest-schema-version"], "1");
        assert_eq!(refused.refused(412), "SchemaModified", "{change}");
        assert_eq!(session.commit().refused(412), "SchemaModified", "{change}");
        assert!(names(client, table).is_empty());
        session.abort().ok();
    }
    delta(client, "gone");
    let session = Upsert::open(client, "gone");
    client.run("drop table gone");
    assert_eq!(session.commit().refused(404), "NoSuchTable");
    delta(client, "gone");
    assert_eq!(session.commit().refused(404), "NoSuchTable", "another table of that name is another table");
}

fn upload<'c>(
    client: &'c Client,
    tail: &str,
) -> (String, impl Fn(u32, &[Vec<Cell<'_>>]) -> super::support::Reply + 'c) {
    let session = client.open(tail);
    let table = tail.split('?').next().unwrap();
    let id = session["UploadID"].as_str().unwrap();
    let target = format!("/projects/{PROJECT}/tables/{table}?uploadid={id}");
    let put_target = target.clone();
    (target, move |block, rows| client.put(&format!("{put_target}&blockid={block}"), &body(rows)))
}

fn letters(client: &Client, table: &str) -> String {
    let rows = client.run(&format!("select b from {table}"));
    rows.into_iter().map(|row| row[0].clone().unwrap()).collect()
}

#[test]
fn upload_blocks_replace_each_other_and_become_visible_together() {
    let emulator = Running::start();
    let client = &emulator.client;
    ordinary(client, "o");
    let cell = |text| vec![Cell::Int(1), Cell::Text(text)];
    let (target, put) = upload(client, "o?uploads");
    put(7, &[cell("z")]).ok();
    put(0, &[cell("x")]).ok();
    put(0, &[cell("a"), cell("b")]).ok();
    assert_eq!(put(20_000, &[cell("q")]).refused(400), "InvalidBlockID");
    assert_eq!(letters(client, "o"), "");
    let document = client.get(&target).ok().json();
    let blocks = document["UploadedBlockList"].as_array().unwrap();
    assert_eq!(blocks.iter().map(|b| b["BlockID"].as_i64().unwrap()).collect::<Vec<_>>(), [0, 7]);
    assert_eq!(client.post(&target).ok().json()["Status"], "CLOSED");
    assert_eq!(client.post(&target).ok().json()["Status"], "CLOSED", "a commit may be repeated");
    assert_eq!(letters(client, "o"), "abz");
    assert_eq!(put(1, &[cell("c")]).refused(409), "StatusConflict");
}

#[test]
fn overwrite_replaces_the_partition_and_leaves_the_others() {
    let emulator = Running::start();
    let client = &emulator.client;
    client.run("create table part (a bigint, b string) partitioned by (ds string)");
    for (ds, text, flags) in [("1", "a", ""), ("2", "b", ""), ("1", "c", "&overwrite=true")] {
        let tail = format!("part?uploads&partition=ds%3D%27{ds}%27&create_partition=true{flags}");
        let (target, put) = upload(client, &tail);
        put(0, &[vec![Cell::Int(1), Cell::Text(text)]]).ok();
        client.post(&target).ok();
    }
    let rows = client.run("select b, ds from part where ds in (1, 2) order by ds");
    let flat: Vec<String> = rows.into_iter().flatten().map(Option::unwrap).collect();
    assert_eq!(flat, ["c", "1", "b", "2"]);
}

#[test]
fn a_download_sees_the_rows_of_its_opening() {
    let emulator = Running::start();
    let client = &emulator.client;
    ordinary(client, "o");
    let add = |text: &str, flags: &str| {
        let (target, put) = upload(client, &format!("o?uploads{flags}"));
        put(0, &[vec![Cell::Int(1), Cell::Text(text)]]).ok();
        client.post(&target).ok();
    };
    add("a", "");
    let session = client.open("o?downloads=&asyncmode=true");
    assert_eq!((&session["RecordCount"], &session["Status"]), (&1.into(), &"NORMAL".into()));
    let id = session["DownloadID"].as_str().unwrap().to_owned();
    let read = || {
        let target = format!("/projects/{PROJECT}/tables/o?data&downloadid={id}&rowrange=%280%2C1%29");
        let reply = client.get(&target).ok();
        decode(&reply.body, &[Kind::Integer, Kind::Text])[0][1].as_str().unwrap().to_owned()
    };
    add("b", "");
    assert_eq!(read(), "a");
    add("c", "&overwrite=true");
    assert_eq!(read(), "a", "rows removed later are still in the snapshot");
    client.run("truncate table o");
    client.run("alter table o add columns (x string)");
    assert_eq!(read(), "a");
    assert_eq!(letters(client, "o"), "");
    let beyond = format!("/projects/{PROJECT}/tables/o?data&downloadid={id}&rowrange=%280%2C2%29");
    assert_eq!(client.get(&beyond).refused(400), "InvalidRowRange");
}

#[test]
fn a_download_answers_in_the_columns_and_compression_asked_for() {
    let emulator = Running::start();
    let client = &emulator.client;
    ordinary(client, "o");
    let (target, put) = upload(client, "o?uploads");
    let text = "x".repeat(10_000);
    put(0, &[vec![Cell::Int(7), Cell::Text(&text)]]).ok();
    client.post(&target).ok();
    let id = client.open("o?downloads")["DownloadID"].as_str().unwrap().to_owned();
    let target = format!("/projects/{PROJECT}/tables/o?data&downloadid={id}&rowrange=(0,1)&columns=b,a");
    let plain = client.get(&target).ok().body;
    let rows = decode(&plain, &[Kind::Text, Kind::Integer]);
    assert_eq!((rows[0][0].as_str().unwrap().len(), &rows[0][1]), (10_000, &7.into()));
    for (name, magic) in [
        ("deflate", &[0x78][..]),
        ("zstd", &[0x28, 0xb5, 0x2f, 0xfd]),
        ("x-snappy-framed", &[0xff, 0x06, 0x00, 0x00]),
        ("x-lz4-frame", &[0x04, 0x22, 0x4d, 0x18]),
    ] {
        let reply = client.call("GET", &target, &[("Accept-Encoding", name)], &[]).ok();
        assert_eq!(reply.headers["content-encoding"], name);
        assert!(reply.body.starts_with(magic) && reply.body.len() < plain.len(), "{name}");
    }
}

#[test]
fn a_stream_pack_is_visible_when_it_is_answered() {
    let emulator = Running::start();
    let client = &emulator.client;
    ordinary(client, "o");
    let opened =
        client.call("POST", &format!("/projects/{PROJECT}/tables/o/streams"), &[("odps-slot-num", "3")], &[]);
    let session = opened.ok().json();
    assert_eq!(session["slots"].as_array().unwrap().len(), 3);
    let name = session["session_name"].as_str().unwrap();
    let target = format!("/projects/{PROJECT}/tables/o/streams?uploadid={name}&slotid=1&record_count=1");
    let reply = client.put(&target, &body(&[vec![Cell::Int(1), Cell::Text("a")]])).ok();
    assert_eq!(reply.headers["odps-tunnel-slot-num"], "3");
    assert_eq!(reply.headers["odps-tunnel-routed-server"], client.address.to_string());
    assert_eq!(letters(client, "o"), "a");
    client.run("alter table o drop columns a");
    assert_eq!(client.put(&target, &body(&[])).refused(412), "SchemaModified");
    let again = client.post(&format!("/projects/{PROJECT}/tables/o/streams"));
    assert_eq!(again.refused(400), "InvalidArgument", "tables that lost a column take no streams");
}

#[test]
fn fault_rules_fail_requests_before_or_after_their_work() {
    let emulator = Running::start();
    let client = &emulator.client;
    delta(client, "t");
    let rules = |text: &str| {
        client.send("POST", "/emulator/faults", &[], text.as_bytes()).unwrap().ok();
    };
    let session = Upsert::open(client, "t");
    let key_bucket = bucket_of(1, BUCKETS);
    let target = format!("{}&bucketid={key_bucket}&record_count=1", session.target);
    let good = body(&[row(1, "a", UPSERT)]);
    let send = || client.try_call("PUT", &target, &[], &good);

    rules(r#"[{"method":"PUT","path":"upserts","status":429}, {"method":"PUT","nth":2,"drop-before":true}]"#);
    assert_eq!(send().unwrap().refused(429), "FlowExceeded");
    assert!(send().is_err(), "the connection must close without an answer");
    assert_eq!(emulator.stats().rows_written, 0, "neither reached the work");

    client.send("DELETE", "/emulator/faults", &[], &[]).unwrap().ok();
    rules(r#"{"method":"PUT","query":"bucketid","drop-after":true}"#);
    assert!(send().is_err());
    assert_eq!(emulator.stats().rows_written, 1, "the block arrived, its answer did not");
    rules(r#"{"method":"POST","query":"upsertid","status":503,"after":true}"#);
    assert_eq!(session.commit().refused(503), "ServiceUnavailable");
    assert_eq!(session.status(), "committed", "the commit was done, its answer said otherwise");
    assert_eq!(names(client, "t"), ["1a"]);

    let list = client.send("GET", "/emulator/faults", &[], &[]).unwrap().ok().json();
    assert_eq!(list[0]["struck"], 1);
    let moved = r#"{"path":"upserts","status":308,"headers":{"odps-tunnel-routed-server":"h:1"}}"#;
    rules(moved);
    let reply = client.get(&session.target);
    assert_eq!((reply.status, reply.headers["odps-tunnel-routed-server"].as_str()), (308, "h:1"));
    let stats = client.send("GET", "/emulator/stats", &[], &[]).unwrap().ok().json();
    assert_eq!(stats["requests"]["upsert-put"], 1);
    assert_eq!(stats["commits"], 1);
    let bad = client.send("POST", "/emulator/faults", &[], b"{\"status\":99}").unwrap();
    assert_eq!(bad.status, 400);
}

#[test]
fn many_connections_write_at_once() {
    for in_memory in [false, true] {
        write_from_many_connections(&Running::with(|options| options.in_memory = in_memory));
    }
}

fn write_from_many_connections(emulator: &Running) {
    let client = &emulator.client;
    client.run(
        "create table t (k bigint primary key not null) \
         tblproperties ('transactional'='true','write.bucket.num'='16')",
    );
    let id = client.open("t/upserts?slotnum=16")["id"].as_str().unwrap().to_owned();
    let target = format!("/projects/{PROJECT}/tables/t/upserts?upsertid={id}");
    std::thread::scope(|scope| {
        for bucket in 0..16 {
            let target = &target;
            scope.spawn(move || {
                let keys = (0..4000).filter(|key| bucket_of(*key, 16) == bucket);
                let rows: Vec<Vec<Cell<'_>>> =
                    keys.map(|key| change(&[Cell::Int(key)], UPSERT, &[])).collect();
                for part in rows.chunks(50) {
                    client.put(&format!("{target}&bucketid={bucket}"), &body(part)).ok();
                }
            });
        }
    });
    client.post(&target).ok();
    assert_eq!(client.run("select count(*) from t"), [[Some("4000".to_owned())]]);
    assert_eq!(decode(&read_query(client, "select k from t"), &[Kind::Integer]).len(), 4000);
}

#[test]
fn signatures_are_demanded_everywhere_but_on_control_paths() {
    let emulator = Running::with(|options| options.credentials = vec![("id".into(), "secret".into())]);
    let good = Client { id: "id".into(), key: "secret".into(), ..emulator.client.clone() };
    good.get(&format!("/api/projects/{PROJECT}")).ok();
    let token = [("authorization-sts-token", "any")];
    good.call("GET", &format!("/api/projects/{PROJECT}"), &token, &[]).ok();
    for bad in [
        Client { id: "id".into(), key: "wrong".into(), ..emulator.client.clone() },
        Client { id: "other".into(), key: "secret".into(), ..emulator.client.clone() },
    ] {
        let service = bad.get(&format!("/api/projects/{PROJECT}"));
        assert_eq!(service.status, 401);
        assert!(service.text().contains("<Code>Unauthorized</Code>") && service.text().contains("<HostId>"));
        let tunnel = bad.post(&format!("/projects/{PROJECT}/tables/t/upserts"));
        assert_eq!(tunnel.refused(401), "Unauthorized");
    }
    let unsigned = emulator.client.send("GET", &format!("/api/projects/{PROJECT}"), &[], &[]).unwrap();
    assert_eq!(unsigned.status, 401);
    emulator.client.send("GET", "/emulator/stats", &[], &[]).unwrap().ok();
}

#[test]
fn discard_mode_answers_like_the_other_and_keeps_nothing() {
    let emulator = Running::with(|options| options.discard = true);
    let client = &emulator.client;
    delta(client, "t");
    ordinary(client, "o");
    let session = Upsert::open(client, "t");
    session.send(1, &[row(1, "a", UPSERT)]).ok();
    session.send_to((bucket_of(1, BUCKETS) + 1) % BUCKETS, &[row(1, "a", UPSERT)]).refused(400);
    assert_eq!(session.commit().ok().json()["status"], "committed");
    assert_eq!(session.send(1, &[row(1, "a", UPSERT)]).refused(409), "StatusConflict");
    let (target, put) = upload(client, "o?uploads");
    put(3, &[vec![Cell::Int(1), Cell::Text("a")]]).ok();
    assert_eq!(client.get(&target).ok().json()["UploadedBlockList"][0]["BlockID"], 3);
    client.post(&target).ok();
    assert!(names(client, "t").is_empty() && letters(client, "o").is_empty());
    let stats = emulator.stats();
    assert_eq!((stats.rows_written, stats.commits, stats.refused["upsert-put"]), (2, 2, 2));
}

#[test]
fn a_stopped_emulator_gives_its_folder_back() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let emulator = Running::with(|options| folder.path().clone_into(&mut options.data));
        emulator.client.run(&format!("create table t{round} (a bigint)"));
        assert_eq!(emulator.client.run(&format!("select count(*) from t{round}")).len(), 1);
        emulator.client.run("select * from t0");
    }
}

#[test]
fn a_connection_that_says_nothing_does_not_hold_the_server() {
    let emulator = Running::start();
    let _silent = TcpStream::connect(emulator.address()).unwrap();
    emulator.client.get(&format!("/api/projects/{PROJECT}")).ok();
}
