//! The conversation of the Java client, held by this crate: the same calls with the same paths, parameters and
//! headers, and the same rows inside, in a project without schemas and in one with.

use std::sync::{Arc, Mutex};

use serde_json::Value as Json;
use sluicebox_maxcompute::record::{Operation, RecordBody, RecordWriter, Value, read_records};
use sluicebox_maxcompute::statement::{self, TableDefinition};
use sluicebox_maxcompute::{
    Client, Column, Compression, DataType, DownloadSession, Error, Hints, SessionState, Stored, TableName,
    UploadSession, UpsertSession, bucket,
};

use crate::fixture::{json, split_target, text, unhex};
use crate::server::{Reply, Seen, Server};

/// Headers that must be as recorded. The tunnel's protocol version is that of the newer client in all of ours.
const COMPARED: [&str; 4] =
    ["odps-tunnel-date-transform", "content-encoding", "odps-tunnel-routed-server", "content-type"];

struct Recorded {
    requests: Vec<Json>,
    /// Which were asked for.
    used: Vec<bool>,
}

/// Starts a server that gives the recorded answers, each once, to requests with the recorded method, path and
/// parameters. Statements are taken in their order. Anything else is answered 418.
async fn replay(file: &str) -> (Server, Arc<Mutex<Recorded>>) {
    let file = json(file);
    let requests = file["calls"][0]["requests"].as_array().unwrap().clone();
    let used = vec![false; requests.len()];
    let recorded = Arc::new(Mutex::new(Recorded { requests, used }));
    let shared = Arc::clone(&recorded);
    let server = Server::start(move |seen| shared.lock().unwrap().answer(seen)).await;
    (server, recorded)
}

impl Recorded {
    fn answer(&mut self, seen: &Seen) -> Reply {
        let matching = self.requests.iter().zip(&self.used).position(|(request, used)| {
            let (path, mut query) = split_target(text(request, "target"));
            query.sort();
            !used && request["method"] == seen.method.as_str() && path == seen.path && query == seen.query
        });
        let Some(index) = matching else { return Reply::new(418, "not recorded") };
        self.used[index] = true;
        let request = &self.requests[index];
        if request["to"] == "tunnel" {
            assert_eq!(seen.header("x-odps-tunnel-version"), Some("6"), "{}", seen.target);
            let port = seen.header("host").unwrap().rsplit(':').next().unwrap();
            for name in COMPARED {
                let recorded = request["headers"].as_object().unwrap();
                let recorded = recorded.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
                let recorded = recorded.map(|(_, value)| value.as_str().unwrap().replace("TUNNELPORT", port));
                assert_eq!(seen.header(name), recorded.as_deref(), "{name} of {}", seen.target);
            }
        }
        let port = seen.header("host").unwrap().rsplit(':').next().unwrap();
        let response = &request["response"];
        let body = match response.get("body_hex") {
            Some(hex) => unhex(hex.as_str().unwrap()),
            None => response.get("body").and_then(Json::as_str).unwrap_or("").to_owned().into_bytes(),
        };
        let filled = |text: &str| text.replace("TUNNELPORT", port).replace("RESTPORT", port);
        let body = String::from_utf8(body.clone()).map_or(body, |text| filled(&text).into_bytes());
        let mut reply = Reply::new(u16::try_from(response["status"].as_u64().unwrap()).unwrap(), body);
        for (name, value) in response.get("headers").and_then(Json::as_object).into_iter().flatten() {
            reply = reply.with(name, &filled(value.as_str().unwrap()));
        }
        reply
    }

    fn targets(&self, used: bool) -> Vec<String> {
        let chosen = self.requests.iter().zip(&self.used).filter(|(_, was)| **was == used);
        chosen
            .map(|(request, _)| format!("{} {}", text(request, "method"), text(request, "target")))
            .collect()
    }

    /// The recorded statements in order.
    fn statements(&self) -> Vec<String> {
        self.requests.iter().filter_map(|request| statement_in(request.get("body")?.as_str()?)).collect()
    }
}

fn statement_in(document: &str) -> Option<String> {
    let (_, rest) = document.split_once("<Query>")?;
    let (query, _) = rest.split_once("</Query>")?;
    let plain = [("&lt;", "<"), ("&gt;", ">"), ("&apos;", "'"), ("&quot;", "\""), ("&amp;", "&")];
    Some(plain.iter().fold(query.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain)))
}

fn column(name: &str, data_type: &str, nullable: bool, comment: Option<&str>) -> Column {
    let data_type = data_type.parse().unwrap();
    Column { name: name.to_owned(), data_type, nullable, comment: comment.map(str::to_owned) }
}

