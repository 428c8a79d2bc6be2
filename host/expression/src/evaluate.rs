//! Evaluates a planned expression on all rows of a batch at once.
//!
//! A call makes one array from the arrays of its arguments, in a loop over the rows. Nothing is allocated for a row but what goes
//! into the result. A mask of *active* rows goes down with the evaluation: the branches that `CASE` did not choose, and the
//! right sides that `AND` did not need, are not evaluated for a row, so they cannot fail for it. A failure is noted for its
//! row and the others go on; the caller decides what becomes of the row.

use std::cell::RefCell;
use std::collections::BTreeMap;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, Float64Builder, Int64Array,
    Int64Builder, StringArray, StringBuilder, new_null_array,
};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::{and_kleene, interleave, or_kleene};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type};

use crate::function::{Changes, Function};
use crate::prepared::Prepared;
use crate::settings::Settings;
use crate::types::Type;
use crate::vector::{Values, Vector};

/// Bytes of all texts that one expression makes of a batch: Arrow's offsets have 31 bits.
const LONGEST_COLUMN: usize = 1 << 30;
/// Bytes of one text that an expression makes: a packet of MySQL has no more by default.
pub(crate) const LONGEST_TEXT: usize = 64 << 20;

/// A planned expression.
#[derive(Debug)]
pub(crate) enum Node {
    Constant(Vector),
    /// The column at this place of the batch.
    Column(usize),
    /// Something else about the row, by its place in [`Env::meta`].
    Meta(usize),
    /// The column that the projection computes at this place of its outputs.
    Computed(usize),
    Call {
        function: &'static Function,
        args: Vec<Node>,
        types: Vec<Type>,
        result: Type,
        prepared: Prepared,
    },
    And(Box<(Node, Node)>),
    Or(Box<(Node, Node)>),
    Case {
        arms: Vec<(Node, Node)>,
        otherwise: Box<Node>,
        result: Type,
    },
    Coalesce(Vec<Node>, Type),
}

/// What an evaluation works on.
pub(crate) struct Env<'a> {
    pub rows: usize,
    /// The batch's columns; none where the plan reads them not.
    pub columns: &'a [Option<Vector>],
    pub meta: &'a [Option<Vector>],
    pub computed: &'a [Option<Vector>],
    /// Microseconds since 1970-01-01T00:00:00Z, the same for the whole batch.
    pub now: i64,
    pub settings: &'a Settings,
    /// What failed, by row.
    pub faults: RefCell<BTreeMap<usize, String>>,
}

/// Rows that count; none: all.
pub(crate) type Active<'a> = Option<&'a BooleanBuffer>;

impl<'a> Env<'a> {
    /// For expressions that name nothing.
    pub fn constant(settings: &'a Settings, now: i64) -> Self {
        Self { rows: 1, columns: &[], meta: &[], computed: &[], now, settings, faults: RefCell::default() }
    }

    fn fail(&self, row: usize, message: String) {
        // A guard against borrowing twice is not needed: no function evaluates another inside its loop.
        self.faults.borrow_mut().entry(row).or_insert(message);
    }

    fn fail_active(&self, active: Active<'_>, message: &str) {
        for row in (0..self.rows).filter(|row| active.is_none_or(|bits| bits.value(*row))) {
            self.fail(row, message.to_owned());
        }
    }
}

impl Node {
    /// Values for all rows; those of rows that are not active mean nothing.
    pub fn evaluate(&self, env: &Env<'_>, active: Active<'_>) -> Vector {
        let known = |list: &[Option<Vector>], place: usize| {
            list.get(place).cloned().flatten().unwrap_or(Vector::of(Values::Null(env.rows)))
        };
        match self {
            Self::Constant(vector) => vector.clone(),
            Self::Column(place) => known(env.columns, *place),
            Self::Meta(place) => known(env.meta, *place),
            Self::Computed(place) => known(env.computed, *place),
            Self::Call { function, args, types, result, prepared } => {
                let args: Vec<Vector> = args.iter().map(|arg| arg.evaluate(env, active)).collect();
                let single = args.iter().all(|arg| arg.single) && function.changes != Changes::EachRow;
                let rows = if single { 1 } else { env.rows };
                let call = Call { args: &args, types, result, prepared, env, rows, single, active };
                call.refuse_nulls(function);
                (function.run)(&call)
            }
            Self::And(sides) => logic(env, active, sides, false),
            Self::Or(sides) => logic(env, active, sides, true),
            Self::Case { arms, otherwise, result } => case(env, active, arms, otherwise, result),
            Self::Coalesce(args, result) => coalesce(env, active, args, result),
        }
    }

