//! The row walk against another one: the same events of a server through `mysql_cdc`'s row parser, cell by cell.
//!
//! `mysql_cdc` reads some types badly, so it is told that they are bytes or bits of the same length; then every boundary
//! and every number must agree. Needs the servers that `scripts/test` starts.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, UInt64Type};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use mysql_cdc::events::row_events::delete_rows_event::DeleteRowsEvent;
use mysql_cdc::events::row_events::mysql_value::MySqlValue;
use mysql_cdc::events::row_events::update_rows_event::UpdateRowsEvent;
use mysql_cdc::events::row_events::write_rows_event::WriteRowsEvent;
use mysql_cdc::events::table_map_event::TableMapEvent;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use sluicebox_model::{ChangeBatch, Gtids, Secret, TableId, TableSchema, TransactionId};

use super::{BatchBuilder, Images, RowLayout};
use crate::event::{self, RowsKind, TableMap, kind, wire};
use crate::stream::RowsEvent;
use crate::wire::{Connection, Dump, DumpStart, Stop};
use crate::{ConnectOptions, Control, Flavour, Tls, TypeOptions};

const TYPES: &[&str] = &[
    "tinyint",
    "tinyint unsigned",
    "smallint",
    "smallint unsigned",
    "mediumint",
    "mediumint unsigned",
    "int",
    "int unsigned",
    "bigint",
    "bigint unsigned",
    "float",
    "double",
    "decimal(5,2)",
    "decimal(18,9)",
    "decimal(30,5)",
    "decimal(65,30)",
    "bit(1)",
    "bit(13)",
    "bit(64)",
    "year",
    "date",
    "time",
    "time(3)",
    "datetime",
    "datetime(6)",
    "timestamp(2) null",
    "char(10)",
    "char(255)",
    "varchar(20)",
    "varchar(400)",
    "tinytext",
    "text",
    "mediumtext",
    "binary(7)",
    "varbinary(30)",
    "blob",
    "longblob",
    "enum('a','b','c')",
    "set('a','b','c','d','e','f','g','h','i')",
];

fn literal(declared: &str, rng: &mut StdRng) -> String {
    if rng.random_bool(0.2) {
        return "NULL".to_owned();
    }
    let (word, _) = declared.split_once(['(', ' ']).unwrap_or((declared, ""));
    let small: i32 = rng.random_range(-100..100);
    match word {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => {
            let shift = [56, 48, 40, 32, 0][["tinyint", "smallint", "mediumint", "int", "bigint"]
                .iter()
                .position(|w| *w == word)
                .unwrap_or(0)];
            match declared.contains("unsigned") {
                true => (rng.random::<u64>() >> shift).to_string(),
                false => (rng.random::<i64>() >> shift).to_string(),
            }
        }
        "float" | "double" => format!("{:e}", rng.random::<f32>() * 1e10 - 5e9),
        "decimal" => format!("{small}.{:02}", rng.random_range(0..100)),
        "bit" => u64::from(rng.random::<bool>()).to_string(),
        "year" => rng.random_range(1901..2155).to_string(),
        "date" => format!(
            "'{}-0{}-2{}'",
            rng.random_range(1000..9999),
            rng.random_range(1..9),
            rng.random_range(0..9)
        ),
        "time" => format!("'{small}:59:0{}.5'", rng.random_range(0..9)),
        "datetime" | "timestamp" => format!("'20{}-01-02 03:04:05.678901'", rng.random_range(10..37)),
        "enum" => rng.random_range(1..4).to_string(),
        "set" => rng.random_range(0..512).to_string(),
        _ => format!(
            "REPEAT('{}', {})",
            ["a", "é", " ", "\\0"].choose(rng).unwrap_or(&"a"),
            rng.random_range(0..7)
        ),
    }
}

