//! Where the binlog is read from when a pipeline starts for the first time at an instant or an offset.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sluicebox_model::{Gtids, Position};
use sluicebox_mysql::{Instant, Skip, StreamOptions, find_instant, find_offset};

use super::prepare::Source;
use crate::config::PipelineConfig;
use crate::error::EngineError;
use crate::state::Store;

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
    let options = search_from(config, source, end.clone());
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

/// A place named by the user. Where there are GTIDs and it is named by file and offset, the GTIDs before it are found out.
pub(super) async fn at_offset(
    config: &PipelineConfig,
    source: &Source,
    place: Position,
) -> Result<Position, EngineError> {
    if place.gtids != Gtids::None || !source.server.has_gtids {
        return Ok(place);
    }
    let options = search_from(config, source, place);
    let search = tokio::task::spawn_blocking(move || find_offset(&options));
    Ok(search.await.map_err(|_| EngineError::Lost("search for the offset"))??)
}

pub(super) fn search_from(config: &PipelineConfig, source: &Source, from: Position) -> StreamOptions {
    StreamOptions {
        connect: source.connect.clone(),
        server: source.server.clone(),
        server_id: source.server_id,
        heartbeat: SEARCH_HEARTBEAT,
        from,
        skip: Skip::default(),
        schemas: Vec::new(),
        known_behind: Vec::new(),
        repairs: Vec::new(),
        new_are_read: false,
        captures: Arc::new(|_| false),
        matches: Arc::new(|_| false),
        types: config.source.types,
        database_charsets: Vec::new(),
    }
}

/// Where the state keeps [`LeftOut`].
const LEFT_OUT: &str = "left-out";

/// What is left out of the first transaction behind a place; it counts until that transaction is behind the checkpoint.
#[derive(Serialize, Deserialize)]
struct LeftOut {
    behind: Position,
    events: u64,
    rows: u64,
}

/// Keeps what is to be left out behind `position`, before the pipeline begins there.
pub(super) fn leave_out(store: &Store, position: &Position, skip: Skip) -> Result<(), EngineError> {
    let Skip { events, rows } = skip;
    Ok(store.set_meta(LEFT_OUT, &LeftOut { behind: position.clone(), events, rows })?)
}

/// What is to be left out of the transaction behind `position`.
pub(super) fn left_out(store: &Store, position: &Position) -> Result<Skip, EngineError> {
    let kept: Option<LeftOut> = store.meta(LEFT_OUT)?;
    let kept = kept.filter(|kept| kept.behind == *position);
    Ok(kept.map_or_else(Skip::default, |kept| Skip { events: kept.events, rows: kept.rows }))
}
