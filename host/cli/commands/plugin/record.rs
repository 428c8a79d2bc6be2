//! `plugin record`.

use std::io::Write as _;

use anyhow::{Context as _, anyhow};
use serde_json::json;
use sluicebox_engine::cases::{self, Begin, to_yaml};

use crate::arguments::{RecordFrom, RecordOptions};
use crate::commands::{load, print_json};
use crate::failure::Failure;
use crate::output::line;

/// Records events of a pipeline's source.
pub fn run(options: &RecordOptions) -> Result<(), Failure> {
    let loaded = load(&options.file)?;
    // Before the waiting: a file that is there already would be noticed too late.
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(&options.out);
    let mut file = file.with_context(|| format!("making {}", options.out.display()))?;
    let wanted = cases::RecordOptions {
        table: options.table.clone(),
        events: options.events,
        begin: match options.from {
            RecordFrom::Now => Begin::Now,
            RecordFrom::Earliest => Begin::Earliest,
        },
        wait: options.wait,
        mask: options.mask.clone(),
        mask_all: options.mask_all,
    };
    let recorded = cases::record(&loaded.pipeline, &wanted);
    let failed = !matches!(&recorded, Ok(recorded) if recorded.events > 0);
    if failed {
        drop(std::fs::remove_file(&options.out));
    }
    let recorded = recorded?;
    if recorded.events == 0 {
        return Err(
            anyhow!("no event of `{}` came within {} s", options.table, options.wait.as_secs()).into()
        );
    }
    let text = to_yaml(&recorded.file);
    file.write_all(text.as_bytes()).with_context(|| format!("writing {}", options.out.display()))?;
    if options.json {
        return print_json(&json!({ "file": options.out, "events": recorded.events }));
    }
    line!("{}  {} events", options.out.display(), recorded.events);
    Ok(())
}
