//! `compat: flink`: the letter of Flink CDC where it is a defect.

use sluicebox_expression::Settings;

use crate::support::{Case, check, evaluate, settings};

const CASES: &[Case] = &[
    ("id = 3", "BOOLEAN", "FALSE"),
    ("id <> 3", "BOOLEAN", "TRUE"),
    ("CAST(id AS INT) = 3", "BOOLEAN", "TRUE"),
    ("id > 2", "BOOLEAN", "TRUE"),
    ("nil = 1", "BOOLEAN", "FALSE"),
    ("NOT (nil = 1)", "BOOLEAN", "TRUE"),
    ("nil <> 1", "BOOLEAN", "TRUE"),
    ("nil > 1", "BOOLEAN", "FALSE"),
    ("nil IN (1)", "BOOLEAN", "FALSE"),
    ("nil NOT BETWEEN 1 AND 2", "BOOLEAN", "TRUE"),
    ("NULLIF(id, 3)", "BIGINT", "NULL"),
    ("'ABC' LIKE '^[a-zA-Z]'", "BOOLEAN", "TRUE"),
    ("'ABC' LIKE 'A%'", "BOOLEAN", "FALSE"),
    ("'ABC' LIKE 'A%' ESCAPE '!'", "BOOLEAN", "TRUE"),
    ("nothing LIKE 'a'", "BOOLEAN", "FALSE"),
    ("UPPER(nothing)", "TEXT", "error: `UPPER` of null"),
    ("CHAR_LENGTH(nothing)", "INT", "error: of null"),
    ("CONCAT(s, nothing)", "TEXT", "error: of null"),
    ("SUBSTR(nothing, 1)", "TEXT", "error: of null"),
    ("i + nil", "INT", "error: `+` of null"),
    ("REPLACE(nothing, 'a', 'b')", "TEXT", "NULL"),
    ("2147483647 + i", "INT", "-2147483642"),
    ("REGEXP_REPLACE(s, '(', 'x')", "TEXT", "NULL"),
    ("__namespace_name__ || '!'", "TEXT", "null!"),
];

#[test]
fn the_letter_counts_where_it_is_asked_for() {
    check(CASES, &Settings { flink: true, ..settings() });
}

/// Each of these is a defect there, so each is different here without the option.
#[test]
fn without_the_option_every_one_of_them_is_different() {
    for (expression, _, value) in CASES {
        if ["TRUE", "NULL"].contains(value) && (expression.contains("CAST") || expression.contains("ESCAPE"))
        {
            continue;
        }
        let same = ["id > 2", "NULLIF(id, 3)", "REPLACE(nothing, 'a', 'b')"];
        if same.contains(expression) {
            continue;
        }
        let (_, found) = evaluate(expression, 0, settings());
        assert!(!found.contains(value.trim_start_matches("error: ")), "{expression}: {found}");
    }
}
