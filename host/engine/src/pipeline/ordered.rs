//! What a target does itself with its rows: the stages from the first plugin with state on, in the order of its queue.
//!
//! Promise: what plugins remember of a target follows from exactly the events that the target holds. Three things make it so. Stages run
//! here one batch after the other, on a thread of the blocking kind, while the target's task waits. What they changed is handed out with
//! the next commit, so that it is written with the rows (`state::memory`). And rows of a snapshot that the stream has overtaken are
//! taken out *before* a plugin sees them: the keys that the stream touches are kept here as well, as the encoder keeps them.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{Decimal128Type, Float64Type, Int64Type, UInt64Type};
use sluicebox_model::{ChangeBatch, fold};

use super::condemned::Condemned;
use super::guests::{Guests, Memories, Ordered, Transformed};
use super::messages::Behind;
use super::tables::PluginList;
use crate::error::EngineError;
use crate::sink::encode::From;
use crate::sink::encode::windows::{Brought, Fresh, Windows};
use crate::state::{DeadLetter, Remembered, Store};
use crate::telemetry::Telemetry;

/// A target's own stages.
pub(super) struct OwnStages {
    /// None while a thread has it.
    at_work: Option<Box<AtWork>>,
    /// What plugins remember that ran elsewhere.
    told: Remembered,
}

struct AtWork {
    target: String,
    store: Arc<Store>,
    telemetry: Arc<Telemetry>,
    guests: Guests,
    memories: Memories,
    windows: Windows,
}

impl OwnStages {
    pub fn new(target: &str, plugins: &PluginList, store: &Arc<Store>, telemetry: &Arc<Telemetry>) -> Self {
        Self {
            told: Remembered::new(),
            at_work: Some(Box::new(AtWork {
                target: target.to_owned(),
                store: Arc::clone(store),
                telemetry: Arc::clone(telemetry),
                guests: Guests::new(Arc::clone(plugins), Arc::clone(telemetry)),
                memories: Memories::default(),
                windows: Windows::default(),
            })),
        }
    }

    /// Runs a batch; also gives the letters of events that failed, to be written before the rest goes on.
    pub async fn run(
        &mut self,
        behind: Behind,
        from: From,
        batch: ChangeBatch,
    ) -> Result<(ChangeBatch, Vec<DeadLetter>), EngineError> {
        let mut at_work = self.at_work.take().ok_or(EngineError::Lost("target's stages"))?;
        let task = tokio::task::spawn_blocking(move || {
            let result = at_work.run(&behind, from, batch);
            (at_work, result)
        });
        let (at_work, result) = task.await.map_err(|_| EngineError::Lost("target's stages"))?;
        self.at_work = Some(at_work);
        result
    }

    pub fn open_window(&mut self, window: u64) {
        if let Some(at_work) = &mut self.at_work {
            at_work.windows.open(window);
        }
    }

    pub fn close_window(&mut self, window: u64) {
        if let Some(at_work) = &mut self.at_work {
            at_work.windows.close(window);
        }
    }

    /// What plugins remember anew since the last time.
    pub fn take_changes(&mut self) -> Remembered {
        let mut changes = std::mem::take(&mut self.told);
        if let Some(at_work) = &mut self.at_work {
            let AtWork { memories, guests, .. } = &mut **at_work;
            changes.extend(memories.take_changes(guests.plugins()));
        }
        changes
    }

    /// Plugins that ran elsewhere remember this anew.
    pub fn remember(&mut self, remembered: Remembered) {
        for (plugin, changes) in remembered {
            self.told.entry(plugin).or_default().extend(changes);
        }
    }
}

impl AtWork {
    fn run(
        &mut self,
        behind: &Behind,
        from: From,
        batch: ChangeBatch,
    ) -> Result<(ChangeBatch, Vec<DeadLetter>), EngineError> {
        let Behind { run, plugins, input } = behind;
        self.guests.adopt(plugins, None);
        self.memories.recall(&run.stages, plugins, &self.store, &self.target)?;
        self.windows.next_batch();
        if from == From::Stream && self.windows.any() {
            touch(&mut self.windows, &batch);
        }
        let windows = &self.windows;
        let ordered = Ordered {
            stages: &run.stages,
            first: run.ordered,
            input,
            given: batch,
            admit: &|batch| admit(windows, from, batch),
        };
        let Transformed { batch, dropped, failed } = self.guests.run_ordered(&ordered, &mut self.memories)?;
        self.telemetry.filtered(dropped);
        let targets = std::slice::from_ref(&self.target);
        let condemned = Condemned { plugins, telemetry: &self.telemetry, targets };
        Ok((batch, condemned.letters(input, &failed)?))
    }
}

/// Notes the keys of rows that the stream brings.
fn touch(windows: &mut Windows, batch: &ChangeBatch) {
    let mut key = Vec::new();
    for row in 0..batch.rows() {
        if key_bytes(batch, row, &mut key) {
            windows.touch(&key, Brought::Whole);
        }
    }
}

