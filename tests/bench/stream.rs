//! The receiver alone, and with its decoder, without anything behind them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sluicebox_model::{Gtids, Position, Secret, TableId};
use sluicebox_mysql::{
    BatchBuilder, BinlogStream, ConnectOptions, Control, Images, Skip, StreamItem, StreamOptions, Tls,
    TlsMode, TypeOptions,
};

use super::backlog::Backlog;
use super::support::{Database, Server, wait};
use super::usage::{Figures, Usage};

const TYPES: TypeOptions = TypeOptions { tinyint1_is_boolean: true };
/// An id that no other reader here has.
const SERVER_ID: u32 = 4_000_000_002;
/// Rows of one batch: about what the pipeline gathers.
const BATCH_ROWS: usize = 8192;

/// Reads the backlog; its rows are passed over, or decoded into columns that are thrown away.
pub fn receive(source: &Database<'_>, backlog: &Backlog, decode: bool) -> Figures {
    let connect = ConnectOptions {
        host: source.server().host().to_owned(),
        port: source.server().port(),
        user: Server::USER.to_owned(),
        password: Secret::new(Server::PASSWORD),
        tls: Tls { mode: TlsMode::Disabled, ca: None, identity: None },
        connect_timeout: Duration::from_secs(30),
    };
    let table = TableId::new(source.name(), "orders");
    let (server, schemas) = wait(async {
        let mut control = Control::connect(&connect).await.expect("the server answers");
        let schemas =
            control.schemas(std::slice::from_ref(&table), &TYPES).await.expect("the table's columns");
        (control.server().clone(), schemas)
    });
    let (cpu, begin) = (Usage::of_us(), Instant::now());
    let from =
        Position { file: backlog.start.file.clone(), offset: backlog.start.offset, gtids: Gtids::None };
    let mut stream = BinlogStream::open(StreamOptions {
        connect,
        server,
        server_id: SERVER_ID,
        heartbeat: Duration::from_secs(30),
        from,
        skip: Skip::default(),
        schemas: if decode { schemas.into_iter().map(Arc::new).collect() } else { Vec::new() },
        captures: Arc::new(move |found| decode && *found == table),
        known_behind: Vec::new(),
        matches: Arc::new(|_| false),
        types: TYPES,
        default_charset: None,
    })
    .expect("the stream opens");
    let rows = drain(&mut stream, backlog);
    assert_eq!(rows, if decode { backlog.rows } else { 0 });
    Figures { took: begin.elapsed(), cpu: Usage::of_us().cpu - cpu.cpu, peak: None }
}

/// Rows decoded up to the backlog's end.
fn drain(stream: &mut BinlogStream, backlog: &Backlog) -> u64 {
    let mut rows = 0;
    let mut batch: Option<BatchBuilder> = None;
    let mut finish = |batch: BatchBuilder| {
        rows += batch.rows() as u64;
        std::hint::black_box(batch.finish().expect("a batch"));
    };
    loop {
        match stream.next().expect("the stream goes on") {
            StreamItem::Rows(event) => {
                let open = batch
                    .get_or_insert_with(|| BatchBuilder::new(Arc::clone(&event.schema), Images::Effective));
                open.push(&event).expect("rows that fit their columns");
                if open.rows() >= BATCH_ROWS {
                    batch.take().map(&mut finish);
                }
            }
            StreamItem::End { transaction, end, .. } => {
                if *transaction.file == *backlog.end.file && end >= backlog.end.offset {
                    break;
                }
            }
            StreamItem::Schema(_) | StreamItem::Idle => {}
        }
    }
    batch.take().map(&mut finish);
    rows
}
