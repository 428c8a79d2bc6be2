//! Reads tables in chunks of their key order, each between two marks of the binlog.
//!
//! Promise: every transaction in a chunk's low mark, and every one that the caller had seen, is visible in the chunk's
//! rows. So whoever merges the stream's events behind `low` into the rows and emits the result at `high` loses nothing. What
//! is visible but not yet in `high` comes again later and must be idempotent by key.
//!
//! Which low marks keep the promise differs by server ([`Watermark`]): a file position of a status statement never does,
//! for it moves before the rows become visible. The stream can even be ahead of the server's own `gtid_executed`, since a
//! transaction is sent before it is visible; therefore a mark is taken again until it includes what the caller has seen.
//!
//! Nothing is locked and no table is held across chunks: the rows of a chunk come from one statement, which by itself is a
//! consistent read. A chunk that is cut short by an error is simply read again. Bounds are compared by the server alone: only it
//! knows its collations.

mod bound;
mod exact;
mod mark;
mod rows;
mod single;

use std::sync::Arc;

use mysql_async::Value;
use serde::{Deserialize, Serialize};
use sluicebox_model::{ChangeBatch, Position, TableId, TableSchema};

use crate::client::{Client, quote};
use crate::error::MysqlError;
use crate::options::{ConnectOptions, Flavour, ServerInfo};

pub use bound::KeyBound;
use bound::{Condition, Keys};
pub use exact::Pieces;
use mark::Mark;
use rows::{BatchAssembler, row_size};

/// How long a chunk's statement may run at the server, in seconds: a chunk is some thousands of rows, so one that takes so
/// long does harm and gets nowhere.
const CHUNK_DEADLINE_S: u32 = 600;

/// How a low mark is taken that no transaction can slip behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Watermark {
    /// `@@GLOBAL.gtid_executed`.
    MySqlGtid,
    /// `performance_schema.log_status`.
    MySqlLogStatus,
    /// The end of the binlog, while the table is locked against writing for a moment.
    MySqlLock,
    /// `@@gtid_binlog_pos`, once everything up to it is visible.
    MariaDb,
}

/// A range of a table's order by its key, or by one column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Counts from 0 in the table.
    pub number: u64,
    /// Rows behind this key; none from the beginning.
    pub after: Option<KeyBound>,
    /// Rows to this key, included; none to the end.
    pub up_to: Option<KeyBound>,
    /// The column by which the table is cut; none for its key. It is never null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// The rows of a chunk and the marks around their reading.
#[derive(Debug)]
pub struct ChunkRows {
    /// In key order; each at most 16 MiB, or one row.
    pub batches: Vec<ChangeBatch>,
    /// Every transaction in here is visible in the rows.
    pub low: Position,
    /// What is visible in the rows and not in here comes again in the stream.
    pub high: Position,
    /// Values that the pipeline cannot hold and that became null: zero dates, decimals beyond their type.
    pub replaced: u64,
}

/// What became of the reading of a chunk.
#[derive(Debug)]
pub enum ChunkRead {
    /// It was read.
    Rows(ChunkRows),
    /// Its rows are more than was to be kept: the chunk is to be cut.
    TooWide {
        /// How many of its first rows there is room for.
        room: u64,
    },
}

/// Where the snapshot of a table without a key stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExactMark {
    /// The place of the snapshot.
    pub position: Position,
    /// The rows are those of exactly this position. If not, transactions committed while the snapshot opened may be both
    /// in the rows and behind the position, so their changes may come twice.
    pub exact: bool,
}

/// A connection that reads tables. After an error of the connection it is of no use; any other error leaves it ready.
pub struct SnapshotReader {
    client: Client,
    server: ServerInfo,
    options: ConnectOptions,
    mark: Mark,
    /// A transaction with a snapshot is open for [`SnapshotReader::read_exact`].
    exact_open: bool,
}

impl SnapshotReader {
    /// Connects. `watermark` is what [`Control::watermark`](crate::Control::watermark) chose.
    ///
    /// # Errors
    ///
    /// [`MysqlError::Unreachable`] when a later try may succeed, [`MysqlError::Refused`] when it will not.
    pub async fn connect(
        options: &ConnectOptions,
        server: &ServerInfo,
        watermark: Watermark,
    ) -> Result<Self, MysqlError> {
        let client = Client::connect(options).await?;
        let mut reader = Self {
            client,
            server: server.clone(),
            options: options.clone(),
            mark: Mark::new(watermark, server),
            exact_open: false,
        };
        reader.limit_statements(CHUNK_DEADLINE_S).await?;
        Ok(reader)
    }

