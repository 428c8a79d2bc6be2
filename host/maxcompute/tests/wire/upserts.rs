//! Upsert sessions when the service does not do what it is asked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sluicebox_maxcompute::{Error, SessionState, Stored, TableName, Timing, UpsertOptions, UpsertSession};

use crate::server::{Clock, Reply, Seen, Server, body, table, unused_address};

fn session_document(status: &str, server_of_slot_1: &str) -> String {
    format!(
        r#"{{"id":"u1","schema":{{"columns":[{{"name":"id","type":"bigint","nullable":false,"column_id":"1"}}],
        "partitionKeys":[]}},"hash_key":["id"],"hasher":"default","status":"{status}","slots":[
        {{"slot_id":"0","buckets":[0],"worker_addr":"10.0.0.1:1"}},
        {{"slot_id":"1","buckets":[1],"worker_addr":"{server_of_slot_1}"}}]}}"#
    )
}

pub fn ok(status: &str) -> Reply {
    Reply::new(200, session_document(status, "10.0.0.2:1"))
}

/// A server that opens an upsert session and then gives `replies`.
async fn with_session(mut replies: Vec<Reply>) -> (Server, UpsertSession, Arc<Clock>) {
    replies.insert(0, ok("normal"));
    let server = Server::replaying(replies).await;
    let (client, clock) = server.client(|_| {});
    let session = UpsertSession::create(&client, &table(), None).await.unwrap();
    (server, session, clock)
}

fn puts(server: &Server) -> Vec<Seen> {
    server.seen().into_iter().filter(|seen| seen.method == "PUT").collect()
}

#[tokio::test]
async fn a_moved_slot_is_written_at_its_new_place_at_once() {
    let moved = Reply::new(308, "").with("odps-tunnel-routed-server", "10.0.0.9:1");
    let (server, session, clock) = with_session(vec![moved, Reply::new(200, "")]).await;
    let _ = session.put(1, &body()).await.unwrap();
    let _ = session.put(1, &body()).await.unwrap();
    let _ = session.put(0, &body()).await.unwrap();
    let puts = puts(&server);
    let servers: Vec<_> = puts.iter().map(|seen| seen.header("odps-tunnel-routed-server").unwrap()).collect();
    assert_eq!(servers, ["10.0.0.2:1", "10.0.0.9:1", "10.0.0.9:1", "10.0.0.1:1"]);
    assert_eq!(puts[0].body, puts[1].body, "the same bytes");
    assert_eq!(clock.waits(), [0.0]);
}

#[tokio::test]
async fn a_commit_and_an_abort_follow_the_slot_of_bucket_0() {
    let moved = Reply::new(308, "").with("odps-tunnel-routed-server", "10.0.0.9:1");
    let places = |server: &Server| -> Vec<String> {
        let seen = server.seen().into_iter().skip(1);
        seen.filter_map(|seen| seen.header("odps-tunnel-routed-server").map(str::to_owned)).collect()
    };
    let (server, session, clock) = with_session(vec![moved.clone(), ok("committed")]).await;
    session.commit().await.unwrap();
    assert_eq!(places(&server), ["10.0.0.1:1", "10.0.0.9:1"]);
    assert_eq!(clock.waits(), [0.0]);
    let (server, session, _) = with_session(vec![moved, Reply::new(200, "")]).await;
    session.abort().await.unwrap();
    assert_eq!(places(&server), ["10.0.0.1:1", "10.0.0.9:1"]);
    // Not said where: the session is read again.
    let (server, session, _) = with_session(vec![Reply::new(308, ""), ok("normal"), ok("committed")]).await;
    session.commit().await.unwrap();
    assert_eq!(server.lines()[2], "GET /projects/mc_proj/tables/t/upserts?upsertid=u1");
}

