//! One row, as a plugin sees it.

use crate::bindings::sluicebox::transform::types::{Vector, VectorData};
use crate::column::{FixedOut, Inputs, Shape, StringsOut};
use crate::plan::Layout;
use crate::{Bytes, Float, Int, NewBytes, NewFloat, NewInt, NewText, NewUInt, Result, Text, TextOut, UInt};

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Inserted.
    Insert,
    /// An updated row as it was.
    Before,
    /// An updated row as it is.
    After,
    /// Deleted; the row as it was.
    Delete,
    /// Read by a snapshot.
    Read,
}

impl Kind {
    pub(crate) fn of(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Insert,
            1 => Self::Before,
            2 => Self::After,
            3 => Self::Delete,
            4 => Self::Read,
            _ => return None,
        })
    }
}

/// Computed columns on their way out, by kind.
pub(crate) struct Outputs {
    ints: Vec<FixedOut<i64>>,
    uints: Vec<FixedOut<u64>>,
    floats: Vec<FixedOut<f64>>,
    texts: Vec<StringsOut<String>>,
    bytes: Vec<StringsOut<Vec<u8>>>,
}

impl Outputs {
    pub(crate) fn new(layout: &Layout, rows: usize) -> Self {
        let mut outputs = Self {
            ints: Vec::new(),
            uints: Vec::new(),
            floats: Vec::new(),
            texts: Vec::new(),
            bytes: Vec::new(),
        };
        for column in &layout.computed {
            let (old, nullable, blank) = (column.old, column.nullable, column.blank);
            match column.shape {
                Shape::Ints => outputs.ints.push(FixedOut::new(old, nullable, rows)),
                Shape::UInts => outputs.uints.push(FixedOut::new(old, nullable, rows)),
                Shape::Floats => outputs.floats.push(FixedOut::new(old, nullable, rows)),
                Shape::Text => outputs.texts.push(StringsOut::new(old, nullable, blank, rows)),
                Shape::Bytes => outputs.bytes.push(StringsOut::new(old, nullable, blank, rows)),
            }
        }
        outputs
    }

    #[inline]
    pub(crate) fn complete(&mut self, at: usize, row: usize, stays: bool, inputs: &Inputs<'_>) {
        for column in &mut self.ints {
            column.complete(at, row, stays, &inputs.ints);
        }
        for column in &mut self.uints {
            column.complete(at, row, stays, &inputs.uints);
        }
        for column in &mut self.floats {
            column.complete(at, row, stays, &inputs.floats);
        }
        for column in &mut self.texts {
            column.complete(
                at,
                row,
                stays,
                &inputs.texts,
                |text, row| text.get(row),
                |out, text| out.push_str(text),
            );
        }
        for column in &mut self.bytes {
            column.complete(
                at,
                row,
                stays,
                &inputs.bytes,
                |b, row| b.get(row),
                |out, b| out.extend_from_slice(b),
            );
        }
    }

    /// Forgets rows from this one on.
    pub(crate) fn truncate(&mut self, rows: usize) {
        self.ints.iter_mut().for_each(|column| column.truncate(rows));
        self.uints.iter_mut().for_each(|column| column.truncate(rows));
        self.floats.iter_mut().for_each(|column| column.truncate(rows));
        self.texts.iter_mut().for_each(|column| column.truncate(rows));
        self.bytes.iter_mut().for_each(|column| column.truncate(rows));
    }

    /// The columns in the order of the plan's output.
    pub(crate) fn finish(self, layout: &Layout) -> Vec<Vector> {
        let mut ints = self.ints.into_iter().map(|column| column.finish(VectorData::Ints));
        let mut uints = self.uints.into_iter().map(|column| column.finish(VectorData::Uints));
        let mut floats = self.floats.into_iter().map(|column| column.finish(VectorData::Floats));
        let mut texts = self.texts.into_iter().map(StringsOut::finish);
        let mut bytes = self.bytes.into_iter().map(StringsOut::finish);
        let mut asked: Vec<Option<Vector>> = layout
            .computed
            .iter()
            .map(|column| match column.shape {
                Shape::Ints => ints.next(),
                Shape::UInts => uints.next(),
                Shape::Floats => floats.next(),
                Shape::Text => texts.next(),
                Shape::Bytes => bytes.next(),
            })
            .collect();
        layout.order.iter().filter_map(|&place| asked.get_mut(place)?.take()).collect()
    }
}

