//! See `sluicebox_emulator::fuzzing::request`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sluicebox_emulator::fuzzing::request(data));
