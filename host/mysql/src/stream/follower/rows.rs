//! Table maps and row events.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use sluicebox_model::{TableId, TableSchema};

use super::super::maps::Meaning;
use super::super::{Gap, RowsEvent, StreamItem};
use super::{At, Follower, Step, lacking};
use crate::event::{self, Fault, RowsHead, TableMap};
use crate::row::{LayoutFault, Present, RowLayout, behind_rows};
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
        let mismatch = |reason| {
            let gap = Some(Box::new(Gap::before(self.reached())));
            MysqlError::SchemaMismatch { table: table.clone(), place: self.place(at.start), reason, gap }
        };
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
        // What is held is not delivered yet, and so is not counted.
        let holds = self.xa.is_open && !self.reads_back;
        let is_used = if holds { self.is_left_out() } else { self.count() };
        if is_used {
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
        open.touched |= !holds;
        self.ordinal += 1;
        let event = RowsEvent {
            schema,
            transaction: Arc::clone(&open.id),
            commit_micros: open.commit_micros,
            ordinal: self.ordinal,
            layout,
            kind: head.kind,
            is_compressed,
            present,
            body: keep(&mut self.block, rows),
        };
        Ok(if holds { self.hold(event) } else { Step::Item(StreamItem::Rows(event)) })
    }

    fn check_rows(
        &self,
        head: &RowsHead<'_>,
        table: &TableId,
        columns: usize,
        at: &At,
    ) -> Result<(), MysqlError> {
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
        let found = lacking::check(self.flavour, head, schema, layout);
        match found.map_err(|fault| self.malformed(at, fault.to_string()))? {
            Ok(present) => Ok(Arc::new(present)),
            Err(reason) => {
                Err(MysqlError::Incomplete { table: schema.id.clone(), place: self.place(at.start), reason })
            }
        }
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
