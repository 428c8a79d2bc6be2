//! See `sluicebox_wasm::fuzzing::plan`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sluicebox_wasm::fuzzing::plan(data));
