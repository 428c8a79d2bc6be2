//! The service's limits, kept by waiting.

use sluicebox_maxcompute::record::{MAX_VALUE_BYTES, RecordBody, RecordWriter, Value, ValueTooLong};
use sluicebox_maxcompute::{
    Client, DataType, DownloadSession, MAX_BLOCKS, SessionColumn, TableName, UploadOptions, UploadSession,
    UpsertSession,
};

use crate::server::{Reply, Server, body, table};
use crate::upserts::ok;

const DOCUMENT: &str = r#"{"UploadID":"b1","Status":"CLOSED","Schema":{"columns":[]},
    "UploadedBlockList":[{"BlockID":4},{"BlockID":2}]}"#;

async fn commit(client: &Client, table: &TableName) {
    let session = UploadSession::attach(client, table, None, "b1").await.unwrap();
    session.commit().await.unwrap();
}

#[tokio::test]
async fn the_seventy_sixth_commit_of_a_table_waits() {
    let server = Server::replaying(vec![Reply::new(200, DOCUMENT)]).await;
    let (client, clock) = server.client(|_| {});
    for _ in 0..75 {
        commit(&client, &table()).await;
    }
    assert!(clock.waits().is_empty());
    commit(&client.clone(), &table()).await;
    assert_eq!(clock.waits(), [16.0]);
    commit(&client, &TableName::new(None, "another")).await;
    assert_eq!(clock.waits().len(), 1, "tables are counted apart");
    clock.advance(std::time::Duration::from_secs(32));
    commit(&client, &table()).await;
    assert_eq!(clock.waits().len(), 1, "the window has passed");
}

#[tokio::test]
async fn sessions_beyond_the_limit_of_a_table_wait() {
    let server = Server::replaying(vec![Reply::new(200, DOCUMENT)]).await;
    let (client, clock) = server.client(|_| {});
    for _ in 0..500 {
        UploadSession::create(&client, &table(), None).await.unwrap();
    }
    assert!(clock.waits().is_empty());
    UploadSession::create(&client, &table(), None).await.unwrap();
    assert_eq!(clock.waits(), [301.0]);

    let document = r#"{"DownloadID":"d1","Status":"NORMAL","RecordCount":0,"Schema":{"columns":[]}}"#;
    let server = Server::replaying(vec![Reply::new(200, document)]).await;
    let (client, clock) = server.client(|_| {});
    for _ in 0..200 {
        DownloadSession::of_table(&client, &table(), None).await.unwrap();
    }
    assert!(clock.waits().is_empty());
    DownloadSession::of_table(&client, &table(), None).await.unwrap();
    assert_eq!(clock.waits(), [301.0]);
}

#[tokio::test]
async fn while_one_request_is_throttled_others_to_the_table_wait_too() {
    let mut throttled = true;
    let server = Server::start(move |seen| {
        if seen.method == "PUT" && std::mem::take(&mut throttled) {
            return Reply::fault(429, "SlotExceeded").with("Retry-After", "9");
        }
        ok("normal")
    })
    .await;
    let (client, clock) = server.client(|_| {});
    let session = UpsertSession::create(&client, &table(), None).await.unwrap();
    let _ = session.put(0, &body()).await.unwrap();
    assert_eq!(clock.waits(), [9.0]);
    clock.advance(std::time::Duration::from_secs(5));
    let _ = session.put(1, &body()).await.unwrap();
    assert_eq!(clock.waits(), [9.0, 4.0]);
    UpsertSession::create(&client, &TableName::new(None, "another"), None).await.unwrap();
    assert_eq!(clock.waits().len(), 2, "other tables go on");
}

#[tokio::test]
async fn blocks_are_claimed_until_there_are_no_more() {
    let server = Server::replaying(vec![Reply::new(200, DOCUMENT)]).await;
    let (client, _) = server.client(|_| {});
    let options = UploadOptions { overwrite: true, create_partition: true };
    let session = UploadSession::create_with(&client, &table(), Some("ds=1"), options).await.unwrap();
    let line = "POST /projects/mc_proj/tables/t?create_partition=true&overwrite=true&partition=ds=1&uploads";
    assert_eq!(server.lines(), [line]);
    let clone = session.clone();
    assert_eq!([session.claim_block(), clone.claim_block()], [Some(5), Some(6)], "behind the stored ones");
    let rest: Vec<u32> = std::iter::from_fn(|| session.claim_block()).collect();
    assert_eq!((rest.len(), rest.last()), (19_993, Some(&(MAX_BLOCKS - 1))));
    assert_eq!(clone.claim_block(), None);
}

#[test]
fn a_value_that_is_too_long_names_its_column() {
    let column = |name: &str, data_type| SessionColumn {
        name: name.to_owned(),
        data_type,
        nullable: true,
        column_id: None,
    };
    let columns = [
        column("id", DataType::Bigint),
        column("note", DataType::String),
        column("tags", DataType::Array(Box::new(DataType::String))),
    ];
    let mut writer = RecordWriter::new();
    let mut row = |note: usize, tag: usize| {
        let mut body = RecordBody::new();
        let mut record = writer.record();
        record.bigint(0, 1);
        record.text(1, &vec![b'x'; note]);
        record.value(2, Some(&Value::Array(vec![None, Some(Value::Text(vec![b'y'; tag]))])));
        let pushed = body.try_push(record.end(), &columns);
        assert_eq!(body.records(), u64::from(pushed.is_ok()));
        pushed
    };
    let too_long = |column: &str| {
        let (bytes, limit) = (MAX_VALUE_BYTES + 1, MAX_VALUE_BYTES);
        Err(ValueTooLong { column: column.to_owned(), bytes, limit })
    };
    assert_eq!(row(MAX_VALUE_BYTES, MAX_VALUE_BYTES), Ok(()));
    assert_eq!(row(MAX_VALUE_BYTES + 1, 0), too_long("note"));
    assert_eq!(row(5, MAX_VALUE_BYTES + 1), too_long("tags"));
    assert_eq!(row(1, 1), Ok(()), "the next row begins anew");
    assert!(row(MAX_VALUE_BYTES + 1, 0).unwrap_err().to_string().contains("`note` has 8388609 bytes"));

    let mut writer = RecordWriter::with_value_limit(1000);
    let mut record = writer.record();
    record.text(1, &[b'x'; 1001]);
    let error = RecordBody::new().try_push(record.end(), &columns).unwrap_err();
    assert_eq!((error.bytes, error.limit), (1001, 1000), "the session's own limit");
}
