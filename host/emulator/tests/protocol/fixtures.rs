//! Recorded bodies of the official clients, written through real requests and read back.

use serde_json::Value as Json;

use super::records::{Kind, decode, same};
use super::support::{Client, PROJECT, Running, fixture_json, fixtures};

struct Case {
    name: String,
    document: Json,
    kinds: Vec<Kind>,
    table: String,
}

impl Case {
    fn all() -> Vec<Self> {
        let index = fixture_json("bodies/index.json");
        let names = index["cases"].as_array().unwrap().iter().map(|case| case["name"].as_str().unwrap());
        names.map(Self::load).collect()
    }

    fn load(name: &str) -> Self {
        let document = fixture_json(&format!("bodies/{name}.json"));
        let columns = document["columns"].as_array().unwrap();
        let kinds = columns.iter().map(|column| Kind::parse(column["type"].as_str().unwrap())).collect();
        let first = document["requests"][0]["target"].as_str().unwrap();
        let after = first.split_once("/tables/").unwrap().1;
        let table = after.split(['/', '?']).next().unwrap().to_owned();
        Self { name: name.to_owned(), document, kinds, table }
    }

    fn is_upsert(&self) -> bool {
        self.document["primary_key"].is_array()
    }

    fn create(&self, client: &Client) {
        let columns = self.document["columns"].as_array().unwrap().iter().map(|column| {
            let not_null = if column["nullable"] == false { " NOT NULL" } else { "" };
            format!("`{}` {}{not_null}", column["name"].as_str().unwrap(), column["type"].as_str().unwrap())
        });
        let mut parts: Vec<String> = columns.collect();
        let mut tail = String::new();
        if self.is_upsert() {
            let keys: Vec<&str> = texts(&self.document["primary_key"]);
            parts.push(format!("PRIMARY KEY ({})", keys.join(",")));
            let partial = self.document["updated_columns"].is_array();
            tail = format!(
                " TBLPROPERTIES ('transactional'='true','write.bucket.num'='{}',\
                 'acid.partial.fields.update.enable'='{partial}')",
                self.document["buckets"]
            );
        }
        if self.uses_partition() {
            tail.push_str(" PARTITIONED BY (ds STRING, hh STRING)");
        }
        let tail = match tail.split_once(" PARTITIONED") {
            Some((properties, partition)) => format!(" PARTITIONED{partition}{properties}"),
            None => tail,
        };
        client.run(&format!("DROP TABLE IF EXISTS {}", self.table));
        client.run(&format!("CREATE TABLE {} ({}){tail}", self.table, parts.join(",")));
    }

    fn uses_partition(&self) -> bool {
        self.document["requests"][0]["target"].as_str().unwrap().contains("partition=")
    }

    /// Sends the recorded requests, with the ids of our own sessions. Returns the answers' statuses.
    fn replay(&self, client: &Client) {
        let mut ids: Vec<(String, String)> = Vec::new();
        for request in self.document["requests"].as_array().unwrap() {
            let mut target = request["target"].as_str().unwrap().to_owned();
            for (recorded, own) in &ids {
                target = target.replace(recorded, own);
            }
            let body = match request["body_file"].as_str() {
                Some(file) => std::fs::read(fixtures().join("bodies").join(file)).unwrap(),
                None => Vec::new(),
            };
            let headers: Vec<(&str, &str)> = request["headers"]
                .as_object()
                .unwrap()
                .iter()
                .filter(|(name, _)| !matches!(name.as_str(), "Content-Length" | "Transfer-Encoding"))
                .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
                .collect();
            let method = request["method"].as_str().unwrap();
            let reply = client.call(method, &target, &headers, &body);
            assert_eq!(
                u64::from(reply.status),
                request["response"]["status"].as_u64().unwrap(),
                "{}: {method} {target}: {}",
                self.name,
                reply.text()
            );
            if let Some(recorded) = request["response"]["body"].as_str()
                && let Ok(recorded) = serde_json::from_str::<Json>(recorded)
            {
                for key in ["id", "UploadID", "session_name"] {
                    if let (Some(old), Some(own)) = (recorded[key].as_str(), reply.json()[key].as_str()) {
                        ids.push((old.to_owned(), own.to_owned()));
                    }
                }
            }
        }
    }

