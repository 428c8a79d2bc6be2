//! What the entries are made of: pieces of their input, and tables and events around them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sluicebox_model::{
    Column, GtidSet, Gtids, MariaDbGtids, Position, Secret, TableId, TableSchema, TransactionId,
};

use crate::ddl::{self, ApplyContext, DdlContext};
use crate::event::{MapColumn, RowsKind, TableMap};
use crate::row::RowLayout;
use crate::stream::{RowsEvent, Skip, StreamOptions};
use crate::{ConnectOptions, DeclaredType, Flavour, ServerInfo, Tls, TypeOptions};

/// Takes pieces from the front; behind the end there are zeros.
pub(super) struct Pieces<'a> {
    rest: &'a [u8],
}

impl<'a> Pieces<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn rest(self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    /// Eight bytes.
    pub(super) fn number(&mut self) -> u64 {
        self.take(8).iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// Bytes behind a length of two bytes.
    pub(super) fn sized(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()) | usize::from(self.byte()) << 8;
        self.take(length)
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.rest = rest;
        taken
    }
}

/// An event without a checksum around a body.
pub(super) fn envelope(event_type: u8, flags: u16, next: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(19 + body.len()).unwrap_or(u32::MAX);
    let mut event = 1_000_u32.to_le_bytes().to_vec();
    event.push(event_type);
    event.extend(1_u32.to_le_bytes());
    event.extend(length.to_le_bytes());
    event.extend(next.to_le_bytes());
    event.extend(flags.to_le_bytes());
    event.extend(body);
    event
}

/// Columns of the widest table there is here: as declared, and how a table map writes them (type, metadata).
const COLUMNS: &[(&str, u8, u16)] = &[
    ("int", 3, 0),
    ("tinyint(1)", 1, 0),
    ("tinyint unsigned", 1, 0),
    ("smallint", 2, 0),
    ("smallint unsigned", 2, 0),
    ("mediumint", 9, 0),
    ("mediumint unsigned", 9, 0),
    ("int unsigned", 3, 0),
    ("bigint", 8, 0),
    ("bigint unsigned", 8, 0),
    ("float", 4, 4),
    ("double", 5, 8),
    ("decimal(5,2)", 246, 5 | 2 << 8),
    ("decimal(30,10)", 246, 30 | 10 << 8),
    ("decimal(65,30)", 246, 65 | 30 << 8),
    ("bit(1)", 16, 1),
    ("bit(13)", 16, 5 | 1 << 8),
    ("bit(64)", 16, 8 << 8),
    ("year", 13, 0),
    ("date", 10, 0),
    ("time", 19, 0),
    ("time(3)", 19, 3),
    ("time(6)", 19, 6),
    ("datetime", 18, 0),
    ("datetime(6)", 18, 6),
    ("timestamp(2)", 17, 2),
    ("time", 11, 0),
    ("datetime", 12, 0),
    ("timestamp", 7, 0),
    ("char(10)", 254, 40),
    ("char(255)", 254, 1020),
    ("varchar(400)", 15, 1600),
    ("varchar(20)", 253, 80),
    ("tinytext", 252, 1),
    ("text", 252, 2),
    ("longtext", 252, 4),
    ("binary(7)", 254, 7),
    ("varbinary(30)", 15, 30),
    ("mediumblob", 252, 3),
    ("json", 245, 4),
    ("enum('a','it''s','c')", 247, 1),
    ("set('a','b','c')", 248, 1),
    ("point", 255, 4),
    ("inet4", 254, 4),
    ("inet6", 254, 16),
    ("uuid", 254, 16),
    ("varchar(90)", 141, 361),
    ("longblob", 140, 4),
    ("timestamp(6)", 17, 6),
    ("text charset gbk", 252, 2),
    ("text charset sjis", 252, 2),
    ("text charset ucs2", 252, 2),
    ("text charset utf16le", 252, 2),
    ("text charset latin1", 252, 2),
];

