//! The functions, one file for each family.
//!
//! A function says how its arguments' types become its result's, and makes an array from arrays. Unless it says otherwise,
//! null in gives null out, and the loop does not see such rows.

mod cast;
mod comparison;
mod json;
mod numeric;
mod regexp;
mod structure;
mod temporal;
mod text;

use crate::evaluate::Call;
use crate::prepared::Prepared;
use crate::settings::Settings;
use crate::types::{self, Type};
use crate::vector::Vector;

pub(crate) use cast::{CAST, TRY_CAST, exists as cast_exists};
pub(crate) use json::write_json;

/// Whether a function gives the same for the same arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Changes {
    Never,
    /// The same for all rows of a batch, another for the next.
    EachBatch,
    EachRow,
}

/// What a parameter takes. A text also takes other plain values, which are written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    Text,
    Integer,
    Boolean,
    /// A day, a wall clock or an instant.
    Moment,
    Any,
}

/// How the types of arguments and result follow from those that are given.
pub(crate) enum Derive {
    /// The last parameter's kind counts for all further arguments.
    Fixed(&'static [Want], Type),
    By(fn(&[Type], &Settings) -> Result<Signature, String>),
}

/// Types that arguments are brought to, and the result's.
pub(crate) struct Signature {
    pub args: Vec<Type>,
    pub result: Type,
}

impl Signature {
    /// Arguments stay as they are.
    pub fn keep(args: &[Type], result: Type) -> Result<Self, String> {
        Ok(Self { args: args.to_vec(), result })
    }
}

/// Makes what a call needs from its arguments: texts of those that are the same for every row, types of all.
pub(crate) type Prepare = fn(&[Option<String>], &[Type], &Settings) -> Result<Prepared, String>;

/// A function.
pub(crate) struct Function {
    /// The first is the one that is shown.
    pub names: &'static [&'static str],
    /// How it is written.
    pub usage: &'static str,
    pub least: usize,
    pub most: usize,
    pub derive: Derive,
    pub run: fn(&Call<'_>) -> Vector,
    pub prepare: Option<Prepare>,
    pub changes: Changes,
    /// Whether it fails on null under `compat: flink`.
    pub old: bool,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Arguments without a limit.
const MANY: usize = 1000;

impl Function {
    const fn new(
        names: &'static [&'static str],
        usage: &'static str,
        (least, most): (usize, usize),
        derive: Derive,
        run: fn(&Call<'_>) -> Vector,
    ) -> Self {
        Self { names, usage, least, most, derive, run, prepare: None, changes: Changes::Never, old: false }
    }

    const fn prepared(mut self, prepare: Prepare) -> Self {
        self.prepare = Some(prepare);
        self
    }

    const fn changing(mut self, changes: Changes) -> Self {
        self.changes = changes;
        self
    }

    /// Fails on null under `compat: flink`.
    const fn old(mut self) -> Self {
        self.old = true;
        self
    }

    pub fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or_default()
    }

    /// Types of the arguments and of the result.
    pub fn derive(&self, args: &[Type], settings: &Settings) -> Result<Signature, String> {
        match &self.derive {
            Derive::By(derive) => derive(args, settings),
            Derive::Fixed(wants, result) => {
                let want = |place: usize| wants.get(place).or(wants.last()).copied().unwrap_or(Want::Any);
                let args = args
                    .iter()
                    .enumerate()
                    .map(|(place, arg)| bring(want(place), arg))
                    .collect::<Result<_, _>>()?;
                Ok(Signature { args, result: result.clone() })
            }
        }
    }
}

/// The type that an argument is brought to for a parameter.
pub(crate) fn bring(want: Want, arg: &Type) -> Result<Type, String> {
    let wrong = |what: &str| Err(format!("takes {what}, not {arg}"));
    match (want, arg) {
        (Want::Any, arg) => Ok(arg.clone()),
        (_, Type::Unit) => wrong("a value"),
        (Want::Text, Type::Plain(_) | Type::Null) => Ok(types::TEXT),
        (Want::Integer, Type::Null) => Ok(types::BIGINT),
        (Want::Integer, arg) if arg.is_integer() => Ok(arg.clone()),
        (Want::Boolean, Type::Null) => Ok(types::BOOLEAN),
        (Want::Boolean, arg) if *arg == types::BOOLEAN => Ok(arg.clone()),
        (Want::Moment, Type::Null) => Ok(types::DATE),
        (Want::Moment, arg) if arg.is_moment() => Ok(arg.clone()),
        (Want::Moment, arg) if arg.is_text() => {
            Ok(Type::Plain(sluicebox_model::ColumnType::DateTime { fraction: 6 }))
        }
        (Want::Text, _) => wrong("texts"),
        (Want::Integer, _) => wrong("whole numbers"),
        (Want::Boolean, _) => wrong("a condition"),
        (Want::Moment, _) => wrong("dates and timestamps"),
    }
}

const FAMILIES: [&[Function]; 7] = [
    comparison::FUNCTIONS,
    numeric::FUNCTIONS,
    text::FUNCTIONS,
    regexp::FUNCTIONS,
    temporal::FUNCTIONS,
    json::FUNCTIONS,
    structure::FUNCTIONS,
];

/// All functions and operators but those that decide which of their arguments are evaluated.
pub(crate) fn all() -> impl Iterator<Item = &'static Function> {
    FAMILIES.into_iter().flatten()
}

/// The function of a name, which is in upper case.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    all().find(|function| function.names.contains(&name))
}
