//! Which unique key tells a table's rows apart.
//!
//! The primary key, else the first unique key without nullable columns, as the servers choose. They keep a table's keys in this
//! order: the primary key, unique keys without nullable columns, the other unique keys, and within each kind as they were made.
//! The catalog shows that order and statements are followed in it, so that both come to the same key.

use std::sync::Arc;

use sluicebox_model::{Column, UniqueKey};

use crate::ddl::same;

/// What servers call the primary key.
const PRIMARY: &str = "PRIMARY";

/// Whether it is the primary key.
pub(crate) fn is_primary(key: &UniqueKey) -> bool {
    is_primary_name(&key.name)
}

/// Whether the primary key is called so.
pub(crate) fn is_primary_name(name: &str) -> bool {
    name.eq_ignore_ascii_case(PRIMARY)
}

/// A primary key of these columns.
pub(crate) fn primary(columns: Vec<Arc<str>>) -> UniqueKey {
    UniqueKey { name: PRIMARY.into(), columns }
}

/// Places in `columns` of the key, in key order; empty when the table has none.
pub(crate) fn choose(columns: &[Column], keys: &[UniqueKey]) -> Vec<usize> {
    let places = |key: &UniqueKey| {
        key.columns
            .iter()
            .map(|name| place(columns, name))
            .collect::<Option<Vec<usize>>>()
            .unwrap_or_default()
    };
    match keys.iter().find(|key| is_primary(key)) {
        Some(primary) => places(primary),
        None => keys.iter().find(|key| tells_rows_apart(columns, key)).map(places).unwrap_or_default(),
    }
}

/// Puts keys in the servers' order; they come in the order in which they were made.
pub(crate) fn sort(columns: &[Column], keys: &mut [UniqueKey]) {
    keys.sort_by_key(|key| match is_primary(key) {
        true => 0,
        false if tells_rows_apart(columns, key) => 1,
        false => 2,
    });
}

/// Whether no column of the key may be null: rows with a null in it are not held to be equal.
fn tells_rows_apart(columns: &[Column], key: &UniqueKey) -> bool {
    !key.columns.is_empty()
        && key.columns.iter().all(|name| place(columns, name).is_some_and(|at| !columns[at].nullable))
}

fn place(columns: &[Column], name: &str) -> Option<usize> {
    columns.iter().position(|c| same(&c.name, name))
}

#[cfg(test)]
mod tests {
    use sluicebox_model::ColumnType;

    use super::*;

    fn column(name: &str, nullable: bool) -> Column {
        Column {
            name: name.into(),
            column_type: ColumnType::Int,
            nullable,
            source_type: "int".into(),
            default: Default::default(),
            charset: None,
            comment: None,
        }
    }

    fn key(name: &str, columns: &[&str]) -> UniqueKey {
        UniqueKey { name: name.into(), columns: columns.iter().map(|c| (*c).into()).collect() }
    }

    #[test]
    fn the_primary_key_counts_then_the_first_unique_key_that_takes_no_null() {
        let columns = [column("a", false), column("b", true), column("c", false)];
        let (sa, sb, sca) = (key("sa", &["a"]), key("sb", &["b"]), key("sca", &["C", "A"]));
        let cases = [
            (vec![], vec![]),
            (vec![sb.clone()], vec![]),
            (vec![sa.clone(), sca.clone()], vec![0]),
            (vec![sb.clone(), sca.clone(), sa.clone()], vec![2, 0]),
            (vec![sa.clone(), key("primary", &["c"])], vec![2]),
            (vec![key("gone", &["x"]), sa.clone()], vec![0]),
            (vec![key("empty", &[]), sa.clone()], vec![0]),
        ];
        for (keys, want) in cases {
            assert_eq!(choose(&columns, &keys), want, "{keys:?}");
        }
        let mut keys = [sb.clone(), sca.clone(), sa.clone(), key("PRIMARY", &["a"])];
        sort(&columns, &mut keys);
        assert_eq!(keys, [key("PRIMARY", &["a"]), sca, sa, sb]);
    }
}