    /// Calls `see` for this node and all below it.
    pub fn visit(&self, see: &mut dyn FnMut(&Self)) {
        see(self);
        match self {
            Self::Constant(_) | Self::Column(_) | Self::Meta(_) | Self::Computed(_) => {}
            Self::Call { args, .. } | Self::Coalesce(args, _) => args.iter().for_each(|arg| arg.visit(see)),
            Self::And(sides) | Self::Or(sides) => {
                sides.0.visit(see);
                sides.1.visit(see);
            }
            Self::Case { arms, otherwise, .. } => {
                for (condition, value) in arms {
                    condition.visit(see);
                    value.visit(see);
                }
                otherwise.visit(see);
            }
        }
    }
}

/// `AND` and `OR`; the right side is evaluated where the left one does not decide.
fn logic(env: &Env<'_>, active: Active<'_>, sides: &(Node, Node), or: bool) -> Vector {
    let left = sides.0.evaluate(env, active);
    let undecided = select(env.rows, active, |row| match truth(&left, row) {
        Some(value) => value != or,
        None => true,
    });
    if undecided.count_set_bits() == 0 {
        return left;
    }
    let right = sides.1.evaluate(env, Some(&undecided));
    let single = left.single && right.single;
    let rows = if single { 1 } else { env.rows };
    let (left, right) = (booleans(&left, rows), booleans(&right, rows));
    let both = if or { or_kleene(&left, &right) } else { and_kleene(&left, &right) };
    let values = Values::Boolean(both.unwrap_or_else(|_| BooleanArray::new_null(rows)));
    Vector { values, single }
}

fn case(env: &Env<'_>, active: Active<'_>, arms: &[(Node, Node)], otherwise: &Node, result: &Type) -> Vector {
    let mut left = select(env.rows, active, |_| true);
    let mut choice: Vec<Option<usize>> = vec![None; env.rows];
    let mut values = Vec::with_capacity(arms.len() + 1);
    for (condition, value) in arms {
        let condition = condition.evaluate(env, Some(&left));
        let chosen = select(env.rows, Some(&left), |row| truth(&condition, row) == Some(true));
        if chosen.count_set_bits() == 0 {
            continue;
        }
        chosen.set_indices().for_each(|row| choice[row] = Some(values.len()));
        values.push(value.evaluate(env, Some(&chosen)));
        left = select(env.rows, Some(&left), |row| !chosen.value(row));
    }
    if left.count_set_bits() > 0 {
        left.set_indices().for_each(|row| choice[row] = Some(values.len()));
        values.push(otherwise.evaluate(env, Some(&left)));
    }
    choose(&values, &choice, result)
}

fn coalesce(env: &Env<'_>, active: Active<'_>, args: &[Node], result: &Type) -> Vector {
    let mut left = select(env.rows, active, |_| true);
    let mut choice: Vec<Option<usize>> = vec![None; env.rows];
    let mut values = Vec::with_capacity(args.len());
    for arg in args {
        if left.count_set_bits() == 0 {
            break;
        }
        let value = arg.evaluate(env, Some(&left));
        let found = select(env.rows, Some(&left), |row| !value.is_null(row));
        found.set_indices().for_each(|row| choice[row] = Some(values.len()));
        left = select(env.rows, Some(&left), |row| !found.value(row));
        values.push(value);
    }
    choose(&values, &choice, result)
}

/// For each row the value of the vector that was chosen; none: null.
fn choose(values: &[Vector], choice: &[Option<usize>], result: &Type) -> Vector {
    let places: Vec<_> = choice
        .iter()
        .enumerate()
        .map(|(row, chosen)| chosen.map(|chosen| (chosen, values[chosen].at(row))))
        .collect();
    let sources: Vec<&Values> = values.iter().map(|vector| &vector.values).collect();
    Vector::of(gather(&sources, &places, result).unwrap_or_else(|| Values::nulls_of(result, choice.len())))
}

