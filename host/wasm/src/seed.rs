//! `meta.seed`: a number for each row that looks random and is the same whenever the row comes again.
//!
//! It follows from the source's transaction and the values of the key, of a table without a key of all columns: what stays the same
//! when the stream is read again, cut otherwise, or read from another server of the same history. Both rows of an update that
//! leaves the key as it is have one number. The numbers are part of the interface: they must not change with the program.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{Decimal128Type, Float64Type, Int64Type, UInt64Type};
use sluicebox_model::{ChangeBatch, Origin};

/// Of the 64-bit Fowler-Noll-Vo hash, variant 1a.
const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// What a null adds, and what stands before a value: so that values cannot move from one column into the next unseen.
const NULL: &[u8] = &[0];
const VALUE: &[u8] = &[1];

#[derive(Clone, Copy)]
struct Hash(u64);

impl Hash {
    fn add(self, bytes: &[u8]) -> Self {
        Self(bytes.iter().fold(self.0, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME)))
    }

    fn add_sized(self, bytes: &[u8]) -> Self {
        // A length has at most 64 bits.
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.add(&length.to_le_bytes()).add(bytes)
    }

    /// Spreads what the last bytes changed over all bits (the finisher of SplitMix64).
    fn finish(self) -> u64 {
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// The number of each of these rows; `runs` are their origins, each with so many rows.
pub(crate) fn seeds(batch: &ChangeBatch, rows: &Range<usize>, runs: &[(&Origin, usize)]) -> Option<Vec<u64>> {
    let mut hashes = Vec::with_capacity(rows.len());
    for (origin, count) in runs {
        let name = origin.transaction.as_ref().map(|transaction| transaction.to_string());
        let start = Hash(OFFSET).add_sized(name.unwrap_or_default().as_bytes());
        hashes.extend(std::iter::repeat_n(start, *count));
    }
    let schema = &batch.schema;
    let all: Vec<usize> = (0..schema.columns.len()).collect();
    for &place in if schema.key.is_empty() { &all } else { &schema.key } {
        add_column(&mut hashes, batch.columns.get(place)?, rows)?;
    }
    Some(hashes.into_iter().map(Hash::finish).collect())
}

fn add_column(hashes: &mut [Hash], array: &ArrayRef, rows: &Range<usize>) -> Option<()> {
    let bytes: Box<dyn Fn(Hash, usize) -> Hash + '_> =
        if let Some(values) = array.as_primitive_opt::<Int64Type>() {
            Box::new(|hash, row| hash.add(&values.value(row).to_le_bytes()))
        } else if let Some(values) = array.as_primitive_opt::<UInt64Type>() {
            Box::new(|hash, row| hash.add(&values.value(row).to_le_bytes()))
        } else if let Some(values) = array.as_primitive_opt::<Float64Type>() {
            Box::new(|hash, row| hash.add(&values.value(row).to_bits().to_le_bytes()))
        } else if let Some(values) = array.as_primitive_opt::<Decimal128Type>() {
            Box::new(|hash, row| hash.add(&values.value(row).to_le_bytes()))
        } else if let Some(texts) = array.as_string_opt::<i32>() {
            Box::new(|hash, row| hash.add_sized(texts.value(row).as_bytes()))
        } else {
            let values = array.as_binary_opt::<i32>()?;
            Box::new(|hash, row| hash.add_sized(values.value(row)))
        };
    for (hash, row) in hashes.iter_mut().zip(rows.clone()) {
        *hash = if array.is_null(row) { hash.add(NULL) } else { bytes(hash.add(VALUE), row) };
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};
    use sluicebox_model::{Column, ColumnType, RowKind, TableId, TableSchema, TransactionId};

    use super::*;

    fn batch(key: Vec<usize>, numbers: &[i64], texts: &[Option<&str>]) -> ChangeBatch {
        let column = |name: &str, column_type| Column {
            name: name.into(),
            column_type,
            nullable: true,
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
            kinds: vec![RowKind::Insert; numbers.len()],
            columns: vec![
                Arc::new(Int64Array::from(numbers.to_vec())),
                Arc::new(StringArray::from(texts.to_vec())),
            ],
            origins: Vec::new(),
        }
    }

    fn origin(offset: Option<u64>, ordinal: u64) -> Origin {
        let transaction =
            offset.map(|offset| Arc::new(TransactionId { gtid: None, file: "b.000001".into(), offset }));
        Origin { first_row: 0, commit_micros: 7, ordinal, transaction, absent: None }
    }

    fn all(batch: &ChangeBatch, origin: &Origin) -> Vec<u64> {
        seeds(batch, &(0..batch.rows()), &[(origin, batch.rows())]).expect("seeds")
    }

    #[test]
    fn the_numbers_are_those_that_were_released() {
        let found = all(&batch(vec![0], &[1, 2], &[Some("x"), None]), &origin(Some(4), 9));
        assert_eq!(found, [0x7596_79ec_4f5a_afb5, 0x9ee0_9439_80f2_35bb]);
    }

    #[test]
    fn only_transaction_and_key_count() {
        let one = batch(vec![0], &[1, 1, 2], &[Some("x"), None, Some("x")]);
        let found = all(&one, &origin(Some(4), 1));
        assert_eq!(found[0], found[1], "the text is not in the key");
        assert_ne!(found[0], found[2]);
        assert_eq!(found, all(&one, &origin(Some(4), 2)), "the number in the stream begins anew at a start");
        assert_ne!(found[0], all(&one, &origin(Some(5), 1))[0]);
        assert_ne!(found[0], all(&one, &origin(None, 0))[0]);
        assert_eq!(
            seeds(&one, &(2..3), &[(&origin(Some(4), 1), 1)]),
            Some(vec![found[2]]),
            "a cut changes nothing"
        );
    }

    #[test]
    fn without_a_key_all_columns_count() {
        let found = all(&batch(vec![], &[1, 1, 1], &[Some("x"), None, Some("")]), &origin(None, 0));
        assert!(found[0] != found[1] && found[1] != found[2] && found[0] != found[2], "{found:?}");
    }
}
