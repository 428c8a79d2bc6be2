//! The interface's types as they cross: those of `wit/transform.wit`, by hand, so that what goes in is borrowed.
//!
//! What goes in is lowered straight from Arrow's buffers, what comes out is lifted into vectors that become Arrow's
//! buffers. Names and order must be those of the definition; wasmtime compares them with the component's when it starts. What an
//! older version has otherwise is in a module of its own, and becomes what it is here.

use wasmtime::component::{ComponentType, Lift, Lower};

pub(crate) mod v0_1;

#[derive(ComponentType, Lower, Lift, Debug, Clone, Copy, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum ColumnType {
    #[component(name = "int")]
    Int,
    #[component(name = "uint")]
    Uint,
    #[component(name = "float")]
    Float,
    #[component(name = "decimal")]
    Decimal,
    #[component(name = "text")]
    Text,
    #[component(name = "binary")]
    Binary,
    #[component(name = "json")]
    Json,
    #[component(name = "date")]
    Date,
    #[component(name = "time")]
    Time,
    #[component(name = "datetime")]
    Datetime,
    #[component(name = "timestamp")]
    Timestamp,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct Column<'a> {
    pub(crate) name: &'a str,
    #[component(name = "type")]
    pub(crate) column_type: ColumnType,
    pub(crate) precision: u32,
    pub(crate) scale: u32,
    pub(crate) nullable: bool,
    pub(crate) key: Option<u32>,
    #[component(name = "source-type")]
    pub(crate) source_type: &'a str,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct Table<'a> {
    pub(crate) database: &'a str,
    pub(crate) name: &'a str,
    pub(crate) version: u64,
    pub(crate) columns: &'a [Column<'a>],
    pub(crate) ddl: Option<&'a str>,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct VectorIn<'a> {
    pub(crate) validity: Option<&'a [u8]>,
    pub(crate) data: DataIn<'a>,
}

