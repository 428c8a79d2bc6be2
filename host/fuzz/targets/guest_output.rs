//! See `sluicebox_wasm::fuzzing::output`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sluicebox_wasm::fuzzing::output(data));
