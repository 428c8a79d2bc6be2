//! The other calls when the service does not do what it is asked.

use std::sync::Arc;
use std::time::Duration;

use sluicebox_maxcompute::record::{RecordBody, RecordWriter};
use sluicebox_maxcompute::{
    Account, Client, ClientOptions, Compression, DownloadSession, Error, Hints, RetryLimits, Secret,
    SessionState, UploadSession, UpsertSession,
};

use crate::server::{Clock, Reply, Server, body, table, unused_address};
use crate::upserts::ok;

fn upload_document(status: &str) -> Reply {
    Reply::new(200, format!(r#"{{"UploadID":"b1","Status":"{status}","Schema":{{"columns":[]}}}}"#))
}

#[tokio::test]
async fn with_a_region_requests_are_signed_by_version_four() {
    let server = Server::replaying(vec![Reply::new(200, "<Project><Name>mc_proj</Name></Project>")]).await;
    let (client, _) = server.client(|options| options.region = Some("cn-hangzhou".to_owned()));
    client.project().await.unwrap();
    assert_eq!(server.seen()[0].header("date"), Some("Sat, 09 Mar 2024 12:00:00 GMT"));
    let sent = server.seen()[0].header("authorization").unwrap().to_owned();
    assert!(sent.contains("/20240309/cn-hangzhou/odps/aliyun_v4_request:"), "{sent}");
}

#[tokio::test]
async fn an_append_session_tells_done_from_gone() {
    let replies = vec![
        upload_document("NORMAL"),
        upload_document("CLOSING"),
        upload_document("CLOSED"),
        Reply::fault(404, "NoSuchUpload"),
    ];
    let server = Server::replaying(replies).await;
    let (client, clock) = server.client(|_| {});
    let session = UploadSession::create(&client, &table(), None).await.unwrap();
    session.commit().await.unwrap();
    assert_eq!(clock.waits(), [1.0]);
    assert_eq!(session.status().await.unwrap(), SessionState::Gone);
    assert!(matches!(session.commit().await, Err(Error::SessionGone(_))));
    assert_eq!(
        server.lines()[1..3],
        ["POST /projects/mc_proj/tables/t?uploadid=b1", "GET /projects/mc_proj/tables/t?uploadid=b1"]
    );
}

#[tokio::test]
async fn an_append_commit_that_meets_its_own_success_is_done() {
    let conflict = Reply::fault(409, "StatusConflict");
    let replies = vec![upload_document("NORMAL"), Reply::HangUp, conflict.clone(), upload_document("CLOSED")];
    let server = Server::replaying(replies).await;
    let (client, _) = server.client(|_| {});
    let session = UploadSession::create(&client, &table(), None).await.unwrap();
    session.commit().await.unwrap();

    let replies = vec![upload_document("NORMAL"), conflict, upload_document("CANCELED")];
    let server = Server::replaying(replies).await;
    let (client, _) = server.client(|_| {});
    let session = UploadSession::create(&client, &table(), None).await.unwrap();
    assert!(matches!(session.commit().await, Err(Error::Rejected(_))));
}

#[tokio::test]
async fn blocks_are_numbered_and_listed() {
    let listed = r#"{"UploadID":"b1","Status":"NORMAL","Schema":{"columns":[]},
        "UploadedBlockList":[{"BlockID":3,"Version":0},{"BlockID":1,"Version":0}]}"#;
    let replies = vec![upload_document("NORMAL"), Reply::new(201, ""), Reply::new(200, listed)];
    let server = Server::replaying(replies).await;
    let (client, _) = server.client(|_| {});
    let session = UploadSession::create(&client, &table(), None).await.unwrap();
    session.put_block(3, &body()).await.unwrap();
    assert_eq!(session.blocks().await.unwrap(), [1, 3]);
    assert!(matches!(session.put_block(20_000, &body()).await, Err(Error::Options(_))));
    assert_eq!(
        server.lines(),
        [
            "POST /projects/mc_proj/tables/t?uploads",
            "PUT /projects/mc_proj/tables/t?blockid=3&uploadid=b1",
            "GET /projects/mc_proj/tables/t?getblockid=true&uploadid=b1",
        ]
    );
}

#[tokio::test]
async fn only_the_expected_blocks_are_committed() {
    let listed = |status: &str| {
        let blocks = r#"[{"BlockID":3},{"BlockID":1}]"#;
        let head = format!(r#""UploadID":"b1","Status":"{status}","Schema":{{"columns":[]}}"#);
        Reply::new(200, format!(r#"{{{head},"UploadedBlockList":{blocks}}}"#))
    };
    for (expected, commits) in [(&[1, 3][..], true), (&[3, 1, 3], true), (&[1], false), (&[1, 2, 3], false)] {
        let replies = vec![upload_document("NORMAL"), listed("NORMAL"), upload_document("CLOSED")];
        let server = Server::replaying(replies).await;
        let (client, _) = server.client(|_| {});
        let session = UploadSession::create(&client, &table(), None).await.unwrap();
        match session.commit_blocks(expected).await {
            Ok(()) => assert!(commits, "{expected:?}"),
            Err(Error::Options(text)) => assert!(!commits && text.contains("[1, 3]"), "{expected:?}: {text}"),
            Err(error) => panic!("{error}"),
        }
        assert_eq!(server.seen().len(), if commits { 3 } else { 2 }, "{expected:?}");
    }
    let server = Server::replaying(vec![upload_document("NORMAL"), upload_document("CLOSED")]).await;
    let (client, _) = server.client(|_| {});
    let session = UploadSession::create(&client, &table(), None).await.unwrap();
    session.commit_blocks(&[7]).await.unwrap();
    assert_eq!(server.seen().len(), 2, "committed before");
}

#[tokio::test]
async fn the_tunnel_is_looked_for_once_and_again_when_it_cannot_be_reached() {
    let tunnel = Server::replaying(vec![ok("normal")]).await;
    let address = tunnel.address.clone();
    // Nobody listens where the first answer points to.
    let mut nobody = Some(unused_address());
    let service =
        Server::start(move |_| Reply::new(200, nobody.take().unwrap_or_else(|| address.clone()))).await;
    let (client, clock) = service.client(|options| options.tunnel_endpoint = None);
    let session = UpsertSession::create(&client, &table(), None).await.unwrap();
    session.reload().await.unwrap();
    assert_eq!(service.lines(), ["GET /api/projects/mc_proj/tunnel?service"; 2]);
    assert_eq!(tunnel.seen().len(), 2);
    assert_eq!(clock.waits(), [5.0]);
}

#[tokio::test]
async fn a_service_that_cannot_be_reached_has_certainly_not_been_asked() {
    let (client, _) = client_of(&unused_address());
    let error = client.submit("drop table t", &Hints::none(), None).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { maybe_arrived: false, .. }), "{error}");
}

/// A statement that certainly was not handed in is handed in again.
#[tokio::test]
async fn an_unreachable_service_is_tried_as_often_as_configured() {
    let (client, clock) = client_of(&unused_address());
    client.submit("drop table t", &Hints::none(), None).await.unwrap_err();
    assert_eq!(clock.waits(), [0.5, 0.5]);
}

fn client_of(address: &str) -> (Client, Arc<Clock>) {
    let account = Account::new("id", Secret::new("key"));
    let mut options = ClientOptions::new(format!("http://{address}"), "mc_proj", account);
    options.retry = RetryLimits { times: 2, wait: Duration::from_millis(500) };
    let clock = Arc::new(Clock::default());
    (Client::with_timing(options, clock.clone()).unwrap(), clock)
}

#[tokio::test]
async fn what_is_not_there_is_told_from_what_cannot_be_seen() {
    let document =
        |code: &str| format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>m</Message></Error>");
    let cases = [
        (404, "NoSuchObject", Some(false)),
        (404, "NoSuchTable", Some(false)),
        (404, "NoSuchProject", None),
        (403, "NoPermission", None),
    ];
    for (status, code, want) in cases {
        let server = Server::replaying(vec![Reply::new(status, document(code))]).await;
        let (client, _) = server.client(|_| {});
        assert_eq!(client.table_exists(&table()).await.ok(), want, "{code}");
        assert_eq!(client.describe(&table()).await.ok().map(|table| table.is_some()), want, "{code}");
    }
}

#[tokio::test]
async fn lists_are_read_to_their_end() {
    let page = |marker: &str, name: &str| {
        let table = format!("<Table><Name>{name}</Name><Type>MANAGED_TABLE</Type></Table>");
        Reply::new(200, format!("<Tables><Marker>{marker}</Marker><MaxItems>1</MaxItems>{table}</Tables>"))
    };
    let server = Server::replaying(vec![page("m 2", "a"), page("", "b")]).await;
    let (client, _) = server.client(|_| {});
    let names: Vec<_> =
        client.tables(Some("sc1")).await.unwrap().into_iter().map(|table| table.name).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(
        server.lines(),
        [
            "GET /api/projects/mc_proj/tables?curr_schema=sc1&expectmarker=true&maxitems=1000",
            "GET /api/projects/mc_proj/tables?curr_schema=sc1&expectmarker=true&marker=m 2&maxitems=1000",
        ]
    );
}

#[tokio::test]
async fn a_query_is_read_through_the_tunnel_when_it_is_ready() {
    let document = |status: &str| {
        let columns = r#"[{"name":"a","type":"bigint"}]"#;
        Reply::new(
            200,
            format!(
                r#"{{"DownloadID":"d1","Status":"{status}","RecordCount":1,"Schema":{{"columns":{columns}}}}}"#
            ),
        )
    };
    let rows = {
        let mut writer = RecordWriter::new();
        let mut record = writer.record();
        record.bigint(0, 1);
        let mut body = RecordBody::new();
        body.push(record.end());
        Compression::Zlib.compress(body.finish()).to_vec()
    };
    let replies = vec![
        document("INITIATING"),
        document("NORMAL"),
        Reply::new(200, rows.clone()).with("Content-Encoding", "deflate"),
        Reply::new(200, rows).with("Content-Encoding", "br"),
    ];
    let server = Server::replaying(replies).await;
    let (client, clock) = server.client(|_| {});
    let session = DownloadSession::of_instance(&client, "i1", true).await.unwrap();
    assert_eq!(session.records(0, 10).await.unwrap().len(), 1);
    assert!(session.records(1, 10).await.unwrap().is_empty(), "nothing behind the end");
    assert!(matches!(session.records(0, 10).await, Err(Error::Malformed { .. })));
    assert_eq!(clock.waits(), [0.2]);
    assert_eq!(
        server.lines()[..3],
        [
            "POST /projects/mc_proj/instances/i1?downloads&instance_tunnel_limit_enabled",
            "GET /projects/mc_proj/instances/i1?downloadid=d1",
            "GET /projects/mc_proj/instances/i1?data&downloadid=d1&rowrange=(0,1)",
        ]
    );
}

#[tokio::test]
async fn a_schema_that_exists_already_is_fine() {
    let exists = Reply::new(200, "<Schema><Name>s</Name></Schema>");
    let server = Server::replaying(vec![Reply::fault(409, "ObjectAlreadyExists"), exists]).await;
    let (client, _) = server.client(|_| {});
    client.create_schema("s").await.unwrap();
    assert_eq!(server.lines(), ["POST /api/projects/mc_proj/schemas", "GET /api/projects/mc_proj/schemas/s"]);
}

#[test]
fn options_that_make_no_client_say_why() {
    let account = || Account::new("id", Secret::new("key"));
    let cases = [
        ("", "p", None),
        ("service.example/api", "p", None),
        ("ftp://service.example", "p", None),
        ("http://service.example/api?x=1", "p", None),
        ("http://service.example/api", "", None),
        ("http://service.example/api", "p", Some("ftp://dt.example")),
    ];
    for (endpoint, project, tunnel) in cases {
        let mut options = ClientOptions::new(endpoint, project, account());
        options.tunnel_endpoint = tunnel.map(str::to_owned);
        assert!(matches!(Client::new(options), Err(Error::Options(_))), "{endpoint} {project} {tunnel:?}");
    }
    let client = Client::new(ClientOptions::new("https://service.example/api/", "p", account())).unwrap();
    assert!(!format!("{client:?}").contains("key"));
}