#[derive(ComponentType, Lower)]
#[component(variant)]
pub(crate) enum DataIn<'a> {
    #[component(name = "ints")]
    Ints(&'a [i64]),
    #[component(name = "uints")]
    Uints(&'a [u64]),
    #[component(name = "floats")]
    Floats(&'a [f64]),
    #[component(name = "bytes")]
    Bytes(BytesIn<'a>),
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct BytesIn<'a> {
    pub(crate) offsets: &'a [u32],
    pub(crate) data: &'a [u8],
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct BatchIn<'a> {
    pub(crate) rows: u32,
    pub(crate) kinds: &'a [u8],
    pub(crate) columns: &'a [VectorIn<'a>],
}

#[derive(ComponentType, Lift, Debug, Clone, PartialEq)]
#[component(record)]
pub(crate) struct Vector {
    pub(crate) validity: Option<Vec<u8>>,
    pub(crate) data: VectorData,
}

#[derive(ComponentType, Lift, Debug, Clone, PartialEq)]
#[component(variant)]
pub(crate) enum VectorData {
    #[component(name = "ints")]
    Ints(Vec<i64>),
    #[component(name = "uints")]
    Uints(Vec<u64>),
    #[component(name = "floats")]
    Floats(Vec<f64>),
    #[component(name = "bytes")]
    Bytes(ByteStrings),
}

#[derive(ComponentType, Lift, Debug, Clone, PartialEq)]
#[component(record)]
pub(crate) struct ByteStrings {
    pub(crate) offsets: Vec<u32>,
    pub(crate) data: Vec<u8>,
}

#[derive(ComponentType, Lift, Debug, Clone, Copy, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code, reason = "lifting makes the variants from their numbers")]
pub(crate) enum Action {
    #[component(name = "pass")]
    Pass,
    #[component(name = "discard")]
    Discard,
    #[component(name = "process")]
    Process,
}

#[derive(ComponentType, Lift, Debug, Clone, PartialEq, Eq)]
#[component(record)]
pub(crate) struct FullType {
    #[component(name = "type")]
    pub(crate) column_type: ColumnType,
    pub(crate) precision: u32,
    pub(crate) scale: u32,
}

#[derive(ComponentType, Lift, Debug, Clone, PartialEq, Eq)]
#[component(variant)]
pub(crate) enum ComputedType {
    #[component(name = "type")]
    Full(FullType),
    #[component(name = "like")]
    Like(u32),
}

#[derive(ComponentType, Lift, Debug, Clone, PartialEq, Eq)]
#[component(record)]
pub(crate) struct Computed {
    #[component(name = "type")]
    pub(crate) computed_type: ComputedType,
    pub(crate) nullable: bool,
}

#[derive(ComponentType, Lift, Debug, Clone, PartialEq, Eq)]
#[component(variant)]
pub(crate) enum Source {
    #[component(name = "input")]
    Input(u32),
    #[component(name = "computed")]
    Computed(Computed),
}

#[derive(ComponentType, Lift, Debug, Clone, PartialEq, Eq)]
#[component(record)]
pub(crate) struct OutputColumn {
    pub(crate) name: String,
    pub(crate) source: Source,
}

#[derive(ComponentType, Lift, Debug, Clone, Copy, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code, reason = "lifting makes the variants from their numbers")]
pub(crate) enum Meta {
    #[component(name = "commit-time")]
    CommitTime,
    #[component(name = "position")]
    Position,
    #[component(name = "transaction")]
    Transaction,
    #[component(name = "seed")]
    Seed,
}

#[derive(ComponentType, Lift, Debug, Clone, Copy, PartialEq, Eq)]
#[component(variant)]
pub(crate) enum Read {
    #[component(name = "column")]
    Column(u32),
    #[component(name = "meta")]
    Meta(Meta),
}

#[derive(ComponentType, Lift, Debug, Clone, PartialEq, Eq)]
#[component(record)]
pub(crate) struct Plan {
    pub(crate) action: Action,
    pub(crate) before: bool,
    pub(crate) reads: Vec<Read>,
    pub(crate) output: Option<Vec<OutputColumn>>,
    pub(crate) key: Option<Vec<u32>>,
    pub(crate) rename: Option<String>,
    pub(crate) expands: bool,
    pub(crate) stateful: bool,
    pub(crate) packed: bool,
}

#[derive(ComponentType, Lift, Debug, Clone, PartialEq, Eq)]
#[component(record)]
pub(crate) struct RowError {
    pub(crate) row: u32,
    pub(crate) message: String,
}

#[derive(ComponentType, Lift, Debug, Clone, PartialEq)]
#[component(record)]
pub(crate) struct Outcome {
    pub(crate) origins: Option<Vec<u32>>,
    pub(crate) keep: Option<Vec<u8>>,
    pub(crate) columns: Vec<Vector>,
    pub(crate) errors: Vec<RowError>,
}

impl Outcome {
    /// What it weighs, near enough for a limit.
    pub(crate) fn bytes(&self) -> usize {
        let bits = |bits: &Option<Vec<u8>>| bits.as_ref().map_or(0, Vec::len);
        let column = |column: &Vector| {
            let data = match &column.data {
                VectorData::Ints(values) => size_of_val(&values[..]),
                VectorData::Uints(values) => size_of_val(&values[..]),
                VectorData::Floats(values) => size_of_val(&values[..]),
                VectorData::Bytes(values) => size_of_val(&values.offsets[..]) + values.data.len(),
            };
            bits(&column.validity) + data
        };
        let origins = self.origins.as_ref().map_or(0, |origins| size_of_val(&origins[..]));
        let errors = self.errors.iter().map(|error| size_of::<RowError>() + error.message.len());
        origins + bits(&self.keep) + self.columns.iter().map(column).sum::<usize>() + errors.sum::<usize>()
    }
}

#[derive(ComponentType, Lift, Debug, Clone, PartialEq, Eq)]
#[component(record)]
pub(crate) struct About {
    pub(crate) name: String,
    pub(crate) version: String,
}

#[derive(ComponentType, Lift, Debug, Clone, Copy, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code, reason = "lifting makes the variants from their numbers")]
pub(crate) enum Level {
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
}

/// A change of the guest's state.
#[derive(ComponentType, Lift, Debug, Clone, PartialEq, Eq)]
#[component(record)]
pub(crate) struct StateEntry {
    pub(crate) key: String,
    pub(crate) value: Option<Vec<u8>>,
}
