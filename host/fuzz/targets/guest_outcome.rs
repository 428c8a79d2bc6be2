//! See `sluicebox_wasm::fuzzing::outcome`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sluicebox_wasm::fuzzing::outcome(data));