/// One row image: columns are read and set through the handles that [`Plan`](crate::Plan) gave out.
pub struct Row<'a> {
    pub(crate) inputs: &'a Inputs<'a>,
    pub(crate) outputs: &'a mut Outputs,
    pub(crate) kind: Kind,
    pub(crate) row: usize,
    /// The row that is being made; the same as `row` where each makes one.
    pub(crate) at: usize,
    /// Of which row each is made, where the plan may make several of one.
    pub(crate) made_of: Option<&'a mut Vec<u32>>,
}

macro_rules! fixed_columns {
    ($($name:ident, $set:ident: $value:ty, $handle:ident, $new:ident, $list:ident;)*) => {$(
        /// The value of a column; none when it is null. Of a rewritten column, the old one.
        #[inline]
        pub fn $name(&self, column: impl Into<$handle>) -> Option<$value> {
            self.inputs.$list.get(column.into().0)?.get(self.row)
        }

        /// Sets a computed column; `None` makes it null.
        #[inline]
        pub fn $set(&mut self, column: impl Into<$new>, value: impl Into<Option<$value>>) {
            if let Some(out) = self.outputs.$list.get_mut(column.into().0) {
                out.set(self.at, value.into());
            }
        }
    )*};
}

impl<'a> Row<'a> {
    fixed_columns! {
        int, set_int: i64, Int, NewInt, ints;
        uint, set_uint: u64, UInt, NewUInt, uints;
        float, set_float: f64, Float, NewFloat, floats;
    }

    /// Makes a row of what is set, for plans that said [`Plan::expand`](crate::Plan::expand). Columns that are computed anew are to be set
    /// again before the next one. `Verdict::Keep` makes a last one, `Verdict::Drop` none.
    ///
    /// # Errors
    /// When the plan did not say so.
    pub fn emit(&mut self) -> Result<()> {
        let Some(made_of) = &mut self.made_of else {
            return Err("`emit` makes several rows of one, and the plan did not say `expand`".into());
        };
        self.outputs.complete(self.at, self.row, true, self.inputs);
        // The interface counts rows in 32 bits, so a place always fits.
        made_of.push(self.row as u32);
        self.at += 1;
        Ok(())
    }

    /// What the row is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The text of a column; none when it is null. Of a rewritten column, the old one.
    #[inline]
    pub fn text(&self, column: impl Into<Text>) -> Option<&'a str> {
        self.inputs.texts.get(column.into().0)?.get(self.row)
    }

    /// The bytes of a column; none when it is null. Of a rewritten column, the old ones.
    #[inline]
    pub fn bytes(&self, column: impl Into<Bytes>) -> Option<&'a [u8]> {
        self.inputs.bytes.get(column.into().0)?.get(self.row)
    }

    /// Sets a computed column of texts to what `write` appends.
    #[inline]
    pub fn set_text(&mut self, column: impl Into<NewText>, write: impl FnOnce(&mut TextOut<'_>)) {
        if let Some(out) = self.outputs.texts.get_mut(column.into().0) {
            out.set(self.at, |data| write(&mut TextOut(data)));
        }
    }

    /// Sets a computed column of bytes.
    #[inline]
    pub fn set_bytes(&mut self, column: impl Into<NewBytes>, value: &[u8]) {
        if let Some(out) = self.outputs.bytes.get_mut(column.into().0) {
            out.set(self.at, |data| data.extend_from_slice(value));
        }
    }

    /// Makes a computed column of texts null.
    #[inline]
    pub fn set_text_null(&mut self, column: impl Into<NewText>) {
        if let Some(out) = self.outputs.texts.get_mut(column.into().0) {
            out.set_null(self.at);
        }
    }

    /// Makes a computed column of bytes null.
    #[inline]
    pub fn set_bytes_null(&mut self, column: impl Into<NewBytes>) {
        if let Some(out) = self.outputs.bytes.get_mut(column.into().0) {
            out.set_null(self.at);
        }
    }
}
