//! The emulator's own paths: each does to a client what it says.

use serde_json::{Value as Json, json};

use super::records::{UPSERT, body, bucket_of};
use super::sessions::{BUCKETS, Upsert, delta, names, ordinary, row};
use super::support::{Client, PROJECT, Reply, Running};

fn post(client: &Client, path: &str, document: &Json) -> Reply {
    client.call("POST", &format!("/emulator/{path}"), &[], document.to_string().as_bytes())
}

/// Sends a row to the place that the client believes its slot to be in.
fn send_routed(client: &Client, session: &Upsert<'_>, key: i64, server: &str) -> Reply {
    let bucket = bucket_of(key, BUCKETS);
    let target = format!("{}&bucketid={bucket}&slotid={}", session.target, bucket % 2);
    client.call("PUT", &target, &[("odps-tunnel-routed-server", server)], &body(&[row(key, "a", UPSERT)]))
}

/// A key whose bucket is in the slot.
fn key_of_slot(slot: u32) -> i64 {
    (0..).find(|key| bucket_of(*key, BUCKETS) % 2 == slot).unwrap()
}

fn server_of(client: &Client, session: &Upsert<'_>, slot: usize) -> String {
    let document = client.get(&session.target).ok().json();
    document["slots"][slot]["worker_addr"].as_str().unwrap().to_owned()
}

#[test]
fn the_newest_open_session_of_a_table_expires_and_loses_its_rows() {
    let emulator = Running::start();
    let client = &emulator.client;
    delta(client, "t");
    let (older, newer) = (Upsert::open(client, "t"), Upsert::open(client, "t"));
    newer.send(1, &[row(1, "a", UPSERT)]).ok();
    let expired = post(client, "sessions/expire", &json!({"table": format!("{PROJECT}.t")})).ok().json();
    assert_eq!((expired["id"].as_str(), expired["status"].as_str()), (Some(&*newer.id), Some("expired")));
    assert_eq!((older.status(), newer.status()), ("normal".to_owned(), "expired".to_owned()));
    assert_eq!(newer.send(1, &[row(1, "a", UPSERT)]).refused(409), "StatusConflict");
    assert_eq!(newer.commit().refused(409), "StatusConflict");
    older.commit().ok();
    assert!(names(client, "t").is_empty());
}

#[test]
fn an_upload_session_expires_by_its_id_and_only_once() {
    let emulator = Running::start();
    let client = &emulator.client;
    ordinary(client, "o");
    let id = client.open("o?uploads")["UploadID"].as_str().unwrap().to_owned();
    post(client, "sessions/expire", &json!({"id": id})).ok();
    let session = client.get(&format!("/projects/{PROJECT}/tables/o?uploadid={id}")).ok().json();
    assert_eq!(session["Status"], "EXPIRED");
    assert_eq!(post(client, "sessions/expire", &json!({"id": id})).refused(409), "StatusConflict");
    assert_eq!(post(client, "sessions/expire", &json!({"id": "none"})).refused(404), "UpsertSessionNotFound");
    let both = json!({"id": id, "table": "p.o"});
    assert_eq!(post(client, "sessions/expire", &both).refused(400), "InvalidArgument");
}

#[test]
fn a_forgotten_session_is_not_found_and_what_it_committed_stays() {
    let emulator = Running::start();
    let client = &emulator.client;
    delta(client, "t");
    let session = Upsert::open(client, "t");
    session.send(1, &[row(1, "a", UPSERT)]).ok();
    session.commit().ok();
    post(client, "sessions/forget", &json!({"table": format!("{PROJECT}.t")})).ok();
    assert_eq!(client.get(&session.target).refused(404), "UpsertSessionNotFound");
    assert_eq!(session.commit().refused(404), "UpsertSessionNotFound");
    assert_eq!(names(client, "t"), ["1a"]);
    let open = Upsert::open(client, "t");
    post(client, "sessions/forget", &json!({"id": open.id})).ok();
    assert_eq!(open.send(1, &[row(1, "b", UPSERT)]).refused(404), "UpsertSessionNotFound");
    assert_eq!(client.call("GET", "/emulator/sessions", &[], &[]).ok().json(), json!([]));
}

