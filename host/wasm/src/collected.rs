//! What the calls for one batch gave back, put together and checked.

use std::collections::BTreeMap;

use arrow::array::{ArrayRef, BooleanBufferBuilder};
use sluicebox_model::{ChangeBatch, fold, is_pair};

use crate::batch::{assemble, join};
use crate::expand;
use crate::guest::shorten;
use crate::instance::{FailedRow, Processed};
use crate::plan::TablePlan;
use crate::{abi, output};

/// What the calls for one batch gave back, checked.
pub(crate) struct Collected {
    /// None: all rows stay.
    keep: Option<BooleanBufferBuilder>,
    /// Of which row of the batch each row is made, where the plan says `expands`.
    pub(crate) made_of: Vec<usize>,
    /// For each computed column one array a call.
    pub(crate) computed: Vec<Vec<ArrayRef>>,
    /// Messages by row.
    pub(crate) errors: BTreeMap<usize, String>,
}

impl Collected {
    pub(crate) fn new(plan: &TablePlan) -> Self {
        Self {
            keep: None,
            made_of: Vec::new(),
            computed: vec![Vec::new(); plan.computed().count()],
            errors: BTreeMap::new(),
        }
    }

    /// Adds what one call gave back, or says what is wrong with it.
    pub(crate) fn take(
        &mut self,
        plan: &TablePlan,
        batch: &ChangeBatch,
        rows: std::ops::Range<usize>,
        outcome: abi::Outcome,
    ) -> Result<(), String> {
        let count = rows.len();
        let made = match (plan.expands, outcome.origins) {
            (false, None) => count,
            (false, Some(_)) => {
                return Err(
                    "it says of which rows its rows are made, and its plan does not say `expands`".into()
                );
            }
            (true, None) => {
                return Err(
                    "it does not say of which rows its rows are made, and its plan says `expands`".into()
                );
            }
            (true, Some(origins)) => self.take_origins(&rows, &origins, outcome.keep.is_some())?,
        };
        match (outcome.keep, &mut self.keep) {
            (None, None) => {}
            (None, Some(keep)) => keep.append_n(count, true),
            (Some(bits), keep) => {
                let bits = output::bitmap(bits, count, "verdicts")?;
                let keep = keep.get_or_insert_with(|| {
                    let mut all = BooleanBufferBuilder::new(batch.rows());
                    all.append_n(rows.start, true);
                    all
                });
                keep.append_buffer(&bits);
            }
        }
        let (given, wanted) = (outcome.columns.len(), self.computed.len());
        if given != wanted {
            return Err(format!("it has {given} columns, the plan computes {wanted}"));
        }
        for ((column, vector), parts) in plan.computed().zip(outcome.columns).zip(&mut self.computed) {
            parts.push(output::array(column, vector, made)?);
        }
        for error in outcome.errors {
            let row = usize::try_from(error.row).ok().filter(|row| *row < count);
            let row = rows.start + row.ok_or_else(|| format!("it condemns row {} of {count}", error.row))?;
            let message = shorten(&error.message);
            // The other half of an update must not go on alone.
            if is_pair(&batch.kinds, row) {
                self.errors.entry(row + 1).or_insert_with(|| message.clone());
            } else if row > 0 && is_pair(&batch.kinds, row - 1) {
                self.errors.entry(row - 1).or_insert_with(|| message.clone());
            }
            self.errors.insert(row, message);
        }
        Ok(())
    }

    /// Adds of which rows the rows of a call are made, and gives their number.
    fn take_origins(
        &mut self,
        rows: &std::ops::Range<usize>,
        origins: &[u32],
        has_verdicts: bool,
    ) -> Result<usize, String> {
        if has_verdicts {
            return Err("it gives verdicts, and its plan says `expands`: a row that goes is one that it does not make".into());
        }
        for &origin in origins {
            let row = usize::try_from(origin).ok().filter(|row| *row < rows.len());
            let row = row.ok_or_else(|| format!("a row is made of row {origin} of {}", rows.len()))?;
            let row = rows.start + row;
            if self.made_of.last().is_some_and(|last| *last > row) {
                return Err(
                    "the rows that it makes are not in the order of those that they are made of".into()
                );
            }
            self.made_of.push(row);
        }
        if u32::try_from(self.made_of.len()).is_err() {
            return Err("it makes more rows of a batch than 32 bits count".into());
        }
        Ok(origins.len())
    }
}

pub(crate) fn finish(
    plan: &TablePlan,
    batch: &ChangeBatch,
    mut collected: Collected,
) -> Result<Processed, String> {
    if plan.expands {
        return expand::finish(plan, batch, collected);
    }
    let keep = collected.keep.as_mut().map(BooleanBufferBuilder::finish);
    let failed_rows: Vec<usize> = collected.errors.keys().copied().collect();
    let keyed = !plan.output.key.is_empty();
    let folded = fold(&batch.kinds, keep.as_ref(), &failed_rows, keyed);
    let dropped = folded.dropped;
    let computed = collected.computed.iter().map(|parts| join(parts)).collect::<Result<_, _>>()?;
    let batch = assemble(plan, batch, computed, folded)?;
    let failed = collected.errors.into_iter().map(|(row, message)| FailedRow { row, message }).collect();
    Ok(Processed { batch, failed, dropped })
}
