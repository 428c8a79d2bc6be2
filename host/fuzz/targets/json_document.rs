//! See `sluicebox_mysql::fuzzing::json_document`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sluicebox_mysql::fuzzing::json_document(data));
