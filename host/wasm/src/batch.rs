//! What the host itself does with a batch: cutting, projecting, filtering, joining.
//!
//! All of it works on whole columns. A column that goes on untouched is the same array as before, unless rows were
//! taken out.

use std::ops::Range;

use arrow::array::{Array, ArrayRef};
use arrow::compute::concat;
use sluicebox_model::{ChangeBatch, Folded, RowKind, is_pair};

use crate::input::bytes_read;
use crate::output::empty;
use crate::plan::{Source, TablePlan};

/// Rows of one call: past a few hundred a call's own cost is gone, past this the columns no longer fit the processor's
/// second-level cache.
const CALL_ROWS: usize = 1024;
/// Bytes of one call, unless a single row has more: a small part of any sensible memory limit.
const CALL_BYTES: usize = 1 << 20;

/// Why a batch cannot be run under a plan, if so.
pub(crate) fn misfit(plan: &TablePlan, batch: &ChangeBatch) -> Option<&'static str> {
    let rows = batch.rows();
    if !std::sync::Arc::ptr_eq(&plan.input, &batch.schema) && plan.input != batch.schema {
        Some("it has another schema")
    } else if batch.columns.len() != batch.schema.columns.len() {
        Some("it has not one array for each column")
    } else if batch.columns.iter().any(|column| column.len() != rows) {
        Some("an array is not as long as the batch")
    } else if u32::try_from(rows).is_err() {
        Some("it has more rows than 32 bits count")
    } else if rows > 0 && batch.origins.first().is_none_or(|origin| origin.first_row != 0) {
        Some("no origin begins at its first row")
    } else if !pairs_are_whole(&batch.kinds) {
        Some("a row before an update is not followed by the row after it")
    } else if plan.must_delete_by_before() && has_lone_after(&batch.kinds) {
        Some("an update comes without its row before, though it tells the keys of rows that go")
    } else {
        None
    }
}

fn pairs_are_whole(kinds: &[RowKind]) -> bool {
    let broken = |pair: &[RowKind]| pair[0] == RowKind::Before && pair[1] != RowKind::After;
    !kinds.windows(2).any(broken) && kinds.last() != Some(&RowKind::Before)
}

fn has_lone_after(kinds: &[RowKind]) -> bool {
    let lone = |pair: &[RowKind]| pair[0] != RowKind::Before && pair[1] == RowKind::After;
    kinds.first() == Some(&RowKind::After) || kinds.windows(2).any(lone)
}

/// The rows of the next call: as many as one may have, with an update's two rows in one call.
pub(crate) fn next_call(plan: &TablePlan, batch: &ChangeBatch, start: usize) -> Range<usize> {
    let whole = |end: usize| match end.checked_sub(1) {
        Some(last) if is_pair(&batch.kinds, last) => {
            if last > start {
                last
            } else {
                end + 1
            }
        }
        _ => end,
    };
    let mut rows = start..whole((start + CALL_ROWS).min(batch.rows()));
    while rows.len() > 2 && bytes_read(&plan.reads, batch, &rows) > CALL_BYTES {
        rows.end = whole(start + rows.len() / 2);
    }
    rows
}

/// Columns, kinds and origins of what goes on. `computed` has the computed columns in the output's order, each for the whole
/// batch.
pub(crate) fn assemble(
    plan: &TablePlan,
    batch: &ChangeBatch,
    computed: Vec<ArrayRef>,
    folded: Folded,
) -> Result<ChangeBatch, String> {
    let mut computed = computed.into_iter();
    let mut columns = Vec::with_capacity(plan.sources.len());
    for source in &plan.sources {
        let column = match source {
            Source::Input(place) => batch.columns.get(*place).cloned(),
            Source::Computed => computed.next(),
        };
        columns.push(column.ok_or("a column of the plan is missing")?);
    }
    folded.apply(plan.output.clone(), columns, &batch.origins).map_err(|error| error.to_string())
}

/// A batch without rows.
pub(crate) fn nothing(plan: &TablePlan) -> ChangeBatch {
    ChangeBatch {
        schema: plan.output.clone(),
        kinds: Vec::new(),
        columns: plan.output.columns.iter().map(|column| empty(column.column_type)).collect(),
        origins: Vec::new(),
    }
}

/// Arrays one behind the other.
pub(crate) fn join(parts: &[ArrayRef]) -> Result<ArrayRef, String> {
    match parts {
        [whole] => Ok(whole.clone()),
        parts => {
            let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
            concat(&parts).map_err(|error| error.to_string())
        }
    }
}

/// Batches of the plan's output, one behind the other.
pub(crate) fn join_batches(plan: &TablePlan, parts: &[ChangeBatch]) -> Result<ChangeBatch, String> {
    let joined = ChangeBatch::concat(parts).map_err(|error| error.to_string())?;
    Ok(joined.unwrap_or_else(|| nothing(plan)))
}