#[tokio::test]
async fn a_slot_that_moved_to_an_unnamed_place_is_looked_up() {
    let reloaded = Reply::new(200, session_document("normal", "10.0.0.7:1"));
    for status in [308, 502, 504] {
        let replies = vec![Reply::new(status, ""), reloaded.clone(), Reply::new(200, "")];
        let (server, session, _) = with_session(replies).await;
        let _ = session.put(1, &body()).await.unwrap();
        assert_eq!(
            server.lines()[1..],
            [
                "PUT /projects/mc_proj/tables/t/upserts?bucketid=1&record_count=1&slotid=1&upsertid=u1",
                "GET /projects/mc_proj/tables/t/upserts?upsertid=u1",
                "PUT /projects/mc_proj/tables/t/upserts?bucketid=1&record_count=1&slotid=1&upsertid=u1",
            ],
            "{status}"
        );
        assert_eq!(puts(&server)[1].header("odps-tunnel-routed-server"), Some("10.0.0.7:1"), "{status}");
    }
}

#[tokio::test]
async fn a_slot_that_never_rests_is_a_fault() {
    let moved = Reply::new(308, "").with("odps-tunnel-routed-server", "10.0.0.9:1");
    let (server, session, _) = with_session(vec![moved]).await;
    let error = session.put(1, &body()).await.unwrap_err();
    assert!(matches!(&error, Error::ServerFault(answer) if answer.status == 308), "{error}");
    assert_eq!(puts(&server).len(), 11);
}

#[tokio::test]
async fn a_session_whose_buckets_changed_is_not_written_to() {
    let other = session_document("normal", "10.0.0.2:1").replace("\"buckets\":[1]", "\"buckets\":[1,2]");
    let (_server, session, _) = with_session(vec![Reply::new(502, ""), Reply::new(200, other)]).await;
    let error = session.put(1, &body()).await.unwrap_err();
    assert!(matches!(&error, Error::Malformed { detail, .. } if detail.contains("buckets")), "{error}");
}

#[tokio::test]
async fn throttling_is_waited_for_as_the_service_asks() {
    let replies = vec![
        Reply::fault(429, "FlowExceeded").with("Retry-After", "7"),
        Reply::fault(429, "SlotExceeded"),
        Reply::fault(400, "FlowExceeded"),
        Reply::new(200, ""),
    ];
    let (_server, session, clock) = with_session(replies).await;
    let _ = session.put(1, &body()).await.unwrap();
    assert_eq!(clock.waits(), [7.0, 2.0, 4.0]);
}

#[tokio::test]
async fn throttling_without_end_is_given_to_the_caller() {
    let (_server, session, clock) = with_session(vec![Reply::fault(429, "FlowExceeded")]).await;
    let error = session.put(1, &body()).await.unwrap_err();
    assert!(matches!(&error, Error::Throttled { answer, .. } if answer.code == "FlowExceeded"), "{error}");
    assert!(clock.waits().iter().sum::<f64>() <= 600.0);
    assert!(clock.waits().iter().sum::<f64>() > 500.0);
}

#[tokio::test]
async fn a_pause_in_the_error_document_is_kept() {
    let hold = r#"{"Code":"ServiceUnavailable","Message":"m","HoldClientMillis":3000}"#;
    let (_server, session, clock) = with_session(vec![Reply::new(503, hold), Reply::new(200, "")]).await;
    let _ = session.put(1, &body()).await.unwrap();
    assert_eq!(clock.waits(), [3.0]);
}

#[tokio::test]
async fn server_faults_are_repeated_seven_times() {
    let (server, session, clock) = with_session(vec![Reply::fault(500, "InternalServerError")]).await;
    let error = session.put(1, &body()).await.unwrap_err();
    let request_id = match &error {
        Error::ServerFault(answer) => answer.request_id.as_deref(),
        other => panic!("{other}"),
    };
    assert_eq!(request_id, Some("r-1"));
    let bodies: Vec<_> = puts(&server).into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies.len(), 8);
    assert!(bodies.iter().all(|sent| *sent == body().bytes), "the same bytes each time");
    assert_eq!(clock.waits(), [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]);
}

