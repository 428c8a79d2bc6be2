//! What the server holds, for people (`/`) and for tests (`/emulator/state`).

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::answer::Answer;
use super::app::App;
use super::documents::status;
use super::xml::escape;
use crate::fault::Fault;
use crate::store::{Partition, Session, SessionKind, Table};

/// Sessions shown on the page, the newest ones; more than a screen helps nobody.
const PAGE_SESSIONS: usize = 100;

/// A table with what changes beside its definition.
struct View {
    table: Arc<Table>,
    rows: u64,
    partitions: Vec<(Partition, u64)>,
}

impl App {
    /// All tables by name, their rows counted.
    fn views(&self) -> Result<Vec<View>, Fault> {
        let mut tables: Vec<Arc<Table>> = self.store.catalog().tables().cloned().collect();
        tables.sort_by(|a, b| a.name.cmp(&b.name));
        tables.into_iter().map(|table| self.view(table)).collect()
    }

    fn view(&self, table: Arc<Table>) -> Result<View, Fault> {
        let found: Vec<Partition> = self.store.catalog().partitions(table.id).cloned().collect();
        let count = |partition: Partition| {
            let rows = self.store.count_rows_of(&table, Some(partition.id))?;
            Ok((partition, rows))
        };
        let partitions = found.into_iter().map(count).collect::<Result<_, Fault>>()?;
        Ok(View { rows: self.store.count_rows(&table)?, partitions, table })
    }

    /// Everything that tests compare.
    pub(super) fn state(&self, now_ms: i64) -> Result<Json, Fault> {
        let views = self.views()?;
        let sessions = self.store.all_sessions();
        Ok(json!({
            "now-ms": now_ms,
            "tables": views.iter().map(table_json).collect::<Json>(),
            "sessions": sessions.iter().map(|session| session_json(session, now_ms)).collect::<Json>(),
            "faults": self.faults.list(),
            "stats": self.counters.read(),
        }))
    }

    /// A page with tables and sessions.
    pub(super) fn page(&self, now_ms: i64) -> Result<Answer, Fault> {
        let mut out = String::from(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Sluicebox emulator</title></head>\n\
             <body><h1>Sluicebox emulator</h1>\n<h2>Tables</h2>\n<table border=\"1\">\n",
        );
        put_row(&mut out, "th", &["Table", "Key", "Buckets", "Columns", "Partition", "Rows"]);
        for view in self.views()? {
            put_table(&mut out, &view);
        }
        out.push_str("</table>\n<h2>Sessions</h2>\n<table border=\"1\">\n");
        put_row(&mut out, "th", &["Session", "Kind", "Table", "Status"]);
        for session in self.store.all_sessions().iter().rev().take(PAGE_SESSIONS) {
            let table = session.table.name.to_string();
            let (kind, status) = (kind(session), status(session, now_ms));
            put_row(&mut out, "td", &[&session.id, kind, &table, status]);
        }
        out.push_str("</table>\n</body></html>\n");
        Ok(Answer::bytes("text/html; charset=utf-8", out.into_bytes()))
    }
}

fn put_row(out: &mut String, cell: &str, texts: &[&str]) {
    out.push_str("<tr>");
    for text in texts {
        // Writing to a string does not fail.
        let _ = write!(out, "<{cell}>{}</{cell}>", escape(text));
    }
    out.push_str("</tr>\n");
}

fn put_table(out: &mut String, view: &View) {
    let table = &view.table;
    let column = |c: &crate::store::Column| format!("{} {}", c.name, c.kind);
    let columns: Vec<String> = table.columns.iter().chain(&table.partition_columns).map(column).collect();
    let (name, key, columns) = (table.name.to_string(), table.primary_key.join(", "), columns.join(", "));
    let buckets = if table.is_delta() { table.bucket_count().to_string() } else { String::new() };
    put_row(out, "td", &[&name, &key, &buckets, &columns, "", &view.rows.to_string()]);
    for (partition, rows) in &view.partitions {
        let partition = table.partition_text(&partition.values);
        put_row(out, "td", &[&name, "", "", "", &partition, &rows.to_string()]);
    }
}

fn table_json(view: &View) -> Json {
    let table = &view.table;
    let column = |c: &crate::store::Column| json!({"name": c.name, "type": c.kind, "nullable": c.nullable, "id": c.id});
    let partition = |(partition, rows): &(Partition, u64)| json!({"values": partition.values, "rows": rows});
    json!({
        "project": table.name.project, "schema": table.name.schema, "table": table.name.table,
        "columns": table.columns.iter().map(column).collect::<Json>(),
        "partition-columns": table.partition_columns.iter().map(column).collect::<Json>(),
        "primary-key": table.primary_key, "properties": table.properties,
        "schema-version": table.schema_version, "rows": view.rows,
        "partitions": view.partitions.iter().map(partition).collect::<Json>(),
    })
}

/// A session as the control paths show it.
pub(super) fn session_json(session: &Session, now_ms: i64) -> Json {
    let name = &session.table.name;
    json!({
        "id": session.id, "kind": kind(session), "status": status(session, now_ms), "project": name.project,
        "schema": name.schema, "table": name.table,
        "partition": session.partition.as_ref().map(|(_, values)| values), "created-ms": session.created_ms,
    })
}

fn kind(session: &Session) -> &'static str {
    match session.kind {
        SessionKind::Upsert { .. } => "upsert",
        SessionKind::Upload { .. } => "upload",
        SessionKind::Stream { .. } => "stream",
    }
}