#[test]
fn a_moved_slot_answers_308_with_the_new_place_until_the_client_goes_there() {
    let emulator = Running::start();
    let client = &emulator.client;
    delta(client, "t");
    let session = Upsert::open(client, "t");
    let old = server_of(client, &session, 1);
    let move_it = json!({"id": session.id, "slot": 1});
    post(client, "slots/move", &move_it).ok();
    let (moved, other) = (key_of_slot(1), key_of_slot(0));
    let refused = send_routed(client, &session, moved, &old);
    assert_eq!(refused.status, 308);
    let new = refused.headers["odps-tunnel-routed-server"].clone();
    assert_ne!(new, old);
    assert_eq!(server_of(client, &session, 1), new);
    send_routed(client, &session, other, &old).ok();
    assert!(names(client, "t").is_empty(), "the refused block must not be kept");
    send_routed(client, &session, moved, &new).ok();
    session.commit().ok();
    assert_eq!(names(client, "t").len(), 2);
}

#[test]
fn a_silently_moved_slot_is_found_by_reading_the_session_and_commits_follow_slot_0() {
    let emulator = Running::start();
    let client = &emulator.client;
    delta(client, "t");
    let session = Upsert::open(client, "t");
    let old = server_of(client, &session, 0);
    post(client, "slots/move", &json!({"table": format!("{PROJECT}.t"), "silent": true})).ok();
    let refused = client.call("POST", &session.target, &[("odps-tunnel-routed-server", &old)], &[]);
    assert_eq!(refused.status, 308);
    assert!(!refused.headers.contains_key("odps-tunnel-routed-server"));
    let new = server_of(client, &session, 0);
    assert_eq!(session.status(), "normal");
    client.call("POST", &session.target, &[("odps-tunnel-routed-server", &new)], &[]).ok();
    assert_eq!(session.status(), "committed");
    let none = json!({"id": session.id, "slot": 9});
    assert_eq!(post(client, "slots/move", &none).refused(400), "InvalidArgument");
}

#[test]
fn a_stream_write_is_taken_and_told_the_new_place() {
    let emulator = Running::start();
    let client = &emulator.client;
    ordinary(client, "o");
    let session = client.open("o/streams")["session_name"].as_str().unwrap().to_owned();
    let target = format!("/projects/{PROJECT}/tables/o/streams?uploadid={session}&slotid=1");
    let empty = body(&[]);
    let before = client.put(&target, &empty).ok().headers["odps-tunnel-routed-server"].clone();
    post(client, "slots/move", &json!({"id": session, "slot": 1})).ok();
    assert_ne!(client.put(&target, &empty).ok().headers["odps-tunnel-routed-server"], before);
    assert_eq!(client.get(&target).ok().json()["status"], "normal");
    post(client, "sessions/expire", &json!({"id": session})).ok();
    assert_eq!(client.get(&target).ok().json()["status"], "expired");
    assert_eq!(client.put(&target, &empty).refused(409), "StatusConflict");
}

#[test]
fn expired_and_forgotten_sessions_stay_so_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let start = || Running::with(|options| folder.path().clone_into(&mut options.data));
    let first = start();
    delta(&first.client, "t");
    let (expired, forgotten) = (Upsert::open(&first.client, "t"), Upsert::open(&first.client, "t"));
    let (expired_target, forgotten_target) = (expired.target.clone(), forgotten.target.clone());
    post(&first.client, "sessions/expire", &json!({"id": expired.id})).ok();
    post(&first.client, "sessions/forget", &json!({"id": forgotten.id})).ok();
    drop(first);
    let second = start();
    assert_eq!(second.client.get(&expired_target).ok().json()["status"], "expired");
    assert_eq!(second.client.get(&forgotten_target).refused(404), "UpsertSessionNotFound");
}

#[test]
fn a_rule_refuses_each_path_in_its_own_language() {
    let emulator = Running::start();
    let client = &emulator.client;
    post(client, "faults", &json!({"status": 503, "times": 0})).ok();
    let service = client.get(&format!("/api/projects/{PROJECT}"));
    assert_eq!(service.status, 503);
    assert!(service.text().contains("<Code>ServiceUnavailable</Code><Message>"), "{}", service.text());
    let tunnel = client.post(&format!("/projects/{PROJECT}/tables/t/upserts"));
    assert_eq!(tunnel.refused(503), "ServiceUnavailable");
}