/// Values from several sources, each by its source and its place there; none: null. None when the sources are not arrays of one
/// plain type.
pub(crate) fn gather(sources: &[&Values], places: &[Option<(usize, usize)>], kind: &Type) -> Option<Values> {
    let nulls = as_array(&Values::nulls_of(kind, 1))?;
    let arrays = sources.iter().map(|values| as_array_like(values, nulls.data_type()));
    let mut arrays = arrays.collect::<Option<Vec<ArrayRef>>>()?;
    arrays.push(nulls);
    let none = (arrays.len() - 1, 0);
    let places: Vec<(usize, usize)> = places.iter().map(|place| place.unwrap_or(none)).collect();
    let arrays: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
    from_array(&interleave(&arrays, &places).ok()?)
}

fn as_array(values: &Values) -> Option<ArrayRef> {
    Some(match values {
        Values::Boolean(array) => std::sync::Arc::new(array.clone()),
        Values::Int(array) => std::sync::Arc::new(array.clone()),
        Values::Float(array) => std::sync::Arc::new(array.clone()),
        // Only the numbers are moved: the scale is the type's.
        Values::Decimal(array) => {
            let plain = array.clone().with_data_type(DataType::Decimal128(38, 0));
            std::sync::Arc::new(plain)
        }
        Values::Text(array) => std::sync::Arc::new(array.clone()),
        Values::Binary(array) => std::sync::Arc::new(array.clone()),
        Values::Null(_) | Values::List(_) | Values::Row(..) => return None,
    })
}

fn as_array_like(values: &Values, like: &DataType) -> Option<ArrayRef> {
    match values {
        Values::Null(rows) => Some(new_null_array(like, *rows)),
        other => as_array(other).filter(|array| array.data_type() == like),
    }
}

fn from_array(array: &ArrayRef) -> Option<Values> {
    Some(match array.data_type() {
        DataType::Boolean => Values::Boolean(array.as_boolean().clone()),
        DataType::Int64 => Values::Int(array.as_primitive::<Int64Type>().clone()),
        DataType::Float64 => Values::Float(array.as_primitive::<Float64Type>().clone()),
        DataType::Decimal128(..) => Values::Decimal(array.as_primitive::<Decimal128Type>().clone()),
        DataType::Utf8 => Values::Text(array.as_string::<i32>().clone()),
        DataType::Binary => Values::Binary(array.as_binary::<i32>().clone()),
        _ => return None,
    })
}

/// Active rows for which the test holds.
pub(crate) fn select(rows: usize, active: Active<'_>, test: impl Fn(usize) -> bool) -> BooleanBuffer {
    BooleanBuffer::collect_bool(rows, |row| active.is_none_or(|bits| bits.value(row)) && test(row))
}

/// A row's truth; none: unknown.
#[inline]
pub(crate) fn truth(vector: &Vector, row: usize) -> Option<bool> {
    match &vector.values {
        Values::Boolean(array) => {
            let at = vector.at(row);
            (!array.is_null(at)).then(|| array.value(at))
        }
        _ => None,
    }
}

fn booleans(vector: &Vector, rows: usize) -> BooleanArray {
    match &vector.values {
        Values::Boolean(array) if !vector.single || rows == 1 => array.clone(),
        Values::Boolean(array) if !array.is_null(0) => BooleanArray::new(
            if array.value(0) { BooleanBuffer::new_set(rows) } else { BooleanBuffer::new_unset(rows) },
            None,
        ),
        _ => BooleanArray::new_null(rows),
    }
}

/// One call of a function: its arguments, and loops that make its result.
pub(crate) struct Call<'a> {
    pub args: &'a [Vector],
    /// Types of the arguments.
    pub types: &'a [Type],
    pub result: &'a Type,
    pub prepared: &'a Prepared,
    pub env: &'a Env<'a>,
    pub rows: usize,
    /// Whether all arguments are the same for every row, and so the result.
    single: bool,
    active: Active<'a>,
}

/// What a function makes of a row: a value, null, or an error in plain words.
pub(crate) type Cell<T> = Result<Option<T>, String>;