/// An overloaded service answers 503: it is waited for as long as one that says 429.
#[tokio::test]
async fn an_overloaded_service_is_waited_for() {
    let mut replies = vec![Reply::fault(503, "ServiceUnavailable"); 10];
    replies.push(Reply::new(200, ""));
    let (_server, session, clock) = with_session(replies).await;
    assert_eq!(session.put(1, &body()).await.unwrap(), Stored::Once);
    assert_eq!(clock.waits(), [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 64.0, 64.0, 64.0]);
    let (_server, session, _) = with_session(vec![Reply::fault(503, "ServiceUnavailable")]).await;
    assert!(matches!(session.put(1, &body()).await, Err(Error::ServerFault(_))), "not for ever");
}

#[tokio::test]
async fn a_broken_connection_is_repeated_as_often_as_configured() {
    let replies = vec![Reply::HangUp, Reply::HangUp, Reply::new(200, "")];
    let (_server, session, clock) = with_session(replies).await;
    assert_eq!(session.put(1, &body()).await.unwrap(), Stored::EchoPossible);
    assert_eq!(clock.waits(), [5.0, 5.0]);

    let (server, session, _) = with_session(vec![Reply::HangUp]).await;
    let error = session.put(1, &body()).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { maybe_arrived: true, .. }), "{error}");
    assert_eq!(puts(&server).len(), 4);
}

/// The rule that keeps the order of rows of one key: see the documentation of `put`.
#[tokio::test]
async fn rows_that_may_arrive_again_are_told_from_those_that_arrived_once() {
    let cases = [
        (Reply::new(200, ""), Stored::Once),
        (Reply::HangUp, Stored::EchoPossible),
        (Reply::new(408, ""), Stored::EchoPossible),
        (Reply::fault(500, "InternalServerError"), Stored::Once),
        (Reply::fault(503, "ServiceUnavailable"), Stored::Once),
        (Reply::fault(429, "FlowExceeded"), Stored::Once),
        (Reply::new(308, "").with("odps-tunnel-routed-server", "10.0.0.9:1"), Stored::Once),
    ];
    for (first, want) in cases {
        let (_server, session, _) = with_session(vec![first.clone(), Reply::new(200, "")]).await;
        assert_eq!(session.put(1, &body()).await.unwrap(), want, "{first:?}");
        assert_eq!(session.put(1, &body()).await.unwrap(), Stored::Once, "the next one");
    }
    for status in [502, 504] {
        let (_server, session, _) = with_session(vec![Reply::new(status, ""), ok("normal")]).await;
        assert_eq!(session.put(1, &body()).await.unwrap(), Stored::EchoPossible, "{status}");
    }
}

/// An attempt that got no answer is not forgotten when the last one was not even sent.
#[tokio::test]
async fn an_attempt_that_may_have_arrived_is_remembered() {
    let mut hang_up = true;
    let address = Arc::new(Mutex::new(String::new()));
    let server = {
        let address = Arc::clone(&address);
        Server::start(move |seen| {
            if seen.path.ends_with("/tunnel") {
                let known = address.lock().unwrap().clone();
                return Reply::new(200, if hang_up { known } else { unused_address() });
            }
            if seen.method == "PUT" {
                hang_up = false;
                return Reply::HangUp;
            }
            ok("normal")
        })
        .await
    };
    *address.lock().unwrap() = server.address.clone();
    let (client, _) = server.client(|options| options.tunnel_endpoint = None);
    let session = UpsertSession::create(&client, &table(), None).await.unwrap();
    let error = session.put(1, &body()).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { maybe_arrived: true, .. }), "{error}");
}

#[tokio::test]
async fn sessions_can_be_used_by_many_tasks() {
    let (server, session, _) = with_session(vec![Reply::new(200, "")]).await;
    let tasks = [0, 1].map(|bucket| {
        let session = session.clone();
        tokio::spawn(async move { session.put(bucket, &body()).await })
    });
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap(), Stored::Once);
    }
    assert_eq!(puts(&server).len(), 2);
}