/// The map as `mysql_cdc` should read the rows: what it reads badly is bytes or bits of the same length.
fn rewritten(map: &TableMap) -> TableMapEvent {
    let (mut types, mut metadata) = (Vec::new(), Vec::new());
    for column in &map.columns {
        let prefix = if column.meta < 256 { 1 } else { 2 };
        let fraction = column.meta.div_ceil(2);
        let (kind, meta) = match column.kind {
            wire::VARCHAR | wire::VAR_STRING | wire::STRING => (wire::BLOB, prefix),
            wire::ENUM | wire::SET => (wire::SET, column.meta),
            wire::TIMESTAMP2 => (wire::SET, 4 + fraction),
            wire::DATETIME2 => (wire::SET, 5 + fraction),
            wire::TIME2 => (wire::SET, 3 + fraction),
            wire::YEAR => (wire::SET, 1),
            wire::DATE => (wire::SET, 3),
            wire::BIT => (wire::SET, (column.meta >> 8) + u16::from(column.meta & 255 > 0)),
            other => (other, column.meta),
        };
        types.push(kind);
        metadata.push(meta);
    }
    TableMapEvent {
        table_id: map.table_id,
        database_name: map.database.clone(),
        table_name: map.table.clone(),
        null_bitmap: vec![true; types.len()],
        column_types: types,
        column_metadata: metadata,
        table_metadata: None,
    }
}

/// What the other parser read, in the text that a column of ours would have; none where the forms differ.
fn text(value: &MySqlValue, column: &sluicebox_model::Column) -> Option<String> {
    let unsigned = column.source_type.contains("unsigned");
    Some(match value {
        MySqlValue::TinyInt(v) => {
            if unsigned {
                v.to_string()
            } else {
                v.cast_signed().to_string()
            }
        }
        MySqlValue::SmallInt(v) => {
            if unsigned {
                v.to_string()
            } else {
                v.cast_signed().to_string()
            }
        }
        MySqlValue::MediumInt(v) => {
            if unsigned {
                v.to_string()
            } else {
                ((v << 8).cast_signed() >> 8).to_string()
            }
        }
        MySqlValue::Int(v) => {
            if unsigned {
                v.to_string()
            } else {
                v.cast_signed().to_string()
            }
        }
        MySqlValue::BigInt(v) => {
            if unsigned {
                v.to_string()
            } else {
                v.cast_signed().to_string()
            }
        }
        MySqlValue::Float(v) => f64::from(*v).to_string(),
        MySqlValue::Double(v) => v.to_string(),
        MySqlValue::Decimal(v) => v.clone(),
        MySqlValue::Blob(v) if column.column_type == sluicebox_model::ColumnType::Binary => {
            let declared = crate::DeclaredType::parse(&column.source_type)?;
            let mut bytes = v.clone();
            if declared.base == crate::BaseType::Binary {
                bytes.resize(usize::try_from(declared.padded_bytes()).ok()?, 0);
            }
            format!("{bytes:?}")
        }
        MySqlValue::Blob(v) => String::from_utf8_lossy(v).into_owned(),
        MySqlValue::Set(v) if column.source_type.starts_with("enum") => {
            ["", "a", "b", "c"].get(usize::try_from(*v).ok()?)?.to_string()
        }
        MySqlValue::Set(v)
            if column.source_type.starts_with("bit") || column.source_type.starts_with("year") =>
        {
            // Bytes of BIT come most significant first.
            match column.source_type.starts_with("year") {
                true => (1900 + v).to_string(),
                false => {
                    let bytes = crate::DeclaredType::parse(&column.source_type)?.bits().div_ceil(8);
                    (v.swap_bytes() >> (64 - 8 * u32::from(bytes))).to_string()
                }
            }
        }
        _ => return None,
    })
}

fn ours(batch: &ChangeBatch, row: usize, place: usize) -> Option<String> {
    let array = &batch.columns[place];
    if array.is_null(row) {
        return None;
    }
    let scale = match batch.schema.columns[place].column_type {
        sluicebox_model::ColumnType::Decimal { scale, .. } => usize::from(scale),
        _ => 0,
    };
    Some(match array.data_type() {
        DataType::Int64 => {
            let value = array.as_primitive::<Int64Type>().value(row);
            match scale {
                0 => value.to_string(),
                scale => {
                    let digits = format!("{:0width$}", value.unsigned_abs(), width = scale + 1);
                    let (integer, fraction) = digits.split_at(digits.len() - scale);
                    format!("{}{integer}.{fraction}", if value < 0 { "-" } else { "" })
                }
            }
        }
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).to_string(),
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row).to_string(),
        DataType::Decimal128(..) => array.as_primitive::<Decimal128Type>().value_as_string(row),
        DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
        _ => format!("{:?}", array.as_binary::<i32>().value(row)),
    })
}

