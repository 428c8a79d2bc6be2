//! Workers: threads that decode row events into columns and run guests and expressions on them.
//!
//! Any worker takes any item, so one hot table or one slow guest uses all cores; order is kept by the slots in which appliers
//! wait for the results. Each worker has instances of its own of every plugin that it meets. An item carries the versions of the plugins
//! that were in force when it was sent; a worker without items looks which are now, so that it keeps no instance of an older one.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use sluicebox_model::ChangeBatch;
use sluicebox_mysql::{BatchBuilder, RowsEvent};

use super::canary::Canary;
use super::guests::{Culprit, FailedEvent, Guests, Transformed};
use super::messages::{Rows, Work, WorkItem};
use super::tables::{PluginList, TableRun};
use crate::config::OnError;
use crate::error::EngineError;
use crate::events::{event_at, key_of};
use crate::state::{DeadLetter, StateError, Store};
use crate::telemetry::{Telemetry, now_ms};

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
            Ok(batch) => {
                for (n, output) in outputs.into_iter().enumerate() {
                    let part = share.split(1, count - n as u64);
                    // An applier that has gone reports why by itself.
                    let _ = output.send(Ok(Rows { batch: batch.clone(), share: part }));
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
        run: &TableRun,
        input: ChangeBatch,
        targets: &[String],
    ) -> Result<ChangeBatch, EngineError> {
        if run.stages.is_empty() {
            return Ok(input);
        }
        if input.lacks_columns() {
            return Err(incomplete(&input));
        }
        let Transformed { batch, dropped, failed } = self.guests.run(&run.stages, input.clone())?;
        self.telemetry.filtered(dropped);
        for failures in failed.chunk_by(|a, b| a.culprit == b.culprit) {
            self.failed(&input, failures, targets)?;
        }
        Ok(batch)
    }

    /// What happens to events that one stage failed on. They are told by their number alone: a guest's words can quote the row.
    fn failed(
        &self,
        input: &ChangeBatch,
        failed: &[FailedEvent],
        targets: &[String],
    ) -> Result<(), EngineError> {
        let Some(first) = failed.first() else { return Ok(()) };
        let table = input.schema.id.to_string();
        self.telemetry.condemned(failed.iter().map(|event| event.rows.len() as u64).sum());
        let (by, on_error) = match &first.culprit {
            Culprit::Plugin(plugin) => {
                let entry = &self.guests.plugins()[*plugin];
                let (plugin, limit) = (entry.plugin.name(), entry.budget.limit());
                if !entry.budget.spend(failed.len() as u64, Instant::now()) {
                    let (plugin, reason) = (plugin.to_owned(), first.reason.clone());
                    return Err(EngineError::ErrorBudget { plugin, table, limit, reason });
                }
                (plugin, entry.on_error)
            }
            Culprit::Expressions { entry, on_error } => (&**entry, *on_error),
        };
        let (events, is_plugin) = (failed.len(), matches!(first.culprit, Culprit::Plugin(_)));
        match (on_error, is_plugin) {
            (OnError::DeadLetter, _) => {
                let letters = failed.iter().map(|event| self.letter(input, event, targets));
                self.store.add_dead_letters(letters.collect::<Result<_, _>>()?)?;
                let what = if is_plugin { "the plugin" } else { "an expression" };
                tracing::warn!(table, by, events, "events kept as dead letters: {what} failed on them");
            }
            // With `fail` the stage's own error has ended the batch before.
            (OnError::Skip | OnError::Fail, true) => {
                let reason = &first.reason;
                tracing::warn!(table, plugin = by, events, reason, "rows skipped: the plugin failed on them");
            }
            (OnError::Skip | OnError::Fail, false) => {
                let reason = &first.reason;
                tracing::warn!(
                    table,
                    entry = by,
                    events,
                    reason,
                    "rows skipped: an expression failed on them"
                );
            }
        }
        Ok(())
    }

    fn letter(
        &self,
        input: &ChangeBatch,
        failed: &FailedEvent,
        targets: &[String],
    ) -> Result<DeadLetter, EngineError> {
        let (event, _) = event_at(input, failed.rows.start);
        let origin = input.origin_of(failed.rows.start);
        let transaction = origin.and_then(|o| o.transaction.as_deref().cloned());
        let key = if transaction.is_none() { key_of(&input.schema, event.row()) } else { None };
        let (plugin, plugin_hash) = match &failed.culprit {
            Culprit::Plugin(plugin) => {
                let plugin = &self.guests.plugins()[*plugin].plugin;
                (plugin.name().to_owned(), plugin.hash().to_owned())
            }
            Culprit::Expressions { entry, .. } => (entry.to_string(), String::new()),
        };
        let json = |value| serde_json::to_string(value).map_err(StateError::from);
        Ok(DeadLetter {
            number: 0,
            at_ms: now_ms(),
            table: input.schema.id.to_string(),
            commit_micros: origin.map(|o| o.commit_micros).unwrap_or_default(),
            transaction,
            snapshot_key: key.as_ref().map(json).transpose()?,
            plugin,
            plugin_hash,
            reason: failed.reason.clone(),
            event_json: serde_json::to_string(&event).map_err(StateError::from)?,
            targets: targets.to_vec(),
        })
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