/// A table of the chosen columns, and the map of its rows. Its first column is its key.
pub(super) fn wide_table(chosen: impl Fn(usize) -> bool) -> (Arc<TableSchema>, TableMap) {
    let mut columns = Vec::new();
    let mut written = Vec::new();
    for (place, (text, kind, meta)) in COLUMNS.iter().enumerate().filter(|(place, _)| chosen(*place)) {
        let (source_type, charset) = text.split_once(" charset ").unwrap_or((text, "utf8mb4"));
        let declared = DeclaredType::parse(source_type).expect("a type of the list");
        columns.push(Column {
            name: format!("c{place}").into(),
            column_type: declared.column_type(&TypeOptions::default()).expect("a type of the list"),
            nullable: true,
            source_type: source_type.into(),
            default: Default::default(),
            charset: Some(charset.into()),
            comment: None,
        });
        written.push(MapColumn { kind: *kind, meta: *meta, nullable: true, unsigned: None, collation: None });
    }
    let key = if columns.is_empty() { Vec::new() } else { vec![0] };
    let map = TableMap {
        table_id: 1,
        database: "d".to_owned(),
        table: "t".to_owned(),
        columns: written,
        names: None,
        labels: Default::default(),
    };
    (Arc::new(table(columns, key)), map)
}

fn table(columns: Vec<Column>, key: Vec<usize>) -> TableSchema {
    TableSchema {
        id: TableId::new("d", "t"),
        version: 1,
        columns,
        key,
        comment: None,
        charset: None,
        unique_keys: Vec::new(),
        ddl: None,
    }
}

/// The table that a statement makes; none when it makes none.
pub(super) fn schema_of(statement: &str) -> Option<Arc<TableSchema>> {
    let context = DdlContext {
        database: "d",
        ansi_quotes: false,
        no_backslash_escapes: false,
        flavour: Flavour::MariaDb,
        version: (10, 11, 18),
    };
    let statements = ddl::parse(statement, &context).ok()?;
    let (made, _) = ddl::apply(None, statements.first()?, &ApplyContext::default()).ok()?;
    made.map(Arc::new)
}

/// Rows of a table in an event.
pub(super) fn rows_event(
    schema: Arc<TableSchema>,
    layout: RowLayout,
    kind: RowsKind,
    is_compressed: bool,
    rows: &[u8],
) -> RowsEvent {
    RowsEvent {
        schema,
        transaction: Arc::new(TransactionId { gtid: None, file: "b.000001".into(), offset: 4 }),
        commit_micros: 0,
        ordinal: 1,
        layout: Arc::new(layout),
        kind,
        is_compressed,
        present: None,
        body: Bytes::copy_from_slice(rows),
    }
}

/// A stream that captures the database `d`, with one table in it: `t (id INT PRIMARY KEY, name TEXT)`.
pub(super) fn options(flavour: Flavour) -> StreamOptions {
    let gtids = match flavour {
        Flavour::MySql => Gtids::MySql(GtidSet::default()),
        Flavour::MariaDb => Gtids::MariaDb(MariaDbGtids::default()),
    };
    StreamOptions {
        connect: ConnectOptions {
            host: String::new(),
            port: 1,
            user: String::new(),
            password: Secret::default(),
            tls: Tls::default(),
            connect_timeout: Duration::from_secs(1),
            compress: None,
        },
        server: ServerInfo {
            flavour,
            version: (10, 11, 18),
            version_text: String::new(),
            uuid: None,
            server_id: 1,
            lower_case_table_names: 2,
            has_gtids: true,
        },
        server_id: 5,
        heartbeat: Duration::from_secs(1),
        from: Position { file: "b.000001".to_owned(), offset: 4, gtids },
        skip: Skip::default(),
        schemas: schema_of("CREATE TABLE t (id INT PRIMARY KEY, name TEXT)").into_iter().collect(),
        captures: Arc::new(|table| &*table.database == "d"),
        known_behind: Vec::new(),
        repairs: Vec::new(),
        new_are_read: false,
        matches: Arc::new(|_| false),
        types: TypeOptions::default(),
        database_charsets: Vec::new(),
    }
}