struct Walk {
    schema: Arc<TableSchema>,
    cells: usize,
    rows: usize,
}

impl Walk {
    /// Decodes one event both ways and compares.
    fn compare(&mut self, map: &TableMap, event_type: u8, body: &[u8]) {
        let head = event::rows_head(event_type, body).expect("a head");
        let layout = RowLayout::new(&self.schema, map, Flavour::MySql).expect("a layout");
        let transaction = Arc::new(TransactionId { gtid: None, file: "b".into(), offset: 4 });
        let event = RowsEvent {
            schema: Arc::clone(&self.schema),
            transaction,
            commit_micros: 0,
            ordinal: 1,
            layout: Arc::new(layout),
            kind: head.kind,
            is_compressed: head.is_compressed,
            present: None,
            body: bytes::Bytes::copy_from_slice(head.rows),
        };
        let mut builder = BatchBuilder::new(Arc::clone(&self.schema), Images::Both);
        builder.push(&event).expect("rows");
        let batch = builder.finish().expect("a batch");
        let maps = HashMap::from([(map.table_id, rewritten(map))]);
        let version = if (kind::WRITE_ROWS..=kind::DELETE_ROWS).contains(&event_type) { 2 } else { 1 };
        let mut cursor = io::Cursor::new(body);
        let theirs: Vec<Vec<Option<MySqlValue>>> = match head.kind {
            RowsKind::Write => {
                let event = WriteRowsEvent::parse(&mut cursor, &maps, version).expect("rows");
                event.rows.into_iter().map(|row| row.cells).collect()
            }
            RowsKind::Delete => {
                let event = DeleteRowsEvent::parse(&mut cursor, &maps, version).expect("rows");
                event.rows.into_iter().map(|row| row.cells).collect()
            }
            RowsKind::Update => {
                let event = UpdateRowsEvent::parse(&mut cursor, &maps, version).expect("rows");
                let both = |row: mysql_cdc::events::row_events::row_data::UpdateRowData| {
                    [row.before_update.cells, row.after_update.cells]
                };
                event.rows.into_iter().flat_map(both).collect()
            }
        };
        assert_eq!(theirs.len(), batch.rows());
        for (row, cells) in theirs.iter().enumerate() {
            for (place, theirs) in cells.iter().enumerate() {
                let column = &self.schema.columns[place];
                let got = ours(&batch, row, place);
                assert_eq!(theirs.is_some(), got.is_some(), "{}", column.source_type);
                if let (Some(theirs), Some(got)) = (theirs, got)
                    && let Some(theirs) = text(theirs, column)
                    && column.column_type != sluicebox_model::ColumnType::Boolean
                {
                    assert_eq!(got, theirs, "{}", column.source_type);
                    self.cells += 1;
                }
            }
        }
        self.rows += batch.rows();
    }

    /// Reads the table's events up to its last one.
    fn run(&mut self, mut dump: Dump, table: &str, events_with: &str) {
        let (mut checksum, mut map, mut deleted) = (true, None, false);
        while !deleted {
            let bytes = dump.next().expect("an event").to_vec();
            let event = event::frame(&bytes, checksum).expect("a sound event");
            match event.header.event_type {
                kind::FORMAT_DESCRIPTION => {
                    checksum =
                        event::format_description(&event.header, event.body).expect("a format").checksum;
                }
                kind::TABLE_MAP => {
                    let read = TableMap::parse(event.body).expect("a map");
                    map = (read.database == events_with && read.table == table).then_some(read);
                }
                other @ (kind::WRITE_ROWS_V1..=kind::DELETE_ROWS_V1
                | kind::WRITE_ROWS..=kind::DELETE_ROWS) => {
                    if let Some(map) = &map {
                        self.compare(map, other, event.body);
                        deleted = matches!(other, kind::DELETE_ROWS_V1 | kind::DELETE_ROWS);
                    }
                }
                _ => {}
            }
        }
    }
}