fn orders() -> TableDefinition {
    TableDefinition {
        columns: vec![
            column("id", "bigint", false, Some("the id")),
            column("k2", "string", false, None),
            column("amount", "decimal(10,2)", true, None),
            column("tags", "array<string>", true, None),
            column("m", "map<string,bigint>", true, None),
            column("st", "struct<a:bigint,end:string>", true, None),
            column("ntz", "timestamp_ntz", true, None),
        ],
        primary_key: vec!["id".to_owned(), "k2".to_owned()],
        buckets: Some(16),
        ..TableDefinition::default()
    }
}

/// Writes the recorded rows of every bucket again. Returns how many buckets there were.
async fn write_recorded_buckets(session: &UpsertSession, recorded: &[Json]) -> usize {
    let columns = u32::try_from(session.columns().len()).unwrap();
    let mut types: Vec<DataType> = session.columns().iter().map(|column| column.data_type.clone()).collect();
    types.extend([DataType::Bigint, DataType::Bigint, DataType::Tinyint]);
    types.extend([DataType::Array(DataType::Bigint.into()), DataType::Array(DataType::Bigint.into())]);
    let mut writer = RecordWriter::new();
    let mut buckets = 0;
    for request in recorded {
        let (_, query) = split_target(text(request, "target"));
        let Some((_, wanted)) = query.iter().find(|(name, _)| name == "bucketid") else { continue };
        let bytes = Compression::Zlib.decompress(&unhex(text(request, "body_hex")), 1 << 20).unwrap();
        let mut body = RecordBody::new();
        for row in read_records(&bytes, &types).unwrap() {
            let id = row[0].as_ref().and_then(Value::as_bigint).unwrap();
            let key = row[1].as_ref().and_then(Value::as_text).unwrap();
            let sum = session.hasher().bigint(id).wrapping_add(session.hasher().text(key.as_bytes()));
            let bucket = bucket::bucket_of(sum, session.bucket_count());
            assert_eq!(bucket.to_string(), *wanted, "bucket of {id}");
            let mut record = writer.record();
            for (index, value) in (0..columns).zip(&row) {
                record.value(index, value.as_ref());
            }
            let code =
                row[usize::try_from(columns).unwrap() + 2].as_ref().and_then(Value::as_bigint).unwrap();
            let operation = if code == 68 { Operation::Delete } else { Operation::Upsert };
            body.push(record.end_keyed(columns, operation));
        }
        assert_eq!(body.clone().finish(), bytes, "the rows as recorded");
        let stored = session.put(wanted.parse().unwrap(), &body.seal(Compression::Zlib)).await.unwrap();
        assert_eq!(stored, Stored::Once);
        buckets += 1;
    }
    buckets
}

async fn append_and_read_back(client: &Client, plain: &TableName) {
    let session = UploadSession::create(client, plain, None).await.unwrap();
    assert_eq!(session.max_field_size(), 8_388_608);
    let mut writer = RecordWriter::new();
    let mut body = RecordBody::new();
    let mut record = writer.record();
    record.bigint(0, 7);
    record.text(1, b"x");
    body.push(record.end());
    session.put_block(0, &body.seal(Compression::Zlib)).await.unwrap();
    session.commit().await.unwrap();
    assert_eq!(session.last_state(), SessionState::Committed);

    let session = DownloadSession::of_table(client, plain, None).await.unwrap();
    assert_eq!(session.record_count(), 2);
    let rows = session.records(0, 1000).await.unwrap();
    let wanted = [[Some(Value::Bigint(7)), Some(Value::Text(b"x".to_vec()))], [Some(Value::Bigint(8)), None]];
    assert_eq!(rows, wanted);
}

