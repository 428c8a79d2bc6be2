//! Several rows made of one: the guest says of each of its rows which one it is made of.
//!
//! Columns that it left alone are repeated. What was made of a row that failed is taken out again, whole. What rows are, and why an update is
//! deletes and inserts here, is in `model/src/verdict.rs`.

use arrow::array::{ArrayRef, BooleanArray, UInt32Array};
use arrow::compute::{filter, take};
use sluicebox_model::{ChangeBatch, kinds_made, origins_made};

use crate::batch::join;
use crate::collected::Collected;
use crate::instance::{FailedRow, Processed};
use crate::plan::{Source, TablePlan};

/// The batch of what was made.
pub(crate) fn finish(
    plan: &TablePlan,
    batch: &ChangeBatch,
    collected: Collected,
) -> Result<Processed, String> {
    let Collected { mut made_of, computed, errors, .. } = collected;
    let mut computed = computed.iter().map(|parts| join(parts)).collect::<Result<Vec<_>, _>>()?;
    if !errors.is_empty() {
        let sound: BooleanArray = made_of.iter().map(|row| Some(!errors.contains_key(row))).collect();
        for column in &mut computed {
            *column = filter(column, &sound).map_err(|error| error.to_string())?;
        }
        made_of.retain(|row| !errors.contains_key(row));
    }
    let mut computed = computed.into_iter();
    // A batch has no more rows than 32 bits count.
    let places =
        UInt32Array::from_iter_values(made_of.iter().map(|row| u32::try_from(*row).unwrap_or(u32::MAX)));
    let column = |source: &Source| -> Result<ArrayRef, String> {
        let missing = || "a column of the plan is missing".to_owned();
        match source {
            Source::Input(place) => {
                let column = batch.columns.get(*place).ok_or_else(missing)?;
                take(column, &places, None).map_err(|error| error.to_string())
            }
            Source::Computed => computed.next().ok_or_else(missing),
        }
    };
    let columns = plan.sources.iter().map(column).collect::<Result<_, _>>()?;
    let made = ChangeBatch {
        schema: plan.output.clone(),
        kinds: kinds_made(&batch.kinds, &made_of),
        columns,
        origins: origins_made(&batch.origins, &made_of),
    };
    let mut made_one = made_of;
    made_one.dedup();
    let gone = batch.rows() - made_one.len() - errors.len();
    let failed = errors.into_iter().map(|(row, message)| FailedRow { row, message }).collect();
    Ok(Processed { batch: made, failed, dropped: u64::try_from(gone).unwrap_or(u64::MAX) })
}
