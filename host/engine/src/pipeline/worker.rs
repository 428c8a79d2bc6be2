//! Workers: threads that decode row events into columns and run guests and expressions on them.
//!
//! Any worker takes any item, so one hot table or one slow guest uses all cores; order is kept by the slots in which appliers
//! wait for the results. Each worker has instances of its own of every plugin that it meets. An item carries the versions of the plugins
//! that were in force when it was sent; a worker without items looks which are now, so that it keeps no instance of an older one. Stages
//! from the first plugin with state on are not a worker's: each target runs them in its own order (`ordered`).

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use sluicebox_model::ChangeBatch;
use sluicebox_mysql::{BatchBuilder, RowsEvent};

use super::canary::Canary;
use super::condemned::Condemned;
use super::guests::{Guests, Transformed};
use super::messages::{Behind, Rows, Work, WorkItem};
use super::tables::{PluginList, TableRun};
use crate::error::EngineError;
use crate::state::Store;
use crate::telemetry::Telemetry;

/// Items waiting for a worker, for each worker: enough that none is idle while the coordinator gathers the next; their rows are in the
/// memory budget already.
const QUEUE_A_WORKER: usize = 4;

/// How often a worker without items looks whether its plugins are still those in force.
const IDLE_LOOK: Duration = Duration::from_millis(500);

/// The versions of the plugins that are in force, and the one that runs beside them.
#[derive(Default)]
pub(super) struct InForce(Mutex<(PluginList, Option<Arc<Canary>>)>);

impl InForce {
    pub fn set(&self, plugins: &PluginList, canary: Option<&Arc<Canary>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (Arc::clone(plugins), canary.cloned());
    }

    fn get(&self) -> (PluginList, Option<Arc<Canary>>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The running workers.
pub(super) struct Workers {
    threads: Vec<JoinHandle<()>>,
}

/// Starts `count` workers.
pub(super) fn spawn(
    count: usize,
    in_force: &Arc<InForce>,
    store: &Arc<Store>,
    telemetry: &Arc<Telemetry>,
) -> Result<(Workers, Sender<WorkItem>), EngineError> {
    let (items, queue) = bounded::<WorkItem>(count * QUEUE_A_WORKER);
    let mut threads = Vec::with_capacity(count);
    for number in 0..count {
        let mut worker = Worker {
            guests: Guests::new(in_force.get().0, Arc::clone(telemetry)),
            store: Arc::clone(store),
            telemetry: Arc::clone(telemetry),
        };
        let (queue, in_force): (Receiver<WorkItem>, _) = (queue.clone(), Arc::clone(in_force));
        let thread = std::thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(move || {
                loop {
                    match queue.recv_timeout(IDLE_LOOK) {
                        Ok(item) => worker.serve(item),
                        Err(RecvTimeoutError::Timeout) => {
                            let (plugins, canary) = in_force.get();
                            worker.guests.adopt(&plugins, canary.as_ref());
                        }
                        Err(RecvTimeoutError::Disconnected) => break,
                    }
                }
            })
            .map_err(|source| EngineError::Start { what: "a worker thread", source })?;
        threads.push(thread);
    }
    Ok((Workers { threads }, items))
}

impl Workers {
    /// Waits for the workers to end; the sender of items must be gone.
    pub fn join(self) {
        for thread in self.threads {
            // A panic was printed by the panic hook; the slots it left behind tell their appliers.
            let _ = thread.join();
        }
    }
}

struct Worker {
    guests: Guests,
    store: Arc<Store>,
    telemetry: Arc<Telemetry>,
}

impl Worker {
    fn serve(&mut self, item: WorkItem) {
        let WorkItem { run, plugins, canary, work, outputs, targets, mut share } = item;
        self.guests.adopt(&plugins, canary.as_ref());
        let batch = self.decode(&run, work).and_then(|batch| self.transform(&run, batch, &targets));
        let count = outputs.len() as u64;
        match batch {
            Ok((batch, behind)) => {
                for (n, output) in outputs.into_iter().enumerate() {
                    let part = share.split(1, count - n as u64);
                    // An applier that has gone reports why by itself.
                    let _ =
                        output.send(Ok(Rows { batch: batch.clone(), share: part, behind: behind.clone() }));
                }
            }
            Err(error) => {
                // One applier is enough to stop the pipeline; the others see their slot vanish.
                if let Some(output) = outputs.into_iter().next() {
                    let _ = output.send(Err(error));
                }
            }
        }
    }

    fn decode(&self, run: &TableRun, work: Work) -> Result<ChangeBatch, EngineError> {
        match work {
            Work::Read(batch) => Ok(batch),
            Work::Events(events) => decode_events(run, &events, &self.telemetry),
        }
    }

    fn transform(
        &mut self,
        run: &Arc<TableRun>,
        input: ChangeBatch,
        targets: &[String],
    ) -> Result<(ChangeBatch, Option<Behind>), EngineError> {
        if run.stages.is_empty() {
            return Ok((input, None));
        }
        if input.lacks_columns() {
            return Err(incomplete(&input));
        }
        let before = &run.stages[..run.ordered];
        let Transformed { batch, dropped, failed } = self.guests.run(before, input.clone())?;
        self.telemetry.filtered(dropped);
        let condemned = Condemned { plugins: self.guests.plugins(), telemetry: &self.telemetry, targets };
        let letters = condemned.letters(&input, &failed)?;
        if !letters.is_empty() {
            self.store.add_dead_letters(letters)?;
        }
        let plugins = Arc::clone(self.guests.plugins());
        let behind = run.is_ordered().then(|| Behind { run: Arc::clone(run), plugins, input });
        Ok((batch, behind))
    }
}

/// What guests and expressions are given is whole: they would take an absent column for null.
fn incomplete(batch: &ChangeBatch) -> EngineError {
    let absent = batch.origins.iter().find_map(|origin| origin.absent.as_deref());
    let place = absent.and_then(|absent| absent.after.first().or(absent.before.first()));
    let column = place.and_then(|&place| batch.schema.columns.get(place)).map(|c| c.name.to_string());
    EngineError::Incomplete {
        table: batch.schema.id.clone(),
        column: column.unwrap_or_default(),
        reason: "a plugin or an expression is to see the whole row".to_owned(),
    }
}

fn decode_events(
    run: &TableRun,
    events: &[RowsEvent],
    telemetry: &Telemetry,
) -> Result<ChangeBatch, EngineError> {
    let mut builder = BatchBuilder::new(Arc::clone(&run.schema), run.images);
    builder.push_all(events)?;
    telemetry.decoded(builder.rows() as u64, builder.replaced());
    Ok(builder.finish()?)
}
