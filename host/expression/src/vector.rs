//! Values of one expression for all rows of a batch.
//!
//! The arrays are Arrow's, one kind for many types as in the model, with two differences: booleans are bits, and decimals are
//! always 128 bits wide, so that logic and decimal arithmetic have one case each. A value that is the same for every row is held once.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Decimal128Array, Float64Array, Int64Array,
    StringArray, UInt64Array, new_null_array,
};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::take;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, UInt64Type};
use sluicebox_model::{ColumnType, Physical};

use crate::types::Type;

/// Values, one for each row or one for all.
#[derive(Debug, Clone)]
pub(crate) struct Vector {
    pub values: Values,
    /// Whether the one value stands for every row.
    pub single: bool,
}

/// The values themselves.
#[derive(Debug, Clone)]
pub(crate) enum Values {
    /// So many nulls of no type.
    Null(usize),
    Boolean(BooleanArray),
    /// Integers, days, microseconds, spans.
    Int(Int64Array),
    Float(Float64Array),
    /// Unscaled; the scale is the type's.
    Decimal(Decimal128Array),
    Text(StringArray),
    Binary(BinaryArray),
    /// Lists and maps.
    List(Arc<List>),
    /// Rows: one vector a field, each as long as the whole.
    Row(Arc<Vec<Values>>, usize),
}

/// Lists of all rows, one behind the other.
#[derive(Debug)]
pub(crate) struct List {
    /// Where each row's items begin, and where the last row's end.
    pub offsets: Vec<usize>,
    pub nulls: Option<NullBuffer>,
    /// Of a map.
    pub keys: Option<Values>,
    pub items: Values,
}

impl Values {
    pub fn len(&self) -> usize {
        match self {
            Self::Null(rows) | Self::Row(_, rows) => *rows,
            Self::Boolean(array) => array.len(),
            Self::Int(array) => array.len(),
            Self::Float(array) => array.len(),
            Self::Decimal(array) => array.len(),
            Self::Text(array) => array.len(),
            Self::Binary(array) => array.len(),
            Self::List(list) => list.offsets.len().saturating_sub(1),
        }
    }

    pub fn nulls(&self) -> Option<NullBuffer> {
        match self {
            Self::Null(rows) => Some(NullBuffer::new_null(*rows)),
            Self::Row(..) => None,
            Self::Boolean(array) => array.nulls().cloned(),
            Self::Int(array) => array.nulls().cloned(),
            Self::Float(array) => array.nulls().cloned(),
            Self::Decimal(array) => array.nulls().cloned(),
            Self::Text(array) => array.nulls().cloned(),
            Self::Binary(array) => array.nulls().cloned(),
            Self::List(list) => list.nulls.clone(),
        }
    }

    pub fn is_null(&self, at: usize) -> bool {
        match self {
            Self::Null(_) => true,
            Self::Row(..) => false,
            Self::Boolean(array) => array.is_null(at),
            Self::Int(array) => array.is_null(at),
            Self::Float(array) => array.is_null(at),
            Self::Decimal(array) => array.is_null(at),
            Self::Text(array) => array.is_null(at),
            Self::Binary(array) => array.is_null(at),
            Self::List(list) => list.nulls.as_ref().is_some_and(|nulls| nulls.is_null(at)),
        }
    }

    /// Nulls of a type.
    pub fn nulls_of(kind: &Type, rows: usize) -> Self {
        let array = |data_type: DataType| new_null_array(&data_type, rows);
        match kind {
            Type::Null | Type::Unit => Self::Null(rows),
            Type::Months | Type::Days | Type::Micros => Self::Int(Int64Array::new_null(rows)),
            Type::List(item) => Self::List(Arc::new(List::empty(rows, None, Self::nulls_of(item, 0)))),
            Type::Map(key, value) => {
                let keys = Some(Self::nulls_of(key, 0));
                Self::List(Arc::new(List::empty(rows, keys, Self::nulls_of(value, 0))))
            }
            Type::Row(fields) => {
                Self::Row(Arc::new(fields.iter().map(|field| Self::nulls_of(field, rows)).collect()), rows)
            }
            Type::Plain(column) => match column {
                ColumnType::Boolean => Self::Boolean(BooleanArray::new_null(rows)),
                ColumnType::Float | ColumnType::Double => Self::Float(Float64Array::new_null(rows)),
                ColumnType::Decimal { .. } => {
                    Self::Decimal(array(DataType::Decimal128(38, 0)).as_primitive::<Decimal128Type>().clone())
                }
                ColumnType::Text | ColumnType::Json => Self::Text(StringArray::new_null(rows)),
                ColumnType::Binary => Self::Binary(BinaryArray::new_null(rows)),
                _ => Self::Int(Int64Array::new_null(rows)),
            },
        }
    }

    /// The values at these places, in this order; none: null.
    pub fn pick(&self, places: &[Option<usize>]) -> Result<Self, String> {
        let index = || UInt64Array::from_iter(places.iter().map(|p| p.map(|p| p as u64)));
        let taken = |array: &dyn Array| take(array, &index(), None).map_err(|error| error.to_string());
        Ok(match self {
            Self::Null(_) => Self::Null(places.len()),
            Self::Boolean(array) => Self::Boolean(taken(array)?.as_boolean().clone()),
            Self::Int(array) => Self::Int(taken(array)?.as_primitive::<Int64Type>().clone()),
            Self::Float(array) => Self::Float(taken(array)?.as_primitive::<Float64Type>().clone()),
            Self::Decimal(array) => Self::Decimal(taken(array)?.as_primitive::<Decimal128Type>().clone()),
            Self::Text(array) => Self::Text(taken(array)?.as_string::<i32>().clone()),
            Self::Binary(array) => Self::Binary(taken(array)?.as_binary::<i32>().clone()),
            Self::Row(fields, _) => {
                let fields = fields.iter().map(|field| field.pick(places)).collect::<Result<_, _>>()?;
                Self::Row(Arc::new(fields), places.len())
            }
            Self::List(list) => Self::List(Arc::new(list.pick(places)?)),
        })
    }
}

