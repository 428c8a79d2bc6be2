//! See `sluicebox_mysql::fuzzing::table_map`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sluicebox_mysql::fuzzing::table_map(data));
