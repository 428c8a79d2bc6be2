//! Every type of the source, at its limits: the sink holds the same value whichever way the row came.
//!
//! The same literals are written three times: before the start (snapshot), as inserts after it and as updates after it
//! (binlog). What arrives is compared with the literal, each way with the others, and by the common comparison with what
//! the server says.

use std::collections::BTreeMap;

use sluicebox_maxcompute::record::Value;

use crate::support::{Database, Emulator, Kind, Pipeline, Server, Sink, on_both_servers, wait_for_same_rows};

on_both_servers!(every_type_has_the_same_value_from_snapshot_insert_and_update);

/// What the sink must hold. A value that is not listed is NULL.
#[derive(Debug, Clone, Copy)]
enum Want {
    Int(i64),
    Bool(bool),
    Float(f32),
    Double(f64),
    Text(&'static str),
    Bytes(&'static [u8]),
    /// A DECIMAL: zeros at its end do not count.
    Number(&'static str),
    /// Order of members and blanks do not count.
    Json(&'static str),
    Days(i32),
    /// Seconds since 1970 and nanoseconds.
    At(i64, u32),
    Null,
}
use Want::{At, Bool, Bytes, Days, Double, Float, Int, Json, Null, Number, Text};

/// Name, type at the source, type at the sink, and pairs of a literal and what becomes of it.
type Case = (&'static str, &'static str, &'static str, &'static [(&'static str, Want)]);

/// 1000-01-01T00:00:00Z and 9999-12-31T23:59:59Z.
const FIRST_SECOND: i64 = -30_610_224_000;
const LAST_SECOND: i64 = 253_402_300_799;

const CASES: &[Case] = &[
    ("flag", "TINYINT(1)", "BOOLEAN", &[("0", Bool(false)), ("1", Bool(true)), ("2", Bool(true))]),
    ("t", "TINYINT", "TINYINT", &[("-128", Int(-128)), ("127", Int(127)), ("0", Int(0))]),
    ("tu", "TINYINT UNSIGNED", "SMALLINT", &[("0", Int(0)), ("255", Int(255)), ("128", Int(128))]),
    ("s", "SMALLINT", "SMALLINT", &[("-32768", Int(-32768)), ("32767", Int(32767))]),
    ("su", "SMALLINT UNSIGNED", "INT", &[("0", Int(0)), ("65535", Int(65535))]),
    ("m", "MEDIUMINT", "INT", &[("-8388608", Int(-8_388_608)), ("8388607", Int(8_388_607))]),
    ("mu", "MEDIUMINT UNSIGNED", "INT", &[("0", Int(0)), ("16777215", Int(16_777_215))]),
    ("i", "INT", "INT", &[("-2147483648", Int(-2_147_483_648)), ("2147483647", Int(2_147_483_647))]),
    ("iu", "INT UNSIGNED", "BIGINT", &[("0", Int(0)), ("4294967295", Int(4_294_967_295))]),
    (
        "b",
        "BIGINT",
        "BIGINT",
        &[("-9223372036854775808", Int(i64::MIN)), ("9223372036854775807", Int(i64::MAX))],
    ),
    (
        "bu",
        "BIGINT UNSIGNED",
        "DECIMAL(20,0)",
        &[("0", Number("0")), ("18446744073709551615", Number("18446744073709551615"))],
    ),
    (
        "price",
        "DECIMAL(10,2)",
        "DECIMAL(10,2)",
        &[
            ("-99999999.99", Number("-99999999.99")),
            ("99999999.99", Number("99999999.99")),
            ("0.05", Number("0.05")),
            ("-0.5", Number("-0.5")),
        ],
    ),
    (
        "wide",
        "DECIMAL(30,10)",
        "DECIMAL(30,10)",
        &[
            ("12345678901234567890.0123456789", Number("12345678901234567890.0123456789")),
            ("-99999999999999999999.9999999999", Number("-99999999999999999999.9999999999")),
            ("0.0000000001", Number("0.0000000001")),
        ],
    ),
    (
        "vast",
        "DECIMAL(65,30)",
        "STRING",
        &[
            (
                "99999999999999999999999999999999999.999999999999999999999999999999",
                Number("99999999999999999999999999999999999.999999999999999999999999999999"),
            ),
            (
                "-99999999999999999999999999999999999.999999999999999999999999999999",
                Number("-99999999999999999999999999999999999.999999999999999999999999999999"),
            ),
            ("1.5", Number("1.5")),
        ],
    ),
    (
        "f",
        "FLOAT",
        "FLOAT",
        &[
            ("-3.40282e38", Float(-3.40282e38)),
            ("1.17549e-38", Float(1.175_49e-38)),
            ("0.1", Float(0.1)),
            ("0", Float(0.0)),
        ],
    ),
    ("f73", "FLOAT(7,3)", "DOUBLE", &[("1234.567", Float(1234.567)), ("-0.001", Float(-0.001))]),
    (
        "d",
        "DOUBLE",
        "DOUBLE",
        &[
            ("-1.7976931348623157e308", Double(f64::MIN)),
            ("1.7976931348623157e308", Double(f64::MAX)),
            ("2.2250738585072014e-308", Double(f64::MIN_POSITIVE)),
            ("0.1", Double(0.1)),
        ],
    ),
    (
        "c",
        "CHAR(10)",
        "STRING",
        &[("'ab  '", Text("ab")), ("''", Text("")), ("'žluťoučký'", Text("žluťoučký"))],
    ),
    (
        "v",
        "VARCHAR(100)",
        "STRING",
        &[("'héllo 你好 🦈'", Text("héllo 你好 🦈")), ("''", Text("")), ("'blank '", Text("blank "))],
    ),
    (
        "tx",
        "TEXT",
        "STRING",
        &[(r"'line\nbreak\ttab \\ \' \0 end'", Text("line\nbreak\ttab \\ ' \0 end")), ("''", Text(""))],
    ),
    ("ltx", "LONGTEXT", "STRING", &[("'длинный текст'", Text("длинный текст"))]),
    ("latin", "VARCHAR(20) CHARACTER SET latin1", "STRING", &[("'é€ÿ'", Text("é€ÿ")), ("''", Text(""))]),
    ("latintx", "TEXT CHARACTER SET latin1", "STRING", &[("'naïve café'", Text("naïve café"))]),
    ("gbk", "VARCHAR(20) CHARACTER SET gbk", "STRING", &[("'中文'", Text("中文"))]),
    (
        "bin",
        "BINARY(4)",
        "BINARY",
        &[("'a'", Bytes(b"a\0\0\0")), ("x'00FF0000'", Bytes(b"\0\xff\0\0")), ("''", Bytes(b"\0\0\0\0"))],
    ),
    ("vb", "VARBINARY(20)", "BINARY", &[("x'00FF00'", Bytes(b"\0\xff\0")), ("''", Bytes(b""))]),
    ("bl", "BLOB", "BINARY", &[("x'FFFE00C3'", Bytes(b"\xff\xfe\0\xc3")), ("''", Bytes(b""))]),
    (
        "day",
        "DATE",
        "DATE",
        &[
            ("'1000-01-01'", Days(-354_285)),
            ("'9999-12-31'", Days(2_932_896)),
            ("'1970-01-01'", Days(0)),
            ("'0000-00-00'", Null),
        ],
    ),
    (
        "tm",
        "TIME",
        "STRING",
        &[
            ("'-838:59:59'", Text("-838:59:59")),
            ("'838:59:59'", Text("838:59:59")),
            ("'10:15:00'", Text("10:15")),
        ],
    ),
    (
        "tm6",
        "TIME(6)",
        "STRING",
        &[
            ("'10:15:30.123456'", Text("10:15:30.123456")),
            ("'-00:00:00.000001'", Text("-00:00:00.000001")),
            ("'00:00:00.120000'", Text("00:00:00.120")),
        ],
    ),
    (
        "dt",
        "DATETIME",
        "TIMESTAMP_NTZ",
        &[
            ("'2024-02-29 23:59:59'", At(1_709_251_199, 0)),
            ("'1000-01-01 00:00:00'", At(FIRST_SECOND, 0)),
            ("'0000-00-00 00:00:00'", Null),
        ],
    ),
    (
        "dt6",
        "DATETIME(6)",
        "TIMESTAMP_NTZ",
        &[
            ("'1000-01-01 00:00:00.000001'", At(FIRST_SECOND, 1000)),
            ("'9999-12-31 23:59:59.999999'", At(LAST_SECOND, 999_999_000)),
            ("'1969-12-31 23:59:59.5'", At(-1, 500_000_000)),
        ],
    ),
    (
        "ts",
        "TIMESTAMP NULL",
        "TIMESTAMP",
        &[("'1970-01-01 00:00:01'", At(1, 0)), ("'2024-02-29 23:59:59'", At(1_709_251_199, 0))],
    ),
    (
        "ts6",
        "TIMESTAMP(6) NULL",
        "TIMESTAMP",
        &[
            ("'1970-01-01 00:00:01.000001'", At(1, 1000)),
            ("'2038-01-19 03:14:07.999999'", At(2_147_483_647, 999_999_000)),
            ("'0000-00-00 00:00:00'", Null),
        ],
    ),
    ("y", "YEAR", "INT", &[("1901", Int(1901)), ("2155", Int(2155)), ("'0000'", Int(0))]),
    (
        "js",
        "JSON",
        "STRING",
        &[
            (
                r#"'{"b": [1, 2.5, null, true, "x\\"y"], "a": "é"}'"#,
                Json(r#"{"a": "é", "b": [1, 2.5, null, true, "x\"y"]}"#),
            ),
            (r#"'"text"'"#, Json(r#""text""#)),
            ("'[]'", Json("[]")),
            ("'18446744073709551615'", Json("18446744073709551615")),
        ],
    ),
    (
        "e",
        "ENUM('small','größe','x,y')",
        "STRING",
        &[("'größe'", Text("größe")), ("'x,y'", Text("x,y")), ("'small'", Text("small"))],
    ),
    (
        "st",
        "SET('a','b','ü')",
        "STRING",
        &[("'a,ü'", Text("a,ü")), ("''", Text("")), ("'a,b,ü'", Text("a,b,ü"))],
    ),
    ("b1", "BIT(1)", "BOOLEAN", &[("b'1'", Bool(true)), ("b'0'", Bool(false))]),
    ("b9", "BIT(9)", "BINARY", &[("b'111111111'", Bytes(b"\xff\x01")), ("b'000000001'", Bytes(b"\x01\0"))]),
    (
        "b64",
        "BIT(64)",
        "BINARY",
        &[("18446744073709551615", Bytes(&[0xff; 8])), ("1", Bytes(b"\x01\0\0\0\0\0\0\0"))],
    ),
];

/// As many rows as the longest list of literals, and one of nulls.
const ROWS: usize = 5;

/// The three ways, by the key of their first row.
const SNAPSHOT: i64 = 0;
const INSERTED: i64 = 100;
const UPDATED: i64 = 200;

fn every_type_has_the_same_value_from_snapshot_insert_and_update(kind: Kind) {
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    let columns: Vec<String> =
        CASES.iter().map(|(name, declared, ..)| format!("`{name}` {declared}")).collect();
    source.sql(&format!("CREATE TABLE v (id INT NOT NULL PRIMARY KEY, {})", columns.join(", ")));
    insert(&source, SNAPSHOT);
    let pipeline = Pipeline::new(&source, &emulator);
    let mut program = pipeline.start();
    assert_eq!(wait_for_same_rows(&source, "v", &sink, "v"), ROWS);
    insert(&source, INSERTED);
    update(&source, UPDATED);
    assert_eq!(wait_for_same_rows(&source, "v", &sink, "v"), 3 * ROWS);
    program.assert_running();

    let described = sink.describe("v").expect("the table");
    let rows = read(&sink);
    let mut wrong = Vec::new();
    for (place, (name, declared, mapped, _)) in CASES.iter().enumerate() {
        let found = described.columns[place + 1].data_type.to_string();
        if !found.eq_ignore_ascii_case(mapped) {
            wrong.push(format!("{name} {declared} is {found}, expected {mapped}"));
        }
        for row in 0..ROWS {
            let want = literal(place, row).map_or(Null, |(_, want)| want);
            for (way, first) in [("snapshot", SNAPSHOT), ("insert", INSERTED), ("update", UPDATED)] {
                let found = &rows[&key(first, row)][place + 1];
                if !is(want, found.as_ref()) {
                    wrong.push(format!("{name} {declared} by {way}: {found:?}, expected {want:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for row in 0..ROWS {
        let [snapshot, inserted, updated] =
            [SNAPSHOT, INSERTED, UPDATED].map(|first| &rows[&key(first, row)][1..]);
        assert_eq!(snapshot, inserted, "row {row}");
        assert_eq!(snapshot, updated, "row {row}");
    }
}

/// The literal of a column in a row, and what becomes of it.
fn literal(place: usize, row: usize) -> Option<(&'static str, Want)> {
    CASES[place].3.get(row).copied()
}

fn key(first: i64, row: usize) -> i64 {
    first + i64::try_from(row).expect("a small number")
}

/// Literals that strict mode would refuse (zero dates) are stored all the same, as old data is.
const LENIENT_SESSION: &str = "SET sql_mode = '', time_zone = '+00:00'";

fn insert(source: &Database<'_>, first: i64) {
    let mut session = source.session();
    session.sql(LENIENT_SESSION);
    for row in 0..ROWS {
        let values: Vec<&str> =
            (0..CASES.len()).map(|place| literal(place, row).map_or("NULL", |(text, _)| text)).collect();
        session.sql(&format!("INSERT INTO v VALUES ({}, {})", key(first, row), values.join(", ")));
    }
}

/// Rows of nulls become the same rows by an update.
fn update(source: &Database<'_>, first: i64) {
    let mut session = source.session();
    session.sql(LENIENT_SESSION);
    for row in 0..ROWS {
        session.sql(&format!("INSERT INTO v (id) VALUES ({})", key(first, row)));
        let set: Vec<String> = (0..CASES.len())
            .filter_map(|place| literal(place, row).map(|(text, _)| format!("`{}` = {text}", CASES[place].0)))
            .collect();
        if !set.is_empty() {
            session.sql(&format!("UPDATE v SET {} WHERE id = {}", set.join(", "), key(first, row)));
        }
    }
}

/// The sink's rows by their key.
fn read(sink: &Sink) -> BTreeMap<i64, Vec<Option<Value>>> {
    let rows = sink.typed_rows("SELECT * FROM v").expect("the sink's rows");
    let by_key = |row: Vec<Option<Value>>| {
        let key = row[0].as_ref().and_then(Value::as_bigint).expect("a key");
        (key, row)
    };
    rows.into_iter().map(by_key).collect()
}

fn is(want: Want, found: Option<&Value>) -> bool {
    let text = |found: &Value| found.as_text().map(str::to_owned).unwrap_or_default();
    match (want, found) {
        (Null, None) => true,
        (Int(want), Some(Value::Bigint(found))) => want == *found,
        (Bool(want), Some(Value::Boolean(found))) => want == *found,
        (Float(want), Some(Value::Float(found))) => want.to_bits() == found.to_bits(),
        // FLOAT(p,s) travels as DOUBLE; what it holds is a number of 32 bits.
        (Float(want), Some(Value::Double(found))) => f64::from(want).to_bits() == found.to_bits(),
        (Double(want), Some(Value::Double(found))) => want.to_bits() == found.to_bits(),
        (Text(want), Some(found @ Value::Text(_))) => want == text(found),
        (Bytes(want), Some(Value::Text(found))) => want == found,
        (Number(want), Some(found @ Value::Text(_))) => shortest(want) == shortest(&text(found)),
        (Json(want), Some(found @ Value::Text(_))) => {
            let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
            parsed(want) == parsed(&text(found)) && parsed(want).is_some()
        }
        (Days(want), Some(Value::Date(found))) => want == *found,
        (At(want, fine), Some(Value::Timestamp { seconds, nanos })) => (want, fine) == (*seconds, *nanos),
        _ => false,
    }
}

fn shortest(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}
