//! Where the binlog is read from when a pipeline starts for the first time at an instant.

use std::sync::Arc;
use std::time::Duration;

use sluicebox_model::Position;
use sluicebox_mysql::{Instant, StreamOptions, find_instant};

use super::prepare::Source;
use crate::config::PipelineConfig;
use crate::error::EngineError;

/// A server that has nothing more says so after this time, and the search ends.
const SEARCH_HEARTBEAT: Duration = Duration::from_secs(5);

/// The place of the first transaction that was committed at `millis` or later; the binlog's end (`end`) where there is none yet.
/// `now_ms`: what our clock says.
pub(super) async fn at_timestamp(
    config: &PipelineConfig,
    source: &mut Source,
    millis: u64,
    end: Position,
    now_ms: i64,
) -> Result<Position, EngineError> {
    let millis = i64::try_from(millis).unwrap_or(i64::MAX);
    if millis > now_ms {
        return Err(EngineError::Plan(format!(
            "`scan.startup.timestamp-millis` is {millis}, which lies in the future (it is {now_ms} now); begin with `latest-offset`"
        )));
    }
    let files = source.control.file_names().await?;
    let options = StreamOptions {
        connect: config.source.connect.clone(),
        server: source.server.clone(),
        server_id: source.server_id,
        heartbeat: SEARCH_HEARTBEAT,
        from: end.clone(),
        schemas: Vec::new(),
        captures: Arc::new(|_| false),
        types: config.source.types,
        default_charset: None,
    };
    let instant_micros = millis.saturating_mul(1_000);
    // It blocks in socket reads.
    let search = tokio::task::spawn_blocking(move || find_instant(&options, &files, instant_micros));
    match search.await.map_err(|_| EngineError::Lost("search for the instant"))?? {
        Instant::At(position) => {
            tracing::info!(millis, %position, "the first transaction of the instant or later was found");
            Ok(position)
        }
        Instant::AfterAllTransactions => {
            tracing::info!(
                millis,
                "no transaction was committed at the instant or later: beginning at the binlog's end"
            );
            Ok(end)
        }
        Instant::BeforeAllFiles => {
            tracing::warn!(
                millis,
                "every binlog file began after the instant, and what was committed before them may be gone: beginning with the \
                 oldest file"
            );
            Ok(source.control.earliest().await?)
        }
    }
}
