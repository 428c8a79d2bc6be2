//! See `sluicebox_mysql::fuzzing::binlog_stream`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sluicebox_mysql::fuzzing::binlog_stream(data));
