//! Reading rows: queries, counts, and download sessions with their snapshot.

use std::sync::Arc;

use rusqlite::{Connection, params};

use super::{Store, Table, lock};
use crate::fault::Fault;

/// Download sessions live as long as the others of the service.
const DOWNLOAD_LIFETIME_MS: i64 = 24 * 3_600_000;

/// A download session of an ordinary table. It lives in memory: after a restart its id is unknown, and the
/// client opens another.
#[derive(Debug)]
pub(crate) struct Download {
    pub(crate) id: String,
    pub(crate) table: Arc<Table>,
    /// Partition number; 0 for tables without partitions.
    pub(crate) part: i64,
    pub(crate) created_ms: i64,
    pub(crate) rows: u64,
    /// Rows below this number that were not dead then are in the snapshot.
    moment: i64,
}

/// The number of a table's rows, counted when asked for and kept until they change.
#[derive(Debug, Default)]
pub(super) struct Count {
    /// Grows with every change; a count begun before a change is not kept after it.
    changes: u64,
    rows: Option<u64>,
}

/// Rows `start..start + count` of a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowRange {
    pub(crate) start: u64,
    pub(crate) count: u64,
}

/// The rows of a snapshot.
const IN_SNAPSHOT: &str = "part = ?1 AND seq < ?2 AND (died IS NULL OR died > ?2)";

