//! What reads a guest's answers, for `host/fuzz` and for the tests beside this file. No guest and no wasmtime run here.
//!
//! Each entry takes any bytes at all, makes of them what a guest could answer, and comes back, quickly and without much
//! memory. What must hold beyond that is asserted here, so that the fuzzer and the tests look for the same mistakes. Not
//! part of the crate's interface: the feature `fuzzing` is for this repository alone.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, Int64Array};
use sluicebox_model::{ByteSize, ChangeBatch, Column, ColumnType, Origin, RowKind, TableId, TableSchema};

use crate::collected::{self, Collected};
use crate::output;
use crate::plan::{Action, Source, TablePlan};
use crate::state::State;
use crate::{Read, abi};

/// Types of computed columns, one of each kind of check.
const TYPES: [ColumnType; 18] = [
    ColumnType::Boolean,
    ColumnType::TinyInt,
    ColumnType::SmallInt,
    ColumnType::Int,
    ColumnType::BigInt,
    ColumnType::UnsignedBigInt,
    ColumnType::Bit { width: 13 },
    ColumnType::Float,
    ColumnType::Double,
    ColumnType::Decimal { precision: 9, scale: 2 },
    ColumnType::Decimal { precision: 38, scale: 18 },
    ColumnType::Decimal { precision: 65, scale: 30 },
    ColumnType::Date,
    ColumnType::Time { fraction: 3 },
    ColumnType::Timestamp { fraction: 0 },
    ColumnType::Text,
    ColumnType::Json,
    ColumnType::Binary,
];

/// Takes pieces from the front; behind the end there are zeros.
struct Pieces<'a>(&'a [u8]);

impl<'a> Pieces<'a> {
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    fn number(&mut self, bytes: usize) -> u64 {
        self.take(bytes).iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// A small number most of the time, any number now and then.
    fn place(&mut self) -> u32 {
        match self.byte() {
            255 => u32::try_from(self.number(4)).unwrap_or(u32::MAX),
            small => small.into(),
        }
    }

    fn sized(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte());
        self.take(length)
    }

    fn text(&mut self) -> String {
        String::from_utf8_lossy(self.sized()).into_owned()
    }
}

fn column(name: &str, column_type: ColumnType, nullable: bool) -> Column {
    Column {
        name: name.into(),
        column_type,
        nullable,
        source_type: "".into(),
        default: Default::default(),
        charset: None,
        comment: None,
    }
}

/// A computed column: its type, whether it takes nulls, the rows of the batch, the bitmap, the kind of list, the values.
/// What is accepted is an array of so many rows, with nulls only where they may be.
pub fn output(data: &[u8]) {
    let mut pieces = Pieces(data);
    let column_type = TYPES[usize::from(pieces.byte()) % TYPES.len()];
    let how = pieces.byte();
    let rows = usize::from(pieces.byte());
    let column = column("x", column_type, how & 1 == 0);
    let validity = (how & 2 != 0).then(|| pieces.take(rows.div_ceil(8) + usize::from(how >> 7)).to_vec());
    let vector = abi::Vector { validity, data: list(how >> 2 & 3, rows, &mut pieces) };
    let Ok(array) = output::array(&column, vector, rows) else { return };
    assert_eq!(array.len(), rows);
    assert!(column.nullable || array.null_count() == 0);
    assert_eq!(array.data_type(), output::empty(column_type).data_type());
}

fn list(kind: u8, rows: usize, pieces: &mut Pieces<'_>) -> abi::VectorData {
    match kind {
        0 => abi::VectorData::Ints((0..rows).map(|_| pieces.number(8).cast_signed()).collect()),
        1 => abi::VectorData::Uints((0..rows).map(|_| pieces.number(8)).collect()),
        2 => abi::VectorData::Floats((0..rows).map(|_| f64::from_bits(pieces.number(8))).collect()),
        _ => {
            // Offsets that rise by small steps are right most of the time.
            let mut offsets = vec![pieces.place()];
            for _ in 0..rows {
                let last = offsets.last().copied().unwrap_or(0);
                offsets.push(last.wrapping_add(pieces.place()));
            }
            abi::VectorData::Bytes(abi::ByteStrings { offsets, data: pieces.0.to_vec() })
        }
    }
}

