//! Asking a server questions over SQL: who it is, where its binlog stands, what tables it has.
//!
//! Nothing here changes anything at the server. Positions are read so that a stream which begins at one misses nothing:
//! what is read first is what decides (GTIDs), and what is read after it (file and offset) can only be further on.

use std::collections::HashMap;
use std::time::Duration;

use sluicebox_model::{GtidSet, Gtids, MariaDbGtids, Position, TableId, TableSchema};

use crate::catalog;
use crate::client::Client;
use crate::error::MysqlError;
use crate::options::{ConnectOptions, Flavour, ServerInfo, TypeOptions};
use crate::preflight::{self, Finding, Needs, Severity};
use crate::snapshot::Watermark;

/// Behind a binlog file's magic number: its first event.
const FIRST_OFFSET: u64 = 4;

/// A connection for questions: what tables there are, where the binlog stands, whether capture can work.
pub struct Control {
    pub(crate) client: Client,
    pub(crate) server: ServerInfo,
    pub(crate) options: ConnectOptions,
}

/// A line of the list of binlog files.
struct BinlogFile {
    name: String,
    size: u64,
}

impl Control {
    /// Connects and asks the server who it is.
    ///
    /// # Errors
    ///
    /// [`MysqlError::Unreachable`] when a later try may succeed, [`MysqlError::Refused`] when it will not.
    pub async fn connect(options: &ConnectOptions) -> Result<Self, MysqlError> {
        let mut client = Client::connect(options).await?;
        let server = identify(&mut client).await?;
        Ok(Self { client, server, options: options.clone() })
    }

    /// What the server said of itself.
    pub fn server(&self) -> &ServerInfo {
        &self.server
    }

    /// All base tables outside the system databases, by name.
    ///
    /// # Errors
    ///
    /// When the server cannot be asked. Tables that the account may not read are not listed by the server.
    pub async fn tables(&mut self) -> Result<Vec<TableId>, MysqlError> {
        catalog::tables(&mut self.client).await
    }

    /// All views outside the system databases that the account sees.
    ///
    /// # Errors
    ///
    /// When the server cannot be asked.
    pub async fn views(&mut self) -> Result<Vec<TableId>, MysqlError> {
        catalog::views(&mut self.client).await
    }

    /// The columns and keys of the named tables as they are now, in the order of `tables`, as version 1. Tables that are
    /// not there, or that the account may not read, are left out.
    ///
    /// # Errors
    ///
    /// [`MysqlError::UnsupportedType`] when a column's type has no place in the pipeline.
    pub async fn schemas(
        &mut self,
        tables: &[TableId],
        types: &TypeOptions,
    ) -> Result<Vec<TableSchema>, MysqlError> {
        catalog::schemas(&mut self.client, &self.server, tables, types).await
    }

    /// The end of the binlog.
    ///
    /// # Errors
    ///
    /// When the binlog is off ([`MysqlError::Statement`]), or REPLICATION CLIENT (MariaDB: BINLOG MONITOR) is missing.
    pub async fn position(&mut self) -> Result<Position, MysqlError> {
        let gtids = self.seen_gtids().await?;
        let doing = "reading the end of the binlog";
        let status = self.status_rows().await?;
        let Some((file, offset)) = status.first().and_then(place_of) else {
            return Err(self.client.peer().statement(doing, 0, "the server writes no binlog"));
        };
        Ok(Position { file, offset, gtids })
    }

    /// The rows of the statement that shows the end of the binlog.
    pub(crate) async fn status_rows(&mut self) -> Result<Vec<mysql_async::Row>, MysqlError> {
        self.client.rows(status_statement(&self.server), "reading the end of the binlog").await
    }

    /// Everything executed so far, by name.
    async fn seen_gtids(&mut self) -> Result<Gtids, MysqlError> {
        match (self.server.flavour, self.server.has_gtids) {
            (Flavour::MySql, false) => Ok(Gtids::None),
            (Flavour::MySql, true) => {
                let text = self.text("SELECT @@GLOBAL.gtid_executed").await?;
                mysql_gtids(&self.client, &text)
            }
            (Flavour::MariaDb, _) => {
                let text = self.text("SELECT @@GLOBAL.gtid_binlog_pos").await?;
                mariadb_gtids(&self.client, &text)
            }
        }
    }

