//! The marks around a chunk.
//!
//! Which low marks are safe was measured on both servers under load: `@@gtid_executed` and `log_status` on MySQL, the
//! binlog place of a consistent snapshot on MariaDB. The file position of MySQL's status statement and MariaDB's
//! `@@gtid_binlog_pos` both run ahead of what a SELECT can see.

use std::time::Duration;

use sluicebox_model::{Gtids, Position};

use super::{Watermark, text_of};
use crate::client::Client;
use crate::control::{mariadb_gtids, mysql_gtids};
use crate::error::MysqlError;

/// How often a mark is taken again before the server counts as stuck: with the pauses below, about a minute. The gap is that
/// between a transaction's sending and its becoming visible, usually below a millisecond.
const MOST_TRIES: u32 = 600;
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Takes marks of one kind on one connection.
pub(super) struct Mark {
    watermark: Watermark,
    /// MariaDB reads a binlog file to find the GTIDs of a place; while nothing is written the last answer holds.
    last: Option<Position>,
}

impl Mark {
    pub(super) fn new(watermark: Watermark) -> Self {
        Self { watermark, last: None }
    }

    pub(super) fn watermark(&self) -> Watermark {
        self.watermark
    }

    /// Takes a low mark that includes `seen`. On MariaDB a transaction with a snapshot is open afterwards; the mark is then the
    /// place of a snapshot opened before it, since now and then, in some of a hundred under load, the place that the
    /// server gives names a transaction that is only about to become visible. A mark that is too early costs nothing but a
    /// few keys more to merge.
    pub(super) async fn take_low(
        &mut self,
        client: &mut Client,
        seen: &Position,
    ) -> Result<Position, MysqlError> {
        let low = self.take_including(client, seen).await?;
        if self.watermark == Watermark::MariaDb {
            self.release(client).await?;
            self.take(client).await?;
        }
        Ok(low)
    }

    /// Takes the place of the snapshot itself, which includes `seen`.
    pub(super) async fn take_including(
        &mut self,
        client: &mut Client,
        seen: &Position,
    ) -> Result<Position, MysqlError> {
        for attempt in 0..MOST_TRIES {
            let low = self.take(client).await?;
            if is_visible(client, &low, seen)? {
                return Ok(low);
            }
            self.release(client).await?;
            tokio::time::sleep(Duration::from_millis(u64::from(attempt)).min(LONGEST_PAUSE)).await;
        }
        Err(MysqlError::Unreachable {
            server: client.peer().server.clone(),
            reason: format!("it does not show the transactions up to {seen}, which it has sent already"),
        })
    }

    /// Takes the high mark, and on MariaDB ends the transaction; `whole` when the rows were read.
    pub(super) async fn take_high(
        &mut self,
        client: &mut Client,
        low: &Position,
        whole: bool,
    ) -> Result<Position, MysqlError> {
        match self.watermark {
            Watermark::MariaDb => {
                self.release(client).await?;
                // The place of the snapshot that the rows were read in.
                Ok(self.last.clone().unwrap_or_else(|| low.clone()))
            }
            Watermark::MySqlGtid | Watermark::MySqlLogStatus if whole => self.take(client).await,
            Watermark::MySqlGtid | Watermark::MySqlLogStatus => Ok(low.clone()),
        }
    }

    async fn release(&mut self, client: &mut Client) -> Result<(), MysqlError> {
        match self.watermark {
            Watermark::MariaDb => client.run("ROLLBACK", "ending a snapshot").await,
            Watermark::MySqlGtid | Watermark::MySqlLogStatus => Ok(()),
        }
    }

    async fn take(&mut self, client: &mut Client) -> Result<Position, MysqlError> {
        match self.watermark {
            Watermark::MySqlGtid => executed(client).await,
            Watermark::MySqlLogStatus => log_status(client).await,
            Watermark::MariaDb => self.snapshot_place(client).await,
        }
    }

    /// Opens a consistent snapshot and asks where in the binlog it stands.
    async fn snapshot_place(&mut self, client: &mut Client) -> Result<Position, MysqlError> {
        let doing = "opening a snapshot";
        client.run("START TRANSACTION WITH CONSISTENT SNAPSHOT", doing).await?;
        let status: Vec<(String, String)> =
            client.rows("SHOW STATUS LIKE 'binlog_snapshot_%'", doing).await?;
        let value =
            |name: &str| status.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str());
        let (Some(file), Some(Ok(offset))) =
            (value("binlog_snapshot_file"), value("binlog_snapshot_position").map(str::parse::<u64>))
        else {
            return Err(client.peer().statement(
                doing,
                0,
                "the server does not say where in its binlog the snapshot is",
            ));
        };
        if let Some(last) = &self.last
            && (last.file.as_str(), last.offset) == (file, offset)
        {
            return Ok(last.clone());
        }
        let asked = "SELECT BINLOG_GTID_POS(?, ?)";
        let mut rows: Vec<Option<String>> = client.rows_with(asked, (file, offset), doing).await?;
        let gtids = mariadb_gtids(client, &rows.pop().flatten().unwrap_or_default())?;
        let position = Position { file: file.to_owned(), offset, gtids };
        self.last = Some(position.clone());
        Ok(position)
    }
}

/// MySQL's executed transactions. File and offset stay empty: there is no place that would be safe.
pub(super) async fn executed(client: &mut Client) -> Result<Position, MysqlError> {
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
fn is_visible(client: &Client, low: &Position, seen: &Position) -> Result<bool, MysqlError> {
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
