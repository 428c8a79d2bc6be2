//! See `sluicebox_emulator::fuzzing::arrow_body`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sluicebox_emulator::fuzzing::arrow_body(data));
