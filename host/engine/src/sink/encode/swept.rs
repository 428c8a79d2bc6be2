//! Rows of a sink table as the sink has them: their keys, and the records that delete them.
//!
//! A key that was written and is read back must give the same digest, else a row that is there would be deleted. So both ways lead
//! through [`Cell`]: as a row's values become cells when it is encoded, the sink's own values become cells here. Tables with a key column
//! whose values the service may give back otherwise than it got them are not for this ([`can_be_swept`]).

use std::time::Instant;

use sha2::{Digest as _, Sha256};
use sluicebox_maxcompute::bucket::bucket_of;
use sluicebox_maxcompute::record::{Operation, Value};
use sluicebox_maxcompute::{DataType, SessionColumn};

use super::{Encoder, Layout, Spread};
use crate::sink::buffers::{Buffers, Slot};
use crate::sink::cell::Cell;
use crate::sink::evolve::find;
use crate::state::Digest;

/// What stands for a row's place: its partition and its key.
pub(crate) fn digest(spec: &str, key: &[u8]) -> Digest {
    let mut hash = Sha256::new();
    hash.update((spec.len() as u64).to_le_bytes());
    hash.update(spec.as_bytes());
    hash.update(key);
    let whole: [u8; 32] = hash.finalize().into();
    let mut digest = Digest::default();
    digest.copy_from_slice(&whole[..16]);
    digest
}

/// Whether keys of a table are read back as they were written: the service pads CHAR, and cuts and pads VARCHAR as it is set up.
pub(crate) fn can_be_swept(layout: &Layout) -> bool {
    let keys = layout.key.iter().filter_map(|name| find(&layout.columns, name)).map(|at| &layout.columns[at]);
    let plain = |data_type: &DataType| {
        matches!(
            data_type,
            DataType::Tinyint
                | DataType::Smallint
                | DataType::Int
                | DataType::Bigint
                | DataType::Boolean
                | DataType::Float
                | DataType::Double
                | DataType::Decimal { .. }
                | DataType::String
                | DataType::Binary
                | DataType::Date
                | DataType::Timestamp
                | DataType::TimestampNtz
        )
    };
    keys.clone().count() == layout.key.len() && keys.into_iter().all(|column| plain(&column.data_type))
}

/// One row's key, and its partition.
#[derive(Debug)]
pub(crate) struct SweptKey {
    pub digest: Digest,
    spec: String,
    values: Vec<Value>,
}

/// Reads the rows of a query for a table's key and partition columns, in this order.
#[derive(Debug)]
pub(crate) struct KeyReader {
    types: Vec<DataType>,
    /// Names of the partition's columns; those of the key come before.
    partitions: Vec<String>,
}

impl KeyReader {
    pub fn new(layout: &Layout, columns: &[SessionColumn]) -> Self {
        Self {
            types: columns.iter().map(|column| column.data_type.clone()).collect(),
            partitions: layout.partitions.iter().map(|column| column.name.clone()).collect(),
        }
    }

    /// The key of a row; an error says what no key can be.
    pub fn read(&self, row: Vec<Option<Value>>) -> Result<SweptKey, String> {
        let keys = self.types.len().saturating_sub(self.partitions.len());
        let mut values = row.into_iter().collect::<Option<Vec<_>>>().ok_or("a key column is null")?;
        if values.len() != self.types.len() {
            return Err("a row has another number of columns than was asked for".to_owned());
        }
        let mut spec = String::new();
        for (name, (value, data_type)) in
            self.partitions.iter().zip(values[keys..].iter().zip(&self.types[keys..]))
        {
            if !spec.is_empty() {
                spec.push(',');
            }
            spec.push_str(name);
            spec.push('=');
            cell(value, data_type)?.partition_value(&mut spec)?;
        }
        values.truncate(keys);
        let mut key = Vec::new();
        for (value, data_type) in values.iter().zip(&self.types) {
            cell(value, data_type)?.identify(&mut key);
        }
        Ok(SweptKey { digest: digest(&spec, &key), spec, values })
    }
}

