//! What a plugin wants with a table, said by column names.

use crate::bindings::sluicebox::transform::types as wit;
use crate::column::Shape;
use crate::{
    Bytes, Float, Int, NewBytes, NewFloat, NewInt, NewText, NewUInt, Result, RewriteBytes, RewriteFloat,
    RewriteInt, RewriteText, RewriteUInt, Text, UInt,
};

/// What a column means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// Signed integers, booleans (0 and 1), years; read with `int`.
    Int,
    /// `BIGINT UNSIGNED`, `BIT(n)`; read with `uint`.
    UInt,
    /// `FLOAT`, `DOUBLE`; read with `float`.
    Float,
    /// Up to 18 digits read with `int`, unscaled (12.50 with scale 2 is 1250); wider with `text`.
    Decimal,
    /// Text of any length, the label of an `ENUM`, the labels of a `SET`; read with `text`.
    Text,
    /// Bytes and geometry; read with `bytes`.
    Binary,
    /// JSON text; read with `text`.
    Json,
    /// Days since 1970-01-01; read with `int`.
    Date,
    /// Microseconds, signed; read with `int`.
    Time,
    /// Microseconds since 1970-01-01T00:00:00 of the same calendar; read with `int`.
    DateTime,
    /// Microseconds since 1970-01-01T00:00:00Z; read with `int`.
    Timestamp,
}

/// The type of a new column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Signed 64 bits.
    Int,
    /// Unsigned 64 bits.
    UInt,
    /// Double precision.
    Float,
    /// Exact decimal: set with `set_int` (unscaled) to precision 18, above with `set_text`.
    Decimal {
        /// Digits in all, 1 to 65.
        precision: u32,
        /// Digits after the point.
        scale: u32,
    },
    /// Text.
    Text,
    /// Bytes.
    Binary,
    /// JSON text.
    Json,
    /// Days since 1970-01-01.
    Date,
    /// A time span in microseconds, with so many digits of a second's fraction.
    Time(u32),
    /// A wall clock in microseconds, with so many digits of a second's fraction.
    DateTime(u32),
    /// An instant in microseconds, with so many digits of a second's fraction.
    Timestamp(u32),
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it means.
    pub column_type: ColumnType,
    /// Decimal: digits in all; times: digits of a second's fraction; else 0.
    pub precision: u32,
    /// Decimal: digits after the point; else 0.
    pub scale: u32,
    /// Whether nulls may come.
    pub nullable: bool,
    /// Its place in the key, from 0; none when it is not part of it.
    pub key: Option<u32>,
    /// As the source declares it, e.g. `varchar(64)`.
    pub source_type: String,
}

/// A table at one version of its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// The database that it lies in.
    pub database: String,
    /// Its name.
    pub name: String,
    /// Rises by one at each schema change that the stream has seen.
    pub version: u64,
    /// In the table's order.
    pub columns: Vec<Column>,
    /// The statement that led to this version, when there was one.
    pub ddl: Option<String>,
}

impl Schema {
    /// The column of this name; letter case does not count.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.place(name).map(|place| &self.columns[place])
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| same_name(&column.name, name))
    }
}

fn same_name(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || a.to_lowercase() == b.to_lowercase()
}

/// A computed column, as the loop over the rows needs it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Computed {
    pub(crate) shape: Shape,
    /// Place among the columns read of the same shape.
    pub(crate) old: Option<usize>,
    pub(crate) nullable: bool,
    /// A text that its type allows, for rows that have no value and may not have null.
    pub(crate) blank: &'static str,
}

struct Output {
    name: String,
    source: Source,
}

enum Source {
    Input(usize),
    /// Place in `Plan::computed`.
    Computed(usize, wit::ComputedType),
}

/// Collects what is wanted with a table. Without a word the table's columns go on as they are, and `row` decides which rows.
pub struct Plan {
    schema: Schema,
    action: wit::Action,
    before: bool,
    reads: Vec<(wit::Read, Shape)>,
    outputs: Vec<Output>,
    computed: Vec<Computed>,
    key: Option<Vec<String>>,
    rename: Option<String>,
    expands: bool,
    stateful: bool,
}