impl<'a> Call<'a> {
    pub fn settings(&self) -> &'a Settings {
        self.env.settings
    }

    /// Under `compat: flink` the older functions fail on null.
    fn refuse_nulls(&self, function: &Function) {
        if !function.old || !self.settings().flink {
            return;
        }
        for row in (0..self.rows).filter(|row| self.is_active(*row)) {
            let null = |(arg, kind): (&Vector, &Type)| *kind != Type::Unit && arg.is_null(row);
            if self.args.iter().zip(self.types).any(null) {
                self.fail(row, format!("`{}` of null", function.name()));
            }
        }
    }

    fn is_active(&self, row: usize) -> bool {
        self.single || self.active.is_none_or(|bits| bits.value(row))
    }

    fn fail(&self, row: usize, message: String) {
        if self.single { self.env.fail_active(self.active, &message) } else { self.env.fail(row, message) }
    }

    pub fn vector(&self, values: Values) -> Vector {
        Vector { values, single: self.single }
    }

    /// All rows null.
    pub fn null(&self) -> Vector {
        self.vector(Values::nulls_of(self.result, self.rows))
    }

    /// Rows in which an argument is null.
    pub fn nulls(&self) -> Option<NullBuffer> {
        let mut nulls: Option<NullBuffer> = None;
        let values = self.args.iter().zip(self.types).filter(|(_, kind)| **kind != Type::Unit);
        for (arg, _) in values {
            if !arg.single || self.rows == 1 {
                nulls = NullBuffer::union(nulls.as_ref(), arg.values.nulls().as_ref());
            } else if arg.values.is_null(0) {
                return Some(NullBuffer::new_null(self.rows));
            }
        }
        nulls.filter(|nulls| nulls.null_count() > 0)
    }

    #[inline]
    fn cell<T>(
        &self,
        row: usize,
        nulls: Option<&NullBuffer>,
        make: &mut impl FnMut(usize) -> Cell<T>,
    ) -> Option<T> {
        if nulls.is_some_and(|nulls| nulls.is_null(row)) || !self.is_active(row) {
            return None;
        }
        make(row).unwrap_or_else(|message| {
            self.fail(row, message);
            None
        })
    }

    /// Integers of the rows in which no argument is null.
    pub fn ints(&self, mut make: impl FnMut(usize) -> Cell<i64>) -> Vector {
        let nulls = self.nulls();
        let mut out = Int64Builder::with_capacity(self.rows);
        (0..self.rows).for_each(|row| out.append_option(self.cell(row, nulls.as_ref(), &mut make)));
        self.vector(Values::Int(out.finish()))
    }

    /// Floating numbers of the rows in which no argument is null.
    pub fn floats(&self, mut make: impl FnMut(usize) -> Cell<f64>) -> Vector {
        let nulls = self.nulls();
        let mut out = Float64Builder::with_capacity(self.rows);
        (0..self.rows).for_each(|row| out.append_option(self.cell(row, nulls.as_ref(), &mut make)));
        self.vector(Values::Float(out.finish()))
    }

    /// Decimals of the rows in which no argument is null; each fits the result's precision or is an error.
    pub fn decimals(&self, mut make: impl FnMut(usize) -> Cell<i128>) -> Vector {
        let nulls = self.nulls();
        let (precision, _) = self.result.digits().unwrap_or((38, 0));
        let most = 10_i128.pow(u32::from(precision.min(38)));
        let mut checked = |row: usize| match make(row)? {
            Some(value) if value.checked_abs().is_none_or(|value| value >= most) => {
                Err(format!("the result does not fit {}", self.result))
            }
            other => Ok(other),
        };
        let values = (0..self.rows).map(|row| self.cell(row, nulls.as_ref(), &mut checked));
        let array: Decimal128Array = values.collect();
        self.vector(Values::Decimal(array.with_data_type(DataType::Decimal128(38, 0))))
    }

    /// Truths of the rows in which no argument is null.
    pub fn booleans(&self, mut make: impl FnMut(usize) -> Cell<bool>) -> Vector {
        let nulls = self.nulls();
        let values: BooleanArray =
            (0..self.rows).map(|row| self.cell(row, nulls.as_ref(), &mut make)).collect();
        self.vector(Values::Boolean(values))
    }

    /// Truths that are never null.
    pub fn known(&self, make: impl Fn(usize) -> bool) -> Vector {
        self.vector(Values::Boolean(BooleanArray::new(BooleanBuffer::collect_bool(self.rows, make), None)))
    }

    /// Texts of the rows in which no argument is null: `make` writes into an empty text and says whether it counts.
    pub fn texts(&self, make: impl FnMut(usize, &mut String) -> Result<bool, String>) -> Vector {
        self.texts_where(self.nulls(), make)
    }

    /// Texts of all rows.
    pub fn texts_of_all(&self, make: impl FnMut(usize, &mut String) -> Result<bool, String>) -> Vector {
        self.texts_where(None, make)
    }

    fn texts_where(
        &self,
        nulls: Option<NullBuffer>,
        mut make: impl FnMut(usize, &mut String) -> Result<bool, String>,
    ) -> Vector {
        let mut out = StringBuilder::with_capacity(self.rows, self.rows * 16);
        let mut total = 0;
        let mut text = String::new();
        for row in 0..self.rows {
            let mut whole = |row: usize| {
                text.clear();
                let counts = make(row, &mut text)?;
                total += text.len();
                match total > LONGEST_COLUMN {
                    true => {
                        Err(format!("the texts of one batch are longer than {LONGEST_COLUMN} bytes together"))
                    }
                    false => Ok(counts.then_some(())),
                }
            };
            match self.cell(row, nulls.as_ref(), &mut whole) {
                Some(()) => out.append_value(&text),
                None => out.append_null(),
            }
        }
        self.vector(Values::Text(out.finish()))
    }

    pub fn text(&self, arg: usize) -> Texts<'a> {
        match self.args.get(arg).map(|vector| (&vector.values, vector.single)) {
            Some((Values::Text(array), single)) => Texts { array: Some(array), single },
            _ => Texts { array: None, single: true },
        }
    }

    pub fn int(&self, arg: usize) -> Numbers<'a, i64> {
        self.numbers(
            arg,
            |values| if let Values::Int(array) = values { Some(int_slice(array)) } else { None },
        )
    }

    pub fn float(&self, arg: usize) -> Numbers<'a, f64> {
        self.numbers(
            arg,
            |values| if let Values::Float(array) = values { Some(float_slice(array)) } else { None },
        )
    }

    pub fn decimal(&self, arg: usize) -> Numbers<'a, i128> {
        self.numbers(
            arg,
            |values| if let Values::Decimal(array) = values { Some(decimal_slice(array)) } else { None },
        )
    }

    fn numbers<T>(&self, arg: usize, slice: impl Fn(&'a Values) -> Option<&'a [T]>) -> Numbers<'a, T> {
        let vector = self.args.get(arg);
        Numbers {
            values: vector.and_then(|v| slice(&v.values)).unwrap_or(&[]),
            single: vector.is_none_or(|v| v.single),
        }
    }

    pub fn bytes(&self, arg: usize, row: usize) -> &'a [u8] {
        match self.args.get(arg) {
            Some(Vector { values: Values::Binary(array), single }) => {
                array.value(if *single { 0 } else { row })
            }
            _ => &[],
        }
    }

    /// Digits behind the point of an argument.
    pub fn scale(&self, arg: usize) -> u8 {
        self.types.get(arg).and_then(Type::digits).map_or(0, |(_, scale)| scale)
    }

    pub fn arg(&self, arg: usize) -> Option<&'a Vector> {
        self.args.get(arg)
    }

    /// Notes an error of a row.
    pub fn note(&self, row: usize, message: String) {
        if self.is_active(row) {
            self.fail(row, message);
        }
    }

    /// Whether a row counts.
    pub fn counts(&self, row: usize) -> bool {
        self.is_active(row)
    }
}

fn int_slice(array: &Int64Array) -> &[i64] {
    array.values()
}

fn float_slice(array: &Float64Array) -> &[f64] {
    array.values()
}

fn decimal_slice(array: &Decimal128Array) -> &[i128] {
    array.values()
}

/// Texts of an argument.
#[derive(Clone, Copy)]
pub(crate) struct Texts<'a> {
    array: Option<&'a StringArray>,
    pub single: bool,
}

impl<'a> Texts<'a> {
    /// A row's text; nothing where it is null.
    #[inline]
    pub fn at(&self, row: usize) -> &'a str {
        self.array.map_or("", |array| array.value(if self.single { 0 } else { row }))
    }
}

/// Numbers of an argument.
#[derive(Clone, Copy)]
pub(crate) struct Numbers<'a, T> {
    values: &'a [T],
    single: bool,
}

impl<T: Copy + Default> Numbers<'_, T> {
    /// A row's number; anything where it is null.
    #[inline]
    pub fn at(&self, row: usize) -> T {
        self.values.get(if self.single { 0 } else { row }).copied().unwrap_or_default()
    }
}
