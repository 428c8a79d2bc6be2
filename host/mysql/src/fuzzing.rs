//! What reads bytes of a server, one entry for each decoder, for `host/fuzz` and for the tests beside this file.
//!
//! Each entry takes any bytes at all and comes back, quickly and without much memory, whatever they are. What must hold
//! beyond that is asserted here, so that the fuzzer and the tests look for the same mistakes. Not part of the crate's
//! interface: the feature `fuzzing` is for this repository alone.

mod pieces;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use sluicebox_model::{GtidSet, MariaDbGtids, TableSchema};

use crate::ddl::{self, ApplyContext, DdlContext, DdlStatement};
use crate::event::{self, Payload, RowsHead, RowsKind, TableMap, kind};
use crate::row::{BatchBuilder, Images, RowLayout};
use crate::stream::{self, RowsEvent, StreamItem};
use crate::{DeclaredType, Flavour, json};
use pieces::{Pieces, envelope, options, schema_of, wide_table};

/// Decoded rows that one entry looks at; what comes behind them is of the same kind.
const EVENTS_MAX: usize = 64;

/// One event: a byte for its type, a byte of flags, its body. Read by everything that reads such a type.
pub fn binlog_event(data: &[u8]) {
    for checksum in [false, true] {
        // As it comes, so that lengths and checksums are wrong too.
        let _ = event::frame(data, checksum);
    }
    let [event_type, flags, body @ ..] = data else { return };
    let bytes = envelope(*event_type, u16::from(*flags), 7, body);
    let Ok(framed) = event::frame(&bytes, false) else {
        assert_eq!(
            *event_type,
            kind::FORMAT_DESCRIPTION,
            "only this one has a checksum that counts in any case"
        );
        return;
    };
    assert_eq!(framed.body, body, "the body goes through as it is");
    let _ = event::format_description(&framed.header, body);
    let _ = event::mysql_gtid(body, &"".into());
    let _ = event::mysql_anonymous(body);
    let _ = event::mysql_tagged_gtid(body);
    let _ = event::mariadb_gtid(&framed.header, body);
    let _ = event::query(*event_type, u16::from(*flags), body);
    if let Ok(list) = event::gtid_list(body) {
        assert_eq!(list.to_string().parse(), Ok(list), "a list reads back as it prints");
    }
    if let Ok(head) = event::rows_head(*event_type, body) {
        assert!(body.ends_with(head.rows) && head.columns <= body.len() * 8, "{head:?}");
    }
    if let Ok(map) = TableMap::parse(body) {
        assert!(map.columns.len() <= body.len(), "a column takes a byte at least");
    }
}

/// Compressed forms: a byte says which, then the body. What comes out is as long as it was said to be.
pub fn compressed(data: &[u8]) {
    let Some((which, body)) = data.split_first() else { return };
    match which % 3 {
        0 => {
            let Ok(mut payload) = Payload::new(body) else { return };
            let mut events = 0;
            while let Ok(Some(event)) = payload.next() {
                let said = event
                    .get(9..13)
                    .map(|length| length.iter().rev().fold(0, |n, b| n << 8 | usize::from(*b)));
                assert_eq!(said, Some(event.len()));
                events += 1;
                if events == EVENTS_MAX {
                    return;
                }
            }
        }
        1 => {
            let _ = event::inflate_body(body);
        }
        _ => {
            let mut out = b"before".to_vec();
            let _ = event::inflate_column(body, &mut out);
            assert!(out.starts_with(b"before"), "what is there stays");
        }
    }
}