async fn hold(file: &str, schemas: bool) {
    let (server, recorded) = replay(file).await;
    let (client, clock) = server.client(|options| options.tunnel_endpoint = None);
    let schema = schemas.then_some("sc1");
    let orders_table = TableName::new(schema, "orders");
    let plain = TableName::new(schema, "plain");
    let hints = Hints::modern(schemas);

    assert_eq!(client.project().await.unwrap().has_schemas(), schemas);
    assert!(!client.table_exists(&orders_table).await.unwrap());
    if schemas {
        client.create_schema("sc1").await.unwrap();
    }
    let statements = [
        statement::create_table("mc_proj", &orders_table, &orders()),
        statement::add_columns(
            "mc_proj",
            &orders_table,
            &[column("c1", "string", true, Some("x'y")), column("c2", "decimal(10,2)", true, None)],
        ),
        statement::rename_column("mc_proj", &orders_table, "c1", "c9"),
    ];
    for sql in &statements {
        client.run(sql, &hints, None).await.unwrap();
    }
    // The Java client takes the schema `default` from an answer; the recorded extended request carries it.
    let table = client.describe(&TableName::new(Some("default"), "orders")).await.unwrap().unwrap();
    assert!(table.is_delta());
    assert_eq!(table.primary_key, ["id", "k2"]);
    assert_eq!(table.buckets, Some(16));
    assert_eq!(table.columns.len(), 9);
    assert_eq!(table.columns[0], column("id", "bigint", false, Some("the id")));
    assert_eq!(table.columns[5], column("st", "struct<a:bigint,end:string>", true, None));
    assert_eq!(table.columns[7], column("c9", "string", true, Some("x'y")));

    let failed = client.run("bogus statement", &hints, None).await.unwrap_err();
    assert!(
        matches!(&failed, Error::StatementFailed { code, message, .. }
            if code == "ODPS-0130071" && message.ends_with("unsupported: bogus statement")),
        "{failed}"
    );
    assert!(!client.table_exists(&TableName::new(None, "nope")).await.unwrap());

    let session = UpsertSession::create(&client, &orders_table, None).await.unwrap();
    assert_eq!(session.bucket_count().get(), 16);
    assert_eq!(session.hash_key(), ["id", "k2"]);
    let requests = recorded.lock().unwrap().requests.clone();
    assert_eq!(write_recorded_buckets(&session, &requests).await, 4, "recorded buckets");
    session.commit().await.unwrap();
    let missing = UpsertSession::attach(&client, &orders_table, None, "missing").await.unwrap_err();
    assert!(matches!(&missing, Error::SessionGone(answer) if answer.status == 404), "{missing}");

    let select = format!("select * from {}", statement::qualified("mc_proj", &orders_table));
    let result = client.execute(&select, &hints, None).await.unwrap();
    assert_eq!(result.columns, ["id", "k2", "amount", "tags", "m", "st", "ntz", "c9", "c2"]);
    assert_eq!(result.rows.len(), 4);
    assert_eq!(result.rows[0][..4], [Some("1".into()), Some("k1".into()), Some("12.30".into()), None]);

    client.run("create table plain", &hints, None).await.unwrap();
    append_and_read_back(&client, &plain).await;
    client.run(&statement::drop_table("mc_proj", &orders_table), &hints, None).await.unwrap();

    assert!(clock.waits().is_empty(), "nothing failed: {:?}", clock.waits());
    check_coverage(&server, &recorded.lock().unwrap(), &statements);
}

/// Every request of ours is recorded; of the recorded ones only those of kinds that this crate has no need of are
/// left.
fn check_coverage(server: &Server, recorded: &Recorded, statements: &[String]) {
    let left: Vec<_> = recorded.targets(false);
    let needless = |target: &str| {
        // Stream uploads, tunnel discovery each time anew, reading the project and the table once more.
        target.contains("/streams")
            || target.contains("/tunnel?service")
            || target == "GET /api/projects/mc_proj?curr_project=mc_proj"
            || target.starts_with("GET /api/projects/mc_proj/tables/orders?curr_project=mc_proj")
            || target.contains("ifix000004?taskstatus")
    };
    let unexplained: Vec<_> = left.iter().filter(|target| !needless(target)).collect();
    assert!(unexplained.is_empty(), "recorded and not asked for: {unexplained:#?}");
    assert_eq!(
        recorded.used.iter().filter(|used| **used).count(),
        server.seen().len(),
        "all of ours are recorded"
    );
    let sent: Vec<_> =
        server.seen().iter().filter_map(|seen| statement_in(std::str::from_utf8(&seen.body).ok()?)).collect();
    assert_eq!(sent.len(), recorded.statements().len());
    assert_eq!(sent[..statements.len()], *statements);
}

#[tokio::test]
async fn the_java_conversation_is_held_in_a_project_without_schemas() {
    hold("exchanges-java-0.52.3.json", false).await;
    hold("exchanges-java-0.50.6.json", false).await;
}

#[tokio::test]
async fn the_java_conversation_is_held_in_a_project_with_schemas() {
    hold("exchanges-java-0.50.6-schemas.json", true).await;
}

/// The newer Java client quotes and escapes as this crate does; keywords in capitals are ours.
#[test]
fn statements_are_those_of_the_java_client() {
    let file = json("exchanges-java-0.52.3.json");
    let requests = file["calls"][0]["requests"].as_array().unwrap().clone();
    let recorded = Recorded { used: vec![false; requests.len()], requests }.statements();
    let table = TableName::new(None, "orders");
    let same = |ours: String, recorded: &str| {
        let plain = |text: &str| text.to_ascii_lowercase().replace('`', "").replace("if exists ", "");
        assert_eq!(plain(&ours), plain(recorded));
    };
    assert_eq!(statement::create_table("mc_proj", &table, &orders()), recorded[0]);
    same(
        statement::add_columns(
            "mc_proj",
            &table,
            &[column("c1", "string", true, Some("x'y")), column("c2", "decimal(10,2)", true, None)],
        ),
        &recorded[1],
    );
    same(statement::rename_column("mc_proj", &table, "c1", "c9"), &recorded[2]);
    same(statement::drop_table("mc_proj", &table), recorded.last().unwrap());
}
