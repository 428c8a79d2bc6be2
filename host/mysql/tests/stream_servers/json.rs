//! MySQL's binary JSON against the server's own text.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sluicebox_mysql::{Flavour, Images};

use crate::support::{Session, cell, decode, rows_of};

/// Expressions whose values JSON keeps in forms of its own.
const OPAQUE: &[&str] = &[
    "CAST(CAST('2024-02-29' AS DATE) AS JSON)",
    "CAST(CAST('-838:59:58.999999' AS TIME(6)) AS JSON)",
    "CAST(CAST('00:00:00.5' AS TIME(1)) AS JSON)",
    "CAST(CAST('9999-12-31 23:59:59.999999' AS DATETIME(6)) AS JSON)",
    "CAST(TIMESTAMP '2001-01-01 00:00:00' AS JSON)",
    "CAST(CAST(12.34 AS DECIMAL(10,4)) AS JSON)",
    "CAST(CAST(-99999999999999999999999999999999999.999999999999999999999999999999 AS DECIMAL(65,30)) AS JSON)",
    "CAST(0.000 AS JSON)",
    "CAST(x'00ff10' AS JSON)",
    "CAST(REPEAT(x'00ff10', 100) AS JSON)",
    "CAST(b'101' AS JSON)",
    "CAST(ST_GeomFromText('POINT(1 2)') AS JSON)",
    "CAST(CAST(2024 AS YEAR) AS JSON)",
    "CAST(18446744073709551615 AS JSON)",
    "CAST(-9223372036854775808 AS JSON)",
    "JSON_ARRAY(true, false, NULL, 1.0, 1e0, -0e0)",
    "JSON_OBJECT('', 1, 'bb', 2, 'a', 3, 'é', 4, 'c\"', 5)",
    "JSON_QUOTE('a\\\"\\\\/\\b\\f\\n\\r\\t\u{1}\u{1f}\u{7f}é😀')",
    "CAST('\"\\\\u0000\\\\u0001\"' AS JSON)",
    "JSON_ARRAY(REPEAT('x', 127), REPEAT('y', 128), REPEAT('z', 20000))",
];

fn number(rng: &mut StdRng) -> String {
    match rng.random_range(0..6) {
        0 => rng.random::<i16>().to_string(),
        1 => rng.random::<i32>().to_string(),
        2 => rng.random::<i64>().to_string(),
        3 => format!("{:e}", f64::from_bits(rng.random::<u64>() & !(1 << 62))),
        4 => format!("{:e}", rng.random::<f64>() * 10_f64.powi(rng.random_range(-20..20))),
        _ => format!("{:e}", f64::from(rng.random::<i32>()) / 100.0),
    }
}

fn document(rng: &mut StdRng, depth: u32) -> String {
    match rng.random_range(0..if depth == 0 { 5 } else { 7 }) {
        0 => ["null", "true", "false"][rng.random_range(0..3)].to_owned(),
        1..=3 => number(rng),
        4 => format!("\"{}\"", "aé😀 x".chars().cycle().take(rng.random_range(0..200)).collect::<String>()),
        5 => {
            let parts: Vec<String> = (0..rng.random_range(0..5)).map(|_| document(rng, depth - 1)).collect();
            format!("[{}]", parts.join(","))
        }
        _ => {
            let parts: Vec<String> = (0..rng.random_range(0..5))
                .map(|n| format!("\"k{}{n}\": {}", rng.random_range(0..50), document(rng, depth - 1)))
                .collect();
            format!("{{{}}}", parts.join(","))
        }
    }
}

#[test]
fn documents_read_as_the_server_prints_them() {
    let seed = 20_261_101;
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut session = Session::new(Flavour::MySql, "stream_json");
    session.sql("CREATE TABLE t (id int primary key auto_increment, v json)");
    let mut stream = session.stream(7701);
    for expression in OPAQUE {
        session.sql(&format!("INSERT INTO t (v) VALUES ({expression})"));
    }
    for _ in 0..20 {
        let rows: Vec<String> = (0..100).map(|_| format!("('{}')", document(&mut rng, 4))).collect();
        session.sql(&format!("INSERT INTO t (v) VALUES {}", rows.join(",")));
    }
    // Large containers have wider offsets.
    session.sql("INSERT INTO t (v) VALUES (CONCAT('[', REPEAT('70000, \"abc\", -1, ', 20000), 'null]'))");
    session.sql("SET SESSION cte_max_recursion_depth = 10000");
    session.sql(
        "INSERT INTO t (v) WITH RECURSIVE n AS (SELECT 1 i UNION ALL SELECT i + 1 FROM n WHERE i < 9000) \
         SELECT JSON_OBJECTAGG(CONCAT('key', i), i * 100000) FROM n",
    );
    // Partial updates in place leave gaps and stale bytes.
    session
        .sql("UPDATE t SET v = JSON_SET(v, '$[0]', 1) WHERE JSON_TYPE(v) = 'ARRAY' AND JSON_LENGTH(v) > 0");
    let items = session.read(&mut stream);
    let (batch, replaced) = decode(&rows_of(&items, "t"), Images::Effective);
    assert_eq!(replaced, 0);
    let mut latest = std::collections::BTreeMap::new();
    for row in 0..batch.rows() {
        latest.insert(cell(&batch, row, 0).parse::<u64>().expect("an id"), cell(&batch, row, 1));
    }
    let printed: Vec<(u64, String)> = session.rows("SELECT id, CAST(v AS CHAR) FROM t ORDER BY id");
    assert_eq!(printed.len(), latest.len());
    for (id, text) in printed {
        assert!(latest[&id] == text, "{id}: {} for {text}", latest[&id]);
    }
}
