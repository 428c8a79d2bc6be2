//! Where the service draws lines: at the line is taken, above it is refused.

use serde_json::json;

use super::records::{Cell, UPSERT, body, change};
use super::sessions::{Upsert, delta, names, ordinary, row};
use super::support::{PROJECT, Running};

const LARGEST_VALUE: usize = 8_388_608;

#[test]
fn a_value_has_at_most_eight_megabytes() {
    let emulator = Running::start();
    let client = &emulator.client;
    delta(client, "t");
    ordinary(client, "o");
    let text = "x".repeat(LARGEST_VALUE + 1);
    let session = Upsert::open(client, "t");
    let upsert =
        |text: &str| session.send(1, &[change(&[Cell::Int(1), Cell::Text(text), Cell::Null], UPSERT, &[])]);
    assert_eq!(upsert(&text).refused(400), "CorruptedDataStream");
    upsert(&text[1..]).ok();
    session.commit().ok();
    assert_eq!(client.run("select k from t").len(), 1);
    let upload = client.open("o?uploads");
    assert_eq!(upload["MaxFieldSize"], LARGEST_VALUE);
    let id = upload["UploadID"].as_str().unwrap();
    let target = format!("/projects/{PROJECT}/tables/o?uploadid={id}&blockid=19999");
    let append = |text: &str| client.put(&target, &body(&[vec![Cell::Int(1), Cell::Text(text)]]));
    assert_eq!(append(&text).refused(400), "CorruptedDataStream");
    append(&text[1..]).ok();
}

#[test]
fn names_have_letters_digits_and_underscores_and_128_bytes() {
    let emulator = Running::start();
    let client = &emulator.client;
    let longest = "n".repeat(128);
    client.run(&format!("create table {longest} ({longest} bigint, _x bigint)"));
    let too_long = format!("{longest}n");
    for name in [too_long.as_str(), "1a", "ä", "a b", "a-b"] {
        for statement in [
            format!("create table `{name}` (a bigint)"),
            format!("create table u (`{name}` bigint)"),
            format!("create table u (a bigint) partitioned by (`{name}` string)"),
            format!("alter table {longest} add columns (`{name}` bigint)"),
            format!("alter table {longest} change column _x rename to `{name}`"),
            format!("alter table {longest} change column _x `{name}` bigint"),
            format!("alter table {longest} rename to `{name}`"),
        ] {
            let error = client.sql(&statement).expect_err(&statement);
            assert!(
                error.starts_with("ODPS-0130071") && error.contains("is no name"),
                "{statement}: {error}"
            );
        }
    }
}

#[test]
fn a_rule_makes_a_commit_take_longer_than_its_request() {
    let emulator = Running::start();
    let client = &emulator.client;
    delta(client, "t");
    ordinary(client, "o");
    let rules = |document: serde_json::Value| {
        client.call("POST", "/emulator/faults", &[], document.to_string().as_bytes()).ok();
    };
    rules(json!([
        {"kind": "upsert-commit", "committing": true, "times": 2},
        {"kind": "upload-commit", "committing": true, "after": true},
    ]));
    let session = Upsert::open(client, "t");
    session.send(1, &[row(1, "a", UPSERT)]).ok();
    for _ in 0..2 {
        assert_eq!(session.commit().ok().json()["status"], "committing");
        assert!(names(client, "t").is_empty());
    }
    assert_eq!(session.commit().ok().json()["status"], "committed");
    assert_eq!(names(client, "t"), ["1a"]);
    let id = client.open("o?uploads")["UploadID"].as_str().unwrap().to_owned();
    let target = format!("/projects/{PROJECT}/tables/o?uploadid={id}");
    assert_eq!(client.post(&target).ok().json()["Status"], "CLOSING");
    assert_eq!(client.get(&target).ok().json()["Status"], "CLOSED", "the commit had been done");
}
