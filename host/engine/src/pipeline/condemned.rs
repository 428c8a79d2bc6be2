//! What becomes of events that a stage failed on: told, counted, and made into dead letters where that is asked for.

use std::sync::Arc;
use std::time::Instant;

use sluicebox_model::ChangeBatch;

use super::guests::{Culprit, FailedEvent};
use super::tables::PluginEntry;
use crate::config::OnError;
use crate::error::EngineError;
use crate::events::{event_at, key_of};
use crate::state::{DeadLetter, StateError};
use crate::telemetry::{Telemetry, now_ms};

/// What is known of those who lack the events.
pub(super) struct Condemned<'a> {
    pub plugins: &'a [Arc<PluginEntry>],
    pub telemetry: &'a Telemetry,
    /// Targets that do not get them.
    pub targets: &'a [String],
}

impl Condemned<'_> {
    /// The letters of failed events, to be written before the rest of their batch goes on; an error when there are too many.
    pub fn letters(
        &self,
        input: &ChangeBatch,
        failed: &[FailedEvent],
    ) -> Result<Vec<DeadLetter>, EngineError> {
        let mut letters = Vec::new();
        for failures in failed.chunk_by(|a, b| a.culprit == b.culprit) {
            self.of_one(input, failures, &mut letters)?;
        }
        Ok(letters)
    }

    /// What happens to events that one stage failed on. A guest's are told by their number alone: its words can quote the row. An
    /// expression's reason is this program's own.
    fn of_one(
        &self,
        input: &ChangeBatch,
        failed: &[FailedEvent],
        letters: &mut Vec<DeadLetter>,
    ) -> Result<(), EngineError> {
        let Some(first) = failed.first() else { return Ok(()) };
        let table = input.schema.id.to_string();
        self.telemetry.condemned(failed.iter().map(|event| event.rows.len() as u64).sum());
        let (by, on_error) = match &first.culprit {
            Culprit::Plugin(plugin) => {
                let entry = &self.plugins[*plugin];
                let (plugin, limit) = (entry.plugin.name(), entry.budget.limit());
                if !entry.budget.spend(failed.len() as u64, Instant::now()) {
                    return Err(EngineError::ErrorBudget { plugin: plugin.to_owned(), table, limit });
                }
                (plugin, entry.on_error)
            }
            Culprit::Expressions { entry, on_error } => (&**entry, *on_error),
        };
        let (events, is_plugin) = (failed.len(), matches!(first.culprit, Culprit::Plugin(_)));
        match (on_error, is_plugin) {
            (OnError::DeadLetter, _) => {
                for event in failed {
                    letters.push(self.letter(input, event)?);
                }
                let what = if is_plugin { "the plugin" } else { "an expression" };
                tracing::warn!(table, by, events, "events kept as dead letters: {what} failed on them");
            }
            // With `fail` the stage's own error has ended the batch before.
            (OnError::Skip | OnError::Fail, true) => {
                tracing::warn!(table, plugin = by, events, "rows skipped: the plugin failed on them");
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

    fn letter(&self, input: &ChangeBatch, failed: &FailedEvent) -> Result<DeadLetter, EngineError> {
        let (event, _) = event_at(input, failed.rows.start);
        let origin = input.origin_of(failed.rows.start);
        let transaction = origin.and_then(|o| o.transaction.as_deref().cloned());
        let key = if transaction.is_none() { key_of(&input.schema, event.row()) } else { None };
        let (plugin, plugin_hash) = match &failed.culprit {
            Culprit::Plugin(plugin) => {
                let plugin = &self.plugins[*plugin].plugin;
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
            targets: self.targets.to_vec(),
        })
    }
}
