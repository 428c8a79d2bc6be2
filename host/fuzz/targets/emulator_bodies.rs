//! See `sluicebox_emulator::fuzzing::bodies`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sluicebox_emulator::fuzzing::bodies(data));
