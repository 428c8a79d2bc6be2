//! Columns: handles that `plan` gives out, views of what came in, and what goes out.
//!
//! Columns are kept apart by the list that their values cross in, and a handle is a place among its own kind: getters and
//! setters need not look what a column is.

use crate::bindings::sluicebox::transform::types::{ByteStrings, Vector, VectorData};
use crate::{Error, Result};

macro_rules! handles {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name(pub(crate) usize);
    )*};
}

handles! {
    /// A column of signed numbers that is read.
    Int
    /// A column of unsigned numbers that is read.
    UInt
    /// A column of floating-point numbers that is read.
    Float
    /// A column of texts that is read.
    Text
    /// A column of bytes that is read.
    Bytes
    /// A new column of signed numbers.
    NewInt
    /// A new column of unsigned numbers.
    NewUInt
    /// A new column of floating-point numbers.
    NewFloat
    /// A new column of texts.
    NewText
    /// A new column of bytes.
    NewBytes
}

macro_rules! rewrites {
    ($($(#[$doc:meta])* $name:ident: $old:ident, $new:ident)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name {
            pub(crate) old: $old,
            pub(crate) new: $new,
        }

        impl From<$name> for $old {
            fn from(rewrite: $name) -> Self {
                rewrite.old
            }
        }

        impl From<$name> for $new {
            fn from(rewrite: $name) -> Self {
                rewrite.new
            }
        }
    )*};
}

rewrites! {
    /// A column of signed numbers that is computed from its old value.
    RewriteInt: Int, NewInt
    /// A column of unsigned numbers that is computed from its old value.
    RewriteUInt: UInt, NewUInt
    /// A column of floating-point numbers that is computed from its old value.
    RewriteFloat: Float, NewFloat
    /// A column of texts that is computed from its old value.
    RewriteText: Text, NewText
    /// A column of bytes that is computed from its old value.
    RewriteBytes: Bytes, NewBytes
}

/// The kinds of list that values cross in; text is told from bytes, because only text is UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Ints,
    UInts,
    Floats,
    Text,
    Bytes,
}

/// Fixed-width values that came in.
pub(crate) struct Fixed<'a, T> {
    data: &'a [T],
    validity: Option<&'a [u8]>,
}

/// Texts (`str`) or bytes (`[u8]`) that came in.
pub(crate) struct Strings<'a, T: ?Sized> {
    offsets: &'a [u32],
    data: &'a T,
    validity: Option<&'a [u8]>,
}

fn is_null(validity: Option<&[u8]>, row: usize) -> bool {
    validity.is_some_and(|bits| bits.get(row / 8).is_none_or(|byte| byte >> (row % 8) & 1 == 0))
}

impl<T: Copy> Fixed<'_, T> {
    #[inline]
    pub(crate) fn get(&self, row: usize) -> Option<T> {
        if is_null(self.validity, row) { None } else { self.data.get(row).copied() }
    }
}

impl<T: ?Sized> Strings<'_, T> {
    #[inline]
    fn bounds(&self, row: usize) -> Option<(usize, usize)> {
        if is_null(self.validity, row) {
            return None;
        }
        let pair = self.offsets.get(row..row + 2)?;
        Some((pair[0] as usize, pair[1] as usize))
    }
}

impl<'a> Strings<'a, str> {
    #[inline]
    pub(crate) fn get(&self, row: usize) -> Option<&'a str> {
        let (from, to) = self.bounds(row)?;
        self.data.get(from..to)
    }
}

impl<'a> Strings<'a, [u8]> {
    #[inline]
    pub(crate) fn get(&self, row: usize) -> Option<&'a [u8]> {
        let (from, to) = self.bounds(row)?;
        self.data.get(from..to)
    }
}

/// What came in, by kind; `shapes` are those of the plan's reads.
#[derive(Default)]
pub(crate) struct Inputs<'a> {
    pub(crate) ints: Vec<Fixed<'a, i64>>,
    pub(crate) uints: Vec<Fixed<'a, u64>>,
    pub(crate) floats: Vec<Fixed<'a, f64>>,
    pub(crate) texts: Vec<Strings<'a, str>>,
    pub(crate) bytes: Vec<Strings<'a, [u8]>>,
}