    /// What the table must hold afterwards.
    fn expected(&self) -> Vec<Vec<Json>> {
        if let Some(rule) = self.document["row_rule"].as_str() {
            return by_rule(rule);
        }
        if !self.is_upsert() {
            let rows = self.document["rows"].as_array().unwrap();
            return rows.iter().map(|row| row.as_array().unwrap().clone()).collect();
        }
        let mut rows: Vec<Vec<Json>> = Vec::new();
        let columns = self.document["columns"].as_array().unwrap();
        let at = |key: &&str| columns.iter().position(|column| column["name"] == **key).unwrap();
        let keys: Vec<usize> = texts(&self.document["primary_key"]).iter().map(at).collect();
        for request in self.document["requests"].as_array().unwrap() {
            let Some(sent) = request["rows"].as_array() else { continue };
            for (index, row) in sent.iter().enumerate() {
                let row: Vec<Json> = row.as_array().unwrap().clone();
                rows.retain(|old| keys.iter().any(|&at| old[at] != row[at]));
                if request["hidden_columns"][2][1][index] == 85 {
                    rows.push(row);
                }
            }
        }
        rows
    }

    fn stored(&self, client: &Client) -> Vec<Vec<Json>> {
        let body = if self.is_upsert() {
            read_query(client, &format!("select * from {}", self.table))
        } else {
            client.download(
                &self.table,
                if self.uses_partition() { "&partition=ds%3D20240309%2Chh%3D01" } else { "" },
            )
        };
        decode(&body, &self.kinds)
    }
}

/// The record stream of a query's result.
pub fn read_query(client: &Client, query: &str) -> Vec<u8> {
    let body = format!("<Instance><Job><Tasks><SQL><Query>{query}</Query></SQL></Tasks></Job></Instance>");
    let target = format!("/api/projects/{PROJECT}/instances");
    let created = client.call("POST", &target, &[], body.as_bytes()).ok();
    let id = created.headers["location"].rsplit('/').next().unwrap();
    let session = client.post(&format!("/projects/{PROJECT}/instances/{id}?downloads")).ok().json();
    let (download, count) = (session["DownloadID"].as_str().unwrap(), &session["RecordCount"]);
    let range = format!("?data&downloadid={download}&rowrange=%280%2C{count}%29");
    client.get(&format!("/projects/{PROJECT}/instances/{id}{range}")).ok().body
}

/// `row i (0-based, 2 rows): id = i, s = 32645 times the letter 'a'+i%26`.
fn by_rule(rule: &str) -> Vec<Vec<Json>> {
    let number = |before: &str, after: &str| -> usize {
        rule.split_once(before).unwrap().1.split_once(after).unwrap().0.parse().unwrap()
    };
    let (rows, times) = (number("0-based, ", " rows"), number("s = ", " times the letter 'a'+i%26"));
    let row = |index: usize| {
        let letter = char::from(b'a' + u8::try_from(index % 26).unwrap());
        vec![index.into(), letter.to_string().repeat(times).into()]
    };
    (0..rows).map(row).collect()
}

fn texts(list: &Json) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

fn same_row(kinds: &[Kind], a: &[Json], b: &[Json]) -> bool {
    kinds.iter().enumerate().all(|(at, kind)| same(kind, &a[at], &b[at]))
}

