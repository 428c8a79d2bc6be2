//! The marks around a chunk.
//!
//! Which low marks are safe was measured on both servers under load. MySQL: `@@gtid_executed` and `log_status`; the file
//! position of its status statement runs ahead of what a SELECT can see. Where neither can be had (5.7 without GTIDs, or without the right to
//! read `log_status`), the position is read while the table is locked against writing: the lock is given when no transaction that
//! wrote to the table is on its way any more, so that all of this table in front of the position is visible. That takes a moment, unless
//! somebody's long transaction has written to the table: then the wait for it is short and is tried again later. MariaDB: nothing that can be read says by itself what
//! is visible. `@@gtid_binlog_pos` and the end of the log run ahead, because both move when a transaction is written and not
//! when it is visible. `binlog_snapshot_position` is right (outside of a snapshot it is the place up to which all is visible)
//! but the server keeps the value that it shows in one place for all sessions, so that another session's `SHOW STATUS`
//! at the same moment, a monitor's for instance, can put its own there. So the mark is taken in three steps: read the GTIDs,
//! read the end of the log, wait until the visible place has reached that end. Whatever other session's value is shown in the
//! last step, it is the place of an earlier moment, so it can only make us wait longer.

use std::time::Duration;

use sluicebox_model::{Gtids, Position};

use super::{Watermark, text_of};
use crate::client::Client;
use crate::control::{mariadb_gtids, mysql_gtids, place_of, status_statement};
use crate::error::MysqlError;
use crate::options::ServerInfo;

/// How often a mark is taken again before the server counts as stuck: with the pauses below, about a minute. The gap is that
/// between a transaction's sending and its becoming visible, usually below a millisecond.
const MOST_TRIES: u32 = 600;
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// How often in a row MariaDB must say that the end of the log is visible. File and offset are two values, and when another
/// session writes them while the log goes on to its next file, one may be old and one new; not twice.
const CONFIRMATIONS: u32 = 2;

/// Takes marks of one kind.
pub(super) struct Mark {
    watermark: Watermark,
    /// The statement that shows the end of the binlog.
    status: &'static str,
}

impl Mark {
    pub(super) fn new(watermark: Watermark, server: &ServerInfo) -> Self {
        Self { watermark, status: status_statement(server) }
    }

    /// Takes a low mark that includes `seen`: everything of the table (by its quoted name) in it is visible to whatever is read next. None for
    /// the table: somebody else of ours holds its lock. A second one would wait behind the writers that wait for the first.
    pub(super) async fn take_low(
        &self,
        client: &mut Client,
        table: Option<&str>,
        seen: &Position,
    ) -> Result<Position, MysqlError> {
        for attempt in 0..MOST_TRIES {
            let low = match self.watermark {
                Watermark::MySqlGtid => executed(client).await?,
                Watermark::MySqlLogStatus => log_status(client).await?,
                Watermark::MySqlLock => match table {
                    Some(table) => self.locked(client, table).await?,
                    None => self.end_of_log(client).await?,
                },
                Watermark::MariaDb => visible(client).await?,
            };
            if includes(client, &low, seen)? {
                return Ok(low);
            }
            pause(attempt).await;
        }
        Err(stuck(client, seen))
    }

    /// Takes the high mark: whatever is not in it comes later in the stream.
    pub(super) async fn take_high(&self, client: &mut Client) -> Result<Position, MysqlError> {
        match self.watermark {
            Watermark::MySqlGtid => executed(client).await,
            Watermark::MySqlLogStatus => log_status(client).await,
            Watermark::MySqlLock => self.end_of_log(client).await,
            Watermark::MariaDb => written(client).await,
        }
    }

    async fn locked(&self, client: &mut Client, table: &str) -> Result<Position, MysqlError> {
        client.run(&format!("LOCK TABLES {table} READ"), "locking a table for a mark").await?;
        let end = self.end_of_log(client).await;
        client.run("UNLOCK TABLES", "unlocking a table").await?;
        end
    }

    async fn end_of_log(&self, client: &mut Client) -> Result<Position, MysqlError> {
        let doing = "taking a mark";
        let rows: Vec<mysql_async::Row> = client.rows(self.status, doing).await?;
        let Some((file, offset)) = rows.first().and_then(place_of) else {
            return Err(client.peer().statement(doing, 0, "the server writes no binlog"));
        };
        Ok(Position { file, offset, gtids: Gtids::None })
    }
}

