//! Every type at its extremes is read as what it is.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Decimal128Type, Float64Type, Int64Type, UInt64Type};
use sluicebox_model::{ChangeBatch, Physical, Position};
use sluicebox_mysql::{Chunk, Flavour};

use crate::chunks::{read_chunk, reader};
use crate::server::{BOTH, fresh_database, schema, sql};

const DATABASE: &str = "control_values";
const DAY: i64 = 86_400_000_000;

/// A column's declaration, a value as SQL, and the value as the pipeline holds it.
type Case = (&'static str, &'static str, String);

fn cases() -> Vec<Case> {
    let days = |n: i64| n.to_string();
    let micros =
        |days: i64, seconds: i64, micros: i64| (days * DAY + seconds * 1_000_000 + micros).to_string();
    let text = |t: &str| format!("'{t}'");
    let null = || "null".to_owned();
    vec![
        ("TINYINT", "-128", days(-128)),
        ("TINYINT UNSIGNED", "255", days(255)),
        ("TINYINT(1)", "0", days(0)),
        ("TINYINT(1)", "-5", days(1)),
        ("SMALLINT", "-32768", days(-32_768)),
        ("SMALLINT UNSIGNED", "65535", days(65_535)),
        ("MEDIUMINT", "-8388608", days(-8_388_608)),
        ("MEDIUMINT UNSIGNED", "16777215", days(16_777_215)),
        ("INT", "-2147483648", days(-2_147_483_648)),
        ("INT UNSIGNED", "4294967295", days(4_294_967_295)),
        ("BIGINT", "-9223372036854775808", days(i64::MIN)),
        ("BIGINT UNSIGNED", "18446744073709551615", u64::MAX.to_string()),
        ("INT(5) ZEROFILL", "42", days(42)),
        ("BIT(1)", "b'1'", days(1)),
        ("BIT(12)", "b'100000000001'", "2049".to_owned()),
        (
            "BIT(64)",
            "b'1000000000000000000000000000000000000000000000000000000000000001'",
            (1_u64 << 63 | 1).to_string(),
        ),
        ("YEAR", "0", days(0)),
        ("YEAR", "2155", days(2155)),
        ("FLOAT", "1.2345678", f64::from(1.234_567_8_f32).to_string()),
        ("FLOAT", "-3.4028234e38", f64::from(-3.402_823_4e38_f32).to_string()),
        ("FLOAT(7,3)", "1234.567", f64::from(1234.567_f32).to_string()),
        ("DOUBLE", "1.7976931348623157e308", f64::MAX.to_string()),
        ("DOUBLE", "4.9406564584124654e-324", 5e-324_f64.to_string()),
        ("DECIMAL(5,2)", "-999.99", days(-99_999)),
        ("DECIMAL(18,18)", "0.000000000000000001", days(1)),
        ("DECIMAL(38,10)", "-9999999999999999999999999999.9999999999", format!("-{}", "9".repeat(38))),
        ("DECIMAL(20,0) UNSIGNED", "18446744073709551616", "18446744073709551616".to_owned()),
        (
            "DECIMAL(65,30)",
            "-12345678901234567890123456789012345.5",
            text(&format!("-12345678901234567890123456789012345.5{}", "0".repeat(29))),
        ),
        ("DECIMAL(65,0)", "0", text("0")),
        ("DATE", "'1000-01-01'", days(-354_285)),
        ("DATE", "'9999-12-31'", days(2_932_896)),
        ("DATE", "'0000-00-00'", null()),
        ("DATE", "'2024-02-00'", null()),
        ("TIME", "'-838:59:59'", micros(0, -(838 * 3600 + 59 * 60 + 59), 0)),
        ("TIME(6)", "'838:59:58.999999'", micros(0, 838 * 3600 + 59 * 60 + 58, 999_999)),
        ("TIME(3)", "'-00:00:00.001'", micros(0, 0, -1_000)),
        ("TIME", "'00:00:00'", micros(0, 0, 0)),
        ("DATETIME", "'1970-01-01 00:00:00'", micros(0, 0, 0)),
        ("DATETIME(6)", "'9999-12-31 23:59:59.999999'", micros(2_932_896, 86_399, 999_999)),
        ("DATETIME(2)", "'1000-01-01 00:00:00.10'", micros(-354_285, 0, 100_000)),
        ("DATETIME", "'0000-00-00 00:00:00'", null()),
        ("DATETIME", "'2024-00-05 01:02:03'", null()),
        ("TIMESTAMP NULL", "'1970-01-01 00:00:01'", micros(0, 1, 0)),
        ("TIMESTAMP(6) NULL", "'2038-01-19 03:14:07.999999'", micros(24_855, 11_647, 999_999)),
        ("TIMESTAMP NULL", "'0000-00-00 00:00:00'", null()),
        ("CHAR(10)", "'ab  '", text("ab")),
        ("VARCHAR(10)", "'ab  '", text("ab  ")),
        ("VARCHAR(10)", "''", text("")),
        ("VARCHAR(10)", "'ä€😀'", text("ä€😀")),
        ("VARCHAR(10) CHARACTER SET latin1", "'ä€'", text("ä€")),
        ("VARCHAR(10) CHARACTER SET ucs2", "'ä€'", text("ä€")),
        ("VARCHAR(10) CHARACTER SET sjis", "'日本'", text("日本")),
        ("LONGTEXT", "REPEAT('x', 70000)", text(&"x".repeat(70_000))),
        ("ENUM('a','it''s')", "'it''s'", text("it's")),
        ("ENUM('a','b')", "0", text("")),
        ("SET('x','y','z')", "'z,x'", text("x,z")),
        ("SET('x','y')", "''", text("")),
        ("BINARY(4)", "X'0100'", "01000000".to_owned()),
        ("VARBINARY(4)", "X'00FF'", "00ff".to_owned()),
        ("BLOB", "X'80'", "80".to_owned()),
        (
            "GEOMETRY",
            "ST_GeomFromText('POINT(1 2)')",
            format!("00000000{}", "0101000000000000000000f03f0000000000000040"),
        ),
        ("INT", "NULL", null()),
        ("VARCHAR(3)", "NULL", null()),
        ("DECIMAL(30,2)", "NULL", null()),
    ]
}

