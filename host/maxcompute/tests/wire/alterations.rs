//! Tables changed so far as they lack it.

use sluicebox_maxcompute::statement::TableDefinition;
use sluicebox_maxcompute::{Error, Hints, TableChange};

use crate::server::{Reply, Server, table};

fn described(columns: &[&str]) -> Reply {
    let columns: Vec<_> =
        columns.iter().map(|name| format!(r#"{{"name":"{name}","type":"bigint"}}"#)).collect();
    let schema = format!(r#"{{"columns":[{}],"partitionKeys":[]}}"#, columns.join(","));
    Reply::new(200, format!("<Table><Name>t</Name><Schema><![CDATA[{schema}]]></Schema></Table>"))
}

fn missing() -> Reply {
    Reply::new(404, "<Error><Code>NoSuchObject</Code></Error>")
}

/// The answers to a statement that runs while it is handed in.
fn ran(status: &str) -> Reply {
    let result = "<Result Format=\"text\">ODPS-0130071:column exists</Result>";
    let document =
        format!("<Instance><Tasks><Task><Status>{status}</Status>{result}</Task></Tasks></Instance>");
    Reply::new(200, document).with("Location", "http://x/i1")
}

fn rename() -> TableChange {
    TableChange::RenameColumn { from: "a".to_owned(), to: "b".to_owned() }
}

const DESCRIBE: &str = "GET /api/projects/mc_proj/tables/t?extended";
const LOOK: &str = "GET /api/projects/mc_proj/tables/t";
const SUBMIT: &str = "POST /api/projects/mc_proj/instances";

#[tokio::test]
async fn a_change_that_is_there_is_not_issued() {
    let server = Server::replaying(vec![described(&["a"]), ran("Success"), described(&["b"])]).await;
    let (client, _) = server.client(|_| {});
    assert!(client.alter_table(&table(), &rename(), &Hints::none()).await.unwrap());
    assert!(!client.alter_table(&table(), &rename(), &Hints::none()).await.unwrap());
    assert_eq!(server.lines(), [DESCRIBE, SUBMIT, DESCRIBE]);
}

#[tokio::test]
async fn a_change_that_fails_because_it_was_made_meanwhile_is_made() {
    let server = Server::replaying(vec![described(&["a"]), ran("Failed"), described(&["b"])]).await;
    let (client, _) = server.client(|_| {});
    assert!(client.alter_table(&table(), &rename(), &Hints::none()).await.unwrap());

    let server = Server::replaying(vec![described(&["a"]), ran("Failed"), described(&["a"])]).await;
    let (client, _) = server.client(|_| {});
    let error = client.alter_table(&table(), &rename(), &Hints::none()).await.unwrap_err();
    assert!(matches!(&error, Error::StatementFailed { .. }), "{error}");
    assert_eq!(server.lines(), [DESCRIBE, SUBMIT, DESCRIBE]);
}

#[tokio::test]
async fn a_change_that_may_have_arrived_is_not_sent_again() {
    let server = Server::replaying(vec![described(&["a"]), Reply::HangUp, described(&["b"])]).await;
    let (client, _) = server.client(|_| {});
    let error = client.alter_table(&table(), &rename(), &Hints::none()).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { maybe_arrived: true, .. }), "{error}");
    assert!(
        !client.alter_table(&table(), &rename(), &Hints::none()).await.unwrap(),
        "asking again finds out"
    );
    assert_eq!(server.lines(), [DESCRIBE, SUBMIT, DESCRIBE]);
}

#[tokio::test]
async fn tables_are_made_renamed_and_dropped_once() {
    let hints = Hints::none();
    let there = || described(&["a"]);
    let server = Server::replaying(vec![missing(), ran("Success"), there()]).await;
    let (client, _) = server.client(|_| {});
    let definition = TableDefinition::default();
    assert!(client.create_table(&table(), &definition, &hints).await.unwrap());
    assert!(!client.create_table(&table(), &definition, &hints).await.unwrap());
    assert_eq!(server.lines(), [LOOK, SUBMIT, LOOK]);

    let server = Server::replaying(vec![there(), ran("Success"), missing()]).await;
    let (client, _) = server.client(|_| {});
    assert!(client.drop_table(&table(), &hints).await.unwrap());
    assert!(!client.drop_table(&table(), &hints).await.unwrap());
    assert_eq!(server.lines(), [LOOK, SUBMIT, LOOK]);

    let server = Server::replaying(vec![there(), ran("Success"), missing(), there()]).await;
    let (client, _) = server.client(|_| {});
    assert!(client.rename_table(&table(), "u", &hints).await.unwrap());
    assert!(!client.rename_table(&table(), "u", &hints).await.unwrap());
    assert_eq!(server.lines(), [LOOK, SUBMIT, LOOK, "GET /api/projects/mc_proj/tables/u"]);

    let server = Server::replaying(vec![ran("Success")]).await;
    let (client, _) = server.client(|_| {});
    client.truncate_table(&table(), &hints).await.unwrap();
    client.truncate_table(&table(), &hints).await.unwrap();
    assert_eq!(server.lines(), [SUBMIT, SUBMIT]);
}

#[tokio::test]
async fn partitions_are_added_once() {
    let partition = Reply::new(200, "<Partition><Column Name=\"ds\" Value=\"1\"/></Partition>");
    let server = Server::replaying(vec![missing(), ran("Success"), partition]).await;
    let (client, _) = server.client(|_| {});
    let values = [("ds", "2024"), ("hh", "01")];
    assert!(client.add_partition(&table(), &values, &Hints::none()).await.unwrap());
    assert!(!client.add_partition(&table(), &values, &Hints::none()).await.unwrap());
    let look = "GET /api/projects/mc_proj/tables/t?partition=ds='2024',hh='01'";
    assert_eq!(server.lines(), [look, SUBMIT, look]);
}

#[tokio::test]
async fn a_table_that_is_not_there_cannot_be_changed() {
    let server = Server::replaying(vec![missing()]).await;
    let (client, _) = server.client(|_| {});
    let error = client.alter_table(&table(), &rename(), &Hints::none()).await.unwrap_err();
    assert!(matches!(&error, Error::NotFound(answer) if answer.operation == "alter `t`"), "{error}");
    assert_eq!(server.lines(), [DESCRIBE]);
}
