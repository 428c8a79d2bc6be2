//! `CASE`, `COALESCE`, `IF`, `IFNULL`, `NULLIF`.

use crate::support::{Case, check, settings};

pub const CASES: &[Case] = &[
    ("CASE WHEN i > 5 THEN 'big' ELSE 'small' END", "TEXT", "big"),
    ("CASE i WHEN 1 THEN 'one' WHEN 7 THEN 'seven' END", "TEXT", "seven"),
    ("CASE i WHEN 1 THEN 'one' END", "TEXT", "NULL"),
    ("CASE WHEN nil > 5 THEN 1 ELSE 2 END", "INT", "2"),
    ("CASE WHEN yes THEN i ELSE d END", "DECIMAL(12,2)", "7.00"),
    ("CASE WHEN no THEN i ELSE 'x' END", "TEXT", "x"),
    ("CASE WHEN no THEN day ELSE at END", "DATETIME(6)", "2024-02-29 13:14:15.123456"),
    ("CASE WHEN i = 0 THEN 0 ELSE 10 / i END", "INT", "1"),
    // The branch that is not taken fails for nobody.
    ("CASE WHEN i <> 0 THEN 1 ELSE 10 / (i - i) END", "INT", "1"),
    ("CASE WHEN yes THEN ARRAY[1] END", "", "error: cannot be chosen from"),
    ("CASE WHEN yes THEN bin ELSE 'x' END", "", "error: have no common type"),
    ("CASE WHEN i THEN 1 END", "", "error: expected a condition"),
    ("COALESCE(nothing, s)", "TEXT", "Hello World"),
    ("COALESCE(nil, nil)", "INT", "NULL"),
    ("COALESCE(NULL, nil, 3)", "INT", "3"),
    ("COALESCE(nil, d)", "DECIMAL(12,2)", "12.50"),
    ("COALESCE(i, 1 / 0)", "INT", "7"),
    ("IFNULL(nothing, 'none')", "TEXT", "none"),
    ("IFNULL(s, 'none')", "TEXT", "Hello World"),
    ("IF(i > 5, 'yes', 'no')", "TEXT", "yes"),
    ("IF(nil > 5, 'yes', 'no')", "TEXT", "no"),
    ("NULLIF(i, 7)", "INT", "NULL"),
    ("NULLIF(i, 8)", "INT", "7"),
    ("NULLIF(id, 3)", "BIGINT", "NULL"),
    ("NULLIF(s, nothing)", "TEXT", "Hello World"),
    ("NULL", "TEXT", "NULL"),
];

#[test]
fn choices() {
    check(CASES, &settings());
}
