//! One store with one instance in it, and the four calls into it.
//!
//! Each call has a time limit, a limit on what it gives back, and the memory limit of its store. After a fault that poisons,
//! the whole store is thrown away: the instance's memory can be in any state.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sluicebox_model::{ChangeBatch, TableSchema};
use wasmtime::component::{ComponentNamedList, Lift, Lower, TypedFunc};
use wasmtime::{Store, Trap, WasmBacktrace};

use crate::abi;
use crate::engine::Loaded;
use crate::functions::{Functions, Versioned};
use crate::guest::{Guest, shorten};
use crate::host::Forbidden;
use crate::input::table_columns;
use crate::limits::Limits;
use crate::state::State;
use crate::{About, Fault, WasmError};

/// What a start or a plan may give back: 4,096 columns with names of 64 characters are below half of it.
const PLAN_OUTPUT_BYTES: usize = 2 << 20;
/// Names of functions that a trap's report shows.
const TRAP_FRAMES: usize = 4;

/// A running instance.
pub(crate) struct Live {
    store: Store<Guest>,
    functions: Functions,
    /// Tables that it knows.
    pub(crate) planned: HashMap<u32, Arc<TableSchema>>,
    /// Its memory when it last planned a table, in bytes.
    memory_at_plan: usize,
}

impl Live {
    /// Makes an instance and calls `init`.
    pub(crate) fn start(plugin: &Loaded) -> Result<(Self, About), WasmError> {
        let start_error = |reason: String| WasmError::Start { plugin: plugin.name.clone(), reason };
        let load_error = |reason: String| WasmError::Load { path: plugin.path.clone(), reason };
        let mut store = Store::new(plugin.engine(), Guest::new(&plugin.name, &plugin.limits, &plugin.grants));
        if plugin.grants.wasi.any() {
            store.data_mut().wasi = Some(plugin.grants.wasi.open().map_err(start_error)?);
        }
        store.limiter(|guest| guest);
        store.epoch_deadline_callback(|mut store| Ok(store.data_mut().deadline()));
        store.set_hostcall_fuel(PLAN_OUTPUT_BYTES);
        let _running = plugin.ticker().running();
        let ticks = store.data_mut().begin(plugin.limits.start_time());
        store.set_epoch_deadline(ticks);
        let instance = plugin.component.instantiate(&mut store);
        let instance = instance.map_err(|error| start_error(fault(store.data(), &error).to_string()))?;

        let functions = Functions::find(&mut store, &instance, plugin.version).map_err(load_error)?;
        let mut live = Self { store, functions, planned: HashMap::new(), memory_at_plan: 0 };
        let (about,) = live
            .call(plugin, functions.init, (&plugin.config,), plugin.limits.start_time())
            .map_err(|fault| start_error(fault.to_string()))?;
        let about = about.map_err(|words| start_error(shorten(&words)))?;
        live.memory_at_plan = live.memory();
        Ok((live, About { name: shorten(&about.name), version: shorten(&about.version) }))
    }

    /// Calls `plan-table`.
    pub(crate) fn plan_table(
        &mut self,
        plugin: &Loaded,
        id: u32,
        schema: &Arc<TableSchema>,
    ) -> Result<abi::Plan, Fault> {
        let columns = table_columns(schema);
        let table = abi::Table {
            database: &schema.id.database,
            name: &schema.id.table,
            version: schema.version,
            columns: &columns,
            ddl: schema.ddl.as_deref(),
        };
        self.enter(schema, PLAN_OUTPUT_BYTES);
        let time = plugin.limits.start_time();
        let said = match self.functions.versioned {
            Versioned::V0_1 { plan_table, .. } => {
                self.call(plugin, plan_table, (id, table), time)?.0.map(Into::into)
            }
            Versioned::V0_2 { plan_table, .. } => self.call(plugin, plan_table, (id, table), time)?.0,
        };
        let plan = said.map_err(|words| Fault::Said(shorten(&words)))?;
        self.planned.insert(id, Arc::clone(schema));
        self.memory_at_plan = self.memory();
        Ok(plan)
    }

    /// Says where in the stream the rows of the next `process` begin.
    pub(crate) fn enter_at(&mut self, batch: &ChangeBatch, first: usize) {
        let behind = batch.origins.partition_point(|origin| origin.first_row as usize <= first);
        let origin = behind.checked_sub(1).map(|at| &batch.origins[at]);
        self.store.data_mut().at = origin.and_then(|origin| origin.transaction.clone());
    }

    /// Calls `process`; `bytes_in` is what the batch weighs. `state` is what the guest remembers, where its plan asks for it.
    pub(crate) fn process(
        &mut self,
        plugin: &Loaded,
        id: u32,
        schema: &TableSchema,
        batch: abi::BatchIn<'_>,
        bytes_in: usize,
        state: Option<&mut State>,
    ) -> Result<abi::Outcome, Fault> {
        let time = plugin.limits.batch_time(batch.rows);
        let most = plugin.limits.output_bytes(bytes_in);
        let Some(state) = state else {
            self.enter(schema, most);
            return self.call_process(plugin, id, batch, time);
        };
        // What it puts into its state is taken under the same number as what it gives back: that may be the whole state at once.
        self.enter(schema, most.saturating_add(plugin.limits.state.as_usize()));
        self.store.data_mut().state = Some(std::mem::take(state));
        let outcome = self.call_process(plugin, id, batch, time);
        *state = self.store.data_mut().state.take().unwrap_or_default();
        let outcome = outcome?;
        if outcome.bytes() > most { Err(Fault::Output(too_much(false))) } else { Ok(outcome) }
    }

