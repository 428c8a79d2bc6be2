//! Rows of a result become batches.
//!
//! Values come by the binary protocol, where floats are exact, and go into the same builders that the row decoder fills: so
//! a row reads the same whether the snapshot or the stream brought it.

use std::sync::Arc;

use mysql_async::{Row, Value};
use sluicebox_model::{ChangeBatch, ColumnType, Origin, Physical, RowKind, TableSchema};

use crate::row::{ColumnBuilder, days_of, micros_of};

/// A batch is closed when it holds so many bytes: Arrow's offsets are 32 bits, and memory is counted in batches.
const BATCH_BYTES: usize = 16 * 1024 * 1024;

/// Gathers rows into batches of at most [`BATCH_BYTES`], or one row.
pub(super) struct BatchAssembler {
    schema: Arc<TableSchema>,
    builders: Vec<ColumnBuilder>,
    rows: usize,
    /// Bytes of the rows so far, as they came.
    bytes: usize,
    replaced: u64,
}

impl BatchAssembler {
    pub(super) fn new(schema: Arc<TableSchema>) -> Self {
        let builders = builders(&schema);
        Self { schema, builders, rows: 0, bytes: 0, replaced: 0 }
    }

    /// Adds a row; gives the batch that was full before it.
    pub(super) fn push(&mut self, row: Row) -> Result<Option<ChangeBatch>, String> {
        let values = row.unwrap();
        if values.len() != self.builders.len() {
            return Err("a row has another number of columns than was asked for".to_owned());
        }
        let size: usize = values.iter().map(size_of).sum();
        let full = match self.rows > 0 && self.bytes + size > BATCH_BYTES {
            true => self.take()?,
            false => None,
        };
        for ((builder, column), value) in self.builders.iter_mut().zip(&self.schema.columns).zip(values) {
            if !append(builder, column.column_type, &value) {
                return Err(format!("column `{}` holds a value that its type cannot have", column.name));
            }
        }
        self.rows += 1;
        self.bytes += size;
        Ok(full)
    }

    /// The rows gathered so far; none when there are none.
    pub(super) fn take(&mut self) -> Result<Option<ChangeBatch>, String> {
        if self.rows == 0 {
            return Ok(None);
        }
        let mut columns = Vec::with_capacity(self.builders.len());
        for mut builder in std::mem::replace(&mut self.builders, builders(&self.schema)) {
            builder.check_utf8();
            self.replaced += builder.replaced();
            columns.push(builder.finish().map_err(|error| error.to_string())?);
        }
        let kinds = vec![RowKind::Read; std::mem::take(&mut self.rows)];
        self.bytes = 0;
        let origins =
            vec![Origin { first_row: 0, commit_micros: 0, ordinal: 0, transaction: None, absent: None }];
        Ok(Some(ChangeBatch { schema: Arc::clone(&self.schema), kinds, columns, origins }))
    }

    /// Values of all batches taken that became null because the pipeline cannot hold them.
    pub(super) fn replaced(&self) -> u64 {
        self.replaced
    }
}

fn builders(schema: &TableSchema) -> Vec<ColumnBuilder> {
    schema.columns.iter().map(|c| ColumnBuilder::new(c.column_type)).collect()
}

/// Bytes of a row, as it came.
pub(super) fn row_size(row: &Row) -> usize {
    (0..row.len()).filter_map(|n| row.as_ref(n)).map(size_of).sum()
}

fn size_of(value: &Value) -> usize {
    match value {
        // 4 for the offset behind it.
        Value::Bytes(bytes) => bytes.len() + 4,
        _ => 16,
    }
}

/// Appends a value as its column means it; false when it is of another kind than the column.
fn append(builder: &mut ColumnBuilder, column_type: ColumnType, value: &Value) -> bool {
    if *value == Value::NULL {
        builder.append_null();
        return true;
    }
    match (column_type, value) {
        (ColumnType::Boolean, value) => match truth(value) {
            Some(truth) => builder.append_i64(truth.into()),
            None => return false,
        },
        (ColumnType::Bit { .. }, Value::Bytes(bits)) => builder.append_u64(big_endian(bits)),
        (ColumnType::Decimal { .. }, Value::Bytes(text)) => match std::str::from_utf8(text) {
            Ok(text) => builder.append_decimal_text(text),
            Err(_) => return false,
        },
        (ColumnType::Date, Value::Date(year, month, day, ..)) => {
            append_time(builder, days_of((*year).into(), (*month).into(), (*day).into()));
        }
        (ColumnType::DateTime { .. } | ColumnType::Timestamp { .. }, Value::Date(y, mo, d, h, mi, s, us)) => {
            let date = ((*y).into(), (*mo).into(), (*d).into());
            append_time(builder, micros_of(date, ((*h).into(), (*mi).into(), (*s).into()), (*us).into()));
        }
        (ColumnType::Time { .. }, Value::Time(negative, days, hours, minutes, seconds, micros)) => {
            let hours = i64::from(*days) * 24 + i64::from(*hours);
            let seconds = (hours * 60 + i64::from(*minutes)) * 60 + i64::from(*seconds);
            let span = seconds * 1_000_000 + i64::from(*micros);
            builder.append_i64(if *negative { -span } else { span });
        }
        (_, value) => return append_physical(builder, column_type.physical(), value),
    }
    true
}

fn append_physical(builder: &mut ColumnBuilder, physical: Physical, value: &Value) -> bool {
    match (physical, value) {
        (Physical::Int64, Value::Int(number)) => builder.append_i64(*number),
        (Physical::Int64, Value::UInt(number)) => match i64::try_from(*number) {
            Ok(number) => builder.append_i64(number),
            Err(_) => return false,
        },
        (Physical::UInt64, Value::UInt(number)) => builder.append_u64(*number),
        (Physical::UInt64, Value::Int(number)) => match u64::try_from(*number) {
            Ok(number) => builder.append_u64(number),
            Err(_) => return false,
        },
        (Physical::Float64, Value::Float(number)) => builder.append_f64((*number).into()),
        (Physical::Float64, Value::Double(number)) => builder.append_f64(*number),
        (Physical::Utf8 | Physical::Binary, Value::Bytes(bytes)) => builder.append_bytes(bytes),
        _ => return false,
    }
    true
}

fn append_time(builder: &mut ColumnBuilder, time: Option<i64>) {
    match time {
        Some(number) => builder.append_i64(number),
        None => builder.append_replaced(),
    }
}

fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Int(number) => Some(*number != 0),
        Value::UInt(number) => Some(*number != 0),
        Value::Bytes(bits) => Some(bits.iter().any(|b| *b != 0)),
        _ => None,
    }
}

fn big_endian(bits: &[u8]) -> u64 {
    bits.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
