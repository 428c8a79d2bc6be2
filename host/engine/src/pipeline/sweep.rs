//! Reads back the keys that a sink table holds, so that those can be deleted whose rows vanished at the source while nobody looked.
//!
//! The keys are those of one query, which sees all that was committed before it. They come in pages, so memory is bounded whatever the
//! table holds; whoever takes the pages decides what is to go (`applier`).

use sluicebox_maxcompute::{Client, DownloadSession, Hints, TableName, statement};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::error::EngineError;
use crate::sink::encode::Layout;
use crate::sink::encode::swept::{KeyReader, SweptKey};

/// Keys of a page: some hundred KiB, worth a request.
const PAGE_ROWS: u64 = 4_096;
/// Pages that wait: one is read while one is looked through.
const PAGES_AHEAD: usize = 1;

/// The keys of a table on their way.
pub(super) struct Sweep {
    pages: mpsc::Receiver<Result<Vec<SweptKey>, EngineError>>,
    task: JoinHandle<()>,
    /// Rows that were deleted so far.
    pub deleted: u64,
}

impl Drop for Sweep {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Sweep {
    /// Begins to read.
    pub fn start(client: &Client, name: &TableName, layout: &Layout, hints: &Hints) -> Self {
        let (sender, pages) = mpsc::channel(PAGES_AHEAD);
        let (client, name, layout) = (client.clone(), name.clone(), layout.clone());
        // A query of a partitioned table that names no partition has to say that it means all of them.
        let hints = hints.clone().with("odps.sql.allow.fullscan", "true");
        let task = tokio::spawn(async move {
            if let Err(error) = read(&client, &name, &layout, &hints, &sender).await {
                // Whoever wanted to know has gone.
                let _ = sender.send(Err(error)).await;
            }
        });
        Self { pages, task, deleted: 0 }
    }

    /// The next page; none at the end.
    pub async fn next(&mut self) -> Option<Result<Vec<SweptKey>, EngineError>> {
        self.pages.recv().await
    }
}

async fn read(
    client: &Client,
    name: &TableName,
    layout: &Layout,
    hints: &Hints,
    pages: &mpsc::Sender<Result<Vec<SweptKey>, EngineError>>,
) -> Result<(), EngineError> {
    let doing = || format!("reading the keys of `{name}`");
    let partitions = layout.partitions.iter().map(|column| &column.name);
    let columns: Vec<_> =
        layout.key.iter().chain(partitions).map(|column| statement::quoted(column)).collect();
    let table = statement::qualified(client.project_name(), name);
    let query = format!("SELECT {} FROM {table};", columns.join(", "));
    let instance = client.run(&query, hints, None).await.map_err(EngineError::sink(doing()))?;
    let session = DownloadSession::of_instance(client, instance.id(), false)
        .await
        .map_err(EngineError::sink(doing()))?;
    let reader = KeyReader::new(layout, session.columns());
    let mut start = 0;
    while start < session.record_count() {
        let rows = session.records(start, PAGE_ROWS).await.map_err(EngineError::sink(doing()))?;
        start += rows.len() as u64;
        let keys: Result<Vec<_>, String> = rows.into_iter().map(|row| reader.read(row)).collect();
        let keys = keys.map_err(|reason| EngineError::Plan(format!("{}: {reason}", doing())))?;
        if pages.send(Ok(keys)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}
