//! One column of a batch while it grows.
//!
//! Row decoder and snapshot both append here, so a value comes out the same whichever way it came in. Values go straight
//! into the buffers that the finished Arrow array takes over: nothing is allocated for a value, and `finish` copies
//! nothing. What a pipeline cannot hold (zero dates, broken text) is counted in `replaced`, never dropped in silence.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, Decimal128Array, Float64Array, Int64Array, NullBufferBuilder, StringArray,
    UInt64Array,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::error::ArrowError;
use sluicebox_model::{ColumnType, Physical};

use super::decimal;

/// One column of a batch while it grows; holds the kind of values that [`ColumnType::physical`] names.
///
/// The `append_*` method must fit that kind. One that does not is a mistake in this crate: debug builds stop there, others
/// append null and count it as replaced.
#[derive(Debug)]
pub(crate) struct ColumnBuilder {
    store: Store,
    nulls: NullBufferBuilder,
    replaced: u64,
    /// Digits after the point of a decimal; 0 for all else.
    scale: u8,
}

#[derive(Debug)]
enum Store {
    Int64(Vec<i64>),
    UInt64(Vec<u64>),
    Float64(Vec<f64>),
    Decimal128 { values: Vec<i128>, precision: u8 },
    Utf8(VarBytes),
    Binary(VarBytes),
}

/// Room that is made for texts before they are there. An estimate by a few long ones must not take more than a batch has.
const ROOM_BYTES_MAX: usize = 16 << 20;

/// Values of varying length, one behind the other.
#[derive(Debug)]
struct VarBytes {
    /// Where each value ends, as Arrow wants it: one more than there are values, the first 0.
    offsets: Vec<i32>,
    data: Vec<u8>,
    /// Values before this one are known to be UTF-8.
    checked: usize,
    /// The data grew past what 32-bit offsets reach; `finish` says so.
    overflown: bool,
}

impl VarBytes {
    fn new() -> Self {
        Self { offsets: vec![0], data: Vec::new(), checked: 0, overflown: false }
    }

    /// Ends a value whose bytes were put into `data`.
    #[inline]
    fn close(&mut self) {
        match i32::try_from(self.data.len()) {
            Ok(end) => self.offsets.push(end),
            Err(_) => self.overflow(),
        }
    }

    #[cold]
    fn overflow(&mut self) {
        let last = self.offsets.last().copied().unwrap_or(0);
        self.data.truncate(usize::try_from(last).unwrap_or(0));
        self.overflown = true;
        self.offsets.push(last);
    }

    /// Makes room for so many values of the mean length of those that are there.
    fn reserve(&mut self, values: usize) {
        let there = self.offsets.len() - 1;
        self.offsets.reserve(values);
        if there > 0 {
            // An eighth more: values that are a little longer must not move all of them.
            let mean = (self.data.len() + self.data.len() / 8).div_ceil(there);
            self.data.reserve(values.saturating_mul(mean).min(ROOM_BYTES_MAX));
        }
    }

    fn bounds(&self, value: usize) -> (usize, usize) {
        let at = |n: usize| self.offsets.get(n).and_then(|o| usize::try_from(*o).ok()).unwrap_or(0);
        (at(value), at(value + 1))
    }

    /// Checks the values appended since the last call, and puts replacement characters where they are not UTF-8.
    /// Gives the number of values changed.
    fn check_utf8(&mut self) -> u64 {
        let values = self.offsets.len() - 1;
        let (start, _) = self.bounds(self.checked);
        let first = self.checked;
        self.checked = values;
        if self.data[start..].is_ascii() {
            return 0;
        }
        let broken = |(start, end): (usize, usize)| std::str::from_utf8(&self.data[start..end]).is_err();
        match (first..values).find(|v| broken(self.bounds(*v))) {
            Some(value) => self.repair_from(value),
            None => 0,
        }
    }

    #[cold]
    fn repair_from(&mut self, first: usize) -> u64 {
        let values = self.offsets.len() - 1;
        let (start, _) = self.bounds(first);
        let tail = self.data.split_off(start);
        let ends: Vec<usize> = (first..values).map(|v| self.bounds(v).1 - start).collect();
        self.offsets.truncate(first + 1);
        let (mut from, mut replaced) = (0, 0);
        for end in ends {
            let text = String::from_utf8_lossy(&tail[from..end]);
            replaced += u64::from(matches!(text, std::borrow::Cow::Owned(_)));
            self.data.extend_from_slice(text.as_bytes());
            self.close();
            from = end;
        }
        replaced
    }