    /// Limits how long each statement may run; 0 for no limit. Old servers have no such setting.
    async fn limit_statements(&mut self, seconds: u32) -> Result<(), MysqlError> {
        let setting = match self.server.flavour {
            Flavour::MySql if self.server.version >= (5, 7, 8) => {
                format!("SET SESSION max_execution_time={}", u64::from(seconds) * 1_000)
            }
            Flavour::MariaDb => format!("SET SESSION max_statement_time={seconds}"),
            Flavour::MySql => return Ok(()),
        };
        self.client.run(&setting, "limiting the time of statements").await
    }

    /// The end of the first `rows` rows of a range, where the table is cut `by` a column, else by its key; none when the range has fewer, so
    /// that it is the last. Rows alike in the column stay in one chunk, however many they are.
    ///
    /// # Errors
    ///
    /// [`MysqlError::Statement`] when the table is not what `schema` says (1054, 1146), or has no key or no such column (code 0).
    pub async fn next_bound(
        &mut self,
        schema: &TableSchema,
        by: Option<&str>,
        (after, up_to): (Option<&KeyBound>, Option<&KeyBound>),
        rows: u64,
    ) -> Result<Option<KeyBound>, MysqlError> {
        let doing = format!("finding the end of a chunk of `{}`", schema.id);
        let keys = self.keys(schema, by, &doing)?;
        let condition =
            keys.range(after, up_to).map_err(|reason| self.client.peer().statement(&doing, 0, reason))?;
        let statement = format!(
            "SELECT {} FROM {}{} ORDER BY {} LIMIT 1 OFFSET {}",
            keys.selected(),
            full_name(&schema.id),
            where_of(&condition),
            keys.order(),
            rows.saturating_sub(1),
        );
        let found: Vec<mysql_async::Row> =
            self.client.rows_with(&statement, condition.params(), &doing).await?;
        let Some(row) = found.into_iter().next() else { return Ok(None) };
        let bound =
            keys.bound(row.unwrap()).map_err(|reason| self.client.peer().statement(&doing, 0, reason))?;
        // A text that does not survive the way to us and back could lead in circles; one open chunk is safe.
        Ok(Some(bound).filter(|bound| after != Some(bound) && up_to != Some(bound)))
    }

    /// The first number and the last of the column that the table is cut by, where it is one of whole numbers and there are rows.
    ///
    /// # Errors
    ///
    /// As [`SnapshotReader::next_bound`].
    pub async fn span(
        &mut self,
        schema: &TableSchema,
        by: Option<&str>,
    ) -> Result<Option<(i128, i128)>, MysqlError> {
        let doing = format!("asking for the first and the last key of `{}`", schema.id);
        let Some(name) = self.keys(schema, by, &doing)?.whole_number() else { return Ok(None) };
        let statement = format!("SELECT MIN({name}), MAX({name}) FROM {}", full_name(&schema.id));
        let rows: Vec<(Value, Value)> = self.client.rows_with(&statement, (), &doing).await?;
        let number = |value: &Value| match value {
            Value::Int(number) => Some(i128::from(*number)),
            Value::UInt(number) => Some(i128::from(*number)),
            _ => None,
        };
        Ok(rows.first().and_then(|(first, last)| Some((number(first)?, number(last)?))))
    }