impl Store {
    /// Calls `visit` with the part and blob of every row, in key order or order of arrival, until it says no.
    pub(crate) fn for_each_row(
        &self,
        table: &Table,
        part: Option<i64>,
        mut visit: impl FnMut(i64, &[u8]) -> Result<bool, Fault>,
    ) -> Result<(), Fault> {
        let alive = if table.is_delta() { "" } else { " AND died IS NULL" };
        let order = if table.is_delta() { "part, key" } else { "seq" };
        let sql = format!(
            "SELECT part, row FROM {} WHERE (?1 IS NULL OR part = ?1){alive} ORDER BY {order}",
            table.rows()
        );
        self.read_rows(table, |connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query(params![part])?;
            while let Some(row) = rows.next()? {
                if !visit(row.get(0)?, blob(row, 1)?)? {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Number of rows of a table.
    pub(crate) fn count_rows(&self, table: &Table) -> Result<u64, Fault> {
        let changes = {
            let mut counts = lock(&self.counts);
            let count = counts.entry(table.id).or_default();
            if let Some(rows) = count.rows {
                return Ok(rows);
            }
            count.changes
        };
        let rows = self.count_rows_of(table, None)?;
        let mut counts = lock(&self.counts);
        let count = counts.entry(table.id).or_default();
        if count.changes == changes {
            count.rows = Some(rows);
        }
        Ok(rows)
    }

    /// A table that was made just now, before anyone knows of it. To count its rows, a connection would have to read the definitions of all
    /// tables again, since one has come: thousands of tables made one after the other took minutes.
    pub(super) fn know_empty(&self, table: i64) {
        lock(&self.counts).entry(table).or_default().rows = Some(0);
    }

    /// Forgets a count, after the transaction that changed the rows.
    pub(super) fn forget_count(&self, table: &Table) {
        let mut counts = lock(&self.counts);
        let count = counts.entry(table.id).or_default();
        count.changes += 1;
        count.rows = None;
    }

    /// Number of rows of a table or of one partition, counted now.
    pub(crate) fn count_rows_of(&self, table: &Table, part: Option<i64>) -> Result<u64, Fault> {
        let alive = if table.is_delta() { "" } else { " AND died IS NULL" };
        let sql = format!("SELECT count(*) FROM {} WHERE (?1 IS NULL OR part = ?1){alive}", table.rows());
        let count: i64 = self.read_rows(table, |connection| {
            Ok(connection.prepare_cached(&sql)?.query_row(params![part], |row| row.get(0))?)
        })?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// A table dropped since it was looked up fails in the database; the answer is that it does not exist.
    fn read_rows<T>(
        &self,
        table: &Table,
        work: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.read(work).map_err(|fault| match fault {
            Fault::Database(_) if self.catalog().current(table.id).is_none() => {
                Fault::NoSuchTable(table.name.to_string())
            }
            fault => fault,
        })
    }

    /// Opens a download on the rows there are now.
    pub(crate) fn open_download(
        &self,
        id: String,
        table: Arc<Table>,
        part: i64,
        now_ms: i64,
    ) -> Result<Arc<Download>, Fault> {
        // Registered before the snapshot is taken, so that a removal in between lets its rows only die.
        let placeholder = Download {
            id: id.clone(),
            table: Arc::clone(&table),
            part,
            created_ms: now_ms,
            rows: 0,
            moment: 0,
        };
        lock(&self.downloads).insert(id.clone(), Arc::new(placeholder));
        let (moment, rows) = self.read_rows(&table, |connection| {
            let moment = self.next_moment(connection, &table)?;
            let sql = format!("SELECT count(*) FROM {} WHERE {IN_SNAPSHOT}", table.rows());
            let rows: i64 = connection.query_row(&sql, params![part, moment], |row| row.get(0))?;
            Ok((moment, u64::try_from(rows).unwrap_or(0)))
        })?;
        let download = Arc::new(Download { id: id.clone(), table, part, created_ms: now_ms, rows, moment });
        let mut downloads = lock(&self.downloads);
        downloads.retain(|_, old| now_ms - old.created_ms <= DOWNLOAD_LIFETIME_MS);
        downloads.insert(id, Arc::clone(&download));
        Ok(download)
    }

    /// An open download.
    pub(crate) fn download(&self, id: &str, now_ms: i64) -> Result<Arc<Download>, Fault> {
        let found = lock(&self.downloads).get(id).cloned().ok_or(Fault::NoSuchDownload)?;
        if now_ms - found.created_ms > DOWNLOAD_LIFETIME_MS { Err(Fault::NoSuchDownload) } else { Ok(found) }
    }

    /// Whether a download of the table may still be read.
    pub(super) fn has_readers(&self, table: i64, now_ms: i64) -> bool {
        let downloads = lock(&self.downloads);
        downloads.values().any(|d| d.table.id == table && now_ms - d.created_ms <= DOWNLOAD_LIFETIME_MS)
    }

    /// Calls `visit` with the rows of a range of the snapshot.
    pub(crate) fn read_download(
        &self,
        download: &Download,
        range: RowRange,
        mut visit: impl FnMut(&[u8]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let end = range.start.checked_add(range.count);
        if end.is_none_or(|end| end > download.rows) {
            return Err(Fault::InvalidRowRange(format!("the session has {} rows", download.rows)));
        }
        self.require_same_types(download)?;
        let sql = format!(
            "SELECT row FROM {} WHERE {IN_SNAPSHOT} ORDER BY seq LIMIT ?3 OFFSET ?4",
            download.table.rows()
        );
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        self.read_rows(&download.table, |connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query(params![
                download.part,
                download.moment,
                number(range.count),
                number(range.start)
            ])?;
            while let Some(row) = rows.next()? {
                visit(blob(row, 0)?)?;
            }
            Ok(())
        })
    }

    /// Added, renamed and dropped columns leave stored rows alone; a column of another type does not.
    fn require_same_types(&self, download: &Download) -> Result<(), Fault> {
        let catalog = self.catalog();
        let table = catalog
            .current(download.table.id)
            .ok_or_else(|| Fault::NoSuchTable(download.table.name.to_string()))?;
        let retyped = download
            .table
            .columns
            .iter()
            .any(|old| table.columns.iter().any(|column| column.id == old.id && column.kind != old.kind));
        if retyped { Err(Fault::SchemaModified { latest: table.schema_version }) } else { Ok(()) }
    }
}

fn blob<'a>(row: &'a rusqlite::Row<'_>, index: usize) -> Result<&'a [u8], Fault> {
    row.get_ref(index)?.as_blob().map_err(|error| Fault::Internal(error.to_string()))
}
