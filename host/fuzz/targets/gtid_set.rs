//! See `sluicebox_mysql::fuzzing::gtid_set`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sluicebox_mysql::fuzzing::gtid_set(data));
