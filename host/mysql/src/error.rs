//! Why something with the source failed, split by what can happen next.

use sluicebox_model::{Position, TableId};

use crate::stream::Gap;

/// Why something with the source failed.
#[derive(Debug, thiserror::Error)]
pub enum MysqlError {
    /// No connection, or it broke; the same thing can be asked again.
    #[error("cannot reach `{server}`: {reason}")]
    Unreachable {
        /// `host:port`.
        server: String,
        /// What the network or the driver said.
        reason: String,
    },
    /// Nothing arrived for longer than the server promised to stay silent; the connection is given up.
    #[error("`{server}` sent nothing for {seconds} s, not even a heartbeat")]
    Silent {
        /// `host:port`.
        server: String,
        /// How long nothing came.
        seconds: u64,
    },
    /// The account, the password or the encryption is not accepted.
    #[error("`{server}` refused `{user}`: {reason}")]
    Refused {
        /// `host:port`.
        server: String,
        /// The account.
        user: String,
        /// The server's own words.
        reason: String,
    },
    /// A statement failed.
    #[error("`{server}` answered {code} to {doing}: {reason}")]
    Statement {
        /// `host:port`.
        server: String,
        /// What was being done, e.g. "reading `shop.orders`".
        doing: String,
        /// The server's error number; 0 where there is none.
        code: u16,
        /// The server's own words.
        reason: String,
    },
    /// The position to start from is gone from the server; only a new snapshot helps.
    #[error("binlog position {position} is gone from the server: {reason}")]
    PositionPurged {
        /// What was asked for.
        position: Box<Position>,
        /// The server's own words.
        reason: String,
    },
    /// The server does not know what was seen already: another server, or one that lost transactions.
    #[error("the server does not have what was read before, up to {position}: {reason}")]
    PositionAhead {
        /// What was asked for.
        position: Box<Position>,
        /// The server's own words.
        reason: String,
    },
    /// Another reader uses our server id.
    #[error("another reader of `{server}` uses server id {server_id}: {reason}")]
    ServerIdTaken {
        /// `host:port`.
        server: String,
        /// The id in question.
        server_id: u32,
        /// The server's own words.
        reason: String,
    },
    /// The stream holds something that must not be skipped and cannot be read.
    #[error("cannot read the binlog at {place}: {reason}")]
    Malformed {
        /// File and offset.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// Rows came without columns whose values cannot be told.
    #[error(
        "rows of `{table}` at {place} {reason}: a session wrote them with another binlog_row_image than FULL"
    )]
    Incomplete {
        /// The table.
        table: TableId,
        /// File and offset.
        place: String,
        /// What they lack.
        reason: String,
    },
    /// A table's rows do not fit the columns that its statements gave it.
    #[error("rows of `{table}` at {place} do not fit its columns: {reason}")]
    SchemaMismatch {
        /// The table.
        table: TableId,
        /// File and offset.
        place: String,
        /// Expected and found.
        reason: String,
        /// Where the server's present columns may be the ones that are missing.
        gap: Option<Box<Gap>>,
    },
    /// A statement about a captured table cannot be understood.
    #[error("cannot follow the statement at {place} about `{table}`: {reason}: {statement}")]
    UnknownStatement {
        /// The table.
        table: TableId,
        /// File and offset.
        place: String,
        /// What is not understood.
        reason: String,
        /// The statement, cut to 200 characters.
        statement: String,
    },
    /// A table that was not followed got a captured name, so that its columns are not known. A start that reads them from the
    /// server goes on.
    #[error(
        "a table got the captured name `{table}` at {place} and was not followed before: {reason}: {statement}"
    )]
    NewTable {
        /// The table, by its new name.
        table: TableId,
        /// File and offset.
        place: String,
        /// What happened.
        reason: String,
        /// The statement, cut to 200 characters.
        statement: String,
        /// Where the server's present columns may be the ones that are not known; none where the table's rows were not seen either.
        gap: Option<Box<Gap>>,
    },
    /// A column's type has no place in the pipeline.
    #[error("column `{column}` of `{table}` has the type `{declared}`, which is not supported")]
    UnsupportedType {
        /// The table.
        table: TableId,
        /// The column.
        column: String,
        /// Its type as declared.
        declared: String,
    },
    /// The reader was told to stop.
    #[error("the binlog reader was told to stop")]
    Stopped,
}
