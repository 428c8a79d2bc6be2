//! Tables whose columns are not known from a place on: they came to differ from their rows, which no statement in the binlog explains, or
//! another table took their name, whose statements were not seen.
//!
//! The attempt that meets such a place ends. Before the next one begins, the table's present columns are read from the server together with a
//! place, and whether they may stand in is found out ([`sluicebox_mysql::check_repair`] has the conditions). Then the stream delivers
//! them as a schema change at the place of the rows, or the mismatch is the end with the reason beside it. Nothing is kept: a process that
//! begins before that place again finds out again.

use std::sync::Arc;

use sluicebox_model::{Position, TableId};
use sluicebox_mysql::{Gap, MysqlError, Repair, check_repair};

use super::prepare::Source;
use super::startup::search_from;
use crate::config::PipelineConfig;
use crate::error::EngineError;

/// What the last attempt ended with.
#[derive(Debug, Clone)]
struct Mismatch {
    table: TableId,
    place: String,
    reason: String,
    /// Which put another table under the name; none where rows did not fit.
    statement: Option<String>,
    gap: Gap,
}

impl Mismatch {
    fn of(error: &EngineError) -> Option<Self> {
        let (table, place, reason, statement, gap) = match error {
            EngineError::Source(MysqlError::SchemaMismatch { table, place, reason, gap: Some(gap) }) => {
                (table, place, reason, None, gap)
            }
            EngineError::Source(MysqlError::NewTable { table, place, reason, statement, gap: Some(gap) }) => {
                (table, place, reason, Some(statement.clone()), gap)
            }
            _ => return None,
        };
        let (table, place, reason) = (table.clone(), place.clone(), reason.clone());
        Some(Self { table, place, reason, statement, gap: Gap::clone(gap) })
    }

    /// The same with why the server's columns do not help: it is the end.
    fn refused(self, why: &str) -> EngineError {
        let Self { table, place, reason, statement, .. } = self;
        let reason = format!("{reason}; the server's columns of now cannot stand in: {why}");
        match statement {
            None => MysqlError::SchemaMismatch { table, place, reason, gap: None },
            Some(statement) => MysqlError::UnknownStatement { table, place, reason, statement },
        }
        .into()
    }
}

/// What was found out so far.
#[derive(Debug, Default)]
pub(super) struct Mends {
    wanted: Option<Mismatch>,
    /// Each mismatch is looked into once: what did not help will not help again.
    tried: Vec<(TableId, Position)>,
    found: Vec<Repair>,
}

impl Mends {
    /// Whether another attempt may get past this error.
    pub fn take_up(&mut self, error: &EngineError) -> bool {
        let Some(mismatch) = Mismatch::of(error) else { return false };
        let once = (mismatch.table.clone(), mismatch.gap.behind.clone());
        if self.tried.contains(&once) {
            return false;
        }
        self.tried.push(once);
        self.wanted = Some(mismatch);
        true
    }

    /// Looks into what the last attempt met.
    pub async fn look(&mut self, config: &PipelineConfig, source: &mut Source) -> Result<(), EngineError> {
        let Some(mismatch) = self.wanted.clone() else { return Ok(()) };
        let (until, schemas) = source.schemas_now(config, std::slice::from_ref(&mismatch.table)).await?;
        let Some(schema) = schemas.into_iter().next() else {
            return Err(mismatch.refused("the table is gone"));
        };
        let repair = Repair { schema: Arc::new(schema), gap: mismatch.gap.clone() };
        let options = search_from(config, source, repair.gap.follows.clone());
        let checked = repair.clone();
        let check = tokio::task::spawn_blocking(move || check_repair(&options, &checked, &until));
        match check.await.map_err(|_| EngineError::Lost("check of a table's columns"))?? {
            Ok(()) => {
                let Mismatch { table, place, reason, .. } = mismatch;
                tracing::warn!(%table, place, reason, "columns that no statement made are taken from the server");
                self.found.push(repair);
                self.wanted = None;
                Ok(())
            }
            Err(why) => Err(mismatch.refused(&why)),
        }
    }

    /// Whether a table is known from a repair.
    pub fn has(&self, table: &TableId) -> bool {
        self.found.iter().any(|repair| repair.schema.id == *table)
    }

    /// What counts for an attempt that begins there.
    pub fn ahead_of(&mut self, start: &Position) -> Vec<Repair> {
        self.found.retain(|repair| repair.gap.behind.includes(start));
        self.found.clone()
    }
}