#[tokio::test]
async fn a_rejected_block_is_not_repeated() {
    let cases = [
        (400, "InvalidArgument", "rejected"),
        (401, "Unauthorized", "refused"),
        (403, "NoPermission", "refused"),
        (404, "UpsertSessionNotFound", "tunnel session is gone"),
        (404, "NoSuchTable", "not found"),
        (412, "SchemaModified", "table changed under the session"),
        (302, "", "rejected"),
    ];
    for (status, code, begins) in cases {
        let (server, session, clock) = with_session(vec![Reply::fault(status, code)]).await;
        let error = session.put(1, &body()).await.unwrap_err();
        assert!(error.to_string().starts_with(begins), "{status} {code}: {error}");
        assert_eq!(error.code(), Some(code));
        assert_eq!(puts(&server).len(), 1, "{status} {code}");
        assert!(clock.waits().is_empty());
    }
}

#[tokio::test]
async fn a_bucket_that_does_not_exist_is_not_sent() {
    let (server, session, _) = with_session(vec![ok("normal")]).await;
    assert!(matches!(session.put(2, &body()).await, Err(Error::Options(_))));
    assert!(puts(&server).is_empty());
}

#[tokio::test]
async fn a_commit_is_posted_again_until_it_is_done() {
    let replies = vec![ok("committing"), ok("normal"), Reply::fault(503, ""), ok("COMMITTED")];
    let (server, session, clock) = with_session(replies).await;
    session.commit().await.unwrap();
    assert_eq!(session.last_state(), SessionState::Committed);
    let posts: Vec<_> = server.seen().into_iter().skip(1).collect();
    assert_eq!(posts.len(), 4);
    for post in &posts {
        assert_eq!(post.line(), "POST /projects/mc_proj/tables/t/upserts?upsertid=u1");
        assert_eq!(post.header("odps-tunnel-routed-server"), Some("10.0.0.1:1"));
        assert_eq!(post.header("content-length"), Some("0"));
    }
    assert_eq!(clock.waits(), [1.0, 2.0, 1.0]);
}

#[tokio::test]
async fn a_session_that_vanishes_after_its_commit_was_accepted_is_committed() {
    let gone = Reply::fault(404, "UpsertSessionNotFound");
    let (_server, session, _) = with_session(vec![ok("committing"), gone.clone()]).await;
    session.commit().await.unwrap();

    let (_server, session, _) = with_session(vec![gone.clone()]).await;
    assert!(matches!(session.commit().await, Err(Error::SessionGone(_))));

    // A commit whose answer was lost has not been accepted as far as anyone knows.
    let (_server, session, _) = with_session(vec![Reply::HangUp, gone]).await;
    assert!(matches!(session.commit().await, Err(Error::SessionGone(_))));
}

#[tokio::test]
async fn a_commit_that_cannot_succeed_says_so() {
    for (status, state) in [("aborted", SessionState::Aborted), ("expired", SessionState::Expired)] {
        let (_server, session, _) = with_session(vec![ok(status)]).await;
        let error = session.commit().await.unwrap_err();
        assert!(matches!(&error, Error::SessionLost { state: lost, .. } if *lost == state), "{error}");
    }
    let (_server, session, clock) = with_session(vec![ok("committing")]).await;
    let error = session.commit().await.unwrap_err();
    assert!(matches!(&error, Error::StillCommitting { waited, .. } if waited.as_secs() == 120), "{error}");
    assert!((clock.waits().iter().sum::<f64>() - 120.0).abs() < 1e-6);
    let (_server, session, _) = with_session(vec![ok("of a kind unheard of")]).await;
    assert!(matches!(session.commit().await, Err(Error::Malformed { .. })));
}

#[tokio::test]
async fn the_status_of_a_session_that_is_gone_is_no_error() {
    let gone = Reply::fault(404, "UpsertSessionNotFound");
    let (_server, session, _) = with_session(vec![ok("committed"), gone]).await;
    assert_eq!(session.status().await.unwrap(), SessionState::Committed);
    assert_eq!(session.status().await.unwrap(), SessionState::Gone);
    session.abort().await.unwrap();
}

