//! `options`.

use serde_json::json;
use sluicebox_engine::config::{OptionDoc, Status, reference};

use super::{editor_schema, print_json};
use crate::arguments::OptionsOptions;
use crate::failure::Failure;
use crate::output::line;

/// Lists every option of the pipeline file, from the table that reads it.
pub fn run(options: &OptionsOptions) -> Result<(), Failure> {
    let reference = reference();
    if options.json {
        let rows: Vec<_> = reference
            .iter()
            .map(|o| json!({ "block": o.block, "key": o.key, "aliases": o.aliases, "kind": o.kind, "default": o.default, "required": o.required, "meaning": o.meaning, "status": status(&o.status) }))
            .collect();
        return print_json(&rows);
    }
    if options.json_schema {
        return print_json(&editor_schema::of(&reference));
    }
    if options.markdown {
        line!("{MARKDOWN_HEAD}");
    }
    let mut block = "";
    for option in &reference {
        let begins = option.block != block;
        block = option.block;
        match options.markdown {
            true => markdown(option, begins),
            false => plain(option, begins),
        }
    }
    Ok(())
}

fn default(option: &OptionDoc) -> String {
    match (option.required, option.default) {
        (true, _) => "required".to_owned(),
        (false, Some(default)) => format!("default {default}"),
        (false, None) => "no default".to_owned(),
    }
}

fn plain(option: &OptionDoc, begins: bool) {
    if begins {
        line!("\n{}:", option.block);
    }
    let default = default(option);
    line!("  {} ({}, {default}) {}{}", option.key, option.kind, option.meaning, remark(&option.status));
}

const MARKDOWN_HEAD: &str = "# The pipeline file

Every key that a pipeline file may have, as `sluicebox options --markdown` prints it. Keys are strict: one that is not here is an
error that names the nearest known one. A key that this version understands and does not carry out is an error as well; one
without effect is accepted, because leaving it out would change nothing.

Sizes are written `512KiB`, `4MB`, `1GiB` (all binary; no unit: bytes), durations `500ms`, `30s`, `10 min`, `1h` (no unit: milliseconds). In values,
`${NAME}` is the environment variable, `${file:PATH}` the content of a file (relative to the pipeline file); both are put in after
the YAML is read.";

fn markdown(option: &OptionDoc, begins: bool) {
    if begins || option.block.is_empty() && option.key == "source" {
        let title = if option.block.is_empty() { "Top level" } else { option.block };
        line!("\n## {title}\n\n| key | value | default | meaning |\n|---|---|---|---|");
    }
    let cell = |text: &str| text.replace('|', "\\|");
    let aliases: String = option.aliases.iter().map(|alias| format!("<br>`{alias}`")).collect();
    let default = match (option.required, option.default) {
        (true, _) => "**required**".to_owned(),
        (false, Some(default)) => format!("`{default}`"),
        (false, None) => String::new(),
    };
    line!(
        "| `{}`{aliases} | {} | {} | {}{} |",
        option.key,
        cell(&option.kind),
        cell(&default),
        cell(option.meaning),
        cell(&remark(&option.status))
    );
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