    fn keys<'a>(
        &self,
        schema: &'a TableSchema,
        by: Option<&str>,
        doing: &str,
    ) -> Result<Keys<'a>, MysqlError> {
        let missing =
            || by.map_or("the table has no key".into(), |by| format!("the table has no column `{by}`"));
        Keys::of(schema, by).ok_or_else(|| self.client.peer().statement(doing, 0, missing()))
    }

    /// How many of the server's threads run a statement at the moment, this question's among them.
    ///
    /// # Errors
    ///
    /// When the server cannot be asked.
    pub async fn threads_running(&mut self) -> Result<u64, MysqlError> {
        let asked = "SHOW GLOBAL STATUS LIKE 'Threads_running'";
        let rows: Vec<(String, u64)> = self.client.rows(asked, "asking how busy the server is").await?;
        Ok(rows.first().map_or(0, |(_, threads)| *threads))
    }

    /// About how many rows the table has, as its statistics say.
    ///
    /// # Errors
    ///
    /// When the server cannot be asked.
    pub async fn count_estimate(&mut self, table: &TableId) -> Result<u64, MysqlError> {
        let statement =
            "SELECT TABLE_ROWS FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?";
        let names = (&*table.database, &*table.table);
        let rows: Vec<Option<u64>> =
            self.client.rows_with(statement, names, "estimating a table's size").await?;
        Ok(rows.into_iter().flatten().next().unwrap_or(0))
    }

    /// Reads a chunk: low mark, rows, high mark. The mark is taken again until it includes `seen`: all that the stream had
    /// delivered when the caller opened the chunk's window. Rows of more than `most_bytes`, as they come, are not kept: the answer is then how
    /// many of them there is room for, and at least one.
    ///
    /// # Errors
    ///
    /// [`MysqlError::Statement`] with 1054, 1146 or 1412 when the table changed meanwhile: read the chunk again once the
    /// stream has brought the change. [`MysqlError::Unreachable`] also when the server does not show what was seen within a
    /// minute.
    pub async fn read_chunk(
        &mut self,
        schema: &Arc<TableSchema>,
        chunk: &Chunk,
        seen: &Position,
        most_bytes: usize,
    ) -> Result<ChunkRead, MysqlError> {
        self.close_exact().await?;
        let doing = format!("reading `{}`", schema.id);
        let keys = self.keys(schema, chunk.by.as_deref(), &doing)?;
        let condition = keys
            .range(chunk.after.as_ref(), chunk.up_to.as_ref())
            .map_err(|reason| self.client.peer().statement(&doing, 0, reason))?;
        let statement = format!(
            "SELECT {} FROM {}{} ORDER BY {}",
            column_list(schema),
            full_name(&schema.id),
            where_of(&condition),
            keys.order(),
        );
        let low = self.mark.take_low(&mut self.client, Some(&full_name(&schema.id)), seen).await?;
        let mut batches = Vec::new();
        let peer = self.client.peer().clone();
        let mut assembler = BatchAssembler::new(Arc::clone(schema));
        let (mut read, mut bytes) = (0_u64, 0_usize);
        let mut rows = self.client.read(&statement, condition.params(), &doing).await?;
        while let Some(row) = rows.next().await? {
            bytes += row_size(&row);
            if bytes > most_bytes && read > 0 {
                drop(rows);
                self.leave().await?;
                return Ok(ChunkRead::TooWide { room: read });
            }
            read += 1;
            let full = assembler.push(row).map_err(|reason| peer.statement(&doing, 0, reason))?;
            batches.extend(full);
        }
        drop(rows);
        batches.extend(assembler.take().map_err(|reason| peer.statement(&doing, 0, reason))?);
        let high = self.mark.take_high(&mut self.client).await?;
        Ok(ChunkRead::Rows(ChunkRows { batches, low, high, replaced: assembler.replaced() }))
    }

    /// Leaves a result behind whose rest nobody wants. A connection that is given up is read to its end all the same before it says goodbye,
    /// so the server is told to end it.
    async fn leave(&mut self) -> Result<(), MysqlError> {
        let fresh = Client::connect(&self.options).await?;
        let left = std::mem::replace(&mut self.client, fresh);
        self.client.end(&left).await?;
        drop(left);
        self.limit_statements(CHUNK_DEADLINE_S).await
    }

    /// Says goodbye.
    pub async fn close(self) {
        self.client.close().await;
    }
}

fn full_name(id: &TableId) -> String {
    format!("{}.{}", quote(&id.database), quote(&id.table))
}

fn column_list(schema: &TableSchema) -> String {
    schema.columns.iter().map(|c| quote(&c.name)).collect::<Vec<_>>().join(", ")
}

fn where_of(condition: &Condition) -> String {
    match condition.is_empty() {
        true => String::new(),
        false => format!(" WHERE {}", condition.text()),
    }
}

/// A text of a result.
fn text_of(value: Option<Value>) -> Option<String> {
    match value? {
        Value::Bytes(bytes) => String::from_utf8(bytes).ok(),
        _ => None,
    }
}
