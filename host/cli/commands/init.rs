//! `init`: a first pipeline file, written from what the server has.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use sluicebox_engine::config::{Loaded, parse};
use sluicebox_engine::survey::{Survey, survey};

use super::small_runtime;
use crate::arguments::InitOptions;
use crate::failure::Failure;
use crate::output::line;

/// Tables of one database that are listed by name; a database of thousands is told by their number.
const SHOWN: usize = 40;

/// Asks the server and writes the file.
pub fn run(options: &InitOptions) -> Result<(), Failure> {
    if options.file.exists() {
        return Err(anyhow!("{} exists; name another file, or remove it", options.file.display()).into());
    }
    let draft = source_block(options, &everything(&options.databases)) + &sink_block();
    // What the service is called is filled in by hand; only the source is asked here.
    let environment = |name: &str| match name {
        "MAXCOMPUTE_ACCESS_ID" | "MAXCOMPUTE_ACCESS_KEY" => Some("to be set".to_owned()),
        name => std::env::var(name).ok(),
    };
    let Loaded { pipeline, .. } = parse(draft, &options.file, &environment)?;
    let survey = small_runtime()?.block_on(survey(&pipeline))?;
    write(&options.file, &text(options, &survey))?;
    report(options, &survey);
    Ok(())
}

/// A new file; one that came to be meanwhile stays.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let mut file = std::fs::File::create_new(path).with_context(|| format!("writing {}", path.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("writing {}", path.display()))?;
    Ok(())
}

fn report(options: &InitOptions, survey: &Survey) {
    let tables: usize = survey.databases.values().map(Vec::len).sum();
    let (server, databases) = (&survey.server, survey.databases.len());
    line!("{}: {tables} tables of {databases} databases on {server}", options.file.display());
    for (found, fix) in &survey.refusals {
        line!("before it runs: {found}: {fix}");
    }
    line!(
        "Fill in the sink's endpoint and project, set {}, MAXCOMPUTE_ACCESS_ID and MAXCOMPUTE_ACCESS_KEY, then:",
        options.password_env
    );
    line!("  sluicebox validate --connect {}", options.file.display());
}

/// A pattern of every table of these databases; of all there are when none is named.
fn everything(databases: &[String]) -> String {
    let pattern = |database: &str| format!(r"{database}.\.*");
    if databases.is_empty() {
        return pattern(r"\.*");
    }
    databases.iter().map(|d| pattern(d)).collect::<Vec<_>>().join(", ")
}

fn text(options: &InitOptions, survey: &Survey) -> String {
    let mut text = format!(
        "# A draft by `sluicebox init`, from {} at {}:{}.\n# Every key: `sluicebox options`. What would happen: `sluicebox validate --connect {}`.\n\n",
        survey.server,
        options.host,
        options.port,
        options.file.display()
    );
    for (database, tables) in &survey.databases {
        let _ = writeln!(text, "# {database}: {} tables", tables.len());
        for table in tables.iter().take(SHOWN) {
            let key: Vec<_> = table.key_columns().map(|c| &*c.name).collect();
            let kind = match key.is_empty() {
                true => "no key: an ordinary table, rows are appended, deletes have no effect".to_owned(),
                false => format!("key ({}): a Delta table", key.join(", ")),
            };
            let _ = writeln!(text, "#   {}, {} columns, {kind}", table.id.table, table.columns.len());
        }
        if tables.len() > SHOWN {
            let _ = writeln!(text, "#   and {} more", tables.len() - SHOWN);
        }
    }
    let databases: Vec<String> = survey.databases.keys().cloned().collect();
    text.push('\n');
    text += &source_block(options, &everything(&databases));
    text.push('\n');
    text += &sink_block();
    text += &rest(&databases);
    text
}

fn source_block(options: &InitOptions, tables: &str) -> String {
    let InitOptions { host, port, user, password_env, .. } = options;
    format!(
        "source:
  type: mysql
  hostname: {}
  port: {port}
  username: {}
  password: ${{{password_env}}}
  # `database.table` patterns separated by commas; `\\.*` is any text. Leave out what is not wanted, or name it here:
  tables: {tables}
  # tables.exclude: app_db.tmp_\\.*
  # The zone of the server's TIMESTAMP texts, compared with the server at the start:
  # server-time-zone: Asia/Shanghai
",
        scalar(host),
        scalar(user)
    )
}

fn sink_block() -> String {
    "sink:
  type: maxcompute
  # Of your region; `sluicebox emulator --listen 127.0.0.1:8940 --data DIR` is one of this machine, at http://127.0.0.1:8940/api.
  endpoint: https://service.cn-hangzhou.maxcompute.aliyun.com/api
  project: my_project
  access-id: ${MAXCOMPUTE_ACCESS_ID}
  access-key: ${MAXCOMPUTE_ACCESS_KEY}
  # Buckets of tables that are created; more for tables with many writes.
  # buckets-num: 16
"
    .to_owned()
}

fn rest(databases: &[String]) -> String {
    let first = databases.first().map_or("app_db", String::as_str);
    format!(
        "
# Other names for tables, and several tables in one:
# route:
#   - source-table: {first}.\\.*
#     sink-table: ods_{first}.ods_<>
#     replace-symbol: <>

# What is done with rows on the way:
# transform:
#   - source-table: {first}.customers
#     plugin:
#       path: plugins/mask-email.wasm
#       config: {{ columns: [email] }}

pipeline:
  # Rows are visible in the sink after the next commit:
  checkpoint.interval: 10s
  # LENIENT adds columns and never drops; EVOLVE follows the source to the letter.
  schema.change.behavior: LENIENT
"
    )
}

/// A text as a YAML scalar.
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}