    async fn text(&mut self, statement: &str) -> Result<String, MysqlError> {
        let rows: Vec<Option<String>> = self.client.rows(statement, "reading the server's position").await?;
        Ok(rows.into_iter().flatten().next().unwrap_or_default())
    }

    /// How far the server is behind the one that it follows; zero when it follows none, none when it follows and does not get on.
    /// Of several that it follows, the one that it is farthest behind counts.
    ///
    /// # Errors
    ///
    /// When the server cannot be asked, which needs REPLICATION CLIENT on MySQL and SLAVE MONITOR on MariaDB.
    pub async fn replica_lag(&mut self) -> Result<Option<Duration>, MysqlError> {
        let renamed_in = match self.server.flavour {
            Flavour::MySql => (8, 0, 22),
            Flavour::MariaDb => (10, 5, 1),
        };
        let renamed = self.server.version >= renamed_in;
        let statement = match (renamed, self.server.flavour) {
            (true, Flavour::MySql) => "SHOW REPLICA STATUS",
            (false, Flavour::MySql) => "SHOW SLAVE STATUS",
            // Without ALL it tells of the unnamed connection alone.
            (_, Flavour::MariaDb) => "SHOW ALL SLAVES STATUS",
        };
        let rows: Vec<mysql_async::Row> =
            self.client.rows(statement, "asking how far a replica is behind").await?;
        let seconds = |row: &mysql_async::Row| {
            let names = ["Seconds_Behind_Source", "Seconds_Behind_Master"];
            names.into_iter().find_map(|name| row.get_opt::<Option<u64>, _>(name)?.ok()).flatten()
        };
        let most = rows.iter().map(seconds).try_fold(0, |most: u64, lag| lag.map(|lag| most.max(lag)));
        Ok(most.map(Duration::from_secs))
    }

    /// The oldest place that the server still has.
    ///
    /// # Errors
    ///
    /// As [`Control::position`].
    pub async fn earliest(&mut self) -> Result<Position, MysqlError> {
        let doing = "reading the list of binlog files";
        let files = self.files().await?;
        let Some(first) = files.first() else {
            return Err(self.client.peer().statement(doing, 0, "the server has no binlog file"));
        };
        let name = first.name.clone();
        let gtids = match (self.server.flavour, self.server.has_gtids) {
            (Flavour::MySql, false) => Gtids::None,
            (Flavour::MySql, true) => {
                let text = self.text("SELECT @@GLOBAL.gtid_purged").await?;
                mysql_gtids(&self.client, &text)?
            }
            (Flavour::MariaDb, _) => {
                let asked = "SELECT BINLOG_GTID_POS(?, ?)";
                let rows: Vec<Option<String>> =
                    self.client.rows_with(asked, (&name, FIRST_OFFSET), "reading the first GTIDs").await?;
                mariadb_gtids(&self.client, &rows.into_iter().flatten().next().unwrap_or_default())?
            }
        };
        Ok(Position { file: name, offset: FIRST_OFFSET, gtids })
    }

    /// How long the server keeps its binlog; none: for ever.
    ///
    /// # Errors
    ///
    /// When the server cannot be asked.
    pub async fn retention(&mut self) -> Result<Option<Duration>, MysqlError> {
        preflight::retention(self).await
    }

    /// About how many rows each table has, as the server's statistics say; for all tables at once.
    ///
    /// # Errors
    ///
    /// When the server cannot be asked.
    pub async fn row_estimates(&mut self) -> Result<HashMap<TableId, u64>, MysqlError> {
        catalog::row_estimates(&mut self.client).await
    }

    /// Whether an index begins with the column, so that the table can be read in its order.
    ///
    /// # Errors
    ///
    /// When the server cannot be asked.
    pub async fn leads_an_index(&mut self, table: &TableId, column: &str) -> Result<bool, MysqlError> {
        let asked = "SELECT COUNT(*) FROM information_schema.STATISTICS \
                     WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND COLUMN_NAME = ? AND SEQ_IN_INDEX = 1";
        let names = (&*table.database, &*table.table, column);
        let found: Vec<u64> = self.client.rows_with(asked, names, "reading a table's indexes").await?;
        Ok(found.first().is_some_and(|count| *count > 0))
    }

    /// Names of the binlog files, oldest first.
    ///
    /// # Errors
    ///
    /// As [`Control::position`].
    pub async fn file_names(&mut self) -> Result<Vec<String>, MysqlError> {
        Ok(self.files().await?.into_iter().map(|file| file.name).collect())
    }

