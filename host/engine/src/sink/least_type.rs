//! The least common type of two columns that are written into one: what Flink CDC's merge rules say, in the types that the sink
//! table has.
//!
//! Integers widen along their chain; with a decimal they need room for their digits. Decimals keep the larger number of digits
//! before the point and, while 38 digits last, behind it. A float takes small integers, a double all. Days widen into wall
//! clocks, wall clocks into instants. Everything else meets in STRING, where every value has a text.
//!
//! Symmetric for every pair. Associative within integers, within decimals of at most 38 digits together, and within times; a
//! mixture with floats depends on the order, as it does upstream (INT with FLOAT is DOUBLE, DECIMAL with DOUBLE is STRING).

use sluicebox_maxcompute::DataType;

/// The service's limit for DECIMAL.
const MAX_PRECISION: u32 = 38;

/// The type whose column takes the values of both.
pub fn least_common(a: &DataType, b: &DataType) -> DataType {
    use DataType as D;
    if a == b {
        return a.clone();
    }
    if let (Some(x), Some(y)) = (integer_digits(a), integer_digits(b)) {
        return if x > y { a.clone() } else { b.clone() };
    }
    if let (Some(x), Some(y)) = (time_rank(a), time_rank(b)) {
        return if x > y { a.clone() } else { b.clone() };
    }
    match (a, b) {
        (D::Decimal { precision: p, scale: s }, D::Decimal { precision: q, scale: t }) => {
            let whole = (p - s).max(q - t);
            let scale = (*s).max(*t).min(MAX_PRECISION - whole.min(MAX_PRECISION));
            D::Decimal { precision: whole + scale, scale }
        }
        (D::Decimal { precision, scale }, integer) | (integer, D::Decimal { precision, scale }) => {
            match integer_digits(integer) {
                Some(digits) => D::Decimal {
                    precision: (*precision).max(scale + digits).min(MAX_PRECISION),
                    scale: *scale,
                },
                None => D::String,
            }
        }
        (D::Float, D::Double) | (D::Double, D::Float) => D::Double,
        (D::Float, D::Tinyint | D::Smallint) | (D::Tinyint | D::Smallint, D::Float) => D::Float,
        (D::Float, D::Int | D::Bigint) | (D::Int | D::Bigint, D::Float) => D::Double,
        (D::Double, integer) | (integer, D::Double) if integer_digits(integer).is_some() => D::Double,
        _ => D::String,
    }
}

/// Decimal digits of the largest value; none for what is no integer.
fn integer_digits(data_type: &DataType) -> Option<u32> {
    match data_type {
        DataType::Tinyint => Some(3),
        DataType::Smallint => Some(5),
        DataType::Int => Some(10),
        DataType::Bigint => Some(19),
        _ => None,
    }
}

fn time_rank(data_type: &DataType) -> Option<u32> {
    match data_type {
        DataType::Date => Some(0),
        DataType::TimestampNtz => Some(1),
        DataType::Timestamp => Some(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(text: &str) -> DataType {
        text.parse().expect("a type")
    }

    /// Every cell of the table: the row's type, then what it makes with each of `NAMES` from its own on.
    #[test]
    fn every_pair_of_types_meets_where_the_table_says() {
        const NAMES: [&str; 13] = [
            "tinyint",
            "smallint",
            "int",
            "bigint",
            "decimal(10,2)",
            "float",
            "double",
            "date",
            "timestamp_ntz",
            "timestamp",
            "boolean",
            "binary",
            "string",
        ];
        let text = "string";
        let table: [&[&str]; 13] = [
            &["tinyint", "smallint", "int", "bigint", "decimal(10,2)", "float", "double"],
            &["smallint", "int", "bigint", "decimal(10,2)", "float", "double"],
            &["int", "bigint", "decimal(12,2)", "double", "double"],
            &["bigint", "decimal(21,2)", "double", "double"],
            &["decimal(10,2)", text, text],
            &["float", "double"],
            &["double"],
            &["date", "timestamp_ntz", "timestamp"],
            &["timestamp_ntz", "timestamp"],
            &["timestamp"],
            &["boolean"],
            &["binary"],
            &[text],
        ];
        for (row, cells) in table.iter().enumerate() {
            for (column, name) in NAMES.iter().enumerate().skip(row) {
                let (a, b) = (to(NAMES[row]), to(name));
                // What a row does not list is text.
                let want = to(cells.get(column - row).copied().unwrap_or(text));
                assert_eq!(least_common(&a, &b), want, "{a} and {b}");
                assert_eq!(least_common(&b, &a), want, "{b} and {a}");
            }
        }
    }

    #[test]
    fn decimals_keep_whole_digits_and_give_up_fractions() {
        for (a, b, want) in [
            ("decimal(10,5)", "decimal(19,3)", "decimal(21,5)"),
            ("decimal(38,18)", "decimal(38,0)", "decimal(38,0)"),
            ("decimal(25,16)", "decimal(36,18)", "decimal(36,18)"),
            ("decimal(38,18)", "bigint", "decimal(38,18)"),
            ("decimal(5,0)", "tinyint", "decimal(5,0)"),
            ("decimal(2,1)", "tinyint", "decimal(4,1)"),
        ] {
            assert_eq!(least_common(&to(a), &to(b)), to(want), "{a} and {b}");
            assert_eq!(least_common(&to(b), &to(a)), to(want), "{b} and {a}");
        }
    }

    #[test]
    fn other_texts_become_plain_text() {
        for other in ["varchar(10)", "char(3)", "varchar(20)", "json", "datetime"] {
            assert_eq!(least_common(&to("varchar(5)"), &to(other)), DataType::String, "{other}");
            assert_eq!(least_common(&to(other), &to("varchar(5)")), DataType::String, "{other}");
        }
    }

    #[test]
    fn the_order_does_not_matter_where_the_rules_promise_it() {
        let groups: [&[&str]; 3] = [
            &["tinyint", "smallint", "int", "bigint"],
            &["decimal(4,2)", "decimal(9,0)", "decimal(12,6)", "decimal(18,18)", "bigint", "int"],
            &["date", "timestamp_ntz", "timestamp"],
        ];
        for group in groups {
            for a in group {
                for b in group {
                    for c in group {
                        let (a, b, c) = (to(a), to(b), to(c));
                        let left = least_common(&least_common(&a, &b), &c);
                        let right = least_common(&a, &least_common(&b, &c));
                        assert_eq!(left, right, "{a}, {b}, {c}");
                    }
                }
            }
        }
    }
}
