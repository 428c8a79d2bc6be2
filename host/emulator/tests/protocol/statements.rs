//! SQL and metadata.

use super::support::{PROJECT, Running};

fn cells(row: &[&str]) -> Vec<Option<String>> {
    row.iter().map(|text| Some((*text).to_owned())).collect()
}

#[test]
fn failed_statements_carry_the_services_codes() {
    let emulator = Running::start();
    let client = &emulator.client;
    client.run("create table t (k bigint primary key not null, a int, s string) tblproperties('transactional'='true')");
    client.run("create table part (a bigint) partitioned by (ds string)");
    for (statement, code) in [
        ("not a statement", "ODPS-0130161:[1,1]"),
        ("select * from none", "ODPS-0130131:[1,1]"),
        ("select none from t", "ODPS-0130071:[1,1]"),
        ("drop table none", "ODPS-0130131"),
        ("alter table none add columns (a int)", "ODPS-0130131"),
        ("create table t (a int)", "ODPS-0130071"),
        ("create table u (a int primary key)", "ODPS-0130071"),
        ("create table u (a int, a int)", "ODPS-0130071"),
        ("create table u (j json primary key) tblproperties('transactional'='true')", "ODPS-0130071"),
        ("alter table t add columns (a int)", "ODPS-0130071"),
        ("alter table t add columns (b int not null)", "ODPS-0130071"),
        ("alter table t drop columns k", "ODPS-0130071"),
        ("alter table t drop columns none", "ODPS-0130071"),
        ("alter table t change column k rename to k2", "ODPS-0130071"),
        ("alter table t change column a rename to s", "ODPS-0130071"),
        ("alter table t change column s s int", "ODPS-0130071"),
        ("alter table t change column a a tinyint", "ODPS-0130071"),
        ("alter table t set tblproperties('transactional'='false')", "ODPS-0130071"),
        ("alter table part drop columns ds", "ODPS-0130071"),
        ("alter table part drop partition (ds='1')", "ODPS-0110061"),
        ("alter table part add partition (nope='1')", "ODPS-0130071"),
        ("create schema s", "ODPS-0130071"),
        ("select * from a.b.c", "ODPS-0130071"),
    ] {
        let error = client.sql(statement).expect_err(statement);
        assert!(error.starts_with(code), "{statement}: {error}");
    }
}

#[test]
fn if_exists_and_if_not_exists_make_statements_repeatable() {
    let emulator = Running::start();
    let client = &emulator.client;
    for statement in [
        "drop table if exists t",
        "create table if not exists t (a bigint) partitioned by (ds string)",
        "create table if not exists t (a bigint) partitioned by (ds string)",
        "alter table t add if not exists partition (ds='1')",
        "alter table t add if not exists partition (ds='1')",
        "alter table t drop if exists partition (ds='1')",
        "alter table t drop if exists partition (ds='1')",
        "alter table t add columns (x int)",
        "drop table t",
        "drop table if exists t",
    ] {
        client.run(statement);
    }
}

#[test]
fn stored_rows_follow_every_change_of_their_table() {
    use super::records::{Cell, UPSERT, body, change};
    let emulator = Running::start();
    let client = &emulator.client;
    client.run(
        "create table t (k bigint primary key not null, a int, b string, c float) \
         tblproperties('transactional'='true','write.bucket.num'='1')",
    );
    let write = |columns: &[Cell<'_>]| {
        let id = client.open("t/upserts")["id"].as_str().unwrap().to_owned();
        let target = format!("/projects/{PROJECT}/tables/t/upserts?upsertid={id}");
        client.put(&format!("{target}&bucketid=0"), &body(&[change(columns, UPSERT, &[])])).ok();
        client.post(&target).ok();
    };
    write(&[Cell::Int(1), Cell::Int(7), Cell::Text("x"), Cell::Null]);
    client.run("alter table t change column a a bigint comment 'wider'");
    assert_eq!(client.run("select a from t"), [cells(&["7"])]);
    client.run("alter table t change column a a string");
    assert_eq!(client.run("select a from t where a = '7'"), [cells(&["7"])]);
    client.run("alter table t change column b rename to z");
    client.run("alter table t drop columns a, c");
    client.run("alter table t add columns (a bigint)");
    assert_eq!(client.run("select * from t"), [vec![Some("1".into()), Some("x".into()), None]]);
    write(&[Cell::Int(2), Cell::Text("y"), Cell::Int(5)]);
    assert_eq!(
        client.run("select k, z as letter, a from t where a is null or a >= 5 order by k desc limit 5"),
        [cells(&["2", "y", "5"]), vec![Some("1".into()), Some("x".into()), None]]
    );
    client.run("alter table t rename to t2");
    client.run("alter table t2 set comment 'it''s'".replace("''", "\\'").as_str());
    let document = client.get(&format!("/api/projects/{PROJECT}/tables/t2")).ok().text();
    assert!(document.contains("\"comment\":\"it's\""), "{document}");
    client.run("truncate table t2");
    assert_eq!(client.run("select count(*) from t2"), [cells(&["0"])]);
    assert!(client.sql("select * from t").is_err());
}

