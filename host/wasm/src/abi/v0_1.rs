//! What version 0.1 of the interface (`wit/0.1/transform.wit`) has otherwise.

use wasmtime::component::{ComponentType, Lift};

use super::{Action, OutputColumn, RowError, Vector};

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
    action: Action,
    before: bool,
    reads: Vec<Read>,
    output: Option<Vec<OutputColumn>>,
    key: Option<Vec<u32>>,
    rename: Option<String>,
}

#[derive(ComponentType, Lift, Debug, Clone, PartialEq)]
#[component(record)]
pub(crate) struct Outcome {
    keep: Option<Vec<u8>>,
    columns: Vec<Vector>,
    errors: Vec<RowError>,
}

impl From<Read> for super::Read {
    fn from(read: Read) -> Self {
        match read {
            Read::Column(column) => Self::Column(column),
            Read::Meta(Meta::CommitTime) => Self::Meta(super::Meta::CommitTime),
            Read::Meta(Meta::Position) => Self::Meta(super::Meta::Position),
            Read::Meta(Meta::Transaction) => Self::Meta(super::Meta::Transaction),
        }
    }
}

impl From<Plan> for super::Plan {
    fn from(plan: Plan) -> Self {
        let Plan { action, before, reads, output, key, rename } = plan;
        let reads = reads.into_iter().map(Into::into).collect();
        Self { action, before, reads, output, key, rename, expands: false, stateful: false, packed: false }
    }
}

impl From<Outcome> for super::Outcome {
    fn from(outcome: Outcome) -> Self {
        let Outcome { keep, columns, errors } = outcome;
        Self { origins: None, keep, columns, errors }
    }
}
