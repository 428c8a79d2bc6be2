//! For tests: asks WASI 0.2 for the time, random numbers, a variable and a file, writes to its standard output, and wants to sleep.
//!
//! Only the functions that it calls are written down here; a host links them by their names.

#![allow(missing_docs, reason = "bindings have none")]

use sluicebox_guest::{NewText, NewUInt, Plan, Result, Row, Schema, Transform, Type, Verdict, export_plugin};

wit_bindgen::generate!({
    world: "asks",
    generate_all,
    inline: "
        package sluicebox:asks-wasi;

        world asks {
            import wasi:clocks/wall-clock@0.2.0;
            import wasi:clocks/monotonic-clock@0.2.0;
            import wasi:random/random@0.2.0;
            import wasi:cli/environment@0.2.0;
            import wasi:cli/stdout@0.2.0;
            import wasi:filesystem/preopens@0.2.0;
        }

        package wasi:io@0.2.0 {
            interface error {
                resource error;
            }
            interface poll {
                resource pollable {
                    block: func();
                }
            }
            interface streams {
                use error.{error};
                variant stream-error { last-operation-failed(error), closed }
                resource output-stream {
                    blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>;
                }
            }
        }

        package wasi:clocks@0.2.0 {
            interface wall-clock {
                record datetime { seconds: u64, nanoseconds: u32 }
                now: func() -> datetime;
            }
            interface monotonic-clock {
                use wasi:io/poll@0.2.0.{pollable};
                subscribe-duration: func(when: u64) -> pollable;
            }
        }

        package wasi:random@0.2.0 {
            interface random {
                get-random-u64: func() -> u64;
            }
        }

        package wasi:cli@0.2.0 {
            interface environment {
                get-environment: func() -> list<tuple<string, string>>;
            }
            interface stdout {
                use wasi:io/streams@0.2.0.{output-stream};
                get-stdout: func() -> output-stream;
            }
        }

        package wasi:filesystem@0.2.0 {
            interface types {
                resource descriptor;
            }
            interface preopens {
                use types.{descriptor};
                get-directories: func() -> list<tuple<descriptor, string>>;
            }
        }
    ",
});

use wasi::cli::{environment, stdout};
use wasi::clocks::{monotonic_clock, wall_clock};
use wasi::filesystem::preopens;
use wasi::random::random;

/// An hour.
const LONG_NANOS: u64 = 3_600_000_000_000;

struct AsksWasi;

struct Columns {
    seconds: NewUInt,
    random: NewUInt,
    variables: NewText,
    folders: NewText,
}

impl Transform for AsksWasi {
    type Table = Columns;

    fn new(_config: &str) -> Result<Self> {
        Ok(Self)
    }

    fn plan(&mut self, _table: &Schema, plan: &mut Plan) -> Result<Columns> {
        Ok(Columns {
            seconds: plan.add_uint("seconds", Type::UInt, false)?,
            random: plan.add_uint("random", Type::UInt, false)?,
            variables: plan.add_text("variables", Type::Text, false)?,
            folders: plan.add_text("folders", Type::Text, false)?,
        })
    }

    fn row(&self, columns: &Columns, row: &mut Row) -> Result<Verdict> {
        monotonic_clock::subscribe_duration(LONG_NANOS).block();
        stdout::get_stdout()
            .blocking_write_and_flush(b"said on standard output\n")
            .map_err(|_| "the output is closed")?;
        row.set_uint(columns.seconds, wall_clock::now().seconds);
        row.set_uint(columns.random, random::get_random_u64());
        let variables: Vec<_> =
            environment::get_environment().iter().map(|(name, value)| format!("{name}={value}")).collect();
        row.set_text(columns.variables, |out| out.push_str(&variables.join(" ")));
        let folders: Vec<_> = preopens::get_directories().into_iter().map(|(_, name)| name).collect();
        row.set_text(columns.folders, |out| out.push_str(&folders.join(" ")));
        Ok(Verdict::Keep)
    }
}

export_plugin!(AsksWasi);
