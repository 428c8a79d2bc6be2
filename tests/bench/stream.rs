//! The receiver alone, and with its decoder, without anything behind them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sluicebox_model::{Gtids, Position, Secret, TableId};
use sluicebox_mysql::{
    BatchBuilder, BinlogStream, ConnectOptions, Control, Images, RowsEvent, Skip, StreamItem, StreamOptions,
    Tls, TlsMode, TypeOptions,
};

use super::backlog::Backlog;
use super::support::{Database, Server, wait};
use super::usage::{Figures, Usage};

const TYPES: TypeOptions = TypeOptions { tinyint1_is_boolean: true };
/// An id that no other reader here has.
const SERVER_ID: u32 = 4_000_000_002;
/// Row images of one batch: 8,000 rows of the backlog, about what the pipeline gathers.
const BATCH_BYTES: usize = 1 << 20;

/// Reads the backlog; its rows are passed over, or decoded into columns that are thrown away.
pub fn receive(source: &Database<'_>, backlog: &Backlog, decode: bool) -> Figures {
    keep_freed_memory();
    let (cpu, begin) = (Usage::of_us(), Instant::now());
    let mut stream = open(source, backlog, decode);
    let mut decoder = Decoder::default();
    events(&mut stream, backlog, |event| decoder.take(event));
    assert_eq!(decoder.end(), if decode { backlog.rows } else { 0 });
    Figures { took: begin.elapsed(), cpu: Usage::of_us().cpu - cpu.cpu, peak: None }
}

/// Decodes events that are in memory by then.
pub fn decode(source: &Database<'_>, backlog: &Backlog) -> Figures {
    keep_freed_memory();
    let mut kept = Vec::new();
    events(&mut open(source, backlog, true), backlog, |event| kept.push(event));
    let (cpu, begin) = (Usage::of_us(), Instant::now());
    let mut decoder = Decoder::default();
    kept.into_iter().for_each(|event| decoder.take(event));
    assert_eq!(decoder.end(), backlog.rows);
    Figures { took: begin.elapsed(), cpu: Usage::of_us().cpu - cpu.cpu, peak: None }
}

/// As the program does at its start: the C library keeps the memory of a batch for the next one.
fn keep_freed_memory() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(2 << 20)));
}

fn open(source: &Database<'_>, backlog: &Backlog, capture: bool) -> BinlogStream {
    let connect = ConnectOptions {
        host: source.server().host().to_owned(),
        port: source.server().port(),
        user: Server::USER.to_owned(),
        password: Secret::new(Server::PASSWORD),
        tls: Tls { mode: TlsMode::Disabled, ca: None, identity: None },
        connect_timeout: Duration::from_secs(30),
        compress: None,
    };
    let table = TableId::new(source.name(), "orders");
    let (server, schemas) = wait(async {
        let mut control = Control::connect(&connect).await.expect("the server answers");
        let schemas =
            control.schemas(std::slice::from_ref(&table), &TYPES).await.expect("the table's columns");
        (control.server().clone(), schemas)
    });
    let from =
        Position { file: backlog.start.file.clone(), offset: backlog.start.offset, gtids: Gtids::None };
    BinlogStream::open(StreamOptions {
        connect,
        server,
        server_id: SERVER_ID,
        heartbeat: Duration::from_secs(30),
        from,
        skip: Skip::default(),
        schemas: if capture { schemas.into_iter().map(Arc::new).collect() } else { Vec::new() },
        captures: Arc::new(move |found| capture && *found == table),
        known_behind: Vec::new(),
        repairs: Vec::new(),
        new_are_read: false,
        matches: Arc::new(|_| false),
        types: TYPES,
        database_charsets: Vec::new(),
    })
    .expect("the stream opens")
}

/// Row events up to the backlog's end.
fn events(stream: &mut BinlogStream, backlog: &Backlog, mut take: impl FnMut(RowsEvent)) {
    loop {
        match stream.next().expect("the stream goes on") {
            StreamItem::Rows(event) => take(event),
            StreamItem::End { transaction, end, .. } => {
                if *transaction.file == *backlog.end.file && end >= backlog.end.offset {
                    return;
                }
            }
            StreamItem::Schema(_) | StreamItem::Idle => {}
        }
    }
}

/// Gathers events into batches, as the pipeline does.
#[derive(Default)]
struct Decoder {
    gathered: Vec<RowsEvent>,
    bytes: usize,
    rows: u64,
}

impl Decoder {
    fn take(&mut self, event: RowsEvent) {
        self.bytes += event.byte_len();
        self.gathered.push(event);
        if self.bytes >= BATCH_BYTES {
            self.decode();
        }
    }

    fn decode(&mut self) {
        let Some(first) = self.gathered.first() else { return };
        let mut batch = BatchBuilder::new(Arc::clone(&first.schema), Images::Effective);
        batch.push_all(&self.gathered).expect("rows that fit their columns");
        self.rows += batch.rows() as u64;
        std::hint::black_box(batch.finish().expect("a batch"));
        self.gathered.clear();
        self.bytes = 0;
    }

    /// Rows in all.
    fn end(mut self) -> u64 {
        self.decode();
        self.rows
    }
}
