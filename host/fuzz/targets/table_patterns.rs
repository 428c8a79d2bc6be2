//! See `sluicebox_engine::fuzzing::table_patterns`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sluicebox_engine::fuzzing::table_patterns(data));
