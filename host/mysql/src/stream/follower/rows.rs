//! Table maps and row events.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use sluicebox_model::{Column, TableId, TableSchema};

use super::super::maps::Meaning;
use super::super::{RowsEvent, StreamItem};
use super::{At, Follower, Step};
use crate::event::{self, Fault, RowsHead, RowsKind, TableMap, kind};
use crate::row::{LayoutFault, Present, RowLayout, behind_rows};
use crate::types::{BaseType, DeclaredType};
use crate::{Flavour, MysqlError};

/// Rows of small events share blocks of this size, so that an event costs no allocation and holds on to little more than
/// its own bytes.
const BLOCK_BYTES: usize = 64 << 10;
/// Rows of this size get a block of their own.
const OWN_BLOCK_BYTES: usize = BLOCK_BYTES / 4;

impl Follower {
    pub(super) fn table_map(&mut self, body: &[u8], at: &At) -> Result<Step, MysqlError> {
        if self.open.as_ref().is_some_and(|open| open.passed_over) {
            return Ok(Step::Nothing);
        }
        let table_id =
            event::table_id(body).ok_or_else(|| self.malformed(at, "a table map ends too early"))?;
        let generation = self.schemas.generation();
        if !self.maps.is_known(table_id, body, generation) {
            let meaning = self.meaning(body, at)?;
            self.maps.insert(table_id, body, generation, meaning);
        }
        Ok(Step::Nothing)
    }

    fn meaning(&self, body: &[u8], at: &At) -> Result<Meaning, MysqlError> {
        let map = TableMap::parse(body).map_err(|fault| self.malformed(at, fault.to_string()))?;
        let table = self.schemas.stored_name(TableId::new(map.database.as_str(), map.table.as_str()));
        if !self.schemas.captures(&table) {
            return Ok(Meaning::Foreign);
        }
        let mismatch =
            |reason| MysqlError::SchemaMismatch { table: table.clone(), place: self.place(at.start), reason };
        let Some(schema) = self.schemas.get(&table) else {
            if self.flavour == Flavour::MariaDb && map.is_sequence() {
                return Ok(Meaning::Foreign);
            }
            return Err(mismatch(
                "the table is not known: no statement before this place made it".to_owned(),
            ));
        };
        match RowLayout::new(schema, &map, self.flavour) {
            Ok(layout) => Ok(Meaning::Captured { schema: Arc::clone(schema), layout: Arc::new(layout) }),
            Err(LayoutFault::Mismatch(reason)) => Err(mismatch(reason)),
            Err(LayoutFault::Unsupported { column, declared }) => {
                Err(MysqlError::UnsupportedType { table: table.clone(), column, declared })
            }
        }
    }

    pub(super) fn rows(&mut self, body: &[u8], at: &At) -> Result<Step, MysqlError> {
        if self.count() {
            return Ok(Step::Nothing);
        }
        let head =
            event::rows_head(at.event_type, body).map_err(|fault| self.malformed(at, fault.to_string()))?;
        let left_out = self.rows_left_out();
        let (schema, layout) = match self.maps.meaning(head.table_id) {
            Some(Meaning::Foreign) => return Ok(Step::Nothing),
            // Servers end statements that changed nothing with an event of no table and no rows.
            None if head.rows.is_empty() => return Ok(Step::Nothing),
            None => return Err(self.malformed(at, "rows come without the map of their table")),
            Some(Meaning::Captured { schema, layout }) => (Arc::clone(schema), Arc::clone(layout)),
        };
        self.check_rows(&head, &schema.id, layout.columns(), at)?;
        let present = if head.is_full { None } else { Some(self.present(&head, &schema, &layout, at)?) };
        let inflated;
        let (mut rows, mut is_compressed) = (head.rows, head.is_compressed);
        if left_out > 0 {
            let broken = |fault: Fault| self.malformed(at, fault.to_string());
            if is_compressed {
                inflated = event::inflate_body(rows).map_err(broken)?;
                (rows, is_compressed) = (&inflated, false);
            }
            rows = behind_rows(head.kind, &layout, present.as_deref(), rows, left_out).map_err(broken)?;
        }
        let Some(open) = &mut self.open else {
            return Err(self.malformed(at, "rows come outside of any transaction"));
        };
        if open.xa_prepare {
            return Err(self.xa_of_two_phases(at));
        }
        open.touched = true;
        self.ordinal += 1;
        Ok(Step::Item(StreamItem::Rows(RowsEvent {
            schema,
            transaction: Arc::clone(&open.id),
            commit_micros: open.commit_micros,
            ordinal: self.ordinal,
            layout,
            kind: head.kind,
            is_compressed,
            present,
            body: keep(&mut self.block, rows),
        })))
    }

