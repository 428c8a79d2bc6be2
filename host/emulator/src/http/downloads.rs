//! Tunnel sessions that read, of tables and of query results.

use super::answer::Answer;
use super::app::App;
use super::call::Call;
use super::documents;
use super::limits::Use;
use super::route::{Step, TablePath};
use super::service::column_types;
use crate::fault::Fault;
use crate::run::{Rows, Stamps};
use crate::store::{RowRange, Table};
use crate::wire::compression::Encoding;
use crate::wire::row::ColumnId;
use crate::wire::types::Type;

/// Rows of a result that a client asked for with a limit; the service's number.
const LIMITED_ROWS: usize = 10_000;

/// Marks a download id of a limited result.
const LIMITED_MARK: &str = "-limited";

/// Rows of a preview unless the client asks for fewer.
const PREVIEW_ROWS: usize = 10_000;

impl App {
    pub(super) fn download(
        &self,
        call: &Call,
        step: Step,
        path: &TablePath,
        now_ms: i64,
    ) -> Result<Answer, Fault> {
        let name = self.table_name(call, path)?;
        let download = if step == Step::Create {
            let table = self.store.catalog().table(&name)?;
            if table.is_delta() {
                return Err(Fault::Invalid(format!("{name} has a primary key; read it by a query")));
            }
            let part = self.part_of(call, &table)?;
            if part.is_none() && !table.partition_columns.is_empty() {
                return Err(Fault::Invalid(format!("{name} needs a partition")));
            }
            self.admit(&table, Use::Download, now_ms)?;
            self.store.open_download(self.new_id('d', now_ms), table, part.unwrap_or(0), now_ms)?
        } else {
            let download = self.store.download(call.required("downloadid")?, now_ms)?;
            if download.table.name != name {
                return Err(Fault::NoSuchDownload);
            }
            download
        };
        if step != Step::Data {
            let document =
                documents::download(&download.id, &download.table, download.rows, download.created_ms);
            return Ok(Answer::json(&document));
        }
        let (columns, ids) = selected(call, &download.table)?;
        let range = row_range(call)?;
        let mut rows = Rows::new(&columns, &ids);
        let arrow = call.has("arrow");
        self.store.read_download(&download, range, |row| {
            if arrow { rows.push_values(row) } else { rows.push_record(row) }
        })?;
        data(call, rows, Stamps::Nanoseconds)
    }

    pub(super) fn result_download(&self, call: &Call, step: Step, id: &str) -> Result<Answer, Fault> {
        let instance = self.store.instance(id)?;
        let result = self.store.result(&instance)?;
        let limited = match step {
            Step::Create => call.has("instance_tunnel_limit_enabled"),
            _ => call.required("downloadid")?.ends_with(LIMITED_MARK),
        };
        let count = if limited { result.len().min(LIMITED_ROWS) } else { result.len() };
        if step != Step::Data {
            let download_id = format!("{id}{}", if limited { LIMITED_MARK } else { "" });
            let document =
                documents::result_download(&download_id, &result.columns, count, instance.started_ms);
            return Ok(Answer::json(&document));
        }
        let range = row_range(call)?;
        let (start, wanted) = (size(range.start), size(range.count));
        if start.checked_add(wanted).is_none_or(|end| end > count) {
            return Err(Fault::InvalidRowRange(format!("the result has {count} rows")));
        }
        let (columns, ids) =
            selected_of(call, &result.columns, &(1..).take(result.columns.len()).collect::<Vec<_>>())?;
        let mut rows = Rows::new(&columns, &ids);
        for row in result.rows(start, wanted) {
            if call.has("arrow") {
                rows.push_values(row)?;
            } else {
                rows.push_record(row)?;
            }
        }
        data(call, rows, Stamps::Struct)
    }

    /// The first rows as a whole Arrow stream, without chunks.
    pub(super) fn preview(&self, call: &Call, path: &TablePath) -> Result<Answer, Fault> {
        let table = self.store.catalog().table(&self.table_name(call, path)?)?;
        let part = self.part_of(call, &table)?;
        let mut left: usize = call.number("limit")?.unwrap_or(PREVIEW_ROWS).min(PREVIEW_ROWS);
        let columns = column_types(&table);
        let ids = table.column_ids();
        let mut rows = Rows::new(&columns, &ids);
        self.store.for_each_row(&table, part, |_, row| {
            if left == 0 {
                return Ok(false);
            }
            left -= 1;
            rows.push_values(row)?;
            Ok(true)
        })?;
        Ok(Answer::bytes("application/octet-stream", rows.arrow_preview()?))
    }
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// `(start,count)`.
fn row_range(call: &Call) -> Result<RowRange, Fault> {
    let text = call.required("rowrange")?;
    let inner = text.trim().strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    let numbers = inner.and_then(|inner| inner.split_once(','));
    let range = numbers.and_then(|(start, count)| {
        Some(RowRange { start: start.trim().parse().ok()?, count: count.trim().parse().ok()? })
    });
    range.ok_or_else(|| Fault::InvalidRowRange("`rowrange` is not `(start,count)`".to_owned()))
}

/// Columns of an answer with their types and ids.
type Selected = (Vec<(String, Type)>, Vec<ColumnId>);

fn selected(call: &Call, table: &Table) -> Result<Selected, Fault> {
    selected_of(call, &column_types(table), &table.column_ids())
}

/// The columns that a call asks for, in its order; all of them when it asks for none.
fn selected_of(call: &Call, columns: &[(String, Type)], ids: &[ColumnId]) -> Result<Selected, Fault> {
    let Some(names) = call.parameter("columns").filter(|names| !names.is_empty()) else {
        return Ok((columns.to_vec(), ids.to_vec()));
    };
    let find = |name: &str| {
        let at = columns.iter().position(|(column, _)| column.eq_ignore_ascii_case(name.trim()));
        at.map(|at| (columns[at].clone(), ids[at]))
            .ok_or_else(|| Fault::Invalid(format!("there is no column `{name}`")))
    };
    Ok(names.split(',').map(find).collect::<Result<Vec<_>, _>>()?.into_iter().unzip())
}

/// The body of rows in the form and compression asked for.
fn data(call: &Call, rows: Rows<'_>, stamps: Stamps) -> Result<Answer, Fault> {
    let body = if call.has("arrow") { rows.arrow_body(stamps)? } else { rows.into_records() };
    let encoding = Encoding::of_accept(call.header("accept-encoding"));
    let body = encoding.encode(body).map_err(|error| Fault::Internal(error.to_string()))?;
    let answer = Answer::bytes("application/octet-stream", body);
    Ok(match encoding.header() {
        Some(name) => answer.with("Content-Encoding", name),
        None => answer,
    })
}
