//! `options`.

use serde_json::json;
use sluicebox_engine::config::{Status, reference};

use super::print_json;
use crate::failure::Failure;

/// Lists every option of the pipeline file, from the table that reads it.
pub fn run(as_json: bool) -> Result<(), Failure> {
    let options = reference();
    if as_json {
        let rows: Vec<_> = options
            .iter()
            .map(|o| json!({ "block": o.block, "key": o.key, "aliases": o.aliases, "kind": o.kind, "default": o.default, "required": o.required, "meaning": o.meaning, "status": status(&o.status) }))
            .collect();
        return print_json(&rows);
    }
    let mut block = "";
    for option in &options {
        if option.block != block {
            block = option.block;
            println!("\n{block}:");
        }
        let default = match (option.required, option.default) {
            (true, _) => "required".to_owned(),
            (false, Some(default)) => format!("default {default}"),
            (false, None) => "no default".to_owned(),
        };
        println!(
            "  {} ({}, {default}) {}{}",
            option.key,
            option.kind,
            option.meaning,
            remark(&option.status)
        );
    }
    Ok(())
}

fn remark(status: &Status) -> String {
    match status {
        Status::Works => String::new(),
        Status::NoEffect(why) => format!(" [no effect: {why}]"),
        Status::NotCarriedOut(instead) => format!(" [not carried out by this version: {instead}]"),
    }
}

fn status(status: &Status) -> &'static str {
    match status {
        Status::Works => "works",
        Status::NoEffect(_) => "no effect",
        Status::NotCarriedOut(_) => "not carried out",
    }
}
