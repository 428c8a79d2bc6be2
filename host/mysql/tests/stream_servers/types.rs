//! Every type, with its extremes, as written by a server and decoded from its binlog.

use std::sync::Arc;

use sluicebox_model::{ColumnType, RowKind};
use sluicebox_mysql::{Flavour, Images};

use crate::support::{BOTH, Session, cell, decode, rows_of};

/// A declaration, and (literal, value as held).
type Case = (&'static str, &'static [(&'static str, &'static str)]);

const NUMBERS: &[Case] = &[
    ("tinyint", &[("-128", "-128"), ("-1", "-1"), ("0", "0"), ("127", "127"), ("NULL", "NULL")]),
    ("tinyint unsigned", &[("0", "0"), ("128", "128"), ("255", "255")]),
    ("tinyint(1)", &[("0", "0"), ("1", "1"), ("7", "1"), ("-1", "1"), ("NULL", "NULL")]),
    ("smallint", &[("-32768", "-32768"), ("-1", "-1"), ("32767", "32767")]),
    ("smallint unsigned", &[("65535", "65535")]),
    ("mediumint", &[("-8388608", "-8388608"), ("-1", "-1"), ("8388607", "8388607")]),
    ("mediumint unsigned", &[("16777215", "16777215"), ("8388608", "8388608")]),
    ("int", &[("-2147483648", "-2147483648"), ("-1", "-1"), ("2147483647", "2147483647")]),
    ("int unsigned", &[("4294967295", "4294967295")]),
    ("int(5) unsigned zerofill", &[("42", "42")]),
    (
        "bigint",
        &[("-9223372036854775808", "-9223372036854775808"), ("9223372036854775807", "9223372036854775807")],
    ),
    ("bigint unsigned", &[("18446744073709551615", "18446744073709551615"), ("0", "0")]),
    (
        "float",
        &[("1.2345678", "1.2345677614212036"), ("-0.1", "-0.10000000149011612"), ("16777216", "16777216")],
    ),
    ("float(7,3)", &[("1234.567", "1234.5670166015625")]),
    ("double", &[("0.1", "0.1"), ("-0.0025", "-0.0025"), ("9007199254740993", "9007199254740992")]),
    ("decimal(10,2)", &[("-99999999.99", "-9999999999"), ("0.05", "5"), ("0", "0"), ("12.5", "1250")]),
    ("decimal(18,0)", &[("999999999999999999", "999999999999999999"), ("-1", "-1")]),
    ("decimal(18,18)", &[("-0.999999999999999999", "-999999999999999999")]),
    ("decimal(19,0)", &[("-9999999999999999999", "-9999999999999999999")]),
    (
        "decimal(38,10)",
        &[
            ("9999999999999999999999999999.9999999999", "9999999999999999999999999999.9999999999"),
            ("-0.0000000001", "-0.0000000001"),
        ],
    ),
    (
        "decimal(65,30)",
        &[
            (
                "-99999999999999999999999999999999999.999999999999999999999999999999",
                "-99999999999999999999999999999999999.999999999999999999999999999999",
            ),
            ("0", "0.000000000000000000000000000000"),
            ("1.5", "1.500000000000000000000000000000"),
        ],
    ),
    (
        "decimal(65,0)",
        &[
            (
                "-12345678901234567890123456789012345678901234567890123456789012345",
                "-12345678901234567890123456789012345678901234567890123456789012345",
            ),
            ("0", "0"),
        ],
    ),
    ("bit", &[("b'0'", "0"), ("b'1'", "1")]),
    ("bit(7)", &[("b'1010101'", "85")]),
    ("bit(64)", &[("18446744073709551615", "18446744073709551615"), ("b'1'", "1")]),
    ("year", &[("1901", "1901"), ("2155", "2155"), ("0", "0"), ("2024", "2024")]),
];

