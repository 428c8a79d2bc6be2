//! Workers: threads that decode row events into columns and run the guests on them.
//!
//! Any worker takes any item, so one hot table or one slow guest uses all cores; order is kept by the slots in which appliers
//! wait for the results. Each worker has instances of its own of every plugin that it meets.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam::channel::{Receiver, Sender, bounded};
use sluicebox_model::{ChangeBatch, Origin};
use sluicebox_mysql::{BatchBuilder, RowsEvent};
use sluicebox_wasm::{FailedRow, Instance, Processed, WasmError};

use super::messages::{Rows, Work, WorkItem};
use super::tables::{PluginEntry, TableRun};
use crate::config::OnError;
use crate::error::EngineError;
use crate::sink::render::row_as_json;
use crate::state::{DeadLetter, Store};
use crate::telemetry::{Telemetry, now_ms};

/// Items waiting for a worker, for each worker: enough that none is idle while the coordinator gathers the next; their rows are in the
/// memory budget already.
const QUEUE_A_WORKER: usize = 4;

/// The running workers.
pub(super) struct Workers {
    threads: Vec<JoinHandle<()>>,
}

/// Starts `count` workers.
pub(super) fn spawn(
    count: usize,
    plugins: &Arc<Vec<PluginEntry>>,
    store: &Arc<Store>,
    telemetry: &Arc<Telemetry>,
) -> Result<(Workers, Sender<WorkItem>), EngineError> {
    let (items, queue) = bounded::<WorkItem>(count * QUEUE_A_WORKER);
    let mut threads = Vec::with_capacity(count);
    for number in 0..count {
        let mut worker = Worker {
            plugins: Arc::clone(plugins),
            instances: HashMap::new(),
            store: Arc::clone(store),
            telemetry: Arc::clone(telemetry),
        };
        let queue: Receiver<WorkItem> = queue.clone();
        let thread = std::thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(move || {
                while let Ok(item) = queue.recv() {
                    worker.serve(item);
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
    plugins: Arc<Vec<PluginEntry>>,
    instances: HashMap<usize, Instance>,
    store: Arc<Store>,
    telemetry: Arc<Telemetry>,
}

impl Worker {
    fn serve(&mut self, item: WorkItem) {
        let WorkItem { run, work, outputs, mut share } = item;
        let batch = self.decode(&run, work).and_then(|batch| self.transform(&run, batch));
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

    fn transform(&mut self, run: &TableRun, mut batch: ChangeBatch) -> Result<ChangeBatch, EngineError> {
        for stage in &run.stages {
            if batch.rows() == 0 {
                break;
            }
            let on_error = self.plugins[stage.plugin].on_error;
            let instance = self.instance(stage.plugin)?;
            let processed = match instance.process(&stage.plan, &batch) {
                Err(WasmError::Guest { .. }) if on_error != OnError::Fail => {
                    instance.process_isolating(&stage.plan, &batch)?
                }
                other => other?,
            };
            let Processed { batch: output, failed, dropped } = processed;
            self.telemetry.filtered(dropped);
            if !failed.is_empty() {
                self.failed(stage.plugin, on_error, &batch, &failed)?;
            }
            batch = output;
        }
        Ok(batch)
    }

    fn instance(&mut self, plugin: usize) -> Result<&mut Instance, EngineError> {
        match self.instances.entry(plugin) {
            std::collections::hash_map::Entry::Occupied(there) => Ok(there.into_mut()),
            std::collections::hash_map::Entry::Vacant(slot) => {
                Ok(slot.insert(self.plugins[plugin].plugin.instantiate()?))
            }
        }
    }

    /// What happens to rows that a guest condemned.
    fn failed(
        &self,
        plugin: usize,
        on_error: OnError,
        batch: &ChangeBatch,
        failed: &[FailedRow],
    ) -> Result<(), EngineError> {
        let entry = &self.plugins[plugin];
        let table = batch.schema.id.to_string();
        self.telemetry.condemned(failed.len() as u64);
        match on_error {
            OnError::Fail => Err(EngineError::Condemned {
                plugin: entry.plugin.name().to_owned(),
                table,
                rows: failed.len(),
                reason: failed.first().map(|f| f.message.clone()).unwrap_or_default(),
            }),
            OnError::Skip => {
                let reason = failed.first().map(|f| f.message.as_str()).unwrap_or_default();
                tracing::warn!(
                    table,
                    plugin = entry.plugin.name(),
                    rows = failed.len(),
                    reason,
                    "rows skipped: the plugin failed on them"
                );
                Ok(())
            }
            OnError::DeadLetter => {
                let letter = |row: &FailedRow| DeadLetter {
                    at_ms: now_ms(),
                    table: table.clone(),
                    place: place_of(batch.origin_of(row.row)),
                    plugin: entry.plugin.hash().to_owned(),
                    reason: row.message.clone(),
                    row_json: row_as_json(batch, row.row),
                };
                self.store.add_dead_letters(failed.iter().map(letter).collect())?;
                tracing::warn!(
                    table,
                    plugin = entry.plugin.name(),
                    rows = failed.len(),
                    "rows kept as dead letters"
                );
                Ok(())
            }
        }
    }
}

fn place_of(origin: Option<&Origin>) -> String {
    origin.and_then(|o| o.transaction.as_ref()).map_or_else(|| "snapshot".to_owned(), |t| t.to_string())
}

fn decode_events(
    run: &TableRun,
    events: &[RowsEvent],
    telemetry: &Telemetry,
) -> Result<ChangeBatch, EngineError> {
    let mut builder = BatchBuilder::new(Arc::clone(&run.schema), run.images);
    for event in events {
        builder.push(event)?;
    }
    telemetry.decoded(builder.rows() as u64, builder.replaced());
    Ok(builder.finish()?)
}