    async fn files(&mut self) -> Result<Vec<BinlogFile>, MysqlError> {
        let rows: Vec<mysql_async::Row> =
            self.client.rows("SHOW BINARY LOGS", "reading the list of binlog files").await?;
        Ok(rows
            .iter()
            .filter_map(|row| place_of(row).map(|(name, size)| BinlogFile { name, size }))
            .collect())
    }

    /// What of the binlog behind the position is gone from the server, in words for the user; none when a stream can begin
    /// there.
    ///
    /// # Errors
    ///
    /// As [`Control::position`].
    pub async fn gone_behind(&mut self, position: &Position) -> Result<Option<String>, MysqlError> {
        let earliest = self.earliest().await?;
        let file = &earliest.file;
        match (&earliest.gtids, &position.gtids) {
            (Gtids::MySql(purged), Gtids::MySql(seen)) => {
                let gone = purged.minus(seen);
                Ok((!gone.is_empty()).then(|| {
                    format!("it has deleted the transactions {gone} that were not read; its binlog begins with `{file}` now")
                }))
            }
            (Gtids::MariaDb(purged), Gtids::MariaDb(seen)) => Ok((!purged.is_covered_by(seen)).then(|| {
                format!("it has deleted what was written behind {seen} and up to {purged}; its binlog begins with `{file}` now")
            })),
            _ => {
                let files = self.files().await?;
                Ok(match files.iter().find(|f| f.name == position.file) {
                    Some(found) if position.offset <= found.size => None,
                    Some(found) => Some(format!("its file `{}` has only {} bytes", found.name, found.size)),
                    None => Some(format!("it has deleted that file; its binlog begins with `{file}` now")),
                })
            }
        }
    }

    /// Whether this connection is encrypted.
    ///
    /// # Errors
    ///
    /// When the server cannot be asked.
    pub async fn is_encrypted(&mut self) -> Result<bool, MysqlError> {
        let rows: Vec<(String, String)> =
            self.client.rows("SHOW SESSION STATUS LIKE 'Ssl_cipher'", "asking about encryption").await?;
        Ok(rows.first().is_some_and(|(_, cipher)| !cipher.is_empty()))
    }

    /// The character sets that new tables of each database get, by the database's name: of those that the account may see.
    ///
    /// # Errors
    ///
    /// When the server cannot be asked.
    pub async fn database_charsets(&mut self) -> Result<Vec<(String, String)>, MysqlError> {
        let asked = "SELECT schema_name, default_character_set_name FROM information_schema.schemata";
        let rows: Vec<(String, String)> =
            self.client.rows(asked, "reading the databases' character sets").await?;
        Ok(rows
            .into_iter()
            .map(|(name, charset)| (name, crate::ddl::charset::canonical(&charset).to_string()))
            .collect())
    }

    /// What would keep capture from working, or make it lose something. Nothing found is an empty list.
    ///
    /// # Errors
    ///
    /// When the server cannot be asked at all; what it refuses is a finding.
    pub async fn preflight(&mut self, needs: &Needs) -> Result<Vec<Finding>, MysqlError> {
        preflight::run(self, needs).await
    }

    /// The safest low mark that this server and account allow; the finding says what to grant where none is safe. That tables may be locked,
    /// where that is the only one, is asked by [`Control::preflight`].
    ///
    /// # Errors
    ///
    /// When the server cannot be asked.
    pub async fn watermark(&mut self) -> Result<Result<Watermark, Finding>, MysqlError> {
        match (self.server.flavour, self.server.has_gtids) {
            (Flavour::MariaDb, _) => return Ok(Ok(Watermark::MariaDb)),
            (Flavour::MySql, true) => return Ok(Ok(Watermark::MySqlGtid)),
            (Flavour::MySql, false) => {}
        }
        let asked = "SELECT CAST(local AS CHAR) FROM performance_schema.log_status";
        match self.client.rows::<Option<String>>(asked, "reading log_status").await {
            Ok(_) => Ok(Ok(Watermark::MySqlLogStatus)),
            Err(MysqlError::Refused { reason, .. } | MysqlError::Statement { reason, .. }) => {
                Ok(locks_wait_for_commits(&self.server)
                    .then_some(Watermark::MySqlLock)
                    .ok_or_else(|| self.no_watermark(&reason)))
            }
            Err(error) => Err(error),
        }
    }

