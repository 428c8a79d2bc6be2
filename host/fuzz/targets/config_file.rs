//! See `sluicebox_engine::fuzzing::config_file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sluicebox_engine::fuzzing::config_file(data));
