//! Lines for the host's log.

use crate::bindings::sluicebox::transform::log::{Level, log};

/// Logs for the plugin's author. Never write a row's values.
pub fn debug(message: &str) {
    log(Level::Debug, message);
}

/// Logs that something worth knowing happened. Never write a row's values.
pub fn info(message: &str) {
    log(Level::Info, message);
}

/// Logs that something is off and the plugin copes. Never write a row's values.
pub fn warn(message: &str) {
    log(Level::Warn, message);
}

/// Logs that someone must act. Never write a row's values.
pub fn error(message: &str) {
    log(Level::Error, message);
}