/// A connection's events: a byte for the flavour, then for each event its type, flags, length (two bytes) and body. Rows
/// are decoded too.
pub fn binlog_stream(data: &[u8]) {
    let mut pieces = Pieces::new(data);
    let flavour = if pieces.byte() & 1 == 0 { Flavour::MySql } else { Flavour::MariaDb };
    let mut events = Vec::new();
    let mut place = 4_u32;
    while !pieces.is_empty() && events.len() < EVENTS_MAX {
        let (event_type, flags) = (pieces.byte(), pieces.byte());
        let body = pieces.sized();
        place = place.wrapping_add(u32::try_from(body.len()).unwrap_or(0));
        events.push(envelope(event_type, u16::from(flags), place, body));
    }
    let (items, _) = stream::replay(options(flavour), events.iter().map(Vec::as_slice));
    let mut last = 0;
    for item in items {
        let StreamItem::Rows(rows) = item else { continue };
        assert!(rows.ordinal > last, "ordinals rise");
        last = rows.ordinal;
        decode(&rows, Images::Both);
    }
}

/// Row images of a table: eight bytes choose its columns, one what the event did, and where that says so the columns that images hold
/// before and after an update; the rest are the rows.
pub fn row_images(data: &[u8]) {
    let mut pieces = Pieces::new(data);
    let chosen = pieces.number();
    let how = pieces.byte();
    let (schema, map) = wide_table(|place| chosen >> (place % 64) & 1 == 1);
    let flavour = if how & 1 == 0 { Flavour::MySql } else { Flavour::MariaDb };
    let Ok(layout) = RowLayout::new(&schema, &map, flavour) else {
        assert!(schema.columns.is_empty(), "the table and its map are made to fit");
        return;
    };
    let kind = [RowsKind::Write, RowsKind::Update, RowsKind::Delete][usize::from(how >> 1 & 3) % 3];
    let images = if how & 8 == 0 { Images::Both } else { Images::Effective };
    if how & 32 == 0 {
        let event = pieces::rows_event(schema, layout, kind, how & 16 != 0, pieces.rest());
        return decode(&event, images);
    }
    let present = [pieces.sized(), pieces.sized()];
    let rows = pieces.rest();
    let has_differences = how & 64 != 0;
    let kind = if has_differences { RowsKind::Update } else { kind };
    let (columns, is_full, is_compressed) = (layout.columns(), false, false);
    let head =
        RowsHead { table_id: 1, kind, columns, is_full, has_differences, present, is_compressed, rows };
    let Ok(Ok(present)) = stream::what_is_there(flavour, &head, &schema, &layout) else { return };
    let event = pieces::rows_event(schema, layout, kind, false, rows);
    decode(&RowsEvent { present: Some(Arc::new(present)), ..event }, images);
}

fn decode(event: &RowsEvent, images: Images) {
    let mut batch = BatchBuilder::new(Arc::clone(&event.schema), images);
    if batch.push(event).is_err() {
        return;
    }
    let rows = batch.rows();
    assert!(rows <= event.byte_len().saturating_mul(1100), "a row takes a bit at least, deflated or not");
    let Ok(batch) = batch.finish() else { return };
    assert_eq!(batch.kinds.len(), rows);
    assert!(batch.columns.iter().all(|column| column.len() == rows), "columns are as long as the batch");
}

/// A table map and a schema of their own: the map's bytes behind the schema's statement. Joined, and rows decoded.
pub fn table_map(data: &[u8]) {
    let mut pieces = Pieces::new(data);
    let statement = String::from_utf8_lossy(pieces.sized()).into_owned();
    let map = pieces.sized();
    let Some(schema) = schema_of(&statement) else { return };
    let Ok(map) = TableMap::parse(map) else { return };
    let Ok(layout) = RowLayout::new(&schema, &map, Flavour::MariaDb) else { return };
    assert_eq!(layout.columns(), map.columns.len());
    decode(&pieces::rows_event(schema, layout, RowsKind::Write, false, pieces.rest()), Images::Both);
}

/// A binary JSON document: its text is JSON, and no longer than a document of these bytes can have. So with one behind its length
/// that is changed by the difference behind it.
pub fn json_document(data: &[u8]) {
    let mut text = Vec::new();
    if json::write(data, &mut text).is_ok() {
        check_json(&text, json::text_max(data));
    }
    let mut pieces = Pieces::new(data);
    let (document, differences) = (pieces.sized(), pieces.rest());
    let mut text = Vec::new();
    if json::write_patched(document, differences, &mut text).is_ok() {
        check_json(&text, json::text_max(document) + json::text_max(differences));
    }
}