fn connect_options(flavour: Flavour) -> ConnectOptions {
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
        user: "root".to_owned(),
        password: Secret::default(),
        tls: Tls::default(),
        connect_timeout: Duration::from_secs(60),
        compress: None,
    }
}

async fn random_table(conn: &mut Conn, database: &str, rng: &mut StdRng) {
    let mut types: Vec<&str> =
        (0..rng.random_range(20..60)).filter_map(|_| TYPES.choose(rng).copied()).collect();
    types.extend(TYPES);
    let columns: Vec<String> = types.iter().enumerate().map(|(n, t)| format!("c{n} {t}")).collect();
    let mut statements = vec![
        format!("DROP DATABASE IF EXISTS {database}"),
        format!("CREATE DATABASE {database} CHARACTER SET utf8mb4"),
        format!("CREATE TABLE {database}.t ({})", columns.join(",")),
    ];
    for _ in 0..4 {
        let rows: Vec<String> = (0..100)
            .map(|_| format!("({})", types.iter().map(|t| literal(t, rng)).collect::<Vec<_>>().join(",")))
            .collect();
        statements.push(format!("INSERT INTO {database}.t VALUES {}", rows.join(",")));
    }
    statements.push(format!(
        "UPDATE {database}.t SET c0 = {}, c3 = {}",
        literal(types[0], rng),
        literal(types[3], rng)
    ));
    statements.push(format!("DELETE FROM {database}.t LIMIT 50"));
    for statement in statements {
        conn.query_drop(&statement)
            .await
            .unwrap_or_else(|e| panic!("{e}: {}", &statement[..statement.len().min(300)]));
    }
}

fn check(flavour: Flavour, server_id: u32) {
    let seed = 20_261_125;
    println!("seed {seed}");
    let database = "stream_oracle";
    let mut rng = StdRng::seed_from_u64(seed);
    let options = connect_options(flavour);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (server, from, schema) = runtime.block_on(async {
        let mut control = Control::connect(&options).await.expect("a control connection");
        let from = control.position().await.expect("a position");
        let opts = OptsBuilder::default()
            .ip_or_hostname(options.host.clone())
            .tcp_port(options.port)
            .user(Some("root"))
            .prefer_socket(false)
            .init(vec!["SET NAMES utf8mb4", "SET SESSION sql_mode=''", "SET SESSION time_zone='+00:00'"]);
        let mut conn = Conn::new(opts).await.expect("a connection");
        random_table(&mut conn, database, &mut rng).await;
        let schemas =
            control.schemas(&[TableId::new(database, "t")], &TypeOptions::default()).await.expect("schemas");
        (control.server().clone(), from, schemas)
    });
    let start = match &from.gtids {
        Gtids::MySql(set) => DumpStart::MySqlGtids(set),
        Gtids::MariaDb(list) => DumpStart::MariaDbGtids(list),
        Gtids::None => panic!("the test servers have GTIDs"),
    };
    let connection = Connection::open(&options, &Stop::default()).expect("a connection");
    let dump = connection.dump(&server, server_id, Duration::from_secs(1), start, &from).expect("a dump");
    let schema = Arc::new(schema.into_iter().next().expect("the table"));
    let mut walk = Walk { schema, cells: 0, rows: 0 };
    walk.run(dump, "t", database);
    // 400 rows written, most of them updated as two images, and some deleted.
    assert!(walk.rows > 900 && walk.cells > 20_000, "{} rows, {} cells", walk.rows, walk.cells);
}

#[test]
fn rows_of_mysql_read_alike_in_another_parser() {
    check(Flavour::MySql, 7901);
}

#[test]
fn rows_of_mariadb_read_alike_in_another_parser() {
    check(Flavour::MariaDb, 7902);
}
