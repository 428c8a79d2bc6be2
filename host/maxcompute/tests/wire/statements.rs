//! SQL instances, and the texts of statements.

use std::time::Duration;

use sluicebox_maxcompute::{Error, Hints, TableName, statement};

use crate::server::{Reply, Server};

#[tokio::test]
async fn a_statement_is_never_handed_in_twice_once_it_may_have_arrived() {
    for reply in [Reply::HangUp, Reply::fault(500, ""), Reply::fault(503, ""), Reply::fault(408, "")] {
        let server = Server::replaying(vec![reply.clone()]).await;
        let (client, clock) = server.client(|_| {});
        let error = client.submit("drop table t", &Hints::none(), None).await.unwrap_err();
        assert_eq!(server.seen().len(), 1, "{reply:?}: {error}");
        assert!(clock.waits().is_empty());
    }
}

#[tokio::test]
async fn a_statement_that_was_turned_away_is_handed_in_again() {
    let accepted = Reply::new(201, "").with("Location", "http://x/api/projects/mc_proj/instances/i1");
    let replies = vec![
        Reply::fault(409, "Conflict").with("Retry-After", "20"),
        Reply::fault(429, "TooMany").with("Retry-After", "3"),
        accepted,
    ];
    let server = Server::replaying(replies).await;
    let (client, clock) = server.client(|_| {});
    let instance = client.submit("drop table t", &Hints::none(), Some("sc1")).await.unwrap();
    assert_eq!(instance.id(), "i1");
    assert_eq!(clock.waits(), [20.0, 3.0]);
    assert_eq!(server.lines(), ["POST /api/projects/mc_proj/instances?curr_schema=sc1"; 3]);

    // Not for ever, and not without being asked to.
    let server = Server::replaying(vec![Reply::fault(409, "Conflict").with("Retry-After", "50")]).await;
    let (client, clock) = server.client(|_| {});
    let error = client.submit("drop table t", &Hints::none(), None).await.unwrap_err();
    assert!(matches!(error, Error::Rejected(_)), "{error}");
    assert_eq!(clock.waits(), [50.0, 50.0, 50.0]);
    let server = Server::replaying(vec![Reply::fault(409, "Conflict")]).await;
    let (client, _) = server.client(|_| {});
    assert!(client.submit("drop table t", &Hints::none(), None).await.is_err());
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_statement_is_waited_for_and_its_failure_told() {
    let running = Reply::new(200, "<Instance><Status>Running</Status></Instance>");
    let terminated = Reply::new(200, "<Instance><Status>Terminated</Status></Instance>");
    let status = |status: &str| {
        Reply::new(200, format!("<Instance><Tasks><Task><Status>{status}</Status></Task></Tasks></Instance>"))
    };
    let accepted = Reply::new(201, "").with("Location", "http://x/i1");
    let replies = vec![accepted.clone(), running.clone(), running, terminated.clone(), status("Success")];
    let server = Server::replaying(replies).await;
    let (client, clock) = server.client(|_| {});
    client.run("select 1", &Hints::none(), None).await.unwrap();
    assert_eq!(clock.waits(), [0.1, 0.2]);

    let result = "<Instance><Tasks><Task><Result Transform=\"Base64\">T0RQUy0wMTMwMDcxOm5v</Result></Task></Tasks></Instance>";
    let replies = vec![accepted.clone(), terminated.clone(), status("Failed"), Reply::new(200, result)];
    let server = Server::replaying(replies).await;
    let (client, _) = server.client(|_| {});
    let error = client.run("select 1", &Hints::none(), None).await.unwrap_err();
    assert!(
        matches!(&error, Error::StatementFailed { instance, code, message }
            if instance == "i1" && code == "ODPS-0130071" && message == "ODPS-0130071:no"),
        "{error}"
    );

    let replies = vec![accepted, terminated, status("Cancelled"), Reply::new(200, "<Instance/>")];
    let server = Server::replaying(replies).await;
    let (client, _) = server.client(|_| {});
    let error = client.run("select 1", &Hints::none(), None).await.unwrap_err();
    assert!(
        matches!(&error, Error::StatementFailed { message, .. } if message.contains("Cancelled")),
        "{error}"
    );
}

#[tokio::test]
async fn a_statement_is_waited_for_as_long_as_its_caller_wants() {
    let accepted = Reply::new(201, "").with("Location", "http://x/i1");
    let running = Reply::new(200, "<Instance><Status>Running</Status></Instance>");
    let server = Server::replaying(vec![accepted, running]).await;
    let (client, clock) = server.client(|_| {});
    let instance = client.submit("drop table t", &Hints::none(), None).await.unwrap();
    let error = instance.wait_at_most(Duration::from_millis(1_000)).await.unwrap_err();
    assert!(matches!(&error, Error::StillRunning { instance, .. } if instance == "i1"), "{error}");
    assert_eq!(clock.waits(), [0.1, 0.2, 0.4, 0.3]);
}

#[tokio::test]
async fn a_statement_that_ran_while_it_was_handed_in_is_not_asked_for() {
    let document = "<Instance><Tasks><Task><Name>AnonymousSQLTask</Name><Status>Success</Status>\
                    <Result Format=\"csv\"><![CDATA[\"a\"\n\\N\n\"\\N\"\n]]></Result></Task></Tasks></Instance>";
    let reply = Reply::new(200, document).with("Location", "http://x/i1");
    let server = Server::replaying(vec![reply]).await;
    let (client, _) = server.client(|_| {});
    let result = client.execute("select '<&\"\u{4e2d}' -- x", &Hints::modern(true), None).await.unwrap();
    assert_eq!(result.rows, [[None], [Some("\\N".to_owned())]]);
    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    let body = String::from_utf8(seen[0].body.clone()).unwrap();
    assert!(body.contains("<Query>select &apos;&lt;&amp;&quot;\u{4e2d}&apos; -- x"), "{body}");
    assert!(body.contains("&quot;odps.namespace.schema&quot;:&quot;true&quot;"), "{body}");
    assert_eq!(seen[0].header("content-type"), Some("application/xml"));
    assert_eq!(seen[0].header("content-md5").map(str::len), Some(32));
}

#[test]
fn names_and_texts_cannot_leave_their_quotes() {
    let table = TableName::new(Some("s`c"), "t`1");
    assert_eq!(statement::qualified("p", &table), "`p`.`s``c`.`t``1`");
    assert_eq!(statement::literal("it's a \\ \"x\"\n\u{1}."), "'it\\'s a \\\\ \"x\"\n.'");
    assert_eq!(
        statement::add_partition("p", &TableName::new(None, "t"), &[("ds", "2024'03"), ("hh", "01")]),
        "ALTER TABLE `p`.`t` ADD IF NOT EXISTS PARTITION (`ds`='2024\\'03',`hh`='01');"
    );
}