/// Changes of a state in layers, beside the simplest thing that does the same: a copy of everything for each layer. What is handed
/// out makes of what was saved what is there.
pub fn state(data: &[u8]) {
    const LIMIT: u64 = 200;
    const LAYERS: usize = 4;
    let mut pieces = Pieces(data);
    let mut state = State::new([], ByteSize::bytes(LIMIT));
    let mut saved = BTreeMap::new();
    let mut now: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut before = Vec::new();
    while !pieces.0.is_empty() {
        let what = pieces.byte();
        match what % 8 {
            0 if before.len() < LAYERS => {
                state.begin();
                before.push(now.clone());
            }
            1 if before.pop().is_some() => state.keep(),
            2 => {
                if let Some(older) = before.pop() {
                    state.roll_back();
                    now = older;
                }
            }
            3 if before.is_empty() => {
                for (key, value) in state.take_changes() {
                    match value {
                        Some(value) => saved.insert(key, value),
                        None => saved.remove(&key),
                    };
                }
                assert_eq!(saved, now);
            }
            _ => {
                let key = format!("key {}", what >> 4);
                let value = (what & 8 == 0).then(|| pieces.sized().to_vec());
                if state.put(key.clone(), value.clone()).is_ok() {
                    match value {
                        Some(value) => now.insert(key, value),
                        None => now.remove(&key),
                    };
                }
            }
        }
        let bytes: usize = now.iter().map(|(key, value)| key.len() + value.len()).sum();
        assert_eq!((state.keys(), state.bytes()), (now.len(), bytes));
        assert!(bytes as u64 <= LIMIT);
        assert!(now.iter().all(|(key, value)| state.get(key) == Some(&value[..])));
    }
}

/// An answer to `plan-table`, for a table of three columns. A plan that is accepted can be carried out.
pub fn plan(data: &[u8]) {
    let input = Arc::new(TableSchema {
        id: TableId::new("d", "t"),
        version: 1,
        columns: vec![
            column("id", ColumnType::Int, false),
            column("name", ColumnType::Text, true),
            column("price", ColumnType::Decimal { precision: 9, scale: 2 }, false),
        ],
        key: vec![0],
        comment: None,
        charset: None,
        unique_keys: Vec::new(),
        ddl: None,
    });
    let answer = answer(&mut Pieces(data));
    let Ok(plan) = TablePlan::resolve(1, &input, answer) else { return };
    assert_eq!(plan.sources.len(), plan.output.columns.len());
    assert!(plan.output.key.iter().all(|place| *place < plan.output.columns.len()));
    assert!(plan.output.key.iter().all(|place| !plan.output.columns[*place].nullable));
    let inside = |place: &usize| *place < input.columns.len();
    assert!(
        plan.reads
            .iter()
            .all(|read| matches!(read, Read::Meta(_)) || matches!(read, Read::Column(p) if inside(p)))
    );
    assert!(plan.sources.iter().all(|source| match source {
        Source::Input(place) => inside(place),
        Source::Computed => plan.action == Action::Process,
    }));
    let _ = plan.needs_before();
}