const TIMES: &[Case] = &[
    (
        "date",
        &[
            ("'1970-01-01'", "0"),
            ("'9999-12-31'", "2932896"),
            ("'1000-01-01'", "-354285"),
            ("'1969-12-31'", "-1"),
            ("'0000-00-00'", "NULL"),
            ("'2024-02-00'", "NULL"),
            ("'2024-00-01'", "NULL"),
        ],
    ),
    ("time", &[("'838:59:59'", "3020399000000"), ("'-838:59:59'", "-3020399000000"), ("'00:00:00'", "0")]),
    ("time(1)", &[("'-12:34:56.7'", "-45296700000"), ("'12:34:56.7'", "45296700000")]),
    ("time(3)", &[("'-00:00:00.001'", "-1000"), ("'00:00:00.999'", "999000")]),
    ("time(6)", &[("'838:59:58.999999'", "3020398999999"), ("'-838:59:58.999999'", "-3020398999999")]),
    (
        "datetime",
        &[
            ("'1970-01-01 00:00:01'", "1000000"),
            ("'0000-00-00 00:00:00'", "NULL"),
            ("'2024-02-00 10:00:00'", "NULL"),
            ("'1000-01-01 00:00:00'", "-30610224000000000"),
        ],
    ),
    ("datetime(2)", &[("'1970-01-01 00:00:00.12'", "120000")]),
    ("datetime(3)", &[("'1969-12-31 23:59:59.999'", "-1000")]),
    ("datetime(6)", &[("'9999-12-31 23:59:59.999999'", "253402300799999999")]),
    (
        "timestamp null",
        &[
            ("'1970-01-01 00:00:01'", "1000000"),
            ("'2038-01-19 03:14:07'", "2147483647000000"),
            ("'0000-00-00 00:00:00'", "NULL"),
            ("NULL", "NULL"),
        ],
    ),
    ("timestamp(4) null", &[("'2001-09-09 01:46:40.1234'", "1000000000123400")]),
    ("timestamp(6) null", &[("'2038-01-19 03:14:07.999999'", "2147483647999999")]),
];

const STRINGS: &[Case] = &[
    ("char(3)", &[("'a'", "a"), ("'ab '", "ab"), ("'日本語'", "日本語"), ("''", "")]),
    ("char(255)", &[("REPEAT('😀',255)", "😀*255")]),
    ("varchar(10)", &[("'x '", "x "), ("''", ""), ("NULL", "NULL")]),
    ("varchar(300)", &[("REPEAT('é',300)", "é*300")]),
    ("varchar(10) character set latin1", &[("'é€'", "é€")]),
    ("text character set latin1", &[("'über'", "über")]),
    ("char(5) character set gbk", &[("'你好'", "你好")]),
    ("varchar(5) character set ucs2", &[("'日本'", "日本")]),
    ("varchar(5) character set utf16", &[("'😀a'", "😀a")]),
    ("varchar(5) character set utf32", &[("'😀a'", "😀a")]),
    ("varchar(5) character set ascii", &[("'abc'", "abc")]),
    ("tinytext", &[("'t'", "t")]),
    ("text", &[("REPEAT('t',60000)", "t*60000")]),
    ("mediumtext", &[("REPEAT('m',70000)", "m*70000")]),
    ("longtext", &[("'l'", "l"), ("''", "")]),
    ("binary(4)", &[("x'0100'", "01000000"), ("x''", "00000000"), ("x'01020304'", "01020304")]),
    ("varbinary(4)", &[("x'0100'", "0100"), ("x''", "")]),
    ("tinyblob", &[("x'00ff'", "00ff")]),
    ("blob", &[("x'ff00fe'", "ff00fe"), ("NULL", "NULL")]),
    ("mediumblob", &[("x'01'", "01")]),
    ("longblob", &[("x'02'", "02")]),
    (
        "enum('a','it''s','x,y','ü')",
        &[("'a'", "a"), ("'it''s'", "it's"), ("'x,y'", "x,y"), ("'ü'", "ü"), ("0", "")],
    ),
    ("enum('é','b') character set latin1", &[("'é'", "é")]),
    ("set('a','b','c')", &[("''", ""), ("'a'", "a"), ("'c,a'", "a,c"), ("7", "a,b,c"), ("NULL", "NULL")]),
    ("point", &[("ST_GeomFromText('POINT(1 2)')", "000000000101000000000000000000f03f0000000000000040")]),
];

