//! From Arrow's buffers to the lists that a guest is given.
//!
//! Only what the plan reads is looked at. Numbers are passed as they lie in memory, and so are texts and bytes but for
//! their offsets, which must begin at 0. Null bits are passed as they lie unless the slice begins inside a byte. Only
//! decimals of more than 18 digits cost work for each value: they become text.

use std::borrow::Cow;
use std::io::Write as _;
use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, GenericByteArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{ByteArrayType, Decimal128Type, Float64Type, Int64Type, UInt64Type};
use sluicebox_model::{ChangeBatch, Column, ColumnType, Origin, Physical, TableSchema};

use crate::abi;
use crate::plan::{Meta, Read};
use crate::seed::seeds;

/// One list that a guest is given, and what it borrows from.
pub(crate) struct Lane<'a> {
    validity: Option<Cow<'a, [u8]>>,
    data: LaneData<'a>,
}

enum LaneData<'a> {
    Ints(Cow<'a, [i64]>),
    Uints(Cow<'a, [u64]>),
    Floats(&'a [f64]),
    Bytes { offsets: Vec<u32>, data: Cow<'a, [u8]> },
}

impl<'a> Lane<'a> {
    /// As the interface passes it.
    pub(crate) fn as_vector(&self) -> abi::VectorIn<'_> {
        let data = match &self.data {
            LaneData::Ints(values) => abi::DataIn::Ints(values),
            LaneData::Uints(values) => abi::DataIn::Uints(values),
            LaneData::Floats(values) => abi::DataIn::Floats(values),
            LaneData::Bytes { offsets, data } => abi::DataIn::Bytes(abi::BytesIn { offsets, data }),
        };
        abi::VectorIn { validity: self.validity.as_deref(), data }
    }

    /// Its numbers as bytes, for guests whose plan wants that.
    pub(crate) fn packed(self) -> Self {
        let data: Vec<u8> = match &self.data {
            LaneData::Ints(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            LaneData::Uints(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            LaneData::Floats(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            LaneData::Bytes { .. } => return self,
        };
        Self { data: LaneData::Bytes { offsets: Vec::new(), data: data.into() }, ..self }
    }

    /// What a read gives for some rows of a batch; none when the batch breaks its invariants.
    pub(crate) fn new(read: Read, batch: &'a ChangeBatch, rows: &Range<usize>) -> Option<Self> {
        match read {
            Read::Column(place) => {
                let column = batch.schema.columns.get(place)?;
                column_lane(column, batch.columns.get(place)?, rows)
            }
            Read::Meta(meta) => meta_lane(meta, batch, rows),
        }
    }

    /// Bytes that cross.
    pub(crate) fn byte_size(&self) -> usize {
        let validity = self.validity.as_ref().map_or(0, |bits| bits.len());
        validity
            + match &self.data {
                LaneData::Ints(values) => size_of_val(&**values),
                LaneData::Uints(values) => size_of_val(&**values),
                LaneData::Floats(values) => size_of_val(*values),
                LaneData::Bytes { offsets, data } => size_of_val(&**offsets) + data.len(),
            }
    }
}

/// Bytes that the values of the columns read have between two rows, roughly: enough to keep a call small.
pub(crate) fn bytes_read(reads: &[Read], batch: &ChangeBatch, rows: &Range<usize>) -> usize {
    let of = |read: &Read| match read {
        Read::Column(place) => {
            let wide = batch.columns.get(*place).map_or(0, |array| wide_bytes(array, rows));
            wide + 8 * rows.len()
        }
        Read::Meta(Meta::CommitTime | Meta::Position | Meta::Seed) => 8 * rows.len(),
        // `uuid:number` and little more.
        Read::Meta(Meta::Transaction) => 48 * rows.len(),
    };
    reads.iter().map(of).sum()
}

fn wide_bytes(array: &ArrayRef, rows: &Range<usize>) -> usize {
    fn between<T: ByteArrayType<Offset = i32>>(array: &GenericByteArray<T>, rows: &Range<usize>) -> usize {
        let at = |row: usize| array.value_offsets().get(row).copied().unwrap_or_default();
        usize::try_from(at(rows.end) - at(rows.start)).unwrap_or_default()
    }
    if let Some(texts) = array.as_string_opt::<i32>() {
        between(texts, rows)
    } else if let Some(bytes) = array.as_binary_opt::<i32>() {
        between(bytes, rows)
    } else {
        0
    }
}

fn column_lane<'a>(column: &Column, array: &'a ArrayRef, rows: &Range<usize>) -> Option<Lane<'a>> {
    let validity = array.nulls().and_then(|nulls| null_bits(nulls, rows));
    let data = match column.column_type.physical() {
        Physical::Int64 => {
            LaneData::Ints(array.as_primitive_opt::<Int64Type>()?.values().get(rows.clone())?.into())
        }
        Physical::UInt64 => {
            LaneData::Uints(array.as_primitive_opt::<UInt64Type>()?.values().get(rows.clone())?.into())
        }
        Physical::Float64 => {
            LaneData::Floats(array.as_primitive_opt::<Float64Type>()?.values().get(rows.clone())?)
        }
        Physical::Decimal128 => decimal_texts(array.as_primitive_opt::<Decimal128Type>()?, rows)?,
        Physical::Utf8 => byte_strings(array.as_string_opt::<i32>()?, rows)?,
        Physical::Binary => byte_strings(array.as_binary_opt::<i32>()?, rows)?,
    };
    Some(Lane { validity, data })
}

/// None when all of the rows are valid.
fn null_bits<'a>(nulls: &'a NullBuffer, rows: &Range<usize>) -> Option<Cow<'a, [u8]>> {
    let whole = rows.len() == nulls.len();
    if whole && nulls.null_count() == 0 || !whole && nulls.slice(rows.start, rows.len()).null_count() == 0 {
        return None;
    }
    let first = nulls.offset() + rows.start;
    let bytes = rows.len().div_ceil(8);
    if first.is_multiple_of(8) {
        return nulls.validity().get(first / 8..first / 8 + bytes).map(Cow::Borrowed);
    }
    let aligned = nulls.inner().slice(rows.start, rows.len()).sliced();
    aligned.as_slice().get(..bytes).map(|bits| Cow::Owned(bits.to_vec()))
}

fn byte_strings<'a, T: ByteArrayType<Offset = i32>>(
    array: &'a GenericByteArray<T>,
    rows: &Range<usize>,
) -> Option<LaneData<'a>> {
    let offsets = array.value_offsets().get(rows.start..=rows.end)?;
    let (&first, &last) = (offsets.first()?, offsets.last()?);
    let data = array.value_data().get(usize::try_from(first).ok()?..usize::try_from(last).ok()?)?;
    // Arrow's offsets rise, so a difference to the first is never negative.
    let offsets = offsets.iter().map(|offset| (offset - first).cast_unsigned()).collect();
    Some(LaneData::Bytes { offsets, data: Cow::Borrowed(data) })
}

