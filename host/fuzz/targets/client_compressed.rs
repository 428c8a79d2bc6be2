//! See `sluicebox_maxcompute::fuzzing::compressed_records`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sluicebox_maxcompute::fuzzing::compressed_records(data));
