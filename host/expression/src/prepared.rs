//! What a call needs beside its arguments, made once when it is planned.

use regex::Regex;

use crate::ast::Unit;
use crate::pattern::Pattern;
use crate::zone::Zone;

/// What was made of the arguments that are the same for every row.
#[derive(Debug, Clone, Default)]
pub(crate) enum Prepared {
    #[default]
    Nothing,
    /// The unit of time that is an argument.
    Unit(Unit),
    /// A regular expression; none: it is invalid, and the result null.
    Regex(Option<Regex>),
    /// A pattern of dates and times, and a zone where there is an argument for it.
    Format(Pattern, Option<Zone>),
}

impl Prepared {
    pub fn unit(&self) -> Option<Unit> {
        if let Self::Unit(unit) = self { Some(*unit) } else { None }
    }
}
