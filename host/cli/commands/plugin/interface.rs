//! `plugin interface`.

use sluicebox_engine::plugin_interface;

use crate::failure::Failure;
use crate::output::line;

/// Prints the interface between plugins and this program.
pub fn run(markdown: bool) -> Result<(), Failure> {
    let text = if markdown {
        plugin_interface::reference().map_err(|reason| anyhow::anyhow!("the interface: {reason}"))?
    } else {
        plugin_interface::DEFINITION.to_owned()
    };
    line!("{}", text.trim_end());
    Ok(())
}