/// What the loop over the rows needs of a plan.
pub(crate) struct Layout {
    /// One for each entry of the plan's `reads`.
    pub(crate) reads: Vec<Shape>,
    /// In the order in which the columns were asked for, as handles count them.
    pub(crate) computed: Vec<Computed>,
    /// Places in `computed` in the output's order.
    pub(crate) order: Vec<usize>,
    /// Whether `row` may make several rows of one.
    pub(crate) expands: bool,
}

macro_rules! reads {
    ($($(#[$doc:meta])* $name:ident: $handle:ident, $shape:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// When there is no such column, or it is of another type.
        pub fn $name(&mut self, column: &str) -> Result<$handle> {
            let place = self.input(column, Shape::$shape)?;
            Ok($handle(self.read(wit::Read::Column(place as u32), Shape::$shape)))
        }
    )*};
}

macro_rules! rewrites {
    ($($(#[$doc:meta])* $name:ident: $handle:ident, $read:ident, $new:ident, $shape:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// When there is no such column, it is of another type, or it was removed or is computed already.
        pub fn $name(&mut self, column: &str) -> Result<$handle> {
            let place = self.input(column, Shape::$shape)?;
            let output = self.untouched(place)?;
            let old = self.$read(column)?;
            let Column { nullable, column_type, .. } = self.schema.columns[place];
            let (old_place, blank) = (Some(old.0), blank(column_type));
            let (index, new) = self.compute(Computed { shape: Shape::$shape, old: old_place, nullable, blank });
            self.outputs[output].source = Source::Computed(index, wit::ComputedType::Like(place as u32));
            Ok($handle { old, new: $new(new) })
        }
    )*};
}

macro_rules! additions {
    ($($(#[$doc:meta])* $name:ident: $handle:ident, $shape:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// When values of this type cross in another way.
        pub fn $name(&mut self, column: &str, column_type: Type, nullable: bool) -> Result<$handle> {
            let new = self.add(column, column_type, nullable, Shape::$shape)?;
            Ok($handle(new))
        }
    )*};
}

impl Plan {
    reads! {
        /// Reads a column of signed numbers: see [`ColumnType`] for what is one.
        int: Int, Ints;
        /// Reads a column of unsigned numbers: see [`ColumnType`] for what is one.
        uint: UInt, UInts;
        /// Reads a column of floating-point numbers.
        float: Float, Floats;
        /// Reads a column of texts: see [`ColumnType`] for what is one.
        text: Text, Text;
        /// Reads a column of bytes.
        bytes: Bytes, Bytes;
    }

    rewrites! {
        /// Computes a column of signed numbers from its old value; its exact type stays.
        rewrite_int: RewriteInt, int, NewInt, Ints;
        /// Computes a column of unsigned numbers from its old value; its exact type stays.
        rewrite_uint: RewriteUInt, uint, NewUInt, UInts;
        /// Computes a column of floating-point numbers from its old value; its exact type stays.
        rewrite_float: RewriteFloat, float, NewFloat, Floats;
        /// Computes a column of texts from its old value; its exact type stays.
        rewrite_text: RewriteText, text, NewText, Text;
        /// Computes a column of bytes from its old value; its exact type stays.
        rewrite_bytes: RewriteBytes, bytes, NewBytes, Bytes;
    }

    additions! {
        /// Adds a column of signed numbers behind the others.
        add_int: NewInt, Ints;
        /// Adds a column of unsigned numbers behind the others.
        add_uint: NewUInt, UInts;
        /// Adds a column of floating-point numbers behind the others.
        add_float: NewFloat, Floats;
        /// Adds a column of texts behind the others.
        add_text: NewText, Text;
        /// Adds a column of bytes behind the others.
        add_bytes: NewBytes, Bytes;
    }

    pub(crate) fn new(schema: Schema) -> Self {
        let untouched = |(place, column): (usize, &Column)| Output {
            name: column.name.clone(),
            source: Source::Input(place),
        };
        Self {
            action: wit::Action::Process,
            before: false,
            reads: Vec::new(),
            outputs: schema.columns.iter().enumerate().map(untouched).collect(),
            computed: Vec::new(),
            key: None,
            rename: None,
            expands: false,
            stateful: false,
            schema,
        }
    }

    /// Gives a column another name. Names in `plan` stay those of the input, except in [`Plan::key`].
    ///
    /// # Errors
    /// When there is no such column, or it was removed.
    pub fn rename(&mut self, column: &str, name: &str) -> Result<()> {
        let place = self.place(column)?;
        let output = self.output_of(place)?;
        self.outputs[output].name = name.to_owned();
        Ok(())
    }

    /// Leaves a column out. It can be read all the same.
    ///
    /// # Errors
    /// When there is no such column, or it was removed or is computed already.
    pub fn remove(&mut self, column: &str) -> Result<()> {
        let place = self.place(column)?;
        let output = self.untouched(place)?;
        self.outputs.remove(output);
        Ok(())
    }

    /// Leaves all columns out but these, and puts these in this order. To be called before columns are computed.
    ///
    /// # Errors
    /// When one of them does not exist, was removed, or is named twice; when columns are computed already.
    pub fn keep_only(&mut self, columns: &[&str]) -> Result<()> {
        if !self.computed.is_empty() {
            return Err("`keep_only` must come before columns are computed".into());
        }
        let mut kept = Vec::with_capacity(columns.len());
        for column in columns {
            let place = self.place(column)?;
            let output = self.untouched(place)?;
            kept.push(self.outputs.remove(output));
        }
        self.outputs = kept;
        Ok(())
    }

    /// Gives the table another name, inside the same database.
    pub fn rename_table(&mut self, name: &str) {
        self.rename = Some(name.to_owned());
    }

    /// Makes these columns the key, by their names in the output. Needed only when a column of the key was removed, or
    /// another key is wanted.
    pub fn key(&mut self, columns: &[&str]) {
        self.key = Some(columns.iter().map(|&column| column.to_owned()).collect());
    }

    /// Asks for every update as two rows, before and after. Without it the row before comes only where something else
    /// needs it.
    pub fn before(&mut self) {
        self.before = true;
    }

    /// Asks for state: `row` may use [`state`](crate::state). Rows of the table then come in the order of the stream, one batch at a
    /// time, which costs the use of several processors for it.
    pub fn stateful(&mut self) {
        self.stateful = true;
    }

    /// Asks to make several rows of one, or none: `row` may use [`Row::emit`](crate::Row::emit). Every update then comes as two
    /// rows: what was made of the row before is deleted, what was made of the row after put in its place. The key must be named
    /// ([`Plan::key`]) with a computed column in it, or without any column for a table without a key.
    pub fn expand(&mut self) {
        self.expands = true;
    }

    /// Nothing is decided or computed by row: `row` is never called, and the host does the rest without the plugin.
    pub fn pass(&mut self) {
        self.action = wit::Action::Pass;
    }

    /// Drops all rows of the table; `row` is never called.
    pub fn discard(&mut self) {
        self.action = wit::Action::Discard;
    }

    /// Reads the commit time at the source, in microseconds since 1970-01-01T00:00:00Z; null for rows of a snapshot.
    pub fn commit_time(&mut self) -> Int {
        Int(self.read(wit::Read::Meta(wit::Meta::CommitTime), Shape::Ints))
    }

    /// Reads the order of the event in the stream, which begins anew at each start of the pipeline: it orders rows of one run. Null for
    /// rows of a snapshot, 0 for dead letters that are sent again.
    pub fn position(&mut self) -> UInt {
        UInt(self.read(wit::Read::Meta(wit::Meta::Position), Shape::UInts))
    }

    /// Reads the name of the source's transaction; null for rows of a snapshot.
    pub fn transaction(&mut self) -> Text {
        Text(self.read(wit::Read::Meta(wit::Meta::Transaction), Shape::Text))
    }

    /// Reads a number that looks random and is the same whenever the row image comes again; never null.
    pub fn seed(&mut self) -> UInt {
        UInt(self.read(wit::Read::Meta(wit::Meta::Seed), Shape::UInts))
    }

    fn place(&self, column: &str) -> Result<usize> {
        let missing = || format!("table `{}` has no column `{column}`", self.schema.name);
        self.schema.place(column).ok_or_else(|| missing().into())
    }

    fn input(&self, column: &str, wanted: Shape) -> Result<usize> {
        let place = self.place(column)?;
        let found = shape(self.schema.columns[place].column_type, self.schema.columns[place].precision);
        if found == wanted {
            return Ok(place);
        }
        Err(format!("column `{column}` is read with `{}`, not with `{}`", found.method(), wanted.method())
            .into())
    }

    fn output_of(&self, place: usize) -> Result<usize> {
        let comes_from = |output: &Output| match output.source {
            Source::Input(input) => input == place,
            Source::Computed(_, wit::ComputedType::Like(input)) => input as usize == place,
            Source::Computed(..) => false,
        };
        let gone = || format!("column `{}` is no longer in the output", self.schema.columns[place].name);
        self.outputs.iter().position(comes_from).ok_or_else(|| gone().into())
    }

    fn untouched(&self, place: usize) -> Result<usize> {
        let output = self.output_of(place)?;
        match self.outputs[output].source {
            Source::Input(_) => Ok(output),
            Source::Computed(..) => {
                Err(format!("column `{}` is computed already", self.schema.columns[place].name).into())
            }
        }
    }

    /// The place of this read among those of its shape; each thing crosses once, however often it is asked for.
    fn read(&mut self, read: wit::Read, shape: Shape) -> usize {
        let same = |other: &wit::Read| match (&read, other) {
            (wit::Read::Column(a), wit::Read::Column(b)) => a == b,
            (wit::Read::Meta(a), wit::Read::Meta(b)) => a == b,
            _ => false,
        };
        let found = self.reads.iter().position(|(other, _)| same(other));
        let index = found.unwrap_or_else(|| {
            self.reads.push((read, shape));
            self.reads.len() - 1
        });
        self.reads[..index].iter().filter(|(_, other)| *other == shape).count()
    }

    /// Places of a new computed column: among all, and among those of its shape.
    fn compute(&mut self, computed: Computed) -> (usize, usize) {
        let same = self.computed.iter().filter(|other| other.shape == computed.shape).count();
        self.computed.push(computed);
        (self.computed.len() - 1, same)
    }

    fn add(&mut self, name: &str, column_type: Type, nullable: bool, wanted: Shape) -> Result<usize> {
        let (full, found) = full_type(column_type);
        if found != wanted {
            return Err(format!("column `{name}` is added with `add_{}`", found.method()).into());
        }
        let blank = blank(meaning(full.type_));
        let (index, new) = self.compute(Computed { shape: wanted, old: None, nullable, blank });
        let source = Source::Computed(index, wit::ComputedType::Type(full));
        self.outputs.push(Output { name: name.to_owned(), source });
        Ok(new)
    }

    /// The key's places in the output: what was asked for, or the input's key where a part of it is computed.
    fn output_key(&self) -> Result<Option<Vec<u32>>> {
        if let Some(names) = &self.key {
            let place = |name: &String| {
                let found = self.outputs.iter().position(|output| same_name(&output.name, name));
                found
                    .map(|place| place as u32)
                    .ok_or_else(|| format!("the output has no column `{name}`").into())
            };
            return names.iter().map(place).collect::<Result<Vec<_>>>().map(Some);
        }
        let mut key: Vec<(u32, usize)> =
            self.schema.columns.iter().enumerate().filter_map(|(place, c)| Some((c.key?, place))).collect();
        key.sort_unstable();
        let outputs: Option<Vec<usize>> = key.iter().map(|&(_, place)| self.output_of(place).ok()).collect();
        let Some(outputs) = outputs else { return Ok(None) };
        let computed = |&output: &usize| matches!(self.outputs[output].source, Source::Computed(..));
        Ok(outputs.iter().any(computed).then(|| outputs.iter().map(|&output| output as u32).collect()))
    }

    pub(crate) fn finish(self) -> Result<(wit::Plan, Layout)> {
        let key = self.output_key()?;
        let mut order = Vec::new();
        let mut unchanged = self.outputs.len() == self.schema.columns.len();
        let mut output = Vec::with_capacity(self.outputs.len());
        for (place, column) in self.outputs.into_iter().enumerate() {
            let source = match column.source {
                Source::Input(input) => {
                    unchanged &= input == place && column.name == self.schema.columns[input].name;
                    wit::Source::Input(input as u32)
                }
                Source::Computed(index, computed_type) => {
                    unchanged = false;
                    order.push(index);
                    wit::Source::Computed(wit::Computed {
                        type_: computed_type,
                        nullable: self.computed[index].nullable,
                    })
                }
            };
            output.push(wit::OutputColumn { name: column.name, source });
        }
        let layout = Layout {
            reads: self.reads.iter().map(|(_, shape)| *shape).collect(),
            computed: self.computed,
            order,
            expands: self.expands,
        };
        let plan = wit::Plan {
            action: self.action,
            before: self.before,
            reads: self.reads.into_iter().map(|(read, _)| read).collect(),
            output: (!unchanged).then_some(output),
            key,
            rename: self.rename,
            expands: self.expands,
            stateful: self.stateful,
            packed: false,
        };
        Ok((plan, layout))
    }
}

impl Shape {
    fn method(self) -> &'static str {
        match self {
            Self::Ints => "int",
            Self::UInts => "uint",
            Self::Floats => "float",
            Self::Text => "text",
            Self::Bytes => "bytes",
        }
    }
}

fn blank(column_type: ColumnType) -> &'static str {
    match column_type {
        ColumnType::Json => "null",
        ColumnType::Decimal => "0",
        _ => "",
    }
}

fn shape(column_type: ColumnType, precision: u32) -> Shape {
    use ColumnType as T;
    match column_type {
        T::Int | T::Date | T::Time | T::DateTime | T::Timestamp => Shape::Ints,
        T::Decimal if precision <= 18 => Shape::Ints,
        T::UInt => Shape::UInts,
        T::Float => Shape::Floats,
        T::Decimal | T::Text | T::Json => Shape::Text,
        T::Binary => Shape::Bytes,
    }
}

fn full_type(column_type: Type) -> (wit::FullType, Shape) {
    use wit::ColumnType as T;
    let (type_, precision, scale) = match column_type {
        Type::Int => (T::Int, 0, 0),
        Type::UInt => (T::Uint, 0, 0),
        Type::Float => (T::Float, 0, 0),
        Type::Decimal { precision, scale } => (T::Decimal, precision, scale),
        Type::Text => (T::Text, 0, 0),
        Type::Binary => (T::Binary, 0, 0),
        Type::Json => (T::Json, 0, 0),
        Type::Date => (T::Date, 0, 0),
        Type::Time(fraction) => (T::Time, fraction, 0),
        Type::DateTime(fraction) => (T::Datetime, fraction, 0),
        Type::Timestamp(fraction) => (T::Timestamp, fraction, 0),
    };
    (wit::FullType { type_, precision, scale }, shape(meaning(type_), precision))
}

fn meaning(column_type: wit::ColumnType) -> ColumnType {
    match column_type {
        wit::ColumnType::Int => ColumnType::Int,
        wit::ColumnType::Uint => ColumnType::UInt,
        wit::ColumnType::Float => ColumnType::Float,
        wit::ColumnType::Decimal => ColumnType::Decimal,
        wit::ColumnType::Text => ColumnType::Text,
        wit::ColumnType::Binary => ColumnType::Binary,
        wit::ColumnType::Json => ColumnType::Json,
        wit::ColumnType::Date => ColumnType::Date,
        wit::ColumnType::Time => ColumnType::Time,
        wit::ColumnType::Datetime => ColumnType::DateTime,
        wit::ColumnType::Timestamp => ColumnType::Timestamp,
    }
}

impl From<wit::Table> for Schema {
    fn from(table: wit::Table) -> Self {
        let column = |column: wit::Column| Column {
            name: column.name,
            column_type: meaning(column.type_),
            precision: column.precision,
            scale: column.scale,
            nullable: column.nullable,
            key: column.key,
            source_type: column.source_type,
        };
        Self {
            database: table.database,
            name: table.name,
            version: table.version,
            columns: table.columns.into_iter().map(column).collect(),
            ddl: table.ddl,
        }
    }
}
