//! Sessions on the servers, streams of one database, and batches in text.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, UInt64Type};
use mysql_async::prelude::{FromRow, Queryable};
use mysql_async::{Conn, OptsBuilder};
use sluicebox_model::{ChangeBatch, Position, Secret, TableId, TableSchema};
use sluicebox_mysql::{
    BatchBuilder, BinlogStream, ConnectOptions, Control, Flavour, Images, MysqlError, RowsEvent, Skip,
    StreamItem, StreamOptions, Tls, TlsMode, TypeOptions,
};
use tokio::runtime::Runtime;

/// Both kinds of server, for tests that hold for both.
pub const BOTH: [Flavour; 2] = [Flavour::MySql, Flavour::MariaDb];

/// How to reach the server as `user`.
pub fn options_as(flavour: Flavour, user: &str, password: &str, mode: TlsMode) -> ConnectOptions {
    let variable = match flavour {
        Flavour::MySql => "SLUICEBOX_TEST_MYSQL_ADDR",
        Flavour::MariaDb => "SLUICEBOX_TEST_MARIADB_ADDR",
    };
    let address = std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set: run the tests with scripts/test, which starts the servers")
    });
    let (host, port) = address.rsplit_once(':').expect("host:port");
    ConnectOptions {
        host: host.to_owned(),
        port: port.parse().expect("a port"),
        user: user.to_owned(),
        password: Secret::new(password),
        tls: Tls { mode, ca: None, identity: None },
        connect_timeout: Duration::from_secs(60),
        compress: None,
    }
}

/// How to reach the server as root.
pub fn options(flavour: Flavour) -> ConnectOptions {
    options_as(flavour, "root", "", TlsMode::Preferred)
}

/// A connection that runs statements, in a database of its own that is made anew.
pub struct Session {
    pub flavour: Flavour,
    pub database: String,
    runtime: Runtime,
    conn: Option<Conn>,
}

impl Session {
    pub fn new(flavour: Flavour, database: &str) -> Self {
        let mut session = Self::connect(flavour, database);
        session.sql(&format!("DROP DATABASE IF EXISTS {database}"));
        session.sql(&format!("CREATE DATABASE {database} CHARACTER SET utf8mb4"));
        session.sql(&format!("USE {database}"));
        session
    }

    /// A second connection to the same database.
    pub fn another(&self) -> Self {
        let mut session = Self::connect(self.flavour, &self.database);
        session.sql(&format!("USE {}", self.database));
        session
    }

    fn connect(flavour: Flavour, database: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let options = options(flavour);
        let opts = OptsBuilder::default()
            .ip_or_hostname(options.host)
            .tcp_port(options.port)
            .user(Some("root"))
            .prefer_socket(false)
            .max_allowed_packet(Some(256 << 20))
            .init(vec!["SET NAMES utf8mb4", "SET SESSION sql_mode=''", "SET SESSION time_zone='+00:00'"]);
        let conn = runtime.block_on(Conn::new(opts)).expect("a connection");
        Self { flavour, database: database.to_owned(), runtime, conn: Some(conn) }
    }

    fn conn(&mut self) -> (&Runtime, &mut Conn) {
        (&self.runtime, self.conn.as_mut().expect("there until it is dropped"))
    }

    /// Runs a statement that must succeed.
    pub fn sql(&mut self, statement: &str) {
        let (runtime, conn) = self.conn();
        if let Err(error) = runtime.block_on(conn.query_drop(statement)) {
            panic!("{error}: {}", statement.chars().take(500).collect::<String>());
        }
    }

