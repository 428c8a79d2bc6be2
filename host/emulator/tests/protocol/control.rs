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