/// Takes rows of a chunk out that the stream has overtaken.
fn admit(windows: &Windows, from: From, batch: ChangeBatch) -> Result<ChangeBatch, EngineError> {
    let From::Window(window) = from else { return Ok(batch) };
    let mut key = Vec::new();
    let fresh: BooleanBuffer = (0..batch.rows())
        .map(|row| !key_bytes(&batch, row, &mut key) || windows.fresh(window, &key) == Fresh::Whole)
        .collect();
    let folded = fold(&batch.kinds, Some(&fresh), &[], true);
    let ChangeBatch { schema, columns, origins, .. } = batch;
    folded.apply(schema, columns, &origins).map_err(|error| EngineError::Plan(error.to_string()))
}

/// The values of a row's key, which are never null, each with its length, so that no two keys look alike; false when the table has none.
fn key_bytes(batch: &ChangeBatch, row: usize, out: &mut Vec<u8>) -> bool {
    out.clear();
    for &place in &batch.schema.key {
        let Some(array) = batch.columns.get(place) else { return false };
        let mut put = |bytes: &[u8]| {
            out.extend_from_slice(&bytes.len().to_le_bytes());
            out.extend_from_slice(bytes);
        };
        if let Some(values) = array.as_primitive_opt::<Int64Type>() {
            put(&values.value(row).to_le_bytes());
        } else if let Some(values) = array.as_primitive_opt::<UInt64Type>() {
            put(&values.value(row).to_le_bytes());
        } else if let Some(values) = array.as_primitive_opt::<Float64Type>() {
            put(&values.value(row).to_le_bytes());
        } else if let Some(values) = array.as_primitive_opt::<Decimal128Type>() {
            put(&values.value(row).to_le_bytes());
        } else if let Some(texts) = array.as_string_opt::<i32>() {
            put(texts.value(row).as_bytes());
        } else if let Some(values) = array.as_binary_opt::<i32>() {
            put(values.value(row));
        }
    }
    !batch.schema.key.is_empty()
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, Int64Array, StringArray};
    use sluicebox_model::{Column, ColumnType, Origin, RowKind, TableId, TableSchema};

    use super::*;

    fn batch(key: Vec<usize>, kind: RowKind, rows: &[(i64, &str)]) -> ChangeBatch {
        let column = |name: &str, column_type| Column {
            name: name.into(),
            column_type,
            nullable: false,
            source_type: "".into(),
            default: Default::default(),
            charset: None,
            comment: None,
        };
        let schema = TableSchema {
            id: TableId::new("d", "t"),
            version: 1,
            columns: vec![column("a", ColumnType::BigInt), column("b", ColumnType::Text)],
            key,
            unique_keys: Vec::new(),
            comment: None,
            charset: None,
            ddl: None,
        };
        ChangeBatch {
            schema: Arc::new(schema),
            kinds: vec![kind; rows.len()],
            columns: vec![
                Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0))),
                Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.1))),
            ],
            origins: vec![Origin {
                first_row: 0,
                commit_micros: 0,
                ordinal: 0,
                transaction: None,
                absent: None,
            }],
        }
    }

    fn numbers(batch: &ChangeBatch) -> Vec<i64> {
        assert_eq!(batch.columns[1].len(), batch.rows());
        batch.columns[0].as_primitive::<Int64Type>().values().to_vec()
    }

    #[test]
    fn rows_of_a_chunk_that_the_stream_has_overtaken_are_not_seen() {
        let mut windows = Windows::default();
        let key = || vec![1, 0];
        let touched = |windows: &mut Windows, rows: &[(i64, &str)]| {
            windows.next_batch();
            touch(windows, &batch(key(), RowKind::Delete, rows));
        };
        touched(&mut windows, &[(1, "x")]);
        windows.open(7);
        touched(&mut windows, &[(2, "x"), (3, "y")]);
        windows.next_batch();
        let chunk = batch(key(), RowKind::Read, &[(1, "x"), (2, "x"), (2, "y"), (3, "x"), (3, "y")]);
        let found = admit(&windows, From::Window(7), chunk.clone()).expect("rows");
        assert_eq!(
            numbers(&found),
            [1, 2, 3],
            "both columns of the key count, and only what came inside the window"
        );
        assert_eq!(numbers(&admit(&windows, From::Stream, chunk.clone()).expect("rows")), numbers(&chunk));
        let keyless = batch(Vec::new(), RowKind::Read, &[(2, "x")]);
        assert_eq!(numbers(&admit(&windows, From::Window(7), keyless).expect("rows")), [2]);
    }

    #[test]
    fn keys_whose_texts_only_look_alike_together_differ() {
        let (mut one, mut two) = (Vec::new(), Vec::new());
        let of = |text: &str, number: i64, out: &mut Vec<u8>| {
            assert!(key_bytes(&batch(vec![1, 0], RowKind::Read, &[(number, text)]), 0, out));
        };
        of("a", 1, &mut one);
        of("a\u{8}", 1, &mut two);
        assert_ne!(one, two);
        assert!(!key_bytes(&batch(Vec::new(), RowKind::Read, &[(1, "a")]), 0, &mut one));
    }
}