#[tokio::test]
async fn a_session_that_is_kept_alive_is_read_until_it_ends() {
    let replies = vec![ok("normal"), Reply::fault(500, ""), ok("normal"), ok("expired")];
    let (server, session, clock) = with_session(replies).await;
    assert_eq!(session.keep_alive().await.unwrap(), SessionState::Expired);
    assert_eq!(server.seen().len(), 5);
    assert_eq!(clock.waits(), [30.0, 30.0, 1.0, 30.0], "a reading that failed was made again");

    let gone = Reply::fault(404, "UpsertSessionNotFound");
    let (_server, session, _) = with_session(vec![ok("normal"), gone]).await;
    assert_eq!(session.keep_alive().await.unwrap(), SessionState::Gone);
    let (_server, session, _) = with_session(vec![Reply::fault(403, "NoPermission")]).await;
    assert!(matches!(session.keep_alive().await, Err(Error::Refused(_))));
}

#[tokio::test]
async fn lifetime_and_slots_are_asked_for_at_creation() {
    let server = Server::replaying(vec![ok("normal")]).await;
    let (client, clock) = server.client(|_| {});
    let options = UpsertOptions { slots: 3, lifetime_hours: Some(2) };
    let session = UpsertSession::create_with(&client, &table(), None, options).await.unwrap();
    assert_eq!(server.lines(), ["POST /projects/mc_proj/tables/t/upserts?lifecycle=2&slotnum=3"]);
    assert_eq!(session.expires(), clock.now() + Duration::from_secs(2 * 3600));
    for hours in [0, 25] {
        let options = UpsertOptions { lifetime_hours: Some(hours), ..UpsertOptions::default() };
        let refused = UpsertSession::create_with(&client, &table(), None, options).await;
        assert!(matches!(refused, Err(Error::Options(_))), "{hours}");
    }
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_broken_session_document_is_refused() {
    let whole = session_document("normal", "10.0.0.2:1");
    let broken = [
        whole.replace("\"buckets\":[1]", "\"buckets\":[2]"),
        whole.replace("\"buckets\":[1]", "\"buckets\":[0]"),
        whole.replace("\"buckets\":[0]", "\"buckets\":[]").replace("\"buckets\":[1]", "\"buckets\":[]"),
        whole.replace("\"default\"", "\"unheard of\""),
        whole.replace("\"bigint\"", "\"unheard of\""),
        whole.replace("\"normal\"", "\"unheard of\""),
        whole.replace("\"hasher\"", "\"hash\""),
        "<html>".to_owned(),
    ];
    for document in broken {
        let server = Server::replaying(vec![Reply::new(200, document.clone())]).await;
        let (client, _) = server.client(|_| {});
        let error = UpsertSession::create(&client, &table(), None).await.unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{document}: {error}");
    }
}

#[tokio::test]
async fn partition_quota_and_schema_are_on_every_call_of_a_session() {
    let replies = vec![ok("normal"), Reply::new(200, ""), ok("normal"), ok("committed"), Reply::new(204, "")];
    let server = Server::replaying(replies).await;
    let (client, _) = server.client(|options| options.quota = Some("q 1".to_owned()));
    let table = TableName::new(Some("sc1"), "t");
    let session = UpsertSession::create(&client, &table, Some("ds=20240309,hh=a b")).await.unwrap();
    let _ = session.put(0, &body()).await.unwrap();
    session.reload().await.unwrap();
    session.commit().await.unwrap();
    session.abort().await.unwrap();
    let seen = server.seen();
    assert_eq!(seen.len(), 5);
    for request in &seen {
        assert_eq!(request.path, "/projects/mc_proj/schemas/sc1/tables/t/upserts");
        assert_eq!(request.parameter("quotaName"), Some("q 1"));
        assert_eq!(request.parameter("partition"), Some("ds=20240309,hh=a b"));
        assert!(request.target.contains("partition=ds%3D20240309%2Chh%3Da%20b"), "{}", request.target);
        assert_eq!(request.header("odps-tunnel-sdk-support-schema-evolution"), Some("true"));
    }
}