    fn check_rows(
        &self,
        head: &RowsHead<'_>,
        table: &TableId,
        columns: usize,
        at: &At,
    ) -> Result<(), MysqlError> {
        if at.event_type == kind::PARTIAL_UPDATE_ROWS {
            let reason = format!(
                "rows of `{table}` hold parts of JSON documents only: a session wrote them with \
                 binlog_row_value_options=PARTIAL_JSON, which must be empty"
            );
            return Err(self.malformed(at, reason));
        }
        if head.columns != columns {
            return Err(self.malformed(
                at,
                format!("rows of `{table}` have {} columns, their map {columns}", head.columns),
            ));
        }
        Ok(())
    }

    /// Which columns images hold that do not hold all, where what they lack can be told.
    fn present(
        &self,
        head: &RowsHead<'_>,
        schema: &TableSchema,
        layout: &RowLayout,
        at: &At,
    ) -> Result<Arc<Present>, MysqlError> {
        let left_null = |place: usize| schema.columns.get(place).is_some_and(|c| self.is_left_null(c));
        let present = Present::of(head, schema.columns.len(), left_null);
        let unknown = match head.kind {
            _ if layout.is_versioned() => Some("a table with a hidden history"),
            RowsKind::Write => Some("an inserted row has the column's default there, which is not written"),
            RowsKind::Update if self.flavour == Flavour::MariaDb => {
                Some("MariaDB leaves virtual columns out even where they changed")
            }
            RowsKind::Update | RowsKind::Delete => None,
        };
        let lacks = present.absent().and_then(|absent| absent.after.first());
        let lacks = lacks.and_then(|&place| schema.columns.get(place)).map(|column| &*column.name);
        let reason = match (unknown, lacks) {
            (Some(why), Some(column)) => {
                format!("lack the column `{column}`, and its value cannot be told ({why})")
            }
            (Some(why), None) if layout.is_versioned() => {
                format!("lack columns, which is not followed for {why}")
            }
            _ => return Ok(Arc::new(present)),
        };
        Err(MysqlError::Incomplete { table: schema.id.clone(), place: self.place(at.start), reason })
    }

    /// Whether a row that was inserted without naming this column has null there. MySQL writes columns with default expressions
    /// even then, and its BLOB kinds take no other default.
    fn is_left_null(&self, column: &Column) -> bool {
        use BaseType as B;
        let base = DeclaredType::parse(&column.source_type).map(|declared| declared.base);
        self.flavour == Flavour::MySql
            && column.nullable
            && matches!(base, Some(B::Text | B::Blob | B::Json | B::Geometry))
    }
}

/// Copies an event's rows out of the connection's buffer.
fn keep(block: &mut BytesMut, rows: &[u8]) -> Bytes {
    if rows.len() >= OWN_BLOCK_BYTES {
        return Bytes::copy_from_slice(rows);
    }
    if block.capacity() - block.len() < rows.len() {
        *block = BytesMut::with_capacity(BLOCK_BYTES);
    }
    block.extend_from_slice(rows);
    block.split().freeze()
}
