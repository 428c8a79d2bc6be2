//! See `sluicebox_maxcompute::fuzzing::csv_result`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sluicebox_maxcompute::fuzzing::csv_result(data));
