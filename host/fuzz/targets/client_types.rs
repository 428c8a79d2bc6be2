//! See `sluicebox_maxcompute::fuzzing::data_type`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sluicebox_maxcompute::fuzzing::data_type(data));