fn check_json(text: &[u8], most: usize) {
    assert!(text.len() <= most, "{} bytes of {most}", text.len());
    if let Ok(text) = std::str::from_utf8(text) {
        let read = serde_json::from_str::<serde::de::IgnoredAny>(text);
        assert!(read.is_ok(), "{text} is no JSON: {read:?}");
    }
}

/// A statement behind a byte of settings: parsed, and applied to a table. What comes of the table is a table.
pub fn ddl_statement(data: &[u8]) {
    let Some((settings, text)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(text);
    let context = DdlContext {
        database: "d",
        ansi_quotes: settings & 1 != 0,
        no_backslash_escapes: settings & 2 != 0,
        flavour: if settings & 4 == 0 { Flavour::MySql } else { Flavour::MariaDb },
        version: (10, 11, 18),
    };
    let Ok(statements) = ddl::parse(&text, &context) else { return };
    let mut schema = schema_of("CREATE TABLE t (a INT PRIMARY KEY, b VARCHAR(10), c TEXT CHARSET latin1)");
    for statement in &statements {
        schema = applied(schema, statement);
    }
}

fn applied(schema: Option<Arc<TableSchema>>, statement: &DdlStatement) -> Option<Arc<TableSchema>> {
    match ddl::apply(schema.as_deref(), statement, &ApplyContext::default()) {
        Ok((after, _)) => {
            after.iter().for_each(check_table);
            after.map(Arc::new)
        }
        Err(_) => schema,
    }
}

fn check_table(schema: &TableSchema) {
    assert!(schema.key.iter().all(|place| *place < schema.columns.len()), "{schema:?}");
    for column in &schema.columns {
        let declared = DeclaredType::parse(&column.source_type);
        assert!(declared.is_some(), "`{}` is kept and cannot be read", column.source_type);
    }
}

/// What a server says while we log in: its greeting, a change of the way of proving, the challenge, a refusal.
pub fn login_packet(packet: &[u8]) {
    crate::wire::read_login_packet(packet);
}

/// GTID sets, as text and as bytes, of both servers: what was read is written and read again.
pub fn gtid_set(data: &[u8]) {
    if let Ok(set) = event::decode_set(data) {
        check_set(&set);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(set) = text.parse::<GtidSet>() {
        check_set(&set);
    }
    if let Ok(list) = text.parse::<MariaDbGtids>() {
        assert_eq!(list.to_string().parse(), Ok(list), "{text}");
    }
}

fn check_set(set: &GtidSet) {
    assert_eq!(set.to_string().parse().as_ref(), Ok(set), "as text");
    assert_eq!(event::decode_set(&event::encode_set(set)).as_ref(), Ok(set), "as bytes");
}

/// A set made of intervals `(server, tag, first, last)` holds what was put in, and nothing beside it.
pub fn gtid_intervals(intervals: &[(u8, u8, u16, u16)]) {
    let mut set = GtidSet::default();
    let tags: [Arc<str>; 3] = ["".into(), "a".into(), "b_1".into()];
    let name =
        |(server, tag, _, _): &(u8, u8, u16, u16)| (u128::from(server % 3), &tags[usize::from(tag % 3)]);
    for interval in intervals {
        let (server, tag) = name(interval);
        set.add_interval(server, tag, interval.2.max(1).into(), interval.3.into());
    }
    for interval in intervals {
        let (server, tag) = name(interval);
        for number in [interval.2, interval.3, interval.2.wrapping_sub(1), interval.3.wrapping_add(1)] {
            let inside = intervals
                .iter()
                .any(|other| name(other) == (server, tag) && (other.2.max(1)..=other.3).contains(&number));
            assert_eq!(set.contains(server, tag, number.into()), inside, "{number} of {intervals:?}");
        }
    }
    check_set(&set);
}