fn decimal_texts<'a>(array: &'a Decimal128Array, rows: &Range<usize>) -> Option<LaneData<'a>> {
    let scale = usize::try_from(array.scale()).ok()?;
    let values = array.values().get(rows.clone())?;
    let mut offsets = Vec::with_capacity(values.len() + 1);
    let mut data = Vec::with_capacity(values.len() * 24);
    offsets.push(0);
    for (value, row) in values.iter().zip(rows.clone()) {
        if array.is_valid(row) {
            write_decimal(*value, scale, &mut data);
        }
        offsets.push(u32::try_from(data.len()).ok()?);
    }
    Some(LaneData::Bytes { offsets, data: Cow::Owned(data) })
}

/// Plain text, with as many digits after the point as the scale says: 5 with scale 2 is `0.05`.
pub(crate) fn write_decimal(value: i128, scale: usize, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    let start = out.len();
    // Writing to a vector does not fail; the widest value has 39 digits.
    let _ = write!(out, "{:0width$}", value.unsigned_abs(), width = scale + 1);
    if scale > 0 {
        let point = out.len().saturating_sub(scale).max(start);
        out.insert(point, b'.');
    }
}

fn meta_lane<'a>(meta: Meta, batch: &ChangeBatch, rows: &Range<usize>) -> Option<Lane<'a>> {
    let runs = Runs::new(batch, rows)?;
    let data = match meta {
        Meta::CommitTime => LaneData::Ints(runs.spread(|origin| origin.commit_micros).into()),
        Meta::Position => LaneData::Uints(runs.spread(|origin| origin.ordinal).into()),
        Meta::Transaction => runs.transactions()?,
        Meta::Seed => {
            let seeds = seeds(batch, rows, &runs.0)?;
            return Some(Lane { validity: None, data: LaneData::Uints(seeds.into()) });
        }
    };
    Some(Lane { validity: runs.validity(), data })
}

