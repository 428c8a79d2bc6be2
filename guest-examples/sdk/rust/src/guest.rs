//! The interface's four functions, carried out with a [`Transform`].

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::bindings::sluicebox::transform::types as wit;
use crate::column::Inputs;
use crate::plan::{Layout, Plan, Schema};
use crate::row::{Kind, Outputs, Row};
use crate::{Error, Transform, Verdict, logging};

/// The plugin of an instance, from `init` on.
pub struct State<T: Transform>(RefCell<Option<Running<T>>>);

struct Running<T: Transform> {
    transform: T,
    tables: BTreeMap<u32, Planned<T>>,
}

struct Planned<T: Transform> {
    table: T::Table,
    layout: Layout,
}

impl<T: Transform> State<T> {
    /// Before `init`.
    pub const fn new() -> Self {
        Self(RefCell::new(None))
    }
}

impl<T: Transform> Default for State<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Has panics logged: where they were and, if that is a text of the program, what they say. A text put together at run
/// time could hold a row's values and is left out.
pub fn catch_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|at| format!("{}:{}", at.file(), at.line())).unwrap_or_default();
        match panic.payload().downcast_ref::<&'static str>() {
            Some(text) => logging::error(&format!("panicked at {place}: {text}")),
            None => logging::error(&format!("panicked at {place}")),
        }
    }));
}

/// `init`.
pub fn init<T: Transform>(
    state: &State<T>,
    config: &str,
    name: &str,
    version: &str,
) -> Result<wit::About, String> {
    let transform = T::new(config).map_err(Error::into_text)?;
    *state.0.borrow_mut() = Some(Running { transform, tables: BTreeMap::new() });
    Ok(wit::About { name: name.to_owned(), version: version.to_owned() })
}

/// `plan-table`.
pub fn plan_table<T: Transform>(state: &State<T>, id: u32, table: wit::Table) -> Result<wit::Plan, String> {
    let mut running = state.0.borrow_mut();
    let running = running.as_mut().ok_or("`init` was not called")?;
    let schema = Schema::from(table);
    let mut plan = Plan::new(schema.clone());
    let table = running.transform.plan(&schema, &mut plan).map_err(Error::into_text)?;
    let (plan, layout) = plan.finish().map_err(Error::into_text)?;
    running.tables.insert(id, Planned { table, layout });
    Ok(plan)
}

/// `process`.
pub fn process<T: Transform>(state: &State<T>, id: u32, batch: &wit::Batch) -> Result<wit::Outcome, String> {
    let running = state.0.borrow();
    let running = running.as_ref().ok_or("`init` was not called")?;
    let planned = running.tables.get(&id).ok_or("the table was not planned")?;
    rows(&running.transform, planned, batch).map_err(Error::into_text)
}

/// `forget-table`.
pub fn forget_table<T: Transform>(state: &State<T>, id: u32) {
    if let Some(running) = state.0.borrow_mut().as_mut() {
        running.tables.remove(&id);
    }
}

fn rows<T: Transform>(
    transform: &T,
    planned: &Planned<T>,
    batch: &wit::Batch,
) -> crate::Result<wit::Outcome> {
    let count = batch.kinds.len();
    let inputs = Inputs::new(&planned.layout.reads, &batch.columns)?;
    let mut outputs = Outputs::new(&planned.layout, count);
    let mut keep = vec![0_u8; count.div_ceil(8)];
    let mut kept = 0;
    let mut errors = Vec::new();
    if planned.layout.expands {
        return expand(transform, planned, batch, &inputs, outputs);
    }
    for (row, &kind) in batch.kinds.iter().enumerate() {
        let kind = Kind::of(kind).ok_or("a row is of an unknown kind")?;
        let mut view = Row { inputs: &inputs, outputs: &mut outputs, kind, row, at: row, made_of: None };
        let stays = match transform.row(&planned.table, &mut view) {
            Ok(verdict) => verdict == Verdict::Keep,
            Err(error) => {
                // The interface counts rows in 32 bits, so a place always fits.
                errors.push(wit::RowError { row: row as u32, message: error.into_text() });
                false
            }
        };
        outputs.complete(row, row, stays, &inputs);
        keep[row / 8] |= u8::from(stays) << (row % 8);
        kept += usize::from(stays);
    }
    let keep = (kept < count).then_some(keep);
    Ok(wit::Outcome { origins: None, keep, columns: outputs.finish(&planned.layout), errors })
}

/// The rows of a plan that makes several of one.
fn expand<T: Transform>(
    transform: &T,
    planned: &Planned<T>,
    batch: &wit::Batch,
    inputs: &Inputs<'_>,
    mut outputs: Outputs,
) -> crate::Result<wit::Outcome> {
    let mut made_of = Vec::with_capacity(batch.kinds.len());
    let mut errors = Vec::new();
    for (row, &kind) in batch.kinds.iter().enumerate() {
        let kind = Kind::of(kind).ok_or("a row is of an unknown kind")?;
        let first = made_of.len();
        let at = first;
        let mut view = Row { inputs, outputs: &mut outputs, kind, row, at, made_of: Some(&mut made_of) };
        match transform.row(&planned.table, &mut view) {
            Ok(Verdict::Keep) => view.emit()?,
            Ok(Verdict::Drop) => {}
            Err(error) => {
                // The interface counts rows in 32 bits, so a place always fits.
                errors.push(wit::RowError { row: row as u32, message: error.into_text() });
                made_of.truncate(first);
            }
        }
        // What was set and made no row is not the next one's.
        outputs.truncate(made_of.len());
    }
    let columns = outputs.finish(&planned.layout);
    Ok(wit::Outcome { origins: Some(made_of), keep: None, columns, errors })
}
