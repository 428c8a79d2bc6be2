//! An expression as written: what the parser gives and the binder reads.

use std::ops::Range;

use sluicebox_model::ColumnType;

/// An expression and where it stands in its text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expr {
    pub kind: Kind,
    pub span: Range<usize>,
}

/// What an expression is. Operators are calls under their sign.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// A column's name, or a metadata column's.
    Name(String),
    Literal(Literal),
    /// A function or an operator, by its name in upper case.
    Call {
        name: String,
        args: Vec<Expr>,
    },
    /// `CAST(value AS type)`; `safe`: `TRY_CAST`.
    Cast {
        value: Box<Expr>,
        to: ColumnType,
        safe: bool,
    },
    /// `CASE WHEN … THEN … ELSE … END`.
    Case {
        arms: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    /// A unit of time as an argument.
    Unit(Unit),
}

/// A value that is written out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    Null,
    Boolean(bool),
    /// Digits as written.
    Number(String),
    Text(String),
    /// `DATE '…'`, `TIME '…'`, `TIMESTAMP '…'`.
    Moment(ColumnType, String),
    /// A span of whole months.
    Months(i64),
    /// A span of whole days, in microseconds.
    Days(i64),
    /// A span of microseconds.
    Micros(i64),
}

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    DayOfWeek,
    IsoDayOfWeek,
    DayOfYear,
    Decade,
    Century,
    Millennium,
    Epoch,
}

impl Unit {
    /// Their names; the first of a unit is the one that is shown.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("MICROSECOND", Self::Microsecond),
        ("FRAC_SECOND", Self::Microsecond),
        ("MILLISECOND", Self::Millisecond),
        ("SECOND", Self::Second),
        ("MINUTE", Self::Minute),
        ("HOUR", Self::Hour),
        ("DAY", Self::Day),
        ("WEEK", Self::Week),
        ("MONTH", Self::Month),
        ("QUARTER", Self::Quarter),
        ("YEAR", Self::Year),
        ("DOW", Self::DayOfWeek),
        ("ISODOW", Self::IsoDayOfWeek),
        ("DOY", Self::DayOfYear),
        ("DECADE", Self::Decade),
        ("CENTURY", Self::Century),
        ("MILLENNIUM", Self::Millennium),
        ("EPOCH", Self::Epoch),
        ("SECONDS", Self::Second),
        ("MINUTES", Self::Minute),
        ("HOURS", Self::Hour),
        ("DAYS", Self::Day),
        ("WEEKS", Self::Week),
        ("MONTHS", Self::Month),
        ("QUARTERS", Self::Quarter),
        ("YEARS", Self::Year),
        ("SQL_TSI_SECOND", Self::Second),
        ("SQL_TSI_MINUTE", Self::Minute),
        ("SQL_TSI_HOUR", Self::Hour),
        ("SQL_TSI_DAY", Self::Day),
        ("SQL_TSI_WEEK", Self::Week),
        ("SQL_TSI_MONTH", Self::Month),
        ("SQL_TSI_QUARTER", Self::Quarter),
        ("SQL_TSI_YEAR", Self::Year),
    ];

    /// The unit of this name.
    pub fn named(word: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, unit)| *unit)
    }

    /// Its length; none for one without a length in microseconds.
    pub fn micros(self) -> Option<i64> {
        Some(match self {
            Self::Microsecond => 1,
            Self::Millisecond => 1_000,
            Self::Second => 1_000_000,
            Self::Minute => 60_000_000,
            Self::Hour => 3_600_000_000,
            Self::Day => 86_400_000_000,
            Self::Week => 7 * 86_400_000_000,
            _ => return None,
        })
    }

    /// Its length in months; none for one that is not made of months.
    pub fn months(self) -> Option<i64> {
        Some(match self {
            Self::Month => 1,
            Self::Quarter => 3,
            Self::Year => 12,
            _ => return None,
        })
    }
}

/// One item of a projection.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Item {
    /// `*`.
    All,
    /// An expression, its name where it has one, and the text between its commas.
    Value { value: Expr, name: Option<String>, written: String },
}