const MYSQL_ONLY: &[Case] = &[
    (
        "json",
        &[
            ("'{\"b\": [1, 2.5, \"x\\\\n\"], \"a\": null}'", "{\"a\": null, \"b\": [1, 2.5, \"x\\n\"]}"),
            ("'[]'", "[]"),
            ("'null'", "null"),
            ("NULL", "NULL"),
            ("CAST(1.50 AS JSON)", "1.50"),
        ],
    ),
    (
        "geometry srid 4326",
        &[("ST_GeomFromText('POINT(1 2)', 4326)", "e610000001010000000000000000000040000000000000f03f")],
    ),
];

const MARIADB_ONLY: &[Case] = &[
    ("json", &[("'{\"b\":1,  \"a\":2}'", "{\"b\":1,  \"a\":2}")]),
    ("uuid", &[("'123e4567-e89b-12d3-a456-426655440000'", "123e4567-e89b-12d3-a456-426655440000")]),
    ("inet4", &[("'10.0.0.0'", "10.0.0.0"), ("'255.255.255.255'", "255.255.255.255")]),
    (
        "inet6",
        &[
            ("'2001:db8::'", "2001:db8::"),
            ("'::'", "::"),
            ("'::1'", "::1"),
            ("'::ffff:1.2.3.4'", "::ffff:1.2.3.4"),
            ("'::1.2.3.4'", "::1.2.3.4"),
            ("'1:0:0:2:0:0:0:3'", "1:0:0:2::3"),
            ("'1:0:2:3:4:5:6:7'", "1::2:3:4:5:6:7"),
        ],
    ),
    ("varchar(1000) compressed", &[("REPEAT('c',900)", "c*900"), ("'s'", "s"), ("''", "")]),
    ("text compressed character set latin1", &[("REPEAT('é',900)", "é*900")]),
    ("blob compressed", &[("REPEAT(x'00ff',300)", "00ff*300"), ("x''", "")]),
];

/// `x*3` stands for `xxx`.
fn long(text: &str) -> String {
    match text.rsplit_once('*').and_then(|(part, times)| Some(part.repeat(times.parse().ok()?))) {
        Some(text) => text,
        None => text.to_owned(),
    }
}

fn check(flavour: Flavour, database: &str, server_id: u32, cases: &[&[Case]]) {
    let mut session = Session::new(flavour, database);
    let cases: Vec<Case> = cases.concat();
    for (number, (declaration, _)) in cases.iter().enumerate() {
        session.sql(&format!("CREATE TABLE t{number} (id int primary key, v {declaration})"));
    }
    let mut stream = session.stream(server_id);
    for (number, (_, values)) in cases.iter().enumerate() {
        let values = values.iter().enumerate().map(|(id, (literal, _))| format!("({id},{literal})"));
        session.sql(&format!("INSERT INTO t{number} VALUES {}", values.collect::<Vec<_>>().join(",")));
    }
    let items = session.read(&mut stream);
    for (number, (declaration, values)) in cases.iter().enumerate() {
        let (batch, replaced) = decode(&rows_of(&items, &format!("t{number}")), Images::Effective);
        let got: Vec<String> = (0..batch.rows()).map(|row| cell(&batch, row, 1)).collect();
        let want: Vec<String> = values.iter().map(|(_, value)| long(value)).collect();
        assert_eq!(got, want, "{flavour:?} {declaration}");
        let nulled = values.iter().filter(|(literal, value)| *value == "NULL" && *literal != "NULL").count();
        assert_eq!(replaced, u64::try_from(nulled).expect("few"), "{flavour:?} {declaration}");
        assert!(batch.kinds.iter().all(|kind| *kind == RowKind::Insert));
    }
}

#[test]
fn every_type_of_mysql_comes_out_as_it_was_written() {
    check(Flavour::MySql, "stream_types", 7101, &[NUMBERS, TIMES, STRINGS, MYSQL_ONLY]);
}

#[test]
fn every_type_of_mariadb_comes_out_as_it_was_written() {
    check(Flavour::MariaDb, "stream_types", 7102, &[NUMBERS, TIMES, STRINGS, MARIADB_ONLY]);
}

