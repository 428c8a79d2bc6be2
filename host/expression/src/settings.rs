//! What the pipeline file says about all expressions.

use crate::types::DecimalLimit;
use crate::zone::Zone;

/// Settings of all expressions of a pipeline.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The session's zone (`local-time-zone`).
    pub zone: Zone,
    /// Whether Flink CDC's letter counts where it is a defect (`transform.compat: flink`).
    pub flink: bool,
    /// The largest precision of decimals that are computed (`transform.decimal.precision.mode`).
    pub decimals: DecimalLimit,
    /// Whether `op_ts` may be named (`metadata.list`).
    pub op_ts: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { zone: Zone::UTC, flink: false, decimals: DecimalLimit::UP_TO_19, op_ts: false }
    }
}
