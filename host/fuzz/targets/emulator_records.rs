//! See `sluicebox_emulator::fuzzing::records`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sluicebox_emulator::fuzzing::records(data));