/// Origins of some rows, each with the number of rows that it is for.
struct Runs<'a>(Vec<(&'a Origin, usize)>);

impl<'a> Runs<'a> {
    fn new(batch: &'a ChangeBatch, rows: &Range<usize>) -> Option<Self> {
        let mut runs = Vec::new();
        let mut at = rows.start;
        let first = batch.origins.partition_point(|origin| origin.first_row as usize <= at).checked_sub(1)?;
        for (place, origin) in batch.origins.iter().enumerate().skip(first) {
            let end =
                batch.origins.get(place + 1).map_or(rows.end, |next| (next.first_row as usize).min(rows.end));
            runs.push((origin, end.checked_sub(at)?));
            at = end;
            if at == rows.end {
                return Some(Self(runs));
            }
        }
        None
    }

    fn spread<T: Clone>(&self, value: impl Fn(&Origin) -> T) -> Vec<T> {
        self.0.iter().flat_map(|(origin, rows)| std::iter::repeat_n(value(origin), *rows)).collect()
    }

    /// Rows read by a snapshot come from no transaction, and all that is known of one is null for them.
    fn validity(&self) -> Option<Cow<'static, [u8]>> {
        if self.0.iter().all(|(origin, _)| origin.transaction.is_some()) {
            return None;
        }
        let flags = self.spread(|origin| origin.transaction.is_some());
        let pack = |flags: &[bool]| flags.iter().rev().fold(0_u8, |byte, flag| byte << 1 | u8::from(*flag));
        Some(Cow::Owned(flags.chunks(8).map(pack).collect()))
    }

    fn transactions(&self) -> Option<LaneData<'static>> {
        let mut offsets = vec![0];
        let mut data = Vec::new();
        for (origin, rows) in &self.0 {
            let name =
                origin.transaction.as_ref().map(|transaction| transaction.to_string()).unwrap_or_default();
            for _ in 0..*rows {
                data.extend_from_slice(name.as_bytes());
                offsets.push(u32::try_from(data.len()).ok()?);
            }
        }
        Some(LaneData::Bytes { offsets, data: Cow::Owned(data) })
    }
}

/// The table as the guest is given it: its columns, for [`abi::Table`] to borrow.
pub(crate) fn table_columns(schema: &TableSchema) -> Vec<abi::Column<'_>> {
    let mut columns = Vec::with_capacity(schema.columns.len());
    for (place, column) in schema.columns.iter().enumerate() {
        let (column_type, precision, scale) = abi_type(column.column_type);
        let key = schema.key.iter().position(|&key| key == place);
        columns.push(abi::Column {
            name: &column.name,
            column_type,
            precision,
            scale,
            nullable: column.nullable,
            // A table has at most 4,096 columns, so a place always fits.
            key: key.and_then(|place| u32::try_from(place).ok()),
            source_type: &column.source_type,
        });
    }
    columns
}

fn abi_type(column_type: ColumnType) -> (abi::ColumnType, u32, u32) {
    use abi::ColumnType as A;
    use sluicebox_model::ColumnType as T;
    match column_type {
        T::Boolean | T::TinyInt | T::SmallInt | T::Int | T::BigInt => (A::Int, 0, 0),
        T::UnsignedBigInt | T::Bit { .. } => (A::Uint, 0, 0),
        T::Float | T::Double => (A::Float, 0, 0),
        T::Decimal { precision, scale } => (A::Decimal, precision.into(), scale.into()),
        T::Text => (A::Text, 0, 0),
        T::Json => (A::Json, 0, 0),
        T::Binary => (A::Binary, 0, 0),
        T::Date => (A::Date, 0, 0),
        T::Time { fraction } => (A::Time, fraction.into(), 0),
        T::DateTime { fraction } => (A::Datetime, fraction.into(), 0),
        T::Timestamp { fraction } => (A::Timestamp, fraction.into(), 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_is_written_with_all_digits_of_its_scale() {
        for (value, scale, text) in [
            (0, 0, "0"),
            (5, 2, "0.05"),
            (-5, 2, "-0.05"),
            (1250, 2, "12.50"),
            (-123_456, 3, "-123.456"),
            (7, 0, "7"),
            (i128::from(i64::MIN), 10, "-922337203.6854775808"),
        ] {
            let mut out = b"before".to_vec();
            write_decimal(value, scale, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), format!("before{text}"));
        }
    }
}