    fn parts(self) -> Result<(OffsetBuffer<i32>, Buffer), ArrowError> {
        if self.overflown {
            let reason = "a batch's text or binary column is larger than 2 GiB".to_owned();
            return Err(ArrowError::InvalidArgumentError(reason));
        }
        Ok((OffsetBuffer::new(ScalarBuffer::from(self.offsets)), Buffer::from_vec(self.data)))
    }
}

impl ColumnBuilder {
    /// An empty column for values of this type.
    pub(crate) fn new(column_type: ColumnType) -> Self {
        let (precision, scale) = match column_type {
            ColumnType::Decimal { precision, scale } => (precision, scale),
            _ => (0, 0),
        };
        let store = match column_type.physical() {
            Physical::Int64 => Store::Int64(Vec::new()),
            Physical::UInt64 => Store::UInt64(Vec::new()),
            Physical::Float64 => Store::Float64(Vec::new()),
            Physical::Decimal128 => Store::Decimal128 { values: Vec::new(), precision },
            Physical::Utf8 => Store::Utf8(VarBytes::new()),
            Physical::Binary => Store::Binary(VarBytes::new()),
        };
        Self { store, nulls: NullBufferBuilder::new(0), replaced: 0, scale }
    }

    /// Makes room for so many values like those that are there, so that they do not have to move while they come.
    pub(crate) fn reserve(&mut self, values: usize) {
        match &mut self.store {
            Store::Int64(there) => there.reserve(values),
            Store::UInt64(there) => there.reserve(values),
            Store::Float64(there) => there.reserve(values),
            Store::Decimal128 { values: there, .. } => there.reserve(values),
            Store::Utf8(there) | Store::Binary(there) => there.reserve(values),
        }
    }

    /// Appends null.
    #[inline]
    pub(crate) fn append_null(&mut self) {
        match &mut self.store {
            Store::Int64(values) => values.push(0),
            Store::UInt64(values) => values.push(0),
            Store::Float64(values) => values.push(0.0),
            Store::Decimal128 { values, .. } => values.push(0),
            Store::Utf8(bytes) | Store::Binary(bytes) => bytes.close(),
        }
        self.nulls.append_null();
    }

    /// Appends null in place of a value that the pipeline cannot hold, and counts it.
    #[cold]
    pub(crate) fn append_replaced(&mut self) {
        self.replaced += 1;
        self.append_null();
    }

    #[cold]
    fn append_misfit(&mut self) {
        debug_assert!(false, "a value of the wrong kind for {:?}", self.store);
        self.append_replaced();
    }

    /// Appends to a column of [`Physical::Int64`].
    #[inline]
    pub(crate) fn append_i64(&mut self, value: i64) {
        match &mut self.store {
            Store::Int64(values) => {
                values.push(value);
                self.nulls.append_non_null();
            }
            _ => self.append_misfit(),
        }
    }

    /// Appends to a column of [`Physical::UInt64`].
    #[inline]
    pub(crate) fn append_u64(&mut self, value: u64) {
        match &mut self.store {
            Store::UInt64(values) => {
                values.push(value);
                self.nulls.append_non_null();
            }
            _ => self.append_misfit(),
        }
    }

    /// Appends to a column of [`Physical::Float64`].
    #[inline]
    pub(crate) fn append_f64(&mut self, value: f64) {
        match &mut self.store {
            Store::Float64(values) => {
                values.push(value);
                self.nulls.append_non_null();
            }
            _ => self.append_misfit(),
        }
    }

    /// Appends an unscaled decimal to a column of [`Physical::Decimal128`].
    #[inline]
    pub(crate) fn append_i128(&mut self, value: i128) {
        match &mut self.store {
            Store::Decimal128 { values, .. } => {
                values.push(value);
                self.nulls.append_non_null();
            }
            _ => self.append_misfit(),
        }
    }

