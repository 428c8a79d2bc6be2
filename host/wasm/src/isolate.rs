//! Finding the rows that make a plugin fail.
//!
//! A batch that fails is run again row by row, an update's two together. With state, so is one of which the plugin condemns rows by
//! itself: what it did for them must go from the state, and what it did for the rows behind them can have followed from it.

use sluicebox_model::{ChangeBatch, TableId, is_pair};

use crate::batch::join_batches;
use crate::instance::{FailedRow, Instance, Processed};
use crate::plan::TablePlan;
use crate::state::State;
use crate::{Fault, WasmError};

/// Row images of one batch that may make the plugin fail before it counts as broken: each costs a new instance, and up to
/// twice the time limit.
const MAX_CULPRITS: usize = 16;
/// Batches in a row of which no row went on before the plugin counts as broken: one bad row alone in its batch is the row's
/// fault, the third batch is not.
const MAX_BARREN: u32 = 3;

impl Instance {
    /// As [`Instance::process`], but when the plugin fails on the batch, its rows are tried one by one (an update's two together),
    /// and only those that make it fail are reported in [`Processed::failed`]. A row that fails has not changed the state.
    ///
    /// # Errors
    /// As [`Instance::process`], and [`WasmError::Broken`] instead of [`WasmError::Guest`], when too many rows of the batch
    /// make the plugin fail, or all rows of several batches in a row.
    pub fn process_isolating(
        &mut self,
        plan: &TablePlan,
        batch: &ChangeBatch,
        mut state: Option<&mut State>,
    ) -> Result<Processed, WasmError> {
        begin(&mut state);
        let processed = match self.attempt(plan, batch, state.as_deref_mut()) {
            Err(WasmError::Guest { fault, .. }) => {
                end(&mut state, false);
                let processed = self.row_by_row(plan, batch, state, fault.clone())?;
                let barren = processed.failed.len() == batch.rows();
                self.barren = if barren { self.barren + 1 } else { 0 };
                if self.barren >= MAX_BARREN {
                    return Err(self.broken(&plan.input.id, batch.rows(), fault));
                }
                processed
            }
            Ok(Processed { failed, .. }) if state.is_some() && !failed.is_empty() => {
                end(&mut state, false);
                self.barren = 0;
                let said = failed.into_iter().next().map(|row| row.message).unwrap_or_default();
                self.row_by_row(plan, batch, state, Fault::Said(said))?
            }
            other => {
                end(&mut state, other.is_ok());
                self.barren = 0;
                other?
            }
        };
        self.count(batch.rows(), &processed);
        Ok(processed)
    }

    /// Finds the rows that make the plugin fail, and runs the others.
    fn row_by_row(
        &mut self,
        plan: &TablePlan,
        batch: &ChangeBatch,
        mut state: Option<&mut State>,
        first: Fault,
    ) -> Result<Processed, WasmError> {
        begin(&mut state);
        let processed = self.one_after_another(plan, batch, &mut state, first);
        end(&mut state, processed.is_ok());
        processed
    }

    fn one_after_another(
        &mut self,
        plan: &TablePlan,
        batch: &ChangeBatch,
        state: &mut Option<&mut State>,
        first: Fault,
    ) -> Result<Processed, WasmError> {
        let (mut parts, mut failed, mut dropped) = (Vec::new(), Vec::new(), 0);
        let (mut culprits, mut last) = (0, first);
        let mut row = 0;
        while row < batch.rows() {
            let rows = row..row + if is_pair(&batch.kinds, row) { 2 } else { 1 };
            row = rows.end;
            begin(state);
            let attempt = self.attempt(plan, &batch.slice(rows.clone()), state.as_deref_mut());
            end(state, attempt.as_ref().is_ok_and(|part| part.failed.is_empty()));
            match attempt {
                Ok(part) => {
                    dropped += part.dropped;
                    failed
                        .extend(part.failed.into_iter().map(|f| FailedRow { row: rows.start + f.row, ..f }));
                    parts.push(part.batch);
                }
                Err(WasmError::Guest { fault, .. }) => {
                    culprits += rows.len();
                    let message = fault.words();
                    failed.extend(rows.map(|row| FailedRow { row, message: message.clone() }));
                    last = fault;
                }
                Err(other) => return Err(other),
            }
            if culprits > MAX_CULPRITS {
                return Err(self.broken(&plan.input.id, culprits, last));
            }
        }
        let defect = |reason: String| WasmError::Batch { table: batch.schema.id.clone(), reason };
        Ok(Processed { batch: join_batches(plan, &parts).map_err(defect)?, failed, dropped })
    }

    fn broken(&self, table: &TableId, rows: usize, fault: Fault) -> WasmError {
        WasmError::Broken { plugin: self.plugin().name().to_owned(), table: table.clone(), rows, fault }
    }
}

fn begin(state: &mut Option<&mut State>) {
    if let Some(state) = state {
        state.begin();
    }
}

fn end(state: &mut Option<&mut State>, keep: bool) {
    if let Some(state) = state {
        state.end(keep);
    }
}
