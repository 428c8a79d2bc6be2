//! Tables whose columns came to differ from their rows, which no statement in the binlog explains.
//!
//! The attempt that meets such rows ends. Before the next one begins, the table's present columns are read from the server together with a
//! place, and whether they may stand in is found out ([`sluicebox_mysql::check_repair`] has the conditions). Then the stream delivers
//! them as a schema change at the place of the rows, or the mismatch is the end with the reason beside it. Nothing is kept: a process that
//! begins before that place again finds out again.

use std::sync::Arc;

use sluicebox_model::{Position, TableId};
use sluicebox_mysql::{MysqlError, Repair, check_repair};

use super::prepare::Source;
use super::startup::search_from;
use crate::config::PipelineConfig;
use crate::error::EngineError;

/// A mismatch that the last attempt ended with.
#[derive(Debug, Clone)]
struct Mismatch {
    table: TableId,
    place: String,
    reason: String,
    behind: Position,
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
        let EngineError::Source(MysqlError::SchemaMismatch { table, place, reason, behind: Some(behind) }) =
            error
        else {
            return false;
        };
        let once = (table.clone(), (**behind).clone());
        if self.tried.contains(&once) {
            return false;
        }
        self.tried.push(once);
        self.wanted = Some(Mismatch {
            table: table.clone(),
            place: place.clone(),
            reason: reason.clone(),
            behind: (**behind).clone(),
        });
        true
    }

    /// Looks into what the last attempt met.
    pub async fn look(&mut self, config: &PipelineConfig, source: &mut Source) -> Result<(), EngineError> {
        let Some(Mismatch { table, place, reason, behind }) = self.wanted.clone() else { return Ok(()) };
        let refused = |why: String| {
            let reason = format!("{reason}; the server's columns of now cannot stand in: {why}");
            MysqlError::SchemaMismatch { table: table.clone(), place: place.clone(), reason, behind: None }
        };
        let (until, schemas) = source.schemas_now(config, std::slice::from_ref(&table)).await?;
        let Some(schema) = schemas.into_iter().next() else {
            return Err(refused("the table is gone".to_owned()).into());
        };
        let repair = Repair { schema: Arc::new(schema), behind };
        let options = search_from(config, source, repair.behind.clone());
        let checked = repair.clone();
        let check = tokio::task::spawn_blocking(move || check_repair(&options, &checked, &until));
        match check.await.map_err(|_| EngineError::Lost("check of a table's columns"))?? {
            Ok(()) => {
                tracing::warn!(%table, place, reason, "columns that no statement made are taken from the server");
                self.found.push(repair);
                self.wanted = None;
                Ok(())
            }
            Err(why) => Err(refused(why).into()),
        }
    }

    /// What counts for an attempt that begins there.
    pub fn ahead_of(&mut self, start: &Position) -> Vec<Repair> {
        self.found.retain(|repair| repair.behind.includes(start));
        self.found.clone()
    }
}
