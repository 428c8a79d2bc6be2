//! Whether what a row's image leaves out can be told (`binlog_row_image` other than `FULL`).
//!
//! **Inserts** leave out what the statement did not name and what has a constant for its default, which is known from the column's
//! declaration. On MariaDB they leave out virtual columns as well, which nobody can tell.
//!
//! **Updates** leave out what did not change. On MySQL that holds for every column and every statement: generated columns that
//! change are written, and a `REPLACE` that is logged as an update writes the whole row. On MariaDB it does not hold for two things.
//! Generated columns are left out though they changed, even from images that hold all else (`FULL_NODUP`). And a `REPLACE` that is
//! logged as an update leaves out what it did not name, which then has its *default*, and not what was there. Such an update is told
//! from a real one by the key: a `REPLACE` writes the key's columns, since it names them or they count up by themselves. So an update
//! whose image after lacks a key column is a real one where
//!
//! - that column counts up or is computed: a `REPLACE` would have written it; or
//! - it has no default, so that only a session that is not strict could have left it unnamed, and has got zero then; the table has
//!   no other unique key by which such a `REPLACE` could have found the row, so the row found had zero in it as well; and it had not.
//!
//! Whatever holds the whole key after the update (also an `INSERT ... ON DUPLICATE KEY UPDATE`) cannot be told from a `REPLACE`.
//!
//! **Differences** of JSON documents (`PARTIAL_JSON`) need the document, which the image before holds unless that is `MINIMAL`.
//!
//! **Deletes** need nothing but the key, which is always there.

use sluicebox_model::{Column, ColumnDefault, TableSchema};

use crate::Flavour;
use crate::event::{Fault, RowsHead, RowsKind, inflate_body};
use crate::row::{Present, RowLayout};
use crate::types::{BaseType, DeclaredType};

/// What the images of this event hold, or in words why what they lack cannot be told.
pub(crate) fn check(
    flavour: Flavour,
    head: &RowsHead<'_>,
    schema: &TableSchema,
    layout: &RowLayout,
) -> Result<Result<Present, String>, Fault> {
    let has_default = |place: usize| {
        let column = schema.columns.get(place);
        layout.knows_default(place) || column.is_some_and(|column| is_left_null(flavour, column))
    };
    let present = Present::of(head, schema.columns.len(), has_default);
    if layout.is_versioned() {
        return Ok(Err("lack columns, which is not followed for a table with a hidden history".to_owned()));
    }
    let present = if head.has_differences { present.with_differences(layout) } else { present };
    if let Some(place) = present.lacks_document(layout, head.rows)? {
        let name = schema.columns.get(place).map_or("", |column| &*column.name);
        return Ok(Err(format!(
            "hold only what changed in the documents of the column `{name}` (binlog_row_value_options=PARTIAL_JSON), and not \
             the documents that it changed in"
        )));
    }
    let lacking = present.absent().and_then(|absent| absent.after.first().copied());
    let doubt = match head.kind {
        RowsKind::Write => lacking.map(|place| (place, why_no_default(schema, place))),
        RowsKind::Update if flavour == Flavour::MariaDb => doubt(head, schema, layout, &present, lacking)?,
        RowsKind::Update | RowsKind::Delete => None,
    };
    Ok(match doubt.and_then(|(place, why)| Some((schema.columns.get(place)?, why))) {
        Some((column, why)) => {
            Err(format!("lack the column `{}`, and its value cannot be told ({why})", column.name))
        }
        None => Ok(present),
    })
}

fn why_no_default(schema: &TableSchema, place: usize) -> &'static str {
    match schema.columns.get(place).map(|column| &column.default) {
        Some(ColumnDefault::Generated) => "MariaDB leaves virtual columns out",
        _ => "an inserted row has the column's default there, and which that is is not known",
    }
}

/// Whether a row that was inserted without naming this column has null there. MySQL writes columns with default expressions
/// even then, and its BLOB kinds take no other default.
fn is_left_null(flavour: Flavour, column: &Column) -> bool {
    use BaseType as B;
    let base = DeclaredType::parse(&column.source_type).map(|declared| declared.base);
    flavour == Flavour::MySql
        && column.nullable
        && matches!(base, Some(B::Text | B::Blob | B::Json | B::Geometry))
}

/// A column that MariaDB may have changed in an update without writing it.
fn doubt(
    head: &RowsHead<'_>,
    schema: &TableSchema,
    layout: &RowLayout,
    present: &Present,
    lacking: Option<usize>,
) -> Result<Option<(usize, &'static str)>, Fault> {
    let mut unwritten = schema.columns.iter().enumerate().filter(|(place, _)| !present.is_in_second(*place));
    let may_be_generated =
        |column: &Column| matches!(column.default, ColumnDefault::Generated | ColumnDefault::Untold);
    if let Some((place, _)) = unwritten.find(|(_, column)| may_be_generated(column)) {
        return Ok(Some((place, "MariaDB leaves generated columns out even where they changed")));
    }
    let Some(lacking) = lacking else { return Ok(None) };
    let refused = Ok(Some((
        lacking,
        "MariaDB writes a REPLACE in the same way, which would have changed the column to its default",
    )));
    let places: Vec<usize> =
        schema.key.iter().copied().filter(|&place| !present.is_in_second(place)).collect();
    let unwritten_key = || places.iter().filter_map(|&place| schema.columns.get(place));
    if unwritten_key().any(|column| column.default == ColumnDefault::Written) {
        return Ok(None);
    }
    let no_default =
        !places.is_empty() && unwritten_key().all(|c| c.default == ColumnDefault::None && is_plain(c));
    if !no_default || schema.unique_keys.len() > 1 {
        return refused;
    }
    let inflated;
    let rows = if head.is_compressed {
        inflated = inflate_body(head.rows)?;
        &inflated
    } else {
        head.rows
    };
    if present.any_zero(layout, &places, rows)? { refused } else { Ok(None) }
}

/// Whether the type's value for nothing is all zero bytes, or none at all.
fn is_plain(column: &Column) -> bool {
    use BaseType as B;
    let base = DeclaredType::parse(&column.source_type).map(|declared| declared.base);
    matches!(
        base,
        Some(
            B::TinyInt
                | B::SmallInt
                | B::MediumInt
                | B::Int
                | B::BigInt
                | B::Char
                | B::VarChar
                | B::Binary
                | B::VarBinary
                | B::Date
                | B::Uuid
        )
    )
}
