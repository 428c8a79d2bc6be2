//! Arithmetic and rounding.

use sluicebox_expression::{DecimalLimit, Settings};

use crate::support::{Case, check, evaluate, settings};

pub const CASES: &[Case] = &[
    ("tiny * 2", "INT", "200"),
    ("i + 17", "INT", "24"),
    ("id + 17", "BIGINT", "20"),
    ("i - id", "BIGINT", "4"),
    ("-i", "INT", "-7"),
    ("-(id)", "BIGINT", "-3"),
    ("2147483647 + i", "INT", "error: does not fit INT"),
    ("2147483648 + i", "BIGINT", "2147483655"),
    ("9223372036854775807 + id", "BIGINT", "error: does not fit BIGINT"),
    ("i + nil", "INT", "NULL"),
    ("i / 2", "INT", "3"),
    ("-7 / 2", "INT", "-3"),
    ("i / 0", "INT", "error: division by zero"),
    ("i % 4", "INT", "3"),
    ("MOD(-7, 4)", "INT", "-3"),
    ("i % 0", "INT", "error: division by zero"),
    ("CAST(i AS DOUBLE) / 1.7", "DOUBLE", "4.11764705882353"),
    ("x * 2", "DOUBLE", "5.0"),
    ("f * f", "FLOAT", "2.25"),
    ("f + x", "DOUBLE", "4.0"),
    ("x / 0", "DOUBLE", "inf"),
    ("d + 1", "DECIMAL(13,2)", "13.50"),
    ("d - 0.005", "DECIMAL(12,3)", "12.495"),
    ("d * d", "DECIMAL(19,4)", "156.2500"),
    ("d / 3", "DECIMAL(19,11)", "4.16666666666"),
    ("-d / 3", "DECIMAL(19,11)", "-4.16666666666"),
    ("d % 5", "DECIMAL(10,2)", "2.50"),
    ("d / 0", "DECIMAL(19,11)", "error: division by zero"),
    ("wide + 1", "DECIMAL(19,4)", "error: does not fit DECIMAL(19,4)"),
    ("ub + 0", "DECIMAL(19,0)", "error: does not fit"),
    ("ub / 2", "DECIMAL(19,0)", "9223372036854775807"),
    ("bits + 1", "BIGINT", "258"),
    ("1.5 + 1", "DECIMAL(12,1)", "2.5"),
    ("1e3 + 1", "DOUBLE", "1001.0"),
    ("s + 1", "", "error: takes numbers, not TEXT"),
    ("ABS(-5)", "INT", "5"),
    ("ABS(small)", "SMALLINT", "300"),
    ("ABS(-d)", "DECIMAL(10,2)", "12.50"),
    ("ABS(-2.5e0)", "DOUBLE", "2.5"),
    ("CEIL(d)", "DECIMAL(10,0)", "13"),
    ("CEILING(-d)", "DECIMAL(10,0)", "-12"),
    ("CEIL(x)", "DOUBLE", "3.0"),
    ("CEIL(i)", "INT", "7"),
    ("FLOOR(d)", "DECIMAL(10,0)", "12"),
    ("FLOOR(-d)", "DECIMAL(10,0)", "-13"),
    ("FLOOR(-x)", "DOUBLE", "-3.0"),
    ("ROUND(d, 1)", "DECIMAL(10,2)", "12.50"),
    ("ROUND(12.345, 2)", "DECIMAL(5,3)", "12.350"),
    ("ROUND(-12.345, 2)", "DECIMAL(5,3)", "-12.350"),
    ("ROUND(d)", "DECIMAL(10,2)", "13.00"),
    ("ROUND(1.005e0, 2)", "DOUBLE", "1.01"),
    ("ROUND(x)", "DOUBLE", "3.0"),
    ("ROUND(155, -1)", "INT", "160"),
    ("ROUND(i, nil)", "INT", "NULL"),
    ("ROUND(s)", "", "error: takes numbers"),
    ("1 + 2 * 3 - -4", "INT", "11"),
    ("CHAR_LENGTH(UUID())", "INT", "36"),
];

#[test]
fn numbers() {
    check(CASES, &settings());
}

#[test]
fn decimals_may_have_38_digits() {
    let wide = Settings { decimals: DecimalLimit::UP_TO_38, ..settings() };
    check(
        &[
            ("wide + 1", "DECIMAL(31,4)", "123456789012345678901235.5678"),
            ("d * d", "DECIMAL(20,4)", "156.2500"),
            ("ub + 1", "DECIMAL(21,0)", "18446744073709551616"),
            ("wide * wide", "DECIMAL(38,8)", "error: does not fit"),
        ],
        &wide,
    );
}

#[test]
fn each_row_has_its_own_uuid() {
    let ids = [0, 2].map(|row| evaluate("UUID()", row, settings()).1);
    assert_ne!(ids[0], ids[1]);
    for id in ids {
        assert!(id.len() == 36 && id.as_bytes()[14] == b'4' && "89ab".contains(&id[19..20]), "{id}");
    }
}