    fn call_process(
        &mut self,
        plugin: &Loaded,
        id: u32,
        batch: abi::BatchIn<'_>,
        time: Duration,
    ) -> Result<abi::Outcome, Fault> {
        let said = match self.functions.versioned {
            Versioned::V0_1 { process, .. } => {
                self.call(plugin, process, (id, batch), time)?.0.map(Into::into)
            }
            Versioned::V0_2 { process, .. } => self.call(plugin, process, (id, batch), time)?.0,
        };
        said.map_err(|words| Fault::Said(shorten(&words)))
    }

    /// Calls `forget-table`.
    pub(crate) fn forget_table(&mut self, plugin: &Loaded, id: u32) -> Result<(), Fault> {
        let Some(schema) = self.planned.remove(&id) else { return Ok(()) };
        self.enter(&schema, PLAN_OUTPUT_BYTES);
        self.call(plugin, self.functions.forget_table, (id,), plugin.limits.start_time())
    }

    /// Linear memory now, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.store.data().memory
    }

    /// Log lines that this instance lost.
    pub(crate) fn log_lines_dropped(&self) -> u64 {
        self.store.data().log_lines_dropped()
    }

    /// Whether its memory has grown by more than half of what it may have since it last planned: some languages' bindings
    /// never free what they are given, and a new instance is cheaper than the failure that would come.
    pub(crate) fn has_grown(&self, limits: &Limits) -> bool {
        self.memory().saturating_sub(self.memory_at_plan) > limits.memory.as_usize() / 2
    }

    /// Prepares a call about a table.
    fn enter(&mut self, schema: &TableSchema, output_bytes: usize) {
        self.store.set_hostcall_fuel(output_bytes);
        let table = &mut self.store.data_mut().table;
        table.clear();
        table.push_str(&schema.id.database);
        table.push('.');
        table.push_str(&schema.id.table);
    }

    fn call<P, R>(
        &mut self,
        plugin: &Loaded,
        function: TypedFunc<P, R>,
        parameters: P,
        time: Duration,
    ) -> Result<R, Fault>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let _running = plugin.ticker().running();
        let ticks = self.store.data_mut().begin(time);
        self.store.set_epoch_deadline(ticks);
        let answer = function.call(&mut self.store, parameters);
        let guest = self.store.data_mut();
        guest.log_output();
        guest.table.clear();
        guest.at = None;
        answer.map_err(|error| fault(self.store.data(), &error))
    }
}

/// What a failed call means. An error that is no trap comes from reading what the guest gave back.
fn fault(guest: &Guest, error: &wasmtime::Error) -> Fault {
    if let Some(Forbidden(reason)) = error.downcast_ref() {
        return Fault::Forbidden(reason.clone());
    }
    match (error.downcast_ref::<Trap>(), guest.refused_memory) {
        (Some(Trap::Interrupt), _) => Fault::Time(guest.time_limit()),
        (_, Some(wanted)) => Fault::Memory { wanted, limit: guest.memory_limit() },
        (Some(trap), None) => Fault::Trap(trap_report(*trap, error)),
        (None, None) => match error.root_cause().to_string() {
            // wasmtime has no type for it.
            reason if reason.starts_with(TOO_MUCH) => Fault::Output(too_much(guest.state.is_some())),
            reason => match guest.refused_parts(&reason) {
                Some(refused) => Fault::Forbidden(refused),
                None => Fault::Output(shorten(&reason)),
            },
        },
    }
}

/// How wasmtime begins when more comes at once than it may.
const TOO_MUCH: &str = "too much data is being copied";

/// What is said then. With state it can have been a `put`.
fn too_much(stateful: bool) -> String {
    let state =
        if stateful { "; or it puts more into its state at once than `limits.state` and that" } else { "" };
    format!("it is more than `limits.output` in the pipeline file and four times what came in{state}")
}

/// The kind of trap, and the functions that it came from, the innermost first.
fn trap_report(trap: Trap, error: &wasmtime::Error) -> String {
    let names = error.downcast_ref::<WasmBacktrace>().map(function_names).unwrap_or_default();
    if names.is_empty() { trap.to_string() } else { format!("{trap} in {}", names.join(" < ")) }
}

/// Functions of the plugin and of what it is built from; those that only carry a panic out are left out.
fn function_names(backtrace: &WasmBacktrace) -> Vec<String> {
    let text = backtrace.to_string();
    let names = text.lines().filter_map(|line| line.split_once('!')).map(|(_, name)| name.trim().to_owned());
    names.filter(|name| !name.contains("panic") && !name.starts_with("__rust")).take(TRAP_FRAMES).collect()
}
