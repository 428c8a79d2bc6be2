//! Rows on their way out: as CSV, as records, as Arrow.

use crate::fault::Fault;
use crate::wire::arrow::{Dialect, frame, write_messages, write_stream};
use crate::wire::cursor::Cursor;
use crate::wire::record::RecordWriter;
use crate::wire::row::{ColumnId, columns};
use crate::wire::text::{put_csv, put_csv_text};
use crate::wire::types::Type;
use crate::wire::value::Value;

/// One answer holds at most this much: it is put together in memory, and a client that wants more asks for
/// a smaller range of rows.
const MAX_ANSWER_BYTES: usize = 1 << 30;

/// A statement keeps at most this much result; a test that needs more reads by tunnel.
const MAX_RESULT_BYTES: usize = 512 << 20;

/// Rows of a query in memory, as blobs whose column ids are positions from 1 on.
#[derive(Debug, Default)]
pub(crate) struct ResultSet {
    pub(crate) columns: Vec<(String, Type)>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl ResultSet {
    pub(crate) fn new(columns: Vec<(String, Type)>) -> Self {
        Self { columns, ..Self::default() }
    }

    pub(crate) fn push(&mut self, row: &[u8]) -> Result<(), Fault> {
        if self.bytes.len() + row.len() > MAX_RESULT_BYTES {
            return Err(Fault::semantic("the result is larger than 512 MiB"));
        }
        self.bytes.extend_from_slice(row);
        self.ends.push(self.bytes.len());
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes held, for the cache of results.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len() + self.ends.len() * size_of::<usize>()
    }

    /// The rows `start..start + count`, cut at the end.
    pub(crate) fn rows(&self, start: usize, count: usize) -> impl Iterator<Item = &[u8]> {
        let end = start.saturating_add(count).min(self.ends.len());
        (start.min(end)..end).map(|index| {
            let from = index.checked_sub(1).map_or(0, |before| self.ends[before]);
            &self.bytes[from..self.ends[index]]
        })
    }

    /// Header line and rows.
    pub(crate) fn csv(&self, limit: usize) -> Result<String, Fault> {
        let ids: Vec<ColumnId> = (1..).take(self.columns.len()).collect();
        let mut rows = Rows::new(&self.columns, &ids);
        for row in self.rows(0, limit) {
            rows.push_values(row)?;
        }
        Ok(rows.csv())
    }
}

/// The form of TIMESTAMP and TIMESTAMP_NTZ in an answer of Arrow batches: the Python client reads a table in one and a
/// query's result in the other (0.13.2, `tunnel/instancetunnel.py`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stamps {
    Nanoseconds,
    /// Of seconds and nanoseconds.
    Struct,
}

/// Rows being put into an answer. `ids` says which column of the blobs is which column of the answer.
pub(crate) struct Rows<'a> {
    columns: &'a [(String, Type)],
    ids: &'a [ColumnId],
    records: RecordWriter,
    values: Vec<Vec<Option<Value>>>,
    found: Vec<Option<(usize, usize)>>,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(columns: &'a [(String, Type)], ids: &'a [ColumnId]) -> Self {
        let found = vec![None; ids.len()];
        Self { columns, ids, records: RecordWriter::default(), values: Vec::new(), found }
    }

    /// Adds a row to the record stream.
    pub(crate) fn push_record(&mut self, row: &[u8]) -> Result<(), Fault> {
        self.locate(row)?;
        for (index, span) in self.found.iter().enumerate() {
            if let Some((start, end)) = span {
                self.records.field(index, &self.columns[index].1, &row[*start..*end])?;
            }
        }
        self.records.end_record();
        if self.records.len() > MAX_ANSWER_BYTES {
            return Err(Fault::InvalidRowRange(
                "the range holds more than 1 GiB; ask for fewer rows".to_owned(),
            ));
        }
        Ok(())
    }

    /// Adds a row taken apart, for CSV and Arrow.
    pub(crate) fn push_values(&mut self, row: &[u8]) -> Result<(), Fault> {
        self.locate(row)?;
        let values = self.found.iter().zip(self.columns).map(|(span, (_, kind))| {
            span.map(|(start, end)| Value::decode(&mut Cursor::new(&row[start..end]), kind)).transpose()
        });
        self.values.push(values.collect::<Result<_, _>>()?);
        Ok(())
    }

    /// Finds the columns of the answer in a blob, in one pass.
    fn locate(&mut self, row: &[u8]) -> Result<(), Fault> {
        self.found.fill(None);
        for entry in columns(row) {
            let (id, bytes) = entry?;
            let start = bytes.as_ptr().addr() - row.as_ptr().addr();
            for (index, wanted) in self.ids.iter().enumerate() {
                if *wanted == id {
                    self.found[index] = Some((start, start + bytes.len()));
                }
            }
        }
        Ok(())
    }

    pub(crate) fn into_records(self) -> Vec<u8> {
        self.records.finish()
    }

    pub(crate) fn arrow_body(&self, stamps: Stamps) -> Result<Vec<u8>, Fault> {
        let dialect = Dialect { interval_struct: true, stamp_struct: stamps == Stamps::Struct };
        Ok(frame(&write_messages(self.columns, &self.values, dialect)?))
    }

    pub(crate) fn arrow_preview(&self) -> Result<Vec<u8>, Fault> {
        let dialect = Dialect { interval_struct: true, stamp_struct: true };
        Ok(write_stream(self.columns, &self.values, dialect)?)
    }

    pub(crate) fn csv(&self) -> String {
        let mut out = String::new();
        for (index, (name, _)) in self.columns.iter().enumerate() {
            out.push_str(if index == 0 { "" } else { "," });
            put_csv_text(&mut out, name);
        }
        out.push('\n');
        for row in &self.values {
            for (index, (value, (_, kind))) in row.iter().zip(self.columns).enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                put_csv(&mut out, value.as_ref(), kind);
            }
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::row::put_column;

    #[test]
    fn a_result_shows_its_rows_as_csv() {
        let mut result = ResultSet::new(vec![("id".into(), Type::BigInt), ("name".into(), Type::String)]);
        for (id, name) in [(2u8, Some(b"a")), (4, None)] {
            let mut row = Vec::new();
            put_column(&mut row, 1, &[id]);
            if let Some(name) = name {
                put_column(&mut row, 2, &[1, name[0]]);
            }
            result.push(&row).unwrap();
        }
        assert_eq!(result.csv(10).unwrap(), "\"id\",\"name\"\n\"1\",\"a\"\n\"2\",\\N\n");
        assert_eq!(result.csv(1).unwrap(), "\"id\",\"name\"\n\"1\",\"a\"\n");
    }
}