/// A value that was read as one that is written.
fn cell<'v>(value: &'v Value, data_type: &DataType) -> Result<Cell<'v>, String> {
    Ok(match (value, data_type) {
        (Value::Bigint(number), _) => Cell::Integer(*number),
        (Value::Boolean(truth), _) => Cell::Boolean(*truth),
        (Value::Float(number), _) => Cell::Float(*number),
        (Value::Double(number), _) => Cell::Double(*number),
        (Value::Date(days), _) => Cell::Date(*days),
        (Value::Timestamp { seconds, nanos }, _) => Cell::Timestamp { seconds: *seconds, nanos: *nanos },
        (Value::Text(text), DataType::Decimal { precision, scale }) => {
            let unscaled = unscaled(text, *scale).ok_or("a decimal is none")?;
            let precision = u8::try_from(*precision).map_err(|_| "a decimal has too many digits")?;
            Cell::Decimal { unscaled, precision, text }
        }
        (Value::Text(bytes), DataType::Binary) => Cell::Bytes(bytes),
        (Value::Text(text), _) => Cell::Text(text),
        _ => return Err(format!("a key of type {data_type} cannot be read back")),
    })
}

/// The digits of a decimal's text at a scale: the service may leave zeros out at the end.
fn unscaled(text: &[u8], scale: u32) -> Option<i128> {
    let text = std::str::from_utf8(text).ok()?;
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let scale = usize::try_from(scale).ok()?;
    let cut = fraction.get(..scale.min(fraction.len()))?;
    if !fraction[cut.len()..].bytes().all(|digit| digit == b'0') {
        return None;
    }
    let number: i128 = format!("{whole}{cut:0<scale$}").parse().ok()?;
    Some(sign * number)
}

impl Encoder {
    /// Encodes the deletes of rows.
    pub fn delete_swept(
        &mut self,
        keys: &[&SweptKey],
        layout: &Layout,
        spread: Spread,
        now: Instant,
        buffers: &mut Buffers,
    ) -> Result<(), String> {
        // A record's fields come in the table's order.
        let mut places: Vec<(usize, usize)> = Vec::with_capacity(layout.key.len());
        for (key, name) in layout.key.iter().enumerate() {
            places.push((find(&layout.columns, name).ok_or("its key column has gone")?, key));
        }
        places.sort_unstable();
        let count = u32::try_from(layout.columns.len()).unwrap_or(u32::MAX);
        for swept in keys {
            let mut sum = 0_i32;
            let mut record = self.writer.record();
            for &(place, key) in &places {
                let value = swept.values.get(key).ok_or("a key has fewer columns than the table's")?;
                let cell = cell(value, &layout.columns[place].data_type)?;
                sum = sum.wrapping_add(cell.hash(spread.hasher));
                cell.write(&mut record, u32::try_from(place).unwrap_or(u32::MAX));
            }
            let done = record.end_keyed(count, Operation::Delete);
            let bucket = bucket_of(sum, spread.buckets) as usize;
            let part = buffers.part(&swept.spec);
            buffers.write(Slot { part, bucket }, |body| body.push(done));
        }
        buffers.touched(now);
        Ok(())
    }
}

impl SweptKey {
    /// The place of its partition in the buffers.
    pub fn part(&self, buffers: &mut Buffers) -> usize {
        buffers.part(&self.spec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_told_by_their_number_and_not_by_their_text() {
        for (text, scale, want) in [
            ("1.50", 2, Some(150)),
            ("1.5", 2, Some(150)),
            ("1.5000", 2, Some(150)),
            ("-0.05", 2, Some(-5)),
            ("18446744073709551615", 0, Some(18_446_744_073_709_551_615)),
            ("7", 3, Some(7000)),
            ("1.505", 2, None),
            ("", 2, None),
            ("x", 0, None),
        ] {
            assert_eq!(unscaled(text.as_bytes(), scale), want, "{text}");
        }
    }

    #[test]
    fn a_partition_belongs_to_the_place_of_a_row() {
        assert_ne!(digest("a=1", b"k"), digest("a=2", b"k"));
        assert_ne!(digest("a=1", b"k"), digest("a=", b"1k"));
        assert_eq!(digest("", b"k"), digest("", b"k"));
    }
}