impl<'a> Inputs<'a> {
    pub(crate) fn new(shapes: &[Shape], vectors: &'a [Vector]) -> Result<Self> {
        if shapes.len() != vectors.len() {
            return Err("the batch has another number of columns than the plan".into());
        }
        let mut inputs = Self::default();
        for (shape, vector) in shapes.iter().zip(vectors) {
            let validity = vector.validity.as_deref();
            match (shape, &vector.data) {
                (Shape::Ints, VectorData::Ints(data)) => inputs.ints.push(Fixed { data, validity }),
                (Shape::UInts, VectorData::Uints(data)) => inputs.uints.push(Fixed { data, validity }),
                (Shape::Floats, VectorData::Floats(data)) => inputs.floats.push(Fixed { data, validity }),
                (Shape::Text, VectorData::Bytes(ByteStrings { offsets, data })) => {
                    // Once for the whole column: slicing it is then all that a getter does.
                    let data =
                        std::str::from_utf8(data).map_err(|_| Error::from("a text column is not UTF-8"))?;
                    inputs.texts.push(Strings { offsets, data, validity });
                }
                (Shape::Bytes, VectorData::Bytes(ByteStrings { offsets, data })) => {
                    inputs.bytes.push(Strings { offsets, data, validity });
                }
                _ => return Err("a column is not in the list that its type names".into()),
            }
        }
        Ok(inputs)
    }
}

/// Null bits that go out; nothing is kept until the first null.
#[derive(Default)]
struct Nulls {
    bits: Vec<u8>,
    any: bool,
}

impl Nulls {
    fn set(&mut self, row: usize, null: bool, rows: usize) {
        if !self.any {
            if !null {
                return;
            }
            self.any = true;
            self.bits = vec![0xff; rows.div_ceil(8)];
        }
        // Where rows are made of others there can be more than came in.
        if self.bits.len() <= row / 8 {
            self.bits.resize(row / 8 + 1, 0xff);
        }
        let bit = 1 << (row % 8);
        if null {
            self.bits[row / 8] &= !bit;
        } else {
            self.bits[row / 8] |= bit;
        }
    }

    /// As long as the rows want it.
    fn finish(mut self, rows: usize) -> Option<Vec<u8>> {
        self.bits.resize(rows.div_ceil(8), 0xff);
        self.any.then_some(self.bits)
    }
}

/// A computed column: its values by row, and where they come from when `row` does not set them.
pub(crate) struct FixedOut<T> {
    data: Vec<T>,
    nulls: Nulls,
    rows: usize,
    old: Option<usize>,
    nullable: bool,
}

impl<T: Copy + Default> FixedOut<T> {
    pub(crate) fn new(old: Option<usize>, nullable: bool, rows: usize) -> Self {
        Self { data: Vec::with_capacity(rows), nulls: Nulls::default(), rows, old, nullable }
    }

    #[inline]
    pub(crate) fn set(&mut self, row: usize, value: Option<T>) {
        self.data.truncate(row);
        self.data.push(value.unwrap_or_default());
        self.nulls.set(row, value.is_none(), self.rows);
    }

    /// Makes sure that the row has an entry: the value of the row that it is made of when it stays, else as little as possible.
    #[inline]
    pub(crate) fn complete(&mut self, at: usize, row: usize, stays: bool, inputs: &[Fixed<'_, T>]) {
        // What was set for a row that goes or failed can be anything.
        if !stays {
            self.data.truncate(at);
        }
        if self.data.len() > at {
            return;
        }
        let old =
            self.old.filter(|_| stays).and_then(|place| inputs.get(place)).map(|column| column.get(row));
        let blank = if self.nullable { None } else { Some(T::default()) };
        self.set(at, old.unwrap_or(blank));
    }

    pub(crate) fn truncate(&mut self, rows: usize) {
        self.data.truncate(rows);
    }

    pub(crate) fn finish(self, wrap: fn(Vec<T>) -> VectorData) -> Vector {
        Vector { validity: self.nulls.finish(self.data.len()), data: wrap(self.data) }
    }
}

/// A computed column of texts or bytes.
pub(crate) struct StringsOut<B> {
    offsets: Vec<u32>,
    data: B,
    nulls: Nulls,
    rows: usize,
    old: Option<usize>,
    nullable: bool,
    blank: &'static str,
}

/// Where the values of a column of texts or bytes are put together.
pub(crate) trait Buffer: Default {
    fn bytes(&self) -> usize;
    fn cut(&mut self, bytes: usize);
    fn put(&mut self, text: &str);
    fn into_bytes(self) -> Vec<u8>;
}

impl Buffer for String {
    fn bytes(&self) -> usize {
        self.len()
    }