/// What `process` gives back for a batch: of which rows its rows are made, verdicts, errors. What is accepted has each row in one place:
/// it failed, or something was made of it, or it was dropped.
pub fn outcome(data: &[u8]) {
    let mut pieces = Pieces(data);
    let how = pieces.byte();
    let rows = usize::from(pieces.byte() % 32) + 1;
    let expands = how & 1 != 0;
    let input = Arc::new(TableSchema {
        id: TableId::new("d", "t"),
        version: 1,
        columns: vec![column("id", ColumnType::Int, false)],
        key: vec![0],
        comment: None,
        charset: None,
        unique_keys: Vec::new(),
        ddl: None,
    });
    let name = column("name", ColumnType::BigInt, false);
    let output = TableSchema {
        columns: [input.columns.clone(), vec![name]].concat(),
        key: vec![0, 1],
        ..(*input).clone()
    };
    let plan = TablePlan {
        id: 1,
        action: Action::Process,
        before: true,
        stateful: false,
        expands,
        packed: false,
        input: Arc::clone(&input),
        output: Arc::new(output),
        reads: Vec::new(),
        sources: vec![Source::Input(0), Source::Computed],
    };
    let batch = updates(&input, rows);
    let origins: Option<Vec<u32>> = (how & 2 != 0).then(|| {
        (0..pieces.byte() % 64)
            .scan(0, |row, _| {
                *row += pieces.place() % 8;
                Some(*row)
            })
            .collect()
    });
    let made = if expands { origins.as_ref().map_or(0, Vec::len) } else { rows };
    let answer = abi::Outcome {
        keep: (how & 4 != 0).then(|| pieces.take(rows.div_ceil(8)).to_vec()),
        columns: vec![abi::Vector { validity: None, data: list(0, made, &mut pieces) }],
        errors: (0..how >> 6)
            .map(|_| abi::RowError { row: pieces.place(), message: pieces.text() })
            .collect(),
        origins,
    };
    let mut collected = Collected::new(&plan);
    if collected.take(&plan, &batch, 0..rows, answer).is_err() {
        return;
    }
    let Ok(done) = collected::finish(&plan, &batch, collected) else { panic!("it was accepted") };
    assert!(done.batch.columns.iter().all(|column| column.len() == done.batch.kinds.len()));
    assert_eq!(done.batch.kinds.is_empty(), done.batch.origins.is_empty());
    assert!(done.failed.iter().all(|failed| failed.row < rows));
    assert!(
        expands || done.batch.rows() + done.failed.len() + usize::try_from(done.dropped).unwrap_or(0) == rows
    );
}

/// Numbered rows: updates as pairs, and what is left over inserted.
fn updates(schema: &Arc<TableSchema>, rows: usize) -> ChangeBatch {
    let kinds = (0..rows).map(|row| match (row % 2, row + 1 < rows) {
        (0, true) => RowKind::Before,
        (0, false) => RowKind::Insert,
        _ => RowKind::After,
    });
    ChangeBatch {
        schema: Arc::clone(schema),
        kinds: kinds.collect(),
        columns: vec![Arc::new(Int64Array::from_iter_values((0..).take(rows)))],
        origins: vec![Origin { first_row: 0, commit_micros: 0, ordinal: 0, transaction: None, absent: None }],
    }
}

fn answer(pieces: &mut Pieces<'_>) -> abi::Plan {
    let how = pieces.byte();
    let action = [abi::Action::Process, abi::Action::Pass, abi::Action::Discard, abi::Action::Process];
    let reads = (0..pieces.byte() % 8).map(|_| match pieces.byte() {
        252 => abi::Read::Meta(abi::Meta::CommitTime),
        253 => abi::Read::Meta(abi::Meta::Position),
        254 => abi::Read::Meta(abi::Meta::Transaction),
        255 => abi::Read::Meta(abi::Meta::Seed),
        place => abi::Read::Column(place.into()),
    });
    abi::Plan {
        action: action[usize::from(how & 3)],
        before: how & 4 != 0,
        reads: reads.collect(),
        output: (how & 8 != 0).then(|| (0..pieces.byte() % 16).map(|_| output_column(pieces)).collect()),
        key: (how & 16 != 0).then(|| (0..pieces.byte() % 8).map(|_| pieces.place()).collect()),
        rename: (how & 32 != 0).then(|| pieces.text()),
        expands: how & 64 != 0,
        stateful: how & 128 != 0,
        packed: how & 3 == 3,
    }
}

fn output_column(pieces: &mut Pieces<'_>) -> abi::OutputColumn {
    use abi::ColumnType as T;
    const KINDS: [T; 11] = [
        T::Int,
        T::Uint,
        T::Float,
        T::Decimal,
        T::Text,
        T::Binary,
        T::Json,
        T::Date,
        T::Time,
        T::Datetime,
        T::Timestamp,
    ];
    let name = pieces.text();
    let how = pieces.byte();
    let computed_type = if how & 2 == 0 {
        abi::ComputedType::Like(pieces.place())
    } else {
        let column_type = KINDS[usize::from(pieces.byte()) % KINDS.len()];
        abi::ComputedType::Full(abi::FullType {
            column_type,
            precision: pieces.place(),
            scale: pieces.place(),
        })
    };
    let source = match how & 1 {
        0 => abi::Source::Input(pieces.place()),
        _ => abi::Source::Computed(abi::Computed { computed_type, nullable: how & 4 != 0 }),
    };
    abi::OutputColumn { name, source }
}