    /// Appends a decimal as the server prints it (`-12.50`) to a column of any kind that holds decimals. A text that is
    /// not one, or has more digits than the column's type, becomes null and counts as replaced.
    pub(crate) fn append_decimal_text(&mut self, text: &str) {
        let unscaled = || decimal::parse_unscaled(text, self.scale);
        match &self.store {
            Store::Int64(_) => match unscaled().and_then(|v| i64::try_from(v).ok()) {
                Some(value) => self.append_i64(value),
                None => self.append_replaced(),
            },
            Store::Decimal128 { .. } => match unscaled() {
                Some(value) => self.append_i128(value),
                None => self.append_replaced(),
            },
            Store::Utf8(_) => self.append_str(text),
            _ => self.append_misfit(),
        }
    }

    /// Appends to a column of [`Physical::Utf8`].
    #[inline]
    pub(crate) fn append_str(&mut self, text: &str) {
        self.append_bytes(text.as_bytes());
    }

    /// Appends to a column of [`Physical::Binary`], or of [`Physical::Utf8`] bytes that should be UTF-8: those are checked
    /// by [`Self::check_utf8`].
    #[inline]
    pub(crate) fn append_bytes(&mut self, value: &[u8]) {
        match &mut self.store {
            Store::Utf8(bytes) | Store::Binary(bytes) => {
                bytes.data.extend_from_slice(value);
                bytes.close();
                self.nulls.append_non_null();
            }
            _ => self.append_misfit(),
        }
    }

    /// Appends bytes that `write` puts behind what it is given; it must not touch what is there. `Ok(false)`: the
    /// value was written, but part of it had to be replaced. After an error the column must not be used further.
    pub(crate) fn append_with<E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<bool, E>,
    ) -> Result<(), E> {
        match &mut self.store {
            Store::Utf8(bytes) | Store::Binary(bytes) => {
                let whole = write(&mut bytes.data)?;
                bytes.close();
                self.nulls.append_non_null();
                self.replaced += u64::from(!whole);
            }
            _ => self.append_misfit(),
        }
        Ok(())
    }

    /// Checks the text appended since the last call: what is not UTF-8 gets replacement characters and is counted.
    pub(crate) fn check_utf8(&mut self) {
        if let Store::Utf8(bytes) = &mut self.store {
            self.replaced += bytes.check_utf8();
        }
    }

    /// Values that had to be replaced: dates that are none, text that is none. Whole after [`Self::check_utf8`].
    pub(crate) fn replaced(&self) -> u64 {
        self.replaced
    }

    /// Bytes held, without spare room.
    pub(crate) fn bytes(&self) -> usize {
        match &self.store {
            Store::Int64(values) => values.len() * 8,
            Store::UInt64(values) => values.len() * 8,
            Store::Float64(values) => values.len() * 8,
            Store::Decimal128 { values, .. } => values.len() * 16,
            Store::Utf8(bytes) | Store::Binary(bytes) => bytes.data.len() + bytes.offsets.len() * 4,
        }
    }

    /// The finished array. Fails when the column is too large for an array, or a decimal's shape is none.
    pub(crate) fn finish(mut self) -> Result<ArrayRef, ArrowError> {
        self.check_utf8();
        let nulls: Option<NullBuffer> = self.nulls.finish();
        Ok(match self.store {
            Store::Int64(values) => Arc::new(Int64Array::try_new(values.into(), nulls)?),
            Store::UInt64(values) => Arc::new(UInt64Array::try_new(values.into(), nulls)?),
            Store::Float64(values) => Arc::new(Float64Array::try_new(values.into(), nulls)?),
            Store::Decimal128 { values, precision } => {
                let scale = i8::try_from(self.scale).unwrap_or(i8::MAX);
                let array = Decimal128Array::try_new(values.into(), nulls)?;
                Arc::new(array.with_precision_and_scale(precision, scale)?)
            }
            Store::Utf8(bytes) => {
                let (offsets, data) = bytes.parts()?;
                Arc::new(StringArray::try_new(offsets, data, nulls)?)
            }
            Store::Binary(bytes) => {
                let (offsets, data) = bytes.parts()?;
                Arc::new(BinaryArray::try_new(offsets, data, nulls)?)
            }
        })
    }
}
