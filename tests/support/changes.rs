//! The change events of a database, as our reader of the binlog sees them: one for each row, in order, with every column.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sluicebox_engine::events::{Event, Row, events_of, key_of};
use sluicebox_model::{Position, Secret, TableId, TableSchema};
use sluicebox_mysql::{
    BatchBuilder, BinlogStream, ConnectOptions, Control, Images, RowsEvent, ServerInfo, Skip, StreamItem,
    StreamOptions, Tls, TlsMode, TypeOptions,
};

use super::{Database, Server, wait};

const TYPES: TypeOptions = TypeOptions { tinyint1_is_boolean: true };
/// An id that no other reader of a private server has.
const SERVER_ID: u32 = 4_000_000_004;

/// One row that came, changed or went.
#[derive(Debug, Clone)]
pub struct Change {
    /// The table, as it was there.
    pub schema: Arc<TableSchema>,
    /// GTID of the transaction.
    pub transaction: String,
    /// None for a row that came.
    pub before: Option<Row>,
    /// None for a row that went.
    pub after: Option<Row>,
}

/// A place in the binlog from which the changes of a database will be read.
pub struct ChangeReader {
    connect: ConnectOptions,
    server: ServerInfo,
    from: Position,
    schemas: Vec<Arc<TableSchema>>,
    database: String,
}

impl ChangeReader {
    /// Begins here: with the tables that there are, and what comes from now on.
    #[track_caller]
    pub fn begin(source: &Database<'_>) -> Self {
        let connect = ConnectOptions {
            host: source.server().host().to_owned(),
            port: source.server().port(),
            user: Server::USER.to_owned(),
            password: Secret::new(Server::PASSWORD),
            tls: Tls { mode: TlsMode::Preferred, ca: None, identity: None },
            connect_timeout: Duration::from_secs(30),
            compress: None,
        };
        let (server, from, schemas) = wait(async {
            let mut control = Control::connect(&connect).await.expect("the server answers");
            let from = control.position().await.expect("a position");
            let mut tables = control.tables().await.expect("tables");
            tables.retain(|table| *table.database == *source.name());
            let schemas = control.schemas(&tables, &TYPES).await.expect("columns");
            (control.server().clone(), from, schemas)
        });
        let schemas = schemas.into_iter().map(Arc::new).collect();
        Self { connect, server, from, schemas, database: source.name().to_owned() }
    }

    /// All changes up to now.
    #[track_caller]
    pub fn read(self) -> Vec<Change> {
        let goal = wait(async {
            let mut control = Control::connect(&self.connect).await.expect("the server answers");
            control.position().await.expect("a position")
        });
        let database = self.database;
        let mut stream = BinlogStream::open(StreamOptions {
            connect: self.connect,
            server: self.server,
            server_id: SERVER_ID,
            heartbeat: Duration::from_secs(1),
            from: self.from,
            skip: Skip::default(),
            schemas: self.schemas,
            known_behind: Vec::new(),
            repairs: Vec::new(),
            new_are_read: false,
            captures: Arc::new(move |table: &TableId| *table.database == *database),
            matches: Arc::new(|_| false),
            types: TYPES,
            database_charsets: Vec::new(),
        })
        .expect("the stream opens");
        let mut changes = Vec::new();
        while !stream.position().includes(&goal) {
            if let StreamItem::Rows(event) = stream.next().expect("the stream goes on") {
                decode(&event, &mut changes);
            }
        }
        changes
    }
}

fn decode(event: &RowsEvent, changes: &mut Vec<Change>) {
    let mut builder = BatchBuilder::new(Arc::clone(&event.schema), Images::Both);
    builder.push(event).expect("rows that fit their columns");
    let transaction = event.transaction.gtid.as_ref().map(ToString::to_string).unwrap_or_default();
    let mut add = |before: Option<Row>, after: Option<Row>| {
        let (schema, transaction) = (Arc::clone(&event.schema), transaction.clone());
        changes.push(Change { schema, transaction, before, after });
    };
    for event_of_row in events_of(&builder.finish().expect("a batch")) {
        match event_of_row {
            Event::Insert(row) | Event::Read(row) => add(None, Some(row)),
            Event::Delete(row) => add(Some(row), None),
            Event::Update { before, after } => {
                let before = before.expect("both images were asked for");
                // A change of the key is another row.
                if key_of(&event.schema, &before) == key_of(&event.schema, &after) {
                    add(Some(before), Some(after));
                } else {
                    add(Some(before), None);
                    add(None, Some(after));
                }
            }
        }
    }
}

/// A value of a row; null where there is none.
pub fn value<'a>(row: Option<&'a Row>, column: &str) -> &'a Value {
    row.and_then(|row| row.get(column)).unwrap_or(&Value::Null)
}