/// A date that the calendar does not have can be stored where the mode allows it.
#[test]
fn an_impossible_date_becomes_null_and_is_counted() {
    for flavour in BOTH {
        let mut session = Session::new(flavour, "stream_impossible_dates");
        session.sql("CREATE TABLE t (id int primary key, d date, n int)");
        let mut stream = session.stream(7103);
        session.sql("SET sql_mode='ALLOW_INVALID_DATES'");
        session.sql("INSERT INTO t VALUES (1, '2024-02-31', 5), (2, '2024-02-29', 6)");
        let items = session.read(&mut stream);
        let (batch, replaced) = decode(&rows_of(&items, "t"), Images::Effective);
        let dates: Vec<String> = (0..2).map(|row| cell(&batch, row, 1)).collect();
        assert_eq!((dates, replaced), (vec!["NULL".to_owned(), "19782".to_owned()], 1), "{flavour:?}");
    }
}

#[test]
fn sets_of_sixty_four_and_enums_of_two_bytes_keep_their_labels() {
    for flavour in BOTH {
        let mut session = Session::new(flavour, "stream_labels");
        let labels =
            |n: u32, prefix: &str| (0..n).map(|i| format!("'{prefix}{i}'")).collect::<Vec<_>>().join(",");
        let (set, many) = (labels(64, "s"), labels(300, "e"));
        session.sql(&format!("CREATE TABLE t (id int primary key, s set({set}), e enum({many}))"));
        let mut stream = session.stream(7104);
        session.sql("INSERT INTO t VALUES (1, 's0,s63', 'e299'), (2, 18446744073709551615, 'e0')");
        let items = session.read(&mut stream);
        let (batch, _) = decode(&rows_of(&items, "t"), Images::Effective);
        let all: Vec<String> = (0..64).map(|i| format!("s{i}")).collect();
        assert_eq!((cell(&batch, 0, 1), cell(&batch, 0, 2)), ("s0,s63".to_owned(), "e299".to_owned()));
        assert_eq!((cell(&batch, 1, 1), cell(&batch, 1, 2)), (all.join(","), "e0".to_owned()));
    }
}

/// Bytes that are no UTF-8 cannot be written into a utf8mb4 column through a statement, but `ascii` takes any byte.
#[test]
fn bytes_that_are_no_text_are_replaced_and_counted() {
    let mut session = Session::new(Flavour::MariaDb, "stream_broken_text");
    session.sql("CREATE TABLE t (id int primary key, v varchar(10) character set ascii)");
    let mut stream = session.stream(7105);
    session.sql("INSERT INTO t VALUES (1, 'ok')");
    session.sql("INSERT INTO t VALUES (2, CONVERT(x'61e962' USING ascii))");
    let items = session.read(&mut stream);
    let (batch, replaced) = decode(&rows_of(&items, "t"), Images::Effective);
    let stored: Vec<String> = session.rows("SELECT HEX(v) FROM t WHERE id = 2");
    // A server prints what has no meaning as a question mark; so do we, and a snapshot shows the same.
    let want = if stored == ["61E962"] { ("a?b", 1) } else { ("a?b", 0) };
    assert_eq!((cell(&batch, 1, 1).as_str(), replaced), want);
}

#[test]
fn the_choice_about_tinyint_1_is_followed() {
    let mut session = Session::new(Flavour::MySql, "stream_tinyint");
    session.sql("CREATE TABLE t (id int primary key, v tinyint(1))");
    let mut options = session.stream_options(7106);
    let plain = |schema: &Arc<sluicebox_model::TableSchema>| {
        let mut schema = (**schema).clone();
        schema.columns[1].column_type = ColumnType::TinyInt;
        Arc::new(schema)
    };
    options.schemas = options.schemas.iter().map(plain).collect();
    let mut stream = sluicebox_mysql::BinlogStream::open(options).expect("a stream");
    session.sql("INSERT INTO t VALUES (1, 7), (2, -3)");
    let items = session.read(&mut stream);
    let (batch, _) = decode(&rows_of(&items, "t"), Images::Effective);
    assert_eq!([cell(&batch, 0, 1), cell(&batch, 1, 1)], ["7", "-3"]);
}