    /// Rows of a query.
    pub fn rows<T: FromRow + Send + 'static>(&mut self, query: &str) -> Vec<T> {
        let (runtime, conn) = self.conn();
        runtime.block_on(conn.query(query)).unwrap_or_else(|error| panic!("{error}: {query}"))
    }

    /// The server's end of the binlog.
    pub fn position(&self) -> Position {
        self.control(async |control| control.position().await.expect("a position"))
    }

    fn control<T>(&self, run: impl AsyncFnOnce(&mut Control) -> T) -> T {
        self.runtime.block_on(async {
            let mut control = Control::connect(&options(self.flavour)).await.expect("a control connection");
            let result = run(&mut control).await;
            control.close().await;
            result
        })
    }

    /// Schemas of all tables of this database.
    pub fn schemas(&self) -> Vec<Arc<TableSchema>> {
        let schemas = self.control(async |control| {
            let tables = control.tables().await.expect("tables");
            let ours: Vec<TableId> = tables.into_iter().filter(|t| *t.database == *self.database).collect();
            control.schemas(&ours, &TypeOptions::default()).await.expect("schemas")
        });
        schemas.into_iter().map(Arc::new).collect()
    }

    /// What a stream from here on needs; captures all tables of this database.
    pub fn stream_options(&self, server_id: u32) -> StreamOptions {
        let database = self.database.clone();
        StreamOptions {
            connect: options(self.flavour),
            server: self.control(async |control| control.server().clone()),
            server_id,
            heartbeat: Duration::from_secs(1),
            from: self.position(),
            skip: Skip::default(),
            schemas: self.schemas(),
            captures: Arc::new(move |table| *table.database == *database),
            known_behind: Vec::new(),
            repairs: Vec::new(),
            new_are_read: false,
            matches: Arc::new(|_| false),
            types: TypeOptions::default(),
            database_charsets: Vec::new(),
        }
    }

    /// A stream from here on.
    pub fn stream(&self, server_id: u32) -> BinlogStream {
        BinlogStream::open(self.stream_options(server_id)).expect("a stream")
    }

    /// Reads all that was written until now, as far as it concerns captured tables.
    pub fn read(&self, stream: &mut BinlogStream) -> Vec<StreamItem> {
        self.try_read(stream).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Reads all that was written until now, or up to an error.
    pub fn try_read(&self, stream: &mut BinlogStream) -> Result<Vec<StreamItem>, MysqlError> {
        let goal = self.position();
        let mut items = Vec::new();
        while !stream.position().includes(&goal) {
            items.push(stream.next()?);
        }
        // What other tests wrote at the same time.
        let mut ours = Vec::new();
        for item in items {
            match item {
                StreamItem::Idle => {}
                StreamItem::End { .. }
                    if !matches!(ours.last(), Some(StreamItem::Rows(_) | StreamItem::Schema(_))) => {}
                item => ours.push(item),
            }
        }
        Ok(ours)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take() {
            // The server ends what we leave open.
            let _ = self.runtime.block_on(conn.disconnect());
        }
    }
}

/// The row events of one table.
pub fn rows_of<'a>(items: &'a [StreamItem], table: &str) -> Vec<&'a RowsEvent> {
    let rows = items.iter().filter_map(|item| match item {
        StreamItem::Rows(rows) => Some(rows),
        StreamItem::Schema(_) | StreamItem::End { .. } | StreamItem::Idle => None,
    });
    rows.filter(|rows| *rows.schema.id.table == *table).collect()
}

/// Decodes events of one schema.
pub fn decode(events: &[&RowsEvent], images: Images) -> (ChangeBatch, u64) {
    let schema = Arc::clone(&events.first().expect("at least one event").schema);
    let mut builder = BatchBuilder::new(schema, images);
    for event in events {
        builder.push(event).unwrap_or_else(|error| panic!("{error}"));
    }
    let replaced = builder.replaced();
    (builder.finish().expect("a batch"), replaced)
}

/// The values of one table as text, in stream order: kind, then each column.
pub fn table_text(items: &[StreamItem], table: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for event in rows_of(items, table) {
        let (batch, _) = decode(&[event], Images::Effective);
        for row in 0..batch.rows() {
            let cells: Vec<String> =
                (0..batch.columns.len()).map(|column| cell(&batch, row, column)).collect();
            lines.push(format!("{:?} {}", batch.kinds[row], cells.join(" ")));
        }
    }
    lines
}

/// A value as text: numbers as they are held, bytes in hex.
pub fn cell(batch: &ChangeBatch, row: usize, column: usize) -> String {
    let array = &batch.columns[column];
    if array.is_null(row) {
        return "NULL".to_owned();
    }
    match array.data_type() {
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).to_string(),
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row).to_string(),
        DataType::Decimal128(..) => array.as_primitive::<Decimal128Type>().value_as_string(row),
        DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
        DataType::Binary => array.as_binary::<i32>().value(row).iter().map(|b| format!("{b:02x}")).collect(),
        other => panic!("{other}"),
    }
}

/// One word for each item: rows with their table, schema events with their changes.
pub fn outline(items: &[StreamItem]) -> Vec<String> {
    items
        .iter()
        .map(|item| match item {
            StreamItem::Rows(rows) => format!("rows {}", rows.schema.id.table),
            StreamItem::Schema(event) => {
                let changes: Vec<String> = event.changes.iter().map(change_name).collect();
                format!("schema {} {}", event.table.table, changes.join("+"))
            }
            StreamItem::End { .. } => "end".to_owned(),
            StreamItem::Idle => "idle".to_owned(),
        })
        .collect()
}

fn change_name(change: &sluicebox_model::SchemaChange) -> String {
    let text = format!("{change:?}");
    text.split(['(', ' ']).next().unwrap_or_default().to_owned()
}
