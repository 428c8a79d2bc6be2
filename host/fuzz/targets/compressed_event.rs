//! See `sluicebox_mysql::fuzzing::compressed`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sluicebox_mysql::fuzzing::compressed(data));
