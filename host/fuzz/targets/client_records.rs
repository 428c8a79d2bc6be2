//! See `sluicebox_maxcompute::fuzzing::records`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sluicebox_maxcompute::fuzzing::records(data));
