//! Nouns of the pipeline: tables, columns, schema changes, batches of row images, positions. No I/O.
//!
//! Everything that two of our crates say to each other is said in these types. A type lives here only when
//! it crosses a crate border; what one crate alone needs stays there.

mod batch;
mod gtid;
mod nearest;
mod position;
mod schema;
mod units;
mod verdict;

pub use batch::{Absent, ChangeBatch, Origin, RowKind};
pub use gtid::{Gtid, GtidError, GtidSet, MariaDbGtids};
pub use nearest::nearest;
pub use position::{Gtids, Position, TransactionId};
pub use schema::{
    Column, ColumnDefault, ColumnPlace, ColumnType, Physical, SchemaChange, TableId, TableSchema, UniqueKey,
};
pub use units::{ByteSize, Secret};
pub use verdict::{Folded, fold, is_pair, kinds_made, origins_made, select_origins};
