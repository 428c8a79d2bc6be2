//! What a plugin says when it cannot go on.

use std::fmt::Display;

/// A text for whoever runs the pipeline. Anything that can be shown becomes one with `?` or `.into()`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(String);

/// What most functions here give back.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The text.
    pub fn text(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

// `Error` itself cannot be shown with `Display`: if it could, this would clash with `From<Error> for Error`.
impl<E: Display> From<E> for Error {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}
