//! Standard output of the commands that print facts.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write as _};

/// Prints a line as `println!` does, without its panic when nobody reads any more.
macro_rules! line {
    ($($text:tt)*) => { $crate::output::print(format_args!("{}\n", format_args!($($text)*))) };
}
pub(crate) use line;

/// Writes to standard output. A reader that went away (`| head`) has what it wanted: the command ends there, with success.
/// Anything else that keeps facts from being printed (a full disk) ends it with exit code 1.
pub fn print(text: Arguments<'_>) {
    if let Err(error) = std::io::stdout().lock().write_fmt(text) {
        if error.kind() == ErrorKind::BrokenPipe {
            std::process::exit(0);
        }
        // Nowhere is left to complain where standard error is closed too.
        drop(writeln!(std::io::stderr(), "error: writing to standard output: {error}"));
        std::process::exit(1);
    }
}