/// Each table that is made changes what the database's readers have compiled their statements for.
#[test]
fn tables_are_read_while_many_are_made() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let emulator = Running::start();
    let client = &emulator.client;
    client.run("create table t (k bigint)");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    assert_eq!(client.run("select count(*) from t"), [cells(&["0"])]);
                }
            });
        }
        for number in 0..400 {
            client.run(&format!("create table t{number} (k bigint, v string)"));
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn delta_facts_are_in_the_extended_document_only() {
    let emulator = Running::start();
    let client = &emulator.client;
    client.run(
        "create table t (a bigint, k2 string not null, primary key (a, k2)) comment 'c' \
         tblproperties('transactional'='true','write.bucket.num'='7') lifecycle 3",
    );
    let read = |tail: &str| {
        let text = client.get(&format!("/api/projects/{PROJECT}/tables/t{tail}")).ok().text();
        let json = text.split_once("<![CDATA[").unwrap().1.split_once("]]>").unwrap().0.to_owned();
        serde_json::from_str::<serde_json::Value>(&json).unwrap()
    };
    let plain = read("");
    assert!(plain["Reserved"].is_null());
    assert_eq!((&plain["lifecycle"], &plain["columns"][0]["isNullable"]), (&3.into(), &false.into()));
    let extended = read("?extended&curr_schema=default");
    let reserved: serde_json::Value = serde_json::from_str(extended["Reserved"].as_str().unwrap()).unwrap();
    assert_eq!(reserved["Transactional"], "true");
    assert_eq!(reserved["PrimaryKey"], serde_json::json!(["a", "k2"]));
    assert_eq!(reserved["BucketNum"], 7);
}

#[test]
fn lists_come_in_pages_with_a_marker() {
    let emulator = Running::start();
    let client = &emulator.client;
    for index in 0..5 {
        client.run(&format!("create table t{index} (a bigint)"));
    }
    client.run("create table other (a bigint)");
    let mut found = Vec::new();
    let mut marker = String::new();
    loop {
        let target =
            format!("/api/projects/{PROJECT}/tables?expectmarker=true&maxitems=2&name=t&marker={marker}");
        let text = client.get(&target).ok().text();
        let names =
            text.split("<Table><Name>").skip(1).map(|part| part.split('<').next().unwrap().to_owned());
        found.extend(names);
        let Some((_, rest)) = text.split_once("<Marker>") else { break };
        marker = rest.split('<').next().unwrap().to_owned();
    }
    assert_eq!(found, ["t0", "t1", "t2", "t3", "t4"]);
}

#[test]
fn three_part_names_work_where_projects_have_schemas() {
    let emulator = Running::with(|options| options.schemas = true);
    let client = &emulator.client;
    assert!(client.sql(&format!("create table {PROJECT}.s1.t (a bigint)")).is_err(), "no such schema yet");
    client.run(&format!("create schema {PROJECT}.s1"));
    client.run(&format!("create table `{PROJECT}`.`s1`.`t` (a bigint)"));
    client.run("create table t (a bigint, b string)");
    let target = format!("/api/projects/{PROJECT}/tables/t?curr_schema=s1");
    assert!(client.get(&target).ok().text().contains("<SchemaName>s1</SchemaName>"));
    let session = client.post(&format!("/projects/{PROJECT}/schemas/s1/tables/t?uploads")).ok().json();
    assert_eq!(session["Schema"]["columns"].as_array().unwrap().len(), 1);
    let tenants = client.get("/api/tenants").ok().json();
    assert_eq!(tenants["Tenant"]["Parameters"]["odps.namespace.schema"], "true");
    assert!(client.sql("drop schema s1").is_err(), "it has a table");
    client.run(&format!("drop table {PROJECT}.s1.t"));
    client.run("drop schema s1");
}

#[test]
fn texts_that_xml_cannot_carry_come_encoded() {
    use super::records::{Cell, body};
    let emulator = Running::start();
    let client = &emulator.client;
    client.run("create table o (b string)");
    let id = client.open("o?uploads")["UploadID"].as_str().unwrap().to_owned();
    let target = format!("/projects/{PROJECT}/tables/o?uploadid={id}");
    client.put(&format!("{target}&blockid=0"), &body(&[vec![Cell::Text("a\r\n\u{1}]]>b")]])).ok();
    client.post(&target).ok();
    assert_eq!(client.run("select b from o"), [cells(&["a\r\n\u{1}]]>b"])]);
}

#[test]
fn a_body_whose_md5_does_not_match_is_refused() {
    let emulator = Running::start();
    let target = format!("/api/projects/{PROJECT}/instances");
    let wrong = [("Content-MD5", "3d9b1c1c5c9ab28c0b0a5bbbb0d2dd4f"), ("Content-Type", "application/xml")];
    let reply = emulator.client.call("POST", &target, &wrong, b"<Instance/>");
    assert_eq!(reply.status, 400);
    assert!(reply.text().contains("Content-MD5"), "{}", reply.text());
}

/// Rows of an ordinary table, each a record of the cells.
fn append(client: &super::support::Client, table: &str, rows: &[Vec<super::records::Cell<'_>>]) {
    let id = client.open(&format!("{table}?uploads"))["UploadID"].as_str().unwrap().to_owned();
    let target = format!("/projects/{PROJECT}/tables/{table}?uploadid={id}");
    client.put(&format!("{target}&blockid=0"), &super::records::body(rows)).ok();
    client.post(&target).ok();
}

#[test]
fn groups_are_counted_summed_and_compared() {
    use super::records::Cell;
    let emulator = Running::start();
    let client = &emulator.client;
    client.run("create table g (a bigint, b string)");
    let row = |a, b: &'static str| vec![a, Cell::Text(b)];
    let rows = [
        row(Cell::Int(5), "x"),
        row(Cell::Int(-7), "y"),
        row(Cell::Null, "x"),
        row(Cell::Int(5), "x"),
        vec![Cell::Int(1), Cell::Null],
    ];
    append(client, "g", &rows);
    let by_group = "select b, count(*) n, count(a), count(distinct a), sum(a) total, min(a), max(a) from g";
    assert_eq!(
        client.run(&format!("{by_group} where a is null or a <> 1 group by b order by total desc limit 5")),
        [cells(&["x", "3", "2", "1", "10", "5", "5"]), cells(&["y", "1", "1", "1", "-7", "-7", "-7"])]
    );
    assert_eq!(client.run("select b from g group by b order by b").len(), 3, "nulls are a group");
    assert_eq!(client.run("select distinct a, b from g").len(), 4);
    assert_eq!(client.run("select max(b), min(b) from g"), [cells(&["y", "x"])]);
    let none = vec![Some("0".to_owned()), None, None];
    assert_eq!(client.run("select count(*), sum(a), max(b) from g where a > 100"), [none]);
    assert!(client.run("select sum(a) from g where a > 100 group by b").is_empty());
    for wrong in
        ["select a, count(*) from g", "select sum(b) from g", "select b from g group by b order by a"]
    {
        assert!(client.sql(wrong).expect_err(wrong).starts_with("ODPS-0130071"), "{wrong}");
    }
}

#[test]
fn sums_are_exact_and_too_large_ones_are_errors() {
    use super::records::Cell;
    let emulator = Running::start();
    let client = &emulator.client;
    client.run("create table s (n bigint, d decimal(38,18), f double)");
    let large = "99999999999999999999.999999999999999999";
    let row = |n, d| vec![Cell::Int(n), Cell::Text(d), Cell::Null];
    append(client, "s", &[row(i64::MAX, "0.000000000000000001"), row(-1, "1.5"), row(0, "1.500")]);
    assert_eq!(
        client.run("select sum(n), sum(d), count(distinct d), sum(f) from s"),
        [vec![
            Some((i64::MAX - 1).to_string()),
            Some("3.000000000000000001".to_owned()),
            Some("2".to_owned()),
            None
        ]]
    );
    append(client, "s", &[row(2, large), row(0, large)]);
    for sum in ["sum(n)", "sum(d)"] {
        let error = client.sql(&format!("select {sum} from s")).expect_err(sum);
        assert!(error.contains("larger than its type"), "{error}");
    }
}