#[test]
fn a_rule_ends_the_session_of_the_request_it_strikes() {
    let emulator = Running::start();
    let client = &emulator.client;
    delta(client, "t");
    let rules = json!([
        {"kind": "upsert-put", "nth": 2, "session": "expire"},
        {"kind": "upsert-commit", "session": "forget", "drop-after": true},
    ]);
    post(client, "faults", &rules).ok();
    let first = Upsert::open(client, "t");
    first.send(1, &[row(1, "a", UPSERT)]).ok();
    assert_eq!(first.send(1, &[row(1, "b", UPSERT)]).refused(409), "StatusConflict");
    let second = Upsert::open(client, "t");
    second.send(1, &[row(1, "c", UPSERT)]).ok();
    client.try_call("POST", &second.target, &[], &[]).expect_err("the answer is lost");
    assert_eq!(second.commit().refused(404), "UpsertSessionNotFound");
    assert_eq!(names(client, "t"), ["1c"]);
}

#[test]
fn a_rule_moves_the_slot_of_the_request_it_strikes() {
    let emulator = Running::start();
    let client = &emulator.client;
    delta(client, "t");
    let session = Upsert::open(client, "t");
    let own = server_of(client, &session, 1);
    post(client, "faults", &json!({"kind": "upsert-put", "session": "move-slot"})).ok();
    let key = key_of_slot(1);
    assert_eq!(send_routed(client, &session, key, &own).status, 308);
    let new = server_of(client, &session, 1);
    send_routed(client, &session, key, &new).ok();
}

#[test]
fn the_clock_stops_goes_on_and_comes_back() {
    let emulator = Running::start();
    let client = &emulator.client;
    delta(client, "t");
    let session = Upsert::open(client, "t");
    let now = || client.call("GET", "/emulator/clock", &[], &[]).ok().json()["now-ms"].as_i64().unwrap();
    let started = now();
    post(client, "clock", &json!({"advance-ms": 3_600_000})).ok();
    assert!(now() >= started + 3_600_000);
    // The client's own date is now far from the server's, as is that of a machine with a wrong clock.
    assert_eq!(client.get(&session.target).refused(401), "Unauthorized");
    client.call("DELETE", "/emulator/clock", &[], &[]).ok();
    assert_eq!(session.status(), "normal");
    let both = json!({"now-ms": 1, "advance-ms": 1});
    assert_eq!(post(client, "clock", &both).refused(400), "InvalidArgument");
    assert_eq!(post(client, "clock", &json!({"now-ms": 5})).ok().json()["now-ms"], 5);
    assert_eq!(post(client, "clock", &json!({"advance-ms": 2})).ok().json()["now-ms"], 7);
}

#[test]
fn a_session_expires_when_the_clock_passes_its_lifetime() {
    let emulator = Running::with(|options| options.lenient = true);
    let client = &emulator.client;
    delta(client, "t");
    let target = format!("/projects/{PROJECT}/tables/t/upserts");
    let id = client.post(&format!("{target}?lifecycle=1")).ok().json()["id"].as_str().unwrap().to_owned();
    let status = || client.get(&format!("{target}?upsertid={id}")).ok().json()["status"].clone();
    post(client, "clock", &json!({"advance-ms": 3_599_000})).ok();
    assert_eq!(status(), "normal");
    post(client, "clock", &json!({"advance-ms": 2_000})).ok();
    assert_eq!(status(), "expired");
    assert_eq!(client.post(&format!("{target}?upsertid={id}")).refused(409), "StatusConflict");
    assert_eq!(client.post(&format!("{target}?lifecycle=25")).refused(400), "InvalidArgument");
}

#[test]
fn a_lenient_server_takes_other_dates_buckets_and_numbers_of_commits() {
    let emulator = Running::with(|options| options.lenient = true);
    let client = &emulator.client;
    delta(client, "t");
    let session = Upsert::open(client, "t");
    let wrong = (bucket_of(1, BUCKETS) + 1) % BUCKETS;
    client.put(&format!("{}&bucketid={wrong}", session.target), &body(&[row(1, "a", UPSERT)])).ok();
    session.commit().ok();
    assert_eq!(names(client, "t"), ["1a"]);
    for _ in 0..80 {
        Upsert::open(client, "t").commit().ok();
    }
}

