//! Statements in the forms their senders use.

use super::ast::{Change, Expr, Function, Item, Statement};
use super::parse;

fn create(text: &str) -> super::ast::CreateTable {
    match parse(text) {
        Ok(Statement::CreateTable(create)) => create,
        other => panic!("{text}: {other:?}"),
    }
}

fn change(text: &str) -> Change {
    match parse(text) {
        Ok(Statement::Alter { change, .. }) => change,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn every_client_form_of_create_table_says_the_same() {
    let java_new = "CREATE TABLE IF NOT EXISTS `mc_proj`.`orders` (\
        `id` BIGINT NOT NULL COMMENT 'the id',`k2` STRING NOT NULL,`amount` DECIMAL(10,2),`tags` ARRAY<STRING>,\
        `m` MAP<STRING,BIGINT>,`st` STRUCT<`a`:BIGINT,`end`:STRING>,`ntz` TIMESTAMP_NTZ, PRIMARY KEY(`id`,`k2`))\
         TBLPROPERTIES('transactional'='true','write.bucket.num'='16');";
    let java_old = "CREATE TABLE IF NOT EXISTS mc_proj.orders (`id` BIGINT NOT NULL COMMENT 'the id',\
        `k2` STRING NOT NULL,`amount` DECIMAL(10,2),`tags` ARRAY<STRING>,`m` MAP<STRING,BIGINT>,\
        `st` STRUCT<a:BIGINT,end:STRING>,`ntz` TIMESTAMP_NTZ, PRIMARY KEY(`id`,`k2`)) \
        TBLPROPERTIES(\"transactional\"=\"true\",\"write.bucket.num\"=\"16\")";
    assert_eq!(create(java_new), create(java_old));
    let create = create(java_new);
    assert_eq!(create.primary_key, ["id", "k2"]);
    assert_eq!(create.properties["write.bucket.num"], "16");
    assert_eq!(create.columns[5].kind.to_string(), "struct<a:bigint,end:string>");
}

#[test]
fn python_and_inline_forms_of_a_key_are_read() {
    let python = create(
        "CREATE TABLE mc_proj.`orders_delta` (\n  `id` BIGINT,\n  `name` STRING,\n  PRIMARY KEY (`id`)\n)\n\
         TBLPROPERTIES (\n  'transactional' = 'true',\n  'write.bucket.num' = '4'\n);",
    );
    let inline = create("create table t (id bigint primary key not null, name string) lifecycle 7");
    assert_eq!(python.primary_key, inline.primary_key);
    assert_eq!(inline.lifecycle, Some(7));
    assert!(inline.columns[0].not_null);
}

#[test]
fn partitioned_tables_are_read() {
    let create =
        create("CREATE TABLE p.`t` (\nid bigint\n)\nCOMMENT 'it\\'s'\nPARTITIONED BY (\nds string\n);");
    assert_eq!((create.partition_columns.len(), create.comment.as_str()), (1, "it's"));
}

#[test]
fn every_alter_of_the_clients_is_read() {
    let Change::AddColumns { columns, .. } =
        change("alter table `p`.`t` add columns (c1 STRING comment 'x\\'y',c2 DECIMAL(10,2));")
    else {
        panic!("not an added column")
    };
    assert_eq!(columns[0].comment.as_deref(), Some("x'y"));
    assert!(matches!(change("ALTER TABLE p.`t` ADD COLUMNS (\nc2 double\n);"), Change::AddColumns { .. }));
    assert!(matches!(change("alter table t change column c1 c1 BIGINT;"), Change::RedefineColumn { .. }));
    assert_eq!(
        change("ALTER TABLE p.`t` CHANGE COLUMN c2 RENAME TO c3;"),
        Change::RenameColumn { from: "c2".into(), to: "c3".into() }
    );
    assert_eq!(
        change("alter table t drop columns c1,c2;"),
        Change::DropColumns(vec!["c1".into(), "c2".into()])
    );
    assert_eq!(change("alter table t change column c null;"), Change::SetNullable("c".into()));
    assert_eq!(change("alter table t set comment 'x';"), Change::SetComment("x".into()));
    let Change::AddPartitions { specs, if_not_exists: true } =
        change("ALTER TABLE p.`t` ADD IF NOT EXISTS  PARTITION (ds='1');")
    else {
        panic!("not a partition")
    };
    assert_eq!(specs, [vec![("ds".to_owned(), "1".to_owned())]]);
}

#[test]
fn queries_are_read() {
    let Ok(Statement::Select(select)) = parse(
        "select a, b as c, count(*) n from p.`t` where (a > -1.5 or b in ('x', null)) and not c is null \
         order by a desc, b limit 10;",
    ) else {
        panic!("not a query")
    };
    assert_eq!(select.items.len(), 3);
    let count = Item::Aggregate {
        function: Function::Count,
        argument: None,
        distinct: false,
        alias: Some("n".into()),
    };
    assert_eq!(select.items[2], count);
    assert!(matches!(select.filter, Some(Expr::And(..))));
    assert_eq!((select.order.len(), select.limit), (2, Some(10)));
}

#[test]
fn what_is_not_a_statement_is_refused_with_its_place() {
    for (text, code) in [
        ("not a statement;", "ODPS-0130161:[1,1]"),
        ("create table t (id bigint", "ODPS-0130161:[1,26]"),
        ("select * from t where", "ODPS-0130161:[1,22]"),
        ("select sum(*) from t", "ODPS-0130161:[1,12]"),
        ("select a from t group a", "ODPS-0130161:[1,17]"),
        ("create table t (id nosuchtype)", "ODPS-0130161:[1,20]"),
        ("drop table t; drop table u", "ODPS-0130161:[1,15]"),
        ("create table t (d decimal(39,2))", "ODPS-0130161:"),
        ("create table t (d varchar(0))", "ODPS-0130161:"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.starts_with(code), "{text}: {error}");
    }
}

/// A tree of conditions is walked and dropped by recursion.
#[test]
fn more_conditions_than_a_stack_can_hold_are_refused() {
    for (count, read) in [(1000, true), (1001, false), (200_000, false)] {
        let text = format!("select * from t where {}", vec!["a = 1"; count].join(" or "));
        assert_eq!(parse(&text).is_ok(), read, "{count}");
    }
}