#[test]
fn every_recorded_body_is_taken_and_reads_back_equal() {
    let emulator = Running::start();
    let cases = Case::all();
    assert_eq!(cases.len(), 30);
    for case in cases {
        case.create(&emulator.client);
        case.replay(&emulator.client);
        let (want, got) = (case.expected(), case.stored(&emulator.client));
        assert_eq!(got.len(), want.len(), "{}", case.name);
        assert!(!want.is_empty(), "{} tests nothing", case.name);
        for (index, row) in want.iter().enumerate() {
            let found = if case.is_upsert() {
                got.iter().any(|other| same_row(&case.kinds, row, other))
            } else {
                same_row(&case.kinds, row, &got[index])
            };
            assert!(found, "{}: row {index} is missing\n{row:?}\n{got:?}", case.name);
        }
    }
}

#[test]
fn discard_mode_checks_every_recorded_body_and_keeps_nothing() {
    let emulator = Running::with(|options| options.discard = true);
    for case in Case::all() {
        case.create(&emulator.client);
        case.replay(&emulator.client);
        if case.is_upsert() {
            assert_eq!(case.stored(&emulator.client).len(), 0, "{}", case.name);
        }
    }
    assert!(emulator.stats().rows_written > 200, "{:?}", emulator.stats());
}

#[test]
fn one_value_bodies_of_every_type_read_back_as_the_java_client_writes_them() {
    let emulator = Running::start();
    let document = fixture_json("record-encode.json");
    let vectors = document["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 70);
    for (index, vector) in vectors.iter().enumerate() {
        let kind = vector["type"].as_str().unwrap();
        let table = format!("v{index}");
        emulator.client.run(&format!("create table {table} (c {kind})"));
        for form in ["body_hex", "pyodps_body_hex"] {
            let Some(hex) = vector[form].as_str() else { continue };
            let body = from_hex(hex);
            let session = emulator.client.open(&format!("{table}?uploads&overwrite=true"));
            let id = session["UploadID"].as_str().unwrap();
            let target = format!("/projects/{PROJECT}/tables/{table}?uploadid={id}");
            let put = emulator.client.put(&format!("{target}&blockid=0"), &body);
            assert_eq!(put.status, 200, "{vector}: {}", put.text());
            emulator.client.post(&target).ok();
            let read = emulator.client.download(&table, "");
            let kinds = [Kind::parse(kind)];
            let (got, want) = (decode(&read, &kinds), decode(&body, &kinds));
            assert!(same(&kinds[0], &got[0][0], &want[0][0]), "{vector}: {got:?}");
            if form == "body_hex" {
                assert!(read == body, "{vector}: the bytes differ");
            }
        }
    }
}

#[test]
fn rows_are_in_the_bucket_that_the_official_clients_compute() {
    let emulator = Running::start();
    let document = fixture_json("bucket-hash.json");
    let mut checked = 0;
    for (index, vector) in document["vectors"].as_array().unwrap().iter().enumerate() {
        let key = vector["key"].as_array().unwrap();
        let simple = key.iter().all(|part| part["type"] == "bigint" && part["value"].is_string());
        if vector["hasher"] != "default" || key.len() != 1 || !simple {
            continue;
        }
        let value: i64 = key[0]["value"].as_str().unwrap().parse().unwrap();
        let (table, buckets) = (format!("h{index}"), 1024u32);
        emulator.client.run(&format!(
            "create table {table} (k bigint primary key not null) \
             tblproperties('transactional'='true','write.bucket.num'='{buckets}')"
        ));
        let session = emulator.client.open(&format!("{table}/upserts?slotnum=1"));
        let id = session["id"].as_str().unwrap();
        let row = super::records::change(&[super::records::Cell::Int(value)], super::records::UPSERT, &[]);
        let body = super::records::body(&[row]);
        let bucket = vector["bucket"]["1024"].as_u64().unwrap();
        let put = |bucket: u64| {
            let target =
                format!("/projects/{PROJECT}/tables/{table}/upserts?upsertid={id}&bucketid={bucket}");
            emulator.client.put(&target, &body)
        };
        put(bucket).ok();
        assert_eq!(put((bucket + 1) % 1024).status, 400, "{vector}");
        checked += 1;
    }
    assert!(checked >= 5, "only {checked} vectors have a plain BIGINT key");
}

fn from_hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