#[test]
fn more_commits_at_once_than_the_service_allows_are_put_off() {
    let emulator = Running::start();
    let client = &emulator.client;
    delta(client, "t");
    post(client, "faults", &json!({"kind": "upsert-commit", "times": 32, "delay-ms": 600_000})).ok();
    let held: Vec<Upsert<'_>> = (0..32).map(|_| Upsert::open(client, "t")).collect();
    for session in &held {
        let (address, target) = (emulator.address(), session.target.clone());
        // Answered by the end of the emulator.
        std::thread::spawn(move || drop(Client::new(address).try_call("POST", &target, &[], &[])));
    }
    let struck = || client.send("GET", "/emulator/faults", &[], &[]).unwrap().json()[0]["struck"].as_u64();
    while struck() != Some(32) {
        std::thread::yield_now();
    }
    let one_more = Upsert::open(client, "t");
    assert_eq!(one_more.commit().refused(429), "FlowExceeded");
    assert_eq!(one_more.status(), "normal");
    delta(client, "other");
    Upsert::open(client, "other").commit().ok();
}

#[test]
fn more_commits_than_the_service_allows_are_put_off() {
    let emulator = Running::start();
    let client = &emulator.client;
    delta(client, "t");
    for _ in 0..75 {
        let session = Upsert::open(client, "t");
        session.commit().ok();
        session.commit().ok();
    }
    let one_more = Upsert::open(client, "t");
    assert_eq!(one_more.commit().refused(429), "FlowExceeded");
    assert_eq!(one_more.status(), "normal");
    post(client, "clock", &json!({"advance-ms": 15_000})).ok();
    one_more.commit().ok();
}

#[test]
fn the_state_and_the_page_show_tables_rows_and_sessions() {
    let emulator = Running::start();
    let client = &emulator.client;
    delta(client, "t");
    client.run("create table part (a bigint, st struct<x:bigint>) partitioned by (ds string)");
    client.run("alter table part add partition (ds='<b>&')");
    let session = Upsert::open(client, "t");
    session.send(1, &[row(1, "a", UPSERT)]).ok();
    session.commit().ok();
    let state = client.call("GET", "/emulator/state", &[], &[]).ok().json();
    let tables = state["tables"].as_array().unwrap();
    let seen: Vec<_> = tables.iter().map(|t| (t["table"].as_str().unwrap(), t["rows"].clone())).collect();
    assert_eq!(seen, [("part", json!(0)), ("t", json!(1))]);
    assert_eq!(tables[0]["partitions"], json!([{"values": ["<b>&"], "rows": 0}]));
    assert_eq!(
        (&tables[1]["primary-key"], &state["sessions"][0]["status"]),
        (&json!(["k"]), &"committed".into())
    );
    let page = client.get("/").ok();
    assert!(page.headers["content-type"].starts_with("text/html"));
    let text = page.text();
    assert!(text.contains("<td>mc_proj.t</td><td>k</td><td>4</td>"), "{text}");
    assert!(text.contains("ds=&apos;&lt;b&gt;&amp;&apos;") && !text.contains("<b>&"), "{text}");
    assert!(text.contains(&session.id), "{text}");
}

#[test]
fn a_rule_names_its_error_code_and_holds_a_body_back() {
    let emulator = Running::start();
    let client = &emulator.client;
    delta(client, "t");
    let session = Upsert::open(client, "t");
    let rules = json!([
        {"kind": "upsert-get", "status": 404, "code": "UpsertSessionNotFound"},
        {"kind": "upsert-put", "bytes-per-second": 1_000_000_000},
    ]);
    post(client, "faults", &rules).ok();
    assert_eq!(client.get(&session.target).refused(404), "UpsertSessionNotFound");
    session.send(1, &[row(1, "a", UPSERT)]).ok();
    let list = client.call("GET", "/emulator/faults", &[], &[]).ok().json();
    assert_eq!((&list[0]["struck"], &list[1]["struck"]), (&1.into(), &1.into()));
    let two = json!({"status": 500, "bytes-per-second": 1});
    assert_eq!(post(client, "faults", &two).refused(400), "InvalidArgument");
}

#[test]
fn an_emulator_in_memory_does_all_of_it_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    for _ in 0..2 {
        let emulator = Running::with(|options| {
            options.in_memory = true;
            options.data.clone_from(&path);
        });
        let client = &emulator.client;
        delta(client, "t");
        assert!(names(client, "t").is_empty());
        let session = Upsert::open(client, "t");
        session.send(1, &[row(1, "a", UPSERT)]).ok();
        session.commit().ok();
        assert_eq!(names(client, "t"), ["1a"]);
        // Another one beside it has tables of its own.
        let other = Running::with(|options| options.in_memory = true);
        assert!(other.client.sql("select * from t").is_err());
    }
    assert!(!path.exists());
}
