//! All that knows MySQL and MariaDB: connection, binlog decoding, DDL, catalog, snapshot, preflight checks.

mod bridge;
mod catalog;
mod client;
mod control;
pub mod ddl;
mod error;
mod event;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod json;
mod keys;
mod options;
mod preflight;
mod row;
mod snapshot;
mod stream;
mod types;
mod wire;

pub use control::Control;
pub use error::MysqlError;
pub use options::{
    ConnectOptions, Flavour, Identity, LineCompression, ServerInfo, Tls, TlsMode, TypeOptions,
};
pub use preflight::{Finding, Needs, Severity};
pub use row::{BatchBuilder, Images};
pub use snapshot::{Chunk, ChunkRead, ChunkRows, ExactMark, KeyBound, Pieces, SnapshotReader, Watermark};
pub use stream::{
    BinlogStream, Gap, Instant, Repair, RowsEvent, SchemaEvent, Skip, StreamItem, StreamOptions,
    StreamStopper, check_repair, find_instant, find_offset,
};
pub use types::{BaseType, DeclaredType};