impl List {
    /// So many nulls.
    fn empty(rows: usize, keys: Option<Values>, items: Values) -> Self {
        Self { offsets: vec![0; rows + 1], nulls: Some(NullBuffer::new_null(rows)), keys, items }
    }

    /// Where the items of a row are.
    pub fn range(&self, at: usize) -> std::ops::Range<usize> {
        self.offsets[at]..self.offsets[at + 1]
    }

    fn pick(&self, places: &[Option<usize>]) -> Result<Self, String> {
        let mut offsets = vec![0];
        let mut items = Vec::new();
        let mut valid = Vec::with_capacity(places.len());
        for place in places {
            let there = place.filter(|p| !self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(*p)));
            valid.push(there.is_some());
            items.extend(there.into_iter().flat_map(|p| self.range(p)).map(Some));
            offsets.push(items.len());
        }
        let keys = self.keys.as_ref().map(|keys| keys.pick(&items)).transpose()?;
        let nulls = Some(NullBuffer::new(BooleanBuffer::from(valid)));
        Ok(Self { offsets, nulls, keys, items: self.items.pick(&items)? })
    }
}

impl Vector {
    /// One value a row.
    pub fn of(values: Values) -> Self {
        Self { values, single: false }
    }

    /// The one value of every row.
    pub fn single(values: Values) -> Self {
        Self { values, single: true }
    }

    pub fn text(text: &str) -> Self {
        Self::single(Values::Text(StringArray::from(vec![text])))
    }

    /// The place of a row's value.
    #[inline]
    pub fn at(&self, row: usize) -> usize {
        if self.single { 0 } else { row }
    }

    #[inline]
    pub fn is_null(&self, row: usize) -> bool {
        self.values.is_null(self.at(row))
    }

    /// One value for each of so many rows.
    pub fn spread(self, rows: usize) -> Result<Values, String> {
        if self.single { self.values.pick(&vec![Some(0); rows]) } else { Ok(self.values) }
    }
}

/// The values of a column of a batch, as expressions see them. None when the array is not of the column's kind.
pub(crate) fn read(column: ColumnType, array: &ArrayRef) -> Option<Values> {
    let ints = || array.as_primitive_opt::<Int64Type>();
    Some(match (column, column.physical()) {
        (ColumnType::Boolean, _) => {
            let ints = ints()?;
            let bits = BooleanBuffer::collect_bool(ints.len(), |row| ints.value(row) != 0);
            Values::Boolean(BooleanArray::new(bits, ints.nulls().cloned()))
        }
        (ColumnType::Decimal { .. }, Physical::Int64) => Values::Decimal(ints()?.unary(i128::from)),
        (_, Physical::Int64) => Values::Int(ints()?.clone()),
        (ColumnType::Bit { width: 0..=63 }, Physical::UInt64) => {
            Values::Int(array.as_primitive_opt::<UInt64Type>()?.unary(u64::cast_signed))
        }
        (_, Physical::UInt64) => Values::Decimal(array.as_primitive_opt::<UInt64Type>()?.unary(i128::from)),
        (_, Physical::Float64) => Values::Float(array.as_primitive_opt::<Float64Type>()?.clone()),
        (_, Physical::Decimal128) => Values::Decimal(array.as_primitive_opt::<Decimal128Type>()?.clone()),
        (_, Physical::Utf8) => Values::Text(array.as_string_opt::<i32>()?.clone()),
        (_, Physical::Binary) => Values::Binary(array.as_binary_opt::<i32>()?.clone()),
    })
}

/// The array of a column, from values of its type (a decimal's digits fit by then). None when they are of another kind.
pub(crate) fn write(column: ColumnType, values: Values) -> Option<ArrayRef> {
    Some(match (column.physical(), values) {
        (Physical::Int64, Values::Boolean(bits)) => {
            let ints = (0..bits.len()).map(|row| i64::from(bits.value(row)));
            Arc::new(Int64Array::new(ints.collect(), bits.nulls().cloned()))
        }
        (Physical::Int64, Values::Int(array)) => Arc::new(array),
        (Physical::Int64, Values::Decimal(array)) => {
            Arc::new(array.unary::<_, Int64Type>(|value| i64::try_from(value).unwrap_or_default()))
        }
        (Physical::Float64, Values::Float(array)) => Arc::new(array),
        (Physical::Decimal128, Values::Decimal(array)) => {
            let ColumnType::Decimal { precision, scale } = column else { return None };
            Arc::new(array.with_precision_and_scale(precision, scale.cast_signed()).ok()?)
        }
        (Physical::Utf8, Values::Text(array)) => Arc::new(array),
        (Physical::Binary, Values::Binary(array)) => Arc::new(array),
        (Physical::Utf8, Values::Null(rows)) => Arc::new(StringArray::new_null(rows)),
        _ => return None,
    })
}