fn mysql_cases() -> Vec<Case> {
    vec![
        (
            "JSON",
            r#"'{"bb": 1.50, "a": [true, null, "x\\ny"]}'"#,
            r#"'{"a": [true, null, "x\ny"], "bb": 1.5}'"#.to_owned(),
        ),
        ("JSON", "CAST(CAST(12.3400 AS DECIMAL(10,4)) AS JSON)", "'12.3400'".to_owned()),
        ("JSON", "'null'", "'null'".to_owned()),
    ]
}

fn mariadb_cases() -> Vec<Case> {
    vec![
        ("JSON", r#"'{"b": 1.50,"a":[]}'"#, r#"'{"b": 1.50,"a":[]}'"#.to_owned()),
        (
            "UUID",
            "'123E4567-e89b-12d3-a456-426655440000'",
            "'123e4567-e89b-12d3-a456-426655440000'".to_owned(),
        ),
        ("INET6", "'2001:0DB8::0001'", "'2001:db8::1'".to_owned()),
        ("INET4", "'10.0.255.1'", "'10.0.255.1'".to_owned()),
        ("TEXT COMPRESSED", "REPEAT('ab', 1000)", format!("'{}'", "ab".repeat(1_000))),
    ]
}

#[tokio::test]
async fn each_type_is_read_as_what_it_holds() {
    for flavour in BOTH {
        let mut all = cases();
        all.extend(if flavour == Flavour::MySql { mysql_cases() } else { mariadb_cases() });
        let mut conn = fresh_database(flavour, DATABASE).await;
        let columns: Vec<String> =
            all.iter().enumerate().map(|(n, (declared, ..))| format!("c{n} {declared}")).collect();
        // Row size limits: some columns to a table.
        let mut different = Vec::new();
        for (part, columns) in columns.chunks(20).enumerate() {
            let cases = &all[part * 20..];
            sql(&mut conn, &format!("CREATE TABLE t{part} (id INT PRIMARY KEY, {})", columns.join(", ")))
                .await;
            let values: Vec<&str> = cases.iter().take(columns.len()).map(|(_, value, _)| *value).collect();
            sql(&mut conn, &format!("INSERT INTO t{part} VALUES (1, {})", values.join(", "))).await;
            let batch = read(flavour, &format!("t{part}")).await;
            for (n, (declared, value, want)) in cases.iter().take(columns.len()).enumerate() {
                let got = show(&batch, n + 1);
                if got != *want {
                    different.push(format!("{declared} {value}: got {got}, want {want}"));
                }
            }
        }
        assert!(different.is_empty(), "{flavour:?}: {}", different.join("\n"));
    }
}

#[tokio::test]
async fn values_that_cannot_be_held_are_counted() {
    for flavour in BOTH {
        let mut conn = fresh_database(flavour, "control_replaced").await;
        sql(&mut conn, "CREATE TABLE t (id INT PRIMARY KEY, d DATE, e DATETIME)").await;
        sql(
            &mut conn,
            "INSERT INTO t VALUES (1, '0000-00-00', '2024-01-00 00:00:00'), (2, NULL, '2024-01-01')",
        )
        .await;
        let schema = Arc::new(schema(flavour, "control_replaced", "t").await);
        let chunk = Chunk { number: 0, after: None, up_to: None, by: None };
        let rows = read_chunk(&mut reader(flavour).await, &schema, &chunk, &Position::default())
            .await
            .expect("rows");
        assert_eq!(rows.replaced, 2, "{flavour:?}");
    }
}

async fn read(flavour: Flavour, table: &str) -> ChangeBatch {
    let schema = Arc::new(schema(flavour, DATABASE, table).await);
    let chunk = Chunk { number: 0, after: None, up_to: None, by: None };
    let mut rows =
        read_chunk(&mut reader(flavour).await, &schema, &chunk, &Position::default()).await.expect("rows");
    assert_eq!(rows.batches.len(), 1);
    rows.batches.remove(0)
}

/// The only row's value: text in quotes, bytes as hexadecimal digits.
fn show(batch: &ChangeBatch, column: usize) -> String {
    let array = &batch.columns[column];
    if array.is_null(0) {
        return "null".to_owned();
    }
    match batch.schema.columns[column].column_type.physical() {
        Physical::Int64 => array.as_primitive::<Int64Type>().value(0).to_string(),
        Physical::UInt64 => array.as_primitive::<UInt64Type>().value(0).to_string(),
        Physical::Float64 => array.as_primitive::<Float64Type>().value(0).to_string(),
        Physical::Decimal128 => array.as_primitive::<Decimal128Type>().value(0).to_string(),
        Physical::Utf8 => format!("'{}'", array.as_string::<i32>().value(0)),
        Physical::Binary => array.as_binary::<i32>().value(0).iter().map(|b| format!("{b:02x}")).collect(),
    }
}
