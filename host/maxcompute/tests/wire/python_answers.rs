//! The conversations of the Python client: its answers, given to the calls of ours that ask for the same.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value as Json;
use sluicebox_maxcompute::record::Value;
use sluicebox_maxcompute::{
    DataType, DownloadSession, Error, Hints, SessionState, TableName, UploadSession, UpsertSession,
};

use crate::fixture::{json, list, split_target, text, unhex};
use crate::server::{Clock, Reply, Server};

/// Parameters that only the Python client sends, and those of ours that it does not. They change no answer.
const INDIFFERENT: [&str; 7] =
    ["asyncmode", "reload", "instance_tunnel_limit_enabled", "uploads", "maxitems", "getblockid", "slotnum"];

fn what_is_asked(method: &str, path: &str, query: &[(String, String)]) -> String {
    let mut query: Vec<_> =
        query.iter().filter(|(name, _)| !INDIFFERENT.contains(&name.as_str())).cloned().collect();
    query.sort();
    format!("{method} {path} {query:?}")
}

/// A client whose server answers with what was recorded of these calls, each answer once.
async fn replaying(calls: &[&str]) -> (sluicebox_maxcompute::Client, Arc<Clock>, Server) {
    let file = json("exchanges-pyodps.json");
    let mut recorded = VecDeque::new();
    for name in calls {
        let found = list(&file, "calls").iter().find(|call| call["call"] == *name);
        let call = found.unwrap_or_else(|| panic!("no recorded call {name}"));
        for request in list(call, "requests") {
            let (path, query) = split_target(text(request, "target"));
            recorded.push_back((what_is_asked(text(request, "method"), &path, &query), reply(request)));
        }
    }
    let server = Server::start(move |seen| {
        let asked = what_is_asked(&seen.method, &seen.path, &seen.query);
        let at = recorded.iter().position(|(known, _)| *known == asked);
        at.and_then(|at| recorded.remove(at)).map_or_else(|| Reply::new(418, asked), |(_, reply)| reply)
    })
    .await;
    let (client, clock) = server.client(|_| {});
    (client, clock, server)
}

fn reply(request: &Json) -> Reply {
    let response = &request["response"];
    let body = match response.get("body_hex") {
        Some(hex) => unhex(hex.as_str().unwrap()),
        None => response.get("body").and_then(Json::as_str).unwrap_or_default().as_bytes().to_vec(),
    };
    let status = u16::try_from(response["status"].as_u64().unwrap()).unwrap();
    let headers = response.get("headers").and_then(Json::as_object);
    headers
        .into_iter()
        .flatten()
        .fold(Reply::new(status, body), |reply, (name, value)| reply.with(name, value.as_str().unwrap()))
}

fn table(name: &str) -> TableName {
    TableName::new(None, name)
}

#[tokio::test]
async fn tables_partitions_and_schemas_are_described_and_listed() {
    let (client, _, _server) = replaying(&[
        "o.exist_project(project)",
        "o.list_tables()",
        "o.get_table('orders_delta'): is_transactional, primary_key",
        "p.exist_partition(\"ds='1'\")",
        "p.exist_partition(\"ds='2'\")",
        "list(p.partitions)",
        "o.list_schemas()",
        "o.exist_schema('sch1')",
    ])
    .await;
    assert_eq!(client.project().await.unwrap().name, "mc_proj");
    let tables = client.tables(None).await.unwrap();
    assert_eq!(tables.len(), 1);
    assert_eq!((tables[0].name.as_str(), tables[0].kind.as_str()), ("orders", "MANAGED_TABLE"));

    let delta = client.describe(&table("orders_delta")).await.unwrap().unwrap();
    assert!(delta.is_delta());
    assert_eq!((delta.primary_key.as_slice(), delta.buckets), (&["id".to_owned()][..], Some(4)));
    assert_eq!((delta.lifecycle_days, delta.comment, delta.view), (None, None, false));

    assert!(client.partition_exists(&table("orders_part"), "ds='1'").await.unwrap());
    assert!(!client.partition_exists(&table("orders_part"), "ds='2'").await.unwrap());
    let partitions = client.partitions(&table("orders_part")).await.unwrap();
    assert_eq!(partitions, [[("ds".to_owned(), "1".to_owned())]]);
    assert_eq!(client.schemas().await.unwrap(), ["default"]);
    assert!(client.schema_exists("sch1").await.unwrap());
}

#[tokio::test]
async fn rows_of_a_table_and_of_a_query_are_read() {
    let (client, _, _server) = replaying(&["t.open_reader(): iterate"]).await;
    let session = DownloadSession::of_table(&client, &table("orders"), None).await.unwrap();
    let rows = session.records(0, session.record_count()).await.unwrap();
    let cell = |text: &str| Some(Value::Text(text.as_bytes().to_vec()));
    assert_eq!(rows.len(), 7);
    assert_eq!(rows[1], [Some(Value::Bigint(2)), None]);
    assert_eq!(rows[2], [Some(Value::Bigint(3)), cell("中")]);

    let (client, _, _server) =
        replaying(&["o.execute_sql('select * from orders').open_reader(): iterate"]).await;
    let instance = client.run("select * from orders", &Hints::none(), None).await.unwrap();
    let session = DownloadSession::of_instance(&client, instance.id(), false).await.unwrap();
    let types: Vec<_> = session.columns().iter().map(|column| column.data_type.clone()).collect();
    assert_eq!(types, [DataType::Bigint, DataType::String]);
    assert_eq!(session.records(0, session.record_count()).await.unwrap(), rows);
}

#[tokio::test]
async fn a_statement_that_fails_says_why() {
    let (client, _, _server) = replaying(&["o.execute_sql('not a statement')"]).await;
    let error = client.run("not a statement", &Hints::none(), None).await.unwrap_err();
    assert!(matches!(&error, Error::StatementFailed { code, .. } if code == "ODPS-0130071"), "{error}");
}

#[tokio::test]
async fn sessions_are_opened_attached_committed_and_aborted() {
    let delta = table("orders_delta");
    let (client, clock, _server) = replaying(&["upsert session whose commit is asynchronous"]).await;
    let session = UpsertSession::create(&client, &delta, None).await.unwrap();
    assert_eq!((session.bucket_count().get(), session.partial_update()), (4, false));
    session.commit().await.unwrap();
    assert_eq!(clock.waits(), [1.0]);

    let calls = ["upsert session: create, reload, abort", "upsert session: attach to an unknown id"];
    let (client, _, server) = replaying(&calls).await;
    let session = UpsertSession::create(&client, &delta, None).await.unwrap();
    assert_eq!(session.status().await.unwrap(), SessionState::Normal);
    session.abort().await.unwrap();
    let unknown = UpsertSession::attach(&client, &delta, None, "no-such-session").await;
    assert!(matches!(unknown, Err(Error::SessionGone(_))));
    assert_eq!(server.seen().len(), 4);

    let (client, _, _server) = replaying(&["t.open_writer(): write(rows[:1])"]).await;
    let session = UploadSession::create(&client, &table("orders"), None).await.unwrap();
    assert_eq!(session.blocks().await.unwrap(), [1]);
    session.commit().await.unwrap();
}
