//! See `sluicebox_mysql::fuzzing::ddl_statement`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sluicebox_mysql::fuzzing::ddl_statement(data));