    fn no_watermark(&self, reason: &str) -> Finding {
        let user = preflight::account(&self.options.user);
        Finding {
            severity: Severity::Refuse,
            check: "watermark",
            found: format!("gtid_mode is not ON, and performance_schema.log_status cannot be read: {reason}"),
            fix: format!(
                "set gtid_mode=ON and enforce_gtid_consistency=ON at the server, or (MySQL 8.0 and later) \
                 GRANT BACKUP_ADMIN ON *.* TO {user}; GRANT SELECT ON performance_schema.log_status TO {user}"
            ),
        }
    }

    /// Says goodbye.
    pub async fn close(self) {
        self.client.close().await;
    }
}

/// File and offset of a row of a status statement or of the list of files.
pub(crate) fn place_of(row: &mysql_async::Row) -> Option<(String, u64)> {
    let file = row.get_opt::<String, _>(0)?.ok()?;
    let offset = row.get_opt::<u64, _>(1)?.ok()?;
    Some((file, offset))
}

async fn identify(client: &mut Client) -> Result<ServerInfo, MysqlError> {
    let doing = "asking the server who it is";
    let statement = "SELECT VERSION(), @@GLOBAL.server_id, @@GLOBAL.lower_case_table_names";
    let mut rows: Vec<(String, u32, u8)> = client.rows(statement, doing).await?;
    let Some((version_text, server_id, lower_case_table_names)) = rows.pop() else {
        return Err(client.peer().statement(doing, 0, "no answer"));
    };
    let flavour = if version_text.contains("MariaDB") { Flavour::MariaDb } else { Flavour::MySql };
    let mut server = ServerInfo {
        flavour,
        version: version_of(&version_text),
        version_text,
        uuid: None,
        server_id,
        lower_case_table_names,
        has_gtids: flavour == Flavour::MariaDb,
    };
    if flavour == Flavour::MySql {
        let mut rows: Vec<(Option<String>, Option<String>)> =
            client.rows("SELECT @@GLOBAL.server_uuid, @@GLOBAL.gtid_mode", doing).await?;
        let (uuid, gtid_mode) = rows.pop().unwrap_or_default();
        server.uuid = uuid;
        server.has_gtids = gtid_mode.is_some_and(|mode| mode.eq_ignore_ascii_case("ON"));
    }
    Ok(server)
}

/// `8.0.36-28`, `10.11.18-MariaDB-log`: the first three numbers.
fn version_of(text: &str) -> (u16, u16, u16) {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse::<u16>().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next())
}

pub(crate) fn mysql_gtids(client: &Client, text: &str) -> Result<Gtids, MysqlError> {
    match text.parse::<GtidSet>() {
        Ok(set) => Ok(Gtids::MySql(set)),
        Err(error) => Err(client.peer().statement("reading the executed GTIDs", 0, error.to_string())),
    }
}

pub(crate) fn mariadb_gtids(client: &Client, text: &str) -> Result<Gtids, MysqlError> {
    match text.parse::<MariaDbGtids>() {
        Ok(list) => Ok(Gtids::MariaDb(list)),
        Err(error) => Err(client.peer().statement("reading the GTID position", 0, error.to_string())),
    }
}

/// Whether `LOCK TABLES ... READ` waits for the end of every transaction that wrote to the table. Before MySQL 5.7.5 it waits for that of the
/// statement (worklog 6671).
pub(crate) fn locks_wait_for_commits(server: &ServerInfo) -> bool {
    server.flavour == Flavour::MariaDb || server.version >= (5, 7, 5)
}

/// The statement that shows the end of the binlog; it has two names.
pub(crate) fn status_statement(server: &ServerInfo) -> &'static str {
    let renamed = server.flavour == Flavour::MySql && server.version >= (8, 2, 0);
    if renamed { "SHOW BINARY LOG STATUS" } else { "SHOW MASTER STATUS" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_its_first_three_numbers() {
        for (text, version) in [
            ("8.0.36", (8, 0, 36)),
            ("9.7.4-2", (9, 7, 4)),
            ("10.11.18-MariaDB-0+deb12u1-log", (10, 11, 18)),
            ("5.6.24-log", (5, 6, 24)),
        ] {
            assert_eq!(version_of(text), version, "{text}");
        }
    }
}
