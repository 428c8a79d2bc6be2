//! Makes a table with a key whole again after binlog was lost: keeps which keys it was sent, and deletes the others in the end.

use std::time::Instant;

use super::{Applier, Report, Shared};
use crate::error::EngineError;
use crate::pipeline::sweep::Sweep;
use crate::sink::encode::Encoded;
use crate::sink::encode::swept::SweptKey;
use crate::sink::policy::Fill;

impl Applier {
    /// Begins to look through the keys that the table holds.
    pub(super) fn start_sweep(&mut self) {
        if !self.table.is_keyed() {
            // Somebody has made it anew without its key: nothing can be deleted from it.
            self.shared.report(Report::Swept { target: self.number });
            return;
        }
        let Shared { client, table, .. } = &*self.shared;
        self.sweep = Some(Sweep::start(client, self.table.name(), self.table.layout(), &table.hints));
        tracing::info!(
            target_table = self.table.label(),
            "all rows were read: looking for those that vanished"
        );
    }

    /// Deletes the rows of a page that the table was not sent.
    pub(super) async fn swept(
        &mut self,
        page: Option<Result<Vec<SweptKey>, EngineError>>,
    ) -> Result<(), EngineError> {
        let Some(page) = page else {
            let deleted = self.sweep.take().map_or(0, |sweep| sweep.deleted);
            tracing::info!(target_table = self.table.label(), deleted, "rows that vanished were deleted");
            self.shared.report(Report::Swept { target: self.number });
            return Ok(());
        };
        let page = page?;
        let (Some(seen), Some(recent)) = (&self.shared.seen, &self.encoder.seen) else { return Ok(()) };
        let digests = page.iter().map(|key| key.digest).collect();
        let missing = seen.missing(self.table.label(), digests).await?;
        let gone: Vec<&SweptKey> =
            missing.into_iter().map(|at| &page[at]).filter(|key| !recent.contains(&key.digest)).collect();
        let Some(first) = gone.first() else { return Ok(()) };
        if self.spread.is_none() {
            let part = first.part(&mut self.buffers);
            self.open_session(part).await?;
        }
        let spread = self.spread.ok_or(EngineError::Lost("buckets of a table with a key"))?;
        self.encoder
            .delete_swept(&gone, self.table.layout(), spread, Instant::now(), &mut self.buffers)
            .map_err(|reason| {
                EngineError::Plan(format!("deleting rows of `{}`: {reason}", self.table.label()))
            })?;
        let deleted = gone.len() as u64;
        self.shared.telemetry.encoded(&Encoded { deleted, ..Encoded::default() });
        if let Some(sweep) = &mut self.sweep {
            sweep.deleted += deleted;
        }
        self.flush(Fill::default()).await
    }

    /// Writes down which keys the table was sent, when there are more than `most` of them.
    pub(super) async fn keep_seen(&mut self, most: usize) -> Result<(), EngineError> {
        let (Some(seen), Some(recent)) = (&self.shared.seen, &mut self.encoder.seen) else { return Ok(()) };
        if recent.len() > most {
            seen.add(self.table.label(), recent.drain().collect()).await?;
        }
        Ok(())
    }
}

/// The next page of a sweep; never comes when there is none.
pub(super) async fn next_page(sweep: &mut Option<Sweep>) -> Option<Result<Vec<SweptKey>, EngineError>> {
    match sweep {
        Some(sweep) => sweep.next().await,
        None => std::future::pending().await,
    }
}