async fn pause(attempt: u32) {
    tokio::time::sleep(Duration::from_millis(u64::from(attempt)).min(LONGEST_PAUSE)).await;
}

fn stuck(client: &Client, seen: &Position) -> MysqlError {
    MysqlError::Unreachable {
        server: client.peer().server.clone(),
        reason: format!("it does not show the transactions up to {seen}, which it has written already"),
    }
}

/// What MariaDB has written to its binlog: GTIDs, then the end of the log, which is never before them.
async fn written(client: &mut Client) -> Result<Position, MysqlError> {
    let doing = "taking a mark";
    let mut rows: Vec<Option<String>> = client.rows("SELECT @@GLOBAL.gtid_binlog_pos", doing).await?;
    let gtids = mariadb_gtids(client, &rows.pop().flatten().unwrap_or_default())?;
    let end: Vec<mysql_async::Row> = client.rows("SHOW MASTER STATUS", doing).await?;
    let Some((file, offset)) = end.first().and_then(place_of) else {
        return Err(client.peer().statement(doing, 0, "the server writes no binlog"));
    };
    Ok(Position { file, offset, gtids })
}

/// What MariaDB has written, once all of it is visible.
async fn visible(client: &mut Client) -> Result<Position, MysqlError> {
    let end = written(client).await?;
    let (mut confirmed, mut attempt) = (0, 0);
    while attempt < MOST_TRIES {
        if visible_place(client).await?.includes(&end) {
            confirmed += 1;
            if confirmed == CONFIRMATIONS {
                return Ok(end);
            }
        } else {
            confirmed = 0;
            pause(attempt).await;
            attempt += 1;
        }
    }
    Err(stuck(client, &end))
}

/// The place in MariaDB's binlog up to which everything is visible, or an earlier one; by file and offset alone.
async fn visible_place(client: &mut Client) -> Result<Position, MysqlError> {
    let doing = "taking a mark";
    let status: Vec<(String, String)> = client.rows("SHOW STATUS LIKE 'binlog_snapshot_%'", doing).await?;
    let value =
        |name: &str| status.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str());
    let file = value("binlog_snapshot_file");
    let offset = value("binlog_snapshot_position").and_then(|text| text.parse().ok());
    match (file, offset) {
        (Some(file), Some(offset)) => Ok(Position { file: file.to_owned(), offset, gtids: Gtids::None }),
        _ => Err(client.peer().statement(doing, 0, "the server does not say what of its binlog is visible")),
    }
}

/// MySQL's executed transactions. File and offset stay empty: there is no place that would be safe.
async fn executed(client: &mut Client) -> Result<Position, MysqlError> {
    let mut rows: Vec<String> = client.rows("SELECT @@GLOBAL.gtid_executed", "taking a mark").await?;
    let gtids = mysql_gtids(client, &rows.pop().unwrap_or_default())?;
    Ok(Position { file: String::new(), offset: 0, gtids })
}

/// The place that MySQL gives backups, at which everything before is visible.
async fn log_status(client: &mut Client) -> Result<Position, MysqlError> {
    let doing = "taking a mark";
    let mut rows: Vec<mysql_async::Row> =
        client.rows("SELECT CAST(local AS CHAR) FROM performance_schema.log_status", doing).await?;
    let text = rows.pop().and_then(|mut row| text_of(row.take(0))).unwrap_or_default();
    let local: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let place = (local["binary_log_file"].as_str(), local["binary_log_position"].as_u64());
    let (Some(file), Some(offset)) = place else {
        return Err(client.peer().statement(doing, 0, "log_status does not say where the binlog stands"));
    };
    Ok(Position { file: file.to_owned(), offset, gtids: Gtids::None })
}

/// Whether all that was seen is in the mark. Nothing seen is always in it.
fn includes(client: &Client, low: &Position, seen: &Position) -> Result<bool, MysqlError> {
    let comparable = match (&low.gtids, &seen.gtids) {
        (_, Gtids::None) if seen.file.is_empty() => return Ok(true),
        (Gtids::MySql(_), Gtids::MySql(_)) | (Gtids::MariaDb(_), Gtids::MariaDb(_)) => true,
        _ => !low.file.is_empty() && !seen.file.is_empty(),
    };
    if comparable {
        return Ok(low.includes(seen));
    }
    let reason = format!(
        "the mark {low} and what was seen, {seen}, cannot be compared: one has GTIDs and one has none"
    );
    Err(client.peer().statement("taking a mark", 0, reason))
}