    fn cut(&mut self, bytes: usize) {
        self.truncate(bytes);
    }

    fn put(&mut self, text: &str) {
        self.push_str(text);
    }

    fn into_bytes(self) -> Vec<u8> {
        self.into_bytes()
    }
}

impl Buffer for Vec<u8> {
    fn bytes(&self) -> usize {
        self.len()
    }

    fn cut(&mut self, bytes: usize) {
        self.truncate(bytes);
    }

    fn put(&mut self, text: &str) {
        self.extend_from_slice(text.as_bytes());
    }

    fn into_bytes(self) -> Vec<u8> {
        self
    }
}

impl<B: Buffer> StringsOut<B> {
    pub(crate) fn new(old: Option<usize>, nullable: bool, blank: &'static str, rows: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self { offsets, data: B::default(), nulls: Nulls::default(), rows, old, nullable, blank }
    }

    #[inline]
    pub(crate) fn set(&mut self, row: usize, write: impl FnOnce(&mut B)) {
        self.begin(row);
        write(&mut self.data);
        self.end(row, false);
    }

    #[inline]
    pub(crate) fn set_null(&mut self, row: usize) {
        self.begin(row);
        self.end(row, true);
    }

    /// Forgets what was set for this row before.
    #[inline]
    fn begin(&mut self, row: usize) {
        if self.offsets.len() > row + 1 {
            self.offsets.truncate(row + 1);
            self.data.cut(self.offsets[row] as usize);
        }
    }

    #[inline]
    fn end(&mut self, row: usize, null: bool) {
        // The memory has 32-bit addresses, so a length always fits.
        self.offsets.push(self.data.bytes() as u32);
        self.nulls.set(row, null, self.rows);
    }

    #[inline]
    pub(crate) fn complete<'a, T: ?Sized>(
        &mut self,
        at: usize,
        row: usize,
        stays: bool,
        inputs: &[Strings<'a, T>],
        get: impl Fn(&Strings<'a, T>, usize) -> Option<&'a T>,
        append: impl Fn(&mut B, &T),
    ) {
        if !stays {
            self.begin(at);
        }
        if self.offsets.len() > at + 1 {
            return;
        }
        let old =
            self.old.filter(|_| stays).and_then(|place| inputs.get(place)).map(|column| get(column, row));
        match old {
            Some(Some(value)) => self.set(at, |data| append(data, value)),
            Some(None) => self.set_null(at),
            None if self.nullable => self.set_null(at),
            None => {
                let blank = self.blank;
                self.set(at, |data| data.put(blank));
            }
        }
    }

    /// Forgets rows from this one on.
    pub(crate) fn truncate(&mut self, rows: usize) {
        self.begin(rows);
    }

    pub(crate) fn finish(self) -> Vector {
        let strings = ByteStrings { offsets: self.offsets, data: self.data.into_bytes() };
        let rows = strings.offsets.len().saturating_sub(1);
        Vector { validity: self.nulls.finish(rows), data: VectorData::Bytes(strings) }
    }
}

/// Where a text value is written to: append to it, with `push_str`, `push` or `write!`.
pub struct TextOut<'a>(pub(crate) &'a mut String);

impl TextOut<'_> {
    /// Appends a text.
    #[inline]
    pub fn push_str(&mut self, text: &str) {
        self.0.push_str(text);
    }

    /// Appends a character.
    #[inline]
    pub fn push(&mut self, character: char) {
        self.0.push(character);
    }
}

impl std::fmt::Write for TextOut<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.push_str(text);
        Ok(())
    }
}
